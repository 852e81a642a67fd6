/* SPDX-License-Identifier: Apache-2.0 */
/* The process between a keeper and the container that it keeps. In namespaces of its own it mounts
 * the root and makes the network; it is the container's parent, and says how that ended. The keeper
 * itself stays outside, where its guest's folder and control groups are. */
#include "level/container/internal.h"
#include "level/container/spec.h"
#include "level/container/stay.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { LOG_MAX = 1 << 20 };
static const char pid_name[] = "pid", socket_name[] = "terminal.sock";

struct attendant {
	const struct attendant_plan *plan;
	struct stay stay;
	int listener; /* of the terminal; -1: none */
	pid_t pid;    /* of the container's first process */
};

/* ---- the runtime ---- */

static void runtime_child(const struct attendant *a)
{
	const struct stay *s = &a->stay;
	char state[PATH_MAX], log[PATH_MAX], pid[PATH_MAX], socket[PATH_MAX];
	const char *argv[20], **v = argv;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int in = a->plan->in, out = a->plan->out;
	snprintf(state, sizeof state, "%s/state", s->folder);
	snprintf(log, sizeof log, "%s/log", s->folder);
	snprintf(pid, sizeof pid, "%s/%s", s->folder, pid_name);
	snprintf(socket, sizeof socket, "%s/%s", a->plan->env->runtime_dir, socket_name);
	for (const char *const *w = (const char *[]){"lodge-oci", "--root", state, "--log", log,
	     "--log-format", "json", "run", "--detach", "--bundle", s->bundle, "--pid-file", pid,
	     NULL}; *w; w++)
		*v++ = *w;
	if (a->listener >= 0) {
		*v++ = "--console-socket";
		*v++ = socket;
	}
	*v++ = s->id;
	*v = NULL;
	dup2(in >= 0 ? in : null, 0);
	dup2(out >= 0 ? out : null, 1);
	dup2(out >= 0 ? out : null, 2);
	host_signals_default();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(a->plan->env->umask);
	execv(s->program, (char *const *)(uintptr_t)argv);
	_exit(LODGE_EXIT_LODGE);
}

/* Its last words, as an error of ours; what they mean is only said in words. */
static int runtime_error(const struct stay *s, struct lodge_err *e)
{
	autoclose int dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *text = NULL;
	size_t len;
	char said[400] = "the runtime failed, and did not say why";
	if (dir >= 0 && file_load(dir, "log", LOG_MAX, &text, &len, NULL) == 0) {
		char *rest = text;
		for (char *line; (line = strsep(&rest, "\n"));) {
			struct json_object *o = json_tokener_parse(line), *level, *msg;
			if (json_object_object_get_ex(o, "level", &level) && level &&
			    json_object_object_get_ex(o, "msg", &msg) && msg &&
			    !strcmp(json_object_get_string(level), "error"))
				snprintf(said, sizeof said, "%s", json_object_get_string(msg));
			json_object_put(o);
		}
	}
	return err_set(e, runtime_errno(said), "%s", said);
}

static int pid_read(struct attendant *a, struct lodge_err *e)
{
	autoclose int dir = open(a->stay.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *text = NULL;
	size_t len;
	int r = dir < 0 ? err_sys(e, "%s", a->stay.folder)
			: file_load(dir, pid_name, 64, &text, &len, e);
	if (r == 0)
		a->pid = (pid_t)strtol(text, NULL, 10);
	return r == 0 && a->pid <= 0 ? err_set(e, EIO, "the container has no process") : r;
}

/* The terminal's master comes before the runtime ends; *@ret is owned. */
static int terminal_take(const struct attendant *a, int *ret, struct lodge_err *e)
{
	autoclose int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC);
	*ret = fd < 0 ? -1 : pass_receive(fd);
	return *ret < 0 ? err_set(e, EIO, "the container has sent no terminal") : 0;
}

static int runtime_run(struct attendant *a, int *ret_master, struct lodge_err *e)
{
	pid_t child = fork();
	if (child == 0)
		runtime_child(a);
	if (child < 0)
		return err_sys(e, "a process");
	if (host_reap(child) != 0)
		return runtime_error(&a->stay, e);
	int r = a->listener >= 0 ? terminal_take(a, ret_master, e) : 0;
	return r == 0 ? pid_read(a, e) : r;
}

/* ---- the container's life ---- */

static int attendant_begin(struct attendant *a, int *ret_master, struct lodge_err *e)
{
	const struct attendant_plan *p = a->plan;
	int r = stay_make(&a->stay, e);
	/* a user namespace forgets it; and the keeper may have ended meanwhile */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != p->keeper)
		_exit(LODGE_EXIT_LODGE);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (r == 0)
		r = stay_guard(&a->stay, e);
	if (r == 0 && a->stay.terminal)
		r = a->listener = socket_listen(p->env->runtime_dir, socket_name, e);
	if (r >= 0 && a->listener >= 0)
		r = fcntl(a->listener, F_SETFL, 0) < 0 ? err_sys(e, "a socket") : 0;
	return r < 0 ? r : runtime_run(a, ret_master, e);
}

static int stop_signal(const struct stay *s)
{
	const char *own = spec_option(s->c, "stop-signal", 0);
	const char *text = own ? own : s->image.stop_signal;
	int n = text ? host_signal_find(text) : SIGTERM;
	return n > 0 ? n : SIGTERM;
}

/* The container is deleted, with its control groups; then the folder goes. */
static void attendant_clean(struct attendant *a)
{
	uplink_end(&a->stay.uplink);
	if (a->stay.warden.end >= 0)
		warden_clean(a->stay.program, a->stay.id, a->stay.folder);
	stay_end(&a->stay);
}

_Noreturn void attendant_main(const struct attendant_plan *p)
{
	struct attendant_hello hello = {.result = 0};
	struct attendant a = {.plan = p, .listener = -1};
	char guest[PATH_MAX];
	int keep[] = {p->in, p->out, p->to}, master = -1;
	snprintf(guest, sizeof guest, "%.4000s/root", p->home);
	a.stay = (struct stay){STAY_NONE, .c = p->c, .name = p->env->name, .home = p->home,
			       .of_image = !path_has(p->home, "root"),
			       .terminal = p->c->flags & LODGE_TTY};
	a.stay.guest = a.stay.of_image ? p->c->guest : guest;
	host_fds_close(keep, countof(keep));
	host_signals_default();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "lodge-attendant");
	hello.result = attendant_begin(&a, &master, &hello.err);
	auto_close(&p->in);
	auto_close(&p->out);
	auto_close(&a.listener);
	hello.terminal = master >= 0;
	hello.stop_signal = stop_signal(&a.stay);
	hello.pid = a.pid;
	memcpy(hello.id, a.stay.id, sizeof hello.id);
	if (hello.result < 0)
		attendant_clean(&a);
	bool told = send(p->to, &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello &&
		    (master < 0 || pass_send(p->to, "t", 1, master) == 0);
	auto_close(&master);
	if (hello.result < 0)
		_exit(LODGE_EXIT_LODGE);
	if (!told)
		kill(a.pid, SIGKILL);
	int status = host_reap(a.pid);
	attendant_clean(&a);
	send(p->to, &status, sizeof status, MSG_NOSIGNAL);
	_exit(0);
}
