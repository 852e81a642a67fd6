/* SPDX-License-Identifier: Apache-2.0 */
/* Tables with 64-bit indices, which wabt does not know yet: what does not fit 32 bits is no
 * element, whatever its low half says. The interpreter, and compiled. */
#include "test/test.h"
#include "wasm/internal.h"

static const char head[] =
    "\0asm\1\0\0\0"
    "\1\x09\2\x60\0\1\x7f\x60\0\1\x7e"	/* 0: () -> i32, 1: () -> i64 */
    "\3\4\3\0\0\0"			/* f0, f1, f2: the test */
    "\4\5\1\x70\5\4\x0a"		/* a table of 4, at most 10, 64-bit */
    "\7\5\1\1f\0\2"
    "\x09\x08\1\0\x42\1\x0b\2\0\1"	/* f0, f1 from 1 on */
    "\x0a";

static enum wasm_trap one_run(const char *body, size_t len, bool compiles, uint32_t *ret)
{
	static const char funcs[] = "\3\4\0\x41\5\x0b\4\0\x41\6\x0b";
	uint8_t b[300];
	size_t n = sizeof head - 1;
	struct wasm_module *m;
	struct wasm *w;
	struct lodge_err e = {0};
	union wasm_slot v[2] = {{0}};
	const struct wasm_limits limits = {.compiles = compiles, .heat = 1};
	memcpy(b, head, n);
	b[n++] = (uint8_t)(sizeof funcs - 1 + 2 + len);
	memcpy(b + n, funcs, sizeof funcs - 1);
	n += sizeof funcs - 1;
	b[n++] = (uint8_t)(len + 1);
	b[n++] = 0;
	memcpy(b + n, body, len);
	int r = wasm_module_new(&m, b, n + len, 0, &e);
	if (r < 0)
		printf("# %s\n", e.msg);
	CHECK(r == 0);
	CHECK(wasm_new(&w, m, &limits, NULL, NULL, &e) == 0);
	CHECK(wasm_start(w) == WASM_OK);
	enum wasm_trap t = wasm_call(w, 2, v);
	*ret = v[0].i32;
	wasm_free(w);
	wasm_module_free(m);
	return t;
}

static uint32_t both_run(const char *body, size_t len, enum wasm_trap want)
{
	uint32_t x = 0, y = 0;
	CHECK(one_run(body, len, false, &x) == want);
	CHECK(one_run(body, len, true, &y) == want);
	CHECK(x == y);
	return x;
}
#define RUN(body) both_run(body, sizeof body - 1, WASM_OK)
#define TRAPS(body, why) (void)both_run(body, sizeof body - 1, why)
#define HIGH "\x42\x81\x80\x80\x80\x10" /* i64.const 2^32 + 1 */

TEST(wasm_tables_have_indices_of_64_bits)
{
	CHECK(RUN("\x42\1\x11\0\0\x0b") == 5);
	CHECK(RUN("\x42\2\x11\0\0\x0b") == 6);
	TRAPS(HIGH "\x11\0\0\x0b", WASM_TRAP_UNDEFINED);
	TRAPS(HIGH "\x25\0\xd1\x0b", WASM_TRAP_TABLE);
	TRAPS(HIGH "\xd0\x70\x26\0\x41\0\x0b", WASM_TRAP_TABLE);
	CHECK(RUN("\x42\0\x25\0\xd1\x0b") == 1);
	/* set, then called; copied; filled */
	CHECK(RUN("\x42\0\xd2\1\x26\0\x42\0\x11\0\0\x0b") == 6);
	CHECK(RUN("\x42\0\x42\2\x42\1\xfc\x0e\0\0\x42\0\x11\0\0\x0b") == 6);
	TRAPS("\x42\0\x42\2" HIGH "\xfc\x0e\0\0\x41\0\x0b", WASM_TRAP_TABLE);
	CHECK(RUN("\x42\0\xd2\0\x42\4\xfc\x11\0\x42\3\x11\0\0\x0b") == 5);
	/* grown: 4 were there; by too much: -1, 64 bits of it */
	CHECK(RUN("\xd2\0\x42\2\xfc\x0f\0\xfc\x10\0\x7e\xa7\x0b") == 24);
	CHECK(RUN("\xd2\0" HIGH "\xfc\x0f\0\x42\x7f\x51\x0b") == 1);
}

/* f(i) puts itself at element i of its table: an index of a local, a value made for it. */
TEST(wasm_what_sets_elements_is_compiled)
{
	static const char set[] = "\0asm\1\0\0\0"
				  "\1\5\1\x60\1\x7f\0"
				  "\3\2\1\0"
				  "\4\4\1\x70\0\2"
				  "\x9\5\1\3\0\1\0"
				  "\xa\xa\1\x8\0\x20\0\xd2\0\x26\0\x0b";
	const struct wasm_limits limits = {.compiles = true, .heat = 1};
	union wasm_slot v[2] = {{.i32 = 1}};
	struct wasm_module *m;
	struct wasm *w;
	CHECK(wasm_module_new(&m, (const uint8_t *)set, sizeof set - 1, 0, NULL) == 0);
	CHECK(wasm_new(&w, m, &limits, NULL, NULL, NULL) == 0);
	CHECK(wasm_start(w) == WASM_OK);
	CHECK(wasm_call(w, 0, v) == WASM_OK);
	CHECK(!w->tier || w->funcs[0].code == &w->tiered);
	CHECK(!w->tables[0].at[0] && w->tables[0].at[1] == (uint64_t)(uintptr_t)&w->funcs[0]);
	v[0].i32 = 2;
	CHECK(wasm_call(w, 0, v) == WASM_TRAP_TABLE);
	wasm_free(w);
	wasm_module_free(m);
}
