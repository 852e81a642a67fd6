/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is not the heap's. */
#include "host/host.h"
#include <sys/mman.h>

void *host_pages_new(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void host_pages_free(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}
