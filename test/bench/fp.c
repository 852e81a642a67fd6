/* SPDX-License-Identifier: Apache-2.0 */
/* fp: nanoseconds for one operation of the fp room, by rounding mode and by whether inexact is
 * already set (after the first inexact result of a program it always is), and the integer code for
 * comparison. Each operation waits for the one before, so this is latency. make bench-fp */
#include "fp/internal.h"
#include <stdio.h>
#include <time.h>

enum { N = 4000000 };
typedef uint64_t (*op_fn)(struct fp_env *env, uint64_t a, uint64_t b, unsigned rm);

static uint64_t add_d(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return fp_add_d(e, a, b, m);
}
static uint64_t mul_d(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return fp_mul_d(e, a, b, m);
}
static uint64_t div_d(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return fp_div_d(e, a, b, m);
}
static uint64_t sqrt_d(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return fp_sqrt_d(e, a, m) + (b & 0);
}
static uint64_t fma_d(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return fp_fma_d(e, a, b, b, m);
}
static uint64_t add_s(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return fp_add_s(e, (uint32_t)a, (uint32_t)b, m);
}
static uint64_t mul_s(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return fp_mul_s(e, (uint32_t)a, (uint32_t)b, m);
}
static uint64_t fma_s(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return fp_fma_s(e, (uint32_t)a, (uint32_t)b, (uint32_t)b, m);
}
static uint64_t to_l(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return fp_cvt_d_l(e, fp_cvt_l_d(e, a, m) | 5, m) + (b & 0);
}
static uint64_t generic_add(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return gen_add(e, &fmt_d, a, b, m);
}
static uint64_t generic_mul(struct fp_env *e, uint64_t a, uint64_t b, unsigned m)
{
	return gen_mul(e, &fmt_d, a, b, m);
}

static const struct row {
	const char *name;
	op_fn op;
	uint64_t a, b; /* the result of one is the a of the next: operands near 1 stay near 1 */
} rows[] = {
	{ "add.d", add_d, 0x3ff0000000000000, 0x3fb999999999999a },
	{ "mul.d", mul_d, 0x3ff0000000000000, 0x3ff0000000000003 },
	{ "div.d", div_d, 0x3ff0000000000000, 0x3ff0000000000003 },
	{ "sqrt.d", sqrt_d, 0x7fd123456789abcd, 0 },
	{ "fmadd.d", fma_d, 0x3ff0000000000000, 0x3fd5555555555555 },
	{ "add.s", add_s, 0x3f800000, 0x3dcccccd },
	{ "mul.s", mul_s, 0x3f800000, 0x3f800001 },
	{ "fmadd.s", fma_s, 0x3f800000, 0x3eaaaaab },
	{ "cvt.l.d + cvt.d.l", to_l, 0x40c81c8000000000, 0 },
	{ "integer code: add.d", generic_add, 0x3ff0000000000000, 0x3fb999999999999a },
	{ "integer code: mul.d", generic_mul, 0x3ff0000000000000, 0x3ff0000000000003 },
};

static double row_ns(const struct row *r, unsigned rm, bool sticky)
{
	struct timespec t0, t1;
	uint64_t v = r->a;
	struct fp_env env = { 0 };
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (unsigned i = 0; i < N; i++) {
		env.flags = sticky;
		v = r->op(&env, v, r->b, rm);
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	__asm__ volatile("" : : "r"(v));
	return ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / N;
}

int main(void)
{
	printf("%-22s %10s %10s %10s %10s\n", "ns per operation", "rne, NX", "rne", "rtz", "rmm");
	for (size_t i = 0; i < countof(rows); i++)
		printf("%-22s %10.1f %10.1f %10.1f %10.1f\n", rows[i].name,
		       row_ns(&rows[i], FP_RNE, true), row_ns(&rows[i], FP_RNE, false),
		       row_ns(&rows[i], FP_RTZ, false), row_ns(&rows[i], FP_RMM, false));
	return 0;
}
