/* SPDX-License-Identifier: Apache-2.0 */
/* Code pages and kinds of characters. The ANSI and OEM pages of the guest are UTF-8, so that text
 * of the A functions is what files have here. */
#include "win/internal.h"
#include <stdio.h>
#include <wctype.h>

enum {
	CP_ACP = 0,
	CP_OEM = 1,
	CP_THREAD = 3,
	CP_LATIN1 = 28591,
	CP_1252 = 1252,
	CP_437 = 437,
	CP_ASCII = 20127,
	CP_UTF7 = 65000,
	CP_UTF8 = 65001
};
enum { MB_ERROR = 8, WC_ERROR = 0x80 };

static bool page_known(uint32_t *page)
{
	if (*page == CP_ACP || *page == CP_OEM || *page == CP_THREAD)
		*page = CP_UTF8;
	return *page == CP_UTF8 || *page == CP_LATIN1 || *page == CP_1252 || *page == CP_ASCII ||
	       *page == CP_437;
}

static const wide high_1252[32] = {0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
				   0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
				   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
				   0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

static wide byte_wide(uint32_t page, uint8_t c)
{
	return page == CP_1252 && c >= 0x80 && c < 0xa0 ? high_1252[c - 0x80] : c;
}

static int byte_of(uint32_t page, wide c)
{
	if (c < 0x80 || (page != CP_ASCII && c < 0x100 && !(page == CP_1252 && c < 0xa0)))
		return c;
	for (int i = 0; page == CP_1252 && i < 32; i++)
		if (high_1252[i] == c)
			return 0x80 + i;
	return -1;
}

API(int32_t, k32_MultiByteToWideChar, uint32_t page, uint32_t flags, const char *s, int32_t n,
    wide *out, int32_t cap)
{
	bool bad = false;
	size_t len = n < 0 ? strlen(s) + 1 : (size_t)n, got;
	bool named = page == CP_UTF8; /* of CP_ACP, flags of other pages are taken */
	if (!n || cap < 0 || !page_known(&page))
		return (int32_t)fail(ERROR_INVALID_PARAMETER);
	if (named && flags & ~(uint32_t)MB_ERROR)
		return (int32_t)fail(ERROR_INVALID_FLAGS);
	if (page == CP_UTF8) {
		got = utf16_put_strict(s, len, cap ? out : NULL, (size_t)cap, &bad);
	} else {
		got = len;
		for (size_t i = 0; cap && i < len && i < (size_t)cap; i++)
			out[i] = byte_wide(page, (uint8_t)s[i]);
	}
	if (bad && flags & MB_ERROR)
		return (int32_t)fail(ERROR_NO_UNICODE_TRANSLATION);
	if (cap && got > (size_t)cap)
		return (int32_t)fail(ERROR_INSUFFICIENT_BUFFER);
	return (int32_t)got;
}

API(int32_t, k32_WideCharToMultiByte, uint32_t page, uint32_t flags, const wide *s, int32_t n,
    char *out, int32_t cap, const char *other, uint32_t *ret_other)
{
	bool bad = false;
	size_t len = n < 0 ? wide_len(s) + 1 : (size_t)n, got = 0;
	bool named = page == CP_UTF8; /* of CP_ACP, flags and defaults of other pages are taken */
	if (!n || cap < 0 || (named && (other || ret_other)) || !page_known(&page))
		return (int32_t)fail(ERROR_INVALID_PARAMETER);
	if (named && flags & ~(uint32_t)WC_ERROR)
		return (int32_t)fail(ERROR_INVALID_FLAGS);
	if (page == CP_UTF8) {
		for (size_t i = 0; i < len;) { /* a lone surrogate is shown as U+FFFD */
			size_t one = i + 1 < len && (s[i] & 0xfc00) == 0xd800 ? 2 : 1;
			bool lone = false;
			size_t room = cap > 0 && (size_t)cap > got ? (size_t)cap - got : 0;
			size_t used = utf8_put(s + i, one, room ? out + got : NULL, room, &lone);
			if (lone) {
				static const wide replacement = 0xfffd;
				one = 1;
				used =
				    utf8_put(&replacement, 1, room ? out + got : NULL, room, NULL);
				bad = true;
			}
			got += used;
			i += one;
		}
	} else {
		for (size_t i = 0; i < len; i++, got++) {
			int b = byte_of(page, s[i]);
			bad |= b < 0;
			if (cap && got < (size_t)cap)
				out[got] = (char)(b < 0 ? other ? *other : '?' : b);
		}
	}
	if (ret_other)
		*ret_other = page != CP_UTF8 && bad;
	if (bad && flags & WC_ERROR)
		return (int32_t)fail(ERROR_NO_UNICODE_TRANSLATION);
	if (cap && got > (size_t)cap)
		return (int32_t)fail(ERROR_INSUFFICIENT_BUFFER);
	return (int32_t)got;
}

API(uint32_t, k32_GetACP, void) { return CP_UTF8; }
API(uint32_t, k32_GetOEMCP, void) { return CP_UTF8; }
API(uint32_t, k32_AreFileApisANSI, void) { return 1; }
API(void, k32_SetFileApisToOEM, void) {}
API(void, k32_SetFileApisToANSI, void) {}
API(uint32_t, k32_IsValidCodePage, uint32_t page)
{
	return page != CP_ACP && page != CP_OEM && page != CP_THREAD && page_known(&page);
}
API(uint32_t, k32_IsDBCSLeadByteEx, uint32_t page, uint8_t c)
{
	(void)page;
	(void)c;
	return 0;
}
API(uint32_t, k32_IsDBCSLeadByte, uint8_t c)
{
	(void)c;
	return 0;
}

struct cp_info {
	uint32_t longest;
	uint8_t other[2], lead[12];
};
API(uint32_t, k32_GetCPInfo, uint32_t page, struct cp_info *ret)
{
	if (!page_known(&page))
		return fail(ERROR_INVALID_PARAMETER);
	*ret = (struct cp_info){.longest = page == CP_UTF8 ? 4 : 1, .other = {'?'}};
	return 1;
}

/* ---- kinds of characters ---- */

enum {
	C1_UPPER = 1,
	C1_LOWER = 2,
	C1_DIGIT = 4,
	C1_SPACE = 8,
	C1_PUNCT = 16,
	C1_CNTRL = 32,
	C1_BLANK = 64,
	C1_XDIGIT = 128,
	C1_ALPHA = 256,
	C1_DEFINED = 512
};

uint16_t char_type(wide c)
{
	unsigned t = C1_DEFINED;
	if (c < 0x80) {
		bool up = c >= 'A' && c <= 'Z', low = c >= 'a' && c <= 'z',
		     dig = c >= '0' && c <= '9';
		t |= (up ? C1_UPPER | C1_ALPHA : 0u) | (low ? C1_LOWER | C1_ALPHA : 0u) |
		     (dig ? C1_DIGIT : 0u);
		t |= c == ' ' || (c >= 9 && c <= 13) ? C1_SPACE : 0u;
		t |= c < 32 || c == 127 ? C1_CNTRL : 0u;
		t |= c == ' ' || c == '\t' ? C1_BLANK : 0u;
		t |= dig || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f') ? C1_XDIGIT : 0u;
		t |= c > 32 && c < 127 && !up && !low && !dig ? C1_PUNCT : 0u;
		return (uint16_t)t;
	}
	t |= (iswupper(c) ? C1_UPPER | C1_ALPHA : 0u) | (iswlower(c) ? C1_LOWER | C1_ALPHA : 0u) |
	     (iswalpha(c) ? C1_ALPHA : 0u) | (iswspace(c) ? C1_SPACE : 0u) |
	     (iswpunct(c) ? C1_PUNCT : 0u) | (iswcntrl(c) ? C1_CNTRL : 0u);
	return (uint16_t)t;
}

API(uint32_t, k32_GetStringTypeW, uint32_t kind, const wide *s, int32_t n, uint16_t *ret)
{
	size_t len = n < 0 ? wide_len(s) + 1 : (size_t)n;
	if (kind != 1 && kind != 2 && kind != 4)
		return fail(ERROR_INVALID_PARAMETER);
	for (size_t i = 0; i < len; i++)
		ret[i] = kind == 1 ? char_type(s[i]) : 0;
	return 1;
}

enum { LCMAP_LOWER = 0x100, LCMAP_UPPER = 0x200, LCMAP_SORTKEY = 0x400 };

API(int32_t, k32_LCMapStringEx, const wide *locale, uint32_t flags, const wide *s, int32_t n,
    wide *out, int32_t cap, void *version, void *reserved, uint64_t handle_)
{
	(void)locale;
	(void)version;
	(void)reserved;
	(void)handle_;
	size_t len = n < 0 ? wide_len(s) + 1 : (size_t)n;
	if (flags & LCMAP_SORTKEY)
		return (int32_t)fail(ERROR_NOT_SUPPORTED);
	if (cap && len > (size_t)cap)
		return (int32_t)fail(ERROR_INSUFFICIENT_BUFFER);
	for (size_t i = 0; cap && i < len; i++)
		out[i] = flags & LCMAP_UPPER   ? wide_upper(s[i])
			 : flags & LCMAP_LOWER ? wide_lower(s[i])
					       : s[i];
	return (int32_t)len;
}

API(int32_t, k32_LCMapStringW, uint32_t locale, uint32_t flags, const wide *s, int32_t n, wide *out,
    int32_t cap)
{
	(void)locale;
	return k32_LCMapStringEx(NULL, flags, s, n, out, cap, NULL, NULL, 0);
}

static int32_t order(const wide *a, size_t n, const wide *b, size_t m, bool ignore_case)
{
	for (size_t i = 0; i < n && i < m; i++) {
		wide x = ignore_case ? wide_upper(a[i]) : a[i],
		     y = ignore_case ? wide_upper(b[i]) : b[i];
		if (x != y)
			return x < y ? 1 : 3;
	}
	return n < m ? 1 : n > m ? 3 : 2;
}

API(int32_t, k32_CompareStringOrdinal, const wide *a, int32_t n, const wide *b, int32_t m,
    uint32_t ignore_case)
{
	if (!a || !b)
		return (int32_t)fail(ERROR_INVALID_PARAMETER);
	return order(a, n < 0 ? wide_len(a) : (size_t)n, b, m < 0 ? wide_len(b) : (size_t)m,
		     ignore_case != 0);
}

/* Letters before their capitals, as a dictionary has them; no other rules of a language. */
API(int32_t, k32_CompareStringW, uint32_t locale, uint32_t flags, const wide *a, int32_t n,
    const wide *b, int32_t m)
{
	(void)locale;
	size_t x = n < 0 ? wide_len(a) : (size_t)n, y = m < 0 ? wide_len(b) : (size_t)m;
	int32_t r = order(a, x, b, y, true);
	if (r != 2 || flags & 1)
		return r;
	return 4 - order(a, x, b, y, false);
}

API(int32_t, k32_CompareStringEx, const wide *locale, uint32_t flags, const wide *a, int32_t n,
    const wide *b, int32_t m, void *v, void *r, uint64_t p)
{
	(void)locale;
	(void)v;
	(void)r;
	(void)p;
	return k32_CompareStringW(0, flags, a, n, b, m);
}

API(int32_t, k32_lstrlenW, const wide *s) { return s ? (int32_t)wide_len(s) : 0; }
API(int32_t, k32_lstrlenA, const char *s) { return s ? (int32_t)strlen(s) : 0; }
API(int32_t, k32_lstrcmpiW, const wide *a, const wide *b)
{
	return k32_CompareStringW(0, 1, a, -1, b, -1) - 2;
}
API(int32_t, k32_lstrcmpW, const wide *a, const wide *b)
{
	return k32_CompareStringW(0, 0, a, -1, b, -1) - 2;
}
API(int32_t, k32_CompareStringA, uint32_t locale, uint32_t flags, const char *a, int32_t n,
    const char *b, int32_t m)
{
	autofree wide *x = text_wide(a, n < 0 ? SIZE_MAX : (size_t)n);
	autofree wide *y = text_wide(b, m < 0 ? SIZE_MAX : (size_t)m);
	return x && y ? k32_CompareStringW(locale, flags, x, -1, y, -1)
		      : (int32_t)fail(ERROR_NOT_ENOUGH_MEMORY);
}
API(int32_t, k32_lstrcmpA, const char *a, const char *b)
{
	return k32_CompareStringA(0, 0, a, -1, b, -1) - 2;
}
API(int32_t, k32_lstrcmpiA, const char *a, const char *b)
{
	return k32_CompareStringA(0, 1, a, -1, b, -1) - 2;
}
API(char *, k32_lstrcatA, char *to, const char *s)
{
	memcpy(to + strlen(to), s, strlen(s) + 1);
	return to;
}
API(char *, k32_lstrcpyA, char *to, const char *s)
{
	memmove(to, s, strlen(s) + 1);
	return to;
}
/* At most @n with the 0. */
API(char *, k32_lstrcpynA, char *to, const char *s, int32_t n)
{
	size_t len = strlen(s);
	if (n <= 0)
		return to;
	len = len < (size_t)n - 1 ? len : (size_t)n - 1;
	memmove(to, s, len);
	to[len] = 0;
	return to;
}
API(wide *, k32_lstrcpynW, wide *to, const wide *s, int32_t n)
{
	size_t len = wide_len(s);
	if (n <= 0)
		return to;
	len = len < (size_t)n - 1 ? len : (size_t)n - 1;
	memmove(to, s, 2 * len);
	to[len] = 0;
	return to;
}
API(wide *, k32_lstrcatW, wide *to, const wide *s)
{
	memcpy(to + wide_len(to), s, 2 * (wide_len(s) + 1));
	return to;
}
API(wide *, k32_lstrcpyW, wide *to, const wide *s)
{
	memmove(to, s, 2 * (wide_len(s) + 1));
	return to;
}

enum { ENGLISH_US = 0x409 };
API(uint32_t, k32_GetUserDefaultLCID, void) { return ENGLISH_US; }
API(uint32_t, k32_GetSystemDefaultLCID, void) { return ENGLISH_US; }
API(uint32_t, k32_GetThreadLocale, void) { return ENGLISH_US; }
API(uint16_t, k32_GetUserDefaultUILanguage, void) { return ENGLISH_US; }
API(uint16_t, k32_GetSystemDefaultUILanguage, void) { return ENGLISH_US; }
API(uint16_t, k32_GetUserDefaultLangID, void) { return ENGLISH_US; }
API(uint16_t, k32_GetSystemDefaultLangID, void) { return ENGLISH_US; }
API(uint32_t, k32_IsValidLocale, uint32_t lcid, uint32_t flags)
{
	(void)flags;
	return lcid == ENGLISH_US || lcid == 0x7f || lcid == 0x400 || lcid == 0x800;
}
API(int32_t, k32_GetUserDefaultLocaleName, wide *buf, int32_t n)
{
	return (int32_t)wide_give("en-US", buf, n < 0 ? 0 : (uint32_t)n) + 1;
}

struct locale_row {
	uint32_t kind;
	const char *text;
};
static const struct locale_row locale_rows[] = {{0x1, "0409"},
						{0x2, "English (United States)"},
						{0x3, "ENU"},
						{0x4, "English"},
						{0x5, "1"},
						{0x6, "United States"},
						{0x7, "USA"},
						{0xb, "437"},
						{0xc, ","},
						{0xe, "."},
						{0xf, ","},
						{0x10, "3;0"},
						{0x1001, "English"},
						{0x1002, "United States"},
						{0x1004, "1252"},
						{0x59, "en"},
						{0x5a, "US"},
						{0x5c, "en-US"},
						{0x14, "$"},
						{0x15, "USD"},
						{0x1f, "M/d/yyyy"},
						{0x20, "dddd, MMMM d, yyyy"},
						{0x1003, "h:mm:ss tt"},
						{0x28, "AM"},
						{0x29, "PM"}};

API(int32_t, k32_GetLocaleInfoEx, const wide *locale, uint32_t kind, wide *buf, int32_t n)
{
	(void)locale;
	bool number = kind & 0x20000000;
	for (size_t i = 0; i < countof(locale_rows); i++) {
		if (locale_rows[i].kind != (kind & 0x1fffffff))
			continue;
		if (number) {
			uint32_t v =
			    (uint32_t)strtoul(locale_rows[i].text, NULL, kind & 1 ? 16 : 10);
			if (n >= 2)
				le32_put(buf, v);
			return 2;
		}
		uint32_t len = wide_give(locale_rows[i].text, n ? buf : NULL, (uint32_t)n);
		if (n && len >= (uint32_t)n)
			return (int32_t)fail(ERROR_INSUFFICIENT_BUFFER);
		return (int32_t)(n ? len + 1 : len);
	}
	return (int32_t)fail(ERROR_INVALID_FLAGS);
}

API(int32_t, k32_GetLocaleInfoW, uint32_t lcid, uint32_t kind, wide *buf, int32_t n)
{
	(void)lcid;
	return k32_GetLocaleInfoEx(NULL, kind, buf, n);
}

API(int32_t, k32_GetLocaleInfoA, uint32_t lcid, uint32_t kind, char *buf, int32_t n)
{
	wide w[64];
	int32_t len = k32_GetLocaleInfoW(lcid, kind, w, countof(w));
	if (!len || kind & 0x20000000) {
		if (len && n >= 4)
			memcpy(buf, w, 4);
		return len ? 4 : 0;
	}
	autofree char *t = text_from(w, SIZE_MAX);
	return t && n ? (int32_t)text_give(t, buf, (uint32_t)n) + 1 : len;
}
