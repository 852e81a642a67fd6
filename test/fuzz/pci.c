/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz the PCI host bridge: configuration writes, BAR traffic, interrupts, functions that come and
 * go, saved state with a damaged byte. */
#include "dev/pci/pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ECAM = 0x30000000, CARDS = 4 };

struct card {
	pthread_mutex_t lock;
	struct pci_fn *fn;
	uint64_t sum;
};

static uint64_t card_read(void *obj, uint64_t off, unsigned width)
{
	return ((struct card *)obj)->sum + off + width;
}
static void card_write(void *obj, uint64_t off, unsigned width, uint64_t val)
{
	struct card *c = obj;
	c->sum += off + width + val;
	pci_fn_irq(c->fn, val & 1); /* from within, as devices do */
}
static uint32_t card_cap_read(void *obj, unsigned off, unsigned width, uint32_t plain)
{
	return (uint32_t)((struct card *)obj)->sum + off + width + plain;
}
static void card_cap_write(void *obj, unsigned off, unsigned width, uint32_t val)
{
	card_write(obj, off, width, val);
}
static const struct bus_ops card_ops = { card_read, card_write, 1, 8 };
static const struct pci_fn_class card_class[2] = {
	{ .vendor = 0x1af4, .bar_len = { 0x1000, 0x20, 0, 0, 0x4000, 0 }, .bar64 = { [4] = true },
	  .bar_io = { [1] = true },
	  .bar_ops = { &card_ops, &card_ops, NULL, NULL, &card_ops, NULL },
	  .cap_read = card_cap_read, .cap_write = card_cap_write },
	{ .vendor = 0x1af4, .bar_len = { 16, 0, 0x100000000, 0, 0, 0x80000000 },
	  .bar64 = { [2] = true },
	  .bar_ops = { &card_ops, NULL, &card_ops, NULL, NULL, &card_ops } },
};

struct rig {
	struct bus *bus;
	struct dev *dev;
	struct card card[CARDS];
	const uint8_t *p, *end;
	bool lines[4];
};

static void rig_line(void *ctx, unsigned line, bool level)
{
	((struct rig *)ctx)->lines[line] = level;
}

static uint64_t rig_take(struct rig *r, size_t n)
{
	uint64_t v = 0;
	while (n-- && r->p < r->end)
		v = v << 8 | *r->p++;
	return v;
}

static void rig_plug(struct rig *r, unsigned i, int slot)
{
	static const uint8_t cap[16] = { 9, 0, 16, 0 };
	struct card *c = &r->card[i];
	if (pci_fn_new(&c->fn, pci_host_of(r->dev), &card_class[i & 1], slot, cap, sizeof cap, c,
	               &c->lock, NULL) < 0)
		c->fn = NULL;
}

static bool rig_init(struct rig *r)
{
	struct irq irqs[4];
	for (unsigned i = 0; i < 4; i++)
		irqs[i] = (struct irq){ rig_line, r, i };
	struct dev_setup s = { .irqs = irqs, .nirqs = 4,
		               .options = "io=0x3000000:0x10000,mmio32=0x40000000:0x40000000,"
		                          "mmio64=0x400000000:0x400000000" };
	if (bus_new(&r->bus, NULL) < 0)
		return false;
	s.bus = r->bus;
	if (dev_new(&r->dev, dev_class_find("pci-host"), &s, NULL) < 0 ||
	    dev_map(r->dev, gpa(ECAM), NULL) < 0)
		return false;
	for (unsigned i = 0; i < CARDS; i++) {
		pthread_mutex_init(&r->card[i].lock, NULL);
		rig_plug(r, i, -1);
	}
	return true;
}

static void rig_fini(struct rig *r)
{
	for (unsigned i = 0; i < CARDS; i++)
		pci_fn_free(r->card[i].fn);
	dev_free(r->dev);
	bus_free(r->bus);
}

static void rig_reload(struct rig *r)
{
	static uint8_t buf[PCI_SLOTS * PCI_CONFIG + 64];
	size_t n = dev_save(r->dev, buf, sizeof buf);
	if (n > sizeof buf)
		abort();
	buf[rig_take(r, 2) % n] ^= (uint8_t)rig_take(r, 1);
	(void)!dev_load(r->dev, buf, n);
}

static void rig_step(struct rig *r)
{
	static const uint64_t base[] = { 0x3000000, 0x40000000, 0x400000000 };
	unsigned op = (unsigned)rig_take(r, 1), width = 1u << (op >> 6);
	struct card *c = &r->card[op >> 4 & 3];
	uint64_t v, at;
	switch (op & 7) {
	case 0:
	case 1:
	case 2: /* configuration: mostly a slot that is there */
		at = op & 8 ? rig_take(r, 4) % 0x10000000
		            : (1 + (op >> 4 & 3)) << 15 | (unsigned)rig_take(r, 1);
		at &= ~(uint64_t)(width - 1);
		if (op & 3)
			(void)!bus_write(r->bus, gpa(ECAM + at), width, rig_take(r, width));
		else
			(void)!bus_read(r->bus, gpa(ECAM + at), width, &v);
		break;
	case 3:
	case 4:
		at = base[rig_take(r, 1) % 3] + (rig_take(r, 2) << 4);
		if (op & 8)
			(void)!bus_write(r->bus, gpa(at), width, rig_take(r, width));
		else
			(void)!bus_read(r->bus, gpa(at), width, &v);
		break;
	case 5:
		if (c->fn)
			pci_fn_irq(c->fn, op & 8);
		break;
	case 6:
		if (op & 8) {
			rig_reload(r);
		} else if (c->fn) {
			pci_fn_free(c->fn);
			c->fn = NULL;
		} else {
			rig_plug(r, op >> 4 & 3, (int)rig_take(r, 1) - 1);
		}
		break;
	default:
		if (op & 8)
			dev_reset(r->dev);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len > 4096)
		return 0;
	struct rig r = { .p = data, .end = data + len };
	if (rig_init(&r))
		while (r.p < r.end)
			rig_step(&r);
	rig_fini(&r);
	return 0;
}
