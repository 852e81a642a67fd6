/* SPDX-License-Identifier: Apache-2.0 */
/* V: what happens is in helpers (vec.h); here is which scalar operands they get and where
 * results in x and f registers go. Spec: RISC-V Unpriv 20240411 §31 */
#include "isa/riscv/internal.h"

/* ---- what translators may do by themselves, where the type is known ---- */

enum { TYPE_KNOWN = 0x8000 };

static bool overlap(unsigned a, unsigned n, unsigned b, unsigned m)
{
	return a < b + m && b < a + n;
}

/* Do the registers of @e begin groups of 2^@lmul? */
static bool groups_fit(const struct ir_each *e, unsigned lmul, bool scalar)
{
	unsigned rest = lmul < 4 ? (1u << lmul) - 1 : 0;
	if (e->op == IR_EACH_sum || e->op == IR_EACH_fsum)
		return !(e->a & rest);
	if (e->op == IR_EACH_eq || e->op == IR_EACH_ne)
		return !(e->a & rest) && (scalar || !(e->b & rest)) &&
		       (e->d == e->a || !overlap(e->d, 1, e->a, rest + 1)) &&
		       (scalar || e->d == e->b || !overlap(e->d, 1, e->b, rest + 1));
	return !((e->d | e->a | e->b) & rest);
}

/* One operation: its form with vectors, with scalars, with an immediate; RV_OPS: none. */
static const struct each_row {
	uint16_t vv, vx, vi;
	uint8_t each;
	uint8_t widths;         /* a bit for each log2 of bytes */
} each_rows[] = {
	{ RV_OP_vadd_vv, RV_OP_vadd_vx, RV_OP_vadd_vi, IR_EACH_add, 15 },
	{ RV_OP_vsub_vv, RV_OP_vsub_vx, RV_OPS, IR_EACH_sub, 15 },
	{ RV_OP_vand_vv, RV_OP_vand_vx, RV_OP_vand_vi, IR_EACH_and, 15 },
	{ RV_OP_vor_vv, RV_OP_vor_vx, RV_OP_vor_vi, IR_EACH_or, 15 },
	{ RV_OP_vxor_vv, RV_OP_vxor_vx, RV_OP_vxor_vi, IR_EACH_xor, 15 },
	{ RV_OP_vmul_vv, RV_OP_vmul_vx, RV_OPS, IR_EACH_mul, 2 | 4 },
	{ RV_OP_vmacc_vv, RV_OP_vmacc_vx, RV_OPS, IR_EACH_macc, 2 | 4 },
	{ RV_OP_vmv_v_v, RV_OP_vmv_v_x, RV_OP_vmv_v_i, IR_EACH_move, 15 },
	{ RV_OP_vfadd_vv, RV_OP_vfadd_vf, RV_OPS, IR_EACH_fadd, 4 | 8 },
	{ RV_OP_vfsub_vv, RV_OP_vfsub_vf, RV_OPS, IR_EACH_fsub, 4 | 8 },
	{ RV_OP_vfmul_vv, RV_OP_vfmul_vf, RV_OPS, IR_EACH_fmul, 4 | 8 },
	{ RV_OP_vfmacc_vv, RV_OP_vfmacc_vf, RV_OPS, IR_EACH_fmacc, 4 | 8 },
	{ RV_OP_vmseq_vv, RV_OP_vmseq_vx, RV_OP_vmseq_vi, IR_EACH_eq, 1 },
	{ RV_OP_vmsne_vv, RV_OP_vmsne_vx, RV_OP_vmsne_vi, IR_EACH_ne, 1 },
	{ RV_OP_vle8_v, RV_OP_vle8ff_v, RV_OPS, IR_EACH_load, 1 },
	{ RV_OP_vle16_v, RV_OP_vle16ff_v, RV_OPS, IR_EACH_load, 2 },
	{ RV_OP_vle32_v, RV_OP_vle32ff_v, RV_OPS, IR_EACH_load, 4 },
	{ RV_OP_vle64_v, RV_OP_vle64ff_v, RV_OPS, IR_EACH_load, 8 },
	{ RV_OP_vse8_v, RV_OPS, RV_OPS, IR_EACH_store, 1 },
	{ RV_OP_vse16_v, RV_OPS, RV_OPS, IR_EACH_store, 2 },
	{ RV_OP_vse32_v, RV_OPS, RV_OPS, IR_EACH_store, 4 },
	{ RV_OP_vse64_v, RV_OPS, RV_OPS, IR_EACH_store, 8 },
	{ RV_OP_vredsum_vs, RV_OPS, RV_OPS, IR_EACH_sum, 4 | 8 },
	{ RV_OP_vfredusum_vs, RV_OPS, RV_OPS, IR_EACH_fsum, 4 | 8 },
	{ RV_OP_vfredosum_vs, RV_OPS, RV_OPS, IR_EACH_fsum, 4 | 8 },
	{ RV_OP_vfirst_m, RV_OPS, RV_OPS, IR_EACH_first, 15 },
	{ RV_OPS, RV_OP_vmv_s_x, RV_OPS, IR_EACH_put, 15 },
	{ RV_OPS, RV_OP_vfmv_s_f, RV_OPS, IR_EACH_fput, 4 | 8 },
	{ RV_OP_vmv_x_s, RV_OPS, RV_OPS, IR_EACH_get, 15 },
	{ RV_OP_vfmv_f_s, RV_OPS, RV_OPS, IR_EACH_fget, 4 | 8 },
};

/* Is @d, not masked and of the type that it probably has, an operation on each element? */
static bool each_of(const struct rv_insn *d, unsigned op, struct ir_each *ret)
{
	unsigned sew = d->vtype >> 3 & 7, lmul = d->vtype & 7;
	if (!(d->vtype & TYPE_KNOWN) || !(d->word >> 25 & 1))
		return false;
	for (size_t i = 0; i < countof(each_rows); i++) {
		const struct each_row *r = &each_rows[i];
		if (op != r->vv && op != r->vx && op != r->vi)
			continue;
		bool memory = r->each == IR_EACH_load || r->each == IR_EACH_store;
		bool scalar = op != r->vv && !memory;
		*ret = (struct ir_each){ .op = r->each, .d = d->rd & 31, .a = d->rs2,
			.b = d->rs1, .scalar = scalar };
		if (r->each >= IR_EACH_first)
			return r->widths >> sew & 1;
		if (memory || r->each == IR_EACH_move)
			ret->a = 0;
		if (memory || scalar)
			ret->b = 0;
		return r->widths >> sew & 1 && groups_fit(ret, lmul, scalar);
	}
	return false;
}

static struct ir_val call_each(struct rv_builder *b, enum rv_helper h, const struct ir_val v[3],
                               struct ir_each e, unsigned type)
{
	return ir_emit(b->ir, (struct ir_ins){ .op = IR_each, .type = IR_I64, .a = v[0].i,
		.b = v[1].i, .c = v[2].i, .d = ir_each_pack(e),
		.imm = (uint64_t)h | (uint64_t)((type & 0xff) | IR_KEY) << 32 });
}

/* The operation is read from the decoded instruction, so that all are one to the interpreter. */
static struct ir_val template_what(struct rv_builder *b)
{
	struct ir_val n = ir_2(b->ir, IR_or, rv_field(b, IR_FIELD_RS3),
	                       ir_2i(b->ir, IR_shl, rv_field(b, IR_FIELD_AUX), 8));
	n = ir_2i(b->ir, IR_shl, ir_2i(b->ir, IR_add, n, RV_OP_vsetvli), 32);
	return ir_2(b->ir, IR_or, ir_zext(b->ir, imm(b), 32), n);
}

static struct ir_val vector(struct rv_builder *b, unsigned op, struct ir_val x, struct ir_val y)
{
	struct ir_val what = b->d ? k(b, (uint64_t)op << 32 | b->d->word) : template_what(b);
	struct ir_each e;
	if (b->d && each_of(b->d, op, &e))
		return call_each(b, RV_HELP_vector, (struct ir_val[3]){ what, x, y }, e,
		                 b->d->vtype);
	return rv_call(b, RV_HELP_vector, what, x, y);
}

static void vector_V(struct rv_builder *b, unsigned op) { vector(b, op, k(b, 0), k(b, 0)); }
static void vector_X(struct rv_builder *b, unsigned op) { vector(b, op, rs1(b), k(b, 0)); }
static void vector_XX(struct rv_builder *b, unsigned op) { vector(b, op, rs1(b), rs2(b)); }
static void vector_F(struct rv_builder *b, unsigned op)
{
	vector(b, op, rv_reg(b, RV_FILE_F, IR_FIELD_RS1), k(b, 0));
}
static void vector_U(struct rv_builder *b, unsigned op)
{
	vector(b, op, rv_field(b, IR_FIELD_RS1), k(b, 0));
}
static void vector_I(struct rv_builder *b, unsigned op)
{
	vector(b, op, ir_sext(b->ir, rv_field(b, IR_FIELD_RS1), 5), k(b, 0));
}
static void vector_TO_X(struct rv_builder *b, unsigned op)
{
	set_rd(b, vector(b, op, k(b, 0), k(b, 0)));
}
static void vector_TO_F(struct rv_builder *b, unsigned op)
{
	rv_set_reg(b, RV_FILE_F, vector(b, op, k(b, 0), k(b, 0)));
}

#define VEC(name, scalar, vd, vs2, vs1, flags, run, kernel)                                        \
	SEM(name) { vector_##scalar(b, RV_OP_##name); }
#include "isa/riscv/vec.def"

/* Is @type, of an immediate, one that exists whatever VLEN is? */
static bool type_exists(unsigned type)
{
	unsigned sew = type >> 3 & 7, lmul = type & 7;
	return !(type >> 8) && sew < 4 && lmul != 4 && (lmul < 4 || sew + 8 <= 3 + lmul);
}

static void vset_call(struct rv_builder *b, const struct ir_val v[3])
{
	unsigned type = b->d ? b->d->word >> 20 & (b->d->op == RV_OP_vsetivli ? 0x3ff : 0x7ff) : 0;
	if (b->d && b->d->op != RV_OP_vsetvl && type_exists(type))
		set_rd(b, call_each(b, RV_HELP_vset, v,
		                    (struct ir_each){ .op = IR_EACH_begin }, type));
	else
		set_rd(b, rv_call(b, RV_HELP_vset, v[0], v[1], v[2]));
}

/* rs1 = x0: with rd = x0 vl stays, else it becomes the longest. §31.6.2 */
static void vset(struct rv_builder *b, struct ir_val type)
{
	if (b->d) {
		bool no_rd = b->d->rd == 32, no_rs1 = !b->d->rs1;
		vset_call(b, (struct ir_val[3]){ no_rs1 ? k(b, UINT64_MAX) : rs1(b), type,
		                                 k(b, !no_rs1 ? 0 : no_rd ? 1 : 2) });
		return;
	}
	struct ir_val no_rs1 = ir_2i(b->ir, IR_eq, rv_field(b, IR_FIELD_RS1), 0);
	struct ir_val no_rd = ir_2i(b->ir, IR_eq, rv_field(b, IR_FIELD_RD), 0);
	struct ir_val how = ir_select(b->ir, no_rd, k(b, 1), k(b, 2));
	how = ir_select(b->ir, no_rs1, how, k(b, 0));
	set_rd(b, rv_call(b, RV_HELP_vset, rs1(b), type, how));
}

static struct ir_val type_bits(struct rv_builder *b, uint64_t mask)
{
	if (b->d)
		return k(b, b->d->word >> 20 & mask);
	return ir_2i(b->ir, IR_and, ir_2i(b->ir, IR_shr, imm(b), 20), mask);
}

SEM(vsetvli) { vset(b, type_bits(b, 0x7ff)); }
SEM(vsetvl) { vset(b, rs2(b)); }
SEM(vsetivli)
{
	vset_call(b, (struct ir_val[3]){ rv_field(b, IR_FIELD_RS1), type_bits(b, 0x3ff),
	                                 k(b, 0) });
}
