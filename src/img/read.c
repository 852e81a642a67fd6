/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files into memory, unpacked. */
#include "img/img.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, GROW = 1 << 20 };

/* Inflate until the end of the stream, growing the buffer. */
static int inflate_all(z_stream *z, uint8_t **buf, uint64_t *cap, uint64_t max, struct lodge_err *e)
{
	for (;;) {
		if (z->total_out == *cap) {
			uint64_t want = min_u64(*cap ? *cap * 2 : GROW, max);
			uint8_t *more = want > *cap ? realloc(*buf, want) : NULL;
			if (!more)
				return want > *cap
					   ? err_set(e, ENOMEM, "no memory to unpack")
					   : err_set(e, E2BIG, "unpacks to more than %llu bytes",
						     (unsigned long long)max);
			*buf = more;
			*cap = want;
		}
		z->next_out = *buf + z->total_out;
		z->avail_out = (uInt)min_u64(*cap - z->total_out, 1u << 30);
		int r = inflate(z, Z_NO_FLUSH);
		if (r == Z_STREAM_END)
			return 0;
		if (r != Z_OK || (z->avail_in == 0 && z->avail_out != 0))
			return err_set(e, EINVAL, "gzip data is damaged or truncated");
	}
}

int img_gunzip(uint8_t **ret_data, uint64_t *ret_len, const uint8_t *in, uint64_t in_len,
               uint64_t max, struct lodge_err *e)
{
	uint8_t *copy = NULL;
	uint64_t cap = 0;
	z_stream z = { .avail_in = (uInt)in_len };
	if (in_len > UINT32_MAX)
		return err_set(e, E2BIG, "packed image of more than 4 GiB");
	z.next_in = (Bytef *)(uintptr_t)in; /* zlib only reads it */
	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return err_set(e, ENOMEM, "no memory to unpack");
	int r = inflate_all(&z, &copy, &cap, max, e);
	*ret_len = z.total_out;
	inflateEnd(&z);
	if (r < 0)
		free(copy);
	else
		*ret_data = copy;
	return r;
}

static int file_read(uint8_t **ret, uint64_t *ret_len, const char *path, uint64_t max,
                     struct lodge_err *e)
{
	struct stat st;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s is not a regular file", path);
	uint64_t len = (uint64_t)st.st_size, got = 0;
	if (len > max)
		return err_set(e, E2BIG, "%s has %llu bytes, more than the %llu that fit", path,
		               (unsigned long long)len, (unsigned long long)max);
	autofree uint8_t *buf = malloc(len ? len : 1);
	if (!buf)
		return err_set(e, ENOMEM, "no memory for %s", path);
	while (got < len) {
		ssize_t n = read(fd, buf + got, len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "reading %s", path);
		if (n == 0)
			return err_set(e, EIO, "%s became shorter while it was read", path);
		got += (uint64_t)n;
	}
	*ret = take(buf);
	*ret_len = len;
	return 0;
}

int img_read(uint8_t **ret_data, uint64_t *ret_len, const char *path, uint64_t max,
             struct lodge_err *e)
{
	uint8_t *raw = NULL;
	uint64_t len = 0;
	int r = file_read(&raw, &len, path, max, e);
	if (r < 0)
		return r;
	if (len > 2 && raw[0] == 0x1f && raw[1] == 0x8b) {
		r = img_gunzip(ret_data, ret_len, raw, len, max, e);
		free(raw);
		return err_in(e, r, "%s", path);
	}
	*ret_data = raw;
	*ret_len = len;
	return 0;
}
