/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces and names: the loopback, which every machine has. */
#include "test.h"
#include <winsock2.h>
#include <ws2tcpip.h>

#include <iphlpapi.h> /* needs those before it */

typedef ULONG(WINAPI *adapters_fn)(ULONG, ULONG, void *, IP_ADAPTER_ADDRESSES *, ULONG *);
static void *function(const char *name)
{
	void *f = (void *)GetProcAddress(LoadLibraryA("iphlpapi.dll"), name);
	CHECK(f != NULL);
	return f;
}

static IP_ADAPTER_ADDRESSES *loopback_of(IP_ADAPTER_ADDRESSES *a)
{
	while (a && a->IfType != IF_TYPE_SOFTWARE_LOOPBACK)
		a = a->Next;
	return a;
}

/* What is wrong with it, a bit for each; 0: nothing. */
static int loopback_wrong(const IP_ADAPTER_ADDRESSES *a)
{
	int v4 = 0, v6 = 0;
	if (!a)
		return 1;
	for (const IP_ADAPTER_UNICAST_ADDRESS *u = a->FirstUnicastAddress; u; u = u->Next) {
		const struct sockaddr_in *in = (void *)u->Address.lpSockaddr;
		const struct sockaddr_in6 *in6 = (void *)in;
		if (in->sin_family == AF_INET)
			v4 += u->Address.iSockaddrLength == sizeof *in &&
			      u->OnLinkPrefixLength == 8 &&
			      ntohl(in->sin_addr.s_addr) == INADDR_LOOPBACK &&
			      u->DadState == IpDadStatePreferred;
		else if (in->sin_family == AF_INET6)
			v6 += u->OnLinkPrefixLength == 128 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	}
	return !(a->AdapterName && a->AdapterName[0] == '{') << 1 |
	       !(a->FriendlyName && *a->FriendlyName) << 2 |
	       !(a->Description && a->DnsSuffix) << 3 | (a->OperStatus != IfOperStatusUp) << 4 |
	       (a->PhysicalAddressLength != 0) << 5 | (a->IfIndex != 1) << 6 |
	       (a->Luid.Info.IfType != IF_TYPE_SOFTWARE_LOOPBACK) << 7 | (v4 != 1) << 8 |
	       (v6 != 1) << 9;
}

static void adapters(void)
{
	adapters_fn get = function("GetAdaptersAddresses");
	static char room[60000];
	IP_ADAPTER_ADDRESSES *all = (void *)room, *a;
	ULONG size = 0, flags = GAA_FLAG_SKIP_DNS_SERVER;
	ULONG prefixes = flags | GAA_FLAG_INCLUDE_PREFIX;
	SAME(get(AF_UNSPEC, flags, NULL, NULL, &size), ERROR_BUFFER_OVERFLOW);
	CHECK(size >= sizeof(IP_ADAPTER_ADDRESSES) && size < sizeof room);
	size = sizeof room;
	SAME(get(AF_UNSPEC, prefixes, NULL, all, &size), ERROR_SUCCESS);
	SAME(loopback_wrong(loopback_of(all)), 0);
	memset(room, 0, sizeof room);
	size = sizeof room;
	SAME(get(AF_INET, flags | GAA_FLAG_SKIP_FRIENDLY_NAME, NULL, all, &size), ERROR_SUCCESS);
	a = loopback_of(all);
	CHECK(a && a->FirstUnicastAddress && !a->FirstUnicastAddress->Next &&
	      a->FirstUnicastAddress->Address.lpSockaddr->sa_family == AF_INET);
	memset(room, 0, sizeof room);
	size = sizeof room;
	SAME(get(AF_INET, flags | GAA_FLAG_SKIP_UNICAST, NULL, all, &size), ERROR_SUCCESS);
	a = loopback_of(all);
	CHECK(a && !a->FirstUnicastAddress);
	SAME(get(99, 0, NULL, all, &size), ERROR_INVALID_PARAMETER);
}

static void numbers(void)
{
	ULONG(WINAPI * to_luid)(ULONG, NET_LUID *) = function("ConvertInterfaceIndexToLuid");
	ULONG(WINAPI * to_index)(NET_LUID *, ULONG *) = function("ConvertInterfaceLuidToIndex");
	ULONG(WINAPI * to_name)
	(NET_LUID *, wchar_t *, size_t) = function("ConvertInterfaceLuidToNameW");
	ULONG(WINAPI * best)(ULONG, ULONG *) = function("GetBestInterface");
	ULONG(WINAPI * count)(ULONG *) = function("GetNumberOfInterfaces");
	NET_LUID l;
	ULONG i = 99;
	wchar_t name[300];
	SAME(to_luid(1, &l), 0);
	SAME(l.Info.IfType, IF_TYPE_SOFTWARE_LOOPBACK);
	SAME(to_index(&l, &i), 0);
	SAME(i, 1);
	SAME(to_luid(12345, &l), ERROR_FILE_NOT_FOUND);
	to_luid(1, &l);
	SAME(to_name(&l, name, 300), 0);
	CHECK(*name);
	SAME(to_name(&l, name, 2), ERROR_NOT_ENOUGH_MEMORY);
	SAME(best(inet_addr("127.0.0.1"), &i), 0);
	SAME(i, 1);
	SAME(count(&i), 0);
	CHECK(i >= 1);
}

static void tables(void)
{
	ULONG(WINAPI * interfaces)(MIB_IFTABLE *, ULONG *, BOOL) = function("GetIfTable");
	ULONG(WINAPI * entry)(MIB_IFROW *) = function("GetIfEntry");
	ULONG(WINAPI * addresses)(MIB_IPADDRTABLE *, ULONG *, BOOL) = function("GetIpAddrTable");
	ULONG(WINAPI * parameters)(FIXED_INFO *, ULONG *) = function("GetNetworkParams");
	static char room[60000];
	MIB_IFTABLE *t = (void *)room;
	MIB_IPADDRTABLE *at = (void *)room;
	FIXED_INFO *info = (void *)room;
	ULONG size = 0;
	int seen = 0;
	SAME(interfaces(NULL, &size, TRUE), ERROR_INSUFFICIENT_BUFFER);
	SAME(interfaces(t, &size, TRUE), 0);
	CHECK(t->dwNumEntries >= 1);
	for (unsigned i = 0; i < t->dwNumEntries; i++)
		if (t->table[i].dwType == IF_TYPE_SOFTWARE_LOOPBACK) {
			seen++;
			SAME(t->table[i].dwIndex, 1);
			SAME(t->table[i].dwAdminStatus, 1);
			SAME(t->table[i].dwOperStatus, 5);
			CHECK(t->table[i].dwDescrLen > 0);
		}
	SAME(seen, 1);
	MIB_IFROW row = {.dwIndex = 1};
	SAME(entry(&row), 0);
	SAME(row.dwType, IF_TYPE_SOFTWARE_LOOPBACK);
	row.dwIndex = 999;
	CHECK(entry(&row) != 0);
	size = 0;
	SAME(addresses(NULL, &size, TRUE), ERROR_INSUFFICIENT_BUFFER);
	SAME(addresses(at, &size, TRUE), 0);
	seen = 0;
	for (unsigned i = 0; i < at->dwNumEntries; i++)
		if (at->table[i].dwAddr == htonl(INADDR_LOOPBACK)) {
			seen++;
			SAME(ntohl(at->table[i].dwMask), 0xff000000);
			SAME(at->table[i].dwIndex, 1);
		}
	SAME(seen, 1);
	size = 0;
	SAME(parameters(NULL, &size), ERROR_BUFFER_OVERFLOW);
	CHECK(size >= sizeof *info);
	size = sizeof room;
	SAME(parameters(info, &size), 0);
	CHECK(info->HostName[0] != 0);
}

static void names(void)
{
	struct hostent *h = gethostbyname("localhost");
	CHECK(h && h->h_addrtype == AF_INET && h->h_length == 4 && h->h_addr_list[0]);
	CHECK(h && *(u_long *)h->h_addr_list[0] == htonl(INADDR_LOOPBACK));
	CHECK(h && !h->h_addr_list[1]);
	h = gethostbyname("127.0.0.3");
	CHECK(h && *(u_long *)h->h_addr_list[0] == htonl(0x7f000003));
	struct servent *s = getservbyname("http", "tcp");
	CHECK(s && ntohs(s->s_port) == 80 && !strcmp(s->s_proto, "tcp") &&
	      !strcmp(s->s_name, "http"));
	s = getservbyport(htons(443), "tcp");
	CHECK(s && !strcmp(s->s_name, "https"));
	CHECK(!getservbyname("no-such-service", "tcp"));
	SAME(WSAGetLastError(), WSANO_DATA);
}

/* A connection that fails is an exception of select, not something to write to. */
static void selected(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int len = sizeof a;
	SOCKET l = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0);
	bind(l, (void *)&a, sizeof a);
	getsockname(l, (void *)&a, &len);
	closesocket(l); /* nobody listens there */
	u_long on = 1;
	ioctlsocket(s, FIONBIO, &on);
	connect(s, (void *)&a, sizeof a);
	fd_set w, x;
	FD_ZERO(&w);
	FD_ZERO(&x);
	FD_SET(s, &w);
	FD_SET(s, &x);
	struct timeval soon = {10, 0};
	SAME(select(0, NULL, &w, &x, &soon), 1);
	CHECK(!FD_ISSET(s, &w));
	CHECK(FD_ISSET(s, &x));
	int error = 0;
	len = sizeof error;
	getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&error, &len);
	SAME(error, WSAECONNREFUSED);
	closesocket(s);
}

/* Whole addresses as text, and back. */
static void texts(void)
{
	static const struct {
		int family;
		const char *text, *back; /* back: NULL, as it was; "": it is no address */
	} rows[] = {
	    {AF_INET, "1.2.3.4", NULL},
	    {AF_INET, "1.2.3.4:80", NULL},
	    {AF_INET, "255.255.255.255:65535", NULL},
	    {AF_INET, "1.2.3.4:0", ""},
	    {AF_INET, "1.2.3.4:65536", ""},
	    {AF_INET, "1.2.3.4:", ""},
	    {AF_INET, "1.2.3.4:8x", ""},
	    {AF_INET, "1.2.3.400", ""},
	    {AF_INET, "", ""},
	    {AF_INET, "::1", ""},
	    {AF_INET6, "::1", NULL},
	    {AF_INET6, "[::1]:80", NULL},
	    {AF_INET6, "[::1]", "::1"},
	    {AF_INET6, "fe80::1%7", NULL},
	    {AF_INET6, "[fe80::1%7]:443", NULL},
	    {AF_INET6, "2001:db8::ff00:42:8329", NULL},
	    {AF_INET6, "[::1:80", ""},
	    {AF_INET6, "[::1]:x", ""},
	    {AF_INET6, "[::1]:0", ""},
	    {AF_INET6, "1.2.3.4", ""},
	    {AF_INET6, "1::2::3", ""},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char in[64], out[64] = "", name[100];
		WCHAR wide[64];
		struct sockaddr_in6 a = {0};
		int n = sizeof a, good = !rows[i].back || *rows[i].back;
		DWORD len = sizeof out;
		sprintf(in, "%s", rows[i].text);
		sprintf(name, "%s as %d", in, rows[i].family == AF_INET ? 4 : 6);
		WSASetLastError(0);
		IS(name, WSAStringToAddressA(in, rows[i].family, NULL, (void *)&a, &n),
		   good ? 0 : SOCKET_ERROR);
		IS(name, WSAGetLastError(), good ? 0 : WSAEINVAL);
		if (!good)
			continue;
		IS(name, n, rows[i].family == AF_INET ? 16 : 28);
		SAME(WSAAddressToStringA((void *)&a, n, NULL, out, &len), 0);
		TEXT(name, out, rows[i].back ? rows[i].back : in);
		IS(name, len, strlen(out) + 1);
		len = COUNT(wide);
		SAME(WSAAddressToStringW((void *)&a, n, NULL, wide, &len), 0);
		IS(name, len, strlen(out) + 1);
		IS(name, wide[len - 2], out[len - 2]);
		len = 3;
		SAME(WSAAddressToStringA((void *)&a, n, NULL, out, &len), SOCKET_ERROR);
		SAME(WSAGetLastError(), WSAEFAULT);
		IS(name, len, strlen(out) + 1);
		n = 3;
		SAME(WSAStringToAddressA(in, rows[i].family, NULL, (void *)&a, &n), SOCKET_ERROR);
		SAME(WSAGetLastError(), WSAEFAULT);
	}
}

int main(void)
{
	WSADATA w;
	WSAStartup(0x202, &w);
	adapters();
	numbers();
	tables();
	names();
	selected();
	texts();
	return end();
}
