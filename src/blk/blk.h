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
	const char *format;    /* "raw", "qcow2", "overlay"; NULL: probed. Probe once, when an image
	                          is first given, and keep blk_format's answer: a guest can write
	                          another format's header into its raw disk */
	const char *overlay;   /* writes go to this overlay file, made when absent; NULL: in place
	                          (raw, overlay); a qcow2 image is then readonly or refused */
	bool readonly;
	bool no_flush;         /* ignore flushes (throw-away guests) */
	bool no_base;          /* refuse a qcow2 image that names a backing file: an image from a
	                          stranger could name any file that this user may read */
	bool no_uring;         /* worker threads only */
	uint64_t size;         /* path absent: create a sparse raw file of this size; overlay
	                          absent: the disk's size when larger than its base. 0: neither */
};
/* Open. On failure nothing is left behind.
 *   errors   ENOENT, EACCES; EINVAL: damaged or unsupported image, with the reason and what to
 *            do; ELOOP: backing files in a circle; EBUSY: open for writing elsewhere (OFD lock)
 *   l        NULL: no asynchronous completion (blk_sync, or blk_submit and blk_finish) */
int blk_open(struct blk **ret, const struct blk_options *o, struct loop *l,
             struct lodge_err *e) MUST;
/* Waits for requests in flight, runs their done, flushes, closes. NULL is fine. Returns what the
 * flush said; the disk is closed in any case.
 * Thread: the loop thread, or any when the loop is not running. */
int blk_close(struct blk *b);

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_ZERO };
/* One request. The caller owns it and its iov until done runs. Requests in flight at the same
 * time have no order; a flush covers what was done before it was submitted. */
struct blk_req {
	enum blk_op op;
	bool may_unmap;          /* ZERO: the range may become a hole */
	int niov;
	const struct iovec *iov; /* READ, WRITE: total @len; unchanged until done */
	uint64_t off, len;       /* bytes; multiples of 512; inside the disk, else done(-EINVAL) */
	/* 0 or -errno; on the loop thread, no lock held; never inside blk_submit */
	void (*done)(struct blk_req *r, int result);
	/* private to blk */
	struct blk_req *next;
	struct blk_req *range_next;
	int result;
	bool ranged;
};
/* Submit; never blocks for long. Any thread. */
void blk_submit(struct blk *b, struct blk_req *r);
/* Between plug and unplug (same thread, may nest) requests are gathered and given to the kernel
 * with one call. */
void blk_plug(struct blk *b);
void blk_unplug(struct blk *b);
/* @fn runs on the loop thread after each row of done calls, no lock held: the place for one
 * interrupt that covers them all. One per disk; NULL removes it. */
void blk_on_batch(struct blk *b, void (*fn)(void *arg), void *arg);
/* Wait until nothing is in flight: after return no buffer of a submitted request is touched any
 * more. Their done calls still come on the loop thread. Any thread that is not inside done. */
void blk_drain(struct blk *b);
/* blk_drain, then run the outstanding done calls here.
 * Thread: the loop thread, or any when the loop is not running. */
void blk_finish(struct blk *b);

/* Leave what the disk holds now in its file, unchanged from now on, and go on in the new overlay
 * @path over it. Durable on return. On failure the disk is as it was.
 *   errors  EROFS; EBUSY: requests are in flight; ELOOP: 64 files below it; EIO: it cannot be
 *           opened again either, and every request fails from now on
 * Thread: the loop's. */
int blk_freeze(struct blk *b, const char *path, struct lodge_err *e) MUST;
/* The file that is written, or would be. Borrowed until blk_freeze or blk_close. */
const char *blk_path(const struct blk *b, const char **ret_format);

/* ---- a copy of a disk in use: all that holds data, then what was written meanwhile ----
 * Any thread, but begin and end are for the loop's. */
/* Note at first every part of 64 KiB that may hold data, and from now on those that are written. */
int blk_track_begin(struct blk *b, struct lodge_err *e) MUST;
void blk_track_end(struct blk *b); /* fine when it was not begun */
/* Take the first parts noted from @from on, at most @max bytes: they are to be read after this
 * call. False: there are none. */
bool blk_track_next(struct blk *b, uint64_t from, uint64_t max, uint64_t *ret_off,
                    uint64_t *ret_len);
uint64_t blk_track_left(struct blk *b);      /* bytes noted */

uint64_t blk_size(const struct blk *b);      /* bytes, a multiple of 512 */
bool blk_readonly(const struct blk *b);
uint32_t blk_granule(const struct blk *b);   /* preferred I/O and discard unit, bytes */
const char *blk_format(const struct blk *b); /* of options.path: "raw", "qcow2", "overlay" */
bool blk_is_async(const struct blk *b);      /* io_uring is in use; false: worker threads */
/* Synchronous helper for tools and tests: runs the request to its end on the calling thread.
 * DISCARD and ZERO ignore @buf; FLUSH also @off and @len. 0 or -errno. On the loop thread with
 * requests in flight: only READ and FLUSH (others may wait for what only the loop can end). */
int blk_sync(struct blk *b, enum blk_op op, uint64_t off, void *buf, uint64_t len) MUST;
