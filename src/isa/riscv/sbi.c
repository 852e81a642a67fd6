/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in SBI: dispatch, base extension, legacy extensions. SBI 2.0 §3, §4, §5 */
#include "isa/riscv/priv.h"

/* "LO": an implementation id that the specification has not given to anyone */
enum { SBI_SPEC_2_0 = 2 << 24, SBI_IMPL_ID = 0x4c4f, SBI_IMPL_VERSION = 1 };

static const struct extension {
	uint64_t first, last;
	struct sbi_ret (*serve)(struct rv_hart *h, uint64_t fn);
} extensions[] = {
#define SBI(name, first, last, summary) {first, last, rv_sbi_##name},
#include "isa/riscv/sbi.def"
};

static const struct extension *extension_find(uint64_t id)
{
	for (size_t i = 0; i < countof(extensions); i++)
		if (id >= extensions[i].first && id <= extensions[i].last)
			return &extensions[i];
	return NULL;
}

void rv_sbi_ecall(struct rv_hart *h)
{
	/* ids and function ids are 32 bits wide, upper bits do not count; §3.2 */
	uint64_t id = h->x[17] & UINT32_MAX;
	const struct extension *x = extension_find(id);
	struct sbi_ret r = x ? x->serve(h, h->x[16] & UINT32_MAX) : sbi_ret(SBI_NOT_SUPPORTED, 0);
	if (r.error == SBI_NO_RETURN)
		return;
	if (r.error == SBI_AGAIN) {
		h->npc -= 4;
		__atomic_store_n(&h->limit, 0, __ATOMIC_RELAXED);
		return;
	}
	h->x[10] = (uint64_t)r.error;
	if (id > 0xf || !x) /* legacy calls have one result, in a0 */
		h->x[11] = r.value;
}

struct sbi_ret rv_sbi_base(struct rv_hart *h, uint64_t fn)
{
	enum { SPEC_VERSION, IMPL_ID, IMPL_VERSION, PROBE, VENDOR, ARCH, IMP };
	switch (fn) {
	case SPEC_VERSION: return sbi_ret(SBI_OK, SBI_SPEC_2_0);
	case IMPL_ID: return sbi_ret(SBI_OK, SBI_IMPL_ID);
	case IMPL_VERSION: return sbi_ret(SBI_OK, SBI_IMPL_VERSION);
	case PROBE: return sbi_ret(SBI_OK, extension_find(sbi_arg(h, 0)) != NULL);
	case VENDOR:
	case ARCH:
	case IMP: return sbi_ret(SBI_OK, 0); /* as the CSRs say */
	default: return sbi_ret(SBI_NOT_SUPPORTED, 0);
	}
}

bool rv_sbi_harts(const struct rv_hart *h, uint64_t mask, uint64_t base, uint32_t *ret)
{
	uint32_t all = (uint32_t)(BIT(h->env->nharts) - 1);
	*ret = all;
	if (base == UINT64_MAX)
		return true;
	*ret = 0;
	if (!mask)
		return true;
	if (base >= h->env->nharts || (mask << base) >> base != mask ||
	    mask << base & ~(uint64_t)all)
		return false;
	*ret = (uint32_t)(mask << base);
	return true;
}

/* ---- legacy ---- */

/* The mask that a0 points to, in the caller's address space; a null pointer means all harts. */
static bool legacy_harts(struct rv_hart *h, uint32_t *ret)
{
	uint64_t mask;
	if (!sbi_arg(h, 0))
		return rv_sbi_harts(h, 0, UINT64_MAX, ret);
	if (!rv_load_slow(h, sbi_arg(h, 0), 8, &mask)) {
		h->exc = RV_EXC_NONE;
		return false;
	}
	return rv_sbi_harts(h, mask, 0, ret);
}

static struct sbi_ret legacy_fence(struct rv_hart *h, uint64_t id)
{
	struct rv_fence fc = {.va = sbi_arg(h, 1), .len = sbi_arg(h, 2), .asid = -1};
	uint32_t harts;
	if (!legacy_harts(h, &harts))
		return sbi_ret(SBI_INVALID_PARAM, 0);
	if (id == 5)
		fc = (struct rv_fence){.insn = true};
	if (id == 7)
		fc.asid = (int)(sbi_arg(h, 3) & 0xffff);
	return rv_sbi_fence(h, harts, &fc);
}

static struct sbi_ret legacy_getchar(struct rv_hart *h)
{
	uint8_t c;
	if (!h->env->console_read || h->env->console_read(h->env->user, &c, 1) != 1)
		return sbi_ret(SBI_FAILED, 0);
	return (struct sbi_ret){.error = c};
}

struct sbi_ret rv_sbi_legacy(struct rv_hart *h, uint64_t fn)
{
	enum {
		SET_TIMER,
		PUTCHAR,
		GETCHAR,
		CLEAR_IPI,
		SEND_IPI,
		FENCE_I,
		SFENCE,
		SFENCE_ASID,
		SHUTDOWN
	};
	uint64_t id = h->x[17] & UINT32_MAX;
	uint8_t c = (uint8_t)sbi_arg(h, 0);
	uint32_t harts;
	(void)fn;
	switch (id) {
	case SET_TIMER: rv_sbi_timer_set(h, sbi_arg(h, 0)); return sbi_ret(SBI_OK, 0);
	case PUTCHAR:
		if (h->env->console_write)
			h->env->console_write(h->env->user, &c, 1);
		return sbi_ret(SBI_OK, 0);
	case GETCHAR: return legacy_getchar(h);
	case CLEAR_IPI:
		__atomic_fetch_and(&h->mip_lines, ~BIT(RV_SSI), __ATOMIC_SEQ_CST);
		return sbi_ret(SBI_OK, 0);
	case SEND_IPI:
		return legacy_harts(h, &harts) ? rv_sbi_ipi_send(h, harts)
					       : sbi_ret(SBI_INVALID_PARAM, 0);
	case FENCE_I:
	case SFENCE:
	case SFENCE_ASID: return legacy_fence(h, id);
	default: return rv_sbi_reset(h, 0, 0);
	}
}
