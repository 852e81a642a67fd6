/* SPDX-License-Identifier: Apache-2.0 */
/* Mathematics of the C runtime. */
#include "win/crt.h"
#include <fenv.h>
#include <math.h>

/* libm.c has them by these names. Who needs it is in a section, by which symbols are told. */
#define MATH(ret, name, ...) __attribute__((section("win_math"))) API(ret, name, __VA_ARGS__)
#define M1(type, name)                                                                             \
	type libm_##name(type x);                                                                  \
	MATH(type, crt_##name, type x) { return libm_##name(x); }
#define M2(type, name)                                                                             \
	type libm_##name(type x, type y);                                                          \
	MATH(type, crt_##name, type x, type y) { return libm_##name(x, y); }
#include "win/crt_math.def"
#undef HOST_CALL
#define HOST_CALL(name) extern __typeof__(name) libm_##name;
#include "win/libm.def"

MATH(double, crt__hypot, double x, double y) { return libm_hypot(x, y); }
MATH(double, crt__nextafter, double x, double y) { return libm_nextafter(x, y); }
MATH(double, crt__copysign, double x, double y) { return libm_copysign(x, y); }
MATH(float, crt__hypotf, float x, float y) { return libm_hypotf(x, y); }
MATH(float, crt__copysignf, float x, float y) { return libm_copysignf(x, y); }
MATH(float, crt__nextafterf, float x, float y) { return libm_nextafterf(x, y); }
MATH(double, crt__logb, double x) { return libm_logb(x); }
MATH(float, crt__logbf, float x) { return libm_logbf(x); }
API(double, crt__chgsign, double x) { return -x; }
API(double, crt__scalb, double x, int e) { return ldexp(x, e); }
API(double, crt_frexp, double x, int *e) { return frexp(x, e); }
API(double, crt_ldexp, double x, int e) { return ldexp(x, e); }
API(float, crt_ldexpf, float x, int e) { return ldexpf(x, e); }
API(float, crt_frexpf, float x, int *e) { return frexpf(x, e); }
API(double, crt_modf, double x, double *i) { return modf(x, i); }
API(float, crt_modff, float x, float *i) { return modff(x, i); }
MATH(double, crt_fma, double x, double y, double z) { return libm_fma(x, y, z); }
MATH(float, crt_fmaf, float x, float y, float z) { return libm_fmaf(x, y, z); }
MATH(int, crt_lrintf, float x) { return (int)libm_lrintf(x); }
MATH(int64_t, crt_llroundf, float x) { return libm_llroundf(x); }
MATH(int64_t, crt_llrintf, float x) { return libm_llrintf(x); }
MATH(int, crt_lroundf, float x) { return (int)libm_lroundf(x); }
MATH(double, crt_remquo, double x, double y, int *q) { return libm_remquo(x, y, q); }
MATH(float, crt_remquof, float x, float y, int *q) { return libm_remquof(x, y, q); }
/* Of 0, infinity and no number, as Windows has them. */
static int exponent_of(int class, double x, int e)
{
	return class == FP_ZERO ? INT32_MIN : isfinite(x) ? e : INT32_MAX;
}
MATH(int, crt_ilogb, double x) { return exponent_of(fpclassify(x), x, libm_ilogb(x)); }
MATH(int, crt_ilogbf, float x) { return exponent_of(fpclassify(x), (double)x, libm_ilogbf(x)); }
API(double, crt_nan, const char *s)
{
	(void)s;
	return (double)NAN;
}
API(float, crt_nanf, const char *s)
{
	(void)s;
	return NAN;
}
MATH(int, crt_lrint, double x) { return (int)libm_lrint(x); }
MATH(int64_t, crt_llround, double x) { return libm_llround(x); }
MATH(int64_t, crt_llrint, double x) { return libm_llrint(x); }
MATH(int, crt_lround, double x) { return (int)libm_lround(x); }
API(int, crt__isnan, double x) { return isnan(x); }
API(int, crt__finite, double x) { return isfinite(x); }
API(int, crt__dsign, double x) { return signbit(x) ? 0x8000 : 0; }
API(int, crt__fdsign, float x) { return signbit(x) ? 0x8000 : 0; }
API(int, crt__isnanf, float x) { return isnan(x); }
API(int, crt__finitef, float x) { return isfinite(x); }

/* What fpclassify and its like of ucrt call: FP_... as it counts them. */
static int class_of(int class)
{
	switch (class) {
	case FP_NAN: return 2;
	case FP_INFINITE: return 1;
	case FP_ZERO: return 0;
	case FP_SUBNORMAL: return -2;
	default: return -1;
	}
}
API(int, crt__dclass, double x) { return class_of(fpclassify(x)); }
API(int, crt__fdclass, float x) { return class_of(fpclassify(x)); }
API(int, crt__dtest, const double *x) { return class_of(fpclassify(*x)); }
API(int, crt__fdtest, const float *x) { return class_of(fpclassify(*x)); }
API(int, crt__fpclass, double x)
{
	bool n = signbit(x);
	switch (fpclassify(x)) {
	case FP_NAN: return 2;
	case FP_INFINITE: return n ? 4 : 0x200;
	case FP_ZERO: return n ? 0x20 : 0x40;
	case FP_SUBNORMAL: return n ? 0x10 : 0x80;
	default: return n ? 8 : 0x100;
	}
}
/* Flags and directions of C are numbered otherwise in ucrt, where FE_INEXACT is 1. */
static const struct {
	int guest, host;
} fe_flags[] = {
    {1, FE_INEXACT}, {2, FE_UNDERFLOW}, {4, FE_OVERFLOW}, {8, FE_DIVBYZERO}, {16, FE_INVALID}};
static int fe_host(int flags)
{
	int r = 0;
	for (size_t i = 0; i < countof(fe_flags); i++)
		r |= flags & fe_flags[i].guest ? fe_flags[i].host : 0;
	return r;
}
MATH(int, crt_fetestexcept, int flags)
{
	int r = 0, host = libm_fetestexcept(fe_host(flags));
	for (size_t i = 0; i < countof(fe_flags); i++)
		r |= host & fe_flags[i].host ? fe_flags[i].guest : 0;
	return r;
}
MATH(int, crt_feraiseexcept, int flags) { return libm_feraiseexcept(fe_host(flags)); }
MATH(int, crt_feclearexcept, int flags) { return libm_feclearexcept(fe_host(flags)); }
API(void, crt__fpreset, void)
{
	uint32_t mxcsr = 0x1f80;
	uint16_t control = 0x27f;
	__asm__ volatile("ldmxcsr %0\n\tfninit\n\tfldcw %1" : : "m"(mxcsr), "m"(control));
}
MATH(unsigned, crt__clearfp, void)
{
	libm_feclearexcept(FE_ALL_EXCEPT);
	return 0;
}
/* Masks stay as they are; what is asked for is said back. */
API(unsigned, crt__controlfp, unsigned v, unsigned mask) { return 0x9001f | (v & mask); }
API(int, crt__controlfp_s, unsigned *ret, unsigned v, unsigned mask)
{
	if (ret)
		*ret = crt__controlfp(v, mask);
	return 0;
}
API(unsigned, crt__statusfp, void) { return 0; }
