/* SPDX-License-Identifier: Apache-2.0 */
/* Queues that are not served for a while because a limit says so: their requests stay in the ring,
 * where the driver can see that they wait, and nothing of them has to be saved. */
#include "dev/virtio/internal.h"

/* One queue at a time, in turn: it may use up what there is, and then the next has to wait anew. */
void gate_pass(struct gate *g)
{
	for (unsigned i = 1; g->waiting && i <= VIRTIO_QUEUES_MAX; i++) {
		unsigned queue = (g->turn + i) % VIRTIO_QUEUES_MAX;
		if (!(g->waiting >> queue & 1))
			continue;
		g->turn = queue;
		g->waiting &= ~(1ull << queue);
		virtio_kick(g->v, queue);
		return;
	}
}

static void gate_due(void *arg) { gate_pass(arg); }

int gate_init(struct gate *g, struct virtio *v, struct lodge_err *e)
{
	g->v = v;
	return v->s.loop ? loop_timer_new(&g->timer, v->s.loop, v->lock, gate_due, g, e) : 0;
}

void gate_fini(struct gate *g)
{
	loop_timer_free(g->timer);
	g->timer = NULL;
}

void gate_hold(struct gate *g, unsigned queue, uint64_t due_ns)
{
	g->waiting |= 1ull << queue;
	loop_timer_set(g->timer, due_ns);
}

void gate_reset(struct gate *g)
{
	g->waiting = 0;
	if (g->timer)
		loop_timer_set(g->timer, UINT64_MAX);
}

uint64_t gate_rate_due(const struct gate *g, const struct rate *r)
{
	/* without a loop nobody would come back */
	return g->timer && r->per_s ? rate_due(r, host_monotonic_ns()) : 0;
}

void gate_rate_take(const struct gate *g, struct rate *r, uint64_t amount)
{
	if (g->timer && r->per_s)
		rate_take(r, amount, host_monotonic_ns());
}

void gate_rate_set(struct gate *g, struct rate *r, uint64_t per_s)
{
	/* More than a guest on a busy host takes to its next request, little in some seconds. */
	enum { BURST_NS = 200000000 };
	rate_set(r, per_s, BURST_NS, host_monotonic_ns());
	while (g->waiting)
		gate_pass(g);
}
