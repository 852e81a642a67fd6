/* SPDX-License-Identifier: Apache-2.0 */
/* Random modules: expressions of a wanted type, statements, and around them the sections. */
#include "wasm/random_test.h"
#include "test/test.h"

enum {
	LOCALS = 15, COUNTER = LOCALS, COUNTERS = 3,
	REFERENCE = COUNTER + COUNTERS, SCRATCH32, SCRATCH64
};
/* types behind those of the functions */
enum { TYPE_TAG = TYPES, TYPE_SWAP, TYPE_STEP, TYPE_PLAIN };
/* functions behind the random ones: (i64 f64) -> (f64 i64), the same by a tail call; then, of
 * plain modules, those without parameters */
enum { FUNC_SWAP = FUNCS, FUNC_SWAP_TAIL, FUNC_PLAIN };
enum { SEGMENT = 24 }; /* bytes of the passive data */
const uint8_t random_types[TYPES] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_V128};
#define types random_types
#define pick random_pick

struct op {
	uint16_t code;
	uint8_t in, out, arity;
	bool traps;
};
#define T_i32 N_I32
#define T_i64 N_I64
#define T_f32 N_F32
#define T_f64 N_F64
static const struct op ops[] = {
#define INT(c, name, t, value) {c, T_##t, T_##t, 2, false},
#define CMP(c, name, t, value) {c, T_##t, N_I32, 2, false},
#define FLT(c, name, t, value) {c, T_##t, T_##t, 2, false},
#define FCMP(c, name, t, value) {c, T_##t, N_I32, 2, false},
#define DIVIDE(c, name, t, trap, value) {c, T_##t, T_##t, 2, true},
#define UNARY(c, name, from, to, value) {c, T_##from, T_##to, 1, false},
#define CHECKED(c, name, from, to, trap, value) {c, T_##from, T_##to, 1, true},
#include "wasm/num.def"
};

uint32_t random_pick(struct maker *m, uint32_t n)
{
	m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->seed >> 33) % n;
}
static void byte(struct maker *m, unsigned v)
{
	if (m->n < BODY_MAX)
		m->at[m->n++] = (uint8_t)v;
}
static void uleb(struct maker *m, uint64_t v)
{
	for (; v > 127; v >>= 7)
		byte(m, (v & 127) | 128);
	byte(m, (unsigned)v);
}
static void sleb(struct maker *m, int64_t v)
{
	for (; v < -64 || v > 63; v >>= 7)
		byte(m, (v & 127) | 128);
	byte(m, v & 127);
}

static uint64_t number(struct maker *m)
{
	static const uint64_t all[] = {0, 1, 2, 31, 64, 255, 0x7fffffff, 0x80000000, 0xffffffff,
				       1ull << 63, UINT64_MAX, 0x7fffffffffffffff, 1ull << 32};
	uint64_t r = (uint64_t)pick(m, 1u << 30) << 34 ^ pick(m, 1u << 30);
	return pick(m, 2) ? all[pick(m, countof(all))] : pick(m, 2) ? r : r >> pick(m, 60);
}

static uint64_t float_bits(struct maker *m, bool wide)
{
	static const double all[] = {0, -0.0, 1, -1.5, 1e10, 0.3, -2147483648.0, 4e9, 1e300, 2.5};
	double d = all[pick(m, countof(all))];
	float f = (float)d;
	uint64_t v = 0;
	switch (pick(m, 5)) {
	case 0: return number(m);
	case 1: return wide ? 0x7ff8000000000000 | pick(m, 1000) : 0x7fc00000 | pick(m, 1000);
	case 2: return wide ? 0xfff4000000000000 | pick(m, 9) : 0xffa00000 | pick(m, 9);
	default: memcpy(&v, wide ? (void *)&d : (void *)&f, wide ? 8 : 4);
	}
	return v;
}

static void constant(struct maker *m, unsigned t)
{
	static const uint8_t codes[] = {0x41, 0x42, 0x43, 0x44, 0xfd};
	uint64_t v;
	byte(m, codes[t]);
	switch (t) {
	case N_V128:
		byte(m, 0x0c);
		for (unsigned half = 0, one = pick(m, 4); half < 2; half++) {
			v = one == 1 ? float_bits(m, true)
			    : one	? float_bits(m, false) << 32 | float_bits(m, false)
					: number(m);
			for (unsigned k = 0; k < 8; k++)
				byte(m, v >> 8 * k & 255);
		}
		break;
	case N_I32: sleb(m, (int32_t)number(m)); break;
	case N_I64: sleb(m, (int64_t)number(m)); break;
	default:
		v = float_bits(m, t == N_F64);
		for (unsigned k = 0; k < (t == N_F64 ? 8 : 4); k++)
			byte(m, v >> 8 * k & 255);
	}
}

static void expression(struct maker *m, unsigned t);
static void statements(struct maker *m);

/* A local of type @t: 0..4 are parameters, one of each; then two more of each. */
static uint32_t local_of(struct maker *m, unsigned t) { return t + TYPES * pick(m, 3); }

static void lane(struct maker *m, uint32_t lanes)
{
	if (lanes)
		byte(m, pick(m, lanes));
}

/* An address of memory @i, and how many bytes from there or something else that is small. */
static void address_of(struct maker *m, unsigned i)
{
	expression(m, i ? N_I64 : N_I32);
	if (pick(m, 150)) { /* else anywhere */
		byte(m, i ? 0x42 : 0x41);
		sleb(m, 0xfff8);
		byte(m, i ? 0x83 : 0x71);
	}
}
static void small(struct maker *m, unsigned t, unsigned mask)
{
	expression(m, t);
	byte(m, t == N_I64 ? 0x42 : 0x41);
	sleb(m, pick(m, 150) ? (int64_t)mask : -1);
	byte(m, t == N_I64 ? 0x83 : 0x71);
}
static unsigned address(struct maker *m)
{
	unsigned i = !m->plain && !pick(m, 6);
	address_of(m, i);
	if (i || pick(m, 3))
		return i;
	expression(m, N_I32); /* an element of an array that begins there */
	byte(m, 0x41);
	sleb(m, 0x3ff);
	byte(m, 0x71);
	if (pick(m, 4)) {
		byte(m, 0x41);
		sleb(m, pick(m, 5));
		byte(m, 0x74);
	}
	byte(m, 0x6a);
	return i;
}

static void memarg(struct maker *m, unsigned i)
{
	uleb(m, i ? 0x40 : 0);
	if (i)
		byte(m, i);
	uleb(m, pick(m, 100) ? pick(m, 2) * pick(m, 8) : pick(m, 2) ? 0xfffffff0 : pick(m, 70000));
}

static void vector_load(struct maker *m)
{
	uint32_t what = pick(m, 17), i = address(m);
	if (what > 12) /* of a lane */
		expression(m, N_V128);
	byte(m, 0xfd);
	uleb(m, what < 11 ? what : what < 13 ? 0x5c + what - 11 : 0x54 + what - 13);
	memarg(m, i);
	lane(m, what > 12 ? 16u >> (what - 13) : 0);
}

static void vector_store(struct maker *m)
{
	uint32_t what = pick(m, 8), i = address(m);
	expression(m, N_V128);
	byte(m, 0xfd);
	uleb(m, what < 4 ? 0x0b : 0x58 + what - 4);
	memarg(m, i);
	lane(m, what < 4 ? 0 : 16u >> (what - 4));
}

static void load(struct maker *m, unsigned t)
{
	if (t == N_V128) {
		vector_load(m);
		return;
	}
	static const uint8_t first[4] = {0x2c, 0x30, 0x2a, 0x2b}, n[4] = {4, 6, 1, 1};
	unsigned i = address(m);
	byte(m, t < 2 && !pick(m, 3) ? 0x28 + t : first[t] + pick(m, n[t]));
	memarg(m, i);
}

static void store(struct maker *m)
{
	unsigned t = pick(m, TYPES);
	if (t == N_V128) {
		vector_store(m);
		return;
	}
	static const uint8_t first[4] = {0x3a, 0x3c, 0x38, 0x39}, n[4] = {2, 3, 1, 1};
	unsigned i = address(m);
	expression(m, t);
	byte(m, t < 2 && pick(m, 2) ? 0x36 + t : first[t] + pick(m, n[t]));
	memarg(m, i);
}

static unsigned number_of(uint8_t type)
{
	unsigned n = 0;
	while (types[n] != type)
		n++;
	return n;
}

/* Lanes as a compiler would choose them, or any. */
static void shuffle(struct maker *m)
{
	uint32_t kind = pick(m, 4), wide = 1u << pick(m, 4), from = pick(m, 32);
	for (uint32_t k = 0; k < 16; k++) {
		uint32_t n = k / wide;
		byte(m, kind == 0   ? pick(m, 32)
			: kind == 1 ? (from + k) % 32
			: kind == 2 ? n / 2 * wide + k % wide + (n & 1) * 16 + (from & 8)
				    : (from >> 2 * (k / 4) & 3) * 4 + k % 4);
	}
}

/* Does what comes of it have bits of NaNs that another engine may choose otherwise? */
static bool vector_is_loose(uint32_t code)
{
	return code >= 0x100 || (code >= 0x67 && code <= 0x6a) || code == 0x74 || code == 0x75 ||
	       code == 0x7a || code == 0x94 || code == 0x5e || code == 0x5f ||
	       (code >= 0xe3 && code <= 0xe9) || (code >= 0xef && code <= 0xf5);
}

static void vector_operation(struct maker *m, unsigned t)
{
	uint32_t code;
	int vop;
	do {
		code = pick(m, 0x114);
		vop = simd_find(code);
	} while (vop < 0 || simd_ops[vop].out != types[t] || code < 0x0d || code == 0x5c ||
		 code == 0x5d || (m->plain && vector_is_loose(code)));
	for (unsigned k = 0; k < 3 && simd_ops[vop].in[k] && !(code == 0x0d && k == 2); k++)
		expression(m, number_of(simd_ops[vop].in[k]));
	byte(m, 0xfd);
	uleb(m, code);
	lane(m, simd_ops[vop].lanes);
	if (code == 0x0d)
		shuffle(m);
}

/* A read-modify-write or a load whose result is of type @t. */
static void atomic(struct maker *m, unsigned t)
{
	struct atomic_shape s;
	uint32_t code;
	do
		code = 0x10 + pick(m, 0x3f);
	while (!atomic_shape(code, &s) || s.out != types[t]);
	address_of(m, 0);
	if (pick(m, 150)) { /* else rarely aligned */
		byte(m, 0x41);
		sleb(m, -8);
		byte(m, 0x71);
	}
	for (unsigned k = 0; k < s.n; k++)
		expression(m, t);
	byte(m, 0xfe);
	uleb(m, code);
	byte(m, (unsigned)__builtin_ctz(s.bytes));
	uleb(m, 8 * pick(m, 3));
}

/* The NaN that there is, if it is one, is another. */
static void nan_settle(struct maker *m, unsigned t)
{
	bool wide = t == N_F64;
	uint64_t v = wide ? 0x7ff8000000000000 : 0x7fc00000;
	byte(m, 0x22);
	uleb(m, wide ? SCRATCH64 : SCRATCH32);
	byte(m, wide ? 0x44 : 0x43);
	for (unsigned k = 0; k < (wide ? 8 : 4); k++)
		byte(m, v >> 8 * k & 255);
	for (unsigned k = 0; k < 2; k++) {
		byte(m, 0x20);
		uleb(m, wide ? SCRATCH64 : SCRATCH32);
	}
	byte(m, wide ? 0x61 : 0x5b);
	byte(m, 0x1b);
}

static void operation(struct maker *m, unsigned t)
{
	const struct op *o;
	if (t < N_F32 && !pick(m, 10)) {
		atomic(m, t);
		return;
	}
	if (t == N_V128 || !pick(m, 8)) {
		vector_operation(m, t);
		return;
	}
	do
		o = &ops[pick(m, countof(ops))];
	while (o->out != t || (o->traps && pick(m, 4)));
	for (unsigned k = 0; k < o->arity; k++)
		expression(m, o->in);
	if (o->code > 0xff)
		byte(m, 0xfc);
	byte(m, o->code & 255);
	if (m->plain && (t == N_F32 || t == N_F64))
		nan_settle(m, t);
}

/* ---- tables and memories as a whole ---- */

static void reference(struct maker *m)
{
	switch (pick(m, 4)) {
	case 0:
		byte(m, 0xd0);
		byte(m, WASM_FUNCREF);
		break;
	case 1:
		byte(m, 0xd2);
		uleb(m, pick(m, FUNCS));
		break;
	case 2:
		byte(m, 0x20);
		uleb(m, REFERENCE);
		break;
	default:
		small(m, N_I32, 3);
		byte(m, 0x25);
		byte(m, pick(m, 2));
	}
}

/* What asks or changes a table or a memory, and has a result i32. */
static void whole_value(struct maker *m)
{
	switch (pick(m, 5)) {
	case 0:
		byte(m, 0x3f);
		byte(m, 0);
		break;
	case 1:
		small(m, N_I32, 1);
		byte(m, 0x40);
		byte(m, 0);
		break;
	case 2:
		reference(m);
		byte(m, 0xd1);
		break;
	case 3:
		byte(m, 0xfc);
		byte(m, 0x10);
		byte(m, pick(m, 2));
		break;
	default:
		reference(m);
		small(m, N_I32, 1);
		byte(m, 0xfc);
		byte(m, 0x0f);
		byte(m, pick(m, 2));
	}
}

static void fc(struct maker *m, unsigned op, unsigned i, int j)
{
	byte(m, 0xfc);
	byte(m, op);
	byte(m, i);
	if (j >= 0)
		byte(m, (unsigned)j);
}

static void memory_whole(struct maker *m)
{
	unsigned i = !m->plain && pick(m, 2), j = !m->plain && pick(m, 2);
	address_of(m, i);
	switch (pick(m, 5)) {
	case 0:
	case 1:
		expression(m, N_I32);
		small(m, i ? N_I64 : N_I32, 0xff);
		fc(m, 0x0b, i, -1);
		break;
	case 2:
	case 3:
		address_of(m, j);
		small(m, i && j ? N_I64 : N_I32, 0xff);
		fc(m, 0x0a, i, (int)j);
		break;
	default:
		small(m, N_I32, SEGMENT / 2);
		small(m, N_I32, 7);
		fc(m, 0x08, 0, (int)i);
	}
	if (!pick(m, 400))
		fc(m, 0x09, 0, -1);
}

static void table_whole(struct maker *m)
{
	small(m, N_I32, 3);
	switch (pick(m, 4)) {
	case 0:
		reference(m);
		byte(m, 0x26);
		byte(m, 1);
		break;
	case 1:
		reference(m);
		small(m, N_I32, 1);
		fc(m, 0x11, 1, -1);
		break;
	case 2:
		small(m, N_I32, 3);
		small(m, N_I32, 1);
		fc(m, 0x0e, 1, (int)pick(m, 2));
		break;
	default:
		small(m, N_I32, 1);
		small(m, N_I32, 1);
		fc(m, 0x0c, 1, 1);
	}
	if (!pick(m, 400))
		fc(m, 0x0d, 1, -1);
	if (!pick(m, 3)) {
		reference(m);
		byte(m, 0x21);
		uleb(m, REFERENCE);
	}
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
		expression(m, k);
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
		constant(m, t);
}

/* Two values into locals, upper first. */
static void pair_take(struct maker *m, unsigned below, unsigned above)
{
	byte(m, 0x21);
	uleb(m, local_of(m, above));
	byte(m, 0x21);
	uleb(m, local_of(m, below));
}

/* Two values for two others, by a call, or a block that has parameters. */
static void pair(struct maker *m)
{
	unsigned kind = pick(m, 4);
	expression(m, N_I64);
	expression(m, N_F64);
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
	statements(m);
	expression(m, N_F64);
	expression(m, N_I64);
	if (kind == 2) {
		expression(m, N_I32);
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
	expression(m, t);
	expression(m, N_I32);
	byte(m, 0x0e);
	uleb(m, 2);
	byte(m, pick(m, 2));
	byte(m, pick(m, 2));
	byte(m, pick(m, 2));
	byte(m, 0x0b);
	m->depth--;
	byte(m, 0x21);
	uleb(m, local_of(m, t));
	expression(m, t);
	byte(m, 0x0b);
	m->depth--;
}

static void throw(struct maker *m)
{
	expression(m, N_I32);
	expression(m, N_V128);
	byte(m, 0x08);
	byte(m, 0);
}

/* What is thrown within is caught: by a clause, or as it was done before. */
static void attempt(struct maker *m, unsigned t)
{
	bool clause = pick(m, 2), all = pick(m, 2);
	if (clause) {
		byte(m, 0x02);
		byte(m, 0x40);
	}
	byte(m, clause ? 0x1f : 0x06);
	byte(m, clause ? 0x40 : types[t]);
	if (clause) {
		byte(m, 1);
		byte(m, 2);
		byte(m, 0);
	}
	m->depth += 1u + clause;
	statements(m);
	if (!pick(m, 4))
		throw(m);
	else if (!clause)
		expression(m, t);
	if (!clause && (!all || pick(m, 2))) {
		byte(m, 0x07);
		byte(m, 0);
		byte(m, 0x21);
		uleb(m, local_of(m, N_V128));
		byte(m, 0x21);
		uleb(m, local_of(m, N_I32));
		expression(m, t);
	}
	if (!clause && all) {
		byte(m, 0x19);
		statements(m);
		expression(m, t);
	}
	byte(m, 0x0b);
	if (clause)
		byte(m, 0x0b);
	m->depth -= 1u + clause;
	if (clause)
		expression(m, t);
}

static void block(struct maker *m, unsigned t)
{
	if (!m->calm && m->func % 2 && pick(m, 2)) { /* others stay to be compiled */
		attempt(m, t);
		return;
	}
	if (!pick(m, 5)) {
		table_value(m, t);
		return;
	}
	byte(m, 0x02);
	byte(m, types[t]);
	m->depth++;
	statements(m);
	expression(m, t);
	if (pick(m, 2)) {
		expression(m, N_I32);
		byte(m, 0x0d);
		byte(m, 0);
	}
	byte(m, 0x0b);
	m->depth--;
}

static void choice(struct maker *m, unsigned t)
{
	expression(m, N_I32);
	byte(m, 0x04);
	byte(m, types[t]);
	m->depth++;
	expression(m, t);
	byte(m, 0x05);
	statements(m);
	expression(m, t);
	byte(m, 0x0b);
	m->depth--;
}

static void expression(struct maker *m, unsigned t)
{
	uint32_t what = m->budget ? pick(m, 24) : pick(m, 2);
	m->budget -= m->budget != 0;
	switch (what) {
	case 0: constant(m, t); break;
	case 1:
	case 2:
	case 3:
	case 4:
		byte(m, 0x20);
		uleb(m, local_of(m, t));
		break;
	case 5:
		expression(m, t);
		byte(m, 0x22);
		uleb(m, local_of(m, t));
		break;
	case 6:
		byte(m, 0x23);
		uleb(m, t);
		break;
	case 7:
	case 8: load(m, t); break;
	case 9:
		expression(m, t);
		expression(m, t);
		expression(m, N_I32);
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
			whole_value(m);
			break;
		}
		fallthrough;
	default: operation(m, t);
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
	statements(m);
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
	uleb(m, local_of(m, N_I32));
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
	statements(m);
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
	expression(m, N_I32);
	byte(m, 0x0e);
	uleb(m, n);
	for (uint32_t k = 0; k <= n; k++)
		uleb(m, pick(m, n + 1));
	m->depth += n + 1;
	for (uint32_t k = 0; k <= n; k++) {
		byte(m, 0x0b);
		m->depth--;
		if (m->budget)
			statements(m);
	}
}

/* Out of everything; then there may be code that nothing reaches. */
static void leave(struct maker *m)
{
	if (pick(m, 2) || !call_of(m, m->func % TYPES, true)) {
		expression(m, m->func % TYPES);
		byte(m, 0x0f);
	}
	if (!pick(m, 3))
		statements(m);
}

static void statement(struct maker *m)
{
	unsigned t = pick(m, TYPES);
	switch (pick(m, 13)) {
	case 0:
	case 1:
	case 2:
		expression(m, t);
		byte(m, 0x21);
		uleb(m, local_of(m, t));
		break;
	case 3:
		expression(m, t);
		byte(m, 0x24);
		uleb(m, t);
		break;
	case 4:
	case 5: store(m); break;
	case 6:
		expression(m, t);
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
	case 10: memory_whole(m); break;
	case 11: table_whole(m); break;
	default:
		expression(m, N_I32);
		byte(m, 0x04);
		byte(m, 0x40);
		m->depth++;
		statements(m);
		if (!pick(m, 6)) { /* out of everything */
			leave(m);
		} else if (!pick(m, 100)) {
			byte(m, 0x00);
		} else if (!m->calm && !pick(m, 12)) {
			throw(m);
		}
		byte(m, 0x0b);
		m->depth--;
	}
}

static void statements(struct maker *m)
{
	for (uint32_t n = pick(m, 4); n && m->budget; n--)
		statement(m);
}

/* ---- the module ---- */

static void bytes_add(struct bytes *b, const void *p, size_t n)
{
	memcpy(b->at + b->n, p, n);
	b->n += n;
}
static void bytes_uleb5(struct bytes *b, size_t at, size_t v)
{
	for (unsigned k = 0; k < 5; k++)
		b->at[at + k] = (uint8_t)((v >> 7 * k & 127) | (k < 4 ? 128 : 0));
}
#define ADD(b, text) bytes_add(b, text, sizeof text - 1)

static void head_add(struct bytes *b, const struct maker *m)
{
	b->n = 0;
	ADD(b, "\0asm\1\0\0\0\1\x43\x09"
	       "\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7f\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7e"
	       "\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7d\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7c"
	       "\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7b\x60\2\x7f\x7b\0"
	       "\x60\2\x7e\x7c\2\x7c\x7e\x60\1\x7f\1\x7f\x60\0\1\x7e");
	if (m->plain)
		ADD(b, "\3\x10\x0f\0\1\2\3\4\0\6\6\x08\x08\x08\x08\x08\x08\x08");
	else
		ADD(b, "\3\x09\x08\0\1\2\3\4\0\6\6");
	ADD(b, "\4\x09\2\x70\1\7\x09\x70\1\4\x0c"); /* tables of 7 to 9 and 4 to 12 */
	if (m->plain)
		ADD(b, "\5\4\1\1\1\2"); /* a memory of 1 to 2 pages */
	else
		ADD(b, "\5\7\2\1\1\2\5\1\1\x0d\3\1\0\5"); /* two, a tag: (i32 v128) */
	ADD(b, "\6\x34\5"           /* globals */
	       "\x7f\1\x41\5\x0b\x7e\1\x42\7\x0b\x7d\1\x43\0\0\x80\x3f\x0b"
	       "\x7c\1\x44\0\0\0\0\0\0\xf0\x3f\x0b"
	       "\x7b\1\xfd\x0c\1\2\3\4\5\6\7\x88\0\0\x80\x3f\x80\xff\0\1\x0b");
	if (m->plain) /* what may be called */
		ADD(b, "\7\x1d\7\1a\0\x08\1b\0\x09\1c\0\x0a"
		       "\1d\0\x0b\1e\0\x0c\1f\0\x0d\1m\0\x0e");
	ADD(b, "\x09\x13\2\0\x41\0\x0b\6\0\1\2\3\4\5\1\0\4\5\4\3\2" /* elements */
	       "\x0c\1\1");                                         /* one segment of data */
}

/* A function's body: its locals, and what @m has. */
static void body_add(struct bytes *b, const struct maker *m, const void *locals, size_t len)
{
	size_t at = b->n;
	CHECK(m->n < BODY_MAX && b->n + len + m->n + 1000 < sizeof b->at);
	b->n += 5;
	bytes_uleb5(b, at, m->n + len);
	bytes_add(b, locals, len);
	bytes_add(b, m->at, m->n);
}

/* Call function @f with some arguments; its result becomes an i64. */
static void plain_call(struct maker *m, uint32_t f)
{
	static const uint8_t after[TYPES][4] = {{0xad}, {0}, {0xbc, 0xad}, {0xbd}, {0xfd, 0x1d, 1}};
	for (unsigned t = 0; t < TYPES; t++)
		constant(m, t);
	byte(m, 0x10);
	uleb(m, f);
	for (unsigned k = 0; k < 4 && after[f % TYPES][k]; k++)
		byte(m, after[f % TYPES][k]);
}

/* A sum of memory 0 and of the globals. */
static void plain_sum(struct maker *m)
{
	static const char sum[] =
	    "\x03\x40\x20\1\x42\x1f\x7e\x20\0\x29\3\0\x7c\x21\1" /* sum * 31 + the next 8 */
	    "\x20\0\x41\x08\x6a\x22\0\x3f\0\x41\x10\x74\x49\x0d\0\x0b"
	    "\x20\1\x23\0\xad\x7c\x23\1\x85\x23\2\xbc\xad\x7c\x23\3\xbd\x85"
	    "\x23\4\xfd\x1d\0\x7c\x0b";
	memcpy(m->at, sum, sizeof sum - 1);
	m->n = sizeof sum - 1;
}

static void plain_add(struct bytes *b, struct maker *m)
{
	for (uint32_t f = 0; f < FUNCS; f++) {
		m->n = 0;
		plain_call(m, f);
		byte(m, 0x0b);
		body_add(b, m, "", 1);
	}
	plain_sum(m);
	body_add(b, m, "\2\1\x7f\1\x7e", 5);
}

void random_module(struct bytes *b, struct maker *m)
{
	static const uint8_t locals[] = {14, 1, 0x7f, 1, 0x7e, 1, 0x7d, 1, 0x7c, 1, 0x7b,
					 1, 0x7f, 1, 0x7e, 1, 0x7d, 1, 0x7c, 1, 0x7b,
					 COUNTERS, 0x7f, 1, 0x70, 1, 0x7d, 1, 0x7c};
	m->calm |= m->plain;
	head_add(b, m);
	b->at[b->n++] = 10;
	size_t at = b->n;
	b->n += 5;
	b->at[b->n++] = m->plain ? 15 : 8;
	for (uint32_t f = 0; f < FUNCS; f++) {
		m->func = f;
		m->n = m->counters = m->depth = 0;
		m->budget = 20 + pick(m, 150);
		while (m->budget > 10)
			statement(m);
		expression(m, f % TYPES);
		byte(m, 0x0b);
		body_add(b, m, locals, sizeof locals);
	}
	ADD(b, "\6\0\x20\1\x20\0\x0b\x08\0\x20\0\x20\1\x12\6\x0b");
	if (m->plain)
		plain_add(b, m);
	bytes_uleb5(b, at, b->n - at - 5);
	ADD(b, "\x0b\x1b\1\1\x18what is copied somewhere");
}

void random_parameters(union wasm_slot a[6], struct maker *m)
{
	a[0].i64 = (uint32_t)number(m);
	a[1].i64 = number(m);
	a[2].i64 = (uint32_t)float_bits(m, false);
	a[3].i64 = float_bits(m, true);
	a[4].i64 = float_bits(m, true);
	a[5].i64 = number(m);
}
