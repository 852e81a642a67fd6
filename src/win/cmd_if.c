/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: if, and for with its loops over files, numbers and lines. */
#include "win/child.h"
#include "win/cmd.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- if ---- */

static bool number_of(const char *s, long *ret)
{
	char *end;
	*ret = strtol(s, &end, 0);
	return end > s && !*end;
}

static int order_of(const char *a, const char *b, bool fold, bool numbers)
{
	long x, y;
	if (numbers && number_of(a, &x) && number_of(b, &y))
		return x < y ? -1 : x > y;
	return fold ? strcasecmp(a, b) : strcmp(a, b);
}

static bool is_there(const char *pattern)
{
	autofree char *bare = unquoted(pattern);
	size_t n = strlen(bare), at;
	if (is_pattern(bare)) {
		struct entry *e = entries_get(bare, &at);
		entries_free(e, at);
		return e != NULL;
	}
	if (path_device(bare))
		return true;
	if (n && strchr("\\/", bare[n - 1]))
		return is_folder(bare);
	return n && attributes_of(bare) != UINT32_MAX;
}

static bool if_true(struct cmd *c, const struct node *n)
{
	autofree char *a = expand_late(c, n->text), *b = n->other ? expand_late(c, n->other) : NULL;
	autofree char *value = NULL;
	int order;
	switch (n->test) {
	case IF_EXIST: return is_there(a);
	case IF_DEFINED: value = variable_get(c, a, SIZE_MAX); return value != NULL;
	case IF_LEVEL: return (int32_t)c->level >= atoi(a);
	case IF_VERSION: return atoi(a) <= 2;
	case IF_COMPARE: break;
	}
	order = order_of(a, b, n->fold, n->op != CMP_EQ_TEXT);
	switch (n->op) {
	case CMP_EQ_TEXT:
	case CMP_EQU: return order == 0;
	case CMP_NEQ: return order != 0;
	case CMP_LSS: return order < 0;
	case CMP_LEQ: return order <= 0;
	case CMP_GTR: return order > 0;
	case CMP_GEQ: break;
	}
	return order >= 0;
}

uint32_t cmd_if(struct cmd *c, const struct node *n)
{
	const struct node *what = if_true(c, n) != n->negate ? n->a : n->b;
	return what ? cmd_run(c, what) : 0;
}

/* ---- for ---- */

struct loop {
	struct cmd *c;
	const struct node *n;
	uint32_t result;
};

static bool loop_goes_on(const struct loop *l) { return !l->c->jump; }

static void loop_do(struct loop *l)
{
	if (l->c->batch && !l->n->a->quiet)
		command_echo(l->c, l->n->a);
	l->result = cmd_run(l->c, l->n->a);
}

static void loop_with(struct loop *l, const char *value)
{
	l->c->variables[(uint8_t)l->n->variable] = value;
	loop_do(l);
}

static void loop_files(struct loop *l, const char *pattern, bool folders)
{
	size_t count;
	autofree char *bare = unquoted(pattern), *folder = folder_of(bare);
	struct entry *e = entries_get(bare, &count);
	for (size_t i = 0; i < count && loop_goes_on(l); i++) {
		bool is = e[i].attributes & ATTRIBUTE_FOLDER;
		if (is != folders || e[i].attributes & ATTRIBUTE_HIDDEN || is_dots(e[i].name))
			continue;
		autofree char *path = path_join(folder, e[i].name);
		loop_with(l, path);
	}
	entries_free(e, count);
}

static void loop_set(struct loop *l, const char *folder, const char *set)
{
	for (char *w; loop_goes_on(l) && (w = word_next(&set)); free(w)) {
		autofree char *whole = NULL;
		if (folder) {
			autofree char *bare = unquoted(w);
			whole = path_join(folder, bare);
		}
		if (is_pattern(w))
			loop_files(l, whole ? whole : w, l->n->what == 'd');
		else
			loop_with(l, whole ? whole : w);
	}
}

static void loop_tree(struct loop *l, const char *folder, const char *set)
{
	size_t count;
	autofree char *all = path_join(folder, "*");
	loop_set(l, folder, set);
	struct entry *e = entries_get(all, &count);
	for (size_t i = 0; i < count && loop_goes_on(l); i++) {
		if (!entry_below(folder, &e[i]))
			continue;
		autofree char *below = path_join(folder, e[i].name);
		loop_tree(l, below, set);
	}
	entries_free(e, count);
}

static void loop_numbers(struct loop *l, const char *set)
{
	long at[3] = {0, 0, 0};
	enum { ROOM = 16 };
	autofree char *value = memory_get(ROOM); /* a process beside this one has only the heap */
	for (int i = 0; i < 3; i++) {
		autofree char *w = word_next(&set);
		at[i] = w ? (int32_t)strtol(w, NULL, 0) : 0;
	}
	for (long i = at[0]; (at[1] < 0 ? i >= at[2] : i <= at[2]) && loop_goes_on(l); i += at[1]) {
		snprintf(value, ROOM, "%d", (int32_t)i);
		loop_with(l, value);
	}
}

/* ---- for /f ---- */

enum { TOKENS_MAX = 32 };
struct fields {
	bool token[TOKENS_MAX], rest, back_quotes;
	unsigned last, skip; /* of the tokens that are taken */
	char end;            /* of lines that begin with it nothing is seen; 0: none */
	char delimiters[64];
};

static void tokens_read(struct fields *f, const char *s)
{
	memset(f->token, 0, sizeof f->token);
	f->last = 0;
	f->rest = false;
	for (char *end; *s && *s != ' '; s = end) {
		unsigned long from = strtoul(s, &end, 10), to = from;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (unsigned long i = from; end > s && i <= to && i < TOKENS_MAX; i++) {
			if (i)
				f->token[i] = true;
			f->last = i > f->last ? (unsigned)i : f->last;
		}
		f->rest |= *end == '*';
		end += *end == '*' || *end == ',';
		if (end == s)
			end++;
	}
}

static bool fields_read(struct fields *f, const char *options)
{
	*f = (struct fields){.last = 1, .end = ';', .delimiters = " \t"};
	f->token[1] = true;
	autofree char *all = unquoted(options ? options : "");
	for (const char *s = blank_skip(all); *s; s = blank_skip(s)) {
		size_t n = strcspn(s, " ");
		if (!strncasecmp(s, "tokens=", 7)) {
			tokens_read(f, s + 7);
		} else if (!strncasecmp(s, "delims=", 7)) { /* the last one may have blanks */
			bool last = !strpbrk(s + 7, "=");
			n = last ? strlen(s) : n;
			snprintf(f->delimiters, sizeof f->delimiters, "%.*s", (int)(n - 7), s + 7);
		} else if (!strncasecmp(s, "skip=", 5)) {
			f->skip = (unsigned)strtoul(s + 5, NULL, 0);
		} else if (!strncasecmp(s, "eol=", 4)) {
			f->end = s[4];
			n = s[4] ? 5 : 4;
		} else if (!strncasecmp(s, "usebackq", 8)) {
			f->back_quotes = true;
			n = 8;
		} else {
			return false;
		}
		s += n;
	}
	return true;
}

/* The fields of @line become variables from the loop's on. */
static void loop_line(struct loop *l, const struct fields *f, const char *line)
{
	char *values[TOKENS_MAX + 1] = {0};
	unsigned n = 0;
	uint8_t first = (uint8_t)l->n->variable;
	const char *s = line + strspn(line, f->delimiters);
	if (!*line || (f->end && *s == f->end) || (!*s && *f->delimiters))
		return;
	for (unsigned i = 1; i < TOKENS_MAX && i <= f->last; i++) {
		size_t len = strcspn(s, f->delimiters);
		if (f->token[i])
			values[n++] = text_copy(s, len);
		s += len;
		s += strspn(s, f->delimiters);
	}
	if (f->rest)
		values[n++] = text_copy(s, SIZE_MAX);
	for (unsigned i = 0; i < n && first + i < countof(l->c->variables); i++)
		l->c->variables[first + i] = values[i];
	if (n && (*values[0] || n > 1 || f->rest))
		loop_do(l);
	for (unsigned i = 0; i < n; i++) {
		if (first + i < countof(l->c->variables))
			l->c->variables[first + i] = "";
		free(values[i]);
	}
}

static void loop_text(struct loop *l, const struct fields *f, char *s)
{
	unsigned skip = f->skip;
	for (char *end; *s && loop_goes_on(l); s = end) {
		end = strchrnul(s, '\n');
		char *cr = end > s && end[-1] == '\r' ? end - 1 : end;
		end += *end == '\n';
		*cr = 0;
		if (end > s && end[-1] == '\n')
			end[-1] = 0;
		if (skip)
			skip--;
		else
			loop_line(l, f, s);
	}
}

static char *all_read(int fd)
{
	struct string t = {0};
	char buf[4096];
	for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR);)
		for (ssize_t i = 0; i < n; i++)
			if (buf[i])
				string_char(&t, buf[i]);
	return string_take(&t);
}

static char *output_of(struct cmd *c, const char *line)
{
	int ends[2], was = c->fd[1];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return text_copy("", 0);
	c->fd[1] = ends[1];
	struct object *p = cmd_fork_line(c, line);
	c->fd[1] = was;
	close(ends[1]);
	char *s = all_read(ends[0]);
	close(ends[0]);
	if (p)
		process_wait(p);
	return s;
}

static void loop_files_of(struct loop *l, const struct fields *f, const char *set)
{
	for (char *w; loop_goes_on(l) && (w = word_next(&set)); free(w)) {
		autofree char *bare = unquoted(w), *host = path_linux(bare);
		autoclose int fd = host ? open(host, O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0) {
			complain(l->c, "The system cannot find the file %s.\n", bare);
			l->result = 1;
			continue;
		}
		autofree char *s = all_read(fd);
		loop_text(l, f, s);
	}
}

static void loop_fields(struct loop *l, const char *options, const char *set)
{
	struct fields f;
	if (!fields_read(&f, options)) {
		complain(l->c, "%s was unexpected at this time.\n", options);
		l->result = 1;
		l->c->jump = l->c->batch ? JUMP_BATCH : l->c->jump;
		return;
	}
	set = blank_skip(set);
	size_t n = strlen(set);
	while (n && is_blank(set[n - 1]))
		n--;
	char q = n > 1 && set[n - 1] == *set ? *set : 0;
	autofree char *inner = text_copy(set + 1, n > 1 ? n - 2 : 0);
	autofree char *s = NULL;
	if (q == (f.back_quotes ? '`' : '\''))
		s = output_of(l->c, inner);
	else if (q == (f.back_quotes ? '\'' : '"'))
		s = text_copy(inner, SIZE_MAX);
	if (s)
		loop_text(l, &f, s);
	else
		loop_files_of(l, &f, set);
}

uint32_t cmd_for(struct cmd *c, const struct node *n)
{
	struct loop l = {.c = c, .n = n};
	const char *before[countof(c->variables)];
	memcpy(before, c->variables, sizeof before);
	autofree char *set = expand_late(c, n->text),
		      *other = expand_late(c, n->other ? n->other : "");
	if (n->what == 'l') {
		loop_numbers(&l, set);
	} else if (n->what == 'f') {
		loop_fields(&l, *other ? other : NULL, set);
	} else if (n->what == 'r') {
		autofree char *bare = unquoted(other), *root = path_full(*bare ? bare : ".");
		if (root)
			loop_tree(&l, root, set);
	} else {
		loop_set(&l, NULL, set);
	}
	memcpy(c->variables, before, sizeof before);
	return l.result;
}
