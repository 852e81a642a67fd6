/* SPDX-License-Identifier: Apache-2.0 */
/* NaNs that wait. A NaN that the host's arithmetic makes has a sign and payload of its own; the
 * guest's is the canonical one. To other arithmetic that is the same, so a result that stays in a
 * register is not looked at until its bits may be seen: where it is stored or moved, at the end of
 * the basic block, and on every way out of the code. Two registers are one comparison. Flags do not
 * wait: both sides raise them alike, but for fused operations, which are checked at once (infinity
 * times zero plus a quiet NaN is invalid to the guest only).
 * Spec: RISC-V Unpriv 20240411 §20.3, §20.6; SDM1 083 §4.8.3.5, §14.5.2 */
#include "jit/x64/internal.h"

void gen_lazy_add(struct jit_gen *g, unsigned n, bool single)
{
	g->lazy |= 1u << n;
	g->lazy_single = (g->lazy_single & ~(1u << n)) | (uint32_t)single << n;
}

static void compare(struct jit_gen *g, bool single, unsigned a, unsigned b)
{
	asm_vrr(&g->a, 1, !single, false, 0x2e, (unsigned)g->fhome[a], 0, (unsigned)g->fhome[b]);
}

/* vpsrl, vpsll of xmm @to by @n; @op 0x72: of 32 bits each, 0x73: of 64 */
static void shift(struct jit_asm *a, unsigned op, bool left, unsigned to, unsigned from, unsigned n)
{
	asm_vrr(a, 1, 1, false, op, left ? 6 : 2, to, from);
	a8(a, n);
}

void gen_canonical(struct jit_gen *g, bool single, unsigned x)
{
	struct jit_asm *a = &g->a;
	if (!single) {
		shift(a, 0x73, false, x, XMM_ONES, 52);
		shift(a, 0x73, true, x, x, 51);
		return;
	}
	shift(a, 0x72, false, x, XMM_ONES, 23);
	shift(a, 0x72, true, x, x, 22);
	asm_vrr(a, 3, 1, false, 0x0c, x, XMM_ONES, x); /* vblendps x, ones, x, 1 */
	a8(a, 1);
}

void gen_lazy_fix(struct jit_gen *g, const struct slow *s)
{
	for (unsigned n = 0; n < 32; n++) {
		if (!(s->lazy >> n & 1))
			continue;
		bool single = s->lazy_single >> n & 1;
		compare(g, single, n, n);
		uint8_t *number = x_jcc8(&g->a, CC_NP);
		gen_canonical(g, single, (unsigned)g->fhome[n]);
		x_here8(&g->a, number);
	}
}

void gen_lazy_flush(struct jit_gen *g, uint32_t mask)
{
	mask &= g->lazy;
	while (mask && !g->cannot) {
		unsigned a = (unsigned)__builtin_ctz(mask), b = a;
		bool single = g->lazy_single >> a & 1;
		uint32_t rest = (mask & ~(1u << a)) &
		                (single ? g->lazy_single : ~g->lazy_single);
		if (rest)
			b = (unsigned)__builtin_ctz(rest);
		compare(g, single, a, b);
		struct slow *s = gen_slow(g, SLOW_LAZY, x_jcc32(&g->a, CC_P));
		s->lazy = 1u << a | 1u << b;
		s->back = g->a.p;
		mask &= ~s->lazy;
		g->lazy &= ~s->lazy;
	}
}

void gen_lazy_flush_at(struct jit_gen *g, uint64_t off)
{
	if (gen_fhome(g, off) != NOREG)
		gen_lazy_flush(g, 1u << (off - g->c->g.fp_regs) / 8);
}
