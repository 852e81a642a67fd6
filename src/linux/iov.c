/* SPDX-License-Identifier: Apache-2.0 */
/* Calls with vectors. A vector is copied before it is checked, and the copy is what the kernel
 * gets: another thread of the guest may be writing to the original. */
#include "linux/internal.h"

static uint64_t iov_copy(const struct linux_proc *p, struct iovec *to, uint64_t at, uint64_t n)
{
	if (n > IOV_MAX || linux_read(p, to, at, n * sizeof *to))
		return at < p->user_end ? at : REFUSED;
	for (uint64_t i = 0; i < n; i++)
		if (!range_ok(p, ptr(to[i].iov_base), to[i].iov_len))
			to[i].iov_base = (void *)(uintptr_t)REFUSED;
	return ptr(to);
}

uint64_t iov_for_host(struct linux_task *t, uint64_t at, uint64_t n)
{
	return iov_copy(t->proc, t->iov, at, n);
}

/* @a: descriptor, vector, its length, and what the call wants beside. */
static int64_t iov_call(struct linux_task *t, long nr, const uint64_t a[6])
{
	return HOST_WAIT(t, nr, a[0], iov_for_host(t, a[1], a[2]), a[2], a[3], a[4], a[5]);
}

int64_t call_readv(struct linux_task *t, const uint64_t a[6]) { return iov_call(t, SYS_readv, a); }
int64_t call_writev(struct linux_task *t, const uint64_t a[6])
{
	return iov_call(t, SYS_writev, a);
}
int64_t call_preadv(struct linux_task *t, const uint64_t a[6])
{
	return iov_call(t, SYS_preadv, a);
}
int64_t call_pwritev(struct linux_task *t, const uint64_t a[6])
{
	return iov_call(t, SYS_pwritev, a);
}
int64_t call_preadv2(struct linux_task *t, const uint64_t a[6])
{
	return iov_call(t, SYS_preadv2, a);
}
int64_t call_pwritev2(struct linux_task *t, const uint64_t a[6])
{
	return iov_call(t, SYS_pwritev2, a);
}
int64_t call_vmsplice(struct linux_task *t, const uint64_t a[6])
{
	return iov_call(t, SYS_vmsplice, a);
}
int64_t call_process_madvise(struct linux_task *t, const uint64_t a[6])
{
	return iov_call(t, SYS_process_madvise, a);
}

/* The other process is a guest too, or none that this one may look into. */
static int64_t vm_call(struct linux_task *t, long nr, const uint64_t a[6])
{
	struct iovec *remote = (void *)t->path;
	_Static_assert(sizeof t->path >= sizeof t->iov, "the vector of the other side");
	return HOST(nr, a[0], iov_for_host(t, a[1], a[2]), a[2],
	            iov_copy(t->proc, remote, a[3], a[4]), a[4], a[5]);
}

int64_t call_process_vm_readv(struct linux_task *t, const uint64_t a[6])
{
	return vm_call(t, SYS_process_vm_readv, a);
}
int64_t call_process_vm_writev(struct linux_task *t, const uint64_t a[6])
{
	return vm_call(t, SYS_process_vm_writev, a);
}
