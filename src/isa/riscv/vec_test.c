/* SPDX-License-Identifier: Apache-2.0 */
/* What the comparison with another emulator does not see of V: privilege, CSRs, vtype, restarts.
 * RISC-V Unpriv 20240411 §31 */
#include "isa/riscv/rig.h"

enum { VSTART = 8, VXSAT = 9, VXRM = 10, VCSR = 15, VL = 0xc20, VTYPE = 0xc21, VLENB = 0xc22 };
enum { E8M1 = 0, E32M1 = 2 << 3, E64M8 = 3 << 3 | 3, E8MF8 = 5, E64MF8 = 3 << 3 | 5 };

static void vec_rig(struct rig *r, unsigned vlen)
{
	rig_init(r, 1, false);
	r->h->vlenb = vlen / 8;
	r->h->vs = vlen != 0;
}

static enum rv_exc exception_of(struct rv_hart *h)
{
	enum rv_exc x = (enum rv_exc)h->exc;
	h->exc = RV_EXC_NONE;
	return x;
}

/* Execute the instruction @word with the scalar operands @x, @y. */
static enum rv_exc run(struct rv_hart *h, uint32_t word, uint64_t x, uint64_t y)
{
	struct rv_insn d;
	CHECK(rv_decode(word, &d));
	rv_help_vector(h, word | (uint64_t)d.op << 32, x, y);
	return exception_of(h);
}

static uint64_t csr(struct rv_hart *h, unsigned n)
{
	uint64_t v = 0;
	CHECK(rig_csrr(h, n, &v) == RV_EXC_NONE);
	return v;
}

enum { VADD_VV_1_2_3 = 0x022180d7, VLE8_V1 = 0x02050087, VSE8_V1 = 0x020500a7,
       VLE8FF_V1 = 0x03050087, VMV1R_1_2 = 0x9e2030d7, VL1RE8_V1 = 0x02850087,
       VLE32_MASKED_V0 = 0x00056007, VFADD_VV_1_2_3 = 0x022190d7 };

TEST(vec_vl_follows_from_type_and_request)
{
	struct rig r;
	vec_rig(&r, 256);
	struct rv_hart *h = r.h;
	CHECK(csr(h, VLENB) == 32);
	CHECK(csr(h, VTYPE) == RV_VTYPE_ILL);
	CHECK(rv_help_vset(h, 100, E8M1, 0) == 32);
	CHECK(rv_help_vset(h, 5, E8M1, 0) == 5);
	CHECK(rv_help_vset(h, 0, E64M8, 2) == 32);
	CHECK(rv_help_vset(h, 0, E8MF8, 2) == 4);
	CHECK(csr(h, VL) == 4 && csr(h, VTYPE) == E8MF8);
	/* fewer elements than one of 64 bits in a register */
	CHECK(rv_help_vset(h, 1, E64MF8, 0) == 0);
	CHECK(csr(h, VL) == 0 && csr(h, VTYPE) == RV_VTYPE_ILL);
	CHECK(run(h, VADD_VV_1_2_3, 0, 0) == RV_EXC_ILLEGAL);
	/* reserved bits, reserved SEW and LMUL */
	CHECK(rv_help_vset(h, 1, 1u << 8, 0) == 0 && csr(h, VTYPE) == RV_VTYPE_ILL);
	CHECK(rv_help_vset(h, 1, 4 << 3, 0) == 0 && csr(h, VTYPE) == RV_VTYPE_ILL);
	CHECK(rv_help_vset(h, 1, 4, 0) == 0 && csr(h, VTYPE) == RV_VTYPE_ILL);
	rig_fini(&r);
}

TEST(vec_vl_is_kept_only_where_the_ratio_is)
{
	struct rig r;
	vec_rig(&r, 128);
	struct rv_hart *h = r.h;
	CHECK(rv_help_vset(h, 3, E32M1, 0) == 3);
	CHECK(rv_help_vset(h, 0, 3 << 3 | 1, 1) == 3);
	CHECK(csr(h, VTYPE) == (3 << 3 | 1));
	CHECK(rv_help_vset(h, 0, E8M1, 1) == 0);
	CHECK(csr(h, VTYPE) == RV_VTYPE_ILL);
	CHECK(rv_help_vset(h, 0, E8M1, 1) == 0); /* nothing to keep */
	CHECK(csr(h, VTYPE) == RV_VTYPE_ILL);
	rig_fini(&r);
}

TEST(vec_off_is_illegal_and_use_makes_dirty)
{
	struct rig r;
	vec_rig(&r, 128);
	struct rv_hart *h = r.h;
	uint64_t v;
	rv_help_vset(h, 1, E8M1, 0);
	CHECK(h->vs == 3 && rv_mstatus(h) & MSTATUS_SD);
	h->vs = 0;
	rv_help_vset(h, 1, E8M1, 0);
	CHECK(exception_of(h) == RV_EXC_ILLEGAL);
	CHECK(run(h, VADD_VV_1_2_3, 0, 0) == RV_EXC_ILLEGAL);
	CHECK(run(h, VL1RE8_V1, RIG_BASE, 0) == RV_EXC_ILLEGAL);
	for (unsigned n = VSTART; n <= VCSR; n++)
		if (n <= VXRM || n == VCSR)
			CHECK(rig_csrr(h, n, &v) == RV_EXC_ILLEGAL);
	CHECK(rig_csrr(h, VLENB, &v) == RV_EXC_ILLEGAL);
	h->vs = 1;
	h->fs = 0;
	CHECK(run(h, VADD_VV_1_2_3, 0, 0) == RV_EXC_NONE && h->vs == 3);
	CHECK(run(h, VFADD_VV_1_2_3, 0, 0) == RV_EXC_ILLEGAL);
	h->vs = 2;
	CHECK(rig_csrw(h, VXRM, 2) == RV_EXC_NONE && h->vs == 3);
	h->vs = 2;
	CHECK(run(h, VLE32_MASKED_V0, RIG_BASE, 0) == RV_EXC_ILLEGAL && h->vs == 2);
	rig_fini(&r);
}

TEST(vec_without_vectors_nothing_of_them_exists)
{
	struct rig r;
	vec_rig(&r, 0);
	uint64_t v;
	CHECK(rig_csrw(r.h, 0x300, UINT64_C(3) << 9) == RV_EXC_NONE);
	CHECK(!(rv_mstatus(r.h) & MSTATUS_VS));
	CHECK(rig_csrr(r.h, VL, &v) == RV_EXC_ILLEGAL);
	CHECK(!(csr(r.h, 0x301) >> 21 & 1));
	CHECK(run(r.h, VADD_VV_1_2_3, 0, 0) == RV_EXC_ILLEGAL);
	rig_fini(&r);
}

TEST(vec_csrs_share_their_bits)
{
	struct rig r;
	vec_rig(&r, 128);
	struct rv_hart *h = r.h;
	CHECK(rig_csrw(h, VCSR, UINT64_MAX) == RV_EXC_NONE);
	CHECK(csr(h, VCSR) == 7 && csr(h, VXSAT) == 1 && csr(h, VXRM) == 3);
	CHECK(rig_csrw(h, VXRM, 4) == RV_EXC_NONE && csr(h, VCSR) == 1);
	CHECK(rig_csrw(h, VSTART, UINT64_MAX) == RV_EXC_NONE && csr(h, VSTART) == 127);
	CHECK(rig_csrw(h, VL, 1) == RV_EXC_ILLEGAL);
	CHECK(csr(h, 0x301) >> 21 & 1);
	rig_fini(&r);
}

/* RAM ends: the rest of the element's group is behind it. */
TEST(vec_fault_tells_its_element_and_restarts_there)
{
	struct rig r;
	vec_rig(&r, 128);
	struct rv_hart *h = r.h;
	uint64_t end = RIG_BASE + RIG_RAM;
	for (unsigned i = 0; i < 16; i++)
		h->v[16 + i] = (uint8_t)(i + 1);
	rv_help_vset(h, 16, E8M1, 0);
	CHECK(run(h, VSE8_V1, end - 6, 0) == RV_EXC_STORE_ACCESS);
	CHECK(h->tval == end && csr(h, VSTART) == 6);
	CHECK(*rig_word(&r, end - 8) >> 16 == UINT64_C(0x060504030201));
	memset(h->v, 0xee, sizeof h->v);
	CHECK(rig_csrw(h, VSTART, 0) == RV_EXC_NONE);
	CHECK(run(h, VLE8_V1, end - 6, 0) == RV_EXC_LOAD_ACCESS);
	CHECK(csr(h, VSTART) == 6 && h->v[16 + 5] == 6 && h->v[16 + 6] == 0xee);
	/* it goes on at element 6, of other memory now */
	*rig_word(&r, RIG_BASE + 8) = UINT64_C(0x8877665544332211);
	CHECK(run(h, VLE8_V1, RIG_BASE + 2, 0) == RV_EXC_NONE);
	CHECK(csr(h, VSTART) == 0 && h->v[16 + 5] == 6 && h->v[16 + 6] == 0x11);
	rig_fini(&r);
}

TEST(vec_fault_only_first_shortens_vl)
{
	struct rig r;
	vec_rig(&r, 128);
	struct rv_hart *h = r.h;
	uint64_t end = RIG_BASE + RIG_RAM;
	memset(h->v, 0xee, sizeof h->v);
	rv_help_vset(h, 16, E8M1, 0);
	CHECK(run(h, VLE8FF_V1, end - 3, 0) == RV_EXC_NONE);
	CHECK(csr(h, VL) == 3 && csr(h, VSTART) == 0 && h->v[16 + 2] == 0 && h->v[19] == 0xee);
	rv_help_vset(h, 16, E8M1, 0);
	CHECK(run(h, VLE8FF_V1, end, 0) == RV_EXC_LOAD_ACCESS);
	CHECK(csr(h, VL) == 16 && csr(h, VSTART) == 0);
	rig_fini(&r);
}

TEST(vec_elements_reach_devices)
{
	struct rig r;
	vec_rig(&r, 128);
	struct rv_hart *h = r.h;
	rv_help_vset(h, 4, E8M1, 0);
	h->v[16 + 3] = 0x77;
	CHECK(run(h, VSE8_V1, RIG_MMIO + 8, 0) == RV_EXC_NONE);
	CHECK(r.last_off == 11 && r.last_val == 0x77 && r.last_width == 1);
	CHECK(run(h, VLE8_V1, RIG_MMIO + 8, 0) == RV_EXC_NONE);
	CHECK(h->v[16] == 8 && h->v[19] == 11);
	rig_fini(&r);
}

TEST(vec_state_is_saved)
{
	static uint8_t buf[1 << 16];
	struct rig r;
	vec_rig(&r, 128);
	struct rv_hart *h = r.h;
	rv_help_vset(h, 7, E8M1, 0);
	h->v[100] = 0x42;
	h->vxrm = 2;
	size_t n = state_save(rv_hart_state, h, buf, sizeof buf);
	CHECK(n && n <= sizeof buf);
	rv_hart_reset(h, 0, 0);
	CHECK(h->vl == 0 && h->vtype == RV_VTYPE_ILL && h->v[100] == 0 && h->vs == 0);
	CHECK(state_load(rv_hart_state, h, buf, n));
	CHECK(h->vl == 7 && h->vtype == E8M1 && h->v[100] == 0x42 && h->vxrm == 2 && h->vs == 3);
	rig_fini(&r);
}

TEST(vec_lengths_have_names)
{
	CHECK(rv_vlen_named(NULL) == 128 && rv_vlen_named("128") == 128);
	CHECK(rv_vlen_named("256") == 256 && rv_vlen_named("512") == 512);
	CHECK(!rv_vlen_named("") && !rv_vlen_named("off") && !rv_vlen_named("1024"));
}

/* Registers that nobody has written stay clean: frames of signals leave them out. */
TEST(vec_restored_is_used_only_if_it_was)
{
	struct rig r;
	vec_rig(&r, 128);
	rv_vector_restore(r.h, false, 4, E32M1, 0, 0);
	CHECK(r.h->vs == 1 && !r.h->vready && !r.h->vkey && csr(r.h, VL) == 4);
	rv_vector_restore(r.h, true, 4, E32M1, 0, 0);
	CHECK(r.h->vs == 3 && r.h->vready && r.h->vkey);
	rig_fini(&r);
}
