/* SPDX-License-Identifier: Apache-2.0 */
/* runner MODULE: call every exported function that takes nothing, in order, and print what comes of
 * it as wasm-interp --run-all-exports does. runner -v MODULE...: only say of each whether it is
 * valid. */
#include "wasm/internal.h"
#include <fcntl.h>

static wasm_host_fn *none(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e)
{
	(void)user;
	(void)i;
	(void)!err_set(e, EINVAL, "import %.*s", (int)im->name_len, im->name);
	return NULL;
}

static void export_run(struct wasm *w, const struct wasm_module *m, const struct wexport *x)
{
	union wasm_slot v[16] = {{0}};
	char signature[64];
	wasm_signature(m, x->index, signature);
	if (signature[0] != ':')
		return;
	enum wasm_trap t = wasm_call(w, x->index, v);
	printf("%.*s() =>", (int)x->name.len, (const char *)x->name.at);
	if (t)
		printf(" error: %s", wasm_trap_text(t));
	else if (signature[1] == 'i')
		printf(" i32:%u", v[0].i32);
	else if (signature[1] == 'I')
		printf(" i64:%llu", (unsigned long long)v[0].i64);
	putchar('\n');
}

static bool module_check(const char *path)
{
	struct wasm_module *m = NULL;
	struct lodge_err e = {0};
	char *bytes = NULL;
	size_t len;
	int r = file_load(AT_FDCWD, path, 1 << 30, &bytes, &len, &e);
	if (r == 0)
		r = wasm_module_new(&m, (const uint8_t *)bytes, len, 0, &e);
	if (r == 0)
		wasm_module_free(m);
	free(bytes);
	puts(r == 0 ? "valid" : e.msg);
	return r == 0;
}

int main(int argc, char **argv)
{
	const bool compiles = argc == 3 && !strcmp(argv[1], "-c"); /* all, when they are called */
	const struct wasm_limits limits = {
	    .fuel = compiles ? 0 : 1ull << 32, .compiles = compiles, .heat = 1};
	struct wasm_module *m;
	struct wasm *w = NULL;
	struct lodge_err e = {0};
	char *bytes;
	size_t len;
	if (argc > 2 && !strcmp(argv[1], "-v")) {
		bool all = true;
		for (int i = 2; i < argc; i++)
			all &= module_check(argv[i]);
		return !all;
	}
	if (argc < 2 || file_load(AT_FDCWD, argv[argc - 1], 1 << 30, &bytes, &len, &e) < 0 ||
	    wasm_module_new(&m, (const uint8_t *)bytes, len, 0, &e) < 0 ||
	    wasm_new(&w, m, &limits, none, NULL, &e) < 0) {
		printf("error: %s\n", e.msg);
		return 1;
	}
	enum wasm_trap t = wasm_start(w);
	if (t)
		printf("error: %s\n", wasm_trap_text(t));
	for (uint32_t i = 0; !t && i < m->nexports; i++)
		if (m->exports[i].kind == WASM_FUNC)
			export_run(w, m, &m->exports[i]);
	wasm_free(w);
	wasm_module_free(m);
	free(bytes);
	return 0;
}
