/* SPDX-License-Identifier: Apache-2.0 */
/* Random modules for tests: what both engines have to agree on. Six functions, each of which may
 * call those behind it, over a memory, a second one with 64-bit addresses, two tables, globals. */
#pragma once
#include "wasm/internal.h"

enum { FUNCS = 6, BODY_MAX = 1 << 14 };
enum { N_I32, N_I64, N_F32, N_F64, N_V128, TYPES };
/* enum wasm_type; function f has a result of [f % TYPES] */
extern const uint8_t random_types[TYPES];

struct maker {
	uint64_t seed;
	uint8_t at[BODY_MAX];
	uint32_t n;
	uint32_t func, budget, counters, depth; /* depth: blocks around */
	bool calm; /* without exceptions: all is compiled */
	/* What any engine does alike, with functions without parameters to be called: no bits of
	 * NaNs, no exceptions, one memory */
	bool plain;
};
struct bytes {
	uint8_t at[FUNCS * BODY_MAX];
	size_t n;
};

/* 0 to @n - 1, at most 2^31. */
uint32_t random_pick(struct maker *m, uint32_t n);
/* Arguments of each type; the v128 has two slots. */
void random_parameters(union wasm_slot a[6], struct maker *m);
void random_module(struct bytes *b, struct maker *m);
