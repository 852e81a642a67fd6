/* SPDX-License-Identifier: Apache-2.0 */
/* network: networks of this user that containers join by a bridge: folders NAME with network.json
 * and a lease for each address that is taken, below one folder, whose lock whoever looks at any of
 * them holds. What is in the kernel (bridge, pairs, rules) is there while a container has joined:
 * docs/decisions/0032. */
#pragma once
#include "link/link.h"

enum { NETWORK_NAME = 64, NETWORK_FIELD = 64 };

/* One that is open: its lock is held. */
struct network {
	char name[NETWORK_NAME], bridge[LINK_NAME];
	uint32_t net;            /* of its hosts; the first address is the gateway's */
	unsigned prefix;
	bool chosen;             /* by us: another will do, where that is taken */
	char *all, *dir;         /* owned: the folder of all, its own */
	int lock;
};
#define NETWORK_NONE ((struct network){.lock = -1})
/* ENOENT: there is none. The network "bridge" is made when it is first asked for. */
int network_open(struct network *ret, const char *name, struct lodge_err *e) MUST;
void network_close(struct network *n);
static inline uint32_t network_gateway(const struct network *n) { return n->net + 1; }
/* Another one of those that we choose from, which nobody has. No container may have joined. */
int network_choose(struct network *n, struct lodge_err *e) MUST;

/* Who has an address: a container by its folder's name, and what it is called. */
struct network_lease {
	uint32_t address;
	char id[NETWORK_FIELD], host[NETWORK_FIELD], guest[NETWORK_FIELD]; /* guest "": none */
};
/* Each that is in use; those of dead containers go. Not 0 from @fn ends it. */
int network_leases(const struct network *n, int (*fn)(void *arg, const struct network_lease *l),
                   void *arg, struct lodge_err *e) MUST;
unsigned network_members(const struct network *n); /* how many of them */
/* Sets l->address: the lowest that is free. EADDRNOTAVAIL: none is. */
int network_lease(const struct network *n, struct network_lease *l, struct lodge_err *e) MUST;
void network_release(const struct network *n, uint32_t address);

/* ---- join.c: a container and a network ---- */
struct network_ask {
	const char *name;        /* of the network */
	int space;               /* the container's network namespace */
	const char *id, *host, *guest; /* as in a lease; guest NULL: none */
	const char *folder;      /* the container's: gets hosts, resolv.conf and network */
	const char *const *publish; /* "[BIND:]HOST:GUEST[/udp]" */
	size_t npublish;
};
/* What keeps ports and rules, as long as it is open in some process. */
struct network_hold {
	int nat, *ports;         /* owned */
	size_t n;
};
#define NETWORK_HOLD_NONE {.nat = -1}
/* By root. EADDRINUSE: a port is. network_leave follows also on failure. */
int network_join(struct network_hold *ret, const struct network_ask *q, struct lodge_err *e) MUST;
void network_let_go(struct network_hold *h);
/* The container of @folder joined one, perhaps: it has left. May be called again. */
void network_leave(const char *folder);
/* What it has there: {name, id, address, gateway, interface, ports}; NULL: it has joined none.
 * Owned by the caller. */
struct json_object *network_joined(const char *folder);
