/* SPDX-License-Identifier: Apache-2.0 */
/* What every device must do, asked of every line of devices.def. */
#include "dev/dev.h"
#include "test/test.h"

enum { STATE_MAX = 1 << 20 };

struct every {
	struct mem *mem;
	struct bus *bus;
	struct loop *loop;
	struct vclock clock;
	struct dev *dev;
	uint8_t *a, *b;
};

static void every_init(struct every *t, const struct dev_class *c)
{
	*t = (struct every){ .a = malloc(STATE_MAX), .b = malloc(STATE_MAX) };
	CHECK(mem_new(&t->mem, gpa(0x80000000), 1 << 20, NULL) == 0);
	CHECK(bus_new(&t->bus, NULL) == 0 && loop_new(&t->loop, NULL) == 0);
	vclock_init(&t->clock);
	struct dev_setup s = { .mem = t->mem, .bus = t->bus, .loop = t->loop, .clock = &t->clock };
	struct lodge_err e = { 0 };
	CHECK(dev_new(&t->dev, c, &s, &e) == 0);
	if (c->mmio)
		CHECK(dev_map(t->dev, gpa(0), &e) == 0);
}

static void every_fini(struct every *t)
{
	dev_free(t->dev);
	loop_free(t->loop);
	bus_free(t->bus);
	mem_free(t->mem);
	free(t->a);
	free(t->b);
}

static uint64_t every_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed * 2685821657736338717ull;
}

/* @n accesses of every width, half of them near the start of the window. */
static void every_poke(struct every *t, unsigned n, uint64_t seed)
{
	uint64_t mmio = t->dev->class->mmio;
	if (!mmio)
		return;
	while (n--) {
		uint64_t r = every_random(&seed), v = every_random(&seed);
		unsigned width = 1u << (r & 3);
		uint64_t off = (r >> 8) % ((r & 4) ? mmio : min_u64(mmio, 256));
		off &= ~(uint64_t)(width - 1);
		if (r & 8)
			(void)!bus_write(t->bus, gpa(off), width, (r & 16) ? v : v & 0xff);
		else
			(void)!bus_read(t->bus, gpa(off), width, &v);
	}
}

TEST(every_device_has_name_spec_and_state)
{
	const struct dev_class *c;
	for (size_t i = 0; (c = dev_class_at(i)); i++) {
		CHECK(c->name && c->summary && c->spec && c->reset && c->state);
		CHECK(!c->mmio || (c->read && c->write));
		CHECK(c->width_min <= c->width_max && c->width_max <= 8);
		CHECK(c->size >= sizeof(struct dev) && dev_class_find(c->name) == c);
		for (const struct state_field *f = c->state; f->name; f++)
			CHECK(f->since && strlen(f->name) < 256 && f->off + f->size <= c->size);
	}
	CHECK(!dev_class_find("teapot"));
}

TEST(every_device_survives_a_snapshot_round_trip)
{
	const struct dev_class *c;
	for (size_t i = 0; (c = dev_class_at(i)); i++) {
		struct every x, y;
		every_init(&x, c);
		every_init(&y, c);
		every_poke(&x, 2000, 7 + i);
		size_t n = dev_save(x.dev, x.a, STATE_MAX);
		CHECK(n <= STATE_MAX);
		CHECK(dev_load(y.dev, x.a, n));
		CHECK(dev_save(y.dev, y.a, STATE_MAX) == n && !memcmp(x.a, y.a, n));
		CHECK(!dev_load(y.dev, x.a, n - 1)); /* truncated */
		every_fini(&x);
		every_fini(&y);
	}
}

TEST(no_device_crashes_on_any_register_access)
{
	const struct dev_class *c;
	for (size_t i = 0; (c = dev_class_at(i)); i++) {
		struct every x;
		every_init(&x, c);
		every_poke(&x, 20000, 99 + i);
		every_fini(&x);
		/* The same with nothing connected at all. */
		struct dev *d = NULL;
		CHECK(dev_new(&d, c, &(struct dev_setup){ 0 }, NULL) == 0);
		CHECK(dev_map(d, gpa(0), NULL) == -EINVAL);
		for (uint64_t off = 0; off < min_u64(c->mmio, 512); off += c->width_max) {
			c->write(d, off, c->width_max, ~off);
			(void)c->read(d, off, c->width_max);
		}
		dev_free(d);
	}
}

TEST(every_device_returns_to_its_first_state_by_reset)
{
	const struct dev_class *c;
	for (size_t i = 0; (c = dev_class_at(i)); i++) {
		struct every x;
		every_init(&x, c);
		size_t n = dev_save(x.dev, x.a, STATE_MAX);
		every_poke(&x, 5000, 12345 + i);
		dev_reset(x.dev);
		CHECK(dev_save(x.dev, x.b, STATE_MAX) == n && !memcmp(x.a, x.b, n));
		every_fini(&x);
	}
}

TEST(dev_options_are_found_by_their_whole_key)
{
	struct dev d = { .s.options = "harts=4,part=1,arts=7,empty=,hex=0x10,bad=1x" };
	struct lodge_err e;
	char v[4];
	uint64_t n = 0;
	CHECK(dev_option(&d, "arts", v, sizeof v) && !strcmp(v, "7"));
	CHECK(dev_option(&d, "empty", v, sizeof v) && !*v);
	CHECK(!dev_option(&d, "art", v, sizeof v) && !dev_option(&d, "hex", v, 4));
	CHECK(dev_option_u64(&d, "harts", 1, 1, 16, &n, &e) == 0 && n == 4);
	CHECK(dev_option_u64(&d, "hex", 1, 1, 16, &n, &e) == 0 && n == 16);
	CHECK(dev_option_u64(&d, "none", 5, 1, 16, &n, &e) == 0 && n == 5);
	CHECK(dev_option_u64(&d, "bad", 1, 1, 16, &n, &e) == -EINVAL && strstr(e.msg, "bad=1x"));
	CHECK(dev_option_u64(&d, "arts", 1, 1, 6, &n, &e) == -EINVAL && n == 5);
}

struct ending {
	enum dev_event ev;
	int code, n;
};
static void ending_note(void *user, enum dev_event ev, int code)
{
	struct ending *x = user;
	*x = (struct ending){ ev, code, x->n + 1 };
}

TEST(finisher_tells_how_the_guest_ended)
{
	struct ending x = { .n = 0 };
	struct dev *d = NULL;
	struct dev_setup s = { .event = ending_note, .user = &x };
	CHECK(dev_new(&d, dev_class_find("finisher"), &s, NULL) == 0);
	d->class->write(d, 4, 4, 0x5555);
	d->class->write(d, 0, 4, 0x1234);
	CHECK(x.n == 0);
	d->class->write(d, 0, 4, 0x5555);
	CHECK(x.n == 1 && x.ev == DEV_POWEROFF && x.code == 0);
	d->class->write(d, 0, 4, 0x73333);
	CHECK(x.n == 2 && x.ev == DEV_POWEROFF && x.code == 7);
	d->class->write(d, 0, 2, 0x7777);
	CHECK(x.n == 3 && x.ev == DEV_RESET && x.code == 0);
	dev_free(d);
}
