/* SPDX-License-Identifier: Apache-2.0 */
/* Folders and what files are: attributes, times, names in folders, links, moves. */
#include "win/listing.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* ---- times: 100 ns since 1601 ---- */

static const int64_t EPOCH_S = INT64_C(11644473600);
uint64_t filetime_of(int64_t s, int64_t ns)
{
	return (uint64_t)((s + EPOCH_S) * 10000000 + ns / 100);
}
void filetime_to(uint64_t t, int64_t *s, int64_t *ns)
{
	*s = (int64_t)(t / 10000000) - EPOCH_S;
	*ns = (int64_t)(t % 10000000) * 100;
}
uint64_t filetime_ts(const struct timespec *t) { return filetime_of(t->tv_sec, t->tv_nsec); }

/* ---- what a file is ---- */

uint32_t file_attributes(const struct stat *st)
{
	uint32_t a = S_ISDIR(st->st_mode) ? FILE_ATTRIBUTE_DIRECTORY : FILE_ATTRIBUTE_ARCHIVE;
	if (S_ISLNK(st->st_mode))
		a = FILE_ATTRIBUTE_REPARSE_POINT;
	else if (!(st->st_mode & 0222))
		a |= FILE_ATTRIBUTE_READONLY;
	return a;
}

struct find_data_a {
	uint32_t attributes;
	uint32_t created[2], accessed[2], written[2];
	uint32_t size_high, size_low, tag, reserved;
	char name[260], short_name[14];
	uint16_t pad;
};
static_assert(sizeof(struct find_data_w) == 592 && sizeof(struct find_data_a) == 320,
	      "WIN32_FIND_DATA");

static void time_put(uint32_t at[2], const struct timespec *t)
{
	uint64_t v = filetime_ts(t);
	at[0] = (uint32_t)v;
	at[1] = (uint32_t)(v >> 32);
}

static int stat_path(const char *host, struct stat *st)
{
	host = path_near(host);
	return lstat(host, st) < 0    ? -1
	       : S_ISLNK(st->st_mode) ? (stat(host, st) < 0 ? lstat(host, st) : 0)
				      : 0;
}

struct attribute_data {
	uint32_t attributes, created[2], accessed[2], written[2], size_high, size_low;
};

static uint32_t attributes_get(const char *path, struct attribute_data *ret)
{
	struct stat st;
	autofree char *host = path_look(path, &st);
	if (!host)
		return 0;
	if (S_ISLNK(st.st_mode) && stat_path(host, &st) < 0)
		return fail_errno();
	*ret = (struct attribute_data){.attributes = file_attributes(&st)};
	time_put(ret->created, &st.st_mtim);
	time_put(ret->accessed, &st.st_atim);
	time_put(ret->written, &st.st_mtim);
	if (!S_ISDIR(st.st_mode)) {
		ret->size_high = (uint32_t)((uint64_t)st.st_size >> 32);
		ret->size_low = (uint32_t)st.st_size;
	}
	return 1;
}

API(uint32_t, k32_GetFileAttributesExA, const char *path, uint32_t level,
    struct attribute_data *ret)
{
	(void)level;
	return attributes_get(path, ret);
}

API(uint32_t, k32_GetFileAttributesExW, const wide *path, uint32_t level,
    struct attribute_data *ret)
{
	(void)level;
	autofree char *p = text_from(path, SIZE_MAX);
	return p ? attributes_get(p, ret) : 0;
}

API(uint32_t, k32_GetFileAttributesW, const wide *path)
{
	struct attribute_data d;
	return k32_GetFileAttributesExW(path, 0, &d) ? d.attributes : INVALID_FILE_ATTRIBUTES;
}

API(uint32_t, k32_GetFileAttributesA, const char *path)
{
	struct attribute_data d;
	return k32_GetFileAttributesExA(path, 0, &d) ? d.attributes : INVALID_FILE_ATTRIBUTES;
}

static uint32_t attributes_put(const char *host, const struct stat *st, uint32_t a)
{
	mode_t mode =
	    a & FILE_ATTRIBUTE_READONLY ? st->st_mode & ~(mode_t)0222 : st->st_mode | S_IWUSR;
	if (mode == st->st_mode || S_ISDIR(st->st_mode))
		return 1;
	return chmod(host, mode & 07777) < 0 ? fail_errno() : 1;
}

uint32_t attributes_set(const char *host, uint32_t a)
{
	struct stat st;
	return stat(host, &st) < 0 ? fail_errno() : attributes_put(host, &st, a);
}

API(uint32_t, k32_SetFileAttributesA, const char *path, uint32_t a)
{
	struct stat st;
	enum path_state s;
	autofree char *host = path_asked(path, &st, &s);
	if (!host)
		return 0;
	return s == PATH_THERE && !S_ISLNK(st.st_mode) ? attributes_put(host, &st, a)
						       : attributes_set(host, a);
}

API(uint32_t, k32_SetFileAttributesW, const wide *path, uint32_t a)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return p ? k32_SetFileAttributesA(p, a) : 0;
}

struct handle_information {
	uint32_t attributes, created[2], accessed[2], written[2], volume, size_high, size_low,
	    links, index_high, index_low;
};

API(uint32_t, k32_GetFileInformationByHandle, handle h, struct handle_information *ret)
{
	struct stat st;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t ok = fd_stat(f->fd, &st) < 0 ? fail_errno() : 1;
	if (ok && (f->pipe || S_ISCHR(st.st_mode)))
		ok = fail(ERROR_INVALID_FUNCTION);
	object_unref(&f->o);
	if (!ok)
		return 0;
	*ret = (struct handle_information){.attributes = file_attributes(&st),
					   .volume = (uint32_t)st.st_dev,
					   .links = (uint32_t)st.st_nlink,
					   .size_high = (uint32_t)((uint64_t)st.st_size >> 32),
					   .size_low = (uint32_t)st.st_size,
					   .index_high = (uint32_t)(st.st_ino >> 32),
					   .index_low = (uint32_t)st.st_ino};
	time_put(ret->created, &st.st_mtim);
	time_put(ret->accessed, &st.st_atim);
	time_put(ret->written, &st.st_mtim);
	return 1;
}

API(uint32_t, k32_GetFileTime, handle h, uint64_t *created, uint64_t *accessed, uint64_t *written)
{
	struct stat st;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t ok = fd_stat(f->fd, &st) < 0 ? fail_errno() : 1;
	object_unref(&f->o);
	if (ok && created)
		*created = filetime_ts(&st.st_mtim);
	if (ok && accessed)
		*accessed = filetime_ts(&st.st_atim);
	if (ok && written)
		*written = filetime_ts(&st.st_mtim);
	return ok;
}

struct timespec filetime_timespec(const uint64_t *t)
{
	struct timespec ts = {.tv_nsec = UTIME_OMIT};
	if (t && *t && *t != UINT64_MAX) {
		int64_t s, ns;
		filetime_to(*t, &s, &ns);
		ts = (struct timespec){.tv_sec = s, .tv_nsec = ns};
	}
	return ts;
}

API(uint32_t, k32_SetFileTime, handle h, const uint64_t *created, const uint64_t *accessed,
    const uint64_t *written)
{
	(void)created; /* Linux keeps none */
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	const struct timespec ts[2] = {filetime_timespec(accessed), filetime_timespec(written)};
	uint32_t ok = futimens(f->fd, ts) < 0 ? fail_errno() : 1;
	object_unref(&f->o);
	return ok;
}

/* ---- by class: GetFileInformationByHandleEx, SetFileInformationByHandle ---- */

enum {
	INFO_BASIC = 0,
	INFO_STANDARD = 1,
	INFO_NAME = 2,
	INFO_RENAME = 3,
	INFO_DISPOSITION = 4,
	INFO_ALLOCATION = 5,
	INFO_END_OF_FILE = 6,
	INFO_ATTRIBUTE_TAG = 9,
	INFO_ID_BOTH = 10,
	INFO_ID_BOTH_AGAIN = 11,
	INFO_FULL = 14,
	INFO_FULL_AGAIN = 15,
	INFO_ID = 18,
	INFO_DISPOSITION_EX = 21,
	INFO_RENAME_EX = 22,
	INFO_REMOTE = 13
};

static uint32_t info_basic(const struct stat *st, uint64_t *out, uint32_t n)
{
	if (n < 40)
		return fail(ERROR_BAD_LENGTH);
	out[0] = filetime_ts(&st->st_mtim);
	out[1] = filetime_ts(&st->st_atim);
	out[2] = filetime_ts(&st->st_mtim);
	out[3] = filetime_ts(&st->st_ctim);
	out[4] = file_attributes(st);
	return 1;
}

static uint32_t info_standard(const struct stat *st, uint8_t *out, uint32_t n)
{
	if (n < 24)
		return fail(ERROR_BAD_LENGTH);
	memset(out, 0, 24);
	le64_put(out, (uint64_t)st->st_blocks * 512);
	le64_put(out + 8, (uint64_t)st->st_size);
	le32_put(out + 16, (uint32_t)st->st_nlink);
	out[21] = S_ISDIR(st->st_mode);
	return 1;
}

static uint32_t info_name(const struct file *f, uint8_t *out, uint32_t n)
{
	autofree char *g = f->path ? path_guest(f->path) : NULL;
	const char *name = g ? g + 2 : "";
	size_t len = utf16_put(name, strlen(name), NULL, 0, NULL);
	if (!g)
		return fail(ERROR_INVALID_FUNCTION);
	if (n < 4 + 2 * len)
		return fail(ERROR_MORE_DATA);
	le32_put(out, (uint32_t)(2 * len));
	utf16_put(name, strlen(name), (wide *)(void *)(out + 4), len, NULL);
	return 1;
}

API(uint32_t, k32_GetFileInformationByHandleEx, handle h, uint32_t class, void *out, uint32_t n)
{
	struct stat st;
	uint8_t *o = out;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t ok = fd_stat(f->fd, &st) < 0 ? fail_errno() : 1;
	if (ok && (f->pipe || S_ISCHR(st.st_mode)))
		ok = fail(ERROR_INVALID_FUNCTION);
	else if (ok && class == INFO_BASIC)
		ok = info_basic(&st, out, n);
	else if (ok && class == INFO_STANDARD)
		ok = info_standard(&st, out, n);
	else if (ok && class == INFO_NAME)
		ok = info_name(f, out, n);
	else if (ok && class == INFO_ATTRIBUTE_TAG && n >= 8)
		le32_put(o, file_attributes(&st)), le32_put(o + 4, 0);
	else if (ok && class == INFO_ID && n >= 24)
		memset(o, 0, 24), le64_put(o, st.st_dev), le64_put(o + 8, st.st_ino);
	else if (ok && (class == INFO_ID_BOTH || class == INFO_ID_BOTH_AGAIN))
		ok = entries_give(f, out, n, class == INFO_ID_BOTH_AGAIN, LIST_ID_BOTH);
	else if (ok && (class == INFO_FULL || class == INFO_FULL_AGAIN))
		ok = entries_give(f, out, n, class == INFO_FULL_AGAIN, LIST_FULL);
	else if (ok)
		ok = fail(ERROR_INVALID_PARAMETER);
	object_unref(&f->o);
	return ok;
}

uint32_t file_rename(struct file *f, const uint8_t *in)
{
	uint32_t len = le32_at(in + 16);
	autofree char *to = text_from((const wide *)(const void *)(in + 20), len / 2);
	autofree char *host = to ? path_linux(to) : NULL;
	if (!host || !f->path)
		return fail(ERROR_PATH_NOT_FOUND);
	if (!(in[0] & 1) && access(host, F_OK) == 0)
		return fail(ERROR_ALREADY_EXISTS);
	if (rename(f->path, host) < 0)
		return fail_errno();
	free(f->path);
	f->path = take(host);
	return 1;
}

API(uint32_t, k32_SetFileInformationByHandle, handle h, uint32_t class, const void *in, uint32_t n)
{
	struct file *f = object_get(h, KIND_FILE);
	const uint64_t *q = in;
	if (!f)
		return 0;
	uint32_t ok = 1;
	if (class == INFO_BASIC && n >= 36) {
		const struct timespec ts[2] = {filetime_timespec(&q[1]), filetime_timespec(&q[2])};
		ok = futimens(f->fd, ts) < 0 ? fail_errno() : 1;
		if (ok && le32_at(&q[4]) && f->path)
			ok = attributes_set(f->path, le32_at(&q[4]));
	} else if ((class == INFO_RENAME || class == INFO_RENAME_EX) && n >= 20) {
		ok = file_rename(f, in);
	} else if (class == INFO_DISPOSITION && n >= 1) {
		f->delete_on_close = *(const uint8_t *)in;
	} else if (class == INFO_DISPOSITION_EX && n >= 4) {
		f->delete_on_close = le32_at(in) & 1;
		if (le32_at(in) & 2 && f->delete_on_close && f->path) { /* POSIX semantics: now */
			ok = file_remove(f) < 0 ? fail_errno() : 1;
			f->delete_on_close = false;
		}
	} else if (class == INFO_END_OF_FILE && n >= 8) {
		ok = ftruncate(f->fd, (off_t)q[0]) < 0 ? fail_errno() : 1;
	} else if (class != INFO_ALLOCATION) {
		ok = fail(ERROR_INVALID_PARAMETER);
	}
	object_unref(&f->o);
	return ok;
}

API(uint32_t, k32_GetFinalPathNameByHandleW, handle h, wide *buf, uint32_t n, uint32_t flags)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	autofree char *real = f->path ? realpath(f->path, NULL) : NULL;
	autofree char *g = real ? path_guest(real) : f->path ? path_guest(f->path) : NULL;
	autofree char *with = NULL;
	uint32_t len = 0;
	object_unref(&f->o);
	if (!g)
		return fail(ERROR_INVALID_FUNCTION);
	if (flags & 4) /* VOLUME_NAME_NONE */
		len = wide_give(g + 2, buf, n);
	else if (flags & 2 && asprintf(&with, PATH_VOLUME "%s", path_volume(g[0]), g + 2) >= 0)
		len = wide_give(with, buf, n); /* VOLUME_NAME_NT */
	else if (asprintf(&with, "\\\\?\\%s", g) >= 0)
		len = wide_give(with, buf, n);
	return len;
}

/* ---- names in folders ---- */

struct find {
	struct object o;
	DIR *d;
	char *folder, *pattern;
	bool only; /* the pattern was a name, which has been told */
};

static void find_fini(struct object *o)
{
	struct find *f = (struct find *)(void *)o;
	if (f->d)
		closedir(f->d);
	free(f->folder);
	free(f->pattern);
}

/* *, ? and their like of DOS, without regard to case. */
static bool matches(const char *p, const char *s)
{
	for (; *p; p++, s++) {
		if (*p == '*' || *p == '<') {
			while (p[1] == '*')
				p++;
			for (; *s; s++)
				if (matches(p + 1, s))
					return true;
			return matches(p + 1, s);
		}
		if (*p == '?' || *p == '>') {
			if (!*s)
				return matches(p + 1, s);
			while ((s[1] & 0xc0) == 0x80)
				s++;
			continue;
		}
		if (*p == '.' && !*s && !p[1])
			return true;
		if (*p == '"' && *s == '.')
			continue;
		if (wide_lower((uint8_t)*p) != wide_lower((uint8_t)*s))
			return false;
	}
	return !*s;
}

bool name_matches(const char *pattern, const char *name)
{
	if (!strcmp(pattern, "*") || !strcmp(pattern, "*.*"))
		return true;
	return matches(pattern, name);
}

/* The entry @name, which is @st. */
static bool find_tell(const struct stat *st, const char *name, struct find_data_w *ret)
{
	size_t len = utf16_put(name, strlen(name), NULL, 0, NULL);
	if (len >= countof(ret->name))
		return false;
	memset(ret, 0, sizeof *ret);
	ret->attributes = file_attributes(st);
	time_put(ret->created, &st->st_mtim);
	time_put(ret->accessed, &st->st_atim);
	time_put(ret->written, &st->st_mtim);
	if (!S_ISDIR(st->st_mode)) {
		ret->size_high = (uint32_t)((uint64_t)st->st_size >> 32);
		ret->size_low = (uint32_t)st->st_size;
	}
	utf16_put(name, strlen(name), ret->name, len, NULL);
	return true;
}

static bool find_fill(const struct find *f, const char *name, struct find_data_w *ret)
{
	struct stat st;
	int dir = dirfd(f->d);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (S_ISLNK(st.st_mode) && fstatat(dir, name, &st, 0) < 0 &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return find_tell(&st, name, ret);
}

static bool find_next(struct find *f, struct find_data_w *ret)
{
	const struct dirent *e;
	while (!f->only && (e = readdir(f->d)))
		if (name_matches(f->pattern, e->d_name) && find_fill(f, e->d_name, ret))
			return true;
	last_error_set(ERROR_NO_MORE_FILES);
	return false;
}

/* The last part of @path, which is looked for in what is before. */
static const char *find_pattern(const char *path)
{
	const char *slash = strrchr(path, '\\'), *other = strrchr(path, '/');
	slash = other > slash ? other : slash;
	if (!slash && path[0] && path[1] == ':')
		slash = path + 1;
	return slash ? slash + 1 : path;
}

static struct find *find_open(const char *path)
{
	const char *pattern = find_pattern(path);
	autofree char *folder =
	    pattern > path ? strndup(path, (size_t)(pattern - path)) : strdup(".");
	autofree char *host = folder ? path_linux(folder) : NULL;
	struct find *f = host ? object_new(KIND_FIND, sizeof *f) : NULL;
	if (!f)
		return NULL;
	f->o.fini = find_fini;
	f->pattern = strdup(pattern);
	f->folder = take(host);
	f->d = opendir(f->folder);
	if (!f->d || !f->pattern || !*pattern) {
		last_error_set(!f->d && errno == ENOENT    ? ERROR_PATH_NOT_FOUND
			       : !f->d && errno == ENOTDIR ? ERROR_DIRECTORY
			       : !f->d                     ? error_of(errno)
							   : ERROR_FILE_NOT_FOUND);
		object_unref(&f->o);
		return NULL;
	}
	return f;
}

/* One name: no folder is read for it. False: that is not all there is to say. */
static bool find_named(const char *path, struct find_data_w *ret, handle *ret_h)
{
	struct stat st;
	const char *name = find_pattern(path);
	size_t n = strlen(name);
	if (!n || strchr(". ", name[n - 1]) || strpbrk(name, "*?<>\""))
		return false;
	*ret_h = HANDLE_BAD;
	autofree char *host = path_look(path, &st);
	if (!host)
		return last_error() == ERROR_FILE_NOT_FOUND;
	if (S_ISLNK(st.st_mode) && stat(host, &st) < 0 && lstat(host, &st) < 0)
		return false;
	struct find *f =
	    find_tell(&st, strrchr(host, '/') + 1, ret) ? object_new(KIND_FIND, sizeof *f) : NULL;
	if (!f)
		return false;
	f->o.fini = find_fini;
	f->only = true; /* there is one, and no other */
	handle h = object_handle(&f->o, false);
	*ret_h = h ? h : HANDLE_BAD;
	return true;
}

static handle find_first(const char *path, struct find_data_w *ret)
{
	handle h;
	if (*path && find_named(path, ret, &h))
		return h;
	struct find *f = *path ? find_open(path) : NULL;
	if (!*path)
		last_error_set(ERROR_PATH_NOT_FOUND);
	if (!f)
		return HANDLE_BAD;
	bool any = strpbrk(f->pattern, "*?<>\"") != NULL;
	if (any ? !find_next(f, ret) : !find_fill(f, f->pattern, ret) && !find_next(f, ret)) {
		object_unref(&f->o);
		last_error_set(ERROR_FILE_NOT_FOUND);
		return HANDLE_BAD;
	}
	f->only = !any;
	h = object_handle(&f->o, false);
	return h ? h : HANDLE_BAD;
}

API(handle, k32_FindFirstFileW, const wide *path, struct find_data_w *ret)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return p ? find_first(p, ret) : HANDLE_BAD;
}

API(handle, k32_FindFirstFileExW, const wide *path, uint32_t level, struct find_data_w *ret,
    uint32_t op, void *filter, uint32_t flags)
{
	(void)level;
	(void)op;
	(void)filter;
	(void)flags;
	return k32_FindFirstFileW(path, ret);
}

static void find_narrow(const struct find_data_w *w, struct find_data_a *a)
{
	memset(a, 0, sizeof *a);
	memcpy(a, w, offsetof(struct find_data_w, name));
	utf8_put(w->name, wide_len(w->name), a->name, sizeof a->name - 1, NULL);
}

API(handle, k32_FindFirstFileA, const char *path, struct find_data_a *ret)
{
	struct find_data_w w;
	handle h = find_first(path, &w);
	if (h != HANDLE_BAD)
		find_narrow(&w, ret);
	return h;
}

API(handle, k32_FindFirstFileExA, const char *path, uint32_t level, struct find_data_a *ret,
    uint32_t op, void *filter, uint32_t flags)
{
	(void)level;
	(void)op;
	(void)filter;
	(void)flags;
	return k32_FindFirstFileA(path, ret);
}

API(uint32_t, k32_FindNextFileW, handle h, struct find_data_w *ret)
{
	struct find *f = object_get(h, KIND_FIND);
	if (!f)
		return 0;
	bool ok = find_next(f, ret);
	object_unref(&f->o);
	return ok;
}

API(uint32_t, k32_FindNextFileA, handle h, struct find_data_a *ret)
{
	struct find_data_w w;
	if (!k32_FindNextFileW(h, &w))
		return 0;
	find_narrow(&w, ret);
	return 1;
}

API(uint32_t, k32_FindClose, handle h)
{
	struct find *f = object_get(h, KIND_FIND);
	if (!f)
		return 0;
	object_unref(&f->o);
	return object_close(h);
}

/* ---- making, moving, removing ---- */

static uint32_t done(int r) { return r < 0 ? fail_errno() : 1; }

API(uint32_t, k32_CreateDirectoryW, const wide *path, void *sec)
{
	(void)sec;
	struct stat st;
	enum path_state s = PATH_UNKNOWN;
	autofree char *name = text_from(path, SIZE_MAX);
	autofree char *host = name ? path_asked(name, &st, &s) : NULL;
	if (!host)
		return 0;
	if (!path_valid(name))
		return fail(ERROR_INVALID_NAME);
	if (s == PATH_THERE) /* as most that programs make for each file again */
		return fail(ERROR_ALREADY_EXISTS);
	if (mkdir(path_near(host), 0777) == 0)
		return 1;
	return fail(errno == ENOENT ? ERROR_PATH_NOT_FOUND : error_of(errno));
}

API(uint32_t, k32_CreateDirectoryA, const char *path, void *sec)
{
	autofree wide *w = text_wide(path, SIZE_MAX);
	return w ? k32_CreateDirectoryW(w, sec) : 0;
}

API(uint32_t, k32_RemoveDirectoryW, const wide *path)
{
	autofree char *host = path_linux_w(path);
	if (!host)
		return 0;
	int r = rmdir(host);
	if (r < 0)
		return errno == ENOTDIR ? fail(ERROR_DIRECTORY) : fail_path(host);
	return 1;
}

API(uint32_t, k32_RemoveDirectoryA, const char *path)
{
	autofree wide *w = text_wide(path, SIZE_MAX);
	return w ? k32_RemoveDirectoryW(w) : 0;
}

API(uint32_t, k32_DeleteFileW, const wide *path)
{
	struct stat st;
	autofree char *name = text_from(path, SIZE_MAX), *host = name ? path_look(name, &st) : NULL;
	if (!host)
		return 0;
	if (!S_ISLNK(st.st_mode) && !(st.st_mode & 0222))
		return fail(ERROR_ACCESS_DENIED);
	if (S_ISDIR(st.st_mode))
		return fail(ERROR_ACCESS_DENIED);
	if (!share_allows(&st, SHARE_DELETE))
		return fail(ERROR_SHARING_VIOLATION);
	return done(unlink(path_near(host)));
}

API(uint32_t, k32_DeleteFileA, const char *path)
{
	autofree wide *w = text_wide(path, SIZE_MAX);
	return w ? k32_DeleteFileW(w) : 0;
}

/* All of @from into the file @to. */
static uint32_t file_copy(const char *from, const char *to, bool new_only)
{
	struct stat st;
	autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0 || fstat(in, &st) < 0)
		return fail_errno();
	if (S_ISDIR(st.st_mode))
		return fail(ERROR_ACCESS_DENIED);
	autoclose int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC | (new_only ? O_EXCL : O_TRUNC),
				 st.st_mode & 0777);
	if (out < 0)
		return errno == EEXIST ? fail(ERROR_FILE_EXISTS) : fail_errno();
	for (;;) {
		char buf[65536];
		ssize_t n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0);
		if (n < 0) {
			n = read(in, buf, sizeof buf);
			if (n > 0 && write(out, buf, (size_t)n) != n)
				return fail_errno();
		}
		if (n < 0)
			return fail_errno();
		if (n == 0)
			break;
	}
	const struct timespec ts[2] = {st.st_atim, st.st_mtim};
	return done(futimens(out, ts));
}

API(uint32_t, k32_CopyFileW, const wide *from, const wide *to, uint32_t new_only)
{
	autofree char *a = path_linux_w(from), *b = a ? path_linux_w(to) : NULL;
	return b ? file_copy(a, b, new_only != 0) : 0;
}

API(uint32_t, k32_CopyFileExW, const wide *from, const wide *to, uint64_t fn, void *data,
    uint32_t *cancel, uint32_t flags)
{
	(void)fn;
	(void)data;
	(void)cancel;
	return k32_CopyFileW(from, to, flags & 1);
}

API(uint32_t, k32_CopyFileA, const char *from, const char *to, uint32_t new_only)
{
	autofree char *a = path_linux(from), *b = a ? path_linux(to) : NULL;
	return b ? file_copy(a, b, new_only != 0) : 0;
}

enum { MOVE_REPLACE = 1, MOVE_COPY = 2 };

static uint32_t file_move(const char *from, const char *to, uint32_t flags)
{
	struct stat a, b;
	if (lstat(from, &a) < 0)
		return fail_path(from);
	if (!share_allows(&a, SHARE_DELETE))
		return fail(ERROR_SHARING_VIOLATION);
	if (lstat(to, &b) == 0 && !(a.st_dev == b.st_dev && a.st_ino == b.st_ino)) {
		if (!(flags & MOVE_REPLACE))
			return fail(ERROR_ALREADY_EXISTS);
		if (S_ISDIR(b.st_mode) || !share_allows(&b, SHARE_DELETE))
			return fail(ERROR_ACCESS_DENIED);
	}
	if (rename(from, to) == 0)
		return 1;
	if (errno != EXDEV || !(flags & MOVE_COPY))
		return fail_errno();
	return file_copy(from, to, false) && done(unlink(from));
}

/* @b, which was found without regard to case; as @to has it if it is the same file as @a. */
static void renamed(const char *a, char *b, const char *to)
{
	const char *name = to + strlen(to);
	while (name > to && name[-1] != '\\' && name[-1] != '/' && name[-1] != ':')
		name--;
	char *last = strrchr(b, '/');
	if (!strcmp(a, b) && last && !strcasecmp(last + 1, name))
		memcpy(last + 1, name, strlen(name));
}

API(uint32_t, k32_MoveFileExA, const char *from, const char *to, uint32_t flags)
{
	autofree char *a = path_linux(from), *b = a && to ? path_linux(to) : NULL;
	if (!b)
		return 0;
	renamed(a, b, to);
	return file_move(a, b, flags);
}
API(uint32_t, k32_MoveFileExW, const wide *from, const wide *to, uint32_t flags)
{
	autofree char *a = text_from(from, SIZE_MAX), *b = to ? text_from(to, SIZE_MAX) : NULL;
	return a ? k32_MoveFileExA(a, b, flags) : 0;
}
API(uint32_t, k32_MoveFileW, const wide *from, const wide *to)
{
	return k32_MoveFileExW(from, to, MOVE_COPY);
}
API(uint32_t, k32_MoveFileA, const char *from, const char *to)
{
	return k32_MoveFileExA(from, to, MOVE_COPY);
}

API(uint32_t, k32_CreateHardLinkW, const wide *made, const wide *of, void *sec)
{
	(void)sec;
	autofree char *a = path_linux_w(of), *b = a ? path_linux_w(made) : NULL;
	int r = b ? link(a, b) : -1;
	/* DEVIATES: what was given to the guest lies on its drive, but not on the host */
	if (b && r < 0 && errno == EXDEV && a[0] == '/' && a[1] == b[1])
		r = symlink(a, b);
	return b ? done(r) : 0;
}

API(uint8_t, k32_CreateSymbolicLinkW, const wide *made, const wide *to, uint32_t flags)
{
	(void)flags;
	autofree char *b = path_linux_w(made), *target = text_from(to, SIZE_MAX);
	if (!b || !target)
		return 0;
	autofree char *absolute = strchr(target, ':') ? path_linux(target) : NULL;
	for (char *p = target; *p; p++)
		if (*p == '\\')
			*p = '/';
	return (uint8_t)done(symlink(absolute ? absolute : target, b));
}

API(uint32_t, k32_GetTempFileNameW, const wide *folder, const wide *prefix, uint32_t unique,
    wide *ret)
{
	autofree char *dir = text_from(folder, SIZE_MAX), *pre = text_from(prefix, SIZE_MAX);
	for (int tries = 0; dir && pre && tries < 1000; tries++) {
		uint16_t n = (uint16_t)unique;
		autofree char *path = NULL;
		if (!n)
			host_random(&n, sizeof n);
		if (asprintf(&path, "%s%s%.3s%X.tmp", dir,
			     dir[0] && dir[strlen(dir) - 1] == '\\' ? "" : "\\", pre, n) < 0)
			break;
		autofree char *host = path_linux(path);
		if (!host)
			return 0;
		int fd = unique ? -2 : open(host, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
		if (fd == -1 && errno != EEXIST)
			return fail(errno == ENOENT ? ERROR_DIRECTORY : error_of(errno));
		if (fd == -1)
			continue;
		if (fd >= 0)
			close(fd);
		wide_give(path, ret, 260);
		return n;
	}
	return fail(ERROR_FILE_EXISTS);
}

static uint32_t disk_free(const char *path, uint64_t *mine, uint64_t *all, uint64_t *unused)
{
	struct statvfs v;
	autofree char *host = path_linux(path ? path : ".");
	if (!host)
		return 0;
	if (statvfs(host, &v) < 0)
		return fail_errno();
	if (mine)
		*mine = (uint64_t)v.f_bavail * v.f_frsize;
	if (all)
		*all = (uint64_t)v.f_blocks * v.f_frsize;
	if (unused)
		*unused = (uint64_t)v.f_bfree * v.f_frsize;
	return 1;
}

API(uint32_t, k32_GetDiskFreeSpaceExW, const wide *path, uint64_t *mine, uint64_t *all,
    uint64_t *un)
{
	autofree char *p = path ? text_from(path, SIZE_MAX) : NULL;
	return disk_free(p, mine, all, un);
}

API(uint32_t, k32_GetDiskFreeSpaceW, const wide *path, uint32_t *per_cluster, uint32_t *sector,
    uint32_t *un, uint32_t *all)
{
	uint64_t a, u;
	if (!k32_GetDiskFreeSpaceExW(path, NULL, &a, &u))
		return 0;
	*per_cluster = 8;
	*sector = 512;
	*all = (uint32_t)min_u64(a / 4096, UINT32_MAX);
	*un = (uint32_t)min_u64(u / 4096, UINT32_MAX);
	return 1;
}

enum {
	FILE_CASE_PRESERVED_NAMES = 2,
	FILE_UNICODE_ON_DISK = 4,
	FILE_PERSISTENT_ACLS = 8,
	FILE_SUPPORTS_REPARSE_POINTS = 0x80,
	FILE_SUPPORTS_HARD_LINKS = 0x400000
};
API(uint32_t, k32_GetVolumeInformationW, const wide *root, wide *label, uint32_t n,
    uint32_t *serial, uint32_t *longest, uint32_t *flags, wide *system, uint32_t system_n)
{
	(void)root;
	if (label && n)
		label[0] = 0;
	if (serial)
		*serial = 0x10d6e;
	if (longest)
		*longest = 255;
	if (flags)
		*flags = FILE_CASE_PRESERVED_NAMES | FILE_UNICODE_ON_DISK | FILE_PERSISTENT_ACLS |
			 FILE_SUPPORTS_REPARSE_POINTS | FILE_SUPPORTS_HARD_LINKS;
	if (system && wide_give("NTFS", system, system_n) >= system_n)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	return 1;
}

API(uint32_t, k32_GetVolumeInformationA, const char *root, char *label, uint32_t n,
    uint32_t *serial, uint32_t *longest, uint32_t *flags, char *system, uint32_t system_n)
{
	(void)root;
	if (label && n)
		label[0] = 0;
	if (system && text_give("NTFS", system, system_n) >= system_n)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	return k32_GetVolumeInformationW(NULL, NULL, 0, serial, longest, flags, NULL, 0);
}

API(uint32_t, k32_GetVolumeInformationByHandleW, handle h, wide *label, uint32_t n,
    uint32_t *serial, uint32_t *longest, uint32_t *flags, wide *system, uint32_t system_n)
{
	(void)h;
	return k32_GetVolumeInformationW(NULL, label, n, serial, longest, flags, system, system_n);
}

API(uint32_t, k32_GetVolumePathNameW, const wide *path, wide *ret, uint32_t n)
{
	autofree char *p = text_from(path, SIZE_MAX), *full = p ? path_full(p) : NULL;
	if (!full)
		return 0;
	full[3] = 0;
	return wide_give(full, ret, n) < n ? 1 : fail(ERROR_FILENAME_EXCED_RANGE);
}
