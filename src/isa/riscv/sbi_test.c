/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in SBI, with good and bad arguments. SBI 2.0 */
#include "isa/riscv/rig.h"

enum {
	BASE = 0x10,
	TIME = 0x54494d45,
	IPI = 0x735049,
	RFENCE = 0x52464e43,
	HSM = 0x48534d,
	SRST = 0x53525354,
	DBCN = 0x4442434e,
	SUSP = 0x53555350,
	STA = 0x535441,
	PMU = 0x504d55,
};
#define ALL UINT64_MAX

struct call {
	const char *name;
	uint64_t ext, fn, arg[6];
	int64_t error;
	uint64_t value;
};

/* On two harts, hart 0 calling. Each row follows the one before. */
static const struct call calls[] = {
    {"spec version", BASE, 0, {0}, 0, 0x2000000},
    {"mvendorid", BASE, 4, {0}, 0, 0},
    {"probe time", BASE, 3, {TIME}, 0, 1},
    {"probe legacy", BASE, 3, {1}, 0, 1},
    {"probe CPPC", BASE, 3, {0x43505043}, 0, 0},
    {"base 7", BASE, 7, {0}, SBI_NOT_SUPPORTED, 0},
    {"no such extension", 0x12345678, 0, {0}, SBI_NOT_SUPPORTED, 0},
    {"time 1", TIME, 1, {0}, SBI_NOT_SUPPORTED, 0},
    {"timer", TIME, 0, {12345}, 0, 0},
    {"IPI 1", IPI, 1, {1, 0}, SBI_NOT_SUPPORTED, 0},
    {"IPI to hart 2", IPI, 0, {4, 0}, SBI_INVALID_PARAM, 0},
    {"IPI to hart 2 by base", IPI, 0, {1, 2}, SBI_INVALID_PARAM, 0},
    {"IPI, base beyond 64", IPI, 0, {1, 64}, SBI_INVALID_PARAM, 0},
    {"IPI, mask lost by base", IPI, 0, {BIT(63), 1}, SBI_INVALID_PARAM, 0},
    {"IPI to nobody", IPI, 0, {0, 0}, 0, 0},
    {"IPI to all", IPI, 0, {0, ALL}, 0, 0},
    {"fence.i", RFENCE, 0, {1, 0}, 0, 0},
    {"fence.i to hart 9", RFENCE, 0, {1, 9}, SBI_INVALID_PARAM, 0},
    {"sfence all", RFENCE, 1, {0, ALL, 0, ALL}, 0, 0},
    {"sfence range", RFENCE, 1, {3, 0, 0x1234, 0x5000}, 0, 0},
    {"sfence that wraps", RFENCE, 1, {1, 0, ALL - 0xfff, 0x2000}, SBI_INVALID_ADDRESS, 0},
    {"sfence asid", RFENCE, 2, {3, 0, 0x1000, 0x1000, 7}, 0, 0},
    {"hfence.gvma", RFENCE, 3, {1, 0}, SBI_NOT_SUPPORTED, 0},
    {"hfence.vvma", RFENCE, 6, {1, 0}, SBI_NOT_SUPPORTED, 0},
    {"status of 0", HSM, 2, {0}, 0, 0},
    {"status of 1", HSM, 2, {1}, 0, 1},
    {"status of 2", HSM, 2, {2}, SBI_INVALID_PARAM, 0},
    {"start 2", HSM, 0, {2, RIG_BASE, 0}, SBI_INVALID_PARAM, 0},
    {"start at MMIO", HSM, 0, {1, RIG_MMIO, 0}, SBI_INVALID_ADDRESS, 0},
    {"start at odd", HSM, 0, {1, RIG_BASE + 1, 0}, SBI_INVALID_ADDRESS, 0},
    {"start at the end of RAM", HSM, 0, {1, RIG_BASE + RIG_RAM, 0}, SBI_INVALID_ADDRESS, 0},
    {"start myself", HSM, 0, {0, RIG_BASE, 0}, SBI_ALREADY_AVAILABLE, 0},
    {"suspend, reserved", HSM, 3, {1, 0, 0}, SBI_INVALID_PARAM, 0},
    {"suspend, platform", HSM, 3, {0x10000000, 0, 0}, SBI_NOT_SUPPORTED, 0},
    {"suspend, reserved lossy", HSM, 3, {0x80000001, 0, 0}, SBI_INVALID_PARAM, 0},
    {"suspend, platform lossy", HSM, 3, {0x90000000, 0, 0}, SBI_NOT_SUPPORTED, 0},
    {"suspend, bad address", HSM, 3, {0x80000000, 4, 0}, SBI_INVALID_ADDRESS, 0},
    {"HSM 4", HSM, 4, {0}, SBI_NOT_SUPPORTED, 0},
    {"reset type 3", SRST, 0, {3, 0}, SBI_INVALID_PARAM, 0},
    {"reset vendor type", SRST, 0, {0xf0000000, 0}, SBI_NOT_SUPPORTED, 0},
    {"reset reason 2", SRST, 0, {0, 2}, SBI_INVALID_PARAM, 0},
    {"SRST 1", SRST, 1, {0, 0}, SBI_NOT_SUPPORTED, 0},
    {"console write outside", DBCN, 0, {4, 0x1000, 0}, SBI_INVALID_PARAM, 0},
    {"console write, high half", DBCN, 0, {4, RIG_BASE, 1}, SBI_INVALID_PARAM, 0},
    {"console write over the end", DBCN, 0, {5, RIG_BASE + RIG_RAM - 4, 0}, SBI_INVALID_PARAM, 0},
    {"console write, huge", DBCN, 0, {ALL, RIG_BASE, 0}, SBI_INVALID_PARAM, 0},
    {"console write", DBCN, 0, {4, RIG_BASE, 0}, 0, 4},
    {"console write nothing", DBCN, 0, {0, RIG_BASE, 0}, 0, 0},
    {"console byte", DBCN, 2, {'!'}, 0, 0},
    {"console read", DBCN, 1, {8, RIG_BASE + 64, 0}, 0, 2},
    {"console read nothing", DBCN, 1, {8, RIG_BASE + 64, 0}, 0, 0},
    {"console read outside", DBCN, 1, {8, 0, 0}, SBI_INVALID_PARAM, 0},
    {"DBCN 3", DBCN, 3, {0}, SBI_NOT_SUPPORTED, 0},
    {"steal time, flags", STA, 0, {RIG_BASE, 0, 1}, SBI_INVALID_PARAM, 0},
    {"steal time, misaligned", STA, 0, {RIG_BASE + 8, 0, 0}, SBI_INVALID_PARAM, 0},
    {"steal time, outside", STA, 0, {0x40, 0, 0}, SBI_INVALID_ADDRESS, 0},
    {"steal time, high half", STA, 0, {RIG_BASE, 1, 0}, SBI_INVALID_ADDRESS, 0},
    {"steal time on", STA, 0, {RIG_BASE + 0x1000, 0, 0}, 0, 0},
    {"steal time off", STA, 0, {ALL, ALL, 0}, 0, 0},
    {"system suspend type 1", SUSP, 0, {1, RIG_BASE, 0}, SBI_INVALID_PARAM, 0},
    {"system suspend platform", SUSP, 0, {0x80000000, RIG_BASE, 0}, SBI_NOT_SUPPORTED, 0},
    {"system suspend to nowhere", SUSP, 0, {0, 0, 0}, SBI_INVALID_ADDRESS, 0},
    {"counters", PMU, 0, {0}, 0, 19},
    {"cycle", PMU, 1, {0}, 0, 0xc00 | 63 << 12},
    {"time is no counter", PMU, 1, {1}, SBI_INVALID_PARAM, 0},
    {"instret", PMU, 1, {2}, 0, 0xc02 | 63 << 12},
    {"firmware counter", PMU, 1, {3}, 0, BIT(63)},
    {"counter 19", PMU, 1, {19}, SBI_INVALID_PARAM, 0},
    {"configure cycles", PMU, 2, {0, 0x7fffd, 2, 1, 0}, 0, 0},
    {"configure cycles twice", PMU, 2, {0, 0x7fffd, 2, 1, 0}, SBI_NOT_SUPPORTED, 0},
    {"configure cache misses", PMU, 2, {0, 0x7fffd, 2, 4, 0}, SBI_NOT_SUPPORTED, 0},
    {"configure counter 40", PMU, 2, {40, 1, 2, 1, 0}, SBI_INVALID_PARAM, 0},
    {"configure nothing", PMU, 2, {0, 0, 2, 1, 0}, SBI_INVALID_PARAM, 0},
    {"configure, base wraps", PMU, 2, {ALL, 3, 2, 1, 0}, SBI_INVALID_PARAM, 0},
    {"start cycles", PMU, 3, {0, 1, 1, 100}, 0, 0},
    {"start cycles twice", PMU, 3, {0, 1, 1, 100}, SBI_ALREADY_STARTED, 0},
    {"stop cycles", PMU, 4, {0, 1, 1}, 0, 0},
    {"stop cycles twice", PMU, 4, {0, 1, 0}, SBI_ALREADY_STOPPED, 0},
    {"count IPIs sent", PMU, 2, {0, 0x7fffd, 6, 0xf0006, 0}, 0, 3},
    {"one IPI", IPI, 0, {1, 0}, 0, 0},
    {"IPIs sent", PMU, 5, {3}, 0, 1},
    {"firmware read of cycle", PMU, 5, {0}, SBI_INVALID_PARAM, 0},
    {"snapshots", PMU, 7, {RIG_BASE, 0, 0}, SBI_NOT_SUPPORTED, 0},
};

TEST(sbi_calls)
{
	struct rig r;
	rig_init(&r, 2, true);
	r.typed = "ab";
	memcpy(rig_word(&r, RIG_BASE), "text", 4);
	for (unsigned i = 0; i < countof(calls); i++) {
		const struct call *c = &calls[i];
		uint64_t value;
		int64_t e = rig_sbi(r.h, c->ext, c->fn, c->arg, &value);
		rig_check(e == c->error, "%s: error %lld", c->name, (long long)e);
		rig_check(e || value == c->value, "%s: value %#llx", c->name,
			  (unsigned long long)value);
		rig_check(r.h->exc == RV_EXC_NONE && r.h->npc == r.h->pc + 4, "%s: goes on",
			  c->name);
	}
	CHECK(r.console_len == 5 && !memcmp(r.console, "text!", 5));
	CHECK(!memcmp((char *)rig_word(&r, RIG_BASE + 64), "ab", 2));
	CHECK(r.h->stimecmp == 12345 && !r.resets);
	rig_fini(&r);
}

TEST(sbi_legacy_calls)
{
	struct rig r;
	rig_init(&r, 2, true);
	struct rv_hart *h = r.h;
	const uint64_t at = RIG_BASE + 8;
	r.typed = "z";
	uint64_t a1;
	CHECK(rig_sbi(h, 0, 0, (const uint64_t[6]){99, 77}, &a1) == 0 && h->stimecmp == 99);
	CHECK(a1 == 77); /* one result only */
	CHECK(rig_sbi(h, 1, 0, (const uint64_t[6]){'Q'}, NULL) == 0 && r.console[0] == 'Q');
	CHECK(rig_sbi(h, 2, 0, NULL, NULL) == 'z' && rig_sbi(h, 2, 0, NULL, NULL) == -1);
	*rig_word(&r, at) = 1;
	CHECK(rig_sbi(h, 4, 0, (const uint64_t[6]){at}, NULL) == 0 && h->mip_lines == BIT(RV_SSI));
	CHECK(rig_sbi(h, 3, 0, NULL, NULL) == 0 && h->mip_lines == 0);
	CHECK(rig_sbi(h, 5, 0, (const uint64_t[6]){0}, NULL) == 0);
	CHECK(rig_sbi(h, 6, 0, (const uint64_t[6]){at, 0, 4096}, NULL) == 0);
	CHECK(rig_sbi(h, 7, 0, (const uint64_t[6]){at, 0, 4096, 1}, NULL) == 0);
	CHECK(rig_sbi(h, 4, 0, (const uint64_t[6]){0x10}, NULL) < 0 && h->exc == RV_EXC_NONE);
	CHECK(rig_sbi(h, 9, 0, NULL, NULL) == SBI_NOT_SUPPORTED);
	rig_sbi(h, 8, 0, NULL, NULL);
	CHECK(r.resets == 1 && r.reset_type == 0 && h->hsm == RV_HSM_STOPPED);
	rig_fini(&r);
}

TEST(sbi_reset_reaches_the_machine)
{
	for (uint64_t type = 0; type < 3; type++) {
		struct rig r;
		rig_init(&r, 1, true);
		rig_sbi(r.h, SRST, 0, (const uint64_t[6]){type, 1}, NULL);
		CHECK(r.resets == 1 && r.reset_type == type && r.reset_reason == 1);
		CHECK(r.h->hsm == RV_HSM_STOPPED && r.h->limit == 0);
		rig_fini(&r);
	}
}

TEST(sbi_boot_state)
{
	struct rig r;
	rig_init(&r, 2, true);
	struct rv_hart *h = r.h;
	rv_hart_reset(h, RIG_BASE, 0x1234);
	CHECK(h->priv == RV_S && h->pc == RIG_BASE && h->x[10] == 0 && h->x[11] == 0x1234);
	CHECK(h->satp == 0 && !(h->mstatus & MSTATUS_SIE) && h->hsm == RV_HSM_STARTED);
	CHECK(r.env.harts[1]->hsm == RV_HSM_STOPPED);
	CHECK(rig_access(h, RIG_BASE, RV_WRITE, 8) == RV_EXC_NONE); /* PMP is open */
	uint64_t v;
	CHECK(rig_csrr(h, 0xc01, &v) == RV_EXC_NONE && rig_csrr(h, 0xc02, &v) == RV_EXC_NONE);
	CHECK(rig_csrw(h, 0x14d, UINT64_MAX) == RV_EXC_NONE);
	/* every exception of S and U mode stays in S mode */
	for (unsigned cause = 0; cause < 16; cause++)
		if (BIT(cause) & 0xb1ff) {
			rv_trap(h, (enum rv_exc)cause, 0);
			CHECK(h->priv == RV_S);
		}
	rig_fini(&r);
}

/* ---- harts that run: a thread that does what an engine does, without instructions ---- */

static void *hart_thread(void *arg)
{
	struct rv_hart *h = arg;
	while (!(__atomic_load_n(&h->requests, __ATOMIC_SEQ_CST) & RV_REQ_STOP)) {
		rv_wait(h);
		rv_poll(h);
		for (unsigned i = 0; i < 100 && __atomic_load_n(&h->limit, __ATOMIC_RELAXED); i++)
			h->icount++;
	}
	rv_rest(h);
	return NULL;
}

struct running {
	struct rig r;
	pthread_t t[RV_HARTS_MAX];
};
/* Threads for all harts but 0, which is the test's own. */
static void running_init(struct running *s, unsigned harts)
{
	rig_init(&s->r, harts, true);
	for (unsigned i = 1; i < harts; i++)
		CHECK(!pthread_create(&s->t[i], NULL, hart_thread, s->r.env.harts[i]));
}
static void running_fini(struct running *s)
{
	for (unsigned i = 1; i < s->r.env.nharts; i++)
		rv_hart_request(s->r.env.harts[i], RV_REQ_STOP);
	for (unsigned i = 1; i < s->r.env.nharts; i++)
		pthread_join(s->t[i], NULL);
	rig_fini(&s->r);
}
static bool hsm_becomes(const struct rv_hart *h, uint32_t want)
{
	for (unsigned i = 0; i < 2000; i++) {
		if (__atomic_load_n(&h->hsm, __ATOMIC_SEQ_CST) == want)
			return true;
		usleep(1000);
	}
	return false;
}

TEST(sbi_harts_start_suspend_and_wake)
{
	struct running s;
	running_init(&s, 3);
	struct rv_hart *h = s.r.h, *o = s.r.env.harts[1];
	CHECK(rig_sbi(h, SUSP, 0, (const uint64_t[6]){0, RIG_BASE + 1, 0}, NULL) ==
	      SBI_INVALID_ADDRESS);
	CHECK(rig_sbi(h, HSM, 0, (const uint64_t[6]){1, RIG_BASE + 0x40, 0xbeef}, NULL) == 0);
	CHECK(hsm_becomes(o, RV_HSM_STARTED));
	CHECK(rig_sbi(h, HSM, 0, (const uint64_t[6]){1, RIG_BASE, 0}, NULL) ==
	      SBI_ALREADY_AVAILABLE);
	CHECK(rig_sbi(h, SUSP, 0, (const uint64_t[6]){0, RIG_BASE, 0}, NULL) == SBI_DENIED);
	running_fini(&s);
}

TEST(sbi_start_state)
{
	struct rig r;
	rig_init(&r, 2, true);
	struct rv_hart *h = r.h, *o = r.env.harts[1];
	o->satp = rig_satp(3, 1, RIG_BASE);
	o->mstatus = MSTATUS_SIE | MSTATUS_SUM;
	CHECK(rig_sbi(h, HSM, 0, (const uint64_t[6]){1, RIG_BASE + 0x40, 0xbeef}, NULL) == 0);
	uint64_t status;
	CHECK(rig_sbi(h, HSM, 2, (const uint64_t[6]){1}, &status) == 0 && status == 2);
	CHECK(rv_poll(o) && o->hsm == RV_HSM_STARTED && o->pc == RIG_BASE + 0x40);
	CHECK(o->x[10] == 1 && o->x[11] == 0xbeef && o->priv == RV_S && o->satp == 0);
	CHECK(!(o->mstatus & MSTATUS_SIE) && !(o->requests & RV_REQ_START));
	/* suspend that keeps registers: returns 0 when an interrupt is pending */
	o->mie = BIT(RV_SSI);
	CHECK(rig_sbi(o, HSM, 3, (const uint64_t[6]){0}, NULL) == 0 && o->hsm == RV_HSM_SUSPENDED);
	CHECK(rig_sbi(h, HSM, 2, (const uint64_t[6]){1}, &status) == 0 && status == 4);
	CHECK(rv_poll(o) && o->hsm == RV_HSM_SUSPENDED);
	CHECK(rig_sbi(h, IPI, 0, (const uint64_t[6]){2, 0}, NULL) == 0);
	rv_wait(o);
	CHECK(o->hsm == RV_HSM_STARTED && o->x[10] == 0);
	/* and one that loses them */
	rv_hart_irq(o, RV_SSI, false);
	rig_sbi(o, HSM, 3, (const uint64_t[6]){0x80000000, RIG_BASE + 0x80, 0xcafe}, NULL);
	CHECK(o->hsm == RV_HSM_SUSPENDED_LOST);
	CHECK(rig_sbi(h, IPI, 0, (const uint64_t[6]){2, 0}, NULL) == 0);
	rv_wait(o);
	CHECK(o->hsm == RV_HSM_STARTED && o->pc == RIG_BASE + 0x80 && o->x[10] == 1 &&
	      o->x[11] == 0xcafe);
	CHECK(rv_irq_pending(o) == BIT(RV_SSI)); /* what woke it is still to be taken */
	/* stop, and the system goes to sleep when it is the last */
	rig_sbi(o, HSM, 1, NULL, NULL);
	CHECK(o->hsm == RV_HSM_STOPPED);
	h->mie = BIT(RV_SSI);
	rig_sbi(h, SUSP, 0, (const uint64_t[6]){0, RIG_BASE + 0x100, 5}, NULL);
	CHECK(h->hsm == RV_HSM_SUSPENDED_LOST);
	rv_hart_irq(h, RV_SSI, true);
	rv_wait(h);
	CHECK(h->hsm == RV_HSM_STARTED && h->pc == RIG_BASE + 0x100 && h->x[11] == 5);
	rig_fini(&r);
}

/* A fence has taken effect on every running hart when the call returns. */
TEST(sbi_remote_fences_are_complete_on_return)
{
	struct running s;
	running_init(&s, 4);
	struct rv_hart *h = s.r.h;
	for (unsigned i = 1; i < 4; i++) {
		CHECK(rig_sbi(h, HSM, 0, (const uint64_t[6]){i, RIG_BASE, 0}, NULL) == 0);
		CHECK(hsm_becomes(s.r.env.harts[i], RV_HSM_STARTED));
	}
	for (unsigned n = 0; n < 200; n++) {
		uint64_t before[4];
		uint32_t insn[4];
		for (unsigned i = 0; i < 4; i++) {
			before[i] = __atomic_load_n(&s.r.env.harts[i]->mmu->gen, __ATOMIC_SEQ_CST);
			insn[i] = __atomic_load_n(&s.r.env.harts[i]->fetch_epoch, __ATOMIC_SEQ_CST);
		}
		CHECK(rig_sbi(h, RFENCE, n & 1, (const uint64_t[6]){0, ALL, 0, ALL}, NULL) == 0);
		for (unsigned i = 0; i < 4; i++) {
			struct rv_hart *o = s.r.env.harts[i];
			if (n & 1)
				CHECK(__atomic_load_n(&o->mmu->gen, __ATOMIC_SEQ_CST) != before[i]);
			else
				CHECK(__atomic_load_n(&o->fetch_epoch, __ATOMIC_SEQ_CST) !=
				      insn[i]);
		}
	}
	running_fini(&s);
}

static void *fencer(void *arg)
{
	struct rv_hart *h = arg;
	rv_poll(h);
	for (unsigned n = 0; n < 300; n++) {
		rig_sbi(h, RFENCE, n % 3, (const uint64_t[6]){0, ALL, n * 4096ull, 4096, 1}, NULL);
		rv_poll(h);
	}
	rv_rest(h);
	return NULL;
}

TEST(sbi_sixteen_harts_fence_each_other)
{
	struct rig r;
	pthread_t t[16];
	rig_init(&r, 16, true);
	for (unsigned i = 0; i < 16; i++) {
		r.env.harts[i]->hsm = RV_HSM_STARTED;
		CHECK(!pthread_create(&t[i], NULL, fencer, r.env.harts[i]));
	}
	for (unsigned i = 0; i < 16; i++)
		pthread_join(t[i], NULL);
	rig_fini(&r);
}

/* A hart that must pause while it waits leaves the call, and makes it again later. */
TEST(sbi_fence_gives_way_to_pause)
{
	struct rig r;
	rig_init(&r, 2, true);
	struct rv_hart *h = r.h, *o = r.env.harts[1];
	o->hsm = RV_HSM_STARTED;
	rv_poll(o); /* it runs, and will not look again */
	rv_poll(h);
	rv_hart_request(h, RV_REQ_PAUSE);
	h->pc = 0x100;
	rig_sbi(h, RFENCE, 0, (const uint64_t[6]){0, ALL}, NULL);
	CHECK(h->npc == 0x100 && h->x[10] == 0 && h->x[17] == RFENCE && h->limit == 0);
	rv_rest(o);
	__atomic_fetch_and(&h->requests, ~(uint32_t)RV_REQ_PAUSE, __ATOMIC_SEQ_CST);
	CHECK(rig_sbi(h, RFENCE, 0, (const uint64_t[6]){0, ALL}, NULL) == 0 && h->npc == 0x104);
	uint32_t before = o->fetch_epoch;
	rv_poll(o); /* before it runs again it does what was asked */
	CHECK(o->fetch_epoch != before);
	rig_fini(&r);
}

TEST(sbi_long_fence_queues_become_one_flush)
{
	struct rig r;
	rig_init(&r, 2, true);
	struct rv_hart *h = r.h, *o = r.env.harts[1];
	o->hsm = RV_HSM_STARTED;
	rig_priv_set(&r, RV_S);
	CHECK(rig_access(o, RIG_BASE, RV_READ, 8) == RV_EXC_NONE);
	for (uint64_t n = 0; n < 100; n++)
		CHECK(rig_sbi(h, RFENCE, 1, (const uint64_t[6]){2, 0, n * 4096, 4096}, NULL) == 0);
	uint64_t before = o->mmu->gen;
	rv_poll(o);
	CHECK(o->mmu->gen != before && !(o->requests & (RV_REQ_SFENCE | RV_REQ_FENCE_I)));
	rig_fini(&r);
}

TEST(sbi_steal_time_record)
{
	struct rig r;
	rig_init(&r, 1, true);
	const uint64_t at = RIG_BASE + 0x1000;
	memset(rig_word(&r, at), 0xff, 64);
	CHECK(rig_sbi(r.h, STA, 0, (const uint64_t[6]){at, 0, 0}, NULL) == 0);
	CHECK(*rig_word(&r, at) == 0 && *rig_word(&r, at + 8) == 0);
	for (unsigned i = 0; i < 4; i++) {
		rv_poll(r.h);
		usleep(11000);
	}
	uint64_t *w = rig_word(&r, at);
	CHECK((w[0] & 1) == 0 && w[1] == r.h->steal_ns);
	uint64_t before = w[1];
	rv_held(r.h, 500000000);
	r.h->wfi = true; /* it did not want to run */
	rv_held(r.h, 500000000);
	r.h->wfi = false;
	usleep(11000);
	rv_poll(r.h);
	CHECK(w[1] - before >= 500000000 && w[1] - before < 900000000);
	rig_fini(&r);
}
