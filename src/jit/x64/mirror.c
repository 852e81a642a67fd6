/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrored units: guest memory through gs. A guest may put any number into a register, so that each
 * one an address is made of is checked before it is used: only what lies in the window goes on. The
 * check is made once while a register keeps its value or moves by small steps, for which the guards
 * around the window are there. What fails it leaves the unit, so that behind it all is known. In
 * flat guests an access is a check as well. What is known at labels: near.c. */
#include "jit/x64/internal.h"

/* Registers stray no farther than this between checks, and immediates add at most 2^31. */
enum { NEAR_MAX = 1 << 30 };
_Static_assert(JIT_WINDOW_GUARD >= (UINT64_C(1) << 31) + NEAR_MAX + 4096, "guards");

static uint64_t distance(int64_t n) { return n < 0 ? -(uint64_t)n : (uint64_t)n; }

/* The x register that @v reads; 0: none. */
static unsigned register_of(const struct jit_gen *g, uint32_t v)
{
	const struct ir_ins *i = ins(g, v);
	return i->op == IR_get && i->imm % 8 == 0 && i->imm < 8 * 32 ? (unsigned)i->imm / 8 : 0;
}

static bool is_step(const struct jit_gen *g, const struct ir_ins *i, int64_t *ret)
{
	return i->op == IR_add && i->type == IR_I64 && gen_is_const(g, i->b, ret) && fits32(*ret);
}

void jit_mirrored(struct jit_gen *g) { g->mirror = true; }

void gen_near_put(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *put = ins(g, n), *i = ins(g, put->a);
	uint64_t far = NEAR_MAX;
	int64_t step = 0;
	unsigned from = 0;
	if (put->imm >= sizeof g->near / sizeof *g->near * 8)
		return;
	if (is_step(g, i, &step))
		from = register_of(g, i->a);
	else if (i->op == IR_get)
		from = register_of(g, put->a);
	/* another put of the same instruction may lie between the read and here */
	for (uint32_t k = 0; k < n && from; k++)
		if (ins(g, k)->op == IR_put)
			from = 0;
	if (from && g->near[from])
		far = g->near[from] + distance(step);
	unsigned to = (unsigned)(put->imm / 8);
	g->near[to] = far < NEAR_MAX ? (uint32_t)far : 0;
	g->root[to] = from ? g->root[from] : ++g->roots;
	g->root_off[to] = from ? g->root_off[from] + step : 0;
}

/* Register @reg plus @disp is in the window, and so all that is made of the same. */
static void near_known(struct jit_gen *g, unsigned reg, int64_t disp)
{
	for (unsigned r = 1; r < 32; r++) {
		if (g->root[r] != g->root[reg])
			continue;
		uint64_t far = distance(g->root_off[r] - g->root_off[reg] - disp) + 1;
		if (far < NEAR_MAX && (!g->near[r] || far < g->near[r]))
			g->near[r] = (uint32_t)far;
	}
}

/* Leave the unit unless @base is in the window. */
static void check(struct jit_gen *g, unsigned base, unsigned reg)
{
	struct jit_asm *a = &g->a;
	if (reg && g->near[reg])
		return;
	asm_rm(a, true, 0x85, base, STATE_REG, /* test */
	       at(g->c->g.run + offsetof(struct jit_run, beyond)));
	gen_slow(g, SLOW_DEOPT, x_jcc32(a, CC_NE))->pa = g->in->pa;
	if (reg)
		near_known(g, reg, 0);
}

static void take_all(struct jit_gen *g)
{
	gen_take(g, RCX);
	gen_take(g, RDX);
}

struct place gen_place(struct jit_gen *g, uint32_t v)
{
	const struct ir_ins *i = ins(g, v);
	struct place p = { .base = RAX, .mirror = true };
	uint32_t from = v;
	int64_t step = 0;
	unsigned reg;
	if (g->loc[v] == NOREG && g->uses[v] == 1 && is_step(g, i, &step))
		from = i->a;
	reg = g->loc[from] == NOREG ? register_of(g, from) : 0;
	gen_take(g, RAX);
	if (!reg) {
		/* the sum itself is checked: nothing is known of its parts */
		gen_into(g, v, RAX);
		gen_done(g, v, NOREG);
		take_all(g);
		check(g, RAX, 0);
		return p;
	}
	p.reg = reg;
	p.base = gen_home(g, 8ull * reg);
	p.disp = from == v ? 0 : (int32_t)step;
	if (p.base == NOREG) {
		gen_into(g, from, RAX);
		p.base = RAX;
	}
	if (from != v) {
		g->uses[v]--;
		g->uses[i->b]--;
	}
	gen_done(g, from, NOREG);
	take_all(g);
	check(g, p.base, reg);
	return p;
}

void gen_place_known(struct jit_gen *g, struct place p)
{
	if (g->c->g.flat && p.reg)
		near_known(g, p.reg, p.disp);
}

void gen_touch(struct jit_gen *g, struct slow *s, struct place p, uint8_t *touch)
{
	if (!p.mirror)
		return;
	gen_place_known(g, p);
	s->touch[0] = touch;
	s->base = (uint8_t)p.base;
	s->disp = p.disp;
}

void gen_touch_begin(struct jit_gen *g, const struct slow *s)
{
	struct jit_asm *a = &g->a;
	for (unsigned k = 0; k < 2 && s->touch[k]; k++) {
		g->touches[g->ntouches].at = (uint32_t)(s->touch[k] - g->c->w);
		g->touches[g->ntouches++].stub = (uint32_t)(a->p - g->c->w);
	}
	if (s->base != RAX || s->disp)
		x_lea(a, RAX, s->base, s->disp);
	if (s->host)
		x_alum(a, true, ALU_SUB, RAX, STATE_REG,
		       at(g->c->g.run + offsetof(struct jit_run, window)));
}
