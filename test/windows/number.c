/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in the C runtime: read from text, written as text, mathematics at its edges, characters.
 */
#define __USE_MINGW_ANSI_STDIO 0
#include "test.h"
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <wctype.h>

/* The runtime's own, not those that mingw-w64 puts into the program. */
static void *runtime(const char *name) { return GetProcAddress(GetModuleHandleA("msvcrt"), name); }

static void fractions(void)
{
	static const struct {
		const char *in;
		double want;
		int used; /* characters */
	} rows[] = {{"0", 0, 1},
		    {"1.5", 1.5, 3},
		    {"-1.5", -1.5, 4},
		    {"+1.5", 1.5, 4},
		    {"  1.5", 1.5, 5},
		    {"\t\n1", 1, 3},
		    {".5", .5, 2},
		    {"5.", 5, 2},
		    {"1e3", 1000, 3},
		    {"1E3", 1000, 3},
		    {"1e+3", 1000, 4},
		    {"1e-3", .001, 4},
		    {"1e", 1, 1},
		    {"1e+", 1, 1},
		    {"1x", 1, 1},
		    {"1.5.5", 1.5, 3},
		    {"", 0, 0},
		    {"x", 0, 0},
		    {"-", 0, 0},
		    {".", 0, 0},
		    {"e5", 0, 0},
		    {"1,5", 1, 1},
		    {"0.1", .1, 3},
		    {"123456789012345678", 123456789012345678., 18},
		    {"1 000", 1, 1},
		    {"4.9406564584124654e-324", 4.9406564584124654e-324, 23},
		    {"1.7976931348623157e308", DBL_MAX, 22},
		    {"2.2250738585072014e-308", DBL_MIN, 23}};
	double (*msvcrt_strtod)(const char *, char **) = runtime("strtod");
	double (*msvcrt_wcstod)(const wchar_t *, wchar_t **) = runtime("wcstod");
	double (*msvcrt_atof)(const char *) = runtime("atof");
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *end;
		wchar_t w[50], *wend;
		IS(rows[i].in, msvcrt_strtod(rows[i].in, &end) == rows[i].want, TRUE);
		IS(rows[i].in, end - rows[i].in, rows[i].used);
		IS(rows[i].in, msvcrt_atof(rows[i].in) == rows[i].want, TRUE);
		MultiByteToWideChar(CP_UTF8, 0, rows[i].in, -1, w, 50);
		IS(rows[i].in, msvcrt_wcstod(w, &wend) == rows[i].want, TRUE);
		IS(rows[i].in, wend - w, rows[i].used);
	}
	errno = 0;
	SAME(msvcrt_strtod("1e999", NULL) == HUGE_VAL, TRUE);
	SAME(errno, ERANGE);
	SAME(msvcrt_strtod("-1e999", NULL) == -HUGE_VAL, TRUE);
}

static void integers(void)
{
	static const struct {
		const char *in;
		int base;
		long want;
		unsigned long unsigned_want;
		int used, error;
	} rows[] = {{"0", 10, 0, 0, 1, 0},
		    {"42", 10, 42, 42, 2, 0},
		    {"-42", 10, -42, -42, 3, 0},
		    {"+42", 10, 42, 42, 3, 0},
		    {" \t42", 10, 42, 42, 4, 0},
		    {"42x", 10, 42, 42, 2, 0},
		    {"0x1F", 16, 31, 31, 4, 0},
		    {"0x1F", 0, 31, 31, 4, 0},
		    {"1F", 16, 31, 31, 2, 0},
		    {"017", 0, 15, 15, 3, 0},
		    {"017", 10, 17, 17, 3, 0},
		    {"08", 0, 0, 0, 1, 0},
		    {"zz", 36, 1295, 1295, 2, 0},
		    {"Zz", 36, 1295, 1295, 2, 0},
		    {"102", 2, 2, 2, 2, 0},
		    {"777", 8, 511, 511, 3, 0},
		    {"", 10, 0, 0, 0, 0},
		    {"x", 10, 0, 0, 0, 0},
		    {"-", 10, 0, 0, 0, 0},
		    {"- 1", 10, 0, 0, 0, 0},
		    {"2147483647", 10, LONG_MAX, LONG_MAX, 10, 0},
		    {"2147483648", 10, LONG_MAX, 2147483648u, 10, ERANGE},
		    {"-2147483648", 10, LONG_MIN, 2147483648u, 11, 0},
		    {"-2147483649", 10, LONG_MIN, 2147483647u, 11, ERANGE},
		    {"99999999999", 10, LONG_MAX, ULONG_MAX, 11, ERANGE}};
	long (*msvcrt_strtol)(const char *, char **, int) = runtime("strtol");
	unsigned long (*msvcrt_strtoul)(const char *, char **, int) = runtime("strtoul");
	long (*msvcrt_wcstol)(const wchar_t *, wchar_t **, int) = runtime("wcstol");
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *end;
		wchar_t w[50];
		errno = 0;
		IS(rows[i].in, msvcrt_strtol(rows[i].in, &end, rows[i].base), rows[i].want);
		IS(rows[i].in, end - rows[i].in, rows[i].used);
		IS(rows[i].in, errno, rows[i].error);
		IS(rows[i].in, msvcrt_strtoul(rows[i].in, &end, rows[i].base),
		   rows[i].unsigned_want);
		MultiByteToWideChar(CP_UTF8, 0, rows[i].in, -1, w, 50);
		IS(rows[i].in, msvcrt_wcstol(w, NULL, rows[i].base), rows[i].want);
	}
	errno = 0;
	SAME(_strtoi64("9223372036854775807", NULL, 10), 0x7fffffffffffffffLL);
	SAME(_strtoi64("-9223372036854775808", NULL, 10), (long long)0x8000000000000000ULL);
	SAME(errno, 0);
	SAME(_strtoi64("9223372036854775808", NULL, 10), 0x7fffffffffffffffLL);
	SAME(errno, ERANGE);
	SAME(_strtoui64("18446744073709551615", NULL, 10), -1LL);
	SAME(_atoi64("-5000000000x"), -5000000000LL);
	SAME(atol(" +7"), 7);
	static const wchar_t digits[] = L"12";
	wchar_t *wend = NULL; /* no base: nothing of it is a number */
	SAME(msvcrt_wcstol(digits, &wend, 1), 0);
	CHECK(wend == digits);
	static const char narrow_digits[] = "12";
	char *end = NULL;
	SAME(msvcrt_strtol(narrow_digits, &end, 1), 0);
	CHECK(end == narrow_digits);
	wchar_t late[204];
	for (int i = 0; i < 200; i++)
		late[i] = i % 2 ? L'\t' : L' ';
	wcscpy(late + 200, L"-7;");
	SAME(msvcrt_wcstol(late, &wend, 10), -7);
	SAME(wend - late, 202);
	CHECK(_wtof(late) == -7);
	SAME(_wtoi(L"-12z"), -12);
	SAME(_wtoi64(L"5000000000"), 5000000000LL);
}

static void texts(void)
{
	static const struct {
		int value, base;
		const char *want;
	} rows[] = {{0, 10, "0"},
		    {-1, 10, "-1"},
		    {255, 16, "ff"},
		    {-1, 16, "ffffffff"},
		    {255, 2, "11111111"},
		    {35, 36, "z"},
		    {8, 8, "10"},
		    {INT_MIN, 10, "-2147483648"},
		    {INT_MAX, 10, "2147483647"},
		    {INT_MIN, 16, "80000000"},
		    {-5, 8, "37777777773"}};
	char buf[80];
	for (size_t i = 0; i < COUNT(rows); i++) {
		char name[40];
		sprintf(name, "%d in base %d", rows[i].value, rows[i].base);
		TEXT(name, _itoa(rows[i].value, buf, rows[i].base), rows[i].want);
		TEXT(name, _ltoa(rows[i].value, buf, rows[i].base), rows[i].want);
		if (rows[i].value >= 0)
			TEXT(name, _ultoa(rows[i].value, buf, rows[i].base), rows[i].want);
		if (rows[i].value >= 0 || rows[i].base == 10)
			TEXT(name, _i64toa(rows[i].value, buf, rows[i].base), rows[i].want);
	}
	TEXT_IS(_i64toa(-1, buf, 16), "ffffffffffffffff");
	TEXT_IS(_ui64toa(-1, buf, 10), "18446744073709551615");
	TEXT_IS(_ultoa(-1, buf, 10), "4294967295");
}

static void mathematics(void)
{
	static const double inf = INFINITY, nan_ = NAN;
	static const struct {
		const char *name;
		double in, want; /* a NaN: any */
	} rows[] = {{"sqrt", 4, 2},         {"sqrt", 0, 0},
		    {"sqrt", -1, NAN},      {"sqrt", INFINITY, INFINITY},
		    {"exp", 0, 1},          {"exp", 1000, INFINITY},
		    {"exp", -INFINITY, 0},  {"log", 1, 0},
		    {"log", 0, -INFINITY},  {"log", -1, NAN},
		    {"log10", 1000, 3},     {"sin", 0, 0},
		    {"cos", 0, 1},          {"tan", 0, 0},
		    {"sin", INFINITY, NAN}, {"asin", 2, NAN},
		    {"acos", 1, 0},         {"atan", 0, 0},
		    {"floor", -1.5, -2},    {"floor", 1.5, 1},
		    {"ceil", -1.5, -1},     {"ceil", 1.5, 2},
		    {"fabs", -2, 2},        {"fabs", -INFINITY, INFINITY},
		    {"sinh", 0, 0},         {"cosh", 0, 1},
		    {"tanh", INFINITY, 1},  {"floor", INFINITY, INFINITY},
		    {"sqrt", NAN, NAN},     {"ceil", NAN, NAN}};
	static const struct {
		const char *name;
		double a, b, want;
	} pairs[] = {
	    {"pow", 2, 10, 1024},     {"pow", 0, 0, 1},        {"pow", 2, -1, .5},
	    {"pow", -8, 1. / 3, NAN}, {"pow", INFINITY, 0, 1}, {"pow", 0, -1, INFINITY},
	    {"fmod", 7, 4, 3},        {"fmod", -7, 4, -3},     {"fmod", 1, 0, NAN},
	    {"atan2", 0, 1, 0},       {"atan2", 0, 0, 0},      {"fmod", 5.5, INFINITY, 5.5},
	    {"_copysign", 2, -1, -2}, {"_hypot", 3, 4, 5},     {"pow", 1e200, 2, INFINITY}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		double (*f)(double) = runtime(rows[i].name);
		char name[40];
		sprintf(name, "%s of %g", rows[i].name, rows[i].in);
		IS(name, f != NULL, TRUE);
		double got = f(rows[i].in);
		IS(name, isnan(rows[i].want) ? got != got : got == rows[i].want, TRUE);
	}
	for (size_t i = 0; i < COUNT(pairs); i++) {
		double (*f)(double, double) = runtime(pairs[i].name);
		char name[40];
		sprintf(name, "%s of %g, %g", pairs[i].name, pairs[i].a, pairs[i].b);
		IS(name, f != NULL, TRUE);
		double got = f(pairs[i].a, pairs[i].b);
		IS(name, isnan(pairs[i].want) ? got != got : got == pairs[i].want, TRUE);
	}
	int e;
	double whole;
	double (*msvcrt_frexp)(double, int *) = runtime("frexp");
	double (*msvcrt_modf)(double, double *) = runtime("modf");
	double (*msvcrt_ldexp)(double, int) = runtime("ldexp");
	CHECK(msvcrt_frexp(8, &e) == .5);
	SAME(e, 4);
	CHECK(msvcrt_modf(-1.5, &whole) == -.5);
	CHECK(whole == -1);
	CHECK(msvcrt_ldexp(1, 10) == 1024);
	SAME(_isnan(nan_), 1);
	SAME(_isnan(1.), 0);
	SAME(_finite(inf), 0);
	SAME(_finite(1.), 1);
	SAME(_fpclass(inf), _FPCLASS_PINF);
	SAME(_fpclass(-inf), _FPCLASS_NINF);
	SAME(_fpclass(1.), _FPCLASS_PN);
	SAME(_fpclass(-1.), _FPCLASS_NN);
	SAME(_fpclass(0.), _FPCLASS_PZ);
	SAME(_fpclass(-0.), _FPCLASS_NZ);
	SAME(_fpclass(4.9406564584124654e-324), _FPCLASS_PD);
	SAME(abs(-5), 5);
	SAME(labs(-5), 5);
	div_t d = div(-7, 2);
	SAME(d.quot, -3);
	SAME(d.rem, -1);
}

/* How many of the 256 characters each function takes, in the locale C. */
static void characters(void)
{
	static const struct {
		const char *name, *wide;
		int n, low; /* n: of all; low: of those below 128, wide */
	} rows[] = {{"isalpha", "iswalpha", 52, 52}, {"isdigit", "iswdigit", 10, 10},
		    {"isalnum", "iswalnum", 62, 62}, {"isspace", "iswspace", 6, 6},
		    {"isupper", "iswupper", 26, 26}, {"islower", "iswlower", 26, 26},
		    {"isxdigit", NULL, 22, 22},      {"ispunct", NULL, 32, 32},
		    {"iscntrl", NULL, 33, 33},       {"isprint", NULL, 95, 95},
		    {"isgraph", NULL, 94, 94}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		int (*f)(int) = runtime(rows[i].name);
		int (*w)(wint_t) = rows[i].wide ? runtime(rows[i].wide) : NULL;
		int n = 0, low = 0;
		for (int c = 0; c < 256; c++) {
			n += f(c) != 0;
			low += c < 128 && w && w(c);
		}
		IS(rows[i].name, n, rows[i].n);
		if (w)
			IS(rows[i].wide, low, rows[i].low);
	}
	int changed = 0, wrong = 0;
	for (int c = 0; c < 256; c++) {
		changed += toupper(c) != c;
		wrong += toupper(tolower(c)) != toupper(c);
	}
	SAME(changed, 26);
	SAME(wrong, 0);
	static const struct {
		const char *name;
		int c, bit;
	} bits[] = {{"isspace", '\v', 8}, {"isdigit", '5', 4},  {"isupper", 'A', 1},
		    {"islower", 'a', 2},  {"ispunct", '!', 16}, {"iscntrl", 0, 32}};
	for (size_t i = 0; i < COUNT(bits); i++)
		IS(bits[i].name, ((int (*)(int))runtime(bits[i].name))(bits[i].c), bits[i].bit);
}

int main(void)
{
	fractions();
	integers();
	texts();
	mathematics();
	characters();
	return end();
}
