/* SPDX-License-Identifier: Apache-2.0 */
/* What follows the name of an instruction. Spec: WASM-TEXT 3.0 §6.5 */
#include "wat/internal.h"

void opcode_put(struct bytes *to, const struct mnemonic *m)
{
	if (m->prefix) {
		byte_put(to, m->prefix);
		unsigned_put(to, m->code);
	} else {
		byte_put(to, m->code);
	}
}

/* ---- accesses to memory ---- */

/* "offset=8": the number behind the sign. */
static bool option_take(struct wat *w, const char *name, uint64_t *ret)
{
	if (!token_begins(&w->t, name))
		return false;
	const uint32_t n = (uint32_t)strlen(name);
	w->t.at += n;
	w->t.len -= n;
	if (!w->t.len)
		wat_expected(w, "a number behind =");
	*ret = unsigned_take(w, 64);
	return true;
}

struct access {
	uint32_t memory;
	uint64_t offset, align;
};

static void access_put(struct bytes *to, const struct access *a)
{
	unsigned flags = (unsigned)__builtin_ctzll(a->align);
	unsigned_put(to, a->memory ? flags | 0x40 : flags);
	if (a->memory)
		unsigned_put(to, a->memory);
	unsigned_put(to, a->offset);
}

static void options_take(struct wat *w, struct access *a)
{
	(void)option_take(w, "offset=", &a->offset);
	const char *at = w->t.at;
	if (option_take(w, "align=", &a->align) && (!a->align || a->align & (a->align - 1))) {
		(void)wat_fail(w, at, "an alignment is a power of two");
		a->align = 1;
	}
}

static void access_take(struct wat *w, const struct mnemonic *m, struct bytes *to)
{
	struct access a = {.align = m->bytes};
	if (index_is_next(w))
		a.memory = index_take(w, SPACE_MEMORY);
	options_take(w, &a);
	access_put(to, &a);
}

/* A number may be the memory or the lane: it is the lane if no other number comes behind. */
static void access_lane_take(struct wat *w, const struct mnemonic *m, struct bytes *to)
{
	struct access a = {.align = m->bytes};
	const struct token first = w->t;
	uint32_t one = 0;
	bool any = index_is_next(w);
	if (any)
		one = index_take(w, SPACE_MEMORY);
	const char *options = w->t.at;
	options_take(w, &a);
	if (any && first.kind != TOKEN_ID && !token_is_number(&w->t) && options == w->t.at) {
		access_put(to, &a);
		if (one > UINT8_MAX)
			(void)wat_fail(w, first.at, "a lane has a number below 256");
		byte_put(to, one);
		return;
	}
	a.memory = one;
	access_put(to, &a);
	byte_put(to, (unsigned)unsigned_take(w, 8));
}

/* ---- vectors ---- */

static void little_put(struct bytes *to, uint64_t v, unsigned n)
{
	uint8_t b[8];
	le64_put(b, v);
	bytes_put(to, b, n);
}

static void vector_take(struct wat *w, struct bytes *to)
{
	static const struct {
		const char *name;
		uint8_t lanes;
		bool floats;
	} forms[] = {{"i8x16", 16, false}, {"i16x8", 8, false}, {"i32x4", 4, false},
		     {"i64x2", 2, false},  {"f32x4", 4, true},	{"f64x2", 2, true}};
	for (size_t i = 0; i < countof(forms); i++) {
		const unsigned bytes = 16 / forms[i].lanes;
		if (!word_take(w, forms[i].name))
			continue;
		for (unsigned k = 0; k < forms[i].lanes && !w->bad; k++)
			little_put(to, forms[i].floats ? float_take(w, bytes == 8)
						       : integer_take(w, 8 * bytes), bytes);
		return;
	}
	wat_expected(w, "the form of a vector (i8x16, i16x8, i32x4, i64x2, f32x4, f64x2)");
}

/* ---- indices ---- */

static void labels_take(struct wat *w, struct bytes *to)
{
	struct bytes *all = &w->scratch;
	uint32_t n = 0, last = label_take(w);
	all->n = 0;
	for (; index_is_next(w) && !w->bad; n++) {
		unsigned_put(all, last);
		last = label_take(w);
	}
	unsigned_put(to, n);
	bytes_put(to, all->at, all->n);
	unsigned_put(to, last);
	to->failed |= all->failed;
}

static void select_take(struct wat *w, struct bytes *to)
{
	struct bytes *all = &w->scratch;
	if (!open_is(w, "result"))
		return;
	all->n = 0;
	uint32_t n = types_take(w, "result", all, USE_IDLE);
	if (to->n)
		to->at[to->n - 1] = 0x1c;
	unsigned_put(to, n);
	bytes_put(to, all->at, all->n);
	to->failed |= all->failed;
}

/* call_indirect: table and type, the other way round in bytes. */
static void indirect_take(struct wat *w, struct bytes *to)
{
	uint32_t table = index_is_next(w) ? index_take(w, SPACE_TABLE) : 0;
	unsigned_put(to, use_take(w, USE_NAMELESS).type);
	unsigned_put(to, table);
}

/* Both or none. */
static void two_take(struct wat *w, enum space space, struct bytes *to)
{
	uint32_t a = 0, b = 0;
	if (index_is_next(w)) {
		a = index_take(w, space);
		b = index_take(w, space);
	}
	unsigned_put(to, a);
	unsigned_put(to, b);
}

/* memory.init and table.init: [@space] @segment. */
static void init_take(struct wat *w, enum space space, enum space segment, struct bytes *to)
{
	const struct token *second = token_ahead(w);
	bool both = second->kind == TOKEN_ID || token_is_number(second);
	uint32_t a = both ? index_take(w, space) : 0;
	unsigned_put(to, index_take(w, segment));
	unsigned_put(to, a);
}

static void default_take(struct wat *w, enum space space, struct bytes *to)
{
	unsigned_put(to, index_is_next(w) ? index_take(w, space) : 0);
}

static void constant_take(struct wat *w, enum shape shape, struct bytes *to)
{
	if (shape == SHAPE_I32)
		signed_put(to, (int32_t)integer_take(w, 32));
	else if (shape == SHAPE_I64)
		signed_put(to, (int64_t)integer_take(w, 64));
	else if (shape == SHAPE_F32)
		little_put(to, float_take(w, false), 4);
	else
		little_put(to, float_take(w, true), 8);
}

/* Segments, of which the text may have more than the module says before its code. */
static void data_take(struct wat *w, const struct mnemonic *m, struct bytes *to)
{
	w->data_counted = true;
	if (m->shape == SHAPE_DATA)
		unsigned_put(to, index_take(w, SPACE_DATA));
	else
		init_take(w, SPACE_MEMORY, SPACE_DATA, to);
}

static void lanes_take(struct wat *w, unsigned n, struct bytes *to)
{
	while (n-- && !w->bad)
		byte_put(to, (unsigned)unsigned_take(w, 8));
}

void operands_take(struct wat *w, const struct mnemonic *m, struct bytes *to)
{
	switch (m->shape) {
	case SHAPE_LABEL: unsigned_put(to, label_take(w)); break;
	case SHAPE_LABELS: labels_take(w, to); break;
	case SHAPE_FUNC: unsigned_put(to, index_take(w, SPACE_FUNC)); break;
	case SHAPE_INDIRECT: indirect_take(w, to); break;
	case SHAPE_LOCAL: unsigned_put(to, local_take(w)); break;
	case SHAPE_GLOBAL: unsigned_put(to, index_take(w, SPACE_GLOBAL)); break;
	case SHAPE_TAG: unsigned_put(to, index_take(w, SPACE_TAG)); break;
	case SHAPE_ELEM: unsigned_put(to, index_take(w, SPACE_ELEM)); break;
	case SHAPE_TABLE: default_take(w, SPACE_TABLE, to); break;
	case SHAPE_TABLES: two_take(w, SPACE_TABLE, to); break;
	case SHAPE_TABLE_INIT: init_take(w, SPACE_TABLE, SPACE_ELEM, to); break;
	case SHAPE_MEMORY: default_take(w, SPACE_MEMORY, to); break;
	case SHAPE_MEMORIES: two_take(w, SPACE_MEMORY, to); break;
	case SHAPE_DATA:
	case SHAPE_MEMORY_INIT: data_take(w, m, to); break;
	case SHAPE_SELECT: select_take(w, to); break;
	case SHAPE_ACCESS: access_take(w, m, to); break;
	case SHAPE_ACCESS_LANE: access_lane_take(w, m, to); break;
	case SHAPE_I32:
	case SHAPE_I64:
	case SHAPE_F32:
	case SHAPE_F64: constant_take(w, m->shape, to); break;
	case SHAPE_V128: vector_take(w, to); break;
	case SHAPE_LANE: lanes_take(w, 1, to); break;
	case SHAPE_SHUFFLE: lanes_take(w, 16, to); break;
	case SHAPE_NULL: heap_put(w, to); break;
	case SHAPE_TYPE: unsigned_put(to, index_take(w, SPACE_TYPE)); break;
	case SHAPE_FENCE: byte_put(to, 0); break;
	default: break; /* nothing, or a block: body.c */
	}
}
