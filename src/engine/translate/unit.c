/* SPDX-License-Identifier: Apache-2.0 */
/* Units: which guest code becomes one, how it is found, and how it goes away. */
#include "engine/translate/internal.h"
#include "rv_exec.gen.h"

enum shape { SHAPE_PLAIN, SHAPE_BRANCH, SHAPE_JUMP, SHAPE_JUMPR, SHAPE_END, SHAPE_ENDNPC };
static const uint8_t shapes[RV_OPS] = {
#define ROW(op, shape) SHAPE_##shape,
	RV_EACH_BODY(ROW)
#undef ROW
};

static struct entry **hash_slot(struct translate *t, uint64_t pa)
{
	return &t->hash[(pa >> 1 ^ pa >> 13) % UNITS_HASH];
}

static struct unit **page_slot(struct translate *t, uint64_t pa)
{
	return &t->pages[(pa >> 12) % PAGES_HASH];
}

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

/* The guest may be writing this code just now: what is translated is what was copied. */
static unsigned range_copy(struct rv_hart *h, struct range *r, const struct place *p)
{
	unsigned room = (unsigned)min_u64(4096 - (p->pa & 4095), 4 * UNIT_INSNS);
	if (!rv_code_copy(h, r->code, p->host, room) ||
	    (p->pa2 && !rv_code_copy(h, r->code + 2, p->host2, 2))) {
		h->exc = RV_EXC_NONE; /* the interpreter will see it */
		return 0;
	}
	return p->pa2 ? 4 : room;
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
static bool insn_checks(const struct range *r, unsigned n)
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
		.label = r->leader[at], .check = insn_checks(r, n),
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

unsigned range_generate(struct jit_gen *g, struct range *r, unsigned n, unsigned reach, bool plan)
{
	static const uint64_t delta = offsetof(struct rv_hart, engine_run) +
	                              offsetof(struct jit_run, delta);
	bool *leader = r->leader;
	struct ir_block ir;
	struct jit_insn info; /* the generator looks at the last one until it is done */
	unsigned end = n < r->n ? r->off[n] : r->bytes;
	for (unsigned i = 0; i < countof(r->leader); i++)
		leader[i] = r->start[i] && r->target[i] && 2 * i < end;
	leader[0] = true;
	/* calls may come back by the virtual address: let them come back into the unit */
	for (unsigned i = 1; i < n; i++)
		if (insn_is_call(r, i - 1))
			leader[r->off[i] / 2] = true;
	if (plan)
		jit_plan_begin(g, r->pa, r->pa + end, r->indirect > 0);
	else
		jit_begin(g, r->pa, r->pa + end, leader, reach & ~(unsigned)UNIT_MIRRORED);
	if (!plan && reach & UNIT_MIRRORED)
		jit_mirrored(g);
	for (unsigned i = 0; i < n; i++) {
		info = insn_info(r, i);
		rv_lift(&ir, &r->insn[i], info.pa, delta);
		jump_resolve(r, i, &ir);
		if (plan)
			jit_plan_insn(g, &info, &ir);
		else if (!jit_insn(g, &info, &ir))
			return i;
	}
	if (!plan)
		jit_goes_on(g, r->pa + end);
	return n;
}

static bool list_add(struct unit ***units, uint32_t *n, uint32_t *have, struct unit *u)
{
	if (*n == *have) {
		uint32_t cap = *have ? *have * 2 : 1024;
		struct unit **more = realloc(*units, cap * sizeof *more);
		if (!more)
			return false;
		*units = more;
		*have = cap;
	}
	(*units)[(*n)++] = u;
	return true;
}

bool unit_add(struct translate *t, struct unit *u)
{
	if (u->tier ? !list_add(&t->units2, &t->nunits2, &t->units2_cap, u)
	            : !list_add(&t->units, &t->nunits, &t->units_cap, u))
		return false;
	for (unsigned n = u->nentries; n-- > 0;) { /* the start last: found first */
		struct entry **e = hash_slot(t, u->entries[n].pa);
		u->entries[n].next = *e;
		*e = &u->entries[n];
	}
	struct unit **slot = page_slot(t, u->pa);
	u->page_next = *slot;
	*slot = u;
	if (u->pa2) {
		slot = &t->pages2[(u->pa2 >> 12) % PAGES_HASH];
		u->page2_next = *slot;
		*slot = u;
	}
	t->made++;
	t->made2 += u->tier;
	return true;
}

/* The labels of the unit just made where control may come in: those that look at the limit. */
static bool entries_make(const struct jit_gen *g, const struct range *r, struct unit *u, unsigned n)
{
	u->entries = calloc(n, sizeof *u->entries);
	if (!u->entries)
		return false;
	for (unsigned i = 0; i < n; i++) {
		uint32_t code = jit_label_code(g, r->off[i] / 2u);
		if (code && insn_checks(r, i))
			u->entries[u->nentries++] =
			    (struct entry){ r->pa + r->off[i], u, code, NULL };
	}
	struct entry *fit = realloc(u->entries, u->nentries * sizeof *fit);
	if (fit)
		u->entries = fit;
	return true;
}

static void links_free(struct unit *u)
{
	for (struct link *l = u->in, *next; l; l = next) {
		next = l->next;
		free(l);
	}
	u->in = NULL;
}

void unit_free(struct unit *u)
{
	if (!u)
		return;
	links_free(u);
	jit_unit_fini(&u->j);
	free(u->entries);
	free(u);
}

struct unit *unit_new(const struct jit_gen *g, const struct range *r, unsigned n, unsigned reach,
                      struct jit_unit *j)
{
	unsigned bytes = n < r->n ? r->off[n] : r->bytes;
	struct unit *u = calloc(1, sizeof *u + bytes);
	if (!u) {
		jit_unit_fini(j);
		return NULL;
	}
	u->j = *j;
	u->pa = r->pa;
	u->bytes = (uint16_t)bytes;
	u->reach = (uint8_t)reach;
	memcpy(u->code, r->code, bytes);
	if (entries_make(g, r, u, n))
		return u;
	unit_free(u);
	return NULL;
}

static struct unit *unit_make(struct rv_hart *h, const struct place *p)
{
	struct translate *t = h->engine;
	static _Thread_local struct range r;
	struct jit_unit j;
	rv_code_watch(h, p->pa);
	if (p->pa2)
		rv_code_watch(h, p->pa2);
	range_scan(&r, range_copy(h, &r, p), p->pa, NULL);
	unsigned n = r.n;
	for (unsigned tries = 0;; tries++) {
		for (unsigned got; n && (got = range_generate(t->gen, &r, n, p->reach, false)) < n;)
			n = got;
		if (!n)
			return NULL;
		if (jit_end(t->gen, &j))
			break;
		if (tries)
			return NULL;
		units_clear(t);
	}
	struct unit *u = unit_new(t->gen, &r, n, p->reach, &j);
	if (u)
		u->pa2 = p->pa2;
	if (!u || !unit_add(t, u)) {
		unit_free(u);
		return NULL;
	}
	uint64_t trace = h->env->trace_pc;
	if (unlikely(trace && (trace == UINT64_MAX || trace - h->pc < u->bytes))) {
		uint64_t at[UNIT_INSNS];
		for (unsigned i = 0; i < n; i++)
			at[i] = p->pa + r.off[i];
		unit_dump(h, u, &(struct unit_text){ n, r.insn, at });
	}
	return u;
}

struct entry *unit_get(struct rv_hart *h, const struct place *p, bool make)
{
	struct translate *t = h->engine;
	for (struct entry *e = *hash_slot(t, p->pa); e; e = e->next)
		if (e->pa == p->pa && e->unit->reach == p->reach && e->unit->pa2 == p->pa2)
			return e;
	struct unit *u = make ? unit_make(h, p) : NULL;
	return u ? &u->entries[0] : NULL;
}

bool units_seed(struct translate *t, const struct unit *u, bool *seeds)
{
	bool any = false;
	for (const struct unit *k = *page_slot(t, u->pa); k; k = k->page_next) {
		uint64_t off = k->pa - u->pa;
		if (off && off < 4 * JIT_UNIT_INSNS && k->pa >> 12 == u->pa >> 12 && !k->pa2 &&
		    k->reach == u->reach)
			any = seeds[off / 2] = true;
	}
	return any;
}

struct unit *unit_at_code(struct translate *t, uint32_t off)
{
	bool second = jit_cache_is2(t->cache, off - 1);
	uint32_t lo = 0, hi = second ? t->nunits2 : t->nunits;
	struct unit **units = second ? t->units2 : t->units;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (units[mid]->j.code < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? units[lo - 1] : NULL;
}

uint32_t unit_touch_find(void *t, uint32_t off)
{
	struct unit *u = unit_at_code(t, off + 1);
	return u ? jit_touch_find(&u->j, off) : 0;
}

/* ---- links ---- */

void unit_link(struct translate *t, struct unit *from, const struct jit_exit_at *x,
               struct entry *to)
{
	struct link *l = malloc(sizeof *l);
	if (!l)
		return;
	*l = (struct link){ from, (uint32_t)(x - from->j.exits), to->unit->in };
	to->unit->in = l;
	jit_link(t->cache, x, to->code);
	t->links++;
}

/* ---- going away ---- */

void jumps_forget(struct translate *t)
{
	memset(t->jumps, 0, JIT_JUMPS * sizeof *t->jumps);
	jit_far_forget(t->cache, NULL);
}

void units_clear(struct translate *t)
{
	for (uint32_t n = 0; n < t->nunits; n++)
		unit_free(t->units[n]);
	for (uint32_t n = 0; n < t->nunits2; n++)
		unit_free(t->units2[n]);
	t->nunits = t->nunits2 = 0;
	t->clears++;
	memset(t->hash, 0, sizeof t->hash);
	memset(t->pages, 0, sizeof t->pages);
	memset(t->pages2, 0, sizeof t->pages2);
	jumps_forget(t);
	jit_cache_clear(t->cache);
}

static void entries_remove(struct translate *t, struct unit *u)
{
	for (unsigned n = 0; n < u->nentries; n++) {
		struct entry **p = hash_slot(t, u->entries[n].pa);
		while (*p != &u->entries[n])
			p = &(*p)->next;
		*p = u->entries[n].next;
	}
}

static void unit_kill(struct translate *t, struct unit *u)
{
	entries_remove(t, u);
	for (struct link *l = u->in; l; l = l->next)
		jit_link(t->cache, &l->from->j.exits[l->exit], 0);
	links_free(u);
	jit_far_forget(t->cache, &u->j);
	jit_unit_kill(t->cache, &u->j);
	u->dead = true;
	t->killed++;
}

bool unit_same(struct rv_hart *h, const struct unit *u)
{
	unsigned first = u->pa2 ? 2 : u->bytes;
	if (h->env->process)
		return rv_code_is(h, u->pa, u->code, first) &&
		       (!u->pa2 || rv_code_is(h, u->pa2, u->code + 2, 2));
	const uint8_t *a = mem_ptr(h->env->mem, gpa(u->pa), first), *b = NULL;
	if (u->pa2)
		b = mem_ptr(h->env->mem, gpa(u->pa2), 2);
	return a && !memcmp(a, u->code, first) && (!u->pa2 || (b && !memcmp(b, u->code + 2, 2)));
}

static void unlink_from(struct unit **p, const struct unit *u, size_t next)
{
	while (*p && *p != u)
		p = (struct unit **)(void *)((char *)*p + next);
	if (*p)
		*p = *(struct unit **)(void *)((char *)*p + next);
}

static void lists_remove(struct translate *t, struct unit *u)
{
	unlink_from(page_slot(t, u->pa), u, offsetof(struct unit, page_next));
	if (u->pa2)
		unlink_from(&t->pages2[(u->pa2 >> 12) % PAGES_HASH], u,
		            offsetof(struct unit, page2_next));
}

void unit_drop(struct translate *t, struct unit *u)
{
	lists_remove(t, u);
	unit_kill(t, u);
}

/* NULL: @u cannot be entered there. */
static const struct entry *entry_at(const struct unit *u, uint64_t pa)
{
	for (unsigned n = 0; n < u->nentries; n++)
		if (u->entries[n].pa == pa)
			return &u->entries[n];
	return NULL;
}

/* A unit that was cut short may have labels for jumps from behind the cut, which @to has not: who
 * came there goes by the way out again. */
void unit_replace(struct translate *t, struct unit *from, struct unit *to)
{
	for (struct link *l = from->in, *next; l; l = next) {
		const struct jit_exit_at *x = &l->from->j.exits[l->exit];
		const struct entry *e = entry_at(to, x->pa);
		next = l->next;
		jit_link(t->cache, x, e ? e->code : 0);
		if (e) {
			l->next = to->in;
			to->in = l;
		} else {
			free(l);
		}
	}
	from->in = NULL;
	memset(t->jumps, 0, JIT_JUMPS * sizeof *t->jumps);
	jit_far_forget(t->cache, &from->j);
	jit_unit_redirect(t->cache, &from->j, &to->j);
	entries_remove(t, from);
	lists_remove(t, from);
	from->dead = true;
}

/* Compare the units of frame @pa with memory. True: some are gone. */
static bool page_verify(struct rv_hart *h, uint64_t pa)
{
	struct translate *t = h->engine;
	bool any = false;
	uint64_t frame = pa >> 12;
	rv_code_watch(h, pa);
	for (struct unit *u = *page_slot(t, pa), *next; u; u = next) {
		next = u->page_next;
		if (u->pa >> 12 != frame || unit_same(h, u))
			continue;
		unit_drop(t, u);
		any = true;
	}
	for (struct unit *u = t->pages2[frame % PAGES_HASH], *next; u; u = next) {
		next = u->page2_next;
		if (u->pa2 >> 12 != frame || unit_same(h, u))
			continue;
		unit_drop(t, u);
		any = true;
	}
	return any;
}

/* Compare the units in @at with memory. True: some are gone. */
static bool range_verify(struct rv_hart *h, const struct rv_range *at)
{
	struct translate *t = h->engine;
	uint64_t lo = at->lo & ~UINT64_C(0xfff), hi = at->hi;
	bool any = false;
	for (uint32_t i = 0; i < t->nunits + t->nunits2; i++) {
		struct unit *u = i < t->nunits ? t->units[i] : t->units2[i - t->nunits];
		bool in = u->pa + u->bytes > lo && u->pa < hi;
		in |= u->pa2 && u->pa2 + 2 > lo && u->pa2 < hi;
		if (u->dead || !in || unit_same(h, u))
			continue;
		unit_drop(t, u);
		any = true;
	}
	return any;
}

/* A process knows what has changed; few pages are looked for by themselves. */
static bool process_verify(struct rv_hart *h)
{
	enum { FEW = 16 << 12 };
	bool any = false;
	for (unsigned i = 0; i < h->nstale; i++) {
		const struct rv_range *r = &h->stale[i];
		if (r->hi - r->lo > FEW) {
			any |= range_verify(h, r);
			continue;
		}
		for (uint64_t at = r->lo & ~UINT64_C(0xfff); at < r->hi; at += 4096)
			any |= page_verify(h, at);
	}
	h->nstale = 0;
	return any;
}

void units_verify(struct rv_hart *h)
{
	struct translate *t = h->engine;
	if (h->env->process) {
		if (process_verify(h))
			memset(t->jumps, 0, JIT_JUMPS * sizeof *t->jumps);
		return;
	}
	enum { FRAMES = 256 };
	uint64_t frames[FRAMES];
	bool all, any = false;
	size_t n = rv_code_written(h, frames, FRAMES, &all);
	for (size_t i = 0; i < n; i++)
		any |= page_verify(h, frames[i]);
	if (all) { /* rare */
		units_clear(t);
		return;
	}
	if (any)
		memset(t->jumps, 0, JIT_JUMPS * sizeof *t->jumps);
}
