/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of a folder with all that is in it, for hosts where overlayfs is not to be had. */
#include "image/layer.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum { NAMES = 4096, VALUE = 65536, CHUNK = 1 << 18 };

/* Files with several names, by number: the first copy gets the other names too. */
struct seen {
	ino_t ino;
	dev_t dev;
	char *path; /* owned; below the new folder */
};

struct copy {
	int to;
	bool privileged;
	struct seen *seen;
	size_t nseen;
	char path[PLACE_PATH]; /* of the folder that is copied */
	size_t len;
	uint8_t *buf; /* owned */
};

static int copy_bytes(struct copy *c, int in, int out, struct lodge_err *e)
{
	ssize_t n;
	uint64_t off = 0;
	struct stat st;
	if (ioctl(out, FICLONE, in) == 0)
		return 0;
	while ((n = copy_file_range(in, NULL, out, NULL, CHUNK << 6, 0)) > 0)
		off += (uint64_t)n;
	while ((n = pread(in, c->buf, CHUNK, (off_t)off)) > 0) {
		if (!host_pwrite(out, c->buf, (size_t)n, off))
			return err_sys(e, "copying %s", c->path);
		off += (uint64_t)n;
	}
	if (n < 0 || fstat(in, &st) < 0 || ftruncate(out, st.st_size) < 0)
		return err_sys(e, "copying %s", c->path);
	return 0;
}

/* By path of the descriptor: it may be one of O_PATH. */
static int copy_xattrs(struct copy *c, int from, const char *name, int to)
{
	char list[NAMES], src[PLACE_PATH + 64], dst[PLACE_PATH + 64];
	snprintf(src, sizeof src, "/proc/self/fd/%d/%s", from, name);
	snprintf(dst, sizeof dst, "/proc/self/fd/%d/%s", to, name);
	ssize_t n = llistxattr(src, list, sizeof list);
	for (const char *p = list; n > 0 && p < list + n; p += strlen(p) + 1) {
		ssize_t len = lgetxattr(src, p, c->buf, VALUE);
		if (len >= 0 && strncmp(p, "trusted.overlay.", 16) &&
		    strncmp(p, "user.overlay.", 13))
			(void)!lsetxattr(dst, p, c->buf, (size_t)len, 0);
	}
	return 0;
}

static int copy_attributes(struct copy *c, int from, const char *name, int to,
			   const struct stat *st, struct lodge_err *e)
{
	struct timespec t[2] = {st->st_atim, st->st_mtim};
	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && c->privileged)
		return err_sys(e, "owner of %s/%s", c->path, name);
	copy_xattrs(c, from, name, to);
	if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return err_sys(e, "mode of %s/%s", c->path, name);
	if (utimensat(to, name, t, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "time of %s/%s", c->path, name);
	return 0;
}

/* 1: it is another name of what is copied already. */
static int copy_name(struct copy *c, const char *name, int to, const struct stat *st)
{
	if (st->st_nlink < 2)
		return 0;
	for (size_t i = 0; i < c->nseen; i++)
		if (c->seen[i].ino == st->st_ino && c->seen[i].dev == st->st_dev)
			return linkat(c->to, c->seen[i].path, to, name, 0) == 0;
	struct seen *more = realloc(c->seen, (c->nseen + 1) * sizeof *more);
	char *path = NULL;
	if (more)
		c->seen = more;
	if (more && asprintf(&path, "%s%s%s", c->path, c->len ? "/" : "", name) >= 0)
		c->seen[c->nseen++] = (struct seen){st->st_ino, st->st_dev, path};
	return 0;
}

static int copy_folder(struct copy *c, int from, int to, struct lodge_err *e);

static int copy_one(struct copy *c, int from, const char *name, int to, const struct stat *st,
		    struct lodge_err *e)
{
	char link[PLACE_PATH];
	int r = 0;
	if (S_ISDIR(st->st_mode)) {
		if (mkdirat(to, name, 0700) < 0)
			return err_sys(e, "copying %s/%s", c->path, name);
		autoclose int in =
		    openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		autoclose int out =
		    openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		size_t len = c->len, n = strlen(name);
		if (in < 0 || out < 0 || len + n + 2 > sizeof c->path)
			return err_sys(e, "copying %s/%s", c->path, name);
		c->len += (size_t)sprintf(c->path + len, "%s%s", len ? "/" : "", name);
		r = copy_folder(c, in, out, e);
		c->path[c->len = len] = 0;
	} else if (S_ISREG(st->st_mode)) {
		autoclose int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		autoclose int out =
		    openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		r = in < 0 || out < 0 ? err_sys(e, "copying %s/%s", c->path, name)
				      : copy_bytes(c, in, out, e);
	} else if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(from, name, link, sizeof link - 1);
		link[n > 0 ? n : 0] = 0;
		r = n < 0 || symlinkat(link, to, name) < 0
			? err_sys(e, "copying %s/%s", c->path, name)
			: 0;
	} else if (mknodat(to, name, st->st_mode, st->st_rdev) < 0) {
		if (errno == EPERM && !c->privileged)
			return 0;
		r = err_sys(e, "copying %s/%s", c->path, name);
	}
	return r;
}

static int copy_folder(struct copy *c, int from, int to, struct lodge_err *e)
{
	int r = 0, dup = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dup < 0 ? NULL : fdopendir(dup);
	if (!d)
		return err_sys(e, "copying %s", c->path);
	for (struct dirent *de; r == 0 && (de = readdir(d));) {
		struct stat st;
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (fstatat(from, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = err_sys(e, "copying %s/%s", c->path, de->d_name);
		else if (!S_ISDIR(st.st_mode) && copy_name(c, de->d_name, to, &st))
			continue;
		else
			r = copy_one(c, from, de->d_name, to, &st, e);
		if (r == 0 && faccessat(to, de->d_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			r = copy_attributes(c, from, de->d_name, to, &st, e);
	}
	closedir(d);
	return r;
}

int tree_copy(int from, int to, bool privileged, struct lodge_err *e)
{
	struct copy c = {.to = to, .privileged = privileged, .buf = malloc(CHUNK)};
	struct stat st;
	int r = c.buf ? copy_folder(&c, from, to, e) : err_set(e, ENOMEM, "out of memory");
	if (r == 0 && fstat(from, &st) == 0)
		r = copy_attributes(&c, from, ".", to, &st, e);
	for (size_t i = 0; i < c.nseen; i++)
		free(c.seen[i].path);
	free(c.seen);
	free(c.buf);
	return r;
}
