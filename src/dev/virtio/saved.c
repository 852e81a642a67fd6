/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device as bytes: {u32 length, state table} of the device, of its class and of every
 * queue. Host addresses are found again from the guest's when loading. */
#include "dev/virtio/internal.h"

static const struct state_field virtio_state[] = {
	STATE(struct virtio, acked, 1), STATE(struct virtio, status, 1),
	STATE(struct virtio, config_generation, 1), STATE_END
};

static const struct state_field virtq_state[] = {
	STATE(struct virtq, desc, 1), STATE(struct virtq, driver, 1),
	STATE(struct virtq, device, 1), STATE(struct virtq, size, 1),
	STATE(struct virtq, enabled, 1), STATE(struct virtq, packed, 1),
	STATE(struct virtq, event_idx, 1), STATE(struct virtq, indirect, 1),
	STATE(struct virtq, avail_pos, 1), STATE(struct virtq, used_pos, 1),
	STATE(struct virtq, avail_wrap, 1), STATE(struct virtq, used_wrap, 1), STATE_END
};

/* The part's table and the object it is of. */
struct part {
	const struct state_field *table;
	const void *obj;
};

static struct part part_at(const struct virtio *v, unsigned i)
{
	static const struct state_field nothing[] = { STATE_END };
	if (i == 0)
		return (struct part){ virtio_state, v };
	if (i == 1)
		return (struct part){ v->class->state ? v->class->state : nothing, v };
	return (struct part){ virtq_state, &v->queues[i - 2] };
}

size_t virtio_save(struct virtio *v, uint8_t *buf, size_t cap)
{
	size_t need = 0, at = 0;
	for (unsigned i = 0; i < v->nqueues + 2; i++) {
		struct part p = part_at(v, i);
		need += 4 + state_save(p.table, p.obj, NULL, 0);
	}
	size_t more = v->class->save_more ? v->class->save_more(v, NULL, 0) : 0;
	need += v->class->save_more ? 4 + more : 0;
	for (unsigned i = 0; need <= cap && i < v->nqueues + 2; i++) {
		struct part p = part_at(v, i);
		size_t n = state_save(p.table, p.obj, buf + at + 4, cap - at - 4);
		le32_put(buf + at, (uint32_t)n);
		at += 4 + n;
	}
	if (need <= cap && v->class->save_more) {
		le32_put(buf + at, (uint32_t)more);
		v->class->save_more(v, buf + at + 4, more);
	}
	return need;
}

/* The part of a class that has one of its own: all that is left. */
static bool more_load(struct virtio *v, const uint8_t *buf, size_t len)
{
	if (!v->class->load_more)
		return len == 0;
	return len >= 4 && le32_at(buf) == len - 4 && v->class->load_more(v, buf + 4, len - 4);
}

/* Nothing in a stream may lead where a driver's registers could not. */
static bool virtq_loaded(struct virtio *v, struct virtq *q)
{
	uint8_t *const flags[] = { &q->enabled, &q->packed, &q->event_idx, &q->indirect,
		                   &q->avail_wrap, &q->used_wrap };
	for (size_t i = 0; i < countof(flags); i++)
		*flags[i] = *flags[i] != 0;
	q->avail_seen = q->avail_pos;
	q->inuse = 0;
	q->since = 0;
	if (!q->size || q->size > v->queue_size)
		return false;
	if (!q->enabled)
		return true;
	if (q->packed && (q->avail_pos >= q->size || q->used_pos >= q->size))
		return false;
	return v->s.mem && v->status & STATUS_FEATURES_OK && !virtq_place(v, q);
}

bool virtio_load(struct virtio *v, const uint8_t *buf, size_t len)
{
	size_t at = 0;
	virtio_reset(v);
	for (unsigned i = 0; i < v->nqueues + 2; i++) {
		struct part p = part_at(v, i);
		if (len - at < 4 || le32_at(buf + at) > len - at - 4)
			return false;
		size_t n = le32_at(buf + at);
		/* as part_at, writable */
		if (!state_load(p.table, i < 2 ? (void *)v : &v->queues[i - 2], buf + at + 4, n))
			return false;
		at += 4 + n;
	}
	bool ok = !(v->acked & ~v->offered) && (!v->class->loaded || v->class->loaded(v)) &&
	          more_load(v, buf + at, len - at);
	for (unsigned i = 0; ok && i < v->nqueues; i++)
		ok = virtq_loaded(v, &v->queues[i]);
	for (unsigned i = 0; ok && i < v->nqueues; i++)
		if (v->queues[i].enabled)
			virtio_kick(v, i);
	return ok;
}

void virtio_drain(struct virtio *v)
{
	if (v->class->drain)
		v->class->drain(v);
}

unsigned virtio_inflight(const struct virtio *v)
{
	unsigned n = 0;
	for (unsigned i = 0; i < v->nqueues; i++)
		n += v->queues[i].inuse;
	return n;
}
