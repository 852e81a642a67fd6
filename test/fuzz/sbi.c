/* SPDX-License-Identifier: Apache-2.0 */
/* Random SBI calls, CSR accesses, page tables and memory accesses of two harts. Whatever the guest
 * does, no address outside its RAM may come out of a translation, and nothing may hang. */
#include "isa/riscv/riscv.h"

enum { RAM = 256 << 10, HARTS = 2 };
#define RAM_BASE UINT64_C(0x80000000)

struct input {
	const uint8_t *p;
	size_t n;
};

static uint64_t take_bytes(struct input *in, unsigned len)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < len && in->n; i++, in->n--)
		v |= (uint64_t)*in->p++ << 8 * i;
	return v;
}

/* Numbers near what matters, and any others. */
static uint64_t take_value(struct input *in)
{
	static const uint64_t near[] = {
	    0,
	    1,
	    UINT64_MAX,
	    RAM_BASE,
	    RAM_BASE + RAM - 8,
	    RAM_BASE + RAM,
	    0x10000000,
	    1ull << 63,
	    8ull << 60 | RAM_BASE >> 12,
	    9ull << 60 | RAM_BASE >> 12,
	    10ull << 60 | RAM_BASE >> 12,
	    0x10,
	    0x54494d45,
	    0x735049,
	    0x52464e43,
	    0x48534d,
	    0x53525354,
	    0x4442434e,
	    0x53555350,
	    0x535441,
	    0x504d55,
	    0x1fffffffffffff,
	    0xffffffe000000000,
	    0x4000000000,
	};
	uint8_t kind = (uint8_t)take_bytes(in, 1);
	if (kind < countof(near))
		return near[kind];
	if (kind < 0x40)
		return near[kind % countof(near)] + take_bytes(in, 2);
	if (kind < 0x80)
		return RAM_BASE + take_bytes(in, 3) % RAM;
	return kind < 0xc0 ? take_bytes(in, 2) : take_bytes(in, 8);
}

static uint64_t window_read(void *dev, uint64_t off, unsigned width)
{
	(void)dev;
	return off ^ width;
}
static void window_write(void *dev, uint64_t off, unsigned width, uint64_t val)
{
	(void)dev, (void)off, (void)width, (void)val;
}
static void machine_reset(void *user, uint32_t type, uint32_t reason)
{
	(void)user, (void)type, (void)reason;
}
static void console_write(void *user, const uint8_t *p, size_t n)
{
	volatile uint8_t *sum = user;
	for (size_t i = 0; i < n; i++)
		*sum ^= p[i];
}
static size_t console_read(void *user, uint8_t *p, size_t cap)
{
	(void)user;
	memset(p, 'x', cap / 2);
	return cap / 2;
}

struct rig {
	struct rv_env env;
	struct vclock clock;
	uint8_t sum;
};

static struct rig *rig_get(void)
{
	static const struct bus_ops window = {window_read, window_write, 1, 8};
	static struct rig r;
	struct lodge_err e;
	if (r.env.mem)
		return &r;
	vclock_init(&r.clock);
	r.env = (struct rv_env){.clock = &r.clock,
				.nharts = HARTS,
				.mmu_max = 57,
				.pmp_entries = 16,
				.system_reset = machine_reset,
				.console_write = console_write,
				.console_read = console_read,
				.user = &r.sum};
	if (mem_new(&r.env.mem, gpa(RAM_BASE), RAM, &e) || bus_new(&r.env.bus, &e) ||
	    bus_map(r.env.bus, gpa(0x10000000), 0x1000, &window, NULL, NULL, &e))
		abort();
	for (unsigned i = 0; i < HARTS; i++)
		if (rv_hart_new(&r.env.harts[i], &r.env, i, &e))
			abort();
	return &r;
}

/* Everything the data TLB would let an engine touch is RAM, and is the page it says. */
static void tlb_check(const struct rv_hart *h)
{
	const uint8_t *ram = mem_host(h->env->mem);
	for (unsigned i = 0; i < RV_TLB_SIZE; i++) {
		const struct rv_tlb *t = &h->tlb[i];
		uint64_t tag = t->tag_r != RV_TLB_NONE ? t->tag_r : t->tag_w;
		if (tag == RV_TLB_NONE)
			continue;
		const uint8_t *host =
		    (const uint8_t *)(uintptr_t)((tag & ~UINT64_C(0xfff)) + t->add);
		if (t->pa - RAM_BASE > RAM - 4096 || host != ram + (t->pa - RAM_BASE) ||
		    (tag >> 12) % RV_TLB_SIZE != i)
			abort();
	}
}

static void access_any(struct rv_hart *h, struct input *in)
{
	static const enum rv_access kinds[] = {RV_READ, RV_WRITE};
	uint64_t va = take_value(in), v, pa;
	uint8_t how = (uint8_t)take_bytes(in, 1);
	unsigned size = 1u << (how >> 3 & 3);
	const uint8_t *host;
	switch (how & 7) {
	case 0:
	case 1:
		if (rv_store_slow(h, va, size, take_value(in)) && h->exc != RV_EXC_NONE)
			abort();
		break;
	case 2:
		if (rv_atomic_ptr(h, va, how >> 5 & 1 ? 16 : size, kinds[how >> 6 & 1]) &&
		    h->exc != RV_EXC_NONE)
			abort();
		break;
	case 3:
		if (rv_fetch(h, va, &host, &pa) &&
		    (pa - RAM_BASE >= RAM || host != mem_host(h->env->mem) + (pa - RAM_BASE)))
			abort();
		break;
	case 4: rv_help_cbo_zero(h, va, 0, 0); break;
	case 5: rv_help_cbo_clean(h, va, how >> 6, 0); break;
	case 6: rv_help_amocas_q(h, va, how >> 3 & 30, how >> 2 & 30); break;
	default:
		if (rv_load_slow(h, va, size, &v) && size < 8 && v >> size * 8)
			abort();
		break;
	}
}

static void ecall_any(struct rv_hart *h, struct input *in)
{
	for (unsigned i = 10; i < 16; i++)
		h->x[i] = take_value(in);
	h->x[16] = take_bytes(in, 1) & 7;
	h->x[17] = take_value(in);
	rv_help_ecall(h, h->pc + 4, 0, 0);
}

/* Entries that are nearly right: a random number hardly ever is. */
static void table_any(struct rv_hart *h, struct input *in)
{
	uint64_t at = RAM_BASE + (take_bytes(in, 2) * 8) % RAM,
		 to = take_value(in) & ~UINT64_C(0xfff);
	uint64_t flags = take_bytes(in, 1), high = take_bytes(in, 1);
	uint64_t pte = to >> 2 | flags | (high < 16 ? high << 60 : 0);
	if (!mem_write(h->env->mem, gpa(at), &pte, sizeof pte))
		abort();
}

static void trap_any(struct rv_hart *h, struct input *in)
{
	uint8_t how = (uint8_t)take_bytes(in, 1);
	switch (how & 7) {
	case 0: rv_help_mret(h, 0, 0, 0); break;
	case 1: rv_help_sret(h, 0, 0, 0); break;
	case 2: rv_help_wfi(h, 0, 0, 0); break;
	case 3: rv_help_wrs(h, 0, 0, 0); break;
	case 4: rv_hart_irq(h, how >> 3 & 15, how >> 7); break;
	case 5: rv_trap(h, (enum rv_exc)(how >> 3 & 15), take_value(in)); break;
	default:
		rv_hart_request(h, RV_REQ_PAUSE); /* so that it does not sleep */
		rv_wait(h);
		rv_poll(h);
		rv_rest(h);
		h->requests &= ~(uint32_t)RV_REQ_PAUSE;
		break;
	}
	h->pc = h->npc;
}

static void csr_any(struct rv_hart *h, struct input *in, uint8_t op)
{
	static const uint16_t usual[] = {0x180, 0x100, 0x300, 0x30a, 0x10a, 0x104, 0x304,
					 0x303, 0x302, 0x144, 0x344, 0x14d, 0x3a0, 0x3b0,
					 0x3b1, 0x3b2, 0x320, 0x323, 0xb00, 0xb03, 0x306,
					 0x106, 0x003, 0x105, 0x305, 0xc01};
	uint64_t n = take_bytes(in, 1);
	n = n < countof(usual) ? usual[n] : n << 8 | take_bytes(in, 1);
	rv_help_csr(h, n, take_value(in), 1u + (op >> 4) % 3u + (op >> 6 & 3u) * 4);
}

static void step(struct rv_hart *h, struct input *in, uint8_t op)
{
	uint64_t a;
	switch (op >> 1 & 7) {
	case 0: ecall_any(h, in); break;
	case 1: csr_any(h, in, op); break;
	case 2: table_any(h, in); break;
	case 3:
		a = take_value(in);
		rv_help_sfence_vma(h, a, take_bytes(in, 1), op >> 4 & 3);
		break;
	case 4: trap_any(h, in); break;
	default: access_any(h, in); break;
	}
	if (h->exc != RV_EXC_NONE)
		rv_trap(h, (enum rv_exc)h->exc, h->tval);
	if (h->priv == 2 || h->exc != RV_EXC_NONE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rig *r = rig_get();
	struct input in = {data, len};
	memset(mem_host(r->env.mem), 0, RAM);
	r->env.sbi = take_bytes(&in, 1) & 1;
	for (unsigned i = 0; i < HARTS; i++) {
		r->env.harts[i]->requests = 0;
		rv_hart_reset(r->env.harts[i], RAM_BASE, 0);
	}
	while (in.n) {
		uint8_t op = (uint8_t)take_bytes(&in, 1);
		step(r->env.harts[op & 1], &in, op);
	}
	for (unsigned i = 0; i < HARTS; i++)
		tlb_check(r->env.harts[i]);
	return 0;
}
