/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of WebAssembly in lib share. */
#pragma once
#include "wasm/wasm.h"
#include <lodge/wasm.h>

struct signature {
	const uint32_t *types; /* of parameters, then of results; borrowed from the module */
	uint32_t np, nr;
};
struct bound { /* an import and who does it */
	struct lodge_wasm *g;
	lodge_wasm_fn *fn;
	void *user;
	struct wasm_import import; /* names, of the module */
	struct signature signature;
};
struct lodge_wasm_module {
	uint8_t *bytes; /* owned */
	size_t len;
	struct wasm_module *m; /* owned */
	unsigned uses; /* itself and its instances */
};
struct lodge_wasm {
	struct wasm *w; /* owned */
	struct lodge_wasm_module *m; /* a use of it */
	struct bound *bound; /* owned: of imports that are functions */
	uint64_t timeout_ns;
	bool fueled;
	unsigned nested;         /* calls from outside and from functions of the embedder */
	union wasm_slot *unused; /* in one of those: where nobody has slots */
	struct lodge_err why;    /* what the last of those said when it failed */
};

/* wasm_value.c */
struct signature signature_of(const struct wasm_module *m, uint32_t func);
uint32_t signature_slots(const struct signature *s); /* of parameters or results, the larger */
/* It has no references to exceptions, which stay inside: nobody outside would know whether one is
 * still there. */
bool signature_is_outside(const struct signature *s);
/* A type as an embedder has it: all references of functions are funcref. */
uint8_t type_known(uint32_t type);
char *signature_text(const struct signature *s); /* the caller's; NULL: there is no memory */
bool signature_is(const struct signature *s, const char *text);
void values_read(const uint32_t *types, uint32_t n, const union wasm_slot *at,
		 struct lodge_wasm_value *ret);
/* EINVAL: another type, or a reference to a function that @m does not have. */
int values_write(const struct wasm_module *m, const uint32_t *types, uint32_t n,
		 const struct lodge_wasm_value *v, union wasm_slot *at, struct lodge_err *e) MUST;
