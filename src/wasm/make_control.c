/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks, branches and returns. Where a branch leads, values are at home, from the target's first
 * slot on; whoever branches moves them there, lowest first, which never overwrites one that is
 * still to be moved: they only go down. Spec: WASM-CORE 2.0 §3.3.8 */
#include "wasm/make.h"

void block_type(struct make *g, struct ctrl *c)
{
	const uint8_t *at = g->r.p;
	int64_t t = reader_signed(&g->r, 33);
	c->nin = c->nout = 0;
	if (g->r.bad || t == -64) /* in any length, as others take it */
		return;
	if (t < 0) { /* a type of values, which is one byte, or begins with it */
		if (g->r.p - at > 1)
			reader_fail(&g->r, EBADMSG, "malformed block type");
		else
			g->r.p = at;
		c->one = reader_type_as(&g->r, g->m, "block");
		c->nout = 1;
	} else if (t >= g->m->ntypes) {
		reader_fail(&g->r, EINVAL, "unknown type %lld", (long long)t);
	} else {
		const struct wtype *w = &g->m->types[t];
		c->in = w->values;
		c->nin = w->np;
		c->out = type_results(w);
		c->nout = w->nr;
	}
}

static struct ctrl *ctrl_push(struct make *g, enum block kind, const struct ctrl *types)
{
	if (g->nctrls == g->cap_ctrls) {
		uint32_t cap = g->cap_ctrls ? 2 * g->cap_ctrls : 16;
		struct ctrl *p = realloc(g->ctrls, cap * sizeof *p);
		if (!p) {
			g->r.bad = err_set(g->r.e, ENOMEM, "out of memory");
			return &g->ctrls[g->nctrls - 1];
		}
		g->ctrls = p;
		g->cap_ctrls = cap;
	}
	struct ctrl *c = &g->ctrls[g->nctrls++];
	*c = *types;
	c->kind = (uint8_t)kind;
	c->dead = g->dead;
	c->unreachable = false;
	c->height = g->nvals;
	c->home = (uint16_t)g->top;
	c->patches = c->otherwise = NO_PATCH;
	c->start = g->n;
	c->sets = g->nsets;
	g->fresh = UINT32_MAX;
	return c;
}

void sets_undo(struct make *g, const struct ctrl *c)
{
	while (g->nsets > c->sets)
		g->unset[g->sets[--g->nsets]] = true;
}

void unreachable_from_here(struct make *g)
{
	struct ctrl *c = &g->ctrls[g->nctrls - 1];
	g->nvals = c->height;
	g->top = c->home;
	c->unreachable = true;
	g->dead = true;
}

/* ---- branches ---- */

void label_bind(struct make *g, int32_t *patches)
{
	for (int32_t i = *patches, next; i != NO_PATCH; i = next) {
		next = g->code[i].rel;
		g->code[i].rel = (int32_t)g->n - i;
	}
	*patches = NO_PATCH;
	g->fresh = UINT32_MAX;
}

/* Let @i, the last instruction, lead to the label of @c. */
void branch_link(struct make *g, struct insn *i, struct ctrl *c)
{
	if (i == &g->scratch[0])
		return;
	int32_t at = (int32_t)(i - g->code);
	if (c->kind == LOOP) {
		i->rel = (int32_t)c->start - at;
	} else {
		i->rel = c->patches;
		c->patches = at;
	}
}

uint32_t label_count(const struct ctrl *c) { return c->kind == LOOP ? c->nin : c->nout; }
const uint32_t *label_types(const struct ctrl *c)
{
	return c->kind == LOOP ? c->in : ctrl_out(c);
}

struct ctrl *label_read(struct make *g)
{
	uint32_t depth = reader_u32(&g->r);
	if (!g->r.bad && depth >= g->nctrls)
		reader_fail(&g->r, EINVAL, "unknown label %u", depth);
	return g->r.bad ? NULL : &g->ctrls[g->nctrls - 1 - depth];
}

/* Are the upper @n values where a branch to @c wants them? */
static bool values_in_place(const struct make *g, uint32_t n, const struct ctrl *c)
{
	uint32_t home = c->home;
	for (uint32_t i = g->nvals - n; !g->dead && i < g->nvals; i++) {
		if (g->vals[i].where != AT_HOME || g->vals[i].home != home)
			return false;
		home += val_slots(g->vals[i].type);
	}
	return true;
}

void values_move(struct make *g, uint32_t n, const struct ctrl *c)
{
	uint32_t home = c->home;
	for (uint32_t i = g->nvals - n; !g->dead && i < g->nvals; i++) {
		val_move(g, &g->vals[i], (uint16_t)home);
		home += val_slots(g->vals[i].type);
	}
}

static void return_emit(struct make *g)
{
	uint32_t n = g->type->nr;
	if (g->dead)
		return;
	if (n == 0) {
		(void)emit(g, CODE_RETURN0, 0, 0);
	} else if (n == 1 && g->type->rslots == 1) {
		(void)emit(g, CODE_RETURN1, 0, val_use(g, &g->vals[g->nvals - 1]));
	} else {
		uint16_t a = vals_settle(g, n);
		emit(g, CODE_RETURN, 0, a)->k = g->type->rslots;
	}
}

/* The stack is as the label of @c wants it; it stays as it is. */
void branch_emit(struct make *g, struct ctrl *c)
{
	if (c->kind == BODY) {
		return_emit(g);
		return;
	}
	values_move(g, label_count(c), c);
	branch_link(g, emit(g, CODE_BR, 0, 0), c);
}

/* Whatever comes next is gone around if @k is not @when. */
static int32_t around_begin(struct make *g, const struct condition *k, bool when)
{
	struct insn *i = emit_condition(g, k, !when);
	if (i == &g->scratch[0])
		return NO_PATCH;
	i->rel = NO_PATCH;
	return (int32_t)(i - g->code);
}

/* To the label of @c if @k is @when; the values that it wants are there, and stay. */
static void branch_when(struct make *g, const struct condition *k, bool when, struct ctrl *c)
{
	if (values_in_place(g, label_count(c), c)) {
		branch_link(g, emit_condition(g, k, when), c);
		return;
	}
	int32_t around = around_begin(g, k, when);
	values_move(g, label_count(c), c);
	branch_link(g, emit(g, CODE_BR, 0, 0), c);
	label_bind(g, &around);
}

/* The upper @n values, which were popped, have the types that the label of @c gives them. */
static void vals_again(struct make *g, const struct ctrl *c, uint32_t n)
{
	if (g->dead) {
		vals_push(g, label_types(c), n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		g->vals[g->nvals++].type = label_types(c)[i] & 0x3fffffff;
}

static void branch_if(struct make *g)
{
	struct ctrl *c = label_read(g);
	struct val v = val_pop(g, WASM_I32);
	if (!c || g->r.bad)
		return;
	vals_pop(g, label_types(c), label_count(c));
	if (g->r.bad)
		return;
	vals_again(g, c, label_count(c)); /* what was popped is still there */
	if (g->dead)
		return;
	g->top = v.home;
	struct condition k = condition_take(g, &v);
	branch_when(g, &k, true, c);
}

/* ---- references that may be null ---- */

static struct condition null_condition(struct make *g, const struct val *v)
{
	return (struct condition){CODE_i64_eq_if_k, CODE_i64_eq_unless_k, val_use(g, v), 0};
}

/* The value that was popped as @v, and is not null, where it is. */
static void nonnull_push(struct make *g, struct val v)
{
	v.where = v.where == CONSTANT ? AT_HOME : v.where; /* null_condition has put it there */
	val_push_as(g, v, type_nonnull(v.type));
}

void null_trap(struct make *g, const struct val *v, enum wasm_trap trap)
{
	if (g->dead || g->r.bad)
		return;
	struct condition k = null_condition(g, v);
	int32_t around = around_begin(g, &k, true);
	emit(g, CODE_TRAP, 0, 0)->k = trap;
	label_bind(g, &around);
}

static void branch_null(struct make *g)
{
	struct ctrl *c = label_read(g);
	struct val v = reference_pop(g);
	if (!c || g->r.bad)
		return;
	vals_pop(g, label_types(c), label_count(c));
	if (g->r.bad)
		return;
	vals_again(g, c, label_count(c));
	if (!g->dead) {
		g->top = v.home;
		struct condition k = null_condition(g, &v);
		branch_when(g, &k, true, c);
	}
	nonnull_push(g, v);
}

/* The label wants the reference, too, as its last value. */
static void branch_nonnull(struct make *g)
{
	struct ctrl *c = label_read(g);
	struct val v = reference_pop(g);
	uint32_t n = c ? label_count(c) : 0;
	if (!c || g->r.bad)
		return;
	if (!n || !type_is_reference(label_types(c)[n - 1]) ||
	    !type_fits(type_nonnull(v.type), label_types(c)[n - 1])) {
		reader_fail(&g->r, EINVAL, "type mismatch: a label that does not end in %s",
			    type_text(type_nonnull(v.type)).s);
		return;
	}
	vals_pop(g, label_types(c), n - 1);
	if (g->r.bad)
		return;
	vals_again(g, c, n - 1);
	if (g->dead)
		return;
	g->top = v.home;
	struct condition k = null_condition(g, &v);
	nonnull_push(g, v);
	branch_when(g, &k, false, c);
	(void)val_pop(g, WASM_NONE);
}

void op_null(struct make *g, unsigned op)
{
	struct val v;
	switch (op) {
	case 0xd4:
		v = reference_pop(g);
		if (type_is_nonnull(v.type)) {
			val_push_as(g, v, v.type);
			break;
		}
		null_trap(g, &v, WASM_TRAP_NULL_REFERENCE);
		nonnull_push(g, v);
		break;
	case 0xd5: branch_null(g); break;
	default: branch_nonnull(g);
	}
}

/* Is this the same as the label of @first, and fits what is there? */
static void table_label_check(struct make *g, const struct ctrl *c, uint32_t arity)
{
	if (label_count(c) != arity) {
		reader_fail(&g->r, EINVAL, "type mismatch: labels of %u and %u values", arity,
			    label_count(c));
		return;
	}
	const struct ctrl *here = &g->ctrls[g->nctrls - 1];
	uint32_t have = g->nvals - here->height;
	if (have < arity && !here->unreachable)
		reader_fail(&g->r, EINVAL, "type mismatch: too few values for a label");
	for (uint32_t i = 0; i < have && i < arity; i++) {
		uint32_t is = g->vals[g->nvals - 1 - i].type;
		uint32_t want = label_types(c)[arity - 1 - i];
		if (!type_fits(is, want))
			reader_fail(&g->r, EINVAL, "type mismatch: %s is wanted, %s is there",
				    type_text(want).s, type_text(is).s);
	}
}

static void branch_table(struct make *g)
{
	uint32_t n = reader_count(&g->r, "labels", 1);
	const uint8_t *labels = g->r.p;
	struct val v = val_pop(g, WASM_I32);
	for (uint32_t i = 0; i < n && !g->r.bad; i++)
		(void)label_read(g);
	struct ctrl *last = label_read(g), *c;
	if (g->r.bad)
		return;
	uint32_t arity = label_count(last);
	table_label_check(g, last, arity);
	const uint8_t *end = g->r.p;
	g->r.p = labels;
	uint16_t a = val_use(g, &v);
	emit(g, CODE_BR_TABLE, 0, a)->k = n;
	uint32_t first = g->n;
	for (uint32_t i = 0; i <= n && !g->r.bad; i++) {
		c = label_read(g);
		if (!c)
			return;
		table_label_check(g, c, arity);
		struct insn *entry = emit(g, CODE_BR, 0, 0);
		if (!g->r.bad && c->kind != BODY && values_in_place(g, arity, c))
			branch_link(g, entry, c);
		else
			entry->d = 1; /* by way of a branch of its own, below */
	}
	g->r.p = labels;
	for (uint32_t i = 0; i <= n && !g->r.bad && !g->dead && g->emits; i++) {
		c = label_read(g);
		if (!g->code[first + i].d)
			continue;
		g->code[first + i].d = 0;
		g->code[first + i].rel = (int32_t)(g->n - (first + i));
		values_move(g, arity, c);
		branch_link(g, emit(g, CODE_BR, 0, 0), c);
	}
	g->r.p = end;
	if (!g->r.bad)
		unreachable_from_here(g);
}

/* ---- blocks ---- */

void block_open(struct make *g, enum block kind, const struct ctrl *types)
{
	const struct ctrl t = *types;
	struct condition k = {CODE_BR_IF, CODE_BR_UNLESS, 0, 0};
	if (kind == IF && !g->r.bad) {
		struct val v = val_pop(g, WASM_I32);
		if (!g->r.bad && !g->dead)
			k = condition_take(g, &v);
	}
	vals_pop(g, t.in, t.nin);
	if (g->r.bad)
		return;
	/* put back what was popped, as it was: only its types count */
	bool dead = g->dead;
	if (dead) {
		(void)ctrl_push(g, kind, &t);
		vals_push(g, t.in, t.nin);
		return;
	}
	g->nvals += t.nin;
	for (uint32_t i = 0; i < t.nin; i++)
		g->top += val_slots(t.in[i]);
	(void)vals_settle(g, g->nvals - (g->nctrls ? g->ctrls[g->nctrls - 1].height : 0));
	struct insn *i = kind == IF ? emit_condition(g, &k, false) : NULL;
	g->nvals -= t.nin;
	for (uint32_t n = 0; n < t.nin; n++)
		g->top -= val_slots(t.in[n]);
	struct ctrl *c = ctrl_push(g, kind, &t);
	if (i && i != &g->scratch[0] && !g->r.bad) {
		i->rel = NO_PATCH;
		c->otherwise = (int32_t)(i - g->code);
	}
	vals_push(g, t.in, t.nin);
}

static void block_begin(struct make *g, enum block kind)
{
	struct ctrl t = {0};
	block_type(g, &t);
	block_open(g, kind, &t);
}

/* The end of a part: exactly its results are there, at home. */
void results_check(struct make *g, struct ctrl *c)
{
	if (!g->dead && g->nvals >= c->nout)
		(void)vals_settle(g, c->nout);
	vals_pop(g, ctrl_out(c), c->nout);
	if (!g->r.bad && g->nvals != c->height)
		reader_fail(&g->r, EINVAL, "type mismatch: %u values too many at the end",
			    g->nvals - c->height);
	sets_undo(g, c);
}

static void block_else(struct make *g)
{
	struct ctrl *c = &g->ctrls[g->nctrls - 1];
	if (c->kind != IF) {
		reader_fail(&g->r, EBADMSG, "else without if");
		return;
	}
	results_check(g, c);
	if (g->r.bad)
		return;
	branch_link(g, emit(g, CODE_BR, 0, 0), c);
	c->kind = ELSE;
	c->unreachable = false;
	g->dead = c->dead;
	label_bind(g, &c->otherwise);
	vals_push(g, c->in, c->nin);
}

void block_end(struct make *g)
{
	struct ctrl *c = &g->ctrls[g->nctrls - 1];
	if (c->kind == IF && (c->nin != c->nout || !types_fit(c->in, ctrl_out(c), c->nin))) {
		reader_fail(&g->r, EINVAL, "type mismatch: an if without else that has results");
		return;
	}
	if (c->kind == BODY && !g->dead && c->patches == NO_PATCH && g->nvals == c->nout &&
	    c->nout == 1 && g->type->rslots == 1) {
		struct val v = val_pop(g, ctrl_out(c)[0]);
		if (!g->r.bad)
			(void)emit(g, CODE_RETURN1, 0, val_use(g, &v));
		g->nctrls--;
		return;
	}
	if (c->kind == CATCH)
		catch_end(g, c);
	else
		results_check(g, c);
	if (g->r.bad)
		return;
	try_end(g, c);
	label_bind(g, &c->otherwise);
	label_bind(g, &c->patches);
	g->dead = c->dead;
	vals_push(g, ctrl_out(c), c->nout);
	if (c->kind == BODY && !g->r.bad)
		return_emit(g);
	g->nctrls--;
}

void op_control(struct make *g, unsigned op)
{
	struct ctrl *c;
	switch (op) {
	case 0x00:
		emit(g, CODE_TRAP, 0, 0)->k = WASM_TRAP_UNREACHABLE;
		unreachable_from_here(g);
		break;
	case 0x01: break;
	case 0x02: block_begin(g, BLOCK); break;
	case 0x03: block_begin(g, LOOP); break;
	case 0x04: block_begin(g, IF); break;
	case 0x05: block_else(g); break;
	case 0x0b: block_end(g); break;
	case 0x0c:
	case 0x0f:
		c = op == 0x0f ? &g->ctrls[0] : label_read(g);
		if (!c)
			break;
		vals_pop(g, label_types(c), label_count(c));
		if (g->r.bad)
			break;
		if (!g->dead) {
			g->nvals += label_count(c); /* still there, for code */
			branch_emit(g, c);
		}
		unreachable_from_here(g);
		break;
	case 0x0d: branch_if(g); break;
	default: branch_table(g);
	}
}
