/* SPDX-License-Identifier: Apache-2.0 */
/* Where files are looked for that are named without a folder: libraries, and what SearchPath is
 * asked for. */
#include "win/internal.h"
#include <stdio.h>

enum {
	ALTERED = 8, /* LOAD_WITH_ALTERED_SEARCH_PATH; the others are LOAD_LIBRARY_SEARCH_... */
	SEARCH_OWN = 0x100,
	SEARCH_PROGRAM = 0x200,
	SEARCH_ADDED = 0x400,
	SEARCH_SYSTEM = 0x800,
	SEARCH_USUAL = 0x1000,
	SEARCH_ANY = 0x1f00
};
static const char system_folder[] = "C:\\Windows\\System32", windows_folder[] = "C:\\Windows";

struct added {
	char *folder; /* owned */
	struct added *next;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	char *set;           /* by SetDllDirectory; owned; NULL: none */
	struct added *added; /* by AddDllDirectory; owned */
	uint32_t flags;      /* of who gives none */
} places = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct looked_for {
	const char *name, *extension; /* which it gets if it has none */
};

static bool has_extension(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot && !strpbrk(dot, "\\/:");
}

/* The file in @folder ("": as it is named); malloc'ed; NULL: it is not there. */
static void *file_in(const char *folder, void *arg)
{
	const struct looked_for *f = arg;
	char *path = NULL;
	size_t n = strlen(folder);
	bool apart = n && folder[n - 1] != '\\' && folder[n - 1] != '/';
	if (asprintf(&path, "%s%s%s%s", folder, apart ? "\\" : "", f->name,
		     has_extension(f->name) ? "" : f->extension) < 0)
		return NULL;
	autofree char *host = path_linux(path);
	if (host && access(host, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static char *program_folder(void)
{
	const char *path = process()->main->path, *end = strrchr(path, '\\');
	return strndup(path, end ? (size_t)(end - path) + 1 : 0);
}

/* What AddDllDirectory and SetDllDirectory have named. */
static char *added_look(struct looked_for *f)
{
	char *found = NULL;
	pthread_mutex_lock(&places.lock);
	for (const struct added *a = places.added; a && !found; a = a->next)
		found = file_in(a->folder, f);
	if (!found && places.set && *places.set)
		found = file_in(places.set, f);
	pthread_mutex_unlock(&places.lock);
	return found;
}

/* Only where @flags say. */
static char *flags_look(struct looked_for *f, uint32_t flags, const char *program, const char *own)
{
	char *found = flags & SEARCH_OWN && own ? file_in(own, f) : NULL;
	if (!found && flags & (SEARCH_PROGRAM | SEARCH_USUAL))
		found = file_in(program, f);
	if (!found && flags & (SEARCH_ADDED | SEARCH_USUAL))
		found = added_look(f);
	if (!found && flags & (SEARCH_SYSTEM | SEARCH_USUAL))
		found = file_in(system_folder, f);
	return found;
}

static char *usual_look(struct looked_for *f, const char *first)
{
	char *found = file_in(first, f);
	pthread_mutex_lock(&places.lock);
	bool set = places.set != NULL; /* instead of the current one; "": without that */
	if (!found && set && *places.set)
		found = file_in(places.set, f);
	pthread_mutex_unlock(&places.lock);
	if (!found && !(found = file_in(system_folder, f)))
		found = file_in(windows_folder, f);
	if (!found && !set)
		found = file_in(path_cwd(), f);
	return found ? found : environment_path(file_in, f);
}

char *library_path(const char *name, uint32_t flags, const char *own)
{
	struct looked_for f = {name, ".dll"};
	if (strpbrk(name, "\\/:")) {
		autofree char *full = path_full(name);
		f.name = full;
		return full ? file_in("", &f) : NULL;
	}
	pthread_mutex_lock(&places.lock);
	flags |= flags & SEARCH_ANY ? 0 : places.flags;
	pthread_mutex_unlock(&places.lock);
	autofree char *program = program_folder();
	if (!program)
		return NULL;
	return flags & SEARCH_ANY ? flags_look(&f, flags, program, own)
				  : usual_look(&f, flags & ALTERED && own ? own : program);
}

char *library_own_folder(const char *name, uint32_t flags)
{
	autofree char *full =
	    flags & (ALTERED | SEARCH_OWN) && strpbrk(name, "\\/:") ? path_full(name) : NULL;
	const char *end = full ? strrchr(full, '\\') : NULL;
	return end ? strndup(full, (size_t)(end - full) + 1) : NULL;
}

/* ---- functions ---- */

API(uint32_t, k32_SetDllDirectoryA, const char *path)
{
	char *set = path ? strdup(path) : NULL;
	if (path && !set)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	pthread_mutex_lock(&places.lock);
	free(places.set);
	places.set = set;
	pthread_mutex_unlock(&places.lock);
	return 1;
}

API(uint32_t, k32_SetDllDirectoryW, const wide *path)
{
	autofree char *p = path ? text_from(path, SIZE_MAX) : NULL;
	return k32_SetDllDirectoryA(p);
}

static char *set_folder(void)
{
	pthread_mutex_lock(&places.lock);
	char *set = strdup(places.set ? places.set : "");
	pthread_mutex_unlock(&places.lock);
	return set;
}

API(uint32_t, k32_GetDllDirectoryA, uint32_t n, char *buf)
{
	autofree char *set = set_folder();
	return set ? text_give(set, buf, n) : fail(ERROR_NOT_ENOUGH_MEMORY);
}

API(uint32_t, k32_GetDllDirectoryW, uint32_t n, wide *buf)
{
	autofree char *set = set_folder();
	return set ? wide_give(set, buf, n) : fail(ERROR_NOT_ENOUGH_MEMORY);
}

API(uint32_t, k32_SetDefaultDllDirectories, uint32_t flags)
{
	if (!flags || flags & ~(uint32_t)(SEARCH_ANY & ~SEARCH_OWN))
		return fail(ERROR_INVALID_PARAMETER);
	pthread_mutex_lock(&places.lock);
	places.flags = flags;
	pthread_mutex_unlock(&places.lock);
	return 1;
}

/* What it returns is for RemoveDllDirectory. */
API(uint64_t, k32_AddDllDirectory, const wide *path)
{
	autofree char *p = text_from(path, SIZE_MAX), *host = NULL;
	bool whole = p && ((*p && p[1] == ':' && (p[2] == '\\' || p[2] == '/')) || *p == '\\');
	if (!whole)
		return fail(p ? ERROR_INVALID_PARAMETER : ERROR_NOT_ENOUGH_MEMORY);
	host = path_linux(p);
	if (!host || access(host, F_OK) < 0)
		return fail(ERROR_FILE_NOT_FOUND);
	struct added *a = calloc(1, sizeof *a);
	if (!a)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	a->folder = p;
	p = NULL;
	pthread_mutex_lock(&places.lock);
	a->next = places.added;
	places.added = a;
	pthread_mutex_unlock(&places.lock);
	return (uint64_t)(uintptr_t)a;
}

API(uint32_t, k32_RemoveDllDirectory, uint64_t cookie)
{
	struct added *gone = NULL;
	pthread_mutex_lock(&places.lock);
	for (struct added **p = &places.added; *p && !gone; p = *p ? &(*p)->next : p)
		if ((uint64_t)(uintptr_t)*p == cookie) {
			gone = *p;
			*p = gone->next;
			break;
		}
	pthread_mutex_unlock(&places.lock);
	if (!gone)
		return fail(ERROR_INVALID_PARAMETER);
	free(gone->folder);
	free(gone);
	return 1;
}

/* In the folders of @path (NULL: the usual ones), which has them apart by ; . */
static char *path_search(struct looked_for *f, const char *path)
{
	if (f->name[0] && (f->name[1] == ':' || *f->name == '\\' || *f->name == '/'))
		return file_in("", f);
	if (!path) {
		autofree char *program = program_folder();
		char *found = program ? file_in(program, f) : NULL;
		if (!found && !(found = file_in(path_cwd(), f)) &&
		    !(found = file_in(system_folder, f)))
			found = file_in(windows_folder, f);
		return found ? found : environment_path(file_in, f);
	}
	autofree char *all = strdup(path);
	char *rest = NULL, *found = NULL;
	for (char *p = all ? strtok_r(all, ";", &rest) : NULL; p && !found;
	     p = strtok_r(NULL, ";", &rest))
		found = file_in(p, f);
	return found;
}

API(uint32_t, k32_SearchPathW, const wide *path, const wide *name, const wide *extension,
    uint32_t n, wide *buf, wide **ret_part)
{
	if (!name || !*name)
		return fail(ERROR_INVALID_PARAMETER);
	autofree char *p = path ? text_from(path, SIZE_MAX) : NULL;
	autofree char *file = text_from(name, SIZE_MAX);
	autofree char *end = extension ? text_from(extension, SIZE_MAX) : strdup("");
	struct looked_for f = {file, end};
	if (!file || !end)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	autofree char *found = path_search(&f, p), *full = found ? path_full(found) : NULL;
	if (!full)
		return fail(ERROR_FILE_NOT_FOUND);
	uint32_t len = wide_give(full, buf, n);
	if (ret_part && len < n) {
		*ret_part = NULL;
		for (wide *w = buf; *w; w++)
			if (*w == '\\')
				*ret_part = w + 1;
	}
	return len;
}

API(uint32_t, k32_SearchPathA, const char *path, const char *name, const char *extension,
    uint32_t n, char *buf, char **ret_part)
{
	autofree wide *p = path ? text_wide(path, SIZE_MAX) : NULL;
	autofree wide *file = name ? text_wide(name, SIZE_MAX) : NULL;
	autofree wide *end = extension ? text_wide(extension, SIZE_MAX) : NULL;
	uint32_t len = k32_SearchPathW(p, file, end, 0, NULL, NULL);
	autofree wide *w = len ? calloc(len, sizeof *w) : NULL;
	if (!w || !k32_SearchPathW(p, file, end, len, w, NULL))
		return 0;
	autofree char *found = text_from(w, SIZE_MAX);
	if (!found)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	len = text_give(found, buf, n);
	if (ret_part && len < n) {
		char *slash = strrchr(buf, '\\');
		*ret_part = slash ? slash + 1 : NULL;
	}
	return len;
}
