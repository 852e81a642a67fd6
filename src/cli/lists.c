/* SPDX-License-Identifier: Apache-2.0 */
/* Lists that are made of several options, as docker has them: the environment (-e, --env-file),
 * what is mounted (-v, --tmpfs, --mount), --filter. What is made lives as long as the program. */
#include "cli/cli.h"
#include <ctype.h>

struct list {
	const char **at;
	size_t n, cap;
};

static void list_add(struct list *l, const char *text)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		const char **at = realloc(l->at, cap * sizeof *at);
		if (!at)
			return;
		l->at = at;
		l->cap = cap;
	}
	if (text)
		l->at[l->n++] = text;
}

/* ---- the environment ---- */

extern char **environ;

/* KEY=VALUE as it is; KEY: as this process has it, KEY*: all that begin so; else it is left out. */
static void env_add(struct list *l, const char *text)
{
	char *one = NULL;
	size_t n = strlen(text);
	if (strchr(text, '=')) {
		list_add(l, text);
	} else if (n && text[n - 1] == '*') {
		for (char **v = environ; *v; v++)
			if (!strncmp(*v, text, n - 1))
				list_add(l, *v);
	} else if (getenv(text) && asprintf(&one, "%s=%s", text, getenv(text)) >= 0) {
		list_add(l, one);
	}
}

static int env_file(const struct args *a, struct list *l, const char *path)
{
	char *line = NULL;
	size_t cap = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		return fail_text(a, "--env-file %s: %s", path, strerror(errno));
	for (ssize_t n; (n = getline(&line, &cap, f)) >= 0;) {
		char *text = line;
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			line[--n] = 0;
		while (isspace((unsigned char)*text))
			text++;
		text = *text && *text != '#' ? strdup(text) : NULL;
		if (text)
			env_add(l, text);
	}
	free(line);
	fclose(f);
	return 0;
}

int env_list(const struct args *a, bool files, const char *const **ret, size_t *ret_n)
{
	struct list l = {NULL, 0, 0};
	size_t n = 0;
	const char *const *at = files ? arg_list(a, "env-file", &n) : NULL;
	int code = 0;
	for (size_t i = 0; code == 0 && i < n; i++)
		code = env_file(a, &l, at[i]);
	at = arg_list(a, "env", &n);
	for (size_t i = 0; i < n; i++)
		env_add(&l, at[i]);
	*ret = l.at;
	*ret_n = l.n;
	return code;
}

/* ---- filters ---- */

bool filters_fit(const struct args *a, struct json_object *o,
		 bool (*has)(struct json_object *o, const char *key, const char *want))
{
	size_t n;
	const char *const *f = arg_list(a, "filter", &n);
	for (size_t i = 0; i < n; i++) {
		size_t key = strcspn(f[i], "=") + 1;
		bool any = false;
		for (size_t k = 0; k < n && !any; k++) {
			char name[64];
			snprintf(name, sizeof name, "%.*s", (int)key - 1, f[i]);
			any = !strncmp(f[k], f[i], key) && has(o, name, f[k] + key);
		}
		if (!any)
			return false;
	}
	return true;
}

/* ---- mounts ---- */

struct mount {
	const char *type, *source, *target, *size, *mode;
	bool readonly;
};

/* "KEY=VALUE,...", which is taken apart. */
static int mount_read(const struct args *a, struct mount *m, char *text, const char *whole)
{
	const struct {
		const char *names;
		const char **to;
	} keys[] = {{" type ", &m->type},
		    {" source src ", &m->source},
		    {" target dst destination ", &m->target},
		    {" tmpfs-size ", &m->size},
		    {" tmpfs-mode ", &m->mode}};
	for (char *word; (word = strsep(&text, ","));) {
		char *value = strchr(word, '='), name[40];
		size_t i = 0;
		if (value)
			*value++ = 0;
		if (!strcmp(word, "readonly") || !strcmp(word, "ro")) {
			m->readonly = !value || !strcmp(value, "true") || !strcmp(value, "1");
			continue;
		}
		snprintf(name, sizeof name, " %.30s ", word);
		while (i < countof(keys) && !strstr(keys[i].names, name))
			i++;
		if (i == countof(keys) || !value)
			return fail_text(a, "--mount %s: '%s': type, source, target, readonly, "
					    "tmpfs-size and tmpfs-mode are there", whole, word);
		*keys[i].to = value;
	}
	return 0;
}

static int mount_add(const struct args *a, struct list *volumes, struct list *tmpfs,
		     const char *whole)
{
	struct mount m = {.type = "volume"};
	char *copy = strdup(whole), *one = NULL;
	int code = copy ? mount_read(a, &m, copy, whole) : fail_text(a, "out of memory");
	bool bind = !strcmp(m.type, "bind");
	if (code)
		return code;
	if (!m.target)
		return fail_text(a, "--mount %s: no target", whole);
	if (!strcmp(m.type, "tmpfs")) {
		if (asprintf(&one, "%s:%s%s%s%s%s", m.target, m.readonly ? "ro" : "rw",
			     m.size ? ",size=" : "", m.size ? m.size : "", m.mode ? ",mode=" : "",
			     m.mode ? m.mode : "") >= 0)
			list_add(tmpfs, one);
		return 0;
	}
	if ((!bind && strcmp(m.type, "volume") != 0) || !m.source || m.size || m.mode)
		return fail_text(a, "--mount %s: it is type=bind,source=DIR,target=DIR, "
				    "type=volume,source=NAME,target=DIR or type=tmpfs,target=DIR",
				 whole);
	if (bind && m.source[0] != '/' && m.source[0] != '.')
		return fail_text(a, "--mount %s: source of a bind begins with / or .", whole);
	if (!bind && strchr(m.source, '/'))
		return fail_text(a, "--mount %s: the source of a volume is its name", whole);
	if (asprintf(&one, "%s:%s%s", m.source, m.target, m.readonly ? ":ro" : "") >= 0)
		list_add(volumes, one);
	return 0;
}

int mount_lists(const struct args *a, const char *const **ret_volumes, size_t *ret_n,
		const char *const **ret_tmpfs, size_t *ret_ntmpfs)
{
	struct list volumes = {NULL, 0, 0}, tmpfs = {NULL, 0, 0};
	size_t n = 0;
	const char *const *at = arg_list(a, "volume", &n);
	int code = 0;
	for (size_t i = 0; i < n; i++)
		list_add(&volumes, at[i]);
	at = arg_list(a, "tmpfs", &n);
	for (size_t i = 0; i < n; i++)
		list_add(&tmpfs, at[i]);
	at = arg_list(a, "mount", &n);
	for (size_t i = 0; code == 0 && i < n; i++)
		code = mount_add(a, &volumes, &tmpfs, at[i]);
	*ret_volumes = volumes.at;
	*ret_n = volumes.n;
	*ret_tmpfs = tmpfs.at;
	*ret_ntmpfs = tmpfs.n;
	return code;
}
