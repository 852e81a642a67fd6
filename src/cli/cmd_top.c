/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

/* ps of procps knows -ef; that of busybox says more than nothing without. */
static const char *const usual[] = {"sh", "-c", "ps -ef 2>/dev/null || exec ps"};

static int top(struct args *a)
{
	struct lodge_exec_config c = {.argv = usual, .argc = countof(usual)};
	const char **argv = calloc(a->noperands + 1, sizeof *argv);
	if (!argv)
		return fail_text(a, "out of memory");
	if (a->noperands > 1) {
		argv[0] = "ps";
		for (size_t i = 1; i < a->noperands; i++)
			argv[i] = a->operands[i];
		c.argv = argv;
		c.argc = a->noperands;
	}
	int code = exec_session(a, a->operands[0], &c);
	free(argv);
	return code;
}

static const struct option_row options[] = {
#define OPTION(name, letter, kind, arg, value, setting, help)                                      \
	{name, letter, kind, arg, value, help, setting},
#include "cli/exec_options.def"
};

const struct command command_top = {
    .name = "top",
    .operands = "NAME [PS-OPTION...]",
    .summary = "list the processes in a guest",
    .text = "As its ps says, which gets the PS-OPTIONs (-ef when there are none). Works in guests\n"
	    "with lodge-agent and in containers that have ps. What guests use of the host is\n"
	    "shown by lodge stats.\n",
    .options = options,
    .noptions = countof(options),
    .stop_at_operand = true,
    .min = 1,
    .completes = "guests",
    .run = top,
};
