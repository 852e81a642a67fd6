/* SPDX-License-Identifier: Apache-2.0 */
/* What a process asks about and sets for itself: identity, limits, scheduling, prctl, /proc. */
#include "say.h"
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>

static void identity(void)
{
	struct utsname u;
	uid_t r, e, s;
	gid_t groups[64];
	SAY(uname(&u));
	IS(!strcmp(u.sysname, "Linux"));
	SAY(uname(KERNEL));
	IS(getpid() == syscall(SYS_gettid) && getppid() > 0);
	SAY(getresuid(&r, &e, &s));
	IS(r == getuid() && e == geteuid());
	SAY(syscall(SYS_getresuid, KERNEL, &e, &s));
	IS(getgroups(64, groups) >= 0);
	SAY(getgroups(-1, groups));
	SAY(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1));
	SAY(setpgid(0, 99999999));
	IS(getpgid(0) == getpgrp() && getsid(0) > 0);
	SAY(getpgid(99999999));
	SAY(getsid(-1));
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];
	SAY(syscall(SYS_capget, &h, d));
	h.version = 1;
	SAY(syscall(SYS_capget, &h, d));
	SAY(h.version);
	SAY(personality(0xffffffff) & 0xff);
	unsigned cpu = 9999, node;
	SAY(syscall(SYS_getcpu, &cpu, &node, NULL));
	IS(cpu < 9999);
	char buf[16] = { 0 };
	SAY(getrandom(buf, sizeof buf, 0));
	SAY(getrandom(buf, sizeof buf, 99));
	SAY(getrandom(KERNEL, 4, 0));
}

static void limits(void)
{
	static const int set[] = { RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_DATA,
	                           RLIMIT_STACK, RLIMIT_CPU };
	struct rlimit l, was;
	for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
		SAY(getrlimit(set[i], &was));
		printf("limit %d: %ld\n", set[i], (long)was.rlim_cur);
	}
	SAY(getrlimit(RLIMIT_NOFILE, &was));
	l = was;
	l.rlim_cur = 10;
	SAY(setrlimit(RLIMIT_NOFILE, &l));
	SAY(getrlimit(RLIMIT_NOFILE, &l));
	SAY(l.rlim_cur);
	int n = 0;
	while (dup(0) >= 0)
		n++;
	SAY(n);
	SAY(dup(0));
	SAY(syscall(SYS_close_range, 3, ~0U, 0));
	SAY(setrlimit(RLIMIT_NOFILE, &was));
	l.rlim_cur = 9;
	l.rlim_max = 8;
	SAY(setrlimit(RLIMIT_CORE, &l));
	SAY(setrlimit(99, &l));
	SAY(getrlimit(RLIMIT_CORE, KERNEL));
	SAY(prlimit(0, RLIMIT_CORE, &(struct rlimit){ 0, 0 }, &was));
	SAY(prlimit(getpid(), RLIMIT_CORE, NULL, &l));
	SAY(l.rlim_cur);
	SAY(prlimit(99999999, RLIMIT_CORE, NULL, &l));
	struct rusage ru;
	SAY(getrusage(RUSAGE_SELF, &ru));
	IS(ru.ru_maxrss > 0);
	SAY(getrusage(77, &ru));
	struct tms t;
	IS(times(&t) > 0);
	struct sysinfo si;
	SAY(sysinfo(&si));
	IS(si.totalram > 0 && si.procs > 0);
}

static void scheduling(void)
{
	cpu_set_t set;
	struct sched_param p = { 0 };
	SAY(sched_getscheduler(0));
	SAY(sched_getparam(0, &p));
	SAY(p.sched_priority);
	SAY(sched_get_priority_max(SCHED_FIFO));
	SAY(sched_get_priority_min(99));
	SAY(sched_getaffinity(0, sizeof set, &set));
	IS(CPU_COUNT(&set) > 0);
	SAY(sched_setaffinity(0, sizeof set, &set));
	SAY(sched_getaffinity(0, 1, &set));
	SAY(syscall(SYS_sched_getaffinity, 0, 128L, KERNEL));
	SAY(sched_yield());
	SAY(getpriority(PRIO_PROCESS, 0));
	SAY(setpriority(PRIO_PROCESS, 0, 3));
	SAY(getpriority(PRIO_PROCESS, 0));
	SAY(getpriority(9, 0));
	struct timespec ts;
	SAY(sched_rr_get_interval(0, &ts));
	unsigned char attr[56] = { 56 };
	SAY(syscall(SYS_sched_getattr, 0, attr, 56, 0));
	SAY(attr[16]); /* nice */
	SAY(syscall(SYS_ioprio_get, 1, 0));
	IS(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) > 0);
}

static void controls(void)
{
	char name[17] = { 0 };
	int sig = -1;
	SAY(prctl(PR_SET_NAME, "some-name"));
	SAY(prctl(PR_GET_NAME, name));
	printf("name %s\n", name);
	SAY(prctl(PR_GET_NAME, KERNEL));
	SAY(prctl(PR_SET_PDEATHSIG, 9));
	SAY(prctl(PR_GET_PDEATHSIG, &sig));
	SAY(sig);
	SAY(prctl(PR_SET_PDEATHSIG, 0));
	SAY(prctl(PR_GET_DUMPABLE));
	SAY(prctl(PR_GET_KEEPCAPS));
	SAY(prctl(PR_SET_CHILD_SUBREAPER, 1));
	SAY(prctl(PR_GET_CHILD_SUBREAPER, &sig));
	SAY(sig);
	SAY(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SAY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	SAY(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SAY(prctl(PR_CAPBSET_READ, 0));
	SAY(prctl(PR_CAPBSET_READ, 999));
	SAY(prctl(123456));
	SAY(prctl(PR_GET_TIMERSLACK));
}

static void proc(char **argv)
{
	char exe[4096] = { 0 }, want[4096], buf[4096] = { 0 };
	struct stat a, b;
	IS(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
	IS(realpath(argv[0], want) && !strcmp(exe, want));
	IS(!stat("/proc/self/exe", &a) && !stat(argv[0], &b) && a.st_ino == b.st_ino);
	int fd = (int)SAY(open("/proc/self/cmdline", O_RDONLY));
	IS(read(fd, buf, sizeof buf) > 0 && !strcmp(buf, argv[0]));
	close(fd);
	setenv("X", "y", 1);
	fd = (int)SAY(open("/proc/self/environ", O_RDONLY));
	long n = read(fd, buf, sizeof buf);
	IS(n >= 0);
	close(fd);
	fd = (int)SAY(open("/proc/self/auxv", O_RDONLY));
	n = read(fd, buf, sizeof buf);
	IS(n > 100 && n % 16 == 0 && !*(uint64_t *)(void *)(buf + n - 16));
	close(fd);
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned seen = 0;
	while (fgets(buf, sizeof buf, f)) {
		unsigned long lo, hi;
		char prot[5];
		if (sscanf(buf, "%lx-%lx %4s", &lo, &hi, prot) != 3)
			continue;
		if ((uintptr_t)proc >= lo && (uintptr_t)proc < hi)
			seen |= !strcmp(prot, "r-xp") && strstr(buf, exe) ? 1 : 8;
		if ((uintptr_t)&seen >= lo && (uintptr_t)&seen < hi)
			seen |= strstr(buf, "[stack]") ? 2 : 16;
	}
	SAY(seen);
	fclose(f);
	snprintf(buf, sizeof buf, "/proc/%d/cwd", getpid());
	IS(readlink(buf, exe, sizeof exe) > 0);
	IS(getcwd(want, sizeof want) && !strncmp(exe, want, strlen(want)));
	fd = open("/dev/null", O_RDONLY);
	snprintf(buf, sizeof buf, "/proc/self/fd/%d", fd);
	SAY(readlink(buf, exe, sizeof exe));
	SAY(access("/proc/self/fd/99", F_OK));
}

int main(int argc, char **argv)
{
	(void)argc;
	identity();
	limits();
	scheduling();
	controls();
	proc(argv);
	return 0;
}
