/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the guest are threads of the host, on stacks in the guest's memory; gs is theirs, fs
 * is ours. */
#include "win/internal.h"
#include <asm/prctl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { STACK_LEAST = 256 << 10, STACK_USUAL = 1 << 20 };
static const uint64_t STACK_MOST = UINT64_C(1) << 30;
enum { CREATE_SUSPENDED = 4, STACK_SIZE_IS_RESERVATION = 0x10000 };

static _Thread_local struct thread *self;
struct thread *thread_self(void) { return self; }

static WIN_STATE struct {
	pthread_mutex_t lock;
	struct thread *all;   /* that run */
	struct thread *ended; /* whose stacks wait until they have left them */
	unsigned n;
} threads = {.lock = PTHREAD_MUTEX_INITIALIZER};
void threads_lock(void) { pthread_mutex_lock(&threads.lock); }
void threads_unlock(void) { pthread_mutex_unlock(&threads.lock); }
struct thread *threads_first(void) { return threads.all; }

struct thread_object {
	struct object o;
	struct thread *t; /* NULL: it has ended; under threads.lock */
	uint32_t tid, exit_code, access_denied;
	int priority;
	uint64_t created, ended;
	struct object *process; /* another; owned reference */
	wide *description;      /* owned; under threads.lock */
};

uint32_t guest_call4(uint64_t fn, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	WINAPI uint32_t (*f)(uint64_t, uint64_t, uint64_t, uint64_t) =
	    (WINAPI uint32_t(*)(uint64_t, uint64_t, uint64_t, uint64_t))(uintptr_t)fn;
	return f(a, b, c, d);
}

/* ---- in and out of a stack ---- */

/* Call @fn(@arg) on the stack that ends at @top (0: this one). thread_leave(*@ret_leave) comes back
 * from there as if it had returned. */
void thread_enter(void (*fn)(void *), void *arg, uint64_t top, uint64_t *ret_leave);
_Noreturn void thread_leave(uint64_t leave);
__asm__(".text\n.hidden thread_enter\n.globl thread_enter\nthread_enter:\n"
	"	push %rbp\n	push %rbx\n	push %r12\n	push %r13\n	push %r14\n"
	"	push %r15\n"
	"	mov %rsp, (%rcx)\n"
	"	mov %rsp, %rbx\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	test %rdx, %rdx\n"
	"	cmovnz %rdx, %rsp\n"
	"	and $-16, %rsp\n"
	"	xor %ebp, %ebp\n"
	"	call *%rax\n"
	"	mov %rbx, %rdi\n"
	".hidden thread_leave\n.globl thread_leave\nthread_leave:\n"
	"	mov %rdi, %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n");

/* ---- making ---- */

static void teb_fill(struct thread *t)
{
	uint8_t *teb = t->teb;
	le64_put(teb, UINT64_MAX);
	le64_put(teb + TEB_STACK_BASE, t->stack_hi);
	le64_put(teb + TEB_STACK_LIMIT, t->stack_lo + STACK_BOTTOM);
	le64_put(teb + TEB_STACK_ALLOCATION, t->stack_lo);
	le64_put(teb + TEB_FIBER, 0x1e00);
	le64_put(teb + TEB_SELF, (uint64_t)(uintptr_t)teb);
	le64_put(teb + TEB_PID, process()->pid);
	le64_put(teb + TEB_TID, t->tid);
	le64_put(teb + TEB_PEB, (uint64_t)(uintptr_t)process()->peb);
}

int stack_new(uint64_t *ret_lo, uint64_t *ret_hi, uint64_t size)
{
	size = size < STACK_LEAST ? STACK_LEAST : size > STACK_MOST ? STACK_MOST : size;
	size = align_up(size, GRANULE);
	int r = space_reserve(ret_lo, 0, size, PAGE_READWRITE, REGION_PRIVATE);
	if (r < 0)
		return r;
	r = space_commit(*ret_lo + STACK_BOTTOM, size - STACK_BOTTOM, PAGE_READWRITE);
	if (r < 0) {
		(void)!space_release(*ret_lo);
		*ret_lo = 0;
		return r;
	}
	*ret_hi = *ret_lo + size;
	return 0;
}

static void thread_object_fini(struct object *o)
{
	struct thread_object *t = (struct thread_object *)(void *)o;
	object_unref(t->process);
	free(t->description);
}

/* The thread's own stack, which it runs on unless it becomes a fiber. */
static int thread_stack_new(struct thread *t, uint64_t size)
{
	int r = stack_new(&t->home_lo, &t->home_hi, size);
	t->stack_lo = t->home_lo;
	t->stack_hi = t->home_hi;
	return r;
}

static bool teb_new(struct thread *t)
{
	uint64_t at;
	if (space_reserve(&at, 0, TEB_SIZE, PAGE_READWRITE, REGION_PRIVATE) < 0)
		return false;
	t->teb = (uint8_t *)(uintptr_t)at;
	if (space_commit(at, TEB_SIZE, PAGE_READWRITE) == 0)
		return true;
	(void)!space_release(at);
	return false;
}

static struct thread *thread_new(void)
{
	struct thread *t = calloc(1, sizeof *t);
	struct thread_object *o = t ? object_new(KIND_THREAD, sizeof *o) : NULL;
	if (!o || !teb_new(t)) {
		free(o);
		free(t);
		return NULL;
	}
	o->o.manual = true;
	o->o.fini = thread_object_fini;
	o->t = t;
	o->exit_code = STILL_ACTIVE;
	t->object = &o->o;
	t->fls = t->own_fls;
	return t;
}

static void thread_free(struct thread *t)
{
	if (t->home_lo)
		(void)!space_release(t->home_lo);
	(void)!space_release((uint64_t)(uintptr_t)t->teb);
	object_unref(t->object);
	free(t);
}

/* Threads that have left their stacks are freed. */
static void ended_free(void)
{
	threads_lock();
	for (struct thread **p = &threads.ended; *p;) {
		struct thread *t = *p;
		/* who has made it may not have seen yet that it began */
		if (atomic_load(&t->begun) < 2 || pthread_tryjoin_np(t->pthread, NULL) != 0) {
			p = &t->next;
			continue;
		}
		*p = t->next;
		thread_free(t);
	}
	threads_unlock();
}

/* What the thread itself has to do first. */
static int thread_begin(struct thread *t)
{
	self = t;
	t->tid = (uint32_t)gettid();
	((struct thread_object *)(void *)t->object)->tid = t->tid;
	((struct thread_object *)(void *)t->object)->created = filetime_now();
	t->pthread = pthread_self();
	teb_fill(t);
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, t->teb) < 0)
		return -errno;
	threads_lock();
	t->next = threads.all;
	threads.all = t;
	threads.n++;
	threads_unlock();
	return exceptions_thread(t);
}

int thread_first(struct lodge_err *e)
{
	struct thread *t = thread_new();
	process()->peb = space_new(2 * PEB_SIZE, PAGE_READWRITE);
	int r = t ? thread_begin(t) : -ENOMEM;
	return r < 0 ? err_set(e, -r, "the first thread: %s", strerror(-r)) : 0;
}

int thread_main_run(void (*fn)(void *), struct lodge_err *e)
{
	struct thread *t = self;
	uint64_t size = process()->main->pe.stack_reserve;
	int r = thread_stack_new(t, size ? size : STACK_USUAL);
	threads_lock();
	if (r == 0)
		r = modules_tls_begin(t);
	threads_unlock();
	if (r < 0)
		return err_set(e, -r, "a stack of %llu bytes", (unsigned long long)size);
	teb_fill(t);
	le64_put(t->teb + TEB_TLS_BLOCKS, (uint64_t)(uintptr_t)t->tls_blocks);
	thread_enter(fn, NULL, t->stack_hi - 64, &t->leave);
	for (;;) /* others go on */
		pause();
}

/* ---- ending ---- */

static void thread_gone(struct thread *t, uint32_t code)
{
	struct thread_object *o = (struct thread_object *)(void *)t->object;
	mutexes_abandon(t);
	threads_lock();
	for (struct thread **p = &threads.all; *p; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			break;
		}
	o->t = NULL;
	o->exit_code = code;
	o->ended = filetime_now();
	threads_unlock();
	calls_drop(t);
	wait_signal(&o->o, 1);
}

_Noreturn void thread_exit(uint32_t code)
{
	struct thread *t = self;
	threads_lock();
	bool last = threads.n == 1;
	if (!last)
		threads.n--;
	threads_unlock();
	if (last)
		process_exit(code);
	fls_end(t->fls);
	if (!process()->exiting)
		modules_tell(TELL_THREAD_DETACH);
	crt_thread_end(t);
	thread_gone(t, code);
	modules_tls_end(t); /* nobody gives it more */
	thread_leave(t->leave);
}

static void thread_call(void *arg)
{
	struct thread *t = arg;
	modules_tell(TELL_THREAD_ATTACH);
	thread_exit(guest_call4(t->start, t->argument, 0, 0, 0));
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	int r = thread_begin(t);
	threads_lock();
	if (r == 0)
		r = modules_tls_begin(t);
	threads_unlock();
	if (r < 0)
		process_die(LODGE_EXIT_LODGE, "a thread cannot begin");
	atomic_store(&t->begun, 1); /* thread_create may go on */
	futex_wake(&t->begun, 1);
	suspended_wait(t);
	thread_enter(thread_call, t, 0, &t->leave);
	fiber_thread_end(t);
	exceptions_thread_end(t);
	suspend_thread_end(t);
	if (t->io_wake)
		close(t->io_wake);
	threads_lock();
	t->next = threads.ended;
	threads.ended = t;
	threads_unlock();
	return NULL;
}

static uint32_t thread_create(struct thread *t, uint64_t size)
{
	pthread_attr_t a;
	if (thread_stack_new(t, size) < 0)
		return ERROR_NOT_ENOUGH_MEMORY;
	pthread_attr_init(&a);
	pthread_attr_setstack(&a, (void *)(uintptr_t)(t->stack_lo + STACK_BOTTOM),
			      t->stack_hi - t->stack_lo - STACK_BOTTOM);
	pthread_t p;
	int r = pthread_create(&p, &a, thread_main, t);
	pthread_attr_destroy(&a);
	if (r)
		return ERROR_NOT_ENOUGH_MEMORY;
	while (!atomic_load(&t->begun))
		futex_wait(&t->begun, 0, NEVER);
	atomic_store(&t->begun, 2);
	return 0;
}

handle thread_make(uint64_t size, uint64_t start, uint64_t argument, uint32_t flags,
		   uint32_t *ret_tid)
{
	uint64_t usual = process()->main->pe.stack_reserve;
	ended_free();
	struct thread *t = thread_new();
	if (!t)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	if (!(flags & STACK_SIZE_IS_RESERVATION) && size < usual)
		size = usual; /* it was what to commit */
	t->start = start;
	t->argument = argument;
	t->suspends = flags & CREATE_SUSPENDED ? 1 : 0;
	struct thread_object *o = (struct thread_object *)(void *)t->object;
	object_ref(&o->o);
	handle h = object_handle(&o->o, false); /* first: a thread is not called back */
	uint32_t bad = h ? thread_create(t, size ? size : STACK_USUAL) : last_error();
	if (bad) {
		if (h)
			object_close(h);
		thread_free(t);
		return fail(bad);
	}
	if (ret_tid)
		*ret_tid = o->tid;
	return h;
}

API(handle, k32_CreateThread, void *security, uint64_t size, uint64_t start, uint64_t argument,
    uint32_t flags, uint32_t *ret_tid)
{
	(void)security;
	return thread_make(size, start, argument, flags, ret_tid);
}

/* Of this process; others are not reached into. */
API(handle, k32_CreateRemoteThread, handle where, void *security, uint64_t size, uint64_t start,
    uint64_t argument, uint32_t flags, uint32_t *ret_tid)
{
	struct object *p = object_get(where, KIND_PROCESS);
	bool mine = p == process_object();
	object_unref(p);
	(void)security;
	if (!p || !mine)
		return p ? fail(ERROR_ACCESS_DENIED) : 0;
	return thread_make(size, start, argument, flags, ret_tid);
}

API(void, k32_ExitThread, uint32_t code) { thread_exit(code); }
API(void, k32_FreeLibraryAndExitThread, uint64_t module, uint32_t code)
{
	struct module *m = module_of_handle(module);
	if (m && module)
		module_unload(m);
	thread_exit(code);
}
API(uint32_t, k32_GetCurrentThreadId, void) { return self->tid; }
API(handle, k32_GetCurrentThread, void) { return UINT64_MAX - 1; }

struct thread *thread_of_object(struct object *o) { return ((struct thread_object *)(void *)o)->t; }

struct object *thread_foreign(struct object *of)
{
	struct thread_object *o = object_new(KIND_THREAD, sizeof *o);
	if (!o)
		return NULL;
	object_ref(of);
	o->o.fini = thread_object_fini;
	o->o.manual = true;
	o->process = of;
	o->exit_code = STILL_ACTIVE;
	return &o->o;
}

void thread_foreign_tid(struct object *thread, uint32_t tid)
{
	((struct thread_object *)(void *)thread)->tid = tid;
}

void thread_foreign_end(struct object *thread, uint32_t code)
{
	((struct thread_object *)(void *)thread)->exit_code = code;
	thread->count = 1;
}

struct object *thread_process(struct object *thread)
{
	return ((struct thread_object *)(void *)thread)->process;
}

API(uint32_t, k32_GetThreadId, handle h)
{
	struct thread_object *o = object_get(h, KIND_THREAD);
	uint32_t tid = o ? o->tid : 0;
	object_unref(o ? &o->o : NULL);
	return tid;
}

API(uint32_t, k32_GetExitCodeThread, handle h, uint32_t *ret)
{
	struct thread_object *o = object_get(h, KIND_THREAD);
	if (!o)
		return 0;
	threads_lock();
	*ret = o->exit_code;
	threads_unlock();
	object_unref(&o->o);
	return 1;
}

API(handle, k32_OpenThread, uint32_t access, uint32_t inherit, uint32_t tid)
{
	struct object *o = NULL;
	(void)access;
	threads_lock();
	for (struct thread *t = threads.all; t; t = t->next)
		if (t->tid == tid) {
			o = t->object;
			object_ref(o);
		}
	threads_unlock();
	return o ? object_handle(o, inherit != 0) : fail(ERROR_INVALID_PARAMETER);
}

/* Kept, and said again; what the host does with its threads stays as it is. */
API(uint32_t, k32_SetThreadPriority, handle h, int priority)
{
	struct thread_object *o = object_get(h, KIND_THREAD);
	if (!o)
		return 0;
	o->priority = priority;
	object_unref(&o->o);
	return 1;
}

API(int, k32_GetThreadPriority, handle h)
{
	struct thread_object *o = object_get(h, KIND_THREAD);
	int p = o ? o->priority : 0x7fffffff;
	object_unref(o ? &o->o : NULL);
	return p;
}

API(uint32_t, k32_GetThreadTimes, handle h, uint64_t *created, uint64_t *ended, uint64_t *kernel,
    uint64_t *user)
{
	struct thread_object *o = object_get(h, KIND_THREAD);
	struct rusage u = {0};
	if (!o)
		return 0;
	if (o->t == self)
		getrusage(RUSAGE_THREAD, &u);
	*created = o->created;
	*ended = o->ended;
	*kernel = (uint64_t)u.ru_stime.tv_sec * 10000000 + (uint64_t)u.ru_stime.tv_usec * 10;
	*user = (uint64_t)u.ru_utime.tv_sec * 10000000 + (uint64_t)u.ru_utime.tv_usec * 10;
	object_unref(&o->o);
	return 1;
}

API(uint32_t, k32_SwitchToThread, void)
{
	sched_yield();
	return 1;
}

#define E_FAILED_HANDLE     0x80070006u /* HRESULTs */
#define E_FAILED_NO_MEMORY  0x8007000eu

API(uint32_t, k32_SetThreadDescription, handle h, const wide *name)
{
	struct thread_object *o = object_get(h, KIND_THREAD);
	size_t n = wide_len(name) + 1;
	wide *copy = o ? malloc(n * sizeof *copy) : NULL;
	if (copy) {
		memcpy(copy, name, n * sizeof *copy);
		threads_lock();
		free(o->description);
		o->description = copy;
		threads_unlock();
	}
	object_unref(o ? &o->o : NULL);
	return copy ? 0 : o ? E_FAILED_NO_MEMORY : E_FAILED_HANDLE;
}

/* The copy is the caller's, who frees it by LocalFree. */
API(uint32_t, k32_GetThreadDescription, handle h, wide **ret)
{
	struct thread_object *o = object_get(h, KIND_THREAD);
	if (!o)
		return E_FAILED_HANDLE;
	threads_lock();
	size_t n = o->description ? wide_len(o->description) : 0;
	wide *copy = heap_alloc((n + 1) * sizeof *copy, true);
	if (copy && n)
		memcpy(copy, o->description, n * sizeof *copy);
	threads_unlock();
	object_unref(&o->o);
	*ret = copy;
	return copy ? 0 : E_FAILED_NO_MEMORY;
}

API(uint32_t, k32_SetThreadStackGuarantee, uint32_t *size)
{
	uint32_t old = le32_at(self->teb + TEB_GUARANTEE);
	if (*size)
		le32_put(self->teb + TEB_GUARANTEE, *size);
	*size = old;
	return 1;
}

API(void, k32_GetCurrentThreadStackLimits, uint64_t *lo, uint64_t *hi)
{
	*lo = self->stack_lo;
	*hi = self->stack_hi;
}

API(uint32_t, k32_TerminateThread, handle h, uint32_t code)
{
	struct thread_object *o = object_get(h, KIND_THREAD);
	if (!o)
		return 0;
	bool me = o->t == self;
	object_unref(&o->o);
	if (me)
		thread_exit(code);
	/* locks of ours may be in its hands: only the whole process can be ended from outside */
	return fail(ERROR_NOT_SUPPORTED);
}

API(uint64_t, k32_SetThreadAffinityMask, handle h, uint64_t mask)
{
	(void)h;
	return mask;
}
