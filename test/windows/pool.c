/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of threads, waits that are registered; AcceptEx, ConnectEx and ports on the loopback. */
#include "test.h"
#include <mswsock.h>
#include <winsock2.h>
#include <ws2tcpip.h>

static LONG count, timeouts;
static HANDLE done;

static DWORD WINAPI work(void *arg)
{
	if (arg)
		Sleep(20);
	if (InterlockedIncrement(&count) == 40)
		SetEvent(done);
	return 0;
}

static void queued(void)
{
	done = CreateEventA(NULL, TRUE, FALSE, NULL);
	for (int i = 0; i < 40; i++)
		CHECK(QueueUserWorkItem(work, i % 4 ? NULL : &count,
					i % 4 ? 0 : WT_EXECUTELONGFUNCTION));
	SAME(WaitForSingleObject(done, 10000), WAIT_OBJECT_0);
	SAME(count, 40);
	CHECK(CloseHandle(done));
}

static void CALLBACK called(void *arg, BOOLEAN timeout)
{
	InterlockedIncrement(timeout ? &timeouts : &count);
	SetEvent(arg);
}

static void registered(void)
{
	HANDLE w, e = CreateEventA(NULL, FALSE, FALSE, NULL),
		  told = CreateEventA(NULL, FALSE, FALSE, NULL);
	count = timeouts = 0;
	CHECK(RegisterWaitForSingleObject(&w, e, called, told, INFINITE, WT_EXECUTEONLYONCE));
	SAME(WaitForSingleObject(told, 30), WAIT_TIMEOUT);
	CHECK(SetEvent(e));
	SAME(WaitForSingleObject(told, 5000), WAIT_OBJECT_0);
	CHECK(UnregisterWaitEx(w, INVALID_HANDLE_VALUE));
	SAME(count, 1);
	/* again and again */
	CHECK(RegisterWaitForSingleObject(&w, e, called, told, INFINITE, WT_EXECUTEDEFAULT));
	for (int i = 0; i < 5; i++) {
		CHECK(SetEvent(e));
		SAME(WaitForSingleObject(told, 5000), WAIT_OBJECT_0);
	}
	CHECK(UnregisterWaitEx(w, INVALID_HANDLE_VALUE));
	SAME(count, 6);
	CHECK(SetEvent(e));
	SAME(WaitForSingleObject(told, 30), WAIT_TIMEOUT); /* no longer */
	CHECK(ResetEvent(e));
	/* when it takes too long */
	CHECK(RegisterWaitForSingleObject(&w, e, called, told, 10, WT_EXECUTEONLYONCE));
	SAME(WaitForSingleObject(told, 5000), WAIT_OBJECT_0);
	CHECK(UnregisterWaitEx(w, INVALID_HANDLE_VALUE));
	SAME(timeouts, 1);
	/* told by an event that the last call is over */
	HANDLE over = CreateEventA(NULL, TRUE, FALSE, NULL);
	CHECK(RegisterWaitForSingleObject(&w, e, called, told, INFINITE, WT_EXECUTEDEFAULT));
	SetLastError(0);
	CHECK(UnregisterWaitEx(w, over) || GetLastError() == ERROR_IO_PENDING);
	SAME(WaitForSingleObject(over, 5000), WAIT_OBJECT_0);
	CHECK(CloseHandle(e) && CloseHandle(told) && CloseHandle(over));
}

/* ---- sockets and a port ---- */

static struct sockaddr_in loopback(unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static void *extension(SOCKET s, GUID id)
{
	void *fn = NULL;
	DWORD n = 0;
	SAME(WSAIoctl(s, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &fn, sizeof fn, &n,
		      NULL, NULL),
	     0);
	SAME(n, sizeof fn);
	CHECK(fn != NULL);
	return fn;
}

static SOCKET stream(void)
{
	return WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED);
}

static OVERLAPPED *next(HANDLE port, DWORD *n, ULONG_PTR *key, int ok)
{
	OVERLAPPED *o = NULL;
	SAME(GetQueuedCompletionStatus(port, n, key, &o, 5000), ok);
	return o;
}

static void extensions(void)
{
	GUID accept_id = WSAID_ACCEPTEX, connect_id = WSAID_CONNECTEX,
	     names_id = WSAID_GETACCEPTEXSOCKADDRS;
	SOCKET l = stream(), in = stream(), out = stream();
	LPFN_ACCEPTEX accept_ex = extension(l, accept_id);
	LPFN_CONNECTEX connect_ex = extension(l, connect_id);
	LPFN_GETACCEPTEXSOCKADDRS names = extension(l, names_id);
	struct sockaddr_in a = loopback(0), *own, *other;
	int len = sizeof a, own_len, other_len;
	char room[100], buf[20] = "";
	DWORD n = 9, flags = 0;
	ULONG_PTR key;
	OVERLAPPED ao = {0}, co = {0}, ro = {0}, so = {0};
	HANDLE port = CreateIoCompletionPort((HANDLE)l, NULL, 1, 0);
	CHECK(CreateIoCompletionPort((HANDLE)in, port, 2, 0) == port);
	CHECK(CreateIoCompletionPort((HANDLE)out, port, 3, 0) == port);
	SAME(bind(l, (void *)&a, sizeof a), 0);
	SAME(getsockname(l, (void *)&a, &len), 0);
	SAME(listen(l, 5), 0);
	CHECK(!accept_ex(l, in, room, 0, sizeof a + 16, sizeof a + 16, &n, &ao));
	SAME(WSAGetLastError(), ERROR_IO_PENDING);
	struct sockaddr_in any = {.sin_family = AF_INET};
	SAME(bind(out, (void *)&any, sizeof any), 0);
	CHECK(!connect_ex(out, (void *)&a, sizeof a, NULL, 0, NULL, &co));
	SAME(WSAGetLastError(), ERROR_IO_PENDING);
	int seen = 0;
	for (int i = 0; i < 2; i++) {
		OVERLAPPED *o = next(port, &n, &key, 1);
		SAME(n, 0);
		seen |= o == &ao && key == 1 ? 1 : o == &co && key == 3 ? 2 : 0;
	}
	SAME(seen, 3);
	SAME(setsockopt(in, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (void *)&l, sizeof l), 0);
	SAME(setsockopt(out, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0), 0);
	names(room, 0, sizeof a + 16, sizeof a + 16, (void *)&own, &own_len, (void *)&other,
	      &other_len);
	SAME(own->sin_port, a.sin_port);
	SAME(other->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	SAME(getpeername(in, (void *)&any, &len), 0);
	SAME(any.sin_port, other->sin_port);
	/* a read that waits; nothing is read of it while it asks for nothing */
	WSABUF nothing = {0, buf}, b = {20, buf}, s = {5, "hello"};
	SAME(WSARecv(in, &nothing, 1, NULL, &flags, &ro, NULL), SOCKET_ERROR);
	SAME(WSAGetLastError(), WSA_IO_PENDING);
	SAME(WSASend(out, &s, 1, &n, 0, &so, NULL), 0);
	SAME(n, 5);
	seen = 0;
	for (int i = 0; i < 2; i++) {
		OVERLAPPED *o = next(port, &n, &key, 1);
		seen |= o == &ro && n == 0 ? 1 : o == &so && n == 5 ? 2 : 0;
	}
	SAME(seen, 3);
	SAME(WSARecv(in, &b, 1, &n, &flags, &ro, NULL), 0);
	SAME(n, 5);
	CHECK(next(port, &n, &key, 1) == &ro);
	/* called off, and closed while it waits */
	SAME(WSARecv(in, &b, 1, NULL, &flags, &ro, NULL), SOCKET_ERROR);
	CHECK(CancelIoEx((HANDLE)in, &ro));
	CHECK(next(port, &n, &key, 0) == &ro);
	SAME(GetLastError(), ERROR_OPERATION_ABORTED);
	SAME(WSARecv(in, &b, 1, NULL, &flags, &ro, NULL), SOCKET_ERROR);
	SAME(closesocket(in), 0);
	CHECK(next(port, &n, &key, 0) == &ro);
	/* nobody listens */
	SAME(closesocket(l), 0);
	SOCKET none = stream();
	any.sin_port = 0;
	any.sin_addr.s_addr = 0;
	SAME(bind(none, (void *)&any, sizeof any), 0);
	CHECK(CreateIoCompletionPort((HANDLE)none, port, 4, 0) == port);
	CHECK(!connect_ex(none, (void *)&a, sizeof a, NULL, 0, NULL, &co));
	SAME(WSAGetLastError(), ERROR_IO_PENDING);
	CHECK(next(port, &n, &key, 0) == &co);
	SAME(GetLastError(), ERROR_CONNECTION_REFUSED);
	SAME(key, 4);
	SAME(closesocket(none), 0);
	SAME(closesocket(out), 0);
	CHECK(CloseHandle(port));
}

static void datagrams(void)
{
	SOCKET a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = loopback(0), from;
	int len = sizeof to, from_len = sizeof from;
	char one[4] = "ab", two[4] = "cd", in[20] = "";
	WSABUF parts[2] = {{2, one}, {2, two}}, room = {20, in};
	DWORD n = 0, flags = 0;
	OVERLAPPED o = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
	SAME(bind(b, (void *)&to, sizeof to), 0);
	SAME(getsockname(b, (void *)&to, &len), 0);
	SAME(WSARecvFrom(b, &room, 1, NULL, &flags, (void *)&from, &from_len, &o, NULL),
	     SOCKET_ERROR);
	SAME(WSAGetLastError(), WSA_IO_PENDING);
	SAME(WSASendTo(a, parts, 2, &n, 0, (void *)&to, sizeof to, NULL, NULL), 0);
	SAME(n, 4);
	SAME(WaitForSingleObject(o.hEvent, 5000), WAIT_OBJECT_0);
	CHECK(WSAGetOverlappedResult(b, &o, &n, FALSE, &flags));
	SAME(n, 4);
	TEXT_IS(in, "abcd");
	SAME(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	WSAPOLLFD polled[2] = {{.fd = a, .events = POLLOUT}, {.fd = b, .events = POLLIN}};
	SAME(WSAPoll(polled, 2, 0), 1);
	SAME(polled[0].revents, POLLWRNORM);
	SAME(polled[1].revents, 0);
	SAME(WSAPoll(polled + 1, 1, 20), 0);
	SAME(sendto(a, one, 2, 0, (void *)&to, sizeof to), 2);
	SAME(WSAPoll(polled + 1, 1, 5000), 1);
	SAME(polled[1].revents, POLLRDNORM);
	SAME(closesocket(a), 0);
	SAME(closesocket(b), 0);
	CHECK(CloseHandle(o.hEvent));
}

static void hosts(void)
{
	ADDRINFOW hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *all = NULL;
	SAME(GetAddrInfoW(L"127.0.0.1", L"80", &hints, &all), 0);
	CHECK(all && !all->ai_next);
	SAME(all->ai_addrlen, sizeof(struct sockaddr_in));
	SAME(((struct sockaddr_in *)all->ai_addr)->sin_port, htons(80));
	SAME(all->ai_socktype, SOCK_STREAM);
	WCHAR host[100], service[20];
	SAME(GetNameInfoW(all->ai_addr, all->ai_addrlen, host, 100, service, 20,
			  NI_NUMERICHOST | NI_NUMERICSERV),
	     0);
	TEXT_IS(narrow(host), "127.0.0.1");
	TEXT_IS(narrow(service), "80");
	FreeAddrInfoW(all);
	all = NULL;
	SAME(GetAddrInfoW(L"localhost", NULL, &hints, &all), 0);
	CHECK(all &&
	      ((struct sockaddr_in *)all->ai_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	if (all)
		FreeAddrInfoW(all);
	hints.ai_flags = AI_PASSIVE;
	SAME(GetAddrInfoW(NULL, L"0", &hints, &all), 0);
	SAME(((struct sockaddr_in *)all->ai_addr)->sin_addr.s_addr, 0);
	FreeAddrInfoW(all);
	hints.ai_flags = AI_NUMERICHOST;
	SAME(GetAddrInfoW(L"no.address", NULL, &hints, &all), WSAHOST_NOT_FOUND);
	SAME(GetAddrInfoW(NULL, NULL, &hints, &all), WSAHOST_NOT_FOUND);
	SAME(inet_addr("1.2.3.4"), 0x04030201);
	struct in_addr a = {.s_addr = 0x04030201};
	TEXT_IS(inet_ntoa(a), "1.2.3.4");
	ADDRINFOA narrow_hints = {.ai_family = AF_INET}, *narrow_all = NULL;
	SAME(getaddrinfo("10.1.2.3", "7", &narrow_hints, &narrow_all), 0);
	CHECK(narrow_all != NULL);
	SAME(((struct sockaddr_in *)narrow_all->ai_addr)->sin_addr.s_addr, 0x0302010a);
	SAME(((struct sockaddr_in *)narrow_all->ai_addr)->sin_port, htons(7));
	freeaddrinfo(narrow_all);
	char shown[50] = "";
	unsigned char six[16] = {[0] = 0xfe, [1] = 0x80, [15] = 1}, back[16];
	CHECK(inet_ntop(AF_INET6, six, shown, sizeof shown) == shown);
	TEXT_IS(shown, "fe80::1");
	SAME(inet_pton(AF_INET6, shown, back), 1);
	SAME(memcmp(six, back, 16), 0);
	SAME(inet_pton(AF_INET, "1.2.3", back), 0);
	CHECK(!inet_ntop(AF_INET, six, shown, 3));
	char name[100] = "";
	SAME(gethostname(name, sizeof name), 0);
	CHECK(*name != 0);
	WSAPROTOCOL_INFOW info;
	int len = sizeof info;
	SOCKET s = socket(AF_INET, SOCK_DGRAM, 0);
	SAME(getsockopt(s, SOL_SOCKET, SO_PROTOCOL_INFOW, (void *)&info, &len), 0);
	SAME(info.iSocketType, SOCK_DGRAM);
	SAME(info.iProtocol, IPPROTO_UDP);
	CHECK(info.dwServiceFlags1 & XP1_IFS_HANDLES);
	SAME(closesocket(s), 0);
}

int main(void)
{
	WSADATA d;
	SAME(WSAStartup(0x202, &d), 0);
	queued();
	registered();
	extensions();
	datagrams();
	hosts();
	return end();
}
