/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: copies, streams, strides, random words, pointer chases. */
#include "bench.h"
#include <string.h>

#define MIB ((size_t)1 << 20)

static uint64_t sum_of(const uint8_t *p, size_t size)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < size; i += 509)
		sum = bench_mix(sum, p[i]);
	return sum;
}

/* Every page is there, and its bytes are known. */
static uint8_t *filled(size_t size)
{
	uint8_t *p = bench_memory(size);
	uint64_t seed = 11;
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t x = bench_random_next(&seed);
		memcpy(p + i, &x, 8);
	}
	return p;
}

uint64_t bench_memcpy8m(uint64_t n)
{
	uint8_t *from = filled(8 * MIB), *to = filled(8 * MIB);
	bench_begin();
	while (n--) {
		from[n & 4095]++;
		memcpy(to, from, 8 * MIB);
		BARRIER();
	}
	bench_end();
	return sum_of(to, 8 * MIB);
}

uint64_t bench_memcpy4k(uint64_t n)
{
	uint8_t *from = filled(65536), *to = filled(65536);
	uint64_t seed = 13;
	bench_begin();
	while (n--) {
		uint64_t r = bench_random_next(&seed);
		/* as many of 8 bytes as of 4096 */
		size_t len = 1 + (r & 4095) % ((size_t)1 << (r >> 12 & 15) % 13);
		memcpy(to + (r >> 20 & 0xe1ff), from + (r >> 40 & 0xe1ff), len);
		BARRIER();
	}
	bench_end();
	return sum_of(to, 65536);
}

uint64_t bench_copyloop(uint64_t n)
{
	enum { COUNT = 2048 };
	uint64_t *from = (void *)filled(COUNT * 8), *to = (void *)filled(COUNT * 8);
	bench_begin();
	while (n--) {
		from[n % COUNT] += n;
		for (unsigned i = 0; i < COUNT; i++) {
			to[i] = from[i];
			BARRIER(); /* or it would become memcpy */
		}
	}
	bench_end();
	return sum_of((uint8_t *)to, COUNT * 8);
}

static APART void triad(uint64_t *a, const uint64_t *b, const uint64_t *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] = b[i] + 3 * c[i];
}

uint64_t bench_streams(uint64_t n)
{
	uint64_t *a = (void *)filled(2 * MIB), *b = (void *)filled(2 * MIB);
	uint64_t *c = (void *)filled(2 * MIB);
	bench_begin();
	while (n--) {
		triad(a, b, c, 2 * MIB / 8);
		uint64_t *t = a;
		a = b;
		b = c;
		c = t;
	}
	bench_end();
	return sum_of((uint8_t *)b, 2 * MIB);
}

static APART uint64_t stride(const uint8_t *p, size_t size, size_t step)
{
	uint64_t sum = 0;
	for (size_t i = 0; i + 8 <= size; i += step)
		sum += *(const uint64_t *)(const void *)(p + i);
	return sum;
}

uint64_t bench_stride64(uint64_t n)
{
	const uint8_t *p = filled(16 * MIB);
	uint64_t sum = 0;
	bench_begin();
	while (n--)
		sum = bench_mix(sum, stride(p, 16 * MIB, 64));
	return sum;
}

uint64_t bench_stride4160(uint64_t n)
{
	const uint8_t *p = filled(64 * MIB);
	uint64_t sum = 0;
	bench_begin();
	while (n--)
		sum = bench_mix(sum, stride(p, 64 * MIB, 4160));
	return sum;
}

uint64_t bench_random(uint64_t n)
{
	uint64_t *p = (void *)filled(32 * MIB), seed = 17, sum = 0;
	bench_begin();
	while (n--) {
		uint64_t r = bench_random_next(&seed);
		uint64_t *at = &p[r % (32 * MIB / 8)];
		*at ^= r;
		sum += *at >> 32;
	}
	return sum;
}

/* One ring through all lines of 64 bytes, in random order (Sattolo's shuffle). */
static APART uint64_t chase(size_t size, uint64_t n)
{
	struct line {
		struct line *next;
		uint64_t number, pad[6];
	};
	size_t count = size / sizeof(struct line);
	struct line *line = aligned_alloc(4096, size);
	uint32_t *order = bench_memory(count * sizeof *order);
	uint64_t seed = 19;
	if (!line)
		bench_die("memory");
	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	for (size_t i = count - 1; i > 0; i--) {
		size_t j = bench_random_next(&seed) % i;
		uint32_t t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
	for (size_t i = 0; i < count; i++) {
		line[order[i]].next = &line[order[(i + 1) % count]];
		line[order[i]].number = order[i];
	}
	const struct line *p = line;
	bench_begin();
	while (n--)
		p = p->next;
	bench_end();
	return p->number;
}

uint64_t bench_chase_l1(uint64_t n) { return chase(16384, n); }

uint64_t bench_chase_1m(uint64_t n) { return chase(MIB, n); }

uint64_t bench_chase_32m(uint64_t n) { return chase(32 * MIB, n); }
