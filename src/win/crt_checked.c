/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the C runtime that are told how much room there is: what does not fit is an error,
 * and nothing is there then. */
#include "win/crt.h"
#include <limits.h>

enum { MSVC_ERANGE = 34, MSVC_EINVAL = 22, STRUNCATE = 80 };
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

/* Text of bytes, or of UTF-16: by the size of a unit. */
enum unit { NARROW = 1, WIDE = 2 };

static void unit_end(void *text, size_t at, enum unit unit)
{
	memset((char *)text + at * unit, 0, unit);
}

static int format_checked(void *buf, size_t cap, size_t most, const void *format, enum unit unit,
			  __builtin_ms_va_list ap)
{
	size_t end;
	if (!buf || !cap || !format)
		return value_told(), -1;
	int64_t n = unit == WIDE ? format_wide(buf, cap, FORMAT_MSVCRT, format, ap)
				 : format_text(buf, cap, FORMAT_MSVCRT, format, ap);
	int r = checked_end(n, cap, most, &end);
	if (end != SIZE_MAX)
		unit_end(buf, end, unit);
	return r;
}

API(int, crt_vsprintf_s, char *buf, size_t cap, const char *format, __builtin_ms_va_list ap)
{
	return format_checked(buf, cap, TRUNCATE - 1, format, NARROW, ap);
}
API(int, crt__vsnprintf_s, char *buf, size_t cap, size_t most, const char *format,
    __builtin_ms_va_list ap)
{
	return format_checked(buf, cap, most, format, NARROW, ap);
}
API(int, crt_vswprintf_s, wide *buf, size_t cap, const wide *format, __builtin_ms_va_list ap)
{
	return format_checked(buf, cap, TRUNCATE - 1, format, WIDE, ap);
}
API(int, crt__vsnwprintf_s, wide *buf, size_t cap, size_t most, const wide *format,
    __builtin_ms_va_list ap)
{
	return format_checked(buf, cap, most, format, WIDE, ap);
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

static size_t units_until_end(const void *text, size_t most, enum unit unit)
{
	const wide *units = text;
	size_t n = 0;
	if (unit == NARROW)
		return strnlen(text, most < SSIZE_MAX ? most : SSIZE_MAX);
	while (n < most && units[n])
		n++;
	return n;
}

static int text_put_in(void *to, size_t cap, size_t at, const void *s, size_t n, enum unit unit)
{
	size_t len = units_until_end(s, n, unit), room = cap - at - 1;
	bool cut = n == TRUNCATE && len > room;
	if (len > room && !cut) {
		unit_end(to, 0, unit);
		return range_told();
	}
	len = cut ? room : len;
	memmove((char *)to + at * unit, s, len * unit);
	unit_end(to, at + len, unit);
	return cut ? STRUNCATE : 0;
}

static int text_add(void *to, size_t cap, const void *s, size_t n, bool append, enum unit unit)
{
	if (!to || !cap)
		return value_told();
	size_t at = append ? units_until_end(to, cap, unit) : 0;
	if (!s || at == cap) {
		unit_end(to, 0, unit);
		return value_told();
	}
	return text_put_in(to, cap, at, s, n, unit);
}

API(int, crt_strcpy_s, char *to, size_t cap, const char *s)
{
	return text_add(to, cap, s, TRUNCATE - 1, false, NARROW);
}
API(int, crt_strcat_s, char *to, size_t cap, const char *s)
{
	return text_add(to, cap, s, TRUNCATE - 1, true, NARROW);
}
API(int, crt_strncpy_s, char *to, size_t cap, const char *s, size_t n)
{
	return text_add(to, cap, s, n, false, NARROW);
}
API(int, crt_strncat_s, char *to, size_t cap, const char *s, size_t n)
{
	return text_add(to, cap, s, n, true, NARROW);
}
API(int, crt_wcscpy_s, wide *to, size_t cap, const wide *s)
{
	return text_add(to, cap, s, TRUNCATE - 1, false, WIDE);
}
API(int, crt_wcscat_s, wide *to, size_t cap, const wide *s)
{
	return text_add(to, cap, s, TRUNCATE - 1, true, WIDE);
}
API(int, crt_wcsncpy_s, wide *to, size_t cap, const wide *s, size_t n)
{
	return text_add(to, cap, s, n, false, WIDE);
}
API(int, crt_wcsncat_s, wide *to, size_t cap, const wide *s, size_t n)
{
	return text_add(to, cap, s, n, true, WIDE);
}

/* ---- from one kind of text to the other; *ret_n: with the 0 ---- */

/* What of @all, which becomes shorter, is wanted. */
static int converted(size_t *ret_n, void *to, size_t cap, void *all, size_t n, enum unit unit)
{
	size_t len = all ? units_until_end(all, to ? n : TRUNCATE, unit) : 0;
	if (!all || (to && !cap))
		return value_told();
	if (ret_n)
		*ret_n = len + 1;
	if (!to)
		return 0;
	unit_end(all, len, unit);
	int r = text_add(to, cap, all, n == TRUNCATE ? TRUNCATE : TRUNCATE - 1, false, unit);
	if (ret_n && r)
		*ret_n = r == STRUNCATE ? cap : 0;
	return r;
}

API(int, crt_mbstowcs_s, size_t *ret_n, wide *to, size_t cap, const char *s, size_t n)
{
	autofree wide *all = s ? text_wide(s, SIZE_MAX) : NULL;
	return converted(ret_n, to, cap, all, n, WIDE);
}

API(int, crt_wcstombs_s, size_t *ret_n, char *to, size_t cap, const wide *s, size_t n)
{
	autofree char *all = s ? text_from(s, SIZE_MAX) : NULL;
	return converted(ret_n, to, cap, all, n, NARROW);
}

/* ---- the environment ---- */

static int variable_give(size_t *ret_n, void *buf, size_t cap, const void *v, enum unit unit)
{
	*ret_n = v ? units_until_end(v, SIZE_MAX, unit) + 1 : 0;
	if (cap)
		unit_end(buf, 0, unit);
	if (!v || !cap)
		return 0;
	if (*ret_n > cap)
		return range_told();
	memcpy(buf, v, *ret_n * unit);
	return 0;
}

API(int, crt_getenv_s, size_t *ret_n, char *buf, size_t cap, const char *name)
{
	if (!ret_n || !name || (cap && !buf))
		return value_told();
	autofree char *v = environment_get(name);
	return variable_give(ret_n, buf, cap, v, NARROW);
}

API(int, crt__wgetenv_s, size_t *ret_n, wide *buf, size_t cap, const wide *name)
{
	if (!ret_n || !name || (cap && !buf))
		return value_told();
	autofree char *n = text_from(name, SIZE_MAX), *v = n ? environment_get(n) : NULL;
	autofree wide *w = v ? text_wide(v, SIZE_MAX) : NULL;
	return variable_give(ret_n, buf, cap, w, WIDE);
}
