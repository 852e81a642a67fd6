/* SPDX-License-Identifier: Apache-2.0 */
/* What every engine must do, asked of every row of engines.def: control flow, precise exceptions,
 * counting, code that changes, instructions that span pages, a code cache that overflows. */
#include "engine/rig_test.h"

#define RAM 0x80000000u

static void rig_init(struct rig *r, const struct engine *e)
{
	rig_make(r, e, (struct rv_env){ .mmu_max = 57 });
	r->h->x[31] = RIG_STOP;
}

/* "sd x0, 0(x31)" asks the engine to leave; what follows runs until it looks: "j ." */
static uint64_t put_stop(struct rig *r, uint64_t at)
{
	rig_word(r, at, 0x000fb023);
	rig_word(r, at + 4, 0x0000006f);
	return at + 8;
}

TEST(engines_loop_and_count)
{
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		rig_word(&r, RAM, 0x3e800513);      /* li a0, 1000 */
		rig_word(&r, RAM + 4, 0x00a585b3);  /* 1: add a1, a1, a0 */
		rig_word(&r, RAM + 8, 0xfff50513);  /* addi a0, a0, -1 */
		rig_word(&r, RAM + 12, 0xfe051ce3); /* bnez a0, 1b */
		rig_word(&r, RAM + 16, 0xb0202673); /* csrr a2, minstret */
		put_stop(&r, RAM + 20);
		r.h->x[11] = 0;
		rig_run(&r);
		CHECK(r.h->x[11] == 500500);
		if (r.h->x[12] != 3001)
			print_error("%llu\n", (unsigned long long)r.h->x[12]);
		CHECK(r.h->x[12] == 3001); /* before the csrr itself: 1 + 3 * 1000 */
		rig_fini(&r);
	}
}

TEST(engines_are_precise_in_the_middle_of_a_block)
{
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		r.h->mtvec = RAM + 0x100;
		rig_word(&r, RAM, 0x00150513);       /* addi a0, a0, 1 */
		rig_word(&r, RAM + 4, 0x0005b603);   /* ld a2, 0(a1): nothing answers there */
		rig_word(&r, RAM + 8, 0x00150513);   /* addi a0, a0, 1: must not happen */
		rig_word(&r, RAM + 0x100, 0xb0202773); /* csrr a4, minstret */
		put_stop(&r, RAM + 0x104);
		r.h->x[10] = 5;
		r.h->x[11] = 0x4000;
		r.h->x[12] = 77;
		rig_run(&r);
		CHECK(r.h->mcause == RV_EXC_LOAD_ACCESS && r.h->mtval == 0x4000);
		CHECK(r.h->mepc == RAM + 4 && r.h->x[10] == 6 && r.h->x[12] == 77);
		CHECK(r.h->x[14] == 1); /* the load did not retire */
		rig_fini(&r);
	}
}

TEST(engines_give_the_word_of_an_illegal_instruction)
{
	static const uint32_t words[] = { 0xffffffffu, 0x00000000u, 0x0000707bu };
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++)
		for (size_t n = 0; n < countof(words); n++) {
			struct rig r;
			rig_init(&r, e);
			r.h->mtvec = RAM + 0x100;
			rig_word(&r, RAM, 0x00000013);
			rig_word(&r, RAM + 4, words[n]);
			put_stop(&r, RAM + 0x100);
			rig_run(&r);
			CHECK(r.h->mcause == RV_EXC_ILLEGAL && r.h->mepc == RAM + 4);
			CHECK(r.h->mtval == ((words[n] & 3) == 3 ? words[n] : (words[n] & 0xffff)));
			rig_fini(&r);
		}
}

TEST(engines_see_new_code_after_fence_i)
{
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		r.h->x[12] = RAM + 0x200;       /* a2: the function */
		r.h->x[13] = 0x00200513;        /* a3: li a0, 2 */
		rig_word(&r, RAM, 0x000600e7);       /* jalr a2 */
		rig_word(&r, RAM + 4, 0x00050593);   /* mv a1, a0 */
		rig_word(&r, RAM + 8, 0x00d62023);   /* sw a3, 0(a2) */
		rig_word(&r, RAM + 12, 0x0000100f);  /* fence.i */
		rig_word(&r, RAM + 16, 0x000600e7);  /* jalr a2 */
		put_stop(&r, RAM + 20);
		rig_word(&r, RAM + 0x200, 0x00100513); /* li a0, 1 */
		rig_word(&r, RAM + 0x204, 0x00008067); /* ret */
		rig_run(&r);
		CHECK(r.h->x[11] == 1 && r.h->x[10] == 2);
		rig_fini(&r);
	}
}

TEST(engines_run_an_instruction_that_spans_two_pages)
{
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		rig_word(&r, RAM + 0xffa, 0x00150513);  /* addi a0, a0, 1 */
		rig_word(&r, RAM + 0xffe,
		    0x00350513); /* addi a0, a0, 3: the last halfword and the next page */
		rig_word(&r, RAM + 0x1002, 0xfff58593); /* addi a1, a1, -1 */
		rig_word(&r, RAM + 0x1006, 0xfe059ae3); /* bnez a1, -12 */
		put_stop(&r, RAM + 0x100a);
		rv_hart_reset(r.h, RAM + 0xffa, 0);
		r.h->x[31] = RIG_STOP;
		r.h->x[10] = 0;
		r.h->x[11] = 100;
		rig_run(&r);
		CHECK(r.h->x[10] == 400);
		rig_fini(&r);
	}
}

/* Straight code of 4 MiB with a jump every 8 instructions overflows any small code cache, twice. */
TEST(engines_survive_more_code_than_their_cache_holds)
{
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		uint64_t at = RAM, end = RAM + (4 << 20);
		rig_init(&r, e);
		for (; at + 32 < end; at += 32) {
			for (unsigned n = 0; n < 7; n++)
				rig_word(&r, at + 4 * n, 0x00150513);
			rig_word(&r, at + 28, 0x0040006f); /* j +4 */
		}
		rig_word(&r, at, 0xfff58593);     /* addi a1, a1, -1 */
		rig_word(&r, at + 4, 0x00058463); /* beqz a1, +8 */
		rig_word(&r, at + 8, 0x00060067); /* jr a2 */
		put_stop(&r, at + 12);
		r.h->x[10] = 0;
		r.h->x[11] = 2;
		r.h->x[12] = RAM;
		rig_run(&r);
		CHECK(r.h->x[10] == 2 * 7 * ((at - RAM) / 32));
		struct engine_stats s;
		e->stats(r.h, &s);
		CHECK(s.instructions > 2 * (at - RAM) / 4);
		rig_fini(&r);
	}
}

/* Where time is counted, a timer strikes behind the first jump that does not go forward, whatever
 * blocks an engine makes. */
TEST(engines_take_a_counted_timer_at_one_place)
{
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		vclock_count(&r.clock, &r.h->icount, &r.h->idle, 10);
		rig_word(&r, RAM, 0x00150513);        /* 1: addi a0, a0, 1 */
		rig_word(&r, RAM + 4, 0x00000463);    /* beq x0, x0, +8 */
		rig_word(&r, RAM + 12, 0x00000013);   /* nop */
		rig_word(&r, RAM + 16, 0xff1ff06f);   /* j 1b */
		rig_word(&r, RAM + 0x100, 0xc0102673); /* csrr a2, time */
		rig_word(&r, RAM + 0x104, 0xb02026f3); /* csrr a3, minstret */
		put_stop(&r, RAM + 0x108);
		r.h->x[10] = 0;
		r.h->mtvec = RAM + 0x100;
		r.h->mie = 1 << RV_STI;
		r.h->mstatus = 8; /* MIE */
		r.h->menvcfg = UINT64_C(1) << 63; /* STCE */
		r.h->stimecmp = 100; /* of 100 ns: 1000 instructions */
		rig_run(&r);
		CHECK(r.h->mcause == (UINT64_C(1) << 63 | RV_STI) && r.h->mepc == RAM);
		CHECK(r.h->x[10] == 250); /* rounds of 4 */
		CHECK(r.h->x[12] == 100 && r.h->x[13] == 1001);
		rig_fini(&r);
	}
}
