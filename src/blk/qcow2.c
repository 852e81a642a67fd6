/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2, for reading: where each cluster is, and bringing it. Writes go to an overlay. The
 * snapshot table and the reference counts are not needed. Spec: QCOW2 3, and version 2 before it
 *
 *   disk offset = | L1 index | L2 index | offset in the cluster |
 *   L1 table -> L2 table -> cluster: in the file, compressed, zero, or the backing file's */
#include "blk/internal.h"
#include <zlib.h>
#include <zstd.h>

enum { SUBCLUSTERS = 32, WINDOW_BITS = -12, L2_ZERO = 1, L2_RESERVED_LOW = 0x1fe };

enum kind { KIND_BASE, KIND_ZERO, KIND_DATA, KIND_PACKED };

/* A piece of the disk that is of one kind, inside one cluster. */
struct extent {
	enum kind kind;
	uint64_t len;
	uint64_t host;  /* DATA: where in the file */
	uint64_t entry; /* PACKED: the L2 entry */
};

static struct qcow2 *qcow2_of(struct image *im) { return container_of(im, struct qcow2, im); }

/* ---- tables ---- */

static struct qcow2_block *block_room(struct qcow2 *q)
{
	struct qcow2_block *old = NULL;
	if (q->nblocks < QCOW2_CACHE) {
		old = malloc(sizeof *old);
		if (old) {
			q->block[q->nblocks++] = old;
			return old;
		}
	}
	for (unsigned i = 0; i < q->nblocks; i++)
		if (!old || q->block[i]->used < old->used)
			old = q->block[i];
	return old;
}

/* Read a big-endian number of a table at @off (a multiple of 8). Lock held. */
static int table_get(struct qcow2 *q, uint64_t off, bool may_load, uint64_t *ret)
{
	struct qcow2_block *b = NULL;
	uint64_t at = off / QCOW2_BLOCK;
	for (unsigned i = 0; i < q->nblocks && !b; i++)
		if (q->block[i]->at == at)
			b = q->block[i];
	if (!b && !may_load)
		return -EAGAIN;
	if (!b) {
		b = block_room(q);
		if (!b)
			return -ENOMEM;
		b->at = UINT64_MAX;
		int r = file_read_buf(&q->im.file, at * QCOW2_BLOCK, b->bytes, QCOW2_BLOCK);
		if (r < 0)
			return r;
		b->at = at;
	}
	b->used = ++q->clock;
	*ret = be64_at(b->bytes + off % QCOW2_BLOCK);
	return 0;
}

/* The L2 entry of @off, and its subcluster bitmap (0 without subclusters). Lock held. */
static int entry_get(struct qcow2 *q, uint64_t off, bool may_load, uint64_t *ret, uint64_t *ret_map)
{
	uint64_t l1, index = off >> q->cluster_bits;
	*ret = *ret_map = 0;
	int r = table_get(q, q->l1_off + (index >> q->l2_bits) * 8, may_load, &l1);
	if (r < 0)
		return r;
	l1 &= ~(1ull << 63);
	if (l1 & ~QCOW2_OFFSET || !qcow2_sane_cluster(q, l1))
		return -EIO;
	if (!l1)
		return 0;
	uint64_t i = index & ((1ull << q->l2_bits) - 1);
	r = table_get(q, l1 + (i << (q->extended ? 4 : 3)), may_load, ret);
	if (r == 0 && q->extended)
		r = table_get(q, l1 + (i << 4) + 8, may_load, ret_map);
	return r;
}

/* With subclusters: the run of one kind that starts at @in (bytes into the cluster). */
static int extent_sub(const struct qcow2 *q, uint64_t entry, uint64_t map, uint64_t in,
                      struct extent *x)
{
	unsigned bits = q->cluster_bits - 5;
	uint32_t data = (uint32_t)map, zero = (uint32_t)(map >> 32);
	if (data & zero || entry & L2_ZERO || (data && !(entry & QCOW2_OFFSET)))
		return -EIO;
	unsigned i = (unsigned)(in >> bits), n = i;
	while (n < SUBCLUSTERS && (data >> n & 1) == (data >> i & 1) &&
	       (zero >> n & 1) == (zero >> i & 1))
		n++;
	x->kind = data >> i & 1 ? KIND_DATA : zero >> i & 1 ? KIND_ZERO : KIND_BASE;
	x->len = ((uint64_t)n << bits) - in;
	return 0;
}

/* What the disk has at @off, up to the end of the cluster. Lock held. */
static int extent_at(struct qcow2 *q, uint64_t off, bool may_load, struct extent *x)
{
	uint64_t entry, map, cluster = 1ull << q->cluster_bits, in = off & (cluster - 1);
	int r = entry_get(q, off, may_load, &entry, &map);
	if (r < 0)
		return r;
	*x = (struct extent){ .len = cluster - in };
	if (entry & QCOW2_COMPRESSED) {
		x->kind = KIND_PACKED;
		x->entry = entry;
		return 0;
	}
	uint64_t host = entry & QCOW2_OFFSET;
	if (entry & (QCOW2_HIGH_RESERVED | L2_RESERVED_LOW) || !qcow2_sane_cluster(q, host))
		return -EIO;
	x->host = host + in;
	if (q->extended)
		return extent_sub(q, entry, map, in, x);
	if (entry & L2_ZERO && q->version == 2)
		return -EIO;
	x->kind = entry & L2_ZERO ? KIND_ZERO : host ? KIND_DATA : KIND_BASE;
	return 0;
}

/* ---- compressed clusters ---- */

static int unpack_deflate(uint8_t *to, size_t size, const uint8_t *from, size_t len)
{
	z_stream z = { .avail_in = (uInt)len, .next_out = to, .avail_out = (uInt)size };
	z.next_in = (Bytef *)(uintptr_t)from; /* only read from; zlib's type has no const here */
	if (inflateInit2(&z, WINDOW_BITS) != Z_OK)
		return -ENOMEM;
	int r = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	/* the stream may go on past the cluster; what it says there is of no interest */
	return z.avail_out == 0 && (r == Z_STREAM_END || r == Z_BUF_ERROR || r == Z_OK) ? 0 : -EIO;
}

/* One frame or several, until the cluster is full. */
static int unpack_zstd(struct qcow2 *q, uint8_t *to, size_t size, const uint8_t *from, size_t len)
{
	if (!q->zstd_ctx)
		q->zstd_ctx = ZSTD_createDCtx();
	if (!q->zstd_ctx)
		return -ENOMEM;
	while (size > 0) {
		size_t frame = ZSTD_findFrameCompressedSize(from, len);
		if (ZSTD_isError(frame))
			return -EIO;
		size_t got = ZSTD_decompressDCtx(q->zstd_ctx, to, size, from, frame);
		if (ZSTD_isError(got))
			return -EIO;
		to += got;
		size -= got;
		from += frame;
		len -= frame;
	}
	return 0;
}

/* Where the packed bytes are: an offset of any alignment, a count of sectors touched. */
static int packed_place(const struct qcow2 *q, uint64_t entry, uint64_t *ret_off, size_t *ret_len)
{
	unsigned bits = 62 - (q->cluster_bits - 8);
	uint64_t off = entry & ((1ull << bits) - 1);
	uint64_t sectors = (entry & (QCOW2_COMPRESSED - 1)) >> bits;
	uint64_t len = (sectors + 1) * SECTOR - off % SECTOR;
	if (off < SECTOR || off >= q->im.file.bytes)
		return -EIO;
	*ret_off = off;
	*ret_len = (size_t)min_u64(len, q->im.file.bytes - off);
	return 0;
}

/* Fill q->unpacked with the cluster of @entry. unpack held. */
static int unpack(struct qcow2 *q, uint64_t entry)
{
	size_t size = (size_t)1 << q->cluster_bits, len;
	uint64_t off;
	if (q->unpacked_entry == entry)
		return 0;
	q->unpacked_entry = 0;
	int r = packed_place(q, entry, &off, &len);
	if (r < 0)
		return r;
	if (!q->unpacked)
		q->unpacked = malloc(size);
	autofree uint8_t *packed = malloc(len);
	if (!q->unpacked || !packed)
		return -ENOMEM;
	r = file_read_buf(&q->im.file, off, packed, len);
	if (r == 0)
		r = q->zstd ? unpack_zstd(q, q->unpacked, size, packed, len)
		            : unpack_deflate(q->unpacked, size, packed, len);
	if (r == 0)
		q->unpacked_entry = entry;
	return r;
}

static int read_packed(struct qcow2 *q, uint64_t entry, uint64_t in, struct ivec *to, uint64_t len)
{
	pthread_mutex_lock(&q->unpack);
	int r = unpack(q, entry);
	if (r == 0)
		ivec_put(to, q->unpacked + in, (size_t)len);
	pthread_mutex_unlock(&q->unpack);
	return r;
}

/* ---- reading ---- */

static int read_base(struct qcow2 *q, uint64_t off, struct ivec *to, uint64_t len)
{
	struct image *base = q->im.base;
	uint64_t n = base && off < base->size ? min_u64(len, base->size - off) : 0;
	int r = n ? base->class->read(base, off, to, n) : 0;
	if (r == 0)
		ivec_zero(to, len - n);
	return r;
}

static int read_extent(struct qcow2 *q, const struct extent *x, uint64_t off, struct ivec *to)
{
	switch (x->kind) {
	case KIND_BASE: return read_base(q, off, to, x->len);
	case KIND_ZERO: ivec_zero(to, x->len); return 0;
	case KIND_DATA: return file_read(&q->im.file, x->host, to, x->len);
	case KIND_PACKED:
		return read_packed(q, x->entry, off & ((1ull << q->cluster_bits) - 1), to, x->len);
	}
	return -EIO;
}

static bool extent_follows(const struct extent *x, const struct extent *y)
{
	return x->kind == y->kind && x->kind != KIND_PACKED &&
	       (x->kind != KIND_DATA || x->host + x->len == y->host);
}

/* The longest piece at @off that one read brings; at most @len bytes. */
static int extent_run(struct qcow2 *q, uint64_t off, uint64_t len, bool may_load, struct extent *x)
{
	pthread_mutex_lock(&q->lock);
	int r = extent_at(q, off, may_load, x);
	while (r == 0 && x->len < len) {
		struct extent y;
		r = extent_at(q, off + x->len, may_load, &y);
		if (r < 0 || !extent_follows(x, &y))
			break;
		x->len += y.len;
	}
	pthread_mutex_unlock(&q->lock);
	x->len = min_u64(x->len, len);
	return r;
}

static int qcow2_read(struct image *im, uint64_t off, struct ivec *to, uint64_t len)
{
	struct qcow2 *q = qcow2_of(im);
	while (len > 0) {
		struct extent x;
		int r = extent_run(q, off, len, true, &x);
		if (r == 0)
			r = read_extent(q, &x, off, to);
		if (r < 0)
			return r;
		off += x.len;
		len -= x.len;
	}
	return 0;
}

static bool qcow2_plan(struct image *im, struct blk_req *r, struct plan *ret)
{
	struct qcow2 *q = qcow2_of(im);
	struct image *base = im->base;
	struct extent x;
	if (r->op != BLK_READ || extent_run(q, r->off, r->len, false, &x) < 0 || x.len < r->len)
		return false;
	if (x.kind == KIND_BASE)
		return base && base->class->plan && r->off + r->len <= base->size &&
		       base->class->plan(base, r, ret);
	*ret = (struct plan){ im->file.fd, x.host };
	return x.kind == KIND_DATA;
}

/* ---- life ---- */

static int qcow2_open(struct image *im, const struct image_options *o, struct lodge_err *e)
{
	struct qcow2 *q = qcow2_of(im);
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->unpack, NULL);
	int r = file_open(&im->file, o->path, FILE_READ, e);
	if (r == 0)
		r = qcow2_header(q, o, e);
	return r == 0 && q->zstd ? host_library_load(&blk_zstd, e) : r;
}

static void qcow2_close(struct image *im)
{
	struct qcow2 *q = qcow2_of(im);
	while (q->nblocks > 0)
		free(q->block[--q->nblocks]);
	free(q->unpacked);
	if (q->zstd_ctx)
		ZSTD_freeDCtx(q->zstd_ctx);
	pthread_mutex_destroy(&q->unpack);
	pthread_mutex_destroy(&q->lock);
}

const struct blk_class blk_class_qcow2 = {
	.name = "qcow2", .summary = "QEMU's image format, read with its backing files",
	.size = sizeof(struct qcow2), .probe = qcow2_probe, .open = qcow2_open,
	.close = qcow2_close, .read = qcow2_read, .plan = qcow2_plan,
};
