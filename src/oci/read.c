/* SPDX-License-Identifier: Apache-2.0 */
/* JSON into structs, by the tables that spec.def makes: one function per kind of field. */
#include "oci/internal.h"
#include <json-c/json.h>
#include <stdio.h>

enum { DEPTH = 16, PATH_BYTES = 256 };
enum kind { K_TEXT, K_FLAG, K_INT, K_UINT, K_WORD, K_TEXTS, K_NUMBERS, K_PAIRS, K_PART, K_LIST,
	    K_NAMED };
struct shape;
struct field {
	const char *name;
	enum kind kind;
	bool need;
	size_t off;
	int64_t lo;
	uint64_t hi;
	const char *const *words;
	const struct shape *of;
};
struct shape {
	const struct field *fields;
	size_t n, size;
};

#define OBJECT(o) static const struct field o##_fields[] = {
#define ROW(o, m, j, k, ...)                                                                       \
	{.name = j, .kind = k, .off = offsetof(struct oci_##o, m), __VA_ARGS__},
#define TEXT(o, m, j, q) ROW(o, m, j, K_TEXT, .need = q)
#define FLAG(o, m, j) ROW(o, m, j, K_FLAG, .need = false)
#define INT(o, m, j, l, h, q) ROW(o, m, j, K_INT, .lo = l, .hi = (uint64_t)h, .need = q)
#define UINT(o, m, j, h, q) ROW(o, m, j, K_UINT, .hi = h, .need = q)
#define WORD(o, m, j, w, q) ROW(o, m, j, K_WORD, .words = oci_words_##w, .need = q)
#define TEXTS(o, m, j, q) ROW(o, m, j, K_TEXTS, .need = q)
#define NUMBERS(o, m, j, q) ROW(o, m, j, K_NUMBERS, .need = q)
#define PAIRS(o, m, j) ROW(o, m, j, K_PAIRS, .need = false)
#define PART(o, m, j, s, q) ROW(o, m, j, K_PART, .of = &s##_shape, .need = q)
#define LIST(o, m, j, s, q) ROW(o, m, j, K_LIST, .of = &s##_shape, .need = q)
#define NAMED(o, m, j, s) ROW(o, m, j, K_NAMED, .of = &s##_shape)
#define KEY(o)
#define END(o)                                                                                     \
	}                                                                                          \
	;                                                                                          \
	static const struct shape o##_shape = {o##_fields, countof(o##_fields),                    \
	                                       sizeof(struct oci_##o)};
#include "oci/spec.def"

/* All lists begin alike. */
struct list {
	void *at;
	size_t n;
};

static size_t place_text(const struct oci_place *p, char *buf, size_t cap)
{
	size_t n = p->up ? place_text(p->up, buf, cap) : 0;
	if (n < cap)
		n += (size_t)(p->name ? snprintf(buf + n, cap - n, ".%.80s", p->name)
		                      : snprintf(buf + n, cap - n, "[%zu]", p->index));
	return n < cap ? n : cap;
}

int oci_refuse(const struct oci_place *p, struct lodge_err *e, const char *fmt, ...)
{
	char at[PATH_BYTES] = "", why[200];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	if (p)
		place_text(p, at, sizeof at);
	return err_set(e, EINVAL, "%s: %s", *at ? at : "config", why);
}

static const char *type_name(struct json_object *o)
{
	static const char *const names[] = {"null", "true or false", "a fraction", "a number",
					    "an object", "a list", "text"};
	unsigned t = (unsigned)json_object_get_type(o);
	return t < countof(names) ? names[t] : "something else";
}

struct reader {
	struct oci_pool *pool;
	struct lodge_err *e;
};

static int out_of_memory(const struct reader *r) { return err_set(r->e, ENOMEM, "out of memory"); }

static int shape_read(const struct reader *r, const struct shape *s, void *into,
                      struct json_object *o, const struct oci_place *at);

static int text_read(const struct reader *r, const char **ret, struct json_object *o,
                     const struct oci_place *at)
{
	if (!json_object_is_type(o, json_type_string))
		return oci_refuse(at, r->e, "text is wanted, not %s", type_name(o));
	size_t len = (size_t)json_object_get_string_len(o);
	const char *text = json_object_get_string(o);
	if (strlen(text) != len)
		return oci_refuse(at, r->e, "a zero byte in text");
	*ret = text; /* lives as long as the document, which the pool's owner keeps */
	return 0;
}

static int int_read(const struct reader *r, const struct field *f, struct oci_int *ret,
                    struct json_object *o, const struct oci_place *at)
{
	if (!json_object_is_type(o, json_type_int))
		return oci_refuse(at, r->e, "a whole number is wanted, not %s", type_name(o));
	int64_t v = json_object_get_int64(o);
	uint64_t u = json_object_get_uint64(o);
	if ((v >= 0 && u > f->hi) || v < f->lo)
		return oci_refuse(at, r->e, "%s: must be from %lld to %lld",
		                  json_object_get_string(o), (long long)f->lo, (long long)f->hi);
	*ret = (struct oci_int){v, true};
	return 0;
}

static int uint_read(const struct reader *r, uint64_t hi, struct oci_uint *ret,
                     struct json_object *o, const struct oci_place *at)
{
	if (!json_object_is_type(o, json_type_int))
		return oci_refuse(at, r->e, "a whole number is wanted, not %s", type_name(o));
	uint64_t u = json_object_get_uint64(o);
	if (json_object_get_int64(o) < 0 || u > hi)
		return oci_refuse(at, r->e, "%s: must be from 0 to %llu",
		                  json_object_get_string(o), (unsigned long long)hi);
	*ret = (struct oci_uint){u, true};
	return 0;
}

static int word_read(const struct reader *r, const struct field *f, unsigned *ret,
                     struct json_object *o, const struct oci_place *at)
{
	const char *text = NULL;
	int bad = text_read(r, &text, o, at);
	if (bad)
		return bad;
	if (!*text && !f->need)
		return 0;
	*ret = oci_word(f->words, text);
	return *ret ? 0 : oci_refuse(at, r->e, "'%.60s' is none of %s, %s, ...", text, f->words[0],
	                             f->words[1]);
}

static int array_check(const struct reader *r, struct json_object *o, const struct oci_place *at)
{
	return json_object_is_type(o, json_type_array)
	           ? 0 : oci_refuse(at, r->e, "a list is wanted, not %s", type_name(o));
}

static int texts_read(const struct reader *r, struct oci_texts *ret, struct json_object *o,
                      const struct oci_place *at)
{
	int bad = array_check(r, o, at);
	size_t n = bad ? 0 : json_object_array_length(o);
	const char **to = n ? oci_pool_alloc(r->pool, (n + 1) * sizeof *to) : NULL;
	if (n && !to)
		return out_of_memory(r);
	for (size_t i = 0; !bad && i < n; i++) {
		const struct oci_place here = {.up = at, .index = i};
		bad = text_read(r, &to[i], json_object_array_get_idx(o, i), &here);
	}
	if (!bad)
		*ret = (struct oci_texts){to, n, true};
	return bad;
}

static int numbers_read(const struct reader *r, struct oci_numbers *ret, struct json_object *o,
                        const struct oci_place *at)
{
	int bad = array_check(r, o, at);
	size_t n = bad ? 0 : json_object_array_length(o);
	uint32_t *to = oci_pool_alloc(r->pool, (n + 1) * sizeof *to);
	if (!to)
		return out_of_memory(r);
	for (size_t i = 0; !bad && i < n; i++) {
		const struct oci_place here = {.up = at, .index = i};
		struct oci_uint u = {0};
		bad = uint_read(r, UINT32_MAX, &u, json_object_array_get_idx(o, i), &here);
		to[i] = (uint32_t)u.v;
	}
	if (!bad)
		*ret = (struct oci_numbers){to, n};
	return bad;
}

static int object_check(const struct reader *r, struct json_object *o, const struct oci_place *at)
{
	return json_object_is_type(o, json_type_object)
	           ? 0 : oci_refuse(at, r->e, "an object is wanted, not %s", type_name(o));
}

static int pairs_read(const struct reader *r, struct oci_pairs *ret, struct json_object *o,
                      const struct oci_place *at)
{
	int bad = object_check(r, o, at);
	if (bad)
		return bad;
	struct oci_pair *to =
	    oci_pool_alloc(r->pool, ((size_t)json_object_object_length(o) + 1) * sizeof *to);
	size_t n = 0;
	if (!to)
		return out_of_memory(r);
	json_object_object_foreach(o, key, value) {
		const struct oci_place here = {.up = at, .name = key};
		to[n].key = key;
		bad = text_read(r, &to[n++].value, value, &here);
		if (bad)
			return bad;
	}
	*ret = (struct oci_pairs){to, n};
	return 0;
}

static int part_read(const struct reader *r, const struct shape *s, void **ret,
                     struct json_object *o, const struct oci_place *at)
{
	void *to = oci_pool_alloc(r->pool, s->size);
	if (!to)
		return out_of_memory(r);
	int bad = shape_read(r, s, to, o, at);
	if (!bad)
		*ret = to;
	return bad;
}

static int list_read(const struct reader *r, const struct shape *s, struct list *ret,
                     struct json_object *o, const struct oci_place *at)
{
	int bad = array_check(r, o, at);
	size_t n = bad ? 0 : json_object_array_length(o);
	uint8_t *to = n ? oci_pool_alloc(r->pool, n * s->size) : NULL;
	if (n && !to)
		return out_of_memory(r);
	for (size_t i = 0; !bad && i < n; i++) {
		const struct oci_place here = {.up = at, .index = i};
		bad = shape_read(r, s, to + i * s->size, json_object_array_get_idx(o, i), &here);
	}
	if (!bad)
		*ret = (struct list){to, n};
	return bad;
}

/* The name of each is its first member. */
static int named_read(const struct reader *r, const struct shape *s, struct list *ret,
                      struct json_object *o, const struct oci_place *at)
{
	int bad = object_check(r, o, at);
	if (bad)
		return bad;
	size_t n = 0;
	uint8_t *to = oci_pool_alloc(r->pool, ((size_t)json_object_object_length(o) + 1) * s->size);
	if (!to)
		return out_of_memory(r);
	json_object_object_foreach(o, key, value) {
		const struct oci_place here = {.up = at, .name = key};
		const char *name = key;
		memcpy(to + n * s->size, &name, sizeof name);
		bad = shape_read(r, s, to + n++ * s->size, value, &here);
		if (bad)
			return bad;
	}
	*ret = (struct list){to, n};
	return 0;
}

static int field_read(const struct reader *r, const struct field *f, uint8_t *to,
                      struct json_object *o, const struct oci_place *at)
{
	void *into = to + f->off;
	switch (f->kind) {
	case K_TEXT: return text_read(r, into, o, at);
	case K_FLAG:
		if (!json_object_is_type(o, json_type_boolean))
			return oci_refuse(at, r->e, "true or false is wanted, not %s",
					  type_name(o));
		*(bool *)into = json_object_get_boolean(o);
		return 0;
	case K_INT: return int_read(r, f, into, o, at);
	case K_UINT: return uint_read(r, f->hi, into, o, at);
	case K_WORD: return word_read(r, f, into, o, at);
	case K_TEXTS: return texts_read(r, into, o, at);
	case K_NUMBERS: return numbers_read(r, into, o, at);
	case K_PAIRS: return pairs_read(r, into, o, at);
	case K_PART: return part_read(r, f->of, into, o, at);
	case K_LIST: return list_read(r, f->of, into, o, at);
	case K_NAMED: return named_read(r, f->of, into, o, at);
	}
	return 0;
}

static int shape_read(const struct reader *r, const struct shape *s, void *into,
                      struct json_object *o, const struct oci_place *at)
{
	int bad = object_check(r, o, at);
	for (size_t i = 0; !bad && i < s->n; i++) {
		const struct field *f = &s->fields[i];
		const struct oci_place here = {.up = at, .name = f->name};
		struct json_object *v = NULL;
		/* null is absent, to everybody */
		if (json_object_object_get_ex(o, f->name, &v) && v)
			bad = field_read(r, f, into, v, &here);
		else if (f->need)
			bad = oci_refuse(&here, r->e, "it is missing");
	}
	return bad;
}

/* ---- documents ---- */

struct oci_owner {
	struct oci_pool *pool;
	struct json_object *json; /* has the texts */
};

static void owner_fini(struct oci_owner *o)
{
	oci_pool_free(o->pool);
	json_object_put(o->json);
}

static int json_parse(struct json_object **ret, const char *text, size_t len, struct lodge_err *e)
{
	if (len > INT32_MAX / 2)
		return err_set(e, EINVAL, "config: too large");
	struct json_tokener *t = json_tokener_new_ex(DEPTH);
	if (!t)
		return err_set(e, ENOMEM, "out of memory");
	struct json_object *o = json_tokener_parse_ex(t, text, (int)len);
	enum json_tokener_error bad = json_tokener_get_error(t);
	size_t end = json_tokener_get_parse_end(t);
	json_tokener_free(t);
	if (bad == json_tokener_success && o)
		for (; end < len; end++)
			if (!strchr(" \t\r\n", text[end]) || !text[end]) {
				json_object_put(o);
				return err_set(e, EINVAL, "config: not JSON: more follows at byte "
				               "%zu", end);
			}
	if (bad != json_tokener_success || !o)
		return err_set(e, EINVAL, "config: not JSON: %s at byte %zu",
		               bad == json_tokener_continue ? "it ends too early"
		                                            : json_tokener_error_desc(bad), end);
	*ret = o;
	return 0;
}

static int doc_read(struct oci_doc *d, const struct shape *s, void **ret, const char *text,
                    struct lodge_err *e, size_t len)
{
	static const struct oci_place *const top = NULL;
	struct oci_owner o = {.pool = oci_pool_new()};
	if (!o.pool)
		return err_set(e, ENOMEM, "out of memory");
	const struct reader r = {o.pool, e};
	int bad = json_parse(&o.json, text, len, e);
	struct oci_owner *kept = bad ? NULL : oci_pool_alloc(o.pool, sizeof *kept);
	if (!bad && !kept)
		bad = out_of_memory(&r);
	if (!bad)
		bad = part_read(&r, s, ret, o.json, top);
	if (bad) {
		owner_fini(&o);
		return bad;
	}
	*kept = o;
	d->owner = kept;
	return 0;
}

void oci_doc_fini(struct oci_doc *d)
{
	if (d->owner) {
		struct oci_owner o = *d->owner;
		owner_fini(&o);
	}
	*d = (struct oci_doc){0};
}

void *oci_doc_alloc(struct oci_doc *d, size_t n)
{
	return oci_pool_alloc(d->owner->pool, n);
}

char *oci_doc_text(struct oci_doc *d, const char *text)
{
	size_t n = strlen(text) + 1;
	char *to = oci_doc_alloc(d, n);
	return to ? memcpy(to, text, n) : NULL;
}

int oci_spec_read(struct oci_doc *ret, const char *text, size_t len, struct lodge_err *e)
{
	struct oci_doc d = {0};
	void *got = NULL;
	int r = doc_read(&d, &spec_shape, &got, text, e, len);
	d.spec = got;
	if (r == 0)
		r = oci_spec_check(d.spec, e);
	if (r < 0) {
		oci_doc_fini(&d);
		return r;
	}
	d.process = d.spec->process;
	*ret = d;
	return 0;
}

int oci_process_read(struct oci_doc *ret, const char *text, size_t len, struct lodge_err *e)
{
	struct oci_doc d = {0};
	void *got = NULL;
	int r = doc_read(&d, &process_shape, &got, text, e, len);
	d.process = got;
	if (r == 0)
		r = oci_process_check(d.process, "", e);
	if (r < 0) {
		oci_doc_fini(&d);
		return r;
	}
	*ret = d;
	return 0;
}

int oci_resources_read(struct oci_doc *ret, const char *text, size_t len, struct lodge_err *e)
{
	struct oci_doc d = {0};
	void *got = NULL;
	int r = doc_read(&d, &resources_shape, &got, text, e, len);
	d.resources = got;
	if (r == 0)
		r = oci_resources_check(d.resources, "", e);
	if (r < 0) {
		oci_doc_fini(&d);
		return r;
	}
	*ret = d;
	return 0;
}
