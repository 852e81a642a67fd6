/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network as iphlpapi tells it: one interface, its loopback, with 127.0.0.1 and ::1. It
 * has the name, number and type that Windows gives its own. */
#include "win/socket.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum { LOOP_INDEX = 1, LOOP_TYPE = 24, LOOP_SPEED = 1073741824, METRIC = 75, UP = 1 };
enum { OF_IPV4 = 2, OF_IPV6 = 23, OF_ANY = 0 };
enum { NO_UNICAST = 1, NO_NAME = 0x20, WITH_PREFIX = 0x10 };
static const uint64_t LOOP_LUID = (uint64_t)LOOP_TYPE << 48;
static const char loop_name[] = "loopback_0";
static const char loop_title[] = "Loopback Pseudo-Interface 1";
static const char loop_what[] = "Software Loopback Interface 1";
static const char loop_id[] = "{00000000-0000-0000-0000-000000000001}";

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
	uint8_t ipv4[16], net4[16], ipv6[28], net6[28];
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

static void all_fill(struct all *o, uint32_t family, uint32_t flags)
{
	unsigned n = 0;
	ipv4_put(o->ipv4, INADDR_LOOPBACK);
	ipv4_put(o->net4, INADDR_LOOPBACK & 0xff000000);
	ipv6_put(o->ipv6);
	ipv6_put(o->net6);
	memcpy(o->id, loop_id, sizeof loop_id);
	wide_give(loop_title, o->title, countof(o->title));
	wide_give(loop_what, o->what, countof(o->what));
	o->a = (struct adapter){.len = sizeof o->a,
				.index = LOOP_INDEX,
				.index6 = LOOP_INDEX,
				.name = o->id,
				.dns_suffix = o->none,
				.what = o->what,
				.title = flags & NO_NAME ? NULL : o->title,
				.flags = 0x180, /* IPv4 and IPv6 are enabled */
				.mtu = UINT32_MAX,
				.type = LOOP_TYPE,
				.status = UP,
				.send_speed = LOOP_SPEED,
				.receive_speed = LOOP_SPEED,
				.metric4 = METRIC,
				.metric6 = METRIC,
				.luid = LOOP_LUID,
				.compartment = 1,
				.connection = 1};
	if (family != OF_IPV4) {
		unicast_put(&o->u[n], o->ipv6, 28, 128);
		o->p[n++] = (struct prefix){sizeof o->p[0], 0, NULL, {o->net6, 28, 0}, 128, 0};
	}
	if (family != OF_IPV6) {
		unicast_put(&o->u[n], o->ipv4, 16, 8);
		o->p[n++] = (struct prefix){sizeof o->p[0], 0, NULL, {o->net4, 16, 0}, 8, 0};
	}
	if (n == 2) {
		o->u[0].next = &o->u[1];
		o->p[0].next = &o->p[1];
	}
	o->a.unicasts = flags & NO_UNICAST ? NULL : o->u;
	o->a.prefixes = flags & WITH_PREFIX ? o->p : NULL;
}

enum { ERROR_NO_ADAPTER = 232, ERROR_ROOM = 111 };

API(uint32_t, ip_GetAdaptersAddresses, uint32_t family, uint32_t flags, void *reserved,
    struct all *out, uint32_t *size)
{
	(void)reserved;
	if (!size || (family != OF_ANY && family != OF_IPV4 && family != OF_IPV6))
		return ERROR_INVALID_PARAMETER;
	bool fits = out && *size >= sizeof *out;
	*size = sizeof *out;
	if (!fits)
		return ERROR_ROOM;
	memset(out, 0, sizeof *out);
	all_fill(out, family, flags);
	return 0;
}

/* Which lists what is no loopback: nothing. */
API(uint32_t, ip_GetAdaptersInfo, void *out, uint32_t *size)
{
	(void)out;
	return size ? ERROR_NO_ADAPTER : ERROR_INVALID_PARAMETER;
}

/* ---- numbers and names of interfaces ---- */

API(uint32_t, ip_if_nametoindex, const char *name)
{
	return strcasecmp(name, loop_name) == 0 ? LOOP_INDEX : 0;
}

API(char *, ip_if_indextoname, uint32_t index, char *ret)
{
	return index == LOOP_INDEX ? strcpy(ret, loop_name) : NULL;
}

API(uint32_t, ip_ConvertInterfaceIndexToLuid, uint32_t index, uint64_t *ret)
{
	*ret = index == LOOP_INDEX ? LOOP_LUID : 0;
	return *ret ? 0 : ERROR_FILE_NOT_FOUND;
}

API(uint32_t, ip_ConvertInterfaceLuidToIndex, const uint64_t *luid, uint32_t *ret)
{
	*ret = *luid == LOOP_LUID ? LOOP_INDEX : 0;
	return *ret ? 0 : ERROR_FILE_NOT_FOUND;
}

API(uint32_t, ip_ConvertInterfaceLuidToNameW, const uint64_t *luid, wide *buf, uint64_t n)
{
	if (*luid >> 48 != LOOP_TYPE || !buf)
		return ERROR_INVALID_PARAMETER;
	return wide_give(loop_name, buf, (uint32_t)n) < n ? 0 : ERROR_NOT_ENOUGH_MEMORY;
}

API(uint32_t, ip_ConvertInterfaceLuidToNameA, const uint64_t *luid, char *buf, uint64_t n)
{
	if (*luid >> 48 != LOOP_TYPE || !buf)
		return ERROR_INVALID_PARAMETER;
	return text_give(loop_name, buf, (uint32_t)n) < n ? 0 : ERROR_NOT_ENOUGH_MEMORY;
}

API(uint32_t, ip_GetNumberOfInterfaces, uint32_t *ret)
{
	*ret = 1;
	return 0;
}

API(uint32_t, ip_GetBestInterface, uint32_t address, uint32_t *ret)
{
	*ret = LOOP_INDEX;
	return ntohl(address) >> 24 == 127 ? 0 : ERROR_NETWORK_UNREACHABLE;
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
static void row_put(uint8_t *o)
{
	memset(o, 0, ROW);
	wide_give(loop_title, (wide *)(void *)o, ROW_NAME);
	le32_put(o + 512, LOOP_INDEX);
	le32_put(o + 516, LOOP_TYPE);
	le32_put(o + 520, 1500);
	le32_put(o + 524, LOOP_SPEED);
	le32_put(o + 540, UP);
	le32_put(o + 544, OPERATIONAL);
	le32_put(o + 600, sizeof loop_what);
	memcpy(o + ROW_TEXT, loop_what, sizeof loop_what);
}

API(uint32_t, ip_GetIfTable, void *out, uint32_t *size, uint32_t order)
{
	uint8_t table[4 + ROW];
	(void)order;
	le32_put(table, 1);
	row_put(table + 4);
	return table_give(out, size, table, sizeof table);
}

API(uint32_t, ip_GetIfEntry, uint8_t *row)
{
	if (le32_at(row + 512) != LOOP_INDEX)
		return ERROR_INVALID_DATA;
	row_put(row);
	return 0;
}

API(uint32_t, ip_GetIpAddrTable, void *out, uint32_t *size, uint32_t order)
{
	(void)order;
	const uint32_t table[] = {
	    1, htonl(INADDR_LOOPBACK), LOOP_INDEX, htonl(0xff000000), 1, 65535, 0};
	return table_give(out, size, table, sizeof table);
}

enum { PARAMS = 600, PARAMS_NODE = 320, PARAMS_DNS = 272, NODE_HYBRID = 8 };

/* FIXED_INFO: there is nobody to ask for names. */
API(uint32_t, ip_GetNetworkParams, void *out, uint32_t *size)
{
	uint8_t table[PARAMS] = {0};
	if (!size)
		return ERROR_INVALID_PARAMETER;
	if (!out || *size < PARAMS) {
		*size = PARAMS;
		return ERROR_ROOM;
	}
	(void)gethostname((char *)table, 131);
	le32_put(table + PARAMS_NODE, NODE_HYBRID);
	*size = PARAMS;
	memcpy(out, table, PARAMS);
	return 0;
}

/* ---- newer ones, freed by FreeMibTable ---- */

enum { UNICAST_ROW = 80 };

static void unicast_row_put(uint8_t *o, bool ipv6)
{
	if (ipv6)
		ipv6_put(o);
	else
		ipv4_put(o, INADDR_LOOPBACK);
	le64_put(o + 32, LOOP_LUID);
	le32_put(o + 40, LOOP_INDEX);
	le32_put(o + 44, 2);
	le32_put(o + 48, 2);
	le32_put(o + 52, UINT32_MAX);
	le32_put(o + 56, UINT32_MAX);
	o[60] = ipv6 ? 128 : 8;
	le32_put(o + 64, 4);
}

API(uint32_t, ip_GetUnicastIpAddressTable, uint16_t family, uint8_t **ret)
{
	uint8_t *t = heap_alloc(8 + 2 * UNICAST_ROW, true), *row = t + 8;
	if (!t)
		return ERROR_NOT_ENOUGH_MEMORY;
	for (unsigned v6 = 0; v6 < 2; v6++)
		if (family == OF_ANY || family == (v6 ? OF_IPV6 : OF_IPV4)) {
			unicast_row_put(row, v6);
			row += UNICAST_ROW;
		}
	le32_put(t, (uint32_t)(row - t - 8) / UNICAST_ROW);
	*ret = t;
	return 0;
}

API(void, ip_FreeMibTable, void *table) { heap_free(table); }

/* Which address would be used towards @to (SOCKADDR_INET): its own, if that is its own. */
API(uint32_t, ip_GetBestRoute2, const uint64_t *luid, uint32_t index, const void *from,
    const uint8_t *to, uint32_t options, uint8_t *ret_row, uint8_t *ret_from)
{
	enum { ROUTE_ROW = 104 };
	static const uint8_t own6[16] = {[15] = 1};
	(void)luid;
	(void)index;
	(void)from;
	(void)options;
	bool v6 = le16_at(to) == OF_IPV6;
	if (v6 ? memcmp(to + 8, own6, 16) != 0 : to[4] != 127)
		return ERROR_NETWORK_UNREACHABLE;
	memset(ret_row, 0, ROUTE_ROW);
	le64_put(ret_row, LOOP_LUID);
	le32_put(ret_row + 8, LOOP_INDEX);
	memcpy(ret_row + 12, to, 28);
	ret_row[40] = v6 ? 128 : 32;
	memset(ret_from, 0, 28);
	if (v6)
		ipv6_put(ret_from);
	else
		ipv4_put(ret_from, INADDR_LOOPBACK);
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
