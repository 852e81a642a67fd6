/* SPDX-License-Identifier: Apache-2.0 */
/* ir: the one language between guest instruction sets and what executes them: typed SSA.
 * It knows no guest's registers, only offsets into the guest's state. A guest instruction is
 * built once, through these functions, and read by the generator of the interpreter (tools/
 * interpgen), by translators, and by tests. */
#pragma once
#include "base/base.h"

enum ir_type { IR_VOID, IR_I32, IR_I64, IR_F16, IR_F32, IR_F64, IR_V128, IR_REF, IR_TYPES };
enum { IR_F = 1, IR_S = 2, IR_C = 4 };   /* flags of ops.def */
enum ir_op {
#define IR(name, nargs, flags, text) IR_##name,
#include "ir/ops.def"
	IR_COUNT
};
/* Operands of a template: fields of the decoded instruction that are not known yet. */
enum ir_field { IR_FIELD_IMM, IR_FIELD_PC, IR_FIELD_NEXT, IR_FIELD_AUX,
	        IR_FIELD_RD, IR_FIELD_RS1, IR_FIELD_RS2, IR_FIELD_RS3 };
enum ir_amo { IR_AMO_swap, IR_AMO_add, IR_AMO_xor, IR_AMO_and, IR_AMO_or,
	      IR_AMO_min, IR_AMO_max, IR_AMO_minu, IR_AMO_maxu,
	      IR_AMO_sub /* of functions only */ };
/* Floating-point operations: FPOP rows name functions of the fp room. */
enum fp_op {
#define FPOP(name, ret, a, b, c, rm) FP_##name,
#include "ir/fpops.def"
	FP_COUNT
};
/* Operations of IR_fop. FOP_sint..FOP_resize convert: from integers with and without a sign,
 * between f32 and f64. */
enum ir_fop {
	FOP_add, FOP_sub, FOP_mul, FOP_div, FOP_min, FOP_max, FOP_copysign,
	FOP_eq, FOP_ne, FOP_lt, FOP_gt, FOP_le, FOP_ge,
	FOP_abs, FOP_neg, FOP_ceil, FOP_floor, FOP_trunc, FOP_nearest, FOP_sqrt,
	FOP_sint, FOP_uint, FOP_resize
};
/* Operations of IR_vop. */
enum ir_vop {
#define VOP(name) VOP_##name,
#include "ir/vops.def"
	VOP_COUNT
};
/* What an IR_invoke calls. Arguments are in the frame, from slot @at on, which is the first of the
 * callee's; results take their place, the first one of one alone is the value as well. */
enum ir_invoke_kind {
	IR_INVOKE_DIRECT,   /* imm: the callee, an address of the owner's */
	IR_INVOKE_INDIRECT, /* a: which of the table imm; its type is to be @type */
	IR_INVOKE_TAIL, IR_INVOKE_TAIL_INDIRECT,
	IR_INVOKE_HELPER,   /* a function of the owner's; imm: what it shall do */
	IR_INVOKE_THROW     /* the same; it does not return to here */
};
struct ir_invoke {
	uint8_t kind;
	uint16_t at, nargs, nresults; /* slots */
	uint16_t to;                  /* of helpers: where results are */
	uint32_t type;                /* indirect */
};

/* A value is the index of the instruction that made it. */
struct ir_val { uint32_t i; };
struct ir_ins {
	uint8_t op, type;       /* enum ir_op, enum ir_type of the result */
	uint32_t a, b, c, d;    /* arguments: indices of earlier instructions */
	uint64_t imm;
};
enum { IR_BLOCK_MAX = 256 };
struct ir_block {
	struct ir_ins *ins;     /* borrowed: room for @max, one at least */
	uint32_t n, max;
	bool full;              /* something did not fit: the block must not be used */
};

struct ir_opinfo { const char *name, *text; uint8_t nargs, flags; };
extern const struct ir_opinfo ir_opinfo[IR_COUNT];
struct fp_opinfo { const char *name; uint8_t ret, arg[3], rm; };
extern const struct fp_opinfo fp_opinfo[FP_COUNT];
extern const char *const ir_type_name[IR_TYPES];
extern const char *const ir_amo_name[];

/* What an IR_each stands for: one operation on every element of groups of registers, which lie in
 * the guest's state as a file of bytes. A key is the vector type (width log2 << 3 | log2 of the
 * registers of a group, RISC-V's vtype) and IR_KEY: all elements are active, and none is behind the
 * end. Masks are the bits of one register. */
enum { IR_KEY = 256 };
enum ir_each_op {
	/* a: elements wanted; makes the type of the key, gives how many. c 1: as many as before */
	IR_EACH_begin,
	IR_EACH_load, IR_EACH_store, /* d, memory at argument b */
	IR_EACH_move,           /* d := y; y is register b, or with @scalar argument b */
	/* d := a op y */
	IR_EACH_add, IR_EACH_sub, IR_EACH_and, IR_EACH_or, IR_EACH_xor, IR_EACH_mul,
	IR_EACH_macc,           /* d += a * y */
	/* floating point, dynamic rounding */
	IR_EACH_fadd, IR_EACH_fsub, IR_EACH_fmul, IR_EACH_fmacc,
	IR_EACH_fsum,           /* d[0] := b[0] and all of a, added one after the other */
	IR_EACH_eq, IR_EACH_ne, /* mask d := a op y */
	IR_EACH_sum,            /* d[0] := b[0] and all of a, added */
	IR_EACH_first,          /* the first set bit of mask a, or -1 */
	IR_EACH_put, IR_EACH_fput, /* d[0] := argument b; that of floats: FP state is looked at */
	IR_EACH_get, IR_EACH_fget, /* a[0], its sign extended or, a float, with ones above */
};
struct ir_each {
	uint8_t op, d, a, b;    /* enum ir_each_op, registers */
	bool scalar;
};
static inline uint32_t ir_each_pack(struct ir_each e)
{
	return e.op | (uint32_t)e.d << 8 | (uint32_t)e.a << 13 | (uint32_t)e.b << 18 |
	       (uint32_t)e.scalar << 23;
}
static inline struct ir_each ir_each_of(uint32_t d)
{
	return (struct ir_each){ .op = d & 255, .d = d >> 8 & 31, .a = d >> 13 & 31,
		.b = d >> 18 & 31, .scalar = d >> 23 & 1 };
}

/* Of functions: the fields of an IR_invoke. HELPERs and THROWs have no type, and another place for
 * results. */
static inline void ir_invoke_put(struct ir_ins *i, struct ir_invoke v)
{
	i->d = v.kind | (uint32_t)v.at << 8;
	i->b = v.nargs | (uint32_t)v.nresults << 16;
	i->c = v.kind >= IR_INVOKE_HELPER ? v.to : v.type;
}
static inline struct ir_invoke ir_invoke_of(const struct ir_ins *i)
{
	uint8_t kind = i->d & 255;
	bool helper = kind >= IR_INVOKE_HELPER;
	return (struct ir_invoke){kind, (uint16_t)(i->d >> 8), (uint16_t)i->b,
				  (uint16_t)(i->b >> 16), helper ? (uint16_t)i->c : 0,
				  helper ? 0 : i->c};
}

/* Append one instruction. The building functions below choose its type. */
static inline struct ir_val ir_emit(struct ir_block *b, struct ir_ins i)
{
	b->full |= b->n == b->max;
	if (unlikely(b->full))
		return (struct ir_val){ 0 };
	/* field by field: gcc would put @i together on the stack, and wait for that */
	struct ir_ins *to = &b->ins[b->n];
	to->op = i.op;
	to->type = i.type;
	to->a = i.a;
	to->b = i.b;
	to->c = i.c;
	to->d = i.d;
	to->imm = i.imm;
	return (struct ir_val){ b->n++ };
}
static inline enum ir_type ir_type_of(const struct ir_block *b, struct ir_val v)
{
	return b->ins[v.i].type;
}
static inline struct ir_val ir_const(struct ir_block *b, enum ir_type t, uint64_t v)
{
	return ir_emit(b, (struct ir_ins){ .op = IR_const, .type = (uint8_t)t, .imm = v });
}
static inline struct ir_val ir_get(struct ir_block *b, enum ir_type t, uint64_t off)
{
	return ir_emit(b, (struct ir_ins){ .op = IR_get, .type = (uint8_t)t, .imm = off });
}
static inline void ir_put(struct ir_block *b, uint64_t off, struct ir_val v)
{
	ir_emit(b, (struct ir_ins){ .op = IR_put, .a = v.i, .imm = off });
}
struct ir_val ir_1(struct ir_block *b, enum ir_op op, struct ir_val x);
struct ir_val ir_2(struct ir_block *b, enum ir_op op, struct ir_val x, struct ir_val y);
/* The same with a constant right side of x's type. */
struct ir_val ir_2i(struct ir_block *b, enum ir_op op, struct ir_val x, uint64_t y);
struct ir_val ir_select(struct ir_block *b, struct ir_val c, struct ir_val x, struct ir_val y);
/* Extend the low @bits of @x to i64. */
struct ir_val ir_sext(struct ir_block *b, struct ir_val x, unsigned bits);
struct ir_val ir_zext(struct ir_block *b, struct ir_val x, unsigned bits);
struct ir_val ir_trunc(struct ir_block *b, struct ir_val x);
struct ir_val ir_load(struct ir_block *b, struct ir_val at, unsigned bytes);
void ir_store(struct ir_block *b, struct ir_val at, struct ir_val v, unsigned bytes);
/* @nargs of x, y, z are used; @rm: rounding mode value when the operation takes one. */
struct ir_val ir_fcall(struct ir_block *b, enum fp_op f, struct ir_val x, struct ir_val y,
                       struct ir_val z, struct ir_val rm);
void ir_guard(struct ir_block *b, struct ir_val ok, unsigned exception);

/* Is @next, an instruction like @b, pure but for a put to where @b puts? Then ir_follow makes one
 * of the two in @b: nobody has to see what @b puts. */
bool ir_follows(const struct ir_block *b, const struct ir_block *next);
void ir_follow(struct ir_block *b, const struct ir_block *next);

/* NULL when @b is well formed (arguments defined before use, types agree, control flow last),
 * else what is wrong. Generated and hand-built IR is checked in tests and debug builds. */
const char *ir_check(const struct ir_block *b);
/* One line per instruction into @buf; returns the length that it needs. */
size_t ir_print(const struct ir_block *b, char *buf, size_t cap);
