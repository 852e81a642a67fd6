/* SPDX-License-Identifier: Apache-2.0 */
/* Delegation, vectors, priorities, returns, waiting. RISC-V Priv 20240411 §3.1.6, §3.1.8, §3.1.9 */
#include "isa/riscv/rig.h"

static const unsigned privs[] = {RV_U, RV_S, RV_M};

TEST(trap_exceptions_go_where_medeleg_says)
{
	static const enum rv_exc causes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15};
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	for (unsigned i = 0; i < countof(causes); i++)
		for (unsigned p = 0; p < 3; p++)
			for (unsigned deleg = 0; deleg < 2; deleg++) {
				uint64_t bit = BIT(causes[i]), ie = MSTATUS_SIE | MSTATUS_MIE;
				CHECK(rig_csrw((rig_priv_set(&r, RV_M), h), 0x302,
					       deleg ? bit : ~bit) == RV_EXC_NONE);
				h->mstatus = ie;
				h->stvec = 0x1001;
				h->mtvec = 0x2001;
				rig_priv_set(&r, privs[p]);
				h->pc = 0x4444;
				rv_trap(h, causes[i], 0x77);
				bool to_s =
				    deleg && privs[p] != RV_M && causes[i] != RV_EXC_ECALL_M;
				rig_check(h->priv == (to_s ? RV_S : RV_M),
					  "cause %d priv %u delegated %u", causes[i], privs[p],
					  deleg);
				/* vectored mode does not move exceptions */
				CHECK(h->pc == (to_s ? 0x1000u : 0x2000u));
				CHECK((to_s ? h->scause : h->mcause) == (uint64_t)causes[i]);
				CHECK((to_s ? h->sepc : h->mepc) == 0x4444);
				CHECK((to_s ? h->stval : h->mtval) == 0x77);
				uint64_t want =
				    to_s ? MSTATUS_MIE | MSTATUS_SPIE | (p ? MSTATUS_SPP : 0)
					 : MSTATUS_SIE | MSTATUS_MPIE | (uint64_t)privs[p] << 11;
				rig_check(h->mstatus == want, "cause %d priv %u: mstatus %#llx",
					  causes[i], privs[p], (unsigned long long)h->mstatus);
			}
	rig_fini(&r);
}

/* The spec's sentence as code: M-level first; a level's interrupts are on below it, and at it
 * with its xIE. */
static unsigned choose_expected(const struct rv_hart *h, uint64_t pending)
{
	static const unsigned order[] = {11, 3, 7, 9, 1, 5, 13};
	for (unsigned level = RV_M;; level = RV_S) {
		bool on =
		    h->priv < level ||
		    (h->priv == level && h->mstatus & (level == RV_M ? MSTATUS_MIE : MSTATUS_SIE));
		for (unsigned i = 0; on && i < countof(order); i++)
			if (pending >> order[i] & 1 &&
			    (h->mideleg >> order[i] & 1) == (level == RV_S))
				return order[i];
		if (level == RV_S)
			return IRQ_NONE;
	}
}

TEST(trap_interrupt_priority_and_enables)
{
	static const unsigned all[] = {1, 3, 5, 7, 9, 11, 13};
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	for (unsigned set = 0; set < 128; set++)
		for (unsigned deleg = 0; deleg < 16; deleg++)
			for (unsigned how = 0; how < 12; how++) {
				uint64_t pending = 0, want_deleg = 0;
				for (unsigned i = 0; i < 7; i++)
					pending |= set >> i & 1 ? BIT(all[i]) : 0;
				static const unsigned s_level[] = {1, 5, 9, 13};
				for (unsigned i = 0; i < 4; i++)
					want_deleg |= deleg >> i & 1 ? BIT(s_level[i]) : 0;
				h->mideleg = want_deleg;
				h->priv = (uint8_t)privs[how % 3];
				h->mstatus =
				    (how / 3 & 1 ? MSTATUS_SIE : 0) | (how / 6 ? MSTATUS_MIE : 0);
				rig_check(rv_irq_choose(h, pending) == choose_expected(h, pending),
					  "pending %#llx mideleg %#llx priv %u mstatus %#llx",
					  (unsigned long long)pending,
					  (unsigned long long)h->mideleg, h->priv,
					  (unsigned long long)h->mstatus);
			}
	rig_fini(&r);
}

/* What S mode was to take, and M mode so could not, becomes M mode's own. */
TEST(trap_interrupts_that_are_no_longer_delegated_are_looked_at)
{
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	CHECK(rig_csrw(h, 0x303, BIT(RV_SSI)) == RV_EXC_NONE);
	CHECK(rig_csrw(h, 0x304, BIT(RV_SSI)) == RV_EXC_NONE);
	rv_hart_irq(h, RV_SSI, true);
	h->mstatus |= MSTATUS_MIE;
	CHECK(!rv_poll(h) && h->limit != 0);
	CHECK(rig_csrw(h, 0x303, 0) == RV_EXC_NONE && h->mideleg == 0);
	CHECK(h->limit == 0);
	CHECK(rv_poll(h) && h->mcause == (BIT(63) | RV_SSI));
	rig_fini(&r);
}

TEST(trap_poll_takes_an_interrupt_in_vectored_mode)
{
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	CHECK(rig_csrw(h, 0x305, 0x1001) == RV_EXC_NONE);
	CHECK(rig_csrw(h, 0x304, BIT(RV_MSI) | BIT(RV_MTI)) == RV_EXC_NONE);
	rv_hart_irq(h, RV_MTI, true);
	CHECK(!rv_poll(h)); /* MIE is off */
	rv_help_csr(h, 0x300, MSTATUS_MIE, 2);
	CHECK(h->limit == 0); /* look at once */
	h->pc = 0x500;
	CHECK(rv_poll(h) && h->pc == 0x1000 + 4 * RV_MTI && h->mepc == 0x500);
	CHECK(h->mcause == (BIT(63) | RV_MTI) && !(h->mstatus & MSTATUS_MIE));
	rv_hart_irq(h, RV_MTI, false);
	CHECK(!rv_irq_pending(h));
	rig_fini(&r);
}

struct ret_case {
	const char *name;
	unsigned priv;
	uint64_t before, after;
	unsigned to;
	bool m, ok;
};
TEST(trap_returns)
{
	static const struct ret_case cases[] = {
	    {"mret to U", RV_M, MSTATUS_MPIE | MSTATUS_MPRV, MSTATUS_MPIE | MSTATUS_MIE, RV_U, true,
	     true},
	    {"mret to S", RV_M, BIT(11) | MSTATUS_MPRV, MSTATUS_MPIE, RV_S, true, true},
	    {"mret to M keeps MPRV", RV_M, MSTATUS_MPP | MSTATUS_MPRV | MSTATUS_MIE,
	     MSTATUS_MPIE | MSTATUS_MPRV, RV_M, true, true},
	    {"mret from S", RV_S, MSTATUS_MPP, MSTATUS_MPP, RV_S, true, false},
	    {"mret from U", RV_U, 0, 0, RV_U, true, false},
	    {"sret to U", RV_S, MSTATUS_SPIE, MSTATUS_SPIE | MSTATUS_SIE, RV_U, false, true},
	    {"sret to S", RV_S, MSTATUS_SPP | MSTATUS_SIE, MSTATUS_SPIE, RV_S, false, true},
	    {"sret from M clears MPRV", RV_M, MSTATUS_SPP | MSTATUS_MPRV, MSTATUS_SPIE, RV_S, false,
	     true},
	    {"sret with TSR", RV_S, MSTATUS_TSR, MSTATUS_TSR, RV_S, false, false},
	    {"sret from M with TSR", RV_M, MSTATUS_TSR, MSTATUS_TSR | MSTATUS_SPIE, RV_U, false,
	     true},
	    {"sret from U", RV_U, 0, 0, RV_U, false, false},
	};
	for (unsigned i = 0; i < countof(cases); i++) {
		const struct ret_case *c = &cases[i];
		struct rig r;
		rig_init(&r, 1, false);
		r.h->mstatus = c->before;
		r.h->mepc = 0x100;
		r.h->sepc = 0x200;
		r.h->res_va = 0;
		rig_priv_set(&r, c->priv);
		if (c->m)
			rv_help_mret(r.h, 0, 0, 0);
		else
			rv_help_sret(r.h, 0, 0, 0);
		rig_check((r.h->exc == RV_EXC_NONE) == c->ok, "%s: exception %d", c->name,
			  (int)r.h->exc);
		rig_check(r.h->priv == c->to && r.h->mstatus == c->after,
			  "%s: priv %u mstatus %#llx", c->name, r.h->priv,
			  (unsigned long long)r.h->mstatus);
		if (c->ok)
			rig_check(r.h->npc == (c->m ? 0x100u : 0x200u) && r.h->res_va == UINT64_MAX,
				  "%s: npc, reservation", c->name);
		rig_fini(&r);
	}
}

TEST(trap_ecall_cause_tells_the_privilege)
{
	static const enum rv_exc causes[] = {RV_EXC_ECALL_U, RV_EXC_ECALL_S, RV_EXC_ECALL_M};
	struct rig r;
	rig_init(&r, 1, false);
	for (unsigned i = 0; i < 3; i++) {
		rig_priv_set(&r, privs[i]);
		rv_help_ecall(r.h, 4, 0, 0);
		CHECK(r.h->exc == (int64_t)causes[i] && r.h->tval == 0);
	}
	rig_fini(&r);
}

TEST(trap_wfi)
{
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	rig_priv_set(&r, RV_U);
	rv_help_wfi(h, 0, 0, 0);
	CHECK(h->exc == RV_EXC_ILLEGAL && !h->wfi);
	h->exc = RV_EXC_NONE;
	rig_priv_set(&r, RV_S);
	h->mstatus = MSTATUS_TW;
	rv_help_wfi(h, 0, 0, 0);
	CHECK(h->exc == RV_EXC_ILLEGAL && !h->wfi);
	h->exc = RV_EXC_NONE;
	rig_priv_set(&r, RV_M);
	rv_help_wfi(h, 0, 0, 0);
	CHECK(h->exc == RV_EXC_NONE && h->wfi);
	h->wfi = false;
	h->mie = BIT(RV_MSI); /* pending and enabled, though MIE is off: no sleep */
	rv_hart_irq(h, RV_MSI, true);
	rv_help_wfi(h, 0, 0, 0);
	CHECK(!h->wfi);
	rig_fini(&r);
}

static void *waker(void *arg)
{
	usleep(20000);
	rv_hart_irq(arg, RV_MSI, true);
	return NULL;
}

TEST(trap_wait_wakes_by_line_and_by_timer)
{
	struct rig r;
	pthread_t t;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	h->mie = BIT(RV_MSI);
	h->wfi = true;
	CHECK(!pthread_create(&t, NULL, waker, h));
	rv_wait(h);
	pthread_join(t, NULL);
	CHECK(!h->wfi && rv_irq_pending(h) == BIT(RV_MSI));
	rv_hart_irq(h, RV_MSI, false);
	h->menvcfg = ENVCFG_STCE;
	h->mie = BIT(RV_STI);
	uint64_t at = rv_time(h) + 100000; /* 10 ms */
	CHECK(rig_csrw(h, 0x14d, at) == RV_EXC_NONE);
	CHECK(rv_next_event_ns(h) == at * 100);
	h->wfi = true;
	rv_wait(h);
	uint64_t late = rv_time(h) - at;
	CHECK(!h->wfi && rv_irq_pending(h) == BIT(RV_STI));
	rig_check(late < 10000000, "woken %llu ticks late", (unsigned long long)late);
	rv_hart_request(h, RV_REQ_PAUSE); /* a request ends any wait */
	h->mie = 0;
	h->wfi = true;
	rv_wait(h);
	CHECK(h->wfi);
	rig_fini(&r);
}

static void idled_count(struct rv_hart *h) { h->x[31]++; }

/* Sleep for 10 ms. */
static void sleep_briefly(struct rv_hart *h)
{
	h->wfi = true;
	CHECK(rig_csrw(h, 0x14d, rv_time(h) + 100000) == RV_EXC_NONE);
	rv_wait(h);
	CHECK(!h->wfi);
}

TEST(trap_wait_tells_that_the_hart_is_idle)
{
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	const int64_t second = 1000000000;
	h->menvcfg = ENVCFG_STCE;
	h->mie = BIT(RV_STI);
	h->idled = idled_count;
	sleep_briefly(h);
	CHECK(h->x[31] == 0);
	r.clock.offset_ns += 3 * second - 13000000;
	sleep_briefly(h);
	CHECK(h->x[31] == 1); /* in the middle of the sleep */
	r.clock.offset_ns += 2 * second;
	sleep_briefly(h);
	CHECK(h->x[31] == 1);
	r.clock.offset_ns += 2 * second;
	sleep_briefly(h);
	CHECK(h->x[31] == 2);
	h->icount += 1000000000;
	r.clock.offset_ns += 4 * second; /* it was busy */
	sleep_briefly(h);
	CHECK(h->x[31] == 2);
	r.clock.offset_ns += 4 * second;
	sleep_briefly(h);
	CHECK(h->x[31] == 3);
	rig_fini(&r);
}

TEST(trap_timer_is_seen_while_running)
{
	struct rig r;
	rig_init(&r, 1, true);
	struct rv_hart *h = r.h;
	h->mie = BIT(RV_STI);
	h->mstatus = MSTATUS_SIE;
	h->stvec = 0x80001000;
	CHECK(rig_csrw(h, 0x14d, rv_time(h) + 10000) == RV_EXC_NONE && h->limit == 0);
	unsigned polls = 0;
	for (; polls < 100000 && h->pc != 0x80001000; polls++) {
		rv_poll(h);
		CHECK(h->limit > h->icount);
		h->icount = h->limit;
		usleep(50);
	}
	CHECK(h->pc == 0x80001000 && h->scause == (BIT(63) | RV_STI));
	uint64_t v;
	CHECK(rig_csrr(h, 0x144, &v) == RV_EXC_NONE && v & BIT(RV_STI));
	CHECK(rig_csrw(h, 0x14d, UINT64_MAX) == RV_EXC_NONE);
	CHECK(rig_csrr(h, 0x144, &v) == RV_EXC_NONE && !(v & BIT(RV_STI)));
	rig_fini(&r);
}

TEST(hart_that_was_about_to_start_starts_after_a_load)
{
	struct rig r;
	rig_init(&r, 2, true);
	struct rv_hart *b = r.env.harts[1];
	b->hsm = RV_HSM_START_PENDING;
	b->hsm_start_pc = RIG_BASE + 64;
	rv_hart_loaded(b);
	CHECK(rv_poll(b) && b->hsm == RV_HSM_STARTED && b->pc == RIG_BASE + 64);
	rig_fini(&r);
}

TEST(hart_state_round_trip)
{
	struct rig r;
	rig_init(&r, 2, true);
	struct rv_hart *a = r.env.harts[0], *b = r.env.harts[1];
	static uint8_t buf[16384];
	for (unsigned i = 1; i < 32; i++)
		a->x[i] = a->f[i] = i * 7;
	a->satp = rig_satp(3, 5, RIG_BASE);
	a->pc = 0x80000010;
	a->frm = 3;
	a->fs = 2;
	a->hsm = RV_HSM_SUSPENDED;
	size_t n = state_save(rv_hart_state, a, buf, sizeof buf);
	CHECK(n <= sizeof buf && state_load(rv_hart_state, b, buf, n));
	rv_hart_loaded(b);
	CHECK(b->pc == a->pc && b->x[31] == 217 && b->f[9] == 63 && b->satp == a->satp &&
	      b->frm == 3);
	CHECK(b->hsm == RV_HSM_SUSPENDED && b->id == 1 && b->limit == 0);
	rig_fini(&r);
}
