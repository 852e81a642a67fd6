/* SPDX-License-Identifier: Apache-2.0 */
/* A process and all that it has started, as /proc tells: proc(5). */
#include "host/host.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

enum { TREE_MAX = 4096 };

struct tree {
	pid_t pid[TREE_MAX];
	size_t n;
};

/* The children of one thread, appended. */
static void tree_add(struct tree *t, pid_t pid, const char *tid)
{
	char path[64];
	int child;
	snprintf(path, sizeof path, "/proc/%d/task/%.16s/children", (int)pid, tid);
	FILE *f = fopen(path, "re");
	while (f && t->n < TREE_MAX && fscanf(f, "%d", &child) == 1)
		t->pid[t->n++] = child;
	if (f)
		fclose(f);
}

int host_tree_each(pid_t pid, int (*fn)(void *arg, pid_t pid), void *arg)
{
	autofree struct tree *t = malloc(sizeof *t);
	if (!t)
		return -ENOMEM;
	t->pid[0] = pid;
	t->n = 1;
	int r = 0;
	for (size_t i = 0; i < t->n && r == 0; i++) {
		char path[32];
		snprintf(path, sizeof path, "/proc/%d/task", (int)t->pid[i]);
		DIR *d = opendir(path);
		for (struct dirent *de; d && (de = readdir(d));)
			if (isdigit((unsigned char)de->d_name[0]))
				tree_add(t, t->pid[i], de->d_name);
		if (d)
			closedir(d);
		r = fn(arg, t->pid[i]);
	}
	return r;
}

/* Of children that have ended and were waited for, in ticks: fields 16 and 17. */
static uint64_t waited_ns(pid_t pid)
{
	char path[32], text[512];
	unsigned long long user = 0, system = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return 0;
	text[n] = 0;
	const char *p = strrchr(text, ')'); /* a name may hold anything */
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %llu %llu",
	                 &user, &system) != 2)
		return 0;
	return (user + system) * (1000000000u / (unsigned long)sysconf(_SC_CLK_TCK));
}

static int cpu_add(void *arg, pid_t pid)
{
	uint64_t *sum = arg;
	clockid_t clock;
	struct timespec t;
	if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0)
		*sum += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	*sum += waited_ns(pid);
	return 0;
}

uint64_t host_tree_cpu_ns(pid_t pid)
{
	uint64_t sum = 0;
	return host_tree_each(pid, cpu_add, &sum) == 0 ? sum : 0;
}

uint64_t host_process_began(pid_t pid)
{
	char path[32], text[512];
	char state = 0;
	unsigned long long ticks = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return 0;
	text[n] = 0;
	const char *p = strrchr(text, ')'); /* a name may hold anything */
	if (!p || sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
	                 "%*d %*d %*d %llu", &state, &ticks) != 2 ||
	    state == 'Z' || state == 'X')
		return 0;
	return ticks;
}
