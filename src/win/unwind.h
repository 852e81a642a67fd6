/* SPDX-License-Identifier: Apache-2.0 */
/* Between unwind.c and exception.c. */
#pragma once
#include "win/internal.h"
#include <ucontext.h>

enum { UNWIND_EHANDLER = 1, UNWIND_UHANDLER = 2, UNWIND_CHAINED = 4 };
enum { DISPOSITION_CONTINUE, DISPOSITION_SEARCH, DISPOSITION_NESTED, DISPOSITION_COLLIDED };

/* What calls handlers of the guest, from the innermost on: frames of ours, beyond which the stack
 * goes on at @context. On the caller's stack. */
struct dispatching {
	struct win_context *context;
	struct dispatching *before;
};

/* DISPATCHER_CONTEXT */
struct dispatch {
	uint64_t pc, base;
	const struct pe_function *function;
	uint64_t frame, target;
	struct win_context *context;
	uint64_t handler, data;
	void *history;
	uint32_t scope, fill;
};
struct frame {
	uint64_t establisher, handler, data; /* handler 0: none */
};
struct unwind_target {
	uint64_t frame, ip, value;
	struct win_exception *record; /* NULL: of its own */
};
/* @c is at code of ours: of a dispatcher, whose exception's context it becomes. False: of another.
 */
bool dispatch_leave(struct win_context *c) MUST;
uint64_t *context_register(struct win_context *c, unsigned n);
/* Undo the frame of the function @f (NULL: it has none) that @c is in. False: the stack or the
 * tables are damaged. @type: which handlers count. */
bool frame_unwind(struct win_context *c, uint64_t base, const struct pe_function *f, unsigned type,
		  struct frame *ret) MUST;
bool frame_sane(uint64_t frame, const struct thread *t);
uint32_t handler_call(const struct frame *f, struct win_exception *x, struct win_context *c,
		      struct dispatch *d);
_Noreturn void unwind_to(struct win_context *c, const struct unwind_target *to);
/* The same from where it is called, out of handlers that the dispatcher has called. */
_Noreturn void unwind_here(const struct unwind_target *to);
WINAPI const struct pe_function *nt_RtlLookupFunctionEntry(uint64_t pc, uint64_t *ret_base,
							   void *history);
/* Between a CONTEXT and what the host's signals have. */
void context_from(struct win_context *c, const ucontext_t *uc);
void context_to(const struct win_context *c, ucontext_t *uc);
/* cxx.c: throw @object, which @info (0: what is being caught, again) tells about, at @c. */
void cxx_throw(struct win_context *c, uint64_t object, uint64_t info);
