/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that is held to less memory than it wants kills some of its own programs. People should
 * hear of it: as the event "oom", and as oom_killed in state.json, which stays when it has ended.
 * Only a guest with a limit is asked, for an idle one is not to be woken for nothing. */
#include "life/internal.h"

enum {
	LOOK_MS = 1000,
	FIRST_MS = 200, /* until it has said what was before it had a limit: that is no news */
};

static void oom_timer(struct oom *o, unsigned ms)
{
	loop_timer_set(o->timer, host_monotonic_ns() + ms * UINT64_C(1000000));
}

static void oom_told(struct keeper *k, uint64_t kills)
{
	struct json_object *more = json_object_new_object();
	json_put_i64(more, "kills", (int64_t)kills);
	keeper_event(k, "oom", more);
	if (k->record.oom_killed)
		return;
	k->record.oom_killed = true;
	keeper_record(k);
}

static void oom_look(void *arg)
{
	struct keeper *k = arg;
	struct oom *o = &k->oom;
	o->known &= k->config->c.memory_limit != 0;
	if (k->gone || !k->self || k->record.state != LIFE_RUNNING || !k->config->c.memory_limit)
		return; /* keeper_oom begins anew */
	uint64_t now = k->level->oom_kills(k->self);
	if (o->known && now > o->seen)
		oom_told(k, now - o->seen);
	o->known = true;
	o->seen = now; /* less: it has booted since */
	oom_timer(o, LOOK_MS);
}

void keeper_oom(struct keeper *k)
{
	struct oom *o = &k->oom;
	struct lodge_err e;
	if (!k->level->oom_kills || !k->self || !k->config->c.memory_limit)
		return;
	if (!o->timer && loop_timer_new(&o->timer, k->loop, NULL, oom_look, k, &e) < 0) {
		log_at(&k->log, LOG_WARN, "nobody looks what it kills: %s", e.msg);
		return;
	}
	if (!o->known)
		(void)k->level->oom_kills(k->self); /* asks; what was last said may be old */
	oom_timer(o, o->known ? LOOK_MS : FIRST_MS);
}
