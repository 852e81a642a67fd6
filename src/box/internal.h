/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room box share. */
#pragma once
#include "box/box.h"
#include <linux/openat2.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdatomic.h>

/* mounts.c, in order. Sources are looked up before the view of the host is gone. */
struct mounts {
	int root, program;      /* trees; -1: none. Owned */
	int *binds;             /* owned */
	size_t n;
	char *path;             /* of the program, owned */
};
int mounts_open(struct mounts *m, const struct box *b, struct lodge_err *e) MUST;
/* The new root, in the pid namespace that /proc shall show. */
int mounts_enter(struct mounts *m, const struct box *b, struct lodge_err *e) MUST;
void mounts_fini(struct mounts *m);
/* The same in parts: sources of binds; an empty root, where we are then; binds, and into it. */
int mounts_binds_open(struct mounts *m, const struct box *b, struct lodge_err *e) MUST;
int mounts_stage(struct mounts *m, struct lodge_err *e) MUST;
int mounts_finish(struct mounts *m, const struct box *b, bool read_only, struct lodge_err *e) MUST;

/* network.c */
int loopback_up(struct lodge_err *e) MUST;
struct network {
	pthread_t thread;
	bool runs;         /* there is the thread */
	atomic_bool taken; /* somebody makes it */
	int result, space; /* of the thread; a descriptor, owned */
	struct lodge_err why;
};
/* A network namespace with its loopback up, made by a thread in the user namespace that this one
 * is in. @n stays where it is until network_enter or network_fini, after which there is no thread. */
void network_begin(struct network *n);
int network_enter(struct network *n, struct lodge_err *e) MUST;
void network_fini(struct network *n);

/* enter.c */
int rights_drop(struct lodge_err *e) MUST;

/* sieve.c. System calls of alone.def, as far as @b lets it make them. */
int sieve_load(const struct box_alone *b, struct lodge_err *e) MUST;

/* seccomp.c */
extern const struct host_library box_seccomp;
/* filter.c */
/* Only the system calls of a program from now on; sets no_new_privs. */
int filter_load(struct lodge_err *e) MUST;

/* family.c: the processes around it */
/* In the caller: wait for @first, in whose pid namespace the program is, and end as that does. */
_Noreturn void family_outside(pid_t first, int report);
/* In the first of the namespace: the same for @program, and for orphans. */
_Noreturn void family_first(pid_t program, int report);

/* place.c: openat2 with O_CLOEXEC, again while something moves; -1 and errno */
int box_open_how(int at, const char *path, uint64_t flags, uint64_t resolve);

/* option.c */
enum {
	OPTION_BIND = 1 << 0,
	OPTION_RECURSIVE = 1 << 1,
	OPTION_REMOUNT = 1 << 2,
	OPTION_COPY_UP = 1 << 3,
	OPTION_IDMAP = 1 << 4,
	OPTION_IDMAP_ALL = 1 << 5,
	OPTION_FILL = 1 << 6,
};
struct box_attrs {
	uint64_t set, clear; /* MOUNT_ATTR_... */
};
struct box_spread {
	uint64_t flag; /* MS_PRIVATE, ... */
	bool below;
};
struct box_options {
	unsigned what; /* OPTION_... */
	struct box_attrs own, below;
	struct box_spread spread[4];
	size_t n_spread;
	bool found; /* its place was there */
};
void box_options_sort(struct box_options *ret, const struct oci_mount *m);
struct box_option_walk {
	size_t i, at;
	char one[4096];
};
/* The next of @all; NULL: no more. Borrowed from either. */
const char *box_option_next(const struct oci_texts *all, struct box_option_walk *w);
/* Is @option for the file system? *@ret: as it is called there. */
bool box_option_for_super(const char *option, const char **ret);

/* attach.c: mounts that are not in their place yet. Descriptors, or negative errno. */
int box_mount_new(const struct oci_mount *m, const struct box_options *o, const char *label,
                  const char *mode, struct lodge_err *e) MUST;
int box_mount_bind(const struct oci_mount *m, const struct box_options *o,
                   struct lodge_err *e) MUST;
/* -1 and errno */
int box_mount_attrs(int fd, const struct box_options *o);
int box_mount_spread(int fd, const struct box_options *o);
int box_mount_move(int tree, int place);
int box_mount_idmap(int fd, int userns, bool below, struct lodge_err *e) MUST;
bool box_is_on(int fd, long type); /* a file system of this kind, as statfs(2) says */

/* hierarchy.c */
int box_cgroups_mount(const struct box_setup *s, struct box_root *r, const struct oci_mount *m,
                      const struct box_options *o, struct lodge_err *e) MUST;
/* copyup.c: what is at @place, into @tree; -1 and errno */
int box_copy_up(int place, int tree);
int box_fill(int place, int tree); /* the same, if @tree has nothing; and its mode */
