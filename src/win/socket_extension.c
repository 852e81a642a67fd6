/* SPDX-License-Identifier: Apache-2.0 */
/* What mswsock adds: AcceptEx, ConnectEx, DisconnectEx and how programs find them, by WSAIoctl. */
#include "win/async.h"
#include "win/socket.h"
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

enum { ADDRESS_HEAD = 16 }; /* what AcceptEx wants an address's room to be bigger */
enum {
	SIO_BASE_HANDLE = 0x48000022,
	SIO_BSP_HANDLE = 0x4800001b,
	SIO_GET_EXTENSION = (int)0xc8000006,
	SIO_UDP_CONNRESET = (int)0x9800000c,
	SIO_UDP_NETRESET = (int)0x9800000f,
	SIO_KEEPALIVE_VALS = (int)0x98000004,
	SIO_TCP_INITIAL_RTO = (int)0x98000011,
	FIONBIO_WIN = (int)0x8004667e,
	FIONREAD_WIN = 0x4004667f
};

/* ---- AcceptEx ---- */

struct accepting {
	struct pending p;
	struct file *into; /* a reference */
	uint8_t *out;      /* the guest's: data, own address, the other's */
	uint32_t data, own, other;
};

/* As GetAcceptExSockaddrs finds it: the address, and its length at the end of its room. */
static void address_keep(uint8_t *room, uint32_t len, const struct sockaddr_storage *a, socklen_t n)
{
	int32_t fits = (int32_t)(len - ADDRESS_HEAD);
	memset(room, 0, len);
	address_out(room, &fits, a, n);
	le32_put(room + len - 4, (uint32_t)n);
}

static int64_t accept_attempt(struct pending *p)
{
	struct accepting *a = (struct accepting *)(void *)p;
	struct sockaddr_storage other = {0}, own = {0};
	socklen_t other_len = sizeof other, own_len = sizeof own;
	int flags = fcntl(a->into->fd, F_GETFL);
	int fd =
	    accept4(p->f->fd, (struct sockaddr *)&other, &other_len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return -errno;
	getsockname(fd, (struct sockaddr *)&own, &own_len);
	address_keep(a->out + a->data, a->own, &own, own_len);
	address_keep(a->out + a->data + a->own, a->other, &other, other_len);
	fcntl(fd, F_SETFL, flags); /* as the socket was that it becomes */
	int r = dup3(fd, a->into->fd, O_CLOEXEC), err = errno;
	close(fd);
	return r < 0 ? -err : 0;
}

static void accept_fini(struct pending *p)
{
	object_unref(&((struct accepting *)(void *)p)->into->o);
}

API(uint32_t, ws_AcceptEx, uint64_t h, uint64_t into, uint8_t *out, uint32_t data, uint32_t own,
    uint32_t other, uint32_t *ret_n, struct overlapped *o)
{
	if (!o || own < ADDRESS_HEAD + 4 || other < ADDRESS_HEAD + 4)
		return (uint32_t)(socket_fail(EINVAL) + 1);
	struct file *f = socket_get(h), *to = f ? socket_get(into) : NULL;
	struct accepting *a = to ? pending_new(sizeof *a, f, o) : NULL;
	if (f)
		socket_put(f);
	if (!a) {
		object_unref(to ? &to->o : NULL);
		return 0;
	}
	/* DEVIATES: it does not wait for the first data, which are received like all others */
	a->into = to;
	a->out = out;
	a->data = data;
	a->own = own;
	a->other = other;
	a->p.events = EPOLLIN;
	a->p.attempt = accept_attempt;
	a->p.fini = accept_fini;
	int flags = fcntl(f->fd, F_GETFL); /* it must not wait here, whatever the socket is */
	fcntl(f->fd, F_SETFL, flags | O_NONBLOCK);
	int64_t r = accept_attempt(&a->p);
	if (r == -EAGAIN) {
		last_error_set(async_start(&a->p) == 0 ? WSA_IO_PENDING : ERROR_NOT_ENOUGH_MEMORY);
		return 0;
	}
	pending_free(&a->p);
	if (r < 0)
		return (uint32_t)(socket_fail((int)-r) + 1);
	if (ret_n)
		*ret_n = 0;
	overlapped_end(f, o, STATUS_SUCCESS, 0, true);
	return 1;
}

API(void, ws_GetAcceptExSockaddrs, uint8_t *out, uint32_t data, uint32_t own, uint32_t other,
    uint8_t **ret_own, int32_t *own_len, uint8_t **ret_other, int32_t *other_len)
{
	*ret_own = out + data;
	*own_len = (int32_t)le32_at(out + data + own - 4);
	*ret_other = out + data + own;
	*other_len = (int32_t)le32_at(out + data + own + other - 4);
}

/* ---- ConnectEx ---- */

struct connecting {
	struct pending p;
	const void *data; /* the guest's; sent when it is connected */
	uint32_t n;
};

static int64_t connect_attempt(struct pending *p)
{
	const struct connecting *c = (const struct connecting *)(const void *)p;
	int err = 0;
	socklen_t n = sizeof err;
	struct sockaddr_storage a;
	socklen_t a_len = sizeof a;
	if (getsockopt(p->f->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0 || err)
		return -(err ? err : errno);
	if (getpeername(p->f->fd, (struct sockaddr *)&a, &a_len) < 0)
		return errno == ENOTCONN ? -EAGAIN : -errno;
	ssize_t r = c->n ? send(p->f->fd, c->data, c->n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
	return r < 0 ? -errno : r;
}

API(uint32_t, ws_ConnectEx, uint64_t h, const void *name, int32_t len, const void *data, uint32_t n,
    uint32_t *ret_n, struct overlapped *o)
{
	struct sockaddr_storage a;
	struct file *f = socket_get(h);
	if (!f)
		return 0;
	struct connecting *c = o ? pending_new(sizeof *c, f, o) : NULL;
	socket_put(f);
	if (!c || !address_in(&a, name, len)) {
		if (c)
			pending_free(&c->p);
		return (uint32_t)(socket_fail(EFAULT) + 1);
	}
	c->data = data;
	c->n = data ? n : 0;
	c->p.events = EPOLLOUT;
	c->p.attempt = connect_attempt;
	int flags = fcntl(f->fd, F_GETFL);
	fcntl(f->fd, F_SETFL, flags | O_NONBLOCK);
	int r = connect(f->fd, (struct sockaddr *)&a, (socklen_t)len), err = errno;
	fcntl(f->fd, F_SETFL, flags);
	if (r < 0 && err != EINPROGRESS) {
		/* told later, as there: it is the other side that refuses */
		if (err != ECONNREFUSED && err != ENETUNREACH && err != EHOSTUNREACH) {
			pending_free(&c->p);
			return (uint32_t)(socket_fail(err) + 1);
		}
		c->p.events = 0;
	}
	(void)ret_n;
	const struct file *own = c->p.f;
	if (async_start(&c->p) < 0)
		return (uint32_t)(socket_fail(ENOBUFS) + 1);
	if (r < 0 && err != EINPROGRESS)
		async_finish(own, -err);
	last_error_set(WSA_IO_PENDING);
	return 0;
}

/* ---- DisconnectEx, TransmitFile's kin ---- */

API(uint32_t, ws_DisconnectEx, uint64_t h, struct overlapped *o, uint32_t flags, uint32_t reserved)
{
	struct file *f = socket_get(h);
	(void)flags;
	(void)reserved;
	if (!f)
		return 0;
	int r = shutdown(f->fd, SHUT_RDWR);
	int err = errno;
	if (r == 0 && o)
		overlapped_end(f, o, STATUS_SUCCESS, 0, true);
	socket_put(f);
	return r < 0 ? (uint32_t)(socket_fail(err) + 1) : 1;
}

/* ---- WSAIoctl ---- */

/* By the identities that they have there, which end in what is the same for all of their kind. */
static const struct {
	char id[17];
	const void *fn;
} extensions[] = {
    {"\xf1\x7d\x36\xb5\xac\xcb\xcf\x11\x95\xca\x00\x80\x5f\x48\xa1\x92", (const void *)ws_AcceptEx},
    {"\xf2\x7d\x36\xb5\xac\xcb\xcf\x11\x95\xca\x00\x80\x5f\x48\xa1\x92",
     (const void *)ws_GetAcceptExSockaddrs},
    {"\xb9\x07\xa2\x25\xf3\xdd\x60\x46\x8e\xe9\x76\xe5\x8c\x74\x06\x3e",
     (const void *)ws_ConnectEx},
    {"\x11\x2e\xda\x7f\x30\x86\x6f\x43\xa0\x31\xf5\x36\xa6\xee\xc1\x57",
     (const void *)ws_DisconnectEx},
};

static int32_t extension_give(const void *in, uint32_t n_in, void *out, uint32_t n_out)
{
	for (size_t i = 0; i < countof(extensions) && n_in >= 16 && n_out >= 8; i++)
		if (!memcmp(extensions[i].id, in, 16)) {
			le64_put(out, (uint64_t)(uintptr_t)extensions[i].fn);
			return 8;
		}
	return -EINVAL;
}

/* What the host does by itself, or cannot, and programs go on without. */
static bool ioctl_nothing(uint32_t what)
{
	return what == (uint32_t)SIO_UDP_CONNRESET || what == (uint32_t)SIO_UDP_NETRESET ||
	       what == (uint32_t)SIO_TCP_INITIAL_RTO;
}

/* On or off, then milliseconds until the first one, and between others. */
static int32_t keepalive_set(int fd, const uint32_t *v, uint32_t n)
{
	if (n < 12)
		return -EFAULT;
	int on = v[0] != 0, first = (int)(v[1] / 1000), next = (int)(v[2] / 1000);
	first = first ? first : 1;
	next = next ? next : 1;
	if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0 ||
	    (on && (setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &first, sizeof first) < 0 ||
		    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &next, sizeof next) < 0)))
		return -errno;
	return 0;
}

/* Bytes given, or a negative errno. */
static int32_t ioctl_do(struct file *f, uint64_t h, uint32_t what, const void *in, uint32_t n_in,
			void *out, uint32_t n_out)
{
	int n = n_in >= 4 ? (int)le32_at(in) : 0;
	if (what == (uint32_t)SIO_GET_EXTENSION)
		return extension_give(in, n_in, out, n_out);
	if (what == SIO_BASE_HANDLE || what == SIO_BSP_HANDLE) {
		if (n_out < 8)
			return -EFAULT;
		le64_put(out, h);
		return 8;
	}
	if (what == (uint32_t)FIONBIO_WIN)
		return ioctl(f->fd, FIONBIO, &n) < 0 ? -errno : 0;
	if (what == FIONREAD_WIN) {
		if (n_out < 4 || ioctl(f->fd, FIONREAD, &n) < 0)
			return n_out < 4 ? -EFAULT : -errno;
		le32_put(out, (uint32_t)n);
		return 4;
	}
	if (what == (uint32_t)SIO_KEEPALIVE_VALS)
		return keepalive_set(f->fd, in, n_in);
	return ioctl_nothing(what) ? 0 : -EOPNOTSUPP;
}

API(int32_t, ws_WSAIoctl, uint64_t h, uint32_t what, const void *in, uint32_t n_in, void *out,
    uint32_t n_out, uint32_t *ret_n, struct overlapped *o, uint64_t fn)
{
	struct file *f = socket_get(h);
	(void)fn;
	if (!f)
		return -1;
	int32_t r = ioctl_do(f, h, what, in, n_in, out, n_out);
	if (r >= 0 && ret_n)
		*ret_n = (uint32_t)r;
	if (r >= 0 && o)
		overlapped_end(f, o, STATUS_SUCCESS, (uint64_t)r, true);
	socket_put(f);
	return r < 0 ? socket_fail(-r) : 0;
}
