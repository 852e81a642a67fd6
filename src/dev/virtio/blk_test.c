/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk under a driver of a few lines, without a transport. */
#include "blk/blk.h"
#include "dev/virtio/internal.h"
#include "test/test.h"
#include <fcntl.h>
#include <stdio.h>

enum {
	RAM = 4 << 20, DISK = 1 << 20, QUEUES = 4,
	RINGS = 0x8000,            /* of one queue: descriptors, available, used */
	DATA = 0x100000,           /* 8 KiB for each of 85 requests of 4 queues */
	SLOT = 0x2000, SLOTS = 85, HEADER = 0x1e00, STATUS = 0x1f00,
	T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13,
	FEATURES = 1 << 2 | 1 << 6 | 1 << 9 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14,
};
static const uint64_t base = 0x80000000;

struct driver {
	struct mem *mem;
	struct loop *loop;
	struct blk *b;
	struct virtio *v;
	pthread_mutex_t lock;
	char path[64];
	unsigned interrupts;
	uint16_t seen[QUEUES], avail[QUEUES];
	uint8_t model[DISK];
};

static uint8_t *driver_at(struct driver *t, uint64_t off) { return mem_host(t->mem) + off; }
static void driver_notify(void *t, int queue)
{
	((struct driver *)t)->interrupts += queue >= 0;
}

/* Reset, negotiate, place the rings, go. */
static void driver_start(struct driver *t, uint64_t features)
{
	virtio_status_set(t->v, 0);
	virtio_status_set(t->v, 3);
	features &= virtio_offered(t->v, 0);
	virtio_accept(t->v, 0, (uint32_t)features);
	virtio_accept(t->v, 1, 1);
	virtio_status_set(t->v, 11);
	CHECK(t->v->status & STATUS_FEATURES_OK);
	memset(driver_at(t, 0), 0, RINGS * QUEUES);
	for (unsigned i = 0; i < t->v->nqueues; i++) {
		struct virtq *q = virtio_queue(t->v, i);
		uint64_t at = base + i * RINGS;
		q->desc = at;
		q->driver = at + 0x2000;
		q->device = at + 0x4000;
		virtq_enable(t->v, q);
		t->seen[i] = t->avail[i] = 0;
	}
	virtio_status_set(t->v, 15);
}

static void driver_init(struct driver *t, bool with_loop, bool readonly, const char *options)
{
	struct lodge_err e = { 0 };
	*t = (struct driver){ 0 };
	snprintf(t->path, sizeof t->path, "/tmp/lodge-vblk-XXXXXX");
	int fd = mkstemp(t->path);
	CHECK(fd >= 0 && ftruncate(fd, DISK) == 0 && close(fd) == 0);
	CHECK(mem_new(&t->mem, gpa(base), RAM, &e) == 0);
	if (with_loop)
		CHECK(loop_new(&t->loop, &e) == 0);
	struct blk_options o = { .path = t->path, .format = "raw", .readonly = readonly };
	CHECK(blk_open(&t->b, &o, t->loop, &e) == 0);
	struct dev_setup s = { .mem = t->mem, .loop = t->loop, .backend = t->b,
	                       .options = options };
	pthread_mutex_init(&t->lock, NULL);
	CHECK(virtio_new(&t->v, virtio_class_find("blk"), &s, &t->lock, &e) == 0);
	t->v->notify = driver_notify;
	t->v->transport = t;
	driver_start(t, FEATURES);
}

static void driver_fini(struct driver *t)
{
	virtio_free(t->v);
	CHECK(blk_close(t->b) == 0);
	loop_free(t->loop);
	mem_free(t->mem);
	pthread_mutex_destroy(&t->lock);
	unlink(t->path);
}

static void desc_put(struct driver *t, unsigned queue, unsigned i, uint64_t off, uint32_t len,
                     unsigned flags)
{
	uint8_t *d = driver_at(t, queue * RINGS + i * DESC_LEN);
	le64_put(d, base + off);
	le32_put(d + 8, len);
	le16_put(d + 12, (uint16_t)flags);
	le16_put(d + 14, (uint16_t)(i + 1));
}

static uint64_t slot_off(unsigned queue, unsigned slot)
{
	return DATA + (queue * SLOTS + slot) * (uint64_t)SLOT;
}

/* Put a request of three descriptors into the ring. */
static void driver_add(struct driver *t, unsigned queue, unsigned slot, uint32_t type,
                       uint64_t sector, uint32_t len)
{
	uint64_t at = slot_off(queue, slot);
	uint8_t *h = driver_at(t, at + HEADER), *avail = driver_at(t, queue * RINGS + 0x2000);
	le32_put(h, type);
	le32_put(h + 4, 0);
	le64_put(h + 8, sector);
	*driver_at(t, at + STATUS) = 0xee;
	bool in = type == T_IN || type == T_GET_ID;
	desc_put(t, queue, 3 * slot, at + HEADER, 16, DESC_NEXT);
	desc_put(t, queue, 3 * slot + 1, at, len, DESC_NEXT | (in ? DESC_WRITE : 0));
	desc_put(t, queue, 3 * slot + 2, at + STATUS, 1, DESC_WRITE);
	if (len == 0)
		le16_put(driver_at(t, queue * RINGS + 3 * slot * DESC_LEN + 14),
		         (uint16_t)(3 * slot + 2));
	le16_put(avail + 4 + 2 * (t->avail[queue] % VIRTIO_QUEUE_SIZE), (uint16_t)(3 * slot));
	le16_put(avail + 2, ++t->avail[queue]);
}

static uint16_t driver_used(struct driver *t, unsigned queue)
{
	return le16_at(driver_at(t, queue * RINGS + 0x4000 + 2));
}

/* One request from start to end; its status. */
static unsigned driver_do(struct driver *t, uint32_t type, uint64_t sector, uint32_t len)
{
	driver_add(t, 0, 0, type, sector, len);
	virtio_kick(t->v, 0);
	CHECK(driver_used(t, 0) == t->avail[0]);
	return *driver_at(t, slot_off(0, 0) + STATUS);
}

TEST(virtio_blk_tells_what_it_wrote)
{
	static const struct { unsigned type, len; bool data; } kinds[] = {
		{ T_IN, 4096, true }, { T_OUT, 4096, false }, { T_GET_ID, 20, true },
		{ T_FLUSH, 0, false }, { T_IN, 511, false },
	};
	static struct driver t;
	driver_init(&t, false, false, NULL);
	struct gpa data = gpa(base + slot_off(0, 0)), status = gpa(data.a + STATUS);
	for (size_t i = 0; i < countof(kinds); i++) {
		mem_watch(t.mem, data, 0);
		mem_watch(t.mem, status, 0);
		driver_do(&t, kinds[i].type, 0, kinds[i].len);
		CHECK(mem_watched(t.mem, data) == !kinds[i].data && !mem_watched(t.mem, status));
	}
	driver_fini(&t);
}

TEST(virtio_blk_serves_every_kind_of_request)
{
	static struct driver t;
	driver_init(&t, false, false, "serial=disk0");
	uint8_t *p = driver_at(&t, slot_off(0, 0)), back[4096];
	memset(p, 0x5a, 4096);
	CHECK(driver_do(&t, T_OUT, 8, 4096) == 0);
	CHECK(blk_sync(t.b, BLK_READ, 4096, back, 4096) == 0 && !memcmp(p, back, 4096));
	memset(p, 0, 4096);
	CHECK(driver_do(&t, T_IN, 8, 4096) == 0 && !memcmp(p, back, 4096));
	CHECK(le32_at(driver_at(&t, 0x4000 + 4 + 8 * ((t.avail[0] - 1u) % 256) + 4)) == 4097);
	CHECK(driver_do(&t, T_FLUSH, 0, 0) == 0);
	CHECK(driver_do(&t, T_GET_ID, 0, 20) == 0 && !memcmp(p, "disk0\0\0", 7));
	le64_put(p, 9);
	le32_put(p + 8, 2);
	le32_put(p + 12, 1);
	CHECK(driver_do(&t, T_WRITE_ZEROES, 0, 16) == 0);
	CHECK(blk_sync(t.b, BLK_READ, 4096, back, 4096) == 0);
	CHECK(back[511] == 0x5a && back[512] == 0 && back[1535] == 0 && back[1536] == 0x5a);
	CHECK(driver_do(&t, T_DISCARD, 0, 16) == 2); /* unmap flag: not for discard */
	le32_put(p + 12, 0);
	CHECK(driver_do(&t, T_DISCARD, 0, 16) == 0);
	/* refused: a range past the end, half a range, an unknown request, odd lengths */
	le64_put(p, DISK / 512 - 1);
	CHECK(driver_do(&t, T_DISCARD, 0, 16) == 1);
	CHECK(driver_do(&t, T_WRITE_ZEROES, 0, 24) == 1);
	CHECK(driver_do(&t, 99, 0, 512) == 2);
	CHECK(driver_do(&t, T_IN, 0, 100) == 1);
	CHECK(driver_do(&t, T_OUT, DISK / 512, 512) == 1);
	CHECK(driver_do(&t, T_IN, UINT64_MAX / 512, 1024) == 1);
	CHECK(driver_do(&t, T_IN, UINT64_MAX, 512) == 1);
	/* the host's file fails: an I/O error for the guest, and service goes on */
	CHECK(truncate(t.path, 4096) == 0);
	CHECK(driver_do(&t, T_IN, 8, 512) == 1);
	CHECK(driver_do(&t, T_IN, 0, 512) == 0);
	CHECK(t.v->status == 15);
	driver_fini(&t);
}

TEST(virtio_blk_readonly_and_write_through)
{
	static struct driver t;
	driver_init(&t, false, true, NULL);
	CHECK(t.v->offered & 1 << 5 && !(t.v->offered & 1 << 13));
	CHECK(driver_do(&t, T_OUT, 0, 512) == 1);
	CHECK(driver_do(&t, T_IN, 0, 512) == 0);
	driver_fini(&t);
	driver_init(&t, false, false, NULL);
	CHECK(virtio_config_get(t.v, 32, 1) == 1);
	virtio_config_set(t.v, 32, 1, 0);
	CHECK(virtio_config_get(t.v, 32, 1) == 0);
	CHECK(driver_do(&t, T_OUT, 0, 512) == 0);
	virtio_status_set(t.v, 0);
	CHECK(virtio_config_get(t.v, 32, 1) == 1);
	driver_start(&t, 0); /* a driver that knows nothing of caches */
	CHECK(driver_do(&t, T_OUT, 0, 512) == 0);
	driver_fini(&t);
}

/* A chain that cannot be answered breaks the device; a reset mends it. */
TEST(virtio_blk_needs_reset_after_a_chain_without_status)
{
	static struct driver t;
	driver_init(&t, false, false, NULL);
	driver_add(&t, 0, 0, T_FLUSH, 0, 0);
	desc_put(&t, 0, 0, slot_off(0, 0) + HEADER, 16, 0);
	virtio_kick(t.v, 0);
	CHECK(t.v->status & STATUS_NEEDS_RESET);
	driver_start(&t, FEATURES);
	CHECK(driver_do(&t, T_FLUSH, 0, 0) == 0);
	driver_add(&t, 0, 0, T_FLUSH, 0, 0);
	desc_put(&t, 0, 0, slot_off(0, 0) + HEADER, 15, DESC_NEXT);
	virtio_kick(t.v, 0);
	CHECK(t.v->status & STATUS_NEEDS_RESET);
	driver_fini(&t);
}

static void stop_soon(void *arg) { loop_stop(arg); }

static void driver_run(struct driver *t, unsigned ms)
{
	struct loop_timer *timer;
	CHECK(loop_timer_new(&timer, t->loop, NULL, stop_soon, t->loop, NULL) == 0);
	loop_timer_set(timer, host_monotonic_ns() + ms * 1000000ull);
	loop_run(t->loop);
	loop_timer_free(timer);
}

TEST(virtio_blk_four_queues_full_at_once)
{
	static struct driver t;
	driver_init(&t, true, false, "queues=4");
	CHECK(virtio_config_get(t.v, 34, 2) == 4);
	for (unsigned round = 0; round < 4; round++) {
		bool write = !(round & 1);
		for (unsigned i = 0; i < QUEUES * SLOTS; i++) {
			uint8_t *p = driver_at(&t, slot_off(i / SLOTS, i % SLOTS));
			memset(p, write ? (int)(i + round) & 0xff : 0, 2048);
			driver_add(&t, i / SLOTS, i % SLOTS, write ? T_OUT : T_IN, 4ull * i, 2048);
		}
		for (unsigned q = 0; q < QUEUES; q++)
			virtio_kick(t.v, q);
		for (int tries = 0; tries < 100; tries++) {
			unsigned done = 0;
			for (unsigned q = 0; q < QUEUES; q++)
				done += driver_used(&t, q) == t.avail[q];
			if (done == QUEUES)
				break;
			driver_run(&t, 20);
		}
		for (unsigned i = 0; i < QUEUES * SLOTS; i++) {
			uint64_t at = slot_off(i / SLOTS, i % SLOTS);
			uint8_t want = (uint8_t)(write ? i + round : i + round - 1);
			CHECK(*driver_at(&t, at + STATUS) == 0);
			CHECK(*driver_at(&t, at) == want && *driver_at(&t, at + 2047) == want);
		}
	}
	CHECK(t.interrupts < 4 * QUEUES * SLOTS / 2);
	driver_fini(&t);
}

/* Reset while reads are in flight: afterwards the memory is the driver's again. */
TEST(virtio_blk_reset_leaves_memory_alone)
{
	static struct driver t;
	driver_init(&t, true, false, NULL);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < SLOTS; i++)
			driver_add(&t, 0, i, T_IN, 8ull * i, 4096);
		t.v->serving = true; /* serve here, as the loop would */
		t.v->budget = 256;
		t.v->class->serve(t.v, 0);
		t.v->serving = false;
		virtio_status_set(t.v, 0);
		memset(driver_at(&t, DATA), 0xa5, SLOTS * SLOT);
		if (round & 1)
			driver_start(&t, FEATURES); /* the next life begins before done comes */
		driver_run(&t, 5);
		unsigned written = 0;
		for (unsigned i = 0; i < SLOTS * SLOT; i++)
			written += *driver_at(&t, DATA + i) != 0xa5;
		CHECK(written == 0);
		CHECK(driver_used(&t, 0) == 0);
		if (!(round & 1))
			driver_start(&t, FEATURES);
	}
	driver_fini(&t);
}

/* Reads of 2048 bytes that were answered in all queues; *ret_apart: by how many more in the one
 * with the most than in that with the fewest. */
static unsigned driver_served(struct driver *t, unsigned *ret_apart)
{
	unsigned sum = 0, least = UINT32_MAX, most = 0;
	for (unsigned q = 0; q < QUEUES; q++) {
		unsigned n = driver_used(t, q);
		sum += n;
		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	*ret_apart = most - least;
	return sum;
}

/* @requests and @bytes a second, and how many reads of 2048 bytes that lets through. */
static void limit_try(uint64_t requests, uint64_t bytes, double per_s)
{
	static struct driver t;
	enum { BURST_MS = 200, SLACK = 1 + QUEUES };
	unsigned apart;
	driver_init(&t, true, false, "queues=4");
	virtio_blk_limit(t.v, requests, bytes);
	uint64_t begun = host_monotonic_ns();
	for (unsigned i = 0; i < QUEUES * SLOTS; i++)
		driver_add(&t, i / SLOTS, i % SLOTS, T_IN, 4ull * i, 2048);
	for (unsigned q = 0; q < QUEUES; q++)
		virtio_kick(t.v, q);
	driver_run(&t, 600);
	unsigned n = driver_served(&t, &apart);
	double s = (double)(host_monotonic_ns() - begun) / 1e9;
	CHECK(n <= (s + BURST_MS / 1000.0) * per_s + SLACK);
	CHECK(n >= 0.3 * per_s * 0.4);     /* a busy host is late, not idle */
	/* in turn, each a burst at a time when a busy host is late; not one to its end first */
	CHECK(apart <= per_s * BURST_MS / 1000 + SLACK);
	virtio_blk_limit(t.v, 0, 0);
	for (int i = 0; i < 100 && n < QUEUES * SLOTS; i++) {
		driver_run(&t, 20);
		n = driver_served(&t, &apart);
	}
	CHECK(n == QUEUES * SLOTS);
	driver_fini(&t);
}

TEST(virtio_blk_limits_hold_and_end)
{
	limit_try(200, 0, 200);
	limit_try(0, 400 << 10, 200);
	limit_try(1000, 400 << 10, 200);
}

/* What waits is in the ring: nothing is in flight, and a reset forgets it. */
TEST(virtio_blk_limit_holds_nothing)
{
	static struct driver t;
	unsigned apart;
	driver_init(&t, true, false, NULL);
	virtio_blk_limit(t.v, 1, 0);
	for (unsigned i = 0; i < 10; i++)
		driver_add(&t, 0, i, T_IN, 4ull * i, 2048);
	virtio_kick(t.v, 0);
	driver_run(&t, 50);
	CHECK(driver_served(&t, &apart) <= 2);
	virtio_drain(t.v);
	CHECK(virtio_inflight(t.v) == 0);
	virtio_status_set(t.v, 0);
	driver_run(&t, 5);
	driver_fini(&t);
}
