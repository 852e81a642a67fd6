/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked about processes and their modules. Of others than itself, a guest sees those that
 * it has started, by their handles. */
#include "win/child.h"

extern WINAPI uint32_t k32_GetModuleFileNameA(uint64_t h, char *buf, uint32_t n);
extern WINAPI uint32_t k32_K32EnumProcessModules(handle p, uint64_t *all, uint32_t size,
						 uint32_t *ret_size);

/* The process itself; false: another, or none (last error set). */
static bool is_own(handle h)
{
	struct object *o = object_get(h, KIND_PROCESS);
	bool own = o && o == process_object();
	if (o && !own)
		last_error_set(ERROR_ACCESS_DENIED);
	object_unref(o);
	return own;
}

API(uint32_t, k32_QueryFullProcessImageNameW, handle h, uint32_t flags, wide *buf, uint32_t *n)
{
	(void)flags;
	if (!is_own(h))
		return 0;
	uint32_t len = wide_give(process()->start->program, buf, *n);
	if (len >= *n)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	*n = len;
	return 1;
}

API(uint32_t, k32_QueryFullProcessImageNameA, handle h, uint32_t flags, char *buf, uint32_t *n)
{
	(void)flags;
	if (!is_own(h))
		return 0;
	uint32_t len = text_give(process()->start->program, buf, *n);
	if (len >= *n)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	*n = len;
	return 1;
}

/* Programs of 32 bits are not run. */
API(uint32_t, k32_IsWow64Process, handle h, uint32_t *ret)
{
	struct object *o = object_get(h, KIND_PROCESS);
	object_unref(o);
	*ret = 0;
	return o != NULL;
}

API(uint32_t, k32_IsWow64Process2, handle h, uint16_t *ret_process, uint16_t *ret_native)
{
	enum { MACHINE_UNKNOWN = 0, MACHINE_AMD64 = 0x8664 };
	struct object *o = object_get(h, KIND_PROCESS);
	object_unref(o);
	*ret_process = MACHINE_UNKNOWN; /* not emulated */
	if (ret_native)
		*ret_native = MACHINE_AMD64;
	return o != NULL;
}

API(uint32_t, k32_ProcessIdToSessionId, uint32_t pid, uint32_t *ret)
{
	*ret = 1;
	return pid ? 1 : fail(ERROR_INVALID_PARAMETER);
}

API(uint32_t, k32_GetProcessIdOfThread, handle h)
{
	struct object *o = object_get(h, KIND_THREAD), *p = o ? thread_process(o) : NULL;
	uint32_t pid = !o ? 0 : p ? process_pid(p) : process()->pid;
	object_unref(o);
	return pid;
}

API(uint32_t, k32_K32EnumProcesses, uint32_t *all, uint32_t size, uint32_t *ret_size)
{
	*ret_size = size >= sizeof *all ? sizeof *all : 0;
	if (*ret_size)
		*all = process()->pid;
	return 1;
}

API(uint32_t, k32_K32EnumProcessModulesEx, handle h, uint64_t *all, uint32_t size,
    uint32_t *ret_size, uint32_t filter)
{
	(void)filter;
	return is_own(h) ? k32_K32EnumProcessModules(h, all, size, ret_size) : 0;
}

struct module_information {
	uint64_t base;
	uint32_t size, pad;
	uint64_t entry;
};
API(uint32_t, k32_K32GetModuleInformation, handle p, uint64_t h, struct module_information *ret,
    uint32_t size)
{
	if (!is_own(p))
		return 0;
	const struct module *m = h ? module_of_handle(h) : process()->main;
	if (!m || size < sizeof *ret)
		return fail(m ? ERROR_INSUFFICIENT_BUFFER : ERROR_INVALID_HANDLE);
	uint64_t at = (uint64_t)(uintptr_t)m->im.at;
	*ret = (struct module_information){at, m->im.size, 0, m->pe.entry ? at + m->pe.entry : 0};
	return 1;
}

API(uint32_t, k32_K32GetModuleBaseNameA, handle p, uint64_t h, char *buf, uint32_t n)
{
	if (!is_own(p))
		return 0;
	const struct module *m = h ? module_of_handle(h) : process()->main;
	return m ? text_give(m->name, buf, n) : fail(ERROR_INVALID_HANDLE);
}

API(uint32_t, k32_K32GetModuleFileNameExA, handle p, uint64_t h, char *buf, uint32_t n)
{
	return is_own(p) ? k32_GetModuleFileNameA(h, buf, n) : 0;
}
