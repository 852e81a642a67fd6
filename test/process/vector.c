/* SPDX-License-Identifier: Apache-2.0 */
/* Vector loops that run hot: strips of every length beside plain C, accesses that fault in the
 * middle of a group, flags of floating point. Natively all of it is plain C.
 * RISC-V Unpriv 20240411 §31.3.7, §31.6, §31.7, §31.13 */
#include "say.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { MOST = 700, PAGE = 4096, ROUNDS = 3000 };

static uint8_t *pages; /* one that is there, one that is not */
static volatile uintptr_t fault_at;

#ifdef __riscv
#define ARCH ".option push\n.option arch, +v\n"
#define STRIP_COPY(lmul)                                                                           \
	static void copy_##lmul(uint8_t *to, const uint8_t *from, size_t n)                        \
	{                                                                                          \
		__asm__ volatile(ARCH "1: vsetvli t0, %2, e8, " #lmul ", ta, ma\n"                 \
				 "vle8.v v8, (%1)\n add %1, %1, t0\n sub %2, %2, t0\n"             \
				 "vse8.v v8, (%0)\n add %0, %0, t0\n bnez %2, 1b\n"                \
				 ".option pop"                                                     \
				 : "+r"(to), "+r"(from), "+r"(n)                                   \
				 :                                                                 \
				 : "t0", "memory");                                                \
	}
#define STRIP_DOT(lmul)                                                                            \
	static uint32_t dot_##lmul(const uint32_t *a, const uint32_t *b, size_t n)                 \
	{                                                                                          \
		long sum;                                                                          \
		__asm__ volatile(ARCH "vsetvli t0, zero, e32, " #lmul ", ta, ma\n vmv.v.i v8, 0\n" \
				 "1: vsetvli t0, %3, e32, " #lmul ", tu, ma\n"                     \
				 "vle32.v v16, (%1)\n slli t1, t0, 2\n add %1, %1, t1\n"           \
				 "vle32.v v24, (%2)\n add %2, %2, t1\n sub %3, %3, t0\n"           \
				 "vmacc.vv v8, v16, v24\n bnez %3, 1b\n"                           \
				 "vsetvli t0, zero, e32, " #lmul ", ta, ma\n vmv.s.x v1, zero\n"   \
				 "vredsum.vs v1, v8, v1\n vmv.x.s %0, v1\n.option pop"             \
				 : "=&r"(sum), "+r"(a), "+r"(b), "+r"(n)                           \
				 :                                                                 \
				 : "t0", "t1", "memory");                                          \
		return (uint32_t)sum;                                                              \
	}
/* as many times: c[0..3] = a * b + c, the same for all */
static float fused(float a, float b, float c, long rounds)
{
	float r;
	__asm__ volatile(ARCH "vsetivli zero, 4, e32, m1, ta, ma\n vfmv.v.f v4, %2\n"
			 "vfmv.v.f v5, %3\n vfmv.v.f v6, %4\n"
			 "1: vfmacc.vv v6, v4, v5\n addi %1, %1, -1\n bnez %1, 1b\n"
			 "vfmv.f.s %0, v6\n.option pop"
			 : "=f"(r), "+r"(rounds)
			 : "f"(a), "f"(b), "f"(c));
	return r;
}
#else
#define STRIP_COPY(lmul)                                                                           \
	static void copy_##lmul(uint8_t *to, const uint8_t *from, size_t n)                        \
	{                                                                                          \
		memmove(to, from, n);                                                              \
	}
#define STRIP_DOT(lmul)                                                                            \
	static uint32_t dot_##lmul(const uint32_t *a, const uint32_t *b, size_t n)                 \
	{                                                                                          \
		uint32_t sum = 0;                                                                  \
		for (size_t i = 0; i < n; i++)                                                     \
			sum += a[i] * b[i];                                                        \
		return sum;                                                                        \
	}
#endif
STRIP_COPY(mf2)
STRIP_COPY(m1)
STRIP_COPY(m2)
STRIP_COPY(m8)
STRIP_DOT(m1)
STRIP_DOT(m4)
STRIP_DOT(m8)

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static void every_length(const char *what, void (*copy)(uint8_t *, const uint8_t *, size_t))
{
	static uint8_t from[MOST + 64], to[MOST + 64];
	long bad = 0;
	fill(from, sizeof from, 3);
	for (int round = 0; round < 4; round++)
		for (size_t n = 1; n <= MOST; n++) {
			memset(to, 0xaa, sizeof to);
			copy(to + n % 7, from + n % 13, n);
			bad += memcmp(to + n % 7, from + n % 13, n) != 0;
			bad += to[n % 7 + n] != 0xaa || (n % 7 && to[n % 7 - 1] != 0xaa);
		}
	say(what, bad);
}

static void every_sum(const char *what, uint32_t (*dot)(const uint32_t *, const uint32_t *, size_t))
{
	static uint32_t a[MOST], b[MOST];
	uint32_t sum = 0;
	fill((uint8_t *)a, sizeof a, 5);
	fill((uint8_t *)b, sizeof b, 7);
	for (int round = 0; round < 4; round++)
		for (size_t n = 1; n <= MOST; n++)
			sum = sum * 31 + dot(a, b, n);
	say(what, (long)sum);
}

/* The page comes when it is asked for, and the instruction goes on where it was: the byte that it
 * names is the first of the page. What the host's memmove does first is its own affair. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fault_at = (uintptr_t)info->si_addr;
	if (mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE))
		_exit(1);
}

static void faults(const char *what, void (*copy)(uint8_t *, const uint8_t *, size_t), bool store)
{
	static uint8_t buf[MOST];
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	long bad = 0, faulted = 0;
	sigaction(SIGSEGV, &act, NULL);
	fill(buf, sizeof buf, 11);
	for (size_t before = 1; before < 600; before += 7) {
		uint8_t *edge = pages + PAGE - before;
		mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE);
		if (store)
			memset(pages, 0, 2 * PAGE);
		else
			memcpy(edge, buf, MOST);
		mprotect(pages + PAGE, PAGE, PROT_NONE);
		fault_at = 0;
		if (store)
			copy(edge, buf, MOST);
		else
			copy(pages, edge, MOST);
#ifdef __riscv
		faulted += fault_at == (uintptr_t)pages + PAGE;
#else
		faulted++;
#endif
		bad += memcmp(store ? edge : pages, buf, MOST) != 0;
		bad += store && edge[-1] != 0;
	}
	signal(SIGSEGV, SIG_DFL);
	say(what, bad);
	say("of these at the page", faulted);
}

/* Infinity times zero and a quiet NaN: invalid to RISC-V, not to every host. */
static void flags(void)
{
#ifdef __riscv
	volatile float inf = __builtin_inff(), zero = 0, nan = __builtin_nanf("");
	long raised = 0, quiet = 0, canonical = 0, was;
	for (int i = 0; i < ROUNDS; i++) {
		__asm__ volatile("fsflags zero");
		float r = fused(inf, zero, nan, 40);
		__asm__ volatile("fsflags %0, zero" : "=r"(was));
		raised += was == 0x10;
		uint32_t bits;
		memcpy(&bits, &r, 4);
		canonical += bits == 0x7fc00000;
		fused(1, 2, -nan, 40);
		__asm__ volatile("fsflags %0, zero" : "=r"(was));
		quiet += was == 0;
	}
#else
	long raised = ROUNDS, quiet = ROUNDS, canonical = ROUNDS;
#endif
	SAY(raised);
	SAY(quiet);
	SAY(canonical);
}

int main(void)
{
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	every_length("mf2", copy_mf2);
	every_length("m1", copy_m1);
	every_length("m2", copy_m2);
	every_length("m8", copy_m8);
	every_sum("m1", dot_m1);
	every_sum("m4", dot_m4);
	every_sum("m8", dot_m8);
	faults("loads, m1", copy_m1, false);
	faults("stores, m1", copy_m1, true);
	faults("loads, m8", copy_m8, false);
	faults("stores, m8", copy_m8, true);
	flags();
	return 0;
}
