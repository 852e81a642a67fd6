/* SPDX-License-Identifier: Apache-2.0 */
/* What numeric instructions do where C has no operator for it, bit for bit. Without the host's
 * mathematical library: programs of other levels do not load one. Spec: WASM-CORE 2.0 §4.3 */
#pragma once
#include "base/base.h"
#include <emmintrin.h>

#define SIGN64 (1ull << 63)
#define S32(x) ((int32_t)(x))
#define S64(x) ((int64_t)(x))
#define TRUNC_TRAP(x, inside) ((inside) ? 0 : (x) != (x) ? WASM_TRAP_CONVERT : WASM_TRAP_OVERFLOW)

static inline uint32_t bits_f32(float x)
{
	uint32_t v;
	memcpy(&v, &x, 4);
	return v;
}
static inline uint64_t bits_f64(double x)
{
	uint64_t v;
	memcpy(&v, &x, 8);
	return v;
}
static inline float f32_of(uint32_t v)
{
	float x;
	memcpy(&x, &v, 4);
	return x;
}
static inline double f64_of(uint64_t v)
{
	double x;
	memcpy(&x, &v, 8);
	return x;
}

/* Rows of the same for both widths: a number of this size or above has no fraction, and adding it
 * to a smaller one rounds to nearest, ties to even. */
#define FLOATS(f, type, sign, whole)                                                               \
	static inline type f##_sign(type x, type of)                                               \
	{                                                                                          \
		return f##_of((bits_##f(x) & ~sign) | (bits_##f(of) & sign));                      \
	}                                                                                          \
	static inline type f##_nearest(type x)                                                     \
	{                                                                                          \
		type a = f##_of(bits_##f(x) & ~sign);                                              \
		if (!(a < whole))                                                                  \
			return x + 0; /* a NaN becomes a quiet one */                              \
		type sum = a + whole;                                                              \
		return f##_sign(sum - whole, x);                                                   \
	}                                                                                          \
	static inline type f##_floor(type x)                                                       \
	{                                                                                          \
		type r = f##_nearest(x);                                                           \
		return r > x ? f##_sign(r - 1, x) : r;                                             \
	}                                                                                          \
	static inline type f##_ceil(type x)                                                        \
	{                                                                                          \
		type r = f##_nearest(x);                                                           \
		return r < x ? f##_sign(r + 1, x) : r;                                             \
	}                                                                                          \
	static inline type f##_trunc(type x)                                                       \
	{                                                                                          \
		return bits_##f(x) & sign ? f##_ceil(x) : f##_floor(x);                            \
	}                                                                                          \
	static inline type f##_min(type x, type y)                                                 \
	{                                                                                          \
		if (x != x || y != y) /* the first NaN, made quiet */                              \
			return x != x ? x + x : y + y;                                             \
		return x == y ? f##_of(bits_##f(x) | bits_##f(y)) : x < y ? x : y;                 \
	}                                                                                          \
	static inline type f##_max(type x, type y)                                                 \
	{                                                                                          \
		if (x != x || y != y) /* the first NaN, made quiet */                              \
			return x != x ? x + x : y + y;                                             \
		return x == y ? f##_of(bits_##f(x) & bits_##f(y)) : x > y ? x : y;                 \
	}
FLOATS(f32, float, 0x80000000u, 0x1p23f)
FLOATS(f64, double, SIGN64, 0x1p52)
#undef FLOATS

/* Compilers exchange what they add and multiply, but of two NaNs the result is the first. */
#define FIRST(name, type, mnemonic)                                                                \
	static inline type name(type x, type y)                                                    \
	{                                                                                          \
		__asm__(mnemonic " %1, %0" : "+x"(x) : "xm"(y));                                   \
		return x;                                                                          \
	}
FIRST(f32_add, float, "addss")
FIRST(f64_add, double, "addsd")
FIRST(f32_mul, float, "mulss")
FIRST(f64_mul, double, "mulsd")
#undef FIRST

static inline float f32_sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
static inline double f64_sqrt(double x)
{
	return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(x)));
}

static inline float f32_negated(float x) { return f32_of(bits_f32(x) ^ 0x80000000); }
static inline double f64_negated(double x) { return f64_of(bits_f64(x) ^ SIGN64); }

/* Conversions that end at the ends of the range; NaN is 0. */
static inline int32_t i32_saturate(double x)
{
	return x != x ? 0 : x < -0x1p31 ? INT32_MIN : x >= 0x1p31 ? INT32_MAX : (int32_t)x;
}
static inline uint32_t u32_saturate(double x)
{
	return !(x > 0) ? 0 : x >= 0x1p32 ? UINT32_MAX : (uint32_t)x;
}
static inline int64_t i64_saturate(double x)
{
	return x != x ? 0 : x < -0x1p63 ? INT64_MIN : x >= 0x1p63 ? INT64_MAX : (int64_t)x;
}
static inline uint64_t u64_saturate(double x)
{
	return !(x > 0) ? 0 : x >= 0x1p64 ? UINT64_MAX : (uint64_t)x;
}
