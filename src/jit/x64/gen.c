/* SPDX-License-Identifier: Apache-2.0 */
/* Values: integer IR into x86-64. Pure operations are made where they are used, into the register
 * that wants them; a guest register is written when its put comes. */
#include "jit/x64/internal.h"

unsigned gen_temp(struct jit_gen *g)
{
	if (!g->temps) {
		g->cannot = true;
		return RDX;
	}
	unsigned r = (unsigned)__builtin_ctz(g->temps);
	g->temps &= g->temps - 1;
	return r;
}

void gen_temp_free(struct jit_gen *g, unsigned r)
{
	if (TEMPS >> r & 1)
		g->temps |= 1u << r;
}

void gen_take(struct jit_gen *g, unsigned r)
{
	if (!(g->temps >> r & 1))
		g->cannot = true;
	g->temps &= ~(1u << r);
}

unsigned gen_home(const struct jit_gen *g, uint64_t off)
{
	uint64_t n = (off - g->homes) / 8;
	return n < SLOTS && g->home[n] >= 0 ? (unsigned)g->home[n] : NOREG;
}

unsigned gen_fhome(const struct jit_gen *g, uint64_t off)
{
	uint64_t n = (off - g->c->g.fp_regs) / 8;
	return off >= g->c->g.fp_regs && n < 32 && g->fhome[n] >= 0 ? (unsigned)g->fhome[n] : NOREG;
}

bool gen_is_const(const struct jit_gen *g, uint32_t v, int64_t *ret)
{
	const struct ir_ins *i = ins(g, v);
	if (i->op == IR_trunc && ins(g, i->a)->op == IR_const)
		i = ins(g, i->a);
	else if (i->op != IR_const)
		return false;
	*ret = ins(g, v)->type == IR_I32 ? (int32_t)i->imm : (int64_t)i->imm;
	return true;
}

static bool is_temp(unsigned r) { return r < 16 && (TEMPS >> r & 1); }
static bool wide(const struct jit_gen *g, uint32_t v) { return ins(g, v)->type != IR_I32; }

/* Is @v still to be computed, and no plain register? */
static bool is_lazy(const struct jit_gen *g, uint32_t v)
{
	const struct ir_ins *i = ins(g, v);
	if (g->loc[v] != NOREG)
		return false;
	if (i->op == IR_trunc)
		return is_lazy(g, i->a);
	return i->op != IR_get || gen_home(g, i->imm) == NOREG;
}

/* Does computing @v read host register @r? */
static bool reads(const struct jit_gen *g, uint32_t v, unsigned r)
{
	const struct ir_ins *i = ins(g, v);
	if (g->loc[v] != NOREG)
		return g->loc[v] == r;
	if (i->op == IR_get)
		return gen_home(g, i->imm) == r;
	const uint32_t arg[3] = { i->a, i->b, i->c };
	for (unsigned n = 0; n < ir_opinfo[i->op].nargs; n++)
		if (arg[n] < v && reads(g, arg[n], r))
			return true;
	return false;
}

unsigned gen_any(struct jit_gen *g, uint32_t v)
{
	const struct ir_ins *i = ins(g, v);
	if (g->loc[v] != NOREG)
		return g->loc[v];
	if (i->op == IR_get && gen_home(g, i->imm) != NOREG)
		return gen_home(g, i->imm);
	if (i->op == IR_trunc && g->uses[v] == 1 && g->uses[i->a] == 1) {
		unsigned r = gen_any(g, i->a);
		g->uses[i->a] = 0;
		g->loc[i->a] = NOREG;
		if (is_temp(r))
			g->loc[v] = (uint8_t)r;
		return r;
	}
	unsigned r = gen_temp(g);
	gen_into(g, v, r);
	g->loc[v] = (uint8_t)r;
	return r;
}

void gen_done(struct jit_gen *g, uint32_t v, unsigned r)
{
	if (g->uses[v])
		g->uses[v]--;
	/* a slot is read again rather than kept, unless it has changed since */
	bool again = ins(g, v)->op == IR_get && !(g->saved >> (v & 63) & 1);
	if ((!g->uses[v] || again) && is_temp(r) && g->loc[v] == r) {
		g->loc[v] = NOREG;
		gen_temp_free(g, r);
	}
}

/* ---- binary operations ---- */

static unsigned alu_of(uint8_t op)
{
	switch ((int)op) {
	case IR_add: return ALU_ADD;
	case IR_sub: return ALU_SUB;
	case IR_and: return ALU_AND;
	case IR_or: return ALU_OR;
	default: return ALU_XOR;
	}
}

static bool commutes(uint8_t op) { return op != IR_sub; }

/* reg op= reg, op among the ALU's and mul */
static void op_rr(struct jit_gen *g, uint8_t op, bool w, unsigned to, unsigned from)
{
	if (op == IR_mul)
		asm_rr(&g->a, w, 0x0faf, to, from);
	else
		x_alu(&g->a, w, alu_of(op), to, from);
}

/* @v = a op constant */
static void binary_imm(struct jit_gen *g, uint32_t v, unsigned to, int64_t n)
{
	const struct ir_ins *i = ins(g, v);
	bool w = wide(g, v);
	if (is_lazy(g, i->a)) {
		gen_into(g, i->a, to);
		gen_done(g, i->a, NOREG);
	} else {
		unsigned r = gen_any(g, i->a);
		gen_done(g, i->a, r);
		if (i->op == IR_add && r != to) {
			asm_rm(&g->a, w, 0x8d, to, r, (int32_t)n);
			return;
		}
		if (i->op == IR_mul) {
			asm_rr(&g->a, w, 0x69, to, r);
			a32(&g->a, (uint32_t)n);
			return;
		}
		x_mov(&g->a, w || r == to, to, r); /* the operation clears the upper half */
	}
	if (i->op == IR_mul) {
		asm_rr(&g->a, w, 0x69, to, to);
		a32(&g->a, (uint32_t)n);
	} else if (i->op == IR_xor && n == -1) {
		asm_rr(&g->a, w, 0xf7, 2, to);
	} else {
		x_alui(&g->a, w, alu_of(i->op), to, (int32_t)n);
	}
}

/* @b is a slot in memory: op to, [slot] */
static bool is_slot(const struct jit_gen *g, uint32_t v, int32_t *ret)
{
	const struct ir_ins *i = ins(g, v);
	if (g->loc[v] != NOREG)
		return false;
	if (i->op == IR_trunc && g->loc[i->a] == NOREG)
		i = ins(g, i->a);
	if (i->op != IR_get || gen_home(g, i->imm) != NOREG || gen_fhome(g, i->imm) != NOREG)
		return false;
	*ret = at(i->imm);
	return true;
}

static void slot_done(struct jit_gen *g, uint32_t v)
{
	const struct ir_ins *i = ins(g, v);
	if (i->op == IR_trunc && !--g->uses[v])
		v = i->a;
	if (g->uses[v])
		g->uses[v]--;
}

/* Shifted index: add(shl(x, 1..3), y) is one lea. */
static bool scaled(struct jit_gen *g, uint32_t shifted, uint32_t other, unsigned to)
{
	const struct ir_ins *s = ins(g, shifted);
	int64_t n;
	if (s->op != IR_shl || g->loc[shifted] != NOREG || g->uses[shifted] != 1 ||
	    !gen_is_const(g, s->b, &n) || n < 1 || n > 3)
		return false;
	unsigned x = gen_any(g, s->a), y = gen_any(g, other);
	asm_rmx(&g->a, true, 0x8d, to, y, x, (unsigned)n, 0);
	g->uses[shifted] = 0;
	g->uses[s->b]--;
	gen_done(g, s->a, x);
	gen_done(g, other, y);
	return true;
}

static bool add_scaled(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	return i->op == IR_add && i->type == IR_I64 &&
	       (scaled(g, i->a, i->b, to) || scaled(g, i->b, i->a, to));
}

static void binary(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	bool w = wide(g, v);
	uint32_t a = i->a, b = i->b;
	int64_t n;
	int32_t slot;
	if (gen_is_const(g, a, &n) && commutes(i->op)) {
		a = i->b;
		b = i->a;
	}
	if (gen_is_const(g, b, &n)) {
		if (fits32(n) && a == i->a) {
			g->uses[b]--;
			binary_imm(g, v, to, n);
			return;
		}
	}
	if (i->op == IR_sub && gen_is_const(g, a, &n) && !n) {
		g->uses[a]--;
		gen_into(g, b, to);
		gen_done(g, b, NOREG);
		asm_rr(&g->a, w, 0xf7, 3, to); /* neg */
		return;
	}
	if (add_scaled(g, v, to))
		return;
	if (commutes(i->op) && is_slot(g, a, &slot) && !is_slot(g, b, &slot)) {
		uint32_t was = a;
		a = b;
		b = was;
	}
	if (is_slot(g, b, &slot) && !reads(g, b, to)) {
		gen_into(g, a, to);
		gen_done(g, a, NOREG);
		if (i->op == IR_mul)
			asm_rm(&g->a, w, 0x0faf, to, STATE_REG, slot);
		else
			x_alum(&g->a, w, alu_of(i->op), to, STATE_REG, slot);
		slot_done(g, b);
		return;
	}
	bool direct = is_lazy(g, a) && !reads(g, b, to);
	unsigned ra = to, rb;
	if (direct) {
		gen_into(g, a, to);
		rb = gen_any(g, b);
	} else {
		ra = gen_any(g, a);
		rb = gen_any(g, b);
	}
	if (to == ra) {
		op_rr(g, i->op, w, to, rb);
	} else if (to == rb && commutes(i->op)) {
		op_rr(g, i->op, w, to, ra);
	} else if (to == rb) { /* to = ra - to */
		asm_rr(&g->a, w, 0xf7, 3, to);
		op_rr(g, IR_add, w, to, ra);
	} else if (i->op == IR_add && w) {
		asm_rmx(&g->a, true, 0x8d, to, ra, rb, 0, 0);
	} else {
		x_mov(&g->a, w, to, ra);
		op_rr(g, i->op, w, to, rb);
	}
	gen_done(g, a, direct ? NOREG : ra);
	gen_done(g, b, rb);
}

/* ---- shifts ---- */

static void shift_imm(struct jit_gen *g, uint32_t v, unsigned to, unsigned n)
{
	const struct ir_ins *i = ins(g, v);
	bool w = wide(g, v);
	n &= w ? 63 : 31;
	unsigned op = i->op == IR_shl ? SH_SHL : i->op == IR_shr ? SH_SHR : SH_SAR;
	if (i->op == IR_rotl || i->op == IR_rotr) {
		unsigned r = gen_any(g, i->a), by = i->op == IR_rotr ? n : (w ? 64 : 32) - n;
		asm_vrr(&g->a, 3, 3, w, 0xf0, to, 0, r); /* rorx */
		a8(&g->a, by & (w ? 63 : 31));
		gen_done(g, i->a, r);
		return;
	}
	gen_into(g, i->a, to);
	gen_done(g, i->a, NOREG);
	if (n)
		x_shi(&g->a, w, op, to, n);
}

/* shlx, shrx, sarx */
static void shift_x(struct jit_gen *g, uint8_t op, bool w, unsigned to, unsigned r, unsigned by)
{
	unsigned pp = op == IR_shl ? 1 : op == IR_shr ? 3 : 2;
	asm_vrr(&g->a, 2, pp, w, 0xf7, to, by, r);
}

static void shift(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	bool w = wide(g, v);
	int64_t n;
	if (gen_is_const(g, i->b, &n)) {
		g->uses[i->b]--;
		shift_imm(g, v, to, (unsigned)n);
		return;
	}
	unsigned r = gen_any(g, i->a), by = gen_any(g, i->b);
	if (i->op == IR_rotl || i->op == IR_rotr) {
		unsigned t = gen_temp(g), u = gen_temp(g);
		shift_x(g, i->op == IR_rotr ? IR_shr : IR_shl, w, t, r, by);
		x_mov(&g->a, true, u, by);
		asm_rr(&g->a, true, 0xf7, 3, u);
		shift_x(g, i->op == IR_rotr ? IR_shl : IR_shr, w, u, r, u);
		x_alu(&g->a, w, ALU_OR, t, u);
		x_mov(&g->a, w, to, t);
		gen_temp_free(g, t);
		gen_temp_free(g, u);
	} else {
		shift_x(g, i->op, w, to, r, by);
	}
	gen_done(g, i->a, r);
	gen_done(g, i->b, by);
}

/* ---- conditions ---- */

static bool is_compare(uint8_t op)
{
	return op == IR_eq || op == IR_ne || op == IR_lts || op == IR_ltu;
}

static unsigned cc_of(uint8_t op, bool swapped)
{
	switch ((int)op) {
	case IR_eq: return CC_E;
	case IR_ne: return CC_NE;
	case IR_lts: return swapped ? CC_G : CC_L;
	default: return swapped ? CC_A : CC_B;
	}
}

static unsigned compare(struct jit_gen *g, uint32_t v)
{
	const struct ir_ins *i = ins(g, v);
	bool w = wide(g, i->a);
	int64_t n;
	int32_t slot;
	if (gen_is_const(g, i->b, &n) && fits32(n)) {
		unsigned cc = cc_of(i->op, false);
		if (is_slot(g, i->a, &slot)) {
			x_alumi(&g->a, w, ALU_CMP, STATE_REG, slot, (int32_t)n);
			slot_done(g, i->a);
		} else {
			unsigned r = gen_any(g, i->a);
			if (n == 0)
				x_test(&g->a, w, r, r);
			else
				x_alui(&g->a, w, ALU_CMP, r, (int32_t)n);
			gen_done(g, i->a, r);
		}
		g->uses[i->b]--;
		return cc;
	}
	if (gen_is_const(g, i->a, &n) && fits32(n)) {
		unsigned r = gen_any(g, i->b);
		x_alui(&g->a, w, ALU_CMP, r, (int32_t)n);
		g->uses[i->a]--;
		gen_done(g, i->b, r);
		return cc_of(i->op, true);
	}
	unsigned ra = gen_any(g, i->a);
	if (is_slot(g, i->b, &slot)) {
		x_alum(&g->a, w, ALU_CMP, ra, STATE_REG, slot);
		slot_done(g, i->b);
	} else {
		unsigned rb = gen_any(g, i->b);
		x_alu(&g->a, w, ALU_CMP, ra, rb);
		gen_done(g, i->b, rb);
	}
	gen_done(g, i->a, ra);
	return cc_of(i->op, false);
}

unsigned gen_cond(struct jit_gen *g, uint32_t v)
{
	const struct ir_ins *i = ins(g, v);
	int64_t n;
	if (g->loc[v] == NOREG && i->op == IR_eq && is_compare(ins(g, i->a)->op) &&
	    g->loc[i->a] == NOREG && gen_is_const(g, i->b, &n) && n == 0) {
		g->uses[i->b]--;
		g->uses[v]--;
		return gen_cond(g, i->a) ^ 1;
	}
	if (g->loc[v] == NOREG && is_compare(i->op)) {
		unsigned cc = compare(g, v);
		if (g->uses[v])
			g->uses[v]--;
		return cc;
	}
	unsigned r = gen_any(g, v);
	x_test(&g->a, false, r, r);
	gen_done(g, v, r);
	return CC_NE;
}

/* 0 or 1 in a register */
static void set_cond(struct jit_gen *g, uint32_t v, unsigned to)
{
	unsigned t = gen_temp(g);
	g->uses[v]++; /* gen_cond takes one away */
	unsigned cc = gen_cond(g, v);
	asm_rr8(&g->a, false, 0x0f90 | cc, 0, t);
	asm_rr8(&g->a, false, 0x0fb6, to, t);
	gen_temp_free(g, t);
}

static void choose(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	bool w = wide(g, v);
	int64_t n;
	/* nothing lives in a temporary that is asked for */
	unsigned t = is_temp(to) ? to : gen_temp(g);
	/* values first: making them may change the flags */
	unsigned y = gen_any(g, i->c), x = NOREG;
	bool constant = gen_is_const(g, i->b, &n);
	if (!constant)
		x = gen_any(g, i->b);
	unsigned cc = gen_cond(g, i->a);
	if (constant) {
		x_movi(&g->a, t, w ? (uint64_t)n : (uint32_t)n);
		g->uses[i->b]--;
	} else {
		x_mov(&g->a, true, t, x);
		gen_done(g, i->b, x);
	}
	asm_rr(&g->a, w, 0x0f40 | (cc ^ 1), t, y);
	gen_done(g, i->c, y);
	if (t != to) {
		x_mov(&g->a, w, to, t);
		gen_temp_free(g, t);
	}
}

/* ---- one argument ---- */

static void extend(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v), *s = ins(g, i->a);
	bool is_signed = i->op == IR_sext;
	unsigned bits = (unsigned)i->imm;
	int32_t slot;
	if (s->op == IR_load && g->loc[i->a] == NOREG && s->imm * 8 == bits) {
		gen_load(g, i->a, to, is_signed);
		gen_done(g, i->a, NOREG);
		return;
	}
	if (is_signed && gen_is_fcompare(s) && g->loc[i->a] == NOREG) {
		gen_into(g, i->a, to);
		gen_done(g, i->a, NOREG);
		return;
	}
	if (!is_signed && is_compare(s->op) && g->loc[i->a] == NOREG) {
		set_cond(g, i->a, to);
		gen_done(g, i->a, NOREG);
		return;
	}
	int64_t n;
	if (bits == 32 && s->op == IR_shr && s->type == IR_I32 && g->loc[i->a] == NOREG &&
	    gen_is_const(g, s->b, &n) && (n & 31)) {
		gen_into(g, i->a, to); /* the sign is 0, and so is what is above */
		gen_done(g, i->a, NOREG);
		return;
	}
	static const unsigned ops[2][2] = { { 0x0fb6, 0x0fbe }, { 0x0fb7, 0x0fbf } };
	if (bits == 32 && is_slot(g, i->a, &slot)) {
		asm_rm(&g->a, is_signed, is_signed ? 0x63 : 0x8b, to, STATE_REG, slot);
		slot_done(g, i->a);
		return;
	}
	unsigned r = to;
	if (is_lazy(g, i->a))
		gen_into(g, i->a, to);
	else
		r = gen_any(g, i->a);
	if (bits == 8)
		asm_rr8(&g->a, is_signed, ops[0][is_signed], to, r);
	else if (bits == 16)
		asm_rr(&g->a, is_signed, ops[1][is_signed], to, r);
	else if (is_signed)
		asm_rr(&g->a, true, 0x63, to, r);
	else
		asm_rr(&g->a, false, 0x8b, to, r);
	gen_done(g, i->a, r == to && is_temp(to) && g->loc[i->a] != to ? NOREG : r);
}

static void count_bits(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	bool w = wide(g, v);
	unsigned r = gen_any(g, i->a);
	if (i->op == IR_bswap) {
		x_mov(&g->a, w, to, r);
		asm_rex(&g->a, w, 0, 0, to, false);
		a8(&g->a, 0x0f);
		a8(&g->a, 0xc8 | (to & 7));
	} else {
		unsigned op = i->op == IR_clz ? 0x0fbd : i->op == IR_ctz ? 0x0fbc : 0x0fb8;
		asm_prr(&g->a, 0xf3, w, op, to, r);
	}
	gen_done(g, i->a, r);
}

static void get(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	unsigned h = gen_home(g, i->imm), f = gen_fhome(g, i->imm);
	if (h != NOREG) {
		x_mov(&g->a, true, to, h);
	} else if (f != NOREG) {
		gen_lazy_flush_at(g, i->imm);
		asm_prr(&g->a, 0x66, true, 0x0f7e, f, to);
	} else {
		x_load(&g->a, wide(g, v), to, STATE_REG, at(i->imm));
	}
}

void gen_into(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	if (g->loc[v] != NOREG) {
		unsigned r = g->loc[v];
		if (r != to)
			x_mov(&g->a, true, to, r);
		if (g->uses[v] <= 1 && r != to && is_temp(r)) {
			g->loc[v] = NOREG;
			gen_temp_free(g, r);
		}
		return;
	}
	switch ((int)i->op) {
	case IR_const: x_movi(&g->a, to, i->type == IR_I32 ? (uint32_t)i->imm : i->imm); break;
	case IR_get: get(g, v, to); break;
	case IR_add: case IR_sub: case IR_and: case IR_or: case IR_xor: case IR_mul:
		binary(g, v, to);
		break;
	case IR_shl: case IR_shr: case IR_sar: case IR_rotl: case IR_rotr: shift(g, v, to); break;
	case IR_eq: case IR_ne: case IR_lts: case IR_ltu: set_cond(g, v, to); break;
	case IR_select: choose(g, v, to); break;
	case IR_sext: case IR_zext: extend(g, v, to); break;
	case IR_trunc:
		gen_into(g, i->a, to);
		gen_done(g, i->a, NOREG);
		break;
	case IR_clz: case IR_ctz: case IR_popcnt: case IR_bswap: count_bits(g, v, to); break;
	case IR_mulhs: case IR_mulhu: case IR_mulhsu: gen_mulh(g, v, to); break;
	case IR_divs: case IR_divu: case IR_rems: case IR_remu: gen_divide(g, v, to); break;
	case IR_orcb: case IR_clmul: case IR_clmulh: gen_vector(g, v, to); break;
	case IR_load: gen_load(g, v, to, false); break;
	case IR_bits:
		if (ins(g, i->a)->op == IR_fcall) {
			gen_fcall_int(g, i->a, to);
			gen_done(g, i->a, NOREG);
			break;
		}
		gen_into(g, i->a, to);
		if (i->type == IR_F32 || ins(g, i->a)->type == IR_F32)
			x_mov(&g->a, false, to, to);
		gen_done(g, i->a, NOREG);
		break;
	case IR_fcall: gen_fcall_int(g, v, to); break;
	default: g->cannot = true;
	}
}

/* ---- instructions ---- */

/* How often reads of slot @off that are used after put @v are needed besides @v's own tree. */
static unsigned tree_count(const struct jit_gen *g, uint32_t v, uint32_t want)
{
	const struct ir_ins *i = ins(g, v);
	unsigned n = v == want;
	if (g->loc[v] != NOREG)
		return n;
	const uint32_t arg[4] = { i->a, i->b, i->c, i->d };
	unsigned nargs = i->op == IR_fcall ? 4 : ir_opinfo[i->op].nargs;
	for (unsigned k = 0; k < nargs; k++)
		if (arg[k] < v)
			n += tree_count(g, arg[k], want);
	return n;
}

/* The slot at @off is about to change: what was read from it and is still wanted moves away. */
static void reads_save(struct jit_gen *g, uint32_t put, uint64_t off)
{
	for (uint32_t v = 0; v < put; v++) {
		const struct ir_ins *i = ins(g, v);
		if (i->op != IR_get || i->imm != off || g->loc[v] != NOREG || !g->uses[v])
			continue;
		if (g->uses[v] <= tree_count(g, ins(g, put)->a, v))
			continue;
		unsigned r = gen_temp(g);
		get(g, v, r);
		g->loc[v] = (uint8_t)r;
		g->saved |= 1ull << (v & 63);
	}
}

/* Is @v what is in the slot at @off, wanted here only? */
static bool is_old(const struct jit_gen *g, uint32_t v, uint64_t off)
{
	const struct ir_ins *i = ins(g, v);
	return i->op == IR_get && i->imm == off && g->loc[v] == NOREG && g->uses[v] == 1;
}

/* Put @i: what was in the slot, op something: one instruction in memory. */
static bool put_changed(struct jit_gen *g, const struct ir_ins *i)
{
	const struct ir_ins *v = ins(g, i->a);
	bool any = v->op == IR_add || v->op == IR_and || v->op == IR_or || v->op == IR_xor;
	if ((!any && v->op != IR_sub) || v->type != IR_I64 || g->loc[i->a] != NOREG ||
	    g->uses[i->a] != 1)
		return false;
	uint32_t old = v->a, other = v->b;
	if (any && !is_old(g, old, i->imm)) {
		old = v->b;
		other = v->a;
	}
	int64_t k;
	if (!is_old(g, old, i->imm))
		return false;
	if (gen_is_const(g, other, &k) && fits32(k)) {
		x_alumi(&g->a, true, alu_of(v->op), STATE_REG, at(i->imm), (int32_t)k);
		g->uses[other]--;
	} else {
		unsigned r = gen_any(g, other);
		asm_rm(&g->a, true, alu_of(v->op) << 3 | 1, r, STATE_REG, at(i->imm));
		gen_done(g, other, r);
	}
	g->uses[i->a] = g->uses[old] = 0;
	return true;
}

void gen_put(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	uint64_t off = i->imm;
	uint32_t v = i->a;
	unsigned h = gen_home(g, off);
	bool w = wide(g, v);
	int64_t k;
	if (off == g->c->g.fp_on) {
		if (!g->fp_dirty)
			x_storei(&g->a, false, 3, STATE_REG, at(off));
		g->fp_dirty = true;
		g->uses[v]--;
		return;
	}
	reads_save(g, n, off);
	if (off >= g->c->g.fp_regs && off < g->c->g.fp_regs + 256 && gen_put_fp(g, off, v))
		return;
	if (h != NOREG) {
		gen_into(g, v, h);
		gen_done(g, v, NOREG);
		if (g->uses[v])
			g->loc[v] = (uint8_t)h;
		return;
	}
	if (gen_is_const(g, v, &k) && fits32(k)) {
		x_storei(&g->a, w, (int32_t)k, STATE_REG, at(off));
		g->uses[v]--;
		return;
	}
	if (put_changed(g, i))
		return;
	unsigned r = gen_any(g, v);
	x_store(&g->a, w, r, STATE_REG, at(off));
	gen_done(g, v, r);
}

static void guard(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	int64_t k;
	if (gen_guard_fp(g, n))
		return;
	if (gen_is_const(g, i->a, &k)) {
		g->uses[i->a]--;
		if (!k)
			gen_slow(g, SLOW_FAULT, x_jmp32(&g->a))->imm = (int64_t)i->imm;
		return;
	}
	unsigned cc = gen_cond(g, i->a);
	gen_slow(g, SLOW_FAULT, x_jcc32(&g->a, cc ^ 1))->imm = (int64_t)i->imm;
}

static void effect(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	switch ((int)i->op) {
	case IR_put:
		gen_put(g, n);
		gen_near_put(g, n);
		gen_flags_put(g, n);
		break;
	case IR_store:
		if (ins(g, i->b)->op == IR_get)
			gen_lazy_flush_at(g, ins(g, i->b)->imm);
		gen_store(g, n);
		break;
	case IR_lr: case IR_sc: case IR_amo: case IR_cas:
		gen_lazy_flush(g, UINT32_MAX);
		gen_atomic(g, n);
		break;
	case IR_call:
		gen_lazy_flush(g, UINT32_MAX);
		gen_call(g, n);
		g->flags_in = 0;
		break;
	case IR_each:
		gen_lazy_flush(g, UINT32_MAX);
		gen_each(g, n);
		g->flags_in = 0;
		break;
	case IR_flags: gen_flags(g, n); break;
	case IR_setflags: gen_setflags(g, n); break;
	case IR_guard: guard(g, n); break;
	case IR_fence:
		g->alone |= !g->c->g.smp;
		if (g->c->g.flat && !g->c->g.smp) /* else there are devices, at least */
			break;
		asm_op(&g->a, 0xf0); /* lock or dword [rsp - 64], 0: cheaper than mfence */
		asm_rm(&g->a, false, 0x83, ALU_OR, RSP, -64);
		a8(&g->a, 0);
		break;
	case IR_br: case IR_jump: case IR_jumpr: case IR_end: gen_control(g, n); break;
	case IR_load: case IR_fcall:
		if (!g->uses[n]) {
			unsigned r = gen_temp(g);
			gen_into(g, n, r);
			gen_temp_free(g, r);
		}
		break;
	default: break;
	}
}

/* The arguments of each operation; and whether something is done even if nobody wants its value. */
enum { DOES = 4 };
static const uint8_t shapes[IR_COUNT] = {
#define IR(name, nargs, flags, text) [IR_##name] = (nargs) | ((flags) & (IR_F | IR_S) ? DOES : 0),
#include "ir/ops.def"
};

/* How often each value is wanted, by effects and by values that are wanted themselves. */
static void uses_count(struct jit_gen *g, uint32_t count)
{
	for (uint32_t n = count; n-- > 0;) {
		const struct ir_ins *i = ins(g, n);
		unsigned shape = shapes[i->op];
		if (!(shape & DOES) && !g->uses[n])
			continue;
		if (i->op == IR_fcall) {
			const uint32_t arg[3] = { i->a, i->b, i->c };
			const struct fp_opinfo *f = &fp_opinfo[i->imm];
			for (unsigned k = 0; k < 3; k++)
				if (f->arg[k] != IR_VOID || (f->rm == 2 && k == 0))
					g->uses[arg[k]]++;
			if (f->rm == 1)
				g->uses[i->d]++;
			continue;
		}
		shape &= DOES - 1;
		if (shape > 0)
			g->uses[i->a]++;
		if (shape > 1)
			g->uses[i->b]++;
		if (shape > 2)
			g->uses[i->c]++;
	}
}

void gen_prepare(struct jit_gen *g, const struct ir_ins *ins, uint32_t n)
{
	const uint64_t none = 0, noreg = UINT64_MAX;
	g->ins = ins;
	g->temps = TEMPS;
	g->saved = 0;
	if (n > 64) {
		g->cannot = true;
		return;
	}
	if (likely(n <= sizeof none)) { /* there is room for more */
		memcpy(g->uses, &none, sizeof none);
		memcpy(g->loc, &noreg, sizeof noreg);
	} else {
		memset(g->uses, 0, n);
		memset(g->loc, NOREG, n);
	}
	uses_count(g, n);
}

void gen_instruction(struct jit_gen *g, const struct ir_block *b)
{
	g->ir = b;
	gen_prepare(g, b->ins, b->n);
	g->cannot |= b->full;
	for (uint32_t n = 0; n < b->n && !g->cannot; n++)
		effect(g, n);
}
