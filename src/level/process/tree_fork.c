/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a program that goes on: the first one forks its children by their numbers, these
 * theirs, with sessions and groups, before any of them is what it was. Then one after the other
 * becomes that. setsid(2), setpgid(2), credentials(7) */
#include "level/process/saved.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

enum { PATIENCE_S = 60, SPARE_MAX = 1 << 22 };

/* Memory that all of them share. */
struct together {
	_Atomic uint32_t changes; /* a futex */
	_Atomic uint32_t born, grouped, joined, turn;
	_Atomic bool grown[TREE_MAX]; /* by the place in kin: so are all that descend from it */
	_Atomic bool failed;
	struct lodge_err err; /* of the first that has */
};

static void change_tell(struct together *g)
{
	g->changes++;
	syscall(SYS_futex, &g->changes, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void counted(struct together *g, _Atomic uint32_t *counter)
{
	(*counter)++;
	change_tell(g);
}

/* Until @counter is @n, or @flag set (one of them is NULL). */
static int await(struct together *g, const _Atomic uint32_t *counter, uint32_t n,
		 const _Atomic bool *flag, struct lodge_err *e)
{
	const struct timespec second = {1, 0};
	for (int s = 0; s < PATIENCE_S;) {
		uint32_t now = g->changes;
		if (g->failed)
			return err_set(e, g->err.code ? g->err.code : EIO, "%s", g->err.msg);
		if (counter ? *counter >= n : *flag)
			return 0;
		long r = syscall(SYS_futex, &g->changes, FUTEX_WAIT, now, &second, NULL, 0);
		s = r < 0 && errno == ETIMEDOUT ? s + 1 : 0;
	}
	return err_set(e, ETIMEDOUT, "a process of the program does not come back");
}

_Noreturn void tree_fail(struct tree *t, const struct lodge_err *why)
{
	if (!t->together->failed)
		t->together->err = *why;
	t->together->failed = true;
	change_tell(t->together);
	_exit(LODGE_EXIT_LODGE);
}

/* ---- births ---- */

static bool is_taken(const struct tree *t, int pid)
{
	if (tree_find(t, (uint64_t)pid))
		return true;
	for (unsigned i = 0; i < t->n; i++)
		for (unsigned k = 1; k < t->each[i].p.threads; k++)
			if (restore_tid(&t->each[i], k) == pid)
				return true;
	return false;
}

/* Whose parent is gone: by a process between that goes, too. 0: in the child, else its number. */
static pid_t orphan_fork(const struct tree *t, const struct kin *k)
{
	int spare = 2;
	while (spare < SPARE_MAX && is_taken(t, spare))
		spare++;
	if (!init_next_pid(spare))
		return -1;
	pid_t between = fork();
	if (between) {
		return host_reap(between) == 0 ? (pid_t)k->pid : -1;
	}
	if (!init_next_pid((int)k->pid))
		_exit(1);
	pid_t pid = fork();
	if (pid)
		_exit(pid != (pid_t)k->pid);
	while (getppid() != 1)
		sched_yield();
	return 0;
}

/* 1: in the child. */
static int child_fork(struct tree *t, const struct kin *k, struct lodge_err *e)
{
	pid_t pid = -1;
	if (k->parent == 1)
		pid = orphan_fork(t, k);
	else if (init_next_pid((int)k->pid))
		pid = fork();
	if (pid == 0 && getpid() == (pid_t)k->pid)
		return 1;
	if (pid != (pid_t)k->pid)
		return err_set(e, EBUSY, "the process %u of the program could not be made",
			       (unsigned)k->pid);
	return await(t->together, NULL, 0, &t->together->grown[k - t->kin], e);
}

/* Make the children of this process. Its number in kin, of the child that this is then; 0: all are
 * there. Those that are in the session that it has left come before it leaves. */
static int children_fork(struct tree *t, struct lodge_err *e)
{
	const struct kin *self = &t->kin[t->self];
	bool own = kin_leads(self);
	for (int later = 0; later < 2; later++) {
		if (later && own && t->self && setsid() < 0)
			return err_sys(e, "a session of the program");
		for (unsigned i = 1; i < t->nkin; i++) {
			const struct kin *k = &t->kin[i];
			bool late = own && k->session == self->session;
			if (tree_parent(t, k) != self || late != (later != 0))
				continue;
			int r = child_fork(t, k, e);
			if (r)
				return r < 0 ? r : (int)i;
		}
	}
	return 0;
}

/* ---- groups, and those that have ended ---- */

static _Noreturn void end_again(const struct kin *k)
{
	sigset_t one;
	if (k->end == KIN_EXITED)
		_exit((int)k->status);
	int sig = (int)k->status;
	prctl(PR_SET_DUMPABLE, 0); /* no core file a second time */
	host_signals_default();
	sigemptyset(&one);
	sigaddset(&one, sig);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	kill(getpid(), sig);
	_exit(0);
}

static int groups_make(struct tree *t, struct lodge_err *e)
{
	struct together *g = t->together;
	const struct kin *k = &t->kin[t->self];
	pid_t group = (pid_t)k->group;
	counted(g, &g->born);
	int r = await(g, &g->born, t->nkin, NULL, e);
	if (r == 0 && k->group == k->pid && getpgrp() != group && setpgid(0, 0) < 0)
		r = err_sys(e, "a process group of the program");
	counted(g, &g->grouped);
	if (r == 0)
		r = await(g, &g->grouped, t->nkin, NULL, e);
	if (r == 0 && getpgrp() != group && setpgid(0, group) < 0)
		r = err_sys(e, "the process group %d of the program", (int)group);
	counted(g, &g->joined);
	return r < 0 ? r : await(g, &g->joined, t->nkin, NULL, e);
}

/* Its children that had ended have; that they say so is no news. */
static void ended_await(const struct tree *t)
{
	siginfo_t si;
	for (unsigned i = 1; i < t->nkin; i++)
		if (t->kin[i].end != KIN_LIVES && tree_parent(t, &t->kin[i]) == &t->kin[t->self])
			while (waitid(P_PID, (id_t)t->kin[i].pid, &si, WEXITED | WNOWAIT) < 0 &&
			       errno == EINTR)
				continue;
	signal(SIGCHLD, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
}

/* The group in the foreground of the terminal, which the first process has. */
static void foreground_set(const struct tree *t)
{
	uint64_t group = t->each[0].p.foreground;
	const struct kin *lead = group ? tree_find(t, group) : NULL;
	if (!lead || lead->group != group)
		return;
	signal(SIGTTOU, SIG_IGN);
	(void)!tcsetpgrp(0, (pid_t)group);
	signal(SIGTTOU, SIG_DFL);
}

int tree_fork(struct tree *t, struct lodge_err *e)
{
	void *at = mmap(NULL, sizeof *t->together, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return err_set(e, ENOMEM, "out of memory");
	t->together = at;
	int r = 0, child = t->kin[0].pid == (uint64_t)getpid();
	if (!child)
		return err_set(e, EBUSY, "the program's number %u could not be had",
			       (unsigned)t->kin[0].pid);
	while (r == 0 && (child = children_fork(t, e))) {
		r = child < 0 ? child : 0;
		t->self = child < 0 ? t->self : (unsigned)child;
	}
	t->together->grown[t->self] = true;
	change_tell(t->together);
	const struct kin *k = &t->kin[t->self];
	if (r == 0)
		r = groups_make(t, e);
	if (r == 0 && k->end != KIN_LIVES)
		end_again(k);
	if (r == 0)
		ended_await(t);
	if (r == 0 && t->self == 0)
		foreground_set(t);
	if (r == 0)
		r = await(t->together, &t->together->turn, k->process, NULL, e);
	if (r < 0 && t->self)
		tree_fail(t, e);
	return r;
}

int tree_next(struct tree *t, struct lodge_err *e)
{
	counted(t->together, &t->together->turn);
	return t->self ? 0 : await(t->together, &t->together->turn, t->n, NULL, e);
}
