/* SPDX-License-Identifier: Apache-2.0 */
/* What the instances of one program share, each on a thread of its own: memories and fuel.
 * A shared memory is a file that every instance maps beyond its own base, all of it that there may
 * ever be: what lies behind the file's end faults, so to grow is to make the file longer, and all
 * see that at once. Nothing moves, and code that is compiled reaches memory and globals from one
 * register as ever. Spec: the threads proposal of WebAssembly */
#include "wasm/internal.h"
#include <fcntl.h>
#include <sys/mman.h>

/* Of a memory with 64-bit addresses, as much is mapped: it grows no further. */
#define WIDE_MAX (64ull << 30)
enum { FUEL_SHARE = 1024 }; /* that an instance takes at once, for others want some, too */

int group_new(struct wasm *w, const struct wasm_limits *l, struct lodge_err *e)
{
	const struct wasm_module *m = w->m;
	bool any = false;
	for (uint32_t i = 0; i < m->nmemories; i++)
		any |= m->memories[i].shared;
	if (!any)
		return 0;
	struct group *g = calloc(1, sizeof *g);
	if (!g || !(g->memories = calloc(m->nmemories, sizeof *g->memories))) {
		free(g);
		return err_set(e, ENOMEM, "out of memory");
	}
	for (uint32_t i = 0; i < m->nmemories; i++)
		g->memories[i].fd = -1;
	g->nmemories = m->nmemories;
	g->limits = *l;
	g->fuel = w->fuel;
	g->users = 1;
	pthread_mutex_init(&g->lock, NULL);
	lines_init(g);
	w->group = g;
	return 0;
}

void group_leave(struct wasm *w)
{
	struct group *g = w->group;
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	for (uint32_t i = 0; w->memories && i < w->m->nmemories; i++)
		g->own_bytes -= w->memories[i].common ? 0 : w->memories[i].len;
	bool last = --g->users == 0;
	pthread_mutex_unlock(&g->lock);
	if (!last)
		return;
	for (uint32_t i = 0; i < g->nmemories; i++)
		auto_close(&g->memories[i].fd);
	lines_fini(g);
	pthread_mutex_destroy(&g->lock);
	free(g->memories);
	free(g);
}

/* ---- memories ---- */

int common_map(struct wasm *w, uint32_t i, struct memory *m, struct lodge_err *e)
{
	struct common *c = &w->group->memories[i];
	const bool based = i == 0 && !m->is64;
	if (m->max > WIDE_MAX)
		m->max = WIDE_MAX;
	m->common = c;
	m->span = m->max;
	m->at = based ? w->base : NULL;
	if (c->fd < 0) {
		c->fd = memfd_create("lodge-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (c->fd < 0 || fcntl(c->fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
			return err_sys(e, "a file for a shared memory");
	}
	if (!m->max)
		return 0;
	void *p = mmap(m->at, m->max, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE | (based ? MAP_FIXED : 0), c->fd, 0);
	if (p == MAP_FAILED) {
		m->at = based ? w->base : NULL;
		return err_sys(e, "address space for a shared memory of up to %llu MiB",
			       (unsigned long long)(m->max >> 20));
	}
	m->at = p;
	m->beyond = (uint64_t)((uintptr_t)p - (uintptr_t)w->base);
	return 0;
}

uint64_t common_grow(struct memory *m, uint64_t pages, bool fits)
{
	struct common *c = m->common;
	uint64_t had = memory_len(m);
	if (pages > (m->max - had) / PAGE || !fits ||
	    (pages && ftruncate(c->fd, (off_t)(had + pages * PAGE)) < 0))
		return UINT64_MAX;
	__atomic_store_n(&c->len, had + pages * PAGE, __ATOMIC_SEQ_CST);
	return had / PAGE;
}

/* ---- instances that are used again ---- */

bool wasm_thread_again(struct wasm *w, void *user)
{
	const struct wasm_module *m = w->m;
	for (uint32_t i = 0; i < m->nmemories; i++)
		if (!w->memories[i].common)
			return false;
	tables_begin(w);
	memset(w->data_dropped, 0, m->ndatas);
	memset(w->elem_dropped, 0, m->nelems);
	globals_begin(w);
	exns_free(w);
	w->exns = NULL;
	w->nexns = w->live_exns = w->exns_look = w->exns_free = 0;
	w->exn_bytes = w->thrown = 0;
	wait_forget(w);
	__atomic_store_n(&w->asked, false, __ATOMIC_RELAXED);
	w->frames_end = w->frames + FRAMES;
	w->back.f = NULL;
	w->user = user;
	for (uint32_t i = 0; i < m->nimported; i++)
		w->funcs[i].host_user = user;
	return true;
}

/* ---- fuel ---- */

enum wasm_trap fuel_take(struct wasm *w, int64_t *fuel)
{
	if (!w->group) {
		*fuel = w->fuel < *fuel ? w->fuel : *fuel;
		w->fuel -= *fuel;
		return *fuel ? WASM_OK : WASM_TRAP_FUEL;
	}
	int64_t *all = &w->group->fuel, had = __atomic_load_n(all, __ATOMIC_RELAXED), take;
	do {
		take = *fuel < FUEL_SHARE ? *fuel : FUEL_SHARE;
		take = had < take ? had : take;
	} while (!__atomic_compare_exchange_n(all, &had, had - take, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	*fuel = take;
	return take ? WASM_OK : WASM_TRAP_FUEL;
}

void fuel_give(struct wasm *w, int64_t n)
{
	if (w->group)
		__atomic_fetch_add(&w->group->fuel, n, __ATOMIC_RELAXED);
	else
		w->fuel += n;
}

/* Of an instance that stands still: what it has taken; of the first one also what nobody has. */
uint64_t fuel_of(const struct wasm *w)
{
	int64_t all = w->slice;
	if (!w->group)
		all += w->fuel;
	else if (!w->second)
		all += __atomic_load_n(&w->group->fuel, __ATOMIC_RELAXED);
	return all > 0 ? (uint64_t)all : 0;
}

void fuel_load(struct wasm *w, uint64_t saved)
{
	int64_t n = saved > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)saved;
	if (!w->group)
		w->fuel = n;
	else if (!w->second)
		__atomic_store_n(&w->group->fuel, n, __ATOMIC_RELAXED);
	else
		fuel_give(w, n);
}
