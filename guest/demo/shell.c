/* SPDX-License-Identifier: Apache-2.0 */
/* The demo guest's prompt: line editing, history, scripts from the boot arguments. */
#include "demo.h"

enum { LINE = 120, HISTORY = 16, CTRL_C = 3, CTRL_D = 4, CTRL_L = 12, CTRL_U = 21, ESC = 27 };

static char history[HISTORY][LINE];
static unsigned entries;

bool interrupted(void) { return get() == CTRL_C; }

static int wait_key(void)
{
	for (;;) {
		int c = get();
		if (c >= 0)
			return c;
		rest();
	}
}

static void run_one(const char *s)
{
	char name[16];
	unsigned n = 0;
	while (*s == ' ')
		s++;
	while (*s && *s != ' ' && n < sizeof(name) - 1)
		name[n++] = *s++;
	name[n] = '\0';
	while (*s == ' ')
		s++;
	if (!n)
		return;
	for (unsigned i = 0; i < command_count; i++) {
		if (!strcmp(name, commands[i].name)) {
			commands[i].run(s);
			return;
		}
	}
	print("%s: there is no such command; 'help' lists them\n", name);
}

/* Commands with ; between them. */
static void run_line(const char *s, const char *end)
{
	while (s < end) {
		char one[LINE];
		unsigned n = 0;
		for (; s < end && *s != ';'; s++)
			if (n < sizeof(one) - 1)
				one[n++] = *s;
		s++;
		while (n && one[n - 1] == ' ')
			n--;
		one[n] = '\0';
		run_one(one);
	}
}

static void replace(char *line, unsigned *n, const char *with)
{
	while (*n) {
		print("\b \b");
		--*n;
	}
	for (; *with && *n < LINE - 1; with++)
		line[(*n)++] = *with;
	line[*n] = '\0';
	print("%s", line);
}

static void arrow(char *line, unsigned *n, unsigned *at)
{
	if (wait_key() != '[')
		return;
	int c = wait_key();
	unsigned oldest = entries > HISTORY ? entries - HISTORY : 0;
	if (c == 'A' && *at > oldest)
		replace(line, n, history[--*at % HISTORY]);
	else if (c == 'B' && *at < entries)
		replace(line, n, ++*at == entries ? "" : history[*at % HISTORY]);
}

/* Read a line; false if it was given up by Ctrl-C. */
static bool read_line(char *line)
{
	unsigned n = 0, at = entries;
	for (;;) {
		int c = wait_key();
		if (c == '\r' || c == '\n') {
			put('\n');
			line[n] = '\0';
			return true;
		} else if (c == CTRL_C) {
			print("^C\n");
			return false;
		} else if ((c == 8 || c == 127) && n) {
			n--;
			print("\b \b");
		} else if (c == CTRL_U) {
			replace(line, &n, "");
		} else if (c == CTRL_L) {
			line[n] = '\0';
			print("\033[H\033[Jlodge> %s", line);
		} else if (c == CTRL_D && !n) {
			print("poweroff\n");
			machine_off(0);
		} else if (c == ESC) {
			arrow(line, &n, &at);
		} else if (c >= ' ' && c < 127 && n < LINE - 1) {
			line[n++] = (char)c;
			put((char)c);
		}
	}
}

/* run=COMMANDS, or run="COMMANDS with spaces", in the boot arguments. */
static void run_bootargs(void)
{
	const char *s = machine.bootargs;
	for (; (s = find(s, "run=")) && s != machine.bootargs && s[-1] != ' '; s++)
		;
	if (!s)
		return;
	s += 4;
	char end = *s == '"' ? '"' : ' ';
	s += end == '"';
	const char *e = s;
	while (*e && *e != end)
		e++;
	run_line(s, e);
}

_Noreturn void shell(void)
{
	run_bootargs();
	for (;;) {
		char line[LINE];
		print("%slodge>%s ", green(), plain());
		if (!read_line(line) || !line[0])
			continue;
		if (!entries || strcmp(history[(entries - 1) % HISTORY], line)) {
			memcpy(history[entries % HISTORY], line, strlen(line) + 1);
			entries++;
		}
		run_line(line, line + strlen(line));
	}
}
