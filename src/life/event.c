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

struct follower {
	const struct life_event_query *q;
	int dir, fd;
	char buf[2 * LINE_BYTES];
	size_t len;
	bool skip;        /* the rest of a line that is too long */
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

static int follower_lines(struct follower *f)
{
	char *p = f->buf, *end = f->buf + f->len, *nl;
	int r = 0;
	while (r == 0 && (nl = memchr(p, '\n', (size_t)(end - p)))) {
		if (!f->skip)
			r = event_line(f, p, (size_t)(nl - p));
		f->skip = false;
		p = nl + 1;
	}
	f->len = (size_t)(end - p);
	memmove(f->buf, p, f->len);
	if (f->len == sizeof f->buf) {
		f->skip = true;
		f->len = 0;
	}
	return r;
}

/* All that is there now. */
static int follower_read(struct follower *f)
{
	int r = 0;
	while (r == 0 && f->fd >= 0) {
		ssize_t n = read(f->fd, f->buf + f->len, sizeof f->buf - f->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		f->len += (size_t)n;
		r = follower_lines(f);
	}
	return r;
}

static void follower_open(struct follower *f, const char *file)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = openat(f->dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	f->len = 0;
	f->skip = false;
}

/* Another file has the name now, and this one is read to its end. */
static bool follower_moved(const struct follower *f)
{
	struct stat a, b;
	if (fstatat(f->dir, "events", &b, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return f->fd < 0 || fstat(f->fd, &a) < 0 || a.st_ino != b.st_ino;
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
		if (r == 0 && follower_moved(f)) {
			r = follower_read(f);
			follower_open(f, "events");
			if (r == 0)
				r = follower_read(f);
		}
	}
	return r;
}

static bool same_file(int a, int b)
{
	struct stat x, y;
	return a >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino;
}

int life_events(const struct life_event_query *q, struct lodge_err *e)
{
	struct follower f = {.q = q, .fd = -1};
	autofree char *home = life_home("data");
	autoclose int dir = events_dir(true);
	autoclose int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (dir < 0 || watch < 0 || !home)
		return err_sys(e, "the folder of events");
	f.dir = dir;
	if (inotify_add_watch(watch, home, IN_MODIFY | IN_CREATE | IN_MOVED_FROM) < 0)
		return err_sys(e, "watching %s", home);
	/* In this order: should it move away meanwhile, it is still read once. */
	autoclose int now = openat(dir, "events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	follower_open(&f, "events.old");
	int r = now >= 0 && same_file(f.fd, now) ? 0 : follower_read(&f);
	if (f.fd >= 0)
		close(f.fd);
	f.fd = take_fd(&now);
	if (r == 0)
		r = q->follow ? follower_follow(&f, watch) : follower_read(&f);
	if (f.fd >= 0)
		close(f.fd);
	return r;
}
