/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes, extended attributes, and the state of the file system. */
#include "internal.h"
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

enum { XATTR_MAX = 64 << 10 };

static int attr_answer(fuse_req_t req, const struct node *n)
{
	struct stat st;
	if (fstat(n->fd, &st) < 0)
		return -errno;
	fuse_reply_attr(req, &st, SHARE_TIMEOUT);
	return 0;
}

static void attr_get(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct node *n;
	int r = node_get(s, id, &n);
	(void)fi;
	if (!r) {
		r = attr_answer(req, n);
		node_put(s, n);
	}
	if (r)
		fuse_reply_err(req, -r);
}

/* A descriptor of @n to act on: of the guest's handle when there is one. */
static int attr_truncate(struct share *s, const struct node *n, off_t size,
                         const struct fuse_file_info *fi)
{
	struct handle *h = fi ? handle_get(s, fi->fh, n->id) : NULL;
	int fd = h ? h->fd : share_reopen(s, n, O_WRONLY);
	int r = fd < 0 ? fd : ftruncate(fd, size) < 0 ? -errno : 0;
	if (h)
		handle_put(s, h);
	else if (fd >= 0)
		close(fd);
	return r;
}

static int attr_times(struct share *s, const struct node *n, const struct stat *want, int set)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };
	if (set & FUSE_SET_ATTR_ATIME_NOW)
		t[0].tv_nsec = UTIME_NOW;
	else if (set & FUSE_SET_ATTR_ATIME)
		t[0] = want->st_atim;
	if (set & FUSE_SET_ATTR_MTIME_NOW)
		t[1].tv_nsec = UTIME_NOW;
	else if (set & FUSE_SET_ATTR_MTIME)
		t[1] = want->st_mtim;
	int r = S_ISLNK(n->type) ? utimensat(n->fd, "", t, AT_EMPTY_PATH)
	                         : utimensat(s->proc, fd_name(n->fd).text, t, 0);
	return r < 0 ? -errno : 0;
}

static int attr_owner(struct share *s, const struct node *n, const struct stat *want, int set)
{
	uid_t uid = set & FUSE_SET_ATTR_UID ? want->st_uid : (uid_t)-1;
	gid_t gid = set & FUSE_SET_ATTR_GID ? want->st_gid : (gid_t)-1;
	struct stat st;
	if (!s->o.guest_owner) {
		/* Giving a file to whom it belongs already is no change. */
		if (fstat(n->fd, &st) < 0)
			return -errno;
		bool same = (uid == (uid_t)-1 || uid == st.st_uid) &&
		            (gid == (gid_t)-1 || gid == st.st_gid);
		return same ? 0 : -EPERM;
	}
	return fchownat(n->fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int attr_change(struct share *s, const struct node *n, const struct stat *want, int set,
                       const struct fuse_file_info *fi)
{
	int r = 0;
	if (set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		r = attr_owner(s, n, want, set);
	if (!r && set & FUSE_SET_ATTR_SIZE)
		r = attr_truncate(s, n, want->st_size, fi);
	if (!r && set & FUSE_SET_ATTR_MODE &&
	    fchmodat(s->proc, fd_name(n->fd).text, share_mode(s, want->st_mode), 0) < 0)
		r = -errno;
	if (!r && set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME))
		r = attr_times(s, n, want, set);
	return r;
}

static void attr_set(fuse_req_t req, fuse_ino_t id, struct stat *want, int set,
                     struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct node *n;
	int r = node_get(s, id, &n);
	if (!r) {
		r = attr_change(s, n, want, set, fi);
		if (!r)
			r = attr_answer(req, n);
		node_put(s, n);
	}
	if (r)
		fuse_reply_err(req, -r);
}

static void attr_statfs(fuse_req_t req, fuse_ino_t id)
{
	struct share *s = share_of(req);
	struct statvfs v;
	struct node *n;
	int r = node_get(s, id, &n);
	if (!r) {
		r = fstatvfs(n->fd, &v) < 0 ? -errno : 0;
		node_put(s, n);
	}
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_statfs(req, &v);
}

/* ---- extended attributes: user.* only ---- */

/* A readable descriptor of the file @id, or -errno. */
static int xattr_open(struct share *s, fuse_ino_t id)
{
	struct node *n;
	int r = node_get(s, id, &n);
	if (r)
		return r;
	r = share_reopen(s, n, O_RDONLY);
	node_put(s, n);
	return r == -ENXIO ? -EOPNOTSUPP : r; /* only files and folders have user.* */
}

static bool xattr_name_ok(const char *name) { return !strncmp(name, "user.", 5); }

static void xattr_set(fuse_req_t req, fuse_ino_t id, const char *name, const char *value,
                      size_t size, int flags)
{
	autoclose int fd = xattr_name_ok(name) ? xattr_open(share_of(req), id) : -EOPNOTSUPP;
	int r = fd < 0 ? -fd : fsetxattr(fd, name, value, size, flags) < 0 ? errno : 0;
	fuse_reply_err(req, r);
}

static void xattr_remove(fuse_req_t req, fuse_ino_t id, const char *name)
{
	autoclose int fd = xattr_name_ok(name) ? xattr_open(share_of(req), id) : -EOPNOTSUPP;
	int r = fd < 0 ? -fd : fremovexattr(fd, name) < 0 ? errno : 0;
	fuse_reply_err(req, r);
}

/* Answer with @len bytes, or only with their number when the guest asked for that (@size 0). */
static void xattr_answer(fuse_req_t req, const char *buf, ssize_t len, size_t size)
{
	if (len < 0)
		fuse_reply_err(req, errno);
	else if (!size)
		fuse_reply_xattr(req, (size_t)len);
	else if ((size_t)len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, buf, (size_t)len);
}

static void xattr_get(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
	autoclose int fd = xattr_name_ok(name) ? xattr_open(share_of(req), id) : -EOPNOTSUPP;
	autofree char *buf = malloc(XATTR_MAX);
	if (fd < 0 || !buf) {
		fuse_reply_err(req, fd < 0 ? -fd : ENOMEM);
		return;
	}
	xattr_answer(req, buf, fgetxattr(fd, name, buf, XATTR_MAX), size);
}

static void xattr_list(fuse_req_t req, fuse_ino_t id, size_t size)
{
	autoclose int fd = xattr_open(share_of(req), id);
	autofree char *buf = malloc(XATTR_MAX);
	if (fd < 0 || !buf) {
		fuse_reply_err(req, fd < 0 ? -fd : ENOMEM);
		return;
	}
	ssize_t len = flistxattr(fd, buf, XATTR_MAX), kept = 0;
	for (ssize_t i = 0, n; i < len; i += n) {
		n = (ssize_t)strlen(buf + i) + 1;
		if (xattr_name_ok(buf + i)) {
			memmove(buf + kept, buf + i, (size_t)n);
			kept += n;
		}
	}
	xattr_answer(req, buf, len < 0 ? len : kept, size);
}

void ops_attr(struct fuse_lowlevel_ops *o, const struct share_options *w)
{
	o->getattr = attr_get;
	o->setattr = attr_set;
	o->statfs = attr_statfs;
	if (!w->xattr)
		return; /* the guest then asks once and never again */
	o->setxattr = xattr_set;
	o->getxattr = xattr_get;
	o->listxattr = xattr_list;
	o->removexattr = xattr_remove;
}
