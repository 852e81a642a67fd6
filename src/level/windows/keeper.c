/* SPDX-License-Identifier: Apache-2.0 */
/* The level in a keeper: a process outside (family.c) is the keeper's child, and has the program.
 * The keeper has the other ends of the program's streams, and of the socket where it is spoken of.
 */
#include "level/windows/internal.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>

enum { READY_MS = 120000 };

struct guest {
	const struct level_env *env;
	const struct lodge_config *c;
	char *id;                /* owned: what its group goes by */
	struct streams *streams; /* owned */
	struct group group;
	struct lodge_err no_group; /* why there is none */
	int report;              /* owned; -1 */
	struct loop_watch *watch;
	pid_t pid, first;        /* outside; of the pid namespace. 0: not started, or ended */
	int first_fd;            /* pidfd of that; owned; -1 */
	int status;              /* how it ended, as of wait(2); -1: unknown */
	bool over;               /* ended has been called */
	bool limited;            /* the group has limits to be taken away */
	bool paused, held, stands; /* each of the first two keeps it from running */
};

/* ---- the end ---- */

/* Has the host killed something of it for want of memory? */
static bool memory_lacked(const struct group *p)
{
	const struct cgroup_part *m = p->made ? cgroup_part_of(&p->g, "memory") : NULL;
	uint64_t n = 0;
	return m && m->fd >= 0 &&
	       cgroup_keyed(&p->g, "memory", m->v2 ? "memory.events" : "memory.oom_control",
			    "oom_kill", &n) && n > 0;
}

static void guest_over(void *self)
{
	struct guest *g = self;
	if (g->over)
		return;
	g->over = true;
	host_reap(g->pid);
	g->pid = g->first = 0;
	if (g->status == SIGKILL && memory_lacked(&g->group))
		g->env->ended(g->env->user, LODGE_EXIT_SIGNAL + SIGKILL,
			      "killed: it had no more memory (--memory)");
	else
		life_env_ended(g->env, g->status);
}

static void report_event(void *arg, uint32_t events)
{
	struct guest *g = arg;
	struct word w;
	(void)events;
	ssize_t n = host_packet_receive(g->report, &w, sizeof w, false, NULL);
	if (n == sizeof w && w.what == WORD_ENDED) {
		g->status = w.value;
		g->first = 0;
	}
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)))
		return;
	loop_watch_free(take(g->watch));
	streams_gone(g->streams);
}

/* ---- starting ---- */

/* Until it is known which the first process is, and that the program is about to run: two processes
 * say that, each at its time. */
static int ready_wait(struct guest *g, struct lodge_err *e)
{
	struct pollfd f = {.fd = g->report, .events = POLLIN};
	const uint64_t end = host_monotonic_ns() + READY_MS * UINT64_C(1000000);
	bool ready = false;
	while (host_monotonic_ns() < end) {
		struct word w;
		autoclose int passed = -1;
		int n = poll(&f, 1, READY_MS);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1 ||
		    host_packet_receive(g->report, &w, sizeof w, true, &passed) != sizeof w)
			break;
		w.err.msg[sizeof w.err.msg - 1] = 0;
		if (w.what == WORD_READY && w.value < 0)
			return err_set(e, -w.value, "%s", w.err.msg);
		if (w.what == WORD_FIRST && passed >= 0) {
			g->first = w.value;
			g->first_fd = take_fd(&passed);
		}
		ready |= w.what == WORD_READY;
		if (ready && g->first)
			return 0;
	}
	return err_set(e, EIO, "the program's process died at its start");
}

static int guest_fork(struct guest *g, const int ends[2], struct lodge_err *e)
{
	int report[2];
	int r = host_packet_pair(report, e);
	if (r < 0)
		return r;
	struct family f = {.c = g->c,
				 .group = g->group.made ? &g->group : NULL,
				 .report = report[1],
				 .network = UPLINK_NONE,
				 .kept = true,
				 .in = ends[0],
				 .out = ends[1],
				 .umask = g->env->umask};
	pid_t pid = fork();
	if (pid == 0)
		family_main(&f);
	close(report[1]);
	g->report = report[0];
	g->pid = pid > 0 ? pid : 0;
	return pid < 0 ? err_sys(e, "starting the program") : 0;
}

int windows_start(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	int ends[2];
	int r = streams_ends(g->streams, g->c, ends, e);
	if (r < 0)
		return r;
	r = guest_fork(g, ends, e);
	streams_ends_close(ends);
	if (r == 0)
		r = ready_wait(g, e);
	if (r == 0)
		r = loop_watch_new(&g->watch, g->env->loop, g->report, EPOLLIN, NULL, report_event,
				   g, e);
	if (r == 0)
		r = streams_watch(g->streams, e);
	if (r == 0)
		streams_go(g->streams);
	return r;
}

/* ---- while it runs ---- */

static int guest_stand(struct guest *g, struct lodge_err *e)
{
	const bool on = g->paused || g->held;
	int r = 0;
	if (on == g->stands || !g->first)
		return 0;
	if (group_freezes(&g->group))
		r = cgroup_freeze(&g->group.g, on, e);
	else if (on)
		r = family_stop(g->first, g->first_fd, e);
	else
		family_go(g->first_fd);
	if (r == 0)
		g->stands = on;
	return r;
}

int windows_pause(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	g->paused = true;
	int r = guest_stand(g, e);
	g->paused = r == 0;
	if (r == 0) /* nothing is printed from here on */
		streams_drain(g->streams);
	return r;
}

int windows_resume(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	g->paused = false;
	return guest_stand(g, e);
}

void windows_hold(void *self, bool on)
{
	struct guest *g = self;
	struct lodge_err e;
	g->held = on;
	if (guest_stand(g, &e) < 0)
		log_at(g->env->log, LOG_DEBUG, "hold: %s", e.msg);
}

/* What its console hears of. The first process passes it on to all of them, as a console does. */
int windows_signal(void *self, int sig, struct lodge_err *e)
{
	struct guest *g = self;
	if (!g->first)
		return err_set(e, ESRCH, "the program does not run");
	if (sig == SIGKILL)
		return windows_kill(g, e);
	if (sig != SIGTERM && sig != SIGINT && sig != SIGQUIT && sig != SIGHUP)
		return err_set(e, EINVAL, "a Windows program has no signal %d; INT (Ctrl-C), QUIT "
			       "(Ctrl-Break), TERM and HUP (its console closes) and KILL reach it",
			       sig);
	return family_signal(g->first_fd, sig) < 0 ? err_sys(e, "a signal to the program") : 0;
}

int windows_stop(void *self, struct lodge_err *e) { return windows_signal(self, SIGTERM, e); }

int windows_kill(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	if (!g->first)
		return err_set(e, ESRCH, "the program does not run");
	if (family_signal(g->first_fd, SIGKILL) < 0)
		return err_sys(e, "killing the program");
	/* of version 1: what is frozen would not end */
	return g->group.made && cgroup_frozen(&g->group.g) ? cgroup_freeze(&g->group.g, false, e)
							   : 0;
}

void windows_resize(void *self, unsigned rows, unsigned columns)
{
	streams_resize(((struct guest *)self)->streams, rows, columns);
}

struct chr *windows_console(void *self)
{
	return streams_console(((struct guest *)self)->streams);
}

/* ---- limits, and what it uses ---- */

static void group_want(struct guest *g)
{
	if (group_wanted(g->c, &g->no_group) == 0 && !g->pid && !g->group.made)
		(void)!group_make(&g->group, g->id, &g->no_group);
}

bool windows_yields(void *self)
{
	struct guest *g = self;
	group_want(g);
	return !g->group.made;
}

void windows_limit(void *self, const struct lodge_config *c, struct life_warnings *w)
{
	struct guest *g = self;
	struct lodge_err e;
	bool asked = c->cpus || c->cpu_milli || c->cpuset || c->cpu_weight;
	bool others = c->memory || c->memory_limit || c->memory_reservation || c->pids_limit;
	if (c->disk_bps || c->disk_iops || c->net_bps)
		life_warn(w, "the level windows has no limits of disks and network");
	if (!g->group.made && others)
		life_warn(w, "limits of memory and processes are not enforced: %s",
			  g->no_group.msg);
	if (!g->group.made || (!asked && !others && !g->limited))
		return;
	if (cgroup_limit(&g->group.g, c, g->limited, &e) < 0)
		life_warn(w, "limits are not enforced: %s", e.msg);
	g->limited = true;
}

uint64_t windows_cpu_ns(void *self)
{
	struct guest *g = self;
	uint64_t ns = 0;
	if (g->group.made && cgroup_cpu_ns(&g->group.g, &ns))
		return ns;
	return g->pid ? host_tree_cpu_ns(g->pid) : 0;
}

struct tally {
	pid_t program; /* the first one's first child */
	uint64_t n, bytes; /* processes; of memory that they share, their part */
};

static int tally_add(void *arg, pid_t pid)
{
	struct tally *t = arg;
	char path[48], line[256];
	unsigned long long kib;
	if (++t->n == 2) /* parents come first, and elder children */
		t->program = pid;
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Pss: %llu", &kib) == 1)
			t->bytes += kib << 10;
	if (f)
		fclose(f);
	return 0;
}

/* Without the first process, which is ours. */
static struct tally guest_tally(const struct guest *g)
{
	struct tally t = {.n = 0};
	if (g->first)
		(void)!host_tree_each(g->first, tally_add, &t);
	t.n -= t.n > 0;
	return t;
}

void windows_stats(void *self, struct json_object *out)
{
	struct guest *g = self;
	struct tally t = guest_tally(g);
	if (g->group.made)
		cgroup_uses(&g->group.g, out);
	if (!json_object_object_get_ex(out, "memory_resident", NULL))
		json_object_object_add(out, "memory_resident", json_object_new_uint64(t.bytes));
	/* groups count threads */
	json_object_object_add(out, "processes", json_object_new_uint64(t.n));
}

void windows_inspect(void *self, struct json_object *out)
{
	const struct guest *g = self;
	struct tally t = guest_tally(g);
	json_object_object_add(out, "program_pid", json_object_new_int64(t.program));
	json_object_object_add(out, "processes", json_object_new_uint64(t.n));
	json_object_object_add(out, "paused_by",
			       json_object_new_string(group_freezes(&g->group) ? "freezer"
									       : "signal"));
}

/* ---- making and unmaking ---- */

int windows_create(void **ret, const struct level_env *env, const struct lodge_config *c,
		 struct lodge_err *e)
{
	int r = windows_check(c, e);
	struct guest *g = r < 0 ? NULL : calloc(1, sizeof *g);
	if (r < 0 || !g)
		return r < 0 ? r : err_set(e, ENOMEM, "out of memory");
	g->env = env;
	g->c = c;
	g->report = g->first_fd = g->status = -1;
	const char *slash = strrchr(env->instance_dir, '/');
	g->id = strdup(slash ? slash + 1 : env->name);
	r = g->id ? streams_new(&g->streams, env->loop, guest_over, g, e)
		  : err_set(e, ENOMEM, "out of memory");
	if (r < 0) {
		free(g->id);
		free(g);
		return r;
	}
	*ret = g;
	return 0;
}

void windows_destroy(void *self)
{
	struct guest *g = self;
	if (g->pid) {
		g->over = true;
		if (windows_kill(g, NULL) < 0)
			kill(g->pid, SIGKILL);
		host_reap(g->pid);
	}
	if (g->watch)
		loop_watch_free(g->watch);
	auto_close(&g->report);
	auto_close(&g->first_fd);
	group_end(&g->group);
	streams_free(g->streams);
	free(g->id);
	free(g);
}

void windows_removed(const char *id) { group_forget(id); }
