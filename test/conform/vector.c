/* SPDX-License-Identifier: Apache-2.0 */
/* conform: words, registers and memory for programs about vectors. Their loads and stores reach
 * from VSCRATCH over the end of its page, so that some fault at some element. Spec: RISC-V
 * Unpriv 20240411 §31 */
#include "test/conform/conform.h"
#include <inttypes.h>
#include <stdio.h>

struct vector_kind vector_kind(struct rng *r, unsigned vlenb)
{
	struct vector_kind k = { .vlenb = vlenb, .sew = rng_below(r, 4) };
	do
		k.lmul = (int)rng_below(r, 7) - 3;
	while ((int)k.sew > 3 + k.lmul);
	return k;
}

static bool has(const struct rv_pattern *p, const char *operand)
{
	const char *at = strstr(p->operands, operand);
	return at && !strchr("0123456789abcdefghijklmnopqrstuvwxyz", at[strlen(operand)] | 32);
}

bool vector_names_x(const struct rv_pattern *p, const struct rv_insn *d, unsigned reg)
{
	bool rd = !strncmp(p->operands, "rd", 2);
	return (rd && d->rd == reg) || (strstr(p->operands, "rs1") && d->rs1 == reg) ||
	       (strstr(p->operands, "rs2") && d->rs2 == reg);
}

bool vector_is_plain(const struct rv_pattern *p)
{
	return !strchr(p->operands, '(') || (!has(p, "rs2") && !has(p, "vs2"));
}

/* A register that is likely to begin a group. */
static uint32_t group(struct rng *r, const struct vector_kind *k)
{
	unsigned size = k->lmul > 0 ? 1u << k->lmul : 1;
	switch (rng_below(r, 8)) {
	case 0: return rng_below(r, 32);
	case 1: return 8 * rng_below(r, 4);
	case 2: case 3: return (2 * size * rng_below(r, 16)) & 31;
	default: return (size * rng_below(r, 32)) & 31;
	}
}

/* A type that is mostly legal. */
static uint32_t any_type(struct rng *r)
{
	struct vector_kind k = vector_kind(r, 0);
	uint32_t type = (uint32_t)(k.lmul & 7) | k.sew << 3 | rng_below(r, 4) << 6;
	return rng_below(r, 8) ? type : (uint32_t)rng_next(r) & 0x1ff;
}

uint32_t vector_word(struct rng *r, const struct rv_pattern *p, const struct vector_kind *k)
{
	uint32_t vd = group(r, k), vs1 = group(r, k), vs2 = group(r, k), w = (uint32_t)rng_next(r);
	uint32_t alike = rng_below(r, 16);
	if (alike == 0)
		vd = vs2;
	if (alike == 1)
		vs1 = vs2;
	w = (w & ~0x1f00f80u) | vd << 7 | vs2 << 20;
	if (has(p, "vs1"))
		w = (w & ~0xf8000u) | vs1 << 15;
	if (has(p, "nf") && rng_below(r, 2))
		w &= ~0xc0000000u; /* one to two fields fit more often */
	if (rng_below(r, 2))
		w |= 1u << 25;
	if (!strncmp(p->name, "vset", 4))
		w = (uint32_t)rng_next(r) % 0xfffff | any_type(r) << 20;
	if (!strcmp(p->name, "vsetvl"))
		w = (uint32_t)rng_next(r);
	/* another ratio with the old vl is reserved, and not as here with the oracle */
	if (!strncmp(p->name, "vset", 4) && !(w & 0xf8f80))
		w |= 0x280;
	return (w & ~p->mask) | p->match;
}

static uint64_t any_element(struct rng *r, unsigned log2, unsigned kind)
{
	if (log2 >= 2 && kind)
		return value_float(r, log2 == 2 ? 's' : 'd', rng_next(r));
	if (log2 == 1 && kind)
		return value_float(r, 'h', rng_next(r));
	return value_int(r, rng_next(r));
}

static void fill_elements(struct rng *r, uint8_t *to, unsigned len, unsigned log2)
{
	unsigned kind = rng_below(r, 3);
	for (unsigned i = 0; i + (1u << log2) <= len; i += 1u << log2) {
		uint64_t v = any_element(r, log2, kind);
		memcpy(to + i, &v, 1u << log2);
	}
}

/* Indices in the register group of an indexed access: mostly inside of VSCRATCH. */
static void fill_indices(struct rng *r, const struct vector_kind *k, const struct rv_insn *d,
			 struct vstate *s)
{
	unsigned width = d->word >> 12 & 7, log2 = width ? width - 4 : 0;
	uint64_t mask = rng_below(r, 4) ? 0x1ff : 0x7ff;
	for (unsigned i = d->rs2 * k->vlenb; i < 32 * k->vlenb && i < (d->rs2 + 8u) * k->vlenb;
	     i += 1u << log2) {
		uint64_t v = rng_next(r) & mask;
		memcpy(s->v + i, &v, 1u << log2);
	}
}

static void fill_addresses(struct rng *r, const struct vector_kind *k,
			   const struct rv_pattern *p, const struct rv_insn *d, struct vstate *s,
			   uint64_t *x)
{
	uint64_t off = rng_below(r, VSCRATCH_SIZE), stride = rng_below(r, 64);
	if (rng_below(r, 2))
		off /= 2;
	if (rng_below(r, 4))
		off &= ~7ull;
	if (stride >= 48)
		stride = 0 - stride % 4;
	if (p && has(p, "vs2")) {
		off /= 2;
		fill_indices(r, k, d, s);
	}
	if (p && has(p, "rs2"))
		x[d->rs2] = d->rs2 ? stride : 0;
	x[d->rs1] = VSCRATCH + off;
}

void vector_fill(struct rng *r, const struct vector_kind *k, const struct rv_pattern *p,
                 const struct rv_insn *d, struct vstate *ret, uint64_t *x)
{
	unsigned vlmax = k->lmul >= 0 ? (k->vlenb >> k->sew) << k->lmul
	                              : (k->vlenb >> k->sew) >> -k->lmul;
	ret->vtype = (uint64_t)(k->lmul & 7) | k->sew << 3 | rng_below(r, 4) << 6;
	ret->vl = rng_below(r, 4) ? rng_below(r, vlmax + 1) : vlmax;
	if (rng_below(r, 16) == 0)
		ret->vl = rng_below(r, 2);
	if (rng_below(r, 64) == 0)
		ret->vtype = any_type(r) | (uint64_t)rng_below(r, 2) << 63;
	ret->vcsr = rng_below(r, 8);
	if (rng_below(r, 4) == 0)
		ret->vstart = rng_below(r, rng_below(r, 2) ? vlmax + 2 : 4);
	/* the oracle (10.0) dies of a vstart behind the end of whole registers and masks */
	if (!p || (strstr(p->operands, "(rs1)") && !has(p, "vm")))
		ret->vstart = 0;
	for (unsigned n = 0; n < 32; n++)
		fill_elements(r, ret->v + n * k->vlenb, k->vlenb,
		              rng_below(r, 4) ? k->sew : rng_below(r, 4));
	fill_elements(r, ret->mem, VSCRATCH_SIZE, k->sew);
	if (!p || strchr(p->operands, '('))
		fill_addresses(r, k, p, d, ret, x);
	else if (strstr(p->name, "slide") && rng_below(r, 4))
		x[d->rs1] = d->rs1 ? rng_below(r, vlmax + 2) : 0;
	else if (strstr(p->name, "gather") && rng_below(r, 4))
		fill_elements(r, ret->v + d->rs1 * k->vlenb, k->vlenb, 0);
	if (!p) /* a sequence's base */
		x[d->rs1] = VSCRATCH + 256;
}

bool vector_equal(const struct vstate *a, const struct vstate *b, unsigned vlenb)
{
	return a->vl == b->vl && a->vtype == b->vtype && a->vcsr == b->vcsr &&
	       a->vstart == b->vstart && !memcmp(a->v, b->v, 32 * vlenb) &&
	       !memcmp(a->mem, b->mem, sizeof a->mem);
}

static void bytes_show(const char *name, const uint8_t *p, unsigned len)
{
	printf("      %s ", name);
	for (unsigned i = len; i-- > 0;)
		printf("%02x%s", p[i], i % 8 ? "" : " ");
	printf("\n");
}

static void csrs_show(const char *name, const struct vstate *s)
{
	printf("    %s vl %" PRIu64 " vtype %" PRIx64 " vcsr %" PRIx64 " vstart %" PRIu64 "\n",
	       name, s->vl, s->vtype, s->vcsr, s->vstart);
}

void vector_show(const struct vstate *in, const struct vstate *got, const struct vstate *want,
                 unsigned vlenb)
{
	csrs_show("was   ", in);
	csrs_show("lodge ", got);
	csrs_show("oracle", want);
	for (unsigned n = 0; n < 32; n++) {
		unsigned at = n * vlenb;
		if (!memcmp(got->v + at, want->v + at, vlenb))
			continue;
		printf("    v%u\n", n);
		bytes_show("was   ", in->v + at, vlenb);
		bytes_show("lodge ", got->v + at, vlenb);
		bytes_show("oracle", want->v + at, vlenb);
	}
	for (unsigned i = 0, shown = 0; i < VSCRATCH_SIZE && shown < 8; i++)
		if (got->mem[i] != want->mem[i] && ++shown)
			printf("    mem + %u: was %02x, lodge %02x, oracle %02x\n", i, in->mem[i],
			       got->mem[i], want->mem[i]);
}
