/* SPDX-License-Identifier: Apache-2.0 */
/* Physical memory protection, granularity 4 bytes. RISC-V Priv 20240411 §3.7
 *
 * Each question is answered from the span of addresses around the last answer that all match the
 * same entry first; firmware sets up a few large regions, so that one compare nearly always does.
 */
#include "isa/riscv/priv.h"

enum { CFG_R = 1, CFG_W = 2, CFG_X = 4, CFG_A = 0x18, CFG_L = 0x80 };
enum { A_OFF = 0, A_TOR = 1, A_NA4 = 2, A_NAPOT = 3 };
static unsigned cfg_mode(uint8_t c) { return c >> 3 & 3u; }

/* The bytes [*lo, *hi) that entry @i matches; empty when off. */
static void entry_range(const struct rv_hart *h, unsigned i, uint64_t *lo, uint64_t *hi)
{
	uint64_t a = h->pmpaddr[i];
	uint64_t ones = a & ~(a + 1); /* trailing ones */
	*lo = *hi = 0;
	switch (cfg_mode(h->pmpcfg[i])) {
	case A_TOR:
		*lo = i ? h->pmpaddr[i - 1] << 2 : 0;
		*hi = a << 2;
		if (*hi < *lo)
			*hi = *lo;
		break;
	case A_NA4:
		*lo = a << 2;
		*hi = *lo + 4;
		break;
	case A_NAPOT:
		*lo = (a & ~ones) << 2;
		*hi = *lo + ((ones + 1) << 3);
		if (ones >= BIT(54) - 1) /* everything */
			*lo = 0, *hi = UINT64_MAX;
		break;
	default: break;
	}
}

/* What @pa's first matching entry allows, and how far around @pa that holds. */
static void span_find(const struct rv_hart *h, uint64_t pa, unsigned priv, struct rv_pmp_span *s)
{
	uint64_t lo = 0, hi = UINT64_MAX;
	*s = (struct rv_pmp_span){0, UINT64_MAX, RV_READ | RV_WRITE | RV_EXEC};
	if (!h->env->pmp_entries)
		return;
	if (priv != RV_M)
		s->perm = 0;
	for (unsigned i = 0; i < h->env->pmp_entries; i++) {
		uint64_t from, to;
		entry_range(h, i, &from, &to);
		if (from == to)
			continue;
		if (pa >= from && pa < to) {
			lo = from > lo ? from : lo;
			hi = min_u64(to, hi);
			if (priv != RV_M || h->pmpcfg[i] & CFG_L)
				s->perm = h->pmpcfg[i] & (CFG_R | CFG_W | CFG_X);
			break;
		}
		if (to <= pa && to > lo)
			lo = to;
		if (from > pa && from < hi)
			hi = from;
	}
	s->lo = lo;
	s->hi = hi;
}

static const struct rv_pmp_span *span_at(struct rv_hart *h, uint64_t pa, unsigned priv)
{
	struct rv_pmp_span *s = &h->mmu->pmp[priv == RV_M];
	if (unlikely(pa < s->lo || pa >= s->hi))
		span_find(h, pa, priv, s);
	return s;
}

/* An access that leaves the span matches some entry only in part, and that always fails. */
bool rv_pmp_allows(struct rv_hart *h, uint64_t pa, uint64_t len, enum rv_access a, unsigned priv)
{
	const struct rv_pmp_span *s = span_at(h, pa, priv);
	return s->hi - pa >= len && (s->perm & a) == (unsigned)a;
}

bool rv_pmp_page(struct rv_hart *h, uint64_t pa, unsigned priv, unsigned *ret_perm)
{
	uint64_t page = pa & ~UINT64_C(0xfff);
	const struct rv_pmp_span *s = span_at(h, pa, priv);
	*ret_perm = s->perm;
	return s->lo <= page && s->hi - page >= 4096;
}

bool rv_pmp_uniform(struct rv_hart *h, uint64_t pa, uint64_t len, unsigned priv)
{
	const struct rv_pmp_span *s = span_at(h, pa, priv);
	return s->lo <= pa && s->hi - pa >= len;
}

static void pmp_changed(struct rv_hart *h)
{
	/* an empty span: the next question looks at the entries */
	memset(h->mmu->pmp, 0, sizeof h->mmu->pmp);
	rv_mmu_flush(h, true);
}

void rv_pmp_set_cfg(struct rv_hart *h, unsigned i, uint8_t v)
{
	if (i >= h->env->pmp_entries || h->pmpcfg[i] & CFG_L)
		return;
	v &= CFG_R | CFG_W | CFG_X | CFG_A | CFG_L;
	if ((v & (CFG_R | CFG_W)) == CFG_W) /* reserved */
		v &= (uint8_t)~CFG_W;
	if (h->pmpcfg[i] == v)
		return;
	h->pmpcfg[i] = v;
	pmp_changed(h);
}

void rv_pmp_set_addr(struct rv_hart *h, unsigned i, uint64_t v)
{
	unsigned n = h->env->pmp_entries;
	if (i >= n || h->pmpcfg[i] & CFG_L)
		return;
	/* the base of a locked TOR entry is locked with it */
	if (i + 1 < n && h->pmpcfg[i + 1] & CFG_L && cfg_mode(h->pmpcfg[i + 1]) == A_TOR)
		return;
	v &= BIT(54) - 1;
	if (h->pmpaddr[i] == v)
		return;
	h->pmpaddr[i] = v;
	pmp_changed(h);
}
