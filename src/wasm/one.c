/* SPDX-License-Identifier: Apache-2.0 */
/* Single instructions that compiled code calls: bulk operations, accesses to tables, addresses in
 * memories that have to be checked, and conversions that may trap. */
#include "wasm/internal.h"
#include "wasm/number.h"

#define C_i32 uint32_t
#define C_i64 uint64_t
#define C_f32 float
#define C_f64 double

bool tier_one_knows(uint64_t code)
{
	switch (code) {
#define CHECKED(op, name, from, to, trap, value) case CODE_##name:
#define INT(op, name, t, value)
#define CMP(op, name, t, value)
#define FLT(op, name, t, value)
#define FCMP(op, name, t, value)
#define UNARY(op, name, from, to, value)
#define DIVIDE(op, name, t, trap, value)
#include "wasm/num.def"
	case CODE_i32_trunc_sat_f32_s:
	case CODE_i32_trunc_sat_f32_u:
	case CODE_i32_trunc_sat_f64_s:
	case CODE_i32_trunc_sat_f64_u:
	case CODE_i64_trunc_sat_f32_s:
	case CODE_i64_trunc_sat_f32_u:
	case CODE_i64_trunc_sat_f64_s:
	case CODE_i64_trunc_sat_f64_u: return true;
	default: return false;
	}
}

static enum wasm_trap convert(const struct insn *i, union wasm_slot *frame)
{
	const union wasm_slot a = frame[i->a];
	union wasm_slot *d = &frame[i->d];
	enum wasm_trap trap = WASM_OK;
	switch (i->code) {
#define CHECKED(op, name, from, to, why, value)                                                    \
	case CODE_##name: {                                                                        \
		C_##from x = a.from;                                                               \
		trap = (why);                                                                      \
		if (!trap)                                                                         \
			d->to = (C_##to)(value);                                                   \
		break;                                                                             \
	}
#define INT(op, name, t, value)
#define CMP(op, name, t, value)
#define FLT(op, name, t, value)
#define FCMP(op, name, t, value)
#define UNARY(op, name, from, to, value)
#define DIVIDE(op, name, t, trap, value)
#include "wasm/num.def"
	case CODE_i32_trunc_sat_f32_s: d->i32 = (uint32_t)i32_saturate(a.f32); break;
	case CODE_i32_trunc_sat_f32_u: d->i32 = u32_saturate(a.f32); break;
	case CODE_i32_trunc_sat_f64_s: d->i32 = (uint32_t)i32_saturate(a.f64); break;
	case CODE_i32_trunc_sat_f64_u: d->i32 = u32_saturate(a.f64); break;
	case CODE_i64_trunc_sat_f32_s: d->i64 = (uint64_t)i64_saturate(a.f32); break;
	case CODE_i64_trunc_sat_f32_u: d->i64 = u64_saturate(a.f32); break;
	case CODE_i64_trunc_sat_f64_s: d->i64 = (uint64_t)i64_saturate(a.f64); break;
	default: d->i64 = u64_saturate(a.f64); break;
	}
	return trap;
}

enum wasm_trap tier_one(struct wasm *w, const struct insn *i, union wasm_slot *frame)
{
	bool tables = i->code == CODE_TABLE_GET || i->code == CODE_TABLE_SET;
	const struct table *t = &w->tables[tables ? i->k : 0];
	switch (i->code) {
	case CODE_ATOMIC: return atomic_run(w, i, &frame[i->d]);
	case CODE_CLAMP:
		frame[i->d].i64 = frame[i->a].i64 > UINT32_MAX ? UINT32_MAX : frame[i->a].i64;
		return WASM_OK;
	case CODE_THROW: return exn_throw(w, i->k, &frame[i->d], &frame[i->d]);
	case CODE_THROW_REF: return exn_again(w, frame[i->a].i64);
	case CODE_HELP:
		return wasm_help(w, (enum help)i->a, &frame[i->d], i->k, i[1].k);
	case CODE_ADDRESS:
		return address_check(&w->memories[i[1].k], frame[i->a], i[1].code, i->b,
				     &frame[i->d].i64)
			   ? WASM_OK
			   : WASM_TRAP_MEMORY;
	case CODE_TABLE_GET:
		if (frame[i->a].i32 >= t->n)
			return WASM_TRAP_TABLE;
		frame[i->d].i64 = element_ref(w, t, frame[i->a].i32);
		return WASM_OK;
	case CODE_TABLE_SET:
		return frame[i->d].i32 < t->n &&
			       element_of(w, t, frame[i->a].i64, &t->at[frame[i->d].i32])
			   ? WASM_OK
			   : WASM_TRAP_TABLE;
	default: return convert(i, frame);
	}
}
