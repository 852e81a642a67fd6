/* SPDX-License-Identifier: Apache-2.0 */
/* Random code that throws and catches, in every way that there is; the one tag is (i32 v128). */
#include "wasm/random_make_test.h"

enum { VOID = 0x40 };
enum clause { CLAUSE_TAG, CLAUSE_TAG_REF, CLAUSE_ALL, CLAUSE_ALL_REF, CLAUSES };

void random_throw(struct maker *m)
{
	if (!pick(m, 3)) { /* what was caught last, if anything was */
		byte(m, 0x20);
		uleb(m, EXCEPTION);
		byte(m, 0x0a);
		return;
	}
	random_expression(m, N_I32);
	random_expression(m, N_V128);
	CODE(m, "\x08\0");
}

/* What may throw, in @n blocks. */
static void inside(struct maker *m, unsigned n)
{
	m->depth += n;
	random_statements(m);
	if (!pick(m, 3))
		random_throw(m);
	m->depth -= n;
}

static void values_take(struct maker *m)
{
	byte(m, 0x21);
	uleb(m, random_local(m, N_V128));
	byte(m, 0x21);
	uleb(m, random_local(m, N_I32));
}

static void exception_take(struct maker *m)
{
	byte(m, 0x21);
	uleb(m, EXCEPTION);
}

/* A block whose results are what the clause gives, or others if nothing was thrown; they go to
 * locals. */
static void by_clause(struct maker *m, unsigned t)
{
	static const uint8_t results[CLAUSES] = {TYPE_CAUGHT, TYPE_CAUGHT_REF, VOID, WASM_EXNREF};
	enum clause c = pick(m, CLAUSES);
	bool refers = c == CLAUSE_TAG_REF || c == CLAUSE_ALL_REF;
	byte(m, 0x02);
	byte(m, results[c]);
	byte(m, 0x1f);
	byte(m, VOID);
	uleb(m, 1);
	byte(m, c);
	if (c <= CLAUSE_TAG_REF)
		uleb(m, 0);
	uleb(m, 0);
	inside(m, 2);
	byte(m, 0x0b);
	m->depth++;
	if (c <= CLAUSE_TAG_REF) {
		random_expression(m, N_I32);
		random_expression(m, N_V128);
	}
	m->depth--;
	if (refers)
		CODE(m, "\xd0\x69");
	byte(m, 0x0b);
	if (refers)
		exception_take(m);
	if (c <= CLAUSE_TAG_REF)
		values_take(m);
	random_expression(m, t);
}

/* Sometimes it is thrown again. */
static void again(struct maker *m)
{
	if (pick(m, 3))
		return;
	random_expression(m, N_I32);
	CODE(m, "\x04\x40\x09\1\x0b");
}

/* try, with catch, catch_all or both. */
static void by_catch(struct maker *m, unsigned t)
{
	bool all = pick(m, 2);
	byte(m, 0x06);
	byte(m, types[t]);
	inside(m, 1);
	m->depth++;
	random_expression(m, t);
	if (!all || pick(m, 2)) {
		CODE(m, "\x07\0");
		values_take(m);
		again(m);
		random_expression(m, t);
	}
	if (all) {
		byte(m, 0x19);
		random_statements(m);
		again(m);
		random_expression(m, t);
	}
	byte(m, 0x0b);
	m->depth--;
}

/* Whoever is around may have it. */
static void by_delegate(struct maker *m, unsigned t)
{
	byte(m, 0x06);
	byte(m, types[t]);
	inside(m, 1);
	m->depth++;
	random_expression(m, t);
	m->depth--;
	byte(m, 0x18);
	uleb(m, pick(m, m->depth + 1));
}

void random_try(struct maker *m, unsigned t)
{
	switch (pick(m, 5)) {
	case 0:
	case 1: by_clause(m, t); break;
	case 2:
	case 3: by_catch(m, t); break;
	default: by_delegate(m, t);
	}
}
