/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to the guests of a user, one line of JSON each, in one file that everybody appends
 * to ($XDG_DATA_HOME/lodge/events). There is no daemon that could tell: keepers and commands write,
 * and who wants to know reads on. A file that got large becomes "events.old", whose like before is
 * gone. */
#include "life/internal.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

enum { FILE_MAX = 1 << 20, LINE_BYTES = 4096, POLL_MS = 1000 };

static int events_dir(bool make)
{
	autofree char *home = life_home("data");
	if (!home || (make && home_make(home, NULL) < 0))
		return -1;
	return open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Whoever finds it too large moves it away; of several at once, one does. */
static void events_rotate(int dir)
{
	struct stat st;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	autoclose int fd = openat(dir, "events", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fcntl(fd, F_OFD_SETLKW, &lock) < 0)
		return;
	struct stat now;
	if (fstat(fd, &st) == 0 && fstatat(dir, "events", &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == now.st_ino && renameat(dir, "events", dir, "events.old") < 0)
		errno = 0; /* it stays, and grows until it works */
}

static void event_append(const char *line, size_t len)
{
	struct stat st;
	autoclose int dir = events_dir(true);
	if (dir < 0)
		return;
	autoclose int fd = openat(dir, "events",
				  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* One write: lines of several writers do not mix. */
	if (fd < 0 || write(fd, line, len) != (ssize_t)len)
		return; /* a full disk: the guests matter more than their log */
	if (fstat(fd, &st) == 0 && st.st_size > FILE_MAX)
		events_rotate(dir);
}

struct json_object *life_event(const char *name, const char *event, struct json_object *more)
{
	struct json_object *o = json_object_new_object();
	size_t len = 0;
	json_put_i64(o, "time_ns", (int64_t)host_realtime_ns());
	json_put_text(o, "name", name);
	json_put_text(o, "event", event);
	if (more) {
		json_object_object_foreach(more, key, v)
			json_object_object_add(o, key, json_object_get(v));
		json_object_put(more);
	}
	const char *text = json_object_to_json_string_length(
	    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	char line[LINE_BYTES];
	int n = snprintf(line, sizeof line, "%s\n", text);
	if (n > 0 && (size_t)n < sizeof line)
		event_append(line, (size_t)n);
	return o;
}

/* ---- reading ---- */

/* A file and what was read of it beyond its last whole line. */
struct tail {
	int fd;
	char buf[2 * LINE_BYTES];
	size_t len;
	bool skip;        /* the rest of a line that is too long */
};

/* Two files: a writer that had opened the one before may write to it when it has moved already. */
struct follower {
	const struct life_event_query *q;
	int dir;
	struct tail before, now;
};

/* One line without its end. What is no event is passed over. */
static int event_line(struct follower *f, const char *line, size_t len)
{
	struct json_object *o = NULL;
	const char *name = "";
	int64_t ns = 0;
	int r = 0;
	if (json_parse(&o, line, len, NULL) < 0)
		return 0;
	bool good = json_object_is_type(o, json_type_object) && json_text(o, "name", &name) &&
		    json_i64(o, "time_ns", &ns) && ns >= 0;
	if (good && (uint64_t)ns >= f->q->since_ns && (!f->q->name || !strcmp(name, f->q->name)))
		r = f->q->fn(f->q->user, json_object_to_json_string_ext(
					     o, JSON_C_TO_STRING_PLAIN |
						    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return r;
}

static int tail_lines(struct follower *f, struct tail *t)
{
	char *p = t->buf, *end = t->buf + t->len, *nl;
	int r = 0;
	while (r == 0 && (nl = memchr(p, '\n', (size_t)(end - p)))) {
		if (!t->skip)
			r = event_line(f, p, (size_t)(nl - p));
		t->skip = false;
		p = nl + 1;
	}
	t->len = (size_t)(end - p);
	memmove(t->buf, p, t->len);
	if (t->len == sizeof t->buf) {
		t->skip = true;
		t->len = 0;
	}
	return r;
}

static bool tail_read(struct tail *t)
{
	ssize_t n;
	do
		n = t->fd < 0 ? 0 : read(t->fd, t->buf + t->len, sizeof t->buf - t->len);
	while (n < 0 && errno == EINTR);
	t->len += n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* All that is there now. Who wrote something to the later file has written to the one before
 * already what comes earlier: that is told first. */
static int follower_read(struct follower *f)
{
	bool more = true;
	int r = 0;
	while (r == 0 && more) {
		more = tail_read(&f->now);
		while (r == 0 && tail_read(&f->before))
			r = tail_lines(f, &f->before);
		if (r == 0 && more)
			r = tail_lines(f, &f->now);
	}
	return r;
}

static void tail_close(struct tail *t)
{
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct tail){.fd = -1};
}

static int file_open(const struct follower *f, const char *file)
{
	return openat(f->dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static bool same_file(int a, int b)
{
	struct stat x, y;
	return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino;
}

/* The file after this one becomes the one before. */
static void follower_next(struct follower *f, int fd)
{
	tail_close(&f->before);
	f->before = f->now;
	f->now = (struct tail){.fd = fd};
}

/* Another file has the name now. It may be the second since: the one between is read, too. */
static int follower_move(struct follower *f)
{
	int r = 0;
	while (r == 0) {
		autoclose int next = file_open(f, "events"); /* first: what moves then is found */
		autoclose int old = file_open(f, "events.old");
		if (next < 0 || same_file(next, f->now.fd))
			break;
		bool between = f->now.fd >= 0 && old >= 0 && !same_file(old, f->now.fd) &&
			       !same_file(old, f->before.fd);
		r = follower_read(f);
		follower_next(f, between ? take_fd(&old) : take_fd(&next));
		if (r == 0)
			r = follower_read(f);
	}
	return r;
}

static int follower_follow(struct follower *f, int watch)
{
	char events[1024];
	int r = follower_read(f);
	while (r == 0) {
		struct pollfd p = {.fd = watch, .events = POLLIN};
		/* The second is for what moves between look and wait. */
		if (poll(&p, 1, POLL_MS) > 0 && read(watch, events, sizeof events) < 0)
			errno = 0;
		r = follower_read(f);
		if (r == 0)
			r = follower_move(f);
	}
	return r;
}

int life_events(const struct life_event_query *q, struct lodge_err *e)
{
	struct follower f = {.q = q, .before = {.fd = -1}, .now = {.fd = -1}};
	autofree char *home = life_home("data");
	autoclose int dir = events_dir(true);
	autoclose int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (dir < 0 || watch < 0 || !home)
		return err_sys(e, "the folder of events");
	f.dir = dir;
	if (inotify_add_watch(watch, home, IN_MODIFY | IN_CREATE | IN_MOVED_FROM) < 0)
		return err_sys(e, "watching %s", home);
	/* In this order: should it move away meanwhile, it is still read once. */
	f.now.fd = file_open(&f, "events");
	f.before.fd = file_open(&f, "events.old");
	if (same_file(f.before.fd, f.now.fd))
		tail_close(&f.before);
	int r = q->follow ? follower_follow(&f, watch) : follower_read(&f);
	tail_close(&f.before);
	tail_close(&f.now);
	return r;
}
