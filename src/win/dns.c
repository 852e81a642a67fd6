/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the domain name system: the question for one name's addresses or for an address's
 * name, and answers to that, which are anybody's. RFC 1035 4.1, 3.5 */
#include "win/dns.h"
#include <ctype.h>
#include <stdio.h>

enum { HEADER = 12, LABEL_MAX = 63, NAME_MAX_BYTES = 255, POINTER = 0xc0 };
enum { CLASS_IN = 1, JUMPS_MAX = 16 };
enum { RESPONSE = 0x80, CUT = 2, CODE = 0xf, CODE_NO_NAME = 3 };

static uint16_t be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static void be16_write(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void dns_reverse(const uint8_t a[4], char out[32])
{
	snprintf(out, 32, "%u.%u.%u.%u.in-addr.arpa", a[3], a[2], a[1], a[0]);
}

size_t dns_query(uint8_t *out, uint16_t id, const char *host, enum dns_type type)
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
	be16_write(out + n, type);
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

/* Is that an answer to the question, and one that says something? DNS_FOUND: records follow. */
static enum dns_answer head_read(const uint8_t *in, size_t len, const uint8_t *query, size_t nquery)
{
	if (nquery < HEADER || len < nquery || be16(in) != be16(query) || !(in[2] & RESPONSE) ||
	    be16(in + 4) != 1 || !question_same(in + HEADER, query + HEADER, nquery - HEADER))
		return DNS_FOREIGN;
	if ((in[3] & CODE) == CODE_NO_NAME)
		return DNS_NONE;
	return in[3] & CODE ? DNS_FAILED : DNS_FOUND;
}

/* The record that begins at *@at: what it is of, and its @ret_len bytes; *@at is behind it then.
 * NULL: there is none. */
static const uint8_t *record_read(const uint8_t *in, size_t len, size_t *at, unsigned *ret_type,
				  size_t *ret_len)
{
	*at = name_skip(in, len, *at);
	if (!*at || len - *at < 10)
		return NULL;
	const uint8_t *record = in + *at;
	*ret_len = be16(record + 8);
	*ret_type = be16(record + 2) == CLASS_IN ? be16(record) : 0;
	*at += 10;
	if (len - *at < *ret_len)
		return NULL;
	*at += *ret_len;
	return record + 10;
}

enum dns_answer dns_answer_read(const uint8_t *in, size_t len, const uint8_t *query, size_t nquery,
				uint8_t ret[][4], size_t *ret_n)
{
	size_t n = 0, at = nquery, bytes;
	unsigned type;
	const uint8_t *data;
	enum dns_answer a = head_read(in, len, query, nquery);
	if (a != DNS_FOUND)
		return a;
	/* names that stand for others come first; the addresses are of the last of them */
	for (unsigned left = be16(in + 6); left && n < DNS_ADDRESSES; left--) {
		if (!(data = record_read(in, len, &at, &type, &bytes)))
			break;
		if (type == DNS_IPV4 && bytes == 4)
			memcpy(ret[n++], data, 4);
	}
	*ret_n = n;
	return n ? DNS_FOUND : in[2] & CUT ? DNS_CUT : DNS_NONE;
}

/* The name at @at as text; false: it is none, or no host's. */
static bool name_read(const uint8_t *in, size_t len, size_t at, char out[DNS_NAME_MAX])
{
	size_t n = 0;
	for (int jumps = 0; at < len;) {
		size_t label = in[at];
		if (!label) {
			out[n ? n - 1 : 0] = 0; /* without the last dot */
			return n != 0;
		}
		if ((label & POINTER) == POINTER) {
			if (len - at < 2 || ++jumps > JUMPS_MAX)
				return false;
			at = (label & ~(size_t)POINTER) << 8 | in[at + 1];
			continue;
		}
		if (label > LABEL_MAX || label >= len - at || n + label + 1 >= DNS_NAME_MAX)
			return false;
		for (size_t i = 1; i <= label; i++) {
			uint8_t c = in[at + i];
			if (c >= 128 || !(isalnum(c) || c == '-' || c == '_'))
				return false;
			out[n++] = (char)c;
		}
		out[n++] = '.';
		at += label + 1;
	}
	return false;
}

enum dns_answer dns_name_read(const uint8_t *in, size_t len, const uint8_t *query, size_t nquery,
			      char ret[DNS_NAME_MAX])
{
	size_t at = nquery, bytes;
	unsigned type;
	const uint8_t *data;
	enum dns_answer a = head_read(in, len, query, nquery);
	if (a != DNS_FOUND)
		return a;
	for (unsigned left = be16(in + 6); left; left--) {
		if (!(data = record_read(in, len, &at, &type, &bytes)))
			break;
		if (type == DNS_NAME && name_read(in, len, (size_t)(data - in), ret))
			return DNS_FOUND;
	}
	return in[2] & CUT ? DNS_CUT : DNS_NONE;
}
