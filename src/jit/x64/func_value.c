/* SPDX-License-Identifier: Apache-2.0 */
/* Values of functions that units do not have, or have otherwise: floating point as the host has it,
 * memory beyond base, choices, rotations. Arguments are read from slots or are constants. */
#include "jit/x64/func.h"

enum { PP_NONE, PP_66, PP_F3, PP_F2 };

static const struct ir_ins *arg(const struct jit_fn *f, uint32_t v) { return &f->at[v]; }
static bool is_const(const struct ir_ins *i) { return i->op == IR_const; }
/* Of moves: movss, movsd, movups; of arithmetic with one number. */
static unsigned pp_of(uint8_t type)
{
	return type == IR_F32 ? PP_F3 : type == IR_F64 ? PP_F2 : PP_NONE;
}
static uint8_t prefix_of(uint8_t type)
{
	return type == IR_F32 ? 0xf3 : type == IR_F64 ? 0xf2 : 0;
}
#define CONTEXT(field)                                                                             \
	((int32_t)offsetof(struct jit_fn_context, field) - (int32_t)sizeof(struct jit_fn_context))

/* ---- moves ---- */

/* xmm @x := the bits @v */
static void xmm_const(struct jit_fn *f, unsigned x, uint64_t v, bool wide)
{
	struct jit_asm *a = &f->g->a;
	if (!v) {
		asm_vrr(a, 1, PP_NONE, false, 0x57, x, x, x); /* vxorps */
		return;
	}
	x_movi(a, RAX, wide ? v : (uint32_t)v);
	asm_vrr(a, 1, PP_66, wide, 0x6e, x, 0, RAX); /* vmovd, vmovq */
}

static unsigned product(struct jit_fn *f, const struct ir_ins *i);
unsigned fn_xmm(struct jit_fn *f, uint32_t v, unsigned temp)
{
	const struct ir_ins *i = arg(f, v);
	struct jit_asm *a = &f->g->a;
	if (is_const(i)) {
		xmm_const(f, temp, i->imm, i->type == IR_F64);
		return temp;
	}
	if (i->op == IR_fop)
		return product(f, i);
	if (i->op == IR_vconst) {
		fn_vector_const(f, temp, i->imm, arg(f, i->a)->imm);
		return temp;
	}
	struct fn_loc l = fn_loc(f, i);
	if (l.xmm)
		return l.reg;
	if (l.reg == NOREG)
		asm_vrm(a, 1, pp_of(i->type), false, 0x10, temp, 0, l.base, l.disp);
	else
		asm_vrr(a, 1, PP_66, i->type == IR_F64, 0x6e, temp, 0, l.reg);
	return temp;
}

/* Put xmm @x of @type at @to. */
void fn_xmm_put(struct jit_fn *f, unsigned x, uint8_t type, struct fn_loc to)
{
	struct jit_asm *a = &f->g->a;
	if (to.xmm && to.reg != x)
		asm_vrr(a, 1, PP_NONE, false, 0x28, to.reg, 0, x); /* vmovaps */
	else if (to.reg == NOREG)
		asm_vrm(a, 1, pp_of(type), false, 0x11, x, 0, to.base, to.disp);
	else if (!to.xmm)
		asm_vrr(a, 1, PP_66, type == IR_F64, 0x7e, x, 0, to.reg);
}

/* Where a result is made that belongs at @to. */
unsigned fn_xmm_for(struct fn_loc to) { return to.xmm ? to.reg : FP_TEMP; }
unsigned fn_int_for(struct fn_loc to)
{
	return to.reg != NOREG && !to.xmm ? to.reg : (unsigned)RAX;
}

void fn_int_put(struct jit_fn *f, unsigned r, uint8_t type, struct fn_loc to)
{
	struct jit_asm *a = &f->g->a;
	if (to.reg == NOREG)
		x_store(a, type != IR_I32, r, to.base, to.disp);
	else if (!to.xmm && to.reg != r)
		x_mov(a, true, to.reg, r);
	else if (to.xmm)
		asm_vrr(a, 1, PP_66, type != IR_I32, 0x6e, to.reg, 0, r);
}

/* The integer @v in a register: its own, or @temp. */
unsigned fn_int_in(struct jit_fn *f, uint32_t v, unsigned temp)
{
	const struct ir_ins *i = arg(f, v);
	struct jit_asm *a = &f->g->a;
	if (is_const(i)) {
		x_movi(a, temp, i->type == IR_I32 ? (uint32_t)i->imm : i->imm);
		return temp;
	}
	struct fn_loc l = fn_loc(f, i);
	if (l.xmm)
		asm_vrr(a, 1, PP_66, i->type != IR_I32, 0x7e, l.reg, 0, temp);
	else if (l.reg != NOREG)
		return l.reg;
	else
		x_load(a, i->type != IR_I32, temp, l.base, l.disp);
	return temp;
}

/* ---- arithmetic ---- */

/* d := x op y; y where it is */
static void vex_op(struct jit_fn *f, unsigned op, uint8_t type, unsigned d, unsigned x, uint32_t y)
{
	struct jit_asm *a = &f->g->a;
	const struct ir_ins *i = arg(f, y);
	bool in_slot = i->op == IR_get;
	struct fn_loc l = in_slot ? fn_loc(f, i) : (struct fn_loc){0};
	if (in_slot && l.reg == NOREG)
		asm_vrm(a, 1, pp_of(type), false, op, d, x, l.base, l.disp);
	else
		asm_vrr(a, 1, pp_of(type), false, op, d, x, fn_xmm(f, y, 1));
}

/* A product that is used at once, in a register that others leave alone. */
static unsigned product(struct jit_fn *f, const struct ir_ins *i)
{
	enum { PRODUCT = 2 };
	vex_op(f, 0x59, i->type, PRODUCT, fn_xmm(f, i->a, PRODUCT), i->b);
	return PRODUCT;
}

static void ucomis(struct jit_fn *f, uint8_t type, unsigned x, unsigned y)
{
	asm_vrr(&f->g->a, 1, type == IR_F64 ? PP_66 : PP_NONE, false, 0x2e, x, 0, y);
}

/* NaNs as a sum has them; of equal numbers, which differ in their sign at most, both bits. */
static void min_max(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	bool min = i->imm == FOP_min;
	unsigned x = fn_xmm(f, i->a, 0), y = fn_xmm(f, i->b, 1);
	ucomis(f, i->type, x, y);
	uint8_t *nan = x_jcc8(a, CC_P), *same = x_jcc8(a, CC_E);
	asm_vrr(a, 1, pp_of(i->type), false, min ? 0x5d : 0x5f, d, x, y);
	uint8_t *end = x_jmp8(a);
	x_here8(a, nan);
	asm_vrr(a, 1, pp_of(i->type), false, 0x58, d, x, y);
	uint8_t *end2 = x_jmp8(a);
	x_here8(a, same);
	asm_vrr(a, 1, PP_NONE, false, min ? 0x56 : 0x54, d, x, y); /* vorps, vandps */
	x_here8(a, end);
	x_here8(a, end2);
}

/* op with a mask of the context */
void fn_float_mask(struct jit_fn *f, unsigned op, uint8_t type, bool sign, unsigned d, unsigned x)
{
	int32_t at = type == IR_F64 ? (sign ? CONTEXT(sign64) : CONTEXT(abs64))
				    : (sign ? CONTEXT(sign32) : CONTEXT(abs32));
	asm_vrm(&f->g->a, 1, PP_NONE, false, op, d, x, BASE_REG, at);
}

static void from_uint64(struct jit_fn *f, unsigned pp, unsigned d, unsigned r)
{
	struct jit_asm *a = &f->g->a;
	x_test(a, true, r, r);
	uint8_t *large = x_jcc8(a, CC_S);
	asm_vrr(a, 1, pp, true, 0x2a, d, d, r);
	uint8_t *end = x_jmp8(a);
	x_here8(a, large); /* half of it, with the lost bit kept for rounding, twice */
	x_mov(a, true, RAX, r);
	x_mov(a, true, RCX, r);
	x_shi(a, true, SH_SHR, RAX, 1);
	x_alui(a, false, ALU_AND, RCX, 1);
	x_alu(a, true, ALU_OR, RAX, RCX);
	asm_vrr(a, 1, pp, true, 0x2a, d, d, RAX);
	asm_vrr(a, 1, pp, false, 0x58, d, d, d);
	x_here8(a, end);
}

static void from_int(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	bool wide = arg(f, i->a)->type != IR_I32, is_signed = i->imm == FOP_sint;
	unsigned r = fn_int_in(f, i->a, RAX);
	asm_vrr(a, 1, PP_NONE, false, 0x57, d, d, d); /* nothing of what was there */
	if (wide && !is_signed)
		from_uint64(f, pp_of(i->type), d, r);
	else
		asm_vrr(a, 1, pp_of(i->type), wide || !is_signed, 0x2a, d, d, r);
}

static void float_one(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	unsigned x;
	switch ((int)i->imm) {
	case FOP_abs: fn_float_mask(f, 0x54, i->type, false, d, fn_xmm(f, i->a, 0)); break;
	case FOP_neg: fn_float_mask(f, 0x57, i->type, true, d, fn_xmm(f, i->a, 0)); break;
	case FOP_sqrt:
		x = fn_xmm(f, i->a, 0);
		asm_vrr(a, 1, pp_of(i->type), false, 0x51, d, x, x);
		break;
	case FOP_resize:
		x = fn_xmm(f, i->a, 0);
		asm_vrr(a, 1, pp_of(arg(f, i->a)->type), false, 0x5a, d, x, x);
		break;
	case FOP_sint:
	case FOP_uint: from_int(f, i, d); break;
	default: /* vroundss, vroundsd; inexact is not told */
		x = fn_xmm(f, i->a, 0);
		asm_vrr(a, 3, PP_66, false, i->type == IR_F64 ? 0x0b : 0x0a, d, x, x);
		a8(a, i->imm == FOP_ceil    ? 0xa
		      : i->imm == FOP_floor ? 0x9
		      : i->imm == FOP_trunc ? 0xb
					    : 0x8);
	}
}

/* The result of IR_fop @i, a float, at @to. */
void fn_float(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	static const uint8_t ops[] = {
	    [FOP_add] = 0x58, [FOP_sub] = 0x5c, [FOP_mul] = 0x59, [FOP_div] = 0x5e};
	unsigned d = fn_xmm_for(to), x;
	switch ((int)i->imm) {
	case FOP_add:
	case FOP_sub:
	case FOP_mul:
	case FOP_div:
		x = fn_xmm(f, i->a, 0);
		vex_op(f, ops[i->imm], i->type, d, x, i->b);
		break;
	case FOP_min:
	case FOP_max: min_max(f, i, d); break;
	case FOP_copysign:
		x = fn_xmm(f, i->b, 1);
		fn_float_mask(f, 0x54, i->type, true, 1, x);
		fn_float_mask(f, 0x54, i->type, false, 0, fn_xmm(f, i->a, 0));
		asm_vrr(&f->g->a, 1, PP_NONE, false, 0x56, d, 0, 1);
		break;
	default: float_one(f, i, d);
	}
	fn_xmm_put(f, d, i->type, to);
}

struct fn_cond fn_compare(struct jit_fn *f, const struct ir_ins *i)
{
	bool turned = i->imm == FOP_lt || i->imm == FOP_le;
	unsigned x = fn_xmm(f, i->a, 0), y = fn_xmm(f, i->b, 1);
	ucomis(f, arg(f, i->a)->type, turned ? y : x, turned ? x : y);
	if (i->imm == FOP_eq || i->imm == FOP_ne)
		return (struct fn_cond){i->imm == FOP_eq ? CC_E : CC_NE, true};
	return (struct fn_cond){i->imm == FOP_lt || i->imm == FOP_gt ? CC_A : CC_AE, false};
}

static void compare_put(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	struct jit_asm *a = &f->g->a;
	struct fn_cond c = fn_compare(f, i);
	asm_rr8(a, false, 0x0f90 | c.cc, 0, RAX);
	if (c.unordered) {
		asm_rr8(a, false, 0x0f90 | (c.cc == CC_E ? CC_NP : CC_P), 0, RCX);
		x_alu(a, false, c.cc == CC_E ? ALU_AND : ALU_OR, RAX, RCX);
	}
	asm_rr8(a, false, 0x0fb6, RAX, RAX);
	fn_int_put(f, RAX, IR_I32, to);
}

/* ---- memory ---- */

struct fn_beyond fn_place(struct jit_fn *f, uint32_t v)
{
	const struct ir_ins *i = arg(f, v);
	struct jit_asm *a = &f->g->a;
	uint64_t k = 0;
	if (i->op == IR_add && is_const(arg(f, i->b))) {
		k = arg(f, i->b)->imm;
		i = arg(f, i->a);
	}
	if (is_const(i)) {
		k += i->imm;
		if (fits32((int64_t)k))
			return (struct fn_beyond){NOREG, (int32_t)k};
		x_movi(a, RCX, k);
		return (struct fn_beyond){RCX, 0};
	}
	uint32_t n = i->op == IR_zext ? i->a : (uint32_t)(i - f->at);
	unsigned r = RCX;
	if (arg(f, n)->op == IR_get || is_const(arg(f, n))) {
		r = fn_int_in(f, n, RCX);
	} else { /* a sum of 32 bits */
		fn_ready(f);
		gen_take(f->g, RCX);
		gen_into(f->g, n, RCX);
		gen_temp_free(f->g, RCX);
	}
	if (fits32((int64_t)k))
		return (struct fn_beyond){r, (int32_t)k};
	x_movi(a, RDX, k);
	asm_rmx(a, true, 0x8d, RCX, RDX, r, 0, 0);
	return (struct fn_beyond){RCX, 0};
}

void fn_op_at(struct jit_fn *f, unsigned pfx, bool w, unsigned op, unsigned reg,
	      struct fn_beyond p, bool byte)
{
	struct jit_asm *a = &f->g->a;
	struct asm_bytes b = {pfx, pfx != 0};
	bool none = p.index == NOREG;
	bytes_rex(&b, w, reg, none ? 0 : p.index, BASE_REG, byte && reg >= 4);
	bytes_op(&b, op);
	bool far = none ? bytes_mem(&b, reg, BASE_REG, p.disp, 1)
			: bytes_sib(&b, reg, BASE_REG, p.index, 0, p.disp);
	bytes_write_at(a, b, far, p.disp);
}

/* Load @i for put to @to, extended as @ext (NULL: not) says. */
static void load(struct jit_fn *f, const struct ir_ins *i, const struct ir_ins *ext,
		 struct fn_loc to)
{
	struct fn_beyond p = fn_place(f, i->a);
	uint8_t type = ext ? ext->type : i->type;
	if (fn_is_xmm(i->type)) {
		unsigned d = fn_xmm_for(to);
		fn_op_at(f, prefix_of(i->type), false, 0x0f10, d, p, false);
		fn_xmm_put(f, d, i->type, to);
		return;
	}
	bool is_signed = ext && ext->op == IR_sext, w = is_signed && type == IR_I64;
	unsigned d = fn_int_for(to);
	switch (i->imm) {
	case 1: fn_op_at(f, 0, w, is_signed ? 0x0fbe : 0x0fb6, d, p, false); break;
	case 2: fn_op_at(f, 0, w, is_signed ? 0x0fbf : 0x0fb7, d, p, false); break;
	case 4: fn_op_at(f, 0, w, w ? 0x63 : 0x8b, d, p, false); break;
	default: fn_op_at(f, 0, true, 0x8b, d, p, false);
	}
	fn_int_put(f, d, type, to);
}

void fn_store(struct jit_fn *f, uint32_t n)
{
	const struct ir_ins *i = &f->at[n], *v = arg(f, i->b);
	struct jit_asm *a = &f->g->a;
	struct fn_beyond p = fn_place(f, i->a);
	unsigned bytes = (unsigned)i->imm;
	if (fn_is_xmm(v->type) && !is_const(v)) {
		fn_op_at(f, prefix_of(v->type), false, 0x0f11, fn_xmm(f, i->b, 0), p, false);
		return;
	}
	if (is_const(v) && fits32((int64_t)v->imm)) {
		fn_op_at(f, bytes == 2 ? 0x66 : 0, bytes == 8, bytes == 1 ? 0xc6 : 0xc7, 0, p,
			 false);
		for (unsigned k = 0; k < (bytes == 8 ? 4 : bytes); k++)
			a8(a, (unsigned)(v->imm >> 8 * k & 255));
		return;
	}
	unsigned r = fn_int_in(f, i->b, RAX);
	fn_op_at(f, bytes == 2 ? 0x66 : 0, bytes == 8, bytes == 1 ? 0x88 : 0x89, r, p, bytes == 1);
}

/* ---- choices, rotations, bits ---- */

static void choose_float(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	struct jit_asm *a = &f->g->a;
	unsigned c = fn_int_in(f, i->a, RCX), x = fn_xmm(f, i->b, 1), y = fn_xmm(f, i->c, 2);
	x_test(a, false, c, c);
	asm_vrr(a, 1, PP_NONE, false, 0x28, FP_TEMP, 0, x);
	uint8_t *end = x_jcc8(a, CC_NE);
	asm_vrr(a, 1, PP_NONE, false, 0x28, FP_TEMP, 0, y);
	x_here8(a, end);
	fn_xmm_put(f, FP_TEMP, i->type, to);
}

static void choose_int(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	struct jit_asm *a = &f->g->a;
	unsigned x = fn_int_in(f, i->b, RDX), y = fn_int_in(f, i->c, RAX);
	unsigned c = fn_int_in(f, i->a, RCX);
	if (y != RAX)
		x_mov(a, true, RAX, y);
	x_test(a, false, c, c);
	asm_rr(a, i->type != IR_I32, 0x0f40 | CC_NE, RAX, x);
	fn_int_put(f, RAX, i->type, to);
}

static void rotate(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	struct jit_asm *a = &f->g->a;
	unsigned y = fn_int_in(f, i->b, RCX), x = fn_int_in(f, i->a, RAX);
	if (y != RCX)
		x_mov(a, true, RCX, y);
	if (x != RAX)
		x_mov(a, true, RAX, x);
	asm_rr(a, i->type != IR_I32, 0xd3, i->op == IR_rotl ? SH_ROL : SH_ROR, RAX);
	fn_int_put(f, RAX, i->type, to);
}

static void bits(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	if (fn_is_float(i->type)) {
		unsigned r = fn_int_in(f, i->a, RAX), d = fn_xmm_for(to);
		asm_vrr(&f->g->a, 1, PP_66, i->type == IR_F64, 0x6e, d, 0, r);
		fn_xmm_put(f, d, i->type, to);
	} else {
		unsigned x = fn_xmm(f, i->a, 0), d = fn_int_for(to);
		asm_vrr(&f->g->a, 1, PP_66, i->type == IR_I64, 0x7e, x, 0, d);
		fn_int_put(f, d, i->type, to);
	}
}

static void result(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	if (i->type == IR_I32 && to.reg != NOREG && !to.xmm) /* rax may come from a slot */
		x_mov(&f->g->a, false, to.reg, RAX);
	else if (fn_is_float(i->type))
		fn_xmm_put(f, 0, i->type, to);
	else
		fn_int_put(f, RAX, i->type, to);
}

bool fn_put_special(struct jit_fn *f, uint32_t n)
{
	const struct ir_ins *i = &f->at[n], *v = arg(f, i->a);
	bool extends = v->op == IR_sext || v->op == IR_zext;
	struct fn_loc to = fn_loc(f, i);
	if (v->op == IR_load)
		load(f, v, NULL, to);
	else if (extends && arg(f, v->a)->op == IR_load)
		load(f, arg(f, v->a), v, to);
	else if (v->op == IR_fop && fn_is_float(v->type))
		fn_float(f, v, to);
	else if (v->op == IR_fop)
		compare_put(f, v, to);
	else if (v->op == IR_vop)
		fn_vector(f, v, to);
	else if (v->op == IR_amo || v->op == IR_cas)
		fn_atomic(f, v, &to);
	else if (v->op == IR_select && fn_is_xmm(v->type))
		choose_float(f, v, to);
	else if (v->op == IR_select)
		choose_int(f, v, to);
	else if ((v->op == IR_rotl || v->op == IR_rotr) && !is_const(arg(f, v->b)))
		rotate(f, v, to);
	else if (v->op == IR_bits)
		bits(f, v, to);
	else if (v->op == IR_invoke)
		result(f, v, to);
	else if (fn_is_xmm(v->type)) /* a copy, a constant */
		fn_xmm_put(f, fn_xmm(f, i->a, fn_xmm_for(to)), v->type, to);
	else if (v->op == IR_get && to.xmm)
		fn_int_put(f, fn_int_in(f, i->a, RAX), v->type, to);
	else
		return false;
	return true;
}
