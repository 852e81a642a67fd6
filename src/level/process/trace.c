/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a program's system calls, as strace(1) makes it: for -o strace=FILE. One write(2) for
 * a line, so that lines of threads and processes do not mix. */
#include "level/process/internal.h"
#include <fcntl.h>
#include <stdio.h>

enum { LINE = 1024, PID_WIDTH = 7, RESULT = 40 };
enum { NR_EXIT = 93, NR_EXIT_GROUP = 94, NR_EXECVE = 221, NR_EXECVEAT = 281 };

int trace_open(struct proc *p, const struct lodge_config *c, struct lodge_err *e)
{
	const char *to = life_option(c, "strace");
	if (!to)
		return 0;
	int fd = strcmp(to, "-") ? open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)
				 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "strace=%s", to);
	p->trace_fd = linux_fd_own(&p->sys, fd);
	return 0;
}

static void line_write(const struct task *t, char *line, size_t len)
{
	line[len] = '\n';
	(void)!write(t->p->trace_fd, line, len + 1);
}

/* Calls are printed before they are made, for some leave nothing to print. */
int64_t trace_call(struct task *t, unsigned nr, const uint64_t a[6])
{
	char line[LINE + 1], pid[PID_WIDTH + 1];
	size_t n = (size_t)snprintf(line, LINE, "%*d ", PID_WIDTH, gettid());
	n += linux_print(line + n, LINE - n - RESULT, &t->sys, nr, a, NULL);
	if (nr == NR_EXIT || nr == NR_EXIT_GROUP || nr == NR_EXECVE || nr == NR_EXECVEAT)
		line_write(t, line, n);
	int64_t r = call_run(t, nr, a);
	snprintf(pid, sizeof pid, "%*d", PID_WIDTH, gettid()); /* after fork it is the child's */
	memcpy(line, pid, PID_WIDTH);
	n += linux_print_result(line + n, LINE - n, r);
	line_write(t, line, n);
	return r;
}

void trace_signal(const struct task *t, int sig, uint64_t at)
{
	char line[LINE + 1];
	int n = snprintf(line, LINE, "%*d --- %s at %#lx pc %#lx ---", PID_WIDTH, gettid(),
	                 strsignal(sig), at, t->h->npc);
	line_write(t, line, (size_t)n);
}
