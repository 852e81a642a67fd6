/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of floating point of V: each element by the fp room, in the dynamic rounding mode.
 * RISC-V Unpriv 20240411 §31.13, §31.14.3, §31.14.4 */
#include "isa/riscv/vec_kernel.h"

#define FLOAT(name, ...)                                                                           \
	KERNEL(name##_4, uint32_t, uint32_t, uint32_t, FP_OF(s, __VA_ARGS__))                      \
	KERNEL(name##_8, uint64_t, uint64_t, uint64_t, FP_OF(d, __VA_ARGS__))                      \
	KERNEL_TABLE(name, NULL, NULL, name##_4, name##_8)
#define FP_OF(x, f, ...) FP_CALL(x, f, __VA_ARGS__)
#define FP_CALL(x, f, ...) fp_##f##_##x(v->fp, __VA_ARGS__)
#define SIGN(T) ((T)1 << (8 * sizeof(T) - 1))
#define NEG(x) ((x) ^ SIGN(typeof(x)))

FLOAT(vfadd, add, a, b, v->rm)
FLOAT(vfsub, sub, a, b, v->rm)
FLOAT(vfrsub, sub, b, a, v->rm)
FLOAT(vfmul, mul, a, b, v->rm)
FLOAT(vfdiv, div, a, b, v->rm)
FLOAT(vfrdiv, div, b, a, v->rm)
FLOAT(vfsqrt, sqrt, a, v->rm)
FLOAT(vfmin, min, a, b)
FLOAT(vfmax, max, a, b)
FLOAT(vfclass, class, a)
FLOAT(vfmacc, fma, a, b, d[i], v->rm)
FLOAT(vfnmacc, fma, NEG(a), b, NEG(d[i]), v->rm)
FLOAT(vfmsac, fma, a, b, NEG(d[i]), v->rm)
FLOAT(vfnmsac, fma, NEG(a), b, d[i], v->rm)
FLOAT(vfmadd, fma, d[i], b, a, v->rm)
FLOAT(vfnmadd, fma, NEG(d[i]), b, NEG(a), v->rm)
FLOAT(vfmsub, fma, d[i], b, NEG(a), v->rm)
FLOAT(vfnmsub, fma, NEG(d[i]), b, a, v->rm)

#define BITS(name, expr)                                                                           \
	KERNEL(name##_4, uint32_t, uint32_t, uint32_t, expr)                                       \
	KERNEL(name##_8, uint64_t, uint64_t, uint64_t, expr)                                       \
	KERNEL_TABLE(name, NULL, NULL, name##_4, name##_8)
BITS(vfsgnj, (a & ~SIGN(D)) | (b & SIGN(D)))
BITS(vfsgnjn, (a & ~SIGN(D)) | (~b & SIGN(D)))
BITS(vfsgnjx, a ^ (b & SIGN(D)))

/* ---- comparisons give bytes ---- */
#define TEST(name, f, ...)                                                                         \
	KERNEL(name##_4, uint8_t, uint32_t, uint32_t, FP_CALL(s, f, __VA_ARGS__))                  \
	KERNEL(name##_8, uint8_t, uint64_t, uint64_t, FP_CALL(d, f, __VA_ARGS__))                  \
	KERNEL_TABLE(name, NULL, NULL, name##_4, name##_8)
TEST(vmfeq, eq, a, b)
TEST(vmflt, lt, a, b)
TEST(vmfle, le, a, b)
TEST(vmfgt, lt, b, a)
TEST(vmfge, le, b, a)
KERNEL(vmfne_4, uint8_t, uint32_t, uint32_t, !fp_eq_s(v->fp, a, b))
KERNEL(vmfne_8, uint8_t, uint64_t, uint64_t, !fp_eq_d(v->fp, a, b))
KERNEL_TABLE(vmfne, NULL, NULL, vmfne_4, vmfne_8)

/* ---- to twice the width: the sources are converted, which is exact, then it is arithmetic ---- */
#define WA fp_cvt_d_s(v->fp, a, FP_RNE)
#define WB fp_cvt_d_s(v->fp, b, FP_RNE)
#define WIDE(name, f, ...)                                                                         \
	KERNEL(name##_4, uint64_t, uint32_t, uint32_t, FP_CALL(d, f, __VA_ARGS__))                 \
	KERNEL_TABLE(name, NULL, NULL, name##_4, NULL)
WIDE(vfwadd, add, WA, WB, v->rm)
WIDE(vfwsub, sub, WA, WB, v->rm)
WIDE(vfwmul, mul, WA, WB, v->rm)
WIDE(vfwmacc, fma, WA, WB, d[i], v->rm)
WIDE(vfwnmacc, fma, NEG(WA), WB, NEG(d[i]), v->rm)
WIDE(vfwmsac, fma, WA, WB, NEG(d[i]), v->rm)
WIDE(vfwnmsac, fma, NEG(WA), WB, d[i], v->rm)
KERNEL(vfwadd_w_4, uint64_t, uint64_t, uint32_t, fp_add_d(v->fp, a, WB, v->rm))
KERNEL_TABLE(vfwadd_w, NULL, NULL, vfwadd_w_4, NULL)
KERNEL(vfwsub_w_4, uint64_t, uint64_t, uint32_t, fp_sub_d(v->fp, a, WB, v->rm))
KERNEL_TABLE(vfwsub_w, NULL, NULL, vfwsub_w_4, NULL)

/* ---- conversions. §31.13.17 to §31.13.19 ---- */

/* binary32 to 16 bits: what does not fit is invalid and nothing else. */
static uint32_t to_half(struct fp_env *env, uint32_t a, unsigned rm, bool is_signed)
{
	struct fp_env e = { 0 };
	int64_t r = is_signed ? (int32_t)fp_cvt_w_s(&e, a, rm) : (int64_t)fp_cvt_wu_s(&e, a, rm);
	int64_t max = is_signed ? INT16_MAX : UINT16_MAX, min = is_signed ? INT16_MIN : 0;
	if (r < min || r > max)
		e.flags = FP_NV;
	env->flags |= e.flags;
	return (uint32_t)(r < min ? min : r > max ? max : r);
}

#define CONVERT(name, size, d_t, a_t, expr) KERNEL(name##_##size, d_t, a_t, uint8_t, expr)
#define TO_INT(name, rm)                                                                           \
	CONVERT(vfcvt_##name##x, 4, uint32_t, uint32_t, fp_cvt_w_s(v->fp, a, rm))                  \
	CONVERT(vfcvt_##name##x, 8, uint64_t, uint64_t, fp_cvt_l_d(v->fp, a, rm))                  \
	CONVERT(vfcvt_##name##xu, 4, uint32_t, uint32_t, fp_cvt_wu_s(v->fp, a, rm))                \
	CONVERT(vfcvt_##name##xu, 8, uint64_t, uint64_t, fp_cvt_lu_d(v->fp, a, rm))                \
	CONVERT(vfwcvt_##name##x, 4, uint64_t, uint32_t, fp_cvt_l_s(v->fp, a, rm))                 \
	CONVERT(vfwcvt_##name##xu, 4, uint64_t, uint32_t, fp_cvt_lu_s(v->fp, a, rm))               \
	CONVERT(vfncvt_##name##x, 2, uint16_t, uint32_t, to_half(v->fp, a, rm, true))              \
	CONVERT(vfncvt_##name##x, 4, uint32_t, uint64_t, fp_cvt_w_d(v->fp, a, rm))                 \
	CONVERT(vfncvt_##name##xu, 2, uint16_t, uint32_t, to_half(v->fp, a, rm, false))            \
	CONVERT(vfncvt_##name##xu, 4, uint32_t, uint64_t, fp_cvt_wu_d(v->fp, a, rm))               \
	KERNEL_TABLE(vfcvt_##name##x_f, NULL, NULL, vfcvt_##name##x_4, vfcvt_##name##x_8)          \
	KERNEL_TABLE(vfcvt_##name##xu_f, NULL, NULL, vfcvt_##name##xu_4, vfcvt_##name##xu_8)       \
	KERNEL_TABLE(vfwcvt_##name##x_f, NULL, NULL, vfwcvt_##name##x_4, NULL)                     \
	KERNEL_TABLE(vfwcvt_##name##xu_f, NULL, NULL, vfwcvt_##name##xu_4, NULL)                   \
	KERNEL_TABLE(vfncvt_##name##x_f, NULL, vfncvt_##name##x_2, vfncvt_##name##x_4, NULL)       \
	KERNEL_TABLE(vfncvt_##name##xu_f, NULL, vfncvt_##name##xu_2, vfncvt_##name##xu_4, NULL)
TO_INT(, v->rm)
TO_INT(rtz_, FP_RTZ)

/* A word of 16 bits, extended, is exact in either format. */
#define FROM_INT(name, t, w, l)                                                                    \
	CONVERT(vfcvt_f_##name, 4, uint32_t, t##32_t, fp_cvt_s_##w(v->fp, (uint32_t)a, v->rm))     \
	CONVERT(vfcvt_f_##name, 8, uint64_t, t##64_t, fp_cvt_d_##l(v->fp, (uint64_t)a, v->rm))     \
	CONVERT(vfwcvt_f_##name, 2, uint32_t, t##16_t, fp_cvt_s_##w(v->fp, (uint32_t)a, v->rm))    \
	CONVERT(vfwcvt_f_##name, 4, uint64_t, t##32_t, fp_cvt_d_##w(v->fp, (uint32_t)a, v->rm))    \
	CONVERT(vfncvt_f_##name, 4, uint32_t, t##64_t, fp_cvt_s_##l(v->fp, (uint64_t)a, v->rm))    \
	KERNEL_TABLE(vfcvt_f_##name, NULL, NULL, vfcvt_f_##name##_4, vfcvt_f_##name##_8)           \
	KERNEL_TABLE(vfwcvt_f_##name, NULL, vfwcvt_f_##name##_2, vfwcvt_f_##name##_4, NULL)        \
	KERNEL_TABLE(vfncvt_f_##name, NULL, NULL, vfncvt_f_##name##_4, NULL)
FROM_INT(x, int, w, l)
FROM_INT(xu, uint, wu, lu)

CONVERT(vfwcvt_f_f, 2, uint32_t, uint16_t, fp_cvt_s_h(v->fp, a, v->rm))
CONVERT(vfwcvt_f_f, 4, uint64_t, uint32_t, fp_cvt_d_s(v->fp, a, v->rm))
KERNEL_TABLE(vfwcvt_f_f, NULL, vfwcvt_f_f_2, vfwcvt_f_f_4, NULL)
CONVERT(vfncvt_f_f, 2, uint16_t, uint32_t, fp_cvt_h_s(v->fp, a, v->rm))
CONVERT(vfncvt_f_f, 4, uint32_t, uint64_t, fp_cvt_s_d(v->fp, a, v->rm))
KERNEL_TABLE(vfncvt_f_f, NULL, vfncvt_f_f_2, vfncvt_f_f_4, NULL)

/* To odd: toward zero, and what was cut off sets the last bit. */
static uint32_t round_to_odd(struct fp_env *env, uint64_t a)
{
	struct fp_env e = { 0 };
	uint32_t r = fp_cvt_s_d(&e, a, FP_RTZ);
	env->flags |= e.flags;
	return r | (e.flags & FP_NX ? 1 : 0);
}
CONVERT(vfncvt_rod_f_f, 4, uint32_t, uint64_t, round_to_odd(v->fp, a))
KERNEL_TABLE(vfncvt_rod_f_f, NULL, NULL, vfncvt_rod_f_f_4, NULL)

/* ---- reductions gather in d[0]: in order, which the unordered ones may be too ---- */
#define REDUCE1(id, dest, atype, expr)                                                             \
	static void id(struct vec *v, void *dp, const void *ap, const void *bp, size_t n)          \
	{                                                                                          \
		dest s = *(const dest *)dp;                                                        \
		const atype *pa = ap;                                                              \
		(void)bp;                                                                          \
		for (size_t i = 0; i < n; i++) {                                                   \
			const atype a = pa[i];                                                     \
			s = expr;                                                                  \
		}                                                                                  \
		*(dest *)dp = s;                                                                   \
	}
#define REDUCE(name, f, ...)                                                                       \
	REDUCE1(name##_4, uint32_t, uint32_t, FP_CALL(s, f, __VA_ARGS__))                          \
	REDUCE1(name##_8, uint64_t, uint64_t, FP_CALL(d, f, __VA_ARGS__))                          \
	KERNEL_TABLE(name, NULL, NULL, name##_4, name##_8)
#define SUM(id, T, f)                                                                              \
	static void id(struct vec *v, void *dp, const void *ap, const void *bp, size_t n)          \
	{                                                                                          \
		(void)bp;                                                                          \
		*(T *)dp = f(v->fp, *(T *)dp, ap, n, v->rm);                                       \
	}
SUM(vfredsum_4, uint32_t, fp_sum_s)
SUM(vfredsum_8, uint64_t, fp_sum_d)
KERNEL_TABLE(vfredsum, NULL, NULL, vfredsum_4, vfredsum_8)
REDUCE(vfredmin, min, s, a)
REDUCE(vfredmax, max, s, a)
REDUCE1(vfwredsum_4, uint64_t, uint32_t, fp_add_d(v->fp, s, WA, v->rm))
KERNEL_TABLE(vfwredsum, NULL, NULL, vfwredsum_4, NULL)
