/* SPDX-License-Identifier: Apache-2.0 */
/* Floating point. One compiler fuses a multiply and an add where the other cannot, so sums of
 * inexact results are compared coarsely between the host and a guest, and by their bits between
 * guests (bench_exact). */
#include "bench.h"
#include <math.h>
#include <string.h>

enum { SIDE = 160 };

static APART double matmul_cell(const double *row, const double *column)
{
	double s = 0;
	for (unsigned k = 0; k < SIDE; k++)
		s += row[k] * column[k * SIDE];
	return s;
}

/* Small whole numbers: every sum is exact. */
uint64_t bench_matmul(uint64_t n)
{
	static double a[SIDE * SIDE], b[SIDE * SIDE], c[SIDE * SIDE];
	uint64_t seed = 7, sum = 0;
	for (unsigned i = 0; i < SIDE * SIDE; i++) {
		a[i] = (double)(bench_random_next(&seed) % 64);
		b[i] = (double)(bench_random_next(&seed) % 64) - 31;
	}
	bench_begin();
	for (uint64_t round = 0; round < n; round++) {
		for (unsigned i = 0; i < SIDE; i++)
			for (unsigned j = 0; j < SIDE; j++)
				c[i * SIDE + j] = matmul_cell(a + i * SIDE, b + j);
		for (unsigned i = 0; i < SIDE * SIDE; i++)
			a[i] = (double)((int64_t)c[i] & 63);
	}
	bench_end();
	for (unsigned i = 0; i < SIDE * SIDE; i++)
		sum = bench_mix(sum, (uint64_t)(int64_t)c[i]);
	return sum;
}

/* Bodies that swing on soft springs and pull at each other: add, multiply, compare and convert,
 * with a square root and a division for each pair. It never runs away. */
enum { BODIES = 6 };
#define SWING(name, type, root)                                                                    \
	static APART type name(uint64_t n)                                                         \
	{                                                                                          \
		type x[BODIES], y[BODIES], vx[BODIES] = {0}, vy[BODIES] = {0}, total = 0;          \
		int turns = 0;                                                                     \
		for (int i = 0; i < BODIES; i++) {                                                 \
			x[i] = (type)(i * 2 - 5);                                                  \
			y[i] = (type)(3 - i * i % 5);                                              \
		}                                                                                  \
		for (uint64_t step = 0; step < n; step++) {                                        \
			for (int i = 0; i < BODIES; i++) {                                         \
				type fx = x[i] * (type)-0.5, fy = y[i] * (type)-0.25;              \
				for (int j = 0; j < i; j++) {                                      \
					type dx = x[j] - x[i], dy = y[j] - y[i];                   \
					type d2 = dx * dx + dy * dy + (type)2;                     \
					type f = (type)0.125 / (d2 * root(d2));                    \
					fx += dx * f;                                              \
					fy += dy * f;                                              \
					vx[j] -= dx * f * (type)0.0625;                            \
					vy[j] -= dy * f * (type)0.0625;                            \
				}                                                                  \
				vx[i] += fx * (type)0.0625;                                        \
				vy[i] += fy * (type)0.0625;                                        \
				turns += vx[i] < 0 ? -(int)(vy[i] * 4) : (int)(vx[i] * 4);         \
			}                                                                          \
			for (int i = 0; i < BODIES; i++) {                                         \
				x[i] += vx[i] * (type)0.0625;                                      \
				y[i] += vy[i] * (type)0.0625;                                      \
				total = total * (type)0.99 + x[i] * x[i] + y[i] * y[i];            \
			}                                                                          \
		}                                                                                  \
		return total + (type)(turns & 15);                                                 \
	}
SWING(swing_double, double, sqrt)
SWING(swing_single, float, sqrtf)

uint64_t bench_fpscalar(uint64_t n)
{
	uint64_t bits;
	bench_begin();
	double total = swing_double(n);
	bench_end();
	memcpy(&bits, &total, sizeof bits);
	bench_exact(bits);
	return total > 1 && total < 10000;
}

uint64_t bench_fpsingle(uint64_t n)
{
	uint32_t bits;
	bench_begin();
	float total = swing_single(n);
	bench_end();
	memcpy(&bits, &total, sizeof bits);
	bench_exact(bits);
	return total > 1 && total < 10000;
}
