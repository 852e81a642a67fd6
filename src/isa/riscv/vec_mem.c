/* SPDX-License-Identifier: Apache-2.0 */
/* Runners of vector loads and stores. Whole pages are looked up once; what the TLB does not
 * know goes through the slow paths of scalar accesses, one element after the other, so that a
 * fault is that of its element: vstart then says which. RISC-V Unpriv 20240411 §31.7, §31.17 */
#include "host/host.h"
#include "isa/riscv/vec.h"

/* What is moved: @n elements of @nf fields of 2^@log2 bytes; field f begins at register vd + f
 * * group. */
struct move {
	uint64_t n, stride;
	unsigned log2, nf, group;
	bool store, first;      /* first: only element 0 faults */
	const uint8_t *index;   /* else @stride bytes from element to element */
	unsigned index_log2;
};

static uint64_t illegal(struct vec *v) { return rv_raise(v->h, RV_EXC_ILLEGAL, 0); }

/* log2 of the bytes that the width field says. §31.7.3 */
static unsigned width_log2(const struct vec *v)
{
	unsigned w = v->word >> 12 & 7;
	return w ? w - 4 : 0;
}

/* ---- moving ---- */

/* The host's address of @va if the TLB knows its page for this kind of access. */
static inline uint8_t *page_at(const struct rv_hart *h, uint64_t va, bool store)
{
	const struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
	uint64_t tag = store ? rv_tag_w(e) : e->tag_r;
	return likely(((va & ~UINT64_C(0xfff)) | h->dctx) == tag)
		? (uint8_t *)(uintptr_t)(va + e->add) : NULL;
}

static bool element_slow(struct vec *v, const struct move *m, uint64_t va, uint8_t *reg)
{
	uint64_t val = m->store ? vec_get(reg, 0, m->log2) : 0;
	if (m->store)
		return rv_store_slow(v->h, va, 1u << m->log2, val);
	if (!rv_load_slow(v->h, va, 1u << m->log2, &val))
		return false;
	vec_put(reg, 0, m->log2, val);
	return true;
}

static inline bool element(struct vec *v, const struct move *m, uint64_t va, uint8_t *reg)
{
	uint64_t size = UINT64_C(1) << m->log2;
	uint8_t *p = v->h->env->process ? NULL : page_at(v->h, va, m->store);
	if (unlikely(!p || va & (size - 1)))
		return element_slow(v, m, va, reg);
	vec_put(m->store ? p : reg, 0, m->log2, vec_get(m->store ? reg : p, 0, m->log2));
	return true;
}

/* Element @i could not be moved. */
static uint64_t fault(struct vec *v, const struct move *m, uint64_t i)
{
	if (m->first && i) {
		v->h->exc = RV_EXC_NONE;
		v->h->tval = 0;
		v->h->vl = i;
	} else {
		v->h->vstart = i;
	}
	return 0;
}

static uint64_t move_elements(struct vec *v, const struct move *m)
{
	for (uint64_t i = v->start; i < m->n; i++) {
		if (!vec_active(v, i))
			continue;
		uint64_t va = v->x + (m->index ? vec_get(m->index, i, m->index_log2)
		                               : i * m->stride);
		for (unsigned f = 0; f < m->nf; f++, va += UINT64_C(1) << m->log2) {
			uint8_t *reg = vec_reg(v, v->vd + f * m->group) + (i << m->log2);
			if (unlikely(!element(v, m, va, reg)))
				return fault(v, m, i);
		}
	}
	return 0;
}

/* The same of fault-only-first loads: behind the new vl nothing changes. */
static uint64_t move_elements_first(struct vec *v, const struct move *m)
{
	uint8_t got[8][8] = { 0 };
	for (uint64_t i = v->start; i < m->n; i++) {
		if (!vec_active(v, i))
			continue;
		for (unsigned f = 0; f < m->nf; f++)
			if (!element(v, m, v->x + i * m->stride + ((uint64_t)f << m->log2),
			             got[f]))
				return fault(v, m, i);
		for (unsigned f = 0; f < m->nf; f++)
			vec_put(vec_reg(v, v->vd + f * m->group), i, m->log2,
			        vec_get(got[f], 0, m->log2));
	}
	return 0;
}

/* Move up to @n bytes at once: whole elements of one page. Returns how many, perhaps none. */
static uint64_t move_some(struct vec *v, const struct move *m, uint64_t va, uint8_t *reg,
                          uint64_t n)
{
	n = min_u64(n, 4096 - (va & 4095)) & ~((UINT64_C(1) << m->log2) - 1);
	if (!n)
		return 0;
	if (unlikely(v->h->env->process)) {
		uint64_t end = v->h->env->process->end;
		void *p = (void *)(uintptr_t)va;
		if (va >= end || n > end - va)
			return 0;
		return host_copy(m->store ? p : reg, m->store ? reg : p, n) ? 0 : n;
	}
	uint8_t *p = page_at(v->h, va, m->store);
	if (unlikely(!p))
		return 0;
	if (m->store)
		memcpy(p, reg, n);
	else
		memcpy(reg, p, n);
	return n;
}

/* What most are: a unit-stride access without a mask, of elements as wide as the type's, in one
 * page that is known. False: it is another one, or something is wrong; nothing was done. */
bool vec_move_plain(struct rv_hart *h, uint32_t w, uint64_t va)
{
	unsigned sew = h->vtype >> 3 & 3, lmul = h->vtype & 7, vd = w >> 7 & 31;
	bool store = w >> 5 & 1;
	uint64_t n = h->vl << sew;
	if (w >> 20 != 1u << 5 || (w >> 12 & 7) != (sew ? sew + 4 : 0) ||
	    (w & 0x5f) != 0x07 || !h->vready || (va & 4095) + n > 4096 ||
	    (lmul < 4 && vd & ((1u << lmul) - 1)))
		return false;
	uint8_t *reg = h->v + vd * h->vlenb, *p = (uint8_t *)(uintptr_t)va;
	if (unlikely(!n))
		return true;
	if (h->env->process)
		return va < h->env->process->end && n <= h->env->process->end - va &&
		       host_copy(store ? p : reg, store ? reg : p, n) == 0;
	p = page_at(h, va, store);
	if (unlikely(!p))
		return false;
	memcpy(store ? p : reg, store ? reg : p, n);
	return true;
}

/* All of them, one behind the other in memory and in registers. */
static uint64_t move_bytes(struct vec *v, const struct move *m)
{
	uint8_t *reg = vec_reg(v, v->vd);
	uint64_t size = UINT64_C(1) << m->log2, end = m->n << m->log2;
	for (uint64_t at = v->start << m->log2; at < end;) {
		uint64_t n = move_some(v, m, v->x + at, reg + at, end - at);
		if (unlikely(!n)) {
			if (!element_slow(v, m, v->x + at, reg + at))
				return fault(v, m, at >> m->log2);
			n = size;
		}
		at += n;
	}
	return 0;
}

static uint64_t move_all(struct vec *v, const struct move *m)
{
	if (m->nf == 1 && !v->masked && !m->index && m->stride == UINT64_C(1) << m->log2)
		return move_bytes(v, m);
	return m->first ? move_elements_first(v, m) : move_elements(v, m);
}

/* ---- what is legal ---- */

/* Data of 2^@log2 bytes an element, @nf groups; sets @m. §31.7.2, §31.7.8 */
static bool data_ok(struct vec *v, struct move *m, unsigned log2, bool store)
{
	int emul = v->lmul + (int)log2 - (int)v->sew;
	*m = (struct move){.n = v->vl, .log2 = log2, .nf = (v->word >> 29) + 1,
		.group = vec_group(emul), .store = store};
	m->stride = (uint64_t)m->nf << log2;
	return v->h->vtype != RV_VTYPE_ILL && emul >= -3 && emul <= 3 &&
	       m->nf * m->group <= 8 && v->vd + m->nf * m->group <= 32 &&
	       v->vd % m->group == 0 && (store || !v->masked || v->vd);
}

static uint64_t unit(struct vec *v, bool store, bool first)
{
	struct move m;
	if (!data_ok(v, &m, width_log2(v), store))
		return illegal(v);
	m.first = first;
	return move_all(v, &m);
}

static uint64_t strided(struct vec *v, bool store)
{
	struct move m;
	if (!data_ok(v, &m, width_log2(v), store))
		return illegal(v);
	m.stride = v->y;
	return move_all(v, &m);
}

/* May the data be where the indices, of 2^@log2 bytes in @group registers, are? */
static bool index_fits(const struct vec *v, const struct move *m, unsigned log2, unsigned group)
{
	int emul = v->lmul + (int)log2 - (int)v->sew;
	if (!vec_overlap(v->vd, (m->store ? 1 : m->nf) * m->group, v->vs2, group))
		return true;
	if (log2 == v->sew)
		return m->store || m->nf == 1;
	if (m->store || m->nf > 1)
		return false;
	return log2 > v->sew ? v->vd == v->vs2
	                     : emul >= 0 && v->vd + m->group == v->vs2 + group;
}

static uint64_t indexed(struct vec *v, bool store)
{
	struct move m;
	unsigned log2 = width_log2(v);
	int emul = v->lmul + (int)log2 - (int)v->sew;
	unsigned group = vec_group(emul);
	if (!data_ok(v, &m, v->sew, store) || emul < -3 || emul > 3 || v->vs2 % group ||
	    (v->masked && (v->vs2 == 0 || v->vd == 0)) ||
	    !index_fits(v, &m, log2, group))
		return illegal(v);
	m.index = vec_reg(v, v->vs2);
	m.index_log2 = log2;
	return move_elements(v, &m);
}

/* Whole registers: vtype and vl do not matter. §31.7.9 */
static uint64_t whole(struct vec *v, bool store)
{
	unsigned n = (v->word >> 29) + 1, log2 = width_log2(v);
	const struct move m = {.n = (uint64_t)n * v->h->vlenb >> log2, .log2 = log2, .nf = 1,
		.stride = UINT64_C(1) << log2, .store = store};
	return v->vd % n ? illegal(v) : move_bytes(v, &m);
}

/* Masks: as many bytes as have a bit below vl. §31.7.4 */
static uint64_t bits(struct vec *v, bool store)
{
	const struct move m = {.n = (v->vl + 7) / 8, .nf = 1, .stride = 1, .store = store};
	return v->h->vtype == RV_VTYPE_ILL ? illegal(v) : move_bytes(v, &m);
}

uint64_t vec_run_unit_load(struct vec *v) { return unit(v, false, false); }
uint64_t vec_run_unit_store(struct vec *v) { return unit(v, true, false); }
uint64_t vec_run_first_load(struct vec *v) { return unit(v, false, true); }
uint64_t vec_run_strided_load(struct vec *v) { return strided(v, false); }
uint64_t vec_run_strided_store(struct vec *v) { return strided(v, true); }
uint64_t vec_run_indexed_load(struct vec *v) { return indexed(v, false); }
uint64_t vec_run_indexed_store(struct vec *v) { return indexed(v, true); }
uint64_t vec_run_whole_load(struct vec *v) { return whole(v, false); }
uint64_t vec_run_whole_store(struct vec *v) { return whole(v, true); }
uint64_t vec_run_bits_load(struct vec *v) { return bits(v, false); }
uint64_t vec_run_bits_store(struct vec *v) { return bits(v, true); }
