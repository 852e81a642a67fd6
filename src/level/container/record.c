/* SPDX-License-Identifier: Apache-2.0 */
/* state.json: what later commands must know of a container. Written by us, read again as if by
 * anybody. */
#include "level/container/internal.h"
#include <json-c/json.h>

static void text_add(struct json_object *o, const char *key, const char *text)
{
	if (text)
		json_object_object_add(o, key, json_object_new_string(text));
}

static struct json_object *groups_json(const struct cgroup *g)
{
	struct json_object *a = json_object_new_array();
	for (size_t i = 0; i < g->n; i++) {
		struct json_object *o = json_object_new_object();
		text_add(o, "name", g->at[i].name);
		text_add(o, "options", g->at[i].options);
		text_add(o, "mount", g->at[i].mount);
		text_add(o, "dir", g->at[i].dir);
		json_object_array_add(a, o);
	}
	return a;
}

char *record_text(const struct container *c)
{
	struct json_object *o = json_object_new_object();
	text_add(o, "ociVersion", c->version);
	text_add(o, "bundle", c->bundle);
	text_add(o, "rootfs", c->rootfs);
	text_add(o, "created", c->created);
	text_add(o, "annotations", c->annotations);
	text_add(o, "unit", c->unit);
	json_object_object_add(o, "pid", json_object_new_int((int)c->pid));
	json_object_object_add(o, "started", json_object_new_uint64(c->started));
	json_object_object_add(o, "ready", json_object_new_boolean(c->ready));
	json_object_object_add(o, "rootless", json_object_new_boolean(c->rootless));
	json_object_object_add(o, "hooks", json_object_new_boolean(c->hooks));
	json_object_object_add(o, "ownPids", json_object_new_boolean(c->own_pids));
	json_object_object_add(o, "owner", json_object_new_int64(c->owner));
	json_object_object_add(o, "cgroups", groups_json(&c->cgroup));
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	char *own = text ? strdup(text) : NULL;
	json_object_put(o);
	return own;
}

static char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_string)
	           ? strdup(json_object_get_string(v)) : NULL;
}

static int64_t number_of(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : 0;
}

static bool word_of(struct json_object *o, const char *key, char *buf, size_t cap)
{
	autofree char *text = text_of(o, key);
	if (!text || strlen(text) >= cap)
		return false;
	memcpy(buf, text, strlen(text) + 1);
	return true;
}

static bool groups_parse(struct cgroup *g, struct json_object *o)
{
	struct json_object *a = NULL;
	if (!json_object_object_get_ex(o, "cgroups", &a) ||
	    !json_object_is_type(a, json_type_array))
		return true;
	size_t n = json_object_array_length(a);
	for (size_t i = 0; i < n && g->n < countof(g->at); i++) {
		struct json_object *one = json_object_array_get_idx(a, i);
		struct cgroup_part *p = &g->at[g->n++];
		*p = (struct cgroup_part){.fd = -1};
		if (!word_of(one, "name", p->name, sizeof p->name) ||
		    !word_of(one, "options", p->options, sizeof p->options))
			return false;
		p->v2 = !p->options[0];
		p->mount = text_of(one, "mount");
		p->dir = text_of(one, "dir");
		if (!p->mount || !p->dir || strncmp(p->dir, p->mount, strlen(p->mount)))
			return false;
	}
	return true;
}

int record_parse(struct container *c, const char *text, size_t len, struct lodge_err *e)
{
	struct json_tokener *t = json_tokener_new();
	struct json_object *o =
	    t && len < INT32_MAX ? json_tokener_parse_ex(t, text, (int)len) : NULL;
	if (t)
		json_tokener_free(t);
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return err_set(e, EINVAL, "state.json: it is damaged");
	}
	c->version = text_of(o, "ociVersion");
	c->bundle = text_of(o, "bundle");
	c->rootfs = text_of(o, "rootfs");
	c->created = text_of(o, "created");
	c->annotations = text_of(o, "annotations");
	c->unit = text_of(o, "unit");
	int64_t pid = number_of(o, "pid");
	c->pid = pid > 0 && pid < INT32_MAX ? (pid_t)pid : 0;
	c->started = (uint64_t)number_of(o, "started");
	c->ready = number_of(o, "ready");
	c->rootless = number_of(o, "rootless");
	c->hooks = number_of(o, "hooks");
	c->own_pids = number_of(o, "ownPids");
	c->owner = (unsigned)number_of(o, "owner");
	c->cgroup.rootless = c->rootless;
	bool good = groups_parse(&c->cgroup, o) && c->bundle && c->created;
	json_object_put(o);
	return good ? 0 : err_set(e, EINVAL, "state.json: it is damaged");
}
