/* SPDX-License-Identifier: Apache-2.0 */
/* Generic ECAM host bridge: configuration space of every function on bus 0, BARs that come and go
 * on the machine's bus, and four interrupt lines. There is no function for the bridge itself.
 * Spec: PCI 3.0 §6, PCIE 5.0 §7.2.2.
 *
 *   ECAM offset: 27..20 bus | 19..15 device | 14..12 function | 11..0 register
 *
 * Every configuration byte is template, writable mask and value; a write can change masked bits
 * only, so nothing that a guest writes needs further checks except where a BAR lies. */
#include "dev/pci/pci.h"

enum {
	CFG_COMMAND = 0x04,
	CFG_STATUS = 0x06,
	CFG_BAR0 = 0x10,
	CFG_CAP_POINTER = 0x34,
	CFG_IRQ_LINE = 0x3c,
	CFG_IRQ_PIN = 0x3d,
	COMMAND_IO = 1,
	COMMAND_MEMORY = 2,
	COMMAND_MASTER = 4,
	COMMAND_INTX_OFF = 0x400,
	STATUS_INTX = 8,
	STATUS_CAPS = 0x10,
	BAR_IO = 1,
	BAR_64 = 4,
	PCI_LINES = 4,
	PCI_ECAM = 0x10000000,
};

struct pci_fn {
	struct pci_host *host; /* NULL once the bridge is gone */
	const struct pci_fn_class *class;
	void *obj;
	pthread_mutex_t *lock;
	unsigned slot;
	uint8_t fixed[PCI_CONFIG], mask[PCI_CONFIG];
	uint64_t mapped[PCI_BARS]; /* where on the bus; 0: nowhere */
	bool level, intx_off;      /* under host->irq_lock */
	uint16_t command;          /* atomic copy */
};

struct pci_window {
	uint64_t base, len;
};

struct pci_host {
	struct dev dev;
	struct pci_window io, mmio32, mmio64;
	struct pci_fn *fn[PCI_SLOTS]; /* borrowed: their owners free them */
	uint8_t config[PCI_SLOTS][PCI_CONFIG];
	pthread_mutex_t irq_lock;
};

static const struct state_field pci_state[] = { STATE(struct pci_host, config, 1), STATE_END };

static uint8_t *fn_config(struct pci_fn *f) { return f->host->config[f->slot]; }

/* ---- interrupts ---- */

/* Drive the line that @slot shares with every fourth device; irq_lock is held. */
static void pci_line_update(struct pci_host *h, unsigned slot)
{
	bool level = false;
	for (unsigned s = slot % PCI_LINES; s < PCI_SLOTS; s += PCI_LINES)
		level = level || (h->fn[s] && h->fn[s]->level && !h->fn[s]->intx_off);
	if (slot % PCI_LINES < h->dev.s.nirqs)
		irq_set(&h->dev.s.irqs[slot % PCI_LINES], level);
}

void pci_fn_irq(struct pci_fn *f, bool level)
{
	struct pci_host *h = f->host;
	if (!h)
		return;
	pthread_mutex_lock(&h->irq_lock);
	if (f->level != level) {
		f->level = level;
		pci_line_update(h, f->slot);
	}
	pthread_mutex_unlock(&h->irq_lock);
}

static bool fn_irq_level(struct pci_fn *f)
{
	pthread_mutex_lock(&f->host->irq_lock);
	bool level = f->level;
	pthread_mutex_unlock(&f->host->irq_lock);
	return level;
}

/* ---- BARs ---- */

static bool window_holds(const struct pci_window *w, uint64_t base, uint64_t len)
{
	return base >= w->base && len <= w->len && base - w->base <= w->len - len;
}

/* Address on the bus that BAR @i asks for; 0: none, or outside what the bridge forwards. */
static uint64_t fn_bar_wanted(struct pci_fn *f, unsigned i)
{
	const struct pci_fn_class *c = f->class;
	const struct pci_host *h = f->host;
	const uint8_t *cfg = fn_config(f);
	uint64_t at = le32_at(cfg + CFG_BAR0 + 4 * i), len = c->bar_len[i];
	unsigned command = le16_at(cfg + CFG_COMMAND);
	if (len == 0)
		return 0;
	if (c->bar_io[i]) {
		at &= ~(len - 1);
		if (!(command & COMMAND_IO) || at == 0 || at >= h->io.len || len > h->io.len - at)
			return 0;
		return h->io.base + at;
	}
	if (c->bar64[i])
		at |= (uint64_t)le32_at(cfg + CFG_BAR0 + 4 * (i + 1)) << 32;
	at &= ~(len - 1);
	if (!(command & COMMAND_MEMORY) || at == 0)
		return 0;
	return window_holds(&h->mmio32, at, len) || window_holds(&h->mmio64, at, len) ? at : 0;
}

static void fn_unmap(struct pci_fn *f, bool all)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		if (!f->mapped[i] || (!all && f->mapped[i] == fn_bar_wanted(f, i)))
			continue;
		bus_unmap(f->host->dev.s.bus, gpa(f->mapped[i]));
		f->mapped[i] = 0;
	}
}

/* A BAR that would lie over another answers nowhere until there is room. */
static void fn_map(struct pci_fn *f)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		uint64_t at = f->mapped[i] ? 0 : fn_bar_wanted(f, i);
		if (at && bus_map(f->host->dev.s.bus, gpa(at), f->class->bar_len[i],
		                  f->class->bar_ops[i], f->obj, f->lock, NULL) == 0)
			f->mapped[i] = at;
	}
}

/* First take away what moved, then place everything that can be placed: what the guest sees does
 * not depend on the order in which it swaps two BARs. */
static void pci_remap(struct pci_host *h)
{
	if (!h->dev.s.bus)
		return;
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		if (h->fn[s])
			fn_unmap(h->fn[s], false);
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		if (h->fn[s])
			fn_map(h->fn[s]);
}

/* ---- configuration space ---- */

static void fn_command_changed(struct pci_fn *f)
{
	struct pci_host *h = f->host;
	uint16_t command = le16_at(fn_config(f) + CFG_COMMAND);
	__atomic_store_n(&f->command, command, __ATOMIC_RELEASE);
	pthread_mutex_lock(&h->irq_lock);
	f->intx_off = command & COMMAND_INTX_OFF;
	pci_line_update(h, f->slot);
	pthread_mutex_unlock(&h->irq_lock);
}

bool pci_fn_master(const struct pci_fn *f)
{
	return __atomic_load_n(&f->command, __ATOMIC_ACQUIRE) & COMMAND_MASTER;
}

static uint32_t fn_read(struct pci_fn *f, unsigned off, unsigned width)
{
	uint8_t bytes[4] = { 0 };
	memcpy(bytes, fn_config(f) + off, width);
	if (off <= CFG_STATUS && CFG_STATUS < off + width && fn_irq_level(f))
		bytes[CFG_STATUS - off] |= STATUS_INTX;
	uint32_t val = le32_at(bytes);
	if (off < PCI_CAPS || !f->class->cap_read)
		return val;
	if (f->lock)
		pthread_mutex_lock(f->lock);
	val = f->class->cap_read(f->obj, off, width, val);
	if (f->lock)
		pthread_mutex_unlock(f->lock);
	return val;
}

static void fn_write(struct pci_fn *f, unsigned off, unsigned width, uint32_t val)
{
	uint8_t *cfg = fn_config(f);
	if (off >= PCI_CAPS) {
		if (!f->class->cap_write)
			return;
		if (f->lock)
			pthread_mutex_lock(f->lock);
		f->class->cap_write(f->obj, off, width, val);
		if (f->lock)
			pthread_mutex_unlock(f->lock);
		return;
	}
	for (unsigned i = 0; i < width; i++) {
		uint8_t m = f->mask[off + i];
		cfg[off + i] = (uint8_t)((cfg[off + i] & ~m) | (val >> 8 * i & m));
	}
	if (off < CFG_STATUS)
		fn_command_changed(f);
	pci_remap(f->host);
}

/* The function that an ECAM offset means; NULL: nobody, which reads as all ones. */
static struct pci_fn *pci_fn_at(struct pci_host *h, uint64_t off)
{
	return off >> 20 || off >> 12 & 7 ? NULL : h->fn[off >> 15 & 31];
}

static uint64_t pci_read(struct dev *d, uint64_t off, unsigned width)
{
	struct pci_fn *f = pci_fn_at((struct pci_host *)d, off);
	if (!f)
		return 0xffffffff;
	unsigned reg = off & 0xfff;
	return reg < PCI_CONFIG ? fn_read(f, reg, width) : 0; /* no extended capabilities */
}

static void pci_write(struct dev *d, uint64_t off, unsigned width, uint64_t val)
{
	struct pci_fn *f = pci_fn_at((struct pci_host *)d, off);
	unsigned reg = off & 0xfff;
	if (f && reg < PCI_CONFIG)
		fn_write(f, reg, width, (uint32_t)val);
}

/* ---- functions ---- */

static bool bars_valid(const struct pci_fn_class *c)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		uint64_t len = c->bar_len[i];
		if (len == 0)
			continue;
		if (len & (len - 1) || !c->bar_ops[i] || len < (c->bar_io[i] ? 4 : 16))
			return false;
		if (c->bar_io[i] && (c->bar64[i] || len > 256))
			return false;
		if (!c->bar64[i] && len > 1u << 31)
			return false;
		if (c->bar64[i] && (i + 1 == PCI_BARS || c->bar_len[i + 1]))
			return false;
	}
	return true;
}

static void fn_fill_bars(struct pci_fn *f, unsigned *command)
{
	const struct pci_fn_class *c = f->class;
	for (unsigned i = 0; i < PCI_BARS; i++) {
		uint64_t mask = ~(c->bar_len[i] - 1);
		if (c->bar_len[i] == 0)
			continue;
		f->fixed[CFG_BAR0 + 4 * i] = c->bar_io[i] ? BAR_IO : c->bar64[i] ? BAR_64 : 0;
		le32_put(f->mask + CFG_BAR0 + 4 * i, (uint32_t)mask);
		if (c->bar64[i])
			le32_put(f->mask + CFG_BAR0 + 4 * (i + 1), (uint32_t)(mask >> 32));
		*command |= c->bar_io[i] ? COMMAND_IO : COMMAND_MEMORY;
	}
}

/* PCI 3.0 §6.1, type 00h header */
static void fn_fill(struct pci_fn *f, const uint8_t *cap, size_t cap_len)
{
	const struct pci_fn_class *c = f->class;
	unsigned command = COMMAND_MASTER | COMMAND_INTX_OFF;
	le16_put(f->fixed, c->vendor);
	le16_put(f->fixed + 0x02, c->device);
	le32_put(f->fixed + 0x08, c->class_code << 8 | c->revision);
	le16_put(f->fixed + 0x2c, c->subsystem_vendor);
	le16_put(f->fixed + 0x2e, c->subsystem);
	f->fixed[CFG_IRQ_PIN] = 1; /* INTA */
	f->mask[0x0c] = 0xff;      /* cache line size: a place to write */
	f->mask[CFG_IRQ_LINE] = 0xff;
	fn_fill_bars(f, &command);
	le16_put(f->mask + CFG_COMMAND, (uint16_t)command);
	if (!cap_len)
		return;
	f->fixed[CFG_STATUS] = STATUS_CAPS;
	f->fixed[CFG_CAP_POINTER] = PCI_CAPS;
	memcpy(f->fixed + PCI_CAPS, cap, cap_len);
}

static int pci_slot_pick(const struct pci_host *h, int slot, struct lodge_err *e)
{
	if (slot >= PCI_SLOTS)
		return err_set(e, EINVAL, "pci device number %d", slot);
	if (slot >= 0)
		return h->fn[slot] ? err_set(e, EEXIST, "pci device %d is taken", slot) : slot;
	for (slot = 1; slot < PCI_SLOTS; slot++)
		if (!h->fn[slot])
			return slot;
	return err_set(e, ENOSPC, "more than %d pci devices", PCI_SLOTS - 1);
}

int pci_fn_new(struct pci_fn **ret, struct pci_host *h, const struct pci_fn_class *c, int slot,
               const uint8_t *cap, size_t cap_len, void *obj, pthread_mutex_t *lock,
               struct lodge_err *e)
{
	if (!bars_valid(c) || cap_len > PCI_CONFIG - PCI_CAPS)
		return err_set(e, EINVAL, "pci function %04x:%04x is not valid", c->vendor,
		               c->device);
	struct pci_fn *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(e, ENOMEM, "out of memory");
	*f = (struct pci_fn){ .host = h, .class = c, .obj = obj, .lock = lock };
	fn_fill(f, cap, cap_len);
	pthread_mutex_lock(&h->dev.lock);
	int r = pci_slot_pick(h, slot, e);
	if (r >= 0) {
		f->slot = (unsigned)r;
		memcpy(h->config[f->slot], f->fixed, PCI_CONFIG);
		pthread_mutex_lock(&h->irq_lock);
		h->fn[f->slot] = f;
		pthread_mutex_unlock(&h->irq_lock);
		*ret = f;
		r = 0;
	} else {
		free(f);
	}
	pthread_mutex_unlock(&h->dev.lock);
	return r;
}

static void fn_detach(struct pci_fn *f)
{
	struct pci_host *h = f->host;
	fn_unmap(f, true);
	pthread_mutex_lock(&h->irq_lock);
	h->fn[f->slot] = NULL;
	pci_line_update(h, f->slot);
	pthread_mutex_unlock(&h->irq_lock);
	memset(h->config[f->slot], 0, PCI_CONFIG);
	f->host = NULL;
}

void pci_fn_free(struct pci_fn *f)
{
	if (!f)
		return;
	struct pci_host *h = f->host;
	if (h) {
		pthread_mutex_lock(&h->dev.lock);
		fn_detach(f);
		pci_remap(h);
		pthread_mutex_unlock(&h->dev.lock);
	}
	free(f);
}

unsigned pci_fn_slot(const struct pci_fn *f) { return f->slot; }

/* ---- the bridge ---- */

static int pci_window_option(struct dev *d, const char *key, struct pci_window *ret,
                             struct lodge_err *e)
{
	char buf[64], *colon, *end = NULL;
	if (!dev_option(d, key, buf, sizeof buf))
		return 0;
	errno = 0;
	uint64_t base = strtoull(buf, &colon, 0), len = 0;
	if (*colon == ':')
		len = strtoull(colon + 1, &end, 0);
	if (*colon != ':' || !end || *end || errno || len == 0 || base + (len - 1) < base)
		return err_set(e, EINVAL, "option %s=%s is not BASE:LEN", key, buf);
	*ret = (struct pci_window){ base, len };
	return 0;
}

static int pci_init(struct dev *d, struct lodge_err *e)
{
	struct pci_host *h = (struct pci_host *)d;
	pthread_mutex_init(&h->irq_lock, NULL);
	int r = pci_window_option(d, "io", &h->io, e);
	if (r == 0)
		r = pci_window_option(d, "mmio32", &h->mmio32, e);
	if (r == 0)
		r = pci_window_option(d, "mmio64", &h->mmio64, e);
	return r;
}

static void pci_fini(struct dev *d)
{
	struct pci_host *h = (struct pci_host *)d;
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		if (h->fn[s])
			fn_detach(h->fn[s]);
	pthread_mutex_destroy(&h->irq_lock);
}

/* Only masked bits can come from a stream; the rest is what the function says today. */
static bool pci_loaded(struct dev *d)
{
	struct pci_host *h = (struct pci_host *)d;
	for (unsigned s = 0; s < PCI_SLOTS; s++) {
		struct pci_fn *f = h->fn[s];
		for (unsigned i = 0; i < PCI_CONFIG; i++)
			h->config[s][i] = f ? (uint8_t)((h->config[s][i] & f->mask[i]) |
			                                (f->fixed[i] & ~f->mask[i]))
			                    : 0;
		if (f)
			fn_command_changed(f);
	}
	pci_remap(h);
	return true;
}

static void pci_reset(struct dev *d)
{
	struct pci_host *h = (struct pci_host *)d;
	memset(h->config, 0, sizeof h->config);
	pci_loaded(d);
}

const struct dev_class dev_pci_host = {
	.name = "pci-host",
	.summary = "ECAM bridge to PCI bus 0; io,mmio32,mmio64=BASE:LEN",
	.spec = "PCIE 5.0 §7.2.2",
	.size = sizeof(struct pci_host),
	.width_min = 1,
	.width_max = 4,
	.mmio = PCI_ECAM,
	.init = pci_init,
	.fini = pci_fini,
	.reset = pci_reset,
	.read = pci_read,
	.write = pci_write,
	.state = pci_state,
	.loaded = pci_loaded,
};

struct pci_host *pci_host_of(struct dev *d)
{
	assert(d->class == &dev_pci_host);
	return (struct pci_host *)d;
}
