/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files: drives, folders, case. A name of the guest is made whole by its text alone; on
 * this side it is the drive's folder and the rest, looked up without regard to case where the exact
 * name is not there. */
#include "win/internal.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

static WIN_STATE struct {
	pthread_mutex_t lock;
	char cwd[4096]; /* D:\a, without a backslash at the end but for the root */
	char near[16];  /* "/d/": the folder that the process is in on this side, for good */
} here = {.lock = PTHREAD_MUTEX_INITIALIZER};
const char *path_cwd(void) { return here.cwd; }

/* Does @path begin with these four? Nearly none does: the first is looked at here. */
static bool has_prefix(const char *path, const char *four)
{
	return *path == *four && !strncmp(path, four, 4);
}

static bool is_slash(char c) { return c == '\\' || c == '/'; }
static bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static char upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; }

static const struct win_drive *drive_find(char letter)
{
	const struct win_start *s = process()->start;
	for (size_t i = 0; i < s->ndrives; i++)
		if (s->drives[i].letter == upper(letter))
			return &s->drives[i];
	return NULL;
}

enum device path_device(const char *path)
{
	static const struct {
		const char *name;
		enum device d;
	} names[] = {{"NUL", DEVICE_NUL},
		     {"CONIN$", DEVICE_CONIN},
		     {"CONOUT$", DEVICE_CONOUT},
		     {"CON", DEVICE_CON}};
	if (has_prefix(path, "\\\\.\\") || has_prefix(path, "\\\\?\\"))
		path += 4;
	if (!strchr("NnCc", *path)) /* most */
		return DEVICE_NONE;
	for (size_t i = 0; i < countof(names); i++) {
		size_t n = strlen(names[i].name);
		if (!strncasecmp(path, names[i].name, n) && (!path[n] || !strcmp(path + n, ":")))
			return names[i].d;
	}
	return DEVICE_NONE;
}

/* ---- whole names ---- */

/* Where the rest of @path, which is looked at from @*rest on, begins: "D:\" into @out. 0: a name of
 * another computer, or of no drive at all. */
static size_t path_root(const char *path, const char **rest, char out[8], bool *exact)
{
	*exact = has_prefix(path, "\\\\?\\") || has_prefix(path, "\\??\\");
	if (*exact || has_prefix(path, "\\\\.\\"))
		path += 4;
	else if (is_slash(path[0]) && is_slash(path[1]))
		return 0;
	char drive = here.cwd[0];
	if (is_letter(path[0]) && path[1] == ':') {
		drive = upper(path[0]);
		path += 2;
	} else if (*exact) {
		return 0;
	}
	out[0] = drive;
	memcpy(out + 1, ":\\", 3);
	*rest = path;
	return 3;
}

/* The length of a part without what Windows takes off its end: of the last one all dots and blanks,
 * of others one dot. */
static size_t part_trim(const char *part, size_t len, bool last)
{
	if (last)
		while (len > 0 && (part[len - 1] == '.' || part[len - 1] == ' '))
			len--;
	else if (len == 1 || (len > 1 && part[len - 1] == '.' && part[len - 2] != '.'))
		len -= part[len - 1] == '.';
	return len;
}

/* Put the parts of @p behind @out, which has @n bytes; back to its first @root bytes at most. */
static size_t parts_add(char *out, size_t n, size_t root, size_t cap, const char *p, bool exact)
{
	while (*p) {
		p += is_slash(*p);
		size_t len = 0;
		while (p[len] && !(exact ? p[len] == '\\' : is_slash(p[len])))
			len++;
		const char *part = p;
		p += len;
		if (len == 2 && !strncmp(part, "..", 2)) {
			while (n > root && out[n - 1] != '\\')
				n--;
			n -= n > root;
			continue;
		}
		if (!exact)
			len = part_trim(part, len, !*p);
		if (!len)
			continue;
		if (n + len + 2 > cap)
			return 0;
		if (out[n - 1] != '\\')
			out[n++] = '\\';
		memcpy(out + n, part, len);
		n += len;
	}
	out[n] = 0;
	return n;
}

char *path_full(const char *path)
{
	const char *rest = path;
	bool exact = false;
	pthread_mutex_lock(&here.lock);
	size_t n = 0, cap = strlen(path) + strlen(here.cwd) + 16;
	char *out = malloc(cap);
	if (out && *path)
		n = path_root(path, &rest, out, &exact);
	if (n && !is_slash(*rest) && out[0] == here.cwd[0])
		n = parts_add(out, n, n, cap, here.cwd + 3, true);
	n = n ? parts_add(out, n, 3, cap, rest, exact) : 0;
	pthread_mutex_unlock(&here.lock);
	if (!out) {
		last_error_set(ERROR_NOT_ENOUGH_MEMORY);
		return NULL;
	}
	if (!n) {
		free(out);
		last_error_set(ERROR_PATH_NOT_FOUND);
		return NULL;
	}
	return out;
}

/* ---- on this side ---- */

/* As path_linux, but as it is written: *ret_root bytes are the drive's. */
static char *path_exact(const char *path, size_t *ret_root)
{
	autofree char *full = path_full(path);
	if (!full)
		return NULL;
	const struct win_drive *d = drive_find(full[0]);
	if (!d) {
		last_error_set(ERROR_PATH_NOT_FOUND);
		return NULL;
	}
	size_t root = strlen(d->path), n = strlen(full + 3);
	char *host = root > 2 ? realloc(full, root + n + 2) : full;
	if (!host) {
		last_error_set(ERROR_NOT_ENOUGH_MEMORY);
		return NULL;
	}
	(void)take(full); /* it is @host now */
	memmove(host + root + 1, host + 3, n + 1);
	memcpy(host, d->path, root);
	host[root] = '/';
	for (char *p = host + root; *p; p++)
		if (*p == '\\')
			*p = '/';
	if (!n)
		host[root ? root : 1] = 0;
	*ret_root = root;
	return host;
}

/* Two parts of each name less for the host to look up: where nearly all files are, we are. */
const char *path_near(const char *host)
{
	size_t n = strlen(here.near);
	return n && !strncmp(host, here.near, n) && host[n] && host[n] != '/' ? host + n : host;
}

/* The folder of the drive @letter, from the start on. */
static void near_set(char letter)
{
	const struct win_drive *d = drive_find(letter);
	if (d && strlen(d->path) + 2 < sizeof here.near && chdir(d->path) == 0)
		snprintf(here.near, sizeof here.near, "%s/", d->path);
}

/* The entry of the folder @dir, which is @st, that is @name but for case; into @name itself. */
static bool entry_find(const char *dir, const struct stat *st, char *name)
{
	if (S_ISDIR(st->st_mode) && names_spelled(dir, st, name))
		return true;
	if (!S_ISDIR(st->st_mode) || names_lack(dir, st, name))
		return false;
	DIR *d = opendir(dir);
	autofree wide *want = text_wide(name, SIZE_MAX);
	const struct dirent *e;
	bool found = false;
	while (d && want && !found && (e = readdir(d))) {
		if (strlen(e->d_name) != strlen(name))
			continue;
		autofree wide *is = text_wide(e->d_name, SIZE_MAX);
		if (is && !wide_compare_i(is, want, SIZE_MAX)) {
			names_spelling(st, name, e->d_name);
			memcpy(name, e->d_name, strlen(name));
			found = true;
		}
	}
	if (d)
		closedir(d);
	return found;
}

/* The part of @host from @start to @end, as it is written in its folder. PATH_MENDED or why not. */
static enum path_state part_mend(char *host, size_t start, size_t end)
{
	struct stat st;
	char c = host[end];
	host[end] = 0;
	host[start - 1] = 0;
	const char *dir = start > 1 ? path_near(host) : "/";
	bool folder = stat(dir, &st) == 0 && S_ISDIR(st.st_mode);
	bool found = folder && entry_find(dir, &st, host + start);
	host[start - 1] = '/';
	host[end] = c;
	return found ? PATH_MENDED : folder ? PATH_NO_FILE : PATH_NO_FOLDER;
}

/* @host's parts behind @root bytes, each as it is written in its folder, as far as they are. That
 * it is not there as it is written now is known. */
static enum path_state case_mend(char *host, size_t root)
{
	struct stat st;
	size_t last = (size_t)(strrchr(host, '/') - host) + 1, len = strlen(host);
	enum path_state s = part_mend(host, last, len); /* most folders are written as they are */
	bool mended = false;
	for (size_t start = root + 1; s == PATH_NO_FOLDER && start < last;) {
		size_t end = start + strcspn(host + start, "/");
		host[end] = 0;
		bool there = lstat(path_near(host), &st) == 0;
		host[end] = '/';
		if (!there && part_mend(host, start, end) != PATH_MENDED)
			return PATH_NO_FOLDER;
		mended |= !there;
		start = end + 1;
	}
	if (!mended || lstat(path_near(host), &st) == 0)
		return mended ? PATH_MENDED : s;
	return part_mend(host, last, len);
}

char *path_written(const char *path)
{
	size_t root;
	return path_exact(path, &root);
}

char *path_absent(const char *path)
{
	struct stat st;
	size_t root;
	autofree char *host = path_exact(path, &root);
	char *slash = host && host[root] ? strrchr(host, '/') : NULL;
	if (!slash || !slash[1] || slash == host || own_program_make(host))
		return NULL;
	*slash = 0;
	const char *dir = path_near(host);
	bool lacks = stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && names_lack(dir, &st, slash + 1);
	*slash = '/';
	return lacks ? take(host) : NULL;
}

char *path_asked(const char *path, struct stat *st, enum path_state *ret)
{
	size_t root;
	char *host = path_exact(path, &root);
	if (!host)
		return NULL;
	*ret = lstat(path_near(host), st) == 0 ? PATH_THERE : PATH_UNKNOWN;
	if (*ret == PATH_UNKNOWN && host[root] && (errno == ENOENT || errno == ENOTDIR) &&
	    !own_program_make(host))
		*ret = case_mend(host, root);
	return host;
}

char *path_linux(const char *path)
{
	struct stat st;
	enum path_state s;
	return path_asked(path, &st, &s);
}

char *path_look(const char *path, struct stat *st)
{
	enum path_state s;
	char *host = path_asked(path, st, &s);
	if (!host || s == PATH_THERE)
		return host;
	if (path_absence(s))
		(void)fail(path_absence(s));
	else if (lstat(path_near(host), st) == 0)
		return host;
	else
		(void)fail_path(host);
	free(host);
	return NULL;
}

uint32_t path_absence(enum path_state s)
{
	return s == PATH_NO_FILE     ? ERROR_FILE_NOT_FOUND
	       : s == PATH_NO_FOLDER ? ERROR_PATH_NOT_FOUND
				     : 0;
}

char *path_linux_w(const wide *path)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return p ? path_linux(p) : NULL;
}

char *path_guest(const char *host)
{
	const struct win_start *s = process()->start;
	const struct win_drive *best = NULL;
	char *out = NULL;
	for (size_t i = 0; i < s->ndrives; i++) {
		size_t n = strlen(s->drives[i].path);
		if (!strncmp(host, s->drives[i].path, n) && (host[n] == '/' || !host[n]) &&
		    (!best || n > strlen(best->path)))
			best = &s->drives[i];
	}
	if (!best)
		return NULL;
	const char *rest = host + strlen(best->path);
	if (asprintf(&out, "%c:\\%s", best->letter, rest + (*rest == '/')) < 0)
		return NULL;
	for (char *p = out; *p; p++)
		if (*p == '/')
			*p = '\\';
	return out;
}

uint32_t path_missing(const char *host)
{
	autofree char *dir = strdup(host);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	struct stat st;
	if (!slash || slash == dir)
		return ERROR_FILE_NOT_FOUND;
	*slash = 0;
	return stat(dir, &st) < 0 || !S_ISDIR(st.st_mode) ? ERROR_PATH_NOT_FOUND
							  : ERROR_FILE_NOT_FOUND;
}

uint32_t fail_path(const char *host)
{
	return errno == ENOENT ? fail(path_missing(host)) : fail_errno();
}

bool path_valid(const char *path)
{
	if (has_prefix(path, "\\\\?\\") || has_prefix(path, "\\??\\"))
		path += 4;
	return *path && !path[strcspn(path, "<>\"|?*")];
}

uint32_t path_cwd_set(const char *path)
{
	struct stat st;
	if (!here.cwd[0]) {
		memcpy(here.cwd, "C:\\", 4);
		near_set(path[0]);
	}
	autofree char *full = path_full(path), *host = full ? path_linux(full) : NULL;
	if (!host || stat(host, &st) < 0)
		return host ? path_missing(host) : ERROR_FILE_NOT_FOUND;
	if (!S_ISDIR(st.st_mode))
		return ERROR_DIRECTORY;
	if (strlen(full) >= sizeof here.cwd)
		return ERROR_FILENAME_EXCED_RANGE;
	pthread_mutex_lock(&here.lock);
	memcpy(here.cwd, full, strlen(full) + 1);
	pthread_mutex_unlock(&here.lock);
	process_folder_note();
	return 0;
}

/* ---- functions ---- */

API(uint32_t, k32_GetCurrentDirectoryW, uint32_t n, wide *buf)
{
	return wide_give(here.cwd, buf, n);
}

API(uint32_t, k32_GetCurrentDirectoryA, uint32_t n, char *buf)
{
	return text_give(here.cwd, buf, n);
}

API(uint32_t, k32_SetCurrentDirectoryA, const char *path)
{
	uint32_t bad = path_cwd_set(path);
	return bad ? fail(bad) : 1;
}

API(uint32_t, k32_SetCurrentDirectoryW, const wide *path)
{
	autofree char *p = text_from(path, SIZE_MAX);
	return k32_SetCurrentDirectoryA(p ? p : "");
}

/* The length of the name of a device that every folder has; 0: @path is none. */
static size_t device_name(const char *path)
{
	static const char *const names[] = {"NUL", "CON", "AUX", "PRN", "CONIN$", "CONOUT$"};
	size_t n = strlen(path);
	n -= n > 1 && path[n - 1] == ':';
	if (n == 4 && (!strncasecmp(path, "COM", 3) || !strncasecmp(path, "LPT", 3)))
		return path[3] >= '1' && path[3] <= '9' ? n : 0;
	for (size_t i = 0; i < countof(names); i++)
		if (strlen(names[i]) == n && !strncasecmp(path, names[i], n))
			return n;
	return 0;
}

/* Names that begin with two slashes: of a device (\\.\, \\?\), or of another computer's folder. */
static char *full_far(const char *path)
{
	size_t cap = strlen(path) + 8, root = 0;
	char *out = malloc(cap);
	if (!out)
		return NULL;
	bool device = (path[2] == '.' || path[2] == '?') && is_slash(path[3]);
	if (device)
		root = is_letter(path[4]) && path[5] == ':' ? 6 : 4;
	for (int i = 2; !device && i > 0; i--) /* server and share */
		for (root += i == 2 ? 2 : is_slash(path[root]);
		     path[root] && !is_slash(path[root]);)
			root++;
	memcpy(out, path, root);
	for (size_t i = 0; i < root; i++)
		if (out[i] == '/')
			out[i] = '\\';
	const char *rest = path + root;
	if (root == 6 && device && is_slash(*rest))
		out[root++] = '\\';
	if (parts_add(out, root, root, cap, rest, device && path[2] == '?'))
		return out;
	free(out);
	return NULL;
}

/* A slash at the end stays; a device has a name of its own. */
static char *full_name(const char *path)
{
	size_t device = device_name(path);
	char *name = NULL;
	if (!*path)
		last_error_set(ERROR_INVALID_NAME);
	if (device && asprintf(&name, "\\\\.\\%.*s", (int)device, path) < 0)
		name = NULL;
	if (device || !*path)
		return name;
	if (is_slash(path[0]) && is_slash(path[1]))
		return full_far(path);
	char *full = path_full(path), *with = NULL;
	size_t n = strlen(path);
	if (full && n && is_slash(path[n - 1]) && full[strlen(full) - 1] != '\\') {
		if (asprintf(&with, "%s\\", full) < 0)
			with = NULL;
		free(full);
		return with;
	}
	return full;
}

API(uint32_t, k32_GetFullPathNameW, const wide *path, uint32_t n, wide *buf, wide **ret_file)
{
	autofree char *p = text_from(path, SIZE_MAX), *full = p ? full_name(p) : NULL;
	if (!full)
		return 0;
	uint32_t len = wide_give(full, buf, n);
	if (ret_file)
		*ret_file = NULL;
	for (uint32_t i = len; ret_file && len < n && i > 0; i--)
		if (buf[i - 1] == '\\') {
			*ret_file = buf[i] ? buf + i : NULL;
			break;
		}
	return len;
}

API(uint32_t, k32_GetFullPathNameA, const char *path, uint32_t n, char *buf, char **ret_file)
{
	autofree char *full = full_name(path);
	if (!full)
		return 0;
	uint32_t len = text_give(full, buf, n);
	if (ret_file)
		*ret_file = NULL;
	char *slash = ret_file && len < n ? strrchr(buf, '\\') : NULL;
	if (slash && slash[1])
		*ret_file = slash + 1;
	return len;
}

/* Long names are all there are: as it was asked, when it is there. */
/* Names are long here: what is there, with one separator where several follow each other. */
static char *path_long(const char *path)
{
	autofree char *host = path_linux(path);
	char *s = host && access(host, F_OK) == 0 ? strdup(path) : NULL;
	if (!s) {
		if (host)
			fail_errno();
		return NULL;
	}
	char *to = s;
	for (const char *p = s; *p; p++)
		if (p < s + 2 || !strchr("\\/", *p) || !strchr("\\/", p[-1]))
			*to++ = *p;
	*to = 0;
	return s;
}

API(uint32_t, k32_GetLongPathNameW, const wide *path, wide *buf, uint32_t n)
{
	autofree char *p = text_from(path, SIZE_MAX), *s = p ? path_long(p) : NULL;
	return s ? wide_give(s, buf, n) : 0;
}

API(uint32_t, k32_GetShortPathNameW, const wide *path, wide *buf, uint32_t n)
{
	return k32_GetLongPathNameW(path, buf, n);
}

API(uint32_t, k32_GetLongPathNameA, const char *path, char *buf, uint32_t n)
{
	autofree char *s = path_long(path);
	return s ? text_give(s, buf, n) : 0;
}

API(uint32_t, k32_GetShortPathNameA, const char *path, char *buf, uint32_t n)
{
	return k32_GetLongPathNameA(path, buf, n);
}

API(uint32_t, k32_GetTempPathW, uint32_t n, wide *buf)
{
	autofree char *t = environment_get("TMP"), *with = NULL;
	const char *p = t && *t ? t : "C:\\Temp";
	if (asprintf(&with, "%s%s", p, p[strlen(p) - 1] == '\\' ? "" : "\\") < 0)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	return wide_give(with, buf, n);
}

API(uint32_t, k32_GetTempPath2W, uint32_t n, wide *buf) { return k32_GetTempPathW(n, buf); }

API(uint32_t, k32_GetTempPathA, uint32_t n, char *buf)
{
	wide w[1024];
	if (k32_GetTempPathW(countof(w), w) >= countof(w))
		return 0;
	autofree char *p = text_from(w, SIZE_MAX);
	return p ? text_give(p, buf, n) : 0;
}

static const char windows_folder[] = "C:\\Windows", system_folder[] = "C:\\Windows\\System32";
API(uint32_t, k32_GetWindowsDirectoryW, wide *b, uint32_t n)
{
	return wide_give(windows_folder, b, n);
}
API(uint32_t, k32_GetWindowsDirectoryA, char *b, uint32_t n)
{
	return text_give(windows_folder, b, n);
}
API(uint32_t, k32_GetSystemWindowsDirectoryW, wide *b, uint32_t n)
{
	return wide_give(windows_folder, b, n);
}
API(uint32_t, k32_GetSystemDirectoryW, wide *b, uint32_t n)
{
	return wide_give(system_folder, b, n);
}
API(uint32_t, k32_GetSystemDirectoryA, char *b, uint32_t n)
{
	return text_give(system_folder, b, n);
}

API(uint32_t, k32_GetLogicalDrives, void)
{
	const struct win_start *s = process()->start;
	uint32_t mask = 0;
	for (size_t i = 0; i < s->ndrives; i++)
		mask |= 1u << (s->drives[i].letter - 'A');
	return mask;
}

API(uint32_t, k32_GetLogicalDriveStringsW, uint32_t n, wide *buf)
{
	uint32_t mask = k32_GetLogicalDrives(), need = 1, at = 0;
	need += 4 * (uint32_t)__builtin_popcount(mask);
	if (n < need)
		return need;
	for (unsigned i = 0; i < 26; i++)
		if (mask & 1u << i) {
			const wide one[4] = {(wide)('A' + i), ':', '\\', 0};
			memcpy(buf + at, one, sizeof one);
			at += 4;
		}
	buf[at] = 0;
	return at;
}

unsigned path_volume(char letter) { return (unsigned)((letter & ~32) - 'A' + 1); }

char path_volume_drive(unsigned volume)
{
	char letter = volume >= 1 && volume <= 26 ? (char)('A' + volume - 1) : 0;
	return letter && drive_find(letter) ? letter : 0;
}

/* What a drive's letter stands for: a volume, numbered as drives are. Of NULL, all names. */
API(uint32_t, k32_QueryDosDeviceW, const wide *device, wide *buf, uint32_t n)
{
	char text[64];
	uint32_t mask = k32_GetLogicalDrives(), used = 0;
	autofree char *d = device ? text_from(device, SIZE_MAX) : NULL;
	unsigned at = d && is_letter(d[0]) ? (unsigned)(d[0] & ~32) - 'A' : 26;
	if (d && (at == 26 || d[1] != ':' || d[2] || !(mask & 1u << at)))
		return fail(ERROR_FILE_NOT_FOUND);
	for (unsigned i = 0; i < 26; i++) {
		if (!(mask & 1u << i) || (d && i != at))
			continue;
		snprintf(text, sizeof text, d ? PATH_VOLUME : "%c:", d ? i + 1 : i + 'A');
		uint32_t len = (uint32_t)strlen(text) + 1;
		if (n < used + len + 1)
			return fail(ERROR_INSUFFICIENT_BUFFER);
		wide_give(text, buf + used, n - used);
		used += len;
	}
	buf[used++] = 0;
	return used;
}

enum { DRIVE_NO_ROOT_DIR = 1, DRIVE_FIXED = 3 };
API(uint32_t, k32_GetDriveTypeW, const wide *root)
{
	autofree char *p = root ? text_from(root, SIZE_MAX) : strdup(here.cwd);
	bool is =
	    p && is_letter(p[0]) && p[1] == ':' ? drive_find(p[0]) != NULL : p && is_slash(p[0]);
	return is ? DRIVE_FIXED : DRIVE_NO_ROOT_DIR;
}
