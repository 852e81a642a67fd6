/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files for the C runtime: their parts, and such as nobody has yet. */
#include "win/crt.h"
#include <stdio.h>

enum { DRIVE_MAX = 3, PART_MAX = 256, PATH_ROOM = 260 };

/* Where the parts of @p begin: drive, folder, name, extension, and the end of all. */
static void parts_find(const wide *p, const wide *at[5])
{
	at[0] = p;
	at[1] = *p && p[1] == ':' ? p + 2 : p;
	at[2] = at[1];
	at[3] = NULL;
	for (p = at[1]; *p; p++)
		if (*p == '\\' || *p == '/')
			at[2] = p + 1;
	for (const wide *q = at[2]; *q; q++)
		if (*q == '.')
			at[3] = q;
	at[4] = p;
	at[3] = at[3] ? at[3] : p;
}

static void part_give(wide *to, const wide *from, const wide *end, size_t most)
{
	size_t n = (size_t)(end - from);
	if (!to)
		return;
	n = n < most ? n : most - 1;
	memcpy(to, from, 2 * n);
	to[n] = 0;
}

API(void, crt__wsplitpath, const wide *path, wide *drive, wide *folder, wide *name,
    wide *extension)
{
	const wide *at[5];
	parts_find(path, at);
	part_give(drive, at[0], at[1], DRIVE_MAX);
	part_give(folder, at[1], at[2], PART_MAX);
	part_give(name, at[2], at[3], PART_MAX);
	part_give(extension, at[3], at[4], PART_MAX);
}

static void narrow_give(char *to, const wide *from)
{
	if (to)
		(void)text_give("", to, 1);
	autofree char *t = to ? text_from(from, SIZE_MAX) : NULL;
	if (t)
		(void)snprintf(to, PART_MAX, "%s", t);
}

API(void, crt__splitpath, const char *path, char *drive, char *folder, char *name, char *extension)
{
	wide d[DRIVE_MAX], f[PART_MAX], n[PART_MAX], e[PART_MAX];
	autofree wide *w = text_wide(path, SIZE_MAX);
	if (!w)
		return;
	crt__wsplitpath(w, d, f, n, e);
	narrow_give(drive, d);
	narrow_give(folder, f);
	narrow_give(name, n);
	narrow_give(extension, e);
}

API(void, crt__makepath, char *path, const char *drive, const char *folder, const char *name,
    const char *extension)
{
	char *p = path;
	if (drive && *drive) {
		*p++ = *drive;
		*p++ = ':';
	}
	if (folder && *folder) {
		p = stpcpy(p, folder);
		if (p[-1] != '\\' && p[-1] != '/')
			*p++ = '\\';
	}
	p = stpcpy(p, name ? name : "");
	if (extension && *extension && *extension != '.')
		*p++ = '.';
	(void)stpcpy(p, extension ? extension : "");
}

API(void, crt__wmakepath, wide *path, const wide *drive, const wide *folder, const wide *name,
    const wide *extension)
{
	autofree char *d = text_from(drive ? drive : u"", SIZE_MAX);
	autofree char *f = text_from(folder ? folder : u"", SIZE_MAX);
	autofree char *n = text_from(name ? name : u"", SIZE_MAX);
	autofree char *e = text_from(extension ? extension : u"", SIZE_MAX);
	*path = 0;
	if (!d || !f || !n || !e)
		return;
	autofree char *all = malloc(strlen(f) + strlen(n) + strlen(e) + 6);
	if (all) {
		crt__makepath(all, d, f, n, e);
		(void)wide_give(all, path, PATH_ROOM);
	}
}

/* ---- names that are free ---- */

static bool is_free(const char *name)
{
	autofree char *host = path_linux(name);
	return host && access(host, F_OK) < 0;
}

/* The six X at the end become a letter and the number of the process. */
API(char *, crt__mktemp, char *name)
{
	size_t n = strlen(name);
	if (n < 6 || strcmp(name + n - 6, "XXXXXX") != 0) {
		(void)crt_fail(EINVAL);
		return NULL;
	}
	for (char c = 'a'; c <= 'z'; c++) {
		(void)snprintf(name + n - 6, 7, "%c%05u", c, process()->pid % 100000);
		if (is_free(name))
			return name;
	}
	(void)crt_fail(EEXIST);
	return NULL;
}

/* In @folder: a name that begins with @prefix; of the guest's heap. */
static char *name_made(const char *folder, const char *prefix)
{
	static WIN_STATE _Atomic(unsigned) made;
	size_t n = strlen(folder);
	char *name = heap_alloc(n + strlen(prefix) + 32, false);
	bool apart = n && folder[n - 1] != '\\' && folder[n - 1] != '/';
	do {
		if (name)
			(void)sprintf(name, "%s%s%s%x.%x", folder, apart ? "\\" : "", prefix,
				      process()->pid, made++);
	} while (name && !is_free(name));
	return name;
}

API(char *, crt__tempnam, const char *folder, const char *prefix)
{
	autofree char *tmp = environment_get("TMP");
	const char *in = tmp && *tmp ? tmp : folder && *folder ? folder : ".";
	return name_made(in, prefix ? prefix : "");
}

API(char *, crt_tmpnam, char *buf)
{
	char *to = buf ? buf : (char *)crt_self()->text;
	char *name = name_made("\\", "s");
	if (!name)
		return NULL;
	strcpy(to, name);
	heap_free(name);
	return to;
}

/* ---- drives ---- */

API(int, crt__getdrive, void) { return (*path_cwd() | 32) - 'a' + 1; }

API(int, crt__chdrive, int drive)
{
	const char path[] = {(char)('A' + drive - 1), ':', 0};
	if (drive < 1 || drive > 26)
		return crt_fail(EACCES);
	return path_cwd_set(path) ? crt_fail(EACCES) : 0;
}
