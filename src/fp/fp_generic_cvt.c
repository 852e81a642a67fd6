/* SPDX-License-Identifier: Apache-2.0 */
/* fp: conversions and rounding to integral values in integers.
 * RISC-V Unpriv 20240411 §20.7, §25.3; IEEE 754-2019 §5.8 */
#include "fp/internal.h"

/* |n| of a finite number rounded to an integer; 2^65 or more comes back as 2^65. */
static u128 num_to_mag(struct num n, unsigned rm, bool *ret_inexact)
{
	*ret_inexact = false;
	if (n.exp >= 0) /* a significand has at most 53 bits */
		return n.exp > 65 ? (u128)1 << 65 : n.sig << n.exp;
	int shift = -n.exp;
	bool half = false, below = true;
	uint64_t sig = (uint64_t)n.sig, kept = 0;
	if (shift < 64) {
		uint64_t unit = 1ull << (shift - 1);
		half = (sig & unit) != 0;
		below = (sig & (unit - 1)) != 0;
		kept = sig >> shift;
	}
	*ret_inexact = half || below;
	return kept + gen_up(n.sign, kept & 1, half, below, rm);
}

uint64_t gen_to_int(struct fp_env *env, const struct fmt *f, uint64_t a, unsigned rm,
                    unsigned bits, bool is_signed)
{
	struct num n = gen_unpack(f, a);
	uint64_t ones = UINT64_MAX >> (64 - bits);
	uint64_t max = is_signed ? ones >> 1 : ones, min = is_signed ? max + 1 : 0;
	if (n.kind == KIND_ZERO)
		return 0;
	bool inexact = false;
	u128 mag = (u128)1 << 65;
	if (n.kind == KIND_FINITE)
		mag = num_to_mag(n, rm, &inexact);
	bool negative = n.sign && n.kind < KIND_QNAN;
	if (mag > (negative ? min : max)) {
		env->flags |= FP_NV;
		return negative ? min : max;
	}
	if (inexact)
		env->flags |= FP_NX;
	return (negative ? -(uint64_t)mag : (uint64_t)mag) & ones;
}

uint64_t gen_from_int(struct fp_env *env, const struct fmt *f, uint64_t mag, bool sign,
                      unsigned rm)
{
	if (!mag)
		return 0;
	struct num n = { .kind = KIND_FINITE, .sign = sign, .sig = mag };
	return gen_pack(env, f, n, false, rm);
}

uint64_t gen_round(struct fp_env *env, const struct fmt *f, uint64_t a, unsigned rm, bool report)
{
	struct num n = gen_unpack(f, a);
	if (n.kind >= KIND_QNAN)
		return gen_nan(env, f, n.kind, n.kind);
	if (n.kind != KIND_FINITE || n.exp >= 0)
		return a;
	bool inexact;
	n.sig = num_to_mag(n, rm, &inexact);
	n.exp = 0;
	if (inexact && report)
		env->flags |= FP_NX;
	if (!n.sig)
		return a & fmt_sign(f);
	return gen_pack(env, f, n, false, rm);
}

uint64_t gen_cvt(struct fp_env *env, const struct fmt *to, const struct fmt *from, uint64_t a,
                 unsigned rm)
{
	struct num n = gen_unpack(from, a);
	if (n.kind >= KIND_QNAN)
		return gen_nan(env, to, n.kind, n.kind);
	if (n.kind == KIND_FINITE)
		return gen_pack(env, to, n, false, rm);
	return (n.sign ? fmt_sign(to) : 0) | (n.kind == KIND_INF ? fmt_inf(to) : 0);
}
