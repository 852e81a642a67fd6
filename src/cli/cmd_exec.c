/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"interactive", 'i', OPT_FLAG, NULL, NULL, "stdin goes to the program", false},
    {"tty", 't', OPT_FLAG, NULL, NULL, "give the program a terminal", false},
#define OPTION(name, letter, kind, arg, value, setting, help)                                      \
	{name, letter, kind, arg, value, help, setting},
#include "cli/exec_options.def"
};

static int exec(struct args *a)
{
	struct lodge_exec_config c = {.argv = a->operands + 1, .argc = a->noperands - 1};
	c.interactive = arg_flag(a, "interactive");
	c.tty = arg_flag(a, "tty");
	if (c.tty && c.interactive && !isatty(0))
		return fail_text(a, "exec -it needs a terminal on stdin; use -i alone");
	return exec_session(a, a->operands[0], &c);
}

const struct command command_exec = {
    .name = "exec",
    .operands = "NAME COMMAND [ARG...]",
    .summary = "run a program in a guest",
    .text = "Its output and exit code become those of lodge exec; 128+n when signal n ended it,\n"
	    "127 when there is no such program. Works in containers and in guests with\n"
	    "lodge-agent (images debian and debian-small have it). With -it, Ctrl-] ends the\n"
	    "program's terminal.\n",
    .options = options,
    .noptions = countof(options),
    .stop_at_operand = true,
    .min = 2,
    .completes = "guests",
    .run = exec,
};
