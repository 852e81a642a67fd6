/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's memory, disks and state, out on one end of a stream and in on the other. */
#include "save/save.h"
#include "test/test.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { RAM = 4 << 20, DISK = 1 << 20, WORDS = RAM / MEM_FRAME / 64 + 1 };
static const uint64_t BASE = 0x80000000;

struct pair {
	int fd[2];
	struct wire w[2];
	struct incoming in;
	int result;
	struct lodge_err err;
	pthread_t thread;
};

static void *pair_receive(void *arg)
{
	struct pair *p = arg;
	p->result = incoming_run(&p->in, &p->err);
	return NULL;
}

static void pair_begin(struct pair *p, struct mem *m)
{
	memset(p, 0, sizeof *p);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->fd) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(wire_init(&p->w[i], p->fd[i], p->fd[i], NULL) == 0);
	p->in = (struct incoming){ .w = &p->w[1], .mem = m, .ndisks = 1 };
	p->in.disk[0] = (struct incoming_disk){ .size = DISK,
		.fd = memfd_create("disk", MFD_CLOEXEC) };
	CHECK(ftruncate(p->in.disk[0].fd, DISK) == 0);
	CHECK(pthread_create(&p->thread, NULL, pair_receive, p) == 0);
}

static void pair_end(struct pair *p)
{
	pthread_join(p->thread, NULL);
	for (int i = 0; i < 2; i++) {
		wire_fini(&p->w[i]);
		close(p->fd[i]);
	}
}

/* A disk in memory, with one part noted. */
struct paper {
	uint8_t bytes[DISK];
	bool noted[DISK >> 16];
};

static int paper_read(void *user, size_t i, uint64_t off, void *buf, size_t len)
{
	struct paper *p = user;
	CHECK(i == 0 && off + len <= DISK);
	memcpy(buf, p->bytes + off, len);
	return 0;
}

static bool paper_next(void *user, size_t i, uint64_t from, uint64_t max, uint64_t *ret_off,
                       uint64_t *ret_len)
{
	struct paper *p = user;
	CHECK(i == 0 && max >= 1 << 16);
	for (uint64_t n = (from + 65535) >> 16; n < DISK >> 16; n++)
		if (p->noted[n]) {
			p->noted[n] = false;
			*ret_off = n << 16;
			*ret_len = 1 << 16;
			return true;
		}
	return false;
}

static uint32_t next(uint32_t *seed) { return *seed = *seed * 1103515245 + 12345; }

static void scribble(struct mem *m, struct paper *p, uint64_t *bits, uint32_t *seed)
{
	for (unsigned i = 0; i < 60; i++) {
		uint64_t page = next(seed) / 16 % (RAM / MEM_FRAME);
		bool zero = next(seed) >> 16 & 1;
		memset(mem_host(m) + page * MEM_FRAME, zero ? 0 : (int)(page & 255) | 1, MEM_FRAME);
		bits[page / 64] |= UINT64_C(1) << page % 64;
		uint64_t part = next(seed) / 16 % (DISK >> 16);
		memset(p->bytes + (part << 16), next(seed) >> 16 & 1 ? 0 : (int)part + 1, 1 << 16);
		p->noted[part] = true;
	}
}

TEST(stream_carries_memory_disks_and_state)
{
	static struct paper paper;
	static uint64_t bits[WORDS];
	struct mem *from = NULL, *to = NULL;
	struct pair p;
	struct outgoing o;
	uint32_t seed = 3;
	autofree uint8_t *bytes = calloc(1, 3 << 20);
	CHECK(mem_new(&from, gpa(BASE), RAM, NULL) == 0 && mem_new(&to, gpa(BASE), RAM, NULL) == 0);
	pair_begin(&p, to);
	CHECK(outgoing_init(&o, &p.w[0], NULL) == 0);
	o.mem = from;
	o.ndisks = 1;
	o.read = paper_read;
	o.next = paper_next;
	o.user = &paper;
	scribble(from, &paper, bits, &seed);
	CHECK(outgoing_disk(&o, 0, true, NULL) == 0 && outgoing_ram_all(&o, NULL) == 0);
	memset(bits, 0, sizeof bits);
	for (unsigned round = 0; round < 5; round++) {
		CHECK(outgoing_word(&o, FRAME_SYNC, NULL) == 0);
		CHECK(wire_expect(&p.w[0], FRAME_SYNCED, NULL) == 0);
		scribble(from, &paper, bits, &seed);
		CHECK(outgoing_disk(&o, 0, false, NULL) == 0);
		CHECK(outgoing_ram_written(&o, bits, NULL) == 0 && bits[1] == 0);
	}
	for (size_t i = 0; i < 3 << 20; i++)
		bytes[i] = (uint8_t)(i * 7 >> 3);
	CHECK(outgoing_state(&o, bytes, 3 << 20, NULL) == 0);
	struct wire_frame end = { .type = FRAME_END, .index = 1 };
	CHECK(wire_send(&p.w[0], &end, NULL) == 0);
	pair_end(&p);
	CHECK(p.result == 0 && p.in.paused && p.in.state_len == 3 << 20);
	CHECK(!memcmp(p.in.state, bytes, 3 << 20));
	CHECK(!memcmp(mem_host(from), mem_host(to), RAM));
	uint8_t *there = mmap(NULL, DISK, PROT_READ, MAP_SHARED, p.in.disk[0].fd, 0);
	CHECK(there != MAP_FAILED && !memcmp(there, paper.bytes, DISK));
	munmap(there, DISK);
	incoming_fini(&p.in);
	outgoing_fini(&o);
	mem_free(from);
	mem_free(to);
}

/* What one bad piece comes to: an error with its reason, and nothing written outside. */
static int refused(struct wire_frame f, struct lodge_err *e)
{
	static const uint8_t bytes[4096 * 4];
	struct mem *m = NULL;
	struct pair p;
	CHECK(mem_new(&m, gpa(BASE), RAM, NULL) == 0);
	pair_begin(&p, m);
	f.p = f.p ? f.p : bytes;
	CHECK(wire_send(&p.w[0], &f, NULL) == 0);
	shutdown(p.fd[0], SHUT_WR);
	pair_end(&p);
	incoming_fini(&p.in);
	mem_free(m);
	*e = p.err;
	return p.result;
}

TEST(stream_refuses_what_does_not_belong_there)
{
	uint8_t huge[8], none[8] = { 0 };
	le64_put(huge, UINT64_MAX & ~UINT64_C(4095));
	const struct wire_frame bad[] = {
		{ .type = FRAME_RAM, .at = RAM, .len = 4096 },
		{ .type = FRAME_RAM, .at = RAM - 4096, .len = 8192 },
		{ .type = FRAME_RAM, .at = 100, .len = 4096 },
		{ .type = FRAME_RAM, .at = 0, .len = 4095 },
		{ .type = FRAME_RAM, .at = UINT64_MAX & ~4095ull, .len = 8192 },
		{ .type = FRAME_RAM_ZERO, .at = 4096, .len = 8, .p = huge },
		{ .type = FRAME_RAM_ZERO, .at = 4096, .len = 8, .p = none },
		{ .type = FRAME_RAM_ZERO, .at = 4096, .len = 7, .p = none },
		{ .type = FRAME_DISK, .index = 1, .len = 512 },
		{ .type = FRAME_DISK, .at = DISK, .len = 512 },
		{ .type = FRAME_DISK, .at = 0, .len = 100 },
		{ .type = FRAME_STATE, .at = 1, .len = 5 },
		{ .type = FRAME_HELLO, .len = 5 }, { .type = FRAME_COMMIT }, { .type = 77 },
	};
	struct lodge_err e;
	for (size_t i = 0; i < countof(bad); i++) {
		CHECK(refused(bad[i], &e) == -EINVAL);
		CHECK(e.msg[0]);
	}
	/* what is in order ends with the stream only */
	CHECK(refused((struct wire_frame){ .type = FRAME_RAM, .len = 4096 }, &e) == -ECONNRESET);
	CHECK(refused((struct wire_frame){ .type = FRAME_ERROR, .index = ENOSPC, .len = 4,
	                                   .p = (const uint8_t *)"full" }, &e) == -ENOSPC);
	CHECK(strstr(e.msg, "the other side: full"));
}

/* Any bit of a frame. */
TEST(stream_refuses_every_flipped_bit)
{
	uint8_t bytes[32 + 64];
	int fd[2];
	struct wire w, r;
	struct wire_frame f = { .type = FRAME_STATE, .len = 64, .p = (const uint8_t *)
		"0123456789012345678901234567890123456789012345678901234567890123" }, got;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	CHECK(wire_init(&w, fd[0], fd[0], NULL) == 0 && wire_send(&w, &f, NULL) == 0);
	CHECK(read(fd[1], bytes, sizeof bytes) == sizeof bytes);
	wire_fini(&w);
	for (size_t bit = 0; bit <= 8 * sizeof bytes; bit++) {
		int pipes[2];
		if (bit)
			bytes[(bit - 1) / 8] ^= (uint8_t)(1 << (bit - 1) % 8);
		CHECK(pipe2(pipes, O_CLOEXEC) == 0 && wire_init(&r, pipes[0], -1, NULL) == 0);
		CHECK(write(pipes[1], bytes, sizeof bytes) == sizeof bytes);
		close(pipes[1]);
		CHECK((wire_receive(&r, &got, NULL) == 0) == (bit == 0));
		wire_fini(&r);
		close(pipes[0]);
		if (bit)
			bytes[(bit - 1) / 8] ^= (uint8_t)(1 << (bit - 1) % 8);
	}
	close(fd[0]);
	close(fd[1]);
}
