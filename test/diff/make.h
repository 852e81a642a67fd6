/* SPDX-License-Identifier: Apache-2.0 */
/* diff: a program being made; what program.c and units.c share. */
#pragma once
#include "test/diff/diff.h"

enum { SORTED_MAX = 1600, LABELS_MAX = 24, FRAME = 80, STACK_MAX = 96 << 10 };
struct sorted {
	const struct rv_pattern *p[SORTED_MAX];
	unsigned n;
};

struct making {
	struct program *p;
	struct rng rng;
	uint64_t at;    /* where the next word goes */
	uint64_t exit;  /* ends the program from any privilege */
	unsigned depth; /* of loops around here */
	unsigned loops; /* nested ones that may still be opened */
	bool in_function;
	struct sorted plain, fp, memory, atomic, vector;
	uint64_t func[LABELS_MAX]; /* functions made so far */
	unsigned funcs;
	uint64_t slot[LABELS_MAX]; /* instructions that patches replace */
	unsigned slots;
};

/* ---- program.c ---- */
unsigned reg_free(struct making *k);
bool reg_is_free(unsigned reg);
unsigned reg_any(struct making *k);
uint8_t *make_at(struct making *k, uint64_t at);
void put(struct making *k, uint32_t word);
void unit_end(struct making *k, uint64_t from, bool removable);
void put_li(struct making *k, unsigned rd, int32_t v);
void put_fuel(struct making *k);
void put_sum(struct making *k, unsigned reg);
void put_sum_all(struct making *k);
void patterns_sort(struct making *k, const char *only);
void put_one(struct making *k, const struct sorted *from);
void put_memory(struct making *k);
void put_atomic(struct making *k);

/* ---- vector.c ---- */
bool vector_is_usual(const struct rv_pattern *p);
void put_vector(struct making *k);

/* ---- system.c: units that are about more than registers and memory ---- */
void put_system(struct making *k);
void put_fault(struct making *k);
void put_patch(struct making *k);
/* Another privilege or address space; only where the whole program is at its outermost level. */
void put_switch(struct making *k);

/* ---- flow.c: units that jump, and what is made of units ---- */
void body_make(struct making *k, unsigned units);
