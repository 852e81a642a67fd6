/* SPDX-License-Identifier: Apache-2.0 */
/* What the confined process sees of files: mount_setattr(2), open_tree(2), pivot_root(2). */
#include "box/internal.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* glibc's sys/mount.h and the kernel's cannot both be included. */
extern int mount(const char *source, const char *target, const char *type, unsigned long flags,
                 const void *data);
extern int umount2(const char *target, int flags);
enum { BIND = 4096, NOSUID = 2, NODEV = 4, NOEXEC = 8, DETACH = 2 };

static int tree_open(const char *path, bool read_only, int *ret, struct lodge_err *e)
{
	const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
	                                      (read_only ? MOUNT_ATTR_RDONLY : 0)};
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, flags);
	if (fd < 0)
		return err_sys(e, "--isolate: %s", path);
	*ret = fd;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
	            sizeof attr) < 0)
		return err_sys(e, "--isolate: mounting %s (Linux 5.12 is needed)", path);
	return 0;
}

static int binds_open(struct mounts *m, const struct box *b, struct lodge_err *e)
{
	int r = 0;
	for (; r == 0 && m->n < b->n_binds; m->n++) {
		m->binds[m->n] = -1;
		r = tree_open(b->binds[m->n].source, b->binds[m->n].read_only,
		              &m->binds[m->n], e);
	}
	return r;
}

int mounts_open(struct mounts *m, const struct box *b, struct lodge_err *e)
{
	*m = (struct mounts){.root = -1, .program = -1};
	m->binds = calloc(b->n_binds + 1, sizeof *m->binds);
	if (!m->binds)
		return err_set(e, ENOMEM, "out of memory");
	int r = b->root ? tree_open(b->root, false, &m->root, e) : 0;
	if (r == 0 && !b->root) {
		m->path = realpath(b->program, NULL);
		r = m->path ? tree_open(m->path, true, &m->program, e)
			    : err_sys(e, "%s", b->program);
	}
	return r == 0 ? binds_open(m, b, e) : r;
}

int mounts_binds_open(struct mounts *m, const struct box *b, struct lodge_err *e)
{
	*m = (struct mounts){.root = -1, .program = -1};
	m->binds = calloc(b->n_binds + 1, sizeof *m->binds);
	return m->binds ? binds_open(m, b, e) : err_set(e, ENOMEM, "out of memory");
}

void mounts_fini(struct mounts *m)
{
	auto_close(&m->root);
	auto_close(&m->program);
	for (size_t i = 0; i < m->n; i++)
		auto_close(&m->binds[i]);
	free(m->binds);
	free(m->path);
	*m = (struct mounts){.root = -1, .program = -1};
}

/* ---- building ---- */

enum { PLACE = O_PATH | O_CLOEXEC | O_NOFOLLOW };

/* Go on from the folder @*at to @name in it, made if it is not there: a folder, or an empty file. A
 * link is none: it might lead out of a root that somebody else has filled. */
static bool step(int *at, const char *name, bool folder)
{
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	if (folder)
		(void)!mkdirat(*at, name, 0755);
	else {
		autoclose int made =
		    openat(*at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		(void)made; /* or it is there */
	}
	int to = openat(*at, name, PLACE | (folder ? O_DIRECTORY : 0));
	auto_close(at);
	*at = to;
	return to >= 0;
}

/* @tree at "/x/y" of the new root, which is where we are. */
static int tree_place(int tree, const char *at, struct lodge_err *e)
{
	char path[PATH_MAX], *rest, *name, *next;
	struct stat st;
	bool folder = fstat(tree, &st) == 0 && S_ISDIR(st.st_mode), ok = true;
	autoclose int to = open(".", PLACE | O_DIRECTORY);
	snprintf(path, sizeof path, "%s", at);
	for (name = strtok_r(path, "/", &rest); ok && name; name = next) {
		next = strtok_r(NULL, "/", &rest);
		ok = step(&to, name, next || folder);
	}
	if (!ok || to < 0 ||
	    syscall(SYS_move_mount, tree, "", to, "",
	            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, "--isolate: putting something at %s of the root", at);
	return 0;
}

static int small_mount(const char *type, const char *at, unsigned long flags, const char *data,
                       struct lodge_err *e)
{
	mkdir(at, 0755);
	if (mount(type, at, type, NOSUID | flags, data) < 0)
		return err_sys(e, "--isolate: mounting %s at %s of the root", type, at);
	return 0;
}

/* Devices that hold nothing of the host, taken from it, for a user may make none. */
static int devices_make(struct lodge_err *e)
{
	static const char *const names[] = {"null", "zero", "full", "random", "urandom", "tty"};
	int r = small_mount("tmpfs", "dev", NOEXEC, "mode=755,size=1m", e);
	for (size_t i = 0; r == 0 && i < countof(names); i++) {
		char from[32], to[32];
		snprintf(from, sizeof from, "/dev/%s", names[i]);
		snprintf(to, sizeof to, "dev/%s", names[i]);
		if (access(from, F_OK) < 0)
			continue;
		close(open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
		if (mount(from, to, NULL, BIND, NULL) < 0)
			r = err_sys(e, "--isolate: %s", from);
	}
	if (r == 0 && small_mount("devpts", "dev/pts", NOEXEC,
	                          "newinstance,ptmxmode=0666,mode=620", NULL) == 0)
		(void)!symlink("pts/ptmx", "dev/ptmx");
	(void)!symlink("/proc/self/fd", "dev/fd");
	(void)!symlink("/proc/self/fd/0", "dev/stdin");
	(void)!symlink("/proc/self/fd/1", "dev/stdout");
	(void)!symlink("/proc/self/fd/2", "dev/stderr");
	return r == 0 ? small_mount("tmpfs", "dev/shm", NODEV, "mode=1777", e) : r;
}

/* Files that root of the host may write are root's here, too, with or without capabilities. */
static int proc_make(struct lodge_err *e)
{
	static const char *const fixed[] = {"proc/sys", "proc/sysrq-trigger", "proc/irq",
					    "proc/bus", "proc/fs", "proc/acpi", "proc/scsi"};
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	static const char *const hidden[] = {"proc/kcore", "proc/keys", "proc/timer_list",
					     "proc/kallsyms", "proc/config.gz"};
	int r = small_mount("proc", "proc", NODEV | NOEXEC, NULL, e);
	for (size_t i = 0; r == 0 && i < countof(hidden); i++)
		if (access(hidden[i], F_OK) == 0 &&
		    mount("/dev/null", hidden[i], NULL, BIND, NULL) < 0)
			r = err_sys(e, "--isolate: %s", hidden[i]);
	for (size_t i = 0; r == 0 && i < countof(fixed); i++) {
		if (access(fixed[i], F_OK) < 0)
			continue;
		if (mount(fixed[i], fixed[i], NULL, BIND, NULL) < 0 ||
		    syscall(SYS_mount_setattr, AT_FDCWD, fixed[i], 0, &attr, sizeof attr) < 0)
			r = err_sys(e, "--isolate: %s", fixed[i]);
	}
	return r;
}

/* The new root, empty or given, over some folder, where we are then. */
static int root_make(struct mounts *m, struct lodge_err *e)
{
	static const char *const over[] = {"/tmp", "/run", "/mnt", "/var"};
	for (size_t i = 0; i < countof(over); i++) {
		long r = m->root < 0
			     ? mount("tmpfs", over[i], "tmpfs", NOSUID | NODEV, "mode=755")
			     : syscall(SYS_move_mount, m->root, "", AT_FDCWD, over[i],
				       MOVE_MOUNT_F_EMPTY_PATH);
		if (r == 0 && chdir(over[i]) == 0)
			return 0;
	}
	return err_sys(e, "--isolate: a place for a new root");
}

static int root_change(bool read_only, struct lodge_err *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", DETACH) < 0 || chdir("/") < 0)
		return err_sys(e, "--isolate: changing the root");
	if (read_only && syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof attr) < 0)
		return err_sys(e, "--isolate: the new root");
	return 0;
}

int mounts_enter(struct mounts *m, const struct box *b, struct lodge_err *e)
{
	int r = root_make(m, e);
	bool own = m->root < 0;
	if (r == 0 && (own || access("proc", F_OK) == 0))
		r = proc_make(e);
	if (r == 0 && (own || access("dev", F_OK) == 0))
		r = devices_make(e);
	if (r == 0 && own)
		r = small_mount("tmpfs", "tmp", NODEV, "mode=1777", e);
	if (r == 0 && own)
		r = tree_place(m->program, m->path, e);
	return r == 0 ? mounts_finish(m, b, own, e) : r;
}

int mounts_stage(struct mounts *m, struct lodge_err *e) { return root_make(m, e); }

int mounts_finish(struct mounts *m, const struct box *b, bool read_only, struct lodge_err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < m->n; i++)
		r = tree_place(m->binds[i], b->binds[i].target, e);
	return r == 0 ? root_change(read_only, e) : r;
}
