/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that are containers of an engine (podman, containerd): no keeper has them, and their state
 * is the runtime's. What can be done to them is done as the runtime does it. */
#include "level/container/container.h"
#include "lib/lib.h"
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>

struct alien {
	char *root, *id; /* owned: the runtime's folder of states, and its name in there */
};

/* Roots of the user's own, by the setting "oci-roots". NULL: none. */
static const char *roots_more(char *buf, size_t cap)
{
	return lodge_setting("oci-roots", buf, cap, NULL) > 0 ? buf : NULL;
}

void alien_list(struct json_object *list)
{
	char buf[1024];
	container_engines_list(roots_more(buf, sizeof buf), list);
}

void alien_free(struct alien *f)
{
	if (!f)
		return;
	free(f->root);
	free(f->id);
	free(f);
}

/* So that nobody who asks for its folder, lock or keeper finds any. */
static struct instance *instance_none(const char *id)
{
	char buf[13];
	struct instance *i = calloc(1, sizeof *i);
	if (!i)
		return NULL;
	i->dirfd = i->lock = -1;
	i->dir = strdup("/nonexistent");
	i->place = strdup("/nonexistent");
	i->runtime = strdup("/nonexistent");
	snprintf(i->name, sizeof i->name, "%.63s", container_short_id(id, buf));
	if (i->dir && i->place && i->runtime)
		return i;
	instance_free(i);
	return NULL;
}

int alien_open(struct lodge_guest **ret, const char *word, struct lodge_err *e)
{
	char buf[1024];
	struct alien *f = calloc(1, sizeof *f);
	int r = f ? container_engines_find(roots_more(buf, sizeof buf), word, &f->root, &f->id, e)
		  : err_set(e, ENOMEM, "out of memory");
	struct instance *i = r == 0 ? instance_none(f->id) : NULL;
	if (r == 0)
		r = i ? guest_new(ret, i, e) : err_set(e, ENOMEM, "out of memory");
	if (r < 0)
		alien_free(f);
	else
		(*ret)->alien = f;
	return r;
}

static int open_it(const struct lodge_guest *g, bool lock, struct container *ret,
		   struct lodge_err *e)
{
	int r = container_open(ret, g->alien->root, g->alien->id, lock, e);
	return err_in(e, r, "%s", g->inst->name);
}

int guest_own(const struct lodge_guest *g, const char *verb, struct lodge_err *e)
{
	struct container c;
	const char *engine = "its engine";
	if (!g->alien)
		return 0;
	struct json_object *o = open_it(g, false, &c, NULL) == 0
				    ? container_describe(&c, g->alien->root) : NULL;
	struct json_object *v = NULL;
	if (json_object_object_get_ex(o, "engine", &v))
		engine = json_object_get_string(v);
	int r = err_set(e, EOPNOTSUPP, "%s is a container of %s (%s): '%s' is for %s to do",
			g->inst->name, engine, g->alien->root, verb, engine);
	json_object_put(o);
	if (v)
		container_fini(&c);
	return r;
}

int lodge_own(const struct lodge_guest *g) { return !g->alien; }

/* ---- looking ---- */

struct json_object *alien_describe(const struct lodge_guest *g, struct lodge_err *e)
{
	struct container c;
	if (open_it(g, false, &c, e) < 0)
		return NULL;
	struct json_object *o = container_describe(&c, g->alien->root);
	container_fini(&c);
	return o;
}

const char *alien_state(const struct lodge_guest *g)
{
	struct container c;
	enum life s = LIFE_STOPPED;
	if (open_it(g, false, &c, NULL) < 0)
		return life_name(s);
	switch (container_status(&c)) {
	case CONTAINER_CREATING:
	case CONTAINER_CREATED: s = LIFE_CREATED; break;
	case CONTAINER_RUNNING: s = LIFE_RUNNING; break;
	case CONTAINER_PAUSED: s = LIFE_PAUSED; break;
	case CONTAINER_STOPPED: break;
	}
	container_fini(&c);
	return life_name(s);
}

int alien_stats(const struct lodge_guest *g, struct json_object **ret, struct lodge_err *e)
{
	struct container c;
	uint64_t ns = 0;
	int r = open_it(g, false, &c, e);
	if (r < 0)
		return r;
	if (container_status(&c) == CONTAINER_STOPPED) {
		container_fini(&c);
		return err_set(e, ENOTCONN, "%s is stopped", g->inst->name);
	}
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "name", json_object_new_string(g->inst->name));
	json_object_object_add(o, "state", json_object_new_string(alien_state(g)));
	if (!container_cpu_ns(&c, &ns))
		ns = host_tree_cpu_ns(c.pid);
	json_object_object_add(o, "cpu_ns", json_object_new_int64((int64_t)ns));
	container_uses(&c, o);
	container_fini(&c);
	*ret = o;
	return 0;
}

/* ---- doing ---- */

int alien_freeze(const struct lodge_guest *g, bool on, struct lodge_err *e)
{
	struct container c;
	int r = open_it(g, true, &c, e);
	if (r < 0)
		return r;
	r = err_in(e, container_pause(&c, on, e), "%s", g->inst->name);
	container_fini(&c);
	return r;
}

int alien_signal(const struct lodge_guest *g, int number, struct lodge_err *e)
{
	struct container c;
	int r = open_it(g, true, &c, e);
	if (r < 0)
		return r;
	r = err_in(e, container_kill(&c, number, false, e), "%s", g->inst->name);
	container_fini(&c);
	return r;
}

static int ms_of(uint64_t ns) { return (int)min_u64(ns / 1000000, INT32_MAX); }

static int end_by(struct container *c, uint64_t timeout_ns, struct lodge_err *e)
{
	enum { DEAD_MS = 10000 };
	int r = 0;
	if (timeout_ns) {
		if (container_status(c) == CONTAINER_PAUSED) /* it could not hear */
			r = container_pause(c, false, e);
		if (r == 0)
			r = container_kill(c, container_stop_signal(c), false, e);
		if (r < 0 || container_await(c, ms_of(timeout_ns)))
			return r;
	}
	r = container_kill(c, SIGKILL, false, e);
	if (r == -ESRCH)
		return 0;
	if (r == 0 && !container_await(c, DEAD_MS))
		r = err_set(e, ETIMEDOUT, "it does not end");
	return r;
}

int alien_stop(const struct lodge_guest *g, uint64_t timeout_ns, struct lodge_err *e)
{
	struct container c;
	/* unlocked, as waiting may take long: the engine's own verbs go on */
	int r = open_it(g, false, &c, e);
	if (r < 0)
		return r;
	r = container_status(&c) == CONTAINER_STOPPED
		? err_set(e, ESRCH, "it does not run")
		: end_by(&c, timeout_ns, e);
	container_fini(&c);
	return err_in(e, r, "%s", g->inst->name);
}

int alien_update(const struct lodge_guest *g, struct json_object *changes, struct lodge_err *e)
{
	static const char *const engines[] = {"restart", "idle_timeout_ns", "log_max",
					      "disk_iops", "disk_bps", "net_bps"};
	struct lodge_config c = {.size = sizeof c};
	struct container one;
	for (size_t i = 0; i < countof(engines); i++)
		if (json_object_object_get_ex(changes, engines[i], NULL))
			return guest_own(g, engines[i], e);
	int r = life_limits_change(&c, changes, 0, LIFE_CHANGES_FREE, e);
	if (r == 0)
		r = open_it(g, true, &one, e);
	if (r < 0)
		return r;
	r = container_limit(&one, &c, changes, e);
	container_fini(&one);
	return r;
}

/* ---- for a program, or a copy of files, in one that runs ---- */

int alien_inspected(const struct lodge_guest *g, const struct level **ret_level,
		      struct json_object **ret, struct lodge_err *e)
{
	*ret_level = level_named("container");
	const char *state = alien_state(g);
	if (strcmp(state, "running") != 0 && strcmp(state, "paused") != 0)
		return err_set(e, ENOTCONN, "%s is %s", g->inst->name, state);
	struct json_object *o = alien_describe(g, e);
	if (!o)
		return -ENOENT;
	*ret = o;
	return 0;
}
