/* SPDX-License-Identifier: Apache-2.0 */
/* RAM that began as a file's (suspend, snapshot, clone) is private: the translator has no windows
 * onto it. A guest that computes gets a memfd again, copied while it runs; one that is idle stays
 * as it is, for its pages are shared with the file and with other clones. */
#include "life/internal.h"
#include <stdio.h>

enum {
	LOOK_MS = 1000,
	WORTH_MS = 1000,        /* of CPU, since RAM became private */
	WORTH_CLONE_MS = 20000, /* a clone's pages are shared: it must want it more */
	ROUNDS = 12, SMALL = 2 << 20, LARGE = 64 << 20,
};

/* May as much memory be taken a second time, for a while? */
static bool host_has_room(uint64_t bytes)
{
	char line[128];
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");
	while (f && !kib && fgets(line, sizeof line, f))
		(void)!sscanf(line, "MemAvailable: %llu kB", &kib);
	if (f)
		fclose(f);
	return kib * 1024 > bytes + bytes / 2;
}

static struct mem *settle_mem(const struct keeper *k)
{
	return k->self && k->level->memory ? k->level->memory(k->self) : NULL;
}

/* Do @fn while no vCPU runs. */
static int still(struct keeper *k, int (*fn)(struct keeper *, struct lodge_err *),
                 struct lodge_err *e)
{
	struct lodge_err why;
	bool running = k->record.state == LIFE_RUNNING;
	uint64_t begun = host_monotonic_ns();
	int r = running ? k->level->pause(k->self, e) : 0;
	if (r < 0)
		return r;
	r = fn(k, e);
	if (running && k->level->resume(k->self, &why) < 0)
		log_at(&k->log, LOG_ERROR, "after memory was settled: %s", why.msg);
	k->settle.pause_ns = host_monotonic_ns() - begun;
	return r;
}

static int settle_begin(struct keeper *k, struct lodge_err *e)
{
	return mem_settle_begin(settle_mem(k), &k->settle.memfd, e);
}

static int settle_adopt(struct keeper *k, struct lodge_err *e)
{
	return mem_settle_end(settle_mem(k), k->settle.memfd, true, e);
}

static int settle_drop(struct keeper *k, struct lodge_err *e)
{
	return mem_settle_end(settle_mem(k), k->settle.memfd, false, e);
}

/* On the loop: the copy is nearly whole, or will not be. */
static void settle_done(void *arg)
{
	struct settle *s = arg;
	struct keeper *k = s->keeper;
	struct lodge_err e = s->err;
	pthread_join(s->thread, NULL);
	s->on = false;
	int r = s->result;
	if (r == 0)
		r = still(k, settle_adopt, &e);
	else if (still(k, settle_drop, NULL) < 0)
		log_at(&k->log, LOG_WARN, "memory is being tracked for nothing");
	if (r < 0)
		log_at(&k->log, LOG_INFO, "memory stays private: %s", e.msg);
	else
		log_at(&k->log, LOG_INFO, "memory is a memfd again; paused for %llu us",
		       (unsigned long long)s->pause_ns / 1000);
	s->tries += r < 0;
	keeper_settle(k);
}

static void *settle_main(void *arg)
{
	struct settle *s = arg;
	struct keeper *k = s->keeper;
	uint64_t bytes = UINT64_MAX;
	pthread_setname_np(pthread_self(), "settle");
	for (unsigned i = 0; i < ROUNDS && bytes > SMALL && s->result == 0; i++)
		s->result = mem_settle_copy(settle_mem(k), s->memfd, &bytes, &s->err);
	if (s->result == 0 && bytes > LARGE)
		s->result = err_set(&s->err, EAGAIN, "it changes too fast to be copied");
	if (loop_post(k->loop, NULL, settle_done, s) < 0)
		s->result = -ENOMEM; /* whoever ends the guest joins us */
	return NULL;
}

static bool settle_worth(struct keeper *k, struct mem *m)
{
	struct settle *s = &k->settle;
	struct json_object *of = NULL;
	bool clone = json_object_object_get_ex(k->config->doc, "clone_of", &of);
	uint64_t worth = (clone ? WORTH_CLONE_MS : WORTH_MS) * UINT64_C(1000000);
	return host_cpu_ns() - s->cpu_ns >= worth << min_u64(s->tries, 10) && !k->saver.pid &&
	       !k->migration.on &&
	       k->record.state == LIFE_RUNNING && host_has_room(mem_size(m));
}

static void settle_look(void *arg)
{
	struct keeper *k = arg;
	struct settle *s = &k->settle;
	struct mem *m = settle_mem(k);
	struct lodge_err e;
	if (k->gone || s->on || !m || !mem_is_private(m))
		return;
	if (!settle_worth(k, m)) {
		loop_timer_set(s->timer, host_monotonic_ns() + LOOK_MS * UINT64_C(1000000));
		return;
	}
	s->keeper = k;
	s->result = 0;
	if (still(k, settle_begin, &e) < 0) {
		log_at(&k->log, LOG_INFO, "memory stays private: %s", e.msg);
		return; /* it will not be otherwise the next time */
	}
	s->on = pthread_create(&s->thread, NULL, settle_main, s) == 0;
	if (!s->on && still(k, settle_drop, NULL) < 0)
		log_at(&k->log, LOG_WARN, "memory is being tracked for nothing");
}

void keeper_settle(struct keeper *k)
{
	struct mem *m = settle_mem(k);
	struct lodge_err e;
	if (m)
		mem_tidy(m);
	if (k->gone || !m || !mem_is_private(m) || k->settle.on)
		return;
	if (!k->settle.timer &&
	    loop_timer_new(&k->settle.timer, k->loop, NULL, settle_look, k, &e) < 0) {
		log_at(&k->log, LOG_WARN, "%s", e.msg);
		return;
	}
	k->settle.cpu_ns = host_cpu_ns();
	loop_timer_set(k->settle.timer, host_monotonic_ns() + LOOK_MS * UINT64_C(1000000));
}

void keeper_settle_stop(struct keeper *k)
{
	struct settle *s = &k->settle;
	int r = 0;
	if (!s->on)
		return;
	mem_settle_stop(settle_mem(k));
	pthread_join(s->thread, NULL);
	s->on = false;
	loop_cancel(k->loop, s);
	r = k->gone ? settle_drop(k, NULL) : still(k, settle_drop, NULL);
	if (r < 0)
		log_at(&k->log, LOG_WARN, "memory is being tracked for nothing");
	keeper_settle(k);
}

void keeper_settle_describe(const struct keeper *k, struct json_object *out)
{
	struct mem *m = settle_mem(k);
	if (m)
		json_put_text(out, "memory_kind", mem_is_private(m) ? "private" : "memfd");
}
