/* SPDX-License-Identifier: Apache-2.0 */
/* The demo guest's first instructions: Linux RISC-V image header, entry of the boot hart and of the
 * others, traps. Spec: Linux Documentation/arch/riscv/boot-image-header, SBI 2.0 HSM. */
	.section .head, "ax"
	.globl	head
head:
	j	boot
	.balign	8
	.quad	0x200000		/* offset from the start of memory */
	.quad	image_end - head	/* with bss and stacks */
	.quad	0			/* flags: little endian */
	.word	2			/* version 0.2 */
	.word	0
	.quad	0
	.ascii	"RISCV\0\0\0"
	.ascii	"RSC\x05"
	.word	0

	.text
	/* a0 hart id, a1 device tree. Position independent until relocated. */
boot:
	.option	push
	.option	norelax
	lla	gp, __global_pointer$
	.option	pop
	csrw	sie, zero
	csrw	satp, zero
	lla	t0, bss_start
	lla	t1, image_end
1:	bgeu	t0, t1, 2f
	sd	zero, (t0)
	addi	t0, t0, 8
	j	1b
2:	lla	t0, rela_start		/* R_RISCV_RELATIVE only (the linker script checks) */
	lla	t1, rela_end
	lla	t2, head
3:	bgeu	t0, t1, 4f
	ld	t3, 0(t0)
	ld	t4, 16(t0)
	add	t3, t3, t2
	add	t4, t4, t2
	sd	t4, (t3)
	addi	t0, t0, 24
	j	3b
4:	lla	tp, harts
	lla	sp, stacks + 0x4000
	lla	t0, trap
	csrw	stvec, t0
	call	boot_main
5:	wfi
	j	5b

	/* a0 hart id, a1 its struct hart (HSM's opaque word). */
	.globl	boot_other
boot_other:
	.option	push
	.option	norelax
	lla	gp, __global_pointer$
	.option	pop
	csrw	sie, zero
	csrw	satp, zero
	mv	tp, a1
	ld	sp, 0(tp)
	lla	t0, trap
	csrw	stvec, t0
	call	other_main
6:	wfi
	j	6b

	.balign	4
trap:
	addi	sp, sp, -256
	.irp	r, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	sd	x\r, \r * 8(sp)
	.endr
	mv	a0, sp
	call	trap_main
	.irp	r, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	ld	x\r, \r * 8(sp)
	.endr
	addi	sp, sp, 256
	sret

	/* Benchmark loops: a0 rounds. Each round is 10 instructions. */
	.globl	loop_integer
loop_integer:
	li	t0, 88172645463325252
	mv	t1, zero
	.option	norvc
1:	slli	t2, t0, 13
	xor	t0, t0, t2
	srli	t2, t0, 7
	xor	t0, t0, t2
	slli	t2, t0, 17
	xor	t0, t0, t2
	add	t1, t1, t0
	mul	t2, t0, t1
	addi	a0, a0, -1
	bnez	a0, 1b
	mv	a0, t1
	ret

	.globl	loop_float
loop_float:
	fcvt.d.l ft0, a0
	fcvt.d.l ft1, zero
	li	t0, 3
	fcvt.d.l ft2, t0
1:	fdiv.d	ft3, ft2, ft0
	fmadd.d	ft1, ft3, ft3, ft1
	fadd.d	ft4, ft1, ft2
	fmul.d	ft5, ft4, ft3
	fsub.d	ft0, ft0, ft4
	fadd.d	ft0, ft0, ft4
	fmax.d	ft0, ft0, ft2
	fsgnj.d	ft6, ft5, ft5
	addi	a0, a0, -1
	bnez	a0, 1b
	ret

	/* a0 to, a1 from, a2 bytes (a multiple of 64). */
	.globl	copy_fast
copy_fast:
	add	a2, a1, a2
1:	ld	t0, 0(a1)
	ld	t1, 8(a1)
	ld	t2, 16(a1)
	ld	t3, 24(a1)
	ld	t4, 32(a1)
	ld	t5, 40(a1)
	ld	t6, 48(a1)
	ld	a3, 56(a1)
	sd	t0, 0(a0)
	sd	t1, 8(a0)
	sd	t2, 16(a0)
	sd	t3, 24(a0)
	sd	t4, 32(a0)
	sd	t5, 40(a0)
	sd	t6, 48(a0)
	sd	a3, 56(a0)
	addi	a0, a0, 64
	addi	a1, a1, 64
	bltu	a1, a2, 1b
	ret
