/* SPDX-License-Identifier: Apache-2.0 */
#include "test/test.h"
#include "wasm/internal.h"
#include <stdlib.h>

/* f0(x) = 3 * x; f1(x) = f0(x) + table[0](x) + pages; f2(x): a loop over f1, x times. */
static const char module[] = "\0asm\1\0\0\0"
			     "\1\6\1\x60\1\x7f\1\x7f"
			     "\3\4\3\0\0\0"
			     "\4\4\1\x70\0\1"
			     "\5\3\1\0\1"
			     "\x9\7\1\0\x41\0\x0b\1\0"
			     "\xa\x37\3"
			     "\7\0\x20\0\x41\3\x6c\x0b"
			     "\x11\0\x20\0\x10\0\x20\0\x41\0\x11\0\0\x6a\x3f\0\x6a\x0b"
			     "\x1b\1\1\x7f\3\x40\x20\1\x20\0\x10\1\x6a\x21\1\x20\0\x41\1\x6b\x22\0"
			     "\x0d\0\x0b\x20\1\x0b";
enum { FUNCS = 3 };

static struct wasm *instance(const struct wasm_module *m, uint32_t heat)
{
	const struct wasm_limits limits = {.compiles = true, .heat = heat};
	struct wasm *w = NULL;
	CHECK(wasm_new(&w, m, &limits, NULL, NULL, NULL) == 0);
	return w;
}

static uint32_t call(struct wasm *w, uint32_t func, uint32_t x)
{
	union wasm_slot v[2] = {{.i32 = x}};
	CHECK(wasm_call(w, func, v) == WASM_OK);
	return v[0].i32;
}

static void check(struct wasm *w)
{
	CHECK(wasm_start(w) == WASM_OK);
	CHECK(call(w, 0, 7) == 21 && call(w, 1, 5) == 31);
	CHECK(call(w, 2, 3) == 6 * (3 + 2 + 1) + 3);
}

/* In the order of @funcs: callees with and without code. */
static void kept_in_order(const struct wasm_module *m, const uint32_t funcs[FUNCS])
{
	uint8_t *bytes = NULL;
	uint32_t list[FUNCS + 1];
	size_t len = 0, fresh;
	struct wasm *w = instance(m, 1);
	CHECK(wasm_code_save(w, &bytes, &len) == -ENOENT);
	wasm_code_make(w, (const uint32_t[]){funcs[0], funcs[1], funcs[2], 99}, FUNCS + 1, 1 << 20);
	CHECK(wasm_code_save(w, &bytes, &len) == 0);
	wasm_free(w);
	w = instance(m, 1000000);
	CHECK(wasm_code_load(w, bytes, len));
	CHECK(wasm_code_list(w, list, FUNCS + 1, &fresh) == FUNCS && fresh == 0);
	CHECK(!memcmp(list, funcs, sizeof *funcs * FUNCS));
	check(w);
	CHECK(!w->funcs[0].own && !w->funcs[1].own && !w->funcs[2].own); /* nothing was made */
	CHECK(wasm_code_list(w, list, FUNCS + 1, &fresh) == FUNCS && fresh == 0);
	wasm_free(w);
	free(bytes);
}

TEST(wasm_code_is_kept_and_taken)
{
	struct wasm_module *m;
	CHECK(wasm_module_new(&m, (const uint8_t *)module, sizeof module - 1, 0, NULL) == 0);
	kept_in_order(m, (const uint32_t[]){0, 1, 2});
	kept_in_order(m, (const uint32_t[]){2, 1, 0});
	wasm_module_free(m);
}

/* f0(x) throws x; f1(x) = what f0(x) has thrown, and x. */
static const char catching[] = "\0asm\1\0\0\0"
			       "\1\x0a\2\x60\1\x7f\0\x60\1\x7f\1\x7f"
			       "\3\3\2\0\1"
			       "\x0d\3\1\0\0"
			       "\xa\x1e\2"
			       "\6\0\x20\0\x08\0\x0b"
			       "\x15\0\x02\x7f\x1f\x40\1\0\0\0\x20\0\x10\0\x0b"
			       "\x41\1\x0b\x20\0\x6a\x0b";

TEST(wasm_code_that_catches_is_kept)
{
	struct wasm_module *m;
	uint8_t *bytes = NULL;
	size_t len = 0;
	CHECK(wasm_module_new(&m, (const uint8_t *)catching, sizeof catching - 1, 0, NULL) == 0);
	struct wasm *w = instance(m, 1);
	wasm_code_make(w, (const uint32_t[]){0, 1}, 2, 1 << 20);
	CHECK(wasm_code_save(w, &bytes, &len) == 0);
	wasm_free(w);
	w = instance(m, 1000000);
	CHECK(wasm_code_load(w, bytes, len));
	CHECK(wasm_start(w) == WASM_OK);
	CHECK(call(w, 1, 21) == 42);
	CHECK(!w->funcs[0].own && !w->funcs[1].own); /* by the code that was kept alone */
	wasm_free(w);
	free(bytes);
	wasm_module_free(m);
}

TEST(wasm_functions_that_are_called_again_are_listed)
{
	const struct wasm_limits limits = {.compiles = true, .heat = 1000};
	uint32_t list[FUNCS];
	size_t fresh;
	struct wasm_module *m;
	struct wasm *w;
	CHECK(wasm_module_new(&m, (const uint8_t *)module, sizeof module - 1, 0, NULL) == 0);
	CHECK(wasm_new(&w, m, &limits, NULL, NULL, NULL) == 0);
	CHECK(wasm_start(w) == WASM_OK);
	CHECK(wasm_code_list(w, list, FUNCS, &fresh) == 0 && fresh == 0);
	CHECK(call(w, 2, 3) == 39); /* itself once, f1 and f0 more often */
	CHECK(wasm_code_list(w, list, FUNCS, &fresh) == 2 && fresh == 2);
	CHECK(list[0] == 0 && list[1] == 1);
	wasm_free(w);
	wasm_module_free(m);
}

TEST(wasm_code_that_is_damaged_is_not_there)
{
	struct wasm_module *m;
	uint8_t *bytes = NULL;
	size_t len = 0;
	CHECK(wasm_module_new(&m, (const uint8_t *)module, sizeof module - 1, 0, NULL) == 0);
	struct wasm *w = instance(m, 1);
	wasm_code_make(w, (const uint32_t[]){0, 1, 2}, FUNCS, 1 << 20);
	CHECK(wasm_code_save(w, &bytes, &len) == 0);
	wasm_free(w);
	for (size_t i = 0; i < len * 8; i += i < 512 ? 1 : 29) {
		bytes[i / 8] ^= (uint8_t)(1 << (i & 7));
		w = instance(m, 2);
		CHECK(!wasm_code_load(w, bytes, len));
		if (i % 16 == 0)
			check(w);
		wasm_free(w);
		bytes[i / 8] ^= (uint8_t)(1 << (i & 7));
	}
	for (size_t n = 0; n < len; n += n < 128 ? 1 : 61) {
		w = instance(m, 2);
		CHECK(!wasm_code_load(w, bytes, n));
		wasm_free(w);
	}
	free(bytes);
	wasm_module_free(m);
}

TEST(wasm_code_key_is_that_of_what_code_depends_on)
{
	enum { LEN = sizeof module - 1 };
	uint8_t bytes[LEN + 64], a[32], b[32];
	size_t n = LEN;
	memcpy(bytes, module, LEN);
	CHECK(wasm_code_key(bytes, n, a));
	memcpy(bytes + n, "\0\3\1xy", 5); /* a custom section */
	n += 5;
	CHECK(wasm_code_key(bytes, n, b) && !memcmp(a, b, 32));
	bytes[LEN - 2] ^= 1;
	CHECK(wasm_code_key(bytes, n, b) && memcmp(a, b, 32));
	CHECK(!wasm_code_key(bytes, n - 1, b)); /* cut */
}
