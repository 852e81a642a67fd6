/* SPDX-License-Identifier: Apache-2.0 */
/* A program goes on from its state, in a process of its own number. Its threads are made standing
 * still, as they were. */
#include "level/process/saved.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

enum { THREADS_MAX = 1 << 16 };

int words_find(const struct restore *r, const char *name, size_t entry, const uint8_t **ret,
	       size_t *ret_n, struct lodge_err *e)
{
	size_t len = 0;
	*ret = save_in_find(r->in, name, &len);
	*ret_n = *ret ? len / (8 * entry) : 0;
	if (len % (8 * entry))
		return err_set(e, EINVAL, "the state's section %s is of %zu bytes", name, len);
	return 0;
}

const char *text_find(const struct restore *r, uint64_t at)
{
	size_t len = 0;
	const uint8_t *p = save_in_find(r->in, "process/texts", &len);
	return p && at < len && memchr(p + at, 0, len - at) ? (const char *)p + at : NULL;
}

int saved_load(const struct save_in *in, struct saved_process *ret, struct lodge_err *e)
{
	memset(ret, 0, sizeof *ret);
	ret->vlen = 128; /* where the state is older than others */
	int r = save_in_fields(in, "process", saved_process_fields, ret, e);
	if (r == 0 &&
	    (!ret->threads || ret->threads > THREADS_MAX || ret->pid < 2 || ret->pid > INT32_MAX ||
	     ret->pages > USER_END / PAGE || ret->auxv_len > sizeof ret->auxv))
		r = err_set(e, EINVAL, "the state is of no program that can be");
	return r;
}

/* ---- the process ---- */

static void itimers_restore(const struct saved_process *s)
{
	for (int i = 0; i < 3; i++) {
		struct itimerval v;
		memcpy(&v, &s->timers[4 * i], sizeof v);
		if (v.it_value.tv_sec || v.it_value.tv_usec)
			(void)!setitimer((__itimer_which_t)i, &v, NULL);
	}
}

static int process_restore(struct restore *r, struct lodge_err *e)
{
	struct proc *p = r->proc;
	const struct saved_process *s = &r->p;
	const char *exe = text_find(r, s->exe), *cwd = text_find(r, s->cwd);
	p->vdso = s->vdso;
	p->trampoline = s->trampoline;
	p->stack_lo = s->stack_lo;
	p->stack_hi = s->stack_hi;
	p->space.brk_start = s->brk_start;
	p->space.brk = s->brk;
	p->space.top = s->top;
	p->sys.arg_start = s->arg_start;
	p->sys.arg_end = s->arg_end;
	p->sys.env_start = s->env_start;
	p->sys.env_end = s->env_end;
	memcpy(p->auxv, s->auxv, sizeof p->auxv);
	p->sys.auxv = p->auxv;
	p->sys.auxv_len = s->auxv_len;
	if (!exe || !cwd)
		return err_set(e, EINVAL, "the state does not say which program it is of");
	p->sys.exe = p->exe = strdup(exe);
	if (chdir(cwd) < 0)
		return err_sys(e, "the program is in the folder %s", cwd);
	umask((mode_t)s->umask & 0777);
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		struct rlimit l;
		memcpy(&l, &s->limits[2 * i], sizeof l);
		linux_limit_put(&p->sys, i, &l);
	}
	signals_restore(p, s->actions);
	return 0;
}

/* ---- threads ---- */

static int thread_load(const struct restore *r, unsigned i, struct saved_thread *ret,
		       struct lodge_err *e)
{
	char name[SAVE_NAME_MAX + 1];
	snprintf(name, sizeof name, "process/thread/%u", i);
	memset(ret, 0, sizeof *ret);
	int err = save_in_fields(r->in, name, saved_thread_fields, ret, e);
	if (err == 0 && (ret->kept > 64 || ret->pc >= USER_END || ret->pc & 1 || ret->x[0] ||
			 ret->tid > INT32_MAX || (i == 0) != (ret->tid == r->p.pid)))
		err = err_set(e, EINVAL, "the state has a thread that cannot be");
	return err;
}

static void registers_restore(struct rv_hart *h, const struct saved_thread *s)
{
	rv_process_reset(h, s->pc, 0);
	h->npc = s->pc;
	memcpy(h->x, s->x, sizeof s->x);
	memcpy(h->f, s->f, sizeof s->f);
	h->fp.flags = s->fcsr & 31;
	h->frm = s->fcsr >> 5 & 7;
	memcpy(h->v, s->v, sizeof s->v);
	memcpy(h->v + sizeof s->v, s->v_more, sizeof s->v_more);
	rv_vector_restore(h, s->vs == 3, s->vl, s->vtype, s->vstart, s->vcsr);
}

void thread_restored(struct task *t, const struct saved_thread *s, const char *comm)
{
	t->mask = s->mask;
	t->clear_tid = s->clear_tid;
	t->alt = (struct alt){s->alt_sp, s->alt_size, (uint32_t)s->alt_flags};
	registers_restore(t->h, s);
	if (s->left_ns != UINT64_MAX) {
		t->sys.until_ns = host_monotonic_ns() + min_u64(s->left_ns, INT64_MAX / 2) + 1;
		t->until_pc = s->pc;
	}
	if (s->robust)
		syscall(SYS_set_robust_list, s->robust, s->robust_len);
	if (comm)
		(void)!prctl(PR_SET_NAME, comm);
	memcpy(&t->info, s->info, sizeof t->info);
	t->kept = (int)s->kept;
	signals_task_restored(t);
	pending_thread_put(t, s);
}

static int threads_restore(struct restore *r, struct task *first, struct lodge_err *e)
{
	struct saved_thread *s = malloc(sizeof *s);
	if (!s)
		return err_set(e, ENOMEM, "out of memory");
	int err = 0;
	for (unsigned i = 1; err == 0 && i < r->p.threads; i++) {
		err = thread_load(r, i, s, e);
		if (err == 0 && !init_next_pid((int)s->tid))
			err = err_sys(e, "a thread of the number %d", (int)s->tid);
		if (err == 0)
			err = thread_go_on(r->proc, s, text_find(r, s->comm), e);
	}
	if (err == 0)
		err = thread_load(r, 0, s, e);
	if (err == 0)
		thread_restored(first, s, text_find(r, s->comm));
	free(s);
	return err;
}

int restore_tid(const struct restore *r, unsigned i)
{
	static struct saved_thread s;
	return thread_load(r, i, &s, NULL) < 0 ? 0 : (int)s.tid;
}

int restore_run(struct restore *r, struct task *first, struct lodge_err *e)
{
	r->proc = first->p;
	int err = saved_load(r->in, &r->p, e);
	if (err == 0 && (int)r->p.pid != getpid())
		err = err_set(e, EBUSY, "the program's number %d could not be had", (int)r->p.pid);
	if (err == 0 && r->p.vlen != r->proc->env.vlen)
		err = err_set(e, EINVAL,
		              "the program has vector registers of %llu bits (-o vlen), here they "
		              "have %u", (unsigned long long)r->p.vlen, r->proc->env.vlen);
	if (err == 0 && (r->ram_at > r->ram_pages || r->p.pages > r->ram_pages - r->ram_at))
		err = err_set(e, EINVAL, "the state has less memory than it says");
	if (err == 0)
		err = maps_restore(r, e);
	r->proc->env.alone = r->p.threads == 1 && !r->proc->shares;
	if (err == 0)
		err = process_restore(r, e);
	if (err == 0)
		err = files_restore(r, e);
	if (err == 0)
		err = inotify_paths(r, e);
	if (err == 0)
		err = threads_restore(r, first, e);
	if (err == 0)
		err = pending_restore(r, first, e);
	if (err == 0)
		err = timers_restore(r, e);
	if (err == 0)
		itimers_restore(&r->p);
	return err;
}
