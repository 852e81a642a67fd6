/* SPDX-License-Identifier: Apache-2.0 */
/* Translation contexts, the data TLB's contents, and their invalidation (sfence.vma).
 *
 * A context id stands for (satp, privilege, MXR). Ids are found through spaces[], a hash of satp
 * values, so privilege changes and returns to a known satp keep all their entries. Forgetting an
 * address space is forgetting its ids: entries made under them can never match again, and the
 * table itself is cleared only when the 255 ids are used up. RISC-V Priv 20240411 §4.2.1 */
#include "isa/riscv/priv.h"

static unsigned sieve_slot(uint64_t key)
{
	return (unsigned)(key * UINT64_C(0x9e3779b97f4a7c15) >> 52);
}

void sieve_add(struct sieve *s, uint64_t key)
{
	unsigned i = sieve_slot(key);
	s->w[i / 64] |= BIT(i % 64);
}

bool sieve_has(const struct sieve *s, uint64_t key)
{
	unsigned i = sieve_slot(key);
	return s->w[i / 64] >> i % 64 & 1;
}

/* Entries belong to the hart, but for this: others take write tags away (rv_code_watch). */
static void tags_put(struct rv_tlb *e, uint64_t r, uint64_t w)
{
	e->tag_r = r;
	__atomic_store_n(&e->tag_w, w, __ATOMIC_RELAXED);
}

static uint64_t tag_of(const struct rv_tlb *e)
{
	return e->tag_r != RV_TLB_NONE ? e->tag_r : rv_tag_w(e);
}

static void tlb_clear(struct rv_hart *h)
{
	for (unsigned i = 0; i < RV_TLB_SIZE; i++)
		tags_put(&h->tlb[i], RV_TLB_NONE, RV_TLB_NONE);
	h->mmu->nuser = 0;
}

int rv_mmu_new(struct rv_mmu **ret, struct rv_hart *h, struct lodge_err *e)
{
	struct rv_mmu *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ENOMEM, "no memory for the mmu of hart %u", h->id);
	m->ram = mem_host(h->env->mem);
	m->ram_base = mem_base(h->env->mem).a;
	m->ram_size = mem_size(h->env->mem);
	m->gen = m->next_id = 1;
	m->next_fid = 1;
	m->cur = &m->bare;
	h->mmu = m;
	tlb_clear(h);
	*ret = m;
	return 0;
}

void rv_mmu_free(struct rv_mmu *m) { free(m); }

bool rv_satp_mode_exists(const struct rv_hart *h, unsigned mode)
{
	if (mode == SATP_BARE)
		return true;
	return mode >= SATP_SV39 && mode <= SATP_SV57 &&
	       39 + (mode - SATP_SV39) * 9 <= h->env->mmu_max;
}

/* ---- contexts ---- */

static struct rv_space *space_get(struct rv_mmu *m, uint64_t satp)
{
	if (satp_mode(satp) == SATP_BARE)
		return &m->bare;
	unsigned i = (unsigned)((satp ^ satp >> 44) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
	struct rv_space *s = &m->spaces[i % RV_SPACES];
	if (s->gen != m->gen && m->nlive < RV_SPACES)
		m->live[m->nlive++] = (uint8_t)i;
	if (s->satp != satp || s->gen != m->gen)
		*s = (struct rv_space){.satp = satp, .gen = m->gen};
	return s;
}

static void fetched_clear(struct rv_mmu *m)
{
	if (m->any_fetched)
		memset(&m->fetched, 0, sizeof m->fetched);
	m->any_fetched = false;
}

/* A generation ends: every id given out so far is unknown from here on. */
static void generation_end(struct rv_mmu *m)
{
	m->gen++;
	m->bare.gen = m->gen;
	m->nlive = 0;
	if (m->any_super) {
		memset(&m->super2m, 0, sizeof m->super2m);
		memset(&m->super1g, 0, sizeof m->super1g);
	}
	fetched_clear(m);
	m->any_super = m->super_huge = false;
}

/* The id of @which in the space @s, a new one if need be; 0: none is left. */
static unsigned data_id(struct rv_mmu *m, struct rv_space *s, unsigned which)
{
	if (likely(s->id[which]))
		return s->id[which];
	if (m->next_id > 255)
		return 0;
	m->asid_of[m->next_id] = satp_asid(s->satp);
	return s->id[which] = (uint8_t)m->next_id++;
}

static void ids_recycle(struct rv_hart *h)
{
	struct rv_mmu *m = h->mmu;
	tlb_clear(h);
	generation_end(m);
	m->bare = (struct rv_space){.gen = m->gen};
	m->next_id = 1;
	h->map_epoch++;
}

/* S mode may not see user pages any more: drop those it entered. */
static void user_slots_drop(struct rv_hart *h)
{
	struct rv_mmu *m = h->mmu;
	for (unsigned i = 0; i < m->nuser; i++) {
		struct rv_tlb *e = &h->tlb[m->user_slot[i]];
		tags_put(e, RV_TLB_NONE, RV_TLB_NONE);
	}
	m->nuser = 0;
}

void rv_mmu_update(struct rv_hart *h)
{
	struct rv_mmu *m = h->mmu;
	uint64_t st = h->mstatus;
	unsigned priv = h->priv;
	if (unlikely(st & MSTATUS_MPRV))
		priv = mstatus_mpp(st);
	m->priv = priv;
	if (unlikely(m->nuser) && !(st & MSTATUS_SUM))
		user_slots_drop(h);
	if (m->cur->satp != h->satp || m->cur->gen != m->gen)
		m->cur = space_get(m, h->satp);
	struct rv_space *d = priv == RV_M ? &m->bare : m->cur;
	unsigned which =
	    d == &m->bare ? priv != RV_M : (priv == RV_S) * 2u + ((st & MSTATUS_MXR) != 0);
	unsigned id = data_id(m, d, which);
	if (unlikely(!id)) {
		ids_recycle(h);
		m->cur = space_get(m, h->satp);
		d = priv == RV_M ? &m->bare : m->cur;
		id = data_id(m, d, which);
	}
	h->dctx = (uint64_t)id << 4;
	struct rv_space *f = h->priv == RV_M ? &m->bare : m->cur;
	unsigned fw = f == &m->bare ? h->priv != RV_M : h->priv == RV_S;
	if (unlikely(!f->fid[fw]))
		f->fid[fw] = m->next_fid++;
	h->fctx = f->fid[fw];
}

/* ---- entries ---- */

void rv_mmu_mark_super(struct rv_mmu *m, uint64_t va, unsigned shift)
{
	m->any_super = true;
	if (shift <= 21)
		sieve_add(&m->super2m, va >> 21);
	else if (shift <= 30)
		sieve_add(&m->super1g, va >> 30);
	else
		m->super_huge = true;
}

/* Frames with translated code get no write tag. Another hart that begins to watch this one right
 * now marks it, then looks at our entries; we write the entry, then look for the mark. */
static void write_tag_put(struct rv_hart *h, struct rv_tlb *e, uint64_t tag)
{
	struct mem *mem = h->env->mem;
	if (mem_watched(mem, gpa(e->pa)))
		return;
	__atomic_store_n(&e->tag_w, tag, __ATOMIC_RELAXED);
	if (h->env->nharts <= 1)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (unlikely(mem_watched(mem, gpa(e->pa))))
		__atomic_store_n(&e->tag_w, RV_TLB_NONE, __ATOMIC_RELAXED);
}

void rv_mmu_enter(struct rv_hart *h, uint64_t va, const struct rv_map *w)
{
	struct rv_mmu *m = h->mmu;
	uint64_t page = va & ~UINT64_C(0xfff);
	unsigned slot = (unsigned)(va >> 12) % RV_TLB_SIZE;
	struct rv_tlb *e = &h->tlb[slot];
	if (w->user && m->priv == RV_S) {
		if (m->nuser == RV_USER_SLOTS)
			user_slots_drop(h);
		m->user_slot[m->nuser++] = (uint16_t)slot;
	}
	tags_put(e, w->perm & RV_READ ? page | h->dctx : RV_TLB_NONE, RV_TLB_NONE);
	e->add = (uint64_t)(uintptr_t)w->host - va;
	__atomic_store_n(&e->pa, w->pa & ~UINT64_C(0xfff), __ATOMIC_RELAXED);
	if (w->perm & RV_WRITE)
		write_tag_put(h, e, page | h->dctx);
}

/* ---- invalidation ---- */

void rv_mmu_flush(struct rv_hart *h, bool physical)
{
	struct rv_mmu *m = h->mmu;
	generation_end(m);
	if (physical)
		m->bare = (struct rv_space){.gen = m->gen};
	h->map_epoch++;
	rv_mmu_update(h);
}

void rv_mmu_flush_asid(struct rv_hart *h, uint16_t asid)
{
	struct rv_mmu *m = h->mmu;
	for (unsigned i = 0; i < m->nlive; i++) {
		struct rv_space *s = &m->spaces[m->live[i]];
		if (s->gen == m->gen && satp_asid(s->satp) == asid)
			*s = (struct rv_space){.satp = s->satp, .gen = m->gen};
	}
	rv_mmu_update(h);
}

/* Drop data entries of the naturally aligned region of 2^@shift bytes around @va. */
static void region_drop(struct rv_hart *h, uint64_t va, unsigned shift)
{
	for (unsigned i = 0; i < RV_TLB_SIZE; i++) {
		struct rv_tlb *e = &h->tlb[i];
		if (tag_of(e) >> shift == va >> shift)
			tags_put(e, RV_TLB_NONE, RV_TLB_NONE);
	}
}

void rv_mmu_flush_page(struct rv_hart *h, uint64_t va, int asid)
{
	struct rv_mmu *m = h->mmu;
	bool in2m = m->any_super && sieve_has(&m->super2m, va >> 21);
	bool in1g = m->any_super && sieve_has(&m->super1g, va >> 30);
	if (unlikely(m->super_huge)) {
		rv_mmu_flush(h, false);
		return;
	}
	struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
	uint64_t tag = tag_of(e);
	if (tag >> 12 == va >> 12 && (asid < 0 || m->asid_of[tag >> 4 & 0xff] == asid))
		tags_put(e, RV_TLB_NONE, RV_TLB_NONE);
	if (unlikely(in2m))
		region_drop(h, va, 21);
	if (unlikely(in1g))
		region_drop(h, va, 30);
	if (in2m || in1g || sieve_has(&m->fetched, va >> 12)) {
		fetched_clear(m);
		h->map_epoch++;
	}
}
