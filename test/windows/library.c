/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries that a running program loads: who is told when, what is refused, where they are looked
 * for. The library is this program itself, copied, with another entry. */
#include "test.h"
#include <wchar.h>

#ifndef LOAD_LIBRARY_SEARCH_USER_DIRS
#define LOAD_LIBRARY_SEARCH_USER_DIRS 0x400
#endif

/* ---- in the library ---- */

/* Where the program wants to hear of what happens: an address that the environment has. */
static char *told_at(void)
{
	char text[30];
	unsigned long long at = 0;
	if (!GetEnvironmentVariableA("LIBRARY_LOG", text, sizeof text))
		return NULL;
	for (char *p = text; *p; p++)
		at = at * 10 + (unsigned)(*p - '0');
	return (char *)(ULONG_PTR)at;
}

static int asked(const char *what, char value[60])
{
	return GetEnvironmentVariableA(what, value, 60) > 0;
}

/* At the end of a process nobody is left who reads memory. */
static void tell_file(const char *text)
{
	DWORD n;
	HANDLE f = CreateFileA("library.log", FILE_APPEND_DATA, 7, NULL, OPEN_ALWAYS, 0, NULL);
	WriteFile(f, text, lstrlenA(text), &n, NULL);
	CloseHandle(f);
}

static BOOL WINAPI entry(HINSTANCE h, DWORD reason, void *with_all)
{
	static const char letters[] = "dats"; /* detach, attach, thread, its end (stops) */
	char path[300], value[60], *name, text[8], *log = told_at();
	GetModuleFileNameA(h, path, sizeof path);
	name = strrchr(path, '\\') + 1;
	text[0] = *name;
	text[1] = reason < 4 ? letters[reason] : '?';
	text[2] = with_all ? '!' : ' ';
	text[3] = 0;
	if (log)
		lstrcatA(log, text);
	else if (asked("LIBRARY_FILE", value))
		tell_file(text);
	if (reason == DLL_PROCESS_ATTACH && *name == 'a' && asked("LIBRARY_LOADS", value))
		LoadLibraryA(value);
	if (reason == DLL_PROCESS_DETACH && *name == 'a' && asked("LIBRARY_FREES", value))
		FreeLibrary(GetModuleHandleA(value));
	if (reason == DLL_THREAD_ATTACH && *name == 'a' && asked("LIBRARY_LETS_GO", value))
		FreeLibrary(GetModuleHandleA(value));
	return !(reason == DLL_PROCESS_ATTACH && asked("LIBRARY_FAILS", value));
}

__declspec(dllexport) int counts(void)
{
	static int n = 40;
	return ++n;
}

/* ---- the program ---- */

static char log_[4000];
static void log_on(void)
{
	char text[30];
	sprintf(text, "%llu", (unsigned long long)(ULONG_PTR)log_);
	SetEnvironmentVariableA("LIBRARY_LOG", text);
}
static const char *logged(void)
{
	static char last[4000];
	strcpy(last, log_);
	log_[0] = 0;
	return last;
}

enum { WITH_TLS = 1, NO_LIBRARY = 2, BAD_IMPORT = 4 };
static BOOL make(const char *name, int how)
{
	char path[300];
	static char image[1 << 20];
	DWORD n = 0;
	GetModuleFileNameA(NULL, path, sizeof path);
	HANDLE f = CreateFileA(path, GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
	BOOL ok = ReadFile(f, image, sizeof image, &n, NULL);
	CloseHandle(f);
	IMAGE_NT_HEADERS64 *nt = (void *)(image + ((IMAGE_DOS_HEADER *)image)->e_lfanew);
	if (!(how & NO_LIBRARY))
		nt->FileHeader.Characteristics |= IMAGE_FILE_DLL;
	nt->OptionalHeader.AddressOfEntryPoint = (char *)entry - (char *)GetModuleHandleA(NULL);
	if (!(how & WITH_TLS))
		memset(&nt->OptionalHeader.DataDirectory[9], 0, sizeof(IMAGE_DATA_DIRECTORY));
	for (DWORD i = 0; how & BAD_IMPORT && i + 12 < n; i++)
		if (!memcmp(image + i, "KERNEL32.dll", 12))
			memcpy(image + i, "KERNEL99.dll", 12);
	f = CreateFileA(name, GENERIC_WRITE, 7, NULL, CREATE_ALWAYS, 0, NULL);
	ok = ok && WriteFile(f, image, n, &n, NULL);
	return CloseHandle(f) && ok;
}

static void told(void)
{
	CHECK(make("a.dll", 0));
	FAILS(GetModuleHandleA("a.dll"), ERROR_MOD_NOT_FOUND);
	HMODULE h = LoadLibraryA("a.dll"), found = NULL;
	CHECK(h != NULL);
	TEXT_IS(logged(), "aa ");
	CHECK(LoadLibraryA("A.DLL") == h);
	CHECK(LoadLibraryW(L"a") == h);
	CHECK(GetModuleHandleA("a") == h);
	TEXT_IS(logged(), "");
	int (*counts_there)(void) = (void *)GetProcAddress(h, "counts");
	CHECK(counts_there && counts_there != counts);
	SAME(counts_there(), 41);
	SAME(counts_there(), 42);
	SAME(counts(), 41);
	CHECK((void *)GetProcAddress(h, (char *)1) == (void *)counts_there);
	FAILS(GetProcAddress(h, "nosuch"), ERROR_PROC_NOT_FOUND);
	FAILS(GetProcAddress(h, (char *)999), ERROR_PROC_NOT_FOUND);
	CHECK(GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
				     GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
				 (char *)counts_there, &found));
	CHECK(found == h);
	CHECK(FreeLibrary(h) && FreeLibrary(h));
	TEXT_IS(logged(), "");
	CHECK(GetModuleHandleA("a.dll") == h);
	CHECK(FreeLibrary(h));
	TEXT_IS(logged(), "ad ");
	FAILS(GetModuleHandleA("a.dll"), ERROR_MOD_NOT_FOUND);
	FAILS(FreeLibrary(h), ERROR_MOD_NOT_FOUND);
	h = LoadLibraryA("a.dll");
	counts_there = (void *)GetProcAddress(h, "counts");
	SAME(counts_there(), 41); /* all of it is new */
	CHECK(FreeLibrary(h));
	TEXT_IS(logged(), "aa ad ");
}

static void refused(void)
{
	DWORD n;
	SetEnvironmentVariableA("LIBRARY_FAILS", "yes");
	for (int i = 0; i < 2; i++) { /* the second time as the first */
		FAILS(LoadLibraryA("a.dll"), ERROR_DLL_INIT_FAILED);
		TEXT_IS(logged(), "aa ad ");
		FAILS(GetModuleHandleA("a.dll"), ERROR_MOD_NOT_FOUND);
	}
	SetEnvironmentVariableA("LIBRARY_FAILS", NULL);
	CHECK(make("bad.dll", BAD_IMPORT));
	HANDLE f = CreateFileA("text.dll", GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
	WriteFile(f, "no image", 8, &n, NULL);
	CloseHandle(f);
	for (int i = 0; i < 2; i++) {
		FAILS(LoadLibraryA("bad.dll"), ERROR_MOD_NOT_FOUND);
		FAILS(LoadLibraryA("text.dll"), ERROR_BAD_EXE_FORMAT);
		FAILS(LoadLibraryA("nosuch.dll"), ERROR_MOD_NOT_FOUND);
		FAILS(GetModuleHandleA("bad.dll"), ERROR_MOD_NOT_FOUND);
	}
	TEXT_IS(logged(), "");
	CHECK(DeleteFileA("bad.dll") && DeleteFileA("text.dll"));
}

static DWORD WINAPI nothing(void *arg) { return 0; }
static void thread_run(void)
{
	HANDLE t = CreateThread(NULL, 0, nothing, NULL, 0, NULL);
	WaitForSingleObject(t, INFINITE);
	CloseHandle(t);
}

static DWORD WINAPI frees(void *h) { FreeLibraryAndExitThread(h, 77); }

static void threads(void)
{
	DWORD code = 0;
	HMODULE h = LoadLibraryA("a.dll");
	logged();
	thread_run();
	TEXT_IS(logged(), "at as ");
	CHECK(DisableThreadLibraryCalls(h));
	thread_run();
	TEXT_IS(logged(), "");
	FAILS(DisableThreadLibraryCalls((HMODULE)&code), ERROR_MOD_NOT_FOUND);
	HANDLE t = CreateThread(NULL, 0, frees, h, 0, NULL);
	WaitForSingleObject(t, INFINITE);
	GetExitCodeThread(t, &code);
	CloseHandle(t);
	SAME(code, 77);
	TEXT_IS(logged(), "ad ");
}

static void nested(void)
{
	CHECK(make("b.dll", 0));
	SetEnvironmentVariableA("LIBRARY_LOADS", "b.dll");
	SetEnvironmentVariableA("LIBRARY_FREES", "b.dll");
	HMODULE h = LoadLibraryA("a.dll");
	TEXT_IS(logged(), "aa ba ");
	CHECK(GetModuleHandleA("b.dll") != NULL);
	thread_run();
	TEXT_IS(logged(), "at bt bs as ");
	CHECK(FreeLibrary(h));
	TEXT_IS(logged(), "ad bd ");
	CHECK(!GetModuleHandleA("b.dll"));
	SetEnvironmentVariableA("LIBRARY_LOADS", NULL);
	SetEnvironmentVariableA("LIBRARY_FREES", NULL);
}

/* Who is told of a thread may free others that would be told next. */
static void freed_when_told(void)
{
	HMODULE a = LoadLibraryA("a.dll");
	CHECK(a && LoadLibraryA("b.dll"));
	logged();
	SetEnvironmentVariableA("LIBRARY_LETS_GO", "b.dll");
	thread_run();
	TEXT_IS(logged(), "at bd as ");
	SetEnvironmentVariableA("LIBRARY_LETS_GO", NULL);
	CHECK(!GetModuleHandleA("b.dll") && FreeLibrary(a));
	TEXT_IS(logged(), "ad ");
}

/* Memory of threads is given back with the library: there is no end of it. */
static void again_and_again(void)
{
	int bad = 0;
	CHECK(make("t.dll", WITH_TLS));
	for (int i = 0; i < 400; i++) {
		HMODULE h = LoadLibraryA("t.dll");
		bad += !h || !FreeLibrary(h);
		log_[0] = 0;
	}
	SAME(bad, 0);
	CHECK(DeleteFileA("t.dll"));
}

/* ---- where ---- */

static void places(void)
{
	char here[300];
	wchar_t wide[300];
	GetCurrentDirectoryA(sizeof here, here);
	CHECK(CreateDirectoryA("sub", NULL));
	CHECK(make("sub\\c.dll", 0));
	FAILS(LoadLibraryA("c.dll"), ERROR_MOD_NOT_FOUND);
	HMODULE h = LoadLibraryA("sub\\c.dll");
	CHECK(h != NULL);
	CHECK(FreeLibrary(h));
	lstrcatA(here, here[lstrlenA(here) - 1] == '\\' ? "sub" : "\\sub");
	CHECK(SetDllDirectoryA(here));
	CHECK((h = LoadLibraryA("c.dll")) != NULL);
	CHECK(FreeLibrary(h));
	SAME(GetDllDirectoryA(sizeof wide, (char *)wide), lstrlenA(here));
	CHECK(SetDllDirectoryA(NULL));
	FAILS(LoadLibraryA("c.dll"), ERROR_MOD_NOT_FOUND);
	swprintf(wide, 300, L"%hs", here);
	DLL_DIRECTORY_COOKIE cookie = AddDllDirectory(wide);
	CHECK(cookie != NULL);
	FAILS(LoadLibraryA("c.dll"), ERROR_MOD_NOT_FOUND);
	CHECK((h = LoadLibraryExA("c.dll", NULL, LOAD_LIBRARY_SEARCH_USER_DIRS)) != NULL);
	CHECK(FreeLibrary(h));
	CHECK(RemoveDllDirectory(cookie));
	FAILS(LoadLibraryExA("c.dll", NULL, LOAD_LIBRARY_SEARCH_USER_DIRS), ERROR_MOD_NOT_FOUND);
	FAILS(AddDllDirectory(L"no\\whole\\path"), ERROR_INVALID_PARAMETER);
	SetEnvironmentVariableA("PATH", "C:\\nowhere;sub;C:\\Windows");
	CHECK((h = LoadLibraryA("c.dll")) != NULL);
	CHECK(FreeLibrary(h));
	char found[300], *part = NULL;
	SAME(SearchPathA(NULL, "c", ".dll", sizeof found, found, &part), lstrlenA(here) + 6);
	TEXT_IS(part, "c.dll");
	SAME(SearchPathA("sub", "c.dll", NULL, 3, found, NULL), lstrlenA(here) + 7);
	FAILS(SearchPathA("C:\\", "c.dll", NULL, sizeof found, found, NULL), ERROR_FILE_NOT_FOUND);
	CHECK(DeleteFileA("sub\\c.dll"));
	CHECK(RemoveDirectoryA("sub"));
	logged();
}

/* ---- the end of a process, and what comes first at the end of a thread ---- */

static void NTAPI value_end(void *v) { told_at() ? lstrcatA(log_, "F") : tell_file("F"); }

static DWORD WINAPI has_value(void *slot)
{
	FlsSetValue((DWORD)(ULONG_PTR)slot, &log_);
	return 0;
}

static void order_of_ends(void)
{
	HMODULE h = LoadLibraryA("a.dll");
	DWORD slot = FlsAlloc(value_end);
	logged();
	HANDLE t = CreateThread(NULL, 0, has_value, (void *)(ULONG_PTR)slot, 0, NULL);
	WaitForSingleObject(t, INFINITE);
	CloseHandle(t);
	TEXT_IS(logged(), "at Fas ");
	FlsFree(slot);
	FreeLibrary(h);
	logged();
}

static int child(BOOL frees)
{
	if (frees) {
		SetEnvironmentVariableA("LIBRARY_FREES", "b.dll");
		return !LoadLibraryA("b.dll") || !LoadLibraryA("a.dll");
	}
	DWORD slot = FlsAlloc(value_end);
	FlsSetValue(slot, &log_);
	return !LoadLibraryA("a.dll") || !LoadLibraryA("b.dll");
}

static void end_of_process(const char *self, const char *how_, const char *want)
{
	STARTUPINFOA how = {.cb = sizeof how};
	PROCESS_INFORMATION p;
	char line[300], text[100] = "";
	DWORD n = 0, code = 9;
	SetEnvironmentVariableA("LIBRARY_LOG", NULL);
	SetEnvironmentVariableA("LIBRARY_FILE", "yes");
	sprintf(line, "\"%s\" %s", self, how_);
	CHECK(CreateProcessA(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &how, &p));
	WaitForSingleObject(p.hProcess, INFINITE);
	GetExitCodeProcess(p.hProcess, &code);
	SAME(code, 0);
	CloseHandle(p.hProcess);
	CloseHandle(p.hThread);
	HANDLE f = CreateFileA("library.log", GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
	ReadFile(f, text, sizeof text - 1, &n, NULL);
	CloseHandle(f);
	TEXT_IS(text, want);
	CHECK(DeleteFileA("library.log"));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return child(!strcmp(argv[1], "frees"));
	log_on();
	told();
	refused();
	threads();
	nested();
	freed_when_told();
	again_and_again();
	places();
	order_of_ends();
	end_of_process(argv[0], "child", "aa ba Fbd!ad!");
	/* who frees others at the end frees none */
	end_of_process(argv[0], "frees", "ba aa ad!bd!");
	DeleteFileA("a.dll");
	DeleteFileA("b.dll");
	return end();
}
