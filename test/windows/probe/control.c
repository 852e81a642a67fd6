/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the events of its console, while it waits for a socket to which nothing comes. */
#include <stdio.h>
#include <winsock2.h>

static BOOL WINAPI on_event(DWORD event)
{
	printf("event %lu\n", event);
	fflush(stdout);
	return TRUE;
}

int main(void)
{
	WSADATA w;
	fd_set set;
	struct timeval limit = {1, 500000};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	WSAStartup(0x202, &w);
	SOCKET s = socket(AF_INET, SOCK_DGRAM, 0);
	bind(s, (struct sockaddr *)&a, sizeof a);
	SetConsoleCtrlHandler(on_event, TRUE);
	puts("ready");
	fflush(stdout);
	DWORD from = GetTickCount();
	FD_ZERO(&set);
	FD_SET(s, &set);
	int n = select(0, &set, NULL, NULL, &limit);
	int error = n < 0 ? WSAGetLastError() : 0;
	printf("%d of %d%s\n", n, error, GetTickCount() - from < 1400 ? " early" : "");
	return 0;
}
