/* SPDX-License-Identifier: Apache-2.0 */
/* --help, from the rows. */
#include "cli/cli.h"

static void option_print(FILE *f, const struct option_row *o)
{
	char left[80], letter[8] = "    ";
	if (o->letter)
		snprintf(letter, sizeof letter, "-%c, ", o->letter);
	snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->arg ? " " : "",
		 o->arg ? o->arg : "");
	if (strlen(left) > 30)
		fprintf(f, "%s\n%32s%s", left, "", o->help);
	else
		fprintf(f, "%-30s  %s", left, o->help);
	if (o->value)
		fprintf(f, " (default %s)", o->value);
	fputc('\n', f);
}

static void command_print(FILE *f, const struct command *c)
{
	fprintf(f, "usage: lodge %s%s%s%s\n%s%s\n", c->name, c->noptions ? " [OPTIONS]" : "",
		*c->operands ? " " : "", c->operands, "  ", c->summary);
	if (c->text)
		fprintf(f, "\n%s", c->text);
	if (c->noptions)
		fprintf(f, "\noptions:\n");
	for (size_t i = 0; i < c->noptions; i++)
		option_print(f, &c->options[i]);
}

void help_print(FILE *f, const struct command *c)
{
	if (c) {
		command_print(f, c);
		return;
	}
	fprintf(f, "usage: lodge COMMAND [OPTIONS] ...\n"
		   "  runs guests at several levels of virtualization\n\ncommands:\n");
	for (size_t i = 0; (c = command_at(i)); i++)
		fprintf(f, "  %-11s %s\n", c->name, c->summary);
	fprintf(f, "\nlodge COMMAND --help tells more. Try: lodge run demo\n");
}
