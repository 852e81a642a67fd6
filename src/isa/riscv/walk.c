/* SPDX-License-Identifier: Apache-2.0 */
/* Page-table walks: Sv39, Sv48, Sv57 with Svnapot, Svpbmt, Svade and Svadu. A walk that fails
 * leaves nothing behind, so that an entry made valid is seen at once: Svvptc 1.0 §1.
 * RISC-V Priv 20240411 §4.3.2, steps 1 to 10 */
#include "isa/riscv/priv.h"

#define PTE_V        BIT(0)
#define PTE_R        BIT(1)
#define PTE_W        BIT(2)
#define PTE_X        BIT(3)
#define PTE_U        BIT(4)
#define PTE_G        BIT(5)
#define PTE_A        BIT(6)
#define PTE_D        BIT(7)
#define PTE_RESERVED (BIT(54) | BIT(55) | BIT(56) | BIT(57) | BIT(58) | BIT(59) | BIT(60))
#define PTE_PBMT     (BIT(61) | BIT(62))
#define PTE_N        BIT(63)
static uint64_t pte_ppn(uint64_t p) { return p >> 10 & (BIT(44) - 1); }

enum outcome { WALK_OK, WALK_PAGE, WALK_ACCESS, WALK_AGAIN };

struct walk {
	struct rv_hart *h;
	uint64_t va;
	enum rv_access access;
	unsigned priv;
	bool look;      /* set nothing, and MXR does not matter */
};

static bool fault(struct rv_hart *h, enum outcome o, enum rv_access a, uint64_t va)
{
	enum rv_exc page = RV_EXC_LOAD_PAGE, access = RV_EXC_LOAD_ACCESS;
	if (a == RV_EXEC) {
		page = RV_EXC_FETCH_PAGE;
		access = RV_EXC_FETCH_ACCESS;
	} else if (a & RV_WRITE) {
		page = RV_EXC_STORE_PAGE;
		access = RV_EXC_STORE_ACCESS;
	}
	rv_raise(h, o == WALK_PAGE ? page : access, va);
	return false;
}

/* R, W, X that privilege, SUM and MXR leave of a leaf. Step 6 (and 9 of the door's contract). */
static unsigned leaf_perm(const struct walk *w, uint64_t pte)
{
	uint64_t st = w->h->mstatus;
	unsigned perm = (unsigned)(pte >> 1) & (RV_READ | RV_WRITE | RV_EXEC);
	if (st & MSTATUS_MXR && perm & RV_EXEC && !w->look)
		perm |= RV_READ;
	if (w->priv == RV_U)
		return pte & PTE_U ? perm : 0;
	if (!(pte & PTE_U))
		return perm;
	return st & MSTATUS_SUM ? perm & ~(unsigned)RV_EXEC : 0;
}

/* Is @pte a legal leaf at @level? */
static bool leaf_legal(const struct walk *w, uint64_t pte, unsigned level)
{
	if (pte & PTE_PBMT && (!(w->h->menvcfg & ENVCFG_PBMTE) || (pte & PTE_PBMT) == PTE_PBMT))
		return false;
	if (pte & PTE_N)
		return level == 0 && (pte_ppn(pte) & 0xf) == 8;
	return !(pte_ppn(pte) & (BIT(9 * level) - 1));
}

/* Set A (and D for stores) in *@slot, which held @pte; *@ret_pte is the new value.
 * Svade: page fault; Svadu: compare and swap, again if another hart was faster. */
static enum outcome leaf_touch(const struct walk *w, uint64_t *slot, uint64_t slot_pa, uint64_t pte,
			       uint64_t *ret_pte)
{
	uint64_t want = pte | PTE_A | (w->access & RV_WRITE ? PTE_D : 0);
	*ret_pte = want;
	if (likely(want == pte))
		return WALK_OK;
	if (!(w->h->menvcfg & ENVCFG_ADUE) || w->look)
		return WALK_PAGE;
	if (!rv_pmp_allows(w->h, slot_pa, 8, RV_WRITE, RV_S))
		return WALK_ACCESS;
	rv_code_note(w->h, slot_pa, 8);
	if (!__atomic_compare_exchange_n(slot, &pte, want, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED))
		return WALK_AGAIN;
	return WALK_OK;
}

static enum outcome leaf_use(const struct walk *w, uint64_t *slot, uint64_t slot_pa, uint64_t pte,
			     unsigned level, struct rv_map *ret)
{
	if (!leaf_legal(w, pte, level))
		return WALK_PAGE;
	unsigned perm = leaf_perm(w, pte);
	if ((perm & w->access) != (unsigned)w->access)
		return WALK_PAGE;
	enum outcome o = leaf_touch(w, slot, slot_pa, pte, &pte);
	if (unlikely(o != WALK_OK))
		return o;
	unsigned shift = 12 + 9 * level + (pte & PTE_N ? 4 : 0);
	uint64_t low = BIT(shift) - 1;
	ret->pa = (pte_ppn(pte) << 12 & ~low) | (w->va & low);
	ret->perm = pte & PTE_D ? perm : perm & ~(unsigned)RV_WRITE;
	ret->user = pte & PTE_U;
	ret->global |= !!(pte & PTE_G);
	ret->shift = (uint8_t)shift;
	return WALK_OK;
}

static enum outcome walk_tables(const struct walk *w, struct rv_map *ret)
{
	struct rv_mmu *m = w->h->mmu;
	unsigned level = satp_mode(w->h->satp) - SATP_SV39 + 3;
	unsigned bits = 12 + 9 * level;
	if ((uint64_t)((int64_t)(w->va << (64 - bits)) >> (64 - bits)) != w->va)
		return WALK_PAGE;
	uint64_t table = satp_root(w->h->satp);
	struct rv_table *known = rv_table_at(w->h, w->va);
	ret->global = false;
	if (known->region == w->va >> 21 && known->satp == w->h->satp && known->gen == m->gen) {
		table = known->pa;
		ret->global = known->global;
		level = 1;
	}
	while (level-- > 0) {
		uint64_t pa = table + (w->va >> (12 + 9 * level) & 511) * 8;
		uint64_t off = pa - m->ram_base;
		if (off >= m->ram_size || !rv_pmp_allows(w->h, pa, 8, RV_READ, RV_S))
			return WALK_ACCESS;
		uint64_t *slot = (uint64_t *)(void *)(m->ram + off);
		uint64_t pte = __atomic_load_n(slot, __ATOMIC_RELAXED);
		if (!(pte & PTE_V) || (pte & (PTE_R | PTE_W)) == PTE_W || pte & PTE_RESERVED)
			return WALK_PAGE;
		if (pte & (PTE_R | PTE_X))
			return leaf_use(w, slot, pa, pte, level, ret);
		if (pte & (PTE_D | PTE_A | PTE_U | PTE_N | PTE_PBMT))
			return WALK_PAGE;
		ret->global |= !!(pte & PTE_G);
		table = pte_ppn(pte) << 12;
		if (level == 1)
			*known = (struct rv_table){w->va >> 21, w->h->satp, m->gen, table,
						   ret->global};
	}
	return WALK_PAGE;
}

bool rv_walk(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access a, unsigned priv,
	     struct rv_map *ret)
{
	struct rv_mmu *m = h->mmu;
	unsigned pmp;
	*ret = (struct rv_map){
	    .pa = va, .perm = RV_READ | RV_WRITE | RV_EXEC, .global = true, .shift = 63};
	if (priv != RV_M && satp_mode(h->satp) != SATP_BARE) {
		const struct walk w = {h, va, a, priv, false};
		enum outcome o;
		while ((o = walk_tables(&w, ret)) == WALK_AGAIN)
			continue;
		if (unlikely(o != WALK_OK))
			return fault(h, o, a, va);
	}
	if (likely(rv_pmp_page(h, ret->pa, priv, &pmp))) {
		if (unlikely((pmp & a) != (unsigned)a))
			return fault(h, WALK_ACCESS, a, va);
		ret->perm &= pmp;
	} else {
		if (!rv_pmp_allows(h, ret->pa, size, a, priv))
			return fault(h, WALK_ACCESS, a, va);
		ret->perm = 0;
	}
	uint64_t off = ret->pa - m->ram_base;
	if (likely(off < m->ram_size))
		ret->host = m->ram + off;
	return true;
}

bool rv_user_page(struct rv_hart *h, uint64_t va, uint64_t *ret_pa, bool *ret_write,
		  unsigned *ret_shift)
{
	const struct walk w = {h, va, RV_READ, RV_U, true};
	struct rv_map map;
	unsigned pmp;
	if (satp_mode(h->satp) == SATP_BARE || walk_tables(&w, &map) != WALK_OK ||
	    map.pa - h->mmu->ram_base >= h->mmu->ram_size ||
	    !rv_pmp_page(h, map.pa, RV_U, &pmp) || !(pmp & RV_READ))
		return false;
	*ret_pa = map.pa & ~UINT64_C(0xfff);
	*ret_write = map.perm & pmp & RV_WRITE;
	*ret_shift = map.shift;
	return true;
}
