/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes of messages: each is one packet of a pair of sockets. One that the reader has no room for
 * stays at his end until he has read the rest of it. DEVIATES: a message has at most what the host
 * lets a packet have (net.core.wmem_max, some 200 KiB). */
#include "win/pipe.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Under the end's lock: the next message becomes its rest. 0, -EPIPE, -EAGAIN, ... */
static int rest_fetch(struct pipe_end *e, int fd)
{
	char control[CMSG_SPACE(64)];
	ssize_t n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	uint8_t *to = realloc(e->rest, (size_t)n + 1);
	if (!to)
		return -ENOMEM;
	e->rest = to;
	struct iovec v = {to, (size_t)n + 1};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0 && m.msg_controllen == 0) /* each packet comes with who has sent it */
		return -EPIPE;
	e->rest_at = 0;
	e->rest_n = (uint32_t)n;
	e->has_rest = true;
	return 0;
}

static uint32_t rest_take(struct pipe_end *e, uint8_t *buf, uint32_t n)
{
	uint32_t there = e->rest_n - e->rest_at, take = there < n ? there : n;
	if (take)
		memcpy(buf, e->rest + e->rest_at, take);
	e->rest_at += take;
	e->has_rest = e->rest_at < e->rest_n;
	return take;
}

/* Under the lock. */
static int64_t rest_read(struct pipe_end *e, int fd, uint8_t *buf, uint32_t n, bool *ret_more)
{
	uint32_t done = 0;
	do {
		int r = e->has_rest ? 0 : rest_fetch(e, fd);
		if (r < 0)
			return done ? (int64_t)done : r;
		done += rest_take(e, buf + done, n - done);
	} while (!e->by_message && done < n);
	*ret_more = e->by_message && e->has_rest;
	return done;
}

int64_t message_read_now(const struct file *f, void *buf, uint32_t n, bool *ret_more)
{
	struct pipe_end *e = f->end;
	*ret_more = false;
	pthread_mutex_lock(&e->reading);
	int64_t r = rest_read(e, f->fd, buf, n, ret_more);
	pthread_mutex_unlock(&e->reading);
	return r;
}

int64_t message_write_now(const struct file *f, const void *buf, uint32_t n)
{
	ssize_t r = send(f->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	int e = errno == ECONNRESET ? EPIPE : errno == EMSGSIZE ? ENOMEM : errno;
	return r < 0 ? -e : r;
}

static void ready_wait(int fd, short events)
{
	struct thread *t = thread_self();
	struct pollfd p = {.fd = fd, .events = events};
	atomic_store(&t->blocked, 1);
	(void)!poll(&p, 1, -1);
	atomic_store(&t->blocked, 0);
}

int64_t message_read(const struct file *f, void *buf, uint32_t n, bool *ret_more)
{
	for (;;) {
		int64_t r = message_read_now(f, buf, n, ret_more);
		if (r != -EAGAIN && r != -EINTR)
			return r;
		ready_wait(f->fd, POLLIN);
	}
}

int64_t message_write(const struct file *f, const void *buf, uint32_t n)
{
	for (;;) {
		int64_t r = message_write_now(f, buf, n);
		if (r != -EAGAIN && r != -EINTR)
			return r;
		ready_wait(f->fd, POLLOUT);
	}
}

uint32_t message_peek(const struct file *f, void *buf, uint32_t n, struct peeked *ret)
{
	int more = 0;
	struct pipe_end *e = f->end;
	pthread_mutex_lock(&e->reading);
	int r = e->has_rest ? 0 : rest_fetch(e, f->fd);
	(void)!ioctl(f->fd, FIONREAD, &more);
	if (r == 0) {
		uint32_t there = e->rest_n - e->rest_at;
		ret->got = buf ? there < n ? there : n : 0;
		if (ret->got)
			memcpy(buf, e->rest + e->rest_at, ret->got);
		ret->there = there + (uint32_t)more;
		ret->left = there - ret->got;
	}
	pthread_mutex_unlock(&e->reading);
	return r == -EPIPE ? ERROR_BROKEN_PIPE : 0;
}

/* ---- a question and its answer ---- */

extern WINAPI uint32_t k32_ReadFile(handle h, void *buf, uint32_t n, uint32_t *ret_n,
				    struct overlapped *o);
extern WINAPI uint32_t k32_WaitNamedPipeA(const char *path, uint32_t ms);
extern WINAPI uint32_t k32_CloseHandle(handle h);

static uint32_t question_ask(struct file *f, const void *in, uint32_t n)
{
	struct peeked p = {0};
	if (!pipe_has_messages(f) || !f->end->by_message)
		return ERROR_BAD_PIPE;
	uint32_t bad = pipe_listens(f);
	if (!bad)
		bad = message_peek(f, NULL, 0, &p);
	if (!bad && f->end->has_rest)
		bad = ERROR_PIPE_BUSY; /* what is there is no answer to this */
	int64_t r = bad ? 0 : message_write(f, in, n);
	return bad ? bad : r < 0 ? error_of((int)-r) : 0;
}

API(uint32_t, k32_TransactNamedPipe, handle h, const void *in, uint32_t n, void *out,
    uint32_t out_n, uint32_t *ret_n, struct overlapped *o)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	uint32_t bad = f->pipe ? question_ask(f, in, n) : ERROR_INVALID_FUNCTION;
	object_unref(&f->o);
	return bad ? fail(bad) : k32_ReadFile(h, out, out_n, ret_n, o);
}

API(uint32_t, k32_CallNamedPipeA, const char *path, const void *in, uint32_t n, void *out,
    uint32_t out_n, uint32_t *ret_n, uint32_t ms)
{
	handle h;
	const char *name = pipe_path(path);
	if (!name)
		return fail(ERROR_FILE_NOT_FOUND);
	while ((h = pipe_open(name, GENERIC_READ | GENERIC_WRITE, 0, false)) == HANDLE_BAD)
		if (last_error() != ERROR_PIPE_BUSY || ms == 1 /* do not wait */ ||
		    !k32_WaitNamedPipeA(path, ms))
			return 0;
	struct file *f = object_get(h, KIND_FILE);
	if (f && f->end)
		f->end->by_message = f->end->messages;
	object_unref(f ? &f->o : NULL);
	uint32_t ok = k32_TransactNamedPipe(h, in, n, out, out_n, ret_n, NULL),
		 error = last_error();
	k32_CloseHandle(h);
	last_error_set(error);
	return ok;
}

API(uint32_t, k32_CallNamedPipeW, const wide *path, const void *in, uint32_t n, void *out,
    uint32_t out_n, uint32_t *ret_n, uint32_t ms)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return k32_CallNamedPipeA(p ? p : "", in, n, out, out_n, ret_n, ms);
}
