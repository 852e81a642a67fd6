/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
#define OPTION(name, letter, kind, arg, value, setting, help)                                      \
	{name, letter, kind, arg, value, help, setting},
#include "cli/exec_options.def"
};

static int shell(struct args *a)
{
	struct lodge_exec_config c = {.shell = 1, .interactive = 1};
	c.tty = isatty(0) && isatty(1);
	return exec_session(a, a->operands[0], &c);
}

const struct command command_shell = {
    .name = "shell",
    .operands = "NAME",
    .summary = "open the login shell of a guest",
    .options = options,
    .noptions = countof(options),
    .min = 1,
    .max = 1,
    .completes = "guests",
    .run = shell,
};
