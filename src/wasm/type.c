/* SPDX-License-Identifier: Apache-2.0 */
/* Types of values and of functions. Types of functions that are the same have one number, also
 * those that name themselves or each other, in groups: so a type of a value is one number, and two
 * of them are the same when their numbers are. Spec: WASM-CORE 2.0 §3.1, 3.3, 5.3, and of 3.0 typed
 * references */
#include "wasm/internal.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- values ---- */

bool type_is_reference(uint32_t t)
{
	uint32_t base = t & ~(uint32_t)WASM_NONNULL;
	return type_is_typed(t) || base == WASM_FUNCREF || base == WASM_EXTERNREF ||
	       base == WASM_EXNREF || t == ANY_REFERENCE;
}

bool type_is_function(uint32_t t)
{
	return type_is_typed(t) || (t & ~(uint32_t)WASM_NONNULL) == WASM_FUNCREF;
}

bool type_fits(uint32_t is, uint32_t want)
{
	if (is == want || !is || !want)
		return true;
	if (!type_is_reference(is) || !type_is_reference(want))
		return false;
	if (want == ANY_REFERENCE)
		return true;
	if (!type_is_nonnull(is) && type_is_nonnull(want))
		return false;
	is |= WASM_NONNULL;
	want |= WASM_NONNULL;
	return is == want || is == ANY_REFERENCE ||
	       (type_is_typed(is) && want == (WASM_FUNCREF | WASM_NONNULL));
}

bool types_fit(const uint32_t *is, const uint32_t *want, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!type_fits(is[i], want[i]))
			return false;
	return true;
}

uint32_t type_of_function(const struct wasm_module *m, uint32_t func)
{
	return m->types[m->funcs[func].type].canon << TYPE_OF | WASM_REF | WASM_NONNULL;
}

bool wasm_value_fits(const struct wasm_module *m, uint64_t ref, uint32_t type)
{
	if (!type_is_reference(type))
		return true;
	if (!ref)
		return !type_is_nonnull(type);
	if (!type_is_function(type))
		return true;
	return ref <= m->nfuncs && type_fits(type_of_function(m, (uint32_t)ref - 1), type);
}

const char *wasm_type_name(uint8_t type)
{
	switch (type) {
	case WASM_I32: return "i32";
	case WASM_I64: return "i64";
	case WASM_F32: return "f32";
	case WASM_F64: return "f64";
	case WASM_V128: return "v128";
	case WASM_FUNCREF: return "funcref";
	case WASM_EXTERNREF: return "externref";
	case WASM_EXNREF: return "exnref";
	default: return "?";
	}
}

static const char *base_name(uint32_t t)
{
	switch (t) {
	case WASM_NONE: return "any";
	case WASM_FUNCREF | WASM_NONNULL: return "(ref func)";
	case WASM_EXTERNREF | WASM_NONNULL: return "(ref extern)";
	case WASM_EXNREF | WASM_NONNULL: return "(ref exn)";
	case ANY_REFERENCE: return "a reference";
	default: return wasm_type_name((uint8_t)t);
	}
}

struct type_text type_text(uint32_t t)
{
	struct type_text text;
	if (type_is_typed(t))
		snprintf(text.s, sizeof text.s, "(ref %s%u)", type_is_nonnull(t) ? "" : "null ",
			 t >> TYPE_OF);
	else
		snprintf(text.s, sizeof text.s, "%s", base_name(t));
	return text;
}

/* ---- as they are read ---- */

static uint32_t heap_of_byte(struct reader *r, uint8_t b, const char *what)
{
	if (b == WASM_FUNCREF || b == WASM_EXTERNREF || b == WASM_EXNREF)
		return b;
	if ((b >= 0x6a && b <= 0x6e) || (b >= 0x71 && b <= 0x74))
		reader_fail(r, ENOTSUP, "garbage collection (type 0x%02x)", b);
	else
		reader_fail(r, EBADMSG, "malformed %s type 0x%02x", what, b);
	return WASM_NONE;
}

uint32_t reader_heap(struct reader *r, const struct wasm_module *m)
{
	int64_t t = reader_signed(r, 33);
	if (r->bad)
		return WASM_NONE;
	if (t < 0)
		return heap_of_byte(r, t < -64 ? 0 : (uint8_t)(t & 0x7f), "heap");
	if (t >= m->types_known) {
		reader_fail(r, EINVAL, "unknown type %lld", (long long)t);
		return WASM_NONE;
	}
	return m->types[t].canon << TYPE_OF | WASM_REF;
}

static uint32_t reference_from(struct reader *r, const struct wasm_module *m, uint8_t b,
			       const char *what)
{
	enum { NULLABLE = 0x63, NEVER_NULL = 0x64 };
	if (b != NULLABLE && b != NEVER_NULL)
		return heap_of_byte(r, b, what);
	uint32_t t = reader_heap(r, m);
	return b == NEVER_NULL && t ? t | WASM_NONNULL : t;
}

uint32_t reader_reference(struct reader *r, const struct wasm_module *m)
{
	return reference_from(r, m, reader_byte(r), "reference");
}

uint32_t reader_type_as(struct reader *r, const struct wasm_module *m, const char *what)
{
	uint8_t b = reader_byte(r);
	return b >= WASM_V128 && b <= WASM_I32 ? b : reference_from(r, m, b, what);
}

uint32_t reader_type(struct reader *r, const struct wasm_module *m)
{
	return reader_type_as(r, m, "value");
}

/* ---- of functions ---- */

enum { FORM_GROUP = 0x4e, FORM_FUNC = 0x60 };

static uint32_t slots_of(const uint32_t *t, uint32_t n)
{
	uint32_t s = 0;
	for (uint32_t i = 0; i < n; i++)
		s += t[i] == WASM_V128 ? 2 : 1;
	return s;
}

static void type_read(struct wasm_module *m, struct reader *r, struct wtype *t)
{
	uint8_t form = reader_byte(r);
	if (form != FORM_FUNC) {
		reader_fail(r, form >= 0x4e && form < FORM_FUNC ? ENOTSUP : EBADMSG,
			    "type form 0x%02x", form);
		return;
	}
	for (unsigned part = 0; part < 2; part++) {
		uint32_t n = reader_count(r, part ? "results" : "parameters", 1), *count;
		count = part ? &t->nr : &t->np;
		if (n > 1000) {
			reader_fail(r, ENOTSUP, "more than 1000 parameters or results");
			return;
		}
		MORE(r, t->values, t->np, n);
		for (uint32_t i = 0; i < n && !r->bad; i++)
			t->values[t->np * part + i] = reader_type(r, m);
		*count = r->bad ? 0 : n;
	}
	t->pslots = (uint16_t)slots_of(t->values, t->np);
	t->rslots = (uint16_t)slots_of(t->nr ? t->values + t->np : NULL, t->nr);
}

/* A type of a value of the group [@first, @first + @n), so that it is the same in one that is the
 * same: those of the group by their place in it, with a bit that no other has. */
static uint32_t relative(uint32_t t, uint32_t first, uint32_t n)
{
	uint32_t of = t >> TYPE_OF;
	if (!type_is_typed(t) || of < first || of - first >= n)
		return t;
	return 1u << 31 | (of - first) << TYPE_OF | (t & 0xff);
}

static bool group_same(const struct wasm_module *m, uint32_t a, uint32_t b, uint32_t n)
{
	if (m->types[a].group != n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct wtype *x = &m->types[a + i], *y = &m->types[b + i];
		if (x->np != y->np || x->nr != y->nr)
			return false;
		for (uint32_t k = 0; k < x->np + x->nr; k++)
			if (relative(x->values[k], a, n) != relative(y->values[k], b, n))
				return false;
	}
	return true;
}

static uint32_t group_hash(const struct wasm_module *m, uint32_t first, uint32_t n)
{
	/* who writes a module does not know where it lies, nor which types meet here */
	uint32_t h = 2166136261u ^ n ^ (uint32_t)((uintptr_t)m >> 4) * 2654435769u;
	for (uint32_t i = 0; i < n; i++) {
		const struct wtype *t = &m->types[first + i];
		h = (h ^ t->np) * 16777619u;
		for (uint32_t k = 0; k < t->np + t->nr; k++)
			h = (h ^ relative(t->values[k], first, n)) * 16777619u;
	}
	return h ^ h >> 15;
}

struct heads { /* groups by what they are: an open hash of 1 + their first types */
	uint32_t *at; /* owned */
	uint32_t n, used;
	uint32_t room; /* for types */
};

static bool heads_grow(struct heads *h, const struct wasm_module *m)
{
	uint32_t n = h->n ? 2 * h->n : 64;
	uint32_t *p = calloc(n, sizeof *p);
	if (!p)
		return false;
	for (uint32_t i = 0; i < h->n; i++) {
		if (!h->at[i])
			continue;
		uint32_t k = group_hash(m, h->at[i] - 1, m->types[h->at[i] - 1].group);
		while (p[k & (n - 1)])
			k++;
		p[k & (n - 1)] = h->at[i];
	}
	free(h->at);
	h->at = p;
	h->n = n;
	return true;
}

/* Types that are the same get the numbers of those that came first. */
static void group_join(struct wasm_module *m, struct reader *r, struct heads *h, uint32_t first,
		       uint32_t n)
{
	if (2 * h->used >= h->n && !heads_grow(h, m)) {
		r->bad = err_set(r->e, ENOMEM, "out of memory");
		return;
	}
	uint32_t k = group_hash(m, first, n);
	m->types[first].group = n;
	while (h->at[k & (h->n - 1)] && !group_same(m, h->at[k & (h->n - 1)] - 1, first, n))
		k++;
	uint32_t *head = &h->at[k & (h->n - 1)];
	if (!*head) {
		*head = first + 1;
		h->used++;
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct wtype *t = &m->types[first + i];
		t->canon = *head - 1 + i;
		for (uint32_t v = 0; v < t->np + t->nr; v++) {
			uint32_t of = t->values[v] >> TYPE_OF;
			if (type_is_typed(t->values[v]) && of >= first)
				t->values[v] -= (first - (*head - 1)) << TYPE_OF;
		}
	}
}

/* One type, or several that may name each other; @left groups come behind it. */
static void group_read(struct wasm_module *m, struct reader *r, struct heads *h, uint32_t left)
{
	uint32_t first = m->ntypes, n = 1;
	if (r->p < r->end && *r->p == FORM_GROUP) {
		(void)reader_byte(r);
		n = reader_count(r, "types of a group", 3);
	}
	if (first + n + left > h->room) { /* one at a time would be a quadratic number of moves */
		MORE(r, m->types, h->room, first + n + left - h->room);
		h->room = first + n + left;
	}
	if (r->bad)
		return;
	m->types_known = first + n;
	for (uint32_t i = first; i < first + n; i++)
		m->types[i].canon = i;
	for (uint32_t i = first; i < first + n && !r->bad; i++, m->ntypes++)
		type_read(m, r, &m->types[i]);
	if (!r->bad && n)
		group_join(m, r, h, first, n);
}

void types_read(struct wasm_module *m, struct reader *r)
{
	struct heads h = {0};
	for (uint32_t n = reader_count(r, "types", 2); n && !r->bad; n--)
		group_read(m, r, &h, n - 1);
	free(h.at);
}
