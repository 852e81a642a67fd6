/* SPDX-License-Identifier: Apache-2.0 */
/* lib: the public door (include/lodge/lodge.h). Argument checks, level choice, images, and the
 * way from a handle to a keeper; this header is for lib's own files. */
#pragma once
#include "life/life.h"
#include <stdio.h>

struct lodge_guest {
	struct instance *inst; /* owned */
	int leash;             /* -1: none; held between lodge_keep and lodge_start */
	char *warning;         /* owned; of lodge_warning */
	struct alien *alien; /* owned; NULL: a guest of Lodge's own, with a folder */
};

/* engine.c: containers of engines. inst is a name then, with no folder behind it. */
int alien_open(struct lodge_guest **ret, const char *word, struct lodge_err *e) MUST;
void alien_free(struct alien *f); /* NULL is fine */
struct json_object;
void alien_list(struct json_object *list); /* add all to those of lodge_list */
/* 0: @g is Lodge's own. EOPNOTSUPP: whose it is, for whom @verb is to do. */
int guest_own(const struct lodge_guest *g, const char *verb, struct lodge_err *e) MUST;
struct json_object *alien_describe(const struct lodge_guest *g, struct lodge_err *e);
const char *alien_state(const struct lodge_guest *g); /* static */
int alien_stats(const struct lodge_guest *g, struct json_object **ret, struct lodge_err *e) MUST;
int alien_freeze(const struct lodge_guest *g, bool on, struct lodge_err *e) MUST;
int alien_signal(const struct lodge_guest *g, int number, struct lodge_err *e) MUST;
/* 0: at once. Returns when it has ended. */
int alien_stop(const struct lodge_guest *g, uint64_t timeout_ns, struct lodge_err *e) MUST;
int alien_update(const struct lodge_guest *g, struct json_object *changes,
                   struct lodge_err *e) MUST;
/* What level.exec and level.root of *@ret_level want; owned. ENOTCONN: it does not run. */
int alien_inspected(const struct lodge_guest *g, const struct level **ret_level,
                      struct json_object **ret, struct lodge_err *e) MUST;
/* engine_logs.c */
int alien_logs(const struct lodge_guest *g, const struct lodge_logs_query *q,
                 int (*fn)(void *user, const void *data, size_t len), void *user,
                 struct lodge_err *e) MUST;
uint64_t monitor_time(const char *text);
/* The same of the open file @f, as it is now. */
int monitor_log_show(FILE *f, const struct lodge_logs_query *q,
                     int (*fn)(void *user, const void *data, size_t len), void *user);

/* Wait until a keeper that has ended its guest has let go of the folder. */
int guest_gone(const struct lodge_guest *g, struct lodge_err *e) MUST;
/* Lock a guest that does not run; one that has just ended, or fallen asleep, is waited for. */
int guest_lock(struct lodge_guest *g, struct lodge_err *e) MUST;
/* Was it suspended for being idle? Whoever wants something of it wakes it up. */
bool guest_dozes(const struct lodge_guest *g);
/* 1: it did, and has a keeper now; 0: it did not. */
int guest_wake(struct lodge_guest *g, struct lodge_err *e) MUST;

/* The answer of /v1/wait, which was asked for on @wait: the exit code, once the guest is gone. */
int guest_exit(struct lodge_guest *g, int wait, int *ret_exit_code, struct lodge_err *e) MUST;

/* Keep what the keeper's @answer (NULL: none) says could not be done. */
struct json_object;
void guest_warn(struct lodge_guest *g, struct json_object *answer);

/* A handle on @i, owned from now on, also on failure. */
int guest_new(struct lodge_guest **ret, struct instance *i, struct lodge_err *e) MUST;

/* enter.c: a program in a guest whose level needs no agent for it; as lodge_exec_... */
struct enter;
int enter_begin(struct enter **ret, struct lodge_guest *g, const struct level *l,
                const struct lodge_exec_config *c, struct lodge_err *e) MUST;
long enter_read(struct enter *x, void *buf, size_t cap, int *ret_stream, struct lodge_err *e);
long enter_write(struct enter *x, const void *buf, size_t len);
int enter_signal(struct enter *x, int number);
int enter_resize(struct enter *x, unsigned rows, unsigned columns);
int enter_fd(const struct enter *x);
int enter_exit(const struct enter *x);
void enter_end(struct enter *x); /* NULL is fine */

/* snapshot.c. The configuration that a snapshot was made with. -ENOENT: there is none. */
struct json_object;
int shot_config(const struct instance *i, const char *name, struct json_object **ret,
                struct lodge_err *e) MUST;
/* The disks of @doc, each with a new overlay (of the guest @i) over what it is. */
int disks_branch(const struct instance *i, struct json_object *doc, struct lodge_err *e) MUST;
/* An image: a name that stands for files in the cache, and how to get them. */
struct image {
	const char *name, *alias, *summary;
	const char *folder;   /* below the cache folder */
	const char *verb;     /* of the fetch script */
	const char *kernel, *initrd, *disk, *append; /* files in folder; disk NULL: none */
	const char *files;    /* what exists when it is whole; space-separated */
};
const struct image *image_find(const char *name);   /* NULL: no such image */
const struct image *image_at(size_t i);             /* NULL past the end */
const struct image *image_of_roots(void);           /* whose kernel runs roots */
bool image_ready(const struct image *m);            /* in the cache */
char *image_file(const struct image *m, const char *file); /* absolute; malloc'ed */

/* store.c: container images, which lie in the user's store of images. */
struct image_store;
int images_open(struct image_store **ret, struct lodge_err *e) MUST;
int images_pull(const char *name, struct lodge_pull *how, struct lodge_err *e) MUST;
/* Add them to the array @list. */
int images_list(struct json_object *list, struct lodge_err *e) MUST;
int images_remove(const char *name, struct lodge_err *e) MUST;
/* 1: it is in the store. */
int images_state(const char *name);

/* Turn what the user asked for into what a level can run, inside the folder of @i: image names
 * into kernel, initrd and a disk of its own; sizes into disks; overlays for images that may not
 * be written. */
int prepare_config(struct instance *i, const struct lodge_config *c, struct json_object **ret,
                   struct lodge_err *e) MUST;
/* Make @to (below @dirfd, new) a copy of the file @from that shares its blocks where the file
 * system can, keeps holes, and is at least @min_size long. */
int copy_sparse(const char *from, int dirfd, const char *to, uint64_t min_size,
                struct lodge_err *e) MUST;
/* look.c: @o, which is given away, as text that lodge_free frees. */
int json_give(struct json_object *o, char **ret, struct lodge_err *e) MUST;
/* isolate.c: this process is confined, as box_enter says, and @c names what it sees then. */
int isolate_enter(struct lodge_config *c, struct lodge_err *e) MUST;
const struct level *level_choose(const struct lodge_config *c, struct lodge_err *e);
const struct level *level_named(const char *name); /* NULL: none */
/* The one that runs @i, by its configuration. NULL: it is damaged, or none does. */
const struct level *level_of(const struct instance *i, struct lodge_err *e);
/* fits.c: is all that @c asks for something that @l, which runs it, understands? EINVAL. */
int level_fits(const struct level *l, const struct lodge_config *c, struct lodge_err *e) MUST;
/* Does @l take the option "net" (--net)? What is in no table all do. */
bool level_takes(const struct level *l, const struct lodge_config *c, const char *option);
/* Embedded at build time (fetch.mk): the script that gets images. */
const uint8_t *fetch_script(size_t *ret_len);
/* The tail of a child's stderr, for the message of an error. */
struct tail {
	char text[400];
	size_t len;
};
void tail_add(struct tail *t, const char *data, size_t len);
