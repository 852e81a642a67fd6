/* SPDX-License-Identifier: Apache-2.0 */
/* Names: of instructions, by the tables of wasm and one of our own, and those that a text gives.
 * Spec: WASM-TEXT 3.0 §6.3.5, 6.6 */
#include "host/host.h"
#include "wat/internal.h"

const char *const space_names[SPACES] = {"type",   "function", "table",		  "memory",
					 "global", "tag",      "element segment", "data segment"};

void *array_grow(struct wat *w, void *at, size_t size, uint32_t n, uint32_t *cap)
{
	if (n < *cap)
		return at;
	uint32_t more = *cap ? 2 * *cap : 64;
	void *p = realloc(at, size * more);
	if (!p) {
		wat_nomem(w);
		return at;
	}
	*cap = more;
	return p;
}

/* ---- instructions ---- */

#define SIMD_SHAPE(code, lanes)                                                                    \
	((lanes) ? SHAPE_LANE                                                                      \
	 : (code) <= 0x06 || (code) == 0x5c || (code) == 0x5d ? SHAPE_ACCESS                       \
	 : (code) == 0x0d ? SHAPE_SHUFFLE : SHAPE_NONE)
#define NUMERIC(op, name) {#name, (op)&0xff, (op) > 0xff ? 0xfc : 0, SHAPE_NONE, 0},
static const struct mnemonic mnemonics[] = {
#define INSN(name, prefix, code, shape, bytes) {name, code, prefix, SHAPE_##shape, bytes},
#include "wat/insn.def"
#define INT(op, name, t, value) NUMERIC(op, name)
#define CMP(op, name, t, value) NUMERIC(op, name)
#define FLT(op, name, t, value) NUMERIC(op, name)
#define FCMP(op, name, t, value) NUMERIC(op, name)
#define UNARY(op, name, from, to, value) NUMERIC(op, name)
#define DIVIDE(op, name, t, trap, value) NUMERIC(op, name)
#define CHECKED(op, name, from, to, trap, value) NUMERIC(op, name)
#include "wasm/num.def"
#define LOAD(op, name, t, bytes, from) {#name, op, 0, SHAPE_ACCESS, bytes},
#define STORE(op, name, t, bytes, to) {#name, op, 0, SHAPE_ACCESS, bytes},
#include "wasm/mem.def"
#define SIMD(op, name, in, out, lanes, meaning)                                                    \
	{#name, op, 0xfd, SIMD_SHAPE(op, lanes), (op) == 0x5c ? 4 : 8},
#define SAME(op, name, as) {#name, op, 0xfd, SHAPE_NONE, 0},
#include "wasm/simd.def"
};

/* The tables write the first dot as _. */
static bool is_dotted(const char *name, size_t n)
{
	return name[n] == '_' && n > 2 && name[n - 1] >= '0' && name[n - 1] <= '9';
}

static uint32_t mnemonic_hash(const char *p, size_t n)
{
	uint32_t h = 2166136261u;
	bool dotted = false;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)p[i];
		if (!dotted && c == '_' && is_dotted(p, i))
			c = '.';
		dotted |= c == '.';
		h = (h ^ c) * 16777619u;
	}
	return h ^ h >> 15;
}

static bool mnemonic_same(const char *name, const char *p, size_t n)
{
	bool dotted = false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		if (!dotted && c == '_' && is_dotted(name, i))
			c = '.';
		dotted |= c == '.';
		if (!name[i] || c != p[i])
			return false;
	}
	return !name[n];
}

void mnemonics_init(struct wat *w)
{
	const uint32_t mask = countof(w->mnemonics.slots) - 1;
	_Static_assert(countof(mnemonics) * 2 < countof(w->mnemonics.slots), "a larger hash");
	for (uint16_t i = 0; i < countof(mnemonics); i++) {
		uint32_t h = mnemonic_hash(mnemonics[i].name, strlen(mnemonics[i].name));
		while (w->mnemonics.slots[h & mask])
			h++;
		w->mnemonics.slots[h & mask] = i + 1;
	}
}

const struct mnemonic *mnemonic_find(const struct wat *w, const struct token *t)
{
	const uint32_t mask = countof(w->mnemonics.slots) - 1;
	if (t->kind != TOKEN_WORD)
		return NULL;
	for (uint32_t h = mnemonic_hash(t->at, t->len);; h++) {
		unsigned i = w->mnemonics.slots[h & mask];
		if (!i)
			return NULL;
		if (mnemonic_same(mnemonics[i - 1].name, t->at, t->len))
			return &mnemonics[i - 1];
	}
}

/* ---- identifiers ---- */

uint32_t bytes_hash(const struct wat *w, const uint8_t *p, size_t n)
{
	uint64_t h = w->seed ^ n;
	for (size_t i = 0; i < n; i++) {
		h = (h ^ p[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return (uint32_t)(h ^ h >> 32);
}

static void slots_double(struct wat *w)
{
	uint32_t size = w->symbol_mask ? 2 * (w->symbol_mask + 1) : 1024;
	uint32_t *p = calloc(size, sizeof *p);
	if (!p) {
		wat_nomem(w);
		return;
	}
	free(w->symbol_slots);
	w->symbol_slots = p;
	w->symbol_mask = size - 1;
	for (uint32_t i = 0; i < w->nsymbols; i++) {
		uint32_t h = w->symbols[i].hash;
		while (p[h & w->symbol_mask])
			h++;
		p[h & w->symbol_mask] = i + 1;
	}
}

static uint32_t symbol_of(struct wat *w, const uint8_t *at, uint32_t len)
{
	uint32_t h = bytes_hash(w, at, len), i, slot;
	if (2 * w->nsymbols >= w->symbol_mask)
		slots_double(w);
	w->symbols = array_grow(w, w->symbols, sizeof *w->symbols, w->nsymbols, &w->cap_symbols);
	if (w->bad)
		return 0;
	for (slot = h; (i = w->symbol_slots[slot & w->symbol_mask]); slot++) {
		const struct symbol *s = symbol_at(w, i);
		if (s->hash == h && s->len == len && !memcmp(s->at, at, len))
			return i;
	}
	w->symbols[w->nsymbols] = (struct symbol){.at = at, .len = len, .hash = h};
	return w->symbol_slots[slot & w->symbol_mask] = ++w->nsymbols;
}

/* $"..." */
static uint32_t quoted_take(struct wat *w)
{
	struct bytes text = {0};
	const char *at = w->t.at;
	quote_take(w, &text, true);
	if (!w->bad && !text.n)
		(void)wat_fail(w, at, "an empty identifier");
	bytes_put(&w->kept, &text.at, sizeof text.at);
	if (w->kept.failed) /* it is in no list of what is freed */
		free(text.at);
	if (w->kept.failed || text.failed)
		wat_nomem(w);
	return w->bad ? 0 : symbol_of(w, text.at, (uint32_t)text.n);
}

uint32_t symbol_take(struct wat *w)
{
	const struct token t = w->t;
	if (t.kind == TOKEN_ID && t.len > 1 && t.at[1] == '"')
		return quoted_take(w);
	if (t.kind != TOKEN_ID || t.len == 1) {
		wat_expected(w, "an identifier ($name)");
		return 0;
	}
	token_next(w);
	return symbol_of(w, (const uint8_t *)t.at + 1, t.len - 1);
}

uint32_t symbol_take_any(struct wat *w)
{
	return w->t.kind == TOKEN_ID ? symbol_take(w) : 0;
}

void symbol_bind(struct wat *w, uint32_t symbol, enum space space, uint32_t index, const char *at)
{
	if (!symbol || w->bad)
		return;
	struct symbol *s = symbol_at(w, symbol);
	if (s->index[space])
		(void)wat_fail(w, at, "there is another %s $%.*s before", space_names[space],
			       (int)(s->len < 60 ? s->len : 60), (const char *)s->at);
	s->index[space] = index + 1;
}

/* ---- what refers to them ---- */

bool index_is_next(const struct wat *w)
{
	return w->t.kind == TOKEN_ID || token_is_number(&w->t);
}

static void unknown(struct wat *w, const struct token *t, const char *what)
{
	(void)wat_fail(w, t->at, "unknown %s %.*s", what, (int)(t->len < 60 ? t->len : 60), t->at);
}

uint32_t index_take(struct wat *w, enum space space)
{
	const struct token t = w->t;
	if (t.kind != TOKEN_ID)
		return (uint32_t)unsigned_take(w, 32);
	uint32_t s = symbol_take(w), i = s ? symbol_at(w, s)->index[space] : 0;
	if (!i)
		unknown(w, &t, space_names[space]);
	return w->bad ? 0 : i - 1;
}

uint32_t local_take(struct wat *w)
{
	const struct token t = w->t;
	if (t.kind != TOKEN_ID)
		return (uint32_t)unsigned_take(w, 32);
	uint32_t s = symbol_take(w);
	if (s && (!w->func || symbol_at(w, s)->local_of != w->func))
		unknown(w, &t, "local");
	return w->bad ? 0 : symbol_at(w, s)->local;
}

uint32_t label_take(struct wat *w)
{
	const struct token t = w->t;
	if (t.kind != TOKEN_ID)
		return (uint32_t)unsigned_take(w, 32);
	uint32_t s = symbol_take(w), label = s ? symbol_at(w, s)->label : 0;
	if (!label)
		unknown(w, &t, "label");
	return w->bad ? 0 : w->depth - label;
}
