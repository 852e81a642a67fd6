/* SPDX-License-Identifier: Apache-2.0 */
/* Files, folders, paths. */
#include "test.h"

static void paths(void)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
	    {"C:\\a\\..\\b", "C:\\b"},  {"C:\\a\\.\\b\\", "C:\\a\\b\\"}, {"C:/x/y", "C:\\x\\y"},
	    {"C:\\..\\..\\a", "C:\\a"}, {"C:\\a.\\b. ", "C:\\a\\b"},     {"\\\\?\\C:\\a", "C:\\a"},
	    {"C:\\a\\\\b", "C:\\a\\b"}, {"nul", "\\\\.\\nul"},           {"NUL", "\\\\.\\NUL"}};
	char buf[300], small[4];
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].in[0] == '\\')
			continue;
		SAME(GetFullPathNameA(rows[i].in, sizeof buf, buf, NULL), strlen(rows[i].want));
		TEXT_IS(buf, rows[i].want);
	}
	char *part = NULL;
	GetFullPathNameA("C:\\one\\two.txt", sizeof buf, buf, &part);
	TEXT_IS(part, "two.txt");
	SAME(GetFullPathNameA("C:\\one\\two.txt", sizeof small, small, NULL), 15);
	CHECK(GetCurrentDirectoryA(sizeof buf, buf) > 2);
	CHECK(SetCurrentDirectoryA("C:\\Temp"));
	GetCurrentDirectoryA(sizeof buf, buf);
	TEXT_IS(buf, "C:\\Temp");
	GetFullPathNameA("x", sizeof buf, buf, NULL);
	TEXT_IS(buf, "C:\\Temp\\x");
	GetFullPathNameA("\\x", sizeof buf, buf, NULL);
	TEXT_IS(buf, "C:\\x");
	GetFullPathNameA("C:x", sizeof buf, buf, NULL);
	TEXT_IS(buf, "C:\\Temp\\x");
	FAILS(SetCurrentDirectoryA("C:\\nothing"), ERROR_FILE_NOT_FOUND);
	SAME(GetTempPathA(sizeof buf, buf), 8);
	TEXT_IS(buf, "C:\\Temp\\");
}

static void write_some(const char *name, const char *text)
{
	DWORD n = 0;
	HANDLE h = CreateFileA(name, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
	CHECK(h != INVALID_HANDLE_VALUE);
	CHECK(WriteFile(h, text, (DWORD)strlen(text), &n, NULL));
	SAME(n, strlen(text));
	CHECK(CloseHandle(h));
}

static HANDLE open_as(const char *name, DWORD how)
{
	SetLastError(0xbad);
	return CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, how, 0, NULL);
}

static void opening(void)
{
	write_some("a.txt", "hello");
	HANDLE h = open_as("a.txt", CREATE_NEW);
	CHECK(h == INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_FILE_EXISTS);
	h = open_as("A.TXT", OPEN_EXISTING);
	CHECK(h != INVALID_HANDLE_VALUE);
	SAME(GetFileSize(h, NULL), 5);
	SAME(GetFileType(h), FILE_TYPE_DISK);
	CloseHandle(h);
	h = open_as("a.txt", OPEN_ALWAYS);
	SAME(GetLastError(), ERROR_ALREADY_EXISTS);
	SAME(GetFileSize(h, NULL), 5);
	CloseHandle(h);
	h = open_as("a.txt", CREATE_ALWAYS);
	SAME(GetLastError(), ERROR_ALREADY_EXISTS);
	SAME(GetFileSize(h, NULL), 0);
	CloseHandle(h);
	h = open_as("new.txt", CREATE_NEW);
	SAME(GetLastError(), 0);
	CloseHandle(h);
	CHECK(DeleteFileA("new.txt"));
	h = open_as("none.txt", OPEN_EXISTING);
	CHECK(h == INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_FILE_NOT_FOUND);
	h = open_as("none\\none.txt", OPEN_EXISTING);
	SAME(GetLastError(), ERROR_PATH_NOT_FOUND);
	h = open_as("none.txt", TRUNCATE_EXISTING);
	SAME(GetLastError(), ERROR_FILE_NOT_FOUND);
	h = open_as("C:\\Temp", OPEN_EXISTING);
	CHECK(h == INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_ACCESS_DENIED);
	h = CreateFileA("C:\\Temp", GENERIC_READ, 7, NULL, OPEN_EXISTING,
			FILE_FLAG_BACKUP_SEMANTICS, NULL);
	CHECK(h != INVALID_HANDLE_VALUE);
	CHECK(CloseHandle(h));
	FAILS(CloseHandle((HANDLE)0x123400), ERROR_INVALID_HANDLE);
	h = open_as("Q:\\x", OPEN_EXISTING);
	SAME(GetLastError(), ERROR_PATH_NOT_FOUND);
	h = open_as("nul", OPEN_EXISTING);
	CHECK(h != INVALID_HANDLE_VALUE);
	SAME(GetFileType(h), FILE_TYPE_CHAR);
	CloseHandle(h);
}

static void positions(void)
{
	char buf[32];
	DWORD n;
	LARGE_INTEGER at, got;
	write_some("p.txt", "0123456789");
	HANDLE h = open_as("p.txt", OPEN_EXISTING);
	SAME(SetFilePointer(h, 4, NULL, FILE_BEGIN), 4);
	CHECK(ReadFile(h, buf, 3, &n, NULL));
	SAME(n, 3);
	CHECK(!memcmp(buf, "456", 3));
	SAME(SetFilePointer(h, -2, NULL, FILE_CURRENT), 5);
	SAME(SetFilePointer(h, 0, NULL, FILE_END), 10);
	CHECK(ReadFile(h, buf, 3, &n, NULL));
	SAME(n, 0);
	at.QuadPart = 20;
	CHECK(SetFilePointerEx(h, at, &got, FILE_BEGIN));
	SAME(got.QuadPart, 20);
	CHECK(SetEndOfFile(h));
	SAME(GetFileSize(h, NULL), 20);
	SAME(SetFilePointer(h, -1, NULL, FILE_BEGIN), INVALID_SET_FILE_POINTER);
	SAME(GetLastError(), ERROR_NEGATIVE_SEEK);
	OVERLAPPED o = {.Offset = 2};
	CHECK(ReadFile(h, buf, 4, &n, &o));
	SAME(n, 4);
	CHECK(!memcmp(buf, "2345", 4));
	o.Offset = 100;
	FAILS(ReadFile(h, buf, 4, &n, &o), ERROR_HANDLE_EOF);
	CHECK(CloseHandle(h));
	FAILS(ReadFile(h, buf, 1, &n, NULL), ERROR_INVALID_HANDLE);
	CHECK(DeleteFileA("p.txt"));
	FAILS(DeleteFileA("p.txt"), ERROR_FILE_NOT_FOUND);
}

static void folders(void)
{
	WIN32_FIND_DATAW d;
	int files = 0, dots = 0;
	CHECK(CreateDirectoryA("dir", NULL));
	FAILS(CreateDirectoryA("dir", NULL), ERROR_ALREADY_EXISTS);
	FAILS(CreateDirectoryA("no\\dir", NULL), ERROR_PATH_NOT_FOUND);
	write_some("dir\\One.txt", "1");
	write_some("dir\\two.txt", "22");
	write_some("dir\\three.dat", "333");
	HANDLE h = FindFirstFileW(L"dir\\*.TXT", &d);
	CHECK(h != INVALID_HANDLE_VALUE);
	do
		files++;
	while (FindNextFileW(h, &d));
	SAME(GetLastError(), ERROR_NO_MORE_FILES);
	SAME(files, 2);
	CHECK(FindClose(h));
	h = FindFirstFileW(L"dir\\*", &d);
	for (files = 0; h != INVALID_HANDLE_VALUE;) {
		files++;
		dots += d.cFileName[0] == '.';
		if (!FindNextFileW(h, &d))
			break;
	}
	FindClose(h);
	SAME(files, 5);
	SAME(dots, 2);
	h = FindFirstFileW(L"dir\\THREE.dat", &d);
	CHECK(h != INVALID_HANDLE_VALUE);
	SAME(d.nFileSizeLow, 3);
	SAME(wcscmp(d.cFileName, L"three.dat"), 0);
	FAILS(FindNextFileW(h, &d), ERROR_NO_MORE_FILES);
	FindClose(h);
	CHECK(FindFirstFileW(L"dir\\three", &d) == INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_FILE_NOT_FOUND);
	CHECK(FindFirstFileW(L"dir\\three.dat\\x", &d) == INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_DIRECTORY);
	CHECK(FindFirstFileW(L"dir\\none*", &d) == INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_FILE_NOT_FOUND);
	CHECK(FindFirstFileW(L"none\\*", &d) == INVALID_HANDLE_VALUE);
	SAME(GetLastError(), ERROR_PATH_NOT_FOUND);
	SAME(GetFileAttributesA("dir"), FILE_ATTRIBUTE_DIRECTORY);
	SAME(GetFileAttributesA("dir\\one.txt"), FILE_ATTRIBUTE_ARCHIVE);
	SAME(GetFileAttributesA("none"), INVALID_FILE_ATTRIBUTES);
	FAILS(RemoveDirectoryA("dir"), ERROR_DIR_NOT_EMPTY);
	CHECK(MoveFileA("dir\\one.txt", "dir\\moved.txt"));
	FAILS(MoveFileA("dir\\two.txt", "dir\\moved.txt"), ERROR_ALREADY_EXISTS);
	CHECK(MoveFileExA("dir\\two.txt", "dir\\moved.txt", MOVEFILE_REPLACE_EXISTING));
	CHECK(CopyFileA("dir\\moved.txt", "dir\\copy.txt", TRUE));
	FAILS(CopyFileA("dir\\moved.txt", "dir\\copy.txt", TRUE), ERROR_FILE_EXISTS);
	CHECK(SetFileAttributesA("dir\\copy.txt", FILE_ATTRIBUTE_READONLY));
	CHECK(GetFileAttributesA("dir\\copy.txt") & FILE_ATTRIBUTE_READONLY);
	FAILS(DeleteFileA("dir\\copy.txt"), ERROR_ACCESS_DENIED);
	CHECK(SetFileAttributesA("dir\\copy.txt", FILE_ATTRIBUTE_NORMAL));
	CHECK(DeleteFileA("dir\\copy.txt"));
	CHECK(DeleteFileA("dir\\moved.txt"));
	CHECK(DeleteFileA("dir\\three.dat"));
	CHECK(RemoveDirectoryA("dir"));
}

static void entries(void)
{
	union {
		FILE_ID_BOTH_DIR_INFO d;
		char room[200];
	} buf;
	int n = 0;
	CHECK(CreateDirectoryA("list", NULL));
	write_some("list\\one", "1");
	write_some("list\\two", "22");
	HANDLE h = CreateFileA("list", GENERIC_READ, 7, NULL, OPEN_EXISTING,
			       FILE_FLAG_BACKUP_SEMANTICS, NULL);
	while (GetFileInformationByHandleEx(h, FileIdBothDirectoryInfo, &buf, sizeof buf)) {
		FILE_ID_BOTH_DIR_INFO *d = &buf.d;
		for (;; d = (FILE_ID_BOTH_DIR_INFO *)((char *)d + d->NextEntryOffset)) {
			n++;
			CHECK(d->FileNameLength >= 2 && d->FileNameLength <= 6);
			if (!d->NextEntryOffset)
				break;
		}
	}
	SAME(GetLastError(), ERROR_NO_MORE_FILES);
	SAME(n, 4);
	CloseHandle(h);
	DeleteFileA("list\\one");
	DeleteFileA("list\\two");
	CHECK(RemoveDirectoryA("list"));
}

static void times(void)
{
	HANDLE h = open_as("t.txt", CREATE_ALWAYS);
	SYSTEMTIME st = {2020, 2, 0, 29, 12, 34, 56, 0}, back;
	FILETIME ft, got;
	BY_HANDLE_FILE_INFORMATION info;
	CHECK(SystemTimeToFileTime(&st, &ft));
	CHECK(SetFileTime(h, NULL, NULL, &ft));
	CHECK(GetFileTime(h, NULL, NULL, &got));
	SAME(CompareFileTime(&ft, &got), 0);
	CHECK(FileTimeToSystemTime(&got, &back));
	SAME(back.wYear, 2020);
	SAME(back.wMonth, 2);
	SAME(back.wDay, 29);
	SAME(back.wDayOfWeek, 6);
	SAME(back.wHour, 12);
	SAME(back.wSecond, 56);
	CHECK(GetFileInformationByHandle(h, &info));
	SAME(info.nNumberOfLinks, 1);
	SAME(info.nFileSizeLow, 0);
	CloseHandle(h);
	WORD date, time;
	CHECK(FileTimeToDosDateTime(&ft, &date, &time));
	SAME(date, (40 << 9) | (2 << 5) | 29);
	SAME(time, (12 << 11) | (34 << 5) | 28);
	DeleteFileA("t.txt");
}

static void pipes(void)
{
	HANDLE r, w;
	DWORD n, there;
	char buf[8];
	CHECK(CreatePipe(&r, &w, NULL, 0));
	SAME(GetFileType(r), FILE_TYPE_PIPE);
	CHECK(PeekNamedPipe(r, NULL, 0, NULL, &there, NULL));
	SAME(there, 0);
	CHECK(WriteFile(w, "abc", 3, &n, NULL));
	CHECK(PeekNamedPipe(r, NULL, 0, NULL, &there, NULL));
	SAME(there, 3);
	CHECK(ReadFile(r, buf, sizeof buf, &n, NULL));
	SAME(n, 3);
	CloseHandle(w);
	FAILS(ReadFile(r, buf, sizeof buf, &n, NULL), ERROR_BROKEN_PIPE);
	CloseHandle(r);
}

int main(void)
{
	paths();
	opening();
	positions();
	folders();
	entries();
	times();
	pipes();
	DeleteFileA("a.txt");
	return end();
}
