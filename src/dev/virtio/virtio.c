/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a virtio device: status, features, configuration, and when queues are served.
 * Spec: VIRTIO 1.2 §2.1 to §2.5, §3 */
#include "dev/virtio/internal.h"

#define VIRTIO(n) extern const struct virtio_class virtio_##n;
#include "dev/virtio/virtio.def"
static const struct virtio_class *const all[] = {
#define VIRTIO(n) &virtio_##n,
#include "dev/virtio/virtio.def"
};

enum {
	STATUS_KNOWN = 0x8f,  /* ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, FAILED */
	BUDGET = 256,         /* chains of one queue served before others get their turn */
	ROUNDS = 64,          /* without a loop: service calls in one kick */
};

const struct virtio_class *virtio_class_at(size_t i) { return i < countof(all) ? all[i] : NULL; }

const struct virtio_class *virtio_class_find(const char *name)
{
	for (size_t i = 0; i < countof(all); i++)
		if (!strcmp(all[i]->name, name))
			return all[i];
	return NULL;
}

struct virtio *virtio_of(struct dev *d)
{
	bool ours = d->class == &dev_virtio_mmio || d->class == &dev_virtio_pci;
	return ours ? ((struct virtio_dev *)(void *)d)->v : NULL;
}

bool virtio_option(const struct virtio *v, const char *key, char *buf, size_t cap)
{
	struct dev d = { .s = v->s };
	return dev_option(&d, key, buf, cap);
}

int virtio_new(struct virtio **ret, const struct virtio_class *c, const struct dev_setup *s,
               pthread_mutex_t *lock, struct lodge_err *e)
{
	struct virtio *v = calloc(1, c->size);
	struct virtq *queues = calloc(VIRTIO_QUEUES_MAX, sizeof *queues);
	if (!v || !queues) {
		free(v);
		free(queues);
		return err_set(e, ENOMEM, "no memory for a virtio device");
	}
	v->queues = queues;
	v->class = c;
	v->s = *s;
	v->lock = lock;
	v->nqueues = c->nqueues;
	v->queue_size = VIRTIO_QUEUE_SIZE;
	v->offered = c->features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
	char packed[8];
	if (virtio_option(v, "packed", packed, sizeof packed) && !strcmp(packed, "on"))
		v->offered |= VIRTIO_F_RING_PACKED;
	int r = c->init ? c->init(v, e) : 0;
	assert(v->nqueues <= VIRTIO_QUEUES_MAX && c->config_len <= VIRTIO_CONFIG_MAX);
	if (r < 0) {
		virtio_free(v);
		return err_in(e, r, "virtio-%s", c->name);
	}
	virtio_reset(v);
	*ret = v;
	return 0;
}

void virtio_free(struct virtio *v)
{
	if (!v)
		return;
	if (v->class->fini)
		v->class->fini(v);
	if (v->s.loop)
		loop_cancel(v->s.loop, v);
	free(v->queues);
	free(v->spare);
	free(v);
}

void virtio_reset(struct virtio *v)
{
	v->status = 0;
	v->acked = 0;
	v->again = 0;
	__atomic_store_n(&v->pending, 0, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < v->nqueues; i++)
		virtq_disable(v, &v->queues[i]);
	if (v->class->reset)
		v->class->reset(v);
}

uint32_t virtio_offered(const struct virtio *v, uint32_t half)
{
	return half < 2 ? (uint32_t)(v->offered >> (32 * half)) : 0;
}

void virtio_accept(struct virtio *v, uint32_t half, uint32_t bits)
{
	if (half > 1 || v->status & STATUS_FEATURES_OK)
		return;
	v->acked &= ~((uint64_t)UINT32_MAX << (32 * half));
	v->acked |= (uint64_t)bits << (32 * half);
}

void virtio_status_set(struct virtio *v, uint8_t status)
{
	if (!status) {
		virtio_reset(v);
		return;
	}
	/* Bits are only added, until a reset. VIRTIO 1.2 §2.1.1 */
	uint8_t fresh = status & STATUS_KNOWN & (uint8_t)~v->status;
	if (fresh & STATUS_FEATURES_OK &&
	    (v->acked & ~v->offered || !virtio_has(v, VIRTIO_F_VERSION_1)))
		fresh &= (uint8_t)~STATUS_FEATURES_OK;
	v->status |= fresh & (uint8_t)~STATUS_DRIVER_OK;
	if (!(fresh & STATUS_DRIVER_OK) || !(v->status & STATUS_FEATURES_OK))
		return;
	v->status |= STATUS_DRIVER_OK;
	if (v->class->ready)
		v->class->ready(v);
	for (unsigned i = 0; i < v->nqueues; i++)
		if (v->queues[i].enabled)
			virtio_kick(v, i);
}

bool virtio_up(const struct virtio *v) { return v->status & STATUS_DRIVER_OK; }

struct virtq *virtio_queue(struct virtio *v, uint32_t queue)
{
	return queue < v->nqueues ? &v->queues[queue] : NULL;
}

void virtio_needs_reset(struct virtio *v, const char *why)
{
	log_guest(v->s.log, "virtio-%s: the driver must reset the device: %s", v->class->name, why);
	if (v->status & STATUS_NEEDS_RESET)
		return;
	v->status |= STATUS_NEEDS_RESET;
	if (v->status & STATUS_DRIVER_OK)
		virtio_config_changed(v);
}

void virtio_config_changed(struct virtio *v)
{
	v->config_generation++;
	if (v->notify && v->status & STATUS_DRIVER_OK)
		v->notify(v->transport, -1);
}

/* ---- configuration space ---- */

uint64_t virtio_config_get(struct virtio *v, uint64_t off, unsigned width)
{
	uint8_t config[VIRTIO_CONFIG_MAX + 8] = { 0 };
	if (off >= v->class->config_len || !v->class->config_read)
		return 0;
	v->class->config_read(v, config);
	uint64_t val = le64_at(config + off);
	return width < 8 ? val & ((1ull << (8 * width)) - 1) : val;
}

void virtio_config_set(struct virtio *v, uint64_t off, unsigned width, uint64_t val)
{
	uint8_t bytes[8];
	if (off + width > v->class->config_len || !v->class->config_write)
		return;
	le64_put(bytes, val);
	v->class->config_write(v, (uint32_t)off, bytes, width);
}

/* ---- service ---- */

static void virtio_serve(struct virtio *v, unsigned queue)
{
	if (!virtq_ready(v, queue))
		return;
	struct virtq *q = &v->queues[queue];
	v->budget = BUDGET;
	virtq_hush(v, q);
	v->class->serve(v, queue);
	/* Serving one queue may have given chains of another back. */
	for (unsigned i = 0; i < v->nqueues; i++)
		virtq_flush(v, &v->queues[i]);
}

/* One turn on the loop thread, the device's lock held. */
static void virtio_service(void *arg)
{
	struct virtio *v = arg;
	__atomic_store_n(&v->posted, false, __ATOMIC_SEQ_CST);
	uint64_t todo = __atomic_exchange_n(&v->pending, 0, __ATOMIC_SEQ_CST);
	v->serving = true;
	for (; todo; todo &= todo - 1)
		virtio_serve(v, (unsigned)__builtin_ctzll(todo));
	v->serving = false;
	uint64_t again = v->again;
	v->again = 0;
	if (!v->s.loop) /* the caller looks at pending once more */
		__atomic_fetch_or(&v->pending, again, __ATOMIC_SEQ_CST);
	for (; v->s.loop && again; again &= again - 1)
		virtio_kick(v, (unsigned)__builtin_ctzll(again));
}

/* Without a loop (tests) the kick itself serves, unless it comes from a serve. */
static void virtio_service_here(struct virtio *v)
{
	if (__atomic_exchange_n(&v->posted, true, __ATOMIC_SEQ_CST))
		return;
	for (int i = 0; i < ROUNDS && v->pending; i++) {
		virtio_service(v);
		v->posted = true;
	}
	v->posted = false;
}

void virtio_kick(struct virtio *v, unsigned queue)
{
	if (queue >= v->nqueues)
		return;
	__atomic_fetch_or(&v->pending, 1ull << queue, __ATOMIC_SEQ_CST);
	if (!v->s.loop) {
		if (!v->serving)
			virtio_service_here(v);
		return;
	}
	if (__atomic_exchange_n(&v->posted, true, __ATOMIC_SEQ_CST))
		return;
	if (loop_post(v->s.loop, v->lock, virtio_service, v) < 0)
		__atomic_store_n(&v->posted, false, __ATOMIC_SEQ_CST); /* next kick: again */
}
