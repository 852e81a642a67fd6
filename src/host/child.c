/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that we have forked: what they begin with beside what they are made for, and their end.
 */
#include "host/host.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void host_fds_close(const int *keep, size_t n)
{
	for (unsigned from = 3;;) {
		unsigned next = ~0u;
		for (size_t i = 0; i < n; i++)
			if (keep[i] >= (int)from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next == ~0u) {
			close_range(from, ~0u, 0);
			return;
		}
		if (next > from)
			close_range(from, next - 1, 0);
		from = next + 1;
	}
}

/* Those that the C library keeps for itself it lets nobody change, and an ignored one is inherited:
 * by the kernel, then. Its own handlers stay. rt_sigaction(2) */
static void reserved_default(int s)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} a = {0};
	if (syscall(SYS_rt_sigaction, s, NULL, &a, sizeof a.mask) == 0 && a.handler == SIG_IGN) {
		a.handler = SIG_DFL;
		(void)!syscall(SYS_rt_sigaction, s, &a, NULL, sizeof a.mask);
	}
}

void host_signal_actions_default(void)
{
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP && signal(s, SIG_DFL) == SIG_ERR)
			reserved_default(s);
}

void host_signals_default(void)
{
	sigset_t none;
	host_signal_actions_default();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int host_reap(pid_t pid)
{
	int status = -1;
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

void host_child_end(pid_t pid)
{
	if (pid <= 0) /* all that may be killed, or our own group */
		return;
	kill(pid, SIGKILL);
	host_reap(pid);
}
