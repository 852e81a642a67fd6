/* SPDX-License-Identifier: Apache-2.0 */
/* What each code does: inside wasm_run, which has ip, fp, mem, fuel and the rest. First those of no
 * table, then what the rows of num.def and mem.def say. */

/* An instruction that may fault, and then goes to the label "fault". */
#define FAULTING(text)                                                                             \
	"1: " text "\n"                                                                            \
	".pushsection wasm_sites,\"a\",@progbits\n"                                                \
	".balign 4\n.long 1b - .\n.long %l[fault] - .\n"                                           \
	".popsection"
#define READ(mnemonic, v, base, at)                                                                \
	__asm__ goto(FAULTING(mnemonic " (%1,%2), %0")                                             \
		     : "=r"(v)                                                                     \
		     : "r"(base), "r"(at)                                                          \
		     : "memory"                                                                    \
		     : fault)
#define WRITE(mnemonic, v, base, at)                                                               \
	__asm__ goto(FAULTING(mnemonic " %0, (%1,%2)")                                             \
		     :                                                                             \
		     : "r"(v), "r"(base), "r"(at)                                                  \
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

do_lazy: /* the first call */
	if ((trap = func_ready(w, cur)))
		goto trapped;
	f = cur;
	ip = f->code;
	fuel++; /* it is one call */
	goto frame_begin;
do_host:
	w->top = top;
	trap = cur->host(w->user, w, fp);
	if (unlikely(trap))
		goto trapped;
	goto leave;
do_unreachable:
	TRAP(WASM_TRAP_UNREACHABLE);
do_copy:
	SLOT(d).i64 = SLOT(a).i64;
	NEXT();
do_copy2:
	memmove(&SLOT(d), &SLOT(a), 16);
	NEXT();
do_const:
	SLOT(d).i64 = (uint64_t)(int64_t)(int32_t)ip->k;
	NEXT();
do_const64:
	SLOT(d).i64 = ip[1].code;
	ip++;
	NEXT();
do_br:
	TAKE();
do_br_if:
	if (SLOT(d).i32)
		TAKE();
	NEXT();
do_br_unless:
	if (!SLOT(d).i32)
		TAKE();
	NEXT();
do_br_table: /* entries follow, which are branches */
	ip += 1 + (SLOT(a).i32 < ip->k ? SLOT(a).i32 : ip->k);
	TAKE();
do_return0:
	goto leave;
do_return1:
	fp[0].i64 = SLOT(a).i64;
	goto leave;
do_return:
	memmove(fp, &SLOT(a), ip->k * sizeof *fp);
	goto leave;
do_call:
	f = &w->funcs[ip->k];
	at = &SLOT(d);
	resume = ip + 1;
	goto call;
do_call_indirect:
	if ((trap = callee_find(w, ip, SLOT(a).i32, &f)))
		goto trapped;
	at = &SLOT(d);
	resume = ip + 2;
	goto call;
do_tail:
	f = &w->funcs[ip->k];
	memmove(fp, &SLOT(d), f->nparams * sizeof *fp);
	goto enter;
do_tail_indirect:
	if ((trap = callee_find(w, ip, SLOT(a).i32, &f)))
		goto trapped;
	memmove(fp, &SLOT(d), f->nparams * sizeof *fp);
	goto enter;
do_select:
	SLOT(d).i64 = SLOT(c).i32 ? SLOT(a).i64 : SLOT(b).i64;
	NEXT();
do_select2:
	memmove(&SLOT(d), SLOT(c).i32 ? &SLOT(a) : &SLOT(b), 16);
	NEXT();
do_global_get:
	SLOT(d).i64 = w->globals[ip->k].lo;
	NEXT();
do_global_set:
	w->globals[ip->k].lo = SLOT(a).i64;
	NEXT();
do_global_get2:
	memcpy(&SLOT(d), &w->globals[ip->k], 16);
	NEXT();
do_global_set2:
	memcpy(&w->globals[ip->k], &SLOT(a), 16);
	NEXT();
do_ref_func:
	SLOT(d).i64 = (uint64_t)(uintptr_t)&w->funcs[ip->k];
	NEXT();
do_table_get:
	if (SLOT(a).i32 >= w->tables[ip->k].n)
		TRAP(WASM_TRAP_TABLE);
	SLOT(d).i64 = w->tables[ip->k].at[SLOT(a).i32];
	NEXT();
do_table_set:
	if (SLOT(d).i32 >= w->tables[ip->k].n)
		TRAP(WASM_TRAP_TABLE);
	w->tables[ip->k].at[SLOT(d).i32] = SLOT(a).i64;
	NEXT();
do_help:
	if ((trap = wasm_help(w, (enum help)ip->a, &SLOT(d), ip->k, ip[1].k)))
		goto trapped;
	ip++;
	NEXT();
do_address: /* an address with 32 bits has nothing above them that counts */
	SLOT(d).i64 = address_check(&w->memories[ip[1].k], SLOT(a), ip[1].code, ip->b);
	if (!SLOT(d).i64)
		goto fault;
	ip++;
	NEXT();
do_shladd32:
	SLOT(d).i32 = (SLOT(a).i32 << ip->c) + SLOT(b).i32;
	NEXT();
do_shladd64:
	SLOT(d).i64 = (SLOT(a).i64 << ip->c) + SLOT(b).i64;
	NEXT();

/* The bodies of rows. */
#define VALUES(t, yes)                                                                             \
	{                                                                                          \
		C_##t x = SLOT(a).t, y = yes;
#define INT(op, name, t, value)                                                                    \
	do_##name : VALUES(t, SLOT(b).t) SLOT(d).t = (C_##t)(value);                               \
	}                                                                                          \
	NEXT();                                                                                    \
	do_##name##_k : VALUES(t, (C_##t)(int32_t)ip->k) SLOT(d).t = (C_##t)(value);               \
	}                                                                                          \
	NEXT();
#define BRANCH(t, y_value, cond)                                                                   \
	{                                                                                          \
		C_##t x = SLOT(d).t, y = y_value;                                                  \
		if (cond)                                                                          \
			TAKE();                                                                    \
	}                                                                                          \
	NEXT();
#define CMP(op, name, t, value)                                                                    \
	do_##name : VALUES(t, SLOT(b).t) SLOT(d).i32 = (value);                                    \
	}                                                                                          \
	NEXT();                                                                                    \
	do_##name##_k : VALUES(t, (C_##t)(int32_t)ip->k) SLOT(d).i32 = (value);                    \
	}                                                                                          \
	NEXT();                                                                                    \
	do_##name##_if : BRANCH(t, SLOT(a).t, value)                                               \
	do_##name##_if_k : BRANCH(t, (C_##t)(int16_t)ip->a, value)                                 \
	do_##name##_unless : BRANCH(t, SLOT(a).t, !(value))                                        \
	do_##name##_unless_k : BRANCH(t, (C_##t)(int16_t)ip->a, !(value))
#define FLT(op, name, t, value)                                                                    \
	do_##name : VALUES(t, SLOT(b).t) SLOT(d).t = (C_##t)(value);                               \
	}                                                                                          \
	NEXT();
#define FCMP(op, name, t, value)                                                                   \
	do_##name : VALUES(t, SLOT(b).t) SLOT(d).i32 = (value);                                    \
	}                                                                                          \
	NEXT();                                                                                    \
	do_##name##_if : BRANCH(t, SLOT(a).t, value)                                               \
	do_##name##_unless : BRANCH(t, SLOT(a).t, !(value))
#define UNARY(op, name, from, to, value)                                                           \
	do_##name : {                                                                              \
		C_##from x = SLOT(a).from;                                                         \
		SLOT(d).to = (C_##to)(value);                                                      \
	}                                                                                          \
	NEXT();
#define DIVIDE(op, name, t, why, value)                                                            \
	do_##name : VALUES(t, SLOT(b).t) trap = (why);                                             \
	if (unlikely(trap))                                                                        \
		goto trapped;                                                                      \
	SLOT(d).t = (C_##t)(value);                                                                \
	}                                                                                          \
	NEXT();
#define CHECKED(op, name, from, to, why, value)                                                    \
	do_##name : {                                                                              \
		C_##from x = SLOT(a).from;                                                         \
		trap = (why);                                                                      \
		if (unlikely(trap))                                                                \
			goto trapped;                                                              \
		SLOT(d).to = (C_##to)(value);                                                      \
	}                                                                                          \
	NEXT();
#define LOAD(op, name, t, bytes, from)                                                             \
	do_##name : {                                                                              \
		AS_##from v = 0;                                                                   \
		READ(READ_##from, v, mem, (uint64_t)SLOT(a).i32 + ip->k);                          \
		SLOT(d).t = (C_##t)v;                                                              \
	}                                                                                          \
	NEXT();                                                                                    \
	do_##name##_at : {                                                                         \
		AS_##from v = 0;                                                                   \
		READ(READ_##from, v, SLOT(a).i64, 0ull);                                           \
		SLOT(d).t = (C_##t)v;                                                              \
	}                                                                                          \
	NEXT();
#define STORE(op, name, t, bytes, to)                                                              \
	do_##name : WRITE(WRITE_##to, (to)SLOT(a).t, mem, (uint64_t)SLOT(d).i32 + ip->k);          \
	NEXT();                                                                                    \
	do_##name##_at : WRITE(WRITE_##to, (to)SLOT(a).t, SLOT(d).i64, 0ull);                      \
	NEXT();
#include "wasm/num.def"
#include "wasm/mem.def"
