/* SPDX-License-Identifier: Apache-2.0 */
/* Modules by their handles: GetModuleHandle, LoadLibrary, GetProcAddress and their like. */
#include "win/internal.h"
#include <fcntl.h>

static uint64_t handle_of(const struct module *m) { return (uint64_t)(uintptr_t)m->im.at; }

API(uint64_t, k32_GetModuleHandleA, const char *name)
{
	if (!name)
		return handle_of(process()->main);
	struct module *m = module_find(name);
	/* of ours, those are there that a program of Windows always has */
	if (!m && library_find(name) &&
	    (!strncasecmp(name, "kernel", 6) || !strncasecmp(name, "ntdll", 5)) &&
	    module_load(&m, name, 0))
		m = NULL;
	return m ? handle_of(m) : fail(ERROR_MOD_NOT_FOUND);
}

API(uint64_t, k32_GetModuleHandleW, const wide *name)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_GetModuleHandleA(n);
}

enum { HANDLE_PIN = 1, HANDLE_UNCHANGED = 2, HANDLE_FROM_ADDRESS = 4 };

static uint32_t handle_ex(struct module *m, uint32_t flags, uint64_t *ret)
{
	*ret = 0;
	if (!m)
		return fail(ERROR_MOD_NOT_FOUND);
	if (!(flags & HANDLE_UNCHANGED))
		m->refs += flags & HANDLE_PIN ? 0x10000 : 1;
	*ret = handle_of(m);
	return 1;
}

API(uint32_t, k32_GetModuleHandleExA, uint32_t flags, const char *name, uint64_t *ret)
{
	if (flags & HANDLE_FROM_ADDRESS)
		return handle_ex(module_at((uint64_t)(uintptr_t)name), flags, ret);
	uint64_t h = k32_GetModuleHandleA(name);
	return handle_ex(h ? module_of_handle(h) : NULL, flags, ret);
}

API(uint32_t, k32_GetModuleHandleExW, uint32_t flags, const wide *name, uint64_t *ret)
{
	if (flags & HANDLE_FROM_ADDRESS)
		return handle_ex(module_at((uint64_t)(uintptr_t)name), flags, ret);
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_GetModuleHandleExA(flags, n, ret);
}

static uint32_t truncated(uint32_t len, uint32_t n)
{
	if (len < n)
		return len;
	last_error_set(ERROR_INSUFFICIENT_BUFFER);
	return n;
}

API(uint32_t, k32_GetModuleFileNameW, uint64_t h, wide *buf, uint32_t n)
{
	struct module *m = module_of_handle(h);
	if (!m)
		return fail(ERROR_INVALID_HANDLE);
	uint32_t len = wide_give(m->path, buf, n);
	if (len >= n && n) { /* as much as there is room for */
		utf16_put(m->path, strlen(m->path), buf, n - 1, NULL);
		buf[n - 1] = 0;
	}
	return truncated(len, n);
}

API(uint32_t, k32_GetModuleFileNameA, uint64_t h, char *buf, uint32_t n)
{
	struct module *m = module_of_handle(h);
	if (!m)
		return fail(ERROR_INVALID_HANDLE);
	uint32_t len = text_give(m->path, buf, n);
	if (len >= n && n) {
		memcpy(buf, m->path, n - 1);
		buf[n - 1] = 0;
	}
	return truncated(len, n);
}

API(uint32_t, k32_K32GetModuleFileNameExW, handle p, uint64_t h, wide *buf, uint32_t n)
{
	(void)p;
	return k32_GetModuleFileNameW(h, buf, n);
}

enum { LOAD_AS_DATA = 2, LOAD_AS_IMAGE = 0x20 };

API(uint64_t, k32_LoadLibraryExA, const char *name, handle file, uint32_t flags)
{
	struct module *m = NULL;
	(void)file;
	if (flags & (LOAD_AS_DATA | LOAD_AS_IMAGE))
		return fail(ERROR_NOT_SUPPORTED);
	uint32_t bad = name && *name ? module_load(&m, name, flags) : ERROR_INVALID_PARAMETER;
	return bad ? fail(bad) : handle_of(m);
}

API(uint64_t, k32_LoadLibraryExW, const wide *name, handle file, uint32_t flags)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_LoadLibraryExA(n, file, flags);
}

API(uint64_t, k32_LoadLibraryA, const char *name) { return k32_LoadLibraryExA(name, 0, 0); }
API(uint64_t, k32_LoadLibraryW, const wide *name) { return k32_LoadLibraryExW(name, 0, 0); }

API(uint32_t, k32_FreeLibrary, uint64_t h)
{
	struct module *m = h ? module_of_handle(h) : NULL;
	if (!m)
		return fail(ERROR_MOD_NOT_FOUND);
	module_unload(m);
	return 1;
}

API(uint32_t, k32_DisableThreadLibraryCalls, uint64_t h)
{
	struct module *m = h ? module_of_handle(h) : NULL;
	if (!m || m->tls_used) /* which is told of all threads */
		return fail(ERROR_MOD_NOT_FOUND);
	m->no_threads = true;
	return 1;
}

API(uint64_t, k32_GetProcAddress, uint64_t h, const char *name)
{
	struct module *m = module_of_handle(h);
	uint64_t n = (uint64_t)(uintptr_t)name;
	if (!m)
		return fail(ERROR_MOD_NOT_FOUND);
	void *at =
	    n < 65536 ? module_symbol(m, NULL, (unsigned)n, 0) : module_symbol(m, name, 0, 0);
	return at ? (uint64_t)(uintptr_t)at : fail(ERROR_PROC_NOT_FOUND);
}

/* The image that @at is in. */
API(uint64_t, nt_RtlPcToFileHeader, uint64_t at, uint64_t *ret)
{
	struct module *m = module_at(at);
	*ret = m ? handle_of(m) : 0;
	return *ret;
}

API(uint64_t, nt_RtlImageNtHeader, uint64_t h)
{
	struct module *m = module_of_handle(h);
	return m ? h + le32_at(m->im.at + 60) : 0;
}

struct module_handles {
	uint64_t *all;
	uint32_t room, n;
};
static bool handle_put(const struct module *m, void *arg)
{
	struct module_handles *h = arg;
	if (h->n < h->room)
		h->all[h->n] = handle_of(m);
	h->n++;
	return true;
}

API(uint32_t, k32_K32EnumProcessModules, handle p, uint64_t *all, uint32_t size, uint32_t *ret_size)
{
	struct module_handles h = {.all = all, .room = size / 8};
	(void)p;
	modules_each(handle_put, &h);
	*ret_size = h.n * 8;
	return 1;
}

API(uint32_t, k32_K32GetModuleBaseNameW, handle p, uint64_t h, wide *buf, uint32_t n)
{
	struct object *o = object_get(p, KIND_PROCESS);
	const struct module *m = h ? module_of_handle(h) : process()->main;
	bool mine = o == process_object();
	object_unref(o);
	if (!o || !mine || !m)
		return o ? fail(ERROR_INVALID_HANDLE) : 0;
	return wide_give(m->name, buf, n);
}

/* What kind of program a file is, by its headers: of 32 or 64 bits. */
API(uint32_t, k32_GetBinaryTypeW, const wide *path, uint32_t *ret)
{
	enum { HEAD = 4096, MACHINE_I386 = 0x14c, IS_32_BITS = 0, IS_64_BITS = 6 };
	uint8_t head[HEAD];
	autofree char *host = path_linux_w(path);
	autoclose int fd = host ? open(host, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
	if (n < 0)
		return fd < 0 && host ? fail(path_missing(host)) : fail_errno();
	if (!pe_claims(head, (uint64_t)n))
		return fail(ERROR_BAD_EXE_FORMAT);
	*ret = le16_at(head + le32_at(head + 60) + 4) == MACHINE_I386 ? IS_32_BITS : IS_64_BITS;
	return 1;
}
