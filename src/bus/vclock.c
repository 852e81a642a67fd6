/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's clock. Written by the owner thread, read by every vCPU without a lock: the stop
 * mark is published last and read first. */
#include "bus/bus.h"
#include "host/host.h"

static uint64_t vclock_running_ns(const struct vclock *c)
{
	int64_t off = __atomic_load_n(&c->offset_ns, __ATOMIC_ACQUIRE);
	return host_monotonic_ns() + (uint64_t)off;
}

static uint64_t vclock_stopped_ns(const struct vclock *c)
{
	return __atomic_load_n(&c->stopped_at_ns, __ATOMIC_ACQUIRE);
}

void vclock_init(struct vclock *c)
{
	*c = (struct vclock){ .offset_ns = -(int64_t)host_monotonic_ns() };
}

void vclock_count(struct vclock *c, const uint64_t *a, const uint64_t *b, uint64_t ns)
{
	c->counts[0] = a;
	c->counts[1] = b;
	c->count_ns = ns;
}

static uint64_t vclock_counted_ns(const struct vclock *c)
{
	uint64_t n = __atomic_load_n(c->counts[0], __ATOMIC_RELAXED);
	return (n + __atomic_load_n(c->counts[1], __ATOMIC_RELAXED)) * c->count_ns;
}

uint64_t vclock_ns(const struct vclock *c)
{
	if (unlikely(vclock_is_counted(c)))
		return vclock_counted_ns(c);
	uint64_t at = vclock_stopped_ns(c);
	return at ? at : vclock_running_ns(c);
}

void vclock_pause(struct vclock *c)
{
	if (vclock_stopped_ns(c))
		return;
	uint64_t now = vclock_running_ns(c);
	__atomic_store_n(&c->stopped_at_ns, now ? now : 1, __ATOMIC_RELEASE);
}

void vclock_set(struct vclock *c, uint64_t ns)
{
	__atomic_store_n(&c->stopped_at_ns, ns ? ns : 1, __ATOMIC_RELEASE);
}

void vclock_resume(struct vclock *c)
{
	uint64_t at = vclock_stopped_ns(c);
	if (!at)
		return;
	__atomic_store_n(&c->offset_ns, (int64_t)(at - host_monotonic_ns()), __ATOMIC_RELEASE);
	__atomic_store_n(&c->stopped_at_ns, 0, __ATOMIC_RELEASE);
}

uint64_t vclock_host_deadline(const struct vclock *c, uint64_t guest_ns)
{
	if (vclock_stopped_ns(c) || vclock_is_counted(c))
		return UINT64_MAX;
	int64_t off = __atomic_load_n(&c->offset_ns, __ATOMIC_ACQUIRE), at;
	/* Beyond 292 years from now is never. */
	if (guest_ns > INT64_MAX || __builtin_sub_overflow((int64_t)guest_ns, off, &at))
		return UINT64_MAX;
	return at < 0 ? 0 : (uint64_t)at;
}
