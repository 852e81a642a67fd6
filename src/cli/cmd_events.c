/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>
#include <time.h>

static const struct option_row options[] = {
    {"since", 0, OPT_TIME, "TIME", NULL, "begin with what happened TIME ago: 10m", false},
    {"no-stream", 0, OPT_FLAG, NULL, NULL, "end with what has happened until now", false},
    {"filter", 'f', OPT_LIST, "KEY=VALUE", NULL,
     "only events with this member: event=died (of several for one key, any)", false},
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table or json, a line each", false},
};

static bool event_has(struct json_object *o, const char *key, const char *want)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, key, &v) && !strcmp(json_object_get_string(v), want);
}

/* "2026-01-02T03:04:05.678Z web died exit_code=0 why=powered off" */
static void event_print(struct json_object *o)
{
	char when[32] = "";
	struct tm tm;
	int64_t ns = member_number(o, "time_ns");
	time_t s = (time_t)(ns / 1000000000);
	if (gmtime_r(&s, &tm))
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	printf("%s.%03dZ %s %s", when, (int)(ns / 1000000 % 1000), member_text(o, "name"),
	       member_text(o, "event"));
	json_object_object_foreach(o, key, v)
		if (strcmp(key, "time_ns") && strcmp(key, "name") && strcmp(key, "event"))
			printf(" %s=%s", key, v ? json_object_get_string(v) : "");
	putchar('\n');
}

struct listener {
	const struct args *a;
	const char *const *names; /* of guests; none: all */
	size_t n;
};

static int event_show(void *user, const char *json)
{
	const struct listener *l = user;
	struct json_object *o = json_tokener_parse(json);
	bool wanted = o && filters_fit(l->a, o, event_has), named = l->n == 0;
	for (size_t i = 0; wanted && i < l->n; i++)
		named |= !strcmp(member_text(o, "name"), l->names[i]);
	if (wanted && named) {
		if (l->a->json)
			puts(json);
		else
			event_print(o);
		fflush(stdout);
	}
	json_object_put(o);
	return ferror(stdout) ? -EPIPE : 0;
}

static int events(struct args *a)
{
	struct listener l = {a, a->operands, a->noperands};
	struct lodge_err e;
	struct timespec t;
	size_t n;
	const char *const *f = arg_list(a, "filter", &n);
	for (size_t i = 0; i < n; i++)
		if (!strchr(f[i], '='))
			return fail_text(a, "--filter %s: write KEY=VALUE", f[i]);
	clock_gettime(CLOCK_REALTIME, &t);
	uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	uint64_t ago_ns = arg_number(a, "since");
	/* Without a stream and a time, all that is known. */
	bool all = arg_flag(a, "no-stream") && !arg_text(a, "since");
	uint64_t since = all ? 0 : now - (ago_ns < now ? ago_ns : now);
	int r = lodge_events(a->noperands == 1 ? a->operands[0] : NULL, since,
			     !arg_flag(a, "no-stream"), event_show, &l, &e);
	return r == -EPIPE ? LODGE_EXIT_LODGE : r < 0 ? fail(a, &e) : 0;
}

const struct command command_events = {
    .name = "events",
    .operands = "[NAME...]",
    .summary = "show what happens to guests",
    .text = "As it happens, until interrupted, of the guests named or of all of this user.\n"
	    "Events: created, started, paused, resumed, suspended, snapshot, restored, cloned,\n"
	    "renamed (with was, the name before), health (of a container's checks),\n"
	    "updated, oom (its kernel has killed something for want of memory; of guests that are\n"
	    "held to less than they have, with Linux 6.12 or later), stopping, died (with\n"
	    "exit_code and why) and removed. Some thousand of the past are kept for --since and\n"
	    "--no-stream.\n",
    .options = options,
    .noptions = countof(options),
    .completes = "guests",
    .run = events,
};
