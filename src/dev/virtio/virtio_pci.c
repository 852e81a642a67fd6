/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device behind a PCI function, modern layout, INTx. Spec: VIRTIO 1.2 §4.1
 *
 *   BAR 0   0x0000 common configuration | 0x1000 ISR | 0x2000 device configuration
 *           0x3000 notifications, 4 bytes for each queue
 */
#include "dev/pci/pci.h"
#include "dev/virtio/internal.h"

enum {
	BAR_ISR = 0x1000,
	BAR_CONFIG = 0x2000,
	BAR_NOTIFY = 0x3000,
	BAR_LEN = 0x4000,
	NOTIFY_STEP = 4,
	COMMON_LEN = 60,
	NO_VECTOR = 0xffff,

	ISR_QUEUE = 1,
	ISR_CONFIG = 2,

	CAP_VENDOR = 9,
	CAP_COMMON = 1,
	CAP_NOTIFY = 2,
	CAP_ISR = 3,
	CAP_DEVICE = 4,
	CAP_PCI = 5,
	CAP_LEN = 16,
	CAPS_MAX = 96,
	/* fields of a capability */
	FIELD_BAR = 4,
	FIELD_OFFSET = 8,
	FIELD_LENGTH = 12,
	FIELD_DATA = 16,

	VENDOR = 0x1af4,
	DEVICE_BASE = 0x1040,
};

struct virtio_pci {
	struct virtio_dev b;
	struct pci_fn *fn;         /* owned */
	struct pci_fn_class class;
	uint32_t offered_sel, accept_sel;
	uint16_t queue_sel;
	uint8_t isr;
	unsigned window_at;        /* configuration space offset of the PCI access capability */
	uint8_t window[FIELD_DATA]; /* what the driver wrote to it: bar, offset, length */
};

static void pci_irq(struct virtio_pci *p, uint8_t isr)
{
	bool was = p->isr;
	p->isr = isr;
	if (p->fn && was != (isr != 0))
		pci_fn_irq(p->fn, isr != 0);
}

static void pci_notify(void *transport, int queue)
{
	struct virtio_pci *p = transport;
	pci_irq(p, p->isr | (queue < 0 ? ISR_CONFIG : ISR_QUEUE));
}

/* ---- BAR 0 ---- */

static uint64_t common_read(struct virtio_pci *p, uint64_t off)
{
	struct virtio *v = p->b.v;
	const struct virtq *q = virtio_queue(v, p->queue_sel);
	uint8_t c[COMMON_LEN + 8] = { 0 };
	le32_put(c, p->offered_sel);
	le32_put(c + 4, virtio_offered(v, p->offered_sel));
	le32_put(c + 8, p->accept_sel);
	le32_put(c + 12, p->accept_sel < 2 ? (uint32_t)(v->acked >> (32 * p->accept_sel)) : 0);
	le16_put(c + 16, NO_VECTOR);
	le16_put(c + 18, (uint16_t)v->nqueues);
	c[20] = v->status;
	c[21] = (uint8_t)v->config_generation;
	le16_put(c + 22, p->queue_sel);
	le16_put(c + 26, NO_VECTOR);
	if (q) {
		le16_put(c + 24, q->size);
		le16_put(c + 28, q->enabled);
		le16_put(c + 30, p->queue_sel);
		le64_put(c + 32, q->desc);
		le64_put(c + 40, q->driver);
		le64_put(c + 48, q->device);
	}
	return off < COMMON_LEN ? le64_at(c + off) : 0;
}

static void common_queue_write(struct virtio_pci *p, uint64_t off, uint32_t val)
{
	struct virtio *v = p->b.v;
	struct virtq *q = virtio_queue(v, p->queue_sel);
	if (!q)
		return;
	switch (off) {
	case 24: virtq_resize(q, v, val); break;
	case 28:
		if (val == 1)
			virtq_enable(v, q);
		break;
	case 32: virtq_address(q, &q->desc, 0, val); break;
	case 36: virtq_address(q, &q->desc, 1, val); break;
	case 40: virtq_address(q, &q->driver, 0, val); break;
	case 44: virtq_address(q, &q->driver, 1, val); break;
	case 48: virtq_address(q, &q->device, 0, val); break;
	case 52: virtq_address(q, &q->device, 1, val); break;
	default: break;
	}
}

static void common_write(struct virtio_pci *p, uint64_t off, uint32_t val)
{
	struct virtio *v = p->b.v;
	switch (off) {
	case 0: p->offered_sel = val; break;
	case 8: p->accept_sel = val; break;
	case 12: virtio_accept(v, p->accept_sel, val); break;
	case 20:
		virtio_status_set(v, (uint8_t)val);
		if (!(uint8_t)val)
			pci_irq(p, 0);
		break;
	case 22: p->queue_sel = (uint16_t)val; break;
	default: common_queue_write(p, off, val); break;
	}
}

static uint64_t bar_read(void *dev, uint64_t off, unsigned width)
{
	struct virtio_pci *p = dev;
	uint64_t val = 0;
	if (!p->b.v)
		return 0;
	if (off < BAR_ISR) {
		val = common_read(p, off);
	} else if (off == BAR_ISR) {
		val = p->isr;
		pci_irq(p, 0); /* reading acknowledges. §4.1.4.5 */
	} else if (off >= BAR_CONFIG && off < BAR_NOTIFY) {
		val = virtio_config_get(p->b.v, off - BAR_CONFIG, width);
	}
	return width < 8 ? val & ((1ull << (8 * width)) - 1) : val;
}

static void bar_write(void *dev, uint64_t off, unsigned width, uint64_t val)
{
	struct virtio_pci *p = dev;
	if (!p->b.v)
		return;
	if (off < BAR_ISR)
		common_write(p, off, (uint32_t)val);
	else if (off >= BAR_NOTIFY)
		virtio_kick(p->b.v, (unsigned)(off - BAR_NOTIFY) / NOTIFY_STEP);
	else if (off >= BAR_CONFIG)
		virtio_config_set(p->b.v, off - BAR_CONFIG, width, val);
}

static const struct bus_ops bar_ops = { bar_read, bar_write, 1, 4 };

/* ---- capabilities ---- */

static size_t cap_add(uint8_t *caps, size_t at, uint8_t type, uint32_t off, uint32_t len)
{
	uint8_t *c = caps + at;
	bool more = type == CAP_NOTIFY || type == CAP_PCI; /* one word more than the others */
	size_t next = at + CAP_LEN + (more ? 4 : 0);
	c[0] = CAP_VENDOR;
	c[1] = type == CAP_PCI ? 0 : (uint8_t)(PCI_CAPS + next); /* the last one */
	c[2] = (uint8_t)(next - at);
	c[3] = type;
	le32_put(c + FIELD_OFFSET, off);
	le32_put(c + FIELD_LENGTH, len);
	if (type == CAP_NOTIFY)
		le32_put(c + FIELD_DATA, NOTIFY_STEP);
	return next;
}

/* The window of §4.1.4.9: which part of the BAR its data register means. False: none. */
static bool window_target(const struct virtio_pci *p, uint32_t *ret_off, unsigned *ret_width)
{
	uint32_t off = le32_at(p->window + FIELD_OFFSET), len = le32_at(p->window + FIELD_LENGTH);
	if (p->window[FIELD_BAR] || (len != 1 && len != 2 && len != 4) || off % len ||
	    off >= BAR_LEN)
		return false;
	*ret_off = off;
	*ret_width = len;
	return true;
}

static bool window_field(unsigned at)
{
	return at == FIELD_BAR || (at >= FIELD_OFFSET && at < FIELD_DATA);
}

static uint32_t cap_read(void *obj, unsigned off, unsigned width, uint32_t plain)
{
	struct virtio_pci *p = obj;
	uint32_t at, target;
	unsigned target_width;
	if (off < p->window_at || off >= p->window_at + FIELD_DATA + 4)
		return plain;
	at = off - p->window_at;
	if (at == FIELD_DATA)
		return window_target(p, &target, &target_width)
		               ? (uint32_t)bar_read(p, target, target_width)
		               : 0;
	for (unsigned i = 0; i < width; i++)
		if (window_field(at + i))
			plain = (plain & ~(0xffu << 8 * i)) | (uint32_t)p->window[at + i] << 8 * i;
	return plain;
}

static void cap_write(void *obj, unsigned off, unsigned width, uint32_t val)
{
	struct virtio_pci *p = obj;
	uint32_t at, target;
	unsigned target_width;
	if (off < p->window_at || off >= p->window_at + FIELD_DATA + 4)
		return;
	at = off - p->window_at;
	if (at == FIELD_DATA) {
		if (window_target(p, &target, &target_width))
			bar_write(p, target, target_width, val);
		return;
	}
	for (unsigned i = 0; i < width; i++)
		if (window_field(at + i))
			p->window[at + i] = (uint8_t)(val >> 8 * i);
}

/* ---- life ---- */

static void pci_reset(struct dev *d)
{
	struct virtio_pci *p = (struct virtio_pci *)d;
	p->offered_sel = p->accept_sel = p->queue_sel = 0;
	memset(p->window, 0, sizeof p->window);
	if (p->b.v)
		virtio_reset(p->b.v);
	pci_irq(p, 0);
}

static void pci_fini(struct dev *d)
{
	struct virtio_pci *p = (struct virtio_pci *)d;
	pci_fn_free(p->fn);
	p->fn = NULL;
	virtio_free(p->b.v);
}

static size_t pci_save(struct dev *d, uint8_t *buf, size_t cap)
{
	struct virtio *v = ((struct virtio_pci *)d)->b.v;
	return v ? virtio_save(v, buf, cap) : 0;
}

static bool pci_load(struct dev *d, const uint8_t *buf, size_t len)
{
	struct virtio *v = ((struct virtio_pci *)d)->b.v;
	return v ? virtio_load(v, buf, len) : !len;
}

/* Drive the line as the loaded status says. */
static bool pci_loaded(struct dev *d)
{
	struct virtio_pci *p = (struct virtio_pci *)d;
	if (p->fn)
		pci_fn_irq(p->fn, p->isr != 0);
	return true;
}

static const struct state_field pci_state[] = {
	STATE(struct virtio_pci, offered_sel, 1), STATE(struct virtio_pci, accept_sel, 1),
	STATE(struct virtio_pci, queue_sel, 1), STATE(struct virtio_pci, isr, 1),
	STATE(struct virtio_pci, window, 1), STATE_END
};

const struct dev_class dev_virtio_pci = {
	.name = "virtio-pci", .summary = "virtio device behind a PCI function",
	.spec = "VIRTIO 1.2 §4.1", .size = sizeof(struct virtio_pci),
	.width_min = 1, .width_max = 4, .reset = pci_reset, .fini = pci_fini, .state = pci_state,
	.loaded = pci_loaded, .save_more = pci_save, .load_more = pci_load,
};

static int pci_plug(struct virtio_pci *p, struct pci_host *host, struct lodge_err *e)
{
	const struct virtio_class *c = p->b.v->class;
	uint8_t caps[CAPS_MAX] = { 0 };
	size_t n = cap_add(caps, 0, CAP_COMMON, 0, COMMON_LEN);
	uint64_t slot;
	n = cap_add(caps, n, CAP_NOTIFY, BAR_NOTIFY, NOTIFY_STEP * VIRTIO_QUEUES_MAX);
	n = cap_add(caps, n, CAP_ISR, BAR_ISR, 1);
	if (c->config_len)
		n = cap_add(caps, n, CAP_DEVICE, BAR_CONFIG, c->config_len);
	p->window_at = (unsigned)(PCI_CAPS + n);
	n = cap_add(caps, n, CAP_PCI, 0, 0);
	p->class = (struct pci_fn_class){
		.vendor = VENDOR, .device = (uint16_t)(DEVICE_BASE + c->device_id),
		.subsystem_vendor = VENDOR, .subsystem = (uint16_t)(DEVICE_BASE + c->device_id),
		.class_code = c->pci_class, .revision = 1,
		.bar_len = { BAR_LEN }, .bar_ops = { &bar_ops },
		.cap_read = cap_read, .cap_write = cap_write,
	};
	int r = dev_option_u64(&p->b.d, "slot", PCI_SLOTS, 0, PCI_SLOTS - 1, &slot, e);
	if (r < 0)
		return r;
	return pci_fn_new(&p->fn, host, &p->class, slot < PCI_SLOTS ? (int)slot : -1, caps, n, p,
	                  &p->b.d.lock, e);
}

int virtio_pci_new(struct dev **ret, struct pci_host *host, const struct virtio_class *c,
                   const struct dev_setup *s, struct lodge_err *e)
{
	struct dev *d = NULL;
	int r = dev_new(&d, &dev_virtio_pci, s, e);
	if (r < 0)
		return r;
	struct virtio_pci *p = (struct virtio_pci *)d;
	r = virtio_new(&p->b.v, c, s, &d->lock, e);
	if (r == 0) {
		p->b.v->transport = p;
		p->b.v->notify = pci_notify;
		r = pci_plug(p, host, e);
	}
	if (r < 0) {
		dev_free(d);
		return r;
	}
	*ret = d;
	return 0;
}
