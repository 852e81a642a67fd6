/* SPDX-License-Identifier: Apache-2.0 */
/* Private RAM becomes a memfd again while the guest runs: copied in rounds, each of what was
 * written during the one before, the last while nothing runs. */
#include "mem/internal.h"
#include "host/host.h"
#include <sys/mman.h>

enum { PIECE = 1 << 20 };

static uint64_t words(const struct mem *m) { return m->bytes / MEM_FRAME / 64 + 1; }

int mem_settle_begin(struct mem *m, int *ret_memfd, struct lodge_err *e)
{
	autoclose int fd = -1;
	if (!m->private || m->track)
		return err_set(e, EBUSY, "memory is no copy, or is being looked at");
	autofree uint64_t *bits = calloc(words(m), sizeof *bits);
	if (!bits)
		return err_set(e, ENOMEM, "out of memory");
	int r = host_memfd_new(&fd, "lodge-ram", m->bytes, e);
	if (r == 0)
		r = mem_track_begin(m, e);
	if (r < 0)
		return r;
	m->settling = take(bits);
	m->settle_all = true;
	__atomic_store_n(&m->settle_stop, false, __ATOMIC_RELAXED);
	*ret_memfd = take_fd(&fd);
	return 0;
}

/* [@from, @to) as it is now; pages of zeroes are holes at first. */
static bool run_copy(const struct mem *m, int fd, uint64_t from, uint64_t to, uint64_t *bytes)
{
	while (from < to) {
		uint64_t at = from, end = to;
		if (__atomic_load_n(&m->settle_stop, __ATOMIC_RELAXED)) {
			errno = ECANCELED;
			return false;
		}
		to = min_u64(end, from + PIECE);
		while (m->settle_all && at < to && is_zero(m->host + at, MEM_FRAME))
			at += MEM_FRAME;
		from = at;
		while (at < to && !(m->settle_all && is_zero(m->host + at, MEM_FRAME)))
			at += MEM_FRAME;
		if (at > from && !host_pwrite(fd, m->host + from, at - from, from))
			return false;
		*bytes += at - from;
		from = at;
		to = end;
	}
	return true;
}

/* [@from, @to) of the file beneath, which nobody writes: read from there, not through RAM's
 * mapping, whose page tables a fork would have to copy. */
static bool file_copy(const struct mem *m, int fd, uint8_t *buf, uint64_t from, uint64_t to,
                      uint64_t *bytes)
{
	for (uint64_t n; from < to; from += n) {
		n = min_u64(PIECE, to - from);
		if (__atomic_load_n(&m->settle_stop, __ATOMIC_RELAXED)) {
			errno = ECANCELED;
			return false;
		}
		if (!host_pread(m->fd, buf, n, from))
			return false;
		for (uint64_t at = 0; at < n; at += MEM_FRAME) {
			const uint8_t *gone = __atomic_load_n(&m->released, __ATOMIC_ACQUIRE);
			if (is_zero(buf + at, MEM_FRAME) || (gone && gone[(from + at) / MEM_FRAME]))
				continue;
			if (!host_pwrite(fd, buf + at, MEM_FRAME, from + at))
				return false;
			*bytes += MEM_FRAME;
		}
	}
	return true;
}

/* What the file has, then the copies over it. What becomes a copy meanwhile, or is released, has
 * been written, and comes with the next round. */
static bool all_copy(struct mem *m, int fd, uint64_t *bytes)
{
	uint64_t from, to;
	autofree uint8_t *buf = malloc(PIECE);
	for (uint64_t at = 0; buf && private_file_next(m, at, m->bytes, &from, &to); at = to)
		if (!file_copy(m, fd, buf, from, to, bytes))
			return false;
	m->settle_all = false;
	for (uint64_t at = 0; buf && private_copies_next(m, at, m->bytes, &from, &to); at = to)
		if (!run_copy(m, fd, from, to, bytes))
			return false;
	return buf;
}

static bool written_copy(struct mem *m, int fd, uint64_t *bytes)
{
	uint64_t n = m->bytes / MEM_FRAME;
	for (uint64_t i = 0; i < n;) {
		uint64_t from = i;
		while (i < n && m->settling[i / 64] >> i % 64 & 1) {
			m->settling[i / 64] &= ~(UINT64_C(1) << i % 64);
			i++;
		}
		if (i > from && !run_copy(m, fd, from * MEM_FRAME, i * MEM_FRAME, bytes))
			return false;
		i += i == from && !m->settling[i / 64] ? 64 - i % 64 : i == from;
	}
	return true;
}

int mem_settle_copy(struct mem *m, int memfd, uint64_t *ret_bytes, struct lodge_err *e)
{
	*ret_bytes = 0;
	int r = mem_track_take(m, m->settling, e);
	if (r < 0)
		return r;
	if (!(m->settle_all ? all_copy : written_copy)(m, memfd, ret_bytes))
		return err_sys(e, "copying %llu MiB of memory", (unsigned long long)m->bytes >> 20);
	return 0;
}

void mem_settle_stop(struct mem *m)
{
	__atomic_store_n(&m->settle_stop, true, __ATOMIC_RELAXED);
}

int mem_settle_end(struct mem *m, int memfd, bool adopt, struct lodge_err *e)
{
	uint64_t bytes;
	autoclose int fd = memfd;
	int r = 0;
	if (adopt) { /* what was marked and not copied, if any, and what was written since */
		r = mem_settle_copy(m, fd, &bytes, e);
		if (r == 0 && m->settle_all)
			r = mem_settle_copy(m, fd, &bytes, e);
	}
	if (r == 0 && adopt)
		r = mem_remap(m, &fd, MAP_SHARED, e); /* which ends the tracking, faster */
	mem_track_end(m);
	free(take(m->settling));
	return r;
}
