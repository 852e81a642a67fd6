/* SPDX-License-Identifier: Apache-2.0 */
/* What the C runtime does with all characters of a text, wide ones first. */
#include "win/crt.h"

WINAPI int crt_fputws(const wide *t, void *file);
WINAPI int crt_fputwc(wide c, void *file);

/* ---- texts ---- */

static bool is_one_of(wide c, const wide *set)
{
	while (*set && *set != c)
		set++;
	return *set;
}

API(wide *, crt_wcstok_s, wide *s, const wide *set, wide **rest)
{
	s = s ? s : *rest;
	while (s && *s && is_one_of(*s, set))
		s++;
	if (!s || !*s)
		return *rest = s, NULL;
	wide *from = s;
	while (*s && !is_one_of(*s, set))
		s++;
	*rest = *s ? s + 1 : s;
	*s = 0;
	return from;
}
API(wide *, crt_wcstok, wide *s, const wide *set)
{
	return crt_wcstok_s(s, set, &crt_self()->wtoken);
}

API(wide *, crt__wcsrev, wide *s)
{
	for (size_t i = 0, n = wide_len(s); i + 1 < n - i; i++) {
		wide c = s[i];
		s[i] = s[n - 1 - i];
		s[n - 1 - i] = c;
	}
	return s;
}

API(wide *, crt__wcsnset, wide *s, wide c, size_t n)
{
	for (wide *p = s; *p && n; p++, n--)
		*p = c;
	return s;
}
API(wide *, crt__wcsset, wide *s, wide c) { return crt__wcsnset(s, c, SIZE_MAX); }

API(char *, crt__strnset, char *s, int c, size_t n)
{
	for (char *p = s; *p && n; p++, n--)
		*p = (char)c;
	return s;
}
API(char *, crt__strset, char *s, int c) { return crt__strnset(s, c, SIZE_MAX); }

/* Texts are ordered by their units, so that each is its own key. */
API(size_t, crt_wcsxfrm, wide *to, const wide *s, size_t n)
{
	size_t len = wide_len(s), take = len < n ? len + 1 : n;
	if (take)
		memcpy(to, s, 2 * take);
	return len;
}

API(int, crt__putws, const wide *t)
{
	int r = crt_fputws(t, iob[1]);
	return r < 0 || crt_fputwc('\n', iob[1]) == 0xffff ? -1 : 0;
}

/* A line without its end, however long it is. */
API(char *, crt_gets, char *buf)
{
	char *p = buf;
	int c;
	while ((c = crt_fgetc(iob[0])) >= 0 && c != '\n')
		*p++ = (char)c;
	*p = 0;
	return c < 0 && p == buf ? NULL : buf;
}

/* ---- bits ---- */

API(uint32_t, crt__rotl, uint32_t v, int n) { return v << (n & 31) | v >> (-n & 31); }
API(uint32_t, crt__rotr, uint32_t v, int n) { return v >> (n & 31) | v << (-n & 31); }
API(uint64_t, crt__rotl64, uint64_t v, int n) { return v << (n & 63) | v >> (-n & 63); }
API(uint64_t, crt__rotr64, uint64_t v, int n) { return v >> (n & 63) | v << (-n & 63); }

/* The page that guards a stack is one again by itself. */
API(int, crt__resetstkoflw, void) { return stack_bottom_close(); }
