/* SPDX-License-Identifier: Apache-2.0 */
#include "box/internal.h"
#include "test/test.h"
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* 0 or the error of a call. */
static int tried(long nr, long a, long b, long c) { return syscall(nr, a, b, c) < 0 ? errno : 0; }

/* The first thing that the filter of @b has wrong, in a process that it holds; 0: none. */
static int wrong_with(const struct box_alone *b)
{
	const int sockets = b->sockets ? 0 : EPERM, pairs = b->sockets ? EFAULT : EPERM;
	const struct {
		long nr, a, b, c;
		int error;
	} calls[] = {
	    {SYS_getpid, 0, 0, 0, 0},
	    {SYS_read, -1, 0, 0, EBADF},
	    {SYS_getrandom, 0, 0, 0, 0},
	    {SYS_pidfd_open, -1, 0, 0, EINVAL},
	    {SYS_kill, getpid(), 0, 0, EPERM},
	    {SYS_tgkill, getpid(), gettid(), 0, b->forks ? EPERM : 0},
	    {SYS_tgkill, getppid(), getppid(), 0, EPERM},
	    {SYS_ptrace, 0, 0, 0, EPERM},
	    {SYS_unshare, 0, 0, 0, EPERM},
	    {SYS_io_uring_setup, 1, 0, 0, EPERM},
	    {511, 0, 0, 0, EPERM},
	    {512, 0, 0, 0, EPERM},
	    {0x40000000 | SYS_getpid, 0, 0, 0, EPERM}, /* the numbers of x32 */
	    {SYS_clone3, 0, 0, 0, ENOSYS},
	    {SYS_clone, CLONE_NEWUSER, 0, 0, EPERM},
	    {SYS_prctl, PR_SET_DUMPABLE, 1, 0, EPERM},
	    {SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0},
	    {SYS_ioctl, -1, TIOCSTI, 0, EPERM},
	    {SYS_ioctl, -1, TIOCGWINSZ, 0, EBADF},
	    {SYS_prlimit64, 1, 0, 0, EPERM},
	    {SYS_socket, AF_INET, SOCK_STREAM, 0, sockets},
	    {SYS_socket, AF_UNIX, SOCK_STREAM, 0, EPERM},
	    {SYS_connect, -1, 0, 0, b->sockets ? EBADF : EPERM},
	    {SYS_bind, -1, 0, 0, b->sockets ? EBADF : EPERM},
	    {SYS_listen, -1, 0, 0, b->sockets ? EBADF : EPERM},
	    {SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pairs},
	    {SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs},
	    {SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, EPERM},
	    {SYS_socketpair, AF_INET, SOCK_STREAM, 0, EPERM},
	};
	if (sieve_load(b, NULL) < 0)
		return 100;
	for (size_t i = 0; i < countof(calls); i++)
		if (tried(calls[i].nr, calls[i].a, calls[i].b, calls[i].c) != calls[i].error)
			return (int)i + 1;
	return 0;
}

static void check_filter(const struct box_alone *b)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(wrong_with(b));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

TEST(sieve_lets_what_is_listed_through)
{
	check_filter(&(struct box_alone){.sockets = true});
	check_filter(&(struct box_alone){.sockets = true, .forks = true});
}

TEST(sieve_without_sockets_refuses_them)
{
	check_filter(&(struct box_alone){.sockets = false});
}

TEST(sieve_ends_who_calls_from_below)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(wrong_with(&(struct box_alone){.code_from = UINT64_C(1) << 48}));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}
