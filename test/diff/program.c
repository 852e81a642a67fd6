/* SPDX-License-Identifier: Apache-2.0 */
/* diff: programs that end by themselves.
 *
 * A program is rounds of a body that is made of units; a round starts with other register values.
 * Of the registers, those in free_reg are for anything; the others hold what keeps a program from
 * running away:
 *   sp s0   pointers into DATA        s1      any pointer, also bad ones
 *   ra      links only: a link that is a little off would end up in the middle of instructions
 *   gp      table of addresses        s2-s5   counters of loops and of recursion
 *   s8 s9   rounds left, VALUES       s10     where to go on after a failed fetch; 0: end
 *   s11     fuel, one for each way backward or through a register
 *   s6      sum of results, so that one that is lost before the end is seen all the same
 *   tp s7   of the M handler
 * Stores reach code only where fence.i follows, because engines may differ in when they see it. */
#include "test/diff/asm.h"
#include "test/diff/diff.h"
#include "test/diff/make.h"

static const uint8_t free_reg[] = {T0, T1, T2, A0, A1, A2, A3, A4, A5, A6, A7, T3, T4, T5, T6};

unsigned reg_free(struct making *k) { return free_reg[rng_below(&k->rng, countof(free_reg))]; }
bool reg_is_free(unsigned reg) { return memchr(free_reg, (int)reg, sizeof free_reg) != NULL; }
unsigned reg_any(struct making *k) { return rng_below(&k->rng, 32); }

/* ---- words and units ---- */

uint8_t *make_at(struct making *k, uint64_t at) { return k->p->image + (at - RAM_AT); }

void put(struct making *k, uint32_t word)
{
	le16_put(make_at(k, k->at), (uint16_t)word);
	if ((word & 3) == 3)
		le16_put(make_at(k, k->at + 2), (uint16_t)(word >> 16));
	k->at += (word & 3) == 3 ? 4 : 2;
}

/* All since @from is one unit. */
void unit_end(struct making *k, uint64_t from, bool removable)
{
	struct program *p = k->p;
	if (p->units == UNITS_MAX || k->at == from)
		return;
	p->unit[p->units++] =
	    (struct unit){(uint32_t)(from - RAM_AT), (uint32_t)(k->at - from), removable};
}

void put_li(struct making *k, unsigned rd, int32_t v)
{
	int32_t low = (int32_t)((uint32_t)v << 20) >> 20;
	uint32_t high = ((uint32_t)v - (uint32_t)low) >> 12;
	if (high) {
		put(k, lui(rd, high & 0xfffff));
		put(k, addi(rd, rd, low));
	} else {
		put(k, addi(rd, ZERO, low));
	}
}

/* One unit of fuel; without it the program ends here. */
void put_fuel(struct making *k)
{
	uint64_t from = k->at;
	put(k, addi(S11, S11, -1));
	put(k, branch(5, S11, ZERO, 8)); /* bgez */
	put(k, jal(ZERO, (int64_t)(k->exit - k->at)));
	unit_end(k, from, false);
}

/* @reg goes into the sum. */
void put_sum(struct making *k, unsigned reg)
{
	uint64_t from = k->at;
	put(k, add(S6, S6, reg));
	put(k, i_word(0x13, 5, S6, S6, 0x600 | 13)); /* rori */
	unit_end(k, from, true);
}

/* All free registers and those of floating point, whose flags are in the final state. */
void put_sum_all(struct making *k)
{
	for (unsigned i = 0; i < countof(free_reg); i++)
		put_sum(k, free_reg[i]);
	for (unsigned i = 0; k->p->kind & WITH_FP && i < 32; i++) {
		put(k, 0xe2000053 | T0 << 7 | i << 15); /* fmv.x.d */
		put_sum(k, T0);
	}
}

/* ---- one instruction of the table ---- */

static bool name_is(const struct rv_pattern *p, const char *start)
{
	return !strncmp(p->name, start, strlen(start));
}
static bool is_jump(const struct rv_pattern *p)
{
	uint8_t i = p->kind[4];
	return i == RV_K_J || i == RV_K_B || i == RV_K_CJ || i == RV_K_CB || name_is(p, "jalr") ||
	       name_is(p, "c.jr") || name_is(p, "c.jalr");
}
static bool is_memory(const struct rv_pattern *p)
{
	return strchr(p->operands, '(') && !is_jump(p);
}
static bool is_system(const struct rv_pattern *p)
{
	return p->kind[4] == RV_K_CSR || !strcmp(p->ext, "S-mode") || !strcmp(p->ext, "M-mode") ||
	       !strcmp(p->ext, "Svinval") || strstr(p->name, "ebreak") || name_is(p, "ecall");
}

void patterns_sort(struct making *k, const char *only)
{
	for (unsigned i = 0; i < RV_PATTERNS; i++) {
		const struct rv_pattern *p = &rv_patterns[i];
		bool mine = only && !strcmp(p->name, only);
		unsigned n = mine ? 400 : 1;
		if (!strcmp(p->ext, "V")) {
			n = !mine && vector_is_usual(p) ? 16 : n;
			while (n-- && k->vector.n < SORTED_MAX)
				k->vector.p[k->vector.n++] = p;
			continue;
		}
		if (is_jump(p) || is_system(p) || p->kind[0] == RV_K_SP || n > SORTED_MAX / 4)
			continue;
		bool amo = p->kind[5] == RV_K_AQRL || name_is(p, "cbo");
		struct sorted *to = amo            ? &k->atomic
				    : is_memory(p) ? &k->memory
				    : strchr("FDZ", p->ext[0]) && strstr(p->operands, "f") &&
					    strcmp(p->name, "fence")
					? &k->fp
					: &k->plain;
		while (n-- && to->n < SORTED_MAX)
			to->p[to->n++] = p;
	}
}

static const struct rv_pattern *pick(struct making *k, const struct sorted *from)
{
	return from->p[rng_below(&k->rng, from->n)];
}

/* Put a register into the field that @kind names. */
static uint32_t field_put(uint32_t w, uint8_t kind, unsigned reg)
{
	switch (kind) {
	case RV_K_R7: return (w & ~(31u << 7)) | reg << 7;
	case RV_K_R15: return (w & ~(31u << 15)) | reg << 15;
	case RV_K_R7_: return (w & ~(7u << 7)) | (reg & 7) << 7;
	case RV_K_R2_: return (w & ~(7u << 2)) | (reg & 7) << 2;
	default: return w;
	}
}

/* Fields with edges: all zeros or ones in an immediate, equal registers, few float registers. */
static uint32_t word_random(struct making *k, const struct rv_pattern *p)
{
	struct rng *r = &k->rng;
	uint32_t v = (uint32_t)rng_next(r);
	bool wide = (p->match & 3) == 3;
	switch (rng_below(r, 8)) {
	case 0: v |= wide ? 0xfff00000 : 0x1c7c; break;
	case 1: v &= wide ? 0x000fffff : ~0x1c7cu; break;
	case 2: v = (v & ~0xf80u) | (v >> 8 & 0xf80); break;
	case 3: v = (v & ~0x1f00000u) | (v << 5 & 0x1f00000); break;
	case 4: v |= 0x7000; break; /* dynamic rounding */
	default: break;
	}
	if (p->flags & RV_F_RD_X) {
		unsigned rd = reg_free(k);
		if (p->kind[0] == RV_K_R7_ || p->kind[0] == RV_K_R2_)
			rd = 10 + rng_below(r, 6);
		else if (rng_below(r, 32) == 0)
			rd = 0;
		v = field_put(v, p->kind[0], rd);
	}
	v = (v & ~p->mask) | p->match;
	return wide ? v : v & 0xffff;
}

/* An instruction of @from that writes no register it must not. */
void put_one(struct making *k, const struct sorted *from)
{
	for (unsigned i = 0; i < 50; i++) {
		const struct rv_pattern *p = pick(k, from);
		uint32_t w = word_random(k, p);
		struct rv_insn d;
		if (!rv_decode(w, &d) || d.op != p->op)
			continue;
		if (p->flags & RV_F_RD_X && d.rd != 32 && !reg_is_free(d.rd))
			continue;
		uint64_t from_at = k->at;
		put(k, w);
		unit_end(k, from_at, true);
		if (p->flags & RV_F_RD_X && rng_below(&k->rng, 2))
			put_sum(k, d.rd % 32);
		return;
	}
}

/* A load or store by one of the pointers. */
void put_memory(struct making *k)
{
	static const uint8_t pointers[] = {S0, S1, S1, SP};
	struct rng *r = &k->rng;
	for (unsigned i = 0; i < 50; i++) {
		const struct rv_pattern *p = pick(k, &k->memory);
		uint32_t w = word_random(k, p);
		struct rv_insn d;
		unsigned base = p->kind[1] == RV_K_R7_ ? S0 + rng_below(r, 2)
						       : pointers[rng_below(r, countof(pointers))];
		w = field_put(w, p->kind[1], base);
		if (p->kind[4] == RV_K_I || p->kind[4] == RV_K_S) /* mostly near */
			if (rng_below(r, 4))
				w = (int32_t)w < 0 ? w | 0xf0000000 : w & ~0xf0000000u;
		if (!rv_decode(w, &d) || d.op != p->op ||
		    (d.rs1 != S0 && d.rs1 != S1 && d.rs1 != SP))
			continue;
		if (p->flags & RV_F_RD_X && d.rd != 32 && !reg_is_free(d.rd))
			continue;
		if (d.rs1 == SP && d.imm > FRAME - 16) /* saved links are above */
			continue;
		uint64_t from = k->at;
		put(k, w);
		unit_end(k, from, true);
		return;
	}
}

/* An atomic or a cache operation: these have no offset. */
void put_atomic(struct making *k)
{
	static const uint8_t pairs[] = {T1, A0, A2, A4, A6, T3, T5};
	static const uint8_t pointers[] = {S0, S0, S1, S1};
	struct rng *r = &k->rng;
	const struct rv_pattern *p = pick(k, &k->atomic);
	uint32_t w = word_random(k, p);
	unsigned base = reg_free(k);
	int align = strstr(p->name, ".q") ? 16 : strstr(p->name, ".d") ? 8 : 4;
	int imm = ((int)rng_below(r, 256) - 128) * (rng_below(r, 32) ? align : 1);
	uint64_t from = k->at;
	put(k, addi(base, pointers[rng_below(r, 4)], imm));
	if (rng_below(r, 16)) /* pointers need not be aligned */
		put(k, andi(base, base, -align));
	w = field_put(w, RV_K_R15, base);
	if (strstr(p->name, "amocas.q"))
		w = field_put(w, RV_K_R7, pairs[rng_below(r, countof(pairs))]);
	put(k, w);
	unit_end(k, from, true);
}
