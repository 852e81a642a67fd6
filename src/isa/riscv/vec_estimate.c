/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of the 7-bit estimates of V: reciprocals and reciprocal square roots. The significand
 * of the result is that of the middle of the interval which the first bits of the operand name,
 * rounded to 7 bits; that is how the tables of the specification come about. RISC-V Unpriv
 * 20240411 §31.13.9, §31.13.10 */
#include "isa/riscv/vec_kernel.h"

struct format { unsigned frac, exp; };
static const struct format format_s = { 23, 8 }, format_d = { 52, 11 };

/* A number in parts; a subnormal one is normalized, its exponent then 0 or less. */
struct parts { uint64_t sign, sig; int64_t exp; };

static struct parts parts_of(const struct format *f, uint64_t bits)
{
	uint64_t one = UINT64_C(1) << f->frac;
	struct parts p = { .sign = bits >> (f->frac + f->exp), .sig = bits & (one - 1),
		.exp = (int64_t)(bits >> f->frac & ((UINT64_C(1) << f->exp) - 1)) };
	if (p.exp == 0 && p.sig) {
		for (p.exp = 1; !(p.sig & one); p.exp--)
			p.sig <<= 1;
		p.sig &= one - 1;
	}
	return p;
}

static uint64_t sign_bit(const struct format *f, uint64_t sign)
{
	return sign << (f->frac + f->exp);
}
static uint64_t infinity(const struct format *f)
{
	return ((UINT64_C(1) << f->exp) - 1) << f->frac;
}
static uint64_t canonical_nan(const struct format *f)
{
	return infinity(f) | UINT64_C(1) << (f->frac - 1);
}
static bool is_signalling(const struct format *f, uint64_t bits)
{
	return !(bits >> (f->frac - 1) & 1);
}

/* 7 bits of 1/x for x in [1, 2), of which @i are the first 7 bits: 128 (2/x - 1) in the middle. */
static uint64_t reciprocal7(uint64_t i)
{
	uint64_t x = 257 + 2 * i; /* 256ths */
	return (2 * 256 * 256 + x) / (2 * x) - 128;
}

/* 7 bits of 1/sqrt(x) for x in [1, 2) or, @odd, [2, 4), of which @i are the first 6 bits. */
static uint64_t root7(uint64_t i, bool odd)
{
	uint64_t x = (129 + 2 * i) << odd; /* 128ths */
	uint64_t r = 128;
	/* the nearest r: (r + 1/2) sqrt(x) still below 256, all squared */
	while ((2 * r + 1) * (2 * r + 1) * x < UINT64_C(4) * 256 * 256 * 128)
		r++;
	return r - 128;
}

static uint64_t reciprocal(struct vec *v, const struct format *f, uint64_t a)
{
	int64_t bias = (INT64_C(1) << (f->exp - 1)) - 1;
	struct parts p = parts_of(f, a);
	uint64_t sign = sign_bit(f, p.sign), one = UINT64_C(1) << f->frac;
	if (p.exp == 2 * bias + 1) {
		if (!p.sig)
			return sign;
		v->fp->flags |= is_signalling(f, a) ? FP_NV : 0;
		return canonical_nan(f);
	}
	if (p.exp == 0 && (a & ~sign_bit(f, 1)) == 0) {
		v->fp->flags |= FP_DZ;
		return sign | infinity(f);
	}
	if (p.exp < -1) { /* too small: as an overflow rounds */
		bool finite = v->rm == FP_RTZ || v->rm == (p.sign ? FP_RUP : FP_RDN);
		v->fp->flags |= FP_OF | FP_NX;
		return sign | (infinity(f) - finite);
	}
	int64_t exp = 2 * bias - 1 - p.exp;
	uint64_t sig = one | reciprocal7(p.sig >> (f->frac - 7)) << (f->frac - 7);
	if (exp <= 0) /* subnormal, and exact as an estimate */
		return sign | sig >> (1 - exp);
	return sign | (uint64_t)exp << f->frac | (sig & (one - 1));
}

static uint64_t reciprocal_root(struct vec *v, const struct format *f, uint64_t a)
{
	int64_t bias = (INT64_C(1) << (f->exp - 1)) - 1;
	struct parts p = parts_of(f, a);
	if ((a & ~sign_bit(f, 1)) == 0) {
		v->fp->flags |= FP_DZ;
		return a | infinity(f);
	}
	bool nan = p.exp == 2 * bias + 1 && p.sig;
	if (nan || p.sign) {
		v->fp->flags |= !nan || is_signalling(f, a) ? FP_NV : 0;
		return canonical_nan(f);
	}
	if (p.exp == 2 * bias + 1)
		return 0;
	uint64_t sig = root7(p.sig >> (f->frac - 6), !(p.exp & 1));
	return (uint64_t)((3 * bias - 1 - p.exp) / 2) << f->frac | sig << (f->frac - 7);
}

KERNEL(vfrec7_4, uint32_t, uint32_t, uint8_t, reciprocal(v, &format_s, a))
KERNEL(vfrec7_8, uint64_t, uint64_t, uint8_t, reciprocal(v, &format_d, a))
KERNEL_TABLE(vfrec7, NULL, NULL, vfrec7_4, vfrec7_8)
KERNEL(vfrsqrt7_4, uint32_t, uint32_t, uint8_t, reciprocal_root(v, &format_s, a))
KERNEL(vfrsqrt7_8, uint64_t, uint64_t, uint8_t, reciprocal_root(v, &format_d, a))
KERNEL_TABLE(vfrsqrt7, NULL, NULL, vfrsqrt7_4, vfrsqrt7_8)
