/* SPDX-License-Identifier: Apache-2.0 */
#include "win/dns.h"
#include "test/test.h"

static size_t answer_make(uint8_t *out, const uint8_t *query, size_t n, const char *rest,
			  size_t nrest, uint8_t records)
{
	memcpy(out, query, n);
	memcpy(out + n, rest, nrest);
	out[2] |= 0x80;
	out[7] = records;
	return n + nrest;
}

TEST(dns_questions_are_names)
{
	static const char want[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\4test\0\0\1\0\1";
	uint8_t q[DNS_QUERY_MAX];
	char longest[300];
	CHECK(dns_query(q, 0x1234, "www.test") == sizeof want - 1);
	CHECK(!memcmp(q, want, sizeof want - 1));
	CHECK(dns_query(q, 0x1234, "www.test.") == sizeof want - 1);
	CHECK(!dns_query(q, 1, "") && !dns_query(q, 1, ".") && !dns_query(q, 1, "a..b"));
	memset(longest, 'a', sizeof longest);
	longest[64] = 0;
	CHECK(!dns_query(q, 1, longest)); /* a label has 63 at most */
	longest[63] = 0;
	CHECK(dns_query(q, 1, longest) == 12 + 65 + 4);
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 10 == 9 ? '.' : 'a';
	longest[299] = 0;
	CHECK(!dns_query(q, 1, longest)); /* a name 255 bytes */
}

TEST(dns_answers_are_read_or_refused)
{
	static const char alias[] = "\xc0\x0c\0\5\0\1\0\0\0\0\0\6\3one\xc0\x10"
				    "\3one\xc0\x10\0\1\0\1\0\0\0\0\0\4\xc0\0\2\7";
	uint8_t q[DNS_QUERY_MAX], in[400], found[DNS_ADDRESSES][4];
	size_t n = 0, nq = dns_query(q, 0x1234, "www.test");
	size_t len = answer_make(in, q, nq, alias, sizeof alias - 1, 2);
	CHECK(dns_answer_read(in, len, q, nq, found, &n) == DNS_FOUND && n == 1);
	CHECK(!memcmp(found[0], "\xc0\0\2\7", 4));
	in[13] = 'W'; /* letters may change their case */
	CHECK(dns_answer_read(in, len, q, nq, found, &n) == DNS_FOUND);
	in[13] = 'v';
	CHECK(dns_answer_read(in, len, q, nq, found, &n) == DNS_FOREIGN);
	in[13] = 'w';
	in[0] ^= 1;
	CHECK(dns_answer_read(in, len, q, nq, found, &n) == DNS_FOREIGN);
	in[0] ^= 1;
	CHECK(dns_answer_read(in, nq - 1, q, nq, found, &n) == DNS_FOREIGN);
	for (size_t cut = nq; cut < len; cut++) /* whatever is not there */
		CHECK(dns_answer_read(in, cut, q, nq, found, &n) == DNS_NONE && n == 0);
	in[2] |= 2;
	CHECK(dns_answer_read(in, nq, q, nq, found, &n) == DNS_CUT);
	in[3] = 3;
	CHECK(dns_answer_read(in, len, q, nq, found, &n) == DNS_NONE);
	in[3] = 2;
	CHECK(dns_answer_read(in, len, q, nq, found, &n) == DNS_FAILED);
	q[2] &= 0x7f;
	CHECK(dns_answer_read(q, nq, q, nq, found, &n) == DNS_FOREIGN); /* the question itself */
}
