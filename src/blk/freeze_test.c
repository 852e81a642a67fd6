/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that go on in new overlays while what they were stays; folders that move as a whole. */
#include "blk/internal.h"
#include "blk/testing.h"
#include <fcntl.h>
#include <stdio.h>

enum { DISK = 2 << 20, LAYERS = 4 };

/* Does the image @path hold what @model says? */
static bool image_is(const char *path, const char *format, const uint8_t *model)
{
	struct blk *b = NULL;
	struct blk_options o = { .path = path, .format = format, .readonly = true };
	if (blk_open(&b, &o, NULL, NULL) < 0)
		return false;
	bool same = disk_equals(b, model);
	blk_close(b);
	return same;
}

TEST(blk_freeze_keeps_every_layer_as_it_was)
{
	char *dir = disk_dir(), path[LAYERS + 1][160], moved[160];
	uint8_t *model[LAYERS + 1], *now = calloc(1, DISK);
	struct blk *b = NULL;
	snprintf(path[0], sizeof path[0], "%s/disk", dir);
	struct blk_options o = { .path = path[0], .format = "raw", .size = DISK };
	CHECK(blk_open(&b, &o, NULL, NULL) == 0);
	for (unsigned i = 0; i < LAYERS; i++) {
		const char *format;
		CHECK(disk_churn(b, now, 200, i + 1) == 0);
		model[i] = malloc(DISK);
		memcpy(model[i], now, DISK);
		snprintf(path[i + 1], sizeof path[0], "%s/over%u", dir, i);
		CHECK(blk_freeze(b, path[i + 1], NULL) == 0 && disk_equals(b, now));
		CHECK(!strcmp(blk_path(b, &format), path[i + 1]) && !strcmp(format, "overlay"));
	}
	CHECK(disk_churn(b, now, 200, 99) == 0 && disk_equals(b, now));
	for (unsigned i = 0; i < LAYERS; i++)
		CHECK(image_is(path[i], i ? "overlay" : "raw", model[i]));
	CHECK(blk_close(b) == 0);
	CHECK(image_is(path[LAYERS], "overlay", now));
	/* under another name of the folder the files find each other */
	snprintf(moved, sizeof moved, "%s.moved", dir);
	CHECK(rename(dir, moved) == 0);
	snprintf(path[0], sizeof path[0], "%.120s/over%d", moved, LAYERS - 1);
	CHECK(image_is(path[0], "overlay", now));
	CHECK(rename(moved, dir) == 0);
	for (unsigned i = 0; i < LAYERS; i++)
		free(model[i]);
	free(now);
	disk_dir_free(dir);
}

TEST(blk_freeze_that_fails_leaves_the_disk_as_it_was)
{
	char *dir = disk_dir(), path[160];
	uint8_t *model = calloc(1, DISK);
	struct blk *b = NULL;
	struct lodge_err e;
	snprintf(path, sizeof path, "%s/disk", dir);
	struct blk_options o = { .path = path, .format = "raw", .size = DISK };
	CHECK(blk_open(&b, &o, NULL, NULL) == 0);
	CHECK(disk_churn(b, model, 100, 5) == 0);
	CHECK(blk_freeze(b, disk_path(dir, "no/such/folder"), &e) == -ENOENT && e.msg[0]);
	CHECK(disk_equals(b, model) && disk_churn(b, model, 100, 6) == 0);
	CHECK(!strcmp(blk_path(b, &(const char *){ NULL }), path));
	CHECK(blk_close(b) == 0 && image_is(path, "raw", model));
	o.readonly = true;
	o.size = 0;
	CHECK(blk_open(&b, &o, NULL, NULL) == 0);
	CHECK(blk_freeze(b, disk_path(dir, "over"), NULL) == -EROFS);
	blk_close(b);
	free(model);
	disk_dir_free(dir);
}
