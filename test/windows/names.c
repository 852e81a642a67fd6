/* SPDX-License-Identifier: Apache-2.0 */
/* Names without regard to case, in folders in which much is made: what is there is found, whoever
 * made it; what is not there is made as it is written. */
#include "test.h"

static HANDLE opened(const char *name, DWORD how)
{
	return CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 7, NULL, how, 0, NULL);
}

static BOOL made(const char *name)
{
	HANDLE h = opened(name, CREATE_NEW);
	return h != INVALID_HANDLE_VALUE && CloseHandle(h);
}

static int entries(const char *pattern)
{
	WIN32_FIND_DATAA d;
	HANDLE h = FindFirstFileA(pattern, &d);
	int n = 0;
	if (h == INVALID_HANDLE_VALUE)
		return 0;
	do
		n += d.cFileName[0] != '.';
	while (FindNextFileA(h, &d));
	FindClose(h);
	return n;
}

static void many(void)
{
	char name[40], other[40];
	CHECK(CreateDirectoryA("Many", NULL));
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "Many\\File%d.Txt", i);
		snprintf(other, sizeof other, "mANY\\fILE%d.tXT", i);
		FAILS(opened(other, OPEN_EXISTING) != INVALID_HANDLE_VALUE, ERROR_FILE_NOT_FOUND);
		CHECK(made(name));
		CHECK(!made(other));
		SAME(GetLastError(), ERROR_FILE_EXISTS);
		HANDLE h = opened(other, i % 2 ? CREATE_ALWAYS : OPEN_ALWAYS);
		SAME(GetLastError(), ERROR_ALREADY_EXISTS);
		CHECK(CloseHandle(h));
	}
	SAME(entries("Many\\*"), 60);
	for (int i = 0; i < 60; i++) {
		snprintf(other, sizeof other, "MANY\\FILE%d.TXT", i);
		SAME(GetFileAttributesA(other), FILE_ATTRIBUTE_ARCHIVE);
		CHECK(DeleteFileA(other));
		SAME(GetFileAttributesA(other), INVALID_FILE_ATTRIBUTES);
		SAME(GetLastError(), ERROR_FILE_NOT_FOUND);
	}
	SAME(entries("Many\\*"), 0);
}

/* In a folder whose names are known by now. */
static void changes(void)
{
	CHECK(made("Many\\One"));
	CHECK(MoveFileA("many\\one", "many\\Two"));
	FAILS(opened("Many\\ONE", OPEN_EXISTING) != INVALID_HANDLE_VALUE, ERROR_FILE_NOT_FOUND);
	CHECK(!made("Many\\TWO"));
	CHECK(CreateDirectoryA("Many\\Sub", NULL));
	FAILS(CreateDirectoryA("Many\\sUB", NULL), ERROR_ALREADY_EXISTS);
	CHECK(MoveFileA("Many\\Two", "Many\\Sub\\Three"));
	CHECK(made("many\\tWO"));
	CHECK(!made("Many\\SUB\\THREE"));
	CHECK(CopyFileA("many\\two", "many\\Four", TRUE));
	CHECK(!CopyFileA("many\\two", "many\\FOUR", TRUE));
	CHECK(CreateHardLinkA("many\\Five", "many\\two", NULL));
	CHECK(!made("Many\\FIVE"));
	CHECK(DeleteFileA("Many\\five") && DeleteFileA("Many\\four") && DeleteFileA("Many\\two"));
	CHECK(DeleteFileA("Many\\sub\\three") && RemoveDirectoryA("Many\\sub"));
	CHECK(made("Many\\Sub"));
	CHECK(DeleteFileA("Many\\SUB"));
}

/* The folder goes elsewhere, and another one is where it was. */
static void folders(void)
{
	CHECK(made("Many\\Stays"));
	CHECK(MoveFileA("Many", "Moved"));
	CHECK(CreateDirectoryA("Many", NULL));
	CHECK(made("Many\\STAYS"));
	CHECK(!made("MOVED\\STAYS"));
	CHECK(made("Moved\\Other"));
	SAME(GetFileAttributesA("Many\\other"), INVALID_FILE_ATTRIBUTES);
	SAME(GetFileAttributesA("moved\\OTHER"), FILE_ATTRIBUTE_ARCHIVE);
	CHECK(DeleteFileA("moved\\other") && DeleteFileA("moved\\stays"));
	CHECK(RemoveDirectoryA("moved"));
	CHECK(DeleteFileA("many\\stays") && RemoveDirectoryA("many"));
	CHECK(CreateDirectoryA("Many", NULL));
	CHECK(made("Many\\Again"));
	CHECK(!made("Many\\AGAIN"));
	CHECK(DeleteFileA("Many\\again"));
}

static DWORD run(const char *args)
{
	char line[MAX_PATH + 100], own[MAX_PATH];
	STARTUPINFOA how = {.cb = sizeof how};
	PROCESS_INFORMATION p;
	DWORD code = 99;
	GetModuleFileNameA(NULL, own, sizeof own);
	snprintf(line, sizeof line, "names %s", args);
	if (!CreateProcessA(own, line, NULL, NULL, FALSE, 0, NULL, NULL, &how, &p))
		return 98;
	WaitForSingleObject(p.hProcess, 20000);
	GetExitCodeProcess(p.hProcess, &code);
	CloseHandle(p.hProcess);
	CloseHandle(p.hThread);
	return code;
}

/* What another process makes, and takes away, in folders that this one knows. */
static void children(void)
{
	for (int i = 0; i < 20; i++) {
		char name[40];
		snprintf(name, sizeof name, "many\\probe%d", i);
		CHECK(made(name));
		CHECK(DeleteFileA(name));
	}
	SAME(run("make Many\\Child"), 0);
	CHECK(!made("Many\\CHILD"));
	SAME(GetLastError(), ERROR_FILE_EXISTS);
	SAME(run("drop Many\\child"), 0);
	CHECK(made("Many\\CHILD"));
	SAME(run("make Many\\chILD"), 1);
	CHECK(DeleteFileA("many\\child"));
	CHECK(RemoveDirectoryA("many"));
}

struct stat_basic { /* FILE_STAT_BASIC_INFORMATION */
	LONGLONG id, created, accessed, written, changed, allocated, size;
	DWORD attributes, tag, links, device, characteristics, reserved;
	LONGLONG volume;
	BYTE id128[16];
};
typedef BOOL WINAPI by_name_fn(const wchar_t *path, int class, void *out, DWORD n);

static BOOL WINAPI by_name_none(const wchar_t *path, int class, void *out, DWORD n)
{
	return FALSE;
}

/* Windows 11 24H2; libuv and Python look for it in the API set. */
static void by_name(void)
{
	enum { STAT_BASIC = 3 };
	struct stat_basic s = {0};
	BY_HANDLE_FILE_INFORMATION i;
	HMODULE m = GetModuleHandleA("api-ms-win-core-file-l2-1-4.dll");
	by_name_fn *f = m ? (by_name_fn *)(void *)GetProcAddress(m, "GetFileInformationByName") : 0;
	CHECK(f != NULL);
	f = f ? f : by_name_none;
	HANDLE h = opened("Stat", CREATE_NEW);
	DWORD n;
	CHECK(WriteFile(h, "12345", 5, &n, NULL));
	CHECK(GetFileInformationByHandle(h, &i));
	CloseHandle(h);
	CHECK(f(L"STAT", STAT_BASIC, &s, sizeof s));
	SAME(s.size, 5);
	SAME(s.attributes, FILE_ATTRIBUTE_ARCHIVE);
	SAME(s.links, 1);
	SAME(s.device, 7);
	SAME(s.id, (LONGLONG)i.nFileIndexHigh << 32 | i.nFileIndexLow);
	SAME(s.volume & 0xffffffff, i.dwVolumeSerialNumber);
	SAME(s.written,
	     (LONGLONG)i.ftLastWriteTime.dwHighDateTime << 32 | i.ftLastWriteTime.dwLowDateTime);
	CHECK(f(L"C:\\Temp", STAT_BASIC, &s, sizeof s));
	SAME(s.attributes & FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_DIRECTORY);
	FAILS(f(L"none", STAT_BASIC, &s, sizeof s), ERROR_FILE_NOT_FOUND);
	FAILS(f(L"none\\none", STAT_BASIC, &s, sizeof s), ERROR_PATH_NOT_FOUND);
	FAILS(f(L"Stat", STAT_BASIC, &s, sizeof s - 1), ERROR_BAD_LENGTH);
	FAILS(f(L"Stat", 17, &s, sizeof s), ERROR_INVALID_PARAMETER);
	CHECK(DeleteFileA("Stat"));
}

/* A name for FindFirstFile: in folders of which is known what they lack, too. */
static void found_as(const char *asked, const char *is)
{
	WIN32_FIND_DATAA d;
	HANDLE h = FindFirstFileA(asked, &d);
	CHECK((h != INVALID_HANDLE_VALUE) == (is != NULL));
	if (h == INVALID_HANDLE_VALUE) {
		SAME(GetLastError(), ERROR_FILE_NOT_FOUND);
		return;
	}
	CHECK(is && !strcmp(d.cFileName, is));
	FAILS(FindNextFileA(h, &d), ERROR_NO_MORE_FILES); /* no other one */
	FindClose(h);
}

static void finds(void)
{
	char name[40], other[40];
	int i;
	CHECK(CreateDirectoryA("finds", NULL));
	for (i = 0; i < 20; i++) {
		sprintf(name, "finds\\Entry%d", i);
		found_as(name, NULL);
		CHECK(made(name));
		found_as(name, name + 6);
		sprintf(other, "finds\\eNTRY%d", i);
		found_as(other, name + 6);
		CHECK(DeleteFileA(other));
		found_as(other, NULL);
	}
	CHECK(RemoveDirectoryA("finds"));
}

/* The same other case, again and again, while the file is written otherwise. */
static void cases(void)
{
	static const char *const names[] = {"C:\\Temp\\sp\\Mixed.txt", "C:\\Temp\\sp\\mIxed.txt",
					    "C:\\Temp\\sp\\miXed.txt"};
	WIN32_FIND_DATAA d;
	char path[300];
	CHECK(CreateDirectoryA("C:\\Temp\\sp", NULL));
	for (size_t i = 0; i < COUNT(names); i++) {
		HANDLE h = CreateFileA(names[i], GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
		CHECK(h != INVALID_HANDLE_VALUE);
		CloseHandle(h);
		for (int k = 0; k < 10; k++)
			CHECK(GetFileAttributesA("C:\\Temp\\SP\\MIXED.TXT") !=
			      INVALID_FILE_ATTRIBUTES);
		h = FindFirstFileA("C:\\Temp\\SP\\MIXED.TXT", &d);
		CHECK(h != INVALID_HANDLE_VALUE);
		FindClose(h);
		TEXT(names[i], d.cFileName, strrchr(names[i], '\\') + 1);
		h = CreateFileA("C:\\Temp\\SP\\MIXED.TXT", GENERIC_READ, 7, NULL, OPEN_EXISTING, 0,
				NULL);
		CHECK(GetFinalPathNameByHandleA(h, path, sizeof path, 0));
		TEXT(names[i], strrchr(path, '\\'), strrchr(names[i], '\\'));
		CloseHandle(h);
		CHECK(DeleteFileA("C:\\Temp\\SP\\MIXED.TXT"));
		FAILS(GetFileAttributesA("C:\\Temp\\SP\\MIXED.TXT") != INVALID_FILE_ATTRIBUTES,
		      ERROR_FILE_NOT_FOUND);
	}
	CHECK(RemoveDirectoryA("C:\\Temp\\Sp"));
	FAILS(GetFileAttributesA("C:\\Temp\\SP\\MIXED.TXT") != INVALID_FILE_ATTRIBUTES,
	      ERROR_PATH_NOT_FOUND);
}

int main(int argc, char **argv)
{
	SetCurrentDirectoryA("C:\\Temp");
	if (argc > 2 && !strcmp(argv[1], "make"))
		return !made(argv[2]);
	if (argc > 2)
		return !DeleteFileA(argv[2]);
	many();
	changes();
	folders();
	children();
	by_name();
	finds();
	cases();
	return end();
}
