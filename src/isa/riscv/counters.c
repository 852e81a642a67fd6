/* SPDX-License-Identifier: Apache-2.0 */
/* Time and the counters. cycle counts instructions, like instret: one instruction a cycle, the
 * same on every host; so do mhpmcounter3..31 for the events 1 (cycles) and 2 (instructions).
 * A counter that runs is stored as its distance from h->icount, one that stands as its value.
 * RISC-V Priv 20240411 §3.1.10, §3.1.12; Unpriv 20240411 §8 */
#include "isa/riscv/priv.h"

enum { COUNTER_TIME = 1, COUNTER_HPM = 3, EVENT_CYCLES = 1, EVENT_INSTRET = 2 };

uint64_t rv_time(const struct rv_hart *h)
{
	return vclock_ns(h->env->clock) / (1000000000u / RV_TIMEBASE_HZ);
}

static const uint64_t *counter_slot(const struct rv_hart *h, unsigned i)
{
	if (i >= COUNTER_HPM)
		return &h->mhpmcounter[i - COUNTER_HPM];
	return i == 0 ? &h->cycle_off : &h->instret_off;
}

static uint64_t *counter_slot_of(struct rv_hart *h, unsigned i)
{
	if (i >= COUNTER_HPM)
		return &h->mhpmcounter[i - COUNTER_HPM];
	return i == 0 ? &h->cycle_off : &h->instret_off;
}

static bool counter_runs(const struct rv_hart *h, unsigned i)
{
	if (h->mcountinhibit >> i & 1)
		return false;
	return i < COUNTER_HPM || h->mhpmevent[i - COUNTER_HPM];
}

uint64_t rv_counter(const struct rv_hart *h, unsigned i)
{
	return *counter_slot(h, i) + (counter_runs(h, i) ? h->icount : 0);
}

/* The write is in force from the next instruction on. */
void rv_counter_write(struct rv_hart *h, unsigned i, uint64_t v)
{
	*counter_slot_of(h, i) = v - (counter_runs(h, i) ? h->icount + 1 : 0);
}

void rv_counter_inhibit(struct rv_hart *h, uint64_t v)
{
	uint64_t was[COUNTER_HPM + RV_HPM_MAX];
	for (unsigned i = 0; i < countof(was); i++)
		was[i] = rv_counter(h, i);
	h->mcountinhibit = v & 0xffffffff & ~BIT(COUNTER_TIME);
	for (unsigned i = 0; i < countof(was); i++)
		if (i != COUNTER_TIME)
			*counter_slot_of(h, i) = was[i] - (counter_runs(h, i) ? h->icount : 0);
}

void rv_counter_event(struct rv_hart *h, unsigned i, uint64_t v)
{
	uint64_t was = rv_counter(h, i);
	h->mhpmevent[i - COUNTER_HPM] = v == EVENT_CYCLES || v == EVENT_INSTRET ? v : 0;
	*counter_slot_of(h, i) = was - (counter_runs(h, i) ? h->icount : 0);
}
