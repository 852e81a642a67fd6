/* SPDX-License-Identifier: Apache-2.0 */
/* Floating point on the host's FPU. MXCSR holds the guest's rounding mode and collects its flags
 * while generated code runs; a result that is a NaN, and what the FPU cannot do in just the guest's
 * way, goes to the fp room by a C call. xmm0 is the result, xmm1..3 the arguments.
 * Spec: RISC-V Unpriv 20240411 §20, §21 through the IR; SDM1 083 §11.5 */
#include "jit/x64/internal.h"

enum { RM_RTZ = 1, RM_DYNAMIC = 7, RM_NONE = 8 };
#define BOXED 0xffffffff00000000u

/* ---- checks of state ---- */

bool gen_guard_fp(struct jit_gen *g, uint32_t n)
{
	const struct jit_guest *s = &g->c->g;
	const struct ir_ins *i = ins(g, n), *c = ins(g, i->a), *x = ins(g, c->a);
	struct jit_asm *a = &g->a;
	if (c->op == IR_ne && x->op == IR_get && x->imm == s->fp_on) {
		if (!g->fp_on) {
			x_alumi(a, false, ALU_CMP, STATE_REG, at(s->fp_on), 0);
			gen_slow(g, SLOW_FAULT, x_jcc32(a, CC_E))->imm = (int64_t)i->imm;
		}
		g->fp_on = true;
		return true;
	}
	if (c->op == IR_ltu && x->op == IR_zext && ins(g, x->a)->op == IR_get &&
	    ins(g, x->a)->imm == s->fp_mode) {
		if (!g->mode_ok) { /* mode 4 is none of the host's */
			x_alumi(a, false, ALU_CMP, STATE_REG, at(s->fp_mode), 3);
			gen_slow(g, SLOW_DEOPT, x_jcc32(a, CC_A))->pa = g->in->pa;
		}
		g->mode_ok = true;
		return true;
	}
	return false;
}

/* The rounding mode of an operation: constant, RM_DYNAMIC, RM_NONE. */
static unsigned mode_of(const struct jit_gen *g, const struct ir_ins *f)
{
	int64_t k;
	if (fp_opinfo[f->imm].rm != 1)
		return RM_NONE;
	return gen_is_const(g, f->d, &k) ? (unsigned)k : RM_DYNAMIC;
}

/* ---- values in xmm registers ---- */

/* The slot of the f register that @v reads unchanged; @v is i64. */
static bool slot_of(const struct jit_gen *g, uint32_t v, int32_t *ret, unsigned *ret_n)
{
	const struct ir_ins *i = ins(g, v);
	uint32_t base = g->c->g.fp_regs;
	if (i->op != IR_get || i->imm < base || i->imm >= base + 256 || g->loc[v] != NOREG)
		return false;
	*ret = at(i->imm);
	*ret_n = (unsigned)(i->imm - base) / 8;
	return true;
}

/* An f32 out of its box: select(x < ones, NaN, x) */
static bool unbox(struct jit_gen *g, uint32_t v, unsigned x)
{
	const struct ir_ins *i = ins(g, v);
	int32_t slot;
	unsigned n;
	if (i->op != IR_select || !slot_of(g, i->c, &slot, &n))
		return false;
	if (!(g->boxed >> n & 1)) {
		x_alumi(&g->a, false, ALU_CMP, STATE_REG, slot + 4, -1);
		struct slow *s = gen_slow(g, SLOW_NAN, x_jcc32(&g->a, CC_NE));
		asm_prm(&g->a, 0xf3, false, 0x0f10, x, STATE_REG, slot);
		s->reg = (uint8_t)x;
		s->back = g->a.p;
		return true;
	}
	asm_prm(&g->a, 0xf3, false, 0x0f10, x, STATE_REG, slot);
	return true;
}

/* A sign turned by an exclusive or of the bits. */
static bool negated(struct jit_gen *g, uint32_t v, unsigned x, bool d);

/* @v (f32 or f64) into xmm @x */
static void value(struct jit_gen *g, uint32_t v, unsigned x)
{
	const struct ir_ins *i = ins(g, v);
	bool d = i->type == IR_F64;
	int32_t slot;
	unsigned n;
	if (i->op != IR_bits) {
		g->cannot = true;
		return;
	}
	if (d && slot_of(g, i->a, &slot, &n)) {
		asm_prm(&g->a, 0xf2, false, 0x0f10, x, STATE_REG, slot);
		return;
	}
	if ((!d && unbox(g, i->a, x)) || negated(g, i->a, x, d))
		return;
	unsigned r = gen_any(g, i->a);
	asm_prr(&g->a, 0x66, d, 0x0f6e, x, r);
	gen_done(g, i->a, r);
}

static bool negated(struct jit_gen *g, uint32_t v, unsigned x, bool d)
{
	const struct ir_ins *i = ins(g, v);
	int64_t k;
	if (i->op != IR_xor || !gen_is_const(g, i->b, &k) || ins(g, i->a)->op != IR_bits ||
	    ins(g, ins(g, i->a)->a)->type != (d ? IR_F64 : IR_F32))
		return false;
	unsigned r = gen_temp(g);
	value(g, ins(g, i->a)->a, x);
	asm_prr(&g->a, 0x66, d, 0x0f7e, x, r);
	asm_rr(&g->a, d, 0x0fba, 7, r); /* btc r, top */
	a8(&g->a, d ? 63 : 31);
	asm_prr(&g->a, 0x66, d, 0x0f6e, x, r);
	gen_temp_free(g, r);
	return true;
}

/* ---- operations ---- */

/* op xmm0, xmm1, xmm2 by its number in the 0f map; 0: no such */
static unsigned arith(unsigned f)
{
	switch ((int)f) {
	case FP_add_s: case FP_add_d: return 0x58;
	case FP_sub_s: case FP_sub_d: return 0x5c;
	case FP_mul_s: case FP_mul_d: return 0x59;
	case FP_div_s: case FP_div_d: return 0x5e;
	default: return 0;
	}
}

static bool is_double(unsigned f)
{
	return fp_opinfo[f].ret == IR_F64 || fp_opinfo[f].arg[0] == IR_F64;
}

/* Compare xmm @x with @y: unordered is below. @loud: every NaN is invalid. */
static void compare(struct jit_gen *g, bool d, bool loud, unsigned x, unsigned y)
{
	asm_vrr(&g->a, 1, d, false, loud ? 0x2f : 0x2e, x, 0, y);
}

/* A result that is no number is made again by the fp room: payloads, flags. */
static void fp_check(struct jit_gen *g, const struct ir_ins *f)
{
	compare(g, fp_opinfo[f->imm].ret == IR_F64, false, 0, 0);
	struct slow *s = gen_slow(g, SLOW_FP, x_jcc32(&g->a, CC_P));
	s->imm = (int64_t)(f->imm | mode_of(g, f) << 8);
	s->reg = NOREG;
}

static bool is_from_int(unsigned f)
{
	return f == FP_cvt_d_w || f == FP_cvt_d_wu || f == FP_cvt_d_l || f == FP_cvt_s_w ||
	       f == FP_cvt_s_wu || f == FP_cvt_s_l;
}
/* Exact whatever the mode. */
static bool is_exact(unsigned f)
{
	return f == FP_cvt_d_w || f == FP_cvt_d_wu || f == FP_cvt_d_s;
}

/* Can @f be made inline, its result in xmm0? */
static bool can_x(const struct jit_gen *g, const struct ir_ins *i)
{
	unsigned f = (unsigned)i->imm, rm = mode_of(g, i);
	if (fp_opinfo[f].ret != IR_F64 && fp_opinfo[f].ret != IR_F32)
		return false;
	if (f == FP_min_s || f == FP_max_s || f == FP_min_d || f == FP_max_d)
		return true;
	if (rm != RM_DYNAMIC && !is_exact(f))
		return false;
	return arith(f) || is_from_int(f) || f == FP_sqrt_s || f == FP_sqrt_d || f == FP_fma_s ||
	       f == FP_fma_d || f == FP_cvt_s_d || f == FP_cvt_d_s;
}

static void from_int(struct jit_gen *g, const struct ir_ins *i)
{
	unsigned f = (unsigned)i->imm;
	bool d = fp_opinfo[f].ret == IR_F64, is_u = f == FP_cvt_d_wu || f == FP_cvt_s_wu;
	bool w = f == FP_cvt_d_l || f == FP_cvt_s_l;
	unsigned r = gen_any(g, i->a), t = r;
	if (is_u) {
		t = gen_temp(g);
		x_mov(&g->a, false, t, r);
	}
	asm_vrr(&g->a, 1, 0, false, 0x57, 0, 0, 0); /* vxorps xmm0: break the dependence */
	asm_vrr(&g->a, 1, d ? 3 : 2, w || is_u, 0x2a, 0, 0, t);
	if (is_u)
		gen_temp_free(g, t);
	gen_done(g, i->a, r);
}

/* The smaller or larger of two numbers; zeros of two signs and NaNs go the slow way. */
static void min_max(struct jit_gen *g, const struct ir_ins *i, bool d)
{
	unsigned f = (unsigned)i->imm;
	compare(g, d, false, 1, 2);
	struct slow *s = gen_slow(g, SLOW_FP, x_jcc32(&g->a, CC_E));
	s->imm = (int64_t)(f | RM_NONE << 8);
	s->reg = NOREG;
	asm_vrr(&g->a, 1, d ? 3 : 2, false, f == FP_min_d || f == FP_min_s ? 0x5d : 0x5f, 0, 1, 2);
	s->back = g->a.p;
}

static void operation(struct jit_gen *g, const struct ir_ins *i)
{
	unsigned f = (unsigned)i->imm;
	bool d = is_double(f);
	struct jit_asm *a = &g->a;
	if (is_from_int(f)) {
		from_int(g, i);
		return;
	}
	value(g, i->a, 1);
	if (fp_opinfo[f].arg[1] != IR_VOID)
		value(g, i->b, 2);
	if (fp_opinfo[f].arg[2] != IR_VOID)
		value(g, i->c, 3);
	if (arith(f)) {
		asm_vrr(a, 1, d ? 3 : 2, false, arith(f), 0, 1, 2);
	} else if (f == FP_sqrt_s || f == FP_sqrt_d) {
		asm_vrr(a, 1, d ? 3 : 2, false, 0x51, 0, 1, 1);
	} else if (f == FP_fma_s || f == FP_fma_d) {
		asm_vrr(a, 1, 0, false, 0x28, 0, 0, 3);  /* vmovaps xmm0, xmm3 */
		asm_vrr(a, 2, 1, d, 0xb9, 0, 1, 2);      /* vfmadd231s xmm0, xmm1, xmm2 */
	} else if (f == FP_cvt_s_d) {
		asm_vrr(a, 1, 3, false, 0x5a, 0, 1, 1);
	} else if (f == FP_cvt_d_s) {
		asm_vrr(a, 1, 2, false, 0x5a, 0, 1, 1);
	} else {
		min_max(g, i, d);
		return;
	}
	fp_check(g, i);
}

/* ---- results ---- */

bool gen_put_fp(struct jit_gen *g, uint64_t off, uint32_t v)
{
	const struct ir_ins *i = ins(g, v);
	unsigned n = (unsigned)(off - g->c->g.fp_regs) / 8;
	bool narrow = i->op == IR_or && ins(g, i->b)->op == IR_const && ins(g, i->b)->imm == BOXED;
	const struct ir_ins *b = narrow ? ins(g, i->a) : i;
	if (b->op == IR_bits && ins(g, b->a)->op == IR_fcall && can_x(g, ins(g, b->a))) {
		const struct ir_ins *f = ins(g, b->a);
		operation(g, f);
		asm_prm(&g->a, f->type == IR_F64 ? 0xf2 : 0xf3, false, 0x0f11, 0, STATE_REG,
		        at(off));
		g->uses[b->a] = 0;
		g->loc[b->a] = RDX; /* done: not again as an effect */
	} else if (narrow) {
		unsigned r = gen_any(g, i->a);
		x_store(&g->a, false, r, STATE_REG, at(off));
		gen_done(g, i->a, r);
	} else {
		g->boxed &= ~(1u << n);
		return false;
	}
	g->boxed &= ~(1u << n);
	if (narrow) {
		x_storei(&g->a, false, -1, STATE_REG, at(off) + 4);
		g->boxed |= 1u << n;
	}
	return true;
}

/* By the fp room: the bits of the arguments in rax, rdx, rcx. */
static void by_call(struct jit_gen *g, uint32_t v, unsigned to)
{
	static const uint8_t reg[3] = { RAX, RDX, RCX };
	const struct ir_ins *i = ins(g, v);
	const uint32_t arg[3] = { i->a, i->b, i->c };
	unsigned f = (unsigned)i->imm, had = g->temps;
	if (to < 16)
		g->temps |= TEMPS & 1u << to;
	for (unsigned k = 0; k < 3; k++) {
		gen_take(g, reg[k]);
		if (fp_opinfo[f].arg[k] == IR_VOID && !(k == 0 && fp_opinfo[f].rm == 2))
			continue;
		gen_into(g, arg[k], reg[k]);
		gen_done(g, arg[k], NOREG);
	}
	x_storei(&g->a, true, (int32_t)(f | mode_of(g, i) << 8), STATE_REG,
	         at(g->c->g.run + offsetof(struct jit_run, detail)));
	x_call_to(&g->a, g->c->w + g->c->t.fp);
	x_mov(&g->a, true, to, RAX);
	g->temps = had;
}

static bool is_compare(unsigned f)
{
	return f == FP_eq_s || f == FP_lt_s || f == FP_le_s || f == FP_eq_d || f == FP_lt_d ||
	       f == FP_le_d || f == FP_ltq_s || f == FP_leq_s || f == FP_ltq_d || f == FP_leq_d;
}

static void compare_into(struct jit_gen *g, const struct ir_ins *i, unsigned to)
{
	unsigned f = (unsigned)i->imm, t = gen_temp(g), u = gen_temp(g);
	bool d = is_double(f), le = f == FP_le_s || f == FP_le_d || f == FP_leq_s || f == FP_leq_d;
	bool quiet = f == FP_ltq_s || f == FP_ltq_d || f == FP_leq_s || f == FP_leq_d;
	value(g, i->a, 1);
	value(g, i->b, 2);
	if (f == FP_eq_s || f == FP_eq_d) {
		compare(g, d, false, 1, 2);
		asm_rr8(&g->a, false, 0x0f90 | CC_NP, 0, t);
		asm_rr8(&g->a, false, 0x0f90 | CC_E, 0, u);
		x_alu(&g->a, false, ALU_AND, t, u);
	} else { /* a < b is b > a, which is false when unordered */
		compare(g, d, !quiet, 2, 1);
		asm_rr8(&g->a, false, 0x0f90 | (le ? CC_AE : CC_A), 0, t);
	}
	asm_rr8(&g->a, false, 0x0fb6, to, t);
	gen_temp_free(g, t);
	gen_temp_free(g, u);
}

/* Signed conversions: what does not fit gives the smallest integer and is made again. */
static bool to_int(struct jit_gen *g, const struct ir_ins *i, unsigned to)
{
	unsigned f = (unsigned)i->imm, rm = mode_of(g, i);
	bool w = f == FP_cvt_l_s || f == FP_cvt_l_d, d = is_double(f);
	if (!(w || f == FP_cvt_w_s || f == FP_cvt_w_d) || (rm != RM_RTZ && rm != RM_DYNAMIC))
		return false;
	value(g, i->a, 1);
	asm_vrr(&g->a, 1, d ? 3 : 2, w, rm == RM_RTZ ? 0x2c : 0x2d, to, 0, 1);
	x_alui(&g->a, w, ALU_CMP, to, 1);
	struct slow *s = gen_slow(g, SLOW_FP, x_jcc32(&g->a, CC_O));
	s->imm = (int64_t)(f | rm << 8);
	s->reg = (uint8_t)to;
	return true;
}

void gen_fcall_int(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	if (can_x(g, i)) {
		operation(g, i);
		asm_prr(&g->a, 0x66, i->type == IR_F64, 0x0f7e, 0, to);
	} else if (is_compare((unsigned)i->imm)) {
		compare_into(g, i, to);
	} else if (!to_int(g, i, to)) {
		by_call(g, v, to);
	}
}

/* ---- flags ---- */

/* @to := MXCSR's flags as the guest has them. Overwrites rcx. */
static void mx_read(struct jit_gen *g, unsigned to)
{
	struct jit_asm *a = &g->a;
	int32_t spare = at(g->c->g.run + offsetof(struct jit_run, spare));
	asm_rm(a, false, 0x0fae, 3, STATE_REG, spare); /* stmxcsr */
	x_load(a, false, RCX, STATE_REG, spare);
	x_alui(a, false, ALU_AND, RCX, 0x3f);
	x_movi(a, to, (uint64_t)(uintptr_t)g->c->g.mx_flags);
	asm_rmx(a, false, 0x0fb6, to, to, RCX, 0, 0);
}

void gen_flags(struct jit_gen *g, uint32_t n)
{
	gen_take(g, RAX);
	gen_take(g, RCX);
	mx_read(g, RAX);
	asm_rm(&g->a, false, 0x0a, RAX, STATE_REG, at(g->c->g.fp_flags)); /* or al, [flags] */
	gen_temp_free(g, RCX);
	if (g->uses[n])
		g->loc[n] = RAX;
	else
		gen_temp_free(g, RAX);
}

/* What MXCSR holds may stay when it is part of the new value, which is the usual case: flags that
 * were saved are put back. */
void gen_setflags(struct jit_gen *g, uint32_t n)
{
	struct jit_asm *a = &g->a;
	uint32_t v = ins(g, n)->a;
	unsigned had = g->temps;
	int32_t spare = at(g->c->g.run + offsetof(struct jit_run, spare));
	if (!(had >> RCX & 1) || !(had >> RDX & 1)) {
		g->cannot = true;
		return;
	}
	unsigned r = gen_any(g, v);
	x_mov(a, false, RDX, r);
	x_alui(a, false, ALU_AND, RDX, 31);
	asm_rm8(a, 0x88, RDX, STATE_REG, at(g->c->g.fp_flags));
	asm_rr(a, false, 0xf7, 2, RDX); /* not: what must not be set */
	/* rcx: MXCSR's own flags, then the guest's */
	asm_rm(a, false, 0x0fae, 3, STATE_REG, spare);
	x_load(a, false, RCX, STATE_REG, spare);
	x_alui(a, false, ALU_AND, RCX, 0x3f);
	x_store(a, true, RBX, RSP, -8);
	x_movi(a, RBX, (uint64_t)(uintptr_t)g->c->g.mx_flags);
	asm_rmx(a, false, 0x0fb6, RCX, RBX, RCX, 0, 0);
	x_load(a, true, RBX, RSP, -8);
	x_test(a, false, RCX, RDX);
	uint8_t *same = x_jcc8(a, CC_E);
	x_alumi(a, false, ALU_AND, STATE_REG, spare, ~0x3f);
	asm_rm(a, false, 0x0fae, 2, STATE_REG, spare); /* ldmxcsr */
	x_here8(a, same);
	gen_done(g, v, r);
}
