/* SPDX-License-Identifier: Apache-2.0 */
/* Packed virtqueues: one ring of descriptors that both sides write. Spec: VIRTIO 1.2 §2.8
 *
 *   desc_p[i]  u64 addr | u32 len | u16 id | u16 flags (AVAIL and USED tell whose it is)
 *   driver_p   u16 offset and wrap | u16 flags: when the driver wants interrupts
 *   device_p   the same: when the device wants notifications
 */
#include "dev/virtio/internal.h"

enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2, EVENT_FLAGS = 2, DESC_FLAGS = 14 };

static void packed_layout(const struct virtq *q, uint32_t len[3])
{
	len[0] = DESC_LEN * (uint32_t)q->size;
	len[1] = len[2] = 4;
}

static uint8_t *packed_at(const struct virtq *q, uint16_t slot)
{
	return q->desc_p + (size_t)slot * DESC_LEN;
}

/* Move @pos by @n slots (at most one round). */
static void packed_move(const struct virtq *q, uint16_t *pos, uint8_t *wrap, uint16_t n)
{
	uint32_t p = (uint32_t)*pos + n;
	if (p >= q->size) {
		p -= q->size;
		*wrap = !*wrap;
	}
	*pos = (uint16_t)p;
}

static bool packed_is_offered(const struct virtq *q, uint16_t pos, bool wrap)
{
	uint16_t flags = ring_load(packed_at(q, pos) + DESC_FLAGS);
	return !!(flags & DESC_AVAIL) == wrap && !!(flags & DESC_USED) != wrap;
}

static bool packed_available(struct virtq *q)
{
	return packed_is_offered(q, q->avail_pos, q->avail_wrap);
}

static unsigned packed_offered(const struct virtq *q)
{
	unsigned n = 0;
	uint16_t pos = q->avail_pos;
	for (bool wrap = q->avail_wrap; n < q->size && packed_is_offered(q, pos, wrap); n++) {
		wrap ^= ++pos == q->size;
		pos = pos == q->size ? 0 : pos;
	}
	return n;
}

/* All descriptors of an indirect table, in order. VIRTIO 1.2 §2.8.7 */
static const char *packed_table(struct virtio *v, struct chain *c, uint64_t addr, uint32_t len)
{
	const uint8_t *table;
	uint32_t n;
	const char *why = chain_table(v, addr, len, &table, &n);
	if (!why && n > VIRTIO_CHAIN_MAX)
		why = "indirect table too long";
	for (uint32_t i = 0; !why && i < n; i++) {
		uint8_t d[DESC_LEN];
		memcpy(d, table + (size_t)i * DESC_LEN, DESC_LEN);
		uint16_t flags = le16_at(d + DESC_FLAGS);
		if (flags & DESC_INDIRECT)
			return "indirect descriptor in an indirect table";
		why = chain_add(v, c, le64_at(d), le32_at(d + 8), flags & DESC_WRITE);
	}
	return why;
}

static const char *packed_pull(struct virtio *v, struct virtq *q, struct chain *c)
{
	uint16_t flags;
	c->slots = 0;
	do {
		uint8_t d[DESC_LEN];
		if (c->slots + q->inuse >= q->size)
			return "descriptor chain longer than the ring's free part";
		memcpy(d, packed_at(q, q->avail_pos), DESC_LEN);
		flags = le16_at(d + DESC_FLAGS);
		c->head = le16_at(d + 12);
		const char *why;
		if (!(flags & DESC_INDIRECT))
			why = chain_add(v, c, le64_at(d), le32_at(d + 8), flags & DESC_WRITE);
		else if (!q->indirect || c->slots || flags & DESC_NEXT)
			why = "indirect descriptor where none may be";
		else
			why = packed_table(v, c, le64_at(d), le32_at(d + 8));
		if (why)
			return why;
		c->slots++;
		packed_move(q, &q->avail_pos, &q->avail_wrap, 1);
	} while (flags & DESC_NEXT);
	return NULL;
}

static void packed_put(struct virtq *q, const struct chain *c, uint32_t written)
{
	uint8_t *d = packed_at(q, q->used_pos), body[6];
	le32_put(body, written);
	le16_put(body + 4, c->head);
	memcpy(d + 8, body, sizeof body);
	unsigned flags = (q->used_wrap ? DESC_AVAIL | DESC_USED : 0) | (written ? DESC_WRITE : 0);
	ring_store(d + DESC_FLAGS, (uint16_t)flags);
	packed_move(q, &q->used_pos, &q->used_wrap, c->slots);
}

static void packed_publish(struct virtq *q)
{
	(void)q; /* the flags already are */
}

static bool packed_wanted(const struct virtq *q)
{
	uint16_t flags = ring_load(q->driver_p + EVENT_FLAGS);
	if (flags == EVENT_DISABLE)
		return false;
	if (flags != EVENT_DESC || !q->event_idx || q->since >= q->size)
		return true;
	uint16_t at = ring_load(q->driver_p), event = at & 0x7fff;
	if (!!(at & 0x8000) != q->used_wrap)
		event = (uint16_t)(event - q->size);
	return ring_passed(event, q->used_pos, (uint16_t)(q->used_pos - q->since));
}

static void packed_listen(struct virtq *q, bool on)
{
	if (on && q->event_idx)
		ring_store(q->device_p, (uint16_t)(q->avail_pos | (q->avail_wrap ? 0x8000 : 0)));
	ring_store(q->device_p + EVENT_FLAGS,
	           !on ? EVENT_DISABLE : q->event_idx ? EVENT_DESC : EVENT_ENABLE);
}

static void packed_unpop(struct virtq *q, const struct chain *c)
{
	if (q->avail_pos < c->slots) {
		q->avail_pos = (uint16_t)(q->avail_pos + q->size);
		q->avail_wrap = !q->avail_wrap;
	}
	q->avail_pos = (uint16_t)(q->avail_pos - c->slots);
}

const struct ring_ops ring_packed = {
	.layout = packed_layout, .available = packed_available, .offered = packed_offered,
	.pull = packed_pull,
	.put = packed_put, .publish = packed_publish, .wanted = packed_wanted,
	.listen = packed_listen, .unpop = packed_unpop,
};
