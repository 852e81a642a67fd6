/* SPDX-License-Identifier: Apache-2.0 */
/* Jumps to known code that is out of reach of links by physical address: user code maps each page
 * for itself. At first they look the virtual address up. What is taken often gets a veneer: code
 * that compares the context and the distance between virtual and physical addresses with what they
 * were, and goes on without any table. */
#include "jit/x64/internal.h"
#include <stdlib.h>

/* A look at what is taken often is worth a call of C every so often. */
enum { CREDIT = 16 };

#define RUN(c, field) at((c)->g.run + offsetof(struct jit_run, field))

/* rax = virtual address; rdx, rcx are lost. */
static void look_up_slowly(const struct jit_cache *c, struct jit_asm *a, uint64_t pa)
{
	x_movi(a, RAX, pa);
	x_alum(a, true, ALU_ADD, RAX, STATE_REG, RUN(c, delta));
}

void far_write(struct jit_gen *g, uint64_t pa)
{
	struct jit_asm *a = &g->a;
	uint32_t start = (uint32_t)(a->p - g->c->w);
	look_up_slowly(g->c, a, pa);
	uint8_t *back = x_lea_rip(a, RDX);
	x_jmp_to(a, g->c->w + g->c->t.far);
	if (!a->full)
		x_aim(back, a->p);
	unsigned n = g->nexits++;
	g->exits[n].back = (uint32_t)(a->p - g->c->w);
	g->exits[n].patch = start;
	g->exits[n].pa = pa;
}

/* rax: virtual address, rdx: where from. @out: the way out of generated code. */
void far_thunk(struct jit_cache *c, struct jit_asm *a, const uint8_t *out)
{
	x_alumi(a, false, ALU_SUB, STATE_REG, RUN(c, credit), 1);
	uint8_t *spent = x_jcc8(a, CC_B);
	thunk_look_up(c, a);
	x_here8(a, spent);
	x_storei(a, false, CREDIT, STATE_REG, RUN(c, credit));
	x_store(a, true, RDX, STATE_REG, RUN(c, detail));
	x_movi(a, RAX, JIT_FAR);
	x_jmp_to(a, out);
}

/* ---- veneers ---- */

/* Always of the same length, the key at its end. */
static void key_compare(const struct jit_cache *c, struct jit_asm *a, int32_t key)
{
	asm_rm(a, true, 0x81, ALU_CMP, STATE_REG, at(c->g.key));
	a32(a, (uint32_t)key);
}

static void veneer_write(struct jit_cache *c, struct jit_asm *a, const struct jit_exit_at *x,
                         const struct jit_far *f)
{
	key_compare(c, a, (int32_t)f->key);
	uint8_t *other = x_jcc8(a, CC_NE);
	x_movi(a, RAX, f->from);
	x_alum(a, true, ALU_CMP, RAX, STATE_REG, RUN(c, delta));
	uint8_t *moved = x_jcc8(a, CC_NE);
	x_movi(a, RAX, f->to);
	x_store(a, true, RAX, STATE_REG, RUN(c, delta));
	x_jmp_to(a, c->w + f->code);
	x_here8(a, other);
	x_here8(a, moved);
	look_up_slowly(c, a, x->pa);
	x_aim(x_lea_rip(a, RDX), c->w + x->back);
	x_jmp_to(a, c->w + c->t.far);
}

/* Its number in the list stands behind its code. */
static uint8_t *number_at(const struct jit_cache *c, uint32_t off)
{
	return c->w + off + VENEER_BYTES - 4;
}

static bool veneer_new(struct jit_cache *c, uint32_t off)
{
	if (c->nveneers == c->veneers_cap) {
		uint32_t cap = c->veneers_cap ? 2 * c->veneers_cap : 256;
		struct veneer *more = realloc(c->veneers, cap * sizeof *more);
		if (!more)
			return false;
		c->veneers = more;
		c->veneers_cap = cap;
	}
	c->veneers[c->nveneers] = (struct veneer){ off, 0 };
	le32_put(number_at(c, off), c->nveneers++);
	return true;
}

/* The veneer that the exit leads to already; 0: none. */
static uint32_t veneer_of(const struct jit_cache *c, const struct jit_exit_at *x)
{
	const uint8_t *p = c->w + x->patch;
	int32_t d;
	if (*p != 0xe9)
		return 0;
	memcpy(&d, p + 1, 4);
	return (uint32_t)((int64_t)x->patch + 5 + d);
}

void jit_far_link(struct jit_cache *c, const struct jit_exit_at *x, const struct jit_far *f)
{
	uint32_t had = veneer_of(c, x), off = had ? had : (uint32_t)align_up(c->used, 16);
	if (!fits32((int64_t)f->key) ||
	    (!had && (off + VENEER_BYTES > c->split || !veneer_new(c, off))))
		return;
	uint8_t *p = c->w + off;
	struct jit_asm a = asm_at(p, p + VENEER_BYTES - 4);
	veneer_write(c, &a, x, f);
	assert(!a.full);
	c->veneers[le32_at(number_at(c, off))].to = f->code;
	if (had)
		return;
	c->used = off + VENEER_BYTES;
	a = asm_at(c->w + x->patch, c->w + x->patch + 5);
	x_jmp_to(&a, p);
}

/* No context has the key -1. */
void jit_far_forget(struct jit_cache *c, const struct jit_unit *u)
{
	for (uint32_t n = 0; n < c->nveneers; n++) {
		const struct veneer *v = &c->veneers[n];
		if (u && v->to - u->code >= u->code_len)
			continue;
		uint8_t bytes[VENEER_BYTES]; /* what is behind it stays */
		struct jit_asm a = asm_at(bytes, bytes + sizeof bytes);
		key_compare(c, &a, -1);
		memcpy(c->w + v->off, bytes, asm_off(&a));
	}
}
