/* SPDX-License-Identifier: Apache-2.0 */
/* Two independent oracles: the host's FPU under fesetround, with its own sticky flags, judges the
 * integer code in four modes; exact arithmetic judges RMM; then the door (host fast paths) is
 * compared with the integer code in all five modes, with and without NX already set.
 * FP_TEST_ROUNDS=n: more operands. */
#include "fp/internal.h"
#include "test/test.h"
#include <fenv.h>
#include <math.h>
#include <stdio.h>

static uint64_t seed = 0x9e3779b97f4a7c15;
static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

static unsigned rounds(unsigned base)
{
	const char *s = getenv("FP_TEST_ROUNDS");
	return s ? (unsigned)strtoul(s, NULL, 10) : base;
}

/* A number of format @f with a taste for edges; @near: often close to this one. */
static uint64_t edge(const struct fmt *f, uint64_t near)
{
	uint64_t one = 1ull << f->frac, e_max = (1ull << f->exp) - 1, e, m;
	uint64_t bias = (uint64_t)f->bias;
	const uint64_t exps[] = { 0, 0, 1, 2, bias - 1, bias, bias + 1, bias + f->frac, e_max - 2,
				  e_max - 1, e_max, bias + 31, bias + 63, bias / 2, bias * 3 / 2 };
	const uint64_t fracs[] = { 0, 1, one - 1, one / 2, one - 2, one / 2 + 1, one / 2 - 1 };
	uint64_t r = rnd();
	if (r % 8 == 0) /* near, perhaps with the other sign */
		return ((near ^ (r >> 9 & 1 ? fmt_sign(f) : 0)) + (r >> 20) % 5 - 2) &
		       (fmt_sign(f) * 2 - 1);
	e = r >> 8 & 1 ? exps[(r >> 16) % countof(exps)] : (r >> 16) & e_max;
	if (r >> 9 & 1) /* exponents that meet */
		e = ((near >> f->frac) + (r >> 16) % (2u * f->frac + 8) - f->frac) & e_max;
	m = r >> 10 & 1 ? fracs[(r >> 40) % countof(fracs)] : rnd() & (one - 1);
	if (r >> 11 & 1) /* few bits: exact results and ties */
		m &= ~0ull << (r >> 50) % f->frac & (one - 1);
	return (r >> 63 ? fmt_sign(f) : 0) | e << f->frac | m;
}

static const int host_mode[4] = { FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD };
#if defined(__x86_64__) || defined(__riscv)
static const uint8_t host_flags = 31;
#else
static const uint8_t host_flags = 31 - FP_UF; /* tiny may be judged before rounding */
#endif

static uint8_t flags_of_host(void)
{
	int e = fetestexcept(FE_ALL_EXCEPT);
	return (uint8_t)((e & FE_INEXACT ? FP_NX : 0) | (e & FE_UNDERFLOW ? FP_UF : 0) |
			 (e & FE_OVERFLOW ? FP_OF : 0) | (e & FE_DIVBYZERO ? FP_DZ : 0) |
			 (e & FE_INVALID ? FP_NV : 0));
}

enum op { ADD, SUB, MUL, DIV, SQRT, FMA, OPS };
static const char *const op_name[] = { "add", "sub", "mul", "div", "sqrt", "fma" };

static __attribute__((noinline)) uint64_t host_d(enum op o, uint64_t a, uint64_t b, uint64_t c)
{
	volatile double x, y, z, r = 0;
	uint64_t bits;
	memcpy((void *)(uintptr_t)&x, &a, 8);
	memcpy((void *)(uintptr_t)&y, &b, 8);
	memcpy((void *)(uintptr_t)&z, &c, 8);
	switch (o) {
	case ADD: r = x + y; break;
	case SUB: r = x - y; break;
	case MUL: r = x * y; break;
	case DIV: r = x / y; break;
	case SQRT: r = sqrt(x); break;
	case FMA: r = fma(x, y, z); break;
	case OPS: break;
	}
	double v = r;
	memcpy(&bits, &v, 8);
	return bits_nan(&fmt_d, bits) ? FP_NAN_D : bits;
}

static __attribute__((noinline)) uint64_t host_s(enum op o, uint64_t a, uint64_t b, uint64_t c)
{
	volatile float x, y, z, r = 0;
	uint32_t bits;
	memcpy((void *)(uintptr_t)&x, &a, 4);
	memcpy((void *)(uintptr_t)&y, &b, 4);
	memcpy((void *)(uintptr_t)&z, &c, 4);
	switch (o) {
	case ADD: r = x + y; break;
	case SUB: r = x - y; break;
	case MUL: r = x * y; break;
	case DIV: r = x / y; break;
	case SQRT: r = sqrtf(x); break;
	case FMA: r = fmaf(x, y, z); break;
	case OPS: break;
	}
	float v = r;
	memcpy(&bits, &v, 4);
	return bits_nan(&fmt_s, bits) ? FP_NAN_S : bits;
}

static uint64_t generic(struct fp_env *env, const struct fmt *f, enum op o, const uint64_t v[3],
			unsigned rm)
{
	switch (o) {
	case ADD: return gen_add(env, f, v[0], v[1], rm);
	case SUB: return gen_sub(env, f, v[0], v[1], rm);
	case MUL: return gen_mul(env, f, v[0], v[1], rm);
	case DIV: return gen_div(env, f, v[0], v[1], rm);
	case SQRT: return gen_sqrt(env, f, v[0], rm);
	case FMA: return gen_fma(env, f, v[0], v[1], v[2], rm);
	case OPS: break;
	}
	return 0;
}

static uint64_t door(struct fp_env *env, const struct fmt *f, enum op o, const uint64_t v[3],
		     unsigned rm)
{
	uint32_t a = (uint32_t)v[0], b = (uint32_t)v[1], c = (uint32_t)v[2];
	bool d = f->frac == 52;
	switch (o) {
	case ADD: return d ? fp_add_d(env, v[0], v[1], rm) : fp_add_s(env, a, b, rm);
	case SUB: return d ? fp_sub_d(env, v[0], v[1], rm) : fp_sub_s(env, a, b, rm);
	case MUL: return d ? fp_mul_d(env, v[0], v[1], rm) : fp_mul_s(env, a, b, rm);
	case DIV: return d ? fp_div_d(env, v[0], v[1], rm) : fp_div_s(env, a, b, rm);
	case SQRT: return d ? fp_sqrt_d(env, v[0], rm) : fp_sqrt_s(env, a, rm);
	case FMA: return d ? fp_fma_d(env, v[0], v[1], v[2], rm) : fp_fma_s(env, a, b, c, rm);
	case OPS: break;
	}
	return 0;
}

static void operands(const struct fmt *f, enum op o, uint64_t v[3])
{
	struct fp_env unused = { 0 };
	v[0] = edge(f, fmt_inf(f) / 2);
	v[1] = edge(f, v[0]);
	/* an addend that nearly cancels the product is what goes wrong */
	uint64_t p = o == FMA ? gen_mul(&unused, f, v[0], v[1], FP_RNE) ^ fmt_sign(f) : v[0];
	v[2] = edge(f, p);
}

static bool agree(const struct fmt *f, enum op o, const uint64_t v[3], unsigned rm, uint64_t got,
		  uint8_t flags, uint64_t want, uint8_t want_flags)
{
	if (got == want && flags == want_flags)
		return true;
	printf("%s.%c rm %u %llx %llx %llx: got %llx flags %x, want %llx flags %x\n", op_name[o],
	       f->frac == 52 ? 'd' : 's', rm, (unsigned long long)v[0], (unsigned long long)v[1],
	       (unsigned long long)v[2], (unsigned long long)got, flags, (unsigned long long)want,
	       want_flags);
	return false;
}

static bool host_agrees(const struct fmt *f, enum op o, const uint64_t v[3], unsigned rm)
{
	struct fp_env env = { 0 };
	uint64_t got = generic(&env, f, o, v, rm);
	fesetround(host_mode[rm]);
	feclearexcept(FE_ALL_EXCEPT);
	uint64_t want = f->frac == 52 ? host_d(o, v[0], v[1], v[2]) : host_s(o, v[0], v[1], v[2]);
	uint8_t flags = flags_of_host();
	fesetround(FE_TONEAREST);
	/* a host may leave inf * 0 + quiet NaN valid; RISC-V does not */
	if (o == FMA && bits_nan(f, v[2]) && (env.flags & FP_NV))
		flags |= FP_NV;
	return agree(f, o, v, rm, got, env.flags & host_flags, want, flags & host_flags);
}

static void test_against_host(const struct fmt *f)
{
	for (unsigned i = rounds(40000); i--;)
		for (enum op o = ADD; o < OPS; o++) {
			uint64_t v[3];
			operands(f, o, v);
			for (unsigned rm = FP_RNE; rm <= FP_RUP; rm++)
				CHECK(host_agrees(f, o, v, rm));
		}
}
TEST(fp_generic_equals_host_fpu_in_four_modes_d) { test_against_host(&fmt_d); }
TEST(fp_generic_equals_host_fpu_in_four_modes_s) { test_against_host(&fmt_s); }

static void test_door(const struct fmt *f)
{
	for (unsigned i = rounds(40000); i--;)
		for (enum op o = ADD; o < OPS; o++) {
			uint64_t v[3];
			operands(f, o, v);
			for (unsigned rm = FP_RNE; rm <= FP_RMM; rm++)
				for (uint8_t old = 0; old <= FP_NX; old++) {
					struct fp_env g = { old }, h = { old };
					uint64_t want = generic(&g, f, o, v, rm);
					uint64_t got = door(&h, f, o, v, rm);
					CHECK(agree(f, o, v, rm, got, h.flags, want, g.flags));
				}
		}
}
TEST(fp_fast_paths_equal_generic_d) { test_door(&fmt_d); }
TEST(fp_fast_paths_equal_generic_s) { test_door(&fmt_s); }

/* @v is exact. Nearest of the two neighbours in binary16, ties to the larger magnitude. */
static uint16_t rmm_h(double v)
{
	double m = fabs(v), best = 0;
	uint16_t r = 0;
	struct fp_env unused = { 0 };
	for (uint16_t lo = 0, hi = 0x7c00; lo <= hi;) { /* largest value <= m */
		uint16_t mid = (uint16_t)((lo + hi) / 2);
		uint64_t bits = fp_cvt_d_h(&unused, mid, FP_RNE);
		double d;
		memcpy(&d, &bits, 8);
		if (mid == 0x7c00)
			d = 65536; /* where infinity would stand */
		if (d <= m) {
			r = mid;
			best = d;
			lo = (uint16_t)(mid + 1);
		} else {
			hi = (uint16_t)(mid - 1);
		}
	}
	if (r < 0x7c00) {
		uint64_t bits = fp_cvt_d_h(&unused, (uint16_t)(r + 1), FP_RNE);
		double up;
		memcpy(&up, &bits, 8);
		if (r == 0x7bff)
			up = 65536;
		if (up - m <= m - best)
			r++;
	}
	return (uint16_t)(r | (signbit(v) ? 0x8000 : 0));
}

static double h_value(uint64_t h)
{
	struct fp_env unused = { 0 };
	uint64_t bits = fp_cvt_d_h(&unused, (uint16_t)h, FP_RNE);
	double d;
	memcpy(&d, &bits, 8);
	return d;
}

TEST(fp_sums_are_additions_one_after_the_other)
{
	for (unsigned i = rounds(20000); i--;) {
		uint64_t d[12], v[3];
		uint32_t s[12];
		for (unsigned k = 0; k < 12; k += 3) {
			operands(&fmt_d, ADD, v);
			memcpy(d + k, v, sizeof v);
			operands(&fmt_s, ADD, v);
			for (unsigned n = 0; n < 3; n++)
				s[k + n] = (uint32_t)v[n];
		}
		unsigned rm = i % 5, n = i % 12;
		struct fp_env g = { i & 1 }, h = { i & 1 };
		uint64_t want = d[11];
		for (unsigned k = 0; k < n; k++)
			want = fp_add_d(&g, want, d[k], rm);
		CHECK(fp_sum_d(&h, d[11], d, n, rm) == want && g.flags == h.flags);
		uint32_t want_s = s[11];
		for (unsigned k = 0; k < n; k++)
			want_s = fp_add_s(&g, want_s, s[k], rm);
		CHECK(fp_sum_s(&h, s[11], s, n, rm) == want_s && g.flags == h.flags);
	}
}

TEST(fp_half_values_are_the_textbook_ones)
{
	for (uint32_t h = 0; h < 0x7c00; h++) {
		int e = (int)(h >> 10), m = (int)(h & 0x3ff);
		CHECK(h_value(h) == (e ? ldexp(1024 + m, e - 25) : ldexp(m, -24)));
	}
}

/* Sums and products of halves are exact in double; so RMM can be judged by distance. */
TEST(fp_rmm_rounds_ties_away_in_half)
{
	for (unsigned i = rounds(100000); i--;) {
		uint16_t a = (uint16_t)edge(&fmt_h, 0x3c00), b = (uint16_t)edge(&fmt_h, a);
		struct fp_env s = { 0 }, p = { 0 }, c = { 0 };
		if ((a & 0x7c00) == 0x7c00 || (b & 0x7c00) == 0x7c00)
			continue;
		double sum = h_value(a) + h_value(b), product = h_value(a) * h_value(b);
		uint16_t r = fp_add_h(&s, a, b, FP_RMM);
		CHECK(r == rmm_h(sum));
		CHECK(!(s.flags & FP_NX) == (h_value(r) == sum));
		r = fp_mul_h(&p, a, b, FP_RMM);
		CHECK(r == rmm_h(product));
		CHECK(!(p.flags & FP_NX) == (h_value(r) == product));
		uint64_t bits;
		memcpy(&bits, &product, 8);
		CHECK(fp_cvt_h_d(&c, bits, FP_RMM) == r && c.flags == p.flags);
	}
}

/* Wider formats: A * B + C in 128-bit integers, scaled so that nothing is lost. */
TEST(fp_rmm_rounds_ties_away_in_double)
{
	for (unsigned i = rounds(200000); i--;) {
		uint64_t a = rnd() >> (11 + rnd() % 50), b = rnd() >> (11 + rnd() % 50);
		uint64_t c = rnd() >> (11 + rnd() % 50);
		struct fp_env env = { 0 };
		u128 exact = (u128)a * b + c;
		uint64_t r = fp_fma_d(&env, fp_cvt_d_lu(&env, a, 0), fp_cvt_d_lu(&env, b, 0),
				      fp_cvt_d_lu(&env, c, 0), FP_RMM);
		unsigned drop = 0;
		while (exact >> drop >> 53)
			drop++;
		u128 m = drop ? (exact >> (drop - 1)) + 1 : exact << 1; /* half added */
		double want = ldexp((double)(uint64_t)(m >> 1), (int)drop);
		uint64_t bits;
		memcpy(&bits, &want, 8);
		CHECK(r == bits);
		CHECK(env.flags == (exact == (m >> 1) << drop ? 0 : FP_NX));
	}
}

/* ---- conversions ---- */

static bool to_int_agrees(uint64_t a, uint32_t s, unsigned rm, uint8_t old)
{
	struct fp_env g = { old }, h = { old };
	bool ok = fp_cvt_w_d(&h, a, rm) == (uint32_t)gen_to_int(&g, &fmt_d, a, rm, 32, true);
	ok &= fp_cvt_wu_d(&h, a, rm) == (uint32_t)gen_to_int(&g, &fmt_d, a, rm, 32, false);
	ok &= h.flags == g.flags;
	h.flags = g.flags = old;
	ok &= fp_cvt_l_d(&h, a, rm) == gen_to_int(&g, &fmt_d, a, rm, 64, true);
	ok &= fp_cvt_lu_d(&h, a, rm) == gen_to_int(&g, &fmt_d, a, rm, 64, false);
	ok &= h.flags == g.flags;
	h.flags = g.flags = old;
	ok &= fp_cvt_w_s(&h, s, rm) == (uint32_t)gen_to_int(&g, &fmt_s, s, rm, 32, true);
	ok &= fp_cvt_wu_s(&h, s, rm) == (uint32_t)gen_to_int(&g, &fmt_s, s, rm, 32, false);
	ok &= h.flags == g.flags;
	h.flags = g.flags = old;
	ok &= fp_cvt_l_s(&h, s, rm) == gen_to_int(&g, &fmt_s, s, rm, 64, true);
	ok &= fp_cvt_lu_s(&h, s, rm) == gen_to_int(&g, &fmt_s, s, rm, 64, false);
	return ok && h.flags == g.flags;
}

static bool narrow_agrees(uint64_t a, uint32_t s, unsigned rm, uint8_t old)
{
	struct fp_env g = { old }, h = { old };
	bool ok = fp_cvt_s_d(&h, a, rm) == gen_cvt(&g, &fmt_s, &fmt_d, a, rm);
	ok &= fp_cvt_d_s(&h, s, rm) == gen_cvt(&g, &fmt_d, &fmt_s, s, rm) && h.flags == g.flags;
	h.flags = g.flags = old;
	ok &= fp_round_d(&h, a, rm) == gen_round(&g, &fmt_d, a, rm, false) && h.flags == g.flags;
	ok &= fp_roundnx_d(&h, a, rm) == gen_round(&g, &fmt_d, a, rm, true) && h.flags == g.flags;
	h.flags = g.flags = old;
	ok &= fp_round_s(&h, s, rm) == gen_round(&g, &fmt_s, s, rm, false) && h.flags == g.flags;
	ok &= fp_roundnx_s(&h, s, rm) == gen_round(&g, &fmt_s, s, rm, true);
	return ok && h.flags == g.flags;
}

static bool from_int_agrees(uint64_t i, unsigned rm, uint8_t old)
{
	struct fp_env g = { old }, h = { old };
	uint64_t mag = i >> 63 ? -i : i;
	int64_t w = (int32_t)i;
	uint64_t w_mag = (uint64_t)(w < 0 ? -w : w);
	bool ok = fp_cvt_d_l(&h, i, rm) == gen_from_int(&g, &fmt_d, mag, i >> 63, rm);
	ok &= fp_cvt_d_lu(&h, i, rm) == gen_from_int(&g, &fmt_d, i, 0, rm) && h.flags == g.flags;
	ok &= fp_cvt_s_l(&h, i, rm) == gen_from_int(&g, &fmt_s, mag, i >> 63, rm);
	ok &= fp_cvt_s_lu(&h, i, rm) == gen_from_int(&g, &fmt_s, i, 0, rm) && h.flags == g.flags;
	h.flags = g.flags = old;
	ok &= fp_cvt_d_w(&h, (uint32_t)i, rm) == gen_from_int(&g, &fmt_d, w_mag, w < 0, rm);
	ok &= fp_cvt_s_w(&h, (uint32_t)i, rm) == gen_from_int(&g, &fmt_s, w_mag, w < 0, rm);
	ok &= fp_cvt_d_wu(&h, (uint32_t)i, rm) == gen_from_int(&g, &fmt_d, (uint32_t)i, 0, rm);
	ok &= fp_cvt_s_wu(&h, (uint32_t)i, rm) == gen_from_int(&g, &fmt_s, (uint32_t)i, 0, rm);
	return ok && h.flags == g.flags;
}

TEST(fp_conversions_equal_generic)
{
	for (unsigned i = rounds(60000); i--;) {
		uint64_t a = edge(&fmt_d, 0x41f0000000000000), n = rnd() >> rnd() % 64;
		uint32_t s = (uint32_t)edge(&fmt_s, 0x4f000000);
		n = rnd() & 1 ? n : ~n;
		for (uint8_t k = 0; k < 10; k++) {
			CHECK(to_int_agrees(a, s, k % 5, k >= 5));
			CHECK(narrow_agrees(a, s, k % 5, k >= 5));
			CHECK(from_int_agrees(n, k % 5, k >= 5));
		}
	}
}

/* The generic conversion against the host, in the host's modes. */
TEST(fp_generic_conversions_equal_host)
{
	for (unsigned i = rounds(60000); i--;) {
		uint64_t a = edge(&fmt_d, 0x43e0000000000000), bits, n = rnd() >> rnd() % 64;
		double x;
		memcpy(&x, &a, 8);
		for (unsigned rm = FP_RNE; rm <= FP_RUP; rm++) {
			struct fp_env e = { 0 };
			fesetround(host_mode[rm]);
			volatile int64_t integer = (int64_t)n;
			volatile double in = x, whole = rint(in), from = (double)integer;
			volatile float narrow = (float)in;
			fesetround(FE_TONEAREST);
			double w = whole, f = from;
			float s = narrow;
			uint32_t s_bits;
			memcpy(&s_bits, &s, 4);
			if (isnan(x))
				continue;
			memcpy(&bits, &w, 8);
			CHECK(gen_round(&e, &fmt_d, a, rm, true) == bits);
			CHECK(e.flags == (w == x ? 0 : FP_NX));
			CHECK(gen_cvt(&e, &fmt_s, &fmt_d, a, rm) == s_bits);
			memcpy(&bits, &f, 8);
			CHECK(gen_from_int(&e, &fmt_d, n >> 63 ? -n : n, n >> 63, rm) == bits);
			if (fabs(w) < 0x1p62)
				CHECK(gen_to_int(&e, &fmt_d, a, rm, 64, true) ==
				      (uint64_t)(int64_t)w);
		}
	}
}

TEST(fp_to_integer_saturates_as_riscv_says)
{
	static const struct { uint64_t in; uint32_t w, wu; uint64_t l, lu; } rows[] = {
		{ FP_NAN_D, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX },
		{ FP_NAN_D | 1ull << 63, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX },
		{ 0x7ff0000000000000, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX },
		{ 0xfff0000000000000, 0x80000000, 0, 1ull << 63, 0 },
		{ 0x7fefffffffffffff, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX },
	};
	for (size_t i = 0; i < countof(rows); i++) {
		struct fp_env e = { 0 };
		CHECK(fp_cvt_w_d(&e, rows[i].in, FP_RTZ) == rows[i].w && e.flags == FP_NV);
		CHECK(fp_cvt_wu_d(&e, rows[i].in, FP_RTZ) == rows[i].wu);
		CHECK(fp_cvt_l_d(&e, rows[i].in, FP_RTZ) == rows[i].l);
		CHECK(fp_cvt_lu_d(&e, rows[i].in, FP_RTZ) == rows[i].lu && e.flags == FP_NV);
	}
	struct fp_env e = { 0 };
	CHECK(fp_cvt_wu_d(&e, 0xbfe0000000000000, FP_RTZ) == 0 && e.flags == FP_NX); /* -0.5 */
	CHECK(fp_cvt_wu_d(&e, 0xbff0000000000000, FP_RTZ) == 0 && e.flags == (FP_NX | FP_NV));
}

TEST(fp_cvtmod_wraps_like_javascript)
{
	struct fp_env e = { 0 };
	CHECK(fp_cvtmod_w_d(&e, 0x41f0000000100000) == 1 && e.flags == FP_NV); /* 2^32 + 1 */
	e.flags = 0;
	CHECK(fp_cvtmod_w_d(&e, 0xc004000000000000) == (uint32_t)-2 && e.flags == FP_NX); /* -2.5 */
	e.flags = 0;
	CHECK(fp_cvtmod_w_d(&e, FP_NAN_D) == 0 && e.flags == FP_NV);
	/* 2^62 + 2^10 and its negative, 2^83 + 2^31, 2^84 + 2^32 */
	CHECK(fp_cvtmod_w_d(&e, 0x43d0000000000001) == 1024);
	CHECK(fp_cvtmod_w_d(&e, 0xc3d0000000000001) == (uint32_t)-1024);
	CHECK(fp_cvtmod_w_d(&e, 0x4520000000000001) == 0x80000000);
	CHECK(fp_cvtmod_w_d(&e, 0x4530000000000001) == 0);
}

/* ---- comparison, minimum, classes, constants ---- */

TEST(fp_comparisons_equal_host)
{
	for (unsigned i = rounds(100000); i--;) {
		uint64_t a = edge(&fmt_d, 0x3ff0000000000000), b = edge(&fmt_d, a);
		struct fp_env quiet = { 0 }, loud = { 0 };
		double x, y;
		memcpy(&x, &a, 8);
		memcpy(&y, &b, 8);
		bool snan = bits_snan(&fmt_d, a) || bits_snan(&fmt_d, b);
		CHECK(fp_eq_d(&quiet, a, b) == (x == y));
		CHECK((bool)fp_ltq_d(&quiet, a, b) == (bool)isless(x, y));
		CHECK((bool)fp_leq_d(&quiet, a, b) == (bool)islessequal(x, y));
		CHECK(quiet.flags == (snan ? FP_NV : 0));
		CHECK((bool)fp_lt_d(&loud, a, b) == (bool)isless(x, y));
		CHECK((bool)fp_le_d(&loud, a, b) == (bool)islessequal(x, y));
		CHECK(loud.flags == (isunordered(x, y) ? FP_NV : 0));
	}
}

TEST(fp_minimum_prefers_numbers_and_orders_zeros)
{
	const uint32_t snan = 0x7f800001, one = 0x3f800000, zero = 0, minus = 1u << 31;
	struct fp_env e = { 0 };
	CHECK(fp_min_s(&e, zero, minus) == minus && fp_max_s(&e, minus, zero) == zero);
	CHECK(fp_min_s(&e, FP_NAN_S | minus, one) == one && e.flags == 0);
	CHECK(fp_minm_s(&e, FP_NAN_S | minus, one) == FP_NAN_S && e.flags == 0);
	CHECK(fp_max_s(&e, FP_NAN_S | 1, FP_NAN_S | 2) == FP_NAN_S && e.flags == 0);
	CHECK(fp_max_s(&e, one, snan) == one && e.flags == FP_NV);
	e.flags = 0;
	CHECK(fp_maxm_s(&e, one, snan) == FP_NAN_S && e.flags == FP_NV);
	CHECK(fp_max_s(&e, one | minus, one) == one);
	CHECK(fp_min_s(&e, one | minus, one) == (one | minus));
}

TEST(fp_class_has_one_bit_for_each_kind)
{
	static const uint16_t kinds[10] = { 0xfc00, 0xbc00, 0x8001, 0x8000, 0,
					    1,      0x0400, 0x7c00, 0x7c01, 0xfe00 };
	struct fp_env e = { 0 };
	for (unsigned i = 0; i < 10; i++) {
		CHECK(fp_class_h(&e, kinds[i]) == 1u << i);
		struct fp_env wide = { 0 };
		if (i != 2 && i != 5 && i != 8) /* widening normalizes and quiets */
			CHECK(fp_class_d(&wide, fp_cvt_d_h(&wide, kinds[i], 0)) == 1u << i);
	}
	CHECK(fp_class_s(&e, 0x00000001) == 1u << 5 && fp_class_d(&e, 0x800ull << 52) == 1u << 3);
}

TEST(fp_constants_of_fli)
{
	static const double want[32] = {
		-1,    0,     0x1p-16, 0x1p-15, 0x1p-8, 0x1p-7, 0.0625, 0.125, 0.25, 0.3125,
		0.375, 0.4375, 0.5,    0.625,   0.75,   0.875,  1,      1.25,  1.5,  1.75,
		2,     2.5,   3,       4,       8,      16,     128,    256,   32768, 65536,
	};
	for (unsigned i = 0; i < 30; i++) {
		uint64_t bits = fp_fli_d(i);
		struct fp_env e = { 0 };
		double d;
		memcpy(&d, &bits, 8);
		CHECK(i == 1 || d == want[i]);
		CHECK(i == 1 || fp_cvt_d_s(&e, fp_fli_s(i), 0) == bits);
		CHECK(i == 1 || i == 29 || fp_cvt_d_h(&e, fp_fli_h(i), 0) == bits);
	}
	CHECK(fp_fli_d(1) == 1ull << 52 && fp_fli_s(1) == 1u << 23 && fp_fli_h(1) == 1u << 10);
	CHECK(fp_fli_h(29) == 0x7c00 && fp_fli_s(30) == 0x7f800000 && fp_fli_d(31) == FP_NAN_D);
}
