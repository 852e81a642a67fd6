/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of disks in use, as migration makes them. */
#include "blk/blk.h"
#include "blk/testing.h"
#include <stdio.h>

enum { DISK = 2 << 20, LARGEST = 256 << 10 };

/* One round: what is noted, read from @b into @copy. Returns bytes. */
static uint64_t copy_round(struct blk *b, uint8_t *copy)
{
	uint64_t at = 0, off, len, sum = 0;
	while (blk_track_next(b, at, LARGEST, &off, &len)) {
		CHECK(len <= LARGEST && off >= at && off + len <= DISK);
		CHECK(blk_sync(b, BLK_READ, off, copy + off, len) == 0);
		at = off + len;
		sum += len;
	}
	return sum;
}

static void disk_copy(struct blk *b, uint8_t *model, uint32_t seed)
{
	uint8_t *copy = calloc(1, DISK);
	CHECK(copy && blk_track_begin(b, NULL) == 0);
	for (unsigned i = 0; i < 4; i++) {
		CHECK(copy_round(b, copy) > 0 && blk_track_left(b) == 0);
		CHECK(disk_churn(b, model, 30, seed + i) == 0);
	}
	copy_round(b, copy);
	CHECK(!memcmp(copy, model, DISK) && copy_round(b, copy) == 0);
	blk_track_end(b);
	CHECK(blk_track_left(b) == 0 && copy_round(b, copy) == 0);
	free(copy);
}

TEST(blk_copies_of_a_disk_in_use_are_whole)
{
	char *dir = disk_dir(), path[160], over[160];
	uint8_t *model = calloc(1, DISK);
	struct blk *b = NULL;
	snprintf(path, sizeof path, "%s/disk", dir);
	snprintf(over, sizeof over, "%s/over", dir);
	struct blk_options o = { .path = path, .format = "raw", .size = DISK };
	CHECK(blk_open(&b, &o, NULL, NULL) == 0);
	CHECK(blk_track_begin(b, NULL) == 0 && blk_track_left(b) == 0); /* nothing but a hole */
	blk_track_end(b);
	CHECK(disk_churn(b, model, 60, 1) == 0);
	disk_copy(b, model, 10);
	CHECK(blk_freeze(b, over, NULL) == 0); /* its data is in the base and in the overlay */
	CHECK(disk_churn(b, model, 20, 2) == 0);
	disk_copy(b, model, 20);
	CHECK(blk_close(b) == 0);
	free(model);
	disk_dir_free(dir);
}

static void noted_done(struct blk_req *r, int result)
{
	(void)r;
	CHECK(result == 0);
}

TEST(blk_notes_what_the_queue_writes)
{
	char *dir = disk_dir(), path[160], bytes[4096] = "x";
	struct loop *l = NULL;
	struct blk *b = NULL;
	uint64_t off, len;
	snprintf(path, sizeof path, "%s/disk", dir);
	struct blk_options o = { .path = path, .format = "raw", .size = DISK };
	CHECK(loop_new(&l, NULL) == 0 && blk_open(&b, &o, l, NULL) == 0);
	CHECK(blk_track_begin(b, NULL) == 0);
	struct iovec v = { bytes, sizeof bytes };
	struct blk_req r = { .op = BLK_WRITE, .niov = 1, .iov = &v, .off = 70000 / 512 * 512,
		.len = sizeof bytes, .done = noted_done };
	blk_submit(b, &r);
	blk_finish(b);
	CHECK(blk_track_next(b, 0, DISK, &off, &len) && off == 65536 && len == 65536);
	CHECK(!blk_track_next(b, 0, DISK, &off, &len));
	CHECK(blk_close(b) == 0);
	loop_free(l);
	disk_dir_free(dir);
}
