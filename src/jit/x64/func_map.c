/* SPDX-License-Identifier: Apache-2.0 */
/* Registers for webs: those that are used most, for the little time that they live, choose first.
 * A register is free for a web where none of its segments meets one that is there already. */
#include "jit/x64/func.h"
#include <stdlib.h>

/* The last four are kept across calls. */
const uint8_t fn_int[FN_INTS] = {RSI, RDI, R8, R9, R10, R11, RBX, R12, R13, R14};

/* What webs are worth, by logarithm, in steps of 3 %: those of one step are alike. */
enum { MANTISSA = 5, WORTHS = 52 << MANTISSA };
struct rank {
	uint32_t worth, top;
};

static uint32_t worth_of(const struct fn_web *w)
{
	float f = (float)(((uint64_t)w->weight << 20) / w->size);
	uint32_t bits; /* of numbers that are not negative: in their order */
	memcpy(&bits, &f, sizeof bits);
	bits >>= 23 - MANTISSA;
	return bits < 127 << MANTISSA ? 0 : bits - (127 << MANTISSA);
}

/* The highest first; alike ones in the order that they have. */
static void ranks_sort(struct rank *p, uint32_t n, uint32_t *ret_tops)
{
	uint32_t before[WORTHS + 1], sum = 0, least = WORTHS, most = 0;
	for (uint32_t k = 0; k < n; k++) {
		least = p[k].worth < least ? p[k].worth : least;
		most = p[k].worth > most ? p[k].worth : most;
	}
	for (uint32_t k = least; k <= most; k++)
		before[k] = 0;
	for (uint32_t k = 0; k < n; k++)
		before[p[k].worth]++;
	for (uint32_t k = most + 1; k-- > least;) {
		uint32_t here = before[k];
		before[k] = sum;
		sum += here;
	}
	for (uint32_t k = 0; k < n; k++)
		ret_tops[before[p[k].worth]++] = p[k].top;
}

/* The bits of word @w that lie in [from, to). */
static uint64_t mask_of(uint32_t w, uint32_t from, uint32_t to)
{
	uint64_t m = UINT64_MAX;
	if (w == from / 64)
		m &= UINT64_MAX << (from & 63);
	if (w == to / 64)
		m &= ~(UINT64_MAX << (to & 63));
	return m;
}

static bool is_free(const struct jit_fn *f, unsigned r, uint32_t top)
{
	for (uint32_t s = top; s != FN_NONE; s = f->segs[s].next)
		for (uint32_t w = f->segs[s].from / 64; w <= f->segs[s].to / 64; w++)
			if (f->busy[r][w] & mask_of(w, f->segs[s].from, f->segs[s].to))
				return false;
	return true;
}

static void take_reg(struct jit_fn *f, unsigned r, uint32_t top)
{
	f->webs[top].reg = (uint8_t)r;
	if (r >= FN_KEPT && r < FN_INTS)
		f->kept |= 1u << r;
	for (uint32_t s = top; s != FN_NONE; s = f->segs[s].next)
		for (uint32_t w = f->segs[s].from / 64; w <= f->segs[s].to / 64; w++)
			f->busy[r][w] |= mask_of(w, f->segs[s].from, f->segs[s].to);
}

/* What it costs that calls overwrite it: it is saved and loaded around each. */
static void measure(struct jit_fn *f, uint32_t top)
{
	struct fn_web *w = &f->webs[top];
	for (uint32_t s = top; s != FN_NONE; s = f->segs[s].next) {
		const struct fn_seg *g = &f->segs[s];
		w->size += g->to - g->from;
		/* calls of groups whose reading and writing both lie inside */
		uint32_t a = (g->from + 1) / 2, b = g->to / 2;
		if (b > a && w->cost < 1u << 30)
			w->cost += f->calls[b] - f->calls[a];
	}
}

static bool suits(const struct jit_fn *f, uint32_t top, unsigned r)
{
	const struct fn_web *w = &f->webs[top];
	bool kept = r >= FN_KEPT && r < FN_INTS;
	if ((f->c->fn.exact || f->exact) && kept && w->cost)
		return false; /* the callee has it */
	return (kept || w->weight > 2 * (uint64_t)w->cost) && is_free(f, r, top);
}

static void choose(struct jit_fn *f, uint32_t top)
{
	struct fn_web *w = &f->webs[top];
	bool x = fn_is_xmm(w->type);
	unsigned first = x ? FN_INTS : 0, end = x ? FN_REGS : FN_INTS;
	unsigned hint = w->hint == FN_NONE ? NOREG : fn_web(f, w->hint)->reg;
	if (hint != NOREG && hint >= first && hint < end && !(w->cost && hint < FN_KEPT) &&
	    suits(f, top, hint)) {
		take_reg(f, hint, top);
		return;
	}
	/* what lives across calls likes to be kept */
	for (unsigned n = 0; n < end - first; n++) {
		unsigned r = !x && w->cost ? end - 1 - n : first + n;
		if (suits(f, top, r)) {
			take_reg(f, r, top);
			return;
		}
	}
}

bool fn_map(struct jit_fn *f)
{
	size_t words = 2 * (size_t)f->ngroups / 64 + 2;
	uint64_t *bits = calloc(FN_REGS * words, 8);
	struct rank *all = malloc((f->nsegs + 1) * sizeof *all);
	uint32_t *tops = malloc((f->nsegs + 1) * sizeof *tops);
	if (!bits || !all || !tops) {
		free(bits);
		free(all);
		free(tops);
		return !(f->bad = true);
	}
	for (unsigned r = 0; r < FN_REGS; r++)
		f->busy[r] = bits + r * words;
	uint32_t n = 0;
	/* what callees have saved is lost when one of them throws: who lands has saved it, too */
	f->kept = f->catch_of ? ((1u << FN_INTS) - (1u << FN_KEPT)) : 0;
	for (uint32_t s = 0; s < f->nsegs; s++) {
		struct fn_web *w = &f->webs[s];
		f->segs[s].up = fn_top(f, s);
		if (f->segs[s].up != s || w->slot || !w->type)
			continue;
		measure(f, s);
		all[n++] = (struct rank){worth_of(w), s};
	}
	ranks_sort(all, n, tops);
	for (uint32_t k = 0; k < n; k++)
		choose(f, tops[k]);
	free(all);
	free(tops);
	free(bits);
	memset(f->busy, 0, sizeof f->busy);
	return true;
}
