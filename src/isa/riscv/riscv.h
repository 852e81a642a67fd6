/* SPDX-License-Identifier: Apache-2.0 */
/* isa/riscv: the RISC-V hart: its state, its instructions (rv.insn + sem_*.c), privilege, memory
 * management, and the built-in SBI firmware. Engines run harts; this room says what they mean.
 *
 * One thread owns a hart (its vCPU thread). Others reach it only through rv_hart_irq and
 * rv_hart_kick. Specs: RISC-V Unpriv 20240411, RISC-V Priv 20240411, SBI 2.0. */
#pragma once
#include "bus/bus.h"
#include "fp/fp.h"
#include "mem/mem.h"
#include "rv_insn.gen.h"

enum {
	RV_HARTS_MAX = 16,
	RV_TLB_SIZE = 4096,         /* entries of the data TLB, direct-mapped */
	RV_PMP_MAX = 64,
	RV_HPM_MAX = 29,            /* mhpmcounter3..31 */
	RV_TIMEBASE_HZ = 10000000,
	RV_SBI_FW_COUNTERS = 16,
	RV_VLENB_MAX = 64,          /* bytes of the longest vector register that can be had */
};
enum rv_priv { RV_U = 0, RV_S = 1, RV_M = 3 };
enum rv_access { RV_READ = 1, RV_WRITE = 2, RV_EXEC = 4 };

/* Exception causes; 0 is a valid cause, so "none" is RV_EXC_NONE. Priv §3.1.15 */
enum rv_exc {
	RV_EXC_FETCH_MISALIGNED = 0,
	RV_EXC_FETCH_ACCESS = 1,
	RV_EXC_ILLEGAL = 2,
	RV_EXC_BREAKPOINT = 3,
	RV_EXC_LOAD_MISALIGNED = 4,
	RV_EXC_LOAD_ACCESS = 5,
	RV_EXC_STORE_MISALIGNED = 6,
	RV_EXC_STORE_ACCESS = 7,
	RV_EXC_ECALL_U = 8,
	RV_EXC_ECALL_S = 9,
	RV_EXC_ECALL_M = 11,
	RV_EXC_FETCH_PAGE = 12,
	RV_EXC_LOAD_PAGE = 13,
	RV_EXC_STORE_PAGE = 15,
	RV_EXC_NONE = -1,
};
/* Interrupt bits of mip and mie. Priv §3.1.9 */
enum rv_irq {
	RV_SSI = 1,
	RV_MSI = 3,
	RV_STI = 5,
	RV_MTI = 7,
	RV_SEI = 9,
	RV_MEI = 11,
	RV_LCOFI = 13
};

/* Data TLB. tag = (va & ~0xfff) | context; a tag that cannot match is RV_TLB_NONE.
 * An access of n bytes compares (va & (~0xfff | (n - 1))) | h->dctx, so a misaligned one misses
 * and takes the slow path. host = va + add. */
#define RV_TLB_NONE UINT64_MAX
struct rv_tlb {
	uint64_t tag_r, tag_w;
	uint64_t add;
	uint64_t pa;                /* of the page */
};

struct rv_hart;
/* What a process's harts ask of the level. Such a hart is in U mode for good, and a guest address
 * is the host's: what the host allows there is what the guest may do. All functions get env->user
 * and run on the hart's thread; npc is where it goes on, and they may change it and all
 * registers. */
struct rv_process {
	uint64_t end;               /* guest addresses are below */
	/* enum rv_access bits of the page at @va, and RV_OF_FILE; 0: nothing is there. Thread: any.
	 */
	unsigned (*rights)(void *user, uint64_t va);
	void (*ecall)(void *user, struct rv_hart *h);
	/* At h->pc. @tval as of the trap; h->fault_sig and fault_code are set for faults of
	 * addresses. */
	void (*exception)(void *user, struct rv_hart *h, enum rv_exc cause, uint64_t tval);
	void (*look)(void *user, struct rv_hart *h); /* RV_REQ_LOOK was requested */
	/* @copy are @n bytes of code at @va, as memory has them: put in what a debugger put
	 * there. A change of that is a change of code (rv_code_stale). Thread: any. NULL: none. */
	void (*code)(void *user, uint64_t va, uint8_t *copy, size_t n);
};
enum { RV_PROCESS_REACH = 39, RV_STALE = 8 };
enum { RV_OF_FILE = 16 }; /* the page is of a file, which other processes may have as well */
struct rv_range {
	uint64_t lo, hi;
};

/* What all harts of a machine share. Filled by the level before harts run, constant after. */
struct rv_env {
	/* NULL: this is a machine. Else mem and bus are not used, nharts is 0 */
	const struct rv_process *process;
	struct mem *mem;
	struct bus *bus;
	const struct vclock *clock;
	struct log *log;
	struct rv_hart *harts[RV_HARTS_MAX];
	unsigned nharts;
	unsigned mmu_max; /* 39, 48 or 57: the largest satp mode that exists; 0: bare only */
	unsigned pmp_entries;       /* 0, 16 or 64 */
	unsigned vlen;              /* bits of a vector register: 128, 256, 512; 0: no vectors */
	/* for engines that translate; 0: their own choice */
	uint32_t hot;               /* runs of a block before it is translated, plus 1 */
	/* of processes, atomic: one hart runs, and nobody else touches what it writes, so that its
	 * atomics need not be. Changed by that hart, which comes back from its engine (say
	 * RV_REQ_LOOK) before it runs another instruction */
	bool alone;
	uint64_t code_bytes;        /* of all harts' translated code */
	uint32_t opt_at;            /* samples of a unit before it is optimized; 1: all, at once,
	                             * even where it is of no use, for tests */
	bool opt_sync;              /* optimize on the hart's own thread */
	bool narrow;                /* leave the host's longest vectors alone; for tests */
	struct code_share *share;   /* of processes and their engine (engine.h); NULL: none */
	uint64_t trace_pc;          /* log the translation of code at this virtual address; 0: none,
	                             * UINT64_MAX: all */
	/* CPU time in us after which an address space gets a window onto its memory, plus 1; 0: no
	 * windows, 1: at once and whatever it costs */
	uint32_t mirror;
	bool count;                 /* interpret, and count each access */
	bool sbi;                   /* built-in SBI answers ecall from S; else it traps to M */
	/* Every @checkpoint_every instructions (0: never) of a hart whose time is counted. Called
	 * with all of @h's registers in place, on its thread. */
	uint64_t checkpoint_every;
	void (*checkpoint)(void *user, struct rv_hart *h);
	/* machine services that SBI and devices ask of the level */
	void (*system_reset)(void *user, uint32_t type, uint32_t reason); /* SBI SRST values */
	void (*console_write)(void *user, const uint8_t *p, size_t n);
	size_t (*console_read)(void *user, uint8_t *p, size_t cap);
	void *user;
};

/* Why a vCPU thread leaves rv_run (engine). */
enum rv_hsm {
	RV_HSM_STARTED,
	RV_HSM_STOPPED,
	RV_HSM_START_PENDING,
	RV_HSM_SUSPENDED,      /* wakes up where it slept */
	RV_HSM_SUSPENDED_LOST, /* wakes up at hsm_start_pc, registers lost */
};

struct rv_hart {
	/* ---- registers, hot ---- */
	uint64_t x[33];             /* x[32] swallows writes to x0 */
	uint64_t f[32];             /* f32 NaN-boxed */
	uint64_t pc;
	uint64_t npc;               /* next pc, set by instructions that jump or end a block */
	uint64_t dctx;              /* context of data accesses, bits 4..11 of a TLB tag */
	uint64_t icount;            /* instructions begun (minstret = icount + instret_off) */
	uint64_t limit;             /* atomic: leave the fast path when icount >= limit; 0: now */
	int64_t exc;                /* pending exception cause of the current instruction */
	uint64_t tval;
	struct fp_env fp;           /* fflags */
	uint32_t frm;               /* fcsr.frm, 0..7 */
	uint32_t fs;                /* mstatus.FS: 0 off; writers of f or fflags set it to 3 */
	uint8_t priv;               /* enum rv_priv */
	bool wfi;                   /* waiting for an interrupt */
	uint32_t fetch_epoch;       /* ++ by fence.i: decoded blocks older than this are verified */
	uint32_t map_epoch;         /* ++ when fetch mappings of all contexts may differ */
	/* context of instruction fetch: a number that is never used for another one. What is kept
	 * by (virtual address, fctx) stays right while map_epoch stays: a fence gives a new fctx to
	 * the contexts that it concerns. So does rv_fetch now and then: read this after it. */
	uint64_t fctx;
	uint64_t engine_run[14];    /* of engines: what generated code reaches by offset */
	/* ---- vectors. RISC-V Unpriv 20240411 §31.3 ---- */
	uint64_t vl, vtype, vstart; /* as the CSRs have them */
	uint32_t vs;                /* mstatus.VS: 0 off; whatever runs sets it to 3 */
	uint32_t vlenb;             /* bytes of a register; 0: there are none. Never changes */
	uint8_t vxrm, vxsat;
	/* vtype | IR_KEY when VS is dirty and vstart 0, else 0; and the same where also vl is
	 * VLMAX: what engines do by themselves. rv_vector_settle */
	uint32_t vready, vkey;
	/* register n at n * vlenb, so that those of a group lie together */
	_Alignas(64) uint8_t v[32 * RV_VLENB_MAX];

	/* ---- load reservation ---- */
	uint64_t res_va, res_val;   /* LR address (UINT64_MAX: none) and the value it saw */
	uint8_t res_size;

	/* ---- control and status registers (only what is not derived) ---- */
	uint64_t mstatus;           /* without FS/SD, which live in fs */
	uint64_t mtvec, mscratch, mepc, mcause, mtval, medeleg, mideleg, mie;
	uint64_t mcounteren, mcountinhibit, menvcfg, mseccfg;
	uint64_t stvec, sscratch, sepc, scause, stval, satp, scounteren, senvcfg, stimecmp;
	uint64_t mhpmevent[RV_HPM_MAX], mhpmcounter[RV_HPM_MAX];
	uint64_t instret_off, cycle_off;
	uint64_t pmpaddr[RV_PMP_MAX];
	uint8_t pmpcfg[RV_PMP_MAX];
	uint64_t mip_soft;          /* bits written by software: STIP (no Sstc), SEIP, LCOFIP */
	unsigned id;                /* mhartid */

	/* ---- reached by other threads (atomic) ---- */
	uint64_t mip_lines;         /* levels of MSI, MTI, MEI, SEI lines; SSIP, whoever sets it */
	uint32_t requests;          /* bits below, handled at the next block boundary */
	uint32_t hsm;               /* enum rv_hsm */
	uint64_t hsm_start_pc, hsm_start_arg;

	/* ---- built-in SBI: per-hart state of STA and PMU ---- */
	uint64_t sta_gpa;           /* steal-time record; UINT64_MAX: none */
	uint64_t steal_ns;
	uint64_t fw_value[RV_SBI_FW_COUNTERS];
	uint32_t fw_event[RV_SBI_FW_COUNTERS]; /* SBI PMU event code */
	uint32_t fw_used, fw_running;          /* bit per firmware counter */
	uint32_t hw_used, hw_running;          /* bit 0 cycle, 2 instret: taken by PMU */

	int steal_fd;               /* the host's scheduling statistics of this thread; -1: none */
	uint64_t steal_seen_ns, steal_look_ns;
	bool stip;                  /* stimecmp had passed at the last look at the clock */
	uint64_t poll_ns, poll_icount; /* when that was */
	uint64_t poll_rate;         /* instructions per 1024 ns, smoothed */
	/* ---- counted time (vclock_count) ----
	 * Runs are then the same on every engine, though blocks end at different places: what
	 * is due is done at the first of these instructions that both know: csr instructions
	 * (but fflags, frm, fcsr, vl, vtype, vlenb), mret, sret, ecall to the SBI, wfi; jalr;
	 * and branches and jal that are taken and do not go forward. @sync is the icount before
	 * such an instruction. Helpers set it for the first group; for jumps, an engine that
	 * finds icount >= limit right behind one stores icount - 1 before it calls rv_poll.
	 * rv_poll at another place does nothing of the kind and asks for a look after one more
	 * instruction. */
	uint64_t idle;              /* instructions' worth of time that wfi skipped */
	uint64_t sync;
	uint64_t next_checkpoint;
	struct rv_env *env;         /* borrowed */
	void *engine;               /* the engine's own data of this hart; owned by the engine */
	/* ---- of processes ---- */
	void *task;                 /* the level's own */
	int fault_sig, fault_code;  /* what the host said of the access that raised exc */
	/* code that may have changed since units were compared last (rv_code_stale) */
	struct rv_range stale[RV_STALE];
	unsigned nstale;
	bool code_gone;             /* or nothing of it is left (rv_code_gone) */
	/* For an engine that keeps data translations of its own; NULL: none does. */
	/* What is known of user page @va (UINT64_MAX: of all pages) in address space @asid (< 0: in
	 * all) ends before U mode runs again. Thread: the hart's. */
	void (*fenced)(struct rv_hart *h, uint64_t va, int asid);
	/* On return nothing is written to the frame @pa but by rv_store_slow and the like. Thread:
	 * any. */
	void (*watched)(struct rv_hart *h, uint64_t pa);
	/* For an engine that can give memory back: the hart has done next to nothing for some
	 * seconds, and sleeps. Thread: the hart's, where no code runs. NULL: none. */
	void (*idled)(struct rv_hart *h);
	uint64_t idle_ns, idle_icount; /* when that time began, and icount then */
	uint64_t idle_insns;        /* run in the time before */
	bool idle_told;
	struct rv_mmu *mmu;         /* contexts and page-range bookkeeping; owned by this room */
	struct rv_fences *fences;   /* remote fence queue; owned by this room */
	struct rv_tlb tlb[RV_TLB_SIZE]; /* last: the rest lies in a page or two */
};
/* bits of requests */
enum {
	RV_REQ_FENCE_I = 1,
	RV_REQ_SFENCE = 2,
	RV_REQ_STOP = 4,
	RV_REQ_PAUSE = 8,
	RV_REQ_START = 16,
	RV_REQ_LOOK = 32, /* of processes: call process->look */
	RV_REQ_HOLD = 64, /* as PAUSE, for a moment only: the guest's clock goes on */
	RV_REQ_LEAVE = RV_REQ_STOP | RV_REQ_PAUSE | RV_REQ_HOLD,
};

/* ---- life ---- */
int rv_hart_new(struct rv_hart **ret, struct rv_env *env, unsigned id, struct lodge_err *e) MUST;
void rv_hart_free(struct rv_hart *h);
/* Reset state: M mode at @pc, a0 = hart id, a1 = @dtb; with env->sbi: S mode as SBI §9.1 says,
 * and only hart 0 runs: the others are HSM-stopped until a hart starts them. The hart must not
 * be running, or be this thread's. */
void rv_hart_reset(struct rv_hart *h, uint64_t pc, uint64_t dtb);
/* As Linux starts a program: U mode at @pc, all registers 0 but sp, the FPU on. */
void rv_process_reset(struct rv_hart *h, uint64_t pc, uint64_t sp);
/* A hart that ran a thread before goes on at @pc with another, whose registers the caller puts in;
 * requests are forgotten. Code that it knows stays. */
void rv_process_next(struct rv_hart *h, uint64_t pc);
/* All architectural state as a table (registers, CSRs). After state_load call rv_hart_loaded. */
extern const struct state_field rv_hart_state[];
/* After state_load of bytes from outside, before rv_hart_loaded: is it a state that a hart can get
 * into? If not, the hart must be reset. */
bool rv_hart_valid(const struct rv_hart *h) MUST;
void rv_hart_loaded(struct rv_hart *h);

/* ---- from other threads ---- */
/* Drive line @irq (enum rv_irq) of the hart and wake it. Has the type of irq.set with ctx = hart.
 */
void rv_hart_irq(void *hart, unsigned irq, bool level);
/* Make the hart look at requests and interrupts soon (wakes WFI too). */
void rv_hart_kick(struct rv_hart *h);
void rv_hart_request(struct rv_hart *h, uint32_t bits);

/* The hart was kept from running for @ns, outside of its engine: it counts as stolen time, if it
 * would have run. Thread: the hart's. */
void rv_held(struct rv_hart *h, uint64_t ns);

/* ---- instructions ---- */
struct rv_insn {
	uint16_t op;                /* enum rv_op of rv_insn.gen.h */
	uint8_t rd, rs1, rs2, rs3;  /* rd is 32 for an x destination that is x0 */
	uint8_t aux;                /* rounding mode (7: dynamic), or aq << 1 | rl; of V, aux << 8 |
	                             * rs3 is op - RV_OP_vsetvli */
	uint8_t len;                /* bytes: 2 or 4 */
	int32_t imm;
	uint32_t word;              /* as fetched, 16 bits zero-extended */
	uint16_t vtype;             /* of translators: what it may be here, | 0x8000; 0: unknown */
};
/* Decode @word (its low half when that is a 16-bit instruction). False: illegal; ret->len and
 * ret->word are set all the same. Thread: any. Spec: rv.insn */
bool rv_decode(uint32_t word, struct rv_insn *ret) MUST;
/* Text of the instruction at @pc into @buf, "illegal 0x..." when it is none. */
void rv_disasm(uint32_t word, uint64_t pc, char *buf, size_t cap);
struct rv_builder;
struct ir_block;
/* Append the meaning of operation @op to b->ir. */
void rv_semantics(struct rv_builder *b, unsigned op);
/* The meaning of @d at @pc into the emptied @ir. With @delta, @pc is an address of the caller's
 * kind (physical, say) and the hart's field at that offset is what must be added to make it
 * virtual; targets of jumps stay of the caller's kind. */
void rv_lift(struct ir_block *ir, const struct rv_insn *d, uint64_t pc, uint64_t delta);

/* ---- called by engines, on the hart's thread ---- */
/* Take the exception @cause at h->pc: updates CSRs, privilege, pc. Priv §3.1.6.1 */
void rv_trap(struct rv_hart *h, enum rv_exc cause, uint64_t tval);
/* Handle requests, timers and counters; take the highest pending enabled interrupt, if any.
 * Sets h->limit for the next look. True: h->pc or privilege may have changed. Priv §3.1.9 */
bool rv_poll(struct rv_hart *h);
/* Pending and enabled interrupts that would wake a WFI (regardless of global enables). */
uint64_t rv_irq_pending(struct rv_hart *h);
/* Guest time (ns, vclock) of the next timer event of this hart; UINT64_MAX: none. */
uint64_t rv_next_event_ns(struct rv_hart *h);
/* Block until an interrupt may be pending, a request arrives, or the hart is stopped by HSM and
 * later started. Returns at once when h->wfi is false and the hart is started. */
void rv_wait(struct rv_hart *h);
/* This thread runs no guest instruction until it calls rv_poll again: remote fences need not wait
 * for it. An engine says so before it leaves its run loop (pause, stop). */
void rv_rest(struct rv_hart *h);

/* Translate @va for an instruction fetch. On success *ret_host is the host address of the byte,
 * *ret_pa its physical address; both valid to the end of the 4 KiB page. Else h->exc, h->tval
 * are set. Execution outside RAM is an access fault. Priv §4.3.2 */
bool rv_fetch(struct rv_hart *h, uint64_t va, const uint8_t **ret_host, uint64_t *ret_pa) MUST;
/* After rv_fetch of @va: log2 of the naturally aligned region around it that the same leaf maps, so
 * that code in it may be reached by a distance: 12, 16 or 21. What hangs on that has to be found
 * by the physical address and this number together, for the page may also be mapped otherwise.
 * *ret_global: the leaf is the same in all address spaces. */
unsigned rv_fetch_region(struct rv_hart *h, uint64_t va, bool *ret_global);
/* Slow paths of loads and stores of 1, 2, 4, 8 bytes: walk, fill the TLB, MMIO, misaligned and
 * page-crossing accesses. False: h->exc and h->tval are set. */
bool rv_load_slow(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *ret_zext) MUST;
bool rv_store_slow(struct rv_hart *h, uint64_t va, unsigned size, uint64_t val) MUST;
/* Host address for an atomic access of @size bytes (naturally aligned, in RAM, readable and
 * writable with A and D set), or NULL with h->exc, h->tval set (store/AMO causes). LR passes
 * RV_READ and gets load causes. */
void *rv_atomic_ptr(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access a) MUST;

/* What the tables say now of the page at @va for U mode's loads and stores, with A (and D) set
 * already. Changes nothing. False: a load needs a walk, or more than one answer. *ret_shift: log2
 * of the leaf's size. */
bool rv_user_page(struct rv_hart *h, uint64_t va, uint64_t *ret_pa, bool *ret_write,
                  unsigned *ret_shift) MUST;

/* ---- code that an engine keeps (code.c) ----
 * A frame is watched from the moment that an engine reads code out of it until somebody writes to
 * it; what was written is asked for after each fence.i, which is when stores must become visible
 * to fetch. So stores cost nothing extra, and a fence.i only verifies what changed. */
/* The engine is about to read code from the frame of @pa: call it before each look at the bytes,
 * also when code kept from it is compared again; cheap when the frame is watched already. */
void rv_code_watch(struct rv_hart *h, uint64_t pa);
/* After h->fetch_epoch moved: physical addresses of frames that may have been written since the
 * last call; code kept from any other frame is still what memory holds. A frame may be named
 * twice, or without need. *ret_all: too many (for @cap, too): nothing is sure. To keep code of a
 * named frame: rv_code_watch, then compare. Returns how many. */
size_t rv_code_written(struct rv_hart *h, uint64_t *ret_frames, size_t cap, bool *ret_all);

/* Copy code that rv_fetch found. False, in processes only: it is gone; h->exc, h->tval are set. */
bool rv_code_copy(struct rv_hart *h, void *to, const uint8_t *from, size_t n) MUST;
/* Of processes: may the @n bytes at @va, of one page, be executed, and are they these? */
bool rv_code_is(struct rv_hart *h, uint64_t va, const uint8_t *code, size_t n) MUST;
/* Of processes: code in [@lo, @hi) may have changed, or may not be executed any more. It is
 * compared before more guest code runs, which moves fetch_epoch, map_epoch and fctx. */
void rv_code_stale(struct rv_hart *h, uint64_t lo, uint64_t hi);
/* The same of all code, which another program takes the place of. */
void rv_code_gone(struct rv_hart *h);

/* ---- atomics of processes: guarded; false: h->exc, h->tval are set ---- */
bool rv_process_lr(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *ret_zext) MUST;
/* @what: size | enum ir_amo << 8 */
bool rv_process_amo(struct rv_hart *h, uint64_t va, unsigned what, uint64_t v,
                    uint64_t *ret_zext) MUST;
/* *@old: what is expected, then what was there. */
bool rv_process_cas(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *old,
                    uint64_t v) MUST;

/* ---- helpers named by instruction semantics: rows of calls.def ---- */
#define HELPER(name, summary)                                                                      \
	uint64_t rv_help_##name(struct rv_hart *h, uint64_t a, uint64_t b, uint64_t c);
#include "isa/riscv/calls.def"
/* An exception of the current instruction: sets h->exc, h->tval; returns 0. */
uint64_t rv_raise(struct rv_hart *h, enum rv_exc cause, uint64_t tval);

/* ---- vectors ---- */
/* rv_env.vlen as the user names it: "128" (also for NULL), "256", "512"; 0: no such length. */
unsigned rv_vlen_named(const char *text);
/* Are these V registers that a hart can have? */
bool rv_vector_valid(const struct rv_hart *h) MUST;
/* The CSRs of V from elsewhere, as far as such values exist: a vtype that does not is ill, vl at
 * most what vtype allows. h->v is the caller's. @used: something has written V state (VS is dirty);
 * else VS is initial. @vcsr: vxrm << 1 | vxsat. */
void rv_vector_restore(struct rv_hart *h, bool used, uint64_t vl, uint64_t vtype, uint64_t vstart,
                       uint64_t vcsr);

/* ---- SBI ---- */
/* Serve an ecall from S mode (a7 extension, a6 function); h->npc is already behind it. Result in
 * a0, a1. A call that has to give way to a pause sets npc back: it is made again. SBI 2.0 §3 */
void rv_sbi_ecall(struct rv_hart *h);
