/* SPDX-License-Identifier: Apache-2.0 */
/* Resources of the program, which are written here as they lie in it; texts in tables; lists of
 * what the program has: modules, threads, itself. */
#include "test.h"
#include <tlhelp32.h>

/* RCDATA 7 (en-US and German), RCDATA "NAMED", texts 17 and 18. */
__asm__(".section .rsrc,\"dr\"\n"
	".p2align 2\n"
	"rs_root:\n	.long 0,0,0\n	.short 0,2\n"
	"	.long 6, rs_texts-rs_root+0x80000000\n"
	"	.long 10, rs_data-rs_root+0x80000000\n"
	"rs_texts:\n	.long 0,0,0\n	.short 0,1\n"
	"	.long 2, rs_texts2-rs_root+0x80000000\n"
	"rs_texts2:\n	.long 0,0,0\n	.short 0,1\n"
	"	.long 0x409, rs_e1-rs_root\n"
	"rs_data:\n	.long 0,0,0\n	.short 1,1\n"
	"	.long rs_name-rs_root+0x80000000, rs_named-rs_root+0x80000000\n"
	"	.long 7, rs_seven-rs_root+0x80000000\n"
	"rs_named:\n	.long 0,0,0\n	.short 0,1\n"
	"	.long 0, rs_e2-rs_root\n"
	"rs_seven:\n	.long 0,0,0\n	.short 0,2\n"
	"	.long 0x407, rs_e3-rs_root\n"
	"	.long 0x409, rs_e4-rs_root\n"
	"rs_e1:\n	.rva rs_d1\n	.long rs_d2-rs_d1,0,0\n"
	"rs_e2:\n	.rva rs_d2\n	.long 5,0,0\n"
	"rs_e3:\n	.rva rs_d3\n	.long 7,0,0\n"
	"rs_e4:\n	.rva rs_d4\n	.long 7,0,0\n"
	"rs_name:\n	.short 5\n	.short 'N','A','M','E','D'\n	.p2align 2\n"
	"rs_d1:\n	.short 0, 5,'h','e','l','l','o', 3,'t','w','o', "
	"0,0,0,0,0,0,0,0,0,0,0,0,0\n	.p2align 2\n"
	"rs_d2:\n	.ascii \"named\"\n	.p2align 2\n"
	"rs_d3:\n	.ascii \"deutsch\"\n	.p2align 2\n"
	"rs_d4:\n	.ascii \"english\"\n	.p2align 2\n"
	".text\n");

static const char *content(HRSRC r, DWORD want)
{
	static char text[20];
	memset(text, 0, sizeof text);
	SAME(SizeofResource(NULL, r), want);
	HGLOBAL g = LoadResource(NULL, r);
	CHECK(g && LockResource(g));
	if (g)
		memcpy(text, LockResource(g), want < 19 ? want : 19);
	return text;
}

static void found(void)
{
	HRSRC r;
	CHECK((r = FindResourceA(NULL, "NAMED", RT_RCDATA)) != NULL);
	TEXT_IS(content(r, 5), "named");
	CHECK(FindResourceA(NULL, "named", RT_RCDATA) == r);
	CHECK(FindResourceW(NULL, L"Named", (LPCWSTR)RT_RCDATA) == r);
	CHECK(FindResourceA(GetModuleHandleA(NULL), "named", "#10") == r);
	CHECK((r = FindResourceA(NULL, MAKEINTRESOURCEA(7), RT_RCDATA)) != NULL);
	TEXT_IS(content(r, 7), "english");
	CHECK(FindResourceA(NULL, "#7", RT_RCDATA) == r);
	CHECK((r = FindResourceExA(NULL, RT_RCDATA, MAKEINTRESOURCEA(7), 0x407)) != NULL);
	TEXT_IS(content(r, 7), "deutsch");
	CHECK((r = FindResourceExW(NULL, (LPCWSTR)RT_RCDATA, MAKEINTRESOURCEW(7), 0x409)) != NULL);
	TEXT_IS(content(r, 7), "english");
	FAILS(FindResourceA(NULL, MAKEINTRESOURCEA(8), RT_RCDATA), ERROR_RESOURCE_NAME_NOT_FOUND);
	FAILS(FindResourceA(NULL, "other", RT_RCDATA), ERROR_RESOURCE_NAME_NOT_FOUND);
	FAILS(FindResourceA(NULL, "named", MAKEINTRESOURCEA(99)), ERROR_RESOURCE_TYPE_NOT_FOUND);
	FAILS(FindResourceA(NULL, "named", "nokind"), ERROR_RESOURCE_TYPE_NOT_FOUND);
}

static void texts(void)
{
	char a[20];
	wchar_t w[20], *in = NULL;
	SAME(LoadStringA(GetModuleHandleA(NULL), 17, a, sizeof a), 5);
	TEXT_IS(a, "hello");
	SAME(LoadStringW(GetModuleHandleA(NULL), 18, w, 20), 3);
	CHECK(!wcscmp(w, L"two"));
	SAME(LoadStringW(GetModuleHandleA(NULL), 17, w, 3), 2);
	CHECK(!wcscmp(w, L"he"));
	SAME(LoadStringA(GetModuleHandleA(NULL), 17, a, 4), 3);
	TEXT_IS(a, "hel");
	SAME(LoadStringW(GetModuleHandleA(NULL), 17, (wchar_t *)&in, 0), 5);
	CHECK(in && !memcmp(in, L"hello", 10));
	SAME(LoadStringA(GetModuleHandleA(NULL), 19, a, sizeof a), 0);
	SAME(LoadStringA(GetModuleHandleA(NULL), 400, a, sizeof a), 0);
}

static int count, numbers;
static BOOL CALLBACK name_told(HMODULE m, LPCWSTR kind, LPWSTR name, LONG_PTR arg)
{
	CHECK(kind == (LPCWSTR)RT_RCDATA);
	CHECK(arg == 77);
	count++;
	if (IS_INTRESOURCE(name))
		numbers += (int)(INT_PTR)name;
	else
		CHECK(!wcscmp(name, L"NAMED"));
	return count < 2 || numbers;
}
static BOOL CALLBACK first_only(HMODULE m, LPCWSTR kind, LPWSTR name, LONG_PTR arg)
{
	return FALSE;
}

static void lists(void)
{
	CHECK(EnumResourceNamesW(NULL, (LPCWSTR)RT_RCDATA, name_told, 77));
	SAME(count, 2);
	SAME(numbers, 7);
	FAILS(EnumResourceNamesW(NULL, (LPCWSTR)RT_RCDATA, first_only, 0),
	      ERROR_RESOURCE_ENUM_USER_STOP);
	FAILS(EnumResourceNamesW(NULL, MAKEINTRESOURCEW(99), first_only, 0),
	      ERROR_RESOURCE_TYPE_NOT_FOUND);
}

/* ---- what the program is made of ---- */

static DWORD WINAPI waits(void *event) { return WaitForSingleObject(event, INFINITE); }

static void snapshots(void)
{
	HANDLE e = CreateEventA(NULL, 1, 0, NULL), t = CreateThread(NULL, 0, waits, e, 0, NULL), s;
	PROCESSENTRY32W p = {.dwSize = sizeof p};
	THREADENTRY32 te = {.dwSize = sizeof te};
	MODULEENTRY32W m = {.dwSize = sizeof m};
	int me = 0, threads = 0, program = 0, kernel = 0;
	CHECK((s = CreateToolhelp32Snapshot(
		   TH32CS_SNAPPROCESS | TH32CS_SNAPTHREAD | TH32CS_SNAPMODULE, 0)) !=
	      INVALID_HANDLE_VALUE);
	for (BOOL on = Process32FirstW(s, &p); on; on = Process32NextW(s, &p))
		if (p.th32ProcessID == GetCurrentProcessId()) {
			me++;
			CHECK(p.cntThreads >= 2);
			CHECK(!_wcsicmp(p.szExeFile, L"resource.exe"));
		}
	SAME(me, 1);
	SAME(GetLastError(), ERROR_NO_MORE_FILES);
	for (BOOL on = Thread32First(s, &te); on; on = Thread32Next(s, &te))
		threads +=
		    te.th32OwnerProcessID == GetCurrentProcessId() &&
		    (te.th32ThreadID == GetCurrentThreadId() || te.th32ThreadID == GetThreadId(t));
	SAME(threads, 2);
	for (BOOL on = Module32FirstW(s, &m); on; on = Module32NextW(s, &m)) {
		program +=
		    m.hModule == GetModuleHandleA(NULL) && !_wcsicmp(m.szModule, L"resource.exe");
		kernel += m.hModule == GetModuleHandleA("kernel32") &&
			  !_wcsicmp(m.szModule, L"kernel32.dll");
	}
	SAME(program, 1);
	SAME(kernel, 1);
	p.dwSize = 10;
	CHECK(!Process32FirstW(s, &p));
	CHECK(CloseHandle(s));
	SetEvent(e);
	WaitForSingleObject(t, INFINITE);
	CloseHandle(t);
	CloseHandle(e);
}

static void descriptions(void)
{
	HRESULT(WINAPI * get)
	(HANDLE, wchar_t **) =
	    (void *)GetProcAddress(GetModuleHandleA("kernel32"), "GetThreadDescription");
	HRESULT(WINAPI * set)
	(HANDLE, const wchar_t *) =
	    (void *)GetProcAddress(GetModuleHandleA("kernel32"), "SetThreadDescription");
	wchar_t *text = NULL;
	CHECK(get && set);
	CHECK(get(GetCurrentThread(), &text) >= 0);
	CHECK(text && !*text);
	LocalFree(text);
	CHECK(set(GetCurrentThread(), L"the first one") >= 0);
	CHECK(get(GetCurrentThread(), &text) >= 0);
	CHECK(!wcscmp(text, L"the first one"));
	LocalFree(text);
}

static void kinds(void)
{
	wchar_t path[300];
	DWORD kind = 99;
	GetModuleFileNameW(NULL, path, 300);
	CHECK(GetBinaryTypeW(path, &kind));
	SAME(kind, SCS_64BIT_BINARY);
	FAILS(GetBinaryTypeW(L"nosuch.exe", &kind), ERROR_FILE_NOT_FOUND);
	HANDLE h = CreateFileA("none.exe", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
	DWORD n;
	WriteFile(h, "no program", 10, &n, NULL);
	CloseHandle(h);
	FAILS(GetBinaryTypeW(L"none.exe", &kind), ERROR_BAD_EXE_FORMAT);
	DeleteFileA("none.exe");
	CHECK(QueryDosDeviceW(L"C:", path, 300) > 8);
	CHECK(!wcsncmp(path, L"\\Device\\", 8));
	FAILS(QueryDosDeviceW(L"Y:", path, 300), ERROR_FILE_NOT_FOUND);
	FAILS(QueryDosDeviceW(L"C:", path, 3), ERROR_INSUFFICIENT_BUFFER);
	CHECK(QueryDosDeviceW(NULL, path, 300) > 3 || GetLastError() == ERROR_INSUFFICIENT_BUFFER);
}

int main(void)
{
	found();
	texts();
	lists();
	snapshots();
	descriptions();
	kinds();
	return end();
}
