/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two halves of the vsock device: packets to and from the guest (vsock.c), unix
 * sockets on the host (vsock_host.c). Spec: VIRTIO 1.2 §5.10 */
#pragma once
#include "dev/virtio/virtio.h"
#include <sys/queue.h>

enum {
	VSOCK_CONNS = 1024,      /* at once, dying ones included */
	VSOCK_BUCKETS = 256,
	VSOCK_BUFFER = 1 << 17,  /* bytes of one connection that the host has not taken yet */
	VSOCK_RESETS = 256,      /* answers to packets without a connection, waiting for buffers */
	VSOCK_HOST_CID = 2,
	VSOCK_LINE = 32,         /* "CONNECT 4294967295\n" fits */
};
enum {
	SHUT_RECEIVE = 1,
	SHUT_SEND = 2,
	SHUT_BOTH = 3,
};
/* What a connection has to tell the guest. */
enum {
	TELL_REQUEST = 1,
	TELL_RESPONSE = 2,
	TELL_SHUTDOWN = 4,
	TELL_CREDIT = 8,
	TELL_RESET = 16,         /* and then the connection is over */
};
enum conn_state {
	CONN_HANDSHAKE,          /* a host program has not said CONNECT yet */
	CONN_REQUESTED,          /* the guest has not answered yet */
	CONN_OPEN,
	CONN_DYING,              /* only TELL_RESET is left */
	CONN_DEAD,               /* on the list of the dead, freed by the loop soon */
};

struct conn {
	struct vsock *s;         /* borrowed */
	enum conn_state state;
	uint32_t host_port, guest_port;
	uint8_t tell;
	uint8_t guest_shut;      /* the guest's SHUTDOWN flags */
	uint8_t host_shut;       /* ours, told or to be told */
	bool readable;           /* the socket had bytes when last seen */
	bool hung_up;            /* the host program closed both ways */
	bool ready;              /* on the list of those with something for the guest */
	/* credit. §5.10.6.3 */
	uint32_t peer_alloc, peer_fwd, sent;   /* guest's buffer; what it took; what we sent */
	uint32_t got, fwd, fwd_told;           /* what we got, passed on, said that we passed on */
	/* host side */
	int fd;                  /* owned */
	struct loop_watch *watch; /* owned; NULL after a hang-up */
	uint32_t events;
	uint8_t *buf;            /* owned; NULL while empty; VSOCK_BUFFER bytes */
	uint32_t buf_at, buf_len;
	char line[VSOCK_LINE];
	unsigned line_len;
	LIST_ENTRY(conn) bucket; /* not in CONN_HANDSHAKE and CONN_DEAD */
	TAILQ_ENTRY(conn) next;  /* in ready, or dead */
	LIST_ENTRY(conn) every;
};
LIST_HEAD(conn_list, conn);
TAILQ_HEAD(conn_queue, conn);

struct vsock {
	struct virtio v;
	uint64_t cid;
	char path[100];          /* "": no host side */
	int listener;            /* owned; -1 */
	struct loop_watch *watch; /* owned */
	bool full;               /* not accepting: no descriptors or connections left */
	bool moved;              /* the guest must be told that all connections are gone */
	bool held;               /* it was told and has not taken it in yet: nothing else */
	struct loop_timer *hold; /* owned; ends that; NULL without a loop */
	unsigned events_left, looks; /* buffers for events then; times that we looked since */
	bool tx_waits;           /* the guest's queue waits for room in @resets */
	unsigned nconns;
	uint32_t next_port;
	struct conn_list buckets[VSOCK_BUCKETS], all;
	struct conn_queue ready, dead;
	struct { uint32_t host_port, guest_port; } resets[VSOCK_RESETS];
	unsigned nresets, first_reset;
};

/* ---- vsock.c ---- */
struct conn *conn_new(struct vsock *s, int fd, enum conn_state state);
/* Give it its ports: from then on packets of the guest find it. */
void conn_bind(struct conn *c, uint32_t host_port, uint32_t guest_port);
struct conn *conn_find(struct vsock *s, uint32_t host_port, uint32_t guest_port);
void conn_ready(struct conn *c);
/* End it: the guest is told (RST), the host's end is closed now. */
void conn_abort(struct conn *c);
/* End it without a word. Storage is freed on the loop thread. */
void conn_close(struct conn *c);

/* ---- vsock_host.c ---- */
int vsock_listen(struct vsock *s, struct lodge_err *e) MUST;
/* Connect to the host program that serves @port; -1: nobody there. */
int vsock_connect(struct vsock *s, uint32_t port);
/* Watch the socket for what the connection can use now. False: cannot. */
bool conn_watch(struct conn *c);
/* Tell the host program that its guest port answered. */
bool conn_greet(struct conn *c);
/* Pass @len bytes of the chain on, or keep them. False: the host's end is gone. */
bool conn_pass(struct conn *c, struct chain *from, uint32_t len);
/* Act on the guest's SHUTDOWN once all it sent has been passed on. */
void conn_shut(struct conn *c);
void conn_reap(void *vsock);
void vsock_unlisten(struct vsock *s);
