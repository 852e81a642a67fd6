/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever writes to a frame with translated code is told to those that keep the code. */
#include "isa/riscv/rig.h"

enum { V = 1, R = 2, W = 4, X = 8, A = 64, D = 128, RWX = V | R | W | X | A | D, CAP = 64 };
#define VA UINT64_C(0x40200000)
#define CODE (RIG_BASE + 0x200000)

struct kept {
	struct rig r;
	uint64_t got[CAP];
	bool all;
};

/* Sv39 in S mode: two pages at VA, one after the other also in memory. */
static void kept_init(struct kept *k, unsigned harts)
{
	rig_init(&k->r, harts, false);
	uint64_t root = rig_table(&k->r);
	rig_map(&k->r, root, 3, VA, 0, rig_leaf(CODE, RWX));
	rig_map(&k->r, root, 3, VA + 4096, 0, rig_leaf(CODE + 4096, RWX));
	for (unsigned i = 0; i < harts; i++) {
		struct rv_hart *h = k->r.env.harts[i];
		h->satp = rig_satp(3, 1, root);
		h->priv = RV_S;
		h->menvcfg = ENVCFG_ADUE | ENVCFG_CBZE;
		rv_mmu_update(h);
	}
	k->all = true;
	rv_code_written(k->r.h, k->got, CAP, &k->all);
}

/* A hart that was reset or loaded once says that nothing is sure, and no more. */
TEST(code_all_is_lost_when_a_hart_is_loaded)
{
	struct rig r;
	uint64_t got[4];
	bool all;
	rig_init(&r, 1, false);
	CHECK(rv_code_written(r.h, got, 4, &all) == 0 && all);
	CHECK(rv_code_written(r.h, got, 4, &all) == 0 && !all);
	rv_hart_loaded(r.h);
	CHECK(rv_code_written(r.h, got, 4, &all) == 0 && all);
	rig_fini(&r);
}

static void forget_all(struct rv_hart *h) { rv_help_sfence_vma(h, 0, 0, 3); }

static size_t written(struct kept *k) { return rv_code_written(k->r.h, k->got, CAP, &k->all); }

/* The only frame written is that of @pa (0: none is). */
static bool only(struct kept *k, uint64_t pa)
{
	size_t n = written(k);
	return !k->all && n == !!pa && (!pa || k->got[0] == pa);
}

TEST(code_no_fast_store_to_a_watched_frame)
{
	struct kept k;
	kept_init(&k, 1);
	struct rv_hart *h = k.r.h;
	CHECK(rig_access(h, VA, RV_WRITE, 8) == RV_EXC_NONE && rig_hits(h, VA, RV_WRITE));
	rv_code_watch(h, CODE + 8);
	CHECK(!rig_hits(h, VA, RV_WRITE) && rig_hits(h, VA, RV_READ));
	forget_all(h);
	CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_NONE);
	CHECK(rig_hits(h, VA, RV_READ) && !rig_hits(h, VA, RV_WRITE) && only(&k, 0));
	CHECK(rig_access(h, VA, RV_WRITE, 1) == RV_EXC_NONE && rig_hits(h, VA, RV_WRITE));
	CHECK(only(&k, CODE) && only(&k, 0));
	/* nobody looks again until it is watched again */
	CHECK(rig_access(h, VA, RV_WRITE, 1) == RV_EXC_NONE && only(&k, 0));
	rv_code_watch(h, CODE);
	CHECK(!rig_hits(h, VA, RV_WRITE));
	rig_fini(&k.r);
}

static uint64_t *table_entry(struct kept *k, uint64_t va)
{
	uint64_t table = satp_root(k->r.h->satp);
	for (unsigned l = 2;; l--) {
		uint64_t *p = rig_word(&k->r, table + (va >> (12 + 9 * l) & 511) * 8);
		if (!l)
			return p;
		table = *p >> 10 << 12;
	}
}

TEST(code_every_way_to_write_is_noted)
{
	struct kept k;
	kept_init(&k, 1);
	struct rv_hart *h = k.r.h;
	uint64_t *pte = table_entry(&k, VA);
	uint64_t table = RIG_BASE + (uint64_t)((uint8_t *)pte - mem_host(k.r.env.mem));
	table &= ~UINT64_C(0xfff);
	rv_code_watch(h, CODE + 4096);
	CHECK(rv_store_slow(h, VA + 0xffd, 4, 0) && only(&k, CODE + 4096));
	rv_code_watch(h, CODE);
	CHECK(rv_store_slow(h, VA + 0xffd, 4, 0) && only(&k, CODE));
	rv_code_watch(h, CODE);
	CHECK(rv_atomic_ptr(h, VA + 8, 8, RV_READ) && only(&k, 0));
	CHECK(rv_atomic_ptr(h, VA + 8, 8, RV_WRITE) && only(&k, CODE));
	rv_code_watch(h, CODE);
	rv_help_cbo_zero(h, VA + 100, 0, 0);
	CHECK(h->exc == RV_EXC_NONE && only(&k, CODE));
	/* the walker sets A and D */
	*pte &= ~(uint64_t)(A | D);
	forget_all(h);
	rv_code_watch(h, table);
	CHECK(rig_access(h, VA, RV_READ, 8) == RV_EXC_NONE && only(&k, table));
	rv_code_watch(h, table);
	CHECK(rig_access(h, VA, RV_WRITE, 8) == RV_EXC_NONE && only(&k, table));
	rv_code_watch(h, table);
	CHECK(rig_access(h, VA, RV_WRITE, 8) == RV_EXC_NONE && only(&k, 0));
	/* where PMP cuts a page, nothing is entered, but still written */
	rv_code_watch(h, CODE);
	rv_pmp_set_addr(h, 0, (CODE + 64) >> 2);
	rv_pmp_set_cfg(h, 0, 0x0f);
	rv_pmp_set_cfg(h, 1, 0x0f);
	rv_pmp_set_addr(h, 1, UINT64_C(1) << 53);
	CHECK(rig_access(h, VA, RV_WRITE, 8) == RV_EXC_NONE && only(&k, CODE));
	CHECK(!rig_hits(h, VA, RV_WRITE));
	rig_fini(&k.r);
}

TEST(code_sbi_writes_are_noted)
{
	struct kept k;
	rig_init(&k.r, 1, true);
	rv_code_written(k.r.h, k.got, CAP, &k.all);
	k.r.typed = "ls";
	rv_code_watch(k.r.h, CODE);
	CHECK(rig_sbi(k.r.h, 0x4442434e, 1, (const uint64_t[6]){8, CODE + 8, 0}, NULL) == 0);
	CHECK(only(&k, CODE));
	rv_code_watch(k.r.h, CODE);
	CHECK(rig_sbi(k.r.h, 0x535441, 0, (const uint64_t[6]){CODE, 0, 0}, NULL) == 0);
	CHECK(only(&k, CODE));
	rig_fini(&k.r);
}

TEST(code_frames_are_unsettled_until_others_polled)
{
	struct kept k;
	kept_init(&k, 3);
	struct rv_hart *h = k.r.h, *b = k.r.env.harts[1], *c = k.r.env.harts[2];
	rv_poll(b);
	CHECK(rig_access(b, VA, RV_WRITE, 8) == RV_EXC_NONE && rig_hits(b, VA, RV_WRITE));
	rv_code_watch(h, CODE);
	CHECK(!rig_hits(b, VA, RV_WRITE));
	CHECK(only(&k, CODE) && only(&k, CODE)); /* b may still be about to store */
	rv_code_watch(h, CODE);
	rv_poll(b);
	CHECK(only(&k, CODE) && only(&k, 0));
	/* one that another hart watches already is unsettled for us too */
	rv_code_watch(b, CODE + 4096);
	rv_code_watch(h, CODE + 4096);
	rv_code_watch(h, CODE + 4096);
	CHECK(only(&k, CODE + 4096));
	rv_rest(b);
	CHECK(only(&k, CODE + 4096) && only(&k, 0));
	/* a hart that sleeps cannot be about to store */
	rv_code_watch(h, CODE + 8192);
	CHECK(only(&k, 0));
	/* frames that come all the time do not keep the first ones */
	rv_poll(b);
	rv_poll(c);
	for (uint64_t i = 0; i < 100; i++) {
		rv_code_watch(h, RIG_BASE + i * 4096);
		size_t n = written(&k);
		CHECK(!k.all && n >= 1 && n <= 4);
		rv_poll(b);
		rv_poll(c);
		rv_code_watch(h, RIG_BASE + (i + 100) * 4096);
	}
	CHECK(written(&k) <= 4 && !k.all);
	rig_fini(&k.r);
}

TEST(code_too_many_frames_are_all_frames)
{
	struct kept k;
	kept_init(&k, 2);
	struct rv_hart *h = k.r.h, *b = k.r.env.harts[1];
	rv_poll(b);
	for (uint64_t i = 0; i < RV_UNSETTLED + 1; i++)
		rv_code_watch(h, RIG_BASE + i * 4096);
	CHECK(written(&k) == 0 && k.all);
	CHECK(written(&k) == 0 && k.all);
	rv_poll(b);
	CHECK(written(&k) == 0 && k.all);
	CHECK(written(&k) == 0 && !k.all);
	mem_written(k.r.env.mem, gpa(RIG_BASE), (CAP + 1) * 4096);
	CHECK(written(&k) == 0 && k.all);
	rig_fini(&k.r);
}

/* ---- two harts at once ---- */

struct race {
	struct kept k;
	uint64_t said; /* atomic: the last value that hart 1 says it stored */
	bool stop;     /* atomic */
};

/* As an engine stores: by the entry when its tag matches. */
static void store(struct rv_hart *h, uint64_t va, uint64_t v)
{
	struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
	if (__atomic_load_n(&e->tag_w, __ATOMIC_RELAXED) == (va | h->dctx))
		__atomic_store_n((uint64_t *)(uintptr_t)(va + e->add), v, __ATOMIC_RELAXED);
	else
		CHECK(rv_store_slow(h, va, 8, v));
}

static void *race_writer(void *arg)
{
	struct race *t = arg;
	struct rv_hart *h = t->k.r.env.harts[1];
	uint64_t *device = rig_word(&t->k.r, CODE + 4096);
	for (uint64_t n = 1; !__atomic_load_n(&t->stop, __ATOMIC_SEQ_CST); n++) {
		store(h, VA, n);
		__atomic_store_n(device, n, __ATOMIC_RELAXED);
		mem_written_host(t->k.r.env.mem, device, 8);
		__atomic_store_n(&t->said, n, __ATOMIC_RELEASE);
		if (n % 16 == 0)
			rv_poll(h);
		if (n % 1024 == 0)
			rv_rest(h);
		if (n % 1024 == 0)
			rv_poll(h);
	}
	rv_rest(h);
	return NULL;
}

static void race_keep(struct race *t, unsigned i, uint64_t *kept)
{
	rv_code_watch(t->k.r.h, CODE + i * 4096);
	*kept = __atomic_load_n(rig_word(&t->k.r, CODE + i * 4096), __ATOMIC_RELAXED);
}

TEST(code_no_store_of_another_hart_or_device_is_missed)
{
	static struct race t;
	pthread_t writer;
	uint64_t kept[2] = {0}, said = 0;
	t.said = 0;
	t.stop = false;
	kept_init(&t.k, 2);
	rv_poll(t.k.r.h);
	rv_poll(t.k.r.env.harts[1]);
	CHECK(!pthread_create(&writer, NULL, race_writer, &t));
	for (unsigned i = 0; i < 2; i++)
		race_keep(&t, i, &kept[i]);
	for (unsigned round = 0; said < 300000 || round < 300000; round++) {
		said = __atomic_load_n(&t.said, __ATOMIC_ACQUIRE);
		size_t n = written(&t.k); /* what fence.i is followed by */
		for (size_t j = 0; j < n && !t.k.all; j++)
			race_keep(&t, t.k.got[j] != CODE, &kept[t.k.got[j] != CODE]);
		for (unsigned i = 0; i < 2; i++) {
			if (t.k.all)
				race_keep(&t, i, &kept[i]);
			rig_check(kept[i] >= said, "round %u: kept %llu of %llu", round,
				  (unsigned long long)kept[i], (unsigned long long)said);
		}
		if (round % 8 == 0)
			rv_poll(t.k.r.h);
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_SEQ_CST);
	CHECK(!pthread_join(writer, NULL));
	rig_fini(&t.k.r);
}
