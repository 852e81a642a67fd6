/* SPDX-License-Identifier: Apache-2.0 */
/* tier: what tier.c and tier_file.c share. */
#pragma once
#include "jit/jit.h"
#include "wasm/internal.h"

struct unit { /* one compiled function */
	struct func *f;
	struct jit_fn_code code;
	struct wcatch *catches; /* owned; a pad of each that is no delegate is in the code */
	uint32_t ncatches;
};
struct tier {
	struct wasm *w;
	struct jit_cache *cache;
	struct jit_gen *gen;
	struct jit_fn *fn;
	struct unit *units; /* by address */
	uint32_t n, cap;
	struct helps helps;
	uint32_t from_file; /* so many units, the first ones, were not compiled here */
	uint32_t heat;
	bool failed; /* there will be no code any more */
	uint8_t *stack;
};
/* Room for generated code, and the stack that it runs on. False: there is none. */
bool tier_begin(struct tier *t);
void tier_helps_moved(struct tier *t); /* code is told where they are */
bool tier_unit_add(struct tier *t, const struct unit *u);
void tier_unit_fini(struct unit *u);
