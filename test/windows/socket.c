/* SPDX-License-Identifier: Apache-2.0 */
/* ws2_32 on the loopback: streams, datagrams, select, options, events of overlapped calls, errors.
 */
#include "test.h"
#include <winsock2.h>
#include <ws2tcpip.h>

#define FAILS_WITH(x, e)                                                                           \
	(WSASetLastError(0), SAME(x, SOCKET_ERROR), IS("error of " #x, WSAGetLastError(), e))

static struct sockaddr_in loopback(unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static SOCKET listener(struct sockaddr_in *a)
{
	int n = sizeof *a;
	SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
	*a = loopback(0);
	CHECK(s != INVALID_SOCKET);
	SAME(bind(s, (void *)a, n), 0);
	SAME(getsockname(s, (void *)a, &n), 0);
	SAME(n, sizeof *a);
	CHECK(a->sin_port != 0);
	SAME(listen(s, 5), 0);
	return s;
}

static void pair(SOCKET *one, SOCKET *two)
{
	struct sockaddr_in a, from;
	int n = sizeof from;
	SOCKET l = listener(&a);
	*one = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
	SAME(connect(*one, (void *)&a, sizeof a), 0);
	*two = accept(l, (void *)&from, &n);
	CHECK(*two != INVALID_SOCKET);
	SAME(n, sizeof from);
	SAME(from.sin_family, AF_INET);
	SAME(closesocket(l), 0);
}

static unsigned port_of(SOCKET s)
{
	struct sockaddr_in6 a = {0};
	int n = sizeof a;
	SAME(getsockname(s, (void *)&a, &n), 0);
	return ntohs(a.sin6_port); /* at the same place in both families */
}

/* To whatever port there is: it is known from then on, and stays. */
static void any_port(int family)
{
	struct sockaddr_in6 a = {.sin6_family = family}, b;
	int len = family == AF_INET6 ? sizeof a : sizeof(struct sockaddr_in), n = sizeof b;
	SOCKET l = socket(family, SOCK_STREAM, 0), s = socket(family, SOCK_STREAM, 0);
	SAME(bind(l, (void *)&a, len), 0);
	FAILS_WITH(bind(l, (void *)&a, len), WSAEINVAL);
	SAME(listen(l, 5), 0);
	unsigned port = port_of(l);
	CHECK(port != 0);
	SAME(port_of(l), port);
	SAME(bind(s, (void *)&a, len), 0);
	unsigned own = port_of(s);
	CHECK(own != 0 && own != port);
	FAILS_WITH(bind(s, (void *)&a, len), WSAEINVAL);
	if (family == AF_INET6)
		a.sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin6_port = htons(port);
	SAME(connect(s, (void *)&a, len), 0);
	SAME(port_of(s), own);
	SOCKET t = accept(l, (void *)&b, &n);
	SAME(ntohs(b.sin6_port), own);
	closesocket(l), closesocket(s), closesocket(t);
}

/* More connections than there are ports, each bound before it connects, as for ConnectEx. */
static void many_connections(void)
{
	struct sockaddr_in to, any = {.sin_family = AF_INET};
	SOCKET l = listener(&to);
	int bad = 0, n = 70000;
	for (int i = 0; i < n && !bad; i++) {
		SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
		bad += bind(s, (void *)&any, sizeof any) || connect(s, (void *)&to, sizeof to);
		SOCKET t = bad ? s : accept(l, NULL, NULL);
		closesocket(s);
		closesocket(t);
	}
	SAME(bad, 0);
}

static int readable(SOCKET s, int ms)
{
	fd_set r;
	struct timeval t = {ms / 1000, ms % 1000 * 1000};
	FD_ZERO(&r);
	FD_SET(s, &r);
	return select(0, &r, NULL, NULL, &t);
}

static void streams(void)
{
	SOCKET a, b;
	char buf[20] = "";
	struct sockaddr_in name, peer;
	int n = sizeof name, m = sizeof peer;
	pair(&a, &b);
	SAME(getsockname(a, (void *)&name, &n), 0);
	SAME(getpeername(b, (void *)&peer, &m), 0);
	SAME(name.sin_port, peer.sin_port);
	SAME(send(a, "hello", 5, 0), 5);
	SAME(readable(b, 5000), 1);
	SAME(recv(b, buf, 2, MSG_PEEK), 2);
	SAME(recv(b, buf, 20, 0), 5);
	SAME(memcmp(buf, "hello", 5), 0);
	SAME(readable(b, 0), 0);
	u_long on = 1, left = 77;
	SAME(ioctlsocket(b, FIONREAD, &left), 0);
	SAME(left, 0);
	SAME(ioctlsocket(b, FIONBIO, &on), 0);
	FAILS_WITH(recv(b, buf, 20, 0), WSAEWOULDBLOCK);
	SAME(send(b, "back", 4, 0), 4);
	SAME(recv(a, buf, 20, 0), 4);
	SAME(shutdown(a, SD_SEND), 0);
	SAME(readable(b, 5000), 1);
	SAME(recv(b, buf, 20, 0), 0);
	FAILS_WITH(send(a, "x", 1, 0), WSAESHUTDOWN);
	SAME(send(b, "late", 4, 0), 4);
	SAME(recv(a, buf, 20, 0), 4);
	SAME(closesocket(b), 0);
	SAME(recv(a, buf, 20, 0), 0);
	SAME(closesocket(a), 0);
	FAILS_WITH(closesocket(a), WSAENOTSOCK);
	FAILS_WITH(send(a, "x", 1, 0), WSAENOTSOCK);
}

static void datagrams(void)
{
	struct sockaddr_in to = loopback(0), from;
	char buf[20] = "";
	int n = sizeof to;
	SOCKET a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
	SAME(bind(b, (void *)&to, n), 0);
	SAME(getsockname(b, (void *)&to, &n), 0);
	SAME(sendto(a, "one", 3, 0, (void *)&to, sizeof to), 3);
	SAME(sendto(a, "second", 6, 0, (void *)&to, sizeof to), 6);
	SAME(sendto(a, "", 0, 0, (void *)&to, sizeof to), 0);
	n = sizeof from;
	SAME(recvfrom(b, buf, 20, 0, (void *)&from, &n), 3);
	SAME(n, sizeof from);
	SAME(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	FAILS_WITH(recvfrom(b, buf, 3, 0, NULL, NULL), WSAEMSGSIZE);
	SAME(memcmp(buf, "sec", 3), 0);
	SAME(recvfrom(b, buf, 20, 0, NULL, NULL), 0);
	SAME(connect(a, (void *)&to, sizeof to), 0);
	SAME(send(a, "c", 1, 0), 1);
	SAME(recv(b, buf, 20, 0), 1);
	closesocket(a);
	closesocket(b);
}

static void errors(void)
{
	struct sockaddr_in a, used;
	char buf[4];
	SOCKET l = listener(&used), s = socket(AF_INET, SOCK_STREAM, 0);
	FAILS_WITH(bind(s, (void *)&used, sizeof used), WSAEADDRINUSE);
	FAILS_WITH(recv(s, buf, 4, 0), WSAENOTCONN);
	FAILS_WITH(send(s, buf, 4, 0), WSAENOTCONN);
	FAILS_WITH(listen(s, 5), WSAEINVAL);
	int n = sizeof a;
	FAILS_WITH(getpeername(s, (void *)&a, &n), WSAENOTCONN);
	FAILS_WITH(getsockname(s, (void *)&a, &n), WSAEINVAL);
	FAILS_WITH(accept(s, NULL, NULL) == INVALID_SOCKET ? -1 : 0, WSAEINVAL);
	closesocket(l);
	a = used; /* nobody listens there now */
	FAILS_WITH(connect(s, (void *)&a, sizeof a), WSAECONNREFUSED);
	closesocket(s);
	FAILS_WITH(socket(99, SOCK_STREAM, 0) == INVALID_SOCKET ? -1 : 0, WSAEAFNOSUPPORT);
	s = socket(AF_INET, SOCK_STREAM, 0);
	FAILS_WITH(setsockopt(s, SOL_SOCKET, 0x7777, "xxxx", 4), WSAENOPROTOOPT);
	FAILS_WITH(bind(s, (void *)&a, 4), WSAEFAULT);
	closesocket(s);
	FAILS_WITH(bind((SOCKET)0x12340, (void *)&a, sizeof a), WSAENOTSOCK);
	WSASetLastError(12);
	SAME(WSAGetLastError(), 12);
	SAME(GetLastError(), 12);
}

static void options(void)
{
	static const struct {
		const char *name;
		int level, option, set, want;
	} rows[] = {{"keep alive", SOL_SOCKET, SO_KEEPALIVE, 1, 1},
		    {"broadcast", SOL_SOCKET, SO_BROADCAST, 1, 1},
		    {"no delay", IPPROTO_TCP, TCP_NODELAY, 1, 1},
		    {"receive timeout", SOL_SOCKET, SO_RCVTIMEO, 250, 250},
		    {"send timeout", SOL_SOCKET, SO_SNDTIMEO, 1250, 1250}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		SOCKET s =
		    socket(AF_INET, rows[i].option == SO_BROADCAST ? SOCK_DGRAM : SOCK_STREAM, 0);
		int got = 0, n = sizeof got;
		IS(rows[i].name, getsockopt(s, rows[i].level, rows[i].option, (void *)&got, &n), 0);
		IS(rows[i].name, got, 0);
		IS(rows[i].name,
		   setsockopt(s, rows[i].level, rows[i].option, (void *)&rows[i].set, 4), 0);
		n = sizeof got;
		IS(rows[i].name, getsockopt(s, rows[i].level, rows[i].option, (void *)&got, &n), 0);
		IS(rows[i].name, (char)got ? rows[i].want : 0, rows[i].want);
		closesocket(s);
	}
	SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
	int type = 0, n = sizeof type, error = 7;
	SAME(getsockopt(s, SOL_SOCKET, SO_TYPE, (void *)&type, &n), 0);
	SAME(type, SOCK_STREAM);
	SAME(getsockopt(s, SOL_SOCKET, SO_ERROR, (void *)&error, &n), 0);
	SAME(error, 0);
	struct linger linger = {1, 5}, back = {0};
	n = sizeof back;
	SAME(setsockopt(s, SOL_SOCKET, SO_LINGER, (void *)&linger, sizeof linger), 0);
	SAME(getsockopt(s, SOL_SOCKET, SO_LINGER, (void *)&back, &n), 0);
	SAME(back.l_onoff != 0, TRUE);
	SAME(back.l_linger, 5);
	closesocket(s);
}

static void selecting(void)
{
	SOCKET a, b;
	fd_set r, w, e;
	struct timeval none = {0, 0};
	pair(&a, &b);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(a, &r);
	FD_SET(b, &r);
	FD_SET(a, &w);
	SAME(select(0, &r, &w, NULL, &none), 1);
	SAME(r.fd_count, 0);
	SAME(w.fd_count, 1);
	SAME(FD_ISSET(a, &w) != 0, TRUE);
	send(a, "x", 1, 0);
	SAME(readable(b, 5000), 1);
	FD_SET(a, &r);
	FD_SET(b, &r);
	SAME(select(0, &r, NULL, NULL, &none), 1);
	SAME(FD_ISSET(b, &r) != 0, TRUE);
	SAME(FD_ISSET(a, &r), 0);
	FD_ZERO(&r);
	FAILS_WITH(select(0, &r, NULL, NULL, &none), WSAEINVAL);
	DWORD t = GetTickCount();
	SAME(readable(a, 60), 0);
	CHECK(GetTickCount() - t >= 50);
	closesocket(a);
	closesocket(b);
}

static void overlapped(void)
{
	SOCKET a, b;
	char buf[20] = "", more[20] = "";
	DWORD n = 0, flags = 0;
	pair(&a, &b);
	WSAOVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
	WSABUF in[2] = {{3, buf}, {20, more}}, out[2] = {{2, "ab"}, {4, "cdef"}};
	SAME(WSARecv(b, in, 2, &n, &flags, &o, NULL), SOCKET_ERROR);
	SAME(WSAGetLastError(), WSA_IO_PENDING);
	SAME(WaitForSingleObject(o.hEvent, 0), WAIT_TIMEOUT);
	SAME(WSASend(a, out, 2, &n, 0, NULL, NULL), 0);
	SAME(n, 6);
	SAME(WaitForSingleObject(o.hEvent, 5000), WAIT_OBJECT_0);
	CHECK(WSAGetOverlappedResult(b, &o, &n, FALSE, &flags));
	SAME(n, 6);
	TEXT_IS(buf, "abc");
	TEXT_IS(more, "def");
	HANDLE port = CreateIoCompletionPort((HANDLE)b, NULL, 99, 0);
	ULONG_PTR key;
	OVERLAPPED *got = NULL;
	WSAOVERLAPPED p = {0};
	CHECK(port);
	SAME(WSARecv(b, in, 1, &n, &flags, &p, NULL), SOCKET_ERROR);
	SAME(WSAGetLastError(), WSA_IO_PENDING);
	CHECK(!GetQueuedCompletionStatus(port, &n, &key, &got, 0));
	SAME(send(a, "z", 1, 0), 1);
	CHECK(GetQueuedCompletionStatus(port, &n, &key, &got, 5000));
	SAME(n, 1);
	SAME(key, 99);
	CHECK(got == (void *)&p);
	SAME(buf[0], 'z');
	CloseHandle(port);
	CloseHandle(o.hEvent);
	closesocket(a);
	closesocket(b);
}

int main(int argc, char **argv)
{
	WSADATA data;
	SAME(WSAStartup(MAKEWORD(2, 2), &data), 0);
	SAME(data.wVersion, 0x202);
	SAME(htons(0x1234), 0x3412);
	SAME(htonl(0x12345678), 0x78563412);
	SAME(ntohs(0x1234), 0x3412);
	SAME(ntohl(1), 0x1000000);
	if (argc > 1)
		return many_connections(), end();
	any_port(AF_INET);
	any_port(AF_INET6);
	streams();
	datagrams();
	errors();
	options();
	selecting();
	overlapped();
	SAME(WSACleanup(), 0);
	return end();
}
