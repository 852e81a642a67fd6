/* SPDX-License-Identifier: Apache-2.0 */
/* A process's harts: U mode alone, and guest addresses that are the host's. What an engine does not
 * do by itself comes here: accesses that may fault, code that may be gone, calls of the system.
 * RISC-V Priv 20240411 §3.1.15; Linux 6.1 arch/riscv/mm/fault.c */
#include "host/host.h"
#include "ir/ir.h"
#include "isa/riscv/priv.h"
#include <signal.h>

void rv_process_reset(struct rv_hart *h, uint64_t pc, uint64_t sp)
{
	rv_hart_reset(h, pc, 0);
	h->priv = RV_U;
	h->mcounteren = h->scounteren = 7;
	h->menvcfg = h->senvcfg = ENVCFG_CBZE;
	h->fs = 1;
	h->vs = h->vlenb != 0;
	h->x[2] = sp;
	h->x[10] = 0;
	rv_hart_loaded(h);
}

void rv_process_next(struct rv_hart *h, uint64_t pc)
{
	h->pc = h->npc = pc;
	h->exc = RV_EXC_NONE;
	h->res_va = UINT64_MAX;
	__atomic_store_n(&h->requests, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&h->limit, 0, __ATOMIC_SEQ_CST);
}

/* ---- data ---- */

static bool access_fault(struct rv_hart *h, enum rv_exc cause, uint64_t va, int sig, int code)
{
	h->fault_sig = sig;
	h->fault_code = code;
	rv_raise(h, cause, va);
	return false;
}

/* A guarded access to @size bytes at @va failed. */
static bool data_fault(struct rv_hart *h, bool write, uint64_t va, unsigned size)
{
	struct host_fault f;
	host_fault_last(&f);
	uint64_t at = f.at - va < size ? f.at : va;
	if (f.sig == SIGBUS)
		return access_fault(h, write ? RV_EXC_STORE_ACCESS : RV_EXC_LOAD_ACCESS, at,
				    f.sig, f.code);
	return access_fault(h, write ? RV_EXC_STORE_PAGE : RV_EXC_LOAD_PAGE, at, f.sig, f.code);
}

/* Addresses that are not the guest's are not there. */
static bool is_inside(struct rv_hart *h, bool write, uint64_t va, unsigned size)
{
	uint64_t end = h->env->process->end;
	if (likely(va < end && size <= end - va))
		return true;
	return access_fault(h, write ? RV_EXC_STORE_PAGE : RV_EXC_LOAD_PAGE, va < end ? end : va,
			    SIGSEGV, SEGV_MAPERR);
}

bool rv_process_load(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *ret)
{
	if (unlikely(!is_inside(h, false, va, size)))
		return false;
	return likely(host_load(va, size, ret)) || data_fault(h, false, va, size);
}

/* No byte is written before all of them can be. */
bool rv_process_store(struct rv_hart *h, uint64_t va, unsigned size, uint64_t v)
{
	if (unlikely(!is_inside(h, true, va, size)))
		return false;
	return likely(host_store(va, size, v)) || data_fault(h, true, va, size);
}

static bool is_aligned(struct rv_hart *h, bool write, uint64_t va, unsigned size)
{
	if (likely(!(va & (size - 1))))
		return true;
	return access_fault(h, write ? RV_EXC_STORE_MISALIGNED : RV_EXC_LOAD_MISALIGNED, va, SIGBUS,
			    BUS_ADRALN);
}

bool rv_process_cas(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *old, uint64_t v)
{
	if (!is_aligned(h, true, va, size) || !is_inside(h, true, va, size))
		return false;
	return likely(host_cas(va, size, old, v)) || data_fault(h, true, va, size);
}

bool rv_process_lr(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *ret)
{
	return is_aligned(h, false, va, size) && rv_process_load(h, va, size, ret);
}

static uint64_t amo_put(unsigned kind, unsigned size, uint64_t old, uint64_t v)
{
	int64_t a = size == 4 ? (int32_t)old : (int64_t)old;
	int64_t b = size == 4 ? (int32_t)v : (int64_t)v;
	uint64_t ua = size == 4 ? (uint32_t)old : old, ub = size == 4 ? (uint32_t)v : v;
	switch ((int)kind) {
	case IR_AMO_swap: return v;
	case IR_AMO_add: return old + v;
	case IR_AMO_xor: return old ^ v;
	case IR_AMO_and: return old & v;
	case IR_AMO_or: return old | v;
	case IR_AMO_min: return a < b ? old : v;
	case IR_AMO_max: return a > b ? old : v;
	case IR_AMO_minu: return ua < ub ? old : v;
	default: return ua > ub ? old : v;
	}
}

bool rv_process_amo(struct rv_hart *h, uint64_t va, unsigned what, uint64_t v, uint64_t *ret)
{
	unsigned size = what & 255, kind = what >> 8;
	uint64_t seen = 0, old;
	if (!is_aligned(h, true, va, size) || !is_inside(h, true, va, size))
		return false;
	/* a store faults first where both would: AMOs never raise load exceptions */
	if (!host_load(va, size, &seen))
		return data_fault(h, true, va, size);
	do {
		old = seen;
		if (!host_cas(va, size, &seen, amo_put(kind, size, old, v)))
			return data_fault(h, true, va, size);
	} while (seen != old);
	*ret = old;
	return true;
}

bool rv_process_cas16(struct rv_hart *h, uint64_t va, uint64_t old[2], const uint64_t v[2])
{
	if (!is_aligned(h, true, va, 16) || !is_inside(h, true, va, 16))
		return false;
	return host_cas16(va, old, v) || data_fault(h, true, va, 16);
}

/* Whether the access can be made is tried: nothing changes by it. */
void *rv_process_ptr(struct rv_hart *h, uint64_t va, unsigned size, bool write)
{
	uint64_t v = 0;
	unsigned n = size > 8 ? 8 : size;
	if (write ? !rv_process_cas(h, va, n, &v, v) : !rv_process_lr(h, va, n, &v))
		return NULL;
	return (void *)(uintptr_t)va;
}

bool rv_process_zero(struct rv_hart *h, uint64_t block, unsigned size)
{
	for (unsigned i = 0; i < size; i += 8)
		if (!rv_process_store(h, block + i, 8, 0))
			return false;
	return true;
}

/* ---- code ---- */

bool rv_process_fetch(struct rv_hart *h, uint64_t va, struct rv_fetch_entry *e)
{
	const struct rv_process *p = h->env->process;
	unsigned rights = va < p->end ? p->rights(h->env->user, va) : 0;
	if (!(rights & RV_EXEC))
		return access_fault(h, RV_EXC_FETCH_PAGE, va, SIGSEGV,
				    rights ? SEGV_ACCERR : SEGV_MAPERR);
	uint64_t page = va & ~UINT64_C(0xfff);
	*e = (struct rv_fetch_entry){.va = page, .fctx = h->fctx, .pa = page,
		.host = (const uint8_t *)(uintptr_t)page, .epoch = h->map_epoch,
		.shift = RV_PROCESS_REACH, .global = true};
	return true;
}

static void code_view(const struct rv_hart *h, uint64_t va, uint8_t *copy, size_t n)
{
	if (h->env->process->code)
		h->env->process->code(h->env->user, va, copy, n);
}

bool rv_code_copy(struct rv_hart *h, void *to, const uint8_t *from, size_t n)
{
	if (likely(!h->env->process)) {
		memcpy(to, from, n);
		return true;
	}
	if (!host_copy(to, from, n)) {
		code_view(h, (uint64_t)(uintptr_t)from, to, n);
		return true;
	}
	struct host_fault f;
	host_fault_last(&f);
	return access_fault(h, f.sig == SIGBUS ? RV_EXC_FETCH_ACCESS : RV_EXC_FETCH_PAGE, f.at,
			    f.sig, f.code);
}

bool rv_code_is(struct rv_hart *h, uint64_t va, const uint8_t *code, size_t n)
{
	uint8_t now[4096];
	const struct rv_process *p = h->env->process;
	if (n > sizeof now || !(p->rights(h->env->user, va) & RV_EXEC) ||
	    host_copy(now, (const void *)(uintptr_t)va, n))
		return false;
	code_view(h, va, now, n);
	return !memcmp(now, code, n);
}

void rv_code_stale(struct rv_hart *h, uint64_t lo, uint64_t hi)
{
	if (h->nstale == RV_STALE) {
		h->nstale = 1;
		h->stale[0] = (struct rv_range){0, UINT64_MAX};
	} else {
		h->stale[h->nstale++] = (struct rv_range){lo, hi};
	}
	h->fetch_epoch++;
	rv_mmu_flush(h, true);
}

/* ---- leaving ---- */

void rv_process_trap(struct rv_hart *h, enum rv_exc cause, uint64_t tval)
{
	h->exc = RV_EXC_NONE;
	h->npc = h->pc;
	h->env->process->exception(h->env->user, h, cause, tval);
	h->pc = h->npc;
}

void rv_process_ecall(struct rv_hart *h, uint64_t next)
{
	h->pc = next - 4;
	h->npc = next;
	h->env->process->ecall(h->env->user, h);
}

void rv_process_look(struct rv_hart *h)
{
	__atomic_fetch_and(&h->requests, ~(uint32_t)RV_REQ_LOOK, __ATOMIC_SEQ_CST);
	h->npc = h->pc;
	h->env->process->look(h->env->user, h);
	h->pc = h->npc;
}
