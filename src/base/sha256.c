/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of a piece of memory. FIPS 180-4 §6.2 */
#include "base/sha256.h"
#include <immintrin.h>
#include <sys/platform/x86.h>

static uint32_t ror(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

/* FIPS 180-4 §4.2.2: the first 32 bits of the fractions of the cube roots of the first primes. */
static const uint32_t roots[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
/* FIPS 180-4 §5.3.3: of the square roots of the first 8. */
static const uint32_t begin[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
	0x1f83d9ab, 0x5be0cd19,
};

static void block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64], v[8];
	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (unsigned i = 16; i < 64; i++)
		w[i] = (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10) + w[i - 7] +
		       (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 16];
	memcpy(v, h, sizeof v);
	for (unsigned i = 0; i < 64; i++) {
		uint32_t t1 = v[7] + (ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25)) +
		              ((v[4] & v[5]) ^ (~v[4] & v[6])) + roots[i] + w[i];
		uint32_t t2 = (ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22)) +
		              ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof *v);
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (unsigned i = 0; i < 8; i++)
		h[i] += v[i];
}

static void blocks_plain(uint32_t h[8], const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i += 64)
		block(h, p + i);
}

/* The same by the CPU's instructions, which want the words in this order: s0 A B E F, s1 C D G H,
 * the first ones on top. Four rounds at a time; the words of 16 rounds are in w. */
__attribute__((target("sha,ssse3,sse4.1"))) static void
blocks_fast(uint32_t h[8], const uint8_t *p, size_t len)
{
	const __m128i *state = (const __m128i *)(const void *)h;
	const __m128i turn = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i ab = _mm_shuffle_epi32(_mm_loadu_si128(state), 0xb1);
	__m128i s1 = _mm_shuffle_epi32(_mm_loadu_si128(state + 1), 0x1b);
	__m128i s0 = _mm_alignr_epi8(ab, s1, 8), w[4];
	s1 = _mm_blend_epi16(s1, ab, 0xf0);
	for (const uint8_t *end = p + len; p < end; p += 64) {
		const __m128i was0 = s0, was1 = s1;
		for (unsigned i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(
			    _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)), turn);
#pragma GCC unroll 16
		for (unsigned i = 0; i < 16; i++) {
			__m128i k = _mm_loadu_si128((const __m128i *)(const void *)(roots + 4 * i));
			__m128i m = _mm_add_epi32(w[i & 3], k);
			s1 = _mm_sha256rnds2_epu32(s1, s0, m);
			s0 = _mm_sha256rnds2_epu32(s0, s1, _mm_shuffle_epi32(m, 0x0e));
			__m128i a = w[(i + 1) & 3], b = w[(i + 2) & 3], c = w[(i + 3) & 3];
			m = _mm_add_epi32(_mm_sha256msg1_epu32(w[i & 3], a),
					  _mm_alignr_epi8(c, b, 4));
			w[i & 3] = _mm_sha256msg2_epu32(m, c);
		}
		s0 = _mm_add_epi32(s0, was0);
		s1 = _mm_add_epi32(s1, was1);
	}
	ab = _mm_shuffle_epi32(s0, 0x1b);
	s1 = _mm_shuffle_epi32(s1, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)h, _mm_blend_epi16(ab, s1, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(h + 4), _mm_alignr_epi8(s1, ab, 8));
}

bool sha256_is_fast(void)
{
	const struct cpuid_feature *f = __x86_get_cpuid_feature_leaf(x86_cpu_SHA / 128);
	return f->active_array[x86_cpu_SHA % 128 / 32] >> x86_cpu_SHA % 32 & 1;
}

static void sum_by(bool fast, const void *data, size_t len, uint8_t ret[32])
{
	void (*const blocks)(uint32_t *, const uint8_t *, size_t) =
	    fast ? blocks_fast : blocks_plain;
	const uint8_t *p = data;
	uint8_t last[128] = { 0 };
	uint32_t h[8];
	size_t n = len / 64 * 64, tail = len - n, end = tail < 56 ? 64 : 128;
	memcpy(h, begin, sizeof h);
	blocks(h, p, n);
	if (tail)
		memcpy(last, p + n, tail);
	last[tail] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		last[end - 1 - i] = (uint8_t)((uint64_t)len * 8 >> 8 * i);
	blocks(h, last, end);
	for (unsigned i = 0; i < 32; i++)
		ret[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
}

void sha256(const void *data, size_t len, uint8_t ret[32])
{
	sum_by(sha256_is_fast(), data, len, ret);
}

void sha256_plain(const void *data, size_t len, uint8_t ret[32]) { sum_by(false, data, len, ret); }
