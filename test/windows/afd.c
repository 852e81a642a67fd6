/* SPDX-License-Identifier: Apache-2.0 */
/* \Device\Afd: how libraries of events (mio of Rust, wepoll) hear that sockets are ready, by a
 * completion port. */
#include "test.h"
#include <mswsock.h>
#include <stdint.h>
#include <winsock2.h>
#include <winternl.h>
#include <ws2tcpip.h>

enum { POLL = 0x12024 };
enum { RECEIVE = 1, SEND = 4, DISCONNECT = 8, ACCEPTS = 0x80, FAILED = 0x100 };
struct poll {
	LARGE_INTEGER timeout;
	ULONG n, exclusive;
	struct {
		HANDLE socket;
		ULONG events;
		LONG status;
	} at[1];
};
#define NT(name) ((void *)GetProcAddress(GetModuleHandleA("ntdll.dll"), name))
static LONG(WINAPI *control)(HANDLE, HANDLE, void *, void *, IO_STATUS_BLOCK *, ULONG, void *,
			     ULONG, void *, ULONG);
static LONG(WINAPI *cancel)(HANDLE, IO_STATUS_BLOCK *, IO_STATUS_BLOCK *);
static HANDLE device, port;

static void opened(void)
{
	LONG(WINAPI * create)
	(HANDLE *, ACCESS_MASK, OBJECT_ATTRIBUTES *, IO_STATUS_BLOCK *, LARGE_INTEGER *, ULONG,
	 ULONG, ULONG, ULONG, void *, ULONG) = NT("NtCreateFile");
	wchar_t name[] = L"\\Device\\Afd\\Test";
	UNICODE_STRING text = {sizeof name - 2, sizeof name, name};
	OBJECT_ATTRIBUTES a = {.Length = sizeof a, .ObjectName = &text};
	IO_STATUS_BLOCK io;
	control = NT("NtDeviceIoControlFile");
	cancel = NT("NtCancelIoFileEx");
	SAME(create(&device, SYNCHRONIZE, &a, &io, NULL, 0, 3, 1, 0, NULL, 0), 0);
	port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
	CHECK(CreateIoCompletionPort(device, port, 77, 0) == port);
	CHECK(SetFileCompletionNotificationModes(device, 2)); /* no event of the handle */
}

static LONG ask(SOCKET s, ULONG events, struct poll *p, IO_STATUS_BLOCK *io, void *context)
{
	*p = (struct poll){.timeout.QuadPart = INT64_MAX, .n = 1, .at = {{(HANDLE)s, events, 0}}};
	io->Status = 0x103;
	return control(device, NULL, NULL, context, io, POLL, p, sizeof *p, p, sizeof *p);
}

/* What the port tells next: as @context; the events of @p. -1: nothing. */
static long told(struct poll *p, IO_STATUS_BLOCK *io, void *context, DWORD ms)
{
	OVERLAPPED_ENTRY e = {0};
	ULONG n = 0;
	if (!GetQueuedCompletionStatusEx(port, &e, 1, &n, ms, FALSE))
		return -1;
	SAME(n, 1);
	SAME(e.lpCompletionKey, 77);
	CHECK((void *)e.lpOverlapped == context);
	return io->Status ? (long)io->Status : p->n == 1 ? (long)p->at[0].events : 0;
}

static void ready(void)
{
	SOCKET l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), s;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int len = sizeof a;
	struct poll p, q, r;
	IO_STATUS_BLOCK io, iq, ir;
	int one, two;
	u_long yes = 1;
	char buf[10];
	bind(l, (void *)&a, sizeof a);
	listen(l, 5);
	getsockname(l, (void *)&a, &len);
	SAME(ask(l, ACCEPTS, &p, &io, &one), STATUS_PENDING);
	SAME(told(&p, &io, &one, 0), -1);
	SAME(connect(c, (void *)&a, sizeof a), 0);
	SAME(told(&p, &io, &one, 5000), ACCEPTS);
	ioctlsocket(l, FIONBIO, &yes);
	s = accept(l, NULL, NULL);
	SAME(recv(s, buf, 10, 0), -1); /* as the one that listens, it does not wait */
	SAME(WSAGetLastError(), WSAEWOULDBLOCK);
	SAME(accept(l, NULL, NULL) == INVALID_SOCKET, 1);
	SAME(ask(c, SEND, &p, &io, &one), 0); /* at once, and the port is told all the same */
	SAME(told(&p, &io, &one, 5000), SEND);
	/* two sockets at one handle */
	SAME(ask(c, RECEIVE, &p, &io, &one), STATUS_PENDING);
	SAME(ask(s, RECEIVE, &q, &iq, &two), STATUS_PENDING);
	SAME(send(c, "x", 1, 0), 1);
	SAME(told(&q, &iq, &two, 5000), RECEIVE);
	SAME(told(&p, &io, &one, 0), -1);
	SAME(recv(s, buf, 10, 0), 1);
	SAME(send(s, "yz", 2, 0), 2);
	SAME(told(&p, &io, &one, 5000), RECEIVE);
	SAME(recv(c, buf, 10, 0), 2);
	/* called off */
	SAME(ask(c, RECEIVE, &p, &io, &one), STATUS_PENDING);
	SAME(cancel(device, &io, &ir), 0);
	SAME(told(&p, &io, &one, 5000), (LONG)0xc0000120);
	SAME(cancel(device, &io, &ir), (LONG)0xc0000225);
	/* nobody is told by the port without a context */
	SAME(ask(c, RECEIVE, &p, &io, NULL), STATUS_PENDING);
	SAME(send(s, "1", 1, 0), 1);
	for (int i = 0; i < 500 && io.Status == STATUS_PENDING; i++)
		Sleep(10);
	SAME(io.Status, 0);
	SAME(p.at[0].events, RECEIVE);
	SAME(told(&r, &ir, NULL, 0), -1);
	SAME(recv(c, buf, 10, 0), 1);
	SAME(ask(s, RECEIVE | DISCONNECT, &p, &io, &one), STATUS_PENDING);
	shutdown(c, SD_SEND);
	CHECK(told(&p, &io, &one, 5000) & DISCONNECT);
	closesocket(c);
	closesocket(s);
	closesocket(l);
}

static void refused(void)
{
	SOCKET c = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct poll p;
	IO_STATUS_BLOCK io;
	u_long yes = 1;
	int one;
	a.sin_port = htons(1);
	ioctlsocket(c, FIONBIO, &yes);
	SAME(connect(c, (void *)&a, sizeof a), -1);
	SAME(WSAGetLastError(), WSAEWOULDBLOCK);
	ask(c, SEND | FAILED, &p, &io, &one);
	CHECK(told(&p, &io, &one, 5000) & FAILED);
	closesocket(c);
	SAME(control(device, NULL, NULL, NULL, &io, POLL, &p, 3, &p, 3) < 0, 1);
}

int main(void)
{
	WSADATA data;
	WSAStartup(0x202, &data);
	opened();
	ready();
	refused();
	return end();
}
