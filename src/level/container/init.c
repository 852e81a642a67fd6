/* SPDX-License-Identifier: Apache-2.0 */
/* The first process of a container, from clone3 to execve. It is a copy of the runtime's process
 * and has all that was read; nothing is parsed or run anew. It speaks with the runtime by notes.
 * OCI-RT 1.2 runtime.md "Lifecycle" */
#include "level/container/internal.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { UP = IFF_UP | IFF_RUNNING };

static _Noreturn void birth_fail(const struct birth *b, const struct lodge_err *e)
{
	(void)!note_send_error(b->ends[1], e);
	_exit(1);
}

/* ---- namespaces ---- */

static int ids_root(struct lodge_err *e)
{
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return err_sys(e, "becoming root of the user namespace");
	return 0;
}

static int maps_wait(const struct birth *b, struct lodge_err *e)
{
	struct note n;
	if (note_send(b->ends[1], NOTE_MAPS, 0) < 0)
		return err_sys(e, "the runtime");
	int r = note_wait(b->ends[1], NOTE_MAPS, &n, e);
	return r == 0 ? ids_root(e) : r;
}

/* Where rights over what is joined are the host's, or the container's, and the pid namespace is not
 * one that clone3 can make: a process in between joins, and has a sister that is the child of its
 * own parent. */
static int sister_start(struct birth *b, struct lodge_err *e)
{
	int r = box_spaces_join(&b->spaces, e);
	if (r == 0 && b->spaces.make & CLONE_NEWUSER) {
		if (unshare(CLONE_NEWUSER) < 0)
			return err_sys(e, "a user namespace");
		r = maps_wait(b, e);
	} else if (r == 0 && b->spaces.join[OCI_USER] >= 0) {
		r = ids_root(e);
	}
	if (r < 0)
		return r;
	struct clone_args a = {.flags = CLONE_PARENT | (b->spaces.make & CLONE_NEWPID)};
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
	if (pid < 0)
		return err_sys(e, "a process");
	if (pid == 0) {
		(void)!prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)!setsid();
		return 0;
	}
	_exit(note_send(b->ends[1], NOTE_PID, pid) < 0);
}

static int loopback_up(struct lodge_err *e)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = UP};
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0 ? err_sys(e, "the loopback interface") : 0;
}

bool birth_enters_itself(const struct birth *b)
{
	return !b->q->rootless && !(b->spaces.make & CLONE_NEWUSER) &&
	       b->spaces.join[OCI_USER] < 0;
}

bool birth_needs_sister(const struct box_spaces *s)
{
	bool joins = false;
	for (size_t i = 0; i < countof(s->join); i++)
		joins |= s->join[i] >= 0;
	return s->join[OCI_PID] >= 0 || s->join[OCI_USER] >= 0 ||
	       (s->make & CLONE_NEWUSER && joins);
}

/* Until the runtime has put this process into its control groups. Each write there may wait for all
 * processors of the host, so the mounts are made meanwhile. */
static int placed_wait(void *arg, struct lodge_err *e)
{
	struct birth *b = arg;
	struct note n;
	int fd, r;
	if (b->placed)
		return 0;
	while ((r = note_group(b->ends[1], NOTE_GO, &n, &fd, e)) == 0 && fd >= 0) {
		r = cgroup_join(fd, e);
		close(fd);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	b->c->pid = n.value;
	b->placed = true;
	if (b->spaces.make & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(e, "a cgroup namespace");
	return 0;
}

static int spaces_enter(struct birth *b, struct lodge_err *e)
{
	const unsigned later = CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWCGROUP;
	int r = 0;
	if (birth_needs_sister(&b->spaces)) {
		r = sister_start(b, e);
	} else {
		if (b->spaces.make & CLONE_NEWUSER)
			r = maps_wait(b, e);
		if (r == 0)
			r = box_spaces_join(&b->spaces, e);
	}
	if (r == 0 && b->spaces.make & ~later && unshare((int)(b->spaces.make & ~later)) < 0)
		r = err_sys(e, "namespaces");
	if (r == 0 && b->spaces.make & CLONE_NEWTIME)
		r = box_time_offsets(b->setup.proc, b->setup.spec->lin, e);
	/* without root, who may write oom_score_adj is decided by what PR_SET_DUMPABLE changes */
	if (r == 0 && b->q->rootless)
		r = placed_wait(b, e);
	return r == 0 && b->spaces.make & CLONE_NEWNET ? loopback_up(e) : r;
}

/* ---- the root ---- */

static int hooks_inside(struct birth *b, struct lodge_err *e)
{
	const struct oci_hooks *h = b->setup.spec->hooks;
	struct note n;
	if (!h)
		return 0;
	int r = note_send(b->ends[1], NOTE_HOOKS, 0) < 0 ? err_sys(e, "the runtime")
	                                                 : note_wait(b->ends[1], NOTE_HOOKS, &n, e);
	if (r < 0 || !h->create_container.n)
		return r;
	autofree char *state = hook_state(b->c, CONTAINER_CREATING);
	return hooks_run(HOOKS(h, create_container, "createContainer"), state ? state : "", NULL,
			 NULL, e);
}

static int console_make(struct birth *b, int root, struct lodge_err *e)
{
	const struct oci_process *p = b->setup.spec->process;
	struct box_console c;
	if (!p || !p->terminal)
		return 0;
	int r = box_console_open(root, p, &c, e);
	if (r < 0)
		return r;
	r = b->spaces.make & CLONE_NEWNS ? box_console_bind(root, &c, e) : 0;
	if (r == 0 && pass_send(b->console, "/dev/console", 13, c.master) < 0)
		r = err_sys(e, "handing over the terminal");
	if (r == 0)
		r = box_console_take(&c, e);
	close(c.master);
	close(c.slave);
	return r;
}

static int root_make(struct birth *b, struct lodge_err *e)
{
	struct box_root root;
	b->setup.placed = placed_wait;
	b->setup.placed_arg = b;
	int r = box_root_open(&root, &b->setup, e);
	if (r == 0)
		r = box_root_mount(&root, &b->setup, e);
	if (r == 0)
		r = placed_wait(b, e); /* from here on within the limits, and those on devices */
	if (r == 0)
		r = box_devices_make(&root, &b->setup, e);
	if (r == 0)
		r = hooks_inside(b, e);
	if (r == 0)
		r = console_make(b, root.fd, e);
	if (r == 0)
		r = box_paths_hide(&root, &b->setup, e);
	if (r == 0)
		r = box_root_change(&root, &b->setup, e);
	box_root_fini(&root);
	return r;
}

/* No mount namespace of its own, or that of another container: its root is there already. */
static int root_given(struct birth *b, struct lodge_err *e)
{
	int r = placed_wait(b, e);
	if (r == 0)
		r = hooks_inside(b, e);
	if (r < 0)
		return r;
	if (chdir(b->setup.root) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_sys(e, "the root %s", b->setup.root);
	autoclose int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return top < 0 ? err_sys(e, "the root") : console_make(b, top, e);
}

/* ---- the rest ---- */

static int names_set(const struct oci_spec *s, struct lodge_err *e)
{
	if (s->hostname && *s->hostname && sethostname(s->hostname, strlen(s->hostname)) < 0)
		return err_sys(e, ".hostname: %.100s", s->hostname);
	if (s->domainname && *s->domainname &&
	    setdomainname(s->domainname, strlen(s->domainname)) < 0)
		return err_sys(e, ".domainname: %.100s", s->domainname);
	return 0;
}

/* What the host has given us goes, but for what is still needed: moved to the lowest numbers. */
static int descriptors_close(struct birth *b, struct becoming *p, struct lodge_err *e)
{
	unsigned from = 3 + b->q->preserve_fds;
	int keep[] = {b->ends[1], b->fifo, p->foreign};
	int low[countof(keep)] = {-1, -1, -1};
	for (size_t i = 0; i < countof(keep); i++)
		if (keep[i] >= 0 && (low[i] = fcntl(keep[i], F_DUPFD_CLOEXEC, (int)from + 8)) < 0)
			return err_sys(e, "descriptors");
	for (size_t i = 0; i < countof(keep); i++) {
		if (low[i] < 0)
			continue;
		if (dup3(low[i], (int)from, O_CLOEXEC) < 0)
			return err_sys(e, "descriptors");
		low[i] = (int)from++;
	}
	if (syscall(SYS_close_range, from, ~0u, 0) < 0)
		return err_sys(e, "descriptors");
	b->ends[1] = p->sync = low[0];
	b->fifo = low[1];
	p->foreign = low[2];
	p->proc = -1;
	return 0;
}

/* Until somebody writes into the fifo: it is open for both, so it does not end before. */
static int start_wait(const struct birth *b, struct lodge_err *e)
{
	char c;
	ssize_t n;
	if (note_send(b->ends[1], NOTE_READY, 0) < 0)
		return err_sys(e, "the runtime");
	close(b->ends[1]);
	do
		n = read(b->fifo, &c, 1);
	while (n < 0 && errno == EINTR);
	close(b->fifo);
	return n == 1 ? 0 : err_set(e, EIO, "waiting for start");
}

static int birth_enter(struct birth *b, struct becoming *p, struct lodge_err *e)
{
	const struct oci_spec *s = b->setup.spec;
	bool own = b->spaces.make & CLONE_NEWNS;
	int r = spaces_enter(b, e);
	if (r < 0)
		return r;
	(void)!prctl(PR_SET_DUMPABLE,
		     0); /* nobody in the container looks into us, or at our file */
	if (chdir(b->q->bundle) < 0 && !b->setup.own_users)
		return err_sys(e, "%s", b->q->bundle);
	if (!b->q->no_new_keyring)
		r = becoming_keyring(b->c->id, e);
	if (r == 0)
		r = own ? root_make(b, e) : root_given(b, e);
	if (r == 0)
		r = names_set(s, e);
	if (r == 0)
		r = box_sysctl_set(b->setup.proc, s, e);
	if (r == 0 && s->lin && s->lin->personality)
		r = box_personality_set(s->lin->personality, e);
	if (r == 0 && s->process)
		r = becoming_prepare(p, e);
	return r == 0 ? descriptors_close(b, p, e) : r;
}

/* What goes wrong after the runtime has gone can only be said in the container. */
static _Noreturn void birth_late(const struct lodge_err *e)
{
	dprintf(2, "%s\n", e->msg);
	_exit(e->code == ENOENT ? 127 : 126);
}

_Noreturn void birth_child(struct birth *b)
{
	const struct oci_spec *s = b->setup.spec;
	struct lodge_err e = {.code = EIO};
	struct becoming p = {.spec = s, .process = s->process, .rights = &b->rights,
	                     .profile = b->profile.program ? &b->profile : NULL,
	                     .proc = b->setup.proc, .sync = b->ends[1], .notify = b->notify,
	                     .preserve = b->q->preserve_fds, .foreign = b->foreign};
	close(b->ends[0]);
	(void)!prctl(PR_SET_PDEATHSIG, SIGKILL);
	host_signals_default();
	(void)!setsid();
	umask(0);
	if (birth_enter(b, &p, &e) < 0)
		birth_fail(b, &e);
	(void)!prctl(PR_SET_PDEATHSIG, 0);
	bool wait = b->fifo >= 0;
	/* whoever answers the filter is told before the runtime goes */
	if (p.profile && p.profile->notify && becoming_filter(&p, &e) < 0)
		birth_fail(b, &e);
	if (wait && start_wait(b, &e) < 0)
		birth_late(&e);
	if (!s->process) {
		e.code = EINVAL;
		snprintf(e.msg, sizeof e.msg, ".process: it is missing: there is nothing to run");
	} else if (!s->hooks || !s->hooks->start_container.n) {
		(void)!becoming_go(&p, &e);
	} else {
		autofree char *state = hook_state(b->c, CONTAINER_CREATED);
		if (hooks_run(HOOKS(s->hooks, start_container, "startContainer"),
			      state ? state : "", becoming_confine, &p, &e) == 0)
			(void)!becoming_go(&p, &e);
	}
	if (wait)
		birth_late(&e);
	birth_fail(b, &e);
}
