/* SPDX-License-Identifier: Apache-2.0 */
/* fp: what needs no arithmetic: comparison, minimum and maximum, classes, constants.
 * RISC-V Unpriv 20240411 §20.6, §20.8, §20.9, §25.1, §25.2, §25.6 */
#include "fp/internal.h"

enum { LT = 1, EQ = 2, GT = 4, UNORDERED = 8 };

/* Invalid for signalling NaNs, with @loud for every NaN. */
static inline unsigned bits_compare(struct fp_env *env, const struct fmt *f, uint64_t a,
                                    uint64_t b, bool loud)
{
	if (unlikely(bits_nan(f, a) || bits_nan(f, b))) {
		if (loud || bits_snan(f, a) || bits_snan(f, b))
			env->flags |= FP_NV;
		return UNORDERED;
	}
	uint64_t s = fmt_sign(f);
	if (a == b || !((a | b) & (s - 1)))
		return EQ;
	bool less = (a ^ b) & s ? (a & s) != 0 : (a < b) != ((a & s) != 0);
	return less ? LT : GT;
}

/* @max: the larger; @nan_wins: minm and maxm. */
static inline uint64_t bits_min(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b,
                                bool max, bool nan_wins)
{
	switch (bits_compare(env, f, a, b, false)) {
	case LT: return max ? b : a;
	case GT: return max ? a : b;
	case EQ: return max ? a & b : a | b; /* differs for zeros of unlike sign only */
	default: break;
	}
	if (nan_wins || (bits_nan(f, a) && bits_nan(f, b)))
		return fmt_nan(f);
	return bits_nan(f, a) ? b : a;
}

static inline uint32_t bits_class(const struct fmt *f, uint64_t a)
{
	bool sign = (a & fmt_sign(f)) != 0;
	uint64_t mag = a & (fmt_sign(f) - 1);
	if (bits_nan(f, a))
		return bits_snan(f, a) ? 1u << 8 : 1u << 9;
	unsigned i = mag == fmt_inf(f) ? 3 : mag >> f->frac ? 2 : mag ? 1 : 0;
	return 1u << (sign ? 3 - i : 4 + i);
}

#define FORMAT(x, T)                                                                               \
	T fp_min_##x(struct fp_env *env, T a, T b)                                                 \
	{                                                                                          \
		return (T)bits_min(env, &fmt_##x, a, b, false, false);                             \
	}                                                                                          \
	T fp_max_##x(struct fp_env *env, T a, T b)                                                 \
	{                                                                                          \
		return (T)bits_min(env, &fmt_##x, a, b, true, false);                              \
	}                                                                                          \
	T fp_minm_##x(struct fp_env *env, T a, T b)                                                \
	{                                                                                          \
		return (T)bits_min(env, &fmt_##x, a, b, false, true);                              \
	}                                                                                          \
	T fp_maxm_##x(struct fp_env *env, T a, T b)                                                \
	{                                                                                          \
		return (T)bits_min(env, &fmt_##x, a, b, true, true);                               \
	}                                                                                          \
	uint32_t fp_eq_##x(struct fp_env *env, T a, T b)                                           \
	{                                                                                          \
		return bits_compare(env, &fmt_##x, a, b, false) == EQ;                             \
	}                                                                                          \
	uint32_t fp_lt_##x(struct fp_env *env, T a, T b)                                           \
	{                                                                                          \
		return bits_compare(env, &fmt_##x, a, b, true) == LT;                              \
	}                                                                                          \
	uint32_t fp_le_##x(struct fp_env *env, T a, T b)                                           \
	{                                                                                          \
		return (bits_compare(env, &fmt_##x, a, b, true) & (LT | EQ)) != 0;                 \
	}                                                                                          \
	uint32_t fp_ltq_##x(struct fp_env *env, T a, T b)                                          \
	{                                                                                          \
		return bits_compare(env, &fmt_##x, a, b, false) == LT;                             \
	}                                                                                          \
	uint32_t fp_leq_##x(struct fp_env *env, T a, T b)                                          \
	{                                                                                          \
		return (bits_compare(env, &fmt_##x, a, b, false) & (LT | EQ)) != 0;                \
	}                                                                                          \
	uint32_t fp_class_##x(struct fp_env *env, T a)                                             \
	{                                                                                          \
		(void)env;                                                                         \
		return bits_class(&fmt_##x, a);                                                    \
	}

FORMAT(h, uint16_t)
FORMAT(s, uint32_t)
FORMAT(d, uint64_t)

/* The constants of fli as binary64; narrower formats convert (2^16 overflows binary16 to
 * infinity, as the specification asks). Entry 1, the smallest normal number, is of the format. */
static const uint64_t fli[32] = {
	0xbff0000000000000, 0,                  0x3ef0000000000000, 0x3f00000000000000,
	0x3f70000000000000, 0x3f80000000000000, 0x3fb0000000000000, 0x3fc0000000000000,
	0x3fd0000000000000, 0x3fd4000000000000, 0x3fd8000000000000, 0x3fdc000000000000,
	0x3fe0000000000000, 0x3fe4000000000000, 0x3fe8000000000000, 0x3fec000000000000,
	0x3ff0000000000000, 0x3ff4000000000000, 0x3ff8000000000000, 0x3ffc000000000000,
	0x4000000000000000, 0x4004000000000000, 0x4008000000000000, 0x4010000000000000,
	0x4020000000000000, 0x4030000000000000, 0x4060000000000000, 0x4070000000000000,
	0x40e0000000000000, 0x40f0000000000000, 0x7ff0000000000000, 0x7ff8000000000000,
};

static uint64_t fli_in(const struct fmt *f, unsigned i)
{
	struct fp_env unused = { 0 };
	if (i == 1)
		return 1ull << f->frac;
	return gen_cvt(&unused, f, &fmt_d, fli[i & 31], FP_RNE);
}
uint16_t fp_fli_h(unsigned i) { return (uint16_t)fli_in(&fmt_h, i); }
uint32_t fp_fli_s(unsigned i) { return (uint32_t)fli_in(&fmt_s, i); }
uint64_t fp_fli_d(unsigned i) { return fli_in(&fmt_d, i); }
