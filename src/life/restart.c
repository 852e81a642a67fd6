/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that ended by itself begins anew, when its policy says so: in the same keeper, which
 * keeps folder, console and control socket, and makes the level's guest again.
 *
 *   running --ends--> created, the record says stopped --delay--> running
 *
 * Who is told to stop, killed or timed out, stays so. */
#include "life/internal.h"
#include <stdio.h>

/* The delay doubles while runs are short, as docker's does. */
static const uint64_t delay_first_ns = 100000000, delay_max_ns = 60000000000,
		      long_run_ns = 10000000000;

int life_restart_parse(const char *text, struct life_restart *ret, struct lodge_err *e)
{
	struct life_restart r = {0};
	char *end = NULL;
	if (!text || !strcmp(text, "no")) {
		*ret = r;
		return 0;
	}
	r.after_failure = true;
	r.after_success = strncmp(text, "on-failure", 10) != 0;
	if (!r.after_success && text[10] == ':') {
		errno = 0;
		unsigned long n = strtoul(text + 11, &end, 10);
		if (!errno && text[11] >= '0' && text[11] <= '9' && !*end && n >= 1 && n <= 1000000)
			r.max = (unsigned)n;
	}
	bool good = r.after_success ? !strcmp(text, "always") || !strcmp(text, "unless-stopped")
				    : !text[10] || r.max;
	if (!good)
		return err_set(e, EINVAL,
			       "'%s' is not a restart policy: no, on-failure[:N], always or "
			       "unless-stopped",
			       text);
	*ret = r;
	return 0;
}

/* Once the level's guest has ended. */
static bool restart_wanted(const struct keeper *k)
{
	struct life_restart p;
	const struct restarter *r = &k->restarter;
	char where[128];
	if (life_restart_parse(k->config->c.restart, &p, NULL) < 0)
		return false;
	if (k->killed || k->timed_out || k->suspended || r->stopped ||
	    k->record.state == LIFE_CREATED)
		return false;
	if (moved_to(k->inst, where)) /* it runs there now */
		return false;
	if (p.max && r->count >= p.max)
		return false;
	return k->end_code ? p.after_failure : p.after_success;
}

static void restart_record(struct keeper *k)
{
	struct lodge_err e;
	struct life_record *rec = &k->record;
	rec->state = LIFE_STOPPED;
	rec->ended_ns = host_realtime_ns();
	rec->exit_code = k->end_code;
	snprintf(rec->why, sizeof rec->why, "%.100s; it starts again", k->end_why);
	if (instance_record_set(k->inst, rec, &e) < 0)
		log_at(&k->log, LOG_ERROR, "%s", e.msg);
	k->earlier = *rec;
	rec->state = LIFE_CREATED;
}

bool keeper_restart(struct keeper *k)
{
	struct restarter *r = &k->restarter;
	struct lodge_err e;
	if (!restart_wanted(k))
		return false;
	uint64_t now = host_realtime_ns(), ran = now - min_u64(now, k->record.started_ns);
	bool was_long = ran >= long_run_ns;
	r->count = was_long ? 1 : r->count + 1;
	r->delay_ns = was_long || !r->delay_ns ? delay_first_ns
					       : min_u64(2 * r->delay_ns, delay_max_ns);
	keeper_died(k, k->end_code, k->end_why);
	restart_record(k);
	keeper_level_end(k);
	k->restoring = k->env.restoring = k->asked = false;
	pthread_mutex_lock(&k->end_lock);
	k->end_posted = false;
	pthread_mutex_unlock(&k->end_lock);
	if (keeper_level(k, &e) < 0) {
		log_at(&k->log, LOG_ERROR, "it cannot be started again: %s", e.msg);
		k->earlier.exit_code = LODGE_EXIT_LODGE;
		snprintf(k->earlier.why, sizeof k->earlier.why, "cannot start again: %.90s", e.msg);
		return false;
	}
	loop_timer_set(r->timer, host_monotonic_ns() + r->delay_ns);
	return true;
}

void keeper_restart_now(void *arg)
{
	struct keeper *k = arg;
	struct lodge_err e;
	struct json_object *none = json_object_new_object();
	if (!k->gone && k->record.state == LIFE_CREATED &&
	    keeper_verb(k, "start", none, &e) < 0) {
		log_at(&k->log, LOG_ERROR, "it cannot be started again: %s", e.msg);
		keeper_ended(k, LODGE_EXIT_LODGE, "it could not be started again");
	}
	json_object_put(none);
}
