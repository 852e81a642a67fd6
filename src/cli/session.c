/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes between the user and a guest: one loop for consoles and one for programs. */
#include "cli/cli.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

enum { DETACH_KEY = 0x1d /* Ctrl-] */, BUF = 4096 };

struct session {
	bool interactive; /* stdin is carried */
	bool keys;        /* stdin is a raw terminal: the detach key counts */
	bool eof;         /* of stdin */
	bool eof_sent;
	int signals; /* signalfd */
	sigset_t before;
	char in[BUF]; /* read, not yet taken */
	size_t in_len;
	bool full; /* the other side takes nothing until it says so */
	bool gone; /* nobody reads our output any more; the program was told */
};

static void session_begin(struct session *s, bool interactive, bool raw, const int *signals,
			  size_t n)
{
	sigset_t set;
	*s = (struct session){.interactive = interactive};
	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, signals[i]);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, &s->before);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->keys = interactive && raw && isatty(0);
	if (s->keys)
		term_raw();
}

static void session_end(struct session *s)
{
	term_restore();
	if (s->signals >= 0)
		close(s->signals);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
}

static int session_signal(struct session *s)
{
	struct signalfd_siginfo si;
	return read(s->signals, &si, sizeof si) == sizeof si ? (int)si.ssi_signo : 0;
}

static bool write_out(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EAGAIN) {
			struct pollfd pf = {.fd = fd, .events = POLLOUT};
			poll(&pf, 1, -1);
			continue;
		}
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

/* Read stdin into the buffer. True: the detach key was pressed. */
static bool session_read(struct session *s)
{
	ssize_t n = read(0, s->in, sizeof s->in);
	if (n <= 0) {
		s->eof = n == 0 || (errno != EAGAIN && errno != EINTR);
		return false;
	}
	s->in_len = (size_t)n;
	if (s->keys && memchr(s->in, DETACH_KEY, s->in_len))
		return true;
	return false;
}

static void session_taken(struct session *s, long n)
{
	if (n <= 0)
		return;
	memmove(s->in, s->in + n, s->in_len - (size_t)n);
	s->in_len -= (size_t)n;
}

/* Wait for stdin (when there is room), signals and @fd, or only look, when there is @more to do.
 * Readiness by index: 0, 1, 2. */
static void session_poll(const struct session *s, int fd, bool more, struct pollfd p[3])
{
	p[0] = (struct pollfd){.fd = s->interactive && !s->eof && !s->in_len ? 0 : -1,
			       .events = POLLIN};
	p[1] = (struct pollfd){.fd = s->signals, .events = POLLIN};
	p[2] = (struct pollfd){.fd = fd,
			       .events = (short)(POLLIN | (s->in_len && !s->full ? POLLOUT : 0))};
	poll(p, 3, more ? 0 : -1);
}

/* ---- console ---- */

static void console_size(struct lodge_console *c)
{
	unsigned rows, columns;
	term_size(&rows, &columns);
	if (rows)
		lodge_console_resize(c, rows, columns);
}

/* 1: goes on, 0: the guest is gone, -1: stdout is. */
static int console_out(struct lodge_console *c)
{
	char buf[BUF];
	for (int i = 0; i < 64; i++) {
		long n = lodge_console_read(c, buf, sizeof buf);
		if (n == -EAGAIN)
			return 1;
		if (n <= 0)
			return 0;
		if (!write_out(1, buf, (size_t)n))
			return -1;
	}
	return 1;
}

/* 0: go on. */
static int console_signal(struct session *s, struct lodge_guest *g, struct lodge_console *c,
			  bool owner)
{
	int number = session_signal(s);
	if (number == SIGWINCH) {
		console_size(c);
		return 0;
	}
	/* The guest's end is seen as the end of its console. */
	if (number && owner && lodge_kill(g, NULL) < 0)
		return number;
	return number;
}

enum session_end session_console(struct lodge_guest *g, struct lodge_console *c, bool interactive,
				 bool owner, int *ret_signal)
{
	struct session s;
	struct pollfd p[3];
	enum session_end end = SESSION_OVER;
	int r = 1;
	*ret_signal = 0;
	static const int signals[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP};
	session_begin(&s, interactive, true, signals, countof(signals));
	console_size(c);
	while (r == 1) {
		session_poll(&s, lodge_console_fd(c), false, p);
		if (p[0].revents && session_read(&s)) {
			end = SESSION_DETACHED;
			break;
		}
		if (p[1].revents & POLLIN) {
			int n = console_signal(&s, g, c, owner);
			*ret_signal = n ? n : *ret_signal;
			if (n && !owner) {
				end = SESSION_DETACHED;
				break;
			}
		}
		if (s.in_len)
			session_taken(&s, lodge_console_write(c, s.in, s.in_len));
		r = console_out(c);
	}
	session_end(&s);
	return r < 0 ? SESSION_ERROR : end;
}

/* ---- a program in the guest ---- */

/* What exec_out has come to; negative: an error. */
enum { OUT_END, OUT_WAIT, OUT_MORE };

/* The library has read ahead, so the descriptor says nothing about what is left: OUT_WAIT only
 * after -EAGAIN. */
static int exec_out(struct session *s, struct lodge_exec *x, struct lodge_err *e)
{
	char buf[BUF];
	int stream = 0;
	for (int i = 0; i < 64; i++) {
		long n = lodge_exec_read(x, buf, sizeof buf, &stream, e);
		if (n == -EAGAIN)
			return OUT_WAIT;
		if (n <= 0)
			return n < 0 ? (int)n : OUT_END;
		/* One signal: one for each piece that is still on its way would fill the way to the
		 * program, which does not read from there while it waits to be read from. */
		if (!s->gone && !write_out(stream == LODGE_EXEC_STDERR ? 2 : 1, buf, (size_t)n)) {
			s->gone = true;
			lodge_exec_signal(x, SIGPIPE);
		}
	}
	return OUT_MORE;
}

/* The signal for which nobody was there, else 0. */
static int exec_signal(struct session *s, struct lodge_exec *x)
{
	unsigned rows, columns;
	int number = session_signal(s);
	if (number == SIGWINCH) {
		term_size(&rows, &columns);
		if (rows)
			lodge_exec_resize(x, rows, columns);
	} else if (number && lodge_exec_signal(x, number) == -ENOTCONN) {
		return number;
	}
	return 0;
}

static void exec_in(struct session *s, struct lodge_exec *x)
{
	s->full = false;
	if (s->in_len) {
		long n = lodge_exec_write(x, s->in, s->in_len);
		s->full = n == -ENOBUFS;
		session_taken(s, n);
	}
	if (s->eof && !s->in_len && !s->eof_sent)
		s->eof_sent = lodge_exec_write(x, NULL, 0) == 0;
}

enum session_end session_exec(struct lodge_exec *x, bool interactive, bool tty, int *ret_code,
			      struct lodge_err *e)
{
	struct session s;
	struct pollfd p[3];
	int r = OUT_MORE; /* the answer may have come with the greeting's */
	static const int signals[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
	session_begin(&s, interactive, tty, signals, countof(signals));
	while (r == OUT_WAIT || r == OUT_MORE) {
		session_poll(&s, lodge_exec_fd(x), r == OUT_MORE, p);
		if (p[0].revents && session_read(&s)) {
			session_end(&s);
			return SESSION_DETACHED;
		}
		int number = p[1].revents & POLLIN ? exec_signal(&s, x) : 0;
		if (number) {
			*ret_code = LODGE_EXIT_SIGNAL + number;
			session_end(&s);
			return SESSION_SIGNALED;
		}
		/* Reading first: it is what makes room for writing. */
		r = exec_out(&s, x, e);
		exec_in(&s, x);
	}
	session_end(&s);
	if (r < 0)
		return SESSION_ERROR;
	*ret_code = lodge_exec_exit(x);
	return SESSION_OVER;
}
