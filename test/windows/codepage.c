/* SPDX-License-Identifier: Apache-2.0 */
/* Text between code pages: every flag, lengths, rooms too small, invalid input. */
#include "test.h"

#define FFFD L"\ufffd"

static void to_wide(void)
{
	static const struct {
		const char *name;
		UINT page;
		DWORD flags;
		const char *in;
		int n; /* bytes; -1 as in the call */
		const wchar_t *want;
		int units;
		DWORD error;
	} rows[] = {
	    {"ascii", CP_UTF8, 0, "abc", -1, L"abc", 4, 0},
	    {"ascii without end", CP_UTF8, 0, "abc", 3, L"abc", 3, 0},
	    {"an end within", CP_UTF8, 0, "a\0b", 3, L"a\0b", 3, 0},
	    {"empty text", CP_UTF8, 0, "", -1, L"", 1, 0},
	    {"two bytes", CP_UTF8, 0, "\xc3\xa9", -1, L"\u00e9", 2, 0},
	    {"three bytes", CP_UTF8, 0, "\xe2\x82\xac", -1, L"\u20ac", 2, 0},
	    {"four bytes", CP_UTF8, 0, "\xf0\x9f\x98\x80", -1, L"\xd83d\xde00", 3, 0},
	    {"the last of two", CP_UTF8, 0, "\xdf\xbf", 2, L"\u07ff", 1, 0},
	    {"the first of three", CP_UTF8, 0, "\xe0\xa0\x80", 3, L"\u0800", 1, 0},
	    {"the last of four", CP_UTF8, 0, "\xf4\x8f\xbf\xbf", 4, L"\xdbff\xdfff", 2, 0},
	    {"strict and good", CP_UTF8, MB_ERR_INVALID_CHARS, "a\xc3\xa9", -1, L"a\u00e9", 3, 0},
	    {"a lonely ff", CP_UTF8, 0, "\xff", 1, FFFD, 1, 0},
	    {"a lonely tail", CP_UTF8, 0, "a\x80z", 3, L"a" FFFD L"z", 3, 0},
	    {"cut after one", CP_UTF8, 0, "\xc3", 1, FFFD, 1, 0},
	    {"cut after two", CP_UTF8, 0, "\xe2\x82", 2, FFFD, 1, 0},
	    {"cut after three", CP_UTF8, 0, "\xf0\x9f\x98", 3, FFFD, 1, 0},
	    {"head, then letter", CP_UTF8, 0, "\xc3z", 2, FFFD L"z", 2, 0},
	    {"overlong slash", CP_UTF8, 0, "\xc0\xaf", 2, FFFD FFFD, 2, 0},
	    {"a half in UTF-8", CP_UTF8, 0, "\xed\xa0\x80", 3, FFFD FFFD, 2, 0},
	    {"beyond Unicode", CP_UTF8, 0, "\xf4\x90\x80\x80", 4, FFFD FFFD FFFD, 3, 0},
	    {"overlong of three", CP_UTF8, 0, "\xe0\x80\x80", 3, FFFD FFFD, 2, 0},
	    {"f5", CP_UTF8, 0, "\xf5z", 2, FFFD L"z", 2, 0},
	    {"strict ff", CP_UTF8, MB_ERR_INVALID_CHARS, "\xff", 1, NULL, 0,
	     ERROR_NO_UNICODE_TRANSLATION},
	    {"strict cut", CP_UTF8, MB_ERR_INVALID_CHARS, "\xe2\x82", 2, NULL, 0,
	     ERROR_NO_UNICODE_TRANSLATION},
	    {"strict overlong", CP_UTF8, MB_ERR_INVALID_CHARS, "\xc0\xaf", 2, NULL, 0,
	     ERROR_NO_UNICODE_TRANSLATION},
	    {"strict half", CP_UTF8, MB_ERR_INVALID_CHARS, "\xed\xa0\x80", 3, NULL, 0,
	     ERROR_NO_UNICODE_TRANSLATION},
	    {"flags of UTF-8", CP_UTF8, MB_PRECOMPOSED, "a", 1, NULL, 0, ERROR_INVALID_FLAGS},
	    {"flags of UTF-8 again", CP_UTF8, MB_USEGLYPHCHARS, "a", 1, NULL, 0,
	     ERROR_INVALID_FLAGS},
	    {"no bytes", CP_UTF8, 0, "a", 0, NULL, 0, ERROR_INVALID_PARAMETER},
	    {"no such page", 12345, 0, "a", 1, NULL, 0, ERROR_INVALID_PARAMETER},
	    {"ANSI with a flag", CP_ACP, MB_PRECOMPOSED, "ab", 2, L"ab", 2, 0},
	    {"1252", 1252, 0, "\xe9\x80\x9f", 3, L"\u00e9\u20ac\u0178", 3, 0},
	    {"1252 with a flag", 1252, MB_PRECOMPOSED, "\xe9", 1, L"\u00e9", 1, 0},
	    {"1252, quotes", 1252, 0, "\x91\x92\x93\x94\x85", 5, L"\u2018\u2019\u201c\u201d\u2026",
	     5, 0},
	    {"latin 1", 28591, 0, "\xe9\x80\xff", 3,
	     L"\u00e9\x80"
	     L"\u00ff",
	     3, 0},
	    {"ascii only", 20127, 0, "az", 2, L"az", 2, 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		wchar_t buf[16];
		memset(buf, 0x55, sizeof buf);
		SetLastError(0);
		IS(rows[i].name,
		   MultiByteToWideChar(rows[i].page, rows[i].flags, rows[i].in, rows[i].n, NULL, 0),
		   rows[i].units);
		IS(rows[i].name, GetLastError(), rows[i].error);
		if (!rows[i].want)
			continue;
		IS(rows[i].name,
		   MultiByteToWideChar(rows[i].page, rows[i].flags, rows[i].in, rows[i].n, buf, 16),
		   rows[i].units);
		IS(rows[i].name, memcmp(buf, rows[i].want, rows[i].units * 2), 0);
		IS(rows[i].name, buf[rows[i].units], 0x5555);
		if (rows[i].units < 2)
			continue;
		SetLastError(0);
		IS(rows[i].name,
		   MultiByteToWideChar(rows[i].page, rows[i].flags, rows[i].in, rows[i].n, buf,
				       rows[i].units - 1),
		   0);
		IS(rows[i].name, GetLastError(), ERROR_INSUFFICIENT_BUFFER);
	}
}

static void to_narrow(void)
{
	static const struct {
		const char *name;
		UINT page;
		DWORD flags;
		const wchar_t *in;
		int n;
		const char *want;
		int bytes, used; /* used: the default; -1: it may not be asked for */
		DWORD error;
	} rows[] = {
	    {"ascii", CP_UTF8, 0, L"abc", -1, "abc", 4, -1, 0},
	    {"without end", CP_UTF8, 0, L"abc", 2, "ab", 2, -1, 0},
	    {"two bytes", CP_UTF8, 0, L"\u00e9", 1, "\xc3\xa9", 2, -1, 0},
	    {"three bytes", CP_UTF8, 0, L"\u20ac", 1, "\xe2\x82\xac", 3, -1, 0},
	    {"four bytes", CP_UTF8, 0, L"\xd83d\xde00", 2, "\xf0\x9f\x98\x80", 4, -1, 0},
	    {"a first half", CP_UTF8, 0, L"\xd83d", 1, "\xef\xbf\xbd", 3, -1, 0},
	    {"a second half", CP_UTF8, 0, L"\xde00z", 2, "\xef\xbf\xbdz", 4, -1, 0},
	    {"two first halves", CP_UTF8, 0, L"\xd83d\xd83d", 2, "\xef\xbf\xbd\xef\xbf\xbd", 6, -1,
	     0},
	    {"strict half", CP_UTF8, WC_ERR_INVALID_CHARS, L"\xd83d", 1, NULL, 0, -1,
	     ERROR_NO_UNICODE_TRANSLATION},
	    {"strict and good", CP_UTF8, WC_ERR_INVALID_CHARS, L"\u20ac", 1, "\xe2\x82\xac", 3, -1,
	     0},
	    {"flags of UTF-8", CP_UTF8, WC_COMPOSITECHECK, L"a", 1, NULL, 0, -1,
	     ERROR_INVALID_FLAGS},
	    {"no such page", 12345, 0, L"a", 1, NULL, 0, -1, ERROR_INVALID_PARAMETER},
	    {"no units", CP_UTF8, 0, L"a", 0, NULL, 0, -1, ERROR_INVALID_PARAMETER},
	    {"ANSI with a flag", CP_ACP, WC_NO_BEST_FIT_CHARS, L"ab", 2, "ab", 2, 0, 0},
	    {"1252", 1252, 0, L"\u00e9\u20ac\u2026", 3, "\xe9\x80\x85", 3, 0, 0},
	    {"1252, not there", 1252, 0, L"a\u4e2d", 2, "a?", 2, 1, 0},
	    {"1252, strict and good", 1252, WC_NO_BEST_FIT_CHARS, L"\u00e9", 1, "\xe9", 1, 0, 0},
	    {"1252, strict and not there", 1252, WC_NO_BEST_FIT_CHARS, L"\u0101", 1, "?", 1, 1, 0},
	    {"latin 1", 28591, 0, L"\u00e9\u00ff", 2, "\xe9\xff", 2, 0, 0},
	    {"latin 1, not there", 28591, 0, L"\u4e2d", 1, "?", 1, 1, 0},
	    {"ascii, not there", 20127, 0, L"\u4e2d", 1, "?", 1, 1, 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char buf[16];
		BOOL used = 7, *ask = rows[i].used < 0 ? NULL : &used;
		memset(buf, 0x55, sizeof buf);
		SetLastError(0);
		IS(rows[i].name,
		   WideCharToMultiByte(rows[i].page, rows[i].flags, rows[i].in, rows[i].n, buf, 16,
				       NULL, ask),
		   rows[i].bytes);
		IS(rows[i].name, GetLastError(), rows[i].error);
		if (!rows[i].want)
			continue;
		IS(rows[i].name, memcmp(buf, rows[i].want, rows[i].bytes), 0);
		IS(rows[i].name, buf[rows[i].bytes], 0x55);
		if (ask)
			IS(rows[i].name, used, rows[i].used);
		IS(rows[i].name,
		   WideCharToMultiByte(rows[i].page, rows[i].flags, rows[i].in, rows[i].n, NULL, 0,
				       NULL, NULL),
		   rows[i].bytes);
		if (rows[i].bytes < 2)
			continue;
		SetLastError(0);
		IS(rows[i].name,
		   WideCharToMultiByte(rows[i].page, rows[i].flags, rows[i].in, rows[i].n, buf,
				       rows[i].bytes - 1, NULL, NULL),
		   0);
		IS(rows[i].name, GetLastError(), ERROR_INSUFFICIENT_BUFFER);
	}
	char c = 0;
	BOOL used = 0;
	SAME(WideCharToMultiByte(1252, 0, L"\u4e2d", 1, &c, 1, "!", &used), 1);
	SAME(c, '!');
	SAME(used, TRUE);
	FAILS(WideCharToMultiByte(CP_UTF8, 0, L"a", 1, &c, 1, "!", NULL), ERROR_INVALID_PARAMETER);
	FAILS(WideCharToMultiByte(CP_UTF8, 0, L"a", 1, &c, 1, NULL, &used),
	      ERROR_INVALID_PARAMETER);
}

static void pages(void)
{
	static const struct {
		UINT page, largest;
	} rows[] = {{65001, 4}, {1252, 1}, {28591, 1}, {20127, 1}};
	CPINFO info;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[20];
		sprintf(name, "page %u", rows[i].page);
		IS(name, IsValidCodePage(rows[i].page), TRUE);
		IS(name, GetCPInfo(rows[i].page, &info), TRUE);
		IS(name, info.MaxCharSize, rows[i].largest);
		IS(name, info.LeadByte[0], 0);
		IS(name, info.DefaultChar[0], '?');
	}
	SAME(IsValidCodePage(12345), FALSE);
	SAME(IsValidCodePage(0), FALSE);
	FAILS(GetCPInfo(12345, &info), ERROR_INVALID_PARAMETER);
	SAME(IsDBCSLeadByteEx(1252, 0x81), FALSE);
	SAME(IsDBCSLeadByteEx(CP_UTF8, 0xc3), FALSE);
}

static void comparisons(void)
{
	static const struct {
		const wchar_t *a, *b;
		BOOL fold;
		int want;
	} rows[] = {{L"", L"", 0, 2},
		    {L"a", L"", 0, 3},
		    {L"", L"a", 0, 1},
		    {L"a", L"b", 0, 1},
		    {L"a", L"A", 0, 3},
		    {L"a", L"A", 1, 2},
		    {L"Z", L"a", 0, 1},
		    {L"Z", L"a", 1, 3},
		    {L"abc", L"abcd", 1, 1},
		    {L"\u00e9", L"\u00c9", 1, 2},
		    {L"\u00e9", L"e", 1, 3},
		    {L"_", L"a", 1, 3},
		    {L"\u0430", L"\u0410", 1, 2},
		    {L"-", L"\u2010", 0, 1}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[60];
		sprintf(name, "%s against %s, %d", narrow(rows[i].a), narrow(rows[i].b),
			rows[i].fold);
		IS(name, CompareStringOrdinal(rows[i].a, -1, rows[i].b, -1, rows[i].fold),
		   rows[i].want);
		IS(name, CompareStringOrdinal(rows[i].b, -1, rows[i].a, -1, rows[i].fold),
		   4 - rows[i].want);
	}
	SAME(CompareStringOrdinal(L"abc", 2, L"abd", 2, FALSE), CSTR_EQUAL);
	FAILS(CompareStringOrdinal(NULL, 1, L"a", 1, FALSE), ERROR_INVALID_PARAMETER);
	SAME(lstrlenA("four"), 4);
	SAME(lstrlenA(NULL), 0);
	SAME(lstrlenW(L"four"), 4);
	SAME(lstrlenW(NULL), 0);
	SAME(lstrcmpiW(L"Same", L"sAME"), 0);
	wchar_t buf[20] = L"a";
	CHECK(lstrcatW(buf, L"bc") == buf);
	TEXT_IS(narrow(buf), "abc");
	CHECK(lstrcpyW(buf, L"new") == buf);
	TEXT_IS(narrow(buf), "new");
}

static void mapping(void)
{
	static const struct {
		DWORD flags;
		const wchar_t *in, *want;
	} rows[] = {{LCMAP_UPPERCASE, L"abc1", L"ABC1"},
		    {LCMAP_LOWERCASE, L"ABC1", L"abc1"},
		    {LCMAP_UPPERCASE, L"\u00e9\u0430", L"\u00c9\u0410"},
		    {LCMAP_LOWERCASE, L"\u00c9\u0410", L"\u00e9\u0430"},
		    {LCMAP_UPPERCASE, L"\u00df", L"\u00df"},
		    {LCMAP_UPPERCASE, L"", L""}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		wchar_t buf[16] = L"";
		char name[40];
		sprintf(name, "map %lx %s", rows[i].flags, narrow(rows[i].in));
		IS(name,
		   LCMapStringEx(LOCALE_NAME_INVARIANT, rows[i].flags, rows[i].in, -1, NULL, 0, 0,
				 0, 0),
		   wcslen(rows[i].want) + 1);
		LCMapStringEx(LOCALE_NAME_INVARIANT, rows[i].flags, rows[i].in, -1, buf, 16, 0, 0,
			      0);
		TEXT(name, narrow(buf), narrow(rows[i].want));
	}
	static const struct {
		wchar_t c;
		WORD want;
	} kinds[] = {{'a', C1_LOWER | C1_ALPHA | C1_XDIGIT},
		     {'Z', C1_UPPER | C1_ALPHA},
		     {'7', C1_DIGIT | C1_XDIGIT},
		     {' ', C1_SPACE | C1_BLANK},
		     {'\t', C1_SPACE | C1_BLANK | C1_CNTRL},
		     {'\n', C1_SPACE | C1_CNTRL},
		     {'!', C1_PUNCT},
		     {0x1, C1_CNTRL}};
	for (size_t i = 0; i < COUNT(kinds); i++) {
		WORD kind = 0;
		char name[20];
		sprintf(name, "kind of %d", kinds[i].c);
		IS(name, GetStringTypeW(CT_CTYPE1, &kinds[i].c, 1, &kind), TRUE);
		IS(name, kind & 0x1ff, kinds[i].want);
	}
}

int main(void)
{
	to_wide();
	to_narrow();
	pages();
	comparisons();
	mapping();
	return end();
}
