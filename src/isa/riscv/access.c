/* SPDX-License-Identifier: Apache-2.0 */
/* The slow paths of fetch, load, store and atomics: walk, remember, or go to a device.
 * RISC-V Priv 20240411 §4.3.2, Unpriv 20240411 §2.6 */
#include "isa/riscv/priv.h"

static uint64_t host_load(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;
	if ((uintptr_t)p & (size - 1)) {
		memcpy(&v, p, size);
		return v;
	}
	switch (size) {
	case 1: return *p;
	case 2: return __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_RELAXED);
	case 4: return __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_RELAXED);
	default: return __atomic_load_n((const uint64_t *)(const void *)p, __ATOMIC_RELAXED);
	}
}

static void host_store(uint8_t *p, unsigned size, uint64_t v)
{
	if ((uintptr_t)p & (size - 1)) {
		memcpy(p, &v, size);
		return;
	}
	switch (size) {
	case 1: *p = (uint8_t)v; break;
	case 2: __atomic_store_n((uint16_t *)(void *)p, (uint16_t)v, __ATOMIC_RELAXED); break;
	case 4: __atomic_store_n((uint32_t *)(void *)p, (uint32_t)v, __ATOMIC_RELAXED); break;
	default: __atomic_store_n((uint64_t *)(void *)p, v, __ATOMIC_RELAXED); break;
	}
}

/* Walk for a data access and remember the page if it is plain RAM. */
static bool data_map(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access a,
		     struct rv_map *ret)
{
	if (!rv_walk(h, va, size, a, h->mmu->priv, ret))
		return false;
	if (a & RV_WRITE && likely(ret->host))
		rv_code_note(h, ret->pa, size);
	if (likely(ret->host && ret->perm))
		rv_mmu_enter(h, va, ret);
	return true;
}

static bool bus_fault(struct rv_hart *h, enum rv_exc cause, uint64_t va)
{
	rv_raise(h, cause, va);
	return false;
}

/* @size bytes that do not cross a page. */
static bool page_load(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *ret)
{
	struct rv_map w;
	const struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
	if (((va & ~UINT64_C(0xfff)) | h->dctx) == e->tag_r) {
		*ret = host_load((const uint8_t *)(uintptr_t)(va + e->add), size);
		return true;
	}
	if (!data_map(h, va, size, RV_READ, &w))
		return false;
	if (likely(w.host)) {
		*ret = host_load(w.host, size);
		return true;
	}
	if (w.pa & (size - 1) || !bus_read(h->env->bus, gpa(w.pa), size, ret))
		return bus_fault(h, RV_EXC_LOAD_ACCESS, va);
	return true;
}

static bool page_store(struct rv_hart *h, uint64_t va, unsigned size, uint64_t v)
{
	struct rv_map w;
	const struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
	if (((va & ~UINT64_C(0xfff)) | h->dctx) == rv_tag_w(e)) {
		host_store((uint8_t *)(uintptr_t)(va + e->add), size, v);
		return true;
	}
	if (!data_map(h, va, size, RV_WRITE, &w))
		return false;
	if (likely(w.host)) {
		host_store(w.host, size, v);
		return true;
	}
	if (w.pa & (size - 1) || !bus_write(h->env->bus, gpa(w.pa), size, v))
		return bus_fault(h, RV_EXC_STORE_ACCESS, va);
	return true;
}

/* One byte after the other: only RAM takes accesses that cross a page. */
static bool cross_load(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *ret)
{
	unsigned first = 4096 - (unsigned)(va & 0xfff);
	struct rv_map lo, hi;
	if (!data_map(h, va, first, RV_READ, &lo) ||
	    !data_map(h, va + first, size - first, RV_READ, &hi))
		return false;
	if (!lo.host || !hi.host)
		return bus_fault(h, RV_EXC_LOAD_ACCESS, lo.host ? va + first : va);
	*ret = 0;
	memcpy(ret, lo.host, first);
	memcpy((uint8_t *)ret + first, hi.host, size - first);
	return true;
}

/* Both pages are checked before the first byte is written. */
static bool cross_store(struct rv_hart *h, uint64_t va, unsigned size, uint64_t v)
{
	unsigned first = 4096 - (unsigned)(va & 0xfff);
	struct rv_map lo, hi;
	if (!data_map(h, va, first, RV_WRITE, &lo) ||
	    !data_map(h, va + first, size - first, RV_WRITE, &hi))
		return false;
	if (!lo.host || !hi.host)
		return bus_fault(h, RV_EXC_STORE_ACCESS, lo.host ? va + first : va);
	memcpy(lo.host, &v, first);
	memcpy(hi.host, (uint8_t *)&v + first, size - first);
	return true;
}

bool rv_load_slow(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *ret_zext)
{
	if (unlikely(h->env->process))
		return rv_process_load(h, va, size, ret_zext);
	if (unlikely((va & 0xfff) + size > 4096))
		return cross_load(h, va, size, ret_zext);
	return page_load(h, va, size, ret_zext);
}

bool rv_store_slow(struct rv_hart *h, uint64_t va, unsigned size, uint64_t val)
{
	if (unlikely(h->env->process))
		return rv_process_store(h, va, size, val);
	if (unlikely((va & 0xfff) + size > 4096))
		return cross_store(h, va, size, val);
	return page_store(h, va, size, val);
}

void *rv_atomic_ptr(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access a)
{
	bool load = a == RV_READ;
	struct rv_map w;
	if (unlikely(h->env->process))
		return rv_process_ptr(h, va, size, !load);
	if (unlikely(va & (size - 1))) {
		rv_raise(h, load ? RV_EXC_LOAD_MISALIGNED : RV_EXC_STORE_MISALIGNED, va);
		return NULL;
	}
	const struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
	uint64_t want = (va & ~UINT64_C(0xfff)) | h->dctx;
	if (want == e->tag_r && (load || want == rv_tag_w(e)))
		return (void *)(uintptr_t)(va + e->add);
	if (!data_map(h, va, size, load ? RV_READ : RV_READ | RV_WRITE, &w))
		return NULL;
	if (unlikely(!w.host)) {
		rv_raise(h, load ? RV_EXC_LOAD_ACCESS : RV_EXC_STORE_ACCESS, va);
		return NULL;
	}
	return w.host;
}

/* How far around the page that holds @va, mapped as @w says, the same holds: log2, 12 to 21. */
static uint8_t fetch_shift(struct rv_hart *h, uint64_t va, const struct rv_map *w)
{
	struct rv_mmu *m = h->mmu;
	unsigned shift = w->shift < 21 ? w->shift : 21;
	uint64_t size = BIT(shift), off = (w->pa & ~(size - 1)) - m->ram_base;
	if (shift == 12 || ((va ^ w->pa) & (size - 1)) || off > m->ram_size ||
	    m->ram_size - off < size ||
	    !rv_pmp_uniform(h, w->pa & ~(size - 1), size, h->priv))
		return 12;
	return (uint8_t)shift;
}

static struct rv_fetch_entry *fetch_entry(struct rv_hart *h, uint64_t va)
{
	return &h->mmu->itlb[((va >> 12) ^ h->fctx) % RV_FETCH_ENTRIES];
}

static bool fetch_hits(const struct rv_hart *h, const struct rv_fetch_entry *e, uint64_t va)
{
	return e->va == (va & ~UINT64_C(0xfff)) && e->fctx == h->fctx && e->epoch == h->map_epoch;
}

/* DEVIATES: RISC-V Priv 20240411 §3.7.1: where PMP lets only a part of a page execute, an engine
 * that got an address in that part may run to the end of the page. */
bool rv_fetch(struct rv_hart *h, uint64_t va, const uint8_t **ret_host, uint64_t *ret_pa)
{
	struct rv_fetch_entry *e = fetch_entry(h, va);
	struct rv_map w;
	if (likely(fetch_hits(h, e, va))) {
		*ret_host = e->host + (va & 0xfff);
		*ret_pa = e->pa | (va & 0xfff);
		return true;
	}
	if (unlikely(h->env->process)) {
		if (!rv_process_fetch(h, va, e))
			return false;
		*ret_host = e->host + (va & 0xfff);
		*ret_pa = va;
		return true;
	}
	if (!rv_walk(h, va, 2, RV_EXEC, h->priv, &w))
		return false;
	if (!w.host)
		return bus_fault(h, RV_EXC_FETCH_ACCESS, va);
	rv_mmu_fetched(h, va, &w);
	if (w.perm) {
		e = fetch_entry(h, va);
		*e = (struct rv_fetch_entry){.va = va & ~UINT64_C(0xfff), .fctx = h->fctx,
			.pa = w.pa & ~UINT64_C(0xfff), .host = w.host - (va & 0xfff),
			.epoch = h->map_epoch, .shift = fetch_shift(h, va, &w),
			.global = w.global};
	}
	*ret_host = w.host;
	*ret_pa = w.pa;
	return true;
}

unsigned rv_fetch_region(struct rv_hart *h, uint64_t va, bool *ret_global)
{
	const uint8_t *host;
	uint64_t pa;
	*ret_global = false;
	if (!fetch_hits(h, fetch_entry(h, va), va) && !rv_fetch(h, va, &host, &pa)) {
		h->exc = RV_EXC_NONE;
		return 12;
	}
	const struct rv_fetch_entry *e = fetch_entry(h, va);
	if (!fetch_hits(h, e, va))
		return 12;
	*ret_global = e->global;
	return e->shift;
}
