/* SPDX-License-Identifier: Apache-2.0 */
/* level/process, private: what debug.c and debug_target.c share. */
#pragma once
#include "gdb/gdb.h"
#include "level/process/internal.h"

enum { BREAKS = 512, NO_STOP = -1 };
/* All threads stand while @stopping is set: each in debug_park, or in a system call, behind which
 * it will. A thread of our own speaks with the debugger. */
struct debug {
	struct proc *p;
	struct gdb *g;
	struct gdb_port port;
	struct gdb_cpu cpu;
	pthread_mutex_t lock;   /* of all below and of struct watch; before p->lock */
	pthread_cond_t moved;   /* a thread has parked, or may go on */
	_Atomic bool stopping;
	bool asked;             /* the debugger wants a stop */
	bool over;              /* it has detached: nobody stops any more */
	int bell;               /* an eventfd: there is something to tell */
	uint64_t pass;          /* signals that do not stop */
	/* What the code of the guest shows instead of what it is. 0: free. Changed while all stand,
	 * read at any time. */
	_Atomic uint64_t breaks[BREAKS];
	_Atomic uint64_t once;  /* one more, of a step */
	struct linux_task *sys; /* for paths, of this thread */
};

extern const struct gdb_target debug_target;
/* A signal that t->watch was told of, or NO_STOP. With the lock. */
struct task *debug_task(const struct debug *d, int thread);
/* With the lock: they go on, as @a says; or one has something to tell, and they stay. */
void debug_go(struct debug *d, const struct gdb_action *a, size_t n);
/* All stand, soon. */
void debug_halt(struct debug *d);
/* Code at [@lo, @hi) has changed, for every thread. */
void debug_code_stale(struct debug *d, uint64_t lo, uint64_t hi);
void debug_end(struct debug *d);        /* with the lock: over */
