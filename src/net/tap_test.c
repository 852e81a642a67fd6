/* SPDX-License-Identifier: Apache-2.0 */
/* A tap interface made for the test when that is allowed; else the message that says what to do. */
#include "net/internal.h"
#include "test/test.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct rig {
	struct loop *loop;
	struct net *net;
	unsigned seen;
	struct net_meta meta;
	uint8_t frame[2048];
	size_t len;
};

static void rig_wake(void *arg) { net_receive(((struct rig *)arg)->net); }
static void rig_stop(void *arg) { loop_stop(((struct rig *)arg)->loop); }

static bool rig_frame(void *arg, const struct net_meta *m, const uint8_t *frame, size_t len)
{
	struct rig *r = arg;
	r->seen++;
	r->meta = *m;
	r->len = min_u64(len, sizeof r->frame);
	memcpy(r->frame, frame, r->len);
	if (be16_at(frame + 12) == 0x0806)
		loop_stop(r->loop);
	return true;
}

static void tap_set(const char *name, unsigned long what, struct ifreq *q)
{
	autoclose int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(q->ifr_name, name, strlen(name) + 1);
	CHECK(s >= 0 && !ioctl(s, what, q));
}

static void tap_configure(const char *name)
{
	struct ifreq q = { 0 };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336401) };
	memcpy(&q.ifr_addr, &a, sizeof a);
	tap_set(name, SIOCSIFADDR, &q); /* 198.51.100.1, RFC 5737 */
	a.sin_addr.s_addr = htonl(0xffffff00);
	memcpy(&q.ifr_netmask, &a, sizeof a);
	tap_set(name, SIOCSIFNETMASK, &q);
	q = (struct ifreq){ .ifr_flags = IFF_UP | IFF_RUNNING };
	tap_set(name, SIOCSIFFLAGS, &q);
}

/* Who has 198.51.100.1, asked by .2: the host's kernel answers. */
static void tap_ask(struct net *n)
{
	uint8_t f[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,   1,  8,   6,
			 0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,   0,  0,   1,
			 198,  51,   100,  2,    0,    0,    0, 0, 0, 0, 198, 51, 100, 1};
	net_send(n, &(struct net_meta){ 0 }, &(struct iovec){ f, sizeof f }, 1);
}

TEST(tap_carries_frames_or_says_what_to_do)
{
	struct rig r = { 0 };
	struct lodge_err e = { 0 };
	struct loop_timer *limit;
	char name[IFNAMSIZ];
	CHECK(loop_new(&r.loop, NULL) == 0);
	CHECK(loop_timer_new(&limit, r.loop, NULL, rig_stop, &r, NULL) == 0);
	snprintf(name, sizeof name, "lodge%u", (unsigned)getpid());
	int err =
	    net_open(&r.net, &(struct net_options){.kind = "tap", .tap = name}, r.loop, NULL, &e);
	if (err) {
		CHECK(!r.net && strstr(e.msg, "network tap: "));
		CHECK(err != -EPERM || strstr(e.msg, "sudo ip tuntap add"));
	} else {
		net_on_receive(r.net, rig_wake, rig_frame, &r);
		CHECK(net_mtu(r.net) == 1500);
		net_set_offloads(r.net, NET_CAN_CSUM | NET_CAN_TSO4);
		tap_configure(name);
		tap_ask(r.net);
		loop_timer_set(limit, host_monotonic_ns() + 3000000000u);
		loop_run(r.loop);
		CHECK(r.seen && be16_at(r.frame + 12) == 0x0806 && be16_at(r.frame + 20) == 2);
		CHECK(be32_at(r.frame + 28) == 0xc6336401);
		struct net *second = NULL; /* the interface has a user */
		CHECK(net_open(&second, &(struct net_options){ .kind = "tap", .tap = name }, r.loop,
		               NULL, &e) == -EBUSY && !second);
		net_close(r.net);
	}
	loop_timer_free(limit);
	loop_free(r.loop);
}
