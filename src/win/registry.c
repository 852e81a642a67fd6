/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: keys are folders, values are files in them whose names begin with =, below C:, so
 * that it lasts as long as the drive does and all processes of the guest have it. A file is the
 * value's type, 4 bytes, and its data. Characters that a file's name cannot have are %XX. */
#include "win/registry.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { NAME_BYTES = 800, DATA_MAX = 16 << 20 };
enum { REG_SZ = 1, REG_EXPAND_SZ = 2, REG_BINARY = 3, REG_DWORD = 4, REG_MULTI_SZ = 7 };
enum { REG_QWORD = 11, RRF_ANY = 0xffff, RRF_NOEXPAND = 0x10000000, RRF_ZERO = 0x20000000 };
enum { ERROR_KEY_DELETED = 1018, ERROR_UNSUPPORTED_TYPE = 1630 };
static const char REGISTRY[] = "C:\\Windows\\System32\\config\\registry";

struct key {
	struct object o;
	char *path; /* of the host; owned */
};

static void key_fini(struct object *o) { free(((struct key *)(void *)o)->path); }

/* ---- names ---- */

/* Into @out, of NAME_BYTES, behind @prefix. False: it is too long. */
static bool name_encode(char *out, const char *prefix, const char *name)
{
	size_t n = strlen(prefix);
	memcpy(out, prefix, n);
	for (const char *p = name; *p; p++) {
		bool odd = *p == '/' || *p == '%' || *p == '=' || *p == '.' || (uint8_t)*p < 32;
		if (n + 4 > NAME_BYTES || n > 250)
			return false;
		n += (size_t)snprintf(out + n, 4, odd ? "%%%02X" : "%c",
				      odd ? (uint8_t)*p : (unsigned)*p);
	}
	out[n] = 0;
	return true;
}

void registry_name_decode(char *out, const char *name)
{
	while (*name) {
		unsigned c = (uint8_t)*name++;
		if (c == '%' && sscanf(name, "%2X", &c) == 1)
			name += 2;
		*out++ = (char)c;
	}
	*out = 0;
}

/* @encoded as it is in the folder @path, whatever its case; the name itself, if it is not there. */
static char *entry_path(const char *path, const char *encoded)
{
	char *out = NULL;
	struct stat st;
	if (asprintf(&out, "%s/%s", path, encoded) < 0)
		return NULL;
	if (lstat(out, &st) == 0)
		return out;
	DIR *d = opendir(path);
	for (const struct dirent *e; d && (e = readdir(d));)
		if (!strcasecmp(e->d_name, encoded)) {
			memcpy(out + strlen(path) + 1, e->d_name, strlen(encoded));
			break;
		}
	if (d)
		closedir(d);
	return out;
}

/* The folder of the key @sub (A\B\C) below @path: malloc'ed, there or not. */
static char *key_path(const char *path, const char *sub)
{
	char *at = strdup(path), part[NAME_BYTES], encoded[NAME_BYTES];
	while (at && sub && *(sub += strspn(sub, "\\"))) {
		size_t n = strcspn(sub, "\\");
		char *next = NULL;
		if (n < sizeof part) {
			memcpy(part, sub, n);
			part[n] = 0;
			next = name_encode(encoded, "", part) ? entry_path(at, encoded) : NULL;
		}
		free(at);
		at = next;
		sub += n;
	}
	return at;
}

/* ---- what there is from the start ---- */

static void value_put(const char *key, const char *name, uint32_t type, const void *data, size_t n)
{
	char encoded[NAME_BYTES];
	uint8_t head[4];
	le32_put(head, type);
	autofree char *path = name_encode(encoded, "=", name) ? entry_path(key, encoded) : NULL;
	autoclose int fd =
	    path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
	if (fd >= 0 && write(fd, head, 4) == 4)
		(void)!write(fd, data, n);
}

static void text_put(const char *key, const char *name, const char *text)
{
	autofree wide *w = text_wide(text, SIZE_MAX);
	if (w)
		value_put(key, name, REG_SZ, w, 2 * (wide_len(w) + 1));
}

static void number_put(const char *key, const char *name, uint32_t n)
{
	uint8_t data[4];
	le32_put(data, n);
	value_put(key, name, REG_DWORD, data, sizeof data);
}

static uint32_t folders_make(char *path)
{
	for (char *p = path + 1;; p++) {
		char c = *p;
		if (c && c != '/')
			continue;
		*p = 0;
		int r = mkdir(path, 0777);
		*p = c;
		if (r < 0 && errno != EEXIST)
			return error_of(errno);
		if (!c)
			return 0;
	}
}

static void version_put(const char *root)
{
	char build[16];
	snprintf(build, sizeof build, "%u", VERSION_BUILD);
	autofree char *key =
	    key_path(root, "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion");
	if (!key || folders_make(key))
		return;
	text_put(key, "ProductName", "Windows 10 Pro");
	text_put(key, "CurrentVersion", "6.3"); /* as all versions since 8.1 say */
	text_put(key, "CurrentBuild", build);
	text_put(key, "CurrentBuildNumber", build);
	text_put(key, "SystemRoot", "C:\\Windows");
	number_put(key, "CurrentMajorVersionNumber", VERSION_MAJOR);
	number_put(key, "CurrentMinorVersionNumber", VERSION_MINOR);
}

static void processors_put(const char *root)
{
	for (uint32_t i = 0; i < le32_at(process()->peb + PEB_CPUS); i++) {
		char name[80];
		snprintf(name, sizeof name,
			 "HKLM\\HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\%u", i);
		autofree char *key = key_path(root, name);
		if (!key || folders_make(key))
			return;
		text_put(key, "ProcessorNameString", "x86-64 processor");
		number_put(key, "~MHz", 2000);
	}
}

/* The folder of all: made by the first who asks for something. */
static char *registry_root(void)
{
	struct stat st;
	char *root = path_linux(REGISTRY);
	if (!root || stat(root, &st) == 0)
		return root;
	static const char *const keys[] = {"HKLM\\SOFTWARE\\Classes", "HKCU\\Software",
					   "HKCU\\Environment", "HKU", "HKCC"};
	for (size_t i = 0; i < countof(keys); i++) {
		autofree char *key = key_path(root, keys[i]);
		if (key)
			(void)!folders_make(key);
	}
	version_put(root);
	processors_put(root);
	return root;
}

/* ---- keys ---- */

/* HKEY_CLASSES_ROOT and so on: numbers, not handles. */
static const char *predefined(uint64_t key)
{
	static const char *const names[] = {"HKLM\\SOFTWARE\\Classes", "HKCU", "HKLM", "HKU", NULL,
					    "HKCC"};
	uint32_t i = (uint32_t)key - 0x80000000u;
	return i < countof(names) ? names[i] : NULL;
}

/* Where @sub of the key @h is: *ret malloc'ed. 0 or an error; there or not. */
uint32_t registry_key(uint64_t h, const char *sub, char **ret)
{
	const char *name = predefined(h);
	autofree char *base = NULL;
	if (name) {
		autofree char *root = registry_root();
		base = root ? key_path(root, name) : NULL;
	} else {
		struct key *k = object_get(h, KIND_KEY);
		if (!k)
			return ERROR_INVALID_HANDLE;
		base = strdup(k->path);
		object_unref(&k->o);
	}
	*ret = base ? key_path(base, sub) : NULL;
	return *ret ? 0 : ERROR_INVALID_PARAMETER;
}

static uint32_t key_handle(char *path, uint64_t *ret)
{
	struct key *k = object_new(KIND_KEY, sizeof *k);
	if (!k) {
		free(path);
		return ERROR_NOT_ENOUGH_MEMORY;
	}
	k->o.fini = key_fini;
	k->path = path;
	return (*ret = object_handle(&k->o, false)) ? 0 : ERROR_NO_SYSTEM_RESOURCES;
}

static uint32_t key_open(uint64_t h, const char *sub, bool make, uint64_t *ret, uint32_t *ret_made)
{
	struct stat st;
	char *path;
	uint32_t error = registry_key(h, sub, &path);
	if (error)
		return error;
	bool there = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	if (ret_made)
		*ret_made = there ? 2 : 1; /* REG_OPENED_EXISTING_KEY, REG_CREATED_NEW_KEY */
	error = there ? 0 : make ? folders_make(path) : ERROR_FILE_NOT_FOUND;
	if (!error)
		return key_handle(path, ret);
	free(path);
	return error;
}

API(uint32_t, adv_RegOpenKeyExA, uint64_t h, const char *sub, uint32_t options, uint32_t access,
    uint64_t *ret)
{
	(void)options;
	(void)access;
	return key_open(h, sub, false, ret, NULL);
}

API(uint32_t, adv_RegOpenKeyExW, uint64_t h, const wide *sub, uint32_t options, uint32_t access,
    uint64_t *ret)
{
	autofree char *s = sub ? text_from(sub, SIZE_MAX) : NULL;
	return adv_RegOpenKeyExA(h, s, options, access, ret);
}

API(uint32_t, adv_RegCreateKeyExA, uint64_t h, const char *sub, uint32_t reserved, void *class,
    uint32_t options, uint32_t access, void *sec, uint64_t *ret, uint32_t *ret_made)
{
	(void)reserved;
	(void)class;
	(void)options;
	(void)access;
	(void)sec;
	return key_open(h, sub, true, ret, ret_made);
}

API(uint32_t, adv_RegCreateKeyExW, uint64_t h, const wide *sub, uint32_t reserved, void *class,
    uint32_t options, uint32_t access, void *sec, uint64_t *ret, uint32_t *ret_made)
{
	autofree char *s = sub ? text_from(sub, SIZE_MAX) : NULL;
	return adv_RegCreateKeyExA(h, s, reserved, class, options, access, sec, ret, ret_made);
}

API(uint32_t, adv_RegCloseKey, uint64_t h)
{
	return predefined(h) || object_close(h) ? 0 : ERROR_INVALID_HANDLE;
}

API(uint32_t, adv_RegFlushKey, uint64_t h)
{
	(void)h;
	return 0;
}

/* ---- values ---- */

/* *ret: the type and the data, malloc'ed; *ret_n of the data. */
static uint32_t value_read(const char *key, const char *name, uint8_t **ret, uint32_t *ret_n)
{
	char encoded[NAME_BYTES];
	struct stat st;
	autofree char *path =
	    name_encode(encoded, "=", name ? name : "") ? entry_path(key, encoded) : NULL;
	autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 4 || st.st_size > DATA_MAX)
		return ERROR_FILE_NOT_FOUND;
	uint8_t *data = malloc((size_t)st.st_size + 2);
	if (!data)
		return ERROR_NOT_ENOUGH_MEMORY;
	ssize_t n = read(fd, data, (size_t)st.st_size);
	if (n < 4) {
		free(data);
		return ERROR_FILE_NOT_FOUND;
	}
	*ret = data;
	*ret_n = (uint32_t)n - 4;
	return 0;
}

static bool is_text(uint32_t type)
{
	return type == REG_SZ || type == REG_EXPAND_SZ || type == REG_MULTI_SZ;
}

/* @narrow: texts are given in bytes. NULL for @data: only how much. */
static uint32_t value_give(const uint8_t *v, uint32_t n, bool narrow, uint32_t *ret_type,
			   void *data, uint32_t *ret_n)
{
	uint32_t type = le32_at(v), need = n;
	const wide *w = (const wide *)(const void *)(v + 4);
	bool convert = narrow && is_text(type);
	if (convert)
		need = (uint32_t)utf8_put(w, n / 2, NULL, 0, NULL);
	if (ret_type)
		*ret_type = type;
	uint32_t cap = ret_n ? *ret_n : 0;
	if (ret_n)
		*ret_n = need;
	if (!data)
		return 0;
	if (cap < need)
		return ERROR_MORE_DATA;
	if (convert)
		utf8_put(w, n / 2, data, need, NULL);
	else
		memcpy(data, v + 4, n);
	return 0;
}

static uint32_t value_query(uint64_t h, const char *sub, const char *name, bool narrow,
			    uint32_t *type, void *data, uint32_t *n)
{
	autofree char *key = NULL;
	autofree uint8_t *v = NULL;
	uint32_t len = 0, error = registry_key(h, sub, &key);
	if (!error)
		error = value_read(key, name, &v, &len);
	return error ? error : value_give(v, len, narrow, type, data, n);
}

uint32_t registry_query(uint64_t h, const char *name, bool narrow, uint32_t *type, void *data,
			uint32_t *n)
{
	return value_query(h, NULL, name, narrow, type, data, n);
}

API(uint32_t, adv_RegQueryValueExA, uint64_t h, const char *name, void *reserved, uint32_t *type,
    void *data, uint32_t *n)
{
	(void)reserved;
	return value_query(h, NULL, name, true, type, data, n);
}

API(uint32_t, adv_RegQueryValueExW, uint64_t h, const wide *name, void *reserved, uint32_t *type,
    void *data, uint32_t *n)
{
	autofree char *s = name ? text_from(name, SIZE_MAX) : NULL;
	(void)reserved;
	return value_query(h, NULL, s, false, type, data, n);
}

/* Bits of @flags say which types will do. */
static bool type_wanted(uint32_t type, uint32_t flags)
{
	static const struct {
		uint32_t type, bit;
	} bits[] = {{0, 1},         {REG_SZ, 2},     {REG_EXPAND_SZ, 4}, {REG_BINARY, 8},
		    {REG_DWORD, 16}, {REG_MULTI_SZ, 32}, {REG_QWORD, 64}};
	for (size_t i = 0; i < countof(bits); i++)
		if (bits[i].type == type)
			return flags & bits[i].bit;
	return (flags & RRF_ANY) == RRF_ANY;
}

static uint32_t value_get(uint64_t h, const char *sub, const char *name, bool narrow,
			  uint32_t flags, uint32_t *ret_type, void *data, uint32_t *n)
{
	uint32_t type = 0, cap = data && n ? *n : 0;
	uint32_t error = value_query(h, sub, name, narrow, &type, NULL, NULL);
	if (!error && !type_wanted(type, flags))
		error = ERROR_UNSUPPORTED_TYPE;
	if (!error)
		error = value_query(h, sub, name, narrow, ret_type, data, n);
	if (error && data && flags & RRF_ZERO)
		memset(data, 0, cap);
	return error;
}

API(uint32_t, adv_RegGetValueA, uint64_t h, const char *sub, const char *name, uint32_t flags,
    uint32_t *type, void *data, uint32_t *n)
{
	return value_get(h, sub, name, true, flags, type, data, n);
}

API(uint32_t, adv_RegGetValueW, uint64_t h, const wide *sub, const wide *name, uint32_t flags,
    uint32_t *type, void *data, uint32_t *n)
{
	autofree char *s = sub ? text_from(sub, SIZE_MAX) : NULL,
		      *v = name ? text_from(name, SIZE_MAX) : NULL;
	return value_get(h, s, v, false, flags, type, data, n);
}

API(uint32_t, adv_RegSetValueExW, uint64_t h, const wide *name, uint32_t reserved, uint32_t type,
    const void *data, uint32_t n)
{
	struct stat st;
	autofree char *s = name ? text_from(name, SIZE_MAX) : strdup(""), *key = NULL;
	char encoded[NAME_BYTES];
	(void)reserved;
	uint32_t error = registry_key(h, NULL, &key);
	if (error)
		return error;
	if (stat(key, &st) < 0)
		return ERROR_KEY_DELETED;
	if (!s || !name_encode(encoded, "=", s) || n > DATA_MAX - 4 || (n && !data))
		return ERROR_INVALID_PARAMETER;
	value_put(key, s, type, data, n);
	return 0;
}

API(uint32_t, adv_RegSetValueExA, uint64_t h, const char *name, uint32_t reserved, uint32_t type,
    const char *data, uint32_t n)
{
	autofree wide *s = name ? text_wide(name, SIZE_MAX) : NULL;
	if (!is_text(type) || !data)
		return adv_RegSetValueExW(h, s, reserved, type, data, n);
	size_t units = utf16_put(data, n, NULL, 0, NULL);
	autofree wide *w = malloc(2 * units + 2);
	if (!w)
		return ERROR_NOT_ENOUGH_MEMORY;
	utf16_put(data, n, w, units, NULL);
	return adv_RegSetValueExW(h, s, reserved, type, w, (uint32_t)(2 * units));
}

API(uint32_t, adv_RegDeleteValueA, uint64_t h, const char *name)
{
	autofree char *key = NULL;
	char encoded[NAME_BYTES];
	uint32_t error = registry_key(h, NULL, &key);
	if (error)
		return error;
	autofree char *path =
	    name_encode(encoded, "=", name ? name : "") ? entry_path(key, encoded) : NULL;
	return path && unlink(path) == 0 ? 0 : ERROR_FILE_NOT_FOUND;
}

API(uint32_t, adv_RegDeleteValueW, uint64_t h, const wide *name)
{
	autofree char *s = name ? text_from(name, SIZE_MAX) : NULL;
	return adv_RegDeleteValueA(h, s);
}

/* ---- deleting keys ---- */

/* Its values, and with @all the keys in it. */
static uint32_t key_empty(const char *path, bool all, int depth)
{
	uint32_t error = depth > 64 ? ERROR_ACCESS_DENIED : 0;
	DIR *d = opendir(path);
	if (!d)
		return ERROR_FILE_NOT_FOUND;
	for (const struct dirent *e; !error && (e = readdir(d));) {
		autofree char *at = NULL;
		if (e->d_name[0] == '.')
			continue;
		if (asprintf(&at, "%s/%s", path, e->d_name) < 0)
			error = ERROR_NOT_ENOUGH_MEMORY;
		else if (e->d_name[0] == '=')
			(void)!unlink(at);
		else if (!all)
			error = ERROR_ACCESS_DENIED;
		else if (!(error = key_empty(at, true, depth + 1)) && rmdir(at) < 0)
			error = error_of(errno);
	}
	closedir(d);
	return error;
}

static bool has_keys(const char *path)
{
	bool found = false;
	DIR *d = opendir(path);
	for (const struct dirent *e; d && !found && (e = readdir(d));)
		found = e->d_name[0] != '.' && e->d_name[0] != '=';
	if (d)
		closedir(d);
	return found;
}

static uint32_t key_delete(uint64_t h, const char *sub, bool all)
{
	autofree char *path = NULL;
	uint32_t error = registry_key(h, sub, &path);
	if (!error && !all && has_keys(path))
		error = ERROR_ACCESS_DENIED;
	if (!error)
		error = key_empty(path, all, 0);
	if (!error && sub && *sub && rmdir(path) < 0)
		error = error_of(errno);
	return error;
}

API(uint32_t, adv_RegDeleteKeyA, uint64_t h, const char *sub)
{
	return sub ? key_delete(h, sub, false) : ERROR_INVALID_PARAMETER;
}
API(uint32_t, adv_RegDeleteKeyW, uint64_t h, const wide *sub)
{
	autofree char *s = sub ? text_from(sub, SIZE_MAX) : NULL;
	return adv_RegDeleteKeyA(h, s);
}
API(uint32_t, adv_RegDeleteKeyExW, uint64_t h, const wide *sub, uint32_t access, uint32_t reserved)
{
	(void)access;
	(void)reserved;
	return adv_RegDeleteKeyW(h, sub);
}
API(uint32_t, adv_RegDeleteTreeA, uint64_t h, const char *sub) { return key_delete(h, sub, true); }
API(uint32_t, adv_RegDeleteTreeW, uint64_t h, const wide *sub)
{
	autofree char *s = sub ? text_from(sub, SIZE_MAX) : NULL;
	return adv_RegDeleteTreeA(h, s);
}
