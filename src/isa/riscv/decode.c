/* SPDX-License-Identifier: Apache-2.0 */
/* Words to decoded instructions, by the patterns that insngen made of rv.insn.
 * Spec: RISC-V Unpriv 20240411 §2.2, §26.8 */
#include "isa/riscv/riscv.h"

static uint32_t bits(uint32_t w, unsigned hi, unsigned lo)
{
	return w >> lo & ((2u << (hi - lo)) - 1);
}

static int32_t sext(uint32_t v, unsigned n) { return (int32_t)(v << (32 - n)) >> (32 - n); }

/* Immediates of 32-bit instructions. */
static int32_t imm_long(uint32_t w, enum rv_kind kind)
{
	if (kind == RV_K_I)
		return sext(w >> 20, 12);
	if (kind == RV_K_S)
		return sext(bits(w, 31, 25) << 5 | bits(w, 11, 7), 12);
	if (kind == RV_K_B)
		return sext(bits(w, 31, 31) << 12 | bits(w, 7, 7) << 11 | bits(w, 30, 25) << 5 |
		            bits(w, 11, 8) << 1, 13);
	if (kind == RV_K_U)
		return (int32_t)(w & 0xfffff000u);
	if (kind == RV_K_J)
		return sext(bits(w, 31, 31) << 20 | bits(w, 19, 12) << 12 | bits(w, 20, 20) << 11 |
		            bits(w, 30, 21) << 1, 21);
	if (kind == RV_K_SH6)
		return (int32_t)bits(w, 25, 20);
	if (kind == RV_K_SH5)
		return (int32_t)bits(w, 24, 20);
	if (kind == RV_K_WORD)
		return (int32_t)w;
	return (int32_t)(w >> 20); /* RV_K_CSR */
}

/* Immediates of 16-bit instructions that are offsets from sp or from a register. */
static int32_t imm_short_offset(uint32_t w, enum rv_kind kind)
{
	uint32_t v = 0;
	if (kind == RV_K_C16SP)
		return sext(bits(w, 12, 12) << 9 | bits(w, 4, 3) << 7 | bits(w, 5, 5) << 6 |
		            bits(w, 2, 2) << 5 | bits(w, 6, 6) << 4, 10);
	if (kind == RV_K_C4SPN)
		v = bits(w, 10, 7) << 6 | bits(w, 12, 11) << 4 | bits(w, 5, 5) << 3 |
		    bits(w, 6, 6) << 2;
	else if (kind == RV_K_CLW)
		v = bits(w, 5, 5) << 6 | bits(w, 12, 10) << 3 | bits(w, 6, 6) << 2;
	else if (kind == RV_K_CLD)
		v = bits(w, 6, 5) << 6 | bits(w, 12, 10) << 3;
	else if (kind == RV_K_CLWSP)
		v = bits(w, 3, 2) << 6 | bits(w, 12, 12) << 5 | bits(w, 6, 4) << 2;
	else if (kind == RV_K_CLDSP)
		v = bits(w, 4, 2) << 6 | bits(w, 12, 12) << 5 | bits(w, 6, 5) << 3;
	else if (kind == RV_K_CSWSP)
		v = bits(w, 8, 7) << 6 | bits(w, 12, 9) << 2;
	else if (kind == RV_K_CSDSP)
		v = bits(w, 9, 7) << 6 | bits(w, 12, 10) << 3;
	return (int32_t)v;
}

static int32_t imm_short(uint32_t w, enum rv_kind kind)
{
	uint32_t six = bits(w, 12, 12) << 5 | bits(w, 6, 2);
	if (kind == RV_K_CI)
		return sext(six, 6);
	if (kind == RV_K_CSH)
		return (int32_t)six;
	if (kind == RV_K_CLUI)
		return (int32_t)((uint32_t)sext(six, 6) << 12);
	if (kind == RV_K_CJ)
		return sext(bits(w, 12, 12) << 11 | bits(w, 8, 8) << 10 | bits(w, 10, 9) << 8 |
		            bits(w, 6, 6) << 7 | bits(w, 7, 7) << 6 | bits(w, 2, 2) << 5 |
		            bits(w, 11, 11) << 4 | bits(w, 5, 3) << 1, 12);
	if (kind == RV_K_CB)
		return sext(bits(w, 12, 12) << 8 | bits(w, 6, 5) << 6 | bits(w, 2, 2) << 5 |
		            bits(w, 11, 10) << 3 | bits(w, 4, 3) << 1, 9);
	return imm_short_offset(w, kind);
}

static int32_t imm_field(uint32_t w, enum rv_kind kind)
{
	if (kind == RV_K_NONE)
		return 0;
	return kind >= RV_K_CI ? imm_short(w, kind) : imm_long(w, kind);
}

static uint8_t register_field(uint32_t w, enum rv_kind kind)
{
	static const struct { uint8_t shift, mask, add; } at[RV_K_RA + 1] = {
		[RV_K_R7] = { 7, 31, 0 },   [RV_K_R15] = { 15, 31, 0 }, [RV_K_R20] = { 20, 31, 0 },
		[RV_K_R27] = { 27, 31, 0 }, [RV_K_R2] = { 2, 31, 0 },   [RV_K_R2_] = { 2, 7, 8 },
		[RV_K_R7_] = { 7, 7, 8 },   [RV_K_SP] = { 0, 0, 2 },    [RV_K_RA] = { 0, 0, 1 },
	};
	return (uint8_t)((w >> at[kind].shift & at[kind].mask) + at[kind].add);
}

static bool operands_take(const struct rv_pattern *p, struct rv_insn *d)
{
	uint32_t word = d->word;
	d->rd = register_field(word, p->kind[0]);
	d->rs1 = register_field(word, p->kind[1]);
	d->rs2 = register_field(word, p->kind[2]);
	d->rs3 = register_field(word, p->kind[3]);
	d->imm = imm_field(word, p->kind[4]);
	d->aux = 0;
	if (p->kind[5] == RV_K_RM) {
		d->aux = (uint8_t)bits(word, 14, 12);
		if (d->aux == 5 || d->aux == 6)
			return false;
	} else if (p->kind[5] == RV_K_AQRL) {
		d->aux = (uint8_t)bits(word, 26, 25);
	} else if (p->kind[4] == RV_K_WORD) {
		d->rs3 = (uint8_t)(p->op - RV_OP_vsetvli);
		d->aux = (uint8_t)((p->op - RV_OP_vsetvli) >> 8);
	}
	if (((p->flags & RV_F_RD_NONZERO) && !d->rd) ||
	    ((p->flags & RV_F_RS1_NONZERO) && !d->rs1) ||
	    ((p->flags & RV_F_RS2_NONZERO) && !d->rs2) ||
	    ((p->flags & RV_F_IMM_NONZERO) && !d->imm))
		return false;
	if ((p->flags & RV_F_RD_X) && !d->rd)
		d->rd = 32;
	return true;
}

static const struct rv_pattern *pattern_find(uint32_t word)
{
	unsigned bucket = (word & 3) == 3 ? bits(word, 6, 2) << 3 | bits(word, 14, 12)
	                                  : 256 + ((word & 3) << 3 | bits(word, 15, 13));
	const struct rv_candidate *c = &rv_candidates[rv_bucket_at[bucket]];
	while ((word & c->mask) != c->match)
		c++;
	return c->pattern < RV_PATTERNS ? &rv_patterns[c->pattern] : NULL;
}

bool rv_decode(uint32_t word, struct rv_insn *ret)
{
	ret->len = (word & 3) == 3 ? 4 : 2;
	ret->word = ret->len == 4 ? word : word & 0xffff;
	ret->vtype = 0;
	const struct rv_pattern *p = pattern_find(ret->word);
	if (!p)
		return false;
	ret->op = p->op;
	return operands_take(p, ret);
}
