/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest may use. Devices and the balloon are the level's; CPU time is seen to here, the same
 * for all levels: by a control group where the host lets us, else by holding the vCPUs whenever all
 * of the keeper together has used more than its share (decision 0022). */
#include "life/internal.h"
#include <stdio.h>

/* CPU time: what may be saved up; how often the keeper looks, which is how long it may use more. */
enum { BURST_NS = 500000000, LOOK_MIN_NS = 4000000, LOOK_MAX_NS = 20000000 };
enum { IDLE_LEAST_NS = 1000000000, LOG_LEAST = 64 << 10 };
enum { MILLI_MAX = 1024000, WEIGHT_MAX = 10000, WEIGHT_USUAL = 100, MEMORY_LEAST = 16 << 20 };

void life_warn(struct life_warnings *w, const char *fmt, ...)
{
	va_list ap;
	size_t n = strlen(w->text);
	if (n && n + 1 < sizeof w->text) {
		w->text[n++] = '\n';
		w->text[n] = 0;
	}
	va_start(ap, fmt);
	vsnprintf(w->text + n, sizeof w->text - n, fmt, ap);
	va_end(ap);
}

/* ---- what may be changed ---- */

enum limit_kind { L_MILLI, L_SIZE, L_NUMBER, L_TIME, L_TEXT };
static const struct limit {
	const char *option, *key; /* as people write it; in config.json */
	enum limit_kind kind;
	uint64_t max;
	size_t off;
} limits[] = {
#define AT(f) offsetof(struct lodge_config, f)
    {"cpus", "cpu_milli", L_MILLI, MILLI_MAX, AT(cpu_milli)},
    {"memory", "memory", L_SIZE, INT64_MAX, AT(memory_limit)},
    {"disk-iops", "disk_iops", L_NUMBER, INT64_MAX, AT(disk_iops)},
    {"disk-bps", "disk_bps", L_SIZE, INT64_MAX, AT(disk_bps)},
    {"net-bps", "net_bps", L_SIZE, INT64_MAX, AT(net_bps)},
    {"cpuset", "cpuset", L_TEXT, 0, AT(cpuset)},
    {"cpu-weight", "cpu_weight", L_NUMBER, WEIGHT_MAX, AT(cpu_weight)},
    {"restart", "restart", L_TEXT, 0, AT(restart)},
    {"idle-timeout", "idle_timeout_ns", L_TIME, INT64_MAX, AT(idle_timeout_ns)},
    {"log-max", "log_max", L_SIZE, INT64_MAX, AT(log_max)},
    {"pids-limit", "pids_limit", L_NUMBER, INT64_MAX, AT(pids_limit)},
    {"memory-reservation", "memory_reservation", L_SIZE, INT64_MAX, AT(memory_reservation)},
    {"memory-swap", "memory_swap", L_SIZE, INT64_MAX, AT(memory_swap)},
};

int life_parse_cpus(const char *text, uint32_t *ret_milli, struct lodge_err *e)
{
	char *end;
	errno = 0;
	double v = strtod(text, &end);
	bool good = !errno && end != text && !*end && !text[strspn(text, "0123456789.")];
	if (!good || !(v >= 0.001) || v > MILLI_MAX / 1000)
		return err_set(e, EINVAL,
			       "'%s' is not a number of CPUs; write for example 2 or 0.5", text);
	*ret_milli = (uint32_t)(v * 1000 + 0.5);
	return 0;
}

static int number_parse(const char *text, uint64_t *ret, struct lodge_err *e)
{
	char *end;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		return err_set(e, EINVAL, "'%s' is not a number", text);
	return 0;
}

static int limit_parse(const struct limit *l, const char *text, struct json_object *out,
		       struct lodge_err *e)
{
	uint64_t v = 0;
	uint32_t milli = 0;
	int r = 0;
	if (l->kind == L_TEXT) {
		json_put_text(out, l->key, strcmp(text, "none") ? text : "");
		return 0;
	}
	if (!strcmp(text, "none"))
		v = 0;
	else if (l->kind == L_MILLI && (r = life_parse_cpus(text, &milli, e)) == 0)
		v = milli;
	else if (l->kind == L_SIZE)
		r = life_parse_size(text, &v, e);
	else if (l->kind == L_TIME)
		r = life_parse_time(text, &v, e);
	else if (l->kind == L_NUMBER)
		r = number_parse(text, &v, e);
	if (r == 0)
		json_put_i64(out, l->key, (int64_t)min_u64(v, INT64_MAX));
	return err_in(e, r, "--%s", l->option);
}

int life_limits_parse(const char *const *changes, size_t n, struct json_object **ret,
		      struct lodge_err *e)
{
	struct json_object *o = json_object_new_object();
	int r = n ? 0 : err_set(e, EINVAL, "nothing to change");
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *eq = strchr(changes[i], '=');
		size_t k = 0, len = eq ? (size_t)(eq - changes[i]) : 0;
		while (k < countof(limits) && (strlen(limits[k].option) != len ||
					       strncmp(limits[k].option, changes[i], len)))
			k++;
		r = k < countof(limits) ? limit_parse(&limits[k], eq + 1, o, e)
					: err_set(e, EINVAL, "'%s' cannot be changed", changes[i]);
	}
	if (r < 0)
		json_object_put(o);
	else
		*ret = o;
	return r;
}

int life_limits_check(const struct lodge_config *c, struct lodge_err *e)
{
	if (c->cpu_milli > MILLI_MAX)
		return err_set(e, EINVAL, "--cpus is more than %d", MILLI_MAX / 1000);
	if (c->cpu_weight > WEIGHT_MAX)
		return err_set(e, EINVAL, "--cpu-weight %u: from 1 to %d", c->cpu_weight,
			       WEIGHT_MAX);
	if (c->memory_limit && c->memory_limit < MEMORY_LEAST)
		return err_set(e, EINVAL, "a guest cannot be held to less than %d MiB of memory",
			       MEMORY_LEAST >> 20);
	if (c->idle_timeout_ns && c->idle_timeout_ns < IDLE_LEAST_NS)
		return err_set(e, EINVAL, "--idle-timeout must be at least 1s");
	if (c->log_max && c->log_max < LOG_LEAST)
		return err_set(e, EINVAL, "--log-max must be at least %d KiB", LOG_LEAST >> 10);
	if (c->memory_swap && c->memory_swap < (c->memory_limit ? c->memory_limit : c->memory))
		return err_set(e, EINVAL, "--memory-swap is memory and swap together, and so at "
			       "least --memory");
	struct life_restart policy;
	int r = c->cpuset ? host_cpus_check(c->cpuset, e) : 0;
	if (r < 0)
		return err_in(e, r, "--cpuset");
	r = life_restart_parse(c->restart, &policy, e);
	if (r == 0 && policy.after_failure && c->flags & LODGE_RM)
		r = err_set(e, EINVAL, "a guest of --rm is gone when it ends");
	return err_in(e, r, "--restart");
}

/* ---- changing ---- */

/* CPUs are a number of the guest's, which only a start can change, and a limit. */
static int cpus_change(struct lodge_config *c, uint32_t milli, enum life_changes how,
		       struct lodge_err *e)
{
	const bool lives = how == LIFE_CHANGES_LIVE;
	uint32_t harts = c->cpus ? c->cpus : 1, need = (milli + 999) / 1000;
	if (lives && need > harts)
		return err_set(e, EINVAL,
			       "--cpus: it has %u CPU%s while it lives; it gets more when it is "
			       "stopped first",
			       harts, harts > 1 ? "s" : "");
	if (!lives && milli)
		c->cpus = harts = need;
	c->cpu_milli = milli == harts * 1000 ? 0 : milli;
	return 0;
}

static int memory_change(struct lodge_config *c, uint64_t bytes, uint64_t ram,
			 enum life_changes how, struct lodge_err *e)
{
	const bool lives = how == LIFE_CHANGES_LIVE;
	ram = ram ? ram : c->memory;
	if (lives && ram && bytes > ram)
		return err_set(e, EINVAL,
			       "--memory: it has %llu MiB while it lives; it gets more when it is "
			       "stopped first",
			       (unsigned long long)(ram >> 20));
	c->memory_limit = bytes == ram ? 0 : bytes;
	if ((!lives && bytes) || how == LIFE_CHANGES_FREE) {
		c->memory = align_up(bytes, 4096);
		c->memory_limit = 0;
	}
	return 0;
}

static int limit_change(struct lodge_config *c, const struct limit *l, struct json_object *v,
			uint64_t ram, enum life_changes how, struct lodge_err *e)
{
	char *p = (char *)c + l->off;
	if (l->kind == L_TEXT) {
		const char *text = json_object_is_type(v, json_type_string)
				       ? json_object_get_string(v) : "\n";
		*(const char **)(void *)p = *text ? text : NULL;
		return 0;
	}
	int64_t n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;
	if (n < 0 || (uint64_t)n > l->max)
		return err_set(e, EINVAL, "'%s' must be a number from 0 to %llu", l->key,
			       (unsigned long long)l->max);
	if (l->kind == L_MILLI)
		return cpus_change(c, (uint32_t)n, how, e);
	if (l->off == AT(memory_limit))
		return memory_change(c, (uint64_t)n, ram, how, e);
	if (l->off == AT(cpu_weight))
		c->cpu_weight = (uint32_t)n;
	else
		*(uint64_t *)(void *)p = (uint64_t)n;
	return 0;
}

int life_limits_change(struct lodge_config *c, struct json_object *changes, uint64_t ram,
		       enum life_changes how, struct lodge_err *e)
{
	struct lodge_config next = *c;
	json_object_object_foreach(changes, key, v)
	{
		size_t k = 0;
		while (k < countof(limits) && strcmp(limits[k].key, key))
			k++;
		int r = k < countof(limits)
			    ? limit_change(&next, &limits[k], v, ram, how, e)
			    : err_set(e, EINVAL, "'%s' cannot be changed", key);
		if (r < 0)
			return r;
	}
	int r = life_limits_check(&next, e);
	if (r == 0)
		*c = next;
	return r;
}

void life_limits_json(const struct lodge_config *c, struct json_object *o)
{
	if (c->cpus)
		json_put_i64(o, "cpus", c->cpus);
	if (c->memory)
		json_put_i64(o, "memory", (int64_t)c->memory);
	json_put_i64(o, "cpu_milli", c->cpu_milli);
	json_put_i64(o, "cpu_weight", c->cpu_weight);
	json_put_i64(o, "memory_limit", (int64_t)c->memory_limit);
	json_put_i64(o, "disk_iops", (int64_t)c->disk_iops);
	json_put_i64(o, "disk_bps", (int64_t)c->disk_bps);
	json_put_i64(o, "net_bps", (int64_t)c->net_bps);
	json_put_i64(o, "idle_timeout_ns", (int64_t)c->idle_timeout_ns);
	json_put_i64(o, "log_max", (int64_t)c->log_max);
	json_put_i64(o, "pids_limit", (int64_t)c->pids_limit);
	json_put_i64(o, "memory_reservation", (int64_t)c->memory_reservation);
	json_put_i64(o, "memory_swap", (int64_t)c->memory_swap);
	json_object_object_del(o, "cpuset");
	json_put_text(o, "cpuset", c->cpuset);
	json_object_object_del(o, "restart");
	json_put_text(o, "restart", c->restart);
}

static const char *text_or_null(struct json_object *v)
{
	return json_object_get_string_len(v) ? json_object_get_string(v) : NULL;
}

/* The document gets what @lc says, whose texts are the document's from then on. */
static void texts_keep(struct life_config *lc)
{
	struct lodge_config *c = &lc->c;
	autofree char *cpuset = c->cpuset ? strdup(c->cpuset) : NULL;
	autofree char *restart = c->restart ? strdup(c->restart) : NULL;
	c->cpuset = cpuset;
	c->restart = restart;
	life_limits_json(c, lc->doc);
	c->cpuset = c->restart = NULL;
	json_text(lc->doc, "cpuset", &c->cpuset);
	json_text(lc->doc, "restart", &c->restart);
}

/* config.json, of a restored state its own, with the changes. */
int instance_config_change(struct instance *i, struct json_object *changes, uint64_t ram,
			   enum life_changes how, struct lodge_config *ret, struct lodge_err *e)
{
	struct life_config *lc = NULL;
	int r = instance_config(i, &lc, e);
	if (r < 0)
		return r;
	r = life_limits_change(&lc->c, changes, ram, how, e);
	if (r == 0) {
		texts_keep(lc);
		r = instance_config_set(i, lc->doc, e);
	}
	if (r == 0 && ret)
		*ret = lc->c; /* numbers; the texts go with lc */
	life_config_free(lc);
	return r;
}

/* ---- the keeper ---- */

uint64_t keeper_used_ns(const struct keeper *k)
{
	return host_cpu_ns() + (k->self && k->level->cpu_ns ? k->level->cpu_ns(k->self) : 0);
}

/* Of a level whose CPUs are a limit alone, their number is one. */
static uint32_t limiter_milli(const struct keeper *k)
{
	const struct lodge_config *c = &k->config->c;
	return c->cpu_milli || !k->level->governs ? c->cpu_milli : c->cpus * 1000;
}

static bool limiter_wanted(const struct keeper *k)
{
	const struct limiter *l = &k->limiter;
	return limiter_milli(k) && !l->by_group && !l->by_level && k->level->hold &&
	       k->record.state == LIFE_RUNNING && !k->gone;
}

static void limiter_hold(struct keeper *k, bool on, uint64_t now)
{
	struct limiter *l = &k->limiter;
	if (on == l->held)
		return;
	l->held = on;
	if (on)
		l->held_since_ns = now;
	else
		l->held_ns += now - l->held_since_ns;
	if (k->self)
		k->level->hold(k->self, on);
}

void keeper_limit_tick(void *arg)
{
	struct keeper *k = arg;
	struct limiter *l = &k->limiter;
	uint64_t now = host_monotonic_ns(), used = keeper_used_ns(k);
	if (!limiter_wanted(k)) {
		limiter_hold(k, false, now);
		return;
	}
	rate_take(&l->cpu, used - min_u64(used, l->used_ns), now);
	l->used_ns = used;
	uint64_t due = rate_due(&l->cpu, now);
	limiter_hold(k, due != 0, now);
	if (!due) {
		/* When all CPUs of the host at once could have used it up. */
		uint64_t left = rate_credit_ns(&l->cpu, now) * limiter_milli(k) / 1000;
		left /= host_cpus_online();
		due = now + (left < LOOK_MIN_NS ? LOOK_MIN_NS : min_u64(left, LOOK_MAX_NS));
	}
	loop_timer_set(l->timer, due);
}

void keeper_limit_run(struct keeper *k)
{
	if (limiter_wanted(k))
		loop_timer_set(k->limiter.timer, host_monotonic_ns());
}

/* The quota and the weight by a control group. False: by ourselves, then. */
static bool limiter_group(struct keeper *k)
{
	struct limiter *l = &k->limiter;
	const struct lodge_config *c = &k->config->c;
	const char *wish = life_option(c, "cgroup");
	struct lodge_err e;
	bool off = wish && !strcmp(wish, "off");
	if (!l->group && (off || (!limiter_milli(k) && !c->cpu_weight)))
		return false;
	if (!l->group && host_cgroup_new(&l->group, k->inst->name, NULL, &e) < 0) {
		log_at(&k->log, LOG_INFO, "%s", e.msg);
		return false;
	}
	if (host_cgroup_quota(l->group, limiter_milli(k), &e) == 0 &&
	    host_cgroup_weight(l->group, c->cpu_weight ? c->cpu_weight : WEIGHT_USUAL, &e) == 0)
		return true;
	log_at(&k->log, LOG_WARN, "%s", e.msg);
	host_cgroup_free(take(l->group));
	return false;
}

/* Without a group. Where nobody asks for a weight, the niceness that we were called with stays. */
static void limiter_weigh(struct keeper *k, struct life_warnings *w)
{
	const struct lodge_config *c = &k->config->c;
	struct limiter *l = &k->limiter;
	struct lodge_err e;
	unsigned weight = c->cpu_weight ? c->cpu_weight : WEIGHT_USUAL;
	if (l->by_group || weight == l->weight || (!c->cpu_weight && !l->weight))
		return;
	if (host_cpus_weigh(weight, &e) < 0)
		life_warn(w, "cpu-weight is not enforced: no control group can be made here, and "
			     "%s", e.msg);
	else
		l->weight = weight;
}

/* CPU time and CPUs, where the level does not see to them. */
static void limiter_own(struct keeper *k, struct life_warnings *w)
{
	struct limiter *l = &k->limiter;
	const struct lodge_config *c = &k->config->c;
	struct lodge_err e;
	l->by_group = limiter_group(k);
	limiter_weigh(k, w);
	if ((c->cpuset || l->pinned) && host_cpus_pin(c->cpuset, &e) < 0)
		life_warn(w, "cpuset is not enforced: %s", e.msg);
	l->pinned = c->cpuset != NULL;
	if (limiter_milli(k) && !l->by_group && !k->level->hold)
		life_warn(w, "cpus is not enforced: no control group can be made here, and the "
			     "level %s cannot be held", k->level->name);
}

void keeper_limit(struct keeper *k, struct life_warnings *w)
{
	struct limiter *l = &k->limiter;
	const struct lodge_config *c = &k->config->c;
	console_limit(k->console, c->log_max);
	l->by_level = k->level->governs && !(k->level->yields && k->level->yields(k->self));
	if (!l->by_level)
		limiter_own(k, w);
	if (!k->level->governs && (c->pids_limit || c->memory_swap || c->memory_reservation))
		life_warn(w, "the level %s has no limits of processes, and of memory but one",
			  k->level->name);
	if (k->level->limit)
		k->level->limit(k->self, c, w);
	else if (c->memory_limit || c->disk_bps || c->disk_iops || c->net_bps)
		life_warn(w, "the level %s has no limits of memory, disks and network",
			  k->level->name);
	rate_set(&l->cpu, (uint64_t)limiter_milli(k) * 1000000, BURST_NS, host_monotonic_ns());
	l->used_ns = keeper_used_ns(k);
	if (l->timer)
		loop_timer_set(l->timer, host_monotonic_ns());
	snprintf(l->warnings, sizeof l->warnings, "%s", w->text);
}

int life_idle_check(const struct level *l, const char *name, struct json_object *changes,
		    struct lodge_err *e)
{
	struct json_object *v = NULL;
	if (l->save || !json_object_object_get_ex(changes, "idle_timeout_ns", &v) ||
	    json_object_get_int64(v) == 0)
		return 0;
	return life_unsaved(l, name, "suspend", e);
}

int keeper_update(struct keeper *k, struct json_object *args, struct lodge_err *e)
{
	struct lodge_config next;
	struct life_warnings w = {0};
	struct mem *m = k->level->memory ? k->level->memory(k->self) : NULL;
	struct json_object *set = NULL;
	if (k->migration.on)
		return err_set(e, EBUSY, "%s is being moved", k->inst->name);
	int r = life_idle_check(k->level, k->inst->name, args, e);
	if (r < 0)
		return r;
	r = instance_config_change(k->inst, args, m ? mem_size(m) : 0,
				       k->level->governs ? LIFE_CHANGES_FREE : LIFE_CHANGES_LIVE,
				       &next, e);
	if (r < 0)
		return r;
	/* The level has the address of our configuration: it changes where it is. */
	struct lodge_config *c = &k->config->c;
	c->cpus = next.cpus;
	c->memory = next.memory;
	c->cpu_milli = next.cpu_milli;
	c->cpu_weight = next.cpu_weight;
	c->memory_limit = next.memory_limit;
	c->disk_iops = next.disk_iops;
	c->disk_bps = next.disk_bps;
	c->net_bps = next.net_bps;
	c->idle_timeout_ns = next.idle_timeout_ns;
	c->log_max = next.log_max;
	c->pids_limit = next.pids_limit;
	c->memory_reservation = next.memory_reservation;
	c->memory_swap = next.memory_swap;
	if (json_object_object_get_ex(args, "cpuset", &set))
		c->cpuset = text_or_null(set);
	if (json_object_object_get_ex(args, "restart", &set))
		c->restart = text_or_null(set);
	texts_keep(k->config);
	keeper_limit(k, &w);
	keeper_oom(k);
	keeper_idle(k);
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "changes", json_object_get(args));
	keeper_event(k, "updated", o);
	return 0;
}

void keeper_limit_describe(const struct keeper *k, struct json_object *out)
{
	const struct limiter *l = &k->limiter;
	const struct lodge_config *c = &k->config->c;
	struct json_object *o = json_object_new_object();
	life_limits_json(c, o);
	json_put_text(o, "cpus_by", !limiter_milli(k) ? NULL
				    : l->by_level ? "level"
				    : l->by_group ? host_cgroup_path(l->group)
						  : "lodge");
	json_put_text(o, "not_enforced", l->warnings[0] ? l->warnings : NULL);
	json_object_object_add(out, "limits", o);
}

void keeper_limit_stats(const struct keeper *k, struct json_object *out)
{
	const struct limiter *l = &k->limiter;
	uint64_t now = host_monotonic_ns();
	json_put_i64(out, "cpu_ns", (int64_t)keeper_used_ns(k));
	json_put_i64(out, "held_ns",
		     (int64_t)(l->held_ns + (l->held ? now - l->held_since_ns : 0)));
}
