/* SPDX-License-Identifier: Apache-2.0 */
/* agent.sock: one client at a time gets the level's byte channel to the agent. Those who come
 * while it is in use wait in the socket's backlog. Loop thread but for bridge_wake. */
#include "life/internal.h"
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BUF = 4096 };

struct pipe_buf {
	uint8_t data[BUF];
	size_t off, len;
};

struct bridge {
	struct loop *loop;
	struct chr *chr;     /* borrowed */
	int listen_fd, sock; /* owned; sock -1: no client */
	struct loop_watch *listen_watch, *watch;
	struct pipe_buf in, out; /* towards the guest; towards the client */
	bool waking;             /* atomic */
};

static void bridge_hang_up(struct bridge *b)
{
	loop_watch_free(b->watch);
	b->watch = NULL;
	close(b->sock);
	b->sock = -1;
	b->in = b->out = (struct pipe_buf){0};
	if (loop_watch_change(b->listen_watch, EPOLLIN) < 0)
		errno =
		    0; /* the descriptor is valid: cannot fail but for memory; exec then waits */
}

/* Towards the guest. False: the client is gone. */
static bool bridge_in(struct bridge *b)
{
	struct pipe_buf *p = &b->in;
	for (;;) {
		if (!p->len) {
			ssize_t n = recv(b->sock, p->data, BUF, MSG_DONTWAIT);
			if (n <= 0)
				return n < 0 && (errno == EAGAIN || errno == EINTR);
			p->off = 0;
			p->len = (size_t)n;
		}
		size_t n = chr_host_write(b->chr, p->data + p->off, p->len);
		p->off += n;
		p->len -= n;
		if (p->len)
			return true;
	}
}

static bool bridge_out(struct bridge *b)
{
	struct pipe_buf *p = &b->out;
	for (;;) {
		if (!p->len) {
			p->off = 0;
			p->len = chr_host_read(b->chr, p->data, BUF);
			if (!p->len)
				return true;
		}
		ssize_t n = send(b->sock, p->data + p->off, p->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		p->off += (size_t)n;
		p->len -= (size_t)n;
	}
}

static void bridge_serve(struct bridge *b)
{
	if (b->sock < 0)
		return;
	bool alive = bridge_in(b) && bridge_out(b);
	uint32_t want =
	    (b->in.len ? 0u : (uint32_t)EPOLLIN) | (b->out.len ? (uint32_t)EPOLLOUT : 0u);
	if (!alive || loop_watch_change(b->watch, want) < 0)
		bridge_hang_up(b);
}

static void bridge_event(void *arg, uint32_t events)
{
	struct bridge *b = arg;
	if ((events & (EPOLLHUP | EPOLLERR)) && b->in.len)
		bridge_hang_up(b);
	else
		bridge_serve(b);
}

static void bridge_posted(void *arg)
{
	struct bridge *b = arg;
	__atomic_store_n(&b->waking, false, __ATOMIC_RELEASE);
	bridge_serve(b);
}

static void bridge_wake(void *arg)
{
	struct bridge *b = arg;
	if (!__atomic_exchange_n(&b->waking, true, __ATOMIC_ACQ_REL) &&
	    loop_post(b->loop, NULL, bridge_posted, b) < 0)
		__atomic_store_n(&b->waking, false, __ATOMIC_RELEASE);
}

static void bridge_accept(void *arg, uint32_t events)
{
	struct bridge *b = arg;
	uint8_t stale[256];
	(void)events;
	if (b->sock >= 0)
		return;
	b->sock = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (b->sock < 0)
		return;
	/* Answers to the client before this one. */
	while (chr_host_read(b->chr, stale, sizeof stale))
		;
	if (loop_watch_new(&b->watch, b->loop, b->sock, EPOLLIN, NULL, bridge_event, b, NULL) < 0) {
		close(b->sock);
		b->sock = -1;
		return;
	}
	if (loop_watch_change(b->listen_watch, 0) < 0)
		bridge_hang_up(b);
}

int bridge_new(struct bridge **ret, struct loop *l, int listen_fd, struct chr *chr,
	       struct lodge_err *e)
{
	struct bridge *b = calloc(1, sizeof *b);
	if (!b) {
		close(listen_fd);
		return err_set(e, ENOMEM, "out of memory");
	}
	b->loop = l;
	b->chr = chr;
	b->listen_fd = listen_fd;
	b->sock = -1;
	int r = loop_watch_new(&b->listen_watch, l, listen_fd, EPOLLIN, NULL, bridge_accept, b, e);
	if (r < 0) {
		bridge_free(b);
		return r;
	}
	chr_on_host(chr, bridge_wake, b);
	*ret = b;
	return 0;
}

bool bridge_used(const struct bridge *b) { return b && b->sock >= 0; }

void bridge_free(struct bridge *b)
{
	if (!b)
		return;
	chr_on_host(b->chr, NULL, NULL);
	if (b->watch)
		loop_watch_free(b->watch);
	if (b->listen_watch)
		loop_watch_free(b->listen_watch);
	loop_cancel(b->loop, b);
	if (b->sock >= 0)
		close(b->sock);
	close(b->listen_fd);
	free(b);
}
