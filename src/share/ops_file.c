/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on open files. Data goes straight between the file and guest memory. */
#include "internal.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>

enum { OPEN_FLAGS = O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC };

int share_reopen(struct share *s, const struct node *n, int flags)
{
	struct stat st;
	if (fstat(n->fd, &st) < 0)
		return -errno;
	/* Opening a device or a pipe would do something to it; the guest has its own. */
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -ENXIO;
	int fd = openat(s->proc, fd_name(n->fd).text, (flags & OPEN_FLAGS) | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* Make a handle for @fd (taken over; or -errno) and put it into @fi. */
static int file_handle(struct share *s, fuse_ino_t id, int fd, struct fuse_file_info *fi)
{
	if (fd < 0)
		return fd;
	return handle_new(s, id, fd, NULL, &fi->fh);
}

static void file_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct node *n;
	int r = node_get(s, id, &n);
	if (!r) {
		r = file_handle(s, id, share_reopen(s, n, fi->flags), fi);
		node_put(s, n);
	}
	if (r)
		fuse_reply_err(req, -r);
	else if (fuse_reply_open(req, fi))
		handle_close(s, fi->fh, id);
}

/* Make @name, or, when it is there and @flags allow, open it. */
static int file_make(fuse_req_t req, struct node *parent, const char *name, mode_t mode,
                     struct fuse_file_info *fi, struct fuse_entry_param *ret)
{
	struct share *s = share_of(req);
	int flags = (fi->flags & OPEN_FLAGS) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent->fd, name, flags, share_mode(s, mode));
	bool there = fd < 0 && errno == EEXIST && !(fi->flags & O_EXCL);
	if (fd < 0 && !there)
		return -errno;
	if (fd >= 0 && s->o.guest_owner) {
		const struct fuse_ctx *c = fuse_req_ctx(req);
		if (fchown(fd, c->uid, c->gid) < 0 ||
		    (mode & (S_ISUID | S_ISGID) && fchmod(fd, mode & 07777) < 0)) {
			int r = -errno;
			close(fd);
			return r;
		}
	}
	struct node *n;
	int r = share_entry(s, parent, name, ret);
	if (!r && there && !(r = node_get(s, ret->ino, &n))) {
		fd = share_reopen(s, n, fi->flags);
		node_put(s, n);
	}
	if (!r)
		r = file_handle(s, ret->ino, take_fd(&fd), fi);
	if (fd >= 0)
		close(fd);
	if (r && ret->ino)
		node_forget(s, ret->ino, 1);
	return r;
}

static void file_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                        struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct fuse_entry_param p = { 0 };
	struct node *n;
	int r = node_get(s, parent, &n);
	if (!r) {
		r = file_make(req, n, name, mode, fi, &p);
		node_put(s, n);
	}
	if (r)
		fuse_reply_err(req, -r);
	else if (fuse_reply_create(req, &p, fi))
		handle_close(s, fi->fh, p.ino);
}

static void file_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	handle_close(share_of(req), fi->fh, id);
	fuse_reply_err(req, 0);
}

/* The part of @v from @skip on, at most @len bytes and IOV_MAX pieces. Returns pieces. */
static int iov_part(const struct iovec *v, int n, size_t skip, size_t len, struct iovec *ret)
{
	int k = 0;
	for (int i = 0; i < n && len && k < IOV_MAX; i++) {
		if (skip >= v[i].iov_len) {
			skip -= v[i].iov_len;
			continue;
		}
		size_t part = min_u64(v[i].iov_len - skip, len);
		ret[k++] = (struct iovec){ (uint8_t *)v[i].iov_base + skip, part };
		len -= part;
		skip = 0;
	}
	return k;
}

static void file_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t off,
                      struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct share_job *j = share_job_now(s);
	struct iovec iov[IOV_MAX], got[IOV_MAX];
	struct handle *h = handle_get(s, fi->fh, id);
	size_t room = j->in_len > SHARE_HEADER_OUT ? j->in_len - SHARE_HEADER_OUT : 0;
	if (!h || h->dir) {
		fuse_reply_err(req, EBADF);
		if (h)
			handle_put(s, h);
		return;
	}
	size = min_u64(min_u64(size, room), SHARE_DATA_MAX);
	int n = iov_part(j->r->in, j->r->nin, SHARE_HEADER_OUT, size, iov);
	ssize_t len = off < 0 ? (errno = EINVAL, -1) : preadv(h->fd, iov, n, off);
	int code = errno;
	handle_put(s, h);
	if (len < 0) {
		fuse_reply_err(req, code);
		return;
	}
	/* The bytes are in their place behind the header already. */
	n = iov_part(iov, n, 0, (size_t)len, got);
	fuse_reply_iov(req, got, n);
}

static void file_write(fuse_req_t req, fuse_ino_t id, const char *unused, size_t size, off_t off,
                       struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct share_job *j = share_job_now(s);
	struct iovec iov[IOV_MAX];
	struct handle *h = handle_get(s, fi->fh, id);
	(void)unused; /* where libfuse believes the data to be */
	if (!h || h->dir) {
		fuse_reply_err(req, EBADF);
		if (h)
			handle_put(s, h);
		return;
	}
	int n = iov_part(j->r->out, j->r->nout, j->out_len - size, size, iov);
	ssize_t len = off < 0 ? (errno = EINVAL, -1) : pwritev(h->fd, iov, n, off);
	int code = errno;
	handle_put(s, h);
	if (len < 0)
		fuse_reply_err(req, code);
	else
		fuse_reply_write(req, (size_t)len);
}

static void file_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct handle *h = handle_get(s, fi->fh, id);
	int r = h ? 0 : EBADF;
	if (h) {
		/* Closing a duplicate reports what a network file system has kept back. */
		int fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0 || close(fd) < 0)
			r = errno;
		handle_put(s, h);
	}
	fuse_reply_err(req, r);
}

static void file_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct handle *h = handle_get(s, fi->fh, id);
	int r = h ? 0 : EBADF;
	if (h) {
		if ((datasync ? fdatasync(h->fd) : fsync(h->fd)) < 0)
			r = errno;
		handle_put(s, h);
	}
	fuse_reply_err(req, r);
}

static void file_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t off, off_t len,
                           struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct handle *h = handle_get(s, fi->fh, id);
	int r = h ? 0 : EBADF;
	if (h) {
		if (fallocate(h->fd, mode, off, len) < 0)
			r = errno;
		handle_put(s, h);
	}
	fuse_reply_err(req, r);
}

static void file_lseek(fuse_req_t req, fuse_ino_t id, off_t off, int whence,
                       struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct handle *h = handle_get(s, fi->fh, id);
	off_t at = -1;
	int code = EBADF;
	if (h && !h->dir) {
		/* Anything else the guest's kernel does itself. */
		at = whence == SEEK_DATA || whence == SEEK_HOLE ? lseek(h->fd, off, whence)
		                                                : (errno = EINVAL, -1);
		code = errno;
	}
	if (h)
		handle_put(s, h);
	if (at < 0)
		fuse_reply_err(req, code);
	else
		fuse_reply_lseek(req, at);
}

static void file_copy(fuse_req_t req, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in,
                      fuse_ino_t out, off_t off_out, struct fuse_file_info *fi_out, size_t len,
                      int flags)
{
	struct share *s = share_of(req);
	struct handle *from = handle_get(s, fi_in->fh, in), *to = handle_get(s, fi_out->fh, out);
	ssize_t done = -1;
	int code = EBADF;
	if (from && to && !from->dir && !to->dir) {
		/* In pieces, so that one request does not hold a worker for a terabyte. */
		len = min_u64(len, 64u << 20);
		done = flags ? (errno = EINVAL, -1)
		             : copy_file_range(from->fd, &off_in, to->fd, &off_out, len, 0);
		code = errno;
	}
	if (from)
		handle_put(s, from);
	if (to)
		handle_put(s, to);
	if (done < 0)
		fuse_reply_err(req, code);
	else
		fuse_reply_write(req, (size_t)done);
}

void ops_file(struct fuse_lowlevel_ops *o, const struct share_options *w)
{
	o->open = file_open;
	o->release = file_release;
	o->read = file_read;
	o->flush = file_flush;
	o->fsync = file_fsync;
	o->lseek = file_lseek;
	if (w->readonly)
		return; /* the guard refuses these too */
	o->create = file_create;
	o->write = file_write;
	o->fallocate = file_fallocate;
	o->copy_file_range = file_copy;
}
