/* SPDX-License-Identifier: Apache-2.0 */
/* What a module says about itself: the section "name", from identifiers.
 * Spec: WASM-CORE 2.0, appendix "custom sections" */
#include "wat/internal.h"

static void symbol_put(const struct wat *w, struct bytes *to, uint32_t symbol)
{
	const struct symbol *s = symbol_at(w, symbol);
	unsigned_put(to, s->len);
	bytes_put(to, s->at, s->len);
}

static void subsection_put(struct bytes *to, unsigned id, struct bytes *body)
{
	if (body->n) {
		byte_put(to, id);
		sized_put(to, body);
	}
	to->failed |= body->failed;
	free(body->at);
}

void names_put(struct wat *w, struct bytes *to)
{
	struct bytes module = {0}, funcs = {0}, locals = {0};
	uint32_t n = 0;
	if (w->module_name)
		symbol_put(w, &module, w->module_name);
	for (uint32_t i = 0; i < w->counts[SPACE_FUNC]; i++)
		n += w->func_names[i] != 0;
	if (n)
		unsigned_put(&funcs, n);
	for (uint32_t i = 0; i < w->counts[SPACE_FUNC]; i++)
		if (w->func_names[i]) {
			unsigned_put(&funcs, i);
			symbol_put(w, &funcs, w->func_names[i]);
		}
	if (w->nlocal_names) {
		unsigned_put(&locals, w->nlocal_names);
		bytes_put(&locals, w->local_names.at, w->local_names.n);
	}
	subsection_put(to, 0, &module);
	subsection_put(to, 1, &funcs);
	subsection_put(to, 2, &locals);
}
