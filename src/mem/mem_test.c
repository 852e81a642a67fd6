/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/mem.h"
#include "test/test.h"

static const uint64_t BASE = 0x80000000;

TEST(mem_refuses_impossible_sizes)
{
	static const struct { uint64_t base, bytes; } bad[] = {
		{ BASE, 4097 }, { BASE, 0 }, { BASE + 1, 4096 }, { BASE, UINT64_MAX - 4095 },
		{ UINT64_MAX - 4095, 8192 }, { 0, 1ull << 62 },
	};
	for (size_t i = 0; i < countof(bad); i++) {
		struct mem *m = (void *)1;
		struct lodge_err e = { 0 };
		CHECK(mem_new(&m, gpa(bad[i].base), bad[i].bytes, &e) < 0);
		CHECK(m == (void *)1); /* a result is not touched on failure */
		CHECK(e.msg[0]);
	}
}

TEST(mem_ptr_checks_both_ends)
{
	struct mem *m = NULL;
	CHECK(mem_new(&m, gpa(BASE), 8192, NULL) == 0);
	CHECK(mem_base(m).a == BASE && mem_size(m) == 8192 && mem_fd(m) >= 0);
	CHECK(mem_ptr(m, gpa(BASE), 8192) == mem_host(m));
	CHECK(mem_ptr(m, gpa(BASE + 8191), 1) == mem_host(m) + 8191);
	CHECK(!mem_ptr(m, gpa(BASE + 8191), 2));
	CHECK(!mem_ptr(m, gpa(BASE + 8193), 0));
	CHECK(!mem_ptr(m, gpa(BASE - 1), 1));
	CHECK(!mem_ptr(m, gpa(0), 1));
	CHECK(!mem_ptr(m, gpa(UINT64_MAX), 2));
	CHECK(!mem_ptr(m, gpa(BASE), UINT64_MAX));
	mem_free(m);
}

TEST(mem_copies_whole_or_not_at_all)
{
	struct mem *m = NULL;
	char out[8] = "1234567", in[8] = { 0 };
	CHECK(mem_new(&m, gpa(BASE), 4096, NULL) == 0);
	CHECK(mem_write(m, gpa(BASE + 4088), out, 8));
	CHECK(mem_read(m, gpa(BASE + 4088), in, 8) && !memcmp(in, out, 8));
	CHECK(!mem_write(m, gpa(BASE + 4089), "xxxxxxxx", 8));
	CHECK(!mem_read(m, gpa(BASE + 4089), in, 8));
	CHECK(mem_read(m, gpa(BASE + 4088), in, 8) && !memcmp(in, out, 8));
	mem_free(m);
}

TEST(mem_release_gives_whole_frames_back)
{
	struct mem *m = NULL;
	CHECK(mem_new(&m, gpa(BASE), 1 << 20, NULL) == 0);
	CHECK(mem_resident(m) == 0);
	memset(mem_host(m), 0xff, 16 * MEM_FRAME);
	CHECK(mem_resident(m) == 16 * MEM_FRAME);
	/* Half a frame at either end stays. */
	CHECK(mem_release(m, gpa(BASE + 2048), 4 * MEM_FRAME) == 3 * MEM_FRAME);
	CHECK(mem_resident(m) == 13 * MEM_FRAME);
	CHECK(mem_host(m)[MEM_FRAME - 1] == 0xff && mem_host(m)[MEM_FRAME] == 0);
	CHECK(mem_host(m)[4 * MEM_FRAME - 1] == 0 && mem_host(m)[4 * MEM_FRAME] == 0xff);
	CHECK(mem_release(m, gpa(BASE + 1), MEM_FRAME) == 0);
	CHECK(mem_release(m, gpa(BASE - MEM_FRAME), 2 * MEM_FRAME) == 0);
	CHECK(mem_release(m, gpa(BASE), UINT64_MAX) == 0);
	mem_free(m);
}

TEST(mem_file_cannot_change_its_size)
{
	struct mem *m = NULL;
	CHECK(mem_new(&m, gpa(BASE), 8192, NULL) == 0);
	CHECK(ftruncate(mem_fd(m), 4096) < 0 && ftruncate(mem_fd(m), 16384) < 0);
	mem_free(m);
}

/* ---- frames that are watched ---- */

struct watch {
	struct mem *m;
	uint64_t cursor, got[8];
	bool lost;
};

static size_t watch_read(struct watch *w)
{
	return mem_written_read(w->m, &w->cursor, w->got, countof(w->got), &w->lost);
}

TEST(mem_first_write_ends_the_watch_and_is_logged)
{
	struct watch w = { 0 };
	CHECK(mem_new(&w.m, gpa(BASE), 1 << 20, NULL) == 0);
	CHECK(!mem_watch(w.m, gpa(BASE - 1), 0) && !mem_watch(w.m, gpa(BASE + (1 << 20)), 0));
	CHECK(mem_watch(w.m, gpa(BASE + 0x1fff), 0) && !mem_watch(w.m, gpa(BASE + 0x1000), 0));
	CHECK(mem_watch(w.m, gpa(BASE + 0x1000), 15) && mem_watched(w.m, gpa(BASE + 0x1800)));
	CHECK(!mem_watched(w.m, gpa(BASE)) && !mem_watched(w.m, gpa(0)));
	CHECK(watch_read(&w) == 0 && !w.lost);
	CHECK(mem_write(w.m, gpa(BASE + 0xffc), "1234", 4)); /* the frame before */
	CHECK(mem_write(w.m, gpa(BASE + 0x2000), "1234", 4));
	mem_written(w.m, gpa(BASE + 0x1000), 0);
	CHECK(mem_watched(w.m, gpa(BASE + 0x1000)) && watch_read(&w) == 0);
	CHECK(mem_write(w.m, gpa(BASE + 0xffd), "1234", 4));
	CHECK(!mem_watched(w.m, gpa(BASE + 0x1000)));
	CHECK(mem_write(w.m, gpa(BASE + 0xffd), "1234", 4));
	CHECK(watch_read(&w) == 1 && w.got[0] == BASE + 0x1000 && !w.lost);
	CHECK(watch_read(&w) == 0);
	/* by host address, by giving it back, and in one go with what is outside */
	for (uint64_t i = 0; i < 4; i++)
		CHECK(mem_watch(w.m, gpa(BASE + i * MEM_FRAME), 3));
	mem_written_host(w.m, mem_host(w.m) + 8191, 1);
	mem_release(w.m, gpa(BASE + 0x2000), 0x1fff);
	mem_written(w.m, gpa(BASE - 1), 2);
	CHECK(watch_read(&w) == 2 && w.got[0] == BASE + 0x1000 && w.got[1] == BASE + 0x2000);
	mem_written(w.m, gpa(BASE), UINT64_MAX);
	CHECK(watch_read(&w) == 2 && w.got[0] == BASE && w.got[1] == BASE + 0x3000);
	mem_free(w.m);
}

TEST(mem_log_readers_learn_what_they_missed)
{
	struct watch w = { 0 };
	uint64_t late = 0, all[MEM_LOG];
	CHECK(mem_new(&w.m, gpa(BASE), 1 << 20, NULL) == 0);
	for (unsigned i = 0; i < MEM_LOG; i++) {
		CHECK(mem_watch(w.m, gpa(BASE + i % 256 * MEM_FRAME), 0));
		mem_written(w.m, gpa(BASE + i % 256 * MEM_FRAME), 1);
	}
	CHECK(watch_read(&w) == 0 && w.lost); /* more than there is room for */
	CHECK(watch_read(&w) == 0 && !w.lost);
	CHECK(mem_written_read(w.m, &late, all, MEM_LOG, &w.lost) == MEM_LOG && !w.lost);
	CHECK(all[0] == BASE && all[MEM_LOG - 1] == BASE + 255 * MEM_FRAME);
	late = 0;
	CHECK(mem_watch(w.m, gpa(BASE), 0));
	mem_written(w.m, gpa(BASE), 1);
	CHECK(mem_written_read(w.m, &late, all, MEM_LOG, &w.lost) == 0 && w.lost);
	CHECK(watch_read(&w) == 1 && w.got[0] == BASE && !w.lost);
	mem_free(w.m);
}
