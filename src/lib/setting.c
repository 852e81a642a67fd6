/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults of long options: the environment, then the user's file, then the system's. The files
 * hold lines "key = value"; # begins a comment, also after blanks. */
#include "lib/lib.h"
#include <ctype.h>
#include <stdio.h>

enum { LINE_BYTES = 4096 };

static int value_copy(const char *v, char *buf, size_t cap, const char *where, struct lodge_err *e)
{
	if (strlen(v) >= cap)
		return err_set(e, EINVAL, "%s: the value is too long", where);
	snprintf(buf, cap, "%s", v);
	return 1;
}

static int setting_env(const char *key, char *buf, size_t cap, struct lodge_err *e)
{
	char name[80] = "LODGE_";
	size_t n = strlen(name);
	for (const char *p = key; *p && n < sizeof name - 1; p++)
		name[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	name[n] = 0;
	const char *v = getenv(name);
	return v ? value_copy(v, buf, cap, name, e) : 0;
}

static char *trim(char *s)
{
	s += strspn(s, " \t");
	for (size_t n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = 0;
	return s;
}

/* One line, taken apart in place. 1: it sets @key. */
static int setting_line(char *line, const char *key, char **ret_value)
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
	return !strcmp(trim(line), key);
}

static int setting_file(const char *path, const char *key, char *buf, size_t cap,
			struct lodge_err *e)
{
	char line[LINE_BYTES], where[512], *value = NULL;
	FILE *f = fopen(path, "re");
	int found = 0;
	if (!f)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, "%s", path);
	for (unsigned n = 1; found >= 0 && fgets(line, sizeof line, f); n++) {
		snprintf(where, sizeof where, "%s:%u", path, n);
		if (!strchr(line, '\n') && !feof(f))
			found = err_set(e, EINVAL, "%s: the line is too long", where);
		else if ((found = setting_line(line, key, &value)) < 0)
			found = err_set(e, EINVAL, "%s: not 'key = value'", where);
		if (found > 0) {
			found = value_copy(value, buf, cap, where, e);
			break;
		}
	}
	fclose(f);
	return found;
}

int lodge_setting(const char *key, char *buf, size_t cap, struct lodge_err *e)
{
	autofree char *dir = life_home("config");
	autofree char *user = NULL;
	int r = setting_env(key, buf, cap, e);
	if (r == 0 && dir && asprintf(&user, "%s/config", dir) >= 0)
		r = setting_file(user, key, buf, cap, e);
	return r ? r : setting_file("/etc/lodge/config", key, buf, cap, e);
}
