/* SPDX-License-Identifier: Apache-2.0 */
/* conform: operand values with a taste for edges. */
#include "base/base.h"
#include "test/conform/values.h"

uint64_t value_int(struct rng *r, uint64_t near)
{
	uint64_t v = rng_next(r);
	switch (rng_below(r, 10)) {
	case 0: return v % 5 - 2;                               /* -2 .. 2 */
	case 1: return (1ull << v % 64) + (v >> 8) % 3 - 1;     /* powers of two, one beside */
	case 2: return ~(1ull << v % 64) + (v >> 8) % 3;
	case 3: return near + (v >> 60) % 3 - 1;
	case 4: return (uint64_t)(int64_t)(int32_t)v;
	case 5: return v & 0xff00ff00ff00ff00;
	case 6: return v % 130;                                 /* shift counts, small numbers */
	case 7: return near << 32 | (uint32_t)v;
	default: return v;
	}
}

static uint64_t float_bits(struct rng *r, unsigned frac, unsigned exp, uint64_t near)
{
	uint64_t one = 1ull << frac, e_max = (1ull << exp) - 1, bias = e_max / 2;
	uint64_t sign = one << exp, v = rng_next(r);
	const uint64_t exps[] = {
		0, 0, 1, bias - 1, bias, bias + 1, bias + frac, bias + 30, bias + 31, bias + 32,
		bias + 62, bias + 63, bias + 64, e_max - 1, e_max,
	};
	const uint64_t fracs[] = { 0, 1, one - 1, one / 2, one / 2 + 1, one / 2 - 1 };
	if (v % 16 == 0)
		return (near + (v >> 8) % 5 - 2) & (sign * 2 - 1);
	if (v % 16 == 1)
		return near ^ sign;
	uint64_t e = v >> 4 & 1 ? (v >> 8) & e_max : exps[(v >> 8) % countof(exps)];
	if (v >> 5 & 1) /* exponents that meet */
		e = ((near >> frac) + (v >> 8) % (2u * frac + 8) - frac) & e_max;
	uint64_t m = v >> 6 & 1 ? rng_next(r) & (one - 1) : fracs[(v >> 24) % countof(fracs)];
	if (v >> 7 & 1) /* few bits: exact results and ties */
		m &= ~0ull << (v >> 40) % frac & (one - 1);
	return (v >> 63 ? sign : 0) | e << frac | m;
}

/* A value of an f register that holds format 'h', 's' or 'd'; sometimes not boxed well. */
uint64_t value_float(struct rng *r, char format, uint64_t near)
{
	unsigned odd = rng_below(r, 64);
	if (odd == 0)
		return rng_next(r);
	if (format == 'h')
		return (odd == 1 ? 0 : ~0ull << 16) | float_bits(r, 10, 5, near & 0xffff);
	if (format == 's')
		return (odd == 1 ? 0x7fffffffull << 32 : ~0ull << 32) |
		       float_bits(r, 23, 8, near & 0xffffffff);
	return float_bits(r, 52, 11, near);
}
