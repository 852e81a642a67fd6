/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges: which guest code becomes a unit, and what the generator is told of it. */
#include "engine/translate/internal.h"
#include "rv_exec.gen.h"

enum shape { SHAPE_PLAIN, SHAPE_BRANCH, SHAPE_JUMP, SHAPE_JUMPR, SHAPE_END, SHAPE_ENDNPC };
static const uint8_t shapes[RV_OPS] = {
#define ROW(op, shape, same) SHAPE_##shape,
	RV_EACH_SHAPE(ROW)
#undef ROW
};

/* ---- what belongs to the unit ---- */

static void target_note(struct range *r, unsigned from, int64_t to)
{
	if (to < 0 || to >= 2 * 2 * JIT_UNIT_INSNS)
		return;
	r->target[to / 2] = true;
	if (to <= (int64_t)from)
		r->back[to / 2] = true;
	else if ((unsigned)to > r->far)
		r->far = (unsigned)to;
}

static bool is_call(const struct rv_insn *d)
{
	return d->rd == 1;
}

/* Does control reach what stands behind @d? Its targets are noted. */
static bool falls_through(struct range *r, const struct rv_insn *d, unsigned off)
{
	switch ((int)shapes[d->op]) {
	case SHAPE_BRANCH: target_note(r, off, (int64_t)off + d->imm); return true;
	case SHAPE_JUMP:
		if (is_call(d))
			return true;
		target_note(r, off, (int64_t)off + d->imm);
		return false;
	case SHAPE_JUMPR: return is_call(d);
	case SHAPE_END: return d->op >= RV_OP_csrrw && d->op <= RV_OP_csrrci;
	case SHAPE_ENDNPC: return false;
	default: return d->op != RV_OP_ebreak;
	}
}

static bool is_indirect(const struct rv_insn *d)
{
	return shapes[d->op] == SHAPE_JUMPR && d->rd == 32 && !(d->rs1 == 1 && d->imm == 0);
}

/* An indirect jump at @off: what stands behind it is reached by it. What stands before it, and all
 * where several jumps may go round by each other, looks at the limit. */
static void seeds_sow(struct range *r, unsigned off, const bool *seeds)
{
	r->indirect++;
	for (unsigned i = 0; i < countof(r->target); i++)
		if (seeds[i]) {
			r->target[i] = true;
			r->back[i] |= r->indirect > 1 || 2 * i <= off;
			if (2 * i > r->far)
				r->far = 2 * i;
		}
}

static unsigned next_target(const struct range *r, unsigned off)
{
	while (off < r->far && !r->target[off / 2])
		off += 2;
	return off;
}

void range_scan(struct range *r, unsigned room, uint64_t pa, const bool *seeds)
{
	unsigned off = 0;
	r->pa = pa;
	r->n = r->far = r->indirect = 0;
	memset(r->start, 0, sizeof r->start);
	memset(r->target, 0, sizeof r->target);
	memset(r->back, 0, sizeof r->back);
	for (bool reached = true; r->n < UNIT_INSNS && off + 2 <= room;) {
		if (!reached && r->indirect)
			off = next_target(r, off);
		if (off + 2 > room || (!reached && !(r->far >= off && r->target[off / 2])))
			break;
		bool is_long = (r->code[off] & 3) == 3;
		struct rv_insn *d = &r->insn[r->n];
		if ((is_long && off + 4 > room) ||
		    !rv_decode(is_long ? le32_at(r->code + off) : le16_at(r->code + off), d))
			break;
		r->start[off / 2] = true;
		r->off[r->n++] = (uint16_t)off;
		reached = falls_through(r, d, off);
		if (seeds && is_indirect(d))
			seeds_sow(r, off, seeds);
		off += d->len;
	}
	r->bytes = off;
}

/* ---- translating ---- */

static enum jit_after after_of(const struct rv_insn *d)
{
	if (d->op == RV_OP_ecall)
		return JIT_AFTER_RETURN;
	if (shapes[d->op] == SHAPE_ENDNPC)
		return JIT_AFTER_JUMP;
	bool csr = d->op >= RV_OP_csrrw && d->op <= RV_OP_csrrci;
	return csr && (d->imm & 0xfff) != 0x180 ? JIT_AFTER_GO_ON : JIT_AFTER_LEAVE;
}

static bool insn_is_call(const struct range *r, unsigned n)
{
	const struct rv_insn *d = &r->insn[n];
	return (shapes[d->op] == SHAPE_JUMP || shapes[d->op] == SHAPE_JUMPR) && is_call(d);
}

/* Every way round comes by a look at the limit: where units may be entered, and at heads of loops.
 */
bool range_checks(const struct range *r, unsigned n)
{
	unsigned at = r->off[n] / 2u;
	return n == 0 || shapes[r->insn[n - 1].op] == SHAPE_END || insn_is_call(r, n - 1) ||
	       (r->leader[at] && r->back[at]);
}

static struct jit_insn insn_info(const struct range *r, unsigned n)
{
	const struct rv_insn *d = &r->insn[n];
	unsigned at = r->off[n] / 2u;
	return (struct jit_insn){ .pa = r->pa + r->off[n], .len = d->len,
		.call = insn_is_call(r, n),
		.ret = shapes[d->op] == SHAPE_JUMPR && d->rd == 32 && d->rs1 == 1 && d->imm == 0,
		.label = r->leader[at], .check = range_checks(r, n),
		.resume = n > 0 && insn_is_call(r, n - 1) && !r->target[at],
		.after = after_of(d) };
}

/* auipc and jalr over the same register are a jump to a known place: jump there. */
static void jump_resolve(const struct range *r, unsigned n, struct ir_block *ir)
{
	const struct rv_insn *d = &r->insn[n], *before = d - 1;
	if (n == 0 || d->op != RV_OP_jalr || before->op != RV_OP_auipc || before->rd != d->rs1 ||
	    r->leader[r->off[n] / 2] || ir->ins[ir->n - 1].op != IR_jumpr)
		return;
	struct ir_ins *last = &ir->ins[ir->n - 1];
	uint64_t to = r->pa + r->off[n - 1] + (uint64_t)(int64_t)before->imm +
	              (uint64_t)(int64_t)d->imm;
	*last = (struct ir_ins){ .op = IR_jump, .imm = to & ~1ull };
}

void range_vectors(struct range *r, const struct rv_hart *h)
{
	r->vlenb = h->vlenb;
	r->vtype = h->vkey ? (uint16_t)(0x8000 | (h->vkey & 0xff)) : 0;
}

/* The vector type behind @d, @vtype before it, as rv_insn.vtype: 0 also where it is known that
 * there are fewer elements than there may be. */
static uint16_t insn_sets_vtype(const struct range *r, const struct rv_insn *d, uint16_t vtype)
{
	unsigned type = d->word >> 20 & (d->op == RV_OP_vsetivli ? 0x3ff : 0x7ff);
	if (d->op == RV_OP_vsetvl)
		return 0;
	if (d->op != RV_OP_vsetvli && d->op != RV_OP_vsetivli)
		return vtype;
	unsigned one = r->vlenb >> (type >> 3 & 7), lmul = type & 7;
	unsigned most = lmul < 4 ? one << lmul : one >> (8 - lmul);
	if (type >> 8 || (d->op == RV_OP_vsetivli && d->rs1 < most))
		return 0;
	return (uint16_t)(0x8000 | type);
}

/* Is the value that instruction @i of @n makes for the next one alone, as @ir says? Then @next is
 * what that one does. */
static bool insn_joins(const struct range *r, unsigned i, unsigned n, const struct ir_block *ir,
                       struct ir_block *next, uint64_t delta)
{
	const struct rv_insn *d = &r->insn[i], *e = d + 1;
	if (i + 1 >= n || d->rd != e->rd || d->rd >= 32 || (e->rs1 != d->rd && e->rs2 != d->rd) ||
	    shapes[d->op] != SHAPE_PLAIN || shapes[e->op] != SHAPE_PLAIN ||
	    r->leader[r->off[i + 1] / 2])
		return false;
	rv_lift(next, e, r->pa + r->off[i + 1], delta);
	return ir_follows(ir, next);
}

/* A range that is given to the generator, or planned. */
struct generating {
	struct jit_gen *g;
	struct range *r;
	unsigned n;             /* its instructions */
	bool plan;
	uint64_t delta;
	unsigned joined, extra; /* instructions in @ir; those that come once more */
	struct ir_block ir, next;
	struct jit_insn info;   /* the generator looks at the last one until it is done */
};

/* False: the generator cannot do it. */
static bool insn_generate(struct generating *k, unsigned i)
{
	const struct ir_block nothing = { .ins = k->ir.ins };
	enum { JOINED_MOST = 4 };
	struct range *r = k->r;
	if (k->joined)
		ir_follow(&k->ir, &k->next);
	else
		rv_lift(&k->ir, &r->insn[i], k->info.pa, k->delta);
	jump_resolve(r, i, &k->ir);
	bool joins = k->joined < JOINED_MOST &&
	             insn_joins(r, i, k->n, &k->ir, &k->next, k->delta);
	k->joined = joins ? k->joined + 1 : 0;
	const struct ir_block *ir = joins ? &nothing : &k->ir;
	if (!k->plan)
		return jit_insn(k->g, &k->info, ir);
	jit_plan_insn(k->g, &k->info, ir);
	return true;
}

/* Loops over few bytes of vectors are made several rounds long: there is one look at the limit
 * then, and at the vector type. How often does the body that ends in branch @i come? Its start:
 * @ret. */
static unsigned rounds_of(const struct range *r, unsigned i, unsigned extra, unsigned *ret)
{
	enum { BYTES_MOST = 64, LONGEST = 16, EXTRA_MOST = 48, ROUNDS = 4 };
	const struct rv_insn *d = &r->insn[i];
	unsigned lmul = d->vtype & 7, k = i;
	bool vectors = false;
	if (!d->vtype || shapes[d->op] != SHAPE_BRANCH || d->imm >= 0 ||
	    (lmul < 4 && r->vlenb << lmul > BYTES_MOST))
		return 1;
	while (k && i - k < LONGEST && r->off[k] > r->off[i] + d->imm) {
		k--;
		vectors |= (r->insn[k].word & 0x7f) == 0x57; /* OP-V */
		if (shapes[r->insn[k].op] != SHAPE_PLAIN ||
		    (r->target[r->off[k] / 2] && r->off[k] != r->off[i] + d->imm))
			return 1;
	}
	*ret = k;
	unsigned len = i - k + 1;
	if (!vectors || r->off[k] != r->off[i] + d->imm)
		return 1;
	if (extra + (ROUNDS - 1) * len <= EXTRA_MOST)
		return ROUNDS;
	return extra + len <= EXTRA_MOST ? 2 : 1;
}

static bool rounds_generate(struct generating *k, unsigned i)
{
	unsigned from = 0, rounds = rounds_of(k->r, i, k->extra, &from);
	if (k->plan || !jit_is_own(k->g))
		rounds = 1;
	k->info.rounds = rounds > 1;
	if (!insn_generate(k, i))
		return false;
	for (unsigned n = 1; n < rounds; n++) {
		for (unsigned j = from; j <= i; j++) {
			k->info = insn_info(k->r, j);
			k->info.label = k->info.check = false;
			k->info.rounds = j == i && n + 1 < rounds;
			if (!insn_generate(k, j))
				return false;
		}
	}
	k->extra += (rounds - 1) * (i - from + 1);
	return true;
}

static void leaders_find(struct range *r, unsigned n, unsigned end)
{
	bool *leader = r->leader;
	unsigned from;
	for (unsigned i = 0; i < countof(r->leader); i++)
		leader[i] = r->start[i] && r->target[i] && 2 * i < end;
	leader[0] = true;
	/* calls may come back by the virtual address: let them come back into the unit */
	for (unsigned i = 1; i < n; i++)
		if (insn_is_call(r, i - 1) || rounds_of(r, i - 1, 0, &from) > 1)
			leader[r->off[i] / 2] = true;
}

static void vtypes_find(struct range *r, unsigned n)
{
	uint16_t vtype = r->vtype;
	for (unsigned i = 0; i < n; i++) {
		r->insn[i].vtype = vtype;
		vtype = insn_sets_vtype(r, &r->insn[i], vtype);
	}
}

unsigned range_generate(struct jit_gen *g, struct range *r, unsigned n, unsigned reach, bool plan)
{
	struct ir_ins room[2][IR_BLOCK_MAX];
	struct generating k = {
		.g = g, .r = r, .n = n, .plan = plan,
		.ir = { .ins = room[0], .max = IR_BLOCK_MAX },
		.next = { .ins = room[1], .max = IR_BLOCK_MAX },
	};
	unsigned end = n < r->n ? r->off[n] : r->bytes;
	if (!jit_is_flat(g))
		k.delta = offsetof(struct rv_hart, engine_run) + offsetof(struct jit_run, delta);
	vtypes_find(r, n);
	leaders_find(r, n, end);
	if (plan)
		jit_plan_begin(g, r->pa, r->pa + end, r->indirect > 0);
	else
		jit_begin(g, r->pa, r->pa + end, r->leader, reach & ~(unsigned)UNIT_MIRRORED);
	if (!plan && reach & UNIT_MIRRORED)
		jit_mirrored(g);
	for (unsigned i = 0; i < n; i++) {
		k.info = insn_info(r, i);
		if (!rounds_generate(&k, i))
			return i;
	}
	if (!plan)
		jit_goes_on(g, r->pa + end);
	return n;
}
