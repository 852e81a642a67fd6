/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host.h"
#include "mem/mem.h"
#include "test/test.h"
#include <fcntl.h>
#include <sys/mman.h>

static const uint64_t BASE = 0x80000000, RAM = 8 << 20;
enum { FRAMES = (8 << 20) / MEM_FRAME, WORDS = FRAMES / 64 + 1 };

static unsigned bits_count(const uint64_t *b)
{
	unsigned n = 0;
	for (unsigned i = 0; i < WORDS; i++)
		n += (unsigned)__builtin_popcountll(b[i]);
	return n;
}

static bool bit_of(const uint64_t *b, unsigned i) { return b[i / 64] >> i % 64 & 1; }

/* False: this host cannot, and says so. */
static bool track_begin(struct mem *m)
{
	struct lodge_err e = { 0 };
	int r = mem_track_begin(m, &e);
	CHECK(r == 0 || (r == -EOPNOTSUPP && e.msg[0]));
	return r == 0;
}

TEST(mem_track_tells_every_kind_of_write)
{
	struct mem *m = NULL;
	uint64_t bits[WORDS] = { 0 };
	CHECK(mem_new(&m, gpa(BASE), RAM, NULL) == 0);
	uint8_t *p = mem_host(m);
	memset(p, 1, RAM / 2);
	unsigned shape = mem_shape(m);
	if (!track_begin(m)) {
		mem_free(m);
		return;
	}
	CHECK(mem_fd(m) == -1 && mem_shape(m) != shape);
	CHECK(mem_track_take(m, bits, NULL) == 0 && bits_count(bits) == 0);
	autoclose int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	p[3 * MEM_FRAME] = 2;                                     /* a store */
	p[(FRAMES - 1) * MEM_FRAME + 7] = 2;                      /* to a page that was not there */
	CHECK(read(zero, p + 9 * MEM_FRAME, 10) == 10);           /* the host's kernel */
	mem_written(m, gpa(BASE + 20 * MEM_FRAME), 2 * MEM_FRAME); /* pinned pages */
	CHECK(mem_release(m, gpa(BASE + 30 * MEM_FRAME), MEM_FRAME) == MEM_FRAME);
	volatile uint8_t seen = p[40 * MEM_FRAME];
	(void)seen;
	CHECK(mem_track_take(m, bits, NULL) == 0 && bits_count(bits) == 6);
	CHECK(bit_of(bits, 3) && bit_of(bits, FRAMES - 1) && bit_of(bits, 9) && bit_of(bits, 20) &&
	      bit_of(bits, 21) && bit_of(bits, 30));
	memset(bits, 0, sizeof bits);
	CHECK(mem_track_take(m, bits, NULL) == 0 && bits_count(bits) == 0);
	p[3 * MEM_FRAME] = 3;
	CHECK(mem_track_take(m, bits, NULL) == 0 && bits_count(bits) == 1);
	mem_track_end(m);
	CHECK(mem_fd(m) >= 0);
	mem_free(m);
}

TEST(mem_track_of_private_memory_and_what_is_released_of_it)
{
	struct mem *m = NULL;
	uint64_t bits[WORDS] = { 0 };
	CHECK(mem_new(&m, gpa(BASE), RAM, NULL) == 0);
	memset(mem_host(m), 1, RAM);
	CHECK(mem_freeze(m, NULL) == 0 && mem_host(m)[RAM - 1] == 1);
	if (track_begin(m)) {
		mem_host(m)[5 * MEM_FRAME] = 2;
		CHECK(mem_track_take(m, bits, NULL) == 0 && bits_count(bits) == 1);
		CHECK(mem_release(m, gpa(BASE + 100 * MEM_FRAME), 2 * MEM_FRAME) > 0);
		mem_host(m)[101 * MEM_FRAME] = 2;
		CHECK(mem_track_take(m, bits, NULL) == 0);
		CHECK(bit_of(bits, 100) && bit_of(bits, 101));
		memset(bits, 0, sizeof bits);
		mem_host(m)[101 * MEM_FRAME] = 3;
		CHECK(mem_track_take(m, bits, NULL) == 0 && bit_of(bits, 101));
		mem_track_end(m);
	}
	mem_free(m);
}

/* What is written while it is copied must be there in the end. */
TEST(mem_settles_into_a_memfd_while_it_is_written)
{
	struct mem *m = NULL;
	uint32_t seed = 7;
	uint64_t bytes;
	int fd;
	autofree uint8_t *want = calloc(1, RAM);
	CHECK(want && mem_new(&m, gpa(BASE), RAM, NULL) == 0);
	for (uint64_t i = 0; i < RAM / 2; i += 64)
		want[i] = mem_host(m)[i] = (uint8_t)(i >> 6);
	CHECK(mem_settle_begin(m, &fd, NULL) == -EBUSY);
	CHECK(mem_freeze(m, NULL) == 0);
	CHECK(mem_release(m, gpa(BASE), 16 * MEM_FRAME) > 0);
	memset(want, 0, 16 * MEM_FRAME);
	if (mem_settle_begin(m, &fd, NULL) == 0) {
		for (unsigned round = 0; round < 5; round++) {
			for (unsigned i = 0; i < 300; i++) {
				seed = seed * 1103515245 + 12345;
				uint64_t at = seed % RAM;
				want[at] = mem_host(m)[at] = (uint8_t)(seed >> 24);
			}
			if (round < 4)
				CHECK(mem_settle_copy(m, fd, &bytes, NULL) == 0 && bytes > 0);
		}
		CHECK(mem_settle_end(m, fd, true, NULL) == 0 && mem_fd(m) >= 0);
		CHECK(!memcmp(mem_host(m), want, RAM));
		mem_host(m)[9] = 9;
		uint8_t b = 0;
		CHECK(host_pread(mem_fd(m), &b, 1, 9) && b == 9);
		CHECK(mem_freeze(m, NULL) == 0 && mem_settle_begin(m, &fd, NULL) == 0);
		CHECK(mem_settle_end(m, fd, false, NULL) == 0 && mem_fd(m) == -1);
		CHECK(!memcmp(mem_host(m) + MEM_FRAME, want + MEM_FRAME, RAM - MEM_FRAME));
	}
	mem_free(m);
}
