/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-16, which the guest has, and UTF-8, which files have here. A lone surrogate is written as
 * the 3 bytes that its number would have, and comes back from them. */
#include "win/internal.h"
#include <wctype.h>

size_t wide_len(const wide *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	return n;
}

/* One character of @s, which has @n bytes; *@ret_used of them. Bad ones are U+FFFD, one for as many
 * bytes as could begin a character. @halves: a surrogate is a character. */
static uint32_t utf8_next(const uint8_t *s, size_t n, size_t *ret_used, bool halves, bool *bad)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned len = s[0] < 0x80   ? 1
		       : s[0] < 0xc2 ? 0
		       : s[0] < 0xe0 ? 2
		       : s[0] < 0xf0 ? 3
		       : s[0] < 0xf5 ? 4
				     : 0;
	uint32_t c = len < 2 ? s[0] : s[0] & (0x7fu >> len);
	*ret_used = 1;
	for (unsigned i = 1; i < len; i++) {
		if (i >= n || (s[i] & 0xc0) != 0x80) {
			len = 0;
			break;
		}
		c = c << 6 | (s[i] & 0x3f);
		*ret_used = i + 1;
		uint32_t low = c << 6 * (len - 1 - i);
		bool half = low >= 0xd800 && low < 0xe000 && !halves;
		if (low > 0x10ffff || half || low + (1u << 6 * (len - 1 - i)) <= least[len]) {
			len = 0;
			break;
		}
	}
	*bad |= !len;
	return len ? c : 0xfffd;
}

static size_t utf16_make(const char *s, size_t n, wide *out, size_t cap, bool halves, bool *ret_bad)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t got = 0, used;
	bool bad = false;
	for (size_t i = 0; i < n; i += used) {
		uint32_t c = utf8_next(p + i, n - i, &used, halves, &bad);
		unsigned units = c >= 0x10000 ? 2 : 1;
		if (out && got + units <= cap) {
			out[got] = (wide)(units == 1 ? c : 0xd7c0 + (c >> 10));
			if (units == 2)
				out[got + 1] = (wide)(0xdc00 | (c & 0x3ff));
		}
		got += units;
	}
	if (ret_bad)
		*ret_bad = bad;
	return got;
}

size_t utf16_put(const char *s, size_t n, wide *out, size_t cap, bool *ret_bad)
{
	return utf16_make(s, n, out, cap, true, ret_bad);
}

size_t utf16_put_strict(const char *s, size_t n, wide *out, size_t cap, bool *ret_bad)
{
	return utf16_make(s, n, out, cap, false, ret_bad);
}

/* How many of the first @n units of @s are ASCII, in eights: most text is nothing else. */
static size_t ascii_units(const wide *s, size_t n)
{
	size_t i = 0;
	for (uint64_t u[2]; i + 8 <= n; i += 8) {
		memcpy(u, s + i, sizeof u);
		if ((u[0] | u[1]) & UINT64_C(0xff80ff80ff80ff80))
			break;
	}
	return i;
}

size_t utf8_put(const wide *s, size_t n, char *out, size_t cap, bool *ret_bad)
{
	size_t got = ascii_units(s, n);
	bool bad = false;
	for (size_t i = 0; out && i < min_u64(got, cap); i++)
		out[i] = (char)s[i];
	for (size_t i = got; i < n; i++) {
		uint32_t c = s[i];
		uint8_t o[4];
		if (c < 0x80) {
			if (out && got < cap)
				out[got] = (char)c;
			got++;
			continue;
		}
		if (c >= 0xd800 && c < 0xdc00 && i + 1 < n && s[i + 1] >= 0xdc00 &&
		    s[i + 1] < 0xe000)
			c = 0x10000 + ((c & 0x3ff) << 10) + (s[++i] & 0x3ff);
		else if (c >= 0xd800 && c < 0xe000)
			bad = true;
		unsigned len = utf8_encode(o, c);
		if (out && got + len <= cap)
			memcpy(out + got, o, len);
		got += len;
	}
	if (ret_bad)
		*ret_bad = bad;
	return got;
}

char *text_from(const wide *s, size_t n)
{
	n = n == SIZE_MAX ? wide_len(s) : n;
	size_t len = utf8_put(s, n, NULL, 0, NULL);
	char *out = malloc(len + 1);
	if (!out)
		return NULL;
	utf8_put(s, n, out, len, NULL);
	out[len] = 0;
	return out;
}

wide *text_wide(const char *s, size_t n)
{
	n = n == SIZE_MAX ? strlen(s) : n;
	size_t len = utf16_put(s, n, NULL, 0, NULL);
	wide *out = malloc(2 * (len + 1));
	if (!out)
		return NULL;
	utf16_put(s, n, out, len, NULL);
	out[len] = 0;
	return out;
}

uint32_t wide_give(const char *s, wide *buf, uint32_t cap)
{
	size_t n = strlen(s), len = utf16_put(s, n, NULL, 0, NULL);
	if (len >= cap || !buf)
		return (uint32_t)len + 1;
	utf16_put(s, n, buf, cap, NULL);
	buf[len] = 0;
	return (uint32_t)len;
}

uint32_t text_give(const char *s, char *buf, uint32_t cap)
{
	size_t n = strlen(s);
	if (n >= cap || !buf)
		return (uint32_t)n + 1;
	memcpy(buf, s, n + 1);
	return (uint32_t)n;
}

wide wide_upper(wide c)
{
	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? (wide)(c - 32) : c;
	wint_t u = towupper(c);
	return u <= 0xffff ? (wide)u : c;
}

wide wide_lower(wide c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? (wide)(c + 32) : c;
	wint_t u = towlower(c);
	return u <= 0xffff ? (wide)u : c;
}

int wide_compare_i(const wide *a, const wide *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		wide x = wide_lower(a[i]), y = wide_lower(b[i]);
		if (x != y || !x)
			return x < y ? -1 : x > y;
	}
	return 0;
}
