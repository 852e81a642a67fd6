/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames were written, as the host's page tables know: userfaultfd's write protection in its
 * asynchronous mode, asked and renewed by one ioctl of pagemap (Linux 6.7). It sees every write
 * through this mapping, a kernel's too; so no other mapping may be written meanwhile, and mem_fd
 * says that there is none. What a disk puts into memory that it holds pinned is told by
 * mem_written. Older headers know neither, hence the numbers here. */
#include "mem/internal.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define UFFD_USER_ONLY 1u
#define UFFD_WP_UNPOPULATED (UINT64_C(1) << 13)
#define UFFD_WP_ASYNC (UINT64_C(1) << 15)
#define UFFD_WP_FILES (UINT64_C(1) << 12) /* shared memory, too */

struct scan_region { uint64_t start, end, categories; };
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, inverted, mask, anyof,
	    returned;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)
enum { SCAN_PROTECT = 1, SCAN_CHECK = 2, SCAN_WRITTEN = 2, REGIONS = 512 };

struct track {
	int uffd, map;   /* owned */
	uint64_t *noted; /* owned: bit for each frame that mem_written named */
	uint64_t words;
};

static void bits_set(uint64_t *bits, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		bits[i / 64] |= UINT64_C(1) << i % 64;
}

bool track_register(struct mem *m, uint64_t from, uint64_t to)
{
	struct uffdio_register r = { .range = { (uintptr_t)m->host + from, to - from },
		.mode = UFFDIO_REGISTER_MODE_WP };
	return ioctl(m->track->uffd, UFFDIO_REGISTER, &r) == 0;
}

void track_note(struct mem *m, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		__atomic_fetch_or(&m->track->noted[i / 64], UINT64_C(1) << i % 64,
		                  __ATOMIC_RELAXED);
}

static int track_open(struct track *t, struct lodge_err *e)
{
	struct uffdio_api api = { .api = UFFD_API,
		.features = UFFD_WP_UNPOPULATED | UFFD_WP_ASYNC | UFFD_WP_FILES |
		            UFFD_FEATURE_EVENT_REMAP };
	t->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_ONLY);
	if (t->uffd < 0 || ioctl(t->uffd, UFFDIO_API, &api) < 0)
		return err_set(e, EOPNOTSUPP, "this host's kernel does not tell which pages were "
		               "written (userfaultfd, write protection, asynchronous: %s)",
		               strerror(errno));
	t->map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return t->map < 0 ? err_sys(e, "/proc/self/pagemap") : 0;
}

static void track_free(struct track *t)
{
	if (t->uffd >= 0)
		close(t->uffd);
	if (t->map >= 0)
		close(t->map);
	free(t->noted);
	free(t);
}

/* mremap waits until its event was read. Only where that is to be heard of does it move whole page
 * tables. */
struct hearing {
	int uffd;
	bool over; /* atomic: there will be none */
};

static void *track_hear(void *arg)
{
	struct hearing *h = arg;
	struct uffd_msg msg;
	struct pollfd p = { .fd = h->uffd, .events = POLLIN };
	while (!__atomic_load_n(&h->over, __ATOMIC_ACQUIRE))
		if (poll(&p, 1, 1) > 0 && read(h->uffd, &msg, sizeof msg) == sizeof msg)
			break;
	return NULL;
}

bool track_move(struct mem *m, void *to, int *ret_uffd)
{
	struct hearing h = { .uffd = m->track->uffd };
	pthread_t hears;
	if (pthread_create(&hears, NULL, track_hear, &h) != 0)
		return false;
	bool ok = mremap(m->host, m->bytes, m->bytes,
	                 MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != MAP_FAILED;
	__atomic_store_n(&h.over, true, __ATOMIC_RELEASE);
	pthread_join(hears, NULL);
	if (ok) {
		*ret_uffd = take_fd(&m->track->uffd);
		track_free(take(m->track));
	}
	return ok;
}

int mem_track_begin(struct mem *m, struct lodge_err *e)
{
	assert(!m->track);
	struct track *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ENOMEM, "out of memory");
	t->uffd = t->map = -1;
	t->words = m->bytes / MEM_FRAME / 64 + 1;
	t->noted = calloc(t->words, sizeof *t->noted);
	int r = t->noted ? track_open(t, e) : err_set(e, ENOMEM, "out of memory");
	m->track = t;
	if (r == 0 && !track_register(m, 0, m->bytes))
		r = err_set(e, EOPNOTSUPP, "pages that are written cannot be told on this host: %s",
		            strerror(errno));
	autofree uint64_t *first = r == 0 ? calloc(t->words, sizeof *first) : NULL;
	if (r == 0)
		r = first ? mem_track_take(m, first, e) : err_set(e, ENOMEM, "out of memory");
	if (r < 0) {
		track_free(t);
		m->track = NULL;
		return r;
	}
	m->shape++;
	return 0;
}

int mem_track_take(struct mem *m, uint64_t *bits, struct lodge_err *e)
{
	struct track *t = m->track;
	struct scan_region at[REGIONS];
	uint64_t host = (uintptr_t)m->host;
	struct scan_arg a = { .size = sizeof a, .flags = SCAN_PROTECT | SCAN_CHECK, .start = host,
		.end = host + m->bytes, .vec = (uintptr_t)at, .vec_len = REGIONS,
		.mask = SCAN_WRITTEN, .returned = SCAN_WRITTEN };
	for (uint64_t i = 0; i < t->words; i++)
		if (__atomic_load_n(&t->noted[i], __ATOMIC_RELAXED))
			bits[i] |= __atomic_exchange_n(&t->noted[i], 0, __ATOMIC_ACQ_REL);
	while (a.start < a.end) {
		int n = ioctl(t->map, SCAN_IOCTL, &a);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPERM) { /* mem_release has just mapped something else */
			bits_set(bits, (a.start - host) / MEM_FRAME, m->bytes / MEM_FRAME);
			return 0;
		}
		if (n < 0)
			return err_sys(e, "asking which pages were written");
		for (int i = 0; i < n; i++)
			bits_set(bits, (at[i].start - host) / MEM_FRAME,
			         (at[i].end - host) / MEM_FRAME);
		a.start = a.walk_end;
	}
	return 0;
}

void mem_track_end(struct mem *m)
{
	struct uffdio_range all = { (uintptr_t)m->host, m->bytes };
	if (!m->track)
		return;
	(void)!ioctl(m->track->uffd, UFFDIO_UNREGISTER, &all); /* closing it does so as well */
	track_free(m->track);
	m->track = NULL;
	m->shape++;
}
