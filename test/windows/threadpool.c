/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of thread pools: work, timers, waits, I/O, groups, pools of one thread; timer queues. */
#define _WIN32_WINNT 0x0a00
#include "test.h"

static LONG calls, at_once, most;
static DWORD caller;
static void *context;

static void busy(int ms)
{
	LONG n = InterlockedIncrement(&at_once), m;
	while ((m = most) < n && InterlockedCompareExchange(&most, n, m) != m)
		continue;
	Sleep(ms);
	InterlockedDecrement(&at_once);
	InterlockedIncrement(&calls);
}

static void begin(void) { calls = most = at_once = 0; }

static void CALLBACK work(TP_CALLBACK_INSTANCE *i, void *arg, TP_WORK *w)
{
	caller = GetCurrentThreadId();
	context = arg;
	busy(arg ? 30 : 0);
}

static void works(void)
{
	int x;
	begin();
	TP_WORK *w = CreateThreadpoolWork(work, &x, NULL);
	CHECK(w != NULL);
	WaitForThreadpoolWorkCallbacks(w, FALSE); /* of none */
	for (int i = 0; i < 5; i++)
		SubmitThreadpoolWork(w);
	WaitForThreadpoolWorkCallbacks(w, FALSE);
	SAME(calls, 5);
	CHECK(most > 1); /* several threads */
	CHECK(context == &x);
	CHECK(caller && caller != GetCurrentThreadId());
	CloseThreadpoolWork(w);
	begin();
	w = CreateThreadpoolWork(work, NULL, NULL);
	for (int i = 0; i < 10000; i++)
		SubmitThreadpoolWork(w);
	WaitForThreadpoolWorkCallbacks(w, FALSE);
	SAME(calls, 10000);
	CloseThreadpoolWork(w);
}

static void CALLBACK longer(TP_CALLBACK_INSTANCE *i, void *arg, TP_WORK *w) { busy(300); }

/* A pool of one thread: one after the other, and those that have not begun can be called off. */
static void pools(void)
{
	TP_CALLBACK_ENVIRON env;
	int x;
	begin();
	InitializeThreadpoolEnvironment(&env);
	TP_POOL *p = CreateThreadpool(NULL);
	CHECK(p != NULL);
	SetThreadpoolThreadMaximum(p, 1);
	CHECK(SetThreadpoolThreadMinimum(p, 1));
	SetThreadpoolCallbackPool(&env, p);
	TP_WORK *w = CreateThreadpoolWork(work, &x, &env);
	for (int i = 0; i < 6; i++)
		SubmitThreadpoolWork(w);
	WaitForThreadpoolWorkCallbacks(w, FALSE);
	SAME(calls, 6);
	SAME(most, 1);
	begin();
	for (int i = 0; i < 6; i++)
		SubmitThreadpoolWork(w);
	while (!at_once)
		Sleep(1);
	WaitForThreadpoolWorkCallbacks(w, TRUE);
	SAME(at_once, 0);
	CHECK(calls >= 1 && calls < 6);
	CloseThreadpoolWork(w);
	CloseThreadpool(p);
}

static HANDLE event, mutex, semaphore;
static CRITICAL_SECTION section;
static void CALLBACK simple(TP_CALLBACK_INSTANCE *i, void *arg)
{
	EnterCriticalSection(&section);
	LeaveCriticalSectionWhenCallbackReturns(i, &section);
	WaitForSingleObject(mutex, INFINITE);
	ReleaseMutexWhenCallbackReturns(i, mutex);
	ReleaseSemaphoreWhenCallbackReturns(i, semaphore, 3);
	SetEventWhenCallbackReturns(i, event);
	CHECK(CallbackMayRunLong(i));
	busy(20);
}

static void simples(void)
{
	begin();
	InitializeCriticalSection(&section);
	event = CreateEventA(NULL, TRUE, FALSE, NULL);
	mutex = CreateMutexA(NULL, FALSE, NULL);
	semaphore = CreateSemaphoreA(NULL, 0, 10, NULL);
	CHECK(TrySubmitThreadpoolCallback(simple, NULL, NULL));
	SAME(WaitForSingleObject(event, 5000), WAIT_OBJECT_0);
	SAME(calls, 1);
	SAME(WaitForSingleObject(mutex, 5000), WAIT_OBJECT_0);
	CHECK(TryEnterCriticalSection(&section));
	for (int i = 0; i < 3; i++)
		SAME(WaitForSingleObject(semaphore, 5000), WAIT_OBJECT_0);
	SAME(WaitForSingleObject(semaphore, 0), WAIT_TIMEOUT);
	LeaveCriticalSection(&section);
	DeleteCriticalSection(&section);
	CHECK(CloseHandle(event) && CloseHandle(mutex) && CloseHandle(semaphore));
}

static void CALLBACK timer(TP_CALLBACK_INSTANCE *i, void *arg, TP_TIMER *t)
{
	context = arg;
	busy(0);
}

static FILETIME in_ms(int ms)
{
	LARGE_INTEGER at = {.QuadPart = -10000LL * ms};
	FILETIME f = {at.LowPart, at.HighPart};
	return f;
}

static void timers(void)
{
	int x;
	begin();
	FILETIME soon = in_ms(20), late = in_ms(60000), now = in_ms(0);
	TP_TIMER *t = CreateThreadpoolTimer(timer, &x, NULL);
	CHECK(t != NULL);
	CHECK(!IsThreadpoolTimerSet(t));
	SetThreadpoolTimer(t, &soon, 0, 0);
	CHECK(IsThreadpoolTimerSet(t));
	SAME(calls, 0);
	Sleep(300);
	SAME(calls, 1);
	CHECK(context == &x);
	SetThreadpoolTimer(t, &late, 0, 0);
	SetThreadpoolTimer(t, &now, 0, 0);
	Sleep(200);
	SAME(calls, 2);
	SetThreadpoolTimer(t, &soon, 20, 0); /* again and again */
	Sleep(500);
	SetThreadpoolTimer(t, NULL, 0, 0);
	CHECK(!IsThreadpoolTimerSet(t));
	WaitForThreadpoolTimerCallbacks(t, TRUE);
	LONG so_far = calls;
	CHECK(so_far >= 5 && so_far < 60);
	Sleep(100);
	SAME(calls, so_far);
	CloseThreadpoolTimer(t);
}

static TP_WAIT_RESULT result;
static void CALLBACK waited(TP_CALLBACK_INSTANCE *i, void *arg, TP_WAIT *w, TP_WAIT_RESULT r)
{
	result = r;
	busy(0);
	if (arg) /* it is set for one call */
		SetThreadpoolWait(w, event, NULL);
}

static void waits(void)
{
	begin();
	event = CreateEventA(NULL, FALSE, FALSE, NULL);
	TP_WAIT *w = CreateThreadpoolWait(waited, NULL, NULL);
	CHECK(w != NULL);
	SetThreadpoolWait(w, event, NULL);
	Sleep(50);
	SAME(calls, 0);
	SetEvent(event);
	Sleep(200);
	SAME(calls, 1);
	SAME(result, WAIT_OBJECT_0);
	SetEvent(event);
	Sleep(50);
	SAME(calls, 1);
	SAME(WaitForSingleObject(event, 0), WAIT_OBJECT_0); /* nobody waits for it any more */
	FILETIME soon = in_ms(20);
	SetThreadpoolWait(w, event, &soon);
	Sleep(200);
	SAME(calls, 2);
	SAME(result, WAIT_TIMEOUT);
	SetThreadpoolWait(w, event, NULL);
	SetThreadpoolWait(w, NULL, NULL);
	SetEvent(event);
	Sleep(50);
	SAME(calls, 2);
	WaitForThreadpoolWaitCallbacks(w, TRUE);
	CloseThreadpoolWait(w);
	ResetEvent(event);
	w = CreateThreadpoolWait(waited, event, NULL);
	SetThreadpoolWait(w, event, NULL);
	for (int i = 0; i < 5; i++) {
		SetEvent(event);
		Sleep(60);
	}
	SAME(calls, 7);
	SetThreadpoolWait(w, NULL, NULL);
	WaitForThreadpoolWaitCallbacks(w, TRUE);
	CloseThreadpoolWait(w);
	CHECK(CloseHandle(event));
}

/* Set again and again, by its own call and by another thread at once. */
static void CALLBACK set_again(TP_CALLBACK_INSTANCE *i, void *arg, TP_WAIT *w, TP_WAIT_RESULT r)
{
	if (InterlockedIncrement(&calls) < 200)
		SetThreadpoolWait(w, event, NULL);
}

static void waits_at_once(void)
{
	begin();
	event = CreateEventA(NULL, TRUE, TRUE, NULL);
	TP_WAIT *w = CreateThreadpoolWait(set_again, NULL, NULL);
	for (int i = 0; i < 100; i++)
		SetThreadpoolWait(w, event, NULL);
	for (int i = 0; i < 1000 && calls < 100; i++)
		Sleep(1);
	CHECK(calls >= 100);
	ResetEvent(event);
	WaitForThreadpoolWaitCallbacks(w, FALSE);
	SetThreadpoolWait(w, NULL, NULL);
	WaitForThreadpoolWaitCallbacks(w, TRUE);
	LONG so_far = calls;
	SetEvent(event);
	Sleep(50);
	SAME(calls, so_far);
	CloseThreadpoolWait(w);
	CHECK(CloseHandle(event));
}

static LONG cancelled;
static void CALLBACK group_cancel(void *object, void *clean)
{
	InterlockedIncrement(&cancelled);
	context = clean;
}

static void groups(void)
{
	TP_CALLBACK_ENVIRON env;
	int x;
	begin();
	InitializeThreadpoolEnvironment(&env);
	TP_POOL *p = CreateThreadpool(NULL);
	SetThreadpoolThreadMaximum(p, 1);
	SetThreadpoolCallbackPool(&env, p);
	TP_CLEANUP_GROUP *g = CreateThreadpoolCleanupGroup();
	CHECK(g != NULL);
	SetThreadpoolCallbackCleanupGroup(&env, g, group_cancel);
	TP_WORK *w = CreateThreadpoolWork(work, &x, &env);
	TP_TIMER *t = CreateThreadpoolTimer(timer, NULL, &env);
	FILETIME late = in_ms(60000);
	SetThreadpoolTimer(t, &late, 0, 0);
	SubmitThreadpoolWork(w);
	SubmitThreadpoolWork(w);
	CloseThreadpoolCleanupGroupMembers(g, FALSE, NULL);
	SAME(calls, 2);
	SAME(cancelled, 0);
	begin();
	w = CreateThreadpoolWork(work, &x, &env);
	for (int i = 0; i < 5; i++)
		SubmitThreadpoolWork(w);
	while (!at_once)
		Sleep(1);
	CloseThreadpoolCleanupGroupMembers(g, TRUE, &env);
	CHECK(calls >= 1 && calls < 5);
	SAME(cancelled, 1);
	CHECK(context == &env);
	CloseThreadpoolCleanupGroup(g);
	CloseThreadpool(p);
}

static OVERLAPPED *io_overlapped;
static ULONG io_error;
static ULONG_PTR io_n;
static void CALLBACK io_done(TP_CALLBACK_INSTANCE *i, void *arg, void *overlapped, ULONG error,
			     ULONG_PTR n, TP_IO *io)
{
	context = arg;
	io_overlapped = overlapped;
	io_error = error;
	io_n = n;
	busy(0);
	SetEvent(event);
}

static void pipe_make(HANDLE *s, HANDLE *c)
{
	static const char name[] = "\\\\.\\pipe\\lodge-threadpool";
	*s = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, 0, 1, 0, 0, 0, NULL);
	*c = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
}

/* What has ended, but was not told when it was called off, is not told instead of the next one. */
static void ios_cancelled(void)
{
	TP_CALLBACK_ENVIRON env;
	OVERLAPPED a = {0}, b = {0};
	HANDLE s, c;
	char buf[20];
	DWORD n;
	int x;
	begin();
	event = CreateEventA(NULL, FALSE, FALSE, NULL);
	InitializeThreadpoolEnvironment(&env);
	TP_POOL *p = CreateThreadpool(NULL);
	SetThreadpoolThreadMaximum(p, 1);
	SetThreadpoolCallbackPool(&env, p);
	pipe_make(&s, &c);
	TP_WORK *w = CreateThreadpoolWork(longer, NULL, &env);
	TP_IO *io = CreateThreadpoolIo(s, io_done, &x, &env);
	SubmitThreadpoolWork(w);
	while (!at_once)
		Sleep(1);
	StartThreadpoolIo(io);
	FAILS(ReadFile(s, buf, sizeof buf, NULL, &a), ERROR_IO_PENDING);
	CHECK(WriteFile(c, "one", 3, &n, NULL));
	CHECK(GetOverlappedResult(s, &a, &n, TRUE));
	Sleep(100); /* it is in the pool */
	WaitForThreadpoolIoCallbacks(io, TRUE);
	WaitForThreadpoolWorkCallbacks(w, FALSE);
	SAME(calls, 1); /* of the work */
	StartThreadpoolIo(io);
	FAILS(ReadFile(s, buf, sizeof buf, NULL, &b), ERROR_IO_PENDING);
	CHECK(WriteFile(c, "three", 5, &n, NULL));
	SAME(WaitForSingleObject(event, 5000), WAIT_OBJECT_0);
	CHECK(io_overlapped == &b);
	SAME(io_n, 5);
	CloseHandle(c);
	CloseHandle(s);
	WaitForThreadpoolIoCallbacks(io, FALSE);
	SAME(calls, 2);
	CloseThreadpoolIo(io);
	CloseThreadpoolWork(w);
	CloseThreadpool(p);
	CHECK(CloseHandle(event));
}

static void CALLBACK simple_one(TP_CALLBACK_INSTANCE *i, void *arg)
{
	InterlockedIncrement(&calls);
}
static void CALLBACK other_cancel(void *object, void *clean)
{
	InterlockedExchangeAdd(&cancelled, 100);
}

/* I/O, calls without objects, and objects with functions of their own in one group. */
static void groups_of_all(void)
{
	TP_CALLBACK_ENVIRON env;
	OVERLAPPED o = {0};
	HANDLE s, c;
	char buf[20];
	DWORD n;
	int x;
	begin();
	event = CreateEventA(NULL, FALSE, FALSE, NULL);
	InitializeThreadpoolEnvironment(&env);
	TP_CLEANUP_GROUP *g = CreateThreadpoolCleanupGroup();
	TP_POOL *p = CreateThreadpool(NULL);
	SetThreadpoolThreadMaximum(p, 1);
	SetThreadpoolCallbackPool(&env, p);
	SetThreadpoolCallbackCleanupGroup(&env, g, group_cancel);
	pipe_make(&s, &c);
	TP_IO *io = CreateThreadpoolIo(s, io_done, &x, &env);
	StartThreadpoolIo(io);
	FAILS(ReadFile(s, buf, sizeof buf, NULL, &o), ERROR_IO_PENDING);
	CHECK(WriteFile(c, "four", 4, &n, NULL));
	SAME(WaitForSingleObject(event, 5000), WAIT_OBJECT_0);
	int bad = 0;
	for (int i = 0; i < 1000; i++)
		bad += !TrySubmitThreadpoolCallback(simple_one, NULL, &env);
	SAME(bad, 0);
	CloseHandle(c);
	CloseHandle(s);
	CloseThreadpoolCleanupGroupMembers(g, FALSE, NULL);
	SAME(calls, 1001);
	begin();
	cancelled = 0;
	TP_WORK *w = CreateThreadpoolWork(longer, NULL, &env);
	SubmitThreadpoolWork(w);
	SubmitThreadpoolWork(w);
	while (!at_once)
		Sleep(1);
	SetThreadpoolCallbackCleanupGroup(&env, g, other_cancel);
	CHECK(CreateThreadpoolWork(longer, NULL, &env) != NULL);
	CloseThreadpoolCleanupGroupMembers(g, TRUE, NULL);
	SAME(calls, 1);
	SAME(cancelled % 100, 1); /* each by the function that it came with */
	CloseThreadpoolCleanupGroup(g);
	CloseThreadpool(p);
	CHECK(CloseHandle(event));
}

static void CALLBACK bound_done(DWORD error, DWORD n, OVERLAPPED *o)
{
	io_overlapped = o;
	io_error = error;
	io_n = n;
	SetEvent(event);
}

static void ios(void)
{
	static const char name[] = "\\\\.\\pipe\\lodge-threadpool";
	char buf[20] = "";
	DWORD n;
	int x;
	begin();
	event = CreateEventA(NULL, FALSE, FALSE, NULL);
	for (int how = 0; how < 2; how++) {
		OVERLAPPED o = {0};
		TP_IO *io = NULL;
		HANDLE s = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, 0, 1,
					    0, 0, 0, NULL);
		HANDLE c = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
				       0, NULL);
		if (how)
			CHECK(BindIoCompletionCallback(s, bound_done, 0));
		else
			CHECK((io = CreateThreadpoolIo(s, io_done, &x, NULL)) != NULL);
		if (io)
			StartThreadpoolIo(io);
		FAILS(ReadFile(s, buf, sizeof buf, NULL, &o), ERROR_IO_PENDING);
		CHECK(WriteFile(c, "four", 4, &n, NULL));
		SAME(WaitForSingleObject(event, 5000), WAIT_OBJECT_0);
		CHECK(io_overlapped == &o);
		SAME(io_error, 0);
		SAME(io_n, 4);
		if (io) {
			WaitForThreadpoolIoCallbacks(io, FALSE);
			SAME(calls, 1);
			CHECK(context == &x);
		}
		CloseHandle(c);
		CloseHandle(s);
		if (io)
			CloseThreadpoolIo(io);
	}
	CHECK(CloseHandle(event));
}

/* ---- timer queues ---- */

static void CALLBACK fired(void *arg, BOOLEAN is)
{
	context = arg;
	if (is)
		busy(arg ? 60 : 0);
}

static void queues(void)
{
	int x;
	HANDLE q = CreateTimerQueue(), t = NULL, u = NULL;
	begin();
	CHECK(q != NULL);
	CHECK(CreateTimerQueueTimer(&t, q, fired, NULL, 60000, 0, 0));
	CHECK(ChangeTimerQueueTimer(q, t, 20, 0));
	SAME(calls, 0);
	Sleep(300);
	SAME(calls, 1);
	CHECK(DeleteTimerQueueTimer(q, t, INVALID_HANDLE_VALUE));
	begin();
	CHECK(CreateTimerQueueTimer(&t, NULL, fired, NULL, 10, 20, 0));
	Sleep(400);
	CHECK(DeleteTimerQueueTimer(NULL, t, INVALID_HANDLE_VALUE));
	LONG so_far = calls;
	CHECK(so_far >= 4 && so_far < 60);
	Sleep(60);
	SAME(calls, so_far);
	/* one that runs */
	begin();
	CHECK(CreateTimerQueueTimer(&t, q, fired, &x, 0, 0, WT_EXECUTEONLYONCE));
	while (!at_once)
		Sleep(1);
	FAILS(DeleteTimerQueueTimer(q, t, NULL), ERROR_IO_PENDING);
	Sleep(200);
	SAME(calls, 1);
	event = CreateEventA(NULL, TRUE, FALSE, NULL);
	CHECK(CreateTimerQueueTimer(&t, q, fired, &x, 0, 0, WT_EXECUTEONLYONCE));
	while (!at_once)
		Sleep(1);
	FAILS(DeleteTimerQueueTimer(q, t, event), ERROR_IO_PENDING);
	SAME(WaitForSingleObject(event, 5000), WAIT_OBJECT_0);
	SAME(calls, 2);
	/* all of them */
	begin();
	CHECK(CreateTimerQueueTimer(&t, q, fired, NULL, 10, 10, 0));
	CHECK(CreateTimerQueueTimer(&u, q, fired, NULL, 60000, 0, 0));
	Sleep(100);
	CHECK(DeleteTimerQueueEx(q, INVALID_HANDLE_VALUE));
	so_far = calls;
	CHECK(so_far > 0);
	Sleep(60);
	SAME(calls, so_far);
	CHECK(CloseHandle(event));
}

static HANDLE own_queue, own;
static LONG own_error;
static void CALLBACK deletes_itself(void *arg, BOOLEAN is)
{
	InterlockedIncrement(&at_once);
	Sleep(100); /* the other thread deletes it by now, if it does */
	own_error = DeleteTimerQueueTimer(own_queue, own, NULL) ? 0 : GetLastError();
	InterlockedIncrement(&calls);
}
static void CALLBACK changes_itself(void *arg, BOOLEAN is)
{
	InterlockedIncrement(&at_once);
	Sleep(100); /* it is deleted by now */
	ChangeTimerQueueTimer(own_queue, own, 1, 10);
	InterlockedIncrement(&calls);
}

static void queues_end(void)
{
	HANDLE q = CreateTimerQueue(), t;
	own_queue = q;
	begin(); /* by itself */
	CHECK(CreateTimerQueueTimer(&own, q, deletes_itself, NULL, 10, 0, WT_EXECUTEONLYONCE));
	for (int i = 0; i < 1000 && !calls; i++)
		Sleep(1);
	SAME(calls, 1);
	SAME(own_error, ERROR_IO_PENDING);
	begin(); /* what is deleted is not set any more */
	CHECK(CreateTimerQueueTimer(&own, q, changes_itself, NULL, 10, 0, 0));
	while (!at_once)
		Sleep(1);
	CHECK(DeleteTimerQueueTimer(q, own, INVALID_HANDLE_VALUE));
	SAME(calls, 1);
	Sleep(100);
	SAME(calls, 1);
	begin(); /* an event, when the last one has ended: nobody waits in between */
	event = CreateEventA(NULL, TRUE, FALSE, NULL);
	CHECK(CreateTimerQueueTimer(&t, q, fired, &q, 0, 0, WT_EXECUTEONLYONCE));
	CHECK(CreateTimerQueueTimer(&t, q, fired, NULL, 60000, 0, 0));
	while (!at_once)
		Sleep(1);
	FAILS(DeleteTimerQueueEx(q, event), ERROR_IO_PENDING);
	IS("calls before the event", calls, 0);
	SAME(WaitForSingleObject(event, 5000), WAIT_OBJECT_0);
	SAME(calls, 1);
	CHECK(CloseHandle(event));
}

int main(void)
{
	works();
	pools();
	simples();
	timers();
	waits();
	waits_at_once();
	groups();
	ios();
	ios_cancelled();
	groups_of_all();
	queues();
	queues_end();
	return end();
}
