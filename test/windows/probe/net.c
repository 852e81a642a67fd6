/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is given a network, or none, by its first argument. */
#include <winsock2.h>
#include <ws2tcpip.h>

#include <iphlpapi.h> /* needs those before it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void address_say(const char *what, const struct sockaddr *a, int len)
{
	char text[100] = "?", port[20] = "?";
	getnameinfo(a, len, text, sizeof text, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	printf("%s %s\n", what, text);
	fflush(stdout);
}

/* By all that resolves names. */
static int names(int n, char **hosts)
{
	for (int i = 0; i < n; i++) {
		struct addrinfo *all = NULL, hints = {.ai_socktype = SOCK_STREAM};
		int bad = getaddrinfo(hosts[i], "80", &hints, &all);
		if (bad)
			printf("%s: %d\n", hosts[i], bad);
		for (struct addrinfo *a = all; a; a = a->ai_next)
			address_say(hosts[i], a->ai_addr, (int)a->ai_addrlen);
		if (all)
			freeaddrinfo(all);
		struct hostent *h = gethostbyname(hosts[i]);
		if (!h)
			printf("%s: by name: %d\n", hosts[i], WSAGetLastError());
		for (int k = 0; h && h->h_addr_list[k]; k++)
			printf("%s by name: %s\n", hosts[i],
			       inet_ntoa(*(struct in_addr *)h->h_addr_list[k]));
	}
	return 0;
}

/* What addresses are called. */
static int whose(int n, char **addresses)
{
	for (int i = 0; i < n; i++) {
		struct sockaddr_in a = {.sin_family = AF_INET,
					.sin_addr.s_addr = inet_addr(addresses[i])};
		char host[300], service[50];
		int bad = getnameinfo((void *)&a, sizeof a, host, sizeof host, service,
				      sizeof service, 0);
		printf("%s is %s (%d)\n", addresses[i], bad ? "" : host, bad);
		bad = getnameinfo((void *)&a, sizeof a, host, sizeof host, NULL, 0, NI_NAMEREQD);
		printf("%s by name only: %s (%d)\n", addresses[i], bad ? "" : host, bad);
		struct hostent *h = gethostbyaddr((char *)&a.sin_addr, 4, AF_INET);
		printf("%s by address: %s (%d)\n", addresses[i], h ? h->h_name : "",
		       h ? 0 : WSAGetLastError());
	}
	return 0;
}

static SOCKET reach(const char *host, const char *port, int type)
{
	struct addrinfo *all = NULL, hints = {.ai_socktype = type, .ai_family = AF_INET};
	int bad = getaddrinfo(host, port, &hints, &all);
	if (bad) {
		printf("no such name: %d\n", bad);
		exit(2);
	}
	SOCKET s = socket(AF_INET, type, 0);
	if (connect(s, all->ai_addr, (int)all->ai_addrlen) != 0) {
		printf("not reached: %d\n", WSAGetLastError());
		exit(3);
	}
	struct sockaddr_in own;
	int len = sizeof own;
	if (getsockname(s, (struct sockaddr *)&own, &len) == 0)
		address_say("from", (struct sockaddr *)&own, len);
	return s;
}

/* Send a word, and print what comes back until the end. */
static int talk(const char *host, const char *port, int type)
{
	char buf[400];
	SOCKET s = reach(host, port, type);
	send(s, "hello\n", 6, 0);
	int n, sum = 0;
	DWORD patience = 5000;
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (char *)&patience, sizeof patience);
	while ((n = recv(s, buf + sum, (int)sizeof buf - 1 - sum, 0)) > 0) {
		sum += n;
		if (type == SOCK_DGRAM)
			break;
	}
	buf[sum] = 0;
	printf("heard %s", buf);
	return sum > 0 ? 0 : 4;
}

static int serve(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((u_short)port)};
	SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 5))
		return 5;
	printf("listens\n");
	fflush(stdout);
	for (;;) {
		char buf[100];
		SOCKET c = accept(s, NULL, NULL);
		int n = recv(c, buf, sizeof buf, 0);
		if (n > 0)
			send(c, "from the guest\n", 15, 0);
		closesocket(c);
	}
}

static int tables(void)
{
	static char room[20000];
	IP_ADAPTER_ADDRESSES *a = (void *)room;
	IP_ADAPTER_INFO info;
	FIXED_INFO fixed;
	MIB_IPFORWARD_ROW2 row = {0};
	SOCKADDR_INET to = {0}, from = {0};
	DWORD n = 0, index = 0;
	ULONG size = sizeof room;
	GetNumberOfInterfaces(&n);
	printf("interfaces %lu\n", n);
	if (GetAdaptersAddresses(AF_UNSPEC, GAA_FLAG_INCLUDE_GATEWAYS, NULL, a, &size))
		return 6;
	for (; a; a = a->Next) {
		printf("adapter %lu type %lu hardware %lu\n", a->IfIndex, a->IfType,
		       a->PhysicalAddressLength);
		for (IP_ADAPTER_UNICAST_ADDRESS *u = a->FirstUnicastAddress; u; u = u->Next)
			address_say(" address", u->Address.lpSockaddr, u->Address.iSockaddrLength);
		for (IP_ADAPTER_DNS_SERVER_ADDRESS *u = a->FirstDnsServerAddress; u; u = u->Next)
			address_say(" resolver", u->Address.lpSockaddr, u->Address.iSockaddrLength);
		for (IP_ADAPTER_GATEWAY_ADDRESS *u = a->FirstGatewayAddress; u; u = u->Next)
			address_say(" gateway", u->Address.lpSockaddr, u->Address.iSockaddrLength);
	}
	size = sizeof info;
	DWORD bad = GetAdaptersInfo(&info, &size);
	if (bad)
		printf("info: %lu\n", bad);
	else
		printf("info %s %s %s\n", info.IpAddressList.IpAddress.String,
		       info.IpAddressList.IpMask.String, info.GatewayList.IpAddress.String);
	size = sizeof fixed;
	if (GetNetworkParams(&fixed, &size) == 0)
		printf("asks %s\n", fixed.DnsServerList.IpAddress.String);
	printf("best: %lu", GetBestInterface(inet_addr("203.0.113.1"), &index));
	printf(" %lu\n", index);
	to.Ipv4.sin_family = AF_INET;
	to.Ipv4.sin_addr.s_addr = inet_addr("203.0.113.1");
	if (GetBestRoute2(NULL, 0, NULL, &to, 0, &row, &from) == 0) {
		address_say("route by", (struct sockaddr *)&row.NextHop, sizeof row.NextHop.Ipv4);
		address_say("route from", (struct sockaddr *)&from, sizeof from.Ipv4);
	}
	return 0;
}

int main(int argc, char **argv)
{
	WSADATA d;
	WSAStartup(MAKEWORD(2, 2), &d);
	if (argc > 2 && !strcmp(argv[1], "whose"))
		return whose(argc - 2, argv + 2);
	if (argc > 2 && !strcmp(argv[1], "names"))
		return names(argc - 2, argv + 2);
	if (argc > 3 && !strcmp(argv[1], "tcp"))
		return talk(argv[2], argv[3], SOCK_STREAM);
	if (argc > 3 && !strcmp(argv[1], "udp"))
		return talk(argv[2], argv[3], SOCK_DGRAM);
	if (argc > 2 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]));
	return tables();
}
