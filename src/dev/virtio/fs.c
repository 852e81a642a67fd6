/* SPDX-License-Identifier: Apache-2.0 */
/* A shared folder of the host. Requests are handed to a struct share and answered when its
 * workers are done. Spec: VIRTIO 1.2 §5.11 */
#include "dev/virtio/virtio.h"
#include "share/share.h"
#include <limits.h>

enum {
	QUEUES = 2,       /* for urgent messages (forgets), and one for requests */
	QUEUE_SIZE = 512, /* a request of 1 MiB in pages, with headers, fits one table */
	TAG = 36,
	CONFIG = TAG + 4,
};

struct fs {
	struct virtio v;
	struct share *share; /* borrowed from the backend, or owned when @own */
	bool own, used;
	uint8_t tag[TAG];
};

struct fs_job {
	struct share_req r;
	struct fs *fs;
	unsigned queue;
	struct iovec *iov; /* owned: the spans of c */
	struct chain c;
};

static struct fs *fs_of(struct virtio *v) { return container_of(v, struct fs, v); }

static void fs_done(struct share_req *r, uint32_t written)
{
	struct fs_job *j = container_of(r, struct fs_job, r);
	virtq_push(&j->fs->v, j->queue, &j->c, written);
	free(j->iov);
	free(j);
}

static bool fs_gather(struct fs_job *j)
{
	struct chain *c = &j->c;
	int n = 0;
	j->iov = calloc((size_t)c->nout + c->nin + 1, sizeof *j->iov);
	if (!j->iov)
		return false;
	for (struct span s; chain_next_out(c, &s);)
		j->iov[n++] = (struct iovec){ s.p, s.len };
	j->r.nout = n;
	for (struct span s; chain_next_in(c, &s);)
		j->iov[n++] = (struct iovec){ s.p, s.len };
	j->r.nin = n - j->r.nout;
	j->r.out = j->iov;
	j->r.in = j->iov + j->r.nout;
	return true;
}

static void fs_serve(struct virtio *v, unsigned queue)
{
	struct fs *f = fs_of(v);
	for (;;) {
		struct fs_job *j = malloc(sizeof *j);
		if (!j || !virtq_pop(v, queue, &j->c)) {
			free(j);
			return;
		}
		j->r = (struct share_req){ .done = fs_done };
		j->fs = f;
		j->queue = queue;
		j->iov = NULL;
		f->used = true;
		if (f->share && fs_gather(j))
			share_submit(f->share, &j->r);
		else
			fs_done(&j->r, 0);
	}
}

/* The guest's mount is gone with its driver. No worker touches guest memory after this. */
static void fs_reset(struct virtio *v)
{
	struct fs *f = fs_of(v);
	if (f->share && f->used)
		share_reset(f->share);
	f->used = false;
}

static void fs_drain(struct virtio *v)
{
	struct fs *f = fs_of(v);
	if (!f->share || !v->s.loop)
		return;
	pthread_mutex_lock(v->lock);
	share_drain(f->share);
	pthread_mutex_unlock(v->lock);
}

static size_t fs_save_more(struct virtio *v, uint8_t *buf, size_t cap)
{
	const struct fs *f = fs_of(v);
	return f->share ? share_save(f->share, buf, cap) : 0;
}

static bool fs_load_more(struct virtio *v, const uint8_t *buf, size_t len)
{
	struct fs *f = fs_of(v);
	f->used = true;
	return f->share ? share_load(f->share, buf, len) : len == 0;
}

static void fs_config_read(struct virtio *v, uint8_t *config)
{
	memcpy(config, fs_of(v)->tag, TAG);
	le32_put(config + TAG, QUEUES - 1);
}

static bool fs_option_is(const struct virtio *v, const char *key, const char *value)
{
	char got[16];
	return virtio_option(v, key, got, sizeof got) && !strcmp(got, value);
}

/* Without a backend the folder is named by options: path=, ro=on, owner=guest, devices=on,
 * xattr=on. A path with a comma needs a backend. */
static int fs_open(struct fs *f, struct lodge_err *e)
{
	struct virtio *v = &f->v;
	char path[PATH_MAX];
	f->share = v->s.backend;
	if (f->share || !virtio_option(v, "path", path, sizeof path))
		return 0;
	struct share_options o = {
		.path = path,
		.readonly = fs_option_is(v, "ro", "on"),
		.guest_owner = fs_option_is(v, "owner", "guest"),
		.devices = fs_option_is(v, "devices", "on"),
		.xattr = fs_option_is(v, "xattr", "on"),
	};
	f->own = true;
	return share_open(&f->share, &o, v->s.loop, v->s.log, e);
}

static int fs_init(struct virtio *v, struct lodge_err *e)
{
	struct fs *f = fs_of(v);
	char tag[TAG + 2] = "share";
	(void)virtio_option(v, "tag", tag, sizeof tag);
	size_t len = strlen(tag);
	if (!len || len > TAG)
		return err_set(e, EINVAL, "tag \"%s\" is not 1 to %d bytes", tag, TAG);
	memcpy(f->tag, tag, len);
	v->queue_size = QUEUE_SIZE;
	int r = fs_open(f, e);
	return r || !f->share ? r : share_attach(f->share, v->lock, e);
}

static void fs_fini(struct virtio *v)
{
	struct fs *f = fs_of(v);
	if (f->share)
		share_detach(f->share);
	if (f->own)
		share_close(f->share);
}

const struct virtio_class virtio_fs = {
	.name = "fs", .summary = "shared folder (backend: struct share; tag=NAME)",
	.size = sizeof(struct fs), .device_id = 26, .pci_class = 0x018000, .config_len = CONFIG,
	.nqueues = QUEUES, .init = fs_init, .fini = fs_fini, .reset = fs_reset, .serve = fs_serve,
	.config_read = fs_config_read, .drain = fs_drain, .save_more = fs_save_more,
	.load_more = fs_load_more,
};
