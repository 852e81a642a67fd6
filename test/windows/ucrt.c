/* SPDX-License-Identifier: Apache-2.0 */
/* What ucrtbase.dll has and msvcrt.dll has not, or otherwise: by LoadLibrary, for mingw-w64 links
 * programs with msvcrt. */
#include "test.h"
#include <limits.h>
#include <math.h>

static HMODULE ucrt;
#define CALL(type, name) ((type)(void *)GetProcAddress(ucrt, name))

static void singles(void)
{
	static const struct {
		const char *name;
		float x, want;
	} rows[] = {
	    {"acosf", 1, 0},     {"acoshf", 1, 0},      {"asinf", 0, 0},    {"asinhf", 0, 0},
	    {"atanf", 0, 0},     {"atanhf", 0, 0},      {"coshf", 0, 1},    {"erff", 0, 0},
	    {"erfcf", 0, 1},     {"exp2f", 3, 8},       {"expm1f", 0, 0},   {"lgammaf", 1, 0},
	    {"log10f", 1000, 3}, {"log1pf", 0, 0},      {"log2f", 8, 3},    {"logbf", 9, 3},
	    {"rintf", 2.5f, 2},  {"sinhf", 0, 0},       {"tgammaf", 5, 24}, {"cbrtf", 27, 3},
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
	    {"atan2f", 0, 1, 0},        {"_copysignf", 3, -1, -3}, {"fdimf", 5, 3, 2},
	    {"fmaxf", 1, 2, 2},         {"fminf", 1, 2, 1},        {"_hypotf", 3, 4, 5},
	    {"remainderf", 7, 4, -1},   {"fmodf", 7, 4, 3},        {"powf", 2, 5, 32},
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

int main(void)
{
	ucrt = LoadLibraryA("ucrtbase.dll");
	singles();
	pairs();
	parts();
	classes();
	exceptions();
	return end();
}
