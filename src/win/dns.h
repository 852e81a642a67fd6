/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a resolver, and its answers. RFC 1035 */
#pragma once
#include "base/base.h"

enum { DNS_MESSAGE_MAX = 4096, DNS_QUERY_MAX = 300, DNS_ADDRESSES = 32 };
enum { DNS_NAME_MAX = 256 }; /* as text, with the 0 */
enum dns_type { DNS_IPV4 = 1, DNS_NAME = 12 };
/* Ask for the @type of @host: into @out, of DNS_QUERY_MAX bytes; how many, 0: this is no name. */
size_t dns_query(uint8_t *out, uint16_t id, const char *host, enum dns_type type);
/* What is asked for the name of the IPv4 address @a. */
void dns_reverse(const uint8_t a[4], char out[32]);
enum dns_answer {
	DNS_FOUND,
	DNS_NONE,    /* there is no such name, or it has none of these */
	DNS_FAILED,  /* the resolver does not know, now */
	DNS_CUT,     /* there is more than fits: by TCP, then */
	DNS_FOREIGN, /* no answer to that question */
};
/* What the @len bytes of @in, which may be anything, say to the @nquery ones of @query: at most
 * DNS_ADDRESSES, of 4 bytes each, into @ret. */
enum dns_answer dns_answer_read(const uint8_t *in, size_t len, const uint8_t *query, size_t nquery,
				uint8_t ret[][4], size_t *ret_n);
/* The same of a question for a DNS_NAME: the first one, which is one of a host. */
enum dns_answer dns_name_read(const uint8_t *in, size_t len, const uint8_t *query, size_t nquery,
			      char ret[DNS_NAME_MAX]);
