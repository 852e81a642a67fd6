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
