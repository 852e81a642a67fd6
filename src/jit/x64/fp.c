/* SPDX-License-Identifier: Apache-2.0 */
/* Floating point on the host's FPU. MXCSR holds the guest's rounding mode and collects its flags
 * while generated code runs; a result that is a NaN, and what the FPU cannot do in just the guest's
 * way, goes to the fp room by a C call. xmm0 is the result, xmm1..3 the arguments.
 * Spec: RISC-V Unpriv 20240411 §20, §21 through the IR; SDM1 083 §11.5 */
#include "jit/x64/internal.h"

enum { FLAG_NV = 16 };
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

/* The f register that @v reads unchanged; @v is i64. */
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

static void xmm_mov(struct jit_gen *g, unsigned to, unsigned from)
{
	if (to != from)
		asm_vrr(&g->a, 1, 0, false, 0x28, to, 0, from); /* vmovaps */
}

/* The f32 in home @h, which need not be boxed. */
static unsigned unbox_home(struct jit_gen *g, unsigned h, unsigned x)
{
	unsigned t = gen_temp(g);
	asm_prr(&g->a, 0x66, false, 0x0f3a16, h, t); /* pextrd t, h, 1 */
	a8(&g->a, 1);
	xmm_mov(g, x, h);
	x_alui(&g->a, false, ALU_CMP, t, -1);
	gen_slow(g, SLOW_NAN, x_jcc32(&g->a, CC_NE))->reg = (uint8_t)x;
	g->slow[g->nslow - 1].back = g->a.p;
	gen_temp_free(g, t);
	return x;
}

/* An f32 out of its box, in @x or a home: select(x < ones, NaN, x). NOREG: it is none. */
static unsigned unbox(struct jit_gen *g, uint32_t v, unsigned x)
{
	const struct ir_ins *i = ins(g, v);
	int32_t slot;
	unsigned n, h;
	if (i->op != IR_select || !slot_of(g, i->c, &slot, &n))
		return NOREG;
	h = gen_fhome(g, ins(g, i->c)->imm);
	if (h != NOREG) /* a NaN of f64 that waits might look boxed */
		gen_lazy_flush(g, 1u << n & ~g->lazy_single);
	if (h != NOREG)
		return g->boxed >> n & 1 ? h : unbox_home(g, h, x);
	if (!(g->boxed >> n & 1)) {
		x_alumi(&g->a, false, ALU_CMP, STATE_REG, slot + 4, -1);
		struct slow *s = gen_slow(g, SLOW_NAN, x_jcc32(&g->a, CC_NE));
		asm_prm(&g->a, 0xf3, false, 0x0f10, x, STATE_REG, slot);
		s->reg = (uint8_t)x;
		s->back = g->a.p;
		return x;
	}
	asm_prm(&g->a, 0xf3, false, 0x0f10, x, STATE_REG, slot);
	return x;
}

/* Are the bits @v those of a value, @ret, with its sign turned by an exclusive or? */
static bool is_turned(const struct jit_gen *g, uint32_t v, bool d, uint32_t *ret)
{
	const struct ir_ins *i = ins(g, v), *b = ins(g, i->a);
	int64_t k, sign = d ? INT64_MIN : INT64_C(1) << 31;
	if (i->op != IR_xor || !gen_is_const(g, i->b, &k) || k != sign || b->op != IR_bits ||
	    ins(g, b->a)->type != (d ? IR_F64 : IR_F32))
		return false;
	*ret = b->a;
	return true;
}

/* The same of a value @v. */
static bool is_negated(const struct jit_gen *g, uint32_t v, uint32_t *ret)
{
	const struct ir_ins *i = ins(g, v);
	return i->op == IR_bits && is_turned(g, i->a, i->type == IR_F64, ret);
}

static bool negated(struct jit_gen *g, uint32_t v, unsigned x, bool d);

/* @v (f32 or f64) in xmm @x, or in the home of an f register. */
static unsigned value(struct jit_gen *g, uint32_t v, unsigned x)
{
	const struct ir_ins *i = ins(g, v);
	bool d = i->type == IR_F64;
	int32_t slot;
	unsigned n, h;
	if (i->op != IR_bits) {
		g->cannot = true;
		return x;
	}
	if (d && slot_of(g, i->a, &slot, &n)) {
		h = gen_fhome(g, ins(g, i->a)->imm);
		if (h != NOREG)
			return h;
		asm_prm(&g->a, 0xf2, false, 0x0f10, x, STATE_REG, slot);
		return x;
	}
	if (!d && (h = unbox(g, i->a, x)) != NOREG)
		return h;
	if (negated(g, i->a, x, d))
		return x;
	unsigned r = gen_any(g, i->a);
	asm_prr(&g->a, 0x66, d, 0x0f6e, x, r);
	gen_done(g, i->a, r);
	return x;
}

static bool negated(struct jit_gen *g, uint32_t v, unsigned x, bool d)
{
	uint32_t plain;
	if (!is_turned(g, v, d, &plain))
		return false;
	unsigned r = gen_temp(g);
	unsigned from = value(g, plain, x);
	asm_prr(&g->a, 0x66, d, 0x0f7e, from, r);
	asm_rr(&g->a, d, 0x0fba, 7, r); /* btc r, top */
	a8(&g->a, d ? 63 : 31);
	asm_prr(&g->a, 0x66, d, 0x0f6e, x, r);
	gen_temp_free(g, r);
	return true;
}

/* ---- operations ---- */

static void or_flags(struct jit_asm *a, int32_t flags, unsigned v)
{
	asm_rm(a, false, 0x80, ALU_OR, STATE_REG, flags);
	a8(a, v);
}

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

/* The slow way of @f, whose arguments are in @arg, into @to. */
static struct slow *slow_fp(struct jit_gen *g, uint8_t *from, int64_t what, const uint8_t arg[3],
                            unsigned to)
{
	struct slow *s = gen_slow(g, SLOW_FP, from);
	s->imm = what;
	s->reg = (uint8_t)to;
	memcpy(s->arg, arg, sizeof s->arg);
	s->boxed = g->own && fp_opinfo[what & 255].ret == IR_F32;
	return s;
}

/* A result that is no number is made again by the fp room: payloads, flags. */
static struct slow *fp_check(struct jit_gen *g, const struct ir_ins *f, const uint8_t arg[3],
                             unsigned to)
{
	compare(g, fp_opinfo[f->imm].ret == IR_F64, false, to, to);
	return slow_fp(g, x_jcc32(&g->a, CC_P), (int64_t)(f->imm | mode_of(g, f) << 8), arg,
	               XMM + to);
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

static void from_int(struct jit_gen *g, const struct ir_ins *i, unsigned to)
{
	unsigned f = (unsigned)i->imm, keep = 0;
	bool d = fp_opinfo[f].ret == IR_F64, is_u = f == FP_cvt_d_wu || f == FP_cvt_s_wu;
	bool w = f == FP_cvt_d_l || f == FP_cvt_s_l;
	unsigned r = gen_any(g, i->a), t = r;
	if (is_u) {
		t = gen_temp(g);
		x_mov(&g->a, false, t, r);
	}
	if (g->own && !d)
		keep = XMM_ONES; /* boxes it, too */
	else
		asm_vrr(&g->a, 1, 0, false, 0x57, 0, 0, 0); /* vxorps xmm0: no dependence */
	asm_vrr(&g->a, 1, d ? 3 : 2, w || is_u, 0x2a, to, keep, t);
	if (is_u)
		gen_temp_free(g, t);
	gen_done(g, i->a, r);
}

/* The smaller or larger of two numbers; zeros of two signs and NaNs go the slow way. */
static void min_max(struct jit_gen *g, const struct ir_ins *i, bool d, const uint8_t arg[3],
                    unsigned to)
{
	unsigned f = (unsigned)i->imm;
	compare(g, d, false, arg[0], arg[1]);
	struct slow *s = slow_fp(g, x_jcc32(&g->a, CC_E), (int64_t)(f | RM_NONE << 8), arg,
	                         XMM + to);
	asm_vrr(&g->a, 1, d ? 3 : 2, false, f == FP_min_d || f == FP_min_s ? 0x5d : 0x5f, to,
	        arg[0], arg[1]);
	s->back = g->a.p;
}

/* What of (-)a * b (-)+ c is turned: bit 0 a, bit 2 c, as slow.negate has it. @ret: what to
 * compute with instead. */
static unsigned fma_signs(const struct jit_gen *g, const struct ir_ins *i, struct ir_ins *ret)
{
	uint32_t *arg[3] = { &ret->a, &ret->b, &ret->c }, from;
	unsigned negate = 0;
	*ret = *i;
	for (unsigned k = 0; k < 3; k += 2)
		if (is_negated(g, *arg[k], &from)) {
			*arg[k] = from;
			negate |= 1u << k;
		}
	return negate;
}

/* Operations whose NaN may wait (lazy.c). */
static bool may_wait(unsigned f)
{
	return arith(f) || f == FP_sqrt_s || f == FP_sqrt_d || f == FP_cvt_s_d || f == FP_cvt_d_s;
}

/* May @v (f32 or f64) be an operand in memory? */
static bool in_memory(const struct jit_gen *g, uint32_t v, int32_t *ret)
{
	const struct ir_ins *i = ins(g, v);
	unsigned n;
	if (i->op != IR_bits)
		return false;
	bool d = i->type == IR_F64;
	uint32_t slot = d ? i->a : ins(g, i->a)->c;
	if (!d && (ins(g, i->a)->op != IR_select || g->loc[i->a] != NOREG))
		return false;
	return slot_of(g, slot, ret, &n) && gen_fhome(g, ins(g, slot)->imm) == NOREG &&
	       (d || g->boxed >> n & 1);
}

/* @to, the home of f register @n, := @i, whose NaN may wait. So nobody needs its arguments any more
 * when it is done. */
static void operation_lazy(struct jit_gen *g, const struct ir_ins *i, unsigned n, unsigned to)
{
	struct jit_asm *a = &g->a;
	unsigned f = (unsigned)i->imm, pp = is_double(f) ? 3 : 2, x, y;
	bool narrow = fp_opinfo[f].ret == IR_F32, commutes = arith(f) == 0x58 || arith(f) == 0x59;
	uint32_t b = i->b;
	int32_t slot;
	if (arith(f) && commutes && in_memory(g, i->a, &slot)) {
		x = value(g, b, 1);
		b = i->a;
	} else {
		x = value(g, i->a, 1);
	}
	bool boxed = x >= XMM_FIRST; /* the upper half comes from the first source */
	if (f == FP_cvt_s_d) {
		asm_vrr(a, 1, 3, false, 0x5a, to, XMM_ONES, x);
		boxed = true;
	} else if (f == FP_cvt_d_s) {
		asm_vrr(a, 1, 2, false, 0x5a, to, x, x);
	} else if (!arith(f)) {
		asm_vrr(a, 1, pp, false, 0x51, to, x, x);
	} else if (in_memory(g, b, &slot)) {
		asm_vrm(a, 1, pp, false, arith(f), to, x, STATE_REG, slot);
	} else {
		y = value(g, b, 2);
		asm_vrr(a, 1, pp, false, arith(f), to, x, y);
	}
	if (narrow && !boxed) { /* vblendps to, ones, to, 1 */
		asm_vrr(a, 3, 1, false, 0x0c, to, XMM_ONES, to);
		a8(a, 1);
	}
	gen_lazy_add(g, n, narrow);
}

/* vf[n]madd231s, vf[n]msub231s: @acc += @x[0] * @x[1], but for signs */
static void fused(struct jit_gen *g, bool d, unsigned negate, unsigned acc, const uint8_t x[3])
{
	asm_vrr(&g->a, 2, 1, d, 0xb9 | (negate & 1) << 2 | (negate & 4) >> 1, acc, x[0], x[1]);
}

/* The same where @x[2], a home, is the result. */
static void fused_in_place(struct jit_gen *g, unsigned f, unsigned negate, const uint8_t x[3])
{
	bool d = f == FP_fma_d;
	fused(g, d, negate, x[2], x);
	compare(g, d, false, x[2], x[2]);
	struct slow *s = gen_slow(g, SLOW_FUSED, x_jcc32(&g->a, CC_P));
	s->imm = d;
	memcpy(s->arg, x, sizeof s->arg);
}

/* A NaN, whatever c was. Its flags are the host's but for one: infinity times zero is invalid, also
 * when c is a quiet NaN. */
void gen_slow_fused(struct jit_gen *g, const struct slow *s)
{
	struct jit_asm *a = &g->a;
	bool d = s->imm;
	int32_t spare = at(g->c->g.run + offsetof(struct jit_run, spare));
	asm_rm(a, false, 0x0fae, 3, STATE_REG, spare); /* stmxcsr */
	asm_vrr(a, 1, d ? 3 : 2, false, 0x59, 0, s->arg[0], s->arg[1]);
	compare(g, d, false, 0, 0);
	uint8_t *number = x_jcc8(a, CC_NP);
	compare(g, d, false, s->arg[0], s->arg[1]);
	uint8_t *was_none = x_jcc8(a, CC_P);
	or_flags(a, at(g->c->g.fp_flags), FLAG_NV);
	x_here8(a, number);
	x_here8(a, was_none);
	asm_rm(a, false, 0x0fae, 2, STATE_REG, spare); /* ldmxcsr */
	gen_canonical(g, !d, s->arg[2]);
	x_jmp_to(a, s->back);
}

/* @i into a register: @to if need be, which may be an argument. Units with maps of their own: f32
 * come boxed. */
static void operation(struct jit_gen *g, const struct ir_ins *i, unsigned to)
{
	unsigned f = (unsigned)i->imm, res = to, negate = 0;
	bool d = is_double(f), narrow = g->own && fp_opinfo[f].ret == IR_F32;
	struct jit_asm *a = &g->a;
	struct ir_ins plain;
	uint8_t x[3] = { 1, 2, 3 };
	g->flags_in = 0;
	if (is_from_int(f)) {
		from_int(g, i, to);
		return;
	}
	if (f == FP_fma_s || f == FP_fma_d) {
		negate = fma_signs(g, i, &plain);
		i = &plain;
	}
	x[0] = (uint8_t)value(g, i->a, 1);
	if (fp_opinfo[f].arg[1] != IR_VOID)
		x[1] = (uint8_t)value(g, i->b, 2);
	if (fp_opinfo[f].arg[2] != IR_VOID)
		x[2] = (uint8_t)value(g, i->c, 3);
	if ((f == FP_fma_s || f == FP_fma_d) && to == x[2] && to != x[0] && to != x[1]) {
		fused_in_place(g, f, negate, x);
		return;
	}
	/* the slow way needs the arguments */
	if (to == x[0] || to == x[1] || to == x[2])
		res = 0;
	bool boxed = x[0] >= XMM_FIRST; /* the upper half comes from the first source */
	if (arith(f)) {
		asm_vrr(a, 1, d ? 3 : 2, false, arith(f), res, x[0], x[1]);
	} else if (f == FP_sqrt_s || f == FP_sqrt_d) {
		asm_vrr(a, 1, d ? 3 : 2, false, 0x51, res, x[0], x[0]);
	} else if (f == FP_fma_s || f == FP_fma_d) {
		xmm_mov(g, res, x[2]);
		fused(g, d, negate, res, x);
		boxed = x[2] >= XMM_FIRST;
	} else if (f == FP_cvt_s_d) {
		asm_vrr(a, 1, 3, false, 0x5a, res, narrow ? XMM_ONES : x[0], x[0]);
		boxed = true;
	} else if (f == FP_cvt_d_s) {
		asm_vrr(a, 1, 2, false, 0x5a, res, x[0], x[0]);
	} else {
		min_max(g, i, d, x, res);
	}
	if (f != FP_min_s && f != FP_max_s && f != FP_min_d && f != FP_max_d)
		fp_check(g, i, x, res)->negate = (uint8_t)negate;
	if (narrow && !boxed) { /* vblendps to, ones, res, 1 */
		asm_vrr(a, 3, 1, false, 0x0c, to, XMM_ONES, res);
		a8(a, 1);
	} else {
		xmm_mov(g, to, res);
	}
}

/* ---- results ---- */

/* The f register in xmm @h := @v, which is no operation; @narrow: i->a is to be boxed. */
static void home_put(struct jit_gen *g, uint32_t v, unsigned h, bool narrow)
{
	const struct ir_ins *i = ins(g, v);
	unsigned from;
	uint32_t b = narrow ? i->a : v;
	if (ins(g, b)->op == IR_load && g->loc[b] == NOREG && g->uses[b] == 1 &&
	    ins(g, b)->imm == (narrow ? 4 : 8)) {
		gen_load(g, b, XMM + h, false);
		g->uses[b] = 0;
		g->loc[b] = RDX; /* done */
		return;
	}
	if (!narrow && i->op == IR_bits && ins(g, i->a)->op == IR_bits &&
	    ins(g, i->a)->type == IR_F64)
		v = ins(g, i->a)->a;
	if (!narrow && ins(g, v)->op == IR_get && g->loc[v] == NOREG &&
	    (from = gen_fhome(g, ins(g, v)->imm)) != NOREG) {
		gen_lazy_flush_at(g, ins(g, v)->imm);
		xmm_mov(g, h, from);
		return;
	}
	unsigned r = gen_any(g, b);
	if (narrow)
		own_box(g, h, r);
	else
		asm_prr(&g->a, 0x66, true, 0x0f6e, h, r);
	gen_done(g, b, r);
}

bool gen_put_fp(struct jit_gen *g, uint64_t off, uint32_t v)
{
	const struct ir_ins *i = ins(g, v);
	unsigned n = (unsigned)(off - g->c->g.fp_regs) / 8, h = gen_fhome(g, off);
	bool narrow = i->op == IR_or && ins(g, i->b)->op == IR_const && ins(g, i->b)->imm == BOXED;
	const struct ir_ins *b = narrow ? ins(g, i->a) : i;
	bool is_fp = b->op == IR_bits && ins(g, b->a)->op == IR_fcall && can_x(g, ins(g, b->a));
	bool waits = false;
	if (is_fp) {
		const struct ir_ins *f = ins(g, b->a);
		waits = h != NOREG && may_wait((unsigned)f->imm);
		g->flags_in = 0;
		if (waits)
			operation_lazy(g, f, n, h);
		else
			operation(g, f, h != NOREG ? h : 0);
		if (h == NOREG)
			asm_prm(&g->a, f->type == IR_F64 ? 0xf2 : 0xf3, false, 0x0f11, 0, STATE_REG,
			        at(off));
		g->uses[b->a] = 0;
		g->loc[b->a] = RDX; /* done: not again as an effect */
	} else if (h != NOREG) {
		home_put(g, v, h, narrow);
	} else if (narrow) {
		unsigned r = gen_any(g, i->a);
		x_store(&g->a, false, r, STATE_REG, at(off));
		gen_done(g, i->a, r);
	} else {
		g->boxed &= ~(1u << n);
		return false;
	}
	g->boxed &= ~(1u << n);
	g->lazy &= ~(waits ? 0 : 1u << n);
	if (narrow) {
		if (h == NOREG)
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
	gen_thunk_call(g, g->c->t.fp, OWN_FP);
	x_mov(&g->a, true, to, RAX);
	g->temps = had;
}

static bool is_compare(unsigned f)
{
	return f == FP_eq_s || f == FP_lt_s || f == FP_le_s || f == FP_eq_d || f == FP_lt_d ||
	       f == FP_le_d || f == FP_ltq_s || f == FP_leq_s || f == FP_ltq_d || f == FP_leq_d;
}

bool gen_is_fcompare(const struct ir_ins *i)
{
	return i->op == IR_fcall && is_compare((unsigned)i->imm);
}

static void compare_into(struct jit_gen *g, const struct ir_ins *i, unsigned to)
{
	unsigned f = (unsigned)i->imm, t = gen_temp(g), u = gen_temp(g);
	bool d = is_double(f), le = f == FP_le_s || f == FP_le_d || f == FP_leq_s || f == FP_leq_d;
	bool quiet = f == FP_ltq_s || f == FP_ltq_d || f == FP_leq_s || f == FP_leq_d;
	bool eq = f == FP_eq_s || f == FP_eq_d;
	unsigned x = value(g, i->a, 1), y = value(g, i->b, 2);
	struct slow *s = NULL;
	if (g->flags_in) {
		compare(g, d, false, eq ? x : y, eq ? y : x);
		s = gen_slow(g, SLOW_COMPARE, x_jcc32(&g->a, CC_P));
		s->reg = (uint8_t)to;
		s->imm = !eq && !quiet;
		asm_rr8(&g->a, false, 0x0f90 | (eq ? CC_E : le ? CC_AE : CC_A), 0, t);
	} else if (eq) {
		compare(g, d, false, x, y);
		asm_rr8(&g->a, false, 0x0f90 | CC_NP, 0, t);
		asm_rr8(&g->a, false, 0x0f90 | CC_E, 0, u);
		x_alu(&g->a, false, ALU_AND, t, u);
	} else { /* a < b is b > a, which is false when unordered */
		compare(g, d, !quiet, y, x);
		asm_rr8(&g->a, false, 0x0f90 | (le ? CC_AE : CC_A), 0, t);
	}
	asm_rr8(&g->a, false, 0x0fb6, to, t);
	if (s)
		s->back = g->a.p;
	gen_temp_free(g, t);
	gen_temp_free(g, u);
}

void gen_slow_compare(struct jit_gen *g, const struct slow *s)
{
	struct jit_asm *a = &g->a;
	int32_t flags = at(g->c->g.fp_flags);
	int32_t spare = at(g->c->g.run + offsetof(struct jit_run, spare));
	x_movi(a, s->reg, 0);
	if (s->imm)
		or_flags(a, flags, FLAG_NV);
	asm_rm(a, false, 0x0fae, 3, STATE_REG, spare); /* stmxcsr */
	asm_rm(a, false, 0xf6, 0, STATE_REG, spare); /* test byte, IE */
	a8(a, 1);
	x_jcc_to(a, CC_E, s->back);
	or_flags(a, flags, FLAG_NV);
	x_alumi(a, false, ALU_AND, STATE_REG, spare, ~1);
	asm_rm(a, false, 0x0fae, 2, STATE_REG, spare); /* ldmxcsr */
	x_jmp_to(a, s->back);
}

/* Signed conversions: what does not fit gives the smallest integer and is made again. */
static bool to_int(struct jit_gen *g, const struct ir_ins *i, unsigned to)
{
	unsigned f = (unsigned)i->imm, rm = mode_of(g, i);
	bool w = f == FP_cvt_l_s || f == FP_cvt_l_d, d = is_double(f);
	if (!(w || f == FP_cvt_w_s || f == FP_cvt_w_d) || (rm != RM_RTZ && rm != RM_DYNAMIC))
		return false;
	uint8_t x[3] = { (uint8_t)value(g, i->a, 1), 2, 3 };
	g->flags_in = 0;
	asm_vrr(&g->a, 1, d ? 3 : 2, w, rm == RM_RTZ ? 0x2c : 0x2d, to, 0, x[0]);
	x_alui(&g->a, w, ALU_CMP, to, 1);
	slow_fp(g, x_jcc32(&g->a, CC_O), (int64_t)(f | rm << 8), x, to);
	return true;
}

void gen_fcall_int(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	if (can_x(g, i)) {
		operation(g, i, 0);
		asm_prr(&g->a, 0x66, i->type == IR_F64, 0x0f7e, 0, to);
	} else if (is_compare((unsigned)i->imm)) {
		compare_into(g, i, to);
	} else if (!to_int(g, i, to)) {
		by_call(g, v, to);
	}
}

/* ---- flags ----
 * Reading MXCSR is dear: 14 cycles on Zen 5, whatever comes before or behind, and two in a row are
 * 28; writing it is free there, but not everywhere. Compilers make a quiet comparison of frflags, a
 * loud one and fsflags. So flags_in remembers who holds all that MXCSR has: comparisons put what
 * they raise elsewhere while somebody does, and a write of it need not look into MXCSR. */

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
	if (!g->uses[n])
		return;
	gen_take(g, RAX);
	gen_take(g, RCX);
	mx_read(g, RAX);
	asm_rm(&g->a, false, 0x0a, RAX, STATE_REG, at(g->c->g.fp_flags)); /* or al, [flags] */
	gen_temp_free(g, RCX);
	g->loc[n] = RAX;
}

void gen_flags_put(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	if (i->imm % 8 || i->imm >= 8 * 32)
		return;
	if (ins(g, i->a)->op == IR_flags)
		g->flags_in |= 1u << i->imm / 8;
	else
		g->flags_in &= ~(1u << i->imm / 8);
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
	const struct ir_ins *from = ins(g, v);
	bool part = from->op == IR_get && from->imm % 8 == 0 && from->imm < 8 * 32 &&
	            g->flags_in >> from->imm / 8 & 1;
	unsigned r = gen_any(g, v);
	x_mov(a, false, RDX, r);
	x_alui(a, false, ALU_AND, RDX, 31);
	asm_rm8(a, 0x88, RDX, STATE_REG, at(g->c->g.fp_flags));
	if (part) { /* MXCSR has none that is not in it */
		gen_done(g, v, r);
		return;
	}
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
