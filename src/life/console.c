/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's console: everything it prints goes to console.log, and every client reads that file
 * at its own pace from its own position. So a slow client loses nothing, holds up nobody and
 * costs no memory. Positions count bytes since the first run; when the file, with its times
 * (stamps.c), takes half of what both may, it becomes console.log.1, the one before is dropped, and
 * who is still further behind misses bytes. Only when the log cannot be written
 * (full disk) do clients get bytes directly. All on the loop thread but for console_wake. */
#include "life/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { LOG_MAX = 16 << 20, CHUNK = 4096, ROUNDS = 64, CLIENTS_MAX = 16, INPUT = 1024 };

struct client {
	struct client *next;
	struct console *con;
	struct loop_watch *watch;
	int sock;
	uint64_t pos;
	uint8_t in[INPUT]; /* read from the socket, not yet taken by the guest */
	size_t in_len;
	void (*closed)(void *arg);
	void *arg;
};

struct console {
	int dirfd;       /* borrowed */
	int now, before; /* console.log, console.log.1 or -1; owned */
	uint64_t base, before_base, end;
	struct stamps stamps;
	uint64_t max; /* bytes of both files and their times */
	uint64_t typed; /* bytes that clients sent */
	struct loop *loop;
	struct log *log;
	struct chr *chr; /* borrowed; NULL: none yet, or gone */
	struct client *clients;
	unsigned nclients;
	bool waking; /* console_pump is posted; atomic */
	bool ending, warned;
};

static uint64_t fd_size(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

int console_new(struct console **ret, int dirfd, struct loop *l, struct log *log,
		struct lodge_err *e)
{
	struct console *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ENOMEM, "out of memory");
	c->dirfd = dirfd;
	c->max = LOG_MAX;
	c->stamps.fd = -1;
	c->loop = l;
	c->log = log;
	c->now = openat(dirfd, "console.log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
			0600);
	c->before = openat(dirfd, "console.log.1", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (c->now < 0) {
		int r = err_sys(e, "console.log");
		console_free(c);
		return r;
	}
	c->base = fd_size(c->before);
	stamps_open(&c->stamps, dirfd, c->now, &c->base);
	c->before_base = c->base - min_u64(c->base, fd_size(c->before));
	c->end = c->base + fd_size(c->now);
	*ret = c;
	return 0;
}

/* ---- clients ---- */

static void client_drop(struct client *k)
{
	struct console *c = k->con;
	for (struct client **p = &c->clients; *p; p = &(*p)->next)
		if (*p == k) {
			*p = k->next;
			break;
		}
	c->nclients--;
	loop_watch_free(k->watch);
	k->closed(k->arg);
	free(k);
}

/* Bytes of the log at @pos; 0: none there (any more). */
static size_t log_read(struct console *c, uint64_t *pos, void *buf, size_t cap)
{
	if (*pos < c->before_base)
		*pos = c->before_base;
	if (*pos < c->base) {
		uint64_t left = c->base - *pos;
		ssize_t n =
		    pread(c->before, buf, min_u64(cap, left), (off_t)(*pos - c->before_base));
		if (n > 0)
			return (size_t)n;
		*pos = c->base; /* someone cut the file */
	}
	uint64_t left = c->end - *pos;
	ssize_t n = left ? pread(c->now, buf, min_u64(cap, left), (off_t)(*pos - c->base)) : 0;
	if (n <= 0)
		*pos = c->end;
	return n > 0 ? (size_t)n : 0;
}

/* Send what is new for @k. False: it is gone. */
static bool client_send(struct client *k)
{
	uint8_t buf[CHUNK];
	size_t n;
	for (int i = 0; i < ROUNDS && (n = log_read(k->con, &k->pos, buf, sizeof buf)); i++) {
		ssize_t s = send(k->sock, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (s < 0)
			return errno == EAGAIN || errno == EINTR;
		k->pos += (uint64_t)s;
		if ((size_t)s < n)
			break;
	}
	return true;
}

static bool client_receive(struct client *k)
{
	if (k->in_len)
		return true;
	ssize_t n = recv(k->sock, k->in, sizeof k->in, MSG_DONTWAIT);
	if (n > 0)
		k->in_len = (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void client_feed(struct client *k)
{
	if (!k->in_len || !k->con->chr)
		return;
	size_t n = chr_host_write(k->con->chr, k->in, k->in_len);
	k->con->typed += n;
	memmove(k->in, k->in + n, k->in_len - n);
	k->in_len -= n;
}

/* Do all that can be done for @k now, and wait for what cannot. */
static void client_serve(struct client *k)
{
	client_feed(k);
	if (!client_send(k) || (k->con->ending && k->pos == k->con->end)) {
		client_drop(k);
		return;
	}
	uint32_t want =
	    (k->in_len ? 0u : (uint32_t)EPOLLIN) | (k->pos < k->con->end ? (uint32_t)EPOLLOUT : 0u);
	if (loop_watch_change(k->watch, want) < 0)
		client_drop(k);
}

static void client_event(void *arg, uint32_t events)
{
	struct client *k = arg;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !client_receive(k)) {
		client_drop(k);
		return;
	}
	if ((events & (EPOLLHUP | EPOLLERR)) && k->in_len) {
		client_drop(k); /* gone, and its last words do not fit */
		return;
	}
	client_serve(k);
}

static void console_serve_all(struct console *c)
{
	for (struct client *k = c->clients, *next; k; k = next) {
		next = k->next;
		client_serve(k);
	}
}

int console_join(struct console *c, int sock, uint64_t replay, const void *early, size_t early_len,
		 void (*closed)(void *arg), void *arg, struct lodge_err *e)
{
	if (c->nclients == CLIENTS_MAX || early_len > INPUT)
		return err_set(e, EBUSY, "%d clients are attached already", CLIENTS_MAX);
	struct client *k = calloc(1, sizeof *k);
	if (!k)
		return err_set(e, ENOMEM, "out of memory");
	*k = (struct client){.con = c, .sock = sock, .closed = closed, .arg = arg};
	k->pos = c->end - min_u64(replay, c->end - c->before_base);
	if (early_len)
		memcpy(k->in, early, early_len);
	k->in_len = early_len;
	int r =
	    loop_watch_new(&k->watch, c->loop, sock, EPOLLIN | EPOLLOUT, NULL, client_event, k, e);
	if (r < 0) {
		free(k);
		return r;
	}
	k->next = c->clients;
	c->clients = k;
	c->nclients++;
	return 0;
}

/* ---- what the guest prints ---- */

static void log_rotate(struct console *c)
{
	/* first: who finds a new log finds no times of the old one in their place */
	stamps_rotate(&c->stamps, c->dirfd);
	if (renameat(c->dirfd, "console.log", c->dirfd, "console.log.1") < 0)
		return;
	int fd = openat(c->dirfd, "console.log",
			O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return; /* go on in the old file, under its new name */
	if (c->before >= 0)
		close(c->before);
	c->before = c->now;
	c->before_base = c->base;
	c->base = c->end;
	c->now = fd;
	stamps_close(&c->stamps);
	stamps_open(&c->stamps, c->dirfd, fd, &c->base);
}

static void console_direct(struct console *c, const uint8_t *p, size_t n)
{
	/* A client's failure shows when it is served next. */
	for (struct client *k = c->clients; k; k = k->next)
		if (k->pos == c->end && send(k->sock, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			continue;
}

static void console_append(struct console *c, const uint8_t *p, size_t n)
{
	if (c->end - c->base + c->stamps.size >= c->max / 2)
		log_rotate(c);
	stamps_add(&c->stamps, c->end - c->base, host_realtime_ns());
	while (n) {
		ssize_t w = write(c->now, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			if (!c->warned)
				log_at(c->log, LOG_WARN, "console.log: %s", strerror(errno));
			c->warned = true;
			console_direct(c, p, n);
			return;
		}
		c->end += (uint64_t)w;
		p += w;
		n -= (size_t)w;
	}
}

static void console_pump(void *arg);

/* Any thread: the guest printed, or made room for input. */
static void console_wake(void *arg)
{
	struct console *c = arg;
	if (!__atomic_exchange_n(&c->waking, true, __ATOMIC_ACQ_REL) &&
	    loop_post(c->loop, NULL, console_pump, c) < 0)
		__atomic_store_n(&c->waking, false, __ATOMIC_RELEASE);
}

static void console_pump(void *arg)
{
	struct console *c = arg;
	uint8_t buf[CHUNK];
	size_t n = 0;
	__atomic_store_n(&c->waking, false, __ATOMIC_RELEASE);
	for (int i = 0; c->chr && i < ROUNDS && (n = chr_host_read(c->chr, buf, sizeof buf)); i++)
		console_append(c, buf, n);
	if (n)
		console_wake(c);
	console_serve_all(c);
}

void console_limit(struct console *c, uint64_t bytes) { c->max = bytes ? bytes : LOG_MAX; }
uint64_t console_dropped(const struct console *c) { return c->before_base; }

void console_connect(struct console *c, struct chr *chr)
{
	uint8_t buf[CHUNK];
	size_t n;
	if (c->chr) {
		chr_on_host(c->chr, NULL, NULL);
		while ((n = chr_host_read(c->chr, buf, sizeof buf)))
			console_append(c, buf, n);
	}
	c->chr = chr;
	if (chr) {
		chr_on_host(chr, console_wake, c);
		console_wake(c);
	}
}

void console_end(struct console *c)
{
	c->ending = true;
	console_serve_all(c);
}

bool console_idle(const struct console *c) { return !c->clients; }
uint64_t console_traffic(const struct console *c) { return c->end + c->typed; }

void console_free(struct console *c)
{
	if (!c)
		return;
	if (c->chr)
		chr_on_host(c->chr, NULL, NULL);
	while (c->clients)
		client_drop(c->clients);
	loop_cancel(c->loop, c);
	stamps_close(&c->stamps);
	if (c->now >= 0)
		close(c->now);
	if (c->before >= 0)
		close(c->before);
	free(c);
}
