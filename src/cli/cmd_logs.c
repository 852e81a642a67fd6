/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <time.h>

static const struct option_row options[] = {
    {"follow", 'f', OPT_FLAG, NULL, NULL, "go on until the guest stops", false},
    {"tail", 'n', OPT_TEXT, "N", "all", "only the last N lines", false},
    {"timestamps", 't', OPT_FLAG, NULL, NULL, "before each line, when it was shown", false},
    {"since", 0, OPT_TEXT, "TIME", NULL,
     "not the lines before: 10m ago, 2026-01-02T03:04:05Z, seconds since 1970", false},
    {"until", 0, OPT_TEXT, "TIME", NULL, "not the lines after", false},
};

static int logs_write(void *user, const void *data, size_t len)
{
	(void)user;
	return fwrite(data, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : -EPIPE;
}

/* "2026-01-02[T03:04[:05[.678]]][Z|+01:00]" (without a zone: here); false: it is none. */
static bool date_parse(const char *text, uint64_t *ret_ns)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
	struct tm tm;
	char *rest = NULL, *end;
	for (size_t i = 0; !rest && i < countof(forms); i++) {
		memset(&tm, 0, sizeof tm);
		rest = strptime(text, forms[i], &tm);
	}
	if (!rest)
		return false;
	double part = 0;
	if (*rest == '.') {
		part = strtod(rest, &end);
		rest = end;
	}
	tm.tm_isdst = -1;
	time_t s;
	if (!*rest) {
		s = mktime(&tm);
	} else if (!strcmp(rest, "Z")) {
		s = timegm(&tm);
	} else {
		struct tm zone = {0};
		bool east = *rest == '+';
		end = *rest == '+' || *rest == '-' ? strptime(rest + 1, "%H:%M", &zone) : NULL;
		if (!end || *end)
			return false;
		long off = zone.tm_hour * 3600L + zone.tm_min * 60L;
		s = timegm(&tm) - (east ? off : -off);
	}
	*ret_ns = s < 0 ? 1 : (uint64_t)s * 1000000000 + (uint64_t)(part * 1e9);
	return true;
}

/* A time since 1970, from a date, from seconds since then, or from how long ago it was. */
static int time_parse(struct args *a, const char *option, uint64_t *ret_ns)
{
	const char *text = arg_text(a, option);
	struct timespec now;
	struct lodge_err e;
	char *end;
	uint64_t ago;
	if (!text || date_parse(text, ret_ns))
		return 0;
	double seconds = strtod(text, &end);
	if (end != text && !*end && seconds >= 0 && seconds < 1e10) {
		*ret_ns = (uint64_t)(seconds * 1e9) + 1;
		return 0;
	}
	if (lodge_parse_time(text, &ago, &e) < 0)
		return fail_text(a, "--%s %s: write 10m, 2026-01-02T03:04:05Z or seconds since "
				 "1970", option, text);
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	*ret_ns = ago < ns ? ns - ago : 1;
	return 0;
}

static int logs(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e = {.code = EPIPE, .msg = "cannot write to stdout"};
	struct lodge_logs_query q = {.size = sizeof q,
				     .follow = arg_flag(a, "follow"),
				     .times = arg_flag(a, "timestamps")};
	const char *text = arg_text(a, "tail");
	char *end = NULL;
	q.tail = strcmp(text, "all") ? strtol(text, &end, 10) : -1;
	if (end && (*end || end == text || q.tail < 0))
		return fail_text(a, "--tail %s: a number or all", text);
	int r = time_parse(a, "since", &q.since_ns);
	if (r == 0)
		r = time_parse(a, "until", &q.until_ns);
	if (r)
		return r;
	r = lodge_open(&g, a->operands[0], &e);
	if (r == 0)
		r = lodge_logs_find(g, &q, logs_write, NULL, &e);
	if (r == 0 && q.dropped && q.tail < 0 && !q.since_ns)
		fprintf(stderr, "lodge: %llu bytes of older output were dropped (--log-max)\n",
			(unsigned long long)q.dropped);
	lodge_close(g);
	return r < 0 ? fail(a, &e) : 0;
}

const struct command command_logs = {
    .name = "logs",
    .operands = "NAME",
    .summary = "print what a guest's console has shown",
    .text = "A line has the time at which it began to be shown. With --since and --until, -n\n"
	    "counts the lines that are left; lines of unknown time, in logs of older versions,\n"
	    "are older than any. The log takes --log-max bytes of the disk at most (16M); when\n"
	    "it is full its older half is dropped, and it is told how much that was so far.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 1,
    .completes = "guests",
    .run = logs,
};
