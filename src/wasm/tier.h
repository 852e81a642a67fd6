/* SPDX-License-Identifier: Apache-2.0 */
/* tier: what tier.c, tier_file.c and compiler.c share. */
#pragma once
#include "jit/jit.h"
#include "wasm/internal.h"

struct unit { /* one compiled function */
	struct func *f;
	struct jit_fn_code code;
	struct wcatch *catches; /* owned; a pad of each that is no delegate is in the code */
	uint32_t ncatches;
	uint32_t nhelps; /* of the tier, with its own */
};
enum tier_state { TIER_NONE, TIER_ASKED, TIER_MADE, TIER_NEVER };
/* Who compiles is the thread that runs, or from its first request on another one (compiler.c): that
 * one then has gen, fn, helps, and what is behind the last unit in the cache; it adds units, and
 * changes states, while the first one reads them. */
struct tier {
	struct wasm *w;
	struct jit_cache *cache;
	struct jit_gen *gen;
	struct jit_fn *fn;
	struct unit *units; /* by address; there is room for all, so they stay where they are */
	uint32_t n;         /* atomic */
	uint8_t *states;    /* atomic: enum tier_state of each function */
	struct helps helps;
	uint32_t from_file; /* so many units, the first ones, were not compiled here */
	uint32_t heat;
	bool failed; /* atomic: there will be no code any more */
	bool background; /* as wasm_limits has it */
	uint32_t at_once; /* so many instructions are compiled before there is another thread */
	struct compiler *compiler; /* owned; NULL: there is none */
	uint8_t *stack;
};
/* Room for generated code, and the stack that it runs on. False: there is none. */
bool tier_begin(struct tier *t);
void tier_helps_moved(struct tier *t); /* code is told where they are */
const struct help_insn *tier_helps(const struct tier *t); /* as code was told */
static inline uint32_t tier_units(const struct tier *t)
{
	return __atomic_load_n(&t->n, __ATOMIC_ACQUIRE);
}
static inline enum tier_state tier_state(const struct tier *t, const struct func *f)
{
	return t->states ? (enum tier_state)__atomic_load_n(&t->states[f - t->w->funcs],
							    __ATOMIC_ACQUIRE)
			 : TIER_NONE;
}
void tier_state_set(struct tier *t, const struct func *f, enum tier_state s);
/* From now on calls of u->f by compiled code get there. False: it has code. */
bool tier_unit_add(struct tier *t, const struct unit *u);
void tier_unit_fini(struct unit *u);
/* Compile @f, in the thread that compiles; its state becomes TIER_MADE or TIER_NEVER. */
void tier_compile(struct tier *t, struct func *f);

/* ---- compiler.c ---- */
enum ask { ASK_TAKEN, ASK_LATER, ASK_NOBODY };
/* Have @f compiled by the second thread, which is made when it is worth it. @f and its code for the
 * interpreter stay until it is compiled. ASK_LATER: too many wait, or it has no such code;
 * ASK_NOBODY: there is no such thread, or none yet. */
enum ask compiler_ask(struct tier *t, struct func *f);
/* It compiles no more. */
void compiler_free(struct tier *t);
