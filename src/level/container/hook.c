/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks: programs of whoever made the configuration, with the state of the container on their
 * standard input. OCI-RT 1.2 config.md "POSIX-platform Hooks" */
#include "level/container/internal.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { SAID_MAX = 300 };
extern char **environ;

char *hook_state(struct container *c, enum container_status s)
{
	struct json_object *o = container_state(c, s, false);
	const char *text = o ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN) : NULL;
	char *own = text ? strdup(text) : NULL;
	json_object_put(o);
	return own;
}

struct running {
	pid_t pid;
	int input, output; /* owned */
};

static _Noreturn void hook_child(const struct oci_hook *h, const int in[2], const int out[2],
                                 int (*before)(void *arg), void *arg)
{
	union {
		const char **in;
		char **out;
	} args = {h->args.at}, env = {h->env.at};
	union {
		const char *in;
		char *out;
	} path = {h->path};
	char *own[] = {path.out, NULL};
	host_signals_default();
	if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(out[1], 2) < 0 ||
	    syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ||
	    (before && before(arg) < 0))
		_exit(126);
	execve(h->path, h->args.n ? args.out : own, h->env.set ? env.out : environ);
	dprintf(2, "%s: %s", h->path, strerror(errno));
	_exit(127);
}

static int hook_start(const struct oci_hook *h, int (*before)(void *arg), void *arg,
                      struct running *ret, struct lodge_err *e)
{
	int in[2], out[2];
	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, "a pipe");
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return err_sys(e, "a pipe");
	}
	pid_t pid = fork();
	if (pid == 0)
		hook_child(h, in, out, before, arg);
	close(in[0]);
	close(out[1]);
	*ret = (struct running){pid, in[1], out[0]};
	if (pid < 0) {
		close(in[1]);
		close(out[0]);
		return err_sys(e, "a process");
	}
	return 0;
}

/* Give it the state and take what it says, whichever it is ready for, until it closes its output or
 * @due_ns. What a hook leaves running in the background may keep the output open: its end counts.
 */
static bool hook_talk(struct running *r, int pidfd, const char *state, char said[SAID_MAX],
                      uint64_t due_ns)
{
	size_t left = strlen(state), n = 0;
	fcntl(r->input, F_SETFL, O_NONBLOCK);
	for (;;) {
		uint64_t now = host_monotonic_ns();
		int wait = due_ns == UINT64_MAX ? -1
		           : now >= due_ns ? 0 : (int)((due_ns - now) / 1000000 + 1);
		struct pollfd p[] = {{.fd = pidfd, .events = POLLIN},
		                     {.fd = r->output, .events = POLLIN},
		                     {.fd = left ? r->input : -1, .events = POLLOUT}};
		int got = poll(p, countof(p), wait);
		if (got == 0)
			return false;
		if (p[2].revents) {
			ssize_t did = write(r->input, state, left);
			state += did > 0 ? did : 0;
			left = did > 0 ? left - (size_t)did : did < 0 && errno == EAGAIN ? left : 0;
		}
		if (!left && r->input >= 0) {
			close(r->input);
			r->input = -1;
		}
		if (p[1].revents) {
			char drop[512];
			ssize_t did = n < SAID_MAX - 1 ? read(r->output, said + n, SAID_MAX - 1 - n)
			                               : read(r->output, drop, sizeof drop);
			if (did > 0)
				n += n < SAID_MAX - 1 ? (size_t)did : 0;
			if (did <= 0 && errno != EINTR) {
				close(r->output);
				r->output = -1;
			}
			said[n] = 0;
		}
		if (p[0].revents && !(p[1].revents & POLLIN))
			return true;
	}
}

static int hook_end(const struct oci_hook *h, size_t i, const char *kind, int status, bool late,
                    char *said, struct lodge_err *e)
{
	said[strcspn(said, "\n")] = 0;
	if (late)
		return err_set(e, ETIMEDOUT,
			       "error running %s hook #%zu: %s: it took longer than %d "
			       "seconds",
			       kind, i, h->path, (int)h->timeout.v);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(e, ECANCELED, "error running %s hook #%zu: %s: signal %d: %.200s",
			       kind, i, h->path, WTERMSIG(status), said);
	return err_set(e, ECANCELED, "error running %s hook #%zu: %s: exit status %d: %.200s", kind,
		       i, h->path, WEXITSTATUS(status), said);
}

static int hook_run(const struct hook_list *l, size_t i, const char *state,
                    int (*before)(void *arg), void *arg, struct lodge_err *e)
{
	const struct oci_hook *h = &l->at[i];
	struct running r = {-1, -1, -1};
	char said[SAID_MAX] = "";
	int bad = hook_start(h, before, arg, &r, e);
	if (bad)
		return bad;
	uint64_t due = h->timeout.set ? host_monotonic_ns() + (uint64_t)h->timeout.v * 1000000000u
				      : UINT64_MAX;
	int pidfd = (int)syscall(SYS_pidfd_open, r.pid, 0);
	bool over = pidfd < 0 || hook_talk(&r, pidfd, state, said, due);
	if (!over)
		kill(r.pid, SIGKILL);
	auto_close(&r.input);
	auto_close(&r.output);
	auto_close(&pidfd);
	int status = host_reap(r.pid);
	return hook_end(h, i, l->kind, status, !over, said, e);
}

int hooks_run(struct hook_list l, const char *state, int (*before)(void *arg), void *arg,
              struct lodge_err *e)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
	int r = 0;
	if (!l.n)
		return 0;
	sigaction(SIGPIPE, &ignore, &old);
	for (size_t i = 0; r == 0 && i < l.n; i++)
		r = hook_run(&l, i, state, before, arg, e);
	sigaction(SIGPIPE, &old, NULL);
	return r;
}

void hooks_try(struct hook_list l, const char *state, const struct container_say *say)
{
	for (size_t i = 0; i < l.n; i++) {
		struct lodge_err e;
		struct hook_list one = {l.at + i, 1, l.kind};
		if (hooks_run(one, state, NULL, NULL, &e) < 0 && say)
			say->warn(say->user, e.msg);
	}
}
