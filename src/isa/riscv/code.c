/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames hold code that engines keep, and which of them were written.
 *
 * A watched frame (mem.h) has no write tag in the data TLB of any hart, so that a store to it takes
 * the slow path, which ends the watch. But a hart may have compared a write tag just before it was
 * taken away, and store afterwards. It cannot have done so any more once it has polled: until all
 * others have, the frame is unsettled and counts as written. For the same reason harts may note a
 * write before they do it; devices, which do not poll, note it afterwards.
 * RISC-V Unpriv 20240411 §6 (fence.i) */
#include "isa/riscv/priv.h"

/* Take write access to @page away from the fast path of @h. Any thread. */
static void write_tags_drop(struct rv_hart *h, uint64_t page)
{
	const uint32_t *at = h->mmu->write_frame;
	uint32_t frame = rv_frame(h, page);
	for (unsigned i = 0; i < RV_TLB_SIZE; i++)
		if (unlikely(__atomic_load_n(&at[i], __ATOMIC_RELAXED) == frame))
			__atomic_store_n(&h->tlb[i].tag_w, RV_TLB_NONE, __ATOMIC_RELAXED);
}

static struct rv_hart *other_at(const struct rv_hart *h, unsigned i)
{
	struct rv_hart *to = h->env->harts[i];
	return to == h ? NULL : to;
}

/* Have all others looked around since @u took its last frame? */
static bool is_settled(const struct rv_hart *h, const struct rv_unsettled *u)
{
	for (unsigned i = 0; i < h->env->nharts; i++) {
		struct rv_hart *to = other_at(h, i);
		if (to && rv_polls(to) == u->polls[i] && !rv_resting(to))
			return false;
	}
	return true;
}

static void unsettled_add(struct rv_hart *h, uint64_t page)
{
	struct rv_unsettled *u = &h->mmu->code.batch[h->mmu->code.now];
	bool runs = false;
	uint64_t polls[RV_HARTS_MAX] = {0};
	for (unsigned i = 0; i < h->env->nharts; i++) {
		struct rv_hart *to = other_at(h, i);
		if (!to)
			continue;
		polls[i] = rv_polls(to);
		runs |= !rv_resting(to);
	}
	if (!runs)
		return;
	memcpy(u->polls, polls, sizeof polls);
	if (u->n < RV_UNSETTLED)
		u->frame[u->n++] = page;
	else
		u->more = true;
}

void rv_code_watch(struct rv_hart *h, uint64_t pa)
{
	uint64_t page = pa & ~UINT64_C(0xfff);
	if (unlikely(h->env->process))
		return;
	if (likely(!mem_watch(h->env->mem, gpa(pa), h->id)))
		return;
	/* Although another hart may watch it already: it may not be through with this. */
	write_tags_drop(h, page);
	if (h->watched)
		h->watched(h, page);
	for (unsigned i = 0; i < h->env->nharts; i++) {
		struct rv_hart *to = other_at(h, i);
		if (!to)
			continue;
		write_tags_drop(to, page);
		if (to->watched)
			to->watched(to, page);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	unsettled_add(h, page);
}

void rv_code_note(struct rv_hart *h, uint64_t pa, unsigned size)
{
	if (unlikely(mem_watched(h->env->mem, gpa(pa))))
		mem_written(h->env->mem, gpa(pa), size);
}

size_t rv_code_written(struct rv_hart *h, uint64_t *ret_frames, size_t cap, bool *ret_all)
{
	struct rv_code *c = &h->mmu->code;
	struct rv_unsettled *young = &c->batch[c->now], *old = &c->batch[!c->now];
	size_t n = mem_written_read(h->env->mem, &c->cursor, ret_frames, cap, ret_all);
	if (unlikely(c->lost)) {
		c->lost = false;
		*ret_all = true;
	}
	if (likely(!young->n && !old->n))
		return n;
	/* Asked before the caller compares: what is settled now is named for the last time. */
	bool young_settled = young->n && is_settled(h, young);
	bool old_settled = young_settled || is_settled(h, old);
	*ret_all |= young->more || old->more || n + young->n + old->n > cap;
	if (!*ret_all) {
		memcpy(ret_frames + n, young->frame, young->n * sizeof *young->frame);
		n += young->n;
		memcpy(ret_frames + n, old->frame, old->n * sizeof *old->frame);
		n += old->n;
	}
	if (old_settled) {
		old->n = 0;
		old->more = false;
	}
	if (young_settled) {
		young->n = 0;
		young->more = false;
	} else if (!old->n) {
		c->now = !c->now;
	}
	return *ret_all ? 0 : n;
}
