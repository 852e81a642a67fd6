/* SPDX-License-Identifier: Apache-2.0 */
/* The shared folder behind its rings, with worker threads, and reset under load. */
#include "test/virtio_driver.h"
#include <dirent.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <time.h>

static void fs_up(struct vdriver *d, char *dir, uint64_t features, bool with_loop)
{
	char options[128], path[80];
	strcpy(dir, "/tmp/lodge-fs-XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/f", dir);
	FILE *f = fopen(path, "w");
	CHECK(f && fputs("hello", f) >= 0 && !fclose(f));
	snprintf(options, sizeof options, "packed=on,tag=attic,path=%s", dir);
	vd_init(d, virtio_class_find("fs"), NULL, options, with_loop);
	vd_up(d, features, 2, 64);
}

static void fs_down(struct vdriver *d, const char *dir)
{
	char path[80];
	vd_fini(d);
	snprintf(path, sizeof path, "%s/f", dir);
	CHECK(!unlink(path) && !rmdir(dir));
}

struct message {
	uint64_t at;
	uint32_t out, in;
};

static struct message fs_message(struct vdriver *d, uint32_t op, const void *p, uint32_t len,
				 uint32_t in)
{
	struct fuse_in_header h = { .opcode = op, .unique = 5, .nodeid = 1, .len = 40 + len };
	struct message m = { vd_alloc(d, 40 + len + in), 40 + len, in };
	memcpy(vd_ptr(d, m.at, 40), &h, 40);
	if (len)
		memcpy(vd_ptr(d, m.at + 40, len), p, len);
	return m;
}

static void fs_put(struct vdriver *d, unsigned queue, const struct message *m)
{
	struct vd_seg s[] = {{m->at, 40, false},
			     {m->at + 40, m->out - 40, false},
			     {m->at + m->out, 16, true},
			     {m->at + m->out + 16, m->in - 16, true}};
	if (m->out == 40) {
		s[1] = s[2];
		s[2] = s[3];
		vd_add(d, queue, s, m->in > 16 ? 3 : 2, 0);
	} else {
		vd_add(d, queue, s, m->in > 16 ? 4 : 3, 0);
	}
}

/* Wait for one answer. Returns bytes written. */
static uint32_t fs_wait(struct vdriver *d, unsigned queue)
{
	uint16_t id;
	uint32_t len;
	for (int i = 0; i < 3000; i++) {
		if (vd_used(d, queue, &id, &len))
			return len;
		vd_pump(d);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return UINT32_MAX;
}

static int32_t fs_call(struct vdriver *d, const struct message *m)
{
	fs_put(d, 1, m);
	vd_kick(d, 1);
	CHECK(fs_wait(d, 1) >= 16);
	return (int32_t)le32_at(vd_ptr(d, m->at + m->out + 4, 4));
}

static void fs_mount(struct vdriver *d)
{
	struct fuse_init_in in = { .major = 7, .minor = 38, .flags = FUSE_MAX_PAGES };
	struct message m =
	    fs_message(d, FUSE_INIT, &in, sizeof in, 16 + sizeof(struct fuse_init_out));
	CHECK(fs_call(d, &m) == 0);
}

TEST(fs_config_has_tag_and_queues)
{
	struct vdriver d;
	char dir[32];
	fs_up(&d, dir, 0, true);
	CHECK(d.read(&d, 0x100, 1) == 'a' && d.read(&d, 0x104, 1) == 'c' &&
	      d.read(&d, 0x105, 1) == 0);
	CHECK(d.read(&d, 0x124, 4) == 1);
	fs_down(&d, dir);
}

TEST(fs_serves_both_rings_and_many_at_once)
{
	static const uint64_t kinds[] = { 0, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_PACKED };
	for (size_t k = 0; k < 2 * countof(kinds); k++) {
		struct vdriver d;
		char dir[32];
		fs_up(&d, dir, kinds[k / 2], k & 1);
		fs_mount(&d);
		struct message m[12];
		for (int round = 0; round < 4; round++) {
			for (size_t i = 0; i < countof(m); i++) {
				m[i] = fs_message(&d, FUSE_LOOKUP, i & 1 ? "f" : "g", 2,
				                  16 + sizeof(struct fuse_entry_out));
				fs_put(&d, 1, &m[i]);
			}
			vd_kick(&d, 1);
			for (size_t i = 0; i < countof(m); i++)
				CHECK(fs_wait(&d, 1) >= 16);
			for (size_t i = 0; i < countof(m); i++)
				CHECK((int32_t)le32_at(vd_ptr(&d, m[i].at + m[i].out + 4, 4)) ==
				      (i & 1 ? 0 : -ENOENT));
		}
		struct fuse_forget_in fg = { .nlookup = 1 };
		struct message forget = fs_message(&d, FUSE_FORGET, &fg, sizeof fg, 16);
		fs_put(&d, 0, &forget);
		vd_kick(&d, 0);
		CHECK(fs_wait(&d, 0) == 0 && !vd_broken(&d));
		fs_down(&d, dir);
	}
}

TEST(fs_reset_in_the_middle_touches_no_memory_afterwards)
{
	for (int round = 0; round < 30; round++) {
		struct vdriver d;
		char dir[32];
		fs_up(&d, dir, 0, true);
		fs_mount(&d);
		struct message m =
		    fs_message(&d, FUSE_LOOKUP, "f", 2, 16 + sizeof(struct fuse_entry_out));
		for (int i = 0; i < 12; i++)
			fs_put(&d, 1, &m);
		vd_kick(&d, 1);
		vd_set(&d, 0x70, 0);
		memset(vd_ptr(&d, m.at, m.out + m.in), 0x55, m.out + m.in);
		vd_pump(&d);
		for (uint32_t i = 0; i < m.out + m.in; i++)
			CHECK(*(uint8_t *)vd_ptr(&d, m.at + i, 1) == 0x55);
		vd_up(&d, 0, 2, 64);
		fs_mount(&d);
		fs_down(&d, dir);
	}
}
