/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"signal", 's', OPT_TEXT, "SIGNAL", NULL,
     "containers, programs: send this one instead of ending it", false},
};

static int kill_one(struct args *a, struct lodge_guest *g, struct lodge_err *e)
{
	const char *signal = arg_text(a, "signal");
	bool end = !signal || !strcmp(signal, "KILL") || !strcmp(signal, "SIGKILL") ||
		   !strcmp(signal, "9");
	int r = end ? lodge_kill(g, e) : lodge_signal(g, signal, e);
	if (r == 0)
		puts(lodge_name(g));
	return r;
}

static int kill_all(struct args *a) { return for_each_guest(a, kill_one); }

const struct command command_kill = {
    .name = "kill",
    .operands = "NAME...",
    .summary = "end guests at once, or send them a signal",
    .text = "Like a power cut: what the guest had not written is lost. Its exit code is 137.\n"
	    "With -s, the first program of a container or of a guest that is a program gets the\n"
	    "signal, and does what it does about it.\n",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .completes = "guests",
    .run = kill_all,
};
