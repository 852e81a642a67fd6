/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device behind registers in memory, version 2. Spec: VIRTIO 1.2 §4.2
 * Without a virtio device inside, the registers say "nothing here" (device id 0). */
#include "dev/virtio/internal.h"

enum {
	MMIO_MAGIC = 0x000,
	MMIO_VERSION = 0x004,
	MMIO_DEVICE_ID = 0x008,
	MMIO_VENDOR_ID = 0x00c,
	MMIO_OFFERED = 0x010,
	MMIO_OFFERED_SEL = 0x014,
	MMIO_ACCEPT = 0x020,
	MMIO_ACCEPT_SEL = 0x024,
	MMIO_QUEUE_SEL = 0x030,
	MMIO_QUEUE_MAX = 0x034,
	MMIO_QUEUE_NUM = 0x038,
	MMIO_QUEUE_READY = 0x044,
	MMIO_NOTIFY = 0x050,
	MMIO_IRQ_STATUS = 0x060,
	MMIO_IRQ_ACK = 0x064,
	MMIO_STATUS = 0x070,
	MMIO_DESC_LOW = 0x080,
	MMIO_DESC_HIGH = 0x084,
	MMIO_DRIVER_LOW = 0x090,
	MMIO_DRIVER_HIGH = 0x094,
	MMIO_DEVICE_LOW = 0x0a0,
	MMIO_DEVICE_HIGH = 0x0a4,
	MMIO_SHM_LEN_LOW = 0x0b0,
	MMIO_SHM_BASE_HIGH = 0x0bc,
	MMIO_GENERATION = 0x0fc,
	MMIO_CONFIG = 0x100,
	MMIO_SIZE = 0x200,

	IRQ_QUEUE = 1,
	IRQ_CONFIG = 2,
	VENDOR = 0x47444f4c, /* "LODG" */
};

struct virtio_mmio {
	struct virtio_dev b;
	uint32_t offered_sel, accept_sel, queue_sel;
	uint8_t irq_status;
};

static void mmio_irq(struct virtio_mmio *m, uint8_t status)
{
	bool was = m->irq_status;
	m->irq_status = status;
	if (was != (status != 0))
		irq_set(&m->b.d.irq, status != 0);
}

static void mmio_notify(void *transport, int queue)
{
	struct virtio_mmio *m = transport;
	mmio_irq(m, m->irq_status | (queue < 0 ? IRQ_CONFIG : IRQ_QUEUE));
}

static uint32_t mmio_queue_read(struct virtio_mmio *m, uint64_t off)
{
	const struct virtq *q = virtio_queue(m->b.v, m->queue_sel);
	if (!q)
		return 0;
	return off == MMIO_QUEUE_MAX ? m->b.v->queue_size : q->enabled;
}

static uint32_t mmio_register(struct virtio_mmio *m, uint64_t off)
{
	struct virtio *v = m->b.v;
	switch (off) {
	case MMIO_MAGIC: return 0x74726976; /* "virt" */
	case MMIO_VERSION: return 2;
	case MMIO_DEVICE_ID: return v ? v->class->device_id : 0;
	case MMIO_VENDOR_ID: return VENDOR;
	default: break;
	}
	if (!v)
		return 0;
	switch (off) {
	case MMIO_OFFERED: return virtio_offered(v, m->offered_sel);
	case MMIO_QUEUE_MAX:
	case MMIO_QUEUE_READY: return mmio_queue_read(m, off);
	case MMIO_IRQ_STATUS: return m->irq_status;
	case MMIO_STATUS: return v->status;
	case MMIO_GENERATION: return v->config_generation;
	default: break;
	}
	/* No shared memory regions: length and base of any are all ones. */
	return off >= MMIO_SHM_LEN_LOW && off <= MMIO_SHM_BASE_HIGH ? UINT32_MAX : 0;
}

static uint64_t mmio_read(struct dev *d, uint64_t off, unsigned width)
{
	struct virtio_mmio *m = (struct virtio_mmio *)d;
	if (off >= MMIO_CONFIG)
		return m->b.v ? virtio_config_get(m->b.v, off - MMIO_CONFIG, width) : 0;
	return width == 4 ? mmio_register(m, off) : 0;
}

static void mmio_queue_write(struct virtio_mmio *m, uint64_t off, uint32_t val)
{
	struct virtio *v = m->b.v;
	struct virtq *q = virtio_queue(v, m->queue_sel);
	if (!q)
		return;
	switch (off) {
	case MMIO_QUEUE_NUM: virtq_resize(q, v, val); break;
	case MMIO_DESC_LOW: virtq_address(q, &q->desc, 0, val); break;
	case MMIO_DESC_HIGH: virtq_address(q, &q->desc, 1, val); break;
	case MMIO_DRIVER_LOW: virtq_address(q, &q->driver, 0, val); break;
	case MMIO_DRIVER_HIGH: virtq_address(q, &q->driver, 1, val); break;
	case MMIO_DEVICE_LOW: virtq_address(q, &q->device, 0, val); break;
	case MMIO_DEVICE_HIGH: virtq_address(q, &q->device, 1, val); break;
	case MMIO_QUEUE_READY:
		if (val == 1)
			virtq_enable(v, q);
		else if (!val && q->enabled)
			virtq_disable(v, q);
		break;
	default: break;
	}
}

static void mmio_write(struct dev *d, uint64_t off, unsigned width, uint64_t val)
{
	struct virtio_mmio *m = (struct virtio_mmio *)d;
	struct virtio *v = m->b.v;
	uint32_t w = (uint32_t)val;
	if (!v)
		return;
	if (off >= MMIO_CONFIG) {
		virtio_config_set(v, off - MMIO_CONFIG, width, val);
		return;
	}
	if (width != 4)
		return;
	switch (off) {
	case MMIO_OFFERED_SEL: m->offered_sel = w; break;
	case MMIO_ACCEPT: virtio_accept(v, m->accept_sel, w); break;
	case MMIO_ACCEPT_SEL: m->accept_sel = w; break;
	case MMIO_QUEUE_SEL: m->queue_sel = w; break;
	case MMIO_NOTIFY: virtio_kick(v, w); break;
	case MMIO_IRQ_ACK: mmio_irq(m, m->irq_status & (uint8_t)~w); break;
	case MMIO_STATUS:
		virtio_status_set(v, (uint8_t)w);
		if (!(uint8_t)w)
			mmio_irq(m, 0);
		break;
	default: mmio_queue_write(m, off, w); break;
	}
}

static void mmio_reset(struct dev *d)
{
	struct virtio_mmio *m = (struct virtio_mmio *)d;
	m->offered_sel = m->accept_sel = m->queue_sel = 0;
	if (m->b.v)
		virtio_reset(m->b.v);
	mmio_irq(m, 0);
}

static void mmio_fini(struct dev *d) { virtio_free(((struct virtio_mmio *)d)->b.v); }

static size_t mmio_save(struct dev *d, uint8_t *buf, size_t cap)
{
	struct virtio *v = ((struct virtio_mmio *)d)->b.v;
	return v ? virtio_save(v, buf, cap) : 0;
}

static bool mmio_load(struct dev *d, const uint8_t *buf, size_t len)
{
	struct virtio *v = ((struct virtio_mmio *)d)->b.v;
	return v ? virtio_load(v, buf, len) : !len;
}

/* Drive the line as the loaded status says. */
static bool mmio_loaded(struct dev *d)
{
	struct virtio_mmio *p = (struct virtio_mmio *)d;
	irq_set(&d->irq, p->irq_status != 0);
	return true;
}

static const struct state_field mmio_state[] = {
	STATE(struct virtio_mmio, offered_sel, 1), STATE(struct virtio_mmio, accept_sel, 1),
	STATE(struct virtio_mmio, queue_sel, 1), STATE(struct virtio_mmio, irq_status, 1), STATE_END
};

const struct dev_class dev_virtio_mmio = {
	.name = "virtio-mmio", .summary = "virtio device in memory registers", .spec = "VIRTIO 1.2",
	.size = sizeof(struct virtio_mmio), .width_min = 1, .width_max = 4, .mmio = MMIO_SIZE,
	.reset = mmio_reset, .fini = mmio_fini, .read = mmio_read, .write = mmio_write,
	.state = mmio_state, .loaded = mmio_loaded, .save_more = mmio_save, .load_more = mmio_load,
};

int virtio_mmio_new(struct dev **ret, const struct virtio_class *c, const struct dev_setup *s,
                    struct lodge_err *e)
{
	struct dev *d = NULL;
	int r = dev_new(&d, &dev_virtio_mmio, s, e);
	if (r < 0)
		return r;
	struct virtio_mmio *m = (struct virtio_mmio *)d;
	r = virtio_new(&m->b.v, c, s, &d->lock, e);
	if (r < 0) {
		dev_free(d);
		return r;
	}
	m->b.v->transport = m;
	m->b.v->notify = mmio_notify;
	*ret = d;
	return 0;
}
