/* SPDX-License-Identifier: Apache-2.0 */
/* The one program of the root in vmroot.bats: does what its words say, one after the other, and
 * says why when it cannot. Compiled statically for riscv64. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static void on_signal(int n) { caught = n; }

static void failed(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(1, p, n);
		if (w < 0)
			failed("write");
		p += w;
		n -= (size_t)w;
	}
}

static void copy(int fd)
{
	static char buf[10007];
	ssize_t n;
	while ((n = read(fd, buf, sizeof buf)) > 0)
		put(buf, (size_t)n);
	if (n < 0)
		failed("read");
}

static void ids(void)
{
	gid_t g[64];
	int n = getgroups(64, g);
	printf("ids=%u:%u", getuid(), getgid());
	for (int i = 0; i < n; i++)
		printf("%c%u", i ? ',' : ':', g[i]);
	puts("");
}

static void mounts(void)
{
	FILE *f = setmntent("/proc/mounts", "r");
	if (!f)
		failed("/proc/mounts");
	for (struct mntent *m; (m = getmntent(f));)
		printf("%s %s %s %s\n", m->mnt_fsname, m->mnt_dir, m->mnt_type, m->mnt_opts);
	endmntent(f);
}

/* Words without an argument. */
static int plain(const char *w)
{
	char text[4096] = "";
	struct winsize size = {0};
	if (!strcmp(w, "cat")) {
		copy(0);
	} else if (!strcmp(w, "cwd")) {
		printf("cwd=%s\n", getcwd(text, sizeof text));
	} else if (!strcmp(w, "host")) {
		gethostname(text, sizeof text);
		printf("host=%s\n", text);
	} else if (!strcmp(w, "ids")) {
		ids();
	} else if (!strcmp(w, "mounts")) {
		mounts();
	} else if (!strcmp(w, "size")) {
		ioctl(0, TIOCGWINSZ, &size);
		printf("tty=%d size=%dx%d\n", isatty(0) && isatty(1), size.ws_row, size.ws_col);
	} else if (!strcmp(w, "wait")) {
		while (!caught)
			usleep(10000);
		printf("signal %d\n", (int)caught);
	} else if (!strcmp(w, "forever")) {
		for (;;)
			pause();
	} else {
		return 0;
	}
	fflush(stdout);
	return 1;
}

static void with(const char *w, const char *arg)
{
	if (!strcmp(w, "out")) {
		printf("%s\n", arg);
	} else if (!strcmp(w, "err")) {
		fprintf(stderr, "%s\n", arg);
	} else if (!strcmp(w, "exit")) {
		exit(atoi(arg));
	} else if (!strcmp(w, "env")) {
		printf("%s=%s\n", arg, getenv(arg) ? getenv(arg) : "(unset)");
	} else if (!strcmp(w, "handle")) {
		signal(atoi(arg), on_signal);
	} else if (!strcmp(w, "ignore")) {
		signal(atoi(arg), SIG_IGN);
	} else if (!strcmp(w, "file")) {
		int fd = open(arg, O_RDONLY);
		if (fd < 0)
			failed(arg);
		copy(fd);
		close(fd);
	} else {
		fprintf(stderr, "%s: what is that?\n", w);
		exit(2);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (plain(argv[i]))
			continue;
		if (!strcmp(argv[i], "write") && i + 2 < argc) {
			int fd = open(argv[i + 1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
			ssize_t n = (ssize_t)strlen(argv[i + 2]);
			if (fd < 0 || write(fd, argv[i + 2], (size_t)n) != n || close(fd))
				failed(argv[i + 1]);
			i += 2;
		} else if (!strcmp(argv[i], "kill") && i + 2 < argc) {
			if (kill(atoi(argv[i + 1]), atoi(argv[i + 2])))
				failed("kill");
			i += 2;
		} else if (i + 1 < argc) {
			with(argv[i], argv[i + 1]);
			i++;
		}
	}
	return 0;
}
