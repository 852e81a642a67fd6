/* SPDX-License-Identifier: Apache-2.0 */
/* The table of lodge stats: what guests use now, refreshed on a terminal. */
#include "cli/cli.h"
#include <json-c/json.h>
#include <time.h>

enum { COLUMNS = 6, CELL = 48, GUESTS_MAX = 1024 };
static const uint64_t first_ns = 500000000, again_ns = 2000000000;

/* The counters of a guest at the look before. */
struct before {
	char name[64];
	int64_t cpu_ns;
	uint64_t at_ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct before *before_of(struct before *b, const char *name)
{
	for (size_t i = 0; i < GUESTS_MAX; i++)
		if (!b[i].name[0] || !strcmp(b[i].name, name))
			return &b[i];
	return NULL;
}

/* One row of @cells; false: the guest does not run. */
static bool guest_row(const char *name, struct before *list, const char **cells,
                      char (*buf)[CELL])
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	char *text = NULL, a[CELL], b[CELL];
	if (lodge_open(&g, name, &e) < 0 || lodge_stats(g, &text, &e) < 0) {
		lodge_close(g);
		return false;
	}
	struct json_object *o = json_tokener_parse(text);
	struct before *was = before_of(list, name);
	int64_t cpu = member_number(o, "cpu_ns");
	uint64_t now = now_ns();
	snprintf(buf[0], CELL, "%.40s", name);
	if (was && was->name[0] && now > was->at_ns && cpu >= was->cpu_ns)
		snprintf(buf[1], CELL, "%.1f%%",
		         (double)(cpu - was->cpu_ns) * 100 / (double)(now - was->at_ns));
	else
		snprintf(buf[1], CELL, "-");
	if (was) {
		snprintf(was->name, sizeof was->name, "%s", name);
		was->cpu_ns = cpu;
		was->at_ns = now;
	}
	static const struct { const char *x, *y; } pairs[] = {
		{ "memory_resident", "memory_allowed" },
		{ "net_received_bytes", "net_sent_bytes" },
		{ "disk_read_bytes", "disk_written_bytes" },
	};
	for (size_t i = 0; i < countof(pairs); i++)
		snprintf(buf[2 + i], CELL, "%.20s / %.20s",
		         human_size((uint64_t)member_number(o, pairs[i].x), a, sizeof a),
		         human_size((uint64_t)member_number(o, pairs[i].y), b, sizeof b));
	snprintf(buf[5], CELL, "%.20s", member_text(o, "state"));
	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = buf[i];
	json_object_put(o);
	lodge_free(text);
	lodge_close(g);
	return true;
}

/* The names to look at: @names, or all guests. */
static struct json_object *names_now(const char *const *names, size_t n)
{
	struct json_object *ret = json_object_new_array(), *list;
	struct lodge_err e;
	char *text = NULL;
	for (size_t i = 0; i < n; i++)
		json_object_array_add(ret, json_object_new_string(names[i]));
	if (n || lodge_list(&text, &e) < 0)
		return ret;
	list = json_tokener_parse(text);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		json_object_array_add(ret, json_object_new_string(member_text(o, "name")));
	}
	json_object_put(list);
	lodge_free(text);
	return ret;
}

static void table_show(const char *const *names, size_t n, struct before *list, bool print)
{
	static const char *const head[COLUMNS] = { "NAME", "CPU", "MEMORY / MAY", "NET IN / OUT",
		                                   "DISK READ / WRITTEN", "STATE" };
	struct json_object *all = names_now(names, n);
	size_t count = json_object_array_length(all), rows = 1;
	count = count < GUESTS_MAX ? count : GUESTS_MAX;
	const char **cells = calloc((count + 1) * COLUMNS, sizeof *cells);
	char(*buf)[COLUMNS][CELL] = calloc(count + 1, sizeof *buf);
	if (cells && buf) {
		memcpy(cells, head, sizeof head);
		for (size_t i = 0; i < count; i++) {
			struct json_object *o = json_object_array_get_idx(all, i);
			const char *name = json_object_get_string(o);
			if (guest_row(name, list, cells + rows * COLUMNS, buf[rows]))
				rows++;
		}
		if (print)
			table_print(cells, COLUMNS, rows);
	}
	free(cells);
	free(buf);
	json_object_put(all);
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	nanosleep(&t, NULL);
}

int stats_table(struct args *a, bool once)
{
	struct before *list = calloc(GUESTS_MAX, sizeof *list);
	if (!list)
		return fail_text(a, "out of memory");
	/* What a CPU does is known after a while only. */
	table_show(a->operands, a->noperands, list, false);
	sleep_ns(first_ns);
	for (;;) {
		if (!once && isatty(1))
			fputs("\033[H\033[J", stdout);
		table_show(a->operands, a->noperands, list, true);
		fflush(stdout);
		if (once || ferror(stdout))
			break;
		sleep_ns(again_ns);
	}
	free(list);
	return 0;
}
