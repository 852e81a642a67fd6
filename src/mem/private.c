/* SPDX-License-Identifier: Apache-2.0 */
/* Private RAM: a mapping of a file whose pages become copies when they are written. Which are
 * copies only the host kernel knows; /proc/self/pagemap tells. */
#include "mem/internal.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BATCH = 1024 };
/* of an entry of pagemap: in memory, in swap, a page of the file and no copy */
#define PM_PRESENT (UINT64_C(1) << 63)
#define PM_SWAPPED (UINT64_C(1) << 62)
#define PM_FILE (UINT64_C(1) << 61)

static bool entry_is_copy(uint64_t e) { return e & (PM_PRESENT | PM_SWAPPED) && !(e & PM_FILE); }

/* ---- another mapping in the place of RAM's ---- */

struct aside {
	uint8_t *p;
	size_t len;
	int uffd; /* owned; -1 */
};
enum { SLICE = 16 << 20, BREATH_US = 500 };

/* In slices: the host kernel lets nobody map, fork or page meanwhile. */
static void *aside_drop(void *arg)
{
	struct aside *a = arg;
	for (size_t at = 0; at < a->len; at += SLICE) {
		munmap(a->p + at, min_u64(SLICE, a->len - at));
		usleep(BREATH_US);
	}
	if (a->uffd >= 0)
		close(a->uffd);
	free(a);
	return NULL;
}

void mem_tidy(struct mem *m)
{
	pthread_t t;
	pthread_attr_t detached;
	struct aside *a = take(m->aside);
	if (!a)
		return;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&t, &detached, aside_drop, a) != 0)
		aside_drop(a);
	pthread_attr_destroy(&detached);
}

/* To take a mapping apart takes long, 50 ms for each GiB that was touched, and the guest stands
 * still: so its pages are moved elsewhere, which is a matter of page tables only, and let go by
 * mem_tidy. Where that cannot be, mmap takes them apart itself. */
static void pages_aside(struct mem *m)
{
	enum { HUGE = 2 << 20 };
	struct aside *a = malloc(sizeof *a);
	size_t len = m->bytes + HUGE;
	uint8_t *p = a ? mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
	                      0)
	               : MAP_FAILED;
	mem_tidy(m); /* of the last time, if nobody did */
	if (p == MAP_FAILED) {
		free(a);
		return;
	}
	/* whole page tables move where both lie alike */
	uint8_t *at = p + (((uintptr_t)m->host - (uintptr_t)p) & (HUGE - 1));
	*a = (struct aside){ p, len, -1 };
	if (m->track ? !track_move(m, at, &a->uffd)
	             : mremap(m->host, m->bytes, m->bytes,
	                      MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, at) == MAP_FAILED) {
		munmap(p, len);
		free(a);
		return;
	}
	m->aside = a;
}

int mem_remap(struct mem *m, int *fd, int how, struct lodge_err *e)
{
	void *trial = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, how | MAP_NORESERVE, *fd, 0);
	if (trial == MAP_FAILED) /* before anything is lost */
		return err_sys(e, "mapping %llu bytes of saved memory",
		               (unsigned long long)m->bytes);
	munmap(trial, m->bytes);
	pages_aside(m);
	if (mmap(m->host, m->bytes, PROT_READ | PROT_WRITE, how | MAP_FIXED | MAP_NORESERVE, *fd,
	         0) == MAP_FAILED)
		return err_sys(e, "mapping %llu bytes of saved memory",
		               (unsigned long long)m->bytes);
	close(m->fd);
	m->fd = take_fd(fd);
	m->private = how == MAP_PRIVATE;
	free(take(m->released)); /* the new file has it all */
	m->shape++;
	return 0;
}

bool mem_is_private(const struct mem *m) { return m->private; }

int mem_become(struct mem *m, int *fd, struct lodge_err *e)
{
	return mem_remap(m, fd, MAP_PRIVATE, e);
}

int mem_freeze(struct mem *m, struct lodge_err *e)
{
	if (m->private)
		return 0;
	autoclose int fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? err_sys(e, "a second descriptor of memory") : mem_become(m, &fd, e);
}

bool private_release(struct mem *m, uint64_t from, uint64_t to)
{
	if (!m->released)
		m->released = calloc(m->bytes / MEM_FRAME, 1);
	if (!m->released)
		return false;
	/* noted first: a copy may be under way */
	for (uint64_t i = from / MEM_FRAME; i < to / MEM_FRAME; i++)
		__atomic_store_n(&m->released[i], 1, __ATOMIC_RELEASE);
	/* Without this mapping the pages would show the file again. */
	return mmap(m->host + from, to - from, PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
	            0) != MAP_FAILED &&
	       (!m->track || track_register(m, from, to));
}

/* Entries of the pages from offset @at on, at most up to @end. 0: not to be had. */
static size_t entries_read(const struct mem *m, int map, uint64_t at, uint64_t end,
                           uint64_t entry[BATCH])
{
	uint64_t n = min_u64((end - at) / MEM_FRAME, BATCH);
	uint64_t first = ((uintptr_t)m->host + at) / MEM_FRAME;
	ssize_t got = pread(map, entry, n * sizeof *entry, (off_t)(first * sizeof *entry));
	return got < 0 ? 0 : (size_t)got / sizeof *entry;
}

uint64_t private_resident(const struct mem *m)
{
	uint64_t entry[BATCH], sum = 0;
	autoclose int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	for (uint64_t at = 0; map >= 0 && at < m->bytes;) {
		size_t n = entries_read(m, map, at, m->bytes, entry);
		for (size_t i = 0; i < n; i++)
			sum += entry_is_copy(entry[i]) ? MEM_FRAME : 0;
		at = n ? at + n * MEM_FRAME : m->bytes;
	}
	return sum;
}

bool private_copies_next(const struct mem *m, uint64_t from, uint64_t end, uint64_t *ret_from,
                         uint64_t *ret_to)
{
	uint64_t entry[BATCH];
	autoclose int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	*ret_from = *ret_to = from;
	for (uint64_t at = from; at < end;) {
		size_t n = map < 0 ? 0 : entries_read(m, map, at, end, entry);
		for (size_t i = 0; i < n; i++, at += MEM_FRAME) {
			bool copy = entry_is_copy(entry[i]);
			if (copy && *ret_to == from)
				*ret_from = at;
			if (copy)
				*ret_to = at + MEM_FRAME;
			else if (*ret_to > from)
				return true;
		}
		if (n == 0) {
			*ret_to = end;
			return true;
		}
	}
	return *ret_to > from;
}

bool private_file_next(const struct mem *m, uint64_t from, uint64_t end, uint64_t *ret_from,
                       uint64_t *ret_to)
{
	off_t data = lseek(m->fd, (off_t)from, SEEK_DATA);
	if (data < 0 && errno != ENXIO) {
		*ret_from = from;
		*ret_to = end;
		return true; /* this file system does not know its holes */
	}
	if (data < 0 || (uint64_t)data >= end)
		return false;
	off_t hole = lseek(m->fd, data, SEEK_HOLE);
	*ret_from = (uint64_t)data & ~(uint64_t)(MEM_FRAME - 1);
	*ret_to = hole < 0 ? end : min_u64(align_up((uint64_t)hole, MEM_FRAME), end);
	return true;
}

bool mem_data_next(struct mem *m, uint64_t from, uint64_t end, uint64_t *ret_from,
                   uint64_t *ret_to)
{
	uint64_t a = 0, b = 0;
	bool in_file = private_file_next(m, from, end, ret_from, ret_to);
	bool copied = m->private && private_copies_next(m, from, end, &a, &b);
	if (copied && (!in_file || a < *ret_from)) {
		*ret_from = a;
		*ret_to = b;
	}
	return in_file || copied;
}
