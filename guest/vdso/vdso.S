/* SPDX-License-Identifier: Apache-2.0 */
/* What every program of the process level finds in its memory: functions that need not be system
 * calls, and what handlers of signals return to. Each is its call: that costs little there, and
 * is right for every clock. Linux 6.1 arch/riscv/kernel/vdso/vdso.lds.S (names, version) */
	.macro call name, number
	.globl \name
	.type \name, @function
\name:
	.cfi_startproc
	li a7, \number
	ecall
	ret
	.cfi_endproc
	.size \name, . - \name
	.endm

	.text
	/* the image's entry point: unwinders know these two instructions */
	.globl __vdso_rt_sigreturn
	.type __vdso_rt_sigreturn, @function
__vdso_rt_sigreturn:
	li a7, 139
	ecall
	.size __vdso_rt_sigreturn, . - __vdso_rt_sigreturn

	call __vdso_clock_gettime, 113
	call __vdso_clock_getres, 114
	call __vdso_getcpu, 168
	call __vdso_gettimeofday, 169
	call __vdso_riscv_hwprobe, 258
	call __vdso_flush_icache, 259
