/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: set, with its arithmetic of 32 bits, and set /p. */
#include "win/cmd.h"
#include <stdio.h>
#include <stdlib.h>

enum {
	NO_OPERATOR = 1073750989,
	NO_PARENTHESIS = 1073750988,
	BAD_NUMBER = 1073750990,
	NO_OPERAND = 1073750992,
	BY_ZERO = 1073750993,
	DEPTH_MAX = 200
};

/* ---- set /a ---- */

struct sum {
	struct cmd *c;
	const char *at;
	uint32_t bad;
	unsigned depth;
};

static int32_t comma(struct sum *m);

static bool name_char(char ch) { return ch && !is_blank(ch) && !strchr("()!~-*/%+<>&^|=,\"", ch); }

static char *name_read(struct sum *m)
{
	const char *from = m->at;
	while (name_char(*m->at))
		m->at++;
	return text_copy(from, (size_t)(m->at - from));
}

static int32_t value_of(struct sum *m, const char *name)
{
	autofree char *v = variable_get(m->c, name, SIZE_MAX);
	return v ? (int32_t)strtol(v, NULL, 0) : 0;
}

static int32_t primary(struct sum *m)
{
	char *end;
	m->at = blank_skip(m->at);
	char ch = *m->at;
	if (m->bad || ++m->depth > DEPTH_MAX) {
		m->bad = m->bad ? m->bad : NO_OPERAND;
		return 0;
	}
	int32_t v = 0;
	if (ch == '(') {
		m->at++;
		v = comma(m);
		m->at = blank_skip(m->at);
		if (*m->at != ')')
			m->bad = m->bad ? m->bad : NO_PARENTHESIS;
		m->at += *m->at == ')';
	} else if (ch == '-' || ch == '+' || ch == '~' || ch == '!') {
		m->at++;
		v = primary(m);
		v = ch == '-' ? (int32_t)(0 - (uint32_t)v) : ch == '~' ? ~v : ch == '!' ? !v : v;
	} else if (ch >= '0' && ch <= '9') {
		v = (int32_t)strtol(m->at, &end, 0);
		if (name_char(*end))
			m->bad = BAD_NUMBER;
		m->at = end;
	} else if (name_char(ch)) {
		autofree char *name = name_read(m);
		v = value_of(m, name);
	} else {
		m->bad = NO_OPERAND;
	}
	m->depth--;
	return v;
}

/* The operator at @s: its rank, from 1 which binds least; 0: none. */
static int rank_of(const char *s, size_t *ret_len)
{
	static const struct {
		const char *text;
		int rank;
	} rows[] = {{"<<", 4}, {">>", 4}, {"|", 1}, {"^", 2}, {"&", 3},
		    {"+", 5},  {"-", 5},  {"*", 6}, {"/", 6}, {"%", 6}};
	for (size_t i = 0; i < countof(rows); i++) {
		size_t n = strlen(rows[i].text);
		if (!strncmp(s, rows[i].text, n) && s[n] != '=') {
			*ret_len = n;
			return rows[i].rank;
		}
	}
	return 0;
}

static int32_t apply(struct sum *m, char op, int32_t a, int32_t b)
{
	uint32_t x = (uint32_t)a, y = (uint32_t)b;
	switch (op) {
	case '+': return (int32_t)(x + y);
	case '-': return (int32_t)(x - y);
	case '*': return (int32_t)(x * y);
	case '&': return a & b;
	case '|': return a | b;
	case '^': return a ^ b;
	case '<': return y < 32 ? (int32_t)(x << y) : 0;
	case '>': return y < 32 ? a >> y : a < 0 ? -1 : 0;
	default: break;
	}
	if (!b) {
		m->bad = m->bad ? m->bad : BY_ZERO;
		return 0;
	}
	if (b == -1)
		return op == '%' ? 0 : (int32_t)(0 - x);
	return op == '/' ? a / b : a % b;
}

static int32_t binary(struct sum *m, int least)
{
	int32_t v = primary(m);
	size_t n = 0;
	for (int rank; !m->bad;) {
		m->at = blank_skip(m->at);
		rank = rank_of(m->at, &n);
		if (!rank || rank < least)
			break;
		char op = *m->at;
		m->at += n;
		v = apply(m, op, v, binary(m, rank + 1));
	}
	return v;
}

/* NAME = ..., NAME += ..., or no assignment. */
static int32_t assignment(struct sum *m)
{
	const char *from = m->at = blank_skip(m->at);
	autofree char *name = name_read(m);
	const char *op = blank_skip(m->at);
	size_t n = 0;
	if (*name && !(*name >= '0' && *name <= '9')) {
		if (*op == '=')
			n = 1;
		else if (strchr("+-*/%&^|", *op) && *op && op[1] == '=')
			n = 2;
		else if ((!strncmp(op, "<<", 2) || !strncmp(op, ">>", 2)) && op[2] == '=')
			n = 3;
	}
	if (!n) {
		m->at = from;
		return binary(m, 1);
	}
	m->at = op + n;
	if (++m->depth > DEPTH_MAX)
		m->bad = NO_OPERAND;
	int32_t v = m->bad ? 0 : assignment(m);
	m->depth--;
	if (n > 1)
		v = apply(m, *op, value_of(m, name), v);
	if (!m->bad) {
		char text[16];
		snprintf(text, sizeof text, "%d", v);
		environment_set(name, text);
	}
	return v;
}

static int32_t comma(struct sum *m)
{
	int32_t v = assignment(m);
	for (m->at = blank_skip(m->at); !m->bad && *m->at == ','; m->at = blank_skip(m->at)) {
		m->at++;
		v = assignment(m);
	}
	return v;
}

static uint32_t set_sum(struct cmd *c, const char *text)
{
	autofree char *bare = unquoted(text);
	struct sum m = {.c = c, .at = bare};
	int32_t v = comma(&m);
	if (!m.bad && *blank_skip(m.at))
		m.bad = *m.at == ')' ? NO_PARENTHESIS : NO_OPERATOR;
	switch (m.bad) {
	case 0: break;
	case BY_ZERO: complain(c, "Divide by zero error.\n"); break;
	case NO_PARENTHESIS: complain(c, "Unbalanced parenthesis.\n"); break;
	case BAD_NUMBER:
		complain(c, "Invalid number.  Numeric constants are either decimal (17),\n"
			    "hexadecimal (0x11), or octal (021).\n");
		break;
	case NO_OPERATOR: complain(c, "Missing operator.\n"); break;
	default: complain(c, "Missing operand.\n"); break;
	}
	if (!m.bad && !c->batch)
		say(c, "%d", v);
	return m.bad;
}

/* ---- set ---- */

static int pair_order(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

/* All that begin with @prefix. */
static uint32_t set_list(struct cmd *c, const char *prefix)
{
	char **all = environment_copy();
	size_t n = 0, len = strlen(prefix), shown = 0;
	while (all && all[n])
		n++;
	if (n)
		qsort(all, n, sizeof *all, pair_order);
	for (size_t i = 0; i < n; i++) {
		if (*all[i] != '=' && !strncasecmp(all[i], prefix, len) && ++shown)
			say(c, "%s\n", all[i]);
		free(all[i]);
	}
	free(all);
	if (!shown && len)
		complain(c, "Environment variable %s not defined\n", prefix);
	return !shown && len;
}

/* "a=b" is meant without its quotes, and what stands behind the last. */
static char *assignment_text(const char *s)
{
	char *last = strrchr(s, '"');
	if (*s != '"' || !strchr(s, '='))
		return text_copy(s, SIZE_MAX);
	return text_copy(s + 1, last > s ? (size_t)(last - s - 1) : SIZE_MAX);
}

static uint32_t set_asked(struct cmd *c, const char *s)
{
	struct string line = {0};
	autofree char *pair = assignment_text(s);
	char *eq = strchr(pair, '=');
	if (!eq) {
		complain(c, "The syntax of the command is incorrect.\n");
		return 1;
	}
	*eq++ = 0;
	const char *question = blank_skip(eq);
	const char *end = *question == '"' ? strrchr(question + 1, '"') : NULL;
	if (end)
		say(c, "%.*s", (int)(end - question - 1), question + 1);
	else
		say(c, "%s", eq);
	bool any = input_line(c, &line);
	autofree char *value = string_take(&line);
	if (*value)
		environment_set(pair, value);
	return !any || !*value;
}

BUILT_IN(cmd_set)
{
	const char *s = blank_skip(args);
	if (*s == '/' && (s[1] | 32) == 'a')
		return set_sum(c, s + 2);
	if (*s == '/' && (s[1] | 32) == 'p')
		return set_asked(c, blank_skip(s + 2));
	autofree char *pair = assignment_text(s);
	char *eq = strchr(pair, '=');
	if (!eq || eq == pair) {
		size_t n = strlen(pair);
		while (n && is_blank(pair[n - 1]))
			pair[--n] = 0;
		autofree char *bare = unquoted(pair);
		if (eq == pair && *pair) {
			complain(c, "The syntax of the command is incorrect.\n");
			return 1;
		}
		return set_list(c, bare);
	}
	*eq = 0;
	if (eq[1])
		environment_set(pair, eq + 1);
	else
		environment_set(pair, NULL);
	return 0;
}

BUILT_IN(cmd_path)
{
	const char *s = between_skip(args);
	autofree char *now = environment_get("Path");
	if (*args && *s == 0 && strchr(args, ';'))
		environment_set("Path", NULL);
	else if (*s)
		environment_set("Path", s);
	else if (now)
		say(c, "PATH=%s\n", now);
	else
		say(c, "No Path\n");
	return 0;
}
