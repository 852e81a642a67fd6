/* SPDX-License-Identifier: Apache-2.0 */
/* diff: instructions of V. Loads and stores reach a little around their pointers, except that
 * indexed loads may go anywhere. */
#include "test/diff/asm.h"
#include "test/diff/make.h"
#include <stdio.h>

/* What loops do, and engines may do by themselves. */
bool vector_is_usual(const struct rv_pattern *p)
{
	static const char usual[] =
		" vsetvli vsetivli vle8.v vle32.v vle64.v vle8ff.v vse8.v vse32.v vse64.v vadd.vv "
		"vsub.vx vand.vi vor.vv vxor.vx vmul.vv vmacc.vv vmacc.vx vmv.v.v vmv.v.x vmv.v.i "
		"vfadd.vv vfsub.vf vfmul.vv vfmacc.vv vfmacc.vf vmseq.vi vmseq.vv vmsne.vx "
		"vfirst.m vmv.s.x vmv.x.s vfmv.s.f vfmv.f.s vredsum.vs vfredusum.vs ";
	char want[32];
	snprintf(want, sizeof want, " %s ", p->name);
	return strstr(usual, want) != NULL;
}

static bool names(const struct rv_pattern *p, const char *operand)
{
	return strstr(p->operands, operand) != NULL;
}

static uint32_t word_type(struct rng *r)
{
	uint32_t sew = rng_below(r, 4), lmul = rng_below(r, 4);
	if (rng_below(r, 8) == 0)
		return (uint32_t)rng_next(r) & 0x1ff;
	return sew << 3 | lmul | rng_below(r, 4) << 6;
}

static uint32_t word_make(struct making *k, const struct rv_pattern *p)
{
	struct rng *r = &k->rng;
	uint32_t v = (uint32_t)rng_next(r), align = ~0u << rng_below(r, 4) & 31;
	uint32_t vd = rng_below(r, 32) & align, vs2 = rng_below(r, 32) & align;
	v = (v & ~0x1f00f80u) | vs2 << 20 | vd << 7;
	if (names(p, "vs1"))
		v = (v & ~0xf8000u) | (rng_below(r, 32) & align) << 15;
	if (rng_below(r, 4))
		v |= 1u << 25;
	if (!strncmp(p->name, "vset", 4))
		v = (v & 0xfffff) | word_type(r) << 20;
	if (!strncmp(p->operands, "rd", 2))
		v = (v & ~0xf80u) | (rng_below(r, 16) ? reg_free(k) : 0) << 7;
	return (v & ~p->mask) | p->match;
}

/* A load or store: what its address is made of. False: it could go too far. */
static bool memory_aim(struct making *k, const struct rv_pattern *p, uint32_t *w)
{
	struct rng *r = &k->rng;
	unsigned width = *w >> 12 & 7, base = rng_below(r, 2) ? S0 : S1;
	if (names(p, "vs2")) {
		base = S0;
		if (names(p, "vs3") && width > 5)
			return false;
	}
	if (names(p, "rs2")) {
		unsigned stride = reg_free(k);
		put(k, addi(stride, ZERO, (int)rng_below(r, 64) - 16));
		*w = (*w & ~0x1f00000u) | stride << 20;
	}
	*w = (*w & ~0xf8000u) | base << 15;
	return true;
}

/* Is @p a usual one for elements of 2^@sew bytes? */
static bool fits(const struct rv_pattern *p, unsigned sew)
{
	static const uint8_t width[] = { 0, 5, 6, 7 };
	if (!vector_is_usual(p) || !strncmp(p->name, "vset", 4))
		return false;
	return !strchr(p->operands, '(') || (p->match >> 12 & 7) == width[sew];
}

/* Vector registers of one type, and x registers that nothing here may write. */
struct burst {
	unsigned sew, lmul;
	uint32_t keep;          /* one bit each */
	unsigned base;          /* where all loads and stores go; 0: anywhere near */
};

static unsigned reg_other(struct making *k, uint32_t keep)
{
	unsigned reg = reg_free(k);
	while (keep >> reg & 1)
		reg = reg_free(k);
	return reg;
}

/* What a loop would do with such registers. */
static void put_usual(struct making *k, const struct burst *u, unsigned n)
{
	struct rng *r = &k->rng;
	uint32_t align = ~0u << u->lmul & 31;
	for (unsigned i = 0; n && i < 4000; i++) {
		const struct rv_pattern *p = k->vector.p[rng_below(r, k->vector.n)];
		if (!fits(p, u->sew))
			continue;
		uint32_t w = word_make(k, p);
		w = (w & ~0x1f00f80u) | (w & align << 20) | (w & align << 7) | 1u << 25;
		if (names(p, "vs1"))
			w &= ~0xf8000u | align << 15;
		if (!strncmp(p->operands, "rd", 2))
			w = (w & ~0xf80u) | reg_other(k, u->keep) << 7;
		if (strchr(p->operands, '(')) {
			unsigned base = u->base ? u->base : reg_other(k, u->keep);
			if (!u->base)
				put(k, addi(base, S0, (int)rng_below(r, 4096) - 2048));
			w = (w & ~0xf8000u) | base << 15;
		}
		w = (w & ~p->mask) | p->match;
		put(k, w);
		n--;
	}
}

static uint32_t vsetvli(unsigned rd, unsigned rs1, const struct burst *u)
{
	return 0x7057 | rd << 7 | rs1 << 15 | u->sew << 23 | u->lmul << 20;
}

/* A type with all its elements. */
static void put_burst(struct making *k)
{
	struct rng *r = &k->rng;
	struct burst u = { .sew = rng_below(r, 4), .lmul = rng_below(r, 4) };
	put(k, vsetvli(reg_free(k), ZERO, &u));
	put_usual(k, &u, 3 + rng_below(r, 8));
}

/* A loop: as many elements a round as there may be, the rest in the last one. Perhaps another type
 * for a while, with as many elements. */
static void put_strips(struct making *k)
{
	struct rng *r = &k->rng;
	uint64_t from = k->at;
	struct burst u = { .sew = rng_below(r, 4), .lmul = rng_below(r, 4) };
	unsigned left = reg_other(k, 0), got = reg_other(k, 1u << left);
	u.keep = 1u << left | 1u << got;
	unsigned step = reg_other(k, u.keep), most = 1024u >> u.sew;
	u.base = reg_other(k, u.keep | 1u << step);
	u.keep |= 1u << u.base;
	struct burst other = u;
	other.sew ^= 1;
	other.lmul += other.sew > u.sew ? 1 : UINT32_MAX;
	put_li(k, left, (int)(rng_below(r, 2) ? most : rng_below(r, most + 1)));
	put(k, addi(u.base, rng_below(r, 2) ? S0 : S1, (int)rng_below(r, 3072) - 2048));
	unit_end(k, from, true);
	uint64_t head = k->at;
	put(k, vsetvli(got, left, &u));
	put_usual(k, &u, 1 + rng_below(r, 4));
	if (rng_below(r, 2) && other.lmul < 4) {
		put(k, vsetvli(ZERO, ZERO, &other));
		put_usual(k, &other, 1 + rng_below(r, 2));
	}
	if (rng_below(r, 4)) {
		put(k, slli(step, got, (int)u.sew));
		put(k, add(u.base, u.base, step));
	}
	put(k, sub(left, left, got));
	put_usual(k, &u, rng_below(r, 3));
	unit_end(k, head, true);
	put_fuel(k);
	uint64_t back = k->at;
	put(k, branch(1, left, ZERO, (int64_t)(head - back)));
	unit_end(k, back, true);
}

void put_vector(struct making *k)
{
	uint64_t start = k->at;
	unsigned what = rng_below(&k->rng, 8);
	if (what == 0) {
		put_strips(k);
		return;
	}
	if (what < 3) {
		put_burst(k);
		unit_end(k, start, true);
		return;
	}
	for (unsigned i = 0; i < 50; i++) {
		const struct rv_pattern *p = k->vector.p[rng_below(&k->rng, k->vector.n)];
		uint32_t w = word_make(k, p);
		struct rv_insn d;
		uint64_t from = k->at;
		if (!rv_decode(w, &d) || d.op != p->op)
			continue;
		if (strchr(p->operands, '(') && !memory_aim(k, p, &w))
			continue;
		put(k, w);
		unit_end(k, from, true);
		if (!strncmp(p->operands, "rd", 2) && d.rd != 32)
			put_sum(k, d.rd);
		return;
	}
}
