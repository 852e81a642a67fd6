/* SPDX-License-Identifier: Apache-2.0 */
/* Files in whole pieces: calls that come back early are made again. */
#include "host/host.h"
#include <fcntl.h>

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

int host_text_write(int fd, const char *text)
{
	size_t n = strlen(text);
	ssize_t did;
	do
		did = write(fd, text, n);
	while (did < 0 && errno == EINTR);
	if (did >= 0 && did != (ssize_t)n)
		errno = EIO;
	return did == (ssize_t)n ? 0 : -1;
}

int host_text_put(int dir, const char *path, const char *text)
{
	autoclose int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -1 : host_text_write(fd, text);
}
