/* SPDX-License-Identifier: Apache-2.0 */
/* What an IR_each works on, and whether it is made inline. */
#include "jit/x64/each.h"

/* Bytes of groups that are worked on by 64 where the host can: of these, three do not fit into
 * registers of 32 bytes. */
enum { WIDE_FROM = 512 };

unsigned each_most(const struct jit_gen *g, unsigned type)
{
	unsigned one = g->c->g.vector_bytes >> (type >> 3 & 7), lmul = type & 7;
	return lmul < 4 ? one << lmul : one >> (8 - lmul);
}


/* Is there what it takes? */
static bool fits(const struct each *x)
{
	bool memory = x->e.op == IR_EACH_load || x->e.op == IR_EACH_store;
	if (x->e.op == IR_EACH_fsum && each_most(x->g, x->type) > SUM_MOST)
		return false;
	if (x->e.op == IR_EACH_first)
		return each_most(x->g, x->type) <= FIRST_MOST;
	if (x->e.op > IR_EACH_begin && x->e.op < IR_EACH_first && x->bytes < 16)
		return memory && x->bytes;
	/* a NaN shows too late for the helper, and what it came from has to be there */
	return x->e.op != IR_EACH_fmacc ||
	       (x->e.d != x->e.a && (x->e.scalar || x->e.d != x->e.b));
}

void each_shape(struct each *x, struct jit_gen *g, uint32_t packed, unsigned type)
{
	*x = (struct each){ .g = g, .a = &g->a, .e = ir_each_of(packed), .type = type,
		.elem = type >> 3 & 7 };
	x->bytes = each_most(g, type) << x->elem;
	x->step = x->bytes % 32 ? 16 : g->c->avx512 && x->bytes >= WIDE_FROM ? 64 : 32;
	x->wide = x->step == 64 ? L_64 : x->step == 32 ? L_32 : 0;
}

void each_narrow(struct each *x)
{
	if (x->step != 64)
		return;
	x->step = 32;
	x->wide = L_32;
}

bool each_init(struct each *x, struct jit_gen *g, const struct ir_block *b,
               const struct ir_ins *i)
{
	each_shape(x, g, i->d, i->imm >> 32 & 255);
	return g->c->g.vector_bytes && g->c->avx2 && fits(x) && each_is_const(b, i->c) &&
	       each_is_const(b, x->e.op == IR_EACH_begin ? i->b : i->a);
}

bool each_is_inline(struct jit_gen *g, const struct ir_block *b, const struct ir_ins *i)
{
	struct each x;
	return each_init(&x, g, b, i);
}

unsigned each_uses(struct ir_each e, struct each_use ret[3])
{
	unsigned n = 0;
	switch ((enum ir_each_op)e.op) {
	case IR_EACH_begin: return 0;
	case IR_EACH_load: ret[n++] = (struct each_use){ e.d, true, false, true, false }; return n;
	case IR_EACH_store: ret[n++] = (struct each_use){ e.d, true, true, false, false }; return n;
	case IR_EACH_first: case IR_EACH_get: case IR_EACH_fget:
		ret[n++] = (struct each_use){ e.a, false, true, false, false };
		return n;
	case IR_EACH_put: case IR_EACH_fput:
		ret[n++] = (struct each_use){ e.d, false, true, true, false };
		return n;
	case IR_EACH_eq: case IR_EACH_ne:
		ret[n++] = (struct each_use){ e.d, false, true, true, false };
		break;
	case IR_EACH_fsum:
		ret[n++] = (struct each_use){ e.d, false, false, true, false };
		ret[n++] = (struct each_use){ e.b, false, true, false, false };
		ret[n++] = (struct each_use){ e.a, false, true, false, true };
		return n;
	case IR_EACH_sum:
		ret[n++] = (struct each_use){ e.d, false, false, true, false };
		ret[n++] = (struct each_use){ e.b, false, true, false, false };
		ret[n++] = (struct each_use){ e.a, true, true, false, false };
		return n;
	case IR_EACH_move: case IR_EACH_add: case IR_EACH_sub: case IR_EACH_and: case IR_EACH_or:
	case IR_EACH_xor: case IR_EACH_mul: case IR_EACH_fadd: case IR_EACH_fsub:
	case IR_EACH_fmul:
		ret[n++] = (struct each_use){ e.d, true, false, true, false };
		break;
	case IR_EACH_macc: case IR_EACH_fmacc:
		ret[n++] = (struct each_use){ e.d, true, true, true, false };
		break;
	}
	if (e.op != IR_EACH_move)
		ret[n++] = (struct each_use){ e.a, true, true, false, false };
	if (!e.scalar)
		ret[n++] = (struct each_use){ e.b, true, true, false, false };
	return n;
}
