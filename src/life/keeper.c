/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper: one process that owns one guest, from before it starts until it is gone.
 *
 *   created --start--> running <--pause/resume--> paused        (suspend: as ended, but the state
 *      |                  | ended, kill, stop, timeout         is written before)
 *      v leash let go     v
 *     exit          finish: console drained, level destroyed, state.json written,
 *                   clients answered, exit */
#include "life/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>

enum { STOP_PATIENCE_MS = 10000, LINGER_MS = 2000 };

static void keeper_finish(void *arg);

void keeper_record(struct keeper *k)
{
	struct lodge_err e;
	if (instance_record_set(k->inst, &k->record, &e) < 0)
		log_at(&k->log, LOG_ERROR, "%s", e.msg);
}

/* Any thread; the first call counts. */
void keeper_ended(void *user, int exit_code, const char *why)
{
	struct keeper *k = user;
	pthread_mutex_lock(&k->end_lock);
	bool first = !k->end_posted;
	k->end_posted = true;
	if (first) {
		k->end_code = exit_code & 255;
		snprintf(k->end_why, sizeof k->end_why, "%s", why ? why : "");
	}
	pthread_mutex_unlock(&k->end_lock);
	/* Without memory to say so, leave the loop: keeper_main finishes then as well. */
	if (first && loop_post(k->loop, NULL, keeper_finish, k) < 0)
		loop_stop(k->loop);
}

static void keeper_end_now(struct keeper *k, const char *why)
{
	if (k->level->kill && k->record.state != LIFE_CREATED) {
		struct lodge_err e;
		if (k->level->kill(k->self, &e) == 0)
			return;
		log_at(&k->log, LOG_ERROR, "kill: %s", e.msg);
	}
	keeper_ended(k, LODGE_EXIT_SIGNAL + 9, why);
}

/* ---- verbs ---- */

static int keeper_start(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	struct life_record before = k->record;
	(void)args;
	k->record.state = LIFE_RUNNING;
	if (!k->restoring) {
		k->record.started_ns = host_realtime_ns();
		k->record.oom_killed = false;
		k->record.health[0] = 0;
	}
	k->record.ended_ns = 0;
	k->record.exit_code = 0;
	k->record.pid = (int)getpid();
	k->record.why[0] = 0;
	k->record.idle = false;
	/* Written first: a guest that runs is never taken for one that does not. One that is on its
	 * way stands still now: keeper_take_over writes it a moment later. */
	int r = k->from.on ? 0 : instance_record_set(k->inst, &k->record, e);
	if (r == 0)
		r = suspended_config(k->inst, e);
	if (r == 0)
		r = life_suspended_drop(k->inst, e);
	struct life_warnings w = {0};
	if (r == 0) {
		keeper_limit(k, &w);
		r = k->level->start(k->self, e);
	}
	if (r < 0) {
		k->record = k->earlier;
		keeper_record(k);
		k->record = before;
		return r;
	}
	if (k->config->c.timeout_ns)
		loop_timer_set(k->timer, host_monotonic_ns() + k->config->c.timeout_ns);
	if (k->restoring)
		keeper_inform(k);
	keeper_settle(k);
	keeper_oom(k);
	keeper_idle(k);
	return 0;
}

static int keeper_pause(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	(void)args;
	if (!k->level->pause || !k->level->resume)
		return err_set(e, EOPNOTSUPP, "the level %s cannot pause", k->level->name);
	return k->level->pause(k->self, e);
}

static int keeper_resume(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	(void)args;
	/* Whoever says so knows that it does not run elsewhere. */
	int r = life_moved_forget(k->inst, e);
	if (r == 0)
		r = k->level->resume(k->self, e);
	if (r == 0) {
		keeper_inform(k);
		keeper_oom(k);
		keeper_idle(k);
	}
	return r;
}

/* What others reach it by outlives the level's guest. */
static void sockets_hold(struct keeper *k)
{
	struct life_socket all[LIFE_SOCKETS_MAX];
	size_t n = k->level->sockets ? k->level->sockets(k->self, all) : 0;
	for (size_t i = 0; i < n; i++) {
		struct life_socket *s = &k->held.s[k->held.n];
		*s = all[i];
		s->fd = fcntl(all[i].fd, F_DUPFD_CLOEXEC, 3);
		if (s->fd < 0)
			log_at(&k->log, LOG_WARN, "%s is not held", s->name);
		else
			k->held.n++;
	}
}

int life_unsaved(const struct level *l, const char *name, const char *what, struct lodge_err *e)
{
	if (l->unsaved)
		return err_set(e, EOPNOTSUPP, "cannot %s %s: %s", what, name, l->unsaved);
	return err_set(e, EOPNOTSUPP, "the level %s cannot %s", l->name, what);
}

int keeper_unsaved(const struct keeper *k, const char *what, struct lodge_err *e)
{
	return life_unsaved(k->level, k->inst->name, what, e);
}

int keeper_rename(struct keeper *k, const char *name, struct lodge_err *e)
{
	if (k->gone)
		return err_set(e, EBUSY, "%s has just ended; ask again", k->inst->name);
	if (k->saver.pid)
		return err_set(e, EBUSY, "a snapshot of %s is being written", k->inst->name);
	if (k->migration.on)
		return err_set(e, EBUSY, "%s is being moved", k->inst->name);
	int r = instance_rename(k->inst, name, e);
	if (r == 0)
		json_put_text(k->config->doc, "name", k->inst->name);
	return r;
}

static int keeper_suspend(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	bool was_running = k->record.state == LIFE_RUNNING;
	(void)args;
	if (!k->level->save || !k->level->pause)
		return keeper_unsaved(k, "suspend", e);
	if (k->saver.pid)
		return err_set(e, EBUSY, "a snapshot of %s is being written", k->inst->name);
	if (k->migration.on)
		return err_set(e, EBUSY, "%s is being moved", k->inst->name);
	keeper_settle_stop(k);
	int r = was_running ? k->level->pause(k->self, e) : 0;
	if (r < 0)
		return r;
	r = keeper_save(k, e);
	if (r == 0) {
		char why[64] = "";
		k->suspended = true;
		k->record.pid = 0;
		k->record.ended_ns = host_realtime_ns();
		if (k->idler.suspends) {
			k->record.idle = true;
			sockets_hold(k);
			keeper_idle_why(k, why);
		}
		keeper_ended(k, 0, why);
		return 0;
	}
	struct lodge_err why;
	if (was_running && k->level->resume(k->self, &why) < 0)
		log_at(&k->log, LOG_ERROR, "after a suspend that failed: %s", why.msg);
	return r;
}

/* Ask, and set the clock for the end of patience. Whether the level could ask is in the record
 * of the reply ("asked"): else the caller may ask the agent in the guest. */
static int keeper_stop(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	int64_t ms = STOP_PATIENCE_MS;
	struct lodge_err why = {0};
	json_i64(args, "timeout_ms", &ms);
	if (ms < 0 || ms > INT32_MAX)
		return err_set(e, EINVAL, "timeout_ms must be from 0 to 2^31-1");
	if (k->record.state == LIFE_PAUSED && k->level->resume(k->self, &why) < 0)
		log_at(&k->log, LOG_WARN, "stop: %s", why.msg);
	loop_timer_set(k->stopping, host_monotonic_ns() + (uint64_t)ms * 1000000);
	k->restarter.stopped = true;
	if (k->record.state == LIFE_CREATED) { /* before it starts again */
		keeper_ended(k, 0, "");
		return 0;
	}
	k->asked = k->level->stop && k->level->stop(k->self, &why) == 0;
	if (!k->asked)
		log_at(&k->log, LOG_INFO, "stop: the level has no polite way");
	k->record.state = LIFE_RUNNING;
	return 0;
}

static int keeper_tell(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	int64_t sig = 0;
	if (!json_i64(args, "signal", &sig) || sig < 1 || sig > 64)
		return err_set(e, EINVAL, "signal must be from 1 to 64");
	if (!k->level->signal)
		return err_set(e, EOPNOTSUPP, "the level %s has no signals; stop and kill work",
			       k->level->name);
	return k->level->signal(k->self, (int)sig, e);
}

static int keeper_kill(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	(void)args;
	(void)e;
	k->killed = true;
	keeper_end_now(k, "killed");
	return 0;
}

void keeper_event(struct keeper *k, const char *event, struct json_object *more)
{
	struct json_object *o = life_event(k->inst->name, event, more);
	if (k->server)
		server_event(k->server, o);
	json_object_put(o);
}

/* @v has been done to a guest that was in the state @from. The end is keeper_finish's to tell, what
 * leaves the state alone the verb's own. */
static void verb_event(struct keeper *k, enum life from, enum life to)
{
	bool again = from != LIFE_CREATED || k->restoring;
	char idle[64] = "";
	struct json_object *why = NULL;
	if (to == LIFE_SUSPENDED && k->record.idle)
		keeper_idle_why(k, idle);
	if (idle[0] || (to == LIFE_RUNNING && k->woken[0])) {
		why = json_object_new_object();
		json_put_text(why, "why", idle[0] ? idle : k->woken);
	}
	if (to == LIFE_STOPPED && !k->killed)
		keeper_event(k, "stopping", NULL);
	else if (to == LIFE_RUNNING)
		keeper_event(k, again ? "resumed" : "started", why);
	else if (to != LIFE_COUNT && to != LIFE_STOPPED)
		keeper_event(k, life_name(to), why);
}

#define FROM(s) (1u << LIFE_##s)
static const struct verb {
	const char *name;
	unsigned from;
	enum life to;
	int (*fn)(struct keeper *, struct json_object *, struct lodge_err *);
} verbs[] = {
#define VERB(name_, from_, to_, fn_, summary_) {#name_, from_, to_, fn_},
#include "life/verbs.def"
};

int keeper_verb(struct keeper *k, const char *name, struct json_object *args, struct lodge_err *e)
{
	for (size_t i = 0; i < countof(verbs); i++) {
		const struct verb *v = &verbs[i];
		enum life from = k->record.state;
		if (strcmp(v->name, name))
			continue;
		if (k->gone || !(v->from & 1u << from))
			return err_set(e, EBUSY, "%s is %s: cannot %s it", k->inst->name,
				       life_name(from), name);
		int r = v->fn(k, args, e);
		bool stays = v->to == LIFE_COUNT || v->to == LIFE_STOPPED;
		if (r == 0 && !stays && k->record.state != v->to) {
			assert(life_may(from, v->to));
			k->record.state = v->to;
			keeper_record(k);
		}
		if (r == 0) {
			keeper_limit_run(k);
			verb_event(k, from, v->to);
		}
		return r;
	}
	return err_set(e, ENOENT, "no verb %s", name);
}

/* ---- what is seen from outside ---- */

void keeper_describe(struct keeper *k, struct json_object *out)
{
	const struct life_record *r = &k->record;
	json_put_text(out, "name", k->inst->name);
	json_put_text(out, "state", life_name(r->state));
	json_put_text(out, "level", k->level->name);
	json_put_i64(out, "pid", (int64_t)getpid());
	json_put_i64(out, "exit_code", r->exit_code);
	json_put_text(out, "why", r->why);
	json_object_object_add(out, "oom_killed", json_object_new_boolean(r->oom_killed));
	if (r->health[0])
		json_put_text(out, "health", r->health);
	json_put_i64(out, "created_ns", (int64_t)r->created_ns);
	json_put_i64(out, "started_ns", (int64_t)r->started_ns);
	json_put_i64(out, "ended_ns", (int64_t)r->ended_ns);
	json_put_text(out, "folder", k->inst->place);
	json_put_text(out, "runtime", k->inst->runtime);
	json_object_object_add(out, "asked", json_object_new_boolean(k->asked));
	json_object_object_add(out, "config", json_object_get(k->config->doc));
	keeper_snapshot_describe(k, out);
	keeper_settle_describe(k, out);
	keeper_migrate_describe(k, out);
	keeper_limit_describe(k, out);
	keeper_idle_describe(k, out);
	if (k->self && k->level->inspect) {
		struct json_object *o = json_object_new_object();
		k->level->inspect(k->self, o);
		json_object_object_add(out, k->level->name, o);
	}
}

void keeper_stats(struct keeper *k, struct json_object *out)
{
	json_put_text(out, "name", k->inst->name);
	json_put_text(out, "state", life_name(k->record.state));
	keeper_limit_stats(k, out);
	if (k->self && k->level->stats)
		k->level->stats(k->self, out);
}

void keeper_resize(struct keeper *k, unsigned rows, unsigned columns)
{
	if (k->self && k->level->resize)
		k->level->resize(k->self, rows, columns);
}

/* ---- the end ---- */

static void keeper_leave_when_idle(void *arg)
{
	struct keeper *k = arg;
	if (k->gone && ((console_idle(k->console) && server_idle(k->server)) ||
			host_monotonic_ns() >= k->linger_until_ns))
		loop_stop(k->loop);
}

/* May be called by the server in the middle of its work: look at it later. */
void keeper_client_gone(struct keeper *k)
{
	if (k->gone && loop_post(k->loop, NULL, keeper_leave_when_idle, k) < 0)
		loop_stop(k->loop);
}

void keeper_died(struct keeper *k, int exit_code, const char *why)
{
	struct json_object *o = json_object_new_object();
	json_put_i64(o, "exit_code", exit_code);
	json_put_text(o, "why", why);
	keeper_event(k, "died", o);
}

void keeper_level_end(struct keeper *k)
{
	keeper_migrate_abort(k);
	keeper_settle_stop(k);
	keeper_snapshot_abort(k);
	loop_timer_set(k->stopping, UINT64_MAX);
	console_connect(k->console, NULL);
	bridge_free(k->bridge);
	k->bridge = NULL;
	if (k->self)
		k->level->destroy(k->self);
	k->self = NULL;
}

static void keeper_finish(void *arg)
{
	struct keeper *k = arg;
	if (k->gone || keeper_restart(k))
		return;
	bool started = k->record.state != LIFE_CREATED;
	bool between = !started && k->restarter.count; /* it ended before: that is what counts */
	k->gone = true;
	keeper_level_end(k);
	k->record.state = k->suspended ? LIFE_SUSPENDED : LIFE_STOPPED;
	k->record.pid = 0;
	k->record.ended_ns = started ? host_realtime_ns() : 0;
	k->record.exit_code = k->timed_out ? LODGE_EXIT_TIMEOUT
			      : k->killed  ? LODGE_EXIT_SIGNAL + 9
					   : k->end_code;
	snprintf(k->record.why, sizeof k->record.why, "%s",
		 k->timed_out ? "timeout"
		 : k->killed  ? "killed"
			      : k->end_why);
	if (between)
		k->record = k->earlier;
	keeper_record(k);
	struct lodge_err e;
	if (started && !k->suspended) {
		keeper_died(k, k->record.exit_code, k->record.why);
	}
	if ((k->config->c.flags & LODGE_RM) && !k->suspended) {
		if (instance_remove(k->inst, &e) < 0)
			log_at(&k->log, LOG_ERROR, "%s", e.msg);
		else if (k->level->removed)
			k->level->removed(instance_key(k->inst));
	}
	k->linger_until_ns = host_monotonic_ns() + LINGER_MS * 1000000ull;
	loop_timer_set(k->timer, k->linger_until_ns);
	console_end(k->console);
	server_ended(k->server);
	keeper_leave_when_idle(k);
}

static void keeper_timer(void *arg)
{
	struct keeper *k = arg;
	if (k->gone) {
		keeper_leave_when_idle(k);
		return;
	}
	k->timed_out = true;
	keeper_end_now(k, "timeout");
}

static void keeper_impatient(void *arg)
{
	struct keeper *k = arg;
	k->killed = true;
	keeper_end_now(k, "killed: it did not stop in time");
}

/* The starter closed its end. It may have died before it started the guest. */
static void keeper_leash(void *arg, uint32_t events)
{
	struct keeper *k = arg;
	(void)events;
	loop_watch_free(k->leash_watch);
	k->leash_watch = NULL;
	if (k->gone || k->restarter.count || k->record.state == LIFE_RUNNING ||
	    k->record.state == LIFE_PAUSED)
		return;
	if (k->config->c.flags & LODGE_RM)
		keeper_ended(k, LODGE_EXIT_LODGE, "never started");
	else
		loop_stop(k->loop);
}

/* ---- building and taking down ---- */

static int keeper_loop(struct keeper *k, struct lodge_err *e)
{
	int r = loop_new(&k->loop, e);
	if (r == 0)
		r = loop_timer_new(&k->timer, k->loop, NULL, keeper_timer, k, e);
	if (r == 0)
		r = loop_timer_new(&k->limiter.timer, k->loop, NULL, keeper_limit_tick, k, e);
	if (r == 0)
		r = loop_timer_new(&k->restarter.timer, k->loop, NULL, keeper_restart_now, k, e);
	if (r == 0)
		r = loop_timer_new(&k->stopping, k->loop, NULL, keeper_impatient, k, e);
	if (r == 0 && k->leash >= 0)
		r = loop_watch_new(&k->leash_watch, k->loop, k->leash, EPOLLIN, NULL, keeper_leash,
				   k, e);
	return r;
}

static void keeper_health(void *user, const char *status)
{
	struct keeper *k = user;
	struct json_object *o = json_object_new_object();
	snprintf(k->record.health, sizeof k->record.health, "%s", status);
	keeper_record(k);
	json_put_text(o, "health", status);
	keeper_event(k, "health", o);
}

int keeper_level(struct keeper *k, struct lodge_err *e)
{
	k->env = (struct level_env){
	    .instance_dir = k->inst->dir,
	    .runtime_dir = k->inst->runtime,
	    .name = k->inst->name,
	    .loop = k->loop,
	    .log = &k->log,
	    .umask = k->umask,
	    .restoring = k->restoring,
	    .sockets = k->held.s,
	    .nsockets = k->held.n,
	    .waits = k->inst->waits,
	    .ended = keeper_ended,
	    .health = keeper_health,
	    .user = k,
	};
	k->inst->waits = false; /* nobody comes again */
	int r = k->level->create(&k->self, &k->env, &k->config->c, e);
	k->env.nsockets = 0;
	if (r == 0 && k->restoring)
		r = k->from.on ? keeper_receive(k, e) : keeper_load(k, e);
	if (r < 0)
		return r;
	if (k->level->console)
		console_connect(k->console, k->level->console(k->self));
	struct chr *agent = k->level->agent ? k->level->agent(k->self) : NULL;
	if (!agent)
		return 0;
	int fd = socket_listen(k->inst->runtime, "agent.sock", e);
	return fd < 0 ? fd : bridge_new(&k->bridge, k->loop, fd, agent, e);
}

int keeper_build(struct keeper *k, struct lodge_err *e)
{
	pthread_mutex_init(&k->end_lock, NULL);
	instance_record(k->inst, &k->record);
	/* Whatever is noted: a killed keeper, or a restore, may have left it at that. */
	char where[128];
	if (moved_to(k->inst, where))
		return err_set(e, EPERM, "%s was moved to %s. lodge rm deletes what is left of "
			       "it here; if it is not there, lodge migrate --undo %s",
			       k->inst->name, where, k->inst->name);
	if (receiving(k->inst) && !k->from.on)
		return err_set(e, EPERM, "%s was to come here and is not whole; lodge rm it",
			       k->inst->name);
	k->restoring = k->from.on || suspended_exists(k->inst);
	if (k->restoring)
		k->record.state = LIFE_SUSPENDED;
	if (k->record.state != LIFE_STOPPED && k->record.state != LIFE_FAILED && !k->restoring)
		k->record.state = LIFE_CREATED;
	k->earlier = k->record;
	k->record.state = LIFE_CREATED;
	snprintf(k->record.level, sizeof k->record.level, "%s", k->level->name);
	held_take(&k->held, k->inst);
	int r = instance_config(k->inst, &k->config, e);
	if (r == 0)
		r = keeper_loop(k, e);
	if (r == 0)
		r = console_new(&k->console, k->inst->dirfd, k->loop, &k->log, e);
	if (r == 0)
		r = runtime_make(k->inst, e);
	if (r == 0)
		r = keeper_level(k, e);
	if (r == 0) /* the level has its own descriptors of them */
		held_close(&k->held);
	int fd = r == 0 ? socket_listen(k->inst->runtime, "control.sock", e) : r;
	return fd < 0 ? fd : server_new(&k->server, k, fd, e);
}

void keeper_run(struct keeper *k)
{
	loop_run(k->loop);
	if (k->end_posted && !k->gone)
		keeper_finish(k);
}

void keeper_fini(struct keeper *k)
{
	k->gone = true;
	keeper_migrate_abort(k);
	keeper_settle_stop(k);
	if (k->settle.timer)
		loop_timer_free(k->settle.timer);
	keeper_snapshot_abort(k);
	if (k->console)
		console_connect(k->console, NULL);
	bridge_free(k->bridge);
	if (k->self)
		k->level->destroy(k->self);
	console_free(k->console);
	server_free(k->server);
	runtime_remove(k->inst);
	if (k->leash_watch)
		loop_watch_free(k->leash_watch);
	if (k->signal_watch)
		loop_watch_free(k->signal_watch);
	if (k->signal_fd >= 0)
		close(k->signal_fd);
	if (k->stopping)
		loop_timer_free(k->stopping);
	if (k->timer)
		loop_timer_free(k->timer);
	if (k->oom.timer)
		loop_timer_free(k->oom.timer);
	if (k->idler.timer)
		loop_timer_free(k->idler.timer);
	loop_timer_free(k->limiter.timer);
	loop_timer_free(k->restarter.timer);
	host_cgroup_free(k->limiter.group);
	loop_free(k->loop);
	life_config_free(k->config);
	pthread_mutex_destroy(&k->end_lock);
}
