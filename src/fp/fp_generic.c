/* SPDX-License-Identifier: Apache-2.0 */
/* fp: arithmetic in integers, exact for every format and rounding mode. A number is unpacked to
 * sign, exponent and an integer significand; an operation forms the exact value (or the exact
 * value cut short, with a sticky bit); gen_pack rounds once. IEEE 754-2019 §4, §5.4, §7 */
#include "fp/internal.h"

enum { TOP = 125 }; /* where addition puts the leading bit: room for a carry below bit 127 */

static int u128_msb(u128 v)
{
	uint64_t hi = (uint64_t)(v >> 64);
	return hi ? 127 - __builtin_clzll(hi) : 63 - __builtin_clzll((uint64_t)v);
}

struct num gen_unpack(const struct fmt *f, uint64_t bits)
{
	uint64_t frac = bits & ((1ull << f->frac) - 1);
	int32_t e = (int32_t)(bits >> f->frac & ((1u << f->exp) - 1));
	struct num n = { .sign = (bits & fmt_sign(f)) != 0 };
	if (e == (1 << f->exp) - 1) {
		n.kind = !frac ? KIND_INF : frac >> (f->frac - 1) ? KIND_QNAN : KIND_SNAN;
		return n;
	}
	n.kind = e || frac ? KIND_FINITE : KIND_ZERO;
	n.sig = e ? frac | 1ull << f->frac : frac;
	n.exp = (e ? e : 1) - f->bias - f->frac;
	return n;
}

bool gen_up(bool sign, bool odd, bool half, bool below, unsigned rm)
{
	switch (rm) {
	case FP_RNE: return half && (below || odd);
	case FP_RDN: return sign && (half || below);
	case FP_RUP: return !sign && (half || below);
	case FP_RMM: return half;
	default: return false;
	}
}

uint64_t gen_nan(struct fp_env *env, const struct fmt *f, enum fp_kind a, enum fp_kind b)
{
	if (a == KIND_SNAN || b == KIND_SNAN)
		env->flags |= FP_NV;
	return fmt_nan(f);
}

/* sig / 2^shift rounded to an integer; *ret_inexact is or-ed. */
static u128 sig_round(struct num n, int shift, bool sticky, unsigned rm, bool *ret_inexact)
{
	if (shift <= 0)
		return n.sig << -shift;
	bool half = false, below = true; /* beyond 2^127 everything is less than a half */
	u128 kept = 0;
	if (shift <= 127) {
		u128 unit = (u128)1 << (shift - 1);
		half = (n.sig & unit) != 0;
		below = (n.sig & (unit - 1)) != 0 || sticky;
		kept = n.sig >> shift;
	}
	*ret_inexact |= half || below;
	return kept + gen_up(n.sign, kept & 1, half, below, rm);
}

static uint64_t gen_overflow(struct fp_env *env, const struct fmt *f, bool sign, unsigned rm)
{
	env->flags |= FP_OF | FP_NX;
	bool to_max = rm == FP_RTZ || rm == (sign ? FP_RUP : FP_RDN);
	return (sign ? fmt_sign(f) : 0) | (fmt_inf(f) - to_max);
}

uint64_t gen_pack(struct fp_env *env, const struct fmt *f, struct num n, bool sticky, unsigned rm)
{
	int lead = n.exp + u128_msb(n.sig);       /* exponent of the leading bit */
	int low = 1 - f->bias, e = lead < low ? low : lead;
	bool inexact = false, unused = false;
	u128 m = sig_round(n, e - f->frac - n.exp, sticky, rm, &inexact);
	bool tiny = lead < low;
	if (lead == low - 1) /* tiny after rounding: as if the exponent had no bound */
		tiny = !(sig_round(n, lead - f->frac - n.exp, sticky, rm, &unused) >>
		         (f->frac + 1));
	if (inexact)
		env->flags |= tiny ? FP_NX | FP_UF : FP_NX;
	/* A carry out of the significand moves into the exponent, as the encoding has it. */
	uint64_t mag = ((uint64_t)(e + f->bias - 1) << f->frac) + (uint64_t)m;
	if (e > f->bias || mag >= fmt_inf(f))
		return gen_overflow(env, f, n.sign, rm);
	return (n.sign ? fmt_sign(f) : 0) | mag;
}

/* Leading bit to TOP. */
static struct num num_normal(struct num n)
{
	int up = TOP - u128_msb(n.sig);
	n.sig <<= up;
	n.exp -= up;
	return n;
}

/* x + y of finite numbers that are not 0, with at most 106 significant bits. Bits are lost only
 * when the exponents differ by 20 or more; then at most one leading bit cancels, and the lost
 * ones may be folded into bit 0, far below the place of rounding. */
static uint64_t num_add(struct fp_env *env, const struct fmt *f, struct num x, struct num y,
                        unsigned rm)
{
	x = num_normal(x);
	y = num_normal(y);
	if (x.exp < y.exp) {
		struct num t = x;
		x = y;
		y = t;
	}
	int down = x.exp - y.exp;
	if (down > TOP) {
		y.sig = 1;
	} else {
		bool lost = (y.sig & (((u128)1 << down) - 1)) != 0;
		y.sig = y.sig >> down | lost;
	}
	if (x.sign == y.sign) {
		x.sig += y.sig;
	} else if (x.sig > y.sig) {
		x.sig -= y.sig;
	} else if (x.sig < y.sig) {
		x.sig = y.sig - x.sig;
		x.sign = y.sign;
	} else {
		return rm == FP_RDN ? fmt_sign(f) : 0;
	}
	return gen_pack(env, f, x, false, rm);
}

/* The sum when a term is zero, infinite or NaN. */
static uint64_t sum_special(struct fp_env *env, const struct fmt *f, struct num x, struct num y,
                            unsigned rm)
{
	if (x.kind >= KIND_QNAN || y.kind >= KIND_QNAN)
		return gen_nan(env, f, x.kind, y.kind);
	if (x.kind == KIND_INF && y.kind == KIND_INF && x.sign != y.sign) {
		env->flags |= FP_NV;
		return fmt_nan(f);
	}
	if (x.kind == KIND_INF || y.kind == KIND_INF)
		return fmt_inf(f) | ((x.kind == KIND_INF ? x.sign : y.sign) ? fmt_sign(f) : 0);
	if (x.kind == KIND_FINITE)
		return gen_pack(env, f, x, false, rm);
	if (y.kind == KIND_FINITE)
		return gen_pack(env, f, y, false, rm);
	bool sign = x.sign == y.sign ? x.sign : rm == FP_RDN;
	return sign ? fmt_sign(f) : 0;
}

uint64_t gen_add(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, unsigned rm)
{
	struct num x = gen_unpack(f, a), y = gen_unpack(f, b);
	if (x.kind == KIND_FINITE && y.kind == KIND_FINITE)
		return num_add(env, f, x, y, rm);
	return sum_special(env, f, x, y, rm);
}

uint64_t gen_sub(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, unsigned rm)
{
	return gen_add(env, f, a, b ^ fmt_sign(f), rm);
}

/* The exact product of numbers that are not NaN; infinity times zero gives KIND_QNAN. */
static struct num num_mul(struct num x, struct num y)
{
	struct num p = { .kind = KIND_FINITE, .sign = x.sign != y.sign };
	if (x.kind == KIND_FINITE && y.kind == KIND_FINITE) {
		p.exp = x.exp + y.exp;
		p.sig = x.sig * y.sig;
	} else if (x.kind == KIND_INF || y.kind == KIND_INF) {
		p.kind = x.kind == KIND_ZERO || y.kind == KIND_ZERO ? KIND_QNAN : KIND_INF;
	} else {
		p.kind = KIND_ZERO;
	}
	return p;
}

uint64_t gen_mul(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, unsigned rm)
{
	struct num x = gen_unpack(f, a), y = gen_unpack(f, b);
	if (x.kind >= KIND_QNAN || y.kind >= KIND_QNAN)
		return gen_nan(env, f, x.kind, y.kind);
	struct num p = num_mul(x, y);
	if (p.kind == KIND_FINITE)
		return gen_pack(env, f, p, false, rm);
	if (p.kind == KIND_QNAN) {
		env->flags |= FP_NV;
		return fmt_nan(f);
	}
	return (p.sign ? fmt_sign(f) : 0) | (p.kind == KIND_INF ? fmt_inf(f) : 0);
}

/* RISC-V Unpriv 20240411 §20.6: infinity times zero is invalid even when c is a quiet NaN. */
uint64_t gen_fma(struct fp_env *env, const struct fmt *f, uint64_t a, uint64_t b, uint64_t c,
                 unsigned rm)
{
	struct num x = gen_unpack(f, a), y = gen_unpack(f, b), z = gen_unpack(f, c);
	if (x.kind >= KIND_QNAN || y.kind >= KIND_QNAN) {
		gen_nan(env, f, x.kind, y.kind);
		return gen_nan(env, f, z.kind, z.kind);
	}
	struct num p = num_mul(x, y);
	if (p.kind == KIND_QNAN) {
		env->flags |= FP_NV;
		return fmt_nan(f);
	}
	if (p.kind == KIND_FINITE && z.kind == KIND_FINITE)
		return num_add(env, f, p, z, rm);
	return sum_special(env, f, p, z, rm);
}
