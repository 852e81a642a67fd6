/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int wait_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	int code = 0;
	(void)a;
	int r = lodge_wait(g, &code, e);
	if (r == 0)
		printf("%d\n", code);
	return r;
}

static int wait_all(struct args *a) { return for_each_guest(a, wait_one); }

const struct command command_wait = {
    .name = "wait",
    .operands = "NAME...",
    .summary = "wait until guests have stopped, and print their exit codes",
    .text = "One after the other, a line for each. Of one that does not run, the code with which\n"
	    "it ended last is printed at once.\n",
    .min = 1,
    .completes = "guests",
    .run = wait_all,
};
