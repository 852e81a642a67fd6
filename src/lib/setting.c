/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults of long options: the environment, then the user's file, then the system's. The files
 * hold lines "key = value"; # begins a comment, also after blanks. */
#include "lib/lib.h"
#include <ctype.h>
#include <stdio.h>

enum { LINE_BYTES = 4096 };

/* What is asked for, in the order of the places that may say it: the first to do so counts. */
struct wanted {
	const char *const *keys;
	char **values;  /* owned by the caller; NULL: not set yet */
	size_t n, left; /* left: so many are not set */
};

static int wanted_set(struct wanted *w, size_t i, const char *value, struct lodge_err *e)
{
	w->values[i] = strdup(value);
	if (!w->values[i])
		return err_set(e, ENOMEM, "out of memory");
	w->left--;
	return 0;
}

static int setting_env(struct wanted *w, size_t i, struct lodge_err *e)
{
	char name[80] = "LODGE_";
	size_t n = strlen(name);
	for (const char *p = w->keys[i]; *p && n < sizeof name - 1; p++)
		name[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	name[n] = 0;
	const char *v = getenv(name);
	return v ? wanted_set(w, i, v, e) : 0;
}

static char *trim(char *s)
{
	s += strspn(s, " \t");
	for (size_t n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = 0;
	return s;
}

/* One line, taken apart in place. 0: it sets nothing. */
static int setting_line(char *line, const char **ret_key, const char **ret_value)
{
	for (char *p = line; (p = strchr(p, '#')); p++)
		if (p == line || isspace((unsigned char)p[-1])) {
			*p = 0;
			break;
		}
	line = trim(line);
	if (!*line)
		return 0;
	char *eq = strchr(line, '=');
	if (!eq || eq == line)
		return -EINVAL;
	*eq = 0;
	*ret_value = trim(eq + 1);
	*ret_key = trim(line);
	return 1;
}

static int setting_take(struct wanted *w, const char *key, const char *value, struct lodge_err *e)
{
	for (size_t i = 0; i < w->n; i++)
		if (!w->values[i] && !strcmp(w->keys[i], key))
			return wanted_set(w, i, value, e);
	return 0;
}

/* Lines behind the last one that is wanted are not looked at. */
static int setting_file(struct wanted *w, const char *path, struct lodge_err *e)
{
	char line[LINE_BYTES];
	const char *key = NULL, *value = NULL;
	FILE *f = fopen(path, "re");
	int r = 0;
	if (!f)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, "%s", path);
	for (unsigned n = 1; r == 0 && w->left && fgets(line, sizeof line, f); n++) {
		if (!strchr(line, '\n') && !feof(f))
			r = err_set(e, EINVAL, "%s:%u: the line is too long", path, n);
		else if ((r = setting_line(line, &key, &value)) < 0)
			r = err_set(e, EINVAL, "%s:%u: not 'key = value'", path, n);
		else if (r > 0)
			r = setting_take(w, key, value, e);
	}
	fclose(f);
	return r;
}

/* Is anything said there? Mostly not, and each key is a name to make and to look for. */
static bool environment_says(void)
{
	char **p = environ;
	while (p && *p && strncmp(*p, "LODGE_", 6) != 0)
		p++;
	return p && *p;
}

static int settings_find(struct wanted *w, struct lodge_err *e)
{
	bool said = environment_says();
	int r = 0;
	for (size_t i = 0; said && r == 0 && i < w->n; i++)
		r = setting_env(w, i, e);
	if (r < 0 || !w->left)
		return r;
	autofree char *dir = life_home("config");
	autofree char *user = NULL;
	if (dir && asprintf(&user, "%s/config", dir) >= 0)
		r = setting_file(w, user, e);
	return r < 0 || !w->left ? r : setting_file(w, "/etc/lodge/config", e);
}

int lodge_settings(const char *const *keys, size_t n, char **ret_values, struct lodge_err *e)
{
	struct wanted w = {.keys = keys, .values = ret_values, .n = n, .left = n};
	memset(ret_values, 0, n * sizeof *ret_values);
	int r = settings_find(&w, e);
	for (size_t i = 0; r < 0 && i < n; i++)
		free(take(ret_values[i]));
	return r;
}

int lodge_setting(const char *key, char *buf, size_t cap, struct lodge_err *e)
{
	autofree char *value = NULL;
	int r = lodge_settings(&key, 1, &value, e);
	if (r < 0 || !value)
		return r;
	if (strlen(value) >= cap)
		return err_set(e, EINVAL, "the value of the setting '%s' is too long: at most %zu "
		               "bytes", key, cap - 1);
	snprintf(buf, cap, "%s", value);
	return 1;
}
