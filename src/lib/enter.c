/* SPDX-License-Identifier: Apache-2.0 */
/* A program in a guest that is processes of the host: a child of this process becomes it, as the
 * level says; here are its streams and its end. */
#include "lib/lib.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { END_IN = 1, END_OUT, END_ERR, END_PID };

struct enter {
	const struct level *level; /* borrowed */
	pid_t pid;                 /* 0: it has ended, and was waited for */
	int poll, pidfd, log;      /* owned */
	int in, out, err;          /* owned; -1: none, or over. in and out: a terminal's master */
	bool full;                 /* its terminal took no more */
	int code;
};

static int watch(const struct enter *x, int fd, unsigned events, uint32_t key)
{
	struct epoll_event ev = {.events = events, .data.u32 = key};
	return fd < 0 ? 0 : epoll_ctl(x->poll, EPOLL_CTL_ADD, fd, &ev);
}

/* ---- beginning ---- */

static _Noreturn void enter_child(const struct enter *x, struct json_object *inspected,
				  const struct lodge_exec_config *c, const int fds[3], pid_t parent)
{
	struct lodge_err e = {.code = EIO};
	host_signals_default();
	setsid();
	for (int i = 0; i < 3; i++)
		dup2(fds[i], i);
	host_fds_close(&x->log, 1);
	if (c->tty)
		(void)!ioctl(0, TIOCSCTTY, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(LODGE_EXIT_LODGE);
	int r = x->level->exec(inspected, c, x->log, &e);
	dprintf(2, "lodge: %s\n", e.msg);
	_exit(r == -ENOENT ? LODGE_EXIT_NOT_FOUND : r == -EACCES ? LODGE_EXIT_CANNOT
								  : LODGE_EXIT_LODGE);
}

/* Three for the child, owned by the caller, and ours. */
static int terminal_make(struct enter *x, const struct lodge_exec_config *c, int ret[3],
			 struct lodge_err *e)
{
	char name[64];
	autoclose int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
	    ptsname_r(master, name, sizeof name) != 0)
		return err_sys(e, "a terminal");
	for (int i = 0; i < 3; i++)
		if ((ret[i] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
			return err_sys(e, "a terminal");
	x->in = x->out = take_fd(&master);
	return enter_resize(x, c->rows, c->columns) < 0 ? err_sys(e, "a terminal") : 0;
}

static int pipes_make(struct enter *x, const struct lodge_exec_config *c, int ret[3],
		      struct lodge_err *e)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
	bool made = c->interactive ? pipe2(in, O_CLOEXEC) == 0
				   : (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;
	made = made && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
	int r = made ? 0 : err_sys(e, "pipes");
	ret[0] = in[0];
	ret[1] = out[1];
	ret[2] = err[1];
	x->in = in[1];
	x->out = out[0];
	x->err = err[0];
	int ours[] = {x->in, x->out, x->err};
	for (size_t i = 0; i < countof(ours); i++)
		if (ours[i] >= 0)
			(void)fcntl(ours[i], F_SETFL, O_NONBLOCK);
	return r;
}

static int child_start(struct enter *x, struct json_object *inspected,
		       const struct lodge_exec_config *c, struct lodge_err *e)
{
	int fds[3] = {-1, -1, -1};
	pid_t self = getpid();
	int r = c->tty ? terminal_make(x, c, fds, e) : pipes_make(x, c, fds, e);
	if (r == 0) {
		x->pid = fork();
		if (x->pid == 0)
			enter_child(x, inspected, c, fds, self);
		if (x->pid < 0) {
			x->pid = 0;
			r = err_sys(e, "a process");
		}
	}
	for (int i = 0; i < 3; i++)
		auto_close(&fds[i]);
	return r;
}

int enter_begin(struct enter **ret, struct lodge_guest *g, const struct level *l,
		const struct lodge_exec_config *c, struct lodge_err *e)
{
	struct json_object *inspected = NULL;
	int r = g->alien ? alien_inspected(g, &l, &inspected, e)
			   : control_call(g->inst, "GET", "/v1/guest", NULL, &inspected, e);
	if (r == -ENOTCONN && !g->alien)
		r = err_set(e, ENOTCONN, "%s is %s", g->inst->name, lodge_state(g));
	if (r < 0)
		return r;
	struct enter *x = calloc(1, sizeof *x);
	if (!x) {
		json_object_put(inspected);
		return err_set(e, ENOMEM, "out of memory");
	}
	*x = (struct enter){.level = l, .pidfd = -1, .in = -1, .out = -1, .err = -1};
	x->poll = epoll_create1(EPOLL_CLOEXEC);
	x->log = memfd_create("lodge-exec", MFD_CLOEXEC);
	r = x->poll < 0 || x->log < 0 ? err_sys(e, "starting a program") : 0;
	if (r == 0)
		r = child_start(x, inspected, c, e);
	json_object_put(inspected);
	if (r == 0)
		x->pidfd = (int)syscall(SYS_pidfd_open, x->pid, 0);
	if (r == 0 && (x->pidfd < 0 || watch(x, x->pidfd, EPOLLIN, END_PID) < 0 ||
		       watch(x, x->out, EPOLLIN, END_OUT) < 0 ||
		       watch(x, x->err, EPOLLIN, END_ERR) < 0 ||
		       (x->in != x->out && watch(x, x->in, 0, END_IN) < 0)))
		r = err_sys(e, "starting a program");
	if (r < 0)
		enter_end(x);
	else
		*ret = x;
	return r;
}

/* ---- while it runs ---- */

/* Tell when its input takes something again, once. */
static void input_watch(struct enter *x, bool on)
{
	bool terminal = x->in == x->out;
	struct epoll_event ev = {.data.u32 = terminal ? END_OUT : END_IN};
	ev.events = (terminal ? (uint32_t)EPOLLIN : (uint32_t)EPOLLONESHOT) |
		    (on ? (uint32_t)EPOLLOUT : 0);
	x->full = terminal && on;
	(void)!epoll_ctl(x->poll, EPOLL_CTL_MOD, x->in, &ev);
}

/* -EAGAIN: nothing now; 0: no more comes from there. */
static long stream_read(struct enter *x, int *fd, void *buf, size_t cap)
{
	if (*fd < 0)
		return 0;
	ssize_t n = read(*fd, buf, cap);
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (x->in == *fd) /* of a terminal that nobody has any more */
		x->in = -1;
	close(*fd);
	*fd = -1;
	return 0;
}

static bool has_ended(struct enter *x)
{
	int status;
	if (!x->pid)
		return true;
	if (waitpid(x->pid, &status, WNOHANG) != x->pid)
		return false;
	x->pid = 0;
	x->code = WIFEXITED(status) ? x->level->exec_code(WEXITSTATUS(status), x->log)
				    : LODGE_EXIT_SIGNAL + WTERMSIG(status);
	return true;
}

long enter_read(struct enter *x, void *buf, size_t cap, int *ret_stream, struct lodge_err *e)
{
	struct epoll_event ev[4];
	(void)e;
	/* what it has said before it ended is there when its end is seen */
	bool ended = has_ended(x);
	long out = stream_read(x, &x->out, buf, cap);
	*ret_stream = LODGE_EXEC_STDOUT;
	if (out > 0)
		return out;
	long err = stream_read(x, &x->err, buf, cap);
	*ret_stream = LODGE_EXEC_STDERR;
	if (err > 0)
		return err;
	if (ended)
		return 0;
	/* room in its input was told: that is over */
	(void)!epoll_wait(x->poll, ev, countof(ev), 0);
	if (x->full && x->in >= 0)
		input_watch(x, false);
	return -EAGAIN;
}

long enter_write(struct enter *x, const void *buf, size_t len)
{
	if (!len) {
		if (x->in >= 0 && x->in != x->out)
			close(take_fd(&x->in));
		return 0;
	}
	if (x->in < 0)
		return (long)len; /* nobody reads it */
	ssize_t n = write(x->in, buf, len);
	if (n >= 0)
		return n;
	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN) {
		if (x->in != x->out)
			close(x->in);
		x->in = -1;
		return (long)len;
	}
	input_watch(x, true);
	return -ENOBUFS;
}

/* The runtime hands it on. */
int enter_signal(struct enter *x, int number)
{
	return x->pid && kill(x->pid, number) < 0 ? -errno : 0;
}

int enter_resize(struct enter *x, unsigned rows, unsigned columns)
{
	const struct winsize w = {.ws_row = (unsigned short)rows,
				  .ws_col = (unsigned short)columns};
	return x->in >= 0 && x->in == x->out && rows && ioctl(x->in, TIOCSWINSZ, &w) < 0 ? -errno
											 : 0;
}

int enter_fd(const struct enter *x) { return x->poll; }
int enter_exit(const struct enter *x) { return x->code; }

void enter_end(struct enter *x)
{
	if (!x)
		return;
	if (x->pid && !has_ended(x))
		kill(x->pid, SIGHUP);
	if (x->in != x->out)
		auto_close(&x->in);
	auto_close(&x->out);
	auto_close(&x->err);
	auto_close(&x->pidfd);
	auto_close(&x->poll);
	auto_close(&x->log);
	free(x);
}
