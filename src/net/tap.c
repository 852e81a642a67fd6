/* SPDX-License-Identifier: Apache-2.0 */
/* A tap interface of the host. Frames carry the virtio-net header, so that checksums and
 * segmentation pass through undone when nobody needs them done.
 * Spec: Linux Documentation/networking/tuntap.rst, VIRTIO 1.2 §5.1.6. */
#include "internal.h"
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
	TAP_HEADER = 12,  /* of VIRTIO 1.2: with num_buffers */
	TAP_BATCH = 64,   /* frames read in one turn of the loop */
};

struct tap {
	struct net n;
	int fd;                   /* owned */
	struct loop_watch *watch; /* owned */
	uint8_t *rx;              /* owned: TAP_HEADER + NET_FRAME_MAX */
	char name[IFNAMSIZ];
};

static struct tap *tap_of(struct net *n) { return container_of(n, struct tap, n); }

static void tap_readable(void *arg, uint32_t events)
{
	struct tap *t = arg;
	(void)events;
	for (int i = 0; i < TAP_BATCH; i++) {
		ssize_t got = read(t->fd, t->rx, TAP_HEADER + NET_FRAME_MAX);
		if (got < 0 && errno != EAGAIN && errno != EINTR) {
			/* The interface is gone. */
			log_at(t->n.log, LOG_WARN, "network tap %s: %s", t->name, strerror(errno));
			loop_watch_free(take(t->watch));
		}
		if (got <= TAP_HEADER)
			break;
		struct net_meta m = {
			.flags = t->rx[0] & (NET_NEEDS_CSUM | NET_DATA_VALID),
			.gso = t->rx[1],
			.hdr_len = le16_at(t->rx + 2),
			.gso_size = le16_at(t->rx + 4),
			.csum_start = le16_at(t->rx + 6),
			.csum_offset = le16_at(t->rx + 8),
		};
		net_enqueue(&t->n, &m, t->rx + TAP_HEADER, (size_t)got - TAP_HEADER);
	}
}

static int tap_attach(struct tap *t, struct lodge_err *e)
{
	struct ifreq q = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = TAP_HEADER, little = 1;
	memcpy(q.ifr_name, t->name, sizeof q.ifr_name);
	if (ioctl(t->fd, TUNSETIFF, &q) < 0) {
		if (errno == EPERM)
			return err_set(
			    e, EPERM,
			    "not allowed to use tap interface %s; make it for yourself with: "
			    "sudo ip tuntap add dev %s mode tap user $USER && "
			    "sudo ip link set %s up",
			    t->name, t->name, t->name);
		if (errno == EBUSY)
			return err_set(e, EBUSY, "tap interface %s has another user", t->name);
		return err_sys(e, "tap interface %s", t->name);
	}
	if (ioctl(t->fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(t->fd, TUNSETVNETLE, &little) < 0)
		return err_sys(e, "header of tap interface %s", t->name);
	return 0;
}

/* The interface's MTU, or 1500 when it cannot be asked. */
static unsigned tap_mtu(const struct tap *t)
{
	struct ifreq q = { 0 };
	autoclose int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(q.ifr_name, t->name, sizeof q.ifr_name);
	if (s < 0 || ioctl(s, SIOCGIFMTU, &q) < 0 || q.ifr_mtu < 68 || q.ifr_mtu > 65535)
		return 1500;
	return (unsigned)q.ifr_mtu;
}

static int tap_open(struct net *n, const struct net_options *o, struct lodge_err *e)
{
	struct tap *t = tap_of(n);
	t->fd = -1;
	if (!o->tap || !*o->tap || strlen(o->tap) >= sizeof t->name)
		return err_set(e, EINVAL, "\"%s\" is not an interface name", o->tap ? o->tap : "");
	memcpy(t->name, o->tap, strlen(o->tap) + 1);
	t->rx = malloc(TAP_HEADER + NET_FRAME_MAX);
	if (!t->rx)
		return err_set(e, ENOMEM, "no memory for a frame");
	t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0)
		return errno == ENOENT
		           ? err_set(e, ENOENT, "/dev/net/tun is missing (modprobe tun)")
		           : err_sys(e, "/dev/net/tun");
	int r = tap_attach(t, e);
	if (r)
		return r;
	n->mtu = tap_mtu(t);
	return loop_watch_new(&t->watch, n->loop, t->fd, EPOLLIN, NULL, tap_readable, t, e);
}

static void tap_close(struct net *n)
{
	struct tap *t = tap_of(n);
	if (t->watch)
		loop_watch_free(t->watch);
	if (t->fd >= 0)
		close(t->fd);
	free(t->rx);
}

static void tap_send(struct net *n, const struct net_meta *meta, uint8_t *frame, size_t len)
{
	struct tap *t = tap_of(n);
	uint8_t h[TAP_HEADER] = { meta->flags & NET_NEEDS_CSUM, meta->gso };
	le16_put(h + 2, meta->hdr_len);
	le16_put(h + 4, meta->gso_size);
	le16_put(h + 6, meta->csum_start);
	le16_put(h + 8, meta->csum_offset);
	struct iovec iov[2] = { { h, sizeof h }, { frame, len } };
	/* A full or refusing interface loses the frame, as a wire does. */
	if (writev(t->fd, iov, 2) < 0 && errno != EAGAIN)
		log_guest(n->log, "network tap %s: %s", t->name, strerror(errno));
}

static void tap_set_offloads(struct net *n, unsigned can)
{
	struct tap *t = tap_of(n);
	unsigned long f = 0;
	if (can & NET_CAN_CSUM)
		f = TUN_F_CSUM | (can & NET_CAN_TSO4 ? TUN_F_TSO4 : 0u) |
		    (can & NET_CAN_TSO6 ? TUN_F_TSO6 : 0u);
	if (f & (TUN_F_TSO4 | TUN_F_TSO6) && can & NET_CAN_ECN)
		f |= TUN_F_TSO_ECN;
	if (ioctl(t->fd, TUNSETOFFLOAD, f) < 0)
		log_at(n->log, LOG_WARN, "network tap %s: offloads: %s", t->name, strerror(errno));
}

const struct net_class net_tap = {
	.name = "tap", .summary = "a tap interface of the host", .size = sizeof(struct tap),
	.mtu = 1500, .link = true,
	.offloads = NET_CAN_CSUM | NET_CAN_TSO4 | NET_CAN_TSO6 | NET_CAN_ECN,
	.open = tap_open, .close = tap_close, .send = tap_send, .set_offloads = tap_set_offloads,
};
