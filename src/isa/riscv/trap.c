/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions, interrupts, and the returns from them. RISC-V Priv 20240411 §3.1.6, §3.1.9, §3.3.2 */
#include "isa/riscv/priv.h"

uint64_t rv_raise(struct rv_hart *h, enum rv_exc cause, uint64_t tval)
{
	h->exc = cause;
	h->tval = tval;
	return 0;
}

/* Of h->sync: no instruction has this number, and none comes right after it. */
#define SYNC_NEVER (UINT64_MAX - 1)

/* Where a trap with @cause goes, given the trap vector @tvec. */
static uint64_t vector_of(uint64_t tvec, uint64_t cause)
{
	uint64_t base = tvec & ~UINT64_C(3);
	return tvec & 1 && cause >> 63 ? base + 4 * (cause & 63) : base;
}

static void enter_s(struct rv_hart *h, uint64_t cause, uint64_t tval)
{
	uint64_t s = h->mstatus;
	h->scause = cause;
	h->sepc = h->pc;
	h->stval = tval;
	h->mstatus = (s & ~(MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP)) |
		     (s & MSTATUS_SIE ? MSTATUS_SPIE : 0) | (h->priv == RV_S ? MSTATUS_SPP : 0);
	h->priv = RV_S;
	h->pc = h->npc = vector_of(h->stvec, cause);
}

static void enter_m(struct rv_hart *h, uint64_t cause, uint64_t tval)
{
	uint64_t s = h->mstatus;
	h->mcause = cause;
	h->mepc = h->pc;
	h->mtval = tval;
	h->mstatus = (s & ~(MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP)) |
		     (s & MSTATUS_MIE ? MSTATUS_MPIE : 0) | (uint64_t)h->priv << 11;
	h->priv = RV_M;
	h->pc = h->npc = vector_of(h->mtvec, cause);
}

void rv_trap(struct rv_hart *h, enum rv_exc cause, uint64_t tval)
{
	if (unlikely(h->env->process)) {
		rv_process_trap(h, cause, tval);
		return;
	}
	h->exc = RV_EXC_NONE;
	h->sync = SYNC_NEVER;
	if (h->priv <= RV_S && h->medeleg >> cause & 1)
		enter_s(h, (uint64_t)cause, tval);
	else
		enter_m(h, (uint64_t)cause, tval);
	rv_mmu_update(h);
}

/* ---- interrupts ---- */

unsigned rv_irq_choose(const struct rv_hart *h, uint64_t pending)
{
	static const uint8_t order[] = {RV_MEI, RV_MSI, RV_MTI, RV_SEI, RV_SSI, RV_STI, RV_LCOFI};
	uint64_t m = pending & ~h->mideleg, s = pending & h->mideleg;
	if (h->priv == RV_M && !(h->mstatus & MSTATUS_MIE))
		m = 0;
	if (h->priv == RV_M || (h->priv == RV_S && !(h->mstatus & MSTATUS_SIE)))
		s = 0;
	/* what M mode takes goes before anything that S mode takes */
	uint64_t take = m ? m : s;
	if (!take)
		return IRQ_NONE;
	for (unsigned i = 0; i < countof(order); i++)
		if (take >> order[i] & 1)
			return order[i];
	return IRQ_NONE;
}

static bool irq_take(struct rv_hart *h, uint64_t pending)
{
	unsigned irq = rv_irq_choose(h, pending);
	if (irq == IRQ_NONE)
		return false;
	h->wfi = false;
	if (h->mideleg >> irq & 1)
		enter_s(h, BIT(63) | irq, 0);
	else
		enter_m(h, BIT(63) | irq, 0);
	rv_mmu_update(h);
	return true;
}

static uint64_t irq_levels(const struct rv_hart *h)
{
	uint64_t p = __atomic_load_n(&h->mip_lines, __ATOMIC_SEQ_CST);
	if (!(h->menvcfg & ENVCFG_STCE))
		return p | h->mip_soft;
	return p | (h->mip_soft & ~BIT(RV_STI)) | (h->stip ? BIT(RV_STI) : 0);
}

static void stip_update(struct rv_hart *h)
{
	h->stip = h->stimecmp != UINT64_MAX && rv_time(h) >= h->stimecmp;
}

uint64_t rv_mip(struct rv_hart *h)
{
	stip_update(h);
	return irq_levels(h);
}

uint64_t rv_irq_pending(struct rv_hart *h)
{
	if (h->mie & BIT(RV_STI) && !h->stip)
		stip_update(h);
	return irq_levels(h) & h->mie;
}

void rv_irq_recheck(struct rv_hart *h)
{
	if (irq_levels(h) & h->mie)
		__atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED);
}

uint64_t rv_next_event_ns(struct rv_hart *h)
{
	const uint64_t ns = 1000000000u / RV_TIMEBASE_HZ;
	if (!(h->menvcfg & ENVCFG_STCE) || !(h->mie & BIT(RV_STI)) || h->stimecmp > UINT64_MAX / ns)
		return UINT64_MAX;
	return h->stimecmp * ns;
}

/* ---- counted time ---- */

static bool is_counted(const struct rv_hart *h) { return vclock_is_counted(h->env->clock); }

static bool checkpoint_due(const struct rv_hart *h)
{
	return h->env->checkpoint_every && h->icount >= h->next_checkpoint;
}

void rv_sync(struct rv_hart *h)
{
	if (likely(!is_counted(h)))
		return;
	h->sync = h->icount;
	stip_update(h);
	if (irq_levels(h) & h->mie || checkpoint_due(h))
		__atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED);
}

/* Instructions until the next look; one where there is something to do that has to wait for an
 * instruction to do it behind. */
static uint64_t counted_quantum(struct rv_hart *h)
{
	const struct vclock *c = h->env->clock;
	uint64_t due = rv_next_event_ns(h), at = UINT64_MAX / 2;
	stip_update(h);
	if (due != UINT64_MAX && !h->stip)
		at = (due + c->count_ns - 1) / c->count_ns - h->idle;
	if (h->env->checkpoint_every)
		at = min_u64(at, h->next_checkpoint);
	if (rv_irq_choose(h, irq_levels(h) & h->mie) != IRQ_NONE || at <= h->icount)
		return 1;
	return at - h->icount;
}

/* Right behind an instruction that called rv_sync? */
static bool is_synced(const struct rv_hart *h) { return h->icount == h->sync + 1; }

void rv_skip_idle(struct rv_hart *h)
{
	uint64_t due = rv_next_event_ns(h), now = vclock_ns(h->env->clock);
	if (!is_counted(h) || !h->wfi || rv_irq_pending(h) || due == UINT64_MAX || due <= now)
		return;
	uint64_t n = (due - now + h->env->clock->count_ns - 1) / h->env->clock->count_ns;
	__atomic_store_n(&h->idle, h->idle + n, __ATOMIC_RELAXED);
}

static void checkpoint(struct rv_hart *h)
{
	uint64_t every = h->env->checkpoint_every;
	h->next_checkpoint = (h->icount / every + 1) * every;
	h->env->checkpoint(h->env->user, h);
}

/* ---- the look around between blocks ---- */

/* Instructions until the next look: about 100 us at the measured speed, less before a timer. Kicks
 * do not wait for it. A guess that was too high makes a timer late, so the speed follows at once
 * when it falls by much, and slowly otherwise. */
static uint64_t quantum(struct rv_hart *h)
{
	enum { SHORTEST = 500, LONGEST = 1000000, USUAL_NS = 100000 };
	if (unlikely(is_counted(h)))
		return counted_quantum(h);
	uint64_t now = vclock_ns(h->env->clock), due = rv_next_event_ns(h);
	uint64_t ns = now - h->poll_ns, n = h->icount - h->poll_icount;
	/* a timer that has fired is looked at again when the hart enables something */
	uint64_t wait = due <= now ? USUAL_NS : min_u64(due - now, USUAL_NS);
	/* instructions per 1024 ns, smoothed; a sleep in between would look like slowness */
	if (ns > 1000 && ns < 10000000 && n >= SHORTEST) {
		uint64_t rate = min_u64(n * 1024 / ns, 65536);
		h->poll_rate = rate < h->poll_rate / 2 ? rate : (h->poll_rate * 7 + rate) / 8;
	}
	h->poll_ns = now;
	h->poll_icount = h->icount;
	h->stip = h->stimecmp != UINT64_MAX && now / (1000000000u / RV_TIMEBASE_HZ) >= h->stimecmp;
	uint64_t q = wait * h->poll_rate / 1024;
	return q < SHORTEST ? SHORTEST : min_u64(q, LONGEST);
}

bool rv_poll(struct rv_hart *h)
{
	const uint32_t ours = RV_REQ_FENCE_I | RV_REQ_SFENCE | RV_REQ_START;
	bool changed = false;
	rv_active(h);
	/* Written before requests and lines are read: whoever sets one after that clears it again.
	 */
	__atomic_store_n(&h->limit, h->icount + quantum(h), __ATOMIC_SEQ_CST);
	uint32_t req = __atomic_load_n(&h->requests, __ATOMIC_SEQ_CST);
	if (unlikely(req & ours)) {
		rv_fence_serve(h);
		if (req & RV_REQ_START)
			rv_sbi_start(h);
		changed = true;
	}
	if (unlikely(req & RV_REQ_LOOK))
		rv_process_look(h);
	if (unlikely(req & RV_REQ_LEAVE)) {
		__atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED);
		return changed;
	}
	if (unlikely(__atomic_load_n(&h->hsm, __ATOMIC_RELAXED) != RV_HSM_STARTED)) {
		__atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED);
		return true;
	}
	if (unlikely(h->sta_gpa != UINT64_MAX))
		rv_sbi_steal(h);
	if (unlikely(is_counted(h))) {
		if (!is_synced(h))
			return changed;
		if (checkpoint_due(h))
			checkpoint(h);
	}
	uint64_t pending = irq_levels(h) & h->mie;
	return (pending && irq_take(h, pending)) || changed;
}

/* ---- returns ---- */

uint64_t rv_help_mret(struct rv_hart *h, uint64_t a, uint64_t b, uint64_t c)
{
	(void)a, (void)b, (void)c;
	uint64_t s = h->mstatus;
	if (h->priv != RV_M)
		return rv_raise(h, RV_EXC_ILLEGAL, 0);
	h->priv = (uint8_t)mstatus_mpp(s);
	s = (s & ~(MSTATUS_MIE | MSTATUS_MPP)) | (s & MSTATUS_MPIE ? MSTATUS_MIE : 0) |
	    MSTATUS_MPIE;
	if (h->priv != RV_M)
		s &= ~MSTATUS_MPRV;
	h->mstatus = s;
	h->npc = h->mepc;
	h->res_va = UINT64_MAX;
	rv_mmu_update(h);
	rv_irq_recheck(h);
	rv_sync(h);
	return 0;
}

uint64_t rv_help_sret(struct rv_hart *h, uint64_t a, uint64_t b, uint64_t c)
{
	(void)a, (void)b, (void)c;
	uint64_t s = h->mstatus;
	if (h->priv == RV_U || (h->priv == RV_S && s & MSTATUS_TSR))
		return rv_raise(h, RV_EXC_ILLEGAL, 0);
	h->priv = s & MSTATUS_SPP ? RV_S : RV_U;
	s = (s & ~(MSTATUS_SIE | MSTATUS_SPP | MSTATUS_MPRV)) |
	    (s & MSTATUS_SPIE ? MSTATUS_SIE : 0) | MSTATUS_SPIE;
	h->mstatus = s;
	h->npc = h->sepc;
	h->res_va = UINT64_MAX;
	rv_mmu_update(h);
	rv_irq_recheck(h);
	rv_sync(h);
	return 0;
}

uint64_t rv_help_ecall(struct rv_hart *h, uint64_t next, uint64_t b, uint64_t c)
{
	(void)b, (void)c;
	if (h->env->process) {
		rv_process_ecall(h, next);
		return 0;
	}
	if (h->priv == RV_S && h->env->sbi) {
		h->npc = next;
		rv_sbi_ecall(h);
		rv_sync(h);
		return 0;
	}
	enum rv_exc cause = h->priv == RV_U   ? RV_EXC_ECALL_U
			    : h->priv == RV_S ? RV_EXC_ECALL_S
					      : RV_EXC_ECALL_M;
	return rv_raise(h, cause, 0);
}

/* U mode may not wait at all: its time limit is zero. Priv §3.3.3 */
uint64_t rv_help_wfi(struct rv_hart *h, uint64_t a, uint64_t b, uint64_t c)
{
	(void)a, (void)b, (void)c;
	if (h->priv == RV_U || (h->priv == RV_S && h->mstatus & MSTATUS_TW))
		return rv_raise(h, RV_EXC_ILLEGAL, 0);
	rv_sync(h);
	if (!rv_irq_pending(h))
		h->wfi = true;
	__atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED);
	return 0;
}
