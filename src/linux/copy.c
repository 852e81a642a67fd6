/* SPDX-License-Identifier: Apache-2.0 */
/* Copies to and from guest memory that may not be mapped, held against the end of the guest's. */
#include "host/host.h"
#include "linux/internal.h"

static void *pointer(uint64_t at) { return (void *)(uintptr_t)at; }

int linux_read(const struct linux_proc *p, void *to, uint64_t at, size_t len)
{
	return range_ok(p, at, len) && !host_copy(to, pointer(at), len) ? 0 : -EFAULT;
}

int linux_write(const struct linux_proc *p, uint64_t at, const void *from, size_t len)
{
	return range_ok(p, at, len) && !host_copy(pointer(at), from, len) ? 0 : -EFAULT;
}

ssize_t linux_string(const struct linux_proc *p, char *to, uint64_t at, size_t cap)
{
	size_t n, max = at < p->user_end ? min_u64(cap, p->user_end - at) : 0;
	if (!max || !host_length(at, max, &n))
		return -EFAULT;
	if (n == max)
		return max < cap ? -EFAULT : -ENAMETOOLONG;
	if (host_copy(to, pointer(at), n))
		return -EFAULT;
	to[n] = 0;
	/* another thread may have put a zero in since */
	return (ssize_t)strlen(to);
}
