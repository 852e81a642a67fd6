/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network as iphlpapi tells it: its loopback, with 127.0.0.1 and ::1, which has the
 * name, number and type that Windows gives its own; and, when it is given a network, an interface
 * of Ethernet. */
#include "win/socket.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum { LOOP_TYPE = 24, LOOP_SPEED = 1073741824, UP = 1, FACES = 2 };
enum { ETHERNET_TYPE = 6, ETHERNET_SPEED = 1000000000 };
enum { OF_IPV4 = 2, OF_IPV6 = 23, OF_ANY = 0 };
enum { NO_UNICAST = 1, NO_DNS = 8, WITH_PREFIX = 0x10, NO_NAME = 0x20, WITH_GATEWAYS = 0x80 };

/* An interface. */
struct face {
	uint32_t index, type, mtu, speed, metric;
	uint64_t luid;
	const char *name, *title, *what, *id;
	uint32_t address; /* in host byte order */
	uint8_t prefix;   /* bits of it that are the network's */
	bool ipv6;        /* and ::1 */
	uint8_t hardware[6];
	uint32_t hardware_len;
	const struct win_network *net; /* NULL: the loopback */
};
static const struct face loopback = {
    .index = 1,
    .type = LOOP_TYPE,
    .mtu = UINT32_MAX,
    .speed = LOOP_SPEED,
    .metric = 75,
    .luid = (uint64_t)LOOP_TYPE << 48,
    .name = "loopback_0",
    .title = "Loopback Pseudo-Interface 1",
    .what = "Software Loopback Interface 1",
    .id = "{00000000-0000-0000-0000-000000000001}",
    .address = INADDR_LOOPBACK,
    .prefix = 8,
    .ipv6 = true,
};

static uint32_t mask_of(uint8_t prefix) { return prefix ? UINT32_MAX << (32 - prefix) : 0; }

static struct face ethernet(const struct win_network *net)
{
	struct face f = {.index = 2,
			 .type = ETHERNET_TYPE,
			 .mtu = 1500,
			 .speed = ETHERNET_SPEED,
			 .metric = 25,
			 .luid = (uint64_t)ETHERNET_TYPE << 48 | UINT64_C(0x8000) << 24,
			 .name = "ethernet_32768",
			 .title = "Ethernet",
			 .what = "Lodge User Network",
			 .id = "{00000000-0000-0000-0000-000000000002}",
			 .address = net->address,
			 .prefix = net->prefix,
			 .net = net};
	struct ifreq r = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", net->interface);
	if (fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &r) == 0) {
		memcpy(f.hardware, r.ifr_hwaddr.sa_data, sizeof f.hardware);
		f.hardware_len = sizeof f.hardware;
	}
	if (fd >= 0)
		close(fd);
	return f;
}

/* All that there are, as there those that lead out first; how many. */
static unsigned faces(struct face ret[FACES])
{
	const struct win_network *net = process()->start->network;
	unsigned n = 0;
	if (net)
		ret[n++] = ethernet(net);
	ret[n++] = loopback;
	return n;
}

/* The one of the number @index, or of a LUID of the type @type; false: there is none. */
static bool face_find(struct face *ret, uint32_t index, uint32_t type)
{
	struct face all[FACES];
	for (unsigned i = faces(all); i-- > 0;)
		if (all[i].index == index || all[i].type == type) {
			*ret = all[i];
			return true;
		}
	return false;
}

/* The one by which @to (host byte order) is reached. */
static bool face_towards(struct face *ret, uint32_t to)
{
	return face_find(ret, 0, to >> 24 == 127 ? LOOP_TYPE : ETHERNET_TYPE);
}

/* SOCKET_ADDRESS */
struct address {
	void *at;
	int32_t len, pad;
};
/* IP_ADAPTER_UNICAST_ADDRESS */
struct unicast {
	uint32_t len, flags;
	struct unicast *next;
	struct address address;
	uint32_t prefix_origin, suffix_origin, state, valid, preferred, lease;
	uint8_t prefix_len, pad[7];
};
/* IP_ADAPTER_DNS_SERVER_ADDRESS, IP_ADAPTER_GATEWAY_ADDRESS */
struct server {
	uint32_t len, flags;
	struct server *next;
	struct address address;
};
/* IP_ADAPTER_PREFIX */
struct prefix {
	uint32_t len, flags;
	struct prefix *next;
	struct address address;
	uint32_t prefix_len, pad;
};
/* IP_ADAPTER_ADDRESSES */
struct adapter {
	uint32_t len, index;
	struct adapter *next;
	char *name;
	struct unicast *unicasts;
	void *anycasts, *multicasts, *dns_servers;
	wide *dns_suffix, *what, *title;
	uint8_t hardware[8];
	uint32_t hardware_len, flags, mtu, type, status, index6, zones[16];
	struct prefix *prefixes;
	uint64_t send_speed, receive_speed;
	void *wins, *gateways;
	uint32_t metric4, metric6;
	uint64_t luid;
	struct address dhcp4;
	uint32_t compartment;
	uint8_t network[16];
	uint32_t connection, tunnel;
	struct address dhcp6;
	uint8_t duid[130];
	uint32_t duid_len, iaid;
	void *suffixes;
};
static_assert(sizeof(struct adapter) == 448 && sizeof(struct unicast) == 64, "iptypes.h");

/* All of it in one piece, whose pointers point into it. */
struct all {
	struct adapter a;
	struct unicast u[2];
	struct prefix p[2];
	struct server dns, gateway;
	uint8_t ipv4[16], net4[16], ipv6[28], net6[28], dns4[16], gateway4[16];
	char id[40];
	wide title[32], what[32], none[2];
};

static void ipv4_put(uint8_t *o, uint32_t address)
{
	memset(o, 0, 16);
	le16_put(o, OF_IPV4);
	address = htonl(address);
	memcpy(o + 4, &address, 4);
}

static void ipv6_put(uint8_t *o)
{
	memset(o, 0, 28);
	le16_put(o, OF_IPV6);
	o[23] = 1;
}

static void unicast_put(struct unicast *u, uint8_t *address, int32_t len, uint8_t prefix_len)
{
	*u = (struct unicast){.len = sizeof *u,
			      .address = {address, len, 0},
			      .prefix_origin = 2, /* well known, as is the suffix */
			      .suffix_origin = 2,
			      .state = 4, /* preferred */
			      .valid = UINT32_MAX,
			      .preferred = UINT32_MAX,
			      .lease = UINT32_MAX,
			      .prefix_len = prefix_len};
}

static void server_put(struct server *s, uint8_t at[16], uint32_t address)
{
	ipv4_put(at, address);
	*s = (struct server){.len = sizeof *s, .address = {at, 16, 0}};
}

static void all_fill(struct all *o, const struct face *f, uint32_t family, uint32_t flags)
{
	unsigned n = 0;
	ipv4_put(o->ipv4, f->address);
	ipv4_put(o->net4, f->address & mask_of(f->prefix));
	ipv6_put(o->ipv6);
	ipv6_put(o->net6);
	snprintf(o->id, sizeof o->id, "%s", f->id);
	wide_give(f->title, o->title, countof(o->title));
	wide_give(f->what, o->what, countof(o->what));
	o->a = (struct adapter){.len = sizeof o->a,
				.index = f->index,
				.index6 = f->ipv6 ? f->index : 0,
				.name = o->id,
				.dns_suffix = o->none,
				.what = o->what,
				.title = flags & NO_NAME ? NULL : o->title,
				.flags = f->ipv6 ? 0x180 : 0x80, /* IPv4, IPv6 enabled */
				.mtu = f->mtu,
				.type = f->type,
				.status = UP,
				.hardware_len = f->hardware_len,
				.send_speed = f->speed,
				.receive_speed = f->speed,
				.metric4 = f->metric,
				.metric6 = f->metric,
				.luid = f->luid,
				.compartment = 1,
				.connection = 1};
	memcpy(o->a.hardware, f->hardware, sizeof f->hardware);
	if (family != OF_IPV4 && f->ipv6) {
		unicast_put(&o->u[n], o->ipv6, 28, 128);
		o->p[n++] = (struct prefix){sizeof o->p[0], 0, NULL, {o->net6, 28, 0}, 128, 0};
	}
	if (family != OF_IPV6) {
		unicast_put(&o->u[n], o->ipv4, 16, f->prefix);
		o->p[n++] =
		    (struct prefix){sizeof o->p[0], 0, NULL, {o->net4, 16, 0}, f->prefix, 0};
	}
	if (n == 2) {
		o->u[0].next = &o->u[1];
		o->p[0].next = &o->p[1];
	}
	o->a.unicasts = n == 0 || flags & NO_UNICAST ? NULL : o->u;
	o->a.prefixes = n > 0 && flags & WITH_PREFIX ? o->p : NULL;
	if (!f->net)
		return;
	server_put(&o->dns, o->dns4, f->net->resolver);
	server_put(&o->gateway, o->gateway4, f->net->gateway);
	o->a.dns_servers = flags & NO_DNS ? NULL : &o->dns;
	o->a.gateways = flags & WITH_GATEWAYS ? &o->gateway : NULL;
}

enum { ERROR_NO_ADAPTER = 232, ERROR_ROOM = 111 };

API(uint32_t, ip_GetAdaptersAddresses, uint32_t family, uint32_t flags, void *reserved,
    struct all *out, uint32_t *size)
{
	struct face all[FACES];
	unsigned n = faces(all);
	(void)reserved;
	if (!size || (family != OF_ANY && family != OF_IPV4 && family != OF_IPV6))
		return ERROR_INVALID_PARAMETER;
	if (family == OF_IPV6 && n == FACES) /* the loopback alone has such addresses */
		all[0] = all[--n];
	bool fits = out && *size >= n * sizeof *out;
	*size = (uint32_t)(n * sizeof *out);
	if (!fits)
		return ERROR_ROOM;
	memset(out, 0, n * sizeof *out);
	for (unsigned i = 0; i < n; i++) {
		all_fill(&out[i], &all[i], family, flags);
		if (i)
			out[i - 1].a.next = &out[i].a;
	}
	return 0;
}

enum { INFO = 704, INFO_ADDRESS = 440, INFO_GATEWAY = 488 };

/* IP_ADDR_STRING */
static void address_text_put(uint8_t *o, uint32_t address, uint32_t mask)
{
	address = htonl(address);
	mask = htonl(mask);
	(void)inet_ntop(AF_INET, &address, (char *)o + 8, 16);
	(void)inet_ntop(AF_INET, &mask, (char *)o + 24, 16);
}

/* IP_ADAPTER_INFO of what is no loopback. */
API(uint32_t, ip_GetAdaptersInfo, uint8_t *out, uint32_t *size)
{
	struct face f;
	if (!size)
		return ERROR_INVALID_PARAMETER;
	if (!face_find(&f, 0, ETHERNET_TYPE))
		return ERROR_NO_ADAPTER;
	bool fits = out && *size >= INFO;
	*size = INFO;
	if (!fits)
		return ERROR_ROOM;
	memset(out, 0, INFO);
	le32_put(out + 8, f.index);
	memcpy(out + 12, f.id, strlen(f.id));
	memcpy(out + 272, f.what, strlen(f.what));
	le32_put(out + 404, f.hardware_len);
	memcpy(out + 408, f.hardware, sizeof f.hardware);
	le32_put(out + 416, f.index);
	le32_put(out + 420, f.type);
	address_text_put(out + INFO_ADDRESS, f.address, mask_of(f.prefix));
	address_text_put(out + INFO_GATEWAY, f.net->gateway, UINT32_MAX);
	return 0;
}

/* ---- numbers and names of interfaces ---- */

API(uint32_t, ip_if_nametoindex, const char *name)
{
	struct face all[FACES];
	for (unsigned i = faces(all); i-- > 0;)
		if (strcasecmp(name, all[i].name) == 0)
			return all[i].index;
	return 0;
}

API(char *, ip_if_indextoname, uint32_t index, char *ret)
{
	struct face f;
	return face_find(&f, index, 0) ? strcpy(ret, f.name) : NULL;
}

API(uint32_t, ip_ConvertInterfaceIndexToLuid, uint32_t index, uint64_t *ret)
{
	struct face f;
	*ret = face_find(&f, index, 0) ? f.luid : 0;
	return *ret ? 0 : ERROR_FILE_NOT_FOUND;
}

API(uint32_t, ip_ConvertInterfaceLuidToIndex, const uint64_t *luid, uint32_t *ret)
{
	struct face f;
	bool there = face_find(&f, 0, (uint32_t)(*luid >> 48)) && f.luid == *luid;
	*ret = there ? f.index : 0;
	return *ret ? 0 : ERROR_FILE_NOT_FOUND;
}

API(uint32_t, ip_ConvertInterfaceLuidToNameW, const uint64_t *luid, wide *buf, uint64_t n)
{
	struct face f;
	if (!buf || !face_find(&f, 0, (uint32_t)(*luid >> 48)))
		return ERROR_INVALID_PARAMETER;
	return wide_give(f.name, buf, (uint32_t)n) < n ? 0 : ERROR_NOT_ENOUGH_MEMORY;
}

API(uint32_t, ip_ConvertInterfaceLuidToNameA, const uint64_t *luid, char *buf, uint64_t n)
{
	struct face f;
	if (!buf || !face_find(&f, 0, (uint32_t)(*luid >> 48)))
		return ERROR_INVALID_PARAMETER;
	return text_give(f.name, buf, (uint32_t)n) < n ? 0 : ERROR_NOT_ENOUGH_MEMORY;
}

API(uint32_t, ip_GetNumberOfInterfaces, uint32_t *ret)
{
	struct face all[FACES];
	*ret = faces(all);
	return 0;
}

API(uint32_t, ip_GetBestInterface, uint32_t address, uint32_t *ret)
{
	struct face f;
	if (face_towards(&f, ntohl(address))) {
		*ret = f.index;
		return 0;
	}
	*ret = loopback.index;
	return ERROR_NETWORK_UNREACHABLE;
}

/* ---- older tables: @n bytes of a table, whose size is told when there is no room ---- */

static uint32_t table_give(void *out, uint32_t *size, const void *table, uint32_t n)
{
	if (!size)
		return ERROR_INVALID_PARAMETER;
	bool fits = out && *size >= n;
	*size = n;
	if (!fits)
		return ERROR_INSUFFICIENT_BUFFER;
	memcpy(out, table, n);
	return 0;
}

enum { ROW_NAME = 256, ROW = 860, ROW_TEXT = 604, OPERATIONAL = 5 };

/* MIB_IFROW */
static void row_put(uint8_t *o, const struct face *f)
{
	memset(o, 0, ROW);
	wide_give(f->title, (wide *)(void *)o, ROW_NAME);
	le32_put(o + 512, f->index);
	le32_put(o + 516, f->type);
	le32_put(o + 520, 1500);
	le32_put(o + 524, f->speed);
	le32_put(o + 528, f->hardware_len);
	memcpy(o + 532, f->hardware, sizeof f->hardware);
	le32_put(o + 540, UP);
	le32_put(o + 544, OPERATIONAL);
	le32_put(o + 600, (uint32_t)strlen(f->what) + 1);
	memcpy(o + ROW_TEXT, f->what, strlen(f->what) + 1);
}

API(uint32_t, ip_GetIfTable, void *out, uint32_t *size, uint32_t order)
{
	struct face all[FACES];
	uint8_t table[4 + FACES * ROW];
	unsigned n = faces(all);
	(void)order;
	le32_put(table, n);
	for (unsigned i = 0; i < n; i++) /* by number */
		row_put(table + 4 + i * ROW, &all[n - 1 - i]);
	return table_give(out, size, table, 4 + n * ROW);
}

API(uint32_t, ip_GetIfEntry, uint8_t *row)
{
	struct face f;
	if (!face_find(&f, le32_at(row + 512), 0))
		return ERROR_INVALID_DATA;
	row_put(row, &f);
	return 0;
}

API(uint32_t, ip_GetIpAddrTable, void *out, uint32_t *size, uint32_t order)
{
	enum { WORDS = 6 };
	struct face all[FACES];
	uint32_t table[1 + FACES * WORDS];
	unsigned n = faces(all);
	(void)order;
	table[0] = n;
	for (unsigned i = 0; i < n; i++) {
		const struct face *f = &all[i];
		const uint32_t row[WORDS] = {
		    htonl(f->address), f->index, htonl(mask_of(f->prefix)), 1, 65535, 0};
		memcpy(table + 1 + i * WORDS, row, sizeof row);
	}
	return table_give(out, size, table, (uint32_t)(sizeof *table * (1 + n * WORDS)));
}

enum { PARAMS = 600, PARAMS_NODE = 320, PARAMS_DNS = 272, NODE_HYBRID = 8 };

/* FIXED_INFO, with who is asked for names, if anybody can be. */
API(uint32_t, ip_GetNetworkParams, void *out, uint32_t *size)
{
	uint8_t table[PARAMS] = {0};
	const struct win_network *net = process()->start->network;
	if (!size)
		return ERROR_INVALID_PARAMETER;
	if (!out || *size < PARAMS) {
		*size = PARAMS;
		return ERROR_ROOM;
	}
	(void)gethostname((char *)table, 131);
	le32_put(table + PARAMS_NODE, NODE_HYBRID);
	if (net)
		address_text_put(table + PARAMS_DNS, net->resolver, UINT32_MAX);
	if (net) /* the first of the list is the current one */
		le64_put(table + PARAMS_DNS - 8, (uint64_t)(uintptr_t)out + PARAMS_DNS);
	*size = PARAMS;
	memcpy(out, table, PARAMS);
	return 0;
}

/* ---- newer ones, freed by FreeMibTable ---- */

enum { UNICAST_ROW = 80 };

static void unicast_row_put(uint8_t *o, const struct face *f, bool ipv6)
{
	if (ipv6)
		ipv6_put(o);
	else
		ipv4_put(o, f->address);
	le64_put(o + 32, f->luid);
	le32_put(o + 40, f->index);
	le32_put(o + 44, 2);
	le32_put(o + 48, 2);
	le32_put(o + 52, UINT32_MAX);
	le32_put(o + 56, UINT32_MAX);
	o[60] = ipv6 ? 128 : f->prefix;
	le32_put(o + 64, 4);
}

API(uint32_t, ip_GetUnicastIpAddressTable, uint16_t family, uint8_t **ret)
{
	struct face all[FACES];
	unsigned n = faces(all);
	uint8_t *t = heap_alloc(8 + 2 * FACES * UNICAST_ROW, true), *row = t + 8;
	if (!t)
		return ERROR_NOT_ENOUGH_MEMORY;
	for (unsigned i = 0; i < 2 * n; i++) {
		const struct face *f = &all[i / 2];
		const bool v6 = i % 2;
		if ((v6 && !f->ipv6) || (family != OF_ANY && family != (v6 ? OF_IPV6 : OF_IPV4)))
			continue;
		unicast_row_put(row, f, v6);
		row += UNICAST_ROW;
	}
	le32_put(t, (uint32_t)(row - t - 8) / UNICAST_ROW);
	*ret = t;
	return 0;
}

API(void, ip_FreeMibTable, void *table) { heap_free(table); }

enum { ROUTE_ROW = 104 };

/* MIB_IPFORWARD_ROW2 of the way by @f to @to, and the address that is used there. */
static void route_put(uint8_t *row, uint8_t *from, const struct face *f, uint32_t to)
{
	const bool near = !f->net || !((to ^ f->address) & mask_of(f->prefix));
	memset(row, 0, ROUTE_ROW);
	le64_put(row, f->luid);
	le32_put(row + 8, f->index);
	ipv4_put(row + 12, !near ? 0 : f->net ? to & mask_of(f->prefix) : to);
	row[40] = !near ? 0 : f->net ? f->prefix : 32;
	ipv4_put(row + 44, near ? 0 : f->net->gateway);
	memset(from, 0, 28);
	ipv4_put(from, f->address);
}

/* Which address would be used towards @to (SOCKADDR_INET). */
API(uint32_t, ip_GetBestRoute2, const uint64_t *luid, uint32_t index, const void *from,
    const uint8_t *to, uint32_t options, uint8_t *ret_row, uint8_t *ret_from)
{
	static const uint8_t own6[16] = {[15] = 1};
	struct face f;
	uint32_t address;
	(void)luid;
	(void)index;
	(void)from;
	(void)options;
	memcpy(&address, to + 4, sizeof address);
	if (le16_at(to) != OF_IPV6) {
		if (!face_towards(&f, ntohl(address)))
			return ERROR_NETWORK_UNREACHABLE;
		route_put(ret_row, ret_from, &f, ntohl(address));
		return 0;
	}
	if (memcmp(to + 8, own6, 16) != 0)
		return ERROR_NETWORK_UNREACHABLE;
	memset(ret_row, 0, ROUTE_ROW);
	le64_put(ret_row, loopback.luid);
	le32_put(ret_row + 8, loopback.index);
	ipv6_put(ret_row + 12);
	ret_row[40] = 128;
	memset(ret_from, 0, 28);
	ipv6_put(ret_from);
	return 0;
}

/* Nothing of it changes as long as the guest lives, so nobody is ever told. */
API(uint32_t, ip_NotifyIpInterfaceChange, uint16_t family, uint64_t fn, uint64_t arg, uint8_t first,
    uint64_t *ret)
{
	(void)family;
	if (first)
		guest_call4(fn, arg, 0, 3 /* as it is at first */, 0);
	*ret = (uint64_t)(uintptr_t)heap_alloc(16, true);
	return *ret ? 0 : ERROR_NOT_ENOUGH_MEMORY;
}

API(uint32_t, ip_CancelMibChangeNotify2, uint64_t h)
{
	if (!h)
		return ERROR_INVALID_PARAMETER;
	heap_free((void *)(uintptr_t)h);
	return 0;
}
