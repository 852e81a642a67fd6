/* SPDX-License-Identifier: Apache-2.0 */
/* mem: guest physical memory, one memfd per machine, and its history.
 * Three kinds of address, three types: they do not mix. */
#pragma once
#include "base/base.h"

struct gpa { uint64_t a; };             /* guest physical */
struct gva { uint64_t a; };             /* guest virtual  */
static inline struct gpa gpa(uint64_t a) { return (struct gpa){ a }; }
static inline struct gva gva(uint64_t a) { return (struct gva){ a }; }

enum { MEM_FRAME = 4096 };

struct mem;
/* Make @bytes of zeroed RAM at guest physical @base; both whole frames. Pages are taken from
 * the host when first touched. Errors: EINVAL, ENOMEM. */
int mem_new(struct mem **ret, struct gpa base, uint64_t bytes, struct lodge_err *e) MUST;
void mem_free(struct mem *m);           /* NULL is fine */

struct gpa mem_base(const struct mem *m);
uint64_t mem_size(const struct mem *m);
/* Host address of the first byte of RAM: for engines that compute addends of a TLB. */
uint8_t *mem_host(const struct mem *m);
/* The memfd, borrowed: other mappings of it show the same memory. -1: there is none, see below. */
int mem_fd(const struct mem *m);
/* Another number whenever mem_fd has become another: mappings made before show something else. It
 * changes only while no vCPU runs. */
unsigned mem_shape(const struct mem *m);

/* Borrow @len bytes at @at. NULL if any byte is outside RAM. Valid until the caller returns to
 * its own caller; never stored (store gpa and len). Any thread. The guest may change the bytes
 * at any time: copy before checking. */
void *mem_ptr(struct mem *m, struct gpa at, uint64_t len) MUST;
/* Copy with the same check; false: outside RAM, nothing copied. */
bool mem_read(struct mem *m, struct gpa at, void *buf, uint64_t len) MUST;
bool mem_write(struct mem *m, struct gpa at, const void *buf, uint64_t len) MUST;
/* Give the whole frames of the range back to the host (they read as zero afterwards): balloon,
 * free-page reporting. A range not wholly inside RAM is ignored. Returns bytes released. */
uint64_t mem_release(struct mem *m, struct gpa at, uint64_t len);
/* Bytes of RAM that the host backs with memory now (of private memory: what was written). */
uint64_t mem_resident(const struct mem *m);

/* ---- memory that begins with what a file holds ----
 * Such memory is private: it is read from the file when it is touched, a page that is written is a
 * copy, and no other mapping can show it. It stays at its host address. */
/* Replace all of RAM by the first mem_size bytes of the file *@fd, which is owned from now on and
 * must not change any more. No vCPU runs; everything derived from RAM is void. */
int mem_become(struct mem *m, int *fd, struct lodge_err *e) MUST;
/* Make RAM private over what it holds now, without copying: a fork of this process then has it for
 * itself. Nothing changes when it is private already. No vCPU runs. */
int mem_freeze(struct mem *m, struct lodge_err *e) MUST;
/* After any of these, when the guest runs again: give back, in the background, what RAM was. */
void mem_tidy(struct mem *m);
/* The first range of [@from, @end) that may hold something else than zeroes; false: none does.
 * Whole frames, offsets in RAM. Only while nobody writes. */
bool mem_data_next(struct mem *m, uint64_t from, uint64_t end, uint64_t *ret_from,
                   uint64_t *ret_to) MUST;

/* Let private RAM be a memfd again, for windows: a copy of all that is not zero, made while the
 * guest runs. begin and end are for when no vCPU runs, and short; copy is for any thread in
 * between: each call copies what was written since the last one (at first: all), *ret_bytes. Not
 * while it is tracked otherwise. @memfd is begin's, and given to the others; end closes it, also
 * for giving up (@adopt false).
 *   errors  EOPNOTSUPP: the host cannot tell what is written; ENOMEM; RAM is then as it was */
bool mem_is_private(const struct mem *m);
int mem_settle_begin(struct mem *m, int *ret_memfd, struct lodge_err *e) MUST;
int mem_settle_copy(struct mem *m, int memfd, uint64_t *ret_bytes, struct lodge_err *e) MUST;
void mem_settle_stop(struct mem *m); /* the copy under way fails with ECANCELED, soon; any thread */
int mem_settle_end(struct mem *m, int memfd, bool adopt, struct lodge_err *e) MUST;

/* ---- which frames were written ----
 * As the host tells it: whoever wrote them, the host's kernel too, through RAM's host address.
 * Other mappings are not seen: mem_fd is -1 meanwhile. */
/* From now on. No vCPU runs. -EOPNOTSUPP: this host cannot. */
int mem_track_begin(struct mem *m, struct lodge_err *e) MUST;
/* Set the bits of the frames that were written since begin or since the last call, among
 * mem_size / MEM_FRAME / 64 + 1 words; the others stay. Any one thread. */
int mem_track_take(struct mem *m, uint64_t *bits, struct lodge_err *e) MUST;
void mem_track_end(struct mem *m); /* no vCPU runs; fine when it was not begun */

/* ---- frames that somebody derived something from (an engine: translated code) ----
 * A watcher says which frames it is about to read; the first write after that ends the watch of all
 * watchers and puts the frame into a log that each of them reads with its own cursor. Nothing
 * happens at the write itself. Any thread, without locks. */
enum { MEM_WATCHERS = 16, MEM_LOG = 1024 };
/* Watcher @who (below MEM_WATCHERS) reads the frame of @at from now on: a full barrier. True: it
 * did not watch it; false: it already does, or @at is not RAM. */
bool mem_watch(struct mem *m, struct gpa at, unsigned who);
/* Does anybody watch the frame of @at? */
bool mem_watched(const struct mem *m, struct gpa at) MUST;
/* The range was written: call it after the data is there and before the guest is told. mem_write
 * and mem_release do; who writes through mem_ptr calls it. What lies outside RAM is ignored. */
void mem_written(struct mem *m, struct gpa at, uint64_t len);
/* The same by host address, for those that keep spans. */
void mem_written_host(struct mem *m, const void *p, uint64_t len);
/* Physical addresses of frames whose watch ended since *@cursor, which moves; at first it is 0.
 * *ret_lost: they are unknown, for they were more than @cap or than the log holds. A frame may be
 * named more than once. Returns how many. */
size_t mem_written_read(struct mem *m, uint64_t *cursor, uint64_t *ret_frames, size_t cap,
			bool *ret_lost);
