/* SPDX-License-Identifier: Apache-2.0 */
/* What of a function's slots is live where: blocks, the flow of bits between them, then segments,
 * and webs, which are the segments that flow into each other. Two webs of one slot have nothing to
 * do with each other. */
#include "jit/x64/func.h"
#include <stdlib.h>

enum { DEPTH_MAX = 5, BITS_MAX = 1 << 26 };

static struct ir_ins *last_of(const struct jit_fn *f, uint32_t group)
{
	return f->groups[group + 1] > f->groups[group] ? &f->ins[f->groups[group + 1] - 1] : NULL;
}

static bool is_jump(const struct ir_ins *i) { return i && (i->op == IR_br || i->op == IR_jump); }

/* Does control go on behind the group? */
static bool falls(const struct ir_ins *i)
{
	if (!i || i->op == IR_br)
		return true;
	return i->op != IR_jump && i->op != IR_table && i->op != IR_ret && i->op != IR_end &&
	       !(i->op == IR_invoke && ir_invoke_of(i).kind >= IR_INVOKE_TAIL &&
		 ir_invoke_of(i).kind != IR_INVOKE_HELPER);
}

/* ---- blocks ---- */

static bool heads_find(struct jit_fn *f)
{
	uint32_t n = f->ngroups;
	f->block_of = calloc(n + 1, sizeof *f->block_of);
	f->depth = calloc(n + 1, 1);
	uint32_t *until = calloc(n + 1, sizeof *until);
	if (!f->block_of || !f->depth || !until) {
		free(until);
		return !(f->bad = true);
	}
	f->block_of[0] = 1;
	for (uint32_t k = 0; k < n; k++) {
		const struct ir_ins *i = last_of(f, k);
		if (is_jump(i)) {
			f->block_of[i->imm] = 1;
			if (i->imm <= k)
				until[i->imm] = k + 1;
		}
		if (is_jump(i) || !falls(i))
			f->block_of[k + 1] = 1;
	}
	for (uint32_t k = 0; k < n; k++)
		for (uint32_t j = k; j < until[k]; j++)
			f->depth[j] = (uint8_t)(f->depth[j] + (f->depth[j] < DEPTH_MAX));
	free(until);
	return true;
}

static bool blocks_make(struct jit_fn *f)
{
	uint32_t n = 0;
	for (uint32_t k = 0; k < f->ngroups; k++)
		n += f->block_of[k];
	f->words = (f->nslots + 63) / 64;
	if ((uint64_t)n * f->words * 64 > BITS_MAX)
		return false;
	f->blocks = calloc(n + 1, sizeof *f->blocks);
	f->bits = calloc((size_t)(2 * n + 1) * f->words, 8);
	if (!f->blocks || !f->bits)
		return !(f->bad = true);
	f->nblocks = n;
	uint32_t b = FN_NONE;
	for (uint32_t k = 0; k < f->ngroups; k++) {
		if (f->block_of[k]) {
			f->block_of[k] = ++b;
			f->blocks[b].first = k;
			f->blocks[b].in = f->bits + (size_t)2 * b * f->words;
			f->blocks[b].kill = f->blocks[b].in + f->words;
		} else {
			f->block_of[k] = FN_NONE;
		}
		f->blocks[b].end = k + 1;
	}
	for (b = 0; b < n; b++) {
		struct fn_block *p = &f->blocks[b];
		const struct ir_ins *i = last_of(f, p->end - 1);
		p->succ[0] = falls(i) && b + 1 < n ? b + 1 : FN_NONE;
		p->succ[1] = is_jump(i) ? f->block_of[i->imm] : FN_NONE;
		p->ntable = i && i->op == IR_table ? (uint32_t)i->imm + 1 : 0;
	}
	return true;
}

static uint32_t succ_at(const struct jit_fn *f, const struct fn_block *p, uint32_t n)
{
	return n < 2 ? p->succ[n] : (uint32_t)(p - f->blocks) + n - 1;
}

/* ---- live slots ---- */

static bool bit(const uint64_t *bits, uint32_t n) { return bits[n / 64] >> (n & 63) & 1; }
static void bit_set(uint64_t *bits, uint32_t n) { bits[n / 64] |= UINT64_C(1) << (n & 63); }

static void slot_read(struct fn_block *p, uint32_t slot)
{
	if (!bit(p->kill, slot))
		bit_set(p->in, slot);
}

/* How many slots the get or put @i of @group reads or writes; 0: it is none. */
static uint32_t slots_of(const struct jit_fn *f, uint32_t group, const struct ir_ins *i)
{
	if (i->op != IR_get && i->op != IR_put)
		return 0;
	uint8_t type = i->op == IR_get ? i->type : f->ins[f->groups[group] + i->a].type;
	return type == IR_V128 ? 2 : 1;
}

static void block_scan(struct jit_fn *f, struct fn_block *p)
{
	for (uint32_t n = f->groups[p->first], group = p->first; n < f->groups[p->end]; n++) {
		const struct ir_ins *i = &f->ins[n];
		while (n >= f->groups[group + 1])
			group++;
		for (uint32_t s = 0; s < slots_of(f, group, i); s++)
			if (i->op == IR_get)
				slot_read(p, (uint32_t)i->imm / 8 + s);
			else
				bit_set(p->kill, (uint32_t)i->imm / 8 + s);
		if (i->op == IR_end)
			for (uint32_t s = 0; s < f->nresults; s++)
				slot_read(p, s);
		if (i->op != IR_invoke)
			continue;
		struct ir_invoke v = ir_invoke_of(i);
		uint32_t to = v.kind == IR_INVOKE_HELPER ? v.to : v.at;
		for (uint32_t s = 0; s < v.nargs; s++)
			slot_read(p, v.at + s);
		for (uint32_t s = 0; s < v.nresults; s++)
			bit_set(p->kill, to + s);
	}
}

/* Until nothing changes: what is live at the start of each block. */
static void flow(struct jit_fn *f)
{
	for (bool again = true; again;) {
		again = false;
		for (uint32_t b = f->nblocks; b-- > 0;) {
			struct fn_block *p = &f->blocks[b];
			for (uint32_t n = 0; n < 2 + p->ntable; n++) {
				uint32_t s = succ_at(f, p, n);
				if (s == FN_NONE)
					continue;
				const uint64_t *from = f->blocks[s].in;
				for (uint32_t w = 0; w < f->words; w++) {
					uint64_t add = from[w] & ~p->kill[w] & ~p->in[w];
					p->in[w] |= add;
					again |= add != 0;
				}
			}
		}
	}
}

/* ---- segments ---- */

uint32_t fn_top(struct jit_fn *f, uint32_t seg)
{
	while (f->segs[seg].up != seg) {
		f->segs[seg].up = f->segs[f->segs[seg].up].up;
		seg = f->segs[seg].up;
	}
	return seg;
}

static uint32_t seg_new(struct jit_fn *f, uint32_t slot, uint32_t from)
{
	if (f->nsegs == f->cap_segs) {
		uint32_t cap = f->cap_segs ? 2 * f->cap_segs : 256;
		struct fn_seg *s = realloc(f->segs, cap * sizeof *s);
		f->segs = s ? s : f->segs;
		struct fn_web *w = s ? realloc(f->webs, cap * sizeof *w) : NULL;
		f->webs = w ? w : f->webs;
		if (!w) {
			f->bad = true;
			return 0;
		}
		f->cap_segs = cap;
	}
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
	a->hint = a->hint == FN_NONE ? b->hint : a->hint;
}

static uint32_t weight_at(const struct jit_fn *f, uint32_t group)
{
	return 1u << 3 * f->depth[group];
}

static void seg_touch(struct jit_fn *f, uint32_t seg, uint32_t group, uint8_t type)
{
	struct fn_web *w = fn_web(f, seg);
	if (w->weight < 1u << 30)
		w->weight += weight_at(f, group);
	w->slot |= w->type && !fn_alike(w->type, type);
	w->type = w->type ? w->type : type;
}

/* Slot @slot is read by @group; in memory, if @by_slot. */
static uint32_t seg_read(struct jit_fn *f, uint32_t slot, uint32_t group, bool by_slot)
{
	uint32_t s = f->cur[slot];
	if (s == FN_NONE) /* never written on any way here */
		s = f->cur[slot] = seg_new(f, slot, 2 * group);
	if (f->segs[s].to < 2 * group + 1)
		f->segs[s].to = 2 * group + 1;
	fn_web(f, s)->slot |= by_slot;
	return s;
}

static void invoke_walk(struct jit_fn *f, const struct ir_ins *i, uint32_t group)
{
	struct ir_invoke v = ir_invoke_of(i);
	uint32_t to = v.kind == IR_INVOKE_HELPER ? v.to : v.at;
	for (uint32_t s = 0; s < v.nargs; s++)
		(void)seg_read(f, v.at + s, group, true);
	for (uint32_t s = 0; s < v.nresults; s++) {
		uint32_t n = f->cur[to + s] = seg_new(f, to + s, 2 * group + 1);
		if (!f->bad)
			f->webs[n].slot = true;
	}
}

/* The upper half of a vector is in its slot, or nowhere: the web of the lower one has all of it. */
static void upper_walk(struct jit_fn *f, bool reads, uint32_t slot, uint32_t group)
{
	if (reads) {
		(void)seg_read(f, slot, group, true);
		return;
	}
	uint32_t s = f->cur[slot] = seg_new(f, slot, 2 * group + 1);
	if (!f->bad)
		f->webs[s].slot = true;
}

static void group_walk(struct jit_fn *f, uint32_t group)
{
	uint32_t read = FN_NONE;
	for (uint32_t n = f->groups[group]; n < f->groups[group + 1] && !f->bad; n++) {
		struct ir_ins *i = &f->ins[n];
		uint32_t slot = (uint32_t)i->imm / 8;
		if (i->op == IR_get) {
			i->d = seg_read(f, slot, group, false);
			seg_touch(f, i->d, group, i->type);
			read = read == FN_NONE ? i->d : read;
		} else if (i->op == IR_put) {
			i->d = f->cur[slot] = seg_new(f, slot, 2 * group + 1);
			if (f->bad)
				return;
			seg_touch(f, i->d, group, f->ins[f->groups[group] + i->a].type);
			f->webs[i->d].hint = read;
		} else if (i->op == IR_invoke) {
			invoke_walk(f, i, group);
		} else if (i->op == IR_end) {
			for (uint32_t s = 0; s < f->nresults; s++)
				(void)seg_read(f, s, group, true);
		}
		if (slots_of(f, group, i) == 2)
			upper_walk(f, i->op == IR_get, slot + 1, group);
	}
}

/* The value in @slot at the end of @p flows into the next blocks. */
static void block_leave(struct jit_fn *f, struct fn_block *p)
{
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
				if (f->bad)
					return;
				if (f->segs[seg].to < 2 * p->end)
					f->segs[seg].to = 2 * p->end;
				segs_join(f, f->blocks[s].ins_at + k++, seg);
			}
	}
}

static bool segs_make(struct jit_fn *f)
{
	f->cur = malloc((f->nslots + 1) * sizeof *f->cur);
	f->calls = calloc(f->ngroups + 1, sizeof *f->calls);
	if (!f->cur || !f->calls)
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
		for (uint32_t k = p->first; k < p->end && !f->bad; k++)
			group_walk(f, k);
		block_leave(f, p);
	}
	return !f->bad;
}

static void calls_count(struct jit_fn *f)
{
	for (uint32_t k = 0; k < f->ngroups; k++) {
		f->calls[k + 1] = f->calls[k];
		for (uint32_t n = f->groups[k]; n < f->groups[k + 1]; n++)
			if (fn_calls(&f->ins[n]) && f->calls[k] < 1u << 30)
				f->calls[k + 1] += weight_at(f, k);
	}
}

bool fn_live(struct jit_fn *f)
{
	f->nsegs = 0;
	if (!heads_find(f) || !blocks_make(f))
		return false;
	for (uint32_t b = 0; b < f->nblocks; b++)
		block_scan(f, &f->blocks[b]);
	flow(f);
	if (!segs_make(f))
		return false;
	calls_count(f);
	return true;
}
