/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts and services. A guest that has its own loopback and nothing else knows localhost,
 * itself, and addresses that are written as such; one with a network asks a resolver for others. */
#include "win/socket.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

enum {
	PASSIVE = 1,
	CANONICAL = 2,
	NUMERIC_HOST = 4,
	NAME_NUMERIC_HOST = 2,
	NAME_REQUIRED = 4,
	NAME_NUMERIC_SERVICE = 8
};
enum {
	WSA_HOST_NOT_FOUND = 11001,
	WSA_TRY_AGAIN = 11002,
	WSA_NO_DATA = 11004,
	WSA_TYPE_NOT_FOUND = 10109,
	WSA_NO_MEMORY = 8,
	WSA_FAULT = 10014,
	WSA_FAMILY = 10047,
	WSA_SOCKTYPE = 10044
};
struct info {
	int32_t flags, family, type, protocol;
	uint64_t len;
	wide *canonical; /* of the guest's heap, as all of it */
	void *address;
	struct info *next;
};

static const struct {
	const char *name;
	uint16_t port;
} services[] = {{"http", 80}, {"https", 443}, {"ftp", 21},   {"ssh", 22},
		{"smtp", 25}, {"domain", 53}, {"telnet", 23}};

static int32_t port_of(const char *service, uint16_t *ret)
{
	char *end = NULL;
	unsigned long n = service && *service ? strtoul(service, &end, 10) : 0;
	*ret = (uint16_t)n;
	if (!service || !*service || (!*end && n <= UINT16_MAX))
		return 0;
	for (size_t i = 0; i < countof(services); i++)
		if (!strcasecmp(services[i].name, service)) {
			*ret = services[i].port;
			return 0;
		}
	return WSA_TYPE_NOT_FOUND;
}

static bool local_name(const char *host)
{
	size_t n = strlen(host);
	return !strcasecmp(host, "localhost") ||
	       (n > 10 && !strcasecmp(host + n - 10, ".localhost"));
}

static bool own_name(const char *host)
{
	char name[65] = "";
	(void)gethostname(name, sizeof name - 1);
	return !*host || !strcasecmp(host, name);
}

/* The addresses of @host in @family, which is not written as one of them: how many, in @ret. An
 * error of WSA...; 0 also when there are none. */
static int32_t name_find(int family, const char *host, uint8_t ret[][16], size_t *ret_n)
{
	const struct win_network *net = process()->start->network;
	const bool local = local_name(host);
	*ret_n = 0;
	if (local || own_name(host)) {
		uint32_t own = htonl(!local && net ? net->address : INADDR_LOOPBACK);
		memset(ret[0], 0, sizeof ret[0]);
		if (family == AF_INET)
			memcpy(ret[0], &own, sizeof own);
		else
			ret[0][15] = 1;
		*ret_n = family == AF_INET || local || !net;
		return 0;
	}
	if (!net || family != AF_INET) /* the network has IPv4 alone */
		return 0;
	return resolver_ask(net->resolver, host, ret, ret_n) ? 0 : WSA_TRY_AGAIN;
}

/* ---- GetAddrInfoW ---- */

static struct info *info_new(int family, const void *address, uint16_t port,
			     const struct info *hints)
{
	struct info *i = heap_alloc(sizeof *i, true);
	size_t len = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	uint8_t *a = i ? heap_alloc(len, true) : NULL;
	if (!a) {
		heap_free(i);
		return NULL;
	}
	le16_put(a, family == AF_INET6 ? FAMILY_INET6 : AF_INET);
	a[2] = (uint8_t)(port >> 8);
	a[3] = (uint8_t)port;
	memcpy(a + (family == AF_INET6 ? 8 : 4), address, family == AF_INET6 ? 16 : 4);
	*i = (struct info){.family = family == AF_INET6 ? FAMILY_INET6 : AF_INET,
			   .type = hints ? hints->type : 0,
			   .protocol = hints ? hints->protocol : 0,
			   .len = len,
			   .address = a};
	return i;
}

API(void, ws_FreeAddrInfoW, struct info *i)
{
	while (i) {
		struct info *next = i->next;
		heap_free(i->canonical);
		heap_free(i->address);
		heap_free(i);
		i = next;
	}
}

static bool info_add(struct info ***end, int family, const void *address, uint16_t port,
		     const struct info *hints)
{
	struct info *i = info_new(family, address, port, hints);
	if (!i)
		return false;
	**end = i;
	*end = &i->next;
	return true;
}

/* Adds to the list what @host is in @family: an error of WSA... */
static int32_t family_add(struct info ***end, int family, const char *host, uint16_t port,
			  const struct info *hints)
{
	uint8_t found[DNS_ADDRESSES][16] = {{0}};
	size_t n = 1;
	int32_t bad = 0;
	bool passive = hints && hints->flags & PASSIVE;
	int32_t want = hints ? hints->family : 0;
	if (want && family_host(want) != family)
		return 0;
	if (!host && !passive && family == AF_INET6)
		found[0][15] = 1;
	else if (!host && !passive)
		(void)inet_pton(AF_INET, "127.0.0.1", found[0]);
	else if (host && inet_pton(family, host, found[0]) != 1) {
		uint8_t other[16];
		bool written = inet_pton(AF_INET, host, other) == 1 ||
			       inet_pton(AF_INET6, host, other) == 1;
		n = 0;
		if (!written && !(hints && hints->flags & NUMERIC_HOST))
			bad = name_find(family, host, found, &n);
	}
	for (size_t i = 0; !bad && i < n; i++)
		if (!info_add(end, family, found[i], port, hints))
			bad = WSA_NO_MEMORY;
	return bad;
}

API(int32_t, ws_GetAddrInfoW, const wide *host, const wide *service, const struct info *hints,
    struct info **ret)
{
	uint16_t port = 0;
	struct info *all = NULL, **end = &all;
	autofree char *h = host ? text_from(host, SIZE_MAX) : NULL;
	autofree char *s = service ? text_from(service, SIZE_MAX) : NULL;
	*ret = NULL;
	if (hints && hints->family && hints->family != AF_INET && hints->family != FAMILY_INET6)
		return WSA_FAMILY;
	int32_t bad = !h && !s ? WSA_HOST_NOT_FOUND : port_of(s, &port);
	if (!bad)
		bad = family_add(&end, AF_INET6, h, port, hints);
	if (!bad)
		bad = family_add(&end, AF_INET, h, port, hints);
	if (!bad && !all)
		bad = WSA_HOST_NOT_FOUND;
	if (bad) {
		ws_FreeAddrInfoW(all);
		last_error_set((uint32_t)bad);
		return bad;
	}
	if (hints && hints->flags & CANONICAL && h) {
		size_t n = utf16_put(h, strlen(h), NULL, 0, NULL) + 1;
		all->canonical = heap_alloc(2 * n, true);
		if (all->canonical)
			wide_give(h, all->canonical, (uint32_t)n);
	}
	*ret = all;
	return 0;
}

/* With text of 8 bits: the same, but for the canonical name. */
API(void, ws_freeaddrinfo, struct info *i) { ws_FreeAddrInfoW(i); }

API(int32_t, ws_getaddrinfo, const char *host, const char *service, const struct info *hints,
    struct info **ret)
{
	autofree wide *h = host ? text_wide(host, SIZE_MAX) : NULL;
	autofree wide *s = service ? text_wide(service, SIZE_MAX) : NULL;
	int32_t bad = ws_GetAddrInfoW(h, s, hints, ret);
	if (!bad && (*ret)->canonical && host)
		memcpy((*ret)->canonical, host, strlen(host) + 1); /* it has twice the room */
	return bad;
}

/* ---- GetNameInfoW ---- */

/* What the address @at is called: localhost, this host, or as the resolver has it. */
static bool address_name(int family, const uint8_t *at, char out[DNS_NAME_MAX])
{
	static const uint8_t one6[16] = {[15] = 1};
	const struct win_network *net = process()->start->network;
	uint32_t own = net ? htonl(net->address) : 0;
	if (family == AF_INET6 ? !memcmp(at, one6, 16) : at[0] == 127)
		return strcpy(out, "localhost"), true;
	if (!net || family == AF_INET6)
		return false;
	if (!memcmp(at, &own, 4))
		return gethostname(out, DNS_NAME_MAX - 1) == 0;
	return resolver_name(net->resolver, at, out);
}

static int32_t host_text(const uint8_t *a, int family, int32_t flags, char *out, uint32_t cap)
{
	const uint8_t *at = a + (family == AF_INET6 ? 8 : 4);
	char found[DNS_NAME_MAX] = "";
	if (!(flags & NAME_NUMERIC_HOST) && address_name(family, at, found))
		snprintf(out, cap, "%s", found);
	else if (flags & NAME_REQUIRED)
		return WSA_HOST_NOT_FOUND;
	else
		(void)inet_ntop(family, at, out, cap);
	return 0;
}

/* What is asked for, as text, each of NI_MAXHOST bytes. */
static int32_t name_texts(const void *name, int32_t len, bool host, char *ret_host,
			  char *ret_service, int32_t flags)
{
	const uint8_t *a = name;
	if (!name || len < (int32_t)sizeof(struct sockaddr_in))
		return WSA_FAULT;
	int family = family_host(le16_at(a));
	if (family != AF_INET && (family != AF_INET6 || len < (int32_t)sizeof(struct sockaddr_in6)))
		return WSA_FAMILY;
	uint16_t port = (uint16_t)(a[2] << 8 | a[3]);
	snprintf(ret_service, NI_MAXHOST, "%u", port);
	for (size_t i = 0; !(flags & NAME_NUMERIC_SERVICE) && i < countof(services); i++)
		if (services[i].port == port)
			snprintf(ret_service, NI_MAXHOST, "%s", services[i].name);
	return host ? host_text(a, family, flags, ret_host, NI_MAXHOST) : 0;
}

API(int32_t, ws_GetNameInfoW, const void *name, int32_t len, wide *host, uint32_t host_cap,
    wide *service, uint32_t service_cap, int32_t flags)
{
	char h[NI_MAXHOST], s[NI_MAXHOST];
	int32_t bad = name_texts(name, len, host && host_cap, h, s, flags);
	if (!bad && ((host && host_cap && wide_give(h, host, host_cap) >= host_cap) ||
		     (service && service_cap && wide_give(s, service, service_cap) >= service_cap)))
		bad = WSA_FAULT;
	return bad;
}

API(int32_t, ws_getnameinfo, const void *name, int32_t len, char *host, uint32_t host_cap,
    char *service, uint32_t service_cap, int32_t flags)
{
	char h[NI_MAXHOST], s[NI_MAXHOST];
	int32_t bad = name_texts(name, len, host && host_cap, h, s, flags);
	if (!bad && ((host && host_cap && text_give(h, host, host_cap) >= host_cap) ||
		     (service && service_cap && text_give(s, service, service_cap) >= service_cap)))
		bad = WSA_FAULT;
	return bad;
}

/* ---- the older ones ---- */

API(int32_t, ws_gethostname, char *out, int32_t cap)
{
	char name[65] = "";
	(void)gethostname(name, sizeof name - 1);
	if (cap <= 0 || text_give(name, out, (uint32_t)cap) >= (uint32_t)cap)
		return socket_fail(EFAULT);
	return 0;
}

API(int32_t, ws_GetHostNameW, wide *out, int32_t cap)
{
	char name[65] = "";
	(void)gethostname(name, sizeof name - 1);
	if (cap <= 0 || wide_give(name, out, (uint32_t)cap) >= (uint32_t)cap)
		return socket_fail(EFAULT);
	return 0;
}

/* HOSTENT and SERVENT, with what they point to: one of each thread, as long as it asks no more. */
struct host_entry {
	char *name, **aliases;
	int16_t family, len, pad[2];
	char **addresses;
};
struct service_entry {
	char *name, **aliases, *protocol;
	uint16_t port, pad[3];
};
static _Thread_local struct {
	struct host_entry h;
	struct service_entry s;
	char name[256], protocol[8], address[DNS_ADDRESSES][16];
	char *none[1], *addresses[DNS_ADDRESSES + 1];
} entry;

/* Of the first @n of entry.address. */
static struct host_entry *host_entry(const char *name, int16_t family, int16_t len, size_t n)
{
	snprintf(entry.name, sizeof entry.name, "%s", name);
	for (size_t i = 0; i < n; i++)
		entry.addresses[i] = entry.address[i];
	entry.addresses[n] = NULL;
	entry.h = (struct host_entry){.name = entry.name,
				      .aliases = entry.none,
				      .family = family,
				      .len = len,
				      .addresses = entry.addresses};
	return &entry.h;
}

API(struct host_entry *, ws_gethostbyname, const char *name)
{
	const char *host = name ? name : "";
	uint8_t(*found)[16] = (uint8_t(*)[16])entry.address;
	size_t n = 1;
	int32_t bad = inet_pton(AF_INET, host, found[0]) == 1
			  ? 0
			  : name_find(AF_INET, host, found, &n);
	if (bad || !n) {
		last_error_set(bad ? (uint32_t)bad : WSA_HOST_NOT_FOUND);
		return NULL;
	}
	return host_entry(*host ? host : "lodge", AF_INET, 4, n);
}

API(struct host_entry *, ws_gethostbyaddr, const uint8_t *address, int32_t len, int32_t family)
{
	char found[DNS_NAME_MAX] = "";
	bool v6 = family == FAMILY_INET6 && len == 16, v4 = family == AF_INET && len == 4;
	if (!(v4 || v6) || !address_name(v6 ? AF_INET6 : AF_INET, address, found)) {
		last_error_set(v4 || v6 ? WSA_HOST_NOT_FOUND : WSA_FAMILY);
		return NULL;
	}
	memcpy(entry.address[0], address, (size_t)len);
	return host_entry(found, (int16_t)family, (int16_t)len, 1);
}

static struct service_entry *service_entry(size_t i, const char *protocol)
{
	bool known = !protocol || !strcmp(protocol, "tcp") || !strcmp(protocol, "udp");
	if (i == countof(services) || !known) {
		last_error_set(WSA_NO_DATA);
		return NULL;
	}
	snprintf(entry.name, sizeof entry.name, "%s", services[i].name);
	snprintf(entry.protocol, sizeof entry.protocol, "%s", protocol ? protocol : "tcp");
	entry.s = (struct service_entry){
	    entry.name, entry.none, entry.protocol, htons(services[i].port), {0}};
	return &entry.s;
}

API(struct service_entry *, ws_getservbyname, const char *name, const char *protocol)
{
	size_t i = 0;
	while (i < countof(services) && strcasecmp(services[i].name, name) != 0)
		i++;
	return service_entry(i, protocol);
}

API(struct service_entry *, ws_getservbyport, int32_t port, const char *protocol)
{
	size_t i = 0;
	while (i < countof(services) && htons(services[i].port) != (uint16_t)port)
		i++;
	return service_entry(i, protocol);
}

API(uint32_t, ws_inet_addr, const char *s)
{
	struct in_addr a;
	return inet_aton(s, &a) ? a.s_addr : UINT32_MAX;
}

API(int32_t, ws_inet_pton, int32_t family, const char *s, void *out)
{
	int host = family_host(family);
	if (host != AF_INET && host != AF_INET6)
		return socket_fail(EAFNOSUPPORT);
	return inet_pton(host, s, out);
}

API(const char *, ws_inet_ntop, int32_t family, const void *address, char *out, uint64_t cap)
{
	char text[INET6_ADDRSTRLEN];
	int host = family_host(family);
	const char *t = host == AF_INET || host == AF_INET6
			    ? inet_ntop(host, address, text, sizeof text)
			    : NULL;
	if (!t)
		return (void)socket_fail(EAFNOSUPPORT), NULL;
	if (strlen(t) >= cap) {
		last_error_set(ERROR_INVALID_PARAMETER);
		return NULL;
	}
	return strcpy(out, t);
}

API(int32_t, ws_InetPtonW, int32_t family, const wide *s, void *out)
{
	autofree char *t = text_from(s, SIZE_MAX);
	return t ? ws_inet_pton(family, t, out) : 0;
}

API(const wide *, ws_InetNtopW, int32_t family, const void *address, wide *out, uint64_t cap)
{
	char text[INET6_ADDRSTRLEN];
	if (!ws_inet_ntop(family, address, text, sizeof text))
		return NULL;
	if (wide_give(text, out, (uint32_t)min_u64(cap, UINT32_MAX)) < cap)
		return out;
	last_error_set(ERROR_INVALID_PARAMETER);
	return NULL;
}

API(const char *, ws_inet_ntoa, struct in_addr a)
{
	static _Thread_local char text[INET_ADDRSTRLEN];
	return inet_ntop(AF_INET, &a, text, sizeof text);
}
