/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: fork, wait in all its forms, pidfds, kill, memory of another process. */
#include "say.h"
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

static pid_t child(int code)
{
	pid_t p = fork();
	if (!p)
		_exit(code);
	return p;
}

static void waiting(void)
{
	int status = 0;
	siginfo_t si;
	struct rusage ru;
	pid_t p = child(7);
	IS(waitpid(p, &status, 0) == p);
	SAY(WEXITSTATUS(status));
	SAY(waitpid(-1, &status, 0));
	SAY(waitpid(p, &status, 0x8000));
	p = child(300);
	IS(wait4(-1, &status, 0, &ru) == p);
	SAY(status);
	IS(ru.ru_maxrss >= 0); /* a short life may not be counted */
	p = child(5);
	memset(&si, 0, sizeof si);
	SAY(waitid(P_PID, (id_t)p, &si, WEXITED | WNOWAIT));
	IS(si.si_pid == p && si.si_status == 5 && si.si_code == CLD_EXITED &&
	   si.si_signo == SIGCHLD);
	SAY(waitid(P_ALL, 0, &si, WEXITED | WNOHANG));
	SAY(waitid(P_ALL, 0, &si, WEXITED));
	SAY(waitid(P_PID, 1, &si, 0));
	p = fork();
	if (!p)
		for (;;)
			pause();
	SAY(waitpid(p, &status, WNOHANG));
	SAY(kill(p, SIGSTOP));
	IS(waitpid(p, &status, WUNTRACED) == p && WIFSTOPPED(status));
	SAY(kill(p, SIGCONT));
	IS(waitpid(p, &status, WCONTINUED) == p && WIFCONTINUED(status));
	SAY(kill(p, SIGTERM));
	IS(waitpid(p, &status, 0) == p);
	SAY(WTERMSIG(status));
	SAY(kill(p, 0));
	SAY(kill(getpid(), 0));
	SAY(kill(getpid(), 999));
}

static void pidfds(void)
{
	siginfo_t si;
	int p[2], q[2], status;
	SAY(pipe(p));
	SAY(pipe(q));
	pid_t c = fork();
	if (!c) {
		char b;
		close(p[1]);
		_exit(read(p[0], &b, 1) == 1 ? b : 0);
	}
	int fd = (int)SAY(syscall(SYS_pidfd_open, c, 0));
	SAY(fcntl(fd, F_GETFD));
	struct pollfd f = { fd, POLLIN, 0 };
	SAY(poll(&f, 1, 0));
	SAY(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	SAY(write(p[1], "*", 1));
	SAY(poll(&f, 1, -1));
	SAY(waitid((idtype_t)3, (id_t)fd, &si, WEXITED));
	SAY(si.si_status);
	SAY(syscall(SYS_pidfd_open, -1, 0));
	SAY(waitpid(-1, &status, 0));
	close(fd);
}

static void keys(void)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SAY(syscall(SYS_pkey_mprotect, p, 4096L, PROT_READ, -1L));
	SAY(syscall(SYS_pkey_mprotect, p + 1, 4096L, PROT_READ, -1L));
	SAY(syscall(SYS_pkey_mprotect, p, 4096L, PROT_READ, 5L));
	SAY(pipe((int *)p));
	munmap(p, 8192);
	SAY(syscall(SYS_pivot_root, BAD, BAD) == -1);
}

static void memory(void)
{
	static char text[16] = "parent";
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char buf[16] = { 0 };
	int p[2], status;
	SAY(pipe(p));
	pid_t c = fork();
	if (!c) {
		char b;
		strcpy(text, "child");
		shared[0] = 1;
		close(p[1]);
		_exit((int)read(p[0], &b, 1));
	}
	while (!__atomic_load_n(shared, __ATOMIC_ACQUIRE))
		usleep(1000);
	struct iovec local = { buf, sizeof buf }, remote = { text, sizeof text };
	SAY(process_vm_readv(c, &local, 1, &remote, 1, 0));
	say_bytes("of the child", buf, 6);
	say_bytes("of the parent", text, 6);
	remote.iov_base = KERNEL;
	SAY(process_vm_readv(c, &local, 1, &remote, 1, 0));
	SAY(process_vm_readv(c, &local, 1, BAD, 1, 0));
	close(p[1]);
	IS(waitpid(c, &status, 0) == c && !status);
}

static void crashing(void)
{
	int status;
	pid_t c = fork();
	if (!c)
		*(volatile int *)BAD = 1;
	IS(waitpid(c, &status, 0) == c && WIFSIGNALED(status));
	SAY(WTERMSIG(status));
	c = fork();
	if (!c)
		abort();
	IS(waitpid(c, &status, 0) == c && WIFSIGNALED(status));
	SAY(WTERMSIG(status));
}

int main(void)
{
	signal(SIGPIPE, SIG_DFL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	waiting();
	pidfds();
	memory();
	keys();
	crashing();
	return 0;
}
