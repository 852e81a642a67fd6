/* SPDX-License-Identifier: Apache-2.0 */
/* liblodge: modules of WebAssembly inside this process, beside the guests of lodge.h.
 *
 * A module is bytes, binary or text, decoded and validated once. An instance of it has memory,
 * globals and tables of its own, and calls what the module imports: functions of the embedder. What
 * the module does ends in results or in an error, never in the end of this process; what it can
 * reach are its own memory and those functions. There is no WASI here: lodge run has it.
 *
 * Functions return 0 on success and a negative errno value on failure, with the reason in @e, which
 * may be NULL. A module may be used by many threads, an instance by one at a time. The first
 * instance of a process sees to handlers of SIGSEGV and SIGBUS, by which an access beyond a memory
 * is found; they hand on whatever is not an instance's to those that were there before; a thread
 * that calls must not block the two signals. An instance takes 8 GiB of address space and as much
 * memory as it uses. */
#ifndef LODGE_WASM_H
#define LODGE_WASM_H
#include <lodge/lodge.h>
#ifdef __cplusplus
extern "C" {
#endif

struct lodge_wasm_module;
struct lodge_wasm; /* an instance */

enum lodge_wasm_type {
	LODGE_WASM_EXTERNREF = 0x6f,
	LODGE_WASM_FUNCREF = 0x70,
	LODGE_WASM_V128 = 0x7b,
	LODGE_WASM_F64 = 0x7c,
	LODGE_WASM_F32 = 0x7d,
	LODGE_WASM_I64 = 0x7e,
	LODGE_WASM_I32 = 0x7f
};
struct lodge_wasm_value {
	enum lodge_wasm_type type;
	union {
		int32_t i32;
		int64_t i64;
		float f32;
		double f64;
		/* externref: any number, 0 is null. funcref: what the instance gave, 0 is null */
		uint64_t ref;
		uint8_t v128[16];
	} of;
};

/* A function of the embedder. @results have their types already. Returns 0, or a negative errno
 * value with a reason in @e, which is never NULL here: the run ends, and lodge_wasm_call returns
 * both. May call functions of the same instance and of others; has 64 KiB of stack. */
typedef int lodge_wasm_fn(void *user, struct lodge_wasm *w, const struct lodge_wasm_value *args,
                          struct lodge_wasm_value *results, struct lodge_err *e);
struct lodge_wasm_import {
	const char *module, *name;
	const char *type; /* "i32 i64 -> f64", "externref ->", "->" */
	lodge_wasm_fn *fn;
	void *user;
};

/* Decode and validate a module, or make one of a text ((module ...)); @name stands in reasons.
 * @bytes are copied. -EBADMSG: malformed; -EINVAL: invalid; -ENOTSUP: of a proposal that is not
 * there; -EFBIG: a text of more than 1 GiB; -ENOMEM. */
LODGE_API int lodge_wasm_module_new(struct lodge_wasm_module **ret, const char *name,
                                    const void *bytes, size_t len, struct lodge_err *e);
/* NULL is fine. Instances of it go on. */
LODGE_API void lodge_wasm_module_free(struct lodge_wasm_module *m);
/* The type of the exported function @name as struct lodge_wasm_import has it; lodge_free. -ENOENT:
 * there is none. */
LODGE_API int lodge_wasm_module_type(const struct lodge_wasm_module *m, const char *name,
                                     char **ret_type, struct lodge_err *e);

/* Zeroed is valid but for size. Strings and arrays are borrowed until the call returns. */
struct lodge_wasm_config {
	size_t size; /* sizeof(struct lodge_wasm_config), so that the struct can grow */
	const struct lodge_wasm_import *imports; /* those that the module does not want are fine */
	size_t nimports;
	uint64_t memory; /* bytes of all memories; 0: as many as the module may have */
	/* branches taken and calls; 0: no limit. With it nothing is compiled. What waits
	 * (memory.atomic.wait) takes none: that is for timeout_ns */
	uint64_t fuel;
	uint64_t timeout_ns; /* of each call from outside; 0: none */
};
/* Make an instance, and run its start function. -EINVAL: an import that @c does not have, or has
 * with another type; -ENOMEM; and what lodge_wasm_call says of the start function. */
LODGE_API int lodge_wasm_new(struct lodge_wasm **ret, struct lodge_wasm_module *m,
                             const struct lodge_wasm_config *c, struct lodge_err *e);
LODGE_API void lodge_wasm_free(struct lodge_wasm *w); /* NULL is fine; not within a call */

/* Call the exported function @name. @results get their types, too. -ENOENT: there is none; -EINVAL:
 * other numbers or types of values, or it takes or returns an exnref; -EFAULT: it trapped, the
 * reason is the trap's; -ETIMEDOUT: all fuel is used up, or the time; else what a function of the
 * embedder has returned. The instance can be called again after all of them; its memory is what it
 * was then. */
LODGE_API int lodge_wasm_call(struct lodge_wasm *w, const char *name,
                              const struct lodge_wasm_value *args, size_t nargs,
                              struct lodge_wasm_value *results, size_t nresults,
                              struct lodge_err *e);
/* The calls that the last trap interrupted, a line each, by the names that the module has, with
 * lines of the source where it has them; lodge_free. */
LODGE_API int lodge_wasm_trace(const struct lodge_wasm *w, char **ret_text, struct lodge_err *e);

/* @len bytes at @at of its first memory, until the next call; NULL: not all of them are there. */
LODGE_API void *lodge_wasm_memory(struct lodge_wasm *w, uint64_t at, uint64_t len);
LODGE_API uint64_t lodge_wasm_memory_size(const struct lodge_wasm *w);
/* What is left of its fuel, and another amount, from the next call from outside on; only of an
 * instance that was made with some. */
LODGE_API uint64_t lodge_wasm_fuel(const struct lodge_wasm *w);
LODGE_API int lodge_wasm_refuel(struct lodge_wasm *w, uint64_t fuel, struct lodge_err *e);

#ifdef __cplusplus
}
#endif
#endif
