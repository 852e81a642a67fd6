/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, exceptions, modules, environment. */
#include "test.h"
#include <setjmp.h>

static volatile LONG seen;
static char *guarded;

static LONG CALLBACK vectored(EXCEPTION_POINTERS *p)
{
	DWORD old, code = p->ExceptionRecord->ExceptionCode;
	if (code == EXCEPTION_ACCESS_VIOLATION) {
		seen = (LONG)p->ExceptionRecord->ExceptionInformation[0];
		VirtualProtect(guarded, 4096, PAGE_READWRITE, &old);
		return EXCEPTION_CONTINUE_EXECUTION;
	}
	if (code == EXCEPTION_INT_DIVIDE_BY_ZERO) {
		seen = 100;
		p->ContextRecord->Rcx = 1; /* the divisor, see divide */
		return EXCEPTION_CONTINUE_EXECUTION;
	}
	if (code == 0xe0001234) {
		seen = (LONG)p->ExceptionRecord->ExceptionInformation[1];
		return EXCEPTION_CONTINUE_EXECUTION;
	}
	if (code == EXCEPTION_BREAKPOINT) {
		seen = 200;
		p->ContextRecord->Rip++;
		return EXCEPTION_CONTINUE_EXECUTION;
	}
	return EXCEPTION_CONTINUE_SEARCH;
}

static int divide(int a)
{
	int q, r;
	__asm__ volatile("xor %%ecx, %%ecx\n\tcltd\n\tidivl %%ecx"
			 : "=a"(q), "=&d"(r)
			 : "a"(a)
			 : "rcx");
	return q;
}

static void exceptions(void)
{
	ULONG_PTR args[2] = {1, 55};
	void *h = AddVectoredExceptionHandler(1, vectored);
	CHECK(h);
	guarded = VirtualAlloc(NULL, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_NOACCESS);
	seen = -1;
	guarded[5] = 3;
	SAME(seen, 1);
	SAME(guarded[5], 3);
	DWORD old;
	VirtualProtect(guarded, 4096, PAGE_NOACCESS, &old);
	SAME(*(volatile char *)(guarded + 5), 3);
	SAME(seen, 0);
	SAME(divide(9), 9);
	SAME(seen, 100);
	RaiseException(0xe0001234, 0, 2, args);
	SAME(seen, 55);
	__asm__ volatile("int3");
	SAME(seen, 200);
	SAME(RemoveVectoredExceptionHandler(h), 1);
	CHECK(VirtualFree(guarded, 0, MEM_RELEASE));
}

/* A stack as coroutines make theirs: one page, a guard page below, and the TEB says where it is. */
static char *coroutine;
static LONG CALLBACK nobody_hears(EXCEPTION_POINTERS *p)
{
	seen = (LONG)p->ExceptionRecord->ExceptionCode;
	return EXCEPTION_CONTINUE_SEARCH;
}

static __attribute__((noinline)) void on_coroutine(void)
{
	volatile char room[100000];
	MEMORY_BASIC_INFORMATION m;
	room[0] = 1;
	if (VirtualQuery((char *)coroutine, &m, sizeof m) == sizeof m)
		seen += room[0];
}

static void coroutines(void)
{
	enum { SIZE = 256 << 10 };
	ULONG64 base = __readgsqword(8), limit = __readgsqword(16), low = __readgsqword(0x1478);
	void *h = AddVectoredExceptionHandler(1, nobody_hears);
	char *p = VirtualAlloc(NULL, SIZE, MEM_RESERVE, PAGE_READWRITE), *top = p + SIZE;
	coroutine = p;
	CHECK(VirtualAlloc(top - 4096, 4096, MEM_COMMIT, PAGE_READWRITE));
	CHECK(VirtualAlloc(top - 8192, 4096, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD));
	seen = 0;
	__writegsqword(8, (ULONG64)top);
	__writegsqword(16, (ULONG64)top - 4096);
	__writegsqword(0x1478, (ULONG64)p);
	__asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tsub $32, %%rsp\n\tcall *%1\n\t"
			 "mov %%rbx, %%rsp"
			 :
			 : "r"(top), "r"(on_coroutine)
			 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
	CHECK(__readgsqword(16) <= (ULONG64)top - 100000);
	__writegsqword(8, base);
	__writegsqword(16, limit);
	__writegsqword(0x1478, low);
	SAME(seen, 1);
	SAME(RemoveVectoredExceptionHandler(h), 1);
	CHECK(VirtualFree(p, 0, MEM_RELEASE));
}

static void virtual(void)
{
	MEMORY_BASIC_INFORMATION m;
	DWORD old;
	char *p = VirtualAlloc(NULL, 1 << 20, MEM_RESERVE, PAGE_READWRITE);
	CHECK(p);
	SAME((uintptr_t)p % 65536, 0);
	SAME(VirtualQuery(p + 5000, &m, sizeof m), sizeof m);
	SAME(m.State, MEM_RESERVE);
	SAME(m.RegionSize, (1 << 20) - 4096);
	CHECK(m.AllocationBase == p);
	CHECK(VirtualAlloc(p + 8192, 100, MEM_COMMIT, PAGE_READWRITE) == p + 8192);
	p[8192] = 1;
	SAME(p[12287], 0);
	VirtualQuery(p + 8192, &m, sizeof m);
	SAME(m.State, MEM_COMMIT);
	SAME(m.RegionSize, 4096);
	SAME(m.Protect, PAGE_READWRITE);
	CHECK(VirtualProtect(p + 8192, 10, PAGE_READONLY, &old));
	SAME(old, PAGE_READWRITE);
	FAILS(VirtualProtect(p, 10, PAGE_READONLY, &old), ERROR_INVALID_ADDRESS);
	CHECK(VirtualFree(p + 8192, 4096, MEM_DECOMMIT));
	VirtualQuery(p + 8192, &m, sizeof m);
	SAME(m.State, MEM_RESERVE);
	FAILS(VirtualFree(p, 4096, MEM_RELEASE), ERROR_INVALID_PARAMETER);
	CHECK(VirtualFree(p, 0, MEM_RELEASE));
	VirtualQuery(p, &m, sizeof m);
	SAME(m.State, MEM_FREE);
	CHECK(VirtualAlloc(p, 65536, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) == p);
	FAILS(VirtualAlloc(p, 65536, MEM_RESERVE, PAGE_READWRITE), ERROR_INVALID_ADDRESS);
	CHECK(VirtualFree(p, 0, MEM_RELEASE));
	FAILS(VirtualAlloc(NULL, 0, MEM_RESERVE, PAGE_READWRITE), ERROR_INVALID_PARAMETER);
	int on_stack = 0;
	VirtualQuery(&on_stack, &m, sizeof m);
	SAME(m.State, MEM_COMMIT);
	SAME(m.Type, MEM_PRIVATE);
	VirtualQuery((void *)(uintptr_t) virtual, &m, sizeof m);
	SAME(m.Type, MEM_IMAGE);
	SAME(m.Protect, PAGE_EXECUTE_READ);
}

/* Where it may be, and at which multiple: of several libraries, at run time only. */
static void placed(void)
{
	typedef PVOID WINAPI alloc2_fn(HANDLE, PVOID, SIZE_T, ULONG, ULONG,
				       MEM_EXTENDED_PARAMETER *, ULONG);
	alloc2_fn *alloc2 =
	    (alloc2_fn *)(void *)GetProcAddress(GetModuleHandleA("kernelbase"), "VirtualAlloc2");
	MEM_ADDRESS_REQUIREMENTS q = {.Alignment = 1 << 24};
	MEM_EXTENDED_PARAMETER p = {{0}};
	p.Type = MemExtendedParameterAddressRequirements;
	p.Pointer = &q;
	CHECK(alloc2);
	if (!alloc2)
		return;
	char *a = alloc2(NULL, NULL, 1 << 20, MEM_RESERVE, PAGE_READWRITE, &p, 1);
	char *b = alloc2(NULL, NULL, 1 << 20, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE, &p, 1);
	CHECK(a && b && a != b);
	SAME((ULONG_PTR)a % (1 << 24), 0);
	SAME((ULONG_PTR)b % (1 << 24), 0);
	b[100] = 1;
	CHECK(VirtualFree(a, 0, MEM_RELEASE) && VirtualFree(b, 0, MEM_RELEASE));
	a = alloc2(NULL, NULL, 1 << 20, MEM_COMMIT, PAGE_READWRITE, &p, 1); /* reserved as well */
	CHECK(a && !a[100]);
	SAME((ULONG_PTR)a % (1 << 24), 0);
	CHECK(VirtualFree(a, 0, MEM_RELEASE));
	q = (MEM_ADDRESS_REQUIREMENTS){(void *)0x200000000, (void *)0x2ffffffff, 0};
	a = alloc2(NULL, NULL, 1 << 20, MEM_RESERVE, PAGE_READWRITE, &p, 1);
	CHECK((ULONG_PTR)a >= 0x200000000 && (ULONG_PTR)a <= 0x2fff00000);
	CHECK(VirtualFree(a, 0, MEM_RELEASE));
	q = (MEM_ADDRESS_REQUIREMENTS){.Alignment = 3 << 16};
	FAILS(alloc2(NULL, NULL, 4096, MEM_RESERVE, PAGE_READWRITE, &p, 1),
	      ERROR_INVALID_PARAMETER);
	q = (MEM_ADDRESS_REQUIREMENTS){.Alignment = 1 << 20};
	FAILS(alloc2(NULL, (void *)0x100000, 4096, MEM_RESERVE, PAGE_READWRITE, &p, 1),
	      ERROR_INVALID_PARAMETER);
}

static void heaps(void)
{
	HANDLE h = GetProcessHeap();
	char *p = HeapAlloc(h, HEAP_ZERO_MEMORY, 37);
	CHECK(p && !p[0] && !p[36]);
	SAME((uintptr_t)p % 16, 0);
	SAME(HeapSize(h, 0, p), 37);
	p[36] = 9;
	p = HeapReAlloc(h, HEAP_ZERO_MEMORY, p, 5000);
	SAME(p[36], 9);
	SAME(p[37], 0);
	SAME(HeapSize(h, 0, p), 5000);
	CHECK(HeapFree(h, 0, p));
	HANDLE own = HeapCreate(0, 0, 0);
	CHECK(own);
	CHECK(HeapDestroy(own));
	HLOCAL l = LocalAlloc(LPTR, 10);
	CHECK(l);
	CHECK(!LocalFree(l));
}

static void modules(void)
{
	char path[300];
	HMODULE k = GetModuleHandleA("kernel32"), self = GetModuleHandleA(NULL);
	CHECK(k && self);
	CHECK(k == GetModuleHandleA("KERNEL32.DLL"));
	CHECK(k == LoadLibraryA("kernel32.dll"));
	CHECK(GetProcAddress(k, "GetProcAddress") != NULL);
	FAILS(GetProcAddress(k, "NoSuchFunction"), ERROR_PROC_NOT_FOUND);
	FAILS(LoadLibraryA("nosuch.dll"), ERROR_MOD_NOT_FOUND);
	FAILS(GetModuleHandleA("nosuch"), ERROR_MOD_NOT_FOUND);
	CHECK(GetModuleFileNameA(NULL, path, sizeof path) > 4);
	CHECK(strstr(path, "memory.exe") != NULL);
	SAME(GetModuleFileNameA(NULL, path, 4), 4);
	SAME(GetLastError(), ERROR_INSUFFICIENT_BUFFER);
	SAME(*(WORD *)self, 0x5a4d);
	HMODULE from = NULL;
	CHECK(GetModuleHandleExA(4, (char *)(uintptr_t)modules, &from));
	CHECK(from == self);
}

static void environment(void)
{
	char buf[64];
	FAILS(GetEnvironmentVariableA("LODGE_NONE", buf, sizeof buf), ERROR_ENVVAR_NOT_FOUND);
	CHECK(SetEnvironmentVariableA("Lodge_Some", "value"));
	SAME(GetEnvironmentVariableA("LODGE_SOME", buf, sizeof buf), 5);
	TEXT_IS(buf, "value");
	SAME(GetEnvironmentVariableA("LODGE_SOME", buf, 3), 6);
	SAME(ExpandEnvironmentStringsA("<%lodge_some%>%none%", buf, sizeof buf), 14);
	TEXT_IS(buf, "<value>%none%");
	CHECK(SetEnvironmentVariableA("LODGE_SOME", NULL));
	SAME(GetEnvironmentVariableA("LODGE_SOME", buf, sizeof buf), 0);
	wchar_t *all = GetEnvironmentStringsW();
	CHECK(all && all[0]);
	CHECK(FreeEnvironmentStringsW(all));
	SAME(GetEnvironmentVariableA("OS", buf, sizeof buf), 10);
	TEXT_IS(buf, "Windows_NT");
}

static void text(void)
{
	wchar_t w[16];
	char t[16];
	SAME(MultiByteToWideChar(CP_UTF8, 0, "a\xc3\xa9\xf0\x9f\x98\x80", -1, NULL, 0), 5);
	SAME(MultiByteToWideChar(CP_UTF8, 0, "a\xc3\xa9\xf0\x9f\x98\x80", -1, w, 16), 5);
	SAME(w[1], 0xe9);
	SAME(w[2], 0xd83d);
	SAME(w[3], 0xde00);
	SAME(WideCharToMultiByte(CP_UTF8, 0, w, -1, t, 16, NULL, NULL), 8);
	TEXT_IS(t, "a\xc3\xa9\xf0\x9f\x98\x80");
	FAILS(MultiByteToWideChar(CP_UTF8, 0, "abc", -1, w, 2), ERROR_INSUFFICIENT_BUFFER);
	FAILS(MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, "\xff", -1, w, 16),
	      ERROR_NO_UNICODE_TRANSLATION);
	SAME(MultiByteToWideChar(CP_UTF8, 0, "\xff", 1, w, 16), 1);
	SAME(w[0], 0xfffd);
	SAME(MultiByteToWideChar(1252, 0, "\x80", 1, w, 16), 1);
	SAME(w[0], 0x20ac);
	SAME(WideCharToMultiByte(1252, 0, L"\x20ac", 1, t, 16, NULL, NULL), 1);
	SAME((unsigned char)t[0], 0x80);
	SAME(CompareStringOrdinal(L"abc", -1, L"ABC", -1, TRUE), CSTR_EQUAL);
	SAME(CompareStringOrdinal(L"abc", -1, L"abd", -1, FALSE), CSTR_LESS_THAN);
	SAME(lstrcmpiW(L"x", L"X"), 0);
	char *m = NULL;
	CHECK(FormatMessageA(FORMAT_MESSAGE_ALLOCATE_BUFFER | FORMAT_MESSAGE_FROM_SYSTEM, NULL, 2,
			     0, (char *)&m, 0, NULL));
	TEXT_IS(m, "The system cannot find the file specified.\r\n");
	LocalFree(m);
	SAME(MulDiv(7, 3, 2), 11);
	SAME(MulDiv(1, 1, 0), -1);
	OSVERSIONINFOA v = {.dwOSVersionInfoSize = sizeof v};
	CHECK(GetVersionExA(&v));
	SAME(v.dwMajorVersion, 10);
	CHECK(QueryPerformanceCounter(&(LARGE_INTEGER){0}));
	SYSTEM_INFO si;
	GetSystemInfo(&si);
	SAME(si.dwPageSize, 4096);
	SAME(si.dwAllocationGranularity, 65536);
	CHECK(si.dwNumberOfProcessors > 0);
	CHECK(*(volatile DWORD *)0x7ffe026c == 10);
	ULONGLONG a = *(volatile ULONGLONG *)0x7ffe0008;
	Sleep(20);
	CHECK(*(volatile ULONGLONG *)0x7ffe0008 > a);
}

int main(void)
{
	virtual();
	placed();
	heaps();
	exceptions();
	coroutines();
	modules();
	environment();
	text();
	return end();
}
