/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of random modules share: bytes, and makers of values, statements, and blocks. */
#pragma once
#include "test/test.h"
#include "wasm/random_test.h"

enum {
	LOCALS = 15, COUNTER = LOCALS, COUNTERS = 3,
	REFERENCE = COUNTER + COUNTERS, SCRATCH32, SCRATCH64,
	EXCEPTION /* not of plain modules */
};
/* types behind those of the functions; the last two are not of plain modules */
enum { TYPE_TAG = TYPES, TYPE_SWAP, TYPE_STEP, TYPE_PLAIN, TYPE_CAUGHT, TYPE_CAUGHT_REF };
/* functions behind the random ones: (i64 f64) -> (f64 i64), the same by a tail call; then, of
 * plain modules, those without parameters */
enum { FUNC_SWAP = FUNCS, FUNC_SWAP_TAIL, FUNC_PLAIN };
enum { SEGMENT = 24 }; /* bytes of the passive data */
#define types random_types
#define pick random_pick
#define byte random_byte
#define uleb random_uleb
#define sleb random_sleb

void random_byte(struct maker *m, unsigned v);
void random_uleb(struct maker *m, uint64_t v);
void random_sleb(struct maker *m, int64_t v);
/* ---- random_value_test.c ---- */
uint64_t random_number(struct maker *m);
uint64_t random_float(struct maker *m, bool wide);
void random_constant(struct maker *m, unsigned t);
/* A local of type @t: 0..4 are parameters, one of each; then two more of each. */
uint32_t random_local(struct maker *m, unsigned t);
void random_load(struct maker *m, unsigned t);
void random_store(struct maker *m);
void random_operation(struct maker *m, unsigned t);
/* An address of memory @i, and a number that is small, nearly always. */
void random_address(struct maker *m, unsigned i);
void random_small(struct maker *m, unsigned t, unsigned mask);
/* ---- random_whole_test.c: of tables and memories as a whole ---- */
void random_reference(struct maker *m);
void random_whole_value(struct maker *m); /* an i32 */
void random_memory_whole(struct maker *m);
void random_table_whole(struct maker *m);
/* ---- random_try_test.c ---- */
void random_throw(struct maker *m);
void random_try(struct maker *m, unsigned t); /* a value, whatever is thrown within */
/* ---- random_test.c ---- */
void random_expression(struct maker *m, unsigned t);
void random_statements(struct maker *m);
void random_function(struct maker *m, uint32_t f); /* what function @f does */
/* Bytes that are code. */
#define CODE(m, text) random_code(m, text, sizeof text - 1)
void random_code(struct maker *m, const char *text, size_t n);
