/* SPDX-License-Identifier: Apache-2.0 */
/* Floating point: F, D, Zfhmin, Zfa. Arithmetic is an IR call into the fp room; moves and sign
 * injection are integer operations on the bits.
 * Spec: RISC-V Unpriv 20240411 §20, §21, §22, §25 */
#include "isa/riscv/internal.h"

static const struct ir_val none;

/* ---- registers and state ---- */

/* An instruction of F or D is illegal while mstatus.FS is off. RISC-V Priv 20240411 §3.1.6.6 */
static void fp_begin(struct rv_builder *b)
{
	struct ir_val fs = ir_get(b->ir, IR_I32, offsetof(struct rv_hart, fs));
	ir_guard(b->ir, ir_2i(b->ir, IR_ne, fs, 0), RV_EXC_ILLEGAL);
}

static void fp_dirty(struct rv_builder *b)
{
	ir_put(b->ir, offsetof(struct rv_hart, fs), ir_const(b->ir, IR_I32, 3));
}

static struct ir_val bits_as(struct rv_builder *b, enum ir_type t, struct ir_val v)
{
	return ir_emit(b->ir, (struct ir_ins){ .op = IR_bits, .type = (uint8_t)t, .a = v.i });
}

/* A narrow value is valid only with ones above it, else it reads as the canonical NaN. §21.2 */
static struct ir_val unbox(struct rv_builder *b, enum ir_type t, struct ir_val v)
{
	if (t == IR_F64)
		return bits_as(b, t, v);
	uint64_t ones = t == IR_F32 ? 0xffffffff00000000u : 0xffffffffffff0000u;
	uint64_t nan = t == IR_F32 ? FP_NAN_S : FP_NAN_H;
	struct ir_val boxed = ir_2i(b->ir, IR_ltu, v, ones);
	return bits_as(b, t, ir_select(b->ir, boxed, k(b, nan), v));
}

static struct ir_val fs(struct rv_builder *b, enum ir_type t, enum ir_field which)
{
	return unbox(b, t, rv_reg(b, RV_FILE_F, which));
}
static struct ir_val fs1(struct rv_builder *b, enum ir_type t) { return fs(b, t, IR_FIELD_RS1); }
static struct ir_val fs2(struct rv_builder *b, enum ir_type t) { return fs(b, t, IR_FIELD_RS2); }

static void set_fd_bits(struct rv_builder *b, enum ir_type t, struct ir_val v)
{
	uint64_t ones = t == IR_F64 ? 0 : t == IR_F32 ? 0xffffffff00000000u : 0xffffffffffff0000u;
	rv_set_reg(b, RV_FILE_F, ones ? ir_2i(b->ir, IR_or, v, ones) : v);
	fp_dirty(b);
}

/* Write a result and mark the state dirty, which accrued flags need too. */
static void set_fd(struct rv_builder *b, struct ir_val v)
{
	set_fd_bits(b, ir_type_of(b->ir, v), bits_as(b, IR_I64, v));
}

/* The rounding mode; a dynamic one that is reserved is illegal. §20.2 */
static struct ir_val rounding(struct rv_builder *b)
{
	struct ir_val dyn =
	    ir_zext(b->ir, ir_get(b->ir, IR_I32, offsetof(struct rv_hart, frm)), 32);
	if (b->d && b->d->aux != 7)
		return k(b, b->d->aux);
	struct ir_val rm = dyn;
	if (!b->d) {
		struct ir_val aux = rv_field(b, IR_FIELD_AUX);
		rm = ir_select(b->ir, ir_2i(b->ir, IR_eq, aux, 7), dyn, aux);
	}
	ir_guard(b->ir, ir_2i(b->ir, IR_ltu, rm, 5), RV_EXC_ILLEGAL);
	return rm;
}

static struct ir_val maybe_rounding(struct rv_builder *b, enum fp_op f)
{
	return fp_opinfo[f].rm == 1 ? rounding(b) : none;
}

/* ---- families ---- */

static void fd_1(struct rv_builder *b, enum fp_op f)
{
	fp_begin(b);
	struct ir_val rm = maybe_rounding(b, f), x = fs1(b, fp_opinfo[f].arg[0]);
	set_fd(b, ir_fcall(b->ir, f, x, none, none, rm));
}
static void fd_2(struct rv_builder *b, enum fp_op f)
{
	fp_begin(b);
	struct ir_val rm = maybe_rounding(b, f);
	struct ir_val x = fs1(b, fp_opinfo[f].arg[0]), y = fs2(b, fp_opinfo[f].arg[1]);
	set_fd(b, ir_fcall(b->ir, f, x, y, none, rm));
}
static struct ir_val negate(struct rv_builder *b, struct ir_val v, bool really)
{
	enum ir_type t = ir_type_of(b->ir, v);
	if (!really)
		return v;
	uint64_t sign = t == IR_F64 ? 1ull << 63 : 1ull << 31;
	return bits_as(b, t, ir_2i(b->ir, IR_xor, bits_as(b, IR_I64, v), sign));
}
/* (-)a * b (-)+ c with one rounding. §20.6 */
static void fused(struct rv_builder *b, enum fp_op f, bool minus_a, bool minus_c)
{
	enum ir_type t = fp_opinfo[f].ret;
	fp_begin(b);
	struct ir_val rm = rounding(b);
	struct ir_val x = negate(b, fs1(b, t), minus_a), y = fs2(b, t);
	struct ir_val z = negate(b, fs(b, t, IR_FIELD_RS3), minus_c);
	set_fd(b, ir_fcall(b->ir, f, x, y, z, rm));
}
/* Results in x registers: comparisons, classes, conversions. i32 results are sign-extended. */
static void rd_result(struct rv_builder *b, struct ir_val v)
{
	if (ir_type_of(b->ir, v) == IR_I32)
		set_rd_w(b, v);
	else
		set_rd(b, v);
	fp_dirty(b);
}
static void rd_1(struct rv_builder *b, enum fp_op f)
{
	fp_begin(b);
	struct ir_val rm = maybe_rounding(b, f), x = fs1(b, fp_opinfo[f].arg[0]);
	rd_result(b, ir_fcall(b->ir, f, x, none, none, rm));
}
static void rd_2(struct rv_builder *b, enum fp_op f)
{
	fp_begin(b);
	struct ir_val x = fs1(b, fp_opinfo[f].arg[0]), y = fs2(b, fp_opinfo[f].arg[1]);
	rd_result(b, ir_fcall(b->ir, f, x, y, none, none));
}
static void fd_from_x(struct rv_builder *b, enum fp_op f)
{
	fp_begin(b);
	struct ir_val rm = rounding(b), x = rs1(b);
	if (fp_opinfo[f].arg[0] == IR_I32)
		x = w(b, x);
	set_fd(b, ir_fcall(b->ir, f, x, none, none, rm));
}
static void fd_constant(struct rv_builder *b, enum fp_op f)
{
	fp_begin(b);
	set_fd(b, ir_fcall(b->ir, f, rv_field(b, IR_FIELD_RS1), none, none, none));
}

enum sign_rule { SIGN_COPY, SIGN_NOT, SIGN_XOR };
/* fsgnj: the bits of fs1 with a sign made from fs2's. §20.7 */
static void sign_inject(struct rv_builder *b, enum ir_type t, enum sign_rule rule)
{
	uint64_t sign = t == IR_F64 ? 1ull << 63 : 1ull << 31;
	fp_begin(b);
	struct ir_val x = bits_as(b, IR_I64, fs1(b, t));
	if (b->d && b->d->rs1 == b->d->rs2) { /* fmv, fneg, fabs: translators get them plain */
		set_fd_bits(b, t, rule == SIGN_COPY  ? x
		                  : rule == SIGN_NOT ? ir_2i(b->ir, IR_xor, x, sign)
		                                     : ir_2i(b->ir, IR_and, x, ~sign));
		return;
	}
	struct ir_val y = bits_as(b, IR_I64, fs2(b, t));
	if (rule == SIGN_NOT)
		y = ir_2i(b->ir, IR_xor, y, sign);
	y = ir_2i(b->ir, IR_and, y, sign);
	struct ir_val r = rule == SIGN_XOR
		? ir_2(b->ir, IR_xor, x, y)
		: ir_2(b->ir, IR_or, ir_2i(b->ir, IR_and, x, ~sign), y);
	set_fd_bits(b, t, r);
}
static void load(struct rv_builder *b, enum ir_type t, unsigned bytes)
{
	fp_begin(b);
	set_fd_bits(b, t, ir_load(b->ir, rv_address(b), bytes));
}
static void store(struct rv_builder *b, unsigned bytes)
{
	fp_begin(b);
	ir_store(b->ir, rv_address(b), rv_reg(b, RV_FILE_F, IR_FIELD_RS2), bytes);
}
/* fmv.x.*: the low bits, boxed or not, sign-extended. §20.7 */
static void move_to_x(struct rv_builder *b, unsigned bits)
{
	fp_begin(b);
	struct ir_val v = rv_reg(b, RV_FILE_F, IR_FIELD_RS1);
	set_rd(b, bits == 64 ? v : ir_sext(b->ir, v, bits));
}
static void move_from_x(struct rv_builder *b, enum ir_type t)
{
	fp_begin(b);
	set_fd_bits(b, t, rs1(b));
}

/* ---- the instructions ---- */
SEM(flh) { load(b, IR_F16, 2); }
SEM(fsh) { store(b, 2); }
SEM(flw) { load(b, IR_F32, 4); }
SEM(fsw) { store(b, 4); }
SEM(fld) { load(b, IR_F64, 8); }
SEM(fsd) { store(b, 8); }

SEM(fadd_s) { fd_2(b, FP_add_s); }
SEM(fsub_s) { fd_2(b, FP_sub_s); }
SEM(fmul_s) { fd_2(b, FP_mul_s); }
SEM(fdiv_s) { fd_2(b, FP_div_s); }
SEM(fmin_s) { fd_2(b, FP_min_s); }
SEM(fmax_s) { fd_2(b, FP_max_s); }
SEM(fminm_s) { fd_2(b, FP_minm_s); }
SEM(fmaxm_s) { fd_2(b, FP_maxm_s); }
SEM(fsqrt_s) { fd_1(b, FP_sqrt_s); }
SEM(fmadd_s) { fused(b, FP_fma_s, false, false); }
SEM(fmsub_s) { fused(b, FP_fma_s, false, true); }
SEM(fnmsub_s) { fused(b, FP_fma_s, true, false); }
SEM(fnmadd_s) { fused(b, FP_fma_s, true, true); }
SEM(fsgnj_s) { sign_inject(b, IR_F32, SIGN_COPY); }
SEM(fsgnjn_s) { sign_inject(b, IR_F32, SIGN_NOT); }
SEM(fsgnjx_s) { sign_inject(b, IR_F32, SIGN_XOR); }
SEM(feq_s) { rd_2(b, FP_eq_s); }
SEM(flt_s) { rd_2(b, FP_lt_s); }
SEM(fle_s) { rd_2(b, FP_le_s); }
SEM(fltq_s) { rd_2(b, FP_ltq_s); }
SEM(fleq_s) { rd_2(b, FP_leq_s); }
SEM(fclass_s) { rd_1(b, FP_class_s); }
SEM(fcvt_w_s) { rd_1(b, FP_cvt_w_s); }
SEM(fcvt_s_w) { fd_from_x(b, FP_cvt_s_w); }
SEM(fcvt_wu_s) { rd_1(b, FP_cvt_wu_s); }
SEM(fcvt_s_wu) { fd_from_x(b, FP_cvt_s_wu); }
SEM(fcvt_l_s) { rd_1(b, FP_cvt_l_s); }
SEM(fcvt_s_l) { fd_from_x(b, FP_cvt_s_l); }
SEM(fcvt_lu_s) { rd_1(b, FP_cvt_lu_s); }
SEM(fcvt_s_lu) { fd_from_x(b, FP_cvt_s_lu); }
SEM(fround_s) { fd_1(b, FP_round_s); }
SEM(froundnx_s) { fd_1(b, FP_roundnx_s); }
SEM(fli_s) { fd_constant(b, FP_fli_s); }

SEM(fadd_d) { fd_2(b, FP_add_d); }
SEM(fsub_d) { fd_2(b, FP_sub_d); }
SEM(fmul_d) { fd_2(b, FP_mul_d); }
SEM(fdiv_d) { fd_2(b, FP_div_d); }
SEM(fmin_d) { fd_2(b, FP_min_d); }
SEM(fmax_d) { fd_2(b, FP_max_d); }
SEM(fminm_d) { fd_2(b, FP_minm_d); }
SEM(fmaxm_d) { fd_2(b, FP_maxm_d); }
SEM(fsqrt_d) { fd_1(b, FP_sqrt_d); }
SEM(fmadd_d) { fused(b, FP_fma_d, false, false); }
SEM(fmsub_d) { fused(b, FP_fma_d, false, true); }
SEM(fnmsub_d) { fused(b, FP_fma_d, true, false); }
SEM(fnmadd_d) { fused(b, FP_fma_d, true, true); }
SEM(fsgnj_d) { sign_inject(b, IR_F64, SIGN_COPY); }
SEM(fsgnjn_d) { sign_inject(b, IR_F64, SIGN_NOT); }
SEM(fsgnjx_d) { sign_inject(b, IR_F64, SIGN_XOR); }
SEM(feq_d) { rd_2(b, FP_eq_d); }
SEM(flt_d) { rd_2(b, FP_lt_d); }
SEM(fle_d) { rd_2(b, FP_le_d); }
SEM(fltq_d) { rd_2(b, FP_ltq_d); }
SEM(fleq_d) { rd_2(b, FP_leq_d); }
SEM(fclass_d) { rd_1(b, FP_class_d); }
SEM(fcvt_w_d) { rd_1(b, FP_cvt_w_d); }
SEM(fcvt_d_w) { fd_from_x(b, FP_cvt_d_w); }
SEM(fcvt_wu_d) { rd_1(b, FP_cvt_wu_d); }
SEM(fcvt_d_wu) { fd_from_x(b, FP_cvt_d_wu); }
SEM(fcvt_l_d) { rd_1(b, FP_cvt_l_d); }
SEM(fcvt_d_l) { fd_from_x(b, FP_cvt_d_l); }
SEM(fcvt_lu_d) { rd_1(b, FP_cvt_lu_d); }
SEM(fcvt_d_lu) { fd_from_x(b, FP_cvt_d_lu); }
SEM(fround_d) { fd_1(b, FP_round_d); }
SEM(froundnx_d) { fd_1(b, FP_roundnx_d); }
SEM(fli_d) { fd_constant(b, FP_fli_d); }

SEM(fmv_x_w) { move_to_x(b, 32); }
SEM(fmv_x_d) { move_to_x(b, 64); }
SEM(fmv_x_h) { move_to_x(b, 16); }
SEM(fmv_w_x) { move_from_x(b, IR_F32); }
SEM(fmv_d_x) { move_from_x(b, IR_F64); }
SEM(fmv_h_x) { move_from_x(b, IR_F16); }
SEM(fcvt_s_d) { fd_1(b, FP_cvt_s_d); }
SEM(fcvt_d_s) { fd_1(b, FP_cvt_d_s); }
SEM(fcvt_s_h) { fd_1(b, FP_cvt_s_h); }
SEM(fcvt_h_s) { fd_1(b, FP_cvt_h_s); }
SEM(fcvt_d_h) { fd_1(b, FP_cvt_d_h); }
SEM(fcvt_h_d) { fd_1(b, FP_cvt_h_d); }
SEM(fcvtmod_w_d) { rd_1(b, FP_cvtmod_w_d); }
