/* SPDX-License-Identifier: Apache-2.0 */
/* Types, and where one is used: by its number, by what it is, or both.
 * Spec: WASM-TEXT 3.0 §6.4, 6.6.4 */
#include "wasm/wasm.h"
#include "wat/internal.h"

static const struct {
	const char *name, *heap; /* alone, and in (ref null ...) */
	uint8_t type;
} references[] = {{"funcref", "func", WASM_FUNCREF},
		  {"externref", "extern", WASM_EXTERNREF},
		  {"exnref", "exn", WASM_EXNREF}};

static void type_unknown(struct wat *w, const char *what)
{
	static const char *const later[] = {"anyref", "eqref", "i31ref", "structref", "arrayref",
					    "nullref", "nullfuncref", "nullexternref", "any", "eq",
					    "i31", "struct", "array", "none", "nofunc", "noextern",
					    "noexn", "nullexnref"};
	for (size_t i = 0; i < countof(later); i++)
		if (token_is(&w->t, later[i]))
			(void)wat_fail_as(w, ENOTSUP, w->t.at, "%s: garbage collection is not "
					  "there", later[i]);
	wat_expected(w, what);
}

uint8_t heap_take(struct wat *w)
{
	if (index_is_next(w))
		(void)wat_fail_as(w, ENOTSUP, w->t.at, "typed references are not there");
	for (size_t i = 0; i < countof(references); i++)
		if (word_take(w, references[i].heap))
			return references[i].type;
	type_unknown(w, "func, extern or exn");
	return 0;
}

bool reference_is_next(struct wat *w)
{
	if (open_is(w, "ref"))
		return true;
	for (size_t i = 0; i < countof(references); i++)
		if (token_is(&w->t, references[i].name))
			return true;
	return false;
}

uint8_t reference_take(struct wat *w)
{
	const char *at = w->t.at;
	if (open_take(w, "ref")) {
		if (!word_take(w, "null"))
			(void)wat_fail_as(w, ENOTSUP, at, "typed references, which are never "
					  "null, are not there");
		uint8_t t = heap_take(w);
		close_take(w);
		return t;
	}
	for (size_t i = 0; i < countof(references); i++)
		if (word_take(w, references[i].name))
			return references[i].type;
	type_unknown(w, "a type of references");
	return 0;
}

uint8_t type_take(struct wat *w)
{
	static const struct {
		const char *name;
		uint8_t type;
	} plain[] = {{"i32", WASM_I32},
		     {"i64", WASM_I64},
		     {"f32", WASM_F32},
		     {"f64", WASM_F64},
		     {"v128", WASM_V128}};
	for (size_t i = 0; i < countof(plain); i++)
		if (word_take(w, plain[i].name))
			return plain[i].type;
	if (reference_is_next(w))
		return reference_take(w);
	type_unknown(w, "a type of values");
	return 0;
}

/* ---- lists of them ---- */

void local_add(struct wat *w, uint32_t symbol, const char *at)
{
	uint32_t n = w->nlocals++;
	if (!symbol || w->bad)
		return;
	struct symbol *s = symbol_at(w, symbol);
	if (s->local_of == w->func)
		(void)wat_fail(w, at, "there is another local $%.*s before",
			       (int)(s->len < 60 ? s->len : 60), (const char *)s->at);
	s->local_of = w->func;
	s->local = n;
	unsigned_put(&w->names, n);
	unsigned_put(&w->names, s->len);
	bytes_put(&w->names, s->at, s->len);
	w->nnames++;
}

/* All of (param ...) (param ...), or of another word, behind those of @to. */
void types_take(struct wat *w, const char *word, struct bytes *to, enum use_names names)
{
	while (open_take(w, word)) {
		const char *at = w->t.at;
		bool named = w->t.kind == TOKEN_ID && strcmp(word, "result") != 0;
		uint32_t s = named ? symbol_take(w) : 0;
		if (named && names == USE_NAMELESS)
			(void)wat_fail(w, at, "parameters have no names here");
		while ((named || w->t.kind != TOKEN_CLOSE) && !w->bad) {
			byte_put(to, type_take(w));
			if (names == USE_LOCALS)
				local_add(w, s, at);
			if (named)
				break;
		}
		close_take(w);
	}
}

/* ---- types of functions ---- */

static uint32_t sig_hash(const struct wat *w, size_t at, uint32_t np, uint32_t nr)
{
	return bytes_hash(w, w->types.at + at, np + nr) ^ np;
}

/* The first type that is the same as what is at the end of w->types; 1 + its number. */
static uint32_t sig_find(const struct wat *w, size_t at, uint32_t np, uint32_t nr, uint32_t hash)
{
	for (uint32_t i = w->heads[hash % SIG_HEADS]; i; i = w->sigs[i - 1].next) {
		const struct sig *s = &w->sigs[i - 1];
		if (s->hash == hash && s->np == np && s->nr == nr &&
		    (!(np + nr) || !memcmp(w->types.at + s->at, w->types.at + at, np + nr)))
			return i;
	}
	return 0;
}

uint32_t sig_add(struct wat *w, size_t at, uint32_t np, uint32_t nr)
{
	w->sigs = array_grow(w, w->sigs, sizeof *w->sigs, w->nsigs, &w->cap_sigs);
	if (w->bad || w->types.failed)
		return 0;
	uint32_t h = sig_hash(w, at, np, nr);
	w->sigs[w->nsigs] = (struct sig){at, np, nr, h, w->heads[h % SIG_HEADS]};
	if (!sig_find(w, at, np, nr, h))
		w->heads[h % SIG_HEADS] = w->nsigs + 1;
	return w->nsigs++;
}

/* Parameters and results, at the end of w->types. */
static struct sig sig_take(struct wat *w, enum use_names names)
{
	struct sig s = {.at = w->types.n};
	types_take(w, "param", &w->types, names);
	s.np = (uint32_t)(w->types.n - s.at);
	types_take(w, "result", &w->types, USE_IDLE);
	s.nr = (uint32_t)(w->types.n - s.at) - s.np;
	if (w->types.failed)
		wat_nomem(w);
	return s;
}

void func_type_take(struct wat *w)
{
	if (open_is(w, "struct") || open_is(w, "array") || open_is(w, "sub"))
		(void)wat_fail_as(w, ENOTSUP, w->t.at, "garbage collection is not there");
	if (!open_take(w, "func"))
		wat_expected(w, "(func ...)");
	struct sig s = sig_take(w, USE_IDLE);
	close_take(w);
	(void)sig_add(w, s.at, s.np, s.nr);
}

/* What is at the end of w->types from s->at on; it is dropped if there is one already. */
static uint32_t sig_join(struct wat *w, const struct sig *s)
{
	uint32_t h = w->bad ? 0 : sig_hash(w, s->at, s->np, s->nr);
	uint32_t i = w->bad ? 0 : sig_find(w, s->at, s->np, s->nr, h);
	if (!i)
		return sig_add(w, s->at, s->np, s->nr);
	w->types.n = s->at;
	return i - 1;
}

/* The type @given, and perhaps what it is once more. */
static void use_check(struct wat *w, const struct sig *is, uint32_t given, const char *at)
{
	if (w->bad)
		return;
	const struct sig *s = given < w->nsigs ? &w->sigs[given] : NULL;
	if (!s)
		(void)wat_fail(w, at, "unknown type %u", given);
	else if ((is->np || is->nr) &&
		 (s->np != is->np || s->nr != is->nr ||
		  memcmp(w->types.at + s->at, w->types.at + is->at, s->np + s->nr) != 0))
		(void)wat_fail(w, at, "these parameters and results are not those of type %u",
			       given);
	w->types.n = is->at;
}

struct use use_take(struct wat *w, enum use_names names)
{
	const char *at = w->t.at;
	bool given = open_take(w, "type");
	uint32_t type = given ? index_take(w, SPACE_TYPE) : 0;
	if (given)
		close_take(w);
	struct sig s = sig_take(w, names);
	if (given)
		use_check(w, &s, type, at);
	else
		type = sig_join(w, &s);
	struct use u = {type, w->bad ? 0 : w->sigs[type].np};
	if (names == USE_LOCALS && u.np > s.np) /* without a name */
		w->nlocals += u.np - s.np;
	return u;
}

void block_type_take(struct wat *w, struct bytes *to)
{
	const char *at = w->t.at;
	bool given = open_take(w, "type");
	uint32_t type = given ? index_take(w, SPACE_TYPE) : 0;
	if (given)
		close_take(w);
	struct sig s = sig_take(w, USE_NAMELESS);
	if (given) {
		use_check(w, &s, type, at);
	} else if (!s.np && s.nr <= 1 && !w->bad) {
		byte_put(to, s.nr ? w->types.at[s.at] : 0x40);
		w->types.n = s.at;
		return;
	} else {
		type = sig_join(w, &s);
	}
	signed_put(to, type);
}
