/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on open folders. */
#include "internal.h"
#include <fcntl.h>

static void dir_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct share *s = share_of(req);
	struct node *n;
	int r = node_get(s, id, &n);
	if (!r) {
		int fd = openat(n->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *dir = fd < 0 ? NULL : fdopendir(fd);
		r = dir ? 0 : -errno;
		node_put(s, n);
		if (!r)
			r = handle_new(s, id, fd, dir, &fi->fh);
		else if (fd >= 0)
			close(fd);
	}
	if (r)
		fuse_reply_err(req, -r);
	else if (fuse_reply_open(req, fi))
		handle_close(s, fi->fh, id);
}

static void dir_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	handle_close(share_of(req), fi->fh, id);
	fuse_reply_err(req, 0);
}

/* A listing on its way into a buffer of the size that the guest gave. */
struct listing {
	fuse_req_t req;
	struct node *node;
	bool plus; /* with attributes, each counting as a lookup */
	char *buf; /* owned */
	size_t len, cap;
};

static bool name_is_dots(const char *name) { return !strcmp(name, ".") || !strcmp(name, ".."); }

/* Add one entry; false: no room. */
static bool listing_add(struct listing *l, const struct dirent *d)
{
	struct fuse_entry_param p = { .attr.st_ino = d->d_ino };
	struct share *s = share_of(l->req);
	size_t room = l->cap - l->len, need;
	p.attr.st_mode = (mode_t)d->d_type << 12; /* DT_* are S_IF* without their low bits */
	if (!strcmp(d->d_name, "..") && l->node->id == FUSE_ROOT_ID)
		p.attr.st_ino = l->node->ino; /* what lies above is none of the guest's business */
	if (!l->plus) {
		need =
		    fuse_add_direntry(l->req, l->buf + l->len, room, d->d_name, &p.attr, d->d_off);
	} else {
		/* An entry that vanished just now is listed without attributes. */
		if (!name_is_dots(d->d_name) && share_entry(s, l->node, d->d_name, &p))
			p.ino = 0;
		need =
		    fuse_add_direntry_plus(l->req, l->buf + l->len, room, d->d_name, &p, d->d_off);
		if (need > room && p.ino)
			node_forget(s, p.ino, 1);
	}
	if (need > room)
		return false;
	l->len += need;
	return true;
}

/* Fill the listing from @off on. 0 or -errno; an error after some entries waits for next time. */
static int listing_fill(struct listing *l, struct handle *h, off_t off)
{
	if (off != h->dir_off) {
		seekdir(h->dir, off);
		h->dir_off = off;
	}
	for (;;) {
		errno = 0;
		const struct dirent *d = readdir(h->dir);
		if (!d)
			return l->len ? 0 : -errno;
		if (!listing_add(l, d)) {
			/* Read again next time. */
			seekdir(h->dir, h->dir_off);
			return 0;
		}
		h->dir_off = d->d_off;
	}
}

static void dir_list(fuse_req_t req, fuse_ino_t id, size_t size, off_t off, uint64_t fh, bool plus)
{
	struct share *s = share_of(req);
	struct share_job *j = share_job_now(s);
	size_t room = j->in_len > SHARE_HEADER_OUT ? j->in_len - SHARE_HEADER_OUT : 0;
	struct listing l = { .req = req, .plus = plus };
	struct handle *h = handle_get(s, fh, id);
	int r = h && h->dir ? node_get(s, id, &l.node) : -EBADF;
	l.cap = min_u64(min_u64(size, room), SHARE_DATA_MAX);
	if (!r) {
		l.buf = malloc(l.cap + 1);
		pthread_mutex_lock(&h->lock);
		r = l.buf ? listing_fill(&l, h, off) : -ENOMEM;
		pthread_mutex_unlock(&h->lock);
		node_put(s, l.node);
	}
	if (h)
		handle_put(s, h);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, l.buf, l.len);
	free(l.buf);
}

static void dir_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t off,
                     struct fuse_file_info *fi)
{
	dir_list(req, id, size, off, fi->fh, false);
}

static void dir_readplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t off,
                         struct fuse_file_info *fi)
{
	dir_list(req, id, size, off, fi->fh, true);
}

static void dir_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
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

void ops_dir(struct fuse_lowlevel_ops *o)
{
	o->opendir = dir_open;
	o->releasedir = dir_release;
	o->readdir = dir_read;
	o->readdirplus = dir_readplus;
	o->fsyncdir = dir_fsync;
}
