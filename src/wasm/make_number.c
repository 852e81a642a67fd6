/* SPDX-License-Identifier: Apache-2.0 */
/* Numeric instructions, and conditions before a branch. */
#include "wasm/make.h"

enum number { NUMBER_NONE, NUMBER_INT, NUMBER_CMP, NUMBER_TWO, NUMBER_FCMP, NUMBER_ONE };
struct number_op {
	uint8_t kind, in, out;
	uint16_t code;
};
#define T_i32 WASM_I32
#define T_i64 WASM_I64
#define T_f32 WASM_F32
#define T_f64 WASM_F64
static const struct number_op ops[0x108] = {
#define INT(op, name, t, value) [op] = {NUMBER_INT, T_##t, T_##t, CODE_##name},
#define CMP(op, name, t, value) [op] = {NUMBER_CMP, T_##t, WASM_I32, CODE_##name},
#define FLT(op, name, t, value) [op] = {NUMBER_TWO, T_##t, T_##t, CODE_##name},
#define DIVIDE(op, name, t, trap, value) [op] = {NUMBER_TWO, T_##t, T_##t, CODE_##name},
#define FCMP(op, name, t, value) [op] = {NUMBER_FCMP, T_##t, WASM_I32, CODE_##name},
#define UNARY(op, name, from, to, value) [op] = {NUMBER_ONE, T_##from, T_##to, CODE_##name},
#define CHECKED(op, name, from, to, trap, value) UNARY(op, name, from, to, value)
#include "wasm/num.def"
};

/* What the code of a comparison is when it is made, for conditions. */
enum { SAYS_CMP = 1, SAYS_CMP_K, SAYS_FCMP };
static const uint8_t says[CODE_COUNT] = {
#define CMP(op, name, t, value) [CODE_##name] = SAYS_CMP, [CODE_##name##_k] = SAYS_CMP_K,
#define FCMP(op, name, t, value) [CODE_##name] = SAYS_FCMP,
#define INT(op, name, t, value)
#define FLT(op, name, t, value)
#define DIVIDE(op, name, t, trap, value)
#define UNARY(op, name, from, to, value)
#define CHECKED(op, name, from, to, trap, value)
#include "wasm/num.def"
};

bool op_is_numeric(unsigned op) { return op < countof(ops) && ops[op].kind; }

static bool commutes(unsigned op)
{
	switch (op) {
	case 0x46:
	case 0x47:
	case 0x51:
	case 0x52:
	case 0x6a:
	case 0x6c:
	case 0x71:
	case 0x72:
	case 0x73:
	case 0x7c:
	case 0x7e:
	case 0x83:
	case 0x84:
	case 0x85: return true;
	default: return false;
	}
}

static bool small(const struct val *v)
{
	return v->where == CONSTANT && (uint64_t)(int64_t)(int32_t)v->k == v->k;
}

struct insn *fresh_of(struct make *g, const struct val *v)
{
	if (!g->emits || g->dead || g->fresh != g->n || !g->n || v->where != AT_HOME ||
	    g->maker != g->n - 1)
		return NULL;
	struct insn *i = &g->code[g->n - 1];
	return i->d == v->home ? i : NULL;
}

/* x + (y << k): where a thing of an array is. */
static bool shifted_add(struct make *g, const struct number_op *o, const struct val *x,
			const struct val *y)
{
	bool wide = o->code == CODE_i64_add;
	for (unsigned side = 0; side < 2; side++) {
		const struct val *shifted = side ? x : y, *other = side ? y : x;
		struct insn *i = fresh_of(g, shifted);
		if (!i || i->code != (wide ? CODE_i64_shl_k : CODE_i32_shl_k) ||
		    other->where == CONSTANT)
			continue;
		const struct insn was = *i;
		g->n--;
		i = emit_value(g, wide ? CODE_SHLADD64 : CODE_SHLADD32, o->out, was.a);
		i->b = val_slot(other);
		i->c = (uint16_t)(was.k & (wide ? 63 : 31));
		return true;
	}
	return false;
}

/* A sum or a difference of a product and z. */
static bool with_product(struct make *g, const struct number_op *o, const struct val *x,
			 const struct val *y)
{
	static const struct {
		uint16_t code, product, first, second; /* fused, with the product there */
	} rows[] = {
	    {CODE_f32_add, CODE_f32_mul, CODE_f32_mul_add, CODE_f32_add_mul},
	    {CODE_f32_sub, CODE_f32_mul, CODE_f32_mul_sub, CODE_f32_sub_mul},
	    {CODE_f64_add, CODE_f64_mul, CODE_f64_mul_add, CODE_f64_add_mul},
	    {CODE_f64_sub, CODE_f64_mul, CODE_f64_mul_sub, CODE_f64_sub_mul},
	};
	for (size_t n = 0; n < 2 * countof(rows); n++) {
		bool second = n & 1;
		const struct val *z = second ? x : y;
		struct insn *i = fresh_of(g, second ? y : x);
		if (!i || o->code != rows[n / 2].code || i->code != rows[n / 2].product ||
		    z->where == CONSTANT)
			continue;
		const struct insn was = *i;
		g->n--;
		i = emit_value(g, second ? rows[n / 2].second : rows[n / 2].first, o->out, was.a);
		i->b = was.b;
		i->c = val_slot(z);
		return true;
	}
	return false;
}

static void two(struct make *g, unsigned op, const struct number_op *o)
{
	struct val y = val_pop(g, o->in), x = val_pop(g, o->in);
	bool constants = o->kind == NUMBER_INT || o->kind == NUMBER_CMP;
	/* a constant comes second; what has just been made, first: superinstructions look there */
	if (constants && commutes(op) && !small(&y) && (small(&x) || fresh_of(g, &y))) {
		struct val t = x;
		x = y;
		y = t;
	}
	if (small(&y) && (int32_t)y.k != INT32_MIN &&
	    (o->code == CODE_i32_sub || o->code == CODE_i64_sub)) {
		y.k = -y.k;
		o = &ops[o->code == CODE_i32_sub ? 0x6a : 0x7c];
	}
	if ((o->code == CODE_i32_add || o->code == CODE_i64_add) && shifted_add(g, o, &x, &y))
		return;
	if (o->kind == NUMBER_TWO && with_product(g, o, &x, &y))
		return;
	if (constants && small(&y)) {
		uint16_t a = val_use(g, &x);
		emit_value(g, o->code + 1, o->out, a)->k = (uint32_t)y.k;
		return;
	}
	uint16_t a = val_use(g, &x), b = val_use(g, &y);
	emit_value(g, o->code, o->out, a)->b = b;
}

void emit_numeric(struct make *g, unsigned op)
{
	const struct number_op *o = &ops[op];
	if (o->kind != NUMBER_ONE) {
		two(g, op, o);
		return;
	}
	struct val x = val_pop(g, o->in);
	uint16_t a = val_use(g, &x);
	if (op == 0x45 || op == 0x50) /* eqz is a comparison with 0 */
		(void)emit_value(g, op == 0x45 ? CODE_i32_eq_k : CODE_i64_eq_k, o->out, a);
	else
		(void)emit_value(g, o->code, o->out, a);
}

struct condition condition_take(struct make *g, const struct val *v)
{
	struct insn *i = fresh_of(g, v);
	bool inverted = false;
	/* a comparison of floats has no opposite: it is followed by eqz */
	if (i && i->code == CODE_i32_eq_k && !i->k && i->a == i->d && g->n > 1 &&
	    !code_is_double(g->n > 2 ? g->code[g->n - 3].code : 0) &&
	    says[g->code[g->n - 2].code] && g->code[g->n - 2].d == i->d) {
		inverted = true;
		i--;
	}
	unsigned kind = i ? says[i->code] : 0;
	if (kind == SAYS_CMP_K && (uint32_t)(int32_t)(int16_t)i->k != i->k)
		kind = 0;
	if (!kind)
		return (struct condition){CODE_BR_IF, CODE_BR_UNLESS, val_use(g, v), 0};
	const struct insn was = *i;
	g->n = (uint32_t)(i - g->code);
	g->fresh = UINT32_MAX;
	/* codes of branches lie behind, in the order of internal.h */
	unsigned yes = (unsigned)was.code + (kind == SAYS_FCMP ? 1 : 2);
	unsigned no = yes + (kind == SAYS_FCMP ? 1 : 2);
	return (struct condition){inverted ? no : yes, inverted ? yes : no, was.a,
				  kind == SAYS_CMP_K ? (uint16_t)was.k : was.b};
}

struct insn *emit_condition(struct make *g, const struct condition *c, bool when)
{
	return emit(g, when ? c->yes : c->no, c->d, c->a);
}
