/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that the host asked for: start, data in and out, end. */
#define _GNU_SOURCE
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* EXEC, taken apart; the strings point into the frame. */
struct order {
	uint32_t flags;
	struct winsize size;
	char *user;
	const char *dir;
	char **argv, **envp; /* owned arrays */
	char *strings;       /* owned copy of the frame's strings */
};

static void order_fini(struct order *o)
{
	free(o->argv);
	free(o->envp);
	free(o->strings);
}

static int order_parse(struct order *o, const uint8_t *p, size_t len)
{
	if (len < AGENT_EXEC_HEAD)
		return EINVAL;
	o->flags = agent_get32(p);
	o->size.ws_row = agent_get16(p + 4);
	o->size.ws_col = agent_get16(p + 6);
	size_t argc = agent_get16(p + 8), envc = agent_get16(p + 10), bytes = len - AGENT_EXEC_HEAD;
	/* Each string has at least its NUL: this bounds the arrays by the frame. */
	if (2 + argc + envc > bytes || p[len - 1] || (!argc && !(o->flags & AGENT_EXEC_SHELL)))
		return EINVAL;
	o->argv = calloc(argc + 2, sizeof(char *));
	o->envp = calloc(envc + 8, sizeof(char *)); /* room for ours */
	o->strings = malloc(bytes);
	if (!o->argv || !o->envp || !o->strings)
		return ENOMEM;
	memcpy(o->strings, p + AGENT_EXEC_HEAD, bytes);
	char *s = o->strings, *end = s + bytes;
	for (size_t i = 0; i < 2 + argc + envc; i++) {
		if (s >= end)
			return EINVAL;
		if (i == 0)
			o->user = s;
		else if (i == 1)
			o->dir = s;
		else if (i < 2 + argc)
			o->argv[i - 2] = s;
		else
			o->envp[i - 2 - argc] = s;
		s += strlen(s) + 1;
	}
	return s == end ? 0 : EINVAL;
}

struct task *task_find(struct agent *a, const struct session *s, uint16_t channel)
{
	for (struct task *t = a->tasks; t < a->tasks + TASKS_MAX; t++)
		if (t->pid && t->session == s && t->channel == channel)
			return t;
	return NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- in the child ---- */

static void set(const char *name, const char *value, char **envp)
{
	size_t n = strlen(name);
	for (; *envp; envp++)
		if (!strncmp(*envp, name, n) && (*envp)[n] == '=')
			return; /* the host's word comes first */
	size_t len = n + strlen(value) + 2;
	char *s = malloc(len);
	if (!s)
		return;
	snprintf(s, len, "%s=%s", name, value);
	*envp = s; /* order_parse left room */
}

static int become(const struct user *u)
{
	if (geteuid())
		return u->uid == geteuid() ? 0 : EPERM;
	gid_t groups[USER_GROUPS];
	for (size_t i = 0; i < u->ngroups; i++)
		groups[i] = u->groups[i];
	if (setgroups(u->ngroups, groups))
		return errno;
	if (u->uid == 0 && u->gid == 0)
		return 0;
	if (setresgid(u->gid, u->gid, u->gid) ||
	    setresuid(u->uid, u->uid, u->uid))
		return errno;
	return 0;
}

/* Find @file in @path as a shell does; the first hard error is told if nothing runs. */
static int exec_path(const char *path, char **argv, char **envp)
{
	char full[4096];
	int code = ENOENT;
	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, envp);
		return errno;
	}
	while (*path) {
		size_t n = strcspn(path, ":");
		if (snprintf(full, sizeof(full), "%.*s/%s", (int)n, path, argv[0]) <
		    (int)sizeof(full)) {
			execve(full, argv, envp);
			if (errno != ENOENT && errno != ENOTDIR)
				code = errno;
		}
		path += n + (path[n] == ':');
	}
	return code;
}

static int child(struct order *o, const int fd[3], bool tty)
{
	static const char default_path[] =
	    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	struct user u;
	struct rights r;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (tty && ioctl(fd[0], TIOCSCTTY, 0))
		return errno;
	for (int i = 0; i < 3; i++)
		if (dup2(fd[i], i) < 0)
			return errno;
	char *words = o->user + strcspn(o->user, ";");
	if (*words)
		*words++ = 0;
	if (!rights_read(words, &r))
		return EINVAL;
	if (!user_find(o->user, &u))
		return ENOKEY;
	int bad = rights_begin(&r);
	if (!bad && become(&u))
		return EPERM;
	if (!bad)
		bad = rights_end(&r);
	if (bad)
		return bad;
	set("HOME", u.home, o->envp);
	set("USER", u.name, o->envp);
	set("SHELL", u.shell, o->envp);
	set("PATH", default_path, o->envp);
	if (tty)
		set("TERM", "linux", o->envp);
	if (chdir(*o->dir ? o->dir : u.home) && (*o->dir || chdir("/")))
		return errno;
	if (!o->argv[0])
		o->argv[0] = u.shell;
	const char *path = default_path;
	for (char **e = o->envp; *e; e++)
		if (!strncmp(*e, "PATH=", 5))
			path = *e + 5;
	return exec_path(path, o->argv, o->envp);
}

/* ---- in the agent ---- */

/* The child's descriptors (@fd) and ours. Everything is closed on exec but what child() dups. */
static int open_pipes(struct task *t, const struct order *o, int fd[3])
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
	int code = 0;
	if (!(o->flags & AGENT_EXEC_STDIN))
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	else if (pipe2(in, O_CLOEXEC))
		in[0] = -1;
	if (in[0] < 0 || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		code = errno;
	fd[0] = in[0];
	fd[1] = out[1];
	fd[2] = err[1];
	t->in = in[1];
	t->out = out[0];
	t->err = err[0];
	return code;
}

static int open_tty(struct task *t, const struct order *o, int fd[3])
{
	char name[64];
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0)
		return errno;
	t->out = master;
	if (grantpt(master) || unlockpt(master) || ptsname_r(master, name, sizeof(name)))
		return errno;
	fd[0] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd[0] < 0)
		return errno;
	ioctl(master, TIOCSWINSZ, &o->size);
	fd[1] = dup(fd[0]);
	fd[2] = dup(fd[0]);
	t->in = fcntl(master, F_DUPFD_CLOEXEC, 3);
	return fd[1] < 0 || fd[2] < 0 || t->in < 0 ? EMFILE : 0;
}

static void forget(struct task *t)
{
	close_fd(&t->in);
	close_fd(&t->out);
	close_fd(&t->err);
	free(t->pending);
	*t = (struct task){.in = -1, .out = -1, .err = -1};
}

/* Fork and wait until exec worked or failed: the pipe closes on exec, or brings the errno. */
static int launch(struct task *t, struct order *o, const int fd[3])
{
	int told[2], code = 0;
	if (pipe2(told, O_CLOEXEC))
		return errno;
	/* dup2 onto 0 to 2 must not meet one of the descriptors that it still needs. */
	pid_t pid = fork();
	if (pid == 0) {
		code = child(o, fd, t->tty);
		while (write(told[1], &code, sizeof(code)) < 0 && errno == EINTR)
			;
		_exit(127);
	}
	close(told[1]);
	if (pid < 0)
		code = errno;
	ssize_t n;
	while (pid > 0 && (n = read(told[0], &code, sizeof(code))) < 0 && errno == EINTR)
		;
	close(told[0]);
	if (code && pid > 0)
		waitpid(pid, NULL, 0);
	else
		t->pid = pid;
	return code;
}

struct task *task_first(struct agent *a)
{
	for (struct task *t = a->tasks; a->boot && t < a->tasks + TASKS_MAX; t++)
		if (t->pid && t->first)
			return t;
	return NULL;
}

static const char *reason(int code)
{
	return code == ENOKEY ? "there is no such user or group" : strerror(code);
}

int task_console(struct agent *a, const uint8_t *p, size_t len, int console)
{
	struct task *t = a->tasks; /* nothing else runs yet */
	struct order o = {0};
	int fd[3] = {console, fcntl(console, F_DUPFD_CLOEXEC, 3), fcntl(console, F_DUPFD_CLOEXEC, 3)};
	int code = fd[1] < 0 || fd[2] < 0 ? EMFILE : order_parse(&o, p, len);
	*t = (struct task){.first = true, .tty = true, .in = -1, .out = -1, .err = -1};
	if (!code)
		code = launch(t, &o, fd);
	if (code) {
		dprintf(console, "lodge: %.160s: %s\n", o.argv ? o.argv[0] : "program", reason(code));
		*t = (struct task){.in = -1, .out = -1, .err = -1};
	}
	for (int i = 0; i < 3; i++)
		close_fd(&fd[i]);
	order_fini(&o);
	return code;
}

static int start(struct task *t, struct order *o)
{
	int fd[3] = {-1, -1, -1};
	t->tty = o->flags & AGENT_EXEC_TTY;
	t->pending = malloc(AGENT_WINDOW_START);
	int code = t->pending ? 0 : ENOMEM;
	if (!code)
		code = t->tty ? open_tty(t, o, fd) : open_pipes(t, o, fd);
	if (!code)
		code = launch(t, o, fd);
	for (int i = 0; i < 3; i++)
		close_fd(&fd[i]);
	int *const ours[] = {&t->in, &t->out, &t->err};
	for (int i = 0; !code && i < 3; i++)
		if (*ours[i] >= 0)
			fcntl(*ours[i], F_SETFL, fcntl(*ours[i], F_GETFL) | O_NONBLOCK);
	return code;
}

void task_exec(struct agent *a, struct session *s, uint16_t channel, const uint8_t *p, size_t len)
{
	struct task *slot = NULL;
	struct order o = {0};
	unsigned used = 0;
	for (struct task *t = a->tasks; t < a->tasks + TASKS_MAX; t++) {
		used += t->pid && t->session == s;
		if (!t->pid && !slot)
			slot = t;
	}
	int code = boot_broken(a->boot) ? EIO : order_parse(&o, p, len);
	const char *what = o.argv && o.argv[0] ? o.argv[0] : "exec";
	bool first = o.flags & AGENT_EXEC_FIRST;
	if (!channel || task_find(a, s, channel) || (first && task_first(a)))
		code = EBUSY;
	else if (first && !a->boot)
		code = EINVAL;
	else if (!slot || used >= SESSION_TASKS_MAX)
		code = EMFILE;
	if (!code) {
		*slot = (struct task){.session = s,
				      .channel = channel,
				      .first = first,
				      .in = -1,
				      .out = -1,
				      .err = -1,
				      .window = AGENT_WINDOW_START};
		code = start(slot, &o);
		if (code)
			forget(slot);
	}
	if (code) {
		char text[240];
		if (boot_broken(a->boot))
			snprintf(text, sizeof(text), "%s", boot_broken(a->boot));
		else
			snprintf(text, sizeof(text), "%.160s: %s", what, reason(code));
		session_error(s, channel, code, text);
	}
	order_fini(&o);
}

void task_hang_up(struct task *t)
{
	t->session = NULL;
	close_fd(&t->in);
	close_fd(&t->out);
	close_fd(&t->err);
	if (t->exited) {
		forget(t);
		return;
	}
	kill(-t->pid, SIGHUP);
	t->kill_at = now_ms() + HANGUP_MS;
}

void task_tick(struct task *t)
{
	if (!t->kill_at || now_ms() < t->kill_at)
		return;
	kill(-t->pid, SIGKILL);
	t->kill_at = 0;
}

/* Tell the host that @n bytes more may come. */
static void widen(struct task *t, size_t n)
{
	uint8_t b[4];
	agent_put32(b, (uint32_t)n);
	if (t->session && n)
		session_send(t->session, AGENT_WINDOW, t->channel, b, sizeof(b));
}

static void stdin_bytes(struct task *t, const uint8_t *p, size_t len)
{
	if (t->in < 0 || t->eof_wanted) {
		widen(t,
		      len); /* the program closed its input: what comes is lost, as with a pipe */
		return;
	}
	if (t->pending_at) {
		memmove(t->pending, t->pending + t->pending_at, t->pending_end - t->pending_at);
		t->pending_end -= t->pending_at;
		t->pending_at = 0;
	}
	if (len > AGENT_WINDOW_START - t->pending_end) {
		session_error(t->session, t->channel, ENOBUFS, "more input than the window allows");
		task_hang_up(t);
		return;
	}
	memcpy(t->pending + t->pending_end, p, len);
	t->pending_end += len;
	task_input(t);
}

void task_frame(struct task *t, enum agent_type type, const uint8_t *p, size_t len)
{
	if (type == AGENT_STDIN) {
		stdin_bytes(t, p, len);
	} else if (type == AGENT_STDIN_EOF) {
		t->eof_wanted = true;
		task_input(t);
	} else if (type == AGENT_RESIZE && len == 4 && t->tty && t->out >= 0) {
		struct winsize w = {.ws_row = agent_get16(p), .ws_col = agent_get16(p + 2)};
		ioctl(t->out, TIOCSWINSZ, &w);
	} else if (type == AGENT_SIGNAL && len == 4 && !t->exited) {
		uint32_t n = agent_get32(p);
		if (n > 0 && n < 65)
			kill(-t->pid, (int)n);
	} else if (type == AGENT_WINDOW && len == 4) {
		if (__builtin_add_overflow(t->window, agent_get32(p), &t->window))
			t->window = AGENT_WINDOW_UNLIMITED;
	} else if (type == AGENT_CLOSE) {
		task_hang_up(t);
	}
}

void task_input(struct task *t)
{
	while (t->in >= 0 && t->pending_at < t->pending_end) {
		ssize_t n =
		    write(t->in, t->pending + t->pending_at, t->pending_end - t->pending_at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close_fd(&t->in);
			break;
		}
		t->pending_at += (size_t)n;
		widen(t, (size_t)n);
	}
	if (t->in < 0) {
		widen(t, t->pending_end - t->pending_at);
		t->pending_at = t->pending_end = 0;
	}
	if (t->pending_at < t->pending_end || !t->eof_wanted || t->in < 0)
		return;
	if (t->tty) { /* a terminal has no end: type its end-of-file character */
		static const char end = 4;
		if (write(t->in, &end, 1) < 0 && errno == EAGAIN)
			return;
	}
	close_fd(&t->in);
}

/* Pass output on while there is room; false when there is nothing now. */
bool task_output(struct task *t, int *fd, enum agent_type type)
{
	uint8_t b[32768];
	size_t room = t->session ? session_room(t->session) : t->adrift ? sizeof(b) : 0;
	if (room > sizeof(b))
		room = sizeof(b);
	if (!t->adrift && room > t->window)
		room = t->window;
	if (*fd < 0 || !room)
		return false;
	ssize_t n = read(*fd, b, room);
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) { /* a terminal says EIO when its last user has gone */
		close_fd(fd);
		return false;
	}
	if (!t->session) /* a console that takes nothing loses it, as for everybody */
		return write(t->console, b, (size_t)n) > 0;
	session_send(t->session, type, t->channel, b, (size_t)n);
	if (t->window != AGENT_WINDOW_UNLIMITED)
		t->window -= (uint32_t)n;
	return true;
}

static int status_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Nobody is told how it ended: it was given up, or nobody ever listened. */
static void task_gone(struct agent *a, struct task *t)
{
	while (t->adrift && task_output(t, &t->out, AGENT_STDOUT))
		;
	while (t->adrift && task_output(t, &t->err, AGENT_STDERR))
		;
	if (t->first)
		boot_ended(a->boot, status_code(t->status));
	forget(t);
}

void task_reap(struct agent *a)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (struct task *t = a->tasks; t < a->tasks + TASKS_MAX; t++) {
			if (t->pid != pid || t->exited)
				continue;
			t->exited = true;
			t->status = status;
			if (!t->session)
				task_gone(a, t);
		}
	}
}

void task_finish(struct agent *a, struct task *t)
{
	uint8_t b[8];
	if (!t->exited || !t->session)
		return;
	while (task_output(t, &t->out, AGENT_STDOUT))
		;
	while (task_output(t, &t->err, AGENT_STDERR))
		;
	/* No room or no window: what is left is asked for again. */
	if ((t->out >= 0 || t->err >= 0) && (!t->window || !session_room(t->session))) {
		int left = 0, more = 0;
		if (t->out >= 0)
			ioctl(t->out, FIONREAD, &left);
		if (t->err >= 0)
			ioctl(t->err, FIONREAD, &more);
		if (left || more)
			return;
	}
	bool killed = WIFSIGNALED(t->status);
	agent_put32(b, killed ? AGENT_SIGNALED : AGENT_EXITED);
	agent_put32(b + 4, (uint32_t)(killed ? WTERMSIG(t->status) : WEXITSTATUS(t->status)));
	if (!session_send(t->session, AGENT_EXIT, t->channel, b, sizeof(b)))
		return;
	if (t->first)
		boot_ended(a->boot, status_code(t->status));
	forget(t);
}
