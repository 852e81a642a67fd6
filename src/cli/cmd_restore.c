/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"force", 'f', OPT_FLAG, NULL, NULL, "kill the guest first when it runs", false},
};

static int restore_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	const char *state = lodge_state(g);
	if (arg_flag(a, "force") && (!strcmp(state, "running") || !strcmp(state, "paused"))) {
		int r = lodge_kill(g, e);
		if (r < 0)
			return r;
	}
	return lodge_restore(g, a->operands[1], e);
}

static int restore(struct args *a)
{
	struct lodge_guest *g = NULL;
	struct lodge_err e;
	int r = lodge_open(&g, a->operands[0], &e);
	if (r == 0)
		r = restore_one(a, g, &e);
	if (r == 0)
		puts(lodge_name(g));
	lodge_close(g);
	return r < 0 ? fail(a, &e) : 0;
}

const struct command command_restore = {
    .name = "restore",
    .operands = "NAME SNAPSHOT",
    .summary = "let a guest go on from a snapshot",
    .text = "What it did since the snapshot is lost, memory and disks alike, unless another\n"
	    "snapshot has it. Connections are treated as lodge suspend says.\n",
    .options = options,
    .noptions = countof(options),
    .min = 2,
    .max = 2,
    .completes = "guests",
    .run = restore,
};
