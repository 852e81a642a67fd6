/* SPDX-License-Identifier: Apache-2.0 */
/* Locales of the C runtime: C, and English of the United States, both with UTF-8. */
#include "win/crt.h"
#include <stdio.h>

enum { ALL, COLLATE, CTYPE, MONETARY, NUMERIC, TIME, CATEGORIES };
enum { NAME_MOST = 64, WHOLE_MOST = CATEGORIES * (NAME_MOST + 16) };
static const char ENGLISH[] = "English_United States.utf8";
/* What each category was set to; "": C. */
static WIN_STATE char locale_names[CATEGORIES][NAME_MOST];
static WIN_STATE char locale_whole[WHOLE_MOST];
static WIN_STATE wide locale_wide[WHOLE_MOST];

static bool one_of(const char *s, size_t n, const char *const *all)
{
	for (; *all; all++)
		if (strlen(*all) == n && !strncasecmp(s, *all, n))
			return true;
	return false;
}

/* What @name is called as it is told back: C for "", as ucrt has it; NULL: there is no such one. */
static const char *locale_told(const char *name)
{
	static const char *const languages[] = {"English_United States",
						"English",
						"American",
						"american-english",
						"en",
						"en-US",
						"enu",
						"English_United States of America",
						"english-us",
						"usa",
						NULL};
	static const char *const posix[] = {"en_US", NULL};
	static const char *const pages[] = {"utf8", "utf-8", "65001", "ACP", "OCP", NULL};
	if (!strcmp(name, "C"))
		return "";
	const char *page = strrchr(name, '.');
	size_t n = page ? (size_t)(page - name) : strlen(name);
	if ((page && !one_of(page + 1, strlen(page + 1), pages)) || strlen(name) >= NAME_MOST)
		return NULL;
	if (!n || one_of(name, n, languages))
		return n && strchr(name, '-') && n < strlen("english-us") ? name : ENGLISH;
	return one_of(name, n, posix) ? name : NULL;
}

static const char *locale_now(int what)
{
	static const char *const titles[] = {"", "COLLATE", "CTYPE", "MONETARY", "NUMERIC", "TIME"};
	bool same = true;
	size_t n = 0;
	if (what != ALL)
		return *locale_names[what] ? locale_names[what] : "C";
	for (int i = COLLATE; i < CATEGORIES; i++)
		same = same && !strcmp(locale_names[i], locale_names[COLLATE]);
	if (same)
		return locale_now(COLLATE);
	for (int i = COLLATE; i < CATEGORIES; i++)
		n += (size_t)snprintf(locale_whole + n, WHOLE_MOST - n, "%sLC_%s=%s", n ? ";" : "",
				      titles[i], locale_now(i));
	return locale_whole;
}

API(const char *, crt_setlocale, int what, const char *name)
{
	if (what < ALL || what >= CATEGORIES)
		return NULL;
	if (!name)
		return locale_now(what);
	if (!strncmp(name, "LC_", 3)) { /* as it was told of all */
		autofree char *copy = strdup(name);
		char *rest = copy;
		for (int i = COLLATE; rest && i < CATEGORIES; i++) {
			char *v = strsep(&rest, ";");
			if ((v = strchr(v, '=')) && !crt_setlocale(i, v + 1))
				return NULL;
		}
		return locale_now(what);
	}
	const char *told = locale_told(name);
	if (!told)
		return NULL;
	for (int i = what == ALL ? COLLATE : what; i < (what == ALL ? CATEGORIES : what + 1); i++)
		if (told != locale_names[i])
			snprintf(locale_names[i], NAME_MOST, "%s", told);
	return locale_now(what);
}

API(const wide *, crt__wsetlocale, int what, const wide *name)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	const char *r = crt_setlocale(what, n);
	if (r)
		utf16_put(r, strlen(r) + 1, locale_wide, WHOLE_MOST, NULL);
	return r ? locale_wide : NULL;
}

struct lconv_win {
	const char *text[10];
	char number[8];
	const wide *wtext[8];
};
/* DEVIATES: numbers are written as in C, whatever the locale. */
API(const struct lconv_win *, crt_localeconv, void)
{
	static struct lconv_win l = {{".", "", "", "", "", "", "", "", "", ""},
				     {127, 127, 127, 127, 127, 127, 127, 127},
				     {u".", u"", u"", u"", u"", u"", u"", u""}};
	return &l;
}

/* Objects of locales: each is what there is. */
API(void *, crt__create_locale, int what, const char *name)
{
	return what >= ALL && what < CATEGORIES && name && locale_told(name) ? heap_alloc(16, true)
									     : NULL;
}
API(void, crt__free_locale, void *l) { heap_free(l); }
API(void *, crt__get_current_locale, void) { return heap_alloc(16, true); }

API(int, crt___mb_cur_max_func, void) { return 4; }
API(unsigned, crt___lc_codepage_func, void) { return 65001; }
API(unsigned, crt___lc_collate_cp_func, void) { return 65001; }
API(int, crt__getmbcp, void) { return 65001; }
API(int, crt__setmbcp, int page)
{
	enum { MB_OEM = -2, MB_ANSI = -3, MB_LOCALE = -4 };
	return page == 65001 || (page <= MB_OEM && page >= MB_LOCALE) ? 0 : crt_fail(EINVAL);
}
/* The names of the categories, by their numbers; NULL: C. */
API(const wide **, crt___lc_locale_name_func, void)
{
	static WIN_STATE const wide *names[CATEGORIES];
	for (int i = 0; i < CATEGORIES; i++)
		names[i] = *locale_names[i] ? u"en-US" : NULL;
	return names;
}

/* ---- characters one after the other, which may come in pieces ---- */

struct mbstate_win {
	uint32_t c;
	uint16_t bytes, need; /* how many of it there are, of how many */
};
enum { INCOMPLETE = -2, REPLACEMENT = 0xfffd };

/* How many bytes a character has that begins with @c; 0: none does. */
static unsigned sequence_len(uint8_t c)
{
	return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

static size_t sequence_bad(struct mbstate_win *st)
{
	*st = (struct mbstate_win){0};
	return (size_t)crt_fail(EILSEQ);
}

API(size_t, crt_mbrtowc, wide *to, const uint8_t *s, size_t n, struct mbstate_win *st)
{
	static _Thread_local struct mbstate_win own;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t used = 0;
	st = st ? st : &own;
	if (!s) {
		to = NULL;
		s = (const uint8_t *)"";
		n = 1;
	}
	while (used < n) {
		uint8_t c = s[used++];
		if (!st->need) {
			if (!(st->need = (uint16_t)sequence_len(c)))
				return sequence_bad(st);
			st->c = st->need == 1 ? c : c & (0x7fu >> st->need);
		} else if ((c & 0xc0) != 0x80) {
			return sequence_bad(st);
		} else {
			st->c = st->c << 6 | (c & 0x3f);
		}
		if (++st->bytes < st->need)
			continue;
		uint32_t u = st->c;
		if (u < least[st->need] || u > 0x10ffff || (u >= 0xd800 && u < 0xe000))
			return sequence_bad(st);
		*st = (struct mbstate_win){0};
		if (to)
			*to = u > 0xffff ? REPLACEMENT : (wide)u; /* no room for two */
		return u ? used : 0;
	}
	return (size_t)INCOMPLETE;
}

API(size_t, crt_mbrlen, const uint8_t *s, size_t n, struct mbstate_win *st)
{
	static _Thread_local struct mbstate_win own;
	return crt_mbrtowc(NULL, s, n, st ? st : &own);
}

/* A high half is kept until the low one comes. */
API(size_t, crt_wcrtomb, char *to, wide c, struct mbstate_win *st)
{
	static _Thread_local struct mbstate_win own;
	bool bad;
	st = st ? st : &own;
	const wide pair[] = {(wide)st->c, c};
	if (!to)
		return *st = (struct mbstate_win){0}, 1;
	if (!st->c && c >= 0xd800 && c < 0xdc00)
		return st->c = c, 0;
	size_t n = st->c ? utf8_put(pair, 2, to, 4, &bad) : utf8_put(&c, 1, to, 4, &bad);
	return bad ? sequence_bad(st) : (*st = (struct mbstate_win){0}, n);
}

API(int, crt_wcrtomb_s, size_t *ret, char *to, size_t cap, wide c, struct mbstate_win *st)
{
	char buf[4];
	size_t n = crt_wcrtomb(buf, c, st);
	bool fits = n <= cap;
	if (fits && to && n != SIZE_MAX)
		memcpy(to, buf, n);
	if (ret)
		*ret = n;
	return n == SIZE_MAX ? 42 : fits || !to ? 0 : 34; /* EILSEQ, ERANGE */
}

API(size_t, crt_mbsrtowcs, wide *to, const char **s, size_t cap, void *st)
{
	bool bad;
	(void)st;
	size_t len = utf16_put(*s, strlen(*s), to, to ? cap : 0, &bad);
	if (bad)
		return (size_t)crt_fail(EILSEQ);
	if (to && len < cap) {
		to[len] = 0;
		*s = NULL;
	} else if (to) { /* up to what there was room for */
		*s += utf8_put(to, cap, NULL, 0, NULL);
		len = cap;
	}
	return len;
}

API(size_t, crt_wcsrtombs, char *to, const wide **s, size_t cap, void *st)
{
	size_t len = 0;
	bool bad = false;
	(void)st;
	for (const wide *p = *s;; p++) {
		size_t units = *p >= 0xd800 && p[0] < 0xdc00 ? 2 : 1;
		char c[4];
		size_t n = *p ? utf8_put(p, units, c, sizeof c, &bad) : 1;
		if (*p && bad)
			return (size_t)crt_fail(EILSEQ);
		if (to && len + n > cap) {
			*s = p;
			return len;
		}
		if (!*p) {
			if (to)
				to[len] = 0, *s = NULL;
			return len;
		}
		if (to)
			memcpy(to + len, c, n);
		len += n;
		p += units - 1;
	}
}

/* ---- with an object of a locale: the same ---- */

WINAPI int crt_tolower(int c);
WINAPI int crt_toupper(int c);
WINAPI wide crt_towlower(wide c);
WINAPI wide crt_towupper(wide c);
WINAPI size_t crt_mbstowcs(wide *to, const char *s, size_t n);
WINAPI size_t crt_wcstombs(char *to, const wide *s, size_t n);
WINAPI int crt_strcoll(const char *a, const char *b);
WINAPI int crt_wcscoll(const wide *a, const wide *b);
API(int, crt__tolower_l, int c, void *l) { return (void)l, crt_tolower(c); }
API(int, crt__toupper_l, int c, void *l) { return (void)l, crt_toupper(c); }
API(wide, crt__towlower_l, wide c, void *l) { return (void)l, crt_towlower(c); }
API(wide, crt__towupper_l, wide c, void *l) { return (void)l, crt_towupper(c); }
API(int, crt__strcoll_l, const char *a, const char *b, void *l)
{
	return (void)l, crt_strcoll(a, b);
}
API(int, crt__wcscoll_l, const wide *a, const wide *b, void *l)
{
	return (void)l, crt_wcscoll(a, b);
}
API(size_t, crt__mbstowcs_l, wide *to, const char *s, size_t n, void *l)
{
	return (void)l, crt_mbstowcs(to, s, n);
}
API(size_t, crt__wcstombs_l, char *to, const wide *s, size_t n, void *l)
{
	return (void)l, crt_wcstombs(to, s, n);
}
