/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that catch what those throw that they call. A call within the range of a catch ends its
 * block: what the catch's pad wants has to be in slots then, and is stored before the call. Whoever
 * is thrown comes to a landing, which loads what lives in registers at the pad. So a call that
 * throws nothing costs some stores, and the two sides of a throw have registers of their own. */
#include "jit/x64/func.h"
#include <stdlib.h>

void jit_fn_exact(struct jit_fn *f) { f->exact = true; }

void jit_fn_catch(struct jit_fn *f, const struct jit_fn_catch *c)
{
	if (c->from < c->to &&
	    fn_room(f, &f->catches, f->ncatches, &f->cap_catches, sizeof *f->catches)) {
		f->catches[f->ncatches] = (struct fn_catch){.is = *c, .order = f->ncatches};
		f->ncatches++;
	}
}

void *jit_fn_frame(uint64_t sp)
{
	uint64_t frame;
	memcpy(&frame, (const void *)(uintptr_t)sp, sizeof frame);
	return (void *)(uintptr_t)(frame - BIAS);
}

/* ---- which one a group means ---- */

/* Those around come first. Ranges lie within each other or apart; of the same range, those of inner
 * blocks were given first. */
static int outer_first(const void *x, const void *y)
{
	const struct fn_catch *a = x, *b = y;
	if (a->is.from != b->is.from)
		return a->is.from < b->is.from ? -1 : 1;
	if (a->is.to != b->is.to)
		return a->is.to > b->is.to ? -1 : 1;
	return a->order > b->order ? -1 : 1;
}

/* Of each group the innermost catch. */
static bool ranges_walk(struct jit_fn *f)
{
	bool some = false;
	uint32_t top = FN_NONE, c = 0;
	for (uint32_t k = 0; k < f->ngroups; k++) {
		while (top != FN_NONE && f->catches[top].is.to <= k)
			top = f->catches[top].next;
		for (; c < f->ncatches && f->catches[c].is.from == k; c++) {
			if (f->catches[c].is.pad >= f->ngroups)
				return false;
			f->catches[c].next = top;
			top = c;
		}
		f->catch_of[k] = f->groups[k].throws ? top : FN_NONE;
		some |= f->catch_of[k] != FN_NONE;
	}
	if (c < f->ncatches)
		return false;
	if (!some) {
		free(f->catch_of);
		f->catch_of = NULL;
	}
	return true;
}

bool fn_catches_nest(struct jit_fn *f)
{
	if (!f->ncatches)
		return true;
	if (!(f->catch_of = malloc((f->ngroups + 1) * sizeof *f->catch_of)))
		return !(f->bad = true);
	qsort(f->catches, f->ncatches, sizeof *f->catches, outer_first);
	return ranges_walk(f);
}

/* ---- what has to be there ---- */

/* The bits of word @w that are not of the slots that the owner writes. */
static uint64_t not_given(const struct jit_fn_catch *c, uint32_t w)
{
	uint32_t from = c->at > 64 * w ? c->at : 64 * w, to = c->at + c->n;
	to = to < 64 * w + 64 ? to : 64 * w + 64;
	return from >= to ? UINT64_MAX
			  : ~(UINT64_MAX << (from & 63) & UINT64_MAX >> (63 - ((to - 1) & 63)));
}

bool fn_catches_flow(struct jit_fn *f)
{
	bool news = false;
	for (uint32_t k = 0; f->catch_of && k < f->ncatches; k++) {
		const struct fn_catch *c = &f->catches[k];
		const uint64_t *pad = fn_block_at(f, c->is.pad)->in;
		const uint64_t *next =
		    c->next == FN_NONE || c->is.all ? NULL : f->catches[c->next].in;
		for (uint32_t w = 0; w < f->words; w++) {
			uint64_t in = (pad[w] ? pad[w] & not_given(&c->is, w) : 0) |
				      (next ? next[w] : 0);
			news |= (in & ~c->in[w]) != 0;
			c->in[w] |= in;
		}
	}
	return news;
}

void fn_catch_store(struct jit_fn *f)
{
	uint32_t c = fn_catch_at(f, f->now);
	for (unsigned r = 0; c != FN_NONE && r < FN_REGS; r++) {
		uint32_t s = f->held[r];
		if (s == FN_NONE || f->segs[s].from > 2 * f->now || f->segs[s].to <= 2 * f->now ||
		    fn_is_lost(f, r, s)) /* which will be stored anyway */
			continue;
		uint32_t slot = f->segs[s].slot;
		if (f->catches[c].in[slot / 64] >> (slot & 63) & 1)
			fn_web_move(f, s, false);
	}
}

/* ---- where it lands ---- */

bool fn_pads_find(const struct jit_fn *f, struct jit_fn_code *ret)
{
	if (!f->catch_of)
		return true;
	if (!(ret->pads = malloc((f->ncatches + 1) * sizeof *ret->pads)))
		return false;
	for (uint32_t k = 0; k < f->ncatches; k++)
		ret->pads[k].group = f->catches[k].is.pad;
	ret->npads = f->ncatches;
	return true;
}

void fn_pads_write(struct jit_fn *f, struct jit_fn_code *ret)
{
	struct jit_asm *a = &f->g->a;
	for (uint32_t k = 0; k < ret->npads && !a->full; k++) {
		const struct fn_block *p = fn_block_at(f, ret->pads[k].group);
		ret->pads[k].code = asm_off(a);
		for (uint32_t n = 0; n < p->nins; n++)
			fn_web_move(f, p->ins_at + n, true);
		x_jmp_to(a, p->label);
	}
}
