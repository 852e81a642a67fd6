/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int rename_one(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	int r = lodge_open(&g, a->operands[0], &e);
	if (r == 0)
		r = lodge_rename(g, a->operands[1], &e);
	if (r < 0)
		r = fail(a, &e);
	lodge_close(g);
	return r;
}

const struct command command_rename = {
    .name = "rename",
    .operands = "NAME NEW",
    .summary = "give a guest another name",
    .text = "In any state, running or not; its disks, snapshots and clones are found as before.\n"
	    "What goes by the name inside (the host name, its name in a network) changes with the\n"
	    "next start. One that is suspended for being idle has to be suspended or resumed\n"
	    "first.\n",
    .min = 2,
    .max = 2,
    .completes = "guests",
    .run = rename_one,
};
