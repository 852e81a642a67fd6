/* SPDX-License-Identifier: Apache-2.0 */
/* The door of blk: which format an image has, opening a chain of images, and the checks that
 * every request passes once. */
#include "blk/internal.h"

#define BLOCK(name) extern const struct blk_class blk_class_##name;
#include "blk/blk.def"

static const struct blk_class *const classes[] = {
#define BLOCK(name) &blk_class_##name,
#include "blk/blk.def"
};

const struct blk_class *blk_class_at(size_t i)
{
	return i < countof(classes) ? classes[i] : NULL;
}

const struct blk_class *blk_class_find(const char *name)
{
	for (size_t i = 0; i < countof(classes); i++)
		if (!strcmp(classes[i]->name, name))
			return classes[i];
	return NULL;
}

/* What the first bytes of the file say. A file that is not there is raw: it may be created. */
static int image_probe(const struct blk_class **ret, const char *path, struct lodge_err *e)
{
	struct file f;
	uint8_t head[SECTOR] = { 0 };
	*ret = blk_class_find("raw");
	int r = file_open(&f, path, FILE_READ, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = file_read_buf(&f, 0, head, sizeof head);
	file_close(&f);
	if (r < 0)
		return err_set(e, -r, "%s: cannot read its first sector", path);
	for (size_t i = 0; i < countof(classes); i++)
		if (classes[i]->probe(head, sizeof head)) {
			*ret = classes[i];
			break;
		}
	return 0;
}

static int image_class(const struct blk_class **ret, const struct image_options *o,
                       struct lodge_err *e)
{
	if (!o->format)
		return image_probe(ret, o->path, e);
	*ret = blk_class_find(o->format);
	if (!*ret)
		return err_set(e, EINVAL,
		               "%s: disk format %s is not known (raw, qcow2, overlay are)",
		               o->path, o->format);
	return 0;
}

/* A file that stands twice in a chain would make reads go round for ever. */
static int image_check_loop(const struct image *im, struct lodge_err *e)
{
	unsigned depth = 0;
	for (const struct image *up = im->above; up; up = up->above, depth++)
		if (up->file.dev == im->file.dev && up->file.ino == im->file.ino)
			return err_set(e, ELOOP, "%s is its own backing file", im->file.path);
	if (depth > DEPTH_MAX)
		return err_set(e, ELOOP, "%s: more than %d backing files", im->file.path,
		               DEPTH_MAX);
	return 0;
}

/* FNV-1a over numbers: enough to notice a change, no defence against an enemy. */
static uint64_t stamp_add(uint64_t stamp, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		stamp = (stamp ^ (value >> (8 * i) & 0xff)) * 0x100000001b3u;
	return stamp;
}

static uint64_t image_stamp(const struct image *im)
{
	uint64_t s = im->base ? im->base->stamp : 0xcbf29ce484222325u;
	return stamp_add(stamp_add(s, im->file.bytes), im->file.mtime_ns);
}

int image_open_base(struct image *im, const struct image_options *o, struct lodge_err *e)
{
	struct image_options below = *o;
	below.readonly = true;
	below.size = 0;
	below.above = im;
	int r = image_check_loop(im, e);
	if (r == 0)
		r = image_open(&im->base, &below, e);
	return im->above ? r : err_in(e, r, "%s", im->file.path);
}

int image_open(struct image **ret, const struct image_options *o, struct lodge_err *e)
{
	const struct blk_class *c;
	int r = image_class(&c, o, e);
	if (r < 0)
		return r;
	struct image *im = calloc(1, c->size);
	if (!im)
		return err_set(e, ENOMEM, "no memory for %s", o->path);
	im->class = c;
	im->readonly = o->readonly || !c->write;
	im->above = o->above;
	r = c->open(im, o, e);
	if (r == 0)
		r = image_check_loop(im, e);
	if (r < 0) {
		image_close(im);
		return r;
	}
	im->stamp = image_stamp(im);
	im->above = NULL;
	*ret = im;
	return 0;
}

void image_close(struct image *im)
{
	if (!im)
		return;
	if (im->class->close)
		im->class->close(im);
	image_close(im->base);
	file_close(&im->file);
	free(im);
}

int image_run(struct image *im, enum blk_op op, uint64_t off, struct ivec *v, uint64_t len,
              bool may_unmap)
{
	const struct blk_class *c = im->class;
	switch (op) {
	case BLK_READ: return c->read(im, off, v, len);
	case BLK_WRITE: return c->write(im, off, v, len);
	case BLK_FLUSH: return c->flush ? c->flush(im) : 0;
	case BLK_DISCARD: return c->discard(im, off, len);
	case BLK_ZERO: return c->zero(im, off, len, may_unmap);
	}
	return -EINVAL;
}

/* What a disk is whose file could not be opened again: every request fails. */
static int lost_io(struct image *im, uint64_t off, struct ivec *v, uint64_t len)
{
	(void)im, (void)off, (void)v, (void)len;
	return -EIO;
}
static int lost_range(struct image *im, uint64_t off, uint64_t len)
{
	(void)im, (void)off, (void)len;
	return -EIO;
}
static int lost_zero(struct image *im, uint64_t off, uint64_t len, bool may_unmap)
{
	(void)may_unmap;
	return lost_range(im, off, len);
}
static int lost_flush(struct image *im) { return lost_range(im, 0, 0); }

static const struct blk_class lost = { .name = "lost", .read = lost_io, .write = lost_io,
	.flush = lost_flush, .discard = lost_range, .zero = lost_zero };

/* An image of its own for each, as image_close frees it. */
static struct image *image_lost(uint64_t size, uint32_t granule)
{
	struct image *im = calloc(1, sizeof *im);
	if (im)
		*im = (struct image){ .class = &lost, .file.fd = -1, .size = size,
			.granule = granule };
	return im;
}

/* ---- the door ---- */

static int blk_open_image(struct blk *b, const struct blk_options *o, struct lodge_err *e)
{
	struct image_options io = {
		.path = o->path, .format = o->format, .readonly = o->readonly, .size = o->size,
		.no_flush = o->no_flush, .no_base = o->no_base,
	};
	if (o->overlay) {
		io.path = o->overlay;
		io.format = "overlay";
		io.base = o->path;
		io.base_format = o->format;
	}
	int r = image_open(&b->image, &io, e);
	if (r < 0)
		return r;
	const struct image *named = o->overlay ? b->image->base : b->image;
	b->format = named->class->name;
	if (!o->readonly && b->image->readonly)
		return err_set(e, EINVAL, "%s: a %s image cannot be written in place; "
		               "give it an overlay or open it read-only", o->path, b->format);
	return 0;
}

int blk_open(struct blk **ret, const struct blk_options *o, struct loop *l, struct lodge_err *e)
{
	struct blk *b = calloc(1, sizeof *b);
	if (!b)
		return err_set(e, ENOMEM, "no memory for a disk");
	b->no_flush = o->no_flush;
	b->event_fd = -1;
	int r = blk_open_image(b, o, e);
	if (r == 0)
		r = queue_init(b, l, o->no_uring, e);
	if (r < 0) {
		image_close(b->image);
		free(b);
		return r;
	}
	*ret = b;
	return 0;
}

int blk_close(struct blk *b)
{
	int r = 0;
	if (!b)
		return 0;
	blk_finish(b);
	queue_fini(b);
	if (!b->image->readonly && !b->no_flush)
		r = image_run(b->image, BLK_FLUSH, 0, NULL, 0, false);
	image_close(b->image);
	free(b);
	return r;
}

uint64_t blk_size(const struct blk *b) { return b->image->size; }
bool blk_readonly(const struct blk *b) { return b->image->readonly; }
uint32_t blk_granule(const struct blk *b) { return b->image->granule; }
const char *blk_format(const struct blk *b) { return b->format; }
bool blk_is_async(const struct blk *b) { return b->has_ring && !b->ring_dead; }

int blk_check(const struct blk *b, enum blk_op op, uint64_t off, uint64_t len)
{
	if (op == BLK_FLUSH)
		return 0;
	if (off % SECTOR || len % SECTOR || off > b->image->size || len > b->image->size - off)
		return -EINVAL;
	return op != BLK_READ && b->image->readonly ? -EROFS : 0;
}

int blk_sync(struct blk *b, enum blk_op op, uint64_t off, void *buf, uint64_t len)
{
	struct iovec one = { buf, (size_t)len };
	struct ivec v = { &one, 1, 0 };
	int r = blk_check(b, op, off, len);
	if (r < 0 || (op == BLK_FLUSH ? b->no_flush : len == 0))
		return r;
	r = image_run(b->image, op, off, &v, len, true);
	if (op == BLK_READ || op == BLK_FLUSH)
		return r;
	pthread_mutex_lock(&b->lock);
	track_written(b, off, len);
	pthread_mutex_unlock(&b->lock);
	return r;
}

const char *blk_path(const struct blk *b, const char **ret_format)
{
	*ret_format = b->image->class->name;
	return b->image->file.path;
}

static bool blk_busy(struct blk *b)
{
	pthread_mutex_lock(&b->lock);
	bool busy = b->running || b->in_ring || b->waiting.head || b->prepared.head;
	pthread_mutex_unlock(&b->lock);
	return busy;
}

/* What the disk is now becomes the base of the new overlay: opened anew, for reading. */
int blk_freeze(struct blk *b, const char *path, struct lodge_err *e)
{
	struct image *old = b->image, *top = NULL;
	if (old->readonly)
		return err_set(e, EROFS, "a disk that is not written needs no overlay");
	blk_finish(b);
	if (blk_busy(b))
		return err_set(e, EBUSY, "the disk is busy");
	int r = image_run(old, BLK_FLUSH, 0, NULL, 0, false);
	if (r < 0)
		return err_set(e, -r, "%s cannot be flushed", old->file.path);
	autofree char *base = strdup(old->file.path);
	struct image *lost_one = image_lost(old->size, old->granule);
	if (!base || !lost_one) {
		free(lost_one);
		return err_set(e, ENOMEM, "out of memory");
	}
	struct image_options over = { .path = path, .format = "overlay", .base = base,
		.base_format = old->class->name, .no_flush = b->no_flush };
	struct image_options again = { .path = base, .format = old->class->name,
		.no_flush = b->no_flush };
	image_close(old); /* its lock would keep the base from being opened */
	r = image_open(&top, &over, e);
	if (r < 0 && image_open(&top, &again, NULL) < 0) {
		b->image = lost_one;
		return err_set(e, EIO, "%s cannot be opened again", base);
	}
	b->image = top;
	free(lost_one);
	return r;
}
