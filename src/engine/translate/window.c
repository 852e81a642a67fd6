/* SPDX-License-Identifier: Apache-2.0 */
/* What is mapped in a window, and the host's side of it. */
#include "engine/translate/mirror.h"
#include <sys/mman.h>

enum { PIECE = 16, PIECE_LARGE = 64 }; /* pages that are mapped in one go */
/* What the host takes for these, measured: a mapping, each page of it, a change of rights. */
enum { COST_MAP = 2000, COST_PAGE = 90, COST_PROTECT = 1000, COST_CHECK = 40 };

static void *at(uint64_t host) { return (void *)(uintptr_t)host; }

uint64_t window_reserve(void)
{
	void *p = mmap(NULL, JIT_WINDOW_SPAN + 2 * JIT_WINDOW_GUARD, PROT_NONE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)p + JIT_WINDOW_GUARD;
}

void window_release(uint64_t base)
{
	if (base)
		munmap(at(base - JIT_WINDOW_GUARD), JIT_WINDOW_SPAN + 2 * JIT_WINDOW_GUARD);
}

/* ---- the pages ---- */

static uint32_t *page_slot(const struct window *w, uint64_t va)
{
	uint32_t *part = w->part[va >> 21];
	return part ? &part[va >> 12 & (PART_PAGES - 1)] : NULL;
}

uint32_t window_page(const struct window *w, uint64_t va)
{
	const uint32_t *p = va < JIT_WINDOW_SPAN ? page_slot(w, va) : NULL;
	return p ? *p : 0;
}

static uint32_t *page_make(struct window *w, uint64_t va)
{
	uint32_t **part = &w->part[va >> 21];
	if (*part)
		return page_slot(w, va);
	if (w->nused == w->used_cap) {
		uint32_t cap = w->used_cap ? 2 * w->used_cap : 64;
		uint32_t *more = realloc(w->used, cap * sizeof *more);
		if (!more)
			return NULL;
		w->used = more;
		w->used_cap = cap;
	}
	*part = calloc(PART_PAGES, sizeof **part);
	if (!*part)
		return NULL;
	w->used[w->nused++] = (uint32_t)(va >> 21);
	return page_slot(w, va);
}

static void pages_forget(struct window *w)
{
	for (uint32_t i = 0; i < w->nused; i++) {
		free(w->part[w->used[i]]);
		w->part[w->used[i]] = NULL;
	}
	w->nused = 0;
	w->runs = 0;
	w->ndoubts = 0;
	w->doubt_all = w->large = false;
}

void window_empty(struct mirror *m, struct window *w)
{
	m->cost_ns += w->runs * (uint64_t)COST_PROTECT;
	if (w->nused &&
	    mmap(at(w->base), JIT_WINDOW_SPAN, PROT_NONE,
	         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED &&
	    mprotect(at(w->base), JIT_WINDOW_SPAN, PROT_NONE) < 0)
		w->dead = true;
	pages_forget(w);
}

/* Rights of @n pages. False: the window was emptied instead. */
static bool pages_protect(struct mirror *m, struct window *w, uint64_t va, uint64_t n, int prot)
{
	m->cost_ns += COST_PROTECT;
	m->drops += n;
	if (mprotect(at(w->base + va), n << 12, prot) == 0)
		return true;
	window_empty(m, w);
	return false;
}

/* ---- mapping ---- */

/* May the frame be mapped writable? Who starts to watch it either sees our mark, and waits for the
 * lock to take the mapping away, or we see the watch. */
static bool frame_mark(struct mirror *m, uint64_t pa)
{
	uint64_t n = (pa - mem_base(m->mem).a) >> 12;
	__atomic_fetch_or(&m->maybe[n / 64], UINT64_C(1) << n % 64, __ATOMIC_SEQ_CST);
	return !mem_watched(m->mem, gpa(pa));
}

struct run {
	uint64_t va, pa;        /* of its first page */
	uint64_t n;
	bool write;
};

/* Does the page at @va continue @r, at @pa? */
static bool run_joins(struct rv_hart *h, struct mirror *m, const struct window *w,
                      const struct run *r, uint64_t va, uint64_t want)
{
	uint64_t pa;
	bool write;
	unsigned shift;
	if (window_page(w, va) & (r->write ? PAGE_W : PAGE_R))
		return false;
	if (!rv_user_page(h, va, &pa, &write, &shift) || pa != want)
		return false;
	return (write && frame_mark(m, pa)) == r->write;
}

static void run_map(struct mirror *m, struct window *w, const struct run *r)
{
	uint64_t off = r->pa - mem_base(m->mem).a;
	for (uint64_t i = 0; i < r->n; i++)
		if (!page_make(w, r->va + (i << 12)))
			return;
	void *p = mmap(at(w->base + r->va), r->n << 12, PROT_READ | (r->write ? PROT_WRITE : 0),
	               MAP_SHARED | MAP_FIXED | MAP_POPULATE, mem_fd(m->mem), (off_t)off);
	if (p == MAP_FAILED) { /* the old mapping may be gone, and the range with it */
		window_empty(m, w);
		w->dead = true;
		return;
	}
	for (uint64_t i = 0; i < r->n; i++)
		*page_slot(w, r->va + (i << 12)) = (uint32_t)((off >> 12) + i) << 2 | PAGE_R |
		                                   (r->write ? PAGE_W : 0);
	w->runs++;
	m->maps++;
	m->pages += r->n;
	m->cost_ns += COST_MAP + r->n * COST_PAGE;
}

/* The mappings of a process are limited. */
static void room_make(struct mirror *m, struct window *w)
{
	struct window *oldest = NULL;
	uint32_t runs = 0;
	for (unsigned k = 0; k < WINDOWS; k++) {
		struct window *x = &m->w[k];
		runs += x->runs;
		if (x != w && x->runs && (!oldest || x->last < oldest->last))
			oldest = x;
	}
	if (runs >= m->runs_max)
		window_empty(m, oldest ? oldest : w);
}

void window_fill(struct rv_hart *h, struct mirror *m, struct window *w, uint64_t va)
{
	struct run r = { .va = va & ~UINT64_C(0xfff), .n = 1 };
	unsigned shift;
	if (va >= JIT_WINDOW_SPAN || w->dead ||
	    !rv_user_page(h, va, &r.pa, &r.write, &shift))
		return;
	r.write = r.write && frame_mark(m, r.pa);
	uint32_t now = window_page(w, va);
	if (now & (r.write ? PAGE_W : PAGE_R) &&
	    now >> 2 == (uint32_t)((r.pa - mem_base(m->mem).a) >> 12))
		return; /* a store to a frame with code: it stays as it is */
	w->large |= shift > 12;
	uint64_t piece = (uint64_t)(shift > 12 ? PIECE_LARGE : PIECE) << 12;
	uint64_t lo = va & ~(piece - 1), hi = lo + piece;
	while (r.va + (r.n << 12) < hi &&
	       run_joins(h, m, w, &r, r.va + (r.n << 12), r.pa + (r.n << 12)))
		r.n++;
	while (r.va > lo && run_joins(h, m, w, &r, r.va - 4096, r.pa - 4096)) {
		r.va -= 4096;
		r.pa -= 4096;
		r.n++;
	}
	room_make(m, w);
	if (!w->dead)
		run_map(m, w, &r);
}

/* ---- fences ---- */

/* What the tables leave of the mapped page @e at @va. */
static uint32_t page_left(struct rv_hart *h, struct mirror *m, uint64_t va, uint32_t e)
{
	uint64_t pa;
	bool write;
	unsigned shift;
	m->checks++;
	m->cost_ns += COST_CHECK;
	if (!rv_user_page(h, va, &pa, &write, &shift) ||
	    (pa - mem_base(m->mem).a) >> 12 != e >> 2)
		return 0;
	return write ? e : e & ~(uint32_t)PAGE_W;
}

/* False: the window was emptied. */
static bool part_check(struct rv_hart *h, struct mirror *m, struct window *w, uint32_t n)
{
	uint64_t va = (uint64_t)n << 21, from = 0;
	uint32_t rights = PAGE_R | PAGE_W, *part = w->part[n];
	unsigned run = 0; /* pages that lose the same rights, from @from on */
	for (unsigned i = 0; i <= PART_PAGES; i++, va += 4096) {
		uint32_t e = i < PART_PAGES ? part[i] : 0;
		uint32_t left = e ? page_left(h, m, va, e) : 0;
		if (run && (left == e || (left & (PAGE_R | PAGE_W)) != rights)) {
			if (!pages_protect(m, w, from, run, rights ? PROT_READ : PROT_NONE))
				return false;
			run = 0;
		}
		if (left == e)
			continue;
		part[i] = left;
		rights = left & (PAGE_R | PAGE_W);
		if (!run++)
			from = va;
	}
	return true;
}

void window_check(struct rv_hart *h, struct mirror *m, struct window *w)
{
	bool all = w->doubt_all;
	uint32_t n = w->ndoubts;
	w->doubt_all = false;
	w->ndoubts = 0;
	for (uint32_t i = 0; all && i < w->nused; i++)
		if (!part_check(h, m, w, w->used[i]))
			return;
	for (uint32_t i = 0; !all && i < n; i++) {
		uint64_t va = (uint64_t)w->doubt[i] << 12;
		uint32_t *p = page_slot(w, va);
		uint32_t left = p && *p ? page_left(h, m, va, *p) : 0;
		if (!p || left == *p)
			continue;
		*p = left;
		if (!pages_protect(m, w, va, 1, left ? PROT_READ : PROT_NONE))
			return;
	}
}

void windows_protect(struct mirror *m, uint64_t pa)
{
	uint32_t frame = (uint32_t)((pa - mem_base(m->mem).a) >> 12);
	for (unsigned k = 0; k < WINDOWS; k++) {
		struct window *w = &m->w[k];
		for (uint32_t i = 0; w->satp && i < w->nused; i++) {
			uint32_t *part = w->part[w->used[i]];
			uint64_t va = (uint64_t)w->used[i] << 21;
			for (unsigned j = 0; j < PART_PAGES; j++) {
				if (part[j] >> 2 != frame || !(part[j] & PAGE_W))
					continue;
				part[j] &= ~(uint32_t)PAGE_W;
				if (!pages_protect(m, w, va + 4096ull * j, 1, PROT_READ))
					break;
			}
		}
	}
	__atomic_fetch_and(&m->maybe[frame / 64], ~(UINT64_C(1) << frame % 64), __ATOMIC_SEQ_CST);
}
