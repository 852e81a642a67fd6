/* SPDX-License-Identifier: Apache-2.0 */
/* lodge-agent: the guest's side of `lodge exec`, `stop` and the clock. Finds the host by vsock or
 * by the console port named org.lodge.agent, and serves it from one poll loop. */
#define _GNU_SOURCE
#include "agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h> /* needs sys/socket.h before it */

enum { SEARCH_MS = 1000, PORT_MS = 5000 };

int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void try_vsock(struct agent *a)
{
	struct sockaddr_vm at = {
	    .svm_family = AF_VSOCK, .svm_port = AGENT_VSOCK_PORT, .svm_cid = VMADDR_CID_ANY};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, SESSIONS_MAX)) {
		close(fd);
		return;
	}
	a->listener = fd;
}

/* udev gives the port its name in /dev; without udev sysfs tells it. */
static int open_port(void)
{
	int fd = open("/dev/virtio-ports/" AGENT_PORT_NAME, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	DIR *dir = fd < 0 ? opendir("/sys/class/virtio-ports") : NULL;
	if (!dir)
		return fd;
	for (struct dirent *e; fd < 0 && (e = readdir(dir));) {
		char path[320], name[64] = "";
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", e->d_name);
		FILE *in = fopen(path, "re");
		if (!in)
			continue;
		if (fgets(name, sizeof(name), in) && !strcmp(name, AGENT_PORT_NAME "\n")) {
			snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
		fclose(in);
	}
	closedir(dir);
	return fd;
}

static struct session *port_session(struct agent *a)
{
	for (struct session *s = a->sessions; s < a->sessions + SESSIONS_MAX; s++)
		if (s->used && s->port)
			return s;
	return NULL;
}

static void try_port(struct agent *a)
{
	int fd = open_port();
	if (fd < 0)
		return;
	/* SIGIO tells when the host opens or closes its side. */
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC);
	if (!session_new(a, fd, fd, true))
		close(fd);
}

static void search(struct agent *a)
{
	if (a->want_vsock && a->listener < 0)
		try_vsock(a);
	if (a->want_port && !port_session(a))
		try_port(a);
}

static void greet(struct agent *a)
{
	int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (!session_new(a, fd, fd, false))
		close(fd);
}

static struct pollfd *want(struct agent *a, int fd, short events)
{
	struct pollfd *p = &a->polls[a->poll_count++];
	*p = (struct pollfd){.fd = fd, .events = events};
	return p;
}

static short events_of(const struct agent *a, int fd)
{
	for (unsigned i = 0; fd >= 0 && i < a->poll_count; i++)
		if (a->polls[i].fd == fd && a->polls[i].revents)
			return a->polls[i].revents;
	return 0;
}

static void poll_set(struct agent *a, bool *busy)
{
	a->poll_count = 0;
	*busy = false;
	want(a, a->signals, POLLIN);
	if (a->listener >= 0)
		want(a, a->listener, POLLIN);
	for (struct session *s = a->sessions; s < a->sessions + SESSIONS_MAX; s++) {
		if (!s->used)
			continue;
		*busy |= s->have != 0;
		bool writes = s->out.at < s->out.end;
		if (session_room(s))
			want(a, s->in, POLLIN);
		if (writes)
			want(a, s->out_fd, POLLOUT);
	}
	for (struct task *t = a->tasks; t < a->tasks + TASKS_MAX; t++) {
		*busy |= t->pid && t->kill_at;
		if (!t->pid || (!t->session && !t->adrift))
			continue;
		bool room = t->adrift || (t->window && session_room(t->session));
		if (t->in >= 0 && (t->pending_at < t->pending_end || t->eof_wanted))
			want(a, t->in, POLLOUT);
		if (t->out >= 0 && room)
			want(a, t->out, POLLIN);
		if (t->err >= 0 && room)
			want(a, t->err, POLLIN);
	}
}

static void serve_sessions(struct agent *a)
{
	for (struct session *s = a->sessions; s < a->sessions + SESSIONS_MAX; s++) {
		if (s->used && events_of(a, s->in) & (POLLIN | POLLHUP | POLLERR))
			session_read(a, s);
		if (s->used)
			session_tick(a, s);
	}
}

static void serve_tasks(struct agent *a)
{
	for (struct task *t = a->tasks; t < a->tasks + TASKS_MAX; t++) {
		if (!t->pid)
			continue;
		task_tick(t);
		if (!t->session && !t->adrift)
			continue;
		if (t->in >= 0 && events_of(a, t->in))
			task_input(t);
		if (t->out >= 0 && events_of(a, t->out))
			task_output(t, &t->out, AGENT_STDOUT);
		if (t->err >= 0 && events_of(a, t->err))
			task_output(t, &t->err, AGENT_STDERR);
		task_finish(a, t);
	}
}

/* The host has not opened its side of the port: poll says so at once, for ever. Leave it out. */
static bool leave_out_port(struct agent *a)
{
	struct session *s = port_session(a);
	if (!s || !(events_of(a, s->in) & POLLHUP) || session_read(a, s))
		return false;
	for (unsigned i = 0; i < a->poll_count; i++)
		if (a->polls[i].fd == s->in)
			a->polls[i].fd = -1;
	return true;
}

static void read_signals(struct agent *a)
{
	struct signalfd_siginfo info;
	while (read(a->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		/* what poweroff, halt and reboot of busybox and others ask a first process for */
		if (info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGUSR2 ||
		    info.ssi_signo == SIGTERM)
			boot_ask(a, info.ssi_signo == SIGTERM);
	task_reap(a);
}

static bool any_session(const struct agent *a)
{
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		if (a->sessions[i].used)
			return true;
	return false;
}

static int timeout_of(struct agent *a, bool busy)
{
	if (busy || (a->boot && boot_ends(a->boot)))
		return 250;
	if ((a->want_vsock || a->want_port) && a->listener < 0 && !port_session(a))
		return SEARCH_MS;
	return -1;
}

static int run(struct agent *a)
{
	bool busy;
	search(a);
	while (!a->once || any_session(a)) {
		poll_set(a, &busy);
		int n = poll(a->polls, a->poll_count, timeout_of(a, busy));
		if (n < 0 && errno != EINTR)
			return 1;
		if (n > 0 && leave_out_port(a))
			n = poll(a->polls, a->poll_count, busy ? 250 : PORT_MS);
		if (n == 0)
			search(a);
		if (events_of(a, a->signals))
			read_signals(a);
		if (events_of(a, a->listener))
			greet(a);
		serve_sessions(a);
		serve_tasks(a);
		for (struct session *s = a->sessions; s < a->sessions + SESSIONS_MAX; s++)
			if (s->used && s->out.at < s->out.end)
				session_flush(a, s);
		if (a->boot)
			boot_tick(a);
	}
	return 0;
}

static void daemon_fds(void)
{
	/* 0 to 2 must be taken, or a pipe of a program would get such a number. */
	int fd;
	do
		fd = getpid() == 1 ? socket(AF_UNIX, SOCK_STREAM, 0) : open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	if (fd >= 3)
		close(fd);
}

static int usage(void)
{
	fputs("usage: lodge-agent [--vsock | --port | --stdio | --version]\n"
	      "The guest's side of lodge exec. Without an option it serves vsock port 1024 and\n"
	      "the console port org.lodge.agent, whichever there is.\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static struct agent a = {.listener = -1, .want_vsock = true, .want_port = true};
	bool stdio = argc == 2 && !strcmp(argv[1], "--stdio");
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("lodge-agent protocol %u\n", AGENT_VERSION);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "--vsock"))
		a.want_port = false;
	else if (argc == 2 && !strcmp(argv[1], "--port"))
		a.want_vsock = false;
	else if (argc > 1 && !stdio)
		return usage();
	bool init = getpid() == 1;
	daemon_fds();
	sigset_t set;
	sigemptyset(&set);
	for (int i = 0; init && i < 3; i++)
		sigaddset(&set, (int[]){SIGUSR1, SIGUSR2, SIGTERM}[i]);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	a.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a.signals < 0)
		return 1;
	for (unsigned i = 0; i < TASKS_MAX; i++)
		a.tasks[i].in = a.tasks[i].out = a.tasks[i].err = -1;
	if (init)
		a.boot = boot_begin(&a);
	if (stdio) {
		a.want_vsock = a.want_port = false;
		a.once = true;
		int in = fcntl(0, F_DUPFD_CLOEXEC, 3), out = fcntl(1, F_DUPFD_CLOEXEC, 3);
		int null = open("/dev/null", O_RDWR);
		if (in < 0 || out < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
			return 1;
		close(null);
		fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
		fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
		if (!session_new(&a, in, out, false))
			return 1;
	}
	return run(&a);
}
