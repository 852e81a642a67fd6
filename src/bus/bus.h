/* SPDX-License-Identifier: Apache-2.0 */
/* bus: who answers at which guest physical address, interrupt lines, and the machine's clock.
 *
 * Who runs what: vCPU threads enter devices only through the bus, which holds the device's lock;
 * the loop thread enters them through callbacks that hold the same lock; workers never touch
 * device state, they post a closure to the loop. Device code therefore contains no locks.
 * Lock order: a device, then an interrupt controller (through irq_set), then nothing. */
#pragma once
#include "base/base.h"
#include "mem/mem.h"
#include <pthread.h>

/* An interrupt line into a controller. irq_set may be called from any thread, with a device's
 * lock held; the controller behind it takes only its own lock. A zeroed irq is not connected. */
struct irq {
	void (*set)(void *ctx, unsigned line, bool level);
	void *ctx;
	unsigned line;
};
static inline void irq_set(const struct irq *q, bool level)
{
	if (q->set)
		q->set(q->ctx, q->line, level);
}

/* A window of registers. Widths in bytes (1, 2, 4, 8); offsets are naturally aligned; an access
 * outside width_min..width_max or misaligned is a bus error that the device never sees. */
struct bus_ops {
	uint64_t (*read)(void *dev, uint64_t off, unsigned width);
	void (*write)(void *dev, uint64_t off, unsigned width, uint64_t val);
	unsigned width_min, width_max;
};

struct bus;
int bus_new(struct bus **ret, struct lodge_err *e) MUST;
void bus_free(struct bus *b);
/* Map @len bytes of @dev at @base. @lock (may be NULL: the device locks itself) is held around
 * each access. Windows must not overlap (EEXIST). Only before vCPUs run, or from a device's own
 * register write (PCI BARs): readers see the old or the new map, never half of one. */
int bus_map(struct bus *b, struct gpa base, uint64_t len, const struct bus_ops *ops, void *dev,
            pthread_mutex_t *lock, struct lodge_err *e) MUST;
/* Take the window at @base away. A vCPU may still be inside @dev after return: free it only when
 * no vCPU runs. */
void bus_unmap(struct bus *b, struct gpa base);
/* False: nobody answers there, or not in that width (an access fault for the guest). Any vCPU. */
bool bus_read(struct bus *b, struct gpa at, unsigned width, uint64_t *ret_val) MUST;
bool bus_write(struct bus *b, struct gpa at, unsigned width, uint64_t val) MUST;

/* ---- the machine's clock: host monotonic time minus the time spent paused ---- */
struct vclock {
	int64_t offset_ns;      /* guest time = host monotonic + offset */
	uint64_t stopped_at_ns; /* guest time while paused; 0: running */
	/* Time that is counted instead, so that a run can be repeated: @count_ns for each of
	 * what these two sum up to. Borrowed; NULL: the host's time. */
	const uint64_t *counts[2];
	uint64_t count_ns;
};
void vclock_init(struct vclock *c);                 /* guest time starts at 0, running */
/* From now on guest time is @ns for each of *@a + *@b; it stands while these do. */
void vclock_count(struct vclock *c, const uint64_t *a, const uint64_t *b, uint64_t ns);
static inline bool vclock_is_counted(const struct vclock *c) { return c->counts[0] != NULL; }
uint64_t vclock_ns(const struct vclock *c);         /* guest ns since the machine was made */
void vclock_pause(struct vclock *c);
/* A clock that is paused goes on from @ns when it is resumed. */
void vclock_set(struct vclock *c, uint64_t ns);
void vclock_resume(struct vclock *c);
/* Host CLOCK_MONOTONIC instant at which guest time is @guest_ns (UINT64_MAX while paused, and when
 * time is counted). */
uint64_t vclock_host_deadline(const struct vclock *c, uint64_t guest_ns);
