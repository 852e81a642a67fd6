/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of system calls: what they see and do, in threads, forks and execs. */
#include "say.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#ifdef __riscv
#define ARCH AUDIT_ARCH_RISCV64
#else
#define ARCH AUDIT_ARCH_X86_64
#endif
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(value, code) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), code
#define RET(value) BPF_STMT(BPF_RET | BPF_K, value)

static long install(struct sock_filter *code, unsigned short n, unsigned flags)
{
	struct sock_fprog p = { n, code };
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}
#define INSTALL(flags, ...)                                                                        \
	install((struct sock_filter[]){ __VA_ARGS__ },                                             \
	        sizeof((struct sock_filter[]){ __VA_ARGS__ }) / sizeof(struct sock_filter), flags)

/* Run @fn in a child and say how it ended. */
static void in_child(const char *name, void (*fn)(void))
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		fn();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("%s: exit %d signal %d\n", name, WEXITSTATUS(status), WTERMSIG(status));
}

static void refused(void)
{
	struct sock_filter bad[] = { RET(SECCOMP_RET_ALLOW) };
	struct sock_fprog none = { 1, KERNEL }, long_ = { 5000, bad }, empty = { 0, bad };
	SAY(prctl(PR_GET_SECCOMP));
	SAY(syscall(SYS_seccomp, 99, 0, NULL));
	SAY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, KERNEL));
	SAY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &none));
	SAY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &long_));
	SAY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &empty));
	SAY(INSTALL(0x10000, RET(SECCOMP_RET_ALLOW)));
	SAY(INSTALL(0, LOAD(nr)));                                       /* no end */
	SAY(INSTALL(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RET(0))); /* past the data */
	SAY(INSTALL(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RET(0)));
	SAY(INSTALL(0, BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4), RET(0)));
	SAY(INSTALL(0, BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET(0)));
	SAY(INSTALL(0, BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RET(0)));
	SAY(INSTALL(0, BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), RET(0)));
	SAY(INSTALL(0, BPF_STMT(BPF_LD | BPF_MEM, 1), RET(0)));          /* never stored */
	SAY(INSTALL(0, BPF_STMT(BPF_ST, 16), RET(0)));
	SAY(INSTALL(0, BPF_STMT(BPF_JMP | BPF_JA, 1), RET(0)));
	SAY(INSTALL(0, IF(3, RET(0)), BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), RET(0)));
	SAY(prctl(PR_SET_SECCOMP, 7, NULL));
	uint32_t action = SECCOMP_RET_ERRNO, unknown = 0x12340000;
	SAY(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
	SAY(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown));
	SAY(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, KERNEL));
	SAY(prctl(PR_GET_SECCOMP));
}

static void errors(void)
{
	/* the second one sees less, but the stricter answer counts; arguments in halves */
	SAY(INSTALL(0, LOAD(arch), IF(ARCH, BPF_STMT(BPF_JMP | BPF_JA, 1)),
	            RET(SECCOMP_RET_KILL_PROCESS), LOAD(nr),
	            IF(SYS_getpriority, RET(SECCOMP_RET_ERRNO | 77)),
	            IF(SYS_sched_yield, RET(SECCOMP_RET_ERRNO | 0xffff)),
	            IF(SYS_getsid, RET(SECCOMP_RET_ERRNO | 0)), RET(SECCOMP_RET_ALLOW)));
	SAY(prctl(PR_GET_SECCOMP));
	SAY(syscall(SYS_getpriority, 0, 0));
	long r = syscall(SYS_sched_yield);
	printf("yield %ld %d\n", r, errno);
	SAY(syscall(SYS_getsid, 12345));
	struct sock_filter args[] = {
		LOAD(nr), IF(SYS_lseek, BPF_STMT(BPF_JMP | BPF_JA, 1)), RET(SECCOMP_RET_LOG),
		LOAD(args[1]), BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4),
		BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 3), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 1),
		BPF_STMT(BPF_LDX | BPF_MEM, 3), BPF_STMT(BPF_ALU | BPF_RSH | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 1), BPF_STMT(BPF_ALU | BPF_NEG, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0),
	};
	SAY(install(args, sizeof args / sizeof *args, SECCOMP_FILTER_FLAG_LOG));
	SAY(syscall(SYS_lseek, 99, 40L | 2L << 32, 0) == -1 ? errno : 0);
	SAY(INSTALL(0, LOAD(nr), IF(SYS_lseek, RET(SECCOMP_RET_ALLOW)), RET(SECCOMP_RET_ALLOW)));
	SAY(syscall(SYS_lseek, 99, 7L, 0) == -1 ? errno : 0);
	SAY(INSTALL(0, LOAD(nr), IF(SYS_getsid, RET(SECCOMP_RET_TRACE | 1)),
	            RET(SECCOMP_RET_ALLOW)));
	SAY(syscall(SYS_getsid, 0)); /* errno 0 is stricter */
	pid_t pid = fork();
	if (pid == 0)
		_exit(syscall(SYS_getpriority, 0, 0) == -1 && errno == 77 ? 5 : 6);
	int status;
	waitpid(pid, &status, 0);
	SAY(WEXITSTATUS(status));
}

static void on_sys(int sig, siginfo_t *info, void *context)
{
	(void)context;
	printf("trapped %d code %d errno %d nr %d arch %d at %d\n", sig, info->si_code,
	       info->si_errno, info->si_syscall == SYS_getsid, info->si_arch == ARCH,
	       info->si_call_addr != NULL);
}

static void traps(void)
{
	struct sigaction a = { .sa_sigaction = on_sys, .sa_flags = SA_SIGINFO };
	sigaction(SIGSYS, &a, NULL);
	INSTALL(0, LOAD(nr), IF(SYS_getsid, RET(SECCOMP_RET_TRAP | 99)), RET(SECCOMP_RET_ALLOW));
	syscall(SYS_getsid, 4321); /* what it returns is what its register had */
	printf("behind\n");
	fflush(stdout);
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	syscall(SYS_getsid, 4321);
}

static void kills(void)
{
	INSTALL(0, LOAD(nr), IF(SYS_getsid, RET(SECCOMP_RET_KILL_PROCESS)), RET(SECCOMP_RET_ALLOW));
	syscall(SYS_getsid, 0);
}

static void *caller(void *p)
{
	syscall(SYS_getsid, 0);
	return p;
}

static void kills_thread(void)
{
	static char stack[65536];
	pthread_t t;
	(void)stack;
	INSTALL(0, LOAD(nr), IF(SYS_getsid, RET(SECCOMP_RET_KILL_THREAD)), RET(SECCOMP_RET_ALLOW));
	pthread_create(&t, NULL, caller, NULL);
	usleep(200000);
	printf("the thread is gone\n");
	fflush(stdout);
	syscall(SYS_getsid, 0);
	printf("not reached\n");
}

static volatile int stage;
static void *waiter(void *p)
{
	while (stage == 0)
		usleep(1000);
	long r = syscall(SYS_getsid, 0);
	*(int *)p = r == -1 ? errno : 0;
	while (stage == 1)
		usleep(1000);
	return NULL;
}

static void *other_filter(void *p)
{
	*(long *)p = INSTALL(0, RET(SECCOMP_RET_ALLOW));
	stage = 1;
	while (stage < 2)
		usleep(1000);
	return NULL;
}

static void threads(void)
{
	pthread_t t;
	int seen = -1;
	long other = -1;
	pthread_create(&t, NULL, waiter, &seen);
	SAY(INSTALL(SECCOMP_FILTER_FLAG_TSYNC, LOAD(nr),
	            IF(SYS_getsid, RET(SECCOMP_RET_ERRNO | 55)), RET(SECCOMP_RET_ALLOW)));
	stage = 1;
	usleep(50000);
	stage = 2;
	pthread_join(t, NULL);
	SAY(seen);
	stage = 0;
	pthread_create(&t, NULL, other_filter, &other);
	while (!stage)
		usleep(1000);
	SAY(other);
	IS(INSTALL(SECCOMP_FILTER_FLAG_TSYNC, RET(SECCOMP_RET_ALLOW)) > 0);
	SAY(INSTALL(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
	            RET(SECCOMP_RET_ALLOW)));
	stage = 2;
	pthread_join(t, NULL);
}

static void strict(void)
{
	fflush(stdout);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	if (write(1, "strict\n", 7) == 7)
		syscall(SYS_getsid, 0);
}

static void exec(void)
{
	INSTALL(0, LOAD(nr), IF(SYS_getsid, RET(SECCOMP_RET_ERRNO | 66)), RET(SECCOMP_RET_ALLOW));
	execl("/proc/self/exe", "seccomp", "again", NULL);
}

static void without_right(void)
{
	if (geteuid() == 0 && setresuid(65534, 65534, 65534))
		return;
	struct sock_filter code[] = { RET(SECCOMP_RET_ALLOW) };
	SAY(install(code, 1, 0) == 0 || errno == EACCES);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		SAY(syscall(SYS_getsid, 0) == -1 ? errno : 0);
		return 3;
	}
	in_child("refused", refused);
	in_child("errors", errors);
	in_child("traps", traps);
	in_child("kills", kills);
	in_child("kills a thread", kills_thread);
	in_child("threads", threads);
	in_child("strict", strict);
	in_child("exec", exec);
	in_child("without", without_right);
	return 0;
}
