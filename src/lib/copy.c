/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of a disk image at the least cost: shared blocks (FICLONE), else only the parts that
 * hold data, by the kernel where it can (copy_file_range), else through a buffer. */
#include "lib/lib.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { BUFFER = 1 << 18 };

static int copy_buffered(int in, int out, off_t off, off_t end, struct lodge_err *e)
{
	autofree char *buf = malloc(BUFFER);
	if (!buf)
		return err_set(e, ENOMEM, "out of memory");
	while (off < end) {
		ssize_t n = pread(in, buf, min_u64(BUFFER, (uint64_t)(end - off)), off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(e, "reading the image")
				     : err_set(e, EIO,
					       "the image became shorter while it was copied");
		if (!host_pwrite(out, buf, (size_t)n, (uint64_t)off))
			return err_sys(e, "writing the copy of the image");
		off += n;
	}
	return 0;
}

static int copy_range(int in, int out, off_t off, off_t end, struct lodge_err *e)
{
	while (off < end) {
		off_t a = off, b = off;
		ssize_t n = copy_file_range(in, &a, out, &b, (size_t)(end - off), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOSPC)
			return err_sys(e, "writing the copy of the image");
		if (n <= 0)
			return copy_buffered(in, out, off, end, e);
		off += n;
	}
	return 0;
}

static int copy_data(int in, int out, off_t size, struct lodge_err *e)
{
	for (off_t at = 0; at < size;) {
		off_t data = lseek(in, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0; /* only a hole is left */
		if (data < 0)
			data = at; /* a file system that knows no holes */
		off_t end = lseek(in, data, SEEK_HOLE);
		if (end <= data || end > size)
			end = size;
		int r = copy_range(in, out, data, end, e);
		if (r < 0)
			return r;
		at = end;
	}
	return 0;
}

int copy_sparse(const char *from, int dirfd, const char *to, uint64_t min_size, struct lodge_err *e)
{
	struct stat st;
	autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0 || fstat(in, &st) < 0)
		return err_sys(e, "%s", from);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s is not a plain file", from);
	autoclose int out = openat(dirfd, to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(e, "making %s", to);
	int r = 0;
	if (ioctl(out, FICLONE, in) < 0)
		r = copy_data(in, out, st.st_size, e);
	off_t size = st.st_size;
	if (min_size > (uint64_t)size && min_size <= INT64_MAX)
		size = (off_t)min_size;
	if (r == 0 && ftruncate(out, size) < 0)
		r = err_sys(e, "making %s %lld bytes long", to, (long long)size);
	return r;
}
