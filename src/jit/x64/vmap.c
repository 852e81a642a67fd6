/* SPDX-License-Identifier: Apache-2.0 */
/* Vector registers that live in host registers, as a part of a unit's own map: pieces of the
 * register file, of 64, 32 or 16 bytes, that loops use most. What does not see the file in the same
 * pieces has the state brought up to date first (each.apart), and so have helpers (own.c).
 * Outside of such units the upper parts of the first 16 registers are clear.
 * Spec: SDM2 083 §2.3, §2.7, §5 (VZEROUPPER) */
#include "jit/x64/each.h"

enum { PIECES = 128 };

struct piece {
	uint16_t off;
	uint8_t bytes;
	bool dirty;
	uint32_t weight;
};
struct pieces {
	struct piece p[PIECES];
	unsigned n;
};

unsigned vmap_home(const struct jit_gen *g, unsigned off)
{
	for (unsigned n = 0; n < g->vmap.n; n++)
		if (g->vmap.h[n].off == off)
			return g->vmap.h[n].reg;
	return NOREG;
}

static bool overlap(unsigned a, unsigned n, unsigned b, unsigned m)
{
	return a < b + m && b < a + n;
}

static bool conforms(const struct vmap *m, const struct each *x)
{
	unsigned one = x->g->c->g.vector_bytes, nuse;
	struct each_use use[3];
	nuse = each_uses(x->e, use);
	for (unsigned n = 0; n < m->n; n++)
		for (unsigned k = 0; k < nuse; k++)
			if (overlap(m->h[n].off, m->h[n].bytes, use[k].reg * one,
			            use[k].whole || use[k].all ? x->bytes : one) &&
			    (!use[k].whole || m->h[n].bytes != x->step || x->bytes < 16))
				return false;
	return true;
}

bool vmap_conforms(const struct each *x) { return conforms(&x->g->vmap, x); }

/* ---- what loops use most ---- */

static void piece_note(struct pieces *q, unsigned off, unsigned bytes, bool dirty, uint32_t weight)
{
	unsigned n = 0;
	while (n < q->n && (q->p[n].off != off || q->p[n].bytes != bytes))
		n++;
	if (n == PIECES)
		return;
	if (n == q->n)
		q->p[q->n++] = (struct piece){ .off = (uint16_t)off, .bytes = (uint8_t)bytes };
	q->p[n].weight += weight;
	q->p[n].dirty |= dirty;
}

static void insn_note(struct jit_gen *g, struct pieces *q, const struct plan_insn *i,
                      uint32_t weight)
{
	struct each x;
	struct each_use use[3];
	each_shape(&x, g, i->each, i->each_type);
	unsigned one = g->c->g.vector_bytes, nuse = each_uses(x.e, use);
	for (unsigned k = 0; k < nuse; k++)
		for (unsigned off = 0; off < x.bytes && x.bytes >= 16 && use[k].whole;
		     off += x.step)
			piece_note(q, use[k].reg * one + off, x.step, use[k].write,
			           weight * (use[k].read + use[k].write));
}

/* The best piece, heavier than @least, that none of the map lies on; NULL: there is none. */
static const struct piece *best(const struct pieces *q, const struct vmap *m, uint32_t least)
{
	const struct piece *r = NULL;
	for (unsigned n = 0; n < q->n; n++) {
		bool taken = q->p[n].weight <= (r ? r->weight : least);
		for (unsigned k = 0; k < m->n && !taken; k++)
			taken = overlap(m->h[k].off, m->h[k].bytes, q->p[n].off, q->p[n].bytes);
		if (!taken)
			r = &q->p[n];
	}
	return r;
}

/* Host registers that nothing lives in. xmm15 is ones where there is floating point. @far: those
 * from YMM_FAR on as well, last. */
static unsigned registers_free(const struct plan *p, bool far, uint8_t *ret)
{
	unsigned n = 0;
	bool scalar = false;
	for (unsigned k = 0; k < p->n; k++)
		scalar |= p->insn[k].fcall;
	for (int8_t x = XMM_FIRST; x < XMM_ONES; x++)
		if (!memchr(p->fhome, x, sizeof p->fhome))
			ret[n++] = (uint8_t)x;
	if (!scalar && n == XMM_ONES - XMM_FIRST)
		ret[n++] = XMM_ONES;
	for (unsigned x = YMM_FAR; x < 32 && far; x++)
		ret[n++] = (uint8_t)x;
	return n;
}

static bool is_apart(struct jit_gen *g, const struct plan_insn *i)
{
	struct each x;
	each_shape(&x, g, i->each, i->each_type);
	return !conforms(&g->plan.vmap, &x);
}

bool vmap_choose(struct jit_gen *g, const uint32_t *weight, uint32_t least)
{
	struct plan *p = &g->plan;
	struct vmap *m = &p->vmap;
	struct pieces q = { .n = 0 };
	uint8_t r[VMAP_MAX];
	const struct piece *piece;
	uint64_t gain = 0, loss = 0;
	m->n = 0;
	m->evex = false;
	for (unsigned n = 0; n < p->n; n++)
		if (p->insn[n].each)
			insn_note(g, &q, &p->insn[n], weight[n]);
	unsigned nfree = registers_free(p, g->c->avx512, r);
	while (m->n < nfree && (piece = best(&q, m, least))) {
		m->h[m->n].off = piece->off;
		m->h[m->n].bytes = piece->bytes;
		m->h[m->n].dirty = piece->dirty;
		m->h[m->n].reg = r[m->n];
		m->evex |= r[m->n] >= YMM_FAR;
		m->n++;
		gain += piece->weight;
	}
	for (unsigned n = 0; n < p->n; n++)
		if (p->insn[n].each && is_apart(g, &p->insn[n]))
			loss += 2ull * m->n * weight[n];
	if (loss > gain)
		m->n = 0;
	return m->n;
}

/* ---- in and out ---- */

static void move(struct jit_gen *g, unsigned n, unsigned op)
{
	const struct vmap *m = &g->vmap;
	unsigned wide = m->h[n].bytes == 64 ? L_64 : m->h[n].bytes == 32 ? L_32 : 0;
	int32_t where = at(g->c->g.vector + m->h[n].off);
	if (wide == L_64 || m->h[n].reg >= YMM_FAR)
		asm_erm(&g->a, 1, wide, false, op, m->h[n].reg, 0, STATE_REG, where);
	else
		asm_vrm(&g->a, 1, wide, false, op, m->h[n].reg, 0, STATE_REG, where);
}

void vmap_load(struct jit_gen *g)
{
	for (unsigned n = 0; n < g->vmap.n; n++)
		move(g, n, 0x10);
}

void vmap_store(struct jit_gen *g)
{
	for (unsigned n = 0; n < g->vmap.n; n++)
		if (g->vmap.h[n].dirty)
			move(g, n, 0x11);
}

void vmap_zeroupper(struct jit_gen *g)
{
	a8(&g->a, 0xc5);
	a8(&g->a, 0xf8);
	a8(&g->a, 0x77);
}

void vmap_out(struct jit_gen *g)
{
	vmap_store(g);
	if (g->vmap.n)
		vmap_zeroupper(g);
}
