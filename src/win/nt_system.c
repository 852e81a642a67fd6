/* SPDX-License-Identifier: Apache-2.0 */
/* What ntdll tells of the system and of processes, by class. And what is like it in kernel32. */
#include "win/internal.h"
#include <stdio.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>

enum { SYSTEM_BASIC = 0, SYSTEM_TIME = 3, SYSTEM_CPU_TIMES = 8, CPU_TIMES = 48, BASIC_SIZE = 64 };
enum { PROCESS_BASIC = 0, PROCESS_COMMAND_LINE = 60, PROCESS_BASIC_SIZE = 48 };

static uint32_t cpus(void) { return le32_at(process()->peb + PEB_CPUS); }

static uint64_t in_100ns(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 10000000 + (uint64_t)t->tv_usec * 10;
}

/* Of the guest alone: others are none of its business. It counts as used by the first processor;
 * idle is what is left of the time that the system is up. */
static void cpu_times_put(uint8_t *o, uint32_t n)
{
	struct rusage u;
	struct timespec up;
	getrusage(RUSAGE_SELF, &u);
	clock_gettime(CLOCK_BOOTTIME, &up);
	uint64_t user = in_100ns(&u.ru_utime), kernel = in_100ns(&u.ru_stime);
	uint64_t all = (uint64_t)up.tv_sec * 10000000 + (uint64_t)up.tv_nsec / 100;
	memset(o, 0, (size_t)CPU_TIMES * n);
	for (uint32_t i = 0; i < n; i++, o += CPU_TIMES) {
		uint64_t used = i ? 0 : user + kernel, idle = all > used ? all - used : 0;
		le64_put(o, idle);
		le64_put(o + 8, idle + (i ? 0 : kernel)); /* kernel time has the idle one in it */
		le64_put(o + 16, i ? 0 : user);
	}
}

static void basic_put(uint8_t *o)
{
	struct sysinfo s = {0};
	(void)sysinfo(&s);
	memset(o, 0, BASIC_SIZE);
	le32_put(o + 4, 156250); /* 15.625 ms */
	le32_put(o + 8, PAGE);
	le32_put(o + 12, (uint32_t)((uint64_t)s.totalram * s.mem_unit / PAGE));
	le32_put(o + 24, GRANULE);
	le64_put(o + 32, GRANULE);
	le64_put(o + 40, UINT64_C(0x7ffffffeffff));
	le64_put(o + 48, cpus() >= 64 ? UINT64_MAX : (UINT64_C(1) << cpus()) - 1);
	o[56] = (uint8_t)cpus();
}

API(uint32_t, nt_NtQuerySystemInformation, uint32_t class, void *out, uint32_t n, uint32_t *ret_n)
{
	uint32_t whole = class == SYSTEM_CPU_TIMES ? cpus() * CPU_TIMES
			 : class == SYSTEM_BASIC   ? BASIC_SIZE
						   : 0;
	if (!whole)
		return STATUS_INVALID_INFO_CLASS;
	uint32_t fits =
	    class == SYSTEM_CPU_TIMES ? (n < whole ? n : whole) / CPU_TIMES * CPU_TIMES : whole;
	if (ret_n)
		*ret_n = n < whole ? whole : fits;
	if (!fits || n < fits)
		return STATUS_INFO_LENGTH_MISMATCH;
	if (class == SYSTEM_CPU_TIMES)
		cpu_times_put(out, fits / CPU_TIMES);
	else
		basic_put(out);
	return STATUS_SUCCESS;
}

API(uint32_t, k32_GetSystemTimes, uint64_t *idle, uint64_t *kernel, uint64_t *user)
{
	uint32_t n = cpus();
	autofree uint8_t *all = calloc(n, CPU_TIMES);
	uint64_t sum[3] = {0};
	if (!all)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	cpu_times_put(all, n);
	for (uint32_t i = 0; i < n; i++)
		for (unsigned k = 0; k < 3; k++)
			sum[k] += le64_at(all + (size_t)i * CPU_TIMES + 8 * (size_t)k);
	if (idle)
		*idle = sum[0];
	if (kernel)
		*kernel = sum[1];
	if (user)
		*user = sum[2];
	return 1;
}

API(uint32_t, nt_NtQueryInformationProcess, handle h, uint32_t class, void *out, uint32_t n,
    uint32_t *ret_n)
{
	uint8_t *o = out;
	extern WINAPI uint32_t k32_GetExitCodeProcess(handle, uint32_t *);
	extern WINAPI uint32_t k32_GetProcessId(handle);
	struct object *p = object_get(h, KIND_PROCESS);
	if (!p)
		return STATUS_INVALID_HANDLE;
	bool own = p == process_object();
	object_unref(p);
	if (class != PROCESS_BASIC)
		return STATUS_INVALID_INFO_CLASS;
	if (ret_n)
		*ret_n = PROCESS_BASIC_SIZE;
	if (n < PROCESS_BASIC_SIZE)
		return STATUS_INFO_LENGTH_MISMATCH;
	uint32_t code = 0;
	(void)k32_GetExitCodeProcess(h, &code);
	memset(o, 0, PROCESS_BASIC_SIZE);
	le32_put(o, code);
	le64_put(o + 8, own ? (uint64_t)(uintptr_t)process()->peb : 0);
	le64_put(o + 16, cpus() >= 64 ? UINT64_MAX : (UINT64_C(1) << cpus()) - 1);
	le32_put(o + 24, 8); /* normal */
	le64_put(o + 32, k32_GetProcessId(h));
	le64_put(o + 40, !own ? process()->pid : process()->start->child ? (uint64_t)getppid() : 0);
	return STATUS_SUCCESS;
}

/* ---- counts ---- */

API(uint32_t, k32_GetProcessIoCounters, handle h, uint64_t *out)
{
	struct rusage u;
	struct object *p = object_get(h, KIND_PROCESS);
	if (!p)
		return 0;
	object_unref(p);
	getrusage(RUSAGE_SELF, &u);
	/* operations: read, write, other; bytes the same way: the host counts blocks of 512 */
	const uint64_t all[] = {(uint64_t)u.ru_inblock,       (uint64_t)u.ru_oublock,       0,
				(uint64_t)u.ru_inblock * 512, (uint64_t)u.ru_oublock * 512, 0};
	memcpy(out, all, sizeof all);
	return 1;
}

API(uint32_t, k32_QueryThreadCycleTime, handle h, uint64_t *ret)
{
	struct timespec t;
	struct object *o = object_get(h, KIND_THREAD);
	if (!o)
		return 0;
	bool own = o == thread_self()->object;
	object_unref(o);
	if (!own)
		return fail(ERROR_NOT_SUPPORTED);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* ns: cycles of a processor of 1 GHz */
	*ret = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	return 1;
}

/* ---- tracing: nobody listens ---- */

API(uint32_t, adv_EventRegister, const void *id, uint64_t fn, uint64_t arg, uint64_t *ret)
{
	(void)id;
	(void)fn;
	(void)arg;
	*ret = 1;
	return 0;
}
API(uint32_t, adv_EventUnregister, uint64_t h)
{
	(void)h;
	return 0;
}
API(uint32_t, adv_EventSetInformation, uint64_t h, uint32_t class, const void *p, uint32_t n)
{
	(void)h;
	(void)class;
	(void)p;
	(void)n;
	return 0;
}
API(uint32_t, adv_EventWriteTransfer, uint64_t h, const void *event, const void *activity,
    const void *related, uint32_t n, const void *data)
{
	(void)h;
	(void)event;
	(void)activity;
	(void)related;
	(void)n;
	(void)data;
	return 0;
}
