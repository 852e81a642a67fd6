/* SPDX-License-Identifier: Apache-2.0 */
/* File mappings. */
#include "test.h"

static void mapped_file(void)
{
	DWORD n;
	char back[8] = "";
	HANDLE f = CreateFileA("C:\\Temp\\map", GENERIC_READ | GENERIC_WRITE, 7, NULL,
			       CREATE_ALWAYS, 0, NULL);
	FAILS(CreateFileMappingA(f, NULL, PAGE_READONLY, 0, 0, NULL), ERROR_FILE_INVALID);
	HANDLE m = CreateFileMappingA(f, NULL, PAGE_READWRITE, 0, 200000, NULL);
	CHECK(m);
	SAME(GetFileSize(f, NULL), 200000);
	char *p = MapViewOfFile(m, FILE_MAP_WRITE, 0, 0, 0);
	char *tail = MapViewOfFile(m, FILE_MAP_READ, 0, 131072, 1000);
	CHECK(p && tail);
	strcpy(p, "mapped");
	strcpy(p + 131072, "tail");
	TEXT_IS(tail, "tail");
	CHECK(FlushViewOfFile(p, 0));
	CHECK(ReadFile(f, back, 6, &n, NULL));
	TEXT_IS(back, "mapped");
	char *copy = MapViewOfFile(m, FILE_MAP_COPY, 0, 0, 0);
	CHECK(copy);
	strcpy(copy, "mine");
	TEXT_IS(p, "mapped");
	MEMORY_BASIC_INFORMATION b;
	CHECK(VirtualQuery(p, &b, sizeof b));
	SAME(b.Type, MEM_MAPPED);
	SAME(b.Protect, PAGE_READWRITE);
	FAILS(MapViewOfFile(m, FILE_MAP_READ, 0, 100, 0), ERROR_MAPPED_ALIGNMENT);
	FAILS(MapViewOfFile(m, FILE_MAP_READ, 0, 0, 1 << 20), ERROR_ACCESS_DENIED);
	CHECK(UnmapViewOfFile(p));
	CHECK(UnmapViewOfFile(tail));
	CHECK(UnmapViewOfFile(copy));
	FAILS(UnmapViewOfFile(p), ERROR_INVALID_ADDRESS);
	CHECK(CloseHandle(m));
	CHECK(CloseHandle(f));
}

static void mapped_memory(void)
{
	FAILS(CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 0, NULL),
	      ERROR_INVALID_PARAMETER);
	FAILS(OpenFileMappingA(FILE_MAP_READ, FALSE, "nosuch"), ERROR_FILE_NOT_FOUND);
	HANDLE m = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 4096,
				      "Local\\shared memory");
	CHECK(m);
	SAME(GetLastError(), ERROR_SUCCESS);
	HANDLE again = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 4096,
					  "Local\\shared memory");
	CHECK(again);
	SAME(GetLastError(), ERROR_ALREADY_EXISTS);
	char *p = MapViewOfFile(m, FILE_MAP_ALL_ACCESS, 0, 0, 0);
	char *q = MapViewOfFile(again, FILE_MAP_READ, 0, 0, 0);
	CHECK(p && q && p != q);
	strcpy(p, "from the first");
	TEXT_IS(q, "from the first");
	strcpy(p, "changed");
	CHECK(CloseHandle(m));
	CHECK(CloseHandle(again));
	TEXT_IS(q, "changed");
	/* the views keep it, the name is gone */
	FAILS(OpenFileMappingA(FILE_MAP_READ, FALSE, "Local\\shared memory"), ERROR_FILE_NOT_FOUND);
	CHECK(UnmapViewOfFile(p));
	CHECK(UnmapViewOfFile(q));
	FAILS(OpenFileMappingA(FILE_MAP_READ, FALSE, "Local\\shared memory"), ERROR_FILE_NOT_FOUND);
}

int main(void)
{
	mapped_file();
	mapped_memory();
	return end();
}
