/* SPDX-License-Identifier: Apache-2.0 */
/* What a console has shown: console.log.1, then console.log, which grows and may become
 * console.log.1; and the times of both (life/stamps.c). */
#include "lib/lib.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>

enum { CHUNK = 8192, OLD, NOW, PARTS };

/* One of the files. */
struct part {
	int fd;            /* owned; -1: it is not there */
	int stamps;        /* owned; -1: it has none */
	uint64_t at, end;  /* what is to be handed out */
	/* of the next line: */
	size_t stamp;      /* the first stamp that is not before it */
	uint64_t ns;       /* the time before that stamp; 0: unknown */
};

struct logs {
	struct lodge_guest *g;
	struct lodge_logs_query q;
	struct part parts[PARTS];
	bool fresh;        /* what comes next begins a line */
	bool over;         /* what comes is later than was asked for */
	int (*fn)(void *user, const void *data, size_t len);
	void *user;
};

static uint64_t part_size(const struct part *p)
{
	struct stat st;
	return p->fd >= 0 && fstat(p->fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

static void part_open(struct part *p, const struct instance *i, const char *name,
		      uint64_t *ret_position)
{
	*p = (struct part){.fd = openat(i->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW),
			   .stamps = -1};
	if (p->fd >= 0)
		p->stamps = life_stamps_find(i->dirfd, p->fd, ret_position);
	p->end = part_size(p);
}

static void part_close(struct part *p)
{
	auto_close(&p->fd);
	auto_close(&p->stamps);
	*p = (struct part){.fd = -1, .stamps = -1};
}

static bool parts_same(const struct part *a, const struct part *b)
{
	struct stat x, y;
	return a->fd >= 0 && b->fd >= 0 && fstat(a->fd, &x) == 0 && fstat(b->fd, &y) == 0 &&
	       x.st_ino == y.st_ino;
}

/* ---- which lines ---- */

/* The first place, from @from on, where a line begins; the end of the file: none does. */
static uint64_t line_begin(const struct part *p, uint64_t from)
{
	char buf[CHUNK];
	ssize_t n;
	if (from == 0)
		return 0;
	for (uint64_t at = from - 1; (n = pread(p->fd, buf, sizeof buf, (off_t)at)) > 0;
	     at += (uint64_t)n) {
		const char *end = memchr(buf, '\n', (size_t)n);
		if (end)
			return at + (uint64_t)(end - buf) + 1;
	}
	return p->end;
}

/* Where the first line begins that is later than @ns. */
static uint64_t later_than(const struct part *p, uint64_t ns)
{
	uint64_t off, when;
	for (size_t i = 0; life_stamp_at(p->stamps, i, &off, &when); i++)
		if (when > ns)
			return line_begin(p, off);
	return p->end;
}

/* Where the last *@tail lines before the end begin; *@tail becomes what is missing of them. */
static uint64_t tail_begin(const struct part *p, long *tail)
{
	char buf[CHUNK];
	for (uint64_t at = p->end; at > 0;) {
		uint64_t from = at > sizeof buf ? at - sizeof buf : 0;
		ssize_t n = pread(p->fd, buf, (size_t)(at - from), (off_t)from);
		for (ssize_t i = n; i-- > 0;)
			if (buf[i] == '\n' && from + (uint64_t)i + 1 < p->end && (*tail)-- == 1)
				return from + (uint64_t)i + 1;
		at = from;
	}
	return 0;
}

/* Does what comes after it begin a line? */
static bool part_ends_line(const struct part *p)
{
	char last = '\n';
	return p->end == 0 || pread(p->fd, &last, 1, (off_t)p->end - 1) != 1 || last == '\n';
}

static void parts_cut(struct logs *l)
{
	const struct lodge_logs_query *q = &l->q;
	long tail = q->tail;
	for (int i = NOW; i >= OLD; i--) {
		struct part *p = &l->parts[i];
		if (q->until_ns && p->stamps >= 0)
			p->end = min_u64(p->end, later_than(p, q->until_ns));
		if (q->since_ns)
			p->at = later_than(p, q->since_ns - 1);
		if (q->tail >= 0) {
			uint64_t from = tail ? tail_begin(p, &tail) : p->end;
			p->at = from > p->at ? from : p->at;
			if (i == NOW && tail && p->end && part_ends_line(&l->parts[OLD]))
				tail--; /* its first line is all there */
		}
		p->at = min_u64(p->at, p->end);
	}
	/* nothing of a file that goes on is later than what was asked for */
	l->over = q->until_ns && l->parts[NOW].end < part_size(&l->parts[NOW]);
}

/* ---- handing out ---- */

static int hand(struct logs *l, const void *data, size_t len)
{
	return len ? l->fn(l->user, data, len) : 0;
}

/* The time of what is at @at, "2026-01-02T03:04:05.678901234Z ", or "- ". */
static int time_hand(struct logs *l, struct part *p, uint64_t at)
{
	char text[64] = "- ";
	struct tm tm;
	uint64_t off, ns;
	while (life_stamp_at(p->stamps, p->stamp, &off, &ns) && off <= at) {
		p->ns = ns;
		p->stamp++;
	}
	time_t s = (time_t)(p->ns / 1000000000);
	if (p->ns && gmtime_r(&s, &tm)) {
		size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
		snprintf(text + n, sizeof text - n, ".%09uZ ", (unsigned)(p->ns % 1000000000));
	}
	return hand(l, text, strlen(text));
}

static int lines_hand(struct logs *l, struct part *p, const char *buf, size_t len)
{
	int r = 0;
	for (size_t n; r == 0 && len; buf += n, len -= n, p->at += n) {
		const char *end = memchr(buf, '\n', len);
		n = end ? (size_t)(end - buf) + 1 : len;
		if (l->fresh)
			r = time_hand(l, p, p->at);
		if (r == 0)
			r = hand(l, buf, n);
		l->fresh = end != NULL;
	}
	return r;
}

static int part_copy(struct logs *l, struct part *p, struct lodge_err *e)
{
	char buf[CHUNK];
	while (p->at < p->end) {
		ssize_t n = pread(p->fd, buf, min_u64(sizeof buf, p->end - p->at), (off_t)p->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "console.log");
		if (n == 0)
			return 0;
		int r = l->q.times ? lines_hand(l, p, buf, (size_t)n) : hand(l, buf, (size_t)n);
		if (r)
			return r;
		if (!l->q.times)
			p->at += (uint64_t)n;
	}
	return 0;
}

/* ---- what comes ---- */

/* There is more; is any of it too late? */
static void logs_more(struct logs *l, struct part *p, uint64_t size)
{
	p->end = size;
	if (!l->q.until_ns)
		return;
	if (p->stamps < 0) {
		uint64_t position;
		p->stamps = life_stamps_find(l->g->inst->dirfd, p->fd, &position);
	}
	uint64_t late = later_than(p, l->q.until_ns);
	l->over = late < size;
	p->end = late;
}

/* Wait until the log may have grown. False: the guest has ended, and all was read. */
static bool logs_wait(struct logs *l, int watch)
{
	const struct instance *i = l->g->inst;
	struct part *p = &l->parts[NOW];
	char events[512];
	struct stat st, now;
	struct pollfd poller = {.fd = watch, .events = POLLIN};
	bool alive = instance_locked(i);
	if (fstat(p->fd, &st) == 0 && (uint64_t)st.st_size > p->at) {
		logs_more(l, p, (uint64_t)st.st_size);
		return true;
	}
	if (fstatat(i->dirfd, "console.log", &now, 0) == 0 && now.st_ino != st.st_ino) {
		struct part next;
		uint64_t position;
		part_open(&next, i, "console.log", &position);
		if (next.fd >= 0) {
			part_close(p);
			*p = next;
			logs_more(l, p, next.end);
			return true;
		}
	}
	if (!alive || (l->q.until_ns && host_realtime_ns() > l->q.until_ns))
		return false;
	/* A second is for the guest that ends without a word. */
	if (poll(&poller, 1, 1000) > 0 && read(watch, events, sizeof events) < 0)
		return true;
	return true;
}

static int logs_follow(struct logs *l, struct lodge_err *e)
{
	int r = 0;
	autoclose int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	inotify_add_watch(watch, l->g->inst->dir, IN_MODIFY | IN_MOVED_FROM | IN_CREATE);
	while (r == 0 && !l->over && logs_wait(l, watch))
		r = part_copy(l, &l->parts[NOW], e);
	return r;
}

int lodge_logs_find(struct lodge_guest *g, struct lodge_logs_query *q,
		    int (*fn)(void *user, const void *data, size_t len), void *user,
		    struct lodge_err *e)
{
	if (q->size != sizeof *q)
		return err_set(e, EINVAL, "lodge_logs_query.size is %zu", q->size);
	if (g->alien)
		return alien_logs(g, q, fn, user, e);
	struct logs l = {.g = g, .q = *q, .fn = fn, .user = user, .fresh = true};
	uint64_t position = 0;
	/* the newer first: it may become the older one meanwhile */
	part_open(&l.parts[NOW], g->inst, "console.log", &position);
	int r = 0;
	if (l.parts[NOW].fd < 0 && errno != ENOENT)
		r = err_sys(e, "%s: console.log", g->inst->name);
	part_open(&l.parts[OLD], g->inst, "console.log.1", &position);
	if (parts_same(&l.parts[OLD], &l.parts[NOW]))
		part_close(&l.parts[OLD]);
	q->dropped = l.parts[OLD].stamps >= 0 ? position : 0;
	parts_cut(&l);
	for (int i = OLD; r == 0 && i < PARTS; i++)
		r = part_copy(&l, &l.parts[i], e);
	if (r == 0 && q->follow && l.parts[NOW].fd >= 0)
		r = logs_follow(&l, e);
	for (int i = OLD; i < PARTS; i++)
		part_close(&l.parts[i]);
	return r;
}

int lodge_logs(struct lodge_guest *g, long tail, int follow,
	       int (*fn)(void *user, const void *data, size_t len), void *user, struct lodge_err *e)
{
	struct lodge_logs_query q = {.size = sizeof q, .tail = tail, .follow = follow};
	return lodge_logs_find(g, &q, fn, user, e);
}
