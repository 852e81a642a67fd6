/* SPDX-License-Identifier: Apache-2.0 */
/* The stack that a program starts with: strings, arguments, environment, auxiliary vector, as Linux
 * lays them. Linux 6.1 fs/binfmt_elf.c create_elf_tables, fs/exec.c; psABI 1.0 §1.2 */
#include "level/process/internal.h"
#include <sys/auxv.h>
#include <sys/resource.h>

enum { STACK_RANDOM = 1 << 18, SHARE = 4 };
#define STACK_MIN (UINT64_C(1) << 17)
#define STACK_MAX (UINT64_C(1) << 28)
#define GAP_MIN (UINT64_C(128) << 20)
#define GAP_MAX (USER_END / 6 * 5)
/* i, m, a, f, d, c */
#define HWCAP_RV64GCV (1u << 8 | 1u << 12 | 1u << 0 | 1u << 5 | 1u << 3 | 1u << 2 | 1u << 21)

static uint64_t clamp(uint64_t v, uint64_t lo, uint64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

int stack_map(struct proc *p, struct start *s, struct lodge_err *e)
{
	struct rlimit l = linux_limit(&p->sys, RLIMIT_STACK);
	uint64_t limit = l.rlim_cur;
	uint64_t top = USER_END - load_random(STACK_RANDOM);
	uint64_t size = align_up(clamp(limit, STACK_MIN, STACK_MAX), PAGE);
	int prot = PROT_READ | PROT_WRITE | (s->main.p.stack_exec ? PROT_EXEC : 0);
	int64_t r = mem_map(p, top - size, size, prot,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (r == -EEXIST || r == -ENOMEM) { /* somebody else is there */
		r = mem_map(p, 0, size, prot,
		            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		top = (uint64_t)r + size;
	}
	if (r < 0)
		return err_set(e, (int)-r, "no room for a stack of %llu bytes",
		               (unsigned long long)size);
	p->stack_lo = s->stack_lo = top - size;
	p->stack_hi = top;
	s->sp = top - load_random(2) / PAGE * 16;
	/* below the lowest place that the stack may have, wherever it is this time */
	p->space.top = USER_END - STACK_RANDOM * (uint64_t)PAGE - clamp(limit, GAP_MIN, GAP_MAX) -
		       load_place(p, PLACE_TOP, STACK_RANDOM);
	return 0;
}

/* The stack grows down; what does not fit any more is noted. */
struct stack {
	uint64_t sp, lo;
	bool full;
};

static uint64_t put(struct stack *k, const void *data, uint64_t len)
{
	if (k->full || len > k->sp - k->lo) {
		k->full = true;
		return k->sp;
	}
	k->sp -= len;
	memcpy((void *)(uintptr_t)k->sp, data, len);
	return k->sp;
}

static uint64_t put_text(struct stack *k, const char *text)
{
	return put(k, text, strlen(text) + 1);
}

/* The last string first, so that they stand in order. Addresses go to @ret. */
static void put_texts(struct stack *k, const char *const *text, size_t n, uint64_t *ret)
{
	while (n-- > 0)
		ret[n] = put_text(k, text[n]);
}

struct aux {
	uint64_t *v;
	unsigned n;
};
static void aux_add(struct aux *x, uint64_t key, uint64_t v)
{
	x->v[x->n++] = key;
	x->v[x->n++] = v;
}

static void aux_fill(struct aux *x, const struct start *s, uint64_t random, uint64_t name,
		     uint64_t vdso, uint64_t stack_min)
{
	const struct img_program *g = &s->main.p;
	aux_add(x, AT_SYSINFO_EHDR, vdso);
	aux_add(x, AT_HWCAP, HWCAP_RV64GCV);
	aux_add(x, AT_PAGESZ, PAGE);
	aux_add(x, AT_CLKTCK, (uint64_t)sysconf(_SC_CLK_TCK));
	aux_add(x, AT_PHDR, g->headers_at ? s->main.bias + g->headers_at : 0);
	aux_add(x, AT_PHENT, 56);
	aux_add(x, AT_PHNUM, g->nheaders);
	aux_add(x, AT_BASE, s->interp.fd < 0 ? 0 : s->interp.bias);
	aux_add(x, AT_FLAGS, 0);
	aux_add(x, AT_ENTRY, s->main.bias + g->entry);
	aux_add(x, AT_UID, getuid());
	aux_add(x, AT_EUID, geteuid());
	aux_add(x, AT_GID, getgid());
	aux_add(x, AT_EGID, getegid());
	aux_add(x, AT_SECURE, s->secure || getuid() != geteuid() || getgid() != getegid());
	aux_add(x, AT_RANDOM, random);
	aux_add(x, AT_EXECFN, name);
	aux_add(x, AT_MINSIGSTKSZ, stack_min);
	aux_add(x, AT_NULL, 0);
}

int stack_fill(struct proc *p, struct start *s, struct lodge_err *e)
{
	struct stack k = {.sp = s->sp};
	struct aux x = {.v = p->auxv};
	size_t words = 1 + s->argc + 1 + s->nenv + 1;
	autofree uint64_t *v = calloc(words, sizeof *v);
	uint8_t random[16];
	if (!v)
		return err_set(e, ENOMEM, "out of memory");
	k.lo = s->sp - (s->sp - s->stack_lo) / SHARE;
	host_random(random, sizeof random);
	put(&k, &(uint64_t){0}, 8);
	uint64_t name = put_text(&k, s->path);
	p->sys.env_end = k.sp;
	put_texts(&k, s->env, s->nenv, v + 1 + s->argc + 1);
	p->sys.env_start = p->sys.arg_end = k.sp;
	put_texts(&k, s->argv, s->argc, v + 1);
	p->sys.arg_start = k.sp;
	k.sp &= ~UINT64_C(15);
	aux_fill(&x, s, put(&k, random, sizeof random), name, p->vdso,
	         signals_stack_min(p));
	v[0] = s->argc;
	k.sp -= (words + x.n) % 2 * 8;
	put(&k, x.v, x.n * sizeof *x.v);
	put(&k, v, words * sizeof *v);
	if (k.full)
		return err_set(e, E2BIG, "arguments and environment do not fit on the stack");
	s->sp = k.sp;
	p->sys.auxv = p->auxv;
	p->sys.auxv_len = x.n * sizeof *x.v;
	return 0;
}
