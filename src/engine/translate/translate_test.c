/* SPDX-License-Identifier: Apache-2.0 */
/* The tiers of the translator against the interpreter: loops that use many registers, left by an
 * exception at each of their memory accesses and in their middle, must leave the same registers and
 * the same count of instructions. The optimizing tier runs on this thread, so nothing is left to
 * chance. */
#include "engine/rig_test.h"
#include "jit/jit.h"

#define RAM ((uint32_t)RIG_RAM)
enum { DATA = 1 << 20, HANDLER = 0x400, ACCESSES = 7 };

static void put(struct rig *r, uint32_t word)
{
	rig_word(r, RAM + r->at, word);
	r->at += 4;
}

static uint32_t type_r(unsigned op, unsigned f7, unsigned f3, unsigned rd, unsigned a, unsigned b)
{
	return f7 << 25 | b << 20 | a << 15 | f3 << 12 | rd << 7 | op;
}
static uint32_t type_i(unsigned op, unsigned f3, unsigned rd, unsigned a, int n)
{
	return (uint32_t)n << 20 | a << 15 | f3 << 12 | rd << 7 | op;
}
static uint32_t type_s(unsigned op, unsigned f3, unsigned a, unsigned b, int n)
{
	uint32_t u = (uint32_t)n;
	return (u >> 5 & 127) << 25 | b << 20 | a << 15 | f3 << 12 | (u & 31) << 7 | op;
}
static uint32_t branch_ne(unsigned a, unsigned b, int to)
{
	uint32_t u = (uint32_t)to;
	return (u >> 12 & 1) << 31 | (u >> 5 & 63) << 25 | b << 20 | a << 15 | 1 << 12 |
	       (u >> 1 & 15) << 8 | (u >> 11 & 1) << 7 | 0x63;
}

/* @opt_at 0: no second tier within these few instructions. @count: count accesses. */
static void rig_init(struct rig *r, const char *engine, unsigned opt_at, bool count)
{
	rig_make(r, engine_find(engine),
	         (struct rv_env){ .mmu_max = 57, .hot = 3, .opt_at = opt_at, .opt_sync = true,
	                          .count = count, .code_bytes = 128 << 10 });
	r->h->mtvec = RAM + HANDLER;
	r->h->fs = 3;
	for (unsigned n = 1; n < 32; n++) {
		double d = 1.5 * n;
		r->h->x[n] = 0x123456789abcdef * n;
		memcpy(&r->h->f[n], &d, 8);
		if (n >= 16 && n < 24) { /* boxed f32 */
			float f = 0.75f * (float)n;
			r->h->f[n] = UINT64_MAX;
			memcpy(&r->h->f[n], &f, 4);
		}
	}
	r->at = HANDLER;
	put(r, 0xb0202f73);     /* csrr x30, minstret */
	put(r, 0x00100fb7);     /* lui x31, RIG_STOP */
	put(r, 0x000fb023);     /* sd x0, 0(x31) */
	put(r, 0x0000006f);     /* j . */
	r->at = 0;
}

/* A loop that ends at x27 = 0, or where the access of x18 + @bad has gone out of memory. Each
 * access has an address register of its own that the standard map does not hold. */
static void program_put(struct rig *r, unsigned bad)
{
	static const int step[2] = { 8, 64 };
	for (unsigned n = 0; n < ACCESSES; n++)
		r->h->x[18 + n] = RAM + DATA + 0x10000 * n;
	if (bad < ACCESSES) /* it gets there after some turns */
		r->h->x[18 + bad] = RAM + RIG_BYTES - 64 * 20;
	r->h->x[27] = 50;
	for (unsigned k = 0; k < 2; k++) { /* the loop twice: one begins inside the other's unit */
		int start = (int)r->at;
		put(r, type_i(0x03, 3, 5, 18, 0));             /* ld x5, (x18) */
		put(r, type_r(0x33, 0, 0, 6, 5, 7));           /* add x6, x5, x7 */
		put(r, type_s(0x23, 3, 19, 6, 0));             /* sd x6, (x19) */
		put(r, type_i(0x07, 3, 2, 20, 0));             /* fld f2, (x20) */
		put(r, type_r(0x53, 0x01, 7, 3, 3, 2));        /* fadd.d f3, f3, f2 */
		put(r, type_r(0x53, 0x09, 7, 4, 3, 5));        /* fmul.d f4, f3, f5 */
		put(r, type_s(0x27, 3, 21, 4, 0));             /* fsd f4, (x21) */
		put(r, type_i(0x07, 2, 16, 22, 0));            /* flw f16, (x22) */
		put(r, type_r(0x53, 0x00, 7, 17, 17, 16));     /* fadd.s f17, f17, f16 */
		put(r, type_r(0x53, 0x0c, 7, 18, 17, 19));     /* fdiv.s f18, f17, f19 */
		put(r, type_s(0x27, 2, 23, 18, 0));            /* fsw f18, (x23) */
		put(r, type_r(0x53, 0x51, 1, 28, 4, 3));       /* flt.d x28, f4, f3 */
		put(r, type_i(0x03, 2, 29, 24, 0));            /* lw x29, (x24) */
		for (unsigned n = 0; n < ACCESSES; n++)
			put(r, type_i(0x13, 0, 18 + n, 18 + n, step[n == bad]));
		put(r, type_r(0x33, 0, 0, 7, 7, 28));          /* add x7, x7, x28 */
		put(r, type_i(0x13, 0, 27, 27, -1));           /* addi x27, x27, -1 */
		put(r, branch_ne(27, 0, start - (int)r->at));
		put(r, type_i(0x13, 0, 27, 0, 40));            /* li x27, 40 */
	}
	put(r, 0x00100073);                                    /* ebreak */
}

static void compare(const struct rv_hart *a, const struct rv_hart *b)
{
	for (unsigned n = 1; n < 32; n++) {
		CHECK(a->x[n] == b->x[n]);
		CHECK(a->f[n] == b->f[n]);
	}
	CHECK(a->mepc == b->mepc && a->mcause == b->mcause && a->mtval == b->mtval);
	CHECK(a->fp.flags == b->fp.flags && a->fs == b->fs);
}

static void tiers_agree(unsigned bad, unsigned opt_at, uint64_t f17)
{
	struct rig want, got;
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	rig_init(&want, "interpret", 0, false);
	rig_init(&got, "translate", opt_at, false);
	program_put(&want, bad);
	program_put(&got, bad);
	if (f17)
		want.h->f[17] = got.h->f[17] = f17;
	rig_run(&want);
	rig_run(&got);
	compare(want.h, got.h);
	CHECK(want.h->mcause == (bad < ACCESSES ? bad == 1 || bad == 3 || bad == 5
	                                                  ? RV_EXC_STORE_ACCESS
	                                                  : RV_EXC_LOAD_ACCESS
	                                        : RV_EXC_BREAKPOINT));
	struct engine_stats s;
	got.e->stats(got.h, &s);
	CHECK((s.units[1] > 0) == (opt_at == 1));
	rig_fini(&want);
	rig_fini(&got);
}

TEST(tiers_are_precise_at_every_access)
{
	for (unsigned bad = 0; bad <= ACCESSES; bad++) {
		tiers_agree(bad, 1000000, 0);
		tiers_agree(bad, 1, 0);
	}
}

/* What the optimized code relies on does not hold: f17 is no boxed f32, or a NaN comes out. */
TEST(tiers_agree_on_numbers_that_are_none)
{
	static const uint64_t odd[] = { 0x3ff0000000000000, 0xffffffff3f800000, 0xffffffff7fc12345,
		                        0xffffffffff800000 };
	for (unsigned n = 0; n < countof(odd); n++) {
		tiers_agree(ACCESSES, 1, odd[n]);
		tiers_agree(5, 1, odd[n]);
	}
}

/* ---- numbers of every kind ---- */

enum { NUMBERS = 11, ROW = 48, ROWS = NUMBERS * NUMBERS * NUMBERS, FFLAGS = 1 };

/* x7 := x7 * 33 + x@reg */
static void mix_put(struct rig *r, unsigned reg)
{
	put(r, type_i(0x13, 1, 9, 7, 5));                      /* slli x9, x7, 5 */
	put(r, type_r(0x33, 0, 0, 7, 7, 9));                   /* add x7, x7, x9 */
	put(r, type_r(0x33, 0, 0, 7, 7, reg));
}

/* A quiet comparison as compilers make it: fle, flt, feq of f1 and f2, or f4 and f5; @way on the
 * way: raise flags, or change the register that keeps them. */
static void quiet_put(struct rig *r, unsigned f3, bool is_double, unsigned way)
{
	unsigned a = is_double ? 1 : 4;
	put(r, type_i(0x73, 1, 0, 8, FFLAGS));                 /* fsflags x8 */
	put(r, type_i(0x73, 2, 5, 0, FFLAGS));                 /* frflags x5 */
	put(r, type_r(0x53, 0x50 + is_double, f3, 10, a, a + 1));
	put(r, type_i(0x73, 2, 11, 0, FFLAGS));                /* frflags x11 */
	if (way == 1)
		put(r, type_r(0x53, 0x08 + is_double, 7, 7, a, a + 1)); /* fmul f7 */
	else if (way == 2)
		put(r, type_i(0x13, 7, 5, 5, 9));              /* andi x5, x5, 9 */
	put(r, type_r(0x53, 0x50 + is_double, f3, 12, a + 1, a));
	put(r, type_i(0x73, 1, 0, 5, FFLAGS));                 /* fsflags x5 */
	put(r, type_i(0x73, 2, 6, 0, FFLAGS));                 /* frflags x6 */
	mix_put(r, 10);
	mix_put(r, 11);
	mix_put(r, 12);
	mix_put(r, 6);
}

/* fmadd, fmsub, fnmsub, fnmadd */
static void fused_put(struct rig *r, unsigned op, bool is_double)
{
	unsigned a = is_double ? 1 : 4;
	put(r, type_i(0x73, 1, 0, 8, FFLAGS));
	put(r, type_r(op, (a + 2) << 2 | is_double, 7, 7, a, a + 1));
	put(r, type_i(0x73, 2, 6, 0, FFLAGS));
	put(r, type_r(0x53, 0x71, 0, 10, 7, 0));               /* fmv.x.d x10, f7 */
	mix_put(r, 10);
	mix_put(r, 6);
	put(r, type_i(0x73, 1, 0, 8, FFLAGS));                 /* the same in the place of c */
	put(r, type_r(0x53, 0x10 + is_double, 0, 7, a + 2, a + 2)); /* fmv f7, c */
	put(r, type_r(op, 7 << 2 | is_double, 7, 7, a, a + 1));
	put(r, type_i(0x73, 2, 6, 0, FFLAGS));
	put(r, type_r(0x53, 0x71, 0, 10, 7, 0));
	mix_put(r, 10);
	mix_put(r, 6);
}

/* All threes of f64 and of f32, and flags, from x18 on; a loop over them begins, which x27 counts.
 * The last one but one is none that is common. */
static void rows_begin(struct rig *r)
{
	static const uint64_t wide[NUMBERS] = {
		0, UINT64_C(1) << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
		0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001, 1, 0xffffffff3f800000,
		0x7fefffffffffffff };
	static const uint32_t narrow[NUMBERS] = {
		0, 1u << 31, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000,
		0x7f800001, 1, 0xff812345, 0x7f7fffff };
	uint8_t row[ROW] = {0};
	for (unsigned k = 0; k < ROWS; k++) {
		const unsigned at[3] = { k % NUMBERS, k / NUMBERS % NUMBERS,
			                 k / (NUMBERS * NUMBERS) };
		for (unsigned i = 0; i < 3; i++) {
			le64_put(row + 8 * i, wide[at[i]]);
			le32_put(row + 24 + 4 * i, narrow[at[i]]);
		}
		le32_put(row + 36, k & 8 ? k & 31 : 0);
		CHECK(mem_write(r->env.mem, gpa(RIG_RAM + DATA + ROW * k), row, ROW));
	}
	r->h->x[18] = RIG_RAM + DATA;
	r->h->x[27] = ROWS;
	for (unsigned i = 0; i < 3; i++) {
		put(r, type_i(0x07, 3, 1 + i, 18, 8 * (int)i));      /* fld */
		put(r, type_i(0x07, 2, 4 + i, 18, 24 + 4 * (int)i)); /* flw */
	}
	put(r, type_i(0x03, 2, 8, 18, 36));                    /* lw x8, 36(x18) */
}

static void rows_end(struct rig *r)
{
	put(r, type_i(0x13, 0, 18, 18, ROW));
	put(r, type_i(0x13, 0, 27, 27, -1));
	put(r, branch_ne(27, 0, -(int)r->at));
	put(r, 0x00100073);                                    /* ebreak */
}

static void flags_put(struct rig *r, unsigned row)
{
	(void)row;
	rows_begin(r);
	for (unsigned k = 0; k < 6; k++)
		quiet_put(r, k / 2, k & 1, k % 3);
	rows_end(r);
}

static void fused_all_put(struct rig *r, unsigned row)
{
	(void)row;
	rows_begin(r);
	for (unsigned k = 0; k < 8; k++)
		fused_put(r, 0x43 + k / 2 * 4, k & 1);
	rows_end(r);
}

static uint32_t fp(unsigned f7, unsigned rd, unsigned a, unsigned b)
{
	return type_r(0x53, f7, 7, rd, a, b);
}
static void seen_put(struct rig *r, unsigned f)
{
	put(r, type_r(0x53, 0x71, 0, 10, f, 0));               /* fmv.x.d x10, f */
	mix_put(r, 10);
}

/* Results of arithmetic, some of them NaNs, and every way in which their bits are seen. In row @row
 * a load faults while some have not been. */
static void seen_ways_put(struct rig *r, unsigned row)
{
	enum { ADD = 0x01, SUB = 0x05, MUL = 0x09, DIV = 0x0d, SINGLE = -1 };
	r->h->x[19] = RIG_RAM + DATA + ROWS * ROW;
	r->h->x[24] = RIG_RAM + RIG_BYTES - 8 * row;
	rows_begin(r);
	put(r, fp(ADD, 7, 1, 2));
	seen_put(r, 7);
	put(r, fp(MUL, 7, 1, 2));
	put(r, type_s(0x27, 3, 19, 7, 0));                     /* fsd f7, (x19) */
	put(r, fp(MUL + SINGLE, 8, 4, 5));
	put(r, type_s(0x27, 2, 19, 8, 8));                     /* fsw f8, 8(x19) */
	put(r, type_s(0x27, 2, 19, 7, 12));                    /* fsw f7, 12(x19) */
	for (int k = 0; k < 2; k++) {
		put(r, type_i(0x03, 3, 10, 19, 8 * k));        /* ld x10 */
		mix_put(r, 10);
	}
	put(r, fp(SUB, 7, 1, 2));
	put(r, type_r(0x53, 0x11, 0, 8, 7, 7));                /* fmv.d f8, f7 */
	put(r, fp(SUB, 7, 2, 1));
	put(r, type_r(0x53, 0x11, 1, 9, 7, 7));                /* fneg.d f9, f7 */
	seen_put(r, 8);
	seen_put(r, 9);
	put(r, fp(DIV, 7, 1, 2));                              /* seen behind a label */
	put(r, fp(DIV + SINGLE, 8, 4, 5));
	put(r, branch_ne(8, 0, 8));
	put(r, fp(ADD, 7, 1, 1));
	seen_put(r, 7);
	seen_put(r, 8);
	put(r, fp(0x2d, 7, 1, 0));                             /* fsqrt.d f7, f1 */
	put(r, fp(0x2d, 8, 2, 0));
	put(r, fp(ADD, 9, 7, 8));
	put(r, fp(0x20, 20, 9, 1));                            /* fcvt.s.d f20, f9 */
	put(r, fp(0x21, 21, 4, 0));                            /* fcvt.d.s f21, f4 */
	for (unsigned k = 0; k < 5; k++)
		seen_put(r, k < 3 ? 7 + k : 17 + k);
	put(r, fp(ADD, 7, 1, 2));                              /* may look like a boxed f32 */
	put(r, fp(ADD + SINGLE, 8, 7, 4));
	put(r, fp(ADD + SINGLE, 9, 4, 5));                     /* and the other way round */
	put(r, fp(ADD, 20, 9, 1));
	put(r, fp(ADD, 21, 1, 2));                             /* overwritten before it is seen */
	put(r, type_i(0x07, 3, 21, 18, 8));                    /* fld f21, 8(x18) */
	put(r, type_i(0x03, 3, 29, 24, 0));                    /* ld x29, (x24) */
	seen_put(r, 8);
	seen_put(r, 20);
	seen_put(r, 21);
	put(r, type_i(0x13, 0, 24, 24, 8));
	rows_end(r);
}

static void numbers_agree(void (*program)(struct rig *r, unsigned row), unsigned row,
                          unsigned opt_at)
{
	struct rig want, got;
	rig_init(&want, "interpret", 0, false);
	rig_init(&got, "translate", opt_at, false);
	program(&want, row);
	program(&got, row);
	rig_run(&want);
	rig_run(&got);
	CHECK(want.h->mcause == (program == seen_ways_put && row < ROWS ? RV_EXC_LOAD_ACCESS
	                                                                 : RV_EXC_BREAKPOINT));
	compare(want.h, got.h);
	struct engine_stats s;
	got.e->stats(got.h, &s);
	CHECK((s.units[1] > 0) == (opt_at == 1));
	rig_fini(&want);
	rig_fini(&got);
}

TEST(tiers_agree_on_numbers_of_every_kind)
{
	static const unsigned opt_at[2] = { 1000000, 1 };
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	for (unsigned k = 0; k < 2; k++) {
		numbers_agree(flags_put, ROWS, opt_at[k]);
		numbers_agree(fused_all_put, ROWS, opt_at[k]);
		for (unsigned row = 100; row < 2 * NUMBERS * NUMBERS; row++)
			numbers_agree(seen_ways_put, row, opt_at[k]);
		numbers_agree(seen_ways_put, ROWS, opt_at[k]);
	}
}

/* ---- a callee that undoes what its caller relied on ---- */

enum { UNBOX, ROUND_AWAY, CLEAN, UNDONE };

static void caller_put(struct rig *r, unsigned what)
{
	enum { CALLEE = 0x300, FRM = 2, MSTATUS = 0x300 };
	r->h->x[25] = 0x2000;                                  /* FS: dirty to clean */
	r->h->x[23] = 0x3f9df308;                              /* sums are half-way now and then */
	r->h->x[22] = 0x3ff3be76c8b43958;
	r->h->x[27] = 200;
	r->h->f[8] = 0xffffffff3f800000;
	put(r, CALLEE << 20 | 1 << 7 | 0x6f);                  /* jal x1, CALLEE */
	put(r, fp(0x00, 8, 8, 7));                             /* fadd.s f8, f8, f7 */
	put(r, fp(0x09, 9, 9, 3));                             /* fmul.d f9, f9, f3 */
	put(r, fp(0x0c, 6, 8, 7));                             /* fdiv.s f6, f8, f7 */
	seen_put(r, 8);
	seen_put(r, 9);
	seen_put(r, 6);
	put(r, type_i(0x13, 0, 27, 27, -1));
	put(r, branch_ne(27, 0, -(int)r->at));
	put(r, 0x00100073);
	r->at = CALLEE;
	put(r, type_r(0x53, 0x78, 0, 7, 23, 0));               /* fmv.w.x f7, x23 */
	put(r, type_r(0x53, 0x79, 0, 9, 22, 0));               /* fmv.d.x f9, x22 */
	put(r, type_i(0x13, 0, 21, 27, 63));
	put(r, type_i(0x13, 7, 21, 21, 63));                   /* 0 in the last round, too */
	put(r, branch_ne(21, 0, 8));
	put(r, what == UNBOX ? type_r(0x53, 0x79, 0, 7, 22, 0)
	       : what == ROUND_AWAY ? type_i(0x73, 5, 0, 4, FRM)
	                            : type_i(0x73, 3, 0, 25, MSTATUS));
	put(r, type_i(0x67, 0, 0, 1, 0));                      /* ret */
}

/* f7 comes to labels as a boxed f32 by one way and as an f64 by the other: by the jump, by falling
 * through, and round the loop. */
static void joins_put(struct rig *r, unsigned what)
{
	const uint32_t narrow = type_r(0x53, 0x78, 0, 7, 23, 0); /* fmv.w.x f7, x23 */
	const uint32_t wide = type_r(0x53, 0x79, 0, 7, 22, 0);   /* fmv.d.x f7, x22 */
	r->h->x[23] = 0x3f9df308;
	r->h->x[22] = 0x3ff3be76c8b43958;
	r->h->x[27] = 200;
	r->h->f[7] = r->h->f[8] = 0xffffffff3f800000;
	put(r, fp(0x08, 6, 8, 7));                             /* fmul.s f6, f8, f7 */
	seen_put(r, 6);
	for (unsigned k = 0; k < 2; k++) {
		put(r, k ? wide : narrow);
		put(r, type_i(0x13, 7, 21, 27, 7));            /* andi x21, x27, 7 */
		put(r, branch_ne(21, 0, 8));
		put(r, k ? narrow : wide);
		put(r, fp(0x0c, 6, 8, 7));                     /* fdiv.s f6, f8, f7 */
		seen_put(r, 6);
	}
	put(r, narrow);
	put(r, type_i(0x13, 0, 27, 27, -1));
	put(r, type_i(0x13, 7, 21, 27, 31));
	put(r, branch_ne(21, 0, -(int)r->at));
	put(r, what ? wide : narrow);
	put(r, branch_ne(27, 0, -(int)r->at));
	put(r, 0x00100073);
}

TEST(tiers_agree_on_what_comes_boxed_by_one_way)
{
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	numbers_agree(joins_put, 0, 1);
	numbers_agree(joins_put, 1, 1);
}

TEST(tiers_agree_on_what_a_callee_undoes)
{
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	for (unsigned k = 0; k < UNDONE; k++)
		numbers_agree(caller_put, k, 1);
}

/* ---- a bytecode interpreter ---- */

enum { HANDLERS = 5, SLOT = 32, TABLE = DATA + 0x1000 };

/* Op @k of x5, which goes on at x21, where the next op is fetched. */
static void handler_put(struct rig *r, unsigned k)
{
	uint32_t start = r->at;
	put(r, type_i(0x13, 0, 6 + k % 3, 6 + k % 3, 3 + (int)k)); /* addi x6.., x6.., 3 + k */
	put(r, type_r(0x33, 0, 4, 9, 9, 6 + k % 3));               /* xor x9, x9, x6.. */
	if (k == 3) { /* the first one's code changes */
		put(r, type_s(0x23, 2, 23, 22, 0));                /* sw x22, (x23) */
		put(r, 0x0000100f);                                /* fence.i */
	}
	if (k == HANDLERS - 1)
		put(r, 0x00100073);                                /* ebreak */
	put(r, type_i(0x67, 0, 0, 21, 0));                         /* jr x21 */
	while (r->at < start + SLOT)
		put(r, 0);
}

/* lw x5, (x18); addi x18, x18, 4; add x5, x5, x20; jr x5 */
static void fetch_put(struct rig *r)
{
	put(r, type_i(0x03, 2, 5, 18, 0));
	put(r, type_i(0x13, 0, 18, 18, 4));
	put(r, type_r(0x33, 0, 0, 5, 5, 20));
	put(r, type_i(0x67, 0, 0, 5, 0));
}

/* The ops run by one fetch until they are translated, then by another one, which is optimized when
 * it is hot: all of them are inside its unit. */
static void bytecode_put(struct rig *r)
{
	enum { OPS = 400, FETCH = 0x800, WARM = 0x1400 };
	r->at = 0;
	put(r, 0x00000a97 | 1 << 12);                          /* auipc x21, 1 */
	put(r, type_i(0x13, 0, 21, 21, WARM - 0x1000));
	put(r, type_i(0x67, 0, 0, 21, 0));
	r->at = WARM;
	put(r, type_i(0x13, 0, 24, 24, -1));                   /* addi x24, x24, -1 */
	put(r, branch_ne(24, 0, 8));
	put(r, type_i(0x13, 0, 21, 25, 0));                    /* mv x21, x25 */
	fetch_put(r);
	r->at = FETCH;
	fetch_put(r);
	r->h->x[20] = RAM + r->at;
	for (unsigned k = 0; k < HANDLERS; k++)
		handler_put(r, k);
	r->h->x[18] = RAM + TABLE;
	r->h->x[22] = type_i(0x13, 0, 6, 6, 77);
	r->h->x[23] = r->h->x[20];
	r->h->x[24] = 60;
	r->h->x[25] = RAM + FETCH;
	for (unsigned n = 0; n < OPS; n++) {
		unsigned op = n == OPS - 1 ? HANDLERS - 1 : n == 300 ? 3 : (n * 7 + n / 5) % 3;
		rig_word(r, RAM + TABLE + 4 * n, op * SLOT);
	}
}

TEST(indirect_jumps_find_their_targets_inside_a_unit)
{
	struct rig want, got;
	struct engine_stats s;
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	rig_init(&want, "interpret", 0, false);
	rig_init(&got, "translate", 1, false);
	bytecode_put(&want);
	bytecode_put(&got);
	rig_run(&want);
	rig_run(&got);
	compare(want.h, got.h);
	CHECK(want.h->mcause == RV_EXC_BREAKPOINT && want.h->x[18] == RAM + TABLE + 1600);
	got.e->stats(got.h, &s);
	CHECK(s.units[1] > 0);
	rig_fini(&want);
	rig_fini(&got);
}

/* Two functions with one place in the table of jumps between them, called in turn. */
TEST(jumps_that_meet_in_the_table_are_both_found)
{
	enum { ONE = 0x1000, OTHER = ONE + 2 * JIT_JUMPS, CALLS = 2000 };
	struct rig r;
	struct engine_stats s;
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	rig_init(&r, "translate", 1000000, false);
	r.h->x[5] = CALLS;
	r.h->x[6] = RAM + ONE;
	r.h->x[7] = RAM + OTHER;
	r.h->x[8] = 0;
	put(&r, type_i(0x67, 0, 1, 6, 0));              /* jalr (x6) */
	put(&r, type_i(0x67, 0, 1, 7, 0));              /* jalr (x7) */
	put(&r, type_i(0x13, 0, 5, 5, -1));             /* addi x5, x5, -1 */
	put(&r, branch_ne(5, 0, -12));
	put(&r, 0x00100073);                            /* ebreak */
	for (unsigned n = 0; n < 2; n++) {
		r.at = n ? OTHER : ONE;
		put(&r, type_i(0x13, 0, 8, 8, n ? 100 : 1)); /* addi x8, x8, ... */
		put(&r, 0x00008067);                    /* ret */
	}
	rig_run(&r);
	r.e->stats(r.h, &s);
	CHECK(r.h->x[8] == CALLS * 101 && s.units[0] >= 3 && s.entered < CALLS / 10);
	rig_fini(&r);
}

/* The table of jumps begins with fewer places than there are functions here. */
TEST(the_table_of_jumps_grows)
{
	enum { FIRST = 0x1000, FUNCTIONS = 600, EACH = 16, ROUNDS = 400 };
	struct rig r;
	struct engine_stats s;
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	rig_init(&r, "translate", 1000000, false);
	r.h->x[5] = ROUNDS;
	r.h->x[7] = RAM + FIRST;
	r.h->x[8] = 0;
	put(&r, type_i(0x13, 0, 6, 7, 0));              /* mv x6, x7 */
	put(&r, type_i(0x13, 0, 9, 0, FUNCTIONS));      /* li x9, FUNCTIONS */
	put(&r, type_i(0x67, 0, 1, 6, 0));              /* jalr (x6) */
	put(&r, type_i(0x13, 0, 6, 6, EACH));           /* addi x6, x6, EACH */
	put(&r, type_i(0x13, 0, 9, 9, -1));             /* addi x9, x9, -1 */
	put(&r, branch_ne(9, 0, -12));
	put(&r, type_i(0x13, 0, 5, 5, -1));             /* addi x5, x5, -1 */
	put(&r, branch_ne(5, 0, -28));
	put(&r, 0x00100073);                            /* ebreak */
	for (unsigned n = 0; n < FUNCTIONS; n++) {
		r.at = FIRST + n * EACH;
		put(&r, type_i(0x13, 0, 8, 8, 1));      /* addi x8, x8, 1 */
		put(&r, 0x00008067);                    /* ret */
	}
	rig_run(&r);
	r.e->stats(r.h, &s);
	CHECK(r.h->x[8] == FUNCTIONS * ROUNDS && r.h->x[5] == 0);
	CHECK(s.entered < FUNCTIONS * ROUNDS / 8);
	rig_fini(&r);
}

/* 60 times the function or loop at x7, one turn each, by the loop at CALLS, always the same. */
enum { CALLS = 0x800 };
static void calls_put(struct rig *r)
{
	put(r, type_i(0x13, 0, 27, 0, 60));             /* li x27, 60 */
	put(r, (CALLS - r->at) << 20 | 28 << 7 | 0x6f); /* jal x28, CALLS */
}

/* A loop is jumped into by its virtual address. What its unit relies on does not hold any more so
 * often that it is given up; then its code changes. */
static void given_up_put(struct rig *r)
{
	enum { FUNCTION = 0x1000, LOOP = FUNCTION + 4, FRM = 2, RMM = 4 };
	r->h->x[7] = RAM + FUNCTION;
	r->h->x[22] = fp(0x05, 3, 3, 2);                /* fsub.d f3, f3, f2 */
	r->h->x[23] = RAM + LOOP;
	calls_put(r);
	put(r, type_i(0x13, 0, 7, 23, 0));              /* mv x7, x23 */
	calls_put(r);
	put(r, type_i(0x73, 5, 0, RMM, FRM));           /* csrwi frm, 4 */
	calls_put(r);
	put(r, type_i(0x73, 5, 0, 0, FRM));
	put(r, type_s(0x23, 2, 23, 22, 0));             /* sw x22, (x23) */
	put(r, 0x0000100f);                             /* fence.i */
	calls_put(r);
	put(r, 0x00100073);                             /* ebreak */
	r->at = CALLS;
	put(r, type_i(0x13, 0, 5, 0, 1));               /* li x5, 1 */
	put(r, type_i(0x67, 0, 1, 7, 0));               /* jalr (x7) */
	put(r, type_i(0x13, 0, 27, 27, -1));            /* addi x27, x27, -1 */
	put(r, branch_ne(27, 0, -12));
	put(r, type_i(0x67, 0, 0, 28, 0));              /* jr x28 */
	r->at = FUNCTION;
	put(r, type_i(0x13, 0, 9, 9, 1));               /* addi x9, x9, 1 */
	put(r, fp(0x01, 3, 3, 2));                      /* fadd.d f3, f3, f2 */
	put(r, type_i(0x13, 0, 5, 5, -1));              /* addi x5, x5, -1 */
	put(r, branch_ne(5, 0, -8));
	put(r, 0x00008067);                             /* ret */
}

TEST(a_unit_that_is_given_up_is_not_jumped_into)
{
	struct rig want, got;
	struct engine_stats s;
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	rig_init(&want, "interpret", 0, false);
	rig_init(&got, "translate", 1, false);
	given_up_put(&want);
	given_up_put(&got);
	rig_run(&want);
	rig_run(&got);
	CHECK(want.h->mcause == RV_EXC_BREAKPOINT);
	compare(want.h, got.h);
	got.e->stats(got.h, &s);
	CHECK(s.units[1] > 0);
	rig_fini(&want);
	rig_fini(&got);
}

enum { TURNS = 1000000, FACTOR = 0x5851 };

/* A number of chance decides in each turn whether one access is made or three. */
static void chance_put(struct rig *r)
{
	r->h->x[5] = TURNS;
	r->h->x[6] = 1;
	r->h->x[7] = FACTOR;
	r->h->x[10] = RAM + DATA;
	int start = (int)r->at;
	put(r, type_r(0x33, 1, 0, 6, 6, 7));            /* mul x6, x6, x7 */
	put(r, type_i(0x13, 0, 6, 6, 77));              /* addi x6, x6, 77 */
	put(r, type_i(0x13, 1, 9, 6, 48));              /* slli x9, x6, 48 */
	put(r, type_i(0x13, 5, 9, 9, 62));              /* srli x9, x9, 62 */
	put(r, branch_ne(9, 0, 12));
	put(r, type_i(0x03, 3, 11, 10, 0));             /* ld x11, 0(x10) */
	put(r, type_s(0x23, 3, 10, 11, 8));             /* sd x11, 8(x10) */
	put(r, type_i(0x03, 2, 12, 10, 16));            /* lw x12, 16(x10) */
	put(r, type_i(0x13, 0, 5, 5, -1));              /* addi x5, x5, -1 */
	put(r, branch_ne(5, 0, start - (int)r->at));
	put(r, 0x00100073);                             /* ebreak */
}

static uint64_t chance_accesses(void)
{
	uint64_t n = 0, x = 1;
	for (unsigned i = 0; i < TURNS; i++) {
		x = x * FACTOR + 77;
		n += x >> 14 & 3 ? 1 : 3;
	}
	return n;
}

TEST(accesses_are_counted_and_estimated)
{
	uint64_t want = chance_accesses();
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	for (unsigned count = 0; count < 2; count++) {
		struct rig r;
		struct engine_stats s;
		rig_init(&r, "translate", 1000000, count);
		chance_put(&r);
		rig_run(&r);
		CHECK(r.h->mcause == RV_EXC_BREAKPOINT);
		r.e->stats(r.h, &s);
		CHECK(s.accesses_mirror == 0);
		if (count) { /* and the store of the handler */
			CHECK(s.accesses_tlb == want + 1);
		} else {
			CHECK(s.samples > 20);
			CHECK(s.accesses_tlb > want * 97 / 100);
			CHECK(s.accesses_tlb < want * 103 / 100);
		}
		rig_fini(&r);
	}
}

/* An idle hart gives its code back, and makes it again when it is wanted. */
TEST(translate_gives_back_what_is_idle)
{
	struct rig want, got;
	struct engine_stats s;
	if (!engine_find("translate") || engine_find("translate")->probe(NULL) < 0)
		return;
	rig_init(&want, "interpret", 0, false);
	rig_init(&got, "translate", 1, false);
	program_put(&want, ACCESSES);
	program_put(&got, ACCESSES);
	rig_run(&want);
	rig_run(&got);
	compare(want.h, got.h);
	got.e->stats(got.h, &s);
	uint64_t before = s.cache_bytes, made = s.blocks_made;
	got.h->idled(got.h);
	got.e->stats(got.h, &s);
	CHECK(s.cache_flushes > 0 && s.cache_bytes < before);
	want.h->requests = got.h->requests = 0;
	want.h->pc = got.h->pc = RAM;
	for (unsigned n = 0; n < ACCESSES; n++)
		want.h->x[18 + n] = got.h->x[18 + n] = RAM + DATA + 0x10000 * n;
	want.h->x[27] = got.h->x[27] = 50;
	rig_run(&want);
	rig_run(&got);
	compare(want.h, got.h);
	got.e->stats(got.h, &s);
	CHECK(s.blocks_made == 2 * made);
	rig_fini(&want);
	rig_fini(&got);
}
