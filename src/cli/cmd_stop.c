/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"time", 't', OPT_TIME, "TIME", "10", "how long to wait before it is killed", true},
};

static int stop_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	uint64_t ns = arg_number(a, "time");
	const char *text = arg_text(a, "time");
	int r = ns || !strcmp(text, "0") ? 0 : lodge_parse_time(text, &ns, e);
	if (r == 0)
		r = lodge_stop(g, ns, e);
	if (r == 0)
		puts(lodge_name(g));
	return r;
}

static int stop(struct args *a) { return for_each_guest(a, stop_one); }

const struct command command_stop = {
    .name = "stop",
    .operands = "NAME...",
    .summary = "ask guests to shut down",
    .text = "Asks the guest by its power button or its agent. When it has not ended in time, it\n"
	    "is killed, as by a power cut. -t 0 kills at once.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .completes = "guests",
    .run = stop,
};
