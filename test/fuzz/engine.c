/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as code, on every engine of engines.def: wild jumps, code that rewrites itself, aliases
 * of one page at many addresses, large pages, traps on traps. Nothing crashes, hangs or reaches
 * beyond the guest's RAM.
 *
 * With bit 6 of byte 0 the states of two engines on which the run ended by itself are compared,
 * too. Nothing may then happen that each engine may see in its own way: S mode runs under a handler
 * of M mode that it cannot change, and code and page tables are not writable.
 *
 * Byte 0: bit 0 S mode first, bit 1 a translated address space, bits 2-3 how often the code is
 * repeated before it is run, bit 4 PMP on a part of a page, bit 5 a handler that skips what traps,
 * bit 6 compare; byte 1: aliases, and by bits 0 and 1 every unit optimized, memory mirrored. */
#include "engine/engine.h"
#include <pthread.h>
#include <stdio.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
enum {
	RAM_BYTES = 2 << 20,
	CODE_AT = 0x10000,
	DATA_AT = 0x40000, /* code ends before */
	TABLES_AT = 0x100000,
	STOP = 0x100000,
	SKIPS = 0x20,
	COMPARES = 0x40,
};
#define RAM 0x80000000u

struct run {
	struct rv_env env;
	struct vclock clock;
	struct rv_hart *h;
	bool ended, compares;
	unsigned uses;
	uint64_t icount;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done;
};

static uint64_t stop_read(void *user, uint64_t off, unsigned width)
{
	struct run *r = user;
	return ++r->uses * 0x9e3779b97f4a7c15 + off + width;
}
static void stop_write(void *user, uint64_t off, unsigned width, uint64_t val)
{
	struct run *r = user;
	(void)off, (void)width, (void)val;
	/* How far an engine runs behind this store is its own matter: only the handler, which then
	 * waits in a loop, ends a run that is compared. */
	r->ended = r->h->priv == RV_M;
	if (r->ended || !r->compares)
		rv_hart_request(r->h, RV_REQ_STOP);
}

static void *run_limit(void *arg)
{
	struct run *r = arg;
	struct timespec at;
	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += 4000000;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	pthread_mutex_lock(&r->lock);
	while (!r->done && pthread_cond_timedwait(&r->wake, &r->lock, &at) != ETIMEDOUT)
		continue;
	pthread_mutex_unlock(&r->lock);
	rv_hart_request(r->h, RV_REQ_STOP);
	return NULL;
}

static void put64(struct run *r, uint64_t off, uint64_t v)
{
	le64_put(mem_host(r->env.mem) + off, v);
}

/* 16 MiB at RAM and at 0 alike: all of RAM again and again, by 4 KiB or 2 MiB pages as the bits of
 * @how say; everything may be done everywhere. Sv39: three levels. */
static void aliases_make(struct run *r, uint8_t how)
{
	enum { ALL = 0xcf, REGIONS = 8 };
	uint64_t mid = TABLES_AT + 4096, leaf = mid + 4096, bits = ALL;
	put64(r, TABLES_AT, (RAM + mid) >> 12 << 10 | 1);
	put64(r, TABLES_AT + 8 * (RAM >> 30), (RAM + mid) >> 12 << 10 | 1);
	for (unsigned g = 0; g < REGIONS; g++) {
		if (how >> g & 1) {
			put64(r, mid + 8 * g, (uint64_t)RAM >> 12 << 10 | bits);
			continue;
		}
		put64(r, mid + 8 * g, (RAM + leaf) >> 12 << 10 | 1);
		for (uint64_t i = 0; i < 512; i++)
			put64(r, leaf + 8 * i,
			      (RAM + ((i + g * 3) % 512) * 4096) >> 12 << 10 | bits);
		leaf += 4096;
	}
	r->h->satp = 8ull << 60 | (RAM + TABLES_AT) >> 12;
}

static bool run_make(struct run *r, const struct engine *e, uint8_t how, uint8_t more)
{
	static const struct bus_ops ops = {stop_read, stop_write, 1, 8};
	*r = (struct run){.clock = {.stopped_at_ns = 1}, .compares = how & COMPARES};
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	static const unsigned vlen[] = {128, 256, 512, 0};
	/* a cache that is full all the time; translated at once or at the second run */
	r->env = (struct rv_env){.clock = &r->clock, .nharts = 1, .hot = 1 + (how >> 7),
				 .code_bytes = 64 << 10, .mmu_max = 57, .pmp_entries = 16,
				 .opt_at = more & 1, .opt_sync = true, .mirror = more >> 1 & 1,
				 .vlen = vlen[more >> 2 & 3], .narrow = more >> 4 & 1};
	if (mem_new(&r->env.mem, gpa(RAM), RAM_BYTES, NULL) < 0 || bus_new(&r->env.bus, NULL) < 0 ||
	    bus_map(r->env.bus, gpa(STOP), 0x1000, &ops, r, NULL, NULL) < 0 ||
	    rv_hart_new(&r->h, &r->env, 0, NULL) < 0)
		return false;
	r->env.harts[0] = r->h;
	return e->attach(r->h, NULL) == 0;
}

static void run_free(struct run *r, const struct engine *e)
{
	if (r->h) {
		e->detach(r->h);
		rv_hart_free(r->h);
	}
	if (r->env.bus)
		bus_free(r->env.bus);
	mem_free(r->env.mem);
}

/* Trap handler: skip the instruction by its length; end after 200 traps. It uses x30, x31. */
static const uint32_t skipper[] = {
    0x34202ff3, /* csrr x31, mcause */
    0x34002f73, /* csrr x30, mscratch */
    0xffff0f13, /* addi x30, x30, -1 */
    0x340f1073, /* csrw mscratch, x30 */
    0x020f4263, /* bltz x30, end (9 words on) */
    0x34102ff3, /* csrr x31, mepc */
    0x004f8f93, /* addi x31, x31, 4 */
    0x341f9073, /* csrw mepc, x31 */
    0x00020f37, /* lui x30, 0x20: MPRV off */
    0x300f3073, /* csrc mstatus, x30 */
    0x0000100f, /* fence.i */
    0x30200073, /* mret */
    0x00000013, /* nop */
    0xb0202ff3, /* end: csrr x31, minstret */
    0x00100f37, /* lui x30, STOP */
    0x000f3023, /* sd x0, 0(x30) */
    0x0000006f, /* j . */
};

/* Physical memory by PMP, locked. */
static void pmp_put(struct rv_hart *h, unsigned i, uint64_t at, uint64_t bytes, unsigned rights)
{
	h->pmpaddr[i] = at >> 2 | (bytes / 8 - 1);
	h->pmpcfg[i] = (uint8_t)(0x98 | rights);
}

static void pmp_fill(struct rv_hart *h, const uint8_t *data)
{
	if (data[0] & 0x10) /* a part of a page */
		pmp_put(h, 0, RAM + DATA_AT + 0x2000, 256, data[1] & 7);
	h->pmpaddr[15] = (UINT64_C(1) << 54) - 1;
	h->pmpcfg[15] = 0x1f;
	if (!(data[0] & COMPARES))
		return;
	pmp_put(h, 1, RAM, 4096, 5);
	pmp_put(h, 2, RAM + CODE_AT, 0x10000, 5);
	pmp_put(h, 3, RAM + CODE_AT + 0x10000, 0x20000, 5);
	pmp_put(h, 4, RAM + TABLES_AT, 0x10000, 1);
	h->pmpcfg[15] = 0x9b;
}

static void run_fill(struct run *r, const uint8_t *data, size_t len)
{
	uint8_t *ram = mem_host(r->env.mem);
	size_t times = 1u << 2 * (data[0] >> 2 & 3);
	struct rv_hart *h = r->h;
	rv_hart_reset(h, RAM + CODE_AT, 0);
	for (size_t i = 0; i < countof(skipper); i++)
		le32_put(ram + 4 * i, skipper[i]);
	for (size_t i = 0; i < times && CODE_AT + (i + 1) * (len - 2) <= DATA_AT; i++)
		memcpy(ram + CODE_AT + i * (len - 2), data + 2, len - 2);
	bool skips = data[0] & (SKIPS | COMPARES);
	h->mtvec = skips ? RAM : RAM + CODE_AT;
	h->stvec = RAM + CODE_AT + 64;
	h->mscratch = 200;
	h->medeleg = skips ? 0 : 0xb1ff;
	h->priv = data[0] & (1 | COMPARES) ? RV_S : RV_M;
	h->mstatus = data[0] & COMPARES ? UINT64_C(1) << 20 : 0; /* TVM */
	h->mcounteren = 7;
	h->fs = 1;
	h->vs = h->vlenb != 0;
	for (unsigned i = 1; i < 32; i++)
		h->x[i] = RAM + (i & 1 ? DATA_AT : CODE_AT) + 0x1000u * (i % 16) + 8 * i;
	h->x[5] = STOP;
	h->x[6] = 0x100073; /* code to store: ebreak, ret */
	h->x[7] = 0x8082;
	h->x[9] = 1000;
	pmp_fill(h, data);
	if (data[0] & 2)
		aliases_make(r, data[1]);
	rv_hart_loaded(h);
	h->fetch_epoch++;
}

static bool run_go(struct run *r, const struct engine *e, const uint8_t *data, size_t len)
{
	pthread_t limit;
	if (!run_make(r, e, data[0], data[1]))
		return false;
	run_fill(r, data, len);
	if (pthread_create(&limit, NULL, run_limit, r))
		return false;
	e->run(r->h);
	pthread_mutex_lock(&r->lock);
	r->done = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(limit, NULL);
	return r->ended;
}

static void state_check(const struct run *a, const struct run *b)
{
	for (const struct state_field *f = rv_hart_state; f->name; f++) {
		size_t n = strcmp(f->name, "x") ? f->size : 32 * sizeof(uint64_t);
		if (strcmp(f->name, "icount") &&
		    memcmp((const char *)a->h + f->off, (const char *)b->h + f->off, n)) {
			fprintf(stderr, "the engines differ in %s\n", f->name);
			abort();
		}
	}
	if (a->uses != b->uses || memcmp(mem_host(a->env.mem), mem_host(b->env.mem), RAM_BYTES))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run first, other;
	if (len < 6 || len > 0x8000)
		return 0;
	bool ended = run_go(&first, engine_at(0), data, len);
	/* where there is one engine only, it must at least do the same again */
	for (size_t i = engine_at(1) != NULL; engine_at(i); i++) {
		bool too = run_go(&other, engine_at(i), data, len);
		if (ended && too && data[0] & COMPARES)
			state_check(&first, &other);
		run_free(&other, engine_at(i));
	}
	run_free(&first, engine_at(0));
	return 0;
}
