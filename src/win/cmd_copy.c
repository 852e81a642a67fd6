/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: files are copied, moved, renamed. */
#include "win/cmd.h"
#include <fcntl.h>

enum { MOVE_REPLACE = 1, MOVE_COPY = 2 };
WINAPI uint32_t k32_CopyFileA(const char *from, const char *to, uint32_t new_only);
WINAPI uint32_t k32_MoveFileExA(const char *from, const char *to, uint32_t flags);

/* Where @from goes: into @to, if that is a folder; *.x takes the first part of its name. */
static char *destination(const char *from, const char *to)
{
	const char *name = name_in(from);
	if (is_folder(to))
		return path_join(to, name);
	if (!is_pattern(to))
		return text_copy(to, SIZE_MAX);
	struct string t = {0};
	const char *dot = strrchr(name, '.');
	dot = dot ? dot : name + strlen(name);
	for (const char *p = to; *p; p++) {
		bool behind = p > to && p[-1] == '.';
		if (*p == '*' && behind)
			string_put(&t, *dot ? dot + 1 : "");
		else if (*p == '*')
			string_add(&t, name, (size_t)(dot - name));
		else if (*p == '?' && (size_t)(p - name_in(to)) < strlen(name))
			string_char(&t, name[p - name_in(to)]);
		else if (*p != '?')
			string_char(&t, *p);
	}
	return string_take(&t);
}

/* The sources of copy, a+b among them, and the target: the last word. */
struct copying {
	char **from; /* owned */
	size_t n;
	char *to; /* owned; NULL: here */
	bool joined;
};

static void copying_read(struct copying *k, const char *args)
{
	struct string t = {0};
	char **words = memory_get((strlen(args) + 2) * sizeof *words);
	size_t n = 0;
	bool quoted = false, joins = false;
	for (const char *s = args;; s++) {
		quoted ^= *s == '"';
		if (*s && (quoted || (!is_between(*s) && *s != '+'))) {
			if (*s != '"')
				string_char(&t, *s);
			continue;
		}
		if (t.n && t.s[0] == '/') {
			free(string_take(&t));
		} else if (t.n) {
			if (n && !joins && !k->to)
				k->to = string_take(&t);
			else
				words[n++] = string_take(&t);
			joins = false;
		}
		if (*s == '+')
			k->joined = joins = true;
		if (!*s)
			break;
	}
	k->from = words;
	k->n = n;
}

static bool file_join(struct cmd *c, const char *from, int out)
{
	int was = c->fd[1];
	c->fd[1] = out;
	uint32_t r = file_show(c, from);
	c->fd[1] = was;
	return r == 0;
}

/* All of @k into one. */
static uint32_t copy_joined(struct cmd *c, const struct copying *k)
{
	autofree char *to = destination(k->from[0], k->to ? k->to : k->from[0]);
	autofree char *host = path_linux(to);
	autofree char *first = path_full(k->from[0]), *full = path_full(to);
	/* the others behind the first */
	bool own = !k->to || (first && full && !strcasecmp(first, full));
	autoclose int out =
	    host ? open(host, O_WRONLY | O_CREAT | O_CLOEXEC | (own ? O_APPEND : O_TRUNC), 0666)
		 : -1;
	if (out < 0)
		return complain_error(c, ERROR_ACCESS_DENIED);
	for (size_t i = own; i < k->n; i++)
		if (!file_join(c, k->from[i], out))
			return 1;
	say(c, "        1 file(s) copied.\n");
	return 0;
}

static uint32_t copy_each(struct cmd *c, const char *word, const char *to, unsigned *count)
{
	size_t n;
	char **all = files_of(word, &n);
	uint32_t r = 0;
	if (!n) {
		r = complain_error(c, ERROR_FILE_NOT_FOUND);
	}
	bool many = is_pattern(word) || is_folder(word);
	for (size_t i = 0; i < n && !r; i++) {
		autofree char *dest = destination(all[i], to);
		if (many)
			say(c, "%s\n", all[i]);
		autofree char *a = path_full(all[i]), *b = path_full(dest);
		if (a && b && !strcasecmp(a, b)) {
			complain(c, "The file cannot be copied onto itself.\n");
			r = 1;
		} else if (path_device(dest) == DEVICE_NUL || k32_CopyFileA(all[i], dest, 0)) {
			++*count;
		} else {
			r = complain_error(c, last_error());
		}
	}
	files_free(all, n);
	return r;
}

BUILT_IN(cmd_copy)
{
	struct copying k = {0};
	unsigned count = 0;
	uint32_t r = 1;
	copying_read(&k, args);
	if (!k.n) {
		complain(c, "The syntax of the command is incorrect.\n");
	} else if (k.joined) {
		r = copy_joined(c, &k);
	} else {
		r = path_device(k.from[0]) == DEVICE_NUL && k.to && !path_device(k.to)
			? copy_joined(c, &k)
			: copy_each(c, k.from[0], k.to ? k.to : ".", &count);
		if (path_device(k.from[0]) != DEVICE_NUL)
			say(c, "%9u file(s) copied.\n", count);
	}
	files_free(k.from, k.n);
	free(k.to);
	return r;
}

BUILT_IN(cmd_move)
{
	const char *s = args;
	while (switch_next(&s, NULL))
		continue;
	autofree char *a = word_next(&s), *b = word_next(&s);
	if (!a) {
		complain(c, "The syntax of the command is incorrect.\n");
		return 1;
	}
	autofree char *from = unquoted(a), *to = unquoted(b ? b : ".");
	bool folder = is_folder(from);
	unsigned count = 0;
	size_t n = 1;
	char **all = folder ? NULL : files_of(a, &n);
	uint32_t r = n ? 0 : complain_error(c, ERROR_FILE_NOT_FOUND);
	if (n > 1 && !is_folder(to) && !is_pattern(to)) { /* each would replace the one before */
		complain(c, "Cannot move multiple files to a single file.\n");
		r = 1;
	}
	for (size_t i = 0; i < n && !r; i++) {
		const char *one = folder ? from : all[i];
		autofree char *dest = destination(one, to);
		if (is_pattern(a))
			say(c, "%s\n", one);
		if (k32_MoveFileExA(one, dest, folder ? 0 : MOVE_REPLACE | MOVE_COPY))
			count++;
		else
			r = complain_error(c, last_error());
	}
	if (all)
		files_free(all, n);
	say(c, "%9u %s(s) moved.\n", count, folder ? "dir" : "file");
	return r;
}

BUILT_IN(cmd_ren)
{
	const char *s = args;
	size_t n = 0;
	autofree char *a = word_next(&s), *b = word_next(&s);
	if (!a || !b || strpbrk(b, "\\/:")) {
		complain(c, "The syntax of the command is incorrect.\n");
		return 1;
	}
	autofree char *from = unquoted(a), *to = unquoted(b), *folder = folder_of(from);
	char **all = is_folder(from) ? NULL : files_of(a, &n);
	if (!all) {
		all = memory_get(sizeof *all);
		n = attributes_of(from) != UINT32_MAX;
		if (n)
			all[0] = text_copy(from, SIZE_MAX);
	}
	uint32_t r = n ? 0 : complain_error(c, ERROR_FILE_NOT_FOUND);
	autofree char *pattern = path_join(folder, to);
	for (size_t i = 0; i < n && !r; i++) {
		autofree char *dest =
		    is_pattern(to) ? destination(all[i], pattern) : text_copy(pattern, SIZE_MAX);
		if (k32_MoveFileExA(all[i], dest, 0))
			continue;
		if (last_error() == ERROR_ALREADY_EXISTS)
			complain(c,
				 "A duplicate file name exists, or the file\ncannot be found.\n");
		else
			complain_error(c, last_error());
		r = 1;
	}
	files_free(all, n);
	return r;
}
