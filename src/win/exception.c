/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions: signals of the host and RaiseException become an EXCEPTION_RECORD and a CONTEXT,
 * which the vectored handlers, then the frames of the guest, then its last filter are shown. */
#include "win/unwind.h"
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

enum {
	ALT_STACK = 64 << 10,
	RED_ZONE = 128,
	VECTORED_MAX = 64,
	FRAMES_MAX = 100000,
	CONTINUE_EXECUTION = -1
};
struct pointers {
	struct win_exception *x;
	struct win_context *c;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct {
		uint64_t fn, id;
	} handlers[VECTORED_MAX], continuers[VECTORED_MAX];
	size_t nhandlers, ncontinuers;
	uint64_t ids;
	_Atomic(uint64_t) last_filter;
} vectored = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- contexts ---- */

/* context_run(rdi): all registers, and on. iretq, for there may be something below its rsp. */
__asm__(".text\n.hidden context_run\n.globl context_run\ncontext_run:\n"
	"	cld\n"
	"	and $-16, %rsp\n"
	"	testl $8, 0x30(%rdi)\n"
	"	jz 1f\n"
	"	fxrstor 0x100(%rdi)\n"
	"1:	mov %ss, %eax\n	push %rax\n"
	"	pushq 0x98(%rdi)\n"
	"	mov 0x44(%rdi), %eax\n"
	"	and $0xcd5, %eax\n	or $0x202, %eax\n	push %rax\n"
	"	mov %cs, %eax\n	push %rax\n"
	"	pushq 0xf8(%rdi)\n"
	"	mov 0x78(%rdi), %rax\n	mov 0x80(%rdi), %rcx\n	mov 0x88(%rdi), %rdx\n"
	"	mov 0x90(%rdi), %rbx\n	mov 0xa0(%rdi), %rbp\n	mov 0xa8(%rdi), %rsi\n"
	"	mov 0xb8(%rdi), %r8\n	mov 0xc0(%rdi), %r9\n	mov 0xc8(%rdi), %r10\n"
	"	mov 0xd0(%rdi), %r11\n	mov 0xd8(%rdi), %r12\n	mov 0xe0(%rdi), %r13\n"
	"	mov 0xe8(%rdi), %r14\n	mov 0xf0(%rdi), %r15\n	mov 0xb0(%rdi), %rdi\n"
	"	iretq\n");

/* Save to the CONTEXT at r11, whose rsp and rip are those of the caller of where we are: r10 points
 * to the return address. r10 and r11 are saved as they are here: they are scratch. */
#define CONTEXT_SAVE \
	"	mov %rax, 0x78(%r11)\n	mov %rcx, 0x80(%r11)\n	mov %rdx, 0x88(%r11)\n" \
	"	mov %rbx, 0x90(%r11)\n	mov %rbp, 0xa0(%r11)\n	mov %rsi, 0xa8(%r11)\n" \
	"	mov %rdi, 0xb0(%r11)\n	mov %r8, 0xb8(%r11)\n	mov %r9, 0xc0(%r11)\n" \
	"	mov %r10, 0xc8(%r11)\n	mov %r11, 0xd0(%r11)\n	mov %r12, 0xd8(%r11)\n" \
	"	mov %r13, 0xe0(%r11)\n	mov %r14, 0xe8(%r11)\n	mov %r15, 0xf0(%r11)\n" \
	"	mov (%r10), %rax\n	mov %rax, 0xf8(%r11)\n" \
	"	lea 8(%r10), %rax\n	mov %rax, 0x98(%r11)\n" \
	"	pushfq\n	pop %rax\n	mov %eax, 0x44(%r11)\n" \
	"	mov %cs, 0x38(%r11)\n	mov %ds, 0x3a(%r11)\n	mov %es, 0x3c(%r11)\n" \
	"	mov %fs, 0x3e(%r11)\n	mov %gs, 0x40(%r11)\n	mov %ss, 0x42(%r11)\n" \
	"	movl $0x10000f, 0x30(%r11)\n	stmxcsr 0x34(%r11)\n" \
	"	fxsave 0x100(%r11)\n"

/* ms_abi: rcx is the CONTEXT. */
__asm__(".text\n.hidden nt_RtlCaptureContext\n.globl nt_RtlCaptureContext\nnt_RtlCaptureContext:\n"
	"	mov %rsp, %r10\n"
	"	mov %rcx, %r11\n" CONTEXT_SAVE "	mov 0x78(%r11), %rax\n"
	"	ret\n");
/* RaiseException(ecx code, edx flags, r8d n, r9 arguments) */
__asm__(".text\n.hidden k32_RaiseException\n.globl k32_RaiseException\nk32_RaiseException:\n"
	"	mov %rsp, %r10\n"
	"	sub $0x600, %rsp\n"
	"	and $-64, %rsp\n"
	"	lea 64(%rsp), %r11\n" CONTEXT_SAVE "	mov %r11, %rdi\n"
	"	mov %ecx, %esi\n"
	"	mov %r8d, %ecx\n"
	"	mov %r9, %r8\n"
	"	call exception_from\n");
/* RtlRaiseException(rcx record) */
__asm__(".text\n.hidden nt_RtlRaiseException\n.globl nt_RtlRaiseException\nnt_RtlRaiseException:\n"
	"	mov %rsp, %r10\n"
	"	sub $0x600, %rsp\n"
	"	and $-64, %rsp\n"
	"	lea 64(%rsp), %r11\n" CONTEXT_SAVE "	mov %r11, %rsi\n"
	"	mov %rcx, %rdi\n"
	"	call exception_again\n");
/* RtlUnwindEx(rcx frame, rdx ip, r8 record, r9 value, context, history) */
__asm__(".text\n.hidden nt_RtlUnwindEx\n.globl nt_RtlUnwindEx\nnt_RtlUnwindEx:\n"
	"	mov %rsp, %r10\n"
	"	sub $0x600, %rsp\n"
	"	and $-64, %rsp\n"
	"	lea 64(%rsp), %r11\n" CONTEXT_SAVE "	mov %r11, %rdi\n"
	"	mov %rcx, %rsi\n"
	"	mov %r8, %rcx\n"
	"	mov %r9, %r8\n"
	"	call unwind_from\n");

/* _CxxThrowException(rcx object, rdx its ThrowInfo) */
__asm__(".text\n.hidden crt__CxxThrowException\n.globl crt__CxxThrowException\n"
	"crt__CxxThrowException:\n"
	"	mov %rsp, %r10\n"
	"	sub $0x600, %rsp\n"
	"	and $-64, %rsp\n"
	"	lea 64(%rsp), %r11\n" CONTEXT_SAVE "	mov %r11, %rdi\n"
	"	mov %rcx, %rsi\n"
	"	call cxx_throw\n");

void exception_from(struct win_context *c, uint32_t code, uint32_t flags, uint32_t n,
		    const uint64_t *args);
void exception_again(struct win_exception *x, struct win_context *c);
void unwind_from(struct win_context *c, uint64_t frame, uint64_t ip, struct win_exception *x,
		 uint64_t value);

__attribute__((used)) void exception_from(struct win_context *c, uint32_t code, uint32_t flags,
					  uint32_t n, const uint64_t *args)
{
	struct win_exception x = {
	    .code = code, .flags = flags & EXCEPTION_NONCONTINUABLE, .address = c->rip};
	x.nparameters = args ? n < 15 ? n : 15 : 0;
	for (uint32_t i = 0; i < x.nparameters; i++)
		x.parameters[i] = args[i];
	exception_raise(&x, c);
}

__attribute__((used)) void exception_again(struct win_exception *x, struct win_context *c)
{
	x->address = c->rip;
	exception_raise(x, c);
}

__attribute__((used)) void unwind_from(struct win_context *c, uint64_t frame, uint64_t ip,
				       struct win_exception *x, uint64_t value)
{
	struct unwind_target to = {frame, ip, value, x};
	unwind_to(c, &to);
}

API(void, nt_RtlRestoreContext, struct win_context *c, struct win_exception *x)
{
	if (x && x->code == STATUS_LONGJUMP && x->nparameters) { /* _JUMP_BUFFER */
		const uint64_t *j = (const uint64_t *)(uintptr_t)x->parameters[0];
		c->rbx = j[1];
		c->rsp = j[2];
		c->rbp = j[3];
		c->rsi = j[4];
		c->rdi = j[5];
		c->r12 = j[6];
		c->r13 = j[7];
		c->r14 = j[8];
		c->r15 = j[9];
		c->rip = j[10];
	}
	context_run(c);
}

API(uint32_t, nt_NtContinue, struct win_context *c, uint32_t alert)
{
	(void)alert;
	context_run(c);
}

/* ---- dispatching ---- */

static struct dispatching *innermost(void)
{
	struct thread *t = thread_self();
	struct dispatching *d = t->dispatching;
	uint64_t here = (uint64_t)(uintptr_t)&d;
	while (d && (uint64_t)(uintptr_t)d < here) /* a jump has left it behind */
		d = d->before;
	t->dispatching = d;
	return d;
}

bool dispatch_leave(struct win_context *c)
{
	struct dispatching *d = innermost();
	if (!d)
		return false;
	*c = *d->context;
	thread_self()->dispatching = d->before;
	return true;
}

_Noreturn void unwind_here(const struct unwind_target *to)
{
	struct win_context c;
	if (!dispatch_leave(&c))
		process_die(LODGE_EXIT_SIGNAL + 11, "unwinding without an exception");
	unwind_to(&c, to);
}

static bool list_ask(const uint64_t *fns, size_t n, struct pointers *p)
{
	for (size_t i = 0; i < n; i++)
		if ((int32_t)guest_call4(fns[i], (uint64_t)(uintptr_t)p, 0, 0, 0) ==
		    CONTINUE_EXECUTION)
			return true;
	return false;
}

static bool vectored_ask(struct win_exception *x, struct win_context *c, bool continuers)
{
	struct pointers p = {x, c};
	uint64_t fns[VECTORED_MAX];
	pthread_mutex_lock(&vectored.lock);
	size_t n = continuers ? vectored.ncontinuers : vectored.nhandlers;
	for (size_t i = 0; i < n; i++)
		fns[i] = continuers ? vectored.continuers[i].fn : vectored.handlers[i].fn;
	pthread_mutex_unlock(&vectored.lock);
	return list_ask(fns, n, &p);
}

/* The frames, from where it happened on. True: one has mended it. */
static bool frames_ask(struct win_exception *x, const struct win_context *at)
{
	struct win_context c = *at;
	struct thread *t = thread_self();
	const struct dispatching *link = t->dispatching;
	for (unsigned n = 0; n < FRAMES_MAX && c.rip; n++) {
		uint64_t base = 0, pc = c.rip;
		struct frame f;
		if (pc >=
		    WIN_GUEST_END) { /* code of ours: perhaps a dispatcher that had called it */
			if (!link || !(link = link->before) || n == 0)
				return false;
			c = *link->context;
			x->flags |= EXCEPTION_NESTED_CALL;
			continue;
		}
		const struct pe_function *fn = nt_RtlLookupFunctionEntry(pc, &base, NULL);
		struct win_context here = c;
		if (!frame_unwind(&c, base, fn, UNWIND_EHANDLER, &f))
			return false;
		if (!frame_sane(f.establisher, t)) {
			x->flags |= EXCEPTION_STACK_INVALID;
			return false;
		}
		if (!f.handler)
			continue;
		struct dispatch d = {pc,   base, fn, f.establisher, 0, &here, f.handler, f.data,
				     NULL, 0,    0};
		if (handler_call(&f, x, (struct win_context *)(uintptr_t)at, &d) ==
		    DISPOSITION_CONTINUE)
			return true;
	}
	return false;
}

static const struct {
	uint32_t code;
	int sig;
	const char *what;
} kinds[] = {
    {STATUS_ACCESS_VIOLATION, SIGSEGV, "an access violation"},
    {STATUS_STACK_OVERFLOW, SIGSEGV, "a stack overflow"},
    {STATUS_IN_PAGE_ERROR, SIGBUS, "an error of a mapped file"},
    {STATUS_ILLEGAL_INSTRUCTION, SIGILL, "an illegal instruction"},
    {STATUS_PRIVILEGED_INSTRUCTION, SIGILL, "a privileged instruction"},
    {STATUS_INTEGER_DIVIDE_BY_ZERO, SIGFPE, "a division by zero"},
    {STATUS_BREAKPOINT, SIGTRAP, "a breakpoint"},
    {STATUS_STACK_BUFFER_OVERRUN, SIGABRT, "an error that no handler is asked about (__fastfail)"},
};

_Noreturn static void unhandled(const struct win_exception *x)
{
	struct module *m = module_at(x->address);
	uint64_t off = m ? x->address - (uint64_t)(uintptr_t)m->im.at : x->address;
	const char *in = m ? m->name : "";
	process_tell(x->code);
	for (size_t i = 0; i < countof(kinds); i++)
		if (kinds[i].code == x->code)
			process_die(LODGE_EXIT_SIGNAL + kinds[i].sig, "%s at %#llx%s%s",
				    kinds[i].what, (unsigned long long)off, m ? " of " : "", in);
	process_die(LODGE_EXIT_SIGNAL + SIGABRT,
		    "an exception that it does not handle: %#x, at "
		    "%#llx%s%s",
		    x->code, (unsigned long long)off, m ? " of " : "", in);
}

_Noreturn void exception_raise(const struct win_exception *given, void *context)
{
	struct thread *t = thread_self();
	struct win_context *c = context;
	struct win_exception x = *given;
	struct dispatching d = {c, innermost()};
	t->dispatching = &d;
	bool mended = vectored_ask(&x, c, false) || frames_ask(&x, c);
	uint64_t filter = vectored.last_filter;
	if (!mended && filter) {
		struct pointers p = {&x, c};
		int32_t answer = (int32_t)guest_call4(filter, (uint64_t)(uintptr_t)&p, 0, 0, 0);
		if (answer == 1)
			process_end(x.code);
		mended = answer == CONTINUE_EXECUTION;
	}
	if (mended)
		(void)vectored_ask(&x, c, true);
	t->dispatching = d.before;
	if (!mended || (given->flags & EXCEPTION_NONCONTINUABLE && c->rip == given->address))
		unhandled(&x);
	context_run(c);
}

/* ---- signals ---- */

void context_from(struct win_context *c, const ucontext_t *uc)
{
	const greg_t *g = uc->uc_mcontext.gregs;
	memset(c, 0, sizeof *c);
	c->flags =
	    CONTEXT_AMD64 | CONTEXT_CONTROL | CONTEXT_INTEGER | CONTEXT_SEGMENTS | CONTEXT_FLOATING;
	static const int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
				    REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
				    REG_R12, REG_R13, REG_R14, REG_R15};
	for (unsigned i = 0; i < 16; i++)
		*context_register(c, i) = (uint64_t)g[order[i]];
	c->rip = (uint64_t)g[REG_RIP];
	c->eflags = (uint32_t)g[REG_EFL];
	c->cs = 0x33;
	c->ss = c->ds = c->es = c->gs = 0x2b;
	c->fs = 0x53;
	if (uc->uc_mcontext.fpregs)
		memcpy(c->fx, uc->uc_mcontext.fpregs, sizeof c->fx);
	c->mxcsr = le32_at(c->fx + 24);
}

void context_to(const struct win_context *c, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	static const int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
				    REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
				    REG_R12, REG_R13, REG_R14, REG_R15};
	struct win_context copy = *c;
	for (unsigned i = 0; i < 16; i++) {
		bool control = order[i] == REG_RSP;
		if (c->flags & (control ? CONTEXT_CONTROL : CONTEXT_INTEGER))
			g[order[i]] = (greg_t)*context_register(&copy, i);
	}
	if (c->flags & CONTEXT_CONTROL) {
		g[REG_RIP] = (greg_t)c->rip;
		g[REG_EFL] = (greg_t)((c->eflags & 0xcd5) | 0x202);
	}
	if (c->flags & CONTEXT_FLOATING && uc->uc_mcontext.fpregs) {
		uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;
		memcpy(fx, c->fx, 464); /* not what the kernel keeps at the end */
		le32_put(fx + 24, c->mxcsr & 0xffff);
	}
}

/* What the CPU said, as Windows says it. */
static void record_make(struct win_exception *x, int sig, const siginfo_t *si, const ucontext_t *uc)
{
	static const struct {
		int code;
		uint32_t status;
	} fpe[] = {
	    {FPE_INTDIV, STATUS_INTEGER_DIVIDE_BY_ZERO}, {FPE_INTOVF, STATUS_INTEGER_OVERFLOW},
	    {FPE_FLTDIV, STATUS_FLOAT_DIVIDE_BY_ZERO},   {FPE_FLTOVF, STATUS_FLOAT_OVERFLOW},
	    {FPE_FLTUND, STATUS_FLOAT_UNDERFLOW},        {FPE_FLTRES, STATUS_FLOAT_INEXACT},
	    {FPE_FLTINV, STATUS_FLOAT_INVALID}};
	const greg_t *g = uc->uc_mcontext.gregs;
	enum { TRAP_GP = 13, ERROR_WRITE = 2, ERROR_EXEC = 16, ERROR_INT_29 = 0x29 << 3 | 2 };
	*x = (struct win_exception){.address = (uint64_t)g[REG_RIP]};
	if (sig == SIGFPE) {
		x->code = STATUS_FLOAT_INVALID;
		for (size_t i = 0; i < countof(fpe); i++)
			x->code = fpe[i].code == si->si_code ? fpe[i].status : x->code;
	} else if (sig == SIGILL) {
		x->code = STATUS_ILLEGAL_INSTRUCTION;
	} else if (sig == SIGTRAP) {
		x->code = si->si_code == TRAP_TRACE ? STATUS_SINGLE_STEP : STATUS_BREAKPOINT;
		x->address -= x->code == STATUS_BREAKPOINT; /* at the int3 itself */
		x->nparameters = x->code == STATUS_BREAKPOINT;
	} else {
		uint64_t error = (uint64_t)g[REG_ERR];
		x->code = sig == SIGBUS ? STATUS_IN_PAGE_ERROR : STATUS_ACCESS_VIOLATION;
		x->nparameters = sig == SIGBUS ? 3 : 2;
		x->parameters[0] = error & ERROR_EXEC ? 8 : error & ERROR_WRITE ? 1 : 0;
		x->parameters[1] =
		    g[REG_TRAPNO] == TRAP_GP ? UINT64_MAX : (uint64_t)(uintptr_t)si->si_addr;
		if (g[REG_TRAPNO] == TRAP_GP)
			x->parameters[0] = 0;
		if (g[REG_TRAPNO] == TRAP_GP && error == ERROR_INT_29)
			*x = (struct win_exception){.code = STATUS_STACK_BUFFER_OVERRUN,
						    .address = x->address,
						    .nparameters = 1,
						    .parameters = {(uint32_t)g[REG_RCX]}};
	}
}

/* Coroutines have stacks of their own, told by the TEB, with a guard page below what is committed:
 * the kernel lets them grow, and nobody hears of it. Here at once, down to the bottom. */
static bool stack_grows(const struct thread *t, uint64_t at)
{
	uint64_t lo = le64_at(t->teb + TEB_STACK_ALLOCATION) + STACK_BOTTOM;
	if (at < lo || at >= le64_at(t->teb + TEB_STACK_BASE) || at >= WIN_GUEST_END ||
	    !space_grow_stack(lo, at))
		return false;
	le64_put(t->teb + TEB_STACK_LIMIT, lo);
	return true;
}

/* The page may be one that tells who asked for it: once. The bottom of a stack is for what handles
 * its overflow. True: the access shall be made again. */
static bool guard_touched(struct win_exception *x, struct thread *t)
{
	struct region r;
	uint32_t old;
	uint64_t at = x->parameters[1], bottom = le64_at(t->teb + TEB_STACK_ALLOCATION);
	if (x->code != STATUS_ACCESS_VIOLATION)
		return false;
	if (space_held()) /* what is below is for code of the guest */
		return stack_grows(t, at);
	if (at >= bottom && at - bottom < STACK_BOTTOM) {
		x->code = STATUS_STACK_OVERFLOW;
		x->nparameters = 0;
		(void)!space_commit(bottom + PAGE, STACK_BOTTOM - PAGE, PAGE_READWRITE);
		return false;
	}
	if (stack_grows(t, at))
		return true;
	if (at < WIN_GUEST_END && space_at(at, &r) && r.prot & PAGE_GUARD) {
		(void)!space_protect(at & ~(uint64_t)(PAGE - 1), PAGE,
				     r.prot & ~(uint32_t)PAGE_GUARD, &old);
		x->code = STATUS_GUARD_PAGE;
	}
	return false;
}

bool stack_bottom_close(void)
{
	const struct thread *t = thread_self();
	uint64_t bottom = le64_at(t->teb + TEB_STACK_ALLOCATION);
	uint64_t sp = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	if (sp < bottom + STACK_BOTTOM + PAGE)
		return false; /* it is in use */
	return space_decommit(bottom + PAGE, STACK_BOTTOM - PAGE) >= 0;
}

struct delivery {
	struct win_context c;
	struct win_exception x;
};

/* int 0x29 (__fastfail): what is wrong is such that no handler is asked. */
static _Noreturn void fail_fast(const struct win_exception *x, void *context)
{
	(void)context;
	unhandled(x);
}

/* Let the thread go on in exception_raise, on its own stack, below what is in use. */
static void deliver(const struct win_exception *x, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	struct delivery d;
	uint64_t sp = ((uint64_t)g[REG_RSP] - RED_ZONE - sizeof d) & ~UINT64_C(63);
	context_from(&d.c, uc);
	d.c.rip = x->code == STATUS_BREAKPOINT ? x->address : d.c.rip;
	d.x = *x;
	if (host_copy((void *)(uintptr_t)sp, &d, sizeof d))
		process_die(LODGE_EXIT_SIGNAL + SIGSEGV,
			    "an exception (%#x at %#llx), and no stack to "
			    "handle it on",
			    x->code, (unsigned long long)x->address);
	g[REG_RDI] = (greg_t)(sp + offsetof(struct delivery, x));
	g[REG_RSI] = (greg_t)sp;
	g[REG_RSP] = (greg_t)(sp - 8);
	g[REG_RIP] = (greg_t)(uintptr_t)(x->code == STATUS_STACK_BUFFER_OVERRUN ? fail_fast
									    : exception_raise);
	g[REG_EFL] &= ~(greg_t)0x500; /* direction, trap */
}

static void on_signal(int sig, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;
	struct thread *t = thread_self();
	struct win_exception x;
	if (si->si_code > 0 && sig == SIGSEGV && clock_page_fault((uint64_t)(uintptr_t)si->si_addr))
		return;
	if (!t || si->si_code <= 0) {
		struct sigaction dfl = {.sa_handler = SIG_DFL};
		sigaction(sig, &dfl, NULL);
		raise(sig);
		return;
	}
	record_make(&x, sig, si, uc);
	if (!guard_touched(&x, t))
		deliver(&x, uc);
}

/* A system call of Linux from the guest's own pages. */
static void on_sys(int sig, siginfo_t *si, void *context)
{
	const ucontext_t *uc = context;
	(void)sig;
	process_die(LODGE_EXIT_SIGNAL + SIGSYS,
		    "it makes system calls of Linux by itself (%d, at %#llx)", si->si_syscall,
		    (unsigned long long)uc->uc_mcontext.gregs[REG_RIP]);
}

int exceptions_begin(struct lodge_err *e)
{
	static const int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	struct sigaction a = {.sa_sigaction = on_signal,
			      .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	struct sigaction s = {.sa_sigaction = on_sys, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	int r = sigaction(SIGSYS, &s, NULL);
	for (size_t i = 0; r == 0 && i < countof(sigs); i++)
		r = sigaction(sigs[i], &a, NULL);
	if (r < 0)
		return err_sys(e, "signal handlers");
	suspend_begin();
	return host_fault_begin(e);
}

int exceptions_thread(struct thread *t)
{
	stack_t s = {.ss_size = ALT_STACK};
	s.ss_sp = mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s.ss_sp == MAP_FAILED)
		return -ENOMEM;
	t->alt_stack = s.ss_sp;
	return sigaltstack(&s, NULL) < 0 ? -errno : 0;
}

void exceptions_thread_end(struct thread *t)
{
	stack_t off = {.ss_flags = SS_DISABLE};
	sigaltstack(&off, NULL);
	munmap(t->alt_stack, ALT_STACK);
}

/* ---- functions ---- */

static uint64_t handler_add(bool continuer, bool first, uint64_t fn)
{
	pthread_mutex_lock(&vectored.lock);
	size_t *n = continuer ? &vectored.ncontinuers : &vectored.nhandlers;
	__typeof__(&vectored.handlers[0]) all = continuer ? vectored.continuers : vectored.handlers;
	uint64_t id = 0;
	if (*n < VECTORED_MAX) {
		size_t at = first ? 0 : *n;
		memmove(all + at + 1, all + at, (*n - at) * sizeof *all);
		all[at].fn = fn;
		all[at].id = id = ++vectored.ids * 16;
		++*n;
	}
	pthread_mutex_unlock(&vectored.lock);
	return id;
}

static uint32_t handler_remove(bool continuer, uint64_t id)
{
	uint32_t found = 0;
	pthread_mutex_lock(&vectored.lock);
	size_t *n = continuer ? &vectored.ncontinuers : &vectored.nhandlers;
	__typeof__(&vectored.handlers[0]) all = continuer ? vectored.continuers : vectored.handlers;
	for (size_t i = 0; i < *n && !found; i++)
		if (all[i].id == id) {
			memmove(all + i, all + i + 1, (*n - i - 1) * sizeof *all);
			--*n;
			found = 1;
		}
	pthread_mutex_unlock(&vectored.lock);
	return found;
}

API(uint64_t, k32_AddVectoredExceptionHandler, uint32_t first, uint64_t fn)
{
	return handler_add(false, first != 0, fn);
}
API(uint32_t, k32_RemoveVectoredExceptionHandler, uint64_t id) { return handler_remove(false, id); }
API(uint64_t, k32_AddVectoredContinueHandler, uint32_t first, uint64_t fn)
{
	return handler_add(true, first != 0, fn);
}
API(uint32_t, k32_RemoveVectoredContinueHandler, uint64_t id) { return handler_remove(true, id); }
API(uint64_t, k32_SetUnhandledExceptionFilter, uint64_t fn)
{
	return atomic_exchange(&vectored.last_filter, fn);
}
API(int32_t, k32_UnhandledExceptionFilter, struct pointers *p)
{
	uint64_t filter = vectored.last_filter;
	if (filter)
		return (int32_t)guest_call4(filter, (uint64_t)(uintptr_t)p, 0, 0, 0);
	unhandled(p->x);
}

API(void, k32_RaiseFailFastException, const struct win_exception *x, void *c, uint32_t flags)
{
	struct win_exception own = {.code = STATUS_STACK_BUFFER_OVERRUN};
	(void)c;
	(void)flags;
	unhandled(x ? x : &own);
}
