/* SPDX-License-Identifier: Apache-2.0 */
/* blk: disks as bytes. Raw files and block devices, qcow2 with backing files (read; writes go
 * to our own copy-on-write overlay), asynchronous through io_uring with a thread-pool fallback. */
#pragma once
#include "base/base.h"
#include "host/host.h"
#include <sys/uio.h>

struct blk;
struct blk_options {
	const char *path;      /* borrowed for the call */
	const char *format;    /* "raw", "qcow2"; NULL: probed (raw files are never probed by guests'
	                          writes: the format is fixed at open) */
	const char *overlay;   /* writes go to this overlay file, made when absent; NULL: in place
	                          (raw), or an overlay beside the image's name is required (qcow2) */
	bool readonly;
	bool no_flush;         /* ignore flushes (throw-away guests) */
	uint64_t size;         /* create a sparse raw file of this size when path does not exist */
};
/* Open. Refuses damaged metadata with the reason (EINVAL), backing loops, a file that another
 * keeper has open for writing (EBUSY, by OFD lock). */
int blk_open(struct blk **ret, const struct blk_options *o, struct loop *l,
             struct lodge_err *e) MUST;
/* Waits for requests in flight, flushes, closes. NULL is fine. */
void blk_close(struct blk *b);

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_ZERO };
/* One request. The caller owns it and its iov until done runs. */
struct blk_req {
	enum blk_op op;
	uint64_t off, len;     /* bytes; multiples of 512; inside the disk, else done(-EINVAL) */
	const struct iovec *iov; /* READ, WRITE: total @len */
	int niov;
	bool may_unmap;        /* ZERO: the range may become a hole */
	void (*done)(struct blk_req *r, int result); /* 0 or -errno; on the loop thread, no lock held */
	struct blk_req *next;  /* private */
	void *priv;            /* private */
};
/* Submit; never blocks for long. Thread: the loop thread, or any when the loop is not running. */
void blk_submit(struct blk *b, struct blk_req *r);
uint64_t blk_size(const struct blk *b);      /* bytes, a multiple of 512 */
bool blk_readonly(const struct blk *b);
uint32_t blk_granule(const struct blk *b);   /* preferred I/O and discard unit, bytes */
/* Synchronous helper for tools and tests: runs the request to its end on the calling thread. */
int blk_sync(struct blk *b, enum blk_op op, uint64_t off, void *buf, uint64_t len) MUST;
