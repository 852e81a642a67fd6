/* SPDX-License-Identifier: Apache-2.0 */
/* Stream sockets between guest and host: the guest's half. Spec: VIRTIO 1.2 §5.10
 * Options: cid=N (the guest's address, from 3 on), path=P (host side, see vsock_host.c). */
#include "dev/virtio/vsock.h"
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
	F_STREAM = 1 << 0,
	RX = 0,
	TX = 1,
	EVENT = 2,
	EVENT_TRANSPORT_RESET = 0,
	TYPE_STREAM = 1,
	HDR = 44,
	PIECES = 32,
};
enum { OP_REQUEST = 1, OP_RESPONSE, OP_RST, OP_SHUTDOWN, OP_RW, OP_CREDIT, OP_CREDIT_REQUEST };

static const uint64_t HOLD_NS = 3000000;
enum { HOLD_LOOKS = 700 };

/* ---- connections ---- */

static struct conn_list *vsock_bucket(struct vsock *s, uint32_t host_port, uint32_t guest_port)
{
	uint32_t h = host_port * 2654435761u ^ guest_port * 2246822519u;
	return &s->buckets[h >> 24];
}

struct conn *conn_find(struct vsock *s, uint32_t host_port, uint32_t guest_port)
{
	struct conn *c;
	LIST_FOREACH (c, vsock_bucket(s, host_port, guest_port), bucket)
		if (c->host_port == host_port && c->guest_port == guest_port)
			return c;
	return NULL;
}

struct conn *conn_new(struct vsock *s, int fd, enum conn_state state)
{
	struct conn *c = s->nconns < VSOCK_CONNS ? calloc(1, sizeof *c) : NULL;
	if (!c)
		return NULL;
	c->s = s;
	c->fd = fd;
	c->state = state;
	LIST_INSERT_HEAD(&s->all, c, every);
	s->nconns++;
	return c;
}

void conn_bind(struct conn *c, uint32_t host_port, uint32_t guest_port)
{
	c->host_port = host_port;
	c->guest_port = guest_port;
	LIST_INSERT_HEAD(vsock_bucket(c->s, host_port, guest_port), c, bucket);
}

void conn_ready(struct conn *c)
{
	if (c->ready || c->state == CONN_DEAD)
		return;
	c->ready = true;
	TAILQ_INSERT_TAIL(&c->s->ready, c, next);
}

static void conn_idle(struct conn *c)
{
	if (c->ready)
		TAILQ_REMOVE(&c->s->ready, c, next);
	c->ready = false;
}

void conn_abort(struct conn *c)
{
	if (c->state == CONN_HANDSHAKE || c->tell & TELL_REQUEST) {
		conn_close(c); /* the guest never heard of it */
		return;
	}
	c->tell = TELL_RESET;
	c->state = CONN_DYING;
	shutdown(c->fd, SHUT_RDWR);
	conn_ready(c);
}

void conn_close(struct conn *c)
{
	struct vsock *s = c->s;
	conn_idle(c);
	if (c->state != CONN_HANDSHAKE)
		LIST_REMOVE(c, bucket);
	c->state = CONN_DEAD;
	shutdown(c->fd, SHUT_RDWR);
	TAILQ_INSERT_TAIL(&s->dead, c, next);
	/* The watch may only be freed on the loop thread. Without memory the next one does it. */
	if (s->v.s.loop && loop_post(s->v.s.loop, s->v.lock, conn_reap, s) < 0)
		log_guest(s->v.s.log, "virtio-vsock: no memory to post a close");
}

/* ---- to the guest ---- */

struct header {
	uint32_t host_port, guest_port, len, flags, alloc, fwd;
	uint16_t op;
};

static void header_write(const struct vsock *s, struct chain *to, const struct header *h)
{
	uint8_t b[HDR];
	le64_put(b, VSOCK_HOST_CID);
	le64_put(b + 8, s->cid);
	le32_put(b + 16, h->host_port);
	le32_put(b + 20, h->guest_port);
	le32_put(b + 24, h->len);
	le16_put(b + 28, TYPE_STREAM);
	le16_put(b + 30, h->op);
	le32_put(b + 32, h->flags);
	le32_put(b + 36, h->alloc);
	le32_put(b + 40, h->fwd);
	chain_write(to, b, sizeof b);
}

static uint32_t conn_say(struct conn *c, struct chain *to, uint16_t op, uint32_t len)
{
	struct header h = { .host_port = c->host_port, .guest_port = c->guest_port, .len = len,
		            .op = op, .alloc = VSOCK_BUFFER, .fwd = c->fwd };
	if (op == OP_SHUTDOWN)
		h.flags = c->host_shut;
	c->fwd_told = c->fwd;
	c->tell &= (uint8_t)~TELL_CREDIT;
	header_write(c->s, to, &h);
	return HDR + len;
}

/* Room in the guest's buffer for this connection; a guest that lies gets nothing. */
static uint32_t conn_credit(const struct conn *c)
{
	uint32_t flying = c->sent - c->peer_fwd;
	return flying < c->peer_alloc ? c->peer_alloc - flying : 0;
}

static bool conn_wants_data(const struct conn *c)
{
	return c->state == CONN_OPEN && c->readable && !(c->guest_shut & SHUT_RECEIVE) &&
	       !(c->host_shut & SHUT_SEND) && !(c->tell & TELL_RESPONSE) && conn_credit(c);
}

/* The host program will send no more: say so, and whether it is gone for good. */
static void conn_ended(struct conn *c)
{
	c->readable = false;
	c->host_shut |= c->hung_up ? SHUT_BOTH : SHUT_SEND;
	c->tell |= TELL_SHUTDOWN;
}

/* Read from the host straight into the guest's buffer, behind the header. */
static uint32_t conn_read(struct conn *c, struct chain *to)
{
	struct iovec iov[PIECES];
	static const uint8_t header[HDR];
	struct msghdr m = { .msg_iov = iov };
	uint32_t room = conn_credit(c);
	chain_write(to, header, sizeof header);
	for (struct span s; room && m.msg_iovlen < PIECES && chain_next_in(to, &s);) {
		uint32_t n = s.len < room ? s.len : room;
		iov[m.msg_iovlen++] = (struct iovec){ s.p, n };
		room -= n;
	}
	to->next_in = 0;
	to->off_in = 0;
	ssize_t n = m.msg_iovlen ? recvmsg(c->fd, &m, MSG_DONTWAIT) : -1;
	if (n > 0) {
		c->sent += (uint32_t)n;
		return conn_say(c, to, OP_RW, (uint32_t)n);
	}
	if (!n)
		conn_ended(c);
	else if (errno == EAGAIN || errno == EINTR)
		c->readable = false;
	else
		conn_abort(c);
	return 0;
}

/* Fill @to with the next packet of @c. 0: it has none now. */
static uint32_t conn_fill(struct conn *c, struct chain *to)
{
	static const struct { uint8_t tell; uint16_t op; } first[] = {
		{ TELL_REQUEST, OP_REQUEST }, { TELL_RESPONSE, OP_RESPONSE },
	}, last[] = { { TELL_SHUTDOWN, OP_SHUTDOWN }, { TELL_CREDIT, OP_CREDIT } };
	for (size_t i = 0; i < countof(first); i++)
		if (c->tell & first[i].tell) {
			c->tell &= (uint8_t)~first[i].tell;
			return conn_say(c, to, first[i].op, 0);
		}
	uint32_t n = conn_wants_data(c) ? conn_read(c, to) : 0;
	if (n)
		return n;
	for (size_t i = 0; i < countof(last); i++)
		if (c->tell & last[i].tell) {
			c->tell &= (uint8_t)~last[i].tell;
			return conn_say(c, to, last[i].op, 0);
		}
	if (!(c->tell & TELL_RESET))
		return 0;
	n = conn_say(c, to, OP_RST, 0);
	conn_close(c);
	return n;
}

/* The next packet for the guest: answers first, then every ready connection in turn. */
static uint32_t vsock_fill(struct vsock *s, struct chain *to)
{
	if (s->nresets) {
		struct header h = { .op = OP_RST };
		h.host_port = s->resets[s->first_reset].host_port;
		h.guest_port = s->resets[s->first_reset].guest_port;
		s->first_reset = (s->first_reset + 1) % VSOCK_RESETS;
		s->nresets--;
		header_write(s, to, &h);
		return HDR;
	}
	struct conn *c;
	while ((c = TAILQ_FIRST(&s->ready))) {
		conn_idle(c);
		uint32_t n = conn_fill(c, to);
		if (n) {
			conn_ready(c);
			return n;
		}
		if (c->state < CONN_DYING && !conn_watch(c))
			conn_abort(c);
	}
	return 0;
}

static void vsock_feed(struct vsock *s)
{
	struct chain to;
	/* First it must hear that all connections are gone, or new ones would go with them. */
	if (s->held || (s->moved && virtq_ready(&s->v, EVENT)))
		return;
	while ((s->nresets || !TAILQ_EMPTY(&s->ready)) && virtq_pop(&s->v, RX, &to)) {
		if (to.in_len < HDR) {
			virtq_push(&s->v, RX, &to, 0);
			continue;
		}
		uint32_t n = vsock_fill(s, &to);
		if (!n) {
			virtq_unpop(&s->v, RX, &to);
			break;
		}
		virtq_push(&s->v, RX, &to, n);
	}
	if (s->tx_waits && !s->nresets) {
		s->tx_waits = false;
		virtio_kick(&s->v, TX);
	}
}

/* ---- from the guest ---- */

static void vsock_refuse(struct vsock *s, const struct header *h)
{
	unsigned at = (s->first_reset + s->nresets++) % VSOCK_RESETS;
	s->resets[at].host_port = h->host_port;
	s->resets[at].guest_port = h->guest_port;
}

static void vsock_request(struct vsock *s, const struct header *h)
{
	int fd = vsock_connect(s, h->host_port);
	struct conn *c = fd >= 0 ? conn_new(s, fd, CONN_OPEN) : NULL;
	if (!c) {
		if (fd >= 0)
			close(fd);
		vsock_refuse(s, h);
		return;
	}
	conn_bind(c, h->host_port, h->guest_port);
	c->peer_alloc = h->alloc;
	c->peer_fwd = h->fwd;
	c->tell = TELL_RESPONSE;
	conn_ready(c);
	if (!conn_watch(c))
		conn_abort(c);
}

static void conn_data(struct conn *c, struct chain *from, const struct header *h)
{
	if (c->state != CONN_OPEN || h->len > from->out_len - HDR ||
	    c->got - c->fwd + (uint64_t)h->len > VSOCK_BUFFER || c->guest_shut & SHUT_SEND) {
		conn_abort(c);
		return;
	}
	c->got += h->len;
	if (!conn_pass(c, from, h->len))
		conn_abort(c);
}

/* A packet for a connection that exists. */
static void conn_packet(struct conn *c, struct chain *from, const struct header *h)
{
	c->peer_alloc = h->alloc;
	c->peer_fwd = h->fwd;
	switch (h->op) {
	case OP_RESPONSE:
		if (c->state == CONN_REQUESTED && !(c->tell & TELL_REQUEST) && conn_greet(c))
			c->state = CONN_OPEN;
		else
			conn_abort(c);
		break;
	case OP_RST: conn_close(c); return;
	case OP_SHUTDOWN:
		c->guest_shut |= h->flags & SHUT_BOTH;
		conn_shut(c);
		break;
	case OP_RW: conn_data(c, from, h); break;
	case OP_CREDIT: break;
	case OP_CREDIT_REQUEST: c->tell |= TELL_CREDIT; break;
	default: conn_abort(c); break;
	}
	/* Whatever it was, credit may have come with it. */
	if (c->state < CONN_DYING && !conn_watch(c))
		conn_abort(c);
	conn_ready(c);
}

static void vsock_packet(struct vsock *s, struct chain *from)
{
	uint8_t b[HDR];
	if (chain_read(from, b, sizeof b) != sizeof b)
		return;
	struct header h = {
		.host_port = le32_at(b + 20), .guest_port = le32_at(b + 16), .len = le32_at(b + 24),
		.op = le16_at(b + 30), .flags = le32_at(b + 32), .alloc = le32_at(b + 36),
		.fwd = le32_at(b + 40),
	};
	bool ours = le64_at(b) == s->cid && le64_at(b + 8) == VSOCK_HOST_CID &&
	            le16_at(b + 28) == TYPE_STREAM;
	struct conn *c = ours ? conn_find(s, h.host_port, h.guest_port) : NULL;
	if (c && c->state == CONN_DYING) {
		if (h.op == OP_RST)
			conn_close(c);
	} else if (c) {
		conn_packet(c, from, &h);
	} else if (ours && h.op == OP_REQUEST) {
		vsock_request(s, &h);
	} else if (h.op != OP_RST) {
		vsock_refuse(s, &h);
	}
}

static void vsock_serve(struct virtio *v, unsigned queue)
{
	struct vsock *s = (struct vsock *)v;
	struct chain c;
	while (queue == TX && virtq_pop(v, TX, &c)) {
		if (s->nresets == VSOCK_RESETS) {
			s->tx_waits = true;
			virtq_unpop(v, TX, &c);
			break;
		}
		vsock_packet(s, &c);
		virtq_push(v, TX, &c, 0);
	}
	if (queue == EVENT && s->moved && virtq_pop(v, EVENT, &c)) {
		uint8_t event[4];
		le32_put(event, EVENT_TRANSPORT_RESET);
		s->moved = false;
		s->held = s->hold != NULL;
		s->looks = 0;
		s->events_left = virtq_offered(v, EVENT);
		if (s->hold)
			loop_timer_set(s->hold, host_monotonic_ns() + HOLD_NS);
		virtq_push(v, EVENT, &c, (uint32_t)chain_write(&c, event, sizeof event));
	}
	vsock_feed(s);
}

/* ---- life ---- */

/* A driver handles queues in an order of its own, and a busy guest when it gets to it. It has
 * forgotten its connections when it offers the event's buffer again; one that never does has had
 * its time. */
static void vsock_release(void *arg)
{
	struct vsock *s = arg;
	if (virtq_offered(&s->v, EVENT) <= s->events_left && ++s->looks < HOLD_LOOKS) {
		loop_timer_set(s->hold, host_monotonic_ns() + HOLD_NS);
		return;
	}
	s->held = false;
	virtio_kick(&s->v, RX);
}

extern const struct virtio_class virtio_vsock;

unsigned virtio_vsock_connections(struct virtio *v)
{
	assert(v->class == &virtio_vsock);
	pthread_mutex_lock(v->lock);
	unsigned n = ((struct vsock *)v)->nconns;
	pthread_mutex_unlock(v->lock);
	return n;
}

static void vsock_config_read(struct virtio *v, uint8_t *config)
{
	le64_put(config, ((struct vsock *)v)->cid);
}

static int vsock_init(struct virtio *v, struct lodge_err *e)
{
	struct vsock *s = (struct vsock *)v;
	struct dev d = { .s = v->s };
	s->listener = -1;
	s->next_port = 1u << 30;
	LIST_INIT(&s->all);
	TAILQ_INIT(&s->ready);
	TAILQ_INIT(&s->dead);
	int r = dev_option_u64(&d, "cid", 3, 3, UINT32_MAX - 1, &s->cid, e);
	if (r == 0 && v->s.loop)
		r = loop_timer_new(&s->hold, v->s.loop, v->lock, vsock_release, s, e);
	if (r < 0 || !v->s.loop || !virtio_option(v, "path", s->path, sizeof s->path))
		return r;
	if (strlen(s->path) + sizeof "_4294967295" > sizeof s->path)
		return err_set(e, ENAMETOOLONG, "socket path %s", s->path);
	return vsock_listen(s, e);
}

static void vsock_fini(struct virtio *v)
{
	struct vsock *s = (struct vsock *)v;
	struct conn *c, *next;
	if (s->hold)
		loop_timer_free(take(s->hold));
	vsock_unlisten(s);
	for (c = LIST_FIRST(&s->all); c; c = next) {
		next = LIST_NEXT(c, every);
		if (c->state != CONN_DEAD)
			conn_close(c);
	}
	conn_reap(s);
}

/* The guest forgot all connections; those that it never heard of may stay. */
static void vsock_reset(struct virtio *v)
{
	struct vsock *s = (struct vsock *)v;
	struct conn *c, *next;
	for (c = LIST_FIRST(&s->all); c; c = next) {
		next = LIST_NEXT(c, every);
		bool known = c->state != CONN_HANDSHAKE && !(c->tell & TELL_REQUEST);
		if (known && c->state != CONN_DEAD)
			conn_close(c);
	}
	s->nresets = 0;
	s->tx_waits = s->moved = s->held = false;
}

/* Connections do not travel: the guest is told so. §5.10.6.7 */
static bool vsock_loaded(struct virtio *v)
{
	struct vsock *s = (struct vsock *)v;
	s->moved = true;
	return s->next_port >= 1u << 30;
}

static const struct state_field vsock_state[] = { STATE(struct vsock, next_port, 1), STATE_END };

const struct virtio_class virtio_vsock = {
	.name = "vsock", .summary = "stream sockets between guest and host",
	.size = sizeof(struct vsock), .device_id = 19, .pci_class = 0x078000,
	.config_len = 8, .nqueues = 3, .features = F_STREAM,
	.init = vsock_init, .fini = vsock_fini, .reset = vsock_reset, .serve = vsock_serve,
	.config_read = vsock_config_read, .state = vsock_state,
	.loaded = vsock_loaded,
};
