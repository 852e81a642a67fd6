/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of blk share: an opened file with its lock, a cursor over an iovec, the class of
 * an image format, and the queue of a disk. */
#pragma once
#include "host/host.h"
#include "blk/blk.h"
#include <liburing.h>

extern const struct host_library blk_zstd; /* see zstd.c */

enum {
	SECTOR = 512,
	DEPTH_MAX = 64,    /* backing files below one image */
	POOL_THREADS = 4,
	RING_ENTRIES = 256,
};

/* ---- a cursor over the buffers of a request ---- */
struct ivec {
	const struct iovec *iov; /* borrowed; what is left */
	int n;
	size_t skip;             /* bytes of iov[0] already used */
};
/* Take up to @len bytes as at most @cap pieces; advances. Returns pieces, *@ret_len their sum. */
int ivec_take(struct ivec *v, uint64_t len, struct iovec *out, int cap, uint64_t *ret_len);
void ivec_zero(struct ivec *v, uint64_t len);                      /* fill with zeroes; advances */
void ivec_put(struct ivec *v, const void *buf, size_t len);        /* buf -> pieces; advances */

/* ---- a host file or block device ---- */
struct file {
	int fd;
	bool readonly, device;
	bool ring_writes;  /* io_uring writes it without a kernel thread in between */
	char *path;        /* owned */
	uint64_t bytes;    /* size when opened */
	uint64_t mtime_ns;
	uint64_t dev, ino;
	/* Called before each flush: what is not durable yet a power cut would lose. NULL but in
	 * tests. */
	void (*before_flush)(void *arg);
	void *before_flush_arg;
};
enum file_access { FILE_READ, FILE_WRITE, FILE_CREATE };
/* Open and lock: shared for reading, alone for writing. FILE_CREATE: must not exist yet. */
int file_open(struct file *f, const char *path, enum file_access how, struct lodge_err *e) MUST;
void file_close(struct file *f);   /* zeroed or closed is fine */
/* All of the range or an error. Bytes beyond the size at opening read as zero; a file that was
 * cut since then is -EIO. */
int file_read(const struct file *f, uint64_t off, struct ivec *to, uint64_t len) MUST;
int file_write(const struct file *f, uint64_t off, struct ivec *from, uint64_t len) MUST;
int file_read_buf(const struct file *f, uint64_t off, void *buf, size_t len) MUST;
int file_write_buf(const struct file *f, uint64_t off, const void *buf, size_t len) MUST;
int file_flush(const struct file *f) MUST;
/* Give space back; the range reads as zero or as before. Not supported by the host: 0. */
int file_discard(const struct file *f, uint64_t off, uint64_t len) MUST;
/* The range reads as zero; with @may_unmap as a hole where the host can. */
int file_zero(const struct file *f, uint64_t off, uint64_t len, bool may_unmap) MUST;

/* ---- image formats ---- */
struct image_options {
	const char *path, *format; /* format NULL: probed */
	bool readonly;
	uint64_t size;             /* create, or grow an overlay being made */
	const char *base;          /* overlay: its base, and the base's format */
	const char *base_format;
	bool no_base;              /* refuse images that name a backing file */
	bool no_flush;             /* closing need not wait for the host's disk */
	const struct image *above; /* the images that have this one beneath them; NULL: none */
};

struct image {
	const struct blk_class *class;
	struct file file;
	uint64_t size;             /* of the disk */
	uint32_t granule;
	bool readonly;
	uint64_t stamp;            /* changes when a file of the chain changes: sizes and times */
	struct image *base;        /* owned; NULL: none */
	const struct image *above; /* borrowed, while opening */
};

/* Where a request can go without blocking: a place in a file. */
struct plan {
	int fd;
	uint64_t off;
};

struct blk_class {
	const char *name, *summary;
	size_t size;               /* of the instance; its first member is struct image */
	bool (*probe)(const uint8_t *head, size_t len);
	/* On failure close is called by image_open: accepts half-built ones. */
	int (*open)(struct image *, const struct image_options *, struct lodge_err *);
	void (*close)(struct image *);     /* NULL: nothing but file and base */
	/* Synchronous, any thread, several at a time. Ranges are checked. NULL: not possible. */
	int (*read)(struct image *, uint64_t off, struct ivec *to, uint64_t len);
	int (*write)(struct image *, uint64_t off, struct ivec *from, uint64_t len);
	int (*flush)(struct image *);
	int (*discard)(struct image *, uint64_t off, uint64_t len);
	int (*zero)(struct image *, uint64_t off, uint64_t len, bool may_unmap);
	/* READ, WRITE, FLUSH that need nothing but one file operation: where. Must not block.
	 * False: a worker runs the request. NULL: always false. */
	bool (*plan)(struct image *, struct blk_req *, struct plan *ret);
	/* A planned request ended; !ok, or a result that is not 0: a worker repeats it. The disk's
	 * lock is held. NULL: nothing to do. */
	int (*landed)(struct image *, struct blk_req *, bool ok);
	/* The first range from @from on that may hold something else than zeroes; false: there is
	 * none. Any thread. NULL: all of it may. */
	bool (*data)(struct image *, uint64_t from, uint64_t *ret_from, uint64_t *ret_end);
};
bool image_data(struct image *im, uint64_t from, uint64_t *ret_from, uint64_t *ret_end);
const struct blk_class *blk_class_at(size_t i);           /* NULL past the end */
const struct blk_class *blk_class_find(const char *name); /* NULL: no such format */
int image_open(struct image **ret, const struct image_options *o, struct lodge_err *e) MUST;
void image_close(struct image *im);
/* Open @o (path, format) read-only as the base of @im, unless that closes a circle. */
int image_open_base(struct image *im, const struct image_options *o, struct lodge_err *e) MUST;
int image_run(struct image *im, enum blk_op op, uint64_t off, struct ivec *v, uint64_t len,
              bool may_unmap) MUST;

/* ---- the map of an overlay: which granules it holds (docs/overlay.md) ---- */
enum {
	GRANULE_SHIFT = 12,
	MAP_PAGE = 4096,            /* in the file: checksum, sequence number, bits */
	MAP_HEAD = 16,
	MAP_BITS = (MAP_PAGE - MAP_HEAD) * 8,
	MAP_CACHE = 64,             /* pages in memory: 8 GiB of disk */
};
struct map_page {
	uint32_t index;
	bool dirty;                 /* has bits that the file has not */
	bool writing;               /* a copy is on its way to the file */
	uint64_t used;              /* when last looked at */
	uint64_t seq;               /* of the newest version in the file or on its way */
	uint8_t bits[MAP_PAGE - MAP_HEAD];
};
struct map_copy {
	uint32_t index;
	uint8_t raw[MAP_PAGE];
};
/* The caller holds a lock around every call. */
struct map {
	const struct file *file;    /* borrowed */
	uint64_t off, id;           /* of the first page in the file; of the overlay */
	uint32_t npages;
	unsigned n;
	uint64_t clock;
	struct map_page *page[MAP_CACHE]; /* owned, @n of them */
};
void map_fini(struct map *m);
/* How far from granule @at (before @end) presence stays the same.
 *   may_load  false: -EAGAIN when the page is not in memory
 *   errors    EIO: both versions of a page are damaged; ENOBUFS: flush first */
int map_run(struct map *m, uint64_t at, uint64_t end, bool may_load, bool *ret_present,
            uint64_t *ret_end) MUST;
/* Mark granules present. Errors as map_run; what was marked until then stays marked. */
int map_set(struct map *m, uint64_t at, uint64_t end) MUST;
bool map_is_clean(const struct map *m);
/* Copy what must be written, and afterwards say whether that worked. *@ret is to be freed. */
int map_take(struct map *m, struct map_copy **ret, unsigned *ret_n) MUST;
void map_taken(struct map *m, const struct map_copy *c, unsigned n, bool written);
uint64_t map_copy_off(const struct map *m, const struct map_copy *c); /* where to write it */

/* ---- qcow2: what the header says, and a cache of table blocks ---- */
enum {
	QCOW2_CACHE = 48,           /* blocks of L1 and L2 tables in memory */
	QCOW2_BLOCK = 4096,
};
struct qcow2_block {
	uint64_t at;                /* in the file, over QCOW2_BLOCK; UINT64_MAX: nothing */
	uint64_t used;              /* when last looked at */
	uint8_t bytes[QCOW2_BLOCK];
};
struct qcow2 {
	struct image im;
	unsigned version, cluster_bits, l2_bits; /* l2_bits: log2 of entries in an L2 table */
	bool zstd, extended;        /* compression; 32 subclusters in each cluster */
	uint64_t l1_off, l1_size;
	pthread_mutex_t lock;       /* of the blocks */
	unsigned nblocks;
	uint64_t clock;
	struct qcow2_block *block[QCOW2_CACHE]; /* owned */
	pthread_mutex_t unpack;     /* of the last compressed cluster */
	uint64_t unpacked_entry;    /* whose it is; 0: none */
	uint8_t *unpacked;          /* owned; a cluster */
	void *zstd_ctx;             /* owned */
};
/* Check the header, the L1 table and the backing file's name, and open the backing file.
 *   errors   EINVAL with the reason and what to do */
int qcow2_header(struct qcow2 *q, const struct image_options *o, struct lodge_err *e) MUST;
bool qcow2_probe(const uint8_t *head, size_t len);
/* Can a table or a cluster stand at @off of the file? */
bool qcow2_sane_cluster(const struct qcow2 *q, uint64_t off);
static const uint64_t QCOW2_OFFSET = 0x00fffffffffffe00u;
static const uint64_t QCOW2_HIGH_RESERVED = 0x3f00000000000000u;
static const uint64_t QCOW2_COMPRESSED = 1ull << 62;

/* ---- the queue of a disk ---- */
struct req_list {
	struct blk_req *head, *tail;
};
struct blk {
	struct image *image;        /* owned */
	const char *format;
	bool no_flush;
	struct loop *loop;          /* borrowed; NULL: none */
	struct loop_watch *watch;   /* of event_fd; owned */
	int event_fd;               /* something is in finished, or in the ring */
	void (*batch)(void *);
	void *batch_arg;

	pthread_mutex_t lock;       /* of all below */
	pthread_cond_t work, idle;
	struct req_list waiting;    /* for a worker */
	struct req_list prepared;   /* in the ring, the kernel has not seen them */
	struct req_list finished;   /* done must be called */
	uint64_t *written;          /* owned: parts that were, a bit each; NULL: nobody asks */
	unsigned running;           /* on workers */
	unsigned in_ring;           /* the kernel has them */
	unsigned plugged;
	unsigned threads, sleeping;
	pthread_t thread[POOL_THREADS];
	bool stopping;
	bool has_ring;
	bool ring_dead;             /* refused later: only what it has comes back */
	struct io_uring ring;
};
int blk_check(const struct blk *b, enum blk_op op, uint64_t off, uint64_t len) MUST;
void track_written(struct blk *b, uint64_t off, uint64_t len); /* lock held */
int queue_init(struct blk *b, struct loop *l, bool no_uring, struct lodge_err *e) MUST;
void queue_fini(struct blk *b);
