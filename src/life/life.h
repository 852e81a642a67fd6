/* SPDX-License-Identifier: Apache-2.0 */
/* life: one life cycle for every level: the instance folder, the keeper process, its control
 * socket, and the way from outside to all three.
 *
 * A guest is a folder (instance_*). While it runs, one keeper process holds the folder's lock,
 * owns the level's guest and answers on a control socket (keeper_*). Everything else reaches it
 * through that socket (control_*) or reads the folder's plain files. */
#pragma once
#include "base/base.h"
#include "chr/chr.h"
#include "host/host.h"
#include <json-c/json_object.h>

/* ---- states ---- */
enum life {
	LIFE_CREATED, LIFE_RUNNING, LIFE_PAUSED, LIFE_SUSPENDED, LIFE_STOPPED, LIFE_FAILED,
	LIFE_COUNT
};
const char *life_name(enum life l);          /* "created", ... */
bool life_find(const char *name, enum life *ret); /* false: no such state */
bool life_may(enum life from, enum life to);

/* ---- what a level is ---- */

/* What the keeper gives to a level. Everything is borrowed until destroy. */
struct level_env {
	const char *instance_dir; /* the guest's folder: disks, logs; absolute */
	const char *runtime_dir;  /* sockets live here, mode 0700; absolute */
	const char *name;         /* the guest's name */
	struct loop *loop;        /* the keeper's main loop */
	struct log *log;
	/* The guest is gone: called once, from any thread, not under a level's lock that destroy
	 * takes. @exit_code 0..255 is the run's result (panic: LODGE_EXIT_PANIC); @why is a short
	 * text that is copied ("powered off"). A reset is the level's own business. */
	void (*ended)(void *user, int exit_code, const char *why);
	void *user;
};

/* A level of virtualization. Every function but claims runs on the keeper's loop thread, and
 * none is called after destroy. NULL functions: this level cannot do it, and says so. */
struct level {
	const char *name, *summary;
	/* How sure is this level that it can run @c? 0: not at all; the highest wins. */
	int (*claims)(const struct lodge_config *c);
	/* Check @c and build the guest, not running. @c is valid until destroy, paths in it are
	 * absolute, defaults are not filled in. On failure nothing is left behind. */
	int (*create)(void **ret_self, const struct level_env *env, const struct lodge_config *c,
	              struct lodge_err *e);
	int (*start)(void *self, struct lodge_err *e);
	int (*pause)(void *self, struct lodge_err *e);  /* returns when no vCPU runs */
	int (*resume)(void *self, struct lodge_err *e);
	int (*stop)(void *self, struct lodge_err *e);   /* ask politely; -EOPNOTSUPP: no way to */
	int (*kill)(void *self, struct lodge_err *e);   /* at once; ended follows */
	void (*destroy)(void *self);                    /* joins threads; half-built is fine */
	struct chr *(*console)(void *self);             /* the host side is life's; may be NULL */
	struct chr *(*agent)(void *self);               /* byte channel to the agent; may be NULL */
	void (*resize)(void *self, unsigned rows, unsigned columns); /* of the console */
	void (*inspect)(void *self, struct json_object *out); /* add keys */
	void (*stats)(void *self, struct json_object *out);   /* add keys */
};

/* ---- configuration ---- */

/* "PATH|SIZE[,format=F][,ro][,bus=B][,overlay=PATH]", split and checked. Freed by disk_fini. */
struct life_disk {
	char *path;          /* absolute; NULL: a new sparse disk of size bytes in the instance */
	char *format;        /* "raw", "qcow2"; NULL: probe */
	char *bus;           /* "mmio", "pci"; NULL: the default of the config */
	char *overlay;       /* absolute; NULL: none */
	uint64_t size;
	bool readonly;
};
int life_disk_parse(struct life_disk *ret, const char *spec, struct lodge_err *e) MUST;
void life_disk_fini(struct life_disk *d);

/* "SRC:DST[:ro]". Freed by volume_fini. The virtio-fs tag of volume i is "lodge<i>". */
struct life_volume {
	char *source, *target; /* absolute, in the host and in the guest */
	bool readonly;
};
int life_volume_parse(struct life_volume *ret, const char *spec, struct lodge_err *e) MUST;
void life_volume_fini(struct life_volume *v);

/* Value of @key among c->options ("key=value"); NULL: not given. Borrowed from @c. */
const char *life_option(const struct lodge_config *c, const char *key);
