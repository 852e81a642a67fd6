/* SPDX-License-Identifier: Apache-2.0 */
/* Runners of mask instructions and permutations of V. RISC-V Unpriv 20240411 §31.15, §31.16 */
#include "isa/riscv/vec.h"

/* ---- masks ---- */

static unsigned logic_byte(unsigned op, unsigned a, unsigned b)
{
	switch (op) { /* funct6 & 7 */
	case 0: return a & ~b;
	case 1: return a & b;
	case 2: return a | b;
	case 3: return a ^ b;
	case 4: return a | ~b;
	case 5: return ~(a & b);
	case 6: return ~(a | b);
	default: return ~(a ^ b);
	}
}

uint64_t vec_run_logic(struct vec *v)
{
	unsigned op = v->word >> 26 & 7;
	const uint8_t *a = vec_reg(v, v->vs2), *b = vec_reg(v, v->vs1);
	uint8_t *d = vec_reg(v, v->vd);
	for (uint64_t i = v->start; i < v->vl;) {
		unsigned r = logic_byte(op, a[i / 8], b[i / 8]) & 255;
		if (i % 8 == 0 && v->vl - i >= 8) {
			d[i / 8] = (uint8_t)r;
			i += 8;
		} else {
			vec_bit_set(d, i, r >> i % 8 & 1);
			i++;
		}
	}
	return 0;
}

uint64_t vec_run_count(struct vec *v)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < v->vl; i++)
		n += vec_active(v, i) && vec_bit(vec_reg(v, v->vs2), i);
	return n;
}

static uint64_t first_set(const struct vec *v)
{
	const uint8_t *m = vec_reg(v, v->vs2);
	for (uint64_t i = 0; i < v->vl; i++) {
		if (i % 8 == 0 && !m[i / 8])
			i += 7;
		else if (vec_bit(m, i) && vec_active(v, i))
			return i;
	}
	return UINT64_MAX;
}

uint64_t vec_run_first_set(struct vec *v) { return first_set(v); }

/* vmsbf, vmsof, vmsif: before, only, up to the first. §31.15.4 */
uint64_t vec_run_set_around(struct vec *v)
{
	bool before = v->vs1 & 1, at = v->vs1 & 2;
	uint64_t first = first_set(v);
	for (uint64_t i = 0; i < v->vl; i++)
		if (vec_active(v, i))
			vec_bit_set(vec_reg(v, v->vd), i,
			            i < first ? before : i == first && at);
	return 0;
}

uint64_t vec_run_iota(struct vec *v)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < v->vl; i++)
		if (vec_active(v, i)) {
			vec_put(vec_reg(v, v->vd), i, v->sew, n);
			n += vec_bit(vec_reg(v, v->vs2), i);
		}
	return 0;
}

uint64_t vec_run_index(struct vec *v)
{
	for (uint64_t i = v->start; i < v->vl; i++)
		if (vec_active(v, i))
			vec_put(vec_reg(v, v->vd), i, v->sew, i);
	return 0;
}

/* ---- scalars. §31.16.1, §31.16.2 ---- */

/* These do not depend on vl. */
uint64_t vec_run_to_x(struct vec *v)
{
	unsigned shift = 64 - (8u << v->sew);
	return (uint64_t)((int64_t)(vec_get(vec_reg(v, v->vs2), 0, v->sew) << shift) >> shift);
}

uint64_t vec_run_to_f(struct vec *v)
{
	uint64_t f = vec_get(vec_reg(v, v->vs2), 0, v->sew);
	return v->sew == 2 ? f | UINT64_C(0xffffffff00000000) : f;
}

uint64_t vec_run_from_scalar(struct vec *v)
{
	if (v->start < v->vl)
		vec_put(vec_reg(v, v->vd), 0, v->sew, v->x);
	return 0;
}

/* ---- slides. §31.16.3 ---- */

uint64_t vec_run_slide_up(struct vec *v)
{
	const uint8_t *a = vec_reg(v, v->vs2);
	for (uint64_t i = v->start > v->x ? v->start : v->x; i < v->vl; i++)
		if (vec_active(v, i))
			vec_put(vec_reg(v, v->vd), i, v->sew, vec_get(a, i - v->x, v->sew));
	return 0;
}

uint64_t vec_run_slide_down(struct vec *v)
{
	const uint8_t *a = vec_reg(v, v->vs2);
	uint64_t max = vec_vlmax(v);
	for (uint64_t i = v->start; i < v->vl; i++)
		if (vec_active(v, i)) {
			bool in = v->x < max && i + v->x < max;
			vec_put(vec_reg(v, v->vd), i, v->sew,
			        in ? vec_get(a, i + v->x, v->sew) : 0);
		}
	return 0;
}

uint64_t vec_run_slide_up1(struct vec *v)
{
	const uint8_t *a = vec_reg(v, v->vs2);
	for (uint64_t i = v->start; i < v->vl; i++)
		if (vec_active(v, i))
			vec_put(vec_reg(v, v->vd), i, v->sew,
			        i ? vec_get(a, i - 1, v->sew) : v->x);
	return 0;
}

uint64_t vec_run_slide_down1(struct vec *v)
{
	const uint8_t *a = vec_reg(v, v->vs2);
	for (uint64_t i = v->start; i < v->vl; i++)
		if (vec_active(v, i))
			vec_put(vec_reg(v, v->vd), i, v->sew,
			        i + 1 < v->vl ? vec_get(a, i + 1, v->sew) : v->x);
	return 0;
}

/* ---- gather, compress, whole registers. §31.16.4 to §31.16.6 ---- */

uint64_t vec_run_gather(struct vec *v)
{
	const uint8_t *a = vec_reg(v, v->vs2), *b = vec_reg(v, v->vs1);
	unsigned b_log2 = v->op->vs1 ? (unsigned)vec_eew(v, v->op->vs1) : 0;
	uint64_t max = vec_vlmax(v);
	for (uint64_t i = v->start; i < v->vl; i++)
		if (vec_active(v, i)) {
			uint64_t from = v->op->vs1 ? vec_get(b, i, b_log2) : v->x;
			vec_put(vec_reg(v, v->vd), i, v->sew,
			        from < max ? vec_get(a, from, v->sew) : 0);
		}
	return 0;
}

uint64_t vec_run_compress(struct vec *v)
{
	const uint8_t *a = vec_reg(v, v->vs2), *m = vec_reg(v, v->vs1);
	uint64_t n = 0;
	for (uint64_t i = 0; i < v->vl; i++)
		if (vec_bit(m, i))
			vec_put(vec_reg(v, v->vd), n++, v->sew, vec_get(a, i, v->sew));
	return 0;
}

uint64_t vec_run_move_whole(struct vec *v)
{
	unsigned n = v->vs1 + 1u; /* the encoding says how many less one */
	if (v->h->vtype == RV_VTYPE_ILL || v->vd % n || v->vs2 % n)
		return rv_raise(v->h, RV_EXC_ILLEGAL, 0);
	uint64_t from = v->start << v->sew, len = n * v->h->vlenb;
	if (from < len)
		memmove(vec_reg(v, v->vd) + from, vec_reg(v, v->vs2) + from, len - from);
	return 0;
}
