/* SPDX-License-Identifier: Apache-2.0 */
/* What create and run share. */
#include "runtime/internal.h"
#include <signal.h>

const struct runtime_option create_options[RUN_OPTIONS] = {
    {"bundle", 'b', RT_TEXT, "folder of the bundle (.)"},
    {"console-socket", 0, RT_TEXT, "socket that takes the master of the terminal"},
    {"pid-file", 0, RT_TEXT, "file for the number of the process"},
    {"no-pivot", 0, RT_FLAG, "do without pivot_root, for a root in the initial memory file system"},
    {"no-new-keyring", 0, RT_FLAG, "keep the session keyring of the caller"},
    {"preserve-fds", 0, RT_NUMBER, "descriptors after standard error that stay open"},
    /* of run alone */
    {"detach", 'd', RT_FLAG, "leave it running"},
    {"keep", 0, RT_FLAG, "do not delete it when it ends"},
    {"no-subreaper", 0, RT_FLAG, "taken for others' sake"},
};

/* Descriptors that systemd's socket activation hands on come on top of those that are asked for. */
static int preserve_read(const struct runtime_call *c, unsigned *ret)
{
	int64_t n = 0;
	int bad = 0;
	const char *listen = getenv("LISTEN_FDS");
	if (call_number(c, "preserve-fds", &n, &bad) && (n < 0 || n > INT16_MAX))
		return say_text("--preserve-fds %lld: out of range", (long long)n);
	if (bad)
		return bad;
	long more = listen ? strtol(listen, NULL, 10) : 0;
	n = more < 0 || more > INT16_MAX ? -1 : n + more;
	if (n < 0 || n > c->inherited)
		return say_text(
		    "please check that the LISTEN_FDS or --preserve-fds descriptors are open: "
		    "%lld were asked for, %u are",
		    (long long)n, c->inherited);
	*ret = (unsigned)n;
	return 0;
}

static int terminal_check(const struct runtime_call *c, const struct oci_process *p, bool detach)
{
	bool socket = call_text(c, "console-socket"), terminal = p && p->terminal;
	if (detach && terminal && !socket)
		return say_text(
		    "cannot allocate tty if runc will detach without setting console socket");
	if (socket && (!detach || !terminal))
		return say_text(
		    "cannot use console socket if runc will not detach or allocate tty");
	return 0;
}

static int made_wait(struct runtime_call *c, struct container *one, struct foreground *f)
{
	struct lodge_err e;
	int code = foreground_wait(f, one->pid);
	if (!call_flag(c, "keep") && container_delete(one, true, &runtime_say, &e) < 0)
		(void)say_error(&e);
	return code;
}

static int made_run(struct runtime_call *c, struct container_request *q, bool detach)
{
	struct foreground f = {.signals = -1, .ends = {-1, -1}, .master = -1};
	struct container one;
	struct lodge_err e;
	bool terminal = q->doc->process && q->doc->process->terminal && !detach;
	if (q->run && !detach && foreground_begin(&f, terminal, &e) < 0)
		return say_error(&e);
	q->terminal = f.ends[1];
	if (container_create(q, &one, &e) < 0)
		return say_error(&e);
	int r = q->run && !detach ? made_wait(c, &one, &f) : 0;
	container_fini(&one);
	return r;
}

int call_create(struct runtime_call *c, bool run, bool detach)
{
	struct bundle b;
	struct lodge_err e;
	struct container_request q = {.root = c->root,
				      .id = c->operands[0],
				      .console_socket = call_text(c, "console-socket"),
				      .pid_file = call_text(c, "pid-file"),
				      .no_pivot = call_flag(c, "no-pivot"),
				      .no_new_keyring = call_flag(c, "no-new-keyring"),
				      .rootless = c->rootless,
				      .systemd = c->systemd_cgroup,
				      .run = run,
				      .terminal = -1,
				      .runtime = guard_path(),
				      .say = &runtime_say};
	int r = preserve_read(c, &q.preserve_fds);
	if (r)
		return r;
	if (bundle_open(&b, call_text(c, "bundle"), &e) < 0 ||
	    machine_bundle(&b, c, &e) < 0) {
		bundle_fini(&b);
		return say_error(&e);
	}
	q.bundle = b.path;
	q.config = b.text;
	q.config_len = b.len;
	q.doc = &b.doc;
	r = terminal_check(c, b.doc.process, detach);
	if (r == 0)
		r = made_run(c, &q, detach);
	bundle_fini(&b);
	return r;
}
