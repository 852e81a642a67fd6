/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a resolver: any bytes behind the question that was asked. */
#include "win/dns.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t query[DNS_QUERY_MAX], in[DNS_MESSAGE_MAX], found[DNS_ADDRESSES][4];
	size_t n = 0, nquery = dns_query(query, 0x1234, "www.example.org", DNS_IPV4);
	len = len < sizeof in - nquery ? len : sizeof in - nquery;
	if (len < 6)
		return 0;
	/* as they come, and as an answer to that question */
	uint8_t *own = malloc(nquery + len);
	memcpy(own, data, len);
	(void)dns_answer_read(own, len, query, nquery, found, &n);
	memcpy(own, query, nquery);
	memcpy(own + nquery, data, len);
	own[2] |= 0x80;
	own[3] = data[0];
	own[6] = data[1];
	own[7] = data[2];
	if (dns_answer_read(own, nquery + len, query, nquery, found, &n) == DNS_FOUND &&
	    (n == 0 || n > DNS_ADDRESSES))
		__builtin_trap();
	char name[DNS_NAME_MAX];
	if (dns_name_read(own, nquery + len, query, nquery, name) == DNS_FOUND &&
	    (!*name || strlen(name) >= sizeof name - 1))
		__builtin_trap();
	free(own);
	return 0;
}
