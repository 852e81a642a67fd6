/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: so far, byte orders and saying that there is no network. */
#include "win/internal.h"
#include <arpa/inet.h>

enum { WSAENETDOWN = 10050 };
API(int32_t, ws_WSAStartup, uint16_t version, uint8_t *ret)
{
	memset(ret, 0, 408);
	le16_put(ret, version);
	le16_put(ret + 2, 0x202);
	return 0;
}
API(int32_t, ws_WSACleanup, void) { return 0; }
API(int32_t, ws_WSAGetLastError, void) { return (int32_t)last_error(); }
API(void, ws_WSASetLastError, int32_t e) { last_error_set((uint32_t)e); }
API(uint32_t, ws_htonl, uint32_t v) { return htonl(v); }
API(uint16_t, ws_htons, uint16_t v) { return htons(v); }
API(uint32_t, ws_ntohl, uint32_t v) { return ntohl(v); }
API(uint16_t, ws_ntohs, uint16_t v) { return ntohs(v); }
API(uint64_t, ws_socket, int32_t family, int32_t type, int32_t protocol)
{
	(void)family;
	(void)type;
	(void)protocol;
	last_error_set(WSAENETDOWN);
	return UINT64_MAX;
}
API(uint64_t, ws_WSASocketW, int32_t family, int32_t type, int32_t protocol, void *info, uint32_t group,
    uint32_t flags)
{
	(void)info;
	(void)group;
	(void)flags;
	return ws_socket(family, type, protocol);
}
