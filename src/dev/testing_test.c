/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/testing.h"
#include "test/test.h"

static void bench_line(void *ctx, unsigned line, bool level)
{
	struct bench *b = ctx;
	pthread_mutex_lock(&b->m);
	b->raised[line] += level && !b->line[line];
	b->line[line] = level;
	pthread_mutex_unlock(&b->m);
}

void bench_init(struct bench *b, const char *class, const char *options)
{
	struct irq irqs[countof(b->line)];
	struct lodge_err e = { 0 };
	*b = (struct bench){ .bus = NULL };
	pthread_mutex_init(&b->m, NULL);
	vclock_init(&b->clock);
	CHECK(bus_new(&b->bus, &e) == 0 && loop_new(&b->loop, &e) == 0);
	CHECK(chr_new(&b->chr, 32, &e) == 0);
	for (unsigned i = 0; i < countof(irqs); i++)
		irqs[i] = (struct irq){ bench_line, b, i };
	struct dev_setup s = { .bus = b->bus, .loop = b->loop, .clock = &b->clock, .irqs = irqs,
		               .nirqs = countof(irqs), .options = options,
		               .backend = !strcmp(class, "uart16550") ? b->chr : NULL };
	CHECK(dev_new(&b->dev, dev_class_find(class), &s, &e) == 0);
	CHECK(dev_map(b->dev, gpa(0), &e) == 0);
}

void bench_fini(struct bench *b)
{
	dev_free(b->dev);
	chr_free(b->chr);
	loop_free(b->loop);
	bus_free(b->bus);
	pthread_mutex_destroy(&b->m);
}

static void bench_stop(void *loop) { loop_stop(loop); }

void bench_turn(struct bench *b)
{
	CHECK(loop_post(b->loop, NULL, bench_stop, b->loop) == 0);
	loop_run(b->loop);
}

void bench_pass(struct bench *b, uint64_t ns)
{
	b->clock.offset_ns += (int64_t)ns;
	dev_resume(b->dev); /* the clock jumped */
	bench_turn(b);
}

uint64_t bench_get(struct bench *b, uint64_t at, unsigned width)
{
	uint64_t v = 0;
	CHECK(bus_read(b->bus, gpa(at), width, &v));
	return v;
}

void bench_put(struct bench *b, uint64_t at, unsigned width, uint64_t val)
{
	CHECK(bus_write(b->bus, gpa(at), width, val));
}
