/* SPDX-License-Identifier: Apache-2.0 */
/* state.json: what is known of a guest's life, and how far it can be believed. */
#include "life/internal.h"
#include <fcntl.h>
#include <stdio.h>

static uint64_t record_time(struct json_object *o, const char *key)
{
	int64_t v = 0;
	return json_i64(o, key, &v) && v > 0 ? (uint64_t)v : 0;
}

int life_record_parse(struct life_record *ret, const char *text, size_t len, struct lodge_err *e)
{
	struct life_record r = {0};
	struct json_object *o = NULL;
	const char *state = NULL, *why = "", *level = "", *health = "";
	int64_t code = 0, pid = 0, idle = 0, oom = 0;
	int x = json_parse(&o, text, len, e);
	if (x < 0)
		return err_in(e, x, "state.json");
	if (!json_text(o, "state", &state) || !life_find(state, &r.state)) {
		json_object_put(o);
		return err_set(e, EINVAL, "state.json: no state that is known here");
	}
	json_i64(o, "exit_code", &code);
	json_i64(o, "pid", &pid);
	json_i64(o, "idle", &idle);
	json_text(o, "why", &why);
	json_i64(o, "oom_killed", &oom);
	json_text(o, "level", &level);
	json_text(o, "health", &health);
	r.exit_code = code >= 0 && code <= 255 ? (int)code : LODGE_EXIT_LODGE;
	r.pid = pid > 0 && pid <= INT32_MAX ? (int)pid : 0;
	r.idle = idle == 1;
	r.oom_killed = oom == 1;
	r.created_ns = record_time(o, "created_ns");
	r.started_ns = record_time(o, "started_ns");
	r.ended_ns = record_time(o, "ended_ns");
	snprintf(r.why, sizeof r.why, "%s", why);
	snprintf(r.level, sizeof r.level, "%s", level);
	snprintf(r.health, sizeof r.health, "%s", health);
	json_object_put(o);
	*ret = r;
	return 0;
}

static int record_write(struct instance *i, const char *name, const struct life_record *r,
			struct lodge_err *e)
{
	struct json_object *o = json_object_new_object();
	json_put_text(o, "state", life_name(r->state));
	json_put_i64(o, "exit_code", r->exit_code);
	json_put_i64(o, "pid", r->pid);
	json_put_i64(o, "created_ns", (int64_t)r->created_ns);
	json_put_i64(o, "started_ns", (int64_t)r->started_ns);
	json_put_i64(o, "ended_ns", (int64_t)r->ended_ns);
	json_put_text(o, "why", r->why);
	json_put_text(o, "level", r->level);
	json_put_i64(o, "idle", r->idle);
	json_put_i64(o, "oom_killed", r->oom_killed);
	json_put_text(o, "health", r->health[0] ? r->health : NULL);
	size_t len;
	const char *text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PRETTY, &len);
	int x = file_replace(i->dirfd, name, text, len, e);
	json_object_put(o);
	return err_in(e, x, "%s", i->name);
}

int instance_record_set(struct instance *i, const struct life_record *r, struct lodge_err *e)
{
	return record_write(i, "state.json", r, e);
}

int instance_record_ready(struct instance *i, const struct life_record *r, struct lodge_err *e)
{
	return record_write(i, ".state.ready", r, e);
}

int instance_record_turn(struct instance *i, struct lodge_err *e)
{
	if (renameat(i->dirfd, ".state.ready", i->dirfd, "state.json") < 0)
		return err_sys(e, "%s: its record", i->name);
	return 0;
}

static void record_failed(struct life_record *r, const char *why)
{
	r->state = LIFE_FAILED;
	r->pid = 0;
	r->exit_code = LODGE_EXIT_LODGE;
	snprintf(r->why, sizeof r->why, "%.127s", why);
}

static int record_read(const struct instance *i, struct life_record *ret)
{
	struct lodge_err e = {0};
	autofree char *text = NULL;
	size_t len = 0;
	*ret = (struct life_record){0};
	int r = life_file_read(i->dirfd, "state.json", &text, &len, &e);
	if (r == 0)
		r = life_record_parse(ret, text, len, &e);
	if (r < 0)
		record_failed(ret, e.msg);
	return r;
}

/* A saved state is what counts, whatever else is written: it is taken away before the guest runs
 * again. False: the record says so, but there is none. */
static bool record_suspended(const struct instance *i, struct life_record *r)
{
	if (!suspended_exists(i))
		return r->state != LIFE_SUSPENDED;
	if (r->state == LIFE_SUSPENDED)
		return true;
	r->state = LIFE_SUSPENDED;
	r->pid = 0;
	r->exit_code = 0;
	r->why[0] = 0;
	return true;
}

/* Notes about moves count more than what a keeper has left behind. */
static bool record_elsewhere(const struct instance *i, struct life_record *r)
{
	char where[128];
	bool moved = moved_to(i, where), half = !moved && receiving(i);
	if ((!moved && !half) || instance_locked(i))
		return false;
	record_failed(r, "it was moved to here, but not wholly");
	if (moved) {
		r->state = LIFE_STOPPED;
		r->exit_code = 0;
		snprintf(r->why, sizeof r->why, "moved to %.100s", where);
	}
	return true;
}

void instance_record(const struct instance *i, struct life_record *ret)
{
	struct life_record again;
	if (record_read(i, ret) < 0)
		return;
	if (record_elsewhere(i, ret))
		return;
	if (!instance_locked(i) && !record_suspended(i, ret) && record_read(i, ret) == 0 &&
	    ret->state == LIFE_SUSPENDED)
		record_failed(ret, "its saved state is gone");
	bool alive = ret->state == LIFE_RUNNING || ret->state == LIFE_PAUSED;
	if (!alive || instance_locked(i))
		return;
	if (record_suspended(i, ret) && ret->state == LIFE_SUSPENDED)
		return;
	/* Between the two looks the keeper may have ended well, or another have begun. */
	if (record_read(i, &again) < 0 || again.state != ret->state ||
	    again.started_ns != ret->started_ns) {
		*ret = again;
		return;
	}
	record_failed(ret, "its keeper was killed or crashed");
}

int instance_config(const struct instance *i, struct life_config **ret, struct lodge_err *e)
{
	struct json_object *doc = NULL;
	autofree char *text = NULL;
	size_t len = 0;
	/* A state that was restored goes with its own configuration. */
	int r = life_file_read(i->dirfd, SUSPENDED "/config.json", &text, &len, NULL);
	if (r < 0)
		r = life_file_read(i->dirfd, "config.json", &text, &len, e);
	if (r == 0)
		r = json_parse(&doc, text, len, e);
	if (r == 0)
		r = life_config_load(ret, doc, e);
	return err_in(e, r, "%s: config.json", i->name);
}

int instance_config_set(struct instance *i, struct json_object *doc, struct lodge_err *e)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
	    doc, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (faccessat(i->dirfd, SUSPENDED "/config.json", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return file_replace(i->dirfd, "config.json", text, len, e);
	autoclose int dir = openat(i->dirfd, SUSPENDED,
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return dir < 0 ? err_sys(e, "%s: " SUSPENDED, i->name)
		       : file_replace(dir, "config.json", text, len, e);
}
