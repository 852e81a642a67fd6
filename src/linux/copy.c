/* SPDX-License-Identifier: Apache-2.0 */
/* Copies to and from guest memory that may not be mapped. A fault is met by address: each copy has
 * one instruction that may fault, and a place to go on when it does. */
#include "linux/internal.h"

/* Copies @n bytes; returns how many are left. */
size_t linux_copy(void *to, const void *from, size_t n);
/* Copies to and with the first NUL, at most @n bytes (at least 1): how many, 0 when there is no NUL
 * among them, or -EFAULT. */
ssize_t linux_copy_string(char *to, const char *from, size_t n);
extern const char linux_copy_at[], linux_copy_end[];
extern const char linux_copy_string_at[], linux_copy_string_fault[];
__asm__(".pushsection .text\n"
        ".globl linux_copy, linux_copy_at, linux_copy_end\n"
        ".hidden linux_copy, linux_copy_at, linux_copy_end\n"
        ".type linux_copy, @function\n"
        "linux_copy:\n"
        "	mov %rdx, %rcx\n"
        "linux_copy_at:\n"
        "	rep movsb\n"
        "linux_copy_end:\n"
        "	mov %rcx, %rax\n"
        "	ret\n"
        ".size linux_copy, . - linux_copy\n"
        ".globl linux_copy_string, linux_copy_string_at, linux_copy_string_fault\n"
        ".hidden linux_copy_string, linux_copy_string_at, linux_copy_string_fault\n"
        ".type linux_copy_string, @function\n"
        "linux_copy_string:\n"
        "	xor %eax, %eax\n"
        "linux_copy_string_at:\n"
        "	movzbl (%rsi,%rax), %ecx\n"
        "	mov %cl, (%rdi,%rax)\n"
        "	inc %rax\n"
        "	test %ecx, %ecx\n"
        "	jz 1f\n"
        "	cmp %rdx, %rax\n"
        "	jb linux_copy_string_at\n"
        "	xor %eax, %eax\n"
        "1:	ret\n"
        "linux_copy_string_fault:\n"
        "	mov $-14, %rax\n"
        "	ret\n"
        ".size linux_copy_string, . - linux_copy_string\n"
        ".popsection\n");

bool linux_fault(ucontext_t *uc)
{
	greg_t *rip = &uc->uc_mcontext.gregs[REG_RIP];
	if (*rip == (greg_t)ptr(linux_copy_at))
		*rip = (greg_t)ptr(linux_copy_end);
	else if (*rip == (greg_t)ptr(linux_copy_string_at))
		*rip = (greg_t)ptr(linux_copy_string_fault);
	else
		return false;
	return true;
}

static void *host(uint64_t at) { return (void *)(uintptr_t)at; }

int linux_read(const struct linux_proc *p, void *to, uint64_t at, size_t len)
{
	return range_ok(p, at, len) && !linux_copy(to, host(at), len) ? 0 : -EFAULT;
}

int linux_write(const struct linux_proc *p, uint64_t at, const void *from, size_t len)
{
	return range_ok(p, at, len) && !linux_copy(host(at), from, len) ? 0 : -EFAULT;
}

ssize_t linux_string(const struct linux_proc *p, char *to, uint64_t at, size_t cap)
{
	if (at >= p->user_end)
		return -EFAULT;
	size_t max = min_u64(cap, p->user_end - at);
	ssize_t n = linux_copy_string(to, host(at), max);
	if (n > 0)
		return n - 1;
	return n < 0 || max < cap ? -EFAULT : -ENAMETOOLONG;
}
