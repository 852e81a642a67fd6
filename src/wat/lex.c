/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens. Comments and annotations are spaces; how deep they are nested is counted.
 * Spec: WASM-TEXT 3.0 §6.3 */
#include "wat/internal.h"
#include <stdio.h>

/* Letters, digits and signs that words and identifiers are made of. */
static const bool letters[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true, ['#'] = true,
    ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true, ['*'] = true, ['+'] = true,
    ['-'] = true, ['.'] = true, ['/'] = true, [':'] = true, ['<'] = true, ['='] = true,
    ['>'] = true, ['?'] = true, ['@'] = true, ['\\'] = true, ['^'] = true, ['_'] = true,
    ['`'] = true, ['|'] = true, ['~'] = true};

static void fail(struct wat *w, int code, const char *at, const char *fmt, va_list ap)
{
	char text[256];
	unsigned line = 1;
	const char *begin = w->text;
	if (w->bad)
		return;
	for (const char *p; begin < at && (p = memchr(begin, '\n', (size_t)(at - begin)));
	     begin = p + 1)
		line++;
	(void)vsnprintf(text, sizeof text, fmt, ap);
	for (char *p = text; *p; p++) /* words of the text go to terminals */
		*p = (unsigned char)*p < 32 || *p == 127 ? '?' : *p;
	w->bad = err_set(w->e, code, "%s:%u:%u: %s%s", w->file, line, (unsigned)(at - begin) + 1,
			 w->quoted ? "in the quoted module: " : "", text);
	w->p = w->end;
	w->t = (struct token){.at = w->end, .kind = TOKEN_END};
	w->looked = false;
}

int wat_fail(struct wat *w, const char *at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail(w, EBADMSG, at, fmt, ap);
	va_end(ap);
	return w->bad;
}

int wat_fail_as(struct wat *w, int code, const char *at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail(w, code, at, fmt, ap);
	va_end(ap);
	return w->bad;
}

void wat_nomem(struct wat *w) { (void)wat_fail_as(w, ENOMEM, w->t.at, "out of memory"); }

void wat_expected(struct wat *w, const char *what)
{
	const struct token *t = &w->t;
	if (t->kind == TOKEN_END)
		(void)wat_fail(w, t->at, "%s is expected, and the text ends", what);
	else
		(void)wat_fail(w, t->at, "%s is expected, not %.*s", what,
			       (int)(t->len < 40 ? t->len : 40), t->at);
}

/* ---- spaces ---- */

/* Behind a string that begins at @p; NULL: it does not end in this line. */
static const char *string_end(const struct wat *w, const char *p)
{
	for (p++; p < w->end && *p != '\n'; p++) {
		if (*p == '"')
			return p + 1;
		p += *p == '\\' && p + 1 < w->end && p[1] != '\n';
	}
	return NULL;
}

/* Behind a comment that begins with "(;". */
static const char *comment_end(struct wat *w, const char *begin)
{
	unsigned depth = 0;
	for (const char *p = begin; p + 1 < w->end; p++) {
		if (p[0] == '(' && p[1] == ';') {
			depth++;
			p++;
		} else if (p[0] == ';' && p[1] == ')') {
			p++;
			if (!--depth)
				return p + 1;
		} else {
			w->line += *p == '\n';
		}
	}
	(void)wat_fail(w, begin, "this comment does not end");
	return w->end;
}

static const char *line_end(const struct wat *w, const char *p)
{
	const char *q = memchr(p, '\n', (size_t)(w->end - p));
	return q ? q : w->end;
}

/* Behind an annotation, which has balanced parentheses, strings and comments in it. */
static const char *annotation_end(struct wat *w, const char *begin)
{
	size_t depth = 0;
	for (const char *p = begin; p && p < w->end;) {
		bool two = p + 1 < w->end;
		if (two && p[0] == '(' && p[1] == ';') {
			p = comment_end(w, p);
		} else if (two && p[0] == ';' && p[1] == ';') {
			p = line_end(w, p);
		} else if (*p == '"') {
			p = string_end(w, p);
		} else {
			w->line += *p == '\n';
			depth += *p == '(';
			if (*p++ == ')' && !--depth)
				return p;
		}
	}
	(void)wat_fail(w, begin, "this annotation does not end");
	return w->end;
}

/* The first of a token; comments begin with a letter of none. */
static const char *spaces_skip(struct wat *w, const char *p)
{
	for (; p < w->end; p++) {
		bool two = p + 1 < w->end;
		if (*p == '\n')
			w->line++;
		else if (*p == ' ' || *p == '\t' || *p == '\r')
			continue;
		else if (two && p[0] == ';' && p[1] == ';')
			p = line_end(w, p) - 1;
		else if (two && p[0] == '(' && p[1] == ';')
			p = comment_end(w, p) - 1;
		else if (two && p[0] == '(' && p[1] == '@')
			p = annotation_end(w, p) - 1;
		else
			break;
		if (w->bad)
			return w->end;
	}
	return p;
}

/* ---- tokens ---- */

static void words_apart(struct wat *w, const struct token *t)
{
	const char *p = t->at + t->len;
	if (p < w->end && (letters[(uint8_t)*p] || *p == '"'))
		(void)wat_fail(w, p, "a space is missing between two words or strings");
}

static struct token token_read(struct wat *w)
{
	const char *p = spaces_skip(w, w->p), *q = p;
	struct token t = {.at = p, .kind = TOKEN_END, .line = w->line};
	if (w->bad)
		return w->t;
	w->p = p;
	if (p >= w->end)
		return t;
	if (*p == '(' || *p == ')') {
		t.kind = *p == '(' ? TOKEN_OPEN : TOKEN_CLOSE;
		t.len = 1;
		w->p = p + 1;
		return t;
	}
	t.kind = *p == '"' ? TOKEN_STRING : *p == '$' ? TOKEN_ID : TOKEN_WORD;
	if (*p == '"') {
		q = string_end(w, p);
		if (!q)
			(void)wat_fail(w, p, "this string does not end");
	} else {
		while (q < w->end && letters[(uint8_t)*q])
			q++;
		if (q == p + 1 && *p == '$' && q < w->end && *q == '"')
			q = string_end(w, q);
		if (!q || q == p)
			(void)wat_fail(w, p, q ? "a character 0x%02x that means nothing here"
					       : "this string does not end",
				       (unsigned)(uint8_t)*p);
	}
	if (w->bad)
		return w->t;
	t.len = (uint32_t)(q - p);
	w->p = q;
	words_apart(w, &t);
	return w->bad ? w->t : t;
}

void token_first(struct wat *w)
{
	w->p = w->text;
	w->line = 1;
	w->looked = false;
	w->t = token_read(w);
}

void token_next(struct wat *w)
{
	if (w->looked)
		w->t = w->ahead;
	else
		w->t = token_read(w);
	w->looked = false;
}

const struct token *token_ahead(struct wat *w)
{
	if (!w->looked) {
		w->ahead = token_read(w);
		w->looked = !w->bad;
	}
	return w->bad ? &w->t : &w->ahead;
}

bool token_is(const struct token *t, const char *word)
{
	size_t n = strlen(word);
	return t->kind == TOKEN_WORD && t->len == n && !memcmp(t->at, word, n);
}

bool token_begins(const struct token *t, const char *text)
{
	size_t n = strlen(text);
	return t->kind == TOKEN_WORD && t->len >= n && !memcmp(t->at, text, n);
}

bool open_is(struct wat *w, const char *word)
{
	return w->t.kind == TOKEN_OPEN && token_is(token_ahead(w), word);
}

bool open_take(struct wat *w, const char *word)
{
	if (!open_is(w, word))
		return false;
	token_next(w);
	token_next(w);
	return true;
}

bool word_take(struct wat *w, const char *word)
{
	if (!token_is(&w->t, word))
		return false;
	token_next(w);
	return true;
}

void close_take(struct wat *w)
{
	if (w->t.kind != TOKEN_CLOSE)
		wat_expected(w, ")");
	token_next(w);
}

struct place place_of(const struct wat *w)
{
	return (struct place){w->t, w->ahead, w->p, w->line, w->looked};
}

void place_set(struct wat *w, const struct place *at)
{
	w->t = at->t;
	w->ahead = at->ahead;
	w->p = at->p;
	w->line = at->line;
	w->looked = at->looked;
}

void list_skip(struct wat *w)
{
	for (size_t depth = 1; !w->bad && depth; token_next(w)) {
		if (w->t.kind == TOKEN_END)
			wat_expected(w, ")");
		depth += w->t.kind == TOKEN_OPEN;
		depth -= w->t.kind == TOKEN_CLOSE;
	}
}

/* ---- strings ---- */

/* Behind \u{...} at @p, which is its brace. */
static const char *codepoint_read(struct wat *w, const char *p, const char *end, struct bytes *to)
{
	uint32_t v = 0;
	const char *q = p + 1;
	uint8_t out[4];
	for (; q < end && digit_of(*q, true) >= 0 && v <= 0x10ffff; q++) {
		v = v * 16 + (uint32_t)digit_of(*q, true);
		q += q + 2 < end && q[1] == '_' && digit_of(q[2], true) >= 0;
	}
	if (p >= end || *p != '{' || q == p + 1 || q >= end || *q != '}' || v > 0x10ffff ||
	    (v >= 0xd800 && v < 0xe000)) {
		(void)wat_fail(w, p - 2, "this is no character: \\u{1F600} would be one");
		return end;
	}
	bytes_put(to, out, utf8_encode(out, v));
	return q + 1;
}

/* Behind an escape, whose backslash is at @p. */
static const char *escape_read(struct wat *w, const char *p, const char *end, struct bytes *to)
{
	static const char from[] = "tnr\"'\\", into[] = "\t\n\r\"'\\";
	const char *known = p[1] ? strchr(from, p[1]) : NULL;
	if (known) {
		byte_put(to, (uint8_t)into[known - from]);
		return p + 2;
	}
	if (p[1] == 'u')
		return codepoint_read(w, p + 2, end, to);
	if (p + 2 < end && digit_of(p[1], true) >= 0 && digit_of(p[2], true) >= 0) {
		byte_put(to, (unsigned)(digit_of(p[1], true) * 16 + digit_of(p[2], true)));
		return p + 3;
	}
	(void)wat_fail(w, p, "an unknown escape: \\t \\n \\r \\\" \\' \\\\ \\u{...} and two "
			     "hexadecimal digits are known");
	return end;
}

void quote_take(struct wat *w, struct bytes *to, bool name)
{
	const struct token t = w->t;
	const char *p = memchr(t.at, '"', t.len), *end = t.at + t.len - 1;
	size_t first = to->n;
	if (!p || (t.kind != TOKEN_STRING && t.kind != TOKEN_ID)) {
		wat_expected(w, "a string");
		return;
	}
	for (p++; p < end && !w->bad;) {
		const char *q = p;
		while (q < end && *q != '\\' && (uint8_t)*q >= 32 && *q != 127)
			q++;
		bytes_put(to, p, (size_t)(q - p));
		if (q < end && *q == '\\')
			q = escape_read(w, q, end, to);
		else if (q < end)
			(void)wat_fail(w, q, "a control character in a string: write \\%02x",
				       (unsigned)(uint8_t)*q);
		p = q;
	}
	for (size_t i = first, k; name && i < to->n && !w->bad; i += k)
		if (!(k = utf8_len(to->at + i, to->n - i)))
			(void)wat_fail(w, t.at, "malformed UTF-8 encoding in a name");
	token_next(w);
}
