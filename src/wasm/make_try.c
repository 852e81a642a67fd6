/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions: try_table of WASM-CORE 3.0, whose clauses branch, and try with catch, delegate and
 * rethrow, which compilers made before. A handler begins at a pad, where the values that the
 * exception carries are in slots from the pad's home on; of the older kind the exception itself is
 * in the slot before them, for rethrow. Spec: WASM-CORE 2.0 §3.3.8 */
#include "wasm/make.h"

/* A handler for what @level's block throws. */
static struct wcatch *catch_add(struct make *g, unsigned kind, uint32_t level)
{
	static struct wcatch none;
	if (g->ncatches == g->cap_catches) {
		uint32_t cap = g->cap_catches ? 2 * g->cap_catches : 8;
		struct wcatch *p = realloc(g->catches, cap * sizeof *p);
		if (!p) {
			g->r.bad = g->r.bad ? g->r.bad : err_set(g->r.e, ENOMEM, "out of memory");
			return &none;
		}
		g->catches = p;
		g->cap_catches = cap;
	}
	struct wcatch *c = &g->catches[g->ncatches++];
	*c = (struct wcatch){.kind = (uint8_t)kind,
			     .level = level,
			     .from = g->n,
			     .to = UINT32_MAX,
			     .order = g->ncatches};
	return c;
}

static uint32_t tag_read(struct make *g)
{
	uint32_t i = reader_u32(&g->r);
	if (!g->r.bad && i >= g->m->ntags)
		reader_fail(&g->r, EINVAL, "unknown tag %u", i);
	return i;
}
static const struct wtype *tag_type(const struct make *g, uint32_t tag)
{
	return &g->m->types[g->m->tags[tag].type];
}

static void throw_tag(struct make *g)
{
	uint32_t tag = tag_read(g);
	if (g->r.bad)
		return;
	const struct wtype *t = tag_type(g, tag);
	uint16_t at = g->dead || g->nvals < t->np ? 0 : vals_settle(g, t->np);
	vals_pop(g, t->values, t->np);
	if (g->r.bad)
		return;
	emit(g, CODE_THROW, at, 0)->k = tag;
	unreachable_from_here(g);
}

static void throw_reference(struct make *g)
{
	struct val v = val_pop(g, WASM_EXNREF);
	if (g->r.bad)
		return;
	(void)emit(g, CODE_THROW_REF, 0, val_use(g, &v));
	unreachable_from_here(g);
}

/* ---- try_table ---- */

/* What the clause of @kind gives its label: the values of @tag, and a reference. */
static bool clause_fits(const struct make *g, unsigned kind, uint32_t tag, const struct ctrl *c)
{
	const struct wtype *t = kind < CATCH_ALL ? tag_type(g, tag) : NULL;
	uint32_t n = t ? t->np : 0, ref = kind == CATCH_TAG_REF || kind == CATCH_ALL_REF;
	const uint32_t *want = label_types(c);
	return label_count(c) == n + ref && (!n || types_fit(t->values, want, n)) &&
	       (!ref || type_fits(WASM_EXNREF | WASM_NONNULL, want[n]));
}

static void clause_read(struct make *g)
{
	static const uint8_t kinds[] = {CATCH_TAG, CATCH_TAG_REF, CATCH_ALL, CATCH_ALL_REF};
	unsigned k = reader_byte(&g->r);
	if (!g->r.bad && k >= countof(kinds))
		reader_fail(&g->r, EBADMSG, "malformed catch clause 0x%02x", k);
	uint32_t tag = !g->r.bad && k < 2 ? tag_read(g) : 0;
	struct ctrl *c = label_read(g);
	if (!c)
		return;
	if (!clause_fits(g, kinds[k], tag, c)) {
		reader_fail(&g->r, EINVAL, "type mismatch: a catch clause and its label");
		return;
	}
	struct wcatch *h = catch_add(g, kinds[k], g->nctrls);
	h->tag = tag;
	h->pad = g->n;
	h->home = (uint16_t)g->top;
	if (g->dead)
		return;
	uint32_t nvals = g->nvals, top = g->top;
	vals_push(g, label_types(c), label_count(c));
	if (!g->r.bad)
		branch_emit(g, c);
	g->nvals = nvals;
	g->top = top;
}

static void try_table(struct make *g)
{
	struct ctrl t = {0};
	block_type(g, &t);
	uint32_t n = reader_count(&g->r, "catch clauses", 2), first = g->ncatches;
	int32_t around = NO_PATCH;
	struct insn *i = n ? emit(g, CODE_BR, 0, 0) : &g->scratch[0];
	if (i != &g->scratch[0]) {
		i->rel = NO_PATCH;
		around = (int32_t)(i - g->code);
	}
	while (n-- && !g->r.bad)
		clause_read(g);
	if (g->r.bad)
		return;
	label_bind(g, &around);
	block_open(g, TRY_TABLE, &t);
	g->ctrls[g->nctrls - 1].catches = first;
	g->ctrls[g->nctrls - 1].catches_end = g->ncatches;
	for (uint32_t k = first; k < g->ncatches; k++)
		g->catches[k].from = g->n;
}

/* ---- try, catch, delegate ---- */

static void catch_begin(struct make *g, bool all)
{
	uint32_t level = g->nctrls - 1, tag = all ? 0 : tag_read(g);
	struct ctrl *c = &g->ctrls[level];
	if (c->kind != TRY && (c->kind != CATCH || c->all))
		reader_fail(&g->r, EBADMSG, "catch without try");
	if (g->r.bad)
		return;
	if (c->kind == TRY) {
		results_check(g, c);
		c->to = g->n;
	} else {
		catch_end(g, c);
	}
	if (g->r.bad)
		return;
	branch_link(g, emit(g, CODE_BR, 0, 0), c);
	c->kind = CATCH;
	c->all = all;
	c->unreachable = false;
	g->dead = c->dead;
	g->fresh = UINT32_MAX;
	struct wcatch *h = catch_add(g, all ? CATCH_OLD_ALL : CATCH_OLD, level);
	h->from = c->start;
	h->to = c->to;
	h->tag = tag;
	h->pad = g->n;
	h->home = c->home;
	g->top = c->home + 1u;
	g->max = g->top > g->max ? g->top : g->max;
	if (!all)
		vals_push(g, tag_type(g, tag)->values, tag_type(g, tag)->np);
}

void catch_end(struct make *g, struct ctrl *c)
{
	if (!g->dead && g->nvals >= c->nout)
		values_move(g, c->nout, c);
	vals_pop(g, ctrl_out(c), c->nout);
	if (!g->r.bad && g->nvals != c->height)
		reader_fail(&g->r, EINVAL, "type mismatch: %u values too many at the end",
			    g->nvals - c->height);
	sets_undo(g, c);
	g->top = c->home;
}

static void rethrow(struct make *g)
{
	struct ctrl *c = label_read(g);
	if (!c)
		return;
	if (c->kind != CATCH) {
		reader_fail(&g->r, EINVAL, "rethrow is not in a catch of that label");
		return;
	}
	(void)emit(g, CODE_THROW_REF, 0, c->home);
	unreachable_from_here(g);
}

static void delegate(struct make *g)
{
	uint32_t depth = reader_u32(&g->r), level = g->nctrls - 1;
	const struct ctrl *c = &g->ctrls[level];
	if (c->kind != TRY)
		reader_fail(&g->r, EBADMSG, "delegate without try");
	else if (!g->r.bad && depth >= level)
		reader_fail(&g->r, EINVAL, "unknown label %u", depth);
	if (g->r.bad)
		return;
	struct wcatch *h = catch_add(g, CATCH_DELEGATE, level);
	h->from = c->start;
	h->target = level - 1 - depth;
	block_end(g);
	h->to = g->n;
}

void try_end(struct make *g, const struct ctrl *c)
{
	for (uint32_t k = c->catches; c->kind == TRY_TABLE && k < c->catches_end; k++)
		g->catches[k].to = g->n;
}

void op_exception(struct make *g, unsigned op)
{
	struct ctrl t = {0};
	switch (op) {
	case 0x06:
		block_type(g, &t);
		if (!g->r.bad)
			block_open(g, TRY, &t);
		break;
	case 0x07: catch_begin(g, false); break;
	case 0x08: throw_tag(g); break;
	case 0x09: rethrow(g); break;
	case 0x0a: throw_reference(g); break;
	case 0x18: delegate(g); break;
	case 0x19: catch_begin(g, true); break;
	default: try_table(g);
	}
}

/* Handlers of inner blocks first, those of one block as they came. */
static int catch_order(const void *x, const void *y)
{
	const struct wcatch *a = x, *b = y;
	return a->level != b->level ? (a->level < b->level ? 1 : -1)
				    : (a->order > b->order) - (a->order < b->order);
}

void catches_sort(struct make *g)
{
	if (g->ncatches)
		qsort(g->catches, g->ncatches, sizeof *g->catches, catch_order);
}
