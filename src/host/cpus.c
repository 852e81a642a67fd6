/* SPDX-License-Identifier: Apache-2.0 */
/* Which CPUs of the host this process may use, and how it stands beside others. All threads: the
 * kernel knows of threads only, and new ones take after the one that makes them. */
#include "host/host.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

static const char *number_read(const char *p, unsigned *ret)
{
	unsigned v = 0;
	if (!isdigit((unsigned char)*p))
		return NULL;
	for (; isdigit((unsigned char)*p); p++)
		if ((v = v * 10 + (unsigned)(*p - '0')) >= CPU_SETSIZE)
			return NULL;
	*ret = v;
	return p;
}

/* "0-2,5" */
static bool cpus_parse(const char *text, cpu_set_t *ret)
{
	const char *p = text;
	CPU_ZERO(ret);
	for (;;) {
		unsigned from, to;
		p = number_read(p, &from);
		to = from;
		if (p && *p == '-')
			p = number_read(p + 1, &to);
		if (!p || to < from)
			return false;
		for (unsigned i = from; i <= to; i++)
			CPU_SET(i, ret);
		if (!*p)
			return true;
		if (*p++ != ',')
			return false;
	}
}

int host_cpus_check(const char *text, struct lodge_err *e)
{
	cpu_set_t s;
	return cpus_parse(text, &s) ? 0
	                            : err_set(e, EINVAL, "'%s' is not a set of CPUs; write for "
	                                                 "example 0-2,5", text);
}

struct threads {
	int (*fn)(pid_t tid, const void *arg);
	const void *arg;
};

static int threads_of(void *threads, pid_t pid)
{
	const struct threads *t = threads;
	char path[32];
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	int r = d || errno == ENOENT ? 0 : -errno;
	for (struct dirent *de; d && r == 0 && (de = readdir(d));)
		if (isdigit((unsigned char)de->d_name[0]) &&
		    t->fn((pid_t)atoi(de->d_name), t->arg) < 0 && errno != ESRCH)
			r = -errno;
	if (d)
		closedir(d);
	return r;
}

/* Do @fn for each thread; the first that fails ends it. */
static int threads_each(int (*fn)(pid_t tid, const void *arg), const void *arg)
{
	return host_tree_each(getpid(), threads_of, &(struct threads){fn, arg});
}

static int thread_pin(pid_t tid, const void *set)
{
	return sched_setaffinity(tid, sizeof(cpu_set_t), set);
}

int host_cpus_pin(const char *text, struct lodge_err *e)
{
	cpu_set_t set;
	if (!text)
		memset(&set, 0xff, sizeof set); /* the kernel leaves those that it may */
	else if (!cpus_parse(text, &set))
		return host_cpus_check(text, e);
	int r = threads_each(thread_pin, &set);
	return r < 0 ? err_set(e, -r, "CPUs %s: %s", text ? text : "(all)",
	                       r == -EINVAL ? "none of them is there, or may be used here"
	                                    : strerror(-r))
	             : 0;
}

static int thread_nice(pid_t tid, const void *nice)
{
	return setpriority(PRIO_PROCESS, (id_t)tid, *(const int *)nice);
}

/* A step of nice is a quarter more or less: the nearest. (libm has the logarithm, and is all the
 * memory that it takes in every process.) */
static int nice_of(unsigned weight)
{
	const double step = 1.25, half = 1.118033988749895; /* half a step: its square root */
	double w = (double)weight / 100;
	int nice = 0;
	for (; nice < 19 && w * half < 1; nice++)
		w *= step;
	for (; nice > -20 && w > half; nice--)
		w /= step;
	return nice;
}

int host_cpus_weigh(unsigned weight, struct lodge_err *e)
{
	char text[16];
	int nice = nice_of(weight);
	int r = threads_each(thread_nice, &nice);
	if (r < 0)
		return err_set(e, -r, "weight %u: %s", weight, strerror(-r));
	/* Where each session is weighed as one, that is what counts. */
	autoclose int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	int n = snprintf(text, sizeof text, "%d", nice);
	if (fd >= 0 && write(fd, text, (size_t)n) < 0 && errno != EAGAIN && errno != EINVAL)
		return err_sys(e, "weight %u", weight);
	return 0;
}

unsigned host_cpus_online(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (unsigned)n : 1;
}

unsigned host_cpus_allowed(void)
{
	cpu_set_t s; /* too small for hosts with more than it has */
	return sched_getaffinity(0, sizeof s, &s) < 0 ? CPU_SETSIZE : (unsigned)CPU_COUNT(&s);
}
