/* SPDX-License-Identifier: Apache-2.0 */
/* pci: an ECAM host bridge and the functions behind it (bus 0, up to 32 devices of one function).
 * INTx only: device d's INTA goes to line d % 4 of the bridge.
 * Spec: PCI 3.0 §6 (configuration space), PCIE 5.0 §7.2.2 (ECAM).
 *
 * Lock order: bridge, then function, then the bridge's interrupt lock, then the controller. So a
 * function may call pci_fn_irq under its own lock, and nothing else here. */
#pragma once
#include "dev/dev.h"

enum { PCI_BARS = 6, PCI_SLOTS = 32, PCI_CONFIG = 256, PCI_CAPS = 0x40 };

struct pci_host;
struct pci_fn;
/* What a function tells its bridge. */
struct pci_fn_class {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
	/* Powers of two, at least 16; 0: absent. After a 64-bit BAR the next is absent. */
	uint64_t bar_len[PCI_BARS];
	bool bar64[PCI_BARS];
	bool bar_io[PCI_BARS]; /* in I/O space: at least 4 bytes, at most 256 */
	const struct bus_ops *bar_ops[PCI_BARS];
	/* A capability with registers (VIRTIO 1.2 §4.1.4.9). Both may be NULL: read-only bytes. For
	 * accesses from PCI_CAPS on, with the function's lock held. @plain: the bytes there. */
	uint32_t (*cap_read)(void *obj, unsigned off, unsigned width, uint32_t plain);
	void (*cap_write)(void *obj, unsigned off, unsigned width, uint32_t val);
};

/* The bridge is an ordinary dev (class "pci-host", 256 MiB of ECAM where dev_map puts it). Its
 * options are the windows that it forwards, each "io", "mmio32" or "mmio64" = BASE:LEN; memory is
 * forwarded one to one, I/O from port 0. A BAR outside its windows answers nowhere. irqs[0..3]
 * are INTA..INTD. */
struct pci_host *pci_host_of(struct dev *d);
/* Add a function at the next free device number from 1 on (or at @slot when >= 0). @cap is a ready
 * capability list, placed from PCI_CAPS on. @obj is handed to bar_ops, with @lock (may be NULL)
 * held. Borrowed: class, obj, lock. Errors: EINVAL, EEXIST, ENOSPC, ENOMEM. */
int pci_fn_new(struct pci_fn **ret, struct pci_host *h, const struct pci_fn_class *c, int slot,
               const uint8_t *cap, size_t cap_len, void *obj, pthread_mutex_t *lock,
               struct lodge_err *e) MUST;
/* Take it off the bus; NULL is fine. Before or after the bridge is freed; not under @lock. */
void pci_fn_free(struct pci_fn *f);
/* Level of INTA. Any thread; the function's lock may be held. */
void pci_fn_irq(struct pci_fn *f, bool level);
unsigned pci_fn_slot(const struct pci_fn *f);
/* The guest allows the function to access memory (command bit 2). Any thread. */
bool pci_fn_master(const struct pci_fn *f);
