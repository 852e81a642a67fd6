/* SPDX-License-Identifier: Apache-2.0 */
/* Building, checking and printing IR. */
#include "ir/ir.h"
#include <stdio.h>

const struct ir_opinfo ir_opinfo[IR_COUNT] = {
#define IR(name, nargs, flags, text) { #name, text, nargs, flags },
#include "ir/ops.def"
};
const struct fp_opinfo fp_opinfo[FP_COUNT] = {
#define FPOP(name, ret, a, b, c, rm) { #name, IR_##ret, { IR_##a, IR_##b, IR_##c }, rm },
#include "ir/fpops.def"
};
const char *const ir_type_name[IR_TYPES] = {
	"void", "i32", "i64", "f16", "f32", "f64", "v128", "ref",
};
const char *const ir_amo_name[] = {
	"swap", "add", "xor", "and", "or", "min", "max", "minu", "maxu", "sub",
};

struct ir_val ir_1(struct ir_block *b, enum ir_op op, struct ir_val x)
{
	return ir_emit(b, (struct ir_ins){ .op = (uint8_t)op, .type = b->ins[x.i].type, .a = x.i });
}

/* The low @bits of @v, sign-extended. */
static int64_t sign_of(uint64_t v, unsigned bits)
{
	return (int64_t)(v << (64 - bits)) >> (64 - bits);
}

/* What builders meet with the operands of a decoded instruction: @x op @y, both constants of
 * @bits. False: left to run time. */
static bool fold(enum ir_op op, unsigned bits, uint64_t x, uint64_t y, uint64_t *ret)
{
	unsigned n = (unsigned)y & (bits - 1);
	x = bits == 32 ? (uint32_t)x : x;
	y = bits == 32 ? (uint32_t)y : y;
	switch ((int)op) {
	case IR_add: *ret = x + y; break;
	case IR_sub: *ret = x - y; break;
	case IR_and: *ret = x & y; break;
	case IR_or: *ret = x | y; break;
	case IR_xor: *ret = x ^ y; break;
	case IR_shl: *ret = x << n; break;
	case IR_shr: *ret = x >> n; break;
	case IR_eq: *ret = x == y; break;
	case IR_ne: *ret = x != y; break;
	case IR_ltu: *ret = x < y; break;
	case IR_lts: *ret = sign_of(x, bits) < sign_of(y, bits); break;
	default: return false;
	}
	return true;
}

static bool is_const(const struct ir_block *b, struct ir_val v)
{
	return b->ins[v.i].op == IR_const;
}

/* Does op with 0 on the right leave the left side as it is? */
static bool keeps(enum ir_op op)
{
	return op == IR_add || op == IR_sub || op == IR_or || op == IR_xor || op == IR_shl ||
	       op == IR_shr || op == IR_sar;
}

static bool commutes(enum ir_op op)
{
	return op == IR_add || op == IR_and || op == IR_or || op == IR_xor || op == IR_mul;
}

struct ir_val ir_2(struct ir_block *b, enum ir_op op, struct ir_val x, struct ir_val y)
{
	uint64_t k;
	if (is_const(b, x) && !is_const(b, y) && commutes(op)) {
		struct ir_val was = x;
		x = y;
		y = was;
	}
	if (is_const(b, y) && !b->ins[y.i].imm && keeps(op))
		return x;
	unsigned bits = b->ins[x.i].type == IR_I32 ? 32 : 64;
	bool compare = op == IR_eq || op == IR_ne || op == IR_lts || op == IR_ltu;
	uint8_t type = compare ? IR_I32 : b->ins[x.i].type;
	if (is_const(b, x) && is_const(b, y) &&
	    fold(op, bits, b->ins[x.i].imm, b->ins[y.i].imm, &k))
		return ir_const(b, type, type == IR_I32 ? (uint32_t)k : k);
	return ir_emit(b, (struct ir_ins){ .op = (uint8_t)op, .type = type, .a = x.i, .b = y.i });
}

struct ir_val ir_2i(struct ir_block *b, enum ir_op op, struct ir_val x, uint64_t y)
{
	return ir_2(b, op, x, ir_const(b, ir_type_of(b, x), y));
}

struct ir_val ir_select(struct ir_block *b, struct ir_val c, struct ir_val x, struct ir_val y)
{
	return ir_emit(b, (struct ir_ins){
		.op = IR_select, .type = b->ins[x.i].type, .a = c.i, .b = x.i, .c = y.i });
}

struct ir_val ir_sext(struct ir_block *b, struct ir_val x, unsigned bits)
{
	if (is_const(b, x))
		return ir_const(b, IR_I64, (uint64_t)sign_of(b->ins[x.i].imm, bits));
	return ir_emit(b, (struct ir_ins){ .op = IR_sext, .type = IR_I64, .a = x.i, .imm = bits });
}

struct ir_val ir_zext(struct ir_block *b, struct ir_val x, unsigned bits)
{
	if (is_const(b, x))
		return ir_const(b, IR_I64, b->ins[x.i].imm & UINT64_MAX >> (64 - bits));
	return ir_emit(b, (struct ir_ins){ .op = IR_zext, .type = IR_I64, .a = x.i, .imm = bits });
}

struct ir_val ir_trunc(struct ir_block *b, struct ir_val x)
{
	if (is_const(b, x))
		return ir_const(b, IR_I32, (uint32_t)b->ins[x.i].imm);
	return ir_emit(b, (struct ir_ins){ .op = IR_trunc, .type = IR_I32, .a = x.i });
}

struct ir_val ir_load(struct ir_block *b, struct ir_val at, unsigned bytes)
{
	return ir_emit(b, (struct ir_ins){.op = IR_load, .type = IR_I64, .a = at.i, .imm = bytes});
}

void ir_store(struct ir_block *b, struct ir_val at, struct ir_val v, unsigned bytes)
{
	ir_emit(b, (struct ir_ins){ .op = IR_store, .a = at.i, .b = v.i, .imm = bytes });
}

struct ir_val ir_fcall(struct ir_block *b, enum fp_op f, struct ir_val x, struct ir_val y,
                       struct ir_val z, struct ir_val rm)
{
	return ir_emit(b, (struct ir_ins){ .op = IR_fcall, .type = fp_opinfo[f].ret,
		.a = x.i, .b = y.i, .c = z.i, .d = rm.i, .imm = f });
}

void ir_guard(struct ir_block *b, struct ir_val ok, unsigned exception)
{
	ir_emit(b, (struct ir_ins){ .op = IR_guard, .a = ok.i, .imm = exception });
}

static bool integer(uint8_t type) { return type == IR_I32 || type == IR_I64; }

/* The types of one instruction; its arguments are known to come earlier. */
static const char *types_check(const struct ir_block *b, const struct ir_ins *i)
{
	uint8_t ta = b->ins[i->a].type, tb = b->ins[i->b].type, tc = b->ins[i->c].type;
	if (i->op == IR_fcall) {
		const struct fp_opinfo *f = &fp_opinfo[i->imm];
		const uint8_t got[3] = { ta, tb, tc };
		for (int n = 0; n < 3; n++)
			if (f->arg[n] != IR_VOID && f->arg[n] != got[n])
				return "argument of a floating-point operation has the wrong type";
		return i->type == f->ret ? NULL : "wrong result type";
	}
	if (i->op == IR_select)
		return ta == IR_I32 && tb == tc ? NULL : "select wants i32 and two equal types";
	if (i->op == IR_store || i->op == IR_amo || i->op == IR_sc || i->op == IR_cas ||
	    i->op == IR_load || i->op == IR_lr)
		return ta == IR_I64 ? NULL : "an address is i64";
	if (ir_opinfo[i->op].flags & IR_C) {
		if (!integer(ta))
			return "integer operation on something else";
		if (ir_opinfo[i->op].nargs == 2 && ta != tb)
			return "arguments differ in type";
	}
	return NULL;
}

const char *ir_check(const struct ir_block *b)
{
	if (b->full)
		return "the block is full";
	for (uint32_t n = 0; n < b->n; n++) {
		const struct ir_ins *i = &b->ins[n];
		if (i->op >= IR_COUNT || i->type >= IR_TYPES)
			return "no such operation or type";
		const uint32_t arg[3] = { i->a, i->b, i->c };
		for (int a = 0; a < ir_opinfo[i->op].nargs; a++)
			if (arg[a] >= n &&
			    !(i->op == IR_fcall && fp_opinfo[i->imm].arg[a] == IR_VOID))
				return "used before it is made";
		const char *wrong = types_check(b, i);
		if (wrong)
			return wrong;
		bool last =
		    i->op == IR_br || i->op == IR_jump || i->op == IR_jumpr || i->op == IR_end ||
	    i->op == IR_table || i->op == IR_ret;
		if (last && n + 1 != b->n)
			return "control flow is not last";
	}
	return NULL;
}

size_t ir_print(const struct ir_block *b, char *buf, size_t cap)
{
	size_t n = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		const struct ir_ins *o = &b->ins[i];
		const uint32_t arg[3] = { o->a, o->b, o->c };
		char line[160];
		int len =
		    snprintf(line, sizeof line, "v%u:%s = %s", i, ir_type_name[o->type],
			     o->op == IR_fcall ? fp_opinfo[o->imm].name : ir_opinfo[o->op].name);
		for (int a = 0; a < ir_opinfo[o->op].nargs; a++)
			len += snprintf(line + len, sizeof line - (size_t)len, " v%u", arg[a]);
		len += snprintf(line + len, sizeof line - (size_t)len, " #%llx\n",
		                (unsigned long long)o->imm);
		if (n + (size_t)len < cap)
			memcpy(buf + n, line, (size_t)len + 1);
		n += (size_t)len;
	}
	return n;
}
