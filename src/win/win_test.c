/* SPDX-License-Identifier: Apache-2.0 */
#include "win/internal.h"

#include "test/test.h"

/* Rows are looked up by halves: they have to be in order. */
static bool sorted(const struct library *l)
{
	for (size_t i = 1; i < l->n; i++)
		if (strcmp(l->apis[i - 1].name, l->apis[i].name) >= 0)
			return false;
	return l->n > 0;
}

TEST(win_tables_are_sorted)
{
	static const char *const names[] = {"kernel32", "ntdll",  "msvcrt",
					    "advapi32", "ws2_32", "ole32"};
	for (size_t i = 0; i < countof(names); i++)
		CHECK(sorted(library_find(names[i])));
}

TEST(win_libraries_have_many_names)
{
	CHECK(library_find("KERNEL32.dll") && library_find("kernelbase"));
	CHECK(library_find("api-ms-win-crt-runtime-l1-1-0.dll"));
	CHECK(!library_find("kernel33.dll"));
	CHECK(!library_find(""));
	CHECK(win_find("kernel32", "CreateFileW", 0));
	CHECK(win_find("ucrtbase.dll", "malloc", 0) == win_find("msvcrt.dll", "malloc", 0));
	CHECK(win_find("kernel32", "RtlUnwindEx", 0)); /* ntdll's */
	CHECK(!win_find("kernel32", "NoSuchFunction", 0));
	CHECK(win_find("ws2_32.dll", NULL, 23) == win_find("ws2_32.dll", "socket", 0));
	CHECK(win_find("WSOCK32.dll", NULL, 3) == win_find("ws2_32.dll", "closesocket", 0));
	CHECK(win_find("WSOCK32.dll", NULL, 12) == win_find("ws2_32.dll", NULL, 10)); /* not all */
}

/* A function that starts programs, finds functions, or makes pipes with names is told of. */
TEST(win_knows_what_leads_to_sockets)
{
	static const char *const libraries[] = {"kernel32", "ntdll", "msvcrt"};
	static const char *const like[] = {"CreateProcess", "CreateUserProcess", "LoadLib", "Ldr",
					   "ProcAddress", "CreateNamedPipe", "spawn", "popen",
					   "execl", "execv", "WinExec", "ShellExec", "LoadPackaged",
					   "loaddll", "getdllproc", "Socket", "WSA", "wsystem"};
	for (size_t l = 0; l < countof(libraries); l++) {
		const struct library *one = library_find(libraries[l]);
		CHECK(library_plain(libraries[l]));
		for (size_t i = 0; i < one->n; i++) {
			const char *name = one->apis[i].name;
			bool alike = !strcmp(name, "system");
			for (size_t k = 0; k < countof(like); k++)
				alike |= strstr(name, like[k]) != NULL;
			if (alike && !library_leads(name))
				print_message("%s\n", name);
			CHECK(!alike || library_leads(name));
		}
	}
	CHECK(!library_plain("ws2_32.dll") && !library_plain("shell32.dll"));
	CHECK(!library_plain("of-its-own.dll"));
}

TEST(win_text_goes_both_ways)
{
	static const wide mixed[] = u"a\u00e9\u20ac\U0001f600";
	static const wide lone[] = {'x', 0xd83d, 'y', 0};
	wide back[8];
	bool bad;
	autofree char *t = text_from(mixed, SIZE_MAX), *s = text_from(lone, SIZE_MAX);
	CHECK(!strcmp(t, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
	CHECK(utf16_put(t, strlen(t), back, 8, &bad) == 5 && !bad);
	CHECK(!memcmp(back, mixed, 10));
	CHECK(utf16_put(s, strlen(s), back, 8, &bad) == 3 && back[1] == 0xd83d);
	CHECK(utf16_put("\xff\xc3", 2, back, 8, &bad) == 2 && bad && back[0] == 0xfffd);
	CHECK(utf16_put("\xed\xa0", 2, NULL, 0, &bad) == 1 && bad); /* a half that is cut */
	CHECK(wide_upper('q') == 'Q' && wide_compare_i(u"AbC", u"aBc", SIZE_MAX) == 0);
	CHECK(wide_compare_i(u"abc", u"abd", SIZE_MAX) < 0);
}

TEST(win_memory_is_known_page_by_page)
{
	struct region r;
	uint64_t at = 0;
	uint32_t old;
	CHECK(space_reserve(&at, 0, 0x20000, PAGE_READWRITE, REGION_PRIVATE) == 0);
	CHECK(at % GRANULE == 0 && space_at(at + 0x5000, &r) && r.prot == 0);
	CHECK(space_commit(at + 0x2000, 0x3000, PAGE_READWRITE) == 0);
	*(volatile char *)(uintptr_t)(at + 0x4fff) = 1;
	CHECK(space_at(at + 0x2000, &r) && r.lo == at + 0x2000 && r.hi == at + 0x5000);
	CHECK(space_protect(at + 0x3000, 1, PAGE_READONLY, &old) == 0 && old == PAGE_READWRITE);
	CHECK(space_at(at + 0x2000, &r) && r.hi == at + 0x3000);
	CHECK(space_protect(at + 0x3000, 1, PAGE_READWRITE, &old) == 0);
	CHECK(space_at(at + 0x2000, &r) && r.hi == at + 0x5000);
	CHECK(space_protect(at, 0x3000, PAGE_READONLY, &old) == -EFAULT);
	CHECK(space_commit(at + 0x1f000, 0x2000, PAGE_READWRITE) == -EFAULT);
	CHECK(space_commit(at, 0x1000, 0x1000) == -EINVAL);
	CHECK(space_decommit(at + 0x2000, 0x3000) == 0);
	CHECK(space_at(at, &r) && r.hi == at + 0x20000 && !r.prot);
	CHECK(space_release(at + GRANULE) == -EINVAL);
	CHECK(space_release(at) == 0 && !space_at(at, &r));
	CHECK(space_reserve(&at, 0x1000, 0x1000, PAGE_READWRITE, REGION_PRIVATE) < 0);
	CHECK(space_reserve(&at, 0, UINT64_MAX - 0x1000, PAGE_READWRITE, REGION_PRIVATE) < 0);
}
