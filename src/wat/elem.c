/* SPDX-License-Identifier: Apache-2.0 */
/* Constant expressions and segments of elements, in the eight forms of both formats.
 * Spec: WASM-TEXT 3.0 §6.6.9 */
#include "wasm/wasm.h"
#include "wat/internal.h"

enum { ACTIVE = 0, PASSIVE = 1, EXPLICIT = 2, DECLARED = 3, EXPRESSIONS = 4 };

/* (offset ...) or (item ...), as @word says, or one folded instruction; @word NULL: instructions up
 * to the ")". With its end. */
void expression_take(struct wat *w, struct bytes *to, const char *word)
{
	w->code.n = 0;
	w->nrows = 0;
	if (!word) {
		body_take(w, false);
	} else if (open_take(w, word)) {
		body_take(w, false);
		close_take(w);
	} else {
		body_take(w, true);
	}
	byte_put(&w->code, 0x0b);
	bytes_put(to, w->code.at, w->code.n);
	to->failed |= w->code.failed;
}

struct items {
	struct bytes bytes; /* owned */
	struct coded type;
	bool functions; /* of numbers only: as far as all were ref.func */
	uint32_t n;
};

static void functions_take(struct wat *w, struct items *s)
{
	s->type = (struct coded){{WASM_FUNCREF}, 1};
	s->functions = true;
	for (; index_is_next(w) && !w->bad; s->n++)
		unsigned_put(&s->bytes, index_take(w, SPACE_FUNC));
}

/* The same in a table of other references: each as an expression. */
static void references_take(struct wat *w, struct items *s)
{
	for (; index_is_next(w) && !w->bad; s->n++) {
		byte_put(&s->bytes, 0xd2);
		unsigned_put(&s->bytes, index_take(w, SPACE_FUNC));
		byte_put(&s->bytes, 0x0b);
	}
}

/* Expressions that only name functions become their numbers, which is shorter: as a type, those are
 * (ref func). */
static void numbers_keep(struct items *s, const struct bytes *all, const size_t *ends)
{
	for (uint32_t i = 0; i < s->n && s->functions; i++) {
		const uint8_t *p = all->at + (i ? ends[i - 1] : 0), *end = all->at + ends[i] - 1;
		s->functions = *p == 0xd2;
		for (p++; s->functions && p < end; p++)
			s->functions = p + 1 == end ? !(*p & 0x80) : *p & 0x80;
	}
	for (uint32_t i = 0; i < s->n; i++) {
		const size_t from = i ? ends[i - 1] : 0;
		bytes_put(&s->bytes, all->at + from + s->functions,
			  ends[i] - from - 2 * s->functions);
	}
}

static void expressions_take(struct wat *w, struct items *s)
{
	struct bytes all = {0};
	size_t *ends = NULL;
	uint32_t cap = 0;
	while (w->t.kind == TOKEN_OPEN && !w->bad) {
		expression_take(w, &all, "item");
		ends = array_grow(w, ends, sizeof *ends, s->n, &cap);
		if (!w->bad)
			ends[s->n++] = all.n;
	}
	s->functions = coded_is(&s->type, WASM_FUNCREF) && !w->exact_functions;
	if (!w->bad && !all.failed)
		numbers_keep(s, &all, ends);
	s->bytes.failed |= all.failed;
	free(all.at);
	free(ends);
}

/* "func" and numbers, a type and expressions, or (@bare) numbers alone. */
static void items_take(struct wat *w, struct items *s, bool bare)
{
	*s = (struct items){.type = {{WASM_FUNCREF}, 1}};
	if (word_take(w, "func")) {
		functions_take(w, s);
	} else if (reference_is_next(w)) {
		s->type = reference_take(w);
		expressions_take(w, s);
	} else if (bare) {
		functions_take(w, s);
	} else {
		wat_expected(w, "func, or a type of references");
	}
}

static void items_put(struct bytes *to, unsigned mode, struct items *s)
{
	if (mode & (PASSIVE | EXPLICIT) && s->functions)
		byte_put(to, 0);
	else if (mode & (PASSIVE | EXPLICIT))
		coded_put(to, &s->type);
	unsigned_put(to, s->n);
	bytes_put(to, s->bytes.at, s->bytes.n);
	to->failed |= s->bytes.failed;
	free(s->bytes.at);
}

void elem_take(struct wat *w)
{
	struct bytes *to = &w->out[OUT_ELEM], offset = {0};
	struct items s;
	uint32_t table = 0;
	unsigned mode = PASSIVE;
	(void)symbol_take_any(w);
	w->next[SPACE_ELEM]++;
	w->entries[OUT_ELEM]++;
	bool declared = word_take(w, "declare"), bare = true, given = true;
	if (open_take(w, "table")) {
		table = index_take(w, SPACE_TABLE);
		close_take(w);
		bare = false;
	} else if (token_is_number(&w->t)) {
		table = index_take(w, SPACE_TABLE);
	} else {
		given = false;
	}
	if (declared) {
		mode = DECLARED;
	} else if (w->t.kind == TOKEN_OPEN && !reference_is_next(w)) {
		mode = ACTIVE;
		expression_take(w, &offset, "offset");
	}
	if (given && mode != ACTIVE)
		wat_expected(w, declared ? "functions" : "(offset");
	items_take(w, &s, bare && mode == ACTIVE);
	if (mode == ACTIVE && (table || !coded_is(&s.type, WASM_FUNCREF)))
		mode = EXPLICIT;
	unsigned_put(to, mode | (s.functions ? 0u : EXPRESSIONS));
	if (mode == EXPLICIT)
		unsigned_put(to, table);
	bytes_put(to, offset.at, offset.n);
	to->failed |= offset.failed;
	free(offset.at);
	items_put(to, mode, &s);
}

/* (elem ...) in a table: as many as it is large. */
void elem_inline_take(struct wat *w, uint32_t table, const struct coded *type, bool is64,
		      uint32_t *ret_n)
{
	struct bytes *to = &w->out[OUT_ELEM];
	struct items s = {.type = *type};
	if (!open_take(w, "elem"))
		wat_expected(w, "(elem");
	w->next[SPACE_ELEM]++;
	w->entries[OUT_ELEM]++;
	const bool plain = coded_is(type, WASM_FUNCREF);
	if (w->t.kind == TOKEN_OPEN)
		expressions_take(w, &s);
	else if (plain)
		functions_take(w, &s);
	else
		references_take(w, &s);
	close_take(w);
	unsigned mode = table || !plain ? EXPLICIT : ACTIVE;
	unsigned_put(to, mode | (s.functions ? 0u : EXPRESSIONS));
	if (mode == EXPLICIT)
		unsigned_put(to, table);
	bytes_put(to, is64 ? "\x42\0\x0b" : "\x41\0\x0b", 3);
	*ret_n = s.n;
	items_put(to, mode, &s);
}
