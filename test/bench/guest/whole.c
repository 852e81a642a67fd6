/* SPDX-License-Identifier: Apache-2.0 */
/* Whole numbers and control flow. */
#include "bench.h"
#include <string.h>

/* ---- SHA-256: FIPS 180-4 ---- */

static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static APART void sha_block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64];
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], x = h[7];
	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (unsigned i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
	for (unsigned i = 0; i < 64; i++) {
		uint32_t one = x + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) +
			       sha_k[i] + w[i];
		uint32_t two =
		    (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
		x = g, g = f, f = e, e = d + one;
		d = c, c = b, b = a, a = one + two;
	}
	h[0] += a, h[1] += b, h[2] += c, h[3] += d;
	h[4] += e, h[5] += f, h[6] += g, h[7] += x;
}

uint64_t bench_sha256(uint64_t n)
{
	static uint8_t data[65536];
	uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	for (unsigned i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	bench_begin();
	while (n--)
		for (unsigned i = 0; i < sizeof data; i += 64)
			sha_block(h, data + i);
	return (uint64_t)h[0] << 32 | h[7];
}

/* ---- primes ---- */

static APART unsigned sieve(uint8_t *composite, unsigned limit)
{
	unsigned count = 0;
	memset(composite, 0, limit);
	for (unsigned i = 2; i < limit; i++) {
		if (composite[i])
			continue;
		count++;
		for (uint64_t j = (uint64_t)i * i; j < limit; j += i)
			composite[j] = 1;
	}
	return count;
}

uint64_t bench_sieve(uint64_t n)
{
	uint8_t *composite = bench_memory(1000000);
	uint64_t sum = 0;
	bench_begin();
	while (n--)
		sum = bench_mix(sum, sieve(composite, 1000000));
	return sum;
}

/* ---- sorting ---- */

enum { SORTED = 60000 };

static int less(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

uint64_t bench_qsort(uint64_t n)
{
	int64_t *v = bench_memory(SORTED * sizeof *v);
	uint64_t seed = 3, sum = 0;
	bench_begin();
	while (n--) {
		for (unsigned i = 0; i < SORTED; i++)
			v[i] = (int64_t)bench_random_next(&seed);
		qsort(v, SORTED, sizeof *v, less);
		for (unsigned i = 0; i < SORTED; i += 1000)
			sum = bench_mix(sum, (uint64_t)v[i]);
	}
	return sum;
}

/* ---- a hash table of words, by chains ---- */

enum { WORDS = 30000, BUCKETS = 16384 };

struct word {
	struct word *next;
	unsigned count;
	char text[20];
};

static APART struct word *word_find(struct word **table, const char *text)
{
	uint32_t h = 2166136261u;
	for (const char *p = text; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	struct word **at = &table[h % BUCKETS];
	for (; *at; at = &(*at)->next)
		if (!strcmp((*at)->text, text))
			return *at;
	struct word *w = *at = bench_memory(sizeof *w);
	strcpy(w->text, text);
	return w;
}

uint64_t bench_hash(uint64_t n)
{
	struct word **table = bench_memory(BUCKETS * sizeof *table);
	uint64_t seed = 5, sum = 0;
	bench_begin();
	while (n--) {
		for (unsigned i = 0; i < WORDS; i++) {
			char text[20] = "w";
			unsigned x = (unsigned)(bench_random_next(&seed) % WORDS), at = 1;
			for (; x; x /= 7)
				text[at++] = (char)('a' + x % 7);
			word_find(table, text)->count++;
		}
	}
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct word *w = table[i]; w; w = w->next)
			sum += bench_mix(w->count, (uint8_t)w->text[2]);
	return sum;
}

/* ---- calls ---- */

static APART uint64_t fib(uint64_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

uint64_t bench_fib(uint64_t n)
{
	uint64_t sum = 0;
	bench_begin();
	while (n--) {
		uint64_t arg = 25;
		KEEP(arg);
		sum += fib(arg);
	}
	return sum;
}

#define TARGET(i, expr)                                                                            \
	static APART uint64_t target_##i(uint64_t x) { return expr; }
TARGET(0, x + 1)
TARGET(1, x ^ x >> 3)
TARGET(2, x * 5)
TARGET(3, x - 7)
TARGET(4, x << 1 | x >> 63)
TARGET(5, ~x)
TARGET(6, x + (x >> 5))
TARGET(7, x ^ 0x55)

uint64_t bench_icall(uint64_t n)
{
	static uint64_t (*const targets[8])(uint64_t) = {target_0, target_1, target_2, target_3,
							 target_4, target_5, target_6, target_7};
	uint64_t x = 1;
	bench_begin();
	/* A fixed walk with a long period, as the calls of a real program are. */
	for (uint64_t i = 0; i < n; i++)
		x = targets[(i ^ i >> 4) & 7](x);
	return x;
}

/* clang-format off */
#define M1(i)                                                                                      \
	static APART uint64_t many_##i(uint64_t x, uint64_t y)                                     \
	{                                                                                          \
		if ((x & 3) == (0x##i & 3))                                                        \
			x += y;                                                                    \
		return (x ^ 0x##i) + (y >> (0x##i & 15));                                          \
	}
#define M8(i)  M1(i##0) M1(i##1) M1(i##2) M1(i##3) M1(i##4) M1(i##5) M1(i##6) M1(i##7)
#define M64(i) M8(i##0) M8(i##1) M8(i##2) M8(i##3) M8(i##4) M8(i##5) M8(i##6) M8(i##7)
M64(0) M64(1) M64(2) M64(3) M64(4) M64(5) M64(6) M64(7)
#undef M1
#define M1(i) x = many_##i(x, y);

/* 512 direct calls in a row. */
static APART uint64_t many_all(uint64_t x, uint64_t y)
{
	M64(0) M64(1) M64(2) M64(3) M64(4) M64(5) M64(6) M64(7)
	return x;
}
/* clang-format on */

uint64_t bench_manyfn(uint64_t n)
{
	uint64_t x = 1;
	bench_begin();
	for (uint64_t i = 0; i < n; i++)
		x = many_all(x, i);
	return x;
}

/* ---- a bytecode interpreter ---- */

enum op { LOAD, ADD, SUB, MUL, AND, SHIFT, LESS, JUMP, JUMP_IF, MOVE, XOR, PUT, GET, HALT };

struct code {
	uint8_t op, a, b, c;
};

static APART uint64_t interpret(const struct code *code, uint64_t limit)
{
	uint64_t r[8] = {0}, m[64] = {0};
	r[7] = limit;
	for (const struct code *p = code;; p++) {
		switch ((enum op)p->op) {
		case LOAD: r[p->a] = p->b; break;
		case ADD: r[p->a] = r[p->b] + r[p->c]; break;
		case SUB: r[p->a] = r[p->b] - r[p->c]; break;
		case MUL: r[p->a] = r[p->b] * r[p->c]; break;
		case AND: r[p->a] = r[p->b] & r[p->c]; break;
		case SHIFT: r[p->a] = r[p->b] >> (p->c & 63); break;
		case LESS: r[p->a] = r[p->b] < r[p->c]; break;
		case JUMP: p = code + p->a - 1; break;
		case JUMP_IF:
			if (r[p->b])
				p = code + p->a - 1;
			break;
		case MOVE: r[p->a] = r[p->b]; break;
		case XOR: r[p->a] = r[p->b] ^ r[p->c]; break;
		case PUT: m[r[p->b] & 63] = r[p->a]; break;
		case GET: r[p->a] = m[r[p->b] & 63]; break;
		case HALT: return r[0];
		}
	}
}

uint64_t bench_switch(uint64_t n)
{
	/* r0 sum, r1 counter, r2 and r3 work, r4 = 1, r5 = 3, r7 limit */
	static const struct code code[] = {
	    {LOAD, 0, 1, 0},  {LOAD, 1, 0, 0},    {LOAD, 4, 1, 0},    {LOAD, 5, 3, 0},
	    {AND, 2, 1, 4},   {JUMP_IF, 9, 2, 0}, {SHIFT, 3, 0, 5},   {XOR, 0, 0, 3},
	    {JUMP, 11, 0, 0}, {MUL, 0, 0, 5},     {ADD, 0, 0, 4},     {PUT, 0, 1, 0},
	    {SUB, 3, 1, 5},   {GET, 2, 3, 0},     {ADD, 0, 0, 2},     {MOVE, 6, 0, 0},
	    {ADD, 1, 1, 4},   {LESS, 2, 1, 7},    {JUMP_IF, 4, 2, 0}, {HALT, 0, 0, 0},
	};
	uint64_t sum = 0;
	bench_begin();
	while (n--)
		sum = bench_mix(sum, interpret(code, 50000));
	return sum;
}

/* ---- multiply and divide ---- */

uint64_t bench_muldiv(uint64_t n)
{
	uint64_t x = 0x123456789abcdefu, y = 12345;
	uint32_t z = 77;
	bench_begin();
	for (uint64_t i = 1; i <= n; i++) {
		y = (uint64_t)(((unsigned __int128)x * (y | 1)) >> 64) + i;
		x = x * 6364136223846793005u + y;
		y += x / (i + 3);
		z += (uint32_t)x % (uint32_t)(i | 5);
		x ^= (uint64_t)((int64_t)y / ((int32_t)i - 7 ? (int32_t)i - 7 : 1));
	}
	return x ^ y ^ z;
}
