/* SPDX-License-Identifier: Apache-2.0 */
/* What a container of podman's has said, as its monitor writes it beside the bundle: lines of
 * "TIME STREAM P|F TEXT", P when the line goes on in the next. Other engines, and podman's other
 * log drivers, keep it where only they know. */
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { STEP_NS = 100000000 };
static const int64_t SECONDS_MAX = UINT64_MAX / 1000000000 - 1;

struct monitor_log {
	const struct lodge_guest *g;
	const struct lodge_logs_query *q;
	FILE *f;     /* owned */
	char *line;  /* owned; the record that was read last */
	size_t cap, len;
	bool fresh;  /* what comes next begins a line */
	bool shown;  /* ... of those wanted */
	int (*fn)(void *user, const void *data, size_t len);
	void *user;
};

/* "2026-01-02T03:04:05.678901234+00:00"; 0: it is none. */
uint64_t monitor_time(const char *text)
{
	struct tm tm = {0};
	char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t unit = 100000000, ns = 0;
	int hours = 0, minutes = 0;
	if (!rest)
		return 0;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			ns += (uint64_t)(*rest - '0') * unit;
	if ((*rest == '+' || *rest == '-') &&
	    sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2)
		return 0;
	int64_t s = timegm(&tm), off = hours * 3600 + minutes * 60;
	s = *rest == '-' ? s + off : s - off;
	return s < 0 || s > SECONDS_MAX ? 0 : (uint64_t)s * 1000000000 + ns;
}

static int time_hand(const struct monitor_log *l, uint64_t ns)
{
	char text[64];
	struct tm tm;
	time_t s = (time_t)(ns / 1000000000);
	if (!gmtime_r(&s, &tm))
		return 0;
	size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(text + n, sizeof text - n, ".%09uZ ", (unsigned)(ns % 1000000000));
	return l->fn(l->user, text, n);
}

/* The text of a record, and whether its line ends with it. NULL: it is no record. */
static const char *record_text(const char *line, uint64_t *ret_ns, bool *ret_whole)
{
	const char *p = strchr(line, ' ');
	*ret_ns = monitor_time(line);
	p = p && *ret_ns ? strchr(p + 1, ' ') : NULL;
	if (!p || (p[1] != 'P' && p[1] != 'F') || p[2] != ' ')
		return NULL;
	*ret_whole = p[1] == 'F';
	return p + 3;
}

/* @line has @len bytes and ends with a newline. */
static int record_hand(struct monitor_log *l, const char *line, size_t len)
{
	uint64_t ns;
	bool whole;
	const struct lodge_logs_query *q = l->q;
	const char *text = record_text(line, &ns, &whole);
	if (!text)
		return 0;
	if (l->fresh)
		l->shown = ns >= q->since_ns && (!q->until_ns || ns <= q->until_ns);
	int r = l->shown && l->fresh && q->times ? time_hand(l, ns) : 0;
	size_t n = len - (size_t)(text - line) - !whole; /* P: the newline is the log's */
	l->fresh = whole;
	return r || !l->shown || !n ? r : l->fn(l->user, text, n);
}

/* The next record; false: there is no whole one yet, what there is of it is read again. */
static bool record_next(struct monitor_log *l)
{
	off_t at = ftello(l->f);
	ssize_t n = getline(&l->line, &l->cap, l->f);
	if (n > 0 && l->line[n - 1] == '\n') {
		l->len = (size_t)n;
		return true;
	}
	clearerr(l->f);
	(void)fseeko(l->f, at, SEEK_SET);
	return false;
}

/* How many lines end in what is there. */
static long lines_count(struct monitor_log *l)
{
	long n = 0;
	uint64_t ns;
	bool whole;
	while (record_next(l))
		n += record_text(l->line, &ns, &whole) && whole;
	rewind(l->f);
	return n;
}

static void lines_skip(struct monitor_log *l, long n)
{
	uint64_t ns;
	bool whole;
	while (n > 0 && record_next(l))
		n -= record_text(l->line, &ns, &whole) && whole;
}

static int log_hand(struct monitor_log *l)
{
	int r = 0;
	while (r == 0 && record_next(l))
		r = record_hand(l, l->line, l->len);
	return r;
}

/* What there is of it. */
static int log_show(struct monitor_log *l)
{
	if (l->q->tail >= 0)
		lines_skip(l, lines_count(l) - l->q->tail);
	return log_hand(l);
}

int monitor_log_show(FILE *f, const struct lodge_logs_query *q,
		     int (*fn)(void *user, const void *data, size_t len), void *user)
{
	struct monitor_log l = {.q = q, .f = f, .fn = fn, .user = user, .fresh = true};
	int r = log_show(&l);
	free(l.line);
	return r;
}

static int log_follow(struct monitor_log *l)
{
	const struct timespec step = {.tv_nsec = STEP_NS};
	int r = 0;
	for (bool more = true; r == 0 && more;) {
		/* what was said before the end is there when the end is seen */
		more = strcmp(alien_state(l->g), "stopped") != 0 &&
		       (!l->q->until_ns || host_realtime_ns() <= l->q->until_ns);
		r = log_hand(l);
		if (more)
			nanosleep(&step, NULL);
	}
	return r;
}

static FILE *log_open(const struct lodge_guest *g, struct lodge_err *e)
{
	char path[4096];
	struct json_object *o = alien_describe(g, e), *v = NULL;
	struct stat st;
	if (!o)
		return NULL;
	json_object_object_get_ex(o, "bundle", &v);
	snprintf(path, sizeof path, "%.4000s/ctr.log", v ? json_object_get_string(v) : "");
	json_object_put(o);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		auto_close(&fd);
		(void)!guest_own(g, "logs", e);
		return NULL;
	}
	return fdopen(fd, "r");
}

int alien_logs(const struct lodge_guest *g, const struct lodge_logs_query *q,
		 int (*fn)(void *user, const void *data, size_t len), void *user,
		 struct lodge_err *e)
{
	struct lodge_err why = {.code = ENOMEM};
	struct monitor_log l = {.g = g, .q = q, .fn = fn, .user = user, .fresh = true};
	l.f = log_open(g, &why);
	if (!l.f)
		return err_set(e, why.code, "%s", why.msg);
	int r = log_show(&l);
	if (r == 0 && q->follow)
		r = log_follow(&l);
	fclose(l.f);
	free(l.line);
	return r;
}
