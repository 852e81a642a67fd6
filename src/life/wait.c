/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that was suspended for being idle has no keeper, but the process that was its keeper
 * stays: without the guest, with nothing but the sockets of its published ports. The first
 * connection makes it the keeper again; connections wait at the socket meanwhile, and are not
 * refused. It does not hold the guest's folder: whoever wants to start, copy or delete the guest
 * does so as with any suspended guest, and asks by wait.sock for the sockets ('T', which are passed
 * on), or for an end ('L'). If this process is killed, the ports are no longer served, and nothing
 * is lost. */
#include "life/internal.h"
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/signalfd.h>

enum {
	RETRY_MS = 50,
	ANSWER_S = 3,
	TEXT = LIFE_SOCKETS_MAX * sizeof(((struct life_socket *)0)->name),
};

void held_close(struct held *h)
{
	while (h->n)
		close(h->s[--h->n].fd);
}

void held_refuse(struct held *h)
{
	char buf[64];
	for (size_t i = 0; i < h->n; i++) {
		for (int fd; (fd = accept4(h->s[i].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
			close(fd);
		while (recv(h->s[i].fd, buf, sizeof buf, MSG_DONTWAIT) >= 0)
			;
	}
}

/* ---- from one process to another: names in lines, descriptors beside them ---- */

static bool held_send(int sock, const struct held *h)
{
	char text[TEXT] = "";
	union {
		struct cmsghdr head;
		char buf[CMSG_SPACE(sizeof(int) * LIFE_SOCKETS_MAX)];
	} c = { 0 };
	size_t len = 0;
	for (size_t i = 0; i < h->n; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", h->s[i].name);
	struct iovec v = { text, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf,
		.msg_controllen = CMSG_SPACE(sizeof(int) * h->n) };
	struct cmsghdr *p = CMSG_FIRSTHDR(&m);
	p->cmsg_level = SOL_SOCKET;
	p->cmsg_type = SCM_RIGHTS;
	p->cmsg_len = CMSG_LEN(sizeof(int) * h->n);
	for (size_t i = 0; i < h->n; i++)
		memcpy(CMSG_DATA(p) + i * sizeof(int), &h->s[i].fd, sizeof(int));
	return sendmsg(sock, &m, MSG_NOSIGNAL) == (ssize_t)len;
}

static void held_receive(int sock, struct held *h)
{
	char text[TEXT + 1], *rest = NULL;
	union {
		struct cmsghdr head;
		char buf[CMSG_SPACE(sizeof(int) * LIFE_SOCKETS_MAX)];
	} c = { 0 };
	struct iovec v = { text, TEXT };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf,
		.msg_controllen = sizeof c.buf };
	ssize_t len = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *p = len > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!p || p->cmsg_level != SOL_SOCKET || p->cmsg_type != SCM_RIGHTS)
		return;
	text[len] = 0;
	size_t n = (p->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	char *name = strtok_r(text, "\n", &rest);
	for (size_t i = 0; i < n; i++) {
		struct life_socket *s = &h->s[h->n];
		memcpy(&s->fd, CMSG_DATA(p) + i * sizeof(int), sizeof(int));
		if (name && h->n < LIFE_SOCKETS_MAX && strlen(name) < sizeof s->name) {
			strcpy(s->name, name);
			h->n++;
		} else {
			close(s->fd);
		}
		name = name ? strtok_r(NULL, "\n", &rest) : NULL;
	}
}

/* Say @word to whoever waits for @i. -1: nobody does. */
static int waiter_tell(const struct instance *i, char word)
{
	struct timeval patience = { .tv_sec = ANSWER_S };
	autoclose int fd = control_connect(i, "wait.sock", NULL);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
	    send(fd, &word, 1, MSG_NOSIGNAL) != 1)
		return -1;
	return take_fd(&fd);
}

void held_take(struct held *h, const struct instance *i)
{
	if (h->n)
		return; /* we are who waited */
	autoclose int fd = waiter_tell(i, 'T');
	if (fd >= 0)
		held_receive(fd, h);
}

void waiter_dismiss(const struct instance *i)
{
	char end;
	autoclose int fd = waiter_tell(i, 'L');
	if (fd < 0)
		return;
	(void)!recv(fd, &end, 1, 0); /* it closes when the ports are free */
	runtime_remove(i);
}

/* ---- waiting ---- */

struct waiter {
	struct instance *inst; /* borrowed */
	struct held *held;     /* borrowed */
	int sock, signals;     /* owned */
};

/* Somebody of this user wants what we hold. True: we are done. */
static bool waiter_asked(struct waiter *w)
{
	struct timeval patience = { .tv_sec = ANSWER_S };
	char word = 0;
	autoclose int fd = accept4(w->sock, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
	    recv(fd, &word, 1, 0) != 1 || (word != 'T' && word != 'L'))
		return false;
	if (word == 'T' && w->held->n && !held_send(fd, w->held))
		return false;
	held_close(w->held); /* before the answer, which is that fd is closed */
	return true;
}

enum woken { WOKEN_AGAIN, WOKEN_GUEST, WOKEN_END };

/* There is a connection: is the guest still ours to start? */
static enum woken waiter_woken(struct waiter *w)
{
	struct life_record rec;
	int r = instance_lock(w->inst, NULL);
	if (r < 0)
		return r == -EBUSY ? WOKEN_AGAIN : WOKEN_END;
	instance_record(w->inst, &rec);
	return rec.state == LIFE_SUSPENDED && rec.idle ? WOKEN_GUEST : WOKEN_END;
}

static enum woken waiter_wait(struct waiter *w, size_t *ret_which)
{
	struct pollfd p[LIFE_SOCKETS_MAX + 2];
	size_t n = w->held->n;
	bool busy = false; /* somebody has the folder: who connects waits for that */
	for (;;) {
		for (size_t i = 0; i < n; i++)
			p[i] = (struct pollfd){ .fd = busy ? -1 : w->held->s[i].fd,
				.events = POLLIN };
		p[n] = (struct pollfd){ .fd = w->sock, .events = POLLIN };
		p[n + 1] = (struct pollfd){ .fd = w->signals, .events = POLLIN };
		if (poll(p, (nfds_t)n + 2, busy ? RETRY_MS : -1) < 0 && errno != EINTR)
			return WOKEN_END;
		if (p[n + 1].revents || (p[n].revents && waiter_asked(w)))
			return WOKEN_END;
		busy = false;
		for (size_t i = 0; i < n; i++) {
			if (!p[i].revents)
				continue;
			*ret_which = i;
			enum woken k = waiter_woken(w);
			if (k != WOKEN_AGAIN)
				return k;
			busy = true;
			break;
		}
	}
}

static int waiter_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool waiter_run(struct instance *i, struct held *h, struct log *log, size_t *ret_which)
{
	struct lodge_err e;
	struct waiter w = { .inst = i, .held = h, .sock = -1, .signals = -1 };
	enum woken k = WOKEN_END;
	int r = h->n ? home_make_private(i->runtime, &e) : -ENOENT;
	if (r == 0)
		w.sock = r = socket_listen(i->runtime, "wait.sock", &e);
	if (r >= 0)
		w.signals = r = waiter_signals();
	if (r < 0 && h->n)
		log_at(log, LOG_WARN, "nobody waits for connections to it: %s", e.msg);
	(void)malloc_trim(0);
	/* From here on the guest is suspended like others. */
	close(take_fd(&i->lock));
	if (r >= 0)
		k = waiter_wait(&w, ret_which);
	if (k != WOKEN_GUEST)
		held_close(h);
	/* Not when somebody else has the folder: it has sockets of its own there. */
	if (w.sock >= 0 && (i->lock >= 0 || instance_lock(i, NULL) == 0))
		runtime_remove(i);
	if (k != WOKEN_GUEST && i->lock >= 0)
		close(take_fd(&i->lock));
	if (w.sock >= 0)
		close(w.sock);
	if (w.signals >= 0)
		close(w.signals);
	return k == WOKEN_GUEST;
}
