/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: processes that are counted, limited and ended together. Started with arguments, it is what
 * is put into them. */
#include "test.h"
#include <stdlib.h>

static char own[MAX_PATH];

/* A child with @args; no process: it was not started. */
static PROCESS_INFORMATION start(const char *args, DWORD flags)
{
	PROCESS_INFORMATION p = {0};
	STARTUPINFOA how = {.cb = sizeof how};
	char line[1000];
	snprintf(line, sizeof line, "\"%s\" %s", own, args);
	if (!CreateProcessA(NULL, line, NULL, NULL, FALSE, flags, NULL, NULL, &how, &p))
		p.hProcess = NULL;
	return p;
}

static DWORD ended(PROCESS_INFORMATION p)
{
	DWORD code = 1000;
	if (!p.hProcess)
		return code;
	if (WaitForSingleObject(p.hProcess, 20000) == WAIT_OBJECT_0)
		GetExitCodeProcess(p.hProcess, &code);
	CloseHandle(p.hProcess);
	CloseHandle(p.hThread);
	return code;
}

/* ---- the child's side ---- */

static int as_child(char **argv)
{
	BOOL in = FALSE;
	if (!strcmp(argv[1], "code"))
		return atoi(argv[2]);
	if (!strcmp(argv[1], "forever"))
		Sleep(INFINITE);
	if (!strcmp(argv[1], "in"))
		return IsProcessInJob(GetCurrentProcess(), NULL, &in) ? in : 9;
	if (!strcmp(argv[1], "start")) {
		PROCESS_INFORMATION p = start("code 5", 0);
		return p.hProcess ? (int)ended(p) : (int)GetLastError();
	}
	if (!strcmp(argv[1], "inside"))
		return (int)ended(start("in", (DWORD)atoi(argv[2])));
	if (!strcmp(argv[1], "tree")) {
		start("forever", 0);
		Sleep(INFINITE);
	}
	if (!strcmp(argv[1], "memory")) {
		char *small = VirtualAlloc(NULL, 8 << 20, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
		char *big = VirtualAlloc(NULL, 400 << 20, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
		char *only = VirtualAlloc(NULL, 400 << 20, MEM_RESERVE, PAGE_READWRITE);
		return (small != NULL) | (big != NULL) << 1 | (only != NULL) << 2;
	}
	if (!strcmp(argv[1], "burn"))
		for (DWORD from = GetTickCount(); GetTickCount() - from < 4000;)
			continue;
	if (!strcmp(argv[1], "spin"))
		for (DWORD from = GetTickCount(); GetTickCount() - from < 100;)
			continue;
	return 0;
}

/* ---- the parent's ---- */

static PROCESS_INFORMATION started_in(HANDLE job, const char *args)
{
	PROCESS_INFORMATION p = start(args, CREATE_SUSPENDED);
	CHECK(p.hProcess);
	CHECK(AssignProcessToJobObject(job, p.hProcess));
	SAME(ResumeThread(p.hThread), 1);
	return p;
}

static JOBOBJECT_BASIC_ACCOUNTING_INFORMATION accounts(HANDLE job)
{
	JOBOBJECT_BASIC_ACCOUNTING_INFORMATION a = {0};
	DWORD n = 0;
	CHECK(
	    QueryInformationJobObject(job, JobObjectBasicAccountingInformation, &a, sizeof a, &n));
	SAME(n, sizeof a);
	return a;
}

static void limit(HANDLE job, DWORD flags, DWORD active, SIZE_T memory)
{
	JOBOBJECT_EXTENDED_LIMIT_INFORMATION x = {0};
	x.BasicLimitInformation.LimitFlags = flags;
	x.BasicLimitInformation.ActiveProcessLimit = active;
	x.ProcessMemoryLimit = memory;
	CHECK(SetInformationJobObject(job, JobObjectExtendedLimitInformation, &x, sizeof x));
}

static void counted(void)
{
	BOOL in = TRUE;
	HANDLE job = CreateJobObjectA(NULL, NULL), other = CreateJobObjectA(NULL, NULL);
	CHECK(job && other);
	CHECK(IsProcessInJob(GetCurrentProcess(), job, &in));
	SAME(in, FALSE);
	SAME(accounts(job).TotalProcesses, 0);
	PROCESS_INFORMATION p = started_in(job, "forever"), q = started_in(job, "code 3");
	CHECK(IsProcessInJob(p.hProcess, job, &in));
	SAME(in, TRUE);
	CHECK(IsProcessInJob(p.hProcess, NULL, &in));
	SAME(in, TRUE);
	CHECK(IsProcessInJob(p.hProcess, other, &in));
	SAME(in, FALSE);
	SAME(ended(q), 3);
	SAME(accounts(job).TotalProcesses, 2);
	SAME(accounts(job).ActiveProcesses, 1);
	struct {
		DWORD all, n;
		ULONG_PTR ids[4];
	} ids = {0};
	CHECK(QueryInformationJobObject(job, JobObjectBasicProcessIdList, &ids, sizeof ids, NULL));
	SAME(ids.all, 1);
	SAME(ids.n, 1);
	SAME(ids.ids[0], p.dwProcessId);
	CHECK(TerminateJobObject(job, 77));
	SAME(ended(p), 77);
	SAME(accounts(job).ActiveProcesses, 0);
	SAME(accounts(job).TotalTerminatedProcesses, 0);
	CHECK(TerminateJobObject(job, 1));
	CHECK(CloseHandle(job));
	CHECK(CloseHandle(other));
}

static void used(void)
{
	HANDLE job = CreateJobObjectA(NULL, NULL);
	SAME(ended(started_in(job, "spin")), 0);
	JOBOBJECT_BASIC_ACCOUNTING_INFORMATION a = accounts(job);
	CHECK(a.TotalUserTime.QuadPart + a.TotalKernelTime.QuadPart > 0);
	CHECK(a.TotalUserTime.QuadPart + a.TotalKernelTime.QuadPart < 600000000);
	SAME(a.ThisPeriodTotalUserTime.QuadPart, a.TotalUserTime.QuadPart);
	CHECK(CloseHandle(job));
}

static void inside(void)
{
	HANDLE job = CreateJobObjectA(NULL, NULL);
	SAME(ended(start("in", 0)), 0);
	SAME(ended(started_in(job, "in")), 1);
	SAME(ended(started_in(job, "inside 0")), 1);
	SAME(accounts(job).TotalProcesses, 3);
	SAME(accounts(job).ActiveProcesses, 0);
	PROCESS_INFORMATION p = started_in(job, "tree");
	JOBOBJECT_BASIC_ACCOUNTING_INFORMATION a = {0};
	for (int i = 0; i < 500 && a.ActiveProcesses < 2; i++, Sleep(20))
		QueryInformationJobObject(job, JobObjectBasicAccountingInformation, &a, sizeof a,
					  NULL);
	SAME(a.ActiveProcesses, 2);
	CHECK(TerminateJobObject(job, 4));
	SAME(ended(p), 4);
	SAME(accounts(job).ActiveProcesses, 0);
	CHECK(CloseHandle(job));
}

static void limited(void)
{
	HANDLE job = CreateJobObjectA(NULL, NULL);
	limit(job, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, 1, 0);
	JOBOBJECT_BASIC_LIMIT_INFORMATION l = {0};
	CHECK(QueryInformationJobObject(job, JobObjectBasicLimitInformation, &l, sizeof l, NULL));
	SAME(l.LimitFlags, JOB_OBJECT_LIMIT_ACTIVE_PROCESS);
	SAME(l.ActiveProcessLimit, 1);
	IS("a second process", ended(started_in(job, "start")), ERROR_NOT_ENOUGH_QUOTA);
	PROCESS_INFORMATION p = started_in(job, "forever"), q = start("forever", CREATE_SUSPENDED);
	CHECK(q.hProcess);
	FAILS(AssignProcessToJobObject(job, q.hProcess), ERROR_NOT_ENOUGH_QUOTA);
	TerminateProcess(q.hProcess, 1);
	ended(q);
	limit(job, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, 3, 0);
	SAME(ended(started_in(job, "start")), 5);
	CHECK(TerminateJobObject(job, 2));
	SAME(ended(p), 2);
	CHECK(CloseHandle(job));
	job = CreateJobObjectA(NULL, NULL);
	SAME(ended(started_in(job, "memory")), 7);
	limit(job, JOB_OBJECT_LIMIT_PROCESS_MEMORY, 0, 100 << 20);
	IS("memory under a limit", ended(started_in(job, "memory")), 5);
	CHECK(CloseHandle(job));
}

static void left(void)
{
	HANDLE job = CreateJobObjectA(NULL, NULL);
	SAME(ended(started_in(job, "inside 16777216")), 1000); /* not allowed */
	limit(job, JOB_OBJECT_LIMIT_BREAKAWAY_OK, 0, 0);
	SAME(ended(started_in(job, "inside 16777216")), 0);
	SAME(ended(started_in(job, "inside 0")), 1);
	limit(job, JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK, 0, 0);
	SAME(ended(started_in(job, "inside 0")), 0);
	CHECK(CloseHandle(job));
}

static void closed(void)
{
	HANDLE job = CreateJobObjectA(NULL, NULL);
	limit(job, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, 0, 0);
	PROCESS_INFORMATION p = started_in(job, "forever");
	SAME(WaitForSingleObject(p.hProcess, 50), WAIT_TIMEOUT);
	CHECK(CloseHandle(job));
	SAME(WaitForSingleObject(p.hProcess, 10000), WAIT_OBJECT_0);
	ended(p);
	job = CreateJobObjectA(NULL, NULL);
	p = started_in(job, "code 6");
	CHECK(CloseHandle(job));
	SAME(ended(p), 6);
}

/* Time that it spends in itself, not what passes. */
static void timed(void)
{
	HANDLE job = CreateJobObjectA(NULL, NULL);
	JOBOBJECT_BASIC_LIMIT_INFORMATION b = {.LimitFlags = JOB_OBJECT_LIMIT_PROCESS_TIME}, is;
	FAILS(SetInformationJobObject(job, JobObjectBasicLimitInformation, &b, sizeof b),
	      ERROR_INVALID_PARAMETER);
	b.PerProcessUserTimeLimit.QuadPart = 3000000;
	CHECK(SetInformationJobObject(job, JobObjectBasicLimitInformation, &b, sizeof b));
	CHECK(QueryInformationJobObject(job, JobObjectBasicLimitInformation, &is, sizeof is, NULL));
	SAME(is.LimitFlags, JOB_OBJECT_LIMIT_PROCESS_TIME);
	SAME(is.PerProcessUserTimeLimit.QuadPart, 3000000);
	SAME(ended(started_in(job, "spin")), 0);
	SAME(ended(started_in(job, "burn")), ERROR_NOT_ENOUGH_QUOTA);
	CHECK(CloseHandle(job));
}

static void told(void)
{
	DWORD what = 0;
	ULONG_PTR key = 0;
	OVERLAPPED *who = NULL;
	HANDLE job = CreateJobObjectA(NULL, NULL);
	JOBOBJECT_ASSOCIATE_COMPLETION_PORT to = {(void *)55, NULL};
	to.CompletionPort = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
	CHECK(SetInformationJobObject(job, JobObjectAssociateCompletionPortInformation, &to,
				      sizeof to));
	PROCESS_INFORMATION p = started_in(job, "code 1");
	CHECK(GetQueuedCompletionStatus(to.CompletionPort, &what, &key, &who, 5000));
	SAME(what, JOB_OBJECT_MSG_NEW_PROCESS);
	SAME(key, 55);
	SAME((ULONG_PTR)who, p.dwProcessId);
	CHECK(GetQueuedCompletionStatus(to.CompletionPort, &what, &key, &who, 20000));
	SAME(what, JOB_OBJECT_MSG_EXIT_PROCESS);
	SAME((ULONG_PTR)who, p.dwProcessId);
	CHECK(GetQueuedCompletionStatus(to.CompletionPort, &what, &key, &who, 5000));
	SAME(what, JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO);
	SAME(ended(p), 1);
	CHECK(CloseHandle(job));
	CHECK(CloseHandle(to.CompletionPort));
}

static void named(void)
{
	HANDLE job = CreateJobObjectA(NULL, "a job");
	SAME(GetLastError(), ERROR_SUCCESS);
	HANDLE again = CreateJobObjectA(NULL, "a job");
	CHECK(again);
	SAME(GetLastError(), ERROR_ALREADY_EXISTS);
	HANDLE open = OpenJobObjectA(JOB_OBJECT_ALL_ACCESS, FALSE, "a job");
	CHECK(open);
	FAILS(OpenJobObjectA(JOB_OBJECT_ALL_ACCESS, FALSE, "no job"), ERROR_FILE_NOT_FOUND);
	SAME(ended(started_in(open, "code 2")), 2);
	SAME(accounts(job).TotalProcesses, 1);
	CHECK(CloseHandle(job));
	CHECK(CloseHandle(again));
	CHECK(CloseHandle(open));
}

static void refused(void)
{
	HANDLE job = CreateJobObjectA(NULL, NULL);
	char buf[8];
	DWORD ui = 0;
	JOBOBJECT_EXTENDED_LIMIT_INFORMATION x = {0};
	FAILS(QueryInformationJobObject(job, JobObjectBasicAccountingInformation, buf, sizeof buf,
					NULL),
	      ERROR_BAD_LENGTH);
	FAILS(SetInformationJobObject(job, JobObjectExtendedLimitInformation, &x, 8),
	      ERROR_BAD_LENGTH);
	x.BasicLimitInformation.LimitFlags = 0x80000000;
	FAILS(SetInformationJobObject(job, JobObjectExtendedLimitInformation, &x, sizeof x),
	      ERROR_INVALID_PARAMETER);
	CHECK(SetInformationJobObject(job, JobObjectBasicUIRestrictions, &ui, sizeof ui));
	FAILS(AssignProcessToJobObject(job, NULL), ERROR_INVALID_HANDLE);
	FAILS(AssignProcessToJobObject(NULL, GetCurrentProcess()), ERROR_INVALID_HANDLE);
	CHECK(CloseHandle(job));
	FAILS(TerminateJobObject(job, 1), ERROR_INVALID_HANDLE);
}

/* Last, for it stays there. */
static void itself(void)
{
	BOOL in = FALSE;
	HANDLE job = CreateJobObjectA(NULL, NULL), inner = CreateJobObjectA(NULL, NULL);
	CHECK(AssignProcessToJobObject(job, GetCurrentProcess()));
	CHECK(IsProcessInJob(GetCurrentProcess(), job, &in));
	SAME(in, TRUE);
	SAME(ended(start("in", 0)), 1);
	SAME(accounts(job).TotalProcesses, 2);
	SAME(accounts(NULL).ActiveProcesses, 1);
	PROCESS_INFORMATION p = started_in(inner, "forever");
	SAME(accounts(inner).TotalProcesses, 1);
	SAME(accounts(job).ActiveProcesses, 2);
	CHECK(IsProcessInJob(p.hProcess, job, &in));
	SAME(in, TRUE);
	CHECK(IsProcessInJob(GetCurrentProcess(), inner, &in));
	SAME(in, FALSE);
	CHECK(TerminateJobObject(inner, 3));
	SAME(ended(p), 3);
	SAME(accounts(job).ActiveProcesses, 1);
}

int main(int argc, char **argv)
{
	GetModuleFileNameA(NULL, own, sizeof own);
	if (argc > 1)
		return as_child(argv);
	counted();
	used();
	inside();
	limited();
	left();
	closed();
	timed();
	told();
	named();
	refused();
	itself();
	return end();
}
