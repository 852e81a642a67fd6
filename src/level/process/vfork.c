/* SPDX-License-Identifier: Apache-2.0 */
/* vfork: Linux lends the child its parent's memory; here the child has a copy. What programs count
 * on is that a child can say why it failed, as that of posix_spawn does: a call fails, it writes
 * the error to its parent's memory and exits. So that stretch, from a call that failed to the exit
 * that is its next call, is run by the parent as well, once the child is gone: with the child's
 * registers and stack, in the parent's memory. Signals wait meanwhile, and a fault ends it. Vector
 * registers are not carried: no system call keeps them. Linux 6.5 Documentation/riscv/vector.rst */
#include "level/process/internal.h"

enum { REPORT_STACK = 16 << 10, ERRNO_MAX = 4095 };
struct registers {
	uint64_t x[32], f[32], pc;
	struct fp_env fp;
	uint32_t frm;
};
struct report {                 /* shared by parent and child */
	struct registers at;    /* behind the child's last call, if that failed */
	bool failed, ended;     /* ended: exit was the next call */
	uint64_t stack_end;     /* the child's stack lies below */
	uint64_t len;           /* of it what is kept: from sp on */
	uint8_t stack[REPORT_STACK];
};

static void registers_get(const struct rv_hart *h, struct registers *r)
{
	memcpy(r->x, h->x, sizeof r->x);
	memcpy(r->f, h->f, sizeof r->f);
	r->pc = h->npc;
	r->fp = h->fp;
	r->frm = h->frm;
}

static void registers_put(struct rv_hart *h, const struct registers *r)
{
	memcpy(h->x, r->x, sizeof r->x);
	memcpy(h->f, r->f, sizeof r->f);
	h->npc = r->pc;
	h->fp = r->fp;
	h->frm = r->frm;
	h->res_va = UINT64_MAX;
}

struct report *report_new(const struct task *t, const struct clone *c)
{
	void *at = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	struct report *r = at;
	r->stack_end = c->stack ? c->stack : t->h->x[2];
	return r;
}

void report_drop(struct report *r)
{
	if (r)
		munmap(r, sizeof *r);
}

void report_call(struct task *t, int64_t result)
{
	struct report *r = t->report;
	uint64_t sp = t->h->x[2];
	r->failed = result < 0 && result >= -ERRNO_MAX;
	if (!r->failed)
		return;
	registers_get(t->h, &r->at);
	r->len = sp < r->stack_end ? min_u64(r->stack_end - sp, REPORT_STACK) : 0;
	if (linux_read(&t->p->sys, r->stack, sp, r->len))
		r->failed = false;
}

void report_exit(struct task *t)
{
	if (t->report)
		t->report->ended = t->report->failed;
}

int64_t report_take(struct task *t, const struct report *r, int64_t pid)
{
	struct registers *back = r && r->ended ? malloc(sizeof *back) : NULL;
	if (!back)
		return pid;
	if (linux_write(&t->p->sys, r->at.x[2], r->stack, r->len)) {
		free(back);
		return pid;
	}
	registers_get(t->h, back);
	back->x[10] = (uint64_t)pid;
	t->back = back;
	registers_put(t->h, &r->at);
	return (int64_t)r->at.x[10];
}

void report_done(struct task *t)
{
	registers_put(t->h, t->back);
	free(take(t->back));
}
