/* SPDX-License-Identifier: Apache-2.0 */
/* IR_each: operations on whole groups of vector registers, by 32 or 16 bytes, where the guest's
 * vector key is the expected one; else, and where something unusual shows (a page that the TLB
 * does not know), the helper does all of it: nothing was written then. Groups are in the state, or
 * in host registers (vmap.c).
 *
 * Units with a map of their own rely on the key from the first instruction of a basic block that
 * has looked at it: behind a helper that leaves another one they are left (slow.leaves).
 * Spec: SDM2 083 §2.3 */
#include "jit/x64/each.h"

void each_unless(struct each *x, unsigned cc)
{
	uint8_t *from = x_jcc32(x->a, cc);
	if (!x->slow)
		x->slow = gen_slow(x->g, SLOW_EACH, NULL);
	if (x->nslow < countof(x->slow->more))
		x->slow->more[x->nslow++] = from;
	else
		x->g->cannot = true;
}

int32_t each_at(const struct each *x, unsigned reg, unsigned off)
{
	const struct jit_guest *s = &x->g->c->g;
	return at(s->vector + reg * s->vector_bytes + off);
}

unsigned each_home(const struct each *x, unsigned reg, unsigned off)
{
	return x->apart ? NOREG : vmap_home(x->g, reg * x->g->c->g.vector_bytes + off);
}

void each_rr(struct each *x, unsigned map, unsigned pp, bool w, unsigned op, unsigned reg,
             unsigned vvvv, unsigned rm)
{
	if (x->step < 64 && (reg | vvvv | rm) < 16)
		asm_vrr(x->a, map, pp | x->wide, w, op, reg, vvvv, rm);
	else
		asm_err(x->a, map, pp | x->wide, pp && x->elem == 3, op, reg, vvvv, rm);
}

void each_rm(struct each *x, unsigned map, unsigned pp, bool w, unsigned op, unsigned reg,
             unsigned vvvv, unsigned base, int32_t disp)
{
	if (x->step < 64 && (reg | vvvv) < 16)
		asm_vrm(x->a, map, pp | x->wide, w, op, reg, vvvv, base, disp);
	else
		asm_erm(x->a, map, pp | x->wide, pp && x->elem == 3, op, reg, vvvv, base, disp);
}

static void v_move(struct each *x, unsigned to, unsigned from)
{
	if (to != from)
		each_rr(x, 1, 0, false, 0x28, to, 0, from); /* vmovaps */
}

void each_load(struct each *x, unsigned to, unsigned reg, unsigned off)
{
	unsigned h = each_home(x, reg, off);
	if (h != NOREG)
		v_move(x, to, h);
	else
		each_rm(x, 1, 0, false, 0x10, to, 0, STATE_REG, each_at(x, reg, off));
}

void each_store(struct each *x, unsigned from, unsigned reg, unsigned off)
{
	unsigned h = each_home(x, reg, off);
	if (h != NOREG)
		v_move(x, h, from);
	else
		each_rm(x, 1, 0, false, 0x11, from, 0, STATE_REG, each_at(x, reg, off));
}

unsigned each_get(struct each *x, unsigned reg, unsigned off, unsigned spare)
{
	unsigned h = each_home(x, reg, off);
	if (h == NOREG)
		each_load(x, spare, reg, off);
	return h == NOREG ? spare : h;
}

/* ---- integers ---- */

void each_broadcast(struct each *x)
{
	static const uint8_t op[4] = { 0x78, 0x79, 0x58, 0x59 };
	asm_vrr(x->a, 1, 1, x->elem == 3, 0x6e, V_SCALAR, 0, RDX); /* vmovd, vmovq */
	each_rr(x, 2, 1, false, op[x->elem], V_SCALAR, 0, V_SCALAR);
}

void each_with_y(struct each *x, unsigned map, unsigned pp, bool w, unsigned op, unsigned to,
                 unsigned from, unsigned off)
{
	unsigned y = x->e.scalar ? V_SCALAR : each_home(x, x->e.b, off);
	if (y != NOREG)
		each_rr(x, map, pp, w, op, to, from, y);
	else
		each_rm(x, map, pp, w, op, to, from, STATE_REG, each_at(x, x->e.b, off));
}

static void multiply(struct each *x, unsigned to, unsigned from, unsigned off)
{
	bool word = x->elem == 1; /* vpmullw, vpmulld */
	each_with_y(x, word ? 1 : 2, 1, false, word ? 0xd5 : 0x40, to, from, off);
}

/* @to := V_A + d */
static void add_old(struct each *x, unsigned to, unsigned op, unsigned off)
{
	unsigned h = each_home(x, x->e.d, off);
	if (h != NOREG)
		each_rr(x, 1, 1, false, op, to, V_A, h);
	else
		each_rm(x, 1, 1, false, op, to, V_A, STATE_REG, each_at(x, x->e.d, off));
}

static void integers(struct each *x)
{
	static const uint8_t add[4] = { 0xfc, 0xfd, 0xfe, 0xd4 };
	static const uint8_t sub[4] = { 0xf8, 0xf9, 0xfa, 0xfb };
	if (x->e.scalar)
		each_broadcast(x);
	for (unsigned off = 0; off < x->bytes; off += x->step) {
		unsigned h = each_home(x, x->e.d, off), to = h != NOREG ? h : V_A;
		unsigned from = each_get(x, x->e.a, off, V_A);
		switch ((int)x->e.op) {
		case IR_EACH_add: each_with_y(x, 1, 1, false, add[x->elem], to, from, off); break;
		case IR_EACH_sub: each_with_y(x, 1, 1, false, sub[x->elem], to, from, off); break;
		case IR_EACH_and: each_with_y(x, 1, 1, false, 0xdb, to, from, off); break;
		case IR_EACH_or: each_with_y(x, 1, 1, false, 0xeb, to, from, off); break;
		case IR_EACH_xor: each_with_y(x, 1, 1, false, 0xef, to, from, off); break;
		case IR_EACH_mul: multiply(x, to, from, off); break;
		default:
			multiply(x, V_A, from, off);
			add_old(x, to, add[x->elem], off);
		}
		if (h == NOREG)
			each_store(x, to, x->e.d, off);
	}
}

/* vextracti128 or vpshufd: V_B := another half of V_A, which is added to it */
static void fold(struct each *x, unsigned op, bool wide, unsigned which, unsigned add)
{
	if (wide)
		asm_vrr(x->a, 3, 1 | 4, false, op, V_A, 0, V_B);
	else
		asm_vrr(x->a, 1, 1, false, op, V_B, 0, V_A);
	a8(x->a, which);
	asm_vrr(x->a, 1, 1, false, add, V_A, V_A, V_B);
}

/* Of 32 or 64 bits each. */
static void sum(struct each *x)
{
	unsigned add = x->elem == 3 ? 0xd4 : 0xfe;
	each_load(x, V_A, x->e.a, 0);
	for (unsigned off = x->step; off < x->bytes; off += x->step) {
		unsigned y = each_get(x, x->e.a, off, V_B);
		each_rr(x, 1, 1, false, add, V_A, V_A, y);
	}
	if (x->step == 64) {
		asm_err(x->a, 3, 1 | L_64, true, 0x3b, V_A, 0, V_B); /* vextracti64x4 */
		a8(x->a, 1);
		asm_vrr(x->a, 1, 1 | L_32, false, add, V_A, V_A, V_B);
	}
	if (x->wide)
		fold(x, 0x39, true, 1, add);
	fold(x, 0x70, false, 0x4e, add);
	if (x->elem == 2)
		fold(x, 0x70, false, 0xb1, add);
	asm_vrr(x->a, 1, 1, x->elem == 3, 0x7e, V_A, 0, RCX); /* vmovd, vmovq */
	x_alum(x->a, x->elem == 3, ALU_ADD, RCX, STATE_REG, each_at(x, x->e.b, 0));
	x_store(x->a, x->elem == 3, RCX, STATE_REG, each_at(x, x->e.d, 0));
}

static void move(struct each *x)
{
	if (x->e.scalar)
		each_broadcast(x);
	for (unsigned off = 0; off < x->bytes; off += x->step)
		each_store(x, x->e.scalar ? V_SCALAR : each_get(x, x->e.b, off, V_A), x->e.d, off);
}

/* K_MASK := which bytes are alike */
static void alike_evex(struct each *x, unsigned from, unsigned off)
{
	unsigned y = x->e.scalar ? V_SCALAR : each_home(x, x->e.b, off);
	if (y != NOREG)
		asm_err(x->a, 1, 1 | x->wide, false, 0x74, K_MASK, from, y); /* vpcmpeqb */
	else
		asm_erm(x->a, 1, 1 | x->wide, false, 0x74, K_MASK, from, STATE_REG,
		        each_at(x, x->e.b, off));
}

/* Bytes that are alike or not, as bits. */
static void compare(struct each *x)
{
	if (x->e.scalar)
		each_broadcast(x);
	for (unsigned off = 0; off < x->bytes; off += x->step) {
		unsigned from = each_get(x, x->e.a, off, V_A);
		bool all = x->step == 64;
		if (x->evex) {
			alike_evex(x, from, off);
			asm_vrr(x->a, 1, 3, all, 0x93, RCX, 0, K_MASK); /* kmov */
		} else {
			each_with_y(x, 1, 1, false, 0x74, V_A, from, off); /* vpcmpeqb */
			asm_vrr(x->a, 1, 1 | x->wide, false, 0xd7, RCX, 0, V_A); /* vpmovmskb */
		}
		if (x->e.op == IR_EACH_ne)
			asm_rr(x->a, all, 0xf7, 2, RCX);
		asm_prm(x->a, x->wide ? 0 : 0x66, all, 0x89, RCX, STATE_REG,
		        each_at(x, x->e.d, off / 8));
	}
}

/* rax := number of the first of @bits bits, or -1 */
static void first(struct each *x, unsigned bits)
{
	struct jit_asm *a = x->a;
	uint8_t *found[8];
	unsigned words = (bits + 63) / 64;
	for (unsigned n = 0; n < words; n++) {
		x_load(a, true, RCX, STATE_REG, each_at(x, x->e.a, 8 * n));
		if (bits < 64) {
			x_movi(a, RAX, (UINT64_C(1) << bits) - 1);
			x_alu(a, true, ALU_AND, RCX, RAX);
		}
		x_movi(a, RAX, 64u * n);
		x_test(a, true, RCX, RCX);
		found[n] = x_jcc8(a, CC_NE);
	}
	x_movi(a, RAX, UINT64_MAX);
	uint8_t *none = x_jmp8(a);
	for (unsigned n = 0; n < words; n++)
		x_here8(a, found[n]);
	asm_prr(a, 0xf3, true, 0x0fbc, RCX, RCX); /* tzcnt */
	x_alu(a, true, ALU_ADD, RAX, RCX);
	x_here8(a, none);
}

/* ---- element 0 ---- */

/* d[0] := rdx */
static void put_first(struct each *x)
{
	static const uint8_t op[4] = { 0x88, 0x89, 0x89, 0x89 };
	if (x->e.op == IR_EACH_fput)
		each_float_ready(x);
	if (x->elem == 0)
		asm_rm8(x->a, op[0], RDX, STATE_REG, each_at(x, x->e.d, 0));
	else
		asm_prm(x->a, x->elem == 1 ? 0x66 : 0, x->elem == 3, op[x->elem], RDX, STATE_REG,
		        each_at(x, x->e.d, 0));
}

/* rax := a[0], its sign extended, or boxed */
static void get_first(struct each *x)
{
	static const unsigned op[4] = { 0x0fbe, 0x0fbf, 0x63, 0x8b };
	bool boxes = x->e.op == IR_EACH_fget && x->elem == 2;
	if (x->e.op == IR_EACH_fget)
		each_float_ready(x);
	asm_rm(x->a, !boxes, boxes ? 0x8b : op[x->elem], RAX, STATE_REG, each_at(x, x->e.a, 0));
	if (boxes) {
		x_movi(x->a, RCX, UINT64_C(0xffffffff00000000));
		x_alu(x->a, true, ALU_OR, RAX, RCX);
	}
}

/* ---- all of it ---- */

static void body(struct each *x)
{
	switch ((enum ir_each_op)x->e.op) {
	case IR_EACH_begin: each_begin(x); return;
	case IR_EACH_first: first(x, each_most(x->g, x->type)); return;
	case IR_EACH_put: case IR_EACH_fput: put_first(x); return;
	case IR_EACH_get: case IR_EACH_fget: get_first(x); return;
	case IR_EACH_load: each_load_memory(x); break;
	case IR_EACH_store: each_store_memory(x); break;
	case IR_EACH_move: move(x); break;
	case IR_EACH_sum: sum(x); break;
	case IR_EACH_fsum: each_float_sum(x); return;
	case IR_EACH_eq: case IR_EACH_ne: compare(x); break;
	case IR_EACH_fadd: case IR_EACH_fsub: case IR_EACH_fmul: case IR_EACH_fmacc:
		each_floats(x);
		break;
	case IR_EACH_add: case IR_EACH_sub: case IR_EACH_and: case IR_EACH_or: case IR_EACH_xor:
	case IR_EACH_mul: case IR_EACH_macc:
		integers(x);
		break;
	}
	if (x->wide && !x->g->vmap.n)
		vmap_zeroupper(x->g);
}

static void argument(struct jit_gen *g, uint32_t v, unsigned to)
{
	gen_take(g, to);
	gen_into(g, v, to);
	gen_done(g, v, NOREG);
}

static bool has_result(uint8_t op)
{
	return op == IR_EACH_first || op == IR_EACH_get || op == IR_EACH_fget;
}

/* Memory at address @i->b: how it is reached. Else the argument goes to rdx, which is where the
 * helper wants both. */
static void second_argument(struct each *x, const struct ir_ins *i)
{
	struct jit_gen *g = x->g;
	bool is_store = x->e.op == IR_EACH_store, memory = is_store || x->e.op == IR_EACH_load;
	if (g->mirror && memory) {
		each_place_mirrored(x, i->b);
		return;
	}
	if (!memory && !x->e.scalar) {
		gen_take(g, RDX); /* the helper does not look at it */
		g->uses[i->b]--;
	} else {
		argument(g, i->b, RDX);
	}
	gen_take(g, RAX);
	gen_take(g, RCX);
	if (memory)
		each_place_by_tlb(x, is_store);
}

/* What the helper needs and need not lie in registers until then: constants. */
static void slow_fill(struct each *x, const struct ir_ins *i, int64_t imm, bool leaves)
{
	struct slow *s = x->slow;
	bool begins = x->e.op == IR_EACH_begin;
	if (!s)
		return;
	s->imm_val = !begins;
	s->slot_val = begins;
	s->imm = imm;
	s->pa = (uint64_t)imm;
	s->arg_c = (int64_t)ins(x->g, i->c)->imm;
	s->slot = (int32_t)(uint32_t)i->imm;
	s->leaves = leaves;
	s->key = each_key(x);
	s->reg = NOREG;
	s->back = x->a->p;
}

static void key_look(struct each *x, bool relies)
{
	struct jit_gen *g = x->g;
	if (g->vkey == each_key(x))
		return;
	x_alumi(x->a, false, ALU_CMP, STATE_REG, at(g->c->g.vector_key), (int32_t)each_key(x));
	each_unless(x, CC_NE);
	if (relies)
		g->vkey = each_key(x);
}

void gen_each(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	struct each x;
	uint64_t most;
	bool fine = each_init(&x, g, g->ir, i);
	bool begins = fine && x.e.op == IR_EACH_begin, keeps = begins && ins(g, i->c)->imm == 1;
	if (g->own && fine && keeps && each_begin_keeps(&x, n))
		return;
	if (!fine || keeps || (g->vkey && !begins && g->vkey != each_key(&x))) {
		gen_call(g, n);
		return;
	}
	if (g->own && each_promises(g, g->ir, i, &most)) {
		each_begin_all(&x, n, (unsigned)most);
		return;
	}
	bool relies = g->own && !begins && !has_result(x.e.op);
	int64_t imm = (int64_t)ins(g, begins ? i->b : i->a)->imm;
	g->uses[i->c]--;
	g->uses[begins ? i->b : i->a]--;
	if (begins) {
		argument(g, i->a, RAX);
		gen_take(g, RDX);
		gen_take(g, RCX);
		g->vkey = 0;
	} else {
		second_argument(&x, i);
		key_look(&x, relies);
	}
	x.apart = g->vmap.n && !vmap_conforms(&x);
	if (x.apart || !g->vmap.n)
		each_narrow(&x);
	else
		x.evex = g->vmap.evex || x.step == 64;
	if (x.apart)
		vmap_store(g);
	body(&x);
	if (x.apart)
		vmap_load(g);
	slow_fill(&x, i, imm, relies);
	gen_temp_free(g, RAX);
	gen_temp_free(g, RCX);
	gen_temp_free(g, RDX);
	if (g->uses[n]) {
		gen_take(g, RAX);
		g->loc[n] = RAX;
	}
}
