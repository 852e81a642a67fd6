/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for clocks and descriptors, and sockets that the program has been given. */
#include "wasi/internal.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

enum { EVENT_CLOCK, EVENT_READ, EVENT_WRITE, SUBSCRIPTIONS_MAX = 4096, EVENT_LEN = 32 };

struct subscription {
	uint64_t userdata;
	uint8_t type;
	uint32_t error;
	uint64_t due_ns; /* of a clock: CLOCK_MONOTONIC; UINT64_MAX: none */
	int poll;        /* index in fds; -1: none */
};

static uint64_t sum(uint64_t a, uint64_t b) { return a + b < a ? UINT64_MAX : a + b; }

/* A timeout counts from when the call was first begun. */
static void clock_read(const struct wasi *s, struct subscription *u, uint32_t id, uint64_t timeout,
		       uint16_t flags)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC,
					   CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
	uint64_t from = s->me->since_ns;
	if (id >= countof(clocks) || flags & ~1) {
		u->error = W_INVAL;
		return;
	}
	if (flags & 1) { /* a point in time, of its clock */
		uint64_t there = guest_clock_ns(s, clocks[id]);
		from = host_monotonic_ns();
		timeout = timeout > there ? timeout - there : 0;
	}
	u->due_ns = sum(from, timeout);
}

/* One of 48 bytes, of the older interface 56. */
static void subscription_read(struct wasi *s, const uint8_t *p, bool old, struct subscription *u,
			      struct pollfd *fds, unsigned *nfds)
{
	struct descriptor *d = NULL;
	*u = (struct subscription){
	    .userdata = le64_at(p), .type = p[8], .due_ns = UINT64_MAX, .poll = -1};
	if (u->type > EVENT_WRITE) {
		u->error = W_INVAL;
	} else if (u->type == EVENT_CLOCK) {
		const uint8_t *c = p + (old ? 24 : 16);
		clock_read(s, u, le32_at(c), le64_at(c + 8), le16_at(c + 24));
	} else {
		u->error = descriptor_get(s, le32_at(p + 16), MAY_POLL, &d);
		if (u->error)
			return;
		u->poll = (int)(*nfds)++;
		fds[u->poll] = (struct pollfd){
		    .fd = d->fd, .events = u->type == EVENT_READ ? POLLIN : POLLOUT};
	}
}

/* Numbers that no other thread closes. */
static uint32_t fds_lend(const struct wasi *s, struct pollfd *fds, unsigned n)
{
	unsigned i = 0;
	while (s->me->locked && i < n && (fds[i].fd = fcntl(fds[i].fd, F_DUPFD_CLOEXEC, 3)) >= 0)
		i++;
	if (!s->me->locked || i == n)
		return 0;
	while (i-- > 0)
		close(fds[i].fd);
	return W_MFILE;
}

static void fds_return(const struct wasi *s, const struct pollfd *fds, unsigned n)
{
	for (unsigned i = 0; s->me->locked && i < n; i++)
		close(fds[i].fd);
}

/* Wait until one of them is due; 0 or an error. */
static uint32_t wait_for(struct wasi *s, const struct subscription *u, uint32_t n,
			 struct pollfd *fds, unsigned nfds)
{
	uint64_t due = UINT64_MAX;
	for (uint32_t i = 0; i < n; i++) {
		if (u[i].error)
			due = 0;
		if (u[i].due_ns < due)
			due = u[i].due_ns;
	}
	uint64_t now = host_monotonic_ns(), left = due > now ? due - now : 0;
	struct timespec t = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
	struct away away;
	(void)!away_begin(s, NULL, &away);
	int r = ppoll(fds, nfds, due == UINT64_MAX ? NULL : &t, NULL);
	away_end(s, &away);
	return r < 0 ? errno_of(errno) : 0;
}

static uint32_t events_put(uint8_t *to, const struct subscription *u, uint32_t n,
			   const struct pollfd *fds)
{
	uint32_t count = 0;
	uint64_t now = host_monotonic_ns();
	for (uint32_t i = 0; i < n; i++) {
		const struct pollfd *f = u[i].poll >= 0 ? &fds[u[i].poll] : NULL;
		if (!u[i].error && u[i].due_ns > now && !(f && f->revents))
			continue;
		uint8_t *e = to + EVENT_LEN * count++;
		uint32_t error = f && f->revents & POLLNVAL ? W_BADF : u[i].error;
		int bytes = 0;
		memset(e, 0, EVENT_LEN);
		le64_put(e, u[i].userdata);
		le16_put(e + 8, (uint16_t)error);
		e[10] = u[i].type;
		if (f && u[i].type == EVENT_READ && ioctl(f->fd, FIONREAD, &bytes) == 0)
			le64_put(e + 16, (uint64_t)bytes);
		if (f && f->revents & POLLHUP)
			le16_put(e + 24, 1);
	}
	return count;
}

static uint32_t poll_all(struct wasi *s, const union wasm_slot *a, bool old)
{
	uint32_t n = a[2].i32, each = old ? 56 : 48;
	const uint8_t *in = guest(s, a[0].i32, (uint64_t)each * n);
	uint8_t *out = guest(s, a[1].i32, (uint64_t)EVENT_LEN * n);
	unsigned nfds = 0;
	if (!n || n > SUBSCRIPTIONS_MAX)
		return W_INVAL;
	if (!in || !out || !guest(s, a[3].i32, 4))
		return W_FAULT;
	autofree struct subscription *u = calloc(n, sizeof *u);
	autofree struct pollfd *fds = calloc(n, sizeof *fds);
	if (!u || !fds)
		return W_NOMEM;
	if (!s->me->since_ns)
		s->me->since_ns = host_monotonic_ns();
	for (uint32_t i = 0; i < n; i++)
		subscription_read(s, in + each * i, old, &u[i], fds, &nfds);
	uint32_t r = fds_lend(s, fds, nfds);
	if (r)
		return r;
	r = wait_for(s, u, n, fds, nfds);
	if (!r)
		r = size_put(s, a[3].i32, events_put(out, u, n, fds));
	fds_return(s, fds, nfds);
	return r;
}

uint32_t wasi_poll_oneoff(struct wasi *s, const union wasm_slot *a)
{
	return poll_all(s, a, false);
}
uint32_t wasi_old_poll_oneoff(struct wasi *s, const union wasm_slot *a)
{
	return poll_all(s, a, true);
}

/* ---- sockets ---- */

uint32_t wasi_sock_accept(struct wasi *s, const union wasm_slot *a)
{
	struct descriptor *d = NULL;
	uint32_t got;
	uint8_t *to = guest(s, a[2].i32, 4);
	uint32_t r = to ? descriptor_get(s, a[0].i32, MAY_ACCEPT, &d) : W_FAULT;
	if (r || a[1].i32 & ~4u)
		return r ? r : W_INVAL;
	const struct descriptor of = *d;
	int by = of.fd;
	struct away away;
	if (!away_begin(s, &by, &away))
		return errno_of(errno);
	int fd = accept4(by, NULL, NULL, SOCK_CLOEXEC | (a[1].i32 & 4 ? SOCK_NONBLOCK : 0));
	away_end(s, &away);
	if (fd < 0)
		return errno_of(errno);
	r = descriptor_add(s, fd, of.rights, of.inherited, &got);
	if (!r)
		le32_put(to, got);
	return r;
}

uint32_t wasi_sock_recv(struct wasi *s, const union wasm_slot *a)
{
	struct iovec v[IOVS_MAX];
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, MAY_READ, &d);
	uint8_t *flags = guest(s, a[5].i32, 2);
	if (!r && !(flags && guest(s, a[4].i32, 4)))
		r = W_FAULT;
	if (!r)
		r = iovs_read(s, a[1].i32, a[2].i32, v);
	if (r || a[3].i32 & ~3u)
		return r ? r : W_INVAL;
	struct msghdr m = {.msg_iov = v, .msg_iovlen = a[2].i32};
	int fd = d->fd;
	struct away away;
	if (!away_begin(s, &fd, &away))
		return errno_of(errno);
	int64_t n = recvmsg(fd, &m,
			    (a[3].i32 & 1 ? MSG_PEEK : 0) | (a[3].i32 & 2 ? MSG_WAITALL : 0));
	away_end(s, &away);
	if (n >= 0)
		le16_put(flags, m.msg_flags & MSG_TRUNC ? 1 : 0);
	return size_put(s, a[4].i32, n);
}

uint32_t wasi_sock_send(struct wasi *s, const union wasm_slot *a)
{
	struct iovec v[IOVS_MAX];
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, MAY_WRITE, &d);
	if (!r && !guest(s, a[4].i32, 4))
		r = W_FAULT;
	if (!r)
		r = iovs_read(s, a[1].i32, a[2].i32, v);
	if (r || a[3].i32)
		return r ? r : W_INVAL;
	const struct msghdr m = {.msg_iov = v, .msg_iovlen = a[2].i32};
	int fd = d->fd;
	struct away away;
	if (!away_begin(s, &fd, &away))
		return errno_of(errno);
	int64_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
	away_end(s, &away);
	return size_put(s, a[4].i32, n);
}

uint32_t wasi_sock_shutdown(struct wasi *s, const union wasm_slot *a)
{
	static const int how[] = {-1, SHUT_RD, SHUT_WR, SHUT_RDWR};
	struct descriptor *d = NULL;
	uint32_t r = descriptor_get(s, a[0].i32, MAY_SHUTDOWN, &d);
	if (r || a[1].i32 < 1 || a[1].i32 > 3)
		return r ? r : W_INVAL;
	return shutdown(d->fd, how[a[1].i32]) < 0 ? errno_of(errno) : 0;
}
