/* SPDX-License-Identifier: Apache-2.0 */
/* Files by name. All but the last part of a path is opened by openat2, which stays beneath the
 * folder whatever "..", links and others do meanwhile; the last part is then a plain name in there.
 * openat2(2) */
#include "wasi/internal.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>

/* A path of the program, copied before it is looked at. */
struct path {
	struct descriptor *d;
	char text[PATH_LEN_MAX];
};

static uint32_t path_read(struct wasi *s, uint32_t fd, uint32_t at, uint32_t len, enum right right,
			  struct path *ret)
{
	const char *from = guest(s, at, len);
	uint32_t r = descriptor_get(s, fd, right, &ret->d);
	if (r)
		return r;
	if (!from)
		return W_FAULT;
	if (len >= sizeof ret->text)
		return W_NAMETOOLONG;
	memcpy(ret->text, from, len);
	ret->text[len] = 0;
	if (strlen(ret->text) != len)
		return W_ILSEQ; /* a zero byte inside */
	return ret->d->type == TYPE_DIRECTORY ? 0 : W_NOTDIR;
}

int beneath_open(int dir, const char *path, uint64_t flags, uint64_t mode)
{
	const struct open_how how = {.flags = flags | O_CLOEXEC,
				     .mode = mode,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	for (int tries = 0;; tries++) { /* EAGAIN: something moved meanwhile */
		int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
		if (fd >= 0 || errno != EAGAIN || tries == 64)
			return fd;
	}
}

static uint32_t beneath_errno(int n) { return n == EXDEV ? W_NOTCAPABLE : errno_of(n); }

/* The folder that has the last part of the path, opened, and that part: a name, never ".." or
 * nothing. */
static uint32_t parent_open(struct path *p, int *ret, const char **ret_name)
{
	size_t n = strlen(p->text);
	while (n > 1 && p->text[n - 1] == '/')
		p->text[--n] = 0;
	char *slash = strrchr(p->text, '/');
	const char *name = slash ? slash + 1 : p->text;
	if (!n)
		return W_NOENT;
	if (!strcmp(p->text, "/") || p->text[0] == '/')
		return W_NOTCAPABLE;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return W_INVAL;
	if (slash)
		*slash = 0;
	int fd = beneath_open(p->d->fd, slash ? p->text : ".", O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return beneath_errno(errno);
	*ret = fd;
	*ret_name = name;
	return 0;
}

/* ---- open ---- */

#define MAY(x) (1ull << MAY_##x)
#define RIGHTS_TO_READ  (MAY(READ) | MAY(READDIR))
#define RIGHTS_TO_WRITE (MAY(WRITE) | MAY(DATASYNC) | MAY(ALLOCATE) | MAY(SET_SIZE))
enum { O_WASI_CREAT = 1, O_WASI_DIRECTORY = 2, O_WASI_EXCL = 4, O_WASI_TRUNC = 8 };

static uint64_t open_flags(uint32_t lookup, uint32_t oflags, uint64_t rights, uint32_t fdflags)
{
	bool write = rights & RIGHTS_TO_WRITE && !(oflags & O_WASI_DIRECTORY);
	bool read = rights & RIGHTS_TO_READ || !write;
	uint64_t f = write && read ? O_RDWR : write ? O_WRONLY : O_RDONLY;
	f |= lookup & 1 ? 0 : O_NOFOLLOW;
	f |= oflags & O_WASI_CREAT ? O_CREAT : 0;
	f |= oflags & O_WASI_DIRECTORY ? O_DIRECTORY : 0;
	f |= oflags & O_WASI_EXCL ? O_EXCL : 0;
	f |= oflags & O_WASI_TRUNC ? O_TRUNC : 0;
	f |= fdflags & 1 ? O_APPEND : 0;
	f |= fdflags & 2 ? O_DSYNC : 0;
	f |= fdflags & (8 | 16) ? O_SYNC : 0;
	return f | O_NOCTTY | O_NONBLOCK; /* a pipe that nobody writes to is not waited for */
}

/* @name, found from the folder @d; NULL: no memory, or not known. */
static char *path_join(const struct descriptor *d, const char *name)
{
	char *p = NULL;
	if (d->path && asprintf(&p, "%s%s%s", d->path, *d->path ? "/" : "", name) < 0)
		p = NULL;
	return p;
}

static uint32_t opened_keep(struct wasi *s, const struct path *from, int fd, uint32_t fdflags,
			    uint64_t rights, uint64_t inherited, uint32_t *ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0) {
		uint32_t r = errno_of(errno);
		close(fd);
		return r;
	}
	if (!(fdflags & 4)) {
		int had = fcntl(fd, F_GETFL);
		(void)fcntl(fd, F_SETFL, had & ~O_NONBLOCK);
	}
	if (S_ISDIR(st.st_mode))
		rights &= ~(MAY(READ) | MAY(WRITE) | MAY(SEEK) | MAY(TELL) | MAY(SET_SIZE));
	uint32_t root = from->d->root;
	char *path = path_join(from->d, from->text);
	uint32_t r = descriptor_add(s, fd, rights, inherited, ret); /* from->d may have moved */
	if (r) {
		free(path);
		return r;
	}
	s->at[*ret].path = path;
	s->at[*ret].root = root;
	return 0;
}

/* What was open as @was, or below it, has another name now. */
static void opened_rename(struct wasi *s, uint32_t root, const char *was, uint32_t to_root,
			  const char *is)
{
	size_t n = was ? strlen(was) : 0;
	for (uint32_t i = 0; n && is && i < s->n; i++) {
		struct descriptor *d = &s->at[i];
		char *p;
		if (!d->used || !d->path || d->name || d->root != root ||
		    strncmp(d->path, was, n) != 0 || (d->path[n] && d->path[n] != '/'))
			continue;
		if (asprintf(&p, "%s%s", is, d->path + n) < 0)
			p = NULL;
		free(d->path);
		d->path = p;
		d->root = to_root;
	}
}

uint32_t wasi_path_open(struct wasi *s, const union wasm_slot *a)
{
	struct path p;
	uint32_t oflags = a[4].i32, fdflags = a[7].i32, got;
	uint64_t rights = a[5].i64 & RIGHTS_ALL, inherited = a[6].i64 & RIGHTS_ALL;
	uint8_t *to = guest(s, a[8].i32, 4);
	uint32_t r = path_read(s, a[0].i32, a[2].i32, a[3].i32, MAY_OPEN, &p);
	if (r || !to)
		return r ? r : W_FAULT;
	if (oflags & ~15u || fdflags & ~31u)
		return W_INVAL;
	if (rights & ~p.d->inherited || inherited & ~p.d->inherited ||
	    (oflags & O_WASI_CREAT && !(p.d->rights & MAY(CREATE_FILE))) ||
	    (oflags & O_WASI_TRUNC && !(p.d->rights & MAY(PATH_SET_SIZE))))
		return W_NOTCAPABLE;
	uint64_t f = open_flags(a[1].i32, oflags, rights, fdflags);
	int fd = beneath_open(p.d->fd, p.text, f, oflags & O_WASI_CREAT ? 0666 : 0);
	if (fd < 0)
		return beneath_errno(errno);
	r = opened_keep(s, &p, fd, fdflags, rights, inherited, &got);
	if (!r)
		le32_put(to, got);
	return r;
}

/* ---- attributes ---- */

static uint32_t path_stat(struct wasi *s, const union wasm_slot *a, bool old)
{
	struct path p;
	struct stat st;
	uint32_t r = path_read(s, a[0].i32, a[2].i32, a[3].i32, MAY_PATH_STAT, &p);
	uint8_t *to = guest(s, a[4].i32, old ? 56 : 64);
	if (r || !to)
		return r ? r : W_FAULT;
	autoclose int fd =
	    beneath_open(p.d->fd, p.text, O_PATH | (a[1].i32 & 1 ? 0 : O_NOFOLLOW), 0);
	if (fd < 0)
		return beneath_errno(errno);
	if (fstat(fd, &st) < 0)
		return errno_of(errno);
	stat_put(to, &st, old);
	return 0;
}

uint32_t wasi_path_filestat_get(struct wasi *s, const union wasm_slot *a)
{
	return path_stat(s, a, false);
}
uint32_t wasi_old_path_filestat_get(struct wasi *s, const union wasm_slot *a)
{
	return path_stat(s, a, true);
}

uint32_t wasi_path_filestat_set_times(struct wasi *s, const union wasm_slot *a)
{
	struct path p;
	struct timespec t[2];
	uint32_t r = path_read(s, a[0].i32, a[2].i32, a[3].i32, MAY_PATH_SET_TIMES, &p);
	if (!r)
		r = times_of(t, a[4].i64, a[5].i64, a[6].i32);
	if (r)
		return r;
	autoclose int fd =
	    beneath_open(p.d->fd, p.text, O_PATH | (a[1].i32 & 1 ? 0 : O_NOFOLLOW), 0);
	if (fd < 0)
		return beneath_errno(errno);
	return utimensat(fd, "", t, AT_EMPTY_PATH) < 0 ? errno_of(errno) : 0;
}

uint32_t wasi_path_readlink(struct wasi *s, const union wasm_slot *a)
{
	struct path p;
	uint32_t r = path_read(s, a[0].i32, a[1].i32, a[2].i32, MAY_READLINK, &p);
	char *to = guest(s, a[3].i32, a[4].i32);
	if (r || !to || !guest(s, a[5].i32, 4))
		return r ? r : W_FAULT;
	autoclose int fd = beneath_open(p.d->fd, p.text, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0)
		return beneath_errno(errno);
	int64_t n = a[4].i32 ? readlinkat(fd, "", to, a[4].i32) : 0;
	if (n < 0 && errno == ENOENT)
		return W_INVAL; /* no link */
	return size_put(s, a[5].i32, n);
}

/* ---- names ---- */

/* One call of the host for a name below one folder. */
static uint32_t name_change(struct wasi *s, const union wasm_slot *a, enum right right,
			    int (*fn)(int dir, const char *name))
{
	struct path p;
	autoclose int dir = -1;
	const char *name = NULL;
	uint32_t r = path_read(s, a[0].i32, a[1].i32, a[2].i32, right, &p);
	bool slash = !r && p.text[0] && p.text[strlen(p.text) - 1] == '/';
	if (!r)
		r = parent_open(&p, &dir, &name);
	if (!r && slash && right == MAY_UNLINK)
		return W_NOTDIR;
	return r ? r : fn(dir, name) < 0 ? errno_of(errno) : 0;
}

static int name_mkdir(int dir, const char *name) { return mkdirat(dir, name, 0777); }
static int name_rmdir(int dir, const char *name) { return unlinkat(dir, name, AT_REMOVEDIR); }
static int name_unlink(int dir, const char *name) { return unlinkat(dir, name, 0); }

uint32_t wasi_path_create_directory(struct wasi *s, const union wasm_slot *a)
{
	return name_change(s, a, MAY_CREATE_DIRECTORY, name_mkdir);
}
uint32_t wasi_path_remove_directory(struct wasi *s, const union wasm_slot *a)
{
	return name_change(s, a, MAY_REMOVE_DIRECTORY, name_rmdir);
}
uint32_t wasi_path_unlink_file(struct wasi *s, const union wasm_slot *a)
{
	return name_change(s, a, MAY_UNLINK, name_unlink);
}

uint32_t wasi_path_symlink(struct wasi *s, const union wasm_slot *a)
{
	char target[PATH_LEN_MAX];
	const char *from = guest(s, a[0].i32, a[1].i32), *name;
	struct path p;
	autoclose int dir = -1;
	uint32_t r = path_read(s, a[2].i32, a[3].i32, a[4].i32, MAY_SYMLINK, &p);
	if (r || !from)
		return r ? r : W_FAULT;
	if (a[1].i32 >= sizeof target)
		return W_NAMETOOLONG;
	memcpy(target, from, a[1].i32);
	target[a[1].i32] = 0;
	if (target[0] == '/')
		return W_NOTCAPABLE; /* it would be a name of the host's */
	r = parent_open(&p, &dir, &name);
	return r ? r : symlinkat(target, dir, name) < 0 ? errno_of(errno) : 0;
}

/* Both ends of a rename or a link. */
struct ends {
	struct path from, to;
	int dirs[2];
	const char *names[2];
};

static uint32_t ends_open(struct wasi *s, const union wasm_slot *from, const union wasm_slot *to,
			  const enum right rights[2], struct ends *n)
{
	n->dirs[0] = n->dirs[1] = -1;
	uint32_t r = path_read(s, from[0].i32, from[1].i32, from[2].i32, rights[0], &n->from);
	if (!r)
		r = path_read(s, to[0].i32, to[1].i32, to[2].i32, rights[1], &n->to);
	if (!r)
		r = parent_open(&n->from, &n->dirs[0], &n->names[0]);
	if (!r)
		r = parent_open(&n->to, &n->dirs[1], &n->names[1]);
	return r;
}

static void ends_close(struct ends *n)
{
	for (unsigned i = 0; i < 2; i++)
		if (n->dirs[i] >= 0)
			close(n->dirs[i]);
}

/* parent_open has cut the path in two. */
static char *end_path(const struct path *p, const char *name)
{
	char *is, *folder = name == p->text ? NULL : path_join(p->d, p->text);
	const char *in = folder ? folder : p->d->path;
	if (!in || asprintf(&is, "%s%s%s", in, *in ? "/" : "", name) < 0)
		is = NULL;
	free(folder);
	return is;
}

uint32_t wasi_path_rename(struct wasi *s, const union wasm_slot *a)
{
	static const enum right rights[] = {MAY_RENAME_SOURCE, MAY_RENAME_TARGET};
	struct ends n;
	uint32_t r = ends_open(s, a, a + 3, rights, &n);
	if (!r && renameat(n.dirs[0], n.names[0], n.dirs[1], n.names[1]) < 0)
		r = errno_of(errno);
	if (!r) {
		autofree char *was = end_path(&n.from, n.names[0]);
		autofree char *is = end_path(&n.to, n.names[1]);
		opened_rename(s, n.from.d->root, was, n.to.d->root, is);
	}
	ends_close(&n);
	return r;
}

uint32_t wasi_path_link(struct wasi *s, const union wasm_slot *a)
{
	static const enum right rights[] = {MAY_LINK_SOURCE, MAY_LINK_TARGET};
	const union wasm_slot from[3] = {a[0], a[2], a[3]};
	struct ends n;
	if (a[1].i32 & 1)
		return W_INVAL; /* the target of a link could be anywhere */
	uint32_t r = ends_open(s, from, a + 4, rights, &n);
	if (!r && linkat(n.dirs[0], n.names[0], n.dirs[1], n.names[1], 0) < 0)
		r = errno_of(errno);
	ends_close(&n);
	return r;
}
