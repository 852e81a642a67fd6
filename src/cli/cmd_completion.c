/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts for shells, from the same rows as the parser. */
#include "cli/cli.h"

static void words_print(const struct command *c)
{
	for (size_t i = 0; i < c->noptions; i++) {
		printf("--%s ", c->options[i].name);
		if (c->options[i].letter)
			printf("-%c ", c->options[i].letter);
	}
	printf("--help");
}

/* What lists the operands of a command. */
static const char *operands_command(const struct command *c)
{
	if (!c->completes)
		return "";
	if (!strcmp(c->completes, "guests"))
		return "$(lodge ls -a -q 2>/dev/null)";
	if (!strcmp(c->completes, "images"))
		return "demo debian debian-small";
	return "$(_lodge_commands)";
}

static void bash_print(void)
{
	const struct command *c;
	printf("_lodge_commands() { echo \"");
	for (size_t i = 0; (c = command_at(i)); i++)
		printf("%s%s", i ? " " : "", c->name);
	printf("\"; }\n"
	       "_lodge() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words= operands=\n"
	       "\tif [ \"$COMP_CWORD\" = 1 ]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$(_lodge_commands)\" -- \"$cur\"))\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; (c = command_at(i)); i++) {
		printf("\t%s%s%s) words=\"", c->name, c->alias ? "|" : "",
		       c->alias ? c->alias : "");
		words_print(c);
		printf("\" operands=\"%s\" ;;\n", operands_command(c));
	}
	printf("\tesac\n"
	       "\tcase $cur in\n"
	       "\t-*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
	       "\t*) COMPREPLY=($(compgen -W \"$operands\" -- \"$cur\") $(compgen -f -- \"$cur\")) "
	       ";;\n"
	       "\tesac\n"
	       "}\n"
	       "complete -F _lodge lodge\n");
}

static void zsh_print(void)
{
	printf("#compdef lodge\nautoload -U +X bashcompinit && bashcompinit\n");
	bash_print();
}

/* @text inside single quotes of fish. */
static void fish_quote(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void fish_print(void)
{
	const struct command *c;
	printf("complete -c lodge -f\n");
	for (size_t i = 0; (c = command_at(i)); i++) {
		printf("complete -c lodge -n __fish_use_subcommand -a %s -d ", c->name);
		fish_quote(c->summary);
		putchar('\n');
		for (size_t k = 0; k < c->noptions; k++) {
			const struct option_row *o = &c->options[k];
			printf("complete -c lodge -n '__fish_seen_subcommand_from %s' -l %s",
			       c->name, o->name);
			if (o->letter)
				printf(" -s %c", o->letter);
			printf("%s -d ", o->kind == OPT_FLAG ? "" : " -r -F");
			fish_quote(o->help);
			putchar('\n');
		}
		if (c->completes && !strcmp(c->completes, "guests"))
			printf("complete -c lodge -n '__fish_seen_subcommand_from %s' -a "
			       "'(lodge ls -a -q 2>/dev/null)'\n",
			       c->name);
		else if (c->completes && !strcmp(c->completes, "images"))
			printf("complete -c lodge -n '__fish_seen_subcommand_from %s' -a "
			       "'demo debian debian-small'\n",
			       c->name);
	}
}

static int completion(struct args *a)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = {{"bash", bash_print}, {"zsh", zsh_print}, {"fish", fish_print}};
	for (size_t i = 0; i < countof(shells); i++)
		if (!strcmp(shells[i].name, a->operands[0])) {
			shells[i].print();
			return 0;
		}
	return fail_text(a, "no completion for '%s'; bash, zsh and fish exist", a->operands[0]);
}

const struct command command_completion = {
    .name = "completion",
    .operands = "SHELL",
    .summary = "print a completion script",
    .text = "SHELL is bash, zsh or fish. For bash: eval \"$(lodge completion bash)\"\n",
    .min = 1,
    .max = 1,
    .run = completion,
};
