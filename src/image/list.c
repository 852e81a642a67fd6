/* SPDX-License-Identifier: Apache-2.0 */
/* The images of a store: listed, found, removed. */
#include "image/store.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>

enum { REMOVE_WAIT_MS = 10000, DIGITS = 12 };

/* The shortest that means the same. */
static void name_short(const char *name, char ret[REF_TEXT])
{
	static const char here[] = "localhost/";
	const size_t n = sizeof here - 1;
	strcpy(ret, strncmp(name, here, n) ? name : name + n);
	char *latest = strstr(ret, ":latest");
	if (latest && !latest[7])
		*latest = 0;
}

static int list_add(void *arg, const struct image_record *r)
{
	struct json_object *list = arg, *o = json_object_new_object();
	char text[REF_TEXT];
	json_object_object_add(o, "name", json_object_new_string(r->name));
	name_short(r->name, text);
	json_object_object_add(o, "alias", json_object_new_string(text));
	json_object_object_add(o, "digest", json_object_new_string(r->manifest.text));
	json_object_object_add(o, "config", json_object_new_string(r->config.text));
	platform_print(&r->platform, text);
	json_object_object_add(o, "platform", json_object_new_string(text));
	json_object_object_add(o, "size", json_object_new_int64((int64_t)r->size));
	json_object_object_add(o, "created_ns", json_object_new_int64((int64_t)r->created_ns));
	return json_object_array_add(list, o) < 0 ? -ENOMEM : 0;
}

static int by_name(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	return strcmp(json_object_get_string(json_object_object_get(*x, "name")),
		      json_object_get_string(json_object_object_get(*y, "name")));
}

int image_list(struct image_store *s, struct json_object **ret, struct lodge_err *e)
{
	struct json_object *list = json_object_new_array();
	int r = store_each(s, list_add, list, e);
	if (r < 0) {
		json_object_put(list);
		return r;
	}
	json_object_array_sort(list, by_name);
	*ret = list;
	return 0;
}

struct finding {
	const char *text; /* digits of a digest; or the end of a name, from its slash on */
	size_t n, found;
	char *name; /* REF_TEXT */
};

static void found(struct finding *f, const struct image_record *r)
{
	f->found++;
	strcpy(f->name, r->name);
}

static int find_end(void *arg, const struct image_record *r)
{
	struct finding *f = arg;
	size_t n = strlen(r->name);
	if (n > f->n && !strcmp(r->name + n - f->n, f->text))
		found(f, r);
	return 0;
}

static int find_digits(void *arg, const struct image_record *r)
{
	struct finding *f = arg;
	if (!strncmp(digest_hex(&r->manifest), f->text, f->n) ||
	    !strncmp(digest_hex(&r->config), f->text, f->n))
		found(f, r);
	return 0;
}

/* 1: the one that @ask finds is in f->name; 0: there is none. */
static int find_one(struct image_store *s, int (*ask)(void *, const struct image_record *),
		    struct finding *f, const char *what, struct lodge_err *e)
{
	int r = store_each(s, ask, f, e);
	if (r == 0 && f->found > 1)
		return err_set(e, EEXIST, "%zu images have a %s %.200s; name one", f->found, what,
			       f->text);
	return r < 0 ? r : f->found == 1;
}

int image_find_name(struct image_store *s, const char *text, char ret_name[REF_TEXT],
		    struct lodge_err *e)
{
	struct image_ref ref;
	char key[40];
	int r = 0, named = ref_parse(&ref, text, e);
	if (named == 0) {
		ref_print(&ref, ret_name);
		store_key(ret_name, key);
		if (faccessat(s->names, key, R_OK, 0) == 0)
			return 0;
	}
	const char *digits = strncmp(text, "sha256:", 7) ? text : text + 7;
	size_t n = strspn(digits, "0123456789abcdef");
	bool is_digest = n >= DIGITS && !digits[n];
	if (named == 0 && !ref_has_host(text)) {
		char end[REF_TEXT];
		snprintf(end, sizeof end, "%s", strchr(ret_name, '/'));
		struct finding f = {end, strlen(end), 0, ret_name};
		r = find_one(s, find_end, &f, "name that ends with", e);
	}
	if (r == 0 && is_digest) {
		struct finding f = {digits, n, 0, ret_name};
		r = find_one(s, find_digits, &f, "digest that begins with", e);
	} else if (r == 0 && named < 0) {
		return named;
	}
	if (r == 0)
		r = err_set(e, ENOENT, "there is no image '%.200s'; lodge images lists them", text);
	return r < 0 ? r : 0;
}

static uint64_t space_free(const struct image_store *s)
{
	struct statvfs v;
	return fstatvfs(s->dir, &v) == 0 ? (uint64_t)v.f_bfree * v.f_frsize : 0;
}

int image_remove(struct image_store *s, const char *text, uint64_t *ret_freed, struct lodge_err *e)
{
	char name[REF_TEXT], key[40];
	int r = store_lock(s, LOCK_EX, REMOVE_WAIT_MS, e);
	if (r < 0)
		return r;
	uint64_t before = space_free(s);
	r = image_find_name(s, text, name, e);
	if (r == 0) {
		store_key(name, key);
		if (unlinkat(s->names, key, 0) < 0 || fsync(s->names) < 0)
			r = err_sys(e, "removing the name %s", name);
	}
	if (r == 0)
		r = store_sweep(s, e);
	uint64_t after = space_free(s);
	*ret_freed = after > before ? after - before : 0;
	store_unlock(s);
	return r;
}
