/* SPDX-License-Identifier: Apache-2.0 */
/* Atomics, inline. Where nobody else touches memory they are plain accesses; where somebody may,
 * the host's locked ones. What cannot be accessed as it is goes out of line, where C finds the
 * host's address (JIT_PTR), and comes back to do it.
 * Load-reserved remembers address and value; store-conditional compares and swaps: as mem_lr and
 * mem_sc of the interpreter do. */
#include "jit/x64/internal.h"

struct atom {
	struct jit_gen *g;
	struct jit_asm *a;
	struct slow *s;
	struct place p;         /* rax, or of flat guests also a home */
	unsigned bytes;
	bool w, lock;
};

static struct atom atom_of(struct jit_gen *g, unsigned bytes)
{
	bool lock = g->c->g.smp;
	g->alone |= !lock;
	return (struct atom){ .g = g, .a = &g->a, .bytes = bytes, .w = bytes == 8, .lock = lock };
}

/* x->p := guest address @v, not yet the host's. All temporaries are taken. @aligned: it is, behind
 * this; the TLB sees to that, too. */
static void place_begin(struct atom *x, uint32_t v, bool aligned)
{
	struct jit_gen *g = x->g;
	x->p = (struct place){ .base = RAX, .mirror = g->mirror };
	if (g->mirror) {
		struct place p = gen_place(g, v);
		x->p.base = p.base;
		if (p.disp || (p.base != RAX && !g->c->g.flat)) {
			x_lea(x->a, RAX, p.base, p.disp);
			x->p.base = RAX;
		}
	} else {
		gen_address(g, v);
	}
	if (!g->mirror && !aligned)
		return;
	asm_rr8(x->a, false, 0xf6, 0, x->p.base); /* test */
	a8(x->a, x->bytes - 1);
	gen_slow(g, SLOW_DEOPT, x_jcc32(x->a, CC_NE))->pa = g->in->pa;
}

static int32_t window_at(const struct jit_gen *g)
{
	return at(g->c->g.run + offsetof(struct jit_run, window));
}

/* x->p is the host's address from here on, which is where the code out of line comes back. */
static void place_end(struct atom *x, bool write)
{
	struct jit_gen *g = x->g;
	uint8_t *miss = g->mirror ? NULL : gen_tlb(g, x->bytes, write);
	bool host = g->mirror && !g->c->g.flat;
	if (host)
		x_alum(x->a, true, ALU_ADD, RAX, STATE_REG, window_at(g));
	x->s = gen_slow(g, SLOW_ATOMIC, miss);
	x->s->host = host;
	x->s->reg = RAX;
	x->s->imm = x->bytes | JIT_PTR << 8;
	x->s->back = x->a->p;
}

/* rax is wanted for something else. */
static void place_move(struct atom *x)
{
	if (x->p.base == RAX)
		x_mov(x->a, true, RCX, RAX);
	if (x->p.base == RAX)
		x->p.base = RCX;
}

/* op [x->p], @reg, which may fault */
static void atom_op(struct atom *x, bool lock, unsigned op, unsigned reg)
{
	if (x->p.mirror) {
		x->s->touch[x->s->touch[0] != NULL] = x->a->p;
		x->s->base = (uint8_t)x->p.base;
	}
	if (lock)
		a8(x->a, 0xf0);
	asm_rm(x->a, x->w, op, reg, x->p.base, 0);
}

static void value_into(struct atom *x, struct value v, unsigned to)
{
	if (v.is_imm)
		x_movi(x->a, to, x->w ? (uint64_t)v.imm : (uint32_t)v.imm);
	else if (v.is_slot)
		x_load(x->a, x->w, to, STATE_REG, v.slot);
	else
		x_mov(x->a, x->w, to, v.reg);
}

/* A register that holds @v: its home or @tmp. */
static unsigned value_reg(struct atom *x, struct value v, unsigned tmp)
{
	if (v.reg != NOREG)
		return v.reg;
	value_into(x, v, tmp);
	return tmp;
}

/* @r op= @v */
static void value_alu(struct atom *x, unsigned op, unsigned r, struct value v)
{
	if (v.is_imm)
		x_alui(x->a, x->w, op, r, (int32_t)v.imm);
	else if (v.is_slot)
		x_alum(x->a, x->w, op, r, STATE_REG, v.slot);
	else
		x_alu(x->a, x->w, op, r, v.reg);
}

/* The result of @n is in @r, with zeros above. */
static void result(struct atom *x, uint32_t n, unsigned r)
{
	struct jit_gen *g = x->g;
	for (unsigned t = RAX; t <= RDX; t++)
		if (t != r || !g->uses[n])
			gen_temp_free(g, t);
	if (g->uses[n])
		g->loc[n] = (uint8_t)r;
}

/* ---- read, modify, write ---- */

static unsigned alu_of(unsigned kind)
{
	switch (kind) {
	case IR_AMO_add: return ALU_ADD;
	case IR_AMO_or: return ALU_OR;
	case IR_AMO_and: return ALU_AND;
	case IR_AMO_xor: return ALU_XOR;
	default: return NOREG;
	}
}

/* rdx := what @kind makes of the old value in @old and of @v */
static void amo_new(struct atom *x, unsigned kind, unsigned old, struct value v)
{
	static const uint8_t keeps[] = { [IR_AMO_min] = CC_L, [IR_AMO_max] = CC_G,
		                         [IR_AMO_minu] = CC_B, [IR_AMO_maxu] = CC_A };
	unsigned op = alu_of(kind);
	if (op != NOREG) {
		x_mov(x->a, true, RDX, old);
		value_alu(x, op, RDX, v);
		return;
	}
	value_into(x, v, RDX);
	x_alu(x->a, x->w, ALU_CMP, old, RDX);
	asm_rr(x->a, x->w, 0x0f40u | keeps[kind], RDX, old); /* cmovcc */
}

/* Nobody wants the old value. False: that is no help. */
static bool amo_blind(struct atom *x, unsigned kind, struct value v)
{
	unsigned op = alu_of(kind);
	if (kind == IR_AMO_swap && !x->lock) {
		atom_op(x, false, 0x89, value_reg(x, v, RDX));
		return true;
	}
	if (op == NOREG)
		return false;
	if (!v.is_imm) {
		atom_op(x, x->lock, op << 3 | 1, value_reg(x, v, RDX));
		return true;
	}
	atom_op(x, x->lock, fits8(v.imm) ? 0x83 : 0x81, op);
	for (unsigned n = 0; n < (fits8(v.imm) ? 1 : 4); n++)
		a8(x->a, (uint64_t)v.imm >> 8 * n & 255);
	return true;
}

static unsigned amo_alone(struct atom *x, unsigned kind, struct value v)
{
	atom_op(x, false, 0x8b, RCX);
	unsigned r = RDX;
	if (kind == IR_AMO_swap)
		r = value_reg(x, v, RDX);
	else
		amo_new(x, kind, RCX, v);
	atom_op(x, false, 0x89, r);
	return RCX;
}

static unsigned amo_locked(struct atom *x, unsigned kind, struct value v)
{
	if (kind == IR_AMO_swap || kind == IR_AMO_add) {
		value_into(x, v, RDX);
		atom_op(x, kind == IR_AMO_add, kind == IR_AMO_add ? 0x0fc1 : 0x87, RDX);
		return RDX; /* xadd, xchg */
	}
	place_move(x);
	atom_op(x, false, 0x8b, RAX);
	uint8_t *again = x->a->p;
	amo_new(x, kind, RAX, v);
	atom_op(x, true, 0x0fb1, RDX); /* cmpxchg */
	x_jcc_to(x->a, CC_NE, again);
	return RAX;
}

static void amo(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	struct atom x = atom_of(g, (unsigned)i->imm & 255);
	unsigned kind = (unsigned)i->imm >> 8;
	place_begin(&x, i->a, false);
	struct value v = gen_value(g, i->b);
	place_end(&x, true);
	if (!g->uses[n] && amo_blind(&x, kind, v))
		result(&x, n, RAX);
	else
		result(&x, n, x.lock ? amo_locked(&x, kind, v) : amo_alone(&x, kind, v));
}

static void cas(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	struct atom x = atom_of(g, (unsigned)i->imm);
	place_begin(&x, i->a, false);
	struct value want = gen_value(g, i->b), v = gen_value(g, i->c);
	place_end(&x, true);
	place_move(&x);
	value_into(&x, want, RAX);
	atom_op(&x, x.lock, 0x0fb1, value_reg(&x, v, RDX)); /* cmpxchg */
	if (!x.w)
		x_mov(x.a, false, RAX, RAX);
	result(&x, n, RAX);
}

/* ---- reservations ---- */

static void load_reserved(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	const struct jit_guest *s = &g->c->g;
	struct atom x = atom_of(g, (unsigned)i->imm);
	place_begin(&x, i->a, false);
	place_end(&x, false);
	atom_op(&x, false, 0x8b, RDX);
	if (!g->mirror) /* the guest's address again: rcx is where gen_tlb found the entry */
		asm_rmx(x.a, true, ALU_SUB << 3 | 3, RAX, STATE_REG, RCX, 0, at(s->tlb + 16));
	else if (!s->flat)
		x_alum(x.a, true, ALU_SUB, RAX, STATE_REG, window_at(g));
	x_store(x.a, true, x.p.base, STATE_REG, at(s->res_va));
	x_store(x.a, true, RDX, STATE_REG, at(s->res_val));
	asm_rm8(x.a, 0xc6, 0, STATE_REG, at(s->res_size));
	a8(x.a, x.bytes);
	/* C does all of it: what is only to be read has no JIT_PTR */
	x.s->imm = x.bytes | JIT_LR << 8;
	x.s->reg = RDX;
	x.s->back = x.a->p;
	result(&x, n, RDX);
}

static void store_conditional(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	const struct jit_guest *s = &g->c->g;
	struct atom x = atom_of(g, (unsigned)i->imm);
	uint8_t *out[3];
	place_begin(&x, i->a, true);
	struct value v = gen_value(g, i->b);
	asm_rm(x.a, true, ALU_CMP << 3 | 3, x.p.base, STATE_REG, at(s->res_va));
	out[0] = x_jcc32(x.a, CC_NE);
	asm_rm8(x.a, 0x80, ALU_CMP, STATE_REG, at(s->res_size));
	a8(x.a, x.bytes);
	out[1] = x_jcc32(x.a, CC_NE);
	place_end(&x, true);
	if (x.lock) {
		place_move(&x);
		x_load(x.a, true, RAX, STATE_REG, at(s->res_val));
		atom_op(&x, true, 0x0fb1, value_reg(&x, v, RDX)); /* cmpxchg */
		out[2] = NULL;
	} else {
		x_load(x.a, true, RCX, STATE_REG, at(s->res_val));
		atom_op(&x, false, ALU_CMP << 3 | 1, RCX);
		out[2] = x_jcc32(x.a, CC_NE);
		atom_op(&x, false, 0x89, value_reg(&x, v, RDX));
	}
	/* equal by now, or unequal and from somewhere above */
	for (unsigned k = 0; k < countof(out) && !x.a->full; k++)
		if (out[k])
			x_aim(out[k], x.a->p);
	x_storei(x.a, true, -1, STATE_REG, at(s->res_va));
	asm_rr8(x.a, false, 0x0f90 | CC_NE, 0, RDX); /* setne */
	asm_rr8(x.a, false, 0x0fb6, RDX, RDX);
	result(&x, n, RDX);
}

void gen_atomic(struct jit_gen *g, uint32_t n)
{
	switch ((int)ins(g, n)->op) {
	case IR_lr: load_reserved(g, n); break;
	case IR_sc: store_conditional(g, n); break;
	case IR_amo: amo(g, n); break;
	default: cas(g, n); break;
	}
}
