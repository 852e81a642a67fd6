/* SPDX-License-Identifier: Apache-2.0 */
/* IR_each: operations on whole groups of vector registers, by 32 or 16 bytes, where the guest's
 * vector key is the expected one; else, and where something unusual shows (a page that the TLB
 * does not know, a NaN), the helper does all of it: nothing was written then. xmm0 to xmm3 are
 * free in every map. Spec: SDM2 083 §2.3 */
#include "jit/x64/internal.h"

struct each {
	struct jit_gen *g;
	struct jit_asm *a;
	struct ir_each e;
	struct slow *slow;
	unsigned nslow;
	unsigned type;          /* of the key */
	unsigned elem;          /* log2 of bytes */
	unsigned bytes, step;   /* of a group; of a host register */
	unsigned wide;          /* 4, the length bit beside pp: 32 bytes */
	unsigned guest;         /* register that is a guest address at which accesses may fault */
};

/* The helper does it if @cc. */
static void unless(struct each *x, unsigned cc)
{
	uint8_t *from = x_jcc32(x->a, cc);
	if (!x->slow)
		x->slow = gen_slow(x->g, SLOW_EACH, from);
	else if (x->nslow < countof(x->slow->more))
		x->slow->more[x->nslow++] = from;
	else
		x->g->cannot = true;
}

static int32_t reg_at(const struct each *x, unsigned reg, unsigned off)
{
	const struct jit_guest *s = &x->g->c->g;
	return at(s->vector + reg * s->vector_bytes + off);
}

/* The next instruction uses @base. */
static void may_fault(struct each *x, unsigned base)
{
	struct jit_gen *g = x->g;
	if (base != x->guest)
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

/* vmovups */
static void v_load(struct each *x, unsigned to, unsigned base, int32_t disp)
{
	may_fault(x, base);
	asm_vrm(x->a, 1, x->wide, false, 0x10, to, 0, base, disp);
}
static void v_store(struct each *x, unsigned from, unsigned base, int32_t disp)
{
	may_fault(x, base);
	asm_vrm(x->a, 1, x->wide, false, 0x11, from, 0, base, disp);
}

/* ---- memory ---- */

/* Returns the register with the host address of the group's bytes at the guest address in rdx: rcx,
 * or of flat guests rdx itself. What was moved before a fault is moved again by the helper. */
static unsigned host_address(struct each *x, bool write)
{
	const struct jit_guest *s = &x->g->c->g;
	struct jit_asm *a = x->a;
	if (s->flat) {
		asm_rm(a, true, 0x85, RDX, STATE_REG, /* test */
		       at(s->run + offsetof(struct jit_run, beyond)));
		unless(x, CC_NE);
		return x->guest = RDX;
	}
	x_lea(a, RCX, RDX, (int32_t)x->bytes - 1);
	x_alu(a, true, ALU_XOR, RCX, RDX);
	x_alui(a, true, ALU_CMP, RCX, 4095);
	unless(x, CC_A);
	asm_vrr(a, 3, 3, true, 0xf0, RCX, 0, RDX); /* rorx rcx, rdx, shift */
	a8(a, 12 - 5);
	x_alui(a, false, ALU_AND, RCX, (int32_t)((s->tlb_entries - 1) * JIT_TLB_ENTRY));
	x_mov(a, true, RAX, RDX);
	x_alui(a, true, ALU_AND, RAX, -4096);
	x_alum(a, true, ALU_OR, RAX, STATE_REG, at(s->dctx));
	asm_rmx(a, true, ALU_CMP << 3 | 3, RAX, STATE_REG, RCX, 0, at(s->tlb + (write ? 8 : 0)));
	unless(x, CC_NE);
	asm_rmx(a, true, 0x8b, RCX, STATE_REG, RCX, 0, at(s->tlb + 16));
	x_alu(a, true, ALU_ADD, RCX, RDX);
	return RCX;
}

/* Copy between memory at @from and @to, four host registers at a time. */
static void copy(struct each *x, unsigned to, int32_t to_at, unsigned from, int32_t from_at)
{
	for (unsigned off = 0; off < x->bytes; off += 4 * x->step) {
		unsigned n = (x->bytes - off) / x->step;
		for (unsigned r = 0; r < n && r < 4; r++)
			v_load(x, r, from, from_at + (int32_t)(off + r * x->step));
		for (unsigned r = 0; r < n && r < 4; r++)
			v_store(x, r, to, to_at + (int32_t)(off + r * x->step));
	}
}

/* ---- integers ---- */

/* xmm3 or ymm3 := the scalar in rdx, as often as fits */
static void broadcast(struct each *x)
{
	static const uint8_t op[4] = { 0x78, 0x79, 0x58, 0x59 };
	asm_vrr(x->a, 1, 1, x->elem == 3, 0x6e, 3, 0, RDX); /* vmovd, vmovq */
	asm_vrr(x->a, 2, 1 | x->wide, false, op[x->elem], 3, 0, 3);
}

/* @reg := @reg op y, y at offset @off of register b or in ymm3. */
static void with_y(struct each *x, unsigned map, unsigned pp, bool w, unsigned op, unsigned reg,
                   unsigned off)
{
	if (x->e.scalar)
		asm_vrr(x->a, map, pp | x->wide, w, op, reg, reg, 3);
	else
		asm_vrm(x->a, map, pp | x->wide, w, op, reg, reg, STATE_REG,
		        reg_at(x, x->e.b, off));
}

static void multiply(struct each *x, unsigned off)
{
	bool word = x->elem == 1; /* vpmullw, vpmulld */
	with_y(x, word ? 1 : 2, 1, false, word ? 0xd5 : 0x40, 0, off);
}

static void integers(struct each *x)
{
	static const uint8_t add[4] = { 0xfc, 0xfd, 0xfe, 0xd4 };
	static const uint8_t sub[4] = { 0xf8, 0xf9, 0xfa, 0xfb };
	if (x->e.scalar)
		broadcast(x);
	for (unsigned off = 0; off < x->bytes; off += x->step) {
		v_load(x, 0, STATE_REG, reg_at(x, x->e.a, off));
		switch ((int)x->e.op) {
		case IR_EACH_add: with_y(x, 1, 1, false, add[x->elem], 0, off); break;
		case IR_EACH_sub: with_y(x, 1, 1, false, sub[x->elem], 0, off); break;
		case IR_EACH_and: with_y(x, 1, 1, false, 0xdb, 0, off); break;
		case IR_EACH_or: with_y(x, 1, 1, false, 0xeb, 0, off); break;
		case IR_EACH_xor: with_y(x, 1, 1, false, 0xef, 0, off); break;
		case IR_EACH_mul: multiply(x, off); break;
		default:
			multiply(x, off);
			asm_vrm(x->a, 1, 1 | x->wide, false, add[x->elem], 0, 0, STATE_REG,
			        reg_at(x, x->e.d, off));
		}
		v_store(x, 0, STATE_REG, reg_at(x, x->e.d, off));
	}
}

static void move(struct each *x)
{
	if (!x->e.scalar) {
		copy(x, STATE_REG, reg_at(x, x->e.d, 0), STATE_REG, reg_at(x, x->e.b, 0));
		return;
	}
	broadcast(x);
	for (unsigned off = 0; off < x->bytes; off += x->step)
		v_store(x, 3, STATE_REG, reg_at(x, x->e.d, off));
}

/* Bytes that are alike or not, as bits. */
static void compare(struct each *x)
{
	if (x->e.scalar)
		broadcast(x);
	for (unsigned off = 0; off < x->bytes; off += x->step) {
		v_load(x, 0, STATE_REG, reg_at(x, x->e.a, off));
		with_y(x, 1, 1, false, 0x74, 0, off);                  /* vpcmpeqb */
		asm_vrr(x->a, 1, 1 | x->wide, false, 0xd7, RCX, 0, 0); /* vpmovmskb */
		if (x->e.op == IR_EACH_ne)
			asm_rr(x->a, false, 0xf7, 2, RCX);
		asm_prm(x->a, x->wide ? 0 : 0x66, false, 0x89, RCX, STATE_REG,
		        reg_at(x, x->e.d, off / 8));
	}
}

enum { FIRST_MOST = 256 }; /* bits; its jumps are short */

/* rax := number of the first of @bits bits, or -1 */
static void first(struct each *x, unsigned bits)
{
	struct jit_asm *a = x->a;
	uint8_t *found[8];
	unsigned words = (bits + 63) / 64;
	for (unsigned n = 0; n < words; n++) {
		x_load(a, true, RCX, STATE_REG, reg_at(x, x->e.a, 8 * n));
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

/* ---- floating point: MXCSR has the guest's rounding mode and takes its flags ---- */

static void float_ready(struct each *x)
{
	const struct jit_guest *s = &x->g->c->g;
	x_alumi(x->a, false, ALU_CMP, STATE_REG, at(s->fp_on), 3);
	unless(x, CC_NE);
	x_alumi(x->a, false, ALU_CMP, STATE_REG, at(s->fp_mode), 3);
	unless(x, CC_A);
	if (!x->e.scalar)
		return;
	if (x->elem == 2) { /* boxed? */
		x_mov(x->a, true, RCX, RDX);
		x_shi(x->a, true, SH_SAR, RCX, 32);
		x_alui(x->a, true, ALU_CMP, RCX, -1);
		unless(x, CC_NE);
	}
	if (x->e.op != IR_EACH_fput)
		broadcast(x);
}

/* Host registers that nothing lives in, beside xmm0, xmm2 and xmm3. */
static unsigned results_free(const struct jit_gen *g, uint8_t *ret)
{
	unsigned n = 0;
	ret[n++] = 1;
	for (int8_t x = XMM_FIRST; x < XMM_ONES; x++)
		if (!memchr(g->fhome, x, sizeof g->fhome))
			ret[n++] = (uint8_t)x;
	return n;
}

/* All results are there before the first is written, for a NaN among them takes them all back. */
static void floats(struct each *x)
{
	static const uint8_t op[] = { [IR_EACH_fadd] = 0x58, [IR_EACH_fsub] = 0x5c,
		                      [IR_EACH_fmul] = 0x59 };
	unsigned pp = x->elem == 3, n = x->bytes / x->step;
	uint8_t r[16];
	results_free(x->g, r);
	float_ready(x);
	for (unsigned i = 0, off = 0; i < n; i++, off += x->step) {
		if (x->e.op != IR_EACH_fmacc) {
			v_load(x, r[i], STATE_REG, reg_at(x, x->e.a, off));
			with_y(x, 1, pp, false, op[x->e.op], r[i], off);
			continue;
		}
		v_load(x, 0, STATE_REG, reg_at(x, x->e.a, off));
		v_load(x, r[i], STATE_REG, reg_at(x, x->e.d, off));
		if (x->e.scalar) /* vfmadd231: r += xmm0 * y */
			asm_vrr(x->a, 2, 1 | x->wide, pp, 0xb8, r[i], 0, 3);
		else
			asm_vrm(x->a, 2, 1 | x->wide, pp, 0xb8, r[i], 0, STATE_REG,
			        reg_at(x, x->e.b, off));
	}
	for (unsigned i = 0; i < n; i += 2) { /* vcmpunord, vorps */
		asm_vrr(x->a, 1, pp | x->wide, false, 0xc2, i ? 0 : 2, r[i], r[i + (i + 1 < n)]);
		a8(x->a, 3);
		if (i)
			asm_vrr(x->a, 1, x->wide, false, 0x56, 2, 2, 0);
	}
	asm_vrr(x->a, 1, pp | x->wide, false, 0x50, RCX, 0, 2); /* vmovmsk */
	x_test(x->a, false, RCX, RCX);
	unless(x, CC_NE);
	for (unsigned i = 0; i < n; i++)
		v_store(x, r[i], STATE_REG, reg_at(x, x->e.d, i * x->step));
}

/* ---- element 0 ---- */

/* d[0] := rdx */
static void put_first(struct each *x)
{
	static const uint8_t op[4] = { 0x88, 0x89, 0x89, 0x89 };
	if (x->e.op == IR_EACH_fput)
		float_ready(x);
	if (x->elem == 0)
		asm_rm8(x->a, op[0], RDX, STATE_REG, reg_at(x, x->e.d, 0));
	else
		asm_prm(x->a, x->elem == 1 ? 0x66 : 0, x->elem == 3, op[x->elem], RDX, STATE_REG,
		        reg_at(x, x->e.d, 0));
}

/* rax := a[0], its sign extended, or boxed */
static void get_first(struct each *x)
{
	static const unsigned op[4] = { 0x0fbe, 0x0fbf, 0x63, 0x8b };
	bool boxes = x->e.op == IR_EACH_fget && x->elem == 2;
	if (x->e.op == IR_EACH_fget)
		float_ready(x);
	asm_rm(x->a, !boxes, boxes ? 0x8b : op[x->elem], RAX, STATE_REG, reg_at(x, x->e.a, 0));
	if (boxes) {
		x_movi(x->a, RCX, UINT64_C(0xffffffff00000000));
		x_alu(x->a, true, ALU_OR, RAX, RCX);
	}
}

/* ---- all of it ---- */

static unsigned elements_most(const struct each *x)
{
	unsigned one = x->g->c->g.vector_bytes >> x->elem, lmul = x->type & 7;
	return lmul < 4 ? one << lmul : one >> (8 - lmul);
}

/* rax := elements, of rax wanted */
static void begin(struct each *x)
{
	const struct jit_guest *s = &x->g->c->g;
	struct jit_asm *a = x->a;
	unsigned key = x->type | IR_KEY;
	x_alumi(a, false, ALU_CMP, STATE_REG, at(s->vector_ready), 0);
	unless(x, CC_E);
	x_storei(a, true, (int32_t)x->type, STATE_REG, at(s->vector_type));
	x_storei(a, false, (int32_t)key, STATE_REG, at(s->vector_ready));
	x_movi(a, RCX, elements_most(x));
	x_movi(a, RDX, 0);
	x_alu(a, true, ALU_CMP, RAX, RCX);
	asm_rr(a, true, 0x0f40 | CC_A, RAX, RCX); /* cmova */
	x_movi(a, RCX, key);
	asm_rr(a, true, 0x0f40 | CC_AE, RDX, RCX); /* cmovae */
	x_store(a, true, RAX, STATE_REG, at(s->vector_vl));
	x_store(a, false, RDX, STATE_REG, at(s->vector_key));
}

static void body(struct each *x)
{
	switch ((enum ir_each_op)x->e.op) {
	case IR_EACH_begin: begin(x); return;
	case IR_EACH_first: first(x, elements_most(x)); return;
	case IR_EACH_put: case IR_EACH_fput: put_first(x); return;
	case IR_EACH_get: case IR_EACH_fget: get_first(x); return;
	case IR_EACH_load:
		copy(x, STATE_REG, reg_at(x, x->e.d, 0), host_address(x, false), 0);
		break;
	case IR_EACH_store:
		copy(x, host_address(x, true), 0, STATE_REG, reg_at(x, x->e.d, 0));
		break;
	case IR_EACH_move: move(x); break;
	case IR_EACH_eq: case IR_EACH_ne: compare(x); break;
	case IR_EACH_fadd: case IR_EACH_fsub: case IR_EACH_fmul: case IR_EACH_fmacc:
		floats(x);
		break;
	case IR_EACH_add: case IR_EACH_sub: case IR_EACH_and: case IR_EACH_or: case IR_EACH_xor:
	case IR_EACH_mul: case IR_EACH_macc:
		integers(x);
		break;
	}
	if (x->wide) { /* vzeroupper */
		a8(x->a, 0xc5);
		a8(x->a, 0xf8);
		a8(x->a, 0x77);
	}
}

static void argument(struct jit_gen *g, uint32_t v, unsigned to)
{
	gen_take(g, to);
	gen_into(g, v, to);
	gen_done(g, v, NOREG);
}

/* What the helper needs and need not lie in registers until then: constants. */
static void slow_fill(struct each *x, const struct ir_ins *i, int64_t first_arg, int64_t second)
{
	struct slow *s = x->slow;
	s->imm_val = x->e.op != IR_EACH_begin;
	s->slot_val = !s->imm_val;
	s->imm = first_arg;
	s->pa = (uint64_t)second;
	s->slot = (int32_t)(uint32_t)i->imm;
	s->back = x->a->p;
}

static bool is_float(uint8_t op)
{
	return op == IR_EACH_fadd || op == IR_EACH_fsub || op == IR_EACH_fmul ||
	       op == IR_EACH_fmacc;
}

/* Is there what it takes? */
static bool fits(const struct each *x)
{
	uint8_t r[16];
	if (x->e.op == IR_EACH_load || x->e.op == IR_EACH_store)
		return !x->g->c->g.flat || x->g->mirror;
	if (x->e.op == IR_EACH_first)
		return elements_most(x) <= FIRST_MOST;
	return !is_float(x->e.op) || x->bytes / x->step <= results_free(x->g, r);
}

void gen_each(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	const struct jit_guest *s = &g->c->g;
	struct each x = { .g = g, .a = &g->a, .e = ir_each_of(i->d), .type = i->imm >> 32 & 255,
		.guest = NOREG };
	int64_t first_arg = 0, second = 0, third;
	unsigned lmul = x.type & 7;
	bool begins = x.e.op == IR_EACH_begin;
	x.elem = x.type >> 3 & 7;
	x.bytes = lmul < 4 ? s->vector_bytes << lmul : 0;
	x.step = x.bytes % 32 ? 16 : 32;
	x.wide = x.step == 32 ? 4 : 0;
	if (!s->vector_bytes || !g->c->avx2 || !fits(&x) || !gen_is_const(g, i->c, &third) ||
	    !(begins ? gen_is_const(g, i->b, &second) : gen_is_const(g, i->a, &first_arg))) {
		gen_call(g, n);
		return;
	}
	g->uses[i->c]--;
	g->uses[begins ? i->b : i->a]--;
	argument(g, begins ? i->a : i->b, begins ? RAX : RDX);
	gen_take(g, begins ? RDX : RAX);
	gen_take(g, RCX);
	if (!begins) {
		x_alumi(x.a, false, ALU_CMP, STATE_REG, at(s->vector_key), (int32_t)(i->imm >> 32));
		unless(&x, CC_NE);
	}
	body(&x);
	slow_fill(&x, i, first_arg, second);
	x.slow->arg_c = third;
	gen_temp_free(g, RAX);
	gen_temp_free(g, RCX);
	gen_temp_free(g, RDX);
	if (g->uses[n]) {
		gen_take(g, RAX);
		g->loc[n] = RAX;
	}
	gen_forget(g);
}
