/* SPDX-License-Identifier: Apache-2.0 */
/* Runners of what is done element by element, of comparisons, carries, merges and reductions.
 * RISC-V Unpriv 20240411 §31.5.3, §31.11, §31.14 */
#include "isa/riscv/vec.h"

struct sources {
	const uint8_t *a, *b;
	unsigned a_log2, b_log2;
	_Alignas(64) uint8_t a_copy[VEC_GROUP_MAX], b_copy[VEC_GROUP_MAX];
};

/* The group at @reg, or a copy of it where results of another width come to lie on it. */
static const uint8_t *source_at(const struct vec *v, unsigned reg, int eew, uint8_t *copy)
{
	const struct vec_op *op = v->op;
	int d_eew = op->vd ? vec_eew(v, op->vd) : eew;
	unsigned size = vec_group(v->lmul + eew - (int)v->sew);
	if (d_eew == eew || eew < 0 || op->vd == W_M)
		return vec_reg(v, reg);
	if (!vec_overlap(v->vd, vec_group(v->lmul + d_eew - (int)v->sew), reg, size))
		return vec_reg(v, reg);
	memcpy(copy, vec_reg(v, reg), size * v->h->vlenb);
	return copy;
}

static void sources_find(const struct vec *v, struct sources *s)
{
	const struct vec_op *op = v->op;
	int eew = vec_eew(v, op->vs2 ? op->vs2 : W_S), eew1 = vec_eew(v, op->vs1 ? op->vs1 : W_S);
	s->a_log2 = (unsigned)eew;
	s->b_log2 = (unsigned)eew1;
	if (op->vs1) {
		s->b = source_at(v, v->vs1, eew1, s->b_copy);
	} else {
		/* also where it is not used: kernels look at it all the same */
		vec_splat(v, s->b_copy, v->vl);
		s->b = s->b_copy;
	}
	s->a = op->vs2 ? source_at(v, v->vs2, eew, s->a_copy) : s->b;
}

uint64_t vec_run_elements(struct vec *v)
{
	struct sources s;
	uint64_t n, i = v->start;
	if (v->start >= v->vl)
		return 0;
	sources_find(v, &s);
	unsigned d_log2 = (unsigned)vec_eew(v, v->op->vd);
	uint8_t *d = vec_reg(v, v->vd);
	for (; (n = vec_next_run(v, &i)); i += n)
		v->op->kernel[v->sew](v, d + (i << d_log2), s.a + (i << s.a_log2),
		                      s.b + (i << s.b_log2), n);
	return 0;
}

/* Kernels of comparisons give a byte, 0 or 1, for each element. */
uint64_t vec_run_compare(struct vec *v)
{
	struct sources s;
	uint8_t is[VEC_GROUP_MAX];
	uint64_t n, i = v->start;
	if (v->start >= v->vl)
		return 0;
	sources_find(v, &s);
	for (; (n = vec_next_run(v, &i)); i += n)
		v->op->kernel[v->sew](v, is + i, s.a + (i << v->sew), s.b + (i << v->sew), n);
	for (i = v->start; i < v->vl; i++)
		if (vec_active(v, i))
			vec_bit_set(vec_reg(v, v->vd), i, is[i]);
	return 0;
}

/* vadc, vsbc and the carries out of them. v0 is an operand, all elements are active. §31.11.4 */
uint64_t vec_run_carry(struct vec *v)
{
	uint8_t in[VEC_GROUP_MAX] = { 0 };
	for (uint64_t i = 0; v->masked && i < v->vl; i++)
		in[i] = vec_bit(v->h->v, i);
	v->masked = false;
	v->carry = in + v->start;
	return v->op->vd == W_M ? vec_run_compare(v) : vec_run_elements(v);
}

/* vmerge, vfmerge: v0 chooses. §31.11.15 */
uint64_t vec_run_merge(struct vec *v)
{
	struct sources s;
	uint8_t *d = vec_reg(v, v->vd);
	if (v->start >= v->vl)
		return 0;
	sources_find(v, &s);
	for (uint64_t i = v->start; i < v->vl; i++)
		vec_put(d, i, v->sew, vec_get(vec_bit(v->h->v, i) ? s.b : s.a, i, v->sew));
	return 0;
}

/* vd[0] = vs1[0] and all active elements of vs2; kernels gather in d. §31.14 */
uint64_t vec_run_reduce(struct vec *v)
{
	uint64_t n, i = 0, sum = vec_get(vec_reg(v, v->vs1), 0, (unsigned)vec_eew(v, v->op->vs1));
	const uint8_t *a = vec_reg(v, v->vs2);
	if (!v->vl)
		return 0;
	for (; (n = vec_next_run(v, &i)); i += n)
		v->op->kernel[v->sew](v, &sum, a + (i << v->sew), NULL, n);
	vec_put(vec_reg(v, v->vd), 0, (unsigned)vec_eew(v, v->op->vd), sum);
	return 0;
}
