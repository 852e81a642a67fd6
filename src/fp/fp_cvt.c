/* SPDX-License-Identifier: Apache-2.0 */
/* fp: conversions of binary32 and binary64, to integers and between each other, on the host (see
 * host.h) or in integers. RISC-V Unpriv 20240411 §20.7, §21.5, §25.3, §25.4 */
#include "fp/host.h"

/* @x rounded to an integer by @rm. False (nothing set) for a NaN and beyond 2^62. */
static inline bool host_int(double x, unsigned rm, int64_t *ret, bool *ret_inexact)
{
	if (!HOST_FPU || !(x > -0x1p62 && x < 0x1p62))
		return false;
	int64_t i = (int64_t)x;
	double rest = x - (double)i; /* exact: below 2^53 all is exact, above rest is 0 */
	*ret_inexact = rest != 0;
	if (rest != 0 && rm != FP_RTZ) {
		double r = rest < 0 ? -rest : rest;
		i += gen_up(rest < 0, i & 1, r >= 0.5, r != 0.5, rm) ? (rest < 0 ? -1 : 1) : 0;
	}
	*ret = i;
	return true;
}

/* As gen_to_int, of a value that double holds exactly. */
static inline bool host_to_int(struct fp_env *env, double x, unsigned rm, int64_t min, int64_t max,
                               int64_t *ret)
{
	bool inexact;
	if (!host_int(x, rm, ret, &inexact) || *ret < min || *ret > max)
		return false;
	if (inexact)
		env->flags |= FP_NX;
	return true;
}

uint32_t fp_cvt_w_d(struct fp_env *env, uint64_t a, unsigned rm)
{
	int64_t i;
	if (likely(host_to_int(env, d_of(a), rm, INT32_MIN, INT32_MAX, &i)))
		return (uint32_t)i;
	return (uint32_t)gen_to_int(env, &fmt_d, a, rm, 32, true);
}

uint32_t fp_cvt_wu_d(struct fp_env *env, uint64_t a, unsigned rm)
{
	int64_t i;
	if (likely(host_to_int(env, d_of(a), rm, 0, UINT32_MAX, &i)))
		return (uint32_t)i;
	return (uint32_t)gen_to_int(env, &fmt_d, a, rm, 32, false);
}

uint64_t fp_cvt_l_d(struct fp_env *env, uint64_t a, unsigned rm)
{
	int64_t i;
	if (likely(host_to_int(env, d_of(a), rm, INT64_MIN, INT64_MAX, &i)))
		return (uint64_t)i;
	return gen_to_int(env, &fmt_d, a, rm, 64, true);
}

uint64_t fp_cvt_lu_d(struct fp_env *env, uint64_t a, unsigned rm)
{
	int64_t i;
	if (likely(host_to_int(env, d_of(a), rm, 0, INT64_MAX, &i)))
		return (uint64_t)i;
	return gen_to_int(env, &fmt_d, a, rm, 64, false);
}

uint32_t fp_cvt_w_s(struct fp_env *env, uint32_t a, unsigned rm)
{
	int64_t i;
	if (likely(host_to_int(env, (double)s_of(a), rm, INT32_MIN, INT32_MAX, &i)))
		return (uint32_t)i;
	return (uint32_t)gen_to_int(env, &fmt_s, a, rm, 32, true);
}

uint32_t fp_cvt_wu_s(struct fp_env *env, uint32_t a, unsigned rm)
{
	int64_t i;
	if (likely(host_to_int(env, (double)s_of(a), rm, 0, UINT32_MAX, &i)))
		return (uint32_t)i;
	return (uint32_t)gen_to_int(env, &fmt_s, a, rm, 32, false);
}

uint64_t fp_cvt_l_s(struct fp_env *env, uint32_t a, unsigned rm)
{
	int64_t i;
	if (likely(host_to_int(env, (double)s_of(a), rm, INT64_MIN, INT64_MAX, &i)))
		return (uint64_t)i;
	return gen_to_int(env, &fmt_s, a, rm, 64, true);
}

uint64_t fp_cvt_lu_s(struct fp_env *env, uint32_t a, unsigned rm)
{
	int64_t i;
	if (likely(host_to_int(env, (double)s_of(a), rm, 0, INT64_MAX, &i)))
		return (uint64_t)i;
	return gen_to_int(env, &fmt_s, a, rm, 64, false);
}

/* ---- from integers ---- */

static uint64_t i64_mag(uint64_t a) { return a >> 63 ? -a : a; }

uint64_t fp_cvt_d_w(struct fp_env *env, uint32_t a, unsigned rm)
{
	if (HOST_FPU)
		return d_bits((double)(int32_t)a);
	return gen_from_int(env, &fmt_d, i64_mag((uint64_t)(int32_t)a), a >> 31, rm);
}

uint64_t fp_cvt_d_wu(struct fp_env *env, uint32_t a, unsigned rm)
{
	if (HOST_FPU)
		return d_bits((double)a);
	return gen_from_int(env, &fmt_d, a, false, rm);
}

uint64_t fp_cvt_d_l(struct fp_env *env, uint64_t a, unsigned rm)
{
	if (likely(host_plain(env, rm) || (HOST_FPU && i64_mag(a) <= 1ull << 53)))
		return d_bits((double)(int64_t)a);
	return gen_from_int(env, &fmt_d, i64_mag(a), a >> 63, rm);
}

uint64_t fp_cvt_d_lu(struct fp_env *env, uint64_t a, unsigned rm)
{
	if (likely(HOST_FPU && a <= 1ull << 53))
		return d_bits((double)(int64_t)a);
	return gen_from_int(env, &fmt_d, a, false, rm);
}

uint32_t fp_cvt_s_w(struct fp_env *env, uint32_t a, unsigned rm)
{
	return fp_cvt_s_l(env, (uint64_t)(int32_t)a, rm);
}

uint32_t fp_cvt_s_wu(struct fp_env *env, uint32_t a, unsigned rm)
{
	return fp_cvt_s_l(env, a, rm);
}

uint32_t fp_cvt_s_l(struct fp_env *env, uint64_t a, unsigned rm)
{
	if (likely(host_plain(env, rm) || (HOST_FPU && i64_mag(a) <= 1u << 24)))
		return s_bits((float)(int64_t)a);
	return (uint32_t)gen_from_int(env, &fmt_s, i64_mag(a), a >> 63, rm);
}

uint32_t fp_cvt_s_lu(struct fp_env *env, uint64_t a, unsigned rm)
{
	if (likely(HOST_FPU && a <= 1u << 24))
		return s_bits((float)(int64_t)a);
	return (uint32_t)gen_from_int(env, &fmt_s, a, false, rm);
}

/* ---- between formats ---- */

uint32_t fp_cvt_s_d(struct fp_env *env, uint64_t a, unsigned rm)
{
	float r = (float)d_of(a);
	if (likely(HOST_FPU && rm != FP_RMM && s_in(s_bits(r), 2, 0xfd)))
		return s_finish(env, s_bits(r), d_of(a) - (double)r, rm);
	return (uint32_t)gen_cvt(env, &fmt_s, &fmt_d, a, rm);
}

uint64_t fp_cvt_d_s(struct fp_env *env, uint32_t a, unsigned rm)
{
	if (likely(HOST_FPU && s_in(a, 0, 0xfe)))
		return d_bits((double)s_of(a));
	return gen_cvt(env, &fmt_d, &fmt_s, a, rm);
}

uint32_t fp_cvt_s_h(struct fp_env *env, uint16_t a, unsigned rm)
{
	return (uint32_t)gen_cvt(env, &fmt_s, &fmt_h, a, rm);
}
uint16_t fp_cvt_h_s(struct fp_env *env, uint32_t a, unsigned rm)
{
	return (uint16_t)gen_cvt(env, &fmt_h, &fmt_s, a, rm);
}
uint64_t fp_cvt_d_h(struct fp_env *env, uint16_t a, unsigned rm)
{
	return gen_cvt(env, &fmt_d, &fmt_h, a, rm);
}
uint16_t fp_cvt_h_d(struct fp_env *env, uint64_t a, unsigned rm)
{
	return (uint16_t)gen_cvt(env, &fmt_h, &fmt_d, a, rm);
}

/* ---- Zfa ---- */

static uint64_t d_round(struct fp_env *env, uint64_t a, unsigned rm, bool report)
{
	int64_t i;
	bool inexact;
	if (!host_int(d_of(a), rm, &i, &inexact))
		return gen_round(env, &fmt_d, a, rm, report);
	if (inexact && report)
		env->flags |= FP_NX;
	return d_bits((double)i) | (a & fmt_sign(&fmt_d)); /* -0 stays */
}

static uint32_t s_round(struct fp_env *env, uint32_t a, unsigned rm, bool report)
{
	int64_t i;
	bool inexact;
	if (!host_int((double)s_of(a), rm, &i, &inexact))
		return (uint32_t)gen_round(env, &fmt_s, a, rm, report);
	if (inexact && report)
		env->flags |= FP_NX;
	return s_bits((float)i) | (a & (uint32_t)fmt_sign(&fmt_s));
}

uint64_t fp_round_d(struct fp_env *env, uint64_t a, unsigned rm)
{
	return d_round(env, a, rm, false);
}
uint64_t fp_roundnx_d(struct fp_env *env, uint64_t a, unsigned rm)
{
	return d_round(env, a, rm, true);
}
uint32_t fp_round_s(struct fp_env *env, uint32_t a, unsigned rm)
{
	return s_round(env, a, rm, false);
}
uint32_t fp_roundnx_s(struct fp_env *env, uint32_t a, unsigned rm)
{
	return s_round(env, a, rm, true);
}

uint32_t fp_cvtmod_w_d(struct fp_env *env, uint64_t a)
{
	int64_t i;
	bool inexact;
	if (likely(host_int(d_of(a), FP_RTZ, &i, &inexact))) {
		if (i != (int32_t)i)
			env->flags |= FP_NV;
		else if (inexact)
			env->flags |= FP_NX;
		return (uint32_t)i;
	}
	struct num n = gen_unpack(&fmt_d, a);
	gen_to_int(env, &fmt_d, a, FP_RTZ, 32, true); /* for its flags */
	if (n.kind != KIND_FINITE || n.exp >= 32 || n.exp <= -53)
		return 0;
	uint64_t mag = (uint64_t)n.sig;
	mag = n.exp >= 0 ? mag << n.exp : mag >> -n.exp;
	return (uint32_t)(n.sign ? -mag : mag);
}
