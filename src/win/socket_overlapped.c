/* SPDX-License-Identifier: Apache-2.0 */
/* WSASend, WSARecv and what is asked for with an OVERLAPPED: done at once where it can be, else by
 * a thread that waits until it can. */
#include "win/socket.h"
#include <poll.h>
#include <sys/uio.h>

enum { BUFFERS_MAX = 64 };
struct wsabuf {
	uint32_t len, pad;
	void *at;
};
struct work {
	struct file *f;       /* a reference */
	struct overlapped *o; /* the guest's */
	struct iovec v[BUFFERS_MAX];
	uint32_t n;
	bool send;
};

static int64_t work_try(const struct work *w, int flags)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)w->v, .msg_iovlen = w->n};
	ssize_t r =
	    w->send ? sendmsg(w->f->fd, &m, MSG_NOSIGNAL | flags) : recvmsg(w->f->fd, &m, flags);
	return r < 0 ? -errno : r;
}

static void work_end(const struct work *w, int64_t r, bool at_once)
{
	overlapped_end(w->f, w->o,
		       r >= 0            ? STATUS_SUCCESS
		       : w->f->cancelled ? STATUS_CANCELLED
					 : status_of((int)-r),
		       r < 0 ? 0 : (uint64_t)r, at_once);
}

static void *work_thread(void *arg)
{
	struct work *w = arg;
	struct pollfd p = {.fd = w->f->fd, .events = w->send ? POLLOUT : POLLIN};
	int64_t r = -EAGAIN;
	while (r == -EAGAIN || r == -EINTR) {
		poll(&p, 1, -1);
		r = w->f->cancelled ? -ECANCELED : work_try(w, MSG_DONTWAIT);
	}
	work_end(w, r, false);
	socket_put(w->f);
	free(w);
	return NULL;
}

static int32_t work_start(const struct work *given)
{
	struct work *w = malloc(sizeof *w);
	pthread_attr_t a;
	pthread_t t;
	if (!w)
		return socket_fail(ENOBUFS);
	*w = *given;
	object_ref(&w->f->o);
	overlapped_begin(w->o);
	pthread_attr_init(&a);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&a, 64 << 10);
	int err = pthread_create(&t, &a, work_thread, w);
	pthread_attr_destroy(&a);
	if (err) {
		socket_put(w->f);
		free(w);
		return socket_fail(ENOBUFS);
	}
	last_error_set(WSA_IO_PENDING);
	return -1;
}

static int32_t transfer(uint64_t h, const struct wsabuf *b, uint32_t n, uint32_t *ret_n, bool send,
			struct overlapped *o)
{
	struct work w = {.n = n < BUFFERS_MAX ? n : BUFFERS_MAX, .send = send, .o = o};
	if (!(w.f = socket_get(h)))
		return -1;
	for (uint32_t i = 0; i < w.n; i++)
		w.v[i] = (struct iovec){b[i].at, b[i].len};
	int64_t r = work_try(&w, o ? MSG_DONTWAIT : 0);
	int32_t answer = 0;
	if (o && r == -EAGAIN) {
		answer = work_start(&w);
	} else if (r < 0) {
		answer = socket_fail((int)-r);
	} else {
		if (ret_n)
			*ret_n = (uint32_t)r;
		if (o)
			work_end(&w, r, true);
	}
	socket_put(w.f);
	return answer;
}

API(int32_t, ws_WSASend, uint64_t h, const struct wsabuf *b, uint32_t n, uint32_t *ret_n,
    uint32_t flags, struct overlapped *o, uint64_t fn)
{
	(void)flags;
	return fn ? socket_fail(EOPNOTSUPP) : transfer(h, b, n, ret_n, true, o);
}

API(int32_t, ws_WSARecv, uint64_t h, const struct wsabuf *b, uint32_t n, uint32_t *ret_n,
    uint32_t *flags, struct overlapped *o, uint64_t fn)
{
	if (flags)
		*flags = 0;
	return fn ? socket_fail(EOPNOTSUPP) : transfer(h, b, n, ret_n, false, o);
}
