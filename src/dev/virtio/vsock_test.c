/* SPDX-License-Identifier: Apache-2.0 */
/* vsock: connections both ways, credit, closing, garbage. */
#include "test/virtio_driver.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { GUEST = 77, RXBUF = 4096, RXN = 32, HDR = 44 };
enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT, CREDIT_REQUEST };

struct vsock_rig {
	struct vdriver d;
	char dir[64], path[80];
	uint64_t rx, tx;
	uint32_t fwd; /* told to the device in every packet */
	uint8_t last[RXBUF];
};

struct packet {
	uint32_t host_port, guest_port, len, flags, alloc, fwd;
	uint16_t op;
	const uint8_t *data;
};

static void rx_offer(struct vsock_rig *r, uint64_t at)
{
	struct vd_seg s = { at, RXBUF, true };
	vd_add(&r->d, 0, &s, 1, 0);
}

static void rig_init(struct vsock_rig *r, unsigned nrx)
{
	char options[128];
	*r = (struct vsock_rig){ .dir = "/tmp/lodge-vsock-XXXXXX" };
	CHECK(mkdtemp(r->dir) != NULL);
	snprintf(r->path, sizeof r->path, "%s/v", r->dir);
	snprintf(options, sizeof options, "cid=%d,path=%s", GUEST, r->path);
	vd_init(&r->d, virtio_class_find("vsock"), NULL, options, true);
	vd_up(&r->d, 1, 3, RXN);
	r->rx = vd_alloc(&r->d, RXBUF * RXN);
	r->tx = vd_alloc(&r->d, 1 << 18);
	for (unsigned i = 0; i < nrx; i++)
		rx_offer(r, r->rx + RXBUF * i);
	vd_kick(&r->d, 0);
	CHECK(vd_get(&r->d, 0x100) == GUEST);
}

static void rig_fini(struct vsock_rig *r)
{
	vd_fini(&r->d);
	CHECK(access(r->path, F_OK) < 0); /* cleaned up */
	CHECK(rmdir(r->dir) == 0);
}

/* The next packet from the device; its buffer is offered again. */
static bool rx_next(struct vsock_rig *r, struct packet *ret)
{
	uint16_t id;
	uint32_t len;
	vd_pump(&r->d);
	if (!vd_used(&r->d, 0, &id, &len))
		return false;
	uint64_t at = le64_at(vd_ptr(&r->d, r->d.q[0].desc + 16u * id, 8));
	const uint8_t *p = memcpy(r->last, vd_ptr(&r->d, at, RXBUF), RXBUF);
	CHECK(len >= HDR && le64_at(p) == 2 && le64_at(p + 8) == GUEST && le16_at(p + 28) == 1);
	*ret = (struct packet){ le32_at(p + 16), le32_at(p + 20), le32_at(p + 24), le32_at(p + 32),
		                le32_at(p + 36), le32_at(p + 40), le16_at(p + 30), p + HDR };
	CHECK(ret->len == len - HDR);
	rx_offer(r, at);
	vd_kick(&r->d, 0);
	return true;
}

static struct packet rx_expect(struct vsock_rig *r, uint16_t op)
{
	struct packet p = { 0 };
	bool got = false;
	for (int i = 0; !got && i < 50; i++)
		got = rx_next(r, &p);
	CHECK(got && p.op == op);
	return p;
}

static void tx(struct vsock_rig *r, uint16_t op, uint32_t host_port, uint32_t guest_port,
               uint32_t flags, uint32_t len)
{
	uint8_t *p = vd_ptr(&r->d, r->tx, HDR);
	struct vd_seg s[] = { { r->tx, HDR, false }, { r->tx + HDR, len, false } };
	le64_put(p, GUEST);
	le64_put(p + 8, 2);
	le32_put(p + 16, guest_port);
	le32_put(p + 20, host_port);
	le32_put(p + 24, len);
	le16_put(p + 28, 1);
	le16_put(p + 30, op);
	le32_put(p + 32, flags);
	le32_put(p + 36, 1 << 16);
	le32_put(p + 40, r->fwd);
	vd_do(&r->d, 1, s, len ? 2 : 1, 0);
}

static int unix_socket(const char *path, bool listening)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)&a;
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	CHECK((listening ? bind(fd, sa, sizeof a) : connect(fd, sa, sizeof a)) == 0);
	if (listening)
		CHECK(listen(fd, 600) == 0);
	return fd;
}

/* A host program connects to the guest's port 5000. */
static int host_connect(struct vsock_rig *r, struct packet *ret)
{
	char line[32] = "";
	int fd = unix_socket(r->path, false);
	CHECK(write(fd, "CONNECT 5000\nearly", 18) == 18);
	struct packet p = rx_expect(r, REQUEST);
	CHECK(p.guest_port == 5000 && p.host_port >= 1u << 30 && p.alloc);
	tx(r, RESPONSE, p.host_port, 5000, 0, 0);
	vd_pump(&r->d);
	CHECK(read(fd, line, sizeof line) > 0);
	unsigned port = 0;
	CHECK(sscanf(line, "OK %u\n", &port) == 1 && port == p.host_port);
	*ret = p;
	return fd;
}

TEST(vsock_host_reaches_the_guest)
{
	struct vsock_rig r;
	struct packet p, q;
	char got[32] = "";
	rig_init(&r, RXN);
	int fd = host_connect(&r, &p);
	q = rx_expect(&r, RW);
	CHECK(q.len == 5 && !memcmp(q.data, "early", 5) && q.host_port == p.host_port);
	memcpy(vd_ptr(&r.d, r.tx + HDR, 8), "response", 8);
	tx(&r, RW, p.host_port, 5000, 0, 8);
	CHECK(read(fd, got, sizeof got) == 8 && !strcmp(got, "response"));
	tx(&r, CREDIT_REQUEST, p.host_port, 5000, 0, 0);
	q = rx_expect(&r, CREDIT);
	CHECK(q.fwd == 8);
	/* half-close from the host, then the guest's answer still arrives */
	shutdown(fd, SHUT_WR);
	q = rx_expect(&r, SHUTDOWN);
	CHECK(q.flags == 2);
	tx(&r, RW, p.host_port, 5000, 0, 8);
	CHECK(read(fd, got, sizeof got) == 8);
	tx(&r, SHUTDOWN, p.host_port, 5000, 3, 0);
	rx_expect(&r, RST);
	CHECK(read(fd, got, sizeof got) == 0);
	CHECK(!rx_next(&r, &q));
	close(fd);
	rig_fini(&r);
}

TEST(vsock_guest_reaches_the_host)
{
	struct vsock_rig r;
	struct packet p;
	char path[96], got[16] = "";
	rig_init(&r, RXN);
	tx(&r, REQUEST, 1234, 6000, 0, 0); /* nobody listens */
	p = rx_expect(&r, RST);
	CHECK(p.host_port == 1234 && p.guest_port == 6000);
	snprintf(path, sizeof path, "%s_1234", r.path);
	int l = unix_socket(path, true);
	tx(&r, REQUEST, 1234, 6001, 0, 0);
	rx_expect(&r, RESPONSE);
	int fd = accept(l, NULL, NULL);
	memcpy(vd_ptr(&r.d, r.tx + HDR, 4), "ping", 4);
	tx(&r, RW, 1234, 6001, 0, 4);
	CHECK(read(fd, got, sizeof got) == 4 && !strcmp(got, "ping"));
	CHECK(write(fd, "pong", 4) == 4);
	p = rx_expect(&r, RW);
	CHECK(p.len == 4 && !memcmp(p.data, "pong", 4));
	tx(&r, REQUEST, 1234, 6001, 0, 0); /* a second connection of the same name: broken */
	rx_expect(&r, RST);
	CHECK(read(fd, got, sizeof got) == 0);
	close(fd);
	/* the host closes: the guest is told of both directions and answers */
	tx(&r, REQUEST, 1234, 6002, 0, 0);
	rx_expect(&r, RESPONSE);
	fd = accept(l, NULL, NULL);
	CHECK(write(fd, "bye", 3) == 3);
	close(fd);
	p = rx_expect(&r, RW);
	CHECK(p.len == 3);
	p = rx_expect(&r, SHUTDOWN);
	CHECK(p.flags == 3);
	tx(&r, RST, 1234, 6002, 0, 0);
	tx(&r, RW, 1234, 6002, 0, 4);
	rx_expect(&r, RST); /* it is gone */
	close(l);
	unlink(path);
	rig_fini(&r);
}

TEST(vsock_credit_bounds_both_directions)
{
	struct vsock_rig r;
	struct packet p, q;
	rig_init(&r, RXN);
	int fd = host_connect(&r, &p);
	rx_expect(&r, RW);
	/* host to guest: at most what the guest's buffer holds */
	static uint8_t data[1 << 18];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i ^ i >> 9);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	size_t sent = 0, got = 5;
	for (int round = 0; got < 5 + sizeof data; round++) {
		ssize_t n = write(fd, data + sent, sizeof data - sent);
		sent += n > 0 ? (size_t)n : 0;
		bool any = false;
		while (rx_next(&r, &q)) {
			CHECK(q.op == RW && !memcmp(q.data, data + got - 5, q.len));
			got += q.len;
			any = true;
			CHECK(got <= (size_t)r.fwd + (1 << 16));
		}
		if (!any) {
			CHECK(got == (size_t)r.fwd + (1 << 16) || sent < sizeof data);
			r.fwd = (uint32_t)got;
			tx(&r, CREDIT, p.host_port, 5000, 0, 0);
		}
		CHECK(round < 1000);
	}
	/* guest to host: the host reads nothing, then all of it */
	uint32_t put = 0, fwd = 0, back = 0;
	memcpy(vd_ptr(&r.d, r.tx + HDR, 4096), data, 4096);
	while (put - fwd + 4096 <= p.alloc) {
		tx(&r, RW, p.host_port, 5000, 0, 4096);
		put += 4096;
		while (rx_next(&r, &q))
			fwd = q.fwd;
		CHECK(put < 8 << 20);
	}
	static uint8_t in[4096];
	while (back < put) {
		ssize_t n = read(fd, in, 4096 - back % 4096);
		CHECK(n > 0 && !memcmp(in, data + back % 4096, (size_t)n));
		back += (uint32_t)n;
		vd_pump(&r.d);
	}
	while (rx_next(&r, &q))
		CHECK(q.op == CREDIT);
	/* beyond the credit: the connection is reset */
	for (uint32_t i = 0; i < 2 * p.alloc / 4096 + 256; i++)
		tx(&r, RW, p.host_port, 5000, 0, 4096);
	bool reset = false;
	while (rx_next(&r, &q))
		reset = reset || q.op == RST;
	CHECK(reset);
	close(fd);
	rig_fini(&r);
}

TEST(vsock_hundreds_of_connections_and_their_end)
{
	struct vsock_rig r;
	struct packet p;
	char path[96];
	int fds[300];
	rig_init(&r, RXN);
	snprintf(path, sizeof path, "%s_9", r.path);
	int l = unix_socket(path, true);
	for (uint32_t i = 0; i < 300; i++) {
		tx(&r, REQUEST, 9, 10000 + i, 0, 0);
		rx_expect(&r, RESPONSE);
		fds[i] = accept(l, NULL, NULL);
		CHECK(fds[i] >= 0);
	}
	for (uint32_t i = 0; i < 300; i++)
		CHECK(write(fds[i], &i, 4) == 4);
	bool seen[300] = { false };
	for (int n = 0; n < 300; n++) {
		p = rx_expect(&r, RW);
		uint32_t i = le32_at(p.data);
		CHECK(i < 300 && !seen[i] && p.guest_port == 10000 + i);
		seen[i] = true;
	}
	vd_set(&r.d, 0x70, 0); /* the guest resets the device: all end */
	vd_pump(&r.d);
	for (int i = 0; i < 300; i++) {
		char c;
		CHECK(read(fds[i], &c, 1) == 0);
		close(fds[i]);
	}
	close(l);
	unlink(path);
	rig_fini(&r);
}

TEST(vsock_handshakes_that_are_not)
{
	static const char *const lines[] = { "HELLO\n", "CONNECT \n", "CONNECT -5\n",
		                             "CONNECT 99999999999\n", "CONNECT 5x\n",
		                             "CONNECT 50000000000000000000000000000000" };
	struct vsock_rig r;
	struct packet p;
	rig_init(&r, RXN);
	for (size_t i = 0; i < countof(lines); i++) {
		char c;
		int fd = unix_socket(r.path, false);
		CHECK(write(fd, lines[i], strlen(lines[i])) > 0);
		vd_pump(&r.d);
		CHECK(read(fd, &c, 1) <= 0);
		close(fd);
	}
	CHECK(!rx_next(&r, &p));
	/* refused by the guest */
	char c;
	int fd = unix_socket(r.path, false);
	CHECK(write(fd, "CONNECT 1\n", 10) == 10);
	p = rx_expect(&r, REQUEST);
	tx(&r, RST, p.host_port, 1, 0, 0);
	CHECK(read(fd, &c, 1) == 0);
	close(fd);
	rig_fini(&r);
}

TEST(vsock_garbage_is_answered_by_reset_within_bounds)
{
	struct vsock_rig r;
	struct packet p;
	unsigned resets = 0;
	uint16_t id;
	uint32_t len;
	rig_init(&r, 0); /* no buffers for answers */
	for (int i = 0; i < 2000; i++) {
		struct vd_seg s = { r.tx, 20, false };
		if (i % 3 == 0) { /* not even a header */
			vd_add(&r.d, 1, &s, 1, 0);
			vd_kick(&r.d, 1);
			CHECK(vd_used(&r.d, 1, &id, &len));
		}
		if (i < 250)
			tx(&r, (uint16_t)(i % 12), 1, (uint32_t)i, (uint32_t)i, 0);
	}
	/* The 257th answer has no place: the queue waits, and goes on when there are buffers. */
	for (int i = 0; i < 30; i++) {
		uint8_t *h = vd_ptr(&r.d, r.tx, HDR);
		struct vd_seg s = { r.tx, HDR, false };
		le16_put(h + 30, RW);
		vd_add(&r.d, 1, &s, 1, 0);
	}
	vd_kick(&r.d, 1);
	unsigned done = 0;
	while (vd_used(&r.d, 1, &id, &len))
		done++;
	CHECK(done < 30 || !vd_broken(&r.d));
	for (unsigned i = 0; i < RXN; i++)
		rx_offer(&r, r.rx + RXBUF * i);
	vd_kick(&r.d, 0);
	while (rx_next(&r, &p)) {
		CHECK(p.op == RST);
		resets++;
	}
	while (vd_used(&r.d, 1, &id, &len))
		done++;
	CHECK(done == 30 && resets > 200);
	rig_fini(&r);
}
