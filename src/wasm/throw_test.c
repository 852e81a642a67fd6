/* SPDX-License-Identifier: Apache-2.0 */
/* try_table, throw_ref and references to exceptions, which no other engine here knows: the module
 * is written byte by byte, and run by the interpreter and with all that can be compiled, compiled.
 */
#include "test/test.h"
#include "wasm/internal.h"

static const char head[] =
    "\0asm\1\0\0\0"
    /* 0: () -> i32, 1: (i32) -> (), 2: () -> (i32 exnref), 3: () -> exnref, 4: (exnref) -> () */
    "\1\x16\5\x60\0\1\x7f\x60\1\x7f\0\x60\0\2\x7f\x69\x60\0\1\x69\x60\1\x69\0"
    "\3\4\3\1\1\0"		     /* f0, f1: (i32) -> (), f2: the test */
    "\4\4\1\x69\0\2"		     /* a table of two references to exceptions */
    "\x0d\5\2\0\1\0\1"		     /* two tags (i32) */
    "\6\6\1\x69\1\xd0\x69\x0b"	     /* a global exnref */
    "\7\5\1\1f\0\2";
/* f0 throws the first tag with its argument if that is not 0; f1 calls f0 */
static const char funcs[] = "\x0b\0\x20\0\x04\x40\x20\0\x08\0\x0b\x0b"
			    "\6\0\x20\0\x10\0\x0b";

static const char locals[] = "\2\1\x69\1\x7f"; /* an exnref, an i32 */

static enum wasm_trap one_run(const char *body, size_t len, bool compiles, uint32_t *ret)
{
	uint8_t b[400];
	size_t n = sizeof head - 1;
	struct wasm_module *m;
	struct wasm *w;
	struct lodge_err e = {0};
	union wasm_slot v[2] = {{0}};
	const struct wasm_limits limits = {.compiles = compiles, .heat = 1};
	memcpy(b, head, n);
	b[n++] = 10;
	const size_t code = 1 + sizeof funcs - 1 + 1 + sizeof locals - 1 + len;
	b[n++] = (uint8_t)(code | 128);
	b[n++] = (uint8_t)(code >> 7);
	b[n++] = 3;
	memcpy(b + n, funcs, sizeof funcs - 1);
	n += sizeof funcs - 1;
	b[n++] = (uint8_t)(len + sizeof locals - 1);
	memcpy(b + n, locals, sizeof locals - 1);
	n += sizeof locals - 1;
	memcpy(b + n, body, len);
	n += len;
	int r = wasm_module_new(&m, b, n, 0, &e);
	if (r < 0)
		printf("# %s\n", e.msg);
	CHECK(r == 0);
	CHECK(wasm_new(&w, m, &limits, NULL, NULL, &e) == 0);
	CHECK(wasm_start(w) == WASM_OK);
	enum wasm_trap t = wasm_call(w, 2, v);
	*ret = v[0].i32;
	CHECK(t != WASM_OK || w->nexns <= 1024);
	CHECK(!compiles || w->funcs[2].code == &w->tiered); /* what catches is compiled, too */
	wasm_free(w);
	wasm_module_free(m);
	return t;
}

static uint32_t both_run(const char *body, size_t len, enum wasm_trap want)
{
	uint32_t x, y;
	CHECK(one_run(body, len, false, &x) == want);
	CHECK(one_run(body, len, true, &y) == want);
	CHECK(x == y);
	return x;
}
#define RUN(body) both_run(body, sizeof body - 1, WASM_OK)
#define TRAPS(body, why) (void)both_run(body, sizeof body - 1, why)

TEST(wasm_try_table_catches)
{
	/* block (i32) { try_table (catch 0 -> 0) { call 1 (42) } 7 } */
	CHECK(RUN("\x02\x7f\x1f\x40\1\0\0\0\x41\x2a\x10\1\x0b\x41\7\x0b\x0b") == 42);
	CHECK(RUN("\x02\x7f\x1f\x40\1\0\0\0\x41\0\x10\1\x0b\x41\7\x0b\x0b") == 7);
	/* the other tag is not caught; catch_all is */
	TRAPS("\x02\x7f\x1f\x40\1\0\1\0\x41\x2a\x10\1\x0b\x41\7\x0b\x0b", WASM_TRAP_EXCEPTION);
	CHECK(RUN("\x02\x40\x1f\x40\1\2\0\x41\x2a\x10\1\x0b\x41\7\x0f\x0b\x41\x09\x0b") == 9);
	/* the first clause that fits; the innermost block */
	CHECK(RUN("\x02\x40\x02\x7f\x1f\x40\2\0\0\0\2\1\x41\x2a\x10\1\x0b\x41\7\x0b\x0f\x0b\x41\x09"
		  "\x0b") == 42);
	/* to the body's label: as a return */
	CHECK(RUN("\x1f\x40\1\0\0\0\x41\x2b\x10\1\x0b\x41\7\x0b") == 43);
}

TEST(wasm_exceptions_are_references)
{
	/* catch_ref: its value and itself, which is thrown again and caught outside */
	CHECK(RUN("\x02\x7f\x1f\x40\1\0\0\0\x02\x02\x1f\x40\1\1\0\0\x41\x15\x10\1\x0b\0\x0b"
		  "\x21\0\x1a\x20\0\x0a\x0b\0\x0b\x0b") == 21);
	/* catch_all_ref, by way of the global and the table */
	CHECK(RUN("\x02\x7f\x1f\x40\1\0\0\0\x02\x69\x1f\x40\1\3\0\x41\x16\x10\1\x0b\0\x0b"
		  "\x24\0\x41\1\x23\0\x26\0\x41\1\x25\0\x0a\x0b\0\x0b\x0b") == 22);
	TRAPS("\xd0\x69\x0a\x0b", WASM_TRAP_NULL_EXCEPTION);
	CHECK(RUN("\x20\0\xd1\x0b") == 1); /* ref.is_null */
}

/* 100,000 are thrown, one is kept in the table meanwhile; it is the one in the end. */
TEST(wasm_exceptions_are_forgotten)
{
	CHECK(RUN("\x41\0\x02\x69\x1f\x40\1\3\0\x41\xcd\0\x10\1\x0b\0\x0b\x26\0" /* table[0] */
		  "\x03\x40\x02\x7f\x1f\x40\1\0\0\0\x41\1\x10\0\x0b\0\x0b\x1a"
		  "\x20\1\x41\1\x6a\x22\1\x41\xa0\x8d\x06\x49\x0d\0\x0b"
		  "\x02\x7f\x1f\x40\1\0\0\0\x41\0\x25\0\x0a\x0b\0\x0b\x0b") == 77);
}

/* Each is kept in a table that grows: that ends with the reason. */
TEST(wasm_exceptions_are_not_kept_without_end)
{
	TRAPS("\x03\x40\x02\x69\x1f\x40\1\3\0\x41\x16\x10\1\x0b\0\x0b"
	      "\x41\1\xfc\x0f\0\x1a\x0c\0\x0b\0\x0b",
	      WASM_TRAP_HOARD);
}
