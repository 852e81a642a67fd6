/* SPDX-License-Identifier: Apache-2.0 */
/* What the thread sanitizer (make m=tsan, which defines HOST_TSAN) need not look at. */
#include "host/host.h"

#ifdef HOST_TSAN
void AnnotateBenignRaceSized(const char *file, int line, const volatile void *at,
                             unsigned long bytes, const char *what);
void host_race_expect(const void *at, uint64_t bytes)
{
	AnnotateBenignRaceSized(__FILE__, __LINE__, at, bytes, "memory of a guest");
}
#else
void host_race_expect(const void *at, uint64_t bytes) { (void)at, (void)bytes; }
#endif
