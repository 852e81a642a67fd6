/* SPDX-License-Identifier: Apache-2.0 */
/* fp: binary64 arithmetic on the host (see host.h), or in integers where that is not exact.
 * Error terms: two-sum (Knuth), products and remainders by fused multiply-add, the error of a
 * fused multiply-add after Boldo and Muller. They need exponents far enough above the smallest
 * for their low halves: biased 110 is more than 2 * 53 above it. */
#include "fp/host.h"

enum { D_LOW = 110, D_HIGH = 0x7fb, D_TERM = 0x7fc, D_TOP = 0x7fe };

/* x + y - s exactly, where s = x + y rounded. */
static inline double two_sum(double x, double y, double s)
{
	double v = s - x;
	return (x - (s - v)) + (y - v);
}

static __attribute__((noinline)) uint64_t add_unusual(struct fp_env *env, uint64_t a, uint64_t b,
                                                      unsigned rm)
{
	double s = d_of(a) + d_of(b);
	/* A sum this small is exact; zero has a sign that depends on the mode. */
	if (HOST_FPU && rm != FP_RMM && d_in(d_bits(s), 1, D_HIGH) && d_in(a, 0, D_TERM) &&
	    d_in(b, 0, D_TERM))
		return d_finish(env, d_bits(s), two_sum(d_of(a), d_of(b), s), rm);
	return gen_add(env, &fmt_d, a, b, rm);
}

uint64_t fp_add_d(struct fp_env *env, uint64_t a, uint64_t b, unsigned rm)
{
	uint64_t r = d_bits(d_of(a) + d_of(b));
	if (likely(host_plain(env, rm) && d_in(r, 0, D_TOP)))
		return r;
	return add_unusual(env, a, b, rm);
}

uint64_t fp_sum_d(struct fp_env *env, uint64_t s, const uint64_t *a, size_t n, unsigned rm)
{
	bool plain = host_plain(env, rm);
	for (size_t i = 0; i < n; i++) {
		uint64_t r = d_bits(d_of(s) + d_of(a[i]));
		if (unlikely(!plain || !d_in(r, 0, D_TOP))) {
			r = fp_add_d(env, s, a[i], rm);
			plain = host_plain(env, rm);
		}
		s = r;
	}
	return s;
}

uint64_t fp_sub_d(struct fp_env *env, uint64_t a, uint64_t b, unsigned rm)
{
	return fp_add_d(env, a, b ^ fmt_sign(&fmt_d), rm);
}

HOST_FMA_FN static uint64_t mul_exact(struct fp_env *env, uint64_t a, uint64_t b, unsigned rm)
{
	double r = d_of(a) * d_of(b);
	if (d_in(d_bits(r), D_LOW, D_HIGH))
		return d_finish(env, d_bits(r), __builtin_fma(d_of(a), d_of(b), -r), rm);
	return gen_mul(env, &fmt_d, a, b, rm);
}

static __attribute__((noinline)) uint64_t mul_unusual(struct fp_env *env, uint64_t a, uint64_t b,
                                                      unsigned rm)
{
	if ((d_zero(a) && d_in(b, 0, D_TOP)) || (d_zero(b) && d_in(a, 0, D_TOP)))
		return (a ^ b) & fmt_sign(&fmt_d);
	if (host_fma() && rm != FP_RMM)
		return mul_exact(env, a, b, rm);
	return gen_mul(env, &fmt_d, a, b, rm);
}

uint64_t fp_mul_d(struct fp_env *env, uint64_t a, uint64_t b, unsigned rm)
{
	uint64_t r = d_bits(d_of(a) * d_of(b));
	if (likely(host_plain(env, rm) && d_in(r, 2, D_TOP)))
		return r;
	return mul_unusual(env, a, b, rm);
}

HOST_FMA_FN static uint64_t div_exact(struct fp_env *env, uint64_t a, uint64_t b, unsigned rm)
{
	double q = d_of(a) / d_of(b);
	if (!d_in(d_bits(q), D_LOW, D_HIGH) || !d_in(a, D_LOW, D_HIGH))
		return gen_div(env, &fmt_d, a, b, rm);
	double rest = __builtin_fma(-q, d_of(b), d_of(a));
	return d_finish(env, d_bits(q), b >> 63 ? -rest : rest, rm);
}

static __attribute__((noinline)) uint64_t div_unusual(struct fp_env *env, uint64_t a, uint64_t b,
                                                      unsigned rm)
{
	if (host_fma() && rm != FP_RMM)
		return div_exact(env, a, b, rm);
	return gen_div(env, &fmt_d, a, b, rm);
}

uint64_t fp_div_d(struct fp_env *env, uint64_t a, uint64_t b, unsigned rm)
{
	if (likely(host_plain(env, rm))) {
		uint64_t r = d_bits(d_of(a) / d_of(b));
		if (likely(d_in(r, 2, D_TOP)))
			return r;
	}
	return div_unusual(env, a, b, rm);
}

HOST_FMA_FN static uint64_t sqrt_exact(struct fp_env *env, uint64_t a, unsigned rm)
{
	double r = __builtin_sqrt(d_of(a));
	return d_finish(env, d_bits(r), __builtin_fma(-r, r, d_of(a)), rm);
}

uint64_t fp_sqrt_d(struct fp_env *env, uint64_t a, unsigned rm)
{
	bool positive = !(a >> 63) && d_in(a, D_LOW, D_TOP);
	if (likely(host_plain(env, rm) && positive))
		return d_bits(__builtin_sqrt(d_of(a)));
	if (host_fma() && rm != FP_RMM && positive)
		return sqrt_exact(env, a, rm);
	return gen_sqrt(env, &fmt_d, a, rm);
}

HOST_FMA_FN static uint64_t fma_exact(struct fp_env *env, uint64_t a, uint64_t b, uint64_t c,
                                      unsigned rm)
{
	double x = d_of(a), y = d_of(b), z = d_of(c), r = __builtin_fma(x, y, z);
	if (host_plain(env, rm) && d_in(d_bits(r), 2, D_TOP))
		return d_bits(r);
	double p = x * y;
	if (rm == FP_RMM || !d_in(d_bits(p), D_LOW, D_HIGH - 2) || !d_in(c, 0, D_HIGH - 2) ||
	    !d_in(d_bits(r), D_LOW, D_HIGH))
		return gen_fma(env, &fmt_d, a, b, c, rm);
	double low = __builtin_fma(x, y, -p), s = z + low, s_low = two_sum(z, low, s);
	double t = p + s, t_low = two_sum(p, s, t);
	return d_finish(env, d_bits(r), ((t - r) + t_low) + s_low, rm);
}

uint64_t fp_fma_d(struct fp_env *env, uint64_t a, uint64_t b, uint64_t c, unsigned rm)
{
	if (likely(host_fma()))
		return fma_exact(env, a, b, c, rm);
	return gen_fma(env, &fmt_d, a, b, c, rm);
}
