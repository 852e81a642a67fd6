/* SPDX-License-Identifier: Apache-2.0 */
/* console.times: when what console.log holds was written, so that lines have times and the log
 * stays as the guest wrote it. A head says of which file it is, and how much was dropped before
 * that; then a stamp for each piece, at most one in a millisecond. All numbers are 64 bits,
 * little-endian:
 *
 *   head    magic, inode of console.log, bytes of all before it, 0
 *   stamp   offset in console.log, nanoseconds since 1970
 */
#include "life/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { HEAD = 32, STAMP = 16, APART_NS = 1000000 };
#define MAGIC UINT64_C(0x31656d697467646c) /* "ldgtime1" */

static bool head_read(int fd, uint64_t ino, uint64_t *ret_position)
{
	uint8_t b[HEAD];
	if (pread(fd, b, HEAD, 0) != HEAD || le64_at(b) != MAGIC || le64_at(b + 8) != ino)
		return false;
	*ret_position = le64_at(b + 16);
	return true;
}

int life_stamps_find(int dirfd, int log, uint64_t *ret_position)
{
	static const char *const names[] = {"console.times", "console.times.1"};
	struct stat st;
	for (size_t i = 0; i < countof(names) && fstat(log, &st) == 0; i++) {
		autoclose int fd = openat(dirfd, names[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && head_read(fd, st.st_ino, ret_position))
			return take_fd(&fd);
	}
	return -1;
}

bool life_stamp_at(int fd, size_t i, uint64_t *ret_off, uint64_t *ret_ns)
{
	uint8_t b[STAMP];
	if (fd < 0 || pread(fd, b, STAMP, (off_t)(HEAD + i * STAMP)) != STAMP)
		return false;
	*ret_off = le64_at(b);
	*ret_ns = le64_at(b + 8);
	return true;
}

/* ---- the keeper's ---- */

void stamps_close(struct stamps *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void stamps_open(struct stamps *s, int dirfd, int log, uint64_t *position)
{
	uint8_t b[HEAD] = {0};
	struct stat of, st;
	*s = (struct stamps){.fd = openat(dirfd, "console.times",
					  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
	if (s->fd < 0 || fstat(log, &of) < 0 || fstat(s->fd, &st) < 0) {
		stamps_close(s);
		return;
	}
	s->size = (uint64_t)st.st_size / STAMP * STAMP;
	if (head_read(s->fd, of.st_ino, position))
		return;
	le64_put(b, MAGIC);
	le64_put(b + 8, of.st_ino);
	le64_put(b + 16, *position);
	s->size = HEAD;
	if (ftruncate(s->fd, 0) < 0 || pwrite(s->fd, b, HEAD, 0) != HEAD)
		stamps_close(s);
}

void stamps_add(struct stamps *s, uint64_t off, uint64_t now_ns)
{
	uint8_t b[STAMP];
	if (s->fd < 0 || (now_ns - s->last_ns < APART_NS && s->last_ns))
		return;
	le64_put(b, off);
	le64_put(b + 8, now_ns);
	/* one that cannot be written is left out: what it is of seems to be a little older */
	if (pwrite(s->fd, b, STAMP, (off_t)s->size) != STAMP)
		return;
	s->size += STAMP;
	s->last_ns = now_ns;
}

void stamps_rotate(struct stamps *s, int dirfd)
{
	if (s->fd < 0 || renameat(dirfd, "console.times", dirfd, "console.times.1") < 0)
		unlinkat(dirfd, "console.times.1", 0);
}
