/* SPDX-License-Identifier: Apache-2.0 */
/* setjmp and longjmp: _JUMP_BUFFER is frame, rbx, rsp, rbp, rsi, rdi, r12 to r15, rip, mxcsr, x87
 * control, xmm6 to xmm15. With a frame, the frames between are unwound, as Microsoft's does. */
#include "win/unwind.h"

/* ms_abi: rcx buffer, rdx frame */
__asm__(".text\n.hidden crt__setjmp\n.globl crt__setjmp\ncrt__setjmp:\n"
	"	mov %rdx, (%rcx)\n	mov %rbx, 8(%rcx)\n"
	"	lea 8(%rsp), %rax\n	mov %rax, 16(%rcx)\n"
	"	mov %rbp, 24(%rcx)\n	mov %rsi, 32(%rcx)\n	mov %rdi, 40(%rcx)\n"
	"	mov %r12, 48(%rcx)\n	mov %r13, 56(%rcx)\n	mov %r14, 64(%rcx)\n"
	"	mov %r15, 72(%rcx)\n	mov (%rsp), %rax\n	mov %rax, 80(%rcx)\n"
	"	stmxcsr 88(%rcx)\n	fnstcw 92(%rcx)\n"
	"	movdqu %xmm6, 96(%rcx)\n	movdqu %xmm7, 112(%rcx)\n"
	"	movdqu %xmm8, 128(%rcx)\n	movdqu %xmm9, 144(%rcx)\n"
	"	movdqu %xmm10, 160(%rcx)\n	movdqu %xmm11, 176(%rcx)\n"
	"	movdqu %xmm12, 192(%rcx)\n	movdqu %xmm13, 208(%rcx)\n"
	"	movdqu %xmm14, 224(%rcx)\n	movdqu %xmm15, 240(%rcx)\n"
	"	xor %eax, %eax\n	ret\n");
/* rdi buffer, esi value */
_Noreturn void jump_restore(const void *buf, int value);
__asm__(".text\n.hidden jump_restore\n.globl jump_restore\njump_restore:\n"
	"	mov %rdi, %rcx\n	mov %esi, %eax\n"
	"	mov 8(%rcx), %rbx\n	mov 16(%rcx), %rsp\n	mov 24(%rcx), %rbp\n"
	"	mov 32(%rcx), %rsi\n	mov 40(%rcx), %rdi\n	mov 48(%rcx), %r12\n"
	"	mov 56(%rcx), %r13\n	mov 64(%rcx), %r14\n	mov 72(%rcx), %r15\n"
	"	ldmxcsr 88(%rcx)\n	fldcw 92(%rcx)\n"
	"	movdqu 96(%rcx), %xmm6\n	movdqu 112(%rcx), %xmm7\n"
	"	movdqu 128(%rcx), %xmm8\n	movdqu 144(%rcx), %xmm9\n"
	"	movdqu 160(%rcx), %xmm10\n	movdqu 176(%rcx), %xmm11\n"
	"	movdqu 192(%rcx), %xmm12\n	movdqu 208(%rcx), %xmm13\n"
	"	movdqu 224(%rcx), %xmm14\n	movdqu 240(%rcx), %xmm15\n"
	"	jmp *80(%rcx)\n");

/* DEVIATES: __finally blocks that are jumped over are not run. */
API(void, crt_longjmp, const void *buf, int value) { jump_restore(buf, value ? value : 1); }
