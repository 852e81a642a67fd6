/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks, with docker's meanings: a program is run in the container INTERVAL after the
 * start, and INTERVAL after its end again; one that takes longer than TIMEOUT has failed, and is
 * killed. RETRIES failures in a row, after the time that it may take to start, are "unhealthy"; one
 * success is "healthy". While the container is paused nobody is asked. The runtime's exec runs it.
 */
#include "level/container/health.h"
#include "level/container/container.h"
#include "level/container/spec.h"
#include "level/container/stay.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { OUTPUT = 4096, RETRIES_USUAL = 3, RETRIES_MAX = 1000, FIXED = 12, GRACE_MS = 2000 };
static const uint64_t interval_usual_ns = 30000000000, timeout_usual_ns = 30000000000,
		      shortest_ns = 1000000;
static const char pid_name[] = "health.pid";

struct plan {
	struct image_texts test;   /* borrowed: "CMD", "CMD-SHELL" and what follows, or "NONE" */
	uint64_t interval_ns, timeout_ns, start_ns, retries;
};

struct health {
	const struct level_env *env; /* borrowed */
	char **argv;               /* owned, ended by NULL: in the container */
	uint64_t interval_ns, timeout_ns, start_ns, retries;
	char *states, *id;         /* owned; NULL: it does not run */
	struct loop_timer *timer;  /* the next one, or its time is over */
	struct loop_watch *end, *said;
	pid_t pid;                 /* of the runtime; 0: none runs */
	int pidfd, out;            /* owned; -1 */
	bool late;                 /* it was told to end */
	uint64_t begun_ns;         /* when the container was started */
	const char *status;        /* static */
	unsigned failing;          /* in a row */
	int code;                  /* of the last one; -1: none has ended */
	char output[OUTPUT];       /* what that has said, cut */
	char said_now[OUTPUT];     /* what the one that runs says, cut */
	size_t len;
};

/* ---- what is asked for ---- */

static int time_option(const struct lodge_config *c, const char *key, uint64_t *to,
		       struct lodge_err *e)
{
	const char *text = life_option(c, key);
	int r = text ? life_parse_time(text, to, e) : 0;
	return err_in(e, r, "--%s", key);
}

static int plan_make(struct plan *p, const struct lodge_config *c, const struct image_health *m,
		     struct lodge_err *e)
{
	const char *retries = life_option(c, "health-retries");
	char *end;
	*p = (struct plan){.interval_ns = interval_usual_ns,
			   .timeout_ns = timeout_usual_ns,
			   .retries = RETRIES_USUAL};
	if (m) {
		p->test = m->test;
		p->interval_ns = m->interval_ns ? m->interval_ns : p->interval_ns;
		p->timeout_ns = m->timeout_ns ? m->timeout_ns : p->timeout_ns;
		p->start_ns = m->start_ns;
		p->retries = m->retries ? m->retries : p->retries;
	}
	int r = time_option(c, "health-interval", &p->interval_ns, e);
	if (r == 0)
		r = time_option(c, "health-timeout", &p->timeout_ns, e);
	if (r == 0)
		r = time_option(c, "health-start-period", &p->start_ns, e);
	if (r < 0)
		return r;
	if (p->interval_ns < shortest_ns || p->timeout_ns < shortest_ns)
		return err_set(e, EINVAL, "--health-interval and --health-timeout are at least "
			       "1ms");
	if (retries) {
		p->retries = strtoul(retries, &end, 10);
		if (!*retries || *end || !p->retries || p->retries > RETRIES_MAX)
			return err_set(e, EINVAL, "--health-retries %s: a number from 1 to %d",
				       retries, RETRIES_MAX);
	}
	return 0;
}

static char **words_copy(const char *const *at, size_t n)
{
	char **to = calloc(n + 1, sizeof *to);
	for (size_t i = 0; to && i < n; i++)
		to[i] = strdup(at[i]);
	return to;
}

/* *@ret is NULL for none; docker's words. */
static int program_make(char ***ret, const struct lodge_config *c, const struct plan *p,
			struct lodge_err *e)
{
	const char *own = life_option(c, "health-cmd");
	const char *shell[] = {"/bin/sh", "-c", own};
	const struct image_texts *t = &p->test;
	bool in_shell = own || (t->n == 2 && !strcmp(t->at[0], "CMD-SHELL"));
	*ret = NULL;
	if (own ? !strcmp(own, "none") : !t->n || !strcmp(t->at[0], "NONE"))
		return 0;
	if (!own && !in_shell && (t->n < 2 || strcmp(t->at[0], "CMD") != 0))
		return err_set(e, EINVAL, "the image's HEALTHCHECK begins with '%.40s': it is CMD, "
			       "CMD-SHELL or NONE; --health-cmd none does without", t->at[0]);
	if (!own && in_shell)
		shell[2] = t->at[1];
	*ret = in_shell ? words_copy(shell, countof(shell))
			: words_copy((const char *const *)t->at + 1, t->n - 1);
	return *ret ? 0 : err_set(e, ENOMEM, "out of memory");
}

int health_check(const struct lodge_config *c, struct lodge_err *e)
{
	struct plan p;
	return plan_make(&p, c, NULL, e);
}

static void health_due(void *arg);

int health_new(struct health **ret, const struct level_env *env, const struct lodge_config *c,
	       const struct image_health *m, struct lodge_err *e)
{
	struct plan p;
	char **argv = NULL;
	int r = plan_make(&p, c, m, e);
	if (r == 0)
		r = program_make(&argv, c, &p, e);
	*ret = NULL;
	if (r < 0 || !argv)
		return r;
	struct health *h = calloc(1, sizeof *h);
	if (h)
		*h = (struct health){.env = env, .argv = argv, .interval_ns = p.interval_ns,
				     .timeout_ns = p.timeout_ns, .start_ns = p.start_ns,
				     .retries = p.retries, .pidfd = -1, .out = -1, .code = -1,
				     .status = "starting"};
	r = h ? loop_timer_new(&h->timer, env->loop, NULL, health_due, h, e)
	      : err_set(e, ENOMEM, "out of memory");
	if (r < 0)
		health_free(h);
	else
		*ret = h;
	return r;
}

/* ---- one of them ---- */

static void status_set(struct health *h, const char *status)
{
	if (!strcmp(h->status, status))
		return;
	h->status = status;
	h->env->health(h->env->user, status);
}

static void next_set(struct health *h)
{
	loop_timer_set(h->timer, host_monotonic_ns() + h->interval_ns);
}

static void pid_path(const struct health *h, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.4000s/%s", h->env->runtime_dir, pid_name);
}

static _Noreturn void probe_child(const struct health *h, const char *program, int out)
{
	char pid[PATH_MAX];
	size_t n = 0;
	while (h->argv[n])
		n++;
	const char **argv = calloc(n + FIXED, sizeof *argv), **v = argv;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_path(h, pid);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	host_fds_close(NULL, 0);
	host_signals_default();
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* which it hands on */
	if (!argv || chdir("/") < 0)
		_exit(LODGE_EXIT_LODGE);
	for (const char *const *w = (const char *[]){"lodge-oci", "--root", h->states, "exec",
	     "--pid-file", pid, h->id, NULL}; *w; w++)
		*v++ = *w;
	for (size_t i = 0; i < n; i++)
		*v++ = h->argv[i];
	execv(program, (char *const *)(uintptr_t)argv);
	_exit(LODGE_EXIT_LODGE);
}

static void said_take(struct health *h)
{
	char buf[OUTPUT];
	ssize_t n;
	while ((n = read(h->out, buf, sizeof buf)) > 0) {
		size_t room = OUTPUT - 1 - h->len, take = min_u64((uint64_t)n, room);
		memcpy(h->said_now + h->len, buf, take);
		h->len += take;
	}
	h->said_now[h->len] = 0;
	if (n == 0 && h->said) /* nobody writes any more */
		loop_watch_free(take(h->said));
}

static void probe_said(void *arg, uint32_t events)
{
	(void)events;
	said_take(arg);
}

static void probe_forget(struct health *h)
{
	char path[PATH_MAX];
	if (h->end)
		loop_watch_free(take(h->end));
	if (h->said)
		loop_watch_free(take(h->said));
	auto_close(&h->pidfd);
	auto_close(&h->out);
	h->pid = 0;
	pid_path(h, path);
	unlink(path);
}

static void judge(struct health *h)
{
	bool starts = host_monotonic_ns() - h->begun_ns < h->start_ns;
	if (h->code == 0) {
		h->failing = 0;
		status_set(h, "healthy");
		return;
	}
	if (starts && !strcmp(h->status, "starting"))
		return;
	if (++h->failing >= h->retries)
		status_set(h, "unhealthy");
}

static void probe_ended(void *arg, uint32_t events)
{
	struct health *h = arg;
	int status;
	(void)events;
	if (waitpid(h->pid, &status, WNOHANG) != h->pid)
		return;
	said_take(h);
	memcpy(h->output, h->said_now, sizeof h->output);
	h->code = h->late ? LODGE_EXIT_TIMEOUT : host_exit_code(status);
	probe_forget(h);
	judge(h);
	next_set(h);
}

static int probe_watch(struct health *h, struct lodge_err *e)
{
	h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	int r = h->pidfd < 0 ? err_sys(e, "a health check")
			     : loop_watch_new(&h->end, h->env->loop, h->pidfd, EPOLLIN, NULL,
					      probe_ended, h, e);
	return r < 0 ? r : loop_watch_new(&h->said, h->env->loop, h->out, EPOLLIN, NULL,
					  probe_said, h, e);
}

static int probe_begin(struct health *h, struct lodge_err *e)
{
	char program[PATH_MAX];
	int ends[2];
	int r = runtime_find(program, e);
	if (r == 0 && pipe2(ends, O_CLOEXEC) < 0)
		r = err_sys(e, "a pipe");
	if (r < 0)
		return r;
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	h->late = false;
	h->len = 0;
	h->pid = fork();
	if (h->pid == 0)
		probe_child(h, program, ends[1]);
	close(ends[1]);
	h->out = ends[0];
	r = h->pid < 0 ? err_sys(e, "a process") : probe_watch(h, e);
	if (r < 0 && h->pid > 0)
		host_child_end(h->pid);
	if (r < 0)
		probe_forget(h);
	return r;
}

/* The program, whose parent, the runtime, has it still to wait for; then the runtime itself. */
static void probe_kill(struct health *h)
{
	char path[PATH_MAX];
	autofree char *text = NULL;
	size_t len;
	pid_path(h, path);
	if (file_load(AT_FDCWD, path, 32, &text, &len, NULL) == 0) {
		long pid = strtol(text, NULL, 10);
		if (pid > 1 && kill(-(pid_t)pid, SIGKILL) < 0) /* with what it runs */
			kill((pid_t)pid, SIGKILL);
	}
	if (h->late)
		kill(h->pid, SIGKILL);
}

static bool is_paused(const struct health *h)
{
	struct container c;
	if (container_open(&c, h->states, h->id, false, NULL) < 0)
		return false;
	bool paused = container_status(&c) == CONTAINER_PAUSED;
	container_fini(&c);
	return paused;
}

/* Time for the next one, or for the one that runs to be over. */
static void health_due(void *arg)
{
	struct health *h = arg;
	struct lodge_err e = {0};
	if (!h->id)
		return;
	if (h->pid) {
		probe_kill(h);
		h->late = true;
		loop_timer_set(h->timer, host_monotonic_ns() + GRACE_MS * UINT64_C(1000000));
	} else if (is_paused(h)) {
		next_set(h);
	} else if (probe_begin(h, &e) < 0) {
		log_at(h->env->log, LOG_WARN, "the health check cannot be run: %s", e.msg);
		next_set(h);
	} else {
		loop_timer_set(h->timer, host_monotonic_ns() + h->timeout_ns);
	}
}

/* ---- from the guest's start to its end ---- */

int health_start(struct health *h, const char *states, const char *id, struct lodge_err *e)
{
	health_stop(h);
	h->states = strdup(states);
	h->id = strdup(id);
	if (!h->states || !h->id)
		return err_set(e, ENOMEM, "out of memory");
	h->begun_ns = host_monotonic_ns();
	h->failing = 0;
	h->code = -1;
	h->output[0] = 0;
	h->status = "";
	status_set(h, "starting");
	next_set(h);
	return 0;
}

void health_stop(struct health *h)
{
	if (h->pid > 0) { /* the program has ended with the container */
		host_child_end(h->pid);
		probe_forget(h);
	}
	free(take(h->states));
	free(take(h->id));
}

void health_free(struct health *h)
{
	if (!h)
		return;
	health_stop(h);
	if (h->timer)
		loop_timer_free(h->timer);
	for (char **p = h->argv; p && *p; p++)
		free(*p);
	free(h->argv);
	free(h);
}

/* Bytes of the character at @p in UTF-8 (RFC 3629); 0: it is none. */
static size_t character_len(const char *p)
{
	const uint8_t *u = (const uint8_t *)p;
	size_t n = u[0] < 0x80 ? 1 : u[0] >> 5 == 6 ? 2 : u[0] >> 4 == 14 ? 3
		   : u[0] >> 3 == 30 ? 4 : 0;
	uint32_t v = n == 1 ? u[0] : u[0] & (0x7fu >> n);
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	for (size_t i = 1; i < n; i++) {
		if (u[i] >> 6 != 2)
			return 0;
		v = v << 6 | (u[i] & 63);
	}
	return !n || v < least[n] || v > 0x10ffff || v >> 11 == 0x1b ? 0 : n;
}

/* The program may say anything; JSON is text. */
static struct json_object *text_new(const char *said)
{
	char text[OUTPUT];
	size_t n;
	snprintf(text, sizeof text, "%s", said);
	for (char *p = text; *p; p += n)
		if (!(n = character_len(p))) {
			*p = '?';
			n = 1;
		}
	return json_object_new_string(text);
}

void health_describe(const struct health *h, struct json_object *out)
{
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "status", json_object_new_string(h->status));
	json_object_object_add(o, "failing", json_object_new_int64(h->failing));
	if (h->code >= 0)
		json_object_object_add(o, "exit_code", json_object_new_int(h->code));
	json_object_object_add(o, "output", text_new(h->output));
	json_object_object_add(out, "health", o);
}
