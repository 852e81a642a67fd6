/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of instruction semantics that fence translations and instructions, manage cache blocks,
 * or need two registers of memory at once.
 * RISC-V Priv 20240411 §4.2.1, §10.2.1; CMO 1.0 §2.5, §7; Unpriv 20240411 §14.4, §15 */
#include "isa/riscv/priv.h"
#include <sched.h>

enum { CBO_BLOCK = 64 };
static uint64_t cbo_block(uint64_t va) { return va & ~((uint64_t)CBO_BLOCK - 1); }

/* sfence.vma and its parts: U mode never, S mode unless TVM. */
static bool fence_allowed(struct rv_hart *h)
{
	if (h->priv == RV_M || (h->priv == RV_S && !(h->mstatus & MSTATUS_TVM)))
		return true;
	rv_raise(h, RV_EXC_ILLEGAL, 0);
	return false;
}

uint64_t rv_help_sfence_vma(struct rv_hart *h, uint64_t va, uint64_t asid, uint64_t c)
{
	enum { ALL_ADDRESSES = 1, ALL_SPACES = 2 };
	if (!fence_allowed(h))
		return 0;
	int which = c & ALL_SPACES ? -1 : (int)(asid & 0xffff);
	if (!(c & ALL_ADDRESSES))
		rv_mmu_flush_page(h, va, which);
	else if (which < 0)
		rv_mmu_flush(h, false);
	else
		rv_mmu_flush_asid(h, (uint16_t)which);
	return 0;
}

uint64_t rv_help_sinval_check(struct rv_hart *h, uint64_t a, uint64_t b, uint64_t which)
{
	(void)a, (void)b;
	if (which == 0)
		return fence_allowed(h);
	return h->priv == RV_U ? rv_raise(h, RV_EXC_ILLEGAL, 0) : 0;
}

uint64_t rv_help_fence_i(struct rv_hart *h, uint64_t a, uint64_t b, uint64_t c)
{
	(void)a, (void)b, (void)c;
	if (h->env->process)
		rv_code_stale(h, 0, UINT64_MAX);
	else
		h->fetch_epoch++;
	return 0;
}

/* ---- cache blocks ---- */

/* Is @bits set in menvcfg (asked below M) and senvcfg (asked in U)? */
static bool envcfg_allows(struct rv_hart *h, uint64_t bits)
{
	if ((h->priv < RV_M && !(h->menvcfg & bits)) || (h->priv == RV_U && !(h->senvcfg & bits))) {
		rv_raise(h, RV_EXC_ILLEGAL, 0);
		return false;
	}
	return true;
}

/* A fault tells the address that the instruction named, not that of the block. */
uint64_t rv_help_cbo_zero(struct rv_hart *h, uint64_t va, uint64_t b, uint64_t c)
{
	(void)b, (void)c;
	struct rv_map w;
	if (!envcfg_allows(h, ENVCFG_CBZE))
		return 0;
	/* kernels clear whole pages so */
	const struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
	if (likely(((va & ~UINT64_C(0xfff)) | h->dctx) == rv_tag_w(e))) {
		memset((uint8_t *)(uintptr_t)(cbo_block(va) + e->add), 0, CBO_BLOCK);
		return 0;
	}
	if (h->env->process) {
		(void)!rv_process_zero(h, cbo_block(va), CBO_BLOCK);
		return 0;
	}
	if (!rv_walk(h, cbo_block(va), CBO_BLOCK, RV_WRITE, h->mmu->priv, &w)) {
		h->tval = va;
		return 0;
	}
	if (!w.host)
		return rv_raise(h, RV_EXC_STORE_ACCESS, va);
	rv_code_note(h, w.pa, CBO_BLOCK);
	memset(w.host, 0, CBO_BLOCK);
	if (w.perm)
		rv_mmu_enter(h, cbo_block(va), &w);
	return 0;
}

/* Caches are coherent and hold nothing: only the permission to touch the block is checked, and
 * either of load and store will do. §2.5.1 */
uint64_t rv_help_cbo_clean(struct rv_hart *h, uint64_t va, uint64_t kind, uint64_t c)
{
	(void)c;
	struct rv_map w;
	uint64_t block = cbo_block(va);
	if (!envcfg_allows(h, kind == 0 ? ENVCFG_CBIE : ENVCFG_CBCFE))
		return 0;
	if (rv_walk(h, block, CBO_BLOCK, RV_READ, h->mmu->priv, &w))
		return 0;
	h->exc = RV_EXC_NONE;
	if (!rv_walk(h, block, CBO_BLOCK, RV_WRITE, h->mmu->priv, &w))
		h->tval = va;
	return 0;
}

/* ---- amocas.q ---- */

/* x86-64 compilers use the 16-byte compare-and-swap only where they are told that it exists. */
#ifdef __x86_64__
#define HAS_CAS16 __attribute__((target("cx16")))
#else
#define HAS_CAS16
#endif

HAS_CAS16 uint64_t rv_help_amocas_q(struct rv_hart *h, uint64_t va, uint64_t rd, uint64_t rs2)
{
	unsigned d = rd & 31, s = rs2 & 31;
	if (h->env->process) {
		uint64_t old[2] = {d ? h->x[d] : 0, d ? h->x[d + 1] : 0};
		const uint64_t v[2] = {s ? h->x[s] : 0, s ? h->x[s + 1] : 0};
		if (rv_process_cas16(h, va, old, v) && d) {
			h->x[d] = old[0];
			h->x[d + 1] = old[1];
		}
		return 0;
	}
	uint64_t *p = rv_atomic_ptr(h, va, 16, RV_WRITE);
	if (!p)
		return 0;
	unsigned __int128 want = 0, put = 0;
	if (d)
		want = h->x[d] | (unsigned __int128)h->x[d + 1] << 64;
	if (s)
		put = h->x[s] | (unsigned __int128)h->x[s + 1] << 64;
	unsigned __int128 *at = (unsigned __int128 *)(void *)p;
	want = __sync_val_compare_and_swap(at, want, put);
	if (d) {
		h->x[d] = (uint64_t)want;
		h->x[d + 1] = (uint64_t)(want >> 64);
	}
	return 0;
}

/* ---- Zawrs ---- */

/* Let others run for a moment, unless the reservation is gone or something is pending. */
uint64_t rv_help_wrs(struct rv_hart *h, uint64_t a, uint64_t b, uint64_t c)
{
	(void)a, (void)b, (void)c;
	if (h->res_va == UINT64_MAX || rv_irq_pending(h) || h->env->nharts == 1)
		return 0;
	uint64_t now;
	if (!rv_load_slow(h, h->res_va, h->res_size, &now)) {
		h->exc = RV_EXC_NONE;
		return 0;
	}
	if (now == h->res_val)
		sched_yield();
	return 0;
}
