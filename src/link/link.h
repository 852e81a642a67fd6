/* SPDX-License-Identifier: Apache-2.0 */
/* link: interfaces of the host's kernel, and what it does to packets between them: bridges, pairs
 * of interfaces, addresses, routes (rtnetlink(7)), translated addresses (nf_tables). All of it
 * takes CAP_NET_ADMIN over the network namespace that it is of; what the kernel lacks is named by
 * the error. Addresses are IPv4, in host byte order. Thread: any, one per socket. */
#pragma once
#include "base/base.h"

enum { LINK_NAME = 16, LINK_ALIAS = 200, LINK_TEXT = 16 /* of an address */ };

/* A socket of rtnetlink in the network namespace @space (-1: the caller's). The caller has one
 * thread: it enters @space and comes back. */
int link_open(int *ret, int space, struct lodge_err *e) MUST;
/* A bridge that is up, with the address @address/@prefix. @alias says whose it is: one of that name
 * and alias may be there; EEXIST: it is somebody else's. */
int link_bridge(int s, const char *name, const char *alias, uint32_t address, unsigned prefix,
                struct lodge_err *e) MUST;
/* A pair: @name, up and a port of @bridge, and @peer with @mac in the namespace @space. */
int link_pair(int s, const char *name, const char *bridge, const char *peer, const uint8_t mac[6],
              int space, struct lodge_err *e) MUST;
/* @name gets an address and goes up; all that is farther away goes by @gateway. */
int link_address(int s, const char *name, uint32_t address, unsigned prefix, uint32_t gateway,
                 struct lodge_err *e) MUST;
/* 0 also when there is none. */
int link_remove(int s, const char *name, struct lodge_err *e) MUST;
/* The alias of @name; ENOENT: there is no such interface. */
int link_alias(int s, const char *name, char ret[LINK_ALIAS], struct lodge_err *e) MUST;

void link_text(uint32_t address, char ret[LINK_TEXT]);
/* "10.0.0.0/24": an address of its own network, prefix 8 to 29. EINVAL. */
int link_net_parse(const char *text, uint32_t *ret_net, unsigned *ret_prefix,
                   struct lodge_err *e) MUST;
uint32_t link_mask(unsigned prefix);
/* Does the caller's namespace reach some of this network by an interface other than @but? */
bool link_net_taken(uint32_t net, unsigned prefix, const char *but);

/* ---- nat.c: an address behind those of the host ---- */
enum { NAT_PORTS = 64 };
struct nat_port {
	uint32_t bind;        /* of the host; 0: all that it has */
	uint16_t host, guest;
	bool udp;
};
struct nat_want {
	const char *table;    /* a name that nobody else takes */
	const char *bridge;
	uint32_t net, address;
	unsigned prefix;
	const struct nat_port *ports; /* what is passed on to @address */
	size_t n;
};
/* Make the rules, in the caller's network namespace. They are there as long as the descriptor *@ret
 * is open in some process (a table with an owner, Linux 5.12), so a killed one leaves none. */
int nat_open(int *ret, const struct nat_want *w, struct lodge_err *e) MUST;
