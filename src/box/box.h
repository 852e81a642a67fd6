/* SPDX-License-Identifier: Apache-2.0 */
/* box: confines this process. Namespaces of its own (user, mount, pid, ipc, uts, network, cgroup),
 * a root that holds what it was given, no capabilities, no way to gain rights, and system calls
 * that are listed. For root and for others, where the kernel lets them make user namespaces. */
#pragma once
#include "host/host.h"

struct box_bind {
	const char *source, *target; /* paths of the host; absolute ones of the new root */
	bool read_only;
};
struct box {
	const char *root;       /* a folder that becomes /; NULL: an empty one, only /tmp changes */
	const char *program;    /* a file that the empty one has, at its own absolute path */
	const struct box_bind *binds;
	size_t n_binds;
};

/* For a guest that is one process and makes none, whose code shares Lodge's address space. */
struct box_alone {
	const struct box_bind *binds;
	size_t n_binds;
	const char *folders;    /* of the new root, which is empty: "/a/b\0/c\0" */
	uint64_t code_from;     /* system calls come from there on; others are SIGSYS */
	int keep;               /* a descriptor that stays, as 3; -1: none */
};
/* The same without any other process: namespaces (but for pids, which it cannot signal), a root
 * that may be written and is gone with it, a short list of system calls. Descriptors 0 to 2 and the
 * kept one stay, and the environment. Thread: the only one of the process. */
int box_enter_alone(const struct box_alone *b, struct lodge_err *e) MUST;

/* This process becomes three: the caller stays outside and ends as the confined one does, with its
 * exit code or signal; a second one is the first of the pid namespace; the third returns 0, with
 * descriptors 0 to 2 alone, in /, and the environment cleared but for the terminal and language.
 * Errors are returned by that process which has them, whose exit code the others then have.
 * -EPERM, -ENOSPC: no user namespaces. Thread: the only one of the process. */
int box_enter(const struct box *b, struct lodge_err *e) MUST;
