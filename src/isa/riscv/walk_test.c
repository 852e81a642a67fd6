/* SPDX-License-Identifier: Apache-2.0 */
/* Page-table walks: every combination of permissions against a second reading of the
 * specification, and each reserved encoding. RISC-V Priv 20240411 §4.3, §4.4, §4.5, §5, §6 */
#include "isa/riscv/rig.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
static const enum rv_access kinds[] = {RV_READ, RV_WRITE, RV_EXEC};

static enum rv_exc page_fault_of(enum rv_access a)
{
	return a == RV_READ    ? RV_EXC_LOAD_PAGE
	       : a == RV_WRITE ? RV_EXC_STORE_PAGE
			       : RV_EXC_FETCH_PAGE;
}
static enum rv_exc access_fault_of(enum rv_access a)
{
	return a == RV_READ    ? RV_EXC_LOAD_ACCESS
	       : a == RV_WRITE ? RV_EXC_STORE_ACCESS
			       : RV_EXC_FETCH_ACCESS;
}

struct how {
	unsigned flags, level, priv;
	bool sum, mxr, adue;
	enum rv_access access;
};

/* Steps 3, 5, 6, 9 of §4.3.2 for an aligned leaf entry, or what is left of it. */
static bool expected(const struct how *q, unsigned *ret_flags)
{
	unsigned f = q->flags;
	*ret_flags = f;
	if ((f & W) && !(f & R))
		return false;
	if (!(f & (R | X))) /* a pointer: A, D, U reserved; the table it names is empty */
		return false;
	if (q->priv == RV_U && !(f & U))
		return false;
	if (q->priv == RV_S && f & U && (!q->sum || q->access == RV_EXEC))
		return false;
	bool may = q->access == RV_READ    ? f & R || (q->mxr && f & X)
		   : q->access == RV_WRITE ? f & W
					   : f & X;
	if (!may)
		return false;
	bool stale = !(f & A) || (q->access == RV_WRITE && !(f & D));
	if (stale && !q->adue)
		return false;
	*ret_flags |= A | (q->access == RV_WRITE ? D : 0);
	return true;
}

static void try_leaf(struct rig *r, unsigned levels, uint64_t va, uint64_t slot,
		     const struct how *q)
{
	unsigned after;
	bool ok = expected(q, &after);
	uint64_t leaf = rig_leaf(RIG_BASE, q->flags);
	*rig_word(r, slot) = leaf;
	struct rv_hart *h = r->h;
	h->mstatus = (q->sum ? MSTATUS_SUM : 0) | (q->mxr ? MSTATUS_MXR : 0);
	h->menvcfg = q->adue ? ENVCFG_ADUE : 0;
	h->priv = (uint8_t)q->priv;
	rv_mmu_update(h);
	rv_mmu_flush(h, false);
	enum rv_exc e = rig_access(h, va, q->access, 8);
	rig_check(
	    e == (ok ? RV_EXC_NONE : page_fault_of(q->access)),
	    "levels %u level %u flags %#x priv %u sum %d mxr %d adue %d access %d: exception %d",
	    levels, q->level, q->flags, q->priv, q->sum, q->mxr, q->adue, q->access, e);
	rig_check(*rig_word(r, slot) == ((leaf & ~UINT64_C(0x3ff)) | (ok ? after : q->flags)),
		  "levels %u level %u flags %#x priv %u adue %d access %d: entry is now %#llx",
		  levels, q->level, q->flags, q->priv, q->adue, q->access,
		  (unsigned long long)*rig_word(r, slot));
	rig_check(ok || h->tval == va, "levels %u level %u flags %#x: tval", levels, q->level,
		  q->flags);
	if (ok && q->access != RV_EXEC) {
		bool w = q->flags & W && *rig_word(r, slot) & D;
		rig_check(rig_hits(h, va, RV_READ) && rig_hits(h, va, RV_WRITE) == w,
			  "levels %u level %u flags %#x priv %u access %d: what the TLB remembers",
			  levels, q->level, q->flags, q->priv, q->access);
	}
}

static void try_level(struct rig *r, unsigned levels, unsigned level)
{
	/* index 1 in every table above, so that the address bits matter; RAM base is level-aligned
	 * up to 2 MiB, higher levels map physical 0 and the address reaches RAM through its offset
	 */
	uint64_t va = (uint64_t)1 << (12 + 9 * (levels - 1));
	uint64_t pa = RIG_BASE & ~(((uint64_t)1 << (12 + 9 * level)) - 1);
	va += RIG_BASE - pa;
	uint64_t root = rig_table(r);
	rig_satp_set(r, rig_satp(levels, 1, root));
	for (unsigned i = 0; i < 128 * 16 * 3; i++) {
		unsigned bits = i / 3;
		struct how q = {.flags = (bits & 0x7f) << 1 | V,
				.level = level,
				.priv = bits >> 7 & 1 ? RV_S : RV_U,
				.sum = bits >> 8 & 1,
				.mxr = bits >> 9 & 1,
				.adue = bits >> 10 & 1,
				.access = kinds[i % 3]};
		uint64_t slot = rig_map(r, root, levels, va, level, 0);
		/* a pointer leads to the physical frame of the leaf, which holds nothing valid */
		if (!(q.flags & (R | X)) && pa != RIG_BASE)
			continue;
		try_leaf(r, levels, va, slot, &q);
	}
}

/* try_leaf writes entries for RIG_BASE; give levels above 1 their own physical base. */
TEST(walk_every_permission_at_every_level)
{
	for (unsigned levels = 3; levels <= 5; levels++) {
		for (unsigned level = 0; level < 2; level++) {
			struct rig r;
			rig_init(&r, 1, false);
			try_level(&r, levels, level);
			rig_fini(&r);
		}
	}
}

TEST(walk_large_leaves_at_every_level)
{
	for (unsigned levels = 3; levels <= 5; levels++) {
		for (unsigned level = 0; level < levels; level++) {
			struct rig r;
			rig_init(&r, 1, false);
			uint64_t size = (uint64_t)1 << (12 + 9 * level);
			uint64_t pa = RIG_BASE & ~(size - 1), root = rig_table(&r);
			uint64_t va = RIG_BASE - pa, v;
			uint64_t at = rig_map(&r, root, levels, va, level,
					      rig_leaf(pa, V | R | W | X | A | D));
			rig_satp_set(&r, rig_satp(levels, 0, root));
			rig_priv_set(&r, RV_S);
			*rig_word(&r, RIG_BASE + 0x18) = 0xabcd0000 + level;
			rig_check(rv_load_slow(r.h, va + 0x18, 8, &v) && v == 0xabcd0000 + level,
				  "levels %u level %u reads its frame", levels, level);
			/* each physical page number bit below the level must be zero */
			for (unsigned bit = 0; bit < 9 * level; bit++) {
				*rig_word(&r, at) =
				    rig_leaf(pa, V | R | W | X | A | D) | BIT(10 + bit);
				rv_mmu_flush(r.h, false);
				for (unsigned k = 0; k < 3; k++)
					rig_check(
					    rig_access(r.h, va, kinds[k], 4) ==
						page_fault_of(kinds[k]),
					    "levels %u level %u misaligned by bit %u access %u",
					    levels, level, bit, k);
			}
			rig_fini(&r);
		}
	}
}

/* ---- encodings ---- */

struct encoding {
	const char *name;
	uint64_t pte; /* or-ed into a leaf for RIG_BASE or a pointer */
	unsigned level;
	bool pointer, pbmte, ok;
};
#define LEAF (V | R | W | X | A | D)
static const struct encoding encodings[] = {
    {"plain", LEAF, 0, false, false, true},
    {"not valid", LEAF & ~(unsigned)V, 0, false, false, false},
    {"writable, not readable", V | W | A | D, 0, false, false, false},
    {"writable and executable, not readable", V | W | X | A | D, 0, false, false, false},
    {"global", LEAF | G, 0, false, false, true},
    {"software bits", LEAF | 3 << 8, 0, false, false, true},
    {"bit 54", LEAF | BIT(54), 0, false, true, false},
    {"bit 55", LEAF | BIT(55), 0, false, true, false},
    {"bit 56", LEAF | BIT(56), 0, false, true, false},
    {"bit 57", LEAF | BIT(57), 0, false, true, false},
    {"bit 58", LEAF | BIT(58), 0, false, true, false},
    {"bit 59", LEAF | BIT(59), 0, false, true, false},
    {"bit 60", LEAF | BIT(60), 0, false, true, false},
    {"PBMT NC without PBMTE", LEAF | BIT(61), 0, false, false, false},
    {"PBMT IO without PBMTE", LEAF | BIT(62), 0, false, false, false},
    {"PBMT NC", LEAF | BIT(61), 0, false, true, true},
    {"PBMT IO", LEAF | BIT(62), 0, false, true, true},
    {"PBMT 3", LEAF | BIT(61) | BIT(62), 0, false, true, false},
    {"PBMT NC at level 1", LEAF | BIT(61), 1, false, true, true},
    {"NAPOT 64K", LEAF | BIT(63) | 8 << 10, 0, false, false, true},
    {"NAPOT with 0", LEAF | BIT(63), 0, false, false, false},
    {"NAPOT with 4", LEAF | BIT(63) | 4 << 10, 0, false, false, false},
    {"NAPOT with 9", LEAF | BIT(63) | 9 << 10, 0, false, false, false},
    {"NAPOT at level 1", LEAF | BIT(63) | 8 << 10, 1, false, false, false},
    {"NAPOT bit at level 1", LEAF | BIT(63), 1, false, false, false},
    {"pointer", V, 1, true, false, true},
    {"pointer, global", V | G, 1, true, false, true},
    {"pointer with D", V | D, 1, true, false, false},
    {"pointer with A", V | A, 1, true, false, false},
    {"pointer with U", V | U, 1, true, false, false},
    {"pointer with N", V | BIT(63), 1, true, false, false},
    {"pointer with PBMT", V | BIT(61), 1, true, true, false},
    {"pointer with bit 54", V | BIT(54), 1, true, true, false},
    {"pointer at the last level", V, 0, false, false, false},
};

TEST(walk_encodings)
{
	for (unsigned i = 0; i < countof(encodings); i++) {
		const struct encoding *c = &encodings[i];
		struct rig r;
		rig_init(&r, 1, false);
		uint64_t root = rig_table(&r), va = 0x40200000;
		uint64_t last = rig_map(&r, root, 3, va, 0, rig_leaf(RIG_BASE, LEAF));
		uint64_t target = c->pointer ? last & ~UINT64_C(0xfff) : RIG_BASE;
		rig_map(&r, root, 3, va, c->level, rig_leaf(target, 0) | c->pte);
		r.h->menvcfg = c->pbmte ? ENVCFG_PBMTE : 0;
		rig_satp_set(&r, rig_satp(3, 0, root));
		rig_priv_set(&r, RV_S);
		for (unsigned k = 0; k < 3; k++) {
			enum rv_exc e = rig_access(r.h, va, kinds[k], 8);
			rig_check(e == (c->ok ? RV_EXC_NONE : page_fault_of(kinds[k])),
				  "%s, access %u: exception %d", c->name, k, e);
		}
		rig_fini(&r);
	}
}

TEST(walk_napot_reaches_each_of_its_pages)
{
	struct rig r;
	rig_init(&r, 1, false);
	uint64_t root = rig_table(&r), va = 0x40200000;
	for (unsigned i = 0; i < 16; i++) {
		rig_map(&r, root, 3, va + i * 4096, 0, rig_leaf(RIG_BASE + 0x8000, LEAF) | BIT(63));
		*rig_word(&r, RIG_BASE + i * 4096) = 100 + i;
	}
	rig_satp_set(&r, rig_satp(3, 0, root));
	rig_priv_set(&r, RV_S);
	for (unsigned i = 0; i < 16; i++) {
		uint64_t v;
		CHECK(rv_load_slow(r.h, va + i * 4096, 8, &v) && v == 100 + i);
	}
	rig_fini(&r);
}

TEST(walk_refuses_addresses_that_are_not_canonical)
{
	for (unsigned levels = 3; levels <= 5; levels++) {
		struct rig r;
		rig_init(&r, 1, false);
		unsigned bits = 12 + 9 * levels;
		uint64_t root = rig_table(&r), top = BIT(bits - 1);
		uint64_t low = 0x1000, high = ~(top - 1) | 0x1000; /* both halves, canonical */
		rig_map(&r, root, levels, low, 0, rig_leaf(RIG_BASE, LEAF));
		rig_map(&r, root, levels, high, 0, rig_leaf(RIG_BASE, LEAF));
		rig_satp_set(&r, rig_satp(levels, 0, root));
		rig_priv_set(&r, RV_S);
		for (unsigned k = 0; k < 3; k++) {
			CHECK(rig_access(r.h, low, kinds[k], 8) == RV_EXC_NONE);
			CHECK(rig_access(r.h, high, kinds[k], 8) == RV_EXC_NONE);
			for (unsigned b = bits; b < 64; b++) {
				rig_check(rig_access(r.h, low ^ BIT(b), kinds[k], 8) ==
					      page_fault_of(kinds[k]),
					  "levels %u: bit %u set below", levels, b);
				rig_check(rig_access(r.h, high ^ BIT(b), kinds[k], 8) ==
					      page_fault_of(kinds[k]),
					  "levels %u: bit %u clear above", levels, b);
			}
		}
		rig_fini(&r);
	}
}

TEST(walk_tables_outside_ram_are_access_faults)
{
	for (unsigned level = 1; level <= 3; level++) {
		struct rig r;
		rig_init(&r, 1, false);
		uint64_t root = rig_table(&r), va = 0x40200000, outside = RIG_MMIO;
		if (level == 3)
			root = outside;
		else
			rig_map(&r, root, 3, va, level, rig_leaf(outside, V));
		rig_satp_set(&r, rig_satp(3, 0, root));
		rig_priv_set(&r, RV_S);
		for (unsigned k = 0; k < 3; k++)
			rig_check(rig_access(r.h, va, kinds[k], 8) == access_fault_of(kinds[k]),
				  "table of level %u outside RAM, access %u", level - 1, k);
		rig_fini(&r);
	}
}

TEST(walk_obeys_pmp_for_tables_and_for_setting_bits)
{
	struct rig r;
	rig_init(&r, 1, false);
	uint64_t root = rig_table(&r), va = 0x40200000;
	uint64_t at = rig_map(&r, root, 3, va, 0, rig_leaf(RIG_BASE, V | R | W));
	r.h->menvcfg = ENVCFG_ADUE;
	rig_satp_set(&r, rig_satp(3, 0, root));
	rig_priv_set(&r, RV_S);
	/* entry 0: the page of the last table, read only; entry 1: everything */
	rv_pmp_set_addr(r.h, 1, UINT64_MAX);
	rv_pmp_set_cfg(r.h, 1, 0x1f);
	rv_pmp_set_addr(r.h, 0, (at & ~UINT64_C(0xfff)) >> 2 | 0x1ff);
	rv_pmp_set_cfg(r.h, 0, 0x19);
	CHECK(rig_access(r.h, va, RV_READ, 8) == RV_EXC_LOAD_ACCESS); /* A cannot be set */
	*rig_word(&r, at) |= A | D;
	CHECK(rig_access(r.h, va, RV_WRITE, 8) == RV_EXC_NONE);
	rv_pmp_set_cfg(r.h, 0, 0x18);
	CHECK(rig_access(r.h, va, RV_WRITE, 8) == RV_EXC_STORE_ACCESS);
	CHECK(rig_access(r.h, va, RV_EXEC, 8) == RV_EXC_FETCH_ACCESS);
	rig_fini(&r);
}
