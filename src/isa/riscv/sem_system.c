/* SPDX-License-Identifier: Apache-2.0 */
/* CSR access, returns from traps, waiting, address-translation fences and cache blocks: what
 * happens is in the helpers; here is only what they are given and that the block ends.
 * Spec: RISC-V Unpriv 20240411 §7, §15; RISC-V Priv 20240411 §3.3, §10.2.1, §13; CMO 1.0 §7 */
#include "isa/riscv/internal.h"

enum { CSR_FFLAGS = 1, CSR_VL = 0xc20, CSR_WRITE = 1, CSR_SET = 2 };

/* fflags without leaving translated code: compilers save and restore it around each comparison
 * that must be quiet. RISC-V Unpriv 20240411 §20.2 */
static void fflags(struct rv_builder *b, struct ir_val operand, unsigned op, bool writes)
{
	ir_guard(b->ir, ir_2i(b->ir, IR_ne, ir_get(b->ir, IR_I32, offsetof(struct rv_hart, fs)), 0),
	         RV_EXC_ILLEGAL);
	struct ir_val old = ir_emit(b->ir, (struct ir_ins){ .op = IR_flags, .type = IR_I64 });
	struct ir_val v = operand;
	if (op != CSR_WRITE)
		v = op == CSR_SET
			? ir_2(b->ir, IR_or, old, operand)
			: ir_2(b->ir, IR_and, old, ir_2i(b->ir, IR_xor, operand, UINT64_MAX));
	if (writes) {
		ir_emit(b->ir, (struct ir_ins){ .op = IR_setflags, .a = v.i });
		ir_put(b->ir, offsetof(struct rv_hart, fs), ir_const(b->ir, IR_I32, 3));
	}
	set_rd(b, old);
}

/* @op 1 write, 2 set, 3 clear. A set or clear with x0 or 0 does not write; csrrw to x0 does not
 * read. §7.1. Fields are i64 values, so the flags are computed the same way in templates. */
static void csr(struct rv_builder *b, struct ir_val operand, unsigned op)
{
	struct ir_val flags;
	if (b->d && (b->d->imm & 0xfff) == CSR_FFLAGS) {
		fflags(b, operand, op, op == CSR_WRITE || b->d->rs1);
		return;
	}
	/* loops over strings ask for vl in each round */
	if (b->d && (b->d->imm & 0xfff) == CSR_VL && op != CSR_WRITE && !b->d->rs1) {
		struct ir_val vs = ir_get(b->ir, IR_I32, offsetof(struct rv_hart, vs));
		ir_guard(b->ir, ir_2i(b->ir, IR_ne, vs, 0), RV_EXC_ILLEGAL);
		set_rd(b, ir_get(b->ir, IR_I64, offsetof(struct rv_hart, vl)));
		return;
	}
	if (op == 1) {
		struct ir_val rd = rv_field(b, IR_FIELD_RD), no_read = ir_2i(b->ir, IR_eq, rd, 0);
		flags =
		    ir_2i(b->ir, IR_or, ir_2i(b->ir, IR_shl, ir_zext(b->ir, no_read, 32), 3), 1);
	} else {
		struct ir_val src = rv_field(b, IR_FIELD_RS1),
			      no_write = ir_2i(b->ir, IR_eq, src, 0);
		flags =
		    ir_2i(b->ir, IR_or, ir_2i(b->ir, IR_shl, ir_zext(b->ir, no_write, 32), 2), op);
	}
	set_rd(b, rv_call(b, RV_HELP_csr, ir_2i(b->ir, IR_and, imm(b), 0xfff), operand, flags));
	rv_end(b);
}

static void plain(struct rv_builder *b, enum rv_helper h, uint64_t x, uint64_t z)
{
	rv_call(b, h, k(b, x), k(b, 0), k(b, z));
	rv_end(b);
}

static void translation_fence(struct rv_builder *b)
{
	struct ir_val all = ir_zext(b->ir, ir_2i(b->ir, IR_eq, rv_field(b, IR_FIELD_RS1), 0), 32);
	struct ir_val any = ir_zext(b->ir, ir_2i(b->ir, IR_eq, rv_field(b, IR_FIELD_RS2), 0), 32);
	struct ir_val flags = ir_2(b->ir, IR_or, all, ir_2i(b->ir, IR_shl, any, 1));
	rv_call(b, RV_HELP_sfence_vma, rs1(b), rs2(b), flags);
	rv_end(b);
}

SEM(csrrw) { csr(b, rs1(b), 1); }
SEM(csrrs) { csr(b, rs1(b), 2); }
SEM(csrrc) { csr(b, rs1(b), 3); }
SEM(csrrwi) { csr(b, rv_field(b, IR_FIELD_RS1), 1); }
SEM(csrrsi) { csr(b, rv_field(b, IR_FIELD_RS1), 2); }
SEM(csrrci) { csr(b, rv_field(b, IR_FIELD_RS1), 3); }

SEM(mret)
{
	rv_call(b, RV_HELP_mret, k(b, 0), k(b, 0), k(b, 0));
	rv_end_npc(b);
}
SEM(sret)
{
	rv_call(b, RV_HELP_sret, k(b, 0), k(b, 0), k(b, 0));
	rv_end_npc(b);
}
SEM(wfi) { plain(b, RV_HELP_wfi, 0, 0); }
SEM(wrs_nto) { plain(b, RV_HELP_wrs, 0, 0); }
SEM(wrs_sto) { plain(b, RV_HELP_wrs, 1, 0); }
SEM(sfence_vma) { translation_fence(b); }
/* Svinval lets us do the whole fence at once: the ordering instructions only check privilege. */
SEM(sinval_vma) { translation_fence(b); }
SEM(sfence_w_inval) { plain(b, RV_HELP_sinval_check, 0, 1); }
SEM(sfence_inval_ir) { plain(b, RV_HELP_sinval_check, 0, 2); }

SEM(cbo_inval) { rv_call(b, RV_HELP_cbo_clean, rs1(b), k(b, 0), k(b, 0)); }
SEM(cbo_clean) { rv_call(b, RV_HELP_cbo_clean, rs1(b), k(b, 1), k(b, 0)); }
SEM(cbo_flush) { rv_call(b, RV_HELP_cbo_clean, rs1(b), k(b, 2), k(b, 0)); }
SEM(cbo_zero) { rv_call(b, RV_HELP_cbo_zero, rs1(b), k(b, 0), k(b, 0)); }
