/* SPDX-License-Identifier: Apache-2.0 */
/* Each call that does nothing by itself, with arguments that are wrong in several ways: the error
 * must be the kernel's. Left out: calls that end or stop the process, change who it is for good, or
 * whose answer is another on another kernel. */
#include "say.h"
#include <sys/mman.h>
#include <sys/msg.h>

#define CALL(name) { #name, SYS_##name }
static const struct { const char *name; long nr; } calls[] = {
	CALL(io_setup), CALL(io_destroy), CALL(io_submit), CALL(io_cancel), CALL(io_getevents),
	CALL(setxattr), CALL(lsetxattr), CALL(fsetxattr), CALL(getxattr), CALL(lgetxattr),
	CALL(fgetxattr), CALL(listxattr), CALL(llistxattr), CALL(flistxattr), CALL(removexattr),
	CALL(lremovexattr), CALL(fremovexattr), CALL(getcwd), CALL(eventfd2), CALL(epoll_create1),
	CALL(epoll_ctl), CALL(dup), CALL(dup3), CALL(fcntl), CALL(inotify_init1),
	CALL(inotify_add_watch), CALL(inotify_rm_watch), CALL(ioctl), CALL(ioprio_get), CALL(flock),
	CALL(mknodat), CALL(mkdirat), CALL(unlinkat), CALL(symlinkat), CALL(linkat), CALL(statfs),
	CALL(fstatfs), CALL(truncate), CALL(ftruncate), CALL(fallocate), CALL(faccessat),
	CALL(chdir), CALL(fchdir), CALL(fchmod), CALL(fchmodat), CALL(fchownat), CALL(fchown),
	CALL(openat), CALL(close), CALL(pipe2), CALL(getdents64), CALL(lseek), CALL(read),
	CALL(write), CALL(readv), CALL(writev), CALL(pread64), CALL(pwrite64), CALL(preadv),
	CALL(pwritev), CALL(sendfile), CALL(signalfd4), CALL(vmsplice), CALL(splice), CALL(tee),
	CALL(readlinkat), CALL(newfstatat), CALL(fstat), CALL(fsync), CALL(fdatasync),
	CALL(sync_file_range), CALL(timerfd_create), CALL(timerfd_settime), CALL(timerfd_gettime),
	CALL(utimensat), CALL(capget), CALL(getitimer), CALL(timer_create),
	CALL(timer_gettime), CALL(timer_getoverrun), CALL(timer_settime), CALL(timer_delete),
	CALL(clock_gettime), CALL(clock_getres), CALL(sched_getscheduler), CALL(sched_getparam),
	CALL(sched_getaffinity), CALL(sched_get_priority_max), CALL(sched_get_priority_min),
	CALL(sched_rr_get_interval), CALL(tkill), CALL(tgkill), CALL(getpriority), CALL(getresuid),
	CALL(getresgid), CALL(times), CALL(getpgid), CALL(getsid), CALL(getgroups), CALL(uname),
	CALL(getrlimit), CALL(getrusage), CALL(gettimeofday), CALL(sysinfo), CALL(mq_unlink),
	CALL(msgget), CALL(msgctl), CALL(msgrcv), CALL(msgsnd), CALL(semctl), CALL(semtimedop),
	CALL(semop), CALL(shmctl), CALL(socket), CALL(socketpair), CALL(bind), CALL(listen),
	CALL(accept), CALL(connect), CALL(getsockname), CALL(getpeername), CALL(sendto),
	CALL(recvfrom), CALL(setsockopt), CALL(getsockopt), CALL(shutdown), CALL(sendmsg),
	CALL(recvmsg), CALL(readahead), CALL(fadvise64), CALL(accept4), CALL(recvmmsg),
	CALL(prlimit64), CALL(name_to_handle_at), CALL(syncfs), CALL(setns), CALL(sendmmsg),
	CALL(process_vm_readv), CALL(process_vm_writev), CALL(kcmp), CALL(sched_getattr),
	CALL(renameat2), CALL(getrandom), CALL(memfd_create), CALL(copy_file_range), CALL(preadv2),
	CALL(pwritev2), CALL(statx), CALL(pidfd_send_signal), CALL(pidfd_open), CALL(openat2),
	CALL(pidfd_getfd), CALL(faccessat2), CALL(epoll_pwait2), CALL(futex_waitv),
	CALL(wait4), CALL(waitid), CALL(syslog), CALL(msync), CALL(mincore), CALL(mlock),
	CALL(munlock), CALL(membarrier), CALL(fsopen), CALL(fspick), CALL(open_tree),
	CALL(landlock_create_ruleset), CALL(landlock_add_rule), CALL(landlock_restrict_self),
};

/* @what with the same in every argument, and with a descriptor that is good and the rest wrong. */
static void call_all(const char *what, long fd, long a)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		long r = syscall(calls[i].nr, fd, a, a, a, a, a);
		int e = errno;
		char line[80];
		snprintf(line, sizeof line, "%s %s", calls[i].name, what);
		/* what made a descriptor or wrote somewhere says only that it did */
		errno = e;
		say(line, r < 0 ? -1 : 0);
		syscall(SYS_close_range, 5, ~0U, 0);
	}
}

/* The message queue of key -1, which msgget(-1, -1) makes, would outlive the program. */
static void queue_remove(void)
{
	msgctl(msgget(-1, 0), IPC_RMID, NULL);
}

int main(void)
{
	int fd = file_make("file", "text"), null = open("/dev/null", O_RDWR);
	/* low: as a length too it must be one on each host */
	void *none = mmap((void *)0x200000, 4096, PROT_NONE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (fd != 3 || null != 4 || none != (void *)0x200000)
		return 1;
	dup2(null, 0);
	queue_remove();
	call_all("of -1", -1, -1);
	queue_remove();
	call_all("of 99 and an address of nothing", 99, 8);
	call_all("of a file and an address of nothing", 3, 8);
	call_all("of a file and a page without rights", 3, (long)none);
	call_all("of a file and an address of the kernel", 3, -4096);
	call_all("of an address of nothing", 8, 8);
	call_all("of an address of the kernel", -4096, -4096);
	return 0;
}
