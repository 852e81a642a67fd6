/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes with names, with and without an OVERLAPPED, and what of them goes to a port. */
#include "test.h"

#define NAME "\\\\.\\pipe\\lodge-test"

static HANDLE server(unsigned flags, unsigned most)
{
	return CreateNamedPipeA(NAME, PIPE_ACCESS_DUPLEX | flags, PIPE_TYPE_BYTE | PIPE_WAIT, most,
				4096, 4096, 0, NULL);
}

static HANDLE client(unsigned flags)
{
	return CreateFileA(NAME, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, flags, NULL);
}

static void names(void)
{
	FAILS(client(0) != INVALID_HANDLE_VALUE, ERROR_FILE_NOT_FOUND);
	FAILS(WaitNamedPipeA(NAME, 10), ERROR_FILE_NOT_FOUND);
	FAILS(CreateNamedPipeA("C:\\pipe\\x", PIPE_ACCESS_DUPLEX, 0, 1, 0, 0, 0, NULL) !=
		  INVALID_HANDLE_VALUE,
	      ERROR_INVALID_NAME);
	HANDLE s = server(FILE_FLAG_FIRST_PIPE_INSTANCE, 2);
	CHECK(s != INVALID_HANDLE_VALUE);
	FAILS(server(FILE_FLAG_FIRST_PIPE_INSTANCE, 2) != INVALID_HANDLE_VALUE,
	      ERROR_ACCESS_DENIED);
	CHECK(WaitNamedPipeA(NAME, 10));
	HANDLE t = server(0, 2);
	CHECK(t != INVALID_HANDLE_VALUE);
	FAILS(server(0, 2) != INVALID_HANDLE_VALUE, ERROR_PIPE_BUSY);
	SAME(GetFileType(s), FILE_TYPE_PIPE);
	HANDLE a = client(0), b = client(0);
	CHECK(a != INVALID_HANDLE_VALUE && b != INVALID_HANDLE_VALUE && a != b);
	FAILS(client(0) != INVALID_HANDLE_VALUE, ERROR_PIPE_BUSY);
	FAILS(WaitNamedPipeA(NAME, 20), ERROR_SEM_TIMEOUT);
	FAILS(ConnectNamedPipe(s, NULL), ERROR_PIPE_CONNECTED);
	DWORD pid = 0, state = 9, n = 0;
	CHECK(GetNamedPipeClientProcessId(s, &pid));
	SAME(pid, GetCurrentProcessId());
	CHECK(GetNamedPipeServerProcessId(a, &pid));
	SAME(pid, GetCurrentProcessId());
	CHECK(GetNamedPipeHandleStateA(s, &state, &n, NULL, NULL, NULL, 0));
	SAME(state, 0);
	SAME(n, 2);
	CHECK(CloseHandle(a) && CloseHandle(b) && CloseHandle(s) && CloseHandle(t));
	FAILS(client(0) != INVALID_HANDLE_VALUE, ERROR_FILE_NOT_FOUND);
}

static void bytes(void)
{
	char buf[20] = "";
	DWORD n = 0, there = 0;
	HANDLE s = server(0, 1), c = client(0);
	CHECK(WriteFile(c, "hello", 5, &n, NULL));
	SAME(n, 5);
	CHECK(PeekNamedPipe(s, buf, 3, &n, &there, NULL));
	SAME(n, 3);
	SAME(there, 5);
	CHECK(!memcmp(buf, "hel", 3));
	CHECK(ReadFile(s, buf, 0, &n, NULL)); /* there is something */
	SAME(n, 0);
	CHECK(ReadFile(s, buf, 2, &n, NULL));
	SAME(n, 2);
	CHECK(ReadFile(s, buf, 20, &n, NULL));
	SAME(n, 3);
	CHECK(!memcmp(buf, "llo", 3));
	CHECK(PeekNamedPipe(s, NULL, 0, NULL, &there, NULL));
	SAME(there, 0);
	CHECK(WriteFile(s, "back", 4, &n, NULL));
	CHECK(ReadFile(c, buf, 20, &n, NULL));
	SAME(n, 4);
	CHECK(WriteFile(c, "last", 4, &n, NULL));
	CHECK(CloseHandle(c));
	CHECK(ReadFile(s, buf, 20, &n, NULL)); /* what was written is still there */
	SAME(n, 4);
	FAILS(ReadFile(s, buf, 20, &n, NULL), ERROR_BROKEN_PIPE);
	FAILS(PeekNamedPipe(s, NULL, 0, NULL, &there, NULL), ERROR_BROKEN_PIPE);
	FAILS(WriteFile(s, "x", 1, &n, NULL), ERROR_NO_DATA);
	/* the next client */
	CHECK(DisconnectNamedPipe(s));
	FAILS(client(0) != INVALID_HANDLE_VALUE, ERROR_PIPE_BUSY);
	CHECK(CloseHandle(s));
}

static DWORD WINAPI come_later(void *arg)
{
	DWORD n;
	Sleep(30);
	HANDLE c = client(0);
	WriteFile(c, "later", 5, &n, NULL);
	*(HANDLE *)arg = c;
	return 0;
}

static void connecting(void)
{
	HANDLE s = server(0, 1), c = NULL;
	char buf[20];
	DWORD n = 0;
	HANDLE t = CreateThread(NULL, 0, come_later, &c, 0, NULL);
	CHECK(ConnectNamedPipe(s, NULL));
	CHECK(ReadFile(s, buf, 20, &n, NULL));
	SAME(n, 5);
	SAME(WaitForSingleObject(t, 5000), WAIT_OBJECT_0);
	CHECK(CloseHandle(t) && CloseHandle(c));
	CHECK(DisconnectNamedPipe(s));
	t = CreateThread(NULL, 0, come_later, &c, 0, NULL);
	CHECK(ConnectNamedPipe(s, NULL)); /* once more */
	CHECK(ReadFile(s, buf, 20, &n, NULL));
	SAME(WaitForSingleObject(t, 5000), WAIT_OBJECT_0);
	CHECK(CloseHandle(t) && CloseHandle(c) && CloseHandle(s));
}

static void overlapped(void)
{
	char buf[20] = "";
	static char big[1 << 20];
	DWORD n = 0;
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)}, w = {0};
	HANDLE s = server(FILE_FLAG_OVERLAPPED, 1);
	FAILS(ConnectNamedPipe(s, &o), ERROR_IO_PENDING);
	FAILS(GetOverlappedResult(s, &o, &n, FALSE), ERROR_IO_INCOMPLETE);
	HANDLE c = client(0);
	CHECK(c != INVALID_HANDLE_VALUE);
	SAME(WaitForSingleObject(o.hEvent, 5000), WAIT_OBJECT_0);
	CHECK(GetOverlappedResult(s, &o, &n, FALSE));
	FAILS(ReadFile(s, buf, 20, NULL, &o), ERROR_IO_PENDING);
	SAME(WaitForSingleObject(o.hEvent, 0), WAIT_TIMEOUT);
	CHECK(WriteFile(c, "abc", 3, &n, NULL));
	CHECK(GetOverlappedResult(s, &o, &n, TRUE));
	SAME(n, 3);
	SAME(o.InternalHigh, 3);
	CHECK(!memcmp(buf, "abc", 3));
	/* called off */
	FAILS(ReadFile(s, buf, 20, NULL, &o), ERROR_IO_PENDING);
	CHECK(CancelIoEx(s, &o));
	FAILS(GetOverlappedResult(s, &o, &n, TRUE), ERROR_OPERATION_ABORTED);
	FAILS(CancelIoEx(s, &o), ERROR_NOT_FOUND);
	FAILS(ReadFile(s, buf, 20, NULL, &o), ERROR_IO_PENDING);
	CHECK(CancelIo(s));
	FAILS(GetOverlappedResult(s, &o, &n, TRUE), ERROR_OPERATION_ABORTED);
	/* nothing at all comes when there is something, and takes nothing */
	FAILS(ReadFile(s, buf, 0, NULL, &o), ERROR_IO_PENDING);
	CHECK(WriteFile(c, "z", 1, &n, NULL));
	CHECK(GetOverlappedResult(s, &o, &n, TRUE));
	SAME(n, 0);
	CHECK(ReadFile(s, buf, 20, &n, &o) || GetOverlappedResult(s, &o, &n, TRUE));
	SAME(n, 1);
	/* all of what does not fit at once is written */
	w.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
	SetLastError(0);
	CHECK(!WriteFile(s, big, sizeof big, NULL, &w));
	SAME(GetLastError(), ERROR_IO_PENDING);
	unsigned all = 0;
	while (all < sizeof big && ReadFile(c, big, 65536, &n, NULL))
		all += n;
	SAME(all, sizeof big);
	CHECK(GetOverlappedResult(s, &w, &n, TRUE));
	SAME(n, sizeof big);
	/* the other end goes */
	FAILS(ReadFile(s, buf, 20, NULL, &o), ERROR_IO_PENDING);
	CHECK(CloseHandle(c));
	FAILS(GetOverlappedResult(s, &o, &n, TRUE), ERROR_BROKEN_PIPE);
	FAILS(ReadFile(s, buf, 20, NULL, &o), ERROR_BROKEN_PIPE);
	CHECK(CloseHandle(s) && CloseHandle(o.hEvent) && CloseHandle(w.hEvent));
}

static void ports(void)
{
	char buf[20];
	DWORD n = 0;
	ULONG_PTR key = 0;
	OVERLAPPED o = {0}, *got = NULL, quiet = {0};
	HANDLE s = server(FILE_FLAG_OVERLAPPED, 1), c = client(0);
	HANDLE p = CreateIoCompletionPort(s, NULL, 77, 0);
	CHECK(p != NULL);
	FAILS(ReadFile(s, buf, 20, NULL, &o), ERROR_IO_PENDING);
	FAILS(GetQueuedCompletionStatus(p, &n, &key, &got, 0), WAIT_TIMEOUT);
	CHECK(got == NULL);
	CHECK(WriteFile(c, "port", 4, &n, NULL));
	n = 0;
	CHECK(GetQueuedCompletionStatus(p, &n, &key, &got, 5000));
	SAME(n, 4);
	SAME(key, 77);
	CHECK(got == &o);
	/* what is done at once is told there as well */
	CHECK(WriteFile(c, "now", 3, &n, NULL));
	CHECK(ReadFile(s, buf, 20, &n, &o));
	CHECK(GetQueuedCompletionStatus(p, &n, &key, &got, 5000));
	SAME(n, 3);
	/* unless its event says that it is not wanted */
	quiet.hEvent = (HANDLE)((ULONG_PTR)CreateEventA(NULL, TRUE, FALSE, NULL) | 1);
	CHECK(WriteFile(c, "now", 3, &n, NULL));
	CHECK(ReadFile(s, buf, 20, &n, &quiet));
	FAILS(GetQueuedCompletionStatus(p, &n, &key, &got, 0), WAIT_TIMEOUT);
	CHECK(SetFileCompletionNotificationModes(s, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS));
	CHECK(WriteFile(c, "now", 3, &n, NULL));
	CHECK(ReadFile(s, buf, 20, &n, &o));
	FAILS(GetQueuedCompletionStatus(p, &n, &key, &got, 0), WAIT_TIMEOUT);
	/* an end that fails */
	FAILS(ReadFile(s, buf, 20, NULL, &o), ERROR_IO_PENDING);
	CHECK(CloseHandle(c));
	got = NULL;
	FAILS(GetQueuedCompletionStatus(p, &n, &key, &got, 5000), ERROR_BROKEN_PIPE);
	CHECK(got == &o);
	FAILS(ReadFile(s, buf, 20, NULL, &o), ERROR_BROKEN_PIPE);
	FAILS(GetQueuedCompletionStatus(p, &n, &key, &got, 0), WAIT_TIMEOUT); /* it was told */
	/* what waits when the handle is closed */
	CHECK(CloseHandle(s));
	s = server(FILE_FLAG_OVERLAPPED, 1);
	CHECK(CreateIoCompletionPort(s, p, 5, 0) == p);
	FAILS(ConnectNamedPipe(s, &o), ERROR_IO_PENDING);
	CHECK(CloseHandle(s));
	got = NULL;
	CHECK(!GetQueuedCompletionStatus(p, &n, &key, &got, 5000));
	CHECK(got == &o);
	SAME(key, 5);
	CHECK(CloseHandle(p));
}

static DWORD WINAPI read_nothing(void *h)
{
	DWORD n;
	return ReadFile(h, &n, 0, &n, NULL) ? 0 : GetLastError();
}

static void synchronous(void)
{
	HANDLE r, w;
	DWORD code = 0, n;
	CHECK(CreatePipe(&r, &w, NULL, 0));
	HANDLE t = CreateThread(NULL, 0, read_nothing, r, 0, NULL);
	FAILS(CancelSynchronousIo(GetCurrentThread()), ERROR_NOT_FOUND);
	for (int i = 0; i < 500 && !CancelSynchronousIo(t); i++)
		Sleep(10);
	SAME(WaitForSingleObject(t, 5000), WAIT_OBJECT_0);
	CHECK(GetExitCodeThread(t, &code));
	SAME(code, ERROR_OPERATION_ABORTED);
	CHECK(CloseHandle(t));
	CHECK(WriteFile(w, "x", 1, &n, NULL));
	SAME(read_nothing(r), 0);
	CHECK(ReadFile(r, &code, 1, &n, NULL));
	CHECK(CloseHandle(w));
	SAME(read_nothing(r), ERROR_BROKEN_PIPE);
	CHECK(CloseHandle(r));
}

static int child(const char *arg)
{
	HANDLE h = (HANDLE)(ULONG_PTR)strtoull(arg, NULL, 16);
	char buf[20];
	DWORD n, pid = 0;
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
	if (!ReadFile(h, buf, 20, NULL, &o) && GetLastError() != ERROR_IO_PENDING)
		return 1;
	if (!GetOverlappedResult(h, &o, &n, TRUE))
		return 2;
	if (!GetNamedPipeServerProcessId(h, &pid) || pid == GetCurrentProcessId())
		return 3;
	buf[0] = '<';
	if (!WriteFile(h, buf, n, NULL, &o) && !GetOverlappedResult(h, &o, &n, TRUE))
		return 4;
	return 5;
}

/* An end that a child has inherited goes on there as it was opened here. */
static void inherited(const char *self)
{
	SECURITY_ATTRIBUTES sec = {sizeof sec, NULL, TRUE};
	STARTUPINFOA how = {.cb = sizeof how};
	PROCESS_INFORMATION p;
	char line[300], buf[20] = "";
	DWORD n = 0, code = 0;
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
	HANDLE s = server(FILE_FLAG_OVERLAPPED, 1);
	HANDLE c = CreateFileA(NAME, GENERIC_READ | GENERIC_WRITE, 0, &sec, OPEN_EXISTING,
			       FILE_FLAG_OVERLAPPED, NULL);
	snprintf(line, sizeof line, "\"%s\" child %llx", self, (unsigned long long)(ULONG_PTR)c);
	CHECK(CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &how, &p));
	CHECK(CloseHandle(c));
	FAILS(ReadFile(s, buf, 20, NULL, &o), ERROR_IO_PENDING);
	OVERLAPPED w = {0};
	CHECK(WriteFile(s, "-data", 5, &n, &w));
	CHECK(GetOverlappedResult(s, &o, &n, TRUE));
	SAME(n, 5);
	TEXT_IS(buf, "<data");
	SAME(WaitForSingleObject(p.hProcess, 20000), WAIT_OBJECT_0);
	CHECK(GetExitCodeProcess(p.hProcess, &code));
	SAME(code, 5);
	SetLastError(0);
	CHECK(!ReadFile(s, buf, 20, NULL, &o));
	if (GetLastError() == ERROR_IO_PENDING)
		CHECK(!GetOverlappedResult(s, &o, &n, TRUE));
	else
		checked++;
	SAME(GetLastError(), ERROR_BROKEN_PIPE);
	CHECK(CloseHandle(p.hProcess) && CloseHandle(p.hThread) && CloseHandle(s));
}

static DWORD called_error, called_bytes, calls;
static OVERLAPPED *called_with;
static void CALLBACK called(DWORD error, DWORD n, OVERLAPPED *o)
{
	calls++;
	called_error = error;
	called_bytes = n;
	called_with = o;
}

/* ReadFileEx and WriteFileEx: they do not wait, and call when the thread lets itself be called. */
static void with_calls(void)
{
	HANDLE s = server(FILE_FLAG_OVERLAPPED, 1), c = client(FILE_FLAG_OVERLAPPED);
	OVERLAPPED o = {0}, w = {0}, other = {0};
	char buf[20] = "";
	DWORD n = 7;
	CHECK(c != INVALID_HANDLE_VALUE);
	CHECK(ReadFileEx(s, buf, sizeof buf, &o, called));
	SAME(o.Internal, STATUS_PENDING);
	SAME(SleepEx(0, TRUE), 0);
	CHECK(WriteFileEx(c, "abc", 3, &w, called));
	SAME(SleepEx(5000, TRUE), WAIT_IO_COMPLETION);
	while (calls < 2 && SleepEx(5000, TRUE) == WAIT_IO_COMPLETION)
		;
	SAME(calls, 2);
	SAME(called_error, 0);
	SAME(called_bytes, 3);
	SAME(o.InternalHigh, 3);
	TEXT_IS(buf, "abc");
	/* what is there already is called for, too */
	CHECK(WriteFileEx(c, "defg", 4, &w, called));
	SAME(SleepEx(5000, TRUE), WAIT_IO_COMPLETION);
	CHECK(ReadFileEx(s, buf, sizeof buf, &o, called));
	SAME(calls, 3);
	SAME(SleepEx(5000, TRUE), WAIT_IO_COMPLETION);
	SAME(calls, 4);
	SAME(called_bytes, 4);
	CHECK(called_with == &o);
	/* called off */
	CHECK(ReadFileEx(s, buf, sizeof buf, &o, called));
	CHECK(CancelIoEx(s, &o));
	SAME(SleepEx(5000, TRUE), WAIT_IO_COMPLETION);
	SAME(called_error, ERROR_OPERATION_ABORTED);
	/* a result is waited for, and something else calls */
	other.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
	FAILS(ReadFile(s, buf, 2, NULL, &other), ERROR_IO_PENDING);
	CHECK(ReadFileEx(c, buf, sizeof buf, &o, called));
	CHECK(WriteFile(s, "x", 1, &n, &w) || GetLastError() == ERROR_IO_PENDING);
	FAILS(GetOverlappedResultEx(s, &other, &n, 5000, TRUE), WAIT_IO_COMPLETION);
	FAILS(GetOverlappedResultEx(s, &other, &n, 0, TRUE), ERROR_IO_INCOMPLETE);
	FAILS(GetOverlappedResultEx(s, &other, &n, 20, TRUE), WAIT_TIMEOUT);
	WriteFile(c, "yz", 2, &n, &w);
	CHECK(GetOverlappedResultEx(s, &other, &n, 5000, TRUE));
	SAME(n, 2);
	CloseHandle(other.hEvent);
	/* the other end goes */
	CHECK(ReadFileEx(s, buf, sizeof buf, &o, called));
	CHECK(CloseHandle(c));
	SAME(SleepEx(5000, TRUE), WAIT_IO_COMPLETION);
	SAME(called_error, ERROR_BROKEN_PIPE);
	FAILS(ReadFileEx(s, buf, sizeof buf, &o, called), ERROR_BROKEN_PIPE);
	CHECK(CloseHandle(s));
}

int main(int argc, char **argv)
{
	if (argc > 2)
		return child(argv[2]);
	names();
	bytes();
	connecting();
	overlapped();
	ports();
	synchronous();
	with_calls();
	inherited(argv[0]);
	return end();
}
