/* SPDX-License-Identifier: Apache-2.0 */
/* Two instructions as one, where the second overwrites what the first has put: what compilers make
 * of one expression for lack of a richer instruction. */
#include "ir/ir.h"

enum { MOST = 40 };     /* of a block that is to be followed */

static bool is_simple(uint8_t op)
{
	switch ((int)op) {
	case IR_const: case IR_get: case IR_add: case IR_sub: case IR_and: case IR_or: case IR_xor:
	case IR_shl: case IR_shr: case IR_sar: case IR_sext: case IR_zext: case IR_trunc:
		return true;
	default: return false;
	}
}

static bool puts_once(const struct ir_block *b)
{
	if (b->full || !b->n || b->n > MOST || b->ins[b->n - 1].op != IR_put)
		return false;
	for (uint32_t n = 0; n + 1 < b->n; n++)
		if (!is_simple(b->ins[n].op))
			return false;
	return true;
}

bool ir_follows(const struct ir_block *b, const struct ir_block *next)
{
	return puts_once(b) && puts_once(next) &&
	       b->ins[b->n - 1].imm == next->ins[next->n - 1].imm;
}

static bool is_op_const(const struct ir_block *b, struct ir_val v, enum ir_op op, uint64_t *ret)
{
	const struct ir_ins *i = &b->ins[v.i];
	if (i->op != op || i->type != IR_I64 || b->ins[i->b].op != IR_const)
		return false;
	*ret = b->ins[i->b].imm;
	return true;
}

/* A shift to the left and back by @by: an extension, and a shift of it. */
static bool extended(struct ir_block *b, enum ir_op op, struct ir_val x, uint64_t by,
                     struct ir_val *ret)
{
	uint64_t left;
	struct ir_val from = { b->ins[x.i].a };
	if (!is_op_const(b, x, IR_shl, &left) || by > 63 ||
	    (left != 32 && left != 48 && left != 56))
		return false;
	if (op == IR_sar && by == left) {
		*ret = ir_sext(b, from, 64 - (unsigned)left);
		return true;
	}
	if (op != IR_shr)
		return false;
	from = ir_zext(b, from, 64 - (unsigned)left);
	*ret = by > left ? ir_2i(b, IR_shr, from, by - left) : ir_2i(b, IR_shl, from, left - by);
	return true;
}

static struct ir_val op_2(struct ir_block *b, enum ir_op op, struct ir_val x, struct ir_val y)
{
	struct ir_val r;
	uint64_t k;
	const struct ir_ins *c = &b->ins[y.i];
	if (c->op == IR_const && c->type == IR_I64) {
		if (extended(b, op, x, c->imm, &r))
			return r;
		if (op == IR_add && is_op_const(b, x, IR_add, &k))
			return ir_2i(b, IR_add, (struct ir_val){ b->ins[x.i].a }, k + c->imm);
	}
	return ir_2(b, op, x, y);
}

/* The low half of what was extended from it. */
static struct ir_val low(struct ir_block *b, struct ir_val x)
{
	const struct ir_ins *i = &b->ins[x.i];
	if ((i->op == IR_sext || i->op == IR_zext) && i->imm == 32 &&
	    b->ins[i->a].type == IR_I32)
		return (struct ir_val){ i->a };
	return ir_trunc(b, x);
}

void ir_follow(struct ir_block *b, const struct ir_block *next)
{
	struct ir_val to[MOST], was = { b->ins[--b->n].a };
	uint64_t off = b->ins[b->n].imm;
	for (uint32_t n = 0; n < next->n; n++) {
		const struct ir_ins *i = &next->ins[n];
		struct ir_val x = to[i->a < n ? i->a : 0], y = to[i->b < n ? i->b : 0];
		switch ((int)i->op) {
		case IR_const: to[n] = ir_const(b, i->type, i->imm); break;
		case IR_get:
			to[n] = i->imm == off && i->type == IR_I64 ? was
			                                           : ir_get(b, i->type, i->imm);
			break;
		case IR_put: ir_put(b, off, x); break;
		case IR_trunc: to[n] = low(b, x); break;
		case IR_sext: to[n] = ir_sext(b, x, (unsigned)i->imm); break;
		case IR_zext: to[n] = ir_zext(b, x, (unsigned)i->imm); break;
		default: to[n] = op_2(b, i->op, x, y); break;
		}
	}
}
