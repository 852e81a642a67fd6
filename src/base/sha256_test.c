/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"
#include "test/test.h"
#include <stdio.h>

static bool sums_to(const void *p, size_t n, const char *want)
{
	uint8_t sum[2][32];
	char text[65];
	sha256(p, n, sum[0]);
	sha256_plain(p, n, sum[1]);
	for (int i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", sum[0][i]);
	return !strcmp(text, want) && !memcmp(sum[0], sum[1], sizeof sum[0]);
}

/* FIPS 180-4's examples, and what sha256sum says of lengths around a block's end. */
TEST(sha256_of_known_texts)
{
	static uint8_t many[1000000];
	CHECK(sums_to("", 0, "e3b0c44298fc1c149afbf4c8996fb924"
	              "27ae41e4649b934ca495991b7852b855"));
	CHECK(sums_to("abc", 3, "ba7816bf8f01cfea414140de5dae2223"
	              "b00361a396177a9cb410ff61f20015ad"));
	CHECK(sums_to("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
	              "248d6a61d20638b8e5c026930c3e6039"
	              "a33ce45964ff2167f6ecedd419db06c1"));
	memset(many, 'a', sizeof many);
	CHECK(sums_to(many, sizeof many,
	              "cdc76e5c9914fb9281a1c7e284d73e67"
	              "f1809a48a497200e046d39ccc7112cd0"));
	CHECK(sums_to(many, 64, "ffe054fe7ae0cb6dc65c3af9b61d5209"
	              "f439851db43d0ba5997337df154668eb"));
}

TEST(sha256_is_the_same_without_instructions_for_it)
{
	uint8_t text[1000], a[32], b[32];
	if (!sha256_is_fast()) {
		printf("# this CPU has none\n");
		return;
	}
	for (unsigned i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i * 31 + (i >> 3));
	for (size_t n = 0; n <= sizeof text; n++) {
		sha256(text, n, a);
		sha256_plain(text, n, b);
		CHECK(!memcmp(a, b, sizeof a));
	}
}
