/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is not the heap's. */
#include "host/host.h"
#include <sys/mman.h>

/* The leak sanitizer looks for what is still pointed at in the heap only, unless it is told: of the
 * small ones, for in tables that are large there are no pointers into the heap. */
#if defined __SANITIZE_ADDRESS__
#define WATCHED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif
#ifdef WATCHED
#include <sanitizer/lsan_interface.h>
enum { SMALL = 4 << 20 };
#endif

void *host_pages_new(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
#ifdef WATCHED
	if (bytes <= SMALL)
		__lsan_register_root_region(p, bytes);
#endif
	return p;
}

void host_pages_ready(void *at, size_t bytes)
{
	enum { PAGE = 4096 };
	uintptr_t from = (uintptr_t)at & ~(uintptr_t)(PAGE - 1);
	uintptr_t to = align_up((uintptr_t)at + bytes, PAGE);
	(void)!madvise((void *)from, to - from, MADV_POPULATE_WRITE);
}

void host_pages_more(void *at, size_t bytes, size_t used, size_t *ready)
{
	enum { AHEAD = 32 << 10 };
	size_t from = *ready, to = min_u64(align_up(used + AHEAD, 4096), bytes);
	if (from >= to)
		return;
	*ready = to;
	host_pages_ready((uint8_t *)at + from, to - from);
}

void host_pages_free(void *p, size_t bytes)
{
	if (!p)
		return;
#ifdef WATCHED
	if (bytes <= SMALL)
		__lsan_unregister_root_region(p, bytes);
#endif
	munmap(p, bytes);
}
