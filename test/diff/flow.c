/* SPDX-License-Identifier: Apache-2.0 */
/* diff: units that jump, and bodies, functions and programs made of units. */
#include "test/diff/asm.h"
#include "test/diff/make.h"

static void put_at(struct making *k, uint64_t at, uint32_t word)
{
	uint64_t end = k->at;
	k->at = at;
	put(k, word);
	k->at = end;
}

static void put_pointer(struct making *k)
{
	struct rng *r = &k->rng;
	uint64_t from = k->at;
	unsigned to = rng_below(r, 8);
	if (to == 0)
		put(k, ld(S0, GP, 8 * (int)rng_below(r, STACKS)));
	else if (to == 1 && !k->in_function)
		put(k, ld(SP, GP, 8 * (int)(STACKS + rng_below(r, BAD - STACKS))));
	else
		put(k, ld(S1, GP, 8 * (int)rng_below(r, TARGETS)));
	unit_end(k, from, true);
}

/* A branch over some units; short ones with short words, too. */
static void put_if(struct making *k, unsigned units)
{
	static const uint8_t kinds[] = {0, 1, 4, 5, 6, 7};
	struct rng *r = &k->rng;
	uint64_t from = k->at;
	bool narrow = rng_below(r, 3) == 0;
	unsigned a = narrow ? S0 + rng_below(r, 8) : reg_any(k), b = reg_any(k);
	unsigned kind = kinds[rng_below(r, countof(kinds))];
	put(k, narrow ? NOP2 : NOP4);
	unit_end(k, from, true);
	unsigned at = k->p->units - 1;
	body_make(k, units);
	bool both = rng_below(r, 3) == 0;
	uint64_t jump = k->at;
	if (both) {
		put(k, NOP4);
		unit_end(k, jump, true);
	}
	int64_t off = (int64_t)(k->at - from);
	if (off < (narrow ? 250 : 4090))
		put_at(k, from, narrow ? c_branch(kind & 1, a, off) : branch(kind, a, b, off));
	else
		k->p->unit[at].removable = false;
	if (both) {
		body_make(k, 1 + units / 2);
		put_at(k, jump, jal(ZERO, (int64_t)(k->at - jump)));
	}
}

/* Back to @to when @kind holds for @a and @b; needs fuel. */
static void put_back(struct making *k, uint64_t to, unsigned kind, unsigned a, unsigned b)
{
	put_fuel(k);
	uint64_t from = k->at;
	int64_t off = (int64_t)(to - k->at);
	if (off > -4090) {
		put(k, branch(kind, a, b, off));
	} else {
		put(k, branch(kind ^ 1, a, b, 8));
		put(k, jal(ZERO, off - 4));
	}
	unit_end(k, from, true);
}

/* Some rounds of a body; it may be left at its end, or from its middle. */
static void put_loop(struct making *k, unsigned units)
{
	static const uint8_t kinds[] = {0, 1, 4, 5, 6, 7};
	struct rng *r = &k->rng;
	unsigned c = k->in_function ? S4 : S2 + k->depth;
	uint64_t from = k->at;
	if (k->depth >= (k->in_function ? 1 : 2)) {
		body_make(k, units);
		return;
	}
	bool hot = k->p->kind & WITH_HOT_LOOPS && !k->depth && rng_below(r, 2);
	put_li(k, c, (int)(1 + rng_below(r, hot ? 600 : 7)));
	unit_end(k, from, true);
	from = k->at;
	k->depth++;
	body_make(k, units);
	uint64_t leave = rng_below(r, 2) ? k->at : 0;
	if (leave) {
		put(k, NOP4);
		unit_end(k, leave, true);
		body_make(k, 1 + units / 2);
	}
	k->depth--;
	uint64_t step = k->at;
	put(k, addi(c, c, -1));
	unit_end(k, step, true);
	put_back(k, from, 4, ZERO, c);
	if (leave && k->at - leave < 4090)
		put_at(k, leave,
		       branch(kinds[rng_below(r, countof(kinds))], reg_any(k), reg_any(k),
			      (int64_t)(k->at - leave)));
}

/* A call of a function made before, or of any by the table. A function that cannot return, because
 * its link was overwritten, comes back here by s10: only the outermost level sets that. What
 * follows it may be skipped by functions that return one instruction later. */
static void put_call(struct making *k)
{
	struct rng *r = &k->rng;
	uint64_t from = k->at;
	unsigned t = reg_free(k);
	bool table = !k->funcs || rng_below(r, 2);
	if (rng_below(r, 3) == 0)
		put_li(k, S5, (int)rng_below(r, 12));
	uint64_t at = k->at;
	if (!k->in_function) {
		put(k, NOP4);
		put(k, NOP4);
	}
	uint64_t to = table ? 0 : k->func[rng_below(r, k->funcs)];
	if (table) {
		/* only the first half is sure not to call back */
		unsigned n = (unsigned)(PATCHED - FUNCS) / (k->in_function ? 2 : 1);
		put(k, ld(t, GP, 8 * (int)(FUNCS + rng_below(r, n))));
		put(k, rng_below(r, 2) ? jalr(RA, t, 0) : 0x9002 | t << 7); /* c.jalr */
	} else if (rng_below(r, 3)) {
		put(k, jal(RA, (int64_t)(to - k->at)));
	} else {
		int32_t off = (int32_t)(to - k->at), low = (int32_t)((uint32_t)off << 20) >> 20;
		put(k, auipc(RA, ((uint32_t)off - (uint32_t)low) >> 12));
		put(k, jalr(RA, RA, low));
	}
	if (!k->in_function) {
		put_at(k, at, auipc(S10, 0));
		put_at(k, at + 4, addi(S10, S10, (int)(k->at - at)));
	}
	unit_end(k, from, true);
	from = k->at;
	put(k, addi(reg_free(k), reg_any(k), (int)rng_below(r, 2048) - 1024));
	unit_end(k, from, true);
}

static void put_cases(struct making *k)
{
	unsigned t = reg_free(k), u;
	uint64_t from = k->at;
	do
		u = reg_free(k);
	while (u == t);
	put(k, andi(t, reg_any(k), 3));
	put(k, slli(t, t, 3));
	put(k, auipc(u, 0));
	put(k, add(u, u, t));
	put(k, jalr(ZERO, u, 12));
	for (int i = 0; i < 4; i++) {
		put(k, addi(reg_free(k), reg_any(k), (int)rng_below(&k->rng, 100)));
		put(k, jal(ZERO, 4 + 8 * (3 - i)));
	}
	unit_end(k, from, true);
}

/* On to the end of a page: what comes lies across two. */
static void put_hop(struct making *k)
{
	uint64_t from = k->at, to = align_up(k->at + 64, 4096) - rng_below(&k->rng, 9) * 2;
	if (to + 3 * 4096 > CODE + CODE_SIZE || (k->at & 0xfff) < 2048)
		return;
	put(k, jal(ZERO, (int64_t)(to - from)));
	unit_end(k, from, false);
	k->at = to;
}

/* Two instructions in the same bytes: a short one is the second half of lui. */
static void put_overlap(struct making *k)
{
	uint64_t from = k->at;
	uint32_t c = 0x0001u | reg_free(k) << 7 | (1 + rng_below(&k->rng, 31)) << 2;
	put(k, branch(rng_below(&k->rng, 2), reg_any(k), reg_any(k), 6));
	put(k, c << 16 | rng_below(&k->rng, 16) << 12 | reg_free(k) << 7 | 0x37);
	unit_end(k, from, true);
}

/* An instruction that patches replace. */
static void put_slot(struct making *k)
{
	bool alias = k->p->mode && rng_below(&k->rng, 3);
	uint64_t from = k->at;
	if (k->slots == SPACE - PATCHED || k->at - CODE >= CODE_SIZE)
		return;
	entry_put(k->p, PATCHED + k->slots, alias ? k->at - CODE + CODE_ALIAS : k->at, true);
	k->slot[k->slots++] = k->at;
	put(k, addi(reg_free(k), reg_any(k), (int)rng_below(&k->rng, 4096) - 2048));
	unit_end(k, from, true);
}

void body_make(struct making *k, unsigned units)
{
	while (units) {
		unsigned what = rng_below(&k->rng, 100), sub = 1 + rng_below(&k->rng, 8);
		sub = sub > units ? units : sub;
		bool nests = (what >= 83 && what < 92) && k->loops;
		if (k->at > CODE + CODE_SIZE - 4 * 4096 && k->at < CODE + CODE_SIZE)
			return;
		if (what < 30 && what % 2 && k->p->kind & WITH_VECTORS)
			put_vector(k);
		else if (what < 30)
			put_one(k, &k->plain);
		else if (what < 42)
			put_one(k, k->p->kind & WITH_FP ? &k->fp : &k->plain);
		else if (what < 62)
			put_memory(k);
		else if (what < 66)
			put_atomic(k);
		else if (what < 71)
			put_pointer(k);
		else if (what < 77)
			put_system(k);
		else if (what < 79)
			put_fault(k);
		else if (what < 80)
			put_slot(k);
		else if (what < 82)
			put_patch(k);
		else if (what < 83)
			put_overlap(k);
		else if (what < 92 && nests) {
			k->loops--;
			if (what < 88)
				put_if(k, sub);
			else
				put_loop(k, sub);
			k->loops++;
		} else if (what < 96)
			put_call(k);
		else if (what < 97)
			put_cases(k);
		else if (what < 98 && !k->depth && !k->in_function)
			put_hop(k);
		else if (!k->depth && !k->in_function && k->loops == 3)
			put_switch(k);
		units -= nests ? sub : 1;
	}
}

/* ---- functions ---- */

static void put_return(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned odd = rng_below(r, 24);
	if (odd < 2) /* one instruction later */
		put(k, addi(RA, RA, 4));
	else if (odd == 2) /* to where nobody called from */
		put(k, ld(RA, GP, 8 * (int)(TARGETS + rng_below(r, SLOTS - TARGETS))));
	if (k->funcs && rng_below(r, 8) == 0)
		put(k, jal(ZERO, (int64_t)(k->func[rng_below(r, k->funcs)] - k->at)));
	else
		put(k, rng_below(r, 2) ? 0x8082 : jalr(ZERO, RA, 0));
}

/* Functions that are left by another way than their end leave their frame behind. Where too many
 * have, the stack begins anew: code lies below it, and what writes there has to say so. */
static void put_frame(struct making *k)
{
	const int stack = 8 * (int)(STACKS + rng_below(&k->rng, BAD - STACKS));
	put(k, ld(T0, GP, 8 * (int)STACKS));
	put(k, lui(T1, -(STACK_MAX >> 12) & 0xfffff));
	put(k, add(T0, T0, T1));
	put(k, branch(7, SP, T0, 8)); /* bgeu */
	put(k, ld(SP, GP, stack));
	put(k, addi(SP, SP, -FRAME));
	put(k, store(3, RA, SP, FRAME - 8));
}

static void function_make(struct making *k, unsigned units)
{
	struct rng *r = &k->rng;
	uint64_t start = k->at, from;
	bool leaf = rng_below(r, 3) == 0;
	k->in_function = true;
	k->loops = leaf ? 0 : 1;
	put_fuel(k);
	if (!leaf) {
		from = k->at;
		put_frame(k);
		unit_end(k, from, false);
	}
	body_make(k, leaf ? 1 + units / 4 : units);
	if (!leaf && rng_below(r, 3) == 0) {
		from = k->at;
		put(k, addi(S5, S5, -1));
		put(k, branch(4, S5, ZERO, 8));
		put(k, jal(RA, (int64_t)(start - k->at)));
		put(k, addi(A0, A0, 1));
		unit_end(k, from, true);
	}
	put_fuel(k);
	from = k->at;
	if (!leaf) {
		put(k, ld(RA, SP, FRAME - 8));
		put(k, addi(SP, SP, FRAME));
	}
	put_return(k);
	unit_end(k, from, false);
	k->func[k->funcs++] = start;
	k->in_function = false;
}

/* The functions of FUNC: at the same addresses, others in each space. Some lie across its pages,
 * the last one hangs over its end. */
static void spaces_fill(struct making *k)
{
	static const uint16_t ends[] = {0x1000 - 2,  0x1000 - 4, 0x1000 - 6,
					0x1000 - 10, 0x2000 - 6, 0x2000 - 10};
	struct rng *r = &k->rng;
	for (unsigned s = 0; s < 2; s++) {
		uint64_t base = s ? FUNC_B : FUNC;
		unsigned which = 0;
		for (unsigned off = 0; off < 0xe00; off += 0x80) {
			k->at = base + off;
			for (unsigned n = 1 + rng_below(r, 3); n; n--)
				put_one(k, &k->plain);
			put_fuel(k);
			put(k, 0x8082);
		}
		for (unsigned i = 0; i < countof(ends); i++) {
			k->at = base + ends[i];
			put(k, addi(A0 + i, A0 + i, (int)(1 + s)));
			if (i == 0)
				for (unsigned n = 0; n < 8; n++)
					put(k, addi(A1, A0, (int)(n + s)));
			if (i == 0) {
				put_fuel(k);
				put(k, 0x8082);
			}
			if (ends[i] == 0x2000 - 6)
				le16_put(make_at(k, base + 0x2000 - 2), 0x8067); /* half of ret */
		}
		for (unsigned i = 0; i < PATCHED - FUNCS && !s; i++) {
			uint64_t to = FUNC + rng_below(r, 28) * 0x80;
			if (rng_below(r, 4) == 0)
				to = FUNC + ends[which++ % countof(ends)];
			if (k->funcs && i >= (PATCHED - FUNCS) / 2)
				to = k->func[rng_below(r, k->funcs)];
			entry_put(k->p, FUNCS + i, to, true);
		}
	}
}

/* ---- programs ---- */

/* A round starts: other values in all free registers. */
static void round_start(struct making *k)
{
	struct rng *r = &k->rng;
	put_fuel(k);
	uint64_t from = k->at;
	put(k, andi(T0, S8, 31));
	put_li(k, T1, 408);
	put(k, r_word(1, 0, T0, T0, T1)); /* mul */
	put(k, add(T0, T0, S9));
	unit_end(k, from, false);
	int off = 0;
	for (unsigned i = 1; i < 64; i++) {
		from = k->at;
		if (i < 32 && (!reg_is_free(i) || i == T0))
			continue;
		if (i < 32)
			put(k, ld(i, T0, off += 8));
		else if (k->p->kind & WITH_FP) /* fld, flw */
			put(k, i_word(0x07, rng_below(r, 4) ? 3 : 2, i - 32, T0, off += 8));
		unit_end(k, from, true);
	}
	from = k->at;
	put(k, ld(S0, GP, 8 * (int)rng_below(r, STACKS)));
	put(k, ld(SP, GP, 8 * (int)(STACKS + rng_below(r, BAD - STACKS))));
	unit_end(k, from, false);
	from = k->at;
	put(k, ld(S1, GP, 8 * (int)rng_below(r, TARGETS)));
	unit_end(k, from, true);
}

static void start_choose(struct program *p, struct rng *r)
{
	static const uint8_t privs[] = {0, 1, 3};
	static const uint64_t delegated[] = {0, 0xb1ff, 0xb1ff, 0xa1fc};
	p->priv = privs[rng_below(r, 3)];
	uint64_t w = p->priv == 0 ? p->window : 0;
	p->rounds = 1 + rng_below(r, p->kind & WITH_HOT_LOOPS ? 60 : 6);
	p->medeleg = delegated[rng_below(r, 4)];
	if (rng_below(r, 4) == 0)
		p->medeleg = rng_next(r) & 0xb1ff;
	p->mideleg = rng_next(r) & 0x2222;
	p->mstatus = 1 << 21 | (rng_next(r) & (3 << 18 | 1 << 5 | 1 << 7 | 1 << 8));
	if (p->kind & WITH_INTERRUPTS)
		p->mstatus |= rng_next(r) & 10;
	p->fs = rng_below(r, 4);
	p->vs = p->kind & WITH_VECTORS ? rng_below(r, 4) : 0;
	p->menvcfg = rng_next(r) & (0xf1 | 7ull << 61);
	if ((p->menvcfg & 0x30) == 0x20)
		p->menvcfg ^= 0x20;
	p->mcounteren = rng_below(r, 2) ? UINT32_MAX : (uint32_t)rng_next(r);
	p->x[GP] = w + (w ? TABLE_U : TABLE_S);
	p->x[TP] = 1 << 17;
	p->x[S0] = w + DATA + DATA_SIZE / 4;
	p->x[SP] = w + DATA + DATA_SIZE / 4 * 3;
	p->x[S1] = p->x[S0];
	p->x[S8] = p->rounds;
	p->x[S9] = w + VALUES;
	p->x[S10] = w + CODE;
	p->x[S11] = p->fuel;
	p->pc += w;
	image_put(p, M_SAVE + SAVE_LEFT, 200 + p->fuel);
	image_put(p, S_SAVE + SAVE_LEFT, 200 + p->fuel);
}

static void patches_fill(struct making *k)
{
	struct program *p = k->p;
	for (unsigned i = 0; i < FUNCS - PATCHES; i++) {
		uint32_t w = addi(reg_free(k), reg_any(k), (int)rng_below(&k->rng, 4096) - 2048);
		if (i % 3 == 1)
			w = r_word(0x20, 0, reg_free(k), reg_any(k), reg_any(k)); /* sub */
		if (i % 3 == 2)
			w = i_word(0x03, 2, reg_free(k), S0, (int)rng_below(&k->rng, 16)); /* lw */
		image_put(p, TABLE_S + 8 * (PATCHES + i), w);
		image_put(p, TABLE_U + 8 * (PATCHES + i), w);
	}
}

static uint64_t fuel_choose(struct making *k)
{
	bool hot = k->p->kind & WITH_HOT_LOOPS;
	return hot ? 1000 + rng_below(&k->rng, 5000) : 100 + rng_below(&k->rng, 1500);
}

void program_make(struct program *p, uint64_t seed, uint64_t fuel, const char *only)
{
	static const uint8_t kinds[] = {WITH_PAGING,
					WITH_PAGING | WITH_FP,
					WITH_FP,
					0,
					WITH_PAGING | WITH_INTERRUPTS,
					WITH_INTERRUPTS | WITH_FP,
					WITH_PAGING | WITH_FP,
					WITH_PAGING | WITH_FP | WITH_VECTORS,
					WITH_FP | WITH_VECTORS,
					WITH_INTERRUPTS | WITH_VECTORS};
	static struct making k;
	memset(p, 0, sizeof *p);
	memset(&k, 0, sizeof k);
	k.p = p;
	k.rng.s = (seed + 1) * 0x9e3779b97f4a7c15 ^ 0xbf58476d1ce4e5b9;
	rng_next(&k.rng);
	p->seed = seed;
	p->kind = kinds[rng_below(&k.rng, countof(kinds))];
	if (rng_below(&k.rng, 6) == 0)
		p->kind |= WITH_HOT_LOOPS;
	pages_make(p, &k.rng);
	patterns_sort(&k, only);
	patches_fill(&k);
	k.at = k.exit = CODE;
	put(&k, addi(S10, ZERO, 0));
	put(&k, ECALL);
	for (unsigned n = 2 + rng_below(&k.rng, 5); n; n--)
		function_make(&k, 4 + rng_below(&k.rng, 24));
	uint64_t here = k.at;
	spaces_fill(&k);
	k.at = here + 2 * rng_below(&k.rng, 3);
	p->pc = k.at;
	uint64_t outer = k.at;
	k.loops = 3;
	round_start(&k);
	body_make(&k, 50 + rng_below(&k.rng, 500));
	put_sum_all(&k);
	put(&k, addi(S8, S8, -1));
	put(&k, branch(4, ZERO, S8, 8));
	put(&k, jal(ZERO, (int64_t)(k.exit - k.at)));
	put(&k, jal(ZERO, (int64_t)(outer - k.at)));
	p->fuel = fuel ? fuel : fuel_choose(&k);
	start_choose(p, &k.rng);
}
