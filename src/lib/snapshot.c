/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots from outside the keeper: asked for, listed, removed, and what a guest goes on from.
 * Restoring copies nothing: the state's files are linked into the folder "suspended", with a
 * configuration whose disks are new overlays over those of the snapshot. */
#include "lib/lib.h"
#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { POLL_MS = 3, STALE_MS = 600000 };

/* ---- the folder ---- */

static int shots_open(const struct instance *i)
{
	return openat(i->dirfd, "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* The configuration that @name was made with. */
int shot_config(const struct instance *i, const char *name, struct json_object **ret,
		       struct lodge_err *e)
{
	autoclose int all = shots_open(i);
	char path[LIFE_NAME_MAX + 16];
	if (!life_name_good(name))
		return err_set(e, ENOENT, "%s has no snapshot '%s'", i->name, name);
	snprintf(path, sizeof path, "%s/config.json", name);
	autoclose int fd = all < 0 ? -1 : openat(all, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set(e, ENOENT, "%s has no snapshot %s; lodge snapshot ls %s shows all",
			       i->name, name, i->name);
	*ret = json_object_from_fd(fd);
	if (!json_object_is_type(*ret, json_type_object)) {
		json_object_put(*ret);
		return err_set(e, EINVAL, "the snapshot %s is damaged: its config.json", name);
	}
	return 0;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

static int name_order(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	struct json_object *t = NULL, *u = NULL;
	json_object_object_get_ex(*x, "created_ns", &t);
	json_object_object_get_ex(*y, "created_ns", &u);
	int64_t p = json_object_get_int64(t), q = json_object_get_int64(u);
	return (p > q) - (p < q);
}

static struct json_object *shot_describe(const struct instance *i, const char *name)
{
	struct json_object *doc = NULL, *ns = NULL, *o;
	struct stat st = { 0 };
	char path[LIFE_NAME_MAX + 32];
	if (shot_config(i, name, &doc, NULL) < 0)
		return NULL;
	o = json_object_new_object();
	json_object_object_add(o, "name", json_object_new_string(name));
	const char *parent = text_of(doc, "snapshot");
	if (parent)
		json_object_object_add(o, "parent", json_object_new_string(parent));
	if (json_object_object_get_ex(doc, "snapshot_ns", &ns))
		json_object_object_add(o, "created_ns", json_object_get(ns));
	snprintf(path, sizeof path, "snapshots/%s/ram", name);
	if (fstatat(i->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		json_object_object_add(o, "memory_bytes",
				       json_object_new_int64((int64_t)st.st_blocks * 512));
	json_object_put(doc);
	return o;
}

static struct json_object *shots_list(const struct instance *i)
{
	struct json_object *list = json_object_new_array();
	int fd = shots_open(i);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return list;
	}
	for (struct dirent *de; (de = readdir(d));) {
		struct json_object *o =
		    life_name_good(de->d_name) ? shot_describe(i, de->d_name) : NULL;
		if (o)
			json_object_array_add(list, o);
	}
	closedir(d);
	json_object_array_sort(list, name_order);
	return list;
}

int lodge_snapshot_list(struct lodge_guest *g, char **ret_json, struct lodge_err *e)
{
	int own = guest_own(g, "snapshot", e);
	if (own < 0)
		return own;
	struct json_object *list = shots_list(g->inst);
	*ret_json = strdup(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY));
	json_object_put(list);
	return *ret_json ? 0 : err_set(e, ENOMEM, "out of memory");
}

/* ---- create ---- */

static void name_next(const struct instance *i, char name[LIFE_NAME_MAX + 1])
{
	struct json_object *doc = NULL;
	for (unsigned n = 1; n; n++) {
		snprintf(name, LIFE_NAME_MAX + 1, "s%u", n);
		if (shot_config(i, name, &doc, NULL) == -ENOENT)
			return;
		json_object_put(take(doc));
	}
}

/* 1: it is still being written. */
static int snapshot_look(struct lodge_guest *g, const char *name, struct lodge_err *e)
{
	struct json_object *o = NULL, *s = NULL, *code = NULL;
	int r = control_call(g->inst, "GET", "/v1/guest", NULL, &o, e);
	if (r < 0)
		return err_in(e, r, "the snapshot %s is not written", name);
	if (!json_object_object_get_ex(o, "snapshot", &s) || !text_of(s, "name") ||
	    strcmp(text_of(s, "name"), name)) {
		json_object_put(o);
		return 0; /* another one since: its folder tells */
	}
	const char *state = text_of(s, "state"), *why = text_of(s, "why");
	json_object_object_get_ex(s, "code", &code);
	r = state && !strcmp(state, "writing") ? 1 : 0;
	if (state && !strcmp(state, "failed"))
		r = err_set(e, json_object_get_int(code), "the snapshot %s failed: %s", name,
			    why ? why : "");
	json_object_put(o);
	return r;
}

int lodge_snapshot(struct lodge_guest *g, const char *name, char ret_name[64], struct lodge_err *e)
{
	int own = guest_own(g, "snapshot", e);
	if (own < 0)
		return own;
	char made[LIFE_NAME_MAX + 1];
	struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	if (!name)
		name_next(g->inst, made);
	name = name ? name : made;
	struct json_object *args = json_object_new_object(), *doc = NULL;
	json_object_object_add(args, "name", json_object_new_string(name));
	int r = control_call(g->inst, "POST", "/v1/snapshot", args, NULL, e);
	json_object_put(args);
	for (unsigned i = 0; r == 0 && i < STALE_MS / POLL_MS; i++) {
		r = snapshot_look(g, name, e);
		if (r <= 0)
			break;
		nanosleep(&pause, NULL);
		r = 0;
	}
	if (r == 0)
		r = shot_config(g->inst, name, &doc, e);
	json_object_put(doc);
	if (r == 0)
		snprintf(ret_name, 64, "%s", name);
	return r;
}

/* ---- files that nobody needs any more ---- */

/* Does the configuration, as text, name the file? What cannot be read may. */
static bool config_may_name(int dirfd, const char *path, const char *file)
{
	autofree char *text = NULL;
	size_t len;
	int r = life_file_read(dirfd, path, &text, &len, NULL);
	return r < 0 ? r != -ENOENT : strstr(text, file) != NULL;
}

/* Every configuration lists the files that its disks are made of ("disk_files"). Damaged snapshots
 * count, too: their disks may be what is left of them. */
static bool overlay_may_be_used(const struct instance *i, const char *file)
{
	char path[LIFE_NAME_MAX + 32];
	if (config_may_name(i->dirfd, "config.json", file) ||
	    config_may_name(i->dirfd, "suspended/config.json", file))
		return true;
	int fd = shots_open(i);
	if (fd < 0)
		return errno != ENOENT;
	DIR *d = fdopendir(fd);
	bool used = !d;
	if (!d)
		close(fd);
	for (struct dirent *de; !used && (de = readdir(d));) {
		if (!life_name_good(de->d_name))
			continue;
		snprintf(path, sizeof path, "snapshots/%.63s/config.json", de->d_name);
		used = config_may_name(i->dirfd, path, file);
	}
	if (d)
		closedir(d);
	return used;
}

/* Overlays of snapshots and branches that are gone. The lock is held. */
static void overlays_collect(const struct instance *i)
{
	int fd = openat(i->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *de; d && (de = readdir(d));) {
		unsigned n, id;
		int end = 0;
		if (sscanf(de->d_name, "disk%u.%8x.overlay%n", &n, &id, &end) != 2 || !end ||
		    de->d_name[end] || overlay_may_be_used(i, de->d_name))
			continue;
		if (unlinkat(i->dirfd, de->d_name, 0) < 0)
			errno = 0; /* the next time */
	}
	if (d)
		closedir(d);
}

int lodge_snapshot_remove(struct lodge_guest *g, const char *name, struct lodge_err *e)
{
	int own = guest_own(g, "snapshot", e);
	if (own < 0)
		return own;
	struct json_object *doc = NULL;
	autofree char *path = NULL;
	char gone[LIFE_NAME_MAX + 32], from[LIFE_NAME_MAX + 32];
	int r = shot_config(g->inst, name, &doc, e);
	if (r < 0 && r != -EINVAL)
		return r;
	json_object_put(doc);
	snprintf(from, sizeof from, "snapshots/%s", name);
	snprintf(gone, sizeof gone, "snapshots/.del-%s", name);
	/* Under another name first: a kill leaves no half snapshot. */
	if (renameat(g->inst->dirfd, from, g->inst->dirfd, gone) < 0)
		return err_sys(e, "removing the snapshot %s", name);
	if (asprintf(&path, "%s/%s", g->inst->dir, gone) < 0)
		return err_set(e, ENOMEM, "out of memory");
	r = life_remove_tree(path, e);
	/* While it runs its own disks may be among them. */
	if (r == 0 && instance_lock(g->inst, NULL) == 0) {
		overlays_collect(g->inst);
		close(take_fd(&g->inst->lock));
	}
	return r;
}

/* ---- restore ---- */

/* The disks of @doc, each with a new overlay over what the snapshot has. */
int disks_branch(const struct instance *i, struct json_object *doc, struct lodge_err *e)
{
	struct json_object *old = NULL, *list = json_object_new_array();
	int r = 0;
	json_object_object_get_ex(doc, "disks", &old);
	for (size_t n = 0; r == 0 && old && n < json_object_array_length(old); n++) {
		const char *spec = json_object_get_string(json_object_array_get_idx(old, n));
		autofree char *fresh = NULL;
		struct life_disk d;
		r = life_disk_parse(&d, spec, e);
		if (r == 0 && !d.readonly)
			r = life_disk_branch(&d, n, i->dir, &fresh, NULL, e);
		if (r == 0)
			json_object_array_add(list, json_object_new_string(fresh ? fresh : spec));
		life_disk_fini(&d);
	}
	json_object_object_add(doc, "disks", list);
	return r;
}

int lodge_restore(struct lodge_guest *g, const char *name, struct lodge_err *e)
{
	int own = guest_own(g, "restore", e);
	if (own < 0)
		return own;
	struct json_object *doc = NULL;
	char from[LIFE_NAME_MAX + 32];
	int r = shot_config(g->inst, name, &doc, e);
	if (r < 0)
		return r;
	r = guest_lock(g, e);
	if (r == -EBUSY)
		r = err_set(e, EBUSY, "%s is %s; stop or kill it first, or use -f", g->inst->name,
			    lodge_state(g));
	if (r == 0)
		r = disks_branch(g->inst, doc, e);
	if (r == 0) {
		json_object_object_add(doc, "snapshot", json_object_new_string(name));
		json_object_object_del(doc, "snapshot_ns");
		snprintf(from, sizeof from, "snapshots/%s", name);
		r = life_suspended_from(g->inst, g->inst, from, doc, e);
	}
	if (r == 0) {
		overlays_collect(g->inst);
		struct json_object *o = json_object_new_object();
		json_object_object_add(o, "snapshot", json_object_new_string(name));
		json_object_put(life_event(g->inst->name, "restored", o));
	}
	json_object_put(doc);
	if (g->inst->lock >= 0)
		close(take_fd(&g->inst->lock));
	return r < 0 ? r : lodge_start(g, e);
}
