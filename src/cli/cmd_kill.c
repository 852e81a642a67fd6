/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int kill_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	(void)a;
	int r = lodge_kill(g, e);
	if (r == 0)
		puts(lodge_name(g));
	return r;
}

static int kill_all(struct args *a) { return for_each_guest(a, kill_one); }

const struct command command_kill = {
    .name = "kill",
    .operands = "NAME...",
    .summary = "end guests at once",
    .text = "Like a power cut: what the guest had not written is lost. Its exit code is 137.\n",
    .min = 1,
    .completes = "guests",
    .run = kill_all,
};
