/* SPDX-License-Identifier: Apache-2.0 */
/* What works on memories, tables and segments as a whole. Bounds are checked before anything is
 * written. Spec: WASM-CORE 2.0 §4.4.6, 4.4.7 */
#include "wasm/internal.h"
#include <sys/mman.h>

/* Are @n from @at on inside of @all? */
static bool inside(uint64_t at, uint64_t n, uint64_t all) { return at <= all && n <= all - at; }

/* ---- memories ---- */

bool memories_fit(const struct wasm *w, uint64_t more)
{
	uint64_t all = w->group ? w->group->own_bytes : 0;
	for (uint32_t i = 0; i < w->m->nmemories; i++)
		if (w->memories[i].common || !w->group)
			all += memory_len(&w->memories[i]);
	return !w->memory_max || (all <= w->memory_max && more <= w->memory_max - all);
}

/* One that this instance has for itself. */
static uint64_t own_grow(struct wasm *w, struct memory *m, uint64_t pages)
{
	uint64_t had = m->len / PAGE, add = pages * PAGE;
	if (pages > (m->max - m->len) / PAGE || !memories_fit(w, add))
		return UINT64_MAX;
	if (!pages)
		return had;
	if (m->len + add > m->span) { /* one that may move */
		void *p = m->at ? mremap(m->at, m->span, m->len + add, MREMAP_MAYMOVE)
				: mmap(NULL, add, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return UINT64_MAX;
		m->at = p;
		m->beyond = (uint64_t)((uintptr_t)p - (uintptr_t)w->base);
		m->span = m->len + add;
	} else if (mprotect(m->at + m->len, add, PROT_READ | PROT_WRITE) < 0) {
		return UINT64_MAX;
	}
	m->len += add;
	if (w->group)
		w->group->own_bytes += add;
	return had;
}

uint64_t memory_grow(struct wasm *w, struct memory *m, uint64_t pages)
{
	if (!w->group)
		return own_grow(w, m, pages);
	pthread_mutex_lock(&w->group->lock);
	uint64_t had = m->common ? common_grow(m, pages, memories_fit(w, pages * PAGE))
				 : own_grow(w, m, pages);
	pthread_mutex_unlock(&w->group->lock);
	return had;
}

bool address_check(const struct memory *m, union wasm_slot at, uint64_t offset, uint64_t bytes,
		   uint64_t *ret)
{
	uint64_t sum, len = memory_len(m);
	if (__builtin_add_overflow(m->is64 ? at.i64 : at.i32, offset, &sum) || sum > len ||
	    bytes > len - sum)
		return false;
	*ret = m->beyond + sum;
	return true;
}

static uint64_t memory_index(const struct memory *m, union wasm_slot v)
{
	return m->is64 ? v.i64 : v.i32;
}

static enum wasm_trap memory_copy(struct wasm *w, union wasm_slot *at, uint32_t i, uint32_t j)
{
	struct memory *to = &w->memories[i], *from = &w->memories[j];
	uint64_t d = memory_index(to, at[0]), s = memory_index(from, at[1]);
	uint64_t n = to->is64 && from->is64 ? at[2].i64 : at[2].i32;
	if (!inside(d, n, memory_len(to)) || !inside(s, n, memory_len(from)))
		return WASM_TRAP_MEMORY;
	if (n)
		memmove(to->at + d, from->at + s, n);
	return WASM_OK;
}

static enum wasm_trap memory_fill(struct wasm *w, union wasm_slot *at, uint32_t i)
{
	struct memory *m = &w->memories[i];
	uint64_t d = memory_index(m, at[0]), n = memory_index(m, at[2]);
	if (!inside(d, n, memory_len(m)))
		return WASM_TRAP_MEMORY;
	if (n)
		memset(m->at + d, (uint8_t)at[1].i32, n);
	return WASM_OK;
}

static enum wasm_trap memory_init(struct wasm *w, union wasm_slot *at, uint32_t i, uint32_t j)
{
	struct memory *m = &w->memories[j];
	const struct wdata *s = &w->m->datas[i];
	uint64_t d = memory_index(m, at[0]), n = at[2].i32;
	if (!inside(d, n, memory_len(m)) ||
	    !inside(at[1].i32, n, w->data_dropped[i] ? 0 : s->bytes.len))
		return WASM_TRAP_MEMORY;
	if (n)
		memcpy(m->at + d, s->bytes.at + at[1].i32, n);
	return WASM_OK;
}

/* ---- tables ---- */

enum wasm_trap segment_copy(struct wasm *w, uint32_t elem, uint32_t table, uint64_t to,
			    uint64_t from, uint64_t n)
{
	const struct welem *el = &w->m->elems[elem];
	struct table *t = &w->tables[table];
	if (!inside(to, n, t->n) || !inside(from, n, w->elem_dropped[elem] ? 0 : el->n))
		return WASM_TRAP_TABLE;
	struct reader r = {.base = w->m->bytes, .p = el->items.at};
	r.end = r.p + el->items.len;
	for (uint64_t i = 0; i < from + n; i++) {
		struct wvalue v = {0, 0};
		if (el->expressions)
			(void)!constant_read(w->m, &r, el->type, w, &v);
		else
			v.lo = (uint64_t)reader_u32(&r) + 1;
		if (i >= from)
			(void)element_of(w, t, v.lo, &t->at[to + i - from]);
	}
	return WASM_OK;
}

static enum wasm_trap table_copy(struct wasm *w, const union wasm_slot *at, uint32_t i, uint32_t j)
{
	struct table *to = &w->tables[i], *from = &w->tables[j];
	if (!inside(at[0].i32, at[2].i32, to->n) || !inside(at[1].i32, at[2].i32, from->n))
		return WASM_TRAP_TABLE;
	if (at[2].i32)
		memmove(to->at + at[0].i32, from->at + at[1].i32, at[2].i32 * sizeof *to->at);
	return WASM_OK;
}

static void table_fill(struct table *t, uint64_t from, uint64_t v, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		t->at[from + i] = v;
}

static uint32_t table_grow(struct table *t, uint64_t v, uint32_t n)
{
	uint64_t had = t->n;
	if (n > t->max - had)
		return UINT32_MAX;
	if (had + n > t->room) { /* who grows it by one does so again */
		uint64_t room = min_u64(had + n + had / 2, t->max);
		uint64_t *p = realloc(t->at, (room + 1) * sizeof *p);
		if (!p)
			return UINT32_MAX;
		t->at = p;
		t->room = room;
	}
	t->n += n;
	table_fill(t, had, v, n);
	return (uint32_t)had;
}

enum wasm_trap wasm_help(struct wasm *w, enum help h, union wasm_slot *at, uint32_t i, uint32_t j)
{
	struct table *t;
	struct memory *m;
	uint64_t v;
	switch (h) {
	case HELP_MEMORY_SIZE: at[0].i64 = memory_len(&w->memories[i]) / PAGE; break;
	case HELP_MEMORY_GROW:
		m = &w->memories[i];
		at[0].i64 = memory_grow(w, m, memory_index(m, at[0]));
		break;
	case HELP_MEMORY_COPY: return memory_copy(w, at, i, j);
	case HELP_MEMORY_FILL: return memory_fill(w, at, i);
	case HELP_MEMORY_INIT: return memory_init(w, at, i, j);
	case HELP_DATA_DROP: w->data_dropped[i] = true; break;
	case HELP_TABLE_SIZE: at[0].i64 = w->tables[i].n; break;
	case HELP_TABLE_GROW:
		t = &w->tables[i];
		if (!element_of(w, t, at[0].i64, &v))
			return WASM_TRAP_TABLE;
		at[0].i64 = t->is64 && at[1].i64 > UINT32_MAX ? UINT32_MAX
							      : table_grow(t, v, at[1].i32);
		if (t->is64 && at[0].i32 == UINT32_MAX)
			at[0].i64 = UINT64_MAX;
		break;
	case HELP_TABLE_FILL:
		t = &w->tables[i];
		if (!inside(at[0].i32, at[2].i32, t->n) || !element_of(w, t, at[1].i64, &v))
			return WASM_TRAP_TABLE;
		table_fill(t, at[0].i32, v, at[2].i32);
		break;
	case HELP_TABLE_COPY: return table_copy(w, at, i, j);
	case HELP_TABLE_INIT:
		return segment_copy(w, i, j, at[0].i32, at[1].i32, at[2].i32);
	case HELP_ELEM_DROP: w->elem_dropped[i] = true; break;
	}
	return WASM_OK;
}
