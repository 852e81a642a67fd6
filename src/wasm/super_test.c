/* SPDX-License-Identifier: Apache-2.0 */
/* Superinstructions: which are found, and that branches and traps know the instructions in them. */
#include "test/test.h"
#include "wasm/internal.h"
#include <stdlib.h>

static const char head[] = "\0asm\1\0\0\0"
			   "\1\7\1\x60\2\x7f\x7f\1\x7f" /* (i32, i32) -> i32 */
			   "\3\2\1\0"
			   "\5\3\1\0\1" /* a page */
			   "\x0a";

struct one {
	struct wasm_module *m;
	struct wasm *w;
	struct made made;
	struct body *bodies;
	uint16_t codes[100];
	uint8_t bytes[200];
};

/* A function with one more local of type i32. */
static void one_make(struct one *o, const char *body, size_t len)
{
	size_t n = sizeof head - 1;
	struct lodge_err e = {0};
	const struct wasm_limits limits = {.compiles = false};
	memcpy(o->bytes, head, n);
	o->bytes[n++] = (uint8_t)(len + 5);
	o->bytes[n++] = 1;
	o->bytes[n++] = (uint8_t)(len + 3);
	memcpy(o->bytes + n, "\1\1\x7f", 3);
	memcpy(o->bytes + n + 3, body, len);
	CHECK(wasm_module_new(&o->m, o->bytes, n + 3 + len, 0, &e) == 0);
	CHECK(wasm_new(&o->w, o->m, &limits, NULL, NULL, &e) == 0);
	CHECK(wasm_start(o->w) == WASM_OK);
	CHECK(func_make(o->m, 0, &o->made, false, &e) == 0);
	CHECK(o->made.n <= countof(o->codes));
	for (uint32_t i = 0; i < o->made.n; i++)
		o->codes[i] = (uint16_t)o->made.at[i].code;
	o->bodies = super_find(o->made.at, o->codes, o->made.n);
	CHECK(o->bodies);
}

static void one_free(struct one *o)
{
	free(o->bodies);
	made_fini(&o->made);
	wasm_free(o->w);
	wasm_module_free(o->m);
}
#define ONE(o, body) one_make(o, body, sizeof body - 1)

TEST(wasm_super_takes_what_follows)
{
	struct one o;
	union wasm_slot v[2] = {{.i32 = 40}, {.i32 = 0}};
	ONE(&o, "\x20\0\x41\3\x6a\x41\x7f\x6a\x67\x0b"); /* clz(a + 3 + -1) */
	CHECK(o.made.n == 4 && o.made.at[0].code == CODE_i32_add_k);
	CHECK(o.bodies[0].code == SUPER_K_i32_add_A_K_i32_add);
	CHECK(o.bodies[0].cost == 3 && o.bodies[2].code == CODE_i32_clz);
	CHECK(wasm_call(o.w, 0, v) == WASM_OK && v[0].i32 == 26);
	one_free(&o);
}

/* The sum of a and 4 is an address, then a loop loads from it: the branch leads to the second
 * instruction of a superinstruction. */
TEST(wasm_super_is_branched_into)
{
	struct one o;
	union wasm_slot v[2] = {{.i32 = 8}, {.i32 = 3}};
	const uint32_t x = 0x12345679;
	uint32_t want = 0;
	ONE(&o, "\x20\0\x41\4\x6a\x21\0\x03\x40"
		"\x20\0\x28\2\0\x20\2\x78\x21\2" /* c = rotr(memory[a], c) */
		"\x20\1\x41\x7f\x6a\x22\1\x0d\0\x0b\x20\2\x0b");
	CHECK(o.bodies[0].code == SUPER_K_i32_add_A_LOAD_i32_load);
	CHECK(o.bodies[1].code == CODE_i32_load);
	memcpy(wasm_memory(o.w, 12, 4), &x, 4);
	for (unsigned i = 0; i < 3; i++)
		want = x >> (want & 31) | x << (-want & 31);
	CHECK(wasm_call(o.w, 0, v) == WASM_OK && v[0].i32 == want);
	one_free(&o);
}

TEST(wasm_super_says_which_instruction_trapped)
{
	struct one o;
	union wasm_slot v[2] = {{.i32 = 0x7fffffff}, {.i32 = 0}};
	ONE(&o, "\x20\0\x41\4\x6a\x28\2\0\x67\x0b");
	CHECK(o.bodies[0].code == SUPER_K_i32_add_A_LOAD_i32_load);
	CHECK(wasm_call(o.w, 0, v) == WASM_TRAP_MEMORY);
	CHECK(o.w->ntrace == 1 && o.w->trace[0].insn == 1);
	one_free(&o);
	ONE(&o, "\x20\0\x41\0\x6d\x67\x0b"); /* clz(a / 0) */
	CHECK(o.bodies[0].code == SUPER_ONLY_CONST_B_DIVIDE_i32_div_s);
	CHECK(wasm_call(o.w, 0, v) == WASM_TRAP_DIVIDE);
	CHECK(o.w->ntrace == 1 && o.w->trace[0].insn == 1);
	one_free(&o);
}

/* The second half of a wide constant may look like any code. */
TEST(wasm_super_leaves_second_halves_alone)
{
	struct one o;
	union wasm_slot v[2] = {{.i32 = 0}, {.i32 = 0}};
	/* i64.const 2^40 + CODE_CONST64, wrapped */
	uint8_t body[] = {0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0xa7, 0x0b};
	body[1] = 0x80 | CODE_CONST64;
	one_make(&o, (const char *)body, sizeof body);
	CHECK(o.made.at[0].code == CODE_CONST64 && code_is_double(o.made.at[1].code & 0xff));
	CHECK(wasm_call(o.w, 0, v) == WASM_OK && v[0].i32 == CODE_CONST64);
	one_free(&o);
}
