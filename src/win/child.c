/* SPDX-License-Identifier: Apache-2.0 */
/* Processes as objects: this one. */
#include "win/internal.h"

struct process_object {
	struct object o;
	uint32_t pid, exit_code;
};

struct object *process_object(void)
{
	static struct process_object me = {.o = {.kind = KIND_PROCESS, .refs = 1, .manual = true},
					   .exit_code = STILL_ACTIVE};
	me.pid = process()->pid;
	return &me.o;
}

API(uint32_t, k32_TerminateProcess, handle h, uint32_t code)
{
	struct object *o = object_get(h, KIND_PROCESS);
	if (!o)
		return 0;
	bool me = o == process_object();
	object_unref(o);
	if (me)
		process_end(code);
	return fail(ERROR_ACCESS_DENIED);
}

API(uint32_t, k32_GetExitCodeProcess, handle h, uint32_t *ret)
{
	struct process_object *p = object_get(h, KIND_PROCESS);
	if (!p)
		return 0;
	*ret = p->exit_code;
	object_unref(&p->o);
	return 1;
}

API(uint32_t, k32_GetProcessId, handle h)
{
	struct process_object *p = object_get(h, KIND_PROCESS);
	uint32_t pid = p ? p->pid : 0;
	object_unref(p ? &p->o : NULL);
	return pid;
}

API(handle, k32_OpenProcess, uint32_t access, uint32_t inherit, uint32_t pid)
{
	(void)access;
	if (pid != process()->pid)
		return fail(ERROR_INVALID_PARAMETER);
	struct object *o = process_object();
	object_ref(o);
	return object_handle(o, inherit != 0);
}
