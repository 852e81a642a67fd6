/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from outside, with bounds; each complaint names the file or address and the place in it.
 * RFC 8259. */
#include "image/internal.h"
#include <stdio.h>

int doc_open(struct doc *d, const char *what, const void *text, size_t len, struct lodge_err *e)
{
	*d = (struct doc){.what = what, .len = 1, .path = "$", .e = e};
	if (len > DOC_BYTES)
		return err_set(e, EFBIG, "%s: %zu bytes of JSON are more than %u", what, len,
			       DOC_BYTES);
	struct json_tokener *t = json_tokener_new_ex(DOC_DEPTH);
	if (!t)
		return err_set(e, ENOMEM, "out of memory");
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
				      JSON_TOKENER_ALLOW_TRAILING_CHARS);
	d->root = json_tokener_parse_ex(t, text, (int)len);
	enum json_tokener_error why = json_tokener_get_error(t);
	size_t end = json_tokener_get_parse_end(t);
	json_tokener_free(t);
	for (const char *p = text; end < len && strchr(" \t\r\n", p[end]) && p[end];)
		end++;
	if (why != json_tokener_success || end != len)
		return err_set(e, EINVAL, "%s: damaged JSON: %s at byte %zu", what,
			       why == json_tokener_success    ? "more text"
			       : why == json_tokener_continue ? "it ends too early"
							      : json_tokener_error_desc(why),
			       end);
	if (!json_object_is_type(d->root, json_type_object) &&
	    !json_object_is_type(d->root, json_type_array))
		return doc_fail(d, NULL, EINVAL, "is no object");
	return 0;
}

void doc_close(struct doc *d)
{
	json_object_put(d->root);
	d->root = NULL;
}

size_t doc_down(struct doc *d, const char *fmt, ...)
{
	size_t old = d->len;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(d->path + old, sizeof d->path - old, fmt, ap);
	va_end(ap);
	d->len = strlen(d->path);
	(void)n;
	return old;
}

void doc_up(struct doc *d, size_t len)
{
	d->len = len;
	d->path[len] = 0;
}

int doc_fail(const struct doc *d, const char *key, int code, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(d->e, code, "%s: %s%s%.60s: %s", d->what, d->path, key ? "." : "",
		       key ? key : "", text);
}

int doc_get(const struct doc *d, struct json_object *o, const char *key, enum json_type type,
	    bool need, struct json_object **ret)
{
	struct json_object *v = NULL;
	if (!json_object_is_type(o, json_type_object))
		return doc_fail(d, NULL, EINVAL, "is no object");
	if (!json_object_object_get_ex(o, key, &v) || !v)
		return need ? doc_fail(d, key, EINVAL, "is missing") : 0;
	if (!json_object_is_type(v, type))
		return doc_fail(d, key, EINVAL, "is %s, not %s",
				json_type_to_name(json_object_get_type(v)),
				json_type_to_name(type));
	*ret = v;
	return 1;
}

/* A NUL inside would make two programs see two different texts. */
static bool text_whole(struct json_object *v)
{
	size_t n = (size_t)json_object_get_string_len(v);
	return n <= DOC_TEXT && strlen(json_object_get_string(v)) == n;
}

int doc_text(const struct doc *d, struct json_object *o, const char *key, bool need,
	     const char **ret)
{
	struct json_object *v = NULL;
	int r = doc_get(d, o, key, json_type_string, need, &v);
	if (r <= 0)
		return r;
	if (!text_whole(v))
		return doc_fail(d, key, EINVAL, "is too long, or has a zero byte");
	*ret = json_object_get_string(v);
	return 1;
}

int doc_u64(const struct doc *d, struct json_object *o, const char *key, bool need, uint64_t *ret)
{
	struct json_object *v = NULL;
	int r = doc_get(d, o, key, json_type_int, need, &v);
	if (r <= 0)
		return r;
	int64_t n = json_object_get_int64(v);
	if (n < 0 || n == INT64_MAX)
		return doc_fail(d, key, EINVAL, "%s is out of range", json_object_get_string(v));
	*ret = (uint64_t)n;
	return 1;
}

int texts_add(struct image_texts *t, const char *text)
{
	char **more = realloc(t->at, (t->n + 1) * sizeof *more), *copy = strdup(text);
	if (more)
		t->at = more;
	if (!more || !copy) {
		free(copy);
		return -ENOMEM;
	}
	t->at[t->n++] = copy;
	return 0;
}

void image_texts_fini(struct image_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->at[i]);
	free(t->at);
	*t = (struct image_texts){0};
}

int doc_texts(struct doc *d, struct json_object *o, const char *key, struct image_texts *ret)
{
	struct json_object *list = NULL;
	int r = doc_get(d, o, key, json_type_array, false, &list);
	size_t n = r > 0 ? json_object_array_length(list) : 0;
	if (n > DOC_ITEMS)
		return doc_fail(d, key, EFBIG, "%zu items are more than %u", n, DOC_ITEMS);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct json_object *v = json_object_array_get_idx(list, i);
		size_t at = doc_down(d, ".%s[%zu]", key, i);
		if (!json_object_is_type(v, json_type_string) || !text_whole(v))
			r = doc_fail(d, NULL, EINVAL,
				     "is no text, or too long, or has a zero "
				     "byte");
		else if (texts_add(ret, json_object_get_string(v)) < 0)
			r = err_set(d->e, ENOMEM, "out of memory");
		doc_up(d, at);
	}
	return r;
}

static int key_add(struct doc *d, const char *key, struct json_object *v, bool values,
		   struct image_texts *ret)
{
	autofree char *text = NULL;
	if (values && (!json_object_is_type(v, json_type_string) || !text_whole(v)))
		return doc_fail(d, key, EINVAL, "is no text, or too long, or has a zero byte");
	if (strlen(key) > DOC_TEXT)
		return doc_fail(d, NULL, EINVAL, "a key is too long");
	if (asprintf(&text, "%s%s%s", key, values ? "=" : "",
		     values ? json_object_get_string(v) : "") < 0 ||
	    texts_add(ret, text) < 0)
		return err_set(d->e, ENOMEM, "out of memory");
	return 0;
}

int doc_keys(struct doc *d, struct json_object *o, const char *key, bool values,
	     struct image_texts *ret)
{
	struct json_object *map = NULL;
	int r = doc_get(d, o, key, json_type_object, false, &map);
	if (r <= 0)
		return r;
	if (json_object_object_length(map) > DOC_ITEMS)
		return doc_fail(d, key, EFBIG, "it has more than %u members", DOC_ITEMS);
	size_t at = doc_down(d, ".%s", key);
	struct json_object_iterator i = json_object_iter_begin(map);
	struct json_object_iterator end = json_object_iter_end(map);
	for (r = 0; r == 0 && !json_object_iter_equal(&i, &end); json_object_iter_next(&i))
		r = key_add(d, json_object_iter_peek_name(&i), json_object_iter_peek_value(&i),
			    values, ret);
	doc_up(d, at);
	return r < 0 ? r : 1;
}

int doc_digest(const struct doc *d, struct json_object *o, const char *key, bool need,
	       struct digest *ret)
{
	const char *text = NULL;
	struct lodge_err why;
	int r = doc_text(d, o, key, need, &text);
	if (r > 0 && digest_parse(ret, text, &why) < 0)
		return doc_fail(d, key, EINVAL, "%s", why.msg);
	return r;
}
