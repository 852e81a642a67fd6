/* SPDX-License-Identifier: Apache-2.0 */
/* fp: binary32 arithmetic on the host (see host.h), or in integers where that is not exact.
 * Error terms come from double: a product of two singles is exact there. */
#include "fp/host.h"

enum { S_HIGH = 0xfd, S_TOP = 0xfe };

/* x + y rounded to odd: a later rounding to at most 51 bits is then correct, and a sum that is
 * not exact cannot look exact. */
static double odd_sum(double x, double y)
{
	double s = x + y, v = s - x, err = (x - (s - v)) + (y - v);
	uint64_t bits = d_bits(s);
	if (err != 0 && !(bits & 1))
		bits += (err > 0) == (s > 0) ? 1 : UINT64_MAX;
	return d_of(bits);
}

/* Round @exact (or a value rounded to odd) to single. False: not on the host. */
static inline bool s_narrow(struct fp_env *env, double exact, unsigned rm, uint32_t *ret)
{
	float r = (float)exact;
	if (!HOST_FPU || rm == FP_RMM || !s_in(s_bits(r), 2, S_HIGH))
		return false;
	*ret = s_finish(env, s_bits(r), exact - (double)r, rm);
	return true;
}

static __attribute__((noinline)) uint32_t add_unusual(struct fp_env *env, uint32_t a, uint32_t b,
                                                      unsigned rm)
{
	uint32_t r;
	if (s_narrow(env, odd_sum((double)s_of(a), (double)s_of(b)), rm, &r))
		return r;
	return (uint32_t)gen_add(env, &fmt_s, a, b, rm);
}

uint32_t fp_add_s(struct fp_env *env, uint32_t a, uint32_t b, unsigned rm)
{
	uint32_t r = s_bits(s_of(a) + s_of(b));
	if (likely(host_plain(env, rm) && s_in(r, 0, S_TOP)))
		return r;
	return add_unusual(env, a, b, rm);
}

uint32_t fp_sum_s(struct fp_env *env, uint32_t s, const uint32_t *a, size_t n, unsigned rm)
{
	bool plain = host_plain(env, rm);
	for (size_t i = 0; i < n; i++) {
		uint32_t r = s_bits(s_of(s) + s_of(a[i]));
		if (unlikely(!plain || !s_in(r, 0, S_TOP))) {
			r = fp_add_s(env, s, a[i], rm);
			plain = host_plain(env, rm);
		}
		s = r;
	}
	return s;
}

uint32_t fp_sub_s(struct fp_env *env, uint32_t a, uint32_t b, unsigned rm)
{
	return fp_add_s(env, a, b ^ (uint32_t)fmt_sign(&fmt_s), rm);
}

static __attribute__((noinline)) uint32_t mul_unusual(struct fp_env *env, uint32_t a, uint32_t b,
                                                      unsigned rm)
{
	uint32_t r;
	if ((s_zero(a) && s_in(b, 0, S_TOP)) || (s_zero(b) && s_in(a, 0, S_TOP)))
		return (a ^ b) & (uint32_t)fmt_sign(&fmt_s);
	if (s_narrow(env, (double)s_of(a) * (double)s_of(b), rm, &r))
		return r;
	return (uint32_t)gen_mul(env, &fmt_s, a, b, rm);
}

uint32_t fp_mul_s(struct fp_env *env, uint32_t a, uint32_t b, unsigned rm)
{
	uint32_t r = s_bits(s_of(a) * s_of(b));
	if (likely(host_plain(env, rm) && s_in(r, 2, S_TOP)))
		return r;
	return mul_unusual(env, a, b, rm);
}

static __attribute__((noinline)) uint32_t div_unusual(struct fp_env *env, uint32_t a, uint32_t b,
                                                      unsigned rm)
{
	double x = (double)s_of(a), y = (double)s_of(b);
	uint32_t q = s_bits(s_of(a) / s_of(b));
	if (!HOST_FPU || rm == FP_RMM || !s_in(q, 2, S_HIGH))
		return (uint32_t)gen_div(env, &fmt_s, a, b, rm);
	double rest = x - (double)s_of(q) * y; /* the product is exact, so the sign is right */
	return s_finish(env, q, b >> 31 ? -rest : rest, rm);
}

uint32_t fp_div_s(struct fp_env *env, uint32_t a, uint32_t b, unsigned rm)
{
	if (likely(host_plain(env, rm))) {
		uint32_t r = s_bits(s_of(a) / s_of(b));
		if (likely(s_in(r, 2, S_TOP)))
			return r;
	}
	return div_unusual(env, a, b, rm);
}

uint32_t fp_sqrt_s(struct fp_env *env, uint32_t a, unsigned rm)
{
	if (!HOST_FPU || rm == FP_RMM || a >> 31 || !s_in(a, 1, S_TOP))
		return (uint32_t)gen_sqrt(env, &fmt_s, a, rm);
	float r = __builtin_sqrtf(s_of(a));
	if (host_plain(env, rm))
		return s_bits(r);
	return s_finish(env, s_bits(r), (double)s_of(a) - (double)r * (double)r, rm);
}

uint32_t fp_fma_s(struct fp_env *env, uint32_t a, uint32_t b, uint32_t c, unsigned rm)
{
	uint32_t r;
	double p = (double)s_of(a) * (double)s_of(b);
	if (likely(s_narrow(env, odd_sum(p, (double)s_of(c)), rm, &r)))
		return r;
	return (uint32_t)gen_fma(env, &fmt_s, a, b, c, rm);
}
