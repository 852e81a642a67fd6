/* SPDX-License-Identifier: Apache-2.0 */
/* Typed references, as far as programs cannot show it (test/wasm/typed.py has the rules): what a
 * damaged state may have put in their places, and code that was kept. */
#include "test/test.h"
#include "wasm/internal.h"
#include <stdlib.h>

/* type 0: (i32) -> i32, 1: () -> i64; global 0: (mut (ref null 0)) = f0; f0(x) = 3 * x; f1() = 5;
 * f2(x) = call_ref 0 (x, global 0) + 1; f3(x): return_call_ref 0 (x, global 0) */
static const char module[] = "\0asm\1\0\0\0"
			     "\1\x0a\2\x60\1\x7f\1\x7f\x60\0\1\x7e"
			     "\3\5\4\0\1\0\0"
			     "\6\7\1\x63\0\1\xd2\0\x0b"
			     "\xa\x23\4"
			     "\7\0\x20\0\x41\3\x6c\x0b"
			     "\4\0\x42\5\x0b"
			     "\x0b\0\x20\0\x23\0\x14\0\x41\1\x6a\x0b"
			     "\x8\0\x20\0\x23\0\x15\0\x0b";

static struct wasm_module *module_of(void)
{
	struct wasm_module *m = NULL;
	struct lodge_err e = {0};
	if (wasm_module_new(&m, (const uint8_t *)module, sizeof module - 1, 0, &e) < 0)
		printf("# %s\n", e.msg);
	CHECK(m);
	return m;
}

static struct wasm *instance(const struct wasm_module *m, bool compiles, uint32_t heat)
{
	const struct wasm_limits limits = {.compiles = compiles, .heat = heat};
	struct wasm *w = NULL;
	CHECK(wasm_new(&w, m, &limits, NULL, NULL, NULL) == 0);
	CHECK(wasm_start(w) == WASM_OK);
	return w;
}

static enum wasm_trap call(struct wasm *w, uint32_t func, uint64_t ref, uint32_t *ret)
{
	union wasm_slot v[2] = {{.i32 = 7}};
	w->globals[0].lo = ref;
	enum wasm_trap t = wasm_call(w, func, v);
	*ret = v[0].i32;
	return t;
}

TEST(wasm_references_of_a_damaged_state_call_nothing_else)
{
	struct wasm_module *m = module_of();
	for (unsigned compiles = 0; compiles < 2; compiles++) {
		struct wasm *w = instance(m, compiles, 1);
		uint32_t x;
		CHECK(call(w, 2, 1, &x) == WASM_OK && x == 22);
		CHECK(call(w, 3, 1, &x) == WASM_OK && x == 21);
		for (uint32_t f = 2; f < 4; f++) {
			CHECK(call(w, f, 0, &x) == WASM_TRAP_NULL_FUNCTION);
			CHECK(call(w, f, 2, &x) == WASM_TRAP_SIGNATURE);
			CHECK(call(w, f, 5, &x) == WASM_TRAP_UNDEFINED);
			CHECK(call(w, f, UINT32_MAX, &x) == WASM_TRAP_UNDEFINED);
			CHECK(call(w, f, 1ull << 32 | 2, &x) == WASM_TRAP_SIGNATURE);
		}
		CHECK(call(w, 2, 1, &x) == WASM_OK && x == 22);
		wasm_free(w);
	}
	wasm_module_free(m);
}

TEST(wasm_kept_code_calls_references)
{
	struct wasm_module *m = module_of();
	struct wasm *w = instance(m, true, 1);
	uint8_t *bytes = NULL;
	size_t len = 0, fresh;
	uint32_t list[4], x;
	wasm_code_make(w, (const uint32_t[]){0, 2, 3}, 3, 1 << 20);
	CHECK(wasm_code_save(w, &bytes, &len) == 0);
	wasm_free(w);
	const struct wasm_limits limits = {.compiles = true, .heat = 1000000};
	CHECK(wasm_new(&w, m, &limits, NULL, NULL, NULL) == 0);
	CHECK(wasm_code_load(w, bytes, len));
	CHECK(wasm_code_list(w, list, 4, &fresh) == 3 && fresh == 0);
	CHECK(wasm_start(w) == WASM_OK);
	CHECK(call(w, 2, 1, &x) == WASM_OK && x == 22);
	CHECK(call(w, 3, 1, &x) == WASM_OK && x == 21);
	CHECK(call(w, 2, 0, &x) == WASM_TRAP_NULL_FUNCTION);
	CHECK(!w->funcs[2].own); /* nothing was made */
	wasm_free(w);
	free(bytes);
	wasm_module_free(m);
}
