/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: %VAR%, %1, %*, !VAR!, %a of for; :a=b and :~n,m of variables. */
#include "win/cmd.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- values ---- */

static char *clock_text(bool date)
{
	char buf[64];
	struct timespec now;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	if (date)
		strftime(buf, sizeof buf, "%a %m/%d/%Y", &tm);
	else
		snprintf(buf, sizeof buf, "%2d:%02d:%02d.%02d", tm.tm_hour, tm.tm_min, tm.tm_sec,
			 (int)(now.tv_nsec / 10000000));
	return text_copy(buf, SIZE_MAX);
}

static char *number_text(uint32_t n)
{
	char buf[16];
	snprintf(buf, sizeof buf, "%d", (int)n);
	return text_copy(buf, SIZE_MAX);
}

char *variable_get(struct cmd *c, const char *name, size_t n)
{
	autofree char *key = text_copy(name, n);
	char *v = *key ? environment_get(key) : NULL;
	if (v)
		return v;
	if (!strcasecmp(key, "cd"))
		return text_copy(path_cwd(), SIZE_MAX);
	if (!strcasecmp(key, "errorlevel"))
		return number_text(c->level);
	if (!strcasecmp(key, "date") || !strcasecmp(key, "time"))
		return clock_text((*key | 32) == 'd');
	if (!strcasecmp(key, "cmdextversion"))
		return number_text(2);
	if (!strcasecmp(key, "cmdcmdline"))
		return text_copy(c->line ? c->line : "", SIZE_MAX);
	if (!strcasecmp(key, "highestnumanodenumber"))
		return number_text(0);
	if (strcasecmp(key, "random") != 0)
		return NULL;
	c->random = c->random * 1103515245 + 12345;
	return number_text(c->random >> 16 & 0x7fff);
}

/* ---- :~n,m and :a=b ---- */

static char *part_of(const char *v, const char *how)
{
	char *end;
	long len = (long)strlen(v), from = strtol(how, &end, 0), n = len;
	if (*end == ',')
		n = strtol(end + 1, NULL, 0);
	from = from < 0 ? from + len : from;
	from = from < 0 ? 0 : from > len ? len : from;
	long to = n < 0 ? len + n : n > len - from ? len : from + n;
	return text_copy(v + from, to > from ? (size_t)(to - from) : 0);
}

/* @how: "a=b" or "*a=b", @n bytes. */
static char *replaced(const char *v, const char *how, size_t n)
{
	struct string t = {0};
	const char *eq = memchr(how, '=', n);
	if (!eq)
		return text_copy(v, SIZE_MAX);
	bool up_to = *how == '*' && eq > how + 1;
	autofree char *a = text_copy(how + up_to, (size_t)(eq - how) - up_to);
	autofree char *b = text_copy(eq + 1, n - (size_t)(eq + 1 - how));
	size_t len = strlen(a);
	if (up_to) {
		const char *at = strcasestr(v, a);
		if (at) {
			string_put(&t, b);
			v = at + len;
		}
		string_put(&t, v);
		return string_take(&t);
	}
	for (const char *at; len && (at = strcasestr(v, a)); v = at + len) {
		string_add(&t, v, (size_t)(at - v));
		string_put(&t, b);
	}
	string_put(&t, v);
	return string_take(&t);
}

static char *modified(const char *v, const char *how, size_t n)
{
	autofree char *h = text_copy(how, n);
	return *h == '~' ? part_of(v, h + 1) : replaced(v, h, n);
}

/* The variable between @mark and the next, @s being behind the first: added to @t, and where what
 * follows begins. NULL: it is not defined, and *ret_behind is behind what names it. */
static const char *variable_put(struct cmd *c, struct string *t, const char *s, char mark,
				const char **ret_behind)
{
	const char *end = strchr(s, mark), *colon = strchr(s, ':');
	*ret_behind = NULL;
	if (!end || end == s)
		return NULL;
	if (colon && (colon > end || colon + 1 == end || colon == s))
		colon = NULL;
	autofree char *v = variable_get(c, s, (size_t)((colon ? colon : end) - s));
	*ret_behind = (colon ? colon : end) + 1;
	if (!v)
		return NULL;
	if (!colon) {
		string_put(t, v);
		return end + 1;
	}
	autofree char *m = modified(v, colon + 1, (size_t)(end - colon - 1));
	string_put(t, m);
	return end + 1;
}

/* ---- arguments of a batch ---- */

/* The value of @file in the folders of the variable @name, @n bytes; malloc'ed, "" if in none. */
static char *in_folders(struct cmd *c, const char *name, size_t n, const char *file)
{
	autofree char *folders = variable_get(c, name, n);
	char *rest = NULL;
	for (char *f = folders ? strtok_r(folders, ";", &rest) : NULL; f;
	     f = strtok_r(NULL, ";", &rest)) {
		autofree char *at = path_join(f, file);
		if (attributes_of(at) != UINT32_MAX)
			return path_full(at);
	}
	return text_copy("", 0);
}

/* @s behind %~: letters, or $NAME: behind some, and one of which @is knows what it stands for. */
struct modifier {
	const char *letters, *folders;
	size_t nletters, nfolders;
	char what;
};
static const char *modifier_read(struct modifier *m, const char *s, bool (*is)(void *, char),
				 void *arg)
{
	*m = (struct modifier){.letters = s};
	while (*s && strchr("fdpnxsatzFDPNXSATZ", *s))
		s++;
	m->nletters = (size_t)(s - m->letters);
	const char *colon = *s == '$' ? strchr(s, ':') : NULL;
	if (colon) {
		m->folders = s + 1;
		m->nfolders = (size_t)(colon - s - 1);
		s = colon + 1;
	}
	while (!is(arg, *s)) {
		if (colon || s == m->letters)
			return NULL;
		s--;
		m->nletters = (size_t)(s - m->letters);
	}
	m->what = *s;
	return s + 1;
}

static void modifier_put(struct cmd *c, struct string *t, const struct modifier *m, const char *v,
			 const char *full)
{
	autofree char *bare = name_modified(v, "", 0, NULL);
	autofree char *found = m->folders ? in_folders(c, m->folders, m->nfolders, bare) : NULL;
	autofree char *out = found ? name_modified(found, m->nletters ? m->letters : "f",
						   m->nletters ? m->nletters : 1, NULL)
				   : name_modified(v, m->letters, m->nletters, full);
	string_put(t, out);
}

static bool is_digit_of(void *unused, char c)
{
	(void)unused;
	return c >= '0' && c <= '9';
}

static const char *argument_at(const struct batch *b, char digit)
{
	size_t i = (size_t)(digit - '0');
	return i < b->nargs ? b->args[i] : "";
}

/* @s behind the %. NULL: this is no argument. */
static const char *argument_put(struct cmd *c, struct string *t, const char *s)
{
	struct modifier m;
	const struct batch *b = c->batch;
	if (*s == '*') {
		string_put(t, b->all);
		return s + 1;
	}
	if (is_digit_of(NULL, *s)) {
		string_put(t, argument_at(b, *s));
		return s + 1;
	}
	const char *behind = *s == '~' ? modifier_read(&m, s + 1, is_digit_of, NULL) : NULL;
	if (behind)
		modifier_put(c, t, &m, argument_at(b, m.what),
			     m.what == '0' && m.nletters && !b->shifted ? b->path : NULL);
	return behind;
}

char *expand_line(struct cmd *c, const char *s)
{
	struct string t = {0};
	while (*s) {
		const char *behind, *next;
		if (*s != '%') {
			size_t n = strcspn(s, "%");
			string_add(&t, s, n);
			s += n;
			continue;
		}
		s++;
		if (c->batch && *s == '%') {
			string_char(&t, *s++);
		} else if (c->batch && (next = argument_put(c, &t, s))) {
			s = next;
		} else if ((next = variable_put(c, &t, s, '%', &behind))) {
			s = next;
		} else if (!c->batch) {
			string_char(&t, '%');
		} else if (behind) {
			s = behind;
		}
	}
	return string_take(&t);
}

/* ---- when it is run ---- */

static bool is_variable(void *arg, char ch)
{
	const struct cmd *c = arg;
	return ch > 0 && c->variables[(uint8_t)ch];
}

static char *expand_for(struct cmd *c, const char *s)
{
	struct string t = {0};
	struct modifier m;
	while (*s) {
		const char *next;
		if (*s != '%') {
			string_char(&t, *s++);
		} else if (is_variable(c, s[1])) {
			string_put(&t, c->variables[(uint8_t)s[1]]);
			s += 2;
		} else if (s[1] == '~' && (next = modifier_read(&m, s + 2, is_variable, c))) {
			modifier_put(c, &t, &m, c->variables[(uint8_t)m.what], NULL);
			s = next;
		} else {
			string_char(&t, *s++);
		}
	}
	return string_take(&t);
}

/* ^ takes a meaning away once more where there is a ! at all. */
static char *expand_delayed(struct cmd *c, const char *s)
{
	struct string t = {0};
	while (*s) {
		const char *behind, *next;
		if (*s == '^' && s[1]) {
			string_char(&t, s[1]);
			s += 2;
		} else if (*s != '!') {
			string_char(&t, *s++);
		} else if ((next = variable_put(c, &t, s + 1, '!', &behind))) {
			s = next;
		} else { /* one of no variable is gone, with what it would name */
			const char *end = strchr(s + 1, '!');
			s = end ? end + 1 : s + 1;
		}
	}
	return string_take(&t);
}

char *expand_late(struct cmd *c, const char *text)
{
	char *s = strchr(text, '%') ? expand_for(c, text) : text_copy(text, SIZE_MAX);
	if (!c->delayed || !strchr(s, '!'))
		return s;
	char *out = expand_delayed(c, s);
	free(s);
	return out;
}
