/* SPDX-License-Identifier: Apache-2.0 */
/* fp: division and square root in integers. IEEE 754-2019 §5.4.1, §7.2, §7.3 */
#include "fp/internal.h"

/* Leading bit of a finite significand (at most 53 bits) to bit 62. */
static struct num num_to_62(struct num n)
{
	int up = __builtin_clzll((uint64_t)n.sig) - 1;
	n.sig <<= up;
	n.exp -= up;
	return n;
}

uint64_t gen_div(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, unsigned rm)
{
	struct num x = gen_unpack(f, a), y = gen_unpack(f, b);
	uint64_t sign = x.sign != y.sign ? fmt_sign(f) : 0;
	if (x.kind >= KIND_QNAN || y.kind >= KIND_QNAN)
		return gen_nan(env, f, x.kind, y.kind);
	if (x.kind == y.kind && x.kind != KIND_FINITE) { /* 0 / 0, inf / inf */
		env->flags |= FP_NV;
		return fmt_nan(f);
	}
	if (x.kind == KIND_INF || y.kind == KIND_ZERO) {
		if (x.kind == KIND_FINITE)
			env->flags |= FP_DZ;
		return sign | fmt_inf(f);
	}
	if (x.kind == KIND_ZERO || y.kind == KIND_INF)
		return sign;
	x = num_to_62(x);
	y = num_to_62(y);
	/* both have 63 bits, so the quotient has 63 or 64 */
	u128 n = x.sig << 63;
	struct num q = { .kind = KIND_FINITE, .sign = sign != 0, .exp = x.exp - y.exp - 63 };
	q.sig = n / (uint64_t)y.sig;
	return gen_pack(env, f, q, n % (uint64_t)y.sig != 0, rm);
}

uint64_t gen_sqrt(struct fp_env *env, const struct fmt *f, uint64_t a, unsigned rm)
{
	struct num x = gen_unpack(f, a);
	if (x.kind >= KIND_QNAN)
		return gen_nan(env, f, x.kind, x.kind);
	if (x.kind == KIND_ZERO)
		return a;
	if (x.sign) {
		env->flags |= FP_NV;
		return fmt_nan(f);
	}
	if (x.kind == KIND_INF)
		return a;
	x = num_to_62(x);
	if (x.exp & 1) {
		x.sig <<= 1;
		x.exp--;
	}
	/* Bit by bit: the largest root with root^2 <= sig * 2^62, 63 bits. */
	u128 rest = x.sig << 62, root = 0;
	for (u128 bit = (u128)1 << 124; bit; bit >>= 2) {
		u128 trial = root + bit;
		root >>= 1;
		if (rest >= trial) {
			rest -= trial;
			root += bit;
		}
	}
	struct num r = { .kind = KIND_FINITE, .exp = (x.exp - 62) / 2, .sig = root };
	return gen_pack(env, f, r, rest != 0, rm);
}
