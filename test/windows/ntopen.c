/* SPDX-License-Identifier: Apache-2.0 */
/* Files, folders and pipes opened by functions of ntdll. And resources of the program, texts in
 * them. */
#include "test.h"
#include <winternl.h>

#define STATUS_OBJECT_NAME_COLLISION  0xc0000035
#define STATUS_OBJECT_NAME_NOT_FOUND  0xc0000034
#define STATUS_OBJECT_PATH_NOT_FOUND  0xc000003a
#define STATUS_FILE_IS_A_DIRECTORY    0xc00000ba
#define STATUS_NOT_A_DIRECTORY        0xc0000103
#define STATUS_PIPE_NOT_AVAILABLE     0xc00000ac
#define STATUS_OBJECT_PATH_SYNTAX_BAD 0xc000003b
#ifndef FILE_PIPE_FULL_DUPLEX
#define FILE_PIPE_FULL_DUPLEX 2
#endif
enum { ALL_SHARE = 7, SYNC = FILE_SYNCHRONOUS_IO_NONALERT };

NTSTATUS(NTAPI *create)
(HANDLE *, ACCESS_MASK, OBJECT_ATTRIBUTES *, IO_STATUS_BLOCK *, LARGE_INTEGER *, ULONG, ULONG,
 ULONG, ULONG, void *, ULONG);
NTSTATUS(NTAPI *open)(HANDLE *, ACCESS_MASK, OBJECT_ATTRIBUTES *, IO_STATUS_BLOCK *, ULONG, ULONG);
NTSTATUS(NTAPI *pipe)
(HANDLE *, ACCESS_MASK, OBJECT_ATTRIBUTES *, IO_STATUS_BLOCK *, ULONG, ULONG, ULONG, ULONG, ULONG,
 ULONG, ULONG, ULONG, ULONG, LARGE_INTEGER *);
NTSTATUS(NTAPI *attributes)(OBJECT_ATTRIBUTES *, void *);
NTSTATUS(NTAPI *full)(OBJECT_ATTRIBUTES *, void *);
NTSTATUS(NTAPI *cancel)(HANDLE, IO_STATUS_BLOCK *, IO_STATUS_BLOCK *);

static OBJECT_ATTRIBUTES *named(HANDLE root, const wchar_t *name, ULONG flags)
{
	static UNICODE_STRING u;
	static OBJECT_ATTRIBUTES a;
	u.Length = 2 * wcslen(name);
	u.MaximumLength = u.Length + 2;
	u.Buffer = (wchar_t *)name;
	a = (OBJECT_ATTRIBUTES){
	    .Length = sizeof a, .RootDirectory = root, .ObjectName = &u, .Attributes = flags};
	return &a;
}

static HANDLE made;
static IO_STATUS_BLOCK io;
static DWORD do_create(HANDLE root, const wchar_t *name, ULONG access, ULONG how, ULONG options)
{
	made = NULL;
	io.Information = 99;
	return create(&made, access | SYNCHRONIZE, named(root, name, 0x40), &io, NULL,
		      FILE_ATTRIBUTE_NORMAL, ALL_SHARE, how, options | SYNC, NULL, 0);
}

static HANDLE here(void)
{
	HANDLE h = CreateFileA(".", GENERIC_READ, ALL_SHARE, NULL, OPEN_EXISTING,
			       FILE_FLAG_BACKUP_SEMANTICS, NULL);
	CHECK(h != INVALID_HANDLE_VALUE);
	return h;
}

static void files(void)
{
	char text[8] = "";
	DWORD n;
	HANDLE root = here();
	SAME(do_create(root, L"nt-new.txt", GENERIC_READ, FILE_OPEN, 0),
	     STATUS_OBJECT_NAME_NOT_FOUND);
	SAME(do_create(root, L"nt-new.txt", GENERIC_READ | GENERIC_WRITE, FILE_CREATE,
		       FILE_NON_DIRECTORY_FILE),
	     0);
	SAME(io.Information, FILE_CREATED);
	CHECK(WriteFile(made, "hello", 5, &n, NULL));
	CloseHandle(made);
	SAME(do_create(root, L"nt-new.txt", GENERIC_READ, FILE_CREATE, 0),
	     STATUS_OBJECT_NAME_COLLISION);
	SAME(do_create(root, L"NT-NEW.TXT", GENERIC_READ, FILE_OPEN, 0), 0);
	SAME(io.Information, FILE_OPENED);
	CHECK(ReadFile(made, text, 5, &n, NULL));
	TEXT_IS(text, "hello");
	CloseHandle(made);
	SAME(do_create(root, L"nt-new.txt", GENERIC_READ, FILE_OPEN_IF, 0), 0);
	SAME(io.Information, FILE_OPENED);
	SAME(GetFileSize(made, NULL), 5);
	CloseHandle(made);
	SAME(do_create(root, L"nt-new.txt", GENERIC_WRITE, FILE_OVERWRITE, 0), 0);
	SAME(io.Information, FILE_OVERWRITTEN);
	SAME(GetFileSize(made, NULL), 0);
	CloseHandle(made);
	SAME(do_create(root, L"nt-new.txt", GENERIC_WRITE, FILE_OVERWRITE_IF, 0), 0);
	SAME(io.Information, FILE_OVERWRITTEN);
	CloseHandle(made);
	SAME(do_create(root, L"nt-other.txt", GENERIC_WRITE, FILE_OVERWRITE, 0),
	     STATUS_OBJECT_NAME_NOT_FOUND);
	SAME(do_create(root, L"nt-other.txt", GENERIC_WRITE, FILE_OVERWRITE_IF, 0), 0);
	SAME(io.Information, FILE_CREATED);
	CloseHandle(made);
	SAME(do_create(root, L"nt-other.txt", DELETE, FILE_OPEN, FILE_DELETE_ON_CLOSE), 0);
	CloseHandle(made);
	SAME(GetFileAttributesA("nt-other.txt"), INVALID_FILE_ATTRIBUTES);
	SAME(do_create(root, L"nosuch\\nt-new.txt", GENERIC_WRITE, FILE_OPEN_IF, 0),
	     STATUS_OBJECT_PATH_NOT_FOUND);
	SAME(do_create(root, L"nt-new.txt", GENERIC_READ, FILE_OPEN, FILE_DIRECTORY_FILE),
	     STATUS_NOT_A_DIRECTORY);
	CloseHandle(root);
}

static void folders(void)
{
	wchar_t whole[400] = L"\\??\\";
	HANDLE root = here(), sub;
	SAME(do_create(root, L"nt-dir", FILE_LIST_DIRECTORY, FILE_CREATE, FILE_DIRECTORY_FILE), 0);
	SAME(io.Information, FILE_CREATED);
	sub = made;
	SAME(do_create(root, L"nt-dir", FILE_LIST_DIRECTORY, FILE_CREATE, FILE_DIRECTORY_FILE),
	     STATUS_OBJECT_NAME_COLLISION);
	SAME(do_create(root, L"nt-dir", FILE_LIST_DIRECTORY, FILE_OPEN_IF, FILE_DIRECTORY_FILE), 0);
	SAME(io.Information, FILE_OPENED);
	CloseHandle(made);
	SAME(do_create(root, L"nt-dir", GENERIC_READ, FILE_OPEN, FILE_NON_DIRECTORY_FILE),
	     STATUS_FILE_IS_A_DIRECTORY);
	SAME(do_create(sub, L"below.txt", GENERIC_WRITE, FILE_CREATE, 0), 0);
	CloseHandle(made);
	CHECK(GetFileAttributesA("nt-dir\\below.txt") != INVALID_FILE_ATTRIBUTES);
	SAME(do_create(root, L"nt-dir\\below.txt", GENERIC_READ, FILE_OPEN, 0), 0);
	CloseHandle(made);
	GetCurrentDirectoryW(300, whole + 4);
	if (whole[wcslen(whole) - 1] != '\\')
		wcscat(whole, L"\\");
	wcscat(whole, L"nt-dir\\below.txt");
	SAME(do_create(NULL, whole, GENERIC_READ, FILE_OPEN, 0), 0);
	CloseHandle(made);
	SAME((DWORD)open(&made, GENERIC_READ | SYNCHRONIZE, named(NULL, whole, 0x40), &io,
			 ALL_SHARE, SYNC),
	     0);
	SAME(io.Information, FILE_OPENED);
	CloseHandle(made);
	SAME(do_create(NULL, L"below.txt", GENERIC_READ, FILE_OPEN, 0),
	     STATUS_OBJECT_PATH_SYNTAX_BAD);
	SAME(do_create((HANDLE)0x7ffc, L"below.txt", GENERIC_READ, FILE_OPEN, 0), 0xc0000008);

	struct {
		LARGE_INTEGER times[4];
		ULONG attributes;
	} basic;
	struct {
		LARGE_INTEGER times[4], allocated, size;
		ULONG attributes;
	} network;
	SAME((DWORD)attributes(named(NULL, whole, 0x40), &basic), 0);
	CHECK(!(basic.attributes & FILE_ATTRIBUTE_DIRECTORY));
	CHECK(basic.times[2].QuadPart > 0);
	SAME((DWORD)full(named(root, L"nt-new.txt", 0x40), &network), 0);
	SAME(network.size.QuadPart, 0);
	SAME((DWORD)attributes(named(root, L"nt-dir", 0x40), &basic), 0);
	CHECK(basic.attributes & FILE_ATTRIBUTE_DIRECTORY);
	SAME((DWORD)attributes(named(root, L"nosuch", 0x40), &basic), STATUS_OBJECT_NAME_NOT_FOUND);
	SetLastError(55);
	do_create(root, L"nosuch", GENERIC_READ, FILE_OPEN, 0);
	SAME(GetLastError(), 55); /* which is kernel32's */
	CloseHandle(sub);
	CloseHandle(root);
	CHECK(DeleteFileA("nt-dir\\below.txt"));
	CHECK(RemoveDirectoryA("nt-dir"));
	HANDLE once =
	    CreateFileA("nt-new.txt", GENERIC_WRITE, ALL_SHARE, NULL, OPEN_EXISTING, 0, NULL);
	HANDLE again = ReOpenFile(once, GENERIC_READ, ALL_SHARE, 0);
	DWORD n = 0;
	char text[8] = "";
	CHECK(again != INVALID_HANDLE_VALUE && again != once);
	CHECK(WriteFile(once, "twice", 5, &n, NULL));
	CHECK(ReadFile(again, text, 7, &n, NULL));
	TEXT_IS(text, "twice");
	CloseHandle(once);
	CloseHandle(again);
	CHECK(DeleteFileA("nt-new.txt"));
}

/* As Rust's library makes pipes for children: without a name, from the folder of all pipes. */
static void pipes(void)
{
	LARGE_INTEGER timeout = {.QuadPart = -500000};
	HANDLE all, server, client, other;
	char text[16] = "";
	DWORD n;
	SAME((DWORD)open(&all, GENERIC_READ | SYNCHRONIZE,
			 named(NULL, L"\\Device\\NamedPipe\\", 0x40), &io, 3, SYNC),
	     0);
	SAME((DWORD)pipe(&server, GENERIC_READ | SYNCHRONIZE, named(all, L"", 0x40), &io,
			 FILE_SHARE_WRITE, FILE_CREATE, 0, 0, 0, 0, 1, 65536, 65536, &timeout),
	     0);
	SAME(io.Information, FILE_CREATED);
	SAME((DWORD)open(&client, GENERIC_WRITE | SYNCHRONIZE, named(server, L"", 0x42), &io, 3,
			 SYNC),
	     0);
	DWORD flags = 0;
	CHECK(GetHandleInformation(client, &flags));
	SAME(flags, HANDLE_FLAG_INHERIT);
	SAME((DWORD)open(&other, GENERIC_WRITE | SYNCHRONIZE, named(server, L"", 0x40), &io, 3,
			 SYNC),
	     STATUS_PIPE_NOT_AVAILABLE);
	CHECK(WriteFile(client, "through", 7, &n, NULL));
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, 1, 0, NULL)};
	if (!ReadFile(server, text, 15, NULL, &o))
		SAME(GetLastError(), ERROR_IO_PENDING);
	CHECK(GetOverlappedResult(server, &o, &n, TRUE));
	TEXT_IS(text, "through");
	FAILS(ReadFile(server, text, 15, NULL, &o), ERROR_IO_PENDING);
	SAME((DWORD)cancel(server, (IO_STATUS_BLOCK *)&o, &io), 0);
	FAILS(GetOverlappedResult(server, &o, &n, TRUE), ERROR_OPERATION_ABORTED);
	SAME((DWORD)cancel(server, (IO_STATUS_BLOCK *)&o, &io), 0xc0000225); /* STATUS_NOT_FOUND */
	CloseHandle(client);
	FAILS(ReadFile(server, text, 15, NULL, &o), ERROR_BROKEN_PIPE);
	CloseHandle(server);

	SAME((DWORD)pipe(&server, GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE,
			 named(NULL, L"\\??\\pipe\\lodge-nt", 0x40), &io, 3, FILE_CREATE, SYNC, 0,
			 0, 0, 1, 100, 100, &timeout),
	     0);
	client = CreateFileA("\\\\.\\pipe\\lodge-nt", GENERIC_READ | GENERIC_WRITE, 0, NULL,
			     OPEN_EXISTING, 0, NULL);
	CHECK(client != INVALID_HANDLE_VALUE);
	CHECK(WriteFile(server, "there", 5, &n, NULL));
	CHECK(ReadFile(client, text, 5, &n, NULL));
	CHECK(!memcmp(text, "there", 5));
	CloseHandle(client);
	CloseHandle(server);
	CloseHandle(all);
}

int main(void)
{
	HMODULE nt = GetModuleHandleA("ntdll.dll");
	create = (void *)GetProcAddress(nt, "NtCreateFile");
	open = (void *)GetProcAddress(nt, "NtOpenFile");
	pipe = (void *)GetProcAddress(nt, "NtCreateNamedPipeFile");
	attributes = (void *)GetProcAddress(nt, "NtQueryAttributesFile");
	full = (void *)GetProcAddress(nt, "NtQueryFullAttributesFile");
	cancel = (void *)GetProcAddress(nt, "NtCancelIoFileEx");
	CHECK(create && open && pipe && attributes && full && cancel);
	DeleteFileA("nt-new.txt"); /* of one that was broken off */
	files();
	folders();
	pipes();
	return end();
}
