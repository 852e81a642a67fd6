/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/pci/pci.h"
#include "test/test.h"

enum { ECAM = 0x30000000, MMIO = 0x40000000 };
static const uint64_t HIGH = 0x400000000;

struct card {
	pthread_mutex_t lock;
	struct pci_fn *fn;
	uint64_t last_off, last_val;
	uint32_t cap;
};

static uint64_t card_read(void *obj, uint64_t off, unsigned width)
{
	(void)width;
	((struct card *)obj)->last_off = off;
	return 0xc0de;
}
static void card_write(void *obj, uint64_t off, unsigned width, uint64_t val)
{
	(void)width;
	((struct card *)obj)->last_off = off;
	((struct card *)obj)->last_val = val;
}
static uint32_t card_cap_read(void *obj, unsigned off, unsigned width, uint32_t plain)
{
	return off == 0x44 && width == 4 ? ((struct card *)obj)->cap : plain;
}
static void card_cap_write(void *obj, unsigned off, unsigned width, uint32_t val)
{
	if (off == 0x44 && width == 4)
		((struct card *)obj)->cap = val;
}
static const struct bus_ops card_ops = { card_read, card_write, 1, 8 };
static const struct pci_fn_class card_class = {
	.vendor = 0x1234,
	.device = 0x5678,
	.subsystem_vendor = 0x9abc,
	.subsystem = 0xdef0,
	.class_code = 0x020000,
	.revision = 7,
	.bar_len = { 0x1000, 0x20, 0, 0, 0x4000, 0 },
	.bar64 = { [4] = true },
	.bar_io = { [1] = true },
	.bar_ops = { &card_ops, &card_ops, NULL, NULL, &card_ops, NULL },
	.cap_read = card_cap_read,
	.cap_write = card_cap_write,
};

struct slotbed {
	struct bus *bus;
	struct dev *dev;
	bool line[4];
	struct card card[3];
};

static void slotbed_line(void *ctx, unsigned line, bool level)
{
	((struct slotbed *)ctx)->line[line] = level;
}

static void slotbed_init(struct slotbed *t)
{
	static const uint8_t cap[8] = { 0x09, 0, 8, 0 };
	struct lodge_err e = { 0 };
	struct irq irqs[4];
	*t = (struct slotbed){ .bus = NULL };
	for (unsigned i = 0; i < 4; i++)
		irqs[i] = (struct irq){ slotbed_line, t, i };
	CHECK(bus_new(&t->bus, NULL) == 0);
	struct dev_setup s = {
		.bus = t->bus, .irqs = irqs, .nirqs = 4,
		.options = "io=0x3000000:0x10000,mmio32=0x40000000:0x40000000,"
			   "mmio64=0x400000000:0x400000000",
	};
	CHECK(dev_new(&t->dev, dev_class_find("pci-host"), &s, &e) == 0);
	CHECK(dev_map(t->dev, gpa(ECAM), &e) == 0);
	for (unsigned i = 0; i < 3; i++) {
		struct card *c = &t->card[i];
		pthread_mutex_init(&c->lock, NULL);
		CHECK(pci_fn_new(&c->fn, pci_host_of(t->dev), &card_class, i == 2 ? 5 : -1, cap,
		                 sizeof cap, c, &c->lock, &e) == 0);
	}
	/* Two found their places; the third shares its line with the first. */
	CHECK(pci_fn_slot(t->card[0].fn) == 1 && pci_fn_slot(t->card[1].fn) == 2);
}

static void slotbed_fini(struct slotbed *t)
{
	for (unsigned i = 0; i < 3; i++) {
		pci_fn_free(t->card[i].fn);
		pthread_mutex_destroy(&t->card[i].lock);
	}
	dev_free(t->dev);
	bus_free(t->bus);
}

static struct gpa cfg_at(unsigned slot, unsigned reg) { return gpa(ECAM + (slot << 15) + reg); }
static uint64_t cfg_get(struct slotbed *t, unsigned slot, unsigned reg, unsigned width)
{
	uint64_t v = 0;
	CHECK(bus_read(t->bus, cfg_at(slot, reg), width, &v));
	return v;
}
static void cfg_put(struct slotbed *t, unsigned slot, unsigned reg, unsigned width, uint64_t v)
{
	CHECK(bus_write(t->bus, cfg_at(slot, reg), width, v));
}
static bool answers(struct slotbed *t, uint64_t at)
{
	uint64_t v;
	return bus_read(t->bus, gpa(at), 4, &v) && v == 0xc0de;
}

TEST(pci_config_header_reads_as_the_function_says)
{
	struct slotbed t;
	slotbed_init(&t);
	CHECK(cfg_get(&t, 1, 0, 4) == 0x56781234 && cfg_get(&t, 1, 8, 4) == 0x02000007);
	CHECK(cfg_get(&t, 1, 0x2c, 4) == 0xdef09abc && cfg_get(&t, 1, 0x3d, 1) == 1);
	CHECK(cfg_get(&t, 1, 0x0e, 1) == 0 && cfg_get(&t, 1, 6, 2) == 0x10);
	CHECK(cfg_get(&t, 1, 0x34, 1) == 0x40 && cfg_get(&t, 1, 0x40, 2) == 9);
	/* Nobody: another slot, function, bus. Extended space is empty. */
	CHECK(cfg_get(&t, 3, 0, 4) == 0xffffffff && cfg_get(&t, 1, 0x1000, 2) == 0xffff);
	CHECK(cfg_get(&t, 32 + 1, 0, 1) == 0xff && cfg_get(&t, 1, 0x100, 4) == 0);
	for (unsigned reg = 0; reg < 0x100; reg += 4)
		if (reg != 4 && reg != 0x44 && !(reg >= 0x10 && reg < 0x28))
			cfg_put(&t, 1, reg, 4, ~0u);
	CHECK(cfg_get(&t, 1, 0, 4) == 0x56781234 && cfg_get(&t, 1, 8, 4) == 0x02000007);
	CHECK(cfg_get(&t, 1, 0x0c, 4) == 0xff && cfg_get(&t, 1, 0x3c, 4) == 0x1ff);
	CHECK(cfg_get(&t, 1, 0x40, 4) == 0x80009 && cfg_get(&t, 1, 0x30, 4) == 0);
	cfg_put(&t, 1, 0x44, 4, 77);
	CHECK(t.card[0].cap == 77 && cfg_get(&t, 1, 0x44, 4) == 77);
	slotbed_fini(&t);
}

TEST(pci_bars_are_sized_and_mapped_where_the_guest_says)
{
	struct slotbed t;
	slotbed_init(&t);
	static const uint32_t size[6] = { 0xfffff000, 0xffffffe1, 0, 0, 0xffffc004, 0xffffffff };
	for (unsigned i = 0; i < 6; i++) {
		cfg_put(&t, 1, 0x10 + 4 * i, 4, ~0u);
		CHECK(cfg_get(&t, 1, 0x10 + 4 * i, 4) == size[i]);
	}
	cfg_put(&t, 1, 0x10, 4, MMIO);
	cfg_put(&t, 1, 0x14, 4, 0x1001);
	cfg_put(&t, 1, 0x20, 4, 0x8000);
	cfg_put(&t, 1, 0x24, 4, 4);
	CHECK(!answers(&t, MMIO));
	cfg_put(&t, 1, 4, 2, 2);
	CHECK(answers(&t, MMIO) && answers(&t, MMIO + 0xffc) && !answers(&t, MMIO + 0x1000));
	CHECK(answers(&t, HIGH + 0x8010) && t.card[0].last_off == 0x10);
	CHECK(!answers(&t, 0x3001000));
	cfg_put(&t, 1, 4, 2, 1);
	CHECK(!answers(&t, MMIO) && answers(&t, 0x3001004) && t.card[0].last_off == 4);
	cfg_put(&t, 1, 4, 2, 0xffff);
	CHECK(cfg_get(&t, 1, 4, 2) == 0x407 && pci_fn_master(t.card[0].fn));
	cfg_put(&t, 1, 0x10, 4, MMIO + 0x5000); /* moved */
	CHECK(!answers(&t, MMIO) && answers(&t, MMIO + 0x5000));
	cfg_put(&t, 1, 0x10, 4, 0x80000000); /* not forwarded: RAM may be there */
	CHECK(!answers(&t, 0x80000000) && !answers(&t, MMIO + 0x5000));
	dev_reset(t.dev);
	CHECK(!answers(&t, HIGH + 0x8010) && cfg_get(&t, 1, 0x24, 4) == 0);
	CHECK(!pci_fn_master(t.card[0].fn));
	slotbed_fini(&t);
}

TEST(pci_overlapping_bars_take_turns)
{
	struct slotbed t;
	slotbed_init(&t);
	for (unsigned s = 1; s <= 2; s++) {
		cfg_put(&t, s, 0x10, 4, MMIO);
		cfg_put(&t, s, 4, 2, 2);
	}
	t.card[0].last_off = t.card[1].last_off = 99;
	CHECK(answers(&t, MMIO + 8) && t.card[0].last_off == 8 && t.card[1].last_off == 99);
	cfg_put(&t, 1, 0x10, 4, MMIO + 0x1000); /* the second gets its place now */
	CHECK(answers(&t, MMIO + 4) && t.card[1].last_off == 4);
	pci_fn_free(t.card[1].fn);
	t.card[1].fn = NULL;
	CHECK(!answers(&t, MMIO + 4) && cfg_get(&t, 2, 0, 4) == 0xffffffff);
	slotbed_fini(&t);
}

TEST(pci_intx_status_disable_and_sharing)
{
	struct slotbed t;
	slotbed_init(&t);
	pci_fn_irq(t.card[0].fn, true);
	CHECK(t.line[1] && !t.line[2] && cfg_get(&t, 1, 6, 2) == 0x18);
	CHECK(cfg_get(&t, 1, 4, 4) == 0x180000);
	pci_fn_irq(t.card[2].fn, true); /* slot 5: the same line */
	pci_fn_irq(t.card[0].fn, false);
	CHECK(t.line[1] && cfg_get(&t, 1, 6, 2) == 0x10);
	cfg_put(&t, 5, 4, 2, 0x400);
	CHECK(!t.line[1] && cfg_get(&t, 5, 6, 2) == 0x18); /* status shows it all the same */
	cfg_put(&t, 5, 4, 2, 0);
	CHECK(t.line[1]);
	pci_fn_free(t.card[2].fn);
	t.card[2].fn = NULL;
	CHECK(!t.line[1]);
	slotbed_fini(&t);
}

TEST(pci_state_brings_back_mappings)
{
	struct slotbed a, b;
	uint8_t buf[PCI_SLOTS * PCI_CONFIG + 64];
	slotbed_init(&a);
	slotbed_init(&b);
	cfg_put(&a, 1, 0x10, 4, MMIO + 0x3000);
	cfg_put(&a, 1, 4, 2, 6);
	size_t n = dev_save(a.dev, buf, sizeof buf);
	CHECK(n <= sizeof buf);
	memset(buf + n - 256 * 31, 0xee, 32); /* slot 1 lies about its header */
	memcpy(buf + n - 256 * 31 + 4, "\6\0", 2);
	CHECK(dev_load(b.dev, buf, n));
	CHECK(cfg_get(&b, 1, 0, 4) == 0x56781234 && cfg_get(&b, 1, 6, 2) == 0x10);
	CHECK(cfg_get(&b, 1, 4, 2) == 6 && cfg_get(&b, 3, 0, 4) == 0xffffffff);
	CHECK(dev_load(b.dev, buf, n));
	n = dev_save(a.dev, buf, sizeof buf);
	CHECK(dev_load(b.dev, buf, n) && answers(&b, MMIO + 0x3000));
	slotbed_fini(&a);
	slotbed_fini(&b);
}

TEST(pci_refuses_bad_functions_and_windows)
{
	struct slotbed t;
	struct pci_fn *f = NULL;
	struct lodge_err e;
	slotbed_init(&t);
	struct pci_host *h = pci_host_of(t.dev);
	struct pci_fn_class c = card_class;
	CHECK(pci_fn_new(&f, h, &c, 5, NULL, 0, NULL, NULL, &e) == -EEXIST);
	CHECK(pci_fn_new(&f, h, &c, 32, NULL, 0, NULL, NULL, &e) == -EINVAL);
	c.bar_len[0] = 0x1001;
	CHECK(pci_fn_new(&f, h, &c, -1, NULL, 0, NULL, NULL, &e) == -EINVAL);
	c = card_class;
	c.bar_len[5] = 0x1000; /* the upper half of BAR 4 */
	CHECK(pci_fn_new(&f, h, &c, -1, NULL, 0, NULL, NULL, &e) == -EINVAL && !f);
	struct dev *d = NULL;
	struct dev_setup s = { .options = "mmio32=0x1000" };
	CHECK(dev_new(&d, t.dev->class, &s, &e) == -EINVAL && strstr(e.msg, "BASE:LEN"));
	slotbed_fini(&t);
	/* A bridge may go first. */
	slotbed_init(&t);
	dev_free(t.dev);
	t.dev = NULL;
	pci_fn_irq(t.card[0].fn, true);
	slotbed_fini(&t);
}
