/* SPDX-License-Identifier: Apache-2.0 */
/* SBI that concerns harts: timer, IPIs, remote fences, hart states, system suspend.
 * SBI 2.0 §6, §7, §8, §9, §13 */
#include "isa/riscv/priv.h"

/* ---- timer ---- */

void rv_sbi_timer_set(struct rv_hart *h, uint64_t at)
{
	h->stimecmp = at;
	h->stip = false;
	__atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED);
	rv_sbi_count(h, SBI_FW_SET_TIMER);
}

struct sbi_ret rv_sbi_time(struct rv_hart *h, uint64_t fn)
{
	if (fn != 0)
		return sbi_ret(SBI_NOT_SUPPORTED, 0);
	rv_sbi_timer_set(h, sbi_arg(h, 0));
	return sbi_ret(SBI_OK, 0);
}

/* ---- IPIs ---- */

struct sbi_ret rv_sbi_ipi_send(struct rv_hart *h, uint32_t harts)
{
	for (unsigned i = 0; i < h->env->nharts; i++) {
		struct rv_hart *to = h->env->harts[i];
		if (harts >> i & 1 && __atomic_load_n(&to->hsm, __ATOMIC_SEQ_CST) != RV_HSM_STOPPED)
			rv_hart_irq(to, RV_SSI, true);
	}
	rv_sbi_count(h, SBI_FW_IPI_SENT);
	return sbi_ret(SBI_OK, 0);
}

struct sbi_ret rv_sbi_ipi(struct rv_hart *h, uint64_t fn)
{
	uint32_t harts;
	if (fn != 0)
		return sbi_ret(SBI_NOT_SUPPORTED, 0);
	if (!rv_sbi_harts(h, sbi_arg(h, 0), sbi_arg(h, 1), &harts))
		return sbi_ret(SBI_INVALID_PARAM, 0);
	return rv_sbi_ipi_send(h, harts);
}

/* ---- remote fences ---- */

struct sbi_ret rv_sbi_fence(struct rv_hart *h, uint32_t harts, const struct rv_fence *fc)
{
	struct rv_fence all = *fc;
	/* start 0 and size 0, or size all ones: everything; §8 */
	if (!fc->insn && ((!fc->va && !fc->len) || fc->len == UINT64_MAX))
		all.len = UINT64_MAX;
	else if (!fc->insn)
		all.len += fc->va & 0xfff; /* to the last page touched */
	if (all.len < fc->len)
		all.len = UINT64_MAX;
	if (!rv_fence_remote(h, harts, &all))
		return sbi_ret(SBI_AGAIN, 0);
	rv_sbi_count(h, fc->insn       ? SBI_FW_FENCE_I_SENT
			: fc->asid < 0 ? SBI_FW_SFENCE_SENT
				       : SBI_FW_SFENCE_ASID_SENT);
	return sbi_ret(SBI_OK, 0);
}

struct sbi_ret rv_sbi_rfence(struct rv_hart *h, uint64_t fn)
{
	enum { FENCE_I, SFENCE_VMA, SFENCE_VMA_ASID };
	struct rv_fence fc = {.va = sbi_arg(h, 2), .len = sbi_arg(h, 3), .asid = -1};
	uint32_t harts;
	if (fn > SFENCE_VMA_ASID) /* hfence: there is no hypervisor extension */
		return sbi_ret(SBI_NOT_SUPPORTED, 0);
	if (!rv_sbi_harts(h, sbi_arg(h, 0), sbi_arg(h, 1), &harts))
		return sbi_ret(SBI_INVALID_PARAM, 0);
	if (fn == FENCE_I)
		fc = (struct rv_fence){.insn = true};
	if (fn == SFENCE_VMA_ASID)
		fc.asid = (int)(sbi_arg(h, 4) & 0xffff);
	if (fn != FENCE_I && fc.len != UINT64_MAX && fc.va + fc.len < fc.va)
		return sbi_ret(SBI_INVALID_ADDRESS, 0);
	return rv_sbi_fence(h, harts, &fc);
}

/* ---- hart states ---- */

static bool address_runs(const struct rv_hart *h, uint64_t at)
{
	return !(at & 1) && mem_ptr(h->env->mem, gpa(at), 2);
}

/* Also the way back from a suspend that lost the registers: what woke the hart stays pending. */
void rv_sbi_start(struct rv_hart *h)
{
	__atomic_fetch_and(&h->requests, ~(uint32_t)RV_REQ_START, __ATOMIC_SEQ_CST);
	uint32_t hsm = __atomic_load_n(&h->hsm, __ATOMIC_SEQ_CST);
	if (hsm != RV_HSM_START_PENDING && hsm != RV_HSM_SUSPENDED_LOST)
		return;
	if (hsm == RV_HSM_START_PENDING) {
		h->mie = 0;
		h->stimecmp = UINT64_MAX;
		h->stip = false;
	}
	h->priv = RV_S;
	h->satp = 0;
	h->mstatus = 0;
	h->fs = 1;
	h->wfi = false;
	h->exc = RV_EXC_NONE;
	h->res_va = UINT64_MAX;
	h->x[10] = h->id;
	h->x[11] = h->hsm_start_arg;
	h->pc = h->npc = h->hsm_start_pc;
	h->fetch_epoch++;
	rv_mmu_flush(h, false);
	__atomic_store_n(&h->hsm, RV_HSM_STARTED, __ATOMIC_SEQ_CST);
}

static struct sbi_ret hsm_start(struct rv_hart *h)
{
	uint64_t id = sbi_arg(h, 0), at = sbi_arg(h, 1);
	uint32_t stopped = RV_HSM_STOPPED;
	if (id >= h->env->nharts)
		return sbi_ret(SBI_INVALID_PARAM, 0);
	if (!address_runs(h, at))
		return sbi_ret(SBI_INVALID_ADDRESS, 0);
	struct rv_hart *to = h->env->harts[id];
	if (!__atomic_compare_exchange_n(&to->hsm, &stopped, RV_HSM_START_PENDING, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return sbi_ret(SBI_ALREADY_AVAILABLE, 0);
	to->hsm_start_pc = at;
	to->hsm_start_arg = sbi_arg(h, 2);
	__atomic_fetch_and(&to->mip_lines, ~BIT(RV_SSI), __ATOMIC_SEQ_CST);
	rv_hart_request(to, RV_REQ_START);
	return sbi_ret(SBI_OK, 0);
}

/* The hart leaves this call asleep; rv_wait gets it out. */
static struct sbi_ret hart_sleep(struct rv_hart *h, enum rv_hsm how)
{
	h->x[10] = SBI_OK; /* what a suspend that keeps registers returns */
	h->x[11] = 0;
	__atomic_store_n(&h->hsm, how, __ATOMIC_SEQ_CST);
	__atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED);
	return sbi_ret(SBI_NO_RETURN, 0);
}

static struct sbi_ret hsm_status(const struct rv_hart *h)
{
	static const uint8_t state[] = {[RV_HSM_STARTED] = 0,
					[RV_HSM_STOPPED] = 1,
					[RV_HSM_START_PENDING] = 2,
					[RV_HSM_SUSPENDED] = 4,
					[RV_HSM_SUSPENDED_LOST] = 4};
	if (sbi_arg(h, 0) >= h->env->nharts)
		return sbi_ret(SBI_INVALID_PARAM, 0);
	uint32_t hsm = __atomic_load_n(&h->env->harts[sbi_arg(h, 0)]->hsm, __ATOMIC_SEQ_CST);
	return sbi_ret(SBI_OK, state[hsm % countof(state)]);
}

static struct sbi_ret hsm_suspend(struct rv_hart *h)
{
	const uint32_t lossy = 0x80000000u;
	uint32_t type = (uint32_t)sbi_arg(h, 0);
	if (type == 0)
		return hart_sleep(h, RV_HSM_SUSPENDED);
	if (type != lossy) /* the rest is reserved, or of some platform */
		return sbi_ret((type & ~lossy) < 0x10000000 ? SBI_INVALID_PARAM : SBI_NOT_SUPPORTED,
			       0);
	if (!address_runs(h, sbi_arg(h, 1)))
		return sbi_ret(SBI_INVALID_ADDRESS, 0);
	h->hsm_start_pc = sbi_arg(h, 1);
	h->hsm_start_arg = sbi_arg(h, 2);
	return hart_sleep(h, RV_HSM_SUSPENDED_LOST);
}

struct sbi_ret rv_sbi_hsm(struct rv_hart *h, uint64_t fn)
{
	enum { START, STOP, STATUS, SUSPEND };
	switch (fn) {
	case START: return hsm_start(h);
	case STOP: return hart_sleep(h, RV_HSM_STOPPED);
	case STATUS: return hsm_status(h);
	case SUSPEND: return hsm_suspend(h);
	default: return sbi_ret(SBI_NOT_SUPPORTED, 0);
	}
}

/* ---- the whole system ---- */

struct sbi_ret rv_sbi_susp(struct rv_hart *h, uint64_t fn)
{
	uint32_t type = (uint32_t)sbi_arg(h, 0);
	if (fn != 0)
		return sbi_ret(SBI_NOT_SUPPORTED, 0);
	if (type != 0)
		return sbi_ret(type & 0x80000000u ? SBI_NOT_SUPPORTED : SBI_INVALID_PARAM, 0);
	if (!address_runs(h, sbi_arg(h, 1)))
		return sbi_ret(SBI_INVALID_ADDRESS, 0);
	for (unsigned i = 0; i < h->env->nharts; i++) {
		struct rv_hart *o = h->env->harts[i];
		if (o != h && __atomic_load_n(&o->hsm, __ATOMIC_SEQ_CST) != RV_HSM_STOPPED)
			return sbi_ret(SBI_DENIED, 0);
	}
	h->hsm_start_pc = sbi_arg(h, 1);
	h->hsm_start_arg = sbi_arg(h, 2);
	return hart_sleep(h, RV_HSM_SUSPENDED_LOST);
}
