/* SPDX-License-Identifier: Apache-2.0 */
/* Signals by name, as people write them, and as the end of a process. signal(7), wait(2) */
#include "host/host.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

int host_exit_code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : LODGE_EXIT_SIGNAL + WTERMSIG(status);
}

int host_signal_find(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);
	if (end != text && !*end)
		return n >= 0 && n < NSIG ? (int)n : -1;
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	for (int s = 1; s < NSIG; s++) {
		const char *name = sigabbrev_np(s);
		if (name && !strcasecmp(name, text))
			return s;
	}
	bool max = !strncasecmp(text, "RTMAX", 5);
	if (!max && strncasecmp(text, "RTMIN", 5) != 0)
		return -1;
	n = text[5] ? strtol(text + 5, &end, 10) : 0;
	n += max ? SIGRTMAX : SIGRTMIN;
	return (text[5] && *end) || n < SIGRTMIN || n > SIGRTMAX ? -1 : (int)n;
}
