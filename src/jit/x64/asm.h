/* SPDX-License-Identifier: Apache-2.0 */
/* jit/x64, private: the assembler. One function per encoding form; operands are register numbers.
 * Spec: SDM2 083 §2.1, §2.3, §2.7 */
#pragma once
#include "base/base.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NOREG = 255 };
/* condition codes of jcc, setcc, cmovcc; cc ^ 1 is the opposite */
enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP,
       CC_L, CC_GE, CC_LE, CC_G };
/* the eight operations of opcodes 00..3f and 81 /n */
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
enum { SEG_GS = 0x65 };     /* prefix, before all others */
/* groups c1 /n and d3 /n */
enum { SH_ROL = 0, SH_ROR = 1, SH_SHL = 4, SH_SHR = 5, SH_SAR = 7 };

/* Distances to what stands before the code, which change when that is moved: where they end. */
enum { MOVES_MAX = 512 };
struct moves {
	uint32_t n;                 /* more than MOVES_MAX: not all are known */
	uint32_t at[MOVES_MAX];     /* bytes from the start of the code */
	uint32_t table, ntable;     /* addresses, which change as well: where, how many */
};
struct jit_asm {
	uint8_t *start, *p, *end;   /* the writable view */
	bool full;                  /* something did not fit: nothing of it may be used */
	struct moves *moves;        /* noted there; NULL: nowhere */
};
/* Code between @start and @end, of which nobody asks what would move. */
static inline struct jit_asm asm_at(uint8_t *start, uint8_t *end)
{
	return (struct jit_asm){ .start = start, .p = start, .end = end };
}

static inline void a8(struct jit_asm *a, unsigned v)
{
	if (unlikely(a->p >= a->end)) {
		a->full = true;
		return;
	}
	*a->p++ = (uint8_t)v;
}
/* The low @n bytes of @v, the lowest first; what is behind them, up to the end, may change. */
static inline void asm_put(struct jit_asm *a, uint64_t v, unsigned n)
{
	if (likely(a->end - a->p >= 8)) {
		memcpy(a->p, &v, 8);
		a->p += n;
		return;
	}
	for (; n; n--, v >>= 8)
		a8(a, v & 255);
}
static inline void a32(struct jit_asm *a, uint32_t v) { asm_put(a, v, 4); }
static inline void a64(struct jit_asm *a, uint64_t v) { asm_put(a, v, 8); }
static inline uint32_t asm_off(const struct jit_asm *a) { return (uint32_t)(a->p - a->start); }
static inline bool fits8(int64_t v) { return v == (int8_t)v; }
static inline bool fits32(int64_t v) { return v == (int32_t)v; }

/* An instruction, put together before it is written: without numbers of 32 bits none has more than
 * eight bytes. The first one is the lowest. */
struct asm_bytes {
	uint64_t v;
	unsigned n;
};
static inline void bytes_add(struct asm_bytes *b, unsigned v)
{
	b->v |= (uint64_t)(v & 255) << 8 * b->n++;
}
/* 32 bits, behind no more than four bytes. */
static inline void bytes_add32(struct asm_bytes *b, uint32_t v)
{
	b->v |= (uint64_t)v << 8 * b->n;
	b->n += 4;
}
static inline void bytes_op(struct asm_bytes *b, unsigned op)
{
	unsigned n = 1u + (op > 0xff) + (op > 0xffff);
	b->v |= (uint64_t)(__builtin_bswap32(op) >> (32 - 8 * n)) << 8 * b->n;
	b->n += n;
}
/* REX when it says something; @force for byte registers 4..7. */
static inline void bytes_rex(struct asm_bytes *b, bool w, unsigned reg, unsigned index,
                             unsigned base, bool force)
{
	unsigned rex = 0x40u | (unsigned)w << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;
	bool says = rex != 0x40 || force;
	b->v |= (uint64_t)(says ? rex : 0) << 8 * b->n;
	b->n += says;
}
/* ModRM and SIB of [base + disp]; a distance of one byte counts by @unit. True: one of 32 bits
 * follows. */
static inline bool bytes_mem(struct asm_bytes *b, unsigned reg, unsigned base, int32_t disp,
                             int32_t unit)
{
	bool is_short = disp % unit == 0 && fits8(disp / unit);
	unsigned mod = disp == 0 && (base & 7) != RBP ? 0 : is_short ? 1 : 2;
	bytes_add(b, mod << 6 | (reg & 7) << 3 | (base & 7));
	if ((base & 7) == RSP)
		bytes_add(b, 0x24);
	if (mod == 1)
		bytes_add(b, (unsigned)(disp / unit));
	return mod == 2;
}
/* [base + index << scale + disp]; index is not RSP */
static inline bool bytes_sib(struct asm_bytes *b, unsigned reg, unsigned base, unsigned index,
                             unsigned scale, int32_t disp)
{
	unsigned mod = disp == 0 && (base & 7) != RBP ? 0 : fits8(disp) ? 1 : 2;
	bytes_add(b, mod << 6 | (reg & 7) << 3 | 4);
	bytes_add(b, scale << 6 | (index & 7) << 3 | (base & 7));
	if (mod == 1)
		bytes_add(b, (unsigned)disp);
	return mod == 2;
}
static inline void bytes_regs(struct asm_bytes *b, unsigned reg, unsigned rm)
{
	bytes_add(b, 0xc0 | (reg & 7) << 3 | (rm & 7));
}
/* VEX: @pp 0 none 1 66 2 f3 3 f2; @map 1 0f, 2 0f38, 3 0f3a */
static inline void bytes_vex(struct asm_bytes *b, unsigned map, unsigned pp, bool w, unsigned reg,
                             unsigned vvvv, unsigned rm)
{
	bytes_add(b, 0xc4);
	bytes_add(b, (~reg >> 3 & 1) << 7 | 1u << 6 | (~rm >> 3 & 1) << 5 | map);
	bytes_add(b, (unsigned)w << 7 | (~vvvv & 15) << 3 | pp);
}
/* EVEX, which reaches 32 registers, and 64 bytes: @pp 8 beside the prefix; 4: 32. Bit @w says how
 * wide elements are, also where VEX ignores it. */
static inline void bytes_evex(struct asm_bytes *b, unsigned map, unsigned pp, bool w, unsigned reg,
                              unsigned vvvv, unsigned rm)
{
	bytes_add(b, 0x62);
	bytes_add(b, (~reg >> 3 & 1) << 7 | (~rm >> 4 & 1) << 6 | (~rm >> 3 & 1) << 5 |
	             (~reg >> 4 & 1) << 4 | map);
	bytes_add(b, (unsigned)w << 7 | (~vvvv & 15) << 3 | 4 | (pp & 3));
	bytes_add(b, pp >> 2 << 5 | (~vvvv >> 4 & 1) << 3);
}
static inline void bytes_write(struct jit_asm *a, struct asm_bytes b)
{
	asm_put(a, b.v, b.n);
}
/* With @disp behind it, if it is @far. */
static inline void bytes_write_at(struct jit_asm *a, struct asm_bytes b, bool far, int32_t disp)
{
	bytes_write(a, b);
	if (far)
		a32(a, (uint32_t)disp);
}

static inline void asm_op(struct jit_asm *a, unsigned op)
{
	struct asm_bytes b = {0};
	bytes_op(&b, op);
	bytes_write(a, b);
}
static inline void asm_rex(struct jit_asm *a, bool w, unsigned reg, unsigned index, unsigned base,
                           bool force)
{
	struct asm_bytes b = {0};
	bytes_rex(&b, w, reg, index, base, force);
	bytes_write(a, b);
}

/* op reg, rm: both registers. @pfx: a mandatory prefix, or 0. */
static inline void asm_prr(struct jit_asm *a, unsigned pfx, bool w, unsigned op, unsigned reg,
                           unsigned rm)
{
	struct asm_bytes b = {pfx, pfx != 0};
	bytes_rex(&b, w, reg, 0, rm, false);
	bytes_op(&b, op);
	bytes_regs(&b, reg, rm);
	bytes_write(a, b);
}
static inline void asm_rr(struct jit_asm *a, bool w, unsigned op, unsigned reg, unsigned rm)
{
	asm_prr(a, 0, w, op, reg, rm);
}
/* The same for byte registers: sil, dil, spl, bpl need a REX. */
static inline void asm_rr8(struct jit_asm *a, bool w, unsigned op, unsigned reg, unsigned rm)
{
	struct asm_bytes b = {0};
	bytes_rex(&b, w, reg, 0, rm, true);
	bytes_op(&b, op);
	bytes_regs(&b, reg, rm);
	bytes_write(a, b);
}
static inline void asm_prm(struct jit_asm *a, unsigned pfx, bool w, unsigned op, unsigned reg,
                           unsigned base, int32_t disp)
{
	struct asm_bytes b = {pfx, pfx != 0};
	bytes_rex(&b, w, reg, 0, base, false);
	bytes_op(&b, op);
	bool far = bytes_mem(&b, reg, base, disp, 1);
	bytes_write_at(a, b, far, disp);
}
static inline void asm_rm(struct jit_asm *a, bool w, unsigned op, unsigned reg, unsigned base,
                          int32_t disp)
{
	asm_prm(a, 0, w, op, reg, base, disp);
}
/* byte register @reg, memory */
static inline void asm_rm8(struct jit_asm *a, unsigned op, unsigned reg, unsigned base,
                           int32_t disp)
{
	struct asm_bytes b = {0};
	bytes_rex(&b, false, reg, 0, base, reg >= 4);
	bytes_op(&b, op);
	bool far = bytes_mem(&b, reg, base, disp, 1);
	bytes_write_at(a, b, far, disp);
}
static inline void asm_rmx(struct jit_asm *a, bool w, unsigned op, unsigned reg, unsigned base,
                           unsigned index, unsigned scale, int32_t disp)
{
	struct asm_bytes b = {0};
	bytes_rex(&b, w, reg, index, base, false);
	bytes_op(&b, op);
	bool far = bytes_sib(&b, reg, base, index, scale, disp);
	bytes_write_at(a, b, far, disp);
}

static inline void asm_vex(struct jit_asm *a, unsigned map, unsigned pp, bool w, unsigned reg,
                           unsigned vvvv, unsigned rm)
{
	struct asm_bytes b = {0};
	bytes_vex(&b, map, pp, w, reg, vvvv, rm);
	bytes_write(a, b);
}
static inline void asm_vrr(struct jit_asm *a, unsigned map, unsigned pp, bool w, unsigned op,
                           unsigned reg, unsigned vvvv, unsigned rm)
{
	struct asm_bytes b = {0};
	bytes_vex(&b, map, pp, w, reg, vvvv, rm);
	bytes_add(&b, op);
	bytes_regs(&b, reg, rm);
	bytes_write(a, b);
}
static inline void asm_vrm(struct jit_asm *a, unsigned map, unsigned pp, bool w, unsigned op,
                           unsigned reg, unsigned vvvv, unsigned base, int32_t disp)
{
	struct asm_bytes b = {0};
	bytes_vex(&b, map, pp, w, reg, vvvv, base);
	bytes_add(&b, op);
	bool far = bytes_mem(&b, reg, base, disp, 1);
	bytes_write_at(a, b, far, disp);
}
static inline void asm_err(struct jit_asm *a, unsigned map, unsigned pp, bool w, unsigned op,
                           unsigned reg, unsigned vvvv, unsigned rm)
{
	struct asm_bytes b = {0};
	bytes_evex(&b, map, pp, w, reg, vvvv, rm);
	bytes_add(&b, op);
	bytes_regs(&b, reg, rm);
	bytes_write(a, b);
}
/* Of whole registers in memory. */
static inline void asm_erm(struct jit_asm *a, unsigned map, unsigned pp, bool w, unsigned op,
                           unsigned reg, unsigned vvvv, unsigned base, int32_t disp)
{
	struct asm_bytes b = {0};
	bytes_evex(&b, map, pp, w, reg, vvvv, base);
	bytes_add(&b, op);
	bool far = bytes_mem(&b, reg, base, disp, 16 << (pp >> 2));
	bytes_write_at(a, b, far, disp);
}

/* ---- instructions ---- */
static inline void x_mov(struct jit_asm *a, bool w, unsigned to, unsigned from)
{
	if (to != from || !w)
		asm_rr(a, w, 0x89, from, to);
}
/* The shortest form; leaves the flags alone. */
static inline void x_movi(struct jit_asm *a, unsigned to, uint64_t v)
{
	struct asm_bytes b = {0};
	bytes_rex(&b, v > UINT32_MAX, 0, 0, to, false);
	if (v > UINT32_MAX && fits32((int64_t)v)) {
		bytes_add(&b, 0xc7);
		bytes_add(&b, 0xc0 | (to & 7));
	} else {
		bytes_add(&b, 0xb8 | (to & 7));
	}
	bytes_add32(&b, (uint32_t)v);
	bytes_write(a, b);
	if (v > UINT32_MAX && !fits32((int64_t)v))
		a32(a, (uint32_t)(v >> 32));
}
static inline void x_load(struct jit_asm *a, bool w, unsigned to, unsigned base, int32_t disp)
{
	asm_rm(a, w, 0x8b, to, base, disp);
}
static inline void x_store(struct jit_asm *a, bool w, unsigned from, unsigned base, int32_t disp)
{
	asm_rm(a, w, 0x89, from, base, disp);
}
/* [base + disp] := sign-extended @v */
static inline void x_storei(struct jit_asm *a, bool w, int32_t v, unsigned base, int32_t disp)
{
	asm_rm(a, w, 0xc7, 0, base, disp);
	a32(a, (uint32_t)v);
}
static inline void x_lea(struct jit_asm *a, unsigned to, unsigned base, int32_t disp)
{
	asm_rm(a, true, 0x8d, to, base, disp);
}
static inline void x_alu(struct jit_asm *a, bool w, unsigned op, unsigned to, unsigned from)
{
	asm_rr(a, w, op << 3 | 1, from, to);
}
static inline void x_alum(struct jit_asm *a, bool w, unsigned op, unsigned to, unsigned base,
                          int32_t disp)
{
	asm_rm(a, w, op << 3 | 3, to, base, disp);
}
static inline void x_alui(struct jit_asm *a, bool w, unsigned op, unsigned to, int32_t v)
{
	struct asm_bytes b = {0};
	bytes_rex(&b, w, 0, 0, to, false);
	bytes_add(&b, fits8(v) ? 0x83 : 0x81);
	bytes_regs(&b, op, to);
	if (fits8(v))
		bytes_add(&b, (unsigned)v);
	else
		bytes_add32(&b, (uint32_t)v);
	bytes_write(a, b);
}
/* op [base + disp], imm */
static inline void x_alumi(struct jit_asm *a, bool w, unsigned op, unsigned base, int32_t disp,
                           int32_t v)
{
	asm_rm(a, w, fits8(v) ? 0x83 : 0x81, op, base, disp);
	if (fits8(v))
		a8(a, (uint8_t)v);
	else
		a32(a, (uint32_t)v);
}
static inline void x_shi(struct jit_asm *a, bool w, unsigned op, unsigned to, unsigned n)
{
	asm_rr(a, w, 0xc1, op, to);
	a8(a, n);
}
static inline void x_test(struct jit_asm *a, bool w, unsigned x, unsigned y)
{
	asm_rr(a, w, 0x85, y, x);
}
static inline void asm_distance(struct jit_asm *a, const uint8_t *to)
{
	a32(a, (uint32_t)(to - (a->p + 4)));
	if (a->moves && to < a->start && a->moves->n <= MOVES_MAX) {
		if (a->moves->n < MOVES_MAX)
			a->moves->at[a->moves->n] = asm_off(a);
		a->moves->n++;
	}
}
static inline void x_jcc_to(struct jit_asm *a, unsigned cc, const uint8_t *to)
{
	asm_op(a, 0x0f80 | cc);
	asm_distance(a, to);
}
static inline void x_jmp_to(struct jit_asm *a, const uint8_t *to)
{
	a8(a, 0xe9);
	asm_distance(a, to);
}
static inline void x_call_to(struct jit_asm *a, const uint8_t *to)
{
	a8(a, 0xe8);
	asm_distance(a, to);
}
/* Forward jumps inside one function of the generator: returns where the distance goes. */
static inline uint8_t *x_jcc8(struct jit_asm *a, unsigned cc)
{
	a8(a, 0x70 | cc);
	a8(a, 0);
	return a->p;
}
static inline uint8_t *x_jmp8(struct jit_asm *a)
{
	a8(a, 0xeb);
	a8(a, 0);
	return a->p;
}
static inline void x_here8(struct jit_asm *a, uint8_t *from)
{
	if (!a->full)
		from[-1] = (uint8_t)(a->p - from);
}
static inline uint8_t *x_jcc32(struct jit_asm *a, unsigned cc)
{
	asm_put(a, 0x800f | (uint64_t)cc << 8, 6);
	return a->p;
}
static inline uint8_t *x_jmp32(struct jit_asm *a)
{
	asm_put(a, 0xe9, 5);
	return a->p;
}
/* @to := the address that the distance is aimed at */
static inline uint8_t *x_lea_rip(struct jit_asm *a, unsigned to)
{
	struct asm_bytes b = {0};
	bytes_rex(&b, true, to, 0, 0, false);
	bytes_add(&b, 0x8d);
	bytes_add(&b, (to & 7) << 3 | 5);
	bytes_add32(&b, 0);
	bytes_write(a, b);
	return a->p;
}
/* Make the 32-bit distance that ends at @from lead to @to. */
static inline void x_aim(uint8_t *from, const uint8_t *to)
{
	int32_t d = (int32_t)(to - from);
	memcpy(from - 4, &d, 4);
}
static inline void x_push(struct jit_asm *a, unsigned r)
{
	asm_rex(a, false, 0, 0, r, false);
	a8(a, 0x50 | (r & 7));
}
static inline void x_pop(struct jit_asm *a, unsigned r)
{
	asm_rex(a, false, 0, 0, r, false);
	a8(a, 0x58 | (r & 7));
}
