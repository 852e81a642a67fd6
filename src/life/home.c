/* SPDX-License-Identifier: Apache-2.0 */
/* Where files live: the XDG Base Directory Specification 0.8, with a safe place for sockets. */
#include "life/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* The runtime folder when there is no session manager to give one. */
static char *home_runtime(void)
{
	char *ret = NULL;
	if (geteuid() == 0)
		return strdup("/run/lodge");
	if (asprintf(&ret, "/tmp/lodge-%u", (unsigned)geteuid()) < 0)
		return NULL;
	return ret;
}

char *life_home(const char *kind)
{
	static const struct {
		const char *kind, *env, *fallback;
	} places[] = {
	    {"data", "XDG_DATA_HOME", ".local/share"},
	    {"cache", "XDG_CACHE_HOME", ".cache"},
	    {"config", "XDG_CONFIG_HOME", ".config"},
	    {"runtime", "XDG_RUNTIME_DIR", NULL},
	};
	for (size_t i = 0; i < countof(places); i++) {
		char *ret = NULL;
		const char *v = getenv(places[i].env), *home = getenv("HOME");
		if (strcmp(kind, places[i].kind))
			continue;
		/* The specification: a relative path is to be ignored. */
		if (v && v[0] == '/')
			return asprintf(&ret, "%s/lodge", v) < 0 ? NULL : ret;
		if (!places[i].fallback)
			return home_runtime();
		if (!home || home[0] != '/')
			home = "/root";
		return asprintf(&ret, "%s/%s/lodge", home, places[i].fallback) < 0 ? NULL : ret;
	}
	return NULL;
}

int home_make(const char *path, struct lodge_err *e)
{
	return file_make_folders(path, 0700, 0700, e);
}

/* Sockets give power over guests: their folder must be ours and closed to others. */
int home_make_private(const char *path, struct lodge_err *e)
{
	struct stat st;
	int r = home_make(path, e);
	if (r < 0)
		return r;
	if (lstat(path, &st) < 0)
		return err_sys(e, "%s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return err_set(e, EPERM, "%s is not a folder of this user; set XDG_RUNTIME_DIR",
			       path);
	if ((st.st_mode & 077) && chmod(path, 0700) < 0)
		return err_sys(e, "closing %s to other users", path);
	return 0;
}

int life_file_read(int dirfd, const char *name, char **ret, size_t *ret_len, struct lodge_err *e)
{
	return file_load(dirfd, name, 1 << 20, ret, ret_len, e);
}

int life_remove_tree(const char *path, struct lodge_err *e)
{
	size_t n = strlen(path);
	autofree char *copy = strdup(path);
	if (!copy)
		return err_set(e, ENOMEM, "out of memory");
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = 0;
	return file_remove_tree(AT_FDCWD, copy, e);
}
