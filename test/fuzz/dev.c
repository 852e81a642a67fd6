/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz every platform device: the first byte chooses the class, the rest are steps of register
 * accesses, interrupt inputs, console bytes and time. */
#include "dev/dev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { WINDOW = 0x10000000, STATE_MAX = 1 << 17 };

struct rig {
	struct mem *mem;
	struct bus *bus;
	struct loop *loop;
	struct vclock clock;
	struct chr *chr;
	struct dev *dev;
	const uint8_t *p, *end;
	unsigned events;
	bool lines[8];
};

static void rig_line(void *ctx, unsigned line, bool level)
{
	((struct rig *)ctx)->lines[line] = level;
}

static void rig_event(void *user, enum dev_event ev, int code)
{
	((struct rig *)user)->events += (unsigned)ev + (unsigned)code;
}

static bool rig_init(struct rig *r, const struct dev_class *c)
{
	struct irq irqs[countof(r->lines)];
	for (unsigned i = 0; i < countof(irqs); i++)
		irqs[i] = (struct irq){ rig_line, r, i };
	if (mem_new(&r->mem, gpa(0x80000000), 1 << 16, NULL) < 0 || bus_new(&r->bus, NULL) < 0 ||
	    loop_new(&r->loop, NULL) < 0 || chr_new(&r->chr, 64, NULL) < 0)
		return false;
	vclock_init(&r->clock);
	bool uart = !strcmp(c->name, "uart16550");
	struct dev_setup s = { .mem = r->mem, .bus = r->bus, .loop = r->loop, .clock = &r->clock,
		               .irqs = irqs, .nirqs = countof(irqs), .event = rig_event, .user = r,
		               .backend = uart ? r->chr : NULL };
	return dev_new(&r->dev, c, &s, NULL) == 0 && dev_map(r->dev, gpa(WINDOW), NULL) == 0;
}

static void rig_fini(struct rig *r)
{
	dev_free(r->dev);
	chr_free(r->chr);
	loop_free(r->loop);
	bus_free(r->bus);
	mem_free(r->mem);
}

static uint64_t rig_take(struct rig *r, size_t n)
{
	uint64_t v = 0;
	while (n-- && r->p < r->end)
		v = v << 8 | *r->p++;
	return v;
}

static void rig_stop(void *loop) { loop_stop(loop); }

/* Let the loop thread's work happen here and now. */
static void rig_turn(struct rig *r)
{
	if (loop_post(r->loop, NULL, rig_stop, r->loop) == 0)
		loop_run(r->loop);
}

static void rig_reload(struct rig *r)
{
	static uint8_t buf[STATE_MAX];
	size_t n = dev_save(r->dev, buf, sizeof buf);
	if (n > sizeof buf || n == 0)
		return;
	size_t at = rig_take(r, 2) % n; /* a damaged stream must be refused or harmless */
	buf[at] ^= (uint8_t)rig_take(r, 1);
	(void)!dev_load(r->dev, buf, n);
}

static void rig_step(struct rig *r)
{
	uint64_t op = rig_take(r, 1), val;
	unsigned width = 1u << (op >> 3 & 3);
	uint64_t near = rig_take(r, op & 0x20 ? 4 : 1) * ((op & 0x40) ? width : 1);
	struct gpa at = gpa(WINDOW + near % (r->dev->class->mmio + 8));
	struct irq q;
	uint8_t bytes[16];
	switch (op & 7) {
	case 0:
	case 1: (void)!bus_read(r->bus, at, width, &val); break;
	case 2:
	case 3: (void)!bus_write(r->bus, at, width, rig_take(r, width)); break;
	case 4:
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (uint8_t)(near + i);
		chr_host_write(r->chr, bytes, near % sizeof bytes);
		chr_host_read(r->chr, bytes, op >> 4);
		break;
	case 5:
		q = !strcmp(r->dev->class->name, "plic") ? plic_line(r->dev, (unsigned)near)
		                                         : (struct irq){ 0 };
		irq_set(&q, op & 0x80);
		break;
	case 6:
		if (op & 0x80)
			r->clock.offset_ns += (int64_t)(near * 1000);
		rig_turn(r);
		break;
	default: (op & 0x80) ? rig_reload(r) : (op & 0x40) ? dev_reset(r->dev) : rig_turn(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t n = 0;
	while (dev_class_at(n))
		n++;
	if (len < 2 || len > 4096)
		return 0;
	struct rig r = { .p = data + 1, .end = data + len };
	if (rig_init(&r, dev_class_at(data[0] % n)))
		while (r.p < r.end)
			rig_step(&r);
	rig_fini(&r);
	return 0;
}
