/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI transport, driven through configuration space and a BAR on the bus. */
#include "dev/pci/pci.h"
#include "test/virtio_driver.h"

enum { ECAM = 0x30000000, WINDOW = 0x40000000, BAR = WINDOW + 0x10000, NOT_THERE = 0xffff };

struct pci_rig {
	struct vdriver d;
	struct bus *bus;
	struct dev *host;
	uint64_t config; /* of the function, on the bus */
};

static uint32_t cfg_read(struct pci_rig *r, unsigned off, unsigned width)
{
	uint64_t v = 0;
	CHECK(bus_read(r->bus, gpa(r->config + off), width, &v));
	return (uint32_t)v;
}
static void cfg_write(struct pci_rig *r, unsigned off, unsigned width, uint32_t val)
{
	CHECK(bus_write(r->bus, gpa(r->config + off), width, val));
}

/* MMIO register numbers to the BAR; *ret_width is what the field has. */
static uint64_t bar_offset(uint64_t off, unsigned *width)
{
	static const struct { uint16_t mmio, bar; uint8_t width; } map[] = {
		{ 0x10, 4, 4 }, { 0x14, 0, 4 }, { 0x20, 12, 4 }, { 0x24, 8, 4 }, { 0x30, 22, 2 },
		{ 0x34, 24, 2 }, { 0x38, 24, 2 }, { 0x44, 28, 2 }, { 0x60, 0x1000, 1 },
		{ 0x70, 20, 1 }, { 0x80, 32, 4 }, { 0x84, 36, 4 }, { 0x90, 40, 4 }, { 0x94, 44, 4 },
		{ 0xa0, 48, 4 }, { 0xa4, 52, 4 }, { 0xfc, 21, 1 },
	};
	if (off >= 0x100)
		return 0x2000 + off - 0x100;
	for (size_t i = 0; i < countof(map); i++)
		if (map[i].mmio == off) {
			*width = map[i].width;
			return map[i].bar;
		}
	return NOT_THERE;
}

static uint64_t pci_vd_read(struct vdriver *d, uint64_t off, unsigned width)
{
	struct pci_rig *r = d->transport;
	uint64_t val = 0, at = bar_offset(off, &width);
	CHECK(at != NOT_THERE && bus_read(r->bus, gpa(BAR + at), width, &val));
	return val;
}

static void pci_vd_write(struct vdriver *d, uint64_t off, unsigned width, uint64_t val)
{
	struct pci_rig *r = d->transport;
	uint64_t at = off == 0x50 ? 0x3000 + 4 * val : bar_offset(off, &width);
	if (off == 0x64)
		return; /* reading acknowledged already */
	CHECK(at != NOT_THERE && bus_write(r->bus, gpa(BAR + at), off == 0x50 ? 2 : width, val));
}

static void rig_init(struct pci_rig *r, const char *class, const char *options)
{
	struct dev_setup s = vd_prepare(&r->d, NULL, options, true);
	struct irq irqs[4];
	for (unsigned i = 0; i < 4; i++)
		irqs[i] = (struct irq){ i == 5 % 4 ? vd_line : NULL, &r->d, i };
	CHECK(bus_new(&r->bus, NULL) == 0);
	struct dev_setup hs = { .bus = r->bus, .options = "mmio32=0x40000000:0x10000000",
		                .irqs = irqs, .nirqs = 4 };
	CHECK(dev_new(&r->host, dev_class_find("pci-host"), &hs, NULL) == 0);
	CHECK(dev_map(r->host, gpa(ECAM), NULL) == 0);
	CHECK(virtio_pci_new(&r->d.dev, pci_host_of(r->host), virtio_class_find(class), &s,
	                     NULL) == 0);
	r->config = ECAM + (5 << 15);
	r->d.transport = r;
	r->d.read = pci_vd_read;
	r->d.write = pci_vd_write;
	cfg_write(r, 0x10, 4, BAR);
	cfg_write(r, 4, 2, 6);
}

static void rig_fini(struct pci_rig *r)
{
	vd_fini(&r->d);
	dev_free(r->host);
	bus_free(r->bus);
}

TEST(virtio_pci_describes_itself)
{
	struct pci_rig r;
	rig_init(&r, "console", "slot=5");
	CHECK(cfg_read(&r, 0, 4) == (0x1af4 | 0x1043u << 16));
	CHECK(cfg_read(&r, 8, 4) >> 8 == 0x078000);
	unsigned types = 0, window = 0;
	for (unsigned at = cfg_read(&r, 0x34, 1), n = 0; at; at = cfg_read(&r, at + 1, 1), n++) {
		CHECK(n < 8 && cfg_read(&r, at, 1) == 9 && cfg_read(&r, at + 4, 1) == 0);
		unsigned type = cfg_read(&r, at + 3, 1);
		types |= 1u << type;
		window = type == 5 ? at : window;
		CHECK(cfg_read(&r, at + 8, 4) + cfg_read(&r, at + 12, 4) <= 0x4000);
	}
	CHECK(types == 0x3e);
	/* The window into the BAR: the status register by configuration space alone. */
	vd_set(&r.d, 0x70, 3);
	cfg_write(&r, window + 4, 1, 0);
	cfg_write(&r, window + 8, 4, 20);
	cfg_write(&r, window + 12, 4, 1);
	CHECK(cfg_read(&r, window + 16, 1) == 3 && cfg_read(&r, window + 8, 4) == 20);
	cfg_write(&r, window + 16, 1, 0);
	CHECK(vd_get(&r.d, 0x70) == 0);
	static const uint32_t odd[][2] = { { 20, 3 }, { 21, 2 }, { 0x4000, 4 }, { UINT32_MAX, 1 },
		                           { 0, 0 }, { 0, UINT32_MAX } };
	for (size_t i = 0; i < countof(odd); i++) {
		cfg_write(&r, window + 8, 4, odd[i][0]);
		cfg_write(&r, window + 12, 4, odd[i][1]);
		CHECK(cfg_read(&r, window + 16, 4) == 0);
		cfg_write(&r, window + 16, 4, UINT32_MAX);
	}
	rig_fini(&r);
}

TEST(virtio_pci_serves_both_rings)
{
	for (unsigned k = 0; k < 4; k++) {
		struct pci_rig r;
		uint64_t f = (k & 1 ? VIRTIO_F_RING_PACKED : 0) | (k & 2 ? VIRTIO_F_EVENT_IDX : 0);
		rig_init(&r, "rng", "slot=5,packed=on");
		vd_up(&r.d, f, 1, 16);
		struct vd_seg s = { vd_alloc(&r.d, 64), 64, true };
		for (int i = 0; i < 100; i++) {
			CHECK(vd_do(&r.d, 0, &s, 1, 0) == 64);
			CHECK(r.d.line && vd_get(&r.d, 0x60) == 1);
			CHECK(!r.d.line && vd_get(&r.d, 0x60) == 0);
		}
		s.addr = 0;
		vd_add(&r.d, 0, &s, 1, 0);
		vd_kick(&r.d, 0);
		CHECK(vd_broken(&r.d) && vd_get(&r.d, 0x60) == 2);
		rig_fini(&r);
	}
}

TEST(virtio_pci_survives_every_access)
{
	const struct virtio_class *c;
	for (size_t i = 0; (c = virtio_class_at(i)); i++) {
		struct pci_rig r;
		uint64_t seed = 88172645463325252ull + i, val;
		rig_init(&r, c->name, "slot=5");
		for (int n = 0; n < 20000; n++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			unsigned width = 1u << (seed & 3);
			uint64_t off = (seed >> 8) % (seed & 4 ? 0x4000 : 64) & ~(width - 1ull);
			uint64_t at = seed & 8 ? BAR + off : r.config + off % 256;
			if (seed & 16)
				(void)!bus_write(r.bus, gpa(at), width, seed >> 24);
			else
				(void)!bus_read(r.bus, gpa(at), width, &val);
			if (!(n & 255))
				vd_pump(&r.d);
			cfg_write(&r, 0x10, 4, BAR);
			cfg_write(&r, 4, 2, 6);
		}
		rig_fini(&r);
	}
}
