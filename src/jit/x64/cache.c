/* SPDX-License-Identifier: Apache-2.0 */
/* The code cache: one memory file, mapped once writable and once executable, never both at once. */
#include "jit/x64/internal.h"
#include <sys/mman.h>
#include <sys/platform/x86.h>

enum { STACK_BYTES = 64 << 10, STACK_SLACK = 4096, BYTES_MIN = 64 << 10, RET_NONE = 1,
       SECOND_PART = 4 };

/* Guest registers by how often compilers use them; the first six are lost in C calls. */
static const struct { uint8_t guest, host; } homes[] = {
	{ 10, RSI }, { 11, RDI }, { 12, R8 }, { 13, R9 }, { 14, R10 }, { 15, R11 },
	{ 1, R12 }, { 2, RBX }, { 8, R13 }, { 9, R14 },
};

/* The C library has asked the CPU already: in a virtual machine each CPUID leads out of it. Its own
 * macro would shift 1 into the sign. */
static bool cpu_has(unsigned feature)
{
	const struct cpuid_feature *f = __x86_get_cpuid_feature_leaf(feature / 128);
	return f->active_array[feature % 128 / 32] >> feature % 32 & 1;
}

int jit_probe(struct lodge_err *e)
{
	if (!cpu_has(x86_cpu_AVX) || !cpu_has(x86_cpu_FMA) || !cpu_has(x86_cpu_POPCNT) ||
	    !cpu_has(x86_cpu_PCLMULQDQ))
		return err_set(e, ENOTSUP, "this CPU has no AVX, FMA, POPCNT or PCLMULQDQ: "
		                           "run with --accel interpret");
	if (!cpu_has(x86_cpu_BMI1) || !cpu_has(x86_cpu_BMI2))
		return err_set(e, ENOTSUP, "this CPU has no BMI2: run with --accel interpret");
	if (!cpu_has(x86_cpu_LZCNT))
		return err_set(e, ENOTSUP, "this CPU has no LZCNT: run with --accel interpret");
	return 0;
}

static bool has_avx512(void)
{
	return cpu_has(x86_cpu_AVX2) && cpu_has(x86_cpu_AVX512F) && cpu_has(x86_cpu_AVX512VL) &&
	       cpu_has(x86_cpu_AVX512BW);
}

uint64_t jit_traits(void) { return (uint64_t)cpu_has(x86_cpu_AVX2) | (uint64_t)has_avx512() << 1; }

static int cache_map(struct jit_cache *c, struct lodge_err *e)
{
	autoclose int fd = -1;
	int r = host_memfd_new(&fd, "lodge-code", c->bytes, e);
	if (r < 0)
		return r;
	void *w = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *x = mmap(NULL, c->bytes, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	void *s = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	               0);
	c->w = w == MAP_FAILED ? NULL : w;
	c->x = x == MAP_FAILED ? NULL : x;
	c->stack = s == MAP_FAILED ? NULL : s;
	if (!c->w || !c->x || !c->stack)
		return err_sys(e, "mapping a code cache of %llu bytes",
		               (unsigned long long)c->bytes);
	return 0;
}

/* A page is touched first in two views, and each time it faults, which is dear on many a host. So
 * some pages at once are made ready in both. If that cannot be, they fault. */
void jit_cache_ahead(struct jit_cache *c)
{
	enum { LOW = 4 << 10, AHEAD = 32 << 10 };
	uint64_t from = c->ready, to = align_up(c->used + AHEAD, 4096);
	if (likely(c->used + LOW <= from))
		return;
	c->ready = to = min_u64(to, c->split & ~UINT64_C(4095));
	if (from >= to)
		return;
	(void)!madvise(c->w + from, to - from, MADV_POPULATE_WRITE);
	(void)!madvise((void *)(uintptr_t)(c->x + from), to - from, MADV_POPULATE_READ);
}

int jit_cache_new(struct jit_cache **ret, const struct jit_guest *g, uint64_t bytes,
                  struct lodge_err *e)
{
	struct jit_cache *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ENOMEM, "no memory for a code cache");
	c->g = *g;
	c->avx2 = cpu_has(x86_cpu_AVX2);
	c->avx512 = !g->narrow && has_avx512();
	c->bytes = align_up(bytes < BYTES_MIN ? BYTES_MIN : bytes, 4096);
	memset(c->home, -1, sizeof c->home);
	for (unsigned n = 0; n < countof(homes); n++)
		c->home[homes[n].guest] = (int8_t)homes[n].host;
	int r = cache_map(c, e);
	if (r < 0) {
		jit_cache_free(c);
		return r;
	}
	c->split = c->used2 = align_up(c->bytes - c->bytes / SECOND_PART, 16);
	jit_cache_ahead(c);
	struct jit_asm a = asm_at(c->w, c->w + c->bytes);
	thunks_make(c, &a);
	c->first = c->used = (uint64_t)(a.p - c->w);
	*ret = c;
	return 0;
}

void jit_cache_free(struct jit_cache *c)
{
	if (!c)
		return;
	if (c->w)
		munmap(c->w, c->bytes);
	if (c->x)
		munmap((void *)(uintptr_t)c->x, c->bytes);
	if (c->stack)
		munmap(c->stack, STACK_BYTES);
	free(c->veneers);
	free(c);
}

void jit_cache_forget(struct jit_cache *c)
{
	munmap(c->w, c->bytes);
	munmap((void *)(uintptr_t)c->x, c->bytes);
	munmap(c->stack, STACK_BYTES);
}

void jit_cache_clear(struct jit_cache *c)
{
	c->nveneers = 0;
	c->used = c->first;
	/* the thread that is about to write there may read it just now */
	__atomic_store_n(&c->used2, c->split, __ATOMIC_RELAXED);
}
void jit_cache_trim(struct jit_cache *c)
{
	uint64_t from = align_up(c->first, 4096);
	/* of both mappings, and of the file; if not, then not */
	(void)!madvise(c->w + from, c->bytes - from, MADV_REMOVE);
	c->ready = min_u64(c->ready, from);
}
RACY void jit_cache_share(struct jit_cache *c, bool shared) { c->g.smp = shared; }

uint64_t jit_cache_used(const struct jit_cache *c) { return c->used + c->used2 - c->split; }
RACY uint64_t jit_cache_used2(const struct jit_cache *c) { return c->used2 - c->split; }
bool jit_cache_is2(const struct jit_cache *c, uint32_t off) { return off >= c->split; }
const uint8_t *jit_cache_code(const struct jit_cache *c, uint32_t off) { return c->x + off; }
uint32_t jit_cache_offset(const struct jit_cache *c, uint64_t code)
{
	return (uint32_t)(code - (uint64_t)(uintptr_t)c->x);
}

static bool part_copy(int fd, const struct jit_cache *c, uint64_t from, uint64_t to)
{
	return host_pwrite(fd, c->w + from, to - from, from);
}

int jit_cache_copy(struct jit_cache *c, struct lodge_err *e)
{
	int fd = -1, r = host_memfd_new(&fd, "lodge-code", c->bytes, e);
	if (r < 0)
		return r;
	if (!part_copy(fd, c, 0, c->used) || !part_copy(fd, c, c->split, c->used2)) {
		close(fd);
		return err_set(e, ENOMEM, "no memory for a second code cache");
	}
	c->copy = fd;
	return 0;
}

void jit_cache_forked(struct jit_cache *c, bool in_child)
{
	const int how = MAP_SHARED | MAP_FIXED;
	void *x = (void *)(uintptr_t)c->x;
	/* code of the parent's must not be written to, and there is no way on without any */
	if (in_child && (mmap(c->w, c->bytes, PROT_READ | PROT_WRITE, how, c->copy, 0) != c->w ||
	                 mmap(x, c->bytes, PROT_READ | PROT_EXEC, how, c->copy, 0) != x))
		_exit(LODGE_EXIT_LODGE);
	close(c->copy);
}

uint32_t jit_stack_top(const struct jit_cache *c, const struct jit_run *run)
{
	uint64_t off = *(const uint64_t *)(uintptr_t)run->j_sp - (uint64_t)(uintptr_t)c->x;
	return off > c->first && off < c->bytes ? (uint32_t)off : 0;
}

void jit_cache_renew(struct jit_cache *c, const struct jit_unit *u, struct jit_run *run)
{
	uint64_t back = *(const uint64_t *)(uintptr_t)run->j_sp;
	if (host_memfd_new(&c->copy, "lodge-code", c->bytes, NULL) < 0 ||
	    !part_copy(c->copy, c, 0, c->first) ||
	    (u && !part_copy(c->copy, c, u->code, u->code + u->code_len)))
		_exit(LODGE_EXIT_LODGE);
	jit_cache_forked(c, true);
	c->ready = 0;
	jit_stack_reset(c, run);
	if (!u)
		return;
	run->j_sp -= sizeof back;
	*(uint64_t *)(uintptr_t)run->j_sp = back;
}

enum jit_exit jit_enter(struct jit_cache *c, void *state, const uint8_t *code)
{
	uint64_t (*enter)(void *, const uint8_t *);
	const uint8_t *at_enter = c->x + c->t.enter;
	memcpy(&enter, &at_enter, sizeof enter);
	return (enum jit_exit)enter(state, code);
}

void jit_stack_reset(struct jit_cache *c, struct jit_run *run)
{
	uint64_t *base = (uint64_t *)(void *)(c->stack + STACK_BYTES - 64);
	base[0] = (uint64_t)(uintptr_t)(c->x + c->t.sentinel);
	base[1] = RET_NONE; /* no return address that a call made: it is odd */
	run->j_base = run->j_sp = (uint64_t)(uintptr_t)base;
	run->j_limit = (uint64_t)(uintptr_t)(c->stack + STACK_SLACK);
}
