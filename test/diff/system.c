/* SPDX-License-Identifier: Apache-2.0 */
/* diff: units about privilege, translation, interrupts, faults and code that changes. They may come
 * up at any privilege: what is not allowed there traps and is skipped.
 * RISC-V Priv 20240411 §2.2, §3.1, §10.1 */
#include "test/diff/asm.h"
#include "test/diff/make.h"

enum {
	WRITE = 1,
	SET = 2,
	CLEAR = 3,
	IMMEDIATE = 4,
	FFLAGS = 1,
	FRM = 2,
	FCSR = 3,
	SSTATUS = 0x100,
	SIE = 0x104,
	SCOUNTEREN = 0x106,
	SENVCFG = 0x10a,
	SIP = 0x144,
	STIMECMP = 0x14d,
	SATP = 0x180,
	MSTATUS = 0x300,
	MEDELEG = 0x302,
	MIE = 0x304,
	MCOUNTEREN = 0x306,
	MENVCFG = 0x30a,
	MCOUNTINHIBIT = 0x320,
	MEPC = 0x341,
	SEPC = 0x141,
	MIP = 0x344,
	PMPCFG0 = 0x3a0,
	PMPADDR0 = 0x3b0
};

/* Two free registers that differ. */
static void regs_two(struct making *k, unsigned *a, unsigned *b)
{
	*a = reg_free(k);
	do
		*b = reg_free(k);
	while (*b == *a);
}

static void csr_read(struct making *k)
{
	static const uint16_t csrs[] = {
	    FFLAGS,     FRM,     FCSR,  0xc00, 0xc02, 0xc03,      SSTATUS, SIE,           0x105,
	    SCOUNTEREN, SENVCFG, 0x140, SEPC,  0x142, 0x143,      SIP,     SATP,          MSTATUS,
	    0x301,      MEDELEG, 0x303, MIE,   0x305, MCOUNTEREN, MENVCFG, MCOUNTINHIBIT, 0x340,
	    MEPC,       0x342,   0x343, MIP,   0xb00, 0xb02,      0xb03,   0xf14,         PMPCFG0,
	    PMPADDR0,   0x7c0,   0x5c0, 0xf11, 0xc01, STIMECMP};
	/* the counters come often: they show when instructions are counted */
	unsigned csr = rng_below(&k->rng, 3)   ? csrs[rng_below(&k->rng, countof(csrs))]
		       : rng_below(&k->rng, 2) ? 0xc02
					       : 0xb02;
	put(k, csr_word(SET, reg_free(k), csr, ZERO));
}

/* fle, flt, feq, of f32 or f64 */
static void float_compare(struct making *k)
{
	struct rng *r = &k->rng;
	put(k, 0xa0000053 | rng_below(r, 2) << 25 | rng_below(r, 3) << 12 | reg_free(k) << 7 |
		       rng_below(r, 32) << 15 | rng_below(r, 32) << 20);
}

/* As compilers compare quietly: flags are saved and put back; now and then something else happens
 * to them or to the register on the way. */
static void compare_quietly(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned t = reg_free(k);
	if (rng_below(r, 2)) /* else they soon are all set */
		put(k, csr_word(WRITE + IMMEDIATE, 0, FFLAGS, 0));
	put(k, csr_word(SET, t, FFLAGS, ZERO));
	for (unsigned n = rng_below(r, 3); n > 0; n--)
		float_compare(k);
	switch (rng_below(r, 8)) {
	case 0: /* fadd, fsub, fmul, fdiv, of f32 or f64 */
		put(k, 0x7053 | rng_below(r, 4) << 27 | rng_below(r, 2) << 25 |
			       rng_below(r, 32) << 7 | rng_below(r, 32) << 15 |
			       rng_below(r, 32) << 20);
		break;
	case 1: put(k, csr_word(SET, reg_free(k), FFLAGS, ZERO)); break;
	case 2: put(k, csr_word(WRITE + IMMEDIATE, 0, FFLAGS, rng_below(r, 32))); break;
	case 3: put(k, andi(t, t, (int)rng_below(r, 32))); break;
	default: break;
	}
	float_compare(k);
	put(k, csr_word(WRITE, rng_below(r, 4) ? 0 : reg_free(k), FFLAGS, t));
}

static void csr_float(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned csr = 1 + rng_below(r, 3), op = 1 + rng_below(r, 3);
	if (rng_below(r, 2)) {
		compare_quietly(k);
		return;
	}
	if (rng_below(r, 2))
		put(k, csr_word(WRITE + IMMEDIATE, rng_below(r, 2) ? reg_free(k) : 0, FRM,
				rng_below(r, 5)));
	else if (rng_below(r, 2))
		put(k, csr_word(op, rng_below(r, 2) ? reg_free(k) : 0, csr, reg_any(k)));
	else
		put(k, csr_word(op + IMMEDIATE, rng_below(r, 2) ? reg_free(k) : 0, csr,
				rng_below(r, 32)));
}

/* What bits of status registers switch on or off. */
static void csr_status(struct making *k)
{
	static const int bits[] = {1 << 18, 1 << 19, 3 << 18, 1 << 17, 3 << 13, 1 << 13,
				   1 << 14, 1 << 8,  1 << 5,  3 << 11, 1 << 11, 1 << 7};
	struct rng *r = &k->rng;
	unsigned t = reg_free(k);
	put_li(k, t, bits[rng_below(r, countof(bits))]);
	put(k, csr_word(SET + rng_below(r, 2), rng_below(r, 2) ? reg_free(k) : 0,
			rng_below(r, 2) ? SSTATUS : MSTATUS, t));
}

static void csr_other(struct making *k)
{
	static const uint16_t whole[] = {SCOUNTEREN, SENVCFG, MCOUNTEREN, MENVCFG, SEPC,
					 0x142,      0x143,   MEPC,       0x342,   0x343,
					 0xb00,      0xb02,   0xb03,      0x323};
	struct rng *r = &k->rng;
	unsigned op = 1 + rng_below(r, 3), rd = rng_below(r, 2) ? reg_free(k) : 0;
	if (rng_below(r, 6) == 0) /* cycle, instret, the first event */
		put(k, csr_word(op + IMMEDIATE, rd, MCOUNTINHIBIT, rng_below(r, 16)));
	else if (rng_below(r, 6) == 0) {
		/* ecall from S has to reach M, or programs could not end */
		unsigned t = reg_free(k);
		put_li(k, t, (int32_t)(rng_next(r) & 0xb1ff));
		put(k, csr_word(op, rd, MEDELEG, t));
	} else
		put(k, csr_word(op, rd, whole[rng_below(r, countof(whole))], reg_any(k)));
}

static void fence(struct making *k)
{
	static const uint32_t words[] = {FENCE_I,    0x0ff0000f, 0x8330000f,
					 0x0100000f, 0x18000073, 0x18100073};
	struct rng *r = &k->rng;
	unsigned n = rng_below(r, countof(words) + 3);
	if (n < countof(words))
		put(k, words[n]);
	else
		put(k,
		    sfence_vma(rng_below(r, 2) ? reg_any(k) : 0, rng_below(r, 4) ? 0 : reg_any(k)) |
			(rng_below(r, 4) ? 0 : 0x04000000)); /* sinval.vma */
}

/* A page of PLAY becomes another, or none; the fence names all, the page, or the page and space. */
static void page_change(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned t, u, i = rng_below(r, SLOTS_CODE - SLOTS);
	if (!k->p->mode)
		return;
	regs_two(k, &t, &u);
	put(k, ld(t, GP, 8 * (int)(SLOTS + i)));
	put(k, ld(u, GP, 8 * (int)(PTES + rng_below(r, PTES_CODE - PTES))));
	put(k, store(3, u, t, 0));
	put(k, ld(t, GP, 8 * (int)(VAS + i)));
	put(k, sfence_vma(rng_below(r, 3) ? t : 0, 0));
	if (rng_below(r, 2)) {
		put(k, addi(S1, t, (int)rng_below(r, 1024) * 2 - 4));
		put(k, ld(reg_free(k), S1, 0));
	}
}

static void function_call(struct making *k, unsigned t, unsigned which)
{
	put(k, ld(t, GP, 8 * (int)(FUNCS + which)));
	put(k, jalr(RA, t, 0));
	put(k, NOP4); /* for who returns one instruction later */
}

/* Other functions at the same address; one is called before and behind. */
static void code_change(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned t, u, i = rng_below(r, 4), which = rng_below(r, (PATCHED - FUNCS) / 2);
	uint64_t from = k->at;
	bool calls = !k->in_function && rng_below(r, 4);
	if (!k->p->mode)
		return;
	regs_two(k, &t, &u);
	if (calls) {
		put(k, auipc(S10, 0));
		put(k, NOP4);
		function_call(k, t, which);
	}
	put(k, ld(t, GP, 8 * (int)(SLOTS_CODE + i)));
	put(k, ld(u, GP, 8 * (int)(PTES_CODE + 2 * (i & 1) + rng_below(r, 2))));
	put(k, store(3, u, t, 0));
	put(k, ld(t, GP, 8 * (int)(SLOTS_CODE + i + (VAS - SLOTS))));
	put(k, sfence_vma(rng_below(r, 3) ? t : 0, 0));
	if (!calls)
		return;
	function_call(k, t, which);
	uint64_t end = k->at;
	k->at = from + 4;
	put(k, addi(S10, S10, (int)(end - from)));
	k->at = end;
}

static void space_change(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned t = reg_free(k), to = rng_below(r, 9);
	put(k, ld(t, GP, 8 * (int)(SPACE + (to == 8 ? 2 : to & 1))));
	put(k, csr_word(WRITE, rng_below(r, 2) ? reg_free(k) : 0, SATP, t));
	if (k->p->same_asid || rng_below(r, 4) == 0)
		put(k, sfence_vma(0, 0));
}

/* Data by the rights of another privilege, from M. */
static void mprv(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned t, u;
	regs_two(k, &t, &u);
	put_li(k, t, 3 << 11);
	put(k, csr_word(CLEAR, 0, MSTATUS, t));
	put_li(k, t, (int)(rng_below(r, 2) << 11 | rng_below(r, 4) << 18 | 1 << 17));
	if (rng_below(r, 2))
		put(k, ld(S1, GP, 8 * (int)rng_below(r, TARGETS)));
	put(k, csr_word(SET, 0, MSTATUS, t));
	for (unsigned n = rng_below(r, 4); n; n--)
		put_memory(k);
	put(k, csr_word(CLEAR, 0, MSTATUS, TP));
}

/* The first PMP entry takes rights from a page of DATA for S and U, or gives them back. */
static void pmp_change(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned t = reg_free(k);
	put_li(k, t, (int32_t)(DATA >> 2) + (int32_t)(rng_below(r, 64) << 10));
	if (rng_below(r, 4) == 0)
		put(k, addi(t, t, (int)rng_below(r, 32) * 16 + 7)); /* a part of the page */
	else
		put(k, i_word(0x13, 6, t, t, 511));
	put(k, csr_word(WRITE, 0, PMPADDR0, t));
	put(k,
	    csr_word(WRITE + IMMEDIATE, 0, PMPCFG0, rng_below(r, 3) ? 0x18 | rng_below(r, 8) : 0));
}

/* Return to the next unit, as M or S has it. Where that is not allowed, all of it is skipped. */
static void trap_return(struct making *k)
{
	struct rng *r = &k->rng;
	bool m = rng_below(r, 2);
	unsigned t = reg_free(k);
	uint64_t from = k->at, at;
	put(k, auipc(t, 0));
	at = k->at;
	put(k, NOP4);
	put(k, csr_word(WRITE, 0, m ? MEPC : SEPC, t));
	put_li(k, t, m ? (rng_below(r, 2) ? 3 << 11 : 1 << 11) : 1 << 8);
	put(k, csr_word(SET, 0, m ? MSTATUS : SSTATUS, t));
	put(k, m ? MRET : SRET);
	uint64_t end = k->at;
	k->at = at;
	put(k, addi(t, t, (int)(end - from)));
	k->at = end;
}

static void interrupt(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned t = reg_free(k);
	switch (rng_below(r, 8)) {
	case 0: put(k, csr_word(SET + IMMEDIATE, reg_free(k), SIP, 2)); break;
	case 1: put(k, csr_word(SET + IMMEDIATE, 0, SSTATUS, 2)); break;
	case 2: put(k, csr_word(SET + IMMEDIATE, 0, MSTATUS, 8)); break;
	case 3:
		put(k, csr_word(CLEAR + IMMEDIATE, 0, rng_below(r, 2) ? SSTATUS : MSTATUS,
				rng_below(r, 2) ? 2 : 8));
		break;
	case 4: put(k, csr_word(WRITE, 0, STIMECMP, rng_below(r, 2) ? ZERO : reg_any(k))); break;
	default:
		put_li(k, t, (int32_t)(rng_next(r) & 0x2222));
		put(k, csr_word(SET + (rng_below(r, 4) == 0), 0,
				rng_below(r, 3) ? (rng_below(r, 2) ? MIE : SIE) : MIP, t));
		break;
	}
}

/* wfi with something pending goes on. Below M it is illegal: programs start with TW set. */
static void wait(struct making *k)
{
	put(k, csr_word(CLEAR + IMMEDIATE, 0, MSTATUS, 8));
	put(k, csr_word(SET + IMMEDIATE, 0, MIP, 2));
	put(k, csr_word(SET + IMMEDIATE, 0, MIE, 2));
	put(k, WFI);
	put(k, csr_word(CLEAR + IMMEDIATE, 0, MIP, 2));
}

void put_system(struct making *k)
{
	uint64_t from = k->at;
	if (k->p->kind & WITH_INTERRUPTS && rng_below(&k->rng, 3) == 0) {
		if (rng_below(&k->rng, 16))
			interrupt(k);
		else
			wait(k);
		unit_end(k, from, true);
		return;
	}
	unsigned what = rng_below(&k->rng, 21);
	if (what < 4)
		csr_read(k);
	else if (what < 6)
		csr_float(k);
	else if (what < 8)
		csr_status(k);
	else if (what < 9)
		csr_other(k);
	else if (what < 10)
		fence(k);
	else if (what < 13)
		page_change(k);
	else if (what < 15)
		code_change(k);
	else if (what < 18)
		space_change(k);
	else if (what < 19)
		mprv(k);
	else if (what < 20)
		trap_return(k);
	else
		pmp_change(k);
	unit_end(k, from, true);
}

static void jump_wild(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned t = reg_free(k);
	if (!k->in_function) {
		put(k, auipc(S10, 0));
		put(k, addi(S10, S10, 16));
	}
	put(k, ld(t, GP, 8 * (int)(TARGETS + rng_below(r, SLOTS - TARGETS))));
	put(k, jalr(rng_below(r, 2), t, 0));
	put(k, NOP4); /* for who returns one instruction later */
}

void put_fault(struct making *k)
{
	struct rng *r = &k->rng;
	uint64_t from = k->at;
	struct rv_insn d;
	uint32_t w;
	switch (rng_below(r, 8)) {
	case 0: put(k, EBREAK); break;
	case 1: put(k, 0x9002); break;
	case 2: put(k, ECALL); break;
	case 3: put(k, 0); break;
	case 4:
		do
			w = (uint32_t)rng_next(r);
		while (rv_decode(w, &d));
		put(k, (w & 3) == 3 ? w : w & 0xffff);
		break;
	default: jump_wild(k); break;
	}
	unit_end(k, from, true);
}

void put_patch(struct making *k)
{
	struct rng *r = &k->rng;
	unsigned t, u;
	uint64_t from = k->at;
	if (!k->slots)
		return;
	regs_two(k, &t, &u);
	put(k, ld(t, GP, 8 * (int)(PATCHES + rng_below(r, FUNCS - PATCHES))));
	put(k, ld(u, GP, 8 * (int)(PATCHED + rng_below(r, k->slots))));
	put(k, store(2, t, u, 0));
	put(k, FENCE_I);
	unit_end(k, from, true);
}

void put_switch(struct making *k)
{
	static const uint8_t privs[] = {0, 1, 3, 0, 1};
	struct rng *r = &k->rng;
	uint64_t from = k->at;
	int what = privs[rng_below(r, countof(privs))];
	if (rng_below(r, 3) == 0)
		what |=
		    SERVICE_SPACE | (k->p->same_asid || rng_below(r, 4) == 0 ? SERVICE_FENCE : 0);
	put(k, lui(A7, SERVICE >> 12));
	put(k, addi(A7, A7, what));
	put(k, ECALL);
	put(k, addi(A7, ZERO, 0));
	unit_end(k, from, true);
}
