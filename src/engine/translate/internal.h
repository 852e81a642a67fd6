/* SPDX-License-Identifier: Apache-2.0 */
/* engine/translate, private: the interpreter runs what is cold; what is hot becomes units of host
 * code. A unit is a straight range of one page, found by physical address and by how far around it
 * virtual and physical addresses run in step. Everything here belongs to one hart. */
#pragma once
#include "engine/engine.h"
#include "engine/interp/internal.h"
#include "jit/jit.h"

enum {
	HOT = 24,               /* runs of a block before it is translated */
	UNIT_INSNS = 200,
	PAGES_HASH = 4096,
	PAGES2_HASH = 256,
	CACHE_BYTES = 32 << 20, /* of all harts */
	KEEP_SHARE = 80,        /* an idle hart may keep one part in so many of that */
	OPT_AT = 3,             /* samples of a unit before it is optimized */
	OPT_BAD = 32,           /* it could not be entered so often: it is given up */
	OPT_NEVER = 256,
	CROSSINGS = 64,
	JUMPS_FEW = 128,        /* jumps in use that are forgotten one by one */
	JUMPS_BEGIN = 128,     /* places for them at first: a page */
	JUMPS_LOST = 4,         /* one part in so many lost: more places */
	UNIT_MIRRORED = 128,    /* in unit.reach: a mirrored unit */
};

/* Units and what belongs to them lie in a pool, one behind the other, and go all at once. A ref is
 * an offset in it; 0: none. */
typedef uint32_t ref;
struct pool {
	uint8_t *at;            /* owned */
	uint32_t bytes, used;
	size_t ready;           /* host_pages_ahead */
	bool full;              /* something did not fit */
};

/* Where a unit may be entered: its start, and each label inside it. */
struct entry {
	ref next;               /* of the same hash */
	uint32_t code;          /* offset in the cache */
	uint16_t off;           /* bytes of guest code from the start */
	uint16_t n;             /* of its unit */
};
/* An exit of one unit that leads to another. */
struct link {
	ref from;               /* unit */
	ref next;               /* to the same unit, or free */
	uint32_t exit;
};
/* In the pool: behind the entries come, of an instruction across two pages, the second one, then
 * the guest code that it was made from and the notes of @j. */
struct unit {
	struct jit_unit j;
	ref page_next;          /* unit */
	ref in;                 /* link: who comes here */
	uint16_t bytes;         /* of guest code */
	uint16_t nentries;
	uint16_t heat;          /* samples */
	uint8_t bad;            /* tries to enter it in vain */
	uint8_t reach;          /* | UNIT_MIRRORED */
	uint8_t tier;           /* 0, 1 */
	bool dead, refused;     /* no use in optimizing it */
	struct entry entries[]; /* nentries; the start first */
};
/* The second page of a unit that is one instruction across two. */
struct unit_page2 {
	uint32_t frame;
	ref next;               /* unit */
};

/* A range of guest code that is about to become a unit. */
struct range {
	uint64_t pa;
	unsigned n, bytes;      /* instructions and bytes */
	struct rv_insn insn[UNIT_INSNS];
	uint16_t off[UNIT_INSNS];
	bool start[2 * JIT_UNIT_INSNS];         /* an instruction begins at 2 * i */
	bool target[2 * JIT_UNIT_INSNS];        /* a jump from inside goes to 2 * i */
	bool back[2 * JIT_UNIT_INSNS];          /* one that goes back */
	bool leader[2 * JIT_UNIT_INSNS];        /* a label of the unit begins there */
	unsigned far;           /* the farthest forward target, bytes */
	unsigned indirect;      /* indirect jumps that may lead to seeds */
	unsigned vlenb;         /* bytes of a vector register */
	uint16_t vtype;         /* at the start, probably: as rv_insn.vtype */
	uint8_t code[4096];
};

/* How many accesses an instruction makes: sample.c. */
struct sample {
	bool on;                /* a window is due, or open */
	uint64_t run;           /* of the interpreter: when it became due */
	uint32_t hot;           /* it.hot outside of windows */
	uint64_t next;          /* h->icount where the next one is due */
	uint64_t begin, end;    /* of the open one; end 0: not yet open */
	uint64_t weight, seed;
	/* What was counted, each window times the instructions that it stands for. */
	uint64_t insns, accesses[2]; /* by the TLB, by windows onto memory */
	uint64_t windows;
};

/* In pages of their own, which a child of a fork may have empty. */
struct tables {
	ref pages[PAGES_HASH];  /* units by frame */
	ref pages2[PAGES2_HASH]; /* units by frame of the second page */
};

struct opt;
struct copy_entry;
struct flat;
struct translate {
	struct interp it;       /* first: the interpreter finds itself in h->engine */
	struct jit_cache *cache;
	struct jit_gen *gen;
	struct jit_jump *jumps; /* room for JIT_JUMPS; owned */
	uint64_t *jump_mask;    /* jit_run's: how many are in use; borrowed */
	struct tables *tables;  /* owned */
	struct mirror *mirror;  /* owned; NULL: there is none */
	struct flat *flat;      /* owned; NULL: this is a machine's hart */
	struct pool pool;
	ref link_free;
	ref *hash;              /* of entries by physical address, hash_size; owned */
	uint32_t hash_size, nentries;
	ref *units;             /* all, in order of their code; owned */
	uint32_t nunits, units_cap;
	ref *units2;            /* the same, of the optimizing tier */
	uint32_t nunits2, units2_cap;
	struct opt *opt;        /* owned; NULL: nothing was optimized yet */
	uint64_t opt_never[OPT_NEVER]; /* units that were given up */
	uint32_t map_epoch, fetch_epoch;
	bool counted;           /* generated code looks at jit_run.limit: see counted_begin */
	/* When memory was given back, how long it stays from then on, how much always may. */
	uint64_t trim_ns, trim_wait_ns, keep_bytes;
	uint16_t jump_used[JUMPS_FEW]; /* slots of jumps, the first njumps; more: unknown */
	unsigned njumps, jumps_lost; /* lost: pushed out since the table has its size */
	bool fork_copies;       /* the fork that is under way gives the child all code, else */
	struct jit_unit fork_keeps; /* no more than this, to which it returns; code 0: nothing */
	bool wipes;             /* children have pool, tables, jumps and hash empty */
	const struct copy_entry *known; /* share_knows has just found it there; NULL: nothing */
	uint64_t known_pa;
	uint32_t known_epoch;
	uint8_t crossing_heat[CROSSINGS]; /* of instructions across two pages, by address */
	bool alone;             /* code is made as for env->alone */
	bool deopt;             /* the interpreter has to run the next block */
	struct sample sample;
	uint64_t made, made2, taken, killed, clears, entered, links, misses;
	uint64_t insns;         /* begun in generated code */
	struct range range;     /* of the unit that is being made */
};

/* ---- unit.c ---- */
/* Where code is: host and physical address, how far around it they run in step with the virtual
 * one; of an instruction that goes on in another page also that page. */
struct place {
	const uint8_t *host, *host2;
	uint64_t pa, pa2;
	unsigned reach;
};
enum { REACH_CROSSING = 1 };
static inline bool is_crossing(unsigned reach)
{
	return (reach & ~(unsigned)UNIT_MIRRORED) == REACH_CROSSING;
}
static inline struct unit_page2 *unit_page2(const struct unit *u)
{
	return (struct unit_page2 *)(uintptr_t)&u->entries[u->nentries];
}
static inline uint64_t unit_pa2(const struct unit *u)
{
	return is_crossing(u->reach) ? (uint64_t)unit_page2(u)->frame << 12 : 0;
}
static inline uint8_t *unit_code(const struct unit *u)
{
	return (uint8_t *)(unit_page2(u) + is_crossing(u->reach));
}
static inline struct unit *entry_unit(const struct entry *e)
{
	return (struct unit *)((uintptr_t)(e - e->n) - offsetof(struct unit, entries));
}
static inline uint64_t entry_pa(const struct entry *e) { return entry_unit(e)->j.pa + e->off; }

/* The code for @p, made if need be. NULL: there is none, or it cannot be made. */
struct entry *unit_get(struct rv_hart *h, const struct place *p, bool make);
/* The unit that a call comes back to at @off, which may be the end of its part of the cache. */
struct unit *unit_at_code(struct translate *t, uint32_t off);
/* As jit_guard.find; @t: struct translate. */
uint32_t unit_touch_find(void *t, uint32_t off);
int units_init(struct translate *t, uint64_t bytes, struct lodge_err *e) MUST; /* of the pool */
void units_fini(struct translate *t);
void units_clear(struct translate *t);
/* Children of forks have no units (@on): there units_wiped comes first. False: they have. */
bool units_wipe(struct translate *t, bool on) MUST;
void units_wiped(struct translate *t);
/* After units_clear: give the memory back. */
void units_trim(struct translate *t);
/* What leads to code by virtual addresses may be wrong from now on. */
void jumps_forget(struct translate *t);
/* The table of jumps is empty, and small; it gets larger, and is empty. */
void jumps_begin(struct translate *t);
void jumps_grow(struct translate *t);
static inline unsigned jumps_size(const struct translate *t)
{
	return (unsigned)(*t->jump_mask / sizeof(struct jit_jump)) + 1;
}
/* fence.i: drop the units whose code has changed. */
void units_verify(struct rv_hart *h);
void unit_link(struct translate *t, struct unit *from, const struct jit_exit_at *x,
               struct entry *to);

/* Put @to in the place of @from, which is of the same guest code: whatever leads to @from leads to
 * @to from now on. */
void unit_replace(struct translate *t, struct unit *from, struct unit *to);
/* Nothing leads to @u any more; who is in it by then leaves it by its exits. */
void unit_drop(struct translate *t, struct unit *u);
/* Drop the units that are right only while nobody else touches memory. */
void units_share(struct translate *t);
/* Is what @u was made from still there? */
bool unit_same(struct rv_hart *h, const struct unit *u);
/* Where units begin in the 4 * JIT_UNIT_INSNS bytes behind the start of @u, in its page: seeds of
 * range_scan. Returns whether there are any. */
bool units_seed(struct translate *t, const struct unit *u, bool *seeds);
/* The unit that @g has just made as @j of @n instructions of @r, not to be found yet; @pa2 as in
 * struct place. NULL: no room in the pool. */
struct unit *unit_new(struct translate *t, const struct jit_gen *g, const struct range *r,
                      unsigned n, unsigned reach, uint64_t pa2, const struct jit_unit *j);
bool unit_add(struct translate *t, struct unit *u);
/* Room for a unit of so many entries and bytes of guest code and of notes. NULL: none. */
struct unit *unit_room(struct translate *t, unsigned nentries, unsigned bytes,
                       unsigned notes_len);
/* Is it given up to optimize the unit at @pa? */
bool opt_is_never(struct translate *t, uint64_t pa);
/* What of the hart tells of vectors, now that it runs the range. */
void range_vectors(struct range *r, const struct rv_hart *h);
/* The code in r->code, @room bytes. @seeds: where indirect jumps of the range may lead, as
 * r->target; NULL: unknown, they end it. */
void range_scan(struct range *r, unsigned room, uint64_t pa, const bool *seeds);
/* Is there a look at the limit before instruction @n? Units may be entered there. */
bool range_checks(const struct range *r, unsigned n);
/* The first @n instructions of @r. Returns how many could be taken: less than @n when one of them
 * cannot be translated. @plan: only plan. */
unsigned range_generate(struct jit_gen *g, struct range *r, unsigned n, unsigned reach, bool plan);

/* ---- share.c: units that processes share ---- */
int share_new(struct rv_env *env, struct lodge_err *e) MUST;
void share_free(struct rv_env *env);
/* Others may have @u, which @g has just made and which is not linked yet, if it is of a file. */
void share_give(struct rv_hart *h, const struct jit_gen *g, const struct unit *u);
/* A unit of theirs for @p, put in here; @tier: an optimized one that begins there. NULL: there is
 * none, or no room. */
struct entry *share_take(struct rv_hart *h, const struct place *p, bool tier);
/* Before a fork. Will the child find what it needs? Not at the first one, nor without room. */
bool share_fork(const struct rv_env *env);
/* Would one be found at @pa, in one page? */
bool share_knows(struct rv_hart *h, uint64_t pa);

/* ---- opt.c: the optimizing tier ---- */
/* Generated code came back from a check in @u: it runs hot. */
void opt_sample(struct rv_hart *h, struct unit *u);
/* @u is optimized, but what it relies on did not hold. */
void opt_deopt(struct translate *t, struct unit *u);
/* Take over what has been made. To be called where no unit is held. */
void opt_take(struct rv_hart *h);
/* For tests: optimize @u here and now if that can be; as opt_take. */
void opt_now(struct rv_hart *h, struct unit *u);
void opt_free(struct translate *t);
/* Around a fork: its thread rests, and is not there in the child, where it is made again when it is
 * wanted. */
void opt_fork_begin(struct translate *t);
void opt_fork_end(struct translate *t, bool in_child);
void opt_forget(struct translate *t);   /* the same in the child of a fork: no thread is there */

/* ---- sample.c: accesses to memory, estimated ---- */
void sample_init(struct rv_hart *h);
/* @b is about to run. True: in a window, it is to be interpreted. */
bool sample_block(struct rv_hart *h, const struct block *b);
void sample_arm(struct rv_hart *h);
/* A window is due or open, or will be within one run of the interpreter. */
static inline bool sample_near(const struct rv_hart *h, const struct sample *s)
{
	enum { AHEAD = 1 << 20 }; /* more than rv_poll lets run */
	return s->on || h->icount + AHEAD >= s->next;
}
/* Generated code came back: no window begins before the interpreter's next run. */
static inline void sample_after(struct rv_hart *h, const struct sample *s)
{
	if (unlikely(!s->on && h->icount >= s->next))
		sample_arm(h);
}
void sample_stats(const struct translate *t, struct engine_stats *ret);

/* ---- dump.c ---- */
/* The instructions of a unit that was just made. */
struct unit_text {
	unsigned n;
	const struct rv_insn *insn;
	const uint64_t *pa;
};
/* Into the log of h->env; h->pc is the unit's virtual address. */
void unit_dump(struct rv_hart *h, const struct unit *u, const struct unit_text *t);

/* ---- call.c: the C side of generated code ---- */
extern const struct jit_guest translate_guest;
void translate_fp_in(struct rv_hart *h);
void translate_fp_out(struct rv_hart *h);
