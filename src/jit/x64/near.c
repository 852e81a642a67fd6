/* SPDX-License-Identifier: Apache-2.0 */
/* What mirrored units know at labels of the registers that addresses are made of (g->near, see
 * mirror.c). Where a label is reached from before it only, that is what holds on each way there.
 * A head of a loop in a unit with a plan is given what the loop needs: whoever comes in from
 * outside is checked, and each jump back has to know it already. In flat guests an access that did
 * not fault is as good as a check, so that pointers that walk are not checked in the loop at all.
 * Where a jump back does not know it, the unit is made again without (jit_again). */
#include "jit/x64/internal.h"

enum { HEAD_NEAR = 1 << 20, AGAIN_MAX = 4, NOWHERE = UINT16_MAX };

static unsigned label_of(const struct jit_gen *g) { return (unsigned)(g->in->pa - g->pa) / 2; }

static uint32_t head_of(const struct jit_gen *g, unsigned n)
{
	return g->own ? g->plan.head[n] : 0;
}

/* ---- what is planned ---- */

void near_note(struct plan_insn *p, const struct ir_block *b, const struct ir_ins *i)
{
	const struct ir_ins *v = &b->ins[i->op == IR_each ? i->b : i->a];
	if (v->op == IR_add && b->ins[v->b].op == IR_const)
		v = &b->ins[v->a];
	if (v->op != IR_get || v->imm % 8 || v->imm < 8 || v->imm >= 8 * 32)
		return;
	if (i->op == IR_put)
		p->step_from = (uint8_t)(v->imm / 8);
	else
		p->x_base |= 1u << v->imm / 8;
}

/* What addresses are made of in the loop from instruction @h to @l, and what that is made of by
 * steps. What else is written there is not near when the loop comes round. */
static uint32_t loop_candidates(const struct plan *p, unsigned h, unsigned l)
{
	uint32_t all = 0, lost = 0, had;
	for (unsigned n = h; n <= l; n++) {
		const struct plan_insn *i = &p->insn[n];
		if (i->call || i->helper)
			return 0;
		all |= i->x_base;
		lost |= i->step_from ? 0 : i->x_write;
	}
	do {
		had = all;
		for (unsigned n = h; n <= l; n++)
			if (p->insn[n].step_from && p->insn[n].x_write & all)
				all |= 1u << p->insn[n].step_from;
	} while (had != all);
	return all & ~lost;
}

/* @in: wanted behind @i. What is wanted before it? */
static uint32_t wanted(const struct plan_insn *i, uint32_t in, uint32_t all)
{
	uint32_t from = i->step_from ? 1u << i->step_from : 0;
	if (i->x_write & in)
		in = (in & ~i->x_write) | from;
	return (in | i->x_base) & all;
}

/* The candidates that are wanted on each way through the loop. Ways out of it do not count. */
static uint32_t loop_bases(const struct plan *p, unsigned h, unsigned l)
{
	uint32_t at[JIT_UNIT_INSNS + 1], all = loop_candidates(p, h, l);
	for (unsigned n = h; n <= l + 1; n++)
		at[n] = all;
	for (bool again = all; again;) {
		again = false;
		for (unsigned n = l + 1; n-- > h;) {
			const struct plan_insn *i = &p->insn[n];
			uint32_t in = i->falls ? at[n + 1] : all;
			if (i->target == p->insn[h].at)
				in = 0;
			for (unsigned k = h + 1; k <= l; k++)
				if (p->insn[k].at == i->target)
					in &= at[k];
			in = wanted(i, in, all);
			again |= in != at[n];
			at[n] = in;
		}
	}
	return all ? at[h] : 0;
}

bool near_plan(struct jit_gen *g)
{
	struct plan *p = &g->plan;
	uint32_t any = 0;
	uint16_t last[LABELS] = {0}; /* by label: the last jump back to it, plus 1 */
	memset(p->head, 0, sizeof p->head);
	g->agains = 0;
	for (unsigned n = 0; n < p->n; n++)
		if (p->insn[n].target <= p->insn[n].at)
			last[p->insn[n].target] = (uint16_t)(n + 1);
	for (unsigned n = 0; n < p->n && g->c->g.flat; n++)
		if (last[p->insn[n].at])
			any |= p->head[p->insn[n].at] =
			    loop_bases(p, n, last[p->insn[n].at] - 1u);
	return any;
}

/* ---- jumps ---- */

static void join(struct jit_gen *g, unsigned n)
{
	if (!g->joined[n]) {
		g->joined[n] = (uint16_t)++g->njoined;
		memcpy(g->label_near[g->njoined - 1], g->near, sizeof g->label_near[0]);
		return;
	}
	uint32_t *to = g->label_near[g->joined[n] - 1];
	for (unsigned r = 0; r < countof(g->label_near[0]); r++)
		to[r] = !g->near[r] || !to[r] ? 0 : g->near[r] > to[r] ? g->near[r] : to[r];
}

void near_jump(struct jit_gen *g, unsigned n)
{
	uint32_t bad = 0, head = head_of(g, n);
	for (; head; head &= head - 1) {
		unsigned r = (unsigned)__builtin_ctz(head);
		if (!g->near[r] || g->near[r] > HEAD_NEAR)
			bad |= 1u << r;
	}
	g->again |= bad != 0;
	if (bad)
		g->plan.head[n] &= ~bad;
	if (!g->label[n])
		join(g, n);
}

void near_jump_table(struct jit_gen *g)
{
	for (unsigned n = label_of(g) + 1; n <= (g->end - g->pa) / 2 && n < LABELS; n++)
		if (g->leader[n])
			join(g, n);
}

/* ---- labels ---- */

static void look(struct jit_gen *g, unsigned r)
{
	asm_rm(&g->a, true, 0x85, r, STATE_REG, /* test */
	       at(g->c->g.run + offsetof(struct jit_run, beyond)));
}

/* Tests register @reg, which @home says where to find. rax is overwritten. */
static void look_at(struct jit_gen *g, const int8_t *home, unsigned reg)
{
	if (home[reg] < 0)
		x_load(&g->a, true, RAX, STATE_REG, at(8ull * reg));
	look(g, home[reg] < 0 ? RAX : (unsigned)home[reg]);
}

static void head_begin(struct jit_gen *g, unsigned n)
{
	for (uint32_t head = head_of(g, n); head; head &= head - 1)
		g->near[__builtin_ctz(head)] = HEAD_NEAR;
}

void near_arrive(struct jit_gen *g, bool check)
{
	unsigned n = label_of(g);
	if (g->dead)
		return;
	if (!n) /* near_entry has looked */
		head_begin(g, n);
	if (!check)
		join(g, n);
	for (uint32_t head = head_of(g, n); head; head &= head - 1) {
		unsigned r = (unsigned)__builtin_ctz(head);
		if (g->near[r] && g->near[r] <= HEAD_NEAR)
			continue;
		look_at(g, g->home, r);
		struct slow *s = gen_slow(g, SLOW_DEOPT, x_jcc32(&g->a, CC_NE));
		s->pa = g->in->pa;
		s->k = UINT16_MAX;
	}
}

void near_label(struct jit_gen *g, bool check)
{
	unsigned n = label_of(g);
	g->dead = false;
	if (check)
		head_begin(g, n);
	else if (g->joined[n])
		memcpy(g->near, g->label_near[g->joined[n] - 1], sizeof g->label_near[0]);
}

void near_entry(struct jit_gen *g, uint64_t pa)
{
	unsigned n = (unsigned)(pa - g->pa) / 2;
	for (uint32_t head = head_of(g, n); head; head &= head - 1) {
		look_at(g, g->c->home, (unsigned)__builtin_ctz(head));
		gen_slow(g, SLOW_ENTRY, x_jcc32(&g->a, CC_NE))->pa = pa;
	}
}

uint8_t *near_land(struct jit_gen *g, unsigned n)
{
	uint8_t *start = g->a.p, *out[32];
	unsigned nout = 0;
	uint32_t head = head_of(g, n);
	if (!head)
		return g->label[n];
	for (; head; head &= head - 1) {
		look_at(g, g->home, (unsigned)__builtin_ctz(head));
		out[nout++] = x_jcc32(&g->a, CC_NE);
	}
	x_jmp_to(&g->a, g->label[n]);
	for (unsigned k = 0; k < nout && !g->a.full; k++)
		x_aim(out[k], g->a.p);
	gen_deopt(g, g->pa + 2 * n);
	return start;
}

bool near_again(struct jit_gen *g)
{
	bool again = g->again;
	g->again = false;
	if (again && ++g->agains == AGAIN_MAX)
		memset(g->plan.head, 0, sizeof g->plan.head);
	return again;
}
