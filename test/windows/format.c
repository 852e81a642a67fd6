/* SPDX-License-Identifier: Apache-2.0 */
/* printf of msvcrt, narrow and wide: every conversion, flag, width, precision and size. */
#define __USE_MINGW_ANSI_STDIO 0
#include "test.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#pragma GCC diagnostic ignored "-Wformat"

static char out[600];
static wchar_t wide[600];

/* The text, its length as counted beforehand, and the same of the wide function. */
#define F(want, format, ...)                                                                       \
	do {                                                                                       \
		sprintf(out, format, ##__VA_ARGS__);                                               \
		TEXT("sprintf " format, out, want);                                                \
		IS("_scprintf " format, _scprintf(format, ##__VA_ARGS__), strlen(want));           \
		_snwprintf(wide, COUNT(wide), L"" format, ##__VA_ARGS__);                          \
		TEXT("swprintf " format, narrow(wide), want);                                      \
	} while (0)

static void integers(void)
{
	F("0", "%d", 0);
	F("-1", "%d", -1);
	F("2147483647", "%d", INT_MAX);
	F("-2147483648", "%i", INT_MIN);
	F("   42", "%5d", 42);
	F("42   |", "%-5d|", 42);
	F("00042", "%05d", 42);
	F("-0042", "%05d", -42);
	F("+42", "%+d", 42);
	F("-42", "%+d", -42);
	F(" 42", "% d", 42);
	F("+42", "% +d", 42);
	F("42   |", "%-05d|", 42);
	F("  042", "%5.3d", 42);
	F("00042", "%.5d", 42);
	F("  042", "%05.3d", 42);
	F("", "%.0d", 0);
	F("+", "%+.0d", 0);
	F("     ", "%5.0d", 0);
	F("4294967295", "%u", -1);
	F("42", "%+u", 42);
	F("ffffffff", "%x", -1);
	F("FFFFFFFF", "%X", -1);
	F("0xff", "%#x", 255);
	F("0XFF", "%#X", 255);
	F("0", "%#x", 0);
	F("  0xff", "%#6x", 255);
	F("0x00ff", "%#06x", 255);
	F("0x00ff", "%#.4x", 255);
	F("37777777777", "%o", -1);
	F("010", "%#o", 8);
	F("0", "%#o", 0);
	F("0010", "%#.4o", 8);
	F("        ff", "%*x", 10, 255);
	F("ff        |", "%*x|", -10, 255);
	F("0ff", "%.*x", 3, 255);
	F("255", "%.*d", -3, 255);
	F("1", "%hd", 65537);
	F("-1", "%hd", 65535);
	F("65535", "%hu", -1);
	F("123456", "%ld", 123456L);
	F("4294967295", "%lu", -1L);
	F("9223372036854775807", "%I64d", 0x7fffffffffffffffLL);
	F("-9223372036854775808", "%I64i", (long long)0x8000000000000000ULL);
	F("18446744073709551615", "%I64u", -1LL);
	F("ffffffffffffffff", "%I64x", -1LL);
	F("1777777777777777777777", "%I64o", -1LL);
	F("-5", "%I32d", -5);
	F("4294967291", "%I32u", -5);
	F("4294967296", "%Id", 4294967296LL);
	F("4294967296", "%Iu", 4294967296LL);
	F("1234567890123", "%lld", 1234567890123LL);
	F("18446744073709551615", "%llu", -1LL);
	F("11f71fb04cb", "%llx", 1234567890123LL);
	F("    9000000000|9000000000    ", "%14I64d|%-14I64d", 9000000000LL, 9000000000LL);
	F("00000000DEADBEEF", "%p", 0xdeadbeefULL);
	F("0000000000000000", "%p", 0ULL);
	F("    00000000DEADBEEF", "%20p", 0xdeadbeefULL);
	F("00000000DEADBEEF    |", "%-20p|", 0xdeadbeefULL);
}

static void fractions(void)
{
	F("0.000000", "%f", 0.0);
	F("-0.000000", "%f", -0.0);
	F("1.500000", "%f", 1.5);
	F("2", "%.0f", 1.5);
	F("2", "%.0f", 2.4);
	F("0.1", "%.1f", 0.1);
	F("0.10000000000000001", "%.17f", 0.1);
	F("      1.50", "%10.2f", 1.5);
	F("1.50      |", "%-10.2f|", 1.5);
	F("0000001.50", "%010.2f", 1.5);
	F("-000001.50", "%010.2f", -1.5);
	F("+1.5", "%+.1f", 1.5);
	F(" 1.5", "% .1f", 1.5);
	F("2.", "%#.0f", 2.0);
	F("123456789.000000", "%f", 123456789.0);
	F("100000000000000000000.000000", "%f", 1e20);
	F("0.000001", "%f", 0.000001);
	F("0.000000", "%f", 0.0000001);
	F("0.000000e+000", "%e", 0.0);
	F("1.000000e+000", "%e", 1.0);
	F("-1.234568e+004", "%e", -12345.678);
	F("1.2346E+004", "%.4E", 12345.678);
	F("1e+004", "%.0e", 12345.678);
	F("1.e+004", "%#.0e", 12345.678);
	F("1.000000e-010", "%e", 1e-10);
	F("1.000000e+100", "%e", 1e100);
	F("1.797693e+308", "%e", 1.7976931348623157e308);
	F("2.225074e-308", "%e", 2.2250738585072014e-308);
	F("  1.5e+000", "%10.1e", 1.5);
	F("0", "%g", 0.0);
	F("1", "%g", 1.0);
	F("0.5", "%g", 0.5);
	F("123456", "%g", 123456.0);
	F("1.23457e+006", "%g", 1234567.0);
	F("0.0001", "%g", 0.0001);
	F("1e-005", "%g", 0.00001);
	F("1E-005", "%G", 0.00001);
	F("1.00000", "%#g", 1.0);
	F("0.1", "%.3g", 0.1);
	F("1.23e+004", "%.3g", 12345.0);
	F("12345", "%.10g", 12345.0);
	F("1e+002", "%.1g", 100.0);
	F("1e+002", "%.0g", 100.0);
	F("3.1415926535897931", "%.17g", 3.14159265358979323846);
	F("     0.5|0.5     |", "%8g|%-8g|", 0.5, 0.5);
	F("1.#INF00", "%f", INFINITY);
	F("-1.#INF00", "%f", -INFINITY);
	F("1.#INF", "%g", INFINITY);
	F("1.#INF00e+000", "%e", INFINITY);
	F("1.#QNAN0", "%f", fabs(NAN));
	F("1.#QNAN", "%g", fabs(NAN));
	F("2.50 and 1", "%.2f and %d", 2.5, 1);
	F("2.50", "%.2lf", 2.5);
	F("2.50", "%.2Lf", 2.5);
	F("2.500000 3", "%*f %d", 3, 2.5, 3);
	F("2.5 3", "%.*f %d", 1, 2.5, 3);
}

static void letters(void)
{
	F("x", "%c", 'x');
	F("    x", "%5c", 'x');
	F("x    |", "%-5c|", 'x');
	F("x", "%hc", 'x');
	F("x", "%lc", L'x');
	F("x", "%wc", L'x');
	F("%", "%%");
	F("100% x", "100%% %c", 'x');
	F("abc", "%hs", "abc");
	F("wide", "%ls", L"wide");
	F("wide", "%ws", L"wide");
	F("  wide", "%6ls", L"wide");
	F("wi", "%.2ls", L"wide");
	F("(null)", "%hs", NULL);
	F("(null)", "%ls", NULL);
	F("abc|wide|7", "%hs|%ls|%d", "abc", L"wide", 7);
	F("    ab", "%6.2hs", "abc");
	F("ab    |", "%-6.2hs|", "abc");
	F("abc", "%.*hs", -1, "abc");
	F("", "%.0hs", "abc");
	F("no conversions", "no conversions");
	F("", "");
}

#define N(want, format, ...)                                                                       \
	(sprintf(out, format, ##__VA_ARGS__), TEXT("sprintf " format, out, want))
#define W(want, format, ...)                                                                       \
	(_snwprintf(wide, COUNT(wide), format, ##__VA_ARGS__),                                     \
	 TEXT("swprintf " #format, narrow(wide), want))

/* s and c are of the function's own width, S and C of the other. */
static void widths(void)
{
	N("abc", "%s", "abc");
	N("   abc", "%6s", "abc");
	N("abc   |", "%-6s|", "abc");
	N("000abc", "%06s", "abc");
	N("ab", "%.2s", "abc");
	N("wide", "%S", L"wide");
	N("w", "%C", L'w');
	N("(null)", "%s", NULL);
	N("(null)", "%S", NULL);
	N("(nu", "%.3s", NULL);
	W("wide", L"%s", L"wide");
	W("  wide", L"%6s", L"wide");
	W("abc", L"%S", "abc");
	W("w", L"%c", L'w');
	W("n", L"%C", 'n');
	W("\xc3\xa9\xe2\x82\xac", L"%s", L"\u00e9\u20ac");
	W("(null)", L"%s", NULL);
	int n = -1;
	W("z", L"%c", 'z');
	SAME(n, -1);
}

static int counted(char *to, size_t room, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = _vsnprintf(to, room, format, args);
	va_end(args);
	return n;
}

/* Buffers that are too small, by one, or not there. */
static void rooms(void)
{
	static const struct {
		const char *text;
		size_t room;
		int want;
		char last; /* of the buffer's room, which was full of '#' */
	} rows[] = {{"abc", 10, 3, '#'}, {"abc", 4, 3, 0},      {"abc", 3, 3, 'c'},
		    {"abc", 2, -1, 'b'}, {"abc", 1, -1, 'a'},   {"", 1, 0, 0},
		    {"", 5, 0, '#'},     {"abcdef", 6, 6, 'f'}, {"abcdef", 5, -1, 'e'}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[40], buf[16];
		sprintf(name, "\"%s\" in %d", rows[i].text, (int)rows[i].room);
		memset(buf, '#', sizeof buf);
		IS(name, _snprintf(buf, rows[i].room, "%s", rows[i].text), rows[i].want);
		IS(name, buf[rows[i].room - 1], rows[i].last);
		IS(name, buf[rows[i].room], '#');
		memset(buf, '#', sizeof buf);
		IS(name, counted(buf, rows[i].room, "%s", rows[i].text), rows[i].want);
		IS(name, buf[rows[i].room - 1], rows[i].last);
		wchar_t w[16];
		for (int k = 0; k < 16; k++)
			w[k] = L'#';
		IS(name, _snwprintf(w, rows[i].room, L"%S", rows[i].text), rows[i].want);
		IS(name, w[rows[i].room - 1], rows[i].last);
	}
	SAME(_snprintf(NULL, 0, "%d", 12345), 5);
	SAME(_snwprintf(NULL, 0, L"%d", 12345), 5);
	SAME(_scprintf("%s", "twelve chars"), 12);
	memset(out, 'x', sizeof out);
	SAME(sprintf(out, "%500d", 1), 500);
	SAME(out[499], '1');
	SAME(out[0], ' ');
	SAME(sprintf(out, "%.500d", 1), 500);
	SAME(out[0], '0');
}

int main(void)
{
	integers();
	fractions();
	letters();
	widths();
	rooms();
	return end();
}
