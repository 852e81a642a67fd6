/* SPDX-License-Identifier: Apache-2.0 */
/* cli: the entry; commands are rows of commands.def. */
#include "cli/cli.h"
#include <signal.h>

#define COMMAND(n) extern const struct command command_##n;
#include "cli/commands.def"
static const struct command *const commands[] = {
#define COMMAND(n) &command_##n,
#include "cli/commands.def"
};

const struct command *command_at(size_t i) { return i < countof(commands) ? commands[i] : NULL; }

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < countof(commands); i++)
		if (!strcmp(commands[i]->name, name) ||
		    (commands[i]->alias && !strcmp(commands[i]->alias, name)))
			return commands[i];
	return NULL;
}

static const char *command_name_at(void *user, size_t i)
{
	(void)user;
	return i < countof(commands) ? commands[i]->name : NULL;
}

/* What must be known before the options are parsed: errors of parsing are JSON, too. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--format=json") ||
		    (!strcmp(argv[i], "--format") && i + 1 < argc && !strcmp(argv[i + 1], "json")))
			return true;
	return false;
}

static bool has_format(const struct command *c)
{
	for (size_t i = 0; i < c->noptions; i++)
		if (!strcmp(c->options[i].name, "format"))
			return true;
	return false;
}

static int command_call(const struct command *c, int argc, char **argv)
{
	struct args a = {.cmd = c, .json = has_format(c) && wants_json(argc, argv)};
	int r = args_parse(&a, argc, argv);
	if (a.help) {
		args_free(&a);
		help_print(stdout, c);
		return 0;
	}
	const char *format = r == 0 && has_format(c) ? arg_text(&a, "format") : NULL;
	if (format && c != &command_help && strcmp(format, "json") && strcmp(format, "table") &&
	    (!c->format || strcmp(format, c->format)))
		r = fail_text(&a, "--format %s: %s%sjson or table", format,
			      c->format ? c->format : "", c->format ? ", " : "");
	if (r == 0)
		r = c->run(&a);
	args_free(&a);
	/* A full disk or a closed pipe at the end of a table is an error too. */
	if (fflush(stdout) != 0 && r == 0)
		r = LODGE_EXIT_LODGE;
	return r;
}

/* By what name we are called: an engine has one word for a runtime. */
static bool is_runtime(const char *path)
{
	static const char *const names[] = {"lodge-oci", "runc", "oci"};
	const char *slash = path ? strrchr(path, '/') : NULL;
	for (size_t i = 0; path && i < countof(names); i++)
		if (!strcmp(slash ? slash + 1 : path, names[i]))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	char buf[96];
	signal(SIGCHLD, SIG_DFL); /* ignored by who started us, ends of children are not told */
	if (is_runtime(argv[0]))
		return lodge_oci(argc, argv);
	const char *word = argc > 1 ? argv[1] : NULL;
	if (!word || !strcmp(word, "--help") || !strcmp(word, "-h")) {
		help_print(word ? stdout : stderr, NULL);
		return word ? 0 : LODGE_EXIT_LODGE;
	}
	if (!strcmp(word, "--version"))
		word = "version";
	const struct command *c = command_find(word);
	if (!c) {
		fprintf(stderr, "lodge: no command '%s'%s; see lodge --help\n", word,
			nearest(word, "", command_name_at, NULL, buf, sizeof buf));
		return LODGE_EXIT_LODGE;
	}
	return c->words ? c->words(argc - 1, argv + 1) : command_call(c, argc - 1, argv + 1);
}
