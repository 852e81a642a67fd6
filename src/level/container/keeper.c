/* SPDX-License-Identifier: Apache-2.0 */
/* The level in a keeper: an attendant (attendant.c) has the container, the keeper has its streams
 * and does to it what is asked, by the same functions as the runtime. */
#include "level/container/health.h"
#include "level/container/internal.h"
#include "level/container/spec.h"
#include "level/container/stay.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct guest {
	const struct level_env *env;
	const struct lodge_config *c;
	char *home;              /* owned: the folder of its root, in the guest's */
	char *state;             /* owned: the runtime's folder of states; NULL: none runs */
	struct streams *streams; /* owned */
	struct health *health;   /* owned; NULL: nobody asks how it is */
	int from;                /* owned: the attendant's words; -1 */
	struct loop_watch *watch;
	pid_t pid;               /* of the attendant; 0: none */
	struct attendant_hello hello;
	bool over;               /* ended has been called */
	int status;              /* how it ended, as of wait(2); -1: unknown */
};

/* Its folder as the functions of the runtime want it. container_fini follows success. */
static int guest_open(const struct guest *g, bool lock, struct container *ret, struct lodge_err *e)
{
	return g->state ? container_open(ret, g->state, g->hello.id, lock, e)
			: err_set(e, ESRCH, "the container does not run");
}

/* ---- the end ---- */

static void attendant_reap(struct guest *g)
{
	host_reap(g->pid);
	g->pid = 0;
}

static void guest_over(void *self)
{
	struct guest *g = self;
	if (g->over)
		return;
	g->over = true;
	if (g->health)
		health_stop(g->health);
	attendant_reap(g);
	life_env_ended(g->env, g->status);
}

static void attendant_event(void *arg, uint32_t events)
{
	struct guest *g = arg;
	int status;
	(void)events;
	if (recv(g->from, &status, sizeof status, MSG_DONTWAIT) == sizeof status) {
		g->status = status;
		return;
	}
	loop_watch_free(take(g->watch));
	streams_gone(g->streams);
}

/* ---- starting ---- */

static int attendant_meet(struct guest *g, struct lodge_err *e)
{
	ssize_t n;
	do
		n = recv(g->from, &g->hello, sizeof g->hello, 0);
	while (n < 0 && errno == EINTR);
	if (n != sizeof g->hello)
		return err_set(e, EIO, "the process that makes the container died");
	if (g->hello.result < 0)
		return err_set(e, -g->hello.result, "%s", g->hello.err.msg);
	if (g->hello.terminal) {
		int master = pass_receive(g->from);
		if (master < 0)
			return err_set(e, EIO, "the container's terminal did not come");
		streams_take(g->streams, master);
	}
	autofree char *data = life_home("data");
	if (!data || asprintf(&g->state, "%s/containers/%s/state", data, g->hello.id) < 0) {
		g->state = NULL;
		return err_set(e, ENOMEM, "out of memory");
	}
	return 0;
}

static int attendant_start(struct guest *g, struct lodge_err *e)
{
	int ends[2] = {-1, -1}, to[2];
	/* of a terminal the container makes both ends */
	int r = g->c->flags & LODGE_TTY ? 0 : streams_ends(g->streams, g->c, ends, e);
	if (r == 0)
		r = host_packet_pair(to, e);
	if (r == 0) {
		const struct attendant_plan p = {.c = g->c, .env = g->env, .home = g->home,
						 .in = ends[0], .out = ends[1], .to = to[1],
						 .keeper = getpid()};
		g->pid = fork();
		if (g->pid == 0)
			attendant_main(&p);
		r = g->pid < 0 ? err_sys(e, "a process") : 0;
		g->pid = g->pid < 0 ? 0 : g->pid;
		g->from = to[0];
		close(to[1]);
	}
	streams_ends_close(ends);
	return r;
}

static int guest_start(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	int r = attendant_start(g, e);
	if (r == 0)
		r = attendant_meet(g, e);
	if (r == 0)
		r = loop_watch_new(&g->watch, g->env->loop, g->from, EPOLLIN, NULL, attendant_event,
				   g, e);
	if (r == 0)
		r = streams_watch(g->streams, e);
	if (r == 0 && g->health)
		r = health_start(g->health, g->state, g->hello.id, e);
	if (r == 0)
		streams_go(g->streams);
	return r;
}

/* ---- while it runs ---- */

static int guest_freeze(struct guest *g, bool on, struct lodge_err *e)
{
	struct container c;
	int r = guest_open(g, true, &c, e);
	if (r < 0)
		return r;
	r = container_pause(&c, on, e);
	container_fini(&c);
	return r;
}

static int guest_pause(void *self, struct lodge_err *e) { return guest_freeze(self, true, e); }
static int guest_resume(void *self, struct lodge_err *e) { return guest_freeze(self, false, e); }

static int guest_signal(void *self, int sig, struct lodge_err *e)
{
	struct container c;
	int r = guest_open(self, false, &c, e);
	if (r < 0)
		return r;
	r = container_kill(&c, sig, false, e);
	container_fini(&c);
	return r;
}

static int guest_stop(void *self, struct lodge_err *e)
{
	return guest_signal(self, ((struct guest *)self)->hello.stop_signal, e);
}

static int guest_kill(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	if (guest_signal(g, SIGKILL, e) == 0)
		return 0;
	/* its warden does the rest */
	if (!g->pid)
		return err_set(e, ESRCH, "the container does not run");
	return kill(g->pid, SIGKILL) < 0 ? err_sys(e, "killing the container") : 0;
}

static void guest_resize(void *self, unsigned rows, unsigned columns)
{
	streams_resize(((struct guest *)self)->streams, rows, columns);
}

static struct chr *guest_console(void *self)
{
	return streams_console(((struct guest *)self)->streams);
}

/* ---- limits and what it uses ---- */

/* What spec.c writes for a container that starts, for one that runs. */
static int limits_set(struct container *one, const struct lodge_config *c, struct lodge_err *e)
{
	struct oci_doc doc = {0};
	struct json_object *o = cgroup_wishes(c, true, CONTAINER_PIDS);
	const char *text = json_object_to_json_string(o);
	int r = oci_resources_read(&doc, text, strlen(text), e);
	if (r == 0)
		r = container_update(one, doc.resources, e);
	oci_doc_fini(&doc);
	json_object_put(o);
	return r;
}

static void guest_limit(void *self, const struct lodge_config *c, struct life_warnings *w)
{
	struct guest *g = self;
	struct container one;
	struct lodge_err e = {0};
	if (c->disk_bps || c->disk_iops || c->net_bps)
		life_warn(w, "containers have no limits of disks and network");
	if (!g->state)
		return; /* it gets them when it starts */
	int r = guest_open(g, true, &one, &e);
	if (r == 0) {
		r = limits_set(&one, c, &e);
		container_fini(&one);
	}
	if (r < 0)
		life_warn(w, "limits are not enforced: %s", e.msg);
}

static uint64_t guest_cpu_ns(void *self)
{
	struct guest *g = self;
	struct container one;
	uint64_t ns = 0;
	if (guest_open(g, false, &one, NULL) < 0)
		return 0;
	if (!container_cpu_ns(&one, &ns)) /* of no group: all are the attendant's */
		ns = host_tree_cpu_ns(g->pid);
	container_fini(&one);
	return ns;
}

static void guest_stats(void *self, struct json_object *out)
{
	struct guest *g = self;
	struct container one;
	if (guest_open(g, false, &one, NULL) < 0)
		return;
	container_uses(&one, out);
	container_fini(&one);
}

static void guest_inspect(void *self, struct json_object *out)
{
	struct guest *g = self;
	struct container one;
	char rootfs[PATH_MAX];
	if (guest_open(g, false, &one, NULL) < 0)
		return;
	json_object_object_add(out, "id", json_object_new_string(g->hello.id));
	json_object_object_add(out, "states", json_object_new_string(g->state));
	json_object_object_add(out, "pid", json_object_new_int(g->hello.pid));
	json_object_object_add(out, "status", json_object_new_string(
		container_status_name(container_status(&one))));
	snprintf(rootfs, sizeof rootfs, "%.*s", (int)(strlen(g->state) - strlen("/state")),
		 g->state);
	if (g->health)
		health_describe(g->health, out);
	struct json_object *joined = network_joined(rootfs);
	if (joined)
		json_object_object_add(out, "network", joined);
	snprintf(rootfs, sizeof rootfs, "/proc/%d/root", (int)g->hello.pid);
	json_object_object_add(out, "root", json_object_new_string(rootfs));
	json_object_object_add(out, "stop_signal", json_object_new_int(g->hello.stop_signal));
	container_fini(&one);
}

/* ---- making and unmaking ---- */

static char *home_path(const char *instance_dir)
{
	char *ret = NULL;
	return asprintf(&ret, "%s/container", instance_dir) < 0 ? NULL : ret;
}

static int guest_prepare(const char *name, const char *instance_dir, const struct lodge_config *c,
			 struct lodge_err *e)
{
	autofree char *home = home_path(instance_dir);
	int r = health_check(c, e);
	if (r < 0)
		return r;
	return home ? stay_prepare(name, home, c, e) : err_set(e, ENOMEM, "out of memory");
}

static void guest_removed(const char *name)
{
	stay_forget(name);
	stay_sweep();
}

static void guest_destroy(void *self)
{
	struct guest *g = self;
	if (g->pid) {
		struct lodge_err e;
		g->over = true;
		if (guest_signal(g, SIGKILL, &e) < 0)
			kill(g->pid, SIGKILL);
		attendant_reap(g);
	}
	if (g->watch)
		loop_watch_free(g->watch);
	auto_close(&g->from);
	health_free(g->health);
	streams_free(g->streams);
	free(g->home);
	free(g->state);
	free(g);
}

/* As the options say, or the image. */
static int guest_health(struct guest *g, struct lodge_err *e)
{
	struct image_config image = {0};
	bool known = stay_image(g->home, &image, NULL) == 0;
	int r = health_new(&g->health, g->env, g->c, known ? &image.health : NULL, e);
	image_config_fini(&image);
	return r;
}

static int guest_create(void **ret, const struct level_env *env, const struct lodge_config *c,
			struct lodge_err *e)
{
	struct guest *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, ENOMEM, "out of memory");
	g->env = env;
	g->c = c;
	g->from = g->status = -1;
	g->home = home_path(env->instance_dir);
	int r = g->home ? 0 : err_set(e, ENOMEM, "out of memory");
	if (r == 0 && !path_has(g->home, "image") && !path_has(g->home, "root"))
		r = err_sys(e, "what %s is made of (%s)", env->name, g->home);
	if (r == 0)
		r = streams_new(&g->streams, env->loop, guest_over, g, e);
	if (r == 0)
		r = guest_health(g, e);
	if (r < 0)
		guest_destroy(g);
	else
		*ret = g;
	return r;
}

extern const struct level level_container;
const struct level level_container = {
    .name = "container",
    .summary = "a container of the host's kernel: an image, a root folder, an OCI bundle",
    .whole = true,
    .governs = true,
    .unsaved = "a container's processes are the host kernel's, which cannot save them: pause it, "
	       "or take a guest of --level machine",
    .claims = container_claims,
    .become = container_become,
    .network = container_network_check,
    .prepare = guest_prepare,
    .removed = guest_removed,
    .create = guest_create,
    .start = guest_start,
    .pause = guest_pause,
    .resume = guest_resume,
    .stop = guest_stop,
    .kill = guest_kill,
    .signal = guest_signal,
    .destroy = guest_destroy,
    .console = guest_console,
    .resize = guest_resize,
    .inspect = guest_inspect,
    .stats = guest_stats,
    .limit = guest_limit,
    .cpu_ns = guest_cpu_ns,
    .root = container_root,
    .changes = container_changes,
    .exec = container_enter,
    .exec_code = container_entered,
};
