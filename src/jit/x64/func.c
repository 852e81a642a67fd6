/* SPDX-License-Identifier: Apache-2.0 */
/* Functions: group after group, control, calls, and what is written behind. */
#include "jit/x64/func.h"
#include <stdlib.h>

enum { GROUPS_MAX = 200000, GROUP_BYTES = 512 };
#define CONTEXT(field)                                                                             \
	((int32_t)offsetof(struct jit_fn_context, field) - (int32_t)sizeof(struct jit_fn_context))

bool fn_room(struct jit_fn *f, void *p, uint32_t n, uint32_t *cap, size_t size)
{
	void *was;
	memcpy(&was, p, sizeof was);
	if (n < *cap)
		return true;
	uint32_t to = *cap ? 2 * *cap : 1024;
	void *q = realloc(was, to * size);
	if (!q)
		return !(f->bad = true);
	memcpy(p, &q, sizeof q);
	*cap = to;
	return true;
}

/* ---- what the owner says ---- */

struct jit_fn *jit_fn_new(void) { return calloc(1, sizeof(struct jit_fn)); }

/* What one function needs, and the next one not. */
static void live_free(struct jit_fn *f)
{
	free(f->blocks);
	free(f->block_of);
	free(f->bits);
	free(f->cur);
	free(f->calls);
	free(f->catch_of);
	f->blocks = NULL;
	f->block_of = f->cur = f->calls = f->catch_of = NULL;
	f->bits = NULL;
}

void jit_fn_free(struct jit_fn *f)
{
	if (!f)
		return;
	live_free(f);
	free(f->ins);
	free(f->groups);
	free(f->uses);
	free(f->ends);
	free(f->segs);
	free(f->webs);
	free(f->waits);
	free(f->stubs);
	free(f->polled);
	free(f->consts);
	free(f->lines);
	free(f->catches);
	free(f);
}

void jit_fn_begin(struct jit_fn *f, uint64_t self, uint32_t nslots, uint32_t nargs,
		  uint32_t nlocals, enum jit_fn_result result, uint32_t nresults)
{
	f->self = self;
	f->nslots = nslots;
	f->nargs = nargs;
	f->nlocals = nlocals;
	f->result = result;
	f->nresults = nresults;
	f->nins = f->nuses = f->ngroups = f->nends = f->nwaits = f->nstubs = f->npolled = 0;
	f->nconsts = f->nlines = f->ncatches = 0;
	f->bad = f->exact = false;
	f->entries = 0;
}

/* Of operations: NOTED: they are no pure ones, so uses has them; MAY_CALL; above that, how they end
 * a group. */
enum { NOTED = 1, MAY_CALL = 2, ENDS = 2 };
static const uint8_t notes[IR_COUNT] = {
	[IR_get] = NOTED, [IR_put] = NOTED, [IR_store] = NOTED, [IR_amo] = NOTED,
	[IR_guard] = NOTED, [IR_invoke] = NOTED | MAY_CALL, [IR_vop] = MAY_CALL,
	[IR_br] = NOTED | FN_BRANCHES << ENDS, [IR_jump] = NOTED | FN_JUMPS << ENDS,
	[IR_table] = NOTED | FN_STOPS << ENDS, [IR_ret] = NOTED | FN_STOPS << ENDS,
	[IR_end] = NOTED | FN_STOPS << ENDS,
};

static void call_note(struct fn_group *g, const struct ir_ins *i)
{
	unsigned kind = ir_invoke_of(i).kind;
	g->calls |= fn_calls(i);
	if (i->op != IR_invoke)
		return;
	/* can what it calls throw something to this function? */
	g->throws |= kind <= IR_INVOKE_INDIRECT || kind == IR_INVOKE_THROW;
	if (kind >= IR_INVOKE_TAIL && kind != IR_INVOKE_HELPER)
		g->end = FN_STOPS;
}

/* Room for one more group of as many instructions as there may be. */
static bool groups_fit(const struct jit_fn *f)
{
	return f->ngroups + 1 < f->cap_groups && f->nins + IR_BLOCK_MAX < f->cap_ins &&
	       f->nuses + IR_BLOCK_MAX < f->cap_uses && f->nends < f->cap_ends;
}
static COLD bool groups_room(struct jit_fn *f)
{
	const uint32_t n = IR_BLOCK_MAX;
	return fn_room(f, &f->groups, f->ngroups + 1, &f->cap_groups, sizeof *f->groups) &&
	       fn_room(f, &f->ins, f->nins + n, &f->cap_ins, sizeof *f->ins) &&
	       fn_room(f, &f->uses, f->nuses + n, &f->cap_uses, sizeof *f->uses) &&
	       fn_room(f, &f->ends, f->nends, &f->cap_ends, sizeof *f->ends);
}

void jit_fn_next(struct jit_fn *f, struct ir_block *b)
{
	b->full = unlikely(!groups_fit(f)) && !groups_room(f);
	b->ins = b->full ? &f->no_ins : &f->ins[f->nins];
	b->n = 0;
	b->max = IR_BLOCK_MAX;
}

void jit_fn_add(struct jit_fn *f, const struct ir_block *b)
{
	if (unlikely(f->bad || b->full)) {
		f->bad = true;
		return;
	}
	struct fn_group *g = &f->groups[f->ngroups];
	struct fn_use *u = &f->uses[f->nuses];
	const struct ir_ins *const ins = b->ins, *const end = ins + b->n;
	*g = (struct fn_group){.ins = f->nins, .use = f->nuses};
	for (const struct ir_ins *i = ins; i < end; i++) {
		unsigned note = notes[i->op];
		if (note & MAY_CALL)
			call_note(g, i);
		if (!(note & NOTED))
			continue;
		u->ins = f->nins + (uint32_t)(i - ins);
		u->group = f->ngroups;
		u->slot = (uint32_t)(i->imm / 8);
		u->op = i->op;
		u->type = i->op == IR_put ? ins[i->a].type : i->type;
		u++;
		if (note >> ENDS)
			g->end = (uint8_t)(note >> ENDS);
	}
	if (g->end != FN_FALLS)
		f->ends[f->nends++] = f->ngroups;
	f->ngroups++;
	f->nins += b->n;
	f->nuses = (uint32_t)(u - f->uses);
	g[1] = (struct fn_group){.ins = f->nins, .use = f->nuses};
}

/* ---- places ---- */

struct fn_stub *fn_stub(struct jit_fn *f, enum fn_stub_kind k, unsigned trap, uint8_t *from)
{
	if (!fn_room(f, &f->stubs, f->nstubs, &f->cap_stubs, sizeof *f->stubs))
		return &f->no_stub;
	struct fn_stub *s = &f->stubs[f->nstubs++];
	*s = (struct fn_stub){from, f->now, (uint8_t)k, (uint8_t)trap, f->g->a.p};
	return s;
}

void fn_const_load(struct jit_fn *f, unsigned x, uint64_t lo, uint64_t hi)
{
	struct jit_asm *a = &f->g->a;
	asm_vex(a, 1, 0, false, x, 0, 0); /* vmovups x, [rip + distance] */
	a8(a, 0x10);
	a8(a, (x & 7) << 3 | 5);
	a32(a, 0);
	if (fn_room(f, &f->consts, f->nconsts, &f->cap_consts, sizeof *f->consts))
		f->consts[f->nconsts++] = (struct fn_const){a->p, lo, hi};
}

/* ---- values that move between registers and slots ---- */

/* Of a slot whose readers want 32 bits the others are anybody's: who wrote it may have been the
 * interpreter, or one who throws. What is written to it here may well be a value of 64. */
static bool web_is_wide(const struct fn_web *w) { return w->wide || !w->narrow; }

void fn_web_move(struct jit_fn *f, uint32_t seg, bool load)
{
	struct jit_asm *a = &f->g->a;
	const struct fn_web *w = fn_web_of(f, seg);
	int32_t disp = slot_at(f->segs[seg].slot);
	if (w->reg == NOREG)
		return;
	if (w->reg >= FN_INTS)
		asm_vrm(a, 1, w->type == IR_V128 ? 0 : w->type == IR_F64 ? 3 : 2, false,
			load ? 0x10 : 0x11,
			FN_XMM + w->reg - FN_INTS, 0, STATE_REG, disp);
	else if (load)
		x_load(a, web_is_wide(w), fn_int[w->reg], STATE_REG, disp);
	else
		x_store(a, web_is_wide(w), fn_int[w->reg], STATE_REG, disp);
}

bool fn_is_lost(const struct jit_fn *f, unsigned r, uint32_t seg)
{
	return (r < FN_KEPT || r >= FN_INTS) && f->segs[seg].to >= 2 * f->now + 2 &&
	       f->segs[seg].from <= 2 * f->now;
}

/* Those live across group f->now in registers that calls overwrite: to their slots, or back. */
void fn_lost_move(struct jit_fn *f, bool load)
{
	for (uint32_t m = f->holds; m; m &= m - 1) {
		unsigned r = (unsigned)__builtin_ctz(m);
		if (fn_is_lost(f, r, f->held[r]))
			fn_web_move(f, f->held[r], load);
	}
}

static void held_forget(struct jit_fn *f)
{
	memset(f->held, -1, sizeof f->held);
	f->holds = 0;
}

static void held_note(struct jit_fn *f, uint32_t seg)
{
	unsigned r = fn_web_of(f, seg)->reg;
	if (r == NOREG)
		return;
	f->held[r] = seg;
	f->holds |= 1u << r;
}

/* ---- in and out ---- */

static unsigned bits_of(uint32_t m) { return (unsigned)__builtin_popcount(m); }

static void prologue(struct jit_fn *f)
{
	struct jit_asm *a = &f->g->a;
	for (unsigned r = FN_KEPT; r < FN_INTS; r++)
		if (f->kept >> r & 1)
			x_push(a, fn_int[r]);
	f->frame = bits_of(f->kept) * 8;
	if (f->catch_of) { /* it keeps all of them; and who lands here wants to know the slots */
		x_push(a, STATE_REG);
		f->frame += 8;
	} else if (f->frame % 16 == 0) { /* calls of C want the stack aligned */
		x_alui(a, true, ALU_SUB, RSP, 8);
		f->frame += 8;
	}
}

static void epilogue(struct jit_fn *f)
{
	struct jit_asm *a = &f->g->a;
	if (bits_of(f->kept) % 2 == 0)
		x_alui(a, true, ALU_ADD, RSP, 8);
	for (unsigned r = FN_INTS; r-- > FN_KEPT;)
		if (f->kept >> r & 1)
			x_pop(a, fn_int[r]);
}

static void count(struct jit_fn *f, enum fn_stub_kind kind)
{
	struct jit_asm *a = &f->g->a;
	if (!f->c->fn.counts)
		return;
	x_alumi(a, true, ALU_SUB, BASE_REG, CONTEXT(fuel), 1);
	uint8_t *from = x_jcc32(a, CC_S);
	fn_stub(f, kind, 0, from)->back = a->p;
	if (kind == FN_POLL && f->c->fn.exact &&
	    fn_room(f, &f->polled, f->npolled, &f->cap_polled, sizeof *f->polled))
		memcpy(f->polled[f->npolled++].seg, f->held, sizeof f->held);
}

/* Room on both stacks; a little is there for who calls nobody. */
static void room_check(struct jit_fn *f)
{
	struct jit_asm *a = &f->g->a;
	bool calls = f->calls[f->ngroups];
	if (calls) {
		x_alum(a, true, ALU_CMP, RSP, BASE_REG, CONTEXT(stack_limit));
		fn_stub(f, FN_TRAP, f->c->fn.trap_stack, x_jcc32(a, CC_B));
	}
	if (!calls && f->nslots <= JIT_FN_SPARE)
		return;
	x_lea(a, RAX, STATE_REG, slot_at(f->nslots));
	x_alum(a, true, ALU_CMP, RAX, BASE_REG, CONTEXT(slots_end));
	fn_stub(f, FN_TRAP, f->c->fn.trap_stack, x_jcc32(a, CC_A));
}

static void entry(struct jit_fn *f)
{
	struct jit_asm *a = &f->g->a;
	prologue(f);
	f->now = 0;
	room_check(f);
	count(f, FN_POLL_ENTRY);
	const struct fn_block *p = f->blocks;
	for (uint32_t n = 0; n < p->nins; n++) {
		uint32_t seg = p->ins_at + n, slot = f->segs[seg].slot;
		unsigned r = fn_web_of(f, seg)->reg;
		if (slot < f->nargs) {
			fn_web_move(f, seg, true);
		} else if (r == NOREG) {
			x_storei(a, true, 0, STATE_REG, slot_at(slot));
		} else if (r >= FN_INTS) {
			unsigned x = FN_XMM + r - FN_INTS;
			asm_vrr(a, 1, 0, false, 0x57, x, x, x);
		} else {
			asm_rr(a, false, 0x31, fn_int[r], fn_int[r]);
		}
	}
}

/* ---- control ---- */

static void aim(struct jit_fn *f, uint8_t *from, uint32_t group)
{
	const uint8_t *to = fn_block_at(f, group)->label;
	if (to && !f->g->a.full) {
		x_aim(from, to);
		return;
	}
	if (!fn_room(f, &f->waits, f->nwaits, &f->cap_waits, sizeof *f->waits))
		return;
	f->waits[f->nwaits++] = (struct fn_wait){from, group};
}

/* Jump to @group if @v is not 0 (or, @inverted, is). */
static void branch(struct jit_fn *f, uint32_t v, uint32_t group)
{
	struct jit_gen *g = f->g;
	struct jit_asm *a = &g->a;
	const struct ir_ins *i = &f->at[v];
	bool inverted = false;
	if (i->op == IR_eq && f->at[i->a].op == IR_fop) {
		inverted = true;
		i = &f->at[i->a];
	}
	if (i->op != IR_fop) {
		fn_ready(f);
		aim(f, x_jcc32(a, gen_cond(g, v)), group);
		return;
	}
	struct fn_cond c = fn_compare(f, i);
	if (!c.unordered) {
		aim(f, x_jcc32(a, c.cc ^ inverted), group);
	} else if ((c.cc == CC_NE) != inverted) { /* different, or not to be compared */
		aim(f, x_jcc32(a, CC_NE), group);
		aim(f, x_jcc32(a, CC_P), group);
	} else {
		uint8_t *no = x_jcc8(a, CC_P);
		aim(f, x_jcc32(a, CC_E), group);
		x_here8(a, no);
	}
}

static void table(struct jit_fn *f, const struct ir_ins *i)
{
	struct jit_asm *a = &f->g->a;
	fn_ready(f);
	unsigned r = gen_any(f->g, i->a);
	x_mov(a, false, RAX, r);
	x_movi(a, RCX, i->imm);
	x_alu(a, false, ALU_CMP, RAX, RCX);
	asm_rr(a, false, 0x0f40 | CC_A, RAX, RCX);
	/* the jumps that follow have five bytes each */
	asm_rmx(a, false, 0x8d, RAX, RAX, RAX, 2, 0);
	uint8_t *lea = x_lea_rip(a, RCX);
	x_alu(a, true, ALU_ADD, RCX, RAX);
	asm_rr(a, false, 0xff, 4, RCX);
	if (!a->full)
		x_aim(lea, a->p);
}

static void leave(struct jit_fn *f)
{
	epilogue(f);
	a8(&f->g->a, 0xc3);
}

static void ret(struct jit_fn *f, const struct ir_ins *i)
{
	struct jit_gen *g = f->g;
	const struct ir_ins *v = &f->at[i->a];
	if (fn_is_float(v->type)) {
		unsigned x = fn_xmm(f, i->a, 0);
		if (x)
			asm_vrr(&g->a, 1, 0, false, 0x28, 0, 0, x);
	} else if (v->op == IR_get) {
		struct fn_loc l = fn_loc(f, v);
		bool w = v->type != IR_I32;
		if (l.xmm)
			asm_vrr(&g->a, 1, 1, w, 0x7e, l.reg, 0, RAX);
		else if (l.reg == NOREG)
			x_load(&g->a, w, RAX, l.base, l.disp);
		else
			x_mov(&g->a, w, RAX, l.reg);
	} else {
		fn_ready(f);
		gen_into(g, i->a, RAX);
	}
	leave(f);
}

/* ---- calls ---- */

/* rax := the callee's record, of element rax of the table at @i->imm. */
static void callee_find(struct jit_fn *f, const struct ir_ins *i, struct ir_invoke v)
{
	struct jit_asm *a = &f->g->a;
	const struct jit_fn_owner *o = &f->c->fn;
	x_load(a, true, RDX, BASE_REG, CONTEXT(tables));
	x_alum(a, true, ALU_CMP, RAX, RDX, (int32_t)(i->imm + o->table_n));
	fn_stub(f, FN_TRAP, o->trap_undefined, x_jcc32(a, CC_AE));
	x_load(a, true, RDX, RDX, (int32_t)(i->imm + o->table_at));
	asm_rmx(a, true, 0x8b, RAX, RDX, RAX, 3, 0);
	x_test(a, true, RAX, RAX);
	fn_stub(f, FN_TRAP, o->trap_null, x_jcc32(a, CC_E));
	x_alumi(a, false, ALU_CMP, RAX, (int32_t)o->callee_type, (int32_t)v.type);
	fn_stub(f, FN_TRAP, o->trap_signature, x_jcc32(a, CC_NE));
}

static void help(struct jit_fn *f, const struct ir_ins *i, bool ends)
{
	struct jit_asm *a = &f->g->a;
	fn_catch_store(f);
	fn_lost_move(f, false);
	x_load(a, true, RDI, BASE_REG, CONTEXT(self));
	x_load(a, true, RSI, BASE_REG, CONTEXT(helps));
	if (i->imm)
		x_alui(a, true, ALU_ADD, RSI, (int32_t)i->imm);
	x_lea(a, RDX, STATE_REG, -BIAS);
	x_lea(a, RCX, RSP, -8);
	asm_rm(a, false, 0xff, 2, BASE_REG, CONTEXT(help));
	if (ends) {
		fn_stub(f, FN_TRAP_RAX, 0, x_jmp32(a));
		return;
	}
	x_test(a, true, RAX, RAX);
	fn_stub(f, FN_TRAP_RAX, 0, x_jcc32(a, CC_NE));
	fn_lost_move(f, true);
}

static void tail(struct jit_fn *f, struct ir_invoke v)
{
	struct jit_asm *a = &f->g->a;
	for (uint32_t n = 0; n < v.nargs; n++) {
		x_load(a, true, RCX, STATE_REG, slot_at(v.at + n));
		x_store(a, true, RCX, STATE_REG, slot_at(n));
	}
	epilogue(f);
	asm_rm(a, false, 0xff, 4, RAX, (int32_t)f->c->fn.callee_code);
}

/* The code of @callee, to be called by its distance; NULL: it has none yet. */
static const uint8_t *code_of(const struct jit_fn *f, uint64_t callee)
{
	if (callee == f->self)
		return f->g->a.start;
	const uint8_t *record = (const uint8_t *)f->c->fn.records + callee;
	const void *at = record + f->c->fn.callee_code;
	const uint8_t *code = __atomic_load_n((const uint8_t *const *)at, __ATOMIC_ACQUIRE);
	uint64_t off = (uint64_t)(code - f->c->x);
	return off >= f->c->first && off < f->c->used ? f->c->w + off : NULL;
}

static void invoke(struct jit_fn *f, const struct ir_ins *i)
{
	struct jit_asm *a = &f->g->a;
	struct ir_invoke v = ir_invoke_of(i);
	const uint8_t *code = NULL;
	bool indirect = v.kind == IR_INVOKE_INDIRECT || v.kind == IR_INVOKE_TAIL_INDIRECT;
	if (v.kind >= IR_INVOKE_HELPER) {
		help(f, i, v.kind == IR_INVOKE_THROW);
		return;
	}
	if (indirect) {
		fn_ready(f);
		unsigned r = gen_any(f->g, i->a);
		x_mov(a, false, RAX, r);
		callee_find(f, i, v);
	} else {
		code = v.kind == IR_INVOKE_DIRECT ? code_of(f, i->imm) : NULL;
		if (!code)
			x_load(a, true, RAX, BASE_REG, CONTEXT(records));
		if (!code && i->imm)
			x_alui(a, true, ALU_ADD, RAX, (int32_t)i->imm);
	}
	if (v.kind >= IR_INVOKE_TAIL) {
		tail(f, v);
		return;
	}
	fn_catch_store(f);
	fn_lost_move(f, false);
	if (v.at)
		x_lea(a, STATE_REG, STATE_REG, 8 * v.at);
	if (code)
		x_call_to(a, code);
	else
		asm_rm(a, false, 0xff, 2, RAX, (int32_t)f->c->fn.callee_code);
	if (v.at)
		x_lea(a, STATE_REG, STATE_REG, -8 * (int32_t)v.at);
	fn_lost_move(f, true);
}

/* ---- groups ---- */

static void guard(struct jit_fn *f, const struct ir_ins *i)
{
	struct jit_gen *g = f->g;
	int64_t k;
	if (gen_is_const(g, i->a, &k)) {
		if (!k)
			fn_stub(f, FN_TRAP, (unsigned)i->imm, x_jmp32(&g->a));
		return;
	}
	fn_ready(f);
	fn_stub(f, FN_TRAP, (unsigned)i->imm, x_jcc32(&g->a, gen_cond(g, i->a) ^ 1));
}

static void put(struct jit_fn *f, uint32_t n)
{
	if (fn_put_special(f, n))
		return;
	fn_ready(f);
	gen_put(f->g, n);
}

static void effect(struct jit_fn *f, uint32_t n)
{
	struct jit_gen *g = f->g;
	const struct ir_ins *i = &f->at[n];
	switch ((int)i->op) {
	case IR_put: put(f, n); break;
	case IR_store: fn_store(f, n); break;
	case IR_amo:
		fn_ready(f);
		if (!g->uses[n])
			fn_atomic(f, i, NULL);
		break;
	case IR_guard: guard(f, i); break;
	case IR_invoke: invoke(f, i); break;
	case IR_br:
		if (i->imm <= f->now)
			count(f, FN_POLL);
		branch(f, i->a, (uint32_t)i->imm);
		break;
	case IR_jump:
		if (i->imm <= f->now && !f->entries)
			count(f, FN_POLL);
		f->entries -= f->entries != 0;
		aim(f, x_jmp32(&g->a), (uint32_t)i->imm);
		break;
	case IR_table:
		count(f, FN_POLL);
		table(f, i);
		f->entries = (uint32_t)i->imm + 1;
		break;
	case IR_ret: ret(f, i); break;
	case IR_end: leave(f); break;
	default: break;
	}
}

void fn_ready(struct jit_fn *f)
{
	if (f->ready)
		return;
	const struct fn_group *p = &f->groups[f->now];
	gen_prepare(f->g, f->at, p[1].ins - p->ins);
	f->ready = true;
}

static COLD void line_note_long(struct jit_fn *f, uint32_t bytes)
{
	for (; fn_room(f, &f->lines, f->nlines, &f->cap_lines, 1) && !f->bad; bytes -= 254) {
		f->lines[f->nlines++] = (uint8_t)(bytes > 254 ? 255 : bytes);
		if (bytes <= 254)
			return;
	}
}

static void line_note(struct jit_fn *f, uint32_t bytes)
{
	if (likely(bytes <= 254 && f->nlines < f->cap_lines))
		f->lines[f->nlines++] = (uint8_t)bytes;
	else
		line_note_long(f, bytes);
}

static void group_make(struct jit_fn *f, uint32_t group)
{
	struct jit_gen *g = f->g;
	uint8_t *begin = g->a.p;
	uint32_t first = f->groups[group].ins, end = f->groups[group + 1].use;
	f->now = group;
	f->ready = false;
	f->at = &f->ins[first];
	g->ins = f->at;
	for (uint32_t n = f->groups[group].use; n < end; n++) {
		const struct fn_use *u = &f->uses[n];
		struct ir_ins *i = &f->ins[u->ins];
		unsigned r = NOREG;
		if (u->op == IR_get || u->op == IR_put)
			r = fn_web_of(f, i->d)->reg;
		if (r < FN_INTS) /* for gen.c */
			i->imm = FN_HOMES + 8ull * r;
		if (u->op != IR_get)
			effect(f, u->ins - first);
		if (u->op == IR_put)
			held_note(f, i->d);
	}
	line_note(f, (uint32_t)(g->a.p - begin));
}

static void block_make(struct jit_fn *f, struct fn_block *p)
{
	const struct jit_gen *g = f->g;
	p->label = g->a.p;
	held_forget(f);
	for (uint32_t n = 0; n < p->nins; n++)
		held_note(f, p->ins_at + n);
	for (uint32_t k = p->first; k < p->end; k++)
		group_make(f, k);
}

/* ---- behind ---- */

/* All that group @group reads, or others after it, goes to its slot. */
static void polled_store(struct jit_fn *f, const struct fn_held *h, uint32_t group)
{
	for (unsigned r = 0; r < FN_REGS; r++)
		if (h->seg[r] != FN_NONE && f->segs[h->seg[r]].from <= 2 * group &&
		    f->segs[h->seg[r]].to > 2 * group)
			fn_web_move(f, h->seg[r], false);
}

static void stubs_write(struct jit_fn *f)
{
	struct jit_asm *a = &f->g->a;
	uint32_t npolled = 0;
	for (uint32_t n = 0; n < f->nstubs && !a->full && !f->bad; n++) {
		const struct fn_stub *s = &f->stubs[n];
		x_aim(s->from, a->p);
		if (s->kind == FN_POLL && f->c->fn.exact)
			polled_store(f, &f->polled[npolled++], s->group);
		x_movi(a, RCX, s->kind == FN_POLL_ENTRY ? UINT64_MAX : s->group);
		if (s->kind == FN_POLL || s->kind == FN_POLL_ENTRY) {
			x_call_to(a, f->c->w + f->c->ft.poll);
			x_jmp_to(a, s->back);
			continue;
		}
		if (s->kind == FN_TRAP)
			x_movi(a, RAX, s->trap);
		x_call_to(a, f->c->w + f->c->ft.trap);
	}
}

/* Behind the code; one that was used shortly before is there already. */
static void consts_write(struct jit_fn *f)
{
	struct jit_asm *a = &f->g->a;
	uint8_t *made[16] = {NULL};
	while (f->nconsts && (a->p - f->c->w) % 16 && !a->full)
		a8(a, 0xcc);
	for (uint32_t n = 0; n < f->nconsts && !a->full; n++) {
		const struct fn_const *c = &f->consts[n];
		uint8_t *at = NULL;
		for (uint32_t k = n; k-- > 0 && n - k <= countof(made) && !at;)
			if (f->consts[k].lo == c->lo && f->consts[k].hi == c->hi)
				at = made[k % countof(made)];
		if (!at) {
			at = a->p;
			a64(a, c->lo);
			a64(a, c->hi);
		}
		made[n % countof(made)] = at;
		if (!a->full)
			x_aim(c->from, at);
	}
}

/* Is the group where some jump goes back to? */
static bool doors_find(const struct jit_fn *f, struct jit_fn_code *ret)
{
	uint32_t cap = 0;
	for (uint32_t n = 0; n < f->nends; n++) {
		const uint32_t k = f->ends[n];
		const struct fn_group *g = &f->groups[k];
		if (g->end != FN_BRANCHES && g->end != FN_JUMPS)
			continue;
		const struct ir_ins *i = &f->ins[g[1].ins - 1];
		if (i->imm > k)
			continue;
		bool known = false;
		for (uint32_t d = 0; d < ret->ndoors && !known; d++)
			known = ret->doors[d].group == i->imm;
		if (known || ret->ndoors == 64)
			continue;
		if (ret->ndoors == cap) {
			cap = cap ? 2 * cap : 4;
			struct jit_fn_door *p = realloc(ret->doors, cap * sizeof *p);
			if (!p)
				return false;
			ret->doors = p;
		}
		ret->doors[ret->ndoors++].group = (uint32_t)i->imm;
	}
	return true;
}

static void doors_write(struct jit_fn *f, struct jit_fn_code *ret)
{
	struct jit_asm *a = &f->g->a;
	for (uint32_t d = 0; d < ret->ndoors && !a->full; d++) {
		const struct fn_block *p = fn_block_at(f, ret->doors[d].group);
		ret->doors[d].code = asm_off(a);
		prologue(f);
		for (uint32_t n = 0; n < p->nins; n++)
			fn_web_move(f, p->ins_at + n, true);
		x_jmp_to(a, p->label);
	}
}

/* ---- the door ---- */

static void gen_begin(struct jit_fn *f)
{
	struct jit_gen *g = f->g;
	struct jit_cache *c = f->c;
	uint8_t *start = c->w + align_up(c->used, 16);
	g->a = asm_at(start, c->w + c->split);
	g->a.full = start >= g->a.end;
	g->cannot = false;
	g->homes = FN_HOMES;
	memset(g->home, -1, sizeof g->home);
	for (unsigned r = 0; r < FN_INTS; r++)
		g->home[r] = (int8_t)fn_int[r];
}

static int code_make(struct jit_fn *f, struct jit_fn_code *ret)
{
	struct jit_gen *g = f->g;
	if (!doors_find(f, ret) || !fn_pads_find(f, ret))
		return -ENOMEM;
	gen_begin(f);
	held_forget(f);
	entry(f);
	ret->first = asm_off(&g->a);
	for (uint32_t b = 0; b < f->nblocks && !g->a.full && !g->cannot && !f->bad; b++)
		block_make(f, &f->blocks[b]);
	stubs_write(f);
	doors_write(f, ret);
	fn_pads_write(f, ret);
	consts_write(f);
	if (f->bad)
		return -ENOMEM;
	if (g->cannot || g->a.full)
		return g->a.full ? -ENOSPC : -ENOTSUP;
	for (uint32_t n = 0; n < f->nwaits; n++)
		x_aim(f->waits[n].from, fn_block_at(f, f->waits[n].group)->label);
	ret->code = (uint32_t)(g->a.start - f->c->w);
	ret->len = asm_off(&g->a);
	ret->frame = f->frame;
	ret->nlines = f->nlines;
	if (!(ret->lines = malloc(f->nlines + 1)))
		return -ENOMEM;
	memcpy(ret->lines, f->lines, f->nlines);
	f->c->used = (uint64_t)(g->a.p - f->c->w);
	return 0;
}

int jit_fn_end(struct jit_fn *f, struct jit_cache *c, struct jit_gen *g, struct jit_fn_code *ret)
{
	struct jit_fn_code k = {0};
	f->c = c;
	f->g = g;
	if (f->bad)
		return -ENOMEM;
	if (!f->ngroups || f->ngroups > GROUPS_MAX)
		return -ENOTSUP;
	int r = fn_live(f) && fn_map(f) ? code_make(f, &k) : f->bad ? -ENOMEM : -ENOTSUP;
	live_free(f);
	if (r < 0) {
		jit_fn_code_fini(&k);
		return r;
	}
	*ret = k;
	return 0;
}

void jit_fn_code_fini(struct jit_fn_code *k)
{
	free(k->lines);
	free(k->doors);
	free(k->pads);
	k->lines = NULL;
	k->doors = k->pads = NULL;
}

uint32_t jit_fn_group(const struct jit_fn_code *k, uint32_t off)
{
	uint32_t at = k->first, group = 0;
	for (uint32_t n = 0; n < k->nlines; n++) {
		unsigned v = k->lines[n];
		at += v == 255 ? 254 : v;
		if (off < at)
			return group;
		group += v != 255;
	}
	return 0;
}
