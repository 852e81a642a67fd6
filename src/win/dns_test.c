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
	CHECK(dns_query(q, 0x1234, "www.test", DNS_IPV4) == sizeof want - 1);
	CHECK(!memcmp(q, want, sizeof want - 1));
	CHECK(dns_query(q, 0x1234, "www.test.", DNS_IPV4) == sizeof want - 1);
	CHECK(!dns_query(q, 1, "", DNS_IPV4) && !dns_query(q, 1, ".", DNS_IPV4) &&
	      !dns_query(q, 1, "a..b", DNS_IPV4));
	memset(longest, 'a', sizeof longest);
	longest[64] = 0;
	CHECK(!dns_query(q, 1, longest, DNS_IPV4)); /* a label has 63 at most */
	longest[63] = 0;
	CHECK(dns_query(q, 1, longest, DNS_IPV4) == 12 + 65 + 4);
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 10 == 9 ? '.' : 'a';
	longest[299] = 0;
	CHECK(!dns_query(q, 1, longest, DNS_IPV4)); /* a name 255 bytes */
}

TEST(dns_answers_are_read_or_refused)
{
	static const char alias[] = "\xc0\x0c\0\5\0\1\0\0\0\0\0\6\3one\xc0\x10"
				    "\3one\xc0\x10\0\1\0\1\0\0\0\0\0\4\xc0\0\2\7";
	uint8_t q[DNS_QUERY_MAX], in[400], found[DNS_ADDRESSES][4];
	size_t n = 0, nq = dns_query(q, 0x1234, "www.test", DNS_IPV4);
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

/* The name of an address: that of the first record of the kind, which may refer to others. */
TEST(dns_names_are_read_or_refused)
{
	static const char rest[] = "\xc0\x0c\0\5\0\1\0\0\0\0\0\2\xc0\x0c" /* an alias */
				   "\xc0\x0c\0\x0c\0\1\0\0\0\0\0\7\3one\1a\xc0" /* and a byte */;
	uint8_t q[DNS_QUERY_MAX], in[400];
	char host[32], name[DNS_NAME_MAX] = "";
	dns_reverse((const uint8_t *)"\xc0\0\2\7", host);
	CHECK(!strcmp(host, "7.2.0.192.in-addr.arpa"));
	size_t nq = dns_query(q, 0x1234, host, DNS_NAME);
	CHECK(q[nq - 3] == 12);
	size_t len = answer_make(in, q, nq, rest, sizeof rest - 1, 2);
	in[nq + 14 + 11] = 8;
	in[len++] = (uint8_t)(nq - 4 - 6); /* to the end of the question: arpa */
	CHECK(dns_name_read(in, len, q, nq, name) == DNS_FOUND && !strcmp(name, "one.a.arpa"));
	for (size_t cut = nq; cut < len; cut++)
		CHECK(dns_name_read(in, cut, q, nq, name) == DNS_NONE);
	in[len - 1] = (uint8_t)(len - 2); /* to itself */
	CHECK(dns_name_read(in, len, q, nq, name) == DNS_NONE);
	in[len - 1] = (uint8_t)(nq - 10);
	in[nq + 14 + 14] = '/'; /* no letter of a host's name */
	CHECK(dns_name_read(in, len, q, nq, name) == DNS_NONE);
	in[3] = 3;
	CHECK(dns_name_read(in, len, q, nq, name) == DNS_NONE);
}
