/* SPDX-License-Identifier: Apache-2.0 */
/* stay: all that a container of an image has around it while it runs. */
#pragma once
#include "image/image.h"
#include "level/container/network.h"
#include "net/net.h"
#include "level/container/users.h"
#include "level/container/warden.h"
#include "life/life.h"
#include <json-c/json_object.h>
#include <limits.h>

enum { STAY_ID_BYTES = 6 };

struct stay {
	const struct lodge_config *c;
	const char *name;    /* of a guest that a keeper has; NULL: nobody has it */
	const char *home;    /* where its root lies; NULL: in folder, and goes with it */
	const char *guest;   /* the image's name, or the path of a root or bundle */
	bool of_image;       /* else a root of the host's */
	bool terminal;
	/* filled by stay_make */
	struct image_store *store;
	struct image_config image;
	char id[2 * STAY_ID_BYTES + 1];
	char *all, *folder;  /* owned: where such folders are; ours */
	char *bundle, *root; /* owned */
	int lock;            /* of the folder */
	bool mapped;         /* in a user namespace: this process, or the container alone */
	uint32_t ids;        /* in it, from 0 on */
	struct users users;
	struct uplink uplink;
	struct network_hold hold;
	struct warden warden;
	char program[PATH_MAX]; /* the runtime's */
};
#define STAY_NONE .lock = -1, .ids = UINT32_MAX, .users = USERS_NONE, .uplink = UPLINK_NONE, \
		  .hold = NETWORK_HOLD_NONE, .warden = {.end = -1}

/* Everything up to the bundle; this process, which has one thread, is in namespaces of its own
 * then. stay_end follows, also on failure. */
int stay_make(struct stay *s, struct lodge_err *e) MUST;
/* From now on nothing stays when this process is killed. */
int stay_guard(struct stay *s, struct lodge_err *e) MUST;
void stay_end(struct stay *s);

/* Make ready, once, the folder @home of the guest @name whose root is c->guest; see stay.home. */
int stay_prepare(const char *name, const char *home, const struct lodge_config *c,
                 struct lodge_err *e) MUST;
/* Its root, as it lies in @home while it does not run, mounted in namespaces that this process,
 * which has one thread, is in from then on. A descriptor. */
int stay_open(const char *home, struct lodge_err *e) MUST;
/* The layers below it (image_root_below), in namespaces where this process may read them. */
int stay_below(const char *home, int *ret, size_t *ret_n, struct lodge_err *e) MUST;
/* What of it is outside of its folder goes. */
void stay_forget(const char *name);
/* How a prepared guest's image wants to be run. ENOENT: it is of no image. */
int stay_image(const char *home, struct image_config *ret, struct lodge_err *e) MUST;
/* What was left by those that were killed, with all that guarded them. */
void stay_sweep(void);

/* Does somebody hold the lock of the folder @id of those below @all? */
bool stay_lives(const char *all, const char *id);
bool path_has(const char *folder, const char *name);
/* The program lodge-oci beside this one. */
int runtime_find(char path[PATH_MAX], struct lodge_err *e) MUST;
/* The error that the runtime's words @said mean: ENOENT, EACCES, EIO. */
int runtime_errno(const char *said);

/* ---- enter.c: one more program in a container that runs ---- */
/* As level.exec and level.exec_code. */
int container_enter(struct json_object *inspected, const struct lodge_exec_config *c, int log,
                    struct lodge_err *e) MUST;
int container_entered(int code, int log);
/* The text of member @key, borrowed; NULL: there is none. */
const char *inspected_text(struct json_object *o, const char *key);

/* ---- files.c ---- */
/* As level.root. */
int container_root(const char *instance_dir, const struct lodge_config *c,
                   struct json_object *inspected, struct lodge_err *e) MUST;

/* ---- changes.c ---- */
/* As level.changes. */
int container_changes(const char *instance_dir, const struct lodge_config *c, int to,
                      struct lodge_err *e) MUST;

/* ---- level.c: in the foreground; see struct level ---- */
int container_claims(const struct lodge_config *c);
int container_become(const struct lodge_config *c, struct lodge_err *e) MUST;

/* ---- attendant.c: the process that a keeper has for a container that runs ---- */

/* What it says first. With terminal, the master of it follows (pass_receive). */
struct attendant_hello {
	int result;          /* negative: it could not be, and why */
	struct lodge_err err;
	char id[2 * STAY_ID_BYTES + 1];
	bool terminal;
	int stop_signal;
	pid_t pid;           /* of the container's first process */
};
/* All that is borrowed is so until the end of the process. */
struct attendant_plan {
	const struct lodge_config *c;
	const struct level_env *env;
	const char *home;
	int in, out;         /* of the program, when it has no terminal; -1 */
	pid_t keeper;
	int to;              /* a socket of packets: the hello, then the status as of wait(2) */
};
/* In a child of the keeper's loop thread, with which it dies. */
_Noreturn void attendant_main(const struct attendant_plan *p);
