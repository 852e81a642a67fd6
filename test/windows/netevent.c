/* SPDX-License-Identifier: Apache-2.0 */
/* WSAEventSelect: when an event is set, what is remembered, and which call enables it again. */
#include "test.h"
#include <winsock2.h>
#include <ws2tcpip.h>

#define FAILS_WITH(x, e)                                                                           \
	(WSASetLastError(0), SAME(x, SOCKET_ERROR), IS("error of " #x, WSAGetLastError(), e))

static struct sockaddr_in address_of(SOCKET s)
{
	struct sockaddr_in a = {0};
	int n = sizeof a;
	SAME(getsockname(s, (void *)&a, &n), 0);
	return a;
}

static SOCKET bound(int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	SOCKET s = socket(AF_INET, type, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(s != INVALID_SOCKET);
	SAME(bind(s, (void *)&a, sizeof a), 0);
	return s;
}

static SOCKET listener(void)
{
	SOCKET s = bound(SOCK_STREAM);
	SAME(listen(s, 5), 0);
	return s;
}

static SOCKET client_of(SOCKET l)
{
	struct sockaddr_in a = address_of(l);
	SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
	SAME(connect(s, (void *)&a, sizeof a), 0);
	return s;
}

static void pair(SOCKET *one, SOCKET *two)
{
	SOCKET l = listener();
	*one = client_of(l);
	*two = accept(l, NULL, NULL);
	CHECK(*two != INVALID_SOCKET);
	closesocket(l);
}

static int is_set(WSAEVENT e, int ms)
{
	return WSAWaitForMultipleEvents(1, &e, FALSE, ms, FALSE) == WSA_WAIT_EVENT_0;
}

/* What is told until all of @want has been, or nothing more comes; each at most once. */
static long told(SOCKET s, WSAEVENT e, long want, int codes[FD_MAX_EVENTS])
{
	WSANETWORKEVENTS n;
	long all = 0, twice = 0;
	while ((all & want) != want && is_set(e, 5000)) {
		if (WSAEnumNetworkEvents(s, e, &n) != 0)
			return -1;
		twice |= all & n.lNetworkEvents;
		for (int i = 0; codes && i < FD_MAX_EVENTS; i++)
			if (n.lNetworkEvents >> i & 1)
				codes[i] = n.iErrorCode[i];
		all |= n.lNetworkEvents;
	}
	SAME(twice, 0);
	return all;
}

static void arguments(void)
{
	SOCKET s = bound(SOCK_STREAM);
	WSAEVENT e = WSACreateEvent();
	WSANETWORKEVENTS n;
	u_long no = 0, yes = 1;
	CHECK(e != WSA_INVALID_EVENT);
	SAME(is_set(e, 0), 0);
	CHECK(WSASetEvent(e));
	SAME(is_set(e, 0), 1);
	SAME(is_set(e, 0), 1); /* it stays */
	CHECK(WSAResetEvent(e));
	SAME(is_set(e, 0), 0);
	FAILS_WITH(WSAEventSelect(s, NULL, FD_READ), WSAEINVAL);
	FAILS_WITH(WSAEventSelect((SOCKET)e, e, FD_READ), WSAENOTSOCK);
	FAILS_WITH(WSAEnumNetworkEvents((SOCKET)e, e, &n), WSAENOTSOCK);
	SAME(WSAEnumNetworkEvents(s, NULL, &n), 0);
	SAME(n.lNetworkEvents, 0);
	SAME(ioctlsocket(s, FIONBIO, &no), 0);
	SAME(WSAEventSelect(s, e, FD_READ | FD_ACCEPT), 0);
	FAILS_WITH(ioctlsocket(s, FIONBIO, &no), WSAEINVAL);
	SAME(ioctlsocket(s, FIONBIO, &yes), 0);
	SAME(WSAEventSelect(s, NULL, 0), 0);
	SAME(ioctlsocket(s, FIONBIO, &no), 0);
	CHECK(WSACloseEvent(e));
	closesocket(s);
}

static void accepting(void)
{
	SOCKET l = listener(), a, b, c;
	WSAEVENT e = WSACreateEvent();
	WSANETWORKEVENTS n = {-1};
	SAME(WSAEventSelect(l, e, FD_ACCEPT), 0);
	SAME(is_set(e, 30), 0);
	FAILS_WITH((int)accept(l, NULL, NULL), WSAEWOULDBLOCK);
	a = client_of(l);
	SAME(is_set(e, 5000), 1);
	SAME(WSAEnumNetworkEvents(l, NULL, &n), 0);
	SAME(n.lNetworkEvents, FD_ACCEPT);
	SAME(n.iErrorCode[FD_ACCEPT_BIT], 0);
	SAME(is_set(e, 0), 1); /* for it was not named */
	SAME(WSAEnumNetworkEvents(l, e, &n), 0);
	SAME(n.lNetworkEvents, 0);
	SAME(is_set(e, 0), 0);
	b = client_of(l); /* not told: nothing has been accepted */
	SAME(is_set(e, 30), 0);
	c = accept(l, NULL, NULL);
	CHECK(c != INVALID_SOCKET);
	SAME(told(l, e, FD_ACCEPT, NULL), FD_ACCEPT);
	FAILS_WITH(recv(c, (char *)&n, 1, 0), WSAEWOULDBLOCK); /* that does not wait either */
	closesocket(c);
	c = accept(l, NULL, NULL);
	CHECK(c != INVALID_SOCKET);
	SAME(is_set(e, 30), 0);
	closesocket(a);
	closesocket(b);
	closesocket(c);
	closesocket(l);
	SAME(is_set(e, 0), 0);
	WSACloseEvent(e);
}

static void inheriting(void)
{
	SOCKET l = listener(), a, b;
	WSAEVENT e = WSACreateEvent();
	SAME(WSAEventSelect(l, e, FD_ACCEPT | FD_READ), 0);
	a = client_of(l);
	SAME(told(l, e, FD_ACCEPT, NULL), FD_ACCEPT);
	b = accept(l, NULL, NULL);
	SAME(send(a, "x", 1, 0), 1);
	SAME(told(b, e, FD_READ, NULL), FD_READ);
	closesocket(a);
	closesocket(b);
	closesocket(l);
	WSACloseEvent(e);
}

static void connecting(void)
{
	SOCKET l = listener(), s = socket(AF_INET, SOCK_STREAM, 0), b;
	struct sockaddr_in a = address_of(l);
	WSAEVENT e = WSACreateEvent();
	int codes[FD_MAX_EVENTS] = {0}, err = -1, n = sizeof err;
	memset(codes, -1, sizeof codes);
	SAME(WSAEventSelect(s, e, FD_CONNECT | FD_READ | FD_WRITE | FD_CLOSE), 0);
	SAME(is_set(e, 30), 0);
	FAILS_WITH(connect(s, (void *)&a, sizeof a), WSAEWOULDBLOCK);
	SAME(told(s, e, FD_CONNECT | FD_WRITE, codes), FD_CONNECT | FD_WRITE);
	SAME(codes[FD_CONNECT_BIT], 0);
	SAME(codes[FD_WRITE_BIT], 0);
	SAME(is_set(e, 30), 0);
	b = accept(l, NULL, NULL);
	SAME(send(s, "x", 1, 0), 1);
	SAME(is_set(e, 30), 0);
	closesocket(s);
	closesocket(b);
	closesocket(l);
	/* nobody is there any more */
	s = socket(AF_INET, SOCK_STREAM, 0);
	SAME(WSAEventSelect(s, e, FD_CONNECT | FD_WRITE), 0);
	FAILS_WITH(WSAConnect(s, (void *)&a, sizeof a, NULL, NULL, NULL, NULL), WSAEWOULDBLOCK);
	SAME(told(s, e, FD_CONNECT, codes), FD_CONNECT);
	SAME(codes[FD_CONNECT_BIT], WSAECONNREFUSED);
	SAME(getsockopt(s, SOL_SOCKET, SO_ERROR, (char *)&err, &n), 0);
	SAME(err, WSAECONNREFUSED);
	SAME(is_set(e, 30), 0);
	closesocket(s);
	WSACloseEvent(e);
}

static void reading(void)
{
	SOCKET a, b;
	WSAEVENT e = WSACreateEvent();
	char buf[8];
	pair(&a, &b);
	SAME(send(a, "abc", 3, 0), 3);
	SAME(WSAEventSelect(b, e, FD_READ | FD_CLOSE), 0); /* there already: told at once */
	SAME(told(b, e, FD_READ, NULL), FD_READ);
	SAME(is_set(e, 30), 0);
	SAME(send(a, "def", 3, 0), 3); /* not again before it is read */
	SAME(is_set(e, 30), 0);
	SAME(recv(b, buf, 2, 0), 2); /* there is more */
	SAME(told(b, e, FD_READ, NULL), FD_READ);
	SAME(recv(b, buf, 8, 0), 4);
	SAME(is_set(e, 30), 0);
	FAILS_WITH(recv(b, buf, 8, 0), WSAEWOULDBLOCK);
	SAME(send(a, "g", 1, 0), 1);
	SAME(told(b, e, FD_READ, NULL), FD_READ);
	SAME(recv(b, buf, 8, MSG_PEEK), 1);
	SAME(told(b, e, FD_READ, NULL), FD_READ);
	SAME(recv(b, buf, 8, 0), 1);
	closesocket(a);
	SAME(told(b, e, FD_CLOSE, NULL), FD_CLOSE);
	SAME(recv(b, buf, 8, 0), 0);
	SAME(is_set(e, 30), 0);
	closesocket(b);
	WSACloseEvent(e);
}

static void writing(void)
{
	static char block[65536];
	SOCKET a, b;
	WSAEVENT e = WSACreateEvent(), other = WSACreateEvent();
	long long sent = 0, got = 0;
	int n;
	pair(&a, &b);
	SAME(WSAEventSelect(a, e, FD_WRITE), 0);
	SAME(told(a, e, FD_WRITE, NULL), FD_WRITE);
	while ((n = send(a, block, sizeof block, 0)) > 0)
		sent += n;
	SAME(WSAGetLastError(), WSAEWOULDBLOCK);
	SAME(is_set(e, 30), 0);
	while (got < sent && (n = recv(b, block, sizeof block, 0)) > 0)
		got += n;
	SAME(got, sent);
	SAME(told(a, e, FD_WRITE, NULL), FD_WRITE);
	SAME(WSAEventSelect(a, other, FD_READ | FD_WRITE), 0); /* instead of the one before */
	SAME(told(a, other, FD_WRITE, NULL), FD_WRITE);
	SAME(send(b, "x", 1, 0), 1);
	SAME(told(a, other, FD_READ, NULL), FD_READ);
	SAME(is_set(e, 0), 0);
	SAME(WSAEventSelect(a, NULL, 0), 0);
	SAME(recv(a, block, 8, 0), 1);
	SAME(send(b, "x", 1, 0), 1);
	SAME(is_set(other, 30), 0);
	closesocket(a);
	closesocket(b);
	WSACloseEvent(e);
	WSACloseEvent(other);
}

static void datagrams(void)
{
	SOCKET a = bound(SOCK_DGRAM), b = bound(SOCK_DGRAM);
	struct sockaddr_in to = address_of(a);
	WSAEVENT e = WSACreateEvent();
	char buf[8];
	SAME(WSAEventSelect(a, e, FD_READ | FD_WRITE), 0);
	SAME(told(a, e, FD_WRITE, NULL), FD_WRITE);
	SAME(sendto(b, "one", 3, 0, (void *)&to, sizeof to), 3);
	SAME(told(a, e, FD_READ, NULL), FD_READ);
	SAME(sendto(b, "two", 3, 0, (void *)&to, sizeof to), 3);
	SAME(is_set(e, 30), 0);
	SAME(recv(a, buf, 8, 0), 3);
	SAME(told(a, e, FD_READ, NULL), FD_READ);
	SAME(recv(a, buf, 8, 0), 3);
	SAME(is_set(e, 30), 0);
	closesocket(a);
	closesocket(b);
	WSACloseEvent(e);
}

/* One thread looks after both, as programs with a loop do. */
static DWORD WINAPI echoes(void *arg)
{
	SOCKET s = *(SOCKET *)arg;
	char buf[4096];
	int n;
	while ((n = recv(s, buf, sizeof buf, 0)) > 0)
		send(s, buf, n, 0);
	closesocket(s);
	return 0;
}

static void looping(void)
{
	SOCKET a, b;
	WSAEVENT e[2] = {WSACreateEvent(), WSACreateEvent()};
	WSANETWORKEVENTS n;
	char block[1000];
	int sent = 0, got = 0, ended = 0;
	pair(&a, &b);
	HANDLE t = CreateThread(NULL, 0, echoes, &b, 0, NULL);
	SAME(WSAEventSelect(a, e[1], FD_READ | FD_WRITE | FD_CLOSE), 0);
	while (!ended) {
		SAME(WSAWaitForMultipleEvents(2, e, FALSE, 10000, FALSE), WSA_WAIT_EVENT_0 + 1);
		if (WSAEnumNetworkEvents(a, e[1], &n) != 0)
			break;
		if (n.lNetworkEvents & FD_WRITE)
			while (sent < 3000000) {
				int k = send(a, block, sizeof block, 0);
				if (k < 0)
					break;
				sent += k;
			}
		if (n.lNetworkEvents & FD_READ)
			for (int k; (k = recv(a, block, sizeof block, 0)) > 0;)
				got += k;
		if (got == 3000000)
			shutdown(a, SD_SEND);
		ended = (n.lNetworkEvents & FD_CLOSE) != 0;
		checked -= 1; /* how often it turns is not the same twice */
	}
	SAME(sent, 3000000);
	SAME(got, 3000000);
	SAME(WaitForSingleObject(t, 5000), WAIT_OBJECT_0);
	closesocket(a);
	CloseHandle(t);
	WSACloseEvent(e[0]);
	WSACloseEvent(e[1]);
}

int main(void)
{
	WSADATA data;
	SAME(WSAStartup(MAKEWORD(2, 2), &data), 0);
	arguments();
	accepting();
	inheriting();
	connecting();
	reading();
	writing();
	datagrams();
	looping();
	return end();
}
