/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled code as bytes, to be kept, and taken again by an instance of the same module in another
 * process of the same Lodge: generated code has no addresses in it. docs/decisions/0034 */
#include "wasm/tier.h"
#include <stdlib.h>

struct head {
	char magic[8];
	uint64_t len, sum; /* of all; sum_of */
	uint64_t traits, first, code; /* of the cache; bytes of code */
	uint32_t nunits, nhelps, nlines, ndoors, ncatches, spare;
	uint64_t references; /* some of it calls references */
};
struct unit_kept {
	uint32_t func, code, len, frame, first, nlines, ndoors, npads, ncatches, spare;
};
enum { CALLED_AGAIN = 2 };
static const char magic[8] = "lodgewc2";

/* Bytes behind the code: units, helps, doors and pads of each unit, catches, lines. */
static uint64_t behind(const struct head *h)
{
	return (uint64_t)h->nunits * sizeof(struct unit_kept) +
	       (uint64_t)h->nhelps * sizeof(struct help_insn) +
	       (uint64_t)h->ndoors * sizeof(struct jit_fn_door) +
	       (uint64_t)h->ncatches * sizeof(struct wcatch) + h->nlines;
}

/* ---- written ---- */

/* Of the first @n units: there may be more before it is written. */
static struct head head_of(const struct tier *t, uint32_t n)
{
	const struct unit *last = &t->units[n - 1];
	struct head h = {.traits = jit_fn_traits(t->cache),
			 .first = jit_fn_first(t->cache),
			 .nunits = n,
			 .references = t->w->tables[t->w->m->ntables].at != NULL,
			 .nhelps = last->nhelps};
	memcpy(h.magic, magic, sizeof magic);
	h.code = align_up(last->code.code + last->code.len - h.first, 16);
	for (uint32_t i = 0; i < n; i++) {
		h.nlines += t->units[i].code.nlines;
		h.ndoors += t->units[i].code.ndoors + t->units[i].code.npads;
		h.ncatches += t->units[i].ncatches;
	}
	h.len = sizeof h + h.code + behind(&h);
	return h;
}

/* Of what is behind @h at @p, and of the one thing in it that nothing else tells. */
static uint64_t sum_of(const struct head *h, const uint8_t *p)
{
	return bytes_sum(p + sizeof *h, h->len - sizeof *h) +
	       bytes_sum(&h->references, sizeof h->references);
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
	const uint32_t n = t ? tier_units(t) : 0;
	if (!n)
		return -ENOENT;
	struct head h = head_of(t, n);
	uint8_t *bytes = calloc(h.len, 1), *p = bytes + sizeof h;
	if (!bytes)
		return -ENOMEM;
	p = put(p, jit_cache_code(t->cache, (uint32_t)h.first),
		t->units[n - 1].code.code + t->units[n - 1].code.len - h.first);
	p = bytes + sizeof h + h.code;
	for (uint32_t i = 0; i < n; i++) {
		const struct jit_fn_code *c = &t->units[i].code;
		const struct unit_kept k = {(uint32_t)(t->units[i].f - w->funcs),
					    c->code - (uint32_t)h.first, c->len, c->frame,
					    c->first, c->nlines, c->ndoors, c->npads,
					    t->units[i].ncatches, 0};
		p = put(p, &k, sizeof k);
	}
	p = put(p, tier_helps(t), h.nhelps * sizeof(struct help_insn));
	for (uint32_t i = 0; i < n; i++) {
		const struct jit_fn_code *c = &t->units[i].code;
		p = put(p, c->doors, c->ndoors * sizeof(struct jit_fn_door));
		p = put(p, c->pads, c->npads * sizeof(struct jit_fn_door));
	}
	for (uint32_t i = 0; i < n; i++)
		p = put(p, t->units[i].catches, t->units[i].ncatches * sizeof(struct wcatch));
	for (uint32_t i = 0; i < n; i++)
		p = put(p, t->units[i].code.lines, t->units[i].code.nlines);
	h.sum = sum_of(&h, bytes);
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
	return !memcmp(ret->magic, magic, sizeof magic) && !ret->spare && ret->len == len &&
	       ret->code <= len && sizeof *ret + behind(ret) + ret->code == len &&
	       ret->sum == sum_of(ret, p);
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

/* What is behind the code, of the unit that is read. */
struct rest {
	const uint8_t *doors, *catches, *lines;
	uint32_t ndoors, ncatches, nlines; /* that are left */
};

/* @n places in the code of @k; NULL: they are not, or there is no memory. */
static struct jit_fn_door *places_take(const struct unit_kept *k, struct rest *r, uint32_t n)
{
	struct jit_fn_door *p = copy_of(r->doors, n * sizeof *p);
	for (uint32_t d = 0; p && d < n; d++)
		if (p[d].code >= k->len) {
			free(p);
			return NULL;
		}
	r->doors += n * sizeof *p;
	r->ndoors -= n;
	return p;
}

static bool unit_take(struct tier *t, const struct head *h, const struct unit_kept *k,
		      struct rest *r)
{
	struct func *f = &t->w->funcs[k->func];
	struct unit u = {.f = f,
			 .code = {.code = k->code + (uint32_t)h->first,
				  .len = k->len,
				  .frame = k->frame,
				  .first = k->first,
				  .nlines = k->nlines,
				  .ndoors = k->ndoors,
				  .npads = k->npads,
				  .lines = copy_of(r->lines, k->nlines)},
			 .catches = copy_of(r->catches, k->ncatches * sizeof(struct wcatch)),
			 .ncatches = k->ncatches,
			 .nhelps = h->nhelps};
	u.code.doors = places_take(k, r, k->ndoors);
	u.code.pads = places_take(k, r, k->npads);
	if (!u.code.lines || !u.code.doors || !u.code.pads || !u.catches ||
	    !tier_unit_add(t, &u)) {
		tier_unit_fini(&u);
		return false;
	}
	r->catches += k->ncatches * sizeof(struct wcatch);
	r->ncatches -= k->ncatches;
	r->lines += k->nlines;
	r->nlines -= k->nlines;
	f->code = &t->w->tiered;
	return true;
}

static void units_take(struct tier *t, const struct head *h, const uint8_t *p)
{
	struct rest r = {.ndoors = h->ndoors, .ncatches = h->ncatches, .nlines = h->nlines};
	r.doors = p + h->nunits * sizeof(struct unit_kept) + h->nhelps * sizeof(struct help_insn);
	r.catches = r.doors + h->ndoors * sizeof(struct jit_fn_door);
	r.lines = r.catches + h->ncatches * sizeof(struct wcatch);
	for (uint32_t i = 0, from = 0; i < h->nunits; i++, p += sizeof(struct unit_kept)) {
		struct unit_kept k;
		memcpy(&k, p, sizeof k);
		if (!unit_fits(t->w, h, &k, from) || k.ndoors > r.ndoors ||
		    k.npads > r.ndoors - k.ndoors || k.ncatches > r.ncatches ||
		    k.nlines > r.nlines || !unit_take(t, h, &k, &r))
			break;
		from = k.code + k.len;
	}
	t->from_file = t->n;
}

bool wasm_code_load(struct wasm *w, const uint8_t *p, size_t len)
{
	struct tier *t = w->tier;
	struct head h;
	if (!t || t->cache || !head_read(p, len, &h))
		return false;
	if (!tier_begin(t) || (h.references && !functions_table(w))) {
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
	const uint32_t nunits = t ? tier_units(t) : 0;
	size_t n = 0;
	while (n < nunits && n < max) {
		to[n] = (uint32_t)(t->units[n].f - w->funcs);
		n++;
	}
	*ret_new = n ? nunits - t->from_file : 0;
	/* nobody waits for what is compiled behind the run: a second call is enough */
	for (uint32_t i = 0; t && i < w->m->nfuncs && n < max; i++) {
		const struct func *f = &w->funcs[i];
		if (f->heat < CALLED_AGAIN || f->heat == HEAT_NEVER ||
		    tier_state(t, f) == TIER_MADE)
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
