/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const struct option_row options[] = {
    {"format", 0, OPT_TEXT, "FORMAT", "text", "text, or scdoc for the source of a manual page",
     false},
};

static int help(struct args *a)
{
	const struct command *c = a->noperands ? command_find(a->operands[0]) : NULL;
	const char *format = arg_text(a, "format");
	if (a->noperands && !c)
		return fail_text(a, "no command '%s'; see lodge help", a->operands[0]);
	if (!strcmp(format, "scdoc") && c)
		scdoc_print(stdout, c);
	else if (!strcmp(format, "text"))
		help_print(stdout, c);
	else
		return fail_text(a, "help --format %s: text, or scdoc with a command", format);
	return 0;
}

const struct command command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "explain the commands",
    .options = options,
    .noptions = countof(options),
    .max = 1,
    .completes = "commands",
    .run = help,
};
