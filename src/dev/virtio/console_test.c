/* SPDX-License-Identifier: Apache-2.0 */
/* Console and balloon: bytes arrive whole and in order; memory goes back to the host. */
#include "chr/chr.h"
#include "test/virtio_driver.h"
#include <string.h>

enum { MULTIPORT = 2 };

struct console_rig {
	struct vdriver d;
	struct chr *con, *agent;
	struct virtio_console_backend b;
	uint64_t buf;
};

static void rig_init(struct console_rig *r, bool multi, size_t ring)
{
	r->b = (struct virtio_console_backend){ 0 };
	CHECK(chr_new(&r->con, ring, NULL) == 0 && chr_new(&r->agent, ring, NULL) == 0);
	r->b.console = r->con;
	if (multi) {
		r->b.ports[0].name = "lodge.agent";
		r->b.ports[0].chr = r->agent;
	}
	vd_init(&r->d, virtio_class_find("console"), &r->b, NULL, true);
	vd_up(&r->d, multi ? MULTIPORT : 0, multi ? 6 : 2, 16);
	r->buf = vd_alloc(&r->d, 1 << 16);
}

static void rig_fini(struct console_rig *r)
{
	vd_fini(&r->d);
	chr_free(r->con);
	chr_free(r->agent);
}

TEST(virtio_console_sends_and_receives)
{
	struct console_rig r;
	uint16_t id;
	uint32_t len;
	char got[16] = "";
	rig_init(&r, false, 4096);
	CHECK(!(vd_get(&r.d, 0x10) & MULTIPORT)); /* nothing but a console */
	memcpy(vd_ptr(&r.d, r.buf, 5), "hello", 5);
	struct vd_seg out[] = { { r.buf, 2, false }, { r.buf + 2, 3, false } };
	CHECK(vd_do(&r.d, 1, out, 2, 0) == 0);
	CHECK(chr_host_read(r.con, got, sizeof got) == 5 && !strcmp(got, "hello"));
	CHECK(chr_host_write(r.con, "typed", 5) == 5); /* before the guest has a buffer */
	struct vd_seg in[] = { { r.buf, 2, true }, { r.buf + 64, 64, true } };
	CHECK(vd_do(&r.d, 0, in, 2, 0) == 5);
	CHECK(!memcmp(vd_ptr(&r.d, r.buf, 2), "ty", 2));
	CHECK(!memcmp(vd_ptr(&r.d, r.buf + 64, 3), "ped", 3));
	vd_add(&r.d, 0, in, 2, 0); /* a waiting buffer */
	vd_kick(&r.d, 0);
	CHECK(!vd_used(&r.d, 0, &id, &len));
	CHECK(chr_host_write(r.con, "x", 1) == 1);
	vd_pump(&r.d);
	CHECK(vd_used(&r.d, 0, &id, &len) && len == 1);
	rig_fini(&r);
}

TEST(virtio_console_loses_nothing_when_the_host_is_slow)
{
	struct console_rig r;
	rig_init(&r, false, 100);
	uint8_t *p = vd_ptr(&r.d, r.buf, 1 << 16);
	for (int i = 0; i < 1 << 16; i++)
		p[i] = (uint8_t)(i * 7 + (i >> 8));
	struct vd_seg s[] = { { r.buf, 1000, false }, { r.buf + 1000, 3000, false },
		              { r.buf + 4000, 61536, false } };
	vd_add(&r.d, 1, s, 2, 0);
	vd_add(&r.d, 1, s + 2, 1, 0);
	vd_kick(&r.d, 1);
	for (size_t at = 0, n; at < 1 << 16; at += n) {
		uint8_t got[77];
		n = chr_host_read(r.con, got, 1 + at % sizeof got);
		CHECK(n && !memcmp(got, p + at, n));
		vd_pump(&r.d);
	}
	uint16_t id;
	uint32_t len;
	CHECK(vd_used(&r.d, 1, &id, &len) && vd_used(&r.d, 1, &id, &len));
	CHECK(!vd_used(&r.d, 1, &id, &len));
	rig_fini(&r);
}

static void control_send(struct console_rig *r, uint32_t port, uint16_t ev, uint16_t value)
{
	uint8_t *p = vd_ptr(&r->d, r->buf, 8);
	struct vd_seg s = { r->buf, 8, false };
	le32_put(p, port);
	le16_put(p + 4, ev);
	le16_put(p + 6, value);
	vd_do(&r->d, 3, &s, 1, 0);
}

static void control_expect(struct console_rig *r, uint32_t port, uint16_t ev, const void *more,
                           uint32_t len)
{
	struct vd_seg s = { r->buf + 1024, 64, true };
	CHECK(vd_do(&r->d, 2, &s, 1, 0) == 8 + len);
	uint8_t *p = vd_ptr(&r->d, s.addr, 64);
	CHECK(le32_at(p) == port && le16_at(p + 4) == ev && !memcmp(p + 8, more, len));
}

TEST(virtio_console_introduces_its_ports)
{
	struct console_rig r;
	rig_init(&r, true, 4096);
	virtio_console_resize(virtio_of(r.d.dev), 132, 50);
	CHECK(vd_get(&r.d, 0x100) == (132 | 50 << 16) && vd_get(&r.d, 0x104) == 2);
	control_expect(&r, 0, 5, "\204\0\62\0", 4);
	control_send(&r, 0, 0, 1);
	control_expect(&r, 0, 1, "", 0);
	control_expect(&r, 1, 1, "", 0);
	control_send(&r, 0, 3, 1);
	control_send(&r, 1, 3, 1);
	control_expect(&r, 0, 4, "", 0);
	control_expect(&r, 0, 5, "\204\0\62\0", 4);
	control_expect(&r, 0, 6, "", 0);
	control_expect(&r, 1, 7, "lodge.agent", 11);
	control_expect(&r, 1, 6, "", 0);
	/* Host bytes wait until a program in the guest opens the port. */
	struct vd_seg in = { r.buf + 2048, 64, true };
	uint16_t id;
	uint32_t len;
	CHECK(chr_host_write(r.agent, "early", 5) == 5);
	vd_add(&r.d, 4, &in, 1, 0);
	vd_kick(&r.d, 4);
	CHECK(!vd_used(&r.d, 4, &id, &len));
	control_send(&r, 1, 6, 1);
	CHECK(vd_used(&r.d, 4, &id, &len) && len == 5);
	struct vd_seg out = { r.buf + 2048, 5, false };
	char got[8] = "";
	vd_do(&r.d, 5, &out, 1, 0);
	CHECK(chr_host_read(r.agent, got, 8) == 5 && !strcmp(got, "early"));
	control_send(&r, 77, 6, 1); /* no such port, no such event */
	control_send(&r, 1, 99, 1);
	CHECK(!vd_broken(&r.d));
	rig_fini(&r);
}

TEST(virtio_balloon_gives_frames_back)
{
	struct vdriver d;
	vd_init(&d, virtio_class_find("balloon"), NULL, NULL, false);
	vd_up(&d, 2 | 4 | 32, 4, 16);
	struct virtio *v = virtio_of(d.dev);
	virtio_balloon_set(v, VD_RAM - 64 * 4096);
	CHECK(vd_get(&d, 0x100) == 64 && d.line);
	uint64_t at = VD_BASE + (4 << 20), list = vd_alloc(&d, 1024);
	memset(vd_ptr(&d, at, 1 << 20), 0xaa, 1 << 20);
	uint64_t before = mem_resident(d.mem);
	for (uint32_t i = 0; i < 128; i++) /* every second frame, then outside RAM */
		le32_put(vd_ptr(&d, list + 4 * i, 4), i < 64 ? (uint32_t)(at >> 12) + 2 * i
		                                             : UINT32_MAX - i);
	struct vd_seg s = { list, 512, false };
	vd_do(&d, 0, &s, 1, 0);
	CHECK(mem_resident(d.mem) == before - 64 * 4096);
	CHECK(*(uint8_t *)vd_ptr(&d, at, 1) == 0 && *(uint8_t *)vd_ptr(&d, at + 4096, 1) == 0xaa);
	vd_set(&d, 0x104, 64);
	vd_do(&d, 1, &s, 1, 0);
	/* free-page reporting: half of the second half */
	struct vd_seg rep[] = { { at + (512 << 10), 128 << 10, true },
		                { at + (768 << 10), 128 << 10, true } };
	vd_do(&d, 3, rep, 2, 0);
	struct virtio_balloon_stats st;
	virtio_balloon_stats(v, &st);
	CHECK(st.target == VD_RAM - 64 * 4096 && st.actual == st.target);
	CHECK(st.reported >= 256 << 10 && st.updates == 0);
	CHECK(*(uint8_t *)vd_ptr(&d, at + (520 << 10), 1) == 0);
	vd_fini(&d);
}

/* What the driver says goes through one buffer, each time that it is given back. */
static void balloon_says(struct vdriver *d, uint8_t *p, uint64_t at, uint64_t free, uint64_t killed)
{
	le16_put(p, 4);
	le64_put(p + 2, free);
	le16_put(p + 10, 0xffff); /* a tag we do not know */
	le16_put(p + 20, 10);
	le64_put(p + 22, killed);
	struct vd_seg s = { at, 30, false };
	vd_add(d, 2, &s, 1, 0);
	if (vd_should_kick(d, 2))
		vd_kick(d, 2);
}

TEST(virtio_balloon_statistics_are_refreshed_on_demand)
{
	static const uint64_t kinds[] = { 0, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_PACKED,
		VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX };
	for (size_t k = 0; k < 2 * countof(kinds); k++) {
		struct vdriver d;
		struct virtio_balloon_stats st;
		uint16_t id;
		uint32_t len;
		vd_init(&d, virtio_class_find("balloon"), NULL, "packed=on", k & 1);
		vd_up(&d, 2 | kinds[k / 2], 3, 16);
		uint64_t at = vd_alloc(&d, 64);
		for (unsigned i = 0; i < 40; i++) {
			balloon_says(&d, vd_ptr(&d, at, 64), at, 12345 + i, i / 2);
			CHECK(!vd_used(&d, 2, &id, &len));
			virtio_balloon_stats(virtio_of(d.dev), &st);
			CHECK(st.free == 12345 + i && st.oom_kills == i / 2 && st.updates == i + 1);
			vd_pump(&d);
			CHECK(vd_used(&d, 2, &id, &len));
		}
		vd_fini(&d);
	}
}
