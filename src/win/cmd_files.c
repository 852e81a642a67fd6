/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: files are shown and deleted, folders made and removed. */
#include "win/cmd.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { BLOCK = 65536 };
WINAPI uint32_t k32_DeleteFileA(const char *path);
WINAPI uint32_t k32_CreateDirectoryA(const char *path, void *security);
WINAPI uint32_t k32_RemoveDirectoryA(const char *path);
WINAPI uint32_t k32_SetFileAttributesA(const char *path, uint32_t attributes);

/* "... (Y/N)?" until one of both is the answer, or there is no more of it. */
static bool agreed(struct cmd *c, const char *what)
{
	for (;;) {
		struct string t = {0};
		say(c, "%s (Y/N)? ", what);
		bool any = input_line(c, &t);
		autofree char *line = string_take(&t);
		if (!any || strchr("yYnN", *line))
			return any && (*line | 32) == 'y';
	}
}

/* ---- type ---- */

static bool same_file(int a, int b)
{
	struct stat x, y;
	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && S_ISREG(x.st_mode) &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

uint32_t file_show(struct cmd *c, const char *path)
{
	autofree char *buf = memory_get(BLOCK);
	autofree char *host = path_device(path) == DEVICE_NUL ? NULL : path_linux(path);
	if (path_device(path) == DEVICE_NUL)
		return 0;
	autoclose int fd = host ? open(host, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return host ? (fail_path(host), complain_error(c, last_error()))
			    : complain_error(c, ERROR_FILE_NOT_FOUND);
	if (same_file(fd, c->fd[1])) /* it would never end */
		return complain_error(c, ERROR_SHARING_VIOLATION);
	for (ssize_t n; (n = read(fd, buf, BLOCK)) != 0;) {
		if (n < 0 && errno != EINTR)
			return complain_error(c, errno == EISDIR ? ERROR_ACCESS_DENIED
								 : error_of(errno));
		if (n > 0)
			write_all(c->fd[1], buf, (size_t)n);
	}
	return 0;
}

BUILT_IN(cmd_type)
{
	uint32_t r = 0;
	const char *s = args, *more = s;
	free(word_next(&more));
	bool many = *between_skip(more) != 0;
	bool any = false;
	for (char *w; (w = word_next(&s)); free(w)) {
		size_t n;
		autofree char *bare = unquoted(w);
		any = true;
		if (!is_pattern(bare)) {
			if (many)
				complain(c, "\n%s\n\n\n", bare);
			r |= file_show(c, bare);
			continue;
		}
		char **all = files_of(w, &n);
		if (!n)
			r = complain_error(c, ERROR_FILE_NOT_FOUND);
		for (size_t i = 0; i < n; i++) {
			complain(c, "\n%s\n\n\n", all[i]);
			r |= file_show(c, all[i]);
		}
		files_free(all, n);
	}
	if (!any)
		complain(c, "The syntax of the command is incorrect.\n");
	return any ? r : 1;
}

/* ---- del ---- */

struct removal {
	bool quiet, deep, forced, asks;
};

static void delete_one(struct cmd *c, const struct removal *o, const char *path)
{
	autofree char *full = path_full(path);
	struct string t = {0};
	if (o->asks) {
		string_put(&t, full ? full : path);
		string_put(&t, ", Delete");
		autofree char *what = string_take(&t);
		if (!agreed(c, what))
			return;
	}
	if (o->forced)
		k32_SetFileAttributesA(path, attributes_of(path) & ~(uint32_t)ATTRIBUTE_READONLY);
	if (k32_DeleteFileA(path))
		return;
	complain(c, "%s\n", full ? full : path);
	complain_error(c, last_error());
}

/* How many fit. */
static size_t delete_matching(struct cmd *c, const struct removal *o, const char *pattern)
{
	size_t n, count = 0;
	autofree char *folder = folder_of(pattern), *everything = path_join(folder, "*");
	struct entry *e = entries_get(pattern, &n);
	for (size_t i = 0; i < n; i++) {
		if (e[i].attributes & ATTRIBUTE_FOLDER)
			continue;
		autofree char *path = path_join(folder, e[i].name);
		delete_one(c, o, path);
		count++;
	}
	entries_free(e, n);
	e = o->deep ? entries_get(everything, &n) : NULL;
	for (size_t i = 0; e && i < n; i++) {
		if (!entry_below(folder, &e[i]))
			continue;
		autofree char *below = path_join(folder, e[i].name);
		autofree char *again = path_join(below, name_in(pattern));
		count += delete_matching(c, o, again);
	}
	if (e)
		entries_free(e, n);
	return count;
}

BUILT_IN(cmd_del)
{
	struct removal o = {0};
	const char *s = args;
	bool any = false;
	for (;;) {
		char k = switch_next(&s, NULL);
		o.quiet |= k == 'q';
		o.deep |= k == 's';
		o.forced |= k == 'f';
		o.asks |= k == 'p';
		if (k)
			continue;
		autofree char *w = word_next(&s);
		if (!w)
			break;
		any = true;
		autofree char *bare = unquoted(w), *full = path_full(*bare ? bare : ".");
		bool all =
		    is_folder(bare) || !strcmp(name_in(bare), "*") || !strcmp(name_in(bare), "*.*");
		autofree char *pattern =
		    is_folder(bare) ? path_join(bare, "*") : text_copy(bare, SIZE_MAX);
		autofree char *shown = is_folder(bare) ? path_join(full ? full : "", "*") : NULL;
		struct string t = {0};
		string_put(&t, shown ? shown : full ? full : bare);
		string_put(&t, ", Are you sure");
		autofree char *question = string_take(&t);
		if (all && !o.quiet && !agreed(c, question))
			continue;
		if (!delete_matching(c, &o, pattern) && !all)
			complain(c, "Could Not Find %s\n", full ? full : bare);
	}
	if (!any)
		complain(c, "The syntax of the command is incorrect.\n");
	return !any;
}

/* ---- folders ---- */

/* With those above it, as far as they are not there. 0 or an error. */
static uint32_t folder_make(const char *path)
{
	if (k32_CreateDirectoryA(path, NULL))
		return 0;
	uint32_t error = last_error();
	autofree char *above = folder_of(path);
	size_t n = strlen(above);
	if (error != ERROR_PATH_NOT_FOUND || n < 2 || above[n - 2] == ':')
		return error;
	above[n - 1] = 0;
	uint32_t bad = folder_make(above);
	if (bad)
		return bad;
	return k32_CreateDirectoryA(path, NULL) ? 0 : last_error();
}

BUILT_IN(cmd_mkdir)
{
	const char *s = args;
	uint32_t r = 0;
	bool any = false;
	for (char *w; (w = word_next(&s)); free(w)) {
		autofree char *bare = unquoted(w), *full = path_full(bare);
		any = true;
		uint32_t bad = full ? folder_make(full) : last_error();
		if (bad == ERROR_ALREADY_EXISTS || bad == ERROR_FILE_EXISTS)
			complain(c, "A subdirectory or file %s already exists.\n", bare);
		else if (bad)
			complain_error(c, bad);
		r |= bad != 0;
	}
	if (!any)
		complain(c, "The syntax of the command is incorrect.\n");
	return any ? r : 1;
}

/* All that is below @path, and itself. 0 or the first error. */
static uint32_t tree_remove(const char *path)
{
	size_t n = 0;
	uint32_t bad = 0;
	autofree char *all = path_join(path, "*"), *host = path_linux(path);
	struct stat st;
	bool link = host && lstat(host, &st) == 0 && S_ISLNK(st.st_mode);
	struct entry *e = link ? NULL : entries_get(all, &n);
	for (size_t i = 0; e && i < n; i++) {
		autofree char *one = path_join(path, e[i].name);
		if (is_dots(e[i].name))
			continue;
		uint32_t r = 0;
		if (e[i].attributes & ATTRIBUTE_FOLDER)
			r = tree_remove(one);
		else if (!k32_DeleteFileA(one))
			r = k32_SetFileAttributesA(one, 128) && k32_DeleteFileA(one) ? 0
										     : last_error();
		bad = bad ? bad : r;
	}
	if (e)
		entries_free(e, n);
	if (k32_RemoveDirectoryA(path) || bad)
		return bad;
	return last_error();
}

BUILT_IN(cmd_rmdir)
{
	bool deep = false, quiet = false, any = false;
	const char *s = args;
	uint32_t r = 0;
	for (;;) {
		char k = switch_next(&s, NULL);
		deep |= k == 's';
		quiet |= k == 'q';
		if (k)
			continue;
		autofree char *w = word_next(&s);
		if (!w)
			break;
		any = true;
		autofree char *bare = unquoted(w);
		struct string t = {0};
		string_put(&t, bare);
		string_put(&t, ", Are you sure");
		autofree char *question = string_take(&t);
		if (deep && !quiet && attributes_of(bare) != UINT32_MAX && !agreed(c, question))
			continue;
		uint32_t bad = attributes_of(bare) == UINT32_MAX ? ERROR_FILE_NOT_FOUND
			       : !is_folder(bare)                ? ERROR_DIRECTORY
			       : deep                            ? tree_remove(bare)
			       : k32_RemoveDirectoryA(bare)      ? 0
								 : last_error();
		if (bad)
			complain_error(c, bad);
		r = bad ? bad : r;
	}
	if (!any)
		complain(c, "The syntax of the command is incorrect.\n");
	return any ? r : 1;
}
