/* SPDX-License-Identifier: Apache-2.0 */
/* compile MODULE: all of its functions validated and compiled, on one thread; prints the bytes of
 * them and the milliseconds. */
#include "wasm/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static enum wasm_trap never(void *user, struct wasm *w, union wasm_slot *at)
{
	(void)user;
	(void)w;
	(void)at;
	return WASM_TRAP_EXIT;
}

static wasm_host_fn *any(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e)
{
	(void)user;
	(void)i;
	(void)im;
	(void)e;
	return never;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	const struct wasm_limits limits = {.compiles = true, .heat = 1};
	struct wasm_module *m;
	struct wasm *w;
	struct lodge_err e = {0};
	char *bytes;
	size_t len, code = 0;
	if (argc != 2 || file_load(AT_FDCWD, argv[1], 1 << 30, &bytes, &len, &e) < 0)
		return 2;
	double begin = now();
	if (wasm_module_new(&m, (const uint8_t *)bytes, len, WASM_LAZY, &e) < 0 ||
	    wasm_new(&w, m, &limits, any, NULL, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	uint32_t n = m->nfuncs - m->nimported, *all = malloc((n + 1) * sizeof *all);
	for (uint32_t i = 0; all && i < n; i++)
		all[i] = m->nimported + i;
	if (!all)
		return 2;
	wasm_code_make(w, all, n, UINT64_MAX);
	double end = now();
	for (uint32_t f = m->nimported; f < m->nfuncs; f++)
		code += w->funcs[f].code == &w->tiered ? m->funcs[f].body.len : 0;
	free(all);
	printf("%zu %.1f\n", code, end - begin);
	wasm_free(w);
	wasm_module_free(m);
	free(bytes);
	return 0;
}
