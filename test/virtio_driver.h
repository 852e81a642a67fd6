/* SPDX-License-Identifier: Apache-2.0 */
/* A small virtio driver inside the test program: what a guest's kernel does, done with plain
 * memory writes. Works over any transport through vd_read and vd_write, which take the register
 * numbers of VIRTIO 1.2 §4.2. A queue holds one life of chains: ids are handed out in a ring. */
#pragma once
#include "dev/virtio/virtio.h"
#include <endian.h>
#ifndef CHECK /* fuzz targets have their own */
#include "test/test.h"
#endif

enum {
	VD_QUEUES = 8,
	VD_RAM = 16 << 20,
	VD_BASE = 0x80000000,
	VD_INDIRECT = 1, /* vd_add: through an indirect table */
};

struct vd_queue {
	uint64_t desc, driver, device; /* guest physical */
	uint16_t size, next, used;     /* next free slot, next used to look at */
	bool wrap, used_wrap;
	uint16_t slots[1024];          /* packed: slots of the chain with this id */
};

struct vdriver {
	struct mem *mem;
	struct loop *loop;     /* NULL: kicks serve at once */
	struct dev *dev;
	uint64_t heap;         /* next free guest address */
	bool packed, event_idx;
	unsigned raised;       /* times the interrupt line rose */
	bool line;
	struct vd_queue q[VD_QUEUES];
	/* registers, numbered as over MMIO; set by vd_init */
	uint64_t (*read)(struct vdriver *, uint64_t off, unsigned width);
	void (*write)(struct vdriver *, uint64_t off, unsigned width, uint64_t val);
	void *transport;
};

struct vd_seg {
	uint64_t addr;
	uint32_t len;
	bool in; /* the device writes it */
};

static inline void vd_line(void *ctx, unsigned line, bool level)
{
	struct vdriver *d = ctx;
	(void)line;
	d->raised += level && !d->line;
	d->line = level;
}

static inline uint64_t vd_mmio_read(struct vdriver *d, uint64_t off, unsigned width)
{
	pthread_mutex_lock(&d->dev->lock);
	uint64_t val = d->dev->class->read(d->dev, off, width);
	pthread_mutex_unlock(&d->dev->lock);
	return val;
}

static inline void vd_mmio_write(struct vdriver *d, uint64_t off, unsigned width, uint64_t val)
{
	pthread_mutex_lock(&d->dev->lock);
	d->dev->class->write(d->dev, off, width, val);
	pthread_mutex_unlock(&d->dev->lock);
}

static inline uint32_t vd_get(struct vdriver *d, uint64_t reg)
{
	return (uint32_t)d->read(d, reg, 4);
}
static inline void vd_set(struct vdriver *d, uint64_t reg, uint32_t val)
{
	d->write(d, reg, 4, val);
}

/* Memory and wiring, no device yet: for other transports. */
static inline struct dev_setup vd_prepare(struct vdriver *d, void *backend, const char *options,
                                          bool with_loop)
{
	static const struct vdriver empty;
	*d = empty;
	d->heap = VD_BASE + 4096;
	CHECK(mem_new(&d->mem, gpa(VD_BASE), VD_RAM, NULL) == 0);
	if (with_loop)
		CHECK(loop_new(&d->loop, NULL) == 0);
	return (struct dev_setup){ .mem = d->mem, .loop = d->loop, .backend = backend,
		                   .options = options };
}

/* A device of class @c behind MMIO. @with_loop: serve in vd_pump, as in a running machine. */
static inline void vd_init(struct vdriver *d, const struct virtio_class *c, void *backend,
                           const char *options, bool with_loop)
{
	struct dev_setup s = vd_prepare(d, backend, options, with_loop);
	struct irq irq = { vd_line, d, 0 };
	s.irqs = &irq;
	s.nirqs = 1;
	CHECK(virtio_mmio_new(&d->dev, c, &s, NULL) == 0);
	d->read = vd_mmio_read;
	d->write = vd_mmio_write;
}

static inline void vd_fini(struct vdriver *d)
{
	dev_free(d->dev);
	loop_free(d->loop);
	mem_free(d->mem);
}

static inline void vd_stop_loop(void *arg) { loop_stop(arg); }

/* Run the loop until what is posted now, and what that posts, has run. */
static inline void vd_pump(struct vdriver *d)
{
	for (int i = 0; d->loop && i < 4; i++) {
		CHECK(loop_post(d->loop, NULL, vd_stop_loop, d->loop) == 0);
		loop_run(d->loop);
	}
}

static inline void *vd_ptr(struct vdriver *d, uint64_t at, uint64_t len)
{
	void *p = mem_ptr(d->mem, gpa(at), len);
	CHECK(p != NULL);
	return p;
}

/* @len bytes of zeroed guest memory that nothing else uses. */
static inline uint64_t vd_alloc(struct vdriver *d, uint64_t len)
{
	uint64_t at = align_up(d->heap, 64);
	d->heap = at + len;
	memset(vd_ptr(d, at, len), 0, len);
	return at;
}

/* Reset, then FEATURES_OK with @features (VERSION_1 is added). False: refused. */
static inline bool vd_negotiate(struct vdriver *d, uint64_t features)
{
	features |= VIRTIO_F_VERSION_1;
	d->packed = features & VIRTIO_F_RING_PACKED;
	d->event_idx = features & VIRTIO_F_EVENT_IDX;
	vd_set(d, 0x70, 0);
	vd_set(d, 0x70, 1);
	vd_set(d, 0x70, 3);
	for (uint32_t i = 0; i < 2; i++) {
		vd_set(d, 0x24, i);
		vd_set(d, 0x20, (uint32_t)(features >> (32 * i)));
	}
	vd_set(d, 0x70, 11);
	return vd_get(d, 0x70) == 11;
}

static inline void vd_area(struct vdriver *d, uint64_t reg, uint64_t at)
{
	vd_set(d, reg, (uint32_t)at);
	vd_set(d, reg + 4, (uint32_t)(at >> 32));
}

static inline void vd_queue_up(struct vdriver *d, unsigned queue, uint16_t size)
{
	struct vd_queue *q = &d->q[queue];
	*q = (struct vd_queue){ .size = size, .wrap = true, .used_wrap = true };
	q->desc = vd_alloc(d, 16u * size);
	q->driver = vd_alloc(d, 6u + 2u * size);
	q->device = vd_alloc(d, 6u + 8u * size);
	vd_set(d, 0x30, queue);
	vd_set(d, 0x38, size);
	vd_area(d, 0x80, q->desc);
	vd_area(d, 0x90, q->driver);
	vd_area(d, 0xa0, q->device);
	vd_set(d, 0x44, 1);
}

static inline void vd_go(struct vdriver *d) { vd_set(d, 0x70, 15); }
static inline bool vd_broken(struct vdriver *d) { return vd_get(d, 0x70) & 64; }
static inline void vd_kick(struct vdriver *d, unsigned queue)
{
	vd_set(d, 0x50, queue);
	vd_pump(d);
}

/* Negotiate, set up @n queues of @size and go. */
static inline void vd_up(struct vdriver *d, uint64_t features, unsigned n, uint16_t size)
{
	CHECK(vd_negotiate(d, features));
	for (unsigned i = 0; i < n; i++)
		vd_queue_up(d, i, size);
	vd_go(d);
	CHECK(vd_get(d, 0x70) == 15);
	vd_pump(d);
}

/* Ring fields that the device may read at this moment are stored in one piece. */
static inline void vd_store(void *p, uint16_t val)
{
	__atomic_store_n((uint16_t *)p, htole16(val), __ATOMIC_SEQ_CST);
}
static inline uint16_t vd_load(const void *p)
{
	return le16toh(__atomic_load_n((const uint16_t *)p, __ATOMIC_SEQ_CST));
}

static inline void vd_desc(uint8_t *p, bool packed, const struct vd_seg *s, uint16_t id_or_next,
                           uint16_t flags)
{
	flags |= s->in ? 2 : 0;
	le64_put(p, s->addr);
	le32_put(p + 8, s->len);
	le16_put(p + 12, packed ? id_or_next : flags);
	vd_store(p + 14, packed ? flags : id_or_next);
}

/* An indirect table of the same chain; returns the one segment that points to it. */
static inline struct vd_seg vd_table(struct vdriver *d, const struct vd_seg *s, unsigned n)
{
	uint64_t table = vd_alloc(d, 16u * n);
	uint8_t *p = vd_ptr(d, table, 16u * n);
	for (unsigned i = 0; i < n; i++)
		vd_desc(p + 16u * i, d->packed, &s[i], (uint16_t)(i + 1),
		        i + 1 < n && !d->packed ? 1 : 0);
	return (struct vd_seg){ table, 16 * n, false };
}

static inline uint16_t vd_add_split(struct vdriver *d, struct vd_queue *q, const struct vd_seg *s,
                                    unsigned n, uint16_t flags)
{
	uint8_t *desc = vd_ptr(d, q->desc, 16u * q->size);
	uint8_t *avail = vd_ptr(d, q->driver, 6u + 2u * q->size);
	uint16_t mask = (uint16_t)(q->size - 1), head = q->next & mask;
	for (unsigned i = 0; i < n; i++) {
		uint16_t at = (uint16_t)(q->next + i) & mask;
		vd_desc(desc + 16u * at, false, &s[i], (uint16_t)(at + 1) & mask,
		        (uint16_t)(flags | (i + 1 < n ? 1 : 0)));
	}
	q->next = (uint16_t)(q->next + n);
	uint16_t idx = le16_at(avail + 2);
	le16_put(avail + 4 + 2u * (idx & mask), head);
	vd_store(avail + 2, (uint16_t)(idx + 1));
	return head;
}

static inline uint16_t vd_add_packed(struct vdriver *d, struct vd_queue *q, const struct vd_seg *s,
                                     unsigned n, uint16_t flags)
{
	uint8_t *desc = vd_ptr(d, q->desc, 16u * q->size);
	uint16_t id = q->next;
	uint8_t *first = desc + 16u * id;
	uint16_t first_flags = 0;
	for (unsigned i = 0; i < n; i++) {
		uint16_t f = (uint16_t)(flags | (i + 1 < n ? 1 : 0) | (q->wrap ? 0x80 : 0x8000));
		if (!i)
			first_flags = (uint16_t)(f | (s->in ? 2 : 0));
		/* The first one becomes available last. */
		vd_desc(desc + 16u * q->next, true, &s[i], id,
		        i ? f : vd_load(first + 14));
		if (++q->next == q->size) {
			q->next = 0;
			q->wrap = !q->wrap;
		}
	}
	q->slots[id] = (uint16_t)n;
	vd_store(first + 14, first_flags);
	return id;
}

/* Offer a chain (no kick). Returns its id. */
static inline uint16_t vd_add(struct vdriver *d, unsigned queue, const struct vd_seg *s, unsigned n,
                              unsigned how)
{
	struct vd_seg table;
	uint16_t flags = 0;
	if (how & VD_INDIRECT) {
		table = vd_table(d, s, n);
		s = &table;
		n = 1;
		flags = 4;
	}
	return d->packed ? vd_add_packed(d, &d->q[queue], s, n, flags)
	                 : vd_add_split(d, &d->q[queue], s, n, flags);
}

/* Take one used chain; false: none. Asks for the interrupt of the next one. */
static inline bool vd_used(struct vdriver *d, unsigned queue, uint16_t *ret_id, uint32_t *ret_len)
{
	struct vd_queue *q = &d->q[queue];
	uint8_t *desc = vd_ptr(d, q->desc, 16u * q->size);
	uint8_t *driver = vd_ptr(d, q->driver, 6u + 2u * q->size);
	uint8_t *used = vd_ptr(d, q->device, 6u + 8u * q->size);
	if (!d->packed) {
		if (vd_load(used + 2) == q->used)
			return false;
		uint8_t *elem = used + 4 + 8u * (q->used++ & (q->size - 1));
		*ret_id = le16_at(elem);
		*ret_len = le32_at(elem + 4);
		vd_store(driver + 4 + 2u * q->size, q->used);
		return true;
	}
	uint8_t *p = desc + 16u * q->used;
	uint16_t f = vd_load(p + 14);
	if (!!(f & 0x80) != q->used_wrap || !!(f & 0x8000) != q->used_wrap)
		return false;
	*ret_id = le16_at(p + 12);
	*ret_len = le32_at(p + 8);
	CHECK(*ret_id < q->size);
	q->used = (uint16_t)(q->used + q->slots[*ret_id]);
	if (q->used >= q->size) {
		q->used = (uint16_t)(q->used - q->size);
		q->used_wrap = !q->used_wrap;
	}
	if (d->event_idx) {
		vd_store(driver, (uint16_t)(q->used | (q->used_wrap ? 0x8000 : 0)));
		vd_store(driver + 2, 2);
	}
	return true;
}

/* Does the device want to hear of the chain just added (of one slot)? */
static inline bool vd_should_kick(struct vdriver *d, unsigned queue)
{
	struct vd_queue *q = &d->q[queue];
	uint8_t *device = vd_ptr(d, q->device, 6u + 8u * q->size);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (d->packed) {
		uint16_t flags = vd_load(device + 2), last = (uint16_t)(q->next + q->size - 1);
		bool wrap = q->next ? q->wrap : !q->wrap;
		uint16_t at = vd_load(device);
		return flags == 0 || (flags == 2 && at == (last % q->size | (wrap ? 0x8000 : 0)));
	}
	if (!d->event_idx)
		return !(vd_load(device) & 1);
	return vd_load(device + 4 + 8u * q->size) ==
	       (uint16_t)(vd_load(vd_ptr(d, q->driver + 2, 2)) - 1);
}

/* Offer, kick, and expect it back. Returns bytes written by the device. */
static inline uint32_t vd_do(struct vdriver *d, unsigned queue, const struct vd_seg *s, unsigned n,
                             unsigned how)
{
	uint16_t id = vd_add(d, queue, s, n, how), got = 0;
	uint32_t len = 0;
	vd_kick(d, queue);
	CHECK(vd_used(d, queue, &got, &len));
	CHECK(got == id);
	return len;
}
