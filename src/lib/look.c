/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at guests: list, inspect, stats, logs. */
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

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
	put(o, "level", r.level[0] ? r.level : lc && lc->c.level ? lc->c.level : "");
	put(o, "guest", lc ? lc->c.guest ? lc->c.guest : lc->c.kernel ? lc->c.kernel : "" : "?");
	put_n(o, "pid", r.pid);
	put_n(o, "exit_code", r.exit_code);
	put(o, "why", r.why);
	json_object_object_add(o, "oom_killed", json_object_new_boolean(r.oom_killed));
	put_n(o, "created_ns", (int64_t)r.created_ns);
	put_n(o, "started_ns", (int64_t)r.started_ns);
	put_n(o, "ended_ns", (int64_t)r.ended_ns);
	if (whole) {
		put(o, "folder", i->dir);
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
	return to_text(a, ret_json, e);
}

int lodge_inspect(struct lodge_guest *g, char **ret_json, struct lodge_err *e)
{
	struct json_object *o = NULL;
	int r = control_call(g->inst, "GET", "/v1/guest", NULL, &o, e);
	if (r == 0 && o)
		return to_text(o, ret_json, e);
	return to_text(folder_json(g->inst, true), ret_json, e);
}

int lodge_stats(struct lodge_guest *g, char **ret_json, struct lodge_err *e)
{
	struct json_object *o = NULL;
	int r = control_call(g->inst, "GET", "/v1/stats", NULL, &o, e);
	return r < 0 ? r : to_text(o, ret_json, e);
}

/* What the folder tells, and the keeper where there is one. */
static struct json_object *stats_json(const struct instance *i)
{
	struct json_object *o = folder_json(i, false), *stats = NULL;
	if (control_call(i, "GET", "/v1/stats", NULL, &stats, NULL) < 0 || !stats)
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
		struct instance *i = NULL;
		const char *name =
		    all ? json_object_get_string(json_object_array_get_idx(all, k)) : names[k];
		r = instance_open(&i, name, e);
		if (r == 0)
			json_object_array_add(a, stats_json(i));
		else if (all)
			r = 0; /* removed since */
		instance_free(i);
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

/* ---- logs: console.log.1, then console.log, which grows and may become console.log.1 ---- */

struct logs {
	int fd;
	off_t at;
	int (*fn)(void *user, const void *data, size_t len);
	void *user;
};

static int logs_copy(struct logs *l, struct lodge_err *e)
{
	char buf[8192];
	for (;;) {
		ssize_t n = pread(l->fd, buf, sizeof buf, l->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "console.log");
		if (n == 0)
			return 0;
		l->at += n;
		int r = l->fn(l->user, buf, (size_t)n);
		if (r)
			return r;
	}
}

/* Where the last @tail lines of @fd begin; *ret_missing: lines that an earlier file has to give. */
static off_t tail_find(int fd, long tail, long *ret_missing)
{
	char buf[4096];
	struct stat st;
	off_t end = fstat(fd, &st) == 0 ? st.st_size : 0;
	*ret_missing = 0;
	for (off_t at = end; at > 0;) {
		off_t from = at > (off_t)sizeof buf ? at - (off_t)sizeof buf : 0;
		ssize_t n = pread(fd, buf, (size_t)(at - from), from);
		for (ssize_t i = n; i-- > 0;)
			if (buf[i] == '\n' && from + i + 1 < end && tail-- == 1)
				return from + i + 1;
		at = from;
	}
	*ret_missing = tail;
	return 0;
}

/* Wait until the log may have grown. False: the guest has ended, and all was read. */
static bool logs_wait(const struct lodge_guest *g, int watch, struct logs *l)
{
	char events[512];
	struct stat st, now;
	struct pollfd p = {.fd = watch, .events = POLLIN};
	bool alive = instance_locked(g->inst);
	if (fstat(l->fd, &st) == 0 && st.st_size > l->at)
		return true;
	if (fstatat(g->inst->dirfd, "console.log", &now, 0) == 0 && now.st_ino != st.st_ino) {
		int fd = openat(g->inst->dirfd, "console.log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0) {
			close(l->fd);
			l->fd = fd;
			l->at = 0;
			return true;
		}
	}
	if (!alive)
		return false;
	/* A second is for the guest that ends without a word. */
	if (poll(&p, 1, 1000) > 0 && read(watch, events, sizeof events) < 0)
		return true;
	return true;
}

int lodge_logs(struct lodge_guest *g, long tail, int follow,
	       int (*fn)(void *user, const void *data, size_t len), void *user, struct lodge_err *e)
{
	struct logs l = {.fn = fn, .user = user};
	long missing = tail;
	int r = 0;
	autoclose int old =
	    openat(g->inst->dirfd, "console.log.1", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	autoclose int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	l.fd = openat(g->inst->dirfd, "console.log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (l.fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s: console.log", g->inst->name);
	off_t at = 0;
	struct stat st;
	if (tail == 0)
		at = fstat(l.fd, &st) == 0 ? st.st_size : 0;
	else if (tail > 0)
		at = tail_find(l.fd, tail, &missing);
	if (old >= 0 && missing) {
		struct logs o = {.fd = old, .fn = fn, .user = user};
		o.at = missing > 0 ? tail_find(old, missing, &missing) : 0;
		r = logs_copy(&o, e);
	}
	l.at = at;
	if (r == 0)
		r = logs_copy(&l, e);
	if (follow && r == 0) {
		inotify_add_watch(watch, g->inst->dir, IN_MODIFY | IN_MOVED_FROM | IN_CREATE);
		while (r == 0 && logs_wait(g, watch, &l))
			r = logs_copy(&l, e);
	}
	close(l.fd);
	return r;
}
