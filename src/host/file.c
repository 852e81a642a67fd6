/* SPDX-License-Identifier: Apache-2.0 */
/* Files in whole pieces: calls that come back early are made again. */
#include "host/host.h"

bool host_pwrite(int fd, const void *p, size_t len, uint64_t off)
{
	for (const uint8_t *b = p; len;) {
		ssize_t n = pwrite(fd, b, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		b += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}

bool host_pread(int fd, void *p, size_t len, uint64_t off)
{
	for (uint8_t *b = p; len;) {
		errno = 0;
		ssize_t n = pread(fd, b, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		b += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return true;
}
