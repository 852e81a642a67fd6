/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of mirrored accesses: of all faults those that a unit has written down, in the window of
 * the thread that faults. */
#include "jit/x64/internal.h"
#include <sys/auxv.h>

enum { HWCAP2_FSGSBASE = 2 };
bool jit_mirror_probe(void) { return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE; }

static bool guard_take(void *guard, const struct host_fault *f, uint64_t *pc)
{
	struct jit_guard *w = guard;
	uint64_t off = *pc - (uint64_t)(uintptr_t)w->cache->x;
	uint64_t at = f->at - (w->window - JIT_WINDOW_GUARD);
	if (off >= w->cache->bytes || at >= JIT_WINDOW_SPAN + 2 * JIT_WINDOW_GUARD)
		return false;
	uint32_t to = w->find(w->user, (uint32_t)off);
	if (!to)
		return false;
	w->taken++;
	*pc = (uint64_t)(uintptr_t)(w->cache->x + to);
	return true;
}

int jit_guard_set(struct jit_guard *w, struct lodge_err *e)
{
	host_fault_taken_by(NULL);
	if (!w)
		return 0;
	int r = host_fault_begin(e);
	if (r < 0)
		return r;
	w->taker = (struct host_fault_taker){ guard_take, w };
	host_fault_taken_by(&w->taker);
	if (!w->cache->g.flat)
		jit_guard_move(w);
	return 0;
}

void jit_guard_move(const struct jit_guard *w)
{
	__asm__ volatile("wrgsbase %0" : : "r"(w->window));
}
