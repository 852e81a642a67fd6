/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM: one sealed memory file, mapped shared, once; the host gives pages at first touch. Or
 * (private.c) a private mapping of a file that is not written. */
#include "mem/internal.h"
#include "host/host.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static size_t watch_bytes(uint64_t ram) { return (size_t)(ram / MEM_FRAME * sizeof(uint16_t)); }

int mem_new(struct mem **ret, struct gpa base, uint64_t bytes, struct lodge_err *e)
{
	if (bytes == 0 || bytes % MEM_FRAME || bytes > PTRDIFF_MAX)
		return err_set(e, EINVAL, "ram of %llu bytes is not a whole number of frames",
		               (unsigned long long)bytes);
	if (bytes / MEM_FRAME > UINT32_MAX)
		return err_set(e, EINVAL, "ram of %llu bytes is more than 16 TiB",
		               (unsigned long long)bytes);
	if (base.a % MEM_FRAME || base.a + bytes < base.a)
		return err_set(e, EINVAL, "%llu bytes of ram do not fit at 0x%llx",
		               (unsigned long long)bytes, (unsigned long long)base.a);
	autofree struct mem *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ENOMEM, "out of memory");
	autoclose int fd = -1;
	int r = host_memfd_new(&fd, "lodge-ram", bytes, e);
	if (r < 0)
		return r;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "mapping %llu bytes of guest ram", (unsigned long long)bytes);
	void *w = mmap(NULL, watch_bytes(bytes), PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w == MAP_FAILED) {
		munmap(p, bytes);
		return err_sys(e, "mapping a note for each frame of guest ram");
	}
	host_race_expect(p, bytes);
	m->host = p;
	m->base = base.a;
	m->bytes = bytes;
	m->fd = take_fd(&fd);
	m->watch = w;
	*ret = take(m);
	return 0;
}

void mem_free(struct mem *m)
{
	if (!m)
		return;
	mem_track_end(m);
	mem_tidy(m);
	free(m->released);
	munmap(m->host, m->bytes);
	munmap(m->watch, watch_bytes(m->bytes));
	close(m->fd);
	free(m);
}

struct gpa mem_base(const struct mem *m) { return gpa(m->base); }
uint64_t mem_size(const struct mem *m) { return m->bytes; }
uint8_t *mem_host(const struct mem *m) { return m->host; }
int mem_fd(const struct mem *m) { return m->private || m->track ? -1 : m->fd; }
unsigned mem_shape(const struct mem *m) { return m->shape; }

void *mem_ptr(struct mem *m, struct gpa at, uint64_t len)
{
	uint64_t off = at.a - m->base; /* below base: wraps to more than any size */
	if (unlikely(len > m->bytes || off > m->bytes - len))
		return NULL;
	return m->host + off;
}

bool mem_read(struct mem *m, struct gpa at, void *buf, uint64_t len)
{
	const void *p = mem_ptr(m, at, len);
	if (p && len)
		memcpy(buf, p, len);
	return p;
}

bool mem_write(struct mem *m, struct gpa at, const void *buf, uint64_t len)
{
	void *p = mem_ptr(m, at, len);
	if (p && len) {
		memcpy(p, buf, len);
		mem_written(m, at, len);
	}
	return p;
}

uint64_t mem_release(struct mem *m, struct gpa at, uint64_t len)
{
	if (!mem_ptr(m, at, len))
		return 0;
	uint64_t from = align_up(at.a - m->base, MEM_FRAME);
	uint64_t to = (at.a - m->base + len) & ~(uint64_t)(MEM_FRAME - 1);
	if (from >= to)
		return 0;
	if (m->private ? !private_release(m, from, to) :
	    fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
	              (off_t)(to - from)) < 0)
		return 0;
	mem_written(m, gpa(m->base + from), to - from);
	return to - from;
}

uint64_t mem_resident(const struct mem *m)
{
	struct stat st;
	if (m->private)
		return private_resident(m);
	return fstat(m->fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

/* ---- frames that are watched ---- */

bool mem_watch(struct mem *m, struct gpa at, unsigned who)
{
	uint64_t off = at.a - m->base;
	uint16_t bit = (uint16_t)(1u << who);
	if (off >= m->bytes)
		return false;
	uint16_t *w = &m->watch[off / MEM_FRAME];
	if (__atomic_load_n(w, __ATOMIC_ACQUIRE) & bit)
		return false;
	return !(__atomic_fetch_or(w, bit, __ATOMIC_SEQ_CST) & bit);
}

bool mem_watched(const struct mem *m, struct gpa at)
{
	uint64_t off = at.a - m->base;
	return off < m->bytes && __atomic_load_n(&m->watch[off / MEM_FRAME], __ATOMIC_ACQUIRE);
}

static void log_add(struct mem *m, uint64_t frame)
{
	uint64_t n = __atomic_fetch_add(&m->logged, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&m->log[n % MEM_LOG], (n + 1) << 32 | frame, __ATOMIC_SEQ_CST);
}

void mem_written(struct mem *m, struct gpa at, uint64_t len)
{
	uint64_t off = at.a - m->base;
	if (!len || off >= m->bytes)
		return;
	uint64_t last = (off + min_u64(len, m->bytes - off) - 1) / MEM_FRAME;
	if (unlikely(m->track))
		track_note(m, off / MEM_FRAME, last + 1);
	/* A watcher marks, then reads; we write, then look for marks: one of us sees the other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint64_t i = off / MEM_FRAME; i <= last; i++)
		if (unlikely(__atomic_load_n(&m->watch[i], __ATOMIC_RELAXED)) &&
		    __atomic_exchange_n(&m->watch[i], 0, __ATOMIC_SEQ_CST))
			log_add(m, i);
}

void mem_written_host(struct mem *m, const void *p, uint64_t len)
{
	mem_written(m, gpa(m->base + (uint64_t)((const uint8_t *)p - m->host)), len);
}

size_t mem_written_read(struct mem *m, uint64_t *cursor, uint64_t *ret_frames, size_t cap,
			bool *ret_lost)
{
	uint64_t from = *cursor, to = __atomic_load_n(&m->logged, __ATOMIC_SEQ_CST);
	*cursor = to;
	*ret_lost = to - from > cap || to - from > MEM_LOG;
	for (uint64_t i = from; i < to && !*ret_lost; i++) {
		uint64_t v = __atomic_load_n(&m->log[i % MEM_LOG], __ATOMIC_SEQ_CST);
		/* overwritten since, or its writer is not done: that comes to the same */
		*ret_lost = v >> 32 != ((i + 1) & UINT32_MAX);
		ret_frames[i - from] = m->base + (v & UINT32_MAX) * MEM_FRAME;
	}
	return *ret_lost ? 0 : (size_t)(to - from);
}
