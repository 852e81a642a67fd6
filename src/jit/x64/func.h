/* SPDX-License-Identifier: Apache-2.0 */
/* jit/x64, private: functions.
 *
 * Registers: r15 base, rbp the frame + BIAS; rax, rcx, rdx and xmm0..xmm3 are temporaries. Values
 * live in the other ten and in xmm4..xmm15; rbx, r12, r13, r14 are the caller's and kept. All of an
 * i32 above its 32 bits is 0 in a register, and anything in a slot. */
#pragma once
#include "jit/x64/internal.h"

enum { BASE_REG = R15, FP_TEMP = 0 };
#define FN_HOMES (UINT64_C(1) << 40) /* state offset of values in integer registers */
enum { FN_INTS = 10, FN_FLOATS = 12, FN_REGS = FN_INTS + FN_FLOATS, FN_KEPT = 6, FN_XMM = 4 };
enum { FN_NONE = UINT32_MAX };

/* A value of a slot from where it is made to where it is last wanted, in one block. Positions: 2 *
 * group where the group reads, 2 * group + 1 where it writes. */
struct fn_seg {
	uint32_t from, to; /* [from, to) */
	uint32_t up;       /* the web, as a tree of segments: itself at the top */
	uint32_t next;     /* of the web */
	uint32_t slot;
};
/* At the top segment's index: all segments that are one value, for they flow into each other. */
struct fn_web {
	uint32_t weight, cost; /* of its reads and writes; of calls that it lives across */
	uint32_t size;
	uint32_t last;         /* of its segments */
	uint32_t hint;         /* a segment whose register it would like; FN_NONE */
	uint8_t type;          /* enum ir_type */
	uint8_t reg;           /* number among FN_REGS; NOREG: it stays in its slot */
	bool slot;             /* somebody looks for it there */
	bool wide, narrow;     /* it is read as 64 bits; as 32 */
};
struct fn_block {
	uint32_t first, end;   /* groups */
	uint32_t ins_at;       /* its live-in values: so many segments from here, by slot */
	uint32_t nins;
	uint32_t succ[2];      /* FN_NONE: none */
	uint32_t catch;        /* the innermost one of what its last group throws; FN_NONE */
	uint32_t ntable;       /* so many blocks that follow are successors as well */
	uint32_t until;        /* it begins a loop: the group behind that; 0: it does not */
	uint32_t weight;       /* of what is in it: how often it runs */
	uint8_t *label;        /* its code; NULL: it has none yet */
	uint64_t *in, *kill;   /* bits by slot: live at the start; written before they are read */
};
/* One that catches; those around it come before it. */
struct fn_catch {
	struct jit_fn_catch is;
	uint32_t order;        /* as they were given */
	uint32_t next;         /* who has what this one does not catch; FN_NONE */
	uint64_t *in;          /* bits by slot: what has to be there when something is thrown */
};
struct jit_fn {
	uint64_t self;
	uint32_t nslots, nargs, nlocals, nresults, words;
	enum jit_fn_result result;
	bool exact;
	struct ir_ins *ins;    /* owned, as are all below */
	uint32_t nins, cap_ins;
	/* of each group its first instruction and its first use of slots; one more than all */
	struct fn_group { uint32_t ins, use; uint8_t end; bool calls, throws; } *groups;
	uint32_t ngroups, cap_groups;
	/* what reads slots or does anything, in order; slot: of gets and puts */
	struct fn_use { uint32_t ins, group, slot; uint8_t op, type; } *uses;
	uint32_t nuses, cap_uses;
	uint32_t *ends;        /* groups that do not fall, in order */
	uint32_t nends, cap_ends;
	bool bad;              /* memory ran out */
	struct ir_ins no_ins;  /* without memory: what groups are made of */
	/* func_catch.c */
	struct fn_catch *catches;
	uint32_t ncatches, cap_catches;
	uint32_t *catch_of;    /* by group, of those that throw; NULL: nothing is caught */
	/* func_live.c */
	struct fn_block *blocks;
	uint32_t nblocks;
	uint32_t *block_of;    /* by group, of those that begin one; others have nothing there */
	uint64_t *bits;        /* of all blocks */
	struct fn_seg *segs;
	struct fn_web *webs;
	uint32_t nsegs, cap_segs;
	uint32_t *cur;         /* by slot: the segment that is open */
	uint32_t *calls;       /* weights of calls before each group */
	/* func_map.c */
	uint64_t *busy[FN_REGS];
	uint32_t kept;         /* integer registers to be kept, by number */
	/* func.c */
	struct jit_cache *c;
	struct jit_gen *g;
	struct ir_ins *at;     /* of the group that is made */
	uint32_t now;          /* its number */
	bool ready;            /* gen.c is */
	uint32_t held[FN_REGS]; /* the segment in each register; FN_NONE */
	uint32_t holds;         /* registers with one, by number */
	struct fn_wait { uint8_t *from; uint32_t group; } *waits;
	uint32_t nwaits, cap_waits;
	struct fn_stub {
		uint8_t *from;
		uint32_t group;
		uint8_t kind, trap;
		uint8_t *back;
	} *stubs, no_stub;     /* without memory: nobody's */
	uint32_t nstubs, cap_stubs;
	struct fn_held { uint32_t seg[FN_REGS]; } *polled; /* what each poll found, in order */
	uint32_t npolled, cap_polled;
	struct fn_const { /* vectors that lie behind the code: where a distance to one ends */
		uint8_t *from;
		uint64_t lo, hi;
	} *consts;
	uint32_t nconsts, cap_consts;
	uint8_t *lines;
	uint32_t nlines, cap_lines;
	uint32_t frame;
	uint32_t entries;      /* of a table, that are still to come */
};
enum fn_end { FN_FALLS, FN_BRANCHES, FN_JUMPS, FN_STOPS }; /* how a group ends */
enum fn_stub_kind { FN_TRAP, FN_TRAP_RAX, FN_POLL, FN_POLL_ENTRY };

extern const uint8_t fn_int[FN_INTS];
static inline bool fn_is_float(uint8_t type) { return type == IR_F32 || type == IR_F64; }
static inline bool fn_is_xmm(uint8_t type) { return fn_is_float(type) || type == IR_V128; }
/* Can values of both types be one web? */
static inline bool fn_alike(uint8_t x, uint8_t y)
{
	return fn_is_xmm(x) == fn_is_xmm(y) && (x == IR_V128) == (y == IR_V128);
}
uint32_t fn_top_far(struct jit_fn *f, uint32_t seg);
static inline uint32_t fn_top(struct jit_fn *f, uint32_t seg)
{
	return likely(f->segs[seg].up == seg) ? seg : fn_top_far(f, seg);
}
static inline struct fn_web *fn_web(struct jit_fn *f, uint32_t seg)
{
	return &f->webs[fn_top(f, seg)];
}
/* The same, after fn_map, which leaves no long ways to the top. */
static inline const struct fn_web *fn_web_of(const struct jit_fn *f, uint32_t seg)
{
	return &f->webs[f->segs[seg].up];
}
bool fn_live(struct jit_fn *f) MUST;  /* blocks, segments, webs; false: see bad, else too large */
bool fn_map(struct jit_fn *f) MUST;   /* registers */

/* ---- func_catch.c ---- */
bool fn_catches_nest(struct jit_fn *f) MUST; /* catch_of; false: see bad, else too many */
/* What has to be there: true: something has changed. */
bool fn_catches_flow(struct jit_fn *f);
/* Before group f->now calls: what its catches want goes to its slots. */
void fn_catch_store(struct jit_fn *f);
bool fn_pads_find(const struct jit_fn *f, struct jit_fn_code *ret) MUST;
void fn_pads_write(struct jit_fn *f, struct jit_fn_code *ret);
static inline uint32_t fn_catch_at(const struct jit_fn *f, uint32_t group)
{
	return f->catch_of ? f->catch_of[group] : FN_NONE;
}

/* ---- func.c ---- */
/* Before gen.c makes anything of the group. */
void fn_ready(struct jit_fn *f);
static inline struct fn_block *fn_block_at(const struct jit_fn *f, uint32_t group)
{
	return &f->blocks[f->block_of[group]];
}
/* Room for more than @n of *@p, of @size bytes each; less than 256 more than before. False: no
 * memory. */
bool fn_room(struct jit_fn *f, void *p, uint32_t n, uint32_t *cap, size_t size);
/* Does call @f->now leave what is in register @r at @seg, and is it wanted behind it? */
bool fn_is_lost(const struct jit_fn *f, unsigned r, uint32_t seg);
void fn_web_move(struct jit_fn *f, uint32_t seg, bool load); /* between register and slot */
/* Where a value is: a register (xmm for floats), or memory at [base + disp]. */
struct fn_loc {
	unsigned reg; /* NOREG: memory */
	bool xmm;
	unsigned base;
	int32_t disp;
};
static inline int32_t slot_at(uint32_t slot) { return at(8 * (uint64_t)slot); }
static inline struct fn_loc fn_loc(const struct jit_fn *f, const struct ir_ins *i) /* get, put */
{
	unsigned r = fn_web_of(f, i->d)->reg;
	if (r == NOREG)
		return (struct fn_loc){NOREG, false, STATE_REG, slot_at(f->segs[i->d].slot)};
	return r >= FN_INTS ? (struct fn_loc){FN_XMM + r - FN_INTS, true, 0, 0}
			    : (struct fn_loc){fn_int[r], false, 0, 0};
}
void fn_const_load(struct jit_fn *f, unsigned x, uint64_t lo, uint64_t hi); /* xmm @x := */
void fn_lost_move(struct jit_fn *f, bool load); /* around a call of C */
struct fn_stub *fn_stub(struct jit_fn *f, enum fn_stub_kind k, unsigned trap, uint8_t *from);

/* ---- func_value.c: what units do not have ---- */
bool fn_put_special(struct jit_fn *f, uint32_t n); /* true: put @n is done */
void fn_store(struct jit_fn *f, uint32_t n);
/* Flags of the comparison @i; the conditions under which it holds: one, or also another one */
struct fn_cond {
	unsigned cc;
	bool unordered; /* with CC_E: and not parity; with CC_NE: or parity */
};
struct fn_cond fn_compare(struct jit_fn *f, const struct ir_ins *i);
void fn_float(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to);
unsigned fn_xmm(struct jit_fn *f, uint32_t v, unsigned temp); /* in this register, or @temp */

/* Memory beyond base. */
struct fn_beyond {
	unsigned index; /* NOREG: none */
	int32_t disp;
};
/* The address @v: a constant, or an i32 without a sign plus one. Overwrites rcx and rdx; rcx may be
 * the index. */
struct fn_beyond fn_place(struct jit_fn *f, uint32_t v);
/* @op with @reg and what lies there; @pfx: 0x66, 0xf2, 0xf3 or 0; @byte: @reg is one of 8 bits */
void fn_op_at(struct jit_fn *f, unsigned pfx, bool w, unsigned op, unsigned reg,
	      struct fn_beyond p, bool byte);
/* IR_amo and IR_cas (func_atomic.c); @to NULL: nobody wants the old value. */
void fn_atomic(struct jit_fn *f, const struct ir_ins *i, const struct fn_loc *to);

/* What arguments and results of other files' instructions need. */
struct fn_loc;
unsigned fn_xmm_for(struct fn_loc to);
unsigned fn_int_for(struct fn_loc to);
void fn_xmm_put(struct jit_fn *f, unsigned x, uint8_t type, struct fn_loc to);
void fn_int_put(struct jit_fn *f, unsigned r, uint8_t type, struct fn_loc to);
unsigned fn_int_in(struct jit_fn *f, uint32_t v, unsigned temp);
void fn_float_mask(struct jit_fn *f, unsigned op, uint8_t type, bool sign, unsigned d, unsigned x);

/* ---- func_vector.c: IR_vop ---- */
void fn_vector(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to);
void fn_vector_const(struct jit_fn *f, unsigned x, uint64_t lo, uint64_t hi);
bool fn_calls(const struct ir_ins *i); /* does it call another function, or C? */

void fn_thunks(struct jit_cache *c, struct jit_asm *a);
