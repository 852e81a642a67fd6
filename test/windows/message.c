/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes of messages: their bounds, what is left of them, questions and answers. And timers that
 * call, mutexes and semaphores by name. */
#include "test.h"

#define NAME "\\\\.\\pipe\\lodge-messages"
enum { ROOM = 4096 };

static HANDLE server_of(DWORD mode, DWORD kind)
{
	return CreateNamedPipeA(NAME, PIPE_ACCESS_DUPLEX | mode, kind, 4, ROOM, ROOM, 0, NULL);
}
static HANDLE client_of(DWORD flags)
{
	return CreateFileA(NAME, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, flags, NULL);
}
static DWORD put(HANDLE h, const char *text)
{
	DWORD n = 0;
	CHECK(WriteFile(h, text, strlen(text), &n, NULL));
	return n;
}
/* What was read, and in the answer what it came to. */
static char got[ROOM + 1];
static DWORD get(HANDLE h, DWORD room)
{
	DWORD n = 0;
	SetLastError(0);
	BOOL ok = ReadFile(h, got, room, &n, NULL);
	DWORD e = GetLastError();
	got[n] = 0;
	return ok ? 0 : e;
}
static void by_message(HANDLE h)
{
	DWORD mode = PIPE_READMODE_MESSAGE;
	CHECK(SetNamedPipeHandleState(h, &mode, NULL, NULL));
}

static void bounds(void)
{
	DWORD n, there, left, state, flags, out, in, most;
	char buf[20];
	HANDLE s = server_of(0, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
	CHECK(s != INVALID_HANDLE_VALUE);
	HANDLE c = client_of(0);
	CHECK(c != INVALID_HANDLE_VALUE);
	FAILS(ConnectNamedPipe(s, NULL), ERROR_PIPE_CONNECTED);
	CHECK(GetNamedPipeInfo(s, &flags, &out, &in, &most));
	SAME(flags, PIPE_SERVER_END | PIPE_TYPE_MESSAGE);
	SAME(out, ROOM);
	SAME(in, ROOM);
	SAME(most, 4);
	CHECK(GetNamedPipeInfo(c, &flags, NULL, NULL, NULL));
	SAME(flags, PIPE_CLIENT_END | PIPE_TYPE_MESSAGE);
	CHECK(GetNamedPipeHandleStateA(s, &state, NULL, NULL, NULL, NULL, 0));
	SAME(state, PIPE_READMODE_MESSAGE);
	CHECK(GetNamedPipeHandleStateA(c, &state, NULL, NULL, NULL, NULL, 0));
	SAME(state, PIPE_READMODE_BYTE);

	SAME(put(c, "one"), 3);
	SAME(put(c, "second"), 6);
	SAME(put(c, "3"), 1);
	CHECK(PeekNamedPipe(s, buf, 2, &n, &there, &left));
	SAME(n, 2);
	SAME(there, 10);
	SAME(left, 1);
	CHECK(!memcmp(buf, "on", 2));
	CHECK(PeekNamedPipe(s, NULL, 0, NULL, &there, &left));
	SAME(there, 10);
	SAME(get(s, 100), 0);
	TEXT_IS(got, "one");
	SAME(get(s, 4), ERROR_MORE_DATA);
	TEXT_IS(got, "seco");
	CHECK(PeekNamedPipe(s, buf, sizeof buf, &n, &there, &left));
	SAME(n, 2);
	SAME(there, 3);
	SAME(left, 0);
	SAME(get(s, 1), ERROR_MORE_DATA);
	TEXT_IS(got, "n");
	SAME(get(s, 100), 0);
	TEXT_IS(got, "d");
	SAME(get(s, 1), 0);
	TEXT_IS(got, "3");
	CHECK(PeekNamedPipe(s, buf, sizeof buf, &n, &there, &left));
	SAME(n, 0);
	SAME(there, 0);

	/* the client reads bytes: what is behind each other is one */
	put(s, "ab");
	put(s, "cde");
	SAME(get(c, 4), 0);
	TEXT_IS(got, "abcd");
	SAME(get(c, 4), 0);
	TEXT_IS(got, "e");
	by_message(c);
	put(s, "fg");
	put(s, "hi");
	SAME(get(c, 100), 0);
	TEXT_IS(got, "fg");
	SAME(get(c, 1), ERROR_MORE_DATA);
	SAME(get(c, 1), 0);
	TEXT_IS(got, "i");

	/* one of no bytes is one */
	CHECK(WriteFile(c, "", 0, &n, NULL));
	put(c, "x");
	SAME(get(s, 10), 0);
	TEXT_IS(got, "");
	SAME(get(s, 10), 0);
	TEXT_IS(got, "x");
	put(c, "last");
	CloseHandle(c);
	SAME(get(s, 2), ERROR_MORE_DATA);
	SAME(get(s, 10), 0);
	TEXT_IS(got, "st");
	SAME(get(s, 10), ERROR_BROKEN_PIPE);
	FAILS(PeekNamedPipe(s, NULL, 0, NULL, &there, NULL), ERROR_BROKEN_PIPE);
	CloseHandle(s);
}

static void big(void)
{
	static char out[60000], in[60000];
	DWORD n, total = 0;
	HANDLE s =
	    CreateNamedPipeA(NAME, PIPE_ACCESS_DUPLEX, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, 1,
			     1 << 17, 1 << 17, 0, NULL);
	HANDLE c = client_of(0);
	for (int i = 0; i < sizeof out; i++)
		out[i] = (char)(i * 7 + i / 251);
	CHECK(WriteFile(c, out, sizeof out, &n, NULL));
	SAME(n, sizeof out);
	for (;;) {
		BOOL ok = ReadFile(s, in + total, 7001, &n, NULL);
		total += n;
		if (ok)
			break;
		SAME(GetLastError(), ERROR_MORE_DATA);
		if (!n)
			break;
	}
	SAME(total, sizeof out);
	CHECK(!memcmp(in, out, sizeof out));
	CloseHandle(c);
	CloseHandle(s);
}

static void refused(void)
{
	DWORD mode = PIPE_READMODE_MESSAGE, n;
	char buf[8];
	FAILS(server_of(0, PIPE_TYPE_BYTE | PIPE_READMODE_MESSAGE) != INVALID_HANDLE_VALUE,
	      ERROR_INVALID_PARAMETER);
	HANDLE s = server_of(0, PIPE_TYPE_BYTE), c = client_of(0);
	FAILS(SetNamedPipeHandleState(c, &mode, NULL, NULL), ERROR_INVALID_PARAMETER);
	FAILS(TransactNamedPipe(c, "a", 1, buf, sizeof buf, &n, NULL), ERROR_BAD_PIPE);
	CloseHandle(c);
	CloseHandle(s);
	s = server_of(0, PIPE_TYPE_MESSAGE);
	FAILS(ReadFile(s, buf, 1, &n, NULL), ERROR_PIPE_LISTENING);
	FAILS(WriteFile(s, buf, 1, &n, NULL), ERROR_PIPE_LISTENING);
	FAILS(PeekNamedPipe(s, NULL, 0, NULL, &n, NULL), ERROR_BAD_PIPE);
	c = client_of(0);
	FAILS(TransactNamedPipe(c, "a", 1, buf, sizeof buf, &n, NULL), ERROR_BAD_PIPE);
	by_message(c);
	put(s, "unasked");
	FAILS(TransactNamedPipe(c, "a", 1, buf, sizeof buf, &n, NULL), ERROR_PIPE_BUSY);
	CHECK(DisconnectNamedPipe(s));
	FAILS(ReadFile(s, buf, 1, &n, NULL), ERROR_PIPE_NOT_CONNECTED);
	FAILS(CallNamedPipeA("\\\\.\\pipe\\nosuch", "a", 1, buf, sizeof buf, &n, NMPWAIT_NOWAIT),
	      ERROR_FILE_NOT_FOUND);
	CloseHandle(c);
	CloseHandle(s);
}

static void not_waiting(void)
{
	DWORD state, nowait = PIPE_READMODE_MESSAGE | PIPE_NOWAIT, n;
	HANDLE alone = CreateNamedPipeA("\\\\.\\pipe\\alone", PIPE_ACCESS_DUPLEX,
					PIPE_TYPE_BYTE | PIPE_NOWAIT, 1, 0, 0, 0, NULL);
	FAILS(ConnectNamedPipe(alone, NULL), ERROR_PIPE_LISTENING);
	CHECK(CloseHandle(alone));
	HANDLE s = server_of(0, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE), c = client_of(0);
	CHECK(SetNamedPipeHandleState(s, &nowait, NULL, NULL));
	CHECK(GetNamedPipeHandleStateA(s, &state, NULL, NULL, NULL, NULL, 0));
	SAME(state, nowait);
	SAME(get(s, 10), ERROR_NO_DATA);
	put(c, "now");
	SAME(get(s, 10), 0);
	TEXT_IS(got, "now");
	SAME(get(s, 10), ERROR_NO_DATA);
	/* what has been looked at is still there, whole or in parts */
	put(c, "looked at");
	CHECK(PeekNamedPipe(s, NULL, 0, NULL, &n, NULL));
	SAME(n, 9);
	SAME(get(s, 6), ERROR_MORE_DATA);
	TEXT_IS(got, "looked");
	SAME(get(s, 6), 0);
	TEXT_IS(got, " at");
	SAME(get(s, 10), ERROR_NO_DATA);
	CloseHandle(c);
	SAME(get(s, 10), ERROR_BROKEN_PIPE);
	CloseHandle(s);
}

/* Writes until there is no room: how much went into it. False: one failed, or waited. */
static BOOL filled(HANDLE h, unsigned *ret)
{
	static char block[1000];
	DWORD n = sizeof block, t = GetTickCount();
	*ret = 0;
	for (int i = 0; i < 10000 && n == sizeof block; i++, *ret += n)
		if (!WriteFile(h, block, sizeof block, &n, NULL))
			return FALSE;
	return GetTickCount() - t < 5000;
}

static unsigned emptied(HANDLE h)
{
	static char block[10000];
	unsigned all = 0;
	DWORD n;
	while (ReadFile(h, block, sizeof block, &n, NULL) && n)
		all += n;
	return all;
}

static void full(DWORD kind)
{
	unsigned in = 0;
	DWORD mode = kind & PIPE_TYPE_MESSAGE ? PIPE_READMODE_MESSAGE | PIPE_NOWAIT : PIPE_NOWAIT;
	HANDLE s = server_of(0, kind), c = client_of(0);
	CHECK(SetNamedPipeHandleState(s, &mode, NULL, NULL));
	CHECK(SetNamedPipeHandleState(c, &mode, NULL, NULL));
	CHECK(filled(c, &in));
	CHECK(in >= 3000);
	SAME(emptied(s), in);
	SAME(GetLastError(), ERROR_NO_DATA);
	put(c, "room again");
	SAME(get(s, 20), 0);
	TEXT_IS(got, "room again");
	CloseHandle(c);
	CloseHandle(s);
}

static void full_without_name(void)
{
	unsigned in = 0;
	DWORD mode = PIPE_NOWAIT, n;
	HANDLE r, w;
	CHECK(CreatePipe(&r, &w, NULL, 0));
	CHECK(SetNamedPipeHandleState(r, &mode, NULL, NULL));
	CHECK(SetNamedPipeHandleState(w, &mode, NULL, NULL));
	FAILS(ReadFile(r, &n, 1, &n, NULL), ERROR_NO_DATA);
	CHECK(filled(w, &in));
	CHECK(in >= 3000);
	SAME(emptied(r), in);
	SAME(GetLastError(), ERROR_NO_DATA);
	CHECK(CloseHandle(w));
	FAILS(ReadFile(r, &n, 1, &n, NULL), ERROR_BROKEN_PIPE);
	CHECK(CloseHandle(r));
}

/* ---- with an OVERLAPPED ---- */

static void later(void)
{
	char buf[16] = "";
	DWORD n;
	ULONG_PTR key;
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, 1, 0, NULL)}, *back;
	HANDLE s = server_of(FILE_FLAG_OVERLAPPED, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
	HANDLE c = client_of(0);
	FAILS(ReadFile(s, buf, 4, NULL, &o), ERROR_IO_PENDING);
	SAME(WaitForSingleObject(o.hEvent, 0), WAIT_TIMEOUT);
	put(c, "abcdef");
	SAME(WaitForSingleObject(o.hEvent, 2000), WAIT_OBJECT_0);
	FAILS(GetOverlappedResult(s, &o, &n, TRUE), ERROR_MORE_DATA);
	SAME(n, 4);
	CHECK(!memcmp(buf, "abcd", 4));
	CHECK(ReadFile(s, buf, 4, NULL, &o));
	CHECK(GetOverlappedResult(s, &o, &n, TRUE));
	SAME(n, 2);
	put(c, "ghi");
	FAILS(ReadFile(s, buf, 2, NULL, &o), ERROR_MORE_DATA);
	FAILS(GetOverlappedResult(s, &o, &n, TRUE), ERROR_MORE_DATA);
	SAME(n, 2);
	CHECK(ReadFile(s, buf, 2, NULL, &o));
	HANDLE port = CreateIoCompletionPort(s, NULL, 42, 0);
	OVERLAPPED p = {0};
	FAILS(ReadFile(s, buf, 2, NULL, &p), ERROR_IO_PENDING);
	put(c, "jkl");
	FAILS(GetQueuedCompletionStatus(port, &n, &key, &back, 2000), ERROR_MORE_DATA);
	SAME(n, 2);
	SAME(key, 42);
	CHECK(back == &p);
	CloseHandle(c);
	CloseHandle(s);
	CloseHandle(port);
	CloseHandle(o.hEvent);
}

/* ---- questions ---- */

static DWORD WINAPI answerer(void *arg)
{
	char q[100], a[120];
	DWORD n;
	HANDLE s = arg;
	for (int i = 0; i < 3; i++) {
		ConnectNamedPipe(s, NULL);
		while (ReadFile(s, q, sizeof q - 1, &n, NULL)) {
			q[n] = 0;
			sprintf(a, "<%s>", q);
			WriteFile(s, a, strlen(a), &n, NULL);
		}
		DisconnectNamedPipe(s);
	}
	return 0;
}

static void questions(void)
{
	char a[100];
	DWORD n;
	HANDLE s = server_of(0, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
	HANDLE t = CreateThread(NULL, 0, answerer, s, 0, NULL);
	HANDLE c = client_of(0);
	by_message(c);
	CHECK(TransactNamedPipe(c, "who", 3, a, sizeof a, &n, NULL));
	SAME(n, 5);
	CHECK(!memcmp(a, "<who>", 5));
	FAILS(TransactNamedPipe(c, "where", 5, a, 3, &n, NULL), ERROR_MORE_DATA);
	SAME(n, 3);
	SAME(get(c, 100), 0);
	TEXT_IS(got, "ere>");
	CloseHandle(c);
	CHECK(CallNamedPipeA(NAME, "call", 4, a, sizeof a, &n, 2000));
	SAME(n, 6);
	CHECK(!memcmp(a, "<call>", 6));
	FAILS(CallNamedPipeW(L"\\\\.\\pipe\\lodge-messages", "again", 5, a, 2, &n, 2000),
	      ERROR_MORE_DATA);
	SAME(n, 2);
	SAME(WaitForSingleObject(t, 5000), WAIT_OBJECT_0);
	CloseHandle(t);
	CloseHandle(s);
}

/* ---- timers that call ---- */

static int calls;
static void *call_arg;
static FILETIME call_at;
static DWORD call_thread;
static void CALLBACK called(void *arg, DWORD low, DWORD high)
{
	calls++;
	call_arg = arg;
	call_at.dwLowDateTime = low;
	call_at.dwHighDateTime = high;
	call_thread = GetCurrentThreadId();
}

static HANDLE other;
static void CALLBACK calls_off(void *arg, DWORD low, DWORD high)
{
	calls++;
	if (arg)
		CancelWaitableTimer(other);
	else
		CloseHandle(other);
}

/* Two are due, and the first one's call ends the second. */
static void called_off(void)
{
	LARGE_INTEGER in10 = {.QuadPart = -100000}, in20 = {.QuadPart = -200000};
	for (int how = 0; how < 2; how++) {
		HANDLE t = CreateWaitableTimerA(NULL, FALSE, NULL);
		other = CreateWaitableTimerA(NULL, FALSE, NULL);
		CHECK(SetWaitableTimer(t, &in10, 0, calls_off, how ? &other : NULL, FALSE));
		CHECK(SetWaitableTimer(other, &in20, 0, called, NULL, FALSE));
		calls = 0;
		Sleep(60);
		SAME(SleepEx(1000, TRUE), WAIT_IO_COMPLETION);
		SAME(SleepEx(20, TRUE), 0);
		IS(how ? "one that was cancelled" : "one that was closed", calls, 1);
		CloseHandle(t);
		if (how)
			CloseHandle(other);
	}
}

/* However often one was due, it calls once (and once more, if that takes long). */
static void again_and_again(void)
{
	LARGE_INTEGER at_once = {.QuadPart = -1};
	HANDLE t = CreateWaitableTimerA(NULL, FALSE, NULL);
	CHECK(SetWaitableTimer(t, &at_once, 10, called, NULL, FALSE));
	calls = 0;
	Sleep(100);
	SAME(SleepEx(0, TRUE), WAIT_IO_COMPLETION);
	CHECK(calls <= 3);
	CHECK(CancelWaitableTimer(t));
	CloseHandle(t);
}

static DWORD WINAPI ends_with_timer(void *timer)
{
	LARGE_INTEGER soon = {.QuadPart = -200000};
	SetWaitableTimer(timer, &soon, 0, called, NULL, FALSE);
	return 0;
}

static void timers(void)
{
	LARGE_INTEGER in20 = {.QuadPart = -200000}, day;
	FILETIME before;
	int x;
	HANDLE t = CreateWaitableTimerA(NULL, FALSE, NULL);
	CHECK(SetWaitableTimer(t, &in20, 0, called, &x, FALSE));
	Sleep(50);
	SAME(calls, 0); /* not while it does not let itself be called */
	SAME(SleepEx(1000, TRUE), WAIT_IO_COMPLETION);
	SAME(calls, 1);
	CHECK(call_arg == &x);
	SAME(call_thread, GetCurrentThreadId());
	SAME(WaitForSingleObject(t, 0), WAIT_OBJECT_0); /* signaled as well */
	SAME(SleepEx(30, TRUE), 0);

	GetSystemTimeAsFileTime(&before);
	CHECK(SetWaitableTimer(t, &in20, 0, called, NULL, FALSE));
	SAME(SleepEx(2000, TRUE), WAIT_IO_COMPLETION);
	SAME(calls, 2);
	CHECK(CompareFileTime(&before, &call_at) < 0);

	CHECK(SetWaitableTimer(t, &in20, 0, called, NULL, FALSE));
	CHECK(CancelWaitableTimer(t));
	SAME(SleepEx(50, TRUE), 0);
	SAME(calls, 2);

	/* one that is called off stays signaled, if it was */
	HANDLE m = CreateWaitableTimerA(NULL, TRUE, NULL);
	CHECK(SetWaitableTimer(m, &in20, 0, NULL, NULL, FALSE));
	SAME(WaitForSingleObject(m, 2000), WAIT_OBJECT_0);
	CHECK(CancelWaitableTimer(m));
	SAME(WaitForSingleObject(m, 0), WAIT_OBJECT_0);
	CHECK(SetWaitableTimer(m, &in20, 0, NULL, NULL, FALSE));
	SAME(WaitForSingleObject(m, 0), WAIT_TIMEOUT);
	CloseHandle(m);

	CHECK(SetWaitableTimer(t, &in20, 20, called, NULL, FALSE));
	for (int i = 0; i < 4; i++)
		SAME(SleepEx(2000, TRUE), WAIT_IO_COMPLETION);
	SAME(calls, 6);
	CHECK(SetWaitableTimer(t, &in20, 0, NULL, NULL, FALSE)); /* no more */
	SAME(WaitForSingleObjectEx(t, 2000, TRUE), WAIT_OBJECT_0);
	SAME(calls, 6);

	GetSystemTimeAsFileTime(&before);
	day.LowPart = before.dwLowDateTime;
	day.HighPart = before.dwHighDateTime;
	day.QuadPart += 300000;
	CHECK(SetWaitableTimerEx(t, &day, 0, called, NULL, NULL, 0));
	SAME(SleepEx(2000, TRUE), WAIT_IO_COMPLETION);
	SAME(calls, 7);
	CHECK(CompareFileTime(&before, &call_at) < 0);

	HANDLE other = CreateThread(NULL, 0, ends_with_timer, t, 0, NULL);
	WaitForSingleObject(other, INFINITE);
	SAME(SleepEx(50, TRUE), 0); /* it went with its thread */
	SAME(calls, 7);
	CHECK(SetWaitableTimer(t, &in20, 0, called, NULL, FALSE));
	CloseHandle(t);
	SAME(SleepEx(50, TRUE), 0); /* and with the timer */
	SAME(calls, 7);
	FAILS(SetWaitableTimer(other, &in20, 0, NULL, NULL, FALSE), ERROR_INVALID_HANDLE);
	CloseHandle(other);
}

static void names(void)
{
	HANDLE m = CreateMutexA(NULL, FALSE, "lodge-m"),
	       s = CreateSemaphoreA(NULL, 1, 2, "lodge-s");
	HANDLE t = CreateWaitableTimerA(NULL, TRUE, "lodge-t");
	HANDLE m2 = OpenMutexA(SYNCHRONIZE, FALSE, "lodge-m"),
	       s2 = OpenSemaphoreA(SEMAPHORE_ALL_ACCESS, FALSE, "lodge-s");
	CHECK(m2 && m2 != m);
	CHECK(s2 && s2 != s);
	SAME(WaitForSingleObject(s2, 0), WAIT_OBJECT_0);
	SAME(WaitForSingleObject(s, 0), WAIT_TIMEOUT);
	CloseHandle(m2);
	CloseHandle(s2);
	m2 = OpenMutexW(SYNCHRONIZE, FALSE, L"lodge-m");
	s2 = OpenSemaphoreW(SYNCHRONIZE, FALSE, L"lodge-s");
	HANDLE t2 = OpenWaitableTimerW(TIMER_ALL_ACCESS, FALSE, L"lodge-t");
	CHECK(m2 && s2 && t2);
	LARGE_INTEGER now = {.QuadPart = -1};
	CHECK(SetWaitableTimer(t2, &now, 0, NULL, NULL, FALSE));
	SAME(WaitForSingleObject(t, 2000), WAIT_OBJECT_0);
	FAILS(OpenMutexA(SYNCHRONIZE, FALSE, "lodge-nosuch"), ERROR_FILE_NOT_FOUND);
	FAILS(OpenSemaphoreA(SYNCHRONIZE, FALSE, "lodge-nosuch"), ERROR_FILE_NOT_FOUND);
	CloseHandle(m), CloseHandle(s), CloseHandle(t), CloseHandle(m2), CloseHandle(s2),
	    CloseHandle(t2);
}

int main(void)
{
	bounds();
	big();
	refused();
	not_waiting();
	full(PIPE_TYPE_BYTE);
	full(PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
	full_without_name();
	later();
	questions();
	timers();
	called_off();
	again_and_again();
	names();
	return end();
}
