/* SPDX-License-Identifier: Apache-2.0 */
/* Random modules: expressions of a wanted type, statements, and what contains them. */
#include "wasm/random_make_test.h"

void random_code(struct maker *m, const char *text, size_t n)
{
	for (size_t k = 0; k < n; k++)
		byte(m, (uint8_t)text[k]);
}

/* A call of another function with a result @t; false: there is none, and nothing. */
static bool call_of(struct maker *m, unsigned t, bool tail)
{
	uint32_t f = m->func + 1;
	while (f < FUNCS && f % TYPES != t)
		f++;
	if (f >= FUNCS || (m->counters && m->func < 3)) /* else it could take for ever */
		return false;
	for (unsigned k = 0; k < TYPES; k++)
		random_expression(m, k);
	if (pick(m, 2)) {
		byte(m, tail ? 0x12 : 0x10);
		uleb(m, f);
		return true;
	}
	byte(m, 0x41);
	sleb(m, pick(m, 100) ? f : m->func + 1 + pick(m, FUNCS + 2 - m->func));
	byte(m, tail ? 0x13 : 0x11);
	uleb(m, t);
	byte(m, 0);
	return true;
}

static void call(struct maker *m, unsigned t)
{
	if (!call_of(m, t, false))
		random_constant(m, t);
}

/* Two values into locals, upper first. */
static void pair_take(struct maker *m, unsigned below, unsigned above)
{
	byte(m, 0x21);
	uleb(m, random_local(m, above));
	byte(m, 0x21);
	uleb(m, random_local(m, below));
}

/* Two values for two others, by a call, or a block that has parameters. */
static void pair(struct maker *m)
{
	unsigned kind = pick(m, 4);
	random_expression(m, N_I64);
	random_expression(m, N_F64);
	if (kind < 2) {
		byte(m, 0x10);
		uleb(m, FUNC_SWAP + kind);
		pair_take(m, N_F64, N_I64);
		return;
	}
	byte(m, 0x02);
	byte(m, TYPE_SWAP);
	m->depth++;
	pair_take(m, N_I64, N_F64);
	random_statements(m);
	random_expression(m, N_F64);
	random_expression(m, N_I64);
	if (kind == 2) {
		random_expression(m, N_I32);
		byte(m, 0x0d);
		byte(m, 0);
	}
	byte(m, 0x0b);
	m->depth--;
	pair_take(m, N_F64, N_I64);
}

/* A value through a table of labels. */
static void table_value(struct maker *m, unsigned t)
{
	for (unsigned k = 0; k < 2; k++) {
		byte(m, 0x02);
		byte(m, types[t]);
	}
	m->depth += 2;
	random_expression(m, t);
	random_expression(m, N_I32);
	byte(m, 0x0e);
	uleb(m, 2);
	byte(m, pick(m, 2));
	byte(m, pick(m, 2));
	byte(m, pick(m, 2));
	byte(m, 0x0b);
	m->depth--;
	byte(m, 0x21);
	uleb(m, random_local(m, t));
	random_expression(m, t);
	byte(m, 0x0b);
	m->depth--;
}
static void block(struct maker *m, unsigned t)
{
	if (!m->calm && !pick(m, 3)) {
		random_try(m, t);
		return;
	}
	if (!pick(m, 5)) {
		table_value(m, t);
		return;
	}
	byte(m, 0x02);
	byte(m, types[t]);
	m->depth++;
	random_statements(m);
	random_expression(m, t);
	if (pick(m, 2)) {
		random_expression(m, N_I32);
		byte(m, 0x0d);
		byte(m, 0);
	}
	byte(m, 0x0b);
	m->depth--;
}

static void choice(struct maker *m, unsigned t)
{
	random_expression(m, N_I32);
	byte(m, 0x04);
	byte(m, types[t]);
	m->depth++;
	random_expression(m, t);
	byte(m, 0x05);
	random_statements(m);
	random_expression(m, t);
	byte(m, 0x0b);
	m->depth--;
}

void random_expression(struct maker *m, unsigned t)
{
	uint32_t what = m->budget ? pick(m, 24) : pick(m, 2);
	m->budget -= m->budget != 0;
	switch (what) {
	case 0: random_constant(m, t); break;
	case 1:
	case 2:
	case 3:
	case 4:
		byte(m, 0x20);
		uleb(m, random_local(m, t));
		break;
	case 5:
		random_expression(m, t);
		byte(m, 0x22);
		uleb(m, random_local(m, t));
		break;
	case 6:
		byte(m, 0x23);
		uleb(m, t);
		break;
	case 7:
	case 8: random_load(m, t); break;
	case 9:
		random_expression(m, t);
		random_expression(m, t);
		random_expression(m, N_I32);
		byte(m, pick(m, 2) ? 0x1b : 0x1c);
		if (m->at[m->n - 1] == 0x1c) {
			byte(m, 1);
			byte(m, types[t]);
		}
		break;
	case 10: block(m, t); break;
	case 11: choice(m, t); break;
	case 12: call(m, t); break;
	case 13:
		if (t == N_I32 && !pick(m, 2)) {
			random_whole_value(m);
			break;
		}
		fallthrough;
	default: random_operation(m, t);
	}
}

/* Rounds that are counted on the stack, the loop's parameter. */
static void loop_of_parameter(struct maker *m)
{
	uint32_t c = COUNTER + m->counters++;
	byte(m, 0x41);
	byte(m, 0);
	byte(m, 0x03);
	byte(m, TYPE_STEP);
	m->depth++;
	random_statements(m);
	byte(m, 0x41);
	byte(m, 1);
	byte(m, 0x6a);
	byte(m, 0x22);
	uleb(m, c);
	byte(m, 0x20);
	uleb(m, c);
	byte(m, 0x41);
	byte(m, 2 + pick(m, 6));
	byte(m, 0x48);
	byte(m, 0x0d);
	byte(m, 0);
	byte(m, 0x0b);
	m->depth--;
	m->counters--;
	byte(m, 0x21);
	uleb(m, random_local(m, N_I32));
}

static void loop(struct maker *m)
{
	uint32_t c = COUNTER + m->counters++;
	byte(m, 0x41);
	byte(m, 0);
	byte(m, 0x21);
	uleb(m, c);
	byte(m, 0x03);
	byte(m, 0x40);
	m->depth++;
	random_statements(m);
	byte(m, 0x20);
	uleb(m, c);
	byte(m, 0x41);
	byte(m, 1);
	byte(m, 0x6a);
	byte(m, 0x22);
	uleb(m, c);
	byte(m, 0x41);
	byte(m, 2 + pick(m, 6));
	byte(m, 0x48);
	byte(m, 0x0d);
	byte(m, 0);
	byte(m, 0x0b);
	m->depth--;
	m->counters--;
}

static void table(struct maker *m)
{
	uint32_t n = 1 + pick(m, 4);
	for (uint32_t k = 0; k <= n; k++) {
		byte(m, 0x02);
		byte(m, 0x40);
	}
	random_expression(m, N_I32);
	byte(m, 0x0e);
	uleb(m, n);
	for (uint32_t k = 0; k <= n; k++)
		uleb(m, pick(m, n + 1));
	m->depth += n + 1;
	for (uint32_t k = 0; k <= n; k++) {
		byte(m, 0x0b);
		m->depth--;
		if (m->budget)
			random_statements(m);
	}
}

/* Out of everything; then there may be code that nothing reaches. */
static void leave(struct maker *m)
{
	if (pick(m, 2) || !call_of(m, m->func % TYPES, true)) {
		random_expression(m, m->func % TYPES);
		byte(m, 0x0f);
	}
	if (!pick(m, 3))
		random_statements(m);
}

/* Variables in memory, as unoptimized code has them: near each other, at one of two addresses that
 * may be the same, and read soon after they were written. */
static void variables(struct maker *m)
{
	static const uint8_t loads[4] = {0x28, 0x29, 0x2a, 0x2b};
	static const uint8_t stores[6] = {0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b};
	uint32_t at[2] = {random_local(m, N_I32), random_local(m, N_I32)};
	for (unsigned k = 0; k < 2; k++) {
		random_address(m, 0);
		byte(m, 0x21);
		uleb(m, at[k]);
	}
	for (uint32_t n = 3 + pick(m, 8); n; n--) {
		unsigned t = pick(m, 4), narrow = t == N_I32 && !pick(m, 3) ? 4 + pick(m, 2) : t;
		bool reads = pick(m, 2);
		byte(m, 0x20);
		uleb(m, at[pick(m, 2)]);
		if (!reads) {
			byte(m, 0x20);
			uleb(m, random_local(m, t));
		}
		byte(m, reads ? loads[t] : stores[narrow]);
		byte(m, 0);
		uleb(m, 4 * pick(m, 4));
		if (reads) {
			byte(m, 0x21);
			uleb(m, random_local(m, t));
		}
		if (m->budget && !pick(m, 8))
			random_statements(m);
	}
}

static void statement(struct maker *m)
{
	unsigned t = pick(m, TYPES);
	switch (pick(m, 14)) {
	case 0:
	case 1:
	case 2:
		random_expression(m, t);
		byte(m, 0x21);
		uleb(m, random_local(m, t));
		break;
	case 3:
		random_expression(m, t);
		byte(m, 0x24);
		uleb(m, t);
		break;
	case 4:
	case 5: random_store(m); break;
	case 6:
		random_expression(m, t);
		byte(m, 0x1a);
		break;
	case 7:
		if (m->counters < COUNTERS && pick(m, 3))
			loop(m);
		else if (m->counters < COUNTERS)
			loop_of_parameter(m);
		break;
	case 8: table(m); break;
	case 9: pair(m); break;
	case 10: random_memory_whole(m); break;
	case 11: random_table_whole(m); break;
	case 12: variables(m); break;
	default:
		random_expression(m, N_I32);
		byte(m, 0x04);
		byte(m, 0x40);
		m->depth++;
		random_statements(m);
		if (!pick(m, 6)) { /* out of everything */
			leave(m);
		} else if (!pick(m, 100)) {
			byte(m, 0x00);
		} else if (!m->calm && !pick(m, 12)) {
			random_throw(m);
		}
		byte(m, 0x0b);
		m->depth--;
	}
}

void random_statements(struct maker *m)
{
	for (uint32_t n = pick(m, 4); n && m->budget; n--)
		statement(m);
}

void random_function(struct maker *m, uint32_t f)
{
	m->func = f;
	m->n = m->counters = m->depth = 0;
	m->budget = 20 + pick(m, 150);
	while (m->budget > 10)
		statement(m);
	random_expression(m, f % TYPES);
	byte(m, 0x0b);
}
