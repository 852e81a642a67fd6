/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room box share. */
#pragma once
#include "box/box.h"
#include <seccomp.h>

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

/* enter.c */
int loopback_up(struct lodge_err *e) MUST;
int rights_drop(struct lodge_err *e) MUST;

/* sieve.c. System calls of alone.def, from code at @code_from and above. */
int sieve_load(uint64_t code_from, struct lodge_err *e) MUST;

/* filter.c */
extern const struct host_library box_seccomp;
/* Only the system calls of a program from now on; sets no_new_privs. */
int filter_load(struct lodge_err *e) MUST;

/* family.c: the processes around it */
/* In the caller: wait for @first, in whose pid namespace the program is, and end as that does. */
_Noreturn void family_outside(pid_t first, int report);
/* In the first of the namespace: the same for @program, and for orphans. */
_Noreturn void family_first(pid_t program, int report);
