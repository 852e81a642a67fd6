/* SPDX-License-Identifier: Apache-2.0 */
/* qcow2: the header, its extensions and the backing file, each field checked before it is used.
 * What cannot be served exactly is refused with the way out. Version 3, and 2 before it.
 * Spec: QCOW2 3 */
#include "blk/internal.h"
#include <stdio.h>

enum {
	V2_LEN = 72, V3_LEN = 104, HEADER_MAX = 112,
	AT_VERSION = 4, AT_BACKING = 8, AT_BACKING_LEN = 16, AT_CLUSTER_BITS = 20, AT_SIZE = 24,
	AT_CRYPT = 32, AT_L1_SIZE = 36, AT_L1 = 40, AT_FEATURES = 72, AT_LENGTH = 100,
	AT_COMPRESSION = 104,
	CLUSTER_BITS_MIN = 9, CLUSTER_BITS_MAX = 21, EXTENDED_BITS_MIN = 14,
	L1_BYTES_MAX = 32 << 20, BACKING_MAX = 1023, EXTENSIONS_MAX = 64,
	/* incompatible features */
	F_DIRTY = 1, F_CORRUPT = 2, F_DATA_FILE = 4, F_COMPRESSION = 8, F_EXTENDED = 16,
	F_KNOWN = 31,
};
enum extension {
	EXT_END = 0,
	EXT_BACKING_FORMAT = (int)0xe2792aca,
	EXT_DATA_FILE = 0x44415441,
	EXT_CRYPT = 0x0537be77,
};
static const uint64_t SIZE_MAX_DISK = 1ull << 56;

bool qcow2_probe(const uint8_t *head, size_t len)
{
	return len >= 4 && !memcmp(head, "QFI\xfb", 4);
}

bool qcow2_sane_cluster(const struct qcow2 *q, uint64_t off)
{
	return off % (1ull << q->cluster_bits) == 0 && off < q->im.file.bytes;
}

/* ---- fields ---- */

static int check_features(struct qcow2 *q, const uint8_t *h, struct lodge_err *e)
{
	const char *path = q->im.file.path;
	uint64_t f = q->version == 2 ? 0 : be64_at(h + AT_FEATURES);
	uint32_t crypt = be32_at(h + AT_CRYPT);
	if (crypt)
		return err_set(e, EINVAL, "%s is encrypted (%s), which is not supported: "
		               "convert it with qemu-img convert", path,
		               crypt == 1 ? "AES" : crypt == 2 ? "LUKS" : "unknown method");
	if (f & (F_DIRTY | F_CORRUPT))
		return err_set(e, EINVAL, "%s is marked %s: repair it with "
		               "qemu-img check -r all %s", path,
		               f & F_CORRUPT ? "corrupt" : "dirty (not closed properly)", path);
	if (f & F_DATA_FILE)
		return err_set(e, EINVAL, "%s keeps its data in another file, which is not "
		               "supported: convert it with qemu-img convert", path);
	if (f & ~(uint64_t)F_KNOWN)
		return err_set(e, EINVAL, "%s needs qcow2 features that are not known (0x%llx)",
		               path, (unsigned long long)(f & ~(uint64_t)F_KNOWN));
	q->extended = f & F_EXTENDED;
	if (q->extended && q->cluster_bits < EXTENDED_BITS_MIN)
		return err_set(e, EINVAL, "%s: clusters too small for subclusters", path);
	return 0;
}

static int check_compression(struct qcow2 *q, const uint8_t *h, uint32_t length,
                             struct lodge_err *e)
{
	uint8_t type = length > AT_COMPRESSION ? h[AT_COMPRESSION] : 0;
	bool flagged = q->version == 3 && be64_at(h + AT_FEATURES) & F_COMPRESSION;
	if (type > 1 || (type && !flagged))
		return err_set(e, EINVAL, "%s: compression type %u is not known", q->im.file.path,
		               type);
	q->zstd = type == 1;
	return 0;
}

static int check_sizes(struct qcow2 *q, const uint8_t *h, struct lodge_err *e)
{
	const char *path = q->im.file.path;
	uint64_t size = be64_at(h + AT_SIZE);
	if (size == 0 || size % SECTOR || size > SIZE_MAX_DISK)
		return err_set(e, EINVAL, "%s: impossible disk size %llu", path,
		               (unsigned long long)size);
	q->im.size = size;
	q->im.granule = 1u << q->cluster_bits;
	q->l2_bits = q->cluster_bits - (q->extended ? 4 : 3);
	q->l1_off = be64_at(h + AT_L1);
	q->l1_size = be32_at(h + AT_L1_SIZE);
	unsigned covers = q->cluster_bits + q->l2_bits; /* log2 of what an L1 entry covers */
	uint64_t need = ((size - 1) >> covers) + 1;
	if (q->l1_size < need || q->l1_size > L1_BYTES_MAX / 8)
		return err_set(e, EINVAL,
		               "%s: an L1 table of %llu entries for a disk that needs %llu", path,
		               (unsigned long long)q->l1_size, (unsigned long long)need);
	if (!q->l1_off || !qcow2_sane_cluster(q, q->l1_off) ||
	    q->l1_size * 8 > q->im.file.bytes - q->l1_off)
		return err_set(e, EINVAL, "%s: the L1 table is outside the file", path);
	q->l1_size = need;
	return 0;
}

/* The whole L1 table, so that damage is found before the guest starts. */
static int check_l1(const struct qcow2 *q, struct lodge_err *e)
{
	uint8_t part[QCOW2_BLOCK];
	for (uint64_t i = 0; i < q->l1_size; i++) {
		uint64_t at = i * 8 % sizeof part;
		size_t n = (size_t)min_u64(sizeof part, (q->l1_size - i) * 8);
		int r = at ? 0 : file_read_buf(&q->im.file, q->l1_off + i * 8, part, n);
		if (r < 0)
			return err_set(e, -r, "%s: cannot read the L1 table", q->im.file.path);
		uint64_t entry = be64_at(part + at) & ~(1ull << 63);
		if (entry & ~QCOW2_OFFSET || !qcow2_sane_cluster(q, entry))
			return err_set(e, EINVAL, "%s: entry %llu of the L1 table is damaged: "
			               "see qemu-img check %s", q->im.file.path,
			               (unsigned long long)i, q->im.file.path);
	}
	return 0;
}

/* ---- extensions: find the backing file's format ---- */

static int read_extensions(struct qcow2 *q, uint64_t at, uint64_t end, char *format, size_t cap,
                           struct lodge_err *e)
{
	const char *path = q->im.file.path;
	format[0] = 0;
	for (unsigned i = 0; i < EXTENSIONS_MAX && end - at >= 8; i++) {
		uint8_t h[8];
		int r = file_read_buf(&q->im.file, at, h, sizeof h);
		if (r < 0)
			return err_set(e, -r, "%s: cannot read the header", path);
		uint32_t type = be32_at(h), len = be32_at(h + 4);
		at += 8;
		if (type == EXT_END)
			return 0;
		if (len > end - at)
			return err_set(e, EINVAL,
			               "%s: a header extension runs past the first cluster", path);
		if (type == EXT_DATA_FILE || type == EXT_CRYPT)
			return err_set(e, EINVAL, "%s: %s is not supported", path,
			               type == EXT_CRYPT ? "encryption" : "an external data file");
		if (type == (uint32_t)EXT_BACKING_FORMAT) {
			if (len >= cap)
				return err_set(e, EINVAL,
				               "%s: the backing format's name is too long", path);
			r = file_read_buf(&q->im.file, at, format, len);
			if (r < 0)
				return err_set(e, -r, "%s: cannot read the header", path);
			format[len] = 0;
		}
		at += align_up(len, 8);
		if (at > end)
			break;
	}
	return 0;
}

/* ---- the backing file ---- */

/* @name as the image has it -> a path: relative ones start at the image. */
static int backing_path(const struct qcow2 *q, const char *name, char **ret, struct lodge_err *e)
{
	const char *image = q->im.file.path;
	if (!strncmp(name, "file:", 5))
		name += 5;
	const char *colon = strchr(name, ':'), *slash = strchr(name, '/');
	if (colon && (!slash || colon < slash))
		return err_set(e, EINVAL, "%s: backing file %s is not a local file", image, name);
	const char *last = strrchr(image, '/');
	int dir = name[0] == '/' || !last ? 0 : (int)(last - image) + 1;
	if (asprintf(ret, "%.*s%s", dir, image, name) < 0) {
		*ret = NULL;
		return err_set(e, ENOMEM, "no memory");
	}
	return 0;
}

static int open_backing(struct qcow2 *q, const char *name, const char *format,
                        struct lodge_err *e)
{
	autofree char *path = NULL;
	int r = backing_path(q, name, &path, e);
	if (r < 0)
		return r;
	struct image_options below = { .path = path, .format = *format ? format : NULL };
	r = image_open_base(&q->im, &below, e);
	if (r < 0)
		return r;
	/* A raw base was once written by a guest, which can make it look like anything. */
	if (!*format && strcmp(q->im.base->class->name, "raw") != 0)
		return err_set(e, EINVAL, "%s does not say which format its backing file has; "
		               "if it is %s, say so: qemu-img rebase -u -F %s -b %s %s",
		               q->im.file.path, q->im.base->class->name,
		               q->im.base->class->name, name, q->im.file.path);
	return 0;
}

static int read_backing(struct qcow2 *q, const struct image_options *o, const uint8_t *h,
                        uint64_t extensions, struct lodge_err *e)
{
	const char *path = q->im.file.path;
	uint64_t at = be64_at(h + AT_BACKING), cluster = 1ull << q->cluster_bits;
	uint32_t len = be32_at(h + AT_BACKING_LEN);
	char name[BACKING_MAX + 1], format[64];
	uint64_t end = at && at <= cluster ? at : cluster;
	int r = 0;
	if (extensions <= end)
		r = read_extensions(q, extensions, end, format, sizeof format, e);
	if (r < 0 || at == 0)
		return r;
	if (extensions > end || len == 0 || len > BACKING_MAX || at > cluster || len > cluster - at)
		return err_set(e, EINVAL,
		               "%s: the backing file's name is outside the first cluster", path);
	r = file_read_buf(&q->im.file, at, name, len);
	if (r < 0)
		return err_set(e, -r, "%s: cannot read the header", path);
	name[len] = 0;
	if (strlen(name) != len)
		return err_set(e, EINVAL, "%s: the backing file's name is damaged", path);
	if (o->no_base)
		return err_set(e, EINVAL, "%s names the backing file %s: if you trust it, say so "
		               "with format=qcow2; else flatten it with qemu-img convert", path,
		               name);
	return open_backing(q, name, format, e);
}

int qcow2_header(struct qcow2 *q, const struct image_options *o, struct lodge_err *e)
{
	uint8_t h[HEADER_MAX] = { 0 };
	const char *path = q->im.file.path;
	if (q->im.file.bytes < HEADER_MAX)
		return err_set(e, EINVAL, "%s is too short for a qcow2 image", path);
	int r = file_read_buf(&q->im.file, 0, h, sizeof h);
	if (r < 0)
		return err_set(e, -r, "%s: cannot read the header", path);
	if (!qcow2_probe(h, sizeof h))
		return err_set(e, EINVAL, "%s is not a qcow2 image", path);
	q->version = be32_at(h + AT_VERSION);
	if (q->version != 2 && q->version != 3)
		return err_set(e, EINVAL, "%s: qcow2 version %u is not supported", path,
		               q->version);
	q->cluster_bits = be32_at(h + AT_CLUSTER_BITS);
	if (q->cluster_bits < CLUSTER_BITS_MIN || q->cluster_bits > CLUSTER_BITS_MAX)
		return err_set(e, EINVAL, "%s: impossible cluster size 2^%u", path,
		               q->cluster_bits);
	uint32_t length = q->version == 2 ? V2_LEN : be32_at(h + AT_LENGTH);
	if (q->version == 3 && (length < V3_LEN || length % 8 || length > 1u << q->cluster_bits))
		return err_set(e, EINVAL, "%s: impossible header length %u", path, length);
	r = check_features(q, h, e);
	if (r == 0)
		r = check_compression(q, h, length, e);
	if (r == 0)
		r = check_sizes(q, h, e);
	if (r == 0)
		r = check_l1(q, e);
	return r < 0 ? r : read_backing(q, o, h, length, e);
}
