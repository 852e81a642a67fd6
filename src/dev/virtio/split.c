/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues: descriptor table, available ring, used ring. Spec: VIRTIO 1.2 §2.7
 *
 *   driver_p  flags | idx | ring[size] of u16        | used_event
 *   device_p  flags | idx | ring[size] of {u32, u32} | avail_event
 */
#include "dev/virtio/internal.h"

enum { NO_NOTIFY = 1, NO_INTERRUPT = 1, RING_FLAGS = 0, RING_IDX = 2, RING_RING = 4 };

static void split_layout(const struct virtq *q, uint32_t len[3])
{
	uint32_t event = q->event_idx ? 2 : 0;
	len[0] = DESC_LEN * (uint32_t)q->size;
	len[1] = RING_RING + 2 * (uint32_t)q->size + event;
	len[2] = RING_RING + 8 * (uint32_t)q->size + event;
}

static unsigned split_offered(const struct virtq *q)
{
	return (uint16_t)(ring_load(q->driver_p + RING_IDX) - q->avail_pos);
}

static bool split_available(struct virtq *q)
{
	if (q->avail_pos == q->avail_seen)
		q->avail_seen = ring_load(q->driver_p + RING_IDX);
	return q->avail_pos != q->avail_seen;
}

/* Follow the chain from @i in @table of @n descriptors; an indirect table ends it. */
static const char *split_walk(struct virtio *v, struct virtq *q, struct chain *c, uint32_t i)
{
	const uint8_t *table = q->desc_p;
	uint32_t n = q->size, steps = 0;
	bool inside = false; /* an indirect table, which may lie over the ring's own */
	for (;;) {
		uint8_t d[DESC_LEN];
		if (i >= n)
			return "descriptor index past the table";
		if (steps++ == min_u64(n, VIRTIO_CHAIN_MAX))
			return "descriptor chain is a loop or too long";
		memcpy(d, table + (size_t)i * DESC_LEN, DESC_LEN);
		uint16_t flags = le16_at(d + 12);
		const char *why;
		if (flags & DESC_INDIRECT) {
			if (!q->indirect || inside || flags & DESC_NEXT)
				return "indirect descriptor where none may be";
			why = chain_table(v, le64_at(d), le32_at(d + 8), &table, &n);
			i = steps = 0;
			inside = true;
		} else {
			why = chain_add(v, c, le64_at(d), le32_at(d + 8), flags & DESC_WRITE);
			i = le16_at(d + 14);
		}
		if (why || !(flags & (DESC_NEXT | DESC_INDIRECT)))
			return why;
	}
}

static const char *split_pull(struct virtio *v, struct virtq *q, struct chain *c)
{
	if ((uint16_t)(q->avail_seen - q->avail_pos) > q->size)
		return "available index jumped";
	if (q->inuse >= q->size)
		return "more chains in flight than the ring has entries";
	uint16_t slot = q->avail_pos & (uint16_t)(q->size - 1);
	c->head = ring_load(q->driver_p + RING_RING + 2 * (size_t)slot);
	c->slots = 1;
	const char *why = split_walk(v, q, c, c->head);
	q->avail_pos++;
	return why;
}

static void split_put(struct virtq *q, const struct chain *c, uint32_t written)
{
	uint16_t slot = q->used_pos++ & (uint16_t)(q->size - 1);
	uint8_t elem[8];
	le32_put(elem, c->head);
	le32_put(elem + 4, written);
	memcpy(q->device_p + RING_RING + 8 * (size_t)slot, elem, sizeof elem);
}

static void split_publish(struct virtq *q)
{
	ring_store(q->device_p + RING_IDX, q->used_pos);
}

static bool split_wanted(const struct virtq *q)
{
	if (!q->event_idx)
		return !(ring_load(q->driver_p + RING_FLAGS) & NO_INTERRUPT);
	uint16_t event = ring_load(q->driver_p + RING_RING + 2 * (size_t)q->size);
	return ring_passed(event, q->used_pos, (uint16_t)(q->used_pos - q->since));
}

static void split_listen(struct virtq *q, bool on)
{
	if (!q->event_idx)
		ring_store(q->device_p + RING_FLAGS, on ? 0 : NO_NOTIFY);
	else if (on)
		ring_store(q->device_p + RING_RING + 8 * (size_t)q->size, q->avail_pos);
}

static void split_unpop(struct virtq *q, const struct chain *c)
{
	q->avail_pos = (uint16_t)(q->avail_pos - c->slots);
}

const struct ring_ops ring_split = {
	.layout = split_layout, .available = split_available, .offered = split_offered,
	.pull = split_pull,
	.put = split_put, .publish = split_publish, .wanted = split_wanted,
	.listen = split_listen, .unpop = split_unpop,
};
