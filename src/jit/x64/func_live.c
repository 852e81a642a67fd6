/* SPDX-License-Identifier: Apache-2.0 */
/* What of a function's slots is live where: blocks, the flow of bits between them, then segments,
 * and webs, which are the segments that flow into each other. Two webs of one slot have nothing to
 * do with each other. */
#include "jit/x64/func.h"
#include <stdlib.h>

enum { DEPTH_MAX = 5, BITS_MAX = 1 << 26 };

/* Does control go on behind the group? */
static bool falls(const struct fn_group *g)
{
	return g->end == FN_FALLS || g->end == FN_BRANCHES;
}
static bool is_jump(const struct fn_group *g)
{
	return g->end == FN_BRANCHES || g->end == FN_JUMPS;
}
/* Where the jump at the end of group @k leads. */
static uint32_t target_of(const struct jit_fn *f, uint32_t k)
{
	return (uint32_t)f->ins[f->groups[k + 1].ins - 1].imm;
}

/* ---- blocks ---- */

static bool bit(const uint64_t *bits, uint32_t n) { return bits[n / 64] >> (n & 63) & 1; }
static void bit_set(uint64_t *bits, uint32_t n) { bits[n / 64] |= UINT64_C(1) << (n & 63); }

/* @heads: a bit of each group that begins a block; one more than there are groups. */
static void heads_find(const struct jit_fn *f, uint64_t *heads)
{
	bit_set(heads, 0);
	for (uint32_t k = 0; f->catch_of && k < f->ncatches; k++)
		bit_set(heads, f->catches[k].is.pad);
	for (uint32_t k = 0; f->catch_of && k < f->ngroups; k++)
		if (fn_catch_at(f, k) != FN_NONE)
			bit_set(heads, k + 1);
	for (uint32_t n = 0; n < f->nends; n++) {
		uint32_t k = f->ends[n];
		bit_set(heads, k + 1);
		if (is_jump(&f->groups[k]))
			bit_set(heads, target_of(f, k));
	}
}

static uint32_t bits_count(const uint64_t *bits, uint32_t words)
{
	uint32_t n = 0;
	for (uint32_t w = 0; w < words; w++)
		n += (uint32_t)__builtin_popcountll(bits[w]);
	return n;
}

/* The blocks' groups, and what is around them; @heads has no bit behind the last group. */
static void blocks_number(struct jit_fn *f, const uint64_t *heads)
{
	uint32_t b = 0;
	for (uint32_t w = 0; w <= f->ngroups / 64; w++)
		for (uint64_t m = heads[w]; m; m &= m - 1) {
			uint32_t k = 64 * w + (uint32_t)__builtin_ctzll(m);
			f->block_of[k] = b;
			f->blocks[b] = (struct fn_block){
			    .first = k,
			    .in = f->bits + (size_t)2 * b * f->words,
			    .kill = f->bits + ((size_t)2 * b + 1) * f->words};
			if (b)
				f->blocks[b - 1].end = k;
			b++;
		}
	f->blocks[b - 1].end = f->ngroups;
	for (uint32_t n = 0; n < f->nends; n++) {
		uint32_t k = f->ends[n], to = is_jump(&f->groups[k]) ? target_of(f, k) : k + 1;
		if (to <= k)
			fn_block_at(f, to)->until = k + 1;
	}
}

/* What is in loops runs more often. */
static void weights_find(struct jit_fn *f)
{
	uint32_t ends[DEPTH_MAX * 4], n = 0;
	for (uint32_t b = 0; b < f->nblocks; b++) {
		struct fn_block *p = &f->blocks[b];
		uint32_t left = 0;
		for (uint32_t i = 0; i < n; i++)
			if (ends[i] > p->first)
				ends[left++] = ends[i];
		n = left;
		if (p->until && n < countof(ends))
			ends[n++] = p->until;
		p->weight = 1u << 3 * (n < DEPTH_MAX ? n : DEPTH_MAX);
	}
}

static void block_link(const struct jit_fn *f, struct fn_block *p)
{
	const struct fn_group *g = &f->groups[p->end - 1];
	p->succ[0] = falls(g) && p->end < f->ngroups ? (uint32_t)(p - f->blocks) + 1 : FN_NONE;
	p->catch = fn_catch_at(f, p->end - 1);
	p->succ[1] = is_jump(g) ? f->block_of[target_of(f, p->end - 1)] : FN_NONE;
	const struct ir_ins *i = g[1].ins > g->ins ? &f->ins[g[1].ins - 1] : NULL;
	p->ntable = i && i->op == IR_table ? (uint32_t)i->imm + 1 : 0;
}

static bool blocks_make(struct jit_fn *f)
{
	uint32_t n = f->ngroups, ncatches = f->catch_of ? f->ncatches : 0;
	autofree uint64_t *heads = calloc(n / 64 + 1, 8);
	f->block_of = malloc((n + 1) * sizeof *f->block_of);
	if (!heads || !f->block_of)
		return !(f->bad = true);
	heads_find(f, heads);
	heads[n / 64] &= ~(UINT64_MAX << (n & 63));
	n = f->nblocks = bits_count(heads, n / 64 + 1);
	f->words = (f->nslots + 63) / 64;
	if ((uint64_t)(n + ncatches) * f->words * 64 > BITS_MAX)
		return false;
	f->blocks = malloc((n + 1) * sizeof *f->blocks);
	f->bits = calloc(((size_t)2 * n + 1 + ncatches) * f->words, 8);
	if (!f->blocks || !f->bits)
		return !(f->bad = true);
	for (uint32_t k = 0; k < ncatches; k++)
		f->catches[k].in = f->bits + ((size_t)2 * n + k) * f->words;
	blocks_number(f, heads);
	weights_find(f);
	for (uint32_t b = 0; b < n; b++)
		block_link(f, &f->blocks[b]);
	return true;
}

static uint32_t succ_at(const struct jit_fn *f, const struct fn_block *p, uint32_t n)
{
	return n < 2 ? p->succ[n] : (uint32_t)(p - f->blocks) + n - 1;
}

/* ---- live slots ---- */

static void slot_read(struct fn_block *p, uint32_t slot)
{
	if (!bit(p->kill, slot))
		bit_set(p->in, slot);
}

static void block_scan(struct jit_fn *f, struct fn_block *p)
{
	const struct fn_use *end = &f->uses[f->groups[p->end].use];
	for (const struct fn_use *u = &f->uses[f->groups[p->first].use]; u < end; u++) {
		if (u->op == IR_get) {
			slot_read(p, u->slot);
			if (u->type == IR_V128)
				slot_read(p, u->slot + 1);
		} else if (u->op == IR_put) {
			bit_set(p->kill, u->slot);
			if (u->type == IR_V128)
				bit_set(p->kill, u->slot + 1);
		} else if (u->op == IR_end) {
			for (uint32_t s = 0; s < f->nresults; s++)
				slot_read(p, s);
		} else if (u->op == IR_invoke) {
			struct ir_invoke v = ir_invoke_of(&f->ins[u->ins]);
			uint32_t to = v.kind == IR_INVOKE_HELPER ? v.to : v.at;
			for (uint32_t s = 0; s < v.nargs; s++)
				slot_read(p, v.at + s);
			for (uint32_t s = 0; s < v.nresults; s++)
				bit_set(p->kill, to + s);
		}
	}
}

/* What @from wants flows out of @p. Returns whether that is news. */
static bool flow_into(const struct jit_fn *f, const struct fn_block *p, const uint64_t *from)
{
	bool news = false;
	for (uint32_t w = 0; w < f->words; w++) {
		uint64_t add = from[w] & ~p->kill[w] & ~p->in[w];
		p->in[w] |= add;
		news |= add != 0;
	}
	return news;
}

/* Until nothing changes: what is live at the start of each block. */
static void flow(struct jit_fn *f)
{
	for (bool again = true; again;) {
		again = fn_catches_flow(f);
		for (uint32_t b = f->nblocks; b-- > 0;) {
			const struct fn_block *p = &f->blocks[b];
			if (p->catch != FN_NONE)
				again |= flow_into(f, p, f->catches[p->catch].in);
			for (uint32_t n = 0; n < 2 + p->ntable; n++) {
				uint32_t s = succ_at(f, p, n);
				if (s != FN_NONE)
					again |= flow_into(f, p, f->blocks[s].in);
			}
		}
	}
}

/* ---- segments ---- */

uint32_t fn_top_far(struct jit_fn *f, uint32_t seg)
{
	while (f->segs[seg].up != seg) {
		f->segs[seg].up = f->segs[f->segs[seg].up].up;
		seg = f->segs[seg].up;
	}
	return seg;
}

/* Twice as many as before. False: no memory. */
static COLD bool segs_more(struct jit_fn *f)
{
	uint32_t cap = f->cap_segs ? 2 * f->cap_segs : 256;
	struct fn_seg *s = realloc(f->segs, cap * sizeof *s);
	f->segs = s ? s : f->segs;
	struct fn_web *w = s ? realloc(f->webs, cap * sizeof *w) : NULL;
	f->webs = w ? w : f->webs;
	if (!w)
		return !(f->bad = true);
	f->cap_segs = cap;
	return true;
}

/* There are some already, so without memory it is one of those. */
static uint32_t seg_new(struct jit_fn *f, uint32_t slot, uint32_t from)
{
	if (unlikely(f->nsegs == f->cap_segs) && !segs_more(f))
		return 0;
	uint32_t n = f->nsegs++;
	f->segs[n] = (struct fn_seg){from, from + 1, n, FN_NONE, slot};
	f->webs[n] = (struct fn_web){.last = n, .hint = FN_NONE, .reg = NOREG};
	return n;
}

static void segs_join(struct jit_fn *f, uint32_t x, uint32_t y)
{
	x = fn_top(f, x);
	y = fn_top(f, y);
	if (x == y)
		return;
	struct fn_web *a = &f->webs[x], *b = &f->webs[y];
	f->segs[y].up = x;
	f->segs[a->last].next = y;
	a->last = b->last;
	a->weight += b->weight;
	a->slot |= b->slot || (a->type && b->type && !fn_alike(a->type, b->type));
	a->type = a->type ? a->type : b->type;
	a->wide |= b->wide;
	a->narrow |= b->narrow;
	a->hint = a->hint == FN_NONE ? b->hint : a->hint;
}

static void web_touch(struct fn_web *w, uint32_t weight, uint8_t type)
{
	if (w->weight < 1u << 30)
		w->weight += weight;
	w->slot |= w->type && !fn_alike(w->type, type);
	w->type = w->type ? w->type : type;
}

/* The segment of @slot that @group reads. */
static inline uint32_t seg_read(struct jit_fn *f, uint32_t slot, uint32_t group)
{
	uint32_t s = f->cur[slot];
	if (unlikely(s == FN_NONE)) /* never written on any way here */
		s = f->cur[slot] = seg_new(f, slot, 2 * group);
	if (f->segs[s].to < 2 * group + 1)
		f->segs[s].to = 2 * group + 1;
	return s;
}
/* It reads that in memory. */
static void slot_walk(struct jit_fn *f, uint32_t slot, uint32_t group)
{
	fn_web(f, seg_read(f, slot, group))->slot = true;
}

static void invoke_walk(struct jit_fn *f, const struct ir_ins *i, uint32_t group)
{
	struct ir_invoke v = ir_invoke_of(i);
	uint32_t to = v.kind == IR_INVOKE_HELPER ? v.to : v.at;
	for (uint32_t s = 0; s < v.nargs; s++)
		slot_walk(f, v.at + s, group);
	for (uint32_t s = 0; s < v.nresults; s++) {
		uint32_t n = f->cur[to + s] = seg_new(f, to + s, 2 * group + 1);
		f->webs[n].slot = true;
	}
}

/* The upper half of a vector is in its slot, or nowhere: the web of the lower one has all of it. */
static void upper_walk(struct jit_fn *f, bool reads, uint32_t slot, uint32_t group)
{
	if (reads) {
		slot_walk(f, slot, group);
		return;
	}
	uint32_t s = f->cur[slot] = seg_new(f, slot, 2 * group + 1);
	f->webs[s].slot = true;
}

static uint32_t get_walk(struct jit_fn *f, const struct fn_use *u, uint32_t weight)
{
	uint32_t s = f->ins[u->ins].d = seg_read(f, u->slot, u->group);
	struct fn_web *w = fn_web(f, s);
	web_touch(w, weight, u->type);
	w->wide |= u->type == IR_I64;
	w->narrow |= u->type == IR_I32;
	if (u->type == IR_V128)
		upper_walk(f, true, u->slot + 1, u->group);
	return s;
}

/* @read: what its group has read; FN_NONE. */
static void put_walk(struct jit_fn *f, const struct fn_use *u, uint32_t weight, uint32_t read)
{
	uint32_t s = f->cur[u->slot] = seg_new(f, u->slot, 2 * u->group + 1);
	f->ins[u->ins].d = s;
	web_touch(&f->webs[s], weight, u->type);
	f->webs[s].hint = read;
	if (u->type == IR_V128)
		upper_walk(f, false, u->slot + 1, u->group);
}

static void block_walk(struct jit_fn *f, const struct fn_block *p)
{
	uint32_t read = FN_NONE, group = FN_NONE;
	const struct fn_use *end = &f->uses[f->groups[p->end].use];
	for (const struct fn_use *u = &f->uses[f->groups[p->first].use]; u < end; u++) {
		if (u->group != group)
			read = FN_NONE;
		group = u->group;
		if (u->op == IR_get) {
			uint32_t s = get_walk(f, u, p->weight);
			read = read == FN_NONE ? s : read;
		} else if (u->op == IR_put) {
			put_walk(f, u, p->weight, read);
		} else if (u->op == IR_invoke) {
			invoke_walk(f, &f->ins[u->ins], group);
		} else if (u->op == IR_end) {
			for (uint32_t s = 0; s < f->nresults; s++)
				slot_walk(f, s, group);
		}
	}
}

/* What is thrown by the last group of @p finds the values of its catch in slots: nothing flows, but
 * they have to live until then. */
static void catch_leave(struct jit_fn *f, const struct fn_block *p)
{
	const uint64_t *in = f->catches[p->catch].in;
	for (uint32_t w = 0; w < f->words; w++)
		for (uint64_t m = in[w]; m; m &= m - 1) {
			uint32_t seg = f->cur[w * 64 + (uint32_t)__builtin_ctzll(m)];
			if (seg != FN_NONE && f->segs[seg].to < 2 * p->end - 1)
				f->segs[seg].to = 2 * p->end - 1;
		}
}

/* The value in @slot at the end of @p flows into the next blocks. */
static void block_leave(struct jit_fn *f, struct fn_block *p)
{
	if (p->catch != FN_NONE)
		catch_leave(f, p);
	for (uint32_t n = 0; n < 2 + p->ntable; n++) {
		uint32_t s = succ_at(f, p, n), k = 0;
		if (s == FN_NONE)
			continue;
		for (uint32_t w = 0; w < f->words; w++)
			for (uint64_t m = f->blocks[s].in[w]; m; m &= m - 1) {
				uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(m);
				uint32_t seg = f->cur[slot];
				if (seg == FN_NONE)
					seg = f->cur[slot] = seg_new(f, slot, 2 * p->end - 1);
				if (f->segs[seg].to < 2 * p->end)
					f->segs[seg].to = 2 * p->end;
				segs_join(f, f->blocks[s].ins_at + k++, seg);
			}
	}
}

static bool segs_make(struct jit_fn *f)
{
	f->cur = malloc((f->nslots + 1) * sizeof *f->cur);
	if (!f->cur || (!f->cap_segs && !segs_more(f)))
		return !(f->bad = true);
	for (uint32_t b = 0; b < f->nblocks; b++) {
		struct fn_block *p = &f->blocks[b];
		p->ins_at = f->nsegs;
		for (uint32_t w = 0; w < f->words && !f->bad; w++)
			for (uint64_t m = p->in[w]; m; m &= m - 1)
				(void)seg_new(f, w * 64 + (uint32_t)__builtin_ctzll(m),
					      2 * p->first);
		p->nins = f->nsegs - p->ins_at;
	}
	for (uint32_t b = 0; b < f->nblocks && !f->bad; b++) {
		struct fn_block *p = &f->blocks[b];
		memset(f->cur, -1, f->nslots * sizeof *f->cur);
		for (uint32_t n = 0; n < p->nins; n++)
			f->cur[f->segs[p->ins_at + n].slot] = p->ins_at + n;
		block_walk(f, p);
		block_leave(f, p);
	}
	return !f->bad;
}

static bool calls_count(struct jit_fn *f)
{
	f->calls = malloc((f->ngroups + 1) * sizeof *f->calls);
	if (!f->calls)
		return !(f->bad = true);
	uint32_t sum = f->calls[0] = 0;
	for (const struct fn_block *p = f->blocks; p < f->blocks + f->nblocks; p++)
		for (uint32_t k = p->first; k < p->end; k++) {
			if (f->groups[k].calls && sum < 1u << 30)
				sum += p->weight;
			f->calls[k + 1] = sum;
		}
	return true;
}

bool fn_live(struct jit_fn *f)
{
	f->nsegs = 0;
	if (!fn_catches_nest(f) || !blocks_make(f))
		return false;
	for (uint32_t b = 0; b < f->nblocks; b++)
		block_scan(f, &f->blocks[b]);
	flow(f);
	return segs_make(f) && calls_count(f);
}
