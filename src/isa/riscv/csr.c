/* SPDX-License-Identifier: Apache-2.0 */
/* Control and status registers: one row each in csr.def. Absent ones, and those that the privilege
 * may not touch, are illegal instructions. RISC-V Priv 20240411 §2, §3.1, §4.1; Unpriv §7 */
#include "isa/riscv/priv.h"

#define SSTATUS_BITS (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_SUM | MSTATUS_MXR)
#define MSTATUS_BITS                                                                               \
	(SSTATUS_BITS | MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPRV | MSTATUS_TVM | MSTATUS_TW |     \
	 MSTATUS_TSR)
/* every cause that exists but the ecall from M */
#define MEDELEG_BITS UINT64_C(0xb3ff)
/* RV64, A B C D F I M S U; V beside them */
#define MISA (UINT64_C(2) << 62 | 1 | 2 | 4 | 8 | 32 | 256 | 4096 | BIT(18) | BIT(20))

#define MISA_V BIT(21)

/* A write says which bits change (@mask) and to what (@v), so that set and clear touch no other
 * bit, whatever another thread does to it meanwhile. */
static uint64_t mix(uint64_t old, uint64_t v, uint64_t mask) { return (old & ~mask) | (v & mask); }

static void look_soon(struct rv_hart *h) { __atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED); }

/* ---- who may ---- */

static bool fp_ok(const struct rv_hart *h, unsigned n) { return (void)n, h->fs != 0; }
static bool vector_ok(const struct rv_hart *h, unsigned n) { return (void)n, h->vs != 0; }

static bool counter_ok(const struct rv_hart *h, unsigned n)
{
	uint64_t bit = BIT(n & 31);
	return h->priv == RV_M || (h->mcounteren & bit && (h->priv == RV_S || h->scounteren & bit));
}

static bool stimecmp_ok(const struct rv_hart *h, unsigned n)
{
	(void)n;
	return h->priv == RV_M || (h->menvcfg & ENVCFG_STCE && h->mcounteren & 2);
}

static bool satp_ok(const struct rv_hart *h, unsigned n)
{
	(void)n;
	return h->priv == RV_M || !(h->mstatus & MSTATUS_TVM);
}

static bool pmpcfg_ok(const struct rv_hart *h, unsigned n) { return (void)h, !(n & 1); }

/* ---- floating point ---- */

static uint64_t fflags_get(struct rv_hart *h, unsigned n) { return (void)n, h->fp.flags & 31; }
static uint64_t frm_get(struct rv_hart *h, unsigned n) { return (void)n, h->frm; }
static uint64_t fcsr_get(struct rv_hart *h, unsigned n)
{
	(void)n;
	return (h->fp.flags & 31u) | h->frm << 5;
}
static void fcsr_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	v = mix(fcsr_get(h, n), v, mask);
	h->fp.flags = v & 31;
	h->frm = v >> 5 & 7;
	h->fs = 3;
}
static void fflags_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	fcsr_set(h, n, v, mask & 31);
}
static void frm_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	fcsr_set(h, n, v << 5, (mask & 7) << 5);
}

/* ---- vectors. RISC-V Unpriv 20240411 §31.3 ---- */

static uint64_t vcsr_get(struct rv_hart *h, unsigned n)
{
	(void)n;
	return h->vxsat | (uint64_t)h->vxrm << 1;
}
static void vcsr_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	v = mix(vcsr_get(h, n), v, mask);
	h->vxsat = v & 1;
	h->vxrm = v >> 1 & 3;
	h->vs = 3;
}
static uint64_t vxsat_get(struct rv_hart *h, unsigned n) { return (void)n, h->vxsat; }
static void vxsat_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	vcsr_set(h, n, v, mask & 1);
}
static uint64_t vxrm_get(struct rv_hart *h, unsigned n) { return (void)n, h->vxrm; }
static void vxrm_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	vcsr_set(h, n, v << 1, (mask & 3) << 1);
}
/* As many bits as the largest index of an element needs. §31.3.7 */
static uint64_t vstart_get(struct rv_hart *h, unsigned n) { return (void)n, h->vstart; }
static void vstart_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	h->vstart = mix(h->vstart, v, mask & (8 * (uint64_t)h->vlenb - 1));
	h->vs = 3;
	rv_vector_settle(h);
}
static uint64_t vl_get(struct rv_hart *h, unsigned n) { return (void)n, h->vl; }
static uint64_t vtype_get(struct rv_hart *h, unsigned n) { return (void)n, h->vtype; }
static uint64_t vlenb_get(struct rv_hart *h, unsigned n) { return (void)n, h->vlenb; }

/* ---- status ---- */

uint64_t rv_mstatus(const struct rv_hart *h)
{
	return h->mstatus | (uint64_t)h->fs << 13 | (uint64_t)h->vs << 9 | MSTATUS_XL64 |
	       (h->fs == 3 || h->vs == 3 ? MSTATUS_SD : 0);
}

static void status_write(struct rv_hart *h, uint64_t v, uint64_t mask)
{
	uint64_t old = h->mstatus, changed;
	h->mstatus = mix(old, v, mask & MSTATUS_BITS);
	if (mask & MSTATUS_FS)
		h->fs = (uint32_t)(mix((uint64_t)h->fs << 13, v, mask & MSTATUS_FS) >> 13);
	if (mask & MSTATUS_VS && h->vlenb)
		h->vs = (uint32_t)(mix((uint64_t)h->vs << 9, v, mask & MSTATUS_VS) >> 9);
	rv_vector_settle(h);
	changed = old ^ h->mstatus;
	if (changed & (MSTATUS_MPRV | MSTATUS_SUM | MSTATUS_MXR))
		rv_mmu_update(h);
	if (changed & h->mstatus & (MSTATUS_SIE | MSTATUS_MIE))
		rv_irq_recheck(h);
}

static uint64_t sstatus_get(struct rv_hart *h, unsigned n)
{
	(void)n;
	return rv_mstatus(h) & (SSTATUS_BITS | MSTATUS_FS | MSTATUS_VS | MSTATUS_SD | BIT(33));
}
static void sstatus_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	status_write(h, v, mask & (SSTATUS_BITS | MSTATUS_FS | MSTATUS_VS));
}
static uint64_t mstatus_get(struct rv_hart *h, unsigned n) { return (void)n, rv_mstatus(h); }
static void mstatus_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	uint64_t mpp = mix(h->mstatus, v, mask) & MSTATUS_MPP;
	if (mpp >> 11 != 2 && mpp != (h->mstatus & MSTATUS_MPP)) {
		h->mstatus = mix(h->mstatus, mpp, MSTATUS_MPP);
		rv_mmu_update(h);
	}
	status_write(h, v, mask);
}

/* ---- interrupts ---- */

static uint64_t mideleg_get(struct rv_hart *h, unsigned n) { return (void)n, h->mideleg; }
static void mideleg_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	h->mideleg = mix(h->mideleg, v, mask & IRQ_S);
	rv_irq_recheck(h);
}
static uint64_t mie_get(struct rv_hart *h, unsigned n) { return (void)n, h->mie; }
static void mie_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	h->mie = mix(h->mie, v, mask & (IRQ_S | IRQ_M));
	look_soon(h);
}
static uint64_t sie_get(struct rv_hart *h, unsigned n) { return (void)n, h->mie & h->mideleg; }
static void sie_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	mie_set(h, n, v, mask & h->mideleg);
}

/* SSIP lives with the lines because other harts set it. */
static void soft_write(struct rv_hart *h, uint64_t v, uint64_t mask)
{
	const uint64_t ssip = BIT(RV_SSI);
	if (mask & v & ssip)
		__atomic_fetch_or(&h->mip_lines, ssip, __ATOMIC_SEQ_CST);
	else if (mask & ssip)
		__atomic_fetch_and(&h->mip_lines, ~ssip, __ATOMIC_SEQ_CST);
	h->mip_soft = mix(h->mip_soft, v, mask & ~ssip);
	rv_irq_recheck(h);
}
static uint64_t mip_get(struct rv_hart *h, unsigned n) { return (void)n, rv_mip(h); }
static void mip_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	if (h->menvcfg & ENVCFG_STCE)
		mask &= ~BIT(RV_STI);
	soft_write(h, v, mask & IRQ_S);
}
static uint64_t sip_get(struct rv_hart *h, unsigned n) { return (void)n, rv_mip(h) & h->mideleg; }
static void sip_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	soft_write(h, v, mask & h->mideleg & (BIT(RV_SSI) | BIT(RV_LCOFI)));
}

/* Modes 0 direct and 1 vectored; others keep the old mode. */
static uint64_t *tvec_of(struct rv_hart *h, unsigned n)
{
	return n == 0x105 ? &h->stvec : &h->mtvec;
}
static uint64_t tvec_get(struct rv_hart *h, unsigned n) { return *tvec_of(h, n); }
static void tvec_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	uint64_t *t = tvec_of(h, n);
	v = mix(*t, v, mask);
	*t = v & 2 ? (v & ~UINT64_C(3)) | (*t & 1) : v;
}

static uint64_t stimecmp_get(struct rv_hart *h, unsigned n) { return (void)n, h->stimecmp; }
static void stimecmp_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	h->stimecmp = mix(h->stimecmp, v, mask);
	h->stip = false;
	look_soon(h);
}

/* ---- translation ---- */

static uint64_t satp_get(struct rv_hart *h, unsigned n) { return (void)n, h->satp; }
static void satp_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	v = mix(h->satp, v, mask);
	if (!rv_satp_mode_exists(h, satp_mode(v)))
		return;
	h->satp = v;
	rv_mmu_update(h);
}

/* CBIE = 2 is reserved: the old value stays. */
static uint64_t envcfg_legal(uint64_t old, uint64_t v)
{
	return (v & ENVCFG_CBIE) == BIT(5) ? mix(v, old, ENVCFG_CBIE) : v;
}
static uint64_t menvcfg_get(struct rv_hart *h, unsigned n) { return (void)n, h->menvcfg; }
static void menvcfg_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	const uint64_t bits = ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE | ENVCFG_ADUE |
			      ENVCFG_PBMTE | ENVCFG_STCE;
	uint64_t old = h->menvcfg;
	h->menvcfg = envcfg_legal(old, mix(old, v, mask & bits));
	if ((old ^ h->menvcfg) & ENVCFG_PBMTE)
		rv_mmu_flush(h, false);
	look_soon(h);
}
static uint64_t senvcfg_get(struct rv_hart *h, unsigned n) { return (void)n, h->senvcfg; }
static void senvcfg_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	const uint64_t bits = ENVCFG_FIOM | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE;
	h->senvcfg = envcfg_legal(h->senvcfg, mix(h->senvcfg, v, mask & bits));
}

static uint64_t pmpcfg_get(struct rv_hart *h, unsigned n)
{
	return le64_at(&h->pmpcfg[(n & 15) * 4]);
}
static void pmpcfg_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	v = mix(pmpcfg_get(h, n), v, mask);
	for (unsigned i = 0; i < 8; i++)
		rv_pmp_set_cfg(h, (n & 15) * 4 + i, (uint8_t)(v >> 8 * i));
}
static uint64_t pmpaddr_get(struct rv_hart *h, unsigned n) { return h->pmpaddr[n - 0x3b0]; }
static void pmpaddr_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	rv_pmp_set_addr(h, n - 0x3b0, mix(h->pmpaddr[n - 0x3b0], v, mask));
}

/* ---- counters and constants ---- */

static uint64_t counter_get(struct rv_hart *h, unsigned n) { return rv_counter(h, n & 31); }
static void counter_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	rv_counter_write(h, n & 31, mix(rv_counter(h, n & 31), v, mask));
}
static uint64_t time_get(struct rv_hart *h, unsigned n) { return (void)n, rv_time(h); }
static uint64_t inhibit_get(struct rv_hart *h, unsigned n) { return (void)n, h->mcountinhibit; }
static void inhibit_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	(void)n;
	rv_counter_inhibit(h, mix(h->mcountinhibit, v, mask));
}
static uint64_t event_get(struct rv_hart *h, unsigned n) { return h->mhpmevent[n - 0x323]; }
static void event_set(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask)
{
	rv_counter_event(h, n & 31, mix(h->mhpmevent[n - 0x323], v, mask));
}
static uint64_t zero_get(struct rv_hart *h, unsigned n) { return (void)h, (void)n, 0; }
static uint64_t hartid_get(struct rv_hart *h, unsigned n) { return (void)n, h->id; }
static uint64_t misa_get(struct rv_hart *h, unsigned n)
{
	(void)n;
	return MISA | (h->vlenb ? MISA_V : 0);
}

/* ---- the table ---- */

struct csr {
	bool (*ok)(const struct rv_hart *h, unsigned n);
	uint64_t (*get)(struct rv_hart *h, unsigned n); /* NULL: the field at @off */
	void (*set)(struct rv_hart *h, unsigned n, uint64_t v, uint64_t mask);
	uint64_t mask;
	size_t off;
};

enum csr_row {
	ROW_NONE,
#define CSR(first, last, name, ok, get, set) ROW_##name,
#define FIELD(number, field, ok, mask)       ROW_##field,
#include "isa/riscv/csr.def"
	ROWS
};

static const struct csr csr_rows[ROWS] = {
#define CSR(first, last, name, ok, get, set) [ROW_##name] = {ok, get, set, 0, 0},
#define FIELD(number, field, ok, mask)                                                             \
	[ROW_##field] = {ok, NULL, NULL, mask, offsetof(struct rv_hart, field)},
#include "isa/riscv/csr.def"
};

static const uint8_t csr_row_of[4096] = {
#define CSR(first, last, name, ok, get, set) [first... last] = ROW_##name,
#define FIELD(number, field, ok, mask)       [number] = ROW_##field,
#include "isa/riscv/csr.def"
};

static uint64_t *field_at(struct rv_hart *h, const struct csr *r)
{
	return (uint64_t *)(void *)((char *)h + r->off);
}

/* Engines may do fflags, frm, fcsr, vl, vtype and vlenb without us. */
static void sync_unless_float(struct rv_hart *h, unsigned n)
{
	if (n > 3 && n >> 2 != 0xc20 >> 2)
		rv_sync(h);
}

uint64_t rv_help_csr(struct rv_hart *h, uint64_t n, uint64_t operand, uint64_t flags)
{
	enum { WRITE = 1, SET = 2, NO_WRITE = 4, NO_READ = 8 };
	unsigned i = n & 0xfff, op = flags & 3;
	const struct csr *r = &csr_rows[csr_row_of[i]];
	bool writes = !(flags & NO_WRITE);
	if (unlikely(r == csr_rows || (i >> 8 & 3) > h->priv || (writes && i >> 10 == 3) ||
		     (r->ok && !r->ok(h, i))))
		return rv_raise(h, RV_EXC_ILLEGAL, 0);
	uint64_t old = 0;
	if (!(flags & NO_READ))
		old = r->get ? r->get(h, i) : *field_at(h, r);
	if (!writes) {
		sync_unless_float(h, i);
		return old;
	}
	uint64_t v = op == WRITE ? operand : op == SET ? UINT64_MAX : 0;
	uint64_t mask = op == WRITE ? UINT64_MAX : operand;
	if (!r->get)
		*field_at(h, r) = mix(*field_at(h, r), v, mask & r->mask);
	else if (r->set)
		r->set(h, i, v, mask);
	sync_unless_float(h, i);
	return old;
}

/* Every WARL field holds what a write could have left in it: elsewhere it is relied on. */
bool rv_hart_valid(const struct rv_hart *h)
{
	const struct { uint64_t value, may; } bits[] = {
		{ h->mstatus, MSTATUS_BITS | MSTATUS_MPP }, { h->fp.flags, 31 }, { h->frm, 7 },
		{ h->fs, 3 }, { h->x[0], 0 }, { h->pc & 1, 0 }, { h->medeleg, MEDELEG_BITS },
		{ h->mideleg, IRQ_S }, { h->mie, IRQ_S | IRQ_M }, { h->mip_soft, IRQ_S },
		{ h->mip_lines, IRQ_S | IRQ_M }, { h->mepc & 1, 0 }, { h->sepc & 1, 0 },
		{ h->mtvec & 2, 0 }, { h->stvec & 2, 0 },
		{ h->fw_used | h->fw_running, (1u << RV_SBI_FW_COUNTERS) - 1 },
		{ h->hw_used | h->hw_running, 5 },
	};
	for (size_t i = 0; i < countof(bits); i++)
		if (bits[i].value & ~bits[i].may)
			return false;
	for (unsigned i = 0; i < RV_PMP_MAX; i++)
		if (h->pmpaddr[i] >> 54 || (i >= h->env->pmp_entries && h->pmpcfg[i]))
			return false;
	bool m = h->priv == RV_M && !h->env->sbi;
	return (h->priv == RV_U || h->priv == RV_S || m) && h->hsm <= RV_HSM_SUSPENDED_LOST &&
	       (h->mstatus & MSTATUS_MPP) >> 11 != 2 &&
	       rv_satp_mode_exists(h, satp_mode(h->satp)) && rv_vector_valid(h);
}
