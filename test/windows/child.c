/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and file mappings. Started with arguments, it is the child of itself. */
#include "test.h"
#include <stdlib.h>

static char own[MAX_PATH];
static PROCESS_INFORMATION start(const char *args, STARTUPINFOA *how, BOOL inherit, DWORD flags,
				 void *env, const char *cwd);

/* ---- the child's side ---- */

static int as_child(int argc, char **argv)
{
	if (!strcmp(argv[1], "code"))
		return (int)strtoul(argv[2], NULL, 0);
	if (!strcmp(argv[1], "args"))
		for (int i = 2; i < argc; i++)
			printf("[%s]", argv[i]);
	if (!strcmp(argv[1], "env"))
		printf("%s", getenv(argv[2]) ? getenv(argv[2]) : "(none)");
	if (!strcmp(argv[1], "cwd")) {
		char cwd[MAX_PATH];
		GetCurrentDirectoryA(sizeof cwd, cwd);
		printf("%s", cwd);
	}
	if (!strcmp(argv[1], "cat"))
		for (int c; (c = getchar()) != EOF;)
			putchar(c + 1);
	if (!strcmp(argv[1], "handle")) {
		DWORD n;
		HANDLE h = (HANDLE)(ULONG_PTR)strtoull(argv[2], NULL, 0);
		return WriteFile(h, "inherited", 9, &n, NULL) && n == 9 ? 7 : (int)GetLastError();
	}
	if (!strcmp(argv[1], "section")) {
		HANDLE h = OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, argv[2]);
		char *p = h ? MapViewOfFile(h, FILE_MAP_ALL_ACCESS, 0, 0, 0) : NULL;
		if (!p || strcmp(p, "from the parent"))
			return 1;
		strcpy(p, "from the child");
		return 5;
	}
	if (!strcmp(argv[1], "parent")) {
		start("forever", NULL, FALSE, 0, NULL, NULL);
		Sleep(INFINITE);
	}
	if (!strcmp(argv[1], "forever"))
		Sleep(INFINITE);
	if (!strcmp(argv[1], "crash"))
		*(volatile int *)8 = 1;
	if (!strcmp(argv[1], "grandchild")) {
		char line[MAX_PATH + 32];
		PROCESS_INFORMATION p;
		STARTUPINFOA s = {.cb = sizeof s};
		DWORD code;
		snprintf(line, sizeof line, "\"%s\" code 77", own);
		if (!CreateProcessA(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &s, &p))
			return 1;
		WaitForSingleObject(p.hProcess, INFINITE);
		GetExitCodeProcess(p.hProcess, &code);
		return (int)code + 1;
	}
	return 0;
}

/* ---- the parent's ---- */

static PROCESS_INFORMATION start(const char *args, STARTUPINFOA *how, BOOL inherit, DWORD flags,
				 void *env, const char *cwd)
{
	PROCESS_INFORMATION p = {0};
	STARTUPINFOA usual = {.cb = sizeof usual};
	char line[1000];
	snprintf(line, sizeof line, "\"%s\" %s", own, args);
	CHECK(CreateProcessA(NULL, line, NULL, NULL, inherit, flags, env, cwd,
			     how ? how : &usual, &p));
	return p;
}

static DWORD ended(PROCESS_INFORMATION p)
{
	DWORD code = 0, thread = 0;
	SAME(WaitForSingleObject(p.hProcess, 20000), WAIT_OBJECT_0);
	CHECK(GetExitCodeProcess(p.hProcess, &code));
	SAME(WaitForSingleObject(p.hThread, 1000), WAIT_OBJECT_0);
	CHECK(GetExitCodeThread(p.hThread, &thread));
	SAME(thread, code);
	CHECK(CloseHandle(p.hProcess));
	CHECK(CloseHandle(p.hThread));
	return code;
}

/* What a child with @args writes. */
static const char *output(const char *args, void *env, const char *cwd, const char *input)
{
	static char buf[2000];
	SECURITY_ATTRIBUTES sa = {sizeof sa, NULL, TRUE};
	STARTUPINFOA how = {.cb = sizeof how, .dwFlags = STARTF_USESTDHANDLES};
	HANDLE r, w, ir, iw;
	DWORD n, all = 0;
	CHECK(CreatePipe(&r, &w, &sa, 0));
	CHECK(CreatePipe(&ir, &iw, &sa, 0));
	CHECK(SetHandleInformation(r, HANDLE_FLAG_INHERIT, 0));
	CHECK(SetHandleInformation(iw, HANDLE_FLAG_INHERIT, 0));
	how.hStdInput = ir;
	how.hStdOutput = w;
	how.hStdError = GetStdHandle(STD_ERROR_HANDLE);
	PROCESS_INFORMATION p = start(args, &how, TRUE, 0, env, cwd);
	CloseHandle(w);
	CloseHandle(ir);
	if (input)
		CHECK(WriteFile(iw, input, (DWORD)strlen(input), &n, NULL));
	CloseHandle(iw);
	while (all < sizeof buf - 1 && ReadFile(r, buf + all, sizeof buf - 1 - all, &n, NULL) && n)
		all += n;
	buf[all] = 0;
	SAME(GetLastError(), ERROR_BROKEN_PIPE);
	CloseHandle(r);
	SAME(ended(p), 0);
	return buf;
}

static void codes(void)
{
	DWORD code;
	SAME(ended(start("code 0", NULL, FALSE, 0, NULL, NULL)), 0);
	SAME(ended(start("code 42", NULL, FALSE, 0, NULL, NULL)), 42);
	SAME(ended(start("code 0x12345678", NULL, FALSE, 0, NULL, NULL)), 0x12345678);
	SAME(ended(start("grandchild", NULL, FALSE, 0, NULL, NULL)), 78);
	PROCESS_INFORMATION p = start("forever", NULL, FALSE, 0, NULL, NULL);
	CHECK(p.dwProcessId && p.dwProcessId != GetCurrentProcessId());
	SAME(GetProcessId(p.hProcess), p.dwProcessId);
	SAME(WaitForSingleObject(p.hProcess, 50), WAIT_TIMEOUT);
	CHECK(GetExitCodeProcess(p.hProcess, &code));
	SAME(code, STILL_ACTIVE);
	HANDLE again = OpenProcess(PROCESS_ALL_ACCESS, FALSE, p.dwProcessId);
	CHECK(again);
	CHECK(CloseHandle(again));
	CHECK(TerminateProcess(p.hProcess, 1234));
	SAME(ended(p), 1234);
	p = start("code 9", NULL, FALSE, CREATE_SUSPENDED, NULL, NULL);
	SAME(WaitForSingleObject(p.hProcess, 50), WAIT_TIMEOUT);
	SAME(ResumeThread(p.hThread), 1);
	SAME(ended(p), 9);
	p = start("code 3", NULL, FALSE, CREATE_SUSPENDED, NULL, NULL);
	CHECK(TerminateProcess(p.hProcess, 8));
	SAME(ended(p), 8);
}

static void given(void)
{
	char env[] = "LODGE_X=of the child\0ZZ=1\0";
	CHECK(SetEnvironmentVariableA("LODGE_X", "of the parent"));
	TEXT_IS(output("env LODGE_X", NULL, NULL, NULL), "of the parent");
	TEXT_IS(output("env LODGE_X", env, NULL, NULL), "of the child");
	TEXT_IS(output("env windir", env, NULL, NULL), "(none)");
	TEXT_IS(output("cwd", NULL, "C:\\Temp", NULL), "C:\\Temp");
	TEXT_IS(output("args one \"two words\" \"\" quo\\\"te \"tail\\\\\"", NULL, NULL, NULL),
		"[one][two words][][quo\"te][tail\\]");
	TEXT_IS(output("cat", NULL, NULL, "HAL"), "IBM");
}

static void handles(void)
{
	char args[64];
	DWORD n;
	char buf[16] = "";
	SECURITY_ATTRIBUTES sa = {sizeof sa, NULL, TRUE};
	HANDLE h = CreateFileA("C:\\Temp\\h", GENERIC_READ | GENERIC_WRITE, 7, &sa, CREATE_ALWAYS,
			       0, NULL);
	HANDLE mine = NULL; /* a number that a child does not come to by itself */
	for (int i = 0; i < 64; i++)
		mine = CreateFileA("C:\\Temp\\m", GENERIC_WRITE, 7, NULL, OPEN_ALWAYS, 0, NULL);
	SAME(GetLastError(), ERROR_ALREADY_EXISTS);
	snprintf(args, sizeof args, "handle %llu", (unsigned long long)(ULONG_PTR)h);
	SAME(ended(start(args, NULL, TRUE, 0, NULL, NULL)), 7);
	SAME(ended(start(args, NULL, FALSE, 0, NULL, NULL)), ERROR_INVALID_HANDLE);
	SetFilePointer(h, 0, NULL, FILE_BEGIN);
	CHECK(ReadFile(h, buf, sizeof buf - 1, &n, NULL));
	TEXT_IS(buf, "inherited");
	snprintf(args, sizeof args, "handle %llu", (unsigned long long)(ULONG_PTR)mine);
	SAME(ended(start(args, NULL, TRUE, 0, NULL, NULL)), ERROR_INVALID_HANDLE);
	CloseHandle(h);
	CloseHandle(mine);
}

static void refused(void)
{
	STARTUPINFOA s = {.cb = sizeof s};
	PROCESS_INFORMATION p;
	char none[] = "nosuch.exe arg", text[] = "C:\\Temp\\text.exe";
	FAILS(CreateProcessA(NULL, none, NULL, NULL, 0, 0, NULL, NULL, &s, &p),
	      ERROR_FILE_NOT_FOUND);
	FAILS(CreateProcessA(own, none, NULL, NULL, 0, 0, NULL, "C:\\nosuch", &s, &p),
	      ERROR_DIRECTORY);
	FILE *f = fopen(text, "w");
	fputs("no program\n", f);
	fclose(f);
	FAILS(CreateProcessA(text, NULL, NULL, NULL, 0, 0, NULL, NULL, &s, &p),
	      ERROR_BAD_EXE_FORMAT);
}

/* ---- memory that both have (what one process does with mappings: mapping.c) ---- */

static void mapped_memory(void)
{
	HANDLE m = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 4096,
				      "Local\\shared memory");
	CHECK(m);
	SAME(GetLastError(), ERROR_SUCCESS);
	HANDLE again = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 4096,
					  "Local\\shared memory");
	CHECK(again);
	SAME(GetLastError(), ERROR_ALREADY_EXISTS);
	char *p = MapViewOfFile(m, FILE_MAP_ALL_ACCESS, 0, 0, 0);
	char *q = MapViewOfFile(again, FILE_MAP_READ, 0, 0, 0);
	CHECK(p && q && p != q);
	strcpy(p, "from the parent");
	TEXT_IS(q, "from the parent");
	SAME(ended(start("section \"Local\\shared memory\"", NULL, FALSE, 0, NULL, NULL)), 5);
	TEXT_IS(p, "from the child");
	CHECK(CloseHandle(m));
	CHECK(CloseHandle(again));
	TEXT_IS(q, "from the child");
	CHECK(UnmapViewOfFile(p));
	CHECK(UnmapViewOfFile(q));
	FAILS(OpenFileMappingA(FILE_MAP_READ, FALSE, "Local\\shared memory"), ERROR_FILE_NOT_FOUND);
}

int main(int argc, char **argv)
{
	GetModuleFileNameA(NULL, own, sizeof own);
	if (argc > 1)
		return as_child(argc, argv);
	codes();
	given();
	handles();
	refused();
	mapped_memory();
	SAME(ended(start("crash", NULL, FALSE, 0, NULL, NULL)), EXCEPTION_ACCESS_VIOLATION);
	return end();
}
