/* SPDX-License-Identifier: Apache-2.0 */
/* overlay: our copy-on-write layer over a base that is never written. Each granule (4 KiB) of
 * the disk has its fixed place in the overlay file, which is sparse; a map says which granules
 * are there. docs/overlay.md has the format and why a kill or power cut at any moment loses no
 * more than a real disk would.
 *
 * Order: data, then its bit in memory; flush: data durable, then map pages, then those durable.
 * Writes that make granules present hold their range, so that two of them never fill the same
 * granule at once. */
#include "blk/internal.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

enum {
	HEADER = 4096,
	VERSION = 1,
	GRANULE = 1 << GRANULE_SHIFT,
	AT_VERSION = 8, AT_CRC = 12, AT_SIZE = 16, AT_BASE_SIZE = 24, AT_BASE_STAMP = 32,
	AT_SHIFT = 40, AT_FLAGS = 44, AT_MAP = 48, AT_DATA = 56, AT_ID = 64, AT_FORMAT = 72,
	FORMAT_MAX = 24, AT_PATH = AT_FORMAT + FORMAT_MAX, PATH_LEN_MAX = HEADER - AT_PATH,
	DATA_ALIGN = 1 << 20,
};
static const char magic[8] = { 'L', 'O', 'D', 'G', 'E', 'O', 'V', 'L' };
static const uint64_t SIZE_MAX_DISK = 1ull << 56;

/* A range of granules being made present: by a worker (here), or by a planned request. */
struct range {
	uint64_t at, end;
	struct range *next;
};

struct overlay {
	struct image im;
	uint64_t data_off;
	bool no_flush, no_base, ready;
	pthread_mutex_t flushing;    /* one flush at a time; taken before lock */
	pthread_mutex_t lock;        /* of all below */
	pthread_cond_t freed;        /* a range ended */
	struct map map;
	struct range *ranges;        /* borrowed from workers' stacks */
	struct blk_req *planned;     /* requests in the ring that hold their range */
};

static struct overlay *overlay_of(struct image *im) { return container_of(im, struct overlay, im); }

static bool overlay_probe(const uint8_t *head, size_t len)
{
	return len >= sizeof magic && !memcmp(head, magic, sizeof magic);
}

/* ---- the header ---- */

static uint64_t map_pages(uint64_t size)
{
	uint64_t granules = (size + GRANULE - 1) >> GRANULE_SHIFT;
	return (granules + MAP_BITS - 1) / MAP_BITS;
}

static uint64_t data_offset(uint64_t size)
{
	return align_up(HEADER + map_pages(size) * 2 * MAP_PAGE, DATA_ALIGN);
}

static uint32_t header_crc(const uint8_t *h)
{
	static const uint8_t none[4];
	uLong c = crc32(0, h, AT_CRC);
	c = crc32(c, none, sizeof none);
	return (uint32_t)crc32(c, h + AT_CRC + 4, HEADER - AT_CRC - 4);
}

static int header_read(struct overlay *o, uint8_t h[HEADER], struct lodge_err *e)
{
	const char *path = o->im.file.path;
	int r = file_read_buf(&o->im.file, 0, h, HEADER);
	if (r < 0)
		return err_set(e, -r, "%s: cannot read the header", path);
	if (!overlay_probe(h, HEADER))
		return err_set(e, EINVAL, "%s is not an overlay", path);
	if (le32_at(h + AT_CRC) != header_crc(h))
		return err_set(e, EINVAL, "%s: the overlay's header is damaged (checksum)", path);
	if (le32_at(h + AT_VERSION) != VERSION || le32_at(h + AT_FLAGS) != 0)
		return err_set(e, EINVAL, "%s was made by a newer version (overlay format %u)",
		               path, le32_at(h + AT_VERSION));
	uint64_t size = le64_at(h + AT_SIZE);
	bool sound = size && size % SECTOR == 0 && size <= SIZE_MAX_DISK &&
	             le32_at(h + AT_SHIFT) == GRANULE_SHIFT && le64_at(h + AT_MAP) == HEADER &&
	             le64_at(h + AT_DATA) == data_offset(size) && h[HEADER - 1] == 0 &&
	             h[AT_FORMAT + FORMAT_MAX - 1] == 0 && le64_at(h + AT_BASE_SIZE) <= size;
	if (!sound)
		return err_set(e, EINVAL, "%s: the overlay's header makes no sense", path);
	if (o->im.file.bytes < data_offset(size) + size)
		return err_set(e, EINVAL, "%s is cut short: %llu of %llu bytes", path,
		               (unsigned long long)o->im.file.bytes,
		               (unsigned long long)(data_offset(size) + size));
	return 0;
}

static int header_fill(struct overlay *o, const struct image_options *opt, uint8_t h[HEADER],
                       struct lodge_err *e)
{
	const struct image *base = o->im.base;
	autofree char *real = realpath(base->file.path, NULL);
	const char *path = real ? real : base->file.path;
	uint64_t size = opt->size > base->size ? opt->size : base->size;
	uint64_t id;
	if (strlen(path) >= PATH_LEN_MAX)
		return err_set(e, ENAMETOOLONG, "%s: the path of the base is too long", path);
	if (size % SECTOR || size > SIZE_MAX_DISK)
		return err_set(e, EINVAL, "%s: impossible disk size %llu", opt->path,
		               (unsigned long long)size);
	host_random(&id, sizeof id);
	memset(h, 0, HEADER);
	memcpy(h, magic, sizeof magic);
	le32_put(h + AT_VERSION, VERSION);
	le64_put(h + AT_SIZE, size);
	le64_put(h + AT_BASE_SIZE, base->size);
	le64_put(h + AT_BASE_STAMP, base->stamp);
	le32_put(h + AT_SHIFT, GRANULE_SHIFT);
	le64_put(h + AT_MAP, HEADER);
	le64_put(h + AT_DATA, data_offset(size));
	le64_put(h + AT_ID, id);
	snprintf((char *)h + AT_FORMAT, FORMAT_MAX, "%s", base->class->name);
	memcpy(h + AT_PATH, path, strlen(path));
	le32_put(h + AT_CRC, header_crc(h));
	return 0;
}

/* ---- opening ---- */

static int overlay_open_base(struct overlay *o, const char *path, const char *format,
                             struct lodge_err *e)
{
	struct image_options below = { .path = path, .format = format, .no_base = o->no_base };
	return image_open_base(&o->im, &below, e);
}

/* Make the new file durable under its name, all or nothing. */
static int overlay_publish(struct overlay *o, const char *temp, const char *path,
                           struct lodge_err *e)
{
	autofree char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	if (slash)
		slash[slash == dir] = 0;
	if (fsync(o->im.file.fd) < 0)
		return err_sys(e, "cannot write %s", path);
	int r = renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE);
	if (r < 0 && errno == EINVAL)
		r = rename(temp, path);
	if (r < 0)
		return err_sys(e, "cannot make %s", path);
	autoclose int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)fsync(fd);
	return 0;
}

static int overlay_write_new(struct overlay *o, const struct image_options *opt, const char *temp,
                             struct lodge_err *e)
{
	uint8_t h[HEADER];
	int r = header_fill(o, opt, h, e);
	if (r < 0)
		return r;
	uint64_t bytes = le64_at(h + AT_DATA) + align_up(le64_at(h + AT_SIZE), GRANULE);
	if (ftruncate(o->im.file.fd, (off_t)bytes) < 0)
		return err_sys(e, "cannot make %s of %llu bytes", opt->path,
		               (unsigned long long)bytes);
	r = file_write_buf(&o->im.file, 0, h, HEADER);
	if (r < 0)
		return err_set(e, -r, "cannot write %s: %s", opt->path, strerror(-r));
	o->im.file.bytes = bytes;
	r = overlay_publish(o, temp, opt->path, e);
	if (r < 0)
		return r;
	char *name = strdup(opt->path);
	if (name) {
		free(o->im.file.path);
		o->im.file.path = name;
	}
	return 0;
}

static int overlay_create(struct overlay *o, const struct image_options *opt, struct lodge_err *e)
{
	autofree char *temp = NULL;
	if (asprintf(&temp, "%s.new", opt->path) < 0) {
		temp = NULL;
		return err_set(e, ENOMEM, "no memory");
	}
	(void)unlink(temp); /* left by a kill */
	int r = file_open(&o->im.file, temp, FILE_CREATE, e);
	if (r < 0)
		return r;
	r = overlay_open_base(o, opt->base, opt->base_format, e);
	if (r == 0)
		r = overlay_write_new(o, opt, temp, e);
	if (r < 0)
		(void)unlink(temp);
	return r;
}

/* Where the base is: beside the overlay when a file of its name is there (a folder that was moved
 * or cloned as a whole), else where the header says. Its stamp tells whether it is that one. */
static char *base_path(const struct overlay *o, const char *said)
{
	const char *name = strrchr(said, '/'), *slash = strrchr(o->im.file.path, '/');
	char *ret = NULL;
	if (name && slash &&
	    asprintf(&ret, "%.*s%s", (int)(slash - o->im.file.path), o->im.file.path, name) < 0)
		return NULL;
	if (ret && access(ret, R_OK) == 0)
		return ret;
	free(ret);
	return strdup(said);
}

static int overlay_load(struct overlay *o, const struct image_options *opt, struct lodge_err *e)
{
	uint8_t h[HEADER];
	int r = header_read(o, h, e);
	if (r < 0)
		return r;
	if (!o->im.base) {
		const char *format = opt->base_format ? opt->base_format : (char *)h + AT_FORMAT;
		autofree char *said = base_path(o, (char *)h + AT_PATH);
		const char *path = opt->base ? opt->base : said;
		r = path ? overlay_open_base(o, path, format, e)
		         : err_set(e, ENOMEM, "no memory");
		if (r < 0)
			return r;
	}
	const struct image *base = o->im.base;
	if (base->size != le64_at(h + AT_BASE_SIZE) || base->stamp != le64_at(h + AT_BASE_STAMP))
		return err_set(e, EINVAL, "%s was made over %s, which has changed since (size or "
		               "modification time): restore that file, or make a new overlay",
		               o->im.file.path, (char *)h + AT_PATH);
	o->im.size = le64_at(h + AT_SIZE);
	o->im.granule = GRANULE;
	o->data_off = le64_at(h + AT_DATA);
	o->map.file = &o->im.file;
	o->map.off = HEADER;
	o->map.id = le64_at(h + AT_ID);
	o->map.npages = (uint32_t)map_pages(o->im.size);
	return 0;
}

static int overlay_open(struct image *im, const struct image_options *opt, struct lodge_err *e)
{
	struct overlay *o = overlay_of(im);
	o->no_flush = opt->no_flush;
	o->no_base = opt->no_base;
	pthread_mutex_init(&o->flushing, NULL);
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->freed, NULL);
	int r = file_open(&im->file, opt->path, opt->readonly ? FILE_READ : FILE_WRITE, e);
	if (r == -ENOENT && opt->base && !opt->readonly)
		r = overlay_create(o, opt, e);
	if (r == 0)
		r = overlay_load(o, opt, e);
	o->ready = r == 0;
	return r;
}

/* ---- flush ---- */

static int overlay_write_map(struct overlay *o, const struct map_copy *c, unsigned n)
{
	int r = 0;
	for (unsigned i = 0; i < n && r == 0; i++)
		r = file_write_buf(&o->im.file, map_copy_off(&o->map, &c[i]), c[i].raw, MAP_PAGE);
	return r;
}

static int overlay_sync(struct overlay *o, bool durable)
{
	struct map_copy *c;
	unsigned n;
	pthread_mutex_lock(&o->flushing);
	pthread_mutex_lock(&o->lock);
	int r = map_take(&o->map, &c, &n);
	pthread_mutex_unlock(&o->lock);
	if (r == 0 && durable)
		r = file_flush(&o->im.file);
	if (r == 0 && n > 0) {
		r = overlay_write_map(o, c, n);
		if (r == 0 && durable)
			r = file_flush(&o->im.file);
	}
	pthread_mutex_lock(&o->lock);
	map_taken(&o->map, c, n, r == 0);
	pthread_mutex_unlock(&o->lock);
	pthread_mutex_unlock(&o->flushing);
	free(c);
	return r;
}

static int overlay_flush(struct image *im) { return overlay_sync(overlay_of(im), true); }

static void overlay_close(struct image *im)
{
	struct overlay *o = overlay_of(im);
	if (o->ready && !im->readonly)
		(void)!overlay_sync(o, !o->no_flush); /* blk_close has flushed, and told */
	map_fini(&o->map);
	pthread_cond_destroy(&o->freed);
	pthread_mutex_destroy(&o->lock);
	pthread_mutex_destroy(&o->flushing);
}

/* ---- the map, with the lock taken and pages made room for ---- */

static int overlay_run(struct overlay *o, uint64_t at, uint64_t end, bool *ret_present,
                       uint64_t *ret_end)
{
	for (;;) {
		pthread_mutex_lock(&o->lock);
		int r = map_run(&o->map, at, end, true, ret_present, ret_end);
		pthread_mutex_unlock(&o->lock);
		if (r == -ENOBUFS) /* every page in memory is dirty */
			r = overlay_sync(o, true);
		else
			return r;
		if (r < 0)
			return r;
	}
}

static int overlay_mark(struct overlay *o, uint64_t at, uint64_t end)
{
	for (;;) {
		pthread_mutex_lock(&o->lock);
		int r = map_set(&o->map, at, end);
		pthread_mutex_unlock(&o->lock);
		if (r == -ENOBUFS)
			r = overlay_sync(o, true);
		else
			return r;
		if (r < 0)
			return r;
	}
}

/* ---- ranges: lock held ---- */

static uint64_t granule_of(uint64_t off) { return off >> GRANULE_SHIFT; }
static uint64_t granule_end(uint64_t end) { return (end + GRANULE - 1) >> GRANULE_SHIFT; }

static bool range_busy(const struct overlay *o, uint64_t at, uint64_t end)
{
	for (const struct range *g = o->ranges; g; g = g->next)
		if (at < g->end && g->at < end)
			return true;
	for (const struct blk_req *r = o->planned; r; r = r->range_next)
		if (at < granule_end(r->off + r->len) && granule_of(r->off) < end)
			return true;
	return false;
}

static void range_take(struct overlay *o, struct range *g, uint64_t at, uint64_t end)
{
	*g = (struct range){ at, end, NULL };
	pthread_mutex_lock(&o->lock);
	while (range_busy(o, at, end))
		pthread_cond_wait(&o->freed, &o->lock);
	g->next = o->ranges;
	o->ranges = g;
	pthread_mutex_unlock(&o->lock);
}

static void range_give(struct overlay *o, struct range *g)
{
	pthread_mutex_lock(&o->lock);
	for (struct range **p = &o->ranges; *p; p = &(*p)->next)
		if (*p == g) {
			*p = g->next;
			break;
		}
	pthread_cond_broadcast(&o->freed);
	pthread_mutex_unlock(&o->lock);
}

/* ---- reading ---- */

/* From the base; beyond its end the disk is zero. */
static int base_read(struct overlay *o, uint64_t off, struct ivec *to, uint64_t len)
{
	struct image *base = o->im.base;
	uint64_t n = off < base->size ? min_u64(len, base->size - off) : 0;
	int r = n ? base->class->read(base, off, to, n) : 0;
	if (r == 0)
		ivec_zero(to, len - n);
	return r;
}

static int overlay_read(struct image *im, uint64_t off, struct ivec *to, uint64_t len)
{
	struct overlay *o = overlay_of(im);
	uint64_t end = off + len;
	while (off < end) {
		bool present;
		uint64_t run;
		int r = overlay_run(o, granule_of(off), granule_end(end), &present, &run);
		if (r < 0)
			return r;
		uint64_t n = min_u64(run << GRANULE_SHIFT, end) - off;
		r = present ? file_read(&im->file, o->data_off + off, to, n)
		            : base_read(o, off, to, n);
		if (r < 0)
			return r;
		off += n;
	}
	return 0;
}

/* ---- writing ---- */

/* The part [off, end) of one absent granule, copied from the base. */
static int overlay_fill(struct overlay *o, uint64_t off, uint64_t end)
{
	uint8_t buf[GRANULE];
	struct iovec one = { buf, sizeof buf };
	struct ivec v = { &one, 1, 0 };
	if (off >= end)
		return 0;
	int r = base_read(o, off, &v, end - off);
	if (r == 0)
		r = file_write_buf(&o->im.file, o->data_off + off, buf, (size_t)(end - off));
	return r;
}

static int overlay_is_absent(struct overlay *o, uint64_t granule, bool *ret)
{
	uint64_t end;
	bool present = true;
	int r = overlay_run(o, granule, granule + 1, &present, &end);
	*ret = !present;
	return r;
}

/* What the first and the last granule of the range hold beside it. The range is ours. */
static int overlay_fill_edges(struct overlay *o, uint64_t off, uint64_t end)
{
	uint64_t first = granule_of(off), last = granule_of(end - 1);
	bool absent;
	int r = overlay_is_absent(o, first, &absent);
	if (r == 0 && absent)
		r = overlay_fill(o, first << GRANULE_SHIFT, off);
	if (r == 0 && last != first)
		r = overlay_is_absent(o, last, &absent);
	if (r == 0 && absent)
		r = overlay_fill(o, end, min_u64((last + 1) << GRANULE_SHIFT, o->im.size));
	return r;
}

static int overlay_write(struct image *im, uint64_t off, struct ivec *from, uint64_t len)
{
	struct overlay *o = overlay_of(im);
	uint64_t at = granule_of(off), end = granule_end(off + len), run;
	bool present;
	int r = overlay_run(o, at, end, &present, &run);
	if (r < 0)
		return r;
	if (present && run == end)
		return file_write(&im->file, o->data_off + off, from, len);
	struct range g;
	range_take(o, &g, at, end);
	r = overlay_fill_edges(o, off, off + len);
	if (r == 0)
		r = file_write(&im->file, o->data_off + off, from, len);
	if (r == 0)
		r = overlay_mark(o, at, end);
	range_give(o, &g);
	return r;
}

static int overlay_write_zeroes(struct image *im, uint64_t off, uint64_t len)
{
	static const uint8_t zeroes[GRANULE];
	/* only read from; iovec has no const */
	struct iovec one = { (void *)(uintptr_t)zeroes, sizeof zeroes };
	int r = 0;
	for (uint64_t n; len > 0 && r == 0; off += n, len -= n) {
		struct ivec v = { &one, 1, 0 };
		n = min_u64(len, sizeof zeroes);
		r = overlay_write(im, off, &v, n);
	}
	return r;
}

static int overlay_zero(struct image *im, uint64_t off, uint64_t len, bool may_unmap)
{
	struct overlay *o = overlay_of(im);
	uint64_t end = off + len;
	uint64_t from = align_up(off, GRANULE), to = end & ~(uint64_t)(GRANULE - 1);
	if (end == o->im.size)
		to = align_up(end, GRANULE);
	if (from >= to)
		return overlay_write_zeroes(im, off, len);
	int r = overlay_write_zeroes(im, off, from - off);
	if (r == 0 && to < end)
		r = overlay_write_zeroes(im, to, end - to);
	if (r < 0)
		return r;
	struct range g;
	range_take(o, &g, granule_of(from), granule_of(to));
	r = file_zero(&im->file, o->data_off + from, to - from, may_unmap);
	if (r == 0)
		r = overlay_mark(o, granule_of(from), granule_of(to));
	range_give(o, &g);
	return r;
}

/* Only what the overlay holds takes space; what shows through from the base stays as it is. */
static int overlay_discard(struct image *im, uint64_t off, uint64_t len)
{
	struct overlay *o = overlay_of(im);
	uint64_t at = granule_end(off), end = granule_of(off + len), run;
	if (off + len == im->size)
		end = granule_end(off + len);
	for (int r; at < end; at = run) {
		bool present;
		r = overlay_run(o, at, end, &present, &run);
		if (r == 0 && present)
			r = file_discard(&im->file, o->data_off + (at << GRANULE_SHIFT),
			                 (run - at) << GRANULE_SHIFT);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the short way: requests that are one operation on one file ---- */

/* Lock held. */
static bool plan_write(struct overlay *o, struct blk_req *r)
{
	uint64_t end = r->off + r->len;
	if (r->off % GRANULE || (end % GRANULE && end != o->im.size) ||
	    range_busy(o, granule_of(r->off), granule_end(end)))
		return false;
	r->ranged = true;
	r->range_next = o->planned;
	o->planned = r;
	return true;
}

static bool overlay_plan(struct image *im, struct blk_req *r, struct plan *ret)
{
	struct overlay *o = overlay_of(im);
	struct image *base = im->base;
	uint64_t at = granule_of(r->off), end = granule_end(r->off + r->len), run = end;
	bool present = true, can = false;
	*ret = (struct plan){ im->file.fd, o->data_off + r->off };
	r->ranged = false;
	if (r->op == BLK_WRITE && !im->file.ring_writes)
		return false;
	pthread_mutex_lock(&o->lock);
	if (r->op == BLK_FLUSH)
		can = map_is_clean(&o->map);
	else if (map_run(&o->map, at, end, false, &present, &run) < 0)
		can = false;
	else if (present && run == end)
		can = true;
	else if (r->op == BLK_WRITE)
		can = plan_write(o, r);
	else if (run == end && base->class->plan && r->off + r->len <= base->size)
		can = base->class->plan(base, r, ret);
	pthread_mutex_unlock(&o->lock);
	return can;
}

static int overlay_landed(struct image *im, struct blk_req *r, bool ok)
{
	struct overlay *o = overlay_of(im);
	int bad = 0;
	if (!r->ranged)
		return 0;
	pthread_mutex_lock(&o->lock);
	if (ok)
		bad = map_set(&o->map, granule_of(r->off), granule_end(r->off + r->len));
	for (struct blk_req **p = &o->planned; *p; p = &(*p)->range_next)
		if (*p == r) {
			*p = r->range_next;
			break;
		}
	r->ranged = false;
	pthread_cond_broadcast(&o->freed);
	pthread_mutex_unlock(&o->lock);
	return bad;
}

/* What the base has, and what is here; a map that cannot be read may say anything. */
static bool overlay_data(struct image *im, uint64_t from, uint64_t *ret_from, uint64_t *ret_end)
{
	struct overlay *o = overlay_of(im);
	uint64_t below, below_end, end = granule_end(im->size), run;
	bool present = false;
	if (from >= im->size)
		return false;
	bool base = image_data(im->base, from, &below, &below_end) && below < im->size;
	for (uint64_t at = granule_of(from); at < end && !present; at = present ? at : run) {
		if (overlay_run(o, at, end, &present, &run) < 0)
			present = (run = end) != 0;
		if (present && (!base || at << GRANULE_SHIFT < below)) {
			below = at << GRANULE_SHIFT > from ? at << GRANULE_SHIFT : from;
			below_end = run << GRANULE_SHIFT;
			base = true;
		}
	}
	*ret_from = below;
	*ret_end = base ? min_u64(below_end, im->size) : 0;
	return base;
}

const struct blk_class blk_class_overlay = {
	.name = "overlay", .summary = "copy-on-write over a base that is never written",
	.size = sizeof(struct overlay), .probe = overlay_probe, .open = overlay_open,
	.close = overlay_close, .read = overlay_read, .write = overlay_write,
	.flush = overlay_flush, .discard = overlay_discard, .zero = overlay_zero,
	.plan = overlay_plan, .landed = overlay_landed, .data = overlay_data,
};
