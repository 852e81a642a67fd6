/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of ours beside cmd.exe that look for text: find and findstr. */
#include "win/cmd.h"
#include <fcntl.h>

void find_main(void *unused);
void findstr_main(void *unused);

enum { STRINGS_MAX = 64 };
struct search {
	struct cmd c;
	char *strings[STRINGS_MAX];
	size_t nstrings;
	bool fold, inverse, numbers, count, names_only, literal, begins, ends, deep;
	bool many;  /* files: their names stand before lines */
	bool heads; /* as find has it */
	bool found;
};

static char folded(const struct search *s, char c)
{
	return s->fold && c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

/* ---- expressions of findstr: . * ^ $ [a-z] \< \> and \x ---- */

static bool word_char(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
}

/* One atom of the expression @p: where it ends. A [ that nothing closes is one as others. */
static const char *atom_end(const char *p)
{
	const char *from = p;
	if (*p == '\\' && p[1])
		return p + 2;
	if (*p != '[')
		return p + 1;
	p += 1 + (p[1] == '^');
	p += *p == ']';
	p = strchr(p, ']');
	return p ? p + 1 : from + 1;
}

static bool in_class(const struct search *s, const char *p, const char *end, char c)
{
	bool not = p[1] == '^', is = false;
	for (p += 1 + not ; p < end - 1; p++) {
		bool range = p[1] == '-' && p + 2 < end - 1;
		char lo = folded(s, *p), hi = folded(s, range ? p[2] : *p);
		is |= c >= lo && c <= hi;
		p += range ? 2 : 0;
	}
	return is != not ;
}

static bool atom_fits(const struct search *s, const char *p, const char *end, char c)
{
	c = folded(s, c);
	if (!c)
		return false;
	if (*p == '.')
		return true;
	if (*p == '[' && end > p + 1)
		return in_class(s, p, end, c);
	return folded(s, *p == '\\' && p[1] ? p[1] : *p) == c;
}

/* At the place @i of @line: \< and \>. */
static bool edge_fits(char kind, const char *line, size_t i)
{
	bool before = i && word_char(line[i - 1]), behind = word_char(line[i]);
	return kind == '<' ? !before && behind : before && !behind;
}

/* Does @p fit somewhere in @line, or (@first) where it begins? All places that an atom may lead to
 * are looked at together: the time is the product of both lengths at most. */
static bool expression_fits(const struct search *s, const char *p, const char *line, bool first)
{
	size_t n = strlen(line);
	autofree bool *at = memory_get(n + 1);
	memset(at, !first, n + 1);
	at[0] = true;
	p += *p == '^';
	for (const char *end; *p; p = end) {
		if (*p == '$' && !p[1])
			return at[n];
		if (*p == '\\' && (p[1] == '<' || p[1] == '>')) {
			for (size_t i = 0; i <= n; i++)
				at[i] = at[i] && edge_fits(p[1], line, i);
			end = p + 2;
			continue;
		}
		end = atom_end(p);
		if (*end == '*') {
			for (size_t i = 0; i < n; i++)
				at[i + 1] = at[i + 1] || (at[i] && atom_fits(s, p, end, line[i]));
			end++;
			continue;
		}
		for (size_t i = n; i; i--)
			at[i] = at[i - 1] && atom_fits(s, p, end, line[i - 1]);
		at[0] = false;
	}
	return s->ends ? at[n] : memchr(at, true, n + 1) != NULL;
}

static bool literal_fits(const struct search *s, const char *p, const char *at)
{
	for (; *p; p++, at++)
		if (folded(s, *p) != folded(s, *at))
			return false;
	return !s->ends || !*at;
}

static bool line_fits(const struct search *s, const char *line)
{
	for (size_t i = 0; i < s->nstrings; i++) {
		const char *p = s->strings[i];
		bool only_first = s->begins || (!s->literal && *p == '^');
		if (s->heads && !*p) /* to find, nothing is nowhere */
			continue;
		if (!s->literal) {
			if (expression_fits(s, p, line, only_first))
				return true;
			continue;
		}
		for (const char *at = line;; at++) {
			if (literal_fits(s, p, at))
				return true;
			if (!*at || only_first)
				break;
		}
	}
	return false;
}

/* ---- files ---- */

static void lines_search(struct search *s, const char *name)
{
	unsigned line_number = 0, count = 0;
	for (;;) {
		struct string t = {0};
		bool any = input_line(&s->c, &t);
		autofree char *line = string_take(&t);
		if (!any)
			break;
		line_number++;
		if (line_fits(s, line) == s->inverse)
			continue;
		s->found = true;
		count++;
		if (s->names_only)
			break;
		if (s->count)
			continue;
		if (s->many && name && !s->heads)
			say(&s->c, "%s:", name);
		if (s->numbers)
			say(&s->c, s->heads ? "[%u]" : "%u:", line_number);
		say(&s->c, "%s\n", line);
	}
	if (s->names_only && count && name)
		say(&s->c, "%s\n", name);
	if (s->count && name)
		say(&s->c, "\n---------- %s: %u\n", name, count);
	else if (s->count)
		say(&s->c, "%u\n", count);
}

static bool file_search(struct search *s, const char *path, bool silent)
{
	autofree char *host = path_linux(path);
	autoclose int fd = host && !is_folder(path) ? open(host, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0) {
		if (!silent && s->heads)
			complain(&s->c, "File not found - %s\n", path);
		else if (!silent)
			complain(&s->c, "FINDSTR: Cannot open %s\n", path);
		return false;
	}
	s->c.fd[0] = fd;
	if (s->heads && !s->count) {
		autofree char *upper = text_copy(path, SIZE_MAX);
		for (char *p = upper; *p; p++)
			*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
		say(&s->c, "\n---------- %s\n", upper);
	}
	lines_search(s, path);
	return true;
}

static void tree_search(struct search *s, const char *folder, const char *pattern)
{
	size_t n;
	autofree char *here = path_join(folder, pattern), *all = path_join(folder, "*");
	struct entry *e = entries_get(here, &n);
	for (size_t i = 0; i < n; i++) {
		autofree char *path = path_join(folder, e[i].name);
		if (!(e[i].attributes & ATTRIBUTE_FOLDER))
			file_search(s, path, true);
	}
	entries_free(e, n);
	e = s->deep ? entries_get(all, &n) : NULL;
	for (size_t i = 0; e && i < n; i++) {
		if (!entry_below(folder, &e[i]))
			continue;
		autofree char *below = path_join(folder, e[i].name);
		tree_search(s, below, pattern);
	}
	if (e)
		entries_free(e, n);
}

static void word_search(struct search *s, const char *word)
{
	if (s->deep || is_pattern(word)) {
		autofree char *folder = folder_of(word);
		s->many = true;
		tree_search(s, folder, name_in(word));
	} else {
		file_search(s, word, false);
	}
}

/* ---- what is asked ---- */

static bool flag_read(struct search *s, char k)
{
	switch (k) {
	case 'i': s->fold = true; break;
	case 'v': s->inverse = true; break;
	case 'n': s->numbers = true; break;
	case 'm': s->names_only = true; break;
	case 'l': s->literal = true; break;
	case 'r': s->literal = false; break;
	case 'b': s->begins = true; break;
	case 'e': s->ends = true; break;
	case 'x': s->begins = s->ends = true; break;
	case 's': s->deep = true; break;
	case 'p':
	case 'o': break;
	default: return false;
	}
	return true;
}

static void string_put_in(struct search *s, const char *text, size_t n)
{
	if (s->nstrings == STRINGS_MAX) {
		complain(&s->c, "FINDSTR: more than %d strings\n", STRINGS_MAX);
		process_exit(2);
	}
	s->strings[s->nstrings++] = text_copy(text, n);
}

static void words_put_in(struct search *s, const char *text)
{
	for (const char *p = text; *p;) {
		p += strspn(p, " ");
		size_t n = strcspn(p, " ");
		if (n)
			string_put_in(s, p, n);
		p += n;
	}
}

static _Noreturn void search_end(struct search *s, char *const *files)
{
	s->many = files[0] && files[1];
	if (!files[0])
		lines_search(s, NULL);
	for (; *files; files++)
		word_search(s, *files);
	process_exit(!s->found);
}

static _Noreturn void search_refuse(struct search *s, const char *why)
{
	complain(&s->c, "%s\n", why);
	process_exit(2);
}

static struct search *search_new(void)
{
	struct search *s = memory_get(sizeof *s);
	s->c.fd[1] = 1;
	s->c.fd[2] = 2;
	return s;
}

/* What the program is given, as a C runtime takes it from its command line: \" is a quote that
 * means itself. NULL at the end. */
static char **arguments_get(void)
{
	int32_t n = 0;
	wide **all = arguments_split(process()->command_line, &n);
	char **ret = memory_get(((size_t)n + 1) * sizeof *ret);
	for (int32_t i = 1; all && i < n; i++)
		if (!(ret[i - 1] = text_from(all[i], SIZE_MAX)))
			process_exit(2);
	return ret;
}

void findstr_main(void *unused)
{
	struct search *s = search_new();
	char **at = arguments_get();
	(void)unused;
	for (; *at && **at == '/'; at++) {
		if (!strncasecmp(*at, "/c:", 3)) {
			string_put_in(s, *at + 3, SIZE_MAX);
			continue;
		}
		for (const char *p = *at + 1; *p; p++)
			if (*p != '/' && !flag_read(s, *p | 32)) {
				complain(&s->c, "FINDSTR: /%c ignored\n", *p);
				break;
			}
	}
	if (!s->nstrings) {
		if (!*at)
			search_refuse(s, "FINDSTR: Bad command line");
		words_put_in(s, *at++);
	}
	search_end(s, at);
}

/* In quotes, where "" is one that means itself; *@at behind it. malloc'ed. */
static char *quoted_next(const char **at)
{
	struct string t = {0};
	const char *p = *at + 1;
	for (; *p && (*p != '"' || p[1] == '"'); p++) {
		p += *p == '"';
		string_char(&t, *p);
	}
	*at = p + (*p == '"');
	return string_take(&t);
}

void find_main(void *unused)
{
	struct search *s = search_new();
	const char *at = process()->command_line8;
	(void)unused;
	s->literal = s->heads = true;
	free(word_next(&at));
	for (char k; (k = switch_next(&at, NULL));) {
		s->count |= k == 'c';
		if (k != 'c' && !flag_read(s, k))
			search_refuse(s, "FIND: Invalid switch");
	}
	at = between_skip(at);
	if (*at != '"')
		search_refuse(s, "FIND: Parameter format not correct");
	autofree char *text = quoted_next(&at);
	string_put_in(s, text, SIZE_MAX);
	char **files = memory_get((strlen(at) + 2) * sizeof *files), *w;
	for (size_t n = 0; (w = word_next(&at)); free(w))
		files[n++] = unquoted(w);
	search_end(s, files);
}
