/* SPDX-License-Identifier: Apache-2.0 */
#include "isa/riscv/rig.h"
#include <stdio.h>

static uint64_t window_read(void *dev, uint64_t off, unsigned width)
{
	struct rig *r = dev;
	r->last_off = off;
	r->last_width = width;
	return off | 0x5a00;
}
static void window_write(void *dev, uint64_t off, unsigned width, uint64_t val)
{
	struct rig *r = dev;
	r->last_off = off;
	r->last_width = width;
	r->last_val = val;
}
static void rig_reset(void *user, uint32_t type, uint32_t reason)
{
	struct rig *r = user;
	r->resets++;
	r->reset_type = type;
	r->reset_reason = reason;
}
static void rig_print(void *user, const uint8_t *p, size_t n)
{
	struct rig *r = user;
	for (size_t i = 0; i < n && r->console_len < sizeof r->console; i++)
		r->console[r->console_len++] = (char)p[i];
}
static size_t rig_type(void *user, uint8_t *p, size_t cap)
{
	struct rig *r = user;
	size_t n = 0;
	for (; r->typed && *r->typed && n < cap; n++)
		p[n] = (uint8_t)*r->typed++;
	return n;
}

void rig_init(struct rig *r, unsigned harts, bool sbi)
{
	static const struct bus_ops window = {window_read, window_write, 1, 8};
	struct lodge_err e;
	memset(r, 0, sizeof *r);
	vclock_init(&r->clock);
	r->env = (struct rv_env){.clock = &r->clock,
				 .nharts = harts,
				 .mmu_max = 57,
				 .pmp_entries = 16,
				 .sbi = sbi,
				 .system_reset = rig_reset,
				 .console_write = rig_print,
				 .console_read = rig_type,
				 .user = r};
	CHECK(!mem_new(&r->env.mem, gpa(RIG_BASE), RIG_RAM, &e));
	CHECK(!bus_new(&r->env.bus, &e));
	CHECK(!bus_map(r->env.bus, gpa(RIG_MMIO), 0x1000, &window, r, NULL, &e));
	for (unsigned i = 0; i < harts; i++) {
		CHECK(!rv_hart_new(&r->env.harts[i], &r->env, i, &e));
		rv_pmp_set_addr(r->env.harts[i], 0, UINT64_MAX);
		rv_pmp_set_cfg(r->env.harts[i], 0, 0x1f);
	}
	r->h = r->env.harts[0];
	r->next_table = RIG_BASE + RIG_RAM / 2;
}

void rig_fini(struct rig *r)
{
	for (unsigned i = 0; i < r->env.nharts; i++)
		rv_hart_free(r->env.harts[i]);
	bus_free(r->env.bus);
	mem_free(r->env.mem);
}

uint64_t *rig_word(struct rig *r, uint64_t pa)
{
	uint64_t *p = mem_ptr(r->env.mem, gpa(pa), 8);
	CHECK(p);
	return p;
}

uint64_t rig_table(struct rig *r)
{
	uint64_t pa = r->next_table;
	r->next_table += 4096;
	memset(rig_word(r, pa), 0, 4096);
	return pa;
}

uint64_t rig_map(struct rig *r, uint64_t root, unsigned levels, uint64_t va, unsigned level,
		 uint64_t pte)
{
	uint64_t table = root;
	for (unsigned l = levels - 1;; l--) {
		uint64_t at = table + (va >> (12 + 9 * l) & 511) * 8;
		if (l == level) {
			*rig_word(r, at) = pte;
			return at;
		}
		if (!(*rig_word(r, at) & 1))
			*rig_word(r, at) = rig_leaf(rig_table(r), 1);
		table = *rig_word(r, at) >> 10 << 12;
	}
}

void rig_satp_set(struct rig *r, uint64_t satp)
{
	r->h->satp = satp;
	rv_mmu_update(r->h);
}

void rig_priv_set(struct rig *r, unsigned priv)
{
	r->h->priv = (uint8_t)priv;
	rv_mmu_update(r->h);
}

static enum rv_exc exc_taken(struct rv_hart *h)
{
	enum rv_exc e = (enum rv_exc)h->exc;
	h->exc = RV_EXC_NONE;
	return e;
}

enum rv_exc rig_csrw(struct rv_hart *h, unsigned n, uint64_t v)
{
	rv_help_csr(h, n, v, 1);
	return exc_taken(h);
}

enum rv_exc rig_csrr(struct rv_hart *h, unsigned n, uint64_t *ret)
{
	*ret = rv_help_csr(h, n, 0, 2 | 4);
	return exc_taken(h);
}

int64_t rig_sbi(struct rv_hart *h, uint64_t ext, uint64_t fn, const uint64_t args[6],
		uint64_t *ret_value)
{
	for (unsigned i = 0; i < 6; i++)
		h->x[10 + i] = args ? args[i] : 0;
	h->x[16] = fn;
	h->x[17] = ext;
	h->npc = h->pc + 4;
	rv_sbi_ecall(h);
	if (ret_value)
		*ret_value = h->x[11];
	return (int64_t)h->x[10];
}

enum rv_exc rig_access(struct rv_hart *h, uint64_t va, enum rv_access a, unsigned size)
{
	uint64_t v, pa;
	const uint8_t *host;
	bool ok = a == RV_EXEC    ? rv_fetch(h, va, &host, &pa)
		  : a == RV_WRITE ? rv_store_slow(h, va, size, 0x1122334455667788)
				  : rv_load_slow(h, va, size, &v);
	CHECK(ok == (h->exc == RV_EXC_NONE));
	return exc_taken(h);
}

bool rig_hits(const struct rv_hart *h, uint64_t va, enum rv_access a)
{
	const struct rv_tlb *e = &h->tlb[(va >> 12) % RV_TLB_SIZE];
	return ((va & ~UINT64_C(0xfff)) | h->dctx) == (a == RV_WRITE ? e->tag_w : e->tag_r);
}

void rig_check(bool ok, const char *fmt, ...)
{
	char msg[256];
	va_list ap;
	if (ok)
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	fail_msg("%s", msg);
}
