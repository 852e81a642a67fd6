/* SPDX-License-Identifier: Apache-2.0 */
/* Loads, stores, and what memories and tables do as a whole. Memory 0 with 32-bit addresses lies in
 * a span that no such access can leave; others are checked access by access. */
#include "wasm/make.h"

struct access {
	uint8_t type, bytes;
	bool store;
	uint16_t code;
};
static const struct access accesses[0x40] = {
#define LOAD(op, name, t, bytes, from) [op] = {WASM_##t, bytes, false, CODE_##name},
#define STORE(op, name, t, bytes, to) [op] = {WASM_##t, bytes, true, CODE_##name},
#define WASM_i32 WASM_I32
#define WASM_i64 WASM_I64
#include "wasm/mem.def"
};

static uint8_t access_type(unsigned op)
{
	return op == 0x2a || op == 0x38	  ? WASM_F32
	       : op == 0x2b || op == 0x39 ? WASM_F64
					  : accesses[op].type;
}

static uint32_t memory_read_index(struct make *g)
{
	uint32_t i = reader_u32(&g->r);
	if (!g->r.bad && i >= g->m->nmemories)
		reader_fail(&g->r, EINVAL, "unknown memory %u", i);
	return g->r.bad ? 0 : i;
}

static uint8_t memory_type(const struct make *g, uint32_t i)
{
	return i < g->m->nmemories && g->m->memories[i].is64 ? WASM_I64 : WASM_I32;
}

struct memarg memarg_read(struct make *g, unsigned bytes)
{
	uint32_t align = reader_u32(&g->r), i = 0;
	if (likely(align < 5 && 1u << align <= bytes && !g->r.bad && g->m->nmemories &&
		   !g->m->memories[0].is64))
		return (struct memarg){0, reader_u32(&g->r), WASM_I32, bytes, align};
	if (align & 64)
		i = reader_u32(&g->r);
	if (!g->r.bad && align >= 128)
		reader_fail(&g->r, EBADMSG, "malformed memop flags");
	if (!g->r.bad && i >= g->m->nmemories)
		reader_fail(&g->r, EINVAL, "unknown memory %u", i);
	align &= 63;
	if (!g->r.bad && (align > 4 || 1u << align > bytes))
		reader_fail(&g->r, EINVAL, "alignment must not be larger than natural");
	i = g->r.bad ? 0 : i;
	struct memarg m = {i, 0, memory_type(g, i), bytes, align};
	m.offset = m.type == WASM_I64 ? reader_u64(&g->r) : reader_u32(&g->r);
	return m;
}

/* The slot with the address of @v; true: it was checked. */
static bool address_use(struct make *g, const struct val *v, struct memarg m, uint16_t *ret)
{
	uint16_t a = val_use(g, v);
	*ret = a;
	if (m.memory == 0 && m.type == WASM_I32)
		return false;
	struct insn *i = emit(g, CODE_ADDRESS, v->home, a);
	i->b = (uint16_t)m.bytes;
	i->c = 0;
	i = emit_second(g);
	i->code = m.offset;
	i->k = m.memory;
	*ret = v->home;
	return true;
}

/* The last instruction, taken out of the code, if it is the sum that is the address @v of an access
 * to memory 0, and what is stored there, @stored, may be put into its slot before. */
static bool sum_take(struct make *g, const struct val *v, struct memarg m,
		     const struct val *stored, struct insn *ret)
{
	const struct insn *i = fresh_of(g, v);
	if (m.memory || m.type != WASM_I32 || m.offset || !i ||
	    (i->code != CODE_SHLADD32 && i->code != CODE_i32_add))
		return false;
	if (stored && stored->where == CONSTANT &&
	    (i->a == stored->home || i->b == stored->home))
		return false;
	*ret = *i;
	if (i->code == CODE_i32_add)
		ret->c = 0;
	g->n--;
	g->fresh = UINT32_MAX;
	return true;
}

void emit_load(struct make *g, struct memarg m, struct val where, enum code code, uint8_t type)
{
	uint16_t at;
	struct insn sum;
	if (code != CODE_v128_load && sum_take(g, &where, m, NULL, &sum)) {
		struct insn *i = emit_value(g, code + 2u, type, sum.a);
		i->b = sum.b;
		i->c = sum.c;
		return;
	}
	bool checked = address_use(g, &where, m, &at);
	emit_value(g, code + (checked ? 1u : 0u), type, at)->k = (uint32_t)m.offset;
}

void emit_store(struct make *g, struct memarg m, struct val where, enum code code, uint16_t from)
{
	uint16_t at;
	bool checked = address_use(g, &where, m, &at);
	emit(g, code + (checked ? 1u : 0u), at, from)->k = (uint32_t)m.offset;
}

static void access_op(struct make *g, unsigned op)
{
	const struct access *s = &accesses[op];
	struct memarg m = memarg_read(g, s->bytes);
	struct val value = {0};
	if (s->store)
		value = val_pop(g, access_type(op));
	struct val where = val_pop(g, m.type);
	if (g->r.bad)
		return;
	struct insn sum;
	if (s->store && sum_take(g, &where, m, &value, &sum)) {
		uint16_t from = val_use(g, &value);
		struct insn *i = emit(g, s->code + 2u, sum.b, from);
		i->b = sum.a;
		i->c = sum.c;
	} else if (s->store) {
		emit_store(g, m, where, s->code, val_use(g, &value));
	} else {
		emit_load(g, m, where, s->code, access_type(op));
	}
}

void op_atomic(struct make *g, unsigned op)
{
	struct atomic_shape s;
	if (op == ATOMIC_FENCE) {
		if (reader_byte(&g->r))
			reader_fail(&g->r, EBADMSG, "zero byte expected behind atomic.fence");
		if (!g->m->nmemories) /* there is nothing to be in order */
			return;
		(void)emit(g, CODE_ATOMIC, (uint16_t)g->top, 0);
		*emit_second(g) = (struct insn){.code = 0, .d = ATOMIC_FENCE};
		return;
	}
	if (!atomic_shape(op, &s)) {
		reader_fail(&g->r, EBADMSG, "illegal opcode 0xfe %u", op);
		return;
	}
	struct memarg m = memarg_read(g, s.bytes);
	if (!g->r.bad && 1u << m.align != s.bytes)
		reader_fail(&g->r, EINVAL, "atomic alignment must be natural");
	const uint32_t types[] = {m.type, s.in[0], s.in[1]};
	uint16_t at = g->dead || g->nvals < s.n + 1u ? 0 : vals_settle(g, s.n + 1u);
	vals_pop(g, types, s.n + 1u);
	(void)emit(g, CODE_ATOMIC, at, 0);
	struct insn *i = emit_second(g);
	i->code = m.offset;
	i->k = m.memory;
	i->d = (uint16_t)op;
	if (s.out)
		val_push(g, s.out);
}

/* A call of a C function; what it takes and leaves lies together. */
static void help(struct make *g, enum help h, const uint32_t *types, uint32_t out, uint32_t i,
		 uint32_t j)
{
	uint32_t n = 0;
	while (types[n])
		n++;
	uint16_t at = g->dead || g->nvals < n ? 0 : vals_settle(g, n);
	bool table = h >= HELP_TABLE_SIZE;
	vals_pop(g, types, n);
	for (uint32_t k = 0; table && k < n && !g->dead && !g->r.bad; k++)
		if (types[k] == WASM_I64) { /* each takes one slot */
			uint16_t slot = (uint16_t)(at + k);
			(void)emit(g, CODE_CLAMP, slot, slot);
		}
	struct insn *c = emit(g, CODE_HELP, at, (uint16_t)h);
	c->k = i;
	emit_second(g)->k = j;
	if (out)
		val_push(g, out);
}

/* Types of operands. */
#define TYPES(...) ((const uint32_t[]){__VA_ARGS__, 0})
#define NO_TYPES   ((const uint32_t[]){0})

void op_memory(struct make *g, unsigned op)
{
	if (op < 0x3f) {
		access_op(g, op);
		return;
	}
	uint32_t i = memory_read_index(g);
	uint8_t t = memory_type(g, i);
	if (op == 0x3f)
		help(g, HELP_MEMORY_SIZE, NO_TYPES, t, i, 0);
	else
		help(g, HELP_MEMORY_GROW, TYPES(t), t, i, 0);
}

static uint32_t index_read(struct make *g, const char *what, uint32_t n)
{
	uint32_t i = reader_u32(&g->r);
	if (!g->r.bad && i >= n)
		reader_fail(&g->r, EINVAL, "unknown %s %u", what, i);
	return g->r.bad ? 0 : i;
}

static uint32_t data_read_index(struct make *g)
{
	if (!g->m->has_data_count)
		reader_fail(&g->r, EBADMSG, "data count section required");
	return index_read(g, "data segment", g->m->data_count);
}

static uint32_t table_type(const struct make *g, uint32_t i)
{
	return i < g->m->ntables ? g->m->tables[i].type : WASM_NONE;
}

static void bulk_memory(struct make *g, unsigned op)
{
	uint32_t i, j;
	uint32_t t, u, n = WASM_I32;
	switch (op) {
	case 8:
		i = data_read_index(g);
		j = memory_read_index(g);
		help(g, HELP_MEMORY_INIT, TYPES(memory_type(g, j), n, n), 0, i, j);
		break;
	case 9: help(g, HELP_DATA_DROP, NO_TYPES, 0, data_read_index(g), 0); break;
	case 10:
		i = memory_read_index(g);
		j = memory_read_index(g);
		t = memory_type(g, i);
		u = memory_type(g, j);
		n = t == WASM_I64 ? u : t;
		help(g, HELP_MEMORY_COPY, TYPES(t, u, n), 0, i, j);
		break;
	default:
		i = memory_read_index(g);
		t = memory_type(g, i);
		help(g, HELP_MEMORY_FILL, TYPES(t, n, t), 0, i, 0);
	}
}

static uint32_t index_type(const struct make *g, uint32_t i)
{
	return table_index_type(g->m, i);
}

static void bulk_tables(struct make *g, bool init)
{
	const uint32_t n = WASM_I32;
	uint32_t i = init ? index_read(g, "element segment", g->m->nelems)
			  : index_read(g, "table", g->m->ntables);
	uint32_t j = index_read(g, "table", g->m->ntables);
	if (g->r.bad)
		return;
	if (init && !type_fits(g->m->elems[i].type, table_type(g, j)))
		reader_fail(&g->r, EINVAL, "type mismatch: elements of another type");
	if (!init && !type_fits(table_type(g, j), table_type(g, i)))
		reader_fail(&g->r, EINVAL, "type mismatch: tables of other types");
	uint32_t t = index_type(g, init ? j : i), u = index_type(g, j);
	if (init)
		help(g, HELP_TABLE_INIT, TYPES(t, n, n), 0, i, j);
	else
		help(g, HELP_TABLE_COPY, TYPES(t, u, t == u ? t : n), 0, i, j);
}

static void bulk_table(struct make *g, unsigned op)
{
	uint32_t i;
	if (op == 12 || op == 14) {
		bulk_tables(g, op == 12);
		return;
	}
	i = op == 13 ? index_read(g, "element segment", g->m->nelems)
		     : index_read(g, "table", g->m->ntables);
	uint32_t t = index_type(g, i), ref = table_type(g, i);
	switch (op) {
	case 13: help(g, HELP_ELEM_DROP, NO_TYPES, 0, i, 0); break;
	case 15: help(g, HELP_TABLE_GROW, TYPES(ref, t), t, i, 0); break;
	case 16: help(g, HELP_TABLE_SIZE, NO_TYPES, t, i, 0); break;
	default: help(g, HELP_TABLE_FILL, TYPES(t, ref, t), 0, i, 0);
	}
}

void op_bulk(struct make *g, unsigned op)
{
	if (op < 12)
		bulk_memory(g, op);
	else
		bulk_table(g, op);
}
