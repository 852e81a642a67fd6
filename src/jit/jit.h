/* SPDX-License-Identifier: Apache-2.0 */
/* jit: IR into host code. It knows the guest's state only as offsets (struct jit_guest) and the
 * host only in its folder (x64/). A unit is a straight range of guest code with one entry: its
 * instructions are given one by one as IR, in order; control moves inside it by labels, out of it
 * by exits that the owner links to other units. The guest's registers have fixed host registers or
 * stay in the state, and each is written when its instruction is done, so the state is exact at
 * every instruction that can fault.
 *
 * Code lives in a cache that is mapped twice, once to write and once to run (W^X). A cache and what
 * is made in it belong to one vCPU thread: no locks, no patching under another thread. The one
 * exception: units with register maps of their own go to the second part of the cache, and another
 * thread may make them there, one at a time, with a jit_gen of its own, from jit_plan_begin to
 * jit_end; from then on they are the vCPU thread's. */
#pragma once
#include "host/host.h"
#include "ir/ir.h"

/* What generated code keeps in the guest's state, at jit_guest.run. */
struct jit_run {
	uint64_t delta;             /* virtual minus physical address of the code that runs */
	uint64_t c_sp;              /* the C stack, while generated code runs */
	uint64_t j_sp;              /* the stack of generated code: return addresses only */
	uint64_t j_base, j_limit;   /* where that stack is empty, and where it is full */
	uint64_t detail;            /* of an exit: where in the code */
	void *jumps;                /* struct jit_jump[], as many as jump_mask says */
	uint64_t limit;             /* of owners that give jit_guest.limit this place */
	uint64_t window;            /* host address of guest address 0, for mirrored units */
	uint64_t beyond;            /* JIT_BEYOND, set by the owner */
	uint64_t credit;            /* of generated code: see far.c */
	uint64_t spare;             /* of generated code */
	uint64_t jump_mask;         /* jit_jump_mask of the number of jumps, a power of 2 */
};

/* Where control goes by virtual address: filled by the owner, read by generated code. */
struct jit_jump {
	uint64_t va, key;           /* valid while the state's key field equals this */
	const uint8_t *code;        /* to run */
	uint64_t delta;
};
enum { JIT_JUMPS_BITS = 12, JIT_JUMPS = 1 << JIT_JUMPS_BITS /* at most */, JIT_TLB_ENTRY = 32 };
/* Bytes from the start of the table that an index may be: of @n jumps. */
static inline uint64_t jit_jump_mask(unsigned n) { return (n - 1) * sizeof(struct jit_jump); }
static inline unsigned jit_jump_slot(uint64_t mix, uint64_t mask)
{
	return (unsigned)((mix * sizeof(struct jit_jump) & mask) / sizeof(struct jit_jump));
}
static inline unsigned jit_jump_index(uint64_t va, uint64_t mask)
{
	return jit_jump_slot(va >> 1, mask);
}
/* Where it is looked for if another one is there: those that share the first place seldom share
 * this one. */
static inline unsigned jit_jump_index2(uint64_t va, uint64_t mask)
{
	return jit_jump_slot(va >> 1 ^ va >> (1 + JIT_JUMPS_BITS), mask);
}

/* The guest, as generated code sees it: byte offsets into the state, and what C code does. The
 * functions get the state as first argument; what they report by setting exc leaves the unit. */
struct jit_guest {
	uint32_t pc, npc, count, limit, exc, tval, run, key;
	uint32_t tlb, tlb_entries, dctx;    /* entries {tag_r, tag_w, add, -} of JIT_TLB_ENTRY */
	uint32_t fp_on, fp_mode;            /* i32: 0 off, 3 dirty; rounding mode */
	uint32_t fp_flags;                  /* byte: flags beyond those that MXCSR holds */
	const uint8_t *mx_flags;            /* [64]: MXCSR's flags as the guest's */
	uint32_t fp_regs;                   /* 32 slots of 8 bytes */
	/* IR_each: vector registers, of so many bytes (0: there are none), how many elements they
	 * have and of which type (i64), type | IR_KEY if IR_EACH_begin may change them, and the key
	 * (both i32) */
	uint32_t vector_call;               /* the helper that executes what IR_each does not: it
	                                     * changes vector state and makes fp_on 3, no more */
	uint32_t vector, vector_bytes, vector_vl, vector_type, vector_ready, vector_key;
	/* four units' instructions are the most that run between two looks at limit: returns look,
	 * too, not only calls */
	bool returns_look;
	/* address, value and size (byte) of the load reservation, which is as mem_lr leaves it */
	uint32_t res_va, res_val, res_size;
	bool narrow;                        /* as on a host without AVX-512, for tests */
	bool smp;                           /* others may touch memory at the same time */
	/* guest addresses are the host's: all units are mirrored, of a window at address 0, and
	 * physical addresses are the virtual ones */
	bool flat;
	uint64_t (*load)(void *state, uint64_t va, uint64_t bytes);
	uint64_t (*store)(void *state, uint64_t va, uint64_t bytes, uint64_t v);
	/* JIT_PTR only says whether the access can be made, and where */
	uint64_t (*atomic)(void *state, uint64_t va, uint64_t what, uint64_t v, uint64_t want);
	uint64_t (*fp)(void *state, uint64_t what, uint64_t a, uint64_t b, uint64_t c);
	uint64_t (*call)(void *state, uint64_t which, uint64_t a, uint64_t b, uint64_t c);
};
/* atomic's what: bytes | kind << 8 | enum ir_amo << 16 */
enum jit_atomic { JIT_LR, JIT_SC, JIT_AMO, JIT_CAS, JIT_PTR /* host address */ };
/* fp's what: enum fp_op | rounding mode << 8 */

/* Why generated code came back. */
enum jit_exit {
	JIT_LINK,       /* to a known address: jit_exit_find says which; may be linked */
	JIT_JUMP,       /* to the virtual address in the state's pc */
	JIT_FAR,        /* to a known address: jit_exit_find says which; jit_far_link may help */
	JIT_FAULT,      /* exc is set: jit_site_find says where */
	JIT_LEAVE,      /* stop before the instruction at jit_exit_find's address */
	JIT_DEOPT,      /* the same, and it has to be interpreted */
	JIT_STALE,      /* the unit's code was taken away; jit_exit_find is no use */
};
/* What a call leaves behind (what the owner answers for the helper of an IR_call). */
enum jit_after {
	JIT_AFTER_GO_ON,
	JIT_AFTER_LEAVE,
	JIT_AFTER_JUMP,         /* to npc; return addresses are forgotten */
	JIT_AFTER_RETURN,       /* to npc; of flat guests they stay */
};

struct jit_exit_at {
	uint32_t n;                 /* of its unit */
	uint32_t back, patch;       /* offsets in the cache: return address, the jump to change */
	uint64_t pa;                /* where it leads */
};
struct jit_site_at { uint16_t off, undo; };

/* A finished unit. The code is the cache's. The notes, of exits, sites and mirrored accesses, are
 * the generator's until it begins another unit; whoever keeps the unit copies them. */
struct jit_unit {
	uint64_t pa;                /* guest physical address of the first instruction */
	const uint8_t *notes;
	uint32_t code, code_len;    /* offset in the cache */
	uint16_t notes_len, sites_at, touches_at; /* offsets in the notes */
	bool alone;                 /* of a flat guest: wrong where memory is shared */
};

struct jit_cache;
int jit_cache_new(struct jit_cache **ret, const struct jit_guest *g, uint64_t bytes,
                  struct lodge_err *e) MUST;
void jit_cache_free(struct jit_cache *c);
/* 0 when this host has what generated code needs, else -ENOTSUP and what is missing. */
int jit_probe(struct lodge_err *e) MUST;
void jit_cache_clear(struct jit_cache *c);
/* After jit_cache_clear: give the memory of the code back to the host. */
void jit_cache_trim(struct jit_cache *c);
uint64_t jit_cache_used(const struct jit_cache *c);
uint64_t jit_cache_used2(const struct jit_cache *c);            /* of the second part */
bool jit_cache_is2(const struct jit_cache *c, uint32_t off);    /* is @off in it? */
const uint8_t *jit_cache_code(const struct jit_cache *c, uint32_t off); /* to run */
uint32_t jit_cache_offset(const struct jit_cache *c, uint64_t code);
/* Around fork(2): a cache is memory that processes share. jit_cache_copy makes another one of the
 * same content, which jit_cache_forked puts in its place in the child; else it goes away. */
int jit_cache_copy(struct jit_cache *c, struct lodge_err *e) MUST;
void jit_cache_forked(struct jit_cache *c, bool in_child);
/* In the child, where no copy was made: memory of its own, with nothing in it but the code of @u
 * (NULL: none), to which a C function is about to return; @run's stack has that return address
 * alone. jit_cache_clear comes next. */
void jit_cache_renew(struct jit_cache *c, const struct jit_unit *u, struct jit_run *run);
/* The offset in the cache where a C function that generated code has called returns to; 0: none. */
uint32_t jit_stack_top(const struct jit_cache *c, const struct jit_run *run);
/* In the child, of a cache whose thread may have been anywhere: unmaps it, and that is all. */
void jit_cache_forget(struct jit_cache *c);
/* Of a flat guest: code that is made from now on is for memory that others touch, or that nobody
 * else does. In the first case the owner sees to it that no unit runs that is for the other
 * (jit_unit.alone). No unit may be in the making. */
void jit_cache_share(struct jit_cache *c, bool shared);
/* Run @code with the state @state until it comes back: enum jit_exit. The state's run.delta and
 * count are set. */
enum jit_exit jit_enter(struct jit_cache *c, void *state, const uint8_t *code);
/* Forget all return addresses: contexts or code have changed. */
void jit_stack_reset(struct jit_cache *c, struct jit_run *run);

/* ---- making a unit ---- */
struct jit_gen;
enum { JIT_UNIT_INSNS = 256 };
/* What the owner says of an instruction beside its IR. */
struct jit_insn {
	uint64_t pa;
	uint8_t len;                /* bytes */
	bool call, ret;             /* jump that links, jump back: use the return stack */
	bool label;                 /* control may come here from inside the unit */
	bool check;                 /* look at limit here (entry and heads of loops) */
	bool resume;                /* label, check: only for who comes from elsewhere; before it
	                             * is a call, whose callee has looked */
	enum jit_after after;       /* for IR_end */
	/* a branch back, of a unit with a map of its own: what comes next is its target once more,
	 * and then all up to a branch like this; the instruction behind it is a label */
	bool rounds;
};
int jit_gen_new(struct jit_gen **ret, struct jit_cache *c, struct lodge_err *e) MUST;
void jit_gen_free(struct jit_gen *g);
/* Begin a unit of guest code [pa, end). @leader[i]: the instruction at pa + 2 * i is a label.
 * Jumps inside the naturally aligned 2^@reach bytes around @pa are exits to link, as virtual and
 * physical addresses run in step there; jumps beyond, and to the last halfword of a page, go by the
 * virtual address. */
void jit_begin(struct jit_gen *g, uint64_t pa, uint64_t end, const bool *leader, unsigned reach);
/* After jit_begin: loads and stores go to the window at gs (jit_guard). */
void jit_mirrored(struct jit_gen *g);
/* False: this cannot be translated; begin again and end before it. */
bool jit_insn(struct jit_gen *g, const struct jit_insn *i, const struct ir_block *ir) MUST;
/* The code goes on at @pa, outside of the unit. */
void jit_goes_on(struct jit_gen *g, uint64_t pa);
/* Finish. False: no room in the cache: clear it and make the unit again. */
bool jit_end(struct jit_gen *g, struct jit_unit *ret) MUST;
bool jit_full(const struct jit_gen *g); /* was it for want of room? */
bool jit_is_own(const struct jit_gen *g); /* after jit_begin: it has a map of its own */
bool jit_is_flat(const struct jit_gen *g); /* jit_guest.flat: run.delta is 0 */
/* After jit_end of a unit with a map of its own: was it false because the plan promised too much?
 * It does no more; begin again. */
bool jit_remake(const struct jit_gen *g);

/* ---- units with a register map of their own ---- */
/* Before jit_begin: all instructions of the unit [pa, end), in order. @indirect: its jumps by
 * register that are no calls nor returns may lead to its labels, and shall find them inside. */
void jit_plan_begin(struct jit_gen *g, uint64_t pa, uint64_t end, bool indirect);
void jit_plan_insn(struct jit_gen *g, const struct jit_insn *i, const struct ir_block *ir);
/* Is a map of its own worth it? Then the next unit that is begun gets it, in the second part of the
 * cache. @force: even if it is not. */
bool jit_plan_end(struct jit_gen *g, bool force);
/* Its code stays: the next one is made behind it. Else the next one is made in its place. No unit
 * may be in the making. */
void jit_unit_keep(struct jit_cache *c, const struct jit_unit *u);

/* Offset in the cache of the code at the label @i (2 * i bytes from the start) of the unit just
 * made; 0: none. Control may enter there as at the start. */
uint32_t jit_label_code(const struct jit_gen *g, unsigned i);
/* Where the code of instruction @n of the unit just made ends, from its start. For dumps. */
uint32_t jit_insn_end(const struct jit_gen *g, unsigned n);

/* ---- finished units ---- */
/* What changes in the code of a unit when a copy of it is put elsewhere: distances, whose ends are
 * @at, and a table of @ntable addresses. All in bytes from its start, which had the address @base.
 */
struct jit_moves {
	const uint32_t *at;         /* @n; borrowed */
	uint32_t n, table, ntable;
	uint64_t base;
};
/* Of the unit just made; the list is the generator's until it begins another unit. False: the unit
 * cannot be moved. */
bool jit_unit_moves(const struct jit_gen *g, struct jit_moves *ret) MUST;
/* Put in a copy of a unit's @code, as it was made, before anything was linked: in a cache of this
 * process or one that it was forked from, for the same struct jit_guest. u->code is where it was,
 * and becomes where it is. False: no room. */
bool jit_unit_put(struct jit_cache *c, const uint8_t *code, const struct jit_moves *m,
                  struct jit_unit *u) MUST;
/* The exit or site whose call returns to offset @back, and exit @n. False: there is none. */
bool jit_exit_find(const struct jit_unit *u, uint32_t back, struct jit_exit_at *ret) MUST;
bool jit_exit_get(const struct jit_unit *u, uint32_t n, struct jit_exit_at *ret) MUST;
bool jit_site_find(const struct jit_unit *u, uint32_t back, struct jit_site_at *ret) MUST;
/* Where the mirrored access at offset @at is made otherwise; 0: there is none. */
uint32_t jit_touch_find(const struct jit_unit *u, uint32_t at);
/* Let exit @x lead to the code at offset @to; 0: back to where it came from. */
void jit_link(struct jit_cache *c, const struct jit_exit_at *x, uint32_t to);
/* Exit @x was left by JIT_FAR. From now on it leads to the code at offset @code, while the state's
 * key field equals @key (which was never and will never be another context's) and run.delta equals
 * @from; run.delta becomes @to. */
struct jit_far {
	uint64_t key, from, to;
	uint32_t code;
};
void jit_far_link(struct jit_cache *c, const struct jit_exit_at *x, const struct jit_far *f);
/* None of them that leads into @u holds any more; @u NULL: none at all. */
void jit_far_forget(struct jit_cache *c, const struct jit_unit *u);
/* Whoever enters @u runs @to, which is of the same guest code. */
void jit_unit_redirect(struct jit_cache *c, const struct jit_unit *u, const struct jit_unit *to);
/* Whoever enters the unit gets JIT_STALE from now on. */
void jit_unit_kill(struct jit_cache *c, const struct jit_unit *u);

/* ---- mirrored units: the guest's memory as the host's ----
 * A window is a reserved range of host addresses for the 2^JIT_WINDOW_BITS lowest guest addresses,
 * and JIT_WINDOW_GUARD bytes on either side. Code of mirrored units touches nothing else: it checks
 * the register that an address is made of, and the guards take the distance. What is not mapped
 * there faults, and the access is made by the C function instead. */
enum { JIT_WINDOW_BITS = 38 };
#define JIT_WINDOW_SPAN (UINT64_C(1) << JIT_WINDOW_BITS)
#define JIT_WINDOW_GUARD (UINT64_C(4) << 30)
#define JIT_BEYOND (-JIT_WINDOW_SPAN)   /* the bits that no address in the window has */
struct jit_guard {
	const struct jit_cache *cache;
	uint64_t window;            /* of the code that may run now */
	/* Where the access at @off in the cache is made otherwise; 0: it is none. Called by a
	 * signal handler. */
	uint32_t (*find)(void *user, uint32_t off);
	void *user;
	uint64_t taken;             /* faults so far */
	struct host_fault_taker taker; /* jit_guard_set's */
};
bool jit_mirror_probe(void);            /* can this host run mirrored units? */
/* This thread's generated code from now on; NULL: none. Sees to a handler of SIGSEGV and
 * SIGBUS in the process, which leaves to the one before what is not a mirrored access. The
 * caller sees to it that the thread has an alternate signal stack and does not block the two. */
int jit_guard_set(struct jit_guard *w, struct lodge_err *e) MUST;
/* w->window has changed. */
void jit_guard_move(const struct jit_guard *w);

/* ---- functions ----
 * Of guests that come in functions: the IR of a whole one, in groups (one for each instruction of
 * the guest), whose frame is an array of slots of 8 bytes. IR_get and IR_put of offset 8 * n are
 * slot n. Nobody looks at slots while a function runs, so each value of one may be in a host
 * register of its own, found from what is live where (func_live.c, func_map.c); integer values are
 * made as those of units are. Addresses of IR_load and IR_store are beyond base; negative ones are
 * the owner's, below the context. IR_br and IR_jump lead to group imm.
 *
 * Functions call each other on a stack of their own, with the frame's address in rbp: the callee's
 * begins where its arguments are. A trap unwinds all that run since jit_fn_enter. */
enum { JIT_FN_SPARE = 256 };
struct jit_fn_context { /* lies right below base */
	uint64_t abs64[2], sign64[2], abs32[2], sign32[2]; /* masks */
	int64_t fuel;                        /* of jit_fn_owner.counts */
	/* address behind the last slot, less JIT_FN_SPARE of them, which functions that call nobody
	 * take unasked */
	uint64_t slots_end;
	uint64_t stack_low, stack_len, stack_limit; /* of functions; limit: as low as it may get */
	uint64_t entry_sp;                   /* of generated code */
	uint64_t fault_pc;                   /* set before jit_fn_fault */
	uint64_t spare;
	uint64_t vector[6]; /* operands of what C does with vectors */
	/* from the owner; code has no addresses in it but these, and so can be kept in a file */
	uint64_t self, records, tables, helps, help, vectors;
};
/* d := a vector operation of these, as enum ir_vop says; scalars are where vectors would begin. */
typedef void jit_fn_vector(void *d, const void *x, const void *y, const void *z, unsigned lane);
/* Where a function goes on that catches what was thrown: the code of one of its pads, and where its
 * frame on the stack begins. code 0: nobody catches it. */
struct jit_fn_landing {
	uint64_t code, sp;
};
struct jit_fn_owner {
	void *self;
	/* The callee has no code: run it in the frame @at; 0, or a trap. Or make its code, and
	 * return the address. *@from: where the caller goes on; its frame is behind that. */
	uint64_t (*call)(void *self, void *callee, void *at, const uint64_t *from);
	/* 0 or a trap; *@from: where the caller goes on; its frame is behind that */
	uint64_t (*help)(void *self, void *what, void *frame, const uint64_t *from);
	/* fuel is below 0; at[0]: the group that is about to be made, -1: the function begins;
	 * at[1]: an address in it, its frame is behind that */
	uint64_t (*poll)(void *self, const uint64_t *at);
	/* What does a vector operation that the host has no instructions for: a jit_fn_vector * in
	 * each entry of so many bytes, by enum ir_vop. */
	const void *vectors;
	uint32_t vector_step;
	/* callees, whose distance from here an IR_invoke names; and tables */
	void *records, *tables;
	/* A trap, in code at @pc (of group @group if that is not -1), whose frame on the stack
	 * begins at @sp. Nothing else is unwound if there is a landing. */
	struct jit_fn_landing (*trapped)(void *self, uint64_t trap, int64_t group, uint64_t pc,
					 uint64_t sp);
	/* byte offsets: in a callee's record, its code and its type (i32); in a table's, the
	 * address of its records' addresses, and how many there are (i64) */
	uint32_t callee_code, callee_type, table_at, table_n;
	uint8_t trap_memory, trap_stack, trap_undefined, trap_null, trap_signature;
	bool counts; /* branches back and calls are counted: --fuel */
	/* during poll and during calls of others all values that are still wanted are in their
	 * slots, of all functions that wait */
	bool exact;
};
enum jit_fn_result { JIT_FN_NONE, JIT_FN_INT, JIT_FN_FLOAT, JIT_FN_RESULTS };
/* A cache for functions; jit_cache_free. The owner's fields are copied. */
int jit_fn_cache_new(struct jit_cache **ret, const struct jit_fn_owner *o, uint64_t bytes,
		     struct lodge_err *e) MUST;
void jit_fn_context_init(struct jit_fn_context *x, const struct jit_fn_owner *o);
/* What code of functions depends on beside the IR, and what of it is the CPU's: two caches that
 * differ in it must not be given each other's code. */
uint64_t jit_fn_traits(const struct jit_cache *c);
uint64_t jit_traits(void);
/* The offset of the first function; and @len bytes of functions from there on, of another cache
 * whose first one was at @first. False: there are some, or they do not fit. */
uint64_t jit_fn_first(const struct jit_cache *c);
bool jit_fn_put(struct jit_cache *c, uint64_t first, const uint8_t *code, uint64_t len) MUST;
/* What callees without code have in its place. */
const uint8_t *jit_fn_stub(const struct jit_cache *c);
/* Where a thread goes on that faulted in memory beyond base. */
uint64_t jit_fn_fault(const struct jit_cache *c);
/* Run @code with a frame at @at; its one result is put there. 0 or a trap. */
uint64_t jit_fn_enter(struct jit_cache *c, uint64_t base, void *at, const uint8_t *code,
		      enum jit_fn_result r);

struct jit_fn_code {
	uint32_t code, len;  /* offset in the cache */
	uint32_t frame;      /* bytes on the stack, without the return address */
	uint8_t *lines;      /* of each group, the bytes of its code; owned by whoever has this */
	uint32_t nlines, first; /* bytes of it; of code before the first group */
	/* groups where control may come in from outside, with all values in their slots: heads of
	 * loops. Owned. */
	struct jit_fn_door { uint32_t group, code; } *doors;
	uint32_t ndoors;
	/* pads, and what lands there (jit_fn_owner.trapped). Owned. */
	struct jit_fn_door *pads;
	uint32_t npads;
};
void jit_fn_code_fini(struct jit_fn_code *k);
/* The group that the byte at @off from the start was made for. */
uint32_t jit_fn_group(const struct jit_fn_code *k, uint32_t off);
/* Is @pc where jit_fn_enter gets its return? */
bool jit_fn_is_entry(const struct jit_cache *c, uint64_t pc);

struct jit_fn;
struct jit_fn *jit_fn_new(void); /* NULL: no memory */
void jit_fn_free(struct jit_fn *f);
/* Begin with the function whose record is at @self, of so many slots; the first @nargs of them come
 * from the caller, and up to @nlocals are zero. */
void jit_fn_begin(struct jit_fn *f, uint64_t self, uint32_t nslots, uint32_t nargs,
		  uint32_t nlocals, enum jit_fn_result result, uint32_t nresults);
/* After jit_fn_begin, those of inner blocks first: what functions throw that groups [from, to)
 * call, or a helper of theirs (IR_INVOKE_THROW), may be caught: control goes on at group @pad, with
 * @n slots from @at on, which the owner has written. @all: whatever it is. Such groups write no
 * slots that are read after it but these. */
struct jit_fn_catch {
	uint32_t from, to, pad, at, n;
	bool all;
};
void jit_fn_catch(struct jit_fn *f, const struct jit_fn_catch *c);
/* After jit_fn_begin: of this function, as jit_fn_owner.exact says of all, during calls. */
void jit_fn_exact(struct jit_fn *f);
/* The slots of a function that has landings, by where its frame on the stack begins. */
void *jit_fn_frame(uint64_t sp);
/* Let @b be an empty block, to be filled in where the next group will lie; and add that. */
void jit_fn_next(struct jit_fn *f, struct ir_block *b);
void jit_fn_add(struct jit_fn *f, const struct ir_block *b);
/* Make code of it. -ENOSPC: the cache is full; -ENOTSUP: too large; -ENOMEM. */
int jit_fn_end(struct jit_fn *f, struct jit_cache *c, struct jit_gen *g, struct jit_fn_code *ret)
    MUST;
