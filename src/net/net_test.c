/* SPDX-License-Identifier: Apache-2.0 */
/* A guest of a few lines talks to the user network: ARP, DHCP, ping, UDP and TCP both ways. */
#include "net/internal.h"
#include "test/test.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { IP_GUEST = 0x0a00020f, IP_HOST = 0x0a000202, IP_DNS = 0x0a000203, WAIT_MS = 3000 };

struct rig {
	struct loop *loop;
	struct loop_timer *limit;
	struct net *net;
	uint8_t mac[6];
	bool (*want)(struct rig *r, const uint8_t *frame, size_t len); /* stop the loop on this */
	bool got, full;
	unsigned seen;
	uint8_t frame[NET_FRAME_MAX];
	size_t len;
	/* the guest's end of one TCP connection */
	uint32_t seq, ack;
	uint16_t sport, dport;
};

static void rig_stop(void *arg) { loop_stop(((struct rig *)arg)->loop); }

static void arp_reply(struct rig *r, const uint8_t *ask);

static bool rig_frame(void *arg, const struct net_meta *m, const uint8_t *frame, size_t len)
{
	struct rig *r = arg;
	if (r->full)
		return false;
	r->seen++;
	CHECK(m->flags == NET_DATA_VALID);
	if (be16_at(frame + 12) == 0x0806 && be16_at(frame + 20) == 1 &&
	    be32_at(frame + 38) == IP_GUEST)
		arp_reply(r, frame);
	if (!r->got && r->want && r->want(r, frame, len)) {
		memcpy(r->frame, frame, len);
		r->len = len;
		r->got = true;
		loop_stop(r->loop);
	}
	return true;
}

static void rig_take(void *arg) { net_receive(((struct rig *)arg)->net); }
static void rig_wake(void *arg)
{
	struct rig *r = arg;
	CHECK(loop_post(r->loop, NULL, rig_take, r) == 0);
}

static void rig_init(struct rig *r, const struct net_options *o)
{
	struct lodge_err e = { 0 };
	memset(r, 0, sizeof *r);
	CHECK(loop_new(&r->loop, NULL) == 0);
	CHECK(loop_timer_new(&r->limit, r->loop, NULL, rig_stop, r, NULL) == 0);
	CHECK(net_open(&r->net, o, r->loop, NULL, &e) == 0);
	net_on_receive(r->net, rig_wake, rig_frame, r);
	net_mac(r->net, r->mac);
}

static void rig_fini(struct rig *r)
{
	net_close(r->net);
	loop_timer_free(r->limit);
	loop_free(r->loop);
}

/* Run the loop until a frame that @want likes came. */
static bool rig_wait(struct rig *r, bool (*want)(struct rig *, const uint8_t *, size_t))
{
	r->want = want;
	r->got = false;
	loop_timer_set(r->limit, host_monotonic_ns() + WAIT_MS * 1000000ull);
	loop_run(r->loop);
	r->want = NULL;
	return r->got;
}

static void rig_run_ms(struct rig *r, unsigned ms)
{
	loop_timer_set(r->limit, host_monotonic_ns() + ms * 1000000ull);
	loop_run(r->loop);
}

/* ---- frames ---- */

static void be16_put(uint8_t *p, unsigned v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void be32_put(uint8_t *p, uint32_t v) { be16_put(p, v >> 16), be16_put(p + 2, v & 0xffff); }

static void rig_send(struct rig *r, const struct net_meta *m, uint8_t *f, size_t len)
{
	/* In two pieces, as a driver's header and data would come. */
	struct iovec iov[2] = { { f, 20 }, { f + 20, len - 20 } };
	net_send(r->net, m, iov, 2);
}

static void eth_put(const struct rig *r, uint8_t *f, const uint8_t to[6], unsigned type)
{
	memcpy(f, to, 6);
	memcpy(f + 6, r->mac, 6);
	be16_put(f + 12, type);
}

static void arp_put(struct rig *r, uint8_t f[42], unsigned op, const uint8_t to[6], uint32_t target)
{
	memset(f, 0, 42);
	eth_put(r, f, to, 0x0806);
	be16_put(f + 14, 1), be16_put(f + 16, 0x0800), f[18] = 6, f[19] = 4;
	be16_put(f + 20, op);
	memcpy(f + 22, r->mac, 6);
	be32_put(f + 28, IP_GUEST);
	be32_put(f + 38, target);
}

static void arp_reply(struct rig *r, const uint8_t *ask)
{
	uint8_t f[42];
	arp_put(r, f, 2, ask + 6, be32_at(ask + 28));
	memcpy(f + 32, ask + 22, 6);
	rig_send(r, &(struct net_meta){ 0 }, f, sizeof f);
}

/* An IPv4 header before @len bytes of payload. The sum of @proto's header is left to the network:
 * the field holds the pseudo header's, as a driver with VIRTIO_NET_F_CSUM does it. */
static void ip_send(struct rig *r, uint8_t *f, uint32_t src, uint32_t dst, unsigned proto,
		    size_t len, unsigned sum_at)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct net_meta own = { .csum_start = 14, .csum_offset = 10 };
	struct net_meta m = {
	    .flags = NET_NEEDS_CSUM, .csum_start = 34, .csum_offset = (uint16_t)sum_at};
	uint8_t *ip = f + 14;
	eth_put(r, f, all, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45, ip[8] = 64, ip[9] = (uint8_t)proto;
	be16_put(ip + 2, (unsigned)len + 20);
	be32_put(ip + 12, src), be32_put(ip + 16, dst);
	CHECK(net_checksum(&own, f, 34));
	uint32_t pseudo =
	    (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) + proto + (uint32_t)len;
	pseudo = (pseudo >> 16) + (pseudo & 0xffff);
	pseudo = (pseudo >> 16) + (pseudo & 0xffff);
	be16_put(f + 34 + sum_at, proto == 1 ? 0 : pseudo);
	rig_send(r, &m, f, 34 + len);
}

static void udp_send(struct rig *r, uint32_t src, uint32_t dst, unsigned sport, unsigned dport,
                     const void *data, size_t len)
{
	uint8_t f[1600] = { 0 };
	be16_put(f + 34, sport), be16_put(f + 36, dport), be16_put(f + 38, (unsigned)len + 8);
	memcpy(f + 42, data, len);
	ip_send(r, f, src, dst, 17, len + 8, 6);
}

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
static void tcp_send(struct rig *r, unsigned flags, const void *data, size_t len)
{
	uint8_t f[1600] = { 0 }, *t = f + 34;
	be16_put(t, r->sport), be16_put(t + 2, r->dport);
	be32_put(t + 4, r->seq), be32_put(t + 8, r->ack);
	t[12] = 0x50, t[13] = (uint8_t)flags;
	be16_put(t + 14, 60000);
	memcpy(t + 20, data, len);
	ip_send(r, f, IP_GUEST, IP_HOST, 6, len + 20, 16);
	r->seq += (uint32_t)len + (flags & (SYN | FIN) ? 1 : 0);
}

static bool is_ip(const uint8_t *f, size_t len, unsigned proto)
{
	return len >= 42 && be16_at(f + 12) == 0x0800 && f[23] == proto;
}
static bool want_arp(struct rig *r, const uint8_t *f, size_t len)
{
	return len >= 42 && be16_at(f + 12) == 0x0806 && be16_at(f + 20) == 2 &&
	       !memcmp(f, r->mac, 6);
}
static bool want_ping(struct rig *r, const uint8_t *f, size_t len)
{
	(void)r;
	return is_ip(f, len, 1) && f[34] == 0;
}
static bool want_udp(struct rig *r, const uint8_t *f, size_t len)
{
	return (void)r, is_ip(f, len, 17);
}
static bool want_tcp(struct rig *r, const uint8_t *f, size_t len)
{
	return (void)r, is_ip(f, len, 6);
}
static bool want_data(struct rig *r, const uint8_t *f, size_t len)
{
	return want_tcp(r, f, len) && be16_at(f + 16) > 40;
}

/* A host socket on a free loopback port. */
static int host_socket(int type, uint16_t *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	struct timeval limit = { .tv_sec = 3 };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
	CHECK(!bind(fd, (struct sockaddr *)&a, sizeof a) &&
	      !getsockname(fd, (struct sockaddr *)&a, &len));
	*ret_port = ntohs(a.sin_port);
	return fd;
}

/* ---- tests ---- */

TEST(net_port_texts)
{
	static const struct {
		const char *text, *bind;
		int host, guest;
		bool udp;
	} good[] = {
		{ "8080:80", "127.0.0.1", 8080, 80, false },
		{ "0:22/tcp", "127.0.0.1", 0, 22, false },
		{ "0.0.0.0:53:53/udp", "0.0.0.0", 53, 53, true },
		{ "192.0.2.1:65535:65535", "192.0.2.1", 65535, 65535, false },
	};
	static const char *const bad[] = {
	    "",        "80",        ":",    "80:",      ":80",      "80:0",          "65536:1",
	    "1:65536", "a:1",       "1:b",  "1:2/sctp", "1:2/",     "localhost:1:2", "+1:2",
	    "1:2:3:4", "[::1]:1:2", " 1:2", "1:2 ",     "000001:2", "1.2.3.4::5"};
	struct net_port p;
	for (size_t i = 0; i < countof(good); i++) {
		CHECK(net_port_parse(&p, good[i].text, NULL) == 0);
		CHECK(!strcmp(p.bind, good[i].bind) && p.udp == good[i].udp);
		CHECK(p.host == good[i].host && p.guest == good[i].guest);
	}
	for (size_t i = 0; i < countof(bad); i++) {
		struct lodge_err e = { 0 };
		CHECK(net_port_parse(&p, bad[i], &e) == -EINVAL && e.msg[0]);
	}
}

TEST(net_checksum_is_rfc1071_and_stays_inside)
{
	uint8_t f[64] = { 0 };
	for (unsigned i = 0; i < 64; i++)
		f[i] = (uint8_t)(i * 37);
	for (uint16_t start = 0; start < 70; start++)
		for (uint16_t off = 0; off < 70; off++) {
			uint8_t g[64];
			struct net_meta m = { .csum_start = start, .csum_offset = off };
			memcpy(g, f, sizeof g);
			CHECK(net_checksum(&m, g, 63) == (start < 63 && start + off + 2 <= 63));
			CHECK(g[63] == f[63]);
		}
	/* The example of RFC 1071 §3: the words sum up to ddf2. */
	uint8_t x[10] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0, 0 };
	CHECK(net_checksum(&(struct net_meta){.csum_offset = 8}, x, 10) &&
	      be16_at(x + 8) == 0x220d);
}

TEST(net_open_refuses_what_makes_no_sense)
{
	const char *port[] = { "1:2" };
	const struct net_options bad[] = {
	    {.kind = "carrier-pigeon"},
	    {.mac = "02:00"},
	    {.mac = "03:00:00:00:00:01"},
	    {.mac = "02:00:00:00:00:011"},
	    {.kind = "tap"},
	    {.kind = "tap", .tap = "much-too-long-name"},
	    {.kind = "none", .publish = port, .npublish = 1},
	};
	struct loop *l;
	CHECK(loop_new(&l, NULL) == 0);
	for (size_t i = 0; i < countof(bad); i++) {
		struct lodge_err e = { 0 };
		struct net *n = NULL;
		CHECK(net_open(&n, &bad[i], l, NULL, &e) == -EINVAL && !n && e.msg[0]);
	}
	loop_free(l);
}

TEST(net_user_answers_arp_and_ping)
{
	struct rig r;
	uint8_t f[100] = { 0 };
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	rig_init(&r, &(struct net_options){ .mac = "02:00:00:00:00:07" });
	CHECK(r.mac[0] == 2 && r.mac[5] == 7 && net_link(r.net));
	arp_put(&r, f, 1, all, IP_HOST);
	rig_send(&r, &(struct net_meta){ 0 }, f, 42);
	CHECK(rig_wait(&r, want_arp) && be32_at(r.frame + 28) == IP_HOST);
	f[34] = 8; /* echo request */
	be16_put(f + 38, 0x1234);
	memcpy(f + 42, "are you there", 13);
	ip_send(&r, f, IP_GUEST, IP_HOST, 1, 8 + 13, 2);
	CHECK(rig_wait(&r, want_ping) && !memcmp(r.frame + 42, "are you there", 13));
	rig_fini(&r);
}

static unsigned fds_open(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

TEST(net_user_opens_no_more_than_its_share)
{
	struct rig r;
	struct rlimit old, low;
	uint16_t port;
	int fd = host_socket(SOCK_DGRAM, &port);
	CHECK(!getrlimit(RLIMIT_NOFILE, &old));
	low = old;
	low.rlim_cur = min_u64(old.rlim_cur, 200);
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	rig_init(&r, &(struct net_options){ 0 });
	unsigned before = fds_open();
	for (unsigned i = 0; i < 300; i++) {
		udp_send(&r, IP_GUEST, IP_HOST, 2000 + i, port, "x", 1);
		if (i % 10 == 0)
			rig_run_ms(&r, 1);
	}
	CHECK(fds_open() - before <= 100 + 10);
	rig_fini(&r);
	CHECK(!setrlimit(RLIMIT_NOFILE, &old));
	close(fd);
}

TEST(net_user_survives_a_lonely_last_fragment)
{
	struct rig r;
	uint8_t f[53] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0, 0, 0, 0,    1,
			 8,    0,    0x45, 0,    0,    0x27, 0,  0, 4, 6, 0x40, 0xbf,
			 0x5e, 2,    10,   0,    2,    15,   10, 0, 2, 2};
	rig_init(&r, &(struct net_options){ 0 });
	rig_send(&r, &(struct net_meta){ 0 }, f, sizeof f);
	rig_run_ms(&r, 5);
	rig_fini(&r);
}

/* The value of a DHCP option, or NULL. */
static const uint8_t *dhcp_option(const struct rig *r, unsigned want)
{
	for (size_t i = 282; i + 1 < r->len && r->frame[i] != 255; i += 2u + r->frame[i + 1])
		if (r->frame[i] == want)
			return r->frame + i + 2;
	return NULL;
}

TEST(net_user_hands_out_an_address_and_a_name)
{
	struct rig r;
	uint8_t b[300] = { 1, 1, 6, 0, 0xca, 0xfe, 0xba, 0xbe };
	rig_init(&r, &(struct net_options){ .hostname = "attic" });
	memcpy(b + 28, r.mac, 6);
	be32_put(b + 236, 0x63825363);
	b[240] = 53, b[241] = 1, b[242] = 1, b[243] = 255; /* DHCPDISCOVER */
	udp_send(&r, 0, 0xffffffff, 68, 67, b, sizeof b);
	CHECK(rig_wait(&r, want_udp));
	CHECK(be32_at(r.frame + 58) == IP_GUEST); /* yiaddr */
	const uint8_t *router = dhcp_option(&r, 3), *dns = dhcp_option(&r, 6),
		      *name = dhcp_option(&r, 12);
	CHECK(router && be32_at(router) == IP_HOST);
	CHECK(dns && be32_at(dns) == IP_DNS);
	CHECK(name && !memcmp(name, "attic", 5));
	rig_fini(&r);
}

TEST(net_user_udp_reaches_a_host_service)
{
	struct rig r;
	uint16_t port;
	char buf[16];
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	int fd = host_socket(SOCK_DGRAM, &port);
	rig_init(&r, &(struct net_options){ 0 });
	udp_send(&r, IP_GUEST, IP_HOST, 5555, port, "knock", 5);
	CHECK(recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len) == 5);
	CHECK(sendto(fd, "enter", 5, 0, (struct sockaddr *)&from, len) == 5);
	CHECK(rig_wait(&r, want_udp) && be16_at(r.frame + 36) == 5555);
	CHECK(!memcmp(r.frame + 42, "enter", 5));
	close(fd);
	rig_fini(&r);
}

/* The guest opens a connection to @port of the host. */
static bool tcp_open(struct rig *r, uint16_t port)
{
	r->sport = 4444, r->dport = port, r->seq = 1000;
	tcp_send(r, SYN, "", 0);
	if (!rig_wait(r, want_tcp) || (r->frame[47] & (SYN | ACK)) != (SYN | ACK))
		return false;
	r->ack = be32_at(r->frame + 38) + 1;
	tcp_send(r, ACK, "", 0);
	return true;
}

TEST(net_user_tcp_reaches_a_host_service)
{
	struct rig r;
	uint16_t port;
	char buf[16];
	int fd = host_socket(SOCK_STREAM, &port);
	CHECK(!listen(fd, 1));
	rig_init(&r, &(struct net_options){ 0 });
	CHECK(tcp_open(&r, port));
	tcp_send(&r, ACK, "hello", 5);
	rig_run_ms(&r, 50);
	int c = accept(fd, NULL, NULL);
	CHECK(c >= 0 && read(c, buf, sizeof buf) == 5 && !memcmp(buf, "hello", 5));
	CHECK(write(c, "world", 5) == 5);
	CHECK(rig_wait(&r, want_data) && !memcmp(r.frame + 54, "world", 5));
	close(c);
	close(fd);
	rig_fini(&r);
}

TEST(net_user_restricted_reaches_nothing)
{
	struct rig r;
	uint16_t port;
	char buf[16];
	int tcp = host_socket(SOCK_STREAM, &port);
	CHECK(!listen(tcp, 1));
	rig_init(&r, &(struct net_options){ .restrict_out = true });
	CHECK(!tcp_open(&r, port));
	close(tcp);
	int udp = host_socket(SOCK_DGRAM, &port);
	udp_send(&r, IP_GUEST, IP_HOST, 5555, port, "knock", 5);
	rig_run_ms(&r, 50);
	CHECK(recv(udp, buf, sizeof buf, MSG_DONTWAIT) < 0);
	close(udp);
	rig_fini(&r);
}

static int host_connect(const struct net_port *p, int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(p->host) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	CHECK(inet_pton(AF_INET, p->bind, &a.sin_addr) == 1);
	CHECK(fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a));
	return fd;
}

static bool want_syn(struct rig *r, const uint8_t *f, size_t len)
{
	return want_tcp(r, f, len) && f[47] & SYN && be16_at(f + 36) == 80;
}

TEST(net_user_published_ports_reach_the_guest)
{
	struct rig r;
	char buf[16];
	const char *publish[] = { "0:80", "0:53/udp" };
	rig_init(&r, &(struct net_options){ .publish = publish, .npublish = 2 });
	const struct net_port *web = net_port_at(r.net, 0), *dns = net_port_at(r.net, 1);
	CHECK(web && web->host && !web->udp && dns && dns->host && dns->udp &&
	      !net_port_at(r.net, 2));
	int u = host_connect(dns, SOCK_DGRAM);
	CHECK(write(u, "name?", 5) == 5);
	CHECK(rig_wait(&r, want_udp) && be16_at(r.frame + 36) == 53 &&
	      !memcmp(r.frame + 42, "name?", 5));
	udp_send(&r, IP_GUEST, be32_at(r.frame + 26), 53, be16_at(r.frame + 34), "attic", 5);
	CHECK(read(u, buf, sizeof buf) == 5 && !memcmp(buf, "attic", 5));
	int c = host_connect(web, SOCK_STREAM);
	CHECK(rig_wait(&r, want_syn));
	r.sport = 80, r.dport = be16_at(r.frame + 34), r.seq = 7, r.ack = be32_at(r.frame + 38) + 1;
	tcp_send(&r, SYN | ACK, "", 0);
	CHECK(write(c, "GET /", 5) == 5);
	CHECK(rig_wait(&r, want_data) && !memcmp(r.frame + 54, "GET /", 5));
	r.ack += 5;
	tcp_send(&r, ACK, "200 OK", 6);
	rig_run_ms(&r, 50);
	CHECK(read(c, buf, sizeof buf) == 6 && !memcmp(buf, "200 OK", 6));
	close(c);
	close(u);
	rig_fini(&r);
}

TEST(net_user_port_outlives_the_guest)
{
	struct rig r;
	const char *publish[] = { "0:80", "0:53/udp" };
	rig_init(&r, &(struct net_options){ .publish = publish, .npublish = 2 });
	CHECK(net_visited_ns(r.net) == 0);
	struct net_port held[2];
	for (unsigned i = 0; i < 2; i++) {
		held[i] = *net_port_at(r.net, i);
		held[i].fd = dup(held[i].fd);
	}
	rig_fini(&r);
	/* nobody is there but the sockets */
	int c = host_connect(&held[0], SOCK_STREAM), u = host_connect(&held[1], SOCK_DGRAM);
	CHECK(write(u, "name?", 5) == 5);
	rig_init(&r, &(struct net_options){ .publish = publish, .npublish = 2, .held = held,
	                                    .nheld = 2 });
	for (unsigned i = 0; i < 2; i++) {
		CHECK(net_port_at(r.net, i)->host == held[i].host);
		close(held[i].fd);
	}
	CHECK(rig_wait(&r, want_udp) && !memcmp(r.frame + 42, "name?", 5));
	CHECK(net_visited_ns(r.net) != 0);
	uint64_t before = host_monotonic_ns();
	close(u);
	rig_fini(&r);
	close(c);
	/* a connection that waits is one, too */
	rig_init(&r, &(struct net_options){ .publish = publish, .npublish = 1 });
	c = host_connect(net_port_at(r.net, 0), SOCK_STREAM);
	CHECK(rig_wait(&r, want_syn) && net_visited_ns(r.net) >= before);
	close(c);
	rig_fini(&r);
}

TEST(net_user_says_that_a_port_is_taken)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	struct loop *l;
	CHECK(loop_new(&l, NULL) == 0);
	for (size_t i = 0; i < countof(types); i++) {
		uint16_t port;
		char text[32];
		const char *publish[] = { text };
		struct net *n = NULL;
		struct lodge_err e = { 0 };
		int fd = host_socket(types[i], &port);
		if (types[i] == SOCK_STREAM)
			CHECK(!listen(fd, 1));
		snprintf(text, sizeof text, "%u:80/%s", port, i ? "udp" : "tcp");
		struct net_options o = { .publish = publish, .npublish = 1 };
		CHECK(net_open(&n, &o, l, NULL, &e) == -EADDRINUSE && !n);
		CHECK(strstr(e.msg, "another program has it"));
		close(fd);
	}
	loop_free(l);
}

TEST(net_queue_is_bounded_and_drops_the_oldest)
{
	struct rig r;
	uint8_t f[64] = { 0 };
	rig_init(&r, &(struct net_options){ .kind = "none" });
	CHECK(!net_link(r.net));
	r.full = true;
	for (unsigned i = 0; i < NET_QUEUE_FRAMES + 100; i++)
		net_enqueue(r.net, &(struct net_meta){ .flags = NET_DATA_VALID }, f, sizeof f);
	CHECK(net_dropped(r.net) == 100);
	net_receive(r.net);
	CHECK(r.seen == 0);
	r.full = false;
	net_receive(r.net);
	CHECK(r.seen == NET_QUEUE_FRAMES);
	net_enqueue(r.net, &(struct net_meta){ 0 }, f, 13); /* shorter than a header */
	net_receive(r.net);
	CHECK(r.seen == NET_QUEUE_FRAMES);
	rig_fini(&r);
}
