/* SPDX-License-Identifier: Apache-2.0 */
/* WSASend, WSARecv and their like: done at once where it can be; what has to wait goes to async.c.
 */
#include "win/async.h"
#include "win/socket.h"
#include <sys/epoll.h>
#include <sys/uio.h>

enum { BUFFERS_MAX = 64, FLAG_OOB = 1, FLAG_PEEK = 2 };
struct wsabuf {
	uint32_t len, pad;
	void *at;
};
struct work {
	struct pending p;
	struct iovec v[BUFFERS_MAX];
	uint32_t n;
	int flags;
	bool send;
	uint64_t done; /* of a stream, all is sent before it is told */
	struct sockaddr_storage to;
	socklen_t to_len; /* 0: to whom it is connected */
	void *from;       /* the guest's; may be NULL */
	int32_t *from_len;
};

static int socket_type(int fd)
{
	int type = 0;
	socklen_t n = sizeof type;
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
	return type;
}

static uint64_t work_left(const struct work *w)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < w->n; i++)
		n += w->v[i].iov_len;
	return n;
}

static void work_advance(struct work *w, size_t n)
{
	for (uint32_t i = 0; i < w->n && n; i++) {
		size_t k = min_u64(n, w->v[i].iov_len);
		w->v[i].iov_base = (uint8_t *)w->v[i].iov_base + k;
		w->v[i].iov_len -= k;
		n -= k;
	}
}

static int64_t send_try(struct work *w, int flags)
{
	struct msghdr m = {.msg_iov = w->v,
			   .msg_iovlen = w->n,
			   .msg_name = w->to_len ? &w->to : NULL,
			   .msg_namelen = w->to_len};
	for (;;) {
		ssize_t r = sendmsg(w->p.f->fd, &m, MSG_NOSIGNAL | w->flags | flags);
		if (r < 0)
			return errno == EPIPE ? -ECONNRESET : -errno;
		w->done += (uint64_t)r;
		work_advance(w, (size_t)r);
		if (!(flags & MSG_DONTWAIT) || !work_left(w))
			return (int64_t)w->done;
	}
}

/* Nothing at all is received of a stream when there is something. */
static int64_t receive_try(struct work *w, int flags)
{
	uint8_t one;
	struct sockaddr_storage a;
	struct msghdr m = {
	    .msg_iov = w->v, .msg_iovlen = w->n, .msg_name = &a, .msg_namelen = sizeof a};
	int fd = w->p.f->fd;
	if (!work_left(w) && socket_type(fd) == SOCK_STREAM)
		return recv(fd, &one, 1, MSG_PEEK | flags) < 0 ? -errno : 0;
	ssize_t r = recvmsg(fd, &m, w->flags | flags);
	if (r < 0)
		return -errno;
	if (w->from && m.msg_namelen)
		address_out(w->from, w->from_len, &a, m.msg_namelen);
	return m.msg_flags & MSG_TRUNC ? -EMSGSIZE : r;
}

static int64_t work_attempt(struct pending *p)
{
	struct work *w = (struct work *)(void *)p;
	return w->send ? send_try(w, MSG_DONTWAIT) : receive_try(w, MSG_DONTWAIT);
}

/* @w is filled but for its head, and copied. */
static int32_t transfer(uint64_t h, struct work *w, const struct wsabuf *b, uint32_t n,
			uint32_t *ret_n, struct overlapped *o, uint64_t fn)
{
	int32_t answer = 0;
	struct file *f = socket_get(h);
	struct work *own = f && o ? pending_new(sizeof *own, f, o) : NULL;
	if (!f)
		return -1;
	w->p.f = f;
	w->n = n < BUFFERS_MAX ? n : BUFFERS_MAX;
	for (uint32_t i = 0; i < w->n; i++)
		w->v[i] = (struct iovec){b[i].at, b[i].len};
	int64_t r = o && !own ? -ENOBUFS : o ? work_attempt(&w->p) : 0;
	if (!o)
		r = w->send ? send_try(w, 0) : receive_try(w, 0);
	if (r == -EAGAIN && own) {
		const struct pending head = own->p;
		*own = *w;
		own->p = head;
		own->p.fn = fn;
		own->p.attempt = work_attempt;
		own->p.events = w->send ? EPOLLOUT : EPOLLIN;
		answer = async_start(&own->p) == 0 ? (last_error_set(WSA_IO_PENDING), -1)
						   : socket_fail(ENOBUFS);
		own = NULL;
	} else if (r < 0) {
		answer = socket_fail((int)-r);
	} else {
		if (ret_n)
			*ret_n = (uint32_t)r;
		if (o && fn)
			o->status = 0, o->n = (uint64_t)r,
			apc_queue(thread_self(), fn, 0, (uint64_t)r, (uint64_t)(uintptr_t)o);
		else if (o)
			overlapped_end(f, o, STATUS_SUCCESS, (uint64_t)r, true);
	}
	if (own)
		pending_free(&own->p);
	if (f->events && (!w->send || r == -EAGAIN))
		net_again(f, w->send ? NET_WRITE : NET_READ | NET_OOB);
	socket_put(f);
	return answer;
}

static int host_flags(uint32_t flags)
{
	return (flags & FLAG_OOB ? MSG_OOB : 0) | (flags & FLAG_PEEK ? MSG_PEEK : 0);
}

API(int32_t, ws_WSASend, uint64_t h, const struct wsabuf *b, uint32_t n, uint32_t *ret_n,
    uint32_t flags, struct overlapped *o, uint64_t fn)
{
	struct work w = {.send = true, .flags = host_flags(flags & FLAG_OOB)};
	return transfer(h, &w, b, n, ret_n, o, fn);
}

API(int32_t, ws_WSASendTo, uint64_t h, const struct wsabuf *b, uint32_t n, uint32_t *ret_n,
    uint32_t flags, const void *to, int32_t to_len, struct overlapped *o, uint64_t fn)
{
	struct work w = {.send = true, .flags = host_flags(flags & FLAG_OOB)};
	if (to && !address_in(&w.to, to, to_len))
		return socket_fail(EFAULT);
	w.to_len = to ? (socklen_t)to_len : 0;
	return transfer(h, &w, b, n, ret_n, o, fn);
}

API(int32_t, ws_WSARecvFrom, uint64_t h, const struct wsabuf *b, uint32_t n, uint32_t *ret_n,
    uint32_t *flags, void *from, int32_t *from_len, struct overlapped *o, uint64_t fn)
{
	struct work w = {
	    .flags = host_flags(flags ? *flags : 0), .from = from, .from_len = from_len};
	if (flags)
		*flags = 0;
	return transfer(h, &w, b, n, ret_n, o, fn);
}

API(int32_t, ws_WSARecv, uint64_t h, const struct wsabuf *b, uint32_t n, uint32_t *ret_n,
    uint32_t *flags, struct overlapped *o, uint64_t fn)
{
	return ws_WSARecvFrom(h, b, n, ret_n, flags, NULL, NULL, o, fn);
}
