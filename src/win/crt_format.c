/* SPDX-License-Identifier: Apache-2.0 */
/* printf as Microsoft has it: sizes I64, I32, I, w; S and C of the other width; exponents of three
 * digits and 1.#INF in msvcrt; pointers as sixteen capitals. */
#include "win/crt.h"
#include <math.h>
#include <stdio.h>

enum { NUMBER_MAX = 512 };
struct spec {
	bool left, plus, space, alt, zero;
	int width, precision; /* precision -1: none */
	enum { SIZE_INT, SIZE_CHAR, SIZE_SHORT, SIZE_64, SIZE_LONG, SIZE_WIDE } size;
	unsigned letter;
};

static bool put(struct format_sink *s, const char *t, size_t n)
{
	s->total += n;
	if (!s->wide)
		return n == 0 || s->put(s, t, n);
	wide w[128];
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		for (; k < countof(w) && i < n; k++, i++)
			w[k] = (uint8_t)t[i];
		if (!s->put(s, w, k))
			return false;
	}
	return true;
}

static bool pad(struct format_sink *s, char c, int n)
{
	char many[64];
	memset(many, c, sizeof many);
	for (; n > 0; n -= (int)sizeof many)
		if (!put(s, many, n < (int)sizeof many ? (size_t)n : sizeof many))
			return false;
	return true;
}

/* ---- texts ---- */

static bool put_wide(struct format_sink *s, const wide *t, size_t n)
{
	if (s->wide) {
		s->total += n;
		return n == 0 || s->put(s, t, n);
	}
	autofree char *narrow = text_from(t, n);
	return narrow && put(s, narrow, utf8_put(t, n, NULL, 0, NULL));
}

static bool put_narrow(struct format_sink *s, const char *t, size_t n)
{
	if (!s->wide)
		return put(s, t, n);
	autofree wide *w = text_wide(t, n);
	size_t units = w ? utf16_put(t, n, NULL, 0, NULL) : 0;
	s->total += units;
	return w && (units == 0 || s->put(s, w, units));
}

static bool text_put(struct format_sink *s, const struct spec *f, const void *t, bool is_wide)
{
	static const wide null_text[] = u"(null)";
	size_t n = 0, most = f->precision < 0 ? SIZE_MAX : (size_t)f->precision;
	if (!t) {
		t = null_text;
		is_wide = true;
	}
	while (n < most && (is_wide ? ((const wide *)t)[n] : ((const uint8_t *)t)[n]))
		n++;
	int more = f->width > (int)n ? f->width - (int)n : 0;
	return (f->left || pad(s, f->zero ? '0' : ' ', more)) &&
	       (is_wide ? put_wide(s, t, n) : put_narrow(s, t, n)) &&
	       (!f->left || pad(s, ' ', more));
}

static bool char_put(struct format_sink *s, const struct spec *f, uint32_t c, bool is_wide)
{
	const wide w = (wide)c;
	const char t = (char)c;
	int more = f->width > 1 ? f->width - 1 : 0;
	return (f->left || pad(s, f->zero ? '0' : ' ', more)) &&
	       (is_wide   ? put_wide(s, &w, 1)
		: s->wide ? put(s, &t, 1)
			  : put(s, &t, 1)) &&
	       (!f->left || pad(s, ' ', more));
}

/* ---- numbers ---- */

/* @sign and prefix, then zeros, then @digits. */
static bool number_put(struct format_sink *s, const struct spec *f, const char *sign,
		       const char *digits, size_t n, size_t zeros)
{
	size_t head = strlen(sign), len = head + zeros + n;
	int more = f->width > (int)len ? f->width - (int)len : 0;
	bool zero = f->zero && !f->left;
	return (f->left || zero || pad(s, ' ', more)) && put(s, sign, head) &&
	       (!zero || pad(s, '0', more)) && pad(s, '0', (int)zeros) && put(s, digits, n) &&
	       (!f->left || pad(s, ' ', more));
}

static bool integer_put(struct format_sink *s, struct spec *f, uint64_t v, bool is_signed)
{
	char digits[72];
	size_t n = 0;
	const char *sign = "";
	unsigned base = f->letter == 'o'                              ? 8
			: (f->letter | 32) == 'x' || f->letter == 'p' ? 16
								      : 10;
	const char *set = f->letter == 'x' ? "0123456789abcdef" : "0123456789ABCDEF";
	if (is_signed && (int64_t)v < 0) {
		sign = "-";
		v = -v;
	} else if (is_signed) {
		sign = f->plus ? "+" : f->space ? " " : "";
	}
	if (f->alt && v && base == 16)
		sign = f->letter == 'x' ? "0x" : "0X";
	for (uint64_t left = v; left; left /= base)
		digits[sizeof digits - ++n] = set[left % base];
	if (f->alt && base == 8 && (int)n >= f->precision)
		digits[sizeof digits - ++n] = '0';
	size_t least = f->precision < 0 ? 1 : (size_t)f->precision;
	if (f->precision >= 0)
		f->zero = false;
	return number_put(s, f, sign, digits + sizeof digits - n, n, n < least ? least - n : 0);
}

/* msvcrt: 1.#INF, with the precision's zeros and ones; e+005. */
static void msvcrt_mend(char *t, size_t cap, double v, const struct spec *f)
{
	char *e = strpbrk(t, "eE");
	if (!isfinite(v)) {
		int n = f->precision < 0 ? 6 : f->precision;
		const char *what = isinf(v) ? "#INF" : signbit(v) ? "#IND" : "#QNAN";
		if ((f->letter | 32) == 'g')
			n = n > 0 ? n - 1 : 0;
		snprintf(t, cap, "1.%s", what);
		if (n < (int)strlen(what))
			t[2 + (n ? n : 0)] = 0;
		while ((int)strlen(t) < 2 + n && strlen(t) + 1 < cap &&
		       ((f->letter | 32) == 'e' || (f->letter | 32) == 'f'))
			strcat(t, "0");
		if ((f->letter | 32) == 'e' && strlen(t) + 6 < cap)
			strcat(t, f->letter == 'e' ? "e+000" : "E+000");
	} else if (e && strlen(e) == 4 && (f->letter | 32) != 'a' && strlen(t) + 2 < cap) {
		memmove(e + 3, e + 2, strlen(e + 2) + 1);
		e[2] = '0';
	}
}

static bool double_put(struct format_sink *s, struct spec *f, double v, unsigned flags)
{
	char small[NUMBER_MAX], form[16], *t = small;
	int precision = f->precision < 0 ? (f->letter | 32) == 'a' ? -1 : 6 : f->precision;
	snprintf(form, sizeof form, precision < 0 ? "%%%s%c" : "%%%s.*%c", f->alt ? "#" : "",
		 (int)f->letter);
	size_t cap = NUMBER_MAX + (precision > 0 ? (size_t)precision : 0);
	autofree char *big = precision > 64 ? malloc(cap) : NULL;
	t = big ? big : small;
	cap = big ? cap : sizeof small;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (precision < 0)
		snprintf(t, cap, form, fabs(v));
	else
		snprintf(t, cap, form, precision, fabs(v));
#pragma GCC diagnostic pop
	const char *sign = signbit(v) && !isnan(v) ? "-" : f->plus ? "+" : f->space ? " " : "";
	if (isnan(v) && signbit(v))
		sign = "-";
	if (!(flags & FORMAT_UCRT))
		msvcrt_mend(t, cap, v, f);
	else if (isnan(v) && signbit(v))
		snprintf(t, cap, "%s", f->letter < 'a' ? "NAN(IND)" : "nan(ind)");
	if (!isfinite(v) && flags & FORMAT_UCRT)
		f->zero = false;
	char prefix[8];
	size_t skip = (f->letter | 32) == 'a' && isfinite(v) ? 2 : 0;
	snprintf(prefix, sizeof prefix, "%s%.*s", sign, (int)skip, t);
	return number_put(s, f, prefix, t + skip, strlen(t + skip), 0);
}

/* ---- one specification ---- */

/* A format of either width. */
struct reader {
	const void *at;
	bool wide;
};
static unsigned peek(const struct reader *r, size_t i)
{
	return r->wide ? ((const wide *)r->at)[i] : ((const uint8_t *)r->at)[i];
}
static void skip(struct reader *r, size_t n)
{
	r->at = (const uint8_t *)r->at + (r->wide ? 2 * n : n);
}

static int number_read(struct reader *r)
{
	int n = 0;
	while (peek(r, 0) >= '0' && peek(r, 0) <= '9' && n < 100000000) {
		n = n * 10 + (int)peek(r, 0) - '0';
		skip(r, 1);
	}
	return n;
}

static void flags_read(struct reader *r, struct spec *f)
{
	for (;; skip(r, 1))
		switch (peek(r, 0)) {
		case '-': f->left = true; break;
		case '+': f->plus = true; break;
		case ' ': f->space = true; break;
		case '#': f->alt = true; break;
		case '0': f->zero = true; break;
		default: return;
		}
}

static void size_read(struct reader *r, struct spec *f)
{
	unsigned a = peek(r, 0), b = a ? peek(r, 1) : 0, c = b ? peek(r, 2) : 0;
	size_t n = 1;
	switch (a) {
	case 'h':
		f->size = b == 'h' ? SIZE_CHAR : SIZE_SHORT;
		n = b == 'h' ? 2 : 1;
		break;
	case 'l':
		f->size = b == 'l' ? SIZE_64 : SIZE_LONG;
		n = b == 'l' ? 2 : 1;
		break;
	case 'I':
		f->size = b == '3' && c == '2' ? SIZE_INT : SIZE_64;
		n = (b == '6' && c == '4') || (b == '3' && c == '2') ? 3 : 1;
		break;
	case 'w': f->size = SIZE_WIDE; break;
	case 'L': break;
	case 'F': n = 0; break;
	case 'j':
	case 'z':
	case 't': f->size = SIZE_64; break;
	default: n = 0; break;
	}
	skip(r, n);
}

static bool wide_text(const struct spec *f, unsigned flags)
{
	bool capital = f->letter == 'S' || f->letter == 'C';
	if (f->size == SIZE_LONG || f->size == SIZE_WIDE)
		return true;
	if (f->size == SIZE_SHORT)
		return false;
	return capital != ((flags & FORMAT_WIDE) != 0);
}

static uint64_t sized(const struct spec *f, uint64_t v, bool is_signed)
{
	switch (f->size) {
	case SIZE_64: return v;
	case SIZE_CHAR: return is_signed ? (uint64_t)(int8_t)v : (uint8_t)v;
	case SIZE_SHORT: return is_signed ? (uint64_t)(int16_t)v : (uint16_t)v;
	case SIZE_INT:
	case SIZE_LONG:
	case SIZE_WIDE: return is_signed ? (uint64_t)(int32_t)v : (uint32_t)v;
	}
	return v;
}

/* Every argument takes 8 bytes: they are read as such. */
static bool spec_put(struct format_sink *s, struct spec *f, unsigned flags, uint64_t v, double d,
		     uint64_t total)
{
	switch (f->letter) {
	case 'd':
	case 'i': return integer_put(s, f, sized(f, v, true), true);
	case 'u':
	case 'o':
	case 'x':
	case 'X': return integer_put(s, f, sized(f, v, false), false);
	case 'p':
		f->precision = 16;
		f->alt = false;
		return integer_put(s, f, v, false);
	case 'e':
	case 'E':
	case 'f':
	case 'F':
	case 'g':
	case 'G':
	case 'a':
	case 'A': return double_put(s, f, d, flags);
	case 'c':
	case 'C': return char_put(s, f, (uint32_t)v, wide_text(f, flags));
	case 's':
	case 'S': return text_put(s, f, (const void *)(uintptr_t)v, wide_text(f, flags));
	case 'n':
		if (flags & FORMAT_UCRT) /* switched off there */
			return false;
		*(int *)(uintptr_t)v = (int)total;
		return true;
	default: return put(s, (const char[]){(char)f->letter}, 1);
	}
}

static bool plain_put(struct format_sink *s, const struct reader *r, size_t n)
{
	if (!r->wide)
		return s->wide ? put_narrow(s, r->at, n) : put(s, r->at, n);
	return put_wide(s, r->at, n);
}

int64_t format_run(struct format_sink *s, unsigned flags, const void *format,
		   __builtin_ms_va_list ap)
{
	struct reader r = {format, flags & FORMAT_WIDE};
	bool ok = true;
	while (ok && peek(&r, 0)) {
		size_t n = 0;
		while (peek(&r, n) && peek(&r, n) != '%')
			n++;
		ok = n == 0 || plain_put(s, &r, n);
		skip(&r, n);
		if (!ok || !peek(&r, 0))
			break;
		skip(&r, 1);
		struct spec f = {.precision = -1};
		flags_read(&r, &f);
		if (peek(&r, 0) == '*') {
			skip(&r, 1);
			f.width = __builtin_va_arg(ap, int);
			f.left |= f.width < 0;
			f.width = f.width < 0 ? -f.width : f.width;
		} else {
			f.width = number_read(&r);
		}
		if (peek(&r, 0) == '.') {
			skip(&r, 1);
			bool star = peek(&r, 0) == '*';
			skip(&r, star);
			f.precision = star ? __builtin_va_arg(ap, int) : number_read(&r);
			f.precision = f.precision < 0 ? -1 : f.precision;
		}
		size_read(&r, &f);
		f.letter = peek(&r, 0);
		if (!f.letter)
			break;
		skip(&r, 1);
		if (f.letter == '%') {
			ok = put(s, "%", 1);
			continue;
		}
		uint64_t v = 0;
		double d = 0;
		if (strchr("eEfFgGaA", (int)f.letter))
			d = __builtin_va_arg(ap, double);
		else if (strchr("diuoxXpcCsSn", (int)f.letter))
			v = __builtin_va_arg(ap, uint64_t);
		ok = spec_put(s, &f, flags, v, d, s->total);
	}
	return ok ? (int64_t)s->total : -1;
}

/* ---- into memory ---- */

struct memory_sink {
	struct format_sink s;
	uint8_t *buf;
	size_t cap, at; /* bytes */
};

static bool memory_put(struct format_sink *s, const void *t, size_t units)
{
	struct memory_sink *m = (struct memory_sink *)(void *)s;
	size_t n = s->wide ? 2 * units : units, left = m->cap - m->at;
	n = n < left ? n : left;
	memcpy(m->buf + m->at, t, n);
	m->at += n;
	return true;
}

int64_t format_text(char *buf, size_t cap, unsigned flags, const char *format,
		    __builtin_ms_va_list ap)
{
	struct memory_sink m = {{memory_put, false, 0}, (uint8_t *)buf, cap, 0};
	int64_t n = format_run(&m.s, flags, format, ap);
	if (m.at < cap)
		buf[m.at] = 0;
	return n;
}

int64_t format_wide(wide *buf, size_t cap, unsigned flags, const wide *format,
		    __builtin_ms_va_list ap)
{
	struct memory_sink m = {{memory_put, true, 0}, (uint8_t *)buf, 2 * cap, 0};
	int64_t n = format_run(&m.s, flags | FORMAT_WIDE, format, ap);
	if (m.at < 2 * cap)
		buf[m.at / 2] = 0;
	return n;
}

/* ---- sprintf and its kind ---- */

/* msvcrt's: what does not fit is -1, and then there may be no 0 at the end; without a buffer, the
 * length. */
static int limited(const void *buf, int64_t n, size_t cap)
{
	return n < 0 || ((buf || cap) && (uint64_t)n > cap) ? -1 : (int)n;
}

API(int, crt_vsprintf, char *buf, const char *format, __builtin_ms_va_list ap)
{
	return (int)format_text(buf, SIZE_MAX / 4, FORMAT_MSVCRT, format, ap);
}
API_VARIADIC(int, crt_sprintf, (char *buf, const char *format, ...), format,
	     crt_vsprintf(buf, format, ap))
API(int, crt__vsnprintf, char *buf, size_t cap, const char *format, __builtin_ms_va_list ap)
{
	return limited(buf, format_text(buf, cap, FORMAT_MSVCRT, format, ap), cap);
}
API_VARIADIC(int, crt__snprintf, (char *buf, size_t cap, const char *format, ...), format,
	     crt__vsnprintf(buf, cap, format, ap))
API(int, crt__vscprintf, const char *format, __builtin_ms_va_list ap)
{
	return (int)format_text(NULL, 0, FORMAT_MSVCRT, format, ap);
}
API_VARIADIC(int, crt__scprintf, (const char *format, ...), format, crt__vscprintf(format, ap))
API(int, crt__vsnwprintf, wide *buf, size_t cap, const wide *format, __builtin_ms_va_list ap)
{
	return limited(buf, format_wide(buf, cap, FORMAT_MSVCRT, format, ap), cap);
}
API_VARIADIC(int, crt__snwprintf, (wide *buf, size_t cap, const wide *format, ...), format,
	     crt__vsnwprintf(buf, cap, format, ap))
API_VARIADIC(int, crt_swprintf, (wide *buf, const wide *format, ...), format,
	     (int)format_wide(buf, SIZE_MAX / 4, FORMAT_MSVCRT, format, ap))

/* ucrt: options bit 0: as old _vsnprintf (no 0 at the end when full); bit 1: as C99. */
enum { OPTION_LEGACY = 1, OPTION_STANDARD = 2 };

static int ucrt_result(int64_t n, size_t cap, uint64_t options, const void *buf)
{
	if (n < 0)
		return -1;
	if (options & OPTION_STANDARD || !buf)
		return (int)n;
	return options & OPTION_LEGACY ? limited(buf, n, cap) : (uint64_t)n >= cap ? -1 : (int)n;
}

API(int, crt___stdio_common_vsprintf, uint64_t options, char *buf, size_t cap, const char *format,
    void *locale, __builtin_ms_va_list ap)
{
	(void)locale;
	int64_t n = format_text(buf, buf ? cap : 0, FORMAT_UCRT, format, ap);
	if (buf && cap && n >= 0 && (uint64_t)n >= cap && !(options & OPTION_LEGACY))
		buf[cap - 1] = 0;
	return ucrt_result(n, cap, options, buf);
}
API(int, crt___stdio_common_vsprintf_s, uint64_t options, char *buf, size_t cap, const char *format,
    void *locale, __builtin_ms_va_list ap)
{
	(void)options;
	(void)locale;
	int64_t n = format_text(buf, cap, FORMAT_UCRT, format, ap);
	if (n >= 0 && (uint64_t)n < cap)
		return (int)n;
	if (cap)
		buf[0] = 0;
	return crt_fail(ERANGE);
}
API(int, crt___stdio_common_vsnprintf_s, uint64_t options, char *buf, size_t cap, size_t most,
    const char *format, void *locale, __builtin_ms_va_list ap)
{
	(void)options;
	(void)locale;
	size_t room = most < cap ? most + 1 : cap;
	int64_t n = format_text(buf, room, FORMAT_UCRT, format, ap);
	if (room && n >= 0 && (uint64_t)n >= room)
		buf[room - 1] = 0;
	return n >= 0 && (uint64_t)n < room ? (int)n : -1;
}
API(int, crt___stdio_common_vswprintf, uint64_t options, wide *buf, size_t cap, const wide *format,
    void *locale, __builtin_ms_va_list ap)
{
	(void)locale;
	int64_t n = format_wide(buf, buf ? cap : 0, FORMAT_UCRT, format, ap);
	if (buf && cap && n >= 0 && (uint64_t)n >= cap && !(options & OPTION_LEGACY))
		buf[cap - 1] = 0;
	return ucrt_result(n, cap, options, buf);
}
