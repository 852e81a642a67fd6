/* SPDX-License-Identifier: Apache-2.0 */
/* Which encodings of V are reserved under which vtype: all are illegal instructions. Loads,
 * stores and moves of whole registers check themselves (vec_mem.c, vec_perm.c). RISC-V Unpriv
 * 20240411 §31.3.4, §31.5.2, §31.5.3 */
#include "isa/riscv/vec.h"

/* An operand: registers [reg, reg + size). */
struct operand {
	unsigned reg, size;
	int eew, emul;          /* log2: bytes (-3 a bit), registers */
	bool one;               /* only its first element counts */
};

bool vec_overlap(unsigned a, unsigned n, unsigned b, unsigned m) { return a < b + m && b < a + n; }

static bool overlap(const struct operand *a, const struct operand *b)
{
	return vec_overlap(a->reg, a->size, b->reg, b->size);
}

/* False: there is no such width or group, or it does not begin where it must. */
static bool operand_make(const struct vec *v, enum vec_width w, unsigned reg, struct operand *ret)
{
	*ret = (struct operand){ .reg = reg, .size = 1, .eew = vec_eew(v, w),
		.one = w == W_E || w == W_ED };
	if (w == W_M)
		return true;
	if (ret->eew < 0 || ret->eew > 3)
		return false;
	if (ret->one)
		return true;
	ret->emul = v->lmul + ret->eew - (int)v->sew;
	ret->size = vec_group(ret->emul);
	return ret->emul >= -3 && ret->emul <= 3 && reg % ret->size == 0;
}

/* May @d be written while @s is read? §31.5.2 */
static bool dest_fits(const struct vec *v, const struct operand *d, const struct operand *s)
{
	if (d->one || s->one || !overlap(d, s))
		return true;
	if (v->op->flags & VEC_APART)
		return false;
	if (d->eew == s->eew)
		return true;
	if (d->eew < s->eew)
		return d->reg == s->reg; /* the lowest part of the source */
	return s->emul >= 0 && d->reg + d->size == s->reg + s->size;
}

/* No register is read with two widths. That is reserved, not illegal; where it harms nobody
 * (masks and single elements as results, carries, vcompress) programs get away with it
 * elsewhere, and here. */
static bool sources_agree(const struct vec *v, const struct operand *s, unsigned n)
{
	const struct vec_op *op = v->op;
	if (op->vd == W_M || op->vd == W_E || op->vd == W_ED || op->vs1 == W_M ||
	    op->run == vec_run_carry)
		return true;
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = i + 1; j < n; j++)
			if (s[i].eew != s[j].eew && overlap(&s[i], &s[j]))
				return false;
	return true;
}

/* Sources of an instruction, vd and the mask among them. */
static bool operands_ok(const struct vec *v)
{
	struct operand d = { 0 }, s[4];
	const struct vec_op *op = v->op;
	const struct operand mask = { .size = 1, .eew = -3 };
	unsigned n = 0;
	if (op->vd && !operand_make(v, op->vd, v->vd, &d))
		return false;
	if (op->vs2 && !operand_make(v, op->vs2, v->vs2, &s[n++]))
		return false;
	if (op->vs1 && !operand_make(v, op->vs1, v->vs1, &s[n++]))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (op->vd && !dest_fits(v, &d, &s[i]))
			return false;
	if (v->masked && op->vd && v->vd == 0 && !d.one &&
	    (op->vd != W_M || op->flags & VEC_APART))
		return false;
	if (v->masked)
		s[n++] = mask;
	if (op->flags & VEC_ADDS)
		s[n++] = d;
	return sources_agree(v, s, n);
}

static bool float_ok(const struct vec *v)
{
	return v->h->fs && v->rm < 5 && v->op->flags & VEC_FP(v->sew);
}

bool vec_check(const struct vec *v)
{
	const struct vec_op *op = v->op;
	if (!op->vd && !op->vs2)
		return true;
	if (v->h->vtype == RV_VTYPE_ILL || (op->flags & VEC_FLOAT && !float_ok(v)) ||
	    (op->flags & VEC_START0 && v->start))
		return false;
	return operands_ok(v);
}
