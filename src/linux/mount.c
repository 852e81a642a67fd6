/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts are the host's, where the caller may make them; their paths are the guest's. The root
 * itself is moved by translation only. */
#include "linux/internal.h"
#include <linux/capability.h>
#include <linux/mount.h>
#include <stdio.h>

/* @fixed: what to answer when it is in a bind that is fixed. */
static int plain_find(struct linux_task *t, unsigned slot, const char **ret, uint64_t path,
                      unsigned how, int fixed)
{
	struct where w;
	int r = path_find(t, slot, &w, AT_FDCWD, path, how);
	if (!r && path_is_fixed(t, slot))
		r = fixed;
	return r < 0 ? r : path_plain(t, slot, ret, &w);
}

/* A root's installer unmounts /proc and mounts its own: that would be the host's. What is there
 * counts as no mount when it is to go, and as a busy one when another is to come. */
int64_t call_umount2(struct linux_task *t, const uint64_t a[6])
{
	enum { NOFOLLOW = 8 };
	const char *path;
	int r = plain_find(t, 0, &path, a[0], a[1] & NOFOLLOW ? LAST : FOLLOW, -EINVAL);
	return r ? r : HOST(SYS_umount2, ptr(path), a[1]);
}

int64_t call_mount(struct linux_task *t, const uint64_t a[6])
{
	const char *source = NULL, *target;
	char first = 0;
	int r = plain_find(t, 0, &target, a[1], FOLLOW, -EBUSY);
	if (r)
		return r;
	if (a[4] >= t->proc->user_end || (a[0] && linux_read(t->proc, &first, a[0], 1)))
		return -EFAULT;
	/* a source is a path, or any text: of file systems without one */
	if (first == '/')
		r = plain_find(t, 1, &source, a[0], FOLLOW, 0);
	return r ? r
		 : HOST(SYS_mount, first == '/' ? ptr(source) : a[0], ptr(target), a[2], a[3],
			a[4]);
}

int64_t call_move_mount(struct linux_task *t, const uint64_t a[6])
{
	struct where from, to;
	int r = path_find(t, 0, &from, (int)a[0], a[1],
	                  a[4] & MOVE_MOUNT_F_SYMLINKS ? FOLLOW : LAST);
	if (!r)
		r = path_find(t, 1, &to, (int)a[2], a[3],
			      a[4] & MOVE_MOUNT_T_SYMLINKS ? FOLLOW : LAST);
	if (!r && (path_is_fixed(t, 0) || path_is_fixed(t, 1)))
		r = -EBUSY;
	return r ? r
	         : HOST(SYS_move_mount, reg(from.dir), ptr(from.name), reg(to.dir), ptr(to.name),
	                a[4]);
}

int64_t call_fspick(struct linux_task *t, const uint64_t a[6])
{
	struct where w;
	int r =
	    path_find(t, 0, &w, (int)a[0], a[1], a[2] & FSPICK_SYMLINK_NOFOLLOW ? LAST : FOLLOW);
	return r ? call_refuse(t, SYS_fspick, a, r)
	         : HOST(SYS_fspick, reg(w.dir), ptr(w.name), a[2]);
}

int64_t call_fsconfig(struct linux_task *t, const uint64_t a[6])
{
	struct where w;
	int r;
	switch ((int)a[1]) {
	case FSCONFIG_SET_PATH:
		r = path_find(t, 0, &w, (int)a[4], a[3], FOLLOW);
		return r ? r : HOST(SYS_fsconfig, a[0], a[1], a[2], ptr(w.name), reg(w.dir));
	case FSCONFIG_SET_BINARY:
		if (!range_ok(t->proc, a[3], (uint32_t)a[4]))
			return -EFAULT;
		break;
	case FSCONFIG_SET_FD:
		return fd_hidden(t->proc, a[4]) ? -EBADF : linux_direct(SYS_fsconfig, a);
	default:
		if (a[3] >= t->proc->user_end)
			return -EFAULT;
	}
	return linux_direct(SYS_fsconfig, a);
}

/* Without a root of ours it is the host's, as its mounts are; a translated one cannot be moved. */
int64_t call_pivot_root(struct linux_task *t, const uint64_t a[6])
{
	const struct linux_proc *p = t->proc;
	return p->root_fd >= 0 || p->n_binds ? -EPERM : linux_direct(SYS_pivot_root, a);
}

/* chroot asks for a capability, as the kernel's does. */
static bool may_chroot(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };
	return !HOST(SYS_capget, ptr(&h), ptr(d)) && d[0].effective & 1u << CAP_SYS_CHROOT;
}

/* The new root's path lives until the process ends: other threads may be using the old one. */
int64_t call_chroot(struct linux_task *t, const uint64_t a[6])
{
	struct linux_proc *p = t->proc;
	struct where w;
	char name[40];
	int64_t r = path_find(t, 0, &w, AT_FDCWD, a[0], FOLLOW);
	if (!r)
		r = HOST(SYS_openat, reg(w.dir), ptr(w.name), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r < 0)
		return r;
	int fd = linux_fd_own(p, (int)r);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	int64_t n = HOST(SYS_readlink, ptr(name), ptr(t->path[0]), PATH_MAX - 1);
	char *root = n > 0 ? strndup(t->path[0], (size_t)n) : NULL;
	r = !may_chroot() ? -EPERM : n < 0 ? n : !root ? -ENOMEM : 0;
	if (r) {
		free(root);
		close(fd);
		return r;
	}
	if (strcmp(root, p->root ? p->root : "/"))
		p->n_binds = 0; /* they hang in the old root */
	p->root = root;
	p->root_fd = fd;
	return 0;
}
