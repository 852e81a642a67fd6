/* SPDX-License-Identifier: Apache-2.0 */
/* What instructions do, as parts of bodies of wasm_run: a body is one part, or that of a
 * superinstruction (super.def) several. A part reads the instruction @ip, and leaves what it makes
 * in @v, too. @l says which of its operands is what the part before it made, @p, and need not be
 * read from its slot: N: none; A, B, C, D: that one; AB: both. */
#pragma once
#include "wasm/internal.h"
#include "wasm/number.h"

#define C_i32 uint32_t
#define C_i64 uint64_t
#define C_f32 float
#define C_f64 double

/* Of each row of num.def: the types of operands and result, and the result as a function. */
#define VALUE2(name, from, to, value)                                                              \
	typedef C_##from in_##name;                                                                \
	typedef C_##to out_##name;                                                                 \
	static inline out_##name value_##name(in_##name x, in_##name y)                            \
	{                                                                                          \
		return (out_##name)(value);                                                        \
	}
#define VALUE1(name, from, to, value)                                                              \
	typedef C_##from in_##name;                                                                \
	typedef C_##to out_##name;                                                                 \
	static inline out_##name value_##name(in_##name x) { return (out_##name)(value); }
#define INT(op, name, t, value)  VALUE2(name, t, t, value)
#define CMP(op, name, t, value)  VALUE2(name, t, i32, value)
#define FLT(op, name, t, value)  VALUE2(name, t, t, value)
#define FCMP(op, name, t, value) VALUE2(name, t, i32, value)
#define UNARY(op, name, from, to, value) VALUE1(name, from, to, value)
#define DIVIDE(op, name, t, trap, value)                                                           \
	VALUE2(name, t, t, value)                                                                  \
	static inline unsigned trap_##name(in_##name x, in_##name y)                               \
	{                                                                                          \
		(void)x;                                                                           \
		return trap;                                                                       \
	}
#define CHECKED(op, name, from, to, trap, value)                                                   \
	VALUE1(name, from, to, value)                                                              \
	static inline unsigned trap_##name(in_##name x) { return trap; }
#include "wasm/num.def"
#undef VALUE1
#undef VALUE2
#define FUSED(t, name, op, first, second)                                                          \
	typedef C_##t in_##t##_##name, out_##t##_##name;                                           \
	static inline C_##t value_##t##_##name(C_##t x, C_##t y, C_##t z)                          \
	{                                                                                          \
		C_##t p = value_##t##_mul(x, y);                                                   \
		return value_##t##_##op(first, second);                                            \
	}
#include "wasm/fused.def"

/* ---- operands ---- */
#define SLOT(n) fp[ip->n]
#define AS_IS(type, slot)                                                                          \
	_Generic((type)0, uint32_t: (slot).i32, uint64_t: (slot).i64, float: (slot).f32,           \
		 double: (slot).f64)
#define FROM_SLOT(type, n, p) AS_IS(type, SLOT(n))
/* bits: constants have no type */
#define FROM_BEFORE(type, n, p)                                                                    \
	({                                                                                         \
		union wasm_slot has_ = {.i64 = 0};                                                 \
		AS_IS(__typeof__(p), has_) = (p);                                                  \
		AS_IS(type, has_);                                                                 \
	})
#define FROM_N_a  FROM_SLOT
#define FROM_N_b  FROM_SLOT
#define FROM_N_c  FROM_SLOT
#define FROM_N_d  FROM_SLOT
#define FROM_A_a  FROM_BEFORE
#define FROM_A_b  FROM_SLOT
#define FROM_A_c  FROM_SLOT
#define FROM_A_d  FROM_SLOT
#define FROM_B_a  FROM_SLOT
#define FROM_B_b  FROM_BEFORE
#define FROM_B_c  FROM_SLOT
#define FROM_B_d  FROM_SLOT
#define FROM_AB_a FROM_BEFORE
#define FROM_AB_b FROM_BEFORE
#define FROM_AB_c FROM_SLOT
#define FROM_C_a  FROM_SLOT
#define FROM_C_b  FROM_SLOT
#define FROM_C_c  FROM_BEFORE
#define FROM_D_a  FROM_SLOT
#define FROM_D_b  FROM_SLOT
#define FROM_D_d  FROM_BEFORE
#define OPERAND(type, n, l, p) FROM_##l##_##n(type, n, p)

#define MAKES(v)                                                                                   \
	AS_IS(__typeof__(v), SLOT(d)) = v;                                                         \
	(void)v;

/* ---- values ---- */
#define PART_ONE(name, v, l, p)                                                                    \
	out_##name v = value_##name(OPERAND(in_##name, a, l, p));                                  \
	MAKES(v)
#define PART_TWO(name, v, l, p)                                                                    \
	out_##name v = value_##name(OPERAND(in_##name, a, l, p), OPERAND(in_##name, b, l, p));     \
	MAKES(v)
#define PART_K(name, v, l, p)                                                                      \
	out_##name v = value_##name(OPERAND(in_##name, a, l, p), (in_##name)(int32_t)ip->k);       \
	MAKES(v)
#define PART_THREE(name, v, l, p)                                                                  \
	out_##name v = value_##name(OPERAND(in_##name, a, l, p), OPERAND(in_##name, b, l, p),      \
				    OPERAND(in_##name, c, l, p));                                  \
	MAKES(v)
#define PART_DIVIDE(name, v, l, p)                                                                 \
	in_##name v##_x = OPERAND(in_##name, a, l, p), v##_y = OPERAND(in_##name, b, l, p);        \
	trap = (enum wasm_trap)trap_##name(v##_x, v##_y);                                          \
	if (unlikely(trap))                                                                        \
		goto trapped;                                                                      \
	out_##name v = value_##name(v##_x, v##_y);                                                 \
	MAKES(v)
#define PART_CHECKED(name, v, l, p)                                                                \
	in_##name v##_x = OPERAND(in_##name, a, l, p);                                             \
	trap = (enum wasm_trap)trap_##name(v##_x);                                                 \
	if (unlikely(trap))                                                                        \
		goto trapped;                                                                      \
	out_##name v = value_##name(v##_x);                                                        \
	MAKES(v)
#define PART_SHLADD32(v, l, p)                                                                     \
	uint32_t v = (OPERAND(uint32_t, a, l, p) << ip->c) + OPERAND(uint32_t, b, l, p);           \
	MAKES(v)
#define PART_CONST(v, l, p)                                                                        \
	uint64_t v = (uint64_t)(int64_t)(int32_t)ip->k;                                            \
	MAKES(v)
#define PART_CONST64(v, l, p)                                                                      \
	uint64_t v = ip[1].code;                                                                   \
	MAKES(v)                                                                                   \
	ip++;
#define PART_COPY(v, l, p)                                                                         \
	uint64_t v = OPERAND(uint64_t, a, l, p);                                                   \
	MAKES(v)
#define PART_GLOBAL_GET(v, l, p)                                                                   \
	uint64_t v = w->globals[ip->k].lo;                                                         \
	MAKES(v)
#define PART_GLOBAL_SET(v, l, p) w->globals[ip->k].lo = OPERAND(uint64_t, a, l, p);

/* ---- control ---- */
#define PART_IF(name, v, l, p)                                                                     \
	if (value_##name(OPERAND(in_##name, d, l, p), OPERAND(in_##name, a, l, p)))                \
		TAKE();
#define PART_IF_K(name, v, l, p)                                                                   \
	if (value_##name(OPERAND(in_##name, d, l, p), (in_##name)(int16_t)ip->a))                  \
		TAKE();
#define PART_UNLESS(name, v, l, p)                                                                 \
	if (!value_##name(OPERAND(in_##name, d, l, p), OPERAND(in_##name, a, l, p)))               \
		TAKE();
#define PART_UNLESS_K(name, v, l, p)                                                               \
	if (!value_##name(OPERAND(in_##name, d, l, p), (in_##name)(int16_t)ip->a))                 \
		TAKE();
#define PART_BR_IF(v, l, p)                                                                        \
	if (OPERAND(uint32_t, d, l, p))                                                            \
		TAKE();
#define PART_BR_UNLESS(v, l, p)                                                                    \
	if (!OPERAND(uint32_t, d, l, p))                                                           \
		TAKE();
#define PART_BR(v, l, p) TAKE();
#define PART_CALL(v, l, p)                                                                         \
	f = &w->funcs[ip->k];                                                                      \
	at = &SLOT(d);                                                                             \
	resume = ip + 1;                                                                           \
	goto call;
#define PART_RETURN0(v, l, p) LEAVE();
#define PART_RETURN1(v, l, p)                                                                      \
	fp[0].i64 = OPERAND(uint64_t, a, l, p);                                                    \
	LEAVE();

/* ---- memory ---- */
/* An instruction that may fault, and then goes to the label "fault". */
#define FAULTING(text)                                                                             \
	"1: " text "\n"                                                                            \
	".pushsection wasm_sites,\"a\",@progbits\n"                                                \
	".balign 4\n.long 1b - .\n.long %l[fault] - .\n"                                           \
	".popsection"
#define READ(mnemonic, kind, v, base, at)                                                          \
	__asm__ goto(FAULTING(mnemonic " (%1,%2), %0")                                             \
		     : kind(v)                                                                     \
		     : "r"(base), "r"(at)                                                          \
		     : "memory"                                                                    \
		     : fault)
#define WRITE(mnemonic, kind, v, base, at)                                                         \
	__asm__ goto(FAULTING(mnemonic " %0, (%1,%2)")                                             \
		     :                                                                             \
		     : kind(v), "r"(base), "r"(at)                                                 \
		     : "memory"                                                                    \
		     : fault)
#define READ_uint8_t "movzbl"
#define READ_int8_t  "movsbl"
#define READ_uint16_t "movzwl"
#define READ_int16_t  "movswl"
#define READ_uint32_t "movl"
#define READ_int32_t  "movl"
#define READ_uint64_t "movq"
#define AS_uint8_t    uint32_t
#define AS_int8_t     int32_t
#define AS_uint16_t   uint32_t
#define AS_int16_t    int32_t
#define AS_uint32_t   uint32_t
#define AS_int32_t    int32_t
#define AS_uint64_t   uint64_t
#define WRITE_uint8_t "movb"
#define WRITE_uint16_t "movw"
#define WRITE_uint32_t "movl"
#define WRITE_uint64_t "movq"

/* Into @v, of type @t, what has type @from in memory; what is @to there. */
#define FETCH(t, from, v, base, at)                                                                \
	AS_##from v##_held = 0;                                                                    \
	READ(READ_##from, "=r", v##_held, base, at);                                               \
	C_##t v = (C_##t)v##_held;                                                                 \
	MAKES(v)
#define KEEP(to, value, base, at) WRITE(WRITE_##to, "r", (to)(value), base, at);

/* Those of superinstructions. */
#define FETCH_i32_load(v, at)     FETCH(i32, uint32_t, v, mem, at)
#define FETCH_i32_load8_s(v, at)  FETCH(i32, int8_t, v, mem, at)
#define FETCH_i32_load8_u(v, at)  FETCH(i32, uint8_t, v, mem, at)
#define FETCH_i32_load16_s(v, at) FETCH(i32, int16_t, v, mem, at)
#define FETCH_i32_load16_u(v, at) FETCH(i32, uint16_t, v, mem, at)
#define FETCH_i64_load(v, at)     FETCH(i64, uint64_t, v, mem, at)
#define FETCH_i64_load8_u(v, at)  FETCH(i64, uint8_t, v, mem, at)
#define FETCH_i64_load32_u(v, at) FETCH(i64, uint32_t, v, mem, at)
#define FETCH_f64_load(v, at)                                                                      \
	double v = 0;                                                                              \
	READ("movsd", "=x", v, mem, at);                                                           \
	MAKES(v)
#define KEPT_i32_store   uint32_t
#define KEPT_i32_store8  uint32_t
#define KEPT_i32_store16 uint32_t
#define KEPT_i64_store   uint64_t
#define KEPT_f64_store   double
#define KEEP_i32_store(value, at)   KEEP(uint32_t, value, mem, at)
#define KEEP_i32_store8(value, at)  KEEP(uint8_t, value, mem, at)
#define KEEP_i32_store16(value, at) KEEP(uint16_t, value, mem, at)
#define KEEP_i64_store(value, at)   KEEP(uint64_t, value, mem, at)
#define KEEP_f64_store(value, at)   WRITE("movsd", "x", value, mem, at);

#define PART_LOAD(name, v, l, p)                                                                   \
	FETCH_##name(v, (uint64_t)OPERAND(uint32_t, a, l, p) + ip->k)
#define PART_LOAD_IN(name, v, l, p)                                                                \
	uint32_t v##_at = OPERAND(uint32_t, b, l, p) + (OPERAND(uint32_t, a, l, p) << ip->c);      \
	FETCH_##name(v, (uint64_t)v##_at)
#define PART_STORE(name, v, l, p)                                                                  \
	KEEP_##name(OPERAND(KEPT_##name, a, l, p), (uint64_t)OPERAND(uint32_t, d, l, p) + ip->k)
#define PART_STORE_IN(name, v, l, p)                                                               \
	uint32_t v##_at = OPERAND(uint32_t, d, l, p) + (OPERAND(uint32_t, b, l, p) << ip->c);      \
	KEEP_##name(OPERAND(KEPT_##name, a, l, p), (uint64_t)v##_at)

/* What has no name beside its code. */
#define PART_ONLY(name, v, l, p) PART_##name(v, l, p)
