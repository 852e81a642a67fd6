/* SPDX-License-Identifier: Apache-2.0 */
/* Exception tables of C++ as the dispatcher in cxx.c sees them, whichever of their two forms they
 * have: cxx_tables.c reads both. Tables that are damaged end the program; what is read is inside of
 * the image. */
#pragma once
#include "win/unwind.h"

enum { CXX_MAGIC = 0x19930520, STATE_BY_PC = -2 };

/* Of a function, or in the compressed form of one of its catches, too. */
struct cxx_tables {
	const struct dispatch *d;
	const struct module *m; /* NULL: code that the guest made */
	bool compressed, is_catch, no_except;
	uint32_t undo_rva, tries_rva, places_rva; /* compressed: 0: there are none */
	uint32_t nundo, ntries, nplaces;          /* not compressed */
	int32_t state_at;  /* not compressed: of the frame: which state it is in, or STATE_BY_PC */
	uint32_t frame_at; /* compressed, of a catch: of its frame: the frame that it works on */
	uint32_t begin;    /* compressed: what places are counted from */
};
/* What is left to read of a list. */
struct cxx_cursor {
	uint32_t rva, left;
};
enum cxx_undo_kind { UNDO_NOTHING, UNDO_OBJECT, UNDO_POINTER, UNDO_FUNCLET };
struct cxx_undo {
	int32_t to; /* the state it leads to, a lower one */
	enum cxx_undo_kind kind;
	uint32_t fn, object_at;
};
struct cxx_try {
	int32_t low, high, catch_high;
	struct cxx_cursor catches;
};
enum { CXX_ONWARD_MAX = 2 };
struct cxx_catch {
	uint32_t adjectives, type_rva, object_at, fn;
	uint32_t frame_at; /* not compressed: as in cxx_tables */
	unsigned nonward;  /* 0: the funclet returns where to go on; else which of these, if many */
	uint32_t onward[CXX_ONWARD_MAX];
};

void cxx_tables_plain(struct cxx_tables *ret, const struct dispatch *d);
void cxx_tables_compressed(struct cxx_tables *ret, const struct dispatch *d);
/* The state that the function is in where the dispatcher is; -1: none. */
int32_t cxx_state_of_pc(const struct cxx_tables *t);
/* What leaves @state. False: the state is none of the function's. */
bool cxx_undo_at(const struct cxx_tables *t, int32_t state, struct cxx_undo *ret) MUST;
struct cxx_cursor cxx_tries(const struct cxx_tables *t);
/* The next one of a list; false at its end. */
bool cxx_try_next(const struct cxx_tables *t, struct cxx_cursor *at, struct cxx_try *ret) MUST;
bool cxx_catch_next(const struct cxx_tables *t, struct cxx_cursor *at, struct cxx_catch *ret) MUST;
const char *cxx_text(const struct cxx_tables *t, uint32_t rva);
_Noreturn void cxx_damaged(const char *what);
