/* SPDX-License-Identifier: Apache-2.0 */
/* While a process of a container runs in the foreground: what is sent to us goes to it, its
 * terminal is ours, and its end is our end. */
#include "host/host.h"
#include "runtime/internal.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

/* What a terminal was before; given back also when we are ended by a signal. */
static struct termios before;
static bool raw;

static void terminal_raw(void)
{
	struct termios t;
	if (!isatty(0) || tcgetattr(0, &before) < 0)
		return;
	t = before;
	cfmakeraw(&t);
	raw = tcsetattr(0, TCSANOW, &t) == 0;
}

static void terminal_restore(void)
{
	if (raw)
		tcsetattr(0, TCSANOW, &before);
	raw = false;
}

int foreground_begin(struct foreground *f, bool terminal, struct lodge_err *e)
{
	sigset_t all;
	*f = (struct foreground){.signals = -1, .ends = {-1, -1}, .master = -1};
	(void)!prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigfillset(&all);
	sigdelset(&all, SIGTSTP);
	sigdelset(&all, SIGTTIN);
	sigdelset(&all, SIGTTOU);
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0 ||
	    (f->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
		return err_sys(e, "signals");
	if (terminal && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->ends) < 0)
		return err_sys(e, "a pair of sockets");
	return 0;
}

static void size_pass(const struct foreground *f)
{
	struct winsize w;
	if (f->master >= 0 && ioctl(0, TIOCGWINSZ, &w) == 0)
		(void)!ioctl(f->master, TIOCSWINSZ, &w);
}

/* *ret_code is set and true returned when @pid has ended. */
static bool signals_take(const struct foreground *f, pid_t pid, int *ret_code)
{
	struct signalfd_siginfo s;
	bool over = false;
	while (read(f->signals, &s, sizeof s) == sizeof s) {
		int status;
		pid_t got;
		if (s.ssi_signo == SIGWINCH)
			size_pass(f);
		if (s.ssi_signo != SIGCHLD) {
			if (s.ssi_signo != SIGWINCH && s.ssi_signo != SIGURG)
				kill(pid, (int)s.ssi_signo);
			continue;
		}
		while ((got = waitpid(-1, &status, WNOHANG)) > 0) {
			if (got != pid)
				continue;
			*ret_code = host_exit_code(status);
			over = true;
		}
	}
	return over;
}

/* Some bytes of @from to @to; false: there will be no more. */
static bool bytes_pass(int from, int to)
{
	char buf[4096];
	ssize_t n = read(from, buf, sizeof buf);
	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	for (ssize_t at = 0; at < n;) {
		ssize_t did = write(to, buf + at, (size_t)(n - at));
		if (did < 0 && errno != EINTR)
			return false;
		at += did > 0 ? did : 0;
	}
	return true;
}

/* What is still in the terminal when its process has ended. */
static void rest_pass(const struct foreground *f)
{
	struct pollfd p = {.fd = f->master, .events = POLLIN};
	while (f->master >= 0 && poll(&p, 1, 0) > 0 && p.revents & POLLIN)
		if (!bytes_pass(f->master, 1))
			return;
}

int foreground_wait(struct foreground *f, pid_t pid)
{
	int code = EXIT_LOST;
	bool input = f->ends[0] >= 0;
	if (f->ends[0] >= 0) {
		f->master = container_receive(f->ends[0]);
		size_pass(f);
		terminal_raw();
	}
	/* it may have ended before anybody looked */
	while (!signals_take(f, pid, &code)) {
		struct pollfd p[] = {{.fd = f->signals, .events = POLLIN},
				     {.fd = f->master, .events = POLLIN},
				     {.fd = input && f->master >= 0 ? 0 : -1, .events = POLLIN}};
		if (poll(p, countof(p), -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents && !bytes_pass(f->master, 1)) {
			close(f->master);
			f->master = -1;
		}
		if (p[2].revents && f->master >= 0)
			input = bytes_pass(0, f->master);
	}
	rest_pass(f);
	terminal_restore();
	auto_close(&f->master);
	auto_close(&f->ends[0]);
	auto_close(&f->ends[1]);
	auto_close(&f->signals);
	return code;
}
