/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>

static const struct option_row options[] = {
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table, json or prometheus", false},
    {"live", 0, OPT_FLAG, NULL, NULL, "of those named: what they use now, again and again", false},
    {"no-stream", 0, OPT_FLAG, NULL, NULL, "what they use now, once", false},
};

/* Nested counters as "a.b.c  value". */
static void stats_lines(struct json_object *o, const char *prefix)
{
	json_object_object_foreach(o, key, v)
	{
		char path[256];
		snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_object_is_type(v, json_type_object))
			stats_lines(v, path);
		else
			printf("%-32s %s\n", path, v ? json_object_get_string(v) : "null");
	}
}

static int stats_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	char *text = NULL;
	int r = lodge_stats(g, &text, e);
	if (r < 0)
		return r;
	if (a->json) {
		puts(text);
	} else {
		struct json_object *o = json_tokener_parse(text);
		stats_lines(o, "");
		json_object_put(o);
	}
	lodge_free(text);
	return 0;
}

static int stats_prometheus(struct args *a)
{
	char *text = NULL;
	struct lodge_err e;
	if (lodge_metrics(a->operands, a->noperands, &text, &e) < 0)
		return fail(a, &e);
	fputs(text, stdout);
	lodge_free(text);
	return 0;
}

static int stats(struct args *a)
{
	const char *format = arg_text(a, "format");
	bool once = arg_flag(a, "no-stream");
	if (!strcmp(format, "prometheus"))
		return stats_prometheus(a);
	if (a->json && a->noperands == 0)
		return fail_text(a, "--format json needs NAME...");
	if (!a->json && (once || arg_flag(a, "live") || a->noperands == 0))
		return stats_table(a, once || (a->noperands == 0 && !isatty(1)));
	return for_each_guest(a, stats_one);
}

const struct command command_stats = {
    .name = "stats",
    .operands = "[NAME...]",
    .summary = "show what guests use, or print their counters",
    .text = "Without NAME, a table of what all running guests use of the host, refreshed until\n"
            "interrupted when it goes to a terminal: CPU (100% is one of the host's), memory that\n"
            "backs the guest, of what it may have, bytes of network and disks since it was\n"
            "started. With NAME, all its counters. --format prometheus prints those of all\n"
            "guests, or of the named, in the text format of Prometheus.\n"
            "Of the translator: tlb_hit_rate is the part of the guest's accesses to memory that\n"
            "found their page at once in the software TLB, mirror_hit_rate of those in mirrored\n"
            "address spaces the part that did not fault; null means that there were none yet.\n"
            "Misses and faults are counted. Accesses are estimated: now and then, about once in\n"
            "16 million instructions and more often at first, the guest is interpreted for 2000\n"
            "and what these access is counted. With n access_samples the estimate is right to\n"
            "about one part in the square root of n, and the part of misses with it. lodge run\n"
            "-o accesses=counted interprets and counts all, which is slow.\n",
    .options = options,
    .noptions = countof(options),
    .format = "prometheus",
    .completes = "guests",
    .run = stats,
};
