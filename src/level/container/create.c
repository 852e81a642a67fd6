/* SPDX-License-Identifier: Apache-2.0 */
/* Making a container, as the runtime sees it. What is made is written down before it is made, so
 * that a creation killed at any moment can be deleted. The first process makes its namespaces
 * while we make the control groups. OCI-RT 1.2 runtime.md "Create" */
#include "level/container/internal.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* ---- what is known before anything is made ---- */

static char *annotations_text(const struct oci_spec *s)
{
	if (!s->annotations.n)
		return NULL;
	struct json_object *o = json_object_new_object();
	for (size_t i = 0; i < s->annotations.n; i++)
		json_object_object_add(o, s->annotations.at[i].key,
		                       json_object_new_string(s->annotations.at[i].value));
	char *own = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	return own;
}

static char *now_text(void)
{
	struct timespec t;
	struct tm tm;
	char day[32], *own = NULL;
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
	return asprintf(&own, "%s.%09ldZ", day, t.tv_nsec) < 0 ? NULL : own;
}

static int root_find(struct container *c, const struct oci_spec *s, struct lodge_err *e)
{
	char *path = NULL;
	if (s->root->path[0] == '/')
		path = strdup(s->root->path);
	else if (asprintf(&path, "%s/%s", c->bundle, s->root->path) < 0)
		path = NULL;
	if (!path)
		return err_set(e, ENOMEM, "out of memory");
	c->rootfs = realpath(path, NULL);
	int r = c->rootfs ? 0 : err_sys(e, ".root.path: %.300s", path);
	free(path);
	return r;
}

static int record_begin(struct birth *b, struct lodge_err *e)
{
	const struct container_request *q = b->q;
	const struct oci_spec *s = q->doc->spec;
	struct container *c = b->c;
	const struct oci_namespace *pids = oci_namespace_of(s, OCI_PID);
	c->bundle = strdup(q->bundle);
	c->created = now_text();
	c->version = strdup(s->version);
	c->annotations = annotations_text(s);
	c->rootless = q->rootless;
	c->owner = geteuid();
	c->hooks = s->hooks && (s->hooks->poststart.n || s->hooks->poststop.n);
	c->own_pids = pids && !(pids->path && *pids->path);
	if (!c->bundle || !c->created || !c->version)
		return err_set(e, ENOMEM, "out of memory");
	const char *path = s->lin ? s->lin->cgroups_path : NULL;
	int r = root_find(c, s, e);
	if (r == 0 && q->systemd) {
		r = cgroup_unit_find(&b->unit, path, c->id, e);
		path = b->unit.path;
		c->unit = r == 0 ? strdup(b->unit.name) : NULL;
	}
	if (r == 0)
		r = cgroup_find(&c->cgroup, path, c->id, q->rootless, e);
	if (r == 0)
		r = store_write(c, "config.json", q->config, q->config_len, e);
	return r == 0 ? store_save(c, e) : r;
}

static void hierarchies_fill(struct birth *b)
{
	const struct cgroup *g = &b->c->cgroup;
	for (size_t i = 0; i < g->n; i++)
		b->hierarchies[i] = (struct box_hierarchy){g->at[i].name, g->at[i].options,
		                                           g->at[i].dir, g->at[i].here,
		                                           g->at[i].v2};
	b->setup.hierarchies = b->hierarchies;
	b->setup.n_hierarchies = g->n;
}

static int profile_prepare(struct birth *b, struct lodge_err *e)
{
	const struct oci_spec *s = b->setup.spec;
	if (!s->lin || !s->lin->seccomp)
		return 0;
	b->cache = store_cache(b->q->root);
	int r = box_profile_open(&b->profile, s->lin->seccomp, b->cache, e);
	if (r == 0 && b->profile.notify && !(b->notify = listener_page()))
		return err_sys(e, "shared memory");
	return r;
}

static int setup_prepare(struct birth *b, struct lodge_err *e)
{
	const struct oci_spec *s = b->setup.spec;
	b->setup.no_pivot = b->q->no_pivot;
	b->setup.root = b->c->rootfs;
	bool plain = false;
	int r = foreign_level(s, &plain, e);
	if (r == 0 && !plain)
		b->foreign = foreign_open(b->q->runtime);
	if (r == 0)
		r = box_spaces_open(&b->spaces, s, e);
	if (r < 0)
		return r;
	b->setup.own_users = b->spaces.make & CLONE_NEWUSER || b->spaces.join[OCI_USER] >= 0;
	b->setup.own_cgroups = b->spaces.make & CLONE_NEWCGROUP || b->spaces.join[OCI_CGROUP] >= 0;
	b->setup.proc = box_proc_open(e);
	if (b->setup.proc < 0)
		return b->setup.proc;
	r = box_sysctl_check(s, e);
	if (r == 0 && s->process) {
		r = box_labels_check(s->process, e);
		box_rights_read(&b->rights, s->process);
	}
	if (r == 0)
		r = profile_prepare(b, e);
	if (r == 0)
		hierarchies_fill(b);
	return r;
}

static bool has_idmaps(const struct oci_spec *s)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct oci_mount *m = &s->mounts.at[i];
		if (m->uid_maps.n)
			return true;
		for (size_t k = 0; k < m->options.n; k++)
			if (!strcmp(m->options.at[k], "idmap") ||
			    !strcmp(m->options.at[k], "ridmap"))
				return true;
	}
	return false;
}

/* Relative sources are of the bundle. */
static int sources_prepare(struct birth *b, struct lodge_err *e)
{
	const struct oci_spec *s = b->setup.spec;
	bool all = b->setup.own_users && geteuid() == 0 && b->spaces.make & CLONE_NEWNS;
	if (!all && !has_idmaps(s))
		return 0;
	b->sources = calloc(s->mounts.n + 1, sizeof *b->sources);
	if (!b->sources)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < s->mounts.n; i++)
		b->sources[i] = -1;
	if (chdir(b->q->bundle) < 0)
		return err_sys(e, "%s", b->q->bundle);
	int r = box_sources_open(b->sources, &b->root_source, &b->setup, all, e);
	b->setup.sources = b->sources;
	b->setup.root_source = b->root_source;
	return r;
}

static int ends_prepare(struct birth *b, struct lodge_err *e)
{
	const struct oci_process *p = b->setup.spec->process;
	int r = host_packet_pair(b->ends, e);
	if (r == 0 && !b->q->run) {
		if (mkfifoat(b->c->dirfd, "exec.fifo", 0600) < 0 ||
		    (b->fifo = openat(b->c->dirfd, "exec.fifo", O_RDWR | O_CLOEXEC)) < 0)
			return err_sys(e, "%s/exec.fifo", b->c->dir);
	}
	if (r == 0 && p && p->terminal) {
		b->console = b->q->console_socket ? pass_connect(b->q->console_socket, e)
			     : b->q->terminal >= 0
				 ? fcntl(b->q->terminal, F_DUPFD_CLOEXEC, 3)
				 : err_set(e, EINVAL,
					   ".process.terminal: nobody takes the terminal: "
					   "use --console-socket");
		r = b->console < 0 ? b->console : 0;
	}
	return r;
}

/* ---- the first process ---- */

static int first_start(struct birth *b, struct lodge_err *e)
{
	struct clone_args a = {.exit_signal = SIGCHLD};
	if (!birth_needs_sister(&b->spaces))
		a.flags = b->spaces.make & (CLONE_NEWPID | CLONE_NEWUSER);
	b->pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
	if (b->pid < 0)
		return err_sys(e, "a process in new namespaces");
	if (b->pid == 0)
		birth_child(b);
	close(b->ends[1]);
	b->ends[1] = -1;
	return 0;
}

static int maps_answer(struct birth *b, struct lodge_err *e)
{
	const struct oci_lin *l = b->setup.spec->lin;
	const struct box_maps m = {l->uid_maps.at, l->gid_maps.at, l->uid_maps.n, l->gid_maps.n};
	struct note n;
	int r = note_wait(b->ends[0], NOTE_MAPS, &n, e);
	if (r == 0)
		r = box_maps_write(b->setup.proc, b->pid, &m, e);
	if (r == 0 && note_send(b->ends[0], NOTE_MAPS, 0) < 0)
		r = err_sys(e, "the first process of the container");
	return r;
}

static int sister_meet(struct birth *b, struct lodge_err *e)
{
	struct note n;
	pid_t between = b->pid;
	int r = note_wait(b->ends[0], NOTE_PID, &n, e);
	if (r == 0)
		b->pid = n.value;
	if (r == 0)
		host_reap(between);
	return r;
}

static int oom_set(const struct birth *b, struct lodge_err *e)
{
	const struct oci_process *p = b->setup.spec->process;
	char path[48], text[16];
	if (!p || !p->oom_score_adj.set)
		return 0;
	snprintf(path, sizeof path, "%d/oom_score_adj", (int)b->pid);
	snprintf(text, sizeof text, "%d", (int)p->oom_score_adj.v);
	/* lower than ours is for privileged ones: as good as can be */
	return box_proc_write(b->setup.proc, path, text) < 0 &&
	       !(b->q->rootless && errno == EACCES) ? err_sys(e, ".process.oomScoreAdj") : 0;
}

static int groups_make(struct birth *b, struct lodge_err *e)
{
	const struct oci_lin *l = b->setup.spec->lin;
	struct cgroup *g = &b->c->cgroup;
	const struct oci_resources *res = l ? l->resources : NULL;
	int r = cgroup_make(g, res, e);
	if (r == 0)
		r = cgroup_set(g, res, !b->q->rootless, e);
	return r;
}

static int groups_enter(struct birth *b, struct lodge_err *e)
{
	const struct cgroup *g = &b->c->cgroup;
	const struct note n = {.kind = NOTE_GROUP};
	bool itself = birth_enters_itself(b);
	int r = cgroup_enter(g, b->pid, itself, e);
	for (size_t i = 0; r == 0 && itself && i < g->n; i++)
		if (!g->at[i].v2 && g->at[i].fd >= 0 &&
		    pass_send(b->ends[0], (const char *)&n, offsetof(struct note, e),
			      g->at[i].fd) < 0 &&
		    errno != EPIPE && errno != ECONNRESET) /* it has ended, and said why */
			r = err_sys(e, "handing over control group %.300s", g->at[i].dir);
	return r;
}

/* From the clone until the child goes on: whatever it has to wait for. */
static int first_raise(struct birth *b, struct lodge_err *e)
{
	int r = 0;
	if (!b->unit.name)
		r = groups_make(b, e);
	if (r == 0 && b->spaces.make & CLONE_NEWUSER)
		r = maps_answer(b, e);
	if (r == 0 && birth_needs_sister(&b->spaces))
		r = sister_meet(b, e);
	if (r == 0 && b->unit.name) {
		r = cgroup_unit_start(&b->unit, b->c->id, b->pid, e);
		if (r == 0)
			r = groups_make(b, e);
	}
	if (r == 0)
		r = groups_enter(b, e);
	if (r == 0)
		r = oom_set(b, e);
	const struct oci_lin *l = b->setup.spec->lin;
	if (r == 0 && l && l->intel_rdt)
		r = cgroup_rdt_enter(l->intel_rdt, b->c->id, b->pid, e);
	if (r < 0)
		return r;
	b->c->pid = b->pid;
	b->c->started = host_process_began(b->pid);
	r = store_save(b->c, e);
	if (r == 0 && note_send(b->ends[0], NOTE_GO, b->pid) < 0) {
		struct note n; /* it has said why it ended */
		r = note_wait(b->ends[0], NOTE_READY, &n, e);
	}
	return r;
}

static int hooks_outside(struct birth *b, struct lodge_err *e)
{
	const struct oci_hooks *h = b->setup.spec->hooks;
	struct note n;
	if (!h)
		return 0;
	int r = note_wait(b->ends[0], NOTE_HOOKS, &n, e);
	if (r < 0)
		return r;
	if (h->prestart.n || h->create_runtime.n) {
		autofree char *state = hook_state(b->c, CONTAINER_CREATING);
		r = chdir(b->q->bundle) < 0 ? err_sys(e, "%s", b->q->bundle) : 0;
		if (r == 0)
			r = hooks_run(HOOKS(h, prestart, "prestart"), state ? state : "", NULL,
				      NULL, e);
		if (r == 0)
			r = hooks_run(HOOKS(h, create_runtime, "createRuntime"), state ? state : "",
				      NULL, NULL, e);
	}
	if (r == 0 && note_send(b->ends[0], NOTE_HOOKS, 0) < 0)
		r = err_sys(e, "the first process of the container");
	return r;
}

static int birth_run(struct birth *b, struct lodge_err *e)
{
	int r = first_start(b, e);
	if (r == 0)
		r = first_raise(b, e);
	if (r == 0)
		r = hooks_outside(b, e);
	if (r == 0)
		r = listener_wait(b->ends[0], b->q->run ? NOTE_NONE : NOTE_READY, b->notify, b->pid,
		                  b->c, b->setup.spec, e);
	if (r < 0)
		return r;
	b->c->ready = true;
	r = store_save(b->c, e);
	return r == 0 && b->q->pid_file ? store_pid_file(b->q->pid_file, b->pid, e) : r;
}

/* ---- the whole ---- */

static void birth_fini(struct birth *b)
{
	box_spaces_fini(&b->spaces);
	box_profile_fini(&b->profile);
	cgroup_unit_fini(&b->unit);
	for (size_t i = 0; b->sources && i < b->setup.spec->mounts.n; i++)
		auto_close(&b->sources[i]);
	free(b->sources);
	auto_close(&b->root_source);
	auto_close(&b->setup.proc);
	auto_close(&b->console);
	auto_close(&b->fifo);
	auto_close(&b->cache);
	auto_close(&b->foreign);
	auto_close(&b->ends[0]);
	auto_close(&b->ends[1]);
}

/* Nothing is left of what did not come to be. */
static void birth_undo(struct birth *b)
{
	const struct oci_hooks *h = b->setup.spec->hooks;
	struct container *c = b->c;
	bool lived = b->pid > 0;
	auto_close(&b->ends[0]); /* one that waits for us ends by itself */
	b->ends[0] = -1;
	if (lived)
		host_child_end(b->pid);
	if (lived && h && h->poststop.n) {
		c->pid = 0;
		autofree char *state = hook_state(c, CONTAINER_STOPPED);
		hooks_try(HOOKS(h, poststop, "poststop"), state ? state : "", b->q->say);
	}
	if (lived) {
		(void)!cgroup_kill(&c->cgroup, SIGKILL, NULL);
		(void)!cgroup_remove(&c->cgroup, NULL);
		cgroup_rdt_remove(c->id);
		if (c->unit)
			cgroup_unit_stop(c->unit);
	}
	(void)!store_remove(c, NULL);
}

int container_create(const struct container_request *q, struct container *ret,
                     struct lodge_err *e)
{
	struct container c = CONTAINER_NONE;
	struct birth b = {.q = q, .c = &c, .spaces = BOX_SPACES_NONE, .root_source = -1,
	                  .console = -1, .fifo = -1, .cache = -1, .foreign = -1, .ends = {-1, -1},
	                  .setup = {.spec = q->doc->spec, .proc = -1,
	                            .root_source = -1}};
	int r = store_make(&c, q->root, q->id, e);
	if (r < 0) {
		if (c.locked)
			(void)!store_remove(&c, NULL);
		container_fini(&c);
		return r;
	}
	r = record_begin(&b, e);
	if (r == 0)
		r = setup_prepare(&b, e);
	if (r == 0)
		r = sources_prepare(&b, e);
	if (r == 0)
		r = ends_prepare(&b, e);
	if (r == 0)
		r = birth_run(&b, e);
	if (r < 0)
		birth_undo(&b);
	birth_fini(&b);
	if (r < 0 || !ret)
		container_fini(&c);
	else
		*ret = c;
	return r;
}

int container_wait(pid_t pid)
{
	int status = host_reap(pid);
	return status < 0 ? 255 : host_exit_code(status);
}
