/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that compilers make vectors of: what they leave is summed up, line by line. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { N = 1000, ROUNDS = 60 };
static float fa[N], fb[N], fc[N];
static double da[N], db[N];
static uint8_t pa[N], pb[N], pc[N];
static int16_t sa[N], sb[N];
static int32_t ia[N], ib[N];
static uint64_t la[N], lb[N];

static uint32_t sum(const void *at, size_t n)
{
	const uint8_t *p = at;
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

static void fill(void)
{
	for (int i = 0; i < N; i++) {
		fa[i] = (float)i * 0.37f - 100;
		fb[i] = (float)(N - i) * 1.25f;
		da[i] = i * 0.01 - 3;
		pa[i] = (uint8_t)(i * 7);
		pb[i] = (uint8_t)(i * 13 + 5);
		sa[i] = (int16_t)(i * 331);
		sb[i] = (int16_t)(i * 77 - 30000);
		ia[i] = i * 1234567;
		ib[i] = N - i * 7654321;
		la[i] = (uint64_t)i * 0x9e3779b97f4a7c15u;
	}
}

static void floats(int k)
{
	for (int i = 0; i < N; i++) {
		fc[i] = fc[i] * 0.5f + fa[i] * (float)k - fb[i];
		fa[i] = fc[i] > 50 ? 50 : fc[i] < -50 ? -50 : fc[i];
		db[i] = ((da[i] * 0.25 + 1.5) * da[i] - 0.75) / (da[i] * da[i] + 1);
		da[i] = db[i] + (double)fa[i];
		ia[i] += (int32_t)fa[i] + (int32_t)da[i];
		fb[i] = (float)ib[i] * 1e-6f + (float)pa[i];
	}
}

static void integers(int k)
{
	for (int i = 0; i < N; i++) {
		pc[i] = (uint8_t)((pa[i] * 77 + pb[i] * 179 + k) >> 8);
		pa[i] = pc[i] > pb[i] ? (uint8_t)(pc[i] - pb[i]) : (uint8_t)(pb[i] - pc[i]);
		int32_t v = sa[i] + sb[i];
		sa[i] = (int16_t)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
		sb[i] = (int16_t)((sb[i] >> 3) * 5 ^ k);
		ib[i] = ia[i] < ib[i] ? ia[i] * 3 : ib[i] >> (k & 7);
		lb[i] = la[i] * 0x100000001b3u + (la[i] >> 7);
		la[i] = lb[i] ^ (uint64_t)((int64_t)la[i] >> 11);
	}
}

static int32_t reduced(void)
{
	int32_t s = 0, most = INT32_MIN;
	for (int i = 0; i < N; i++) {
		s += sa[i] * sb[i] + pa[i];
		most = ia[i] > most ? ia[i] : most;
	}
	return s ^ most;
}

int main(void)
{
	fill();
	for (int k = 0; k < ROUNDS; k++) {
		floats(k);
		integers(k);
		if (k % 20 == 19)
			printf("%d: %d %08x %08x %08x %08x %08x %08x %08x\n", k, reduced(),
			       sum(fa, sizeof fa), sum(fb, sizeof fb), sum(da, sizeof da),
			       sum(pa, sizeof pa), sum(sb, sizeof sb), sum(ib, sizeof ib),
			       sum(la, sizeof la));
	}
	return 0;
}
