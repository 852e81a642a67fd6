/* SPDX-License-Identifier: Apache-2.0 */
/* How the CLI talks: errors, tables, sizes, times, suggestions. */
#include "cli/cli.h"
#include <json-c/json.h>
#include <stdarg.h>
#include <time.h>

static void error_json(const struct lodge_err *e)
{
	struct json_object *o = json_object_new_object(), *err = json_object_new_object();
	json_object_object_add(err, "errno", json_object_new_int(e->code));
	const char *name = strerrorname_np(e->code);
	json_object_object_add(err, "code", json_object_new_string(name ? name : "?"));
	json_object_object_add(err, "message", json_object_new_string(e->msg));
	json_object_object_add(o, "error", err);
	fprintf(stderr, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

int fail(const struct args *a, const struct lodge_err *e)
{
	if (a->json)
		error_json(e);
	else
		fprintf(stderr, "lodge: %s\n", e->msg);
	switch (e->code) {
	case ENOENT: return LODGE_EXIT_NOT_FOUND;
	case ENOEXEC:
	case EACCES: return LODGE_EXIT_CANNOT;
	default: return LODGE_EXIT_LODGE;
	}
}

int fail_text(const struct args *a, const char *fmt, ...)
{
	struct lodge_err e = {.code = EINVAL};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e.msg, sizeof e.msg, fmt, ap);
	va_end(ap);
	return fail(a, &e);
}

enum { WORD_MAX = 32 };

/* Edits (insert, delete, replace, swap of neighbours) from @a to @b; large when too long. */
static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];
	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[n][m];
}

const char *nearest(const char *word, const char *prefix, const char *(*next)(void *user, size_t i),
		    void *user, char *buf, size_t cap)
{
	const char *best = NULL, *w;
	unsigned least = strlen(word) < 4 ? 2 : 3; /* further away is no help */
	for (size_t i = 0; (w = next(user, i)); i++) {
		unsigned d = distance(word, w);
		if (d < least) {
			least = d;
			best = w;
		}
	}
	buf[0] = 0;
	if (best)
		snprintf(buf, cap, "; did you mean '%s%s'?", prefix, best);
	return buf;
}

void table_print(const char *const *cells, size_t columns, size_t rows)
{
	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++) {
			size_t width = 0;
			for (size_t i = 0; i < rows; i++)
				if (strlen(cells[i * columns + c]) > width)
					width = strlen(cells[i * columns + c]);
			if (c + 1 == columns)
				printf("%s\n", cells[r * columns + c]);
			else
				printf("%-*s  ", (int)width, cells[r * columns + c]);
		}
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

const char *ago(uint64_t since_ns, char *buf, size_t cap)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
	uint64_t now = now_ns(CLOCK_REALTIME);
	uint64_t s = now > since_ns ? (now - since_ns) / 1000000000u : 0;
	if (!since_ns)
		return "-";
	for (size_t i = 0; i < countof(units); i++) {
		uint64_t n = s / units[i].seconds;
		if (n) {
			snprintf(buf, cap, "%llu %s%s ago", (unsigned long long)n, units[i].name,
				 n == 1 ? "" : "s");
			return buf;
		}
	}
	return "now";
}

const char *human_size(uint64_t bytes, char *buf, size_t cap)
{
	static const char units[] = "KMGTP";
	double v = (double)bytes;
	size_t u = 0;
	if (bytes < 1024) {
		snprintf(buf, cap, "%llu", (unsigned long long)bytes);
		return buf;
	}
	for (v /= 1024; v >= 1024 && units[u + 1]; u++)
		v /= 1024;
	snprintf(buf, cap, v < 10 ? "%.1f%c" : "%.0f%c", v, units[u]);
	return buf;
}

/* ---- progress ---- */

enum { BAR = 30 };

static void bar_draw(const char *what, uint64_t done, uint64_t total)
{
	char a[16], b[16], bar[BAR + 1];
	fprintf(stderr, "\r\033[K%s", what);
	if (total) {
		size_t full = done < total ? (size_t)(done * BAR / total) : BAR;
		memset(bar, ' ', BAR);
		memset(bar, '#', full);
		bar[BAR] = 0;
		fprintf(stderr, " [%s] %s of %s", bar, human_size(done, a, sizeof a),
			human_size(total, b, sizeof b));
	}
	fflush(stderr);
}

int progress_show(void *user, const char *what, uint64_t done, uint64_t total)
{
	struct progress *p = user;
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	bool new_step = strcmp(p->what, what) != 0;
	if (new_step) {
		if (p->tty && p->shown)
			fputc('\n', stderr);
		snprintf(p->what, sizeof p->what, "%s", what);
		if (!p->tty)
			fprintf(stderr, "%s\n", what);
	}
	if (p->tty && (new_step || done == total || now - p->last_ns > 100000000u)) {
		bar_draw(what, done, total);
		p->last_ns = now;
		p->shown++;
	}
	return 0;
}

void progress_end(struct progress *p)
{
	if (p->tty && p->shown)
		fputc('\n', stderr);
	*p = (struct progress){.tty = p->tty};
}

const char *member_text(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

int64_t member_number(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : 0;
}
