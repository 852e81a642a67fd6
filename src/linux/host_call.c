/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of the host. The race between the look at `pending` and a call that sleeps is closed
 * by address: the handler of signals knows where the thread stands.
 *
 *   check    is pending set? then out          a signal here: out
 *   syscall  the call; the kernel comes back   a signal here, before it or to restart it: out
 *   done     here with its result              a signal here: the result stands
 *   out      LINUX_RESTART
 */
#include "linux/internal.h"
#ifndef __x86_64__
#error "the process level runs on x86-64 hosts"
#endif

int64_t linux_stub(volatile int *pending, long nr, const uint64_t a[6]);
extern const char linux_stub_check[], linux_stub_syscall[], linux_stub_out[];
__asm__(".pushsection .text\n"
        ".globl linux_stub, linux_stub_check, linux_stub_syscall, linux_stub_out\n"
        ".hidden linux_stub, linux_stub_check, linux_stub_syscall, linux_stub_out\n"
        ".type linux_stub, @function\n"
        "linux_stub:\n"
        "	mov %rdi, %rcx\n"
        "	mov %rsi, %rax\n"
        "	mov %rdx, %r11\n"
        "	mov (%r11), %rdi\n"
        "	mov 8(%r11), %rsi\n"
        "	mov 16(%r11), %rdx\n"
        "	mov 24(%r11), %r10\n"
        "	mov 32(%r11), %r8\n"
        "	mov 40(%r11), %r9\n"
        "linux_stub_check:\n"
        "	cmpl $0, (%rcx)\n"
        "	jne linux_stub_out\n"
        "linux_stub_syscall:\n"
        "	syscall\n"
        "	ret\n"
        "linux_stub_out:\n"
        "	mov $-512, %rax\n"
        "	ret\n"
        ".size linux_stub, . - linux_stub\n"
        ".popsection\n");

int64_t linux_host_call(struct linux_task *t, long nr, const uint64_t a[6])
{
	return linux_stub(&t->pending, nr, a);
}

void linux_interrupted(ucontext_t *uc)
{
	greg_t *rip = &uc->uc_mcontext.gregs[REG_RIP];
	if (*rip >= (greg_t)ptr(linux_stub_check) && *rip <= (greg_t)ptr(linux_stub_syscall))
		*rip = (greg_t)ptr(linux_stub_out);
}

int64_t linux_direct(long nr, const uint64_t a[6])
{
	register uint64_t r10 __asm__("r10") = a[3];
	register uint64_t r8 __asm__("r8") = a[4];
	register uint64_t r9 __asm__("r9") = a[5];
	int64_t ret;
	__asm__ volatile("syscall"
	                 : "=a"(ret)
	                 : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return ret;
}
