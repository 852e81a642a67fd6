/* SPDX-License-Identifier: Apache-2.0 */
/* Files by name, for the C runtime: stat, folders, time of files. */
#include "win/crt.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

/* struct _stat64 */
struct stat_win {
	uint32_t dev;
	uint16_t ino, mode;
	int16_t links, uid, gid;
	uint32_t rdev;
	int64_t size, atime, mtime, ctime;
};
static_assert(sizeof(struct stat_win) == 56, "_stat64");

static void stat_fill(struct stat_win *ret, const struct stat *st, const char *name)
{
	const char *dot = name ? strrchr(name, '.') : NULL;
	bool program = dot && (!strcasecmp(dot, ".exe") || !strcasecmp(dot, ".bat") ||
			       !strcasecmp(dot, ".cmd") || !strcasecmp(dot, ".com"));
	*ret = (struct stat_win){.links = 1,
				 .size = S_ISDIR(st->st_mode) ? 0 : st->st_size,
				 .atime = st->st_atime,
				 .mtime = st->st_mtime,
				 .ctime = st->st_mtime};
	ret->mode = S_ISDIR(st->st_mode)    ? 0040111
		    : S_ISCHR(st->st_mode)  ? 0020000
		    : S_ISFIFO(st->st_mode) ? 0010000
					    : 0100000;
	ret->mode |= 0444 | (st->st_mode & 0222 ? 0222 : 0) | (program ? 0111 : 0);
}

static int stat_name(const char *path, struct stat_win *ret)
{
	struct stat st;
	autofree char *host = path_linux(path);
	if (!host)
		return crt_fail(ENOENT);
	if (stat(host, &st) < 0)
		return crt_fail(errno == ENOTDIR ? ENOENT : errno);
	stat_fill(ret, &st, path);
	return 0;
}

API(int, crt__stat64, const char *path, struct stat_win *ret) { return stat_name(path, ret); }
API(int, crt__wstat64, const wide *path, struct stat_win *ret)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return p ? stat_name(p, ret) : crt_fail(ENOMEM);
}
API(int, crt__fstat64, int fd, struct stat_win *ret)
{
	struct stat st;
	struct file *f = object_get(fd_handle(fd), KIND_FILE);
	int r = f ? fstat(f->fd, &st) : -1;
	if (f)
		object_unref(&f->o);
	if (r < 0)
		return crt_fail(EBADF);
	stat_fill(ret, &st, NULL);
	return 0;
}

/* struct _stat32: the same with times and sizes of 32 bits. _stat64i32: sizes alone. */
struct stat_narrow {
	uint32_t dev;
	uint16_t ino, mode;
	int16_t links, uid, gid;
	uint32_t rdev, size, atime, mtime, ctime;
};
struct stat_mixed {
	uint32_t dev;
	uint16_t ino, mode;
	int16_t links, uid, gid;
	uint32_t rdev, size;
	int64_t atime, mtime, ctime;
};
static int mixed(int r, const struct stat_win *s, struct stat_mixed *ret)
{
	if (r == 0)
		*ret = (struct stat_mixed){s->dev,   s->ino,   s->mode, s->links,
					   0,        0,        s->rdev, (uint32_t)s->size,
					   s->atime, s->mtime, s->ctime};
	return r;
}
static int narrow(int r, const struct stat_win *s, struct stat_narrow *ret)
{
	if (r == 0)
		*ret = (struct stat_narrow){s->dev,
					    s->ino,
					    s->mode,
					    s->links,
					    0,
					    0,
					    s->rdev,
					    (uint32_t)s->size,
					    (uint32_t)s->atime,
					    (uint32_t)s->mtime,
					    (uint32_t)s->ctime};
	return r;
}
API(int, crt__stat64i32, const char *path, struct stat_mixed *ret)
{
	struct stat_win s;
	return mixed(stat_name(path, &s), &s, ret);
}
API(int, crt__fstat64i32, int fd, struct stat_mixed *ret)
{
	struct stat_win s;
	return mixed(crt__fstat64(fd, &s), &s, ret);
}
API(int, crt__wstat64i32, const wide *path, struct stat_mixed *ret)
{
	struct stat_win s;
	return mixed(crt__wstat64(path, &s), &s, ret);
}
API(int, crt__stat, const char *path, struct stat_mixed *ret) { return crt__stat64i32(path, ret); }
API(int, crt__fstat, int fd, struct stat_mixed *ret) { return crt__fstat64i32(fd, ret); }
API(int, crt__stat32, const char *path, struct stat_narrow *ret)
{
	struct stat_win s;
	return narrow(stat_name(path, &s), &s, ret);
}
API(int, crt__fstat32, int fd, struct stat_narrow *ret)
{
	struct stat_win s;
	return narrow(crt__fstat64(fd, &s), &s, ret);
}

/* ---- names ---- */

static int done_at(const char *path, int (*fn)(const char *host))
{
	autofree char *host = path_linux(path);
	if (!host)
		return crt_fail(ENOENT);
	return fn(host) < 0 ? crt_fail(errno) : 0;
}
static int make_dir(const char *host) { return mkdir(host, 0777); }
static int remove_file(const char *host)
{
	struct stat st;
	if (lstat(host, &st) == 0 && (S_ISDIR(st.st_mode) || !(st.st_mode & 0222))) {
		errno = EACCES;
		return -1;
	}
	if (lstat(host, &st) == 0 && !share_allows(&st, SHARE_DELETE)) {
		errno = EACCES;
		return -1;
	}
	return unlink(host);
}
static int check_there(const char *host) { return access(host, F_OK); }
static int check_write(const char *host)
{
	struct stat st;
	int r = stat(host, &st);
	if (r == 0 && !S_ISDIR(st.st_mode) && !(st.st_mode & 0222)) {
		errno = EACCES;
		return -1;
	}
	return r < 0 ? r : access(host, W_OK);
}

API(int, crt__mkdir, const char *path) { return done_at(path, make_dir); }
API(int, crt__rmdir, const char *path) { return done_at(path, rmdir); }
API(int, crt__unlink, const char *path) { return done_at(path, remove_file); }
API(int, crt_remove, const char *path) { return done_at(path, remove_file); }
API(int, crt__access, const char *path, int mode)
{
	return done_at(path, mode & 2 ? check_write : check_there);
}
API(int, crt__access_s, const char *path, int mode)
{
	return crt__access(path, mode) < 0 ? crt_self()->err : 0;
}
API(int, crt_rename, const char *from, const char *to)
{
	autofree char *a = path_linux(from), *b = a ? path_linux(to) : NULL;
	if (!b)
		return crt_fail(ENOENT);
	if (access(a, F_OK) == 0 && access(b, F_OK) == 0 && strcasecmp(a, b))
		return crt_fail(EEXIST);
	struct stat st;
	if (lstat(a, &st) == 0 && !share_allows(&st, SHARE_DELETE))
		return crt_fail(EACCES);
	return rename(a, b) < 0 ? crt_fail(errno) : 0;
}
API(int, crt__chmod, const char *path, int mode)
{
	struct stat st;
	autofree char *host = path_linux(path);
	if (!host || stat(host, &st) < 0)
		return crt_fail(ENOENT);
	mode_t m = mode & 0200 ? st.st_mode | 0200 : st.st_mode & ~(mode_t)0222;
	return chmod(host, m & 07777) < 0 ? crt_fail(errno) : 0;
}
API(int, crt__chdir, const char *path)
{
	uint32_t bad = path_cwd_set(path);
	last_error_set(bad);
	return bad ? crt_fail_win() : 0;
}
API(char *, crt__getcwd, char *buf, int n)
{
	size_t len = strlen(path_cwd()) + 1;
	if (!buf)
		buf = heap_alloc((size_t)n > len ? (size_t)n : len, false);
	else if ((size_t)n < len)
		return crt_fail(ERANGE), NULL;
	return buf ? memcpy(buf, path_cwd(), len) : NULL;
}
API(wide *, crt__wgetcwd, wide *buf, int n)
{
	size_t len = utf16_put(path_cwd(), strlen(path_cwd()), NULL, 0, NULL) + 1;
	if (!buf)
		buf = heap_alloc(2 * ((size_t)n > len ? (size_t)n : len), false);
	else if ((size_t)n < len)
		return crt_fail(ERANGE), NULL;
	if (buf)
		wide_give(path_cwd(), buf, (uint32_t)len);
	return buf;
}
API(char *, crt__fullpath, char *buf, const char *path, size_t n)
{
	autofree char *full = path_full(path && *path ? path : ".");
	size_t len = full ? strlen(full) + 1 : 0;
	if (!full || (buf && n < len))
		return NULL;
	if (!buf)
		buf = heap_alloc(len, false);
	return buf ? memcpy(buf, full, len) : NULL;
}
API(wide *, crt__wfullpath, wide *buf, const wide *path, size_t n)
{
	autofree char *p = path ? text_from(path, SIZE_MAX) : NULL;
	autofree char *full = path_full(p && *p ? p : ".");
	size_t len = full ? utf16_put(full, strlen(full), NULL, 0, NULL) + 1 : 0;
	if (!full || (buf && n < len))
		return NULL;
	if (!buf)
		buf = heap_alloc(2 * len, false);
	if (buf)
		wide_give(full, buf, (uint32_t)len);
	return buf;
}

/* The wide ones. */
API(int, crt__wmkdir, const wide *path)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return crt__mkdir(p);
}
API(int, crt__wrmdir, const wide *path)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return crt__rmdir(p);
}
API(int, crt__wunlink, const wide *path)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return crt__unlink(p);
}
API(int, crt__wremove, const wide *path) { return crt__wunlink(path); }
API(int, crt__waccess, const wide *path, int mode)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return crt__access(p, mode);
}
API(int, crt__wrename, const wide *from, const wide *to)
{
	autofree char *a = text_from(from, SIZE_MAX), *b = text_from(to, SIZE_MAX);
	return crt_rename(a, b);
}
API(int, crt__wchdir, const wide *path)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return crt__chdir(p);
}
API(int, crt__wchmod, const wide *path, int mode)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return crt__chmod(p, mode);
}

/* ---- _findfirst64 ---- */

WINAPI handle k32_FindFirstFileW(const wide *path, struct find_data_w *ret);
WINAPI uint32_t k32_FindNextFileW(handle h, struct find_data_w *ret);
WINAPI uint32_t k32_FindClose(handle h);
struct found_w {
	uint32_t attributes, pad;
	int64_t created, accessed, written, size;
	wide name[260];
};
struct found_a {
	uint32_t attributes, pad;
	int64_t created, accessed, written, size;
	char name[260];
};

static int64_t seconds(const uint32_t t[2])
{
	int64_t s, ns;
	filetime_to((uint64_t)t[1] << 32 | t[0], &s, &ns);
	return s;
}

static void found_fill(struct found_w *to, const struct find_data_w *d)
{
	to->attributes =
	    d->attributes == FILE_ATTRIBUTE_ARCHIVE ? FILE_ATTRIBUTE_ARCHIVE : d->attributes;
	to->created = seconds(d->created);
	to->accessed = seconds(d->accessed);
	to->written = seconds(d->written);
	to->size = (int64_t)((uint64_t)d->size_high << 32 | d->size_low);
	memcpy(to->name, d->name, sizeof to->name);
}
static void found_narrow(struct found_a *to, const struct found_w *w)
{
	memcpy(to, w, offsetof(struct found_a, name));
	memset(to->name, 0, sizeof to->name);
	utf8_put(w->name, wide_len(w->name), to->name, sizeof to->name - 1, NULL);
}

API(int64_t, crt__wfindfirst64, const wide *path, struct found_w *ret)
{
	struct find_data_w d;
	handle h = k32_FindFirstFileW(path, &d);
	if (h == HANDLE_BAD)
		return crt_fail_win();
	found_fill(ret, &d);
	return (int64_t)h;
}
API(int, crt__wfindnext64, handle h, struct found_w *ret)
{
	struct find_data_w d;
	if (!k32_FindNextFileW(h, &d))
		return crt_fail_win();
	found_fill(ret, &d);
	return 0;
}
API(int64_t, crt__findfirst64, const char *path, struct found_a *ret)
{
	struct found_w w;
	autofree wide *p = text_wide(path, SIZE_MAX);
	int64_t h = crt__wfindfirst64(p, &w);
	if (h != -1)
		found_narrow(ret, &w);
	return h;
}
API(int, crt__findnext64, handle h, struct found_a *ret)
{
	struct found_w w;
	int r = crt__wfindnext64(h, &w);
	if (r == 0)
		found_narrow(ret, &w);
	return r;
}
API(int, crt__findclose, handle h) { return k32_FindClose(h) ? 0 : crt_fail(EINVAL); }
