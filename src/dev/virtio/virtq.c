/* SPDX-License-Identifier: Apache-2.0 */
/* Chains in and out of a virtqueue of either kind; what a chain is made of; when to interrupt.
 * Spec: VIRTIO 1.2 §2.6 to §2.8 */
#include "dev/virtio/internal.h"

static const struct ring_ops *virtq_ops(const struct virtq *q)
{
	return q->packed ? &ring_packed : &ring_split;
}

/* ---- chains ---- */

void chain_init(struct chain *c, const struct virtq *q)
{
	c->epoch = q->epoch;
	c->nout = c->nin = c->next_out = c->next_in = 0;
	c->off_out = c->off_in = 0;
	c->out_len = c->in_len = 0;
	c->out = c->in = c->spans;
	c->more = NULL;
}

/* Move a chain that outgrew its own spans to the heap, preferably where the last one was. */
static bool chain_grow(struct virtio *v, struct chain *c)
{
	c->more = v->spare ? take(v->spare) : malloc(VIRTIO_CHAIN_MAX * sizeof *c->more);
	if (c->more)
		memcpy(c->more, c->spans, sizeof c->spans);
	return c->more;
}

const char *chain_add(struct virtio *v, struct chain *c, uint64_t addr, uint32_t len, bool in)
{
	unsigned n = c->nout + c->nin;
	if (n == VIRTIO_CHAIN_MAX)
		return "descriptor chain too long";
	if (!len)
		return "descriptor of zero length";
	if (!in && c->nin)
		return "readable descriptor after a writable one";
	uint8_t *p = mem_ptr(v->s.mem, gpa(addr), len);
	if (!p)
		return "descriptor outside RAM";
	if (c->out_len + c->in_len + len > UINT32_MAX)
		return "descriptor chain over 4 GiB";
	if (n == countof(c->spans) && !chain_grow(v, c))
		return "no memory for a long chain";
	struct span *s = c->more ? c->more : c->spans;
	s[n] = (struct span){ p, len };
	if (in) {
		c->nin++;
		c->in_len += len;
	} else {
		c->nout++;
		c->out_len += len;
	}
	return NULL;
}

void chain_seal(struct chain *c)
{
	c->out = c->more ? c->more : c->spans;
	c->in = c->out + c->nout;
}

const char *chain_table(struct virtio *v, uint64_t addr, uint32_t len, const uint8_t **ret,
                        uint32_t *ret_n)
{
	if (!len || len % DESC_LEN)
		return "indirect table of no whole descriptors";
	const uint8_t *p = mem_ptr(v->s.mem, gpa(addr), len);
	if (!p)
		return "indirect table outside RAM";
	*ret = p;
	*ret_n = len / DESC_LEN;
	return NULL;
}

void chain_fini(struct chain *c)
{
	free(c->more);
	c->more = NULL;
}

/* Keep the storage of a long chain for the next one. */
static void chain_recycle(struct virtio *v, struct chain *c)
{
	if (!v->spare)
		v->spare = take(c->more);
	chain_fini(c);
}

static bool span_next(const struct span *s, uint16_t n, uint16_t *next, uint32_t *off,
                      struct span *ret)
{
	if (*next >= n)
		return false;
	*ret = (struct span){ s[*next].p + *off, s[*next].len - *off };
	*off = 0;
	++*next;
	return true;
}

bool chain_next_out(struct chain *c, struct span *ret)
{
	return span_next(c->out, c->nout, &c->next_out, &c->off_out, ret);
}

bool chain_next_in(struct chain *c, struct span *ret)
{
	return span_next(c->in, c->nin, &c->next_in, &c->off_in, ret);
}

size_t chain_read(struct chain *c, void *buf, size_t len)
{
	size_t done = 0;
	while (done < len && c->next_out < c->nout) {
		const struct span *s = &c->out[c->next_out];
		size_t n = min_u64(len - done, s->len - c->off_out);
		memcpy((uint8_t *)buf + done, s->p + c->off_out, n);
		done += n;
		c->off_out += (uint32_t)n;
		if (c->off_out == s->len) {
			c->off_out = 0;
			c->next_out++;
		}
	}
	return done;
}

size_t chain_write(struct chain *c, const void *buf, size_t len)
{
	size_t done = 0;
	while (done < len && c->next_in < c->nin) {
		const struct span *s = &c->in[c->next_in];
		size_t n = min_u64(len - done, s->len - c->off_in);
		memcpy(s->p + c->off_in, (const uint8_t *)buf + done, n);
		done += n;
		c->off_in += (uint32_t)n;
		if (c->off_in == s->len) {
			c->off_in = 0;
			c->next_in++;
		}
	}
	return done;
}

void chain_written(struct virtio *v, const struct chain *c)
{
	for (unsigned i = 0; i < c->nin; i++)
		mem_written_host(v->s.mem, c->in[i].p, c->in[i].len);
}

/* ---- queues ---- */

/* We wrote into the ring itself, which may share its frames with anything. */
static void ring_written(struct virtio *v, const struct virtq *q)
{
	uint32_t len[3];
	virtq_ops(q)->layout(q, len);
	if (q->packed)
		mem_written(v->s.mem, gpa(q->desc), len[0]);
	mem_written(v->s.mem, gpa(q->device), len[2]);
}

bool virtq_ready(const struct virtio *v, unsigned queue)
{
	return queue < v->nqueues && v->queues[queue].enabled &&
	       (v->status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) == STATUS_DRIVER_OK;
}

/* Is a chain waiting? When none is, the driver is asked to notify, and one that came in between
 * is still seen: the request must be visible before the second look. VIRTIO 1.2 §2.7.10.1 */
static bool virtq_waiting(struct virtio *v, struct virtq *q)
{
	const struct ring_ops *ops = virtq_ops(q);
	if (ops->available(q))
		return true;
	ops->listen(q, true);
	ring_written(v, q);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ops->available(q);
}

unsigned virtq_offered(const struct virtio *v, unsigned queue)
{
	const struct virtq *q = &v->queues[queue];
	return virtq_ready(v, queue) ? virtq_ops(q)->offered(q) : 0;
}

bool virtq_pop(struct virtio *v, unsigned queue, struct chain *ret)
{
	if (!virtq_ready(v, queue))
		return false;
	struct virtq *q = &v->queues[queue];
	if (v->serving && !v->budget) {
		v->again |= 1ull << queue;
		return false;
	}
	if (!virtq_waiting(v, q))
		return false;
	chain_init(ret, q);
	const char *why = virtq_ops(q)->pull(v, q, ret);
	if (why) {
		chain_recycle(v, ret);
		virtio_needs_reset(v, why);
		return false;
	}
	chain_seal(ret);
	q->inuse = (uint16_t)(q->inuse + ret->slots);
	if (v->serving)
		v->budget--;
	return true;
}

void virtq_unpop(struct virtio *v, unsigned queue, struct chain *c)
{
	struct virtq *q = &v->queues[queue];
	chain_written(v, c);
	if (q->epoch == c->epoch && virtq_ready(v, queue)) {
		virtq_ops(q)->unpop(q, c);
		q->inuse = (uint16_t)(q->inuse - c->slots);
	}
	chain_recycle(v, c);
}

void virtq_push(struct virtio *v, unsigned queue, struct chain *c, uint32_t written)
{
	struct virtq *q = &v->queues[queue];
	chain_written(v, c);
	if (q->epoch == c->epoch && virtq_ready(v, queue)) {
		virtq_ops(q)->put(q, c, written);
		if (q->packed) /* seen by the driver at once */
			ring_written(v, q);
		q->inuse = (uint16_t)(q->inuse - c->slots);
		q->since += c->slots;
		if (!v->serving)
			virtq_flush(v, q);
	}
	chain_recycle(v, c);
}

void virtq_flush(struct virtio *v, struct virtq *q)
{
	if (!q->since || !q->enabled)
		return;
	const struct ring_ops *ops = virtq_ops(q);
	ops->publish(q);
	/* The driver arms its event, then looks at the index; we do it the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ring_written(v, q);
	bool wanted = ops->wanted(q);
	q->since = 0;
	if (wanted && v->notify)
		v->notify(v->transport, (int)(q - v->queues));
}

void virtq_hush(struct virtio *v, struct virtq *q)
{
	if (!q->enabled || (!q->packed && q->event_idx))
		return;
	virtq_ops(q)->listen(q, false);
	ring_written(v, q);
}

/* ---- registers ---- */

void virtq_resize(struct virtq *q, const struct virtio *v, uint32_t size)
{
	if (!q->enabled && size && size <= v->queue_size)
		q->size = (uint16_t)size;
}

void virtq_address(const struct virtq *q, uint64_t *field, unsigned half, uint32_t val)
{
	if (!q->enabled)
		*field = half ? (*field & UINT32_MAX) | (uint64_t)val << 32
		              : (*field & ~(uint64_t)UINT32_MAX) | val;
}

/* Find the three areas in RAM. NULL, or what is wrong with them. */
const char *virtq_place(struct virtio *v, struct virtq *q)
{
	uint32_t len[3];
	virtq_ops(q)->layout(q, len);
	if (!q->packed && q->size & (q->size - 1))
		return "size of a split ring is not a power of two";
	if (q->desc % 16 || q->driver % (q->packed ? 4 : 2) || q->device % 4)
		return "ring not aligned";
	q->desc_p = mem_ptr(v->s.mem, gpa(q->desc), len[0]);
	q->driver_p = mem_ptr(v->s.mem, gpa(q->driver), len[1]);
	q->device_p = mem_ptr(v->s.mem, gpa(q->device), len[2]);
	if (!q->desc_p || !q->driver_p || !q->device_p)
		return "ring outside RAM";
	return NULL;
}

void virtq_enable(struct virtio *v, struct virtq *q)
{
	if (q->enabled || !(v->status & STATUS_FEATURES_OK))
		return;
	q->packed = virtio_has(v, VIRTIO_F_RING_PACKED);
	q->event_idx = virtio_has(v, VIRTIO_F_EVENT_IDX);
	q->indirect = virtio_has(v, VIRTIO_F_INDIRECT_DESC);
	q->avail_wrap = q->used_wrap = true;
	const char *why = v->s.mem ? virtq_place(v, q) : "no RAM";
	if (why)
		virtio_needs_reset(v, why);
	else
		q->enabled = true;
}

void virtq_disable(struct virtio *v, struct virtq *q)
{
	*q = (struct virtq){ .size = v->queue_size, .epoch = q->epoch + 1 };
}
