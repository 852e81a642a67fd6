/* SPDX-License-Identifier: Apache-2.0 */
/* A guest by its handle: create, open, start, stop, remove, wait. */
#include "lib/lib.h"
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { GONE_WAIT_MS = 10000, SETTLE_MS = 3000, WAKE_TRIES = 2000 };

void lodge_free(void *p) { free(p); }
int lodge_parse_size(const char *text, uint64_t *ret_bytes, struct lodge_err *e)
{
	return life_parse_size(text, ret_bytes, e);
}
int lodge_parse_cpus(const char *text, uint32_t *ret_milli, struct lodge_err *e)
{
	return life_parse_cpus(text, ret_milli, e);
}
int lodge_parse_time(const char *text, uint64_t *ret_ns, struct lodge_err *e)
{
	return life_parse_time(text, ret_ns, e);
}

int guest_new(struct lodge_guest **ret, struct instance *i, struct lodge_err *e)
{
	struct lodge_guest *g = calloc(1, sizeof *g);
	if (!g) {
		instance_free(i);
		return err_set(e, ENOMEM, "out of memory");
	}
	g->inst = i;
	g->leash = -1;
	*ret = g;
	return 0;
}

/* "debian:13" -> "debian-7f3a": letters and digits of the guest's last part, and a number. */
static void name_make(const struct lodge_config *c, char *buf, size_t cap)
{
	const char *from = c->guest ? c->guest : c->kernel ? c->kernel : "guest";
	const char *slash = strrchr(from, '/');
	uint16_t r;
	size_t n = 0;
	if (!image_find(from) && slash && slash[1])
		from = slash + 1;
	for (; *from && *from != ':' && *from != '.' && n < 24; from++)
		if ((*from >= 'a' && *from <= 'z') || (*from >= 'A' && *from <= 'Z') ||
		    (*from >= '0' && *from <= '9') || (*from == '-' && n))
			buf[n++] = *from;
	host_random(&r, sizeof r);
	snprintf(buf + n, cap - n, "%s%04x", n ? "-" : "guest-", r);
}

static int level_prepare(struct instance *i, const struct level *l, const struct lodge_config *c,
			 struct lodge_err *e)
{
	int r = l && l->prepare ? l->prepare(instance_key(i), i->dir, c, e) : 0;
	if (r == 0)
		return 0;
	if (instance_remove(i, NULL) < 0)
		return r; /* half of it is there, and rm removes it */
	if (l->removed)
		l->removed(instance_key(i));
	return r;
}

static int create_once(struct instance **ret, const struct level *l, const struct lodge_config *c,
		       const char *name, struct lodge_err *e)
{
	struct life_record rec = {.state = LIFE_CREATED, .created_ns = host_realtime_ns()};
	struct json_object *doc = NULL;
	struct instance *i = NULL;
	int r = instance_new(&i, name, e);
	if (r == 0)
		r = prepare_config(i, c, &doc, e);
	if (r == 0)
		r = instance_publish(i, doc, &rec, e);
	json_object_put(doc);
	if (r == 0)
		r = level_prepare(i, l, c, e);
	if (r < 0) {
		instance_free(i);
		return r;
	}
	/* From here on it is like any other guest: nobody holds it. */
	close(i->lock);
	i->lock = -1;
	json_object_put(life_event(i->name, "created", NULL));
	*ret = i;
	return 0;
}

/* A caller may know a shorter or a longer struct than this library. */
static int config_import(struct lodge_config *ret, const struct lodge_config *c,
			 struct lodge_err *e)
{
	const uint8_t *raw = (const uint8_t *)c;
	if (c->size < offsetof(struct lodge_config, argv))
		return err_set(e, EINVAL, "lodge_config.size is %zu", c->size);
	for (size_t i = sizeof *ret; i < c->size; i++)
		if (raw[i])
			return err_set(e, EINVAL,
				       "this library is older than what was asked of it");
	*ret = (struct lodge_config){0};
	memcpy(ret, c, min_u64(c->size, sizeof *ret));
	ret->size = sizeof *ret;
	return 0;
}

/* The level of images of machines, whose kernel comes with them; else who claims it. */
static const struct level *level_meant(const struct lodge_config *c, struct lodge_err *e)
{
	if (!c->level && c->guest && image_find(c->guest) && !lodge_has_first(c))
		return level_named("machine");
	return level_choose(c, e);
}

int lodge_takes(const struct lodge_config *given, const char *option)
{
	struct lodge_config c;
	if (config_import(&c, given, NULL) < 0)
		return 1;
	const struct level *l = level_meant(&c, NULL);
	return !l || level_takes(l, &c, option);
}

int lodge_has_first(const struct lodge_config *given)
{
	struct lodge_config c;
	if (config_import(&c, given, NULL) < 0 || !c.root)
		return 0;
	const struct level *l = level_choose(&c, NULL);
	return l && l->rooted;
}

const char *lodge_image_needed(const struct lodge_config *given)
{
	struct lodge_config c;
	if (config_import(&c, given, NULL) < 0)
		return NULL;
	if (lodge_has_first(&c))
		return c.kernel ? NULL : image_of_roots()->name;
	const struct image *m = c.guest ? image_find(c.guest) : NULL;
	return m ? m->name : given->guest;
}

/* What a program in a machine of its own cannot have. */
static int first_check(const struct lodge_config *c, struct lodge_err *e)
{
	struct stat st;
	if (!lodge_has_first(c))
		return 0;
	if (!c->guest)
		return err_set(e, EINVAL, "--root %s: name a program in it", c->root);
	if (c->firmware || (c->kernel == NULL && c->initrd))
		return err_set(e, EINVAL,
			       "with --root, --firmware cannot be used, and --initrd only "
			       "with --kernel");
	if (stat(c->root, &st) < 0)
		return err_sys(e, "--root %s", c->root);
	return S_ISDIR(st.st_mode) ? 0 : err_set(e, ENOTDIR, "--root %s: not a folder", c->root);
}

/* Which level that is, and whether it can be at all, is said later. */
static int fits_check(const struct lodge_config *c, struct lodge_err *e)
{
	const struct level *l = level_meant(c, NULL);
	return l ? level_fits(l, c, e) : 0;
}

static int network_check(const struct level *l, const struct lodge_config *c, struct lodge_err *e)
{
	if (!life_net_is_network(c->net))
		return 0;
	return l && l->network
		   ? l->network(c->net, e)
		   : err_set(e, EINVAL, "--net %s: networks are for containers; this takes user, "
			     "none or tap:NAME", c->net);
}

int lodge_create(struct lodge_guest **ret, const struct lodge_config *given, struct lodge_err *e)
{
	struct lodge_config c;
	struct instance *i = NULL;
	int r = config_import(&c, given, e);
	if (r == 0)
		r = fits_check(&c, e);
	if (r == 0)
		r = first_check(&c, e);
	if (r == 0)
		r = life_volumes_make(&c, false, e);
	if (r == 0)
		r = life_config_check(&c, e);
	if (r < 0)
		return r;
	autofree char *cwd = NULL, *here = NULL;
	const bool image = c.guest && image_find(c.guest) && !lodge_has_first(&c);
	const struct level *l = NULL;
	if (!image) {
		struct lodge_err why = {.code = ENOEXEC};
		l = level_choose(&c, &why);
		if (l && l->become && !l->whole && !c.cwd && !c.root)
			c.cwd = cwd = getcwd(NULL, 0);
		if (l && l->confines && c.guest && !strchr(c.guest, '/')) { /* a file, not a name */
			autofree char *folder = getcwd(NULL, 0);
			if (!folder || asprintf(&here, "%s/%s", folder, c.guest) < 0)
				return err_set(e, ENOMEM, "out of memory");
			c.guest = here;
		}
		if (l && l->prepare) /* whatever becomes of its files and its image's name */
			c.level = l->name;
		if (c.argc && !(l && (l->become || (l->rooted && c.root))))
			return err_set(e, EINVAL,
				       "%s takes no arguments ('%s'); what a kernel shall know "
				       "goes into --append",
				       c.guest ? c.guest : "this", c.argv[0]);
		if (!l)
			return err_set(e, why.code, "%s", why.msg);
	}
	autofree char *folder = NULL, *given_here = NULL;
	const char *volume;
	if (l && l->here && !c.nvolumes && !(c.flags & LODGE_ISOLATE)) {
		folder = getcwd(NULL, 0);
		if (folder && strchr(folder, ':')) /* it could not be told from what is behind it */
			return err_set(e, EINVAL,
				       "%s: a guest that is kept cannot have a folder whose name "
				       "has a colon; start it in another one, or in the "
				       "foreground: lodge run %s", folder, c.guest);
		if (!folder || asprintf(&given_here, "%s:%s", folder, l->here) < 0)
			return err_set(e, ENOMEM, "out of memory");
		volume = given_here;
		c.volumes = &volume;
		c.nvolumes = 1;
		c.cwd = c.cwd ? c.cwd : l->here;
	}
	if (!image && !l->create)
		return err_set(e, EOPNOTSUPP,
			       "%s is of the level %s, whose guests run in the foreground so "
			       "far, without %s: lodge run %s",
			       c.guest, l->name,
			       l->whole ? "-d, --name and --restart"
			                : "-d, --name, --timeout, --restart and limits", c.guest);
	if (!(l && l->whole) && (r = life_volumes_folders(&c, e)) < 0)
		return r;
	if ((r = network_check(l, &c, e)) < 0)
		return r;
	if (c.flags & LODGE_ISOLATE)
		return err_set(e, EOPNOTSUPP, "--isolate is for programs in the foreground: "
		               "lodge run --isolate PROGRAM");
	for (int tries = 0; tries < 8; tries++) {
		char name[LIFE_NAME_MAX + 1];
		name_make(&c, name, sizeof name);
		r = create_once(&i, l, &c, c.name ? c.name : name, e);
		if (r == 0)
			return guest_new(ret, i, e);
		if (r != -EEXIST || c.name)
			break;
	}
	return r;
}

/* Somebody has to be there to ask. */
static bool health_asked(const struct lodge_config *c)
{
	const char *program = life_option(c, "health-cmd");
	return program && strcmp(program, "none") != 0;
}

int lodge_becomes(const struct lodge_config *given)
{
	struct lodge_config c;
	if (config_import(&c, given, NULL) < 0 || (c.guest && image_find(c.guest)))
		return 0;
	const struct level *l = level_choose(&c, NULL);
	bool kept = c.name || (c.timeout_ns && !(l && l->timed)) || c.restart ||
		    c.idle_timeout_ns || c.nlabels;
	if (l && l->whole && l->create && kept)
		return 0;
	if (!l || l->whole)
		return l && l->become && !(l->create && health_asked(&c));
	if (c.user || c.flags & LODGE_READONLY) /* lodge_create says why not */
		return 0;
	/* what only a keeper can see to */
	if (c.name || c.nlabels || c.timeout_ns || c.restart || c.cpu_milli || c.cpu_weight ||
	    c.cpuset || c.memory_limit || c.disk_iops || c.disk_bps || c.net_bps ||
	    c.idle_timeout_ns)
		return 0;
	return l->become != NULL;
}

int lodge_become(const struct lodge_config *given, struct lodge_err *e)
{
	struct lodge_config c;
	struct lodge_err why = {.code = ENOEXEC};
	int r = config_import(&c, given, e);
	if (r < 0)
		return r;
	const struct level *l = level_choose(&c, &why);
	if (!l)
		return err_set(e, why.code, "%s", why.msg);
	if (!l->become)
		return err_set(e, EOPNOTSUPP, "the level %s runs under a keeper", l->name);
	r = level_fits(l, &c, e);
	if (r == 0)
		r = life_volumes_make(&c, true, e);
	if (r == 0 && c.flags & LODGE_ISOLATE && !l->confines)
		r = isolate_enter(&c, e);
	return r < 0 ? r : l->become(&c, e);
}

int lodge_explain(const struct lodge_config *given, char **ret_text, struct lodge_err *e)
{
	struct lodge_config c;
	struct lodge_err why = {.code = ENOEXEC};
	int r = config_import(&c, given, e);
	if (r < 0)
		return r;
	const struct level *l = level_choose(&c, &why);
	if (!l)
		return err_set(e, why.code, "%s", why.msg);
	if (!l->explain)
		return err_set(e, EOPNOTSUPP, "there is nothing to explain at the level %s",
		               l->name);
	return l->explain(&c, ret_text, e);
}

int lodge_open(struct lodge_guest **ret, const char *name, struct lodge_err *e)
{
	struct instance *i = NULL;
	int r = instance_open(&i, name, e);
	if (r == 0)
		return guest_new(ret, i, e);
	/* no guest of ours has that name; why not has been said */
	struct lodge_err why = {.code = 0};
	int f = alien_open(ret, name, &why);
	return f == -ENOTUNIQ ? err_set(e, ENOTUNIQ, "%s", why.msg) : f < 0 ? r : 0;
}

void lodge_close(struct lodge_guest *g)
{
	if (!g)
		return;
	if (g->leash >= 0)
		close(g->leash);
	instance_free(g->inst);
	alien_free(g->alien);
	free(g->warning);
	free(g);
}

const char *lodge_name(const struct lodge_guest *g) { return g->inst->name; }

const char *lodge_state(const struct lodge_guest *g)
{
	struct life_record r;
	if (g->alien)
		return alien_state(g);
	instance_record(g->inst, &r);
	return life_name(r.state);
}

/* ---- the lock ---- */

/* Until nobody holds the folder. */
static bool unlocked_within(const struct lodge_guest *g, int ms)
{
	struct timespec pause = {.tv_nsec = 1000000};
	for (int i = 0; i < ms; i++) {
		if (!instance_locked(g->inst))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* The keeper has said its last word; it holds the folder some moments more. */
int guest_gone(const struct lodge_guest *g, struct lodge_err *e)
{
	if (unlocked_within(g, GONE_WAIT_MS))
		return 0;
	return err_set(e, ETIMEDOUT, "the keeper of %s does not go away", g->inst->name);
}

int guest_lock(struct lodge_guest *g, struct lodge_err *e)
{
	struct life_record rec;
	int r = instance_lock(g->inst, e);
	if (r != -EBUSY)
		return r;
	instance_record(g->inst, &rec);
	if (rec.state == LIFE_RUNNING || rec.state == LIFE_PAUSED || !unlocked_within(g, SETTLE_MS))
		return r;
	return instance_lock(g->inst, e);
}

/* ---- starting ---- */

int lodge_keep(struct lodge_guest *g, struct lodge_err *e)
{
	struct lodge_err why = {.code = 0};
	int own = guest_own(g, "start", e);
	if (own < 0)
		return own;
	const struct level *l = level_of(g->inst, &why);
	if (!l)
		return err_set(e, why.code, "%s", why.msg);
	int r = guest_lock(g, e);
	return r < 0 ? r : keeper_spawn(g->inst, l, NULL, &g->leash, e);
}

int lodge_start(struct lodge_guest *g, struct lodge_err *e)
{
	int r = g->leash < 0 ? lodge_keep(g, e) : 0;
	if (r < 0)
		return r;
	struct json_object *answer = NULL;
	r = control_call(g->inst, "POST", "/v1/start", NULL, &answer, e);
	guest_warn(g, answer);
	json_object_put(answer);
	close(take_fd(&g->leash));
	return r;
}

int lodge_pause(struct lodge_guest *g, struct lodge_err *e)
{
	if (g->alien)
		return alien_freeze(g, true, e);
	return control_call(g->inst, "POST", "/v1/pause", NULL, NULL, e);
}

/* One that is suspended for being idle stays so from now on. */
static int idle_end(struct lodge_guest *g, struct lodge_err *e)
{
	struct life_record rec;
	int r = guest_lock(g, e);
	if (r < 0)
		return r;
	instance_record(g->inst, &rec);
	if (rec.state == LIFE_SUSPENDED && rec.idle) {
		waiter_dismiss(g->inst);
		rec.idle = false;
		rec.why[0] = 0;
		r = instance_record_set(g->inst, &rec, e);
	}
	close(take_fd(&g->inst->lock));
	return r;
}

int lodge_suspend(struct lodge_guest *g, struct lodge_err *e)
{
	int r = guest_own(g, "suspend", e);
	if (r < 0)
		return r;
	if (guest_dozes(g))
		return idle_end(g, e);
	r = control_call(g->inst, "POST", "/v1/suspend", NULL, NULL, e);
	return r < 0 ? r : guest_gone(g, e);
}

bool guest_dozes(const struct lodge_guest *g)
{
	struct life_record rec;
	instance_record(g->inst, &rec);
	return rec.state == LIFE_SUSPENDED && rec.idle;
}

int guest_wake(struct lodge_guest *g, struct lodge_err *e)
{
	struct timespec pause = {.tv_nsec = 5000000};
	int r = 0;
	if (!guest_dozes(g))
		return 0;
	/* Its keeper may still be leaving; somebody else may be faster, a connection to it say. */
	for (int i = 0; i < WAKE_TRIES && guest_dozes(g); i++) {
		r = instance_locked(g->inst) ? -EBUSY : lodge_start(g, e);
		if (r != -EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	if (r == -EBUSY && guest_dozes(g))
		return err_set(e, EBUSY, "%s is suspended, and does not start", g->inst->name);
	return r < 0 && r != -EBUSY ? r : 1;
}

int lodge_resume(struct lodge_guest *g, struct lodge_err *e)
{
	struct life_record rec;
	if (g->alien)
		return alien_freeze(g, false, e);
	instance_record(g->inst, &rec);
	return rec.state == LIFE_SUSPENDED
		   ? lodge_start(g, e)
		   : control_call(g->inst, "POST", "/v1/resume", NULL, NULL, e);
}

/* ---- ending ---- */

/* @o: what /v1/wait has answered, owned from now on. */
static int exit_take(struct lodge_guest *g, struct json_object *o, int *ret_exit_code,
		     struct lodge_err *e)
{
	struct json_object *code = NULL;
	json_object_object_get_ex(o, "exit_code", &code);
	*ret_exit_code = code ? json_object_get_int(code) : LODGE_EXIT_LODGE;
	json_object_put(o);
	return guest_gone(g, e);
}

int guest_exit(struct lodge_guest *g, int wait, int *ret_exit_code, struct lodge_err *e)
{
	struct json_object *o = NULL;
	int r = control_receive(wait, &o, e);
	if (r == -ECONNRESET)
		return lodge_wait(g, ret_exit_code, e);
	return r < 0 ? r : exit_take(g, o, ret_exit_code, e);
}

int lodge_wait(struct lodge_guest *g, int *ret_exit_code, struct lodge_err *e)
{
	struct json_object *o = NULL;
	struct life_record rec;
	if (g->alien) /* who started it has waited for it, and knows */
		return guest_own(g, "wait", e);
	int r = control_call(g->inst, "GET", "/v1/wait", NULL, &o, e);
	if (r < 0 && r != -ENOTCONN && r != -ECONNRESET)
		return r;
	if (r == 0)
		return exit_take(g, o, ret_exit_code, e);
	if ((r = guest_gone(g, e)) < 0)
		return r;
	instance_record(g->inst, &rec);
	if (rec.state == LIFE_FAILED)
		return err_set(e, EIO, "%s failed: %s", g->inst->name, rec.why);
	*ret_exit_code = rec.exit_code;
	return 0;
}

/* A power cut for one that is not even there: its state is thrown away. */
static int suspended_kill(struct lodge_guest *g, struct life_record *rec, struct lodge_err *e)
{
	int r = guest_lock(g, e);
	if (r < 0)
		return r;
	rec->state = LIFE_STOPPED;
	rec->exit_code = LODGE_EXIT_SIGNAL + 9;
	rec->ended_ns = host_realtime_ns();
	snprintf(rec->why, sizeof rec->why, "killed while it was suspended");
	waiter_dismiss(g->inst);
	rec->idle = false;
	r = life_suspended_drop(g->inst, e);
	if (r == 0)
		r = instance_record_set(g->inst, rec, e);
	if (r == 0) {
		struct json_object *o = json_object_new_object();
		json_object_object_add(o, "exit_code", json_object_new_int(rec->exit_code));
		json_object_object_add(o, "why", json_object_new_string(rec->why));
		json_object_put(life_event(g->inst->name, "died", o));
	}
	close(g->inst->lock);
	g->inst->lock = -1;
	return r;
}

int lodge_kill(struct lodge_guest *g, struct lodge_err *e)
{
	int code;
	struct life_record rec;
	if (g->alien)
		return alien_stop(g, 0, e);
	instance_record(g->inst, &rec);
	if (rec.state == LIFE_SUSPENDED)
		return suspended_kill(g, &rec, e);
	int r = control_call(g->inst, "POST", "/v1/kill", NULL, NULL, e);
	return r < 0 ? r : lodge_wait(g, &code, e);
}

int lodge_signal(struct lodge_guest *g, const char *signal, struct lodge_err *e)
{
	int number = host_signal_find(signal);
	if (number < 1)
		return err_set(e, EINVAL, "there is no signal '%s'", signal);
	if (g->alien)
		return alien_signal(g, number, e);
	struct json_object *args = json_object_new_object();
	json_object_object_add(args, "signal", json_object_new_int(number));
	int r = control_call(g->inst, "POST", "/v1/signal", args, NULL, e);
	json_object_put(args);
	return r;
}

int lodge_stop(struct lodge_guest *g, uint64_t timeout_ns, struct lodge_err *e)
{
	int code;
	struct json_object *args = NULL;
	if (g->alien)
		return alien_stop(g, timeout_ns, e);
	if (timeout_ns == 0)
		return lodge_kill(g, e);
	int w = guest_wake(g, e); /* it cannot be asked in its sleep */
	if (w < 0)
		return w;
	args = json_object_new_object();
	json_object_object_add(
	    args, "timeout_ms",
	    json_object_new_int64((int64_t)min_u64(timeout_ns / 1000000, INT32_MAX)));
	struct json_object *o = NULL, *asked = NULL;
	int r = control_call(g->inst, "POST", "/v1/stop", args, &o, e);
	json_object_put(args);
	if (r < 0)
		return r;
	bool told = json_object_object_get_ex(o, "asked", &asked) && json_object_get_boolean(asked);
	json_object_put(o);
	/* Without a power button the agent can ask; with neither there is nothing to wait for. */
	if (!told && agent_ask(g->inst, AGENT_SHUTDOWN, 0, NULL) < 0) {
		r = control_call(g->inst, "POST", "/v1/kill", NULL, NULL, e);
		if (r < 0 && r != -ENOTCONN && r != -ECONNRESET && r != -EBUSY)
			return r;
	}
	return lodge_wait(g, &code, e);
}

/* Of a keeper that does not answer any more only its lock is left to go by. */
static int remove_kill(struct lodge_guest *g, struct lodge_err *e)
{
	int code;
	int r = control_call(g->inst, "POST", "/v1/kill", NULL, NULL, e);
	if (r == -ENOTCONN || r == -ECONNRESET || r == -EBUSY)
		r = 0;
	return r < 0 ? r : lodge_wait(g, &code, NULL) < 0 ? guest_gone(g, e) : 0;
}

int lodge_remove(const char *name, int force, struct lodge_err *e)
{
	struct lodge_guest *g = NULL;
	int r = lodge_open(&g, name, e);
	if (r < 0)
		return r;
	if (g->alien) {
		r = guest_own(g, "rm", e);
		lodge_close(g);
		return r;
	}
	r = guest_lock(g, e);
	if (r == 0 && !force && !strcmp(lodge_state(g), "suspended"))
		r = err_set(e, EPERM,
			    "%s is suspended; resume it, or delete its saved state too with rm -f",
			    name);
	if (r == -EBUSY && force) {
		r = remove_kill(g, e);
		if (r == 0)
			r = instance_lock(g->inst, e);
	} else if (r == -EBUSY) {
		r = err_set(e, EBUSY, "%s is %s; stop it first, or use rm -f", name,
			    lodge_state(g));
	}
	/* A guest of --rm removes itself when it is killed. */
	if (r == -ENOENT && force) {
		r = 0;
	} else if (r == 0) {
		const struct level *l = level_of(g->inst, NULL);
		r = instance_remove(g->inst, e);
		if (r == 0 && l && l->removed)
			l->removed(instance_key(g->inst));
	}
	lodge_close(g);
	return r;
}
