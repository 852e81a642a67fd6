/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrored user memory: no number in a register leads out of the window, and what page tables and
 * fences say holds there as well. Asked of every engine; those without windows pass, too. */
#include "engine/rig_test.h"
#include "jit/jit.h"

#define RAM RIG_RAM
enum { LOOPS = 500 };
enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };
#define ROOT (RAM + 0x10000)
#define HANDLER (RAM + 0x100)   /* of M mode */
#define FENCED (RAM + 0x200)    /* sfence.vma, then mret to mepc */
#define CODE_VA UINT64_C(0x10000)
#define DATA_VA UINT64_C(0x20000)
#define CODE_PA (RAM + 0x100000)
#define DATA_PA (RAM + 0x200000)

static void put(struct rig *r, uint64_t at, const uint32_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rig_word(r, at + 4 * i, words[i]);
}

static void put64(struct rig *r, uint64_t at, uint64_t v)
{
	uint8_t b[8];
	le64_put(b, v);
	CHECK(mem_write(r->env.mem, gpa(at), b, 8));
}

static void map(struct rig *r, uint64_t va, uint64_t pa, unsigned bits)
{
	put64(r, ROOT + 0x2000 + (va >> 12 & 511) * 8, pa >> 12 << 10 | bits);
}

static void rig_init(struct rig *r, const struct engine *e)
{
	static const uint32_t stop[] = { 0x000fb023, 0x0000006f }; /* sd x0, 0(x31); j . */
	static const uint32_t fenced[] = { 0x12000073, 0x30200073 };
	rig_make(r, e, (struct rv_env){ .mmu_max = 39, .hot = 1, .mirror = 1 });
	put(r, HANDLER, stop, countof(stop));
	put(r, FENCED, fenced, countof(fenced));
	put64(r, ROOT, (ROOT + 0x1000) >> 12 << 10 | V);
	put64(r, ROOT + 0x1000, (ROOT + 0x2000) >> 12 << 10 | V);
	map(r, CODE_VA, CODE_PA, V | R | X | U | A);
	map(r, DATA_VA, DATA_PA, V | R | W | U | A | D);
	map(r, DATA_VA + 4096, DATA_PA + 4096, V | R | W | U | A | D);
}

/* From @va in U mode until the next trap; @fence: after one. */
static void run_at(struct rig *r, uint64_t va, bool fence)
{
	struct rv_hart *h = r->h;
	h->priv = fence ? RV_M : RV_U;
	h->mstatus &= ~(UINT64_C(3) << 11);
	h->satp = UINT64_C(8) << 60 | ROOT >> 12;
	h->mtvec = HANDLER;
	h->mepc = va;
	h->pc = fence ? FENCED : va;
	h->x[31] = RIG_STOP;
	h->mcause = 99;
	if (!fence)
		rv_hart_loaded(h);
	rig_run(r);
}

static void run(struct rig *r, bool fence) { run_at(r, CODE_VA, fence); }

/* The loop makes the unit; behind it the address changes to one that the checks must stop. */
static const uint32_t strays[] = {
	0x00053583, /* 1: ld a1, 0(a0) */
	0x00c50533, /* add a0, a0, a2 */
	0x00853583, /* ld a1, 8(a0) */
	0x00b53823, /* sd a1, 16(a0) */
	0x010537af, /* amoadd.d a5, a6, (a0) */
	0xfff68693, /* addi a3, a3, -1 */
	0xfe0694e3, /* bnez a3, 1b */
	0x00e50533, /* add a0, a0, a4 */
	0x7f853583, /* ld a1, 2040(a0) */
	0x80853583, /* ld a1, -2040(a0) */
	0x00000073, /* ecall */
};

TEST(mirror_lets_no_address_out)
{
	static const uint64_t to[] = { 1ull << 38, (1ull << 38) + (8ull << 30), 1ull << 39,
		1ull << 46, 1ull << 47, 1ull << 63, UINT64_MAX << 38, UINT64_MAX << 32,
		(1ull << 38) - 4096, UINT64_MAX - 4095 };
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		put(&r, CODE_PA, strays, countof(strays));
		for (size_t k = 0; k < countof(to); k++) {
			bool below = k & 1; /* in the loop, or behind it */
			uint64_t at = to[k] + (below ? 8 : 2040);
			r.h->x[10] = DATA_VA;
			r.h->x[13] = LOOPS;
			r.h->x[12] = r.h->x[14] = 0;
			r.h->x[16] = 1;
			run(&r, false); /* warm: all is well */
			CHECK(r.h->mcause == 13 && r.h->mtval == DATA_VA - 2040);
			r.h->x[10] = DATA_VA;
			r.h->x[13] = 1;
			r.h->x[below ? 12 : 14] = to[k] - DATA_VA;
			run(&r, false);
			CHECK(r.h->mcause == 13);
			CHECK(r.h->mtval == at);
			CHECK(r.h->mepc == CODE_VA + (below ? 8 : 32));
		}
		struct engine_stats s;
		e->stats(r.h, &s);
		CHECK(strcmp(e->name, "translate") || !jit_mirror_probe() || s.mirror_pages);
		rig_fini(&r);
	}
}

TEST(mirror_obeys_fences)
{
	static const unsigned bits[] = { V | R | U | A, V | R | W | U | A | D, 0, V | R | W | A | D,
		V | R | W | U | A | D };
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		put(&r, CODE_PA, strays, countof(strays));
		for (size_t k = 0; k < countof(bits); k++) {
			for (unsigned again = 0; again < 2; again++) {
				bool reads = (bits[k] & (V | R | U)) == (V | R | U);
				bool fine = reads && bits[k] & W;
				r.h->x[10] = DATA_VA;
				r.h->x[13] = LOOPS;
				r.h->x[12] = r.h->x[14] = 0;
				if (!again) { /* so that there is something to lose */
					map(&r, DATA_VA, DATA_PA, V | R | W | U | A | D);
					run(&r, true);
					CHECK(r.h->mcause == 13 && r.h->mtval == DATA_VA - 2040);
					map(&r, DATA_VA, DATA_PA, bits[k]);
					r.h->x[10] = DATA_VA;
					r.h->x[13] = LOOPS;
				}
				run(&r, true);
				CHECK(r.h->mcause == (fine ? 13u : reads ? 15u : 13u));
				CHECK(r.h->mtval == (fine    ? DATA_VA - 2040
				                     : reads ? DATA_VA + 16
				                             : DATA_VA));
			}
		}
		/* another frame */
		put64(&r, DATA_PA + 4096, 4711);
		map(&r, DATA_VA, DATA_PA + 4096, V | R | W | U | A | D);
		r.h->x[10] = DATA_VA;
		r.h->x[13] = 1;
		r.h->x[16] = 1;
		run(&r, true);
		CHECK(r.h->x[15] == 4711);
		rig_fini(&r);
	}
}

/* ---- jumps between pages ---- */

/* Two pages that jump to each other: at CODE_VA + 4096 stands addi a1, a1, N; ret. */
static void callee_put(struct rig *r, uint64_t pa, unsigned n)
{
	const uint32_t words[] = { n << 20 | 0x00058593, 0x00008067 };
	put(r, pa, words, countof(words));
}

TEST(jumps_between_pages_follow_the_tables)
{
	static const uint32_t loop[] = {
		0x000010ef, /* 1: jal ra, . + 4096 */
		0xfff68693, /* addi a3, a3, -1 */
		0xfe069ce3, /* bnez a3, 1b */
		0x00000073, /* ecall */
	};
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		put(&r, CODE_PA, loop, countof(loop));
		for (unsigned n = 1; n < 6; n++)
			callee_put(&r, CODE_PA + 4096 * n, n);
		for (unsigned n = 1; n < 8; n++) {
			/* as the tables say now; the last two are gone and there again */
			unsigned frame = n < 6 ? n : 1;
			map(&r, CODE_VA + 4096, CODE_PA + 4096 * frame,
			    n == 6 ? 0 : V | R | X | U | A);
			r.h->x[11] = 0;
			r.h->x[13] = LOOPS;
			run(&r, true);
			CHECK(r.h->mcause == (n == 6 ? 12u : 8u));
			CHECK(r.h->x[11] == (n == 6 ? 0 : LOOPS * frame));
		}
		/* the same frame at another address: another distance between the two */
		map(&r, CODE_VA + 8192, CODE_PA, V | R | X | U | A);
		map(&r, CODE_VA + 3 * 4096, CODE_PA + 2 * 4096, V | R | X | U | A);
		for (unsigned n = 0; n < 4; n++) {
			r.h->x[11] = 0;
			r.h->x[13] = LOOPS;
			run_at(&r, n & 1 ? CODE_VA + 8192 : CODE_VA, false);
			CHECK(r.h->mcause == 8);
			CHECK(r.h->x[11] == LOOPS * (n & 1 ? 2u : 1u));
		}
		rig_fini(&r);
	}
}

/* The first run of counted time begins with another code cache: faults are found there, too. */
TEST(mirror_works_in_counted_time)
{
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		vclock_count(&r.clock, &r.h->icount, &r.h->idle, 10);
		put(&r, CODE_PA, strays, countof(strays));
		r.h->x[10] = DATA_VA;
		r.h->x[13] = LOOPS;
		r.h->x[12] = r.h->x[14] = 0;
		r.h->x[16] = 1;
		run(&r, false);
		CHECK(r.h->mcause == 13 && r.h->mtval == DATA_VA - 2040);
		struct engine_stats s;
		e->stats(r.h, &s);
		CHECK(strcmp(e->name, "translate") || !jit_mirror_probe() || s.mirror_pages);
		rig_fini(&r);
	}
}
