/* SPDX-License-Identifier: Apache-2.0 */
/* net: Ethernet frames to and from the outside: user (libslirp, no privilege), tap. */
#pragma once
#include "base/base.h"
#include "host/host.h"
#include <sys/uio.h>

struct net;
struct net_options {
	const char *kind;      /* "user" (default), "tap", "none" */
	const char *tap;       /* interface name for tap */
	const char *const *publish; /* "[BIND:]HOST:GUEST[/udp]", 127.0.0.1 unless BIND is given */
	unsigned npublish;
	const char *hostname;  /* the guest's name for DHCP; may be NULL */
	bool restrict_out;     /* user: no traffic to the outside, published ports only */
};
/* Open. All callbacks come on the loop thread, serialized with net_send by the caller. */
int net_open(struct net **ret, const struct net_options *o, struct loop *l, struct log *log,
             struct lodge_err *e) MUST;
void net_close(struct net *n);
/* Guest -> outside: one frame without virtio header. Loop thread. Dropped when it cannot go. */
void net_send(struct net *n, const struct iovec *iov, int niov);
/* Outside -> guest. @fn returns false when the guest has no room; the frame is then kept (a
 * bounded queue) and offered again after net_rx_ready. */
void net_on_receive(struct net *n, bool (*fn)(void *arg, const uint8_t *frame, size_t len),
                    void *arg);
void net_rx_ready(struct net *n);
void net_mac(const struct net *n, uint8_t ret_mac[6]);   /* the guest's address, locally administered */
