/* SPDX-License-Identifier: Apache-2.0 */
/* WSAEventSelect and what belongs to it: a socket that sets an event when something has happened,
 * and remembers what. Each kind is told once, and again only after the call that enables it:
 * reading, accepting, a send that would have to wait.
 *
 * A request among those of async.c looks at the descriptor, for what has not been told yet. */
#include "win/async.h"
#include "win/socket.h"
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

enum { NET_KINDS = 10 };
struct net_events {
	struct overlapped o;  /* by which the request is known */
	struct object *event; /* owned; NULL: none */
	uint32_t mask, told, recorded; /* NET_... */
	int32_t codes[NET_KINDS];
	int error;    /* of a connection that failed, until SO_ERROR is asked for */
	bool watched; /* the request is under way */
	bool linked;  /* it was connected */
};
/* What WSAEnumNetworkEvents tells. */
struct net_told {
	uint32_t events;
	int32_t codes[NET_KINDS];
};
static WIN_STATE pthread_mutex_t net_lock = PTHREAD_MUTEX_INITIALIZER; /* of all net_events */
static WIN_STATE pthread_mutex_t select_lock = PTHREAD_MUTEX_INITIALIZER;

void net_events_free(struct net_events *e)
{
	if (e)
		object_unref(e->event);
	free(e);
}

/* ---- what has happened; under the lock ---- */

enum link { LINK_NONE, LINK_COMING, LINK_UP, LINK_LISTENS, LINK_DATAGRAM };

static int option_of(int fd, int name)
{
	int v = 0;
	socklen_t n = sizeof v;
	return getsockopt(fd, SOL_SOCKET, name, &v, &n) == 0 ? v : 0;
}

static enum link link_of(int fd)
{
	struct tcp_info i = {0};
	socklen_t n = sizeof i;
	if (option_of(fd, SO_TYPE) != SOCK_STREAM)
		return LINK_DATAGRAM;
	if (option_of(fd, SO_ACCEPTCONN))
		return LINK_LISTENS;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &n) < 0)
		return LINK_UP;
	return i.tcpi_state == TCP_CLOSE ? LINK_NONE
	       : i.tcpi_state == TCP_SYN_SENT || i.tcpi_state == TCP_SYN_RECV ? LINK_COMING
									       : LINK_UP;
}

static bool note(struct net_events *e, uint32_t what, int32_t code)
{
	if (!(e->mask & ~e->told & what))
		return false;
	e->told |= what;
	e->recorded |= what;
	e->codes[__builtin_ctz(what)] = code;
	return true;
}

/* It has no connection: none yet, none any more, or it could not be had. */
static bool look_unlinked(const struct file *f, struct net_events *e, short ready)
{
	if (e->linked)
		return note(e, NET_CLOSE, ready & POLLERR ? socket_error(ECONNRESET) : 0);
	if (!(ready & POLLERR) || !f->dialled)
		return false;
	if (!e->error)
		e->error = option_of(f->fd, SO_ERROR);
	return note(e, NET_CONNECT, socket_error(e->error));
}

static bool look_linked(struct file *f, struct net_events *e, short ready)
{
	uint8_t one;
	bool news = f->dialled && !e->linked && note(e, NET_CONNECT, 0);
	e->linked = true;
	ssize_t n = ready & POLLIN ? recv(f->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) : -1;
	bool ends = ready & (POLLRDHUP | POLLHUP | POLLERR);
	if (n > 0)
		news |= note(e, NET_READ, 0);
	/* its end is told when all before it was read, to who reads */
	if (ends && (n <= 0 || !(e->mask & NET_READ)))
		news |= note(e, NET_CLOSE, ready & POLLERR ? socket_error(ECONNRESET) : 0);
	if (ready & POLLPRI)
		news |= note(e, NET_OOB, 0);
	if (ready & POLLOUT)
		news |= note(e, NET_WRITE, 0);
	return news;
}

static bool look_datagrams(struct net_events *e, short ready)
{
	bool news = ready & POLLIN && note(e, NET_READ, 0);
	if (ready & POLLOUT)
		news |= note(e, NET_WRITE, 0);
	return news;
}

/* Note what there is to be told, and say what is to be looked for from now on: EPOLL... */
static uint32_t net_look(struct file *f, struct net_events *e)
{
	struct pollfd p = {.fd = f->fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};
	enum link l = link_of(f->fd);
	bool news = false;
	short ready = poll(&p, 1, 0) > 0 ? p.revents : 0;
	if (l == LINK_LISTENS)
		news = ready & POLLIN && note(e, NET_ACCEPT, 0);
	else if (l == LINK_NONE)
		news = look_unlinked(f, e, ready);
	else if (l == LINK_UP)
		news = look_linked(f, e, ready);
	else if (l == LINK_DATAGRAM)
		news = look_datagrams(e, ready);
	if (news && e->event)
		wait_signal(e->event, 1);
	uint32_t wanted = e->mask & ~e->told;
	if (l == LINK_COMING)
		return wanted ? EPOLLOUT : 0;
	if (l == LINK_NONE || ready & (POLLHUP | POLLERR))
		return 0; /* until the guest does something with it */
	return (wanted & (NET_READ | NET_ACCEPT) ? EPOLLIN : 0u) |
	       (wanted & NET_WRITE ? EPOLLOUT : 0u) | (wanted & NET_OOB ? EPOLLPRI : 0u) |
	       (wanted & NET_CLOSE && !(ready & POLLRDHUP) ? EPOLLRDHUP : 0u);
}

/* ---- the request ---- */

static int64_t net_attempt(struct pending *p)
{
	pthread_mutex_lock(&net_lock);
	p->events = net_look(p->f, p->f->events);
	pthread_mutex_unlock(&net_lock);
	return -EAGAIN;
}

static int32_t net_watch(struct file *f, struct net_events *e)
{
	if (e->watched) {
		async_look(f);
		return 0;
	}
	struct pending *p = pending_new(sizeof *p, f, &e->o);
	if (!p)
		return socket_fail(ENOBUFS);
	p->bare = p->looks = true;
	p->attempt = net_attempt;
	(void)net_attempt(p);
	e->watched = async_start(p) == 0;
	return e->watched ? 0 : socket_fail(ENOBUFS);
}

static struct net_events *net_events_of(struct file *f)
{
	struct net_events *e = f->events ? f->events : calloc(1, sizeof *e);
	f->events = e;
	return e;
}

/* @event: owned from here on; NULL, if @mask is 0. */
static int32_t net_select(struct file *f, struct object *event, uint32_t mask)
{
	int on = 1;
	int32_t r = 0;
	pthread_mutex_lock(&select_lock);
	pthread_mutex_lock(&net_lock);
	struct net_events *e = net_events_of(f);
	struct object *before = e ? e->event : event;
	if (e) {
		e->event = event;
		e->mask = mask;
		e->told = e->recorded = 0;
	}
	pthread_mutex_unlock(&net_lock);
	object_unref(before);
	if (!e || ioctl(f->fd, FIONBIO, &on) < 0)
		r = socket_fail(e ? errno : ENOBUFS);
	if (r == 0 && (mask || e->watched))
		r = net_watch(f, e);
	pthread_mutex_unlock(&select_lock);
	return r;
}

void net_again(struct file *f, uint32_t what)
{
	pthread_mutex_lock(&net_lock);
	bool any = f->events->mask != 0;
	f->events->told &= ~what;
	if (what & NET_CONNECT)
		f->events->linked = false, f->events->error = 0;
	pthread_mutex_unlock(&net_lock);
	if (any)
		async_look(f);
}

bool net_selected(const struct file *f)
{
	pthread_mutex_lock(&net_lock);
	bool any = f->events && f->events->mask;
	pthread_mutex_unlock(&net_lock);
	return any;
}

int net_error(struct file *f)
{
	pthread_mutex_lock(&net_lock);
	int err = f->events ? f->events->error : 0;
	if (f->events)
		f->events->error = 0;
	pthread_mutex_unlock(&net_lock);
	return err;
}

void net_inherit(const struct file *from, handle h)
{
	struct file *f = net_selected(from) ? object_get(h, KIND_FILE) : NULL;
	if (!f)
		return;
	pthread_mutex_lock(&net_lock);
	uint32_t mask = from->events->mask;
	struct object *event = from->events->event;
	object_ref(event);
	pthread_mutex_unlock(&net_lock);
	(void)!net_select(f, event, mask);
	object_unref(&f->o);
}

/* ---- functions ---- */

API(int32_t, ws_WSAEventSelect, uint64_t h, handle event, int32_t mask)
{
	struct file *f = socket_get(h);
	if (!f)
		return -1;
	struct object *o = mask ? object_get(event, KIND_EVENT) : NULL;
	int32_t r = mask && !o ? socket_fail(EINVAL) : net_select(f, o, (uint32_t)mask);
	socket_put(f);
	return r;
}

API(int32_t, ws_WSAEnumNetworkEvents, uint64_t h, handle event, struct net_told *ret)
{
	struct file *f = ret ? socket_get(h) : NULL;
	struct object *o = f && event ? object_get(event, KIND_EVENT) : NULL;
	if (!f)
		return ret ? -1 : socket_fail(EFAULT);
	struct net_told told = {0}; /* not the guest's, which may fault, under the lock */
	bool bad = event && !o;
	pthread_mutex_lock(&net_lock);
	if (!bad && f->events) {
		told.events = f->events->recorded;
		memcpy(told.codes, f->events->codes, sizeof told.codes);
		memset(f->events->codes, 0, sizeof f->events->codes);
		f->events->recorded = 0;
	}
	if (o)
		wait_signal(o, 0);
	pthread_mutex_unlock(&net_lock);
	object_unref(o);
	socket_put(f);
	if (bad)
		return socket_fail(EINVAL);
	*ret = told;
	return 0;
}

extern WINAPI handle k32_CreateEventA(void *sec, uint32_t manual, uint32_t set, const char *name);
API(handle, ws_WSACreateEvent, void) { return k32_CreateEventA(NULL, 1, 0, NULL); }
