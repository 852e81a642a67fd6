/* SPDX-License-Identifier: Apache-2.0 */
/* Constants that vsetvli makes: where a unit relies on it that all elements are active, its result
 * is one, and so is what is made of it, until the next label. Pointers that move on by it are then
 * seen to move by steps (near.c). */
#include "jit/x64/each.h"

/* Does @i give a constant, made of such ones? */
static bool is_made(const struct ir_block *b, const struct ir_ins *i, uint64_t made)
{
	if (i->type != IR_I64 || (i->op != IR_add && i->op != IR_sub && i->op != IR_shl) ||
	    b->ins[i->a].op != IR_const || b->ins[i->b].op != IR_const)
		return false;
	return (made >> i->a | made >> i->b) & 1;
}

static uint64_t value(const struct ir_block *b, const struct ir_ins *i)
{
	uint64_t x = b->ins[i->a].imm, y = b->ins[i->b].imm;
	return i->op == IR_add ? x + y : i->op == IR_sub ? x - y : x << (y & 63);
}

static bool is_x(uint64_t off) { return off % 8 == 0 && off >= 8 && off < 8 * 32; }

static void put_note(struct known *k, const struct ir_block *b, const struct ir_ins *i,
                     uint64_t made)
{
	const struct ir_ins *v = &b->ins[i->a];
	unsigned r = (unsigned)(i->imm / 8);
	if (!is_x(i->imm))
		return;
	k->is &= ~(1u << r);
	if (!(made >> i->a & 1))
		return;
	k->is |= 1u << r;
	k->val[r] = v->op == IR_each ? k->result : v->imm;
}

/* Is nothing known, nor made known? */
static bool is_plain(const struct known *k, const struct ir_block *b)
{
	for (uint32_t n = 0; n < b->n && !k->is; n++)
		if (b->ins[n].op == IR_each)
			return false;
	return !k->is;
}

const struct ir_block *known_fold(struct jit_gen *g, const struct ir_block *from)
{
	struct known *k = &g->known;
	struct ir_block *b = &g->folded;
	uint64_t made = 0; /* values, one bit each */
	if (from->full || from->n > countof(g->folded_ins) || is_plain(k, from))
		return from;
	*b = (struct ir_block){ .ins = g->folded_ins, .n = from->n };
	memcpy(b->ins, from->ins, from->n * sizeof *b->ins);
	for (uint32_t n = 0; n < b->n; n++) {
		struct ir_ins *i = &b->ins[n];
		if (i->op == IR_get && i->type == IR_I64 && is_x(i->imm) &&
		    k->is >> i->imm / 8 & 1) {
			*i = (struct ir_ins){ .op = IR_const, .type = IR_I64,
				.imm = k->val[i->imm / 8] };
			made |= UINT64_C(1) << n;
		} else if (is_made(b, i, made)) {
			*i = (struct ir_ins){ .op = IR_const, .type = IR_I64,
				.imm = value(b, i) };
			made |= UINT64_C(1) << n;
		} else if (i->op == IR_add && b->ins[i->a].op == IR_const) {
			uint32_t a = i->a;
			i->a = i->b;
			i->b = a;
		} else if (i->op == IR_put) {
			put_note(k, b, i, made);
		} else if (each_promises(g, b, i, &k->result)) {
			made |= UINT64_C(1) << n;
		} else if (i->op == IR_call) {
			k->is = 0;
		}
	}
	return b;
}

void known_result(struct jit_gen *g, uint32_t n, uint64_t val)
{
	/* own units only: the block is the folded one */
	g->folded.ins[n] = (struct ir_ins){ .op = IR_const, .type = IR_I64, .imm = val };
}
