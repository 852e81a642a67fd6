/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page of a command, as scdoc(5) source, from the same rows as --help. */
#include "cli/cli.h"
#include <ctype.h>

/* @text with what scdoc would take for markup escaped. */
static void scdoc_text(FILE *f, const char *text)
{
	for (char before = 0; *text; before = *text++) {
		/* a line that begins with an option is no list */
		if (strchr("_*\\#`[", *text) || (*text == '-' && before == '\n'))
			fputc('\\', f);
		fputc(*text, f);
	}
}

static void scdoc_option(FILE *f, const struct option_row *o)
{
	fputc('*', f);
	if (o->letter)
		fprintf(f, "-%c*, *", o->letter);
	fprintf(f, "--%s*", o->name);
	if (o->arg) {
		fputc(' ', f);
		scdoc_text(f, o->arg);
	}
	fprintf(f, "\n\t");
	scdoc_text(f, o->help);
	if (o->value) {
		fprintf(f, ". Default: ");
		scdoc_text(f, o->value);
	}
	if (o->setting)
		fprintf(f, ". Setting: *%s*", o->name);
	fprintf(f, "\n\n");
}

void scdoc_print(FILE *f, const struct command *c)
{
	fprintf(f, "lodge-%s(1)\n\n# NAME\n\nlodge-%s - %s\n\n# SYNOPSIS\n\n*lodge %s*%s ", c->name,
		c->name, c->summary, c->name, c->noptions ? " [_OPTIONS_]" : "");
	scdoc_text(f, c->operands);
	fprintf(f, "\n\n# DESCRIPTION\n\n");
	fputc(toupper((unsigned char)c->summary[0]), f);
	scdoc_text(f, c->summary + 1);
	fprintf(f, ".\n");
	if (c->text) {
		fputc('\n', f);
		scdoc_text(f, c->text);
	}
	if (c->alias)
		fprintf(f, "\n*lodge %s* is the same.\n", c->alias);
	if (c->noptions)
		fprintf(f, "\n# OPTIONS\n\n");
	for (size_t i = 0; i < c->noptions; i++)
		scdoc_option(f, &c->options[i]);
	fprintf(f, "\n# SEE ALSO\n\n*lodge*(1), *lodge-config*(5)\n");
}
