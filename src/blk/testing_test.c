/* SPDX-License-Identifier: Apache-2.0 */
/* testing.h: the shared part of blk's tests (no tests of its own). */
#include "blk/testing.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

enum { IN_FLIGHT = 24, MAX_LEN = 96 * 1024 };

char *disk_dir(void)
{
	char name[] = "/tmp/lodge-blk-XXXXXX";
	char *d = mkdtemp(name);
	CHECK(d);
	return strdup(name);
}

void disk_dir_free(char *dir)
{
	DIR *d = opendir(dir);
	CHECK(d);
	for (struct dirent *f; (f = readdir(d));)
		(void)unlinkat(dirfd(d), f->d_name, 0);
	closedir(d);
	rmdir(dir);
	free(dir);
}

const char *disk_path(const char *dir, const char *name)
{
	static char paths[8][256];
	static unsigned at;
	char *p = paths[at++ % 8];
	snprintf(p, sizeof paths[0], "%s/%s", dir, name);
	return p;
}

bool disk_file(const char *path, const void *data, size_t len)
{
	autoclose int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	return fd >= 0 && write(fd, data, len) == (ssize_t)len;
}

uint32_t disk_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void random_fill(uint8_t *p, size_t len, uint32_t *seed)
{
	uint32_t x = disk_random(seed);
	for (size_t i = 0; i < len; i += 4, x = x * 1664525u + 1013904223u)
		memcpy(p + i, &x, 4);
}

/* Mostly 4 KiB, often odd sectors, sometimes large. */
static void random_range(uint64_t size, uint32_t *seed, uint64_t *off, uint64_t *len)
{
	static const uint32_t lens[] = { 512, 4096, 1536, 8192, 65536, MAX_LEN, 2048, 4096 };
	uint32_t unit = disk_random(seed) % 3 ? 4096 : 512;
	*len = min_u64(lens[disk_random(seed) % countof(lens)], size);
	*off = disk_random(seed) % ((size - *len) / unit + 1) * unit;
}

/* What a discarded range reads as is the disk's choice: the model takes it from the disk. */
static int model_follow(struct blk *b, uint8_t *model, enum blk_op op, uint64_t off,
                        const uint8_t *buf, uint64_t len)
{
	if (op == BLK_WRITE)
		memcpy(model + off, buf, len);
	else if (op == BLK_ZERO)
		memset(model + off, 0, len);
	else if (op == BLK_DISCARD)
		return blk_sync(b, BLK_READ, off, model + off, len);
	return 0;
}

static enum blk_op random_op(uint32_t *seed)
{
	uint32_t k = disk_random(seed) % 16;
	return k < 6 ? BLK_READ : k < 12 ? BLK_WRITE : k < 13 ? BLK_FLUSH : k < 14 ? BLK_DISCARD
	                                                                           : BLK_ZERO;
}

unsigned disk_churn(struct blk *b, uint8_t *model, unsigned rounds, uint32_t seed)
{
	autofree uint8_t *buf = malloc(MAX_LEN);
	for (unsigned i = 1; i <= rounds; i++) {
		enum blk_op op = random_op(&seed);
		uint64_t off, len;
		random_range(blk_size(b), &seed, &off, &len);
		if (op == BLK_WRITE)
			random_fill(buf, len, &seed);
		if (blk_sync(b, op, off, buf, len) < 0)
			return i;
		if (op == BLK_READ && memcmp(buf, model + off, len) != 0)
			return i;
		if (model_follow(b, model, op, off, buf, len) < 0)
			return i;
	}
	return 0;
}

/* ---- asynchronous ---- */

struct slot {
	struct blk_req r;
	struct iovec v[5];
	uint8_t *buf; /* owned */
	struct churn *c;
	bool busy;
};

struct churn {
	struct blk *b;
	struct loop *l;
	uint8_t *model;
	uint32_t seed;
	unsigned left, in_flight, failed, batches;
	struct slot slot[IN_FLIGHT];
};

static bool slot_clashes(const struct churn *c, uint64_t off, uint64_t len)
{
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		const struct slot *s = &c->slot[i];
		if (s->busy && off < s->r.off + s->r.len && s->r.off < off + len)
			return true;
	}
	return false;
}

static void slot_done(struct blk_req *r, int result);

static void slot_start(struct churn *c, struct slot *s)
{
	uint64_t off, len;
	do
		random_range(blk_size(c->b), &c->seed, &off, &len);
	while (slot_clashes(c, off, len));
	s->r = (struct blk_req){ .op = random_op(&c->seed), .off = off, .len = len, .iov = s->v,
	                         .may_unmap = disk_random(&c->seed) & 1, .done = slot_done };
	if (s->r.op == BLK_WRITE)
		random_fill(s->buf, len, &c->seed);
	uint8_t *p = s->buf;
	for (uint64_t left = len; left > 0 && s->r.niov < 5; s->r.niov++) {
		uint64_t some = min_u64(left, 1 + disk_random(&c->seed) % 5000);
		uint64_t n = s->r.niov == 4 ? left : some;
		s->v[s->r.niov] = (struct iovec){ p, n };
		p += n;
		left -= n;
	}
	s->busy = true;
	c->in_flight++;
	c->left--;
	blk_submit(c->b, &s->r);
}

static void slot_done(struct blk_req *r, int result)
{
	struct slot *s = container_of(r, struct slot, r);
	struct churn *c = s->c;
	s->busy = false;
	c->in_flight--;
	c->failed += result != 0;
	if (r->op == BLK_READ && memcmp(s->buf, c->model + r->off, r->len) != 0)
		c->failed++;
	if (model_follow(c->b, c->model, r->op, r->off, s->buf, r->len) < 0)
		c->failed++;
}

static void churn_batch(void *arg)
{
	struct churn *c = arg;
	c->batches++;
	blk_plug(c->b);
	for (unsigned i = 0; i < IN_FLIGHT && c->left > 0; i++)
		if (!c->slot[i].busy)
			slot_start(c, &c->slot[i]);
	blk_unplug(c->b);
	if (c->in_flight == 0)
		loop_stop(c->l);
}

unsigned disk_churn_async(struct blk *b, struct loop *l, uint8_t *model, unsigned rounds,
                          uint32_t seed)
{
	struct churn c = { .b = b, .l = l, .model = model, .seed = seed, .left = rounds };
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		c.slot[i].buf = malloc(MAX_LEN);
		c.slot[i].c = &c;
	}
	blk_on_batch(b, churn_batch, &c);
	CHECK(loop_post(l, NULL, churn_batch, &c) == 0);
	loop_run(l);
	blk_on_batch(b, NULL, NULL);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		free(c.slot[i].buf);
	return c.failed + (c.in_flight || c.left);
}

bool disk_equals(struct blk *b, const uint8_t *model)
{
	autofree uint8_t *buf = malloc(MAX_LEN);
	for (uint64_t off = 0, n; off < blk_size(b); off += n) {
		n = min_u64(MAX_LEN, blk_size(b) - off);
		if (blk_sync(b, BLK_READ, off, buf, n) < 0 || memcmp(buf, model + off, n) != 0)
			return false;
	}
	return true;
}

int disk_qemu(const char *fmt, ...)
{
	char args[2048], cmd[2200];
	va_list ap;
	if (system("command -v qemu-img >/dev/null 2>&1 && command -v qemu-io >/dev/null 2>&1"))
		return -1;
	va_start(ap, fmt);
	vsnprintf(args, sizeof args, fmt, ap);
	va_end(ap);
	snprintf(cmd, sizeof cmd, "%s >/dev/null 2>&1", args);
	int r = system(cmd);
	return WIFEXITED(r) ? WEXITSTATUS(r) : 1;
}
