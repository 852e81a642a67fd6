/* SPDX-License-Identifier: Apache-2.0 */
/* wasm: modules of WebAssembly: decoded, validated, made into predecoded code a function at a time,
 * interpreted. Knows no system interface: whoever instantiates a module gives it the functions that
 * it imports. Spec: WASM-CORE 2.0, and of 3.0 relaxed SIMD, exceptions, tail calls, typed
 * references of functions, extended constant expressions, several memories, 64-bit memories and
 * tables; atomic accesses of the threads proposal, between instances that share memories, each on a
 * thread of its own. */
#pragma once
#include "base/base.h"
#include <stdio.h>

/* Types of values, as the binary format writes them. A type has 32 bits: one of these, for
 * references with WASM_NONNULL, which are never null; or, of functions of type i, WASM_REF with i
 * from bit 8 on, where types that are the same have the number of the first of them. */
enum wasm_type {
	WASM_NONE = 0, /* unknown: any type, in code that is never reached */
	WASM_REF = 0x63,
	WASM_NONNULL = 0x80,
	WASM_EXNREF = 0x69,
	WASM_EXTERNREF = 0x6f,
	WASM_FUNCREF = 0x70,
	WASM_V128 = 0x7b,
	WASM_F64 = 0x7c,
	WASM_F32 = 0x7d,
	WASM_I64 = 0x7e,
	WASM_I32 = 0x7f
};
enum wasm_kind { WASM_FUNC, WASM_TABLE, WASM_MEMORY, WASM_GLOBAL, WASM_TAG };

/* A slot of a frame. A v128 takes two of them, the low half first; a reference to a function is 1 +
 * its number, null is 0. Which member counts is known when code is made. */
union wasm_slot {
	uint32_t i32;
	uint64_t i64;
	float f32;
	double f64;
};

/* Why a run ended; WASM_OK: it returned. */
enum wasm_trap {
	WASM_OK,
#define TRAP(name, text) WASM_TRAP_##name,
#include "wasm/trap.def"
	WASM_TRAPS,
	/* of a function of the host: it was interrupted before it had done anything; it is called
	 * again, after the instance has stood still if that is wanted */
	WASM_AGAIN
};
const char *wasm_trap_text(enum wasm_trap t);

/* ---- modules ---- */
struct wasm_module;
/* Does it begin like a module of this version, or any? */
bool wasm_claims(const uint8_t *bytes, size_t len);
enum {
	WASM_LAZY = 1,   /* functions are validated when they are first called */
	/* the bytes are a private, writable mapping of a file, which others may change: whatever
	 * they do, what is run was validated */
	WASM_MAPPED = 2
};
/* Decode and validate @len bytes, borrowed until wasm_module_free. EBADMSG: malformed; EINVAL:
 * invalid; ENOTSUP: of a proposal that is not here; each with the offset and the reason. */
int wasm_module_new(struct wasm_module **ret, const uint8_t *bytes, size_t len, unsigned flags,
		    struct lodge_err *e) MUST;
void wasm_module_free(struct wasm_module *m); /* NULL is fine */
/* What is imported, in order; false past the end. Names are not terminated. */
struct wasm_import {
	const char *module, *name;
	uint32_t module_len, name_len;
	enum wasm_kind kind;
	char signature[64]; /* of a function: "iIfF:i", upper case is 64 bits; '?': other */
};
bool wasm_import_at(const struct wasm_module *m, size_t i, struct wasm_import *ret);

/* The type of function @func: @np types of parameters, @nr of results, at *@ret. */
uint32_t wasm_funcs(const struct wasm_module *m); /* also those that are imported */
void wasm_func_type(const struct wasm_module *m, uint32_t func, const uint32_t **ret, uint32_t *np,
		    uint32_t *nr);

/* May the reference @ref, 1 + a number or 0, be where a value of @type is wanted? Of other types:
 * true. */
bool wasm_value_fits(const struct wasm_module *m, uint64_t ref, uint32_t type);

/* ---- instances ---- */
struct wasm;
const struct wasm_module *wasm_module_of(const struct wasm *w);
/* A function of the host: reads arguments at @at, one slot each (v128: two), and leaves results
 * there. What is not WASM_OK ends the run. */
typedef enum wasm_trap wasm_host_fn(void *user, struct wasm *w, union wasm_slot *at);
struct wasm_limits {
	uint64_t memory_max; /* bytes of all memories; 0: what the module may have */
	uint64_t fuel;       /* branches taken and calls; 0: no limit */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
	uint32_t stack_slots; /* 0: the default, 1 Mi */
	/* functions that are called often, and loops that go round often, are compiled. Not with
	 * fuel, whose unit is the interpreter's; nor on hosts that lack what code needs */
	bool compiles;
	uint32_t heat; /* calls before a function is compiled; 0: the default */
	/* with compiles: by a second thread of the instance that wasm_new makes, where it may use
	 * more than one CPU; it goes on with the interpreter meanwhile, so when code is used is a
	 * matter of time. Else the thread that runs compiles, when a function has become hot */
	bool background;
	/* bytes of code for the interpreter, above which that of functions which have not been
	 * called for a while is dropped, and made again; 0: the default */
	uint32_t code_kept;
	uint32_t slice; /* branches and calls between two looks around; 0: the default */
	/* NULL, or: called after wasm_interrupt, between two instructions; the run goes on when it
	 * returns WASM_OK. Meanwhile the state can be saved. */
	enum wasm_trap (*halted)(void *user, struct wasm *w);
	void *halted_user;
};
const char *wasm_type_name(uint8_t type); /* enum wasm_type; "?": it is none */
/* Make an instance. @find gives the function for import @i (see wasm_import_at), which is one, or
 * NULL after it has set @e, whose code is returned; a shared memory that is imported is made here.
 * Segments are copied; what the start function is, is run by wasm_start.
 * Thread: an instance belongs to the one that made it. EINVAL, ENOMEM. */
typedef wasm_host_fn *wasm_find_fn(void *user, size_t i, const struct wasm_import *im,
				   struct lodge_err *e);
int wasm_new(struct wasm **ret, const struct wasm_module *m, const struct wasm_limits *l,
	     wasm_find_fn *find, void *user, struct lodge_err *e) MUST;
/* Another instance of the program that @of is, for a thread of its own: it has the same shared
 * memories, functions of the host, limits and fuel, and its own of all else. Each is freed for
 * itself; the module outlives all. @user is what functions of the host get. Any thread, while @of
 * is there. EINVAL: no memory of the module is shared; ENOMEM. */
int wasm_thread_new(struct wasm **ret, struct wasm *of, void *user, struct lodge_err *e) MUST;
/* One of those whose run has returned becomes as it was when it was new, but for the code that it
 * has made, and may be for another thread. False: it has a memory of its own, and cannot. */
bool wasm_thread_again(struct wasm *w, void *user) MUST;
void wasm_free(struct wasm *w); /* NULL is fine */
/* Copy the active segments and run the start function. */
enum wasm_trap wasm_start(struct wasm *w) MUST;
/* The exported function @name and its signature, as in struct wasm_import; -1: none. */
int64_t wasm_export_find(const struct wasm_module *m, const char *name, enum wasm_kind kind);
void wasm_signature(const struct wasm_module *m, uint32_t func, char ret[64]);
/* Call function @func with @n slots of arguments at @at, where its results are then; there is room
 * for the larger of both. */
enum wasm_trap wasm_call(struct wasm *w, uint32_t func, union wasm_slot *at) MUST;
/* ---- compiled code, kept (tier_file.c) ----
 * Bytes that an instance of the same module takes, in a process of the same Lodge on a CPU with the
 * same wasm_code_traits. Who gives it others than wasm_code_save made runs what they say. */
/* What the code depends on: the SHA-256 of the sections of a module but its data and custom ones,
 * whose lengths are all that is looked at; false: they are damaged. And of the CPU. */
bool wasm_code_key(const uint8_t *bytes, size_t len, uint8_t ret[32]) MUST;
uint64_t wasm_code_traits(void);
/* -ENOENT: nothing is compiled; -ENOMEM. *@ret is malloc'ed. */
int wasm_code_save(const struct wasm *w, uint8_t **ret, size_t *ret_len) MUST;
/* Before wasm_start. False: damaged, made otherwise, or this instance does not compile: it goes on
 * without. */
bool wasm_code_load(struct wasm *w, const uint8_t *p, size_t len) MUST;
/* The functions that are compiled, in order, and those that were called more than once, at most
 * @max; how many of them did not come from wasm_code_load. */
size_t wasm_code_list(const struct wasm *w, uint32_t *to, size_t max, size_t *ret_new);
/* Compile these, as far as they are functions of the module and can be, until there are @max bytes.
 * With limits.heat 1. */
void wasm_code_make(struct wasm *w, const uint32_t *funcs, size_t n, uint64_t max);
/* Call limits.halted soon. In a handler of a signal of the thread that runs; from another thread a
 * call that waits goes on, and the request may be missed once. */
void wasm_interrupt(struct wasm *w);

/* ---- state (state.c; lodge-state(5)) ----
 * All that a run is, between two instructions: small things as named sections, the memories, tables
 * and slots as whole pages. */
struct wasm_sink { /* where it goes: room for a section; NULL: the run is not saved */
	uint8_t *(*section)(void *user, const char *name, size_t len);
	void *user;
};
struct wasm_source { /* where it comes from; NULL: there is none of that name */
	const uint8_t *(*find)(void *user, const char *name, size_t *ret_len);
	void *user;
	uint8_t *pages;   /* page-aligned */
	uint64_t npages;  /* bytes */
	bool movable;     /* pages may be taken out of their mapping */
};
/* Within limits.halted: the sections, and how many bytes of pages there are. */
int wasm_save(struct wasm *w, const struct wasm_sink *to, uint64_t *ret_pages,
	      struct lodge_err *e) MUST;
/* The pages, into @fd from @at on, which is all zeroes there. */
int wasm_save_pages(const struct wasm *w, int fd, uint64_t at, struct lodge_err *e) MUST;
/* How many bytes of pages the sections want. EINVAL: damaged. */
int wasm_saved_pages(const struct wasm_source *from, uint64_t *ret, struct lodge_err *e) MUST;
/* Into an instance that has not been started, of the same module: whatever a state says, the run
 * stays within its memory. EINVAL: damaged, of another module, or of a Lodge that makes other code
 * of it; ENOMEM. */
int wasm_load(struct wasm *w, const struct wasm_source *from, struct lodge_err *e) MUST;
/* Go on where the loaded run was. */
enum wasm_trap wasm_go_on(struct wasm *w) MUST;
/* The validation error of a lazily validated function, after WASM_TRAP_INVALID. */
const char *wasm_error(const struct wasm *w);
/* The calls that the last trap interrupted, innermost first, one line each. */
void wasm_trace(const struct wasm *w, FILE *out);
/* @len bytes of memory 0 at @at, for one call; NULL: not all of them are there. */
void *wasm_memory(struct wasm *w, uint64_t at, uint64_t len);
uint64_t wasm_memory_size(const struct wasm *w);

/* ---- for programs that have instances inside them ---- */
/* wasm_call, from a function of the host that this instance has called: from @unused on nobody uses
 * slots, which are those behind the function's arguments and results. */
enum wasm_trap wasm_call_within(struct wasm *w, uint32_t func, union wasm_slot *at,
				union wasm_slot *unused) MUST;
/* What the function of the host that import @func is gets, in the place of @user of wasm_new. */
void wasm_host_user(struct wasm *w, uint32_t func, void *user);
/* From the next wasm_call on; for limits that the instance was made with, other than 0. */
void wasm_limit(struct wasm *w, uint64_t fuel, uint64_t deadline_ns);
uint64_t wasm_fuel(const struct wasm *w);
