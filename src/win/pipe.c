/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes. One with a name is a pair of sockets, whose second one waits for a client; names are of
 * this process and, as handles, of those that inherit from it. Those of messages are packets, which
 * pipe_message.c reads and writes. */
#include "win/pipe.h"
#include "win/async.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct security {
	uint32_t len, pad;
	void *descriptor;
	uint32_t inherit;
};
enum {
	PIPE_DUPLEX = 3,
	PIPE_NAME_MAX = 256,
	PIPE_INSTANCES_MAX = 255,
	PIPE_USUAL = 4096
};
struct pipe_name {
	char *text; /* owned */
	uint32_t most, n;
	struct pipe_end *ends;
	struct pipe_name *next;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* an end was connected, or can be */
	struct pipe_name *all;
} pipes = {.lock = PTHREAD_MUTEX_INITIALIZER};

const char *pipe_path(const char *path)
{
	static const char *const before[] = {"\\\\.\\pipe\\", "\\\\?\\pipe\\", "//./pipe/",
					     "//?/pipe/", "\\??\\pipe\\"};
	if (*path != '\\' && *path != '/') /* most */
		return NULL;
	for (size_t i = 0; i < countof(before); i++)
		if (!strncasecmp(path, before[i], strlen(before[i])))
			return path + strlen(before[i]);
	return NULL;
}

/* Under the lock. */
static struct pipe_name *name_find(const char *text)
{
	struct pipe_name *n = pipes.all;
	while (n && strcasecmp(n->text, text) != 0)
		n = n->next;
	return n;
}

static struct pipe_name *name_new(const char *text, uint32_t most)
{
	struct pipe_name *n = calloc(1, sizeof *n);
	if (!n || !(n->text = strdup(text))) {
		free(n);
		return NULL;
	}
	n->most = most;
	n->next = pipes.all;
	pipes.all = n;
	return n;
}

/* Under the lock: the end leaves its name, which goes with its last one. */
static void end_leave(struct pipe_end *e)
{
	struct pipe_name *n = e->name;
	for (struct pipe_end **p = &n->ends; *p; p = &(*p)->next)
		if (*p == e) {
			*p = e->next;
			break;
		}
	e->name = NULL;
	if (--n->n)
		return;
	for (struct pipe_name **p = &pipes.all; *p; p = &(*p)->next)
		if (*p == n) {
			*p = n->next;
			break;
		}
	free(n->text);
	free(n);
}

void pipe_end_close(struct pipe_end *e)
{
	pthread_mutex_lock(&pipes.lock);
	if (e && e->name)
		end_leave(e);
	pthread_mutex_unlock(&pipes.lock);
}

void pipe_end_free(struct pipe_end *e)
{
	if (!e)
		return;
	pipe_end_close(e);
	if (e->other >= 0)
		close(e->other);
	free(e->rest);
	free(e);
}

void pipe_end_inherit(struct pipe_end *e)
{
	if (!e)
		return;
	e->name = NULL;
	e->other = -1; /* the parent's */
	pthread_mutex_init(&e->reading, NULL);
}

/* ---- the server's side ---- */

static uint32_t pipe_access(uint32_t mode)
{
	return (mode & 1 ? GENERIC_READ : 0) | (mode & 2 ? GENERIC_WRITE : 0);
}

/* A file with the end @e, which it takes over, as it does @fd; 0: no memory. */
static handle end_handle(int fd, uint32_t access, uint32_t flags, struct pipe_end *e, bool inherit)
{
	handle h = file_handle(fd, access, NULL, inherit);
	struct file *f = h ? object_get(h, KIND_FILE) : NULL;
	if (!f) {
		pipe_end_free(e);
		return 0;
	}
	f->pipe = true;
	f->overlapped = flags & FILE_FLAG_OVERLAPPED;
	f->end = e;
	e->f = f;
	object_unref(&f->o);
	return h;
}

/* Under the lock: an end more of the pipe @text, or an error. */
static uint32_t end_add(struct pipe_end *e, const char *text, uint32_t mode, uint32_t most)
{
	struct pipe_name *n = name_find(text);
	if (n && mode & PIPE_FIRST)
		return ERROR_ACCESS_DENIED;
	if (n && n->n >= n->most)
		return ERROR_PIPE_BUSY;
	if (!n && !(n = name_new(text, most)))
		return ERROR_NOT_ENOUGH_MEMORY;
	e->name = n;
	e->next = n->ends;
	n->ends = e;
	n->n++;
	return 0;
}

static handle pipe_bad(uint32_t error)
{
	last_error_set(error);
	return HANDLE_BAD;
}

static struct pipe_end *end_new(bool messages)
{
	struct pipe_end *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	pthread_mutex_init(&e->reading, NULL);
	e->messages = messages;
	e->other = -1;
	return e;
}

/* Both ends, the server's first. */
static int pair_make(const struct pipe_end *e, int sv[2])
{
	static const int yes = 1;
	int type = e->messages ? SOCK_SEQPACKET : SOCK_STREAM;
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	/* by what comes with it, one of no bytes is told from none */
	for (int i = 0; e->messages && i < 2; i++)
		(void)!setsockopt(sv[i], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
	return 0;
}

handle pipe_make(const char *name, const struct pipe_wish *w)
{
	int sv[2];
	char none[PIPE_NAME_MAX];
	static WIN_STATE _Atomic(uint32_t) made;
	if (!name) /* one that no path can name */
		snprintf(none, sizeof none, "\\%u", made++);
	struct pipe_end *e = end_new(w->kind & PIPE_TYPE_MESSAGE);
	if (!e || pair_make(e, sv) < 0) {
		free(e);
		return pipe_bad(ERROR_NO_SYSTEM_RESOURCES);
	}
	e->by_message = w->kind & PIPE_READ_MESSAGE;
	e->most_out = w->out;
	e->most_in = w->in;
	e->other = sv[1];
	e->server = process()->pid;
	pthread_mutex_lock(&pipes.lock);
	uint32_t bad = end_add(e, name ? name : none, w->mode, w->most);
	pthread_mutex_unlock(&pipes.lock);
	if (bad) {
		close(sv[0]);
		pipe_end_free(e);
		return pipe_bad(bad);
	}
	handle h = end_handle(sv[0], pipe_access(w->mode), w->mode, e, w->inherit);
	struct file *f = h && w->kind & PIPE_NOWAIT ? object_get(h, KIND_FILE) : NULL;
	if (f)
		f->nowait = true;
	object_unref(f ? &f->o : NULL);
	pthread_cond_broadcast(&pipes.changed);
	return h ? h : HANDLE_BAD;
}

char *pipe_name_of(const struct file *f)
{
	pthread_mutex_lock(&pipes.lock);
	char *name = f->end->name ? strdup(f->end->name->text) : NULL;
	pthread_mutex_unlock(&pipes.lock);
	return name;
}

API(handle, k32_CreateNamedPipeA, const char *path, uint32_t mode, uint32_t kind, uint32_t most,
    uint32_t out, uint32_t in, uint32_t timeout_ms, const struct security *sec)
{
	const char *name = pipe_path(path);
	const struct pipe_wish w = {mode, kind, most, out, in, sec && sec->inherit};
	(void)timeout_ms;
	if (!name || !*name || *name == '\\' || strlen(name) > PIPE_NAME_MAX)
		return pipe_bad(ERROR_INVALID_NAME);
	if (!(mode & PIPE_DUPLEX) || !most || most > PIPE_INSTANCES_MAX)
		return pipe_bad(ERROR_INVALID_PARAMETER);
	if ((kind & (PIPE_TYPE_MESSAGE | PIPE_READ_MESSAGE)) == PIPE_READ_MESSAGE)
		return pipe_bad(ERROR_INVALID_PARAMETER);
	return pipe_make(name, &w);
}

API(handle, k32_CreateNamedPipeW, const wide *path, uint32_t mode, uint32_t kind, uint32_t most,
    uint32_t out, uint32_t in, uint32_t timeout_ms, const struct security *sec)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return k32_CreateNamedPipeA(p ? p : "", mode, kind, most, out, in, timeout_ms, sec);
}

/* After DisconnectNamedPipe: a new pair, the first one of which takes the place of the old. */
static uint32_t end_renew(struct pipe_end *e)
{
	int sv[2];
	if (e->other >= 0)
		return 0;
	if (pair_make(e, sv) < 0)
		return ERROR_NO_SYSTEM_RESOURCES;
	pthread_mutex_lock(&e->reading); /* somebody may read what the last client has left */
	e->rest_at = e->rest_n = 0;
	e->has_rest = false;
	int r = dup3(sv[0], e->f->fd, O_CLOEXEC);
	pthread_mutex_unlock(&e->reading);
	close(sv[0]);
	e->other = r < 0 ? -1 : sv[1];
	if (r < 0)
		close(sv[1]);
	pthread_cond_broadcast(&pipes.changed);
	return r < 0 ? ERROR_NO_SYSTEM_RESOURCES : 0;
}

/* Under the lock; 0: it is connected. */
static uint32_t connect_wait(struct file *f, struct overlapped *o)
{
	struct pipe_end *e = f->end;
	if (e->connected)
		return ERROR_PIPE_CONNECTED;
	uint32_t bad = end_renew(e);
	if (bad)
		return bad;
	if (f->nowait) /* PIPE_NOWAIT: who comes finds it */
		return ERROR_PIPE_LISTENING;
	if (o && f->overlapped) {
		struct pending *p = pending_new(sizeof *p, f, o);
		return p && async_start(p) == 0 ? ERROR_IO_PENDING : ERROR_NOT_ENOUGH_MEMORY;
	}
	struct thread *t = thread_self();
	while (!e->connected) {
		atomic_store(&t->blocked, 1);
		pthread_cond_wait(&pipes.changed, &pipes.lock);
		atomic_store(&t->blocked, 0);
	}
	return 0;
}

struct file *pipe_end_get(handle h, bool server)
{
	struct file *f = object_get(h, KIND_FILE);
	if (f && f->end && (!server || f->end->name))
		return f;
	object_unref(f ? &f->o : NULL);
	if (f)
		last_error_set(ERROR_INVALID_FUNCTION);
	return NULL;
}

API(uint32_t, k32_ConnectNamedPipe, handle h, struct overlapped *o)
{
	struct file *f = pipe_end_get(h, true);
	if (!f)
		return 0;
	pthread_mutex_lock(&pipes.lock);
	uint32_t bad = connect_wait(f, o);
	pthread_mutex_unlock(&pipes.lock);
	object_unref(&f->o);
	return bad ? fail(bad) : 1;
}

API(uint32_t, k32_DisconnectNamedPipe, handle h)
{
	struct file *f = pipe_end_get(h, true);
	if (!f)
		return 0;
	async_cancel(f, NULL, NULL);
	pthread_mutex_lock(&pipes.lock);
	bool was = f->end->connected;
	f->end->connected = false;
	pthread_mutex_unlock(&pipes.lock);
	shutdown(f->fd, SHUT_RDWR);
	object_unref(&f->o);
	return was ? 1 : fail(ERROR_PIPE_LISTENING);
}

/* ---- the client's side ---- */

/* Under the lock. */
static struct pipe_end *end_free_of(const struct pipe_name *n)
{
	struct pipe_end *e = n->ends;
	while (e && (e->connected || e->other < 0))
		e = e->next;
	return e;
}

handle pipe_open(const char *text, uint32_t access, uint32_t flags, bool inherit)
{
	struct pipe_end *own = end_new(false);
	struct file *server = NULL;
	int fd = -1;
	if (!own)
		return pipe_bad(ERROR_NOT_ENOUGH_MEMORY);
	pthread_mutex_lock(&pipes.lock);
	const struct pipe_name *n = name_find(text);
	struct pipe_end *e = n ? end_free_of(n) : NULL;
	if (e) {
		fd = e->other;
		e->other = -1;
		e->connected = true;
		e->client = process()->pid;
		own->connected = true;
		own->server = e->server;
		own->client = e->client;
		own->messages = e->messages;
		own->most_out = e->most_in;
		own->most_in = e->most_out;
		server = e->f;
		object_ref(&server->o);
		pthread_cond_broadcast(&pipes.changed);
	}
	pthread_mutex_unlock(&pipes.lock);
	if (!e) {
		free(own);
		return pipe_bad(n ? ERROR_PIPE_BUSY : ERROR_FILE_NOT_FOUND);
	}
	async_finish(server, 0);
	object_unref(&server->o);
	handle h = end_handle(fd, access, flags, own, inherit);
	return h ? h : HANDLE_BAD;
}

API(uint32_t, k32_WaitNamedPipeA, const char *path, uint32_t ms)
{
	const char *name = pipe_path(path);
	uint64_t until = deadline_of_ms(ms ? ms : 50); /* 0: what the server said, or the usual */
	if (!name)
		return fail(ERROR_INVALID_NAME);
	for (;;) {
		pthread_mutex_lock(&pipes.lock);
		const struct pipe_name *n = name_find(name);
		bool there = n != NULL, can = n && end_free_of(n);
		pthread_mutex_unlock(&pipes.lock);
		if (can)
			return 1;
		if (!there)
			return fail(ERROR_FILE_NOT_FOUND);
		if (host_monotonic_ns() >= until)
			return fail(ERROR_SEM_TIMEOUT);
		wait_for(NULL, 0, false, deadline_of_ms(5), false);
	}
}

API(uint32_t, k32_WaitNamedPipeW, const wide *path, uint32_t ms)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return k32_WaitNamedPipeA(p ? p : "", ms);
}

/* ---- what pipes are asked ---- */

static uint32_t pid_of(handle h, bool server, uint32_t *ret)
{
	struct file *f = pipe_end_get(h, false);
	if (!f)
		return 0;
	*ret = server ? f->end->server : f->end->client;
	object_unref(&f->o);
	return *ret ? 1 : fail(ERROR_NOT_FOUND);
}

API(uint32_t, k32_GetNamedPipeClientProcessId, handle h, uint32_t *ret)
{
	return pid_of(h, false, ret);
}
API(uint32_t, k32_GetNamedPipeServerProcessId, handle h, uint32_t *ret)
{
	return pid_of(h, true, ret);
}

API(uint32_t, k32_GetNamedPipeHandleStateA, handle h, uint32_t *ret_state, uint32_t *ret_n,
    uint32_t *most, uint32_t *timeout, char *user, uint32_t user_len)
{
	(void)most;
	(void)timeout;
	(void)user;
	(void)user_len;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t ok = f->pipe ? 1 : fail(ERROR_INVALID_FUNCTION);
	if (ok && ret_state)
		*ret_state =
		    (f->nowait ? PIPE_NOWAIT : 0) |
		    (f->end && f->end->by_message ? PIPE_READ_MESSAGE : 0);
	pthread_mutex_lock(&pipes.lock);
	if (ok && ret_n)
		*ret_n = f->end && f->end->name ? f->end->name->n : 1;
	pthread_mutex_unlock(&pipes.lock);
	object_unref(&f->o);
	return ok;
}

API(uint32_t, k32_CreatePipe, handle *ret_read, handle *ret_write, const struct security *sec,
    uint32_t size)
{
	int p[2];
	(void)size;
	bool inherit = sec && sec->inherit;
	if (pipe2(p, O_CLOEXEC) < 0)
		return fail_errno();
	*ret_read = file_handle(p[0], GENERIC_READ, NULL, inherit);
	*ret_write = file_handle(p[1], GENERIC_WRITE, NULL, inherit);
	return *ret_read && *ret_write;
}

/* Of bytes; 0 or an error. */
static uint32_t bytes_peek(const struct file *f, void *buf, uint32_t n, struct peeked *ret)
{
	int there = 0;
	ssize_t got = 0;
	struct pollfd p = {.fd = f->fd, .events = POLLIN};
	if (ioctl(f->fd, FIONREAD, &there) < 0)
		return ERROR_INVALID_FUNCTION;
	if (!there && poll(&p, 1, 0) > 0 && p.revents & POLLHUP)
		return ERROR_BROKEN_PIPE;
	/* of pipes that have no name the host tells only how much there is */
	if (buf && n && there && (got = recv(f->fd, buf, n, MSG_PEEK | MSG_DONTWAIT)) < 0)
		return ERROR_NOT_SUPPORTED;
	ret->got = (uint32_t)got;
	ret->there = (uint32_t)there;
	return 0;
}

uint32_t pipe_listens(const struct file *f)
{
	if (!f->end)
		return 0;
	pthread_mutex_lock(&pipes.lock);
	bool talks = !f->end->name || f->end->connected, waits = f->end->other >= 0;
	pthread_mutex_unlock(&pipes.lock);
	return talks ? 0 : waits ? ERROR_PIPE_LISTENING : ERROR_PIPE_NOT_CONNECTED;
}

API(uint32_t, k32_PeekNamedPipe, handle h, void *buf, uint32_t n, uint32_t *ret_n,
    uint32_t *ret_there, uint32_t *ret_left)
{
	struct peeked p = {0};
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t listens = pipe_listens(f);
	listens = listens == ERROR_PIPE_LISTENING ? ERROR_BAD_PIPE : listens;
	uint32_t bad = !f->pipe                        ? ERROR_INVALID_FUNCTION
		       : listens                       ? listens
		       : f->end && f->end->messages    ? message_peek(f, buf, n, &p)
						       : bytes_peek(f, buf, n, &p);
	object_unref(&f->o);
	if (bad)
		return fail(bad);
	if (ret_n)
		*ret_n = p.got;
	if (ret_there)
		*ret_there = p.there;
	if (ret_left)
		*ret_left = p.left;
	return 1;
}

API(uint32_t, k32_SetNamedPipeHandleState, handle h, const uint32_t *mode, const uint32_t *most,
    const uint32_t *wait)
{
	(void)most;
	(void)wait;
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t ok = f->pipe ? 1 : fail(ERROR_INVALID_FUNCTION);
	if (ok && mode && (*mode > (PIPE_NOWAIT | PIPE_READ_MESSAGE) ||
			   (*mode & PIPE_READ_MESSAGE && !(f->end && f->end->messages))))
		ok = fail(ERROR_INVALID_PARAMETER);
	if (ok && mode) {
		f->nowait = *mode & PIPE_NOWAIT;
		if (f->end)
			f->end->by_message = *mode & PIPE_READ_MESSAGE;
	}
	object_unref(&f->o);
	return ok;
}

API(uint32_t, k32_GetNamedPipeInfo, handle h, uint32_t *ret_flags, uint32_t *ret_out,
    uint32_t *ret_in, uint32_t *ret_most)
{
	struct file *f = object_get(h, KIND_FILE);
	const struct pipe_end *e = f ? f->end : NULL;
	if (!f)
		return 0;
	uint32_t ok = f->pipe ? 1 : fail(ERROR_INVALID_FUNCTION);
	pthread_mutex_lock(&pipes.lock);
	if (ok && ret_flags)
		*ret_flags = (e && e->name ? PIPE_SERVER : 0) |
			     (e && e->messages ? PIPE_TYPE_MESSAGE : 0);
	if (ok && ret_out)
		*ret_out = e ? e->most_out : PIPE_USUAL;
	if (ok && ret_in)
		*ret_in = e ? e->most_in : PIPE_USUAL;
	if (ok && ret_most)
		*ret_most = e && e->name ? e->name->most : e ? PIPE_INSTANCES_MAX : 1;
	pthread_mutex_unlock(&pipes.lock);
	object_unref(&f->o);
	return ok;
}

/* ---- waiting for something to read, which CancelSynchronousIo ends ---- */

int pipe_await(const struct file *f)
{
	int there = 0, r;
	struct thread *t = thread_self();
	if (!t->io_wake)
		t->io_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd p[] = {{.fd = f->fd, .events = POLLIN}, {.fd = t->io_wake, .events = POLLIN}};
	atomic_store(&t->blocked, 1);
	atomic_store(&t->io_waits, 1);
	while ((r = poll(p, 2, -1)) < 0 && errno == EINTR)
		continue;
	atomic_store(&t->io_waits, 0);
	atomic_store(&t->blocked, 0);
	eventfd_t n;
	if (p[1].revents) {
		(void)!eventfd_read(t->io_wake, &n);
		return -ECANCELED;
	}
	(void)!ioctl(f->fd, FIONREAD, &there);
	return there || !(p[0].revents & (POLLHUP | POLLERR)) ? 0 : -EPIPE;
}

API(uint32_t, k32_CancelSynchronousIo, handle h)
{
	struct object *o = object_get(h, KIND_THREAD);
	if (!o)
		return 0;
	threads_lock();
	struct thread *t = thread_of_object(o);
	bool waits = t && atomic_exchange(&t->io_waits, 0);
	if (waits)
		(void)!eventfd_write(t->io_wake, 1);
	threads_unlock();
	object_unref(o);
	return waits ? 1 : fail(ERROR_NOT_FOUND);
}

/* ---- at once or not at all ---- */

static int64_t stream_read_now(int fd, void *buf, size_t n)
{
	uint8_t one;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t r = n ? recv(fd, buf, n, MSG_DONTWAIT)
		      : recv(fd, &one, 1, MSG_DONTWAIT | MSG_PEEK);
	if (r < 0 && errno == ENOTSOCK) { /* without a name, and who else reads of it, waits */
		if (poll(&p, 1, 0) <= 0)
			return -EAGAIN;
		r = n ? read(fd, buf, n) : p.revents & POLLIN;
	}
	if (r < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return r == 0 ? -EPIPE : n ? r : 0;
}

/* What there is room for, or -EAGAIN. */
static int64_t stream_write_now(int fd, const void *buf, size_t n)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	ssize_t r = send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < 0 && errno == ENOTSOCK) {
		if (poll(&p, 1, 0) <= 0)
			return -EAGAIN;
		r = write(fd, buf, n < PIPE_BUF ? n : PIPE_BUF); /* so much goes at once */
	}
	return r < 0 ? -errno : r;
}

int64_t pipe_read_now(const struct file *f, void *buf, size_t n, bool *ret_more)
{
	*ret_more = false;
	int64_t r = pipe_has_messages(f) ? message_read_now(f, buf, (uint32_t)n, ret_more)
					 : stream_read_now(f->fd, buf, n);
	return r == -EAGAIN ? -ENODATA : r;
}

int64_t pipe_write_now(const struct file *f, const void *buf, size_t n)
{
	size_t done = 0;
	const uint8_t *from = buf;
	int64_t r = 0;
	if (pipe_has_messages(f)) {
		r = message_write_now(f, buf, (uint32_t)n);
		return r == -EAGAIN ? 0 : r;
	}
	while (done < n && (r = stream_write_now(f->fd, from + done, n - done)) > 0)
		done += (size_t)r;
	return done || r == -EAGAIN ? (int64_t)done : r;
}

/* ---- with an OVERLAPPED ---- */

struct transfer {
	struct pending p;
	uint8_t *buf; /* the guest's */
	uint32_t n, done;
};

static int64_t read_attempt(struct pending *p)
{
	struct transfer *t = (struct transfer *)(void *)p;
	return pipe_has_messages(p->f) ? message_read_now(p->f, t->buf, t->n, &p->more)
				       : stream_read_now(p->f->fd, t->buf, t->n);
}

static int64_t write_attempt(struct pending *p)
{
	struct transfer *t = (struct transfer *)(void *)p;
	if (pipe_has_messages(p->f))
		return message_write_now(p->f, t->buf, t->n);
	while (t->done < t->n) {
		int64_t r = stream_write_now(p->f->fd, t->buf + t->done, t->n - t->done);
		if (r < 0)
			return r;
		t->done += (uint32_t)r;
	}
	return t->done;
}

uint32_t pipe_overlapped(struct file *f, void *buf, uint32_t n, uint32_t *ret_n,
			 struct overlapped *o, bool write, uint64_t fn)
{
	struct transfer *t = pending_new(sizeof *t, f, o);
	if (!t)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	t->p.fn = fn;
	t->buf = buf;
	t->n = n;
	t->p.events = write ? EPOLLOUT : EPOLLIN;
	t->p.attempt = write ? write_attempt : read_attempt;
	int64_t r = t->p.attempt(&t->p);
	if (r == -EAGAIN && f->nowait)
		r = write ? (int64_t)t->done : -ENODATA;
	if (r == -EAGAIN && async_start(&t->p) < 0)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	if (r == -EAGAIN) {
		last_error_set(fn ? ERROR_SUCCESS : ERROR_IO_PENDING);
		return fn != 0;
	}
	bool more = t->p.more;
	if (r >= 0 && fn) { /* it is called all the same */
		t->p.result = r;
		pending_tell(&t->p);
		pending_free(&t->p);
		last_error_set(more ? ERROR_MORE_DATA : ERROR_SUCCESS);
		return 1;
	}
	pending_free(&t->p);
	if (r < 0)
		return fail(r == -EPIPE && !write ? ERROR_BROKEN_PIPE : error_of((int)-r));
	if (ret_n)
		*ret_n = (uint32_t)r;
	overlapped_end(f, o, more ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS, (uint64_t)r, true);
	return more ? fail(ERROR_MORE_DATA) : 1;
}
