/* SPDX-License-Identifier: Apache-2.0 */
/* Harts of processes on every engine: memory at the host's addresses, faults with the host's word
 * on them, atomics, and code that comes and goes. */
#include "engine/engine.h"
#include "host/host.h"
#include "test/test.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define CODE UINT64_C(0x10000000)
#define DATA UINT64_C(0x10100000)       /* a page that may be written, one that may be read */
#define END (UINT64_C(1) << 38)
enum { PAGE = 4096, LOOPS = 500 };

struct rig {
	struct rv_env env;
	struct vclock clock;
	struct rv_hart *h;
	const struct engine *e;
	unsigned rights;        /* of the page at CODE */
	int64_t cause;
	uint64_t at, tval, calls;
	uint64_t fork_at;       /* the call that forks; 0: none */
	pid_t child;
	int sig, code;
};

static unsigned rig_rights(void *rig, uint64_t va)
{
	const struct rig *r = rig;
	return va >> 12 == CODE >> 12 ? r->rights : 0;
}

/* a7 0: leave; 1: count, and go on */
static void rig_ecall(void *rig, struct rv_hart *h)
{
	struct rig *r = rig;
	r->calls++;
	if (r->calls == r->fork_at) {
		CHECK(!r->e->fork_begin || r->e->fork_begin(h, NULL) == 0);
		r->child = fork();
		if (r->e->fork_end)
			r->e->fork_end(h, r->child == 0);
	}
	if (h->x[17])
		return;
	r->cause = RV_EXC_ECALL_U;
	r->at = h->pc;
	rv_hart_request(h, RV_REQ_STOP);
}

static void rig_exception(void *rig, struct rv_hart *h, enum rv_exc cause, uint64_t tval)
{
	struct rig *r = rig;
	r->cause = cause;
	r->at = h->pc;
	r->tval = tval;
	r->sig = h->fault_sig;
	r->code = h->fault_code;
	rv_hart_request(h, RV_REQ_STOP);
}

static void rig_look(void *rig, struct rv_hart *h) { (void)rig, (void)h; }

static const struct rv_process ops = {
	.end = END, .rights = rig_rights, .ecall = rig_ecall, .exception = rig_exception,
	.look = rig_look,
};

static void *page(uint64_t at, int prot)
{
	return mmap((void *)(uintptr_t)at, PAGE, prot,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/* A hart; the memory is there, or comes. */
static void rig_attach(struct rig *r, const struct engine *e, unsigned opt_at)
{
	*r = (struct rig){.e = e, .rights = RV_READ | RV_EXEC};
	vclock_init(&r->clock);
	r->env = (struct rv_env){.process = &ops, .clock = &r->clock, .hot = 1, .user = r,
		.opt_at = opt_at, .opt_sync = opt_at};
	CHECK(host_fault_begin(NULL) == 0);
	CHECK(rv_hart_new(&r->h, &r->env, 0, NULL) == 0);
	CHECK(e->attach(r->h, NULL) == 0);
	rv_process_reset(r->h, CODE, 0);
}

static void rig_detach(struct rig *r)
{
	r->e->detach(r->h);
	rv_hart_free(r->h);
}

static void pages_gone(void)
{
	munmap((void *)(uintptr_t)CODE, PAGE);
	munmap((void *)(uintptr_t)DATA, 2 * PAGE);
}

/* What a test that failed has left does not fail the next. */
static void rig_init(struct rig *r, const struct engine *e)
{
	pages_gone();
	CHECK(page(CODE, PROT_READ | PROT_WRITE) != MAP_FAILED);
	CHECK(page(DATA, PROT_READ | PROT_WRITE) != MAP_FAILED);
	CHECK(page(DATA + PAGE, PROT_READ) != MAP_FAILED);
	rig_attach(r, e, 0);
}

static void rig_fini(struct rig *r)
{
	rig_detach(r);
	pages_gone();
}

static void put(const uint32_t *words, size_t n)
{
	memcpy((void *)(uintptr_t)CODE, words, n * sizeof *words);
}

static void run(struct rig *r)
{
	r->cause = RV_EXC_NONE;
	r->h->pc = CODE;
	__atomic_and_fetch(&r->h->requests, ~(uint32_t)RV_REQ_STOP, __ATOMIC_ACQ_REL);
	r->e->run(r->h);
}

static const uint32_t loads[] = {
	0x00053583, /* 1: ld a1, 0(a0) */
	0xfff68693, /* addi a3, a3, -1 */
	0xfe069ce3, /* bnez a3, 1b */
	0x00e50533, /* add a0, a0, a4 */
	0x0085b603, /* ld a2, 8(a1): wherever */
	0x00c53023, /* sd a2, 0(a0) */
	0x00000073, /* ecall */
};

TEST(process_faults_tell_where_and_why)
{
	static const struct { uint64_t load, store; int cause, sig, code; uint64_t tval; } t[] = {
		{ DATA - 8, DATA, RV_EXC_ECALL_U, 0, 0, 0 },
		{ 0x1000, DATA, RV_EXC_LOAD_PAGE, SIGSEGV, SEGV_MAPERR, 0x1008 },
		{ DATA + 2 * PAGE - 12, DATA, RV_EXC_LOAD_PAGE, SIGSEGV, SEGV_MAPERR,
		  DATA + 2 * PAGE },
		{ END - 8, DATA, RV_EXC_LOAD_PAGE, SIGSEGV, SEGV_MAPERR, END },
		{ END + 4096, DATA, RV_EXC_LOAD_PAGE, SIGSEGV, SEGV_MAPERR, END },
		{ UINT64_C(1) << 47, DATA, RV_EXC_LOAD_PAGE, SIGSEGV, SEGV_MAPERR, END },
		{ UINT64_MAX - 15, DATA, RV_EXC_LOAD_PAGE, SIGSEGV, SEGV_MAPERR, END },
		{ DATA, DATA + PAGE, RV_EXC_STORE_PAGE, SIGSEGV, SEGV_ACCERR, DATA + PAGE },
		{ DATA, DATA + PAGE - 4, RV_EXC_STORE_PAGE, SIGSEGV, SEGV_ACCERR, DATA + PAGE },
		{ DATA, UINT64_C(1) << 60, RV_EXC_STORE_PAGE, SIGSEGV, SEGV_MAPERR, END },
	};
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		put(loads, countof(loads));
		for (size_t k = 0; k < 2 * countof(t); k++) {
			size_t c = k % countof(t);
			uint64_t *data = (uint64_t *)(uintptr_t)DATA;
			data[0] = t[c].load;
			data[1] = 4711;
			r.h->x[10] = DATA;
			r.h->x[13] = LOOPS;
			r.h->x[14] = t[c].store - DATA;
			run(&r);
			CHECK(r.cause == t[c].cause);
			if (!t[c].sig)
				continue;
			bool far = t[c].tval == END; /* then the whole address is told */
			uint64_t wild = t[c].cause == RV_EXC_LOAD_PAGE ? t[c].load + 8 : t[c].store;
			CHECK(r.tval == (far ? wild : t[c].tval));
			CHECK(r.sig == t[c].sig && r.code == t[c].code);
			CHECK(r.at == CODE + (t[c].cause == RV_EXC_LOAD_PAGE ? 16 : 20));
		}
		rig_fini(&r);
	}
}

TEST(process_atomics_are_guarded)
{
	static const uint32_t words[] = {
		0x1005362f, /* lr.d a2, (a0) */
		0x00b645b3, /* xor a1, a2, a1 */
		0x18b536af, /* sc.d a3, a1, (a0) */
		0x00b5272f, /* amoadd.w a4, a1, (a0) */
		0x40b537af, /* amoor.d a5, a1, (a0) */
		0x08b5382f, /* amoswap.d a6, a1, (a0) */
		0xa0b538af, /* amomax.d a7, a1, (a0) */
		0x00000893, /* li a7, 0 */
		0x00000073, /* ecall */
	};
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		put(words, countof(words));
		for (unsigned k = 0; k < 100; k++) {
			r.env.alone = k < 50;
			uint64_t *data = (uint64_t *)(uintptr_t)DATA;
			*data = 5;
			r.h->x[10] = DATA;
			r.h->x[11] = 2;
			run(&r);
			CHECK(r.cause == RV_EXC_ECALL_U && r.h->x[12] == 5 && r.h->x[13] == 0);
			CHECK(r.h->x[14] == 7 && r.h->x[15] == 14 && r.h->x[16] == 15);
			CHECK(*data == 7);
			r.h->x[10] = DATA + PAGE;
			r.h->x[11] = 2;
			run(&r); /* the load may be, the store may not */
			CHECK(r.cause == RV_EXC_STORE_PAGE && r.at == CODE + 8);
			CHECK(r.code == SEGV_ACCERR && r.tval == DATA + PAGE);
			r.h->x[10] = DATA + 4;
			run(&r);
			CHECK(r.cause == RV_EXC_LOAD_MISALIGNED && r.sig == SIGBUS);
			CHECK(r.code == BUS_ADRALN);
		}
		/* each of the AMOs where it may not write */
		for (unsigned k = 3; k < 7; k++) {
			put(&words[k], countof(words) - k);
			rv_code_stale(r.h, CODE, CODE + PAGE);
			for (unsigned n = 0; n < 100; n++) {
				r.env.alone = n < 50;
				r.h->x[10] = DATA + PAGE;
				run(&r);
				CHECK(r.cause == RV_EXC_STORE_PAGE && r.at == CODE);
				CHECK(r.code == SEGV_ACCERR && r.tval == DATA + PAGE);
			}
		}
		rig_fini(&r);
	}
}

/* AMOs as RISC-V Unpriv 20240411 §14.4 has them, and amocas, whose rd is what is wanted. */
enum { ADD = 0, SWAP = 1, XOR = 4, CAS = 5, OR = 8, AND = 12, MIN = 16, MAX = 20, MINU = 24,
       MAXU = 28 };

static uint64_t amo_makes(unsigned kind, uint64_t old, uint64_t v, uint64_t want, bool word)
{
	int64_t a = word ? (int32_t)old : (int64_t)old, b = word ? (int32_t)v : (int64_t)v;
	uint64_t ua = word ? (uint32_t)old : old, ub = word ? (uint32_t)v : v;
	switch (kind) {
	case ADD: return old + v;
	case XOR: return old ^ v;
	case OR: return old | v;
	case AND: return old & v;
	case MIN: return a < b ? old : v;
	case MAX: return a > b ? old : v;
	case MINU: return ua < ub ? old : v;
	case MAXU: return ua > ub ? old : v;
	case CAS: return (word ? (uint32_t)old == (uint32_t)want : old == want) ? v : old;
	default: return v;
	}
}

static void amo_check(struct rig *r, unsigned kind, bool word, unsigned rd)
{
	static const uint64_t values[] = {
		0, 1, 5, UINT64_MAX, UINT64_C(1) << 63, INT64_MAX, UINT64_C(0x80000000),
		UINT64_C(0x7fffffff), UINT64_C(0x1234567880000001), UINT64_C(0xffffffff00000000),
	};
	uint64_t *data = (uint64_t *)(uintptr_t)DATA;
	const uint32_t words[] = {
		kind << 27 | 11u << 20 | 10u << 15 | (word ? 2u : 3u) << 12 | rd << 7 | 0x2f,
		0x00000893, /* li a7, 0 */
		0x00000073, /* ecall */
	};
	put(words, countof(words));
	rv_code_stale(r->h, CODE, CODE + PAGE);
	for (size_t i = 0; i < countof(values) * countof(values); i++) {
		uint64_t old = values[i % countof(values)], v = values[i / countof(values)];
		uint64_t want = i % 3 && rd ? old : 0;
		uint64_t makes = amo_makes(kind, old, v, want, word);
		r->env.alone = i & 1; /* it comes and goes */
		*data = old;
		r->h->x[10] = DATA;
		r->h->x[11] = v;
		r->h->x[12] = want;
		run(r);
		CHECK(r->cause == RV_EXC_ECALL_U && r->h->x[11] == v);
		CHECK(*data == (word ? (old & ~UINT64_C(0xffffffff)) | (uint32_t)makes : makes));
		CHECK(!rd || r->h->x[12] == (word ? (uint64_t)(int32_t)old : old));
	}
}

TEST(process_atomics_alone_and_not)
{
	static const uint8_t kinds[] = { ADD, SWAP, XOR, CAS, OR, AND, MIN, MAX, MINU, MAXU };
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		for (size_t k = 0; k < 4 * countof(kinds); k++)
			amo_check(&r, kinds[k / 4], k & 1, k & 2 ? 12 : 0);
		rig_fini(&r);
	}
}

/* Units that are right only while nobody else touches memory are not run any more when that ends;
 * others stay. */
TEST(process_atomics_are_made_again_when_memory_is_shared)
{
	static const uint32_t words[] = {
		0x00b52733, /* 1: slt a4, a0, a1 */
		0xfff68693, /* addi a3, a3, -1 */
		0xfe069ce3, /* bnez a3, 1b */
		0x00000893, /* li a7, 0 */
		0x00000073, /* ecall */
	};
	static const uint32_t amo = 0x00b5202f; /* amoadd.w zero, a1, (a0) */
	const struct engine *e = engine_find("translate");
	struct engine_stats before, s;
	struct rig r;
	rig_init(&r, e);
	r.env.alone = true;
	put(words, countof(words));
	for (unsigned round = 0; round < 6; round++) {
		bool atomic = round >= 3;
		if (round == 3) {
			put(&amo, 1);
			rv_code_stale(r.h, CODE, CODE + PAGE);
		}
		if (round % 3 == 0)
			r.env.alone = true;
		r.h->x[10] = DATA;
		r.h->x[11] = 1;
		r.h->x[13] = LOOPS;
		e->stats(r.h, &before);
		if (round % 3 == 2)
			r.env.alone = false;
		run(&r);
		e->stats(r.h, &s);
		CHECK(r.cause == RV_EXC_ECALL_U);
		/* the first time it is new */
		CHECK((s.units[0] > before.units[0]) ==
		      (round % 3 == 0 ? round < 4 : round % 3 == 2 && atomic));
	}
	CHECK(*(uint32_t *)(uintptr_t)DATA == 3 * LOOPS);
	rig_fini(&r);
}

TEST(process_code_changes_when_it_is_told)
{
	static const uint32_t words[] = {
		0x00100513, /* li a0, 1 */
		0x00000893, /* li a7, 0 */
		0x00000073, /* ecall */
	};
	static const uint32_t two = 0x00200513;
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		for (unsigned k = 0; k < 20; k++) {
			put(words, countof(words));
			rv_code_stale(r.h, CODE, CODE + 4);
			for (unsigned n = 0; n < 40; n++) {
				run(&r);
				CHECK(r.cause == RV_EXC_ECALL_U && r.h->x[10] == 1);
				CHECK(r.at == CODE + 8);
			}
			put(&two, 1);
			rv_code_stale(r.h, 0, UINT64_MAX);
			run(&r);
			CHECK(r.h->x[10] == 2);
			r.rights = RV_READ | RV_WRITE;
			rv_code_stale(r.h, CODE, CODE + PAGE);
			run(&r);
			CHECK(r.cause == RV_EXC_FETCH_PAGE && r.tval == CODE && r.at == CODE);
			CHECK(r.sig == SIGSEGV && r.code == SEGV_ACCERR);
			r.rights = 0;
			run(&r);
			CHECK(r.code == SEGV_MAPERR);
			r.rights = RV_READ | RV_EXEC;
			rv_code_stale(r.h, CODE, CODE + PAGE);
			run(&r);
			CHECK(r.cause == RV_EXC_ECALL_U && r.h->x[10] == 2);
		}
		/* what the table says may be executed, and is gone all the same */
		munmap((void *)(uintptr_t)CODE, PAGE);
		rv_code_stale(r.h, CODE, CODE + PAGE);
		run(&r);
		CHECK(r.cause == RV_EXC_FETCH_PAGE && r.code == SEGV_MAPERR && r.at == CODE);
		rig_fini(&r);
	}
}

/* a3 calls of the kind 1, then the last one. */
static const uint32_t calls_words[] = {
	0x00100893, /* li a7, 1 */
	0x00000073, /* 1: ecall */
	0xfff68693, /* addi a3, a3, -1 */
	0xfe069ce3, /* bnez a3, 1b */
	0x00000893, /* li a7, 0 */
	0x00000073, /* ecall */
};

TEST(process_calls_come_back)
{
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		rig_init(&r, e);
		put(calls_words, countof(calls_words));
		r.h->x[13] = 100000;
		run(&r);
		CHECK(r.cause == RV_EXC_ECALL_U && r.calls == 100001);
		rig_fini(&r);
	}
}

/* ---- units that processes share ---- */

/* As at the first fork, before which nothing is shared. */
static void share_begin(struct rig *r)
{
	CHECK(r->e->share(&r->env, NULL) == 0);
	CHECK(r->e->fork_begin(r->h, NULL) == 0);
	r->e->fork_end(r->h, false);
}

static uint64_t taken(const struct rig *r)
{
	struct engine_stats s;
	r->e->stats(r->h, &s);
	return s.units_taken;
}

/* Another hart in the place of the rig's, which another process might have. */
static void hart_renew(struct rig *r)
{
	r->e->detach(r->h);
	rv_hart_free(r->h);
	CHECK(rv_hart_new(&r->h, &r->env, 0, NULL) == 0);
	CHECK(r->e->attach(r->h, NULL) == 0);
	rv_process_reset(r->h, CODE, 0);
}

static const uint32_t sum[] = {
	0x00000513, /* li a0, 0 */
	0x06400693, /* li a3, 100 */
	0x00d50533, /* 1: add a0, a0, a3 */
	0xfff68693, /* addi a3, a3, -1 */
	0xfe069ce3, /* bnez a3, 1b */
	0x00000893, /* li a7, 0 */
	0x00000073, /* ecall */
};

static void sum_run(struct rig *r, uint64_t want)
{
	for (unsigned n = 0; n < 40; n++) {
		run(r);
		CHECK(r->cause == RV_EXC_ECALL_U && r->h->x[10] == want);
	}
}

TEST(processes_take_units_of_others)
{
	const uint32_t less = 0x06300693; /* li a3, 99 */
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct rig r;
		if (!e->share)
			continue;
		for (unsigned of_file = 0; of_file < 2; of_file++) {
			rig_init(&r, e);
			share_begin(&r);
			r.rights |= of_file ? RV_OF_FILE : 0u;
			put(sum, countof(sum));
			sum_run(&r, 5050);
			CHECK(taken(&r) == 0);
			hart_renew(&r);
			sum_run(&r, 5050);
			CHECK(!taken(&r) == !of_file);
			/* other code at the same place, then the first again, as after execve */
			((uint32_t *)(uintptr_t)CODE)[1] = less;
			rv_code_gone(r.h);
			uint64_t before = taken(&r);
			sum_run(&r, 4950);
			CHECK(taken(&r) == before);
			put(sum, countof(sum));
			rv_code_gone(r.h);
			sum_run(&r, 5050);
			CHECK(taken(&r) > before || !of_file);
			e->unshare(&r.env);
			hart_renew(&r);
			sum_run(&r, 5050);
			CHECK(taken(&r) == 0);
			rig_fini(&r);
		}
	}
}

/* A switch, which is optimized with a table of addresses. */
TEST(processes_take_optimized_units)
{
	static const uint32_t words[] = {
		0x00000513, /* li a0, 0 */
		0x06400693, /* li a3, 100 */
		0x0016f713, /* 1: andi a4, a3, 1 */
		0x00371713, /* slli a4, a4, 3 */
		0x00000797, /* auipc a5, 0 */
		0x00e787b3, /* add a5, a5, a4 */
		0x01078067, /* jr 16(a5) */
		0x00000013, /* nop */
		0x00150513, /* addi a0, a0, 1 */
		0x0080006f, /* j 2f */
		0x00250513, /* addi a0, a0, 2 */
		0xfff68693, /* 2: addi a3, a3, -1 */
		0xfc069ce3, /* bnez a3, 1b */
		0x00000893, /* li a7, 0 */
		0x00000073, /* ecall */
	};
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		struct engine_stats s;
		struct rig r;
		if (!e->share)
			continue;
		rig_init(&r, e);
		share_begin(&r);
		r.rights |= RV_OF_FILE;
		put(words, countof(words));
		sum_run(&r, 150);
		r.env.opt_at = 1;
		sum_run(&r, 150);
		e->stats(r.h, &s);
		CHECK(s.units[1] > 0);
		r.env.opt_at = 0;
		for (unsigned n = 0; n < 3; n++) {
			hart_renew(&r);
			sum_run(&r, 150);
			e->stats(r.h, &s);
			CHECK(s.units_taken > 0 && s.units[1] == 0);
		}
		e->unshare(&r.env);
		rig_fini(&r);
	}
}

/* The call that forks comes from generated code: the child returns there. */
TEST(processes_go_on_in_children)
{
	const struct engine *e;
	for (size_t i = 0; (e = engine_at(i)); i++) {
		for (unsigned shared = 0; shared < 2; shared++) {
			struct rig r;
			int status = -1;
			rig_init(&r, e);
			if (shared && e->share)
				share_begin(&r);
			r.rights |= RV_OF_FILE;
			r.fork_at = 5000;
			put(calls_words, countof(calls_words));
			r.h->x[13] = 10000;
			run(&r);
			bool good = r.cause == RV_EXC_ECALL_U && r.calls == 10001;
			if (!r.child)
				_exit(good ? 0 : 1);
			CHECK(good && waitpid(r.child, &status, 0) == r.child && status == 0);
			if (e->unshare)
				e->unshare(&r.env);
			rig_fini(&r);
		}
	}
}

/* ---- loops over memory, that run into its ends ---- */

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	return *seed ^= *seed << 17;
}
static unsigned below(uint64_t *seed, unsigned n)
{
	return (unsigned)(random_next(seed) >> 20) % n;
}

enum { A0 = 10, A3 = 13, A5 = 15, T0 = 5, T1 = 6, T2 = 7, T3 = 28 };
static uint32_t addi(unsigned rd, unsigned rs, int imm)
{
	return (uint32_t)imm << 20 | rs << 15 | rd << 7 | 0x13;
}
static uint32_t branch(unsigned funct3, unsigned rs, int to)
{
	uint32_t d = (uint32_t)to;
	return (d >> 12 & 1) << 31 | (d >> 5 & 63) << 25 | rs << 15 | funct3 << 12 |
	       (d >> 1 & 15) << 8 | (d >> 11 & 1) << 7 | 0x63;
}

/* Loads, stores and what moves the pointers a0, a1, a2. */
static uint32_t walk_insn(uint64_t *seed)
{
	static const uint8_t load[] = { 3, 2, 4 }, store[] = { 3, 2, 0 };
	static const int16_t steps[] = { 8, 1, -8, 2040, 16, -2048, 512, 0 };
	unsigned p = A0 + below(seed, 3), v = A3 + below(seed, 2);
	uint32_t off = below(seed, 3) ? 0 : below(seed, 128) - 64;
	switch (below(seed, 8)) {
	case 0: case 1: case 2:
		return off << 20 | p << 15 | (uint32_t)load[below(seed, 3)] << 12 | v << 7 | 0x03;
	case 3: case 4:
		return (off >> 5 & 127) << 25 | v << 20 | p << 15 |
		       (uint32_t)store[below(seed, 3)] << 12 | (off & 31) << 7 | 0x23;
	case 5: return addi(A0 + below(seed, 3), p, steps[below(seed, countof(steps))]);
	case 6: return (uint32_t)A5 << 20 | p << 15 | p << 7 | 0x33; /* add p, p, a5 */
	default: return addi(p, p, steps[below(seed, countof(steps))]);
	}
}

/* Instructions, of which some are skipped as the bits of t1 say, in one or two loops. */
static size_t walk_make(uint32_t *to, uint64_t *seed)
{
	size_t n = 0, inner = below(seed, 2) ? 0 : 1 + below(seed, 6);
	for (size_t items = 2 + below(seed, 9); n < items;) {
		if (!below(seed, 4)) {
			to[n++] = 1u << (20 + below(seed, 8)) | T1 << 15 | 7 << 12 | T2 << 7 |
				  0x13; /* andi t2, t1, bit */
			to[n++] = branch(0, T2, 4 + 4 * (int)(1 + below(seed, 2)));
			to[n++] = walk_insn(seed);
		}
		to[n++] = walk_insn(seed);
	}
	if (inner && inner < n) {
		to[n++] = addi(T3, T3, -1);
		to[n] = branch(5, T3, -4 * (int)inner); /* bgez */
		n++;
	}
	to[n++] = 1u << 20 | T1 << 15 | 5 << 12 | T1 << 7 | 0x13; /* srli t1, t1, 1 */
	to[n++] = addi(T0, T0, -1);
	to[n] = branch(1, T0, -4 * (int)n);
	n++;
	to[n++] = 0x00000893; /* li a7, 0 */
	to[n++] = 0x00000073; /* ecall */
	return n;
}

static void walk_begin(struct rig *r, uint64_t seed)
{
	static const uint64_t from[] = {
		DATA, DATA + 64, DATA + 2048, DATA + PAGE - 128, DATA + PAGE, DATA + 2 * PAGE - 8,
		END - PAGE, END - 64, END - PAGE + 72, END, END + (UINT64_C(5) << 30),
		UINT64_C(1) << 60, UINT64_MAX - 7, 64,
	};
	unsigned good = below(&seed, 4) ? 9 : countof(from);
	memset((void *)(uintptr_t)DATA, 7, PAGE);
	memset((void *)(uintptr_t)(END - PAGE), 9, PAGE);
	memset(r->h->x, 0, sizeof r->h->x);
	for (unsigned p = 0; p < 3; p++)
		r->h->x[A0 + p] = from[below(&seed, good)];
	r->h->x[A3] = random_next(&seed);
	r->h->x[A5] = below(&seed, 4) ? 24 : UINT64_C(0x9000000000);
	r->h->x[T0] = 1 + below(&seed, 90);
	r->h->x[T1] = below(&seed, 3) ? random_next(&seed) : 0;
	r->h->x[T3] = 1 + below(&seed, 40);
	r->h->icount = 0;
}

/* From the same state, on two engines: the same must be left. */
static void walk_compare(struct rig *a, struct rig *b, uint64_t seed)
{
	static uint8_t data[2][PAGE];
	walk_begin(a, seed);
	run(a);
	memcpy(data[0], (void *)(uintptr_t)DATA, PAGE);
	memcpy(data[1], (void *)(uintptr_t)(END - PAGE), PAGE);
	walk_begin(b, seed);
	run(b);
	CHECK(a->cause == b->cause && a->at == b->at && a->h->icount == b->h->icount);
	CHECK(a->cause == RV_EXC_ECALL_U || (a->tval == b->tval && a->code == b->code));
	CHECK(memcmp(a->h->x, b->h->x, 32 * sizeof *a->h->x) == 0);
	CHECK(memcmp(data[0], (void *)(uintptr_t)DATA, PAGE) == 0);
	CHECK(memcmp(data[1], (void *)(uintptr_t)(END - PAGE), PAGE) == 0);
}

TEST(process_loops_end_where_memory_does)
{
	static const unsigned tiers[] = { 0, 1 };
	enum { PROGRAMS = 3000, RUNS = 16 };
	uint32_t words[64];
	uint64_t seed = 88172645463325252u;
	if (page(END - PAGE, PROT_READ | PROT_WRITE) == MAP_FAILED)
		skip(); /* the address sanitizer has its shadow there */
	for (size_t tier = 0; tier < countof(tiers); tier++) {
		struct rig a, b;
		rig_init(&a, engine_at(0));
		rig_attach(&b, engine_default(), tiers[tier]);
		for (unsigned n = 0; n < PROGRAMS; n++) {
			put(words, walk_make(words, &seed));
			rv_code_stale(a.h, CODE, CODE + PAGE);
			rv_code_stale(b.h, CODE, CODE + PAGE);
			for (unsigned k = 0; k < RUNS; k++)
				walk_compare(&a, &b, random_next(&seed));
		}
		rig_detach(&b);
		rig_fini(&a);
	}
	munmap((void *)(uintptr_t)(END - PAGE), PAGE);
}

/* ---- expressions: instructions that work on what the one before has left ---- */

static uint32_t chain_insn(uint64_t *seed, unsigned rd)
{
	static const uint16_t shifts[] = { 32, 48, 56, 1, 2, 3, 29, 31, 63, 0, 16, 33 };
	static const int16_t numbers[] = { 0, 1, -1, 2047, -2048, 255, 24 };
	static const uint8_t f3[] = { 0, 0, 4, 6, 7, 1, 5, 5 }; /* add sub xor or and sll srl sra */
	unsigned other = A0 + below(seed, 4), k = below(seed, 8), word = below(seed, 3) ? 0 : 8;
	unsigned rs1 = below(seed, 8) ? rd : other, rs2 = below(seed, 4) ? other : rd;
	uint32_t high = k == 1 || k == 7 ? 0x40000000 : 0;
	if (word && k >= 2 && k <= 4)
		k = 0;
	if (!below(seed, 12))
		return (uint32_t)random_next(seed) << 12 | rd << 7 | 0x37; /* lui */
	if (below(seed, 2)) {
		if (below(seed, 3) == 0) { /* rd last */
			unsigned t = rs1;
			rs1 = rs2;
			rs2 = t;
		}
		return (word ? high & (k == 0 ? 0 : ~0u) : high) | rs2 << 20 | rs1 << 15 |
		       (uint32_t)f3[k] << 12 | rd << 7 | 0x33 | word;
	}
	if (k >= 5) {
		unsigned by = shifts[below(seed, countof(shifts))] & (word ? 31 : 63);
		return (k == 7 ? high : 0) | by << 20 | rs1 << 15 | (uint32_t)f3[k] << 12 |
		       rd << 7 | 0x13 | word;
	}
	if (k == 1)
		k = 0;
	return (uint32_t)numbers[below(seed, countof(numbers))] << 20 | rs1 << 15 |
	       (uint32_t)f3[k] << 12 | rd << 7 | 0x13 | word;
}

/* To the left and back, as extensions are written. */
static size_t extension(uint32_t *to, uint64_t *seed, unsigned rd)
{
	static const uint8_t left[] = { 32, 48, 56, 40 };
	unsigned by = left[below(seed, 4)], back = by;
	if (below(seed, 3) == 0)
		back = below(seed, 64);
	to[0] = by << 20 | (A0 + below(seed, 4)) << 15 | 1 << 12 | rd << 7 | 0x13;
	to[1] = (below(seed, 2) ? 0x40000000 : 0) | back << 20 | rd << 15 | 5 << 12 | rd << 7 |
		0x13;
	return 2;
}

static size_t chains_make(uint32_t *to, uint64_t *seed)
{
	size_t n = 0;
	for (unsigned chain = 0; chain < 6; chain++) {
		unsigned rd = A0 + below(seed, 4);
		if (below(seed, 3) == 0)
			n += extension(to + n, seed, rd);
		for (unsigned k = 1 + below(seed, 7); k > 0; k--)
			to[n++] = chain_insn(seed, rd);
	}
	to[n++] = addi(T0, T0, -1);
	to[n] = branch(1, T0, -4 * (int)n);
	n++;
	to[n++] = 0x00000893; /* li a7, 0 */
	to[n++] = 0x00000073; /* ecall */
	return n;
}

TEST(process_expressions_are_the_same_as_their_parts)
{
	enum { PROGRAMS = 3000, RUNS = 4 };
	uint32_t words[64];
	uint64_t seed = 1181783497276652981u;
	struct rig a, b;
	if (page(END - PAGE, PROT_READ | PROT_WRITE) == MAP_FAILED)
		skip(); /* the address sanitizer has its shadow there */
	rig_init(&a, engine_at(0));
	rig_attach(&b, engine_default(), 1);
	for (unsigned n = 0; n < PROGRAMS; n++) {
		put(words, chains_make(words, &seed));
		rv_code_stale(a.h, CODE, CODE + PAGE);
		rv_code_stale(b.h, CODE, CODE + PAGE);
		for (unsigned k = 0; k < RUNS; k++)
			walk_compare(&a, &b, random_next(&seed));
	}
	rig_detach(&b);
	rig_fini(&a);
	munmap((void *)(uintptr_t)(END - PAGE), PAGE);
}
