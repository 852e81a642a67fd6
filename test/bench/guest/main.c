/* SPDX-License-Identifier: Apache-2.0 */
/* lodge-bench: programs that do a fixed amount of work and tell how long it took by their own
 * clock. For each, on stdout:
 *   RUN name                      the clock starts now
 *   BENCH name usec sum exact     done; usec is scaled back to the full work
 *   FAIL name why
 *
 *   lodge-bench -l                the table: name, bar in tenths, what
 *   lodge-bench [-d DIV] NAME...  run these with 1/DIV of their work
 *   lodge-bench -2 [-d DIV] NAME  ten times the work, in one process and in two at once:
 *                                 PAIR name usec usec
 *   lodge-bench [-e] -t NAME PROGRAM ARG...  time a command; the sum is that of its standard
 *                                 output; -e: exact only, the host has another version
 *   lodge-bench -s SECONDS        the storm of storm.c, with its verdict
 *   lodge-bench -x                do nothing (what the program forkexec starts)
 *   lodge-bench -w                wait until standard input ends, for a look at its memory */
#include "bench.h"
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct program {
	const char *name;
	uint64_t (*run)(uint64_t n);
	uint64_t work;
	unsigned bar;
	const char *what;
};

static const struct program programs[] = {
#define PROGRAM(name, work, bar, what) {#name, bench_##name, work, bar, what},
#include "programs.def"
#undef PROGRAM
};
enum { PROGRAMS = sizeof programs / sizeof programs[0] };

static const char *running = "";
static struct timespec begun, ended;
static bool has_ended, has_exact;
static uint64_t exact;

static uint64_t usec(struct timespec a, struct timespec b)
{
	return (uint64_t)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
}

/* One write(2) a line: two processes may speak at once. */
static void say(const char *line)
{
	size_t n = strlen(line);
	if (write(1, line, n) != (ssize_t)n)
		_exit(3);
}

void bench_begin(void)
{
	char line[64];
	snprintf(line, sizeof line, "RUN %s\n", running);
	say(line);
	clock_gettime(CLOCK_MONOTONIC, &begun);
}

void bench_end(void)
{
	clock_gettime(CLOCK_MONOTONIC, &ended);
	has_ended = true;
}

void bench_exact(uint64_t bits)
{
	exact = bits;
	has_exact = true;
}

void bench_pin(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	int cpu = sched_getcpu();
	CPU_SET((unsigned)(cpu < 0 ? 0 : cpu), &set);
	if (sched_setaffinity(0, sizeof set, &set))
		bench_die("sched_setaffinity");
}

void bench_die(const char *what)
{
	char line[160];
	snprintf(line, sizeof line, "FAIL %s %s: %s\n", running, what, strerror(errno));
	say(line);
	_exit(1);
}

static void report(uint64_t us, uint64_t sum, uint64_t bits)
{
	char line[128];
	snprintf(line, sizeof line, "BENCH %s %llu %016llx %016llx\n", running,
		 (unsigned long long)us, (unsigned long long)sum, (unsigned long long)bits);
	say(line);
}

static const struct program *program_get(const char *name)
{
	for (const struct program *p = programs; p < programs + PROGRAMS; p++)
		if (!strcmp(p->name, name))
			return p;
	fprintf(stderr, "lodge-bench: no program '%s'\n", name);
	exit(2);
}

static uint64_t scaled(const struct program *p, uint64_t div)
{
	return p->work > div ? p->work / div : 1;
}

static void program_run(const struct program *p, uint64_t n)
{
	running = p->name;
	uint64_t sum = p->run(n);
	if (!has_ended)
		bench_end();
	double us = (double)usec(begun, ended) * (double)p->work / (double)n;
	report((uint64_t)us, sum, has_exact ? exact : sum);
}

/* In a process of its own: each begins with the same memory. */
static pid_t program_start(const struct program *p, uint64_t n)
{
	pid_t pid = fork();
	if (pid == 0) {
		program_run(p, n);
		_exit(0);
	}
	if (pid < 0)
		bench_die("fork");
	return pid;
}

static bool program_wait(const struct program *p, pid_t pid)
{
	int status = 0;
	running = p->name;
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	char line[96];
	snprintf(line, sizeof line, "FAIL %s ended with status %#x\n", p->name, (unsigned)status);
	say(line);
	return false;
}

static int run_pair(const struct program *p, uint64_t n)
{
	struct timespec a, b, c;
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (!program_wait(p, program_start(p, n)))
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &b);
	pid_t one = program_start(p, n), two = program_start(p, n);
	bool good = program_wait(p, one) & program_wait(p, two);
	clock_gettime(CLOCK_MONOTONIC, &c);
	printf("PAIR %s %llu %llu\n", p->name, (unsigned long long)usec(a, b),
	       (unsigned long long)usec(b, c));
	return !good;
}

static int run_command(const char *name, char **argv, bool exact_only)
{
	static unsigned char buf[65536];
	int out[2], status = 0;
	uint64_t sum = 0xcbf29ce484222325u;
	running = name;
	if (pipe(out))
		bench_die("pipe");
	bench_begin();
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	for (ssize_t n; (n = read(out[0], buf, sizeof buf)) > 0;)
		for (ssize_t i = 0; i < n; i++)
			sum = bench_mix(sum, buf[i]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		bench_die("fork");
	bench_end();
	if (status) {
		errno = WIFEXITED(status) && WEXITSTATUS(status) == 127 ? ENOENT : EIO;
		bench_die(argv[0]);
	}
	report(usec(begun, ended), exact_only ? 0 : sum, sum);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t div = 1;
	bool pair = false, good = true, exact_only = false;
	for (int opt; (opt = getopt(argc, argv, "+2d:els:twx")) >= 0;) {
		switch (opt) {
		case '2': pair = true; break;
		case 'd': div = strtoull(optarg, NULL, 10); break;
		case 'e': exact_only = true; break;
		case 'l':
			for (const struct program *p = programs; p < programs + PROGRAMS; p++)
				printf("%s %u %s\n", p->name, p->bar, p->what);
			return 0;
		case 's': return bench_storm((unsigned)strtoul(optarg, NULL, 10));
		case 't':
			if (argc - optind < 2)
				return 2;
			return run_command(argv[optind], argv + optind + 1, exact_only);
		case 'w':
			for (char c; read(0, &c, 1) > 0;)
				;
			return 0;
		case 'x': return 0;
		default: return 2;
		}
	}
	if (optind >= argc || !div) {
		fprintf(stderr,
			"usage: lodge-bench -l | [-2] [-d DIV] NAME... | -t NAME COMMAND\n");
		return 2;
	}
	for (int i = optind; i < argc; i++) {
		const struct program *p = program_get(argv[i]);
		uint64_t n = scaled(p, div);
		good &= pair ? !run_pair(p, 10 * n) : program_wait(p, program_start(p, n));
	}
	return !good;
}
