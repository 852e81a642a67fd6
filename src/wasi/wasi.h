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
	const int *sockets; /* behind those: taken over by wasi_new, also on failure */
	size_t nsockets;
	/* NULL: there is one thread only. Else called on a thread that was spawned and has ended by
	 * a trap, or by proc_exit, with its instance: ends the process. */
	void (*trapped)(void *user, struct wasm *w, enum wasm_trap t);
	void *user;
	int kick; /* a signal that ends calls that wait, whose handler calls wasi_kick */
};
struct wasi;
/* All of @c but the descriptors is borrowed until wasi_free. Descriptors 0 to 2 are as they are. */
int wasi_new(struct wasi **ret, const struct wasi_config *c, struct lodge_err *e) MUST;
/* Closes what the program has left open; no thread but the first one runs. NULL is fine. */
void wasi_free(struct wasi *s);
/* @w is the program's first instance. */
void wasi_attach(struct wasi *s, struct wasm *w);
/* For wasm_new, with the struct wasi as its user. EINVAL: no such function, or not of this type. */
wasm_host_fn *wasi_find(void *user, size_t i, const struct wasm_import *im, struct lodge_err *e);
/* After WASM_TRAP_EXIT. */
int wasi_exit_code(const struct wasi *s);

/* ---- several threads (thread.c) ----
 * The handler of config.kick: the thread that runs is to stand still (limits.halted is called), all
 * others, too, if the signal came @from_outside. */
void wasi_kick(struct wasi *s, bool from_outside);
/* Within limits.halted: returns when all threads have stood still and @speak has been called once,
 * by one of them, between wasi_halted and wasi_goes_on. */
void wasi_gather(struct wasi *s, void (*speak)(void *user), void *user);
/* Threads but the first one, while all stand still: their sections; *@pages grows by the bytes of
 * their pages, which are written from @at on. */
int wasi_threads_save(struct wasi *s, const struct wasm_sink *to, uint64_t *pages,
		      struct lodge_err *e) MUST;
int wasi_threads_save_pages(const struct wasi *s, int fd, uint64_t at, struct lodge_err *e) MUST;
/* How many bytes of pages the sections want, of all threads. EINVAL: damaged. */
int wasi_saved_pages(const struct wasm_source *from, uint64_t *ret, struct lodge_err *e) MUST;
/* After wasi_load, wasi_attach and wasm_load: the others, which run from wasi_threads_go on. */
int wasi_threads_load(struct wasi *s, const struct wasm_source *from, struct lodge_err *e) MUST;
int wasi_threads_go(struct wasi *s, struct lodge_err *e) MUST;

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
