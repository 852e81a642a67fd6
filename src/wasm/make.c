/* SPDX-License-Identifier: Apache-2.0 */
/* One function from its bytes: locals, then instruction after instruction.
 * Spec: WASM-CORE 2.0 §3.3, §5.4 */
#include "wasm/make.h"

/* ---- locals ---- */

static void locals_add(struct make *g, uint32_t n, uint32_t type)
{
	if (g->r.bad || n > LOCALS_MAX - g->nlocals) {
		reader_fail(&g->r, ENOTSUP, "too many locals: at most %u", LOCALS_MAX);
		return;
	}
	uint32_t *t = realloc(g->locals, (g->nlocals + n + 1) * sizeof *t);
	g->locals = t ? t : g->locals;
	uint16_t *s = t ? realloc(g->slots, (g->nlocals + n + 1) * sizeof *s) : NULL;
	g->slots = s ? s : g->slots;
	if (!s) {
		g->r.bad = err_set(g->r.e, ENOMEM, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		g->locals[g->nlocals] = type;
		g->slots[g->nlocals++] = (uint16_t)g->top;
		g->top += val_slots(type);
		if (g->top > SLOTS_MAX) {
			reader_fail(&g->r, ENOTSUP, "too many locals");
			return;
		}
	}
}

/* The next @n locals have no value yet: none of their type is there without being made. */
static void unset_add(struct make *g, uint32_t n)
{
	if (g->r.bad || n > LOCALS_MAX - g->nlocals)
		return;
	bool *p = realloc(g->unset, g->nlocals + n + 1);
	if (!p) {
		g->r.bad = err_set(g->r.e, ENOMEM, "out of memory");
		return;
	}
	memset(p + g->nunset, false, g->nlocals - g->nunset);
	memset(p + g->nlocals, true, n);
	g->unset = p;
	g->nunset = g->nlocals + n;
}

/* Local @i is written, so it may be read, until the end of the block. */
static void local_set(struct make *g, uint32_t i)
{
	if (i >= g->nunset || !g->unset[i])
		return;
	g->unset[i] = false;
	if (g->nsets == g->cap_sets) {
		uint32_t cap = g->cap_sets ? 2 * g->cap_sets : 16;
		uint32_t *p = realloc(g->sets, cap * sizeof *p);
		if (!p) {
			g->r.bad = err_set(g->r.e, ENOMEM, "out of memory");
			return;
		}
		g->sets = p;
		g->cap_sets = cap;
	}
	g->sets[g->nsets++] = i;
}

static void locals_read(struct make *g)
{
	uint64_t all = g->type->np;
	for (uint32_t i = 0; i < g->type->np; i++)
		locals_add(g, 1, g->type->values[i]);
	for (uint32_t n = reader_count(&g->r, "locals", 2); n && !g->r.bad; n--) {
		uint32_t k = reader_u32(&g->r);
		uint32_t type = reader_type(&g->r, g->m);
		all += k;
		if (all > UINT32_MAX)
			reader_fail(&g->r, EBADMSG, "too many locals");
		if (type_is_reference(type) && type_is_nonnull(type))
			unset_add(g, k);
		locals_add(g, k, type);
	}
}

static void local_op(struct make *g, unsigned op)
{
	uint32_t i = reader_u32(&g->r);
	if (g->r.bad || i >= g->nlocals) {
		reader_fail(&g->r, EINVAL, "unknown local %u", i);
		return;
	}
	uint32_t type = g->locals[i];
	uint16_t slot = g->slots[i];
	if (op == 0x20) {
		if (i < g->nunset && g->unset[i])
			reader_fail(&g->r, EINVAL, "uninitialized local %u", i);
		val_push_as(g, (struct val){.where = IN_LOCAL, .slot = slot}, type);
		return;
	}
	struct val v = val_pop(g, type);
	local_set(g, i);
	if (g->r.bad || g->dead) {
		if (op == 0x22)
			val_push(g, type);
		return;
	}
	bool fresh = g->emits && g->fresh == g->n && v.where == AT_HOME &&
		     g->code[g->maker].d == v.home;
	local_leave(g, slot); /* what it writes makes the last instruction another one */
	if (fresh && g->fresh == g->n) {
		g->code[g->maker].d = slot;
		g->fresh = UINT32_MAX;
		v.where = IN_LOCAL;
		v.slot = slot;
	} else if (v.where != IN_LOCAL || v.slot != slot) {
		val_move(g, &v, slot);
	}
	if (op == 0x22)
		val_push_as(g, v, type);
}

static void global_op(struct make *g, unsigned op)
{
	uint32_t i = reader_u32(&g->r);
	if (g->r.bad || i >= g->m->nglobals) {
		reader_fail(&g->r, EINVAL, "unknown global %u", i);
		return;
	}
	const struct wglobal *v = &g->m->globals[i];
	bool wide = v->type == WASM_V128;
	if (op == 0x23) {
		emit_value(g, wide ? CODE_GLOBAL_GET2 : CODE_GLOBAL_GET, v->type, 0)->k = i;
		return;
	}
	if (!v->mutable)
		reader_fail(&g->r, EINVAL, "global is immutable");
	struct val x = val_pop(g, v->type);
	uint16_t a = val_use(g, &x);
	emit(g, wide ? CODE_GLOBAL_SET2 : CODE_GLOBAL_SET, 0, a)->k = i;
}

/* ---- constants, references, and what takes any type ---- */

static void constant_op(struct make *g, unsigned op)
{
	struct val v = {.where = CONSTANT};
	const uint8_t *p;
	switch (op) {
	case 0x41:
		v.k = (uint64_t)reader_signed(&g->r, 32);
		val_push_as(g, v, WASM_I32);
		break;
	case 0x42:
		v.k = (uint64_t)reader_signed(&g->r, 64);
		val_push_as(g, v, WASM_I64);
		break;
	case 0x43:
		p = reader_bytes(&g->r, 4);
		v.k = p ? (uint64_t)(int64_t)(int32_t)le32_at(p) : 0;
		val_push_as(g, v, WASM_F32);
		break;
	default:
		p = reader_bytes(&g->r, 8);
		v.k = p ? le64_at(p) : 0;
		val_push_as(g, v, WASM_F64);
	}
}

static void reference_op(struct make *g, unsigned op)
{
	struct val v;
	uint32_t i;
	switch (op) {
	case 0xd0:
		v = (struct val){.where = CONSTANT};
		val_push_as(g, v, reader_heap(&g->r, g->m));
		break;
	case 0xd1:
		v = reference_pop(g);
		(void)emit_value(g, CODE_i64_eq_k, WASM_I32, val_use(g, &v));
		break;
	default:
		i = reader_u32(&g->r);
		if (!g->r.bad && i >= g->m->nfuncs)
			reader_fail(&g->r, EINVAL, "unknown function %u", i);
		else if (!g->r.bad && !g->m->funcs[i].declared)
			reader_fail(&g->r, EINVAL, "undeclared function reference %u", i);
		emit_value(g, CODE_REF_FUNC, g->r.bad ? WASM_NONE : type_of_function(g->m, i), 0)
		    ->k = i;
	}
}

uint16_t index_use(struct make *g, const struct val *v, uint32_t i)
{
	uint16_t a = val_use(g, v);
	if (table_index_type(g->m, i) == WASM_I32)
		return a;
	(void)emit(g, CODE_CLAMP, v->home, a);
	return v->home;
}

static void table_op(struct make *g, unsigned op)
{
	uint32_t i = reader_u32(&g->r);
	if (g->r.bad || i >= g->m->ntables) {
		reader_fail(&g->r, EINVAL, "unknown table %u", i);
		return;
	}
	struct val v = {0};
	if (op == 0x26) {
		(void)vals_settle(g, 2); /* together, as helpers of compiled code want them */
		v = val_pop(g, g->m->tables[i].type);
	}
	struct val at = val_pop(g, table_index_type(g->m, i));
	uint16_t b = val_use(g, &v), a = index_use(g, &at, i);
	if (op == 0x25)
		emit_value(g, CODE_TABLE_GET, g->m->tables[i].type, a)->k = i;
	else
		emit(g, CODE_TABLE_SET, a, b)->k = i;
}

static void select_op(struct make *g, unsigned op)
{
	uint32_t type = WASM_NONE;
	if (op == 0x1c) {
		uint32_t n = reader_u32(&g->r);
		if (n != 1)
			reader_fail(&g->r, EINVAL, "invalid result arity");
		type = reader_type(&g->r, g->m);
	}
	struct val c = val_pop(g, WASM_I32), y = val_pop(g, type), x = val_pop(g, type);
	if (op == 0x1b && (type_is_reference(x.type) || type_is_reference(y.type)))
		reader_fail(&g->r, EINVAL, "type mismatch: select of references without a type");
	if (op == 0x1b && x.type && y.type && x.type != y.type)
		reader_fail(&g->r, EINVAL, "type mismatch: select of %s and %s",
			    type_text(x.type).s, type_text(y.type).s);
	type = type ? type : x.type ? x.type : y.type;
	uint16_t a = val_use(g, &x), b = val_use(g, &y), k = val_use(g, &c);
	enum code code = type == WASM_V128  ? CODE_SELECT2
			 : type == WASM_I32 ? CODE_SELECT_I32
			 : type == WASM_F32 ? CODE_SELECT_F32
			 : type == WASM_F64 ? CODE_SELECT_F64
					    : CODE_SELECT;
	struct insn *i = emit_value(g, code, type, a);
	i->b = b;
	i->c = k;
}

/* ---- calls ---- */

/* Arguments of a function of type @t, together; returns the slot of the first. */
static uint16_t arguments_take(struct make *g, const struct wtype *t, bool tail)
{
	uint16_t at = g->r.bad || g->dead || g->nvals < t->np ? 0 : vals_settle(g, t->np);
	vals_pop(g, t->values, t->np);
	if (tail && !g->r.bad &&
	    (t->nr != g->type->nr ||
	     (t->nr && !types_fit(type_results(t), type_results(g->type), t->nr))))
		reader_fail(&g->r, EINVAL, "type mismatch: a tail call with other results");
	return at;
}

/* What is on the stack after a call that was emitted. */
static void call_end(struct make *g, const struct wtype *t, bool tail)
{
	if (g->r.bad)
		return;
	if (tail)
		unreachable_from_here(g);
	else
		vals_push(g, type_results(t), t->nr);
}

void op_call(struct make *g, unsigned op)
{
	const struct wtype *t;
	bool tail = op >= 0x12, indirect = op & 1;
	uint32_t i = reader_u32(&g->r), table = indirect ? reader_u32(&g->r) : 0;
	struct val callee = {0};
	if (g->r.bad || i >= (indirect ? g->m->ntypes : g->m->nfuncs)) {
		reader_fail(&g->r, EINVAL, "unknown %s %u", indirect ? "type" : "function", i);
		return;
	}
	t = &g->m->types[indirect ? i : g->m->funcs[i].type];
	if (indirect && table >= g->m->ntables) {
		reader_fail(&g->r, EINVAL, "unknown table %u", table);
		return;
	}
	if (indirect && !type_is_function(g->m->tables[table].type))
		reader_fail(&g->r, EINVAL, "type mismatch: a call through a table of %s",
			    type_text(g->m->tables[table].type).s);
	if (indirect)
		callee = val_pop(g, table_index_type(g->m, table));
	uint16_t a = indirect ? index_use(g, &callee, table) : 0;
	uint16_t at = arguments_take(g, t, tail);
	static const enum code codes[] = {CODE_CALL, CODE_CALL_INDIRECT, CODE_TAIL,
					  CODE_TAIL_INDIRECT};
	emit(g, codes[op - 0x10], at, a)->k = indirect ? t->canon : i;
	if (indirect)
		emit_second(g)->k = table;
	call_end(g, t, tail);
}

/* Through the table behind those of the module, where the function of each reference is. */
static void op_call_reference(struct make *g, unsigned op)
{
	const bool tail = op == 0x15;
	uint32_t i = reader_u32(&g->r);
	if (g->r.bad || i >= g->m->ntypes) {
		reader_fail(&g->r, EINVAL, "unknown type %u", i);
		return;
	}
	const struct wtype *t = &g->m->types[i];
	struct val callee = val_pop(g, t->canon << TYPE_OF | WASM_REF);
	if (!type_is_nonnull(callee.type))
		null_trap(g, &callee, WASM_TRAP_NULL_FUNCTION);
	uint16_t a = val_use(g, &callee);
	uint16_t at = arguments_take(g, t, tail);
	emit(g, tail ? CODE_TAIL_INDIRECT : CODE_CALL_INDIRECT, at, a)->k = t->canon;
	emit_second(g)->k = g->m->ntables;
	call_end(g, t, tail);
}

/* ---- all of it ---- */

static void prefixed(struct make *g, unsigned prefix)
{
	uint32_t op = reader_u32(&g->r);
	if (prefix == 0xfd)
		op_simd(g, op);
	else if (prefix == 0xfe)
		op_atomic(g, op);
	else if (prefix == 0xfb)
		reader_fail(&g->r, ENOTSUP, "garbage collection (instruction 0xfb %u)", op);
	else if (op < 8)
		emit_numeric(g, 0x100 + op);
	else if (op < 18)
		op_bulk(g, op);
	else
		reader_fail(&g->r, EBADMSG, "illegal opcode 0xfc %u", op);
}

static void unknown(struct make *g, unsigned op)
{
	if (op == 0xd3)
		reader_fail(&g->r, ENOTSUP, "garbage collection (instruction 0x%02x)", op);
	else
		reader_fail(&g->r, EBADMSG, "illegal opcode 0x%02x", op);
}

static void op_read(struct make *g)
{
	g->op_at = g->r.p;
	unsigned op = reader_byte(&g->r);
	if (g->r.bad)
		return;
	if (op >= 0x45 && op <= 0xc4)
		emit_numeric(g, op);
	else if (op >= 0x20 && op <= 0x22)
		local_op(g, op);
	else if (op >= 0x28 && op <= 0x40)
		op_memory(g, op);
	else if (op >= 0x41 && op <= 0x44)
		constant_op(g, op);
	else if (op == 0x23 || op == 0x24)
		global_op(g, op);
	else if (op == 0x25 || op == 0x26)
		table_op(g, op);
	else if (op >= 0x10 && op <= 0x13)
		op_call(g, op);
	else if (op == 0x14 || op == 0x15)
		op_call_reference(g, op);
	else if (op == 0x1a)
		(void)val_pop(g, WASM_NONE);
	else if (op == 0x1b || op == 0x1c)
		select_op(g, op);
	else if (op >= 0xd0 && op <= 0xd2)
		reference_op(g, op);
	else if (op >= 0xd4 && op <= 0xd6)
		op_null(g, op);
	else if (op >= 0xfb && op <= 0xfe)
		prefixed(g, op);
	else if ((op >= 0x06 && op <= 0x0a) || op == 0x18 || op == 0x19 || op == 0x1f)
		op_exception(g, op);
	else if (op <= 0x05 || (op >= 0x0b && op <= 0x0f))
		op_control(g, op);
	else
		unknown(g, op);
}

/* The reason with its function, and the line if the module says which. */
static int failed(const struct make *g, uint32_t func, struct lodge_err *e)
{
	const struct debug *d = &g->m->debug;
	const uint64_t address =
	    (uint64_t)((g->op_at - g->r.base) - (d->code - g->m->bytes));
	struct line_place line;
	char text[LINE_TEXT];
	lines_find(d, &address, 1, &line);
	line_text(&line, text);
	return err_in(e, g->r.bad, "%s%sfunction %u", text, *text ? ": " : "", func);
}

/* The block that is the whole function. */
static void body_begin(struct make *g)
{
	const struct wtype *t = g->type;
	g->ctrls = calloc(16, sizeof *g->ctrls);
	g->cap_ctrls = g->ctrls ? 16 : 0;
	if (!g->ctrls) {
		g->r.bad = err_set(g->r.e, ENOMEM, "out of memory");
		return;
	}
	g->nctrls = 1;
	g->max = g->top;
	g->ctrls[0] = (struct ctrl){.kind = BODY,
				    .out = type_results(t),
				    .nout = t->nr,
				    .home = (uint16_t)g->top,
				    .patches = NO_PATCH,
				    .otherwise = NO_PATCH};
}

/* The bytes of a function, or a copy of them, if they may change while they are read. */
static bool body_take(const struct wasm_module *m, const struct span *body, uint8_t **copy,
		      struct reader *ret)
{
	*ret = (struct reader){.base = m->bytes, .p = body->at, .end = body->at + body->len};
	if (!m->mapped)
		return true;
	if (!(*copy = malloc(body->len + 1)))
		return false;
	memcpy(*copy, body->at, body->len);
	/* what says where an error is counts from there */
	ret->base = *copy - (body->at - m->bytes);
	ret->p = *copy;
	ret->end = *copy + body->len;
	return true;
}

int func_make(const struct wasm_module *m, uint32_t func, struct made *out, bool want_offsets,
	      struct lodge_err *e)
{
	const struct wfunc *f = &m->funcs[func];
	struct make g = {.m = m, .type = &m->types[f->type], .fresh = UINT32_MAX};
	autofree uint8_t *copy = NULL;
	if (!body_take(m, &f->body, &copy, &g.r))
		return err_set(e, ENOMEM, "out of memory");
	g.r.e = e;
	g.emits = out;
	g.op_at = g.r.p;
	if (want_offsets && !(g.offsets = malloc(64 * sizeof *g.offsets)))
		return err_set(e, ENOMEM, "out of memory");
	locals_read(&g);
	uint16_t locals = (uint16_t)g.top;
	if (!g.r.bad)
		body_begin(&g);
	while (!g.r.bad && g.nctrls)
		op_read(&g);
	if (!g.r.bad && g.r.p != g.r.end)
		reader_fail(&g.r, EBADMSG, "section size mismatch: code behind the end");
	free(g.locals);
	free(g.slots);
	free(g.unset);
	free(g.sets);
	free(g.vals);
	free(g.ctrls);
	catches_sort(&g);
	if (g.r.bad || !out) {
		free(g.code);
		free(g.offsets);
		free(g.catches);
		return g.r.bad ? failed(&g, func, e) : 0;
	}
	uint32_t results = g.type->rslots;
	*out = (struct made){.at = g.code,
			     .n = g.n,
			     .nslots = g.max > results ? g.max : results,
			     .nlocals = locals,
			     .offsets = g.offsets,
			     .catches = g.catches,
			     .ncatches = g.ncatches,
			     .references = g.references};
	return 0;
}

void made_fini(struct made *m)
{
	free(m->at);
	free(m->offsets);
	free(m->catches);
}
