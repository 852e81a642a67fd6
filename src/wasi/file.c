/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes and attributes of what is open, and the names in a folder. */
#include "wasi/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>

uint32_t size_put(struct wasi *s, uint32_t at, int64_t r)
{
	uint8_t *to = guest(s, at, 4);
	if (r < 0)
		return errno_of(errno);
	if (!to)
		return W_FAULT;
	le32_put(to, (uint32_t)r);
	return 0;
}

uint32_t iovs_read(struct wasi *s, uint32_t at, uint32_t n, struct iovec *ret)
{
	const uint8_t *from = guest(s, at, 8ull * n);
	uint64_t all = 0;
	if (n > IOVS_MAX)
		return W_INVAL;
	if (!from)
		return W_FAULT;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t p = le32_at(from + 8 * i), len = le32_at(from + 8 * i + 4);
		ret[i] = (struct iovec){guest(s, p, len), len};
		all += len;
		if (!ret[i].iov_base)
			return W_FAULT;
	}
	return all > INT32_MAX ? W_INVAL : 0;
}

static uint32_t transfer(struct wasi *s, const union wasm_slot *a, bool write, bool placed)
{
	struct iovec v[IOVS_MAX];
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, write ? MAY_WRITE : MAY_READ, &d);
	if (!r && placed && !(d->rights >> MAY_SEEK & 1))
		r = W_NOTCAPABLE;
	if (!r && !guest(s, a[placed ? 4 : 3].i32, 4))
		r = W_FAULT;
	if (!r)
		r = iovs_read(s, a[1].i32, a[2].i32, v);
	if (r)
		return r;
	int n = (int)a[2].i32, fd = d->fd;
	struct away away;
	bool waits = d->type != TYPE_REGULAR;
	if (waits && !away_begin(s, &fd, &away))
		return errno_of(errno);
	int64_t done = placed && write ? pwritev(fd, v, n, (off_t)a[3].i64)
		       : placed	       ? preadv(fd, v, n, (off_t)a[3].i64)
		       : write	       ? writev(fd, v, n)
				       : readv(fd, v, n);
	if (waits)
		away_end(s, &away);
	return size_put(s, a[placed ? 4 : 3].i32, done);
}

uint32_t wasi_fd_read(struct wasi *s, const union wasm_slot *a)
{
	return transfer(s, a, false, false);
}
uint32_t wasi_fd_write(struct wasi *s, const union wasm_slot *a)
{
	return transfer(s, a, true, false);
}
uint32_t wasi_fd_pread(struct wasi *s, const union wasm_slot *a)
{
	return transfer(s, a, false, true);
}
uint32_t wasi_fd_pwrite(struct wasi *s, const union wasm_slot *a)
{
	return transfer(s, a, true, true);
}

/* ---- where it is ---- */

static uint32_t seek(struct wasi *s, uint32_t fd, int64_t off, int whence, uint32_t at)
{
	struct descriptor *d = NULL;
	uint8_t *to = guest(s, at, 8);
	bool asks = whence == SEEK_CUR && off == 0;
	uint32_t r = to ? descriptor_get(s, fd, asks ? MAY_TELL : MAY_SEEK, &d) : W_FAULT;
	if (r)
		return r;
	off_t now = lseek(d->fd, off, whence);
	if (now < 0)
		return errno_of(errno);
	le64_put(to, (uint64_t)now);
	return 0;
}

uint32_t wasi_fd_seek(struct wasi *s, const union wasm_slot *a)
{
	static const int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END};
	if (a[2].i32 > 2)
		return W_INVAL;
	return seek(s, a[0].i32, (int64_t)a[1].i64, whence[a[2].i32], a[3].i32);
}

uint32_t wasi_old_fd_seek(struct wasi *s, const union wasm_slot *a)
{
	static const int whence[] = {SEEK_CUR, SEEK_END, SEEK_SET};
	if (a[2].i32 > 2)
		return W_INVAL;
	return seek(s, a[0].i32, (int64_t)a[1].i64, whence[a[2].i32], a[3].i32);
}

uint32_t wasi_fd_tell(struct wasi *s, const union wasm_slot *a)
{
	return seek(s, a[0].i32, 0, SEEK_CUR, a[1].i32);
}

/* ---- the disk ---- */

uint32_t wasi_fd_sync(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, MAY_SYNC, &d);
	return r ? r : fsync(d->fd) < 0 ? errno_of(errno) : 0;
}

uint32_t wasi_fd_datasync(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, MAY_DATASYNC, &d);
	return r ? r : fdatasync(d->fd) < 0 ? errno_of(errno) : 0;
}

uint32_t wasi_fd_advise(struct wasi *s, const union wasm_slot *a)
{
	static const int advice[] = {POSIX_FADV_NORMAL,	  POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
				     POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE};
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, MAY_ADVISE, &d);
	if (r)
		return r;
	if (a[3].i32 >= countof(advice))
		return W_INVAL;
	int n = posix_fadvise(d->fd, (off_t)a[1].i64, (off_t)a[2].i64, advice[a[3].i32]);
	return n ? errno_of(n) : 0;
}

uint32_t wasi_fd_allocate(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, MAY_ALLOCATE, &d);
	if (r)
		return r;
	return fallocate(d->fd, 0, (off_t)a[1].i64, (off_t)a[2].i64) < 0 ? errno_of(errno) : 0;
}

/* ---- attributes ---- */

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

/* 64 bytes; of the older interface 56. */
void stat_put(uint8_t *to, const struct stat *st, bool old)
{
	memset(to, 0, old ? 56 : 64);
	le64_put(to, st->st_dev);
	le64_put(to + 8, st->st_ino);
	to[16] = filetype_of(st);
	if (old)
		le32_put(to + 20, (uint32_t)st->st_nlink);
	else
		le64_put(to + 24, st->st_nlink);
	to += old ? 24 : 32;
	le64_put(to, (uint64_t)st->st_size);
	le64_put(to + 8, ns_of(&st->st_atim));
	le64_put(to + 16, ns_of(&st->st_mtim));
	le64_put(to + 24, ns_of(&st->st_ctim));
}

static uint32_t filestat(struct wasi *s, const union wasm_slot *a, bool old)
{
	struct descriptor *d = NULL;
	struct stat st;
	uint8_t *to = guest(s, a[1].i32, old ? 56 : 64);
	uint32_t r = to ? descriptor_get(s, a[0].i32, MAY_STAT, &d) : W_FAULT;
	if (r)
		return r;
	if (fstat(d->fd, &st) < 0)
		return errno_of(errno);
	stat_put(to, &st, old);
	to[16] = d->type;
	return 0;
}

uint32_t wasi_fd_filestat_get(struct wasi *s, const union wasm_slot *a)
{
	return filestat(s, a, false);
}
uint32_t wasi_old_fd_filestat_get(struct wasi *s, const union wasm_slot *a)
{
	return filestat(s, a, true);
}

uint32_t wasi_fd_filestat_set_size(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, MAY_SET_SIZE, &d);
	return r ? r : ftruncate(d->fd, (off_t)a[1].i64) < 0 ? errno_of(errno) : 0;
}

uint32_t times_of(struct timespec t[2], uint64_t atim, uint64_t mtim, uint32_t flags)
{
	const uint64_t ns[2] = {atim, mtim};
	if (flags & ~15u || (flags & 3) == 3 || (flags & 12) == 12)
		return W_INVAL;
	for (unsigned i = 0; i < 2; i++, flags >>= 2)
		t[i] = (struct timespec){(time_t)(ns[i] / 1000000000),
					 flags & 1   ? (long)(ns[i] % 1000000000)
					 : flags & 2 ? UTIME_NOW
						     : UTIME_OMIT};
	return 0;
}

uint32_t wasi_fd_filestat_set_times(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	struct timespec t[2];
	uint32_t r = descriptor_get(s, a[0].i32, MAY_SET_TIMES, &d);
	if (!r)
		r = times_of(t, a[1].i64, a[2].i64, a[3].i32);
	return r ? r : futimens(d->fd, t) < 0 ? errno_of(errno) : 0;
}

/* ---- names in a folder ---- */

struct listed { /* getdents64(2) */
	uint64_t ino;
	int64_t next;
	uint16_t len;
	uint8_t type;
	char name[];
};

static uint8_t listed_type(uint8_t type)
{
	switch (type) {
	case DT_BLK: return TYPE_BLOCK;
	case DT_CHR: return TYPE_CHARACTER;
	case DT_DIR: return TYPE_DIRECTORY;
	case DT_REG: return TYPE_REGULAR;
	case DT_LNK: return TYPE_LINK;
	case DT_SOCK: return TYPE_STREAM;
	default: return TYPE_UNKNOWN;
	}
}

/* One entry into what is left of the buffer, cut where that ends. */
static uint32_t entry_put(uint8_t *to, uint32_t left, const struct listed *l)
{
	uint8_t head[24] = {0};
	uint32_t name = (uint32_t)strlen(l->name);
	le64_put(head, (uint64_t)l->next);
	le64_put(head + 8, l->ino);
	le32_put(head + 16, name);
	head[20] = listed_type(l->type);
	uint32_t n = left < 24 ? left : 24, k = left - n < name ? left - n : name;
	memcpy(to, head, n);
	memcpy(to + n, l->name, k);
	return n + k;
}

uint32_t wasi_fd_readdir(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint8_t *to = guest(s, a[1].i32, a[2].i32);
	uint32_t used = 0, r = to && guest(s, a[4].i32, 4)
				   ? descriptor_get(s, a[0].i32, MAY_READDIR, &d)
				   : W_FAULT;
	_Alignas(8) char block[8192];
	if (r)
		return r;
	if (d->type != TYPE_DIRECTORY)
		return W_NOTDIR;
	if (d->listing < 0)
		d->listing = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->listing < 0 || lseek(d->listing, (off_t)a[3].i64, SEEK_SET) < 0)
		return errno_of(errno);
	while (used < a[2].i32) {
		long n = syscall(SYS_getdents64, d->listing, block, sizeof block);
		if (n < 0)
			return errno_of(errno);
		if (n == 0)
			break;
		for (long at = 0; at < n && used < a[2].i32;) {
			const struct listed *l = (const struct listed *)(void *)(block + at);
			used += entry_put(to + used, a[2].i32 - used, l);
			at += l->len;
		}
	}
	return size_put(s, a[4].i32, used);
}
