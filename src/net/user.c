/* SPDX-License-Identifier: Apache-2.0 */
/* The user network: libslirp on the machine's loop.
 *
 * libslirp wants to be asked, before each wait, which descriptors it waits for. They are kept in
 * an epoll of our own, of which the loop watches one descriptor; a turn is: collect what became
 * ready, let libslirp work, ask again. Frames from the guest
 * are handed in at once, and a turn follows when the batch is over. */
#include "internal.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
	USER_MTU = 65520,  /* the largest multiple of 16 that libslirp takes (65521) */
	USER_EVENTS = 64,  /* collected per system call */
	USER_POLLS_MAX = 16384,
};

/* A descriptor that libslirp waits for in this turn. */
struct user_poll {
	int fd;
	int want, got; /* SLIRP_POLL_* */
};

/* What our epoll knows of a descriptor, by its number. */
struct user_fd {
	int want;      /* SLIRP_POLL_*; 0: not in the epoll */
	unsigned turn; /* last turn in which libslirp named it */
	int at;        /* index into polls of that turn */
};

struct user {
	struct net n;
	Slirp *slirp;             /* owned */
	int epoll;                /* owned */
	struct loop_watch *watch; /* owned: of epoll */
	struct loop_timer *timer; /* owned: libslirp's next deadline, or the next turn at once */
	bool soon;                /* a turn is on its way */
	unsigned turn;
	struct user_poll *polls;  /* owned */
	int npolls, cap_polls;
	struct user_fd *fds;      /* owned, by descriptor number */
	int cap_fds;
	int max_polls;            /* more are not opened for the guest */
	uint64_t visited_ns;      /* when a published port was last seen in use */
};

struct user_timer {
	struct user *u;
	SlirpTimerId id;
	void *opaque;
	struct loop_timer *timer; /* owned */
};

static struct user *user_of(struct net *n) { return container_of(n, struct user, n); }

/* ---- descriptors ---- */

static void user_fd_drop(struct user *u, int fd)
{
	if (fd < 0 || fd >= u->cap_fds || !u->fds[fd].want)
		return;
	u->fds[fd].want = 0;
	/* Fails when libslirp has closed it already: that is what we want. */
	(void)epoll_ctl(u->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void user_fd_register(int fd, void *arg) { user_fd_drop(arg, fd); }
static void user_fd_unregister(int fd, void *arg) { user_fd_drop(arg, fd); }

static bool user_fd_room(struct user *u, int fd)
{
	if (fd < u->cap_fds)
		return true;
	int cap = fd + 64;
	struct user_fd *p = realloc(u->fds, (size_t)cap * sizeof *p);
	if (!p)
		return false;
	memset(p + u->cap_fds, 0, (size_t)(cap - u->cap_fds) * sizeof *p);
	u->fds = p;
	u->cap_fds = cap;
	return true;
}

static bool user_polls_room(struct user *u)
{
	if (u->npolls < u->cap_polls)
		return true;
	int cap = u->cap_polls ? 2 * u->cap_polls : 16;
	struct user_poll *p = realloc(u->polls, (size_t)cap * sizeof *p);
	if (!p)
		return false;
	u->polls = p;
	u->cap_polls = cap;
	return true;
}

static uint32_t user_events(int want)
{
	return (want & SLIRP_POLL_IN ? EPOLLIN : 0u) | (want & SLIRP_POLL_OUT ? EPOLLOUT : 0u) |
	       (want & SLIRP_POLL_PRI ? EPOLLPRI : 0u);
}

static int user_got(uint32_t events)
{
	return (events & EPOLLIN ? SLIRP_POLL_IN : 0) | (events & EPOLLOUT ? SLIRP_POLL_OUT : 0) |
	       (events & EPOLLPRI ? SLIRP_POLL_PRI : 0) | (events & EPOLLERR ? SLIRP_POLL_ERR : 0) |
	       (events & EPOLLHUP ? SLIRP_POLL_HUP : 0);
}

/* libslirp names a descriptor it waits for; the answer is its index, or -1. */
static int user_add_poll(int fd, int want, void *arg)
{
	struct user *u = arg;
	if (fd < 0 || !want || !user_fd_room(u, fd) || !user_polls_room(u))
		return -1;
	struct user_fd *f = &u->fds[fd];
	struct epoll_event ev = { .events = user_events(want), .data.fd = fd };
	if (f->want != want) {
		int op = f->want ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
		int r = epoll_ctl(u->epoll, op, fd, &ev);
		/* The number can be a new descriptor, closed and reopened behind our back. */
		if (r < 0 && errno == ENOENT)
			r = epoll_ctl(u->epoll, EPOLL_CTL_ADD, fd, &ev);
		else if (r < 0 && errno == EEXIST)
			r = epoll_ctl(u->epoll, EPOLL_CTL_MOD, fd, &ev);
		f->want = r < 0 ? 0 : want;
		if (r < 0)
			return -1;
	}
	f->turn = u->turn;
	f->at = u->npolls;
	u->polls[u->npolls] = (struct user_poll){ .fd = fd, .want = want };
	return u->npolls++;
}

static int user_revents(int i, void *arg)
{
	const struct user *u = arg;
	return i >= 0 && i < u->npolls ? u->polls[i].got : 0;
}

/* Ask libslirp what it waits for, and until when. */
static void user_arm(struct user *u)
{
	uint32_t wait_ms = UINT32_MAX;
	u->turn++;
	u->npolls = 0;
	slirp_pollfds_fill(u->slirp, &wait_ms, user_add_poll, u);
	for (int fd = 0; fd < u->cap_fds; fd++)
		if (u->fds[fd].turn != u->turn)
			user_fd_drop(u, fd);
	if (u->soon)
		return; /* asked for while libslirp was at work: the timer is set */
	loop_timer_set(u->timer, wait_ms == UINT32_MAX
	                             ? UINT64_MAX
	                             : host_monotonic_ns() + (uint64_t)wait_ms * 1000000);
}

static void user_collect(struct user *u)
{
	struct epoll_event ev[USER_EVENTS];
	int n = epoll_wait(u->epoll, ev, USER_EVENTS, 0);
	for (int i = 0; i < n; i++) {
		const struct user_fd *f = &u->fds[ev[i].data.fd];
		if (f->want && f->turn == u->turn)
			u->polls[f->at].got |= user_got(ev[i].events);
	}
}

static void user_turn(void *arg)
{
	struct user *u = arg;
	u->soon = false;
	user_collect(u);
	slirp_pollfds_poll(u->slirp, 0, user_revents, u);
	user_arm(u);
}

static void user_ready(void *arg, uint32_t events)
{
	(void)events;
	user_turn(arg);
}

static void user_turn_soon(struct user *u)
{
	if (u->soon || !u->timer)
		return;
	u->soon = true;
	loop_timer_set(u->timer, 0);
}

/* ---- what libslirp calls ---- */

/* Where the IP header's payload starts and what it is; 0: no IP packet, or a fragment. */
static size_t user_payload(const uint8_t *frame, size_t len, uint8_t *ret_proto)
{
	enum { IP = NET_ETH_HEADER, MORE_OR_OFFSET = 0x3fff };
	unsigned type = be16_at(frame + 12);
	if (type == 0x0800 && len >= IP + 20 && !(be16_at(frame + IP + 6) & MORE_OR_OFFSET)) {
		*ret_proto = frame[IP + 9];
		return IP + 4u * (frame[IP] & 15);
	}
	if (type == 0x86dd && len >= IP + 40) {
		*ret_proto = frame[IP + 6];
		return IP + 40;
	}
	return 0;
}

/* A packet that goes to the guest: is it for a published port? Connections that are open and silent
 * are seen by their descriptors. */
static void user_visit(struct user *u, const uint8_t *frame, size_t len)
{
	enum { TCP = 6, UDP = 17 };
	uint8_t proto = 0;
	size_t at = u->n.nports ? user_payload(frame, len, &proto) : 0;
	if (!at || (proto != UDP && proto != TCP) || at + 4 > len)
		return;
	for (unsigned i = 0; i < u->n.nports; i++)
		if (u->n.ports[i].udp == (proto == UDP) &&
		    u->n.ports[i].guest == be16_at(frame + at + 2))
			u->visited_ns = host_monotonic_ns();
}

static ssize_t user_packet(const void *frame, size_t len, void *arg)
{
	struct user *u = arg;
	/* libslirp has computed every checksum of what it sends. */
	struct net_meta meta = { .flags = NET_DATA_VALID };
	user_visit(u, frame, len);
	net_enqueue(&u->n, &meta, frame, len);
	return (ssize_t)len;
}

static void user_guest_error(const char *msg, void *arg)
{
	struct user *u = arg;
	log_guest(u->n.log, "network user: guest: %s", msg);
}

static int64_t user_clock(void *arg)
{
	(void)arg;
	return (int64_t)host_monotonic_ns();
}

static void user_timer_fire(void *arg)
{
	struct user_timer *t = arg;
	slirp_handle_timer(t->u->slirp, t->id, t->opaque);
	user_turn_soon(t->u);
}

static void *user_timer_new(SlirpTimerId id, void *opaque, void *arg)
{
	struct user *u = arg;
	struct user_timer *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	*t = (struct user_timer){ .u = u, .id = id, .opaque = opaque };
	if (loop_timer_new(&t->timer, u->n.loop, NULL, user_timer_fire, t, NULL)) {
		free(t);
		return NULL;
	}
	return t;
}

static void user_timer_free(void *timer, void *arg)
{
	struct user_timer *t = timer;
	(void)arg;
	if (t)
		loop_timer_free(t->timer);
	free(t);
}

static void user_timer_mod(void *timer, int64_t expire_ms, void *arg)
{
	struct user_timer *t = timer;
	(void)arg;
	if (t)
		loop_timer_set(t->timer, expire_ms < 0 ? 0 : (uint64_t)expire_ms * 1000000);
}

static void user_notify(void *arg) { user_turn_soon(arg); }

static const SlirpCb user_callbacks = {
	.send_packet = user_packet,
	.guest_error = user_guest_error,
	.clock_get_ns = user_clock,
	.timer_new_opaque = user_timer_new,
	.timer_free = user_timer_free,
	.timer_mod = user_timer_mod,
	.register_poll_fd = user_fd_register,
	.unregister_poll_fd = user_fd_unregister,
	.notify = user_notify,
};

/* ---- published ports ---- */

/* Descriptors that libslirp waits for. */
struct user_fds {
	int fd[USER_POLLS_MAX / 16];
	unsigned n;
};

static int user_fds_note(int fd, int want, void *arg)
{
	struct user_fds *f = arg;
	(void)want;
	if (f->n < countof(f->fd))
		f->fd[f->n++] = fd;
	return -1;
}

static void user_fds_list(struct user *u, struct user_fds *ret)
{
	uint32_t wait_ms = 0;
	ret->n = 0;
	slirp_pollfds_fill(u->slirp, &wait_ms, user_fds_note, ret);
}

/* The one of @now that is not among @before; -1: it cannot be told. */
static int user_fds_new(const struct user_fds *before, const struct user_fds *now)
{
	for (unsigned i = 0, k; i < now->n; i++) {
		for (k = 0; k < before->n && before->fd[k] != now->fd[i]; k++)
			;
		if (k == before->n)
			return now->fd[i];
	}
	return -1;
}

/* libslirp makes its sockets itself; ours may have been there before the guest, and stays when that
 * is suspended. So libslirp gets any port, and then our socket in that one's place. */
static int user_publish(struct user *u, struct net_port *p, const struct net_options *o,
                        struct lodge_err *e)
{
	struct in_addr any = { .s_addr = htonl(INADDR_LOOPBACK) };
	struct in_addr guest = { 0 }; /* the first address that DHCP hands out */
	autofree struct user_fds *f = calloc(2, sizeof *f);
	autoclose int fd = port_socket(p, o->held, o->nheld, e);
	if (fd < 0)
		return fd;
	if (!f)
		return err_set(e, ENOMEM, "out of memory");
	user_fds_list(u, &f[0]);
	errno = 0;
	int r = slirp_add_hostfwd(u->slirp, p->udp, any, 0, guest, p->guest);
	user_fds_list(u, &f[1]);
	int theirs = r < 0 ? -1 : user_fds_new(&f[0], &f[1]);
	if (theirs < 0 || dup3(fd, theirs, O_CLOEXEC) < 0)
		return err_set(e, errno ? errno : EIO, "libslirp does not take the port %s:%u",
		               p->bind, p->host);
	p->fd = take_fd(&fd);
	return 0;
}

static int user_publish_all(struct user *u, const struct net_options *o, struct lodge_err *e)
{
	struct net *n = &u->n;
	if (!o->npublish)
		return 0;
	n->ports = calloc(o->npublish, sizeof *n->ports);
	if (!n->ports)
		return err_set(e, ENOMEM, "no memory for %u ports", o->npublish);
	for (unsigned i = 0; i < o->npublish; i++) {
		int r = net_port_parse(&n->ports[i], o->publish[i], e);
		if (!r)
			r = user_publish(u, &n->ports[i], o, e);
		if (r)
			return r;
		n->nports = i + 1;
	}
	return 0;
}

/* ---- open, send, close ---- */

static struct in6_addr user_addr6(uint8_t last)
{
	/* A unique local prefix, so that hosts of both families prefer IPv4. RFC 4193, RFC 6724 */
	struct in6_addr a = { { { 0xfd, 0x4c, 0x6f, 0x64, 0x67, 0x65 } } };
	a.s6_addr[15] = last;
	return a;
}

static void user_config(SlirpConfig *c, const struct net_options *o)
{
	*c = (SlirpConfig){
		.version = 4,
		.restricted = o->restrict_out,
		.in_enabled = true,
		.vnetwork.s_addr = htonl(0x0a000200),
		.vnetmask.s_addr = htonl(0xffffff00),
		.vhost.s_addr = htonl(0x0a000202),
		.vdhcp_start.s_addr = htonl(0x0a00020f),
		.vnameserver.s_addr = htonl(0x0a000203),
		.in6_enabled = true,
		.vprefix_addr6 = user_addr6(0),
		.vprefix_len = 64,
		.vhost6 = user_addr6(2),
		.vnameserver6 = user_addr6(3),
		.vhostname = o->hostname,
		.if_mtu = USER_MTU,
		.if_mru = USER_MTU,
	};
}

/* Half of the process's descriptors are for the guest's connections. */
static int user_bound(void)
{
	struct rlimit lim = { .rlim_cur = 1024 };
	(void)getrlimit(RLIMIT_NOFILE, &lim);
	return (int)min_u64(lim.rlim_cur / 2, USER_POLLS_MAX);
}

static int user_open(struct net *n, const struct net_options *o, struct lodge_err *e)
{
	struct user *u = user_of(n);
	SlirpConfig c;
	int r = host_library_load(&net_slirp, e);
	if (r < 0)
		return r;
	u->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (u->epoll < 0)
		return err_sys(e, "epoll");
	u->max_polls = user_bound();
	user_config(&c, o);
	u->slirp = slirp_new(&c, &user_callbacks, u);
	if (!u->slirp)
		return err_set(e, EINVAL, "libslirp %s refused its settings",
			       slirp_version_string());
	r = user_publish_all(u, o, e);
	if (!r)
		r = loop_timer_new(&u->timer, n->loop, NULL, user_turn, u, e);
	if (!r)
		r = loop_watch_new(&u->watch, n->loop, u->epoll, EPOLLIN, NULL, user_ready, u, e);
	if (!r)
		user_turn_soon(u);
	return r;
}

static void user_close(struct net *n)
{
	struct user *u = user_of(n);
	if (u->watch)
		loop_watch_free(u->watch);
	if (u->timer)
		loop_timer_free(take(u->timer));
	if (u->slirp)
		slirp_cleanup(u->slirp);
	if (u->epoll > 0)
		close(u->epoll);
	free(u->polls);
	free(u->fds);
}

/* May this packet make libslirp open a descriptor? */
static bool user_opens(const uint8_t *frame, size_t len, size_t at, uint8_t proto)
{
	enum { TCP = 6, TCP_FLAGS = 13, SYN = 2, ACK = 16 };
	if (proto != TCP)
		return true;
	return at + TCP_FLAGS < len && (frame[at + TCP_FLAGS] & (SYN | ACK)) == SYN;
}

/* May libslirp see this frame? Its reassembly of IPv4 fragments (4.7.0 as Debian builds it) crashes
 * on a last fragment that comes first; with our MTU a guest has no reason to send any. And it opens
 * as many descriptors as the guest likes, which the rest of the keeper needs too. */
static bool user_safe(const struct user *u, const uint8_t *frame, size_t len)
{
	uint8_t proto = 0;
	size_t at = user_payload(frame, len, &proto);
	if (!at)
		return be16_at(frame + 12) != 0x0800;
	return u->npolls < u->max_polls || !user_opens(frame, len, at, proto);
}

static void user_send(struct net *n, const struct net_meta *meta, uint8_t *frame, size_t len)
{
	struct user *u = user_of(n);
	/* libslirp verifies checksums, so what the guest left to us must be done here. */
	if (meta->flags & NET_NEEDS_CSUM && !net_checksum(meta, frame, len))
		return;
	if (!user_safe(u, frame, len)) {
		log_guest(n->log,
			  "network user: a fragment, or one connection too many, is dropped");
		return;
	}
	slirp_input(u->slirp, frame, (int)len);
	user_turn_soon(u);
}

/* Is it a connection to a published port? */
static bool user_is_visit(const struct user *u, int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	int listens = 0;
	socklen_t n = sizeof listens;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) < 0 || listens ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0 || a.sin_family != AF_INET)
		return false;
	for (unsigned i = 0; i < u->n.nports; i++)
		if (!u->n.ports[i].udp && u->n.ports[i].host == ntohs(a.sin_port))
			return true;
	return false;
}

static uint64_t user_visited_ns(struct net *n)
{
	const struct user *u = user_of(n);
	for (int i = 0; n->nports && i < u->npolls; i++)
		if (user_is_visit(u, u->polls[i].fd))
			return host_monotonic_ns();
	return u->visited_ns;
}

const struct net_class net_user = {
	.name = "user", .summary = "addresses translated by libslirp; needs no privilege",
	.size = sizeof(struct user), .mtu = USER_MTU, .offloads = NET_CAN_CSUM, .link = true,
	.open = user_open, .close = user_close, .send = user_send, .visited_ns = user_visited_ns,
};
