/* SPDX-License-Identifier: Apache-2.0 */
/* Rings of both kinds served as the specification says, and what a hostile driver gets. */
#include "test/virtio_driver.h"
#include <time.h>

static const struct virtio_class *rng(void) { return virtio_class_find("rng"); }

static const uint64_t kinds[] = {
	0, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED, VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC,
};

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len && !*p)
		p++, len--;
	return !len;
}

TEST(virtio_rings_of_every_kind_serve_many_rounds)
{
	for (size_t k = 0; k < 2 * countof(kinds); k++) {
		struct vdriver d;
		uint64_t f = kinds[k / 2];
		vd_init(&d, rng(), NULL, "packed=on", k & 1);
		vd_up(&d, f, 1, 8);
		uint64_t buf = vd_alloc(&d, 64), heap = d.heap;
		unsigned how = f & VIRTIO_F_INDIRECT_DESC ? VD_INDIRECT : 0;
		for (int i = 0; i < 1000; i++) {
			uint8_t *p = vd_ptr(&d, buf, 64);
			unsigned n = 1 + (unsigned)i % 3;
			struct vd_seg s[] = { { buf, 16, true }, { buf + 16, 16, true },
				              { buf + 32, 32, true } };
			memset(p, 0, 64);
			d.heap = heap;
			CHECK(vd_do(&d, 0, s, n, how) == (n == 3 ? 64 : 16 * n));
			CHECK(!all_zero(p, 16 * n));
			CHECK(n == 3 || all_zero(p + 16 * n, 64 - 16 * n));
			CHECK(d.line && vd_get(&d, 0x60) == 1);
			vd_set(&d, 0x64, 1);
			CHECK(!d.line);
		}
		CHECK(d.raised == 1000 && !vd_broken(&d));
		vd_fini(&d);
	}
}

TEST(virtio_tells_what_it_wrote)
{
	for (size_t k = 0; k < countof(kinds); k++) {
		struct vdriver d;
		vd_init(&d, rng(), NULL, "packed=on", true);
		vd_up(&d, kinds[k], 1, 8);
		uint64_t buf = (vd_alloc(&d, 3 * MEM_FRAME) + MEM_FRAME - 1) & ~(MEM_FRAME - 1ull);
		uint64_t ring = kinds[k] & VIRTIO_F_RING_PACKED ? d.q[0].desc : d.q[0].device;
		struct vd_seg s[] = { { buf, 16, false }, { buf + MEM_FRAME, 16, true } };
		mem_watch(d.mem, gpa(buf), 0);
		mem_watch(d.mem, gpa(buf + MEM_FRAME), 0);
		mem_watch(d.mem, gpa(ring), 0);
		CHECK(vd_do(&d, 0, s, 2, 0) == 16);
		CHECK(mem_watched(d.mem, gpa(buf)));
		CHECK(!mem_watched(d.mem, gpa(buf + MEM_FRAME)) && !mem_watched(d.mem, gpa(ring)));
		vd_fini(&d);
	}
}

TEST(virtio_batch_of_chains_raises_one_interrupt)
{
	for (size_t k = 0; k < countof(kinds); k++) {
		struct vdriver d;
		vd_init(&d, rng(), NULL, "packed=on", true);
		vd_up(&d, kinds[k], 1, 256);
		struct vd_seg s = { vd_alloc(&d, 16), 16, true };
		for (int i = 0; i < 256; i++)
			vd_add(&d, 0, &s, 1, 0);
		vd_kick(&d, 0);
		uint16_t id;
		uint32_t len;
		for (int i = 0; i < 256; i++)
			CHECK(vd_used(&d, 0, &id, &len) && len == 16 && id == i);
		CHECK(!vd_used(&d, 0, &id, &len) && d.raised == 1);
		vd_fini(&d);
	}
}

TEST(virtio_driver_can_silence_interrupts)
{
	for (int packed = 0; packed < 2; packed++) {
		struct vdriver d;
		vd_init(&d, rng(), NULL, "packed=on", false);
		vd_up(&d, packed ? VIRTIO_F_RING_PACKED : 0, 1, 4);
		uint8_t *flags = vd_ptr(&d, d.q[0].driver + (packed ? 2 : 0), 2);
		struct vd_seg s = { vd_alloc(&d, 16), 16, true };
		le16_put(flags, 1);
		vd_do(&d, 0, &s, 1, 0);
		CHECK(!d.line);
		le16_put(flags, 0);
		vd_do(&d, 0, &s, 1, 0);
		CHECK(d.line);
		vd_fini(&d);
	}
}

TEST(virtio_event_index_delays_the_interrupt)
{
	struct vdriver d;
	vd_init(&d, rng(), NULL, NULL, false);
	vd_up(&d, VIRTIO_F_EVENT_IDX, 1, 8);
	struct vd_seg s = { vd_alloc(&d, 16), 16, true };
	le16_put(vd_ptr(&d, d.q[0].driver + 4 + 16, 2), 2); /* tell me after the third */
	for (int i = 0; i < 3; i++) {
		CHECK(!d.line);
		vd_add(&d, 0, &s, 1, 0);
		vd_kick(&d, 0);
	}
	CHECK(d.line);
	/* and the device asks for a kick at the fourth chain */
	CHECK(le16_at(vd_ptr(&d, d.q[0].device + 4 + 64, 2)) == 3);
	vd_fini(&d);
}

TEST(virtio_features_are_refused_unless_offered)
{
	struct vdriver d;
	vd_init(&d, rng(), NULL, NULL, false);
	CHECK(!vd_negotiate(&d, VIRTIO_F_RING_PACKED)); /* not asked for by an option */
	CHECK(!vd_negotiate(&d, 1));
	CHECK(!vd_negotiate(&d, 1ull << 63));
	CHECK(vd_negotiate(&d, 0));
	vd_set(&d, 0x24, 0);
	vd_set(&d, 0x20, 0xffffffff); /* too late: ignored */
	vd_go(&d);
	CHECK(vd_get(&d, 0x70) == 15);
	vd_set(&d, 0x70, 0);
	vd_set(&d, 0x70, 3);
	vd_set(&d, 0x70, 11); /* without VERSION_1 */
	CHECK(vd_get(&d, 0x70) == 3);
	vd_set(&d, 0x70, 15);
	CHECK(vd_get(&d, 0x70) == 3);
	vd_fini(&d);
}

TEST(virtio_mmio_registers)
{
	struct vdriver d;
	vd_init(&d, rng(), NULL, NULL, false);
	CHECK(vd_get(&d, 0) == 0x74726976 && vd_get(&d, 4) == 2 && vd_get(&d, 8) == 4);
	CHECK(vd_get(&d, 0xb0) == UINT32_MAX && vd_get(&d, 0xbc) == UINT32_MAX);
	CHECK(vd_get(&d, 0x34) == VIRTIO_QUEUE_SIZE);
	vd_set(&d, 0x30, 1);
	CHECK(vd_get(&d, 0x34) == 0);
	vd_up(&d, 0, 1, 8);
	CHECK(vd_get(&d, 0x44) == 1);
	uint64_t desc = d.q[0].desc;
	vd_set(&d, 0x80, 0xdead0000); /* live: ignored */
	vd_set(&d, 0x38, 2);
	struct vd_seg s = { vd_alloc(&d, 16), 16, true };
	CHECK(vd_do(&d, 0, &s, 1, 0) == 16 && d.q[0].desc == desc);
	vd_set(&d, 0x70, 0);
	CHECK(!d.line && vd_get(&d, 0x60) == 0 && vd_get(&d, 0x44) == 0);
	vd_fini(&d);
}

/* ---- hostile drivers ---- */

struct bad {
	const char *what;
	struct vd_seg s[3];
	unsigned n;
};
static const struct bad bad[] = {
	{ "zero length", { { VD_BASE, 0, true } }, 1 },
	{ "below RAM", { { 16, 16, true } }, 1 },
	{ "end past RAM", { { VD_BASE + VD_RAM - 8, 16, true } }, 1 },
	{ "after RAM", { { VD_BASE + VD_RAM, 16, true } }, 1 },
	{ "address wraps", { { UINT64_MAX - 7, 16, true } }, 1 },
	{ "huge length", { { VD_BASE, UINT32_MAX, true } }, 1 },
	{ "out after in", { { VD_BASE, 16, true }, { VD_BASE, 16, false } }, 2 },
	{ "second is bad", { { VD_BASE, 16, true }, { 0, 16, true } }, 2 },
};

TEST(virtio_bad_chains_need_a_reset_and_a_reset_heals)
{
	for (size_t k = 0; k < countof(kinds); k++) {
		struct vdriver d;
		unsigned how = kinds[k] & VIRTIO_F_INDIRECT_DESC ? VD_INDIRECT : 0;
		vd_init(&d, rng(), NULL, "packed=on", true);
		for (size_t i = 0; i < countof(bad); i++) {
			uint16_t id;
			uint32_t len;
			vd_up(&d, kinds[k], 1, 8);
			vd_add(&d, 0, bad[i].s, bad[i].n, how);
			vd_kick(&d, 0);
			CHECK(vd_broken(&d) && d.line && vd_get(&d, 0x60) & 2);
			CHECK(!vd_used(&d, 0, &id, &len));
			struct vd_seg s = { vd_alloc(&d, 16), 16, true };
			vd_add(&d, 0, &s, 1, 0);
			vd_kick(&d, 0);
			CHECK(!vd_used(&d, 0, &id, &len)); /* silent until reset */
			vd_up(&d, kinds[k], 1, 8);
			CHECK(vd_do(&d, 0, &s, 1, 0) == 16 && !vd_broken(&d));
		}
		vd_fini(&d);
	}
}

TEST(virtio_overlapping_spans_are_harmless)
{
	for (size_t k = 0; k < countof(kinds); k++) {
		struct vdriver d;
		vd_init(&d, rng(), NULL, "packed=on", false);
		vd_up(&d, kinds[k], 1, 8);
		/* over each other, and over the rings themselves */
		struct vd_seg s[] = { { VD_BASE, 1 << 20, true }, { VD_BASE + 8, 64 << 10, true },
			              { d.q[0].desc, 128, true } };
		vd_add(&d, 0, s, 3, 0);
		vd_kick(&d, 0);
		vd_up(&d, kinds[k], 1, 8);
		CHECK(vd_do(&d, 0, s + 1, 1, 0) == 64 << 10);
		vd_fini(&d);
	}
}

/* Write descriptor @i of the split ring, raw. */
static void raw_desc(struct vdriver *d, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next)
{
	uint8_t *p = vd_ptr(d, d->q[0].desc + 16u * i, 16);
	le64_put(p, addr);
	le32_put(p + 8, len);
	le16_put(p + 12, flags);
	le16_put(p + 14, next);
}

static bool raw_offer(struct vdriver *d, uint16_t head, uint16_t idx)
{
	uint8_t *avail = vd_ptr(d, d->q[0].driver, 8);
	le16_put(avail + 4, head);
	le16_put(avail + 2, idx);
	vd_kick(d, 0);
	bool broken = vd_broken(d);
	vd_up(d, VIRTIO_F_INDIRECT_DESC, 1, 8);
	return broken;
}

TEST(virtio_split_loops_jumps_and_bad_tables_need_a_reset)
{
	struct vdriver d;
	vd_init(&d, rng(), NULL, NULL, true);
	vd_up(&d, VIRTIO_F_INDIRECT_DESC, 1, 8);
	uint64_t t = vd_alloc(&d, 64);
	raw_desc(&d, 0, t, 16, 3, 0); /* loop on itself */
	CHECK(raw_offer(&d, 0, 1));
	raw_desc(&d, 0, t, 16, 3, 1); /* loop of two */
	raw_desc(&d, 1, t, 16, 3, 0);
	CHECK(raw_offer(&d, 0, 1));
	raw_desc(&d, 0, t, 16, 3, 8); /* next past the table */
	CHECK(raw_offer(&d, 0, 1));
	raw_desc(&d, 0, t, 16, 2, 0);
	CHECK(raw_offer(&d, 8, 1));   /* head past the table */
	CHECK(raw_offer(&d, 0xffff, 1));
	raw_desc(&d, 0, t, 16, 2, 0);
	CHECK(raw_offer(&d, 0, 9));   /* index jumped */
	CHECK(raw_offer(&d, 0, 0xffff));
	raw_desc(&d, 0, t, 16, 5, 1); /* indirect with next */
	CHECK(raw_offer(&d, 0, 1));
	raw_desc(&d, 0, t, 24, 4, 0); /* not whole descriptors */
	CHECK(raw_offer(&d, 0, 1));
	raw_desc(&d, 0, t, 0, 4, 0);
	CHECK(raw_offer(&d, 0, 1));
	raw_desc(&d, 0, 64, 16, 4, 0); /* table outside RAM */
	CHECK(raw_offer(&d, 0, 1));
	raw_desc(&d, 0, t, 0xfffffff0, 4, 0);
	CHECK(raw_offer(&d, 0, 1));
	le16_put(vd_ptr(&d, t + 12, 2), 4); /* indirect inside indirect */
	raw_desc(&d, 0, t, 16, 4, 0);
	CHECK(raw_offer(&d, 0, 1));
	le64_put(vd_ptr(&d, t, 8), t);
	le32_put(vd_ptr(&d, t + 8, 4), 16);
	le16_put(vd_ptr(&d, t + 12, 2), 3); /* a loop inside the table */
	raw_desc(&d, 0, t, 64, 4, 0);
	CHECK(raw_offer(&d, 0, 1));
	vd_fini(&d);
}

TEST(virtio_long_chains_go_to_the_heap_and_end_at_the_limit)
{
	for (int packed = 0; packed < 2; packed++) {
		struct vdriver d;
		static struct vd_seg s[VIRTIO_CHAIN_MAX + 1];
		vd_init(&d, rng(), NULL, "packed=on", false);
		uint64_t f = VIRTIO_F_INDIRECT_DESC | (packed ? VIRTIO_F_RING_PACKED : 0);
		vd_up(&d, f, 1, 8);
		uint64_t buf = vd_alloc(&d, 32 * countof(s));
		for (size_t i = 0; i < countof(s); i++)
			s[i] = (struct vd_seg){ buf + 32 * i, 16, true };
		for (unsigned n = 60; n <= VIRTIO_CHAIN_MAX; n += 1 + n / 8) {
			memset(vd_ptr(&d, buf, 32 * countof(s)), 0, 32 * countof(s));
			CHECK(vd_do(&d, 0, s, n, VD_INDIRECT) == 16 * n);
			for (unsigned i = 0; i < n; i++)
				CHECK(!all_zero(vd_ptr(&d, buf + 32 * i, 16), 16) &&
				      all_zero(vd_ptr(&d, buf + 32 * i + 16, 16), 16));
		}
		CHECK(vd_do(&d, 0, s, VIRTIO_CHAIN_MAX, VD_INDIRECT) == 16 * VIRTIO_CHAIN_MAX);
		vd_add(&d, 0, s, VIRTIO_CHAIN_MAX + 1, VD_INDIRECT);
		vd_kick(&d, 0);
		CHECK(vd_broken(&d));
		vd_fini(&d);
	}
}

TEST(virtio_rings_outside_ram_need_a_reset)
{
	static const uint64_t places[] = { 0, 8, VD_BASE + 1, VD_BASE + VD_RAM - 16,
		                           VD_BASE + VD_RAM, UINT64_MAX - 15 };
	for (size_t i = 0; i < 3 * countof(places); i++) {
		struct vdriver d;
		vd_init(&d, rng(), NULL, "packed=on", false);
		CHECK(vd_negotiate(&d, i & 1 ? VIRTIO_F_RING_PACKED : 0));
		for (uint64_t a = 0; a < 3; a++)
			vd_area(&d, 0x80 + 16 * a,
			        a == i % 3 ? places[i / 3] : VD_BASE + 0x10000 * a);
		vd_set(&d, 0x44, 1);
		/* 16 bytes before the end are enough for a packed ring's event areas */
		bool fits = i & 1 && i % 3 && places[i / 3] == VD_BASE + VD_RAM - 16;
		CHECK(vd_get(&d, 0x44) == fits && vd_broken(&d) == !fits);
		vd_go(&d);
		vd_kick(&d, 0);
		vd_fini(&d);
	}
}

TEST(virtio_every_class_is_described_and_serves_garbage)
{
	const struct virtio_class *c;
	for (size_t i = 0; (c = virtio_class_at(i)); i++) {
		CHECK(c->name && c->summary && c->device_id && c->serve && c->nqueues);
		CHECK(c->size >= sizeof(struct virtio) && c->config_len <= VIRTIO_CONFIG_MAX);
		CHECK(!c->config_len == !c->config_read);
		CHECK(virtio_class_find(c->name) == c);
		CHECK(!(c->features & 0x7ffff000000ull)); /* bits 24 to 40 are not theirs */
	}
	CHECK(!virtio_class_find("teapot"));
}

/* A snapshot in the middle of a session, on both transports' common part: the copy goes on. */
TEST(virtio_state_round_trip_goes_on_where_it_was)
{
	static uint8_t one[1 << 14], two[1 << 14];
	for (size_t k = 0; k < countof(kinds); k++) {
		struct vdriver d;
		vd_init(&d, rng(), NULL, "packed=on", true);
		vd_up(&d, kinds[k], 1, 8);
		struct vd_seg s = { vd_alloc(&d, 64), 64, true };
		for (int i = 0; i < 13; i++)
			CHECK(vd_do(&d, 0, &s, 1, 0) == 64);
		CHECK(virtio_inflight(virtio_of(d.dev)) == 0);
		size_t n = dev_save(d.dev, one, sizeof one);
		CHECK(n <= sizeof one);
		dev_reset(d.dev);
		CHECK(!d.line);
		CHECK(dev_load(d.dev, one, n) && d.line);
		CHECK(dev_save(d.dev, two, sizeof two) == n && !memcmp(one, two, n));
		for (int i = 0; i < 13; i++)
			CHECK(vd_do(&d, 0, &s, 1, 0) == 64);
		for (size_t cut = 0; cut < n; cut++)
			CHECK(!dev_load(d.dev, one, cut));
		uint64_t seed = 1 + k;
		for (int i = 0; i < 3000; i++) { /* damaged: refused or loaded, never more */
			memcpy(two, one, n);
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			two[(seed >> 33) % n] ^= (uint8_t)(seed >> 20 | 1);
			(void)!dev_load(d.dev, two, n);
			vd_kick(&d, 0);
		}
		vd_fini(&d);
	}
}

/* ---- a driver and a loop on their own threads, both asking for few wake-ups ---- */

struct wake {
	struct vdriver d;
	pthread_t thread;
	pthread_mutex_t m;
	pthread_cond_t rose;
	bool line;
};

static void wake_line(void *ctx, unsigned line, bool level)
{
	struct wake *w = ctx;
	(void)line;
	pthread_mutex_lock(&w->m);
	w->line = level;
	pthread_cond_signal(&w->rose);
	pthread_mutex_unlock(&w->m);
}

static void *wake_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

/* Wait for the interrupt, as a halted processor does. False: it never came. */
static bool wake_wait(struct wake *w)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	int r = 0;
	pthread_mutex_lock(&w->m);
	while (!w->line && !r)
		r = pthread_cond_timedwait(&w->rose, &w->m, &until);
	pthread_mutex_unlock(&w->m);
	vd_set(&w->d, 0x64, 3);
	return !r;
}

static void wake_run(uint64_t features, unsigned chains)
{
	struct wake w = { .m = PTHREAD_MUTEX_INITIALIZER, .rose = PTHREAD_COND_INITIALIZER };
	struct dev_setup s = vd_prepare(&w.d, NULL, "packed=on", true);
	struct irq irq = { wake_line, &w, 0 };
	uint16_t id;
	uint32_t len;
	s.irqs = &irq;
	s.nirqs = 1;
	CHECK(virtio_mmio_new(&w.d.dev, rng(), &s, NULL) == 0);
	w.d.read = vd_mmio_read;
	w.d.write = vd_mmio_write;
	vd_up(&w.d, features, 1, 8);
	CHECK(!pthread_create(&w.thread, NULL, wake_loop, w.d.loop));
	struct vd_seg seg = { vd_alloc(&w.d, 8), 8, true };
	unsigned added = 0, done = 0;
	while (done < chains) {
		while (added - done < 8 && added < chains) {
			vd_add(&w.d, 0, &seg, 1, 0);
			added++;
			if (vd_should_kick(&w.d, 0))
				vd_set(&w.d, 0x50, 0);
		}
		unsigned before = done;
		while (vd_used(&w.d, 0, &id, &len))
			done++;
		/* vd_used armed the event; a last look sees what came meanwhile. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		while (vd_used(&w.d, 0, &id, &len))
			done++;
		CHECK(done != before || wake_wait(&w));
	}
	loop_stop(w.d.loop);
	pthread_join(w.thread, NULL);
	vd_fini(&w.d);
}

TEST(virtio_no_wakeup_is_lost_between_threads)
{
	for (size_t k = 0; k < countof(kinds); k++)
		wake_run(kinds[k], 20000);
}

TEST(virtio_service_takes_turns_and_finishes)
{
	for (unsigned k = 0; k < 4; k++) {
		struct vdriver d;
		uint16_t id, n = 0;
		uint32_t len;
		vd_init(&d, rng(), NULL, "packed=on", k & 1);
		vd_up(&d, k & 2 ? VIRTIO_F_RING_PACKED : 0, 1, 256);
		struct vd_seg s = { vd_alloc(&d, 8), 8, true };
		for (int round = 0; round < 3; round++, n = 0) {
			for (int i = 0; i < 256; i++) /* exactly the budget of one turn */
				vd_add(&d, 0, &s, 1, 0);
			vd_kick(&d, 0);
			while (vd_used(&d, 0, &id, &len))
				n++;
			CHECK(n == 256);
		}
		vd_fini(&d);
	}
}

/* Every register and configuration byte of every class in every width, live rings behind it. */
TEST(virtio_mmio_survives_every_access)
{
	const struct virtio_class *c;
	for (size_t i = 0; (c = virtio_class_at(i)); i++) {
		struct vdriver d;
		if (!strcmp(c->name, "fs"))
			continue; /* does not exist without a folder */
		vd_init(&d, c, NULL, "packed=on", true);
		for (uint32_t val = 0; val < 6; val++) {
			static const uint32_t vals[] = { 0, 1, 1u << 31, 0xffffffff, 16, 0x5a5a };
			CHECK(vd_negotiate(&d, val & 1 ? VIRTIO_F_RING_PACKED : 0));
			vd_queue_up(&d, 0, 16);
			vd_go(&d);
			for (uint64_t off = 0; off < 0x200; off++)
				for (unsigned width = 1; width <= 4 && !(off % width); width *= 2) {
					(void)d.read(&d, off, width);
					d.write(&d, off, width, vals[val]);
				}
			vd_pump(&d);
			vd_kick(&d, 0);
		}
		vd_fini(&d);
	}
}
