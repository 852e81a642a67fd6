/* SPDX-License-Identifier: Apache-2.0 */
/* A hart's life: made, reset, saved. RISC-V Priv 20240411 §3.4; SBI 2.0 §9.1 */
#include "host/host.h"
#include "isa/riscv/priv.h"

#define H(field) STATE(struct rv_hart, field, 1)
const struct state_field rv_hart_state[] = {H(x),
					    H(f),
					    H(pc),
					    H(icount),
					    H(fp),
					    H(frm),
					    H(fs),
					    H(vl),
					    H(vtype),
					    H(vstart),
					    H(vs),
					    H(vxrm),
					    H(vxsat),
					    H(v),
					    H(priv),
					    H(wfi),
					    H(mstatus),
					    H(mtvec),
					    H(mscratch),
					    H(mepc),
					    H(mcause),
					    H(mtval),
					    H(medeleg),
					    H(mideleg),
					    H(mie),
					    H(mcounteren),
					    H(mcountinhibit),
					    H(menvcfg),
					    H(mseccfg),
					    H(stvec),
					    H(sscratch),
					    H(sepc),
					    H(scause),
					    H(stval),
					    H(satp),
					    H(scounteren),
					    H(senvcfg),
					    H(stimecmp),
					    H(mhpmevent),
					    H(mhpmcounter),
					    H(instret_off),
					    H(cycle_off),
					    H(pmpaddr),
					    H(pmpcfg),
					    H(mip_soft),
					    H(mip_lines),
					    H(hsm),
					    H(hsm_start_pc),
					    H(hsm_start_arg),
					    H(sta_gpa),
					    H(steal_ns),
					    H(fw_value),
					    H(fw_event),
					    H(fw_used),
					    H(fw_running),
					    H(hw_used),
					    H(hw_running),
					    STATE_END};
#undef H

int rv_hart_new(struct rv_hart **ret, struct rv_env *env, unsigned id, struct lodge_err *e)
{
	struct rv_hart *h = host_pages_new(sizeof *h);
	if (!h)
		return err_set(e, ENOMEM, "no memory for hart %u", id);
	h->env = env;
	h->id = id;
	h->vlenb = env->vlen / 8;
	h->poll_rate = 128;
	h->steal_fd = -1;
	h->exc = RV_EXC_NONE;
	int r = rv_mmu_new(&h->mmu, h, e);
	if (!r)
		r = rv_fences_new(&h->fences, e);
	if (r) {
		rv_hart_free(h);
		return r;
	}
	rv_hart_reset(h, 0, 0);
	*ret = h;
	return 0;
}

void rv_hart_free(struct rv_hart *h)
{
	if (!h)
		return;
	auto_close(&h->steal_fd);
	rv_mmu_free(h->mmu);
	rv_fences_free(h->fences);
	host_pages_free(h, sizeof *h);
}

/* What M-mode firmware would have set up before it enters S mode. */
static void reset_for_sbi(struct rv_hart *h)
{
	h->priv = RV_S;
	h->medeleg = 0xb1ff; /* all but the ecall from S mode, which is ours */
	h->mideleg = IRQ_S;
	h->mcounteren = 0xffffffff;
	h->scounteren = 7;
	h->menvcfg =
	    ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_ADUE | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE;
	h->fs = 1;
	h->vs = h->vlenb != 0;
	if (h->env->pmp_entries) {
		h->pmpaddr[0] = BIT(54) - 1;
		h->pmpcfg[0] = 0x1f;
	}
}

/* Everything from x to the last CSR that reset defines; the hart's identity and queues stay. */
static void registers_clear(struct rv_hart *h)
{
	for (const struct state_field *f = rv_hart_state; f->name; f++)
		memset((char *)h + f->off, 0, f->size);
	h->sta_gpa = UINT64_MAX;
	h->stimecmp = UINT64_MAX;
	h->stip = false;
	h->poll_icount = 0;
	h->idle = h->next_checkpoint = 0;
	h->sync = UINT64_MAX - 1;
	h->res_va = UINT64_MAX;
	h->exc = RV_EXC_NONE;
	h->tval = 0;
	h->vtype = RV_VTYPE_ILL;
}

void rv_hart_reset(struct rv_hart *h, uint64_t pc, uint64_t dtb)
{
	registers_clear(h);
	h->priv = RV_M;
	if (h->env->sbi)
		reset_for_sbi(h);
	h->pc = h->npc = pc;
	h->x[10] = h->id;
	h->x[11] = dtb;
	bool runs = !h->env->sbi || h->id == 0;
	__atomic_store_n(&h->hsm, runs ? RV_HSM_STARTED : RV_HSM_STOPPED, __ATOMIC_SEQ_CST);
	__atomic_fetch_and(&h->requests, ~(uint32_t)RV_REQ_START, __ATOMIC_SEQ_CST);
	rv_hart_loaded(h);
}

void rv_hart_loaded(struct rv_hart *h)
{
	memset(h->mmu->pmp, 0, sizeof h->mmu->pmp);
	h->fetch_epoch++;
	h->mmu->code.lost = true;
	h->res_va = UINT64_MAX;
	h->npc = h->pc;
	rv_vector_settle(h);
	h->poll_icount = h->icount;
	rv_mmu_flush(h, true);
	/* requests are not saved: this is the one that the rest of the state calls for */
	if (__atomic_load_n(&h->hsm, __ATOMIC_SEQ_CST) == RV_HSM_START_PENDING)
		__atomic_fetch_or(&h->requests, RV_REQ_START, __ATOMIC_SEQ_CST);
	__atomic_store_n(&h->limit, 0, __ATOMIC_SEQ_CST);
}
