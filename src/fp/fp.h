/* SPDX-License-Identifier: Apache-2.0 */
/* fp: IEEE 754 arithmetic with the results, flags and NaNs of RISC-V, bit for bit.
 *
 * Values are raw bits: uint16_t (h, binary16), uint32_t (s, binary32), uint64_t (d, binary64).
 * NaN boxing is the caller's: it passes the canonical NaN for a badly boxed narrow value.
 * Every NaN result is the canonical one. Flags are or-ed into env->flags, never cleared.
 *
 * The calling convention is the same everywhere, so that calls can be generated from a table:
 * env first, then the operands, then rm, and rm exactly where the instruction has an rm field
 * (also where the result is always exact: it is then ignored). rm is one of enum fp_rm: DYN is
 * resolved and reserved values are refused by the caller.
 *
 * Ordinary operands take the host's FPU; everything else (NaN, infinities, tiny and huge results,
 * RMM, half precision, hosts that cannot) takes our own integer code (fp_generic*.c). The host's
 * own status and control registers are neither read nor written; the calling thread must be in
 * the default environment (round to nearest, no flush to zero), as every thread of Lodge is.
 *
 *   thread  any; functions touch *env only
 *   spec    RISC-V Unpriv 20240411 §20, §21, §22 (F, D, Zfh), §25 (Zfa); IEEE 754-2019 */
#pragma once
#include "base/base.h"

enum fp_rm { FP_RNE, FP_RTZ, FP_RDN, FP_RUP, FP_RMM };
enum fp_flag { FP_NX = 1, FP_UF = 2, FP_OF = 4, FP_DZ = 8, FP_NV = 16 };

struct fp_env {
	uint8_t flags;              /* enum fp_flag, as in fflags */
};

#define FP_NAN_H 0x7e00u
#define FP_NAN_S 0x7fc00000u
#define FP_NAN_D 0x7ff8000000000000u

/* One set for each format: x is its suffix, T its type.
 *
 * add sub mul div sqrt fma   correctly rounded. fma is a * b + c with one rounding; the other
 *                            three fused forms flip the sign bits of a and/or c before the call
 *                            (fnmadd: a and c; fnmsub: a; fmsub: c). Infinity times zero is
 *                            invalid even when c is a quiet NaN.
 * min max                    the number wins over a NaN; -0 < +0; invalid only for signalling NaNs
 * minm maxm                  Zfa: the same, but a NaN wins
 * eq ltq leq                 0 or 1; quiet: invalid only for signalling NaNs (ltq, leq: Zfa)
 * lt le                      0 or 1; invalid for every NaN
 * class                      the mask of fclass
 * round roundnx              Zfa: to an integral value; only roundnx reports inexact
 * cvt_w cvt_wu cvt_l cvt_lu  to integer, saturating, NaN to the largest value; w and wu are the
 *                            low 32 bits (the instruction sign-extends both)
 * cvt_X_w ...                from integer
 * fli                        Zfa: constant number i (0 to 31) of fli
 */
#define FP_FORMAT(x, T)                                                                            \
	T fp_add_##x(struct fp_env *env, T a, T b, unsigned rm);                                   \
	T fp_sub_##x(struct fp_env *env, T a, T b, unsigned rm);                                   \
	T fp_mul_##x(struct fp_env *env, T a, T b, unsigned rm);                                   \
	T fp_div_##x(struct fp_env *env, T a, T b, unsigned rm);                                   \
	T fp_sqrt_##x(struct fp_env *env, T a, unsigned rm);                                       \
	T fp_fma_##x(struct fp_env *env, T a, T b, T c, unsigned rm);                              \
	T fp_min_##x(struct fp_env *env, T a, T b);                                                \
	T fp_max_##x(struct fp_env *env, T a, T b);                                                \
	T fp_minm_##x(struct fp_env *env, T a, T b);                                               \
	T fp_maxm_##x(struct fp_env *env, T a, T b);                                               \
	uint32_t fp_eq_##x(struct fp_env *env, T a, T b);                                          \
	uint32_t fp_lt_##x(struct fp_env *env, T a, T b);                                          \
	uint32_t fp_le_##x(struct fp_env *env, T a, T b);                                          \
	uint32_t fp_ltq_##x(struct fp_env *env, T a, T b);                                         \
	uint32_t fp_leq_##x(struct fp_env *env, T a, T b);                                         \
	uint32_t fp_class_##x(struct fp_env *env, T a);                                            \
	T fp_round_##x(struct fp_env *env, T a, unsigned rm);                                      \
	T fp_roundnx_##x(struct fp_env *env, T a, unsigned rm);                                    \
	uint32_t fp_cvt_w_##x(struct fp_env *env, T a, unsigned rm);                               \
	uint32_t fp_cvt_wu_##x(struct fp_env *env, T a, unsigned rm);                              \
	uint64_t fp_cvt_l_##x(struct fp_env *env, T a, unsigned rm);                               \
	uint64_t fp_cvt_lu_##x(struct fp_env *env, T a, unsigned rm);                              \
	T fp_cvt_##x##_w(struct fp_env *env, uint32_t a, unsigned rm);                             \
	T fp_cvt_##x##_wu(struct fp_env *env, uint32_t a, unsigned rm);                            \
	T fp_cvt_##x##_l(struct fp_env *env, uint64_t a, unsigned rm);                             \
	T fp_cvt_##x##_lu(struct fp_env *env, uint64_t a, unsigned rm);                            \
	T fp_fli_##x(unsigned i);

FP_FORMAT(h, uint16_t)
FP_FORMAT(s, uint32_t)
FP_FORMAT(d, uint64_t)
#undef FP_FORMAT

/* @s and the @n values at @a, added one after the other. */
uint32_t fp_sum_s(struct fp_env *env, uint32_t s, const uint32_t *a, size_t n, unsigned rm);
uint64_t fp_sum_d(struct fp_env *env, uint64_t s, const uint64_t *a, size_t n, unsigned rm);

/* Between formats: fp_cvt_TO_FROM. */
uint32_t fp_cvt_s_d(struct fp_env *env, uint64_t a, unsigned rm);
uint64_t fp_cvt_d_s(struct fp_env *env, uint32_t a, unsigned rm);
uint32_t fp_cvt_s_h(struct fp_env *env, uint16_t a, unsigned rm);
uint16_t fp_cvt_h_s(struct fp_env *env, uint32_t a, unsigned rm);
uint64_t fp_cvt_d_h(struct fp_env *env, uint16_t a, unsigned rm);
uint16_t fp_cvt_h_d(struct fp_env *env, uint64_t a, unsigned rm);

/* Zfa fcvtmod.w.d: toward zero, modulo 2^32; flags as fcvt.w.d has them. */
uint32_t fp_cvtmod_w_d(struct fp_env *env, uint64_t a);
