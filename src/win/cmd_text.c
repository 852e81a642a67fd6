/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: text that grows, and words. */
#include "win/cmd.h"
#include <stdio.h>

void *memory_get(size_t n)
{
	void *p = calloc(1, n ? n : 1);
	if (!p)
		process_die(LODGE_EXIT_LODGE, "no memory for cmd.exe");
	return p;
}

void string_add(struct string *t, const char *s, size_t n)
{
	if (t->n + n + 1 > t->cap) {
		size_t cap = 2 * (t->n + n) + 32;
		char *more = realloc(t->s, cap);
		if (!more)
			process_die(LODGE_EXIT_LODGE, "no memory for cmd.exe");
		t->s = more;
		t->cap = cap;
	}
	memcpy(t->s + t->n, s, n);
	t->n += n;
	t->s[t->n] = 0;
}

void string_put(struct string *t, const char *s) { string_add(t, s, strlen(s)); }
void string_char(struct string *t, char c) { string_add(t, &c, 1); }

char *string_take(struct string *t)
{
	char *s = t->s ? t->s : memory_get(1);
	*t = (struct string){0};
	return s;
}

char *text_copy(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *to = memory_get(len + 1);
	memcpy(to, s, len);
	return to;
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f'; }
bool is_between(char c) { return is_blank(c) || c == ',' || c == ';' || c == '='; }

const char *between_skip(const char *s)
{
	while (is_between(*s))
		s++;
	return s;
}

const char *blank_skip(const char *s)
{
	while (is_blank(*s))
		s++;
	return s;
}

char *word_next(const char **at)
{
	const char *s = between_skip(*at), *from = s;
	bool quoted = false;
	for (; *s && (quoted || !is_between(*s)); s++)
		quoted ^= *s == '"';
	*at = s;
	return s > from ? text_copy(from, (size_t)(s - from)) : NULL;
}

char *unquoted(const char *s)
{
	char *to = text_copy(s, SIZE_MAX), *p = to;
	for (; *s; s++)
		if (*s != '"')
			*p++ = *s;
	*p = 0;
	return to;
}

char switch_next(const char **at, char **ret_rest)
{
	const char *s = between_skip(*at), *from = s + 2;
	bool quoted = false;
	if (*s != '/' || !s[1])
		return 0;
	for (s++; *s && (quoted || (!is_between(*s) && *s != '/')); s++)
		quoted ^= *s == '"';
	if (ret_rest) {
		free(*ret_rest);
		*ret_rest = text_copy(from, (size_t)(s - from));
	}
	*at = s;
	char c = from[-1];
	return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

/* ---- output ---- */

void write_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t r = write(fd, s, n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return;
		s += r;
		n -= (size_t)r;
	}
}

static void say_to(int fd, const char *fmt, va_list ap)
{
	struct string t = {0};
	autofree char *s = NULL;
	if (vasprintf(&s, fmt, ap) < 0)
		return;
	for (const char *p = s; *p; p++) {
		if (*p == '\n')
			string_char(&t, '\r');
		string_char(&t, *p);
	}
	autofree char *all = string_take(&t);
	write_all(fd, all, strlen(all));
}

void say(struct cmd *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say_to(c->fd[1], fmt, ap);
	va_end(ap);
}

void complain(struct cmd *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say_to(c->fd[2], fmt, ap);
	va_end(ap);
}

uint32_t complain_error(struct cmd *c, uint32_t error)
{
	const char *text = error_text(error);
	if (text)
		complain(c, "%s\n", text);
	else
		complain(c, "Error %u.\n", error);
	return 1;
}

bool input_line(struct cmd *c, struct string *ret)
{
	char b;
	bool any = false;
	for (;;) { /* byte by byte: the rest is for whom is started next */
		ssize_t n = read(c->fd[0], &b, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return any;
		any = true;
		if (b == '\n')
			return true;
		if (b != '\r')
			string_char(ret, b);
	}
}
