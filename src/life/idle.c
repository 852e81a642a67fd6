/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that nobody uses and that does next to nothing is suspended, when its configuration says
 * so. In use: somebody is connected to a published port, by vsock or to its agent; its console says
 * or hears something; it uses CPU time. What happens then: wait.c. */
#include "life/internal.h"
#include <stdio.h>

enum {
	LOOKS = 4,          /* in the time that it may be idle */
	LOOK_MAX_MS = 10000,
	CPU_PERCENT = 5,    /* of one CPU: less is next to nothing */
};

static uint64_t idle_ns(const struct keeper *k) { return k->config->c.idle_timeout_ns; }

void keeper_idle_why(const struct keeper *k, char ret[64])
{
	uint64_t ms = idle_ns(k) / 1000000;
	if (ms % 1000)
		snprintf(ret, 64, "idle for %llu ms", (unsigned long long)ms);
	else
		snprintf(ret, 64, "idle for %llu s", (unsigned long long)ms / 1000);
}

/* Since the last look. */
static bool idle_not(struct keeper *k, uint64_t now)
{
	struct idler *i = &k->idler;
	uint64_t cpu = keeper_used_ns(k), console = console_traffic(k->console);
	bool works = (cpu - min_u64(cpu, i->cpu_ns)) * 100 > (now - i->looked_ns) * CPU_PERCENT;
	bool talks = console != i->console || bridge_used(k->bridge);
	i->cpu_ns = cpu;
	i->console = console;
	i->looked_ns = now;
	return works || talks || k->saver.pid || k->migration.on || k->limiter.held;
}

static void idle_suspend(struct keeper *k)
{
	struct idler *i = &k->idler;
	struct lodge_err e;
	struct json_object *none = json_object_new_object();
	i->suspends = true;
	if (keeper_verb(k, "suspend", none, &e) < 0) {
		i->suspends = false;
		i->active_ns = host_monotonic_ns();
		snprintf(i->refused, sizeof i->refused, "%.159s", e.msg);
		log_at(&k->log, LOG_INFO, "idle, but: %s", e.msg);
	}
	json_object_put(none);
}

static void idle_look(void *arg)
{
	struct keeper *k = arg;
	struct idler *i = &k->idler;
	uint64_t now = host_monotonic_ns(), most = idle_ns(k);
	if (!most || k->gone || !k->self || k->record.state != LIFE_RUNNING)
		return; /* whoever lets it run looks again */
	uint64_t visited = k->level->visited_ns ? k->level->visited_ns(k->self) : 0;
	if (visited > i->active_ns)
		i->active_ns = visited;
	if (idle_not(k, now))
		i->active_ns = now;
	if (now - min_u64(now, i->active_ns) >= most)
		idle_suspend(k);
	if (k->suspended)
		return;
	uint64_t look = min_u64(most / LOOKS, LOOK_MAX_MS * UINT64_C(1000000));
	loop_timer_set(i->timer, min_u64(now + look, i->active_ns + most));
}

void keeper_idle(struct keeper *k)
{
	struct idler *i = &k->idler;
	struct lodge_err e;
	if (!i->timer && !idle_ns(k))
		return;
	if (!i->timer && loop_timer_new(&i->timer, k->loop, NULL, idle_look, k, &e) < 0) {
		log_at(&k->log, LOG_WARN, "it will not be suspended when it is idle: %s", e.msg);
		return;
	}
	uint64_t now = host_monotonic_ns();
	i->active_ns = i->looked_ns = now;
	i->cpu_ns = keeper_used_ns(k);
	i->console = console_traffic(k->console);
	i->refused[0] = 0;
	loop_timer_set(i->timer, idle_ns(k) ? now + idle_ns(k) / LOOKS : UINT64_MAX);
}

void keeper_idle_describe(const struct keeper *k, struct json_object *out)
{
	const struct idler *i = &k->idler;
	uint64_t now = host_monotonic_ns(), most = idle_ns(k);
	if (!most)
		return;
	struct json_object *o = json_object_new_object();
	json_put_i64(o, "timeout_ns", (int64_t)most);
	if (k->record.state == LIFE_RUNNING && i->timer) {
		uint64_t left = i->active_ns + most - min_u64(now, i->active_ns + most);
		json_put_i64(o, "idle_ns", (int64_t)(now - min_u64(now, i->active_ns)));
		json_put_i64(o, "suspends_ns", (int64_t)(host_realtime_ns() + left));
	}
	json_put_text(o, "refused", i->refused[0] ? i->refused : NULL);
	json_object_object_add(out, "idle", o);
}
