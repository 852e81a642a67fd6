/* SPDX-License-Identifier: Apache-2.0 */
/* diff: what traps in a lockstep program come to. Every trap is written down, then execution goes
 * on: behind the instruction, or where s10 says when it is the fetch that failed. Interrupts are
 * taken away at their source. A run ends when s10 is 0 or when there were too many traps.
 *
 * Of the program's registers, tp is always MPRV, and s7 is the M handler's. */
#include "layout.h"
#define MPRV_MXR (1 << 17 | 1 << 19)
#define SUM_MXR (1 << 18 | 1 << 19)
#define FS (3 << 13)
#define VS (3 << 9)

/* t2 = what makes FS and VS initial where they are off in t1; to @skip if neither is */
	.macro	on_if_off skip
	li	t2, FS
	and	t2, t2, t1
	beqz	t2, 1f
	li	t2, VS
	and	t2, t2, t1
	bnez	t2, \skip
	li	t2, 1 << 9
	j	2f
1:	li	t2, 1 << 13
2:
	.endm

	.macro	record cause, epc, tval, status, count
	ld	t1, SAVE_COUNT(t0)
	andi	t2, t1, RECORDS - 1
	slli	t2, t2, 6
	add	t2, t2, t0
	addi	t1, t1, 1
	sd	t1, SAVE_COUNT(t0)
	ld	t3, SAVE_SUM(t0)
	.irp	n, 0, 1, 2, 3
	.if	\n == 0
	csrr	t1, \cause
	.elseif	\n == 1
	csrr	t1, \epc
	.elseif	\n == 2
	csrr	t1, \tval
	.else
	csrr	t1, \count
	.endif
	sd	t1, (SAVE_RECORD + 8 * \n)(t2)
	add	t3, t3, t1
	slli	t1, t3, 13
	xor	t3, t3, t1
	srli	t1, t3, 7
	xor	t3, t3, t1
	.endr
	sd	t3, SAVE_SUM(t0)
	csrr	t1, \status
	sd	t1, (SAVE_RECORD + 32)(t2)
	sd	ra, (SAVE_RECORD + 40)(t2)
	sd	a0, (SAVE_RECORD + 48)(t2)
	sd	sp, (SAVE_RECORD + 56)(t2)
	.endm

	.macro	save scratch
	csrrw	t0, \scratch, t0
	sd	t1, 8(t0)
	sd	t2, 16(t0)
	sd	t3, 24(t0)
	csrrw	t1, \scratch, t0
	sd	t1, 0(t0)
	.endm
	.macro	restore
	ld	t1, 8(t0)
	ld	t2, 16(t0)
	ld	t3, 24(t0)
	ld	t0, 0(t0)
	.endm

	.section .m_mode, "ax", @progbits
m_entry:
	csrrc	s7, mstatus, tp
	save	mscratch
	ld	t1, SAVE_LEFT(t0)
	addi	t1, t1, -1
	sd	t1, SAVE_LEFT(t0)
	bltz	t1, m_end
	beqz	s10, m_end
	record	mcause, mepc, mtval, mstatus, minstret
	csrr	t1, mcause
	bltz	t1, m_interrupt
	li	t2, 1
	bleu	t1, t2, m_fetch
	li	t2, 12
	beq	t1, t2, m_fetch
	li	t2, 2
	beq	t1, t2, m_illegal
	li	t2, 8
	beq	t1, t2, m_ecall
	li	t2, 9
	beq	t1, t2, m_ecall
	li	t2, 11
	beq	t1, t2, m_ecall
m_skip:	/* the length of the instruction, read with the rights of who executed it */
	csrr	t3, mepc
	li	t2, MPRV_MXR
	csrs	mstatus, t2
	lhu	t1, 0(t3)
	csrc	mstatus, t2
	addi	t3, t3, 2
	andi	t1, t1, 3
	addi	t1, t1, -3
	bnez	t1, 1f
	addi	t3, t3, 2
1:	csrw	mepc, t3
	li	t2, 1 << 19
	and	t2, t2, s7
	csrs	mstatus, t2
m_leave:
	restore
	and	s7, s7, tp
	csrs	mstatus, s7
	mret

m_illegal: /* floating point or vectors that were off: on, and again */
	csrr	t1, mstatus
	on_if_off	m_skip
	csrs	mstatus, t2
	j	m_leave

m_fetch:
	csrr	t1, mepc
	beq	t1, s10, m_end
	csrw	mepc, s10
	j	m_leave

m_interrupt:
	li	t2, 0x2222
	csrc	mip, t2
	li	t2, -1
	csrw	0x14d, t2 /* stimecmp */
	j	m_leave

m_ecall:
	srli	t2, a7, 16
	li	t3, SERVICE >> 16
	bne	t2, t3, m_skip
	andi	t2, a7, 3
	li	t1, 2
	bne	t2, t1, 1f
	li	t2, 0
1:	/* t3 = distance to the window of the privilege that is wanted */
	csrr	t1, mstatus
	srli	t1, t1, 11
	andi	t1, t1, 3
	seqz	t1, t1
	seqz	t3, t2
	sub	t3, t3, t1
	slli	t1, t3, 12
	add	gp, gp, t1 /* the table of U is the page behind */
	ld	t1, SAVE_WINDOW(t0)
	mul	t3, t3, t1
	slli	t2, t2, 11
	li	t1, 3 << 11
	csrc	mstatus, t1
	csrs	mstatus, t2
	csrr	t1, mepc
	addi	t1, t1, 4
	add	t1, t1, t3
	csrw	mepc, t1
	add	s10, s10, t3
	add	s9, s9, t3
	add	s0, s0, t3
	add	sp, sp, t3
	add	gp, gp, t3
	andi	t1, a7, SERVICE_SPACE
	beqz	t1, 3f
	ld	t1, SAVE_SATP(t0)
	csrr	t2, satp
	xor	t2, t2, t1
	csrw	satp, t2
3:	andi	t1, a7, SERVICE_FENCE
	beqz	t1, m_leave
	sfence.vma
	j	m_leave

m_end:
	csrr	t1, minstret
	sd	t1, SAVE_END(t0)
	li	t1, STOP
	sd	zero, 0(t1)
1:	j	1b

	.section .s_mode, "ax", @progbits
s_entry:
	save	sscratch
	ld	t1, SAVE_LEFT(t0)
	addi	t1, t1, -1
	sd	t1, SAVE_LEFT(t0)
	bltz	t1, s_end
	beqz	s10, s_end
	record	scause, sepc, stval, sstatus, sscratch
	csrr	t1, scause
	bltz	t1, s_interrupt
	li	t2, 1
	bleu	t1, t2, s_fetch
	li	t2, 12
	beq	t1, t2, s_fetch
	li	t2, 2
	beq	t1, t2, s_illegal
	li	t2, 8
	beq	t1, t2, s_ecall
s_skip:
	csrr	t3, sepc
	li	t2, SUM_MXR
	csrrs	t1, sstatus, t2
	sd	t1, (SAVE_RECORD - 8)(t0)
	lhu	t1, 0(t3)
	csrc	sstatus, t2
	addi	t3, t3, 2
	andi	t1, t1, 3
	addi	t1, t1, -3
	bnez	t1, 1f
	addi	t3, t3, 2
1:	csrw	sepc, t3
	ld	t1, (SAVE_RECORD - 8)(t0)
	and	t1, t1, t2
	csrs	sstatus, t1
s_leave:
	restore
	sret

s_illegal:
	csrr	t1, sstatus
	on_if_off	s_skip
	csrs	sstatus, t2
	j	s_leave

s_fetch:
	csrr	t1, sepc
	beq	t1, s10, s_end
	csrw	sepc, s10
	j	s_leave

s_interrupt: /* not all of them can be taken away from here */
	csrci	sip, 2
	andi	t1, t1, 63
	addi	t1, t1, -1
	beqz	t1, s_leave
	li	t2, 2
	sll	t2, t2, t1
	csrc	sie, t2
	j	s_leave

s_ecall: /* from U: what is asked for is done by M */
	srli	t2, a7, 16
	li	t3, SERVICE >> 16
	bne	t2, t3, s_skip
	csrr	t1, sepc
	addi	t1, t1, 4
	csrw	sepc, t1
	andi	t1, a7, SERVICE_SPACE
	beqz	t1, 1f
	ld	t1, SAVE_SATP(t0)
	csrr	t2, satp
	xor	t2, t2, t1
	csrw	satp, t2
	andi	t1, a7, SERVICE_FENCE
	beqz	t1, 1f
	sfence.vma
1:	andi	t1, a7, 3
	beqz	t1, s_leave
	li	t1, 1 << 8 /* S wanted: its window is lower */
	csrs	sstatus, t1
	ld	t3, SAVE_WINDOW(t0)
	csrr	t1, sepc
	sub	t1, t1, t3
	csrw	sepc, t1
	sub	s10, s10, t3
	sub	s9, s9, t3
	sub	s0, s0, t3
	sub	sp, sp, t3
	sub	gp, gp, t3
	li	t1, 0x1000
	sub	gp, gp, t1
	j	s_leave

s_end:
	li	s10, 0
	ecall
	j	s_end
