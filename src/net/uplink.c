/* SPDX-License-Identifier: Apache-2.0 */
/* The network of a container, or of a program in a box, that needs no rights on the host:
 * netdevice(7), network_namespaces(7), Linux Documentation/networking/tuntap. */
#include "net/net.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static const char mask[] = "255.255.255.0"; /* UPLINK_PREFIX */

/* ---- inside: interfaces ---- */

static struct sockaddr inet(const char *text)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
	} u = {.in = {.sin_family = AF_INET}};
	inet_pton(AF_INET, text, &u.in.sin_addr);
	return u.any;
}

static int link_up(int s, const char *name)
{
	struct ifreq r = {0};
	strcpy(r.ifr_name, name);
	if (ioctl(s, SIOCGIFFLAGS, &r) < 0)
		return -1;
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
	return ioctl(s, SIOCSIFFLAGS, &r);
}

static int tap_open(unsigned mtu)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	autoclose int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	autoclose int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strcpy(r.ifr_name, UPLINK_TAP);
	if (fd < 0 || s < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		return -1;
	r.ifr_mtu = (int)mtu;
	if (ioctl(s, SIOCSIFMTU, &r) < 0)
		return -1;
	r.ifr_addr = inet(UPLINK_ADDRESS);
	if (ioctl(s, SIOCSIFADDR, &r) < 0)
		return -1;
	r.ifr_netmask = inet(mask);
	if (ioctl(s, SIOCSIFNETMASK, &r) < 0 || link_up(s, UPLINK_TAP) < 0)
		return -1;
	struct rtentry way = {.rt_gateway = inet(UPLINK_GATEWAY),
			      .rt_dst = inet("0.0.0.0"),
			      .rt_genmask = inet("0.0.0.0"),
			      .rt_flags = RTF_UP | RTF_GATEWAY};
	if (ioctl(s, SIOCADDRT, &way) < 0)
		return -1;
	return take_fd(&fd);
}

/* In a child: the namespace is made, its interfaces too; the tap goes to the parent. */
static void inside_child(int to, int users, bool user)
{
	enum { MTU = 1500 };
	struct lodge_err e = {0};
	int s = -1, tap = -1;
	if (users >= 0 && setns(users, CLONE_NEWUSER) < 0)
		(void)!err_sys(&e, "a user namespace");
	else if (unshare(CLONE_NEWNET) < 0)
		(void)!err_sys(&e, "a network namespace");
	else if ((s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0 || link_up(s, "lo") < 0)
		(void)!err_sys(&e, "the loopback of a network namespace");
	else if (user && (tap = tap_open(MTU)) < 0)
		(void)!err_sys(&e, "a tap in a network namespace (is /dev/net/tun there?)");
	/* with a descriptor or without, then what went wrong, if anything */
	if (tap >= 0)
		(void)!host_packet_send(to, "t", 1, tap);
	else
		(void)!write(to, "-", 1);
	(void)!write(to, &e, sizeof e);
	char done;
	(void)!read(to, &done, 1); /* until the parent has the namespace */
	_exit(0);
}

static int inside_make(struct uplink *w, int users, bool user, int *ret_tap, struct lodge_err *e)
{
	int ends[2];
	char path[64], what;
	struct lodge_err said = {0};
	int r = host_packet_pair(ends, e);
	if (r < 0)
		return r;
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		inside_child(ends[1], users, user);
	}
	close(ends[1]);
	if (child > 0)
		(void)!host_packet_receive(ends[0], &what, 1, true, ret_tap);
	if (child < 0)
		r = err_sys(e, "a process");
	else if (recv(ends[0], &said, sizeof said, MSG_WAITALL) != sizeof said)
		r = err_set(e, EIO, "a network namespace: its process ended");
	else if (said.code)
		r = err_set(e, said.code, "%s", said.msg);
	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)child);
	if (r == 0 && (w->space = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		r = err_sys(e, "a network namespace");
	close(ends[0]);
	host_reap(child);
	return r;
}

/* ---- outside: frames ---- */

struct carrier {
	struct loop *loop;
	struct net *net;
	int tap;
	uint8_t frame[NET_FRAME_MAX];
};

/* From the container. */
static void carrier_out(void *arg, uint32_t events)
{
	struct carrier *c = arg;
	(void)events;
	for (unsigned i = 0; i < 64; i++) {
		ssize_t n = read(c->tap, c->frame, sizeof c->frame);
		if (n < 0)
			return;
		struct net_meta meta = {0};
		struct iovec v = {c->frame, (size_t)n};
		if (n >= NET_ETH_HEADER)
			net_send(c->net, &meta, &v, 1);
	}
}

static bool carrier_in(void *arg, const struct net_meta *meta, const uint8_t *frame, size_t len)
{
	struct carrier *c = arg;
	(void)meta; /* no offloads were allowed: frames are whole */
	/* what the tap does not take is lost, as on any cable */
	(void)!write(c->tap, frame, len);
	return true;
}

static void carrier_turn(void *arg)
{
	struct carrier *c = arg;
	net_receive(c->net);
}

static void carrier_wake(void *arg)
{
	struct carrier *c = arg;
	(void)!loop_post(c->loop, NULL, carrier_turn, c);
}

static void carrier_leave(void *arg, uint32_t events)
{
	struct carrier *c = arg;
	(void)events;
	loop_stop(c->loop);
}

/* In a child, until @life's other end is closed. Says on it how it began. */
static void carrier_child(int tap, int life, const char *const *publish, size_t n)
{
	struct carrier *c = calloc(1, sizeof *c);
	struct net_options o = {.publish = publish, .npublish = (unsigned)n};
	struct loop_watch *a = NULL, *b = NULL;
	struct lodge_err e = {.code = ENOMEM, .msg = "out of memory"};
	host_signals_default();
	signal(SIGINT, SIG_IGN); /* of the terminal, meant for the container */
	signal(SIGQUIT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "lodge-net");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (c && loop_new(&c->loop, &e) == 0) {
		c->tap = tap;
		if (net_open(&c->net, &o, c->loop, NULL, &e) == 0 &&
		    loop_watch_new(&a, c->loop, tap, EPOLLIN, NULL, carrier_out, c, &e) == 0 &&
		    loop_watch_new(&b, c->loop, life, EPOLLIN | EPOLLHUP, NULL, carrier_leave, c,
				   &e) == 0)
			e.code = 0;
	}
	(void)!write(life, &e, sizeof e);
	if (e.code)
		_exit(1);
	net_on_receive(c->net, carrier_wake, carrier_in, c);
	loop_run(c->loop);
	_exit(0);
}

static int outside_make(struct uplink *w, int tap, const char *const *publish, size_t n,
			struct lodge_err *e)
{
	int ends[2];
	struct lodge_err said;
	int r = host_packet_pair(ends, e);
	if (r < 0)
		return r;
	w->pid = fork();
	if (w->pid == 0) {
		close(ends[0]);
		int keep[] = {tap, ends[1]};
		host_fds_close(keep, countof(keep));
		carrier_child(tap, ends[1], publish, n);
	}
	close(ends[1]);
	r = w->pid < 0 ? err_sys(e, "a process") : 0;
	if (r == 0 && recv(ends[0], &said, sizeof said, MSG_WAITALL) != sizeof said)
		r = err_set(e, EIO, "the process of the network ended");
	else if (r == 0 && said.code)
		r = err_set(e, said.code, "%s", said.msg);
	/* its end is ours: nobody else has this descriptor */
	(void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	if (r < 0)
		close(ends[0]);
	return r;
}

int uplink_make(struct uplink *ret, int users, bool user, const char *const *publish, size_t n,
		struct lodge_err *e)
{
	int tap = -1;
	*ret = UPLINK_NONE;
	int r = inside_make(ret, users, user, &tap, e);
	if (r == 0 && user)
		r = outside_make(ret, tap, publish, n, e);
	auto_close(&tap);
	if (r < 0)
		uplink_end(ret);
	return r;
}

void uplink_end(struct uplink *w)
{
	if (w->pid > 0) {
		host_child_end(w->pid);
	}
	auto_close(&w->space);
	*w = UPLINK_NONE;
}
