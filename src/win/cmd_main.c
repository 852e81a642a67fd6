/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: how it begins: options, one line, or lines of standard input. */
#include "win/cmd.h"
#include <stdlib.h>

struct options {
	bool keep, once, strip, quiet, delayed;
	const char *line; /* behind /c or /k */
};

/* @s is behind the program's name. */
static void options_read(struct options *o, const char *s)
{
	for (s = between_skip(s); *s; s = between_skip(s)) {
		char k = *s == '/' ? s[1] | 32 : 0;
		if (!k) {
			s += strcspn(s, " \t/");
			continue;
		}
		if (k == 'c' || k == 'k' || k == 'r') {
			o->once = true;
			o->keep = k == 'k';
			o->line = s + 2;
			return;
		}
		o->strip |= k == 's';
		o->quiet |= k == 'q';
		if (k == 'v')
			o->delayed = strncasecmp(s + 2, ":off", 4) != 0;
		s += 2;
		s += *s == ':' ? strcspn(s, " \t/") : 0;
	}
}

/* Exactly two quotes around the name of a program, blanks inside, nothing special: they stay. */
static bool quotes_stay(const char *s, const char *last)
{
	if (strchr(s + 1, '"') != last || last == s)
		return false;
	autofree char *inner = text_copy(s + 1, (size_t)(last - s - 1));
	if (inner[strcspn(inner, "&<>()@^|")] || !strpbrk(inner, " \t"))
		return false;
	autofree char *found = program_lookup(inner);
	return found != NULL;
}

/* The line behind /c, without its first and last quotes as the rules of cmd /? have it. */
static char *line_of(const struct options *o)
{
	const char *s = blank_skip(o->line), *last = strrchr(s, '"');
	struct string t = {0};
	if (*s != '"' || (!o->strip && quotes_stay(s, last)))
		return text_copy(s, SIZE_MAX);
	if (last == s)
		return text_copy(s + 1, SIZE_MAX);
	string_add(&t, s + 1, (size_t)(last - s - 1));
	string_put(&t, last + 1);
	return string_take(&t);
}

/* ---- lines ---- */

struct one_line {
	struct cmd *c;
	const char *rest;
};

static char *one_next(void *arg)
{
	struct one_line *o = arg;
	if (!*o->rest)
		return NULL;
	size_t n = strcspn(o->rest, "\r\n");
	autofree char *line = text_copy(o->rest, n);
	o->rest += n + strspn(o->rest + n, "\r\n");
	return expand_line(o->c, line);
}

/* Of a command line, no arguments are known. */
uint32_t cmd_run_line(struct cmd *c, const char *line)
{
	struct one_line o = {c, line};
	struct lines l = {.next = one_next, .arg = &o};
	struct batch *was = c->batch;
	c->batch = NULL;
	uint32_t r = cmd_run_lines(c, &l);
	c->batch = was;
	return r;
}

static char *input_next(void *arg)
{
	struct cmd *c = arg;
	struct string t = {0};
	if (!c->silent) {
		say(c, "\n");
		prompt_print(c);
	}
	bool any = input_line(c, &t);
	autofree char *line = string_take(&t);
	if (any && !c->silent && !isatty(c->fd[0]))
		say(c, "%s\n", line);
	return any ? expand_line(c, line) : NULL;
}

static void input_run(struct cmd *c)
{
	struct lines l = {.next = input_next, .arg = c};
	while (c->jump != JUMP_EXIT) {
		c->jump = JUMP_NONE;
		if (cmd_run_lines(c, &l) != 255) /* all but a line that was not understood */
			break;
	}
}

void cmd_main(void *unused)
{
	struct options o = {0};
	struct cmd *c = memory_get(sizeof *c);
	(void)unused;
	*c = (struct cmd){.fd = {0, 1, 2}, .line = process()->command_line8};
	c->random = (uint32_t)host_monotonic_ns();
	c->stack = __builtin_frame_address(0);
	const char *rest = c->line;
	free(word_next(&rest));
	options_read(&o, rest);
	c->silent = o.quiet;
	c->delayed = o.delayed;
	autofree char *line = o.once ? line_of(&o) : NULL;
	if (line)
		(void)cmd_run_line(c, line);
	else
		say(c, "Microsoft Windows [Version %d.%d.%d.0]\n", VERSION_MAJOR, VERSION_MINOR,
		    VERSION_BUILD);
	if (!line || (o.keep && c->jump != JUMP_EXIT)) {
		c->jump = JUMP_NONE;
		input_run(c);
	}
	started_wait(c);
	process_exit(c->level);
}
