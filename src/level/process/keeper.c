/* SPDX-License-Identifier: Apache-2.0 */
/* The level in a keeper: the program runs in a PID namespace of its own, in children of the keeper,
 * which has the other ends of its standard streams. */
#include "level/process/saved.h"
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>

enum { ANSWER_MS = 15000 };

struct guest {
	const struct level_env *env;
	const struct lodge_config *c;
	struct streams *streams; /* owned */
	struct kept *kept;   /* shared with the program */
	int control, life;   /* owned: to init, to the process that speaks; -1 */
	struct loop_watch *control_watch;
	pid_t pid;            /* of init's parent; 0: not started, or reaped */
	bool gone, over;      /* all have ended; and ended has been called */
	int status;           /* how the program ended, as of wait(2); -1: unknown */
	/* ---- what it goes on from, or is saved ---- */
	struct mem *mem;         /* owned: pages of the program, while it stands still */
	struct save_in in_state; /* owned: until it is started */
	struct tree *tree;       /* owned: what it says */
	bool restoring;
	bool paused, held; /* each for itself keeps it from running */
};

/* ---- the end ---- */

static void guest_over(void *self)
{
	struct guest *g = self;
	if (g->over)
		return;
	g->over = true;
	host_reap(g->pid);
	g->pid = 0;
	life_env_ended(g->env, g->status);
}

/* ---- init ---- */

static void control_event(void *arg, uint32_t events)
{
	struct guest *g = arg;
	struct control_message m;
	(void)events;
	if (kept_receive(g->control, &m, sizeof m, NULL)) {
		if (m.what == CONTROL_ENDED)
			g->status = m.value;
		return;
	}
	/* all of them are gone, and so is what they wrote */
	loop_watch_free(take(g->control_watch));
	g->gone = true;
	streams_gone(g->streams);
}

static int control_ask(struct guest *g, enum control what, int value, struct lodge_err *e)
{
	struct control_message m = {.what = what, .value = value};
	struct pollfd f = {.fd = g->control, .events = POLLIN};
	if (!g->pid || !host_packet_send(g->control, &m, sizeof m, -1))
		return err_set(e, ESRCH, "the program has ended");
	while (poll(&f, 1, ANSWER_MS) > 0 && kept_receive(g->control, &m, sizeof m, NULL)) {
		if (m.what == CONTROL_ENDED) /* the end of the connection follows */
			g->status = m.value;
		if (m.what != what) /* or the answer to an earlier one */
			continue;
		if (m.value < 0)
			return m.err.code ? err_set(e, -m.value, "%s", m.err.msg)
					  : err_set(e, -m.value, "%s", strerror(-m.value));
		return 0;
	}
	return err_set(e, ESRCH, "the program has ended, or its first process does not answer");
}

/* Its first process kills the others and waits for them: when that one has ended nothing of them
 * is left, and who starts the program again finds its addresses free. Killed, it would die before
 * them. */
static void program_kill(struct guest *g)
{
	autoclose int fd = (int)syscall(SYS_pidfd_open, g->pid, 0);
	struct pollfd f = {.fd = fd, .events = POLLIN};
	if (fd >= 0 && control_ask(g, CONTROL_KILL, 0, NULL) == 0)
		(void)!poll(&f, 1, ANSWER_MS);
	kill(g->pid, SIGKILL);
}

/* ---- its state ---- */

static void state_forget(struct guest *g)
{
	mem_free(take(g->mem));
	tree_free(take(g->tree));
	save_in_fini(&g->in_state);
}

/* Ask the thread that speaks for process @m->pid of the program, which stands still. */
static int life_ask(struct guest *g, struct life_message *m, int pass, int *ret_passed,
		    struct lodge_err *e)
{
	struct pollfd f = {.fd = g->life, .events = POLLIN};
	const enum life_ask what = m->what;
	const int pid = m->pid;
	*ret_passed = -1;
	g->kept->asked = pid;
	if (!host_packet_send(g->life, m, sizeof *m, pass))
		return err_set(e, ESRCH, "the program has ended");
	int r = control_ask(g, CONTROL_HALT, 0, e); /* look at what I have sent */
	if (r < 0)
		return r;
	do { /* what comes first may answer an earlier one, which was not waited for */
		auto_close(ret_passed);
		*ret_passed = -1;
		if (poll(&f, 1, ANSWER_MS) != 1 ||
		    !kept_receive(g->life, m, sizeof *m, ret_passed))
			return err_set(e, ETIMEDOUT, "the program does not say what it is");
	} while (m->what != what || m->pid != pid);
	m->err.msg[sizeof m->err.msg - 1] = 0;
	return m->result < 0 ? err_set(e, -m->result, "%s", m->err.msg) : 0;
}

/* A process that is to be saved. */
struct part {
	int pid;
	uint64_t at, bytes; /* of its memory, in that of all */
};

/* All that stand still, the first process first. How many, at most @max. */
static int parts_find(const struct guest *g, struct part *ret, unsigned max, struct lodge_err *e)
{
	unsigned n = 1;
	ret[0] = (struct part){.pid = g->kept->lead};
	for (size_t i = 0; i < KEPT_PROCESSES; i++) {
		const struct kept_slot *s = &g->kept->slot[i];
		int pid = s->pid;
		if (pid <= 1)
			continue;
		if (s->lends == g->kept->want)
			return err_set(e, EOPNOTSUPP, "it waits for a program that it has started "
				       "by vfork");
		if (s->halted != g->kept->want)
			return err_set(e, EOPNOTSUPP, "its process %d was stopped by a signal, and "
				       "cannot be saved", pid);
		if (n == max)
			return err_set(e, E2BIG, "it has more than %u processes", max);
		if (pid != ret[0].pid)
			ret[n++] = (struct part){.pid = pid};
	}
	return (int)n;
}

static int part_save(struct guest *g, struct part *p, struct save_out *o, const char *prefix,
		     struct lodge_err *e)
{
	struct life_message m = {.what = LIFE_STATE, .pid = p->pid};
	int fd;
	int r = life_ask(g, &m, -1, &fd, e);
	if (r == 0)
		r = save_out_copy(o, fd, prefix, e);
	auto_close(&fd);
	p->bytes = m.bytes;
	return r;
}

/* What was gathered: can it be made again? */
static int parts_check(struct save_out *o, struct lodge_err *e)
{
	struct save_in in;
	struct tree *t = NULL;
	const uint8_t *p;
	size_t len;
	int r = save_out_bytes(o, &p, &len, e);
	if (r == 0)
		r = save_in_parse(&in, p, len, e);
	if (r == 0)
		r = tree_new(&t, &in, e);
	tree_free(t);
	return r;
}

static int guest_save(void *self, struct save_out *o, struct lodge_err *e)
{
	struct guest *g = self;
	struct part part[TREE_MAX];
	char prefix[24] = "";
	uint64_t bytes = 0;
	mem_free(take(g->mem));
	/* what it has printed is no part of its state: the console has to have it */
	streams_drain(g->streams);
	int r = control_ask(g, CONTROL_HALT, 0, e); /* it has, but that is older than its parts */
	int n = r < 0 ? r : parts_find(g, part, TREE_MAX, e);
	if (n < 0)
		return n;
	for (int i = 0; r == 0 && i < n; i++) {
		if (n > 1)
			snprintf(prefix, sizeof prefix, TREE_PREFIX, (unsigned)i);
		r = part_save(g, &part[i], o, prefix, e);
		part[i].at = bytes;
		bytes += part[i].bytes;
	}
	if (r == 0)
		r = parts_check(o, e);
	if (r == 0)
		r = mem_new(&g->mem, gpa(0), bytes ? bytes : PAGE, e);
	for (int i = 0; r == 0 && i < n; i++) {
		struct life_message m = {.what = LIFE_MEMORY, .pid = part[i].pid, .at = part[i].at};
		int none;
		r = life_ask(g, &m, mem_fd(g->mem), &none, e);
		auto_close(&none);
	}
	return r;
}

static struct mem *guest_memory(void *self) { return ((struct guest *)self)->mem; }

/* The state stays with us until the program is made from it. */
static int guest_fit(void *self, const struct save_in *in, struct lodge_err *e)
{
	struct guest *g = self;
	int r = save_in_copy(&g->in_state, in, e);
	if (r == 0)
		r = tree_new(&g->tree, &g->in_state, e);
	if (r == 0)
		r = mem_new(&g->mem, gpa(0), (g->tree->pages ? g->tree->pages : 1) * PAGE, e);
	return r;
}

/* ---- starting ---- */

static int watches_make(struct guest *g, struct lodge_err *e)
{
	int r = loop_watch_new(&g->control_watch, g->env->loop, g->control, EPOLLIN, NULL,
			       control_event, g, e);
	return r < 0 ? r : streams_watch(g->streams, e);
}

/* Wait for the program's word that it is about to run. */
static int ready_wait(int fd, struct lodge_err *e)
{
	struct control_message hello;
	if (!kept_receive(fd, &hello, sizeof hello, NULL))
		return err_set(e, EIO, "the program's process died at its start");
	return hello.value < 0 ? err_set(e, -hello.value, "%s", hello.err.msg) : 0;
}

static int program_main(void *user, const struct init_plan *p, struct lodge_err *e)
{
	struct guest *g = user;
	(void)!chdir(g->c->cwd && !g->c->root ? g->c->cwd : "/");
	if (!g->restoring)
		return process_kept(g->c, p, NULL, e);
	for (unsigned i = 0; i < g->tree->n; i++) {
		g->tree->each[i].ram = mem_host(g->mem);
		g->tree->each[i].ram_pages = mem_size(g->mem) / PAGE;
	}
	return process_kept(g->c, p, g->tree, e);
}

/* Ours are ends 0: g->control, g->life, and *@ready, owned by the caller. */
static int guest_fork(struct guest *g, const int ends[2], int *ready, struct lodge_err *e)
{
	int control[2] = {-1, -1}, life[2] = {-1, -1}, hello[2] = {-1, -1};
	int r = host_packet_pair(control, e);
	if (r == 0)
		r = host_packet_pair(life, e);
	if (r == 0)
		r = host_packet_pair(hello, e);
	const struct init_plan plan = {.control = control[1], .life = life[1], .in = ends[0],
		.out = ends[1], .tty = g->c->flags & LODGE_TTY, .umask = g->env->umask,
		.ready = hello[1], .kept = g->kept, .run = program_main, .user = g,
		.lead_pid = g->restoring ? (int)g->tree->kin[0].pid : 0};
	pid_t pid = r < 0 ? -1 : fork();
	if (pid == 0)
		init_main(&plan); /* it closes all but those of the plan */
	if (r == 0 && pid < 0)
		r = err_sys(e, "starting the program");
	g->pid = pid > 0 ? pid : 0;
	g->control = control[0];
	g->life = life[0];
	*ready = hello[0];
	auto_close(&control[1]);
	auto_close(&life[1]);
	auto_close(&hello[1]);
	return r;
}

/* Make the program's processes; those of a restored one stand still. */
static int guest_launch(struct guest *g, struct lodge_err *e)
{
	int ends[2];
	int r = streams_ends(g->streams, g->c, ends, e);
	if (r < 0)
		return r;
	if (g->restoring) /* its threads are made standing still */
		g->kept->want = 1;
	autoclose int ready = -1;
	r = guest_fork(g, ends, &ready, e);
	streams_ends_close(ends);
	if (r == 0)
		r = ready_wait(ready, e);
	if (r == 0)
		r = watches_make(g, e);
	return r;
}

/* All that can fail fails here, while the state is still there. */
static int guest_load(void *self, const struct save_in *in, struct lodge_err *e)
{
	struct guest *g = self;
	(void)in;
	g->restoring = true;
	int r = guest_launch(g, e);
	state_forget(g);
	return r;
}

static int guest_start(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	int r = g->restoring ? control_ask(g, CONTROL_GO, 0, e) : guest_launch(g, e);
	if (r == 0)
		streams_go(g->streams);
	return r;
}

/* ---- while it runs ---- */

static int guest_pause(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	int r = control_ask(g, CONTROL_HALT, 0, e);
	g->paused = r == 0;
	return r;
}

static int guest_resume(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	mem_free(take(g->mem)); /* a snapshot that is being written has its own */
	g->paused = false;
	return g->held ? 0 : control_ask(g, CONTROL_GO, 0, e);
}

static void guest_hold(void *self, bool on)
{
	struct guest *g = self;
	struct lodge_err e;
	g->held = on;
	if (!g->paused && !g->gone && control_ask(g, on ? CONTROL_HALT : CONTROL_GO, 0, &e) < 0)
		log_at(g->env->log, LOG_DEBUG, "hold: %s", e.msg);
}

static uint64_t guest_cpu_ns(void *self)
{
	const struct guest *g = self;
	return g->pid ? host_tree_cpu_ns(g->pid) : 0;
}

static int guest_stop(void *self, struct lodge_err *e)
{
	return control_ask(self, CONTROL_SIGNAL, SIGTERM, e);
}

static int guest_signal(void *self, int sig, struct lodge_err *e)
{
	return control_ask(self, CONTROL_SIGNAL, sig, e);
}

static int guest_kill(void *self, struct lodge_err *e)
{
	struct guest *g = self;
	if (!g->pid)
		return err_set(e, ESRCH, "the program does not run");
	program_kill(g);
	return 0;
}

static void guest_resize(void *self, unsigned rows, unsigned columns)
{
	streams_resize(((struct guest *)self)->streams, rows, columns);
}

static struct chr *guest_console(void *self)
{
	return streams_console(((struct guest *)self)->streams);
}

static void guest_inspect(void *self, struct json_object *out)
{
	const struct guest *g = self;
	int64_t n = 0;
	for (size_t i = 0; i < KEPT_PROCESSES; i++)
		n += g->kept->slot[i].pid > 0;
	json_object_object_add(out, "processes", json_object_new_int64(n));
	if (g->c->root)
		json_object_object_add(out, "root", json_object_new_string(g->c->root));
}

/* ---- making and unmaking ---- */

static int guest_create(void **ret, const struct level_env *env, const struct lodge_config *c,
			struct lodge_err *e)
{
	if (life_option(c, "gdb"))
		return err_set(e, EOPNOTSUPP, "-o gdb is for programs in the foreground");
	struct guest *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, ENOMEM, "out of memory");
	g->env = env;
	g->c = c;
	g->control = g->life = g->status = -1;
	g->kept =
	    mmap(NULL, sizeof *g->kept, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r = streams_new(&g->streams, env->loop, guest_over, g, e);
	if (r == 0 && g->kept == MAP_FAILED)
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0) {
		streams_free(g->streams);
		free(g);
		return r;
	}
	*ret = g;
	return 0;
}

static void guest_destroy(void *self)
{
	struct guest *g = self;
	if (g->pid) {
		program_kill(g);
		g->over = true;
		host_reap(g->pid);
	}
	if (g->control_watch)
		loop_watch_free(g->control_watch);
	auto_close(&g->control);
	auto_close(&g->life);
	state_forget(g);
	munmap(g->kept, sizeof *g->kept);
	streams_free(g->streams);
	free(g);
}

extern const struct level level_process;
const struct level level_process = {
    .name = "process",
    .summary = "a program of riscv64 Linux, its system calls those of the host",
    .claims = process_claims,
    .become = process_become,
    .create = guest_create,
    .start = guest_start,
    .pause = guest_pause,
    .resume = guest_resume,
    .stop = guest_stop,
    .kill = guest_kill,
    .signal = guest_signal,
    .destroy = guest_destroy,
    .console = guest_console,
    .resize = guest_resize,
    .inspect = guest_inspect,
    .save = guest_save,
    .fit = guest_fit,
    .load = guest_load,
    .memory = guest_memory,
    .hold = guest_hold,
    .cpu_ns = guest_cpu_ns,
};
