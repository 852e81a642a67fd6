/* SPDX-License-Identifier: Apache-2.0 */
/* scanf as Microsoft has it: sizes I64, I32, I, w; S and C of the other width; sets of characters.
 */
#include "win/crt.h"
#include <stdio.h>

enum { NUMBER_MAX = 400 };
enum size { SIZE_INT, SIZE_CHAR, SIZE_SHORT, SIZE_LONG, SIZE_64, SIZE_WIDE };
struct scan {
	int (*get)(struct scan *s); /* the next unit; -1: no more */
	void (*back)(struct scan *s, int c);
	const void *at; /* text: where it is, and how many units may be left of it */
	size_t left;
	void *file;
	bool wide; /* the format, and what get gives */
	const void *format;
	int taken, stored;
	bool any;   /* a conversion was made, though perhaps not stored */
	bool ended; /* the input, before a conversion was whole */
	__builtin_ms_va_list ap;
};
struct wanted {
	bool skip;
	int width; /* INT_MAX: none was given */
	enum size size;
	unsigned letter;
	uint8_t set[32]; /* of [: which bytes */
};

static int scan_take(struct scan *s)
{
	int c = s->get(s);
	if (c >= 0)
		s->taken++;
	return c;
}

static void scan_back(struct scan *s, int c)
{
	if (c < 0)
		return;
	s->taken--;
	s->back(s, c);
}

static bool is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void spaces_skip(struct scan *s)
{
	int c;
	do
		c = scan_take(s);
	while (is_space(c));
	scan_back(s, c);
}

/* ---- the format ---- */

static unsigned form_at(const struct scan *s, size_t i)
{
	return s->wide ? ((const wide *)s->format)[i] : ((const uint8_t *)s->format)[i];
}

static void form_skip(struct scan *s, size_t n)
{
	s->format = (const uint8_t *)s->format + (s->wide ? 2 * n : n);
}

static enum size size_take(struct scan *s)
{
	unsigned a = form_at(s, 0), b = a ? form_at(s, 1) : 0, c = b ? form_at(s, 2) : 0;
	enum size size = SIZE_INT;
	size_t n = 1;
	if (a == 'h') {
		size = b == 'h' ? SIZE_CHAR : SIZE_SHORT;
		n = b == 'h' ? 2 : 1;
	} else if (a == 'l') {
		size = b == 'l' ? SIZE_64 : SIZE_LONG;
		n = b == 'l' ? 2 : 1;
	} else if (a == 'I') {
		size = b == '3' && c == '2' ? SIZE_INT : SIZE_64;
		n = (b == '6' && c == '4') || (b == '3' && c == '2') ? 3 : 1;
	} else if (a == 'w') {
		size = SIZE_WIDE;
	} else if (a == 'L') {
		size = SIZE_LONG;
	} else if (a == 'j' || a == 'z' || a == 't') {
		size = SIZE_64;
	} else {
		n = 0;
	}
	form_skip(s, n);
	return size;
}

/* Of "[a-z]": what is between the brackets. False: there is no end. */
static bool set_take(struct scan *s, uint8_t set[32])
{
	memset(set, 0, 32);
	bool other = form_at(s, 0) == '^';
	form_skip(s, other);
	for (bool first = true;; first = false) {
		unsigned c = form_at(s, 0), hi = c;
		if (!c)
			return false;
		form_skip(s, 1);
		if (c == ']' && !first)
			break;
		if (form_at(s, 0) == '-' && form_at(s, 1) && form_at(s, 1) != ']') {
			hi = form_at(s, 1);
			form_skip(s, 2);
		}
		for (unsigned lo = c < hi ? c : hi, top = c < hi ? hi : c; lo <= top && lo < 256;
		     lo++)
			set[lo / 8] |= (uint8_t)(1 << lo % 8);
	}
	for (int i = 0; other && i < 32; i++)
		set[i] = (uint8_t)~set[i];
	return true;
}

static bool wanted_take(struct scan *s, struct wanted *w)
{
	*w = (struct wanted){.width = INT32_MAX};
	if ((w->skip = form_at(s, 0) == '*'))
		form_skip(s, 1);
	for (int n = 0; form_at(s, 0) >= '0' && form_at(s, 0) <= '9'; form_skip(s, 1)) {
		n = n < 100000000 ? n * 10 + (int)form_at(s, 0) - '0' : n;
		w->width = n;
	}
	w->size = size_take(s);
	w->letter = form_at(s, 0);
	if (!w->letter || !w->width)
		return false;
	form_skip(s, 1);
	return w->letter != '[' || set_take(s, w->set);
}

/* ---- numbers ---- */

struct number {
	char text[NUMBER_MAX];
	int n, left; /* left: of the width */
};

/* Take the next unit into the number if it is one of @which. */
static bool number_take(struct scan *s, struct number *x, const char *which)
{
	if (!x->left || x->n >= NUMBER_MAX - 1)
		return false;
	int c = scan_take(s);
	if (c <= 0 || c >= 0x80 || !strchr(which, c)) {
		s->ended |= c < 0 && !x->n;
		scan_back(s, c);
		return false;
	}
	x->text[x->n++] = (char)c;
	x->text[x->n] = 0;
	x->left--;
	return true;
}

static void whole_store(struct scan *s, const struct wanted *w, uint64_t v)
{
	void *to = __builtin_va_arg(s->ap, void *);
	bool big = w->size == SIZE_64 || w->letter == 'p';
	if (big)
		le64_put(to, v);
	else if (w->size == SIZE_SHORT)
		le16_put(to, (uint16_t)v);
	else if (w->size == SIZE_CHAR)
		*(uint8_t *)to = (uint8_t)v;
	else
		le32_put(to, (uint32_t)v);
}

static bool whole_scan(struct scan *s, const struct wanted *w)
{
	struct number x = {.left = w->width};
	unsigned base = w->letter == 'o'                              ? 8
			: (w->letter | 32) == 'x' || w->letter == 'p' ? 16
			: w->letter == 'i'                            ? 0
								      : 10;
	number_take(s, &x, "+-");
	int digits = x.n;
	if ((base == 0 || base == 16) && number_take(s, &x, "0")) {
		bool hex = number_take(s, &x, "xX");
		base = base ? base : hex ? 16 : 8;
	}
	base = base ? base : 10;
	const char *which = base == 8    ? "01234567"
			    : base == 16 ? "0123456789abcdefABCDEF"
					 : "0123456789";
	while (number_take(s, &x, which))
		continue;
	if (x.n == digits)
		return false;
	if (!w->skip)
		whole_store(s, w,
			    *x.text == '-' ? (uint64_t)strtoll(x.text, NULL, (int)base)
					   : strtoull(x.text, NULL, (int)base));
	s->stored += !w->skip;
	return true;
}

static bool fraction_scan(struct scan *s, const struct wanted *w)
{
	static const char figures[] = "0123456789";
	struct number x = {.left = w->width};
	int digits = 0;
	number_take(s, &x, "+-");
	while (number_take(s, &x, figures))
		digits++;
	if (number_take(s, &x, "."))
		while (number_take(s, &x, figures))
			digits++;
	if (!digits)
		return false;
	if (number_take(s, &x, "eE")) {
		number_take(s, &x, "+-");
		while (number_take(s, &x, figures))
			continue;
	}
	if (w->skip)
		return true;
	void *to = __builtin_va_arg(s->ap, void *);
	double d = strtod(x.text, NULL);
	float f = (float)d;
	if (w->size == SIZE_LONG)
		memcpy(to, &d, sizeof d);
	else
		memcpy(to, &f, sizeof f);
	s->stored++;
	return true;
}

/* ---- texts ---- */

static bool text_wanted(const struct wanted *w, int c)
{
	if (w->letter == '[')
		return c < 256 && w->set[c / 8] >> c % 8 & 1;
	return (w->letter | 32) == 'c' || !is_space(c);
}

static bool text_scan(struct scan *s, const struct wanted *w)
{
	bool capital = w->letter == 'S' || w->letter == 'C', single = (w->letter | 32) == 'c';
	bool wide_to = w->size == SIZE_LONG || w->size == SIZE_WIDE ? true
		       : w->size == SIZE_SHORT                      ? false
								    : capital != s->wide;
	int most = single && w->width == INT32_MAX ? 1 : w->width, n = 0;
	uint8_t *to = w->skip ? NULL : __builtin_va_arg(s->ap, void *);
	for (; n < most; n++) {
		int c = scan_take(s);
		if (c < 0 || !text_wanted(w, c)) {
			s->ended |= c < 0 && !n;
			scan_back(s, c);
			break;
		}
		if (to && wide_to)
			le16_put(to + 2 * n, (uint16_t)c);
		else if (to)
			to[n] = (uint8_t)c;
	}
	if (!n)
		return false;
	if (to && !single)
		memset(to + (wide_to ? 2 * n : n), 0, wide_to ? 2 : 1);
	s->stored += !w->skip;
	return true;
}

/* ---- all of a format ---- */

static bool one_scan(struct scan *s)
{
	struct wanted w;
	if (form_at(s, 0) == '%') {
		form_skip(s, 1);
		spaces_skip(s);
		int c = scan_take(s);
		s->ended |= c < 0;
		if (c != '%')
			scan_back(s, c);
		return c == '%';
	}
	if (!wanted_take(s, &w))
		return false;
	if (w.letter == 'n') {
		if (!w.skip)
			whole_store(s, &w, (uint64_t)s->taken);
		return true;
	}
	if (w.letter != '[' && (w.letter | 32) != 'c')
		spaces_skip(s);
	switch (w.letter) {
	case 'd':
	case 'i':
	case 'u':
	case 'o':
	case 'x':
	case 'X':
	case 'p': return whole_scan(s, &w);
	case 'e':
	case 'E':
	case 'f':
	case 'g':
	case 'G':
	case 'a':
	case 'A': return fraction_scan(s, &w);
	case 's':
	case 'S':
	case 'c':
	case 'C':
	case '[': return text_scan(s, &w);
	default: return false;
	}
}

/* How many were stored; -1: the input ended before there was a conversion. */
static int scan_run(struct scan *s)
{
	bool ok = true;
	while (ok && form_at(s, 0)) {
		unsigned f = form_at(s, 0);
		form_skip(s, 1);
		if (is_space((int)f)) {
			spaces_skip(s);
		} else if (f == '%') {
			ok = one_scan(s);
			s->any |= ok;
		} else {
			int c = scan_take(s);
			ok = c == (int)f;
			s->ended |= c < 0;
			if (!ok)
				scan_back(s, c);
		}
	}
	return !ok && s->ended && !s->any ? -1 : s->stored;
}

/* ---- where from ---- */

static int text_get(struct scan *s)
{
	int c = !s->left ? 0 : s->wide ? *(const wide *)s->at : *(const uint8_t *)s->at;
	if (!c)
		return -1;
	s->at = (const uint8_t *)s->at + (s->wide ? 2 : 1);
	s->left--;
	return c;
}

static void text_back(struct scan *s, int c)
{
	(void)c;
	s->at = (const uint8_t *)s->at - (s->wide ? 2 : 1);
	s->left++;
}

static int file_get(struct scan *s)
{
	if (!s->wide)
		return crt_fgetc(s->file);
	int c = crt_getwc(s->file);
	return c == 0xffff ? -1 : c;
}

static void file_back(struct scan *s, int c)
{
	if (s->wide)
		crt_ungetwc(c, s->file);
	else
		crt_ungetc(c, s->file);
}

static int text_run(const void *text, size_t left, bool is_wide, const void *format,
		    __builtin_ms_va_list ap)
{
	struct scan s = {text_get, text_back, text, left,  NULL,  is_wide,
			 format,   0,         0,    false, false, NULL};
	__builtin_ms_va_copy(s.ap, ap);
	return scan_run(&s);
}

static int file_run(void *file, bool is_wide, const void *format, __builtin_ms_va_list ap)
{
	struct scan s = {file_get, file_back, NULL, 0,     file,  is_wide,
			 format,   0,         0,    false, false, NULL};
	__builtin_ms_va_copy(s.ap, ap);
	return scan_run(&s);
}

/* ---- functions ---- */

API_VARIADIC(int, crt_sscanf, (const char *text, const char *format, ...), format,
	     text_run(text, SIZE_MAX, false, format, ap))
API_VARIADIC(int, crt_swscanf, (const wide *text, const wide *format, ...), format,
	     text_run(text, SIZE_MAX, true, format, ap))
API_VARIADIC(int, crt__snscanf, (const char *text, size_t most, const char *format, ...), format,
	     text_run(text, most, false, format, ap))
API_VARIADIC(int, crt_fscanf, (void *file, const char *format, ...), format,
	     file_run(file, false, format, ap))
API_VARIADIC(int, crt_scanf, (const char *format, ...), format, file_run(iob[0], false, format, ap))
API_VARIADIC(int, crt_fwscanf, (void *file, const wide *format, ...), format,
	     file_run(file, true, format, ap))
/* ucrt's: without the options, whose defaults are as msvcrt has it. */
API(int, crt___stdio_common_vsscanf, uint64_t options, const char *text, size_t most,
    const char *format, void *locale, __builtin_ms_va_list ap)
{
	(void)options;
	(void)locale;
	return text_run(text, most, false, format, ap);
}
API(int, crt___stdio_common_vswscanf, uint64_t options, const wide *text, size_t most,
    const wide *format, void *locale, __builtin_ms_va_list ap)
{
	(void)options;
	(void)locale;
	return text_run(text, most, true, format, ap);
}
API(int, crt___stdio_common_vfscanf, uint64_t options, void *file, const char *format, void *locale,
    __builtin_ms_va_list ap)
{
	(void)options;
	(void)locale;
	return file_run(file, false, format, ap);
}
