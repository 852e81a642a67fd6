/* SPDX-License-Identifier: Apache-2.0 */
/* conform: the assembler part of the blob. cell_run loads all registers of a cell and jumps into
 * the program; save_V stores them back and returns to cell_run's caller. */
#include "guest.h"

	.option norvc
	.section .entry, "ax"
	j	batch_run
	j	lodge_start
	j	save_0
	j	save_1
	j	save_trap_0
	j	save_trap_1
	j	trap_0
	j	trap_1

	.text
	.option	arch, +v
/* void cell_run(struct cell *a0, uint64_t variant a1, struct vcell *a2); a2 may be NULL */
	.globl	cell_run
cell_run:
	la	t0, context
	sd	ra, 0(t0)
	sd	sp, 8(t0)
	sd	gp, 16(t0)
	sd	tp, 24(t0)
	sd	s0, 32(t0)
	sd	s1, 40(t0)
	sd	s2, 48(t0)
	sd	s3, 56(t0)
	sd	s4, 64(t0)
	sd	s5, 72(t0)
	sd	s6, 80(t0)
	sd	s7, 88(t0)
	sd	s8, 96(t0)
	sd	s9, 104(t0)
	sd	s10, 112(t0)
	sd	s11, 120(t0)
	sd	a2, 128(t0)
	sc.d	zero, zero, (t0)	/* no reservation is left */
	beqz	a2, 1f
	addi	t0, a2, VS_V
	csrr	t1, vlenb
	slli	t1, t1, 3
	.irp	n, 0, 8, 16, 24
	vl8re8.v	v\n, (t0)
	add	t0, t0, t1
	.endr
	ld	t0, VS_VL(a2)
	ld	t1, VS_VTYPE(a2)
	vsetvl	zero, t0, t1
	ld	t0, VS_VCSR(a2)
	csrw	vcsr, t0
	ld	t0, VS_VSTART(a2)
	csrw	vstart, t0
1:
	bnez	a1, load_1
	j	load_0

	.macro	each_f op, base, at
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	\op	f\n, (\at + ST_F + 8 * \n)(\base)
	.endr
	.endm

	.macro	variant v, cell, link, registers:vararg
load_\v:
	mv	\cell, a0
	ld	t0, ST_FCSR(\cell)
	fscsr	t0
	each_f	fld, \cell, 0
	ld	\link, ST_PC(\cell)
	.irp	n, \registers
	ld	x\n, (ST_X + 8 * \n)(\cell)
	.endr
	jr	\link

save_\v:
	addi	\link, \link, -4
	sd	\link, (ST_SIZE + ST_PC)(\cell)
	sd	zero, (ST_SIZE + ST_CAUSE)(\cell)
save_trap_\v:
	.irp	n, \registers
	sd	x\n, (ST_SIZE + ST_X + 8 * \n)(\cell)
	.endr
	frcsr	t0
	sd	t0, (ST_SIZE + ST_FCSR)(\cell)
	each_f	fsd, \cell, ST_SIZE
	j	leave

/* Lodge only, M mode. What trapped is told; the registers are saved back in U mode. */
	.balign	4
trap_\v:
	csrr	\link, mcause
	sd	\link, (ST_SIZE + ST_CAUSE)(\cell)
	csrr	\link, mepc
	sd	\link, (ST_SIZE + ST_PC)(\cell)
	la	\link, save_trap_\v
	csrw	mepc, \link
	mret
	.endm

	variant	0, x31, x30, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
	variant	1, x6, x7, 1,2,3,4,5,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31

leave:
	fscsr	zero
	la	t0, context
	ld	a2, 128(t0)
	beqz	a2, 1f
	li	t1, VS_SIZE
	add	a2, a2, t1
	csrr	t1, vl
	sd	t1, VS_VL(a2)
	csrr	t1, vtype
	sd	t1, VS_VTYPE(a2)
	csrr	t1, vcsr
	sd	t1, VS_VCSR(a2)
	csrrw	t1, vstart, zero
	sd	t1, VS_VSTART(a2)
	addi	t1, a2, VS_V
	csrr	t2, vlenb
	slli	t2, t2, 3
	.irp	n, 0, 8, 16, 24
	vs8r.v	v\n, (t1)
	add	t1, t1, t2
	.endr
1:
	ld	ra, 0(t0)
	ld	sp, 8(t0)
	ld	gp, 16(t0)
	ld	tp, 24(t0)
	ld	s0, 32(t0)
	ld	s1, 40(t0)
	ld	s2, 48(t0)
	ld	s3, 56(t0)
	ld	s4, 64(t0)
	ld	s5, 72(t0)
	ld	s6, 80(t0)
	ld	s7, 88(t0)
	ld	s8, 96(t0)
	ld	s9, 104(t0)
	ld	s10, 112(t0)
	ld	s11, 120(t0)
	ret

/* Lodge starts here in M mode, a1 = variant: floating point and vectors on, cbo.zero allowed and the other
 * cache operations not (as Linux has it), then the batch runs in U mode and tells that it is done. */
lodge_start:
	li	t0, BLOB + 4 * ENTRY_TRAP
	slli	t1, a1, 2
	add	t0, t0, t1
	csrw	mtvec, t0
	li	t0, 0x2200
	csrw	mstatus, t0
	li	t0, (VSCRATCH + 1024) >> 2	/* a hole between the scratch page and the batch */
	csrw	pmpaddr0, t0
	li	t0, BATCH >> 2
	csrw	pmpaddr1, t0
	li	t0, -1
	csrw	pmpaddr2, t0
	li	t0, 0x0f080f
	csrw	pmpcfg0, t0
	li	t0, 0x80
	csrw	menvcfg, t0
	csrw	senvcfg, t0
	la	t0, 1f
	csrw	mepc, t0
	la	sp, stack_top
	mret
1:	li	a0, BATCH
	call	batch_run
	li	t0, DONE
	sw	zero, 0(t0)
2:	j	2b

	.bss
	.balign	16
context:
	.skip	144
	.skip	4096
stack_top:
