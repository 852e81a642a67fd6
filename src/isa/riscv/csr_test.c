/* SPDX-License-Identifier: Apache-2.0 */
/* Which registers exist for whom, and what they keep of a write. RISC-V Priv 20240411 §2, §3.1 */
#include "isa/riscv/rig.h"

/* First and last number of each group that exists; everything else is illegal in every mode. */
static const struct {
	unsigned first, last, step;
} exists[] = {
    {0x001, 0x003, 1}, {0xc00, 0xc1f, 1}, {0x100, 0x100, 1}, {0x104, 0x106, 1}, {0x10a, 0x10a, 1},
    {0x140, 0x144, 1}, {0x14d, 0x14d, 1}, {0x180, 0x180, 1}, {0xf11, 0xf15, 1}, {0x300, 0x306, 1},
    {0x30a, 0x30a, 1}, {0x320, 0x320, 1}, {0x323, 0x33f, 1}, {0x340, 0x344, 1}, {0x3a0, 0x3ae, 2},
    {0x3b0, 0x3ef, 1}, {0xb00, 0xb00, 1}, {0xb02, 0xb1f, 1},
};

static bool csr_exists(unsigned n)
{
	for (unsigned i = 0; i < countof(exists); i++)
		if (n >= exists[i].first && n <= exists[i].last &&
		    (n - exists[i].first) % exists[i].step == 0)
			return true;
	return false;
}

TEST(csr_every_number_in_every_privilege)
{
	static const unsigned privs[] = {RV_U, RV_S, RV_M};
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	h->fs = 1;
	h->mcounteren = h->scounteren = 0xffffffff;
	h->menvcfg = ENVCFG_STCE;
	for (unsigned n = 0; n < 4096; n++)
		for (unsigned p = 0; p < 3; p++) {
			uint64_t v;
			rig_priv_set(&r, privs[p]);
			bool ok = csr_exists(n) && (n >> 8 & 3) <= privs[p];
			rig_check((rig_csrr(h, n, &v) == RV_EXC_NONE) == ok, "read %#x priv %u", n,
				  privs[p]);
			rig_check(h->exc == RV_EXC_NONE && (ok || h->tval == 0), "%#x tval", n);
			/* set with a zero mask is a write all the same */
			rv_help_csr(h, n, 0, 2);
			bool writes = ok && n >> 10 != 3;
			rig_check((h->exc == RV_EXC_NONE) == writes, "write %#x priv %u", n,
				  privs[p]);
			h->exc = RV_EXC_NONE;
		}
	rig_fini(&r);
}

struct warl {
	const char *name;
	unsigned n;
	uint64_t write, read;
};
static const struct warl warls[] = {
    {"mstatus ones", 0x300, UINT64_MAX, UINT64_C(0x8000000a007e79aa)},
    {"mstatus zero", 0x300, 0, UINT64_C(0xa00000000)},
    {"mstatus MPP 1", 0x300, BIT(11), UINT64_C(0xa00000800)},
    {"mstatus MPP 2 keeps 1", 0x300, BIT(12), UINT64_C(0xa00000800)},
    {"sstatus ones", 0x100, UINT64_MAX, UINT64_C(0x80000002000c6122)},
    {"sstatus zero", 0x100, 0, UINT64_C(0x200000000)},
    {"sstatus FS initial", 0x100, 0x2000, UINT64_C(0x200002000)},
    {"misa is fixed", 0x301, 0, UINT64_C(0x800000000014112f)},
    {"medeleg", 0x302, UINT64_MAX, 0xb3ff},
    {"mideleg", 0x303, UINT64_MAX, 0x2222},
    {"mie", 0x304, UINT64_MAX, 0x2aaa},
    {"sie", 0x104, 0, 0},
    {"mie after sie", 0x304, 0x888, 0x888},
    {"mtvec direct", 0x305, 0x1000, 0x1000},
    {"mtvec vectored", 0x305, 0x2001, 0x2001},
    {"mtvec reserved mode keeps the mode", 0x305, 0x3002, 0x3001},
    {"stvec reserved mode", 0x105, 0x4003, 0x4000},
    {"mepc", 0x341, UINT64_MAX, ~UINT64_C(1)},
    {"sepc", 0x141, 0x80000003, 0x80000002},
    {"mcounteren", 0x306, UINT64_MAX, 0xffffffff},
    {"mcountinhibit", 0x320, UINT64_MAX, 0xfffffffd},
    {"mcountinhibit back", 0x320, 0, 0},
    {"menvcfg", 0x30a, UINT64_MAX, UINT64_C(0xe0000000000000f1)},
    {"menvcfg CBIE 2 keeps 3", 0x30a, 0x20, 0x30},
    {"senvcfg", 0x10a, UINT64_MAX, 0xf1},
    {"senvcfg CBIE 1", 0x10a, 0x10, 0x10},
    {"satp Sv39", 0x180, UINT64_C(8) << 60 | UINT64_C(0xffff) << 44 | 0x12345,
     UINT64_C(8) << 60 | UINT64_C(0xffff) << 44 | 0x12345},
    {"satp mode 11 changes nothing", 0x180, UINT64_C(11) << 60 | 1,
     UINT64_C(8) << 60 | UINT64_C(0xffff) << 44 | 0x12345},
    {"satp Sv57", 0x180, UINT64_C(10) << 60 | 7, UINT64_C(10) << 60 | 7},
    {"satp bare", 0x180, 0, 0},
    {"fcsr", 0x003, UINT64_MAX, 0xff},
    {"frm", 0x002, 5, 5},
    {"fflags", 0x001, 0xfe, 0x1e},
    {"fcsr of both", 0x003, 0xbe, 0xbe},
    {"mhpmevent unknown", 0x323, 99, 0},
    {"mhpmevent cycles", 0x323, 1, 1},
    {"mscratch", 0x340, UINT64_MAX, UINT64_MAX},
    {"mcause", 0x342, UINT64_MAX, UINT64_C(0x800000000000003f)},
    {"mip", 0x344, UINT64_MAX, 0x2222},
    {"mip clear", 0x344, 0, 0},
};

TEST(csr_keeps_only_what_is_legal)
{
	struct rig r;
	uint64_t v;
	rig_init(&r, 1, false);
	r.h->fs = 1;
	for (unsigned i = 0; i < countof(warls); i++) {
		const struct warl *c = &warls[i];
		rig_check(rig_csrw(r.h, c->n, c->write) == RV_EXC_NONE, "%s: writable", c->name);
		CHECK(rig_csrr(r.h, c->n, &v) == RV_EXC_NONE);
		rig_check(v == c->read, "%s: wrote %#llx, reads %#llx", c->name,
			  (unsigned long long)c->write, (unsigned long long)v);
	}
	rig_fini(&r);
}

TEST(csr_satp_modes_that_do_not_exist)
{
	static const struct {
		unsigned max, mode;
		bool ok;
	} cases[] = {
	    {39, 8, true},  {39, 9, false}, {39, 10, false}, {48, 9, true}, {48, 10, false},
	    {57, 10, true}, {57, 1, false}, {57, 15, false}, {0, 8, false}, {0, 0, true},
	};
	struct rig r;
	rig_init(&r, 1, false);
	for (unsigned i = 0; i < countof(cases); i++) {
		r.env.mmu_max = cases[i].max;
		r.h->satp = 0;
		uint64_t want = (uint64_t)cases[i].mode << 60 | 0x55;
		CHECK(rig_csrw(r.h, 0x180, want) == RV_EXC_NONE);
		rig_check(r.h->satp == (cases[i].ok ? want : 0), "max %u mode %u", cases[i].max,
			  cases[i].mode);
	}
	rig_fini(&r);
}

TEST(csr_set_clear_and_old_value)
{
	struct rig r;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	CHECK(rv_help_csr(h, 0x340, 0xf0, 1) == 0);
	CHECK(rv_help_csr(h, 0x340, 0x0f, 2) == 0xf0);
	CHECK(rv_help_csr(h, 0x340, 0x18, 3) == 0xff);
	CHECK(rv_help_csr(h, 0x340, UINT64_MAX, 2 | 4) == 0xe7);
	CHECK(rv_help_csr(h, 0x340, 1, 1 | 8) == 0 && h->mscratch == 1);
	rig_fini(&r);
}

TEST(csr_floating_point_needs_fs)
{
	struct rig r;
	uint64_t v;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	h->fs = 0;
	for (unsigned n = 1; n <= 3; n++) {
		CHECK(rig_csrr(h, n, &v) == RV_EXC_ILLEGAL);
		CHECK(rig_csrw(h, n, 0) == RV_EXC_ILLEGAL);
	}
	h->fs = 1;
	CHECK(rig_csrr(h, 3, &v) == RV_EXC_NONE && h->fs == 1);
	CHECK(rig_csrw(h, 1, 1) == RV_EXC_NONE && h->fs == 3);
	CHECK(rv_mstatus(h) & MSTATUS_SD);
	rig_fini(&r);
}

TEST(csr_counters_are_guarded)
{
	struct rig r;
	uint64_t v;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	for (unsigned i = 0; i < 32; i++)
		for (unsigned m = 0; m < 2; m++)
			for (unsigned s = 0; s < 2; s++) {
				h->mcounteren = m ? BIT(i) : ~BIT(i);
				h->scounteren = s ? BIT(i) : ~BIT(i);
				rig_priv_set(&r, RV_S);
				rig_check((rig_csrr(h, 0xc00 + i, &v) == RV_EXC_NONE) == m,
					  "S counter %u", i);
				rig_priv_set(&r, RV_U);
				rig_check((rig_csrr(h, 0xc00 + i, &v) == RV_EXC_NONE) == (m && s),
					  "U counter %u", i);
			}
	/* stimecmp: STCE and mcounteren.TM */
	for (unsigned i = 0; i < 4; i++) {
		h->menvcfg = i & 1 ? ENVCFG_STCE : 0;
		h->mcounteren = i & 2 ? 2 : ~UINT64_C(2);
		rig_priv_set(&r, RV_S);
		rig_check((rig_csrw(h, 0x14d, 5) == RV_EXC_NONE) == (i == 3), "stimecmp %u", i);
		rig_priv_set(&r, RV_M);
		CHECK(rig_csrw(h, 0x14d, 5) == RV_EXC_NONE);
	}
	rig_fini(&r);
}

TEST(csr_counters_count)
{
	struct rig r;
	uint64_t v;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	for (unsigned n = 0xb00; n < 0xb04; n++) {
		if (n == 0xb01)
			continue;
		if (n == 0xb03)
			CHECK(rig_csrw(h, 0x323, 2) == RV_EXC_NONE);
		h->icount = 1000;
		CHECK(rig_csrw(h, n, 500) == RV_EXC_NONE);
		h->icount = 1001; /* the instruction after the write */
		CHECK(rig_csrr(h, n, &v) == RV_EXC_NONE && v == 500);
		h->icount = 1101;
		CHECK(rig_csrr(h, n | 0x100, &v) == RV_EXC_NONE && v == 600);
		CHECK(rig_csrw(h, 0x320, BIT(n & 31)) == RV_EXC_NONE);
		h->icount = 2000;
		CHECK(rig_csrr(h, n, &v) == RV_EXC_NONE && v == 600);
		CHECK(rig_csrw(h, n, 7) == RV_EXC_NONE);
		CHECK(rig_csrr(h, n, &v) == RV_EXC_NONE && v == 7);
		CHECK(rig_csrw(h, 0x320, 0) == RV_EXC_NONE);
		h->icount = 2010;
		rig_check(rig_csrr(h, n, &v) == RV_EXC_NONE && v == 17, "counter %#x", n);
	}
	uint64_t a, b;
	CHECK(rig_csrr(h, 0xc01, &a) == RV_EXC_NONE);
	usleep(1000);
	CHECK(rig_csrr(h, 0xc01, &b) == RV_EXC_NONE && b - a >= 10000);
	rig_fini(&r);
}

TEST(csr_trapping_bits)
{
	struct rig r;
	uint64_t v;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	h->mstatus = MSTATUS_TVM;
	rig_priv_set(&r, RV_S);
	CHECK(rig_csrr(h, 0x180, &v) == RV_EXC_ILLEGAL && rig_csrw(h, 0x180, 0) == RV_EXC_ILLEGAL);
	rv_help_sfence_vma(h, 0, 0, 3);
	CHECK(h->exc == RV_EXC_ILLEGAL);
	h->exc = RV_EXC_NONE;
	rv_help_sinval_check(h, 0, 0, 1);
	rv_help_sinval_check(h, 0, 0, 2);
	CHECK(h->exc == RV_EXC_NONE);
	rv_help_sinval_check(h, 0, 0, 0);
	CHECK(h->exc == RV_EXC_ILLEGAL);
	h->exc = RV_EXC_NONE;
	rig_priv_set(&r, RV_M);
	CHECK(rig_csrr(h, 0x180, &v) == RV_EXC_NONE);
	rig_priv_set(&r, RV_U);
	for (uint64_t i = 0; i < 3; i++) {
		rv_help_sinval_check(h, 0, 0, i);
		CHECK(h->exc == RV_EXC_ILLEGAL);
		h->exc = RV_EXC_NONE;
	}
	rig_fini(&r);
}

TEST(csr_interrupt_registers)
{
	struct rig r;
	uint64_t v;
	rig_init(&r, 1, false);
	struct rv_hart *h = r.h;
	h->mideleg = BIT(RV_SSI) | BIT(RV_SEI);
	CHECK(rig_csrw(h, 0x104, UINT64_MAX) == RV_EXC_NONE && h->mie == h->mideleg);
	rv_hart_irq(h, RV_SEI, true); /* a line: reads as pending, is not software's to clear */
	CHECK(rig_csrw(h, 0x344, 0) == RV_EXC_NONE);
	CHECK(rig_csrr(h, 0x344, &v) == RV_EXC_NONE && v == BIT(RV_SEI));
	rv_help_csr(h, 0x344, BIT(RV_SSI),
		    2); /* set SSIP: the line does not become software's bit */
	rv_hart_irq(h, RV_SEI, false);
	CHECK(rig_csrr(h, 0x344, &v) == RV_EXC_NONE && v == BIT(RV_SSI));
	CHECK(rig_csrr(h, 0x144, &v) == RV_EXC_NONE && v == BIT(RV_SSI));
	rig_priv_set(&r, RV_S);
	CHECK(rig_csrw(h, 0x144, BIT(RV_SEI) | BIT(RV_STI)) ==
	      RV_EXC_NONE); /* only SSIP is writable */
	rig_priv_set(&r, RV_M);
	CHECK(rig_csrr(h, 0x344, &v) == RV_EXC_NONE && v == 0);
	h->menvcfg = ENVCFG_STCE;
	h->stimecmp = UINT64_MAX;
	CHECK(rig_csrw(h, 0x344, BIT(RV_STI)) == RV_EXC_NONE); /* read-only under Sstc */
	CHECK(rig_csrr(h, 0x344, &v) == RV_EXC_NONE && v == 0);
	CHECK(rig_csrw(h, 0x14d, 0) == RV_EXC_NONE);
	CHECK(rig_csrr(h, 0x344, &v) == RV_EXC_NONE && v == BIT(RV_STI));
	rig_fini(&r);
}
