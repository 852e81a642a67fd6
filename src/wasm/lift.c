/* SPDX-License-Identifier: Apache-2.0 */
/* The code of a function as IR, instruction by instruction: one group each, so that numbers of
 * groups are numbers of instructions. Slots have the offsets of guest state. */
#include "ir/ir.h"
#include "jit/jit.h"
#include "wasm/internal.h"
#include "wasm/known.h"
#include <stdlib.h>

enum lift_kind {
	LIFT_NONE, /* no row: by hand, or as a helper */
	LIFT_TWO, LIFT_TWO_K,
	LIFT_CMP, LIFT_CMP_K, LIFT_IF, LIFT_IF_K, LIFT_UNLESS, LIFT_UNLESS_K,
	LIFT_DIVIDE, LIFT_FLOAT, LIFT_FCMP, LIFT_FIF, LIFT_FUNLESS,
	LIFT_ONE, LIFT_FONE, LIFT_EXTEND, LIFT_BITS,
	LIFT_LOAD, LIFT_LOAD_AT, LIFT_LOAD_IN, LIFT_STORE, LIFT_STORE_AT, LIFT_STORE_IN,
	LIFT_FUSED
};
struct row {
	uint8_t kind, op, type, from; /* op: of the IR, or enum ir_fop */
	bool swap, not, is_signed;
	uint8_t bytes;
};
#define TWO(name, ir)										   \
	[CODE_i32_##name] = {.kind = LIFT_TWO, ir, IR_I32},					   \
	[CODE_i64_##name] = {.kind = LIFT_TWO, ir, IR_I64},					   \
	[CODE_i32_##name##_k] = {.kind = LIFT_TWO_K, ir, IR_I32},				   \
	[CODE_i64_##name##_k] = {.kind = LIFT_TWO_K, ir, IR_I64},
#define CMP1(t, name, ir, s, n)									   \
	[CODE_##t##_##name] = {.kind = LIFT_CMP, ir, 0, 0, s, n},				   \
	[CODE_##t##_##name##_k] = {.kind = LIFT_CMP_K, ir, 0, 0, s, n},				   \
	[CODE_##t##_##name##_if] = {.kind = LIFT_IF, ir, 0, 0, s, n},				   \
	[CODE_##t##_##name##_if_k] = {.kind = LIFT_IF_K, ir, 0, 0, s, n},			   \
	[CODE_##t##_##name##_unless] = {.kind = LIFT_UNLESS, ir, 0, 0, s, n},			   \
	[CODE_##t##_##name##_unless_k] = {.kind = LIFT_UNLESS_K, ir, 0, 0, s, n},
#define COMPARE(name, ir, s, n) CMP1(i32, name, ir, s, n) CMP1(i64, name, ir, s, n)
#define DIV(name, ir)										   \
	[CODE_i32_##name] = {.kind = LIFT_DIVIDE, ir, IR_I32},					   \
	[CODE_i64_##name] = {.kind = LIFT_DIVIDE, ir, IR_I64},
#define FLOAT(name)										   \
	[CODE_f32_##name] = {.kind = LIFT_FLOAT, FOP_##name, IR_F32},				   \
	[CODE_f64_##name] = {.kind = LIFT_FLOAT, FOP_##name, IR_F64},
#define FCOMPARE1(t, T, name)									   \
	[CODE_##t##_##name] = {.kind = LIFT_FCMP, FOP_##name, T},				   \
	[CODE_##t##_##name##_if] = {.kind = LIFT_FIF, FOP_##name, T},				   \
	[CODE_##t##_##name##_unless] = {.kind = LIFT_FUNLESS, FOP_##name, T},
#define FCOMPARE(name) FCOMPARE1(f32, IR_F32, name) FCOMPARE1(f64, IR_F64, name)
#define ONE(name, ir)										   \
	[CODE_i32_##name] = {.kind = LIFT_ONE, ir, IR_I32},					   \
	[CODE_i64_##name] = {.kind = LIFT_ONE, ir, IR_I64},
#define FONE(name)										   \
	[CODE_f32_##name] = {.kind = LIFT_FONE, FOP_##name, IR_F32, IR_F32},			   \
	[CODE_f64_##name] = {.kind = LIFT_FONE, FOP_##name, IR_F64, IR_F64},
#define CONVERT(name, fop, to, from) [CODE_##name] = {.kind = LIFT_FONE, fop, to, from},
#define EXTEND(name, bits, type, sign)								   \
	[CODE_##name] = {.kind = LIFT_EXTEND, 0, type, .is_signed = sign, .bytes = bits},
#define BITS(name, to, from) [CODE_##name] = {.kind = LIFT_BITS, 0, to, from},
#define LOADS_V(name, t, n, sign)								   \
	[CODE_##name] = {.kind = LIFT_LOAD, 0, t, .is_signed = sign, .bytes = n},		   \
	[CODE_##name##_at] = {.kind = LIFT_LOAD_AT, 0, t, .is_signed = sign, .bytes = n},
#define STORES_V(name, t, n)									   \
	[CODE_##name] = {.kind = LIFT_STORE, 0, t, .bytes = n},					   \
	[CODE_##name##_at] = {.kind = LIFT_STORE_AT, 0, t, .bytes = n},
#define LOADS(name, t, n, sign)									   \
	LOADS_V(name, t, n, sign)								   \
	[CODE_##name##_in] = {.kind = LIFT_LOAD_IN, 0, t, .is_signed = sign, .bytes = n},
#define STORES(name, t, n)									   \
	STORES_V(name, t, n)									   \
	[CODE_##name##_in] = {.kind = LIFT_STORE_IN, 0, t, .bytes = n},
/* is_signed: the product comes second */
#define FUSED(t, name, op, first, second)							   \
	[CODE_##t##_##name] = {LIFT_FUSED, FOP_##op, TYPE_##t, .is_signed = IS_SECOND_##first},
#define TYPE_f32 IR_F32
#define TYPE_f64 IR_F64
#define IS_SECOND_p false
#define IS_SECOND_z true

static const struct row rows[CODE_COUNT] = {
    TWO(add, IR_add) TWO(sub, IR_sub) TWO(mul, IR_mul) TWO(and, IR_and) TWO(or, IR_or)
    TWO(xor, IR_xor) TWO(shl, IR_shl) TWO(shr_s, IR_sar) TWO(shr_u, IR_shr)
    TWO(rotl, IR_rotl) TWO(rotr, IR_rotr)
    COMPARE(eq, IR_eq, 0, 0) COMPARE(ne, IR_ne, 0, 0)
    COMPARE(lt_s, IR_lts, 0, 0) COMPARE(lt_u, IR_ltu, 0, 0)
    COMPARE(gt_s, IR_lts, 1, 0) COMPARE(gt_u, IR_ltu, 1, 0)
    COMPARE(le_s, IR_lts, 1, 1) COMPARE(le_u, IR_ltu, 1, 1)
    COMPARE(ge_s, IR_lts, 0, 1) COMPARE(ge_u, IR_ltu, 0, 1)
    DIV(div_s, IR_divs) DIV(div_u, IR_divu) DIV(rem_s, IR_rems) DIV(rem_u, IR_remu)
    FLOAT(add) FLOAT(sub) FLOAT(mul) FLOAT(div) FLOAT(min) FLOAT(max) FLOAT(copysign)
    FCOMPARE(eq) FCOMPARE(ne) FCOMPARE(lt) FCOMPARE(gt) FCOMPARE(le) FCOMPARE(ge)
    ONE(clz, IR_clz) ONE(ctz, IR_ctz) ONE(popcnt, IR_popcnt)
    FONE(abs) FONE(neg) FONE(ceil) FONE(floor) FONE(trunc) FONE(nearest) FONE(sqrt)
    CONVERT(f32_convert_i32_s, FOP_sint, IR_F32, IR_I32)
    CONVERT(f32_convert_i32_u, FOP_uint, IR_F32, IR_I32)
    CONVERT(f32_convert_i64_s, FOP_sint, IR_F32, IR_I64)
    CONVERT(f32_convert_i64_u, FOP_uint, IR_F32, IR_I64)
    CONVERT(f64_convert_i32_s, FOP_sint, IR_F64, IR_I32)
    CONVERT(f64_convert_i32_u, FOP_uint, IR_F64, IR_I32)
    CONVERT(f64_convert_i64_s, FOP_sint, IR_F64, IR_I64)
    CONVERT(f64_convert_i64_u, FOP_uint, IR_F64, IR_I64)
    CONVERT(f32_demote_f64, FOP_resize, IR_F32, IR_F64)
    CONVERT(f64_promote_f32, FOP_resize, IR_F64, IR_F32)
    EXTEND(i32_extend8_s, 8, IR_I32, true) EXTEND(i32_extend16_s, 16, IR_I32, true)
    EXTEND(i64_extend8_s, 8, IR_I64, true) EXTEND(i64_extend16_s, 16, IR_I64, true)
    EXTEND(i64_extend32_s, 32, IR_I64, true)
    BITS(i32_reinterpret_f32, IR_I32, IR_F32) BITS(i64_reinterpret_f64, IR_I64, IR_F64)
    BITS(f32_reinterpret_i32, IR_F32, IR_I32) BITS(f64_reinterpret_i64, IR_F64, IR_I64)
    LOADS(i32_load, IR_I32, 4, false) LOADS(i64_load, IR_I64, 8, false)
    LOADS(f32_load, IR_F32, 4, false) LOADS(f64_load, IR_F64, 8, false)
    LOADS(i32_load8_s, IR_I32, 1, true) LOADS(i32_load8_u, IR_I32, 1, false)
    LOADS(i32_load16_s, IR_I32, 2, true) LOADS(i32_load16_u, IR_I32, 2, false)
    LOADS(i64_load8_s, IR_I64, 1, true) LOADS(i64_load8_u, IR_I64, 1, false)
    LOADS(i64_load16_s, IR_I64, 2, true) LOADS(i64_load16_u, IR_I64, 2, false)
    LOADS(i64_load32_s, IR_I64, 4, true) LOADS(i64_load32_u, IR_I64, 4, false)
    STORES(i32_store, IR_I32, 4) STORES(i64_store, IR_I64, 8)
    STORES(f32_store, IR_F32, 4) STORES(f64_store, IR_F64, 8)
    STORES(i32_store8, IR_I32, 1) STORES(i32_store16, IR_I32, 2)
    STORES(i64_store8, IR_I64, 1) STORES(i64_store16, IR_I64, 2) STORES(i64_store32, IR_I64, 4)
    LOADS_V(v128_load, IR_V128, 16, false) STORES_V(v128_store, IR_V128, 16)
#include "wasm/fused.def"
};

struct lift {
	struct wasm *w;
	const struct wtype *type;
	const struct made *made;
	uint32_t n;          /* the instruction */
	const struct insn *i; /* the same */
	struct ir_block *b;
	bool cannot;
	struct helps *helps;
	struct known_places known;
};

static uint8_t ir_type_of_wasm(uint32_t t)
{
	switch (t) {
	case WASM_I32: return IR_I32;
	case WASM_F32: return IR_F32;
	case WASM_F64: return IR_F64;
	case WASM_V128: return IR_V128;
	default: return IR_I64; /* references, too */
	}
}

static struct ir_val get(struct lift *l, uint8_t type, uint32_t slot)
{
	return ir_get(l->b, type, 8ull * slot);
}
static void put(struct lift *l, uint32_t slot, struct ir_val v)
{
	ir_put(l->b, 8ull * slot, v);
	known_slot_changed(&l->known, slot);
	if (ir_type_of(l->b, v) == IR_V128)
		known_slot_changed(&l->known, slot + 1);
}
static struct ir_val number(struct lift *l, uint8_t type, uint64_t v)
{
	return ir_const(l->b, type, type == IR_I32 || type == IR_F32 ? (uint32_t)v : v);
}
static struct ir_val typed(struct lift *l, struct ir_ins i) { return ir_emit(l->b, i); }

/* The instruction that a branch goes to. */
static uint64_t target(const struct lift *l) { return l->n + (uint64_t)(int64_t)l->i->rel; }

static void branch_to(struct lift *l, struct ir_val c)
{
	typed(l, (struct ir_ins){.op = IR_br, .a = c.i, .imm = target(l)});
}

/* ---- rows ---- */

static struct ir_val compare(struct lift *l, const struct row *r, struct ir_val x, struct ir_val y)
{
	struct ir_val v = ir_2(l->b, r->op, r->swap ? y : x, r->swap ? x : y);
	return r->not ? ir_2i(l->b, IR_eq, v, 0) : v;
}

/* Is @code of the comparisons of i64? They come behind those of i32. */
static uint8_t compared_type(uint64_t code) { return code >= CODE_i64_eqz ? IR_I64 : IR_I32; }

static void lift_compare(struct lift *l, const struct row *r)
{
	const struct insn *i = l->i;
	uint8_t t = compared_type(i->code);
	bool branches = r->kind >= LIFT_IF;
	struct ir_val x = get(l, t, branches ? i->d : i->a), y;
	if (r->kind == LIFT_CMP_K)
		y = number(l, t, (uint64_t)(int64_t)(int32_t)i->k);
	else if (r->kind == LIFT_IF_K || r->kind == LIFT_UNLESS_K)
		y = number(l, t, (uint64_t)(int64_t)(int16_t)i->a);
	else
		y = get(l, t, branches ? i->a : i->b);
	struct ir_val v = compare(l, r, x, y);
	if (r->kind == LIFT_UNLESS || r->kind == LIFT_UNLESS_K)
		v = ir_2i(l->b, IR_eq, v, 0);
	if (branches)
		branch_to(l, v);
	else
		put(l, i->d, v);
}

static struct ir_val fop(struct lift *l, unsigned op, uint8_t type, struct ir_val x,
			 struct ir_val y)
{
	return typed(l, (struct ir_ins){
			    .op = IR_fop, .type = type, .a = x.i, .b = y.i, .imm = op});
}

static void lift_float(struct lift *l, const struct row *r)
{
	const struct insn *i = l->i;
	bool branches = r->kind == LIFT_FIF || r->kind == LIFT_FUNLESS;
	struct ir_val x = get(l, r->type, branches ? i->d : i->a);
	struct ir_val y = get(l, r->type, branches ? i->a : i->b);
	struct ir_val v = fop(l, r->op, r->kind == LIFT_FLOAT ? r->type : IR_I32, x, y);
	if (r->kind == LIFT_FUNLESS)
		v = ir_2i(l->b, IR_eq, v, 0);
	if (branches)
		branch_to(l, v);
	else
		put(l, i->d, v);
}

static void lift_fused(struct lift *l, const struct row *r)
{
	const struct insn *i = l->i;
	struct ir_val x = get(l, r->type, i->a), y = get(l, r->type, i->b);
	struct ir_val z = get(l, r->type, i->c), p = fop(l, FOP_mul, r->type, x, y);
	put(l, i->d, fop(l, r->op, r->type, r->is_signed ? z : p, r->is_signed ? p : z));
}

static void lift_divide(struct lift *l, const struct row *r)
{
	const struct insn *i = l->i;
	struct ir_val x = get(l, r->type, i->a), y = get(l, r->type, i->b);
	ir_guard(l->b, ir_2i(l->b, IR_ne, y, 0), WASM_TRAP_DIVIDE);
	if (r->op == IR_divs) {
		uint64_t least = r->type == IR_I32 ? 0x80000000 : 1ull << 63;
		struct ir_val a = ir_2(l->b, IR_xor, x, number(l, r->type, least));
		struct ir_val b = ir_2(l->b, IR_xor, y, number(l, r->type, UINT64_MAX));
		ir_guard(l->b, ir_2i(l->b, IR_ne, ir_2(l->b, IR_or, a, b), 0),
			 WASM_TRAP_OVERFLOW);
	}
	put(l, i->d, typed(l, (struct ir_ins){.op = r->op, .type = r->type, .a = x.i, .b = y.i}));
}

static struct ir_val address(struct lift *l, uint32_t slot, bool checked)
{
	if (checked)
		return get(l, IR_I64, slot);
	struct ir_val v = ir_zext(l->b, get(l, IR_I32, slot), 32);
	return l->i->k ? ir_2i(l->b, IR_add, v, l->i->k) : v;
}

/* base + (index << of the instruction) */
static struct ir_val element(struct lift *l, uint32_t base, uint32_t index)
{
	struct ir_val x = ir_2i(l->b, IR_shl, get(l, IR_I32, index), l->i->c);
	return ir_zext(l->b, ir_2(l->b, IR_add, get(l, IR_I32, base), x), 32);
}

/* What is loaded or stored with an address in slot @base and an offset, if @value has all of it. */
static struct known_place place(const struct lift *l, const struct row *r, uint16_t base,
				uint16_t value)
{
	return (struct known_place){.offset = l->i->k,
				    .base = base,
				    .value = value,
				    .bytes = r->bytes,
				    .type = r->type};
}
static bool is_whole(const struct row *r)
{
	return !r->is_signed && r->bytes == (r->type == IR_I32 || r->type == IR_F32 ? 4 : 8);
}

/* Into slot d, from where it was stored or loaded before. */
static bool load_again(struct lift *l, const struct row *r)
{
	const struct known_place p = place(l, r, l->i->a, l->i->d);
	uint16_t value;
	if (!is_whole(r) || !known_find(&l->known, &p, &value))
		return false;
	if (value != p.value)
		put(l, p.value, get(l, r->type, value));
	return true;
}

static void lift_load(struct lift *l, const struct row *r)
{
	if (r->kind == LIFT_LOAD && load_again(l, r))
		return;
	struct ir_val at = r->kind == LIFT_LOAD_IN
			       ? element(l, l->i->b, l->i->a)
			       : address(l, l->i->a, r->kind == LIFT_LOAD_AT);
	struct ir_val v = typed(l, (struct ir_ins){
				       .op = IR_load, .type = r->type, .a = at.i, .imm = r->bytes});
	if (r->is_signed)
		v = typed(l, (struct ir_ins){.op = IR_sext,
					     .type = r->type,
					     .a = v.i,
					     .imm = 8u * r->bytes});
	put(l, l->i->d, v);
	const struct known_place p = place(l, r, l->i->a, l->i->d);
	if (r->kind == LIFT_LOAD && is_whole(r) && p.base != p.value)
		known_add(&l->known, &p);
}

static void lift_store(struct lift *l, const struct row *r)
{
	const struct known_place p = place(l, r, l->i->d, l->i->a);
	struct ir_val at = address(l, p.base, r->kind == LIFT_STORE_AT);
	ir_store(l->b, at, get(l, r->type, p.value), r->bytes);
	if (r->kind == LIFT_STORE_AT) { /* of another memory, or by an address of our own */
		known_forget(&l->known);
		return;
	}
	known_place_changed(&l->known, &p);
	if (is_whole(r))
		known_add(&l->known, &p);
}

static void lift_one(struct lift *l, const struct row *r)
{
	const struct insn *i = l->i;
	struct ir_val x;
	switch ((int)r->kind) {
	case LIFT_ONE: put(l, i->d, ir_1(l->b, r->op, get(l, r->type, i->a))); break;
	case LIFT_FONE:
		x = get(l, r->from, i->a);
		put(l, i->d, fop(l, r->op, r->type, x, x));
		break;
	case LIFT_EXTEND:
		x = ir_sext(l->b, get(l, r->type, i->a), r->bytes);
		put(l, i->d, r->type == IR_I32 ? ir_zext(l->b, x, 32) : x);
		break;
	default:
		x = get(l, r->from, i->a);
		put(l, i->d, typed(l, (struct ir_ins){.op = IR_bits, .type = r->type, .a = x.i}));
	}
}

static void lift_row(struct lift *l, const struct row *r)
{
	const struct insn *i = l->i;
	struct ir_val x;
	switch ((int)r->kind) {
	case LIFT_TWO:
		x = get(l, r->type, i->a);
		put(l, i->d, ir_2(l->b, r->op, x, get(l, r->type, i->b)));
		break;
	case LIFT_TWO_K:
		x = get(l, r->type, i->a);
		put(l, i->d, ir_2(l->b, r->op, x,
				  number(l, r->type, (uint64_t)(int64_t)(int32_t)i->k)));
		break;
	case LIFT_DIVIDE: lift_divide(l, r); break;
	case LIFT_FLOAT:
	case LIFT_FCMP:
	case LIFT_FIF:
	case LIFT_FUNLESS: lift_float(l, r); break;
	case LIFT_LOAD:
	case LIFT_LOAD_AT:
	case LIFT_LOAD_IN: lift_load(l, r); break;
	case LIFT_STORE_IN:
		x = element(l, i->d, i->b);
		ir_store(l->b, x, get(l, r->type, i->a), r->bytes);
		known_forget(&l->known);
		break;
	case LIFT_FUSED: lift_fused(l, r); break;
	case LIFT_STORE:
	case LIFT_STORE_AT: lift_store(l, r); break;
	case LIFT_ONE:
	case LIFT_FONE:
	case LIFT_EXTEND:
	case LIFT_BITS: lift_one(l, r); break;
	default: lift_compare(l, r);
	}
}

/* ---- calls ---- */

static void invoke(struct lift *l, struct ir_invoke v, uint32_t a, uint64_t imm, uint8_t type)
{
	struct ir_ins i = {.op = IR_invoke, .type = type, .a = a, .imm = imm};
	ir_invoke_put(&i, v);
	struct ir_val r = ir_emit(l->b, i);
	known_forget(&l->known);
	if (type)
		put(l, v.at, r);
}

/* Which of its table an indirect call means. */
static struct ir_val callee_of(struct lift *l)
{
	if (l->i[1].k < l->w->m->ntables)
		return get(l, IR_I32, l->i->a);
	l->cannot |= !functions_table(l->w);
	return ir_zext(l->b, get(l, IR_I64, l->i->a), 32);
}

static void lift_call(struct lift *l)
{
	const struct wasm *w = l->w;
	const struct insn *i = l->i;
	bool indirect = i->code == CODE_CALL_INDIRECT || i->code == CODE_TAIL_INDIRECT;
	bool tail = i->code == CODE_TAIL || i->code == CODE_TAIL_INDIRECT;
	const struct wtype *t = &w->m->types[indirect ? i->k : w->m->funcs[i->k].type];
	bool one = t->rslots == 1 && !tail;
	struct ir_invoke v = {.kind = (uint8_t)((tail ? IR_INVOKE_TAIL : IR_INVOKE_DIRECT) +
						indirect),
			      .at = i->d,
			      .nargs = t->pslots,
			      .nresults = tail || one ? 0 : t->rslots,
			      .type = indirect ? i->k : 0};
	struct ir_val a = indirect ? callee_of(l) : number(l, IR_I32, 0);
	invoke(l, v, a.i,
	       indirect ? i[1].k * sizeof *w->tables : i->k * sizeof *w->funcs,
	       one ? ir_type_of_wasm(t->values[t->np]) : IR_VOID);
}

static bool helps_more(struct helps *h)
{
	uint32_t cap = h->cap ? 2 * h->cap : 64;
	struct help_insn *p = h->nwas < countof(h->was) ? malloc(cap * sizeof *p) : NULL;
	if (!p)
		return false;
	if (h->n)
		memcpy(p, h->at, h->n * sizeof *p);
	if (h->at)
		h->was[h->nwas++] = h->at;
	h->at = p;
	h->cap = cap;
	return true;
}

/* As a call of tier_one. */
static void helped(struct lift *l, struct ir_invoke v)
{
	struct helps *h = l->helps;
	if (h->n == h->cap && !helps_more(h)) {
		l->cannot = true;
		return;
	}
	h->at[h->n] = (struct help_insn){{l->i[0]}};
	if (code_is_double(l->i->code))
		h->at[h->n].insn[1] = l->i[1];
	invoke(l, v, number(l, IR_I32, 0).i, h->n++ * sizeof *h->at, IR_VOID);
}

/* It reads @nargs slots from @at on and writes @nresults from @to on. */
static void helper(struct lift *l, uint32_t at, unsigned nargs, uint32_t to, unsigned nresults)
{
	helped(l, (struct ir_invoke){.kind = IR_INVOKE_HELPER,
				     .at = (uint16_t)at,
				     .nargs = (uint16_t)nargs,
				     .nresults = (uint16_t)nresults,
				     .to = (uint16_t)to});
}

static void lift_throw(struct lift *l, uint16_t at, uint16_t nargs)
{
	helped(l, (struct ir_invoke){.kind = IR_INVOKE_THROW, .at = at, .nargs = nargs});
}

static uint16_t tag_slots(const struct wasm *w, uint32_t tag)
{
	return w->m->types[w->m->tags[tag].type].pslots;
}

static void lift_help(struct lift *l)
{
	static const struct {
		uint8_t nargs, nresults;
	} of[] = {
	    [HELP_MEMORY_SIZE] = {0, 1}, [HELP_MEMORY_GROW] = {1, 1}, [HELP_MEMORY_COPY] = {3, 0},
	    [HELP_MEMORY_FILL] = {3, 0}, [HELP_MEMORY_INIT] = {3, 0}, [HELP_DATA_DROP] = {0, 0},
	    [HELP_TABLE_SIZE] = {0, 1},	 [HELP_TABLE_GROW] = {2, 1},  [HELP_TABLE_FILL] = {3, 0},
	    [HELP_TABLE_COPY] = {3, 0},	 [HELP_TABLE_INIT] = {3, 0},  [HELP_ELEM_DROP] = {0, 0},
	};
	helper(l, l->i->d, of[l->i->a].nargs, l->i->d, of[l->i->a].nresults);
}

/* ---- the others ---- */

static struct ir_val global_at(struct lift *l)
{
	const struct wasm *w = l->w;
	return number(l, IR_I64,
		      (uint64_t)((uintptr_t)&w->globals[l->i->k] - (uintptr_t)w->base));
}

static void lift_global(struct lift *l)
{
	uint8_t type = ir_type_of_wasm(l->w->m->globals[l->i->k].type);
	unsigned bytes = type == IR_I32 || type == IR_F32 ? 4 : type == IR_V128 ? 16 : 8;
	struct ir_val at = global_at(l);
	if (l->i->code == CODE_GLOBAL_SET || l->i->code == CODE_GLOBAL_SET2)
		ir_store(l->b, at, get(l, type, l->i->a), bytes);
	else
		put(l, l->i->d,
		    typed(l, (struct ir_ins){
				 .op = IR_load, .type = type, .a = at.i, .imm = bytes}));
}

static void lift_select(struct lift *l, uint8_t type)
{
	const struct insn *i = l->i;
	struct ir_val c = get(l, IR_I32, i->c), x = get(l, type, i->a), y = get(l, type, i->b);
	put(l, i->d, ir_select(l->b, c, x, y));
}

static void lift_return(struct lift *l)
{
	const struct wtype *t = l->type;
	for (uint32_t n = 0, slot = 0; n < t->nr && l->i->a; n++) {
		uint8_t type = ir_type_of_wasm(t->values[t->np + n]);
		put(l, slot, get(l, type, l->i->a + slot));
		slot += type == IR_V128 ? 2 : 1;
	}
	typed(l, (struct ir_ins){.op = IR_end});
}

static void lift_shladd(struct lift *l, uint8_t type)
{
	const struct insn *i = l->i;
	struct ir_val x = ir_2i(l->b, IR_shl, get(l, type, i->a), i->c);
	put(l, i->d, ir_2(l->b, IR_add, get(l, type, i->b), x));
}

static void lift_atomic(struct lift *l)
{
	struct atomic_shape s = {0};
	if (l->i[1].d == ATOMIC_FENCE) {
		helper(l, l->i->d, 0, l->i->d, 0);
		return;
	}
	known_forget(&l->known);
	if (atomic_lift(l->w, l->i, l->b))
		return;
	l->cannot |= !atomic_shape(l->i[1].d, &s);
	helper(l, l->i->d, s.n + 1u, l->i->d, s.out != WASM_NONE);
}

/* ---- vectors ---- */

static struct ir_val vector(struct lift *l, const void *bytes)
{
	uint64_t v[2];
	memcpy(v, bytes, sizeof v);
	return typed(l, (struct ir_ins){.op = IR_vconst,
					.type = IR_V128,
					.a = number(l, IR_I64, v[1]).i,
					.imm = v[0]});
}

static void lift_vector(struct lift *l)
{
	const struct insn *i = l->i;
	bool shuffles = i->code == CODE_SHUFFLE;
	const uint32_t vop = shuffles ? VOP_i8x16_shuffle : i[1].k;
	const struct simd_op *o = &simd_ops[vop];
	const uint16_t at[3] = {i->a, i->b, i->c};
	struct ir_val v[3];
	for (unsigned k = 0; k < countof(v); k++)
		if (k == 2 && shuffles)
			v[k] = vector(l, &i[1]);
		else if (k == 1 && !shuffles && i[1].a) /* how far to shift is known */
			v[k] = number(l, IR_I32, i[1].a - 1u);
		else
			v[k] = o->in[k] ? get(l, ir_type_of_wasm(o->in[k]), at[k]) : v[0];
	put(l, i->d, typed(l, (struct ir_ins){.op = IR_vop,
					      .type = ir_type_of_wasm(o->out),
					      .a = v[0].i,
					      .b = v[1].i,
					      .c = v[2].i,
					      .imm = vop | (shuffles ? 0u : i[1].d) << 16}));
}

static void lift_plain(struct lift *l)
{
	const struct insn *i = l->i;
	struct ir_val x;
	uint8_t type;
	switch (i->code) {
	case CODE_TRAP: ir_guard(l->b, number(l, IR_I32, 0), i->k); break;
	case CODE_COPY:
		type = ir_type_of_wasm((uint8_t)i->k);
		put(l, i->d, get(l, type, i->a));
		break;
	case CODE_CONST:
		put(l, i->d, number(l, ir_type_of_wasm((uint8_t)i->a),
				    (uint64_t)(int64_t)(int32_t)i->k));
		break;
	case CODE_CONST64:
		put(l, i->d, number(l, ir_type_of_wasm((uint8_t)i->a), i[1].code));
		break;
	case CODE_BR:
		typed(l, (struct ir_ins){.op = IR_jump, .imm = target(l)});
		break;
	case CODE_BR_IF: branch_to(l, get(l, IR_I32, i->d)); break;
	case CODE_BR_UNLESS: branch_to(l, ir_2i(l->b, IR_eq, get(l, IR_I32, i->d), 0)); break;
	case CODE_BR_TABLE:
		x = get(l, IR_I32, i->a);
		typed(l, (struct ir_ins){.op = IR_table, .a = x.i, .imm = i->k});
		break;
	case CODE_RETURN0: typed(l, (struct ir_ins){.op = IR_end}); break;
	case CODE_RETURN1:
		x = get(l, ir_type_of_wasm(l->type->values[l->type->np]), i->a);
		typed(l, (struct ir_ins){.op = IR_ret, .a = x.i});
		break;
	case CODE_RETURN: lift_return(l); break;
	case CODE_CALL:
	case CODE_CALL_INDIRECT:
	case CODE_TAIL:
	case CODE_TAIL_INDIRECT: lift_call(l); break;
	case CODE_SELECT: lift_select(l, IR_I64); break;
	case CODE_SELECT_I32: lift_select(l, IR_I32); break;
	case CODE_SELECT_F32: lift_select(l, IR_F32); break;
	case CODE_SELECT_F64: lift_select(l, IR_F64); break;
	case CODE_SELECT2: lift_select(l, IR_V128); break;
	case CODE_GLOBAL_GET:
	case CODE_GLOBAL_SET:
	case CODE_GLOBAL_GET2:
	case CODE_GLOBAL_SET2: lift_global(l); break;
	case CODE_ATOMIC: lift_atomic(l); break;
	case CODE_THROW: lift_throw(l, i->d, tag_slots(l->w, i->k)); break;
	case CODE_THROW_REF: lift_throw(l, i->a, 1); break;
	case CODE_COPY2: put(l, i->d, get(l, IR_V128, i->a)); break;
	case CODE_V128_CONST: put(l, i->d, vector(l, &i[1])); break;
	case CODE_SIMD:
	case CODE_SHUFFLE: lift_vector(l); break;
	case CODE_REF_FUNC:
		put(l, i->d, number(l, IR_I64, (uint64_t)i->k + 1));
		break;
	case CODE_CLAMP:
	case CODE_TABLE_GET: helper(l, i->a, 1, i->d, 1); break;
	case CODE_TABLE_SET:
		l->cannot |= i->a != i->d + 1;
		helper(l, i->d, 2, i->d, 0);
		break;
	case CODE_HELP: lift_help(l); break;
	case CODE_ADDRESS: helper(l, i->a, 1, i->d, 1); break;
	case CODE_SHLADD32: lift_shladd(l, IR_I32); break;
	case CODE_SHLADD64: lift_shladd(l, IR_I64); break;
	case CODE_i32_wrap_i64:
	case CODE_i64_extend_i32_u:
		x = get(l, i->code == CODE_i32_wrap_i64 ? IR_I64 : IR_I32, i->a);
		put(l, i->d, ir_zext(l->b, x, 32));
		break;
	case CODE_i64_extend_i32_s:
		put(l, i->d, ir_sext(l->b, get(l, IR_I32, i->a), 32));
		break;
	default:
		if (tier_one_knows(i->code))
			helper(l, i->a, 1, i->d, 1);
		else
			l->cannot = true;
	}
}

/* Who catches what. A delegate may go past one that catches all. */
static void catches_tell(const struct wasm *w, const struct made *made, struct jit_fn *f)
{
	bool delegates = false;
	for (uint32_t k = 0; k < made->ncatches; k++)
		delegates |= made->catches[k].kind == CATCH_DELEGATE;
	for (uint32_t k = 0; k < made->ncatches; k++) {
		const struct wcatch *c = &made->catches[k];
		if (c->kind == CATCH_DELEGATE)
			continue;
		const struct jit_fn_catch is = {
		    .from = c->from,
		    .to = c->to,
		    .pad = c->pad,
		    .at = c->home,
		    .n = (c->kind < CATCH_ALL ? tag_slots(w, c->tag) : 0u) +
			 (c->kind != CATCH_TAG && c->kind != CATCH_ALL),
		    .all = c->kind >= CATCH_ALL && !delegates};
		jit_fn_catch(f, &is);
	}
}

/* A byte of each instruction: can control come there from elsewhere? NULL: no memory. */
static uint8_t *entries_find(const struct made *made)
{
	uint8_t *at = calloc(made->n + 1, 1);
	for (uint32_t k = 0; at && k < made->n; k++) {
		if (code_branches(made->at[k].code))
			at[k + (uint32_t)made->at[k].rel] = 1;
		k += code_is_double(made->at[k].code);
	}
	for (uint32_t k = 0; at && k < made->ncatches; k++)
		if (made->catches[k].kind != CATCH_DELEGATE)
			at[made->catches[k].pad] = 1;
	return at;
}

bool func_lift(struct wasm *w, const struct wtype *t, const struct made *made, struct jit_fn *f,
	       struct helps *helps)
{
	struct ir_block b;
	struct lift l = {.w = w, .type = t, .made = made, .helps = helps, .b = &b};
	bool second = false;
	autofree uint8_t *entries = entries_find(made);
	catches_tell(w, made, f);
	if (made->references)
		jit_fn_exact(f);
	for (; l.n < made->n && !l.cannot; l.n++) {
		l.i = &made->at[l.n];
		jit_fn_next(f, &b);
		if (!entries || entries[l.n])
			known_forget(&l.known);
		if (!second && rows[l.i->code].kind)
			lift_row(&l, &rows[l.i->code]);
		else if (!second)
			lift_plain(&l);
		second = !second && code_is_double(l.i->code);
		jit_fn_add(f, &b);
	}
	return !l.cannot;
}
