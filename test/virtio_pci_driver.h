/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of virtio_driver.h over PCI: a bridge, one function in slot 5, its BAR on the bus. */
#pragma once
#include "dev/pci/pci.h"
#include "test/virtio_driver.h"

enum {
	PCI_RIG_ECAM = 0x30000000,
	PCI_RIG_BAR = 0x40010000,
	PCI_RIG_NONE = 0xffff,
};

struct pci_rig {
	struct vdriver d;
	struct bus *bus;
	struct dev *host;
	uint64_t config; /* of the function, on the bus */
};

static inline uint32_t pci_cfg_read(struct pci_rig *r, unsigned off, unsigned width)
{
	uint64_t v = 0;
	CHECK(bus_read(r->bus, gpa(r->config + off), width, &v));
	return (uint32_t)v;
}
static inline void pci_cfg_write(struct pci_rig *r, unsigned off, unsigned width, uint32_t val)
{
	CHECK(bus_write(r->bus, gpa(r->config + off), width, val));
}

/* MMIO register numbers to the BAR; *ret_width is what the field has. */
static inline uint64_t pci_vd_offset(uint64_t off, unsigned *width)
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
	return PCI_RIG_NONE;
}

static inline uint64_t pci_vd_read(struct vdriver *d, uint64_t off, unsigned width)
{
	struct pci_rig *r = d->transport;
	uint64_t val = 0, at = pci_vd_offset(off, &width);
	CHECK(at != PCI_RIG_NONE && bus_read(r->bus, gpa(PCI_RIG_BAR + at), width, &val));
	return val;
}

static inline void pci_vd_write(struct vdriver *d, uint64_t off, unsigned width, uint64_t val)
{
	struct pci_rig *r = d->transport;
	uint64_t at = off == 0x50 ? 0x3000 + 4 * val : pci_vd_offset(off, &width);
	if (off == 0x64)
		return; /* reading acknowledged already */
	width = off == 0x50 ? 2 : width;
	CHECK(at != PCI_RIG_NONE && bus_write(r->bus, gpa(PCI_RIG_BAR + at), width, val));
}

static inline void pci_rig_init(struct pci_rig *r, const char *class, void *backend,
                                const char *options)
{
	struct dev_setup s = vd_prepare(&r->d, backend, options, true);
	struct irq irqs[4];
	for (unsigned i = 0; i < 4; i++)
		irqs[i] = (struct irq){ i == 5 % 4 ? vd_line : NULL, &r->d, i };
	CHECK(bus_new(&r->bus, NULL) == 0);
	struct dev_setup hs = { .bus = r->bus, .options = "mmio32=0x40000000:0x10000000",
		                .irqs = irqs, .nirqs = 4 };
	CHECK(dev_new(&r->host, dev_class_find("pci-host"), &hs, NULL) == 0);
	CHECK(dev_map(r->host, gpa(PCI_RIG_ECAM), NULL) == 0);
	CHECK(virtio_pci_new(&r->d.dev, pci_host_of(r->host), virtio_class_find(class), &s,
	                     NULL) == 0);
	r->config = PCI_RIG_ECAM + (5 << 15);
	r->d.transport = r;
	r->d.read = pci_vd_read;
	r->d.write = pci_vd_write;
	pci_cfg_write(r, 0x10, 4, PCI_RIG_BAR);
	pci_cfg_write(r, 4, 2, 6);
}

static inline void pci_rig_fini(struct pci_rig *r)
{
	vd_fini(&r->d);
	dev_free(r->host);
	bus_free(r->bus);
}
