/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of a program that stands still: pairs within it with the bytes in flight, and those that
 * listen, are bound, or not even that. A connection to somebody else has another end that cannot
 * be saved, and is named. sock_diag(7), unix(7) */
#include "level/process/saved.h"
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { FLIGHT_MAX = 1 << 20, TEXT_MAX = 160, PATH_AT = offsetof(struct sockaddr_un, sun_path) };

/* The switches that are kept, bit by bit of SOCKET_SWITCHES. */
const struct socket_switch socket_switches[SOCKET_SWITCHES_N] = {
    {SOL_SOCKET, SO_REUSEADDR, 0}, {SOL_SOCKET, SO_REUSEPORT, 0}, {SOL_SOCKET, SO_BROADCAST, 0},
    {SOL_SOCKET, SO_KEEPALIVE, 0}, {SOL_SOCKET, SO_PASSCRED, 0},  {SOL_SOCKET, SO_OOBINLINE, 0},
    {IPPROTO_TCP, TCP_NODELAY, 0}, {IPPROTO_IPV6, IPV6_V6ONLY, AF_INET6},
};

struct look {
	int fd, domain, type, protocol, listens;
	struct sockaddr_storage name, peer;
	socklen_t name_len, peer_len; /* peer_len 0: not connected */
};

void socket_name_print(char *to, size_t cap, const struct sockaddr_storage *a, size_t len)
{
	char host[INET6_ADDRSTRLEN] = "?";
	const struct sockaddr_in *v4 = (const void *)a;
	const struct sockaddr_in6 *v6 = (const void *)a;
	const char *path = ((const struct sockaddr_un *)(const void *)a)->sun_path;
	if (a->ss_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host))
		snprintf(to, cap, "%s:%u", host, ntohs(v4->sin_port));
	else if (a->ss_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host))
		snprintf(to, cap, "[%s]:%u", host, ntohs(v6->sin6_port));
	else if (a->ss_family == AF_UNIX && len > PATH_AT)
		snprintf(to, cap, "%s%.*s", path[0] ? "" : "@", (int)(len - PATH_AT - !path[0]),
			 path + !path[0]);
	else
		snprintf(to, cap, "without a name");
}

static int refuse(const struct look *l, const char *what, struct lodge_err *e)
{
	char name[TEXT_MAX], peer[TEXT_MAX + 8] = "";
	socket_name_print(name, sizeof name, &l->name, l->name_len);
	if (l->peer_len) {
		snprintf(peer, sizeof peer, " to ");
		socket_name_print(peer + 4, sizeof peer - 4, &l->peer, l->peer_len);
	}
	return err_set(e, EOPNOTSUPP, "descriptor %d is %s (%s%s), which cannot be saved", l->fd,
		       what, name, peer);
}

static int option_get(int fd, int level, int name)
{
	int v = 0;
	socklen_t len = sizeof v;
	return getsockopt(fd, level, name, &v, &len) < 0 ? 0 : v;
}

static uint64_t timeout_get(int fd, int name)
{
	struct timeval t = {0, 0};
	socklen_t len = sizeof t;
	(void)!getsockopt(fd, SOL_SOCKET, name, &t, &len);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static bool look(struct look *l, int fd)
{
	*l = (struct look){.fd = fd,
			   .domain = option_get(fd, SOL_SOCKET, SO_DOMAIN),
			   .type = option_get(fd, SOL_SOCKET, SO_TYPE),
			   .protocol = option_get(fd, SOL_SOCKET, SO_PROTOCOL),
			   .listens = option_get(fd, SOL_SOCKET, SO_ACCEPTCONN),
			   .name_len = sizeof l->name,
			   .peer_len = sizeof l->peer};
	if (getpeername(fd, (struct sockaddr *)&l->peer, &l->peer_len) < 0)
		l->peer_len = 0;
	return getsockname(fd, (struct sockaddr *)&l->name, &l->name_len) == 0;
}

/* ---- what only the kernel knows of unix sockets ---- */

struct unix_state {
	uint32_t peer;              /* inode; 0: none */
	uint32_t vfs_ino;           /* of the file that it is bound to; 0: none */
	uint32_t waiting, backlog;  /* of one that listens */
	uint8_t shut;               /* 1: reads no more, 2: writes no more */
	uint8_t state;              /* as TCP's */
};

/* @p: an answer of sock_diag, @len bytes, with its header. */
static void unix_attributes(struct unix_state *s, const uint8_t *p, size_t len)
{
	size_t at = NLMSG_LENGTH(sizeof(struct unix_diag_msg)), n;
	s->state = p[NLMSG_HDRLEN + offsetof(struct unix_diag_msg, udiag_state)];
	for (; at + 8 <= len && (n = le16_at(p + at)) > 4 && n <= len - at; at += RTA_ALIGN(n)) {
		const uint8_t *v = p + at + 4;
		unsigned type = le16_at(p + at + 2);
		if (type == UNIX_DIAG_PEER && n >= 8)
			s->peer = le32_at(v);
		else if (type == UNIX_DIAG_VFS && n >= 8)
			s->vfs_ino = le32_at(v);
		else if (type == UNIX_DIAG_SHUTDOWN)
			s->shut = *v;
		else if (type == UNIX_DIAG_RQLEN && n >= 12) {
			s->waiting = le32_at(v);
			s->backlog = le32_at(v + 4);
		}
	}
}

/* False: this host's kernel does not say. */
static bool unix_look(struct unix_state *s, ino_t ino)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req r;
	} ask = {{sizeof ask, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0},
		 {.sdiag_family = AF_UNIX,
		  .udiag_states = UINT32_MAX,
		  .udiag_ino = (uint32_t)ino,
		  .udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN,
		  .udiag_cookie = {UINT32_MAX, UINT32_MAX}}};
	uint8_t buf[4096];
	*s = (struct unix_state){.peer = 0};
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0 || send(fd, &ask, sizeof ask, 0) != (ssize_t)sizeof ask)
		return false;
	ssize_t n = recv(fd, buf, sizeof buf, 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct unix_diag_msg)) ||
	    le32_at(buf) > (size_t)n || le16_at(buf + 4) != SOCK_DIAG_BY_FAMILY)
		return false;
	unix_attributes(s, buf, le32_at(buf));
	return true;
}

/* Has a process of the program the socket with inode @ino, of the kind of descriptor @of? */
static bool has_socket(const struct gather *g, int of, uint32_t ino)
{
	struct stat st;
	if (fstat(of, &st) == 0) {
		st.st_ino = ino;
		if (other_has(g, &st))
			return true;
	}
	for (int fd = 0; fd < g->nfds; fd++)
		if (!linux_fd_is_own(&g->t->p->sys, fd) && fd != g->own_fd && fstat(fd, &st) == 0 &&
		    S_ISSOCK(st.st_mode) && (uint32_t)st.st_ino == ino)
			return true;
	return false;
}

/* ---- sections ---- */

/* "process/socket/N": name, peer's name, bytes in flight. */
static uint8_t *section_put(struct gather *g, const struct look *l, uint64_t n, size_t bytes)
{
	char name[SAVE_NAME_MAX + 1];
	snprintf(name, sizeof name, "process/socket/%u", (unsigned)n);
	uint8_t *p = save_out_section(g->o, name, l->name_len + l->peer_len + bytes);
	if (!p)
		return NULL;
	memcpy(p, &l->name, l->name_len);
	memcpy(p + l->name_len, &l->peer, l->peer_len);
	return p + l->name_len + l->peer_len;
}

/* Bytes that the other end of a pair has sent, and nobody has received: they stay there. */
static int flight_gather(struct gather *g, const struct look *l, uint64_t w[SOCKET_WORDS],
			 struct lodge_err *e)
{
	int has = 0;
	char control[64];
	if (ioctl(l->fd, FIONREAD, &has) < 0 || has < 0 || has > FLIGHT_MAX)
		return refuse(l, "a socket with much that is not received", e);
	if (has && l->type != SOCK_STREAM)
		return refuse(l, "a socket with messages that are not received", e);
	uint8_t *p = section_put(g, l, w[SOCKET_NUMBER], (size_t)has);
	if (!has || !p)
		return 0;
	struct iovec v = {p, (size_t)has};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	ssize_t n = recvmsg(l->fd, &m, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	bool passed = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); n >= 0 && c; c = CMSG_NXTHDR(&m, c)) {
		for (size_t at = CMSG_LEN(0); c->cmsg_type == SCM_RIGHTS &&
		     at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
			int fd;
			memcpy(&fd, (uint8_t *)c + at, sizeof fd);
			close(fd);
			passed = true;
		}
	}
	if (passed || m.msg_flags & MSG_CTRUNC)
		return refuse(l, "a socket with descriptors that are not received", e);
	return n == has ? 0 : refuse(l, "a socket whose bytes cannot be looked at", e);
}

static int pair_gather(struct gather *g, const struct look *l, const struct unix_state *s,
		       uint64_t w[SOCKET_WORDS], struct lodge_err *e)
{
	if (s->peer && !has_socket(g, l->fd, s->peer))
		return refuse(l, "a unix socket whose other end is not the program's", e);
	if (l->name_len > PATH_AT || l->peer_len > PATH_AT)
		return refuse(l, "a connection of unix sockets with a name", e);
	w[SOCKET_KIND] = SOCKET_PAIR;
	w[SOCKET_PEER] = s->peer;
	w[SOCKET_SHUT] = s->shut;
	return flight_gather(g, l, w, e);
}

/* Paths of the host, so that it is found again whatever the root's descriptor is then. */
static int path_settle(struct look *l, const struct unix_state *s, struct lodge_err *e)
{
	struct sockaddr_un *a = (void *)&l->name;
	char path[PATH_MAX], in[64], dir[PATH_MAX];
	struct stat st;
	int fd, at = 0;
	if (l->name_len <= PATH_AT || !a->sun_path[0])
		return 0;
	snprintf(path, sizeof path, "%.*s", (int)(l->name_len - PATH_AT), a->sun_path);
	if (stat(path, &st) < 0 || (uint32_t)st.st_ino != s->vfs_ino)
		return refuse(l, "a socket whose file is not there any more", e);
	if (sscanf(path, "/proc/self/fd/%d/%n", &fd, &at) == 1 && at) {
		snprintf(in, sizeof in, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(in, dir, sizeof dir - 1);
		dir[n < 0 ? 0 : n] = 0;
		int len = snprintf(path, sizeof path, "%s/%s", dir, a->sun_path + at);
		if (n < 0 || len >= (int)sizeof a->sun_path)
			return refuse(l, "a socket whose file has a long path", e);
		memcpy(a->sun_path, path, (size_t)len + 1);
		l->name_len = (socklen_t)(PATH_AT + len + 1);
	}
	return 0;
}

static int unix_gather(struct gather *g, struct look *l, uint64_t w[SOCKET_WORDS],
		       struct lodge_err *e)
{
	struct unix_state s;
	struct stat st;
	if (fstat(l->fd, &st) < 0 || !unix_look(&s, st.st_ino))
		return refuse(l, "a unix socket that this host's kernel tells nothing of", e);
	if (!l->listens && (s.peer || s.state == TCP_ESTABLISHED))
		return pair_gather(g, l, &s, w, e);
	if (l->listens && s.waiting)
		return refuse(l, "a socket with connections that are not accepted", e);
	int has = 0;
	if (!l->listens && ioctl(l->fd, FIONREAD, &has) == 0 && has)
		return refuse(l, "a socket with messages that are not received", e);
	w[SOCKET_KIND] = l->listens ? SOCKET_LISTENS : SOCKET_BOUND;
	w[SOCKET_BACKLOG] = s.backlog;
	int r = path_settle(l, &s, e);
	if (r == 0)
		section_put(g, l, w[SOCKET_NUMBER], 0);
	return r;
}

static int inet_gather(struct gather *g, const struct look *l, uint64_t w[SOCKET_WORDS],
		       struct lodge_err *e)
{
	struct tcp_info i = {.tcpi_state = TCP_CLOSE};
	socklen_t len = sizeof i;
	bool tcp = l->type == SOCK_STREAM;
	if (l->type != SOCK_STREAM && l->type != SOCK_DGRAM)
		return refuse(l, "a raw socket", e);
	if (l->protocol != (tcp ? IPPROTO_TCP : IPPROTO_UDP))
		return refuse(l, "a socket of a protocol beside TCP and UDP", e);
	if (tcp && getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &i, &len) < 0)
		return refuse(l, "a TCP socket", e);
	if (tcp && i.tcpi_state == TCP_LISTEN && i.tcpi_unacked)
		return refuse(l, "a TCP socket with connections that are not accepted", e);
	if (tcp && i.tcpi_state != TCP_LISTEN && i.tcpi_state != TCP_CLOSE)
		return refuse(l, "a TCP connection", e);
	w[SOCKET_KIND] = l->listens ? SOCKET_LISTENS : SOCKET_BOUND;
	w[SOCKET_BACKLOG] = l->listens ? i.tcpi_sacked : 0;
	section_put(g, l, w[SOCKET_NUMBER], 0);
	return 0;
}

int socket_gather(struct gather *g, int fd, uint64_t *ret_number, struct lodge_err *e)
{
	uint64_t w[SOCKET_WORDS] = {g->sockets.n / SOCKET_WORDS};
	struct look l;
	struct stat st;
	if (!look(&l, fd) || fstat(fd, &st) < 0)
		return err_sys(e, "descriptor %d, a socket", fd);
	w[SOCKET_INODE] = (uint32_t)st.st_ino;
	w[SOCKET_DOMAIN] = (uint64_t)l.domain;
	w[SOCKET_TYPE] = (uint64_t)l.type;
	w[SOCKET_PROTOCOL] = (uint64_t)l.protocol;
	for (unsigned i = 0; i < SOCKET_SWITCHES_N; i++) {
		const struct socket_switch *s = &socket_switches[i];
		bool fits = (!s->domain || s->domain == l.domain) &&
		            (s->level != IPPROTO_TCP || l.protocol == IPPROTO_TCP);
		if (fits && option_get(fd, s->level, s->name))
			w[SOCKET_SWITCHES] |= 1u << i;
	}
	w[SOCKET_RECEIVE_US] = timeout_get(fd, SO_RCVTIMEO);
	w[SOCKET_SEND_US] = timeout_get(fd, SO_SNDTIMEO);
	int r;
	if (l.domain == AF_UNIX)
		r = unix_gather(g, &l, w, e);
	else if (l.domain == AF_INET || l.domain == AF_INET6)
		r = inet_gather(g, &l, w, e);
	else
		r = refuse(&l, "a socket of another family than unix and internet", e);
	w[SOCKET_NAME_LEN] = l.name_len;
	w[SOCKET_PEER_LEN] = l.peer_len;
	words_add(&g->sockets, w, SOCKET_WORDS);
	*ret_number = w[SOCKET_NUMBER];
	return r;
}
