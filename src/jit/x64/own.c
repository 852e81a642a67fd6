/* SPDX-License-Identifier: Apache-2.0 */
/* Units with a register map of their own. The standard map holds at entries and at all ways out, so
 * other units need not know. Where both maps agree on a host register nothing is to be done; where
 * they do not, the slot of the standard register is up to date inside the unit, and so is that of a
 * register of the unit that the unit never writes. */
#include "jit/x64/internal.h"

static bool is_moved(const struct jit_gen *g, unsigned n) { return g->home[n] != g->c->home[n]; }

static int32_t x_at(unsigned n) { return at(8ull * n); }
static int32_t f_at(const struct jit_gen *g, unsigned n) { return at(g->c->g.fp_regs + 8ull * n); }

static void f_load(struct jit_gen *g)
{
	bool any = false;
	for (unsigned n = 0; n < 32; n++) {
		if (g->fhome[n] < 0)
			continue;
		asm_prm(&g->a, 0xf3, false, 0x0f7e, (unsigned)g->fhome[n], STATE_REG, f_at(g, n));
		any = true;
	}
	if (any) /* vpcmpeqd: ones */
		asm_vrr(&g->a, 1, 1, false, 0x76, XMM_ONES, XMM_ONES, XMM_ONES);
}

static void f_store(struct jit_gen *g)
{
	for (unsigned n = 0; n < 32; n++)
		if (g->fhome[n] >= 0 && g->plan.f_dirty >> n & 1)
			asm_prm(&g->a, 0x66, false, 0x0fd6, (unsigned)g->fhome[n], STATE_REG,
			        f_at(g, n));
}

/* The registers of the standard map that lose their place, or the unit's that take it. */
static void x_move(struct jit_gen *g, bool store, bool own)
{
	for (unsigned n = 0; n < SLOTS; n++) {
		int8_t r = own ? g->home[n] : g->c->home[n];
		if (r < 0 || !is_moved(g, n))
			continue;
		if (!store)
			x_load(&g->a, true, (unsigned)r, STATE_REG, x_at(n));
		else if (!own || (n < 32 && g->plan.x_dirty >> n & 1))
			x_store(&g->a, true, (unsigned)r, STATE_REG, x_at(n));
	}
}

void own_in(struct jit_gen *g)
{
	if (!g->own)
		return;
	x_move(g, true, false);
	x_move(g, false, true);
	f_load(g);
	vmap_load(g);
}

void own_out(struct jit_gen *g)
{
	if (!g->own)
		return;
	x_move(g, true, true);
	x_move(g, false, false);
	f_store(g);
	vmap_out(g);
}

void own_spill(struct jit_gen *g)
{
	for (unsigned n = 0; n < SLOTS; n++)
		if (g->home[n] >= 0 && (!is_moved(g, n) || (n < 32 && g->plan.x_dirty >> n & 1)))
			x_store(&g->a, true, (unsigned)g->home[n], STATE_REG, x_at(n));
	f_store(g);
	vmap_out(g);
}

void own_fill(struct jit_gen *g, bool all)
{
	for (unsigned n = 0; n < SLOTS; n++) {
		int8_t r = g->home[n];
		bool lost = r == RSI || r == RDI || (r >= R8 && r <= R11);
		if (r >= 0 && (all || lost))
			x_load(&g->a, true, (unsigned)r, STATE_REG, x_at(n));
	}
	f_load(g);
	vmap_load(g);
}

void own_box(struct jit_gen *g, unsigned x, unsigned r)
{
	asm_vrr(&g->a, 3, 1, false, 0x22, x, XMM_ONES, r); /* vpinsrd x, ones, r, 0 */
	a8(&g->a, 0);
}

/* ---- the entry ---- */

static void rely(struct jit_gen *g, unsigned cc, uint64_t pa)
{
	gen_slow(g, SLOW_ENTRY, x_jcc32(&g->a, cc))->pa = pa;
}

uint32_t own_boxed(const struct jit_gen *g, uint64_t pa)
{
	const struct plan *p = &g->plan;
	unsigned n = 0;
	while (g->own && n < p->n && g->pa + 2ull * p->insn[n].at != pa)
		n++;
	return g->own && n < p->n ? p->insn[n].boxed : 0;
}

void own_rely(struct jit_gen *g, uint64_t pa)
{
	struct jit_asm *a = &g->a;
	if (!g->own)
		return;
	if (g->plan.fp) {
		x_alumi(a, false, ALU_CMP, STATE_REG, at(g->c->g.fp_on), 3);
		rely(g, CC_NE, pa);
	}
	if (g->plan.rounds) {
		x_alumi(a, false, ALU_CMP, STATE_REG, at(g->c->g.fp_mode), 3);
		rely(g, CC_A, pa);
	}
	uint32_t boxed = own_boxed(g, pa);
	for (unsigned n = 0; n < 32; n++)
		if (boxed >> n & 1) {
			x_alumi(a, false, ALU_CMP, STATE_REG, f_at(g, n) + 4, -1);
			rely(g, CC_NE, pa);
		}
}

/* At least as long as what jit_unit_kill writes: labels of the unit stand behind it. */
void own_entry(struct jit_gen *g, uint64_t pa)
{
	struct jit_asm *a = &g->a;
	const uint8_t *start = a->p;
	g->entered = true;
	own_rely(g, pa);
	near_entry(g, pa);
	own_in(g);
	while (a->p - start < 5 && !a->full)
		a8(a, 0x90);
	gen_forget(g);
}

void own_stubs(struct jit_gen *g)
{
	if (!g->own)
		return;
	g->stub[0] = (uint32_t)(g->a.start - g->c->w);
	for (unsigned n = 1; n < LABELS && !g->a.full && !g->cannot; n++)
		if (g->label[n] && g->checks[n]) {
			g->stub[n] = (uint32_t)(g->a.p - g->c->w);
			own_entry(g, g->pa + 2 * n);
			x_jmp_to(&g->a, g->label[n]);
		}
}

/* ---- calls of C ---- */

void gen_thunk_call(struct jit_gen *g, uint32_t shared, enum own_thunk own)
{
	if (!g->own) {
		x_call_to(&g->a, g->c->w + shared);
		return;
	}
	if (g->nown == SLOW_MAX) {
		g->cannot = true;
		return;
	}
	a8(&g->a, 0xe8);
	a32(&g->a, 0);
	g->own_wait[g->nown].from = g->a.p;
	g->own_wait[g->nown++].thunk = (uint8_t)own;
}

static void thunk_write(struct jit_gen *g, enum own_thunk n)
{
	const struct thunks *t = &g->c->t;
	if (n < OWN_FAULT) {
		thunk_own(g, n);
		return;
	}
	own_spill(g);
	x_jmp_to(&g->a, g->c->w + (n == OWN_FAULT ? t->fault_own
	                           : n == OWN_LEAVE ? t->leave_own : t->deopt_own));
}

/* ---- indirect jumps inside the unit ---- */

bool own_jump(struct jit_gen *g)
{
	struct jit_asm *a = &g->a;
	if (!g->plan.indirect || g->njumps == OWN_JUMPS)
		return false;
	x_movi(a, RCX, g->pa);
	x_alum(a, true, ALU_ADD, RCX, STATE_REG, at(g->c->g.run + offsetof(struct jit_run, delta)));
	x_alu(a, true, ALU_SUB, RAX, RCX);
	x_alui(a, true, ALU_CMP, RAX, (int32_t)(g->end - g->pa));
	near_jump_table(g);
	g->jumps[g->njumps].out = x_jcc32(a, CC_AE);
	g->jumps[g->njumps++].table = x_lea_rip(a, RDX);
	asm_rmx(a, false, 0xff, 4, RDX, RAX, 2, 0);
	g->last_jump = (unsigned)(g->in->pa - g->pa) / 2;
	return true;
}

/* Whether an indirect jump may go to label @n: if none goes round that way without a look at the
 * limit. */
static bool may_land(const struct jit_gen *g, unsigned n)
{
	return n < LABELS && g->label[n] && (g->checks[n] || n > g->last_jump);
}

/* A table of where to go on for each halfword of the unit; @out for what is no label. */
static void jumps_write(struct jit_gen *g)
{
	struct jit_asm *a = &g->a;
	unsigned n = (unsigned)(g->end - g->pa) / 2;
	if (!g->njumps)
		return;
	const uint8_t *out = a->p;
	x_alu(a, true, ALU_ADD, RAX, RCX);
	own_out(g);
	x_jmp_to(a, g->c->w + g->c->t.look_up);
	uint8_t *land[LABELS];
	for (unsigned k = 0; k < n && !a->full; k++)
		land[k] = may_land(g, k) ? near_land(g, k) : NULL;
	while ((a->p - g->c->w) % 8 && !a->full)
		a8(a, 0xcc);
	for (unsigned k = 0; k < g->njumps && !a->full; k++) {
		x_aim(g->jumps[k].out, out);
		x_aim(g->jumps[k].table, a->p);
	}
	g->moves.table = asm_off(a);
	g->moves.ntable = n;
	for (unsigned k = 0; k < n && !a->full; k++)
		a64(a, (uintptr_t)(g->c->x + ((land[k] ? land[k] : out) - g->c->w)));
}

void own_thunks(struct jit_gen *g)
{
	jumps_write(g);
	uint8_t *where[OWN_THUNKS] = {0};
	for (unsigned n = 0; n < g->nown && !g->a.full && !g->cannot; n++) {
		unsigned k = g->own_wait[n].thunk;
		if (!where[k]) {
			where[k] = g->a.p;
			thunk_write(g, k);
		}
		if (!g->a.full)
			x_aim(g->own_wait[n].from, where[k]);
	}
}
