# SPDX-License-Identifier: Apache-2.0
# The loops of loops.c as RISC-V Unpriv 20240411 §31.6.4 has them: as many elements a round as
# vsetvli gives, in groups of 1, 4 and 8 registers.
.option arch, +v

.macro STRIP_COPY lmul
	.globl	copy_\lmul
	.type	copy_\lmul, @function
copy_\lmul:
1:	vsetvli	t0, a2, e8, \lmul, ta, ma
	vle8.v	v8, (a1)
	add	a1, a1, t0
	sub	a2, a2, t0
	vse8.v	v8, (a0)
	add	a0, a0, t0
	bnez	a2, 1b
	ret
.endm

# the sums of the strips, v8, into one, v1[0]
.macro STRIP_DOT name, lmul, width, shift, macc, reduce, take
	.globl	\name\()_\lmul
	.type	\name\()_\lmul, @function
\name\()_\lmul:
	vsetvli	t0, zero, e\width, \lmul, ta, ma
	vmv.v.i	v8, 0
1:	vsetvli	t0, a2, e\width, \lmul, tu, ma
	vle\width\().v v16, (a0)
	slli	t1, t0, \shift
	add	a0, a0, t1
	vle\width\().v v24, (a1)
	add	a1, a1, t1
	sub	a2, a2, t0
	\macc	v8, v16, v24
	bnez	a2, 1b
	vsetvli	t0, zero, e\width, \lmul, ta, ma
	vmv.s.x	v1, zero
	\reduce	v1, v8, v1
	\take
	ret
.endm

.macro STRIPS lmul
	STRIP_COPY \lmul
	STRIP_DOT dotf, \lmul, 32, 2, vfmacc.vv, vfredusum.vs, "vfmv.f.s fa0, v1"
	STRIP_DOT dotd, \lmul, 64, 3, vfmacc.vv, vfredusum.vs, "vfmv.f.s fa0, v1"
	STRIP_DOT doti, \lmul, 32, 2, vmacc.vv, vredsum.vs, "vmv.x.s a0, v1"
.endm

	.text
	STRIPS m1
	STRIPS m4
	STRIPS m8
	.section .note.GNU-stack, "", @progbits
