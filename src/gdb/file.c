/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the guest, to read: the debugger gets programs and libraries from here (sysroot
 * target:). GDB 13 §E.8 */
#include "gdb/internal.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GDB_ENOENT = 2, GDB_EBADF = 9, GDB_EINVAL = 22, GDB_EUNKNOWN = 9999 };

/* Its own numbers of errors, which are Linux's where it has any. */
static void failed(struct gdb *g, int error)
{
	int e = error < 0 ? -error : error;
	bool known = e == EPERM || e == ENOENT || e == EINTR || e == EBADF || e == EACCES ||
		     e == EFAULT || e == EBUSY || e == EEXIST || e == ENODEV || e == ENOTDIR ||
		     e == EISDIR || e == EINVAL || e == ENFILE || e == EMFILE || e == EFBIG ||
		     e == ENOSPC || e == ESPIPE || e == EROFS;
	g->out.len = 0;
	reply_text(&g->out, "F-1,%x", (unsigned)(known ? e : GDB_EUNKNOWN));
}

/* A path in hexadecimal at *@p. */
static bool path_take(const char **p, char *ret, size_t cap)
{
	size_t n = hex_bytes(*p, (uint8_t *)ret, cap - 1);
	ret[n] = 0;
	*p += 2 * n;
	return n && n < cap - 1;
}

static void file_open(struct gdb *g, const char *p)
{
	char path[4096];
	unsigned slot = 0;
	if (!path_take(&p, path, sizeof path) || *p++ != ',') {
		failed(g, EINVAL);
		return;
	}
	if (hex_take(&p) & 3) { /* to write */
		failed(g, EROFS);
		return;
	}
	while (slot < PASS_FILES && g->files[slot] >= 0)
		slot++;
	int fd = slot < PASS_FILES ? g->t->open(g->user, path) : -EMFILE;
	if (fd < 0) {
		failed(g, fd);
		return;
	}
	g->files[slot] = fd;
	reply_text(&g->out, "F%x", slot);
}

static int *slot_take(struct gdb *g, const char **p)
{
	uint64_t n = hex_take(p);
	return n < PASS_FILES && g->files[n] >= 0 ? &g->files[n] : NULL;
}

static void file_read(struct gdb *g, const char *p)
{
	uint8_t buf[PACKET / 2];
	const int *fd = slot_take(g, &p);
	uint64_t len = *p == ',' ? (p++, hex_take(&p)) : 0;
	uint64_t off = *p == ',' ? (p++, hex_take(&p)) : 0;
	/* as many as fit when each is escaped */
	ssize_t n = fd && off <= INT64_MAX
			? pread(*fd, buf, min_u64(len, sizeof buf - 32), (off_t)off) : -1;
	if (n < 0) {
		failed(g, !fd ? EBADF : off > INT64_MAX ? EINVAL : errno);
		return;
	}
	reply_text(&g->out, "F%zx;", (size_t)n);
	reply_bytes(&g->out, buf, (size_t)n);
}

static void file_close(struct gdb *g, const char *p)
{
	int *fd = slot_take(g, &p);
	if (!fd) {
		failed(g, EBADF);
		return;
	}
	close(*fd);
	*fd = -1;
	reply_text(&g->out, "F0");
}

static void be32(uint8_t *to, uint64_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void be64(uint8_t *to, uint64_t v)
{
	be32(to, v >> 32);
	be32(to + 4, v);
}

/* struct stat of the protocol: GDB 13 §E.8.6 */
static void file_stat(struct gdb *g, const char *p)
{
	const int *fd = slot_take(g, &p);
	uint8_t b[64] = {0};
	struct stat st;
	if (!fd || fstat(*fd, &st) < 0) {
		failed(g, fd ? errno : EBADF);
		return;
	}
	be32(b, st.st_dev);
	be32(b + 4, st.st_ino);
	be32(b + 8, st.st_mode);
	be32(b + 12, st.st_nlink);
	be32(b + 16, st.st_uid);
	be32(b + 20, st.st_gid);
	be32(b + 24, st.st_rdev);
	be64(b + 28, (uint64_t)st.st_size);
	be64(b + 36, (uint64_t)st.st_blksize);
	be64(b + 44, (uint64_t)st.st_blocks);
	be32(b + 52, (uint64_t)st.st_atime);
	be32(b + 56, (uint64_t)st.st_mtime);
	be32(b + 60, (uint64_t)st.st_ctime);
	reply_text(&g->out, "F40;");
	reply_bytes(&g->out, b, sizeof b);
}

static void file_readlink(struct gdb *g, const char *p)
{
	char path[4096], to[4096];
	ssize_t n = path_take(&p, path, sizeof path)
			? g->t->readlink(g->user, path, to, sizeof to) : -EINVAL;
	if (n < 0) {
		failed(g, (int)n);
		return;
	}
	reply_text(&g->out, "F%zx;", (size_t)n);
	reply_bytes(&g->out, to, (size_t)n);
}

void file_do(struct gdb *g, const char *p, size_t len)
{
	static const struct {
		const char *name;
		void (*fn)(struct gdb *g, const char *p);
	} calls[] = {{"open:", file_open},   {"pread:", file_read},       {"close:", file_close},
		     {"fstat:", file_stat}, {"readlink:", file_readlink}};
	(void)len;
	if (!strncmp(p, "setfs:", 6)) {
		reply_text(&g->out, "F0"); /* there is one only */
		return;
	}
	for (size_t i = 0; i < countof(calls); i++)
		if (!strncmp(p, calls[i].name, strlen(calls[i].name)))
			calls[i].fn(g, p + strlen(calls[i].name));
}
