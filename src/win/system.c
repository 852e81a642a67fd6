/* SPDX-License-Identifier: Apache-2.0 */
/* What the system is: version, processors, memory, names, messages. */
#include "win/internal.h"
#include <sched.h>
#include <stdio.h>
#include <sys/platform/x86.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

static uint32_t cpus(void) { return le32_at(process()->peb + PEB_CPUS); }

static uint64_t cpu_mask(void)
{
	uint32_t n = cpus();
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

struct system_info {
	uint16_t architecture, reserved;
	uint32_t page;
	uint64_t lowest, highest, mask;
	uint32_t cpus, type, granularity;
	uint16_t level, revision;
};

API(void, k32_GetSystemInfo, struct system_info *ret)
{
	*ret = (struct system_info){.architecture = 9,
				    .page = PAGE,
				    .lowest = GRANULE,
				    .highest = UINT64_C(0x7ffffffeffff),
				    .mask = cpu_mask(),
				    .cpus = cpus(),
				    .type = 8664,
				    .granularity = GRANULE,
				    .level = 6,
				    .revision = 0x5e03};
}
API(void, k32_GetNativeSystemInfo, struct system_info *ret) { k32_GetSystemInfo(ret); }

static void version_put(uint8_t *out)
{
	le32_put(out + 4, VERSION_MAJOR);
	le32_put(out + 8, VERSION_MINOR);
	le32_put(out + 12, VERSION_BUILD);
	le32_put(out + 16, 2);
}

/* OSVERSIONINFO(EX): 20 bytes, the text, and with EX service pack, suite and type. */
static uint32_t version_get(uint8_t *out, uint32_t text_bytes)
{
	uint32_t size = le32_at(out);
	if (size < 20 + text_bytes)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	memset(out + 4, 0, size - 4);
	version_put(out);
	if (size >= 20 + text_bytes + 8) {
		le16_put(out + 20 + text_bytes + 4, 0x100); /* single user, terminal services */
		out[20 + text_bytes + 6] = 1;
	}
	return 1;
}

API(uint32_t, k32_GetVersionExW, uint8_t *out) { return version_get(out, 256); }
API(uint32_t, k32_GetVersionExA, uint8_t *out) { return version_get(out, 128); }
API(uint32_t, nt_RtlGetVersion, uint8_t *out)
{
	return version_get(out, 256) ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}
API(uint32_t, k32_GetVersion, void)
{
	return VERSION_MAJOR | VERSION_MINOR << 8 | VERSION_BUILD << 16;
}
API(void, nt_RtlGetNtVersionNumbers, uint32_t *major, uint32_t *minor, uint32_t *build)
{
	if (major)
		*major = VERSION_MAJOR;
	if (minor)
		*minor = VERSION_MINOR;
	if (build)
		*build = 0xf0000000u | VERSION_BUILD;
}

API(uint64_t, k32_VerSetConditionMask, uint64_t mask, uint32_t type, uint8_t condition)
{
	for (unsigned bit = 0; bit < 8; bit++)
		if (type & 1u << bit)
			mask |= (uint64_t)(condition & 7) << (3 * bit);
	return mask | UINT64_C(1) << 63;
}

static bool condition_holds(uint32_t have, uint32_t want, unsigned condition)
{
	switch (condition) {
	case 1: return have == want;
	case 2: return have > want;
	case 3: return have >= want;
	case 4: return have < want;
	case 5: return have <= want;
	default: return true;
	}
}

/* Major, minor and build are one number, compared as the most significant one asked says. */
API(uint32_t, k32_VerifyVersionInfoW, const uint8_t *info, uint32_t types, uint64_t mask)
{
	static const struct {
		uint32_t type;
		unsigned shift, off;
		uint32_t have;
	} rows[] = {{2, 3, 4, VERSION_MAJOR},
		    {1, 0, 8, VERSION_MINOR},
		    {4, 6, 12, VERSION_BUILD},
		    {8, 9, 16, 2}};
	for (size_t i = 0; i < countof(rows); i++) {
		uint32_t want = le32_at(info + rows[i].off);
		if (!(types & rows[i].type))
			continue;
		unsigned c = mask >> rows[i].shift & 7;
		if (i < 2 && c >= 2 && rows[i].have != want)
			return condition_holds(rows[i].have, want, c) ? 1 : fail(1150);
		if (!condition_holds(rows[i].have, want, c))
			return fail(1150); /* ERROR_OLD_WIN_VERSION */
	}
	return 1;
}

API(uint32_t, k32_IsProcessorFeaturePresent, uint32_t feature)
{
	switch (feature) {
	case 2:
	case 3:
	case 6:
	case 8:
	case 10:
	case 12:
	case 13:
	case 14:
	case 23: return 1;
	case 36: return CPU_FEATURE_ACTIVE(SSSE3);
	case 37: return CPU_FEATURE_ACTIVE(SSE4_1);
	case 38: return CPU_FEATURE_ACTIVE(SSE4_2);
	case 39: return CPU_FEATURE_ACTIVE(AVX);
	case 40: return CPU_FEATURE_ACTIVE(AVX2);
	case 41: return CPU_FEATURE_ACTIVE(AVX512F);
	default: return 0;
	}
}

API(uint32_t, k32_GetProcessAffinityMask, handle h, uint64_t *mine, uint64_t *all)
{
	(void)h;
	*mine = *all = cpu_mask();
	return 1;
}
API(uint32_t, k32_SetProcessAffinityMask, handle h, uint64_t mask)
{
	(void)h;
	return mask & cpu_mask() ? 1 : fail(ERROR_INVALID_PARAMETER);
}
API(uint32_t, k32_GetCurrentProcessorNumber, void) { return (uint32_t)sched_getcpu(); }
API(uint32_t, k32_GetActiveProcessorCount, uint16_t group)
{
	(void)group;
	return cpus();
}
API(uint16_t, k32_GetActiveProcessorGroupCount, void) { return 1; }
API(uint32_t, k32_GetNumaHighestNodeNumber, uint32_t *ret)
{
	*ret = 0;
	return 1;
}
struct group_mask {
	uint64_t mask;
	uint16_t group, reserved[3];
};
API(uint32_t, k32_GetNumaNodeProcessorMaskEx, uint16_t node, struct group_mask *ret)
{
	*ret = (struct group_mask){.mask = node ? 0 : cpu_mask()};
	return 1;
}

/* SYSTEM_LOGICAL_PROCESSOR_INFORMATION: a core for each processor. */
API(uint32_t, k32_GetLogicalProcessorInformation, uint64_t *out, uint32_t *size)
{
	uint32_t need = cpus() * 32;
	if (*size < need) {
		*size = need;
		return fail(ERROR_INSUFFICIENT_BUFFER);
	}
	memset(out, 0, need);
	for (uint32_t i = 0; i < cpus(); i++)
		out[4 * i] = UINT64_C(1) << (i % 64);
	*size = need;
	return 1;
}

struct memory_status {
	uint32_t size, load;
	uint64_t all, free, all_page, free_page, all_virtual, free_virtual, extended;
};

API(uint32_t, k32_GlobalMemoryStatusEx, struct memory_status *ret)
{
	struct sysinfo s;
	if (ret->size != sizeof *ret || sysinfo(&s) < 0)
		return fail(ERROR_INVALID_PARAMETER);
	uint64_t all = (uint64_t)s.totalram * s.mem_unit, unused = (uint64_t)s.freeram * s.mem_unit;
	*ret = (struct memory_status){sizeof *ret,
				      (uint32_t)(100 - unused * 100 / all),
				      all,
				      unused,
				      all,
				      unused,
				      UINT64_C(1) << 47,
				      UINT64_C(1) << 46,
				      0};
	return 1;
}

/* PERFORMANCE_INFORMATION, in pages; of processes it knows its own. */
API(uint32_t, k32_K32GetPerformanceInfo, uint8_t *out, uint32_t size)
{
	enum { PERFORMANCE_SIZE = 104 };
	struct sysinfo s;
	uint32_t n = 0;
	if (size < PERFORMANCE_SIZE || sysinfo(&s) < 0)
		return fail(ERROR_BAD_LENGTH);
	uint64_t all = (uint64_t)s.totalram * s.mem_unit / PAGE;
	uint64_t unused = (uint64_t)s.freeram * s.mem_unit / PAGE;
	const uint64_t pages[] = {all - unused, all, all - unused, all, unused, 0, 0, 0, 0, PAGE};
	threads_lock();
	for (const struct thread *t = threads_first(); t; t = t->next)
		n++;
	threads_unlock();
	memset(out, 0, PERFORMANCE_SIZE);
	le32_put(out, PERFORMANCE_SIZE);
	for (size_t i = 0; i < countof(pages); i++)
		le64_put(out + 8 + 8 * i, pages[i]);
	le32_put(out + 92, 1);
	le32_put(out + 96, n);
	return 1;
}

API(uint32_t, k32_GetPhysicallyInstalledSystemMemory, uint64_t *ret_kib)
{
	struct sysinfo s;
	if (sysinfo(&s) < 0)
		return 0;
	*ret_kib = (uint64_t)s.totalram * s.mem_unit / 1024;
	return 1;
}

API(uint32_t, k32_K32GetProcessMemoryInfo, handle h, uint64_t *out, uint32_t size)
{
	struct rusage u;
	(void)h;
	if (size < 72)
		return fail(ERROR_INSUFFICIENT_BUFFER);
	getrusage(RUSAGE_SELF, &u);
	memset(out, 0, 72);
	le32_put(out, 72);
	le32_put((uint8_t *)out + 4, (uint32_t)u.ru_minflt);
	for (unsigned i = 1; i < 9; i++)
		out[i] = (uint64_t)u.ru_maxrss * 1024;
	return 1;
}

/* ---- names ---- */

static uint32_t name_give(const char *s, wide *buf, uint32_t *n)
{
	uint32_t len = wide_give(s, buf, *n);
	bool fits = len < *n;
	*n = len;
	return fits ? 1 : fail(ERROR_MORE_DATA);
}

API(uint32_t, k32_GetComputerNameW, wide *buf, uint32_t *n) { return name_give("LODGE", buf, n); }
API(uint32_t, k32_GetComputerNameExW, uint32_t kind, wide *buf, uint32_t *n)
{
	return name_give(kind == 0 || kind == 4 ? "LODGE" : kind % 4 == 2 ? "" : "lodge", buf, n);
}
API(uint32_t, adv_GetUserNameW, wide *buf, uint32_t *n)
{
	uint32_t ok = name_give("lodge", buf, n);
	*n += ok;
	return ok;
}
API(uint32_t, adv_GetUserNameA, char *buf, uint32_t *n)
{
	uint32_t len = text_give("lodge", buf, *n);
	bool fits = len < *n;
	*n = 6;
	return fits ? 1 : fail(ERROR_INSUFFICIENT_BUFFER);
}

/* ---- messages ---- */

enum {
	FORMAT_ALLOCATE = 0x100,
	FORMAT_IGNORE = 0x200,
	FORMAT_STRING = 0x400,
	FORMAT_MODULE = 0x800,
	FORMAT_SYSTEM = 0x1000,
	FORMAT_ARRAY = 0x2000,
	FORMAT_WIDTH = 0xff
};

/* @s with its inserts, %1 to %9, taken from @args: texts, of the kind that is asked for. */
static char *message_fill(const char *s, uint32_t flags, const uint64_t *args, bool wide_args)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	for (; f && *s; s++) {
		bool insert =
		    *s == '%' && s[1] >= '1' && s[1] <= '9' && args && !(flags & FORMAT_IGNORE);
		if (insert) {
			void *a = (void *)(uintptr_t)args[s[1] - '1'];
			autofree char *t = a && wide_args ? text_from(a, SIZE_MAX)
					   : a            ? strdup(a)
							  : NULL;
			fputs(t ? t : "", f);
			s++;
			if (s[1] == '!' && strchr(s + 2, '!'))
				s = strchr(s + 2, '!');
		} else if (*s == '%' && s[1] == '0' && !(flags & FORMAT_IGNORE)) {
			break;
		} else if (*s == '%' && s[1] && !(flags & FORMAT_IGNORE) &&
			   !(s[1] >= '1' && s[1] <= '9')) {
			s++;
			fputs(*s == 'n' ? "\r\n" : (const char[]){*s, 0}, f);
		} else {
			fputc(*s, f);
		}
	}
	if (f)
		fclose(f);
	return out;
}

static char *message_make(uint32_t flags, const void *source, uint32_t id, uint64_t *args, bool w)
{
	const char *text = flags & FORMAT_SYSTEM ? error_text(id) : NULL;
	autofree char *owned = NULL;
	char *out = NULL;
	if (flags & FORMAT_STRING) {
		owned = w ? text_from(source, SIZE_MAX) : strdup(source);
		if (args && !(flags & FORMAT_ARRAY)) /* a va_list */
			args = *(uint64_t **)(void *)args;
		return owned ? message_fill(owned, flags, args, w) : NULL;
	}
	if (!text || asprintf(&out, "%s\r\n", text) < 0) {
		last_error_set(317);
		return NULL;
	}
	return out;
}

API(uint32_t, k32_FormatMessageW, uint32_t flags, const void *source, uint32_t id, uint32_t lang,
    wide *buf, uint32_t n, uint64_t *args)
{
	(void)lang;
	autofree char *s = message_make(flags, source, id, args, true);
	if (!s)
		return 0;
	size_t len = utf16_put(s, strlen(s), NULL, 0, NULL);
	if (flags & FORMAT_ALLOCATE) {
		wide *p = heap_alloc(2 * (len + 1 > n ? len + 1 : n), true);
		*(wide **)(void *)buf = p;
		if (!p)
			return fail(ERROR_NOT_ENOUGH_MEMORY);
		buf = p;
	} else if (len >= n) {
		return fail(ERROR_INSUFFICIENT_BUFFER);
	}
	return wide_give(s, buf, (uint32_t)len + 1);
}

API(uint32_t, k32_FormatMessageA, uint32_t flags, const void *source, uint32_t id, uint32_t lang,
    char *buf, uint32_t n, uint64_t *args)
{
	(void)lang;
	autofree char *s = message_make(flags, source, id, args, false);
	if (!s)
		return 0;
	size_t len = strlen(s);
	if (flags & FORMAT_ALLOCATE) {
		char *p = heap_alloc(len + 1 > n ? len + 1 : n, true);
		*(char **)(void *)buf = p;
		if (!p)
			return fail(ERROR_NOT_ENOUGH_MEMORY);
		buf = p;
	} else if (len >= n) {
		return fail(ERROR_INSUFFICIENT_BUFFER);
	}
	memcpy(buf, s, len + 1);
	return (uint32_t)len;
}

/* ---- the rest ---- */

API(int32_t, k32_MulDiv, int32_t a, int32_t b, int32_t c)
{
	if (!c)
		return -1;
	int64_t p = (int64_t)a * b, half = c < 0 ? -(int64_t)c / 2 : c / 2;
	int64_t r = (p < 0) == (c < 0) ? (p + (c < 0 ? -half : half)) / c
				       : (p - (c < 0 ? -half : half)) / c;
	return r > INT32_MAX || r < INT32_MIN ? -1 : (int32_t)r;
}
API(uint64_t, k32_EncodePointer, uint64_t p) { return p; }
API(uint64_t, k32_DecodePointer, uint64_t p) { return p; }
API(uint32_t, k32_Beep, uint32_t hz, uint32_t ms)
{
	(void)hz;
	(void)ms;
	return 1;
}
API(uint32_t, k32_WerGetFlags, handle h, uint32_t *ret)
{
	(void)h;
	*ret = 0;
	return 0;
}
API(uint32_t, k32_WerSetFlags, uint32_t flags)
{
	(void)flags;
	return 0;
}
API(int32_t, k32_AppPolicyGetProcessTerminationMethod, handle token, uint32_t *ret)
{
	(void)token;
	*ret = 0; /* ExitProcess */
	return 0;
}
API(int32_t, k32_AppPolicyGetThreadInitializationType, handle token, uint32_t *ret)
{
	(void)token;
	*ret = 0;
	return 0;
}
API(uint32_t, k32_GetPriorityClass, handle h)
{
	(void)h;
	return 0x20; /* normal */
}
API(uint32_t, k32_SetPriorityClass, handle h, uint32_t class)
{
	(void)h;
	(void)class;
	return 1;
}
API(uint32_t, k32_NeedCurrentDirectoryForExePathW, const wide *name)
{
	(void)name;
	return 1;
}
