/* SPDX-License-Identifier: Apache-2.0 */
/* Processes as objects: this one, and those that it has started. A child is a fork, which begins
 * with the room's state as if nothing had been, in the same box. The thread that has forked it
 * waits for it, and when that thread ends, so does the child: that is how it is terminated, without
 * a call that signals, and no child outlives its parent. */
#include "win/child.h"
#include "win/job.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { KEPT_FD = 3, INHERITED_FROM = 16, ENDED_BY_SIGNAL = 128 };

struct process_object {
	struct object o;
	uint32_t pid, exit_code;
	struct family *family;      /* owned mapping; NULL: this process */
	struct object *main_thread; /* a reference, until it has ended */
	pthread_t keeper;
	int stop;                /* eventfd: the keeper shall end; owned */
	struct running *running; /* its place among all, until it has ended */
	_Atomic(uint32_t) killed;
	uint64_t created;
	struct process_object *next; /* of the children that have not ended */
};

static WIN_STATE struct process_object me;
static WIN_STATE _Atomic(uint32_t) own_job; /* of a process that has no parent here */
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct process_object *all;
} children = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct object *process_object(void)
{
	me.o.kind = KIND_PROCESS;
	me.o.refs = 1 << 30; /* it is nobody's to free */
	me.o.manual = true;
	me.exit_code = STILL_ACTIVE;
	me.pid = process()->pid;
	return &me.o;
}

/* ---- the child's side ---- */

/* At most 5 ms, for the other may have died. */
static void shared_futex(_Atomic(uint32_t) *at, int op, uint32_t v)
{
	const struct timespec most = {.tv_nsec = 5000000};
	syscall(SYS_futex, at, op, v, op == FUTEX_WAIT ? &most : NULL, NULL, 0);
}

/* Of what the parent had: 0 to 2 as @c says, /dev/null, and what handles need. */
static void descriptors_keep(const struct child_start *c)
{
	int std[3];
	uint32_t from = KEPT_FD + 1;
	for (int i = 0; i < 3; i++)
		std[i] = fcntl(c->std[i] < 0 ? KEPT_FD : c->std[i], F_DUPFD, INHERITED_FROM);
	for (size_t i = 0; i < c->child.nhandles; i++) { /* none of them is 0 to 3 from here on */
		int *fd = object_descriptor(c->child.handles[i].o);
		if (fd && *fd <= KEPT_FD)
			*fd = fcntl(*fd, F_DUPFD, INHERITED_FROM);
	}
	for (int i = 0; i < 3; i++)
		(void)!dup2(std[i], i);
	for (;;) { /* close what is between those that stay */
		uint32_t next = UINT32_MAX;
		for (size_t i = 0; i < c->child.nhandles; i++) {
			const int *fd = object_descriptor(c->child.handles[i].o);
			if (fd && *fd >= (int)from && (uint32_t)*fd < next)
				next = (uint32_t)*fd;
		}
		if (next > from)
			(void)!syscall(SYS_close_range, from, next == UINT32_MAX ? next : next - 1,
				       0);
		if (next == UINT32_MAX)
			return;
		from = next + 1;
	}
}

extern uint8_t __start_win_state[], __stop_win_state[];

_Noreturn static void child_main(const struct child_start *given, pid_t parent)
{
	struct child_start own = *given, *c = &own; /* what is given lies on a stack of the guest */
	struct lodge_err e;
	console_forked(); /* before the pipe that its handler writes to is another file, or none */
	c->start.child = &c->child;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(LODGE_EXIT_LODGE);
	atomic_store(&c->child.family->ready, 1);
	shared_futex(&c->child.family->ready, FUTEX_WAKE, 1);
	descriptors_keep(c);
	for (size_t i = 0; i < c->child.nhandles; i++)
		object_inherit(c->child.handles[i].o);
	while (!atomic_load(&c->child.family->may_run))
		shared_futex(&c->child.family->may_run, FUTEX_WAIT, 0);
	munmap((void *)(uintptr_t)GRANULE, WIN_GUEST_END - GRANULE);
	memset(__start_win_state, 0, (size_t)(__stop_win_state - __start_win_state));
	int r = win_run(&c->start, &e);
	process_die(r == -ENOENT ? LODGE_EXIT_NOT_FOUND : LODGE_EXIT_CANNOT, "%s", e.msg);
}

/* ---- the parent's side ---- */

static void process_fini(struct object *o)
{
	struct process_object *p = (struct process_object *)(void *)o;
	munmap(p->family, PAGE);
	close(p->stop);
}

static uint32_t code_of(const struct process_object *p, int status)
{
	if (p->family->told)
		return p->family->exit_code;
	return WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status)
				 : (uint32_t)(ENDED_BY_SIGNAL + WTERMSIG(status));
}

static uint64_t in_100ns(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 10000000 + (uint64_t)t->tv_usec * 10;
}

/* The host counts what its own children used as the process's; their jobs have that already. */
static void usage_tell(struct process_object *p, const struct rusage *u, bool crashed)
{
	const struct win_child *c = process()->start->child;
	uint64_t user = in_100ns(&u->ru_utime), kernel = in_100ns(&u->ru_stime);
	if (c) {
		atomic_fetch_add(&c->family->user, user);
		atomic_fetch_add(&c->family->kernel, kernel);
	}
	struct usage own = {user - (p->family->user < user ? p->family->user : user),
			    kernel - (p->family->kernel < kernel ? p->family->kernel : kernel),
			    (uint32_t)(u->ru_minflt + u->ru_majflt)};
	job_ended(p->pid, &own, crashed);
}

/* By its keeper, which others may want to end from here on. */
static void child_remember(struct process_object *p)
{
	p->keeper = pthread_self();
	pthread_mutex_lock(&children.lock);
	p->next = children.all;
	children.all = p;
	pthread_mutex_unlock(&children.lock);
}

static void child_forget(const struct process_object *p)
{
	pthread_mutex_lock(&children.lock);
	for (struct process_object **at = &children.all; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	pthread_mutex_unlock(&children.lock);
}

static void process_ended(struct process_object *p)
{
	int status = 0;
	struct rusage u = {0};
	while (wait4((pid_t)p->pid, &status, 0, &u) < 0 && errno == EINTR)
		continue;
	child_forget(p);
	running_drop(p->running);
	uint32_t code = code_of(p, status);
	usage_tell(p, &u, code >> 30 == 3); /* STATUS_... of an exception */
	wait_locked();
	p->exit_code = code;
	p->o.count = 1;
	wait_wake(&p->o);
	thread_foreign_end(p->main_thread, p->exit_code);
	wait_wake(p->main_thread);
	wait_unlocked();
	object_unref(p->main_thread);
	object_unref(&p->o);
}

struct launch {
	struct child_start *c;
	struct process_object *p;
	_Atomic(uint32_t) begun; /* futex: 1 it is there, 2 there is no process */
};

static void *keeper_main(void *arg)
{
	struct launch *l = arg;
	struct process_object *p = l->p;
	pid_t mine = getpid(), pid = fork();
	if (pid == 0)
		child_main(l->c, mine);
	p->pid = (uint32_t)pid;
	thread_foreign_tid(p->main_thread, p->pid);
	if (pid > 0) {
		child_remember(p);
		running_is(p->running, p->pid);
		job_began(p->family->job, p->pid);
	}
	int fd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	atomic_store(&l->begun, pid < 0 ? 2 : 1); /* l is gone from here on */
	futex_wake(&l->begun, 1);
	if (pid < 0)
		return NULL;
	struct pollfd wait[2] = {{.fd = fd, .events = POLLIN}, {.fd = p->stop, .events = POLLIN}};
	/* before, it would not be killed with this thread */
	while (!atomic_load(&p->family->ready) && poll(wait, 1, 0) == 0)
		shared_futex(&p->family->ready, FUTEX_WAIT, 0);
	while (poll(wait, 2, -1) < 0 && errno == EINTR)
		continue;
	close(fd);
	if (wait[1].revents) /* this thread's end is the child's */
		return NULL;
	if (!atomic_exchange(&p->killed, 1)) /* nobody joins it */
		pthread_detach(pthread_self());
	process_ended(p);
	return NULL;
}

static int keeper_start(struct launch *l)
{
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&l->p->keeper, NULL, keeper_main, l);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	while (!atomic_load(&l->begun))
		futex_wait(&l->begun, 0, NEVER);
	if (l->begun == 1)
		return 0;
	pthread_join(l->p->keeper, NULL);
	return -EAGAIN;
}

int child_new(struct child_start *c, bool suspended, uint32_t job, struct object **ret,
	      struct object **ret_thread)
{
	struct process_object *p = object_new(KIND_PROCESS, sizeof *p);
	if (!p)
		return -ENOMEM;
	if (!(p->running = running_take())) {
		free(p);
		return -EDQUOT;
	}
	p->family = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p->stop = eventfd(0, EFD_CLOEXEC);
	if (p->family == MAP_FAILED || p->stop < 0) {
		if (p->family != MAP_FAILED)
			munmap(p->family, PAGE);
		if (p->stop >= 0)
			close(p->stop);
		running_drop(p->running);
		free(p);
		return -ENOMEM;
	}
	p->o.fini = process_fini;
	p->o.manual = true;
	p->exit_code = STILL_ACTIVE;
	p->created = filetime_now();
	p->family->may_run = !suspended;
	p->family->job = job;
	c->child.family = p->family;
	c->start.child = &c->child;
	struct launch l = {.c = c, .p = p};
	object_ref(&p->o); /* the keeper's, until it has ended */
	struct object *t = p->main_thread = thread_foreign(&p->o);
	if (t)
		object_ref(t);
	int r = t ? keeper_start(&l) : -ENOMEM;
	if (r == 0) {
		*ret = &p->o;
		*ret_thread = t;
		return 0;
	}
	running_drop(p->running);
	object_unref(t);
	object_unref(t);
	object_unref(&p->o);
	object_unref(&p->o);
	return r;
}

uint32_t child_resume(struct object *o)
{
	struct process_object *p = (struct process_object *)(void *)o;
	uint32_t before = !atomic_exchange(&p->family->may_run, 1);
	shared_futex(&p->family->may_run, FUTEX_WAKE, 1);
	return before;
}

void child_kill(struct object *o, uint32_t code)
{
	struct process_object *p = (struct process_object *)(void *)o;
	if (p->o.count || atomic_exchange(&p->killed, 1))
		return;
	if (!atomic_exchange(&p->family->told, 1))
		atomic_store(&p->family->exit_code, code);
	(void)!eventfd_write(p->stop, 1);
	pthread_join(p->keeper, NULL);
	if (!p->o.count)
		process_ended(p);
}

void children_kill(bool (*in)(uint32_t job, uint32_t of), uint32_t job, uint32_t code)
{
	for (;;) {
		struct process_object *p;
		pthread_mutex_lock(&children.lock);
		for (p = children.all; p && (p->killed || !in(p->family->job, job)); p = p->next)
			continue;
		if (p)
			object_ref(&p->o);
		pthread_mutex_unlock(&children.lock);
		if (!p)
			return;
		child_kill(&p->o, code);
		object_unref(&p->o);
	}
}

_Atomic(uint32_t) *job_of_process(struct object *o)
{
	struct process_object *p = (struct process_object *)(void *)o;
	const struct win_child *c = p == &me ? process()->start->child : NULL;
	return p != &me ? &p->family->job : c ? &c->family->job : &own_job;
}

uint32_t process_pid(const struct object *o)
{
	return ((const struct process_object *)(const void *)o)->pid;
}

uint32_t process_code(const struct object *o)
{
	return ((const struct process_object *)(const void *)o)->exit_code;
}

uint32_t process_wait(struct object *o)
{
	(void)!wait_for(&o, 1, false, NEVER, false);
	uint32_t code = process_code(o);
	object_unref(o);
	return code;
}

/* ---- functions ---- */

API(uint32_t, k32_TerminateProcess, handle h, uint32_t code)
{
	struct object *o = object_get(h, KIND_PROCESS);
	if (!o)
		return 0;
	if (o == &me.o)
		process_end(code);
	bool gone = o->count > 0;
	if (!gone)
		child_kill(o, code);
	object_unref(o);
	return gone ? fail(ERROR_ACCESS_DENIED) : 1;
}

API(uint32_t, k32_GetExitCodeProcess, handle h, uint32_t *ret)
{
	struct process_object *p = object_get(h, KIND_PROCESS);
	if (!p)
		return 0;
	*ret = p->exit_code;
	object_unref(&p->o);
	return 1;
}

API(uint32_t, k32_GetProcessId, handle h)
{
	struct process_object *p = object_get(h, KIND_PROCESS);
	uint32_t pid = p ? p->pid : 0;
	object_unref(p ? &p->o : NULL);
	return pid;
}

struct wanted {
	uint32_t pid;
	struct object *o;
};

static void process_match(struct object *o, void *arg)
{
	struct wanted *w = arg;
	if (((struct process_object *)(void *)o)->pid != w->pid || w->o)
		return;
	object_ref(o);
	w->o = o;
}

/* This one, or one that it has a handle of. */
API(handle, k32_OpenProcess, uint32_t access, uint32_t inherit, uint32_t pid)
{
	struct wanted w = {.pid = pid};
	(void)access;
	if (pid == process()->pid) {
		w.o = process_object();
		object_ref(w.o);
	} else {
		handles_each(KIND_PROCESS, process_match, &w);
	}
	return w.o ? object_handle(w.o, inherit != 0) : fail(ERROR_INVALID_PARAMETER);
}
