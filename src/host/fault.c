/* SPDX-License-Identifier: Apache-2.0 */
/* Address faults: the process's one handler of SIGSEGV and SIGBUS, and accesses to memory that may
 * not be there. Such an access is an assembly function without a frame: where it faults, the
 * handler moves the thread to an end of it that says so. Spec: the System V ABI of x86-64 */
#include "host/host.h"
#include <signal.h>
#include <ucontext.h>

/* What the process has one of: the handlers that were there before, of SIGSEGV and SIGBUS. */
static struct {
	pthread_mutex_t lock;
	struct sigaction before[2];
} handler = { .lock = PTHREAD_MUTEX_INITIALIZER };
static _Thread_local const struct host_fault_taker *taker;
static _Thread_local struct host_fault last;
static _Thread_local bool passing; /* a fault to the handler before, which may pass it back */

/* rdi address, rsi result or value, rdx value; eax 0, or 1 after a fault */
#define LOAD(size, move)                                                                           \
	"fault_load" #size ":\n" move "\n\tmov %rax, (%rsi)\n\txor %eax, %eax\n\tret\n"
#define STORE(size, move) "fault_store" #size ":\n" move "\n\txor %eax, %eax\n\tret\n"
__asm__(".text\n"
	".p2align 4\n"
	"fault_one:\n"
	LOAD(1, "movzbl (%rdi), %eax")
	LOAD(2, "movzwl (%rdi), %eax")
	LOAD(4, "movl (%rdi), %eax")
	LOAD(8, "movq (%rdi), %rax")
	STORE(1, "movb %sil, (%rdi)")
	STORE(2, "movw %si, (%rdi)")
	STORE(4, "movl %esi, (%rdi)")
	STORE(8, "movq %rsi, (%rdi)")
	/* rsi: what is expected, and what was there */
	"fault_cas4:\n"
	"	movl (%rsi), %eax\n"
	"	lock cmpxchgl %edx, (%rdi)\n"
	"	movq %rax, (%rsi)\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	"fault_cas8:\n"
	"	movq (%rsi), %rax\n"
	"	lock cmpxchgq %rdx, (%rdi)\n"
	"	movq %rax, (%rsi)\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	"fault_one_end:\n"
	"	movl $1, %eax\n"
	"	ret\n"
	/* rbx is the caller's: a fault leaves by an end of its own */
	"fault_cas16:\n"
	"	push %rbx\n"
	"	mov %rdx, %r8\n"
	"	movq (%rsi), %rax\n"
	"	movq 8(%rsi), %rdx\n"
	"	movq (%r8), %rbx\n"
	"	movq 8(%r8), %rcx\n"
	"	lock cmpxchg16b (%rdi)\n"
	"	movq %rax, (%rsi)\n"
	"	movq %rdx, 8(%rsi)\n"
	"	xor %eax, %eax\n"
	"	pop %rbx\n"
	"	ret\n"
	"fault_cas16_end:\n"
	"	movl $1, %eax\n"
	"	pop %rbx\n"
	"	ret\n"
	/* rdi to, rsi from, rdx bytes; rax bytes that are left */
	"fault_copy:\n"
	"	mov %rdx, %rcx\n"
	"	rep movsb\n"
	"fault_copy_end:\n"
	"	mov %rcx, %rax\n"
	"	ret\n"
	/* rdi text, rsi bytes at most; rax its length, all ones after a fault */
	"fault_length:\n"
	"	xor %eax, %eax\n"
	"1:	cmp %rsi, %rax\n"
	"	jae 2f\n"
	"	cmpb $0, (%rdi,%rax)\n"
	"	je 2f\n"
	"	inc %rax\n"
	"	jmp 1b\n"
	"2:	ret\n"
	"fault_length_end:\n"
	"	or $-1, %rax\n"
	"	ret\n"
	/* rdi, rsi: what may not be there, what is; rdx bytes; eax 1: they are the same */
	"fault_same:\n"
	"	xor %eax, %eax\n"
	"1:	sub $8, %rdx\n"
	"	jb 2f\n"
	"	movq (%rdi), %rcx\n"
	"	cmpq (%rsi), %rcx\n"
	"	jne 4f\n"
	"	add $8, %rdi\n"
	"	add $8, %rsi\n"
	"	jmp 1b\n"
	"2:	add $8, %rdx\n"
	"	jz 3f\n"
	"	movb -1(%rdi,%rdx), %cl\n"
	"	cmpb -1(%rsi,%rdx), %cl\n"
	"	jne 4f\n"
	"	sub $9, %rdx\n"
	"	jmp 2b\n"
	"3:	inc %eax\n"
	"4:	ret\n"
	"fault_same_end:\n"
	"	xor %eax, %eax\n"
	"	ret\n");
#undef LOAD
#undef STORE
extern const char fault_one[], fault_one_end[], fault_cas16_end[], fault_copy_end[],
	fault_length_end[], fault_same_end[];
extern int fault_load1(uint64_t at, uint64_t *ret), fault_load2(uint64_t at, uint64_t *ret),
	fault_load4(uint64_t at, uint64_t *ret), fault_load8(uint64_t at, uint64_t *ret),
	fault_store1(uint64_t at, uint64_t v), fault_store2(uint64_t at, uint64_t v),
	fault_store4(uint64_t at, uint64_t v), fault_store8(uint64_t at, uint64_t v),
	fault_cas4(uint64_t at, uint64_t *old, uint64_t v),
	fault_cas8(uint64_t at, uint64_t *old, uint64_t v),
	fault_cas16(uint64_t at, uint64_t *old, const uint64_t *v);
extern size_t fault_copy(void *to, const void *from, size_t n), fault_length(uint64_t at, size_t n);
extern int fault_same(const void *at, const void *as, size_t n);

bool host_load(uint64_t at, unsigned size, uint64_t *ret)
{
	switch (size) {
	case 1: return !fault_load1(at, ret);
	case 2: return !fault_load2(at, ret);
	case 4: return !fault_load4(at, ret);
	default: return !fault_load8(at, ret);
	}
}

bool host_store(uint64_t at, unsigned size, uint64_t v)
{
	switch (size) {
	case 1: return !fault_store1(at, v);
	case 2: return !fault_store2(at, v);
	case 4: return !fault_store4(at, v);
	default: return !fault_store8(at, v);
	}
}

bool host_cas(uint64_t at, unsigned size, uint64_t *old, uint64_t v)
{
	return size == 4 ? !fault_cas4(at, old, v) : !fault_cas8(at, old, v);
}

bool host_cas16(uint64_t at, uint64_t old[2], const uint64_t v[2])
{
	return !fault_cas16(at, old, v);
}

size_t host_copy(void *to, const void *from, size_t n) { return fault_copy(to, from, n); }

bool host_same(const void *at, const void *as, size_t n) { return fault_same(at, as, n); }

bool host_length(uint64_t at, size_t max, size_t *ret)
{
	size_t n = fault_length(at, max);
	if (n == SIZE_MAX)
		return false;
	*ret = n;
	return true;
}

/* ---- the handler ---- */

static bool fault_mend(uint64_t *pc)
{
	static const struct { const char *begin, *end; } parts[] = {
		{ fault_one, fault_one_end },
		{ fault_one_end, fault_cas16_end },
		{ fault_cas16_end, fault_copy_end },
		{ fault_copy_end, fault_length_end },
		{ fault_length_end, fault_same_end },
	};
	for (size_t i = 0; i < countof(parts); i++)
		if (*pc - (uint64_t)(uintptr_t)parts[i].begin <
		    (uint64_t)(parts[i].end - parts[i].begin)) {
			*pc = (uint64_t)(uintptr_t)parts[i].end;
			return true;
		}
	return false;
}

static bool fault_take(int sig, const siginfo_t *si, ucontext_t *uc)
{
	uint64_t pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	const struct host_fault f = { (uint64_t)(uintptr_t)si->si_addr, sig, si->si_code };
	if (si->si_code <= 0 ||
	    !(fault_mend(&pc) || (taker && taker->catch(taker->user, &f, &pc))))
		return false;
	last = f;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
	return true;
}

static void on_fault(int sig, siginfo_t *si, void *context)
{
	if (fault_take(sig, si, context))
		return;
	const struct sigaction *old = &handler.before[sig == SIGBUS];
	if (old->sa_flags & SA_SIGINFO && !passing) {
		passing = true;
		old->sa_sigaction(sig, si, context);
		passing = false;
	} else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN && !passing) {
		passing = true;
		old->sa_handler(sig);
		passing = false;
	} else {
		struct sigaction dfl = { .sa_handler = SIG_DFL };
		(void)!sigaction(sig, &dfl, NULL);
		if (si->si_code <= 0)
			raise(sig); /* else the instruction faults again */
	}
}

/* Others may have put theirs in since: this is looked at whenever a thread begins. Not blocked
 * while it runs: whom it passes faults to may make accesses that fault, too. */
static int install(int sig, struct sigaction *before)
{
	struct sigaction now, a = { .sa_sigaction = on_fault,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	sigemptyset(&a.sa_mask);
	if (sigaction(sig, NULL, &now) < 0)
		return errno;
	if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
		return 0;
	*before = now;
	return sigaction(sig, &a, NULL) < 0 ? errno : 0;
}

int host_fault_begin(struct lodge_err *e)
{
	pthread_mutex_lock(&handler.lock);
	int r = install(SIGSEGV, &handler.before[0]);
	if (!r)
		r = install(SIGBUS, &handler.before[1]);
	pthread_mutex_unlock(&handler.lock);
	passing = false;
	return r ? err_set(e, r, "cannot handle address faults") : 0;
}

const struct host_fault_taker *host_fault_taken_by(const struct host_fault_taker *t)
{
	const struct host_fault_taker *before = taker;
	taker = t;
	return before;
}
void host_fault_last(struct host_fault *ret) { *ret = last; }
