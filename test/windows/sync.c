/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, and what they wait for. */
#include "test.h"
#include <limits.h>
#include <process.h>

static volatile LONG count;
static CRITICAL_SECTION section;
static SRWLOCK srw = SRWLOCK_INIT;
static CONDITION_VARIABLE condition = CONDITION_VARIABLE_INIT;
static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static DWORD slot, fls;
static volatile LONG fls_ended;

static void events(void)
{
	HANDLE e = CreateEventA(NULL, FALSE, FALSE, NULL), m = CreateEventA(NULL, TRUE, TRUE, NULL);
	SAME(WaitForSingleObject(e, 0), WAIT_TIMEOUT);
	CHECK(SetEvent(e));
	SAME(WaitForSingleObject(e, 0), WAIT_OBJECT_0);
	SAME(WaitForSingleObject(e, 5), WAIT_TIMEOUT);
	SAME(WaitForSingleObject(m, 0), WAIT_OBJECT_0);
	SAME(WaitForSingleObject(m, 0), WAIT_OBJECT_0);
	CHECK(ResetEvent(m));
	SAME(WaitForSingleObject(m, 0), WAIT_TIMEOUT);
	HANDLE both[2] = {e, m};
	SetEvent(m);
	SAME(WaitForMultipleObjects(2, both, FALSE, 0), WAIT_OBJECT_0 + 1);
	SAME(WaitForMultipleObjects(2, both, TRUE, 0), WAIT_TIMEOUT);
	SetEvent(e);
	SAME(WaitForMultipleObjects(2, both, TRUE, 0), WAIT_OBJECT_0);
	SAME(WaitForSingleObject(e, 0), WAIT_TIMEOUT);
	HANDLE named = CreateEventA(NULL, TRUE, FALSE, "name");
	SAME(GetLastError(), 0);
	HANDLE again = CreateEventA(NULL, TRUE, FALSE, "name");
	SAME(GetLastError(), ERROR_ALREADY_EXISTS);
	SetEvent(named);
	SAME(WaitForSingleObject(again, 0), WAIT_OBJECT_0);
	HANDLE opened = OpenEventA(EVENT_ALL_ACCESS, FALSE, "name");
	CHECK(opened);
	CloseHandle(named);
	CloseHandle(again);
	CloseHandle(opened);
	FAILS(OpenEventA(EVENT_ALL_ACCESS, FALSE, "name"), ERROR_FILE_NOT_FOUND);
	CloseHandle(e);
	SAME(WaitForSingleObject(e, 0), WAIT_FAILED);
	SAME(GetLastError(), ERROR_INVALID_HANDLE);
	CloseHandle(m);
}

static unsigned __stdcall holder(void *mutex)
{
	WaitForSingleObject(mutex, INFINITE);
	return 7; /* and never lets go */
}

static void mutexes(void)
{
	HANDLE m = CreateMutexA(NULL, TRUE, NULL);
	SAME(WaitForSingleObject(m, 0), WAIT_OBJECT_0);
	CHECK(ReleaseMutex(m));
	CHECK(ReleaseMutex(m));
	FAILS(ReleaseMutex(m), ERROR_NOT_OWNER);
	HANDLE t = (HANDLE)_beginthreadex(NULL, 0, holder, m, 0, NULL);
	DWORD code = 0;
	SAME(WaitForSingleObject(t, 10000), WAIT_OBJECT_0);
	CHECK(GetExitCodeThread(t, &code));
	SAME(code, 7);
	SAME(WaitForSingleObject(m, 10000), WAIT_ABANDONED);
	CHECK(ReleaseMutex(m));
	CloseHandle(t);
	CloseHandle(m);
	LONG before = -1;
	HANDLE s = CreateSemaphoreA(NULL, 1, 3, NULL);
	SAME(WaitForSingleObject(s, 0), WAIT_OBJECT_0);
	SAME(WaitForSingleObject(s, 0), WAIT_TIMEOUT);
	CHECK(ReleaseSemaphore(s, 2, &before));
	SAME(before, 0);
	FAILS(ReleaseSemaphore(s, 2, NULL), ERROR_TOO_MANY_POSTS);
	CloseHandle(s);
	FAILS(CreateSemaphoreA(NULL, 4, 3, NULL), ERROR_INVALID_PARAMETER);
}

static DWORD WINAPI adder(void *unused)
{
	(void)unused;
	for (int i = 0; i < 2000; i++) {
		EnterCriticalSection(&section);
		count++;
		LeaveCriticalSection(&section);
		AcquireSRWLockExclusive(&srw);
		count++;
		ReleaseSRWLockExclusive(&srw);
		EnterCriticalSection(&section);
		AcquireSRWLockShared(&srw);
		ReleaseSRWLockShared(&srw);
		LeaveCriticalSection(&section);
	}
	return 0;
}

static void locks(void)
{
	HANDLE t[4];
	InitializeCriticalSection(&section);
	CHECK(TryEnterCriticalSection(&section));
	CHECK(TryEnterCriticalSection(&section));
	LeaveCriticalSection(&section);
	LeaveCriticalSection(&section);
	CHECK(TryAcquireSRWLockShared(&srw));
	CHECK(TryAcquireSRWLockShared(&srw));
	CHECK(!TryAcquireSRWLockExclusive(&srw));
	ReleaseSRWLockShared(&srw);
	ReleaseSRWLockShared(&srw);
	/* the two locks protect the same counter only one after the other: the sum is a bound */
	for (int i = 0; i < 4; i++)
		CHECK(t[i] = CreateThread(NULL, 0, adder, NULL, 0, NULL));
	SAME(WaitForMultipleObjects(4, t, TRUE, 60000), WAIT_OBJECT_0);
	CHECK(count > 0 && count <= 16000);
	for (int i = 0; i < 4; i++)
		CHECK(CloseHandle(t[i]));
}

static DWORD WINAPI waker(void *unused)
{
	(void)unused;
	Sleep(10);
	AcquireSRWLockExclusive(&srw);
	count = 42;
	ReleaseSRWLockExclusive(&srw);
	WakeAllConditionVariable(&condition);
	return 3;
}

static BOOL CALLBACK first(INIT_ONCE *o, void *arg, void **context)
{
	(void)o;
	++*(int *)arg;
	*context = (void *)0x40;
	return TRUE;
}

static void waits(void)
{
	int times = 0;
	void *context = NULL;
	count = 0;
	AcquireSRWLockExclusive(&srw);
	CHECK(!SleepConditionVariableSRW(&condition, &srw, 5, 0));
	SAME(GetLastError(), ERROR_TIMEOUT);
	HANDLE t = CreateThread(NULL, 0, waker, NULL, 0, NULL);
	while (count != 42)
		CHECK(SleepConditionVariableSRW(&condition, &srw, 60000, 0));
	ReleaseSRWLockExclusive(&srw);
	SAME(WaitForSingleObject(t, 60000), WAIT_OBJECT_0);
	CloseHandle(t);
	CHECK(InitOnceExecuteOnce(&once, first, &times, &context));
	CHECK(InitOnceExecuteOnce(&once, first, &times, &context));
	SAME(times, 1);
	SAME(context, 0x40);
	HANDLE timer = CreateWaitableTimerA(NULL, FALSE, NULL);
	LARGE_INTEGER due = {.QuadPart = -50000};
	DWORD start = GetTickCount();
	CHECK(SetWaitableTimer(timer, &due, 0, NULL, NULL, FALSE));
	SAME(WaitForSingleObject(timer, 60000), WAIT_OBJECT_0);
	CHECK(GetTickCount() - start >= 4);
	SAME(WaitForSingleObject(timer, 0), WAIT_TIMEOUT);
	CloseHandle(timer);
}

static void NTAPI fls_end(void *v)
{
	if (v == (void *)5)
		InterlockedIncrement(&fls_ended);
}

static DWORD WINAPI slots_thread(void *unused)
{
	(void)unused;
	SAME(TlsGetValue(slot), 0);
	TlsSetValue(slot, (void *)2);
	FlsSetValue(fls, (void *)5);
	SAME(TlsGetValue(slot), 2);
	return GetCurrentThreadId();
}

static __thread int own = 11;
static DWORD WINAPI own_thread(void *unused)
{
	(void)unused;
	own++;
	return (DWORD)own;
}

static void slots(void)
{
	DWORD code, id;
	CHECK((slot = TlsAlloc()) != TLS_OUT_OF_INDEXES);
	CHECK((fls = FlsAlloc(fls_end)) != FLS_OUT_OF_INDEXES);
	TlsSetValue(slot, (void *)1);
	HANDLE t = CreateThread(NULL, 0, slots_thread, NULL, CREATE_SUSPENDED, &id);
	SAME(WaitForSingleObject(t, 5), WAIT_TIMEOUT);
	SAME(ResumeThread(t), 1);
	SAME(WaitForSingleObject(t, 60000), WAIT_OBJECT_0);
	CHECK(GetExitCodeThread(t, &code));
	SAME(code, id);
	SAME(fls_ended, 1);
	SAME(TlsGetValue(slot), 1);
	CHECK(TlsFree(slot));
	CloseHandle(t);
	own = 20;
	t = CreateThread(NULL, 0, own_thread, NULL, 0, NULL);
	WaitForSingleObject(t, 60000);
	GetExitCodeThread(t, &code);
	SAME(code, 12);
	SAME(own, 20);
	CloseHandle(t);
}

static volatile LONG spinning;
static DWORD WINAPI spinner(void *unused)
{
	(void)unused;
	while (spinning >= 0)
		spinning++;
	return 0;
}

static void suspending(void)
{
	HANDLE t = CreateThread(NULL, 0, spinner, NULL, 0, NULL);
	CONTEXT c = {.ContextFlags = CONTEXT_FULL};
	while (!spinning)
		Sleep(1);
	SAME(SuspendThread(t), 0);
	LONG at = spinning;
	Sleep(10);
	SAME(spinning, at);
	CHECK(GetThreadContext(t, &c));
	CHECK(c.Rip >= (DWORD64)(uintptr_t)spinner && c.Rip < (DWORD64)(uintptr_t)spinner + 256);
	SAME(SuspendThread(t), 1);
	SAME(ResumeThread(t), 2);
	SAME(spinning, at);
	CHECK(SetThreadContext(t, &c));
	SAME(ResumeThread(t), 1);
	for (int i = 0; spinning == at && i < 10000; i++)
		Sleep(1);
	CHECK(spinning != at);
	InterlockedExchange(&spinning, -1000000000);
	SAME(WaitForSingleObject(t, 60000), WAIT_OBJECT_0);
	CloseHandle(t);
}

static VOID CALLBACK apc(ULONG_PTR v) { count = (LONG)v; }

static void ports(void)
{
	DWORD n;
	ULONG_PTR key;
	OVERLAPPED *o;
	HANDLE p = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
	CHECK(p);
	CHECK(!GetQueuedCompletionStatus(p, &n, &key, &o, 1));
	SAME(GetLastError(), WAIT_TIMEOUT);
	CHECK(PostQueuedCompletionStatus(p, 3, 4, (OVERLAPPED *)5));
	CHECK(GetQueuedCompletionStatus(p, &n, &key, &o, 1000));
	SAME(n, 3);
	SAME(key, 4);
	SAME(o, 5);
	CloseHandle(p);
	CHECK(QueueUserAPC(apc, GetCurrentThread(), 77));
	SAME(SleepEx(10000, TRUE), WAIT_IO_COMPLETION);
	SAME(count, 77);
	SAME(SleepEx(0, TRUE), 0);
}

static DWORD WINAPI set_soon(void *event)
{
	Sleep(20);
	return SetEvent(event);
}

/* The longest time that ntdll knows is no time at all for those that negate it. */
static void forever(void)
{
	typedef LONG NTAPI wait_fn(HANDLE, BOOLEAN, LARGE_INTEGER *);
	wait_fn *wait = (wait_fn *)(void *)GetProcAddress(GetModuleHandleA("ntdll"),
							  "NtWaitForSingleObject");
	LARGE_INTEGER longest = {.QuadPart = LLONG_MIN}, none = {.QuadPart = 0};
	HANDLE e = CreateEventA(NULL, FALSE, FALSE, NULL);
	HANDLE t = CreateThread(NULL, 0, set_soon, e, 0, NULL);
	SAME(wait(e, FALSE, &longest), 0);
	SAME(wait(e, FALSE, &none), 0x102);
	SAME(WaitForSingleObject(t, 5000), 0);
	CloseHandle(t);
	CloseHandle(e);
}

int main(void)
{
	events();
	mutexes();
	locks();
	waits();
	slots();
	suspending();
	ports();
	forever();
	return end();
}
