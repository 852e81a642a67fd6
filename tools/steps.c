/* SPDX-License-Identifier: Apache-2.0 */
/* steps PROGRAM [ARG...]: run it one instruction after the other (its first thread), and print each
 * address of PROGRAM's own that is reached, once, as nm(1) has it. ptrace(2) */
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE = PATH_MAX + 128 };

/* Where the kernel has put the file @path. */
static bool program_find(pid_t pid, const char *path, unsigned long *ret_lo, unsigned long *ret_hi)
{
	char maps[64], line[LINE];
	unsigned long lo, hi;
	bool found = false;
	snprintf(maps, sizeof maps, "/proc/%d/maps", (int)pid);
	FILE *f = fopen(maps, "r");
	while (f && fgets(line, sizeof line, f)) {
		if (!strstr(line, path) || sscanf(line, "%lx-%lx", &lo, &hi) != 2)
			continue;
		*ret_lo = found ? *ret_lo : lo;
		*ret_hi = hi;
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

static void step_all(pid_t pid, unsigned long lo, unsigned long hi, bool *seen)
{
	struct user_regs_struct r;
	int status = 0;
	long sig = 0;
	while (ptrace(PTRACE_GETREGS, pid, NULL, &r) == 0) {
		if (r.rip >= lo && r.rip < hi && !seen[r.rip - lo]) {
			seen[r.rip - lo] = true;
			printf("%lx\n", r.rip - lo);
		}
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, sig) < 0 ||
		    waitpid(pid, &status, __WALL) < 0 || !WIFSTOPPED(status))
			return;
		sig = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
	}
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	unsigned long lo, hi;
	int status;
	if (argc < 2 || !realpath(argv[1], path))
		return 2;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(2, 1);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(path, argv + 1);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !program_find(pid, path, &lo, &hi))
		return 1;
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL);
	bool *seen = calloc(hi - lo, 1);
	if (seen)
		step_all(pid, lo, hi, seen);
	return seen ? 0 : 1;
}
