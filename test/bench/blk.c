/* SPDX-License-Identifier: Apache-2.0 */
/* What the path through blk costs: the same reads and writes by plain pread/pwrite, through the
 * ring, through worker threads, and through an overlay. Prints MiB/s and the ratio to plain.
 *   make bench-blk; build/bench-blk [folder [MiB]] */
#include "blk/blk.h"
#include <fcntl.h>
#include <stdio.h>

enum { DEPTH = 16, UNIT = 65536, SMALL = 4096 };

struct job {
	struct blk *b;
	struct loop *l;
	enum blk_op op;
	uint64_t size, unit, left; /* left: units to submit */
	bool random;
	uint64_t next, state;
	unsigned in_flight, failed;
};

struct slot {
	struct blk_req r;
	struct iovec v;
	struct job *j;
	uint8_t *buf;
	bool busy;
};
static struct slot slots[DEPTH];

static uint64_t job_off(struct job *j)
{
	if (!j->random)
		return j->next++ % (j->size / j->unit) * j->unit;
	j->state = j->state * 6364136223846793005u + 1442695040888963407u;
	return (j->state >> 24) % (j->size / j->unit) * j->unit;
}

static void slot_done(struct blk_req *r, int result)
{
	struct slot *s = container_of(r, struct slot, r);
	s->busy = false;
	s->j->in_flight--;
	s->j->failed += result != 0;
}

static void job_fill(void *arg)
{
	struct job *j = arg;
	blk_plug(j->b);
	for (unsigned i = 0; i < DEPTH && j->left > 0; i++) {
		struct slot *s = &slots[i];
		if (s->busy)
			continue;
		s->busy = true;
		s->j = j;
		s->v = (struct iovec){ s->buf, j->unit };
		s->r = (struct blk_req){ .op = j->op, .off = job_off(j), .len = j->unit,
		                         .iov = &s->v, .niov = 1, .done = slot_done };
		j->left--;
		j->in_flight++;
		blk_submit(j->b, &s->r);
	}
	blk_unplug(j->b);
	if (j->in_flight == 0)
		loop_stop(j->l);
}

static double job_run(struct job *j)
{
	uint64_t units = j->left, t = host_monotonic_ns();
	blk_on_batch(j->b, job_fill, j);
	if (loop_post(j->l, NULL, job_fill, j) < 0)
		return 0;
	loop_run(j->l);
	t = host_monotonic_ns() - t;
	return j->failed ? 0 : (double)(units * j->unit) / 1048576 / ((double)t / 1e9);
}

static double plain_run(const char *path, struct job *j)
{
	uint64_t units = j->left, t = host_monotonic_ns();
	int fd = open(path, O_RDWR | O_CLOEXEC);
	for (uint64_t i = 0; i < units; i++) {
		off_t off = (off_t)job_off(j);
		ssize_t n = j->op == BLK_READ ? pread(fd, slots[0].buf, j->unit, off)
		                              : pwrite(fd, slots[0].buf, j->unit, off);
		if (n != (ssize_t)j->unit)
			return 0;
	}
	close(fd);
	t = host_monotonic_ns() - t;
	return (double)(units * j->unit) / 1048576 / ((double)t / 1e9);
}

static double way_run(const struct blk_options *o, struct job *j)
{
	struct lodge_err e;
	double rate = 0;
	if (loop_new(&j->l, &e) < 0 || blk_open(&j->b, o, j->l, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 0;
	}
	rate = job_run(j);
	blk_close(j->b);
	loop_free(j->l);
	return rate;
}

/* The first write to each part of an overlay is measured apart from the later ones. */
static void row(const char *name, const char *path, const char *top, struct job j)
{
	struct blk_options raw = { .path = path, .format = "raw" };
	struct blk_options workers = raw, over = raw;
	workers.no_uring = true;
	over.overlay = top;
	struct job a = j, b = j, c = j, d = j;
	double plain = plain_run(path, &j), ring = way_run(&raw, &a), pool = way_run(&workers, &b);
	double first = way_run(&over, &c), later = way_run(&over, &d);
	printf("%-24s plain %7.0f | ring %7.0f %.2f | workers %7.0f %.2f | "
	       "overlay %7.0f %.2f, again %7.0f %.2f\n", name, plain, ring, ring / plain, pool,
	       pool / plain, first, first / plain, later, later / plain);
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "/tmp";
	uint64_t size = (argc > 2 ? strtoull(argv[2], NULL, 10) : 256) << 20;
	char path[4096], top[4096];
	struct lodge_err e;
	struct blk *b;
	snprintf(path, sizeof path, "%s/lodge-bench.raw", dir);
	snprintf(top, sizeof top, "%s/lodge-bench.over", dir);
	for (unsigned i = 0; i < DEPTH; i++) {
		slots[i].buf = malloc(UNIT);
		memset(slots[i].buf, (int)i + 1, UNIT);
	}
	if (blk_open(&b, &(struct blk_options){ .path = path, .size = size }, NULL, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	for (uint64_t off = 0; off < size; off += UNIT)
		if (blk_sync(b, BLK_WRITE, off, slots[0].buf, UNIT) < 0)
			return 1;
	blk_close(b);
	for (unsigned write = 0; write < 2; write++)
		for (unsigned small = 0; small < 2; small++) {
			char name[64];
			struct job j = { .op = write ? BLK_WRITE : BLK_READ, .size = size,
				.unit = small ? SMALL : UNIT, .random = small, .state = 1 };
			j.left = small ? 100000 : size / UNIT * 2;
			snprintf(name, sizeof name, "%s %s MiB/s",
			         small ? "random 4k" : "sequential 64k", write ? "write" : "read");
			unlink(top);
			row(name, path, top, j);
		}
	unlink(top);
	unlink(path);
	return 0;
}
