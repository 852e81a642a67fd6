/* SPDX-License-Identifier: Apache-2.0 */
/* The token bucket, kept as a time: when all that passed would have passed at an even pace. What is
 * in the bucket is how far that lies behind now. */
#include "base/base.h"

enum { NS_PER_S = 1000000000 };

void rate_set(struct rate *r, uint64_t per_s, uint64_t burst_ns, uint64_t now_ns)
{
	/* Debts of another pace are forgiven: they may be hours at this one. */
	*r = (struct rate){ .per_s = per_s, .burst_ns = burst_ns, .even_ns = now_ns };
}

uint64_t rate_due(const struct rate *r, uint64_t now_ns)
{
	return r->per_s && r->even_ns > now_ns ? r->even_ns : 0;
}

void rate_take(struct rate *r, uint64_t amount, uint64_t now_ns)
{
	if (!r->per_s)
		return;
	uint64_t oldest = now_ns - min_u64(now_ns, r->burst_ns);
	unsigned __int128 ns = ((unsigned __int128)amount * NS_PER_S + r->per_s - 1) / r->per_s;
	if (r->even_ns < oldest)
		r->even_ns = oldest;
	/* A limit of next to nothing makes ages of one large request; nobody waits for longer. */
	ns = ns < UINT64_MAX / 4 ? ns : UINT64_MAX / 4;
	r->even_ns = min_u64(r->even_ns, UINT64_MAX / 4) + (uint64_t)ns;
}

uint64_t rate_credit_ns(const struct rate *r, uint64_t now_ns)
{
	uint64_t behind = now_ns - min_u64(now_ns, r->even_ns);
	return min_u64(behind, r->burst_ns);
}
