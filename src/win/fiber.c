/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers: stacks that a thread of the guest changes between by itself. What belongs to one: its
 * values of FLS, its exceptions that are being dispatched, and what the TEB says of the stack. A
 * fiber may go on in another thread than the one it has run in before. */
#include "win/internal.h"

struct fiber {
	uint64_t data; /* first: GetFiberData reads it, by the TEB's pointer */
	uint64_t stack_lo, stack_hi;
	bool own; /* the stack was made for it, and goes with it */
	uint64_t start;
	bool runs;
	uint64_t rsp; /* of one that does not: what fiber_jump left there */
	uint64_t fls[FLS_SLOTS];
	void *dispatching, *catching;
	uint32_t guarantee;
	struct fiber *next;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct fiber *all;
} fibers = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What a call keeps goes onto this stack, whose end goes to *@ret_rsp; then on with @rsp. */
void fiber_jump(uint64_t *ret_rsp, uint64_t rsp);
__asm__(".text\n.hidden fiber_jump\n.globl fiber_jump\nfiber_jump:\n"
	"	push %rbp\n	push %rbx\n	push %r12\n	push %r13\n	push %r14\n"
	"	push %r15\n"
	"	sub $8, %rsp\n	stmxcsr (%rsp)\n	fnstcw 4(%rsp)\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	ldmxcsr (%rsp)\n	fldcw 4(%rsp)\n	add $8, %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n");
enum { JUMP_SAVED = 7 * 8, MXCSR_FIRST = 0x1f80, CONTROL_FIRST = 0x27f };

/* The first of a fiber; its stack ends here. Who returns from it ends the thread. */
_Noreturn static void fiber_main(void)
{
	struct fiber *f = thread_self()->fiber;
	guest_call4(f->start, f->data, 0, 0, 0);
	thread_exit(1);
}

static void fiber_add(struct fiber *f)
{
	pthread_mutex_lock(&fibers.lock);
	f->next = fibers.all;
	fibers.all = f;
	pthread_mutex_unlock(&fibers.lock);
}

/* Under the lock: where in the list it is; NULL: it is none. */
static struct fiber **fiber_find(const struct fiber *f)
{
	for (struct fiber **p = &fibers.all; *p; p = &(*p)->next)
		if (*p == f)
			return p;
	return NULL;
}

/* It is the caller's to end, as if he ran it. False: another thread runs it, or it is none. */
static bool fiber_claim(struct fiber *f)
{
	pthread_mutex_lock(&fibers.lock);
	bool free = fiber_find(f) && !f->runs;
	if (free)
		f->runs = true;
	pthread_mutex_unlock(&fibers.lock);
	return free;
}

/* Out of the list. False: it was not there. */
static bool fiber_remove(const struct fiber *f)
{
	pthread_mutex_lock(&fibers.lock);
	struct fiber **p = fiber_find(f);
	if (p)
		*p = f->next;
	pthread_mutex_unlock(&fibers.lock);
	return p != NULL;
}

/* Another thread that is asked for its values may have been in it until now (value_take). */
static void fiber_free(struct fiber *f)
{
	if (f->own)
		(void)!space_release(f->stack_lo);
	threads_lock();
	free(f);
	threads_unlock();
}

/* ---- which one runs ---- */

static void fiber_save(struct thread *t, struct fiber *f)
{
	f->stack_lo = t->stack_lo;
	f->stack_hi = t->stack_hi;
	f->runs = false;
	f->dispatching = t->dispatching;
	f->catching = t->catching;
	f->guarantee = le32_at(t->teb + TEB_GUARANTEE);
}

static void fiber_load(struct thread *t, struct fiber *f)
{
	t->fiber = f;
	f->runs = true;
	t->stack_lo = f->stack_lo;
	t->stack_hi = f->stack_hi;
	t->fls = f->fls;
	t->dispatching = f->dispatching;
	t->catching = f->catching;
	le64_put(t->teb + TEB_STACK_BASE, f->stack_hi);
	le64_put(t->teb + TEB_STACK_LIMIT, f->stack_lo + STACK_BOTTOM);
	le64_put(t->teb + TEB_STACK_ALLOCATION, f->stack_lo);
	le32_put(t->teb + TEB_GUARANTEE, f->guarantee);
	le64_put(t->teb + TEB_FIBER, (uint64_t)(uintptr_t)f);
}

void fiber_thread_end(struct thread *t)
{
	struct fiber *f = t->fiber;
	if (f && fiber_remove(f))
		fiber_free(f);
	if (t->left)
		fiber_free(t->left);
	t->left = NULL;
}

uint64_t fibers_take(uint32_t i)
{
	uint64_t v = 0;
	pthread_mutex_lock(&fibers.lock);
	for (struct fiber *f = fibers.all; f && !v; f = f->next)
		v = fls_take(f->fls + i);
	pthread_mutex_unlock(&fibers.lock);
	return v;
}

/* ---- functions ---- */

static void fls_move(struct thread *t, uint64_t *to)
{
	threads_lock();
	for (uint32_t i = 0; i < FLS_SLOTS; i++)
		to[i] = fls_take(t->fls + i);
	t->fls = to;
	threads_unlock();
}

API(uint64_t, k32_ConvertThreadToFiberEx, uint64_t data, uint32_t flags)
{
	struct thread *t = thread_self();
	(void)flags; /* floating point is always changed, too */
	if (t->fiber)
		return fail(ERROR_ALREADY_FIBER);
	struct fiber *f = t->left ? t->left : calloc(1, sizeof *f);
	if (!f)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	t->left = NULL; /* it is one again, whose stack this is */
	f->data = data;
	fls_move(t, f->fls);
	f->runs = true;
	t->fiber = f;
	le64_put(t->teb + TEB_FIBER, (uint64_t)(uintptr_t)f);
	fiber_add(f);
	return (uint64_t)(uintptr_t)f;
}

API(uint64_t, k32_ConvertThreadToFiber, uint64_t data)
{
	return k32_ConvertThreadToFiberEx(data, 0);
}

API(uint32_t, k32_ConvertFiberToThread, void)
{
	struct thread *t = thread_self();
	struct fiber *f = t->fiber;
	if (!f)
		return fail(ERROR_ALREADY_THREAD);
	fls_move(t, t->own_fls);
	t->fiber = NULL;
	le64_put(t->teb + TEB_FIBER, 0);
	(void)fiber_remove(f);
	if (f->own)
		t->left = f; /* on whose stack the thread goes on, to its end */
	else
		fiber_free(f);
	return 1;
}

API(uint64_t, k32_CreateFiberEx, uint64_t commit, uint64_t reserve, uint32_t flags, uint64_t start,
    uint64_t data)
{
	uint64_t usual = process()->main->pe.stack_reserve;
	uint64_t size = reserve ? reserve : commit > usual ? commit : usual;
	(void)flags;
	struct fiber *f = calloc(1, sizeof *f);
	if (!f || stack_new(&f->stack_lo, &f->stack_hi, size) < 0) {
		free(f);
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	}
	f->own = true;
	f->start = start;
	f->data = data;
	uint8_t *top = (uint8_t *)(uintptr_t)(f->stack_hi - 64); /* and 8: as after a call */
	le64_put(top - 8, 0);
	le64_put(top - 16, (uint64_t)(uintptr_t)fiber_main);
	f->rsp = (uint64_t)(uintptr_t)top - 16 - JUMP_SAVED;
	uint8_t *saved = (uint8_t *)(uintptr_t)f->rsp;
	le32_put(saved, MXCSR_FIRST);
	le32_put(saved + 4, CONTROL_FIRST);
	fiber_add(f);
	return (uint64_t)(uintptr_t)f;
}

API(uint64_t, k32_CreateFiber, uint64_t size, uint64_t start, uint64_t data)
{
	return k32_CreateFiberEx(size, 0, 0, start, data);
}

/* The rest of it may be another thread's: nothing of the thread is looked at behind the jump. */
API(void, k32_SwitchToFiber, struct fiber *to)
{
	struct thread *t = thread_self();
	struct fiber *from = t->fiber;
	if (!from || from == to)
		return;
	fiber_save(t, from);
	fiber_load(t, to);
	fiber_jump(&from->rsp, to->rsp);
}

API(void, k32_DeleteFiber, struct fiber *f)
{
	if (!f)
		return;
	if (thread_self()->fiber == f)
		thread_exit(1);
	if (!fiber_claim(f)) /* another thread that runs it does this, when it ends */
		return;
	fls_end(f->fls); /* in the list still: FlsFree in another thread finds what is left */
	(void)fiber_remove(f);
	fiber_free(f);
}

API(uint32_t, k32_IsThreadAFiber, void) { return thread_self()->fiber != NULL; }
