/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of files in the ANSI code page: those of UTF-16 do the work. */
#include "win/internal.h"

extern WINAPI uint32_t k32_CreateHardLinkW(const wide *made, const wide *of, void *sec);
extern WINAPI uint8_t k32_CreateSymbolicLinkW(const wide *made, const wide *to, uint32_t flags);
extern WINAPI uint32_t k32_GetTempFileNameW(const wide *folder, const wide *prefix, uint32_t unique,
					    wide *ret);
extern WINAPI uint32_t k32_GetDiskFreeSpaceExW(const wide *path, uint64_t *mine, uint64_t *all,
					       uint64_t *un);
extern WINAPI uint32_t k32_GetDiskFreeSpaceW(const wide *path, uint32_t *per_cluster,
					     uint32_t *sector, uint32_t *un, uint32_t *all);
extern WINAPI uint32_t k32_GetDriveTypeW(const wide *root);
extern WINAPI uint32_t k32_GetFinalPathNameByHandleW(handle h, wide *buf, uint32_t n,
						     uint32_t flags);
extern WINAPI uint32_t k32_MoveFileExW(const wide *from, const wide *to, uint32_t flags);

API(uint32_t, k32_CreateHardLinkA, const char *made, const char *of, void *sec)
{
	autofree wide *m = text_wide(made, SIZE_MAX), *o = text_wide(of, SIZE_MAX);
	return m && o ? k32_CreateHardLinkW(m, o, sec) : fail(ERROR_NOT_ENOUGH_MEMORY);
}

API(uint8_t, k32_CreateSymbolicLinkA, const char *made, const char *to, uint32_t flags)
{
	autofree wide *m = text_wide(made, SIZE_MAX), *t = text_wide(to, SIZE_MAX);
	return m && t ? k32_CreateSymbolicLinkW(m, t, flags)
		      : (uint8_t)fail(ERROR_NOT_ENOUGH_MEMORY);
}

enum { PATH_ROOM = 260 };
API(uint32_t, k32_GetTempFileNameA, const char *folder, const char *prefix, uint32_t unique,
    char *ret)
{
	wide name[PATH_ROOM];
	autofree wide *f = text_wide(folder, SIZE_MAX), *p = text_wide(prefix, SIZE_MAX);
	uint32_t n = f && p ? k32_GetTempFileNameW(f, p, unique, name) : 0;
	autofree char *t = n ? text_from(name, SIZE_MAX) : NULL;
	return t && text_give(t, ret, PATH_ROOM) < PATH_ROOM ? n : 0;
}

API(uint32_t, k32_GetDiskFreeSpaceExA, const char *path, uint64_t *mine, uint64_t *all,
    uint64_t *un)
{
	autofree wide *p = path ? text_wide(path, SIZE_MAX) : NULL;
	return k32_GetDiskFreeSpaceExW(p, mine, all, un);
}

API(uint32_t, k32_GetDiskFreeSpaceA, const char *path, uint32_t *per_cluster, uint32_t *sector,
    uint32_t *un, uint32_t *all)
{
	autofree wide *p = path ? text_wide(path, SIZE_MAX) : NULL;
	return k32_GetDiskFreeSpaceW(p, per_cluster, sector, un, all);
}

API(uint32_t, k32_GetDriveTypeA, const char *root)
{
	autofree wide *r = root ? text_wide(root, SIZE_MAX) : NULL;
	return k32_GetDriveTypeW(r);
}

API(uint32_t, k32_GetFinalPathNameByHandleA, handle h, char *buf, uint32_t n, uint32_t flags)
{
	uint32_t room = k32_GetFinalPathNameByHandleW(h, NULL, 0, flags);
	autofree wide *w = room ? malloc((room + 1) * sizeof *w) : NULL;
	uint32_t got = w ? k32_GetFinalPathNameByHandleW(h, w, room + 1, flags) : 0;
	if (!got || got > room) /* it has another one since */
		return got ? fail(ERROR_FILE_NOT_FOUND) : 0;
	autofree char *t = text_from(w, SIZE_MAX);
	return t ? text_give(t, buf, n) : fail(ERROR_NOT_ENOUGH_MEMORY);
}

/* How far it is, is not told: it is done at once, or the host says how it went. */
API(uint32_t, k32_MoveFileWithProgressW, const wide *from, const wide *to, uint64_t fn,
    uint64_t arg, uint32_t flags)
{
	(void)fn;
	(void)arg;
	return k32_MoveFileExW(from, to, flags);
}

/* ---- as 16-bit Windows started programs ---- */

struct started {
	handle process, thread;
	uint32_t pid, tid;
};
extern WINAPI uint32_t k32_CreateProcessA(const char *program, char *line, const void *ps,
					  const void *ts, uint32_t inherit, uint32_t flags,
					  const void *env, const char *cwd, const void *how,
					  struct started *ret);

enum { STARTUP_SIZE = 104, STARTED = 33, USE_SHOW = 1 };

/* More than 31: it was started. */
API(uint32_t, k32_WinExec, const char *line, uint32_t show)
{
	uint8_t how[STARTUP_SIZE] = {0};
	struct started p;
	autofree char *l = strdup(line);
	le32_put(how, STARTUP_SIZE);
	le32_put(how + 60, USE_SHOW);
	le16_put(how + 64, (uint16_t)show);
	if (!l || !k32_CreateProcessA(NULL, l, NULL, NULL, 0, 0, NULL, NULL, how, &p))
		return last_error() < 32 ? last_error() : ERROR_FILE_NOT_FOUND;
	object_close(p.process);
	object_close(p.thread);
	return STARTED;
}
