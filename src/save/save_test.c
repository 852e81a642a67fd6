/* SPDX-License-Identifier: Apache-2.0 */
#include "save/internal.h"
#include "test/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

struct sample {
	uint64_t a;
	uint32_t b[3];
	uint8_t c;
};
static const struct state_field sample_fields[] = {
	STATE(struct sample, a, 1), STATE(struct sample, b, 1), STATE(struct sample, c, 1),
	STATE_END
};
static const struct sample sample = { 0x1122334455667788, { 1, 2, 3 }, 9 };

static size_t sample_file(uint8_t *buf, size_t cap)
{
	struct save_out *o = NULL;
	const uint8_t *p;
	size_t n;
	CHECK(save_out_new(&o, "test", NULL) == 0);
	save_out_fields(o, "one", sample_fields, &sample);
	uint8_t *text = save_out_section(o, "two", 5);
	CHECK(text);
	memcpy(text, "hello", 5);
	CHECK(save_out_section(o, "empty", 0));
	CHECK(save_out_bytes(o, &p, &n, NULL) == 0 && n <= cap);
	memcpy(buf, p, n);
	save_out_free(o);
	return n;
}

TEST(state_file_gives_back_what_was_put_in)
{
	uint8_t buf[1024];
	struct save_in in;
	struct sample s = { 0 };
	size_t n = sample_file(buf, sizeof buf), len;
	CHECK(save_in_parse(&in, buf, n, NULL) == 0);
	CHECK(!strcmp(in.level, "test") && in.nsections == 3);
	CHECK(save_in_fields(&in, "one", sample_fields, &s, NULL) == 0);
	CHECK(s.a == sample.a && !memcmp(s.b, sample.b, sizeof s.b) && s.c == 9);
	const uint8_t *p = save_in_find(&in, "two", &len);
	CHECK(p && len == 5 && !memcmp(p, "hello", 5));
	CHECK(save_in_find(&in, "empty", &len) && len == 0 && !save_in_find(&in, "tw", &len));
	struct lodge_err e;
	CHECK(save_in_fields(&in, "none", sample_fields, &s, &e) == -ENOENT);
	CHECK(save_in_fields(&in, "two", sample_fields, &s, &e) == -EINVAL);
}

TEST(state_copied_does_not_need_what_it_was_copied_from)
{
	uint8_t buf[1024];
	struct save_in in, own;
	size_t n = sample_file(buf, sizeof buf), len;
	CHECK(save_in_parse(&in, buf, n, NULL) == 0);
	in.buf = buf; /* borrowed */
	in.len = n;
	CHECK(save_in_copy(&own, &in, NULL) == 0);
	memset(buf, 0, sizeof buf);
	const uint8_t *p = save_in_find(&own, "two", &len);
	CHECK(p && len == 5 && !memcmp(p, "hello", 5));
	save_in_fini(&own);
	CHECK(save_in_copy(&own, &in, NULL) == -EINVAL && !own.buf);
}

TEST(state_file_with_any_bit_flipped_or_cut_anywhere_is_refused)
{
	uint8_t buf[1024];
	static struct save_in in;
	size_t n = sample_file(buf, sizeof buf);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		struct lodge_err e = { 0 };
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(save_in_parse(&in, buf, n, &e) == -EINVAL && e.msg[0]);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < n; len++)
		CHECK(save_in_parse(&in, buf, len, NULL) == -EINVAL);
	memset(buf + n, 0, 64);
	CHECK(save_in_parse(&in, buf, n + 8, NULL) == -EINVAL);
	CHECK(save_in_parse(&in, buf, n, NULL) == 0);
}

/* With every checksum right again. */
static void reseal(uint8_t *buf)
{
	le32_put(buf + FILE_CRC, save_head_crc(buf));
}

TEST(state_file_of_a_newer_lodge_or_with_hostile_numbers_is_refused)
{
	uint8_t buf[1024], good[1024];
	static struct save_in in;
	struct lodge_err e;
	size_t n = sample_file(good, sizeof good);
	static const struct { unsigned at; uint32_t value; const char *says; } bad[] = {
		{ FILE_VERSION, SAVE_VERSION + 1, "newer" }, { FILE_VERSION, 0, "newer" },
		{ FILE_SECTIONS, 4, "damaged" }, { FILE_SECTIONS, 2, "goes on" },
		{ FILE_SECTIONS, UINT32_MAX, "no sense" }, { FILE_LEN, 7, "cut short" },
		{ FILE_ZERO, 1, "no sense" },
	};
	for (size_t i = 0; i < countof(bad); i++) {
		memcpy(buf, good, n);
		le32_put(buf + bad[i].at, bad[i].value);
		reseal(buf);
		CHECK(save_in_parse(&in, buf, n, &e) == -EINVAL && strstr(e.msg, bad[i].says));
	}
	static const uint64_t lens[] = { UINT64_MAX, UINT64_MAX - 55, 1 << 20, 300 };
	for (size_t i = 0; i < countof(lens); i++) {
		memcpy(buf, good, n);
		le64_put(buf + FILE_HEAD + SECTION_LEN, lens[i]);
		le32_put(buf + FILE_HEAD + SECTION_HEAD_CRC,
		         (uint32_t)crc32(0, buf + FILE_HEAD, SECTION_HEAD_CRC));
		CHECK(save_in_parse(&in, buf, n, &e) == -EINVAL && strstr(e.msg, "one"));
	}
}

TEST(state_file_refuses_two_sections_of_one_name_and_too_much)
{
	struct save_out *o = NULL;
	static struct save_in in;
	const uint8_t *p;
	size_t n;
	CHECK(save_out_new(&o, "test", NULL) == 0);
	CHECK(save_out_section(o, "x", 1) && save_out_section(o, "x", 1));
	CHECK(save_out_bytes(o, &p, &n, NULL) == 0);
	CHECK(save_in_parse(&in, p, n, NULL) == -EINVAL);
	CHECK(!save_out_section(o, "y", SAVE_BYTES_MAX));
	CHECK(save_out_bytes(o, &p, &n, NULL) == -E2BIG);
	save_out_free(o);
}

/* ---- RAM ---- */

enum { RAM = 6 << 20, FRAMES = RAM / MEM_FRAME };

struct folder {
	char path[64];
	int fd;
};
static void folder_init(struct folder *f)
{
	snprintf(f->path, sizeof f->path, "/tmp/lodge-save-XXXXXX");
	CHECK(mkdtemp(f->path));
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(f->fd >= 0);
}
static void folder_fini(struct folder *f)
{
	(void)!unlinkat(f->fd, "a", 0);
	(void)!unlinkat(f->fd, "b", 0);
	close(f->fd);
	CHECK(rmdir(f->path) == 0);
}

static struct mem *ram_new(void)
{
	struct mem *m = NULL;
	CHECK(mem_new(&m, gpa(0x80000000), RAM, NULL) == 0);
	return m;
}

static void frame_set(struct mem *m, unsigned i, uint64_t v)
{
	uint8_t b[8];
	le64_put(b, v);
	CHECK(mem_write(m, gpa(0x80000000 + (uint64_t)i * MEM_FRAME + 8 * (i % 512)), b, 8));
}
static uint64_t frame_get(struct mem *m, unsigned i)
{
	uint8_t b[8];
	CHECK(mem_read(m, gpa(0x80000000 + (uint64_t)i * MEM_FRAME + 8 * (i % 512)), b, 8));
	return le64_at(b);
}

TEST(ram_comes_back_and_is_private_then)
{
	struct folder f;
	struct mem *m = ram_new(), *n = ram_new(), *o = ram_new();
	uint64_t bytes;
	struct stat st;
	folder_init(&f);
	for (unsigned i = 0; i < FRAMES; i += 7)
		frame_set(m, i, i + 1);
	frame_set(m, 14, 0); /* touched, and zero */
	CHECK(save_ram(m, f.fd, "a", 5, &bytes, NULL) == 0);
	CHECK(bytes == ((FRAMES + 6) / 7 - 1) * MEM_FRAME);
	CHECK(fstatat(f.fd, "a", &st, 0) == 0 && (uint64_t)st.st_blocks * 512 < RAM / 4);
	CHECK(check_ram(f.fd, "a", NULL) == 0);
	CHECK(mem_fd(n) >= 0 && load_ram(n, f.fd, "a", 5, NULL) == 0 && mem_fd(n) == -1);
	CHECK(mem_resident(n) == 0);
	for (unsigned i = 0; i < FRAMES; i++)
		CHECK(frame_get(n, i) == (i % 7 || i == 14 ? 0 : i + 1));
	/* what is written now is this memory's own; what is released is gone */
	frame_set(n, 7, 100);
	frame_set(n, 8, 200);
	CHECK(mem_resident(n) == 2 * MEM_FRAME);
	CHECK(mem_release(n, gpa(0x80000000 + 21 * MEM_FRAME), MEM_FRAME) == MEM_FRAME);
	CHECK(frame_get(n, 21) == 0 && frame_get(n, 28) == 29 && frame_get(m, 7) == 8);
	/* saved from there: file, copies and holes */
	CHECK(save_ram(n, f.fd, "b", 6, &bytes, NULL) == 0 && check_ram(f.fd, "b", NULL) == 0);
	CHECK(load_ram(o, f.fd, "b", 6, NULL) == 0);
	CHECK(frame_get(o, 7) == 100 && frame_get(o, 8) == 200 && frame_get(o, 21) == 0);
	for (unsigned i = 22; i < FRAMES; i++)
		CHECK(frame_get(o, i) == (i % 7 ? 0 : i + 1));
	CHECK(load_ram(o, f.fd, "a", 5, NULL) == 0 && frame_get(o, 7) == 8);
	mem_free(m);
	mem_free(n);
	mem_free(o);
	folder_fini(&f);
}

TEST(ram_file_that_is_not_whole_is_refused)
{
	struct folder f;
	struct mem *m = ram_new(), *n = NULL;
	uint64_t bytes;
	struct stat st;
	struct lodge_err e;
	folder_init(&f);
	frame_set(m, 3, 77);
	frame_set(m, 1000, 78);
	CHECK(mem_new(&n, gpa(0x80000000), RAM - MEM_FRAME, NULL) == 0);
	CHECK(save_ram(m, f.fd, "a", 5, &bytes, NULL) == 0);
	CHECK(load_ram(m, f.fd, "a", 6, &e) == -EINVAL && strstr(e.msg, "another state"));
	CHECK(load_ram(n, f.fd, "a", 5, &e) == -EINVAL && strstr(e.msg, "MiB"));
	CHECK(load_ram(m, f.fd, "none", 5, &e) == -ENOENT);
	int fd = openat(f.fd, "a", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	/* every bit of the head and of the checksums, and of what fills their pages */
	for (off_t at = RAM; at < st.st_size; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t b;
			CHECK(pread(fd, &b, 1, at) == 1);
			b ^= (uint8_t)(1u << bit);
			CHECK(pwrite(fd, &b, 1, at) == 1);
			CHECK(load_ram(m, f.fd, "a", 5, NULL) == -EINVAL);
			b ^= (uint8_t)(1u << bit);
			CHECK(pwrite(fd, &b, 1, at) == 1);
		}
	CHECK(load_ram(m, f.fd, "a", 5, NULL) == 0);
	/* memory itself is looked at when asked for */
	CHECK(pwrite(fd, "x", 1, 1000 * MEM_FRAME) == 1);
	CHECK(check_ram(f.fd, "a", &e) == -EIO && strstr(e.msg, "damaged"));
	for (off_t len = st.st_size - 1; len > 0; len = len > RAM - MEM_FRAME ? len - 1 : len / 2) {
		CHECK(ftruncate(fd, len) == 0);
		CHECK(load_ram(n, f.fd, "a", 5, NULL) == -EINVAL);
	}
	close(fd);
	mem_free(m);
	mem_free(n);
	folder_fini(&f);
}
