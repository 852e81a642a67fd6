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

enum { NULLABLE = 0x63, NEVER_NULL = 0x64 };

/* The type that references refer to; @ret: without the form before it. */
static void heap_take(struct wat *w, struct coded *ret)
{
	if (index_is_next(w)) {
		struct bytes b = {0};
		signed_put(&b, index_take(w, SPACE_TYPE));
		ret->n = (uint32_t)min_u64(b.n, sizeof ret->at - 1);
		if (b.failed)
			wat_nomem(w);
		else
			memcpy(ret->at, b.at, ret->n);
		free(b.at);
		return;
	}
	for (size_t i = 0; i < countof(references); i++)
		if (word_take(w, references[i].heap)) {
			*ret = (struct coded){{references[i].type}, 1};
			return;
		}
	type_unknown(w, "func, extern, exn or a type of the module");
}

void heap_put(struct wat *w, struct bytes *to)
{
	struct coded c = {{0}, 0};
	heap_take(w, &c);
	coded_put(to, &c);
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

struct coded reference_take(struct wat *w)
{
	struct coded heap = {{0}, 0}, c;
	if (open_take(w, "ref")) {
		const bool null = word_take(w, "null"), typed = index_is_next(w);
		heap_take(w, &heap);
		close_take(w);
		if (null && !typed) /* which has a name of its own */
			return heap;
		c = (struct coded){{null ? NULLABLE : NEVER_NULL}, 1 + heap.n};
		memcpy(c.at + 1, heap.at, heap.n);
		return c;
	}
	for (size_t i = 0; i < countof(references); i++)
		if (word_take(w, references[i].name))
			return (struct coded){{references[i].type}, 1};
	type_unknown(w, "a type of references");
	return heap;
}

void type_put(struct wat *w, struct bytes *to)
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
		if (word_take(w, plain[i].name)) {
			byte_put(to, plain[i].type);
			return;
		}
	if (reference_is_next(w)) {
		const struct coded c = reference_take(w);
		coded_put(to, &c);
		return;
	}
	type_unknown(w, "a type of values");
}

size_t type_len(const uint8_t *p)
{
	size_t n = 1;
	if (*p != NULLABLE && *p != NEVER_NULL)
		return n;
	while (p[n] & 0x80)
		n++;
	return n + 1;
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
uint32_t types_take(struct wat *w, const char *word, struct bytes *to, enum use_names names)
{
	uint32_t n = 0;
	while (open_take(w, word)) {
		const char *at = w->t.at;
		bool named = w->t.kind == TOKEN_ID && strcmp(word, "result") != 0;
		uint32_t s = named ? symbol_take(w) : 0;
		if (named && names == USE_NAMELESS)
			(void)wat_fail(w, at, "parameters have no names here");
		while ((named || w->t.kind != TOKEN_CLOSE) && !w->bad) {
			type_put(w, to);
			n++;
			if (names == USE_LOCALS)
				local_add(w, s, at);
			if (named)
				break;
		}
		close_take(w);
	}
	return n;
}

/* ---- types of functions ---- */

static bool sig_same(const struct wat *w, const struct sig *a, const struct sig *b)
{
	return a->np == b->np && a->nr == b->nr && a->plen == b->plen && a->len == b->len &&
	       (!a->len || !memcmp(w->types.at + a->at, w->types.at + b->at, a->len));
}

/* The first type that is the same as @like, which has its hash; 1 + its number. */
static uint32_t sig_find(const struct wat *w, const struct sig *like)
{
	uint32_t i = w->heads[like->hash % SIG_HEADS];
	while (i && (w->sigs[i - 1].hash != like->hash || !sig_same(w, &w->sigs[i - 1], like)))
		i = w->sigs[i - 1].next;
	return i;
}

/* A type that the text has declared, or used; @grouped: nobody means it by what it is. */
static uint32_t sig_add(struct wat *w, const struct sig *s, bool grouped)
{
	w->sigs = array_grow(w, w->sigs, sizeof *w->sigs, w->nsigs, &w->cap_sigs);
	if (w->bad || w->types.failed)
		return 0;
	uint32_t *head = &w->heads[s->hash % SIG_HEADS];
	w->sigs[w->nsigs] = *s;
	w->sigs[w->nsigs].next = *head;
	if (!grouped && !sig_find(w, s))
		*head = w->nsigs + 1;
	return w->nsigs++;
}

/* Parameters and results, at the end of w->types. */
static struct sig sig_take(struct wat *w, enum use_names names)
{
	struct sig s = {.at = w->types.n};
	s.np = types_take(w, "param", &w->types, names);
	s.plen = (uint32_t)(w->types.n - s.at);
	s.nr = types_take(w, "result", &w->types, USE_IDLE);
	s.len = (uint32_t)(w->types.n - s.at);
	if (w->types.failed)
		wat_nomem(w);
	else
		s.hash = bytes_hash(w, w->types.at + s.at, s.len) ^ s.np;
	return s;
}

void func_type_take(struct wat *w, bool grouped)
{
	if (open_is(w, "struct") || open_is(w, "array") || open_is(w, "sub"))
		(void)wat_fail_as(w, ENOTSUP, w->t.at, "garbage collection is not there");
	if (!open_take(w, "func"))
		wat_expected(w, "(func ...)");
	struct sig s = sig_take(w, USE_IDLE);
	close_take(w);
	(void)sig_add(w, &s, grouped);
}

/* What is at the end of w->types from s->at on; it is dropped if there is one already. */
static uint32_t sig_join(struct wat *w, const struct sig *s)
{
	uint32_t i = w->bad ? 0 : sig_find(w, s);
	if (!i)
		return sig_add(w, s, false);
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
	else if ((is->np || is->nr) && !sig_same(w, s, is))
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
		if (s.nr)
			bytes_put(to, w->types.at + s.at, s.len);
		else
			byte_put(to, 0x40);
		w->types.n = s.at;
		return;
	} else {
		type = sig_join(w, &s);
	}
	signed_put(to, type);
}
