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

int mask_read(struct linux_task *t, uint64_t *ret, uint64_t at, uint64_t size)
{
	*ret = 0;
	if (!at)
		return 0;
	if (size != sizeof t->words[0])
		return -EINVAL;
	if (linux_read(t->proc, &t->words[0], at, sizeof t->words[0]))
		return -EFAULT;
	t->words[0] &= ~t->proc->keep_signals;
	*ret = ptr(&t->words[0]);
	return 0;
}

/* As pselect6 and io_pgetevents want it: the address of a mask, and its size. */
static int mask_pair_read(struct linux_task *t, uint64_t *ret, uint64_t at)
{
	uint64_t pair[2];
	*ret = 0;
	if (!at)
		return 0;
	if (linux_read(t->proc, pair, at, sizeof pair))
		return -EFAULT;
	int r = mask_read(t, &t->words[1], pair[0], pair[1]);
	t->words[2] = pair[1];
	*ret = ptr(&t->words[1]);
	return r;
}

/* ---- epoll ---- */

int64_t call_epoll_ctl(struct linux_task *t, const uint64_t a[6])
{
	struct event_generic g;
	struct epoll_event e = { 0 };
	if ((int)a[1] == EPOLL_CTL_DEL)
		return linux_direct(SYS_epoll_ctl, a);
	if (linux_read(t->proc, &g, a[3], sizeof g))
		return -EFAULT;
	e.events = g.events;
	e.data.u64 = g.data;
	return HOST(SYS_epoll_ctl, a[0], a[1], a[2], ptr(&e));
}

/* @a: descriptor, events, their number, timeout, mask, its size. At most as many events as the
 * scratch holds are asked for at a time: the rest is for the next call. */
static int64_t epoll_wait_any(struct linux_task *t, long nr, const uint64_t a[6])
{
	struct epoll_event *e = (void *)t->iov;
	uint64_t mask;
	int n = (int)a[2], max = (int)(sizeof t->iov / (sizeof *e));
	if (n > 0 && !range_ok(t->proc, a[1], (uint64_t)n * sizeof(struct event_generic)))
		return -EFAULT;
	int r = mask_read(t, &mask, a[4], a[5]);
	if (r)
		return r;
	int64_t got = HOST_WAIT(t, nr, a[0], ptr(e), reg(n < max ? n : max), a[3], mask, 8);
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
	uint64_t mask;
	if (!range_ok(t->proc, a[0], (uint64_t)(uint32_t)a[1] * 8))
		return -EFAULT;
	int r = mask_read(t, &mask, a[3], a[4]);
	return r ? r : HOST_WAIT(t, SYS_ppoll, a[0], a[1], a[2], mask, 8);
}

int64_t call_pselect6(struct linux_task *t, const uint64_t a[6])
{
	uint64_t mask, bytes = ((uint64_t)(uint32_t)a[0] + 63) / 64 * 8;
	for (int i = 1; i <= 3; i++)
		if (!range_ok(t->proc, a[i], (int)a[0] > 0 ? bytes : 0))
			return -EFAULT;
	int r = mask_pair_read(t, &mask, a[5]);
	return r ? r : HOST_WAIT(t, SYS_pselect6, a[0], a[1], a[2], a[3], a[4], mask);
}

int64_t call_signalfd4(struct linux_task *t, const uint64_t a[6])
{
	uint64_t mask;
	if (fd_hidden(t->proc, a[0]))
		return -EBADF;
	int r = mask_read(t, &mask, a[1], a[2]);
	return r ? r : HOST(SYS_signalfd4, a[0], mask, a[2], a[3]);
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
	if ((timeout && !range_ok(p, a[3], 16)) || (second && !range_ok(p, a[4], 4)))
		return -EFAULT;
	return timeout ? linux_host_call(t, SYS_futex, a) : linux_direct(SYS_futex, a);
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
	return r ? r : HOST_WAIT(t, SYS_futex_waitv, ptr(w), a[1], a[2], a[3], a[4]);
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

static int iocb_check(struct linux_task *t, uint64_t at)
{
	struct iocb_generic c;
	if (linux_read(t->proc, &c, at, sizeof c))
		return -EFAULT;
	if (fd_hidden(t->proc, c.fd))
		return -EBADF;
	if (c.op == OP_PREADV || c.op == OP_PWRITEV)
		return iov_read(t, c.buf, c.bytes);
	return c.op == OP_POLL || range_ok(t->proc, c.buf, c.bytes) ? 0 : -EFAULT;
}

int64_t call_io_submit(struct linux_task *t, const uint64_t a[6])
{
	int64_t n = (int64_t)a[1], done = 0;
	uint64_t block;
	if (n <= 0)
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
	uint64_t mask;
	int r = mask_pair_read(t, &mask, a[5]);
	return r ? r : HOST_WAIT(t, SYS_io_pgetevents, a[0], a[1], a[2], a[3], a[4], mask);
}
