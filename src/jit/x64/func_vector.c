/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on vectors of 128 bits: most are one instruction of AVX, or a few; C does the others.
 * The result may be in a register of an operand, so it is written last; xmm0, 1 and 2 have the
 * operands that are in no register, xmm2 and 3 are free before that.
 * Spec: SDM2 083 */
#include "jit/x64/func.h"

enum { PP_NONE, PP_66, PP_F3, PP_F2 };
#define CONTEXT(field)                                                                             \
	((int32_t)offsetof(struct jit_fn_context, field) - (int32_t)sizeof(struct jit_fn_context))

enum vkind {
	V_C,     /* no row, and no function below: C does it */
	V_TWO,   /* op x, y */
	V_SWAP,  /* op y, x */
	V_ONE,   /* op x */
	V_IMM1,  /* op x, imm */
	V_IMM,   /* op x, y, imm */
	V_IMMSWAP,
	V_NOT, V_NOTSWAP, /* of two, all bits inverted */
	V_EQUAL,          /* op x, y is x: imm is the comparison */
	V_UNEQUAL,
	V_ZERO,  /* op 0, x */
	V_WIDEN, /* op of the upper half of x */
	V_SHIFT, /* by a count: imm is the group of those by a constant, and which of it */
	V_INT,   /* op of an integer, put into xmm3 */
	V_OTHER  /* by hand */
};
struct vrow {
	uint8_t kind, map, pp, op, imm;
};
#define TWO(name, map, op) [VOP_##name] = {V_TWO, map, PP_66, op, 0},
#define ONE(name, map, op) [VOP_##name] = {V_ONE, map, PP_66, op, 0},
#define ROW(name, ...) [VOP_##name] = {__VA_ARGS__},
#define OTHER(name) [VOP_##name] = {.kind = V_OTHER},
/* both kinds of floats: 66 is the prefix of the wider ones */
#define FLOATS(name, kind, op, imm)                                                                \
	ROW(f32x4_##name, kind, 1, PP_NONE, op, imm) ROW(f64x2_##name, kind, 1, PP_66, op, imm)
/* comparisons of integers: equal and greater, with a sign; of which kind the others are */
#define COMPARE(shape, emap, eq, gmap, gt)                                                         \
	TWO(shape##_eq, emap, eq) ROW(shape##_ne, V_NOT, emap, PP_66, eq, 0)                       \
	TWO(shape##_gt_s, gmap, gt) ROW(shape##_lt_s, V_SWAP, gmap, PP_66, gt, 0)                  \
	ROW(shape##_le_s, V_NOT, gmap, PP_66, gt, 0)                                               \
	ROW(shape##_ge_s, V_NOTSWAP, gmap, PP_66, gt, 0)
#define UNSIGNED(shape, min_map, min, max_map, max, eq)                                            \
	ROW(shape##_le_u, V_EQUAL, min_map, PP_66, min, eq)                                        \
	ROW(shape##_gt_u, V_UNEQUAL, min_map, PP_66, min, eq)                                      \
	ROW(shape##_ge_u, V_EQUAL, max_map, PP_66, max, eq)                                        \
	ROW(shape##_lt_u, V_UNEQUAL, max_map, PP_66, max, eq)
#define SHIFT(shape, group, shl, shr_s, shr_u)                                                     \
	ROW(shape##_shl, V_SHIFT, 1, PP_66, shl, group << 4 | 6)                                   \
	ROW(shape##_shr_s, V_SHIFT, 1, PP_66, shr_s, group << 4 | 4)                               \
	ROW(shape##_shr_u, V_SHIFT, 1, PP_66, shr_u, group << 4 | 2)
#define EXTENDS(to, from, s, u)                                                                    \
	ONE(to##_extend_low_##from##_s, 2, s) ONE(to##_extend_low_##from##_u, 2, u)                \
	ROW(to##_extend_high_##from##_s, V_WIDEN, 2, PP_66, s, 0)                                  \
	ROW(to##_extend_high_##from##_u, V_WIDEN, 2, PP_66, u, 0)
#define PRODUCTS(to, from)                                                                         \
	OTHER(to##_extmul_low_##from##_s) OTHER(to##_extmul_low_##from##_u)                        \
	OTHER(to##_extmul_high_##from##_s) OTHER(to##_extmul_high_##from##_u)
#define EACH(name) OTHER(i8x16_##name) OTHER(i16x8_##name) OTHER(i32x4_##name) OTHER(i64x2_##name)

static const struct vrow rows[VOP_COUNT] = {
    TWO(i8x16_add, 1, 0xfc) TWO(i16x8_add, 1, 0xfd) TWO(i32x4_add, 1, 0xfe) TWO(i64x2_add, 1, 0xd4)
    TWO(i8x16_sub, 1, 0xf8) TWO(i16x8_sub, 1, 0xf9) TWO(i32x4_sub, 1, 0xfa) TWO(i64x2_sub, 1, 0xfb)
    TWO(i8x16_add_sat_s, 1, 0xec) TWO(i16x8_add_sat_s, 1, 0xed)
    TWO(i8x16_add_sat_u, 1, 0xdc) TWO(i16x8_add_sat_u, 1, 0xdd)
    TWO(i8x16_sub_sat_s, 1, 0xe8) TWO(i16x8_sub_sat_s, 1, 0xe9)
    TWO(i8x16_sub_sat_u, 1, 0xd8) TWO(i16x8_sub_sat_u, 1, 0xd9)
    TWO(i16x8_mul, 1, 0xd5) TWO(i32x4_mul, 2, 0x40)
    TWO(i8x16_min_s, 2, 0x38) TWO(i16x8_min_s, 1, 0xea) TWO(i32x4_min_s, 2, 0x39)
    TWO(i8x16_min_u, 1, 0xda) TWO(i16x8_min_u, 2, 0x3a) TWO(i32x4_min_u, 2, 0x3b)
    TWO(i8x16_max_s, 2, 0x3c) TWO(i16x8_max_s, 1, 0xee) TWO(i32x4_max_s, 2, 0x3d)
    TWO(i8x16_max_u, 1, 0xde) TWO(i16x8_max_u, 2, 0x3e) TWO(i32x4_max_u, 2, 0x3f)
    TWO(i8x16_avgr_u, 1, 0xe0) TWO(i16x8_avgr_u, 1, 0xe3)
    ONE(i8x16_abs, 2, 0x1c) ONE(i16x8_abs, 2, 0x1d) ONE(i32x4_abs, 2, 0x1e)
    ROW(i8x16_neg, V_ZERO, 1, PP_66, 0xf8, 0) ROW(i16x8_neg, V_ZERO, 1, PP_66, 0xf9, 0)
    ROW(i32x4_neg, V_ZERO, 1, PP_66, 0xfa, 0) ROW(i64x2_neg, V_ZERO, 1, PP_66, 0xfb, 0)
    TWO(v128_and, 1, 0xdb) TWO(v128_or, 1, 0xeb) TWO(v128_xor, 1, 0xef)
    ROW(v128_andnot, V_SWAP, 1, PP_66, 0xdf, 0)
    COMPARE(i8x16, 1, 0x74, 1, 0x64) COMPARE(i16x8, 1, 0x75, 1, 0x65)
    COMPARE(i32x4, 1, 0x76, 1, 0x66) COMPARE(i64x2, 2, 0x29, 2, 0x37)
    UNSIGNED(i8x16, 1, 0xda, 1, 0xde, 0x74) UNSIGNED(i16x8, 2, 0x3a, 2, 0x3e, 0x75)
    UNSIGNED(i32x4, 2, 0x3b, 2, 0x3f, 0x76)
    SHIFT(i16x8, 1, 0xf1, 0xe1, 0xd1) SHIFT(i32x4, 2, 0xf2, 0xe2, 0xd2)
    ROW(i64x2_shl, V_SHIFT, 1, PP_66, 0xf3, 3 << 4 | 6)
    ROW(i64x2_shr_u, V_SHIFT, 1, PP_66, 0xd3, 3 << 4 | 2)
    TWO(i8x16_narrow_i16x8_s, 1, 0x63) TWO(i8x16_narrow_i16x8_u, 1, 0x67)
    TWO(i16x8_narrow_i32x4_s, 1, 0x6b) TWO(i16x8_narrow_i32x4_u, 2, 0x2b)
    EXTENDS(i16x8, i8x16, 0x20, 0x30) EXTENDS(i32x4, i16x8, 0x23, 0x33)
    EXTENDS(i64x2, i32x4, 0x25, 0x35)
    TWO(i32x4_dot_i16x8_s, 1, 0xf5)
    FLOATS(add, V_TWO, 0x58, 0) FLOATS(sub, V_TWO, 0x5c, 0) FLOATS(mul, V_TWO, 0x59, 0)
    FLOATS(div, V_TWO, 0x5e, 0) FLOATS(sqrt, V_ONE, 0x51, 0)
    FLOATS(pmin, V_SWAP, 0x5d, 0) FLOATS(pmax, V_SWAP, 0x5f, 0)
    FLOATS(eq, V_IMM, 0xc2, 0) FLOATS(ne, V_IMM, 0xc2, 4) FLOATS(lt, V_IMM, 0xc2, 1)
    FLOATS(le, V_IMM, 0xc2, 2) FLOATS(gt, V_IMMSWAP, 0xc2, 1) FLOATS(ge, V_IMMSWAP, 0xc2, 2)
    ROW(f32x4_ceil, V_IMM1, 3, PP_66, 8, 0xa) ROW(f32x4_floor, V_IMM1, 3, PP_66, 8, 0x9)
    ROW(f32x4_trunc, V_IMM1, 3, PP_66, 8, 0xb) ROW(f32x4_nearest, V_IMM1, 3, PP_66, 8, 0x8)
    ROW(f64x2_ceil, V_IMM1, 3, PP_66, 9, 0xa) ROW(f64x2_floor, V_IMM1, 3, PP_66, 9, 0x9)
    ROW(f64x2_trunc, V_IMM1, 3, PP_66, 9, 0xb) ROW(f64x2_nearest, V_IMM1, 3, PP_66, 9, 0x8)
    ROW(f32x4_convert_i32x4_s, V_ONE, 1, PP_NONE, 0x5b, 0)
    ROW(f64x2_convert_low_i32x4_s, V_ONE, 1, PP_F3, 0xe6, 0)
    ROW(f32x4_demote_f64x2_zero, V_ONE, 1, PP_66, 0x5a, 0)
    ROW(f64x2_promote_low_f32x4, V_ONE, 1, PP_NONE, 0x5a, 0)
    ROW(v128_load8x8_s, V_INT, 2, PP_66, 0x20, 0) ROW(v128_load8x8_u, V_INT, 2, PP_66, 0x30, 0)
    ROW(v128_load16x4_s, V_INT, 2, PP_66, 0x23, 0) ROW(v128_load16x4_u, V_INT, 2, PP_66, 0x33, 0)
    ROW(v128_load32x2_s, V_INT, 2, PP_66, 0x25, 0) ROW(v128_load32x2_u, V_INT, 2, PP_66, 0x35, 0)
    OTHER(v128_load32_zero) OTHER(v128_load64_zero)
    EACH(splat) EACH(all_true) EACH(bitmask) EACH(replace_lane)
    OTHER(f32x4_splat) OTHER(f64x2_splat) OTHER(f32x4_replace_lane) OTHER(f64x2_replace_lane)
    OTHER(f32x4_extract_lane) OTHER(f64x2_extract_lane)
    OTHER(i8x16_extract_lane_s) OTHER(i8x16_extract_lane_u) OTHER(i16x8_extract_lane_s)
    OTHER(i16x8_extract_lane_u) OTHER(i32x4_extract_lane) OTHER(i64x2_extract_lane)
    OTHER(v128_not) OTHER(v128_bitselect) OTHER(v128_any_true)
    OTHER(i8x16_shl) OTHER(i8x16_shr_s) OTHER(i8x16_shr_u) OTHER(i64x2_shr_s)
    OTHER(i64x2_abs) OTHER(i64x2_mul) OTHER(i16x8_q15mulr_sat_s)
    OTHER(i8x16_swizzle) OTHER(i8x16_shuffle)
    PRODUCTS(i16x8, i8x16) PRODUCTS(i32x4, i16x8) PRODUCTS(i64x2, i32x4)
    OTHER(i16x8_extadd_pairwise_i8x16_s) OTHER(i16x8_extadd_pairwise_i8x16_u)
    OTHER(i32x4_extadd_pairwise_i16x8_s) OTHER(i32x4_extadd_pairwise_i16x8_u)
    OTHER(f32x4_abs) OTHER(f64x2_abs) OTHER(f32x4_neg) OTHER(f64x2_neg)
    OTHER(f32x4_min) OTHER(f32x4_max) OTHER(f64x2_min) OTHER(f64x2_max)
    OTHER(i32x4_trunc_sat_f32x4_s) OTHER(i32x4_trunc_sat_f64x2_s_zero)
    OTHER(i32x4_trunc_sat_f64x2_u_zero) OTHER(f32x4_convert_i32x4_u)
    OTHER(f64x2_convert_low_i32x4_u) OTHER(i8x16_popcnt)
    OTHER(f32x4_relaxed_madd) OTHER(f32x4_relaxed_nmadd)
    OTHER(f64x2_relaxed_madd) OTHER(f64x2_relaxed_nmadd)
};

static unsigned vop_of(const struct ir_ins *i) { return (unsigned)i->imm & 0xffff; }
static unsigned lane_of(const struct ir_ins *i) { return (unsigned)(i->imm >> 16) & 15; }
static const struct ir_ins *arg(const struct jit_fn *f, uint32_t v) { return &f->at[v]; }

bool fn_calls(const struct ir_ins *i)
{
	return i->op == IR_invoke || (i->op == IR_vop && rows[vop_of(i)].kind == V_C);
}

/* ---- what sequences are made of ---- */

static void op(struct jit_fn *f, unsigned map, unsigned o, unsigned d, unsigned x, unsigned y)
{
	asm_vrr(&f->g->a, map, PP_66, false, o, d, x, y);
}
static void op_imm(struct jit_fn *f, unsigned map, unsigned o, unsigned d, unsigned x, unsigned y,
		   unsigned imm)
{
	op(f, map, o, d, x, y);
	a8(&f->g->a, imm & 255);
}
static void zero(struct jit_fn *f, unsigned d) { op(f, 1, 0xef, d, d, d); }
static void ones(struct jit_fn *f, unsigned d) { op(f, 1, 0x76, d, d, d); }

/* xmm @d := 4 times @v */
static void repeat(struct jit_fn *f, unsigned d, uint32_t v)
{
	const uint64_t twice = (uint64_t)v << 32 | v;
	fn_const_load(f, d, twice, twice);
}

void fn_vector_const(struct jit_fn *f, unsigned x, uint64_t lo, uint64_t hi)
{
	if (!lo && !hi)
		zero(f, x);
	else if (!~lo && !~hi)
		ones(f, x);
	else
		fn_const_load(f, x, lo, hi);
}

/* ---- rows ---- */

/* The shift @r of @x by @count: a constant, or modulo the width. */
static void shift(struct jit_fn *f, const struct ir_ins *i, const struct vrow *r, unsigned d,
		  unsigned x)
{
	static const uint8_t masks[] = {0, 15, 31, 63};
	struct jit_asm *a = &f->g->a;
	const struct ir_ins *count = arg(f, i->b);
	unsigned group = r->imm >> 4;
	if (count->op == IR_const) { /* the register is the operand vvvv */
		op_imm(f, 1, 0x70 + group, r->imm & 15, d, x, (unsigned)count->imm & masks[group]);
		return;
	}
	unsigned c = fn_int_in(f, i->b, RAX);
	x_mov(a, false, RAX, c);
	x_alui(a, false, ALU_AND, RAX, masks[group]);
	op(f, 1, 0x6e, 3, 0, RAX);
	op(f, 1, r->op, d, x, 3);
}

static void by_row(struct jit_fn *f, const struct ir_ins *i, const struct vrow *r, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	bool last = r->kind == V_TWO || r->kind == V_SWAP || r->kind == V_IMM ||
		    r->kind == V_IMMSWAP; /* op makes the result */
	bool two = last || (r->kind >= V_NOT && r->kind <= V_UNEQUAL);
	unsigned x = r->kind == V_INT ? 3 : fn_xmm(f, i->a, 0), y = two ? fn_xmm(f, i->b, 1) : 0;
	bool turned = r->kind == V_SWAP || r->kind == V_IMMSWAP || r->kind == V_NOTSWAP;
	unsigned first = turned ? y : x, second = turned ? x : y;
	switch ((int)r->kind) {
	case V_ONE:
	case V_IMM1: asm_vrr(a, r->map, r->pp, false, r->op, d, 0, x); break;
	case V_ZERO:
		zero(f, 3);
		op(f, r->map, r->op, d, 3, x);
		break;
	case V_WIDEN:
		op_imm(f, 1, 0x70, 3, 0, x, 0xee);
		op(f, r->map, r->op, d, 0, 3);
		break;
	case V_INT:
		asm_vrr(a, 1, PP_66, true, 0x6e, 3, 0, fn_int_in(f, i->a, RAX));
		op(f, r->map, r->op, d, 0, 3);
		break;
	case V_SHIFT: shift(f, i, r, d, x); break;
	default: asm_vrr(a, r->map, r->pp, false, r->op, last ? d : 3, first, second);
	}
	if (r->kind == V_IMM || r->kind == V_IMM1 || r->kind == V_IMMSWAP)
		a8(a, r->imm);
	if (r->kind == V_EQUAL || r->kind == V_UNEQUAL) /* with x, which is as it was */
		op(f, 1, r->imm, r->kind == V_EQUAL ? d : 3, 3, x);
	if (r->kind == V_NOT || r->kind == V_NOTSWAP || r->kind == V_UNEQUAL) {
		ones(f, 2);
		op(f, 1, 0xef, d, 3, 2);
	}
}

/* ---- scalars into lanes, and out of them ---- */

static void splat(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	bool wide = vop_of(i) == VOP_i64x2_splat || vop_of(i) == VOP_v128_load64_zero;
	asm_vrr(a, 1, PP_66, wide, 0x6e, 3, 0, fn_int_in(f, i->a, RAX));
	switch ((int)vop_of(i)) {
	case VOP_i8x16_splat:
		zero(f, 2);
		op(f, 2, 0x00, d, 3, 2);
		break;
	case VOP_i16x8_splat:
		asm_vrr(a, 1, PP_F2, false, 0x70, 3, 0, 3);
		a8(a, 0);
		op_imm(f, 1, 0x70, d, 0, 3, 0);
		break;
	case VOP_i32x4_splat: op_imm(f, 1, 0x70, d, 0, 3, 0); break;
	case VOP_i64x2_splat: op(f, 1, 0x6c, d, 3, 3); break;
	default: op(f, 1, 0x6f, d, 0, 3); /* zeros are there already */
	}
}

static void replace(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	unsigned x = fn_xmm(f, i->a, 0), lane = lane_of(i), y;
	switch ((int)vop_of(i)) {
	case VOP_f32x4_replace_lane:
		y = fn_xmm(f, i->b, 1);
		op_imm(f, 3, 0x21, d, x, y, lane << 4);
		return;
	case VOP_f64x2_replace_lane:
		y = fn_xmm(f, i->b, 1);
		asm_vrr(a, 1, lane ? PP_NONE : PP_F2, false, lane ? 0x16 : 0x10, d, x, y);
		return;
	default: break;
	}
	unsigned r = fn_int_in(f, i->b, RAX);
	bool wide = vop_of(i) == VOP_i64x2_replace_lane;
	if (vop_of(i) == VOP_i16x8_replace_lane)
		op_imm(f, 1, 0xc4, d, x, r, lane);
	else
		asm_vrr(a, 3, PP_66, wide, vop_of(i) == VOP_i8x16_replace_lane ? 0x20 : 0x22, d, x,
			r);
	if (vop_of(i) != VOP_i16x8_replace_lane)
		a8(a, lane);
}

static void extract_float(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	unsigned x = fn_xmm(f, i->a, 0), lane = lane_of(i);
	if (lane) {
		unsigned d = fn_xmm_for(to);
		op_imm(f, 1, 0x70, d, 0, x, i->type == IR_F64 ? 0xee : lane);
		x = d;
	}
	fn_xmm_put(f, x, i->type, to);
}

/* Truth of flag E: inverted, of NE */
static void truth_put(struct jit_fn *f, unsigned cc, struct fn_loc to)
{
	struct jit_asm *a = &f->g->a;
	asm_rr8(a, false, 0x0f90 | cc, 0, RAX);
	asm_rr8(a, false, 0x0fb6, RAX, RAX);
	fn_int_put(f, RAX, IR_I32, to);
}

static void all_true(struct jit_fn *f, unsigned x, unsigned map, unsigned equal, struct fn_loc to)
{
	zero(f, 3);
	op(f, map, equal, 3, x, 3);
	op(f, 2, 0x17, 3, 0, 3);
	truth_put(f, CC_E, to);
}

/* The integer result of @i. */
static void to_int(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	struct jit_asm *a = &f->g->a;
	unsigned x = fn_xmm(f, i->a, 0), lane = lane_of(i), d = fn_int_for(to);
	switch ((int)vop_of(i)) {
	case VOP_v128_any_true:
		op(f, 2, 0x17, x, 0, x);
		truth_put(f, CC_NE, to);
		return;
	case VOP_i8x16_all_true: all_true(f, x, 1, 0x74, to); return;
	case VOP_i16x8_all_true: all_true(f, x, 1, 0x75, to); return;
	case VOP_i32x4_all_true: all_true(f, x, 1, 0x76, to); return;
	case VOP_i64x2_all_true: all_true(f, x, 2, 0x29, to); return;
	case VOP_i8x16_bitmask: op(f, 1, 0xd7, d, 0, x); break;
	case VOP_i16x8_bitmask:
		zero(f, 3);
		op(f, 1, 0x63, 3, x, 3);
		op(f, 1, 0xd7, d, 0, 3);
		break;
	case VOP_i32x4_bitmask: asm_vrr(a, 1, PP_NONE, false, 0x50, d, 0, x); break;
	case VOP_i64x2_bitmask: op(f, 1, 0x50, d, 0, x); break;
	case VOP_i8x16_extract_lane_s:
		op_imm(f, 3, 0x14, x, 0, RAX, lane);
		asm_rr8(a, false, 0x0fbe, d, RAX);
		break;
	case VOP_i8x16_extract_lane_u: op_imm(f, 3, 0x14, x, 0, d, lane); break;
	case VOP_i16x8_extract_lane_s:
		op_imm(f, 1, 0xc5, RAX, 0, x, lane);
		asm_rr(a, false, 0x0fbf, d, RAX);
		break;
	case VOP_i16x8_extract_lane_u: op_imm(f, 1, 0xc5, d, 0, x, lane); break;
	default:
		asm_vrr(a, 3, PP_66, i->type == IR_I64, 0x16, x, 0, d);
		a8(a, lane);
	}
	fn_int_put(f, d, i->type, to);
}

/* ---- shuffles ---- */

/* Those that are one instruction: the lanes, and whether it takes only x. */
static const struct pattern {
	uint8_t op, lane; /* bytes of a lane */
	bool high;
} patterns[] = {
    {0x60, 1, false}, {0x61, 2, false}, {0x62, 4, false}, {0x6c, 8, false},
    {0x68, 1, true},  {0x69, 2, true},  {0x6a, 4, true},  {0x6d, 8, true},
};

/* Does the pattern interleave lanes of x and y as @m does? */
static bool interleaves(const struct pattern *p, const uint8_t m[16])
{
	for (unsigned k = 0; k < 16; k++) {
		unsigned n = k / p->lane, from = n / 2 * p->lane + k % p->lane + (p->high ? 8 : 0);
		if (m[k] != from + (n & 1 ? 16 : 0))
			return false;
	}
	return true;
}

static bool shuffle_one(struct jit_fn *f, const uint8_t m[16], unsigned d, unsigned x, unsigned y)
{
	bool words = true, runs = true;
	unsigned imm = 0;
	for (unsigned k = 0; k < 16; k++) {
		words &= m[k] < 16 && (k % 4 ? m[k] == m[k - 1] + 1 : m[k] % 4 == 0);
		runs &= m[k] == (m[0] + k) % 32;
	}
	if (words) {
		for (unsigned k = 0; k < 4; k++)
			imm |= m[4 * k] / 4u << 2 * k;
		op_imm(f, 1, 0x70, d, 0, x, imm);
		return true;
	}
	if (runs) { /* bytes of both, one after the other */
		bool turned = m[0] >= 16;
		op_imm(f, 3, 0x0f, d, turned ? x : y, turned ? y : x, m[0] & 15);
		return true;
	}
	for (unsigned k = 0; k < countof(patterns); k++)
		if (interleaves(&patterns[k], m)) {
			op(f, 1, patterns[k].op, d, x, y);
			return true;
		}
	return false;
}

/* xmm @d := bytes of @x as @m chooses those of side @side, 0 for the other one */
static void shuffle_part(struct jit_fn *f, const uint8_t m[16], unsigned side, unsigned d,
			 unsigned x)
{
	uint8_t mine[16];
	for (unsigned k = 0; k < 16; k++)
		mine[k] = m[k] / 16 == side ? m[k] & 15 : 0x80;
	fn_vector_const(f, 3, le64_at(mine), le64_at(mine + 8));
	op(f, 2, 0x00, d, x, 3);
}

static void shuffle(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	const struct ir_ins *c = arg(f, i->c), *ax = arg(f, i->a), *ay = arg(f, i->b);
	uint8_t m[16];
	unsigned sides = 0;
	bool same = ax->op == IR_get && ay->op == IR_get && ax->d == ay->d;
	for (unsigned k = 0; k < 16; k++) {
		uint64_t half = k < 8 ? c->imm : arg(f, c->a)->imm;
		m[k] = (uint8_t)(half >> 8 * (k & 7) & (same ? 15 : 31));
		sides |= 1u << m[k] / 16;
	}
	unsigned x = fn_xmm(f, i->a, 0), y = same ? x : fn_xmm(f, i->b, 1);
	for (unsigned k = 0; k < 16 && sides == 2; k++)
		m[k] &= 15;
	if (sides == 2)
		x = y;
	if (shuffle_one(f, m, d, x, y))
		return;
	if (sides != 3) {
		shuffle_part(f, m, 0, d, x);
		return;
	}
	shuffle_part(f, m, 0, 2, x);
	shuffle_part(f, m, 1, 3, y);
	op(f, 1, 0xeb, d, 2, 3);
}

static void swizzle(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0), y = fn_xmm(f, i->b, 1);
	repeat(f, 3, 0x70707070);
	op(f, 1, 0xdc, 3, y, 3); /* from 16 on, the highest bit: 0 */
	op(f, 2, 0x00, d, x, 3);
}

/* ---- integers by hand ---- */

/* Bytes are shifted as upper halves of words. */
static void shift_bytes(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	static const uint8_t ops[] = {0xf1, 0xe1, 0xd1};
	struct jit_asm *a = &f->g->a;
	unsigned x = fn_xmm(f, i->a, 0), c = fn_int_in(f, i->b, RAX);
	unsigned which = vop_of(i) - VOP_i8x16_shl;
	x_mov(a, false, RAX, c);
	x_alui(a, false, ALU_AND, RAX, 7);
	x_alui(a, false, ALU_ADD, RAX, 8);
	op(f, 1, 0x6e, 3, 0, RAX);
	op(f, 1, 0x68, 2, x, x);
	op(f, 1, 0x60, 0, x, x);
	op(f, 1, ops[which], 2, 2, 3);
	op(f, 1, ops[which], 0, 0, 3);
	if (!which) {
		op_imm(f, 1, 0x71, 2, 2, 2, 8);
		op_imm(f, 1, 0x71, 2, 0, 0, 8);
	}
	op(f, 1, which == 1 ? 0x63 : 0x67, d, 0, 2);
}

static void shift_signed64(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	unsigned x = fn_xmm(f, i->a, 0), c = fn_int_in(f, i->b, RAX);
	x_mov(a, false, RAX, c);
	x_alui(a, false, ALU_AND, RAX, 63);
	op(f, 1, 0x6e, 3, 0, RAX);
	asm_vrm(a, 1, PP_NONE, false, 0x10, 2, 0, BASE_REG, CONTEXT(sign64));
	op(f, 1, 0xd3, 2, 2, 3);
	op(f, 1, 0xd3, 0, x, 3);
	op(f, 1, 0xef, 0, 0, 2);
	op(f, 1, 0xfb, d, 0, 2);
}

static void multiply64(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0), y = fn_xmm(f, i->b, 1);
	op_imm(f, 1, 0x73, 2, 2, x, 32);
	op(f, 1, 0xf4, 2, 2, y);
	op_imm(f, 1, 0x73, 2, 3, y, 32);
	op(f, 1, 0xf4, 3, 3, x);
	op(f, 1, 0xd4, 2, 2, 3);
	op_imm(f, 1, 0x73, 6, 2, 2, 32);
	op(f, 1, 0xf4, 3, x, y);
	op(f, 1, 0xd4, d, 2, 3);
}

/* Products of halves: of extended lanes, or, 64 bits wide, of every other lane. */
static void products(struct jit_fn *f, const struct ir_ins *i, unsigned vop, unsigned d)
{
	static const struct {
		uint16_t low_s, low_u, high_s, high_u;
		uint8_t ext_s, ext_u, map, mul;
	} all[] = {
	    {VOP_i16x8_extmul_low_i8x16_s, VOP_i16x8_extmul_low_i8x16_u,
	     VOP_i16x8_extmul_high_i8x16_s, VOP_i16x8_extmul_high_i8x16_u, 0x20, 0x30, 1, 0xd5},
	    {VOP_i32x4_extmul_low_i16x8_s, VOP_i32x4_extmul_low_i16x8_u,
	     VOP_i32x4_extmul_high_i16x8_s, VOP_i32x4_extmul_high_i16x8_u, 0x23, 0x33, 2, 0x40},
	    {VOP_i64x2_extmul_low_i32x4_s, VOP_i64x2_extmul_low_i32x4_u,
	     VOP_i64x2_extmul_high_i32x4_s, VOP_i64x2_extmul_high_i32x4_u, 0, 0, 0, 0},
	};
	unsigned x = fn_xmm(f, i->a, 0), y = fn_xmm(f, i->b, 1), k = 0;
	while (vop != all[k].low_s && vop != all[k].low_u && vop != all[k].high_s &&
	       vop != all[k].high_u)
		k++;
	bool high = vop == all[k].high_s || vop == all[k].high_u;
	bool is_signed = vop == all[k].low_s || vop == all[k].high_s;
	if (!all[k].ext_s) {
		op_imm(f, 1, 0x70, 2, 0, x, high ? 0xfa : 0x50);
		op_imm(f, 1, 0x70, 3, 0, y, high ? 0xfa : 0x50);
		op(f, is_signed ? 2 : 1, is_signed ? 0x28 : 0xf4, d, 2, 3);
		return;
	}
	if (high) {
		op_imm(f, 1, 0x70, 2, 0, x, 0xee);
		op_imm(f, 1, 0x70, 3, 0, y, 0xee);
		x = 2;
		y = 3;
	}
	op(f, 2, is_signed ? all[k].ext_s : all[k].ext_u, 2, 0, x);
	op(f, 2, is_signed ? all[k].ext_s : all[k].ext_u, 3, 0, y);
	op(f, all[k].map, all[k].mul, d, 2, 3);
}

static void pairs(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0);
	switch ((int)vop_of(i)) {
	case VOP_i16x8_extadd_pairwise_i8x16_s:
		repeat(f, 3, 0x01010101);
		op(f, 2, 0x04, d, 3, x); /* bytes of the first operand have no sign */
		break;
	case VOP_i16x8_extadd_pairwise_i8x16_u:
		repeat(f, 3, 0x01010101);
		op(f, 2, 0x04, d, x, 3);
		break;
	case VOP_i32x4_extadd_pairwise_i16x8_s:
		repeat(f, 3, 0x00010001);
		op(f, 1, 0xf5, d, x, 3);
		break;
	default:
		op_imm(f, 1, 0x72, 2, 2, x, 16);
		op_imm(f, 1, 0x72, 6, 3, x, 16);
		op_imm(f, 1, 0x72, 2, 3, 3, 16);
		op(f, 1, 0xfe, d, 2, 3);
	}
}

static void rounded_product(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0), y = fn_xmm(f, i->b, 1);
	op(f, 2, 0x0b, 2, x, y);
	repeat(f, 3, 0x80008000); /* the one result that does not fit */
	op(f, 1, 0x75, 3, 3, 2);
	op(f, 1, 0xef, d, 2, 3);
}

/* Bits of each half of a byte, by table. */
static void count_bits(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0);
	repeat(f, 3, 0x0f0f0f0f);
	op(f, 1, 0xdb, 2, x, 3);
	op_imm(f, 1, 0x71, 2, 0, x, 4);
	op(f, 1, 0xdb, 0, 0, 3);
	fn_vector_const(f, 3, 0x0302020102010100, 0x0403030203020201);
	op(f, 2, 0x00, 2, 3, 2);
	op(f, 2, 0x00, 0, 3, 0);
	op(f, 1, 0xfc, d, 2, 0);
}

/* ---- floats by hand ---- */

/* Both halves are exact; the sum is rounded. */
static void from_unsigned(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	unsigned x = fn_xmm(f, i->a, 0);
	op_imm(f, 1, 0x72, 2, 2, x, 16);
	op_imm(f, 1, 0x72, 6, 3, x, 16);
	op_imm(f, 1, 0x72, 2, 3, 3, 16);
	asm_vrr(a, 1, PP_NONE, false, 0x5b, 2, 0, 2);
	asm_vrr(a, 1, PP_NONE, false, 0x5b, 3, 0, 3);
	repeat(f, 0, 0x47800000); /* 65536 */
	asm_vrr(a, 1, PP_NONE, false, 0x59, 2, 2, 0);
	asm_vrr(a, 1, PP_NONE, false, 0x58, d, 2, 3);
}

#define WIDE(x) (x), (x)
/* The low bits of 2^52 and more are a number's. */
static void wide_from_unsigned(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0);
	repeat(f, 3, 0x43300000);
	op(f, 1, 0x62, 2, x, 3);
	fn_vector_const(f, 3, WIDE(0x4330000000000000));
	op(f, 1, 0x5c, d, 2, 3);
}

static void wide_trunc_signed(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0);
	op_imm(f, 1, 0xc2, 3, x, x, 7); /* ordered: a NaN becomes 0 */
	fn_vector_const(f, 2, WIDE(0x41dfffffffc00000)); /* 2^31 - 1 */
	op(f, 1, 0x54, 3, 3, 2);
	op(f, 1, 0x5d, 2, x, 3);
	op(f, 1, 0xe6, d, 0, 2); /* below -2^31: 0x80000000 */
}

static void wide_trunc_unsigned(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0);
	zero(f, 3);
	op(f, 1, 0x5f, 2, x, 3); /* a NaN becomes 0 */
	fn_vector_const(f, 0, WIDE(0x41efffffffe00000)); /* 2^32 - 1 */
	op(f, 1, 0x5d, 2, 2, 0);
	op_imm(f, 3, 0x09, 2, 0, 2, 0xb);
	fn_vector_const(f, 0, WIDE(0x4330000000000000));
	op(f, 1, 0x58, 2, 2, 0);
	asm_vrr(&f->g->a, 1, PP_NONE, false, 0xc6, d, 2, 3);
	a8(&f->g->a, 0x88);
}
#undef WIDE

/* NaNs as a sum has them; of equal numbers, which differ in their sign at most, both bits. */
static void min_max(struct jit_fn *f, const struct ir_ins *i, bool min, bool wide, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	unsigned pp = wide ? PP_66 : PP_NONE, x = fn_xmm(f, i->a, 0), y = fn_xmm(f, i->b, 1);
	asm_vrr(a, 1, pp, false, min ? 0x5d : 0x5f, 2, x, y);
	asm_vrr(a, 1, pp, false, min ? 0x5d : 0x5f, 3, y, x);
	asm_vrr(a, 1, pp, false, min ? 0x56 : 0x54, 2, 2, 3);
	asm_vrr(a, 1, pp, false, 0xc2, 3, x, y);
	a8(a, 3); /* unordered */
	asm_vrr(a, 1, pp, false, 0x58, 0, x, y);
	op_imm(f, 3, wide ? 0x4b : 0x4a, d, 2, 0, 3 << 4);
}

static void trunc_saturated(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	struct jit_asm *a = &f->g->a;
	unsigned x = fn_xmm(f, i->a, 0);
	asm_vrr(a, 1, PP_NONE, false, 0xc2, 3, x, x);
	a8(a, 7); /* ordered: a NaN becomes 0 */
	asm_vrr(a, 1, PP_NONE, false, 0x54, 3, x, 3);
	repeat(f, 2, 0x4f000000);
	asm_vrr(a, 1, PP_NONE, false, 0xc2, 2, 2, 3);
	a8(a, 2); /* 2^31 or above: 0x80000000 becomes the largest */
	asm_vrr(a, 1, PP_F3, false, 0x5b, 0, 0, 3);
	op(f, 1, 0xef, d, 0, 2);
}

static void product_sum(struct jit_fn *f, const struct ir_ins *i, bool wide, bool negated,
			unsigned d)
{
	struct jit_asm *a = &f->g->a;
	unsigned pp = wide ? PP_66 : PP_NONE, x = fn_xmm(f, i->a, 0), y = fn_xmm(f, i->b, 1);
	unsigned z = fn_xmm(f, i->c, 2);
	if (negated)
		fn_float_mask(f, 0x57, wide ? IR_F64 : IR_F32, true, 3, x);
	asm_vrr(a, 1, pp, false, 0x59, 3, negated ? 3 : x, y);
	asm_vrr(a, 1, pp, false, 0x58, d, 3, z);
}

/* ---- all ---- */

static void logic(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0);
	if (vop_of(i) == VOP_v128_not) {
		ones(f, 3);
		op(f, 1, 0xef, d, x, 3);
		return;
	}
	unsigned y = fn_xmm(f, i->b, 1), z = fn_xmm(f, i->c, 2);
	op(f, 1, 0xdb, 3, x, z);
	op(f, 1, 0xdf, 0, z, y);
	op(f, 1, 0xeb, d, 0, 3);
}

static void absolute64(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned x = fn_xmm(f, i->a, 0);
	zero(f, 3);
	op(f, 2, 0x37, 3, 3, x);
	op(f, 1, 0xef, 2, x, 3);
	op(f, 1, 0xfb, d, 2, 3);
}

static void by_hand(struct jit_fn *f, const struct ir_ins *i, unsigned d)
{
	unsigned vop = vop_of(i);
	switch ((int)vop) {
	case VOP_v128_not:
	case VOP_v128_bitselect: logic(f, i, d); break;
	case VOP_i8x16_shl:
	case VOP_i8x16_shr_s:
	case VOP_i8x16_shr_u: shift_bytes(f, i, d); break;
	case VOP_i64x2_shr_s: shift_signed64(f, i, d); break;
	case VOP_i64x2_abs: absolute64(f, i, d); break;
	case VOP_i64x2_mul: multiply64(f, i, d); break;
	case VOP_i16x8_q15mulr_sat_s: rounded_product(f, i, d); break;
	case VOP_i8x16_swizzle: swizzle(f, i, d); break;
	case VOP_i8x16_shuffle: shuffle(f, i, d); break;
	case VOP_i16x8_extadd_pairwise_i8x16_s:
	case VOP_i16x8_extadd_pairwise_i8x16_u:
	case VOP_i32x4_extadd_pairwise_i16x8_s:
	case VOP_i32x4_extadd_pairwise_i16x8_u: pairs(f, i, d); break;
	case VOP_f32x4_min: min_max(f, i, true, false, d); break;
	case VOP_f32x4_max: min_max(f, i, false, false, d); break;
	case VOP_f64x2_min: min_max(f, i, true, true, d); break;
	case VOP_f64x2_max: min_max(f, i, false, true, d); break;
	case VOP_f32x4_abs: fn_float_mask(f, 0x54, IR_F32, false, d, fn_xmm(f, i->a, 0)); break;
	case VOP_f64x2_abs: fn_float_mask(f, 0x54, IR_F64, false, d, fn_xmm(f, i->a, 0)); break;
	case VOP_f32x4_neg: fn_float_mask(f, 0x57, IR_F32, true, d, fn_xmm(f, i->a, 0)); break;
	case VOP_f64x2_neg: fn_float_mask(f, 0x57, IR_F64, true, d, fn_xmm(f, i->a, 0)); break;
	case VOP_i32x4_trunc_sat_f32x4_s: trunc_saturated(f, i, d); break;
	case VOP_i32x4_trunc_sat_f64x2_s_zero: wide_trunc_signed(f, i, d); break;
	case VOP_i32x4_trunc_sat_f64x2_u_zero: wide_trunc_unsigned(f, i, d); break;
	case VOP_f32x4_convert_i32x4_u: from_unsigned(f, i, d); break;
	case VOP_f64x2_convert_low_i32x4_u: wide_from_unsigned(f, i, d); break;
	case VOP_i8x16_popcnt: count_bits(f, i, d); break;
	case VOP_f32x4_relaxed_madd: product_sum(f, i, false, false, d); break;
	case VOP_f32x4_relaxed_nmadd: product_sum(f, i, false, true, d); break;
	case VOP_f64x2_relaxed_madd: product_sum(f, i, true, false, d); break;
	case VOP_f64x2_relaxed_nmadd: product_sum(f, i, true, true, d); break;
	case VOP_i8x16_replace_lane:
	case VOP_i16x8_replace_lane:
	case VOP_i32x4_replace_lane:
	case VOP_i64x2_replace_lane:
	case VOP_f32x4_replace_lane:
	case VOP_f64x2_replace_lane: replace(f, i, d); break;
	case VOP_f32x4_splat: op_imm(f, 1, 0x70, d, 0, fn_xmm(f, i->a, 0), 0); break;
	case VOP_f64x2_splat: op_imm(f, 1, 0x70, d, 0, fn_xmm(f, i->a, 0), 0x44); break;
	case VOP_i8x16_splat:
	case VOP_i16x8_splat:
	case VOP_i32x4_splat:
	case VOP_i64x2_splat:
	case VOP_v128_load32_zero:
	case VOP_v128_load64_zero: splat(f, i, d); break;
	default: products(f, i, vop, d);
	}
}

/* C does it, with operands in the context. */
static void call(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	struct jit_asm *a = &f->g->a;
	const uint32_t args[] = {i->a, i->b, i->c};
	for (unsigned k = 0; k < countof(args); k++) {
		int32_t at = CONTEXT(vector) + 16 * (int32_t)k;
		if (k && args[k] == args[0])
			continue;
		if (fn_is_xmm(arg(f, args[k])->type))
			asm_vrm(a, 1, PP_NONE, false, 0x11, fn_xmm(f, args[k], 0), 0, BASE_REG, at);
		else
			x_store(a, true, fn_int_in(f, args[k], RAX), BASE_REG, at);
	}
	fn_lost_move(f, false);
	x_lea(a, RDI, BASE_REG, CONTEXT(vector));
	x_mov(a, true, RSI, RDI);
	x_lea(a, RDX, BASE_REG, CONTEXT(vector) + 16);
	x_lea(a, RCX, BASE_REG, CONTEXT(vector) + 32);
	x_movi(a, R8, lane_of(i));
	x_load(a, true, RAX, BASE_REG, CONTEXT(vectors));
	asm_rm(a, false, 0xff, 2, RAX, (int32_t)(vop_of(i) * f->c->fn.vector_step));
	fn_lost_move(f, true);
	if (fn_is_xmm(i->type)) {
		unsigned d = fn_xmm_for(to);
		asm_vrm(a, 1, PP_NONE, false, 0x10, d, 0, BASE_REG, CONTEXT(vector));
		fn_xmm_put(f, d, i->type, to);
	} else {
		x_load(a, i->type != IR_I32, RAX, BASE_REG, CONTEXT(vector));
		fn_int_put(f, RAX, i->type, to);
	}
}

void fn_vector(struct jit_fn *f, const struct ir_ins *i, struct fn_loc to)
{
	const struct vrow *r = &rows[vop_of(i)];
	if (r->kind == V_C) {
		call(f, i, to);
	} else if (i->type == IR_F32 || i->type == IR_F64) {
		extract_float(f, i, to);
	} else if (i->type != IR_V128) {
		to_int(f, i, to);
	} else {
		unsigned d = fn_xmm_for(to);
		if (r->kind == V_OTHER)
			by_hand(f, i, d);
		else
			by_row(f, i, r, d);
		fn_xmm_put(f, d, IR_V128, to);
	}
}
