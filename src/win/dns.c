/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the domain name system: the question for one name's addresses, and answers to that,
 * which are anybody's. RFC 1035 4.1 */
#include "win/dns.h"

enum { HEADER = 12, LABEL_MAX = 63, NAME_MAX_BYTES = 255, POINTER = 0xc0 };
enum { TYPE_A = 1, CLASS_IN = 1 };
enum { RESPONSE = 0x80, CUT = 2, CODE = 0xf, CODE_NO_NAME = 3 };

static uint16_t be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static void be16_write(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

size_t dns_query(uint8_t *out, uint16_t id, const char *host)
{
	size_t n = HEADER;
	memset(out, 0, HEADER);
	be16_write(out, id);
	out[2] = 1; /* it shall ask others */
	out[5] = 1; /* one question */
	while (*host) {
		size_t label = strcspn(host, ".");
		if (!label || label > LABEL_MAX || n - HEADER + label + 2 > NAME_MAX_BYTES)
			return 0;
		out[n++] = (uint8_t)label;
		memcpy(out + n, host, label);
		n += label;
		host += label;
		host += *host == '.'; /* one at the end is fine */
	}
	if (n == HEADER)
		return 0;
	out[n++] = 0;
	be16_write(out + n, TYPE_A);
	be16_write(out + n + 2, CLASS_IN);
	return n + 4;
}

/* What is behind the name at @at; 0: it goes beyond the end. */
static size_t name_skip(const uint8_t *in, size_t len, size_t at)
{
	while (at < len) {
		if (!in[at])
			return at + 1;
		if ((in[at] & POINTER) == POINTER)
			return at + 2 <= len ? at + 2 : 0;
		if (in[at] & POINTER)
			return 0;
		at += in[at] + 1u;
	}
	return 0;
}

/* Some resolvers change the case of letters. */
static bool question_same(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t x = a[i], y = b[i];
		if (x != y && !((x | 32) == (y | 32) && (x | 32) >= 'a' && (x | 32) <= 'z'))
			return false;
	}
	return true;
}

enum dns_answer dns_answer_read(const uint8_t *in, size_t len, const uint8_t *query, size_t nquery,
				uint8_t ret[][4], size_t *ret_n)
{
	size_t n = 0, at = nquery;
	if (nquery < HEADER || len < nquery || be16(in) != be16(query) || !(in[2] & RESPONSE) ||
	    be16(in + 4) != 1 || !question_same(in + HEADER, query + HEADER, nquery - HEADER))
		return DNS_FOREIGN;
	if ((in[3] & CODE) == CODE_NO_NAME)
		return DNS_NONE;
	if (in[3] & CODE)
		return DNS_FAILED;
	/* names that stand for others come first; the addresses are of the last of them */
	for (unsigned left = be16(in + 6); left && n < DNS_ADDRESSES; left--) {
		at = name_skip(in, len, at);
		if (!at || len - at < 10)
			break;
		size_t bytes = be16(in + at + 8);
		const uint8_t *record = in + at;
		at += 10;
		if (len - at < bytes)
			break;
		if (be16(record) == TYPE_A && be16(record + 2) == CLASS_IN && bytes == 4)
			memcpy(ret[n++], in + at, 4);
		at += bytes;
	}
	*ret_n = n;
	return n ? DNS_FOUND : in[2] & CUT ? DNS_CUT : DNS_NONE;
}
