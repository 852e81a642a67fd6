/* SPDX-License-Identifier: Apache-2.0 */
/* What a key of the registry has: its keys and values, one after the other, and their number. */
#include "win/registry.h"
#include <dirent.h>

static int by_name(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

/* The keys or values of the folder, in the order of their names: decoded, all malloc'ed. */
static char **names_of(const char *path, bool values, size_t *ret_n)
{
	size_t n = 0, cap = 0;
	char **all = NULL;
	DIR *d = opendir(path);
	for (const struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.' || (e->d_name[0] == '=') != values)
			continue;
		if (n == cap) {
			cap = cap ? 2 * cap : 16;
			char **more = realloc(all, cap * sizeof *all);
			if (!more)
				break;
			all = more;
		}
		if (!(all[n] = strdup(e->d_name + values)))
			break;
		registry_name_decode(all[n], all[n]);
		n++;
	}
	if (d)
		closedir(d);
	if (n)
		qsort(all, n, sizeof *all, by_name);
	*ret_n = n;
	return all;
}

static void names_free(char **all, size_t n)
{
	while (n)
		free(all[--n]);
	free(all);
}

/* The @i'th of them: *ret malloc'ed. */
static uint32_t name_at(uint64_t h, bool values, uint32_t i, char **ret)
{
	autofree char *key = NULL;
	size_t n = 0;
	uint32_t error = registry_key(h, NULL, &key);
	if (error)
		return error;
	char **all = names_of(key, values, &n);
	if (i < n) {
		*ret = all[i];
		all[i] = NULL;
	}
	names_free(all, n);
	return i < n ? 0 : ERROR_NO_MORE_ITEMS;
}

static uint32_t wide_name(const char *s, wide *out, uint32_t *n)
{
	uint32_t cap = *n, len = wide_give(s, out, cap);
	if (len >= cap)
		return ERROR_MORE_DATA;
	*n = len;
	return 0;
}

static uint32_t narrow_name(const char *s, char *out, uint32_t *n)
{
	uint32_t cap = *n, len = text_give(s, out, cap);
	if (len >= cap)
		return ERROR_MORE_DATA;
	*n = len;
	return 0;
}

API(uint32_t, adv_RegEnumKeyExW, uint64_t h, uint32_t i, wide *name, uint32_t *n, void *reserved,
    wide *class, uint32_t *class_n, uint64_t *time)
{
	autofree char *s = NULL;
	(void)reserved;
	uint32_t error = name_at(h, false, i, &s);
	if (class && class_n && *class_n)
		class[*class_n = 0] = 0;
	if (time)
		*time = 0;
	return error ? error : wide_name(s, name, n);
}

API(uint32_t, adv_RegEnumKeyExA, uint64_t h, uint32_t i, char *name, uint32_t *n, void *reserved,
    char *class, uint32_t *class_n, uint64_t *time)
{
	autofree char *s = NULL;
	(void)reserved;
	uint32_t error = name_at(h, false, i, &s);
	if (class && class_n && *class_n)
		class[*class_n = 0] = 0;
	if (time)
		*time = 0;
	return error ? error : narrow_name(s, name, n);
}

API(uint32_t, adv_RegEnumValueW, uint64_t h, uint32_t i, wide *name, uint32_t *n, void *reserved,
    uint32_t *type, void *data, uint32_t *data_n)
{
	autofree char *s = NULL;
	(void)reserved;
	uint32_t error = name_at(h, true, i, &s);
	if (!error)
		error = wide_name(s, name, n);
	return error ? error : registry_query(h, s, false, type, data, data_n);
}

API(uint32_t, adv_RegEnumValueA, uint64_t h, uint32_t i, char *name, uint32_t *n, void *reserved,
    uint32_t *type, void *data, uint32_t *data_n)
{
	autofree char *s = NULL;
	(void)reserved;
	uint32_t error = name_at(h, true, i, &s);
	if (!error)
		error = narrow_name(s, name, n);
	return error ? error : registry_query(h, s, true, type, data, data_n);
}

static void longest(char **all, size_t n, uint32_t *ret_n, uint32_t *ret_longest)
{
	uint32_t most = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t units = (uint32_t)utf16_put(all[i], strlen(all[i]), NULL, 0, NULL);
		most = units > most ? units : most;
	}
	if (ret_n)
		*ret_n = (uint32_t)n;
	if (ret_longest)
		*ret_longest = most;
}

API(uint32_t, adv_RegQueryInfoKeyW, uint64_t h, wide *class, uint32_t *class_n, void *reserved,
    uint32_t *keys, uint32_t *key_most, uint32_t *class_most, uint32_t *values,
    uint32_t *value_most, uint32_t *data_most, uint32_t *sec_n, uint64_t *time)
{
	autofree char *key = NULL;
	size_t n = 0;
	(void)reserved;
	uint32_t error = registry_key(h, NULL, &key), most = 0;
	if (error)
		return error;
	if (class && class_n && *class_n)
		class[*class_n = 0] = 0;
	char **all = names_of(key, false, &n);
	longest(all, n, keys, key_most);
	names_free(all, n);
	all = names_of(key, true, &n);
	longest(all, n, values, value_most);
	for (size_t i = 0; i < n; i++) {
		uint32_t len = 0;
		if (!registry_query(h, all[i], false, NULL, NULL, &len))
			most = len > most ? len : most;
	}
	names_free(all, n);
	if (data_most)
		*data_most = most;
	if (class_most)
		*class_most = 0;
	if (sec_n)
		*sec_n = 0;
	if (time)
		*time = 0;
	return 0;
}
