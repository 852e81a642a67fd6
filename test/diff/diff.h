/* SPDX-License-Identifier: Apache-2.0 */
/* diff: engines in lockstep. A program is made from a seed, run on two engines, and all that it
 * leaves is compared; when something differs, the program is made small. */
#pragma once
#include "engine/engine.h"
#include "test/conform/values.h"
#include "test/diff/layout.h"

/* What a program may contain. */
enum program_kind {
	WITH_PAGING = 1, /* satp, page tables, both windows */
	WITH_INTERRUPTS = 2,
	WITH_HOT_LOOPS = 4,
	WITH_FP = 8,
	WITH_VECTORS = 16,
};

/* A piece of a program that stands or goes as one: taken out, it is nops. */
struct unit {
	uint32_t at, len; /* from RAM_AT */
	bool removable;
};

/* Parts of the address table. */
enum {
	UNITS_MAX = 8192,
	GOOD = 0,
	STACKS = 48,
	BAD = 64,
	TARGETS = 128,
	SLOTS = 144,
	SLOTS_CODE = 156, /* the last four are of FUNC: in space 0 for S, U, then in space 1 */
	VAS = 160,
	PTES = 176,
	PTES_CODE = 188, /* the first and the other FUNC for S, then for U */
	PATCHES = 192,
	FUNCS = 200,
	PATCHED = 224,
	SPACE = 248
};

struct program {
	uint64_t seed;
	unsigned kind;
	/* page tables */
	unsigned mode;    /* of satp; 0: bare */
	uint64_t window;  /* distance of the U window */
	uint64_t satp[2]; /* of the two address spaces */
	unsigned tables;  /* pages of TABLES in use */
	bool same_asid;
	/* where it starts */
	uint8_t priv;
	uint64_t pc, fuel, rounds;
	uint64_t mstatus, medeleg, mideleg, menvcfg, mcounteren;
	unsigned fs, vs;
	uint64_t x[32];
	struct unit unit[UNITS_MAX];
	unsigned units;
	uint8_t image[RAM_SIZE];
};

/* ---- pages.c ---- */
/* Page tables and the address table of gp, by p->mode; image and registers but the code. */
void pages_make(struct program *p, struct rng *r);
static inline void image_put(struct program *p, uint64_t at, uint64_t v)
{
	le64_put(p->image + (at - RAM_AT), v);
}
static inline uint64_t image_get(const struct program *p, uint64_t at)
{
	return le64_at(p->image + (at - RAM_AT));
}
/* Entry @i of the table, the same in both windows or, with @windowed, as each window sees it. */
void entry_put(struct program *p, unsigned i, uint64_t v, bool windowed);

/* ---- program.c ---- */
/* @fuel: how often it may go backward; 0: chosen. @only: instructions of this name make up most of
 * it; may be NULL. */
void program_make(struct program *p, uint64_t seed, uint64_t fuel, const char *only);

/* ---- rig.c ---- */
struct rig;
struct rig_how {           /* as in rv_env */
	unsigned opt_at, vlen;
	bool mirror;       /* user memory is mirrored where the engine can */
	bool narrow;
};
int rig_new(struct rig **ret, const struct engine *e, const struct rig_how *how,
	    struct lodge_err *err) MUST;
void rig_free(struct rig *r);
/* Run @p from its start. False: it did not end in time. @plant: NULL, or "mul=mulh": words of the
 * one instruction in the program become the other, as if the engine had it wrong. */
bool rig_run(struct rig *r, const struct program *p, const char *plant);
const struct rv_hart *rig_hart(const struct rig *r);
const uint8_t *rig_ram(const struct rig *r);
uint64_t rig_instructions(const struct rig *r); /* of the last run */
unsigned rig_device_uses(const struct rig *r);
uint64_t rig_optimized(const struct rig *r); /* units optimized since then */
uint64_t rig_mirrored(const struct rig *r); /* pages mirrored since rig_new */

/* ---- compare.c ---- */
bool rigs_equal(const struct rig *a, const struct rig *b);
void rigs_show(const struct program *p, const struct rig *a, const struct rig *b);

/* ---- shrink.c ---- */
struct pair {
	const struct engine *e[2];
	const char *plant; /* of the second */
	struct rig_how how;
};
/* Do fresh rigs of both engines differ after @p? 1 yes, 0 no, -1 no run. */
int pair_differs(const struct pair *q, const struct program *p, bool show);
/* Make @p small while they do. */
void program_shrink(const struct pair *q, struct program *p);
void program_show(const struct program *p);
