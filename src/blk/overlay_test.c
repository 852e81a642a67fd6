/* SPDX-License-Identifier: Apache-2.0 */
/* Overlays: against a model, across kills, over a base that changed, with damaged metadata. */
#include "blk/internal.h"
#include "blk/testing.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

enum { DISK = 4 << 20, BASE = DISK - 2560, MAP_AT = 4096 };

struct layers {
	char *dir;
	char base[128], top[192];
	uint8_t *model;
	struct blk_options o;
};

static void layers_init(struct layers *t)
{
	uint32_t seed = 77;
	*t = (struct layers){ .dir = disk_dir(), .model = calloc(1, DISK) };
	snprintf(t->base, sizeof t->base, "%s/base", t->dir);
	snprintf(t->top, sizeof t->top, "%s/top", t->dir);
	for (unsigned i = 0; i < BASE; i += 4)
		le32_put(t->model + i, disk_random(&seed));
	CHECK(disk_file(t->base, t->model, BASE));
	t->o = (struct blk_options){ .path = t->base, .format = "raw", .overlay = t->top,
	                             .size = DISK };
}

static void layers_fini(struct layers *t)
{
	free(t->model);
	disk_dir_free(t->dir);
}

static struct blk *layers_open(struct layers *t, struct loop *l)
{
	struct blk *b = NULL;
	struct lodge_err e = { 0 };
	if (blk_open(&b, &t->o, l, &e) < 0)
		fprintf(stderr, "%s\n", e.msg);
	CHECK(b);
	return b;
}

TEST(blk_overlay_random_operations_match_a_model)
{
	struct layers t;
	struct stat st;
	layers_init(&t);
	CHECK(stat(t.base, &st) == 0);
	for (uint32_t round = 0; round < 6; round++) {
		struct blk *b = layers_open(&t, NULL);
		CHECK(blk_size(b) == DISK && !strcmp(blk_format(b), "raw"));
		CHECK(disk_equals(b, t.model));
		CHECK(disk_churn(b, t.model, 400, round + 1) == 0);
		CHECK(blk_close(b) == 0);
	}
	struct timespec before = st.st_mtim;
	CHECK(stat(t.base, &st) == 0 && st.st_mtim.tv_nsec == before.tv_nsec);
	layers_fini(&t);
}

TEST(blk_overlay_async_requests_match_a_model)
{
	struct layers t;
	struct loop *l;
	CHECK(loop_new(&l, NULL) == 0);
	for (unsigned i = 0; i < 3; i++) {
		layers_init(&t);
		t.o.no_uring = i == 1;
		for (uint32_t round = 0; round < 3; round++) {
			struct blk *b = layers_open(&t, l);
			if (i == 2) /* whatever the file system under this test prefers */
				b->image->file.ring_writes = true;
			CHECK(disk_churn_async(b, l, t.model, 800, round + 3) == 0);
			CHECK(disk_equals(b, t.model));
			CHECK(blk_close(b) == 0);
		}
		layers_fini(&t);
	}
	loop_free(l);
}

/* An overlay over an overlay, opened by its own name. */
TEST(blk_overlay_stacks_and_opens_by_its_name)
{
	struct layers t;
	struct blk *b;
	layers_init(&t);
	b = layers_open(&t, NULL);
	CHECK(disk_churn(b, t.model, 100, 5) == 0);
	blk_close(b);
	struct blk_options second = { .path = t.top, .overlay = disk_path(t.dir, "second") };
	CHECK(blk_open(&b, &second, NULL, NULL) == 0);
	CHECK(!strcmp(blk_format(b), "overlay"));
	CHECK(disk_churn(b, t.model, 300, 6) == 0);
	blk_close(b);
	struct blk_options named = { .path = disk_path(t.dir, "second") };
	CHECK(blk_open(&b, &named, NULL, NULL) == 0);
	CHECK(disk_churn(b, t.model, 100, 9) == 0 && disk_equals(b, t.model));
	blk_close(b);
	layers_fini(&t);
}

TEST(blk_overlay_refuses_a_changed_or_missing_base)
{
	struct layers t;
	struct blk *b;
	struct lodge_err e;
	layers_init(&t);
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
	CHECK(utimensat(AT_FDCWD, t.base, times, 0) == 0);
	blk_close(layers_open(&t, NULL));
	CHECK(utimensat(AT_FDCWD, t.base, NULL, 0) == 0);
	CHECK(blk_open(&b, &t.o, NULL, &e) == -EINVAL && strstr(e.msg, "changed"));
	CHECK(utimensat(AT_FDCWD, t.base, times, 0) == 0);
	blk_close(layers_open(&t, NULL));
	CHECK(truncate(t.base, 1 << 20) == 0 && utimensat(AT_FDCWD, t.base, times, 0) == 0);
	CHECK(blk_open(&b, &t.o, NULL, &e) == -EINVAL && strstr(e.msg, "changed"));
	unlink(t.base);
	CHECK(blk_open(&b, &t.o, NULL, &e) == -ENOENT);
	/* a failed creation leaves nothing */
	unlink(t.top);
	CHECK(blk_open(&b, &t.o, NULL, &e) == -ENOENT && access(t.top, F_OK) < 0);
	CHECK(access(disk_path(t.dir, "top.new"), F_OK) < 0);
	layers_fini(&t);
}

TEST(blk_overlay_locks_itself_and_shares_its_base)
{
	struct layers t;
	struct blk *b, *c;
	struct lodge_err e;
	layers_init(&t);
	b = layers_open(&t, NULL);
	CHECK(blk_open(&c, &t.o, NULL, &e) == -EBUSY && strstr(e.msg, "top"));
	struct blk_options other = t.o;
	other.overlay = disk_path(t.dir, "other");
	CHECK(blk_open(&c, &other, NULL, &e) == 0);
	blk_close(c);
	CHECK(blk_open(&c, &(struct blk_options){ .path = t.base, .format = "raw" }, NULL, &e) ==
	      -EBUSY);
	blk_close(b);
	layers_fini(&t);
}

TEST(blk_overlay_discard_gives_space_back)
{
	struct layers t;
	struct stat st;
	layers_init(&t);
	struct blk *b = layers_open(&t, NULL);
	CHECK(blk_sync(b, BLK_WRITE, 0, t.model, DISK) == 0);
	CHECK(blk_sync(b, BLK_FLUSH, 0, 0, 0) == 0);
	CHECK(stat(t.top, &st) == 0 && st.st_blocks * 512 >= DISK);
	CHECK(blk_sync(b, BLK_DISCARD, 0, NULL, DISK) == 0);
	CHECK(stat(t.top, &st) == 0);
	if (st.st_blocks * 512 > 65536)
		fprintf(stderr, "this file system has no holes\n");
	blk_close(b);
	layers_fini(&t);
}

/* ---- kill -9 ---- */

enum { CELLS = DISK / 4096, KILLS = 25 };

/* What the writer says about each 4 KiB cell, in memory shared with the judge. */
struct ledger {
	uint32_t flushed[CELLS]; /* version that a returned flush covers; 0: the base's */
	uint32_t written[CELLS]; /* newest version that may be there */
};

static void cell_fill(uint8_t *p, uint32_t cell, uint32_t version)
{
	for (uint32_t i = 0; i < 4096; i += 8) {
		le32_put(p + i, cell);
		le32_put(p + i + 4, version);
	}
}

static void victim_run(struct layers *t, struct ledger *g, uint32_t seed)
{
	uint8_t *buf = malloc(8 * 4096);
	uint32_t *mine = calloc(CELLS, sizeof *mine); /* versions of this life only */
	struct blk *b;
	if (blk_open(&b, &t->o, NULL, NULL) < 0)
		_exit(1);
	for (;;) {
		uint32_t n = 1 + disk_random(&seed) % 8, at = disk_random(&seed) % (CELLS - n);
		for (uint32_t i = 0; i < n; i++)
			cell_fill(buf + i * 4096, at + i, mine[at + i] = ++g->written[at + i]);
		if (blk_sync(b, BLK_WRITE, at * 4096ull, buf, n * 4096ull) < 0)
			_exit(2);
		if (disk_random(&seed) % 8)
			continue;
		if (blk_sync(b, BLK_FLUSH, 0, NULL, 0) < 0)
			_exit(3);
		memcpy(g->flushed, mine, sizeof g->flushed);
	}
}

/* Each cell holds one whole version, not older than the last flush, not newer than written (a
 * cell being written at the kill may be torn at sectors: each 512 bytes is judged alone). */
static bool ledger_holds(const struct layers *t, struct blk *b, const struct ledger *g)
{
	uint8_t buf[4096];
	for (uint32_t c = 0; c < CELLS; c++) {
		if (blk_sync(b, BLK_READ, c * 4096ull, buf, 4096) < 0)
			return false;
		for (uint32_t s = 0; s < 4096; s += 512) {
			uint32_t v = le32_at(buf + s + 4);
			bool base = !memcmp(buf + s, t->model + c * 4096 + s, 512);
			if (base && g->flushed[c] == 0)
				continue;
			if (le32_at(buf + s) != c || v < g->flushed[c] || v > g->written[c]) {
				fprintf(stderr, "cell %u+%u: %u of %u, flushed %u, written %u\n",
				        c, s, v, le32_at(buf + s), g->flushed[c], g->written[c]);
				return false;
			}
		}
	}
	return true;
}

TEST(blk_overlay_keeps_flushed_data_across_kill)
{
	struct layers t;
	struct ledger *g = mmap(NULL, sizeof *g, PROT_READ | PROT_WRITE,
	                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(g != MAP_FAILED);
	layers_init(&t);
	for (uint32_t i = 0; i < KILLS; i++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0)
			victim_run(&t, g, 1000 + i);
		usleep(3000 + i * 1700);
		int status = 0;
		CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status));
		if (access(t.top, F_OK) < 0)
			continue;
		struct blk *b = layers_open(&t, NULL);
		CHECK(ledger_holds(&t, b, g));
		/* what is there now is what the next life starts from */
		CHECK(blk_sync(b, BLK_READ, 0, t.model, DISK) == 0);
		memset(g->flushed, 0, sizeof g->flushed);
		blk_close(b);
	}
	munmap(g, sizeof *g);
	layers_fini(&t);
}

/* ---- power cuts: only what was made durable in order may be relied on ---- */

enum { CUT_FLUSHES = 40 };

/* A host whose disk has a cache. At every flush the power could also have failed: of the sectors
 * written since the flush before, any may then have reached the disk. */
struct host_cut {
	struct layers *t;
	struct ledger *g;
	uint8_t *durable, *now; /* the overlay file's bytes */
	size_t bytes;
	uint32_t seed;
	unsigned flushes, failures;
};

static void cut_read(struct host_cut *h)
{
	int fd = open(h->t->top, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pread(fd, h->now, h->bytes, 0) == (ssize_t)h->bytes);
	close(fd);
}

static void cut_power(void *arg)
{
	struct host_cut *h = arg;
	struct blk_options o = h->t->o;
	char path[192];
	struct blk *b = NULL;
	cut_read(h);
	for (unsigned i = 0; i < 2; i++) {
		for (size_t at = 0; at < h->bytes; at += 512)
			if (disk_random(&h->seed) % 2)
				memcpy(h->durable + at, h->now + at, 512);
		snprintf(path, sizeof path, "%s/cut", h->t->dir);
		CHECK(disk_file(path, h->durable, h->bytes));
		o.overlay = path;
		if (blk_open(&b, &o, NULL, NULL) < 0 || !ledger_holds(h->t, b, h->g))
			h->failures++;
		blk_close(b);
	}
	memcpy(h->durable, h->now, h->bytes);
	h->flushes++;
}

TEST(blk_overlay_keeps_flushed_data_across_power_cuts)
{
	struct layers t;
	struct ledger *g = calloc(1, sizeof *g);
	struct host_cut h = { .t = &t, .g = g, .seed = 99 };
	uint8_t buf[8 * 4096];
	struct stat st;
	uint32_t seed = 4242;
	layers_init(&t);
	struct blk *b = layers_open(&t, NULL);
	CHECK(stat(t.top, &st) == 0);
	h.bytes = (size_t)st.st_size;
	h.durable = malloc(h.bytes);
	h.now = malloc(h.bytes);
	cut_read(&h);
	memcpy(h.durable, h.now, h.bytes);
	b->image->file.before_flush = cut_power;
	b->image->file.before_flush_arg = &h;
	while (h.flushes < CUT_FLUSHES) {
		uint32_t n = 1 + disk_random(&seed) % 8, at = disk_random(&seed) % (CELLS - n);
		for (uint32_t i = 0; i < n; i++)
			cell_fill(buf + i * 4096, at + i, ++g->written[at + i]);
		CHECK(blk_sync(b, BLK_WRITE, at * 4096ull, buf, n * 4096ull) == 0);
		if (disk_random(&seed) % 8)
			continue;
		CHECK(blk_sync(b, BLK_FLUSH, 0, NULL, 0) == 0);
		memcpy(g->flushed, g->written, sizeof g->flushed);
	}
	CHECK(h.failures == 0);
	b->image->file.before_flush = NULL;
	blk_close(b);
	free(h.durable);
	free(h.now);
	free(g);
	layers_fini(&t);
}

/* A torn map page: the version before it counts. */
TEST(blk_overlay_survives_a_torn_map_page)
{
	struct layers t;
	uint8_t page[4096], back[4096];
	layers_init(&t);
	struct blk *b = layers_open(&t, NULL);
	memset(page, 1, sizeof page);
	CHECK(blk_sync(b, BLK_WRITE, 0, page, 4096) == 0 && blk_sync(b, BLK_FLUSH, 0, 0, 0) == 0);
	memset(page, 2, sizeof page);
	CHECK(blk_sync(b, BLK_WRITE, 8192, page, 4096) == 0);
	blk_close(b); /* seq 1 in slot 1, seq 2 in slot 0 */
	int fd = open(t.top, O_RDWR | O_CLOEXEC);
	CHECK(pwrite(fd, "torn", 4, MAP_AT + 512) == 4);
	b = layers_open(&t, NULL);
	CHECK(blk_sync(b, BLK_READ, 0, back, 4096) == 0 && back[0] == 1);
	CHECK(blk_sync(b, BLK_READ, 8192, back, 4096) == 0);
	CHECK(!memcmp(back, t.model + 8192, 4096));
	/* the next version takes the torn one's place */
	CHECK(blk_sync(b, BLK_WRITE, 8192, page, 4096) == 0);
	blk_close(b);
	CHECK(pwrite(fd, "torn", 4, MAP_AT + 4096 + 512) == 4);
	b = layers_open(&t, NULL);
	CHECK(blk_sync(b, BLK_READ, 8192, back, 4096) == 0 && back[0] == 2);
	blk_close(b);
	/* both damaged: an error for that part, no guess */
	CHECK(pwrite(fd, "torn", 4, MAP_AT + 512) == 4);
	b = layers_open(&t, NULL);
	CHECK(blk_sync(b, BLK_READ, 8192, back, 4096) == -EIO);
	CHECK(blk_sync(b, BLK_WRITE, 8192, back, 4096) == -EIO);
	blk_close(b);
	close(fd);
	layers_fini(&t);
}

/* Every bit of the header matters or is refused; nothing crashes. */
TEST(blk_overlay_with_a_damaged_header_is_refused)
{
	struct layers t;
	struct blk *b;
	struct lodge_err e;
	layers_init(&t);
	blk_close(layers_open(&t, NULL));
	int fd = open(t.top, O_RDWR | O_CLOEXEC);
	for (unsigned i = 0; i < 4096; i++) {
		uint8_t good, bad;
		CHECK(pread(fd, &good, 1, i) == 1);
		bad = (uint8_t)(good ^ (1 << i % 8));
		CHECK(pwrite(fd, &bad, 1, i) == 1);
		CHECK(blk_open(&b, &t.o, NULL, &e) == -EINVAL && e.msg[0]);
		CHECK(pwrite(fd, &good, 1, i) == 1);
	}
	CHECK(ftruncate(fd, DISK) == 0);
	CHECK(blk_open(&b, &t.o, NULL, &e) == -EINVAL && strstr(e.msg, "cut short"));
	CHECK(ftruncate(fd, 100) == 0);
	CHECK(blk_open(&b, &t.o, NULL, &e) == -EINVAL);
	close(fd);
	layers_fini(&t);
}

/* A full host disk: errors, and what was there stays readable. */
TEST(blk_overlay_on_a_full_host_disk)
{
	struct layers t;
	uint8_t buf[65536];
	layers_init(&t);
	char small[160];
	snprintf(small, sizeof small, "%s/small", t.dir);
	CHECK(mkdir(small, 0700) == 0);
	if (mount("lodge", small, "tmpfs", 0, "size=1m") < 0) {
		fprintf(stderr, "skipped: no right to mount a small file system\n");
		rmdir(small);
		layers_fini(&t);
		return;
	}
	snprintf(t.top, sizeof t.top, "%s/top", small);
	struct blk *b = layers_open(&t, NULL);
	unsigned full = 0, fine = 0;
	for (uint64_t off = 0; off < DISK; off += sizeof buf) {
		memset(buf, (int)(off >> 16) + 1, sizeof buf);
		int r = blk_sync(b, BLK_WRITE, off, buf, sizeof buf);
		CHECK(r == 0 || r == -ENOSPC);
		full += r < 0;
		fine += r == 0;
		if (r == 0)
			memcpy(t.model + off, buf, sizeof buf);
	}
	CHECK(full > 0 && fine > 0);
	/* whole writes read back; failed ones hold the old or the new bytes of each granule */
	for (uint64_t off = 0; off < fine * sizeof buf; off += sizeof buf) {
		CHECK(blk_sync(b, BLK_READ, off, buf, sizeof buf) == 0);
		CHECK(!memcmp(buf, t.model + off, sizeof buf));
	}
	/* space given back is usable again */
	CHECK(blk_sync(b, BLK_DISCARD, 0, NULL, 4 * sizeof buf) == 0);
	CHECK(blk_sync(b, BLK_WRITE, 0, buf, sizeof buf) == 0);
	CHECK(blk_sync(b, BLK_FLUSH, 0, NULL, 0) == 0);
	CHECK(blk_close(b) == 0);
	CHECK(umount(small) == 0 && rmdir(small) == 0);
	layers_fini(&t);
}
