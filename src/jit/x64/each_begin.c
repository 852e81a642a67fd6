/* SPDX-License-Identifier: Apache-2.0 */
/* IR_each that makes the vector type: vsetvli. Units with a map of their own rely on it that a loop
 * gets all elements that there are in all rounds but the last, and are left in that one.
 * Spec: RISC-V Unpriv 20240411 §31.6 */
#include "jit/x64/each.h"

/* rax := elements, of rax wanted */
void each_begin(struct each *x)
{
	const struct jit_guest *s = &x->g->c->g;
	struct jit_asm *a = x->a;
	unsigned key = each_key(x);
	x_alumi(a, false, ALU_CMP, STATE_REG, at(s->vector_ready), 0);
	each_unless(x, CC_E);
	x_storei(a, true, (int32_t)x->type, STATE_REG, at(s->vector_type));
	x_storei(a, false, (int32_t)key, STATE_REG, at(s->vector_ready));
	x_movi(a, RCX, each_most(x->g, x->type));
	x_movi(a, RDX, 0);
	x_alu(a, true, ALU_CMP, RAX, RCX);
	asm_rr(a, true, 0x0f40 | CC_A, RAX, RCX); /* cmova */
	x_movi(a, RCX, key);
	asm_rr(a, true, 0x0f40 | CC_AE, RDX, RCX); /* cmovae */
	x_store(a, true, RAX, STATE_REG, at(s->vector_vl));
	x_store(a, false, RDX, STATE_REG, at(s->vector_key));
}

/* The type becomes that of @key, which is the key if @all elements are active. */
static void type_write(struct jit_gen *g, struct jit_asm *a, uint32_t key, bool all)
{
	const struct jit_guest *s = &g->c->g;
	x_storei(a, true, (int32_t)(key & 255), STATE_REG, at(s->vector_type));
	x_storei(a, false, (int32_t)key, STATE_REG, at(s->vector_ready));
	x_storei(a, false, all ? (int32_t)key : 0, STATE_REG, at(s->vector_key));
}

/* Does the unit rely on it that begin @i, which wants a certain number of elements or one that is
 * in a register, gets all that there are? */
bool each_promises(struct jit_gen *g, const struct ir_block *b, const struct ir_ins *i,
                   uint64_t *ret)
{
	struct each x;
	if (i->op != IR_each || ir_each_of(i->d).op != IR_EACH_begin || !each_init(&x, g, b, i) ||
	    b->ins[i->c].imm == 1)
		return false;
	*ret = each_most(g, x.type);
	return *ret && (!each_is_const(b, i->a) || b->ins[i->a].imm >= *ret);
}

static unsigned result_off(const struct jit_gen *g, uint32_t n)
{
	for (uint32_t k = n + 1; k < g->ir->n; k++)
		if (ins(g, k)->op == IR_put && ins(g, k)->a == n)
			return (unsigned)ins(g, k)->imm;
	return 0;
}

/* Fewer elements than there are: the unit is left. */
void each_begin_all(struct each *x, uint32_t n, unsigned most)
{
	struct jit_gen *g = x->g;
	const struct ir_ins *i = ins(g, n);
	uint32_t key = each_key(x);
	int64_t k = 0;
	unsigned r = NOREG;
	if (!gen_is_const(g, i->a, &k)) {
		r = gen_any(g, i->a);
		x_alui(x->a, true, ALU_CMP, r, (int32_t)most);
		each_unless(x, CC_B);
		gen_done(g, i->a, r);
	} else {
		g->uses[i->a]--;
	}
	g->uses[i->b]--;
	g->uses[i->c]--;
	if (g->vkey != key) {
		x_alumi(x->a, false, ALU_CMP, STATE_REG, at(g->c->g.vector_key), (int32_t)key);
		each_unless(x, CC_NE);
	}
	g->vkey = key;
	if (x->slow) {
		struct slow *s = x->slow;
		s->key = key;
		s->reg = (uint8_t)r;
		s->result = (uint16_t)result_off(g, n);
		s->leaves = s->begins = true;
		s->imm = r == NOREG ? k : 0;
		s->pa = (uint64_t)ins(g, i->b)->imm;
		s->arg_c = (int64_t)ins(g, i->c)->imm;
		s->slot = (int32_t)(uint32_t)i->imm;
		s->back = x->a->p;
	}
	known_result(g, n, most);
}

/* vsetvli x0, x0: as many elements as before, of another type. */
bool each_begin_keeps(struct each *x, uint32_t n)
{
	struct jit_gen *g = x->g;
	const struct ir_ins *i = ins(g, n);
	uint32_t key = each_key(x);
	if (!g->vkey || each_most(g, g->vkey & 255) != each_most(g, x->type))
		return false;
	if (g->vkey != key)
		type_write(g, x->a, key, true);
	g->vkey = key;
	g->uses[i->a]--;
	g->uses[i->b]--;
	g->uses[i->c]--;
	known_result(g, n, each_most(g, x->type));
	return true;
}

uint8_t *slow_each_begin(struct jit_gen *g, const struct slow *s)
{
	const struct jit_guest *q = &g->c->g;
	struct jit_asm *a = &g->a;
	int32_t most = (int32_t)each_most(g, s->key & 255);
	uint8_t *done = NULL;
	x_alumi(a, false, ALU_CMP, STATE_REG, at(q->vector_ready), 0);
	uint8_t *never = x_jcc8(a, CC_E);
	if (s->reg != NOREG) {
		x_alui(a, true, ALU_CMP, s->reg, most);
		uint8_t *all = x_jcc8(a, CC_AE);
		x_store(a, true, s->reg, STATE_REG, at(q->vector_vl));
		type_write(g, a, s->key, false);
		x_mov(a, true, RAX, s->reg);
		done = x_jmp32(a);
		x_here8(a, all);
	}
	x_storei(a, true, most, STATE_REG, at(q->vector_vl));
	type_write(g, a, s->key, true);
	x_jmp_to(a, s->back);
	x_here8(a, never);
	if (s->reg != NOREG)
		x_mov(a, true, RAX, s->reg);
	else
		x_movi(a, RAX, (uint64_t)s->imm);
	x_movi(a, RDX, s->pa);
	return done;
}
