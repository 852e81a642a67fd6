/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that we have forked begins with, beside what it is made for. */
#include "host/host.h"
#include <signal.h>
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

void host_signals_default(void)
{
	sigset_t none;
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
