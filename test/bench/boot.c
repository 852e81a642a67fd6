/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command and prints when a text first stood in its output and when all was over, by the
 * wall clock and in CPU seconds (user and system), as "wall cpu wall cpu".
 *   build/bench-boot TEXT COMMAND ARG...
 * Processes that detach themselves count too: they become our children (subreaper, prctl(2)), and
 * the end is when none is left. The output goes to stderr with BENCH_VERBOSE=1, and to the file
 * BENCH_LINES, each line after its time in seconds since the start. With BENCH_STOP=COMMAND the
 * end need not be waited for: when the text was there, the shell runs COMMAND and our child is
 * killed; how it ends is not looked at. */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 1800, PROCESSES = 4096 };

struct mark {
	double wall, cpu;
};
struct process {
	int pid, parent;
	uint64_t ticks;
	bool ours;
};

static double wall_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_reaped(void)
{
	struct rusage u;
	getrusage(RUSAGE_CHILDREN, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Fields of /proc/PID/stat: proc(5). The name may hold spaces and brackets: look behind the last.
 */
static bool process_read(struct process *p, int pid)
{
	char path[64], line[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	size_t n = fread(line, 1, sizeof line - 1, f);
	fclose(f);
	line[n] = '\0';
	const char *rest = strrchr(line, ')');
	unsigned long long user, sys, reaped_user, reaped_sys;
	if (rest == NULL ||
	    sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
	           &p->parent, &user, &sys, &reaped_user, &reaped_sys) != 5)
		return false;
	p->pid = pid;
	p->ticks = user + sys + reaped_user + reaped_sys;
	p->ours = p->parent == getpid();
	return true;
}

/* CPU seconds of all that descend from us and still live. */
static double cpu_living(void)
{
	static struct process all[PROCESSES];
	unsigned n = 0;
	DIR *d = opendir("/proc");
	if (d == NULL)
		return 0;
	for (struct dirent *e; n < PROCESSES && (e = readdir(d)) != NULL;) {
		int pid = atoi(e->d_name);
		n += pid > 0 && process_read(&all[n], pid);
	}
	closedir(d);
	uint64_t ticks = 0;
	for (bool more = true; more;) {
		more = false;
		for (unsigned i = 0; i < n; i++) {
			for (unsigned k = 0; k < n && !all[i].ours; k++)
				more |= all[i].ours = all[k].ours && all[k].pid == all[i].parent;
		}
	}
	for (unsigned i = 0; i < n; i++)
		ticks += all[i].ours ? all[i].ticks : 0;
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* Reads to the end of the output of @pid; true if the text was there, then with its mark. */
static bool output_read(FILE *out, const char *text, double start, pid_t pid,
			struct mark *ret_seen)
{
	char line[4096];
	const char *path = getenv("BENCH_LINES"), *stop = getenv("BENCH_STOP");
	FILE *lines = path != NULL ? fopen(path, "we") : NULL;
	bool seen = false, verbose = getenv("BENCH_VERBOSE") != NULL;
	while (fgets(line, sizeof line, out) != NULL) {
		if (verbose)
			fputs(line, stderr);
		if (lines != NULL)
			fprintf(lines, "%.6f %s", wall_now() - start, line);
		if (seen || strstr(line, text) == NULL)
			continue;
		seen = true;
		ret_seen->wall = wall_now() - start;
		ret_seen->cpu = cpu_reaped() + cpu_living();
		if (stop != NULL && system(stop) != 0)
			fprintf(stderr, "bench-boot: failed: %s\n", stop);
		if (stop != NULL)
			kill(pid, SIGKILL);
	}
	if (lines != NULL)
		fclose(lines);
	return seen;
}

static pid_t command_start(char **argv, FILE **ret_out)
{
	int fd[2];
	if (pipe(fd) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		if (freopen("/dev/null", "r", stdin) == NULL || dup2(fd[1], STDOUT_FILENO) < 0)
			_exit(127);
		close(fd[0]);
		close(fd[1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(fd[1]);
	*ret_out = fdopen(fd[0], "r");
	return *ret_out == NULL ? -1 : pid;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("usage: bench-boot TEXT COMMAND ARG...\n", stderr);
		return 2;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	alarm(LIMIT_SECONDS);
	FILE *out;
	struct mark seen = { 0, 0 };
	double start = wall_now();
	pid_t pid = command_start(argv + 2, &out);
	if (pid < 0) {
		perror(argv[2]);
		return 1;
	}
	bool found = output_read(out, argv[1], start, pid, &seen);
	int status = -1, s;
	for (pid_t w; (w = wait(&s)) > 0;) {
		if (w == pid)
			status = s;
	}
	fclose(out);
	printf("%.3f %.3f %.3f %.3f\n", seen.wall, seen.cpu, wall_now() - start, cpu_reaped());
	if (!found)
		fprintf(stderr, "bench-boot: the output had no \"%s\"\n", argv[1]);
	if (getenv("BENCH_STOP") != NULL)
		status = 0;
	if (status != 0)
		fprintf(stderr, "bench-boot: %s ended with status %#x\n", argv[2],
			(unsigned)status);
	return !found || status != 0;
}
