/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int pause_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	(void)a;
	int r = lodge_pause(g, e);
	if (r == 0)
		puts(lodge_name(g));
	return r;
}

static int pause_all(struct args *a) { return for_each_guest(a, pause_one); }

const struct command command_pause = {
    .name = "pause",
    .alias = NULL,
    .operands = "NAME...",
    .summary = "stop the CPUs of guests, keep their memory",
    .text = "The guest does not notice but by its clock. lodge resume lets it go on.\n",
    .min = 1,
    .completes = "guests",
    .run = pause_all,
};
