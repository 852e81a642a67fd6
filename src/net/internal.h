/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of network share: the frame queue, the class. */
#pragma once
#include "host/host.h"
#include "net/net.h"

extern const struct host_library net_slirp; /* see slirp.c */

enum {
	NET_QUEUE_FRAMES = 512,
	NET_QUEUE_BYTES = 1 << 20,
};

struct net_class {
	const char *name, *summary;
	size_t size; /* of the instance; its first member is struct net */
	unsigned mtu, offloads;
	bool link;
	int (*open)(struct net *n, const struct net_options *o, struct lodge_err *e);
	void (*close)(struct net *n); /* accepts half-open */
	/* @frame is private, @len within NET_ETH_HEADER..NET_FRAME_MAX. */
	void (*send)(struct net *n, const struct net_meta *meta, uint8_t *frame, size_t len);
	void (*set_offloads)(struct net *n, unsigned can); /* NULL: nothing to tell anybody */
	uint64_t (*visited_ns)(struct net *n); /* NULL: it has no published ports */
};

/* A frame that waits for the guest. */
struct net_frame {
	struct net_frame *next;
	struct net_meta meta;
	size_t len;
	uint8_t data[];
};

struct net {
	const struct net_class *class;
	struct loop *loop; /* borrowed */
	struct log *log;   /* borrowed */
	net_wake_fn *wake;
	net_receive_fn *receive;
	void *arg;
	uint8_t mac[6];
	bool mac_given;
	struct net_frame *head, **tail; /* owned */
	unsigned nqueued;
	size_t queued_bytes;
	uint64_t dropped;
	struct net_port *ports; /* owned */
	unsigned nports;
	unsigned mtu;
	uint8_t *tx;            /* owned: NET_FRAME_MAX bytes, one frame on its way out */
};

/* Queue a frame for the guest, dropping the oldest when there is no room, and wake the receiver. */
void net_enqueue(struct net *n, const struct net_meta *meta, const uint8_t *frame, size_t len);
/* Finish the checksum that @meta asks for. False: it points outside the frame. RFC 1071. */
bool net_checksum(const struct net_meta *meta, uint8_t *frame, size_t len) MUST;

/* The socket of published port @p, owned by the caller: bound, and a TCP one listens. @held: those
 * that may be there already, one of which is copied then. p->host becomes what it is. */
int port_socket(struct net_port *p, const struct net_port *held, unsigned nheld,
                struct lodge_err *e) MUST;

#define NET(name) extern const struct net_class net_##name;
#include "net/net.def"
