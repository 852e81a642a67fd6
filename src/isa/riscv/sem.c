/* SPDX-License-Identifier: Apache-2.0 */
/* What the instruction semantics are written with, and the table of them. */
#include "isa/riscv/internal.h"

static void (*const semantics[RV_OPS])(struct rv_builder *) = {
#define RV_SEM_ROW(id, text) rv_sem_##id,
	RV_EACH_OP(RV_SEM_ROW)
#undef RV_SEM_ROW
};

void rv_semantics(struct rv_builder *b, unsigned op) { semantics[op](b); }

void rv_lift(struct ir_block *ir, const struct rv_insn *d, uint64_t pc, uint64_t delta)
{
	struct rv_builder b = { .ir = ir, .d = d, .pc = pc, .delta = delta };
	ir->n = 0;
	ir->full = false;
	rv_semantics(&b, d->op);
}

static uint8_t register_number(const struct rv_insn *d, enum ir_field which)
{
	if (which == IR_FIELD_RD)
		return d->rd;
	if (which == IR_FIELD_RS1)
		return d->rs1;
	return which == IR_FIELD_RS2 ? d->rs2 : d->rs3;
}

static uint64_t register_offset(enum rv_file f, uint8_t n)
{
	size_t base = f == RV_FILE_X ? offsetof(struct rv_hart, x) : offsetof(struct rv_hart, f);
	return base + 8u * n;
}

struct ir_val rv_reg(struct rv_builder *b, enum rv_file f, enum ir_field which)
{
	if (!b->d)
		return ir_emit(b->ir, (struct ir_ins){
			.op = IR_getr, .type = IR_I64, .imm = (uint64_t)f << 8 | (uint64_t)which });
	uint8_t n = register_number(b->d, which) & 31;
	if (f == RV_FILE_X && n == 0)
		return k(b, 0);
	return ir_get(b->ir, IR_I64, register_offset(f, n));
}

/* x0 ignores writes: RISC-V Unpriv 20240411 §2.1. Templates write to a register that nobody reads.
 */
void rv_set_reg(struct rv_builder *b, enum rv_file f, struct ir_val v)
{
	if (!b->d)
		ir_emit(b->ir, (struct ir_ins){ .op = IR_putr, .a = v.i,
			.imm = (uint64_t)f << 8 | IR_FIELD_RD });
	else if (f == RV_FILE_F || b->d->rd < 32)
		ir_put(b->ir, register_offset(f, b->d->rd), v);
}

struct ir_val rv_field(struct rv_builder *b, enum ir_field which)
{
	const struct rv_insn *d = b->d;
	if (!d)
		return ir_emit(b->ir, (struct ir_ins){
			.op = IR_field, .type = IR_I64, .imm = (uint64_t)which });
	if (which == IR_FIELD_IMM)
		return k(b, (uint64_t)(int64_t)d->imm);
	if (which == IR_FIELD_AUX)
		return k(b, d->aux);
	if (which == IR_FIELD_PC || which == IR_FIELD_NEXT) {
		struct ir_val pc = k(b, b->pc + (which == IR_FIELD_NEXT ? d->len : 0u));
		return b->delta ? ir_2(b->ir, IR_add, pc, ir_get(b->ir, IR_I64, b->delta)) : pc;
	}
	return k(b, register_number(d, which) & 31u);
}

struct ir_val rv_address(struct rv_builder *b) { return ir_2(b->ir, IR_add, rs1(b), imm(b)); }

struct ir_val rv_call(struct rv_builder *b, enum rv_helper h, struct ir_val x, struct ir_val y,
                      struct ir_val z)
{
	return ir_emit(b->ir, (struct ir_ins){ .op = IR_call, .type = IR_I64, .a = x.i, .b = y.i,
		.c = z.i, .imm = (uint64_t)h });
}

void rv_branch(struct rv_builder *b, struct ir_val taken)
{
	ir_emit(b->ir, (struct ir_ins){ .op = IR_br, .a = taken.i,
		.imm = b->d ? b->pc + (uint64_t)(int64_t)b->d->imm : 0 });
}

void rv_end(struct rv_builder *b) { ir_emit(b->ir, (struct ir_ins){ .op = IR_end }); }
void rv_end_npc(struct rv_builder *b) { ir_emit(b->ir, (struct ir_ins){ .op = IR_end, .imm = 1 }); }
