/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: what it says: echo, the prompt, commands as they are echoed, ver and its like. */
#include "win/cmd.h"
#include <stdlib.h>
#include <time.h>

BUILT_IN(cmd_nothing)
{
	(void)c;
	(void)args;
	return 0;
}

BUILT_IN(cmd_echo)
{
	const char *s = between_skip(args);
	size_t n = strcspn(s, " \t");
	bool alone = !*between_skip(s + n) && is_between(*args);
	if (!*args || (!*s && is_between(*args) && !strpbrk(args, ",;="))) {
		say(c, "ECHO is %s.\n", c->silent ? "off" : "on");
		return 0;
	}
	if (alone && n == 2 && !strncasecmp(s, "on", 2)) {
		c->silent = false;
	} else if (alone && n == 3 && !strncasecmp(s, "off", 3)) {
		c->silent = true;
	} else {
		say(c, "%s\n", args + 1);
	}
	return 0;
}

/* ---- the prompt ---- */

static void prompt_put(struct cmd *c, struct string *t, const char *format)
{
	static const char plain[][2] = {{'a', '&'}, {'b', '|'}, {'c', '('}, {'f', ')'}, {'g', '>'},
					{'l', '<'}, {'q', '='}, {'s', ' '}, {'$', '$'}, {'e', 27}};
	for (const char *s = format; *s; s++) {
		char k = *s == '$' && s[1] ? (char)(*++s | 32) : 0;
		if (!k) {
			string_char(t, *s);
			continue;
		}
		autofree char *v = k == 'd'               ? variable_get(c, "date", 4)
				   : k == 't'             ? variable_get(c, "time", 4)
				   : k == 'p'             ? text_copy(path_cwd(), SIZE_MAX)
				   : k == 'n'             ? text_copy(path_cwd(), 1)
				   : k == '_' || k == 127 ? text_copy("\n", 1)
							  : NULL;
		if (v)
			string_put(t, v);
		for (size_t i = 0; !v && i < countof(plain); i++)
			if (plain[i][0] == k || (k == ('$' | 32) && plain[i][0] == '$'))
				string_char(t, plain[i][1]);
	}
}

void prompt_print(struct cmd *c)
{
	struct string t = {0};
	autofree char *format = environment_get("PROMPT");
	prompt_put(c, &t, format ? format : "$P$G");
	autofree char *s = string_take(&t);
	say(c, "%s", s);
}

BUILT_IN(cmd_prompt)
{
	const char *s = between_skip(args);
	(void)c;
	environment_set("PROMPT", *s ? s : NULL);
	return 0;
}

/* ---- commands as they were understood ---- */

static void redirects_print(struct string *t, const struct redirect *r)
{
	static const char *const marks[] = {"<", ">", ">>"};
	for (; r; r = r->next) {
		string_char(t, ' ');
		string_char(t, (char)('0' + r->fd));
		string_put(t, r->how == REDIRECT_COPY ? r->fd ? ">&" : "<&" : marks[r->how]);
		string_put(t, r->target);
		string_char(t, ' ');
	}
}

static void if_print(struct string *t, const struct node *n)
{
	static const char *const tests[] = {"exist", "defined", "errorlevel", "cmdextversion"};
	static const char *const ops[] = {"==",    " EQU ", " NEQ ", " LSS ",
					  " LEQ ", " GTR ", " GEQ "};
	string_put(t, n->fold ? "if /I " : "if ");
	string_put(t, n->negate ? "not " : "");
	if (n->test != IF_COMPARE) {
		string_put(t, tests[n->test]);
		string_char(t, ' ');
	}
	string_put(t, n->text);
	if (n->test == IF_COMPARE) {
		string_put(t, ops[n->op]);
		string_put(t, n->other);
	}
	string_char(t, ' ');
	node_print(t, n->a);
	if (n->b) {
		string_put(t, " else ");
		node_print(t, n->b);
	}
}

static void for_print(struct string *t, const struct node *n)
{
	string_put(t, "for ");
	if (n->what) {
		string_char(t, '/');
		string_char(t, (char)(n->what & ~32));
		string_char(t, ' ');
	}
	if (n->other && *n->other) {
		string_put(t, n->other);
		string_char(t, ' ');
	}
	string_char(t, '%');
	string_char(t, n->variable);
	string_put(t, " in (");
	string_put(t, n->text);
	string_put(t, ") do ");
	node_print(t, n->a);
}

void node_print(struct string *t, const struct node *n)
{
	static const char *const ops[] = {
	    [NODE_THEN] = " & ", [NODE_AND] = " && ", [NODE_OR] = " || ", [NODE_PIPE] = " | "};
	for (; n->kind == NODE_THEN && !n->to; n = n->b) { /* of these there may be any number */
		node_print(t, n->a);
		string_put(t, ops[NODE_THEN]);
	}
	switch (n->kind) {
	case NODE_SIMPLE: string_put(t, n->text); break;
	case NODE_IF: if_print(t, n); break;
	case NODE_FOR: for_print(t, n); break;
	case NODE_BLOCK:
		string_put(t, "(");
		for (const struct node *at = n->a; at; at = at->kind == NODE_THEN ? at->b : NULL) {
			node_print(t, at->kind == NODE_THEN ? at->a : at);
			string_put(t, at->kind != NODE_THEN ? " " : at->lines ? "\n" : " & ");
		}
		string_put(t, ")");
		break;
	case NODE_THEN:
	case NODE_AND:
	case NODE_OR:
	case NODE_PIPE:
		node_print(t, n->a);
		string_put(t, ops[n->kind]);
		node_print(t, n->b);
	}
	redirects_print(t, n->to);
}

void command_echo(struct cmd *c, const struct node *n)
{
	struct string t = {0};
	if (c->silent)
		return;
	node_print(&t, n);
	autofree char *raw = string_take(&t), *s = expand_late(c, raw);
	say(c, "\n");
	prompt_print(c);
	say(c, "%s \n", s);
}

/* ---- ver and its like ---- */

BUILT_IN(cmd_ver)
{
	(void)args;
	say(c, "\nMicrosoft Windows [Version %d.%d.%d.0]\n", VERSION_MAJOR, VERSION_MINOR,
	    VERSION_BUILD);
	return 0;
}

BUILT_IN(cmd_cls)
{
	(void)args;
	write_all(c->fd[1], "\f", 1);
	return 0;
}

BUILT_IN(cmd_pause)
{
	struct string t = {0};
	(void)args;
	say(c, "Press any key to continue . . . ");
	(void)!input_line(c, &t);
	free(string_take(&t));
	say(c, "\n");
	return 0;
}

static uint32_t clock_show(struct cmd *c, const char *args, const char *what)
{
	const char *s = between_skip(args);
	autofree char *v = variable_get(c, what, 4);
	if (!strncasecmp(s, "/t", 2)) {
		say(c, "%.*s\n", *what == 't' ? 5 : 14, v);
		return 0;
	}
	say(c, "The current %s is: %s\n", what, v);
	if (!*s)
		return 0;
	complain(c, "A required privilege is not held by the client.\n");
	return 1;
}

BUILT_IN(cmd_date) { return clock_show(c, args, "date"); }
BUILT_IN(cmd_time) { return clock_show(c, args, "time"); }

WINAPI uint32_t k32_GetConsoleOutputCP(void);
WINAPI uint32_t k32_SetConsoleOutputCP(uint32_t page);
WINAPI uint32_t k32_SetConsoleCP(uint32_t page);

BUILT_IN(cmd_chcp)
{
	const char *s = between_skip(args);
	uint32_t page = (uint32_t)strtoul(s, NULL, 10);
	if (*s && !(k32_SetConsoleOutputCP(page) && k32_SetConsoleCP(page))) {
		complain(c, "Invalid code page\n");
		return 1;
	}
	say(c, "Active code page: %u\n", k32_GetConsoleOutputCP());
	return 0;
}

/* ---- attributes, links ---- */

WINAPI uint32_t k32_SetFileAttributesA(const char *path, uint32_t attributes);
WINAPI uint32_t k32_CreateHardLinkW(const wide *made, const wide *of, void *security);
WINAPI uint8_t k32_CreateSymbolicLinkW(const wide *made, const wide *to, uint32_t flags);

static void attributes_show(struct cmd *c, const char *path)
{
	uint32_t a = attributes_of(path);
	autofree char *full = path_full(path);
	say(c, "%c  %c%c%c               %s\n", a & 32 ? 'A' : ' ', a & 4 ? 'S' : ' ',
	    a & 2 ? 'H' : ' ', a & 1 ? 'R' : ' ', full ? full : path);
}

static uint32_t attribute_bit(char letter)
{
	switch (letter | 32) {
	case 'r': return 1;
	case 'h': return 2;
	case 's': return 4;
	case 'a': return 32;
	default: return 0;
	}
}

BUILT_IN(cmd_attrib)
{
	uint32_t set = 0, clear = 0, r = 0;
	const char *s = args;
	for (char *w; (w = word_next(&s)); free(w)) {
		autofree char *bare = unquoted(w), *folder = folder_of(bare);
		size_t n = 0;
		if (*bare == '/')
			continue;
		if (*bare == '+' || *bare == '-') {
			*(*bare == '+' ? &set : &clear) |= attribute_bit(bare[1]);
			continue;
		}
		struct entry *e = entries_get(bare, &n);
		if (!n) {
			complain(c, "File not found - %s\n", bare);
			r = 1;
		}
		for (size_t i = 0; i < n; i++) {
			autofree char *path = path_join(folder, e[i].name);
			if (set | clear)
				k32_SetFileAttributesA(path, (e[i].attributes | set) & ~clear);
			else
				attributes_show(c, path);
		}
		entries_free(e, n);
	}
	return r;
}

BUILT_IN(cmd_mklink)
{
	const char *s = args;
	char k = switch_next(&s, NULL);
	autofree char *a = word_next(&s), *b = word_next(&s);
	autofree char *made = unquoted(a ? a : ""), *to = unquoted(b ? b : "");
	autofree wide *wmade = text_wide(made, SIZE_MAX), *wto = text_wide(to, SIZE_MAX);
	if (!*made || !*to) {
		complain(c, "The syntax of the command is incorrect.\n");
		return 1;
	}
	bool ok = k == 'h' ? k32_CreateHardLinkW(wmade, wto, NULL)
			   : k32_CreateSymbolicLinkW(wmade, wto, k == 'd' || k == 'j');
	if (!ok)
		return complain_error(c, last_error());
	say(c, "%s created for %s <<===>> %s\n",
	    k == 'h'   ? "Hardlink"
	    : k == 'j' ? "Junction"
		       : "symbolic link",
	    made, to);
	return 0;
}
