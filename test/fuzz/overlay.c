/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz overlays: the input is a row of 8-byte steps that read, write, flush, reopen, or damage
 * the header and the map (with a right checksum, or it would not be looked at). As long as
 * nothing was damaged, the disk is compared with a copy in memory. */
#include "blk/blk.h"
#include <fcntl.h>
#include <stdio.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { BASE = 192 * 1024, DISK = 256 * 1024 + 512, STEPS = 256, PAGE = 4096 };
enum step { READ, WRITE, ZERO, DISCARD, FLUSH, REOPEN, HEADER, MAP, STEP_COUNT };

struct rig {
	char base[64], top[64];
	uint8_t model[DISK], buf[DISK];
	struct blk *b;
	bool damaged;
};

static struct blk *rig_open(struct rig *t)
{
	struct blk *b = NULL;
	struct lodge_err e = { 0 };
	struct blk_options o = { .path = t->base, .format = "raw", .overlay = t->top, .size = DISK,
	                         .no_uring = true };
	int r = blk_open(&b, &o, NULL, &e);
	if (r < 0 && (!t->damaged || !e.msg[0]))
		__builtin_trap();
	return b;
}

static void rig_init(struct rig *t)
{
	snprintf(t->base, sizeof t->base, "/dev/shm/lodge-fuzz-%d.base", getpid());
	snprintf(t->top, sizeof t->top, "/dev/shm/lodge-fuzz-%d.top", getpid());
	memset(t->model, 0, DISK);
	for (size_t i = 0; i < BASE; i++)
		t->model[i] = (uint8_t)(i * 7 + i / 512);
	int fd = open(t->base, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, t->model, BASE) != BASE)
		abort();
	close(fd);
	unlink(t->top);
	t->damaged = false;
	t->b = rig_open(t);
}

/* Change bytes of a 4 KiB block of metadata and make its checksum right again. */
static void rig_damage(struct rig *t, uint64_t block, const uint8_t *s, bool header)
{
	uint8_t p[PAGE], id[12] = { 0 };
	static const uint8_t none[4];
	int fd = open(t->top, O_RDWR | O_CLOEXEC);
	uint64_t at = header ? le16_at(s + 2) % 128u : le16_at(s + 2) % PAGE;
	blk_close(t->b);
	if (fd < 0 || pread(fd, id, 8, 64) != 8 ||
	    pread(fd, p, PAGE, (off_t)(block * PAGE)) != PAGE)
		abort();
	p[at] = s[4];
	p[(at + s[5]) % PAGE] ^= s[6];
	if (s[1] & 64) {
		uLong c = header ? crc32(crc32(0, p, 12), none, 4) : crc32(0, id, sizeof id);
		le32_put(p + (header ? 12 : 0), (uint32_t)(header ? crc32(c, p + 16, PAGE - 16)
								  : crc32(c, p + 4, PAGE - 4)));
	}
	if (pwrite(fd, p, PAGE, (off_t)(block * PAGE)) != PAGE)
		abort();
	close(fd);
	t->damaged = true;
	t->b = rig_open(t);
}

static void rig_io(struct rig *t, enum step kind, const uint8_t *s)
{
	static const enum blk_op ops[] = { BLK_READ, BLK_WRITE, BLK_ZERO, BLK_DISCARD, BLK_FLUSH };
	uint64_t size = blk_size(t->b) < DISK ? blk_size(t->b) : DISK;
	uint64_t off = le16_at(s + 2) * 512u % size, len = le16_at(s + 4) * 512u % (size - off);
	memset(t->buf, s[6], len);
	int r = blk_sync(t->b, ops[kind], off, t->buf, len);
	if (t->damaged)
		return;
	if (r < 0 || (kind == READ && memcmp(t->buf, t->model + off, len) != 0))
		__builtin_trap();
	if (kind == WRITE || kind == ZERO)
		memset(t->model + off, kind == WRITE ? s[6] : 0, len);
	if (kind == DISCARD && blk_sync(t->b, BLK_READ, off, t->model + off, len) < 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct rig t;
	rig_init(&t);
	for (size_t i = 0; i + 8 <= len && i < STEPS * 8 && t.b; i += 8) {
		const uint8_t *s = data + i;
		enum step kind = s[0] % STEP_COUNT;
		if (kind == HEADER) {
			rig_damage(&t, 0, s, true);
		} else if (kind == MAP) {
			rig_damage(&t, 1 + (s[1] & 1), s, false);
		} else if (kind == REOPEN) {
			blk_close(t.b);
			t.b = rig_open(&t);
		} else {
			rig_io(&t, kind, s);
		}
	}
	blk_close(t.b);
	unlink(t.base);
	unlink(t.top);
	return 0;
}
