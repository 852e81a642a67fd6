/* SPDX-License-Identifier: Apache-2.0 */
/* kernels [NAME]: eight small computations, the same source for the host, for wasm32-wasi under
 * Lodge and under Node. Prints "NAME MILLISECONDS CHECKSUM" for each. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define APART __attribute__((noinline))

static APART uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
static uint64_t k_fib(void) { return fib(32); }

static uint64_t k_sieve(void)
{
	enum { N = 2000000 };
	uint8_t *at = malloc(N);
	uint64_t n = 0;
	for (int round = 0; round < 5; round++) {
		memset(at, 1, N);
		for (uint32_t i = 2; i * i < N; i++)
			for (uint32_t k = i * i; at[i] && k < N; k += i)
				at[k] = 0;
	}
	for (uint32_t i = 2; i < N; i++)
		n += at[i];
	free(at);
	return n;
}

static uint64_t k_hash(void)
{
	enum { SIZE = 1 << 16 };
	uint32_t *keys = calloc(SIZE, 4), *counts = calloc(SIZE, 4), x = 12345;
	uint64_t sum = 0;
	for (int i = 0; i < 6000000; i++) {
		x = x * 1664525 + 1013904223;
		uint32_t key = (x >> 17) + 1, h = key * 2654435761u >> 16;
		while (keys[h] && keys[h] != key)
			h = (h + 1) & (SIZE - 1);
		keys[h] = key;
		counts[h]++;
	}
	for (int i = 0; i < SIZE; i++)
		sum = sum * 31 + counts[i];
	free(keys);
	free(counts);
	return sum;
}

static uint64_t k_mandel(void)
{
	uint64_t in = 0;
	for (int py = 0; py < 256; py++)
		for (int px = 0; px < 256; px++) {
			double cx = px / 128.0 - 1.5, cy = py / 128.0 - 1.0, x = 0, y = 0;
			int i = 0;
			while (i < 200 && x * x + y * y < 4) {
				double t = x * x - y * y + cx;
				y = 2 * x * y + cy;
				x = t;
				i++;
			}
			in += (uint64_t)i;
		}
	return in;
}

static APART double spectral_a(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }
static void spectral_times(const double *v, double *out, int n, int transposed)
{
	for (int i = 0; i < n; i++) {
		out[i] = 0;
		for (int j = 0; j < n; j++)
			out[i] += (transposed ? spectral_a(j, i) : spectral_a(i, j)) * v[j];
	}
}
static uint64_t k_spectral(void)
{
	enum { N = 300 };
	static double u[N], v[N], t[N];
	double vbv = 0, vv = 0;
	for (int i = 0; i < N; i++)
		u[i] = 1;
	for (int i = 0; i < 10; i++) {
		spectral_times(u, t, N, 0);
		spectral_times(t, v, N, 1);
		spectral_times(v, t, N, 0);
		spectral_times(t, u, N, 1);
	}
	for (int i = 0; i < N; i++) {
		vbv += u[i] * v[i];
		vv += v[i] * v[i];
	}
	return (uint64_t)(vbv / vv * 1e9);
}

struct body {
	double x[3], v[3], mass;
};
static uint64_t k_nbody(void)
{
	struct body b[5];
	for (int i = 0; i < 5; i++)
		for (int k = 0; k < 3; k++) {
			b[i].x[k] = i * 1.7 + k * 0.9 - i * k * 0.3;
			b[i].v[k] = 0.01 * (i - 2) * (k + 1);
			b[i].mass = 1.0 / (1 + i);
		}
	double distance = 0;
	for (int step = 0; step < 300000; step++) {
		for (int i = 0; i < 5; i++)
			for (int j = i + 1; j < 5; j++) {
				double d[3], d2 = 0.01;
				for (int k = 0; k < 3; k++) {
					d[k] = b[i].x[k] - b[j].x[k];
					d2 += d[k] * d[k];
				}
				double mag = 0.0005 / (d2 * __builtin_sqrt(d2));
				for (int k = 0; k < 3; k++) {
					b[i].v[k] -= d[k] * b[j].mass * mag;
					b[j].v[k] += d[k] * b[i].mass * mag;
				}
			}
		for (int i = 0; i < 5; i++)
			for (int k = 0; k < 3; k++)
				b[i].x[k] += 0.0005 * b[i].v[k];
	}
	for (int k = 0; k < 3; k++)
		distance += b[0].x[k] * b[0].x[k];
	return (uint64_t)(distance * 100); /* compilers may round otherwise */
}

static uint64_t k_fannkuch(void)
{
	enum { N = 9 };
	int p[N], q[N], c[N], max = 0, sum = 0, count = 0, r = N;
	for (int i = 0; i < N; i++)
		p[i] = i;
	for (;;) {
		for (; r != 1; r--)
			c[r - 1] = r;
		int flips = 0;
		memcpy(q, p, sizeof q);
		for (int first = q[0]; first; first = q[0], flips++)
			for (int lo = 0, hi = first; lo < hi; lo++, hi--) {
				int t = q[lo];
				q[lo] = q[hi];
				q[hi] = t;
			}
		max = flips > max ? flips : max;
		sum += count++ & 1 ? -flips : flips;
		for (;; r++) {
			if (r == N)
				return (uint64_t)(sum * 100 + max);
			int first = p[0];
			for (int i = 0; i < r; i++)
				p[i] = p[i + 1];
			p[r] = first;
			if (--c[r] > 0)
				break;
		}
	}
}

struct tree {
	struct tree *left, *right;
};
static struct tree *tree_new(int depth)
{
	struct tree *t = malloc(sizeof *t);
	t->left = depth ? tree_new(depth - 1) : NULL;
	t->right = depth ? tree_new(depth - 1) : NULL;
	return t;
}
static uint64_t tree_count(struct tree *t)
{
	uint64_t n = t->left ? 1 + tree_count(t->left) + tree_count(t->right) : 1;
	free(t);
	return n;
}
static uint64_t k_trees(void)
{
	uint64_t n = 0;
	for (int i = 0; i < 40; i++)
		n += tree_count(tree_new(14));
	return n;
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint64_t (*fn)(void);
	} all[] = {{"fib", k_fib},	     {"sieve", k_sieve}, {"hash", k_hash},
		   {"mandel", k_mandel},     {"spectral", k_spectral}, {"nbody", k_nbody},
		   {"fannkuch", k_fannkuch}, {"trees", k_trees}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (argc > 1 && strcmp(argv[1], all[i].name) != 0)
			continue;
		uint64_t from = now_us(), sum = all[i].fn(), us = now_us() - from;
		printf("%s %.2f %llu\n", all[i].name, (double)us / 1000, (unsigned long long)sum);
	}
	return 0;
}
