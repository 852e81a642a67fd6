/* SPDX-License-Identifier: Apache-2.0 */
/* Small functions that real programs call: identifiers, components that are not there, URLs, lists
 * of processes and addresses as text, in both widths. */
#include "test.h"
#include <objbase.h>
#include <psapi.h>
#include <shlwapi.h>
#include <tlhelp32.h>
#include <winsock2.h>
#include <ws2tcpip.h>

#define OF(dll, name) ((void *)GetProcAddress(LoadLibraryA(dll), name))

static void identifiers(void)
{
	GUID a, b, fixed = {0x12345678, 0x9abc, 0xdef0, {1, 2, 3, 4, 5, 6, 0xab, 0xcd}};
	HRESULT(WINAPI * create)(GUID *) = OF("ole32.dll", "CoCreateGuid");
	int(WINAPI * text)(const GUID *, wchar_t *, int) = OF("ole32.dll", "StringFromGUID2");
	long(WINAPI * to_text)(const GUID *, wchar_t **) = OF("rpcrt4.dll", "UuidToStringW");
	long(WINAPI * free_text)(wchar_t **) = OF("rpcrt4.dll", "RpcStringFreeW");
	wchar_t buf[50], *s = NULL;
	SAME(create(&a), S_OK);
	SAME(create(&b), S_OK);
	CHECK(memcmp(&a, &b, sizeof a) != 0);
	SAME(a.Data3 >> 12, 4);
	SAME(a.Data4[0] >> 6, 2);
	SAME(text(&fixed, buf, 39), 39);
	TEXT_IS(narrow(buf), "{12345678-9ABC-DEF0-0102-03040506ABCD}");
	SAME(text(&fixed, buf, 38), 0);
	SAME(to_text(&fixed, &s), 0);
	TEXT_IS(narrow(s), "12345678-9abc-def0-0102-03040506abcd");
	SAME(free_text(&s), 0);
	CHECK(!s);
}

static void components(void)
{
	static const GUID nobody = {0x4c6f6467, 1, 2, {3}},
			  unknown = {0, 0, 0, {0xc0, 0, 0, 0, 0, 0, 0, 0x46}};
	HRESULT(WINAPI * make)
	(const GUID *, void *, DWORD, const GUID *, void **) = OF("ole32.dll", "CoCreateInstance");
	HRESULT(WINAPI * begin)(void *) = OF("ole32.dll", "CoInitialize");
	HRESULT(WINAPI * info)(ULONG, void **) = OF("oleaut32.dll", "GetErrorInfo");
	void *p = &p;
	begin(NULL);
	SAME(make(&nobody, NULL, 1, &unknown, &p), REGDB_E_CLASSNOTREG);
	CHECK(!p);
	SAME(make(&nobody, NULL, 1, &unknown, NULL), E_POINTER);
	p = &p;
	SAME(info(0, &p), S_FALSE);
	CHECK(!p);
}

static void urls(void)
{
	BOOL(WINAPI * is)(const wchar_t *, int) = OF("shlwapi.dll", "UrlIsW");
	HRESULT(WINAPI * path)
	(const wchar_t *, wchar_t *, DWORD *, DWORD) = OF("shlwapi.dll", "PathCreateFromUrlW");
	static const struct {
		const char *in, *want;
	} rows[] = {
	    {"file:///C:/a/b", "C:\\a\\b"},
	    {"file:///C:/a%20b", "C:\\a b"},
	    {"file://server/share/a", "\\\\server\\share\\a"},
	    {"FILE:///c:/x", "c:\\x"},
	    {"file:C:/x", "C:\\x"},
	};
	wchar_t in[100], out[100];
	DWORD n;
	for (size_t i = 0; i < COUNT(rows); i++) {
		MultiByteToWideChar(CP_UTF8, 0, rows[i].in, -1, in, 100);
		n = 100;
		IS(rows[i].in, path(in, out, &n, 0), S_OK);
		TEXT(rows[i].in, narrow(out), rows[i].want);
		IS(rows[i].in, n, strlen(rows[i].want));
		IS(rows[i].in, is(in, 3), 1);
	}
	n = 100;
	SAME(path(L"C:\\a", out, &n, 0), E_INVALIDARG);
	SAME(path(L"http://a/b", out, &n, 0), E_INVALIDARG);
	CHECK(!is(L"C:\\a", 3));
	CHECK(!is(L"C:\\a", 0));
	CHECK(is(L"http://a", 0));
	CHECK(!is(L"http://a", 3));
	CHECK(is(L"mailto:a", 1));
	CHECK(!is(L"http://a", 1));
	CHECK(is(L"http://a/", 5));
}

static void processes(void)
{
	PROCESSENTRY32 e = {.dwSize = sizeof e};
	HANDLE h = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
	int found = 0;
	CHECK(h != INVALID_HANDLE_VALUE);
	CHECK(Process32First(h, &e));
	do
		found +=
		    e.th32ProcessID == GetCurrentProcessId() && !stricmp(e.szExeFile, "small.exe");
	while (Process32Next(h, &e));
	SAME(found, 1);
	SAME(GetLastError(), ERROR_NO_MORE_FILES);
	e.dwSize = 10;
	CHECK(!Process32First(h, &e));
	CloseHandle(h);
	PERFORMANCE_INFORMATION info = {sizeof info};
	BOOL(WINAPI * get)
	(PERFORMANCE_INFORMATION *, DWORD) = OF("psapi.dll", "GetPerformanceInfo");
	CHECK(get(&info, sizeof info));
	SAME(info.PageSize, 4096);
	CHECK(info.ThreadCount >= 1);
}

static void modes(void)
{
	DWORD old = 1;
	CHECK(SetThreadErrorMode(SEM_FAILCRITICALERRORS, &old));
	SAME(old, 0);
	SAME(GetThreadErrorMode(), SEM_FAILCRITICALERRORS);
	CHECK(SetThreadErrorMode(0, &old));
	SAME(old, SEM_FAILCRITICALERRORS);
	FAILS(SetThreadErrorMode(0x100, &old), ERROR_INVALID_PARAMETER);
	SAME(GetSystemDefaultLangID(), GetUserDefaultLangID());
}

static void volumes(void)
{
	char label[50] = "x", system[50] = "";
	wchar_t wide[50] = L"";
	DWORD serial = 0, wide_serial = 1, most, flags;
	CHECK(GetVolumeInformationA("C:\\", label, 50, &serial, &most, &flags, system, 50));
	CHECK(flags & FILE_CASE_PRESERVED_NAMES);
	CHECK(flags & FILE_UNICODE_ON_DISK);
	CHECK(flags & FILE_PERSISTENT_ACLS);
	CHECK(GetVolumeInformationW(L"C:\\", NULL, 0, &wide_serial, NULL, NULL, wide, 50));
	SAME(serial, wide_serial);
	SAME(most, 255);
	TEXT_IS(system, narrow(wide));
	CHECK(GetShortPathNameA("C:\\", label, 50) == 3);
	TEXT_IS(label, "C:\\");
}

static void addresses(void)
{
	struct in_addr a;
	struct in6_addr b;
	wchar_t out[60];
	SAME(InetPtonW(AF_INET, L"10.0.2.15", &a), 1);
	SAME(ntohl(a.s_addr), 0x0a00020f);
	SAME(InetPtonW(AF_INET, L"10.0.2", &a), 0);
	SAME(InetPtonW(AF_INET6, L"fec0::1", &b), 1);
	CHECK(InetNtopW(AF_INET6, &b, out, 60) == out);
	TEXT_IS(narrow(out), "fec0::1");
	CHECK(!InetNtopW(AF_INET6, &b, out, 3));
	SAME(InetPtonW(AF_INET, L"10.0.2.15", &a), 1);
	CHECK(InetNtopW(AF_INET, &a, out, 10) == out);
	TEXT_IS(narrow(out), "10.0.2.15");
}

static void security(void)
{
	static const BYTE sid[] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0}, bad[] = {9};
	BOOL(WINAPI * text)(const void *, char **) = OF("advapi32.dll", "ConvertSidToStringSidA");
	BOOL(WINAPI * wide_text)
	(const void *, wchar_t **) = OF("advapi32.dll", "ConvertSidToStringSidW");
	char *s = NULL;
	wchar_t *w = NULL;
	CHECK(text(sid, &s));
	TEXT_IS(s, "S-1-5-32-544");
	CHECK(wide_text(sid, &w));
	TEXT_IS(narrow(w), "S-1-5-32-544");
	LocalFree(s);
	LocalFree(w);
	FAILS(text(bad, &s), ERROR_INVALID_SID);
}

/* Nobody sends messages: what else is waited for comes. */
static void messages(void)
{
	MSG m;
	HANDLE h = CreateEventA(NULL, FALSE, TRUE, NULL);
	CHECK(!PeekMessageA(&m, NULL, 0, 0, PM_REMOVE));
	SAME(MsgWaitForMultipleObjects(1, &h, FALSE, 1000, QS_ALLINPUT), WAIT_OBJECT_0);
	SAME(MsgWaitForMultipleObjects(1, &h, FALSE, 10, QS_ALLINPUT), WAIT_TIMEOUT);
	SAME(MsgWaitForMultipleObjects(0, NULL, FALSE, 10, QS_ALLINPUT), WAIT_TIMEOUT);
	CloseHandle(h);
}

static void sizes(void)
{
	int(__cdecl * change)(int, long long) = OF("ucrtbase.dll", "_chsize_s");
	int(__cdecl * make)(const char *, int, int) = OF("ucrtbase.dll", "_open");
	int(__cdecl * done)(int) = OF("ucrtbase.dll", "_close");
	WIN32_FILE_ATTRIBUTE_DATA d;
	int fd = make("C:\\Temp\\sized", 0x8102, 0600); /* _O_BINARY | _O_CREAT | _O_RDWR */
	CHECK(fd > 2);
	SAME(change(fd, 5000000000), 0);
	CHECK(GetFileAttributesExA("C:\\Temp\\sized", GetFileExInfoStandard, &d));
	SAME((long long)d.nFileSizeHigh << 32 | d.nFileSizeLow, 5000000000);
	SAME(change(fd, 3), 0);
	CHECK(GetFileAttributesExA("C:\\Temp\\sized", GetFileExInfoStandard, &d));
	SAME(d.nFileSizeLow, 3);
	SAME(done(fd), 0);
	WIN32_FIND_DATAA found;
	HANDLE h = FindFirstFileExA("C:\\Temp\\siz*", FindExInfoBasic, &found,
				    FindExSearchNameMatch, NULL, 0);
	CHECK(h != INVALID_HANDLE_VALUE);
	TEXT_IS(found.cFileName, "sized");
	CHECK(FindClose(h));
	CHECK(DeleteFileA("C:\\Temp\\sized"));
}

int main(void)
{
	WSADATA data;
	WSAStartup(0x202, &data);
	identifiers();
	components();
	urls();
	processes();
	modes();
	volumes();
	addresses();
	security();
	messages();
	sizes();
	return end();
}
