/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of folders: ReadDirectoryChangesW, waiting, with events, ports and calls, and
 * FindFirstChangeNotification. */
#include "test.h"
#include <stdlib.h>

#define NAMES (FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME)
#define DIR   "C:\\Temp\\watched"

static HANDLE folder(DWORD flags)
{
	HANDLE h = CreateFileA(DIR, FILE_LIST_DIRECTORY, 7, NULL, OPEN_EXISTING,
			       FILE_FLAG_BACKUP_SEMANTICS | flags, NULL);
	CHECK(h != INVALID_HANDLE_VALUE);
	return h;
}

static void put(const char *name, const char *text)
{
	DWORD n;
	HANDLE h = CreateFileA(name, GENERIC_WRITE, 7, NULL, OPEN_ALWAYS, 0, NULL);
	CHECK(h != INVALID_HANDLE_VALUE);
	if (text)
		CHECK(WriteFile(h, text, (DWORD)strlen(text), &n, NULL));
	CHECK(CloseHandle(h));
}

/* "+name -name ...": what @n bytes at @buf say. */
static const char *told(const void *buf, DWORD n)
{
	static char text[2000];
	static const char kinds[] = "?+-*<>";
	const char *p = buf;
	text[0] = 0;
	while (n) {
		const FILE_NOTIFY_INFORMATION *i = (const void *)p;
		wchar_t name[300] = {0};
		memcpy(name, i->FileName, i->FileNameLength);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%c%s",
			 *text ? " " : "", kinds[i->Action < 6 ? i->Action : 0], narrow(name));
		if (!i->NextEntryOffset)
			break;
		p += i->NextEntryOffset;
	}
	return text;
}

/* All that comes in 200 ms at @h, which is overlapped. */
static const char *collected(HANDLE h, BOOL deep, DWORD filter, OVERLAPPED *o, DWORD *buf,
			     DWORD len)
{
	static char all[4000];
	DWORD n;
	all[0] = 0;
	while (WaitForSingleObject(o->hEvent, 200) == WAIT_OBJECT_0) {
		if (!GetOverlappedResult(h, o, &n, FALSE))
			break;
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", *all ? " " : "",
			 told(buf, n));
		if (!ReadDirectoryChangesW(h, buf, len, deep, filter, NULL, o, NULL))
			break;
	}
	return all;
}

static void names(void)
{
	DWORD buf[1000];
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, TRUE, NULL)};
	HANDLE h = folder(FILE_FLAG_OVERLAPPED);
	DWORD n = 7;
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, NAMES, NULL, &o, NULL));
	SAME(WaitForSingleObject(o.hEvent, 50), WAIT_TIMEOUT);
	FAILS(GetOverlappedResult(h, &o, &n, FALSE), ERROR_IO_INCOMPLETE);
	CHECK(!HasOverlappedIoCompleted(&o));
	put(DIR "\\one", NULL);
	TEXT_IS(collected(h, FALSE, NAMES, &o, buf, sizeof buf), "+one");
	put(DIR "\\one", "text");
	TEXT_IS(collected(h, FALSE, NAMES, &o, buf, sizeof buf), "");
	CHECK(MoveFileA(DIR "\\one", DIR "\\two"));
	TEXT_IS(collected(h, FALSE, NAMES, &o, buf, sizeof buf), "<one >two");
	CHECK(CreateDirectoryA(DIR "\\sub", NULL));
	TEXT_IS(collected(h, FALSE, NAMES, &o, buf, sizeof buf), "+sub");
	put(DIR "\\sub\\x", "text");
	TEXT_IS(collected(h, FALSE, NAMES, &o, buf, sizeof buf), "");
	CHECK(MoveFileA(DIR "\\two", DIR "\\sub\\two"));
	TEXT_IS(collected(h, FALSE, NAMES, &o, buf, sizeof buf), "-two");
	CHECK(MoveFileA(DIR "\\sub\\two", DIR "\\back"));
	TEXT_IS(collected(h, FALSE, NAMES, &o, buf, sizeof buf), "+back");
	CHECK(DeleteFileA(DIR "\\back"));
	CHECK(DeleteFileA(DIR "\\sub\\x"));
	CHECK(RemoveDirectoryA(DIR "\\sub"));
	TEXT_IS(collected(h, FALSE, NAMES, &o, buf, sizeof buf), "-back -sub");
	CHECK(CancelIo(h));
	SAME(WaitForSingleObject(o.hEvent, 1000), WAIT_OBJECT_0);
	FAILS(GetOverlappedResult(h, &o, &n, FALSE), ERROR_OPERATION_ABORTED);
	CHECK(CloseHandle(h));
	CHECK(CloseHandle(o.hEvent));
}

static void kept(void)
{
	DWORD buf[1000];
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
	HANDLE h = folder(FILE_FLAG_OVERLAPPED);
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, NAMES, NULL, &o, NULL));
	put(DIR "\\a", NULL);
	SAME(WaitForSingleObject(o.hEvent, 2000), WAIT_OBJECT_0);
	put(DIR "\\b", NULL); /* nobody asks */
	Sleep(50);
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, NAMES, NULL, &o, NULL));
	TEXT_IS(collected(h, FALSE, NAMES, &o, buf, sizeof buf), "+b");
	CHECK(DeleteFileA(DIR "\\a"));
	CHECK(DeleteFileA(DIR "\\b"));
	CHECK(CloseHandle(h));
	CHECK(CloseHandle(o.hEvent));
}

static void contents(void)
{
	DWORD buf[1000], what = FILE_NOTIFY_CHANGE_SIZE | FILE_NOTIFY_CHANGE_LAST_WRITE;
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
	put(DIR "\\f", "1");
	HANDLE h = folder(FILE_FLAG_OVERLAPPED);
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, what, NULL, &o, NULL));
	put(DIR "\\f", "longer");
	CHECK(!strncmp(collected(h, FALSE, what, &o, buf, sizeof buf), "*f", 2));
	CHECK(DeleteFileA(DIR "\\f"));
	TEXT_IS(collected(h, FALSE, what, &o, buf, sizeof buf), "");
	CHECK(CloseHandle(h));
	what = FILE_NOTIFY_CHANGE_ATTRIBUTES;
	put(DIR "\\f", "1");
	h = folder(FILE_FLAG_OVERLAPPED);
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, what, NULL, &o, NULL));
	CHECK(SetFileAttributesA(DIR "\\f", FILE_ATTRIBUTE_READONLY));
	CHECK(!strncmp(collected(h, FALSE, what, &o, buf, sizeof buf), "*f", 2));
	CHECK(SetFileAttributesA(DIR "\\f", FILE_ATTRIBUTE_NORMAL));
	CHECK(DeleteFileA(DIR "\\f"));
	CHECK(CloseHandle(h));
	CHECK(CloseHandle(o.hEvent));
}

static void deep(void)
{
	DWORD buf[1000];
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
	CHECK(CreateDirectoryA(DIR "\\d", NULL));
	CHECK(CreateDirectoryA(DIR "\\d\\e", NULL));
	HANDLE h = folder(FILE_FLAG_OVERLAPPED);
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, TRUE, NAMES, NULL, &o, NULL));
	put(DIR "\\d\\e\\file", NULL);
	TEXT_IS(collected(h, TRUE, NAMES, &o, buf, sizeof buf), "+d\\e\\file");
	CHECK(CreateDirectoryA(DIR "\\d\\new", NULL));
	TEXT_IS(collected(h, TRUE, NAMES, &o, buf, sizeof buf), "+d\\new");
	put(DIR "\\d\\new\\x", NULL);
	TEXT_IS(collected(h, TRUE, NAMES, &o, buf, sizeof buf), "+d\\new\\x");
	CHECK(MoveFileA(DIR "\\d\\new", DIR "\\d\\other"));
	TEXT_IS(collected(h, TRUE, NAMES, &o, buf, sizeof buf), "<d\\new >d\\other");
	CHECK(MoveFileA(DIR "\\d\\other\\x", DIR "\\d\\other\\y"));
	TEXT_IS(collected(h, TRUE, NAMES, &o, buf, sizeof buf), "<d\\other\\x >d\\other\\y");
	CHECK(DeleteFileA(DIR "\\d\\other\\y"));
	CHECK(RemoveDirectoryA(DIR "\\d\\other"));
	TEXT_IS(collected(h, TRUE, NAMES, &o, buf, sizeof buf), "-d\\other\\y -d\\other");
	CHECK(DeleteFileA(DIR "\\d\\e\\file"));
	CHECK(RemoveDirectoryA(DIR "\\d\\e"));
	CHECK(RemoveDirectoryA(DIR "\\d"));
	CHECK(CloseHandle(h));
	CHECK(CloseHandle(o.hEvent));
}

static void ports(void)
{
	DWORD buf[1000], n = 0;
	ULONG_PTR key = 0;
	OVERLAPPED o = {0}, *back = NULL;
	HANDLE h = folder(FILE_FLAG_OVERLAPPED);
	HANDLE port = CreateIoCompletionPort(h, NULL, 99, 0);
	CHECK(port);
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, NAMES, &n, &o, NULL));
	FAILS(GetQueuedCompletionStatus(port, &n, &key, &back, 50), WAIT_TIMEOUT);
	put(DIR "\\p", NULL);
	CHECK(GetQueuedCompletionStatus(port, &n, &key, &back, 2000));
	SAME(key, 99);
	CHECK(back == &o);
	TEXT_IS(told(buf, n), "+p");
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, NAMES, &n, &o, NULL));
	FAILS(CancelIoEx(h, (OVERLAPPED *)buf), ERROR_NOT_FOUND);
	CHECK(CancelIoEx(h, &o));
	FAILS(GetQueuedCompletionStatus(port, &n, &key, &back, 2000), ERROR_OPERATION_ABORTED);
	CHECK(back == &o);
	FAILS(CancelIoEx(h, &o), ERROR_NOT_FOUND);
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, NAMES, &n, &o, NULL));
	CHECK(CloseHandle(h)); /* its end is an end, too */
	back = NULL;
	CHECK(GetQueuedCompletionStatus(port, &n, &key, &back, 2000));
	CHECK(back == &o);
	SAME(n, 0);
	CHECK(DeleteFileA(DIR "\\p"));
	CHECK(CloseHandle(port));
}

static DWORD called_error = 1, called_n;
static void CALLBACK called(DWORD error, DWORD n, OVERLAPPED *o)
{
	called_error = error;
	called_n = n;
	(void)o;
}

static void calls(void)
{
	DWORD buf[1000];
	OVERLAPPED o = {0};
	HANDLE h = folder(FILE_FLAG_OVERLAPPED);
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, NAMES, NULL, &o, called));
	SAME(SleepEx(50, TRUE), 0);
	put(DIR "\\c", NULL);
	SAME(SleepEx(2000, TRUE), WAIT_IO_COMPLETION);
	SAME(called_error, 0);
	TEXT_IS(told(buf, called_n), "+c");
	CHECK(DeleteFileA(DIR "\\c"));
	CHECK(CloseHandle(h));
}

static DWORD CALLBACK maker(void *arg)
{
	(void)arg;
	Sleep(100);
	put(DIR "\\waited", NULL);
	return 0;
}

static void waiting(void)
{
	DWORD buf[1000], n = 0;
	HANDLE h = folder(0), t = CreateThread(NULL, 0, maker, NULL, 0, NULL);
	CHECK(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, NAMES, &n, NULL, NULL));
	TEXT_IS(told(buf, n), "+waited");
	SAME(WaitForSingleObject(t, 5000), WAIT_OBJECT_0);
	CHECK(DeleteFileA(DIR "\\waited"));
	CHECK(CloseHandle(t));
	CHECK(CloseHandle(h));
}

static void too_many(void)
{
	DWORD small[4], n = 7;
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
	HANDLE h = folder(FILE_FLAG_OVERLAPPED);
	CHECK(ReadDirectoryChangesW(h, small, sizeof small, FALSE, NAMES, NULL, &o, NULL));
	put(DIR "\\a name that is longer", NULL);
	CHECK(GetOverlappedResult(h, &o, &n, TRUE));
	SAME(n, 0); /* one has to look */
	CHECK(DeleteFileA(DIR "\\a name that is longer"));
	CHECK(CloseHandle(h));
	CHECK(CloseHandle(o.hEvent));
}

static void refused(void)
{
	DWORD buf[100], n;
	OVERLAPPED o = {0};
	put(DIR "\\file", NULL);
	HANDLE f = CreateFileA(DIR "\\file", GENERIC_READ, 7, NULL, OPEN_EXISTING,
			       FILE_FLAG_OVERLAPPED, NULL);
	FAILS(ReadDirectoryChangesW(f, buf, sizeof buf, FALSE, NAMES, &n, &o, NULL),
	      ERROR_INVALID_PARAMETER);
	CHECK(CloseHandle(f));
	CHECK(DeleteFileA(DIR "\\file"));
	HANDLE h = folder(FILE_FLAG_OVERLAPPED);
	FAILS(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, 0, &n, &o, NULL),
	      ERROR_INVALID_PARAMETER);
	CHECK(CloseHandle(h));
	FAILS(ReadDirectoryChangesW(h, buf, sizeof buf, FALSE, NAMES, &n, &o, NULL),
	      ERROR_INVALID_HANDLE);
	FAILS(FindFirstChangeNotificationA(DIR "\\nosuch", FALSE, NAMES) != INVALID_HANDLE_VALUE,
	      ERROR_FILE_NOT_FOUND);
	FAILS(FindFirstChangeNotificationA(DIR, FALSE, 0) != INVALID_HANDLE_VALUE,
	      ERROR_INVALID_PARAMETER);
}

static void notifications(void)
{
	HANDLE h = FindFirstChangeNotificationA(DIR, FALSE, FILE_NOTIFY_CHANGE_FILE_NAME);
	CHECK(h != INVALID_HANDLE_VALUE);
	SAME(WaitForSingleObject(h, 50), WAIT_TIMEOUT);
	put(DIR "\\n", NULL);
	SAME(WaitForSingleObject(h, 2000), WAIT_OBJECT_0);
	SAME(WaitForSingleObject(h, 0), WAIT_OBJECT_0);
	CHECK(FindNextChangeNotification(h));
	SAME(WaitForSingleObject(h, 50), WAIT_TIMEOUT);
	CHECK(CreateDirectoryA(DIR "\\m", NULL));
	SAME(WaitForSingleObject(h, 50), WAIT_TIMEOUT);
	CHECK(DeleteFileA(DIR "\\n"));
	SAME(WaitForSingleObject(h, 2000), WAIT_OBJECT_0);
	put(DIR "\\n", NULL); /* before it is asked for */
	CHECK(FindNextChangeNotification(h));
	SAME(WaitForSingleObject(h, 2000), WAIT_OBJECT_0);
	CHECK(FindCloseChangeNotification(h));
	FAILS(FindNextChangeNotification(h), ERROR_INVALID_HANDLE);
	h = FindFirstChangeNotificationW(L"C:\\Temp\\watched", TRUE, FILE_NOTIFY_CHANGE_FILE_NAME);
	CHECK(h != INVALID_HANDLE_VALUE);
	put(DIR "\\m\\deep", NULL);
	SAME(WaitForSingleObject(h, 2000), WAIT_OBJECT_0);
	CHECK(FindCloseChangeNotification(h));
	CHECK(DeleteFileA(DIR "\\m\\deep"));
	CHECK(DeleteFileA(DIR "\\n"));
	CHECK(RemoveDirectoryA(DIR "\\m"));
}

int main(void)
{
	CHECK(CreateDirectoryA(DIR, NULL));
	names();
	kept();
	contents();
	deep();
	ports();
	calls();
	waiting();
	too_many();
	refused();
	notifications();
	CHECK(RemoveDirectoryA(DIR));
	return end();
}
