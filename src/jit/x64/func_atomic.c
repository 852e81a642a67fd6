/* SPDX-License-Identifier: Apache-2.0 */
/* Atomic accesses of functions: the host's locked instructions, at an address beyond base that is
 * known to be aligned. Their old value has zeros above. */
#include "jit/x64/func.h"

#define CONTEXT(field)                                                                             \
	((int32_t)offsetof(struct jit_fn_context, field) - (int32_t)sizeof(struct jit_fn_context))

struct atom {
	struct jit_fn *f;
	struct jit_asm *a;
	struct fn_beyond p;
	unsigned bytes;
	bool w;
};

/* op [x->p], @reg; @op is that of words, that of bytes is one less */
static void atom_op(const struct atom *x, bool lock, unsigned op, unsigned reg)
{
	if (lock)
		a8(x->a, 0xf0);
	fn_op_at(x->f, x->bytes == 2 ? 0x66 : 0, x->w, op - (x->bytes == 1), reg, x->p,
		 x->bytes == 1);
}

/* The argument @v in @to, which is changed afterwards. */
static void value_into(const struct atom *x, uint32_t v, unsigned to)
{
	unsigned r = fn_int_in(x->f, v, to);
	if (r != to)
		x_mov(x->a, true, to, r);
}

/* xchg and xadd; the old value is in rdx. */
static unsigned exchange(const struct atom *x, const struct ir_ins *i, unsigned kind)
{
	value_into(x, i->b, RDX);
	if (kind == IR_AMO_sub)
		asm_rr(x->a, x->w, 0xf7, 3, RDX); /* neg */
	if (kind == IR_AMO_swap)
		atom_op(x, false, 0x87, RDX);
	else
		atom_op(x, true, 0x0fc1, RDX);
	return RDX;
}

/* What rdx is combined with in a loop where no other register is free: a value that is no home goes
 * to the context. */
static struct fn_loc operand(const struct atom *x, uint32_t v)
{
	const struct ir_ins *i = &x->f->at[v];
	if (i->op == IR_get) {
		struct fn_loc l = fn_loc(x->f, i);
		if (!l.xmm)
			return l;
	}
	value_into(x, v, RAX);
	x_store(x->a, true, RAX, BASE_REG, CONTEXT(spare));
	return (struct fn_loc){NOREG, false, BASE_REG, CONTEXT(spare)};
}

static unsigned combine(const struct atom *x, const struct ir_ins *i, unsigned kind)
{
	const unsigned op = kind == IR_AMO_and	? ALU_AND
			    : kind == IR_AMO_or ? ALU_OR
						: ALU_XOR;
	struct fn_loc v = operand(x, i->b);
	switch (x->bytes) {
	case 1: fn_op_at(x->f, 0, false, 0x0fb6, RAX, x->p, false); break;
	case 2: fn_op_at(x->f, 0, false, 0x0fb7, RAX, x->p, false); break;
	default: fn_op_at(x->f, 0, x->w, 0x8b, RAX, x->p, false);
	}
	uint8_t *again = x->a->p;
	x_mov(x->a, x->w, RDX, RAX);
	if (v.reg == NOREG)
		x_alum(x->a, x->w, op, RDX, v.base, v.disp);
	else
		x_alu(x->a, x->w, op, RDX, v.reg);
	atom_op(x, true, 0x0fb1, RDX); /* cmpxchg */
	x_jcc_to(x->a, CC_NE, again);
	return RAX;
}

static unsigned compare_exchange(const struct atom *x, const struct ir_ins *i)
{
	value_into(x, i->b, RAX);
	atom_op(x, true, 0x0fb1, fn_int_in(x->f, i->c, RDX)); /* cmpxchg */
	return RAX;
}

void fn_atomic(struct jit_fn *f, const struct ir_ins *i, const struct fn_loc *to)
{
	const unsigned kind = (unsigned)i->imm >> 8;
	struct atom x = {.f = f, .a = &f->g->a, .bytes = (unsigned)i->imm & 255};
	unsigned r;
	x.w = x.bytes == 8;
	x.p = fn_place(f, i->a);
	if (i->op == IR_cas)
		r = compare_exchange(&x, i);
	else if (kind == IR_AMO_swap || kind == IR_AMO_add || kind == IR_AMO_sub)
		r = exchange(&x, i, kind);
	else
		r = combine(&x, i, kind);
	if (!to)
		return;
	if (x.bytes < 4)
		asm_rr(x.a, false, x.bytes == 1 ? 0x0fb6 : 0x0fb7, r, r);
	else if (!x.w)
		x_mov(x.a, false, r, r);
	fn_int_put(f, r, i->type, *to);
}
