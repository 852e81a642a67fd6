/* SPDX-License-Identifier: Apache-2.0 */
/* net: Ethernet frames to and from the outside. Kinds are the rows of net.def:
 *   user  libslirp: needs no privilege. IPv4 10.0.2.0/24 (host .2, DNS .3, guest .15 by DHCP) and
 *         IPv6 fd4c:6f64:6765::/64 (host ::2, DNS ::3, guest by router advertisement). Name
 *         queries go to the host's resolver, a loopback one included; /etc/resolv.conf is read
 *         again when it changes. The host itself is 10.0.2.2.
 *         ping: the host and DNS addresses always answer. Others answer when the keeper may open
 *         ICMP sockets: run as root, or its group is within net.ipv4.ping_group_range.
 *   tap   an interface of the host; who made it decides where it leads
 *   none  a cable that is not plugged in */
#pragma once
#include "base/base.h"
#include "host/host.h"
#include <sys/types.h>
#include <sys/uio.h>

enum {
	NET_ETH_HEADER = 14,
	NET_FRAME_MAX = 65536 + 64, /* a segment of 64 KiB with Ethernet and VLAN headers */
	NET_ADDRESS_MAX = 46,       /* text of an IPv4 or IPv6 address */
};

/* What the sender left undone on a frame, in host byte order; all zero: nothing.
 * Meaning of the fields: VIRTIO 1.2 §5.1.6 (struct virtio_net_hdr). */
struct net_meta {
	uint8_t flags;        /* NET_NEEDS_CSUM, NET_DATA_VALID */
	uint8_t gso;          /* NET_GSO_* */
	uint16_t hdr_len, gso_size;
	uint16_t csum_start, csum_offset;
};
enum { NET_NEEDS_CSUM = 1, NET_DATA_VALID = 2 };
enum {
	NET_GSO_NONE = 0,
	NET_GSO_TCPV4 = 1,
	NET_GSO_UDP = 3,
	NET_GSO_TCPV6 = 4,
	NET_GSO_ECN = 0x80
};

/* What a kind can take from the guest (net_offloads), or the guest from it (net_set_offloads). */
enum { NET_CAN_CSUM = 1, NET_CAN_TSO4 = 2, NET_CAN_TSO6 = 4, NET_CAN_ECN = 8 };

struct net;
struct net_options {
	const char *kind;     /* "user" (when NULL), "tap", "none" */
	const char *tap;      /* interface name for tap */
	const char *const *publish; /* user: "[BIND:]HOST:GUEST[/tcp|udp]"; BIND is an IPv4 address,
	                               127.0.0.1 when absent; HOST 0 takes a free port */
	unsigned npublish;
	const char *hostname; /* the guest's name for DHCP; may be NULL */
	const char *mac;      /* "02:00:00:00:00:01"; NULL: random, locally administered */
	bool restrict_out;    /* user: nothing goes out but answers to published TCP ports; UDP and
	                         names are cut off (libslirp drops all UDP then) */
	const struct net_port *held; /* user: sockets of published ports that are there already;
	                                copied; nheld */
	unsigned nheld;
};
/* A published port, as it really is. */
struct net_port {
	char bind[NET_ADDRESS_MAX];
	uint16_t host, guest;
	bool udp;
	int fd;               /* its socket, borrowed */
};

/* Open. Refuses ports in use (EADDRINUSE), bad options (EINVAL), an interface that the keeper
 * may not use (EPERM) with what to do. Callbacks come on the loop thread. */
int net_open(struct net **ret, const struct net_options *o, struct loop *l, struct log *log,
             struct lodge_err *e) MUST;
void net_close(struct net *n); /* NULL is fine. The loop is not running, or its own thread */

/* Check one publish option without opening anything. */
int net_port_parse(struct net_port *ret, const char *text, struct lodge_err *e) MUST;

/* Guest -> outside: one frame. @iov is borrowed for the call and may change under our eyes (it is
 * guest memory): it is read once. Dropped when it cannot go. Loop thread. */
void net_send(struct net *n, const struct net_meta *meta, const struct iovec *iov, int niov);

/* Outside -> guest. Frames wait in a bounded queue; when it is full the oldest is dropped, as a
 * network card does. @wake tells that some wait (loop thread, perhaps from within net_send; it
 * only takes note). The receiver then calls net_receive, which gives them to @fn one by one until
 * it returns false (no room now: the frame is kept). Loop thread. */
typedef void net_wake_fn(void *arg);
typedef bool net_receive_fn(void *arg, const struct net_meta *meta, const uint8_t *frame,
                            size_t len);
void net_on_receive(struct net *n, net_wake_fn *wake, net_receive_fn *fn, void *arg);
void net_receive(struct net *n);
void net_discard(struct net *n);  /* drop what waits: it is older than the receiver */

void net_mac(const struct net *n, uint8_t ret_mac[6]); /* the guest's address */
bool net_mac_given(const struct net *n);     /* was it asked for, or is it a random one? */
void net_mac_set(struct net *n, const uint8_t mac[6]); /* another one instead */
unsigned net_mtu(const struct net *n);       /* largest IP packet that the outside carries */
bool net_link(const struct net *n);          /* is there an outside? */
unsigned net_offloads(const struct net *n);  /* NET_CAN_* accepted by net_send */
/* What the receiver accepts in the frames it is given; 0 at first. Loop thread. */
void net_set_offloads(struct net *n, unsigned can);
uint64_t net_dropped(const struct net *n);   /* frames to the guest lost for want of room */
/* The @i-th published port, or NULL past the end. */
const struct net_port *net_port_at(const struct net *n, unsigned i);
/* When somebody outside last had to do with a published port, on CLOCK_MONOTONIC: now, while a
 * connection is open. 0: never. Loop thread. */
uint64_t net_visited_ns(struct net *n);

/* ---- of what has a network namespace of its own, not a card (uplink.c) ---- */
/* A tap in that namespace, and a process outside it that carries what comes out to the user
 * network. */
struct uplink {
	int space; /* the network namespace; -1: none */
	pid_t pid; /* who carries; 0: nobody */
};
#define UPLINK_NONE ((struct uplink){.space = -1})
/* Its address, who leads out and is the host, and who answers names; the first 24 bits are those of
 * the network. */
#define UPLINK_TAP "eth0"
#define UPLINK_ADDRESS "10.0.2.15"
#define UPLINK_GATEWAY "10.0.2.2"
#define UPLINK_RESOLVER "10.0.2.3"
enum { UPLINK_PREFIX = 24 };
/* Make the namespace, as one of the user namespace @users (-1: the caller's); with @user, also a
 * tap that is up and the process behind it, with the ports of @publish. The caller has one thread.
 */
int uplink_make(struct uplink *ret, int users, bool user, const char *const *publish, size_t n,
                struct lodge_err *e) MUST;
void uplink_end(struct uplink *w); /* zeroed is not fine: UPLINK_NONE is */
