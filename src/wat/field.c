/* SPDX-License-Identifier: Apache-2.0 */
/* The second time through a text: its fields, each into its section.
 * Spec: WASM-TEXT 3.0 §6.6 */
#include "wasm/wasm.h"
#include "wat/internal.h"

/* ---- what is imported or exported in its own definition ---- */

static void export_put(struct wat *w, const struct bytes *name, enum wasm_kind kind,
		       uint32_t index)
{
	struct bytes *to = &w->out[OUT_EXPORT];
	sized_put(to, name);
	byte_put(to, kind);
	unsigned_put(to, index);
	w->entries[OUT_EXPORT]++;
}

static void exports_take(struct wat *w, enum wasm_kind kind, uint32_t index)
{
	while (open_take(w, "export")) {
		w->scratch.n = 0;
		quote_take(w, &w->scratch, true);
		export_put(w, &w->scratch, kind, index);
		close_take(w);
	}
}

static void name_import(struct wat *w)
{
	struct bytes *to = &w->out[OUT_IMPORT];
	const char *at = w->t.at;
	if (w->defined)
		(void)wat_fail(w, at, "an import behind what is defined here: imports come first");
	for (unsigned i = 0; i < 2; i++) {
		w->scratch.n = 0;
		quote_take(w, &w->scratch, true);
		sized_put(to, &w->scratch);
	}
	w->entries[OUT_IMPORT]++;
}

/* (import "a" "b") in a definition; false: it is defined here. */
static bool inline_import(struct wat *w, enum wasm_kind kind)
{
	if (!open_take(w, "import")) {
		w->defined = true;
		return false;
	}
	name_import(w);
	close_take(w);
	byte_put(&w->out[OUT_IMPORT], kind);
	return true;
}

/* ---- limits ---- */

static bool index_type_take(struct wat *w)
{
	if (word_take(w, "i64"))
		return true;
	(void)word_take(w, "i32");
	return false;
}

static void limits_put(struct wat *w, struct bytes *to, bool is64, bool may_share)
{
	const unsigned bits = is64 ? 64 : 32;
	uint64_t min = unsigned_take(w, bits), max = 0;
	bool has_max = token_is_number(&w->t);
	if (has_max)
		max = unsigned_take(w, bits);
	bool shared = may_share && word_take(w, "shared");
	byte_put(to, (has_max ? 1u : 0u) | (shared ? 2u : 0u) | (is64 ? 4u : 0u));
	unsigned_put(to, min);
	if (has_max)
		unsigned_put(to, max);
}

static void limits_exact(struct bytes *to, bool is64, uint64_t n)
{
	byte_put(to, is64 ? 5 : 1);
	unsigned_put(to, n);
	unsigned_put(to, n);
}

/* ---- functions ---- */

static void locals_take(struct wat *w)
{
	struct bytes all = {0};
	size_t len, to;
	(void)types_take(w, "local", &all, USE_LOCALS);
	for (size_t i = 0; i < all.n && !w->bad; i = to) {
		len = type_len(all.at + i);
		for (to = i + len; to + len <= all.n && !memcmp(all.at + to, all.at + i, len);)
			to += len;
		unsigned_put(&w->locals, (to - i) / len);
		bytes_put(&w->locals, all.at + i, len);
		w->nruns++;
	}
	w->locals.failed |= all.failed;
	free(all.at);
}

/* What was read of a function, as an entry of the section. */
static void code_put(struct wat *w)
{
	struct bytes *to = &w->out[OUT_CODE];
	unsigned_put(to, unsigned_len(w->nruns) + w->locals.n + w->code.n);
	unsigned_put(to, w->nruns);
	bytes_put(to, w->locals.at, w->locals.n);
	lines_add(w, (uint32_t)to->n);
	bytes_put(to, w->code.at, w->code.n);
	to->failed |= w->locals.failed | w->code.failed;
	w->entries[OUT_CODE]++;
}

static void local_names_put(struct wat *w, uint32_t index)
{
	if (!w->nnames)
		return;
	unsigned_put(&w->local_names, index);
	unsigned_put(&w->local_names, w->nnames);
	bytes_put(&w->local_names, w->names.at, w->names.n);
	w->local_names.failed |= w->names.failed;
	w->nlocal_names++;
}

static void func_begin(struct wat *w)
{
	w->func = w->next[SPACE_FUNC]++ + 1;
	w->nlocals = w->nnames = w->nruns = w->nrows = 0;
	w->names.n = w->locals.n = w->code.n = 0;
}

static void func_take(struct wat *w)
{
	(void)symbol_take_any(w);
	func_begin(w);
	exports_take(w, WASM_FUNC, w->func - 1);
	bool imported = inline_import(w, WASM_FUNC);
	struct use u = use_take(w, USE_LOCALS);
	unsigned_put(&w->out[imported ? OUT_IMPORT : OUT_FUNC], u.type);
	if (!imported) {
		w->entries[OUT_FUNC]++;
		locals_take(w);
		body_take(w, false);
		byte_put(&w->code, 0x0b);
		code_put(w);
	}
	local_names_put(w, w->func - 1);
	w->func = 0;
}

/* ---- tables, memories, globals, tags ---- */

static void table_type_put(struct wat *w, struct bytes *to, bool is64)
{
	struct bytes limits = {0};
	limits_put(w, &limits, is64, false);
	const struct coded type = reference_take(w);
	coded_put(to, &type);
	bytes_put(to, limits.at, limits.n);
	to->failed |= limits.failed;
	free(limits.at);
}

static void table_take(struct wat *w)
{
	(void)symbol_take_any(w);
	uint32_t index = w->next[SPACE_TABLE]++, n = 0;
	exports_take(w, WASM_TABLE, index);
	bool imported = inline_import(w, WASM_TABLE);
	struct bytes *to = &w->out[imported ? OUT_IMPORT : OUT_TABLE], type = {0};
	bool is64 = index_type_take(w);
	w->entries[OUT_TABLE] += !imported;
	if (!imported && reference_is_next(w)) {
		const struct coded t = reference_take(w);
		coded_put(to, &t);
		elem_inline_take(w, index, &t, is64, &n);
		limits_exact(to, is64, n);
		return;
	}
	table_type_put(w, &type, is64);
	if (!imported && w->t.kind == TOKEN_OPEN) { /* what its elements are at first */
		byte_put(to, 0x40);
		byte_put(to, 0);
		bytes_put(to, type.at, type.n);
		expression_take(w, to, NULL);
	} else {
		bytes_put(to, type.at, type.n);
	}
	to->failed |= type.failed;
	free(type.at);
}

static void strings_take(struct wat *w, struct bytes *to)
{
	to->n = 0;
	while (w->t.kind == TOKEN_STRING && !w->bad)
		quote_take(w, to, false);
}

static void memory_take(struct wat *w)
{
	enum { PAGE = 65536 };
	(void)symbol_take_any(w);
	uint32_t index = w->next[SPACE_MEMORY]++;
	exports_take(w, WASM_MEMORY, index);
	bool imported = inline_import(w, WASM_MEMORY);
	bool is64 = index_type_take(w);
	struct bytes *to = &w->out[imported ? OUT_IMPORT : OUT_MEMORY];
	w->entries[OUT_MEMORY] += !imported;
	if (imported || !open_take(w, "data")) {
		limits_put(w, to, is64, true);
		return;
	}
	struct bytes *data = &w->out[OUT_DATA];
	w->next[SPACE_DATA]++;
	w->entries[OUT_DATA]++;
	unsigned_put(data, index ? 2 : 0);
	if (index)
		unsigned_put(data, index);
	bytes_put(data, is64 ? "\x42\0\x0b" : "\x41\0\x0b", 3);
	strings_take(w, &w->scratch);
	sized_put(data, &w->scratch);
	close_take(w);
	limits_exact(to, is64, (w->scratch.n + PAGE - 1) / PAGE);
}

static void global_type_put(struct wat *w, struct bytes *to)
{
	bool mutable = open_take(w, "mut");
	type_put(w, to);
	byte_put(to, mutable);
	if (mutable)
		close_take(w);
}

static void global_take(struct wat *w)
{
	(void)symbol_take_any(w);
	exports_take(w, WASM_GLOBAL, w->next[SPACE_GLOBAL]++);
	bool imported = inline_import(w, WASM_GLOBAL);
	struct bytes *to = &w->out[imported ? OUT_IMPORT : OUT_GLOBAL];
	global_type_put(w, to);
	if (imported)
		return;
	w->entries[OUT_GLOBAL]++;
	expression_take(w, to, NULL);
}

static void tag_put(struct wat *w, struct bytes *to)
{
	byte_put(to, 0);
	unsigned_put(to, use_take(w, USE_IDLE).type);
}

static void tag_take(struct wat *w)
{
	(void)symbol_take_any(w);
	exports_take(w, WASM_TAG, w->next[SPACE_TAG]++);
	bool imported = inline_import(w, WASM_TAG);
	w->entries[OUT_TAG] += !imported;
	tag_put(w, &w->out[imported ? OUT_IMPORT : OUT_TAG]);
}

/* ---- imports, exports, start, data ---- */

static void import_take(struct wat *w)
{
	struct bytes *to = &w->out[OUT_IMPORT];
	name_import(w);
	bool func = open_is(w, "func"), table = open_is(w, "table"), memory = open_is(w, "memory"),
	     global = open_is(w, "global");
	token_next(w);
	token_next(w);
	(void)symbol_take_any(w);
	byte_put(to, func ? WASM_FUNC : table ? WASM_TABLE : memory ? WASM_MEMORY
		 : global ? WASM_GLOBAL : WASM_TAG);
	if (func) {
		func_begin(w);
		unsigned_put(to, use_take(w, USE_LOCALS).type);
		local_names_put(w, w->func - 1);
		w->func = 0;
	} else if (table) {
		w->next[SPACE_TABLE]++;
		table_type_put(w, to, index_type_take(w));
	} else if (memory) {
		w->next[SPACE_MEMORY]++;
		limits_put(w, to, index_type_take(w), true);
	} else if (global) {
		w->next[SPACE_GLOBAL]++;
		global_type_put(w, to);
	} else {
		w->next[SPACE_TAG]++;
		tag_put(w, to);
	}
	close_take(w);
}

static void export_take(struct wat *w)
{
	static const struct {
		const char *word;
		enum space space;
		enum wasm_kind kind;
	} kinds[] = {{"func", SPACE_FUNC, WASM_FUNC},
		     {"table", SPACE_TABLE, WASM_TABLE},
		     {"memory", SPACE_MEMORY, WASM_MEMORY},
		     {"global", SPACE_GLOBAL, WASM_GLOBAL},
		     {"tag", SPACE_TAG, WASM_TAG}};
	w->scratch.n = 0;
	quote_take(w, &w->scratch, true);
	for (size_t i = 0; i < countof(kinds); i++)
		if (open_take(w, kinds[i].word)) {
			uint32_t index = index_take(w, kinds[i].space);
			export_put(w, &w->scratch, kinds[i].kind, index);
			close_take(w);
			return;
		}
	wat_expected(w, "(func, (table, (memory, (global or (tag");
}

static void start_take(struct wat *w)
{
	if (w->entries[OUT_START]++)
		(void)wat_fail(w, w->t.at, "two start functions: a module has one");
	unsigned_put(&w->out[OUT_START], index_take(w, SPACE_FUNC));
}

static void data_take(struct wat *w)
{
	struct bytes *to = &w->out[OUT_DATA];
	uint32_t memory = 0;
	bool given = true;
	(void)symbol_take_any(w);
	w->next[SPACE_DATA]++;
	w->entries[OUT_DATA]++;
	if (open_take(w, "memory")) {
		memory = index_take(w, SPACE_MEMORY);
		close_take(w);
	} else if (token_is_number(&w->t)) {
		memory = index_take(w, SPACE_MEMORY);
	} else {
		given = false;
	}
	if (w->t.kind == TOKEN_OPEN) {
		unsigned_put(to, memory ? 2 : 0);
		if (memory)
			unsigned_put(to, memory);
		expression_take(w, to, "offset");
	} else if (given) {
		wat_expected(w, "(offset");
	} else {
		unsigned_put(to, 1);
	}
	strings_take(w, &w->scratch);
	sized_put(to, &w->scratch);
}

/* ---- all of them ---- */

static void type_skip(struct wat *w)
{
	while (w->t.kind != TOKEN_CLOSE && !w->bad) {
		bool list = w->t.kind == TOKEN_OPEN;
		token_next(w);
		if (list)
			list_skip(w);
	}
}

static void field_take(struct wat *w)
{
	static const struct {
		const char *word;
		void (*read)(struct wat *w);
	} fields[] = {{"func", func_take},     {"type", type_skip},	{"import", import_take},
		      {"rec", type_skip},
		      {"export", export_take}, {"global", global_take}, {"data", data_take},
		      {"elem", elem_take},     {"table", table_take},	{"memory", memory_take},
		      {"tag", tag_take},       {"start", start_take}};
	for (size_t i = 0; i < countof(fields); i++)
		if (open_take(w, fields[i].word)) {
			fields[i].read(w);
			close_take(w);
			return;
		}
	wat_expected(w, "a part of a module");
}

void wat_fields(struct wat *w)
{
	token_first(w);
	if (open_take(w, "module"))
		(void)symbol_take_any(w);
	while (!w->bad && w->t.kind == TOKEN_OPEN)
		field_take(w);
}
