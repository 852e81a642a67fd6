/* SPDX-License-Identifier: Apache-2.0 */
/* Text and memory of the C runtime, where it is as the host's C library has it: one line each. */
#include "win/crt.h"
#include <stdio.h>

API(void *, crt_malloc, size_t n) { return heap_alloc(n, false); }
API(void *, crt_calloc, size_t n, size_t size)
{
	size_t all;
	return __builtin_mul_overflow(n, size, &all) ? NULL : heap_alloc(all, true);
}
API(void *, crt_realloc, void *p, size_t n)
{
	if (p && !n) {
		heap_free(p);
		return NULL;
	}
	return heap_realloc(p, n, false);
}
API(void, crt_free, void *p) { heap_free(p); }
API(size_t, crt__msize, const void *p) { return heap_size(p); }
API(void *, crt__recalloc, void *p, size_t n, size_t size)
{
	size_t all;
	return __builtin_mul_overflow(n, size, &all) ? NULL : heap_realloc(p, all, true);
}
API(void *, crt__expand, void *p, size_t n) { return n <= heap_size(p) ? p : NULL; }
API(uint64_t, crt__get_heap_handle, void) { return 0x10000; }
API(int, crt__heapchk, void) { return -2; }

/* What was got is before the aligned block, and how much was asked for. */
API(void *, crt__aligned_malloc, size_t n, size_t align)
{
	size_t all;
	if (!align || align & (align - 1) || __builtin_add_overflow(n, align + 16, &all))
		return NULL;
	uint8_t *p = malloc(all);
	if (!p)
		return NULL;
	uint64_t at = align_up((uint64_t)(uintptr_t)p + 16, align);
	((void **)(uintptr_t)at)[-1] = p;
	((size_t *)(uintptr_t)at)[-2] = n;
	return (void *)(uintptr_t)at;
}
API(void, crt__aligned_free, void *p)
{
	if (p)
		free(((void **)p)[-1]);
}
API(void *, crt__aligned_realloc, void *p, size_t n, size_t align)
{
	void *q = crt__aligned_malloc(n, align);
	if (p && q) {
		memcpy(q, p, min_u64(n, ((size_t *)p)[-2]));
		crt__aligned_free(p);
	}
	return q;
}

API(void *, crt_memcpy, void *to, const void *p, size_t n) { return memcpy(to, p, n); }
API(void *, crt_memmove, void *to, const void *p, size_t n) { return memmove(to, p, n); }
API(void *, crt_memset, void *to, int c, size_t n) { return memset(to, c, n); }
API(int, crt_memcmp, const void *a, const void *b, size_t n)
{
	int r = memcmp(a, b, n);
	return r < 0 ? -1 : r > 0;
}
API(const void *, crt_memchr, const void *p, int c, size_t n) { return memchr(p, c, n); }
API(int, crt__memicmp, const char *a, const char *b, size_t n) { return strncasecmp(a, b, n); }
API(int, crt_memcpy_s, void *to, size_t cap, const void *p, size_t n)
{
	if (n > cap)
		return 34;
	memcpy(to, p, n);
	return 0;
}
API(int, crt_memmove_s, void *to, size_t cap, const void *p, size_t n)
{
	if (n > cap)
		return 34;
	memmove(to, p, n);
	return 0;
}

API(size_t, crt_strlen, const char *s) { return strlen(s); }
API(size_t, crt_strnlen, const char *s, size_t n) { return strnlen(s, n); }
API(char *, crt_strcpy, char *to, const char *s) { return strcpy(to, s); }
API(char *, crt_strncpy, char *to, const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	memcpy(to, s, len);
	memset(to + len, 0, n - len);
	return to;
}
API(char *, crt_strcat, char *to, const char *s) { return strcat(to, s); }
API(char *, crt_strncat, char *to, const char *s, size_t n)
{
	size_t at = strlen(to), len = strnlen(s, n);
	memcpy(to + at, s, len);
	to[at + len] = 0;
	return to;
}
static int sign(int r) { return r < 0 ? -1 : r > 0; }
API(int, crt_strcmp, const char *a, const char *b) { return sign(strcmp(a, b)); }
API(int, crt_strncmp, const char *a, const char *b, size_t n) { return sign(strncmp(a, b, n)); }
API(int, crt_strcoll, const char *a, const char *b) { return sign(strcmp(a, b)); }
API(int, crt__stricmp, const char *a, const char *b) { return sign(strcasecmp(a, b)); }
API(int, crt__strnicmp, const char *a, const char *b, size_t n)
{
	return sign(strncasecmp(a, b, n));
}
API(size_t, crt_strxfrm, char *to, const char *s, size_t n)
{
	if (n)
		snprintf(to, n, "%s", s);
	return strlen(s);
}
API(const char *, crt_strchr, const char *s, int c) { return strchr(s, c); }
API(const char *, crt_strrchr, const char *s, int c) { return strrchr(s, c); }
API(const char *, crt_strstr, const char *s, const char *w) { return strstr(s, w); }
API(const char *, crt_strpbrk, const char *s, const char *w) { return strpbrk(s, w); }
API(size_t, crt_strspn, const char *s, const char *w) { return strspn(s, w); }
API(size_t, crt_strcspn, const char *s, const char *w) { return strcspn(s, w); }
API(char *, crt_strtok, char *s, const char *w) { return strtok_r(s, w, &crt_self()->token); }
API(char *, crt_strtok_s, char *s, const char *w, char **rest) { return strtok_r(s, w, rest); }
API(char *, crt__strdup, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = heap_alloc(n, false);
	return p ? memcpy(p, s, n) : NULL;
}
API(char *, crt__strrev, char *s)
{
	for (size_t i = 0, n = strlen(s); i < n / 2; i++) {
		char c = s[i];
		s[i] = s[n - 1 - i];
		s[n - 1 - i] = c;
	}
	return s;
}
static int upper(int c) { return c >= 'a' && c <= 'z' ? c - 32 : c; }
static int lower(int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }
API(char *, crt__strlwr, char *s)
{
	for (char *p = s; *p; p++)
		*p = (char)lower((uint8_t)*p);
	return s;
}
API(char *, crt__strupr, char *s)
{
	for (char *p = s; *p; p++)
		*p = (char)upper((uint8_t)*p);
	return s;
}

/* ---- wide ---- */

API(size_t, crt_wcslen, const wide *s) { return wide_len(s); }
API(size_t, crt_wcsnlen, const wide *s, size_t n)
{
	size_t i = 0;
	while (i < n && s[i])
		i++;
	return i;
}
API(wide *, crt_wcscpy, wide *to, const wide *s) { return memmove(to, s, 2 * (wide_len(s) + 1)); }
API(wide *, crt_wcsncpy, wide *to, const wide *s, size_t n)
{
	size_t len = crt_wcsnlen(s, n);
	memcpy(to, s, 2 * len);
	memset(to + len, 0, 2 * (n - len));
	return to;
}
API(wide *, crt_wcscat, wide *to, const wide *s)
{
	crt_wcscpy(to + wide_len(to), s);
	return to;
}
API(wide *, crt_wcsncat, wide *to, const wide *s, size_t n)
{
	wide *at = to + wide_len(to);
	size_t len = crt_wcsnlen(s, n);
	memcpy(at, s, 2 * len);
	at[len] = 0;
	return to;
}
API(int, crt_wcsncmp, const wide *a, const wide *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] || !a[i])
			return a[i] < b[i] ? -1 : a[i] > b[i];
	return 0;
}
API(int, crt_wcscmp, const wide *a, const wide *b) { return crt_wcsncmp(a, b, SIZE_MAX); }
API(int, crt_wcscoll, const wide *a, const wide *b) { return crt_wcsncmp(a, b, SIZE_MAX); }
API(int, crt__wcsicmp, const wide *a, const wide *b) { return wide_compare_i(a, b, SIZE_MAX); }
API(int, crt__wcsnicmp, const wide *a, const wide *b, size_t n) { return wide_compare_i(a, b, n); }
API(const wide *, crt_wcschr, const wide *s, wide c)
{
	for (; *s != c; s++)
		if (!*s)
			return NULL;
	return s;
}
API(const wide *, crt_wcsrchr, const wide *s, wide c)
{
	for (size_t i = wide_len(s) + 1; i-- > 0;)
		if (s[i] == c)
			return s + i;
	return NULL;
}
API(const wide *, crt_wcsstr, const wide *s, const wide *w)
{
	for (size_t n = wide_len(w);; s++) {
		if (!crt_wcsncmp(s, w, n))
			return s;
		if (!*s)
			return NULL;
	}
}
API(size_t, crt_wcscspn, const wide *s, const wide *w)
{
	size_t n = 0;
	while (s[n] && !(crt_wcschr(w, s[n])))
		n++;
	return n;
}
API(size_t, crt_wcsspn, const wide *s, const wide *w)
{
	size_t n = 0;
	while (s[n] && crt_wcschr(w, s[n]))
		n++;
	return n;
}
API(const wide *, crt_wcspbrk, const wide *s, const wide *w)
{
	s += crt_wcscspn(s, w);
	return *s ? s : NULL;
}
API(wide *, crt__wcsdup, const wide *s)
{
	size_t n = 2 * (wide_len(s) + 1);
	wide *p = heap_alloc(n, false);
	return p ? memcpy(p, s, n) : NULL;
}
API(wide *, crt__wcslwr, wide *s)
{
	for (wide *p = s; *p; p++)
		*p = wide_lower(*p);
	return s;
}
API(wide *, crt__wcsupr, wide *s)
{
	for (wide *p = s; *p; p++)
		*p = wide_upper(*p);
	return s;
}
API(size_t, crt_wcstombs, char *to, const wide *s, size_t n)
{
	size_t len = utf8_put(s, wide_len(s), to, to ? n : 0, NULL);
	if (to && len < n)
		to[len] = 0;
	return to && len > n ? n : len;
}
API(size_t, crt_mbstowcs, wide *to, const char *s, size_t n)
{
	bool bad;
	size_t len = utf16_put(s, strlen(s), to, to ? n : 0, &bad);
	if (to && len < n)
		to[len] = 0;
	return bad ? (size_t)crt_fail(EILSEQ) : to && len > n ? n : len;
}
API(int, crt_mbtowc, wide *to, const char *s, size_t n)
{
	wide w[2];
	if (!s || !n)
		return 0;
	size_t len = (uint8_t)s[0] < 0x80   ? 1
		     : (uint8_t)s[0] < 0xe0 ? 2
		     : (uint8_t)s[0] < 0xf0 ? 3
					    : 4;
	if (len > n)
		return crt_fail(EILSEQ);
	utf16_put(s, len, w, 2, NULL);
	if (to)
		*to = w[0];
	return s[0] ? (int)len : 0;
}
API(int, crt_wctomb, char *to, wide c) { return to ? (int)utf8_put(&c, 1, to, 5, NULL) : 0; }
API(int, crt_mblen, const char *s, size_t n) { return crt_mbtowc(NULL, s, n); }
API(int, crt_btowc, int c) { return c >= 0 && c < 0x80 ? c : 0xffff; }
API(int, crt_wctob, int c) { return c < 0x80 ? c : -1; }
API(const char *, crt__mbsrchr, const char *s, unsigned c) { return strrchr(s, (int)c); }
API(const char *, crt__mbschr, const char *s, unsigned c) { return strchr(s, (int)c); }

/* ---- kinds of characters ---- */

static int is_type(int c, unsigned mask)
{
	return c >= 0 && c < 0x80 ? char_type((wide)c) & (int)mask : 0;
}
API(int, crt_isalpha, int c) { return is_type(c, 0x100); }
API(int, crt_isupper, int c) { return is_type(c, 1); }
API(int, crt_islower, int c) { return is_type(c, 2); }
API(int, crt_isdigit, int c) { return is_type(c, 4); }
API(int, crt_isspace, int c) { return is_type(c, 8); }
API(int, crt_ispunct, int c) { return is_type(c, 16); }
API(int, crt_iscntrl, int c) { return is_type(c, 32); }
API(int, crt_isxdigit, int c) { return is_type(c, 128); }
API(int, crt_isalnum, int c) { return is_type(c, 0x104); }
API(int, crt_isprint, int c) { return c >= 32 && c < 127; }
API(int, crt_isgraph, int c) { return c > 32 && c < 127; }
API(int, crt_toupper, int c) { return upper(c); }
API(int, crt_tolower, int c) { return lower(c); }
API(int, crt_iswalpha, wide c) { return char_type(c) & 0x100; }
API(int, crt_iswupper, wide c) { return char_type(c) & 1; }
API(int, crt_iswlower, wide c) { return char_type(c) & 2; }
API(int, crt_iswdigit, wide c) { return char_type(c) & 4; }
API(int, crt_iswspace, wide c) { return char_type(c) & 8; }
API(int, crt_iswalnum, wide c) { return char_type(c) & 0x104; }
API(int, crt_iswctype, wide c, uint16_t mask) { return char_type(c) & mask; }
API(wide, crt_towupper, wide c) { return wide_upper(c); }
API(wide, crt_towlower, wide c) { return wide_lower(c); }
API(int, crt__ismbblead, unsigned c) { return (void)c, 0; }

/* ---- sorting: the guest compares ---- */

typedef WINAPI int compare_fn(const void *a, const void *b);
static int compare_call(const void *a, const void *b, void *fn)
{
	return (*(compare_fn **)fn)(a, b);
}
API(void, crt_qsort, void *p, size_t n, size_t size, compare_fn *fn)
{
	qsort_r(p, n, size, compare_call, &fn);
}
API(const void *, crt_bsearch, const void *key, const void *p, size_t n, size_t size,
    compare_fn *fn)
{
	const uint8_t *all = p;
	for (size_t lo = 0, hi = n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;
		int order = fn(key, all + mid * size);
		if (order == 0)
			return all + mid * size;
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
