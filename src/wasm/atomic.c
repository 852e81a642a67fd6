/* SPDX-License-Identifier: Apache-2.0 */
/* Atomic accesses, by the host's own; who waits is in wait.c. Spec: the threads proposal of
 * WebAssembly, whose instructions have the prefix 0xfe */
#include "wasm/internal.h"

enum { ATOMIC_LOAD, ATOMIC_STORE, ATOMIC_ADD, ATOMIC_SUB, ATOMIC_AND, ATOMIC_OR, ATOMIC_XOR,
       ATOMIC_XCHG, ATOMIC_CMPXCHG };
enum { FIRST = 0x10, LAST = 0x4e, WIDTHS = 7 };

bool atomic_shape(unsigned op, struct atomic_shape *ret)
{
	static const struct {
		uint8_t bytes, type;
	} widths[WIDTHS] = {{4, WASM_I32}, {8, WASM_I64}, {1, WASM_I32}, {2, WASM_I32},
			    {1, WASM_I64}, {2, WASM_I64}, {4, WASM_I64}};
	struct atomic_shape s = {4, 1, WASM_I32, {WASM_I32, WASM_NONE}};
	if (op == ATOMIC_WAIT32 || op == ATOMIC_WAIT64) {
		bool wide = op == ATOMIC_WAIT64;
		s = (struct atomic_shape){wide ? 8 : 4, 2, WASM_I32,
					  {wide ? WASM_I64 : WASM_I32, WASM_I64}};
	} else if (op >= FIRST && op <= LAST) {
		unsigned kind = (op - FIRST) / WIDTHS, w = (op - FIRST) % WIDTHS;
		uint8_t t = widths[w].type;
		s.bytes = widths[w].bytes;
		s.n = kind == ATOMIC_LOAD ? 0 : kind == ATOMIC_CMPXCHG ? 2 : 1;
		s.out = kind == ATOMIC_STORE ? WASM_NONE : t;
		s.in[0] = s.in[1] = t;
	} else if (op != ATOMIC_NOTIFY) {
		return false;
	}
	*ret = s;
	return true;
}

/* The old value of the @bytes at @p. */
#define ACCESS(t)                                                                                  \
	static uint64_t access_##t(t *p, unsigned kind, uint64_t x, uint64_t y)                    \
	{                                                                                          \
		t v = (t)x;                                                                        \
		switch (kind) {                                                                    \
		case ATOMIC_LOAD: return __atomic_load_n(p, __ATOMIC_SEQ_CST);                     \
		case ATOMIC_STORE: __atomic_store_n(p, v, __ATOMIC_SEQ_CST); return 0;             \
		case ATOMIC_ADD: return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                \
		case ATOMIC_SUB: return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                \
		case ATOMIC_AND: return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                \
		case ATOMIC_OR: return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                  \
		case ATOMIC_XOR: return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);                \
		case ATOMIC_XCHG: return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);              \
		default:                                                                           \
			__atomic_compare_exchange_n(p, &v, (t)y, false, __ATOMIC_SEQ_CST,          \
						    __ATOMIC_SEQ_CST);                             \
			return v;                                                                  \
		}                                                                                  \
	}
ACCESS(uint8_t)
ACCESS(uint16_t)
ACCESS(uint32_t)
ACCESS(uint64_t)
#undef ACCESS

static uint64_t access_any(void *p, unsigned bytes, unsigned kind, uint64_t x, uint64_t y)
{
	switch (bytes) {
	case 1: return access_uint8_t(p, kind, x, y);
	case 2: return access_uint16_t(p, kind, x, y);
	case 4: return access_uint32_t(p, kind, x, y);
	default: return access_uint64_t(p, kind, x, y);
	}
}

enum wasm_trap atomic_run(struct wasm *w, const struct insn *i, union wasm_slot *at)
{
	struct atomic_shape s;
	unsigned op = i[1].d;
	const struct memory *m = &w->memories[i[1].k];
	uint64_t beyond;
	if (op == ATOMIC_FENCE) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		return WASM_OK;
	}
	if (!atomic_shape(op, &s))
		return WASM_TRAP_MEMORY;
	if (((m->is64 ? at[0].i64 : at[0].i32) + i[1].code) % s.bytes)
		return WASM_TRAP_UNALIGNED;
	if (!address_check(m, at[0], i[1].code, s.bytes, &beyond))
		return WASM_TRAP_MEMORY;
	uint8_t *p = w->base + beyond;
	const struct place_shared place = {p, beyond - m->beyond, i[1].k, s.bytes};
	if (op == ATOMIC_NOTIFY) {
		at[0].i64 = m->common ? shared_notify(w, &place, at[1].i32) : 0;
		return WASM_OK;
	}
	if (op < FIRST && !m->common)
		return WASM_TRAP_UNSHARED;
	if (op < FIRST) {
		uint32_t got = 0;
		uint64_t want = op == ATOMIC_WAIT32 ? at[1].i32 : at[1].i64;
		enum wasm_trap t = shared_wait(w, &place, want, (int64_t)at[2].i64, &got);
		if (t == WASM_OK)
			at[0].i64 = got;
		return t;
	}
	uint64_t old = access_any(p, s.bytes, (op - FIRST) / WIDTHS, at[1].i64, at[2].i64);
	if (s.out)
		at[0].i64 = old;
	return WASM_OK;
}

/* ---- compiled ---- */

static unsigned amo_of(unsigned kind)
{
	switch (kind) {
	case ATOMIC_ADD: return IR_AMO_add;
	case ATOMIC_SUB: return IR_AMO_sub;
	case ATOMIC_AND: return IR_AMO_and;
	case ATOMIC_OR: return IR_AMO_or;
	case ATOMIC_XOR: return IR_AMO_xor;
	default: return IR_AMO_swap;
	}
}

static uint8_t ir_of(uint8_t type) { return type == WASM_I64 ? IR_I64 : IR_I32; }

bool atomic_lift(const struct wasm *w, const struct insn *i, struct ir_block *b)
{
	struct atomic_shape s;
	const unsigned op = i[1].d, kind = (op - FIRST) / WIDTHS;
	if (op < FIRST || i[1].k || w->m->memories[0].is64 || i[1].code > UINT32_MAX ||
	    !atomic_shape(op, &s))
		return false;
	const uint64_t d = 8ull * i->d, mask = s.bytes - 1u;
	const uint8_t type = ir_of(s.in[0]);
	struct ir_val x = ir_get(b, IR_I32, d), low = x, v, y;
	if (i[1].code & mask)
		low = ir_2i(b, IR_add, x, i[1].code & mask);
	if (mask)
		ir_guard(b, ir_2i(b, IR_eq, ir_2i(b, IR_and, low, mask), 0), WASM_TRAP_UNALIGNED);
	struct ir_val at = ir_2i(b, IR_add, ir_zext(b, x, 32), i[1].code);
	struct ir_ins r = {.op = IR_amo, .type = type, .a = at.i};
	if (kind == ATOMIC_LOAD) {
		r.op = IR_load;
		r.imm = s.bytes;
	} else if (kind == ATOMIC_CMPXCHG) {
		v = ir_get(b, type, d + 8);
		y = ir_get(b, type, d + 16);
		r = (struct ir_ins){
		    .op = IR_cas, .type = type, .a = at.i, .b = v.i, .c = y.i, .imm = s.bytes};
	} else {
		r.b = ir_get(b, type, d + 8).i;
		r.imm = (uint64_t)amo_of(kind) << 8 | s.bytes;
	}
	struct ir_val old = ir_emit(b, r);
	if (s.out)
		ir_put(b, d, old);
	return true;
}
