/* SPDX-License-Identifier: Apache-2.0 */
/* Units: basic blocks and their count of instructions, jumps, calls and returns, and the code out
 * of line that is written behind. */
#include "jit/x64/internal.h"
#include <stdlib.h>

static int32_t run_at(const struct jit_gen *g, size_t off)
{
	return at(g->c->g.run + off);
}
#define RUN(g, field) run_at(g, offsetof(struct jit_run, field))

struct slow *gen_slow(struct jit_gen *g, enum slow_kind k, uint8_t *from)
{
	if (g->nslow == SLOW_MAX) {
		g->cannot = true;
		g->nslow--;
	}
	struct slow *s = &g->slow[g->nslow++];
	*s = (struct slow){ .kind = (uint8_t)k, .from = from, .back = g->a.p,
		.bb = (uint16_t)g->bb, .k = (uint16_t)g->k,
		.off = (uint16_t)(g->in->pa - g->pa), .len = g->in->len, .lazy = g->lazy,
		.lazy_single = g->lazy_single };
	return s;
}

void gen_forget(struct jit_gen *g)
{
	g->fp_on = g->fp_dirty = g->own && g->plan.fp;
	g->mode_ok = g->own && g->plan.rounds;
	g->boxed = g->flags_in = g->lazy = g->vkey = 0;
	g->known.is = 0;
	memset(g->near, 0, sizeof g->near);
	for (unsigned r = 0; r < SLOTS; r++)
		g->root[r] = ++g->roots;
	memset(g->root_off, 0, sizeof g->root_off);
}

/* ---- basic blocks ---- */

static void block_close(struct jit_gen *g)
{
	if (g->bb_imm && !g->a.full)
		*g->bb_imm = (uint8_t)g->k;
	g->bb_len[g->bb] = (uint16_t)g->k;
	g->bb_imm = NULL;
	g->bb_close = false;
}

/* Leave before the instruction at @pa if the limit says so. */
static void limit_look(struct jit_gen *g, uint64_t pa)
{
	x_alum(&g->a, true, ALU_CMP, COUNT_REG, STATE_REG, at(g->c->g.limit));
	struct slow *s = gen_slow(g, SLOW_LEAVE, x_jcc32(&g->a, CC_AE));
	s->pa = pa;
	s->k = UINT16_MAX;
}

static void block_open(struct jit_gen *g, bool check)
{
	struct jit_asm *a = &g->a;
	if (g->bb_imm)
		block_close(g);
	g->bb_close = false;
	if (check)
		limit_look(g, g->in->pa);
	if (++g->bb >= BBS) {
		g->cannot = true;
		g->bb = 0;
	}
	g->k = 0;
	x_alui(a, true, ALU_ADD, COUNT_REG, 1);
	g->bb_imm = a->p - 1;
}

/* Labels behind calls: whoever comes there by another way than the return looks at the limit. */
static void resumes_write(struct jit_gen *g)
{
	for (unsigned n = 0; n < LABELS && !g->a.full && !g->cannot; n++)
		if (g->resume[n]) {
			g->label[n] = g->a.p;
			limit_look(g, g->pa + 2 * n);
			x_jmp_to(&g->a, g->resume[n]);
		}
}

/* ---- jumps ---- */

static bool is_label(const struct jit_gen *g, uint64_t pa)
{
	return pa >= g->pa && pa < g->end && g->leader[(pa - g->pa) / 2];
}

/* The last halfword of a page may begin an instruction that goes on in another one. */
static bool is_far(const struct jit_gen *g, uint64_t pa)
{
	return (pa ^ g->pa) >> g->reach || (pa & 0xfff) == 0xffe;
}

/* A jump that ends at @from leaves the unit for @pa. @standard: that map holds already. */
static void exit_to(struct jit_gen *g, uint8_t *from, uint64_t pa, bool standard)
{
	struct slow *s = gen_slow(g, is_far(g, pa) ? SLOW_FAR : SLOW_LINK, from);
	s->pa = pa;
	s->standard = standard || !g->own;
}

/* A jump that ends at @from goes to @pa: a label of the unit, or an exit. */
static void aim(struct jit_gen *g, uint8_t *from, uint64_t pa)
{
	/* no way round without a look at the limit: back only to labels that have one */
	unsigned n = (unsigned)(pa - g->pa) / 2;
	if (!is_label(g, pa) || (g->label[n] && !g->checks[n])) {
		exit_to(g, from, pa, false);
		return;
	}
	near_jump(g, n);
	if (g->label[n] && !g->a.full) {
		x_aim(from, g->label[n]);
	} else if (g->nwait == SLOW_MAX) {
		g->cannot = true;
	} else {
		g->wait[g->nwait].from = from;
		g->wait[g->nwait++].label = (uint16_t)n;
	}
}

/* The return address and where to go on: [rsp] host, [rsp + 8] guest. */
static void call_begin(struct jit_gen *g)
{
	struct jit_asm *a = &g->a;
	x_alum(a, true, ALU_CMP, RSP, STATE_REG, RUN(g, j_limit));
	struct slow *s = gen_slow(g, SLOW_STACK, x_jcc32(a, CC_B));
	s->back = a->p;
	x_push(a, (unsigned)g->c->home[1]);
}

/* The callee came back: the code's virtual address may have been another's meanwhile. */
static void call_end(struct jit_gen *g)
{
	struct jit_asm *a = &g->a;
	x_pop(a, RAX);
	if (!g->c->g.flat) {
		x_movi(a, RCX, g->in->pa + g->in->len);
		x_alu(a, true, ALU_SUB, RAX, RCX);
		x_store(a, true, RAX, STATE_REG, RUN(g, delta));
	}
	own_rely(g, g->in->pa + g->in->len);
	own_in(g);
	gen_forget(g);
}

static void call(struct jit_gen *g, uint64_t pa)
{
	own_out(g);
	call_begin(g);
	a8(&g->a, 0xe8);
	a32(&g->a, 0);
	exit_to(g, g->a.p, pa, true);
	call_end(g);
}

/* Jump to the code of the virtual address in rax if the place in rcx, which is shifted, has it,
 * else to @miss. Overwrites rcx, rdx. */
static void jump_try(struct jit_cache *c, struct jit_asm *a, const uint8_t *miss)
{
	int32_t run = at(c->g.run);
	x_alum(a, false, ALU_AND, RCX, STATE_REG,
	       run + (int32_t)offsetof(struct jit_run, jump_mask));
	x_alum(a, true, ALU_ADD, RCX, STATE_REG, run + (int32_t)offsetof(struct jit_run, jumps));
	asm_rm(a, true, ALU_CMP << 3 | 3, RAX, RCX, 0);
	x_jcc_to(a, CC_NE, miss);
	x_load(a, true, RDX, RCX, offsetof(struct jit_jump, key));
	x_alum(a, true, ALU_CMP, RDX, STATE_REG, at(c->g.key));
	x_jcc_to(a, CC_NE, miss);
	if (!c->g.flat) {
		x_load(a, true, RDX, RCX, offsetof(struct jit_jump, delta));
		x_store(a, true, RDX, STATE_REG, run + (int32_t)offsetof(struct jit_run, delta));
	}
	asm_rm(a, false, 0xff, 4, RCX, offsetof(struct jit_jump, code));
}

/* Jump to the code of the virtual address in rax, or leave. Overwrites rcx, rdx. */
static void look_up(struct jit_cache *c, struct jit_asm *a)
{
	x_mov(a, false, RCX, RAX);
	x_shi(a, false, SH_SHL, RCX, 4);
	jump_try(c, a, c->w + c->t.look_up2);
}

void thunk_look_up2(struct jit_cache *c, struct jit_asm *a)
{
	x_mov(a, true, RCX, RAX);
	x_shi(a, true, SH_SHR, RCX, JIT_JUMPS_BITS);
	x_alu(a, false, ALU_XOR, RCX, RAX);
	x_shi(a, false, SH_SHL, RCX, 4);
	jump_try(c, a, c->w + c->t.jump);
}

void thunk_look_up(struct jit_cache *c, struct jit_asm *a) { look_up(c, a); }

static void jump_register(struct jit_gen *g, uint32_t v)
{
	struct jit_asm *a = &g->a;
	unsigned ra = (unsigned)g->c->home[1];
	/* rax may hold what the target is made of: it was read before the link was written */
	if (g->own) {
		gen_into(g, v, RAX);
		if (!g->in->ret && !g->in->call && own_jump(g))
			return;
		own_out(g);
	}
	if (g->in->ret) {
		asm_rm(a, true, ALU_CMP << 3 | 3, ra, RSP, 8);
		uint8_t *miss = x_jcc8(a, CC_NE);
		a8(a, 0xc3);
		x_here8(a, miss);
		if (!g->own)
			gen_into(g, v, RAX);
		x_jmp_to(a, g->c->w + g->c->t.look_up);
		return;
	}
	if (!g->own)
		gen_into(g, v, RAX);
	if (g->in->call) {
		call_begin(g);
		a8(a, 0xe8);
		a32(a, 0);
		gen_slow(g, SLOW_ICALL, a->p);
		call_end(g);
		return;
	}
	look_up(g->c, a);
}

/* Leave for the owner; the instruction at @pa comes next. */
static void leave(struct jit_gen *g, uint64_t pa)
{
	struct slow *s = gen_slow(g, SLOW_LEAVE, x_jmp32(&g->a));
	s->pa = pa;
	s->k = UINT16_MAX; /* all of the block is done */
}

void gen_control(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	struct jit_asm *a = &g->a;
	gen_lazy_flush(g, UINT32_MAX);
	switch ((int)i->op) {
	case IR_br: {
		unsigned cc = gen_cond(g, i->a);
		if (g->in->rounds)
			aim(g, x_jcc32(a, cc ^ 1), g->in->pa + g->in->len);
		else
			aim(g, x_jcc32(a, cc), i->imm);
		break;
	}
	case IR_jump:
		if (g->in->call)
			call(g, i->imm);
		else
			aim(g, x_jmp32(a), i->imm);
		break;
	case IR_jumpr: jump_register(g, i->a); break;
	default:
		if (g->in->after == JIT_AFTER_LEAVE) {
			leave(g, g->in->pa + g->in->len);
		} else if (g->in->after != JIT_AFTER_GO_ON) {
			own_out(g);
			if (g->in->after == JIT_AFTER_JUMP || !g->c->g.flat)
				x_load(a, true, RSP, STATE_REG, RUN(g, j_base));
			x_load(a, true, RAX, STATE_REG, at(g->c->g.npc));
			x_jmp_to(a, g->c->w + g->c->t.look_up);
		}
	}
	g->bb_close = true;
	g->dead = (i->op == IR_jump || i->op == IR_jumpr) && !g->in->call;
}

/* ---- out of line ---- */

static void site(struct jit_gen *g, const struct slow *s, const uint8_t *back)
{
	unsigned n = g->nsites++;
	g->sites[n].back = (uint32_t)(back - g->c->w);
	g->sites[n].off = s->off;
	g->sites[n].undo = (uint16_t)(g->bb_len[s->bb] - s->k + 1);
}

static void thunk_call(struct jit_gen *g, const struct slow *s, uint32_t thunk, enum own_thunk own)
{
	gen_thunk_call(g, thunk, own);
	site(g, s, g->a.p);
}

static void slow_load(struct jit_gen *g, const struct slow *s)
{
	static const unsigned op[3] = { 0x0fbe, 0x0fbf, 0x63 };
	unsigned n = (unsigned)__builtin_ctz(s->bytes);
	thunk_call(g, s, g->c->t.load[n], OWN_LOAD + n);
	if (s->reg >= XMM && n == 3)
		asm_prr(&g->a, 0x66, true, 0x0f6e, s->reg - XMM, RAX);
	else if (s->reg >= XMM)
		own_box(g, s->reg - XMM, RAX);
	else if (s->is_signed && n == 0)
		asm_rr8(&g->a, true, op[n], s->reg, RAX);
	else if (s->is_signed && n < 3)
		asm_rr(&g->a, true, op[n], s->reg, RAX);
	else
		x_mov(&g->a, true, s->reg, RAX);
	x_jmp_to(&g->a, s->back);
}

static void slow_store(struct jit_gen *g, const struct slow *s)
{
	if (s->imm_val)
		x_movi(&g->a, RDX, (uint64_t)s->imm);
	else if (s->slot_val)
		x_load(&g->a, true, RDX, STATE_REG, s->slot);
	else if (s->reg >= XMM)
		asm_prr(&g->a, 0x66, true, 0x0f7e, s->reg - XMM, RDX);
	else
		x_mov(&g->a, true, RDX, s->reg);
	unsigned n = (unsigned)__builtin_ctz(s->bytes);
	thunk_call(g, s, g->c->t.store[n], OWN_STORE + n);
	x_jmp_to(&g->a, s->back);
}

static void slow_fp(struct jit_gen *g, const struct slow *s)
{
	struct jit_asm *a = &g->a;
	bool is_double = fp_opinfo[s->imm & 255].ret == IR_F64;
	for (unsigned k = 0; k < 3; k++) {
		static const uint8_t reg[3] = { RAX, RDX, RCX };
		asm_prr(a, 0x66, true, 0x0f7e, s->arg[k], reg[k]);
		if (s->negate >> k & 1) {
			asm_rr(a, true, 0x0fba, 7, reg[k]); /* btc, the sign */
			a8(a, is_double ? 63 : 31);
		}
	}
	x_storei(a, true, (int32_t)s->imm, STATE_REG, RUN(g, detail));
	gen_thunk_call(g, g->c->t.fp, OWN_FP);
	if (s->reg >= XMM && s->boxed)
		own_box(g, s->reg - XMM, RAX);
	else if (s->reg >= XMM)
		asm_prr(a, 0x66, true, 0x0f6e, s->reg - XMM, RAX);
	else
		x_mov(a, true, s->reg, RAX);
	x_jmp_to(a, s->back);
}

/* An exit's record: @patch is the end of the jump that a link changes; 0: none. */
static void exit_call(struct jit_gen *g, const struct slow *s, uint32_t thunk, enum own_thunk own)
{
	if (own == OWN_THUNKS)
		x_call_to(&g->a, g->c->w + thunk);
	else
		gen_thunk_call(g, thunk, own);
	unsigned n = g->nexits++;
	g->exits[n].back = (uint32_t)(g->a.p - g->c->w);
	g->exits[n].patch = 0;
	g->exits[n].pa = s->pa;
}

/* Links change the jump to here, or the one behind the change of maps. */
static void exit_link(struct jit_gen *g, const struct slow *s)
{
	uint8_t *from = s->from;
	if (!s->standard) {
		own_out(g);
		from = x_jmp32(&g->a);
	}
	exit_call(g, s, g->c->t.link, OWN_THUNKS);
	g->exits[g->nexits - 1].patch = (uint32_t)(from - g->c->w);
}

void gen_deopt(struct jit_gen *g, uint64_t pa)
{
	if (g->nexits == RECORDS)
		g->cannot = true;
	else
		exit_call(g, &(struct slow){ .pa = pa }, g->c->t.deopt, OWN_DEOPT);
}

static void undo(struct jit_gen *g, const struct slow *s)
{
	unsigned begun = s->k == UINT16_MAX ? g->bb_len[s->bb] : s->k ? s->k - 1u : 0;
	if (g->bb_len[s->bb] != begun)
		x_alui(&g->a, true, ALU_SUB, COUNT_REG, (int32_t)(g->bb_len[s->bb] - begun));
}

/* Behind the helper of an IR_each: back, or to the next instruction, outside of the unit. */
static void each_leave(struct jit_gen *g, const struct slow *s)
{
	struct jit_asm *a = &g->a;
	uint64_t pa = g->pa + s->off + s->len;
	x_alumi(a, false, ALU_CMP, STATE_REG, at(g->c->g.vector_key), (int32_t)s->key);
	x_jcc_to(a, CC_E, s->back);
	unsigned h = gen_home(g, s->result);
	if (s->result && h != NOREG)
		x_mov(a, true, h, RAX);
	else if (s->result)
		x_store(a, true, RAX, STATE_REG, at(s->result));
	if (g->bb_len[s->bb] != s->k)
		x_alui(a, true, ALU_SUB, COUNT_REG, (int32_t)(g->bb_len[s->bb] - s->k));
	if (is_far(g, pa)) {
		own_out(g);
		far_write(g, pa);
	} else {
		exit_link(g, &(struct slow){ .pa = pa });
	}
}

static void slow_each(struct jit_gen *g, const struct slow *s)
{
	for (unsigned n = 0; n < countof(s->more) && !g->a.full; n++)
		if (s->more[n])
			x_aim(s->more[n], g->a.p);
	for (unsigned n = 0; n < s->each_n; n++) {
		uint8_t *touch = g->each_at[s->each_from + n];
		g->touches[g->ntouches].at = (uint32_t)(touch - g->c->w);
		g->touches[g->ntouches++].stub = (uint32_t)(g->a.p - g->c->w);
	}
	uint8_t *done = s->begins ? slow_each_begin(g, s) : NULL;
	if (s->bytes && (s->base != RDX || s->disp))
		x_lea(&g->a, RDX, s->base, s->disp);
	if (s->imm_val)
		x_movi(&g->a, RAX, (uint64_t)s->imm);
	if (s->slot_val)
		x_movi(&g->a, RDX, s->pa);
	x_movi(&g->a, RCX, (uint64_t)s->arg_c);
	x_storei(&g->a, true, s->slot, STATE_REG, RUN(g, detail));
	thunk_call(g, s, g->c->t.call, OWN_CALL);
	if (done && !g->a.full)
		x_aim(done, g->a.p);
	if (s->leaves)
		each_leave(g, s);
	else
		x_jmp_to(&g->a, s->back);
}

static void slow_write(struct jit_gen *g, const struct slow *s)
{
	struct jit_asm *a = &g->a;
	const struct thunks *t = &g->c->t;
	if (s->kind == SLOW_SITE) {
		site(g, s, s->back);
		return;
	}
	if (s->touch[0])
		gen_touch_begin(g, s);
	else if (s->from && !a->full)
		x_aim(s->from, a->p);
	if (s->kind != SLOW_FP && s->kind != SLOW_FUSED && s->kind != SLOW_NAN &&
	    s->kind != SLOW_COMPARE && s->kind != SLOW_NANS)
		gen_lazy_fix(g, s); /* the state gets them */
	switch ((int)s->kind) {
	case SLOW_LOAD: slow_load(g, s); break;
	case SLOW_STORE: slow_store(g, s); break;
	case SLOW_ATOMIC:
		x_storei(a, true, (int32_t)s->imm, STATE_REG, RUN(g, detail));
		thunk_call(g, s, t->atomic, OWN_ATOMIC);
		x_mov(a, true, s->reg, RAX);
		x_jmp_to(a, s->back);
		break;
	case SLOW_FP: slow_fp(g, s); break;
	case SLOW_EACH: slow_each(g, s); break;
	case SLOW_NANS: slow_nans(g, s); break;
	case SLOW_NAN:
		x_storei(a, false, 0x7fc00000, RSP, -8);
		asm_prm(a, 0xf3, false, 0x0f10, s->reg, RSP, -8);
		x_jmp_to(a, s->back);
		break;
	case SLOW_FUSED: gen_slow_fused(g, s); break;
	case SLOW_LAZY: x_jmp_to(a, s->back); break;
	case SLOW_COMPARE: gen_slow_compare(g, s); break;
	case SLOW_FAULT:
		x_storei(a, true, (int32_t)s->imm, STATE_REG, at(g->c->g.exc));
		x_storei(a, true, 0, STATE_REG, at(g->c->g.tval));
		thunk_call(g, s, t->fault, OWN_FAULT);
		break;
	case SLOW_LINK: exit_link(g, s); break;
	case SLOW_ENTRY: exit_call(g, s, t->deopt, OWN_THUNKS); break;
	case SLOW_LEAVE:
		undo(g, s);
		exit_call(g, s, t->leave, OWN_LEAVE);
		break;
	case SLOW_DEOPT:
		undo(g, s);
		exit_call(g, s, t->deopt, OWN_DEOPT);
		break;
	case SLOW_STACK:
		x_load(a, true, RSP, STATE_REG, RUN(g, j_base));
		x_jmp_to(a, s->back);
		break;
	case SLOW_FAR:
		if (!s->standard)
			own_out(g);
		far_write(g, s->pa);
		break;
	case SLOW_ICALL: look_up(g->c, a); break;
	case SLOW_SITE: break;
	}
}

/* ---- the door ---- */

int jit_gen_new(struct jit_gen **ret, struct jit_cache *c, struct lodge_err *e)
{
	struct jit_gen *g = host_pages_new(sizeof *g);
	if (!g)
		return err_set(e, ENOMEM, "no memory for the translator");
	g->c = c;
	memset(g->fhome, -1, sizeof g->fhome);
	*ret = g;
	return 0;
}

void jit_gen_free(struct jit_gen *g) { host_pages_free(g, sizeof *g); }

void jit_begin(struct jit_gen *g, uint64_t pa, uint64_t end, const bool *leader, unsigned reach)
{
	struct jit_cache *c = g->c;
	g->own = g->plan.ready;
	uint64_t used = g->own ? __atomic_load_n(&c->used2, __ATOMIC_RELAXED) : c->used;
	if (!g->own)
		jit_cache_ahead(c);
	uint8_t *at16 = c->w + align_up(used, 16);
	g->a = asm_at(at16, c->w + (g->own ? c->bytes : c->split));
	g->a.moves = &g->moves;
	g->moves.n = g->moves.ntable = 0;
	memcpy(g->home, g->own ? g->plan.home : c->home, sizeof g->home);
	if (g->own)
		memcpy(g->fhome, g->plan.fhome, sizeof g->fhome);
	else
		memset(g->fhome, -1, sizeof g->fhome);
	g->vmap = g->own ? g->plan.vmap : (struct vmap){ .n = 0 };
	g->plan.ready = g->entered = false;
	g->nown = g->njumps = g->last_jump = 0;
	if (at16 >= g->a.end)
		g->a.full = true;
	g->cannot = g->alone = g->again = g->dead = g->remake = false;
	memset(g->joined, 0, sizeof g->joined);
	g->njoined = 0;
	g->pa = pa;
	g->end = end;
	g->leader = leader;
	g->reach = reach;
	memset(g->label, 0, sizeof g->label);
	memset(g->resume, 0, sizeof g->resume);
	g->nwait = g->nslow = g->nexits = g->nsites = g->ntouches = g->neach = 0;
	g->mirror = false;
	g->bb = g->k = g->insns = 0;
	g->bb_imm = NULL;
	g->bb_close = false;
	gen_forget(g);
}

uint32_t jit_label_code(const struct jit_gen *g, unsigned i)
{
	if (i >= LABELS || !g->label[i])
		return 0;
	return g->own ? g->stub[i] : (uint32_t)(g->label[i] - g->c->w);
}

uint32_t jit_insn_end(const struct jit_gen *g, unsigned n) { return g->insn_end[n]; }

bool jit_insn(struct jit_gen *g, const struct jit_insn *i, const struct ir_block *ir)
{
	g->now = *i;
	g->in = &g->now;
	if (g->own && !g->entered)
		own_entry(g, g->pa);
	if (i->label) {
		gen_lazy_flush(g, UINT32_MAX);
		if (g->bb_imm)
			block_close(g);
		unsigned n = (unsigned)(i->pa - g->pa) / 2;
		bool resume = i->resume && !g->c->g.returns_look;
		near_arrive(g, i->check);
		*(resume ? &g->resume[n] : &g->label[n]) = g->a.p;
		g->checks[n] = i->check;
		gen_forget(g);
		g->boxed = own_boxed(g, i->pa);
		near_label(g, i->check);
		block_open(g, i->check && !resume);
	} else if (!g->bb_imm || g->bb_close || g->k == 100) {
		block_open(g, i->check);
	}
	g->k++;
	gen_instruction(g, g->own ? known_fold(g, ir) : ir);
	if (g->insns < JIT_UNIT_INSNS)
		g->insn_end[g->insns++] = asm_off(&g->a);
	return !g->cannot;
}

void jit_goes_on(struct jit_gen *g, uint64_t pa)
{
	gen_lazy_flush(g, UINT32_MAX);
	aim(g, x_jmp32(&g->a), pa);
}

bool jit_remake(const struct jit_gen *g) { return g->remake; }
bool jit_full(const struct jit_gen *g) { return g->a.full; }
bool jit_is_own(const struct jit_gen *g) { return g->own; }
bool jit_is_flat(const struct jit_gen *g) { return g->c->g.flat; }

bool jit_end(struct jit_gen *g, struct jit_unit *ret)
{
	struct jit_cache *c = g->c;
	if (g->bb_imm)
		block_close(g);
	resumes_write(g);
	own_stubs(g);
	for (unsigned n = 0; n < g->nslow && !g->a.full; n++)
		if (g->slow[n].kind == SLOW_SITE)
			slow_write(g, &g->slow[n]);
	for (unsigned n = 0; n < g->nslow && !g->a.full; n++)
		if (g->slow[n].kind != SLOW_SITE)
			slow_write(g, &g->slow[n]);
	own_thunks(g);
	if (near_again(g)) {
		g->plan.ready = g->remake = true;
		return false;
	}
	if (g->a.full || g->cannot)
		return false;
	for (unsigned n = 0; n < g->nwait; n++)
		x_aim(g->wait[n].from, g->label[g->wait[n].label]);
	*ret = (struct jit_unit){ .pa = g->pa, .code = (uint32_t)(g->a.start - c->w),
		.code_len = asm_off(&g->a), .alone = g->alone && c->g.flat };
	notes_pack(g, ret);
	if (!g->own) /* else when it is kept */
		c->used = (uint64_t)(g->a.p - c->w);
	return true;
}

/* ---- finished units ---- */

bool jit_unit_moves(const struct jit_gen *g, struct jit_moves *ret)
{
	const struct moves *m = &g->moves;
	*ret = (struct jit_moves){ .at = m->at, .n = m->n, .table = m->table, .ntable = m->ntable,
		.base = (uint64_t)(uintptr_t)(g->c->x + (g->a.start - g->c->w)) };
	return m->n <= MOVES_MAX;
}

bool jit_unit_put(struct jit_cache *c, const uint8_t *code, const struct jit_moves *m,
                  struct jit_unit *u)
{
	uint64_t to = align_up(c->used, 16);
	if (to + u->code_len > c->split)
		return false;
	jit_cache_ahead(c);
	uint8_t *start = c->w + to;
	memcpy(start, code, u->code_len);
	for (uint32_t i = 0; i < m->n; i++) {
		uint8_t *p = start + m->at[i] - 4;
		le32_put(p, le32_at(p) + u->code - (uint32_t)to);
	}
	uint64_t far = (uint64_t)(uintptr_t)(c->x + to) - m->base;
	for (uint32_t i = 0; i < m->ntable; i++) {
		uint8_t *p = start + m->table + 8 * i;
		le64_put(p, le64_at(p) + far);
	}
	u->code = (uint32_t)to;
	c->used = to + u->code_len;
	return true;
}

void jit_link(struct jit_cache *c, const struct jit_exit_at *x, uint32_t to)
{
	/* the stub that leaves is the call that ends at back */
	x_aim(c->w + x->patch, c->w + (to ? to : x->back - 5));
}

void jit_unit_keep(struct jit_cache *c, const struct jit_unit *u)
{
	c->used2 = u->code + u->code_len;
}

void jit_unit_redirect(struct jit_cache *c, const struct jit_unit *u, const struct jit_unit *to)
{
	struct jit_asm a = asm_at(c->w + u->code, c->w + u->code + 5);
	x_jmp_to(&a, c->w + to->code);
}

void jit_unit_kill(struct jit_cache *c, const struct jit_unit *u)
{
	struct jit_asm a = asm_at(c->w + u->code, c->w + u->code + 5);
	x_call_to(&a, c->w + c->t.stale);
}
