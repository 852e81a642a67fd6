/* SPDX-License-Identifier: Apache-2.0 */
/* The first time through a text: what has a name gets its number, and types are read, so that all
 * of them are known wherever they are used. Spec: WASM-TEXT 3.0 §6.6 */
#include "wat/internal.h"

static const struct {
	const char *word;
	enum space space;
} kinds[] = {{"func", SPACE_FUNC},     {"table", SPACE_TABLE}, {"memory", SPACE_MEMORY},
	     {"global", SPACE_GLOBAL}, {"tag", SPACE_TAG},     {"elem", SPACE_ELEM},
	     {"data", SPACE_DATA}};

static void func_name(struct wat *w, uint32_t symbol)
{
	uint32_t n = w->counts[SPACE_FUNC];
	w->func_names = array_grow(w, w->func_names, sizeof *w->func_names, n, &w->nfunc_names);
	if (!w->bad)
		w->func_names[n] = symbol;
}

/* What is defined or imported: its name, and its number. */
static void thing_scan(struct wat *w, enum space space)
{
	const char *at = w->t.at;
	uint32_t s = symbol_take_any(w);
	if (space == SPACE_FUNC)
		func_name(w, s);
	symbol_bind(w, s, space, w->counts[space]++, at);
}

static void type_name_scan(struct wat *w)
{
	const char *at = w->t.at;
	symbol_bind(w, symbol_take_any(w), SPACE_TYPE, w->counts[SPACE_TYPE]++, at);
}

/* @named: its name was bound before; @grouped: it is one of several. */
static void type_scan(struct wat *w, bool named, bool grouped)
{
	if (named)
		(void)symbol_take_any(w);
	else
		type_name_scan(w);
	if (w->t.kind != TOKEN_OPEN)
		wat_expected(w, "(func ...)");
	func_type_take(w, grouped);
	close_take(w);
}

/* Types that may name those behind them: first all names, then what they are. */
static void group_scan(struct wat *w)
{
	const struct place at = place_of(w);
	const uint32_t first = w->nsigs;
	uint32_t n = 0;
	for (; open_take(w, "type"); n++) {
		type_name_scan(w);
		list_skip(w);
	}
	place_set(w, &at);
	while (open_take(w, "type"))
		type_scan(w, true, n > 1);
	if (n > 1 && !w->bad)
		w->sigs[first].group = n;
	if (!n)
		wat_expected(w, "(type ...)");
	close_take(w);
}

/* Tables and memories may have a segment in them, which has a number, too. */
static void rest_scan(struct wat *w, enum space space)
{
	const char *word = space == SPACE_TABLE ? "elem" : "data";
	const enum space inner = space == SPACE_TABLE ? SPACE_ELEM : SPACE_DATA;
	if (space != SPACE_TABLE && space != SPACE_MEMORY) {
		list_skip(w);
		return;
	}
	while (!w->bad && w->t.kind != TOKEN_CLOSE) {
		bool list = w->t.kind == TOKEN_OPEN;
		if (w->t.kind == TOKEN_END)
			wat_expected(w, ")");
		token_next(w);
		if (list && token_is(&w->t, word))
			w->counts[inner]++;
		if (list && token_is(&w->t, "ref") && token_is(token_ahead(w), "func"))
			w->exact_functions = true;
		if (list)
			list_skip(w);
	}
	close_take(w);
}

static void import_scan(struct wat *w)
{
	for (unsigned i = 0; i < 2; i++) {
		if (w->t.kind != TOKEN_STRING)
			wat_expected(w, "a string");
		token_next(w);
	}
	for (size_t i = 0; i <= SPACE_TAG - SPACE_FUNC; i++)
		if (open_take(w, kinds[i].word)) {
			thing_scan(w, kinds[i].space);
			rest_scan(w, kinds[i].space);
			close_take(w);
			return;
		}
	wat_expected(w, "(func, (table, (memory, (global or (tag");
}

static void field_scan(struct wat *w)
{
	if (open_take(w, "type")) {
		type_scan(w, false, false);
		return;
	}
	if (open_take(w, "import")) {
		import_scan(w);
		return;
	}
	if (open_take(w, "rec")) {
		group_scan(w);
		return;
	}
	for (size_t i = 0; i < countof(kinds); i++)
		if (open_take(w, kinds[i].word)) {
			thing_scan(w, kinds[i].space);
			rest_scan(w, kinds[i].space);
			return;
		}
	if (open_is(w, "export") || open_is(w, "start")) {
		token_next(w);
		list_skip(w);
		return;
	}
	if (w->t.kind == TOKEN_OPEN)
		token_next(w);
	wat_expected(w, "a part of a module (type, import, func, table, memory, global, tag, "
			"export, start, elem, data)");
}

void wat_scan(struct wat *w)
{
	token_first(w);
	bool wrapped = open_take(w, "module");
	if (wrapped)
		w->module_name = symbol_take_any(w);
	while (!w->bad && w->t.kind != TOKEN_END && !(wrapped && w->t.kind == TOKEN_CLOSE))
		field_scan(w);
	if (wrapped)
		close_take(w);
	if (!w->bad && w->t.kind != TOKEN_END)
		wat_expected(w, "the end of the text");
}
