/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command once and says on stderr what it took: "wall cpu memory code", in us, us and KiB;
 * cpu and memory with all processes that it has waited for. Static and small, since a child's peak
 * of memory begins with its parent's.
 *   build/bench-cost COMMAND ARG... */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t us_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	int64_t begin = us_now(), cpu;
	struct rusage u;
	int status;
	pid_t pid;

	if (argc < 2)
		return 2;
	pid = fork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &u) != pid)
		return 2;
	cpu = (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
	      u.ru_stime.tv_usec;
	fprintf(stderr, "%lld %lld %ld %d\n", (long long)(us_now() - begin), (long long)cpu,
		u.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
