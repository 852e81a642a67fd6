/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of codes, by code: inside the table of wasm_run. */
#define PLAIN(NAME, name) [CODE_##NAME] = &&do_##name,
PLAIN(LAZY, lazy)
PLAIN(HOST, host)
PLAIN(UNREACHABLE, unreachable)
PLAIN(COPY, copy)
PLAIN(COPY2, copy2)
PLAIN(CONST, const)
PLAIN(CONST64, const64)
PLAIN(BR, br)
PLAIN(BR_IF, br_if)
PLAIN(BR_UNLESS, br_unless)
PLAIN(BR_TABLE, br_table)
PLAIN(RETURN0, return0)
PLAIN(RETURN1, return1)
PLAIN(RETURN, return)
PLAIN(CALL, call)
PLAIN(CALL_INDIRECT, call_indirect)
PLAIN(TAIL, tail)
PLAIN(TAIL_INDIRECT, tail_indirect)
PLAIN(SELECT, select)
PLAIN(SELECT2, select2)
PLAIN(GLOBAL_GET, global_get)
PLAIN(GLOBAL_SET, global_set)
PLAIN(GLOBAL_GET2, global_get2)
PLAIN(GLOBAL_SET2, global_set2)
PLAIN(REF_FUNC, ref_func)
PLAIN(TABLE_GET, table_get)
PLAIN(TABLE_SET, table_set)
PLAIN(HELP, help)
PLAIN(ADDRESS, address)
PLAIN(SHLADD32, shladd32)
PLAIN(SHLADD64, shladd64)
#undef PLAIN
#define AT(name) [CODE_##name] = &&do_##name,
#define INT(op, name, t, value) AT(name) AT(name##_k)
#define CMP(op, name, t, value)                                                                    \
	AT(name) AT(name##_k) AT(name##_if) AT(name##_if_k) AT(name##_unless) AT(name##_unless_k)
#define FLT(op, name, t, value) AT(name)
#define FCMP(op, name, t, value) AT(name) AT(name##_if) AT(name##_unless)
#define UNARY(op, name, from, to, value) AT(name)
#define DIVIDE(op, name, t, trap, value) AT(name)
#define CHECKED(op, name, from, to, trap, value) AT(name)
#include "wasm/num.def"
#define LOAD(op, name, t, bytes, from) AT(name) AT(name##_at)
#define STORE(op, name, t, bytes, to) AT(name) AT(name##_at)
#include "wasm/mem.def"
#undef AT
