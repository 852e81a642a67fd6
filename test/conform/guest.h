/* SPDX-License-Identifier: Apache-2.0 */
/* conform: what the generator (host), the blob (guest code that runs in Lodge and in the oracle)
 * and the oracle's runner share: one layout at the same guest addresses on both sides.
 *
 *   CODE     1 MiB of exits: every aligned word is "jal LINK, save". Programs are placed over them,
 *            so wherever a jump lands, it leaves, and the link register tells where it landed
 *   BLOB     in its middle: loader, register loading, saving, trap entry (guest.S, blob.c)
 *   SCRATCH  what loads, stores and atomics touch; VSCRATCH those of vectors
 *   BATCH    struct batch: programs and cells
 */
#pragma once
#ifndef __ASSEMBLER__
#include <stdint.h>
#endif

#define CODE 0x80000000
#define CODE_SIZE 0x100000
#define BLOB 0x80080000
#define BLOB_SIZE 0x10000
#define SCRATCH 0x80100400
#define VSCRATCH 0x80100c00 /* to the end of the page, behind which nothing is, up to BATCH */
#define BATCH 0x80200000
#define RAM_SIZE 0x1000000
#define DONE 0x10000000 /* a store here ends a batch in Lodge */

/* Entries of the blob, 4 bytes each. Save and trap come in two variants of reserved registers. */
#define ENTRY_BATCH 0
#define ENTRY_LODGE 1
#define ENTRY_SAVE 2        /* + variant */
#define ENTRY_SAVE_TRAP 4
#define ENTRY_TRAP 6

/* Registers that hold the cell and the link in variant 0 and 1; no program names them. */
#define CELL_REG(v) ((v) ? 6 : 31)
#define LINK_REG(v) ((v) ? 7 : 30)

/* Offsets of struct state; the assembler needs them as numbers. */
#define ST_X 0
#define ST_F 256
#define ST_FCSR 512
#define ST_PC 520
#define ST_CAUSE 528
#define ST_MEM 544
#define ST_SIZE 800

/* The same of struct vstate. */
#define VS_VL 0
#define VS_VTYPE 8
#define VS_VCSR 16
#define VS_VSTART 24
#define VS_V 32
#define VS_SIZE 3104

#ifndef __ASSEMBLER__
enum { SCRATCH_SIZE = 256, PROGRAM_WORDS = 12, PROGRAMS = 512, SETS = 8,
       VSCRATCH_SIZE = 1024, VPROGRAMS = 64 };
/* Kinds of leaving: 0 through an exit, else a trap. Memory faults are one kind: the oracle tells
 * them apart less well. */
enum { CAUSE_EXIT = 0, CAUSE_ILLEGAL = 2, CAUSE_BREAK = 3, CAUSE_MEMORY = 5 };

struct state {
	uint64_t x[32], f[32];
	uint64_t fcsr, pc, cause, unused;
	uint8_t mem[SCRATCH_SIZE];
};
struct cell {
	struct state in, out;
};
/* What a cell has beside it in a batch about vectors. Registers lie as far apart as they are
 * long. */
struct vstate {
	uint64_t vl, vtype, vcsr, vstart;
	uint8_t v[32 * 64];
	uint8_t mem[VSCRATCH_SIZE];
};
struct vcell {
	struct vstate in, out;
};
struct program {
	uint64_t pc;
	uint32_t code[PROGRAM_WORDS];
};
struct batch {
	uint32_t variant, programs;
	uint32_t vlenb, unused;         /* bytes of a vector register; 0: not about vectors */
	struct program program[PROGRAMS];
	struct cell cell[PROGRAMS * SETS];
	struct vcell vcell[VPROGRAMS * SETS];
};
_Static_assert(sizeof(struct vstate) == VS_SIZE, "the assembler's offsets");
_Static_assert(sizeof(struct state) == ST_SIZE, "the assembler's offsets");
_Static_assert(CODE + RAM_SIZE >= BATCH + sizeof(struct batch), "the batch fits");

/* jal rd, to - from */
static inline uint32_t word_jal(unsigned rd, uint64_t from, uint64_t to)
{
	uint32_t d = (uint32_t)(to - from);
	return (d >> 20 & 1) << 31 | (d >> 1 & 0x3ff) << 21 | (d >> 11 & 1) << 20 |
	       (d >> 12 & 0xff) << 12 | rd << 7 | 0x6f;
}
static inline uint32_t word_exit(uint64_t at, unsigned variant)
{
	return word_jal(LINK_REG(variant), at, BLOB + 4 * (ENTRY_SAVE + variant));
}
#endif
