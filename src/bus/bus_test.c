/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/bus.h"
#include "test/test.h"

struct probe {
	pthread_mutex_t lock;
	uint64_t off, val;
	unsigned width, calls;
	bool locked;
};

static uint64_t probe_read(void *dev, uint64_t off, unsigned width)
{
	struct probe *p = dev;
	p->off = off;
	p->width = width;
	p->calls++;
	p->locked = pthread_mutex_trylock(&p->lock) == EBUSY;
	if (!p->locked)
		pthread_mutex_unlock(&p->lock);
	return 0x1122334455667788;
}
static void probe_write(void *dev, uint64_t off, unsigned width, uint64_t val)
{
	(void)probe_read(dev, off, width);
	((struct probe *)dev)->val = val;
}
static const struct bus_ops word_ops = { probe_read, probe_write, 4, 4 };
static const struct bus_ops any_ops = { probe_read, probe_write, 1, 8 };

TEST(bus_refuses_overlap_and_nonsense)
{
	struct bus *b = NULL;
	struct lodge_err e;
	CHECK(bus_new(&b, NULL) == 0);
	CHECK(bus_map(b, gpa(0x1000), 0x1000, &word_ops, NULL, NULL, &e) == 0);
	CHECK(bus_map(b, gpa(0x1fff), 1, &word_ops, NULL, NULL, &e) == -EEXIST);
	CHECK(bus_map(b, gpa(0x800), 0x801, &word_ops, NULL, NULL, &e) == -EEXIST);
	CHECK(bus_map(b, gpa(0), UINT64_MAX, &word_ops, NULL, NULL, &e) == -EEXIST);
	CHECK(bus_map(b, gpa(0x1800), 0, &word_ops, NULL, NULL, &e) == -EINVAL);
	CHECK(bus_map(b, gpa(UINT64_MAX), 2, &word_ops, NULL, NULL, &e) == -EINVAL);
	CHECK(bus_map(b, gpa(0x800), 0x800, &word_ops, NULL, NULL, &e) == 0);
	CHECK(bus_map(b, gpa(UINT64_MAX), 1, &word_ops, NULL, NULL, &e) == 0);
	bus_unmap(b, gpa(0x1001)); /* not a base */
	CHECK(bus_map(b, gpa(0x1000), 8, &word_ops, NULL, NULL, &e) == -EEXIST);
	bus_unmap(b, gpa(0x1000));
	CHECK(bus_map(b, gpa(0x1000), 8, &word_ops, NULL, NULL, &e) == 0);
	bus_free(b);
}

TEST(bus_lets_through_only_aligned_widths_of_the_device)
{
	struct bus *b = NULL;
	struct probe p = { .off = 0 };
	uint64_t v = 0;
	pthread_mutex_init(&p.lock, NULL);
	CHECK(bus_new(&b, NULL) == 0);
	CHECK(bus_map(b, gpa(0x1000), 0x100, &word_ops, &p, &p.lock, NULL) == 0);
	CHECK(bus_map(b, gpa(0x2000), 0x104, &any_ops, &p, NULL, NULL) == 0);
	CHECK(bus_read(b, gpa(0x1010), 4, &v) && v == 0x55667788 && p.off == 0x10 && p.locked);
	CHECK(bus_write(b, gpa(0x10fc), 4, ~0ull) && p.val == 0xffffffff && p.off == 0xfc);
	CHECK(bus_read(b, gpa(0x2008), 8, &v) && v == 0x1122334455667788 && !p.locked);
	CHECK(bus_read(b, gpa(0x2103), 1, &v) && v == 0x88 && p.width == 1);
	unsigned calls = p.calls;
	CHECK(!bus_read(b, gpa(0x1010), 2, &v) && !bus_read(b, gpa(0x1010), 8, &v));
	CHECK(!bus_read(b, gpa(0x1012), 4, &v) && !bus_read(b, gpa(0x1100), 4, &v));
	CHECK(!bus_read(b, gpa(0xffc), 4, &v) && !bus_write(b, gpa(0), 4, 0));
	CHECK(!bus_read(b, gpa(0x2100), 8, &v)); /* half outside */
	CHECK(!bus_read(b, gpa(0x2000), 3, &v) && !bus_read(b, gpa(0x2000), 0, &v));
	CHECK(p.calls == calls);
	bus_free(b);
	pthread_mutex_destroy(&p.lock);
}

struct flip {
	struct bus *b;
	unsigned bad, done;
};

/* Windows 0x10000 and 0x30000 stand; 0x0, 0x20000 come and go and shift them about. */
static void *flip_reader(void *arg)
{
	struct flip *f = arg;
	uint64_t v;
	while (!__atomic_load_n(&f->done, __ATOMIC_ACQUIRE)) {
		if (!bus_read(f->b, gpa(0x10004), 4, &v) || v != 1 ||
		    !bus_read(f->b, gpa(0x30004), 4, &v) || v != 3)
			__atomic_fetch_add(&f->bad, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}
static uint64_t flip_read(void *dev, uint64_t off, unsigned width)
{
	(void)width;
	return off == 4 ? (uint64_t)(uintptr_t)dev : 99;
}

TEST(bus_readers_see_the_old_or_the_new_map)
{
	static const struct bus_ops ops = { flip_read, probe_write, 4, 4 };
	struct flip f = { .b = NULL };
	pthread_t t;
	CHECK(bus_new(&f.b, NULL) == 0);
	CHECK(bus_map(f.b, gpa(0x10000), 0x100, &ops, (void *)1, NULL, NULL) == 0);
	CHECK(bus_map(f.b, gpa(0x30000), 0x100, &ops, (void *)3, NULL, NULL) == 0);
	CHECK(!pthread_create(&t, NULL, flip_reader, &f));
	for (int i = 0; i < 20000; i++) {
		CHECK(bus_map(f.b, gpa(0), 0x100, &ops, (void *)7, NULL, NULL) == 0);
		CHECK(bus_map(f.b, gpa(0x20000), 0x100, &ops, (void *)8, NULL, NULL) == 0);
		bus_unmap(f.b, gpa(0));
		bus_unmap(f.b, gpa(0x20000));
	}
	__atomic_store_n(&f.done, 1, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	CHECK(f.bad == 0);
	bus_free(f.b);
}

TEST(vclock_stands_still_while_paused)
{
	struct vclock c;
	vclock_init(&c);
	CHECK(vclock_ns(&c) < 1000000000);
	vclock_pause(&c);
	uint64_t at = vclock_ns(&c);
	usleep(2000);
	CHECK(vclock_ns(&c) == at && vclock_host_deadline(&c, at) == UINT64_MAX);
	vclock_pause(&c); /* twice is once */
	vclock_resume(&c);
	uint64_t now = vclock_ns(&c);
	CHECK(now >= at && now - at < 1000000000);
	vclock_resume(&c);
	CHECK(vclock_host_deadline(&c, now + 5000) - vclock_host_deadline(&c, now) == 5000);
	CHECK(vclock_host_deadline(&c, UINT64_MAX) == UINT64_MAX);
	CHECK(vclock_host_deadline(&c, 0) > 0);
}
