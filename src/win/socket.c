/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of Windows over those of Linux. A socket is a file handle, as there. What is asked for
 * with an OVERLAPPED is done by a thread of its own, when it would have to wait. */
#include "win/socket.h"
#include "win/async.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>

static const struct {
	int err;
	int32_t wsa;
} errors[] = {
    {EINTR, 10004},           {EBADF, 10009},      {EACCES, 10013},       {EPERM, 10013},
    {EFAULT, 10014},          {EINVAL, 10022},     {EMFILE, 10024},       {EAGAIN, 10035},
    {EINPROGRESS, 10036},     {EALREADY, 10037},   {ENOTSOCK, 10038},     {EDESTADDRREQ, 10039},
    {EMSGSIZE, 10040},        {EPROTOTYPE, 10041}, {ENOPROTOOPT, 10042},  {EPROTONOSUPPORT, 10043},
    {ESOCKTNOSUPPORT, 10044}, {EOPNOTSUPP, 10045}, {EAFNOSUPPORT, 10047}, {EADDRINUSE, 10048},
    {EADDRNOTAVAIL, 10049},   {ENETDOWN, 10050},   {ENETUNREACH, 10051},  {ECONNABORTED, 10053},
    {ECONNRESET, 10054},      {ENOBUFS, 10055},    {EISCONN, 10056},      {ENOTCONN, 10057},
    {EPIPE, 10054},           {ESHUTDOWN, 10058},  {ETIMEDOUT, 10060},    {ECONNREFUSED, 10061},
    {EHOSTUNREACH, 10065}};

int32_t socket_error(int err)
{
	for (size_t i = 0; i < countof(errors); i++)
		if (errors[i].err == err)
			return errors[i].wsa;
	return 10022;
}

int32_t socket_fail(int err)
{
	last_error_set((uint32_t)socket_error(err));
	return -1;
}

struct file *socket_get(uint64_t h)
{
	struct file *f = object_get(h, KIND_FILE);
	if (f && f->socket)
		return f;
	object_unref(f ? &f->o : NULL);
	socket_fail(ENOTSOCK);
	return NULL;
}

void socket_put(struct file *f) { object_unref(&f->o); }

/* ---- families are numbered otherwise ---- */

int family_host(int family) { return family == FAMILY_INET6 ? AF_INET6 : family; }
static uint16_t family_win(int family)
{
	return (uint16_t)(family == AF_INET6 ? FAMILY_INET6 : family);
}

bool address_in(struct sockaddr_storage *to, const void *from, int len)
{
	if (!from || len < 2 || (size_t)len > sizeof *to)
		return false;
	memcpy(to, from, (size_t)len);
	to->ss_family = (sa_family_t)family_host(le16_at(from));
	return true;
}

void address_out(void *to, int32_t *len, const struct sockaddr_storage *from, socklen_t n)
{
	if (!to || !len)
		return;
	size_t k = min_u64((uint64_t)(uint32_t)*len, n);
	memcpy(to, from, k);
	if (k >= 2)
		le16_put(to, family_win(from->ss_family));
	*len = (int32_t)n;
}

/* ---- making ---- */

handle socket_wrap(int fd)
{
	handle h = file_handle(fd, GENERIC_READ | GENERIC_WRITE, NULL, true);
	struct file *f = h ? object_get(h, KIND_FILE) : NULL;
	if (f) {
		f->socket = f->pipe = true;
		object_unref(&f->o);
	}
	return h ? h : UINT64_MAX;
}

API(int32_t, ws_WSAStartup, uint16_t version, uint8_t *ret)
{
	memset(ret, 0, 408);
	le16_put(ret, version);
	le16_put(ret + 2, 0x202);
	return 0;
}
API(int32_t, ws_WSACleanup, void) { return 0; }
API(int32_t, ws_WSAGetLastError, void) { return (int32_t)last_error(); }
API(void, ws_WSASetLastError, int32_t e) { last_error_set((uint32_t)e); }
API(uint32_t, ws_htonl, uint32_t v) { return htonl(v); }
API(uint16_t, ws_htons, uint16_t v) { return htons(v); }
API(uint32_t, ws_ntohl, uint32_t v) { return ntohl(v); }
API(uint16_t, ws_ntohs, uint16_t v) { return ntohs(v); }

API(uint64_t, ws_socket, int32_t family, int32_t type, int32_t protocol)
{
	int fd = socket(family_host(family), type | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return (uint64_t)(int64_t)socket_fail(errno == EPERM ? EAFNOSUPPORT : errno);
	return socket_wrap(fd);
}
API(uint64_t, ws_WSASocketW, int32_t family, int32_t type, int32_t protocol, void *info,
    uint32_t group, uint32_t flags)
{
	(void)info;
	(void)group;
	(void)flags;
	return ws_socket(family, type, protocol);
}
API(uint64_t, ws_WSASocketA, int32_t family, int32_t type, int32_t protocol, void *info,
    uint32_t group, uint32_t flags)
{
	return ws_WSASocketW(family, type, protocol, info, group, flags);
}

API(int32_t, ws_closesocket, uint64_t h)
{
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	async_close(f);
	shutdown(f->fd, SHUT_RDWR); /* who waits on it hears of it */
	socket_put(f);
	return object_close(h) ? 0 : -1;
}

static int32_t result(int r) { return r < 0 ? socket_fail(errno) : r; }

/* Of both families, where it is at the same place. */
static uint16_t port_of(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET || a->ss_family == AF_INET6
		   ? ((const struct sockaddr_in *)(const void *)a)->sin_port
		   : 0;
}

static bool port_set_later(int fd, int on)
{
	return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0;
}

/* A stream's port, if any will do, is taken when it is needed: one that bind takes, Linux gives to
 * nobody else as long as connections of it are remembered, so that who connects often (and has to
 * bind before ConnectEx) soon finds none. */
static int socket_bind(struct file *f, const struct sockaddr_storage *a, socklen_t len)
{
	int type = 0;
	socklen_t n = sizeof type;
	if (f->port_later)
		return errno = EINVAL, -1;
	bool later = (a->ss_family == AF_INET || a->ss_family == AF_INET6) && !port_of(a) &&
		     getsockopt(f->fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
		     type == SOCK_STREAM && port_set_later(f->fd, 1);
	int r = bind(f->fd, (const struct sockaddr *)a, len);
	f->port_later = r == 0 && later;
	return r;
}

/* Now it is asked for. */
static int port_take(struct file *f)
{
	struct sockaddr_storage a = {0};
	socklen_t n = sizeof a;
	if (!f->port_later || getsockname(f->fd, (struct sockaddr *)&a, &n) < 0 || port_of(&a))
		return 0;
	(void)!port_set_later(f->fd, 0);
	return bind(f->fd, (struct sockaddr *)&a, n);
}

API(int32_t, ws_bind, uint64_t h, const void *name, int32_t len)
{
	struct sockaddr_storage a;
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	int32_t r = len >= (int32_t)sizeof(struct sockaddr_in) && address_in(&a, name, len)
			? result(socket_bind(f, &a, (socklen_t)len))
			: socket_fail(EFAULT);
	socket_put(f);
	return r;
}

/* Linux takes any port when it is needed; on Windows a socket has none before bind and connect. */
static bool bound(const struct file *f)
{
	struct sockaddr_storage a = {0};
	socklen_t n = sizeof a;
	if (f->port_later)
		return true;
	if (getsockname(f->fd, (struct sockaddr *)&a, &n) < 0)
		return false;
	return (a.ss_family != AF_INET && a.ss_family != AF_INET6) || port_of(&a);
}

API(int32_t, ws_listen, uint64_t h, int32_t n)
{
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	int32_t r = bound(f) ? result(listen(f->fd, n)) : socket_fail(EINVAL);
	socket_put(f);
	return r;
}

int socket_poll(struct pollfd *p, size_t n, int ms)
{
	uint64_t until = ms < 0 ? NEVER : deadline_of_ms((uint32_t)ms), now;
	struct thread *t = thread_self();
	int r;
	for (;;) {
		if (t)
			atomic_store(&t->blocked, 1);
		r = poll(p, n, ms);
		int err = errno;
		if (t)
			atomic_store(&t->blocked, 0);
		errno = err;
		if (r >= 0 || err != EINTR)
			return r;
		now = host_monotonic_ns();
		if (ms > 0)
			ms = now < until ? (int)((until - now + 999999) / 1000000) : 0;
	}
}

static void ready_wait(int fd, short events)
{
	(void)socket_poll(&(struct pollfd){.fd = fd, .events = events}, 1, -1);
}

static bool blocking(int fd) { return !(fcntl(fd, F_GETFL) & O_NONBLOCK); }

API(uint64_t, ws_accept, uint64_t h, void *name, int32_t *len)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof a;
	struct file *f = socket_get(h);
	if (!f)
		return UINT64_MAX;
	int listens = 0;
	socklen_t size = sizeof listens;
	getsockopt(f->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
	bool waits = blocking(f->fd);
	if (listens && waits)
		ready_wait(f->fd, POLLIN);
	/* as Windows has it: that it does not wait is inherited */
	int fd =
	    accept4(f->fd, (struct sockaddr *)&a, &n, SOCK_CLOEXEC | (waits ? 0 : SOCK_NONBLOCK));
	int err = errno;
	if (f->events)
		net_again(f, NET_ACCEPT);
	handle got = fd < 0 ? (handle)(int64_t)socket_fail(err) : socket_wrap(fd);
	if (fd >= 0) {
		address_out(name, len, &a, n);
		if (f->events && got != UINT64_MAX)
			net_inherit(f, got);
	}
	socket_put(f);
	return got;
}

/* DEVIATES: nobody is asked before. */
API(uint64_t, ws_WSAAccept, uint64_t h, void *name, int32_t *len, uint64_t fn, uint64_t user)
{
	(void)user;
	return fn ? (uint64_t)(int64_t)socket_fail(EOPNOTSUPP) : ws_accept(h, name, len);
}

API(int32_t, ws_connect, uint64_t h, const void *name, int32_t len)
{
	struct sockaddr_storage a;
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	int r = address_in(&a, name, len) ? connect(f->fd, (struct sockaddr *)&a, (socklen_t)len)
					  : (errno = EFAULT, -1);
	int err = r < 0 && errno == EINPROGRESS ? EAGAIN : errno;
	f->dialled |= r < 0 && err == EAGAIN;
	if (f->events)
		net_again(f, NET_CONNECT | NET_WRITE);
	socket_put(f);
	return r < 0 ? socket_fail(err) : 0;
}

API(int32_t, ws_WSAConnect, uint64_t h, const void *name, int32_t len, void *say, void *hear,
    void *quality, void *group)
{
	(void)say;
	(void)hear;
	(void)quality;
	(void)group;
	return ws_connect(h, name, len);
}

API(int32_t, ws_shutdown, uint64_t h, int32_t how)
{
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	int32_t r = result(shutdown(f->fd, how));
	if (r == 0 && how != SHUT_RD)
		f->shut = true;
	socket_put(f);
	return r;
}

API(int32_t, ws_send, uint64_t h, const void *p, int32_t n, int32_t flags)
{
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	int32_t r =
	    (int32_t)send(f->fd, p, (size_t)(uint32_t)n, MSG_NOSIGNAL | (flags & 1 ? MSG_OOB : 0));
	int err = errno;
	if (r < 0 && err == EAGAIN && f->events)
		net_again(f, NET_WRITE);
	if (r < 0)
		r = socket_fail(err != EPIPE ? err
				: f->shut    ? ESHUTDOWN
				: !bound(f)  ? ENOTCONN
					     : ECONNRESET);
	socket_put(f);
	return r;
}

API(int32_t, ws_sendto, uint64_t h, const void *p, int32_t n, int32_t flags, const void *name,
    int32_t len)
{
	struct sockaddr_storage a;
	struct file *f = socket_get(h);
	(void)flags;
	if (!f)
		return -1;
	bool named = address_in(&a, name, len);
	int32_t r =
	    result((int)sendto(f->fd, p, (size_t)(uint32_t)n, MSG_NOSIGNAL,
			       named ? (struct sockaddr *)&a : NULL, named ? (socklen_t)len : 0));
	socket_put(f);
	return r;
}

/* What did not fit of a datagram is gone, and that is an error; the rest is there. */
API(int32_t, ws_recvfrom, uint64_t h, void *p, int32_t n, int32_t flags, void *name, int32_t *len)
{
	struct sockaddr_storage a;
	struct iovec v = {p, (size_t)(uint32_t)n};
	struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1};
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	if (blocking(f->fd))
		ready_wait(f->fd, POLLIN);
	int how =
	    (flags & 1 ? MSG_OOB : 0) | (flags & 2 ? MSG_PEEK : 0) | (flags & 8 ? MSG_WAITALL : 0);
	int32_t r = result((int)recvmsg(f->fd, &m, how));
	if (r >= 0 && m.msg_namelen)
		address_out(name, len, &a, m.msg_namelen);
	if (r >= 0 && m.msg_flags & MSG_TRUNC)
		r = socket_fail(EMSGSIZE);
	if (f->events)
		net_again(f, NET_READ | NET_OOB);
	socket_put(f);
	return r;
}

API(int32_t, ws_recv, uint64_t h, void *p, int32_t n, int32_t flags)
{
	return ws_recvfrom(h, p, n, flags, NULL, NULL);
}

static int32_t name_of(uint64_t h, void *name, int32_t *len,
		       int (*fn)(struct file *f, struct sockaddr *a, socklen_t *n))
{
	struct sockaddr_storage a;
	socklen_t n = sizeof a;
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	int32_t r = result(fn(f, (struct sockaddr *)&a, &n));
	if (r == 0)
		address_out(name, len, &a, n);
	socket_put(f);
	return r;
}
static int own_name(struct file *f, struct sockaddr *a, socklen_t *n)
{
	if (!bound(f)) {
		errno = EINVAL;
		return -1;
	}
	return port_take(f) < 0 ? -1 : getsockname(f->fd, a, n);
}
static int peer_name(struct file *f, struct sockaddr *a, socklen_t *n)
{
	return getpeername(f->fd, a, n);
}
API(int32_t, ws_getsockname, uint64_t h, void *name, int32_t *len)
{
	return name_of(h, name, len, own_name);
}
API(int32_t, ws_getpeername, uint64_t h, void *name, int32_t *len)
{
	return name_of(h, name, len, peer_name);
}

/* ---- options ---- */

static const struct {
	int32_t level, name;
	int host_level, host;
} options[] = {
    {0xffff, 0x0004, SOL_SOCKET, SO_REUSEADDR}, {0xffff, 0x0008, SOL_SOCKET, SO_KEEPALIVE},
    {0xffff, 0x0020, SOL_SOCKET, SO_BROADCAST}, {0xffff, 0x0100, SOL_SOCKET, SO_OOBINLINE},
    {0xffff, 0x1001, SOL_SOCKET, SO_SNDBUF},    {0xffff, 0x1002, SOL_SOCKET, SO_RCVBUF},
    {0xffff, 0x1007, SOL_SOCKET, SO_ERROR},     {0xffff, 0x1008, SOL_SOCKET, SO_TYPE},
    {6, 1, IPPROTO_TCP, TCP_NODELAY},           {6, 3, IPPROTO_TCP, TCP_KEEPIDLE},
    {6, 17, IPPROTO_TCP, TCP_KEEPINTVL},        {6, 16, IPPROTO_TCP, TCP_KEEPCNT},
    {41, 27, IPPROTO_IPV6, IPV6_V6ONLY}};
enum {
	LINGER = 0x80,
	DONT_LINGER = ~0x80,
	EXCLUSIVE = ~4,
	RCVTIMEO = 0x1006,
	SNDTIMEO = 0x1005,
	UPDATE_ACCEPT = 0x700b,
	UPDATE_CONNECT = 0x7010,
	PROTOCOL_INFO_OPTION = 0x2005
};

/* What Linux does by itself, or has no word for, is taken and done nothing with. */
static bool option_nothing(int32_t level, int32_t name)
{
	return (level == 0xffff && (name == UPDATE_ACCEPT || name == UPDATE_CONNECT ||
				    name == EXCLUSIVE || name == DONT_LINGER)) ||
	       level == 0;
}

static int32_t timeout_set(int fd, int32_t name, uint32_t ms)
{
	const struct timeval t = {ms / 1000, ms % 1000 * 1000};
	return result(
	    setsockopt(fd, SOL_SOCKET, name == RCVTIMEO ? SO_RCVTIMEO : SO_SNDTIMEO, &t, sizeof t));
}

static int32_t timeout_get(int fd, int32_t name, int *ret_ms)
{
	struct timeval t = {0};
	socklen_t len = sizeof t;
	int r = getsockopt(fd, SOL_SOCKET, name == RCVTIMEO ? SO_RCVTIMEO : SO_SNDTIMEO, &t, &len);
	*ret_ms = (int)(t.tv_sec * 1000 + t.tv_usec / 1000);
	return result(r);
}

/* There it is two numbers of 16 bits. */
static int32_t linger_set(int fd, uint32_t v)
{
	const struct linger l = {v & 0xffff, (int)(v >> 16)};
	return result(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
}

static int32_t linger_get(int fd, int *ret)
{
	struct linger l = {0};
	socklen_t len = sizeof l;
	int r = getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &len);
	*ret = (l.l_onoff != 0) | l.l_linger << 16;
	return result(r);
}

API(int32_t, ws_setsockopt, uint64_t h, int32_t level, int32_t name, const void *v, int32_t n)
{
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	int value = n >= 4 ? (int)le32_at(v) : n >= 1 ? *(const uint8_t *)v : 0;
	int32_t r = socket_fail(ENOPROTOOPT);
	/* there it lets others take a port that is in use: here that is refused, as Linux does */
	bool reuse = level == 0xffff && name == 4;
	if (option_nothing(level, name) || reuse)
		r = 0;
	else if (level == 0xffff && (name == RCVTIMEO || name == SNDTIMEO))
		r = timeout_set(f->fd, name, (uint32_t)value);
	else if (level == 0xffff && name == LINGER)
		r = linger_set(f->fd, (uint32_t)value);
	for (size_t i = 0; r < 0 && i < countof(options); i++)
		if (options[i].level == level && options[i].name == name)
			r = result(setsockopt(f->fd, options[i].host_level, options[i].host, &value,
					      sizeof value));
	socket_put(f);
	return r;
}

static int32_t option_get(struct file *f, int32_t level, int32_t name, void *v, const int32_t *n)
{
	int value = 0;
	socklen_t len = sizeof value;
	int32_t r = option_nothing(level, name) ? 0 : socket_fail(ENOPROTOOPT);
	if (level == 0xffff && (name == RCVTIMEO || name == SNDTIMEO))
		r = timeout_get(f->fd, name, &value);
	else if (level == 0xffff && name == LINGER)
		r = linger_get(f->fd, &value);
	for (size_t i = 0; r < 0 && i < countof(options); i++)
		if (options[i].level == level && options[i].name == name) {
			r = result(getsockopt(f->fd, options[i].host_level, options[i].host, &value,
					      &len));
			if (name == 0x1007 && !value)
				value = net_error(f);
			value = name == 0x1007 && value ? socket_error(value) : value;
		}
	if (r == 0 && *n >= 4)
		le32_put(v, (uint32_t)value);
	else if (r == 0 && *n >= 1)
		*(uint8_t *)v = (uint8_t)value;
	return r;
}

enum { FIONBIO_WIN = (int)0x8004667e, FIONREAD_WIN = 0x4004667f };
API(int32_t, ws_ioctlsocket, uint64_t h, int32_t what, uint32_t *v)
{
	int n = (int)*v;
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	int32_t r = what == FIONBIO_WIN && !n && net_selected(f) ? socket_fail(EINVAL)
		    : what == FIONBIO_WIN  ? result(ioctl(f->fd, FIONBIO, &n))
		    : what == FIONREAD_WIN ? result(ioctl(f->fd, FIONREAD, &n))
					   : socket_fail(EINVAL);
	if (r == 0 && what == FIONREAD_WIN)
		*v = (uint32_t)n;
	socket_put(f);
	return r;
}

/* WSAPROTOCOL_INFOW: TCP and UDP of both families, whose sockets are handles of files. */
enum { PROTOCOL_INFO = 628, PROTOCOL_FLAGS = 0x20066 };

static void protocol_put(uint8_t *o, int32_t family, int32_t type, int32_t protocol)
{
	memset(o, 0, PROTOCOL_INFO);
	le32_put(o, PROTOCOL_FLAGS);
	le32_put(o + 72, 2); /* version */
	le32_put(o + 76, (uint32_t)family);
	le32_put(o + 80, family == FAMILY_INET6 ? 28 : 16); /* addresses */
	le32_put(o + 84, family == FAMILY_INET6 ? 28 : 16);
	le32_put(o + 88, (uint32_t)type);
	le32_put(o + 92, (uint32_t)protocol);
}

static int32_t protocol_get(int fd, void *v, const int32_t *n)
{
	int family = 0, type = 0, protocol = 0;
	socklen_t len = sizeof family;
	if (*n < PROTOCOL_INFO)
		return socket_fail(EFAULT);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0)
		return socket_fail(errno);
	protocol_put(v, family_win(family), type, protocol);
	return 0;
}

API(int32_t, ws_WSAEnumProtocolsW, const int32_t *which, uint8_t *out, uint32_t *size)
{
	static const struct {
		int32_t family, type, protocol;
	} all[] = {{AF_INET, SOCK_STREAM, IPPROTO_TCP},
		   {AF_INET, SOCK_DGRAM, IPPROTO_UDP},
		   {FAMILY_INET6, SOCK_STREAM, IPPROTO_TCP},
		   {FAMILY_INET6, SOCK_DGRAM, IPPROTO_UDP}};
	uint32_t n = 0;
	if (*size < PROTOCOL_INFO * countof(all)) {
		*size = PROTOCOL_INFO * countof(all);
		return socket_fail(ENOBUFS);
	}
	for (size_t i = 0; i < countof(all); i++) {
		bool wanted = !which;
		for (const int32_t *w = which; w && *w; w++)
			wanted |= *w == all[i].protocol;
		if (wanted)
			protocol_put(out + (size_t)PROTOCOL_INFO * n++, all[i].family, all[i].type,
				     all[i].protocol);
	}
	return (int32_t)n;
}

API(int32_t, ws_getsockopt, uint64_t h, int32_t level, int32_t name, void *v, int32_t *n)
{
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	bool info = level == 0xffff && name == PROTOCOL_INFO_OPTION;
	int32_t r = info ? protocol_get(f->fd, v, n) : option_get(f, level, name, v, n);
	socket_put(f);
	return r;
}

/* ---- waiting for several ---- */

struct fd_set_win {
	uint32_t n, pad;
	uint64_t all[64];
};
static void set_fill(struct pollfd *p, unsigned *n, const struct fd_set_win *s, short events)
{
	for (uint32_t i = 0; s && i < s->n && i < 64; i++) {
		struct file *f = socket_get(s->all[i]);
		p[(*n)++] = (struct pollfd){.fd = f ? f->fd : -1, .events = events};
		if (f)
			socket_put(f);
	}
}
static int set_take(const struct pollfd *p, unsigned *n, struct fd_set_win *s, short events)
{
	uint32_t kept = 0, all = s ? s->n : 0;
	for (uint32_t i = 0; i < all && i < 64; i++)
		if (p[(*n)++].revents & events)
			s->all[kept++] = s->all[i];
	if (s)
		s->n = kept;
	return (int)kept;
}
struct timeval_win {
	int32_t s, us;
};
API(int32_t, ws_select, int32_t nfds, struct fd_set_win *r, struct fd_set_win *w,
    struct fd_set_win *x, const struct timeval_win *t)
{
	struct pollfd p[192];
	unsigned n = 0, k = 0;
	(void)nfds;
	set_fill(p, &n, r, POLLIN);
	set_fill(p, &n, w, POLLOUT);
	set_fill(p, &n, x, POLLPRI);
	if (!n)
		return socket_fail(EINVAL);
	int got = socket_poll(p, n, t ? t->s * 1000 + (t->us + 999) / 1000 : -1);
	if (got < 0)
		return socket_fail(errno);
	got = set_take(p, &k, r, POLLIN | POLLHUP | POLLERR);
	/* a connection that failed is an exception, where they are asked for */
	for (unsigned i = k; x && i < k + (w ? w->n : 0) && i < n; i++)
		p[i].revents = p[i].revents & POLLERR ? 0 : p[i].revents;
	got += set_take(p, &k, w, POLLOUT | POLLERR);
	return got + set_take(p, &k, x, POLLPRI | POLLERR);
}
API(int32_t, ws___WSAFDIsSet, uint64_t h, const struct fd_set_win *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->all[i] == h)
			return 1;
	return 0;
}
