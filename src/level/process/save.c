/* SPDX-License-Identifier: Apache-2.0 */
/* A program that stands still says what it is: the thread that speaks for it answers the keeper.
 * What cannot be saved is found, and named, before anything is written. */
#include "level/process/saved.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define P(field) STATE(struct saved_process, field, 1)
const struct state_field saved_process_fields[] = {
    P(vdso),    P(trampoline), P(stack_lo), P(stack_hi),  P(brk_start), P(brk),
    P(top),     P(arg_start),  P(arg_end),  P(env_start), P(env_end),   P(actions),
    P(auxv),    P(auxv_len),   P(limits),   P(timers),    P(pid),       P(umask),
    P(threads), P(pages),      P(exe),      P(cwd),       P(comm),
    STATE(struct saved_process, vlen, 2), STATE(struct saved_process, foreground, 2),
    STATE_END,
};
#define T(field) STATE(struct saved_thread, field, 1)
#define T2(field) STATE(struct saved_thread, field, 2)
const struct state_field saved_thread_fields[] = {
    T(tid),    T(mask),       T(clear_tid), T(alt_sp), T(alt_size), T(alt_flags),
    T(robust), T(robust_len), T(left_ns),   T(kept),   T(info),     T(comm),
    T(x),      T(f),          T(pc),        T(fcsr),   T(vl),       T(vtype),
    T(vstart), T(vcsr),       T(vs),        T(v),
    T2(v_more),   T2(npending), T2(pending),  STATE_END,
};

void words_add(struct words *w, const uint64_t *v, size_t n)
{
	if (!n)
		return;
	if (w->n + n > w->cap) {
		size_t cap = 2 * (w->n + n) + 64;
		uint64_t *more = realloc(w->v, cap * sizeof *more);
		if (!more) {
			w->failed = true;
			return;
		}
		w->v = more;
		w->cap = cap;
	}
	memcpy(w->v + w->n, v, n * sizeof *v);
	w->n += n;
}

uint64_t text_add(struct gather *g, const char *text)
{
	size_t len = strlen(text) + 1, at = g->ntexts;
	if (at + len > g->captexts) {
		size_t cap = 2 * (at + len) + 4096;
		char *more = realloc(g->texts, cap);
		if (!more) {
			g->failed = true;
			return 0;
		}
		g->texts = more;
		g->captexts = cap;
	}
	memcpy(g->texts + at, text, len);
	g->ntexts += len;
	return at;
}

static void words_put(struct gather *g, const char *name, struct words *w)
{
	uint8_t *p = w->n ? save_out_section(g->o, name, w->n * 8) : NULL;
	for (size_t i = 0; p && i < w->n; i++)
		le64_put(p + 8 * i, w->v[i]);
	g->failed = g->failed || w->failed;
	free(take(w->v));
}

/* ---- what cannot be saved ---- */

static int program_check(const struct task *t, struct lodge_err *e)
{
	const struct proc *p = t->p;
	if (p->vfork_fd >= 0 || p->naway)
		return err_set(e, EOPNOTSUPP,
			       "it waits for a program that it has started by vfork");
	if (p->sys.root != p->root)
		return err_set(e, EOPNOTSUPP, "it has called chroot");
	for (const struct task *o = p->tasks; o; o = o->next)
		if (o->filter || o->strict)
			return err_set(e, EOPNOTSUPP, "it has filters of system calls (seccomp), "
			               "which cannot be saved");
	if (p->parked)
		return err_set(e, EOPNOTSUPP, "its first thread has ended, and others run on");
	return 0;
}

/* ---- threads ---- */

static uint64_t comm_add(struct gather *g, int tid)
{
	char path[64], name[32] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, name, sizeof name - 1);
	name[n < 0 ? 0 : n] = 0;
	name[strcspn(name, "\n")] = 0;
	return text_add(g, name);
}

/* Its signals that wait, of those that were gathered. */
static void waiting_put(const struct gather *g, struct saved_thread *s)
{
	const size_t size = sizeof(siginfo_t);
	for (size_t i = 0; i < g->waiting.n; i += WAITING_WORDS)
		if (g->waiting.v[i + WAITING_TID] == s->tid && s->npending < PENDING_MAX)
			memcpy(&s->pending[s->npending++ * size], &g->waiting.v[i + WAITING_INFO],
			       size);
}

static void thread_gather(struct gather *g, const struct task *t, unsigned i)
{
	const struct rv_hart *h = t->h;
	char name[SAVE_NAME_MAX + 1];
	struct saved_thread s = {.tid = (uint64_t)t->tid,
				 .mask = t->mask,
				 .clear_tid = t->clear_tid,
				 .alt_sp = t->alt.sp,
				 .alt_size = t->alt.size,
				 .alt_flags = t->alt.flags,
				 .kept = (uint64_t)t->kept,
				 .left_ns = UINT64_MAX,
				 .comm = comm_add(g, t->tid),
				 .pc = h->npc,
				 .fcsr = (uint32_t)h->fp.flags | h->frm << 5,
				 .vl = h->vl,
				 .vtype = h->vtype,
				 .vstart = h->vstart,
				 .vcsr = h->vxsat | (uint64_t)h->vxrm << 1,
				 .vs = h->vs};
	_Static_assert(sizeof s.info == sizeof t->info, "siginfo");
	uint64_t now = host_monotonic_ns();
	if (t->sys.until_ns)
		s.left_ns = t->sys.until_ns > now ? t->sys.until_ns - now : 0;
	syscall(SYS_get_robust_list, t->tid, &s.robust, &s.robust_len);
	_Static_assert(sizeof s.pending == PENDING_MAX * sizeof(siginfo_t), "signals that wait");
	waiting_put(g, &s);
	memcpy(s.info, &t->info, sizeof s.info);
	memcpy(s.x, h->x, sizeof s.x);
	memcpy(s.f, h->f, sizeof s.f);
	memcpy(s.v, h->v, sizeof s.v);
	memcpy(s.v_more, h->v + sizeof s.v, sizeof s.v_more);
	_Static_assert(sizeof s.v + sizeof s.v_more == sizeof h->v, "all of them");
	snprintf(name, sizeof name, "process/thread/%u", i);
	save_out_fields(g->o, name, saved_thread_fields, &s);
}

/* The first thread first: it has the number of the process. */
static unsigned threads_gather(struct gather *g)
{
	unsigned n = 0;
	for (int first = 1; first >= 0; first--)
		for (const struct task *t = g->t->p->tasks; t; t = t->next)
			if ((t->tid == getpid()) == first)
				thread_gather(g, t, n++);
	return n;
}

/* ---- the process ---- */

static uint64_t link_add(struct gather *g, const char *path)
{
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof to - 1);
	to[n < 0 ? 0 : n] = 0;
	return text_add(g, to);
}

/* The group in the foreground of the terminal that it leads the session of; 0: there is none. */
static uint64_t foreground_look(void)
{
	autoclose int fd = getsid(0) == getpid()
				   ? open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC)
				   : -1;
	pid_t group = fd < 0 ? -1 : tcgetpgrp(fd);
	return group > 0 ? (uint64_t)group : 0;
}

static void process_gather(struct gather *g, uint64_t pages)
{
	struct proc *p = g->t->p;
	const struct linux_proc *l = &p->sys;
	unsigned mask = umask(0);
	umask(mask);
	struct saved_process s = {.vdso = p->vdso,
				  .trampoline = p->trampoline,
				  .stack_lo = p->stack_lo,
				  .stack_hi = p->stack_hi,
				  .brk_start = p->space.brk_start,
				  .brk = p->space.brk,
				  .top = p->space.top,
				  .arg_start = l->arg_start,
				  .arg_end = l->arg_end,
				  .env_start = l->env_start,
				  .env_end = l->env_end,
				  .auxv_len = l->auxv_len,
				  .pid = (uint64_t)getpid(),
				  .umask = mask,
				  .pages = pages,
				  .exe = text_add(g, p->exe),
				  .cwd = link_add(g, "/proc/self/cwd"),
				  .vlen = p->env.vlen,
				  .foreground = foreground_look(),
				  .threads = threads_gather(g)};
	_Static_assert(sizeof s.actions == sizeof p->actions, "struct action");
	_Static_assert(sizeof s.limits == sizeof l->limit, "struct rlimit");
	_Static_assert(sizeof s.timers == 3 * sizeof(struct itimerval), "struct itimerval");
	memcpy(s.actions, p->actions, sizeof s.actions);
	memcpy(s.auxv, p->auxv, sizeof s.auxv);
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		struct rlimit one = linux_limit(l, i);
		memcpy(&s.limits[2 * i], &one, sizeof one);
	}
	for (int i = 0; i < 3; i++)
		(void)!getitimer((__itimer_which_t)i, (struct itimerval *)(void *)&s.timers[4 * i]);
	save_out_fields(g->o, "process", saved_process_fields, &s);
}

static uint64_t pages_count(const struct gather *g)
{
	uint64_t n = 0;
	for (size_t i = 0; i < g->pages.n; i += PAGES_WORDS)
		n += g->pages.v[i + PAGES_COUNT];
	return n;
}

static int all_gather(struct gather *g, uint64_t *ret_pages, struct lodge_err *e)
{
	int r = program_check(g->t, e);
	if (r == 0)
		r = kin_gather(g, e);
	if (r == 0)
		r = others_gather(g, e);
	if (r == 0)
		r = maps_gather(g, e);
	if (r == 0)
		r = files_gather(g, e);
	if (r == 0)
		r = timers_gather(g, e);
	if (r == 0)
		r = pending_gather(g, e);
	if (r < 0)
		return r;
	words_add(&g->files, g->locks.v, g->locks.n);
	*ret_pages = pages_count(g);
	process_gather(g, *ret_pages);
	words_put(g, "process/kin", &g->kin);
	words_put(g, "process/maps", &g->maps);
	words_put(g, "process/files", &g->files);
	words_put(g, "process/watches", &g->watches);
	words_put(g, "process/sockets", &g->sockets);
	words_put(g, "process/inotify", &g->inotify);
	words_put(g, "process/timers", &g->timers);
	words_put(g, "process/signals", &g->waiting);
	struct words copy = g->pages; /* the memory is asked for later */
	copy.v = malloc(copy.n * 8 + 8);
	if (copy.v)
		memcpy(copy.v, g->pages.v, copy.n * 8);
	g->failed = g->failed || !copy.v;
	copy.n = copy.v ? copy.n : 0;
	words_put(g, "process/pages", &copy);
	uint8_t *p = save_out_section(g->o, "process/texts", g->ntexts);
	if (p)
		memcpy(p, g->texts, g->ntexts);
	return g->failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

/* ---- speaking ---- */

/* The sections as a file in memory, to be sent. */
static int state_file(struct save_out *o, struct lodge_err *e)
{
	const uint8_t *p;
	size_t len;
	int fd, r = save_out_bytes(o, &p, &len, e);
	if (r < 0)
		return r;
	fd = memfd_create("state", MFD_CLOEXEC);
	if (fd < 0 || !host_pwrite(fd, p, len, 0)) {
		r = err_sys(e, "a file for the state");
		auto_close(&fd);
		return r;
	}
	return fd;
}

static int state_answer(struct task *t, struct life_message *m)
{
	struct gather g = {.t = t, .own_fd = -1};
	uint64_t pages = 0;
	int r = save_out_new(&g.o, "process", &m->err), fd = -1;
	if (r == 0)
		r = all_gather(&g, &pages, &m->err);
	if (r == 0)
		r = fd = state_file(g.o, &m->err);
	save_out_free(g.o);
	free(g.texts);
	struct words *left[] = {&g.maps, &g.files, &g.watches, &g.sockets, &g.timers,
				&g.waiting, &g.locks, &g.kin, &g.others, &g.inotify};
	for (size_t i = 0; i < countof(left); i++)
		free(left[i]->v);
	free(t->p->pages.v);
	t->p->pages.v = take(g.pages.v);
	t->p->pages.n = g.pages.n;
	m->result = r < 0 ? r : 0;
	m->bytes = pages * PAGE;
	return fd;
}

/* Copy the pages that the last answer counted into the file @fd, from @at on. */
static int memory_answer(const struct proc *p, int fd, uint64_t at, struct lodge_err *e)
{
	for (size_t i = 0; i < p->pages.n; i += PAGES_WORDS) {
		const uint8_t *from = (const uint8_t *)(uintptr_t)p->pages.v[i + PAGES_AT];
		uint64_t len = p->pages.v[i + PAGES_COUNT] * PAGE;
		/* the guest may not be allowed to read it */
		bool hidden =
		    !(mem_host_prot(space_find(&p->space, (uint64_t)(uintptr_t)from)->prot) &
		      PROT_READ);
		if (hidden)
			(void)!mprotect((void *)(uintptr_t)from, len, PROT_READ);
		bool ok = host_pwrite(fd, from, len, at);
		if (hidden)
			(void)!mprotect((void *)(uintptr_t)from, len, PROT_NONE);
		if (!ok)
			return err_sys(e, "copying the memory of the program");
		at += len;
	}
	return 0;
}

void speak(struct task *t)
{
	struct pollfd f = {.fd = t->p->life_fd, .events = POLLIN};
	struct life_message m;
	int fd = -1;
	if (f.fd < 0 || t->p->kept->asked != getpid() || poll(&f, 1, 0) != 1 ||
	    !kept_receive(f.fd, &m, sizeof m, &fd))
		return;
	memset(&m.err, 0, sizeof m.err);
	int answer = -1;
	if (m.what == LIFE_STATE)
		answer = state_answer(t, &m);
	else
		m.result = memory_answer(t->p, fd, m.at, &m.err);
	(void)!host_packet_send(t->p->life_fd, &m, sizeof m, answer);
	auto_close(&answer);
	auto_close(&fd);
}
