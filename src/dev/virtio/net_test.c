/* SPDX-License-Identifier: Apache-2.0 */
/* The network card with a network that remembers what it was sent. */
#include "net/internal.h"
#include "test/virtio_driver.h"

enum { RX, TX, CTRL, CSUM = 1 << 0, GUEST_CSUM = 1 << 1, HOST_TSO4 = 1 << 11, MRG = 1 << 15,
       CTRL_VQ = 1 << 17, CTRL_RX = 1 << 18, CTRL_MAC = 1 << 23 };

static struct echo {
	struct net n;
	unsigned sent;
	struct net_meta meta;
	uint8_t frame[NET_FRAME_MAX];
	size_t len;
	unsigned can;
} echo;

static void echo_send(struct net *n, const struct net_meta *m, uint8_t *frame, size_t len)
{
	(void)n;
	echo.sent++;
	echo.meta = *m;
	echo.len = len;
	memcpy(echo.frame, frame, len);
}
static void echo_offloads(struct net *n, unsigned can) { (void)n, echo.can = can; }

static const struct net_class echo_class = {
	.name = "echo", .mtu = 9000, .link = true, .send = echo_send, .set_offloads = echo_offloads,
	.offloads = NET_CAN_CSUM | NET_CAN_TSO4 | NET_CAN_TSO6,
};

static void card_up(struct vdriver *d, uint64_t features, bool with_loop)
{
	memset(&echo, 0, sizeof echo);
	echo.n = (struct net){ .class = &echo_class, .mac = { 2, 0, 0, 0, 0, 9 }, .mtu = 9000 };
	echo.n.tail = &echo.n.head;
	echo.n.tx = malloc(NET_FRAME_MAX);
	vd_init(d, virtio_class_find("net"), &echo.n, "packed=on", with_loop);
	vd_up(d, features, 3, 128);
}

static void card_down(struct vdriver *d)
{
	vd_fini(d);
	net_discard(&echo.n);
	free(echo.n.tx);
}

/* Send @len bytes behind the header @h, in two pieces; true: it went out. */
static bool card_tx(struct vdriver *d, const uint8_t h[12], uint32_t len)
{
	unsigned before = echo.sent;
	uint64_t at = vd_alloc(d, 12 + len);
	uint8_t *p = vd_ptr(d, at, 12 + len);
	memcpy(p, h, 12);
	for (uint32_t i = 0; i < len; i++)
		p[12 + i] = (uint8_t)(i * 7);
	struct vd_seg s[] = { { at, 20, false }, { at + 20, len - 8, false } };
	CHECK(vd_do(d, TX, s, 2, 0) == 0);
	return echo.sent == before + 1;
}

TEST(net_card_config_says_who_it_is)
{
	struct vdriver d;
	card_up(&d, GUEST_CSUM, true);
	CHECK(d.read(&d, 0x100, 1) == 2 && d.read(&d, 0x105, 1) == 9);
	CHECK(d.read(&d, 0x106, 2) == 1);    /* link */
	CHECK(d.read(&d, 0x10a, 2) == 9000); /* mtu */
	CHECK(echo.can == NET_CAN_CSUM);
	card_down(&d);
}

TEST(net_card_sends_frames_of_every_size)
{
	static const uint64_t kinds[] = { 0, VIRTIO_F_RING_PACKED };
	static const uint32_t sizes[] = { 14, 60, 1514, 9014, 65550 };
	static const uint8_t h[12];
	for (size_t k = 0; k < countof(kinds); k++) {
		struct vdriver d;
		card_up(&d, kinds[k], k & 1);
		for (size_t i = 0; i < countof(sizes); i++) {
			CHECK(card_tx(&d, h, sizes[i]) && echo.len == sizes[i]);
			CHECK(echo.frame[sizes[i] - 1] == (uint8_t)((sizes[i] - 1) * 7));
		}
		CHECK(!card_tx(&d, h, 13));
		CHECK(!card_tx(&d, h, 100000) && !vd_broken(&d));
		card_down(&d);
	}
}

TEST(net_card_refuses_headers_that_lie)
{
	static const struct {
		uint8_t h[12];
		uint64_t features;
		bool ok;
	} rows[] = {
	    {{0}, 0, true},
	    {{1, 0, 0, 0, 0, 0, 34, 0, 16}, CSUM, true},
	    {{1, 0, 0, 0, 0, 0, 34, 0, 16}, 0, false},   /* not negotiated */
	    {{1, 0, 0, 0, 0, 0, 82, 0, 16}, CSUM, true}, /* the last two bytes */
	    {{1, 0, 0, 0, 0, 0, 83, 0, 16}, CSUM, false},
	    {{1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, CSUM, false},
	    {{1, 0, 0, 0, 0, 0, 13, 0, 1}, CSUM, false}, /* in the Ethernet header */
	    {{1, 1, 54, 0, 40, 0, 34, 0, 16}, CSUM | HOST_TSO4, true},
	    {{1, 1, 54, 0, 40, 0, 34, 0, 16}, CSUM, false},
	    {{1, 4, 54, 0, 40, 0, 34, 0, 16}, CSUM | HOST_TSO4, false}, /* v6 not negotiated */
	    {{0, 1, 54, 0, 40, 0, 34, 0, 16}, CSUM | HOST_TSO4, false},
	    {{1, 1, 54, 0, 0, 0, 34, 0, 16}, CSUM | HOST_TSO4, false}, /* segments of nothing */
	    {{1, 1, 101, 0, 40, 0, 34, 0, 16}, CSUM | HOST_TSO4, false},
	    {{1, 0x81, 54, 0, 40, 0, 34, 0, 16}, CSUM | HOST_TSO4, false}, /* ECN */
	    {{1, 3, 54, 0, 40, 0, 34, 0, 16}, CSUM | HOST_TSO4, false},    /* UFO */
	    {{1, 5, 54, 0, 40, 0, 34, 0, 16}, CSUM | HOST_TSO4, false},
	    {{1, 0x80, 54, 0, 40, 0, 34, 0, 16}, CSUM | HOST_TSO4, false},
	};
	for (size_t i = 0; i < countof(rows); i++) {
		struct vdriver d;
		card_up(&d, rows[i].features, false);
		CHECK(card_tx(&d, rows[i].h, 100) == rows[i].ok);
		CHECK(!rows[i].ok || echo.meta.flags == rows[i].h[0]);
		card_down(&d);
	}
}

static void frame_in(size_t len, uint8_t to)
{
	uint8_t f[NET_FRAME_MAX] = { 2, 0, 0, 0, 0, to };
	for (size_t i = 14; i < len; i++)
		f[i] = (uint8_t)(i * 3);
	net_enqueue(&echo.n, &(struct net_meta){ .flags = NET_DATA_VALID }, f, len);
}

/* Collect one frame from used buffers of @each bytes from @buf on. Returns its length. */
static size_t card_rx(struct vdriver *d, uint64_t buf, uint32_t each, uint8_t *ret)
{
	uint16_t id;
	uint32_t len;
	size_t n = 0;
	unsigned left = 1;
	for (unsigned i = 0; i < left; i++) {
		if (!vd_used(d, RX, &id, &len))
			return 0;
		uint8_t *p = vd_ptr(d, buf + (uint64_t)id * each, each);
		unsigned skip = i ? 0 : 12;
		if (!i)
			left = le16_at(p + 10);
		CHECK(len <= each && len >= skip);
		memcpy(ret + n, p + skip, len - skip);
		n += len - skip;
	}
	return n;
}

TEST(net_card_spreads_frames_over_merged_buffers)
{
	static const uint64_t kinds[] = { MRG, MRG | VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX };
	enum { EACH = 1536 };
	for (size_t k = 0; k < countof(kinds); k++) {
		struct vdriver d;
		static uint8_t f[NET_FRAME_MAX + EACH];
		card_up(&d, kinds[k], true);
		uint64_t buf = vd_alloc(&d, 128 * EACH);
		frame_in(60, 9); /* before there is any buffer */
		vd_pump(&d);
		for (uint32_t i = 0; i < 50; i++)
			vd_add(&d, RX, &(struct vd_seg){ buf + i * EACH, EACH, true }, 1, 0);
		vd_kick(&d, RX);
		CHECK(card_rx(&d, buf, EACH, f) == 60 && d.raised == 1);
		frame_in(1514, 9);
		frame_in(65534, 9); /* 43 buffers */
		frame_in(9014, 9);  /* 6 buffers, only 5 left */
		vd_pump(&d);
		CHECK(card_rx(&d, buf, EACH, f) == 1514 && f[1513] == (uint8_t)(1513 * 3));
		CHECK(card_rx(&d, buf, EACH, f) == 65534 && f[65533] == (uint8_t)(65533 * 3));
		CHECK(card_rx(&d, buf, EACH, f) == 0);
		vd_add(&d, RX, &(struct vd_seg){ buf + 50 * EACH, EACH, true }, 1, 0);
		vd_kick(&d, RX);
		CHECK(card_rx(&d, buf, EACH, f) == 9014 && f[9013] == (uint8_t)(9013 * 3));
		CHECK(!vd_broken(&d) && net_dropped(&echo.n) == 0);
		card_down(&d);
	}
}

TEST(net_card_keeps_one_buffer_a_frame_without_merging)
{
	struct vdriver d;
	static uint8_t f[4096];
	card_up(&d, GUEST_CSUM, true);
	uint64_t buf = vd_alloc(&d, 4096);
	vd_add(&d, RX, &(struct vd_seg){ buf, 1526, true }, 1, 0);
	frame_in(1515, 9); /* does not fit and never will */
	frame_in(1514, 9);
	vd_pump(&d);
	CHECK(card_rx(&d, buf, 1526, f) == 1514);
	CHECK(*(uint8_t *)vd_ptr(&d, buf, 1) == NET_DATA_VALID);
	vd_add(&d, RX, &(struct vd_seg){ buf, 11, true }, 1, 0); /* not even a header */
	frame_in(60, 9);
	vd_pump(&d);
	CHECK(vd_broken(&d));
	card_down(&d);
}

/* A control command; returns its ack. */
static uint8_t card_ctrl(struct vdriver *d, const void *cmd, uint32_t len)
{
	uint64_t at = vd_alloc(d, len + 1);
	uint8_t *p = vd_ptr(d, at, len + 1);
	memcpy(p, cmd, len);
	p[len] = 0xee;
	struct vd_seg s[] = { { at, len, false }, { at + len, 1, true } };
	CHECK(vd_do(d, CTRL, s, 2, 0) == 1);
	return p[len];
}

TEST(net_card_filters_by_address)
{
	struct vdriver d;
	static uint8_t f[4096];
	static const uint8_t promisc[] = {0, 0, 1}, own[] = {0, 0, 0}, short_cmd[] = {0},
			     list[] = {1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 5, 0, 0, 0, 0},
			     cut[] = {1, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 6, 0, 0, 0, 0},
			     huge[] = {1, 0, 0xff, 0xff, 0xff, 0xff},
			     mac[] = {1, 1, 2, 0, 0, 0, 0, 7}, group[] = {1, 1, 3, 0, 0, 0, 0, 7},
			     unknown[] = {9, 9, 9};
	card_up(&d, MRG | CTRL_VQ | CTRL_RX | CTRL_MAC, true);
	uint64_t buf = vd_alloc(&d, 16 * 256);
	for (uint32_t i = 0; i < 16; i++)
		vd_add(&d, RX, &(struct vd_seg){ buf + i * 256, 256, true }, 1, 0);
	frame_in(60, 5); /* not ours */
	frame_in(61, 9);
	vd_pump(&d);
	CHECK(card_rx(&d, buf, 256, f) == 61);
	CHECK(card_ctrl(&d, list, sizeof list) == 0);
	CHECK(card_ctrl(&d, cut, sizeof cut) == 1 && card_ctrl(&d, huge, sizeof huge) == 1);
	CHECK(card_ctrl(&d, short_cmd, 1) == 1 && card_ctrl(&d, unknown, 3) == 1);
	CHECK(card_ctrl(&d, group, sizeof group) == 1);
	frame_in(60, 5);
	frame_in(61, 6);
	vd_pump(&d);
	CHECK(card_rx(&d, buf, 256, f) == 60 && card_rx(&d, buf, 256, f) == 0);
	CHECK(card_ctrl(&d, mac, sizeof mac) == 0 && d.read(&d, 0x105, 1) == 7);
	CHECK(card_ctrl(&d, promisc, sizeof promisc) == 0);
	frame_in(62, 99);
	vd_pump(&d);
	CHECK(card_rx(&d, buf, 256, f) == 62);
	CHECK(card_ctrl(&d, own, sizeof own) == 0 && !vd_broken(&d));
	card_down(&d);
}

TEST(net_card_drops_what_came_before_the_driver)
{
	struct vdriver d;
	static uint8_t f[4096];
	card_up(&d, MRG, true);
	frame_in(60, 9);
	vd_up(&d, MRG, 3, 128); /* reset and up again */
	uint64_t buf = vd_alloc(&d, 256);
	vd_add(&d, RX, &(struct vd_seg){ buf, 256, true }, 1, 0);
	vd_kick(&d, RX);
	CHECK(card_rx(&d, buf, 256, f) == 0);
	frame_in(61, 9);
	vd_pump(&d);
	CHECK(card_rx(&d, buf, 256, f) == 61);
	card_down(&d);
}

TEST(net_card_limit_holds_frames_back_both_ways)
{
	enum { FRAMES = 20, LEN = 1000, PER_S = 50000 };
	struct vdriver d;
	static const uint8_t h[12];
	uint16_t id;
	uint32_t len;
	card_up(&d, 0, true);
	virtio_net_limit(virtio_of(d.dev), PER_S);
	uint64_t begun = host_monotonic_ns(), at = vd_alloc(&d, 12 + LEN);
	memcpy(vd_ptr(&d, at, 12), h, 12);
	struct vd_seg out = { at, 12 + LEN, false };
	for (unsigned i = 0; i < FRAMES; i++) {
		struct vd_seg in = { vd_alloc(&d, 2048), 2048, true };
		vd_add(&d, TX, &out, 1, 0);
		vd_add(&d, RX, &in, 1, 0);
		frame_in(LEN, 9);
	}
	vd_kick(&d, TX);
	vd_kick(&d, RX);
	unsigned got = 0;
	while (echo.sent < FRAMES || got < FRAMES) {
		vd_pump(&d);
		while (vd_used(&d, RX, &id, &len))
			got++;
		double s = (double)(host_monotonic_ns() - begun) / 1e9;
		double may = (s + 0.2) * PER_S / LEN + 2;
		CHECK(echo.sent <= may && got <= may);
		CHECK(s < 30);
	}
	CHECK(host_monotonic_ns() - begun > 150000000); /* of 400 ms, 200 of them saved up */
	card_down(&d);
}

/* The state of a guest with the address ...:09 goes on in one with ...:07. */
static void card_copy(struct vdriver *d, bool given)
{
	static uint8_t state[8192];
	card_up(d, MRG | CTRL_VQ | CTRL_RX | CTRL_MAC, true);
	echo.n.mac_given = given;
	size_t n = dev_save(d->dev, state, sizeof state);
	net_mac_set(&echo.n, (const uint8_t[]){ 2, 0, 0, 0, 0, 7 });
	CHECK(n && n <= sizeof state && dev_load(d->dev, state, n));
}

/* Send a frame from the address ...:@from; how many have gone out by then. */
static unsigned card_tx_from(struct vdriver *d, uint8_t from)
{
	uint64_t at = vd_alloc(d, 12 + 60);
	uint8_t *p = vd_ptr(d, at, 12 + 60);
	memset(p, 0, 12 + 60);
	p[12 + 6] = 2;
	p[12 + 11] = from;
	struct vd_seg s[] = { { at, 19, false }, { at + 19, 12 + 60 - 19, false } };
	vd_add(d, TX, s, 2, 0);
	vd_kick(d, TX);
	vd_pump(d);
	return echo.sent;
}

TEST(net_card_of_a_copy_has_its_own_address_and_is_quiet_until_that_is_known)
{
	struct vdriver d;
	static uint8_t f[4096];
	uint8_t was[6], now[6];
	static const uint8_t mac[] = { 1, 1, 2, 0, 0, 0, 0, 7 }, old[] = { 1, 1, 2, 0, 0, 0, 0, 9 };
	card_copy(&d, false);
	CHECK(d.read(&d, 0x105, 1) == 9); /* a network without a wish: the address stays */
	CHECK(!virtio_net_address(virtio_of(d.dev), was, now) && echo.n.mac[5] == 9);
	card_down(&d);

	card_copy(&d, true);
	CHECK(d.read(&d, 0x105, 1) == 7);
	CHECK(virtio_net_address(virtio_of(d.dev), was, now) && was[5] == 9 && now[5] == 7);
	uint32_t generation = (uint32_t)d.read(&d, 0xfc, 4);
	uint64_t buf = vd_alloc(&d, 512);
	for (uint32_t i = 0; i < 2; i++)
		vd_add(&d, RX, &(struct vd_seg){ buf + i * 256, 256, true }, 1, 0);
	vd_kick(&d, RX);
	vd_pump(&d);
	CHECK(d.read(&d, 0xfc, 4) == generation + 1 && d.read(&d, 0x60, 4) & 2);
	frame_in(60, 9); /* until it knows, it has both */
	frame_in(61, 7);
	vd_pump(&d);
	CHECK(card_rx(&d, buf, 256, f) == 60 && card_rx(&d, buf, 256, f) == 61);
	CHECK(card_tx_from(&d, 9) == 0);
	CHECK(card_ctrl(&d, mac, sizeof mac) == 0);
	vd_pump(&d);
	CHECK(echo.sent == 0); /* what waited was from the other's address */
	CHECK(!virtio_net_address(virtio_of(d.dev), was, now) && now[5] == 7);
	CHECK(card_tx_from(&d, 7) == 1 && card_tx_from(&d, 9) == 1);
	CHECK(card_ctrl(&d, old, sizeof old) == 0 && card_tx_from(&d, 9) == 2);
	CHECK(!vd_broken(&d));
	card_down(&d);
}
