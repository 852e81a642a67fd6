/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of integer arithmetic of V. RISC-V Unpriv 20240411 §31.11, §31.14.1, §31.14.2 */
#include "isa/riscv/vec_kernel.h"

/* All of one width, unsigned or signed. 1u keeps products of halfwords out of int. */
#define INT4(name, u, expr)                                                                        \
	KERNEL(name##_1, uint8_t, u##8_t, u##8_t, expr)                                            \
	KERNEL(name##_2, uint16_t, u##16_t, u##16_t, expr)                                         \
	KERNEL(name##_4, uint32_t, u##32_t, u##32_t, expr)                                         \
	KERNEL(name##_8, uint64_t, u##64_t, u##64_t, expr)                                         \
	KERNEL_TABLE(name, name##_1, name##_2, name##_4, name##_8)
#define UINT(name, expr) INT4(name, uint, expr)
#define SINT(name, expr) INT4(name, int, expr)

UINT(vmove, b)
UINT(vadd, a + b)
UINT(vsub, a - b)
UINT(vrsub, b - a)
UINT(vand, a & b)
UINT(vor, a | b)
UINT(vxor, a ^ b)
UINT(vminu, a < b ? a : b)
UINT(vmaxu, a > b ? a : b)
SINT(vmin, a < b ? a : b)
SINT(vmax, a > b ? a : b)
#define SHIFT(type) ((unsigned)b & (8 * sizeof(type) - 1))
UINT(vsll, (D)(1u * (D)a << SHIFT(D)))
UINT(vsrl, a >> SHIFT(D))
SINT(vsra, a >> SHIFT(D))

UINT(vmul, 1u * a * b)
#define HIGH(x, y) (((__int128)(x) * (y)) >> 8 * sizeof(D))
UINT(vmulhu, ((unsigned __int128)a * b) >> 8 * sizeof(D))
SINT(vmulh, HIGH(a, b))
SINT(vmulhsu, HIGH(a, (D)b))
UINT(vmacc, 1u * a * b + d[i])
UINT(vnmsac, d[i] - 1u * a * b)
UINT(vmadd, 1u * d[i] * b + a)
UINT(vnmsub, a - 1u * d[i] * b)
/* By 0: all ones and the dividend; the overflow wraps. §31.11.11 */
UINT(vdivu, b ? a / b : (D)-1)
UINT(vremu, b ? a % b : a)
SINT(vdiv, b == 0 ? (D)-1 : b == -1 ? (D)(0 - (D)a) : (D)(a / b))
SINT(vrem, b == 0 ? a : b == -1 ? 0 : a % b)

/* ---- to twice the width ---- */
#define WIDE(name, at, bt, expr)                                                                   \
	KERNEL(name##_1, uint16_t, at##8_t, bt##8_t, expr)                                         \
	KERNEL(name##_2, uint32_t, at##16_t, bt##16_t, expr)                                       \
	KERNEL(name##_4, uint64_t, at##32_t, bt##32_t, expr)                                       \
	KERNEL_TABLE(name, name##_1, name##_2, name##_4, NULL)
WIDE(vwaddu, uint, uint, (D)a + (D)b)
WIDE(vwadd, int, int, (D)a + (D)b)
WIDE(vwsubu, uint, uint, (D)a - (D)b)
WIDE(vwsub, int, int, (D)a - (D)b)
WIDE(vwmulu, uint, uint, 1u * (D)a * (D)b)
WIDE(vwmul, int, int, (int64_t)a * b)
WIDE(vwmulsu, int, uint, (int64_t)a * b)
WIDE(vwmaccu, uint, uint, 1u * (D)a * (D)b + d[i])
WIDE(vwmacc, int, int, (uint64_t)((int64_t)a * b) + d[i])
WIDE(vwmaccsu, uint, int, (uint64_t)((int64_t)a * b) + d[i]) /* signed vs1 by unsigned vs2 */
WIDE(vwmaccus, int, uint, (uint64_t)((int64_t)a * b) + d[i])
#define WIDE_LEFT(name, bt, expr)                                                                  \
	KERNEL(name##_1, uint16_t, uint16_t, bt##8_t, expr)                                        \
	KERNEL(name##_2, uint32_t, uint32_t, bt##16_t, expr)                                       \
	KERNEL(name##_4, uint64_t, uint64_t, bt##32_t, expr)                                       \
	KERNEL_TABLE(name, name##_1, name##_2, name##_4, NULL)
WIDE_LEFT(vwaddu_w, uint, a + (D)b)
WIDE_LEFT(vwadd_w, int, a + (uint64_t)(int64_t)b)
WIDE_LEFT(vwsubu_w, uint, a - (D)b)
WIDE_LEFT(vwsub_w, int, a - (uint64_t)(int64_t)b)

/* ---- from twice the width ---- */
#define NARROW(name, at, expr)                                                                     \
	KERNEL(name##_1, uint8_t, at##16_t, uint8_t, expr)                                         \
	KERNEL(name##_2, uint16_t, at##32_t, uint16_t, expr)                                       \
	KERNEL(name##_4, uint32_t, at##64_t, uint32_t, expr)                                       \
	KERNEL_TABLE(name, name##_1, name##_2, name##_4, NULL)
NARROW(vnsrl, uint, a >> ((unsigned)b & (16 * sizeof(D) - 1)))
NARROW(vnsra, int, a >> ((unsigned)b & (16 * sizeof(D) - 1)))

/* ---- extension: the table is by the width of the result ---- */
#define EXTEND(name, t)                                                                            \
	KERNEL(name##_vf2_2, uint16_t, t##8_t, uint8_t, a)                                         \
	KERNEL(name##_vf2_4, uint32_t, t##16_t, uint8_t, a)                                        \
	KERNEL(name##_vf2_8, uint64_t, t##32_t, uint8_t, a)                                        \
	KERNEL_TABLE(name##_vf2, NULL, name##_vf2_2, name##_vf2_4, name##_vf2_8)                   \
	KERNEL(name##_vf4_4, uint32_t, t##8_t, uint8_t, a)                                         \
	KERNEL(name##_vf4_8, uint64_t, t##16_t, uint8_t, a)                                        \
	KERNEL_TABLE(name##_vf4, NULL, NULL, name##_vf4_4, name##_vf4_8)                           \
	KERNEL(name##_vf8_8, uint64_t, t##8_t, uint8_t, a)                                         \
	KERNEL_TABLE(name##_vf8, NULL, NULL, NULL, name##_vf8_8)
EXTEND(vzext, uint)
EXTEND(vsext, int)

/* ---- comparisons and carries give bytes ---- */
#define TEST(name, t, expr)                                                                        \
	KERNEL(name##_1, uint8_t, t##8_t, t##8_t, expr)                                            \
	KERNEL(name##_2, uint8_t, t##16_t, t##16_t, expr)                                          \
	KERNEL(name##_4, uint8_t, t##32_t, t##32_t, expr)                                          \
	KERNEL(name##_8, uint8_t, t##64_t, t##64_t, expr)                                          \
	KERNEL_TABLE(name, name##_1, name##_2, name##_4, name##_8)
TEST(vmseq, uint, a == b)
TEST(vmsne, uint, a != b)
TEST(vmsltu, uint, a < b)
TEST(vmslt, int, a < b)
TEST(vmsleu, uint, a <= b)
TEST(vmsle, int, a <= b)
TEST(vmsgtu, uint, a > b)
TEST(vmsgt, int, a > b)
UINT(vadc, a + b + v->carry[i])
UINT(vsbc, a - b - v->carry[i])
/* the sum wrapped: below a, or equal to it with a carry in */
#define SUM (typeof(a))(a + b + v->carry[i])
TEST(vmadc, uint, v->carry[i] ? SUM <= a : SUM < a)
TEST(vmsbc, uint, v->carry[i] ? a <= b : a < b)

/* ---- reductions gather in d[0] ---- */
#define REDUCE1(id, dest, atype, expr)                                                             \
	static void id(struct vec *v, void *dp, const void *ap, const void *bp, size_t n)          \
	{                                                                                          \
		dest s = *(const dest *)dp;                                                        \
		const atype *pa = ap;                                                              \
		(void)v, (void)bp;                                                                 \
		for (size_t i = 0; i < n; i++) {                                                   \
			const atype a = pa[i];                                                     \
			s = (dest)(expr);                                                          \
		}                                                                                  \
		*(dest *)dp = s;                                                                   \
	}
#define REDUCE(name, t, expr)                                                                      \
	REDUCE1(name##_1, t##8_t, t##8_t, expr)                                                    \
	REDUCE1(name##_2, t##16_t, t##16_t, expr)                                                  \
	REDUCE1(name##_4, t##32_t, t##32_t, expr)                                                  \
	REDUCE1(name##_8, t##64_t, t##64_t, expr)                                                  \
	KERNEL_TABLE(name, name##_1, name##_2, name##_4, name##_8)
REDUCE(vredsum, uint, s + a)
REDUCE(vredand, uint, s & a)
REDUCE(vredor, uint, s | a)
REDUCE(vredxor, uint, s ^ a)
REDUCE(vredminu, uint, a < s ? a : s)
REDUCE(vredmaxu, uint, a > s ? a : s)
REDUCE(vredmin, int, a < s ? a : s)
REDUCE(vredmax, int, a > s ? a : s)
#define REDUCE_WIDE(name, t)                                                                       \
	REDUCE1(name##_1, uint16_t, t##8_t, s + (uint64_t)(int64_t)a)                              \
	REDUCE1(name##_2, uint32_t, t##16_t, s + (uint64_t)(int64_t)a)                             \
	REDUCE1(name##_4, uint64_t, t##32_t, s + (uint64_t)(int64_t)a)                             \
	KERNEL_TABLE(name, name##_1, name##_2, name##_4, NULL)
REDUCE_WIDE(vwredsumu, uint)
REDUCE_WIDE(vwredsum, int)
