/* SPDX-License-Identifier: Apache-2.0 */
/* IR_each of floating point. MXCSR has the guest's rounding mode and takes its flags. A NaN that
 * the host makes becomes the guest's out of line: the flags are the same but for infinity times
 * zero plus a quiet NaN, which is invalid to the guest only. So results are written at once.
 * Spec: RISC-V Unpriv 20240411 §20.3, §31.13; SDM1 083 §4.8.3.5, §14.5.2; SDM2 083 §2.3 */
#include "jit/x64/each.h"

enum { FLAG_NV = 16 };
enum { OP_MUL = 0x59, OP_CMP = 0xc2, CMP_UNORDERED = 3 };

static unsigned prefix(const struct each *x) { return x->elem == 3; }

void each_float_ready(struct each *x)
{
	struct jit_gen *g = x->g;
	const struct jit_guest *s = &g->c->g;
	if (!g->mode_ok) { /* mode 4 is none of the host's */
		x_alumi(x->a, false, ALU_CMP, STATE_REG, at(s->fp_mode), 3);
		gen_slow(g, SLOW_DEOPT, x_jcc32(x->a, CC_A))->pa = g->in->pa;
		g->mode_ok = true;
	}
	if (!g->fp_dirty) { /* the helper makes it so */
		x_alumi(x->a, false, ALU_CMP, STATE_REG, at(s->fp_on), 3);
		each_unless(x, CC_NE);
		g->fp_on = g->fp_dirty = true;
	}
	if (!x->e.scalar)
		return;
	if (x->elem == 2) { /* boxed? */
		x_mov(x->a, true, RCX, RDX);
		x_shi(x->a, true, SH_SAR, RCX, 32);
		x_alui(x->a, true, ALU_CMP, RCX, -1);
		each_unless(x, CC_NE);
	}
	if (x->e.op != IR_EACH_fput)
		each_broadcast(x);
}

/* @to := ones where element of @from or @y is a NaN */
static void unordered(struct each *x, unsigned to, unsigned from, unsigned y)
{
	asm_vrr(x->a, 1, prefix(x) | x->wide, false, OP_CMP, to, from, y);
	a8(x->a, CMP_UNORDERED);
}

/* The result at @off into its home, or V_B. */
static unsigned result(struct each *x, unsigned off)
{
	static const uint8_t op[] = { [IR_EACH_fadd] = 0x58, [IR_EACH_fsub] = 0x5c,
		                      [IR_EACH_fmul] = OP_MUL };
	unsigned h = each_home(x, x->e.d, off), to = h != NOREG ? h : V_B;
	unsigned from = each_get(x, x->e.a, off, V_A);
	if (x->e.op != IR_EACH_fmacc) {
		each_with_y(x, 1, prefix(x), false, op[x->e.op], to, from, off);
		return to;
	}
	if (h == NOREG)
		each_load(x, V_B, x->e.d, off);
	each_with_y(x, 2, 1, prefix(x), 0xb8, to, from, off); /* vfmadd231: to += from * y */
	return to;
}

/* V_MASK, or K_MASK, gathers which elements are NaNs; two registers are one comparison. */
static void gather(struct each *x, bool first, unsigned a, unsigned b)
{
	if (x->evex) {
		asm_err(x->a, 1, prefix(x) | x->wide, prefix(x), OP_CMP,
		        first ? K_MASK : K_MORE, a, b);
		a8(x->a, CMP_UNORDERED);
		if (!first) /* korw */
			asm_vrr(x->a, 1, L_32, false, 0x45, K_MASK, K_MASK, K_MORE);
		return;
	}
	unordered(x, first ? V_MASK : V_A, a, b);
	if (!first)
		asm_vrr(x->a, 1, x->wide, false, 0x56, V_MASK, V_MASK, V_A); /* vorps */
}

void each_floats(struct each *x)
{
	unsigned waits = NOREG;
	bool first = true;
	each_float_ready(x);
	for (unsigned off = 0; off < x->bytes; off += x->step) {
		unsigned r = result(x, off);
		bool last = off + x->step == x->bytes, spare = r == V_B;
		if (spare)
			each_store(x, V_B, x->e.d, off);
		if (waits == NOREG && !spare && !last) {
			waits = r;
			continue;
		}
		gather(x, first, waits == NOREG ? r : waits, r);
		waits = NOREG;
		first = false;
	}
	if (x->evex) {
		asm_vrr(x->a, 1, 0, false, 0x98, K_MASK, 0, K_MASK); /* kortestw */
	} else {
		asm_vrr(x->a, 1, prefix(x) | x->wide, false, 0x50, RCX, 0, V_MASK); /* vmovmsk */
		x_test(x->a, false, RCX, RCX);
	}
	struct slow *s = gen_slow(x->g, SLOW_NANS, x_jcc32(x->a, CC_NE));
	s->imm = ir_each_pack(x->e);
	s->key = each_key(x);
	s->reg = x->apart;
	s->back = x->a->p;
}

/* The operands are in the state. */
void each_float_sum(struct each *x)
{
	unsigned scalar = x->elem == 3 ? 3 : 2; /* vmovss, vmovsd; vaddss, vaddsd */
	each_float_ready(x);
	asm_vrm(x->a, 1, scalar, false, 0x10, V_A, 0, STATE_REG, each_at(x, x->e.b, 0));
	for (unsigned off = 0; off < x->bytes; off += 1u << x->elem)
		asm_vrm(x->a, 1, scalar, false, 0x58, V_A, V_A, STATE_REG,
		        each_at(x, x->e.a, off));
	asm_vrm(x->a, 1, scalar, false, 0x11, V_A, 0, STATE_REG, each_at(x, x->e.d, 0));
	asm_vrr(x->a, 1, prefix(x), false, 0x2e, V_A, 0, V_A); /* vucomis */
	uint8_t *number = x_jcc8(x->a, CC_NP);
	x_movi(x->a, RCX, x->elem == 3 ? UINT64_C(0x7ff8) << 48 : 0x7fc00000);
	x_store(x->a, x->elem == 3, RCX, STATE_REG, each_at(x, x->e.d, 0));
	x_here8(x->a, number);
}

/* Infinity times zero, elements that are no NaNs: invalid, whatever was added. MXCSR's flags are
 * overwritten. */
static void look_for_invalid(struct each *x, unsigned off)
{
	const struct jit_guest *s = &x->g->c->g;
	unsigned a = each_get(x, x->e.a, off, V_A);
	each_with_y(x, 1, prefix(x), false, OP_CMP, V_MASK, a, off);
	a8(x->a, CMP_UNORDERED);
	each_with_y(x, 1, prefix(x), false, OP_MUL, V_A, a, off);
	unordered(x, V_A, V_A, V_A);
	asm_vrr(x->a, 1, x->wide, false, 0x55, V_A, V_MASK, V_A); /* vandnps */
	asm_vrr(x->a, 1, prefix(x) | x->wide, false, 0x50, RCX, 0, V_A);
	x_test(x->a, false, RCX, RCX);
	uint8_t *none = x_jcc8(x->a, CC_E);
	asm_rm(x->a, false, 0x80, ALU_OR, STATE_REG, at(s->fp_flags));
	a8(x->a, FLAG_NV);
	x_here8(x->a, none);
}

/* V_A := canonical NaNs */
static void canonical(struct each *x)
{
	static const struct { uint8_t op, right, left; } how[2] = { { 0x72, 23, 22 },
		                                                    { 0x73, 52, 51 } };
	unsigned n = x->elem == 3;
	asm_vrr(x->a, 1, 1 | x->wide, false, 0x76, V_A, V_A, V_A);       /* vpcmpeqd */
	asm_vrr(x->a, 1, 1 | x->wide, false, how[n].op, 2, V_A, V_A);    /* vpsrl */
	a8(x->a, how[n].right);
	asm_vrr(x->a, 1, 1 | x->wide, false, how[n].op, 6, V_A, V_A);    /* vpsll */
	a8(x->a, how[n].left);
}

void slow_nans(struct jit_gen *g, const struct slow *s)
{
	struct each x;
	int32_t spare = at(g->c->g.run + offsetof(struct jit_run, spare));
	each_shape(&x, g, (uint32_t)s->imm, s->key & 255);
	bool away = !s->reg && g->vmap.n && (g->vmap.evex || x.step == 64);
	if (away)
		vmap_store(g);
	x.apart = s->reg || away;
	each_narrow(&x);
	if (x.e.op == IR_EACH_fmacc) {
		asm_rm(x.a, false, 0x0fae, 3, STATE_REG, spare); /* stmxcsr */
		for (unsigned off = 0; off < x.bytes; off += x.step)
			look_for_invalid(&x, off);
		asm_rm(x.a, false, 0x0fae, 2, STATE_REG, spare); /* ldmxcsr */
	}
	canonical(&x);
	for (unsigned off = 0; off < x.bytes; off += x.step) {
		unsigned r = each_get(&x, x.e.d, off, V_B);
		unordered(&x, V_MASK, r, r);
		asm_vrr(x.a, 3, 1 | x.wide, false, 0x4a, r, r, V_A); /* vblendvps */
		a8(x.a, V_MASK << 4);
		if (r == V_B)
			each_store(&x, V_B, x.e.d, off);
	}
	if (away)
		vmap_load(g);
	x_jmp_to(x.a, s->back);
}
