/* SPDX-License-Identifier: Apache-2.0 */
/* The level in a keeper: the program is a child of it, confined, which has the other ends of its
 * standard streams and of a socket. It is asked there, and kicked by a signal, to stand still;
 * while it does, it answers. */
#include "level/wasm/internal.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { KICK_MS = 10, ANSWER_MS = 15000, READY_MS = 120000 };

struct guest {
	const struct level_env *env;
	const struct lodge_config *c;
	struct streams *streams; /* owned */
	int control;             /* owned: to the program; -1 */
	struct loop_watch *watch;
	pid_t pid;               /* 0: not started, or reaped */
	uint64_t memory;         /* that it may have; bytes, 0: no limit */
	bool gone, over;         /* it has ended; and ended has been called */
	bool halted;             /* it stands still, and answers at once */
	bool paused, held;       /* each for itself keeps it from running */
	/* ---- what it goes on from, or is saved ---- */
	struct mem *mem;         /* owned: pages of the program, while it stands still */
	struct save_in in_state; /* owned: until it is started */
	bool restoring;
};

/* ---- the end ---- */

static void guest_over(void *self)
{
	struct guest *g = self;
	if (g->over)
		return;
	g->over = true;
	int status = host_reap(g->pid);
	g->pid = 0;
	life_env_ended(g->env, status);
}

/* ---- asking ---- */

static void control_event(void *arg, uint32_t events)
{
	struct guest *g = arg;
	struct message m;
	(void)events;
	if (message_receive(g->control, &m, NULL, false)) {
		/* an answer that nobody waits for any more: it was too late, and is taken back */
		struct message go = {.what = ASK_GO};
		if (m.what == ASK_HALT && !g->halted && !message_send(g->control, &go, -1))
			log_at(g->env->log, LOG_DEBUG, "the program does not hear");
		return;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return;
	loop_watch_free(take(g->watch));
	g->gone = true;
	streams_gone(g->streams);
}

/* Wait for the answer to @m, which replaces it. A kick may come just before a call that waits. */
static bool answer_wait(const struct guest *g, struct message *m)
{
	const enum ask what = m->what;
	struct pollfd f = {.fd = g->control, .events = POLLIN};
	uint64_t end = host_monotonic_ns() + ANSWER_MS * UINT64_C(1000000);
	while (host_monotonic_ns() < end) {
		int n = poll(&f, 1, KICK_MS);
		if (n == 0 && !g->halted)
			kill(g->pid, SIGNAL_KICK);
		if (n <= 0)
			continue;
		if (!message_receive(g->control, m, NULL, true))
			return false;
		if (m->what == what)
			return true;
	}
	return false;
}

static int ask(struct guest *g, struct message *m, int pass, struct lodge_err *e)
{
	if (!g->pid || g->gone || !message_send(g->control, m, pass))
		return err_set(e, ESRCH, "the program has ended");
	if (!g->halted)
		kill(g->pid, SIGNAL_KICK);
	if (!answer_wait(g, m))
		return err_set(e, ESRCH, "the program has ended, or does not come to a stop: a "
			       "call of the host's takes so long");
	m->err.msg[sizeof m->err.msg - 1] = 0;
	return m->result < 0 ? err_set(e, -m->result, "%s", m->err.msg) : 0;
}

static int halt_ask(struct guest *g, bool on, struct lodge_err *e)
{
	struct message m = {.what = on ? ASK_HALT : ASK_GO};
	if (g->halted == on)
		return 0;
	int r = ask(g, &m, -1, e);
	if (r == 0)
		g->halted = on;
	return r;
}

/* ---- its state ---- */

static void state_forget(struct guest *g)
{
	mem_free(take(g->mem));
	save_in_fini(&g->in_state);
}

int guest_save(void *self, struct save_out *o, struct lodge_err *e)
{
	struct guest *g = self;
	struct message m = {.what = ASK_STATE}, pages = {.what = ASK_PAGES};
	mem_free(take(g->mem));
	/* what it has printed is no part of its state: the console has to have it */
	streams_drain(g->streams);
	autoclose int fd = memfd_create("lodge-state", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "a file for the state");
	int r = halt_ask(g, true, e);
	if (r == 0)
		r = ask(g, &m, fd, e);
	if (r == 0)
		r = save_out_copy(o, fd, "", e);
	if (r == 0)
		r = mem_new(&g->mem, gpa(0), m.value ? m.value : MEM_FRAME, e);
	return r == 0 ? ask(g, &pages, mem_fd(g->mem), e) : r;
}

struct mem *guest_memory(void *self) { return ((struct guest *)self)->mem; }

/* The state stays with us until the program is made from it. */
int guest_fit(void *self, const struct save_in *in, struct lodge_err *e)
{
	struct guest *g = self;
	uint64_t bytes = 0;
	int r = save_in_copy(&g->in_state, in, e);
	if (r < 0)
		return r;
	const struct wasm_source from = {.find = program_section, .user = &g->in_state};
	r = wasi_saved_pages(&from, &bytes, e);
	return r == 0 ? mem_new(&g->mem, gpa(0), bytes ? bytes : MEM_FRAME, e) : r;
}

/* ---- starting ---- */

/* Wait for the program's word that it is about to run. */
static int ready_wait(const struct guest *g, struct lodge_err *e)
{
	struct message hello;
	struct pollfd f = {.fd = g->control, .events = POLLIN};
	int n;
	while ((n = poll(&f, 1, READY_MS)) < 0 && errno == EINTR)
		continue;
	if (n != 1 || !message_receive(g->control, &hello, NULL, true) ||
	    hello.what != ASK_READY)
		return err_set(e, EIO, "the program's process died at its start");
	hello.err.msg[sizeof hello.err.msg - 1] = 0;
	return hello.result < 0 ? err_set(e, -hello.result, "%s", hello.err.msg) : 0;
}

static uint64_t memory_of(const struct lodge_config *c)
{
	return c->memory_limit ? c->memory_limit : c->memory;
}

static int guest_fork(struct guest *g, const int ends[2], struct lodge_err *e)
{
	int control[2];
	int r = host_packet_pair(control, e);
	if (r < 0)
		return r;
	const struct kept k = {.control = control[1],
			       .in = ends[0],
			       .out = ends[1],
			       .tty = g->c->flags & LODGE_TTY,
			       .umask = g->env->umask,
			       .state = g->restoring ? &g->in_state : NULL,
			       .pages = g->restoring ? mem_host(g->mem) : NULL,
			       .npages = g->restoring ? mem_size(g->mem) : 0};
	pid_t pid = fork();
	if (pid == 0)
		program_kept(g->c, &k);
	close(control[1]);
	g->control = control[0];
	if (pid < 0)
		return err_sys(e, "starting the program");
	g->pid = pid;
	g->memory = memory_of(g->c);
	return 0;
}

/* Make the program's process; that of a restored one stands still. */
static int guest_launch(struct guest *g, struct lodge_err *e)
{
	int ends[2];
	int r = streams_ends(g->streams, g->c, ends, e);
	if (r < 0)
		return r;
	g->halted = g->restoring;
	r = guest_fork(g, ends, e);
	streams_ends_close(ends);
	if (r == 0)
		r = ready_wait(g, e);
	if (r == 0)
		r = loop_watch_new(&g->watch, g->env->loop, g->control, EPOLLIN, NULL,
				   control_event, g, e);
	return r == 0 ? streams_watch(g->streams, e) : r;
}

/* All that can fail fails here, while the state is still there. */
int guest_load(void *self, const struct save_in *in, struct lodge_err *e)
{
	struct guest *g = self;
	(void)in;
	g->restoring = true;
	int r = guest_launch(g, e);
	state_forget(g);
	return r;
}

int guest_start(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	int r = g->restoring ? halt_ask(g, false, e) : guest_launch(g, e);
	if (r == 0)
		streams_go(g->streams);
	return r;
}

/* ---- while it runs ---- */

int guest_pause(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	int r = halt_ask(g, true, e);
	g->paused = r == 0;
	return r;
}

int guest_resume(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	mem_free(take(g->mem)); /* a snapshot that is being written has its own */
	g->paused = false;
	return g->held ? 0 : halt_ask(g, false, e);
}

void guest_hold(void *self, bool on)
{
	struct guest *g = self;
	struct lodge_err e;
	g->held = on;
	if (!g->paused && !g->gone && halt_ask(g, on, &e) < 0)
		log_at(g->env->log, LOG_DEBUG, "hold: %s", e.msg);
}

uint64_t guest_cpu_ns(void *self)
{
	const struct guest *g = self;
	return g->pid ? host_tree_cpu_ns(g->pid) : 0;
}

int guest_signal(void *self, int sig, struct lodge_err *e)
{
	struct guest *g = self;
	if (!g->pid)
		return err_set(e, ESRCH, "the program does not run");
	return kill(g->pid, sig) < 0 ? err_sys(e, "sending a signal to the program") : 0;
}

int guest_stop(void *self, struct lodge_err *e) { return guest_signal(self, SIGTERM, e); }
int guest_kill(void *self, struct lodge_err *e) { return guest_signal(self, SIGKILL, e); }

void guest_limit(void *self, const struct lodge_config *c, struct life_warnings *w)
{
	struct guest *g = self;
	if (g->pid && memory_of(c) != g->memory)
		life_warn(w, "memory: the program keeps the limit that it was started with");
	if (c->disk_iops || c->disk_bps || c->net_bps)
		life_warn(w, "the level wasm has no limits of disks and network");
}

void guest_resize(void *self, unsigned rows, unsigned columns)
{
	streams_resize(((struct guest *)self)->streams, rows, columns);
}

struct chr *guest_console(void *self)
{
	return streams_console(((struct guest *)self)->streams);
}

void guest_inspect(void *self, struct json_object *out)
{
	const struct guest *g = self;
	json_object_object_add(out, "program_pid", json_object_new_int64(g->pid));
}

/* ---- making and unmaking ---- */

int guest_create(void **ret, const struct level_env *env, const struct lodge_config *c,
		 struct lodge_err *e)
{
	static struct plan p; /* only checked here: the program makes its own */
	p = (struct plan){.n = 0};
	int r = plan_make(&p, c, true, e);
	for (size_t i = 0; i < p.n; i++)
		life_volume_fini(&p.volumes[i]);
	struct guest *g = r < 0 ? NULL : calloc(1, sizeof *g);
	if (r < 0 || !g)
		return r < 0 ? r : err_set(e, ENOMEM, "out of memory");
	g->env = env;
	g->c = c;
	g->control = -1;
	r = streams_new(&g->streams, env->loop, guest_over, g, e);
	if (r < 0)
		free(g);
	else
		*ret = g;
	return r;
}

void guest_destroy(void *self)
{
	struct guest *g = self;
	if (g->pid) {
		g->over = true;
		host_child_end(g->pid);
	}
	if (g->watch)
		loop_watch_free(g->watch);
	auto_close(&g->control);
	state_forget(g);
	streams_free(g->streams);
	free(g);
}
