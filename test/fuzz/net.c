/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz the network card and the user network behind it: frames as they come, frames with sums put
 * right so that they get deep, control commands, receive buffers, resets. Nothing leaves the
 * machine: the network is restricted. */
#include <stdlib.h>
#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)
#include "net/net.h"
#include "test/virtio_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STEPS = 200, RING = 64, RX = 0, TX = 1, CTRL = 2, FRAME = 4096 };

struct fuzz {
	struct vdriver d;
	struct loop *loop;
	struct net *net;
	const uint8_t *p, *end;
	uint64_t heap; /* where each step's memory starts */
};

static uint32_t fuzz_take(struct fuzz *f, unsigned n)
{
	uint32_t v = 0;
	while (n-- && f->p < f->end)
		v = v << 8 | *f->p++;
	return v;
}

static size_t fuzz_bytes(struct fuzz *f, uint8_t *to, size_t cap)
{
	size_t n = min_u64(min_u64(fuzz_take(f, 2), cap), (uint64_t)(f->end - f->p));
	memcpy(to, f->p, n);
	f->p += n;
	return n;
}

static void fuzz_pump(struct fuzz *f)
{
	for (int i = 0; i < 3; i++) {
		CHECK(loop_post(f->loop, NULL, vd_stop_loop, f->loop) == 0);
		loop_run(f->loop);
		uint16_t id;
		uint32_t n;
		for (unsigned q = 0; q < 3; q++)
			while (f->d.q[q].size && vd_used(&f->d, q, &id, &n))
				;
	}
}

static void fuzz_up(struct fuzz *f)
{
	uint32_t features = fuzz_take(f, 4);
	f->heap = VD_BASE + 4096;
	f->d.heap = f->heap;
	memset(f->d.q, 0, sizeof f->d.q);
	if (!vd_negotiate(&f->d, features & vd_get(&f->d, 0x10)))
		return;
	for (unsigned i = 0; i < 3; i++)
		vd_queue_up(&f->d, i, RING);
	vd_go(&f->d);
	f->heap = f->d.heap;
}

static void fuzz_kick(struct fuzz *f, unsigned queue)
{
	vd_set(&f->d, 0x50, queue);
	fuzz_pump(f);
}

/* Offer @len bytes for the device to read, cut at @cut, with one byte for a control answer. */
static void fuzz_put(struct fuzz *f, unsigned queue, const uint8_t *p, size_t len, uint32_t cut)
{
	if (!f->d.q[queue].size || !len)
		return;
	f->d.heap = f->heap;
	uint64_t at = vd_alloc(&f->d, len + 1);
	memcpy(vd_ptr(&f->d, at, len), p, len);
	cut = cut % (uint32_t)len;
	struct vd_seg s[] = { { at, cut, false }, { at + cut, (uint32_t)len - cut, false },
		              { at + len, 1, true } };
	unsigned skip = cut ? 0 : 1;
	vd_add(&f->d, queue, s + skip, 3 - skip - (queue == CTRL ? 0 : 1), 0);
	fuzz_kick(f, queue);
}

static void fuzz_room(struct fuzz *f)
{
	uint32_t len = fuzz_take(f, 2);
	if (!f->d.q[RX].size)
		return;
	f->d.heap = f->heap;
	struct vd_seg s = { vd_alloc(&f->d, len), len, true };
	vd_add(&f->d, RX, &s, 1, 0);
	fuzz_kick(f, RX);
}

/* An IP packet of a protocol and with a body that the input chooses, its sums left to the card. */
static void fuzz_ip(struct fuzz *f, bool six)
{
	static const uint8_t sum_at[256] = { [1] = 2, [6] = 16, [17] = 6, [58] = 2 };
	uint8_t b[12 + FRAME] = { 1 }, *eth = b + 12, *ip = eth + 14;
	unsigned how = fuzz_take(f, 1), proto = fuzz_take(f, 1), head = six ? 40 : 20;
	uint32_t frag = how & 1 ? fuzz_take(f, 2) : 0;
	size_t body = fuzz_bytes(f, ip + head, FRAME - 14 - head);
	memset(eth, 0xff, 6);
	memcpy(eth + 6, "\2\0\0\0\0\1", 6);
	memcpy(eth + 12, six ? "\x86\xdd" : "\x08\x00", 2);
	if (six) {
		static const uint8_t src[16] = {0xfe, 0x80, [15] = 0x15},
				     dst[16] = {0xfd, 0x4c, 0x6f, 0x64, 0x67, 0x65, [15] = 2},
				     all[16] = {0xff, 2, [15] = 2};
		ip[0] = 0x60, ip[4] = (uint8_t)(body >> 8), ip[5] = (uint8_t)body;
		ip[6] = (uint8_t)proto, ip[7] = 255;
		memcpy(ip + 8, src, 16), memcpy(ip + 24, how & 2 ? all : dst, 16);
	} else {
		static const uint8_t ends[] = { 10, 0, 2, 15, 10, 0, 2, 2 };
		ip[0] = 0x45, ip[2] = (uint8_t)((body + 20) >> 8), ip[3] = (uint8_t)(body + 20);
		ip[6] = (uint8_t)(frag >> 8), ip[7] = (uint8_t)frag, ip[8] = 64,
		ip[9] = (uint8_t)proto;
		memcpy(ip + 12, ends, 8);
		memset(ip + 16, how & 2 ? 0xff : ip[16], how & 2 ? 4 : 1);
		uint32_t sum = 0;
		for (int i = 0; i < 20; i += 2)
			sum += be16_at(ip + i);
		sum = (sum >> 16) + (sum & 0xffff);
		sum = ~((sum >> 16) + sum);
		ip[10] = (uint8_t)(sum >> 8), ip[11] = (uint8_t)sum;
	}
	le16_put(b + 6, (uint16_t)(14 + head));
	le16_put(b + 8, sum_at[proto]);
	if (sum_at[proto] && body >= sum_at[proto] + 2u) { /* the pseudo header's part */
		uint32_t sum = (uint32_t)body + (proto == 1 ? 0 : proto);
		for (unsigned i = six ? 8 : 12; i < head && proto != 1; i += 2)
			sum += be16_at(ip + i);
		sum = proto == 1 ? 0 : (sum >> 16) + (sum & 0xffff);
		ip[head + sum_at[proto]] = (uint8_t)(sum >> 8),
			  ip[head + sum_at[proto] + 1] = (uint8_t)sum;
	} else {
		b[0] = 0;
	}
	fuzz_put(f, TX, b, 12 + 14 + head + body, 12);
}

static void fuzz_step(struct fuzz *f)
{
	uint8_t b[FRAME];
	uint32_t what = fuzz_take(f, 1), cut = what >> 3;
	switch (what & 7) {
	case 0: fuzz_put(f, TX, b, fuzz_bytes(f, b, sizeof b), cut); break;
	case 1: fuzz_put(f, CTRL, b, fuzz_bytes(f, b, sizeof b), cut); break;
	case 2: fuzz_ip(f, false); break;
	case 3: fuzz_ip(f, true); break;
	case 4: fuzz_room(f); break;
	case 5: fuzz_up(f); break;
	case 6: fuzz_pump(f); break;
	case 7: /* an ARP frame or another one without IP */
		memset(b, 0, 12);
		memset(b + 12, 0xff, 6);
		fuzz_put(f, TX, b, 18 + fuzz_bytes(f, b + 18, sizeof b - 18), cut);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { .p = data, .end = data + len };
	CHECK(loop_new(&f.loop, NULL) == 0);
	struct net_options o = {.restrict_out = true, .mac = "02:00:00:00:00:01", .hostname = "f"};
	CHECK(net_open(&f.net, &o, f.loop, NULL, NULL) == 0);
	/* The driver must not own the loop: the network outlives its card on it. */
	struct dev_setup s = vd_prepare(&f.d, f.net, NULL, false);
	struct irq irq = { vd_line, &f.d, 0 };
	s.irqs = &irq;
	s.nirqs = 1;
	s.loop = f.loop;
	CHECK(virtio_mmio_new(&f.d.dev, virtio_class_find("net"), &s, NULL) == 0);
	f.d.read = vd_mmio_read;
	f.d.write = vd_mmio_write;
	fuzz_up(&f);
	for (int i = 0; i < STEPS && f.p < f.end; i++)
		fuzz_step(&f);
	dev_free(f.d.dev);
	net_close(f.net);
	loop_free(f.loop);
	mem_free(f.d.mem);
	return 0;
}
