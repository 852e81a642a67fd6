/* SPDX-License-Identifier: Apache-2.0 */
/* Files, folders and volumes by the classes of ntdll; links and what opens them. */
#include "test.h"
#include <winternl.h>

typedef NTSTATUS WINAPI query(HANDLE h, IO_STATUS_BLOCK *io, void *out, ULONG n, int class);
typedef NTSTATUS WINAPI list(HANDLE h, HANDLE event, void *fn, void *arg, IO_STATUS_BLOCK *io,
			     void *out, ULONG n, int class, BOOLEAN one, UNICODE_STRING *pattern,
			     BOOLEAN again);
static query *information, *change, *volume;
static list *entries;
static ULONG(WINAPI *to_error)(NTSTATUS);
#define OK           0
#define WRONG_CLASS  ((NTSTATUS)0xc0000003)
#define WRONG_LENGTH ((NTSTATUS)0xc0000004)
#define BAD_HANDLE   ((NTSTATUS)0xc0000008)
#define NONE_SUCH    ((NTSTATUS)0xc000000f)
#define NO_MORE      ((NTSTATUS)0x80000006)
#define CUT          ((NTSTATUS)0x80000005)

static void functions(void)
{
	HMODULE m = GetModuleHandleA("ntdll.dll");
	information = (query *)GetProcAddress(m, "NtQueryInformationFile");
	change = (query *)GetProcAddress(m, "NtSetInformationFile");
	volume = (query *)GetProcAddress(m, "NtQueryVolumeInformationFile");
	entries = (list *)GetProcAddress(m, "NtQueryDirectoryFile");
	to_error = (void *)GetProcAddress(m, "RtlNtStatusToDosError");
	CHECK(information && change && volume && entries && to_error);
	SAME(to_error(0), 0);
	SAME(to_error(0xc0000034), ERROR_FILE_NOT_FOUND);
	SAME(to_error(0xc000014b), ERROR_BROKEN_PIPE);
	SAME(to_error(0xc0000120), ERROR_OPERATION_ABORTED);
	SAME(to_error(0xc0000236), ERROR_CONNECTION_REFUSED);
	SAME(to_error(0x8007006d), ERROR_BROKEN_PIPE); /* one of Win32 within */
	SAME(to_error(0xc0010005), 5);
	SAME(to_error(0x20000001), 0x20000001);
}

struct all {
	LONGLONG created, accessed, written, changed;
	ULONG attributes, pad;
	LONGLONG allocated, end;
	ULONG links;
	BOOLEAN going, folder;
	LONGLONG id;
	ULONG ea, access;
	LONGLONG at;
	ULONG mode, alignment, name_len;
	WCHAR name[260];
};

static HANDLE file_new(const char *name, unsigned access)
{
	DWORD n;
	HANDLE h = CreateFileA(name, access, 7, NULL, CREATE_ALWAYS, 0, NULL);
	WriteFile(h, "0123456789", 10, &n, NULL);
	return h;
}

static void information_of(void)
{
	IO_STATUS_BLOCK io = {0};
	struct all a;
	LONGLONG at = 0;
	ULONG v = 9;
	HANDLE h = file_new("nt.tmp", GENERIC_READ | GENERIC_WRITE);
	SAME(information(h, &io, &a, sizeof a, 18), OK);
	SAME(a.end, 10);
	SAME(a.links, 1);
	SAME(a.folder, 0);
	SAME(a.at, 10);
	SAME(a.mode, 0x20);
	SAME(a.attributes, FILE_ATTRIBUTE_ARCHIVE);
	SAME(a.access & FILE_READ_DATA, FILE_READ_DATA);
	SAME(a.access & FILE_WRITE_DATA, FILE_WRITE_DATA);
	CHECK(a.id != 0 && a.written != 0 && a.name_len >= 14);
	SAME(wcsncmp(a.name + a.name_len / 2 - 7, L"\\nt.tmp", 7), 0);
	SAME(io.Information, 100 + a.name_len);
	SAME(information(h, &io, &a, 104, 18), CUT); /* the name does not fit */
	SAME(information(h, &io, &a, 103, 18), WRONG_LENGTH);
	SAME(information(h, &io, &v, 4, 16), OK);
	SAME(v, 0x20); /* synchronous */
	SAME(information(h, &io, &at, 8, 14), OK);
	SAME(at, 10);
	SAME(information(h, &io, &at, 4, 14), WRONG_LENGTH);
	SAME(information(h, &io, &at, 8, 999), WRONG_CLASS);
	SAME(information((HANDLE)0x7ffffff0, &io, &at, 8, 14), BAD_HANDLE);
	/* changes */
	at = 4;
	SAME(change(h, &io, &at, 8, 20), OK); /* end of file */
	LARGE_INTEGER size;
	CHECK(GetFileSizeEx(h, &size));
	SAME(size.QuadPart, 4);
	at = 2;
	SAME(change(h, &io, &at, 8, 14), OK);
	SAME(SetFilePointer(h, 0, NULL, FILE_CURRENT), 2);
	LONGLONG basic[5] = {0, 0, 130000000000000000, 0, FILE_ATTRIBUTE_READONLY};
	SAME(change(h, &io, basic, 40, 4), OK);
	SAME(GetFileAttributesA("nt.tmp") & FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_READONLY);
	FILETIME t;
	CHECK(GetFileTime(h, NULL, NULL, &t));
	SAME((LONGLONG)t.dwHighDateTime << 32 | t.dwLowDateTime, 130000000000000000);
	CHECK(SetFileAttributesA("nt.tmp", FILE_ATTRIBUTE_NORMAL));
	SAME(change(h, &io, basic, 8, 4), WRONG_LENGTH);
	SAME(change(h, &io, basic, 40, 999), WRONG_CLASS);
	CHECK(CloseHandle(h));
	h = CreateFileA("nt.tmp", GENERIC_READ, 7, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
	SAME(information(h, &io, &v, 4, 16), OK);
	SAME(v, 0);
	CHECK(CloseHandle(h));
	h = CreateFileA("nt.tmp", DELETE, 7, NULL, OPEN_EXISTING, 0, NULL);
	BOOLEAN gone = 1;
	SAME(change(h, &io, &gone, 1, 13), OK);
	CHECK(CloseHandle(h));
	SAME(GetFileAttributesA("nt.tmp"), INVALID_FILE_ATTRIBUTES);
}

static void volumes(void)
{
	IO_STATUS_BLOCK io;
	BY_HANDLE_FILE_INFORMATION info;
	struct {
		LONGLONG created;
		ULONG serial, len;
		WCHAR label[100];
	} v;
	struct {
		LONGLONG all, mine, left;
		ULONG sectors, bytes;
	} size;
	ULONG device[2];
	HANDLE h = CreateFileA(".", 0, 7, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
	CHECK(GetFileInformationByHandle(h, &info));
	SAME(volume(h, &io, &v, sizeof v, 1), OK);
	SAME(v.serial, info.dwVolumeSerialNumber);
	SAME(volume(h, &io, &size, sizeof size, 7), OK);
	CHECK(size.all >= size.left && size.left >= size.mine && size.sectors && size.bytes);
	SAME(volume(h, &io, device, sizeof device, 4), OK);
	SAME(device[0], 7); /* a disk */
	SAME(volume(h, &io, device, 4, 4), WRONG_LENGTH);
	SAME(volume(h, &io, &v, sizeof v, 99), WRONG_CLASS);
	CHECK(CloseHandle(h));
	HANDLE r, w;
	CHECK(CreatePipe(&r, &w, NULL, 0));
	SAME(volume(r, &io, device, sizeof device, 4), OK);
	SAME(device[0], 0x11); /* a pipe */
	CHECK(CloseHandle(r) && CloseHandle(w));
}

/* Which of "." ".." "a.txt" "b.txt" "sub" there were, as bits, in buffers of @n bytes. */
static unsigned listed(HANDLE h, ULONG n, int class, unsigned name_at, unsigned len_at, BOOLEAN one,
		       const wchar_t *pattern, NTSTATUS want)
{
	static const char *const names[] = {".", "..", "a.txt", "b.txt", "sub"};
	static LONGLONG buf[500];
	UNICODE_STRING p = {2 * (pattern ? wcslen(pattern) : 0), 0, (wchar_t *)pattern};
	IO_STATUS_BLOCK io;
	unsigned seen = 0;
	NTSTATUS s;
	for (BOOLEAN again = TRUE; (s = entries(h, NULL, NULL, NULL, &io, buf, n, class, one,
						pattern ? &p : NULL, again)) == OK;
	     again = FALSE)
		for (const char *e = (char *)buf;; e += *(ULONG *)e) {
			wchar_t name[20] = L"";
			memcpy(name, e + name_at, *(ULONG *)(e + len_at));
			for (unsigned i = 0; i < COUNT(names); i++)
				if (!strcmp(narrow(name), names[i]))
					seen += 1u << 4 * i; /* twice would show */
			if (!*(ULONG *)e)
				break;
		}
	IS("end of a listing", s, want);
	return seen;
}

static void folders(void)
{
	IO_STATUS_BLOCK io;
	char buf[100];
	CHECK(CreateDirectoryA("ntdir", NULL) && CreateDirectoryA("ntdir\\sub", NULL));
	CloseHandle(file_new("ntdir\\a.txt", GENERIC_WRITE));
	CloseHandle(file_new("ntdir\\b.txt", GENERIC_WRITE));
	HANDLE h = CreateFileA("ntdir", FILE_LIST_DIRECTORY, 7, NULL, OPEN_EXISTING,
			       FILE_FLAG_BACKUP_SEMANTICS, NULL);
	SAME(listed(h, 4000, 1, 64, 60, FALSE, NULL, NO_MORE), 0x11111);
	SAME(listed(h, 4000, 2, 68, 60, FALSE, NULL, NO_MORE), 0x11111);
	SAME(listed(h, 4000, 3, 94, 60, FALSE, NULL, NO_MORE), 0x11111);
	SAME(listed(h, 4000, 12, 12, 8, FALSE, NULL, NO_MORE), 0x11111);
	SAME(listed(h, 4000, 37, 104, 60, FALSE, NULL, NO_MORE), 0x11111);
	SAME(listed(h, 4000, 38, 80, 60, FALSE, NULL, NO_MORE), 0x11111);
	SAME(listed(h, 4000, 1, 64, 60, TRUE, NULL, NO_MORE), 0x11111);
	SAME(listed(h, 160, 1, 64, 60, FALSE, NULL, NO_MORE), 0x11111); /* some at a time */
	CHECK(CloseHandle(h));
	h = CreateFileA("ntdir", FILE_LIST_DIRECTORY, 7, NULL, OPEN_EXISTING,
			FILE_FLAG_BACKUP_SEMANTICS, NULL);
	SAME(listed(h, 4000, 1, 64, 60, FALSE, L"*.TXT", NO_MORE), 0x1100);
	CHECK(CloseHandle(h));
	h = CreateFileA("ntdir", FILE_LIST_DIRECTORY, 7, NULL, OPEN_EXISTING,
			FILE_FLAG_BACKUP_SEMANTICS, NULL);
	SAME(listed(h, 4000, 1, 64, 60, FALSE, L"nosuch", NONE_SUCH), 0);
	SAME(entries(h, NULL, NULL, NULL, &io, buf, 100, 999, 0, NULL, 0), WRONG_CLASS);
	SAME(entries(h, NULL, NULL, NULL, &io, buf, 10, 1, 0, NULL, 0), WRONG_LENGTH);
	CHECK(CloseHandle(h));
	SAME(entries((HANDLE)0x7ffffff0, NULL, NULL, NULL, &io, buf, 100, 1, 0, NULL, 0),
	     BAD_HANDLE);
	CHECK(DeleteFileA("ntdir\\a.txt") && DeleteFileA("ntdir\\b.txt"));
	CHECK(RemoveDirectoryA("ntdir\\sub") && RemoveDirectoryA("ntdir"));
}

static void controls(void)
{
	DWORD n;
	char buf[100];
	HANDLE h = file_new("nt.tmp", GENERIC_READ | GENERIC_WRITE);
	FAILS(DeviceIoControl(h, 0x900a8, NULL, 0, buf, 100, &n, NULL), ERROR_NOT_A_REPARSE_POINT);
	CHECK(CloseHandle(h));
	FAILS(DeviceIoControl(h, 0x900a8, NULL, 0, buf, 100, &n, NULL), ERROR_INVALID_HANDLE);
	CHECK(DeleteFileA("nt.tmp"));
}

int main(void)
{
	functions();
	information_of();
	volumes();
	folders();
	controls();
	return end();
}
