/* SPDX-License-Identifier: Apache-2.0 */
/* jit/x64, private: what the files of IR_each share. xmm0 to xmm3 are free in every map. */
#pragma once
#include "jit/x64/internal.h"

enum { FIRST_MOST = 256 }; /* bits that are looked at; the jumps there are short */
enum { SUM_MOST = 128 };   /* floats that are added one by one; each is an instruction */
enum { V_A, V_B, V_MASK, V_SCALAR }; /* xmm0 to xmm3, as they are mostly used */
enum { K_MASK = 1, K_MORE };         /* k1, k2 */
enum { L_32 = 4, L_64 = 8 };         /* the length beside pp */

struct each {
	struct jit_gen *g;
	struct jit_asm *a;
	struct ir_each e;
	struct slow *slow;
	unsigned nslow;
	unsigned type;          /* of the key */
	unsigned elem;          /* log2 of bytes */
	unsigned bytes, step;   /* of a group, or of the part of a register; of a host register */
	unsigned wide;          /* the length beside pp: L_32, L_64, or 0 */
	bool evex;              /* operands may lie where only that reaches */
	bool apart;             /* no operand is in host registers: the state is up to date */
	struct place place;     /* of memory */
	bool faults;            /* accesses there may */
};

/* A register or group that is read or written. */
struct each_use {
	uint8_t reg;
	bool whole, read, write; /* whole: a group, element by element */
	bool all;               /* a group all the same */
};

/* The fields that follow from @packed and @type. */
void each_shape(struct each *x, struct jit_gen *g, uint32_t packed, unsigned type);
/* What instruction @i of @b is, if it can be made inline. */
bool each_init(struct each *x, struct jit_gen *g, const struct ir_block *b,
               const struct ir_ins *i);
unsigned each_uses(struct ir_each e, struct each_use ret[3]);
static inline bool each_is_float(uint8_t op)
{
	return op == IR_EACH_fadd || op == IR_EACH_fsub || op == IR_EACH_fmul ||
	       op == IR_EACH_fmacc || op == IR_EACH_fsum;
}
static inline uint32_t each_key(const struct each *x) { return x->type | IR_KEY; }
/* Elements of the longest vector of @type. */
unsigned each_most(const struct jit_gen *g, unsigned type);
/* No more than 32 bytes at once. */
void each_narrow(struct each *x);
/* Host register with the bytes at @off of the group at @reg; NOREG: they are in the state. */
unsigned each_home(const struct each *x, unsigned reg, unsigned off);
int32_t each_at(const struct each *x, unsigned reg, unsigned off);
/* The helper does it if @cc. */
void each_unless(struct each *x, unsigned cc);
/* asm_vrr and asm_vrm of x->step bytes, or EVEX where that reaches. There, W goes by the width of
 * elements, except without a prefix. */
void each_rr(struct each *x, unsigned map, unsigned pp, bool w, unsigned op, unsigned reg,
             unsigned vvvv, unsigned rm);
void each_rm(struct each *x, unsigned map, unsigned pp, bool w, unsigned op, unsigned reg,
             unsigned vvvv, unsigned base, int32_t disp);
/* vmovups */
void each_load(struct each *x, unsigned to, unsigned reg, unsigned off);
void each_store(struct each *x, unsigned from, unsigned reg, unsigned off);
/* The same bytes in a host register: their home, or @spare. */
unsigned each_get(struct each *x, unsigned reg, unsigned off, unsigned spare);
/* V_SCALAR := the scalar in rdx, as often as fits */
void each_broadcast(struct each *x);
/* @to := @from op y, y at offset @off of register b or in V_SCALAR. */
void each_with_y(struct each *x, unsigned map, unsigned pp, bool w, unsigned op, unsigned to,
                 unsigned from, unsigned off);

static inline bool each_is_const(const struct ir_block *b, uint32_t v)
{
	return b->ins[v].op == IR_const;
}

/* ---- each_begin.c ---- */
/* rax := elements, of rax wanted */
void each_begin(struct each *x);
/* Value @n, which each_promises: fewer elements than @most, and the unit is left. */
void each_begin_all(struct each *x, uint32_t n, unsigned most);
/* vsetvli x0, x0: as many elements as before, of another type. False: it is not known how many. */
bool each_begin_keeps(struct each *x, uint32_t n);

/* ---- each_mem.c ---- */
/* Mirrored units: memory at guest address @v, where accesses may fault. What was moved before a
 * fault is moved again by the helper. */
void each_place_mirrored(struct each *x, uint32_t v);
/* The same by the TLB, of the guest address in rdx. */
void each_place_by_tlb(struct each *x, bool write);
void each_load_memory(struct each *x);
void each_store_memory(struct each *x);

/* ---- each_fp.c ---- */
void each_floats(struct each *x);
void each_float_sum(struct each *x);
/* Looks at what floating point needs, and at the scalar. */
void each_float_ready(struct each *x);
