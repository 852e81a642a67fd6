/* SPDX-License-Identifier: Apache-2.0 */
/* Physical memory protection against a byte-by-byte reading of RISC-V Priv 20240411 §3.7. */
#include "isa/riscv/rig.h"

enum { RR = 1, WW = 2, XX = 4, TOR = 8, NA4 = 16, NAPOT = 24, L = 0x80 };

/* Does entry @i match the byte at @pa? */
static bool byte_matches(const struct rv_hart *h, unsigned i, uint64_t pa)
{
	uint64_t a = h->pmpaddr[i], lo = i ? h->pmpaddr[i - 1] << 2 : 0;
	switch (h->pmpcfg[i] & 0x18) {
	case TOR: return pa >= lo && pa < a << 2;
	case NA4: return pa >> 2 == a;
	case NAPOT: {
		unsigned k = 0;
		while (a >> k & 1)
			k++;
		return k + 3 >= 56 || pa >> (k + 3) == a >> (k + 1);
	}
	default: return false;
	}
}

static bool oracle(const struct rv_hart *h, uint64_t pa, unsigned len, unsigned access,
		   unsigned priv)
{
	for (unsigned i = 0; i < h->env->pmp_entries; i++) {
		unsigned n = 0;
		for (unsigned b = 0; b < len; b++)
			n += byte_matches(h, i, pa + b);
		if (!n)
			continue;
		if (n < len)
			return false;
		if (priv == RV_M && !(h->pmpcfg[i] & L))
			return true;
		return (h->pmpcfg[i] & access) == access;
	}
	return priv == RV_M;
}

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	return *seed ^= *seed << 17;
}

static void entries_randomize(struct rv_hart *h, uint64_t *seed)
{
	for (unsigned i = 0; i < 16; i++) {
		h->pmpcfg[i] = 0;
		h->pmpaddr[i] = 0;
	}
	for (unsigned i = 0; i < 6; i++) {
		uint64_t a = (RIG_BASE >> 2) + next(seed) % 0x1000;
		if (next(seed) & 1)
			a = (a & ~UINT64_C(0x3ff)) | (BIT(next(seed) % 11) - 1);
		rv_pmp_set_addr(h, i, a);
	}
	for (unsigned i = 0; i < 6; i++)
		rv_pmp_set_cfg(h, i, (uint8_t)(next(seed) & (next(seed) & 1 ? 0x1f : 0x9f)));
}

TEST(pmp_random_entries_match_the_oracle)
{
	static const unsigned privs[] = {RV_U, RV_S, RV_M};
	struct rig r;
	uint64_t seed = 20240411;
	rig_init(&r, 1, false);
	for (unsigned round = 0; round < 400; round++) {
		entries_randomize(r.h, &seed);
		for (unsigned n = 0; n < 200; n++) {
			uint64_t pa = RIG_BASE + next(&seed) % 0x5000;
			unsigned len = 1u << next(&seed) % 4, access = 1u << next(&seed) % 3;
			unsigned priv = privs[next(&seed) % 3];
			pa &= ~(uint64_t)(len - 1);
			bool want = oracle(r.h, pa, len, access, priv);
			rig_check(rv_pmp_allows(r.h, pa, len, (enum rv_access)access, priv) == want,
				  "round %u: %u bytes at %#llx access %u priv %u should be %d",
				  round, len, (unsigned long long)pa, access, priv, want);
			if (access == RV_EXEC)
				continue;
			rig_priv_set(&r, priv);
			enum rv_exc e = rig_access(r.h, pa, (enum rv_access)access, len);
			rig_check((e == RV_EXC_NONE) == want,
				  "round %u: access at %#llx is exception %d", round,
				  (unsigned long long)pa, e);
			bool whole = true;
			for (unsigned b = 0; b < 4096; b += 4)
				whole &= oracle(r.h, (pa & ~UINT64_C(0xfff)) + b, 4, access, priv);
			rig_check(whole || !rig_hits(r.h, pa, (enum rv_access)access),
				  "round %u: a page open in part is in the TLB", round);
		}
	}
	rig_fini(&r);
}

TEST(pmp_locks)
{
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	rv_pmp_set_cfg(h, 0, 0);
	rv_pmp_set_addr(h, 2, 0x20000400);
	rv_pmp_set_addr(h, 1, 0x20000000);
	rv_pmp_set_cfg(h, 2, L | TOR | RR);
	rv_pmp_set_cfg(h, 2, TOR | RR | WW);
	rv_pmp_set_addr(h, 2, 0x1234);
	rv_pmp_set_addr(h, 1, 0x1234); /* base of a locked TOR */
	CHECK(h->pmpcfg[2] == (L | TOR | RR) && h->pmpaddr[2] == 0x20000400);
	CHECK(h->pmpaddr[1] == 0x20000000);
	rv_pmp_set_addr(h, 0, 0x1234);
	CHECK(h->pmpaddr[0] == 0x1234);
	CHECK(rig_access(h, RIG_BASE, RV_READ, 8) == RV_EXC_NONE);
	CHECK(rig_access(h, RIG_BASE, RV_WRITE, 8) == RV_EXC_STORE_ACCESS); /* M mode too */
	CHECK(rig_access(h, RIG_BASE, RV_EXEC, 8) == RV_EXC_FETCH_ACCESS);
	CHECK(rig_access(h, RIG_BASE + 0x1000, RV_WRITE, 8) == RV_EXC_NONE);
	rig_fini(&r);
}

TEST(pmp_registers)
{
	struct rig r;
	uint64_t v;
	rig_init(&r, 1, false);
	CHECK(rig_csrw(r.h, 0x3a0, 0) == RV_EXC_NONE);
	CHECK(rig_csrw(r.h, 0x3a0, UINT64_C(0x1b1a190f03020100)) == RV_EXC_NONE);
	CHECK(rig_csrr(r.h, 0x3a0, &v) == RV_EXC_NONE);
	/* R=0 W=1 is reserved: W is dropped */
	rig_check(v == UINT64_C(0x1b18190f03000100), "pmpcfg0 reads %#llx", (unsigned long long)v);
	CHECK(rig_csrr(r.h, 0x3a1, &v) == RV_EXC_ILLEGAL);        /* RV64: odd ones do not exist */
	CHECK(rig_csrr(r.h, 0x3a4, &v) == RV_EXC_NONE && v == 0); /* entries 32.. are not there */
	CHECK(rig_csrw(r.h, 0x3b3, UINT64_MAX) == RV_EXC_NONE);
	CHECK(rig_csrr(r.h, 0x3b3, &v) == RV_EXC_NONE && v == BIT(54) - 1);
	CHECK(rig_csrw(r.h, 0x3d0, UINT64_MAX) == RV_EXC_NONE);
	CHECK(rig_csrr(r.h, 0x3d0, &v) == RV_EXC_NONE && v == 0);
	rig_fini(&r);
}

TEST(pmp_changes_empty_the_tlb)
{
	struct rig r;
	rig_init(&r, 1, false);
	rig_priv_set(&r, RV_S);
	CHECK(rig_access(r.h, RIG_BASE, RV_WRITE, 8) == RV_EXC_NONE &&
	      rig_hits(r.h, RIG_BASE, RV_WRITE));
	rv_pmp_set_cfg(r.h, 0, NAPOT | RR);
	CHECK(!rig_hits(r.h, RIG_BASE, RV_WRITE));
	CHECK(rig_access(r.h, RIG_BASE, RV_WRITE, 8) == RV_EXC_STORE_ACCESS);
	CHECK(rig_access(r.h, RIG_BASE, RV_READ, 8) == RV_EXC_NONE);
	CHECK(rig_access(r.h, RIG_BASE, RV_EXEC, 8) == RV_EXC_FETCH_ACCESS);
	rv_pmp_set_cfg(r.h, 0, 0); /* nothing matches: S mode may do nothing */
	CHECK(rig_access(r.h, RIG_BASE, RV_READ, 8) == RV_EXC_LOAD_ACCESS);
	rig_priv_set(&r, RV_M);
	CHECK(rig_access(r.h, RIG_BASE, RV_READ, 8) == RV_EXC_NONE);
	rig_fini(&r);
}
