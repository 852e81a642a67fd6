/* SPDX-License-Identifier: Apache-2.0 */
/* json-c with bounds, and errors as our errors. RFC 8259. */
#include "life/internal.h"
#include <limits.h>

enum { JSON_DEPTH = 16 };

int life_json_parse(struct json_object **ret, const char *text, size_t len, struct lodge_err *e)
{
	return json_parse(ret, text, len, e);
}

int json_parse(struct json_object **ret, const char *text, size_t len, struct lodge_err *e)
{
	if (len > INT_MAX)
		return err_set(e, EFBIG, "JSON of %zu bytes is too long", len);
	struct json_tokener *t = json_tokener_new_ex(JSON_DEPTH);
	if (!t)
		return err_set(e, ENOMEM, "out of memory");
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *o = json_tokener_parse_ex(t, text, (int)len);
	enum json_tokener_error why = json_tokener_get_error(t);
	/* A bare number at the very end is complete only once its end is seen. */
	if (why == json_tokener_continue) {
		o = json_tokener_parse_ex(t, "\n", 1);
		why = json_tokener_get_error(t);
	}
	size_t end = json_tokener_get_parse_end(t);
	json_tokener_free(t);
	if (why != json_tokener_success || !o) {
		json_object_put(o);
		return err_set(
		    e, EINVAL, "damaged JSON: %s at byte %zu",
		    why == json_tokener_success ? "no value" : json_tokener_error_desc(why), end);
	}
	*ret = o;
	return 0;
}

static struct json_object *json_member(struct json_object *o, const char *key, enum json_type t)
{
	struct json_object *v = NULL;
	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v) ||
	    !json_object_is_type(v, t))
		return NULL;
	return v;
}

bool json_text(struct json_object *o, const char *key, const char **ret)
{
	struct json_object *v = json_member(o, key, json_type_string);
	if (!v)
		return false;
	const char *s = json_object_get_string(v);
	/* A NUL inside would make two programs see two different texts. */
	if (strlen(s) != (size_t)json_object_get_string_len(v))
		return false;
	*ret = s;
	return true;
}

bool json_i64(struct json_object *o, const char *key, int64_t *ret)
{
	struct json_object *v = json_member(o, key, json_type_int);
	if (v)
		*ret = json_object_get_int64(v);
	return v != NULL;
}

void json_put_text(struct json_object *o, const char *key, const char *v)
{
	if (v)
		json_object_object_add(o, key, json_object_new_string(v));
}

void json_put_i64(struct json_object *o, const char *key, int64_t v)
{
	json_object_object_add(o, key, json_object_new_int64(v));
}

struct json_object *json_error(int code, const char *msg)
{
	struct json_object *o = json_object_new_object(), *err = json_object_new_object();
	json_put_i64(err, "errno", code);
	json_put_text(err, "code", strerrorname_np(code));
	json_put_text(err, "message", msg);
	json_object_object_add(o, "error", err);
	return o;
}
