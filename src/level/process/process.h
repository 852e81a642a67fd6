/* SPDX-License-Identifier: Apache-2.0 */
/* level/process: a program of riscv64 Linux in the place of this process. The level is for those
 * who have a configuration; this door is for who is called by the kernel, as the interpreter of a
 * program (binfmt_misc). */
#pragma once
#include "life/life.h"

/* How the kernel hands a program over: Linux 6.1 fs/binfmt_misc.c, flags P, O and C. */
struct process_given {
	const char *name;       /* the program's argv[0]; config.guest is its path */
	int fd;                 /* of the program, to read, taken; -1: it has to be opened */
	/* An execve of a program that gains rights (setuid) goes to the kernel, too, which gives
	 * them and comes back here with it. */
	bool by_kernel;
};

/* Become the program, as struct level's become does; @g NULL: as that. Returns on failure only,
 * negative errno: ENOENT, ENOEXEC, EACCES, ... Thread: the only one of the process. */
int process_begin(const struct lodge_config *c, const struct process_given *g,
                  struct lodge_err *e) MUST;
