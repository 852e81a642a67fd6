/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of WebAssembly: any bytes are refused, or are valid, are made into code, and run with a
 * little fuel on WASI without files; whatever they do ends in a result, a trap or an exit. */
#include "wasi/wasi.h"
#include "wasm/internal.h"
#include <fcntl.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static enum wasm_trap nothing(void *user, struct wasm *w, union wasm_slot *at)
{
	(void)user;
	at[0].i64 = wasm_memory_size(w);
	return WASM_OK;
}

/* Functions of no interface are there, too: most modules would end at their imports. */
static wasm_host_fn *find(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e)
{
	wasm_host_fn *fn = wasi_find(user, i, im, e);
	/* what is read could be our own terminal's, and time is not to be waited for */
	if (!fn || memmem(im->name, im->name_len, "fd_", 3) ||
	    memmem(im->name, im->name_len, "poll", 4) || memmem(im->name, im->name_len, "sock", 4))
		return nothing;
	return fn;
}

static void exports_call(struct wasm *w, const struct wasm_module *m)
{
	for (uint32_t i = 0, n = 0; i < m->nexports && n < 16; i++) {
		static union wasm_slot at[2048];
		if (m->exports[i].kind != WASM_FUNC)
			continue;
		for (size_t k = 0; k < countof(at); k++)
			at[k].i64 = k * 0x9e3779b97f4a7c15;
		n++;
		if (wasm_call(w, m->exports[i].index, at) == WASM_OK)
			continue;
		FILE *out = fopen("/dev/null", "w");
		if (out) {
			wasm_trace(w, out);
			fclose(out);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const argv[] = {"fuzz", "two"};
	static const struct wasi_config none = {.argv = argv, .argc = 2};
	/* compiled code has no fuel, but looks at the clock */
	const bool compiles = len % 4 == 3;
	const struct wasm_limits limits = {
	    .memory_max = 16 << 20,
	    .fuel = compiles ? 0 : 3000,
	    .stack_slots = 1 << 14,
	    .deadline_ns = compiles ? host_monotonic_ns() + 20000000 : 0,
	    .compiles = compiles,
	    .heat = 1};
	struct wasm_module *m;
	struct wasi *s = NULL;
	struct wasm *w;
	if (wasm_module_new(&m, data, len, len % 2 ? WASM_LAZY : 0, NULL) < 0)
		return 0;
	if (wasi_new(&s, &none, NULL) < 0)
		__builtin_trap();
	if (wasm_new(&w, m, &limits, find, s, NULL) == 0) {
		if (wasm_start(w) == WASM_OK)
			exports_call(w, m);
		wasm_free(w);
	}
	wasi_free(s);
	wasm_module_free(m);
	return 0;
}
