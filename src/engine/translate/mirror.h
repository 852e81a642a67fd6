/* SPDX-License-Identifier: Apache-2.0 */
/* engine/translate, private: windows onto the memory of user address spaces.
 *
 * An address space in which much time is spent gets a window of host addresses; its user pages are
 * mapped there from the memory file of RAM when they are touched, and its code is translated into
 * mirrored units (jit.h), whose loads and stores are one instruction. A page is mapped as the page
 * tables say at that time with A set, writable with D set and while nobody keeps code of the frame;
 * so what the window allows is a part of what they allow, and the rest is asked for.
 *
 * A fence marks pages or windows as doubtful. They are compared with the tables before U mode runs
 * in that space again: most of what a fence names has not changed. Where no window is, gs leads to
 * a range where nothing is mapped: a mirrored unit that runs there is slow, not wrong. */
#pragma once
#include "engine/translate/internal.h"
#include <pthread.h>
#include <signal.h>

enum {
	WINDOWS = 8,            /* of a hart */
	MIRROR_RUNS = 20000,    /* mappings of all harts: less than half of vm.max_map_count */
	PART_PAGES = 512,
	PARTS = 1 << (JIT_WINDOW_BITS - 21),
	DOUBTS = 64,
	SPACES = 64,
};

/* A mapped page: frame of RAM << 2 | PAGE_W | PAGE_R; 0: none. */
enum { PAGE_R = 1, PAGE_W = 2 };

struct window {
	uint64_t satp;          /* 0: free */
	uint64_t base;          /* host address of guest address 0; 0: not reserved */
	uint32_t **part;        /* owned: PARTS tables of PART_PAGES, NULL while empty; owned */
	uint32_t *used;         /* owned: which are not NULL */
	uint32_t nused, used_cap;
	uint32_t runs;          /* mappings, at most */
	uint64_t last;          /* when it was entered */
	bool on;                /* code is mirrored; else it only waits */
	bool dead;              /* a mapping failed half-way: never entered again */
	bool large;             /* pages of leaves larger than a page are in it */
	bool doubt_all;
	uint32_t ndoubts, doubt[DOUBTS];
};

/* How an address space does. */
struct space {
	uint64_t satp, ns, need_ns, cost_ns;
};

struct mirror {
	struct jit_guard guard;
	pthread_mutex_t lock;   /* of the windows' pages: rv_code_watch comes from other threads */
	struct mem *mem;        /* borrowed */
	struct window w[WINDOWS], *cur; /* cur NULL: none */
	uint64_t cur_satp;
	bool stale;             /* cur or its pages may not be right */
	uint64_t want;          /* page that the guest was asked for; UINT64_MAX: none */
	uint64_t nothing;       /* a window without pages */
	uint64_t *maybe;        /* owned: frames that may be mapped writable, a bit each */
	uint64_t seen;          /* of guard.taken */
	uint64_t time;
	uint64_t poll_ns, need_ns;
	uint32_t runs_max;
	unsigned shape;         /* of RAM when the windows were made */
	bool off;               /* faults cannot be handled, or RAM has no other mappings */
	bool always;            /* at once, at any cost */
	struct space space[SPACES];
	uint64_t cost_ns;       /* spent since it was last looked at */
	uint64_t maps, pages, checks, drops;
	void *stack;            /* owned: of signals */
	stack_t old_stack;
	sigset_t old_mask;
};

/* ---- window.c: what is mapped; m->lock is held unless it says otherwise ---- */
/* Reserve a range and the guards around it; 0: there is none. Without the lock. */
uint64_t window_reserve(void);
void window_release(uint64_t base);
/* Map the page at @va and neighbours that are mapped in one piece. */
void window_fill(struct rv_hart *h, struct mirror *m, struct window *w, uint64_t va);
uint32_t window_page(const struct window *w, uint64_t va);
/* Compare what is in doubt with the tables of h->satp, which are the window's. */
void window_check(struct rv_hart *h, struct mirror *m, struct window *w);
void window_empty(struct mirror *m, struct window *w);
/* No write access to frame @pa from now on. */
void windows_protect(struct mirror *m, uint64_t pa);

/* ---- mirror.c: when ---- */
int mirror_new(struct mirror **ret, struct rv_hart *h, struct lodge_err *e) MUST;
void mirror_free(struct mirror *m);
/* The hart runs on this thread from now on, and does not. */
void mirror_begin(struct rv_hart *h);
void mirror_end(struct rv_hart *h);
void mirror_select(struct rv_hart *h);
void mirror_look(struct rv_hart *h);
void mirror_missed(struct rv_hart *h, uint64_t va, uint64_t bytes, bool ok);
/* ---- flat.c: processes ---- */
int flat_new(struct translate *t, struct lodge_err *e) MUST;
void flat_free(struct flat *f);
/* As mirror_begin and mirror_end. False: no generated code may run. */
bool flat_begin(struct flat *f);
void flat_end(struct flat *f);

/* U mode may run next: let gs lead to its window. */
static inline void mirror_ready(struct rv_hart *h, const struct translate *t)
{
	struct mirror *m = t->mirror;
	if (m && h->priv == RV_U && unlikely(m->stale || m->cur_satp != h->satp))
		mirror_select(h);
}
/* Of the units that the code at h->pc is found by: mirrored ones? */
static inline unsigned mirror_key(struct rv_hart *h, const struct translate *t)
{
	if (t->flat)
		return UNIT_MIRRORED;
	mirror_ready(h, t);
	return t->mirror && h->priv == RV_U && t->mirror->cur ? UNIT_MIRRORED : 0;
}
/* After an access to [@va, @va + @bytes) on behalf of generated code. */
static inline void mirror_after(struct rv_hart *h, uint64_t va, uint64_t bytes, bool ok)
{
	struct translate *t = h->engine;
	t->misses++;
	if (t->mirror && t->mirror->seen != t->mirror->guard.taken)
		mirror_missed(h, va, bytes, ok);
}
