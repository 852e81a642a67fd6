/* SPDX-License-Identifier: Apache-2.0 */
/* isa/riscv, private: what the files with instruction semantics (sem_*.c) write with.
 * SEM(name) says once what an instruction does, as IR. Operands are read through the functions
 * below, never from the word: with b->d NULL they are template fields (the interpreter is generated
 * from that), else constants and registers of one decoded instruction (translators). */
#pragma once
#include "ir/ir.h"
#include "isa/riscv/riscv.h"

struct rv_builder {
	struct ir_block *ir;
	const struct rv_insn *d;    /* NULL: template */
	uint64_t pc;                /* of the instruction, when d is set */
	uint64_t delta;             /* offset in the hart of what turns pc into the virtual address;
	                             * 0: it is that */
};
enum rv_file { RV_FILE_X, RV_FILE_F };
enum rv_helper {
#define HELPER(name, summary) RV_HELP_##name,
#include "isa/riscv/calls.def"
	RV_HELPERS
};

#define SEM(name) void rv_sem_##name(struct rv_builder *b)
#define RV_SEM_DECL(id, text) SEM(id);
RV_EACH_OP(RV_SEM_DECL)
#undef RV_SEM_DECL

/* ---- operands ---- */
struct ir_val rv_reg(struct rv_builder *b, enum rv_file f, enum ir_field which);
void rv_set_reg(struct rv_builder *b, enum rv_file f, struct ir_val v); /* rd */
struct ir_val rv_field(struct rv_builder *b, enum ir_field which);      /* i64 */
static inline struct ir_val rs1(struct rv_builder *b) { return rv_reg(b, RV_FILE_X, IR_FIELD_RS1); }
static inline struct ir_val rs2(struct rv_builder *b) { return rv_reg(b, RV_FILE_X, IR_FIELD_RS2); }
static inline struct ir_val imm(struct rv_builder *b) { return rv_field(b, IR_FIELD_IMM); }
static inline void set_rd(struct rv_builder *b, struct ir_val v) { rv_set_reg(b, RV_FILE_X, v); }
/* rs1 + imm, the address of loads and stores */
struct ir_val rv_address(struct rv_builder *b);

/* ---- short forms ---- */
static inline struct ir_val w(struct rv_builder *b, struct ir_val v) { return ir_trunc(b->ir, v); }
static inline void set_rd_w(struct rv_builder *b, struct ir_val v)
{
	set_rd(b, ir_sext(b->ir, v, 32));
}
struct ir_val rv_call(struct rv_builder *b, enum rv_helper h, struct ir_val x, struct ir_val y,
                      struct ir_val z);
static inline struct ir_val k(struct rv_builder *b, uint64_t v)
{
	return ir_const(b->ir, IR_I64, v);
}

/* ---- ends of blocks ---- */
void rv_branch(struct rv_builder *b, struct ir_val taken);
void rv_end(struct rv_builder *b);          /* go on at the next instruction, state may differ */
void rv_end_npc(struct rv_builder *b);      /* go on at hart->npc */
