/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers: decimal and hexadecimal, with _ between digits. Spec: WASM-TEXT 3.0 §6.3.1, 6.3.2 */
#include "wat/internal.h"
#include <locale.h>
#include <math.h>

int digit_of(char c, bool hex)
{
	int v = c >= '0' && c <= '9'	      ? c - '0'
		: hex && c >= 'a' && c <= 'f' ? c - 'a' + 10
		: hex && c >= 'A' && c <= 'F' ? c - 'A' + 10
					      : -1;
	return v;
}

bool token_is_number(const struct token *t)
{
	return t->kind == TOKEN_WORD && digit_of(t->at[0], false) >= 0;
}

/* Behind the digits at @p, at least one, of a number or a part of one; NULL: there are none. They
 * are added to *@v, unless that is NULL; @over: it does not fit any more. */
static const char *digits_read(const char *p, const char *end, bool hex, uint64_t *v, bool *over)
{
	const unsigned base = hex ? 16 : 10;
	bool one = false;
	for (; p < end; p++) {
		int d = digit_of(*p, hex);
		if (d < 0 && !(*p == '_' && one && p + 1 < end && digit_of(p[1], hex) >= 0))
			break;
		one = true;
		if (d < 0 || !v)
			continue;
		if (__builtin_mul_overflow(*v, base, v) ||
		    __builtin_add_overflow(*v, (uint64_t)d, v))
			*over = true;
	}
	return one ? p : NULL;
}

static bool hex_prefix(const char **p, const char *end)
{
	if (end - *p < 3 || (*p)[0] != '0' || (*p)[1] != 'x')
		return false;
	*p += 2;
	return true;
}

/* What the token is, without its sign; *@sign is '-', '+' or 0. */
static uint64_t magnitude(struct wat *w, char *sign, bool *over)
{
	const struct token *t = &w->t;
	const char *p = t->at, *end = p + t->len;
	uint64_t v = 0;
	*over = false;
	*sign = 0;
	if (t->kind == TOKEN_WORD && (*p == '-' || *p == '+'))
		*sign = *p++;
	bool hex = t->kind == TOKEN_WORD && hex_prefix(&p, end);
	if (t->kind != TOKEN_WORD || digits_read(p, end, hex, &v, over) != end)
		wat_expected(w, "an integer");
	return v;
}

uint64_t unsigned_take(struct wat *w, unsigned bits)
{
	char sign;
	bool over;
	uint64_t v = magnitude(w, &sign, &over);
	if (!w->bad && sign)
		wat_expected(w, "an integer without a sign");
	if (!w->bad && (over || (bits < 64 && v >> bits)))
		(void)wat_fail(w, w->t.at, "this number is too large: it has more than %u bits",
			       bits);
	token_next(w);
	return w->bad ? 0 : v;
}

uint64_t integer_take(struct wat *w, unsigned bits)
{
	char sign;
	bool over;
	uint64_t v = magnitude(w, &sign, &over), half = 1ull << (bits - 1);
	if (!w->bad && (over || (sign == '-' ? v > half : bits < 64 && v >> bits)))
		(void)wat_fail(w, w->t.at, "this number is out of the range of %u bits", bits);
	token_next(w);
	return w->bad ? 0 : sign == '-' ? 0 - v : v;
}

/* ---- floating point ---- */

static bool text_is(const char *p, const char *end, const char *text)
{
	return (size_t)(end - p) == strlen(text) && !memcmp(p, text, (size_t)(end - p));
}

/* Is it a number as the format writes it? */
static bool float_is_well_formed(const char *p, const char *end)
{
	bool hex = hex_prefix(&p, end);
	p = digits_read(p, end, hex, NULL, NULL);
	if (p && p < end && *p == '.') {
		p++;
		if (p < end && digit_of(*p, hex) >= 0)
			p = digits_read(p, end, hex, NULL, NULL);
	}
	if (p && p < end && (*p | 32) == (hex ? 'p' : 'e')) {
		p++;
		if (p < end && (*p == '-' || *p == '+'))
			p++;
		p = digits_read(p, end, false, NULL, NULL);
	}
	return p == end;
}

/* Correctly rounded by the C library, whose locale is not to be asked what a point is. */
static uint64_t number_round(struct wat *w, const char *p, const char *end, bool wide)
{
	uint64_t bits = 0;
	uint32_t narrow = 0;
	w->scratch.n = 0;
	for (; p < end; p++)
		if (*p != '_')
			byte_put(&w->scratch, (uint8_t)*p);
	byte_put(&w->scratch, 0);
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!c || w->scratch.failed) {
		wat_nomem(w);
		return 0;
	}
	const char *text = (const char *)w->scratch.at;
	double d = wide ? strtod_l(text, NULL, c) : 0;
	float f = wide ? 0 : strtof_l(text, NULL, c);
	freelocale(c);
	if (isinf(d) || isinf(f))
		(void)wat_fail(w, w->t.at, "this number is out of the range of f%u",
			       wide ? 64 : 32);
	memcpy(&bits, &d, sizeof bits);
	memcpy(&narrow, &f, sizeof narrow);
	return wide ? bits : narrow;
}

/* "nan:0x..." */
static uint64_t nan_read(struct wat *w, const char *p, const char *end, unsigned fraction)
{
	uint64_t v = 0;
	bool over = false;
	p += 4;
	if (!hex_prefix(&p, end) || digits_read(p, end, true, &v, &over) != end)
		wat_expected(w, "nan:0x and hexadecimal digits");
	else if (over || !v || v >> fraction)
		(void)wat_fail(w, w->t.at, "the bits of a NaN are 1 to 0x%llx",
			       (1ull << fraction) - 1);
	return v;
}

uint64_t float_take(struct wat *w, bool wide)
{
	const unsigned fraction = wide ? 52 : 23;
	const uint64_t infinite = wide ? 0x7ffull << 52 : 0xffull << 23;
	const struct token *t = &w->t;
	const char *p = t->at, *end = p + t->len;
	uint64_t v = 0;
	bool negative = t->kind == TOKEN_WORD && *p == '-';
	if (negative || (t->kind == TOKEN_WORD && *p == '+'))
		p++;
	if (t->kind != TOKEN_WORD || p == end)
		wat_expected(w, "a number");
	else if (text_is(p, end, "inf"))
		v = infinite;
	else if (text_is(p, end, "nan"))
		v = infinite | 1ull << (fraction - 1);
	else if (end - p > 4 && !memcmp(p, "nan:", 4))
		v = infinite | nan_read(w, p, end, fraction);
	else if (float_is_well_formed(p, end))
		v = number_round(w, p, end, wide);
	else
		wat_expected(w, "a number");
	token_next(w);
	return negative ? v | 1ull << (wide ? 63 : 31) : v;
}
