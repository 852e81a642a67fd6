/* SPDX-License-Identifier: Apache-2.0 */
/* diff: words of the instructions that programs are built around. RISC-V Unpriv 20240411 §2, §34 */
#pragma once
#include <stdint.h>

enum reg {
	ZERO,
	RA,
	SP,
	GP,
	TP,
	T0,
	T1,
	T2,
	S0,
	S1,
	A0,
	A1,
	A2,
	A3,
	A4,
	A5,
	A6,
	A7,
	S2,
	S3,
	S4,
	S5,
	S6,
	S7,
	S8,
	S9,
	S10,
	S11,
	T3,
	T4,
	T5,
	T6
};
#define MRET    0x30200073u
#define SRET    0x10200073u
#define WFI     0x10500073u
#define EBREAK  0x00100073u
#define ECALL   0x00000073u
#define FENCE_I 0x0000100fu
#define NOP4    0x00000013u
#define NOP2    0x0001u

static inline uint32_t i_word(uint32_t opcode, uint32_t f3, unsigned rd, unsigned rs1, int imm)
{
	return opcode | rd << 7 | f3 << 12 | rs1 << 15 | (uint32_t)imm << 20;
}
static inline uint32_t r_word(uint32_t f7, uint32_t f3, unsigned rd, unsigned rs1, unsigned rs2)
{
	return 0x33 | rd << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | f7 << 25;
}
static inline uint32_t addi(unsigned rd, unsigned rs1, int imm)
{
	return i_word(0x13, 0, rd, rs1, imm);
}
static inline uint32_t andi(unsigned rd, unsigned rs1, int imm)
{
	return i_word(0x13, 7, rd, rs1, imm);
}
static inline uint32_t slli(unsigned rd, unsigned rs1, int n)
{
	return i_word(0x13, 1, rd, rs1, n);
}
static inline uint32_t add(unsigned rd, unsigned a, unsigned b) { return r_word(0, 0, rd, a, b); }
static inline uint32_t sub(unsigned rd, unsigned a, unsigned b)
{
	return r_word(32, 0, rd, a, b);
}
static inline uint32_t lui(unsigned rd, uint32_t hi) { return 0x37 | rd << 7 | hi << 12; }
static inline uint32_t auipc(unsigned rd, uint32_t hi) { return 0x17 | rd << 7 | hi << 12; }
static inline uint32_t ld(unsigned rd, unsigned rs1, int imm)
{
	return i_word(0x03, 3, rd, rs1, imm);
}
static inline uint32_t store(uint32_t f3, unsigned rs2, unsigned rs1, int imm)
{
	uint32_t v = (uint32_t)imm;
	return 0x23 | (v & 31) << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | (v >> 5) << 25;
}
static inline uint32_t jalr(unsigned rd, unsigned rs1, int imm)
{
	return i_word(0x67, 0, rd, rs1, imm);
}
static inline uint32_t jal(unsigned rd, int64_t off)
{
	uint32_t v = (uint32_t)off;
	return 0x6f | rd << 7 | (v & 0xff000) | (v >> 11 & 1) << 20 | (v >> 1 & 0x3ff) << 21 |
	       (v >> 20 & 1) << 31;
}
static inline uint32_t branch(uint32_t f3, unsigned rs1, unsigned rs2, int64_t off)
{
	uint32_t v = (uint32_t)off;
	return 0x63 | (v >> 11 & 1) << 7 | (v >> 1 & 15) << 8 | f3 << 12 | rs1 << 15 | rs2 << 20 |
	       (v >> 5 & 63) << 25 | (v >> 12 & 1) << 31;
}
/* c.beqz, c.bnez: rs1 is one of x8 to x15, @off within 254 bytes */
static inline uint32_t c_branch(unsigned nez, unsigned rs1, int64_t off)
{
	uint32_t v = (uint32_t)off;
	return 0xc001 | nez << 13 | (v >> 8 & 1) << 12 | (v >> 3 & 3) << 10 | (rs1 - 8) << 7 |
	       (v >> 6 & 3) << 5 | (v >> 1 & 3) << 3 | (v >> 5 & 1) << 2;
}
/* @op 1 write, 2 set, 3 clear; + 4: @rs1 is the value */
static inline uint32_t csr_word(uint32_t op, unsigned rd, unsigned csr, unsigned rs1)
{
	return 0x73 | rd << 7 | op << 12 | rs1 << 15 | csr << 20;
}
static inline uint32_t sfence_vma(unsigned rs1, unsigned rs2)
{
	return 0x12000073 | rs1 << 15 | rs2 << 20;
}
