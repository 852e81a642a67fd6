/* SPDX-License-Identifier: Apache-2.0 */
/* pci: an ECAM host bridge and the functions behind it (bus 0, up to 32 devices of one function).
 * INTx only: device d's INTA goes to line (d + 0) % 4 of the bridge. Spec: PCIe 5.0 §7. */
#pragma once
#include "dev/dev.h"

struct pci_host;
struct pci_fn;
/* What a function tells its bridge. */
struct pci_fn_class {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
	uint64_t bar_len[6]; /* powers of two; 0: absent; a 64-bit BAR uses two slots */
	bool bar64[6];
	const struct bus_ops *bar_ops[6];
};

/* The bridge is an ordinary dev (class dev_pci_host): ECAM window of 256 MiB for one segment is
 * s->options "ecam=..,io=..,mmio32=BASE:LEN,mmio64=BASE:LEN"; irqs[0..3] are INTA..INTD. */
struct pci_host *pci_host_of(struct dev *d);
/* Add a function at the next free device number (or @slot when >= 0). @cap bytes of vendor
 * capabilities are placed from 0x40 on. @obj is handed to bar_ops. Borrowed: class, obj. */
int pci_fn_new(struct pci_fn **ret, struct pci_host *h, const struct pci_fn_class *c, int slot,
               const uint8_t *cap, size_t cap_len, void *obj, pthread_mutex_t *lock,
               struct lodge_err *e) MUST;
void pci_fn_free(struct pci_fn *f);
void pci_fn_irq(struct pci_fn *f, bool level);
unsigned pci_fn_slot(const struct pci_fn *f);
