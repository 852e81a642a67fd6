/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of the board, as the configuration asks for them. */
#include "level/machine/internal.h"

const struct window_at board_windows[WINDOW_COUNT] = {
#define WINDOW(name, base, size) { #name, base, size },
#include "level/machine/board.def"
};

static void part_event(void *user, enum dev_event ev, int code)
{
	struct machine *m = user;
	if (ev == DEV_RESET)
		machine_halt(m, HALT_RESET, 0, "reset");
	else if (ev == DEV_PANIC)
		machine_halt(m, HALT_ENDED, LODGE_EXIT_PANIC, "the guest kernel crashed");
	else
		machine_halt(m, HALT_ENDED, code & 255, "powered off");
}

static struct dev_setup part_setup(struct machine *m, const struct irq *irqs, unsigned nirqs,
                                   const char *options, void *backend)
{
	return (struct dev_setup){ .mem = m->mem, .bus = m->bus, .loop = m->env->loop,
		.clock = &m->clock, .log = m->env->log, .irqs = irqs, .nirqs = nirqs,
		.backend = backend, .options = options, .event = part_event, .user = m };
}

static int part_keep(struct machine *m, struct dev *d, struct lodge_err *e)
{
	if (m->nparts == PARTS_MAX) {
		dev_free(d);
		return err_set(e, ENOSPC, "more than %d devices", PARTS_MAX);
	}
	m->parts[m->nparts++] = d;
	return 0;
}

/* A platform device in its window. */
static int part_platform(struct machine *m, struct dev **ret, const char *class, enum window w,
                         const struct dev_setup *s, struct lodge_err *e)
{
	const struct dev_class *c = dev_class_find(class);
	struct dev *d = NULL;
	if (!c)
		return err_set(e, ENODEV, "this build has no device %s", class);
	int r = dev_new(&d, c, s, e);
	if (r == 0 && (r = part_keep(m, d, e)) == 0 && c->mmio)
		r = dev_map(d, gpa(board_windows[w].base), e);
	if (r == 0 && ret)
		*ret = d;
	return err_in(e, r, "%s", class);
}

static int part_plic(struct machine *m, struct lodge_err *e)
{
	struct irq out[2 * RV_HARTS_MAX];
	char options[64];
	unsigned n = m->rv.nharts;
	for (unsigned i = 0; i < n; i++) {
		out[2 * i] = (struct irq){ rv_hart_irq, m->vcpus[i].hart, RV_MEI };
		out[2 * i + 1] = (struct irq){ rv_hart_irq, m->vcpus[i].hart, RV_SEI };
	}
	snprintf(options, sizeof options, "sources=%d,contexts=%u", BOARD_SOURCES, 2 * n);
	struct dev_setup s = part_setup(m, out, 2 * n, options, NULL);
	return part_platform(m, &m->plic, "plic", WINDOW_plic, &s, e);
}

static int part_aclint(struct machine *m, struct lodge_err *e)
{
	struct irq out[2 * RV_HARTS_MAX];
	char options[32];
	unsigned n = m->rv.nharts;
	for (unsigned i = 0; i < n; i++) {
		out[2 * i] = (struct irq){ rv_hart_irq, m->vcpus[i].hart, RV_MSI };
		out[2 * i + 1] = (struct irq){ rv_hart_irq, m->vcpus[i].hart, RV_MTI };
	}
	snprintf(options, sizeof options, "harts=%u", n);
	struct dev_setup s = part_setup(m, out, 2 * n, options, NULL);
	return part_platform(m, NULL, "aclint", WINDOW_aclint, &s, e);
}

static int part_pci(struct machine *m, struct lodge_err *e)
{
	struct irq in[4];
	char options[256];
	for (unsigned i = 0; i < 4; i++)
		in[i] = plic_line(m->plic, BOARD_IRQ_PCI + i);
	const struct window_at *w = board_windows;
	snprintf(options, sizeof options,
		 "ecam=0x%llx,io=0x%llx:0x%llx,mmio32=0x%llx:0x%llx,"
		 "mmio64=0x%llx:0x%llx",
		 (unsigned long long)w[WINDOW_ecam].base, (unsigned long long)w[WINDOW_pci_io].base,
		 (unsigned long long)w[WINDOW_pci_io].size,
		 (unsigned long long)w[WINDOW_pci_mem].base,
		 (unsigned long long)w[WINDOW_pci_mem].size,
		 (unsigned long long)w[WINDOW_pci_mem64].base,
		 (unsigned long long)w[WINDOW_pci_mem64].size);
	struct dev_setup s = part_setup(m, in, 4, options, NULL);
	return part_platform(m, &m->pci, "pci-host", WINDOW_ecam, &s, e);
}

/* A virtio device on the bus @bus ("mmio" or "pci"). */
static int part_virtio(struct machine *m, struct dev **ret, const char *class, const char *bus,
                       const char *options, void *backend, struct lodge_err *e)
{
	const struct virtio_class *c = virtio_class_find(class);
	struct dev *d = NULL;
	int r;
	if (!c)
		return err_set(e, ENODEV, "this build has no device virtio-%s", class);
	if (bus && !strcmp(bus, "pci")) {
		struct dev_setup s = part_setup(m, NULL, 0, options, backend);
		r = virtio_pci_new(&d, pci_host_of(m->pci), c, &s, e);
		if (r == 0)
			r = part_keep(m, d, e);
	} else {
		if (m->mmio_slots == BOARD_MMIO_SLOTS)
			return err_set(e, ENOSPC,
				       "more than %d virtio devices over MMIO: use bus=pci",
				       BOARD_MMIO_SLOTS);
		unsigned slot = m->mmio_slots;
		struct irq line = plic_line(m->plic, BOARD_IRQ_MMIO + slot);
		struct dev_setup s = part_setup(m, &line, 1, options, backend);
		r = virtio_mmio_new(&d, c, &s, e);
		if (r == 0 && (r = part_keep(m, d, e)) == 0)
			r = dev_map(d, gpa(board_windows[WINDOW_virtio].base + 0x1000ull * slot),
				    e);
		m->mmio[slot].base = board_windows[WINDOW_virtio].base + 0x1000ull * slot;
		m->mmio[slot].irq = BOARD_IRQ_MMIO + slot;
		m->mmio_slots++;
	}
	if (r == 0 && ret)
		*ret = d;
	return err_in(e, r, "virtio-%s", class);
}

/* The format of disk @i, as it was found when the guest first started: a guest can write another
 * format's header into its own raw disk, and must not get it believed at the next start. */
static int format_recall(const struct machine *m, unsigned i, char *ret, size_t cap)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/disk%u.format", m->env->instance_dir, i);
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	char *got = fgets(ret, (int)cap, f);
	fclose(f);
	return got ? 0 : -EINVAL;
}

static int format_keep(const struct machine *m, unsigned i, const char *format, struct lodge_err *e)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/disk%u.format", m->env->instance_dir, i);
	FILE *f = fopen(path, "we");
	if (!f)
		return err_sys(e, "%s", path);
	bool bad = fputs(format, f) < 0;
	return fclose(f) || bad ? err_sys(e, "writing %s", path) : 0;
}

static int part_blk(struct machine *m, const struct life_disk *d, struct lodge_err *e)
{
	char path[4096], known[16];
	unsigned i = m->ndisks;
	if (i == DISKS_MAX)
		return err_set(e, ENOSPC, "more than %d disks", DISKS_MAX);
	snprintf(path, sizeof path, "%s/disk%u.raw", m->env->instance_dir, i);
	bool recalled = format_recall(m, i, known, sizeof known) == 0;
	const char *format = !d->path ? "raw" : d->format ? d->format : recalled ? known : NULL;
	/* Whoever names the format trusts the image; a probed one may not name other files. */
	struct blk_options o = { .path = d->path ? d->path : path, .format = format,
		.overlay = d->overlay, .readonly = d->readonly, .size = d->path ? 0 : d->size,
		.no_base = d->path && !d->format };
	int r = blk_open(&m->disks[i], &o, m->env->loop, e);
	if (r == 0) {
		m->ndisks++;
		r = recalled ? 0 : format_keep(m, i, blk_format(m->disks[i]), e);
	}
	return r;
}

static int part_disk(struct machine *m, const char *spec, struct lodge_err *e)
{
	struct life_disk d;
	char options[64];
	int r = life_disk_parse(&d, spec, e);
	if (r < 0)
		return r;
	unsigned i = m->ndisks;
	r = part_blk(m, &d, e);
	if (r == 0) {
		snprintf(options, sizeof options, "serial=lodge%u,queues=%u", i,
		         m->rv.nharts < 8 ? m->rv.nharts : 8);
		struct dev *made = NULL;
		r = part_virtio(m, &made, "blk", d.bus ? d.bus : m->config->bus, options,
				m->disks[i], e);
		m->disk_devs[i] = r == 0 ? virtio_of(made) : NULL;
	}
	life_disk_fini(&d);
	return err_in(e, r, "disk %s", spec);
}

static int part_volume(struct machine *m, unsigned i, struct lodge_err *e)
{
	struct life_volume v;
	char options[4352];
	int r = life_volume_parse(&v, m->config->volumes[i], e);
	if (r < 0)
		return r;
	if (strchr(v.source, ','))
		r = err_set(e, EINVAL, "shared folder %s: a comma in the path is not possible",
			    v.source);
	else {
		/* In a root it is as the root: files belong to whom the guest says. */
		bool own = m->config->root && geteuid() == 0;
		snprintf(options, sizeof options, "tag=lodge%u,path=%s%s%s", i, v.source,
		         v.readonly ? ",ro=on" : "", own ? ",owner=guest" : "");
		r = part_virtio(m, NULL, "fs", m->config->bus, options, NULL, e);
	}
	life_volume_fini(&v);
	return r;
}

/* Those of env->sockets: their names are what they publish. */
static unsigned ports_held(const struct machine *m, struct net_port ret[LIFE_SOCKETS_MAX])
{
	unsigned n = 0;
	for (size_t i = 0; i < m->env->nsockets; i++)
		if (net_port_parse(&ret[n], m->env->sockets[i].name, NULL) == 0)
			ret[n++].fd = m->env->sockets[i].fd;
	return n;
}

static int part_net(struct machine *m, struct lodge_err *e)
{
	struct net_port held[LIFE_SOCKETS_MAX];
	const struct lodge_config *c = m->config;
	struct net_options o = { .kind = c->net, .publish = c->publish,
		.npublish = (unsigned)c->npublish, .hostname = m->env->name, .held = held,
		.mac = life_option(c, "mac"), .nheld = ports_held(m, held) };
	if (c->net && !strcmp(c->net, "none")) {
		if (c->npublish)
			return err_set(e, EINVAL, "ports cannot be published without a network");
		return 0;
	}
	if (c->net && !strncmp(c->net, "tap:", 4)) {
		o.kind = "tap";
		o.tap = c->net + 4;
	}
	int r = net_open(&m->net, &o, m->env->loop, m->env->log, e);
	if (r < 0)
		return err_in(e, r, "network");
	struct dev *made = NULL;
	r = part_virtio(m, &made, "net", c->bus, NULL, m->net, e);
	m->net_dev = r == 0 ? virtio_of(made) : NULL;
	return r;
}

static int part_console(struct machine *m, struct lodge_err *e)
{
	struct dev *d = NULL;
	const char *kind = life_option(m->config, "console");
	bool hvc = kind && !strcmp(kind, "virtio");
	m->ports.console = hvc ? m->console : NULL;
	m->ports.ports[0].name = "org.lodge.agent";
	m->ports.ports[0].chr = m->agent;
	int r = part_virtio(m, &d, "console", m->config->bus, NULL, &m->ports, e);
	if (r == 0)
		m->console_dev = virtio_of(d);
	return r;
}

static int parts_virtio(struct machine *m, struct lodge_err *e)
{
	const struct lodge_config *c = m->config;
	struct dev *balloon = NULL, *vsock = NULL;
	char options[4352];
	int r = 0;
	/* what threads of their own do to memory and lines comes at no time that can be repeated */
	if (vclock_is_counted(&m->clock))
		return 0;
	for (size_t i = 0; i < c->ndisks && r == 0; i++)
		r = part_disk(m, c->disks[i], e);
	if (r == 0)
		r = part_net(m, e);
	if (r == 0)
		r = part_console(m, e);
	if (r == 0)
		r = part_virtio(m, NULL, "rng", c->bus, NULL, NULL, e);
	if (r == 0)
		r = part_virtio(m, &balloon, "balloon", c->bus, NULL, NULL, e);
	if (r == 0)
		m->balloon = virtio_of(balloon);
	unsigned cid = 3;
	if (r == 0)
		r = option_unsigned(c, "cid", VSOCK_CID, UINT32_MAX - 1, &cid, e);
	snprintf(options, sizeof options, "cid=%u,path=%s/vsock.sock", cid, m->env->runtime_dir);
	if (r == 0 && !strchr(m->env->runtime_dir, ',')) {
		r = part_virtio(m, &vsock, "vsock", c->bus, options, NULL, e);
		m->vsock = r == 0 ? virtio_of(vsock) : NULL;
	}
	for (unsigned i = 0; i < c->nvolumes && r == 0; i++)
		r = part_volume(m, i, e);
	if (r == 0 && c->root)
		r = root_share(m, e);
	if (r == 0 && c->root)
		r = part_virtio(m, NULL, "fs", c->bus, "tag=" ROOT_TAG, m->root, e);
	return r;
}

int parts_make(struct machine *m, struct lodge_err *e)
{
	const char *kind = life_option(m->config, "console");
	bool hvc = kind && !strcmp(kind, "virtio");
	int r = part_plic(m, e);
	if (r == 0)
		r = part_aclint(m, e);
	struct dev_setup plain = part_setup(m, NULL, 0, NULL, NULL);
	if (r == 0)
		r = part_platform(m, NULL, "finisher", WINDOW_finisher, &plain, e);
	if (r < 0)
		return r;
	struct irq rtc = plic_line(m->plic, BOARD_IRQ_RTC),
		   uart = plic_line(m->plic, BOARD_IRQ_UART);
	struct dev_setup rtc_setup = part_setup(m, &rtc, 1, NULL, NULL);
	struct dev_setup uart_setup = part_setup(m, &uart, 1, NULL, hvc ? NULL : m->console);
	r = part_platform(m, NULL, "rtc-goldfish", WINDOW_rtc, &rtc_setup, e);
	if (r == 0)
		r = part_platform(m, NULL, "uart16550", WINDOW_uart, &uart_setup, e);
	struct irq generation = plic_line(m->plic, BOARD_IRQ_VMGENID);
	struct dev_setup vmgenid_setup = part_setup(m, &generation, 1, NULL, NULL);
	if (r == 0)
		r = part_platform(m, NULL, "vmgenid", WINDOW_vmgenid, &vmgenid_setup, e);
	if (r == 0)
		r = part_pci(m, e);
	return r < 0 ? r : parts_virtio(m, e);
}

void parts_free(struct machine *m)
{
	/* Devices first (they let go of their backends), the bridge and the PLIC last. */
	while (m->nparts)
		dev_free(m->parts[--m->nparts]);
	for (unsigned i = 0; i < m->ndisks; i++)
		blk_close(m->disks[i]);
	m->ndisks = 0;
	net_close(m->net);
	m->net = NULL;
	share_close(m->root);
	m->root = NULL;
}
