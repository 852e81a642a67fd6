/* SPDX-License-Identifier: Apache-2.0 */
/* Stream sockets between guest and host: the host's half, unix sockets (the convention that
 * Firecracker documents).
 *
 *   host to guest   connect to PATH, send "CONNECT <port>\n", read "OK <host port>\n", talk
 *   guest to host   a guest's connection to (2, <port>) is a connection to PATH_<port> */
#include "dev/virtio/vsock.h"
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { ACCEPTS = 16, PIECES = 32 };

/* ---- watching ---- */

static void conn_event(void *arg, uint32_t events);

bool conn_watch(struct conn *c)
{
	uint32_t want = 0;
	if (c->hung_up)
		return true;
	bool reading = c->state == CONN_OPEN && !(c->guest_shut & SHUT_RECEIVE) &&
	               !(c->host_shut & SHUT_SEND);
	if (c->state == CONN_HANDSHAKE || (reading && !c->readable))
		want |= EPOLLIN;
	if (c->buf_len)
		want |= EPOLLOUT;
	if (c->watch && want == c->events)
		return true;
	c->events = want;
	if (c->watch)
		return loop_watch_change(c->watch, want) == 0;
	struct vsock *s = c->s;
	return loop_watch_new(&c->watch, s->v.s.loop, c->fd, want, s->v.lock, conn_event, c,
	                      NULL) == 0;
}

void conn_reap(void *vsock)
{
	struct vsock *s = vsock;
	struct conn *c;
	while ((c = TAILQ_FIRST(&s->dead))) {
		TAILQ_REMOVE(&s->dead, c, next);
		LIST_REMOVE(c, every);
		s->nconns--;
		loop_watch_free(c->watch);
		close(c->fd);
		free(c->buf);
		free(c);
	}
	if (s->full && s->watch && loop_watch_change(s->watch, EPOLLIN) == 0)
		s->full = false;
}

/* ---- guest to host bytes ---- */

static void conn_forwarded(struct conn *c, uint32_t n)
{
	c->fwd += n;
	if (c->fwd - c->fwd_told >= VSOCK_BUFFER / 2) {
		c->tell |= TELL_CREDIT;
		conn_ready(c);
	}
}

/* Keep what the host did not take. */
static bool conn_keep(struct conn *c, const struct iovec *iov, size_t n, size_t skip)
{
	if (!c->buf)
		c->buf = malloc(VSOCK_BUFFER);
	if (!c->buf)
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t from = min_u64(skip, iov[i].iov_len), len = iov[i].iov_len - from;
		const uint8_t *p = iov[i].iov_base;
		skip -= from;
		for (size_t part; len; len -= part) {
			uint32_t at = (c->buf_at + c->buf_len) % VSOCK_BUFFER;
			part = min_u64(len, VSOCK_BUFFER - at);
			memcpy(c->buf + at, p + from, part);
			from += part;
			c->buf_len += (uint32_t)part;
		}
	}
	return true;
}

/* Pass on one gathering of pieces. False: the host's end is gone. */
static bool conn_pass_pieces(struct conn *c, struct iovec *iov, size_t n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	size_t len = 0;
	for (size_t i = 0; i < n; i++)
		len += iov[i].iov_len;
	ssize_t done = c->buf_len ? 0 : sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (done < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (done > 0)
		conn_forwarded(c, (uint32_t)done);
	else
		done = 0;
	return (size_t)done == len || conn_keep(c, iov, n, (size_t)done);
}

bool conn_pass(struct conn *c, struct chain *from, uint32_t len)
{
	struct iovec iov[PIECES];
	struct span s;
	while (len) {
		size_t n = 0;
		while (len && n < PIECES && chain_next_out(from, &s)) {
			size_t part = min_u64(len, s.len);
			iov[n++] = (struct iovec){ s.p, part };
			len -= (uint32_t)part;
		}
		if (!n || !conn_pass_pieces(c, iov, n))
			return false;
	}
	return true;
}

/* The host can take more. False: its end is gone. */
static bool conn_flush(struct conn *c)
{
	while (c->buf_len) {
		size_t part = min_u64(c->buf_len, VSOCK_BUFFER - c->buf_at);
		ssize_t n = send(c->fd, c->buf + c->buf_at, part, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->buf_at = (c->buf_at + (uint32_t)n) % VSOCK_BUFFER;
		c->buf_len -= (uint32_t)n;
		conn_forwarded(c, (uint32_t)n);
	}
	free(take(c->buf));
	c->buf_at = 0;
	conn_shut(c);
	return true;
}

void conn_shut(struct conn *c)
{
	if (c->guest_shut & SHUT_RECEIVE)
		shutdown(c->fd, SHUT_RD);
	if (c->buf_len || !(c->guest_shut & SHUT_SEND))
		return;
	shutdown(c->fd, SHUT_WR);
	if (c->guest_shut == SHUT_BOTH)
		conn_abort(c); /* a polite close is answered by RST */
}

/* ---- host to guest connections ---- */

static void vsock_assign(struct vsock *s, struct conn *c, uint32_t guest_port)
{
	while (conn_find(s, s->next_port, guest_port))
		s->next_port = s->next_port == UINT32_MAX ? 1u << 30 : s->next_port + 1;
	conn_bind(c, s->next_port, guest_port);
	s->next_port = s->next_port == UINT32_MAX ? 1u << 30 : s->next_port + 1;
	c->state = CONN_REQUESTED;
	c->tell = TELL_REQUEST;
	conn_ready(c);
}

/* Collect the line; the bytes after it stay in the socket. */
static void conn_handshake(struct conn *c)
{
	for (;;) {
		char *at = &c->line[c->line_len];
		ssize_t n = recv(c->fd, at, 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || ++c->line_len == sizeof c->line) {
			conn_close(c);
			return;
		}
		if (*at == '\n')
			break;
	}
	c->line[c->line_len - 1] = 0;
	char *end = c->line;
	unsigned long long port = 0;
	if (!strncmp(c->line, "CONNECT ", 8) && c->line[8] >= '0' && c->line[8] <= '9')
		port = strtoull(c->line + 8, &end, 10);
	if (end == c->line || *end || port > UINT32_MAX)
		conn_close(c);
	else
		vsock_assign(c->s, c, (uint32_t)port);
}

bool conn_greet(struct conn *c)
{
	char ok[VSOCK_LINE];
	int n = snprintf(ok, sizeof ok, "OK %u\n", c->host_port);
	return send(c->fd, ok, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n;
}

/* The host program closed both ways. Level-triggered and not maskable: the watch goes, and from
 * here on we read without being told. */
static void conn_hang_up(struct conn *c)
{
	c->hung_up = true;
	c->readable = true;
	loop_watch_free(take(c->watch));
	if (c->host_shut & SHUT_SEND && c->host_shut != SHUT_BOTH) {
		c->host_shut = SHUT_BOTH;
		c->tell |= TELL_SHUTDOWN;
	}
}

static void conn_event(void *arg, uint32_t events)
{
	struct conn *c = arg;
	struct vsock *s = c->s;
	if (c->state == CONN_DEAD || c->state == CONN_DYING) {
		loop_watch_free(take(c->watch));
		return;
	}
	if (events & (EPOLLHUP | EPOLLERR))
		conn_hang_up(c);
	if (c->state == CONN_HANDSHAKE)
		conn_handshake(c);
	else if (c->state == CONN_REQUESTED && c->hung_up)
		conn_abort(c);
	else if (events & EPOLLIN)
		c->readable = true;
	if (c->state == CONN_OPEN && (c->hung_up || events & EPOLLOUT) && !conn_flush(c))
		conn_abort(c);
	if (c->state < CONN_DYING && !conn_watch(c))
		conn_abort(c);
	if (c->state == CONN_HANDSHAKE || c->state == CONN_DEAD)
		return;
	conn_ready(c);
	virtio_kick(&s->v, 0); /* one service for all that happened in this round */
}

static void vsock_accept(void *arg, uint32_t events)
{
	struct vsock *s = arg;
	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
			return;
		struct conn *c = fd >= 0 ? conn_new(s, fd, CONN_HANDSHAKE) : NULL;
		if (!c) {
			/* Accept again when a connection has ended. */
			if (fd >= 0)
				close(fd);
			s->full = loop_watch_change(s->watch, 0) == 0;
			return;
		}
		if (!conn_watch(c))
			conn_close(c);
	}
}

static struct sockaddr_un vsock_address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_Static_assert(sizeof((struct vsock *)0)->path <= sizeof a.sun_path, "fits");
	memcpy(a.sun_path, path, strnlen(path, sizeof a.sun_path - 1));
	return a;
}

int vsock_listen(struct vsock *s, struct lodge_err *e)
{
	struct sockaddr_un a = vsock_address(s->path);
	struct stat st;
	if (!lstat(s->path, &st) && S_ISSOCK(st.st_mode))
		unlink(s->path); /* of a keeper that was killed */
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listener < 0 || fchmod(s->listener, 0600) < 0 ||
	    bind(s->listener, (const struct sockaddr *)(const void *)&a, sizeof a) < 0 ||
	    listen(s->listener, 128) < 0)
		return err_sys(e, "listening at %s", s->path);
	return loop_watch_new(&s->watch, s->v.s.loop, s->listener, EPOLLIN, s->v.lock,
	                      vsock_accept, s, e);
}

void vsock_unlisten(struct vsock *s)
{
	loop_watch_free(take(s->watch));
	if (s->listener < 0)
		return;
	close(take_fd(&s->listener));
	unlink(s->path);
}

int vsock_connect(struct vsock *s, uint32_t port)
{
	char path[sizeof s->path + sizeof "_4294967295"];
	if (!*s->path)
		return -1;
	snprintf(path, sizeof path, "%s_%u", s->path, port); /* short enough: vsock_init */
	struct sockaddr_un a = vsock_address(path);
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)&a, sizeof a) < 0)
		return -1;
	return take_fd(&fd);
}
