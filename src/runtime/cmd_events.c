/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"
#include <json-c/json.h>
#include <stdio.h>

static const struct runtime_option options[] = {
    {"interval", 0, RT_TEXT, "time between two counts (5s)"},
    {"stats", 0, RT_FLAG, "count once"},
};
enum { LOOK_MS = 100, USUAL_MS = 5000 };

static void event_print(const char *type, const char *id, struct json_object *data)
{
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "type", json_object_new_string(type));
	json_object_object_add(o, "id", json_object_new_string(id));
	if (data)
		json_object_object_add(o, "data", data);
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
	                                           JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
	json_object_put(o);
}

/* How often the kernel has killed for want of memory. */
static uint64_t oom_count(const struct container *one)
{
	uint64_t n = 0;
	if (!cgroup_keyed(&one->cgroup, "memory", "memory.events", "oom_kill", &n))
		(void)!cgroup_keyed(&one->cgroup, "memory", "memory.oom_control", "oom_kill", &n);
	return n;
}

/* "5s", "500ms", "1m" */
static int interval_read(const char *text, uint64_t *ret_ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"", 1000}};
	char *end;
	double v = strtod(text, &end);
	for (size_t i = 0; end != text && v > 0 && v < 1e9 && i < countof(units); i++)
		if (!strcmp(end, units[i].unit)) {
			*ret_ms = (uint64_t)(v * units[i].ms);
			return *ret_ms ? 0 : say_text("duration interval must be greater than 0");
		}
	return say_text("--interval %s: a time, like 5s, above 0", text);
}

static void events_follow(struct container *one, uint64_t every_ms)
{
	uint64_t seen = oom_count(one), left = 0;
	while (container_status(one) != CONTAINER_STOPPED) {
		uint64_t now = oom_count(one);
		if (now > seen)
			event_print("oom", one->id, NULL);
		seen = now;
		if (left <= LOOK_MS) {
			event_print("stats", one->id, container_stats(one));
			left = every_ms;
		} else {
			left -= LOOK_MS;
		}
		usleep(LOOK_MS * 1000);
	}
	if (oom_count(one) > seen)
		event_print("oom", one->id, NULL);
}

static int events_run(struct runtime_call *c)
{
	struct container one;
	uint64_t every_ms = USUAL_MS;
	const char *text = call_text(c, "interval");
	int r = text ? interval_read(text, &every_ms) : 0;
	if (r == 0)
		r = call_container(c, false, &one);
	if (r)
		return r;
	if (container_status(&one) == CONTAINER_STOPPED)
		r = say_text("container with id %s is not running", one.id);
	else if (call_flag(c, "stats"))
		event_print("stats", one.id, container_stats(&one));
	else
		events_follow(&one, every_ms);
	container_fini(&one);
	return r;
}

const struct runtime_command runtime_events = {
    .name = "events",
    .operands = "ID",
    .summary = "say what a container uses, again and again, and when memory ran out",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 1,
    .run = events_run,
};
