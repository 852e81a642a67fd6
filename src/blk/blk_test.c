/* SPDX-License-Identifier: Apache-2.0 */
/* Raw disks, the queue and the door: against a copy of the disk in memory. */
#include "blk/internal.h"
#include "blk/testing.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { DISK = 4 << 20 };

/* Random operations, synchronous, each read compared with the model. */
static void raw_churn(struct blk *b, uint8_t *model, unsigned rounds, uint32_t seed)
{
	CHECK(disk_churn(b, model, rounds, seed) == 0);
	CHECK(disk_equals(b, model));
}

TEST(blk_raw_random_operations_match_a_model)
{
	char *dir = disk_dir();
	struct blk *b;
	struct lodge_err e;
	uint8_t *model = calloc(1, DISK);
	struct blk_options o = { .path = disk_path(dir, "a.raw"), .size = DISK };
	CHECK(blk_open(&b, &o, NULL, &e) == 0);
	CHECK(blk_size(b) == DISK && !strcmp(blk_format(b), "raw") && !blk_readonly(b));
	raw_churn(b, model, 2000, 1);
	blk_close(b);
	o.size = 0;
	o.readonly = true;
	CHECK(blk_open(&b, &o, NULL, &e) == 0);
	CHECK(disk_equals(b, model));
	CHECK(blk_sync(b, BLK_WRITE, 0, model, 512) == -EROFS);
	blk_close(b);
	free(model);
	disk_dir_free(dir);
}

TEST(blk_requests_outside_the_disk_are_refused)
{
	char *dir = disk_dir();
	struct blk *b;
	uint8_t buf[1024];
	struct blk_options o = { .path = disk_path(dir, "a.raw"), .size = DISK };
	CHECK(blk_open(&b, &o, NULL, NULL) == 0);
	CHECK(blk_sync(b, BLK_READ, DISK, buf, 512) == -EINVAL);
	CHECK(blk_sync(b, BLK_READ, DISK - 512, buf, 1024) == -EINVAL);
	CHECK(blk_sync(b, BLK_READ, UINT64_MAX - 511, buf, 512) == -EINVAL);
	CHECK(blk_sync(b, BLK_WRITE, 1, buf, 512) == -EINVAL);
	CHECK(blk_sync(b, BLK_WRITE, 0, buf, 100) == -EINVAL);
	CHECK(blk_sync(b, BLK_DISCARD, 512, NULL, UINT64_MAX - 511) == -EINVAL);
	CHECK(blk_sync(b, BLK_READ, DISK, buf, 0) == 0);
	blk_close(b);
	disk_dir_free(dir);
}

TEST(blk_odd_file_size_is_padded_with_zeroes)
{
	char *dir = disk_dir();
	struct blk *b;
	uint8_t buf[1024], data[700];
	struct stat st;
	struct blk_options o = { .path = disk_path(dir, "odd"), .format = "raw" };
	memset(data, 7, sizeof data);
	CHECK(disk_file(o.path, data, sizeof data));
	CHECK(blk_open(&b, &o, NULL, NULL) == 0);
	CHECK(blk_size(b) == 1024);
	memset(buf, 1, sizeof buf);
	CHECK(blk_sync(b, BLK_READ, 0, buf, 1024) == 0);
	CHECK(buf[699] == 7 && buf[700] == 0 && buf[1023] == 0);
	memset(buf, 9, sizeof buf);
	CHECK(blk_sync(b, BLK_WRITE, 512, buf, 512) == 0);
	CHECK(stat(o.path, &st) == 0 && st.st_size == 1024);
	/* cut by somebody else: an error, not silence */
	CHECK(truncate(o.path, 512) == 0);
	CHECK(blk_sync(b, BLK_READ, 0, buf, 1024) == -EIO);
	blk_close(b);
	CHECK(truncate(o.path, 0) == 0);
	struct lodge_err e;
	CHECK(blk_open(&b, &o, NULL, &e) == -EINVAL && strstr(e.msg, "empty"));
	disk_dir_free(dir);
}

TEST(blk_second_writer_is_refused_and_readers_share)
{
	char *dir = disk_dir();
	struct blk *w, *x, *y;
	struct lodge_err e;
	struct blk_options o = { .path = disk_path(dir, "locked.raw"), .size = DISK };
	CHECK(blk_open(&w, &o, NULL, &e) == 0);
	CHECK(blk_open(&x, &o, NULL, &e) == -EBUSY && strstr(e.msg, "locked.raw"));
	o.readonly = true;
	CHECK(blk_open(&x, &o, NULL, &e) == -EBUSY && strstr(e.msg, "locked.raw"));
	blk_close(w);
	CHECK(blk_open(&x, &o, NULL, &e) == 0);
	CHECK(blk_open(&y, &o, NULL, &e) == 0);
	o.readonly = false;
	CHECK(blk_open(&w, &o, NULL, &e) == -EBUSY);
	blk_close(x);
	blk_close(y);
	disk_dir_free(dir);
}

TEST(blk_open_says_what_is_wrong)
{
	char *dir = disk_dir();
	struct blk *b;
	struct lodge_err e;
	CHECK(blk_open(&b, &(struct blk_options){ .path = disk_path(dir, "none") }, NULL, &e) ==
	      -ENOENT);
	CHECK(strstr(e.msg, "none"));
	CHECK(blk_open(&b, &(struct blk_options){ .path = dir, .readonly = true }, NULL, &e) ==
	      -EINVAL);
	CHECK(blk_open(&b, &(struct blk_options){ .path = dir, .format = "vhd" }, NULL, &e) ==
	      -EINVAL && strstr(e.msg, "vhd"));
	CHECK(mkfifo(disk_path(dir, "pipe"), 0600) == 0);
	CHECK(blk_open(&b, &(struct blk_options){ .path = disk_path(dir, "pipe"),
	      .readonly = true }, NULL, &e) == -EINVAL);
	CHECK(blk_open(&b, &(struct blk_options){ .path = disk_path(dir, "x"), .size = 1000 },
	      NULL, &e) == -EINVAL && access(disk_path(dir, "x"), F_OK) < 0);
	disk_dir_free(dir);
}

/* ---- asynchronous ---- */

static void async_churn(const struct blk_options *o, struct loop *l, bool ring_writes)
{
	struct blk *b;
	struct lodge_err e;
	uint8_t *model = calloc(1, DISK);
	CHECK(blk_open(&b, o, l, &e) == 0);
	CHECK(!o->no_uring || !blk_is_async(b));
	b->image->file.ring_writes = ring_writes;
	CHECK(disk_churn_async(b, l, model, 2000, 7) == 0);
	CHECK(disk_equals(b, model));
	blk_close(b);
	free(model);
}

TEST(blk_async_requests_match_a_model_ring_and_workers)
{
	char *dir = disk_dir();
	struct loop *l;
	CHECK(loop_new(&l, NULL) == 0);
	async_churn(&(struct blk_options){ .path = disk_path(dir, "a"), .size = DISK }, l, true);
	async_churn(&(struct blk_options){ .path = disk_path(dir, "b"), .size = DISK }, l, false);
	async_churn(&(struct blk_options){ .path = disk_path(dir, "c"), .size = DISK,
	            .no_uring = true }, l, false);
	loop_free(l);
	disk_dir_free(dir);
}

/* In a process of its own: refuse system call @nr from now on. */
static bool refuse_call(int nr)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { .len = countof(f), .filter = f };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0;
}

/* 0: the disk worked through its workers. */
static int sandboxed_churn(const char *path, int nr, bool ring_at_first)
{
	struct loop *l;
	struct blk *b;
	static uint8_t model[DISK];
	struct blk_options o = { .path = path, .size = DISK };
	if (!ring_at_first && !refuse_call(nr))
		return 1;
	if (loop_new(&l, NULL) < 0 || blk_open(&b, &o, l, NULL) < 0)
		return 2;
	if (blk_is_async(b) != ring_at_first)
		return ring_at_first ? 0 : 3; /* this host has no ring at all */
	if (ring_at_first && !refuse_call(nr))
		return 4;
	b->image->file.ring_writes = true;
	if (disk_churn_async(b, l, model, 500, 3) || !disk_equals(b, model) || blk_is_async(b))
		return 5;
	return blk_close(b) < 0 ? 6 : 0;
}

TEST(blk_workers_take_over_where_io_uring_is_refused)
{
	char *dir = disk_dir();
	static const struct { int nr; bool ring_at_first; } refusals[] = {
		{ SYS_io_uring_setup, false }, { SYS_io_uring_enter, true },
	};
	for (size_t i = 0; i < countof(refusals); i++) {
		int status = 0;
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0)
			_exit(sandboxed_churn(disk_path(dir, i ? "enter" : "setup"), refusals[i].nr,
			                      refusals[i].ring_at_first));
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	disk_dir_free(dir);
}

struct counted {
	struct blk_req r;
	unsigned *done, *failed;
};

static void counted_done(struct blk_req *r, int result)
{
	struct counted *c = container_of(r, struct counted, r);
	++*c->done;
	*c->failed += result != 0;
}

TEST(blk_drain_ends_all_io_and_finish_calls_done)
{
	char *dir = disk_dir();
	struct loop *l;
	struct blk *b;
	unsigned done = 0, failed = 0;
	static uint8_t buf[64][4096];
	static struct counted c[64];
	struct iovec v[64];
	struct blk_options o = { .path = disk_path(dir, "d"), .size = DISK };
	CHECK(loop_new(&l, NULL) == 0);
	CHECK(blk_open(&b, &o, l, NULL) == 0);
	blk_plug(b);
	for (unsigned i = 0; i < 64; i++) {
		memset(buf[i], (int)i, 4096);
		v[i] = (struct iovec){ buf[i], 4096 };
		c[i] = (struct counted){ { .op = BLK_WRITE, .off = i * 4096, .len = 4096,
			.iov = &v[i], .niov = 1, .done = counted_done }, &done, &failed };
		c[i].r.len += i == 63; /* not a whole sector */
		blk_submit(b, &c[i].r);
	}
	blk_unplug(b);
	blk_drain(b);
	CHECK(done == 0);
	blk_finish(b);
	CHECK(done == 64 && failed == 1);
	for (unsigned i = 0; i < 63; i++) {
		uint8_t back[4096];
		CHECK(blk_sync(b, BLK_READ, i * 4096, back, 4096) == 0);
		CHECK(!memcmp(back, buf[i], 4096));
	}
	blk_close(b);
	loop_free(l);
	disk_dir_free(dir);
}
