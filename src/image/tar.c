/* SPDX-License-Identifier: Apache-2.0 */
/* Tar files by libarchive, in two steps, so that what is unpacked can be counted and summed: one
 * reader takes the compression off, the other one reads the tar that comes out. */
#include "image/layer.h"
#include <archive.h>
#include <archive_entry.h>

enum { CHUNK = 1 << 17 };
#define MIB (UINT64_C(1) << 20)
static const struct tar_limits defaults = {
    .bytes = (uint64_t)TAR_GIB << 30, .ratio = 200, .entries = 4 << 20};

struct tar {
	struct archive *packed, *bare; /* owned */
	struct digest_sum *sum;        /* borrowed; NULL: none */
	struct tar_limits limits;
	uint64_t out, entries, claimed;
	struct lodge_err why; /* what the reader's callback has to say; code 0: nothing */
	uint8_t buf[CHUNK];
};

uint64_t tar_done(const struct tar *t)
{
	/* behind the last filter: bytes of the file */
	int64_t n = t->packed ? archive_filter_bytes(t->packed, -1) : 0;
	return n > 0 ? (uint64_t)n : 0;
}

static bool tar_within(struct tar *t)
{
	uint64_t in = tar_done(t), most = t->limits.ratio * (in ? in : 1);
	if (t->out > t->limits.bytes || t->claimed > t->limits.bytes)
		(void)!err_set(&t->why, EFBIG,
			       "it unpacks to more than the %llu MiB that are "
			       "allowed (--max-unpacked)",
			       (unsigned long long)(t->limits.bytes / MIB));
	else if (t->out > 64 * MIB && most / t->limits.ratio == (in ? in : 1) && t->out > most)
		(void)!err_set(&t->why, EFBIG,
			       "it unpacks to more than %llu times its size, as a "
			       "decompression bomb does; if it may, say how much with "
			       "--max-unpacked",
			       (unsigned long long)t->limits.ratio);
	else if (t->entries > t->limits.entries)
		(void)!err_set(&t->why, EFBIG, "it has more than %llu entries",
			       (unsigned long long)t->limits.entries);
	return !t->why.code;
}

static la_ssize_t tar_feed(struct archive *a, void *arg, const void **ret)
{
	struct tar *t = arg;
	la_ssize_t n = archive_read_data(t->packed, t->buf, sizeof t->buf);
	if (n < 0)
		(void)!err_set(&t->why, EINVAL, "damaged compression: %s",
			       archive_error_string(t->packed));
	if (n > 0) {
		t->out += (uint64_t)n;
		if (t->sum)
			digest_add(t->sum, t->buf, (size_t)n);
		tar_within(t);
	}
	*ret = t->buf;
	if (t->why.code)
		archive_set_error(a, EINVAL, "%s", t->why.msg);
	return t->why.code ? -1 : n;
}

static int tar_start(struct tar *t, int fd, unsigned flags, struct lodge_err *e)
{
	struct archive_entry *one;
	int ok = ARCHIVE_OK;
	t->packed = archive_read_new();
	t->bare = archive_read_new();
	if (!t->packed || !t->bare)
		return err_set(e, ENOMEM, "out of memory");
	ok |= archive_read_support_filter_gzip(t->packed);
	ok |= archive_read_support_filter_zstd(t->packed);
	if (flags & TAR_ANY) {
		ok |= archive_read_support_filter_xz(t->packed);
		ok |= archive_read_support_filter_bzip2(t->packed);
	}
	ok |= archive_read_support_format_raw(t->packed);
	ok |= archive_read_support_format_tar(t->bare);
	if (ok != ARCHIVE_OK)
		return err_set(e, ENOTSUP, "this libarchive reads no gzip or zstd by itself");
	if ((!(flags & TAR_STREAM) && lseek(fd, 0, SEEK_SET) < 0) ||
	    archive_read_open_fd(t->packed, fd, CHUNK) != ARCHIVE_OK)
		return err_set(e, EIO, "%s", archive_error_string(t->packed));
	int r = archive_read_next_header(t->packed, &one);
	if (r != ARCHIVE_OK && r != ARCHIVE_EOF)
		return err_set(e, EINVAL, "%s", archive_error_string(t->packed));
	if (archive_read_open(t->bare, t, NULL, tar_feed, NULL) != ARCHIVE_OK)
		return err_set(e, EINVAL, "%s",
			       t->why.code ? t->why.msg : archive_error_string(t->bare));
	return 0;
}

int tar_open(struct tar **ret, int fd, unsigned flags, const struct tar_limits *l,
	     struct digest_sum *sum, struct lodge_err *e)
{
	int r = host_library_load(&image_archive, e);
	if (r < 0)
		return r;
	struct tar *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ENOMEM, "out of memory");
	t->sum = sum;
	t->limits = *l;
	if (!l->bytes)
		t->limits.bytes = defaults.bytes;
	if (!l->ratio) /* who says how much it may be knows it */
		t->limits.ratio = l->bytes ? UINT64_MAX : defaults.ratio;
	if (!l->entries)
		t->limits.entries = defaults.entries;
	r = tar_start(t, fd, flags, e);
	if (r < 0) {
		tar_close(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tar_close(struct tar *t)
{
	if (!t)
		return;
	archive_read_free(t->bare);
	archive_read_free(t->packed);
	free(t);
}

/* What is behind the end of the tar belongs to its sum. */
static int tar_drain(struct tar *t, struct lodge_err *e)
{
	const void *p;
	for (;;) {
		la_ssize_t n = tar_feed(t->bare, t, &p);
		if (n == 0)
			return 0;
		if (n < 0)
			return err_set(e, t->why.code, "%s", t->why.msg);
	}
}

int tar_next(struct tar *t, struct archive_entry **ret, struct lodge_err *e)
{
	int r = archive_read_next_header(t->bare, ret);
	if (r == ARCHIVE_EOF)
		return tar_drain(t, e);
	if (r == ARCHIVE_OK || r == ARCHIVE_WARN) {
		int64_t size = archive_entry_size(*ret);
		t->entries++;
		t->claimed += size > 0 ? (uint64_t)size : 0;
		if (size >= 0 && tar_within(t))
			return 1;
	}
	if (t->why.code)
		return err_set(e, t->why.code, "%s", t->why.msg);
	const char *said = archive_error_string(t->bare);
	return err_set(e, EINVAL, "damaged tar: %s", said ? said : "a size below 0");
}

int tar_data(struct tar *t, const void **ret, size_t *ret_len, uint64_t *ret_off,
	     struct lodge_err *e)
{
	la_int64_t off;
	int r = archive_read_data_block(t->bare, ret, ret_len, &off);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r == ARCHIVE_OK || r == ARCHIVE_WARN) {
		*ret_off = (uint64_t)off;
		return 1;
	}
	if (t->why.code)
		return err_set(e, t->why.code, "%s", t->why.msg);
	return err_set(e, EINVAL, "damaged tar: %s", archive_error_string(t->bare));
}
