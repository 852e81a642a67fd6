/* SPDX-License-Identifier: Apache-2.0 */
/* Constant expressions: initial values of globals, places and elements of segments. The same
 * function validates and, with an instance, computes. Spec: WASM-CORE 2.0 §3.3.10; extended ones of
 * 3.0: sums and products of integers. */
#include "wasm/internal.h"

enum { DEPTH = 64 };
struct machine {
	const struct wasm_module *m;
	struct wasm *w; /* NULL: types only */
	struct reader *r;
	unsigned n;
	uint32_t types[DEPTH];
	struct wvalue values[DEPTH];
};

static void value_push(struct machine *c, uint32_t type, uint64_t v)
{
	if (c->n == DEPTH) {
		reader_fail(c->r, ENOTSUP, "a constant expression that is nested so deeply");
		return;
	}
	c->types[c->n] = type;
	c->values[c->n++] = (struct wvalue){v, 0};
}

static void global_value(struct machine *c)
{
	uint32_t i = reader_u32(c->r);
	if (c->r->bad)
		return;
	if (i >= c->m->nglobals) {
		reader_fail(c->r, EINVAL, "unknown global %u", i);
		return;
	}
	if (c->m->globals[i].mutable)
		reader_fail(c->r, EINVAL, "constant expression required: global %u is mutable", i);
	value_push(c, c->m->globals[i].type, 0);
	if (c->w && c->n)
		c->values[c->n - 1] = c->w->globals[i];
}

static void function_value(struct machine *c)
{
	uint32_t i = reader_u32(c->r);
	if (!c->r->bad && i >= c->m->nfuncs)
		reader_fail(c->r, EINVAL, "unknown function %u", i);
	if (!c->r->bad && !c->m->funcs[i].declared) /* threads may share the module later */
		c->m->funcs[i].declared = true;
	if (!c->r->bad)
		value_push(c, type_of_function(c->m, i), (uint64_t)i + 1);
}

static void sum(struct machine *c, uint8_t op)
{
	uint8_t type = op < 0x7c ? WASM_I32 : WASM_I64;
	if (c->n < 2 || c->types[c->n - 1] != type || c->types[c->n - 2] != type) {
		reader_fail(c->r, EINVAL, "type mismatch in a constant expression");
		return;
	}
	uint64_t y = c->values[--c->n].lo, *x = &c->values[c->n - 1].lo;
	unsigned what = op < 0x7c ? op - 0x6au : op - 0x7cu;
	*x = what == 0 ? *x + y : what == 1 ? *x - y : *x * y;
	if (type == WASM_I32)
		*x = (uint32_t)*x;
}

static void step(struct machine *c, uint8_t op)
{
	const uint8_t *p;
	uint32_t type;
	switch (op) {
	case 0x23: global_value(c); break;
	case 0x41: value_push(c, WASM_I32, (uint32_t)reader_signed(c->r, 32)); break;
	case 0x42: value_push(c, WASM_I64, (uint64_t)reader_signed(c->r, 64)); break;
	case 0x43:
		p = reader_bytes(c->r, 4);
		value_push(c, WASM_F32, p ? le32_at(p) : 0);
		break;
	case 0x44:
		p = reader_bytes(c->r, 8);
		value_push(c, WASM_F64, p ? le64_at(p) : 0);
		break;
	case 0xd0:
		type = reader_heap(c->r, c->m);
		value_push(c, type, 0);
		break;
	case 0xd2: function_value(c); break;
	case 0x6a:
	case 0x6b:
	case 0x6c:
	case 0x7c:
	case 0x7d:
	case 0x7e: sum(c, op); break;
	case 0xfd:
		if (reader_u32(c->r) != 12)
			reader_fail(c->r, EINVAL, "constant expression required: a vector");
		p = reader_bytes(c->r, 16);
		value_push(c, WASM_V128, p ? le64_at(p) : 0);
		if (p && c->n)
			c->values[c->n - 1].hi = le64_at(p + 8);
		break;
	default:
		reader_fail(c->r, EINVAL, "constant expression required: opcode 0x%02x", op);
	}
}

/* Nearly all are one number, small and of 32 bits: a module may have ten thousands of them. */
static bool number_read(struct reader *r, uint32_t want, struct wvalue *ret)
{
	const uint8_t *p = r->p + 1;
	uint32_t v = 0;
	unsigned at = 0;
	if (r->bad || want != WASM_I32 || r->end - r->p < 6 || r->p[0] != 0x41)
		return false;
	for (; *p & 0x80 && at < 21; at += 7)
		v |= (uint32_t)(*p++ & 0x7f) << at;
	v |= (uint32_t)*p << at;
	if (*p & 0x80 || p[1] != 0x0b)
		return false; /* a larger one, or a sum */
	if (*p & 0x40)
		v |= UINT32_MAX << (at + 7);
	r->p = p + 2;
	if (ret)
		*ret = (struct wvalue){v, 0};
	return true;
}

int constant_read(const struct wasm_module *m, struct reader *r, uint32_t want, struct wasm *w,
		  struct wvalue *ret)
{
	if (number_read(r, want, ret))
		return 0;
	struct machine c; /* most of it is never looked at */
	c.m = m;
	c.w = w;
	c.r = r;
	c.n = 0;
	uint8_t op;
	while ((op = reader_byte(r)) != 0x0b && !r->bad)
		step(&c, op);
	if (!r->bad && (c.n != 1 || !type_fits(c.types[0], want)))
		reader_fail(r, EINVAL, "type mismatch: a constant expression of %s, not one %s",
			    c.n ? type_text(c.types[c.n - 1]).s : "nothing", type_text(want).s);
	if (!r->bad && ret)
		*ret = c.values[0];
	return r->bad;
}

struct wvalue constant_value(struct wasm *w, struct span s, uint32_t type)
{
	struct wvalue v = {0, 0};
	struct reader r = {.base = w->m->bytes, .p = s.at, .end = s.at + s.len};
	(void)!constant_read(w->m, &r, type, w, &v);
	return v;
}
