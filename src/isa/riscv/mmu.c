/* SPDX-License-Identifier: Apache-2.0 */
/* Translation contexts, the data TLB's contents, and their invalidation (sfence.vma).
 *
 * A context id stands for (satp, privilege, MXR). Ids are found through spaces[], a hash of satp
 * values, so privilege changes and returns to a known satp keep all their entries. Forgetting an
 * address space is forgetting its ids: entries made under them can never match again, and the
 * table itself is cleared only when the 255 ids are used up.
 *
 * A kernel's own pages are global (G): S mode has the same ids in all spaces, so that a switch of
 * processes costs the kernel nothing. The few pages that it sees and that are not global are
 * forgotten when the space changes; a space with many (a kernel that does not use G) is given ids
 * of its own. RISC-V Priv 20240411 §4.2.1, §4.3.1 */
#include "host/host.h"
#include "isa/riscv/priv.h"

static unsigned key_slot(uint64_t key, unsigned shift)
{
	return (unsigned)(key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - shift));
}

static void sieve_add(struct sieve *s, uint64_t key)
{
	unsigned i = key_slot(key, SIEVE_SHIFT);
	s->w[i / 64] |= BIT(i % 64);
}

static bool sieve_has(const struct sieve *s, uint64_t key)
{
	unsigned i = key_slot(key, SIEVE_SHIFT);
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

/* A process has no entries: its TLB stays as it was made, pages of zeros, which are no tag either.
 */
static void tlb_clear(struct rv_hart *h)
{
	if (h->env->process)
		return;
	for (unsigned i = 0; i < RV_TLB_SIZE; i++)
		tags_put(&h->tlb[i], RV_TLB_NONE, RV_TLB_NONE);
	h->mmu->nbrief = 0;
}

int rv_mmu_new(struct rv_mmu **ret, struct rv_hart *h, struct lodge_err *e)
{
	struct rv_mmu *m = host_pages_new(sizeof *m);
	if (!m)
		return err_set(e, ENOMEM, "no memory for the mmu of hart %u", h->id);
	if (!h->env->process) {
		m->ram = mem_host(h->env->mem);
		m->ram_base = mem_base(h->env->mem).a;
		m->ram_size = mem_size(h->env->mem);
	}
	m->gen = m->next_id = 1;
	m->next_fid = 1;
	m->cur = &m->bare;
	h->mmu = m;
	tlb_clear(h);
	*ret = m;
	return 0;
}

void rv_mmu_free(struct rv_mmu *m) { host_pages_free(m, sizeof *m); }

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
	if (m->fetched.n)
		memset(&m->fetched, 0, sizeof m->fetched);
}

/* A generation ends: every id given out so far is unknown from here on, but for those of
 * untranslated accesses. */
static void generation_end(struct rv_mmu *m)
{
	m->gen++;
	m->bare.gen = m->gen;
	m->common = (struct rv_space){.gen = m->gen};
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
	m->asid_of[m->next_id] = s == &m->common ? -1 : satp_asid(s->satp);
	return s->id[which] = (uint8_t)m->next_id++;
}

/* Fetch ids are never used twice: they stay. */
static void ids_recycle(struct rv_hart *h)
{
	struct rv_mmu *m = h->mmu;
	tlb_clear(h);
	memset(m->bare.id, 0, sizeof m->bare.id);
	memset(m->common.id, 0, sizeof m->common.id);
	for (unsigned i = 0; i < m->nlive; i++)
		memset(m->spaces[m->live[i]].id, 0, sizeof m->bare.id);
	m->next_id = 1;
}

/* S mode may not see these pages any more. */
static void brief_drop(struct rv_hart *h)
{
	struct rv_mmu *m = h->mmu;
	for (unsigned i = 0; i < m->nbrief; i++) {
		struct rv_tlb *e = &h->tlb[m->brief_slot[i]];
		tags_put(e, RV_TLB_NONE, RV_TLB_NONE);
	}
	m->nbrief = 0;
}

static void space_change(struct rv_hart *h)
{
	struct rv_mmu *m = h->mmu;
	m->cur = space_get(m, h->satp);
	brief_drop(h);
}

/* The space whose ids accesses by @priv use. */
static struct rv_space *space_of(struct rv_mmu *m, unsigned priv)
{
	if (priv == RV_M)
		return &m->bare;
	return priv == RV_U || m->cur->own || m->cur == &m->bare ? m->cur : &m->common;
}

void rv_mmu_update(struct rv_hart *h)
{
	struct rv_mmu *m = h->mmu;
	uint64_t st = h->mstatus;
	unsigned priv = h->priv;
	if (unlikely(st & MSTATUS_MPRV))
		priv = mstatus_mpp(st);
	m->priv = priv;
	if (unlikely(m->nbrief) && !(st & MSTATUS_SUM))
		brief_drop(h);
	if (m->cur->satp != h->satp || m->cur->gen != m->gen)
		space_change(h);
	struct rv_space *d = space_of(m, priv);
	m->in_common = d == &m->common;
	unsigned which =
	    d == &m->bare ? priv != RV_M : (priv == RV_S) * 2u + ((st & MSTATUS_MXR) != 0);
	unsigned id = data_id(m, d, which);
	if (unlikely(!id)) {
		ids_recycle(h);
		id = data_id(m, d, which);
	}
	h->dctx = (uint64_t)id << 4;
	struct rv_space *f = space_of(m, h->priv);
	unsigned fw = f == &m->bare ? h->priv != RV_M : h->priv == RV_S;
	if (unlikely(!f->fid[fw]))
		f->fid[fw] = m->next_fid++;
	h->fctx = f->fid[fw];
}

/* ---- entries ---- */

static void super_mark(struct rv_mmu *m, uint64_t va, unsigned shift)
{
	m->any_super = true;
	if (shift <= 21)
		sieve_add(&m->super2m, va >> 21);
	else if (shift <= 30)
		sieve_add(&m->super1g, va >> 30);
	else
		m->super_huge = true;
}

/* The entry at @slot is for S mode, but not for good. */
static void brief_add(struct rv_hart *h, unsigned slot, const struct rv_map *w)
{
	struct rv_mmu *m = h->mmu;
	if (m->nbrief == RV_BRIEF_SLOTS)
		brief_drop(h);
	m->brief_slot[m->nbrief++] = (uint16_t)slot;
	if (!w->user) /* from the next change of context on */
		m->cur->own = true;
}

/* Frames with translated code get no write tag. Another hart that begins to watch this one right
 * now marks it, then looks at our entries; we write the entry, then look for the mark. */
static void write_tag_put(struct rv_hart *h, struct rv_tlb *e, uint64_t tag)
{
	struct mem *mem = h->env->mem;
	if (mem_watched(mem, gpa(e->pa)))
		return;
	__atomic_store_n(&h->mmu->write_frame[e - h->tlb], rv_frame(h, e->pa), __ATOMIC_RELAXED);
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
	if (m->priv == RV_S && (w->user || (!w->global && m->in_common)))
		brief_add(h, slot, w);
	if (w->shift > 12 && w->shift < 63)
		super_mark(m, va, w->shift);
	tags_put(e, w->perm & RV_READ ? page | h->dctx : RV_TLB_NONE, RV_TLB_NONE);
	e->add = (uint64_t)(uintptr_t)w->host - va;
	e->pa = w->pa & ~UINT64_C(0xfff);
	if (w->perm & RV_WRITE)
		write_tag_put(h, e, page | h->dctx);
}

/* ---- fetched pages ---- */

/* @size: 0 4 KiB, 1 to 2 MiB, 2 to 1 GiB. @fid 0: any. */
static uint64_t fetched_key(uint64_t va, unsigned size, uint64_t fid)
{
	return (va >> (12 + 9 * size) << 2 | size) ^ fid * UINT64_C(0xd6e8feb86659fd93);
}

static void fetched_add(struct rv_fetched *f, uint64_t key)
{
	unsigned i = key_slot(key, FETCHED_SHIFT);
	f->n += !(f->w[i / 64] >> i % 64 & 1);
	f->w[i / 64] |= BIT(i % 64);
}

static bool fetched_has(const struct rv_fetched *f, uint64_t va, uint64_t fid)
{
	for (unsigned size = 0; size < (f->large ? 3u : 1u); size++) {
		unsigned i = key_slot(fetched_key(va, size, fid), FETCHED_SHIFT);
		if (f->w[i / 64] >> i % 64 & 1)
			return true;
	}
	return false;
}

/* Every translated fetch context gets a new id when it is next used. */
static void fids_renew(struct rv_mmu *m)
{
	memset(m->common.fid, 0, sizeof m->common.fid);
	for (unsigned i = 0; i < m->nlive; i++)
		memset(m->spaces[m->live[i]].fid, 0, sizeof m->common.fid);
	fetched_clear(m);
}

void rv_mmu_fetched(struct rv_hart *h, uint64_t va, const struct rv_map *w)
{
	struct rv_mmu *m = h->mmu;
	struct rv_fetched *f = &m->fetched;
	if (w->shift == 63)
		return;
	if (unlikely(!w->global && h->fctx == m->common.fid[1])) {
		m->cur->own = true;
		rv_mmu_update(h);
	}
	if (unlikely(f->n >= FETCHED_MOST)) {
		fids_renew(m);
		rv_mmu_update(h);
	}
	unsigned size = w->shift == 12 ? 0 : w->shift <= 21 ? 1 : 2;
	f->large |= size > 0;
	f->huge |= w->shift > 30;
	fetched_add(f, fetched_key(va, size, 0));
	fetched_add(f, fetched_key(va, size, h->fctx));
}

static bool space_fetched_drop(struct rv_mmu *m, struct rv_space *s, uint64_t va)
{
	bool hit = false;
	for (unsigned i = 0; i < 2; i++)
		if (s->fid[i] && fetched_has(&m->fetched, va, s->fid[i])) {
			s->fid[i] = 0;
			hit = true;
		}
	return hit;
}

/* Renew the ids of those that fetched from the page at @va; @asid < 0: of all spaces. */
static void fetched_drop(struct rv_hart *h, uint64_t va, int asid)
{
	struct rv_mmu *m = h->mmu;
	bool hit = false;
	if (likely(!m->fetched.huge && !fetched_has(&m->fetched, va, 0)))
		return;
	if (m->fetched.huge) {
		fids_renew(m);
		rv_mmu_update(h);
		return;
	}
	if (asid < 0)
		hit = space_fetched_drop(m, &m->common, va);
	for (unsigned i = 0; i < m->nlive; i++) {
		struct rv_space *s = &m->spaces[m->live[i]];
		if (asid < 0 || satp_asid(s->satp) == asid)
			hit |= space_fetched_drop(m, s, va);
	}
	if (hit)
		rv_mmu_update(h);
}

/* ---- invalidation ---- */

static void fenced(struct rv_hart *h, uint64_t va, int asid)
{
	if (h->fenced)
		h->fenced(h, va, asid);
}

void rv_mmu_flush(struct rv_hart *h, bool physical)
{
	struct rv_mmu *m = h->mmu;
	generation_end(m);
	if (physical) {
		m->bare = (struct rv_space){.gen = m->gen};
		h->map_epoch++;
	}
	fenced(h, UINT64_MAX, -1);
	rv_mmu_update(h);
}

void rv_mmu_flush_asid(struct rv_hart *h, uint16_t asid)
{
	struct rv_mmu *m = h->mmu;
	for (unsigned i = 0; i < m->nlive; i++) {
		struct rv_space *s = &m->spaces[m->live[i]];
		if (satp_asid(s->satp) == asid)
			*s = (struct rv_space){.satp = s->satp, .gen = m->gen, .own = s->own};
	}
	memset(m->tables, 0, sizeof m->tables);
	brief_drop(h);
	fenced(h, UINT64_MAX, asid);
	rv_mmu_update(h);
}

/* Drop data entries of the naturally aligned region of 2^@shift bytes around @va. */
static void region_drop(struct rv_hart *h, uint64_t va, unsigned shift)
{
	uint64_t n = min_u64(BIT(shift - 12), RV_TLB_SIZE);
	struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE & ~(n - 1)];
	for (struct rv_tlb *end = e + n; e < end; e++)
		if (tag_of(e) >> shift == va >> shift)
			tags_put(e, RV_TLB_NONE, RV_TLB_NONE);
}

void rv_mmu_flush_page(struct rv_hart *h, uint64_t va, int asid)
{
	struct rv_mmu *m = h->mmu;
	if (unlikely(m->super_huge)) {
		rv_mmu_flush(h, false);
		return;
	}
	fenced(h, va & ~UINT64_C(0xfff), asid);
	struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
	uint64_t tag = tag_of(e);
	if (tag >> 12 == va >> 12) {
		int32_t of = m->asid_of[tag >> 4 & 0xff];
		if (asid < 0 || of < 0 || of == asid)
			tags_put(e, RV_TLB_NONE, RV_TLB_NONE);
	}
	if (m->any_super && unlikely(sieve_has(&m->super2m, va >> 21)))
		region_drop(h, va, 21);
	if (m->any_super && unlikely(sieve_has(&m->super1g, va >> 30)))
		region_drop(h, va, 30);
	/* the fence is for the leaf only, but some change more and fence one address */
	rv_table_at(h, va)->gen = 0;
	fetched_drop(h, va, asid);
}
