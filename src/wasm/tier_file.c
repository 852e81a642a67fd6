/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled code as bytes, to be kept, and taken again by an instance of the same module in another
 * process of the same Lodge: generated code has no addresses in it. docs/decisions/0034 */
#include "wasm/tier.h"
#include <stdlib.h>

struct head {
	char magic[8];
	uint64_t len, sum; /* of all; of what is behind this */
	uint64_t traits, first, code; /* of the cache; bytes of code */
	uint32_t nunits, nhelps, nlines, ndoors;
};
struct unit_kept {
	uint32_t func, code, len, frame, first, nlines, ndoors, spare;
};
enum { CALLED_AGAIN = 2 };
static const char magic[8] = "lodgewc1";

/* ---- written ---- */

static struct head head_of(const struct tier *t)
{
	struct head h = {.traits = jit_fn_traits(t->cache),
			 .first = jit_fn_first(t->cache),
			 .nunits = t->n,
			 .nhelps = t->helps.n};
	memcpy(h.magic, magic, sizeof magic);
	h.code = align_up(jit_cache_used(t->cache) - h.first, 16);
	for (uint32_t i = 0; i < t->n; i++) {
		h.nlines += t->units[i].code.nlines;
		h.ndoors += t->units[i].code.ndoors;
	}
	h.len = sizeof h + h.code + h.nunits * sizeof(struct unit_kept) +
		h.nhelps * sizeof(struct help_insn) + h.ndoors * sizeof(struct jit_fn_door) +
		h.nlines;
	return h;
}

static uint8_t *put(uint8_t *to, const void *from, size_t n)
{
	if (n)
		memcpy(to, from, n);
	return to + n;
}

int wasm_code_save(const struct wasm *w, uint8_t **ret, size_t *ret_len)
{
	const struct tier *t = w->tier;
	if (!t || !t->cache || !t->n)
		return -ENOENT;
	struct head h = head_of(t);
	uint8_t *bytes = calloc(h.len, 1), *p = bytes + sizeof h;
	if (!bytes)
		return -ENOMEM;
	p = put(p, jit_cache_code(t->cache, (uint32_t)h.first),
		jit_cache_used(t->cache) - h.first);
	p = bytes + sizeof h + h.code;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct jit_fn_code *c = &t->units[i].code;
		const struct unit_kept k = {(uint32_t)(t->units[i].f - w->funcs),
					    c->code - (uint32_t)h.first, c->len, c->frame,
					    c->first, c->nlines, c->ndoors, 0};
		p = put(p, &k, sizeof k);
	}
	p = put(p, t->helps.at, h.nhelps * sizeof(struct help_insn));
	for (uint32_t i = 0; i < t->n; i++)
		p = put(p, t->units[i].code.doors,
			t->units[i].code.ndoors * sizeof(struct jit_fn_door));
	for (uint32_t i = 0; i < t->n; i++)
		p = put(p, t->units[i].code.lines, t->units[i].code.nlines);
	h.sum = bytes_sum(bytes + sizeof h, h.len - sizeof h);
	memcpy(bytes, &h, sizeof h);
	*ret = bytes;
	*ret_len = h.len;
	return 0;
}

/* ---- and read ---- */

static bool head_read(const uint8_t *p, size_t len, struct head *ret)
{
	if (len < sizeof *ret)
		return false;
	memcpy(ret, p, sizeof *ret);
	uint64_t want = sizeof *ret + (uint64_t)ret->nunits * sizeof(struct unit_kept) +
			(uint64_t)ret->nhelps * sizeof(struct help_insn) +
			(uint64_t)ret->ndoors * sizeof(struct jit_fn_door) + ret->nlines;
	return !memcmp(ret->magic, magic, sizeof magic) && ret->len == len &&
	       ret->code <= len && want + ret->code == len &&
	       ret->sum == bytes_sum(p + sizeof *ret, len - sizeof *ret);
}

static bool unit_fits(const struct wasm *w, const struct head *h, const struct unit_kept *k,
		      uint32_t from)
{
	return k->func >= w->m->nimported && k->func < w->m->nfuncs && k->code >= from &&
	       k->code <= h->code && k->len <= h->code - k->code && k->first <= k->len &&
	       k->frame < 4096 && k->frame % 8 == 0;
}

static void *copy_of(const uint8_t *p, size_t n)
{
	void *q = malloc(n + 1);
	if (q && n)
		memcpy(q, p, n);
	return q;
}

/* One function; @doors and @lines are its own. */
static bool unit_take(struct tier *t, const struct head *h, const struct unit_kept *k,
		      const uint8_t *doors, const uint8_t *lines)
{
	struct func *f = &t->w->funcs[k->func];
	struct unit u = {.f = f,
			 .code = {.code = k->code + (uint32_t)h->first,
				  .len = k->len,
				  .frame = k->frame,
				  .first = k->first,
				  .nlines = k->nlines,
				  .ndoors = k->ndoors,
				  .lines = copy_of(lines, k->nlines),
				  .doors = copy_of(doors, k->ndoors * sizeof(struct jit_fn_door))}};
	for (uint32_t d = 0; u.code.doors && d < k->ndoors; d++)
		if (u.code.doors[d].code >= k->len)
			u.code.ndoors = 0;
	if (!u.code.lines || !u.code.doors || !tier_unit_add(t, &u)) {
		jit_fn_code_fini(&u.code);
		return false;
	}
	f->compiled = jit_cache_code(t->cache, u.code.code);
	f->code = &t->w->tiered;
	return true;
}

static void units_take(struct tier *t, const struct head *h, const uint8_t *p)
{
	const uint8_t *doors = p + h->nunits * sizeof(struct unit_kept) +
			       h->nhelps * sizeof(struct help_insn);
	const uint8_t *lines = doors + h->ndoors * sizeof(struct jit_fn_door);
	uint32_t from = 0, ndoors = 0, nlines = 0;
	for (uint32_t i = 0; i < h->nunits; i++, p += sizeof(struct unit_kept)) {
		struct unit_kept k;
		memcpy(&k, p, sizeof k);
		if (!unit_fits(t->w, h, &k, from) || k.ndoors > h->ndoors - ndoors ||
		    k.nlines > h->nlines - nlines)
			break;
		if (!unit_take(t, h, &k, doors + ndoors * sizeof(struct jit_fn_door),
			       lines + nlines))
			break;
		from = k.code + k.len;
		ndoors += k.ndoors;
		nlines += k.nlines;
	}
	t->from_file = t->n;
}

bool wasm_code_load(struct wasm *w, const uint8_t *p, size_t len)
{
	struct tier *t = w->tier;
	struct head h;
	if (!t || t->cache || !head_read(p, len, &h))
		return false;
	if (!tier_begin(t)) {
		t->failed = true;
		return false;
	}
	const uint8_t *units = p + sizeof h + h.code;
	t->helps.at = copy_of(units + h.nunits * sizeof(struct unit_kept),
			      h.nhelps * sizeof(struct help_insn));
	if (!t->helps.at || h.traits != jit_fn_traits(t->cache) ||
	    !jit_fn_put(t->cache, h.first, p + sizeof h, h.code))
		return false;
	t->helps.n = t->helps.cap = h.nhelps;
	tier_helps_moved(t);
	units_take(t, &h, units);
	return true;
}

/* ---- which ---- */

uint64_t wasm_code_traits(void) { return jit_traits(); }

bool wasm_code_key(const uint8_t *bytes, size_t len, uint8_t ret[32])
{
	enum { CUSTOM = 0, DATA = 11 };
	struct reader r = {.base = bytes, .p = bytes, .end = bytes + len};
	struct {
		uint8_t before[32], here[32];
		uint64_t id;
	} sum = {.id = 0};
	(void)reader_bytes(&r, 8);
	while (!r.bad && r.p < r.end) {
		sum.id = reader_byte(&r);
		uint32_t n = reader_u32(&r);
		const uint8_t *p = reader_bytes(&r, n);
		if (!p || sum.id == CUSTOM || sum.id == DATA)
			continue;
		sha256(p, n, sum.here);
		sha256(&sum, sizeof sum, sum.before);
	}
	memcpy(ret, sum.before, sizeof sum.before);
	return !r.bad;
}

size_t wasm_code_list(const struct wasm *w, uint32_t *to, size_t max, size_t *ret_new)
{
	const struct tier *t = w->tier;
	size_t n = 0;
	for (uint32_t i = 0; t && i < t->n && n < max; i++)
		to[n++] = (uint32_t)(t->units[i].f - w->funcs);
	*ret_new = t && n ? t->n - t->from_file : 0;
	/* nobody waits for what is compiled behind the run: a second call is enough */
	for (uint32_t i = 0; t && i < w->m->nfuncs && n < max; i++) {
		const struct func *f = &w->funcs[i];
		if (f->code == &w->tiered || f->heat < CALLED_AGAIN || f->heat == HEAT_NEVER)
			continue;
		to[n++] = i;
		++*ret_new;
	}
	return n;
}

void wasm_code_make(struct wasm *w, const uint32_t *funcs, size_t n, uint64_t max)
{
	const struct tier *t = w->tier;
	for (size_t i = 0; t && i < n && (!t->cache || jit_cache_used(t->cache) < max); i++)
		if (funcs[i] >= w->m->nimported && funcs[i] < w->m->nfuncs)
			(void)tier_warm(w, &w->funcs[funcs[i]]);
}
