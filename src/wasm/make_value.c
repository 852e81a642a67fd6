/* SPDX-License-Identifier: Apache-2.0 */
/* The operand stack: types as the specification wants them, and where the values are.
 * Spec: WASM-CORE 2.0, appendix "validation algorithm" */
#include "wasm/make.h"

static COLD bool vals_more(struct make *g)
{
	uint32_t cap = g->cap_vals ? 2 * g->cap_vals : 64;
	struct val *p = realloc(g->vals, cap * sizeof *p);
	if (!p) {
		g->r.bad = g->r.bad ? g->r.bad : err_set(g->r.e, ENOMEM, "out of memory");
		return false;
	}
	g->vals = p;
	g->cap_vals = cap;
	return true;
}

/* There were never so many slots. */
static COLD void top_raise(struct make *g)
{
	g->max = g->top;
	if (g->top > SLOTS_MAX)
		reader_fail(&g->r, ENOTSUP, "a function with more than %u values at once",
			    SLOTS_MAX);
}

void val_push_as(struct make *g, struct val v, uint32_t type)
{
	if (unlikely(g->nvals == g->cap_vals) && !vals_more(g))
		return;
	v.type = type & 0x3fffffff;
	v.home = (uint16_t)g->top;
	g->vals[g->nvals++] = v;
	g->top += val_slots(type);
	g->references |= type_is_exception(type);
	if (unlikely(g->top > g->max))
		top_raise(g);
}

void val_push(struct make *g, uint32_t type)
{
	val_push_as(g, (struct val){.where = AT_HOME}, type);
}

/* The block has none. */
static COLD struct val val_none(struct make *g, const struct ctrl *c, uint32_t type)
{
	if (!c->unreachable)
		reader_fail(&g->r, EINVAL, "type mismatch: %s is wanted, nothing is there",
			    type_text(type).s);
	return (struct val){.type = type & 0x3fffffff, .home = (uint16_t)g->top};
}

static COLD struct val val_check(struct make *g, struct val v, uint32_t type)
{
	if (!type_fits(v.type, type))
		reader_fail(&g->r, EINVAL, "type mismatch: %s is wanted, %s is there",
			    type_text(type).s, type_text(v.type).s);
	return v;
}

struct val val_pop(struct make *g, uint32_t type)
{
	const struct ctrl *c = &g->ctrls[g->nctrls - 1];
	if (unlikely(g->nvals == c->height))
		return val_none(g, c, type);
	const struct val *v = &g->vals[--g->nvals];
	g->top = v->home;
	return likely(v->type == type) ? *v : val_check(g, *v, type);
}

struct val reference_pop(struct make *g)
{
	return val_pop(g, ANY_REFERENCE);
}

void vals_pop(struct make *g, const uint32_t *types, uint32_t n)
{
	while (n && !g->r.bad)
		(void)val_pop(g, types[--n]);
}

void vals_push(struct make *g, const uint32_t *types, uint32_t n)
{
	for (uint32_t i = 0; i < n && !g->r.bad; i++)
		val_push(g, types[i]);
}

/* ---- where they are ---- */

void val_move(struct make *g, const struct val *v, uint16_t to)
{
	bool wide = v->type == WASM_V128;
	if (v->where == CONSTANT) {
		if ((uint64_t)(int64_t)(int32_t)v->k == v->k) {
			emit(g, CODE_CONST, to, (uint8_t)v->type)->k = (uint32_t)v->k;
		} else {
			(void)emit(g, CODE_CONST64, to, (uint8_t)v->type);
			emit_second(g)->code = v->k;
		}
	} else if (v->where == IN_LOCAL || v->home != to) {
		emit(g, wide ? CODE_COPY2 : CODE_COPY, to,
		     v->where == IN_LOCAL ? v->slot : v->home)
		    ->k = (uint8_t)v->type;
	}
}

uint16_t val_use(struct make *g, const struct val *v)
{
	if (v->where == IN_LOCAL)
		return v->slot;
	if (v->where == CONSTANT)
		val_move(g, v, v->home);
	return v->home;
}

uint16_t vals_settle(struct make *g, uint32_t n)
{
	if (g->dead || n > g->nvals)
		return (uint16_t)g->top;
	for (uint32_t i = g->nvals - n; i < g->nvals; i++) {
		struct val *v = &g->vals[i];
		if (v->where == AT_HOME)
			continue;
		val_move(g, v, v->home);
		v->where = AT_HOME;
	}
	return n ? g->vals[g->nvals - n].home : (uint16_t)g->top;
}

void local_leave(struct make *g, uint16_t slot)
{
	/* those of blocks around this one are at home: they were settled when it began */
	for (uint32_t i = g->ctrls[g->nctrls - 1].height; i < g->nvals && !g->dead; i++) {
		struct val *v = &g->vals[i];
		if (v->where != IN_LOCAL || v->slot != slot)
			continue;
		val_move(g, v, v->home);
		v->where = AT_HOME;
	}
}

/* ---- code ---- */

const uint8_t code_shapes[CODE_COUNT] = {
#define DOUBLE(code) [CODE_##code] = SHAPE_DOUBLE
#define BRANCHES(code) [CODE_##code] = SHAPE_BRANCHES
    DOUBLE(CONST64), DOUBLE(CALL_INDIRECT), DOUBLE(TAIL_INDIRECT), DOUBLE(HELP), DOUBLE(ADDRESS),
    DOUBLE(SIMD), DOUBLE(SHUFFLE), DOUBLE(ATOMIC), DOUBLE(V128_CONST),
    BRANCHES(BR), BRANCHES(BR_IF), BRANCHES(BR_UNLESS),
#define INT(code, name, t, value)
#define CMP(code, name, t, value)                                                                  \
	BRANCHES(name##_if), BRANCHES(name##_if_k), BRANCHES(name##_unless),                       \
	    BRANCHES(name##_unless_k),
#define FLT(code, name, t, value)
#define FCMP(code, name, t, value) BRANCHES(name##_if), BRANCHES(name##_unless),
#define UNARY(code, name, from, to, value)
#define DIVIDE(code, name, t, trap, value)
#define CHECKED(code, name, from, to, trap, value)
#include "wasm/num.def"
};

static COLD bool code_more(struct make *g)
{
	uint32_t cap = g->cap ? 2 * g->cap : 64;
	struct insn *p = realloc(g->code, cap * sizeof *p);
	uint32_t *o = p && g->offsets ? realloc(g->offsets, cap * sizeof *o) : g->offsets;
	g->code = p ? p : g->code;
	g->offsets = o ? o : g->offsets;
	if (!p || (g->offsets && !o)) {
		g->r.bad = err_set(g->r.e, ENOMEM, "out of memory");
		return false;
	}
	g->cap = cap;
	return true;
}

struct insn *emit(struct make *g, enum code code, uint16_t d, uint16_t a)
{
	if (!g->emits || g->dead || g->r.bad || (unlikely(g->n == g->cap) && !code_more(g)))
		return &g->scratch[0];
	if (g->offsets)
		g->offsets[g->n] = (uint32_t)(g->op_at - g->r.base);
	struct insn *i = &g->code[g->n++];
	*i = (struct insn){.code = code, .d = d, .a = a};
	return i;
}

struct insn *emit_second(struct make *g) { return emit(g, 0, 0, 0); }

struct insn *emit_value(struct make *g, enum code code, uint32_t type, uint16_t a)
{
	struct insn *i = emit(g, code, (uint16_t)g->top, a);
	g->fresh = g->n;
	g->maker = g->n - 1;
	val_push(g, type);
	return i;
}
