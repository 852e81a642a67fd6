/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int resume_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	(void)a;
	int r = lodge_resume(g, e);
	if (r == 0)
		puts(lodge_name(g));
	return r;
}

static int resume(struct args *a) { return for_each_guest(a, resume_one); }

const struct command command_resume = {
    .name = "resume",
    .alias = "unpause",
    .operands = "NAME...",
    .summary = "let paused or suspended guests go on",
    .text = "The clock of a guest with the agent is set right.\n"
	    "See also lodge pause, lodge suspend.\n",
    .min = 1,
    .completes = "guests",
    .run = resume,
};
