/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"time", 't', OPT_TIME, "TIME", "10", "how long to wait before it is killed", true},
};

static int restart_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	uint64_t ns = arg_number(a, "time");
	const char *text = arg_text(a, "time"), *state = lodge_state(g);
	int r = ns || !strcmp(text, "0") ? 0 : lodge_parse_time(text, &ns, e);
	/* what cannot be started here is not stopped either */
	if (r == 0 && lodge_own(g) && (!strcmp(state, "running") || !strcmp(state, "paused")))
		r = lodge_stop(g, ns, e);
	if (r == 0)
		r = lodge_start(g, e);
	if (r == 0)
		puts(lodge_name(g));
	return r;
}

static int restart(struct args *a) { return for_each_guest(a, restart_one); }

const struct command command_restart = {
    .name = "restart",
    .operands = "NAME...",
    .summary = "stop guests and start them again",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .completes = "guests",
    .run = restart,
};
