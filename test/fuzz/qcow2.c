/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz the qcow2 reader: the input is an image. Backing files are refused, or it would open
 * whatever the host has. */
#include "blk/blk.h"
#include <stdio.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { READ = 96 * 1024, IMAGE_MAX = 1 << 20 };

static void image_read(struct blk *b, uint8_t *buf, uint64_t off)
{
	uint64_t size = blk_size(b);
	off = off % size & ~511ull;
	int r = blk_sync(b, BLK_READ, off, buf, min_u64(READ, size - off));
	/* the file is whole, so the only error is the image's */
	if (r != 0 && r != -EIO)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t buf[READ];
	char path[64];
	struct blk *b;
	struct lodge_err e = { 0 };
	autoclose int fd = memfd_create("qcow2", MFD_CLOEXEC);
	if (len > IMAGE_MAX || fd < 0 || write(fd, data, len) != (ssize_t)len)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct blk_options o = { .path = path, .format = "qcow2", .readonly = true,
	                         .no_base = true };
	int r = blk_open(&b, &o, NULL, &e);
	if (r < 0) {
		if (!e.msg[0] || e.code != -r)
			__builtin_trap(); /* every refusal has a reason */
		return 0;
	}
	image_read(b, buf, 0);
	image_read(b, buf, blk_size(b) - 512);
	for (uint64_t i = 1; i < 8; i++)
		image_read(b, buf, blk_size(b) / 8 * i + i * 1000003);
	return blk_close(b);
}
