/* SPDX-License-Identifier: Apache-2.0 */
#include "isa/riscv/priv.h"
#include "isa/riscv/rig.h"
#include "test/test.h"

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

/* Any bytes in every field, then what the specification does not let be cleared. */
static void hart_scramble(struct rv_hart *h, uint64_t *seed)
{
	for (const struct state_field *f = rv_hart_state; f->name; f++)
		for (uint32_t i = 0; i < f->size; i++)
			((uint8_t *)h + f->off)[i] = (uint8_t)next(seed);
}

static void hart_tame(struct rv_hart *h)
{
	h->mstatus &= MSTATUS_MPIE | MSTATUS_MIE | MSTATUS_SUM;
	h->fp.flags &= 31;
	h->frm &= 7;
	h->fs &= 3;
	h->x[0] = 0;
	h->pc &= ~UINT64_C(1);
	h->mepc &= ~UINT64_C(1);
	h->sepc &= ~UINT64_C(1);
	h->mtvec &= ~UINT64_C(2);
	h->stvec &= ~UINT64_C(2);
	h->medeleg &= 0xb3ff;
	h->mideleg &= IRQ_S;
	h->mie &= IRQ_S | IRQ_M;
	h->mip_soft &= IRQ_S;
	h->mip_lines &= IRQ_S | IRQ_M;
	h->fw_used &= 0xffff;
	h->fw_running &= 0xffff;
	h->hw_used &= 5;
	h->hw_running &= 5;
	h->vlenb = 16;
	h->vs &= 3;
	h->vstart &= 127;
	h->vxrm &= 3;
	h->vxsat &= 1;
	h->vtype = h->vl & 1 ? RV_VTYPE_ILL : 0xc0 | 1 << 3; /* e16, m1 */
	h->vl = h->vl & 1 ? 0 : h->vl >> 8 & 7;
	h->priv &= 1;
	h->hsm %= RV_HSM_SUSPENDED_LOST + 1;
	h->satp = (h->satp & (BIT(60) - 1)) | (uint64_t)SATP_SV39 << 60;
	for (unsigned i = 0; i < RV_PMP_MAX; i++) {
		h->pmpaddr[i] &= BIT(54) - 1;
		h->pmpcfg[i] = i < h->env->pmp_entries ? h->pmpcfg[i] : 0;
	}
}

TEST(hart_of_any_state_comes_back_byte_for_byte)
{
	struct rig r;
	static uint8_t a[16384], b[16384];
	uint64_t seed = 88172645463325252u;
	rig_init(&r, 2, true);
	for (unsigned round = 0; round < 200; round++) {
		struct rv_hart *x = r.env.harts[0], *y = r.env.harts[1];
		y->vlenb = 16;
		hart_scramble(x, &seed);
		hart_tame(x);
		CHECK(rv_hart_valid(x));
		size_t n = state_save(rv_hart_state, x, a, sizeof a);
		CHECK(n <= sizeof a && state_load(rv_hart_state, y, a, n) && rv_hart_valid(y));
		rv_hart_loaded(y);
		CHECK(state_save(rv_hart_state, y, b, sizeof b) == n && !memcmp(a, b, n));
		CHECK(y->npc == y->pc && y->res_va == UINT64_MAX && y->id == 1);
	}
	rv_hart_reset(r.env.harts[0], RIG_BASE, 0);
	rv_hart_reset(r.env.harts[1], RIG_BASE, 0);
	rig_fini(&r);
}

TEST(hart_states_that_no_hart_gets_into_are_refused)
{
	struct rig r;
	rig_init(&r, 1, true);
	struct rv_hart *h = r.h, good = *h;
	CHECK(rv_hart_valid(h));
#define REFUSED(field, value)                                                                      \
	do {                                                                                       \
		h->field = (value);                                                                \
		CHECK(!rv_hart_valid(h));                                                          \
		h->field = good.field;                                                             \
	} while (0)
	REFUSED(priv, 2);
	REFUSED(priv, RV_M); /* the firmware is outside */
	REFUSED(priv, 4);
	REFUSED(fs, 4);
	REFUSED(frm, 8);
	REFUSED(fp.flags, 32);
	REFUSED(x[0], 1);
	REFUSED(pc, RIG_BASE + 1);
	REFUSED(sepc, 1);
	REFUSED(stvec, 2);
	REFUSED(satp, UINT64_C(7) << 60);
	REFUSED(mstatus, UINT64_C(2) << 11);
	REFUSED(mstatus, UINT64_MAX);
	REFUSED(hsm, RV_HSM_SUSPENDED_LOST + 1);
	REFUSED(pmpaddr[3], BIT(54));
	REFUSED(pmpcfg[63], 1);
	REFUSED(fw_used, 1u << RV_SBI_FW_COUNTERS);
	REFUSED(vs, 1); /* it has no vectors */
	REFUSED(vl, 1);
	h->vlenb = 16;
	h->vtype = good.vtype = 0xc0 | 1 << 3 | 1; /* e16, m2 */
	h->vl = good.vl = 16;
	CHECK(rv_hart_valid(h));
	REFUSED(vs, 4);
	REFUSED(vl, 17);
	REFUSED(vl, UINT64_MAX);
	REFUSED(vtype, 0xc0 | 7 << 3);
	REFUSED(vtype, 0xc0 | 3 << 3 | 1); /* 4 elements only */
	REFUSED(vtype, RV_VTYPE_ILL);
	REFUSED(vstart, 128);
	REFUSED(vxrm, 4);
	REFUSED(vxsat, 2);
#undef REFUSED
	CHECK(rv_hart_valid(h));
	rig_fini(&r);
}
