/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of the guest: names without regard to case. It gets the usual ones and what the
 * user gives; the host's stay outside. */
#include "win/internal.h"
#include <sched.h>
#include <stdio.h>

enum { VARIABLES_MAX = 65536 };
static WIN_STATE struct {
	pthread_mutex_t lock;
	char **all; /* owned, NAME=VALUE */
	size_t n;
} env = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Windows has names that begin with =, of current folders of drives. */
static size_t name_len(const char *pair)
{
	const char *eq = strchr(pair + (*pair == '='), '=');
	return eq ? (size_t)(eq - pair) : strlen(pair);
}

static size_t find(const char *name, size_t n)
{
	size_t i = 0;
	while (i < env.n && (name_len(env.all[i]) != n || strncasecmp(env.all[i], name, n)))
		i++;
	return i;
}

char *environment_get(const char *name)
{
	pthread_mutex_lock(&env.lock);
	size_t n = strlen(name), i = find(name, n);
	char *v = i < env.n ? strdup(env.all[i] + n + 1) : NULL;
	pthread_mutex_unlock(&env.lock);
	return v;
}

void *environment_path(void *(*look)(const char *folder, void *arg), void *arg)
{
	autofree char *path = environment_get("Path");
	char *rest = NULL;
	void *found = NULL;
	for (char *f = path ? strtok_r(path, ";", &rest) : NULL; f && !found;
	     f = strtok_r(NULL, ";", &rest)) {
		char *to = f;
		for (const char *p = f; *p; p++)
			if (*p != '"')
				*to++ = *p;
		*to = 0;
		found = *f ? look(f, arg) : NULL;
	}
	return found;
}

bool environment_set(const char *name, const char *value)
{
	char *pair = NULL;
	if (!*name || strchr(name + 1, '='))
		return false;
	if (value && asprintf(&pair, "%s=%s", name, value) < 0)
		return false;
	pthread_mutex_lock(&env.lock);
	size_t i = find(name, strlen(name));
	if (i == env.n && pair) {
		char **all =
		    env.n < VARIABLES_MAX ? realloc(env.all, (env.n + 1) * sizeof *all) : NULL;
		if (all) {
			env.all = all;
			env.all[env.n++] = pair;
		} else {
			free(pair);
		}
	} else if (i < env.n) {
		free(env.all[i]);
		env.all[i] = pair ? pair : env.all[--env.n];
	}
	pthread_mutex_unlock(&env.lock);
	return true;
}

char **environment_copy(void)
{
	pthread_mutex_lock(&env.lock);
	char **all = calloc(env.n + 1, sizeof *all);
	for (size_t i = 0; all && i < env.n; i++)
		all[i] = strdup(env.all[i]);
	pthread_mutex_unlock(&env.lock);
	return all;
}

void environment_begin(void)
{
	static const char *const usual[][2] = {{"ALLUSERSPROFILE", "C:\\ProgramData"},
					       {"APPDATA", "C:\\Users\\lodge\\AppData\\Roaming"},
					       {"COMPUTERNAME", "LODGE"},
					       {"ComSpec", "C:\\Windows\\System32\\cmd.exe"},
					       {"HOMEDRIVE", "C:"},
					       {"HOMEPATH", "\\Users\\lodge"},
					       {"LOCALAPPDATA", "C:\\Users\\lodge\\AppData\\Local"},
					       {"OS", "Windows_NT"},
					       {"Path", "C:\\Windows\\System32;C:\\Windows"},
					       {"PATHEXT", ".COM;.EXE;.BAT;.CMD"},
					       {"PROCESSOR_ARCHITECTURE", "AMD64"},
					       {"ProgramData", "C:\\ProgramData"},
					       {"ProgramFiles", "C:\\Program Files"},
					       {"SystemDrive", "C:"},
					       {"SystemRoot", "C:\\Windows"},
					       {"TEMP", "C:\\Temp"},
					       {"TMP", "C:\\Temp"},
					       {"USERNAME", "lodge"},
					       {"USERPROFILE", "C:\\Users\\lodge"},
					       {"windir", "C:\\Windows"}};
	char cpus[16];
	cpu_set_t set;
	bool first = !process()->start->child; /* others have what they are given */
	for (size_t i = 0; first && i < countof(usual); i++)
		environment_set(usual[i][0], usual[i][1]);
	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof set, &set); /* what sysconf says, when there is no /proc */
	snprintf(cpus, sizeof cpus, "%d", CPU_COUNT(&set));
	if (first)
		environment_set("NUMBER_OF_PROCESSORS", cpus);
	for (size_t i = 0; i < process()->start->nenv; i++) {
		const char *pair = process()->start->env[i];
		autofree char *name = strndup(pair, name_len(pair));
		if (name && pair[strlen(name)])
			environment_set(name, pair + strlen(name) + 1);
	}
}

/* ---- functions ---- */

API(uint32_t, k32_GetEnvironmentVariableA, const char *name, char *buf, uint32_t n)
{
	autofree char *v = environment_get(name);
	if (!v)
		return fail(ERROR_ENVVAR_NOT_FOUND);
	last_error_set(ERROR_SUCCESS);
	return text_give(v, buf, n);
}

API(uint32_t, k32_GetEnvironmentVariableW, const wide *name, wide *buf, uint32_t n)
{
	autofree char *k = text_from(name, SIZE_MAX), *v = k ? environment_get(k) : NULL;
	if (!v)
		return fail(ERROR_ENVVAR_NOT_FOUND);
	last_error_set(ERROR_SUCCESS);
	return wide_give(v, buf, n);
}

API(uint32_t, k32_SetEnvironmentVariableA, const char *name, const char *value)
{
	return environment_set(name, value) ? 1 : fail(ERROR_INVALID_PARAMETER);
}

API(uint32_t, k32_SetEnvironmentVariableW, const wide *name, const wide *value)
{
	autofree char *k = text_from(name, SIZE_MAX),
		      *v = value ? text_from(value, SIZE_MAX) : NULL;
	return k && environment_set(k, v) ? 1 : fail(ERROR_INVALID_PARAMETER);
}

static int compare(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

/* NAME=VALUE 0 NAME=VALUE 0 0, sorted. */
API(wide *, k32_GetEnvironmentStringsW, void)
{
	char **all = environment_copy();
	size_t n = 0, len = 1;
	for (; all && all[n]; n++)
		len += utf16_put(all[n], strlen(all[n]), NULL, 0, NULL) + 1;
	wide *out = heap_alloc(2 * (len + 1), true), *p = out;
	if (all)
		qsort(all, n, sizeof *all, compare);
	for (size_t i = 0; i < n; i++) {
		if (out)
			p += utf16_put(all[i], strlen(all[i]), p, len, NULL) + 1;
		free(all[i]);
	}
	free(all);
	return out;
}

API(char *, k32_GetEnvironmentStringsA, void)
{
	wide *w = k32_GetEnvironmentStringsW();
	size_t n = 0;
	while (w && (w[n] || w[n + 1]))
		n++;
	char *out = w ? heap_alloc(3 * n + 2, true) : NULL;
	if (out)
		utf8_put(w, n + 1, out, 3 * n + 1, NULL);
	heap_free(w);
	return out;
}

API(uint32_t, k32_FreeEnvironmentStringsW, wide *p)
{
	heap_free(p);
	return 1;
}
API(uint32_t, k32_FreeEnvironmentStringsA, char *p)
{
	heap_free(p);
	return 1;
}

/* %NAME% in @s; what is not set stays as it is. */
static char *expand(const char *s)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	while (f && *s) {
		const char *end = *s == '%' ? strchr(s + 1, '%') : NULL;
		autofree char *name = end ? strndup(s + 1, (size_t)(end - s - 1)) : NULL;
		autofree char *v = name && *name ? environment_get(name) : NULL;
		if (v) {
			fputs(v, f);
			s = end + 1;
		} else {
			fputc(*s++, f);
		}
	}
	if (f)
		fclose(f);
	return out;
}

API(uint32_t, k32_ExpandEnvironmentStringsW, const wide *s, wide *buf, uint32_t n)
{
	autofree char *t = text_from(s, SIZE_MAX), *v = t ? expand(t) : NULL;
	uint32_t len = v ? wide_give(v, buf, n) : 0;
	return len < n ? len + 1 : len;
}

API(uint32_t, k32_ExpandEnvironmentStringsA, const char *s, char *buf, uint32_t n)
{
	autofree char *v = expand(s);
	uint32_t len = v ? text_give(v, buf, n) : 0;
	return len < n ? len + 1 : len;
}

/* STARTUPINFO: the same for both, but for the text that it points to. */
API(void, k32_GetStartupInfoW, uint8_t *out)
{
	static const wide empty[1];
	memset(out, 0, 104);
	le32_put(out, 104);
	for (unsigned i = 1; i < 4; i++)
		le64_put(out + 8 * i, (uint64_t)(uintptr_t)empty);
	for (int fd = 0; fd < 3; fd++)
		le64_put(out + 80 + 8 * fd, std_handle(fd));
	const struct win_child *c = process()->start->child;
	if (!c)
		return;
	le32_put(out + 60, c->flags);
	le16_put(out + 64, (uint16_t)c->show);
	le16_put(out + 66, c->reserved2_len);
	le64_put(out + 72, (uint64_t)(uintptr_t)c->reserved2);
}
API(void, k32_GetStartupInfoA, uint8_t *out) { k32_GetStartupInfoW(out); }
