/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at guests: list, inspect, stats. */
#include "lib/lib.h"
#include <json-c/json.h>
#include <stdio.h>

static void put(struct json_object *o, const char *key, const char *v)
{
	json_object_object_add(o, key, json_object_new_string(v ? v : ""));
}

static void put_n(struct json_object *o, const char *key, int64_t v)
{
	json_object_object_add(o, key, json_object_new_int64(v));
}

static int to_text(struct json_object *o, char **ret, struct lodge_err *e)
{
	*ret = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return *ret ? 0 : err_set(e, ENOMEM, "out of memory");
}

int json_give(struct json_object *o, char **ret, struct lodge_err *e)
{
	*ret = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return *ret ? 0 : err_set(e, ENOMEM, "out of memory");
}

/* {KEY: VALUE}; the last one of a key counts. */
static struct json_object *labels_json(const struct lodge_config *c)
{
	struct json_object *o = json_object_new_object();
	for (size_t i = 0; i < c->nlabels; i++) {
		const char *is = strchrnul(c->labels[i], '=');
		autofree char *key = strndup(c->labels[i], (size_t)(is - c->labels[i]));
		if (key)
			put(o, key, *is ? is + 1 : "");
	}
	return o;
}

/* What the folder tells, also of a damaged one. */
static struct json_object *folder_json(const struct instance *i, bool whole)
{
	struct json_object *o = json_object_new_object();
	struct life_record r;
	struct life_config *lc = NULL;
	struct lodge_err e = {0};
	instance_record(i, &r);
	if (instance_config(i, &lc, &e) < 0)
		put(o, "damaged", e.msg);
	put(o, "name", i->name);
	put(o, "state", life_name(r.state));
	const struct level *l = r.level[0] || !lc ? NULL : level_of(i, NULL);
	put(o, "level", r.level[0] ? r.level : l ? l->name : lc && lc->c.level ? lc->c.level : "");
	put(o, "guest", lc ? lc->c.guest ? lc->c.guest : lc->c.kernel ? lc->c.kernel : "" : "?");
	put_n(o, "pid", r.pid);
	put_n(o, "exit_code", r.exit_code);
	put(o, "why", r.why);
	json_object_object_add(o, "oom_killed", json_object_new_boolean(r.oom_killed));
	if (r.health[0])
		put(o, "health", r.health);
	if (lc && lc->c.nlabels)
		json_object_object_add(o, "labels", labels_json(&lc->c));
	put_n(o, "created_ns", (int64_t)r.created_ns);
	put_n(o, "started_ns", (int64_t)r.started_ns);
	put_n(o, "ended_ns", (int64_t)r.ended_ns);
	if (whole) {
		put(o, "folder", i->place);
		put(o, "runtime", i->runtime);
		if (lc)
			json_object_object_add(o, "config", json_object_get(lc->doc));
	}
	life_config_free(lc);
	return o;
}

int lodge_list(char **ret_json, struct lodge_err *e)
{
	struct json_object *names = NULL, *a = json_object_new_array();
	int r = instance_names(&names, e);
	if (r < 0) {
		json_object_put(a);
		return r;
	}
	for (size_t n = 0; n < json_object_array_length(names); n++) {
		struct instance *i = NULL;
		const char *name = json_object_get_string(json_object_array_get_idx(names, n));
		if (instance_open(&i, name, NULL) < 0)
			continue; /* removed since */
		json_object_array_add(a, folder_json(i, false));
		instance_free(i);
	}
	json_object_put(names);
	alien_list(a);
	return to_text(a, ret_json, e);
}

int lodge_inspect(struct lodge_guest *g, char **ret_json, struct lodge_err *e)
{
	struct json_object *o = g->alien ? alien_describe(g, e) : NULL;
	if (g->alien)
		return o ? to_text(o, ret_json, e) : -ENOENT;
	int r = control_call(g->inst, "GET", "/v1/guest", NULL, &o, e);
	if (r == 0 && o)
		return to_text(o, ret_json, e);
	return to_text(folder_json(g->inst, true), ret_json, e);
}

int lodge_stats(struct lodge_guest *g, char **ret_json, struct lodge_err *e)
{
	struct json_object *o = NULL;
	int r = g->alien ? alien_stats(g, &o, e)
			   : control_call(g->inst, "GET", "/v1/stats", NULL, &o, e);
	return r < 0 ? r : to_text(o, ret_json, e);
}

/* What the folder tells, and the keeper where there is one. */
static struct json_object *stats_json(const struct lodge_guest *g)
{
	const struct instance *i = g->inst;
	struct json_object *stats = NULL;
	struct json_object *o = g->alien ? alien_describe(g, NULL) : folder_json(i, false);
	int r = g->alien ? alien_stats(g, &stats, NULL)
			 : control_call(i, "GET", "/v1/stats", NULL, &stats, NULL);
	o = o ? o : json_object_new_object();
	if (r < 0 || !stats)
		return o;
	json_object_object_foreach(stats, key, v)
		json_object_object_add(o, key, json_object_get(v));
	json_object_put(stats);
	return o;
}

int lodge_metrics(const char *const *names, size_t n, char **ret_text, struct lodge_err *e)
{
	struct json_object *all = NULL, *a = json_object_new_array();
	int r = n ? 0 : instance_names(&all, e);
	size_t count = all ? json_object_array_length(all) : n;
	for (size_t k = 0; r == 0 && k < count; k++) {
		struct lodge_guest *g = NULL;
		const char *name =
		    all ? json_object_get_string(json_object_array_get_idx(all, k)) : names[k];
		r = lodge_open(&g, name, e);
		if (r == 0)
			json_object_array_add(a, stats_json(g));
		else if (all)
			r = 0; /* removed since */
		lodge_close(g);
	}
	json_object_put(all);
	if (r == 0 && !(*ret_text = life_metrics(a)))
		r = err_set(e, ENOMEM, "out of memory");
	json_object_put(a);
	return r;
}

int lodge_events(const char *name, uint64_t since_ns, int follow,
		 int (*fn)(void *user, const char *json), void *user, struct lodge_err *e)
{
	return life_events(&(struct life_event_query){.name = name, .since_ns = since_ns,
						      .follow = follow, .fn = fn, .user = user},
			   e);
}
