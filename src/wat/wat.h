/* SPDX-License-Identifier: Apache-2.0 */
/* wat: modules of WebAssembly as text, made into the binary format, which the room wasm reads. The
 * text is taken apart here and nothing more: types, indices and all else that makes a module valid
 * are looked at there. Spec: WASM-TEXT 3.0 §6, without garbage collection; try, catch, delegate and
 * rethrow of before; (module binary ...) and (module quote ...) as its test scripts write them. */
#pragma once
#include "base/base.h"

/* Does it begin like a module in the text format: with (module, behind spaces and comments? */
bool wat_claims(const char *text, size_t len);
/* The module in @text, which @file names in reasons: *@ret is malloc'ed. Names of functions and of
 * locals go into its section "name", lines into one ".debug_line" (DWARF 5), each where there are
 * any. EBADMSG: malformed, as FILE:LINE:COLUMN: reason; ENOTSUP: of a proposal that is not here;
 * ENOMEM. However deep things are nested, the stack is not. Thread: any. */
int wat_encode(const char *file, const char *text, size_t len, uint8_t **ret, size_t *ret_len,
	       struct lodge_err *e) MUST;
