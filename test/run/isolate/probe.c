/* SPDX-License-Identifier: Apache-2.0 */
/* What a confined program can reach: a line for each thing that it tries. Compiled for riscv64, and
 * for the host, whose programs a confined one may start: those make the host's system calls. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#define TRY(what, call) say(what, (long)(call))

static void say(const char *what, long r)
{
	printf("%s: %s\n", what, r == -1 ? strerrorname_np(errno) : "yes");
}

static int inet_try(const char *address, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	inet_pton(AF_INET, address, &a.sin_addr);
	return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a);
}

/* Its own loopback carries. */
static int loopback_try(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
	if (bind(l, (struct sockaddr *)&a, sizeof a) || listen(l, 1) ||
	    getsockname(l, (struct sockaddr *)&a, &len))
		return -1;
	return connect(c, (struct sockaddr *)&a, sizeof a);
}

static int abstract_try(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "%s", name);
	return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a,
	               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

/* probe PORT PID FILE: a port, a process and a file of the host. */
int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	setbuf(stdout, NULL);
	TRY("port of the host", inet_try("127.0.0.1", atoi(argv[1])));
	TRY("network", inet_try("192.0.2.1", 80));
	TRY("loopback", loopback_try());
	TRY("abstract socket", abstract_try("lodge-isolate-test"));
	TRY("packets", socket(AF_PACKET, SOCK_RAW, 0));
	TRY("raw", socket(AF_INET, SOCK_RAW, 1));
	TRY("vsock", socket(40, SOCK_STREAM, 0));
	TRY("file", open(argv[3], O_RDONLY));
	TRY("up", open("../../../../../../../../../../etc/hostname", O_RDONLY));
	TRY("process", kill(atoi(argv[2]), 0));
	TRY("process of init's", access("/proc/2000", F_OK));
	TRY("trace", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
	TRY("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	TRY("remount", mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY("unshare", unshare(CLONE_NEWUSER));
	TRY("clone", syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0));
	TRY("setns", setns(open("/proc/self/ns/net", O_RDONLY), 0));
	TRY("pivot_root", syscall(SYS_pivot_root, ".", "."));
	TRY("chroot", chroot("/"));
	TRY("bpf", syscall(SYS_bpf, 0, NULL, 0));
	TRY("key", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
	TRY("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
	TRY("hostname", sethostname("x", 1));
	TRY("terminal", ioctl(0, TIOCSTI, "x"));
	TRY("terminal, high", syscall(SYS_ioctl, 0, 0x100000000ul | TIOCSTI, "x"));
	TRY("device", mknod("/tmp/kmem", S_IFCHR | 0600, 0x102));
	TRY("core pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY));
	TRY("descriptor 50", fcntl(50, F_GETFD));
	TRY("write to /tmp", open("/tmp/own", O_WRONLY | O_CREAT, 0600));
	TRY("write to /", open("/own", O_WRONLY | O_CREAT, 0600));
	printf("secret: %s\n", getenv("SECRET") ? getenv("SECRET") : "none");
	printf("no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return 11;
}
