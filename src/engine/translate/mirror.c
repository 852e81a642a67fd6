/* SPDX-License-Identifier: Apache-2.0 */
/* Which address spaces have windows, and which of them gs leads to. A window pays where the same
 * pages are used for long; what it costs is faults, mappings and fences. So a space has to run for
 * a while before it gets one, and loses it for longer and longer when it costs too much. */
#include "engine/translate/mirror.h"
#include <signal.h>

enum {
	STACK_BYTES = 64 << 10,
	PERIOD_NS = 10000000,   /* between looks at what a window costs */
	NEED_MAX_NS = 1000000000,
	COST_SHARE = 16,        /* of the time may go into it: one part in so many */
	COST_FREE_NS = 1000000, /* that a period has for nothing */
	COST_FAULT = 2000,
	POLL_MAX_NS = 200000,   /* a longer time between polls was not spent here */
	SATP_SV39_MODE = 8,
};

static struct mirror *mirror_of(const struct rv_hart *h)
{
	return ((struct translate *)h->engine)->mirror;
}
static struct jit_run *run_of(struct rv_hart *h) { return (struct jit_run *)(void *)h->engine_run; }

/* ---- what isa/riscv tells ---- */

static void doubt_page(struct window *w, uint64_t va)
{
	if (w->large)
		w->doubt_all = true;
	else if (!window_page(w, va))
		return;
	else if (w->ndoubts == DOUBTS)
		w->doubt_all = true;
	else
		w->doubt[w->ndoubts++] = (uint32_t)(va >> 12);
}

static void mirror_fenced(struct rv_hart *h, uint64_t va, int asid)
{
	struct mirror *m = mirror_of(h);
	for (unsigned k = 0; k < WINDOWS; k++) {
		struct window *w = &m->w[k];
		if (!w->satp || (asid >= 0 && (uint16_t)(w->satp >> 44) != asid))
			continue;
		if (va == UINT64_MAX)
			w->doubt_all = true;
		else
			doubt_page(w, va);
		m->stale = true;
	}
}

static void mirror_watched(struct rv_hart *h, uint64_t pa)
{
	struct mirror *m = mirror_of(h);
	uint64_t n = (pa - mem_base(m->mem).a) >> 12;
	if (n >= mem_size(m->mem) >> 12)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* the watch is marked: see frame_mark */
	if (!(__atomic_load_n(&m->maybe[n / 64], __ATOMIC_SEQ_CST) >> n % 64 & 1))
		return;
	pthread_mutex_lock(&m->lock);
	windows_protect(m, pa);
	pthread_mutex_unlock(&m->lock);
}

/* ---- where gs leads ---- */

static struct window *window_of(struct mirror *m, uint64_t satp)
{
	for (unsigned k = 0; k < WINDOWS; k++)
		if (m->w[k].satp == satp && satp)
			return &m->w[k];
	return NULL;
}

static void window_enter(struct rv_hart *h, struct mirror *m, struct window *w)
{
	m->cur = w;
	m->guard.window = w ? w->base : m->nothing;
	run_of(h)->window = m->guard.window;
	jit_guard_move(&m->guard);
}

void mirror_select(struct rv_hart *h)
{
	struct mirror *m = mirror_of(h);
	struct window *w = window_of(m, h->satp);
	m->stale = false;
	m->cur_satp = h->satp;
	if (w && w->on && !w->dead && (w->doubt_all || w->ndoubts || m->want != UINT64_MAX)) {
		pthread_mutex_lock(&m->lock);
		window_check(h, m, w);
		/* what a fault of the guest was about is there now, and it is wanted */
		if (m->want != UINT64_MAX && !w->dead)
			window_fill(h, m, w, m->want);
		pthread_mutex_unlock(&m->lock);
		m->want = UINT64_MAX;
	}
	if (w && (!w->on || w->dead || m->off))
		w = NULL;
	if (w)
		w->last = ++m->time;
	window_enter(h, m, w);
}

void mirror_missed(struct rv_hart *h, uint64_t va, uint64_t bytes, bool ok)
{
	struct mirror *m = mirror_of(h);
	struct window *w = m->cur;
	m->seen = m->guard.taken;
	pthread_mutex_lock(&m->lock);
	m->cost_ns += COST_FAULT;
	if (!ok) {
		m->want = va;
		m->stale = true;
	} else if (w && m->cur_satp == h->satp) {
		window_fill(h, m, w, va);
		if ((va & 4095) + bytes > 4096)
			window_fill(h, m, w, va + bytes - 1);
	}
	pthread_mutex_unlock(&m->lock);
	if (w && w->dead)
		mirror_select(h);
}

/* ---- which spaces have windows ---- */

static void units_forget(struct rv_hart *h, struct mirror *m)
{
	jumps_forget(h->engine);
	m->stale = true;
}

static struct window *window_take(struct mirror *m, uint64_t satp)
{
	struct window *w = window_of(m, satp);
	for (unsigned k = 0; k < WINDOWS && !w; k++)
		if (!m->w[k].satp)
			w = &m->w[k];
	for (unsigned k = 0; k < WINDOWS && (!w || w->satp); k++) {
		struct window *x = &m->w[k];
		if (w && w->satp == satp)
			break;
		if (!x->dead && (!w || x->last < w->last))
			w = x;
	}
	if (!w || w->dead || w->satp == satp)
		return w && !w->dead ? w : NULL;
	if (!w->part)
		w->part = calloc(PARTS, sizeof *w->part);
	if (!w->base)
		w->base = window_reserve();
	if (!w->part || !w->base)
		return NULL;
	window_empty(m, w);
	w->satp = satp;
	w->on = false;
	return w->dead ? NULL : w;
}

/* The pages that the space uses are those in the TLB. */
static void window_begin(struct rv_hart *h, struct mirror *m, struct window *w)
{
	for (unsigned i = 0; i < RV_TLB_SIZE; i++) {
		uint64_t tag = h->tlb[i].tag_r, va = tag & ~UINT64_C(0xfff);
		if (tag != RV_TLB_NONE && (tag & 0xfff) == h->dctx && !window_page(w, va) &&
		    !w->dead)
			window_fill(h, m, w, va);
	}
}

static void space_on(struct rv_hart *h, struct mirror *m)
{
	pthread_mutex_lock(&m->lock);
	struct window *w = window_take(m, h->satp);
	if (w && !w->on) {
		window_check(h, m, w);
		window_begin(h, m, w);
		w->on = true;
		units_forget(h, m);
	}
	m->cost_ns = 0;
	pthread_mutex_unlock(&m->lock);
}

static void space_look(struct rv_hart *h, struct mirror *m, struct space *s, struct window *w)
{
	pthread_mutex_lock(&m->lock);
	uint64_t cost = m->cost_ns;
	m->cost_ns = 0;
	pthread_mutex_unlock(&m->lock);
	if (cost > COST_FREE_NS + s->ns / COST_SHARE && !m->always) {
		w->on = false;
		s->need_ns = min_u64(2 * s->need_ns, NEED_MAX_NS);
		units_forget(h, m);
	}
	s->ns = 0;
}

/* Once in each poll that finds U mode. */
void mirror_look(struct rv_hart *h)
{
	struct mirror *m = mirror_of(h);
	uint64_t ns = min_u64(h->poll_ns - m->poll_ns, POLL_MAX_NS);
	m->poll_ns = h->poll_ns;
	if (h->priv != RV_U || h->satp >> 60 != SATP_SV39_MODE || m->off)
		return;
	struct space *s = &m->space[(h->satp ^ h->satp >> 44) % SPACES];
	if (s->satp != h->satp)
		*s = (struct space){ .satp = h->satp, .need_ns = m->need_ns };
	s->ns += ns;
	struct window *w = window_of(m, h->satp);
	if (w && w->on && s->ns > PERIOD_NS) {
		space_look(h, m, s, w);
	} else if (!(w && w->on) && (s->ns >= s->need_ns || m->always)) {
		s->ns = 0;
		space_on(h, m);
	}
}

/* ---- life ---- */

int mirror_new(struct mirror **ret, struct rv_hart *h, struct lodge_err *e)
{
	struct translate *t = h->engine;
	struct mirror *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ENOMEM, "no memory for the windows of hart %u", h->id);
	pthread_mutex_init(&m->lock, NULL);
	m->mem = h->env->mem;
	m->always = h->env->mirror == 1;
	m->need_ns = (h->env->mirror - 1) * UINT64_C(1000);
	m->runs_max = MIRROR_RUNS / (h->env->nharts ? h->env->nharts : 1);
	m->want = UINT64_MAX;
	m->maybe = calloc((mem_size(m->mem) >> 12) / 64 + 1, sizeof *m->maybe);
	m->stack = malloc(STACK_BYTES);
	m->nothing = window_reserve();
	m->guard = (struct jit_guard){ .cache = t->cache, .window = m->nothing,
		.find = unit_touch_find, .user = t };
	if (!m->maybe || !m->stack || !m->nothing) {
		mirror_free(m);
		return err_set(e, ENOMEM, "no room for windows");
	}
	h->fenced = mirror_fenced;
	h->watched = mirror_watched;
	*ret = m;
	return 0;
}

void mirror_free(struct mirror *m)
{
	if (!m)
		return;
	for (unsigned k = 0; k < WINDOWS; k++) {
		struct window *w = &m->w[k];
		for (uint32_t i = 0; i < w->nused; i++)
			free(w->part[w->used[i]]);
		free(w->part);
		free(w->used);
		window_release(w->base);
	}
	window_release(m->nothing);
	free(m->maybe);
	free(m->stack);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void mirror_begin(struct rv_hart *h)
{
	struct mirror *m = mirror_of(h);
	stack_t stack = { .ss_sp = m->stack, .ss_size = STACK_BYTES };
	sigset_t faults;
	sigemptyset(&faults);
	sigaddset(&faults, SIGSEGV);
	sigaddset(&faults, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &faults, &m->old_mask);
	m->stale = true;
	if (mem_shape(m->mem) != m->shape) { /* what the windows show is not RAM any more */
		pthread_mutex_lock(&m->lock);
		for (unsigned k = 0; k < WINDOWS; k++)
			window_empty(m, &m->w[k]);
		pthread_mutex_unlock(&m->lock);
		m->shape = mem_shape(m->mem);
		m->off = mem_fd(m->mem) < 0;
		units_forget(h, m);
	}
	/* without a handler or its stack nothing may be mirrored: no space will have a window */
	if (sigaltstack(&stack, &m->old_stack) < 0 || jit_guard_set(&m->guard, NULL) < 0) {
		m->off = true;
		units_forget(h, m);
	}
}

void mirror_end(struct rv_hart *h)
{
	struct mirror *m = mirror_of(h);
	(void)!jit_guard_set(NULL, NULL);
	(void)!sigaltstack(&m->old_stack, NULL);
	pthread_sigmask(SIG_SETMASK, &m->old_mask, NULL);
}
