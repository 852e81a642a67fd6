/* SPDX-License-Identifier: Apache-2.0 */
/* fork: this process twice. The guest's memory is ours, so that the host's fork does nearly all;
 * what engines keep is theirs to divide. Linux 6.1 kernel/fork.c */
#include "level/process/internal.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

/* What the host's fork has no word for, or does itself. */
#define OURS                                                                                       \
	(CLONE_VM | CLONE_VFORK | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |        \
	 CLONE_CHILD_CLEARTID | CLONE_SYSVSEM | CLONE_DETACHED)

static void child_begin(struct task *t, const struct clone *c)
{
	struct rv_hart *h = t->h;
	signals_forked(t);
	code_unshare(t, false);
	debug_forked(t);
	if (c->stack)
		h->x[2] = c->stack;
	if (c->flags & CLONE_SETTLS)
		h->x[4] = c->tls;
	t->clear_tid = c->flags & CLONE_CHILD_CLEARTID ? c->child_tid : 0;
	uint32_t tid = (uint32_t)gettid();
	if (c->flags & CLONE_CHILD_SETTID)
		(void)!linux_write(&t->p->sys, c->child_tid, &tid, sizeof tid);
}

/* The plain one sees to the locks of the C library; the others are for programs that do so too. */
static int64_t host_fork(const struct clone *c)
{
	uint64_t flags = c->flags & ~(uint64_t)OURS;
	int64_t pid = !flags && c->signal == SIGCHLD
			? fork()
			: syscall(SYS_clone, flags | (uint64_t)c->signal, 0,
	                          flags & CLONE_PIDFD ? c->parent_tid : 0, 0, 0);
	return pid < 0 ? -errno : pid;
}

/* A parent of vfork goes on when the child has another program or none: when nobody has the other
 * end of this any more. */
static void vfork_wait(struct task *t, int fd)
{
	struct pollfd f = {.fd = fd, .events = POLLIN};
	while (poll(&f, 1, -1) < 0 && errno == EINTR)
		halt_away_kicked(t);
	close(fd);
}

int64_t fork_run(struct task *t, const struct clone *c)
{
	struct proc *p = t->p;
	const struct engine *g = p->engine;
	struct report *report = NULL;
	int ends[2] = {-1, -1};
	if (g->fork_begin && g->fork_begin(t->h, NULL) < 0)
		return -ENOMEM;
	if (c->flags & CLONE_VFORK && pipe2(ends, O_CLOEXEC) < 0)
		ends[0] = ends[1] = -1; /* then it does not wait */
	if (ends[0] >= 0 && c->flags & CLONE_VM)
		report = report_new(t, c);
	struct kept_slot *slot = halt_fork(p), *mine = p->slot;
	pthread_rwlock_wrlock(&p->space.lock);
	tasks_fork_begin(t);
	int64_t pid = host_fork(c);
	halt_forked(p, slot, pid);
	if (pid) /* a lock for writing is its thread's, which the child is not */
		pthread_rwlock_unlock(&p->space.lock);
	else
		pthread_rwlock_init(&p->space.lock, NULL);
	tasks_fork_end(t, pid == 0);
	if (g->fork_end)
		g->fork_end(t->h, pid == 0);
	if (pid == 0) {
		auto_close(&ends[0]);
		auto_close(&p->vfork_fd);
		p->vfork_fd = ends[1] < 0 ? -1 : linux_fd_own(&p->sys, ends[1]);
		report_drop(t->report);
		t->report = report;
		child_begin(t, c);
		p->lender = mine;
		if (halt_wanted(p))
			rv_hart_request(t->h, RV_REQ_LOOK);
		return 0;
	}
	auto_close(&ends[1]);
	if (pid > 0 && c->flags & CLONE_PARENT_SETTID)
		(void)!linux_write(&p->sys, c->parent_tid, &(uint32_t){(uint32_t)pid}, 4);
	if (pid > 0 && ends[0] >= 0) {
		halt_away(t, true);
		vfork_wait(t, ends[0]);
		halt_away(t, false);
	} else {
		auto_close(&ends[0]);
	}
	pid = report_take(t, report, pid);
	report_drop(report);
	return pid;
}
