/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the C runtime that are told how much room there is: what does not fit is an error,
 * and nothing is there then. */
#include "win/crt.h"

enum { MSVC_ERANGE = 34, MSVC_EINVAL = 22 };
#define TRUNCATE SIZE_MAX

/* As errno, and as the functions return it. */
static int range_told(void)
{
	crt_self()->err = MSVC_ERANGE;
	return MSVC_ERANGE;
}

static int value_told(void)
{
	crt_self()->err = MSVC_EINVAL;
	return MSVC_EINVAL;
}

/* ---- formatted: @n of them, of which at most @most are wanted, came into room for @cap ---- */

/* What is returned; *ret_end: where the text shall end, SIZE_MAX: where it does. */
static int checked_end(int64_t n, size_t cap, size_t most, size_t *ret_end)
{
	*ret_end = SIZE_MAX;
	if (n >= 0 && (uint64_t)n < cap && (uint64_t)n <= most)
		return (int)n;
	bool cut = n >= 0 && (most == TRUNCATE || most < cap);
	*ret_end = !cut ? 0 : most < cap ? most : cap - 1;
	if (!cut)
		(void)range_told();
	return -1;
}

static int narrow_checked(char *buf, size_t cap, size_t most, const char *format,
			  __builtin_ms_va_list ap)
{
	size_t end;
	if (!buf || !cap || !format)
		return value_told(), -1;
	int r = checked_end(format_text(buf, cap, FORMAT_MSVCRT, format, ap), cap, most, &end);
	if (end != SIZE_MAX)
		buf[end] = 0;
	return r;
}

static int wide_checked(wide *buf, size_t cap, size_t most, const wide *format,
			__builtin_ms_va_list ap)
{
	size_t end;
	if (!buf || !cap || !format)
		return value_told(), -1;
	int r = checked_end(format_wide(buf, cap, FORMAT_MSVCRT, format, ap), cap, most, &end);
	if (end != SIZE_MAX)
		buf[end] = 0;
	return r;
}

API(int, crt_vsprintf_s, char *buf, size_t cap, const char *format, __builtin_ms_va_list ap)
{
	return narrow_checked(buf, cap, TRUNCATE - 1, format, ap);
}
API(int, crt__vsnprintf_s, char *buf, size_t cap, size_t most, const char *format,
    __builtin_ms_va_list ap)
{
	return narrow_checked(buf, cap, most, format, ap);
}
API(int, crt_vswprintf_s, wide *buf, size_t cap, const wide *format, __builtin_ms_va_list ap)
{
	return wide_checked(buf, cap, TRUNCATE - 1, format, ap);
}
API(int, crt__vsnwprintf_s, wide *buf, size_t cap, size_t most, const wide *format,
    __builtin_ms_va_list ap)
{
	return wide_checked(buf, cap, most, format, ap);
}

API_VARIADIC(int, crt_sprintf_s, (char *buf, size_t cap, const char *format, ...), format,
	     crt_vsprintf_s(buf, cap, format, ap))
API_VARIADIC(int, crt__snprintf_s, (char *buf, size_t cap, size_t most, const char *format, ...),
	     format, crt__vsnprintf_s(buf, cap, most, format, ap))
API_VARIADIC(int, crt_swprintf_s, (wide *buf, size_t cap, const wide *format, ...), format,
	     crt_vswprintf_s(buf, cap, format, ap))
API_VARIADIC(int, crt__snwprintf_s, (wide *buf, size_t cap, size_t most, const wide *format, ...),
	     format, crt__vsnwprintf_s(buf, cap, most, format, ap))

/* ---- texts: at most @n of @s behind what is there; TRUNCATE: as many as there is room for ---- */

static int wide_put_in(wide *to, size_t cap, size_t at, const wide *s, size_t n)
{
	size_t len = 0, room = cap - at - 1;
	while (len < n && s[len])
		len++;
	bool cut = n == TRUNCATE && len > room;
	if (len > room && !cut) {
		*to = 0;
		return range_told();
	}
	len = cut ? room : len;
	memmove(to + at, s, 2 * len);
	to[at + len] = 0;
	return cut ? 80 /* STRUNCATE */ : 0;
}

static int wide_add(wide *to, size_t cap, const wide *s, size_t n, bool append)
{
	size_t at = 0;
	if (!to || !cap)
		return value_told();
	while (append && at < cap && to[at])
		at++;
	if (!s || at == cap) {
		*to = 0;
		return value_told();
	}
	return wide_put_in(to, cap, at, s, n);
}

API(int, crt_wcscpy_s, wide *to, size_t cap, const wide *s)
{
	return wide_add(to, cap, s, TRUNCATE - 1, false);
}
API(int, crt_wcscat_s, wide *to, size_t cap, const wide *s)
{
	return wide_add(to, cap, s, TRUNCATE - 1, true);
}
API(int, crt_wcsncpy_s, wide *to, size_t cap, const wide *s, size_t n)
{
	return wide_add(to, cap, s, n, false);
}
API(int, crt_wcsncat_s, wide *to, size_t cap, const wide *s, size_t n)
{
	return wide_add(to, cap, s, n, true);
}

API(int, crt_strncat_s, char *to, size_t cap, const char *s, size_t n)
{
	size_t at = to ? strnlen(to, cap) : 0, len = s ? strnlen(s, n) : 0;
	if (!to || !cap || !s || at == cap) {
		if (to && cap)
			*to = 0;
		return value_told();
	}
	size_t room = cap - at - 1;
	bool cut = n == TRUNCATE && len > room;
	if (len > room && !cut) {
		*to = 0;
		return range_told();
	}
	len = cut ? room : len;
	memmove(to + at, s, len);
	to[at + len] = 0;
	return cut ? 80 : 0;
}

/* ---- from one kind of text to the other; *ret_n: with the 0 ---- */

API(int, crt_mbstowcs_s, size_t *ret_n, wide *to, size_t cap, const char *s, size_t n)
{
	autofree wide *all = s ? text_wide(s, SIZE_MAX) : NULL;
	if (!all || (to && !cap))
		return value_told();
	size_t len = wide_len(all);
	if (to && n != TRUNCATE && len > n)
		len = n;
	if (ret_n)
		*ret_n = len + 1;
	if (!to)
		return 0;
	all[len] = 0;
	int r = wide_add(to, cap, all, n == TRUNCATE ? TRUNCATE : TRUNCATE - 1, false);
	if (ret_n && r)
		*ret_n = r == 80 ? cap : 0;
	return r;
}

API(int, crt_wcstombs_s, size_t *ret_n, char *to, size_t cap, const wide *s, size_t n)
{
	autofree char *all = s ? text_from(s, SIZE_MAX) : NULL;
	if (!all || (to && !cap))
		return value_told();
	size_t len = to ? strnlen(all, n) : strlen(all), room = cap - 1;
	if (ret_n)
		*ret_n = len + 1;
	if (!to)
		return 0;
	bool cut = len > room && n == TRUNCATE;
	if (len > room && !cut) {
		*to = 0;
		if (ret_n)
			*ret_n = 0;
		return range_told();
	}
	len = cut ? room : len;
	memcpy(to, all, len);
	to[len] = 0;
	if (ret_n)
		*ret_n = len + 1;
	return cut ? 80 : 0;
}

/* ---- the environment ---- */

API(int, crt_getenv_s, size_t *ret_n, char *buf, size_t cap, const char *name)
{
	if (!ret_n || !name || (cap && !buf))
		return value_told();
	autofree char *v = environment_get(name);
	*ret_n = v ? strlen(v) + 1 : 0;
	if (cap)
		*buf = 0;
	if (!v || !cap)
		return 0;
	if (*ret_n > cap)
		return range_told();
	memcpy(buf, v, *ret_n);
	return 0;
}

API(int, crt__wgetenv_s, size_t *ret_n, wide *buf, size_t cap, const wide *name)
{
	if (!ret_n || !name || (cap && !buf))
		return value_told();
	autofree char *n = text_from(name, SIZE_MAX), *v = n ? environment_get(n) : NULL;
	autofree wide *w = v ? text_wide(v, SIZE_MAX) : NULL;
	*ret_n = w ? wide_len(w) + 1 : 0;
	if (cap)
		*buf = 0;
	if (!w || !cap)
		return 0;
	if (*ret_n > cap)
		return range_told();
	memcpy(buf, w, 2 * *ret_n);
	return 0;
}
