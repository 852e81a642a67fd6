/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts, what the TLB may remember, and what a fence must make it forget.
 * RISC-V Priv 20240411 §4.2.1, §3.1.6.3 */
#include "isa/riscv/rig.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128, RWX = V | R | W | X | A | D };
#define VA UINT64_C(0x40200000)
#define FAR (VA + (1 << 30) + 0x3000)

/* Two frames: what a stale translation reads is 1, what a fresh one reads is 2. */
#define OLD (RIG_BASE + 0x200000)
#define NEW (RIG_BASE + 0x400000)

struct spaces {
	struct rig r;
	uint64_t root[3], slot[3]; /* address spaces with ASIDs 1, 2, 3 */
};

static void frames_fill(struct rig *r)
{
	for (uint64_t off = 0; off < 0x200000; off += 4096) {
		*rig_word(r, OLD + off) = 1;
		*rig_word(r, NEW + off) = 2;
	}
}

static void spaces_init(struct spaces *s, unsigned level, uint64_t flags)
{
	rig_init(&s->r, 1, false);
	frames_fill(&s->r);
	for (unsigned i = 0; i < 3; i++) {
		s->root[i] = rig_table(&s->r);
		s->slot[i] = rig_map(&s->r, s->root[i], 3, VA, level, rig_leaf(OLD, flags));
		rig_map(&s->r, s->root[i], 3, VA + 0x400000, 0, rig_leaf(OLD, flags));
	}
	rig_priv_set(&s->r, RV_S);
}

static void space_enter(struct spaces *s, unsigned i)
{
	CHECK(rig_csrw(s->r.h, 0x180, rig_satp(3, i + 1, s->root[i])) == RV_EXC_NONE);
}

static uint64_t word_at(struct rv_hart *h, uint64_t va)
{
	uint64_t v;
	CHECK(rv_load_slow(h, va, 8, &v));
	return v;
}

struct fence_case {
	const char *name;
	uint64_t va, asid, flags; /* operands of sfence.vma; flags: 1 no address, 2 no ASID */
	unsigned level;
	bool stale0, stale1; /* may spaces 0 and 1 still hold the old entry for VA? */
};
static const struct fence_case fences[] = {
    {"everything", 0, 0, 3, 0, false, false},
    {"everything, 2 MiB", 0, 0, 3, 1, false, false},
    {"address", VA, 0, 2, 0, false, false},
    {"address, 2 MiB page", VA, 0, 2, 1, false, false},
    {"far end of a 2 MiB page", VA + 0x1ff000, 0, 2, 1, false, false},
    {"another address", VA + 0x400000, 0, 2, 0, true, true},
    {"another 2 MiB page", VA + 0x400000, 0, 2, 1, true, true},
    {"address and ASID", VA, 1, 0, 0, false, true},
    {"address and ASID, 2 MiB", VA, 1, 0, 1, false, true},
    {"address and another ASID", VA, 3, 0, 0, true, true},
    {"ASID", 0, 1, 1, 0, false, true},
    {"another ASID", 0, 3, 1, 0, true, true},
};

TEST(mmu_fences_reach_what_they_must_and_little_else)
{
	for (unsigned i = 0; i < countof(fences); i++) {
		const struct fence_case *c = &fences[i];
		for (unsigned space = 0; space < 2; space++) {
			struct spaces s;
			spaces_init(&s, c->level, RWX);
			space_enter(&s, space);
			/* the first page that is not global gives the space its own ids */
			CHECK(rig_access(s.r.h, VA, RV_EXEC, 4) == RV_EXC_NONE);
			CHECK(word_at(s.r.h, VA) == 1);
			*rig_word(&s.r, s.slot[space]) = rig_leaf(NEW, RWX);
			rv_help_sfence_vma(s.r.h, c->va, c->asid, c->flags);
			bool hit = rig_hits(s.r.h, VA, RV_READ);
			bool may = space ? c->stale1 : c->stale0;
			rig_check(word_at(s.r.h, VA) == (hit ? 1 : 2), "%s: hit and value agree",
				  c->name);
			/* a 2 MiB page may be forgotten more often than asked */
			rig_check(may ? hit || c->level : !hit, "%s, space %u: %s", c->name, space,
				  hit ? "survived" : "was forgotten");
			const uint8_t *p;
			uint64_t pa;
			CHECK(rv_fetch(s.r.h, VA, &p, &pa));
			rig_check(may || pa == NEW, "%s, space %u: fetch", c->name, space);
			rig_fini(&s.r);
		}
	}
}

TEST(mmu_global_pages_obey_a_fence_by_address)
{
	struct spaces s;
	spaces_init(&s, 0, RWX | G);
	space_enter(&s, 0);
	CHECK(word_at(s.r.h, VA) == 1);
	*rig_word(&s.r, s.slot[0]) = rig_leaf(NEW, RWX | G);
	rv_help_sfence_vma(s.r.h, VA, 0, 2);
	CHECK(word_at(s.r.h, VA) == 2);
	rig_fini(&s.r);
}

TEST(mmu_fragments_of_large_pages_are_fenced_as_one)
{
	static const unsigned levels[] = {1, 2};
	for (unsigned i = 0; i < countof(levels); i++) {
		struct rig r;
		rig_init(&r, 1, false);
		uint64_t root = rig_table(&r), size = BIT(12 + 9 * levels[i]);
		uint64_t pa = RIG_BASE & ~(size - 1), va = RIG_BASE - pa;
		uint64_t at = rig_map(&r, root, 3, va, levels[i], rig_leaf(pa, RWX));
		rig_satp_set(&r, rig_satp(3, 1, root));
		rig_priv_set(&r, RV_S);
		for (unsigned p = 0; p < 64; p++)
			CHECK(rig_access(r.h, va + p * 4096, RV_READ, 8) == RV_EXC_NONE);
		*rig_word(&r, at) = 0;
		rv_help_sfence_vma(r.h, va + 70 * 4096, 1, 0);
		for (unsigned p = 0; p < 64; p++)
			rig_check(!rig_hits(r.h, va + p * 4096, RV_READ),
				  "level %u page %u is gone", levels[i], p);
		rig_fini(&r);
	}
}

TEST(mmu_fragments_of_napot_pages_are_fenced_as_one)
{
	struct rig r;
	rig_init(&r, 1, false);
	uint64_t root = rig_table(&r);
	for (unsigned i = 0; i < 16; i++)
		rig_map(&r, root, 3, VA + i * 4096, 0, rig_leaf(OLD + 0x8000, RWX) | BIT(63));
	rig_satp_set(&r, rig_satp(3, 1, root));
	rig_priv_set(&r, RV_S);
	for (unsigned i = 0; i < 16; i++)
		CHECK(rig_access(r.h, VA + i * 4096, RV_READ, 8) == RV_EXC_NONE);
	rv_help_sfence_vma(r.h, VA + 5 * 4096, 0, 2);
	for (unsigned i = 0; i < 16; i++)
		rig_check(!rig_hits(r.h, VA + i * 4096, RV_READ), "page %u is gone", i);
	rig_fini(&r);
}

TEST(mmu_switching_between_spaces_forgets_nothing)
{
	struct spaces s;
	spaces_init(&s, 0, RWX | U);
	struct rv_hart *h = s.r.h;
	rig_priv_set(&s.r, RV_U);
	*rig_word(&s.r, s.slot[1]) = rig_leaf(NEW, RWX | U);
	uint64_t satp[2] = {rig_satp(3, 1, s.root[0]), rig_satp(3, 2, s.root[1])};
	rig_satp_set(&s.r, satp[0]);
	uint64_t ctx = h->dctx, fctx = h->fctx;
	uint32_t epoch = h->map_epoch;
	CHECK(word_at(h, VA) == 1);
	rig_satp_set(&s.r, satp[1]);
	CHECK(h->dctx != ctx && h->fctx != fctx && !rig_hits(h, VA, RV_READ));
	CHECK(word_at(h, VA) == 2);
	rig_satp_set(&s.r, satp[0]);
	CHECK(h->dctx == ctx && h->fctx == fctx && h->map_epoch == epoch);
	CHECK(word_at(h, VA) == 1);
	rig_fini(&s.r);
}

TEST(mmu_global_pages_survive_a_change_of_space)
{
	struct spaces s;
	spaces_init(&s, 0, RWX | G);
	struct rv_hart *h = s.r.h;
	for (unsigned i = 0; i < 2; i++) /* G above the leaf does as well */
		rig_map(&s.r, s.root[i], 3, FAR, 0, rig_leaf(OLD, RWX));
	for (unsigned i = 0; i < 2; i++)
		*rig_word(&s.r, s.root[i] + 8 * (VA >> 30) + 8) |= G;
	space_enter(&s, 0);
	uint64_t fctx = h->fctx, pa;
	const uint8_t *p;
	CHECK(word_at(h, VA) == 1 && word_at(h, FAR) == 1);
	CHECK(rv_fetch(h, VA, &p, &pa) && h->fctx == fctx);
	space_enter(&s, 1);
	CHECK(rig_hits(h, VA, RV_READ) && rig_hits(h, FAR, RV_READ));
	CHECK(h->fctx == fctx);
	/* others do not, and what fences one space leaves them */
	*rig_word(&s.r, s.slot[1] + 8) = rig_leaf(OLD, RWX);
	CHECK(word_at(h, VA + 4096) == 1 && rig_hits(h, VA + 4096, RV_READ));
	CHECK(h->fctx == fctx);
	space_enter(&s, 0);
	CHECK(!rig_hits(h, VA + 4096, RV_READ) && rig_hits(h, VA, RV_READ) && h->fctx == fctx);
	rv_help_sfence_vma(h, 0, 1, 1);
	CHECK(rig_hits(h, VA, RV_READ) && h->fctx == fctx);
	/* the space with such a page does not take part any more */
	space_enter(&s, 1);
	CHECK(h->fctx != fctx && word_at(h, VA) == 1);
	space_enter(&s, 2);
	CHECK(h->fctx == fctx && word_at(h, VA) == 1);
	/* a fence for everything ends them */
	rv_help_sfence_vma(h, 0, 0, 3);
	CHECK(!rig_hits(h, VA, RV_READ) && h->fctx != fctx);
	rig_fini(&s.r);
}

TEST(mmu_fences_renew_only_contexts_that_fetched_the_page)
{
	struct spaces s;
	spaces_init(&s, 0, RWX | U);
	struct rv_hart *h = s.r.h;
	uint64_t fctx[2], pa;
	const uint8_t *p;
	h->priv = RV_U;
	for (unsigned i = 0; i < 2; i++) {
		rig_satp_set(&s.r, rig_satp(3, i + 1, s.root[i]));
		CHECK(rv_fetch(h, VA, &p, &pa));
		fctx[i] = h->fctx;
	}
	rv_mmu_flush_page(h, VA + 0x1000, -1); /* never fetched */
	rv_mmu_flush_page(h, VA, 1);           /* the other space */
	CHECK(h->fctx == fctx[1] && rv_fetch(h, VA, &p, &pa) && h->fctx == fctx[1]);
	rig_satp_set(&s.r, rig_satp(3, 1, s.root[0]));
	CHECK(h->fctx != fctx[0]);
	fctx[0] = h->fctx;
	rv_mmu_flush_page(h, VA, -1);
	CHECK(h->fctx == fctx[0]); /* it has not fetched since */
	rig_satp_set(&s.r, rig_satp(3, 2, s.root[1]));
	CHECK(h->fctx != fctx[1]);
	rig_fini(&s.r);
}

TEST(mmu_fetch_regions_are_what_one_leaf_maps)
{
	static const struct {
		unsigned level, shift;
		uint64_t flags;
	} cases[] = {{0, 12, RWX}, {1, 21, RWX}, {1, 21, RWX | G}, {2, 21, RWX}, {0, 16, RWX}};
	for (unsigned i = 0; i < countof(cases); i++) {
		struct rig r;
		rig_init(&r, 1, false);
		uint64_t root = rig_table(&r), va = UINT64_C(0x80200000);
		uint64_t to = cases[i].level == 2 ? RIG_BASE : OLD, pa;
		const uint8_t *p;
		bool global;
		to = rig_leaf(to, cases[i].flags);
		rig_map(&r, root, 3, va, cases[i].level,
			cases[i].shift == 16 ? rig_leaf(OLD + 0x8000, RWX) | BIT(63) : to);
		rig_satp_set(&r, rig_satp(3, 1, root));
		rig_priv_set(&r, RV_S);
		CHECK(rv_fetch(r.h, va + 8, &p, &pa) && pa == OLD + 8);
		rig_check(rv_fetch_region(r.h, va + 8, &global) == cases[i].shift &&
			  global == !!(cases[i].flags & G), "case %u", i);
		rig_fini(&r);
	}
	struct rig r;
	bool global;
	rig_init(&r, 1, false);
	CHECK(rv_fetch_region(r.h, RIG_BASE + 0x1234, &global) == 21 && global);
	CHECK(rv_fetch_region(r.h, RIG_BASE + RIG_RAM, &global) == 12 && r.h->exc == RV_EXC_NONE);
	/* PMP that cuts the region */
	rig_priv_set(&r, RV_S);
	rv_pmp_set_addr(r.h, 1, UINT64_MAX);
	rv_pmp_set_cfg(r.h, 1, 0x1f);
	rv_pmp_set_addr(r.h, 0, (RIG_BASE + 0x10000) >> 2);
	rv_pmp_set_cfg(r.h, 0, 0x0f);
	CHECK(rv_fetch_region(r.h, RIG_BASE + 0x1234, &global) == 12);
	rig_fini(&r);
}

/* ---- everything at once, against what a fresh walk says ---- */

enum { CHAOS_PAGES = 6, CHAOS_SPACES = 3, CHAOS_KEPT = 4096 };

struct chaos {
	struct rig r;
	uint64_t seed, root[CHAOS_SPACES], spare[CHAOS_SPACES], slot[CHAOS_SPACES][CHAOS_PAGES];
	struct { uint64_t va, fctx, pa; } kept[CHAOS_KEPT]; /* as an engine keeps jumps */
	uint32_t map_epoch;
};

static uint64_t chaos_rand(struct chaos *c, uint64_t n)
{
	c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
	return (c->seed >> 33) % n;
}

/* Pages 0, 1: user; 2: of S mode, not global; 3: global; 4: user, 2 MiB; 5: global, 2 MiB. */
static uint64_t chaos_va(unsigned page)
{
	return page < 4 ? VA + page * 4096 : VA + (page - 2) * UINT64_C(0x200000);
}

static uint64_t chaos_leaf(struct chaos *c, unsigned page)
{
	uint64_t flags = RWX | (page == 0 || page == 1 || page == 4 ? U : 0) |
			 (page == 3 || page == 5 ? G : 0);
	uint64_t pa = page < 4 ? OLD + chaos_rand(c, 16) * 4096 : OLD + chaos_rand(c, 2) * 0x200000;
	return rig_leaf(pa, chaos_rand(c, 8) ? flags : flags & ~(uint64_t)(V | X));
}

/* Another page of the same entries takes the place of the last table: that takes a fence for all
 * addresses. */
static void chaos_table(struct chaos *c, unsigned i)
{
	uint64_t old = c->slot[i][0] & ~UINT64_C(0xfff), new = c->spare[i];
	memcpy(rig_word(&c->r, new), rig_word(&c->r, old), 4096);
	rig_map(&c->r, c->root[i], 3, VA, 1, rig_leaf(new, V));
	memset(rig_word(&c->r, old), 0xff, 4096);
	c->spare[i] = old;
	for (unsigned page = 0; page < 4; page++)
		c->slot[i][page] = new | (c->slot[i][page] & 0xfff);
}

static void chaos_remap(struct chaos *c)
{
	struct rv_hart *h = c->r.h;
	unsigned page = (unsigned)chaos_rand(c, CHAOS_PAGES);
	unsigned i = (unsigned)chaos_rand(c, CHAOS_SPACES);
	uint64_t leaf = chaos_leaf(c, page);
	bool global = page == 3 || page == 5;
	for (unsigned k = 0; k < CHAOS_SPACES; k++)
		if (global || k == i)
			*rig_word(&c->r, c->slot[k][page]) = leaf;
	/* any fence that is enough */
	unsigned flags = (unsigned)chaos_rand(c, 4) | (global ? 2 : 0);
	if (flags & 1 && chaos_rand(c, 2))
		chaos_table(c, i);
	uint64_t in = chaos_va(page) + (page < 4 ? 0 : chaos_rand(c, 512) * 4096);
	uint8_t priv = h->priv;
	rig_priv_set(&c->r, RV_S);
	rv_help_sfence_vma(h, in, i + 1, flags);
	rig_priv_set(&c->r, priv);
}

static void chaos_fetch(struct chaos *c, uint64_t va)
{
	struct rv_hart *h = c->r.h;
	struct rv_map w;
	const uint8_t *p;
	uint64_t pa;
	if (c->map_epoch != h->map_epoch)
		memset(c->kept, 0, sizeof c->kept);
	c->map_epoch = h->map_epoch;
	bool ok = rv_walk(h, va, 2, RV_EXEC, h->priv, &w);
	h->exc = RV_EXC_NONE;
	unsigned k = (unsigned)((va >> 12) * 31 + h->fctx) % CHAOS_KEPT;
	if (c->kept[k].va == va && c->kept[k].fctx == h->fctx)
		CHECK(ok && c->kept[k].pa == w.pa);
	CHECK(rv_fetch(h, va, &p, &pa) == ok);
	h->exc = RV_EXC_NONE;
	if (!ok)
		return;
	CHECK(pa == w.pa);
	k = (unsigned)((va >> 12) * 31 + h->fctx) % CHAOS_KEPT;
	c->kept[k].va = va;
	c->kept[k].fctx = h->fctx;
	c->kept[k].pa = pa;
}

static void chaos_load(struct chaos *c, uint64_t va, enum rv_access a)
{
	struct rv_hart *h = c->r.h;
	struct rv_map w;
	uint64_t v;
	bool ok = rv_walk(h, va, 8, a, h->mmu->priv, &w);
	h->exc = RV_EXC_NONE;
	if (rig_hits(h, va, a)) {
		const struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
		CHECK(ok && va + e->add == (uint64_t)(uintptr_t)w.host);
	}
	CHECK((a == RV_WRITE ? rv_store_slow(h, va, 8, 1) : rv_load_slow(h, va, 8, &v)) == ok);
	h->exc = RV_EXC_NONE;
}

TEST(mmu_chaos_is_what_a_walk_says)
{
	static struct chaos c;
	c.seed = 7;
	rig_init(&c.r, 1, false);
	for (unsigned i = 0; i < CHAOS_SPACES; i++) {
		c.root[i] = rig_table(&c.r);
		c.spare[i] = rig_table(&c.r);
		for (unsigned page = 0; page < CHAOS_PAGES; page++)
			c.slot[i][page] = rig_map(&c.r, c.root[i], 3, chaos_va(page), page >= 4,
						  rig_leaf(OLD, 0));
	}
	rig_satp_set(&c.r, rig_satp(3, 1, c.root[0]));
	rig_priv_set(&c.r, RV_S);
	for (unsigned n = 0; n < 400000; n++) {
		struct rv_hart *h = c.r.h;
		unsigned page = (unsigned)chaos_rand(&c, CHAOS_PAGES), i;
		uint64_t va = chaos_va(page) + (page < 4 ? 0 : chaos_rand(&c, 512) * 4096);
		switch (chaos_rand(&c, n / 50000 % 2 ? 40 : 12)) {
		case 0: chaos_remap(&c); break;
		case 1:
			i = (unsigned)chaos_rand(&c, CHAOS_SPACES);
			rig_satp_set(&c.r, rig_satp(3, i + 1, c.root[i]));
			break;
		case 2: rig_priv_set(&c.r, chaos_rand(&c, 2) ? RV_S : RV_U); break;
		case 3:
			h->mstatus ^= MSTATUS_SUM;
			rv_mmu_update(h);
			break;
		case 4:
			if (chaos_rand(&c, 100) == 0)
				rv_mmu_flush(h, chaos_rand(&c, 2));
			break;
		case 5:
		case 6:
		case 7: chaos_load(&c, va, RV_WRITE); break;
		case 8:
		case 9: chaos_fetch(&c, va); break;
		default: chaos_load(&c, va, RV_READ); break;
		}
	}
	rig_fini(&c.r);
}

/* More address spaces than ids: each must still see only its own pages. */
TEST(mmu_context_ids_are_recycled_safely)
{
	struct rig r;
	rig_init(&r, 1, false);
	frames_fill(&r);
	uint64_t root[2] = {rig_table(&r), rig_table(&r)};
	rig_map(&r, root[0], 3, VA, 0, rig_leaf(OLD, RWX));
	rig_map(&r, root[1], 3, VA, 0, rig_leaf(NEW, RWX));
	rig_priv_set(&r, RV_S);
	for (unsigned i = 0; i < 3000; i++) {
		rig_satp_set(&r, rig_satp(3, i, root[i & 1]));
		rig_check(word_at(r.h, VA) == 1 + (i & 1), "asid %u", i);
		CHECK(r.h->dctx >= 1 << 4 && r.h->dctx <= 255 << 4);
	}
	rig_fini(&r);
}

TEST(mmu_sum_opens_user_pages_and_closes_them_again)
{
	struct spaces s;
	spaces_init(&s, 0, RWX | U);
	struct rv_hart *h = s.r.h;
	rig_map(&s.r, s.root[0], 3, VA + 0x1000, 0, rig_leaf(OLD, RWX | G));
	space_enter(&s, 0);
	for (unsigned round = 0; round < 200; round++) {
		CHECK(rig_access(h, VA + 0x1000, RV_READ, 8) == RV_EXC_NONE);
		CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_LOAD_PAGE);
		rv_help_csr(h, 0x100, MSTATUS_SUM, 2);
		CHECK(rig_access(h, VA, RV_WRITE, 8) == RV_EXC_NONE && rig_hits(h, VA, RV_READ));
		CHECK(rig_hits(h, VA + 0x1000, RV_READ)); /* kernel pages serve both settings */
		CHECK(rig_access(h, VA, RV_EXEC, 8) == RV_EXC_FETCH_PAGE);
		rv_help_csr(h, 0x100, MSTATUS_SUM, 3);
		CHECK(!rig_hits(h, VA, RV_READ) && !rig_hits(h, VA, RV_WRITE));
	}
	rig_fini(&s.r);
}

TEST(mmu_sum_off_is_remembered_across_a_change_of_space)
{
	struct spaces s;
	spaces_init(&s, 0, RWX | U);
	struct rv_hart *h = s.r.h;
	space_enter(&s, 0);
	rv_help_csr(h, 0x100, MSTATUS_SUM, 2);
	CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_NONE);
	space_enter(&s, 1);
	rv_help_csr(h, 0x100, MSTATUS_SUM, 3);
	space_enter(&s, 0);
	CHECK(!rig_hits(h, VA, RV_READ));
	CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_LOAD_PAGE);
	rig_fini(&s.r);
}

TEST(mmu_mxr_makes_executable_pages_readable_for_a_while)
{
	struct spaces s;
	spaces_init(&s, 0, V | X | A);
	struct rv_hart *h = s.r.h;
	space_enter(&s, 0);
	CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_LOAD_PAGE);
	rv_help_csr(h, 0x100, MSTATUS_MXR, 2);
	CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_NONE && rig_hits(h, VA, RV_READ));
	rv_help_csr(h, 0x100, MSTATUS_MXR, 3);
	CHECK(!rig_hits(h, VA, RV_READ));
	CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_LOAD_PAGE);
	rig_fini(&s.r);
}

struct mprv_case {
	unsigned mpp;
	uint64_t flags;
	bool ok;
};

TEST(mmu_mprv_moves_data_accesses_only)
{
	static const struct mprv_case cases[] = {
	    {RV_U, RWX, false},
	    {RV_U, RWX | U, true},
	    {RV_S, RWX, true},
	    {RV_S, RWX | U, false},
	};
	for (unsigned i = 0; i < countof(cases); i++) {
		struct spaces s;
		spaces_init(&s, 0, cases[i].flags);
		struct rv_hart *h = s.r.h;
		space_enter(&s, 0);
		rig_priv_set(&s.r, RV_M);
		/* without MPRV the address is physical, and no RAM is there */
		CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_LOAD_ACCESS);
		CHECK(rig_csrw(h, 0x300, MSTATUS_MPRV | (uint64_t)cases[i].mpp << 11) ==
		      RV_EXC_NONE);
		rig_check(rig_access(h, VA, RV_READ, 8) ==
			      (cases[i].ok ? RV_EXC_NONE : RV_EXC_LOAD_PAGE),
			  "MPP %u flags %#llx", cases[i].mpp, (unsigned long long)cases[i].flags);
		CHECK(rig_access(h, VA, RV_EXEC, 8) == RV_EXC_FETCH_ACCESS);
		CHECK(rig_access(h, RIG_BASE, RV_EXEC, 8) == RV_EXC_NONE);
		/* MPP = M: as if MPRV were off */
		CHECK(rig_csrw(h, 0x300, MSTATUS_MPRV | MSTATUS_MPP) == RV_EXC_NONE);
		CHECK(rig_access(h, RIG_BASE, RV_READ, 8) == RV_EXC_NONE);
		rig_fini(&s.r);
	}
}

TEST(mmu_clean_pages_take_the_slow_path_until_written)
{
	struct spaces s;
	spaces_init(&s, 0, RWX & ~(unsigned)D);
	struct rv_hart *h = s.r.h;
	h->menvcfg |= ENVCFG_ADUE;
	space_enter(&s, 0);
	CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_NONE && !rig_hits(h, VA, RV_WRITE));
	CHECK(!(*rig_word(&s.r, s.slot[0]) & D));
	CHECK(rig_access(h, VA, RV_WRITE, 8) == RV_EXC_NONE && rig_hits(h, VA, RV_WRITE));
	CHECK(*rig_word(&s.r, s.slot[0]) & D);
	rig_fini(&s.r);
}

/* ---- accesses ---- */

TEST(access_across_pages_is_whole_or_nothing)
{
	struct rig r;
	rig_init(&r, 1, false);
	uint64_t root = rig_table(&r), v;
	rig_map(&r, root, 3, VA, 0, rig_leaf(OLD, RWX));
	uint64_t at = rig_map(&r, root, 3, VA + 0x1000, 0, rig_leaf(NEW, RWX));
	rig_satp_set(&r, rig_satp(3, 0, root));
	rig_priv_set(&r, RV_S);
	for (unsigned size = 2; size <= 8; size *= 2)
		for (unsigned before = 1; before < size; before++) {
			uint64_t va = VA + 0x1000 - before,
				 mask = size == 8 ? UINT64_MAX : BIT(size * 8) - 1;
			CHECK(rv_store_slow(r.h, va, size, 0x8877665544332211 & mask));
			CHECK(rv_load_slow(r.h, va, size, &v));
			rig_check(v == (0x8877665544332211 & mask), "size %u, %u bytes before",
				  size, before);
		}
	*rig_word(&r, at) = 0;
	rv_mmu_flush(r.h, false);
	*rig_word(&r, OLD + 0xff8) = 0;
	CHECK(!rv_store_slow(r.h, VA + 0xffc, 8, UINT64_MAX));
	CHECK(r.h->exc == RV_EXC_STORE_PAGE && r.h->tval == VA + 0x1000);
	CHECK(*rig_word(&r, OLD + 0xff8) == 0);
	CHECK(!rv_load_slow(r.h, VA + 0xffe, 4, &v));
	CHECK(r.h->exc == RV_EXC_LOAD_PAGE && r.h->tval == VA + 0x1000);
	rig_fini(&r);
}

TEST(access_misaligned_inside_a_page)
{
	struct rig r;
	rig_init(&r, 1, false);
	uint64_t v;
	for (unsigned off = 0; off < 16; off++) {
		CHECK(rv_store_slow(r.h, RIG_BASE + off, 8, UINT64_C(0x1234567890abcdef) + off));
		CHECK(rv_load_slow(r.h, RIG_BASE + off, 8, &v) &&
		      v == UINT64_C(0x1234567890abcdef) + off);
		CHECK(rv_load_slow(r.h, RIG_BASE + off, 2, &v) && v == 0xcdef + off);
	}
	rig_fini(&r);
}

TEST(access_to_devices_goes_to_the_bus_every_time)
{
	struct rig r;
	rig_init(&r, 1, false);
	uint64_t v;
	for (unsigned size = 1; size <= 8; size *= 2) {
		CHECK(rv_load_slow(r.h, RIG_MMIO + 0x40, size, &v) &&
		      v == (size == 1 ? 0x40 : 0x5a40));
		CHECK(r.last_width == size && !rig_hits(r.h, RIG_MMIO, RV_READ));
		CHECK(rv_store_slow(r.h, RIG_MMIO + 0x48, size, 77) && r.last_val == 77);
		CHECK(r.last_off == 0x48 && !rig_hits(r.h, RIG_MMIO, RV_WRITE));
		if (size > 1)
			CHECK(rig_access(r.h, RIG_MMIO + 0x41, RV_READ, size) ==
			      RV_EXC_LOAD_ACCESS);
	}
	CHECK(rig_access(r.h, 0x100, RV_READ, 4) == RV_EXC_LOAD_ACCESS);
	CHECK(rig_access(r.h, 0x100, RV_WRITE, 4) == RV_EXC_STORE_ACCESS);
	CHECK(rig_access(r.h, RIG_MMIO, RV_EXEC, 4) == RV_EXC_FETCH_ACCESS);
	CHECK(rig_access(r.h, RIG_BASE + RIG_RAM - 4, RV_READ, 8) == RV_EXC_LOAD_ACCESS);
	rig_fini(&r);
}

TEST(access_atomics_need_alignment_ram_and_both_rights)
{
	struct spaces s;
	spaces_init(&s, 0, V | R | A | D);
	struct rv_hart *h = s.r.h;
	space_enter(&s, 0);
	CHECK(!rv_atomic_ptr(h, VA + 4, 8, RV_WRITE) && h->exc == RV_EXC_STORE_MISALIGNED);
	CHECK(!rv_atomic_ptr(h, VA + 2, 4, RV_READ) && h->exc == RV_EXC_LOAD_MISALIGNED);
	h->exc = RV_EXC_NONE;
	CHECK(rv_atomic_ptr(h, VA, 8, RV_READ) && h->exc == RV_EXC_NONE);
	CHECK(!rv_atomic_ptr(h, VA, 8, RV_WRITE) && h->exc == RV_EXC_STORE_PAGE);
	rig_priv_set(&s.r, RV_M);
	CHECK(!rv_atomic_ptr(h, RIG_MMIO, 4, RV_WRITE) && h->exc == RV_EXC_STORE_ACCESS);
	CHECK(!rv_atomic_ptr(h, RIG_MMIO, 4, RV_READ) && h->exc == RV_EXC_LOAD_ACCESS);
	h->exc = RV_EXC_NONE;
	CHECK(rv_atomic_ptr(h, RIG_BASE + 16, 16, RV_WRITE) ==
	      mem_ptr(s.r.env.mem, gpa(RIG_BASE + 16), 16));
	rig_fini(&s.r);
}

TEST(access_cbo_zero_and_management)
{
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	memset(rig_word(&r, RIG_BASE), 0xff, 256);
	rig_priv_set(&r, RV_S);
	rv_help_cbo_zero(h, RIG_BASE + 70, 0, 0);
	CHECK(h->exc == RV_EXC_ILLEGAL);
	rv_help_cbo_clean(h, RIG_BASE, 0, 0);
	CHECK(h->exc == RV_EXC_ILLEGAL);
	h->exc = RV_EXC_NONE;
	h->menvcfg = ENVCFG_CBZE | ENVCFG_CBIE | ENVCFG_CBCFE;
	rv_help_cbo_zero(h, RIG_BASE + 70, 0, 0);
	CHECK(h->exc == RV_EXC_NONE);
	const uint8_t *p = (const uint8_t *)rig_word(&r, RIG_BASE);
	for (unsigned i = 0; i < 256; i++)
		rig_check(p[i] == (i >= 64 && i < 128 ? 0 : 0xff), "byte %u", i);
	for (uint64_t kind = 0; kind < 3; kind++) {
		rv_help_cbo_clean(h, RIG_BASE + 70, kind, 0);
		CHECK(h->exc == RV_EXC_NONE);
	}
	rv_help_cbo_zero(h, RIG_MMIO + 9, 0, 0);
	CHECK(h->exc == RV_EXC_STORE_ACCESS && h->tval == RIG_MMIO + 9);
	rig_priv_set(&r, RV_U);
	rv_help_cbo_zero(h, RIG_BASE, 0, 0);
	CHECK(h->exc == RV_EXC_ILLEGAL);
	rig_fini(&r);
}
