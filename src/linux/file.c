/* SPDX-License-Identifier: Apache-2.0 */
/* Files: what is opened, looked at, and named. Open flags, locks, struct statfs, statx and
 * dirent64 are the same on both sides; struct stat is not. */
#include "linux/internal.h"
#include <linux/openat2.h>
#include <sys/stat.h>

/* struct stat of asm-generic */
struct stat_generic {
	uint64_t dev, ino;
	uint32_t mode, nlink, uid, gid;
	uint64_t rdev, pad1;
	int64_t size;
	int32_t blksize, pad2;
	int64_t blocks, atime;
	uint64_t atime_ns;
	int64_t mtime;
	uint64_t mtime_ns;
	int64_t ctime;
	uint64_t ctime_ns;
	uint32_t unused[2];
};
_Static_assert(sizeof(struct stat_generic) == 128, "asm-generic/stat.h");

static int64_t stat_write(const struct linux_proc *p, uint64_t at, const struct stat *s)
{
	struct stat_generic g = {
		.dev = s->st_dev, .ino = s->st_ino, .mode = s->st_mode,
		.nlink = (uint32_t)s->st_nlink, .uid = s->st_uid, .gid = s->st_gid,
		.rdev = s->st_rdev, .size = s->st_size, .blksize = (int32_t)s->st_blksize,
		.blocks = s->st_blocks, .atime = s->st_atim.tv_sec,
		.atime_ns = (uint64_t)s->st_atim.tv_nsec, .mtime = s->st_mtim.tv_sec,
		.mtime_ns = (uint64_t)s->st_mtim.tv_nsec, .ctime = s->st_ctim.tv_sec,
		.ctime_ns = (uint64_t)s->st_ctim.tv_nsec,
	};
	return linux_write(p, at, &g, sizeof g);
}

int64_t call_fstat(struct linux_task *t, const uint64_t a[6])
{
	struct stat s;
	int64_t r = HOST(SYS_fstat, a[0], ptr(&s));
	return r < 0 ? r : stat_write(t->proc, a[1], &s);
}

int64_t call_newfstatat(struct linux_task *t, const uint64_t a[6])
{
	struct stat s;
	struct where w = { (int)a[0], NULL, false };
	int64_t r = 0;
	if (a[1])
		r = path_find(t, 0, &w, (int)a[0], a[1],
			      a[3] & AT_SYMLINK_NOFOLLOW ? LAST : FOLLOW);
	if (r)
		return call_refuse(t, SYS_newfstatat, a, r);
	r = HOST(SYS_newfstatat, reg(w.dir), ptr(w.name), ptr(&s), a[3]);
	return r < 0 ? r : stat_write(t->proc, a[2], &s);
}

/* ---- opening ---- */

static unsigned how_open(uint64_t flags)
{
	return flags & O_NOFOLLOW || (flags & O_CREAT && flags & O_EXCL) ? LAST : FOLLOW;
}

static bool writes(uint64_t flags)
{
	return !(flags & O_PATH) && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC);
}

/* What /proc shows of this process is made, if @w names such; else 0. */
static int view_open(struct linux_task *t, const struct where *w, uint64_t flags)
{
	bool self;
	const char *host = path_host(t, w);
	if (!host || strncmp(host, "/proc/", 6) || flags & O_PATH)
		return 0;
	enum view v = view_of(host, &self);
	if (v < VIEW_CMDLINE || (!self && v != VIEW_CPUINFO) ||
	    (v == VIEW_CPUINFO && !t->proc->isa) ||
	    ((v == VIEW_STAT || v == VIEW_STATUS) && !t->proc->threads))
		return 0;
	return writes(flags) ? -EACCES : view_make(t, v, (int)flags);
}

static int64_t where_open(struct linux_task *t, struct where w, uint64_t flags, uint64_t mode)
{
	int64_t r = view_open(t, &w, flags);
	if (r)
		return r;
	if (w.read_only && writes(flags))
		return -EROFS;
	if (!w.read_only || !(flags & O_CREAT))
		return HOST_WAIT(t, SYS_openat, reg(w.dir), ptr(w.name), flags, mode);
	r = HOST_WAIT(t, SYS_openat, reg(w.dir), ptr(w.name), flags & ~(uint64_t)O_CREAT);
	return r == -ENOENT ? -EROFS : r;
}

int64_t call_openat(struct linux_task *t, const uint64_t a[6])
{
	struct where w;
	int r = path_find(t, 0, &w, (int)a[0], a[1], how_open(a[2]));
	return r < 0 ? call_refuse(t, SYS_openat, a, r) : where_open(t, w, a[2], a[3]);
}

int linux_open(struct linux_task *t, int dir, const char *path, int flags, unsigned mode)
{
	struct where w;
	int r = path_find_own(t, 0, &w, dir, path, how_open((uint64_t)flags));
	return r < 0 ? r : (int)where_open(t, w, (uint64_t)flags, mode);
}

/* With limits on how it is resolved the path is left to the kernel. One that may leave the root,
 * as it is absolute or goes up, begins at the root, which it is held in. */
static int64_t open_resolve(struct linux_task *t, const uint64_t a[6], struct open_how how)
{
	char *path = t->path[0], *from = t->path[1];
	ssize_t n = linux_string(t->proc, path, a[1], PATH_MAX);
	int dir = (int)a[0], r = 0;
	if (n < 0)
		return n;
	if (t->proc->root_fd >= 0 && !(how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) &&
	    (path[0] == '/' || strstr(path, ".."))) {
		if (path[0] != '/')
			r = path_of_fd(t, from, PATH_MAX, dir);
		size_t len = path[0] == '/' ? 0 : strlen(from);
		if (r || len + (size_t)n + 2 > PATH_MAX)
			return r ? r : -ENAMETOOLONG;
		memmove(path + len + 1, path, (size_t)n + 1);
		memcpy(path, from, len);
		path[len] = '/';
		dir = t->proc->root_fd;
		how.resolve |= RESOLVE_IN_ROOT;
		/* somebody has moved something meanwhile: the guest did not ask to be told */
		for (int tries = how.resolve & RESOLVE_CACHED ? 64 : 0; tries < 64; tries++)
			if ((r = (int)HOST_WAIT(t, SYS_openat2, reg(dir), ptr(path), ptr(&how),
						sizeof how)) != -EAGAIN)
				return r;
	}
	return HOST_WAIT(t, SYS_openat2, reg(dir), ptr(path), ptr(&how), sizeof how);
}

int64_t call_openat2(struct linux_task *t, const uint64_t a[6])
{
	struct open_how how = { 0 };
	struct where w;
	uint8_t more[64] = { 0 };
	if (a[3] < sizeof how)
		return -EINVAL;
	if (a[3] > sizeof how + sizeof more)
		return -E2BIG;
	if (linux_read(t->proc, &how, a[2], sizeof how) ||
	    linux_read(t->proc, more, a[2] + sizeof how, a[3] - sizeof how))
		return -EFAULT;
	for (size_t i = 0; i < sizeof more; i++)
		if (more[i])
			return -E2BIG;
	if (how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS))
		return open_resolve(t, a, how);
	int64_t r = path_find(t, 0, &w, (int)a[0], a[1], how_open(how.flags));
	if (!r)
		r = view_open(t, &w, how.flags);
	if (!r && w.read_only && (writes(how.flags) || how.flags & O_CREAT))
		r = -EROFS;
	return r ? r : HOST_WAIT(t, SYS_openat2, reg(w.dir), ptr(w.name), ptr(&how), sizeof how);
}

int64_t call_close_range(struct linux_task *t, const uint64_t a[6])
{
	uint64_t first = (uint32_t)a[0], last = (uint32_t)a[1];
	uint64_t own = (uint64_t)t->proc->fd_own, end = own + LINUX_FDS;
	if (first > last)
		return -EINVAL;
	/* Lodge's own are stepped over: before each of them, and after all */
	for (uint64_t fd = own; fd < end && first <= last; fd++) {
		if (!fd_hidden(t->proc, fd) || fd < first || fd > last)
			continue;
		int64_t r = fd > first ? HOST(SYS_close_range, first, fd - 1, a[2]) : 0;
		if (r < 0)
			return r;
		first = fd + 1;
	}
	return first <= last ? HOST(SYS_close_range, first, last, a[2]) : 0;
}

/* ---- names ---- */

/* The text of a link in the guest's eyes, in scratch 1; its length or -errno. */
static int64_t link_text(struct linux_task *t, const struct where *w)
{
	char *to = t->path[1];
	bool self = false;
	const char *host = path_host(t, w);
	enum view v = host && !strncmp(host, "/proc/", 6) ? view_of(host, &self) : VIEW_NONE;
	if (v == VIEW_EXE && self && t->proc->exe)
		return (int64_t)strlen(strcpy(to, t->proc->exe));
	if (v == VIEW_ROOT && self)
		return (int64_t)strlen(strcpy(to, "/"));
	int64_t n = HOST(SYS_readlinkat, reg(w->dir), ptr(w->name), ptr(to), PATH_MAX - 1);
	if (n < 0 || v == VIEW_NONE || t->proc->root_fd < 0)
		return n;
	to[n] = 0;
	/* what lies outside of the root keeps its name */
	return path_to_guest(t->proc, to, PATH_MAX) ? (int64_t)strlen(to) : n;
}

int64_t call_readlinkat(struct linux_task *t, const uint64_t a[6])
{
	struct where w;
	if ((int)a[3] <= 0)
		return -EINVAL;
	int64_t n = path_find(t, 0, &w, (int)a[0], a[1], LAST);
	if (!n)
		n = link_text(t, &w);
	if (n < 0)
		return n;
	n = n < (int)a[3] ? n : (int)a[3];
	return linux_write(t->proc, a[2], t->path[1], (size_t)n) ? -EFAULT : n;
}

int64_t call_getcwd(struct linux_task *t, const uint64_t a[6])
{
	static const char outside[] = "(unreachable)"; /* as the kernel says it */
	char *buf = t->path[0] + sizeof outside - 1;
	int64_t n = HOST(SYS_getcwd, ptr(buf), PATH_MAX);
	if (n < 0)
		return n;
	if (!path_to_guest(t->proc, buf, PATH_MAX)) {
		buf = t->path[0];
		memcpy(buf, outside, sizeof outside - 1);
	}
	size_t len = strlen(buf) + 1;
	if (len > a[1])
		return -ERANGE;
	return linux_write(t->proc, a[0], buf, len) ? -EFAULT : (int64_t)len;
}

/* A path argument of a call that takes no directory: its host path at *ret. */
static int plain_find(struct linux_task *t, unsigned slot, const char **ret, uint64_t path,
                      unsigned how)
{
	struct where w;
	int r = path_find(t, slot, &w, AT_FDCWD, path, how);
	return r < 0 ? r : path_plain(t, slot, ret, &w);
}

int64_t call_linkat(struct linux_task *t, const uint64_t a[6])
{
	struct where from, to;
	int r = path_find(t, 0, &from, (int)a[0], a[1], a[4] & AT_SYMLINK_FOLLOW ? FOLLOW : LAST);
	if (!r)
		r = path_find(t, 1, &to, (int)a[2], a[3], LAST | CHANGE);
	if (!r && to.read_only)
		r = -EROFS;
	if (r)
		return call_refuse(t, SYS_linkat, a, r);
	return HOST(SYS_linkat, reg(from.dir), ptr(from.name), reg(to.dir), ptr(to.name), a[4]);
}

int64_t call_utimensat(struct linux_task *t, const uint64_t a[6])
{
	struct where w = { (int)a[0], NULL, false };
	int r = 0;
	if (a[1])
		r = path_find(t, 0, &w, (int)a[0], a[1],
		              CHANGE | (a[3] & AT_SYMLINK_NOFOLLOW ? LAST : FOLLOW));
	if (!r && w.read_only)
		r = -EROFS;
	return r ? call_refuse(t, SYS_utimensat, a, r)
		 : HOST(SYS_utimensat, reg(w.dir), ptr(w.name), a[2], a[3]);
}

enum { DONT_FOLLOW_INOTIFY = 0x02000000, DONT_FOLLOW_FANOTIFY = 4 };

int64_t call_inotify_add_watch(struct linux_task *t, const uint64_t a[6])
{
	const char *path;
	bool follow = !(a[2] & DONT_FOLLOW_INOTIFY);
	int r = plain_find(t, 0, &path, a[1], follow ? FOLLOW : LAST);
	if (r)
		return call_refuse(t, SYS_inotify_add_watch, a, r);
	int64_t watch = HOST(SYS_inotify_add_watch, a[0], ptr(path), a[2]);
	if (watch >= 0 && t->proc->watched)
		t->proc->watched(t->proc->user, path, follow);
	return watch;
}

int64_t call_fanotify_mark(struct linux_task *t, const uint64_t a[6])
{
	struct where w = { (int)a[3], NULL, false };
	int r = 0;
	if (a[4])
		r = path_find(t, 0, &w, (int)a[3], a[4],
		              a[1] & DONT_FOLLOW_FANOTIFY ? LAST : FOLLOW);
	return r ? call_refuse(t, SYS_fanotify_mark, a, r)
		 : HOST(SYS_fanotify_mark, a[0], a[1], a[2], reg(w.dir), ptr(w.name));
}

int64_t call_name_to_handle_at(struct linux_task *t, const uint64_t a[6])
{
	struct where w;
	int r = path_find(t, 0, &w, (int)a[0], a[1], a[4] & AT_SYMLINK_FOLLOW ? FOLLOW : LAST);
	return r ? call_refuse(t, SYS_name_to_handle_at, a, r)
		 : HOST(SYS_name_to_handle_at, reg(w.dir), ptr(w.name), a[2], a[3], a[4]);
}

int64_t call_acct(struct linux_task *t, const uint64_t a[6])
{
	const char *path = NULL;
	int r = a[0] ? plain_find(t, 0, &path, a[0], FOLLOW) : 0;
	return r ? r : HOST(SYS_acct, ptr(path));
}

int64_t call_swapon(struct linux_task *t, const uint64_t a[6])
{
	const char *path;
	int r = plain_find(t, 0, &path, a[0], FOLLOW);
	return r ? r : HOST(SYS_swapon, ptr(path), a[1]);
}

int64_t call_swapoff(struct linux_task *t, const uint64_t a[6])
{
	const char *path;
	int r = plain_find(t, 0, &path, a[0], FOLLOW);
	return r ? r : HOST(SYS_swapoff, ptr(path));
}

/* struct xattr_args: the value's address, its size, flags */
static int64_t xattrat(struct linux_task *t, long nr, const uint64_t a[6], bool change)
{
	struct { uint64_t value; uint32_t size, flags; } args;
	struct where w;
	if (a[5] != sizeof args)
		return a[5] < sizeof args ? -EINVAL : -E2BIG;
	if (linux_read(t->proc, &args, a[4], sizeof args) ||
	    !range_ok(t->proc, args.value, args.size))
		return -EFAULT;
	int r = path_find(t, 0, &w, (int)a[0], a[1], a[2] & AT_SYMLINK_NOFOLLOW ? LAST : FOLLOW);
	if (!r && change && w.read_only)
		r = -EROFS;
	return r ? r : HOST(nr, reg(w.dir), ptr(w.name), a[2], a[3], ptr(&args), sizeof args);
}
enum { NR_setxattrat = 463, NR_getxattrat = 464 };
int64_t call_setxattrat(struct linux_task *t, const uint64_t a[6])
{
	return xattrat(t, NR_setxattrat, a, true);
}
int64_t call_getxattrat(struct linux_task *t, const uint64_t a[6])
{
	return xattrat(t, NR_getxattrat, a, false);
}

/* ---- fcntl ---- */
enum { RW_HINT_FIRST = 1024 + 11, RW_HINT_LAST = 1024 + 14 };

int64_t call_fcntl(struct linux_task *t, const uint64_t a[6])
{
	const struct linux_proc *p = t->proc;
	int cmd = (int)a[1];
	uint64_t bytes = 0;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC: return fd_hidden(p, a[2]) ? -EINVAL : linux_direct(SYS_fcntl, a);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW: bytes = sizeof(struct flock); break;
	case F_GETOWN_EX:
	case F_SETOWN_EX:
	case 17: /* F_GETOWNER_UIDS */ bytes = 8; break;
	default:
		if (cmd >= RW_HINT_FIRST && cmd <= RW_HINT_LAST)
			bytes = 8;
	}
	if (!range_ok(p, bytes ? a[2] : 0, bytes))
		return -EFAULT;
	return cmd == F_SETLKW || cmd == F_OFD_SETLKW ? linux_host_call(t, SYS_fcntl, a)
	                                              : linux_direct(SYS_fcntl, a);
}
