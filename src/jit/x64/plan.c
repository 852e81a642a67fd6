/* SPDX-License-Identifier: Apache-2.0 */
/* Which guest registers a unit keeps in host registers: those that its loops use most, where it is
 * worth more than changing maps at the entry, the ways out and calls. Loops are what jumps back
 * enclose. And what can be relied on all through the unit if it holds at the entry. */
#include "jit/x64/each.h"

enum { NOWHERE = UINT16_MAX, DEPTH_MAX = 4, XMM_HOMES = XMM_ONES - XMM_FIRST };
#define BOXED 0xffffffff00000000u

/* ---- what instructions do ---- */

void jit_plan_begin(struct jit_gen *g, uint64_t pa, uint64_t end, bool indirect)
{
	g->pa = pa;
	g->end = end;
	g->plan.n = 0;
	g->known.is = 0;
	g->plan.indirect = indirect;
	g->plan.ready = false;
}

static bool is_x(uint64_t off) { return off >= 8 && off < 8 * 32; }
static bool is_f(const struct jit_gen *g, uint64_t off)
{
	return off >= g->c->g.fp_regs && off < g->c->g.fp_regs + 256;
}
static uint32_t f_bit(const struct jit_gen *g, uint64_t off)
{
	return 1u << (off - g->c->g.fp_regs) / 8;
}
static bool is_boxes(const struct ir_ins *i) { return i->op == IR_const && i->imm == BOXED; }

static void target_note(const struct jit_gen *g, struct plan_insn *p, uint64_t pa)
{
	if (pa >= g->pa && pa < g->end)
		p->target = (uint16_t)((pa - g->pa) / 2);
}

static void put_note(const struct jit_gen *g, struct plan_insn *p, const struct ir_block *b,
                     const struct ir_ins *i)
{
	const struct ir_ins *v = &b->ins[i->a];
	if (is_x(i->imm))
		p->x_write |= 1u << i->imm / 8;
	if (!is_f(g, i->imm))
		return;
	p->f_write |= f_bit(g, i->imm);
	if (v->op != IR_or || !is_boxes(&b->ins[v->b]))
		p->f_wide |= f_bit(g, i->imm);
}

/* IR_each */
static void each_note(struct jit_gen *g, struct plan_insn *p, const struct ir_block *b,
                      const struct ir_ins *i)
{
	uint8_t op = ir_each_of(i->d).op;
	if (!each_is_inline(g, b, i)) {
		p->helper = true;
		return;
	}
	p->each = op == IR_EACH_begin ? 0 : i->d;
	p->each_type = i->imm >> 32 & 255;
	if (op == IR_EACH_load || op == IR_EACH_store)
		near_note(p, b, i);
	p->fp |= each_is_float(op);
	p->rounds |= each_is_float(op);
}

static void ins_note(struct jit_gen *g, struct plan_insn *p, const struct ir_block *b,
                     const struct ir_ins *i)
{
	const struct jit_guest *s = &g->c->g;
	switch ((int)i->op) {
	case IR_get:
		if (is_x(i->imm))
			p->x_read |= 1u << i->imm / 8;
		if (is_f(g, i->imm))
			p->f_read |= f_bit(g, i->imm);
		p->fp |= i->imm == s->fp_on;
		p->rounds |= i->imm == s->fp_mode;
		break;
	case IR_put:
		put_note(g, p, b, i);
		near_note(p, b, i);
		break;
	case IR_load: case IR_store: near_note(p, b, i); break;
	case IR_ltu:
		if (is_boxes(&b->ins[i->b]) && b->ins[i->a].op == IR_get &&
		    is_f(g, b->ins[i->a].imm))
			p->f_box |= f_bit(g, b->ins[i->a].imm);
		break;
	case IR_br: target_note(g, p, i->imm); break;
	case IR_jump:
		p->falls = p->call;
		if (!p->call)
			target_note(g, p, i->imm);
		break;
	case IR_jumpr: p->falls = p->call; break;
	case IR_call:
		p->helper = true;
		p->other = (uint32_t)i->imm != s->vector_call || !s->vector_bytes;
		break;
	case IR_fcall: p->fcall = true; break;
	case IR_each: each_note(g, p, b, i); break;
	default: break;
	}
}

void jit_plan_insn(struct jit_gen *g, const struct jit_insn *in, const struct ir_block *ir)
{
	struct plan *q = &g->plan;
	if (q->n == JIT_UNIT_INSNS)
		return;
	struct plan_insn *p = &q->insn[q->n++];
	if (in->label)
		g->known.is = 0;
	ir = known_fold(g, ir);
	*p = (struct plan_insn){ .at = (uint16_t)((in->pa - g->pa) / 2), .target = NOWHERE,
		.falls = true, .call = in->call };
	for (uint32_t n = 0; n < ir->n; n++)
		ins_note(g, p, ir, &ir->ins[n]);
}

/* ---- loops ---- */

/* Returns whether there is one. */
static bool depths(const struct plan *p, uint8_t *depth)
{
	uint8_t last[2 * JIT_UNIT_INSNS]; /* by target: behind the last jump back to it */
	bool any = false;
	memset(depth, 0, p->n);
	memset(last, 0, sizeof last);
	for (unsigned n = 0; n < p->n; n++)
		if (p->insn[n].target <= p->insn[n].at) {
			last[p->insn[n].target] = (uint8_t)(n + 1);
			any = true;
		}
	for (unsigned n = 0; n < p->n; n++)
		for (unsigned k = n; k < last[p->insn[n].at]; k++)
			if (depth[k] < DEPTH_MAX)
				depth[k]++;
	/* they go round too */
	for (unsigned n = 0; n < p->n && p->indirect; n++)
		if (!depth[n])
			depth[n] = 1;
	return any || p->indirect;
}

static uint32_t weight(unsigned depth) { return 1u << 3 * depth; }

static unsigned bits_in(uint32_t m, unsigned n) { return m >> n & 1; }

struct weights {
	uint32_t x[32], f[32];
	uint32_t cross, helper; /* how often maps change; calls of C */
};

static void weights_count(const struct plan *p, const uint8_t *depth, struct weights *w)
{
	*w = (struct weights){ .cross = 2 };
	for (unsigned n = 0; n < p->n; n++) {
		const struct plan_insn *i = &p->insn[n];
		uint32_t k = weight(depth[n]);
		for (unsigned r = 0; r < 32; r++) {
			w->x[r] += k * (bits_in(i->x_read, r) + bits_in(i->x_write, r));
			w->f[r] += k * (bits_in(i->f_read, r) + bits_in(i->f_write, r));
		}
		w->cross += i->call ? 2 * k : 0;
		w->helper += i->helper ? k : 0;
	}
}

/* ---- the map ---- */

/* The best x register that is in memory, or the worst that is not; 0: none. */
static unsigned x_pick(const struct plan *p, const struct weights *w, bool best)
{
	unsigned r = 0;
	for (unsigned n = 1; n < 32; n++)
		if ((p->home[n] < 0) == best &&
		    (!r || (best ? w->x[n] > w->x[r] : w->x[n] < w->x[r])))
			r = n;
	return r;
}

static bool x_choose(const struct jit_gen *g, struct plan *p, const struct weights *w, bool force)
{
	bool any = false;
	memcpy(p->home, g->c->home, sizeof p->home);
	for (unsigned k = 0; k < 10; k++) {
		unsigned to = x_pick(p, w, true), from = x_pick(p, w, false);
		uint32_t cost = force ? 0 : 2 * w->cross;
		if (!to || !from || w->x[to] <= w->x[from] + cost)
			break;
		p->home[to] = p->home[from];
		p->home[from] = -1;
		any = true;
	}
	return any;
}

static bool f_choose(struct plan *p, const struct weights *w, bool force)
{
	unsigned k = 0;
	memset(p->fhome, -1, sizeof p->fhome);
	for (; k < XMM_HOMES; k++) {
		unsigned r = 32;
		for (unsigned n = 0; n < 32; n++)
			if (p->fhome[n] < 0 && (r == 32 || w->f[n] > w->f[r]))
				r = n;
		if (r == 32 || w->f[r] <= (force ? 0 : 2 * (w->cross + w->helper)))
			break;
		p->fhome[r] = (int8_t)(XMM_FIRST + k);
	}
	return k > 0;
}

static bool v_choose(struct jit_gen *g, const uint8_t *depth, const struct weights *w, bool force)
{
	uint32_t each[JIT_UNIT_INSNS];
	for (unsigned n = 0; n < g->plan.n; n++)
		each[n] = weight(depth[n]);
	return vmap_choose(g, each, force ? 0 : 2 * (w->cross + w->helper));
}

/* ---- facts ---- */

static unsigned index_at(const struct plan *p, unsigned at)
{
	unsigned n = 0;
	while (n < p->n && p->insn[n].at != at)
		n++;
	return n;
}

/* Fill in f_live. What follows a call is looked at when it comes back. */
static void boxed_live(struct plan *p)
{
	uint32_t live[JIT_UNIT_INSNS + 1] = {0};
	uint16_t to[JIT_UNIT_INSNS];
	for (unsigned n = 0; n < p->n; n++)
		to[n] = (uint16_t)(p->insn[n].target == NOWHERE ? p->n
		                                                : index_at(p, p->insn[n].target));
	for (bool again = true; again;) {
		again = false;
		for (unsigned n = p->n; n-- > 0;) {
			const struct plan_insn *i = &p->insn[n];
			uint32_t out = i->call ? 0 : (i->falls ? live[n + 1] : 0) | live[to[n]];
			uint32_t in = (out & ~i->f_write) | i->f_box;
			again |= in != live[n];
			live[n] = in;
		}
	}
	for (unsigned n = 0; n < p->n; n++)
		p->insn[n].f_live = live[n];
}

/* Fill in boxed: what is read as a boxed f32 is one on every way here. What comes from outside, by
 * an entry or back from a call, is looked at. */
static void boxed_here(struct plan *p)
{
	for (unsigned n = 0; n < p->n; n++)
		p->insn[n].boxed = p->insn[n].f_live;
	for (bool again = true; again;) {
		again = false;
		for (unsigned n = 0; n < p->n; n++) {
			const struct plan_insn *i = &p->insn[n];
			uint32_t out = (i->boxed & ~i->f_write) | (i->f_write & ~i->f_wide);
			unsigned to = i->target == NOWHERE ? p->n : index_at(p, i->target);
			for (unsigned k = 0; k < 2; k++) {
				unsigned next = k ? to : i->falls && !i->call ? n + 1 : p->n;
				if (next >= p->n || !(p->insn[next].boxed & ~out))
					continue;
				p->insn[next].boxed &= out;
				again = true;
			}
		}
	}
}

static bool facts(struct plan *p)
{
	bool other = false, fp = false, rounds = false;
	p->x_dirty = p->f_dirty = 0;
	for (unsigned n = 0; n < p->n; n++) {
		const struct plan_insn *i = &p->insn[n];
		p->x_dirty |= i->x_write;
		p->f_dirty |= i->f_write;
		other |= i->other;
		fp |= i->fp;
		rounds |= i->rounds;
	}
	p->fp = fp && !other;
	p->rounds = rounds && !other;
	boxed_live(p);
	boxed_here(p);
	for (unsigned n = 0; n < p->n && (other || p->indirect); n++)
		p->insn[n].boxed = 0;
	return p->fp;
}

bool jit_plan_end(struct jit_gen *g, bool force)
{
	struct plan *p = &g->plan;
	uint8_t depth[JIT_UNIT_INSNS];
	struct weights w;
	if (!depths(p, depth) && !force)
		return false;
	weights_count(p, depth, &w);
	bool x = x_choose(g, p, &w, force), f = f_choose(p, &w, force), fp = facts(p);
	bool v = v_choose(g, depth, &w, force), near = near_plan(g);
	p->ready = near || x || f || v || fp || p->indirect || force;
	return p->ready;
}
