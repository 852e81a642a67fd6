/* SPDX-License-Identifier: Apache-2.0 */
/* IR_each of memory: groups, whole or less than a host register, at one address.
 * Spec: RISC-V Unpriv 20240411 §31.7; SDM2 083 §2.3 */
#include "jit/x64/each.h"

/* Mirrored units: the group's bytes at the guest address, where they may fault. What was moved
 * before a fault is moved again by the helper. */
void each_place_mirrored(struct each *x, uint32_t v)
{
	struct jit_gen *g = x->g;
	x->place = gen_place(g, v);
	if (!x->slow)
		x->slow = gen_slow(g, SLOW_EACH, NULL);
	x->slow->bytes = 1;
	x->slow->base = (uint8_t)x->place.base;
	x->slow->disp = x->place.disp;
	x->faults = true;
	if (g->own)
		gen_place_known(g, x->place);
}

/* The same by the TLB, of the guest address in rdx. */
void each_place_by_tlb(struct each *x, bool write)
{
	const struct jit_guest *s = &x->g->c->g;
	struct jit_asm *a = x->a;
	x_lea(a, RCX, RDX, (int32_t)x->bytes - 1);
	x_alu(a, true, ALU_XOR, RCX, RDX);
	x_alui(a, true, ALU_CMP, RCX, 4095);
	each_unless(x, CC_A);
	asm_vrr(a, 3, 3, true, 0xf0, RCX, 0, RDX); /* rorx rcx, rdx, shift */
	a8(a, 12 - 5);
	x_alui(a, false, ALU_AND, RCX, (int32_t)((s->tlb_entries - 1) * JIT_TLB_ENTRY));
	x_mov(a, true, RAX, RDX);
	x_alui(a, true, ALU_AND, RAX, -4096);
	x_alum(a, true, ALU_OR, RAX, STATE_REG, at(s->dctx));
	asm_rmx(a, true, ALU_CMP << 3 | 3, RAX, STATE_REG, RCX, 0, at(s->tlb + (write ? 8 : 0)));
	each_unless(x, CC_NE);
	asm_rmx(a, true, 0x8b, RCX, STATE_REG, RCX, 0, at(s->tlb + 16));
	x_alu(a, true, ALU_ADD, RCX, RDX);
	x->place = (struct place){ .base = RCX };
}

/* The access that comes next may fault: the helper does it then. */
static void may_fault(struct each *x)
{
	struct jit_gen *g = x->g;
	if (!x->faults)
		return;
	if (g->neach == EACH_AT_MAX) {
		g->cannot = true;
		return;
	}
	if (!x->slow->each_n)
		x->slow->each_from = (uint16_t)g->neach;
	x->slow->each_n++;
	g->each_at[g->neach++] = x->a->p;
}

/* Between @reg and memory; @op: 0x10 load, 0x11 store. */
static void v_memory(struct each *x, unsigned op, unsigned reg, unsigned off)
{
	may_fault(x);
	if (x->place.mirror && !x->g->c->g.flat)
		a8(x->a, SEG_GS);
	each_rm(x, 1, 0, false, op, reg, 0, x->place.base, x->place.disp + (int32_t)off);
}

/* mov between rdx and memory, of 1 to 8 bytes */
static void move_rdx(struct jit_asm *a, bool write, unsigned bytes, unsigned base, int32_t disp)
{
	unsigned op = (write ? 0x88 : 0x8a) | (bytes > 1);
	asm_prm(a, bytes == 2 ? 0x66 : 0, bytes == 8, op, RDX, base, disp);
}

/* Less than a host register. */
static void move_part(struct each *x, bool is_store)
{
	for (unsigned n = 0; n < 2; n++) {
		if (n == is_store) {
			may_fault(x);
			if (x->place.mirror && !x->g->c->g.flat)
				a8(x->a, SEG_GS);
			move_rdx(x->a, n, x->bytes, x->place.base, x->place.disp);
		} else {
			move_rdx(x->a, n, x->bytes, STATE_REG, each_at(x, x->e.d, 0));
		}
	}
}

void each_load_memory(struct each *x)
{
	if (x->bytes < 16) {
		move_part(x, false);
		return;
	}
	for (unsigned off = 0; off < x->bytes; off += 4 * x->step) {
		unsigned n = (x->bytes - off) / x->step;
		for (unsigned r = 0; r < n && r < 4; r++) {
			unsigned h = each_home(x, x->e.d, off + r * x->step);
			v_memory(x, 0x10, h != NOREG ? h : r, off + r * x->step);
		}
		for (unsigned r = 0; r < n && r < 4; r++)
			if (each_home(x, x->e.d, off + r * x->step) == NOREG)
				each_store(x, r, x->e.d, off + r * x->step);
	}
}

void each_store_memory(struct each *x)
{
	if (x->bytes < 16) {
		move_part(x, true);
		return;
	}
	for (unsigned off = 0; off < x->bytes; off += 4 * x->step) {
		unsigned n = (x->bytes - off) / x->step, from[4];
		for (unsigned r = 0; r < n && r < 4; r++)
			from[r] = each_get(x, x->e.d, off + r * x->step, r);
		for (unsigned r = 0; r < n && r < 4; r++)
			v_memory(x, 0x11, from[r], off + r * x->step);
	}
}
