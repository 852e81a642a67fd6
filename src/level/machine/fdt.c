/* SPDX-License-Identifier: Apache-2.0 */
/* The device tree of the board. Spec: Devicetree 0.4; the bindings are Linux's. */
#include "level/machine/internal.h"
#include <libfdt.h>

/* What harts can do. A and D bits are updated by hardware when the built-in SBI runs the machine;
 * older firmware does not know how to switch that on. */
static const char *const extensions[] = {
	"i", "m", "a", "f", "d", "c", "zicbom", "zicbop", "zicboz", "zicntr", "zicond", "zicsr",
	"zifencei", "zihpm", "zawrs", "zacas", "zfa", "zfhmin", "zba", "zbb", "zbc", "zbs", "sstc",
	"svinval", "svnapot", "svpbmt", "svvptc",
};
/* phandles */
enum { PHANDLE_PLIC = 1, PHANDLE_FINISHER = 2, PHANDLE_CPU = 16 /* + hart: its interrupts */ };

/* @bad collects the errors of libfdt; fdt_make looks at it once. */
struct tree { void *buf; int bad; };

static void node(struct tree *t, const char *name) { t->bad |= fdt_begin_node(t->buf, name); }
static void end(struct tree *t) { t->bad |= fdt_end_node(t->buf); }
static void u32(struct tree *t, const char *k, uint32_t v)
{
	t->bad |= fdt_property_u32(t->buf, k, v);
}
static void u64(struct tree *t, const char *k, uint64_t v)
{
	t->bad |= fdt_property_u64(t->buf, k, v);
}
static void str(struct tree *t, const char *k, const char *v)
{
	t->bad |= fdt_property(t->buf, k, v, (int)strlen(v) + 1);
}
static void flag(struct tree *t, const char *k) { t->bad |= fdt_property(t->buf, k, NULL, 0); }
static void cells(struct tree *t, const char *k, const uint32_t *v, unsigned n)
{
	uint8_t be[4 * 64];
	for (unsigned i = 0; i < n && i < 64; i++)
		le32_put(be + 4u * i, __builtin_bswap32(v[i]));
	t->bad |= fdt_property(t->buf, k, be, (int)(4 * n));
}
static void reg(struct tree *t, uint64_t base, uint64_t size)
{
	const uint32_t v[4] = { (uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(size >> 32),
		(uint32_t)size };
	cells(t, "reg", v, 4);
}
static void node_at(struct tree *t, const char *name, uint64_t base, uint64_t size)
{
	char full[48];
	snprintf(full, sizeof full, "%s@%llx", name, (unsigned long long)base);
	node(t, full);
	reg(t, base, size);
}
static void interrupt(struct tree *t, unsigned irq)
{
	u32(t, "interrupt-parent", PHANDLE_PLIC);
	u32(t, "interrupts", irq);
}

static const char *extension_at(const struct machine *m, size_t i)
{
	const char *more[] = { m->rv.sbi ? "svadu" : "svade", m->rv.vlen ? "v" : NULL, "zvfhmin",
		               NULL };
	size_t n = countof(extensions);
	return i < n ? extensions[i] : i < n + countof(more) ? more[i - n] : NULL;
}

void fdt_isa(const struct machine *m, char buf[FDT_ISA_MAX])
{
	const char *x;
	snprintf(buf, FDT_ISA_MAX, "rv64imafdc%s", m->rv.vlen ? "v" : "");
	for (size_t i = 0; (x = extension_at(m, i)); i++)
		if (strlen(x) > 1)
			snprintf(buf + strlen(buf), FDT_ISA_MAX - strlen(buf), "_%s", x);
}

static void tree_isa(struct tree *t, const struct machine *m)
{
	char isa[FDT_ISA_MAX], list[512];
	const char *x;
	size_t n = 0;
	for (size_t i = 0; (x = extension_at(m, i)); i++) {
		memcpy(list + n, x, strlen(x) + 1);
		n += strlen(x) + 1;
	}
	fdt_isa(m, isa);
	str(t, "riscv,isa", isa);
	str(t, "riscv,isa-base", "rv64i");
	t->bad |= fdt_property(t->buf, "riscv,isa-extensions", list, (int)n);
	u32(t, "riscv,cbom-block-size", 64);
	u32(t, "riscv,cboz-block-size", 64);
	u32(t, "riscv,cbop-block-size", 64);
}

static void tree_cpus(struct tree *t, const struct machine *m)
{
	char name[32];
	node(t, "cpus");
	u32(t, "#address-cells", 1);
	u32(t, "#size-cells", 0);
	u32(t, "timebase-frequency", RV_TIMEBASE_HZ);
	for (unsigned i = 0; i < m->rv.nharts; i++) {
		snprintf(name, sizeof name, "cpu@%x", i);
		node(t, name);
		str(t, "device_type", "cpu");
		u32(t, "reg", i);
		str(t, "status", "okay");
		str(t, "compatible", "riscv");
		tree_isa(t, m);
		snprintf(name, sizeof name, "riscv,sv%u", m->rv.mmu_max);
		str(t, "mmu-type", name);
		node(t, "interrupt-controller");
		u32(t, "#interrupt-cells", 1);
		flag(t, "interrupt-controller");
		str(t, "compatible", "riscv,cpu-intc");
		u32(t, "phandle", PHANDLE_CPU + i);
		end(t);
		end(t);
	}
	end(t);
}

static void tree_interrupts(struct tree *t, const struct machine *m)
{
	uint32_t plic[4 * RV_HARTS_MAX], clint[4 * RV_HARTS_MAX];
	unsigned n = m->rv.nharts;
	const struct window_at *w = board_windows;
	for (unsigned i = 0; i < n; i++) {
		uint32_t p = PHANDLE_CPU + i;
		memcpy(plic + 4 * i, (uint32_t[]){ p, RV_MEI, p, RV_SEI }, 16);
		memcpy(clint + 4 * i, (uint32_t[]){ p, RV_MSI, p, RV_MTI }, 16);
	}
	node_at(t, "clint", w[WINDOW_aclint].base, w[WINDOW_aclint].size);
	t->bad |= fdt_property(t->buf, "compatible", "sifive,clint0\0riscv,clint0", 27);
	cells(t, "interrupts-extended", clint, 4 * n);
	end(t);
	node_at(t, "plic", w[WINDOW_plic].base, w[WINDOW_plic].size);
	t->bad |= fdt_property(t->buf, "compatible", "sifive,plic-1.0.0\0riscv,plic0", 30);
	u32(t, "#interrupt-cells", 1);
	u32(t, "#address-cells", 0);
	flag(t, "interrupt-controller");
	u32(t, "riscv,ndev", BOARD_SOURCES);
	cells(t, "interrupts-extended", plic, 4 * n);
	u32(t, "phandle", PHANDLE_PLIC);
	end(t);
}

static void tree_power(struct tree *t, const char *name, const char *compatible, uint32_t value)
{
	node(t, name);
	str(t, "compatible", compatible);
	u32(t, "regmap", PHANDLE_FINISHER);
	u32(t, "offset", 0);
	u32(t, "value", value);
	end(t);
}

static void tree_platform(struct tree *t, const struct machine *m)
{
	const struct window_at *w = board_windows;
	node_at(t, "test", w[WINDOW_finisher].base, w[WINDOW_finisher].size);
	t->bad |= fdt_property(t->buf, "compatible", "sifive,test1\0sifive,test0\0syscon", 33);
	u32(t, "phandle", PHANDLE_FINISHER);
	end(t);
	node_at(t, "rtc", w[WINDOW_rtc].base, w[WINDOW_rtc].size);
	str(t, "compatible", "google,goldfish-rtc");
	interrupt(t, BOARD_IRQ_RTC);
	end(t);
	node_at(t, "vmgenid", w[WINDOW_vmgenid].base, w[WINDOW_vmgenid].size);
	str(t, "compatible", "microsoft,vmgenid");
	interrupt(t, BOARD_IRQ_VMGENID);
	end(t);
	node_at(t, "serial", w[WINDOW_uart].base, w[WINDOW_uart].size);
	str(t, "compatible", "ns16550a");
	u32(t, "clock-frequency", 3686400);
	interrupt(t, BOARD_IRQ_UART);
	end(t);
	for (unsigned i = 0; i < m->mmio_slots; i++) {
		node_at(t, "virtio_mmio", m->mmio[i].base, 0x1000);
		str(t, "compatible", "virtio,mmio");
		interrupt(t, m->mmio[i].irq);
		end(t);
	}
}

/* INTx of device d, pin p goes to line (d + p) % 4 of the bridge. */
static void tree_pci_interrupts(struct tree *t)
{
	uint32_t map[4 * 4 * 6], *v = map;
	for (uint32_t d = 0; d < 4; d++)
		for (uint32_t p = 1; p <= 4; p++, v += 6)
			memcpy(v, (uint32_t[]){ d << 11, 0, 0, p, PHANDLE_PLIC,
			                        BOARD_IRQ_PCI + (d + p - 1) % 4 }, 24);
	uint8_t be[sizeof map];
	for (unsigned i = 0; i < countof(map); i++)
		le32_put(be + 4 * i, __builtin_bswap32(map[i]));
	t->bad |= fdt_property(t->buf, "interrupt-map", be, (int)sizeof be);
	cells(t, "interrupt-map-mask", (uint32_t[]){ 3 << 11, 0, 0, 7 }, 4);
}

static void tree_pci(struct tree *t)
{
	const struct window_at *io = &board_windows[WINDOW_pci_io];
	const struct window_at *lo = &board_windows[WINDOW_pci_mem];
	const struct window_at *hi = &board_windows[WINDOW_pci_mem64];
	node_at(t, "pci", board_windows[WINDOW_ecam].base, board_windows[WINDOW_ecam].size);
	str(t, "compatible", "pci-host-ecam-generic");
	str(t, "device_type", "pci");
	u32(t, "#address-cells", 3);
	u32(t, "#size-cells", 2);
	u32(t, "#interrupt-cells", 1);
	u32(t, "linux,pci-domain", 0);
	cells(t, "bus-range", (uint32_t[]){ 0, 255 }, 2);
	flag(t, "dma-coherent");
	const uint32_t ranges[] = {
	    0x01000000,
	    0,
	    0,
	    0,
	    (uint32_t)io->base,
	    0,
	    (uint32_t)io->size,
	    0x02000000,
	    0,
	    (uint32_t)lo->base,
	    0,
	    (uint32_t)lo->base,
	    0,
	    (uint32_t)lo->size,
	    0x03000000,
	    (uint32_t)(hi->base >> 32),
	    (uint32_t)hi->base,
	    (uint32_t)(hi->base >> 32),
	    (uint32_t)hi->base,
	    (uint32_t)(hi->size >> 32),
	    (uint32_t)hi->size,
	};
	cells(t, "ranges", ranges, countof(ranges));
	tree_pci_interrupts(t);
	end(t);
}

static void tree_chosen(struct tree *t, const struct machine *m)
{
	uint8_t seed[32];
	char path[32];
	const char *kind = life_option(m->config, "console");
	node(t, "chosen");
	if (m->config->append)
		str(t, "bootargs", m->config->append);
	if (!kind || strcmp(kind, "virtio")) {
		snprintf(path, sizeof path, "/soc/serial@%llx",
		         (unsigned long long)board_windows[WINDOW_uart].base);
		str(t, "stdout-path", path);
	}
	if (m->initrd_len) {
		u64(t, "linux,initrd-start", m->initrd);
		u64(t, "linux,initrd-end", m->initrd + m->initrd_len);
	}
	if (vclock_is_counted(&m->clock))
		memset(seed, 1, sizeof seed);
	else
		host_random(seed, sizeof seed);
	t->bad |= fdt_property(t->buf, "rng-seed", seed, sizeof seed);
	end(t);
}

/* With firmware between, the tree says where the kernel lies so that it can go on there. */
static void tree_board(struct tree *t, const struct machine *m)
{
	node(t, "");
	u32(t, "#address-cells", 2);
	u32(t, "#size-cells", 2);
	str(t, "compatible", "riscv-virtio");
	str(t, "model", "lodge,riscv-virt");
	tree_chosen(t, m);
	node_at(t, "memory", mem_base(m->mem).a, mem_size(m->mem));
	str(t, "device_type", "memory");
	end(t);
	tree_cpus(t, m);
	node(t, "soc");
	u32(t, "#address-cells", 2);
	u32(t, "#size-cells", 2);
	str(t, "compatible", "simple-bus");
	flag(t, "ranges");
	tree_interrupts(t, m);
	tree_platform(t, m);
	tree_pci(t);
	end(t);
	tree_power(t, "poweroff", "syscon-poweroff", 0x5555);
	tree_power(t, "reboot", "syscon-reboot", 0x7777);
	end(t);
}

int fdt_make(const struct machine *m, void *buf, size_t cap, struct lodge_err *e)
{
	struct tree t = { .buf = buf };
	t.bad |= fdt_create(buf, (int)cap);
	t.bad |= fdt_finish_reservemap(buf);
	tree_board(&t, m);
	t.bad |= fdt_finish(buf);
	if (t.bad)
		return err_set(e, ENOSPC,
			       "the device tree does not fit in %zu bytes: a shorter --append "
			       "or fewer devices",
			       cap);
	return (int)fdt_totalsize(buf);
}
