/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter and compiled code run random modules and have to agree: results, memory, globals,
 * traps and the calls that they interrupted, bit for bit. LODGE_MODULES: how many modules,
 * LODGE_SEED: from where on. */
#include "test/test.h"
#include "wasm/internal.h"
#include <sys/mman.h>
#include <unistd.h>

enum { FUNCS = 6, LOCALS = 15, COUNTER = LOCALS, COUNTERS = 3, ALL = LOCALS + COUNTERS };
enum { BODY_MAX = 1 << 14 };
static const uint8_t types[] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_V128};
enum { N_I32, N_I64, N_F32, N_F64, N_V128, TYPES };

struct op {
	uint16_t code;
	uint8_t in, out, arity;
};
#define T_i32 N_I32
#define T_i64 N_I64
#define T_f32 N_F32
#define T_f64 N_F64
static const struct op ops[] = {
#define INT(c, name, t, value) {c, T_##t, T_##t, 2},
#define CMP(c, name, t, value) {c, T_##t, N_I32, 2},
#define FLT(c, name, t, value) {c, T_##t, T_##t, 2},
#define FCMP(c, name, t, value) {c, T_##t, N_I32, 2},
#define DIVIDE(c, name, t, trap, value) {c, T_##t, T_##t, 2},
#define UNARY(c, name, from, to, value) {c, T_##from, T_##to, 1},
#define CHECKED(c, name, from, to, trap, value) {c, T_##from, T_##to, 1},
#include "wasm/num.def"
};

struct maker {
	uint64_t seed;
	uint8_t at[BODY_MAX];
	uint32_t n;
	uint32_t func, budget, counters, depth; /* depth: blocks around */
	bool calm;                              /* without exceptions: all is compiled */
};

static uint32_t pick(struct maker *m, uint32_t n)
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

static void address(struct maker *m)
{
	expression(m, N_I32);
	if (pick(m, 40)) { /* else anywhere */
		byte(m, 0x41);
		sleb(m, 0xfff8);
		byte(m, 0x71);
	}
	if (pick(m, 3))
		return;
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
}

static void memarg(struct maker *m)
{
	uleb(m, 0);
	uleb(m, pick(m, 8) ? pick(m, 2) * pick(m, 8) : pick(m, 2) ? 0xfffffff0 : pick(m, 70000));
}

static void vector_load(struct maker *m)
{
	uint32_t what = pick(m, 17);
	if (what > 12) { /* of a lane */
		address(m);
		expression(m, N_V128);
	} else {
		address(m);
	}
	byte(m, 0xfd);
	uleb(m, what < 11 ? what : what < 13 ? 0x5c + what - 11 : 0x54 + what - 13);
	memarg(m);
	lane(m, what > 12 ? 16u >> (what - 13) : 0);
}

static void vector_store(struct maker *m)
{
	uint32_t what = pick(m, 8);
	address(m);
	expression(m, N_V128);
	byte(m, 0xfd);
	uleb(m, what < 4 ? 0x0b : 0x58 + what - 4);
	memarg(m);
	lane(m, what < 4 ? 0 : 16u >> (what - 4));
}

static void load(struct maker *m, unsigned t)
{
	if (t == N_V128) {
		vector_load(m);
		return;
	}
	static const uint8_t first[4] = {0x2c, 0x30, 0x2a, 0x2b}, n[4] = {4, 6, 1, 1};
	address(m);
	byte(m, t < 2 && !pick(m, 3) ? 0x28 + t : first[t] + pick(m, n[t]));
	memarg(m);
}

static void store(struct maker *m)
{
	unsigned t = pick(m, TYPES);
	if (t == N_V128) {
		vector_store(m);
		return;
	}
	static const uint8_t first[4] = {0x3a, 0x3c, 0x38, 0x39}, n[4] = {2, 3, 1, 1};
	address(m);
	expression(m, t);
	byte(m, t < 2 && pick(m, 2) ? 0x36 + t : first[t] + pick(m, n[t]));
	memarg(m);
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

static void vector_operation(struct maker *m, unsigned t)
{
	uint32_t code;
	int vop;
	do {
		code = pick(m, 0x114);
		vop = simd_find(code);
	} while (vop < 0 || simd_ops[vop].out != types[t] || code < 0x0d || code == 0x5c ||
		 code == 0x5d);
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
	address(m);
	if (pick(m, 20)) { /* else rarely aligned */
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
	while (o->out != t);
	for (unsigned k = 0; k < o->arity; k++)
		expression(m, o->in);
	if (o->code > 0xff)
		byte(m, 0xfc);
	byte(m, o->code & 255);
}

static void call(struct maker *m, unsigned t)
{
	uint32_t f = m->func + 1;
	while (f < FUNCS && f % TYPES != t)
		f++;
	if (f >= FUNCS) {
		constant(m, t);
		return;
	}
	for (unsigned k = 0; k < TYPES; k++)
		expression(m, k);
	if (pick(m, 2)) {
		byte(m, 0x10);
		uleb(m, f);
		return;
	}
	byte(m, 0x41);
	sleb(m, pick(m, 30) ? f : pick(m, FUNCS + 3));
	byte(m, 0x11);
	uleb(m, t);
	byte(m, 0);
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
		byte(m, 0x1b);
		break;
	case 10: block(m, t); break;
	case 11: choice(m, t); break;
	case 12: call(m, t); break;
	default: operation(m, t);
	}
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

static void statement(struct maker *m)
{
	unsigned t = pick(m, TYPES);
	switch (pick(m, 10)) {
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
		if (m->counters < COUNTERS)
			loop(m);
		break;
	case 8: table(m); break;
	default:
		expression(m, N_I32);
		byte(m, 0x04);
		byte(m, 0x40);
		m->depth++;
		statements(m);
		if (!pick(m, 6)) { /* out of everything */
			expression(m, m->func % TYPES);
			byte(m, 0x0f);
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

struct bytes {
	uint8_t at[FUNCS * BODY_MAX];
	size_t n;
};

static void bytes_add(struct bytes *b, const void *p, size_t n)
{
	memcpy(b->at + b->n, p, n);
	b->n += n;
}
static void bytes_uleb5(struct bytes *b, uint32_t v)
{
	for (unsigned k = 0; k < 5; k++)
		b->at[b->n++] = (uint8_t)((v >> 7 * k & 127) | (k < 4 ? 128 : 0));
}

static void module_make(struct bytes *b, struct maker *m)
{
	static const char head[] =
	    "\0asm\1\0\0\0"
	    "\1\x33\6"
	    "\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7f\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7e"
	    "\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7d\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7c"
	    "\x60\5\x7f\x7e\x7d\x7c\x7b\1\x7b\x60\2\x7f\x7b\0"
	    "\3\7\6\0\1\2\3\4\0"
	    "\4\4\1\x70\0\7"     /* table of 7 */
	    "\5\3\1\0\1"         /* memory */
	    "\x0d\3\1\0\5"       /* a tag: (i32 v128) */
	    "\6\x34\5"           /* globals */
	    "\x7f\1\x41\5\x0b\x7e\1\x42\7\x0b\x7d\1\x43\0\0\x80\x3f\x0b"
	    "\x7c\1\x44\0\0\0\0\0\0\xf0\x3f\x0b"
	    "\x7b\1\xfd\x0c\1\2\3\4\5\6\7\x88\0\0\x80\x3f\x80\xff\0\1\x0b"
	    "\x09\x0c\1\0\x41\0\x0b\6\0\1\2\3\4\5"; /* elements */
	static const uint8_t locals[] = {11, 1, 0x7f, 1, 0x7e, 1, 0x7d, 1, 0x7c, 1, 0x7b,
					 1, 0x7f, 1, 0x7e, 1, 0x7d, 1, 0x7c, 1, 0x7b,
					 COUNTERS, 0x7f};
	b->n = 0;
	bytes_add(b, head, sizeof head - 1);
	b->at[b->n++] = 10;
	size_t size_at = b->n;
	b->n += 5;
	b->at[b->n++] = FUNCS;
	for (uint32_t f = 0; f < FUNCS; f++) {
		m->func = f;
		m->n = m->counters = m->depth = 0;
		m->budget = 20 + pick(m, 150);
		while (m->budget > 10)
			statement(m);
		expression(m, f % TYPES);
		byte(m, 0x0b);
		CHECK(m->n < BODY_MAX);
		bytes_uleb5(b, m->n + (uint32_t)sizeof locals);
		bytes_add(b, locals, sizeof locals);
		bytes_add(b, m->at, m->n);
	}
	size_t end = b->n;
	b->n = size_at;
	bytes_uleb5(b, (uint32_t)(end - size_at - 5));
	b->n = end;
}

static wasm_host_fn *none(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e)
{
	(void)user, (void)i, (void)im;
	(void)!err_set(e, EINVAL, "nothing is provided");
	return NULL;
}

/* Arguments of each type; the v128 has two slots. */
static void parameters(union wasm_slot a[6], struct maker *r)
{
	a[0].i64 = (uint32_t)number(r);
	a[1].i64 = number(r);
	a[2].i64 = (uint32_t)float_bits(r, false);
	a[3].i64 = float_bits(r, true);
	a[4].i64 = float_bits(r, true);
	a[5].i64 = number(r);
}

static bool result_same(uint32_t func, const union wasm_slot *a, const union wasm_slot *b)
{
	uint8_t type = types[func % TYPES];
	if (type == WASM_I32 || type == WASM_F32)
		return a[0].i32 == b[0].i32;
	return a[0].i64 == b[0].i64 && (type != WASM_V128 || a[1].i64 == b[1].i64);
}

/* Returns whether all of both is the same. *@over: the stack of both ended, not at the same moment,
 * and their memory may differ from now on. */
static bool same(struct wasm *x, struct wasm *y, uint64_t seed, uint32_t func, unsigned round,
		 bool *over)
{
	struct maker r = {.seed = seed + round};
	union wasm_slot a[6], b[6];
	parameters(a, &r);
	memcpy(b, a, sizeof b);
	enum wasm_trap s = wasm_call(x, func, a), t = wasm_call(y, func, b);
	*over = s == WASM_TRAP_STACK && t == s;
	if (*over)
		return true;
	bool ok = s == t && (s || result_same(func, a, b)) &&
		  !memcmp(x->memories[0].at, y->memories[0].at, PAGE) &&
		  x->globals[0].lo << 32 == y->globals[0].lo << 32 &&
		  x->globals[1].lo == y->globals[1].lo &&
		  x->globals[2].lo << 32 == y->globals[2].lo << 32 &&
		  x->globals[3].lo == y->globals[3].lo &&
		  !memcmp(&x->globals[4], &y->globals[4], 16) && x->ntrace == y->ntrace;
	char was[2][4096] = {"", ""};
	for (unsigned n = 0; s && n < 2; n++) {
		FILE *out = fmemopen(was[n], sizeof was[n], "w");
		wasm_trace(n ? y : x, out);
		fclose(out);
	}
	ok = ok && !strcmp(was[0], was[1]);
	if (!ok && strcmp(was[0], was[1]) != 0)
		printf("# interpreted\n%s# compiled\n%s", was[0], was[1]);
	for (uint32_t n = 0; !ok && n < PAGE; n++)
		if (x->memories[0].at[n] != y->memories[0].at[n]) {
			printf("# memory at %x: %02x and %02x\n", n, x->memories[0].at[n],
			       y->memories[0].at[n]);
			break;
		}
	for (unsigned n = 0; !ok && n < TYPES; n++)
		if (x->globals[n].lo != y->globals[n].lo)
			printf("# global %u: %llx and %llx\n", n,
			       (unsigned long long)x->globals[n].lo,
			       (unsigned long long)y->globals[n].lo);
	if (!ok)
		printf("# seed %llu, function %u, round %u: %s and %s, %llx and %llx\n",
		       (unsigned long long)seed, func, round, wasm_trap_text(s), wasm_trap_text(t),
		       (unsigned long long)a[0].i64, (unsigned long long)b[0].i64);
	return ok;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);
	return v ? strtoull(v, NULL, 10) : otherwise;
}

/* One module by both, compiled at the first call or the third. */
static bool module_try(struct bytes *b, struct maker *m, uint64_t seed)
{
	const struct wasm_limits plain = {.stack_slots = 1 << 16};
	const struct wasm_limits compiled = {.stack_slots = 1 << 16,
					     .deadline_ns = seed & 2 ? UINT64_MAX : 0,
					     .compiles = true,
					     .code_kept = seed & 4 ? 1 : 0,
					     .heat = seed & 1 ? 3 : 1};
	struct lodge_err e = {0};
	struct wasm_module *mod;
	struct wasm *x, *y;
	m->seed = seed * 0x9e3779b97f4a7c15u;
	m->calm = false;
	module_make(b, m);
	if (wasm_module_new(&mod, b->at, b->n, 0, &e) < 0) {
		printf("# seed %llu: %s\n", (unsigned long long)seed, e.msg);
		return false;
	}
	CHECK(wasm_new(&x, mod, &plain, none, NULL, &e) == 0);
	CHECK(wasm_new(&y, mod, &compiled, none, NULL, &e) == 0);
	bool ok = wasm_start(x) == WASM_OK && wasm_start(y) == WASM_OK, over = false;
	for (unsigned round = 0; ok && !over && round < 4; round++)
		for (uint32_t f = 0; ok && !over && f < FUNCS; f++)
			ok = same(x, y, seed, f, round, &over);
	wasm_free(x);
	wasm_free(y);
	wasm_module_free(mod);
	return ok;
}

TEST(wasm_compiled_code_does_what_the_interpreter_does)
{
	struct bytes *b = malloc(sizeof *b);
	struct maker *m = malloc(sizeof *m);
	CHECK(b && m);
	uint64_t from = setting("LODGE_SEED", 1), n = setting("LODGE_MODULES", 300), bad = 0;
	for (uint64_t seed = from; seed < from + n && bad < 5; seed++)
		bad += !module_try(b, m, seed);
	CHECK(!bad);
	free(b);
	free(m);
}

/* ---- states ---- */

enum { PARTS = 16 };
struct state { /* what a run was when it stood still */
	struct {
		char name[24];
		uint8_t *p;
		size_t len;
	} part[PARTS];
	unsigned n;
	uint64_t npages;
	uint8_t *pages;
	uint32_t countdown; /* halts until it is saved */
	uint32_t nsaved, ncompiled, nboth; /* saves; in compiled code; with both kinds waiting */
	bool saved;
	struct lodge_err err;
};

static uint8_t *part_new(void *user, const char *name, size_t len)
{
	struct state *s = user;
	CHECK(s->n < PARTS);
	snprintf(s->part[s->n].name, sizeof s->part[0].name, "%s", name);
	s->part[s->n].len = len;
	return s->part[s->n++].p = calloc(1, len + 1);
}

static const uint8_t *part_find(void *user, const char *name, size_t *ret_len)
{
	const struct state *s = user;
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->part[i].name, name)) {
			*ret_len = s->part[i].len;
			return s->part[i].p;
		}
	return NULL;
}

static void state_drop(struct state *s)
{
	for (unsigned i = 0; i < s->n; i++)
		free(s->part[i].p);
	free(s->pages);
	s->n = 0;
	s->pages = NULL;
	s->saved = false;
}

static enum wasm_trap on_halt(void *user, struct wasm *w)
{
	struct state *s = user;
	const struct wasm_sink to = {part_new, s};
	w->asked = true;
	if (s->countdown-- > 1)
		return WASM_OK;
	CHECK(wasm_save(w, &to, &s->npages, &s->err) == 0);
	int fd = memfd_create("state", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, (off_t)s->npages) == 0);
	CHECK(wasm_save_pages(w, fd, 0, &s->err) == 0);
	s->pages = aligned_alloc(4096, s->npages + 4096);
	CHECK(s->pages && host_pread(fd, s->pages, s->npages, 0));
	close(fd);
	s->nsaved++;
	s->ncompiled += w->here.code && !w->here.f;
	s->nboth += w->crossing != NULL;
	s->saved = true;
	return WASM_TRAP_EXIT;
}

static struct wasm_limits stop_limits(struct state *s, uint64_t seed)
{
	return (struct wasm_limits){.stack_slots = 1 << 16,
				    .compiles = seed & 3,
				    .heat = 1 + (uint32_t)(seed >> 2) % 3,
				    .code_kept = seed & 32 ? 1 : 0,
				    .slice = 1 + (uint32_t)(seed >> 3) % 5,
				    .halted = on_halt,
				    .halted_user = s};
}

/* A state with some bytes changed is refused, or runs to some end. */
static void state_damage(const struct wasm_module *mod, struct state *s, struct maker *r)
{
	struct state idle = {.countdown = UINT32_MAX};
	struct wasm_limits l = stop_limits(&idle, pick(r, 64));
	const struct wasm_source from = {part_find, s, s->pages, s->npages, false};
	struct wasm *w;
	unsigned i = pick(r, s->n);
	size_t at = s->part[i].len ? pick(r, (uint32_t)s->part[i].len) : 0;
	uint8_t was = s->part[i].p[at];
	s->part[i].p[at] = (uint8_t)(pick(r, 2) ? pick(r, 256) : was ^ 1u << pick(r, 8));
	l.deadline_ns = host_monotonic_ns() + 20000000;
	CHECK(wasm_new(&w, mod, &l, none, NULL, NULL) == 0);
	struct lodge_err e = {0};
	w->asked = true;
	if (wasm_load(w, &from, &e) == 0)
		(void)!wasm_go_on(w);
	else
		CHECK(e.msg[0]);
	wasm_free(w);
	s->part[i].p[at] = was;
}

/* Call @func of @w, saved after a few looks around, and gone on from in another instance, again and
 * again. @at as in wasm_call. *@w is the last instance. */
static enum wasm_trap call_by_states(struct wasm **w, const struct wasm_module *mod,
				     struct state *s, struct maker *r, uint32_t func,
				     union wasm_slot *at)
{
	struct lodge_err e = {0};
	s->countdown = 1 + pick(r, 6);
	(*w)->asked = true;
	enum wasm_trap t = wasm_call(*w, func, at);
	for (unsigned n = 0; t == WASM_TRAP_EXIT && s->saved; n++) {
		const struct wasm_limits l = stop_limits(s, pick(r, 64));
		wasm_free(*w);
		CHECK(wasm_new(w, mod, &l, none, NULL, &e) == 0);
		if (!pick(r, 4))
			state_damage(mod, s, r);
		const struct wasm_source from = {part_find, s, s->pages, s->npages, false};
		int got = wasm_load(*w, &from, &e);
		if (got < 0)
			printf("# %s\n", e.msg);
		CHECK(got == 0);
		state_drop(s);
		s->countdown = 1 + pick(r, 6u << (n < 20 ? n : 20));
		(*w)->asked = true;
		t = wasm_go_on(*w);
		memcpy(at, (*w)->stack, 2 * sizeof *at);
	}
	return t;
}

static bool saved_try(struct bytes *b, struct maker *m, uint64_t seed, struct state *all)
{
	struct maker r = {.seed = seed};
	const struct wasm_limits plain = {.stack_slots = 1 << 16};
	struct state s = {0};
	const struct wasm_limits stops = stop_limits(&s, seed);
	struct lodge_err e = {0};
	struct wasm_module *mod;
	struct wasm *x, *y;
	bool ok = true;
	m->seed = seed * 0x9e3779b97f4a7c15u;
	m->calm = seed & 1;
	module_make(b, m);
	CHECK(wasm_module_new(&mod, b->at, b->n, 0, &e) == 0);
	CHECK(wasm_new(&x, mod, &plain, none, NULL, &e) == 0);
	CHECK(wasm_new(&y, mod, &stops, none, NULL, &e) == 0);
	CHECK(wasm_start(x) == WASM_OK && wasm_start(y) == WASM_OK);
	for (uint32_t f = 0; ok && f < FUNCS; f++) {
		union wasm_slot p[6], q[6];
		parameters(p, &r);
		memcpy(q, p, sizeof q);
		enum wasm_trap u = wasm_call(x, f, p);
		enum wasm_trap t = call_by_states(&y, mod, &s, &r, f, q);
		if (t == WASM_TRAP_STACK && u == t)
			break; /* not at the same moment: memory may differ */
		ok = t == u && (u || result_same(f, p, q)) &&
		     !memcmp(x->memories[0].at, y->memories[0].at, PAGE) &&
		     x->globals[1].lo == y->globals[1].lo && x->globals[3].lo == y->globals[3].lo &&
		     !memcmp(&x->globals[4], &y->globals[4], 16);
		if (!ok)
			printf("# seed %llu, function %u: %s and %s, %llx and %llx\n",
			       (unsigned long long)seed, f, wasm_trap_text(u), wasm_trap_text(t),
			       (unsigned long long)p[0].i64, (unsigned long long)q[0].i64);
	}
	state_drop(&s);
	all->nsaved += s.nsaved;
	all->ncompiled += s.ncompiled;
	all->nboth += s.nboth;
	wasm_free(x);
	wasm_free(y);
	wasm_module_free(mod);
	return ok;
}

TEST(wasm_a_run_that_is_saved_anywhere_goes_on_as_if_nothing_had_happened)
{
	struct state all = {0};
	struct bytes *b = malloc(sizeof *b);
	struct maker *m = malloc(sizeof *m);
	CHECK(b && m);
	uint64_t from = setting("LODGE_SEED", 1), n = setting("LODGE_MODULES", 300), bad = 0;
	for (uint64_t seed = from; seed < from + n && bad < 5; seed++)
		bad += !saved_try(b, m, seed, &all);
	CHECK(!bad);
	printf("# %u states, %u of compiled code, %u of calls of both kinds\n", all.nsaved,
	       all.ncompiled, all.nboth);
	CHECK(bad || n < 100 || (all.nsaved > n && all.ncompiled > n / 4 && all.nboth));
	free(b);
	free(m);
}
