/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2: images made by qemu-img of every kind, compared with the disk they were made from; small
 * committed ones where qemu-img is not installed; damaged and refused ones. */
#include "blk/internal.h"
#include "blk/testing.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { DISK = 4 << 20, SMALL = 128 << 10 };

static bool qemu_missing(void)
{
	if (disk_qemu("qemu-img --version") == 0)
		return false;
	fprintf(stderr, "skipped: qemu-img is not installed\n");
	return true;
}

/* Bytes that compress somewhat, with holes. */
static void model_fill(uint8_t *p, size_t len, uint32_t seed)
{
	memset(p, 0, len);
	for (size_t at = 0; at < len; at += 4096) {
		if (disk_random(&seed) % 3 == 0)
			continue;
		for (size_t i = 0; i < 4096; i += 16)
			le32_put(p + at + i, disk_random(&seed));
	}
}

static struct blk *open_readonly(const char *path)
{
	struct blk *b = NULL;
	struct lodge_err e = { 0 };
	struct blk_options o = { .path = path, .readonly = true };
	if (blk_open(&b, &o, NULL, &e) < 0)
		fprintf(stderr, "%s\n", e.msg);
	CHECK(b && !strcmp(blk_format(b), "qcow2") && blk_readonly(b));
	return b;
}

/* Random writes and zeroes by qemu-io, followed in the model. */
static void qemu_churn(const char *path, uint8_t *model, uint32_t seed)
{
	char cmd[1024] = "";
	for (unsigned i = 1; i <= 12; i++) {
		uint32_t off = disk_random(&seed) % (DISK / 512 - 400) * 512;
		uint32_t len = (1 + disk_random(&seed) % 400) * 512;
		bool zero = disk_random(&seed) % 4 == 0;
		char kind[16];
		snprintf(kind, sizeof kind, zero ? "-z" : "-P %u", i);
		size_t n = strlen(cmd);
		snprintf(cmd + n, sizeof cmd - n, " -c 'write %s %u %u'", kind, off, len);
		memset(model + off, zero ? 0 : (int)i, len);
	}
	CHECK(disk_qemu("qemu-io -f qcow2 %s %s", cmd, path) == 0);
}

/* Every kind of image: as converted, then after qemu's own random writes. */
static void kind_check(const char *dir, const uint8_t *data, const char *flags, uint32_t seed)
{
	char raw[256], path[256];
	uint8_t *model = malloc(DISK);
	snprintf(raw, sizeof raw, "%s/data.raw", dir);
	snprintf(path, sizeof path, "%s/%u.qcow2", dir, seed);
	memcpy(model, data, DISK);
	CHECK(disk_qemu("qemu-img convert -f raw -O qcow2 %s %s %s", flags, raw, path) == 0);
	struct blk *b = open_readonly(path);
	CHECK(disk_equals(b, model));
	blk_close(b);
	qemu_churn(path, model, seed);
	b = open_readonly(path);
	CHECK(blk_size(b) == DISK && disk_equals(b, model));
	CHECK(blk_sync(b, BLK_WRITE, 0, model, 512) == -EROFS);
	blk_close(b);
	free(model);
}

TEST(blk_qcow2_of_every_kind_reads_as_its_disk)
{
	static const char *const kinds[] = {
		"-o compat=0.10", "-o cluster_size=512", "-o cluster_size=2M,lazy_refcounts=on",
		"-c", "-c -o cluster_size=2M", "-c -o compression_type=zstd,cluster_size=4k",
		"-o extended_l2=on", "-c -o extended_l2=on,compression_type=zstd",
		"-o preallocation=metadata",
	};
	if (qemu_missing())
		return;
	char *dir = disk_dir();
	uint8_t *data = malloc(DISK);
	model_fill(data, DISK, 3);
	CHECK(disk_file(disk_path(dir, "data.raw"), data, DISK));
	for (uint32_t i = 0; i < countof(kinds); i++)
		kind_check(dir, data, kinds[i], i + 1);
	free(data);
	disk_dir_free(dir);
}

TEST(blk_qcow2_backing_files_and_overlay_match_a_model)
{
	if (qemu_missing())
		return;
	char *dir = disk_dir();
	uint8_t *model = calloc(1, DISK);
	struct blk *b;
	struct loop *l;
	model_fill(model, DISK - (1 << 20), 9);
	CHECK(disk_file(disk_path(dir, "base.raw"), model, DISK - (1 << 20)));
	CHECK(disk_qemu("cd %s && qemu-img create -f qcow2 -b base.raw -F raw mid.qcow2 4M", dir) ==
	      0);
	qemu_churn(disk_path(dir, "mid.qcow2"), model, 21);
	CHECK(disk_qemu("cd %s && qemu-img create -f qcow2 -o extended_l2=on -b mid.qcow2 -F qcow2 "
	                "top.qcow2", dir) == 0);
	qemu_churn(disk_path(dir, "top.qcow2"), model, 22);
	b = open_readonly(disk_path(dir, "top.qcow2"));
	CHECK(disk_equals(b, model));
	blk_close(b);
	/* written through an overlay, synchronously and through the ring */
	struct blk_options o = { .path = disk_path(dir, "top.qcow2") };
	struct lodge_err e;
	CHECK(blk_open(&b, &o, NULL, &e) == -EINVAL && strstr(e.msg, "overlay"));
	o.overlay = disk_path(dir, "over");
	CHECK(blk_open(&b, &o, NULL, &e) == 0 && !strcmp(blk_format(b), "qcow2"));
	CHECK(disk_churn(b, model, 400, 31) == 0 && disk_equals(b, model));
	blk_close(b);
	CHECK(loop_new(&l, NULL) == 0);
	CHECK(blk_open(&b, &o, l, &e) == 0);
	CHECK(disk_churn_async(b, l, model, 1500, 32) == 0 && disk_equals(b, model));
	blk_close(b);
	loop_free(l);
	o.no_base = true;
	CHECK(blk_open(&b, &o, NULL, &e) == -EINVAL && strstr(e.msg, "backing file"));
	free(model);
	disk_dir_free(dir);
}

/* ---- refused, with the way out ---- */

static void refused(const char *path, int code, const char *word)
{
	struct blk *b;
	struct lodge_err e = { 0 };
	struct blk_options o = { .path = path, .format = "qcow2", .readonly = true };
	int r = blk_open(&b, &o, NULL, &e);
	if (r != -code || !strstr(e.msg, word))
		fprintf(stderr, "%d (%s) instead of %s\n", r, e.msg, word);
	CHECK(r == -code && strstr(e.msg, word));
}

static void poke(const char *path, off_t at, uint8_t val)
{
	autoclose int fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, &val, 1, at) == 1);
}

/* The smallest image: a header and an empty L1 table. */
static void tiny(const char *path, const char *backing, const char *format)
{
	uint8_t h[8192] = "QFI\xfb";
	size_t name = 4000 - strlen(backing);
	h[7] = 3;
	h[23] = 12;           /* 4 KiB clusters */
	h[29] = 16;           /* 1 MiB */
	h[39] = 1;            /* L1: one entry */
	h[46] = 4096 >> 8;    /* at 4096 */
	h[103] = 104;
	if (*backing) {
		h[14] = (uint8_t)(name >> 8);
		h[15] = (uint8_t)name;
		h[19] = (uint8_t)strlen(backing);
		memcpy(h + name, backing, strlen(backing));
	}
	if (*format) {
		memcpy(h + 104, "\xe2\x79\x2a\xca", 4);
		h[111] = (uint8_t)strlen(format);
		memcpy(h + 112, format, strlen(format));
	}
	CHECK(disk_file(path, h, sizeof h));
}

TEST(blk_qcow2_refuses_what_it_cannot_serve)
{
	char *dir = disk_dir(), p[256];
	snprintf(p, sizeof p, "%s/x.qcow2", dir);
	tiny(p, "", "");
	blk_close(open_readonly(p));
	static const struct { off_t at; uint8_t val; const char *word; } bad[] = {
		{ 35, 2, "LUKS" }, { 35, 1, "AES" }, { 79, 4, "another file" },
		{ 79, 1, "qemu-img check" }, { 79, 2, "corrupt" }, { 73, 1, "0x1000000000000" },
		{ 7, 4, "version 4" }, { 23, 8, "2^8" }, { 23, 22, "2^22" }, { 31, 1, "disk size" },
		{ 29, 0, "disk size" }, { 24, 255, "disk size" }, { 26, 1, "an L1 table of 1" },
		{ 36, 255, "L1 table" }, { 47, 1, "outside" }, { 45, 1, "outside" },
		{ 103, 105, "header length" }, { 103, 96, "header length" },
		{ 79, 16, "too small" },
		{ 4096, 64, "entry 0" }, { 4097, 1, "entry 0" }, { 4103, 2, "entry 0" },
		{ 109, 255, "extension" }, /* of the extension at 104 */
	};
	poke(p, 104, 1); /* an extension that nobody knows */
	for (size_t i = 0; i < countof(bad); i++) {
		uint8_t was;
		autoclose int fd = open(p, O_RDONLY | O_CLOEXEC);
		CHECK(pread(fd, &was, 1, bad[i].at) == 1);
		poke(p, bad[i].at, bad[i].val);
		refused(p, EINVAL, bad[i].word);
		poke(p, bad[i].at, was);
	}
	tiny(p, "", "");
	poke(p, 103, 112);
	poke(p, 104, 2);
	refused(p, EINVAL, "compression type 2");
	CHECK(truncate(p, 100) == 0);
	refused(p, EINVAL, "too short");
	disk_dir_free(dir);
}

TEST(blk_qcow2_refuses_bad_backing_files)
{
	char *dir = disk_dir(), a[256], b[256];
	snprintf(a, sizeof a, "%s/a.qcow2", dir);
	snprintf(b, sizeof b, "%s/b.qcow2", dir);
	tiny(a, "b.qcow2", "qcow2");
	tiny(b, "a.qcow2", "qcow2");
	refused(a, ELOOP, "its own backing file");
	tiny(a, a, "qcow2");
	refused(a, ELOOP, "its own backing file");
	tiny(a, "nbd://host/x", "raw");
	refused(a, EINVAL, "not a local file");
	tiny(a, "none", "raw");
	refused(a, ENOENT, "none");
	tiny(a, "b.qcow2", "vmdk");
	refused(a, EINVAL, "vmdk");
	/* a base of which no format is told: raw, or a word about it */
	tiny(b, "", "");
	tiny(a, "b.qcow2", "");
	refused(a, EINVAL, "does not say which format");
	CHECK(disk_file(b, "\1\2\3", 3));
	blk_close(open_readonly(a));
	tiny(b, "", "");
	tiny(a, "b.qcow2", "raw");
	struct blk *d = open_readonly(a);
	CHECK(!strcmp(d->image->base->class->name, "raw"));
	blk_close(d);
	/* a chain that is too deep */
	for (int i = 0; i < 68; i++) {
		char up[300], down[300];
		snprintf(down, sizeof down, i ? "c%d" : "b.qcow2", i - 1);
		snprintf(up, sizeof up, "%s/c%d", dir, i);
		tiny(up, down, "qcow2");
	}
	blk_close(open_readonly(disk_path(dir, "c63")));
	refused(disk_path(dir, "c67"), ELOOP, "more than");
	disk_dir_free(dir);
}

/* ---- committed images: 128 KiB disks with fixture_fill's content ----
 * Made by qemu-img convert -f raw -O qcow2 with cluster_size=4k and: compat=0.10 (v2); nothing
 * (v3); -c (deflate); -c and compression_type=zstd (zstd); extended_l2=on, cluster_size=16k
 * (extended); -B v3.qcow2 -F qcow2, its first 4 KiB written again by qemu-io (chain). */

static void fixture_fill(uint8_t *p)
{
	uint32_t seed = 11;
	memset(p, 0, SMALL);
	for (size_t at = 0; at < SMALL; at += 7 * 4096) /* 5 of 32 blocks have data */
		for (size_t i = 0; i < 4096; i += 16)
			le32_put(p + at + i, disk_random(&seed));
}

static const char *const fixtures[] = { "v2", "v3", "deflate", "zstd", "extended", "chain" };

TEST(blk_qcow2_committed_images_read_as_their_disk)
{
	uint8_t *model = malloc(SMALL);
	fixture_fill(model);
	for (size_t i = 0; i < countof(fixtures); i++) {
		char path[128];
		snprintf(path, sizeof path, "test/fuzz/corpus/qcow2/%s.qcow2", fixtures[i]);
		struct blk *b = open_readonly(path);
		CHECK(blk_size(b) == SMALL && disk_equals(b, model));
		blk_close(b);
	}
	free(model);
}

struct damage {
	unsigned refusals, reads, errors;
};

/* Open and read all of it with one byte changed. */
static void damage_try(struct damage *d, const char *path, uint8_t *buf)
{
	struct blk *b;
	struct blk_options o = { .path = path, .format = "qcow2", .readonly = true };
	if (blk_open(&b, &o, NULL, NULL) < 0) {
		d->refusals++;
		return;
	}
	int r = blk_sync(b, BLK_READ, 0, buf, min_u64(SMALL, blk_size(b)));
	CHECK(r == 0 || r == -EIO);
	d->reads += r == 0;
	d->errors += r < 0;
	blk_close(b);
}

/* Each byte of the header, and many of the tables and data, changed: refused, an error, or other
 * data; never worse. */
TEST(blk_qcow2_damaged_images_never_do_harm)
{
	char *dir = disk_dir();
	uint8_t *buf = malloc(SMALL), *image = malloc(1 << 20);
	struct damage d = { 0, 0, 0 };
	for (size_t k = 0; k < countof(fixtures); k++) {
		char path[256];
		snprintf(path, sizeof path, "test/fuzz/corpus/qcow2/%s.qcow2", fixtures[k]);
		autoclose int in = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = in < 0 ? 0 : read(in, image, 1 << 20);
		snprintf(path, sizeof path, "%s/%s.qcow2", dir, fixtures[k]);
		CHECK(disk_file(path, image, (size_t)n));
		for (ssize_t i = 0; i < n; i += i < 400 ? 1 : 61) {
			poke(path, i, (uint8_t)(i & 1 ? ~image[i] : image[i] ^ 1 << i / 2 % 8));
			damage_try(&d, path, buf);
			poke(path, i, image[i]);
		}
	}
	CHECK(d.refusals > 100 && d.reads > 100 && d.errors > 10);
	free(image);
	free(buf);
	disk_dir_free(dir);
}
