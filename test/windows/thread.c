/* SPDX-License-Identifier: Apache-2.0 */
/* Handles, threads, waiting, protection of memory, heaps, and what ntdll gives of them. */
#include "test.h"
#include <process.h>

static void protections(void)
{
	static const struct {
		const char *name;
		DWORD protect;
		int read, write;
	} rows[] = {{"no access", PAGE_NOACCESS, 0, 0},
		    {"read only", PAGE_READONLY, 1, 0},
		    {"read and write", PAGE_READWRITE, 1, 1},
		    {"execute and read", PAGE_EXECUTE_READ, 1, 0},
		    {"execute, read and write", PAGE_EXECUTE_READWRITE, 1, 1}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		MEMORY_BASIC_INFORMATION m;
		DWORD old = 0;
		char buf[4];
		SIZE_T n;
		char *p = VirtualAlloc(NULL, 8192, MEM_RESERVE | MEM_COMMIT, rows[i].protect);
		IS(rows[i].name, p != NULL, TRUE);
		IS(rows[i].name, VirtualQuery(p, &m, sizeof m), sizeof m);
		IS(rows[i].name, m.Protect, rows[i].protect);
		IS(rows[i].name, m.AllocationProtect, rows[i].protect);
		IS(rows[i].name, m.RegionSize, 8192);
		IS(rows[i].name, m.State, MEM_COMMIT);
		IS(rows[i].name, m.Type, MEM_PRIVATE);
		IS(rows[i].name, ReadProcessMemory(GetCurrentProcess(), p, buf, 4, &n) != 0,
		   rows[i].read);
		for (size_t k = 0; k < COUNT(rows); k++) {
			IS(rows[i].name, VirtualProtect(p, 4096, rows[k].protect, &old), TRUE);
			IS(rows[i].name, old, k ? rows[k - 1].protect : rows[i].protect);
		}
		VirtualQuery(p, &m, sizeof m);
		IS(rows[i].name, m.Protect, PAGE_EXECUTE_READWRITE);
		IS(rows[i].name, VirtualFree(p, 0, MEM_RELEASE), TRUE);
	}
	DWORD old;
	char *p = VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
	FAILS(VirtualProtect(p, 4096, 0x3, &old), ERROR_INVALID_PARAMETER);
	FAILS(VirtualAlloc(NULL, 4096, MEM_RESERVE, 0x3), ERROR_INVALID_PARAMETER);
	FAILS(VirtualFree(p, 0, MEM_RELEASE | MEM_DECOMMIT), ERROR_INVALID_PARAMETER);
	CHECK(VirtualFree(p, 0, MEM_RELEASE));
	FAILS(VirtualFree(p, 0, MEM_RELEASE), ERROR_INVALID_ADDRESS);
	CHECK(VirtualFree(VirtualAlloc((void *)0x200000000, 4096, MEM_RESERVE, PAGE_READWRITE), 0,
			  MEM_RELEASE));
}

static void heaps(void)
{
	static const SIZE_T sizes[] = {0, 1, 15, 16, 17, 100, 4095, 4096, 65537, 1 << 20};
	HANDLE h = HeapCreate(0, 4096, 0);
	CHECK(h);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char name[30], any = 0;
		sprintf(name, "heap %d", (int)sizes[i]);
		char *p = HeapAlloc(h, HEAP_ZERO_MEMORY, sizes[i]);
		IS(name, p != NULL, TRUE);
		IS(name, (uintptr_t)p % 16, 0);
		IS(name, HeapSize(h, 0, p), sizes[i]);
		for (SIZE_T k = 0; k < sizes[i]; k++)
			any |= p[k];
		IS(name, any, 0);
		memset(p, 7, sizes[i]);
		p = HeapReAlloc(h, HEAP_ZERO_MEMORY, p, sizes[i] + 100);
		IS(name, p[sizes[i]] | p[sizes[i] + 99], 0);
		IS(name, sizes[i] ? p[sizes[i] - 1] : 7, 7);
		IS(name, HeapSize(h, 0, p), sizes[i] + 100);
		IS(name, HeapValidate(h, 0, p), TRUE);
		IS(name, HeapFree(h, 0, p), TRUE);
	}
	CHECK(HeapFree(h, 0, NULL));
	CHECK(HeapDestroy(h));
	HGLOBAL g = GlobalAlloc(GPTR, 33);
	SAME(GlobalSize(g), 33);
	SAME(GlobalFree(g), 0);
}

static void handles(void)
{
	HANDLE e = CreateEventA(NULL, FALSE, FALSE, NULL), copy = NULL;
	DWORD flags = 77;
	CHECK(DuplicateHandle(GetCurrentProcess(), e, GetCurrentProcess(), &copy, 0, FALSE,
			      DUPLICATE_SAME_ACCESS));
	CHECK(copy && copy != e);
	CHECK(SetEvent(copy));
	SAME(WaitForSingleObject(e, 0), WAIT_OBJECT_0);
	CHECK(GetHandleInformation(e, &flags));
	SAME(flags, 0);
	CHECK(SetHandleInformation(e, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT));
	CHECK(GetHandleInformation(e, &flags));
	SAME(flags, HANDLE_FLAG_INHERIT);
	CHECK(CloseHandle(e));
	CHECK(SetEvent(copy));
	CHECK(CloseHandle(copy));
	FAILS(SetEvent(copy), ERROR_INVALID_HANDLE);
	FAILS(SetEvent(NULL), ERROR_INVALID_HANDLE);
	FAILS(ResetEvent(INVALID_HANDLE_VALUE), ERROR_INVALID_HANDLE);
	HANDLE m = CreateMutexA(NULL, FALSE, NULL);
	FAILS(SetEvent(m), ERROR_INVALID_HANDLE);
	FAILS(ReleaseSemaphore(m, 1, NULL), ERROR_INVALID_HANDLE);
	CloseHandle(m);
	SAME((LONG_PTR)GetCurrentProcess(), -1);
	SAME((LONG_PTR)GetCurrentThread(), -2);
	SAME(GetProcessId(GetCurrentProcess()), GetCurrentProcessId());
	SAME(GetThreadId(GetCurrentThread()), GetCurrentThreadId());
	DWORD code = 0;
	CHECK(GetExitCodeProcess(GetCurrentProcess(), &code));
	SAME(code, STILL_ACTIVE);
	CHECK(GetExitCodeThread(GetCurrentThread(), &code));
	SAME(code, STILL_ACTIVE);
}

static DWORD WINAPI returns(void *code) { return (DWORD)(ULONG_PTR)code; }
static DWORD WINAPI exits(void *code) { ExitThread((DWORD)(ULONG_PTR)code); }
static DWORD WINAPI alerts(void *unused) { return SleepEx(30000, TRUE); }
static void CALLBACK nothing(ULONG_PTR unused) {}

static void threads(void)
{
	static const DWORD codes[] = {0, 1, 42, 255, 256, 0x80000000, 0xffffffff};
	DWORD code, id;
	for (size_t i = 0; i < COUNT(codes); i++) {
		char name[30];
		sprintf(name, "thread of %lx", codes[i]);
		for (int k = 0; k < 2; k++) {
			HANDLE t = CreateThread(NULL, 65536, k ? exits : returns,
						(void *)(ULONG_PTR)codes[i], 0, &id);
			IS(name, t != NULL, TRUE);
			IS(name, GetThreadId(t), id);
			IS(name, WaitForSingleObject(t, 10000), WAIT_OBJECT_0);
			IS(name, GetExitCodeThread(t, &code), TRUE);
			IS(name, code, codes[i]);
			IS(name, CloseHandle(t), TRUE);
		}
	}
	HANDLE t = CreateThread(NULL, 0, alerts, NULL, 0, NULL);
	SAME(WaitForSingleObject(t, 10), WAIT_TIMEOUT);
	CHECK(GetExitCodeThread(t, &code));
	SAME(code, STILL_ACTIVE);
	SAME(GetThreadPriority(t), THREAD_PRIORITY_NORMAL);
	CHECK(QueueUserAPC(nothing, t, 0));
	SAME(WaitForSingleObject(t, 10000), WAIT_OBJECT_0);
	CHECK(GetExitCodeThread(t, &code));
	SAME(code, WAIT_IO_COMPLETION);
	CloseHandle(t);
}

static void multiples(void)
{
	HANDLE e[4];
	for (int i = 0; i < 4; i++)
		e[i] = CreateEventA(NULL, TRUE, FALSE, NULL);
	for (int set = 0; set < 16; set++) {
		char name[30];
		int first = WAIT_TIMEOUT;
		sprintf(name, "events %x", set);
		for (int i = 3; i >= 0; i--) {
			set >> i & 1 ? SetEvent(e[i]) : ResetEvent(e[i]);
			if (set >> i & 1)
				first = WAIT_OBJECT_0 + i;
		}
		IS(name, WaitForMultipleObjects(4, e, FALSE, 0), first);
		IS(name, WaitForMultipleObjects(4, e, TRUE, 0),
		   set == 15 ? WAIT_OBJECT_0 : WAIT_TIMEOUT);
	}
	FAILS(WaitForMultipleObjects(0, e, FALSE, 0) != WAIT_FAILED, ERROR_INVALID_PARAMETER);
	FAILS(WaitForMultipleObjects(65, e, FALSE, 0) != WAIT_FAILED, ERROR_INVALID_PARAMETER);
	HANDLE twice[2] = {e[0], e[0]};
	FAILS(WaitForMultipleObjects(2, twice, TRUE, 0) != WAIT_FAILED, ERROR_INVALID_PARAMETER);
	for (int i = 0; i < 4; i++)
		CloseHandle(e[i]);
	static const struct {
		LONG start, most, give, before;
		int ok;
	} rows[] = {{0, 1, 1, 0, 1}, {1, 1, 1, 1, 0}, {0, 5, 5, 0, 1},
		    {2, 5, 4, 2, 0}, {0, 5, 0, 0, 0}, {0, 5, -1, 0, 0}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[40];
		LONG before = -1;
		sprintf(name, "semaphore %ld of %ld, %ld more", rows[i].start, rows[i].most,
			rows[i].give);
		HANDLE s = CreateSemaphoreA(NULL, rows[i].start, rows[i].most, NULL);
		IS(name, ReleaseSemaphore(s, rows[i].give, &before), rows[i].ok);
		if (rows[i].ok)
			IS(name, before, rows[i].before);
		int n = 0;
		while (WaitForSingleObject(s, 0) == WAIT_OBJECT_0)
			n++;
		IS(name, n, rows[i].start + (rows[i].ok ? rows[i].give : 0));
		CloseHandle(s);
	}
	FAILS(CreateSemaphoreA(NULL, 0, 0, NULL), ERROR_INVALID_PARAMETER);
	FAILS(CreateSemaphoreA(NULL, -1, 1, NULL), ERROR_INVALID_PARAMETER);
}

static volatile LONG value;
static DWORD WINAPI changes(void *unused)
{
	Sleep(20);
	value = 1;
	WakeByAddressAll((void *)&value);
	return 0;
}

static void addresses(void)
{
	LONG zero = 0, five = 5;
	value = 0;
	CHECK(WaitOnAddress(&value, &five, 4, INFINITE));
	FAILS(WaitOnAddress(&value, &zero, 4, 10), ERROR_TIMEOUT);
	FAILS(WaitOnAddress(&value, &zero, 3, 10), ERROR_INVALID_PARAMETER);
	HANDLE t = CreateThread(NULL, 0, changes, NULL, 0, NULL);
	while (value == 0)
		CHECK(WaitOnAddress(&value, &zero, 4, 10000));
	SAME(value, 1);
	WaitForSingleObject(t, 10000);
	CloseHandle(t);
	SLIST_HEADER *list = _aligned_malloc(sizeof *list, 16);
	SLIST_ENTRY *one = _aligned_malloc(sizeof *one, 16),
		    *two = _aligned_malloc(sizeof *two, 16);
	InitializeSListHead(list);
	SAME(InterlockedPopEntrySList(list), 0);
	SAME(InterlockedPushEntrySList(list, one), 0);
	CHECK(InterlockedPushEntrySList(list, two) == one);
	SAME(QueryDepthSList(list), 2);
	CHECK(InterlockedPopEntrySList(list) == two);
	CHECK(InterlockedFlushSList(list) == one);
	SAME(QueryDepthSList(list), 0);
}

static void slots(void)
{
	DWORD s[80];
	for (int i = 0; i < 80; i++)
		s[i] = TlsAlloc();
	SAME(s[79] != TLS_OUT_OF_INDEXES, TRUE);
	SAME(TlsGetValue(s[70]), 0);
	CHECK(TlsSetValue(s[70], (void *)7));
	SAME(TlsGetValue(s[70]), 7);
	SetLastError(5);
	TlsGetValue(s[1]);
	SAME(GetLastError(), 0);
	for (int i = 0; i < 80; i++)
		CHECK(TlsFree(s[i]));
	FAILS(TlsSetValue(5000, NULL), ERROR_INVALID_PARAMETER);
	FAILS(TlsFree(5000), ERROR_INVALID_PARAMETER);
}

static void natives(void)
{
	static const struct {
		LONG status;
		ULONG error;
	} rows[] = {{0, 0},
		    {0xC0000008, ERROR_INVALID_HANDLE},
		    {0xC000000D, ERROR_INVALID_PARAMETER},
		    {0xC0000022, ERROR_ACCESS_DENIED},
		    {0xC0000034, ERROR_FILE_NOT_FOUND},
		    {0xC000003A, ERROR_PATH_NOT_FOUND},
		    {0xC0000035, ERROR_ALREADY_EXISTS},
		    {0xC0000043, ERROR_SHARING_VIOLATION},
		    {0xC0000011, ERROR_HANDLE_EOF},
		    {0xC0000017, ERROR_NOT_ENOUGH_MEMORY},
		    {0xC0000101, ERROR_DIR_NOT_EMPTY},
		    {0xC0000023, ERROR_INSUFFICIENT_BUFFER}};
	HMODULE nt = GetModuleHandleA("ntdll");
	ULONG(WINAPI * to_error)(LONG) = (void *)GetProcAddress(nt, "RtlNtStatusToDosError");
	LONG(WINAPI * close)(HANDLE) = (void *)GetProcAddress(nt, "NtClose");
	LONG(WINAPI * version)(OSVERSIONINFOW *) = (void *)GetProcAddress(nt, "RtlGetVersion");
	LONG(WINAPI * wait)
	(HANDLE, BOOLEAN, LARGE_INTEGER *) = (void *)GetProcAddress(nt, "NtWaitForSingleObject");
	CHECK(nt && to_error && close && version && wait);
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[30];
		sprintf(name, "status %lx", rows[i].status);
		IS(name, to_error(rows[i].status), rows[i].error);
	}
	HANDLE e = CreateEventA(NULL, FALSE, TRUE, NULL);
	LARGE_INTEGER none = {0};
	SAME(wait(e, FALSE, &none), 0);
	SAME(wait(e, FALSE, &none), 0x102);
	SAME(close(e), 0);
	SAME(close(e), (LONG)0xC0000008);
	OSVERSIONINFOW v = {sizeof v};
	SAME(version(&v), 0);
	SAME(v.dwMajorVersion, 10);
	SAME(v.dwPlatformId, VER_PLATFORM_WIN32_NT);
}

int main(void)
{
	protections();
	heaps();
	handles();
	threads();
	multiples();
	addresses();
	slots();
	natives();
	return end();
}
