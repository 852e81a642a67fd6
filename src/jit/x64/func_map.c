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

/* Where a segment lies in bits: words @a to @b, of those bits @first and @last. */
struct span {
	uint32_t a, b;
	uint64_t first, last;
};
static struct span span_of(const struct fn_seg *g)
{
	return (struct span){g->from / 64, g->to / 64, UINT64_MAX << (g->from & 63),
			     ~(UINT64_MAX << (g->to & 63))};
}

static bool is_busy(const uint64_t *busy, const struct fn_seg *g)
{
	const struct span s = span_of(g);
	if (likely(s.a == s.b))
		return busy[s.a] & s.first & s.last;
	bool some = (busy[s.a] & s.first) || (busy[s.b] & s.last);
	for (uint32_t w = s.a + 1; w < s.b && !some; w++)
		some = busy[w];
	return some;
}

static void make_busy(uint64_t *busy, const struct fn_seg *g)
{
	const struct span s = span_of(g);
	if (likely(s.a == s.b)) {
		busy[s.a] |= s.first & s.last;
		return;
	}
	busy[s.a] |= s.first;
	busy[s.b] |= s.last;
	for (uint32_t w = s.a + 1; w < s.b; w++)
		busy[w] = UINT64_MAX;
}

static bool is_free(const struct jit_fn *f, unsigned r, uint32_t top)
{
	for (uint32_t s = top; s != FN_NONE; s = f->segs[s].next)
		if (is_busy(f->busy[r], &f->segs[s]))
			return false;
	return true;
}

static void take_reg(struct jit_fn *f, unsigned r, uint32_t top)
{
	f->webs[top].reg = (uint8_t)r;
	if (r >= FN_KEPT && r < FN_INTS)
		f->kept |= 1u << r;
	for (uint32_t s = top; s != FN_NONE; s = f->segs[s].next)
		make_busy(f->busy[r], &f->segs[s]);
}

/* How long webs live; and what it costs that calls overwrite them: they are saved and loaded around
 * each. Segment by segment, as they lie in memory. */
static void webs_measure(struct jit_fn *f)
{
	for (uint32_t s = 0; s < f->nsegs; s++) {
		struct fn_seg *g = &f->segs[s];
		g->up = fn_top(f, s);
		struct fn_web *w = &f->webs[g->up];
		w->size += g->to - g->from;
		/* calls of groups whose reading and writing both lie inside */
		uint32_t a = (g->from + 1) / 2, b = g->to / 2;
		if (b > a && w->cost < 1u << 30)
			w->cost += f->calls[b] - f->calls[a];
	}
}

/* Registers that are good for @w, if they are free: a bit of each. */
static uint32_t suiting(const struct jit_fn *f, const struct fn_web *w)
{
	const uint32_t ints = (1u << FN_INTS) - 1, kept = ints & ~((1u << FN_KEPT) - 1);
	uint32_t m = fn_is_xmm(w->type) ? ((1u << FN_REGS) - 1) & ~ints : ints;
	if ((f->c->fn.exact || f->exact) && w->cost)
		m &= ~kept; /* the callee has it */
	return w->weight > 2 * (uint64_t)w->cost ? m : m & kept;
}

static void choose(struct jit_fn *f, uint32_t top)
{
	struct fn_web *w = &f->webs[top];
	uint32_t m = suiting(f, w);
	unsigned hint = w->hint == FN_NONE ? NOREG : f->webs[fn_top(f, w->hint)].reg, r;
	if (hint != NOREG && m >> hint & 1 && !(w->cost && hint < FN_KEPT)) {
		if (is_free(f, hint, top)) {
			take_reg(f, hint, top);
			return;
		}
		m &= ~(1u << hint);
	}
	/* what lives across calls likes to be kept */
	bool down = !fn_is_xmm(w->type) && w->cost;
	for (; m; m &= ~(1u << r)) {
		r = (unsigned)(down ? 31 - __builtin_clz(m) : __builtin_ctz(m));
		if (is_free(f, r, top)) {
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
	webs_measure(f);
	for (uint32_t s = 0; s < f->nsegs; s++) {
		const struct fn_web *w = &f->webs[s];
		if (f->segs[s].up == s && !w->slot && w->type)
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
