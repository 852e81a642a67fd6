/* SPDX-License-Identifier: Apache-2.0 */
/* raw: the disk is the file, byte for byte. A regular file whose size is not a multiple of a
 * sector has its last sector padded with zeroes (a write there makes the file whole); of a block
 * device only whole sectors are seen. */
#include "blk/internal.h"

struct raw {
	struct image im;
};

static bool raw_probe(const uint8_t *head, size_t len)
{
	(void)head, (void)len;
	return true;
}

static int raw_create(struct image *im, const struct image_options *o, struct lodge_err *e)
{
	if (o->size % SECTOR || o->size > INT64_MAX)
		return err_set(e, EINVAL,
		               "%s: a size of %llu bytes is not a whole number of sectors", o->path,
		               (unsigned long long)o->size);
	int r = file_open(&im->file, o->path, FILE_CREATE, e);
	if (r < 0)
		return r;
	if (ftruncate(im->file.fd, (off_t)o->size) < 0) {
		r = err_sys(e, "cannot make %s with %llu bytes", o->path,
		            (unsigned long long)o->size);
		unlink(o->path);
		return r;
	}
	im->file.bytes = o->size;
	return 0;
}

static int raw_open(struct image *im, const struct image_options *o, struct lodge_err *e)
{
	int r = file_open(&im->file, o->path, o->readonly ? FILE_READ : FILE_WRITE, e);
	if (r == -ENOENT && o->size && !o->readonly)
		r = raw_create(im, o, e);
	if (r < 0)
		return r;
	uint64_t bytes = im->file.bytes;
	im->size = im->file.device ? bytes & ~(uint64_t)(SECTOR - 1) : align_up(bytes, SECTOR);
	if (im->size == 0)
		return err_set(e, EINVAL, "%s is empty: a disk has at least one sector", o->path);
	im->granule = 4096;
	return 0;
}

static int raw_read(struct image *im, uint64_t off, struct ivec *to, uint64_t len)
{
	return file_read(&im->file, off, to, len);
}

static int raw_write(struct image *im, uint64_t off, struct ivec *from, uint64_t len)
{
	return file_write(&im->file, off, from, len);
}

static int raw_flush(struct image *im) { return file_flush(&im->file); }

static int raw_discard(struct image *im, uint64_t off, uint64_t len)
{
	return file_discard(&im->file, off, len);
}

static int raw_zero(struct image *im, uint64_t off, uint64_t len, bool may_unmap)
{
	return file_zero(&im->file, off, len, may_unmap);
}

static bool raw_plan(struct image *im, struct blk_req *r, struct plan *ret)
{
	*ret = (struct plan){ im->file.fd, r->off };
	return r->op != BLK_WRITE || im->file.ring_writes;
}

static bool raw_data(struct image *im, uint64_t from, uint64_t *ret_from, uint64_t *ret_end)
{
	off_t data = from < im->size ? lseek(im->file.fd, (off_t)from, SEEK_DATA) : -1;
	off_t hole = data < 0 ? -1 : lseek(im->file.fd, data, SEEK_HOLE);
	if (from >= im->size || (data < 0 && errno == ENXIO))
		return false;
	*ret_from = data < 0 ? from : (uint64_t)data; /* a device knows no holes */
	*ret_end = hole < 0 ? im->size : min_u64((uint64_t)hole, im->size);
	return *ret_from < *ret_end;
}

const struct blk_class blk_class_raw = {
	.name = "raw", .summary = "the disk's bytes, in a sparse file or on a block device",
	.size = sizeof(struct raw), .probe = raw_probe, .open = raw_open,
	.read = raw_read, .write = raw_write, .flush = raw_flush, .discard = raw_discard,
	.zero = raw_zero, .plan = raw_plan, .data = raw_data,
};
