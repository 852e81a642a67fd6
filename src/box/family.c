/* SPDX-License-Identifier: Apache-2.0 */
/* The processes around a confined one: the caller outside, and the first of the pid namespace,
 * which takes orphans. Both pass on what is sent to them, and end as the program does.
 * pid_namespaces(7) */
#include "box/internal.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* What handlers of signals need; a process is one of the two. */
static volatile pid_t child;

/* From the terminal it has come to the program already. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_code <= 0 && child > 0)
		kill(child, sig);
}

void box_signals_pass(pid_t to)
{
	static const int passed[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
				     SIGALRM};
	struct sigaction a = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
	child = to;
	for (size_t i = 0; i < countof(passed); i++)
		sigaction(passed[i], &a, NULL);
}

static int wait_for(pid_t pid)
{
	int status = 0;
	for (;;) {
		pid_t got = waitpid(-1, &status, 0);
		if (got == pid || (got < 0 && errno != EINTR))
			return status;
	}
}

_Noreturn void family_first(pid_t program, int report)
{
	box_signals_pass(program);
	int status = wait_for(program);
	(void)!write(report, &status, sizeof status);
	_exit(host_exit_code(status));
}

/* As @sig would end it, without a core that is not the program's. */
static void die(int sig)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t one;
	prctl(PR_SET_DUMPABLE, 0);
	sigemptyset(&one);
	sigaddset(&one, sig);
	sigaction(sig, &dfl, NULL);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	raise(sig);
}

_Noreturn void box_end_as(int status)
{
	if (WIFSIGNALED(status))
		die(WTERMSIG(status));
	_exit(host_exit_code(status));
}

_Noreturn void family_outside(pid_t first, int report)
{
	int status = 0;
	box_signals_pass(first);
	int end = wait_for(first);
	/* the first one says how the program ended, if it came so far */
	if (read(report, &status, sizeof status) != sizeof status)
		status = end;
	box_end_as(status);
}
