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
API(double, crt_frexp, double x, int *e) { return frexp(x, e); }
API(double, crt_ldexp, double x, int e) { return ldexp(x, e); }
API(double, crt_modf, double x, double *i) { return modf(x, i); }
API(float, crt_modff, float x, float *i) { return modff(x, i); }
MATH(double, crt_fma, double x, double y, double z) { return libm_fma(x, y, z); }
MATH(int, crt_lrint, double x) { return (int)libm_lrint(x); }
MATH(int64_t, crt_llround, double x) { return libm_llround(x); }
MATH(int64_t, crt_llrint, double x) { return libm_llrint(x); }
MATH(int, crt_lround, double x) { return (int)libm_lround(x); }
API(int, crt__isnan, double x) { return isnan(x); }
API(int, crt__finite, double x) { return isfinite(x); }
API(int, crt__dsign, double x) { return signbit(x) ? 0x8000 : 0; }
API(int, crt__fdsign, float x) { return signbit(x) ? 0x8000 : 0; }
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
MATH(int, crt_feclearexcept, int flags) { return libm_feclearexcept(flags & FE_ALL_EXCEPT); }
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
