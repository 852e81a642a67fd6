/* SPDX-License-Identifier: Apache-2.0 */
/* The first process of a program's PID namespace. It starts the program, reaps whoever has lost a
 * parent, lets all of them halt, and takes all of them along when the program or the keeper ends.
 * pid_namespaces(7), user_namespaces(7) */
#include "level/process/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { HALT_PATIENCE_MS = 5000, HALT_STEP_MS = 20 };

struct init {
	const struct init_plan *plan;
	struct kept *kept;
	pid_t lead;      /* the program */
	uint32_t number; /* of the last halt */
	bool halting;
};

/* ---- the namespace ---- */

/* An ordinary user becomes the same user in a user namespace, where making others is a right. */
static int user_begin(struct lodge_err *e)
{
	const struct host_ids self = {.uid = geteuid(), .gid = getegid()};
	if (self.uid == 0)
		return 0;
	return err_in(e, host_userns_enter(0, &self, e),
	              "a guest of a program needs one, lodge run without -d does not");
}

/* /proc of the namespace. Where it cannot be had the host's stays, which shows other numbers. */
static void proc_begin(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return;
	(void)!mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/* ---- the program ---- */

/* The next process or thread of this namespace has the number @pid. */
bool init_next_pid(int pid)
{
	char text[24];
	snprintf(text, sizeof text, "%d", pid - 1);
	return host_text_put(AT_FDCWD, "/proc/sys/kernel/ns_last_pid", text) == 0;
}

static _Noreturn void lead_main(const struct init_plan *p)
{
	struct control_message hello = {.value = 0};
	prctl(PR_SET_PDEATHSIG, 0);
	setsid();
	if (p->tty)
		ioctl(p->in, TIOCSCTTY, 0);
	dup2(p->in, 0);
	dup2(p->out, 1);
	dup2(p->out, 2);
	/* these are moved out of the program's way when it begins */
	host_fds_close((const int[]){p->life, p->ready}, 2);
	host_signals_default();
	umask(p->umask);
	hello.value = p->run(p->user, p, &hello.err);
	(void)!host_packet_send(p->ready, &hello, sizeof hello, -1);
	_exit(LODGE_EXIT_LODGE);
}

static bool lead_start(struct init *i)
{
	const struct init_plan *p = i->plan;
	if (p->lead_pid && !init_next_pid(p->lead_pid))
		return false;
	i->lead = fork();
	if (i->lead == 0)
		lead_main(p);
	close(p->ready);
	close(p->life);
	close(p->in);
	if (p->out != p->in)
		close(p->out);
	p->kept->lead = i->lead;
	return i->lead > 0 && (!p->lead_pid || i->lead == p->lead_pid);
}

/* ---- halts ---- */

/* Has @pid, of @s, been stopped by a signal, or ended? */
static bool stands_anyway(struct kept_slot *s, int pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	const char *end = n > 0 ? strrchr(text, ')') : NULL;
	if (end && end[1] && end[2] && strchr("ZX", end[2]))
		atomic_compare_exchange_strong(&s->pid, &pid, 0);
	return end && end[1] && end[2] && strchr("TtZX", end[2]);
}

/* The process that @s is of, if it is to halt and has not; 0: there is none. The number is read
 * once: its owner may leave, and 0 would be all of us. */
static int slot_waits(const struct init *i, struct kept_slot *s)
{
	int pid = s->pid;
	if (pid <= 1 || s->halted == i->number)
		return 0;
	if (kill(pid, 0) == 0)
		return pid;
	atomic_compare_exchange_strong(&s->pid, &pid, 0);
	return 0;
}

/* Wait until @pid, of @s, stands still, for a moment. False: it does not yet, and is kicked. */
static bool slot_stands(const struct init *i, struct kept_slot *s, int pid)
{
	struct timespec step = {.tv_nsec = HALT_STEP_MS * 1000000};
	uint32_t was = s->halted;
	if (was != i->number)
		syscall(SYS_futex, &s->halted, FUTEX_WAIT, was, &step, NULL, 0);
	if (s->halted == i->number || stands_anyway(s, pid))
		return true;
	kill(pid, SIGNAL_KICK);
	return false;
}

/* One look at all of them. Returns who does not stand still yet; 0: all do. *@ret_again: one came
 * to a stop just now, and may have forked before. */
static int halt_round(const struct init *i, bool *ret_again)
{
	int late = 0, pid;
	*ret_again = false;
	for (size_t k = 0; k < KEPT_PROCESSES; k++) {
		struct kept_slot *s = &i->kept->slot[k];
		pid = slot_waits(i, s);
		if (pid && !slot_stands(i, s, pid))
			late = pid;
		else if (pid && s->halted == i->number)
			*ret_again = true;
	}
	return late;
}

static int halt(struct init *i, struct lodge_err *e)
{
	uint64_t end = host_monotonic_ns() + HALT_PATIENCE_MS * UINT64_C(1000000);
	bool again;
	int pid;
	i->number = (i->number + 1) | 1;
	i->kept->want = i->number;
	i->halting = true;
	syscall(SYS_futex, &i->kept->want, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	/* a process that is forked meanwhile looks by itself, but may have to be waited for */
	for (size_t k = 0; k < KEPT_PROCESSES; k++)
		if ((pid = slot_waits(i, &i->kept->slot[k])))
			kill(pid, SIGNAL_KICK);
	while ((pid = halt_round(i, &again)) || again)
		if (pid && host_monotonic_ns() > end)
			return err_set(e, ETIMEDOUT, "process %d of the program does not come to a "
			               "stop", pid);
	return 0;
}

static void go(struct init *i)
{
	if (!i->halting)
		return;
	i->halting = false;
	i->number = i->kept->want + 1;
	i->kept->want = i->number;
	syscall(SYS_futex, &i->kept->want, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* ---- */

static void control_do(struct init *i)
{
	struct control_message m, answer = {.value = 0};
	if (!kept_receive(i->plan->control, &m, sizeof m, NULL))
		_exit(1); /* the keeper is gone; so is the namespace */
	answer.what = m.what;
	switch (m.what) {
	case CONTROL_HALT:
		answer.value = halt(i, &answer.err);
		if (answer.value < 0)
			go(i);
		break;
	case CONTROL_GO: go(i); break;
	case CONTROL_SIGNAL: answer.value = kill(i->lead, m.value) < 0 ? -errno : 0; break;
	case CONTROL_KILL: kill(-1, SIGKILL); break;
	case CONTROL_ENDED: answer.value = -EINVAL; break;
	}
	(void)!host_packet_send(i->plan->control, &answer, sizeof answer, -1);
}

/* Nobody stays behind: the namespace ends with this process. */
static _Noreturn void ended(struct init *i, int status)
{
	struct control_message m = {.what = CONTROL_ENDED, .value = status};
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
	(void)!host_packet_send(i->plan->control, &m, sizeof m, -1);
	_exit(0);
}

static void reap(struct init *i)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == i->lead)
			ended(i, status);
}

static _Noreturn void first_main(const struct init_plan *p, struct kept *kept)
{
	struct init i = {.plan = p, .kept = kept, .number = kept->want, .halting = kept->want & 1};
	sigset_t children;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "lodge-init");
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	int fd = signalfd(-1, &children, SFD_CLOEXEC);
	proc_begin();
	if (fd < 0 || !lead_start(&i))
		_exit(1);
	for (;;) {
		struct pollfd f[] = {{.fd = p->control, .events = POLLIN},
				     {.fd = fd, .events = POLLIN}};
		struct signalfd_siginfo si;
		if (poll(f, countof(f), -1) < 0)
			continue;
		if (f[1].revents && read(fd, &si, sizeof si) > 0)
			reap(&i);
		if (f[0].revents)
			control_do(&i);
	}
}

_Noreturn void init_main(const struct init_plan *p)
{
	struct control_message hello = {.value = 0};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	host_fds_close((const int[]){p->control, p->life, p->in, p->out, p->ready}, 5);
	hello.value = user_begin(&hello.err);
	if (hello.value == 0 && unshare(CLONE_NEWPID) < 0)
		hello.value = err_sys(&hello.err, "making a PID namespace");
	pid_t first = hello.value < 0 ? -1 : fork();
	if (first == 0)
		first_main(p, p->kept);
	if (hello.value == 0 && first < 0)
		hello.value = err_sys(&hello.err, "starting the program");
	if (hello.value < 0)
		(void)!host_packet_send(p->ready, &hello, sizeof hello, -1);
	close(p->ready);
	close(p->life);
	close(p->in);
	if (p->out != p->in)
		close(p->out);
	host_reap(first);
	_exit(0);
}
