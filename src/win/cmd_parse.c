/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: a line, or several, become a tree. ^ takes the meaning of the next character away, and
 * is gone then; quotes stay. & binds least, then ||, &&, |; what follows if and for is theirs to
 * the end of the line, as far as it is not in parentheses. */
#include "win/cmd.h"

enum { DEPTH_MAX = 500, OPERATORS_MAX = 10000 };
struct parser {
	struct lines *lines;
	char *line; /* owned */
	const char *at;
	unsigned parens, depth, operators;
	char *bad; /* owned: what was not expected */
};

static struct node *parse_sequence(struct parser *p);
static struct node *parse_command(struct parser *p);

void node_free(struct node *n)
{
	while (n) { /* a block may have many lines */
		struct node *next = n->b;
		node_free(n->a);
		for (struct redirect *r = n->to, *after; r; r = after) {
			after = r->next;
			free(r->target);
			free(r);
		}
		free(n->text);
		free(n->other);
		free(n);
		n = next;
	}
}

static struct node *node_new(enum node_kind k)
{
	struct node *n = memory_get(sizeof *n);
	n->kind = k;
	return n;
}

static void unexpected(struct parser *p, const char *what, size_t n)
{
	if (!p->bad)
		p->bad = text_copy(what, n);
	p->at = "";
}

static bool line_next(struct parser *p)
{
	char *line = p->bad ? NULL : p->lines->next(p->lines->arg);
	if (!line)
		return false;
	free(p->line);
	p->line = line;
	p->at = line;
	return true;
}

/* ---- characters and words ---- */

/* Behind ^ at the end of a line is the first character of the next. */
static void escaped_put(struct parser *p, struct string *t)
{
	p->at++;
	if (!*p->at && !line_next(p))
		return;
	if (*p->at)
		string_char(t, *p->at++);
}

static bool ends_command(const struct parser *p)
{
	char c = *p->at;
	return !c || c == '&' || c == '|' || (c == ')' && p->parens);
}

/* A word up to what stands between words or has a meaning. @stop: characters that end it, too. */
static char *word_get(struct parser *p, const char *stop)
{
	struct string t = {0};
	bool quoted = false;
	while (*p->at) {
		char c = *p->at;
		if (!quoted && (is_between(c) || strchr("&|<>", c) || strchr(stop, c)))
			break;
		if (!quoted && c == '^') {
			escaped_put(p, &t);
			continue;
		}
		quoted ^= c == '"';
		string_char(&t, c);
		p->at++;
	}
	return string_take(&t);
}

/* Is the next word @w? It is passed then. */
static bool word_is(struct parser *p, const char *w)
{
	const char *s = between_skip(p->at);
	size_t n = strlen(w);
	if (strncasecmp(s, w, n) != 0 || !(!s[n] || is_between(s[n]) || strchr("(&|<>/\"", s[n])))
		return false;
	p->at = s + n;
	return true;
}

/* ---- redirections ---- */

/* At < or >, or a digit before one: a redirection, put at *@end. */
static bool redirect_parse(struct parser *p, struct redirect ***end)
{
	const char *s = p->at;
	int fd = -1;
	if (*s >= '0' && *s <= '9' && (s[1] == '<' || s[1] == '>'))
		fd = *s++ - '0';
	if (*s != '<' && *s != '>')
		return false;
	struct redirect *r = memory_get(sizeof *r);
	r->how = *s == '<' ? REDIRECT_IN : s[1] == '>' ? REDIRECT_APPEND : REDIRECT_OUT;
	r->fd = fd >= 0 ? fd : r->how != REDIRECT_IN;
	**end = r;
	*end = &r->next;
	p->at = s + 1 + (r->how == REDIRECT_APPEND);
	if (*p->at == '&') {
		r->how = REDIRECT_COPY;
		p->at++;
	}
	p->at = blank_skip(p->at);
	autofree char *word = word_get(p, p->parens ? ")" : "");
	r->target = unquoted(word);
	if (!*r->target)
		unexpected(p, *p->at ? p->at : "", 1);
	return true;
}

static struct redirect **redirects_end(struct node *n)
{
	struct redirect **end = &n->to;
	while (*end)
		end = &(*end)->next;
	return end;
}

/* ---- commands ---- */

static void text_parse(struct parser *p, struct node *n)
{
	struct string t = {0};
	struct redirect **end = redirects_end(n);
	bool quoted = false;
	while (*p->at && !p->bad) {
		char c = *p->at;
		if (!quoted) {
			bool first = !t.n || is_between(t.s[t.n - 1]);
			if (ends_command(p))
				break;
			if (c == '^') {
				escaped_put(p, &t);
				continue;
			}
			if ((c == '<' || c == '>' || (first && c >= '0' && c <= '9')) &&
			    redirect_parse(p, &end))
				continue;
		}
		quoted ^= c == '"';
		string_char(&t, c);
		p->at++;
	}
	n->text = string_take(&t);
}

/* Lines up to the parenthesis that closes. */
static struct node *block_parse(struct parser *p)
{
	struct node *n = node_new(NODE_BLOCK), **end = &n->a;
	p->at++;
	p->parens++;
	while (!p->bad) {
		p->at = between_skip(p->at);
		if (*p->at == ')')
			break;
		if (!*p->at) {
			if (!line_next(p)) {
				unexpected(p, "", 0);
				break;
			}
			if (p->lines->batch && *between_skip(p->at) == ':')
				p->at = "";
			continue;
		}
		struct node *one = parse_sequence(p);
		if (!one)
			continue;
		if (*end) {
			struct node *both = node_new(NODE_THEN);
			both->a = *end;
			both->b = one;
			both->lines = true;
			*end = both;
			end = &both->b;
		} else {
			*end = one;
		}
	}
	p->at += *p->at == ')';
	p->parens--;
	struct redirect **to = redirects_end(n);
	for (p->at = blank_skip(p->at); redirect_parse(p, &to); p->at = blank_skip(p->at))
		continue;
	return n;
}

static struct node *body_parse(struct parser *p)
{
	p->at = between_skip(p->at);
	struct node *n = ends_command(p) ? NULL : parse_sequence(p);
	if (!n)
		unexpected(p, p->at, 1);
	return n;
}

static bool comparison_parse(struct parser *p, struct node *n)
{
	static const char *const names[] = {"equ", "neq", "lss", "leq", "gtr", "geq"};
	const char *s = blank_skip(p->at);
	if (s[0] == '=' && s[1] == '=') {
		p->at = s + 2;
		return true;
	}
	for (size_t i = 0; i < countof(names); i++)
		if (word_is(p, names[i])) {
			n->op = CMP_EQU + (enum comparison)i;
			return true;
		}
	return false;
}

static struct node *if_parse(struct parser *p)
{
	struct node *n = node_new(NODE_IF);
	while (true) {
		if (word_is(p, "/i"))
			n->fold = true;
		else if (word_is(p, "not"))
			n->negate = !n->negate;
		else
			break;
	}
	n->test = word_is(p, "exist")           ? IF_EXIST
		  : word_is(p, "defined")       ? IF_DEFINED
		  : word_is(p, "errorlevel")    ? IF_LEVEL
		  : word_is(p, "cmdextversion") ? IF_VERSION
						: IF_COMPARE;
	p->at = between_skip(p->at);
	n->text = word_get(p, "");
	if (n->test == IF_COMPARE) {
		if (!comparison_parse(p, n))
			unexpected(p, between_skip(p->at), strcspn(between_skip(p->at), " \t"));
		p->at = between_skip(p->at);
		n->other = word_get(p, "");
	}
	if (!p->bad)
		n->a = body_parse(p);
	if (!p->bad && word_is(p, "else"))
		n->b = body_parse(p);
	return n;
}

/* What stands in the parentheses of for, which may be several lines. */
static char *set_parse(struct parser *p)
{
	struct string t = {0};
	bool quoted = false;
	for (;;) {
		char c = *p->at;
		if (!c) {
			if (!line_next(p)) {
				unexpected(p, "", 0);
				return string_take(&t);
			}
			string_char(&t, ' ');
			quoted = false;
			continue;
		}
		if (!quoted && c == ')') {
			p->at++;
			return string_take(&t);
		}
		if (!quoted && c == '^') {
			escaped_put(p, &t);
			continue;
		}
		quoted ^= c == '"';
		string_char(&t, c);
		p->at++;
	}
}

static struct node *for_parse(struct parser *p)
{
	static const char kinds[][3] = {"/d", "/f", "/l", "/r"};
	struct node *n = node_new(NODE_FOR);
	for (size_t i = 0; i < countof(kinds); i++)
		if (word_is(p, kinds[i]))
			n->what = kinds[i][1];
	p->at = between_skip(p->at);
	if ((n->what == 'f' || n->what == 'r') && *p->at != '%')
		n->other = word_get(p, "");
	p->at = between_skip(p->at);
	if (p->at[0] != '%' || !p->at[1] || p->at[1] & 0x80 || is_between(p->at[1])) {
		unexpected(p, p->at, strcspn(p->at, " \t"));
		return n;
	}
	n->variable = p->at[1];
	p->at += 2;
	if (!word_is(p, "in") || *(p->at = between_skip(p->at)) != '(') {
		unexpected(p, p->at, strcspn(p->at, " \t"));
		return n;
	}
	p->at++;
	n->text = set_parse(p);
	if (!p->bad && !word_is(p, "do"))
		unexpected(p, p->at, strcspn(p->at, " \t"));
	if (!p->bad)
		n->a = body_parse(p);
	return n;
}

static struct node *parse_command(struct parser *p)
{
	struct redirect *first = NULL, **end = &first;
	struct node *n = NULL;
	bool quiet = false;
	if (++p->depth > DEPTH_MAX)
		unexpected(p, p->at, 1);
	for (;; p->at++) {
		p->at = between_skip(p->at);
		if (redirect_parse(p, &end)) {
			p->at--;
			continue;
		}
		if (*p->at != '@')
			break;
		quiet = true;
	}
	if (p->bad || (ends_command(p) && !first)) {
		if (!p->bad)
			unexpected(p, p->at, p->at[0] && p->at[0] == p->at[1] ? 2 : 1);
	} else if (*p->at == '(') {
		n = block_parse(p);
	} else if (word_is(p, "if")) {
		n = if_parse(p);
	} else if (word_is(p, "for")) {
		n = for_parse(p);
	} else if (word_is(p, "rem") || *p->at == ')') {
		p->at = "";
		n = node_new(NODE_SIMPLE);
		n->text = text_copy("rem", 3);
	} else {
		n = node_new(NODE_SIMPLE);
		text_parse(p, n);
	}
	p->depth--;
	if (!n)
		n = node_new(NODE_BLOCK); /* of nothing: something is bad */
	*end = n->to;
	n->to = first;
	n->quiet = quiet;
	return n;
}

/* ---- operators ---- */

static struct node *pair(struct parser *p, enum node_kind k, struct node *a, struct node *b)
{
	struct node *n = node_new(k);
	if (k != NODE_THEN && ++p->operators > OPERATORS_MAX)
		unexpected(p, p->at, 1);
	n->a = a;
	n->b = b;
	n->quiet = a->quiet;
	return n;
}

static struct node *parse_pipe(struct parser *p)
{
	struct node *n = parse_command(p);
	p->at = blank_skip(p->at);
	if (p->bad || p->at[0] != '|' || p->at[1] == '|')
		return n;
	p->at++;
	struct node *both = pair(p, NODE_PIPE, n, NULL);
	both->b = parse_pipe(p);
	return both;
}

/* What @next reads, joined from the left by @op twice. */
static struct node *parse_chain(struct parser *p, char op, enum node_kind kind,
				struct node *(*next)(struct parser *p))
{
	struct node *n = next(p);
	while (!p->bad && p->at[0] == op && p->at[1] == op) {
		p->at += 2;
		n = pair(p, kind, n, next(p));
	}
	return n;
}

static struct node *parse_and(struct parser *p)
{
	return parse_chain(p, '&', NODE_AND, parse_pipe);
}

static struct node *parse_or(struct parser *p) { return parse_chain(p, '|', NODE_OR, parse_and); }

static struct node *parse_sequence(struct parser *p)
{
	struct node *n = parse_or(p), **end = &n;
	while (!p->bad && p->at[0] == '&') {
		p->at = between_skip(p->at + 1);
		if (!*p->at || (*p->at == ')' && p->parens))
			break;
		*end = pair(p, NODE_THEN, *end, parse_or(p));
		end = &(*end)->b;
	}
	return n;
}

bool parse_next(struct lines *l, struct node **ret, char **ret_bad)
{
	struct parser p = {.lines = l};
	*ret = NULL;
	*ret_bad = NULL;
	if (!line_next(&p))
		return false;
	const char *s = between_skip(p.at);
	if (*s && !(l->batch && *s == ':')) {
		*ret = parse_sequence(&p);
		if (!p.bad && *between_skip(p.at))
			unexpected(&p, between_skip(p.at), strcspn(between_skip(p.at), " \t"));
	}
	free(p.line);
	if (!p.bad)
		return true;
	node_free(*ret);
	*ret = NULL;
	*ret_bad = p.bad;
	return false;
}
