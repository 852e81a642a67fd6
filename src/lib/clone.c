/* SPDX-License-Identifier: Apache-2.0 */
/* A clone: another guest that goes on from the state of this one. Its folder has links to the files
 * that both rest on and nobody writes any more: disks below new overlays, and memory, which both
 * map. So it costs what it writes itself, and its parent may be removed. */
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

/* @text with every @from made @to; malloc'ed. */
static char *text_replace(const char *text, const char *from, const char *to)
{
	size_t n = strlen(from), m = strlen(to), hits = 0;
	for (const char *p = text; (p = strstr(p, from)); p += n)
		hits++;
	char *ret = malloc(strlen(text) + hits * (m > n ? m - n : 0) + 1), *w = ret;
	for (const char *p; ret && (p = strstr(text, from)); text = p + n) {
		memcpy(w, text, (size_t)(p - text));
		w += p - text;
		memcpy(w, to, m);
		w += m;
	}
	if (ret)
		strcpy(w, text);
	return ret;
}

/* Link @path into the clone when it is a file of the parent's folder. */
static int file_share(const struct instance *of, const struct instance *to, const char *path,
		      struct lodge_err *e)
{
	size_t n = strlen(of->dir);
	if (!path || strncmp(path, of->dir, n) || path[n] != '/' || strchr(path + n + 1, '/'))
		return 0;
	if (linkat(AT_FDCWD, path, to->dirfd, path + n + 1, 0) < 0 && errno != EEXIST)
		return err_sys(e, "linking %s", path);
	return 0;
}

/* Share the files of the specs at @key, and let them name the clone's folder. */
static int specs_share(const struct instance *of, const struct instance *to,
		       struct json_object *doc, const char *key, struct lodge_err *e)
{
	struct json_object *old = NULL, *list = json_object_new_array();
	autofree char *from = NULL, *into = NULL;
	int r = asprintf(&from, "%s/", of->dir) < 0 || asprintf(&into, "%s/", to->dir) < 0
		    ? err_set(e, ENOMEM, "out of memory")
		    : 0;
	json_object_object_get_ex(doc, key, &old);
	for (size_t i = 0; r == 0 && old && i < json_object_array_length(old); i++) {
		const char *spec = json_object_get_string(json_object_array_get_idx(old, i));
		struct life_disk d = { 0 };
		r = life_disk_parse(&d, spec, e);
		if (r == 0)
			r = file_share(of, to, d.path, e);
		if (r == 0)
			r = file_share(of, to, d.overlay, e);
		life_disk_fini(&d);
		autofree char *moved = text_replace(spec, from, into);
		if (r == 0)
			json_object_array_add(list, json_object_new_string(moved ? moved : spec));
	}
	if (old)
		json_object_object_add(doc, key, list);
	else
		json_object_put(list);
	return r;
}

/* Put the option @own, which only this guest has, in the place of the parent's. */
static void own_option_put(struct json_object *doc, const char *own)
{
	struct json_object *old = NULL, *list = json_object_new_array();
	size_t key = strcspn(own, "=") + 1;
	json_object_object_get_ex(doc, "options", &old);
	for (size_t i = 0; old && i < json_object_array_length(old); i++) {
		struct json_object *o = json_object_array_get_idx(old, i);
		if (strncmp(json_object_get_string(o), own, key))
			json_object_array_add(list, json_object_get(o));
	}
	json_object_array_add(list, json_object_new_string(own));
	json_object_object_add(doc, "options", list);
}

/* The same of what it boots from, which lies in its folder when it came from elsewhere. */
static int files_share(const struct instance *of, const struct instance *to,
		       struct json_object *doc, struct lodge_err *e)
{
	static const char *const keys[] = { "kernel", "initrd", "firmware", "guest" };
	size_t n = strlen(of->dir);
	int r = 0;
	for (size_t i = 0; r == 0 && i < countof(keys); i++) {
		struct json_object *v = NULL;
		const char *path =
		    json_object_object_get_ex(doc, keys[i], &v) ? json_object_get_string(v) : NULL;
		if (!path || strncmp(path, of->dir, n) != 0 || path[n] != '/')
			continue;
		autofree char *moved = NULL;
		if (asprintf(&moved, "%s%s", to->dir, path + n) < 0) {
			moved = NULL;
			return err_set(e, ENOMEM, "out of memory");
		}
		r = file_share(of, to, path, e);
		json_object_object_add(doc, keys[i], json_object_new_string(moved));
	}
	return r;
}

/* What is asked of the copy. All borrowed. */
struct wish {
	const char *name;
	const char *const *publish; /* npublish */
	size_t npublish;
};

/* Publish @w's ports, checked. */
static int ports_put(struct json_object *doc, const struct wish *w, struct lodge_err *e)
{
	struct json_object *list = w->npublish ? json_object_new_array() : NULL;
	struct life_config *c = NULL;
	for (size_t i = 0; i < w->npublish; i++)
		json_object_array_add(list, json_object_new_string(w->publish[i]));
	if (!list)
		return 0;
	json_object_object_add(doc, "publish", list);
	int r = life_config_load(&c, json_object_get(doc), e);
	if (r == 0)
		r = life_config_check(&c->c, e);
	if (r == 0 && c->c.net && !strcmp(c->c.net, "none"))
		r = err_set(e, EINVAL, "ports cannot be published without a network");
	life_config_free(c);
	return r;
}

/* What no two guests may have alike, and what is the parent's own business. */
static int identity_change(struct json_object *doc, const struct level *l, const struct wish *w,
			   const char *parent, struct lodge_err *e)
{
	struct json_object *old = NULL, *flags = NULL;
	static const char *const own[] = { "publish", "snapshot", "snapshot_ns" };
	for (size_t i = 0; i < countof(own); i++)
		json_object_object_del(doc, own[i]);
	char option[64];
	for (unsigned i = 0; l && l->own_option && l->own_option(i, option, sizeof option); i++)
		own_option_put(doc, option);
	if (json_object_object_get_ex(doc, "flags", &flags)) {
		int64_t f = json_object_get_int64(flags) & ~(int64_t)LODGE_RM;
		json_object_object_add(doc, "flags", json_object_new_int64(f));
	}
	json_object_object_add(doc, "clone_of", json_object_new_string(parent));
	json_object_object_add(doc, "name", json_object_new_string(w->name));
	const char *net = json_object_object_get_ex(doc, "net", &old) ?
	                  json_object_get_string(old) : NULL;
	return net && !strncmp(net, "tap:", 4)
		   ? err_set(e, EBUSY, "a clone cannot use the network %s too", net)
		   : ports_put(doc, w, e);
}

/* Make the guest of @w from the state in folder @from of @of, whose configuration is @doc. */
static int clone_make(struct instance **ret, const struct instance *of, const char *from,
		      struct json_object *doc, const struct wish *w, struct lodge_err *e)
{
	struct life_record rec;
	struct instance *n = NULL;
	instance_record(of, &rec);
	rec.state = LIFE_SUSPENDED;
	rec.exit_code = 0;
	rec.why[0] = 0;
	rec.oom_killed = false;
	rec.created_ns = rec.started_ns = rec.ended_ns = host_realtime_ns();
	int r = instance_new(&n, w->name, e);
	if (r == 0)
		r = specs_share(of, n, doc, "disks", e);
	if (r == 0)
		r = specs_share(of, n, doc, "disk_files", e);
	if (r == 0)
		r = files_share(of, n, doc, e);
	if (r == 0)
		r = disks_branch(n, doc, e);
	if (r == 0)
		r = identity_change(doc, level_named(rec.level), w, of->name, e);
	if (r == 0)
		r = life_suspended_from(n, of, from, doc, e);
	if (r == 0)
		r = instance_publish(n, doc, &rec, e);
	if (r < 0) {
		instance_free(n);
		return r;
	}
	close(take_fd(&n->lock));
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "clone_of", json_object_new_string(of->name));
	json_object_put(life_event(w->name, "cloned", o));
	*ret = n;
	return 0;
}

/* Of a suspended guest: it will go on in new overlays itself: nobody writes the old ones. */
static int suspended_part(struct lodge_guest *g, struct json_object **ret, struct lodge_err *e)
{
	struct life_config *lc = NULL;
	struct json_object *own = NULL;
	int r = instance_config(g->inst, &lc, e);
	if (r < 0)
		return r;
	if (json_object_deep_copy(lc->doc, ret, NULL) < 0 ||
	    json_object_deep_copy(lc->doc, &own, NULL) < 0)
		r = err_set(e, ENOMEM, "out of memory");
	if (r == 0) {
		life_disk_files_note(own, own);
		life_disk_files_note(*ret, *ret);
		r = disks_branch(g->inst, own, e);
	}
	if (r == 0)
		r = life_suspended_from(g->inst, g->inst, "suspended", own, e);
	life_config_free(lc);
	json_object_put(own);
	return r;
}

static int clone_of_suspended(struct instance **ret, struct lodge_guest *g, const struct wish *w,
			      struct lodge_err *e)
{
	struct json_object *doc = NULL;
	int r = guest_lock(g, e);
	if (r < 0)
		return r;
	r = suspended_part(g, &doc, e);
	if (r == 0)
		r = clone_make(ret, g->inst, "suspended", doc, w, e);
	json_object_put(doc);
	close(take_fd(&g->inst->lock));
	return r;
}

static int clone_of_snapshot(struct instance **ret, struct lodge_guest *g, const struct wish *w,
			     const char *snapshot, struct lodge_err *e)
{
	struct json_object *doc = NULL;
	char from[LIFE_NAME_MAX + 16];
	int r = shot_config(g->inst, snapshot, &doc, e);
	if (r < 0)
		return r;
	life_disk_files_note(doc, doc);
	snprintf(from, sizeof from, "snapshots/%s", snapshot);
	r = clone_make(ret, g->inst, from, doc, w, e);
	json_object_put(doc);
	return r;
}

/* A snapshot for this purpose only. */
static int clone_of_running(struct instance **ret, struct lodge_guest *g, const struct wish *w,
			    struct lodge_err *e)
{
	char snapshot[64], made[64];
	uint32_t n;
	struct lodge_err why;
	host_random(&n, sizeof n);
	snprintf(snapshot, sizeof snapshot, "clone-%08x", n);
	int r = lodge_snapshot(g, snapshot, made, e);
	if (r < 0)
		return r;
	r = clone_of_snapshot(ret, g, w, snapshot, e);
	int gone = lodge_snapshot_remove(g, snapshot, &why);
	return r == 0 && gone < 0 ? err_set(e, why.code, "%s", why.msg) : r;
}

int lodge_clone(struct lodge_guest **ret, struct lodge_guest *g, const char *name,
		const char *snapshot, const char *const *publish, size_t npublish,
		struct lodge_err *e)
{
	int own = guest_own(g, "clone", e);
	if (own < 0)
		return own;
	const struct wish w = {name, publish, npublish};
	struct instance *n = NULL;
	const char *state = lodge_state(g);
	int r;
	if (snapshot)
		r = clone_of_snapshot(&n, g, &w, snapshot, e);
	else if (!strcmp(state, "suspended"))
		r = clone_of_suspended(&n, g, &w, e);
	else if (!strcmp(state, "running") || !strcmp(state, "paused"))
		r = clone_of_running(&n, g, &w, e);
	else
		r = err_set(e, EINVAL, "%s is %s: there is nothing that could go on", g->inst->name,
			    state);
	if (r == 0)
		r = guest_new(ret, n, e);
	if (r == 0 && (r = lodge_start(*ret, e)) < 0)
		lodge_close(*ret);
	return r;
}
