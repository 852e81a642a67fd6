/* SPDX-License-Identifier: Apache-2.0 */
/* Paths in the guest's root. With neither root nor binds a path is the host's. Otherwise it is
 * walked here, component by component, as text: `cur` is always an absolute guest path whose
 * links are all followed, so ".." takes its last component away, and a link's target begins again
 * at the root. The host sees each step as a path from the root's descriptor, or a bind's. Between
 * this walk and the call others may rename what was walked: as said in linux.h, the root is no
 * wall. */
#include "linux/internal.h"
#include <stdio.h>
#include <sys/stat.h>

enum { LINKS_MAX = 40, REST = LINUX_PATHS, TARGET };

struct walk {
	struct linux_task *t;
	char *cur;  /* "" for the root, else "/a/b" */
	char *rest; /* what is to be walked yet, in scratch REST */
	size_t len; /* of cur */
	unsigned links;
	bool follow, follow_slash;
	bool slash; /* what is found must be a folder */
};

static bool under(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	if (n == 1)
		return true; /* "/" */
	return !strncmp(path, dir, n) && (path[n] == '/' || !path[n]);
}

void linux_binds_sort(struct linux_bind *b, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned j = i; j && strlen(b[j - 1].guest) < strlen(b[j].guest); j--) {
			struct linux_bind x = b[j];
			b[j] = b[j - 1];
			b[j - 1] = x;
		}
}

static const struct linux_bind *bind_of(const struct linux_proc *p, const char *guest)
{
	for (unsigned i = 0; i < p->n_binds; i++)
		if (under(guest, p->binds[i].guest))
			return &p->binds[i];
	return NULL;
}

bool path_is_fixed(const struct linux_task *t, unsigned slot)
{
	const struct linux_bind *b = bind_of(t->proc, t->path[slot]);
	return b && b->fixed;
}

/* Where the host has the guest path @cur. */
static struct where where_of(const struct linux_proc *p, const char *cur)
{
	const struct linux_bind *b = *cur ? bind_of(p, cur) : NULL;
	if (!b && p->root_fd < 0)
		return (struct where){ AT_FDCWD, *cur ? cur : "/", false };
	if (!b) {
		while (*cur == '/')
			cur++;
		return (struct where){ p->root_fd, *cur ? cur : ".", false };
	}
	cur += strlen(b->guest);
	while (*cur == '/')
		cur++;
	if (!*cur)
		return (struct where){ AT_FDCWD, b->host, b->read_only };
	return (struct where){ b->fd, cur, b->read_only };
}

bool path_to_guest(const struct linux_proc *p, char *host, size_t cap)
{
	const char *from = p->root, *to = "";
	if (host[0] != '/')
		return false;
	if (from && !under(host, from))
		from = NULL;
	for (unsigned i = 0; i < p->n_binds; i++) {
		const struct linux_bind *b = &p->binds[i];
		if (under(host, b->host) && (!from || strlen(b->host) > strlen(from))) {
			from = b->host;
			to = b->guest;
		}
	}
	if (!from)
		return p->root_fd < 0;
	size_t cut = strlen(from) == 1 ? 0 : strlen(from), add = strlen(to),
	       rest = strlen(host) - cut;
	if (add + rest + 2 > cap)
		return false;
	memmove(host + add, host + cut, rest + 1);
	memcpy(host, to, add);
	if (!host[0])
		memcpy(host, "/", 2);
	return true;
}

const char *path_host(struct linux_task *t, const struct where *w)
{
	const struct linux_proc *p = t->proc;
	if (w->name[0] == '/')
		return w->name;
	if (w->dir == AT_FDCWD || w->dir == p->root_fd)
		return NULL;
	for (unsigned i = 0; i < p->n_binds; i++) {
		const struct linux_bind *b = &p->binds[i];
		if (b->fd != w->dir)
			continue;
		size_t n = (size_t)snprintf(t->path[TARGET], sizeof t->path[TARGET], "%s/%s",
					    b->host, w->name);
		return n < sizeof t->path[TARGET] ? t->path[TARGET] : NULL;
	}
	return NULL;
}

int path_of_fd(struct linux_task *t, char *buf, size_t cap, int fd)
{
	char name[40];
	int64_t n;
	if (fd == AT_FDCWD) {
		n = HOST(SYS_getcwd, ptr(buf), cap);
		n -= n > 0; /* its NUL */
	} else {
		snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		n = HOST(SYS_readlink, ptr(name), ptr(buf), cap - 1);
	}
	if (n < 0)
		return (int)n;
	buf[n] = 0;
	if (!path_to_guest(t->proc, buf, cap))
		return -EXDEV;
	if (!strcmp(buf, "/"))
		buf[0] = 0;
	return 0;
}

/* The text of the link at cur to scratch TARGET: its length, -EINVAL when it is none. Links that
 * only the kernel can follow count as none; those of this process lead where the guest's lead. */
static int64_t link_read(struct walk *w)
{
	struct linux_task *t = w->t;
	struct where at = where_of(t->proc, w->cur);
	char *to = t->path[TARGET];
	bool self = false;
	const char *host = path_host(t, &at);
	enum view v = host ? view_of(host, &self) : VIEW_NONE;
	if (v == VIEW_EXE && self && t->proc->exe)
		return (int64_t)strlen(strncpy(to, t->proc->exe, PATH_MAX - 1));
	if (v == VIEW_ROOT && self)
		return (int64_t)strlen(strcpy(to, "/"));
	if (v == VIEW_CWD && self && !path_of_fd(t, to, PATH_MAX, AT_FDCWD))
		return (int64_t)strlen(*to ? to : strcpy(to, "/"));
	int64_t n = HOST(SYS_readlinkat, reg(at.dir), ptr(at.name), ptr(to), PATH_MAX - 1);
	if (n < 0)
		return n;
	to[n] = 0;
	return v == VIEW_EXE || v == VIEW_ROOT || v == VIEW_CWD || v == VIEW_LINK ? -EINVAL : n;
}

static int folder_check(struct walk *w)
{
	struct stat st;
	struct where at = where_of(w->t->proc, w->cur);
	int64_t r = HOST(SYS_newfstatat, reg(at.dir), ptr(at.name), ptr(&st), 0);
	return r < 0 ? (int)r : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static void up(struct walk *w)
{
	while (w->len && w->cur[--w->len] != '/')
		;
	w->cur[w->len] = 0;
}

/* Put the link's target, in TARGET, before the rest. */
static int link_follow(struct walk *w, size_t n)
{
	char *buf = w->t->path[REST], *target = w->t->path[TARGET];
	size_t rest = strlen(w->rest);
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (!n)
		return -ENOENT;
	if (n + rest + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	memmove(buf + n, w->rest, rest + 1); /* the rest is empty or starts with "/" */
	memcpy(buf, target, n);
	w->rest = buf;
	up(w);
	if (target[0] == '/')
		w->cur[w->len = 0] = 0;
	return 0;
}

/* One component of @n bytes, taken from the rest already. */
static int step(struct walk *w, const char *name, size_t n)
{
	bool last = !w->rest[strspn(w->rest, "/")], slash = last && *w->rest;
	if (n == 1 && name[0] == '.') {
		w->slash |= last;
		return 0;
	}
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		int r = folder_check(w);
		if (!r)
			up(w);
		return r;
	}
	if (n > NAME_MAX || w->len + n + 3 > PATH_MAX)
		return -ENAMETOOLONG;
	w->cur[w->len] = '/';
	memcpy(w->cur + w->len + 1, name, n);
	w->len += n + 1;
	w->cur[w->len] = 0;
	w->slash |= slash;
	if (last && !(slash ? w->follow_slash : w->follow))
		return 0;
	int64_t r = link_read(w);
	if (r >= 0)
		return link_follow(w, (size_t)r);
	return r == -EINVAL || (last && r == -ENOENT) ? 0 : (int)r;
}

static int walk(struct walk *w)
{
	for (;;) {
		w->rest += strspn(w->rest, "/");
		if (!*w->rest)
			return 0;
		char name[NAME_MAX + 2];
		size_t n = strcspn(w->rest, "/");
		memcpy(name, w->rest, min_u64(n, sizeof name));
		w->rest += n;
		int r = step(w, name, n);
		if (r < 0)
			return r;
	}
}

/* The walk from @dir of the string in scratch REST: cur in @slot. */
static int path_walk(struct linux_task *t, unsigned slot, struct where *ret, int dir, unsigned how)
{
	struct walk w = {
	    .t = t,
	    .cur = t->path[slot],
	    .rest = t->path[REST],
	    .follow = (how & FLAG_MASK) == FOLLOW,
	    .follow_slash = (how & FLAG_MASK) == FOLLOW || !(how & CHANGE),
	};
	if (!*w.rest) {
		w.cur[0] = 0; /* with AT_EMPTY_PATH it is @dir; without, the host says -ENOENT */
		*ret = (struct where){ dir, w.cur, false };
		return 0;
	}
	w.cur[0] = 0;
	int r = *w.rest == '/' ? 0 : path_of_fd(t, w.cur, PATH_MAX, dir);
	if (r == -EXDEV) { /* a descriptor from outside of the root */
		*ret = (struct where){ dir, strcpy(w.cur, w.rest), false };
		return 0;
	}
	if (r < 0)
		return r == -ENOENT && dir != AT_FDCWD ? -EBADF : r;
	w.len = strlen(w.cur);
	r = walk(&w);
	if (r < 0)
		return r;
	if (w.slash && w.len)
		memcpy(w.cur + w.len, "/", 2);
	*ret = where_of(t->proc, w.cur);
	return 0;
}

static int find(struct linux_task *t, unsigned slot, struct where *ret, int dir, unsigned how)
{
	bool self;
	if (t->proc->root_fd >= 0 || t->proc->n_binds)
		return path_walk(t, slot, ret, dir, how);
	*ret = (struct where){ dir, strcpy(t->path[slot], t->path[REST]), false };
	if ((how & FLAG_MASK) == FOLLOW && t->proc->exe && !strncmp(ret->name, "/proc/", 6) &&
	    view_of(ret->name, &self) == VIEW_EXE && self)
		ret->name = t->proc->exe;
	return 0;
}

int path_find(struct linux_task *t, unsigned slot, struct where *ret, int dir, uint64_t path,
              unsigned how)
{
	ssize_t n = linux_string(t->proc, t->path[REST], path, PATH_MAX);
	t->unread = n < 0;
	return n < 0 ? (int)n : find(t, slot, ret, dir, how);
}

int path_find_own(struct linux_task *t, unsigned slot, struct where *ret, int dir,
                  const char *path, unsigned how)
{
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(t->path[REST], path);
	return find(t, slot, ret, dir, how);
}

int path_plain(struct linux_task *t, unsigned slot, const char **ret, const struct where *w)
{
	char *to = t->path[slot];
	if (w->dir == AT_FDCWD || w->name[0] == '/') {
		*ret = w->name;
		return 0;
	}
	int n = snprintf(t->path[TARGET], sizeof t->path[TARGET], "/proc/self/fd/%d/%s", w->dir,
	                 w->name);
	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	*ret = strcpy(to, t->path[TARGET]);
	return 0;
}

int64_t path_call(struct linux_task *t, const struct linux_row *r, const uint64_t a[6])
{
	uint64_t b[6];
	unsigned slot = 0;
	memcpy(b, a, sizeof b);
	for (unsigned i = 0; i < r->n_args; i++) {
		struct where w;
		unsigned how = r->arg[i].bytes, kind = how & FLAG_MASK;
		bool at = i && r->arg[i - 1].kind == LINUX_DIR;
		if (r->arg[i].kind != LINUX_PATH || !a[i])
			continue;
		if (kind >= FLAG_2)
			kind = a[kind - FLAG_2 + 2] & AT_SYMLINK_NOFOLLOW ? LAST : FOLLOW;
		int e = path_find(t, slot, &w, at ? (int)a[i - 1] : AT_FDCWD, a[i],
		                  kind | (how & CHANGE));
		if (e < 0 && t->unread)
			continue; /* the kernel says the same, after what it looks at before */
		if (!e && w.read_only && how & CHANGE)
			e = -EROFS;
		if (!e && !at)
			e = path_plain(t, slot, &w.name, &w);
		if (e)
			return e;
		if (at)
			b[i - 1] = reg(w.dir);
		b[i] = ptr(w.name);
		slot++;
	}
	return linux_direct(r->host, b);
}

int linux_path(struct linux_task *t, char ret[PATH_MAX], int dir, const char *path)
{
	struct where w;
	int r = path_find_own(t, 0, &w, dir, path, FOLLOW);
	if (r < 0)
		return r;
	if (t->proc->root_fd >= 0 || t->proc->n_binds) {
		strcpy(ret, *t->path[0] ? t->path[0] : "/");
		return 0;
	}
	int fd = (int)HOST(SYS_openat, reg(w.dir), ptr(w.name), O_PATH | O_CLOEXEC);
	if (fd < 0)
		return fd;
	r = path_of_fd(t, ret, PATH_MAX, fd);
	close(fd);
	if (r < 0) { /* in a chroot without /proc */
		strcpy(t->path[REST], w.name);
		r = path_walk(t, 0, &w, dir, FOLLOW);
		if (!r)
			strcpy(ret, t->path[0]);
	}
	if (!r && !*ret)
		strcpy(ret, "/");
	return r;
}
