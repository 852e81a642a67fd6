/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"
#include <json-c/json.h>

static const struct runtime_option options[] = {
    {"resources", 'r', RT_TEXT, "file with resources as in config.json; -: standard input"},
    {"blkio-weight", 0, RT_NUMBER, "share of disks, 10 to 1000"},
    {"cpu-period", 0, RT_NUMBER, "microseconds in which the quota may be used"},
    {"cpu-quota", 0, RT_NUMBER, "microseconds of CPU time in a period; -1: no limit"},
    {"cpu-burst", 0, RT_NUMBER, "microseconds that may be saved up"},
    {"cpu-share", 0, RT_NUMBER, "share of CPU time beside others; 1024 is usual"},
    {"cpu-rt-period", 0, RT_NUMBER, "the same for real-time processes"},
    {"cpu-rt-runtime", 0, RT_NUMBER, "the same for real-time processes"},
    {"cpu-idle", 0, RT_NUMBER, "1: only what nobody else wants"},
    {"cpuset-cpus", 0, RT_TEXT, "CPUs that may be used"},
    {"cpuset-mems", 0, RT_TEXT, "memory nodes that may be used"},
    {"memory", 0, RT_TEXT, "bytes, or 512M; -1: no limit"},
    {"memory-reservation", 0, RT_TEXT, "bytes that are kept when memory is short"},
    {"memory-swap", 0, RT_TEXT, "bytes of memory and swap together; -1: no limit"},
    {"pids-limit", 0, RT_NUMBER, "processes; -1: no limit"},
    {"kernel-memory", 0, RT_TEXT, "taken for others' sake: kernels have given it up"},
    {"kernel-memory-tcp", 0, RT_TEXT, "bytes of buffers of TCP"},
};

/* Option, object and field of resources. */
static const struct {
	const char *option, *part, *field;
	bool text;
} rows[] = {
    {"blkio-weight", "blockIO", "weight", false},
    {"cpu-period", "cpu", "period", false},
    {"cpu-quota", "cpu", "quota", false},
    {"cpu-burst", "cpu", "burst", false},
    {"cpu-share", "cpu", "shares", false},
    {"cpu-rt-period", "cpu", "realtimePeriod", false},
    {"cpu-rt-runtime", "cpu", "realtimeRuntime", false},
    {"cpu-idle", "cpu", "idle", false},
    {"cpuset-cpus", "cpu", "cpus", true},
    {"cpuset-mems", "cpu", "mems", true},
    {"memory", "memory", "limit", false},
    {"memory-reservation", "memory", "reservation", false},
    {"memory-swap", "memory", "swap", false},
    {"pids-limit", "pids", "limit", false},
    {"kernel-memory-tcp", "memory", "kernelTCP", false},
};

/* "32M", "1g", plain bytes, -1: units of 1024. */
static bool size_read(const char *text, int64_t *ret)
{
	static const char units[] = "bkmgtp";
	char *end;
	errno = 0;
	double v = strtod(text, &end);
	if (end == text || errno)
		return false;
	const char *unit = *end ? strchr(units, *end | 0x20) : units;
	if (!unit || !*unit)
		return false;
	for (; unit > units; unit--)
		v *= 1024;
	end += *end != 0;
	end += *end == 'i';
	end += *end == 'B' || *end == 'b';
	if (*end || !(v >= -1 && v < 9e18)) /* nor "nan" */
		return false;
	*ret = (int64_t)v;
	return true;
}

static int options_json(const struct runtime_call *c, struct json_object *o)
{
	for (size_t i = 0; i < countof(rows); i++) {
		const char *text = call_text(c, rows[i].option);
		struct json_object *part = NULL;
		int64_t n = 0;
		int bad = 0;
		if (!text)
			continue;
		if (!rows[i].text && !strcmp(rows[i].part, "memory") ? !size_read(text, &n)
		    : !rows[i].text && !call_number(c, rows[i].option, &n, &bad))
			return bad ? bad : say_text("--%s %s: not a size", rows[i].option, text);
		if (!json_object_object_get_ex(o, rows[i].part, &part)) {
			part = json_object_new_object();
			json_object_object_add(o, rows[i].part, part);
		}
		json_object_object_add(part, rows[i].field,
		                       rows[i].text ? json_object_new_string(text)
		                                    : json_object_new_int64(n));
	}
	return 0;
}

static int resources_read(struct runtime_call *c, struct oci_doc *ret)
{
	const char *file = call_text(c, "resources");
	struct lodge_err e;
	if (file) {
		char *text = NULL;
		size_t len = 0;
		int r = text_read(file, &text, &len, &e);
		if (r == 0)
			r = oci_resources_read(ret, text, len, &e);
		free(text);
		return r < 0 ? say_error(&e) : 0;
	}
	struct json_object *o = json_object_new_object();
	int r = options_json(c, o);
	const char *text = json_object_to_json_string(o);
	if (r == 0 && oci_resources_read(ret, text, strlen(text), &e) < 0)
		r = say_error(&e);
	json_object_put(o);
	return r;
}

static int update_run(struct runtime_call *c)
{
	struct container one;
	struct oci_doc doc = {0};
	struct lodge_err e;
	int r = call_container(c, true, &one);
	if (r)
		return r;
	r = resources_read(c, &doc);
	if (r == 0 && container_update(&one, doc.resources, &e) < 0)
		r = say_error(&e);
	oci_doc_fini(&doc);
	container_fini(&one);
	return r;
}

const struct runtime_command runtime_update = {
    .name = "update",
    .operands = "ID",
    .summary = "change the limits of a container",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 1,
    .run = update_run,
};
