/* SPDX-License-Identifier: Apache-2.0 */
/* wasi: the system interface of WebAssembly programs, preview 1, and its older name wasi_unstable.
 * Files are found below folders that the program is given, by openat2 beneath them: no path and no
 * link leads out. Spec: WASI preview1 */
#pragma once
#include "wasm/wasm.h"

/* A folder of the program. */
struct wasi_folder {
	const char *name; /* what the program calls it */
	int fd;           /* taken over by wasi_new, also on failure */
	bool readonly;
};
struct wasi_config {
	const char *const *argv; /* with the program's own name */
	size_t argc;
	const char *const *env;
	size_t nenv;
	const struct wasi_folder *folders; /* descriptors 3, 4, ... */
	size_t nfolders;
};
struct wasi;
/* All of @c but the descriptors is borrowed until wasi_free. Descriptors 0 to 2 are as they are. */
int wasi_new(struct wasi **ret, const struct wasi_config *c, struct lodge_err *e) MUST;
void wasi_free(struct wasi *s); /* closes what the program has left open; NULL is fine */
/* For wasm_new, with the struct wasi as its user. EINVAL: no such function, or not of this type. */
wasm_host_fn *wasi_find(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e);
/* After WASM_TRAP_EXIT. */
int wasi_exit_code(const struct wasi *s);

/* ---- state (save.c; lodge-state(5)) ---- */
/* The program stands still from now on, between two instructions or before a call that waits; and
 * goes on: its monotonic clock does not show that time. */
void wasi_halted(struct wasi *s);
void wasi_goes_on(struct wasi *s);
/* What it has open, and its clocks, while it stands still. EOPNOTSUPP: something cannot be saved,
 * and the reason. */
int wasi_save(struct wasi *s, const struct wasm_sink *to, struct lodge_err *e) MUST;
/* Into one that has just been made, of the same folders by their names; it stands still.
 * EINVAL: damaged, or a file is not there any more. */
int wasi_load(struct wasi *s, const struct wasm_source *from, struct lodge_err *e) MUST;
