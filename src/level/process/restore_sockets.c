/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of a program that goes on. */
#include "level/process/saved.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { PATH_AT = offsetof(struct sockaddr_un, sun_path), BACKLOG_MAX = 1 << 16 };

struct parts {
	struct sockaddr_storage name, peer;
	size_t name_len, peer_len, nbytes;
	const uint8_t *bytes; /* in flight */
};

static int parts_find(const struct restore *r, const uint8_t *w, struct parts *ret,
		      struct lodge_err *e)
{
	char name[SAVE_NAME_MAX + 1];
	size_t len = 0;
	snprintf(name, sizeof name, "process/socket/%u", (unsigned)word(w, SOCKET_NUMBER));
	const uint8_t *p = save_in_find(r->in, name, &len);
	memset(ret, 0, sizeof *ret);
	ret->name_len = word(w, SOCKET_NAME_LEN);
	ret->peer_len = word(w, SOCKET_PEER_LEN);
	if (!p || ret->name_len > sizeof ret->name || ret->peer_len > sizeof ret->peer ||
	    ret->name_len + ret->peer_len > len)
		return err_set(e, EINVAL, "the state has a socket that cannot be");
	memcpy(&ret->name, p, ret->name_len);
	memcpy(&ret->peer, p + ret->name_len, ret->peer_len);
	ret->bytes = p + ret->name_len + ret->peer_len;
	ret->nbytes = len - ret->name_len - ret->peer_len;
	return 0;
}

static void timeout_put(int fd, int name, uint64_t us)
{
	struct timeval t = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
	if (us)
		(void)!setsockopt(fd, SOL_SOCKET, name, &t, sizeof t);
}

static void switches_put(int fd, const uint8_t *w)
{
	const int on = 1;
	for (unsigned i = 0; i < SOCKET_SWITCHES_N; i++)
		if (word(w, SOCKET_SWITCHES) & 1u << i)
			(void)!setsockopt(fd, socket_switches[i].level, socket_switches[i].name,
					  &on, sizeof on);
	timeout_put(fd, SO_RCVTIMEO, word(w, SOCKET_RECEIVE_US));
	timeout_put(fd, SO_SNDTIMEO, word(w, SOCKET_SEND_US));
}

/* ---- pairs ---- */

static struct socket_made *inode_find(struct sockets *s, uint64_t inode)
{
	for (size_t i = 0; i < s->n; i++)
		if (word(s->made[i].w, SOCKET_INODE) == inode)
			return &s->made[i];
	return NULL;
}

/* What end @w has not received comes from @from. */
static int flight_put(const struct restore *r, const uint8_t *w, int from, struct lodge_err *e)
{
	struct parts p;
	int err = parts_find(r, w, &p, e);
	if (err < 0 || !p.nbytes)
		return err;
	if (word(w, SOCKET_TYPE) != SOCK_STREAM ||
	    send(from, p.bytes, p.nbytes, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)p.nbytes)
		return err_set(e, EINVAL, "what was on its way in a socket does not fit it");
	return 0;
}

static void shut_put(int fd, uint64_t how)
{
	if (how & 3)
		(void)!shutdown(fd, (how & 3) == 3 ? SHUT_RDWR : how & 1 ? SHUT_RD : SHUT_WR);
}

/* Both ends: one is @m's, which is taken, the other one waits for its descriptor. */
static int pair_make(struct bank *b, struct socket_made *m, struct lodge_err *e)
{
	const uint8_t *w = m->w;
	struct socket_made *other =
		word(w, SOCKET_PEER) ? inode_find(&b->sockets, word(w, SOCKET_PEER)) : NULL;
	int type = (int)word(w, SOCKET_TYPE), ends[2];
	if (other == m || (other && (word(other->w, SOCKET_KIND) != SOCKET_PAIR || other->fd >= 0)))
		return err_set(e, EINVAL, "the state has a pair of sockets that cannot be");
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(e, "a pair of sockets");
	autoclose int mine = fcntl(ends[0], F_DUPFD_CLOEXEC, b->above);
	autoclose int its = fcntl(ends[1], F_DUPFD_CLOEXEC, b->above);
	close(ends[0]);
	close(ends[1]);
	if (mine < 0 || its < 0)
		return err_sys(e, "a pair of sockets");
	int r = flight_put(m->r, w, its, e);
	if (r == 0 && other)
		r = flight_put(other->r, other->w, mine, e);
	if (r < 0)
		return r;
	switches_put(mine, w);
	if (other) {
		switches_put(its, other->w);
		shut_put(its, word(other->w, SOCKET_SHUT));
		other->fd = take_fd(&its);
	}
	shut_put(mine, word(w, SOCKET_SHUT));
	m->fd = take_fd(&mine);
	return 0;
}

/* ---- the others ---- */

/* The file that the socket was bound to is still there, and nobody listens at it: it goes. */
static int path_free(const struct parts *p, int type, struct lodge_err *e)
{
	const struct sockaddr_un *a = (const void *)&p->name;
	char path[sizeof a->sun_path + 1] = "";
	struct stat st;
	if (a->sun_family != AF_UNIX || p->name_len <= PATH_AT || p->name_len > sizeof *a ||
	    !a->sun_path[0])
		return 0;
	memcpy(path, a->sun_path, p->name_len - PATH_AT);
	if (lstat(path, &st) < 0)
		return 0;
	autoclose int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, EADDRINUSE, "its socket was bound to %s, which is another file "
			       "now", path);
	if (connect(fd, (const struct sockaddr *)a, (socklen_t)p->name_len) == 0 ||
	    errno != ECONNREFUSED)
		return err_set(e, EADDRINUSE, "its socket was bound to %s, which somebody else has "
			       "now", path);
	return unlink(path) < 0 ? err_sys(e, "its socket was bound to %s", path) : 0;
}

static bool has_name(const struct parts *p)
{
	const struct sockaddr_in *v4 = (const void *)&p->name; /* the port is there in both */
	if (p->name.ss_family == AF_UNIX)
		return p->name_len > PATH_AT;
	return v4->sin_port != 0;
}

static int other_make(const struct bank *b, struct socket_made *m, struct lodge_err *e)
{
	const uint8_t *w = m->w;
	struct parts p;
	char text[160];
	int type = (int)word(w, SOCKET_TYPE);
	int r = parts_find(m->r, w, &p, e);
	if (r < 0)
		return r;
	autoclose int fd = socket((int)word(w, SOCKET_DOMAIN), type | SOCK_CLOEXEC,
				  (int)word(w, SOCKET_PROTOCOL));
	if (fd < 0)
		return err_sys(e, "a socket");
	switches_put(fd, w);
	socket_name_print(text, sizeof text, &p.name, p.name_len);
	if (has_name(&p))
		r = path_free(&p, type, e);
	if (r == 0 && has_name(&p) &&
	    bind(fd, (struct sockaddr *)&p.name, (socklen_t)p.name_len) < 0)
		r = err_sys(e, "its socket was bound to %s", text);
	if (r == 0 && p.peer_len && type == SOCK_DGRAM &&
	    connect(fd, (struct sockaddr *)&p.peer, (socklen_t)p.peer_len) < 0)
		r = err_sys(e, "its socket at %s was connected", text);
	if (r == 0 && word(w, SOCKET_KIND) == SOCKET_LISTENS &&
	    listen(fd, (int)min_u64(word(w, SOCKET_BACKLOG), BACKLOG_MAX)) < 0)
		r = err_sys(e, "its socket listened at %s", text);
	if (r == 0)
		m->fd = fcntl(fd, F_DUPFD_CLOEXEC, b->above);
	return r;
}

static bool is_sound(const uint8_t *w, size_t i)
{
	uint64_t d = word(w, SOCKET_DOMAIN), t = word(w, SOCKET_TYPE);
	bool stream = t == SOCK_STREAM, known = stream || t == SOCK_DGRAM;
	if (word(w, SOCKET_NUMBER) != i || word(w, SOCKET_PROTOCOL) > UINT8_MAX)
		return false;
	if (word(w, SOCKET_KIND) == SOCKET_PAIR || d == AF_UNIX)
		return d == AF_UNIX && (known || t == SOCK_SEQPACKET);
	return (d == AF_INET || d == AF_INET6) && known;
}

/* Those of process @r. */
static int sockets_add(struct sockets *s, const struct restore *r, struct lodge_err *e)
{
	const uint8_t *w;
	size_t n;
	int err = words_find(r, "process/sockets", SOCKET_WORDS, &w, &n, e);
	if (err == 0 && n > SOCKETS_MAX - s->n)
		err = err_set(e, E2BIG, "the state has more than %d sockets", SOCKETS_MAX);
	if (err < 0)
		return err;
	struct socket_made *more = realloc(s->made, (s->n + n + 1) * sizeof *more);
	if (!more)
		return err_set(e, ENOMEM, "out of memory");
	s->made = more;
	for (size_t i = 0; i < n; i++, w += 8 * SOCKET_WORDS) {
		if (!is_sound(w, i))
			return err_set(e, EINVAL, "the state has a socket that cannot be");
		s->made[s->n++] = (struct socket_made){.w = w, .r = r, .fd = -1};
	}
	return 0;
}

int sockets_begin(struct tree *t, struct lodge_err *e)
{
	int err = 0;
	for (unsigned i = 0; err == 0 && i < t->n; i++)
		err = sockets_add(&t->bank.sockets, &t->each[i], e);
	return err;
}

int sockets_open(struct tree *t, const struct restore *r, uint64_t number, struct lodge_err *e)
{
	struct sockets *s = &t->bank.sockets;
	struct socket_made *m = s->made, *end = s->made + s->n;
	while (m < end && (m->r != r || word(m->w, SOCKET_NUMBER) != number))
		m++;
	if (m == end)
		return err_set(e, EINVAL, "the state has no socket of the number %llu",
			       (unsigned long long)number);
	int err = 0;
	if (m->fd < 0)
		err = word(m->w, SOCKET_KIND) == SOCKET_PAIR ? pair_make(&t->bank, m, e)
							      : other_make(&t->bank, m, e);
	if (err < 0)
		return err;
	int fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? err_sys(e, "a socket") : fd;
}

void sockets_end(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++)
		auto_close(&s->made[i].fd);
	free(take(s->made));
	s->n = 0;
}
