/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.exe: names of files that fit a pattern, and what is known of them. */
#include "win/cmd.h"
#include <stdlib.h>
#include <sys/stat.h>

WINAPI uint32_t k32_GetFileAttributesA(const char *path);
WINAPI handle k32_FindFirstFileW(const wide *path, struct find_data_w *ret);
WINAPI uint32_t k32_FindNextFileW(handle h, struct find_data_w *ret);
WINAPI uint32_t k32_FindClose(handle h);

uint32_t attributes_of(const char *path)
{
	return *path ? k32_GetFileAttributesA(path) : UINT32_MAX;
}

bool is_folder(const char *path)
{
	uint32_t a = attributes_of(path);
	return a != UINT32_MAX && a & ATTRIBUTE_FOLDER;
}

bool is_pattern(const char *path) { return strpbrk(path, "*?") != NULL; }

const char *name_in(const char *path)
{
	const char *name = path;
	for (const char *p = path; *p; p++)
		if (strchr("\\/:", *p))
			name = p + 1;
	return name;
}

char *folder_of(const char *pattern)
{
	return text_copy(pattern, (size_t)(name_in(pattern) - pattern));
}

char *path_join(const char *folder, const char *name)
{
	struct string t = {0};
	size_t n = strlen(folder);
	string_put(&t, folder);
	if (n && !strchr("\\/:", folder[n - 1]))
		string_char(&t, '\\');
	string_put(&t, name);
	return string_take(&t);
}

static int entry_order(const void *a, const void *b)
{
	return strcasecmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

struct entry *entries_get(const char *pattern, size_t *ret_n)
{
	struct find_data_w d;
	struct entry *all = NULL;
	size_t n = 0, cap = 0;
	*ret_n = 0;
	autofree wide *w = text_wide(pattern, SIZE_MAX);
	handle h = w ? k32_FindFirstFileW(w, &d) : HANDLE_BAD;
	if (h == HANDLE_BAD)
		return NULL;
	do {
		if (n == cap) {
			cap = cap ? 2 * cap : 32;
			struct entry *more = memory_get(cap * sizeof *more);
			if (n)
				memcpy(more, all, n * sizeof *more);
			free(all);
			all = more;
		}
		all[n++] = (struct entry){.name = text_from(d.name, SIZE_MAX),
					  .attributes = d.attributes,
					  .size = (uint64_t)d.size_high << 32 | d.size_low,
					  .written = (uint64_t)d.written[1] << 32 | d.written[0]};
	} while (k32_FindNextFileW(h, &d));
	k32_FindClose(h);
	qsort(all, n, sizeof *all, entry_order);
	*ret_n = n;
	return all;
}

bool is_dots(const char *name) { return !strcmp(name, ".") || !strcmp(name, ".."); }

bool entry_below(const char *folder, const struct entry *e)
{
	struct stat st;
	if (!(e->attributes & ATTRIBUTE_FOLDER) || is_dots(e->name))
		return false;
	autofree char *path = path_join(folder, e->name), *host = path_linux(path);
	return host && lstat(host, &st) == 0 && !S_ISLNK(st.st_mode);
}

void entries_free(struct entry *e, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(e[i].name);
	free(e);
}

char **files_of(const char *word, size_t *ret_n)
{
	size_t n, found = 0;
	autofree char *bare = unquoted(word), *folder = NULL;
	bool inside = is_folder(bare);
	autofree char *pattern = inside ? path_join(bare, "*") : text_copy(bare, SIZE_MAX);
	folder = folder_of(pattern);
	char **all = NULL;
	*ret_n = 0;
	if (!is_pattern(pattern)) {
		if (attributes_of(pattern) == UINT32_MAX)
			return NULL;
		all = memory_get(sizeof *all);
		all[(*ret_n)++] = text_copy(pattern, SIZE_MAX);
		return all;
	}
	struct entry *e = entries_get(pattern, &n);
	all = memory_get((n + 1) * sizeof *all);
	for (size_t i = 0; i < n; i++)
		if (!(e[i].attributes & ATTRIBUTE_FOLDER))
			all[found++] = path_join(folder, e[i].name);
	entries_free(e, n);
	*ret_n = found;
	return all;
}

void files_free(char **all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(all[i]);
	free(all);
}
