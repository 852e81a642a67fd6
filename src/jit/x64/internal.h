/* SPDX-License-Identifier: Apache-2.0 */
/* jit/x64, private: the generator's state and what its files share.
 *
 * Registers: rbp is the state + 128, so that its first 32 slots have short addresses; r15 counts
 * guest instructions; rax, rcx, rdx are temporaries; the other ten hold guest registers: which ones
 * is the standard map, which holds wherever control enters or leaves a unit, or the unit's own
 * (plan.c, own.c). Own maps also keep f registers in xmm4..xmm14, all 64 bits of them; xmm15 is
 * ones then. */
#pragma once
#include "jit/jit.h"
#include "jit/x64/asm.h"

enum { BIAS = 128, COUNT_REG = R15, STATE_REG = RBP };
enum { SLOTS = 33, TEMPS = 1 << RAX | 1 << RCX | 1 << RDX };
enum { SLOW_MAX = 1024, LABELS = 2 * JIT_UNIT_INSNS, BBS = 2 * JIT_UNIT_INSNS };

/* Entry points of the shared code at the start of the cache: offsets. */
struct thunks {
	uint32_t enter, link, jump, fault, leave, deopt, stale, look_up, look_up2, far, sentinel;
	uint32_t load[4], store[4], atomic, fp, call;
	uint32_t fault_own, leave_own, deopt_own; /* the state is in memory already */
};
/* Code that each unit with a map of its own has for itself: around calls of C, and ways out. */
enum own_thunk {
	OWN_LOAD,
	OWN_STORE = 4,
	OWN_ATOMIC = 8,
	OWN_FP,
	OWN_CALL,
	OWN_FAULT,
	OWN_LEAVE,
	OWN_DEOPT,
	OWN_THUNKS,
};
enum { XMM = 16, XMM_FIRST = 4, XMM_ONES = 15 }; /* register numbers from XMM on are xmm */

struct veneer { uint32_t off, to; }; /* in the cache: itself, where it leads */

struct jit_cache {
	struct jit_guest g;
	int8_t home[SLOTS];     /* host register of each guest register; -1: in the state */
	uint8_t *w;             /* writable view */
	const uint8_t *x;       /* the same, to run */
	uint64_t bytes, used, first, ready; /* ready: so many have pages */
	uint64_t split, used2;  /* the second part: units with maps of their own */
	uint8_t *stack;         /* of generated code: return addresses */
	int copy;               /* for the child of a fork that is under way */
	struct veneer *veneers; /* owned; see far.c */
	uint32_t nveneers, veneers_cap;
	struct thunks t;
	bool avx2, avx512;      /* avx512: F, VL and BW */
	struct jit_fn_owner fn; /* of functions, and their shared code */
	struct {
		uint32_t enter[JIT_FN_RESULTS], trap, fault, call, poll;
	} ft;
};

/* cache.c: what comes next has pages, as far as can be told. Not of the second part. */
void jit_cache_ahead(struct jit_cache *c);

/* Out-of-line code to be written behind the unit. */
enum slow_kind {
	SLOW_LOAD,      /* a load that missed */
	SLOW_STORE,
	SLOW_ATOMIC,    /* an atomic that missed: C as imm says, its result to reg */
	SLOW_FP,        /* by the fp room after all */
	SLOW_FUSED,     /* a NaN that came in the place of c of a * b + c */
	SLOW_NAN,       /* an f32 that is not boxed */
	SLOW_LAZY,      /* a NaN to be made canonical */
	SLOW_COMPARE,   /* of a NaN, where flags_in is to stay true */
	SLOW_EACH,      /* IR_each by the helper */
	SLOW_NANS,      /* NaNs among its results */
	SLOW_SITE,      /* no code: a call inside the unit that may come back with a fault */
	SLOW_FAULT,     /* an exception */
	SLOW_LINK,      /* to code elsewhere in reach */
	SLOW_FAR,       /* to code out of reach: by its virtual address */
	SLOW_LEAVE,     /* back to the owner before an instruction */
	SLOW_DEOPT,
	SLOW_STACK,     /* the return stack is full */
	SLOW_ICALL,     /* the callee of an indirect call */
	SLOW_ENTRY,     /* what the unit relies on does not hold: interpret, before it begins */
};
struct slow {
	uint8_t kind, bytes, reg;
	bool is_signed, imm_val, slot_val;
	bool standard;          /* the standard map holds here */
	bool boxed;             /* SLOW_FP: box the f32 */
	uint8_t arg[3];         /* SLOW_FP: xmm registers */
	uint32_t lazy, lazy_single; /* the generator's, here */
	uint8_t negate;         /* SLOW_FP: those whose sign turns, one bit each */
	uint16_t bb, k, off; /* basic block, its instructions begun, guest bytes from the start */
	uint8_t len;            /* of the instruction */
	int64_t imm;            /* value to store; exception; what of fp */
	uint64_t pa;            /* target */
	uint8_t *from, *back;   /* end of the jump to here; where to go on */
	int32_t slot;           /* value to store, if slot_val: is in the state here */
	uint8_t *touch[2];      /* mirrored: the accesses that may fault; from is NULL */
	uint8_t *more[6];       /* SLOW_EACH: the jumps to here; from is NULL */
	uint16_t each_from, each_n; /* SLOW_EACH: its accesses in each_at */
	/* SLOW_EACH: unless the key is this one behind the helper, the unit is left for the next
	 * instruction, rax written to the register at result (0: none) before. bytes: of memory at
	 * base and disp. begins: see each.c */
	uint32_t key;
	uint16_t result;
	bool leaves, begins;
	int64_t arg_c;          /* SLOW_EACH: third argument; pa: the second, if slot_val */
	bool host;              /* what follows is the host's address */
	uint8_t base;
	int32_t disp;
};
enum { VENEER_BYTES = 96 };
enum { RECORDS = SLOW_MAX, OWN_JUMPS = 32, EACH_AT_MAX = 512 };
/* The most that the notes of a unit can be: numbers take 5 bytes, addresses 10. */
enum { NOTES_BYTES = RECORDS * (2 * 5 + 10 + 3 * 5 + 2 * 2 * 5) + EACH_AT_MAX * 2 * 5 };
_Static_assert(NOTES_BYTES <= UINT16_MAX, "offsets in the notes");

/* Vector registers in host registers: vmap.c */
enum { YMM_FAR = 16, VMAP_MAX = 28 }; /* only EVEX reaches registers from YMM_FAR on */
struct vmap {
	/* bytes from offset off of the register file on; dirty: written somewhere in the unit */
	struct { uint16_t off; uint8_t reg, bytes; bool dirty; } h[VMAP_MAX];
	unsigned n;
	bool evex;              /* some are such */
};

/* x registers that hold constants: known.c */
struct known {
	uint32_t is;
	uint64_t val[32], result;
};

/* What the instructions of a unit do with registers, and the map that follows. */
struct plan_insn {
	uint32_t x_read, x_write;       /* guest registers, one bit each */
	uint32_t f_read, f_write;
	uint32_t f_box;                 /* read as boxed f32 */
	uint32_t f_wide;                /* written as anything else than a boxed f32 */
	uint32_t f_live;                /* read as boxed f32 from here on, before a write or call */
	uint32_t boxed;                 /* of these, those that are boxed if they are so wherever
	                                 * the unit is entered */
	uint32_t x_base;                /* addresses are made of these, and a constant */
	uint8_t step_from;              /* what is written is this register and a constant; 0 */
	uint16_t at, target;            /* halfwords from the start; UINT16_MAX: no jump inside */
	bool falls, call, helper, fp, rounds;
	bool other;                     /* a helper that may do anything */
	bool fcall;                     /* floating point of single values */
	uint8_t each_type;              /* of IR_each: its type, */
	uint32_t each;                  /* and what is done; 0: none */
};
struct plan {
	struct plan_insn insn[JIT_UNIT_INSNS];
	unsigned n;
	int8_t home[SLOTS], fhome[32];
	struct vmap vmap;
	uint32_t x_dirty, f_dirty;      /* written somewhere in the unit */
	bool fp, rounds;                /* FP is on and dirty all through, rounding mode valid */
	bool indirect;                  /* see jit_plan_begin */
	bool ready;
	uint32_t head[LABELS];          /* x registers that are near at heads of loops: near.c */
};

/* What is large comes last: the rest lies in few pages. */
struct jit_gen {
	struct jit_cache *c;
	int8_t home[SLOTS];         /* host register of each x register; -1: in the state */
	uint64_t homes;             /* state offset of the first of them */
	int8_t fhome[32];           /* xmm register of each f register; -1: in the state */
	bool own;                   /* not the standard map */
	bool entered;
	unsigned nown;
	unsigned njumps, last_jump; /* halfwords from the start */
	struct jit_asm a;
	bool cannot;
	bool alone;                 /* see jit_unit.alone */
	const struct ir_block *ir;  /* of units */
	const struct ir_ins *ins;   /* what is made */
	struct jit_insn now;        /* the instruction that is being made, or was last */
	const struct jit_insn *in;  /* the same */
	unsigned temps;             /* free temporaries */
	uint64_t saved;             /* values read from a slot that has changed since */

	uint64_t pa, end;
	unsigned reach;             /* see jit_begin */
	const bool *leader;
	unsigned nwait;
	/* the basic block that is open */
	unsigned bb, k;             /* its number; instructions begun in it */
	uint8_t *bb_imm;            /* where its length goes; NULL: none is open */
	bool bb_close;              /* the next instruction begins another */
	unsigned insns;
	/* what is known at this point of the basic block */
	bool fp_on, fp_dirty, mode_ok;
	uint32_t vkey;              /* the vector key; 0: unknown. Of own units */
	uint32_t boxed;             /* f registers that hold a boxed f32 */
	/* f registers, in xmm registers, whose NaN need not be canonical; those of f32 */
	uint32_t lazy, lazy_single;
	uint32_t flags_in;          /* x registers that have all flags that MXCSR has */
	/* x registers that lie in the window: how far outside they may be by now, plus 1; 0:
	 * unknown */
	uint32_t near[SLOTS];
	/* each x register is a value that has this number, plus an offset */
	uint32_t root[SLOTS], roots;
	int64_t root_off[SLOTS];
	bool dead;                  /* control does not come here, but by a label */
	bool again;                 /* see near_again */
	unsigned agains;
	bool remake;                /* see jit_remake */
	bool mirror;
	unsigned nslow, neach, nexits, nsites, ntouches;
	uint8_t loc[IR_BLOCK_MAX], uses[IR_BLOCK_MAX];
	bool checks[LABELS];        /* it looks at the limit */
	uint16_t joined[LABELS];    /* where in label_near, plus 1; 0: it is not */
	unsigned njoined;
	uint8_t *label[LABELS];     /* code of leaders, once known */
	uint8_t *resume[LABELS];    /* where calls come back, in place of a label until the end */
	struct { uint8_t *from; uint16_t label; } wait[SLOW_MAX];
	uint16_t bb_len[BBS];
	uint32_t insn_end[JIT_UNIT_INSNS];
	struct vmap vmap;
	struct known known;
	struct moves moves;
	struct plan plan;
	uint32_t stub[LABELS];      /* where labels are entered, with a map of its own */
	struct { uint8_t *from; uint8_t thunk; } own_wait[SLOW_MAX];
	struct { uint8_t *out, *table; } jumps[OWN_JUMPS]; /* ends of what leads there */
	struct ir_block folded;     /* of own units: see known.c */
	struct ir_ins folded_ins[64];
	uint32_t label_near[LABELS][32]; /* as near, of labels that are still to come */
	struct slow slow[SLOW_MAX];
	uint8_t *each_at[EACH_AT_MAX]; /* accesses of IR_each that may fault */
	/* What the owner is told of the unit: see notes.c. Offsets in the cache. */
	struct { uint32_t back, patch; uint64_t pa; } exits[RECORDS];
	struct { uint32_t back; uint16_t off, undo; } sites[RECORDS];
	struct { uint32_t at, stub; } touches[2 * RECORDS + EACH_AT_MAX];
	uint8_t notes[NOTES_BYTES];
};

/* ---- notes.c: exits, sites and touches, packed ---- */
void notes_pack(struct jit_gen *g, struct jit_unit *ret);

void thunks_make(struct jit_cache *c, struct jit_asm *a);
void thunk_look_up(struct jit_cache *c, struct jit_asm *a);
void thunk_look_up2(struct jit_cache *c, struct jit_asm *a);  /* in the second place */
/* @g's own code around a C call: without spill and fill of the standard map. */
void thunk_own(struct jit_gen *g, enum own_thunk n);

/* ---- own.c: maps of single units ---- */
void own_entry(struct jit_gen *g, uint64_t pa);
void own_stubs(struct jit_gen *g);  /* entries to labels */
void own_in(struct jit_gen *g);     /* from the standard map to the unit's */
void own_out(struct jit_gen *g);    /* and back */
/* The standard map holds, the code goes on at @pa: leave if what the unit relies on does not. */
void own_rely(struct jit_gen *g, uint64_t pa);
/* f registers that are boxed at the label at @pa. */
uint32_t own_boxed(const struct jit_gen *g, uint64_t pa);
void own_spill(struct jit_gen *g);  /* all into the state */
void own_fill(struct jit_gen *g, bool all); /* what C calls overwrite, or all */
void own_thunks(struct jit_gen *g); /* behind the unit */
/* Jump to the virtual address in rax, which may be that of a label of the unit. False: there are
 * too many such jumps. */
bool own_jump(struct jit_gen *g) MUST;
/* xmm @x := the boxed f32 in the low half of @r */
void own_box(struct jit_gen *g, unsigned x, unsigned r);
/* Call the thunk at offset @shared, or the unit's own code in its place. */
void gen_thunk_call(struct jit_gen *g, uint32_t shared, enum own_thunk own);

/* ---- gen.c: values ---- */
static inline int32_t at(uint64_t off) { return (int32_t)off - BIAS; }
static inline const struct ir_ins *ins(const struct jit_gen *g, uint32_t v)
{
	return &g->ins[v];
}
unsigned gen_temp(struct jit_gen *g);
void gen_temp_free(struct jit_gen *g, unsigned r);
/* Take temporary @r, which must be free. */
void gen_take(struct jit_gen *g, unsigned r);
/* Host register that holds @v; given back by gen_done. */
unsigned gen_any(struct jit_gen *g, uint32_t v);
void gen_done(struct jit_gen *g, uint32_t v, unsigned r);
void gen_into(struct jit_gen *g, uint32_t v, unsigned to);
/* Flags for @v; the condition code under which it is not 0. */
unsigned gen_cond(struct jit_gen *g, uint32_t v);
/* Home of the slot at @off, NOREG: memory. */
unsigned gen_home(const struct jit_gen *g, uint64_t off);
/* xmm register of the f register at @off, NOREG: memory or none. */
unsigned gen_fhome(const struct jit_gen *g, uint64_t off);
bool gen_is_const(const struct jit_gen *g, uint32_t v, int64_t *ret);
struct slow *gen_slow(struct jit_gen *g, enum slow_kind k, uint8_t *from);
void gen_forget(struct jit_gen *g); /* facts */

void gen_instruction(struct jit_gen *g, const struct ir_block *b);
/* For who makes @n instructions one effect after the other: begin, and a put of an integer. */
void gen_prepare(struct jit_gen *g, const struct ir_ins *ins, uint32_t n);
void gen_put(struct jit_gen *g, uint32_t n);

/* ---- div.c: multiplication to 128 bits, division, carry-less product and the like ---- */
void gen_mulh(struct jit_gen *g, uint32_t v, unsigned to);
void gen_divide(struct jit_gen *g, uint32_t v, unsigned to);
void gen_vector(struct jit_gen *g, uint32_t v, unsigned to);

/* ---- mem.c ---- */
/* @to from XMM on: an xmm register, f32 are boxed. */
void gen_load(struct jit_gen *g, uint32_t v, unsigned to, bool is_signed);
void gen_store(struct jit_gen *g, uint32_t v);
void gen_call(struct jit_gen *g, uint32_t v);

/* rax = address @v; all temporaries are taken. */
void gen_address(struct jit_gen *g, uint32_t v);
/* rax := host address, by the TLB entry of the address in rax; @write: its write tag. Returns the
 * end of the jump that is taken on a miss, with the guest's address still in rax. rdx is
 * overwritten, and rcx, which is where the entry is from the first one. */
uint8_t *gen_tlb(struct jit_gen *g, unsigned bytes, bool write);
/* What is stored: a constant, a host register, or a slot in the state. */
struct value {
	int64_t imm;
	int32_t slot;
	unsigned reg;
	bool is_imm, is_slot;
};
struct value gen_value(struct jit_gen *g, uint32_t v);

/* ---- atomic.c ---- */
void gen_atomic(struct jit_gen *g, uint32_t v);

/* ---- each.c ---- */
void gen_each(struct jit_gen *g, uint32_t v);
/* Does the unit, with a map of its own, rely on it that begin @i of @b gives all elements that
 * there are, @ret? */
bool each_promises(struct jit_gen *g, const struct ir_block *b, const struct ir_ins *i,
                   uint64_t *ret) MUST;
/* Is IR_each @i of @b made inline? */
bool each_is_inline(struct jit_gen *g, const struct ir_block *b, const struct ir_ins *i);
/* Out of line: the key was another one, or there are too few elements. Returns the end of a jump to
 * what comes behind the helper, or NULL. */
uint8_t *slow_each_begin(struct jit_gen *g, const struct slow *s);
void slow_nans(struct jit_gen *g, const struct slow *s);

/* ---- known.c ---- */
/* The same as @from, where constants are known; and what is known behind it. */
const struct ir_block *known_fold(struct jit_gen *g, const struct ir_block *from);
/* Value @n of the block being made is @val. */
void known_result(struct jit_gen *g, uint32_t n, uint64_t val);

/* ---- vmap.c ---- */
struct each;
/* Plan: the map, by the weights of instructions; more than @least for each piece. */
bool vmap_choose(struct jit_gen *g, const uint32_t *weight, uint32_t least);
/* Host register of the bytes from offset @off of the register file on; NOREG: the state. */
unsigned vmap_home(const struct jit_gen *g, unsigned off);
/* Do the operands of @x lie in host registers whole, piece by piece, or not at all? */
bool vmap_conforms(const struct each *x);
void vmap_load(struct jit_gen *g);
void vmap_store(struct jit_gen *g); /* the state is up to date then */
void vmap_out(struct jit_gen *g);   /* the same, and the registers are anyone's */
void vmap_zeroupper(struct jit_gen *g);

/* Between @to and guest memory at [base + disp], in the host's addresses or, in mirrored units,
 * through gs. */
struct place {
	unsigned base;
	int32_t disp;
	bool mirror;
	unsigned reg; /* guest register in base; 0: unknown */
};
void gen_host_load(struct jit_gen *g, struct place p, unsigned to, unsigned bytes, bool is_signed);

/* ---- mirror.c: mirrored units ---- */
/* The place of guest address @v, which is checked; all temporaries are taken. */
struct place gen_place(struct jit_gen *g, uint32_t v);
/* The access from @touch to here is at @p; @s takes over if it faults. */
void gen_touch(struct jit_gen *g, struct slow *s, struct place p, uint8_t *touch);
/* What put @n does to what is known of its register. */
void gen_near_put(struct jit_gen *g, uint32_t n);
/* An access at @p was made; C looks as well. */
void gen_place_known(struct jit_gen *g, struct place p);
/* The start of the code out of line: rax = guest address. */
void gen_touch_begin(struct jit_gen *g, const struct slow *s);

/* ---- near.c: the same at labels ---- */
/* Instruction @i of @b is a put, or an access by address a. */
void near_note(struct plan_insn *p, const struct ir_block *b, const struct ir_ins *i);
bool near_plan(struct jit_gen *g); /* true: there is something to gain */
void near_jump(struct jit_gen *g, unsigned n);  /* here, to label @n */
void near_jump_table(struct jit_gen *g);        /* here, to any label that is still to come */
/* Control falls into the label of the instruction that is next, and then the label is there. */
void near_arrive(struct jit_gen *g, bool check);
void near_label(struct jit_gen *g, bool check);
/* The unit is entered at the label at @pa, with the standard map. */
void near_entry(struct jit_gen *g, uint64_t pa);
/* Where jumps from elsewhere in the unit may come in for label @n. */
uint8_t *near_land(struct jit_gen *g, unsigned n);
/* Was too much promised? Then the unit is no good; made again it may be. */
bool near_again(struct jit_gen *g);
/* Leave for the owner from out of line, with the unit's map: @pa is to be interpreted. */
void gen_deopt(struct jit_gen *g, uint64_t pa);

/* ---- far.c ---- */
/* The way to guest code at @pa out of reach. */
void far_write(struct jit_gen *g, uint64_t pa);
void far_thunk(struct jit_cache *c, struct jit_asm *a, const uint8_t *out);

/* ---- fp.c ---- */
/* Is the f register put @v a floating-point value of its own (not integer bits)? Then it is done.
 */
bool gen_put_fp(struct jit_gen *g, uint64_t off, uint32_t v);
void gen_fcall_int(struct jit_gen *g, uint32_t v, unsigned to);
/* Is @v the check of FP state that need not be made again? */
bool gen_guard_fp(struct jit_gen *g, uint32_t v);

void gen_flags(struct jit_gen *g, uint32_t n);
void gen_setflags(struct jit_gen *g, uint32_t n);
/* What put @n does to flags_in. */
void gen_flags_put(struct jit_gen *g, uint32_t n);
void gen_slow_compare(struct jit_gen *g, const struct slow *s);
void gen_slow_fused(struct jit_gen *g, const struct slow *s);
/* Is @i a comparison of floating-point values, which gives 0 or 1? */
bool gen_is_fcompare(const struct ir_ins *i);

/* ---- lazy.c: NaNs that wait ---- */
/* The home of f register @n has a result that may be a NaN of the host. */
void gen_lazy_add(struct jit_gen *g, unsigned n, bool single);
/* From here on those of @mask hold what the guest's would. Overwrites the flags. */
void gen_lazy_flush(struct jit_gen *g, uint32_t mask);
void gen_lazy_flush_at(struct jit_gen *g, uint64_t off); /* the f register there, if it is one */
void gen_canonical(struct jit_gen *g, bool single, unsigned x); /* xmm @x := the NaN */
/* Out of line: all that waited. */
void gen_lazy_fix(struct jit_gen *g, const struct slow *s);

/* ---- control.c ---- */
void gen_control(struct jit_gen *g, uint32_t v);
