/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers that are the same everywhere, and operands with a taste for edges. */
#pragma once
#include <stdint.h>

/* xorshift64*: the same numbers everywhere; so never two draws in one expression, whose order C
 * leaves open. */
struct rng {
	uint64_t s;
};
static inline uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s * 0x2545f4914f6cdd1d;
}
static inline unsigned rng_below(struct rng *r, unsigned n)
{
	return (unsigned)((rng_next(r) >> 32) % n);
}

/* An integer, often near @near in some way. */
uint64_t value_int(struct rng *r, uint64_t near);
/* What an f register may hold, @format 'h', 's' or 'd'. */
uint64_t value_float(struct rng *r, char format, uint64_t near);
