/* SPDX-License-Identifier: Apache-2.0 */
/* Errors on standard error, and in the log as engines read it: one JSON object a line, or text. */
#include "runtime/internal.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <time.h>

static struct {
	int fd; /* 0: none */
	bool json, debug;
} sink;

void say_open(const char *path, bool json, bool debug)
{
	sink.json = json;
	sink.debug = debug;
	sink.fd = path && *path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : 0;
	if (sink.fd < 0) {
		fprintf(stderr, "--log %s: %s\n", path, strerror(errno));
		sink.fd = 0;
	}
}

static void log_line(const char *level, const char *text)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (!sink.json) {
		struct json_object *quoted = json_object_new_string(text);
		dprintf(sink.fd ? sink.fd : 2, "time=\"%s\" level=%s msg=%s\n", when, level,
		        json_object_to_json_string_ext(quoted, JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(quoted);
		return;
	}
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "level", json_object_new_string(level));
	json_object_object_add(o, "msg", json_object_new_string(text));
	json_object_object_add(o, "time", json_object_new_string(when));
	dprintf(sink.fd ? sink.fd : 2, "%s\n",
	        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
	                                              JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

int say_error(const struct lodge_err *e)
{
	if (sink.fd)
		log_line("error", e->msg);
	fprintf(stderr, "%s\n", e->msg);
	return EXIT_ERROR;
}

int say_text(const char *fmt, ...)
{
	struct lodge_err e = {.code = EINVAL};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e.msg, sizeof e.msg, fmt, ap);
	va_end(ap);
	return say_error(&e);
}

static void warn(void *user, const char *text)
{
	(void)user;
	log_line("warning", text);
}

const struct container_say runtime_say = {.warn = warn};
