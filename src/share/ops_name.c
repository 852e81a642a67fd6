/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on names: look up, make, remove, rename, link. The guard has refused every name that
 * is more than one path component. */
#include "internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

mode_t share_mode(const struct share *s, mode_t mode)
{
	return mode & (s->o.guest_owner ? 07777u : 01777u);
}

int share_entry(struct share *s, struct node *parent, const char *name,
                struct fuse_entry_param *ret)
{
	struct fuse_entry_param p = {.attr_timeout = SHARE_TIMEOUT, .entry_timeout = SHARE_TIMEOUT};
	int fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &p.attr) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	int r = node_enter(s, parent, name, fd, &p.attr, &p.ino);
	if (!r)
		*ret = p;
	return r;
}

/* Answer with the entry @name of @parent, or with @r when that is an error. Puts @parent. */
static void name_answer(fuse_req_t req, struct node *parent, const char *name, int r)
{
	struct share *s = share_of(req);
	struct fuse_entry_param p;
	if (!r)
		r = share_entry(s, parent, name, &p);
	node_put(s, parent);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &p);
}

static void name_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node *n;
	int r = node_get(share_of(req), parent, &n);
	if (r)
		fuse_reply_err(req, -r);
	else
		name_answer(req, n, name, 0);
}

static void name_forget(fuse_req_t req, fuse_ino_t id, uint64_t count)
{
	node_forget(share_of(req), id, count);
	fuse_reply_none(req);
}

static void name_forget_many(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++)
		node_forget(share_of(req), f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

/* The new file @name belongs to the guest's user, when this share keeps such things. The kernel
 * clears set-user-id bits then, so they are set again. */
static int name_own(fuse_req_t req, const struct node *parent, const char *name, mode_t mode)
{
	struct share *s = share_of(req);
	const struct fuse_ctx *c = fuse_req_ctx(req);
	if (!s->o.guest_owner)
		return 0;
	autoclose int fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchownat(fd, "", c->uid, c->gid, AT_EMPTY_PATH) < 0)
		return -errno;
	if (mode & (S_ISUID | S_ISGID) && fchmodat(s->proc, fd_name(fd).text, mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

static bool name_mknod_ok(const struct share *s, mode_t mode)
{
	switch (mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK: return true;
	case S_IFCHR:
	case S_IFBLK: return s->o.guest_owner && s->o.devices;
	default: return false;
	}
}

static void name_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	struct share *s = share_of(req);
	struct node *n = NULL;
	int r = name_mknod_ok(s, mode) ? node_get(s, parent, &n) : -EPERM;
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	bool device = S_ISCHR(mode) || S_ISBLK(mode);
	if (mknodat(n->fd, name, (mode & S_IFMT) | share_mode(s, mode), device ? dev : 0) < 0)
		r = -errno;
	name_answer(req, n, name, r ? r : name_own(req, n, name, mode));
}

static void name_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct share *s = share_of(req);
	struct node *n;
	int r = node_get(s, parent, &n);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	if (mkdirat(n->fd, name, share_mode(s, mode)) < 0)
		r = -errno;
	name_answer(req, n, name, r ? r : name_own(req, n, name, mode));
}

static void name_symlink(fuse_req_t req, const char *text, fuse_ino_t parent, const char *name)
{
	struct node *n;
	int r = node_get(share_of(req), parent, &n);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	if (symlinkat(text, n->fd, name) < 0)
		r = -errno;
	name_answer(req, n, name, r ? r : name_own(req, n, name, 0));
}

static void name_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
	struct share *s = share_of(req);
	struct node *n, *file;
	int r = node_get(s, parent, &n);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	r = node_get(s, id, &file);
	if (!r) {
		/* The link in /proc leads to the file itself, never through a symbolic link. */
		if (linkat(s->proc, fd_name(file->fd).text, n->fd, name, AT_SYMLINK_FOLLOW) < 0)
			r = -errno;
		node_put(s, file);
	}
	name_answer(req, n, name, r);
}

static void name_remove(fuse_req_t req, fuse_ino_t parent, const char *name, int flags)
{
	struct share *s = share_of(req);
	struct node *n;
	int r = node_get(s, parent, &n);
	if (!r) {
		node_unlinking(s, n, name);
		if (unlinkat(n->fd, name, flags) < 0)
			r = -errno;
		node_put(s, n);
	}
	fuse_reply_err(req, -r);
}

static void name_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	name_remove(req, parent, name, 0);
}

static void name_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	name_remove(req, parent, name, AT_REMOVEDIR);
}

static int name_move(struct share *s, struct node *from, const char *name, struct node *to,
                     const char *newname, unsigned flags)
{
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (!(flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)))
		node_unlinking(s, to, newname);
	if (renameat2(from->fd, name, to->fd, newname, flags) < 0)
		return -errno;
	node_renamed(s, to, newname);
	if (flags & RENAME_EXCHANGE)
		node_renamed(s, from, name);
	return 0;
}

static void name_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
                        const char *newname, unsigned flags)
{
	struct share *s = share_of(req);
	struct node *from, *to;
	int r = node_get(s, parent, &from);
	if (!r) {
		r = node_get(s, newparent, &to);
		if (!r) {
			r = name_move(s, from, name, to, newname, flags);
			node_put(s, to);
		}
		node_put(s, from);
	}
	fuse_reply_err(req, -r);
}

static void name_readlink(fuse_req_t req, fuse_ino_t id)
{
	struct share *s = share_of(req);
	struct node *n;
	char text[4096 + 1];
	int r = node_get(s, id, &n);
	if (!r) {
		ssize_t len = readlinkat(n->fd, "", text, sizeof text);
		r = len < 0 ? -errno : len >= (ssize_t)sizeof text ? -ENAMETOOLONG : 0;
		/* An O_PATH folder or file says ENOENT; the protocol's word for it is EINVAL. */
		r = r == -ENOENT ? -EINVAL : r;
		if (!r)
			text[len] = 0;
		node_put(s, n);
	}
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, text);
}

void ops_name(struct fuse_lowlevel_ops *o)
{
	o->lookup = name_lookup;
	o->forget = name_forget;
	o->forget_multi = name_forget_many;
	o->mknod = name_mknod;
	o->mkdir = name_mkdir;
	o->symlink = name_symlink;
	o->link = name_link;
	o->unlink = name_unlink;
	o->rmdir = name_rmdir;
	o->rename = name_rename;
	o->readlink = name_readlink;
}
