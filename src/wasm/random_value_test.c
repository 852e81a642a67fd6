/* SPDX-License-Identifier: Apache-2.0 */
/* Random values: constants, loads, operations on numbers and vectors. */
#include "wasm/random_make_test.h"

const uint8_t random_types[TYPES] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_V128};

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
}void byte(struct maker *m, unsigned v)
{
	if (m->n < BODY_MAX)
		m->at[m->n++] = (uint8_t)v;
}
void uleb(struct maker *m, uint64_t v)
{
	for (; v > 127; v >>= 7)
		byte(m, (v & 127) | 128);
	byte(m, (unsigned)v);
}
void sleb(struct maker *m, int64_t v)
{
	for (; v < -64 || v > 63; v >>= 7)
		byte(m, (v & 127) | 128);
	byte(m, v & 127);
}

uint64_t random_number(struct maker *m)
{
	static const uint64_t all[] = {0, 1, 2, 31, 64, 255, 0x7fffffff, 0x80000000, 0xffffffff,
				       1ull << 63, UINT64_MAX, 0x7fffffffffffffff, 1ull << 32};
	uint64_t r = (uint64_t)pick(m, 1u << 30) << 34 ^ pick(m, 1u << 30);
	return pick(m, 2) ? all[pick(m, countof(all))] : pick(m, 2) ? r : r >> pick(m, 60);
}

uint64_t random_float(struct maker *m, bool wide)
{
	static const double all[] = {0, -0.0, 1, -1.5, 1e10, 0.3, -2147483648.0, 4e9, 1e300, 2.5};
	double d = all[pick(m, countof(all))];
	float f = (float)d;
	uint64_t v = 0;
	switch (pick(m, 5)) {
	case 0: return random_number(m);
	case 1: return wide ? 0x7ff8000000000000 | pick(m, 1000) : 0x7fc00000 | pick(m, 1000);
	case 2: return wide ? 0xfff4000000000000 | pick(m, 9) : 0xffa00000 | pick(m, 9);
	default: memcpy(&v, wide ? (void *)&d : (void *)&f, wide ? 8 : 4);
	}
	return v;
}

void random_constant(struct maker *m, unsigned t)
{
	static const uint8_t codes[] = {0x41, 0x42, 0x43, 0x44, 0xfd};
	uint64_t v;
	byte(m, codes[t]);
	switch (t) {
	case N_V128:
		byte(m, 0x0c);
		for (unsigned half = 0, one = pick(m, 4); half < 2; half++) {
			v = one == 1 ? random_float(m, true)
			    : one	? random_float(m, false) << 32 | random_float(m, false)
					: random_number(m);
			for (unsigned k = 0; k < 8; k++)
				byte(m, v >> 8 * k & 255);
		}
		break;
	case N_I32: sleb(m, (int32_t)random_number(m)); break;
	case N_I64: sleb(m, (int64_t)random_number(m)); break;
	default:
		v = random_float(m, t == N_F64);
		for (unsigned k = 0; k < (t == N_F64 ? 8 : 4); k++)
			byte(m, v >> 8 * k & 255);
	}
}
/* A local of type @t: 0..4 are parameters, one of each; then two more of each. */
uint32_t random_local(struct maker *m, unsigned t) { return t + TYPES * pick(m, 3); }

static void lane(struct maker *m, uint32_t lanes)
{
	if (lanes)
		byte(m, pick(m, lanes));
}

/* An address of memory @i, and how many bytes from there or something else that is small. */
void random_address(struct maker *m, unsigned i)
{
	random_expression(m, i ? N_I64 : N_I32);
	if (pick(m, 150)) { /* else anywhere */
		byte(m, i ? 0x42 : 0x41);
		sleb(m, 0xfff8);
		byte(m, i ? 0x83 : 0x71);
	}
}
void random_small(struct maker *m, unsigned t, unsigned mask)
{
	random_expression(m, t);
	byte(m, t == N_I64 ? 0x42 : 0x41);
	sleb(m, pick(m, 150) ? (int64_t)mask : -1);
	byte(m, t == N_I64 ? 0x83 : 0x71);
}
static unsigned address(struct maker *m)
{
	unsigned i = !m->plain && !pick(m, 6);
	random_address(m, i);
	if (i || pick(m, 3))
		return i;
	random_expression(m, N_I32); /* an element of an array that begins there */
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
		random_expression(m, N_V128);
	byte(m, 0xfd);
	uleb(m, what < 11 ? what : what < 13 ? 0x5c + what - 11 : 0x54 + what - 13);
	memarg(m, i);
	lane(m, what > 12 ? 16u >> (what - 13) : 0);
}

static void vector_store(struct maker *m)
{
	uint32_t what = pick(m, 8), i = address(m);
	random_expression(m, N_V128);
	byte(m, 0xfd);
	uleb(m, what < 4 ? 0x0b : 0x58 + what - 4);
	memarg(m, i);
	lane(m, what < 4 ? 0 : 16u >> (what - 4));
}

void random_load(struct maker *m, unsigned t)
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

void random_store(struct maker *m)
{
	unsigned t = pick(m, TYPES);
	if (t == N_V128) {
		vector_store(m);
		return;
	}
	static const uint8_t first[4] = {0x3a, 0x3c, 0x38, 0x39}, n[4] = {2, 3, 1, 1};
	unsigned i = address(m);
	random_expression(m, t);
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
		random_expression(m, number_of(simd_ops[vop].in[k]));
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
	random_address(m, 0);
	if (pick(m, 150)) { /* else rarely aligned */
		byte(m, 0x41);
		sleb(m, -8);
		byte(m, 0x71);
	}
	for (unsigned k = 0; k < s.n; k++)
		random_expression(m, t);
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

void random_operation(struct maker *m, unsigned t)
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
		random_expression(m, o->in);
	if (o->code > 0xff)
		byte(m, 0xfc);
	byte(m, o->code & 255);
	if (m->plain && (t == N_F32 || t == N_F64))
		nan_settle(m, t);
}
