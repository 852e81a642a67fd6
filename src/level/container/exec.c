/* SPDX-License-Identifier: Apache-2.0 */
/* One more process in a container that runs: it joins the namespaces of the first one by its pidfd,
 * all at once, enters the control groups, and then takes the same last steps. setns(2) */
#include "level/container/internal.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct visit {
	const struct container_exec *x;
	struct container *c;
	struct oci_doc doc;
	struct box_profile profile;
	struct box_rights rights;
	unsigned flags;     /* namespaces to join */
	int pidfd, proc, console, root, foreign;
	int ends[2];
	volatile int *notify;
	pid_t pid;
};

static _Noreturn void visit_fail(const struct visit *v, const struct lodge_err *e)
{
	(void)!note_send_error(v->ends[1], e);
	_exit(1);
}

/* Those of its namespaces that are not ours: the configuration may say less, for a container may
 * have been given those of another. */
static unsigned flags_find(const struct visit *v)
{
	unsigned flags = 0;
	for (unsigned i = 1; i < OCI_NAMESPACES; i++) {
		char path[64];
		struct stat own, its;
		snprintf(path, sizeof path, "self/ns/%s", box_space_file(i));
		bool have = fstatat(v->proc, path, &own, 0) == 0;
		snprintf(path, sizeof path, "%d/ns/%s", (int)v->c->pid, box_space_file(i));
		if (have && fstatat(v->proc, path, &its, 0) == 0 && own.st_ino != its.st_ino)
			flags |= box_space_flag(i);
	}
	return flags;
}

/* ---- the new process ---- */

static int spaces_join(struct visit *v, struct lodge_err *e)
{
	if (v->flags && setns(v->pidfd, (int)v->flags) < 0)
		return err_sys(e, "joining the namespaces of process %d", (int)v->c->pid);
	if (v->flags & CLONE_NEWUSER && (syscall(SYS_setresgid, 0, 0, 0) < 0 ||
	                                 syscall(SYS_setresuid, 0, 0, 0) < 0))
		return err_sys(e, "becoming root of the user namespace");
	return 0;
}

/* "[CONTROLLER:]PATH" below the container's own */
static int below_enter(const struct visit *v, struct lodge_err *e)
{
	char controller[64];
	const char *path = v->x->cgroup, *colon = path ? strchr(path, ':') : NULL;
	if (!path)
		return 0;
	if (!colon)
		return cgroup_enter_below(&v->c->cgroup, path, NULL, 0, e);
	snprintf(controller, sizeof controller, "%.*s", (int)(colon - path), path);
	return cgroup_enter_below(&v->c->cgroup, colon + 1, controller, 0, e);
}

static int groups_enter(const struct visit *v, struct lodge_err *e)
{
	const struct oci_process *p = v->x->process;
	char text[16];
	int r = cgroup_enter(&v->c->cgroup, 0, false, e);
	if (r == 0)
		r = below_enter(v, e);
	snprintf(text, sizeof text, "%d", (int)p->oom_score_adj.v);
	if (r == 0 && p->oom_score_adj.set &&
	    box_proc_write(v->proc, "self/oom_score_adj", text) < 0 && errno != EACCES)
		r = err_sys(e, ".process.oomScoreAdj");
	return r;
}

static int affinity_set(const struct visit *v, bool final, struct lodge_err *e)
{
	const struct oci_affinity *a = v->x->process->affinity;
	const char *cpus = !a ? NULL : final ? a->final : a->initial;
	return cpus && *cpus ? box_affinity_set(cpus, e) : 0;
}

static int terminal_make(struct visit *v, struct box_console *ret, struct lodge_err *e)
{
	if (!v->x->process->terminal)
		return 0;
	autoclose int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = top < 0 ? err_sys(e, "the root") : box_console_open(top, v->x->process, ret, e);
	if (r < 0)
		return r;
	if (pass_send(v->console, "/dev/console", 13, ret->master) < 0)
		r = err_sys(e, "handing over the terminal");
	close(ret->master);
	return r;
}

/* What is of the host and not to be looked at from the container. */
static void host_close(struct visit *v)
{
	auto_close(&v->pidfd);
	auto_close(&v->proc);
	auto_close(&v->root);
	auto_close(&v->c->dirfd);
	for (size_t i = 0; i < v->c->cgroup.n; i++) {
		auto_close(&v->c->cgroup.at[i].fd);
		v->c->cgroup.at[i].fd = -1;
	}
	v->pidfd = v->proc = v->root = v->c->dirfd = -1;
}

/* All that can be done while the container's processes do not see us. */
static int visit_enter(struct visit *v, struct becoming *p, struct box_console *c,
                       struct lodge_err *e)
{
	int r = affinity_set(v, false, e);
	/* by ourselves, while the host's files are in sight: nobody has to be waited for */
	if (r == 0)
		r = groups_enter(v, e);
	if (r == 0)
		r = spaces_join(v, e);
	if (r == 0 && v->root >= 0 && (fchdir(v->root) < 0 || chroot(".") < 0))
		r = err_sys(e, "the root of the container");
	host_close(v);
	if (r == 0 && chdir("/") < 0)
		r = err_sys(e, "the root of the container");
	if (r == 0)
		r = becoming_keyring(v->c->id, e);
	if (r == 0)
		r = terminal_make(v, c, e);
	auto_close(&v->console);
	v->console = -1;
	if (r == 0)
		r = affinity_set(v, true, e);
	return r == 0 ? becoming_prepare(p, e) : r;
}

/* In the pid namespace only now, with the rights and files of the program: who may look into
 * processes there finds nothing of the host. */
static int sister_start(struct visit *v, struct lodge_err *e)
{
	struct clone_args a = {.flags = CLONE_PARENT};
	if (!(v->flags & CLONE_NEWPID))
		return 0;
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
	if (pid < 0)
		return err_sys(e, "a process");
	if (pid > 0)
		_exit(note_send(v->ends[1], NOTE_PID, pid) < 0);
	return 0;
}

static _Noreturn void visit_child(struct visit *v)
{
	struct lodge_err e = {.code = EIO};
	struct box_console c = {-1, -1};
	struct becoming p = {.spec = v->doc.spec, .process = v->x->process, .rights = &v->rights,
	                     .profile = v->profile.program ? &v->profile : NULL, .proc = -1,
	                     .sync = v->ends[1], .notify = v->notify,
	                     .preserve = v->x->preserve_fds, .foreign = v->foreign};
	close(v->ends[0]);
	host_signals_default();
	(void)!prctl(PR_SET_DUMPABLE, 0);
	int r = visit_enter(v, &p, &c, &e);
	auto_close(&v->foreign); /* the host's; a copy is there if it is needed */
	if (r == 0)
		r = sister_start(v, &e);
	(void)!setsid();
	if (r == 0 && c.slave >= 0)
		r = box_console_take(&c, &e);
	auto_close(&c.slave);
	if (r == 0)
		(void)!becoming_go(&p, &e);
	visit_fail(v, &e);
}

/* ---- the runtime ---- */

static int status_check(struct visit *v, struct lodge_err *e)
{
	enum container_status s = container_status(v->c);
	if (s == CONTAINER_STOPPED)
		return err_set(e, ESRCH, "cannot exec in a stopped container");
	if (s == CONTAINER_PAUSED && !v->x->ignore_paused)
		return err_set(e, EBUSY,
			       "cannot exec in a paused container (use --ignore-paused to "
			       "override)");
	if (s == CONTAINER_CREATING)
		return err_set(e, EBUSY, "cannot exec in a container that is being created");
	v->pidfd = (int)syscall(SYS_pidfd_open, v->c->pid, 0);
	if (v->pidfd < 0 || host_process_began(v->c->pid) != v->c->started)
		return err_set(e, ESRCH, "cannot exec in a stopped container");
	return 0;
}

static int filter_prepare(struct visit *v, struct lodge_err *e)
{
	const struct oci_lin *l = v->doc.spec->lin;
	char root[4096];
	if (!l || !l->seccomp)
		return 0;
	snprintf(root, sizeof root, "%.*s", (int)(strrchr(v->c->dir, '/') - v->c->dir), v->c->dir);
	autoclose int cache = store_cache(root);
	int r = box_profile_open(&v->profile, l->seccomp, cache, e);
	if (r == 0 && v->profile.notify && !(v->notify = listener_page()))
		return err_sys(e, "shared memory");
	return r;
}

/* What a process.json leaves open is as in the configuration. */
static void process_complete(struct oci_process *p, const struct oci_process *own)
{
	if (!own || own == p)
		return;
	if (!p->rlimits.n) {
		p->rlimits.at = own->rlimits.at;
		p->rlimits.n = own->rlimits.n;
	}
	if (!p->capabilities)
		p->capabilities = own->capabilities;
	if (!p->apparmor_profile || !*p->apparmor_profile)
		p->apparmor_profile = own->apparmor_profile;
	if (!p->selinux_label || !*p->selinux_label)
		p->selinux_label = own->selinux_label;
	if (!p->oom_score_adj.set)
		p->oom_score_adj = own->oom_score_adj;
}

static int visit_prepare(struct visit *v, struct lodge_err *e)
{
	struct oci_process *p = v->x->process;
	char path[32];
	int r = status_check(v, e);
	if (r == 0)
		r = container_config(v->c, &v->doc, e);
	if (r == 0)
		process_complete(p, v->doc.process);
	if (r == 0)
		r = v->proc = box_proc_open(e);
	if (r < 0)
		return r;
	bool plain = false;
	r = foreign_level(v->doc.spec, &plain, e);
	if (r == 0 && !plain)
		v->foreign = foreign_open(v->x->runtime);
	if (r == 0)
		r = box_labels_check(p, e);
	box_rights_read(&v->rights, p);
	if (r == 0)
		r = filter_prepare(v, e);
	if (r < 0)
		return r;
	v->flags = flags_find(v);
	/* a root that is no mount of its own is only to be had from the process */
	if (!(v->flags & CLONE_NEWNS)) {
		snprintf(path, sizeof path, "%d/root", (int)v->c->pid);
		v->root = openat(v->proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (v->root < 0)
			return err_sys(e, "the root of the container");
		/* not of another that has its number since */
		if (syscall(SYS_pidfd_send_signal, v->pidfd, 0, NULL, 0) < 0)
			return err_set(e, ESRCH, "cannot exec in a stopped container");
	}
	if (p->terminal) {
		v->console = v->x->console_socket ? pass_connect(v->x->console_socket, e)
		             : v->x->terminal >= 0
		                 ? fcntl(v->x->terminal, F_DUPFD_CLOEXEC, 3)
		                 : err_set(e, EINVAL, "a terminal needs --console-socket");
		if (v->console < 0)
			return v->console;
	}
	return host_packet_pair(v->ends, e);
}

static int visit_start(struct visit *v, struct lodge_err *e)
{
	struct clone_args a = {.exit_signal = SIGCHLD};
	v->pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
	if (v->pid < 0)
		return err_sys(e, "a process");
	if (v->pid == 0)
		visit_child(v);
	close(v->ends[1]);
	v->ends[1] = -1;
	return 0;
}

/* Which process it is, and that it has become the program. The one in between has ended by then. */
static int visit_meet(struct visit *v, struct lodge_err *e)
{
	struct note n;
	pid_t between = v->pid;
	bool sister = v->flags & CLONE_NEWPID;
	int r = sister ? note_wait(v->ends[0], NOTE_PID, &n, e) : 0;
	if (r == 0 && sister)
		v->pid = n.value;
	if (r == 0)
		r = listener_wait(v->ends[0], NOTE_NONE, v->notify, v->pid, v->c, v->doc.spec, e);
	if (sister && v->pid != between)
		host_reap(between);
	return r;
}

static void visit_fini(struct visit *v)
{
	oci_doc_fini(&v->doc);
	box_profile_fini(&v->profile);
	auto_close(&v->pidfd);
	auto_close(&v->proc);
	auto_close(&v->console);
	auto_close(&v->root);
	auto_close(&v->foreign);
	auto_close(&v->ends[0]);
	auto_close(&v->ends[1]);
}

int container_exec(struct container *c, const struct container_exec *x, pid_t *ret_pid,
                   struct lodge_err *e)
{
	struct visit v = {.x = x, .c = c, .pidfd = -1, .proc = -1, .console = -1, .root = -1,
	                  .foreign = -1, .ends = {-1, -1}};
	int r = visit_prepare(&v, e);
	if (r == 0)
		r = visit_start(&v, e);
	if (r == 0)
		r = visit_meet(&v, e);
	if (r == 0 && x->pid_file)
		r = store_pid_file(x->pid_file, v.pid, e);
	if (r < 0 && v.pid > 0)
		host_child_end(v.pid);
	visit_fini(&v);
	if (r == 0)
		*ret_pid = v.pid;
	return r;
}
