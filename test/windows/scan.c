/* SPDX-License-Identifier: Apache-2.0 */
/* scanf of msvcrt, of texts of both widths and of streams. */
#define __USE_MINGW_ANSI_STDIO 0
#include "test.h"
#include <stdlib.h>

typedef int (*narrow_fn)(const char *, const char *, ...);
typedef int (*wide_fn)(const wchar_t *, const wchar_t *, ...);
static narrow_fn narrow_scan; /* the runtime's own */
static wide_fn wide_scan;

/* One number: what is returned, and what is stored, by both functions. */
static void wholes(void)
{
	static const struct {
		const char *text, *format;
		int n;
		long long want; /* 8 bytes, which were all 0x55 before */
	} rows[] = {
#define OF_4(v) (0x5555555500000000LL | (unsigned)(v))
	    {"42", "%d", 1, OF_4(42)},
	    {"-42", "%d", 1, OF_4(-42)},
	    {"+42", "%d", 1, OF_4(42)},
	    {"  \t\n42", "%d", 1, OF_4(42)},
	    {"42x", "%d", 1, OF_4(42)},
	    {"x", "%d", 0, OF_4(0x55555555)},
	    {"", "%d", -1, OF_4(0x55555555)},
	    {"   ", "%d", -1, OF_4(0x55555555)},
	    {"-", "%d", 0, OF_4(0x55555555)},
	    {"12345", "%3d", 1, OF_4(123)},
	    {"-1234", "%3d", 1, OF_4(-12)},
	    {"0x1f", "%i", 1, OF_4(31)},
	    {"017", "%i", 1, OF_4(15)},
	    {"17", "%i", 1, OF_4(17)},
	    {"0", "%i", 1, OF_4(0)},
	    {"017", "%d", 1, OF_4(17)},
	    {"ff", "%x", 1, OF_4(255)},
	    {"0xFF", "%x", 1, OF_4(255)},
	    {"FFz", "%X", 1, OF_4(255)},
	    {"777", "%o", 1, OF_4(511)},
	    {"8", "%o", 0, OF_4(0x55555555)},
	    {"4294967295", "%u", 1, OF_4(-1)},
	    {"-1", "%u", 1, OF_4(-1)},
	    {"70000", "%hd", 1, 0x5555555555551170LL},
	    {"-1", "%ld", 1, OF_4(-1)},
	    {"9000000000", "%I64d", 1, 9000000000LL},
	    {"-9000000000", "%I64d", 1, -9000000000LL},
	    {"9000000000", "%lld", 1, 9000000000LL},
	    {"ffffffffff", "%I64x", 1, 0xffffffffffLL},
	    {"7", "%I32d", 1, OF_4(7)},
	    {"00000000DEADBEEF", "%p", 1, 0xdeadbeef},
	    {"a=5", "a=%d", 1, OF_4(5)},
	    {"a = 5", "a=%d", 0, OF_4(0x55555555)},
	    {"a = 5", "a = %d", 1, OF_4(5)},
	    {"a=5", "a = %d", 1, OF_4(5)},
	    {"b=5", "a=%d", 0, OF_4(0x55555555)},
	    {"1 2", "%*d %d", 1, OF_4(2)},
	    {"1", "%*d %d", 0, OF_4(0x55555555)},
	    {"5%", "%d%%", 1, OF_4(5)},
	    {"%5", "%%%d", 1, OF_4(5)},
	    {"abc", "abc%n", 0, OF_4(3)},
	    {"  ab", " ab%n", 0, OF_4(4)},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[60];
		wchar_t text[40], format[40];
		long long v = 0x5555555555555555LL;
		sprintf(name, "%s of %s", rows[i].format, rows[i].text);
		IS(name, narrow_scan(rows[i].text, rows[i].format, &v), rows[i].n);
		IS(name, v, rows[i].want);
		MultiByteToWideChar(CP_UTF8, 0, rows[i].text, -1, text, 40);
		MultiByteToWideChar(CP_UTF8, 0, rows[i].format, -1, format, 40);
		v = 0x5555555555555555LL;
		IS(name, wide_scan(text, format, &v), rows[i].n);
		IS(name, v, rows[i].want);
	}
}

static void fractions(void)
{
	static const struct {
		const char *text, *format;
		int n;
		double want;
	} rows[] = {{"1.5", "%lf", 1, 1.5}, {"-1.5e3x", "%lf", 1, -1500}, {".5", "%lf", 1, .5},
		    {"5.", "%lf", 1, 5},    {"1e-2", "%le", 1, .01},      {"x", "%lf", 0, -7},
		    {"", "%lf", -1, -7},    {"12345", "%3lf", 1, 123},    {"1.25", "%lg", 1, 1.25},
		    {"  2", "%lf", 1, 2},   {"1,5", "%lf", 1, 1},         {"+3", "%lf", 1, 3}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[60], *l = NULL;
		double d = -7;
		sprintf(name, "%s of %s", rows[i].format, rows[i].text);
		IS(name, narrow_scan(rows[i].text, rows[i].format, &d), rows[i].n);
		IS(name, d == rows[i].want, TRUE);
	}
	float f = 0;
	SAME(narrow_scan("2.5", "%f", &f), 1);
	CHECK(f == 2.5f);
	SAME(narrow_scan("0.1", "%g", &f), 1);
	CHECK(f == 0.1f);
}

static void texts(void)
{
	static const struct {
		const char *text, *format;
		int n;
		const char *want; /* of a room full of # */
	} rows[] = {{"one two", "%s", 1, "one"},    {"  one", "%s", 1, "one"},
		    {"onetwo", "%3s", 1, "one"},    {"", "%s", -1, "#####"},
		    {"   ", "%s", -1, "#####"},     {"abc", "%c", 1, "a####"},
		    {" bc", "%c", 1, " ####"},      {"abc", "%2c", 1, "ab###"},
		    {"a", "%2c", 1, "a####"},       {"", "%c", -1, "#####"},
		    {"abc123", "%[a-z]", 1, "abc"}, {"abc123", "%[^0-9]", 1, "abc"},
		    {"123", "%[a-z]", 0, "#####"},  {" abc", "%[a-z]", 0, "#####"},
		    {"]x", "%[]]", 1, "]"},         {"a-b", "%[a-]", 1, "a-"},
		    {"abcd", "%2[a-z]", 1, "ab"},   {"a,b", "%[^,]", 1, "a"},
		    {"x y", "%*s %s", 1, "y"},      {"k: v", "k: %s", 1, "v"},
		    {"k:v", "k: %s", 1, "v"},       {"one", "%hs", 1, "one"}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[60], room[30] = "#####";
		sprintf(name, "%s of %s", rows[i].format, rows[i].text);
		IS(name, narrow_scan(rows[i].text, rows[i].format, room), rows[i].n);
		if (rows[i].want)
			TEXT(name, room, rows[i].want);
	}
	wchar_t w[20] = L"#####";
	char t[20];
	int a = 0, b = 0, n = 0;
	SAME(narrow_scan("wide", "%ls", w), 1);
	TEXT_IS(narrow(w), "wide");
	SAME(narrow_scan("wide", "%S", w), 1);
	TEXT_IS(narrow(w), "wide");
	SAME(wide_scan(L"more text", L"%s", w), 1);
	TEXT_IS(narrow(w), "more");
	SAME(wide_scan(L"narrow", L"%S", t), 1);
	TEXT_IS(t, "narrow");
	SAME(wide_scan(L"narrow", L"%hs", t), 1);
	TEXT_IS(t, "narrow");
	SAME(wide_scan(L"abc1", L"%[a-c]", w), 1);
	TEXT_IS(narrow(w), "abc");
	SAME(narrow_scan("10-20 end", "%d-%d %s%n", &a, &b, t, &n), 3);
	SAME(a, 10);
	SAME(b, 20);
	TEXT_IS(t, "end");
	SAME(n, 9);
	SAME(narrow_scan("1 x", "%d %d", &a, &b), 1);
	SAME(narrow_scan("1", "%d %d", &a, &b), 1);
}

static void streams(void)
{
	char word[20];
	int a = 0;
	SetCurrentDirectoryA("C:\\Temp");
	FILE *f = fopen("scan.txt", "w");
	fputs("12 word\n0x1f,rest\nlast", f);
	fclose(f);
	f = fopen("scan.txt", "r");
	int (*stream_scan)(FILE *, const char *, ...) =
	    (void *)GetProcAddress(GetModuleHandleA("msvcrt"), "fscanf");
	SAME(stream_scan(f, "%d %s", &a, word), 2);
	SAME(a, 12);
	TEXT_IS(word, "word");
	SAME(fgetc(f), '\n');
	SAME(stream_scan(f, "%i,", &a), 1);
	SAME(a, 31);
	SAME(fgetc(f), 'r');
	SAME(stream_scan(f, "%d", &a), 0);
	SAME(stream_scan(f, "%[a-z]", word), 1);
	TEXT_IS(word, "est");
	SAME(stream_scan(f, "%s", word), 1);
	TEXT_IS(word, "last");
	SAME(stream_scan(f, "%s", word), EOF);
	fclose(f);
	remove("scan.txt");
}

int main(void)
{
	narrow_scan = (narrow_fn)(void *)GetProcAddress(GetModuleHandleA("msvcrt"), "sscanf");
	wide_scan = (wide_fn)(void *)GetProcAddress(GetModuleHandleA("msvcrt"), "swscanf");
	CHECK(narrow_scan && wide_scan);
	wholes();
	fractions();
	texts();
	streams();
	return end();
}
