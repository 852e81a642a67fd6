/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of fixed-point arithmetic of V: saturating, averaging, scaling. They compute in 128 bits,
 * where nothing overflows. RISC-V Unpriv 20240411 §31.12, §31.3.8 */
#include "isa/riscv/vec_kernel.h"

enum vxrm { RNU, RNE, RDN, ROD };

/* @x / 2^@n, rounded as vxrm says. */
static __int128 round_off(const struct vec *v, __int128 x, unsigned n)
{
	if (n == 0)
		return x;
	unsigned __int128 rest = (unsigned __int128)x & ((((unsigned __int128)1) << n) - 1);
	unsigned __int128 half = (unsigned __int128)1 << (n - 1);
	__int128 q = x >> n;
	switch ((int)v->h->vxrm) {
	case RNU: return q + (rest >= half);
	case RNE: return q + (rest > half || (rest == half && q & 1));
	case RDN: return q;
	default: return q | (rest != 0);
	}
}

/* @x in the range of integers of @bytes, or the end that it is beyond, which vxsat tells. */
static uint64_t clip(struct vec *v, __int128 x, size_t bytes, bool is_signed)
{
	unsigned bits = 8 * (unsigned)bytes - is_signed;
	__int128 max = ((__int128)1 << bits) - 1, min = is_signed ? -max - 1 : 0;
	if (x >= min && x <= max)
		return (uint64_t)x;
	v->h->vxsat = 1;
	return (uint64_t)(x < min ? min : max);
}

#define FIXED(name, t, expr)                                                                       \
	KERNEL(name##_1, uint8_t, t##8_t, t##8_t, expr)                                            \
	KERNEL(name##_2, uint16_t, t##16_t, t##16_t, expr)                                         \
	KERNEL(name##_4, uint32_t, t##32_t, t##32_t, expr)                                         \
	KERNEL(name##_8, uint64_t, t##64_t, t##64_t, expr)                                         \
	KERNEL_TABLE(name, name##_1, name##_2, name##_4, name##_8)
#define SIZE sizeof(D)
FIXED(vsaddu, uint, clip(v, (__int128)a + b, SIZE, false))
FIXED(vsadd, int, clip(v, (__int128)a + b, SIZE, true))
FIXED(vssubu, uint, clip(v, (__int128)a - b, SIZE, false))
FIXED(vssub, int, clip(v, (__int128)a - b, SIZE, true))
FIXED(vaaddu, uint, round_off(v, (__int128)a + b, 1))
FIXED(vaadd, int, round_off(v, (__int128)a + b, 1))
FIXED(vasubu, uint, round_off(v, (__int128)a - b, 1))
FIXED(vasub, int, round_off(v, (__int128)a - b, 1))
FIXED(vsmul, int, clip(v, round_off(v, (__int128)a * b, 8 * SIZE - 1), SIZE, true))
FIXED(vssrl, uint, round_off(v, a, (unsigned)b & (8 * SIZE - 1)))
FIXED(vssra, int, round_off(v, a, (unsigned)b & (8 * SIZE - 1)))

#define CLIP(name, t, is_signed)                                                                   \
	KERNEL(name##_1, uint8_t, t##16_t, uint8_t,                                                \
	       clip(v, round_off(v, a, (unsigned)b & 15), SIZE, is_signed))                        \
	KERNEL(name##_2, uint16_t, t##32_t, uint16_t,                                              \
	       clip(v, round_off(v, a, (unsigned)b & 31), SIZE, is_signed))                        \
	KERNEL(name##_4, uint32_t, t##64_t, uint32_t,                                              \
	       clip(v, round_off(v, a, (unsigned)b & 63), SIZE, is_signed))                        \
	KERNEL_TABLE(name, name##_1, name##_2, name##_4, NULL)
CLIP(vnclipu, uint, false)
CLIP(vnclip, int, true)
