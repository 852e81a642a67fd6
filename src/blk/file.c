/* SPDX-License-Identifier: Apache-2.0 */
/* A host file or block device under a disk: opened once, locked while open, read and written
 * whole. Locks are OFD locks on the whole file: they belong to the descriptor, so two disks of
 * one process exclude each other too, and die with the process. */
#include "blk/internal.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { PIECES = 64 };

static int file_lock(struct file *f, struct lodge_err *e)
{
	struct flock want = { .l_type = f->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
	if (fcntl(f->fd, F_OFD_SETLK, &want) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(e, EBUSY,
		               f->readonly ? "%s is being written by another guest or program"
		                           : "%s is in use by another guest or program", f->path);
	/* A file system without locks cannot tell us; that is no reason to refuse its files. */
	if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	return err_sys(e, "cannot lock %s", f->path);
}

/* Most file systems cannot write their page cache without the chance of blocking, so io_uring
 * hands each write to a kernel thread, one at a time for a file; our workers are 1.5 to 2 times as
 * fast then (ext4, measured by test/bench/blk.c). */
static bool file_ring_writes(int fd)
{
	static const long at_once[] = { XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC };
	struct statfs s;
	for (size_t i = 0; i < countof(at_once) && fstatfs(fd, &s) == 0; i++)
		if ((long)s.f_type == at_once[i])
			return true;
	return false;
}

static int file_measure(struct file *f, struct lodge_err *e)
{
	struct stat st;
	if (fstat(f->fd, &st) < 0)
		return err_sys(e, "%s", f->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, EINVAL, "%s is neither a file nor a block device", f->path);
	f->device = S_ISBLK(st.st_mode);
	f->ring_writes = !f->device && file_ring_writes(f->fd);
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->bytes = (uint64_t)st.st_size;
	f->mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	if (f->device && ioctl(f->fd, BLKGETSIZE64, &f->bytes) < 0)
		return err_sys(e, "size of %s", f->path);
	return 0;
}

/* O_NONBLOCK: opening a FIFO must not hang. It is cleared again because io_uring would take it
 * as "never wait". */
static int file_get(const char *path, enum file_access how)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	flags |= how == FILE_READ ? O_RDONLY : O_RDWR;
	if (how == FILE_CREATE)
		flags |= O_CREAT | O_EXCL;
	struct stat st;
	if (how == FILE_WRITE && stat(path, &st) == 0 && S_ISBLK(st.st_mode))
		flags |= O_EXCL; /* not one that the host has mounted */
	int fd = open(path, flags, 0644);
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, 0);
	return fd;
}

int file_open(struct file *f, const char *path, enum file_access how, struct lodge_err *e)
{
	*f = (struct file){ .fd = -1, .readonly = how == FILE_READ, .path = strdup(path) };
	if (!f->path)
		return err_set(e, ENOMEM, "no memory for the name of %s", path);
	f->fd = file_get(path, how);
	if (f->fd < 0) {
		int r = err_sys(e, "cannot open %s", path);
		file_close(f);
		return r;
	}
	int r = file_measure(f, e);
	if (r == 0)
		r = file_lock(f, e);
	if (r < 0) {
		if (how == FILE_CREATE)
			unlink(path);
		file_close(f);
	}
	return r;
}

void file_close(struct file *f)
{
	if (!f->path)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	*f = (struct file){ .fd = -1 };
}

/* One piece of a transfer, repeated until all of it is done. */
static int file_move(const struct file *f, bool write, uint64_t off, struct iovec *v, int n,
                     uint64_t len)
{
	while (len > 0) {
		ssize_t got = write ? pwritev(f->fd, v, n, (off_t)off)
		                    : preadv(f->fd, v, n, (off_t)off);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0) {
			if (write || off < f->bytes)
				return -EIO;
			struct ivec rest = { v, n, 0 };
			ivec_zero(&rest, len);
			return 0;
		}
		off += (uint64_t)got;
		len -= (uint64_t)got;
		size_t used = (size_t)got;
		for (; n > 0 && used >= v->iov_len; v++, n--)
			used -= v->iov_len;
		if (n > 0)
			*v = (struct iovec){ (char *)v->iov_base + used, v->iov_len - used };
	}
	return 0;
}

static int file_transfer(const struct file *f, bool write, uint64_t off, struct ivec *v,
                         uint64_t len)
{
	struct iovec part[PIECES];
	for (uint64_t n; len > 0; off += n, len -= n) {
		int pieces = ivec_take(v, len, part, PIECES, &n);
		if (n == 0)
			return -EINVAL;
		int r = file_move(f, write, off, part, pieces, n);
		if (r < 0)
			return r;
	}
	return 0;
}

int file_read(const struct file *f, uint64_t off, struct ivec *to, uint64_t len)
{
	return file_transfer(f, false, off, to, len);
}

int file_write(const struct file *f, uint64_t off, struct ivec *from, uint64_t len)
{
	return file_transfer(f, true, off, from, len);
}

int file_read_buf(const struct file *f, uint64_t off, void *buf, size_t len)
{
	struct iovec one = { buf, len };
	return file_move(f, false, off, &one, 1, len);
}

int file_write_buf(const struct file *f, uint64_t off, const void *buf, size_t len)
{
	/* writev never writes to its buffers; the type cannot say so */
	struct iovec one = { (void *)(uintptr_t)buf, len };
	return file_move(f, true, off, &one, 1, len);
}

int file_flush(const struct file *f)
{
	if (f->before_flush)
		f->before_flush(f->before_flush_arg);
	return fdatasync(f->fd) < 0 ? -errno : 0;
}

static int file_allocate(const struct file *f, int mode, uint64_t off, uint64_t len)
{
	int r;
	do
		r = fallocate(f->fd, mode, (off_t)off, (off_t)len);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static bool unsupported(int r)
{
	return r == -EOPNOTSUPP || r == -ENOSYS || r == -ENODEV || r == -EINVAL || r == -EPERM;
}

int file_discard(const struct file *f, uint64_t off, uint64_t len)
{
	int r = file_allocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
	return unsupported(r) ? 0 : r;
}

int file_zero(const struct file *f, uint64_t off, uint64_t len, bool may_unmap)
{
	static const uint8_t zeroes[65536];
	int mode = may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	int r = file_allocate(f, mode | FALLOC_FL_KEEP_SIZE, off, len);
	if (!unsupported(r))
		return r;
	for (uint64_t n; len > 0; off += n, len -= n) {
		n = min_u64(len, sizeof zeroes);
		r = file_write_buf(f, off, zeroes, (size_t)n);
		if (r < 0)
			return r;
	}
	return 0;
}
