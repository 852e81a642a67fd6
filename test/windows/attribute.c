/* SPDX-License-Identifier: Apache-2.0 */
/* Which handles a child inherits, by attributes of its start; what is asked about processes; one
 * object signaled and another waited for. */
#define _WIN32_WINNT 0x0a00
#include "test.h"
#include <psapi.h>
#include <stdlib.h>

#ifndef ERROR_OBJECT_NAME_EXISTS
#define ERROR_OBJECT_NAME_EXISTS 698
#endif

/* Which of the handles that are named are files here: a bit each. */
static int child(int n, char **text)
{
	int there = 0;
	for (int i = 0; i < n; i++) {
		HANDLE h = (HANDLE)(ULONG_PTR)strtoull(text[i], NULL, 16);
		there |= (GetFileType(h) == FILE_TYPE_PIPE) << i;
	}
	return 64 + there;
}

static int inherited_by(const char *self, HANDLE *all, LPPROC_THREAD_ATTRIBUTE_LIST list, BOOL any)
{
	STARTUPINFOEXA how = {.StartupInfo.cb = list ? sizeof how : sizeof how.StartupInfo,
			      .lpAttributeList = list};
	PROCESS_INFORMATION p;
	DWORD code = 0;
	char line[400];
	snprintf(line, sizeof line, "\"%s\" %p %p %p", self, all[0], all[1], all[2]);
	CHECK(CreateProcessA(NULL, line, NULL, NULL, any,
			     list ? EXTENDED_STARTUPINFO_PRESENT : 0, NULL, NULL,
			     &how.StartupInfo, &p));
	SAME(WaitForSingleObject(p.hProcess, 20000), WAIT_OBJECT_0);
	GetExitCodeProcess(p.hProcess, &code);
	CHECK(CloseHandle(p.hProcess) && CloseHandle(p.hThread));
	return code - 64;
}

static void attributes(const char *self)
{
	SECURITY_ATTRIBUTES sec = {sizeof sec, NULL, TRUE};
	HANDLE all[3], w[3];
	SIZE_T size = 0;
	for (int i = 0; i < 3; i++)
		CHECK(CreatePipe(&all[i], &w[i], &sec, 0));
	FAILS(InitializeProcThreadAttributeList(NULL, 1, 0, &size), ERROR_INSUFFICIENT_BUFFER);
	CHECK(size > 0 && size < 1000);
	LPPROC_THREAD_ATTRIBUTE_LIST list = malloc(size);
	CHECK(InitializeProcThreadAttributeList(list, 1, 0, &size));
	SAME(inherited_by(self, all, list, TRUE), 7); /* nothing is said of them */
	CHECK(UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, all + 1,
					sizeof *all, NULL, NULL));
	SAME(inherited_by(self, all, list, TRUE), 2);
	FAILS(UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, all,
					sizeof *all, NULL, NULL),
	      ERROR_GEN_FAILURE);
	DeleteProcThreadAttributeList(list);
	FAILS(InitializeProcThreadAttributeList(NULL, 2, 0, &size), ERROR_INSUFFICIENT_BUFFER);
	CHECK(InitializeProcThreadAttributeList(list = realloc(list, size), 2, 0, &size));
	CHECK(UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, all,
					2 * sizeof *all, NULL, NULL));
	FAILS(UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, all,
					sizeof *all, NULL, NULL),
	      ERROR_OBJECT_NAME_EXISTS);
	SAME(inherited_by(self, all, list, TRUE), 3);
	DeleteProcThreadAttributeList(list);
	SAME(inherited_by(self, all, NULL, TRUE), 7);
	SAME(inherited_by(self, all, NULL, FALSE), 0);
	for (int i = 0; i < 3; i++)
		CHECK(CloseHandle(all[i]) && CloseHandle(w[i]));
	free(list);
}

static void itself(void)
{
	char path[300], name[300];
	wchar_t wide[300];
	DWORD n = sizeof path, n2;
	BOOL wow = TRUE;
	MODULEINFO m;
	HANDLE me = GetCurrentProcess();
	HMODULE all[100];
	GetModuleFileNameA(NULL, name, sizeof name);
	CHECK(QueryFullProcessImageNameA(me, 0, path, &n));
	TEXT_IS(path, name);
	SAME(n, strlen(name));
	n = 300;
	CHECK(QueryFullProcessImageNameW(me, 0, wide, &n));
	TEXT_IS(narrow(wide), name);
	n = 3;
	FAILS(QueryFullProcessImageNameA(me, 0, path, &n), ERROR_INSUFFICIENT_BUFFER);
	CHECK(IsWow64Process(me, &wow));
	SAME(wow, FALSE);
	CHECK(K32EnumProcessModulesEx(me, all, sizeof all, &n2, 3));
	CHECK(n2 >= 2 * sizeof *all);
	CHECK(all[0] == GetModuleHandleA(NULL));
	CHECK(K32GetModuleInformation(me, all[0], &m, sizeof m));
	CHECK(m.lpBaseOfDll == all[0]);
	CHECK((char *)itself > (char *)m.lpBaseOfDll &&
	      (char *)itself < (char *)m.lpBaseOfDll + m.SizeOfImage);
	CHECK(K32GetModuleBaseNameA(me, all[0], path, sizeof path) > 0);
	TEXT_IS(path, strrchr(name, '\\') + 1);
	SAME(GetProcessIdOfThread(GetCurrentThread()), GetCurrentProcessId());
}

static DWORD WINAPI answers(void *arg)
{
	HANDLE *h = arg;
	WaitForSingleObject(h[0], INFINITE);
	SetEvent(h[1]);
	return 0;
}

static void signaling(void)
{
	HANDLE h[2] = {CreateEventA(NULL, 0, 0, NULL), CreateEventA(NULL, 0, 0, NULL)};
	HANDLE m = CreateMutexA(NULL, TRUE, NULL), s = CreateSemaphoreA(NULL, 0, 1, NULL);
	HANDLE t = CreateThread(NULL, 0, answers, h, 0, NULL);
	SAME(SignalObjectAndWait(h[0], h[1], 5000, FALSE), WAIT_OBJECT_0);
	SAME(SignalObjectAndWait(m, t, 5000, FALSE), WAIT_OBJECT_0);
	FAILS(ReleaseMutex(m), ERROR_NOT_OWNER);
	SAME(SignalObjectAndWait(s, h[1], 10, FALSE), WAIT_TIMEOUT);
	FAILS(SignalObjectAndWait(s, h[1], 0, FALSE) != WAIT_FAILED, ERROR_TOO_MANY_POSTS);
	SAME(WaitForSingleObject(s, 0), WAIT_OBJECT_0);
	FAILS(SignalObjectAndWait(t, h[1], 0, FALSE) != WAIT_FAILED, ERROR_INVALID_HANDLE);
	CHECK(CloseHandle(h[0]) && CloseHandle(h[1]) && CloseHandle(m) && CloseHandle(s) &&
	      CloseHandle(t));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return child(argc - 1, argv + 1);
	attributes(argv[0]);
	itself();
	signaling();
	return end();
}
