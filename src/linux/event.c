/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: epoll, poll, select, futex, and asynchronous I/O of the kernel. An epoll_event has 12
 * bytes on x86-64, where it is packed, and 16 in the guest. */
#include "linux/internal.h"
#include <linux/futex.h>
#include <sys/epoll.h>

struct event_generic {
	uint32_t events, pad;
	uint64_t data;
};
_Static_assert(sizeof(struct event_generic) == 16, "as on all but x86");
_Static_assert(sizeof(struct epoll_event) == 12, "packed");

uint64_t mask_for_host(struct linux_task *t, uint64_t at, uint64_t size)
{
	if (!at)
		return 0;
	if (size != sizeof t->words[0] || linux_read(t->proc, &t->words[0], at, sizeof t->words[0]))
		return range_for_host(t->proc, at, sizeof t->words[0]);
	t->words[0] &= ~t->proc->keep_signals;
	return ptr(&t->words[0]);
}

/* As pselect6 and io_pgetevents want it: the address of a mask, and its size. */
static uint64_t mask_pair_for_host(struct linux_task *t, uint64_t at)
{
	uint64_t pair[2];
	if (!at)
		return 0;
	if (linux_read(t->proc, pair, at, sizeof pair))
		return range_for_host(t->proc, at, sizeof pair);
	t->words[1] = mask_for_host(t, pair[0], pair[1]);
	t->words[2] = pair[1];
	return ptr(&t->words[1]);
}

/* ---- epoll ---- */

int64_t call_epoll_ctl(struct linux_task *t, const uint64_t a[6])
{
	struct event_generic g;
	struct epoll_event e = { 0 };
	if ((int)a[1] == EPOLL_CTL_DEL)
		return linux_direct(SYS_epoll_ctl, a);
	if (linux_read(t->proc, &g, a[3], sizeof g))
		return HOST(SYS_epoll_ctl, a[0], a[1], a[2], REFUSED);
	e.events = g.events;
	e.data.u64 = g.data;
	return HOST(SYS_epoll_ctl, a[0], a[1], a[2], ptr(&e));
}

/* @a: descriptor, events, their number, timeout, mask, its size. At most as many events as the
 * scratch holds are asked for at a time: the rest is for the next call. */
static int64_t epoll_wait_any(struct linux_task *t, long nr, const uint64_t a[6])
{
	struct epoll_event *e = (void *)t->iov;
	int n = (int)a[2], max = (int)(sizeof t->iov / (sizeof *e));
	bool ok = n <= 0 || n > INT_MAX / (int)sizeof(struct event_generic) ||
	          range_ok(t->proc, a[1], (uint64_t)n * sizeof(struct event_generic));
	if (n > max && n <= INT_MAX / (int)sizeof(struct event_generic))
		n = max;
	int64_t got = HOST_WAIT(t, nr, a[0], ok ? ptr(e) : REFUSED, reg(n), a[3],
	                        mask_for_host(t, a[4], a[5]), a[5]);
	for (int64_t i = 0; i < got; i++) {
		struct event_generic g = { .events = e[i].events, .data = e[i].data.u64 };
		if (linux_write(t->proc, a[1] + (uint64_t)i * sizeof g, &g, sizeof g))
			return i ? i : -EFAULT;
	}
	return got;
}

int64_t call_epoll_pwait(struct linux_task *t, const uint64_t a[6])
{
	return epoll_wait_any(t, SYS_epoll_pwait, a);
}

int64_t call_epoll_pwait2(struct linux_task *t, const uint64_t a[6])
{
	return epoll_wait_any(t, SYS_epoll_pwait2, a);
}

/* ---- poll, select, signalfd ---- */

int64_t call_ppoll(struct linux_task *t, const uint64_t a[6])
{
	uint64_t fds = range_for_host(t->proc, a[0], (uint64_t)(uint32_t)a[1] * 8);
	return HOST_WAIT(t, SYS_ppoll, fds, a[1], a[2], mask_for_host(t, a[3], a[4]), a[4]);
}

int64_t call_pselect6(struct linux_task *t, const uint64_t a[6])
{
	uint64_t bytes = (int)a[0] > 0 ? ((uint64_t)(uint32_t)a[0] + 63) / 64 * 8 : 0, set[3];
	for (int i = 0; i < 3; i++)
		set[i] = range_for_host(t->proc, a[1 + i], bytes);
	return HOST_WAIT(t, SYS_pselect6, a[0], set[0], set[1], set[2], a[4],
	                 mask_pair_for_host(t, a[5]));
}

int64_t call_signalfd4(struct linux_task *t, const uint64_t a[6])
{
	if (fd_hidden(t->proc, a[0]))
		return -EBADF;
	return HOST(SYS_signalfd4, a[0], mask_for_host(t, a[1], a[2]), a[2], a[3]);
}

/* ---- futex ---- */

int64_t call_futex(struct linux_task *t, const uint64_t a[6])
{
	const struct linux_proc *p = t->proc;
	bool timeout = false, second = false;
	switch ((int)a[1] & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2: timeout = true; break;
	case FUTEX_WAIT_REQUEUE_PI: timeout = second = true; break;
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_CMP_REQUEUE_PI:
	case FUTEX_WAKE_OP: second = true; break;
	default: break;
	}
	uint64_t b[6];
	memcpy(b, a, sizeof b);
	if (timeout)
		b[3] = range_for_host(p, a[3], 16);
	if (second)
		b[4] = range_for_host(p, a[4], 4);
	return timeout ? linux_host_call(t, SYS_futex, b) : linux_direct(SYS_futex, b);
}

enum { WAITERS_MAX = 128, NR_futex_requeue = 456 };
struct waiter {
	uint64_t value, word;
	uint32_t flags, reserved;
};

/* Copies of @n waiters whose words are the guest's: 0 or -errno. */
static int waiters_read(const struct linux_proc *p, struct waiter *to, uint64_t at, uint64_t n)
{
	if (!n || n > WAITERS_MAX || !at)
		return -EINVAL;
	if (linux_read(p, to, at, n * sizeof *to))
		return -EFAULT;
	for (uint64_t i = 0; i < n; i++)
		if (!range_ok(p, to[i].word, 8))
			return -EFAULT;
	return 0;
}

int64_t call_futex_waitv(struct linux_task *t, const uint64_t a[6])
{
	struct waiter w[WAITERS_MAX];
	int r = waiters_read(t->proc, w, a[0], (uint32_t)a[1]);
	if (r)
		return HOST(SYS_futex_waitv, REFUSED, a[1], a[2], a[3], a[4]);
	return HOST_WAIT(t, SYS_futex_waitv, ptr(w), a[1], a[2], a[3], a[4]);
}

int64_t call_futex_requeue(struct linux_task *t, const uint64_t a[6])
{
	struct waiter w[2];
	int r = waiters_read(t->proc, w, a[0], countof(w));
	return r ? r : HOST(NR_futex_requeue, ptr(w), a[1], a[2], a[3]);
}

/* ---- asynchronous I/O: the kernel keeps the guest's addresses of control blocks ---- */

struct iocb_generic {
	uint64_t data;
	uint32_t key, rw_flags;
	uint16_t op, prio;
	uint32_t fd;
	uint64_t buf, bytes, off, reserved;
	uint32_t flags, resfd;
};
_Static_assert(sizeof(struct iocb_generic) == 64, "linux/aio_abi.h");
enum { OP_POLL = 5, OP_PREADV = 7, OP_PWRITEV = 8 };

static int iov_check(struct linux_task *t, uint64_t at, uint64_t n)
{
	if (n > IOV_MAX || iov_for_host(t, at, n) != ptr(t->iov))
		return n > IOV_MAX ? -EINVAL : -EFAULT;
	for (uint64_t i = 0; i < n; i++)
		if (ptr(t->iov[i].iov_base) == REFUSED)
			return -EFAULT;
	return 0;
}

static int iocb_check(struct linux_task *t, uint64_t at)
{
	struct iocb_generic c;
	if (linux_read(t->proc, &c, at, sizeof c))
		return -EFAULT;
	if (fd_hidden(t->proc, c.fd))
		return -EBADF;
	if (c.op == OP_PREADV || c.op == OP_PWRITEV)
		return iov_check(t, c.buf, c.bytes);
	return c.op == OP_POLL || range_ok(t->proc, c.buf, c.bytes) ? 0 : -EFAULT;
}

int64_t call_io_submit(struct linux_task *t, const uint64_t a[6])
{
	int64_t n = (int64_t)a[1], done = 0;
	uint64_t block;
	if (n <= 0 || HOST(SYS_io_submit, a[0], 0, 0) < 0)
		return linux_direct(SYS_io_submit, a);
	for (; done < n; done++) {
		int64_t r = linux_read(t->proc, &block, a[2] + (uint64_t)done * 8, sizeof block);
		if (!r)
			r = iocb_check(t, block);
		if (!r)
			r = HOST(SYS_io_submit, a[0], 1, ptr(&block));
		if (r != 1)
			return done ? done : r;
	}
	return done;
}

int64_t call_io_pgetevents(struct linux_task *t, const uint64_t a[6])
{
	return HOST_WAIT(t, SYS_io_pgetevents, a[0], a[1], a[2], a[3], a[4],
	                 mask_pair_for_host(t, a[5]));
}
