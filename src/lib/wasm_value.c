/* SPDX-License-Identifier: Apache-2.0 */
/* Types and values of WebAssembly, as an embedder has them and as the engine does. */
#include "lib/lib.h"
#include "lib/wasm.h"
#include <ctype.h>

/* The type as an embedder knows it: references of functions are all funcref. */
uint8_t type_known(uint32_t type)
{
	if ((type & 0x7f) == WASM_REF)
		return WASM_FUNCREF;
	return type >= WASM_NONNULL ? (uint8_t)(type & ~(uint32_t)WASM_NONNULL) : (uint8_t)type;
}

static uint32_t slots_of(const uint32_t *types, uint32_t n)
{
	uint32_t all = n;
	for (uint32_t i = 0; i < n; i++)
		all += types[i] == WASM_V128;
	return all;
}

struct signature signature_of(const struct wasm_module *m, uint32_t func)
{
	struct signature s;
	static const uint32_t none[1];
	wasm_func_type(m, func, &s.types, &s.np, &s.nr);
	s.types = s.types ? s.types : none;
	return s;
}

uint32_t signature_slots(const struct signature *s)
{
	uint32_t p = slots_of(s->types, s->np), r = slots_of(s->types + s->np, s->nr);
	return p > r ? p : r;
}

bool signature_is_outside(const struct signature *s)
{
	for (uint32_t i = 0; i < s->np + s->nr; i++)
		if (type_known(s->types[i]) == WASM_EXNREF)
			return false;
	return true;
}

char *signature_text(const struct signature *s)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	if (!out)
		return NULL;
	for (uint32_t i = 0; i <= s->np + s->nr; i++) {
		if (i == s->np)
			fputs(i ? " ->" : "->", out);
		if (i < s->np + s->nr)
			fprintf(out, i ? " %s" : i == s->np ? " %s" : "%s",
				wasm_type_name(type_known(s->types[i])));
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* The next word of @text is @word. */
static bool word_is(const char **text, const char *word)
{
	const char *p = *text;
	size_t n = strlen(word);
	while (isspace((unsigned char)*p))
		p++;
	if (strncmp(p, word, n) != 0 || (p[n] && !isspace((unsigned char)p[n])))
		return false;
	*text = p + n;
	return true;
}

bool signature_is(const struct signature *s, const char *text)
{
	if (!text)
		return false;
	for (uint32_t i = 0; i <= s->np + s->nr; i++) {
		if (i == s->np && !word_is(&text, "->"))
			return false;
		if (i < s->np + s->nr && !word_is(&text, wasm_type_name(type_known(s->types[i]))))
			return false;
	}
	while (isspace((unsigned char)*text))
		text++;
	return !*text;
}

void values_read(const uint32_t *types, uint32_t n, const union wasm_slot *at,
		 struct lodge_wasm_value *ret)
{
	for (uint32_t i = 0; i < n; i++, at++) {
		struct lodge_wasm_value *v = &ret[i];
		*v = (struct lodge_wasm_value){.type = (enum lodge_wasm_type)type_known(types[i])};
		if (types[i] == WASM_V128)
			memcpy(v->of.v128, at++, sizeof v->of.v128);
		else if (types[i] == WASM_I32 || types[i] == WASM_F32)
			memcpy(&v->of, &at->i32, sizeof at->i32);
		else
			memcpy(&v->of, &at->i64, sizeof at->i64);
	}
}

int values_write(const struct wasm_module *m, const uint32_t *types, uint32_t n,
		 const struct lodge_wasm_value *v, union wasm_slot *at, struct lodge_err *e)
{
	for (uint32_t i = 0; i < n; i++, v++, at++) {
		if ((uint8_t)v->type != type_known(types[i]))
			return err_set(e, EINVAL, "value %u should have the type %s, and has %s", i,
				       wasm_type_name(type_known(types[i])),
				       wasm_type_name((uint8_t)v->type));
		if (!wasm_value_fits(m, v->of.ref, types[i]))
			return err_set(e, EINVAL, "value %u is no function of the module that has "
				       "the type which is wanted", i);
		at->i64 = 0;
		if (types[i] == WASM_V128)
			memcpy(at++, v->of.v128, sizeof v->of.v128);
		else if (types[i] == WASM_I32 || types[i] == WASM_F32)
			memcpy(&at->i32, &v->of, sizeof at->i32);
		else
			memcpy(&at->i64, &v->of, sizeof at->i64);
	}
	return 0;
}
