/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a container that there is. OCI-RT 1.2 runtime.md "Operations" */
#include "level/container/internal.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { END_MS = 10000 };

const char *container_status_name(enum container_status s)
{
	static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};
	return names[s];
}

static bool is_alive(const struct container *c)
{
	return c->pid && c->started && host_process_began(c->pid) == c->started;
}

enum container_status container_status(struct container *c)
{
	if (!is_alive(c)) {
		/* before it has a process, who makes it has the lock */
		if (c->pid || c->locked || flock(c->dirfd, LOCK_SH | LOCK_NB) == 0 ||
		    errno != EWOULDBLOCK) {
			if (!c->locked && !c->pid)
				flock(c->dirfd, LOCK_UN);
			return CONTAINER_STOPPED;
		}
		return CONTAINER_CREATING;
	}
	if (faccessat(c->dirfd, "exec.fifo", F_OK, 0) == 0)
		return c->ready ? CONTAINER_CREATED : CONTAINER_CREATING;
	return cgroup_frozen(&c->cgroup) ? CONTAINER_PAUSED : CONTAINER_RUNNING;
}

static void text_add(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text ? text : ""));
}

struct json_object *container_state(struct container *c, enum container_status s, bool full)
{
	struct json_object *o = json_object_new_object();
	text_add(o, "ociVersion", c->version);
	text_add(o, "id", c->id);
	/* one that has stopped has no process, and its number may be another's */
	json_object_object_add(o, "pid", json_object_new_int(s == CONTAINER_STOPPED ? 0
	                                                                            : (int)c->pid));
	text_add(o, "status", container_status_name(s));
	text_add(o, "bundle", c->bundle);
	if (full) {
		text_add(o, "rootfs", c->rootfs);
		text_add(o, "created", c->created);
	}
	if (c->annotations)
		json_object_object_add(o, "annotations", json_tokener_parse(c->annotations));
	if (full)
		text_add(o, "owner", "");
	return o;
}

/* ---- start ---- */

static int start_check(struct container *c, struct lodge_err *e)
{
	switch (container_status(c)) {
	case CONTAINER_CREATED: return 0;
	case CONTAINER_STOPPED:
		return err_set(e, EINVAL, "cannot start a container that has stopped");
	case CONTAINER_RUNNING:
		return err_set(e, EINVAL, "cannot start an already running container");
	case CONTAINER_CREATING:
	case CONTAINER_PAUSED: break;
	}
	return err_set(e, EINVAL, "cannot start a container in the %s state",
	               container_status_name(container_status(c)));
}

static int poststart(struct container *c, const struct container_say *say, struct lodge_err *e)
{
	struct oci_doc doc = {0};
	(void)say;
	if (!c->hooks)
		return 0;
	int r = container_config(c, &doc, e);
	if (r == 0 && doc.spec->hooks) {
		autofree char *state = hook_state(c, CONTAINER_RUNNING);
		r = hooks_run(HOOKS(doc.spec->hooks, poststart, "poststart"), state ? state : "",
			      NULL, NULL, e);
		if (r < 0) /* it must not go on without */
			kill(c->pid, SIGKILL);
	}
	oci_doc_fini(&doc);
	return r;
}

int container_start(struct container *c, const struct container_say *say, struct lodge_err *e)
{
	int r = start_check(c, e);
	if (r < 0)
		return r;
	autoclose int fd = openat(c->dirfd, "exec.fifo", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENXIO
			   ? err_set(e, EINVAL, "cannot start a container that has stopped")
			   : err_sys(e, "%s/exec.fifo", c->dir);
	/* first the name: who looks meanwhile must not find a started one to be created */
	if (unlinkat(c->dirfd, "exec.fifo", 0) < 0 || write(fd, "", 1) != 1)
		return err_sys(e, "%s/exec.fifo", c->dir);
	return poststart(c, say, e);
}

/* ---- signals ---- */

static int signal_send(const struct container *c, int sig)
{
	autoclose int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (fd < 0 || !is_alive(c)) {
		errno = ESRCH;
		return -1;
	}
	return (int)syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
}

/* Rootless there may be none: then the first process, and all in its pid namespace with it. */
static bool has_groups(const struct container *c)
{
	for (size_t i = 0; i < c->cgroup.n; i++)
		if (c->cgroup.at[i].fd >= 0)
			return true;
	return false;
}

int container_kill(struct container *c, int sig, bool all, struct lodge_err *e)
{
	bool alive = is_alive(c);
	if (all && has_groups(c) && (alive || !c->own_pids))
		return cgroup_kill(&c->cgroup, sig, e);
	if (!alive)
		return err_set(e, ESRCH, "container not running");
	/* what it has started would not end with it */
	if (sig == SIGKILL && !c->own_pids && has_groups(c))
		return cgroup_kill(&c->cgroup, SIGKILL, e);
	if (signal_send(c, sig) < 0)
		return errno == ESRCH ? err_set(e, ESRCH, "container not running")
		                      : err_sys(e, "signal %d", sig);
	/* one that stands still would take it only when it goes on */
	if (sig == SIGKILL && cgroup_frozen(&c->cgroup))
		return cgroup_freeze(&c->cgroup, false, e);
	return 0;
}

static void end_wait(const struct container *c)
{
	autoclose int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (fd >= 0 && is_alive(c))
		(void)!poll(&p, 1, END_MS);
	(void)!waitpid(c->pid, NULL, WNOHANG); /* if it is ours */
}

/* ---- delete ---- */

static int end_make(struct container *c, bool force, struct lodge_err *e)
{
	enum container_status s = container_status(c);
	if (s != CONTAINER_STOPPED && !force && s != CONTAINER_CREATED)
		return err_set(e, EBUSY, "cannot delete container %.200s that is not stopped: %s",
			       c->id, container_status_name(s));
	if (s != CONTAINER_STOPPED) {
		int r = is_alive(c) ? container_kill(c, SIGKILL, false, e) : 0;
		if (r < 0 && r != -ESRCH)
			return r;
		end_wait(c);
	}
	/* those that the first one has left, or that a killed creation has never named */
	int r = c->cgroup.n ? cgroup_kill(&c->cgroup, SIGKILL, e) : 0;
	return r == 0 ? cgroup_remove(&c->cgroup, e) : r;
}

static void poststop(struct container *c, const struct container_say *say)
{
	struct oci_doc doc = {0};
	struct lodge_err e;
	if (!c->hooks)
		return;
	if (container_config(c, &doc, &e) < 0) {
		if (say)
			say->warn(say->user, e.msg);
		return;
	}
	autofree char *state = hook_state(c, CONTAINER_STOPPED);
	if (doc.spec->hooks)
		hooks_try(HOOKS(doc.spec->hooks, poststop, "poststop"), state ? state : "", say);
	oci_doc_fini(&doc);
}

int container_delete(struct container *c, bool force, const struct container_say *say,
                     struct lodge_err *e)
{
	int r = end_make(c, force, e);
	if (r < 0)
		return r;
	cgroup_rdt_remove(c->id);
	if (c->unit)
		cgroup_unit_stop(c->unit);
	poststop(c, say);
	return store_remove(c, e);
}

/* ---- the rest ---- */

int container_pause(struct container *c, bool on, struct lodge_err *e)
{
	enum container_status s = container_status(c);
	if (on && s != CONTAINER_RUNNING && s != CONTAINER_CREATED)
		return err_set(e, EINVAL, "container not running or created: %s",
		               container_status_name(s));
	if (!on && s != CONTAINER_PAUSED)
		return err_set(e, EINVAL, "container not paused");
	return cgroup_freeze(&c->cgroup, on, e);
}

int container_update(struct container *c, const struct oci_resources *r, struct lodge_err *e)
{
	enum container_status s = container_status(c);
	if (s == CONTAINER_STOPPED || s == CONTAINER_CREATING)
		return err_set(e, EINVAL, "container not running");
	return cgroup_set(&c->cgroup, r, r->devices.n > 0, e);
}
