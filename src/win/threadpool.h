/* SPDX-License-Identifier: Apache-2.0 */
/* Between threadpool.c, threadpool_kinds.c and timer_queue.c: what calls the guest in threads of
 * the pool (pool.c), how often it shall, and how that is waited for. */
#pragma once
#include "win/internal.h"

enum tp_kind { TP_WORK, TP_SIMPLE, TP_TIMER, TP_WAIT, TP_IO };
struct tp_done { /* an I/O that has ended */
	uint64_t overlapped, n;
	uint32_t error;
	struct tp_done *next;
};
/* Under tp_lock, but for what is set when it is made. */
struct tp {
	enum tp_kind kind;
	uint64_t fn, arg; /* of the guest */
	uint64_t final;   /* called when it was the last of its calls; 0: none */
	uint64_t cancel;  /* called when its group drops some of them; 0: none */
	struct tp_pool *pool;   /* NULL: the process's */
	struct tp_group *group; /* NULL: none, or it has left it */
	struct tp *next_in_group;
	uint32_t refs, queued, running;
	uint32_t dropped; /* of the pool's items, those that shall do nothing */
	bool closed; /* it cannot be set any more */
	/* a timer: when it is due (0: not set); queue: of CreateTimerQueue */
	uint64_t due_ns, period_ns;
	struct timer_queue *queue;
	struct object *told; /* set when all is over; a reference */
	bool timed;          /* it is in the list of timers */
	struct tp *next_timer;
	/* a wait: what it waits for now, a reference; the last call's result */
	struct tp_turn *turn;
	uint32_t result;
	/* I/O: what has ended and was not told yet, owned */
	struct tp_done *first, **end;
};
/* TP_CALLBACK_ENVIRON_V3 */
struct tp_environment {
	uint32_t version, pad;
	struct tp_pool *pool;
	struct tp_group *group;
	uint64_t cancel, race_dll, context, final;
	uint32_t flags, priority, size;
};

void tp_lock(void);
void tp_unlock(void);
/* A reference for the caller; NULL: no memory, last error set. @env may be NULL. */
struct tp *tp_new(enum tp_kind k, uint64_t fn, uint64_t arg, const struct tp_environment *env);
void tp_ref(struct tp *t);   /* locked */
void tp_unref(struct tp *t); /* locked; the last one frees it */
bool tp_submit(struct tp *t);                 /* locked: one call more */
void tp_drop(struct tp *t);                   /* locked: calls that have not begun */
void tp_await(struct tp *t);                  /* locked: until all have ended */
void tp_close(struct tp *t);                  /* the owner's reference goes, calls go on */
void tp_timer_set(struct tp *t, uint64_t due_ns, uint64_t period_ns); /* locked; 0: off */
void tp_queue_left(struct timer_queue *q); /* locked: one of its timers is no more */
void tp_wait_end(struct tp *t); /* locked, which it gives up meanwhile: it waits no more */
