/* SPDX-License-Identifier: Apache-2.0 */
/* How files are opened: what may share them, what there must be, attributes, sizes, locks. */
#include "test.h"

static HANDLE file(DWORD access, DWORD share, DWORD how, DWORD flags)
{
	SetLastError(0xbad);
	return CreateFileA("s.dat", access, share, NULL, how, flags, NULL);
}

/* What @access needs others to share. */
static DWORD needed(DWORD access)
{
	return (access & GENERIC_READ ? FILE_SHARE_READ : 0) |
	       (access & GENERIC_WRITE ? FILE_SHARE_WRITE : 0) |
	       (access & DELETE ? FILE_SHARE_DELETE : 0);
}

/* Two that open a file: the second may if each allows what the other does. */
static void pairs(void)
{
	static const DWORD access[] = {0, GENERIC_READ, GENERIC_WRITE, GENERIC_READ | GENERIC_WRITE,
				       DELETE};
	static const DWORD share[] = {0, 1, 2, 3, 7};
	CloseHandle(file(GENERIC_WRITE, 0, CREATE_ALWAYS, 0));
	for (int i = 0; i < 125; i++) {
		/* of the first all combinations, of the second those that are not the same again */
		DWORD a = access[i % 5], b = access[i / 5 % 5], s = share[i / 25],
		      t = share[(i + i / 5) % 5];
		int may = (!needed(a) || !needed(b)) || (!(needed(a) & ~t) && !(needed(b) & ~s));
		char name[80];
		sprintf(name, "%lx sharing %lu, then %lx sharing %lu", a, s, b, t);
		HANDLE one = file(a, s, OPEN_EXISTING, 0), two;
		IS(name, one != INVALID_HANDLE_VALUE, TRUE);
		two = file(b, t, OPEN_EXISTING, 0);
		IS(name, two != INVALID_HANDLE_VALUE, may);
		if (two == INVALID_HANDLE_VALUE)
			IS(name, GetLastError(), ERROR_SHARING_VIOLATION);
		CloseHandle(two);
		CloseHandle(one);
	}
	DeleteFileA("s.dat");
}

static void dispositions(void)
{
	static const struct {
		const char *name;
		DWORD how;
		int there; /* before */
		DWORD access, error;
		int opened, size;
	} rows[] = {
	    {"new, not there", CREATE_NEW, 0, GENERIC_WRITE, 0, 1, 0},
	    {"new, there", CREATE_NEW, 1, GENERIC_WRITE, ERROR_FILE_EXISTS, 0, 3},
	    {"always new, not there", CREATE_ALWAYS, 0, GENERIC_WRITE, 0, 1, 0},
	    {"always new, there", CREATE_ALWAYS, 1, GENERIC_WRITE, ERROR_ALREADY_EXISTS, 1, 0},
	    {"existing, not there", OPEN_EXISTING, 0, GENERIC_READ, ERROR_FILE_NOT_FOUND, 0, -1},
	    {"existing, there", OPEN_EXISTING, 1, GENERIC_READ, 0, 1, 3},
	    {"always open, not there", OPEN_ALWAYS, 0, GENERIC_WRITE, 0, 1, 0},
	    {"always open, there", OPEN_ALWAYS, 1, GENERIC_READ, ERROR_ALREADY_EXISTS, 1, 3},
	    {"truncate, not there", TRUNCATE_EXISTING, 0, GENERIC_WRITE, ERROR_FILE_NOT_FOUND, 0,
	     -1},
	    {"truncate, there", TRUNCATE_EXISTING, 1, GENERIC_WRITE, 0, 1, 0},
	    {"truncate, to read", TRUNCATE_EXISTING, 1, GENERIC_READ, ERROR_INVALID_PARAMETER, 0,
	     3},
	    {"none of them", 0, 1, GENERIC_READ, ERROR_INVALID_PARAMETER, 0, 3},
	    {"beyond them", 6, 1, GENERIC_READ, ERROR_INVALID_PARAMETER, 0, 3}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		DWORD n;
		WIN32_FILE_ATTRIBUTE_DATA d;
		DeleteFileA("s.dat");
		if (rows[i].there) {
			HANDLE h = file(GENERIC_WRITE, 0, CREATE_ALWAYS, 0);
			WriteFile(h, "abc", 3, &n, NULL);
			CloseHandle(h);
		}
		HANDLE h = file(rows[i].access, 0, rows[i].how, 0);
		IS(rows[i].name, GetLastError(), rows[i].error);
		IS(rows[i].name, h != INVALID_HANDLE_VALUE, rows[i].opened);
		CloseHandle(h);
		IS(rows[i].name, GetFileAttributesExA("s.dat", GetFileExInfoStandard, &d),
		   rows[i].size >= 0);
		if (rows[i].size >= 0)
			IS(rows[i].name, d.nFileSizeLow, rows[i].size);
	}
	DeleteFileA("s.dat");
}

static void attributes(void)
{
	static const struct {
		DWORD set, want;
	} rows[] = {{FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_NORMAL},
		    {FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_READONLY},
		    {FILE_ATTRIBUTE_ARCHIVE, FILE_ATTRIBUTE_ARCHIVE},
		    {FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_ARCHIVE,
		     FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_ARCHIVE}};
	CloseHandle(file(GENERIC_WRITE, 0, CREATE_ALWAYS, 0));
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[20];
		sprintf(name, "attributes %lx", rows[i].set);
		IS(name, SetFileAttributesA("s.dat", rows[i].set), TRUE);
		IS(name, GetFileAttributesA("s.dat") & FILE_ATTRIBUTE_READONLY,
		   rows[i].want & FILE_ATTRIBUTE_READONLY);
		HANDLE h = file(GENERIC_WRITE, 7, OPEN_EXISTING, 0);
		IS(name, h != INVALID_HANDLE_VALUE, !(rows[i].set & FILE_ATTRIBUTE_READONLY));
		IS(name, h != INVALID_HANDLE_VALUE || GetLastError() == ERROR_ACCESS_DENIED, TRUE);
		CloseHandle(h);
		h = file(GENERIC_READ, 7, OPEN_EXISTING, 0);
		IS(name, h != INVALID_HANDLE_VALUE, TRUE);
		CloseHandle(h);
	}
	FAILS(DeleteFileA("s.dat"), ERROR_ACCESS_DENIED);
	CHECK(SetFileAttributesA("s.dat", FILE_ATTRIBUTE_NORMAL));
	CHECK(DeleteFileA("s.dat"));
	FAILS(SetFileAttributesA("none", FILE_ATTRIBUTE_NORMAL), ERROR_FILE_NOT_FOUND);
	HANDLE h = file(GENERIC_READ | GENERIC_WRITE, 7, CREATE_NEW, FILE_FLAG_DELETE_ON_CLOSE);
	CHECK(h != INVALID_HANDLE_VALUE);
	CHECK(CloseHandle(h));
	SAME(GetFileAttributesA("s.dat"), INVALID_FILE_ATTRIBUTES);
	h = file(GENERIC_WRITE, FILE_SHARE_DELETE, CREATE_NEW, 0);
	CHECK(DeleteFileA("s.dat"));
	CHECK(CloseHandle(h));
	SAME(GetFileAttributesA("s.dat"), INVALID_FILE_ATTRIBUTES);
	h = file(GENERIC_WRITE, 0, CREATE_NEW, 0);
	FAILS(DeleteFileA("s.dat"), ERROR_SHARING_VIOLATION);
	FAILS(MoveFileA("s.dat", "t.dat"), ERROR_SHARING_VIOLATION);
	CloseHandle(h);
	CHECK(MoveFileA("s.dat", "t.dat"));
	CHECK(DeleteFileA("t.dat"));
}

static void access_rights(void)
{
	char buf[8];
	DWORD n = 7;
	HANDLE h = file(GENERIC_WRITE, 0, CREATE_ALWAYS, 0);
	CHECK(WriteFile(h, "0123456789", 10, &n, NULL));
	SAME(n, 10);
	FAILS(ReadFile(h, buf, 1, &n, NULL), ERROR_ACCESS_DENIED);
	CHECK(CloseHandle(h));
	h = file(GENERIC_READ, 0, OPEN_EXISTING, 0);
	FAILS(WriteFile(h, "x", 1, &n, NULL), ERROR_ACCESS_DENIED);
	FAILS(SetEndOfFile(h), ERROR_ACCESS_DENIED);
	CHECK(ReadFile(h, buf, 8, &n, NULL));
	SAME(n, 8);
	CHECK(ReadFile(h, buf, 8, &n, NULL));
	SAME(n, 2);
	CHECK(ReadFile(h, buf, 8, &n, NULL));
	SAME(n, 0);
	CHECK(ReadFile(h, buf, 0, &n, NULL));
	CHECK(CloseHandle(h));
	h = file(FILE_APPEND_DATA, 7, OPEN_EXISTING, 0);
	CHECK(WriteFile(h, "ab", 2, &n, NULL));
	CloseHandle(h);
	h = file(GENERIC_READ, 0, OPEN_EXISTING, 0);
	LARGE_INTEGER size;
	CHECK(GetFileSizeEx(h, &size));
	SAME(size.QuadPart, 12);
	SetFilePointer(h, 10, NULL, FILE_BEGIN);
	CHECK(ReadFile(h, buf, 2, &n, NULL));
	SAME(memcmp(buf, "ab", 2), 0);
	FAILS(SetFilePointer(h, 0, NULL, 9) != INVALID_SET_FILE_POINTER, ERROR_INVALID_PARAMETER);
	CloseHandle(h);
	DeleteFileA("s.dat");
}

static void locking(void)
{
	DWORD n;
	char c;
	HANDLE a = file(GENERIC_READ | GENERIC_WRITE, 7, CREATE_ALWAYS, 0);
	HANDLE b = file(GENERIC_READ | GENERIC_WRITE, 7, OPEN_EXISTING, 0);
	OVERLAPPED o = {.Offset = 100};
	WriteFile(a, "0123456789", 10, &n, NULL);
	CHECK(LockFile(a, 0, 0, 5, 0));
	FAILS(LockFile(b, 0, 0, 5, 0), ERROR_LOCK_VIOLATION);
	FAILS(LockFile(b, 4, 0, 1, 0), ERROR_LOCK_VIOLATION);
	CHECK(LockFile(b, 5, 0, 5, 0));
	CHECK(UnlockFile(b, 5, 0, 5, 0));
	CHECK(UnlockFile(a, 0, 0, 5, 0));
	FAILS(UnlockFile(a, 0, 0, 5, 0), ERROR_NOT_LOCKED);
	CHECK(LockFile(b, 0, 0, 5, 0));
	CHECK(UnlockFile(b, 0, 0, 5, 0));
	CHECK(LockFileEx(a, LOCKFILE_FAIL_IMMEDIATELY, 0, 10, 0, &o));
	CHECK(LockFileEx(b, LOCKFILE_FAIL_IMMEDIATELY, 0, 10, 0, &o));
	FAILS(LockFileEx(b, LOCKFILE_FAIL_IMMEDIATELY | LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &o),
	      ERROR_LOCK_VIOLATION);
	CHECK(UnlockFileEx(a, 0, 10, 0, &o));
	CHECK(UnlockFileEx(b, 0, 10, 0, &o));
	CHECK(ReadFile(b, &c, 1, &n, NULL));
	CloseHandle(a);
	CloseHandle(b);
	CHECK(DeleteFileA("s.dat"));
}

static void information(void)
{
	FILE_STANDARD_INFO standard;
	FILE_BASIC_INFO basic;
	BY_HANDLE_FILE_INFORMATION one, two;
	DWORD n;
	HANDLE h = file(GENERIC_READ | GENERIC_WRITE, 7, CREATE_ALWAYS, 0);
	WriteFile(h, "abcde", 5, &n, NULL);
	CHECK(GetFileInformationByHandleEx(h, FileStandardInfo, &standard, sizeof standard));
	SAME(standard.EndOfFile.QuadPart, 5);
	SAME(standard.NumberOfLinks, 1);
	SAME(standard.DeletePending, FALSE);
	SAME(standard.Directory, FALSE);
	CHECK(GetFileInformationByHandleEx(h, FileBasicInfo, &basic, sizeof basic));
	CHECK(basic.FileAttributes & FILE_ATTRIBUTE_ARCHIVE);
	CHECK(basic.LastWriteTime.QuadPart > 0x01d000000000000LL);
	FAILS(GetFileInformationByHandleEx(h, FileStandardInfo, &standard, 4), ERROR_BAD_LENGTH);
	CHECK(GetFileInformationByHandle(h, &one));
	CHECK(CreateHardLinkW(L"link.dat", L"s.dat", NULL));
	HANDLE l = CreateFileA("link.dat", GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL);
	CHECK(GetFileInformationByHandle(l, &two));
	SAME(two.nNumberOfLinks, 2);
	SAME(one.nFileIndexLow, two.nFileIndexLow);
	SAME(one.nFileIndexHigh, two.nFileIndexHigh);
	SAME(one.dwVolumeSerialNumber, two.dwVolumeSerialNumber);
	CloseHandle(l);
	FAILS(CreateHardLinkW(L"link.dat", L"s.dat", NULL), ERROR_ALREADY_EXISTS);
	CHECK(DeleteFileA("link.dat"));
	FILE_END_OF_FILE_INFO end_at = {.EndOfFile.QuadPart = 2};
	CHECK(SetFileInformationByHandle(h, FileEndOfFileInfo, &end_at, sizeof end_at));
	SAME(GetFileSize(h, NULL), 2);
	FILE_DISPOSITION_INFO gone = {TRUE};
	HANDLE d = CreateFileA("s.dat", DELETE, 7, NULL, OPEN_EXISTING, 0, NULL);
	CHECK(SetFileInformationByHandle(d, FileDispositionInfo, &gone, sizeof gone));
	CloseHandle(d);
	CloseHandle(h);
	SAME(GetFileAttributesA("s.dat"), INVALID_FILE_ATTRIBUTES);
}

int main(void)
{
	SetCurrentDirectoryA("C:\\Temp");
	pairs();
	dispositions();
	attributes();
	access_rights();
	locking();
	information();
	return end();
}
