/* SPDX-License-Identifier: Apache-2.0 */
/* Between socket.c, socket_overlapped.c and socket_name.c. */
#pragma once
#include "win/dns.h"
#include "win/internal.h"
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

enum { FAMILY_INET6 = 23, WSA_IO_PENDING = 997 };
int32_t socket_error(int err);       /* WSAE... of an errno */
int32_t socket_fail(int err);        /* sets the last error, returns -1 */
struct file *socket_get(uint64_t h); /* with a reference; NULL: none, last error set */
void socket_put(struct file *f);
handle socket_wrap(int fd); /* takes it over */
/* poll(2): the thread can be stopped meanwhile, signals of the host do not end it. Sets errno. */
int socket_poll(struct pollfd *p, size_t n, int ms);
/* socket_event.c: what a socket tells of by an event; FD_... of WSAEventSelect. */
enum {
	NET_READ = 1,
	NET_WRITE = 2,
	NET_OOB = 4,
	NET_ACCEPT = 8,
	NET_CONNECT = 0x10,
	NET_CLOSE = 0x20
};
void net_again(struct file *f, uint32_t what); /* a call enables it; @f has events */
bool net_selected(const struct file *f);
int net_error(struct file *f); /* an errno that it took from the socket, once; 0: none */
void net_inherit(const struct file *from, handle h); /* accepted of it */
int family_host(int family);
/* Between a sockaddr of the guest and one of the host. */
bool address_in(struct sockaddr_storage *to, const void *from, int len) MUST;
void address_out(void *to, int32_t *len, const struct sockaddr_storage *from, socklen_t n);
/* Ask @resolver (host byte order) for the IPv4 addresses of @host, each 4 bytes of @ret, at most
 * DNS_ADDRESSES; none is an answer, too. False: it does not answer, or does not know. */
bool resolver_ask(uint32_t resolver, const char *host, uint8_t ret[][16], size_t *ret_n);
/* The name of an IPv4 address; false: it has none, or nobody knows. */
bool resolver_name(uint32_t resolver, const uint8_t address[4], char ret[DNS_NAME_MAX]);
