/* SPDX-License-Identifier: Apache-2.0 */
/* Private to isa/riscv: what its privileged half (hart, csr, trap, mmu, pmp, sbi) shares.
 * Specs: RISC-V Priv 20240411, SBI 2.0. */
#pragma once
#include "isa/riscv/riscv.h"
#include <pthread.h>

#define BIT(n) (UINT64_C(1) << (n))

/* mstatus. Priv §3.1.6 */
#define MSTATUS_SIE BIT(1)
#define MSTATUS_MIE BIT(3)
#define MSTATUS_SPIE BIT(5)
#define MSTATUS_MPIE BIT(7)
#define MSTATUS_SPP BIT(8)
#define MSTATUS_MPP (BIT(11) | BIT(12))
#define MSTATUS_VS (BIT(9) | BIT(10))
#define MSTATUS_FS (BIT(13) | BIT(14))
#define MSTATUS_MPRV BIT(17)
#define MSTATUS_SUM BIT(18)
#define MSTATUS_MXR BIT(19)
#define MSTATUS_TVM BIT(20)
#define MSTATUS_TW BIT(21)
#define MSTATUS_TSR BIT(22)
#define MSTATUS_XL64 (BIT(33) | BIT(35)) /* UXL = SXL = 64 */
#define MSTATUS_SD BIT(63)
static inline unsigned mstatus_mpp(uint64_t s) { return (unsigned)(s >> 11 & 3); }

#define RV_VTYPE_ILL BIT(63) /* RISC-V Unpriv 20240411 §31.3.4 */

/* menvcfg, senvcfg. Priv §3.1.18 */
#define ENVCFG_FIOM BIT(0)
#define ENVCFG_CBIE (BIT(4) | BIT(5))
#define ENVCFG_CBCFE BIT(6)
#define ENVCFG_CBZE BIT(7)
#define ENVCFG_ADUE BIT(61)
#define ENVCFG_PBMTE BIT(62)
#define ENVCFG_STCE BIT(63)

/* satp. Priv §4.1.11 */
enum { SATP_BARE = 0, SATP_SV39 = 8, SATP_SV48 = 9, SATP_SV57 = 10 };
static inline unsigned satp_mode(uint64_t satp) { return (unsigned)(satp >> 60); }
static inline uint16_t satp_asid(uint64_t satp) { return (uint16_t)(satp >> 44); }
static inline uint64_t satp_root(uint64_t satp) { return (satp & (BIT(44) - 1)) << 12; }

/* Interrupts that S mode may be given, and that exist at all. */
#define IRQ_S (BIT(RV_SSI) | BIT(RV_STI) | BIT(RV_SEI) | BIT(RV_LCOFI))
#define IRQ_M (BIT(RV_MSI) | BIT(RV_MTI) | BIT(RV_MEI))
#define IRQ_NONE 64u

/* A bit set that may say yes wrongly, never no wrongly. */
enum { SIEVE_SHIFT = 12 };
struct sieve {
	uint64_t w[1 << (SIEVE_SHIFT - 6)];
};

/* One value of satp: the context ids of its (privilege, MXR) combinations, given out when first
 * used. Data ids live in TLB tags (1..255) and are recycled; fetch ids are never used twice. */
struct rv_space {
	uint64_t satp;
	uint64_t gen;   /* ids are valid while this equals rv_mmu.gen */
	uint8_t id[4];  /* paged: S << 1 | MXR; bare: not M */
	bool own;       /* S mode has pages here that are not global: it uses ids of this space */
	uint64_t fid[2]; /* paged: S; bare: not M */
};

struct rv_fetch_entry {
	uint64_t va, fctx, pa;
	const uint8_t *host;
	uint32_t epoch; /* valid while this equals h->map_epoch */
	uint8_t shift;  /* rv_fetch_region */
	bool global;
};

/* Which pages were fetched by which fetch ids: a sieve, emptied when it has taken too many. */
enum { FETCHED_SHIFT = 16, FETCHED_MOST = 8192 };
struct rv_fetched {
	unsigned n;
	bool large, huge; /* leaves of more than 4 KiB, of more than 1 GiB are in it */
	uint64_t w[1 << (FETCHED_SHIFT - 6)];
};

/* The last page table on the way to the 2 MiB at @region << 21. */
struct rv_table {
	uint64_t region, satp, gen; /* valid while gen is that of rv_mmu */
	uint64_t pa;
	bool global;
};

/* Physical addresses [lo, hi) around the last one checked that PMP treats alike. */
struct rv_pmp_span {
	uint64_t lo, hi;
	unsigned perm; /* enum rv_access bits */
};

enum { RV_SPACES = 256, RV_FETCH_ENTRIES = 1024, RV_BRIEF_SLOTS = 64 };
enum { RV_TABLES = 64, RV_UNSETTLED = 512 };

/* Frames that another hart might still write by a check it did before they were watched. */
struct rv_unsettled {
	uint64_t frame[RV_UNSETTLED];
	uint64_t polls[RV_HARTS_MAX]; /* of the other harts when the last frame came */
	unsigned n;
	bool more; /* than fit */
};

_Static_assert((int)RV_HARTS_MAX <= (int)MEM_WATCHERS, "each hart watches");
struct rv_code {
	bool lost; /* the state was replaced: nothing is sure */
	uint64_t cursor; /* in the log of mem */
	unsigned now; /* the batch that takes frames; the other one is older */
	struct rv_unsettled batch[2];
};

struct rv_mmu {
	uint8_t *ram; /* borrowed from mem */
	uint64_t ram_base, ram_size;

	uint64_t gen;
	unsigned next_id;
	uint64_t next_fid;
	unsigned priv;           /* of data accesses, after MPRV */
	bool in_common;          /* they use common ids */
	struct rv_space *cur;    /* of h->satp */
	struct rv_space bare;
	struct rv_space common;  /* S mode in every paged space, for global pages */
	uint8_t live[RV_SPACES]; /* the spaces of this generation */
	unsigned nlive;
	int32_t asid_of[256];    /* data context id to ASID; -1: common */

	/* TLB slots that S mode entered and that are not for good: user pages, until SUM goes off,
	 * so that kernel entries serve both settings; and any page that is not global in a space
	 * that uses the common ids, until the space changes. */
	uint16_t brief_slot[RV_BRIEF_SLOTS];
	unsigned nbrief;

	bool super_huge;         /* a leaf larger than 1 GiB is in the data TLB */
	bool any_super;          /* the sieves are not empty */

	struct rv_pmp_span pmp[2]; /* [0] S and U, [1] M */
	struct rv_code code;
	/* ---- what is large, so that the rest lies together ---- */
	struct rv_fetched fetched;
	struct sieve super2m, super1g; /* regions with superpage fragments in the data TLB */
	struct rv_space spaces[RV_SPACES];
	struct rv_table tables[RV_TABLES];
	struct rv_fetch_entry itlb[RV_FETCH_ENTRIES];
	/* atomic: number of the frame that the entry of the TLB may write, from 1; 0: none. Other
	 * harts search here, in an eighth of the memory that the TLB itself is. */
	uint32_t write_frame[RV_TLB_SIZE];
};

/* A translated page. */
struct rv_map {
	uint64_t pa;      /* of the byte asked for */
	uint8_t *host;    /* of that byte; NULL: not RAM */
	unsigned perm;    /* what may be done without another walk; 0: do not remember */
	bool user;        /* U bit of the leaf */
	bool global;      /* G bit of the leaf or above it; no translation */
	uint8_t shift;    /* log2 of the leaf's size; 63: no translation */
};

/* Other harts may take a write tag away: rv_code_watch. */
static inline uint64_t rv_tag_w(const struct rv_tlb *e)
{
	return __atomic_load_n(&e->tag_w, __ATOMIC_RELAXED);
}

/* ---- mmu.c: contexts and invalidation ---- */
int rv_mmu_new(struct rv_mmu **ret, struct rv_hart *h, struct lodge_err *e) MUST;
void rv_mmu_free(struct rv_mmu *m);
/* After any change of satp, priv or mstatus.{MPRV,MPP,SUM,MXR}: sets h->dctx and h->fctx. */
void rv_mmu_update(struct rv_hart *h);
/* Forget every translation; @physical: also those of bare mode (PMP or RAM changed). */
void rv_mmu_flush(struct rv_hart *h, bool physical);
void rv_mmu_flush_asid(struct rv_hart *h, uint16_t asid);
/* One page; @asid < 0: of every address space. */
void rv_mmu_flush_page(struct rv_hart *h, uint64_t va, int asid);
void rv_mmu_enter(struct rv_hart *h, uint64_t va, const struct rv_map *w);
/* What write_frame says of @pa, which is in RAM: not 0. */
static inline uint32_t rv_frame(const struct rv_hart *h, uint64_t pa)
{
	return (uint32_t)((pa - h->mmu->ram_base) / MEM_FRAME + 1);
}
/* Where the table of the page at @va is remembered; an entry of this place may be of another. */
static inline struct rv_table *rv_table_at(const struct rv_hart *h, uint64_t va)
{
	return &h->mmu->tables[(va >> 21) % RV_TABLES];
}
/* The engine is told of the page at @va by the current fetch context: fences must renew it. */
void rv_mmu_fetched(struct rv_hart *h, uint64_t va, const struct rv_map *w);
bool rv_satp_mode_exists(const struct rv_hart *h, unsigned mode);

/* ---- walk.c ---- */
/* Translate @size bytes at @va (one page) for @a by privilege @priv, PMP included.
 * False: h->exc, h->tval are set. */
bool rv_walk(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access a, unsigned priv,
             struct rv_map *ret) MUST;

/* ---- pmp.c ---- */
bool rv_pmp_allows(struct rv_hart *h, uint64_t pa, uint64_t len, enum rv_access a, unsigned priv);
/* Is all of [@pa, @pa + @len) alike? */
bool rv_pmp_uniform(struct rv_hart *h, uint64_t pa, uint64_t len, unsigned priv);
/* What all of the page at @pa allows; false: parts differ, ask for each access. */
bool rv_pmp_page(struct rv_hart *h, uint64_t pa, unsigned priv, unsigned *ret_perm);
void rv_pmp_set_cfg(struct rv_hart *h, unsigned i, uint8_t v);
void rv_pmp_set_addr(struct rv_hart *h, unsigned i, uint64_t v);

/* ---- csr.c, counters.c ---- */
uint64_t rv_mstatus(const struct rv_hart *h);
uint64_t rv_mip(struct rv_hart *h);
uint64_t rv_time(const struct rv_hart *h);
uint64_t rv_counter(const struct rv_hart *h, unsigned i);
void rv_counter_write(struct rv_hart *h, unsigned i, uint64_t v);
void rv_counter_inhibit(struct rv_hart *h, uint64_t v);
void rv_counter_event(struct rv_hart *h, unsigned i, uint64_t v);

/* ---- vec.c ---- */
/* vl, vtype, vstart or VS have changed. */
void rv_vector_settle(struct rv_hart *h);

/* ---- trap.c ---- */
/* The interrupt to take now out of @pending; IRQ_NONE: none is enabled. */
unsigned rv_irq_choose(const struct rv_hart *h, uint64_t pending);
/* Helpers of the instructions behind which counted time lets interrupts in (rv_hart.sync). */
void rv_sync(struct rv_hart *h);
/* Let counted time pass up to the next timer event. */
void rv_skip_idle(struct rv_hart *h);
/* Something that may enable an interrupt changed: look soon if one is waiting. */
void rv_irq_recheck(struct rv_hart *h);

/* ---- fence.c: remote fences, sleeping, waking ---- */
int rv_fences_new(struct rv_fences **ret, struct lodge_err *e) MUST;
void rv_fences_free(struct rv_fences *f);
struct rv_fence {
	uint64_t va, len; /* len UINT64_MAX: everything */
	int asid;         /* < 0: all */
	bool insn;        /* fence.i instead */
};
/* Do @fc on the harts of @mask and wait until it is done. False: this hart must pause or stop
 * first; call again afterwards. */
bool rv_fence_remote(struct rv_hart *h, uint32_t mask, const struct rv_fence *fc) MUST;
void rv_fence_serve(struct rv_hart *h);
void rv_fence_apply(struct rv_hart *h, const struct rv_fence *fc);
/* The thread runs guest code from now on. Part of each poll. */
void rv_active(struct rv_hart *h);
/* How often the hart has polled; and whether it runs no guest code now. Any thread. */
uint64_t rv_polls(const struct rv_hart *h);
bool rv_resting(const struct rv_hart *h);

/* ---- process.c ---- */
bool rv_process_load(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *ret) MUST;
bool rv_process_store(struct rv_hart *h, uint64_t va, unsigned size, uint64_t v) MUST;
void *rv_process_ptr(struct rv_hart *h, uint64_t va, unsigned size, bool write) MUST;
bool rv_process_cas16(struct rv_hart *h, uint64_t va, uint64_t old[2], const uint64_t v[2]) MUST;
bool rv_process_zero(struct rv_hart *h, uint64_t block, unsigned size) MUST;
bool rv_process_fetch(struct rv_hart *h, uint64_t va, struct rv_fetch_entry *e) MUST;
void rv_process_trap(struct rv_hart *h, enum rv_exc cause, uint64_t tval);
void rv_process_ecall(struct rv_hart *h, uint64_t next);
void rv_process_look(struct rv_hart *h);

/* ---- code.c ---- */
/* This hart is about to write @size bytes at @pa, inside a frame, other than by a write tag. */
void rv_code_note(struct rv_hart *h, uint64_t pa, unsigned size);

/* ---- sbi ---- */
enum sbi_error {
	SBI_OK = 0,
	SBI_FAILED = -1,
	SBI_NOT_SUPPORTED = -2,
	SBI_INVALID_PARAM = -3,
	SBI_DENIED = -4,
	SBI_INVALID_ADDRESS = -5,
	SBI_ALREADY_AVAILABLE = -6,
	SBI_ALREADY_STARTED = -7,
	SBI_ALREADY_STOPPED = -8,
	/* not of the specification: how a call ends without a result */
	SBI_NO_RETURN = -1000, /* the registers are not to be touched */
	SBI_AGAIN = -1001,     /* the hart must pause: make the same call again afterwards */
};
struct sbi_ret {
	int64_t error;
	uint64_t value;
};
static inline struct sbi_ret sbi_ret(enum sbi_error e, uint64_t value)
{
	return (struct sbi_ret){ e, value };
}
static inline uint64_t sbi_arg(const struct rv_hart *h, unsigned i) { return h->x[10 + i]; }
#define SBI(name, first, last, summary)                                                            \
	struct sbi_ret rv_sbi_##name(struct rv_hart *h, uint64_t fn);
#include "isa/riscv/sbi.def"
/* The harts that (@mask, @base) name. False: one does not exist. SBI 2.0 §3.1 */
bool rv_sbi_harts(const struct rv_hart *h, uint64_t mask, uint64_t base, uint32_t *ret) MUST;
struct sbi_ret rv_sbi_ipi_send(struct rv_hart *h, uint32_t harts);
struct sbi_ret rv_sbi_fence(struct rv_hart *h, uint32_t harts, const struct rv_fence *fc);
void rv_sbi_timer_set(struct rv_hart *h, uint64_t at);
struct sbi_ret rv_sbi_reset(struct rv_hart *h, uint32_t type, uint32_t reason);
void rv_sbi_start(struct rv_hart *h); /* enter S mode at hsm_start_pc */
void rv_sbi_steal(struct rv_hart *h); /* update the STA record, at most every 10 ms */
enum sbi_fw_event {
	SBI_FW_SET_TIMER = 5,
	SBI_FW_IPI_SENT = 6,
	SBI_FW_FENCE_I_SENT = 8,
	SBI_FW_FENCE_I_RECEIVED = 9,
	SBI_FW_SFENCE_SENT = 10,
	SBI_FW_SFENCE_RECEIVED = 11,
	SBI_FW_SFENCE_ASID_SENT = 12,
	SBI_FW_SFENCE_ASID_RECEIVED = 13,
};
void rv_sbi_count(struct rv_hart *h, enum sbi_fw_event ev);
