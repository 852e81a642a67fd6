/* SPDX-License-Identifier: Apache-2.0 */
/* fp, private: how the host's FPU is used.
 *
 * The host rounds to nearest, and only that. What RISC-V needs beyond the rounded result is found
 * without reading the host's status register (slow, and shared with all code of the thread):
 *  - results in the middle of the exponent range cannot overflow, underflow or be invalid;
 *  - the rounding error of such a result is itself computed exactly (two-sum, fused multiply-add,
 *    or double for single). Not 0: NX. Its sign says whether another rounding mode wants the
 *    neighbour;
 *  - when NX is already set and the mode is nearest, the error does not matter.
 * Everything outside those ranges goes to the integer code. */
#pragma once
#include "fp/internal.h"
#include <float.h>

/* Hosts that compute in the declared type, in binary32 and binary64. */
enum { HOST_FPU = FLT_EVAL_METHOD == 0 && FLT_MANT_DIG == 24 && DBL_MANT_DIG == 53 };

#if defined(__x86_64__)
#include <sys/platform/x86.h>
#define HOST_FMA_FN __attribute__((target("fma")))
static inline bool host_fma(void) { return HOST_FPU && CPU_FEATURE_ACTIVE(FMA); }
#elif defined(__FP_FAST_FMA)
#define HOST_FMA_FN
static inline bool host_fma(void) { return HOST_FPU; }
#else
#define HOST_FMA_FN
static inline bool host_fma(void) { return false; }
#endif

static inline double d_of(uint64_t bits)
{
	double v;
	memcpy(&v, &bits, sizeof v);
	return v;
}
static inline uint64_t d_bits(double v)
{
	uint64_t bits;
	memcpy(&bits, &v, sizeof v);
	return bits;
}
static inline float s_of(uint32_t bits)
{
	float v;
	memcpy(&v, &bits, sizeof v);
	return v;
}
static inline uint32_t s_bits(float v)
{
	uint32_t bits;
	memcpy(&bits, &v, sizeof v);
	return bits;
}

/* Is the biased exponent between @lo and @hi? 1 to 0x7fe (0xfe) are the normal numbers. */
static inline bool d_in(uint64_t bits, unsigned lo, unsigned hi)
{
	return ((unsigned)(bits >> 52) & 0x7ff) - lo <= hi - lo;
}
static inline bool s_in(uint32_t bits, unsigned lo, unsigned hi)
{
	return (bits >> 23 & 0xff) - lo <= hi - lo;
}
static inline bool d_zero(uint64_t bits) { return bits << 1 == 0; }
static inline bool s_zero(uint32_t bits) { return bits << 1 == 0; }

/* Nearest and nothing left to report except what an unusual result tells. */
static inline bool host_plain(const struct fp_env *env, unsigned rm)
{
	return HOST_FPU && rm == FP_RNE && (env->flags & FP_NX);
}

/* Step of the magnitude (-1, 0, 1) from the nearest value to the one that @rm asks for.
 * @err has the sign of exact - rounded. RMM does not come here. */
static inline int host_step(bool negative, double err, unsigned rm)
{
	if (rm == FP_RDN && err < 0)
		return negative ? 1 : -1;
	if (rm == FP_RUP && err > 0)
		return negative ? -1 : 1;
	if (rm == FP_RTZ && (negative ? err > 0 : err < 0))
		return -1;
	return 0;
}
/* The result of an operation whose nearest value is @r, away from the ends of the range. */
static inline uint64_t d_finish(struct fp_env *env, uint64_t r, double err, unsigned rm)
{
	if (err == 0)
		return r;
	env->flags |= FP_NX;
	return r + (uint64_t)(int64_t)host_step(r >> 63, err, rm);
}
static inline uint32_t s_finish(struct fp_env *env, uint32_t r, double err, unsigned rm)
{
	if (err == 0)
		return r;
	env->flags |= FP_NX;
	return r + (uint32_t)host_step(r >> 31, err, rm);
}
