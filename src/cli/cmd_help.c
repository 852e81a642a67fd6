/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int help(struct args *a)
{
	const struct command *c = a->noperands ? command_find(a->operands[0]) : NULL;
	if (a->noperands && !c)
		return fail_text(a, "no command '%s'; see lodge help", a->operands[0]);
	help_print(stdout, c);
	return 0;
}

const struct command command_help = {
	.name = "help", .operands = "[COMMAND]", .summary = "explain the commands",
	.max = 1, .completes = "commands", .run = help,
};
