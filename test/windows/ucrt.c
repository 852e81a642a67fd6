/* SPDX-License-Identifier: Apache-2.0 */
/* What ucrtbase.dll has and msvcrt.dll has not, or otherwise: by LoadLibrary, for mingw-w64 links
 * programs with msvcrt. */
#include "test.h"
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <wchar.h>

static HMODULE ucrt;
#define CALL(type, name) ((type)(void *)GetProcAddress(ucrt, name))

static void singles(void)
{
	static const struct {
		const char *name;
		float x, want;
	} rows[] = {
	    {"acosf", 1, 0},      {"acoshf", 1, 0},   {"asinf", 0, 0},    {"asinhf", 0, 0},
	    {"atanf", 0, 0},      {"atanhf", 0, 0},   {"coshf", 0, 1},    {"erff", 0, 0},
	    {"erfcf", 0, 1},      {"exp2f", 3, 8},    {"expm1f", 0, 0},   {"lgammaf", 1, 0},
	    {"log10f", 1000, 3},  {"log1pf", 0, 0},   {"log2f", 8, 3},    {"logbf", 9, 3},
	    {"rintf", 2.5f, 2},   {"sinhf", 0, 0},    {"tgammaf", 5, 24}, {"cbrtf", 27, 3},
	    {"truncf", -2.5, -2}, {"roundf", 2.5, 3},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		float (*fn)(float) = CALL(float (*)(float), rows[i].name);
		IS(rows[i].name, fn != NULL, 1);
		IS(rows[i].name, fn && fabsf(fn(rows[i].x) - rows[i].want) < 1e-5f, 1);
	}
}

static void pairs(void)
{
	static const struct {
		const char *name;
		float x, y, want;
	} rows[] = {
	    {"atan2f", 0, 1, 0},      {"_copysignf", 3, -1, -3}, {"fdimf", 5, 3, 2},
	    {"fmaxf", 1, 2, 2},       {"fminf", 1, 2, 1},        {"_hypotf", 3, 4, 5},
	    {"remainderf", 7, 4, -1}, {"fmodf", 7, 4, 3},        {"powf", 2, 5, 32},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		float (*fn)(float, float) = CALL(float (*)(float, float), rows[i].name);
		IS(rows[i].name, fn != NULL, 1);
		IS(rows[i].name, fn && fabsf(fn(rows[i].x, rows[i].y) - rows[i].want) < 1e-5f, 1);
	}
}

static void parts(void)
{
	int (*ilogb_at)(double) = CALL(int (*)(double), "ilogb");
	float (*scale)(float, int) = CALL(float (*)(float, int), "scalbnf");
	double (*scale_double)(double, int) = CALL(double (*)(double, int), "scalbn");
	double (*fused)(double, double, double) = CALL(double (*)(double, double, double), "fma");
	double (*quotient)(double, double, int *) =
	    CALL(double (*)(double, double, int *), "remquo");
	long (*near_f)(float) = CALL(long (*)(float), "lrintf");
	long (*round_f)(float) = CALL(long (*)(float), "lroundf");
	long long (*round_ll)(float) = CALL(long long (*)(float), "llroundf");
	double (*none)(const char *) = CALL(double (*)(const char *), "nan");
	int q = 0;
	SAME(ilogb_at(9), 3);
	SAME(ilogb_at(0), INT_MIN);
	SAME(ilogb_at(INFINITY), INT_MAX);
	CHECK(scale(3, 2) == 12);
	CHECK(scale_double(3, -1) == 1.5);
	CHECK(fused(2, 3, 4) == 10);
	CHECK(quotient(7, 4, &q) == -1);
	SAME(q & 7, 2);
	SAME(near_f(2.5f), 2);
	SAME(round_f(2.5f), 3);
	SAME(round_ll(-2.5f), -3);
	CHECK(isnan(none("")));
}

/* The classes of fpclassify, which the headers of MSVC make calls. */
static void classes(void)
{
	short (*of)(double) = CALL(short (*)(double), "_dclass");
	short (*of_f)(float) = CALL(short (*)(float), "_fdclass");
	short (*at)(double *) = CALL(short (*)(double *), "_dtest");
	double x = INFINITY;
	SAME(of(0), 0);
	SAME(of(1), -1);
	SAME(of(5e-324), -2);
	SAME(of(-INFINITY), 1);
	SAME(of(NAN), 2);
	SAME(of_f(1e-45f), -2);
	SAME(of_f(2), -1);
	SAME(at(&x), 1);
}

static void exceptions(void)
{
	int (*clear)(int) = CALL(int (*)(int), "feclearexcept");
	int (*test)(int) = CALL(int (*)(int), "fetestexcept");
	volatile double zero = 0, one = 1, x;
	SAME(clear(31), 0);
	SAME(test(31), 0);
	x = one / zero;
	SAME(test(31), 8); /* FE_DIVBYZERO of ucrt */
	x = zero / zero;
	SAME(test(16), 16); /* FE_INVALID */
	x = one / 3;
	SAME(test(1), 1); /* FE_INEXACT */
	(void)x;
	clear(31);
}

static char *(*set)(int, const char *);

/* The locales that there are, and how they are told. */
static void locales(void)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
	    {".UTF-8", "English_United States.utf8"},
	    {".utf8", "English_United States.utf8"},
	    {".UTF8", "English_United States.utf8"},
	    {".65001", "English_United States.utf8"},
	    {"English.utf8", "English_United States.utf8"},
	    {"English_United States.utf8", "English_United States.utf8"},
	    {"en-US", "en-US"},
	    {"en_US.UTF-8", "en_US.UTF-8"},
	    {"en-US.utf8", "en-US.utf8"},
	    {"C", "C"},
	    {"xx_YY.UTF-8", NULL},
	    {"nosuch", NULL},
	};
	set = CALL(char *(*)(int, const char *), "setlocale");
	TEXT_IS(set(LC_ALL, NULL), "C");
	for (size_t i = 0; i < COUNT(rows); i++)
		if (rows[i].want)
			TEXT(rows[i].name, set(LC_ALL, rows[i].name), rows[i].want);
		else
			IS(rows[i].name, !set(LC_ALL, rows[i].name), 1);
	TEXT_IS(set(LC_ALL, NULL), "C");
	CHECK(set(LC_ALL, "") != NULL);
	TEXT_IS(set(LC_ALL, "C"), "C");
	TEXT_IS(set(LC_CTYPE, ".utf8"), "English_United States.utf8");
	TEXT_IS(set(LC_NUMERIC, NULL), "C");
	TEXT_IS(set(LC_ALL, NULL), "LC_COLLATE=C;LC_CTYPE=English_United "
				   "States.utf8;LC_MONETARY=C;LC_NUMERIC=C;LC_TIME=C");
	char whole[200];
	strcpy(whole, set(LC_ALL, NULL));
	set(LC_ALL, "C");
	TEXT_IS(set(LC_ALL, whole), whole);
	TEXT_IS(set(LC_CTYPE, NULL), "English_United States.utf8");
	CHECK(!set(99, "C"));
	wchar_t *(*wide_set)(int, const wchar_t *) = CALL(void *, "_wsetlocale");
	TEXT_IS(narrow(wide_set(LC_ALL, L".UTF-8")), "English_United States.utf8");
}

/* Characters in UTF-8, whole and in pieces. */
static void characters(void)
{
	size_t (*read)(wchar_t *, const char *, size_t, mbstate_t *) = CALL(void *, "mbrtowc");
	size_t (*length)(const char *, size_t, mbstate_t *) = CALL(void *, "mbrlen");
	size_t (*write)(char *, wchar_t, mbstate_t *) = CALL(void *, "wcrtomb");
	size_t (*all)(wchar_t *, const char **, size_t, mbstate_t *) = CALL(void *, "mbsrtowcs");
	size_t (*all_back)(char *, const wchar_t **, size_t, mbstate_t *) =
	    CALL(void *, "wcsrtombs");
	size_t (*plain)(wchar_t *, const char *, size_t) = CALL(void *, "mbstowcs");
	int (*most)(void) = CALL(void *, "___mb_cur_max_func");
	unsigned (*page)(void) = CALL(void *, "___lc_codepage_func");
	long long state[4] = {0};
	mbstate_t *st = (void *)state;
	wchar_t w[10] = L"";
	char c[10] = "";
	const char *s = "a\xc3\xa9\xe2\x82\xac";
	const wchar_t *ws = L"a\xe9\x20ac";
	set(LC_ALL, ".UTF-8");
	SAME(most(), 4);
	SAME(page(), 65001);
	SAME(plain(w, s, 10), 3);
	TEXT_IS(narrow(w), s);
	SAME(read(w, s + 1, 5, st), 2);
	SAME(w[0], 0xe9);
	SAME(read(w, "", 1, st), 0);
	SAME(w[0], 0);
	SAME(read(w, s + 3, 1, st), (size_t)-2);
	SAME(read(w, s + 4, 1, st), (size_t)-2);
	SAME(read(w, s + 5, 1, st), 1);
	SAME(w[0], 0x20ac);
	SAME(read(w, "\xff", 1, st), (size_t)-1);
	memset(state, 0, sizeof state);
	SAME(read(w, "\xc3x", 2, st), (size_t)-1);
	memset(state, 0, sizeof state);
	SAME(length(s + 3, 3, st), 3);
	SAME(length(s + 3, 2, st), (size_t)-2);
	memset(state, 0, sizeof state);
	SAME(write(c, 0x20ac, st), 3);
	CHECK(!memcmp(c, s + 3, 3));
	SAME(write(c, 'a', st), 1);
	SAME(write(NULL, 'a', st), 1);
	SAME(all(w, &s, 10, st), 3);
	CHECK(!s);
	TEXT_IS(narrow(w), "a\xc3\xa9\xe2\x82\xac");
	s = "a\xc3\xa9\xe2\x82\xac";
	SAME(all(w, &s, 2, st), 2);
	TEXT_IS(s, "\xe2\x82\xac");
	SAME(all_back(c, &ws, 10, st), 6);
	CHECK(!ws);
	TEXT_IS(c, "a\xc3\xa9\xe2\x82\xac");
	ws = L"a\xe9\x20ac";
	SAME(all_back(c, &ws, 4, st), 3);
	SAME(ws[0], 0x20ac);
	SAME(all_back(NULL, &ws, 0, st), 3);
}

/* What takes names of files and formats of wide text. */
static void files(void)
{
	void *(*open)(const char *, const char *) = CALL(void *, "fopen");
	int (*close)(void *) = CALL(void *, "fclose");
	void *f = open("n\xc3\xa9\xe2\x82\xac", "w");
	CHECK(f != NULL);
	if (f)
		close(f);
	CHECK(GetFileAttributesW(L"n\xe9\x20ac") != INVALID_FILE_ATTRIBUTES);
	CHECK(DeleteFileW(L"n\xe9\x20ac"));
	int (*print)(unsigned long long, char *, size_t, const char *, void *, va_list) =
	    CALL(void *, "__stdio_common_vsprintf");
	char buf[50] = "";
	const wchar_t *text = L"<\xe9\x20ac>";
	SAME(print(2, buf, sizeof buf, "%ls", NULL, (va_list)&text), 7);
	TEXT_IS(buf, "<\xc3\xa9\xe2\x82\xac>");
	set(LC_ALL, "C");
}

int main(void)
{
	ucrt = LoadLibraryA("ucrtbase.dll");
	singles();
	pairs();
	parts();
	classes();
	exceptions();
	locales();
	characters();
	files();
	return end();
}
