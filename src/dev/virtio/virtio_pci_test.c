/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI transport, driven through configuration space and a BAR on the bus. */
#include "test/virtio_pci_driver.h"

TEST(virtio_pci_describes_itself)
{
	struct pci_rig r;
	pci_rig_init(&r, "console", NULL, "slot=5");
	CHECK(pci_cfg_read(&r, 0, 4) == (0x1af4 | 0x1043u << 16));
	CHECK(pci_cfg_read(&r, 8, 4) >> 8 == 0x078000);
	unsigned types = 0, window = 0;
	unsigned n = 0;
	for (unsigned at = pci_cfg_read(&r, 0x34, 1); at; at = pci_cfg_read(&r, at + 1, 1)) {
		CHECK(n++ < 8 && pci_cfg_read(&r, at, 1) == 9 && pci_cfg_read(&r, at + 4, 1) == 0);
		unsigned type = pci_cfg_read(&r, at + 3, 1);
		types |= 1u << type;
		window = type == 5 ? at : window;
		CHECK(pci_cfg_read(&r, at + 8, 4) + pci_cfg_read(&r, at + 12, 4) <= 0x4000);
	}
	CHECK(types == 0x3e);
	/* The window into the BAR: the status register by configuration space alone. */
	vd_set(&r.d, 0x70, 3);
	pci_cfg_write(&r, window + 4, 1, 0);
	pci_cfg_write(&r, window + 8, 4, 20);
	pci_cfg_write(&r, window + 12, 4, 1);
	CHECK(pci_cfg_read(&r, window + 16, 1) == 3 && pci_cfg_read(&r, window + 8, 4) == 20);
	pci_cfg_write(&r, window + 16, 1, 0);
	CHECK(vd_get(&r.d, 0x70) == 0);
	static const uint32_t odd[][2] = { { 20, 3 }, { 21, 2 }, { 0x4000, 4 }, { UINT32_MAX, 1 },
		                           { 0, 0 }, { 0, UINT32_MAX } };
	for (size_t i = 0; i < countof(odd); i++) {
		pci_cfg_write(&r, window + 8, 4, odd[i][0]);
		pci_cfg_write(&r, window + 12, 4, odd[i][1]);
		CHECK(pci_cfg_read(&r, window + 16, 4) == 0);
		pci_cfg_write(&r, window + 16, 4, UINT32_MAX);
	}
	pci_rig_fini(&r);
}

TEST(virtio_pci_serves_both_rings)
{
	for (unsigned k = 0; k < 4; k++) {
		struct pci_rig r;
		uint64_t f = (k & 1 ? VIRTIO_F_RING_PACKED : 0) | (k & 2 ? VIRTIO_F_EVENT_IDX : 0);
		pci_rig_init(&r, "rng", NULL, "slot=5,packed=on");
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
		pci_rig_fini(&r);
	}
}

TEST(virtio_pci_survives_every_access)
{
	const struct virtio_class *c;
	for (size_t i = 0; (c = virtio_class_at(i)); i++) {
		struct pci_rig r;
		uint64_t seed = 88172645463325252ull + i, val;
		pci_rig_init(&r, c->name, NULL, "slot=5");
		for (int n = 0; n < 20000; n++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			unsigned width = 1u << (seed & 3);
			uint64_t off = (seed >> 8) % (seed & 4 ? 0x4000 : 64) & ~(width - 1ull);
			uint64_t at = seed & 8 ? PCI_RIG_BAR + off : r.config + off % 256;
			if (seed & 16)
				(void)!bus_write(r.bus, gpa(at), width, seed >> 24);
			else
				(void)!bus_read(r.bus, gpa(at), width, &val);
			if (!(n & 255))
				vd_pump(&r.d);
			pci_cfg_write(&r, 0x10, 4, PCI_RIG_BAR);
			pci_cfg_write(&r, 4, 2, 6);
		}
		pci_rig_fini(&r);
	}
}
