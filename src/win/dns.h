/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a resolver, and its answers. RFC 1035 */
#pragma once
#include "base/base.h"

enum { DNS_MESSAGE_MAX = 4096, DNS_QUERY_MAX = 300, DNS_ADDRESSES = 32 };
/* Ask for the IPv4 addresses of @host: into @out, of DNS_QUERY_MAX bytes; how many, 0: this is no
 * name. */
size_t dns_query(uint8_t *out, uint16_t id, const char *host);
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
