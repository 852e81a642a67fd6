/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions as they are thrown and found again. A reference to one is a number that nobody else
 * uses, EXN_BITS and its place in the instance's array, so that a look at all slots tells which are
 * still there: an exception that no slot, table, global or other exception names is gone.
 * Compiled functions that have references to exceptions keep them in slots while they call others.
 * Spec: WASM-CORE 2.0 §4.2 */
#include "wasm/internal.h"

#define EXN_BITS 0x7ffe3a5100000000ull
#define EXN_MASK 0xffffffff00000000ull
enum { EXNS_MAX = 1 << 20, EXNS_FIRST = 256, EXNS_BYTES = 256 << 20 };

static struct exn *exn_at(const struct wasm *w, uint64_t ref)
{
	uint32_t i = (uint32_t)ref;
	return (ref & EXN_MASK) == EXN_BITS && i < w->nexns && w->exns[i].used ? &w->exns[i] : NULL;
}

/* ---- which are still wanted ---- */

static void slots_mark(struct wasm *w, const union wasm_slot *at, size_t n, bool *again)
{
	for (size_t i = 0; i < n; i++) {
		struct exn *x = exn_at(w, at[i].i64);
		if (!x || x->marked)
			continue;
		x->marked = *again = true;
	}
}

static void exns_sweep(struct wasm *w, const union wasm_slot *end)
{
	bool again = false;
	for (uint32_t i = 0; i < w->nexns; i++)
		w->exns[i].marked = false;
	slots_mark(w, w->stack, (size_t)(end - w->stack), &again);
	for (uint32_t i = 0; i < w->m->ntables; i++)
		if (type_is_exception(w->m->tables[i].type))
			slots_mark(w, (const union wasm_slot *)(const void *)w->tables[i].at,
				   w->tables[i].n, &again);
	for (uint32_t i = 0; i < w->m->nglobals; i++)
		slots_mark(w, (const union wasm_slot *)(const void *)&w->globals[i].lo, 1, &again);
	while (again) { /* those that an exception carries */
		again = false;
		for (uint32_t i = 0; i < w->nexns; i++)
			if (w->exns[i].used && w->exns[i].marked)
				slots_mark(w, w->exns[i].values, w->exns[i].n, &again);
	}
	w->live_exns = 0;
	w->exn_bytes = 0;
	for (uint32_t i = 0; i < w->nexns; i++) {
		struct exn *x = &w->exns[i];
		if (x->used && !x->marked) {
			free(x->values);
			*x = (struct exn){0};
		}
		w->live_exns += x->used;
		w->exn_bytes += x->n * sizeof *x->values;
	}
	w->exns_look = w->live_exns < EXNS_FIRST / 2 ? EXNS_FIRST : 2 * w->live_exns;
	w->exns_free = 0;
}

/* A place for one more; NULL: there is none. */
static struct exn *exn_new(struct wasm *w, const union wasm_slot *end)
{
	w->exns_look = w->exns_look ? w->exns_look : EXNS_FIRST;
	if (w->live_exns >= w->exns_look || w->exn_bytes > EXNS_BYTES / 2)
		exns_sweep(w, end);
	if (w->exn_bytes > EXNS_BYTES)
		return NULL;
	while (w->exns_free < w->nexns && w->exns[w->exns_free].used)
		w->exns_free++;
	if (w->exns_free == w->nexns) {
		uint32_t cap = w->nexns ? 2 * w->nexns : EXNS_FIRST;
		struct exn *p = cap > EXNS_MAX ? NULL : realloc(w->exns, cap * sizeof *p);
		if (!p)
			return NULL;
		memset(p + w->nexns, 0, (cap - w->nexns) * sizeof *p);
		w->exns = p;
		w->nexns = cap;
	}
	return &w->exns[w->exns_free];
}

enum wasm_trap exn_throw(struct wasm *w, uint32_t tag, const union wasm_slot *at,
			       const union wasm_slot *end)
{
	uint32_t n = w->m->types[w->m->tags[tag].type].pslots;
	/* what it carries is in use until it has it */
	struct exn *x = exn_new(w, at + n > end ? at + n : end);
	union wasm_slot *values = x ? malloc((n + 1) * sizeof *values) : NULL;
	if (!values)
		return WASM_TRAP_HOARD;
	memcpy(values, at, n * sizeof *values);
	*x = (struct exn){.values = values, .n = n, .tag = tag, .used = true};
	w->live_exns++;
	w->exn_bytes += n * sizeof *values;
	w->thrown = EXN_BITS | (uint64_t)(x - w->exns);
	return WASM_TRAP_EXCEPTION;
}

enum wasm_trap exn_again(struct wasm *w, uint64_t ref)
{
	if (!exn_at(w, ref))
		return WASM_TRAP_NULL_EXCEPTION;
	w->thrown = ref;
	return WASM_TRAP_EXCEPTION;
}

void exns_free(struct wasm *w)
{
	for (uint32_t i = 0; i < w->nexns; i++)
		free(w->exns[i].values);
	free(w->exns);
}

/* ---- in a state: of each its place, its tag, how many slots it carries, and those ---- */

enum { EXN_HEAD = 12 };

size_t exns_saved_len(const struct wasm *w)
{
	size_t len = 0;
	for (uint32_t i = 0; i < w->nexns; i++)
		len += w->exns[i].used ? EXN_HEAD + 8 * (size_t)w->exns[i].n : 0;
	return len;
}

void exns_save(const struct wasm *w, uint8_t *p)
{
	for (uint32_t i = 0; i < w->nexns; i++) {
		const struct exn *x = &w->exns[i];
		if (!x->used)
			continue;
		le32_put(p, i);
		le32_put(p + 4, x->tag);
		le32_put(p + 8, x->n);
		p += EXN_HEAD;
		for (uint32_t k = 0; k < x->n; k++, p += 8)
			le64_put(p, x->values[k].i64);
	}
}

/* One, at @p of @left bytes; how many it takes, 0: damaged, or there is no memory. */
static size_t exn_load(struct wasm *w, const uint8_t *p, size_t left)
{
	if (left < EXN_HEAD)
		return 0;
	uint32_t i = le32_at(p), tag = le32_at(p + 4), n = le32_at(p + 8);
	if (i >= w->nexns || w->exns[i].used || tag >= w->m->ntags ||
	    n != w->m->types[w->m->tags[tag].type].pslots || (left - EXN_HEAD) / 8 < n)
		return 0;
	union wasm_slot *values = malloc((n + 1) * sizeof *values);
	if (!values)
		return 0;
	for (uint32_t k = 0; k < n; k++)
		values[k].i64 = le64_at(p + EXN_HEAD + 8 * k);
	w->exns[i] = (struct exn){.values = values, .n = n, .tag = tag, .used = true};
	w->live_exns++;
	w->exn_bytes += n * sizeof *values;
	return EXN_HEAD + 8 * (size_t)n;
}

bool exns_load(struct wasm *w, const uint8_t *p, size_t len)
{
	uint32_t cap = EXNS_FIRST, most = 0;
	if (!len)
		return true;
	for (size_t at = 0; at + EXN_HEAD <= len; at += EXN_HEAD + 8 * (size_t)le32_at(p + at + 8))
		most = le32_at(p + at) > most ? le32_at(p + at) : most;
	if (w->exns || most >= EXNS_MAX || len > 2 * (size_t)EXNS_BYTES)
		return false;
	while (cap <= most)
		cap *= 2;
	w->exns = calloc(cap, sizeof *w->exns);
	w->nexns = w->exns ? cap : 0;
	for (size_t n; len; p += n, len -= n)
		if (!(n = exn_load(w, p, len)))
			return false;
	return true;
}

/* ---- who catches ---- */

/* The handler for what is thrown by instruction @insn: the innermost one that wants it. */
const struct wcatch *exn_catcher(const struct wasm *w, const struct wcatch *catches, uint32_t n,
				 uint32_t insn)
{
	const struct exn *x = n ? exn_at(w, w->thrown) : NULL;
	uint32_t level = UINT32_MAX;
	for (uint32_t i = 0; x && i < n; i++) {
		const struct wcatch *c = &catches[i];
		if (insn < c->from || insn >= c->to || c->level > level)
			continue;
		if (c->kind == CATCH_DELEGATE)
			level = c->target;
		else if (c->kind >= CATCH_ALL || c->tag == x->tag)
			return c;
	}
	return NULL;
}

void exn_deliver(struct wasm *w, const struct wcatch *c, union wasm_slot *fp)
{
	const struct exn *x = exn_at(w, w->thrown);
	union wasm_slot *to = fp + c->home;
	if (c->kind == CATCH_OLD || c->kind == CATCH_OLD_ALL)
		(to++)->i64 = w->thrown;
	if (c->kind < CATCH_ALL) {
		memcpy(to, x->values, x->n * sizeof *to);
		to += x->n;
	}
	if (c->kind == CATCH_TAG_REF || c->kind == CATCH_ALL_REF)
		to->i64 = w->thrown;
	w->thrown = 0;
	w->ntrace = 0; /* it was none */
}

bool exn_catch(struct wasm *w, struct catcher *c)
{
	while (w->thrown) {
		const struct func *f = c->f;
		bool inside = f->own && c->ip >= f->own && c->ip < f->own + f->ninsns;
		const struct wcatch *h =
		    inside ? exn_catcher(w, f->catches, f->ncatches, (uint32_t)(c->ip - f->own))
			   : NULL;
		if (h) {
			exn_deliver(w, h, c->fp);
			c->ip = f->own + h->pad;
			return true;
		}
		const struct frame *top = --c->top;
		if (top == c->base)
			return false;
		c->f = top->f;
		c->fp = top->fp;
		c->ip = top->ip - 1; /* the call, or the second part of it */
		trace_note(w, c->f, (uint32_t)(c->ip - c->f->own));
	}
	return false;
}
