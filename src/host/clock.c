/* SPDX-License-Identifier: Apache-2.0 */
/* The host's clocks and its random source. */
#include "host/host.h"
#include <sys/random.h>
#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t host_monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
uint64_t host_cpu_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }
uint64_t host_realtime_ns(void) { return clock_ns(CLOCK_REALTIME); }

void host_random(void *buf, size_t len)
{
	uint8_t *p = buf;
	while (len) {
		/* Only a signal or a size above 32 MiB can make it short. */
		ssize_t n = getrandom(p, len, 0);
		if (n < 0) {
			assert(errno == EINTR);
			continue;
		}
		p += n;
		len -= (size_t)n;
	}
}
