/* SPDX-License-Identifier: Apache-2.0 */
/* A debugger's hold on the program: threads that stop together and go on, breakpoints that only
 * engines see, steps, signals on their way, forks and execs. What the debugger says and wants is
 * the room gdb's; what it asks for, debug_target.c's. */
#include "level/process/debug.h"
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

enum { C_EBREAK = 0x9002, OP_ECALL = 0x73, NO_EVENT = 0, LOOK_NS = 1000000 };

/* ---- threads stop ---- */

static void bell_ring(const struct debug *d)
{
	(void)!write(d->bell, &(uint64_t){1}, 8);
}

/* With the lock. */
void debug_halt(struct debug *d)
{
	struct proc *p = d->p;
	d->stopping = true;
	pthread_mutex_lock(&p->lock);
	for (struct task *t = p->tasks; t; t = t->next)
		rv_hart_request(t->h, RV_REQ_LOOK);
	pthread_mutex_unlock(&p->lock);
}

/* With the lock: until @t may go on. */
static void park(struct debug *d, struct task *t)
{
	t->watch.parked = true;
	pthread_cond_broadcast(&d->moved);
	while (!d->over && (d->stopping || t->watch.held))
		pthread_cond_wait(&d->moved, &d->lock);
	t->watch.parked = false;
}

void debug_park(struct task *t)
{
	struct debug *d = t->p->debug;
	pthread_mutex_lock(&d->lock);
	if (d->stopping || t->watch.held)
		park(d, t);
	pthread_mutex_unlock(&d->lock);
	task_stale_take(t);
}

/* @t has something to tell, and stands until the debugger lets it go on. Returns the signal that it
 * goes on with. */
static int stop(struct task *t, enum gdb_why why, int sig)
{
	struct debug *d = t->p->debug;
	pthread_mutex_lock(&d->lock);
	if (d->over) {
		pthread_mutex_unlock(&d->lock);
		return why == GDB_SIGNAL ? sig : 0;
	}
	t->watch.event = sig;
	t->watch.why = (int)why;
	t->watch.give = 0;
	t->watch.step = false;
	if (!d->stopping)
		debug_halt(d);
	bell_ring(d);
	t->watch.asks = why == GDB_SIGNAL;
	park(d, t);
	t->watch.asks = false;
	int give = t->watch.give;
	pthread_mutex_unlock(&d->lock);
	task_stale_take(t);
	return give;
}

int debug_signal(struct task *t, int sig)
{
	const struct debug *d = t->p->debug;
	if (sig == t->watch.silent) {
		t->watch.silent = 0;
		return sig;
	}
	return d->over || d->pass >> (sig - 1) & 1 ? sig : stop(t, GDB_SIGNAL, sig);
}

static bool is_break(const struct debug *d, uint64_t at)
{
	if (at == d->once)
		return true;
	for (unsigned i = 0; i < BREAKS; i++)
		if (d->breaks[i] == at)
			return true;
	return false;
}

bool debug_trap(struct task *t)
{
	if (!is_break(t->p->debug, t->h->npc))
		return false;
	(void)!stop(t, GDB_BREAK, SIGTRAP);
	return true;
}

void debug_called(struct task *t)
{
	const struct debug *d = t->p->debug;
	if (d->over)
		return;
	if (t->watch.exec && gdb_wants_exec(d->g))
		(void)!stop(t, GDB_EXEC, SIGTRAP);
	else if (t->watch.step)
		(void)!stop(t, GDB_NOTHING, SIGTRAP);
	else if (d->stopping || t->watch.held)
		debug_park(t);
	t->watch.exec = false;
}

/* ---- and go on ---- */

static uint64_t imm_branch(uint32_t w)
{
	return (uint64_t)((int64_t)(int32_t)w >> 31) << 12 | (w >> 7 & 1) << 11 |
	       (w >> 25 & 63) << 5 | (w >> 8 & 15) << 1;
}

static uint64_t imm_jal(uint32_t w)
{
	return (uint64_t)((int64_t)(int32_t)w >> 31) << 20 | (w & 0xff000) |
	       (w >> 20 & 1) << 11 | (w >> 21 & 1023) << 1;
}

static bool branch_taken(const struct rv_hart *h, uint32_t w)
{
	uint64_t a = h->x[w >> 15 & 31], b = h->x[w >> 20 & 31];
	bool less = w >> 13 & 1 ? a < b : (int64_t)a < (int64_t)b;
	return (w >> 14 & 1 ? less : a == b) != (w >> 12 & 1);
}

/* c.j, c.beqz, c.bnez, c.jr, c.jalr: RISC-V Unpriv 20240411 §26.3, §26.4 */
static uint64_t next_short(const struct rv_hart *h, uint64_t pc, uint32_t w)
{
	uint64_t j = (uint64_t)-(int64_t)(w >> 12 & 1) << 11 | (w >> 8 & 1) << 10 |
		     (w >> 9 & 3) << 8 | (w >> 6 & 1) << 7 | (w >> 7 & 1) << 6 |
		     (w >> 2 & 1) << 5 | (w >> 11 & 1) << 4 | (w >> 3 & 7) << 1;
	uint64_t b = (uint64_t)-(int64_t)(w >> 12 & 1) << 8 | (w >> 5 & 3) << 6 |
		     (w >> 2 & 1) << 5 | (w >> 10 & 3) << 3 | (w >> 3 & 3) << 1;
	switch (w & 0xe003) {
	case 0xa001: return pc + j;
	case 0xc001: return h->x[8 + (w >> 7 & 7)] ? pc + 2 : pc + b;
	case 0xe001: return h->x[8 + (w >> 7 & 7)] ? pc + b : pc + 2;
	case 0x8002:
		if (!(w >> 2 & 31) && w >> 7 & 31)
			return h->x[w >> 7 & 31] & ~UINT64_C(1);
		return pc + 2;
	default: return pc + 2;
	}
}

/* Where the instruction @w at @pc leads, if it raises nothing. */
static uint64_t next_of(const struct rv_hart *h, uint64_t pc, uint32_t w)
{
	enum { JAL = 0x6f, JALR = 0x67, BRANCH = 0x63 };
	if ((w & 3) != 3)
		return next_short(h, pc, w & 0xffff);
	switch (w & 0x7f) {
	case JAL: return pc + imm_jal(w);
	case JALR:
		return (h->x[w >> 15 & 31] + (uint64_t)((int64_t)(int32_t)w >> 20)) & ~UINT64_C(1);
	case BRANCH: return branch_taken(h, w) ? pc + imm_branch(w) : pc + 4;
	default: return pc + 4;
	}
}

/* One instruction of @t, which stands: a breakpoint is put behind it, or it is an ecall, and
 * debug_called stops it. False: it would stay where it is, and has done so. */
static bool step_begin(struct debug *d, struct task *t)
{
	uint64_t pc = t->h->npc, next;
	uint8_t code[4] = {0};
	t->watch.step = true;
	if (t->calling) /* behind the call; others may have to end it */
		return true;
	if (debug_target.mem_read(d, pc, code, sizeof code) < 2)
		return true; /* it faults */
	uint32_t w = le32_at(code);
	if (w == OP_ECALL)
		return true;
	next = next_of(t->h, pc, w);
	if (next == pc)
		return false;
	d->once = next;
	debug_code_stale(d, next, next + 2);
	return true;
}

static const struct gdb_action *action_of(const struct gdb_action *a, size_t n, int tid)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].thread == -1 || a[i].thread == tid)
			return &a[i];
	return NULL;
}

/* Does @t have something to tell that is still true? */
static bool tells(const struct debug *d, struct task *t)
{
	if (t->watch.event && t->watch.why == GDB_BREAK && !is_break(d, t->h->npc))
		t->watch.event = NO_EVENT; /* the breakpoint is gone; the instruction is next */
	return t->watch.event != NO_EVENT;
}

/* @t as @a says (NULL: it stands). Returns whether it makes a step that all others wait for. */
static bool task_go(struct debug *d, struct task *t, const struct gdb_action *a)
{
	t->watch.held = !a;
	t->watch.give = a ? a->signal : 0;
	t->watch.step = false;
	if (t->watch.give && !t->watch.asks) { /* it comes as from elsewhere */
		t->watch.silent = t->watch.give;
		syscall(SYS_tgkill, getpid(), t->tid, t->watch.give);
	}
	if (!a || !a->step)
		return false;
	if (t->watch.give) /* to its handler, if it has one: that is the step */
		t->watch.step = true;
	else if (!step_begin(d, t)) {
		t->watch.event = SIGTRAP;
		t->watch.why = GDB_NOTHING;
	}
	return d->once != 0;
}

void debug_go(struct debug *d, const struct gdb_action *a, size_t n)
{
	struct proc *p = d->p;
	struct task *only = NULL, *t;
	bool tell = false;
	pthread_mutex_lock(&p->lock);
	for (t = p->tasks; t; t = t->next)
		tell |= tells(d, t);
	pthread_mutex_unlock(&p->lock);
	for (t = p->tasks; t && !tell; t = t->next) {
		if (task_go(d, t, action_of(a, n, t->tid)))
			only = t;
		tell |= t->watch.event != NO_EVENT;
	}
	for (t = only ? p->tasks : NULL; t; t = t->next)
		t->watch.held |= t != only;
	if (tell) {
		bell_ring(d);
		return;
	}
	d->stopping = false;
	pthread_cond_broadcast(&d->moved);
}

/* ---- breakpoints ---- */

void debug_code(const struct debug *d, uint64_t va, uint8_t *copy, size_t n)
{
	for (unsigned i = 0; i <= BREAKS; i++) {
		uint64_t at = i < BREAKS ? d->breaks[i] : d->once;
		if (!at)
			continue;
		if (at - va < n)
			copy[at - va] = C_EBREAK & 255;
		if (at + 1 - va < n)
			copy[at + 1 - va] = C_EBREAK >> 8;
	}
}

void debug_code_stale(struct debug *d, uint64_t lo, uint64_t hi)
{
	struct proc *p = d->p;
	pthread_mutex_lock(&p->lock);
	p->stales++;
	for (struct task *t = p->tasks; t; t = t->next)
		task_stale_post(t, lo, hi);
	pthread_mutex_unlock(&p->lock);
}

static void breaks_clear(struct debug *d)
{
	for (unsigned i = 0; i < BREAKS; i++)
		d->breaks[i] = 0;
	d->once = 0;
	debug_code_stale(d, 0, UINT64_MAX);
}

void debug_end(struct debug *d)
{
	breaks_clear(d);
	d->over = true;
	d->stopping = false;
	pthread_cond_broadcast(&d->moved);
}

/* ---- what the program does to itself ---- */

void debug_exec(struct task *t)
{
	struct debug *d = t->p->debug;
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	if (!d->over)
		breaks_clear(d);
	t->watch.exec = true;
	pthread_mutex_unlock(&d->lock);
}

/* The child of fork is nobody's. */
void debug_forked(struct task *t)
{
	struct debug *d = t->p->debug;
	if (!d)
		return;
	t->p->debug = NULL;
	linux_fd_close(&t->p->sys, d->bell);
	linux_fd_close(&t->p->sys, d->port.in);
	if (d->port.out != d->port.in)
		linux_fd_close(&t->p->sys, d->port.out);
	t->watch = (struct watch){.event = NO_EVENT};
	rv_code_stale(t->h, 0, UINT64_MAX);
	signals_watch(t->p);
}

void debug_ended(struct proc *p, int status, int sig)
{
	if (p->debug && !p->debug->over)
		gdb_ended(p->debug->g, status, sig);
}

/* ---- the thread that speaks with the debugger ---- */

/* With the lock: does every thread stand? */
static bool all_stand(struct debug *d)
{
	bool all = true;
	pthread_mutex_lock(&d->p->lock);
	for (struct task *t = d->p->tasks; t; t = t->next)
		all &= t->watch.parked || t->calling;
	pthread_mutex_unlock(&d->p->lock);
	return all;
}

/* With the lock. Threads in system calls do not say so, and so it looks again. */
static void all_await(struct debug *d)
{
	while (!all_stand(d)) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&d->moved, &d->lock, &until);
	}
}

/* Fill @s with what there is to tell; false: nothing. With the lock. */
static bool stop_take(struct debug *d, struct gdb_stop *s)
{
	struct task *t;
	pthread_mutex_lock(&d->p->lock);
	for (t = d->p->tasks; t && !t->watch.event; t = t->next)
		continue;
	if (!t && d->asked)
		*s = (struct gdb_stop){.thread = d->p->tasks ? d->p->tasks->tid : 0,
			.signal = SIGINT, .why = GDB_SIGNAL};
	if (t) {
		*s = (struct gdb_stop){.thread = t->tid, .signal = t->watch.event,
			.why = (enum gdb_why)t->watch.why, .exec = d->p->exe};
		if (s->why == GDB_BREAK && t->h->npc == d->once)
			s->why = GDB_NOTHING; /* a step is done */
		t->watch.event = NO_EVENT;
	}
	pthread_mutex_unlock(&d->p->lock);
	bool any = t || d->asked;
	d->asked = false;
	return any;
}

static void tell(struct debug *d)
{
	struct gdb_stop s;
	uint64_t n;
	(void)!read(d->bell, &n, sizeof n);
	pthread_mutex_lock(&d->lock);
	bool any = d->stopping;
	if (any) {
		all_await(d);
		any = stop_take(d, &s);
		uint64_t once = d->once;
		d->once = 0;
		if (once)
			debug_code_stale(d, once, once + 2);
	}
	pthread_mutex_unlock(&d->lock);
	if (any)
		gdb_stopped(d->g, &s);
}

static void *debug_main(void *debug)
{
	struct debug *d = debug;
	char buf[4096];
	for (;;) {
		struct pollfd fds[2] = {{.fd = d->port.in, .events = POLLIN},
					{.fd = d->bell, .events = POLLIN}};
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			tell(d);
		if (!fds[0].revents)
			continue;
		ssize_t n = read(d->port.in, buf, sizeof buf);
		if (n <= 0 || !gdb_input(d->g, buf, (size_t)n))
			break;
	}
	/* gone without a word is the same as detached */
	pthread_mutex_lock(&d->lock);
	if (!d->over)
		debug_end(d);
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static void debug_send(void *debug, const void *data, size_t len)
{
	struct debug *d = debug;
	const uint8_t *b = data;
	while (len) {
		ssize_t n = write(d->port.out, b, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* the other side is read as gone, too */
		b += n;
		len -= (size_t)n;
	}
}

/* ---- the beginning ---- */

static int debug_new(struct debug **ret, struct proc *p, struct lodge_err *e)
{
	struct debug *d = calloc(1, sizeof *d);
	if (!d || !(d->sys = calloc(1, sizeof *d->sys))) {
		free(d);
		return err_set(e, ENOMEM, "out of memory");
	}
	d->p = p;
	d->sys->proc = &p->sys;
	d->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->moved, NULL);
	gdb_cpu_riscv(&d->cpu, "GNU/Linux", p->env.vlen / 8);
	*ret = d;
	return d->bell < 0 ? err_sys(e, "an eventfd") : 0;
}

int debug_open(struct proc *p, const struct lodge_config *c, struct lodge_err *e)
{
	const char *where = life_option(c, "gdb");
	struct debug *d = NULL;
	if (!where)
		return 0;
	int r = debug_new(&d, p, e);
	if (r == 0)
		r = gdb_listen(&d->port, where, e);
	if (r == 0 && d->port.listener >= 0)
		dprintf(STDERR_FILENO, "lodge: waiting for gdb: target remote %s\n", d->port.text);
	if (r == 0)
		r = gdb_accept(&d->port, e);
	if (r == 0)
		r = gdb_new(&d->g, &debug_target, &d->cpu, d, debug_send, e);
	if (r < 0) {
		gdb_port_fini(&d->port);
		return r;
	}
	bool same = d->port.in == d->port.out;
	d->port.in = linux_fd_own(&p->sys, d->port.in);
	d->port.out = same ? d->port.in : linux_fd_own(&p->sys, d->port.out);
	d->bell = linux_fd_own(&p->sys, d->bell);
	p->debug = d;
	return 0;
}

int debug_begin(struct task *t, struct lodge_err *e)
{
	struct debug *d = t->p->debug;
	pthread_attr_t attr;
	pthread_t id;
	uint64_t all = UINT64_MAX, had;
	if (!d)
		return 0;
	signals_watch(t->p);
	d->stopping = true;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &had, sizeof all);
	int r = pthread_create(&id, &attr, debug_main, d);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &had, NULL, sizeof had);
	pthread_attr_destroy(&attr);
	if (r)
		return err_set(e, r, "a thread for the debugger: %s", strerror(r));
	debug_park(t);
	return 0;
}
