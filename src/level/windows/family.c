/* SPDX-License-Identifier: Apache-2.0 */
/* The processes around a program that is kept, limited or timed: one outside, which sees to what
 * shall be gone when the program is, and the first of a pid namespace, with which all that the
 * program has started ends. Signals to that one reach them all at once, those too that are being
 * forked. pid_namespaces(7) */
#include "box/box.h"
#include "level/windows/internal.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

enum { STAND_MS = 5000, DEATH_NS = 1000000000, EXIT_TIMEOUT = LODGE_EXIT_TIMEOUT, ALL = -1 };

static void word_say(int fd, enum word_what what, int value, const struct lodge_err *e)
{
	struct word w = {.what = what, .value = value};
	if (e)
		w.err = *e;
	(void)!host_packet_send(fd, &w, sizeof w, -1);
}

static void first_say(const struct family *f, pid_t first)
{
	struct word w = {.what = WORD_FIRST, .value = (int)first};
	(void)!host_packet_send(f->report, &w, sizeof w, f->first);
}

/* ---- the program ---- */

static void streams_take_over(const struct family *f)
{
	setsid();
	if (f->c->flags & LODGE_TTY)
		ioctl(f->in, TIOCSCTTY, 0);
	dup2(f->in, 0);
	dup2(f->out, 1);
	dup2(f->out, 2);
	umask(f->umask);
	(void)!chdir("/");
}

static _Noreturn void program_main(const struct family *f)
{
	struct lodge_err e = {.code = 0};
	if (f->kept)
		streams_take_over(f);
	host_fds_close(&f->report, 1);
	host_signals_default();
	const char *slash = strrchr(f->c->guest, '/');
	prctl(PR_SET_NAME, slash ? slash + 1 : f->c->guest);
	const struct windows_surroundings s = {.report = f->report,
					       .network = f->network.space >= 0};
	int r = windows_become(f->c, &s, &e);
	windows_report(r, &e);
	_exit(LODGE_EXIT_LODGE);
}

/* ---- the first process ---- */

/* What came before there was a program comes from here, whoever sent it. */
static volatile sig_atomic_t early = true;

/* Of the terminal it comes to all of them by itself. */
static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (early || info->si_code <= 0 || sig == SIGTSTP || sig == SIGCONT)
		kill(ALL, sig == SIGTSTP ? SIGSTOP : sig);
}

/* Once they are no longer blocked. */
static void signals_spread(void)
{
	static const int those[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT};
	struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigfillset(&a.sa_mask); /* what was sent first is spread first: to stop, to go on */
	host_signal_actions_default();
	for (size_t i = 0; i < countof(those); i++)
		sigaction(those[i], &a, NULL);
}

/* Windows keeps no ports for its administrator. ip-sysctl.rst, ip_unprivileged_port_start */
static int uplink_enter(const struct uplink *u, struct lodge_err *e)
{
	if (u->space < 0)
		return 0;
	if (setns(u->space, CLONE_NEWNET) < 0)
		return err_sys(e, "entering a network namespace");
	(void)!host_text_put(AT_FDCWD, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	return 0;
}

/* @end: of a pair, whose other end is the process's outside. Signals are blocked. */
static _Noreturn void first_main(const struct family *f, int end)
{
	struct lodge_err e = {.code = 0};
	struct pollfd outside = {.fd = end};
	int status = 0;
	sigset_t none;
	sigemptyset(&none);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&outside, 1, 0) != 0) /* it had ended before */
		_exit(LODGE_EXIT_LODGE);
	prctl(PR_SET_NAME, "lodge-init");
	int r = f->group ? cgroup_enter(&f->group->g, 0, false, &e) : 0;
	if (r == 0)
		r = uplink_enter(&f->network, &e);
	if (r < 0) {
		word_say(f->report, WORD_READY, -e.code, &e);
		_exit(LODGE_EXIT_LODGE);
	}
	signals_spread();
	pid_t program = fork(), got;
	if (program == 0)
		program_main(f);
	if (program < 0) {
		(void)!err_sys(&e, "a process for the program");
		word_say(f->report, WORD_READY, -e.code, &e);
		_exit(LODGE_EXIT_LODGE);
	}
	sigprocmask(SIG_SETMASK, &none, NULL); /* those that have come wait no longer */
	early = false;
	host_fds_close(&end, 1);
	close_range(0, 2, 0);
	do
		got = waitpid(ALL, &status, 0);
	while (got != program && (got >= 0 || errno == EINTR));
	(void)!write(end, &status, sizeof status);
	_exit(0);
}

/* ---- outside ---- */

/* An ordinary user becomes the same user in a user namespace, where making others is a right. */
static int spaces_enter(struct family *f, struct lodge_err *e)
{
	const struct host_ids self = {.uid = geteuid(), .gid = getegid()};
	int r = self.uid == 0 ? 0 : host_userns_enter(0, &self, e);
	/* before what this process forks is in the pid namespace, and ends with the first there */
	if (r == 0 && windows_networked(f->c))
		r = uplink_make(&f->network, -1, true, f->c->publish, f->c->npublish, e);
	return r == 0 && unshare(CLONE_NEWPID) < 0 ? err_sys(e, "a pid namespace") : r;
}

/* Its pidfd goes into @f. *@ret_end: of the pair with it; owned. Signals wait until it and the
 * program can take them: a first process hears of none that it has no handler for. */
static pid_t first_start(struct family *f, int *ret_end, struct lodge_err *e)
{
	sigset_t all, before;
	int ends[2], r = spaces_enter(f, e);
	if (r == 0)
		r = host_packet_pair(ends, e);
	if (r < 0)
		return r;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t first = fork();
	if (first == 0) {
		close(ends[0]);
		first_main(f, ends[1]);
	}
	if (first > 0 && !f->kept)
		box_signals_pass(first);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	*ret_end = ends[0];
	if (first < 0)
		return err_sys(e, "a process");
	f->first = (int)syscall(SYS_pidfd_open, first, 0);
	if (f->first >= 0)
		return first;
	r = err_sys(e, "a descriptor of a process");
	host_child_end(first);
	return r;
}

/* Until the first process has ended, whoever keeps it is gone, or the time is over. */
static bool end_wait(int first, int keeper, uint64_t timeout_ns)
{
	const uint64_t end = timeout_ns ? host_monotonic_ns() + timeout_ns : UINT64_MAX;
	for (;;) {
		/* what is said to the keeper is not read here */
		struct pollfd f[2] = {{.fd = first, .events = POLLIN}, {.fd = keeper}};
		uint64_t now = host_monotonic_ns();
		int64_t ms = timeout_ns ? (int64_t)((end - min_u64(now, end)) / 1000000) + 1 : -1;
		int n = poll(f, 2, (int)(ms > INT32_MAX ? INT32_MAX : ms));
		if (n > 0 && f[0].revents)
			return true;
		if (n > 0 || (timeout_ns && host_monotonic_ns() >= end))
			return false;
	}
}

/* How the program ended, as of wait(2). All the others have ended, too. */
static int first_reap(struct family *f, pid_t first, int end)
{
	int status = 0;
	/* one that is frozen (version 1) would not end */
	if (f->group && cgroup_frozen(&f->group->g))
		(void)!cgroup_freeze(&f->group->g, false, NULL);
	if (!f->kept) { /* its number may be another's from here on */
		(void)end_wait(f->first, -1, 0);
		box_signals_pass(0);
	}
	int own = host_reap(first);
	uplink_end(&f->network);
	return recv(end, &status, sizeof status, MSG_DONTWAIT) == sizeof status ? status : own;
}

_Noreturn void family_main(struct family *f)
{
	struct lodge_err e = {.code = 0};
	int keep[CGROUP_HIERARCHIES + 3] = {f->report, f->in, f->out}, end = -1;
	size_t n = 3;
	for (size_t i = 0; f->group && i < f->group->g.n; i++)
		keep[n++] = f->group->g.at[i].fd;
	host_fds_close(keep, n);
	host_signals_default();
	prctl(PR_SET_NAME, "lodge-outside");
	pid_t first = first_start(f, &end, &e);
	if (first < 0) {
		word_say(f->report, WORD_READY, (int)first, &e);
		_exit(LODGE_EXIT_LODGE);
	}
	first_say(f, first);
	close(f->in);
	if (f->out != f->in)
		close(f->out);
	bool ended = end_wait(f->first, f->report, 0);
	if (!ended)
		kill(first, SIGKILL);
	int status = first_reap(f, first, end);
	if (!ended && f->group) /* nobody else is left to do it */
		group_end(f->group);
	word_say(f->report, WORD_ENDED, status, NULL);
	_exit(0);
}

/* ---- in the foreground ---- */

static bool limits_asked(const struct lodge_config *c)
{
	return c->cpus || c->cpu_milli || c->cpu_weight || c->cpuset || c->memory ||
	       c->memory_limit || c->pids_limit || c->memory_reservation || c->memory_swap;
}

bool family_wanted(const struct lodge_config *c)
{
	return limits_asked(c) || c->timeout_ns || windows_networked(c);
}

/* Here nobody can see to it in another way, and a limit that does not hold would be a lie. */
static int limits_set(struct group *g, const struct lodge_config *c, struct lodge_err *e)
{
	if (!limits_asked(c))
		return 0;
	int r = group_wanted(c, e);
	if (r == 0)
		r = group_make_here(g, e);
	if (r == 0)
		r = cgroup_limit(&g->g, c, false, e);
	if (r < 0 && e)
		e->code = EOPNOTSUPP; /* it is not the program that is wrong */
	return r < 0 ? (err_in(e, r, "limits of a program in the foreground"), -EOPNOTSUPP) : 0;
}

/* *@ret_died: it has said nothing. */
static int ready_wait(int report, bool *ret_died, struct lodge_err *e)
{
	struct word w;
	*ret_died = host_packet_receive(report, &w, sizeof w, true, NULL) != sizeof w;
	if (*ret_died)
		return err_set(e, EIO, "the program's process died at its start");
	w.err.msg[sizeof w.err.msg - 1] = 0;
	return w.value < 0 ? err_set(e, -w.value, "%s", w.err.msg) : 0;
}

struct terminal {
	bool is;
	struct termios before;
};

static struct terminal terminal_look(void)
{
	struct terminal t = {.is = false};
	t.is = tcgetattr(0, &t.before) == 0;
	return t;
}

/* A program that was killed has left it as it was to it. In the background it is others'. */
static void terminal_restore(const struct terminal *t)
{
	if (t->is && tcgetpgrp(0) == getpgrp())
		tcsetattr(0, TCSANOW, &t->before);
}

/* Until all has ended. Returns if it has not come to run. @end, @report: of pairs with the first
 * process and the program. */
static int first_attend(struct family *f, pid_t first, int end, int report,
			const struct terminal *t, struct lodge_err *e)
{
	bool died = false;
	int r = ready_wait(report, &died, e);
	/* of a program that died at once the first process has yet to say how */
	bool ended = (r == 0 || died) &&
		     end_wait(f->first, -1, died ? DEATH_NS : f->c->timeout_ns);
	if (!ended)
		kill(first, SIGKILL);
	int status = first_reap(f, first, end);
	close(f->first);
	if (!ended || WIFSIGNALED(status))
		terminal_restore(t);
	if (f->group)
		group_end(f->group);
	if (r == 0 && !ended)
		_exit(EXIT_TIMEOUT);
	if (r == 0 || (died && WIFSIGNALED(status)))
		box_end_as(status);
	return r;
}

int family_become(const struct lodge_config *c, struct lodge_err *e)
{
	struct group g = GROUP_NONE;
	const struct terminal t = terminal_look();
	int ends[2] = {-1, -1}, end = -1;
	int r = windows_check(c, e);
	if (r == 0)
		r = host_packet_pair(ends, e);
	if (r == 0)
		r = limits_set(&g, c, e);
	struct family f = {.c = c,
			   .group = g.made ? &g : NULL,
			   .report = ends[1],
			   .network = UPLINK_NONE};
	pid_t first = r == 0 ? first_start(&f, &end, e) : 0;
	auto_close(&ends[1]);
	if (first > 0)
		r = first_attend(&f, first, end, ends[0], &t, e);
	group_end(&g);
	uplink_end(&f.network);
	auto_close(&ends[0]);
	auto_close(&end);
	return first < 0 ? (int)first : r;
}

/* ---- standing still, without a freezer ---- */

struct stand {
	pid_t first;
	bool moves; /* a thread runs */
};

static int stand_look(void *arg, pid_t pid)
{
	struct stand *s = arg;
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *d = pid == s->first ? NULL : opendir(path);
	for (struct dirent *de; d && !s->moves && (de = readdir(d));) {
		if (!isdigit((unsigned char)de->d_name[0]))
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%.16s/stat", (int)pid, de->d_name);
		autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
		text[n > 0 ? n : 0] = 0;
		const char *name_end = strrchr(text, ')');
		s->moves = name_end && name_end[1] && !strchr("TtZX", name_end[2]);
	}
	if (d)
		closedir(d);
	return s->moves;
}

int family_signal(int first, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, first, sig, NULL, 0);
}

/* The signal has reached all of them, and those that were being forked: only that they have come
 * to a stop has to be waited for. */
int family_stop(pid_t number, int first, struct lodge_err *e)
{
	const uint64_t end = host_monotonic_ns() + STAND_MS * UINT64_C(1000000);
	struct stand s;
	if (family_signal(first, SIGTSTP) < 0)
		return err_set(e, ESRCH, "the program has ended");
	do {
		s = (struct stand){.first = number};
		(void)!host_tree_each(number, stand_look, &s);
		if (!s.moves)
			return 0;
		usleep(500);
	} while (host_monotonic_ns() < end);
	family_go(first);
	return err_set(e, EBUSY, "the program does not come to a stop: a call of the host's takes "
				 "so long");
}

void family_go(int first) { (void)!family_signal(first, SIGCONT); }
