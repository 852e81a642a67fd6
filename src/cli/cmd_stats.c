/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <json-c/json.h>

static const struct option_row options[] = {
    {"format", 0, OPT_TEXT, "FORMAT", "table", "table or json", false},
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

static int stats(struct args *a) { return for_each_guest(a, stats_one); }

const struct command command_stats = {
    .name = "stats",
    .operands = "NAME...",
    .summary = "print counters of running guests",
    .text = "Of the translator: tlb_hit_rate is the part of the guest's accesses to memory that\n"
            "found their page at once in the software TLB, mirror_hit_rate of those in mirrored\n"
            "address spaces the part that did not fault; null means that there were none yet.\n"
            "Misses and faults are counted. Accesses are estimated: now and then, about once in\n"
            "16 million instructions and more often at first, the guest is interpreted for 2000\n"
            "and what these access is counted. With n access_samples the estimate is right to\n"
            "about one part in the square root of n, and the part of misses with it. lodge run\n"
            "-o accesses=counted interprets and counts all, which is slow.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .completes = "guests",
    .run = stats,
};
