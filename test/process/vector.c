/* SPDX-License-Identifier: Apache-2.0 */
/* Vector loops that run hot: strips of every length beside plain C, accesses that fault in the
 * middle of a group, groups that are their own source, flags of floating point. Natively all of it
 * is plain C.
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
#define STRIP_DOT_FLOAT(type, width, shift)                                                        \
	static type dot_##type(const type *a, const type *b, size_t n)                             \
	{                                                                                          \
		type sum;                                                                          \
		__asm__ volatile(ARCH "vsetvli t0, zero, e" width ", m8, ta, ma\n"                 \
				 "vmv.v.i v8, 0\n1: vsetvli t0, %3, e" width ", m8, tu, ma\n"     \
				 "vle" width ".v v16, (%1)\n slli t1, t0, " shift "\n"            \
				 "add %1, %1, t1\n vle" width ".v v24, (%2)\n add %2, %2, t1\n"   \
				 "sub %3, %3, t0\n vfmacc.vv v8, v16, v24\n bnez %3, 1b\n"        \
				 "vsetvli t0, zero, e" width ", m8, ta, ma\n vmv.s.x v1, zero\n"  \
				 "vfredusum.vs v1, v8, v1\n vfmv.f.s %0, v1\n.option pop"         \
				 : "=&f"(sum), "+r"(a), "+r"(b), "+r"(n)                           \
				 :                                                                 \
				 : "t0", "t1", "memory");                                          \
		return sum;                                                                        \
	}
/* Rounds of a += a * b; b += a; a ^= 77; c = a * b; a = c - a */
#define STRIP_MIX(type, width, shift)                                                              \
	static void mix_##type(type *a, type *b, type *c, size_t n, long rounds)                   \
	{                                                                                          \
		__asm__ volatile(ARCH "1: vsetvli t0, %3, e" width ", m8, ta, ma\n"                \
				 "vle" width ".v v8, (%0)\n vle" width ".v v16, (%1)\n"           \
				 "mv t2, %4\n li t3, 77\n2: vmacc.vv v8, v8, v16\n"               \
				 "vadd.vv v16, v8, v16\n vxor.vx v8, v8, t3\n"                    \
				 "vmul.vv v24, v8, v16\n vsub.vv v8, v24, v8\n addi t2, t2, -1\n" \
				 "bnez t2, 2b\n vse" width ".v v8, (%0)\n"                        \
				 "vse" width ".v v16, (%1)\n vse" width ".v v24, (%2)\n"          \
				 "slli t1, t0, " shift "\n add %0, %0, t1\n add %1, %1, t1\n"     \
				 "add %2, %2, t1\n sub %3, %3, t0\n bnez %3, 1b\n.option pop"     \
				 : "+r"(a), "+r"(b), "+r"(c), "+r"(n)                              \
				 : "r"(rounds)                                                     \
				 : "t0", "t1", "t2", "t3", "memory");                              \
	}
/* Where the first byte @is or is not, n: nowhere; the second looks by vectors of the byte. */
static size_t find(const uint8_t *p, uint8_t is, bool not, size_t n)
{
	const uint8_t *from = p;
	size_t left = n;
	long at = -1, got = 0;
#define FIND(compare)                                                                              \
	__asm__ volatile(ARCH "vsetvli t0, zero, e8, m8, ta, ma\n vmv.v.x v16, %5\n li %0, -1\n"   \
			 "1: vsetvli %1, %3, e8, m8, ta, ma\n vle8.v v8, (%2)\n" compare "\n"     \
			 "vfirst.m %0, v0\n bgez %0, 2f\n add %2, %2, %1\n sub %3, %3, %1\n"      \
			 "bnez %3, 1b\n2:\n.option pop"                                           \
			 : "+r"(at), "+r"(got), "+r"(p), "+r"(left)                                \
			 : "r"(0), "r"(is)                                                         \
			 : "t0", "memory")
	if (not)
		FIND("vmsne.vx v0, v8, %5");
	else
		FIND("vmseq.vv v0, v8, v16");
	return at < 0 ? n : (size_t)(p - from + at);
}
/* as often as @rounds: c += a * b of all elements of a group of 8, which are the same; the last of
 * them, and in @others those that are another */
static double fused_all(double a, double b, double c, long rounds, long *others)
{
	double r[64 * 8 / 8];
	long n;
	__asm__ volatile(ARCH "vsetvli %0, zero, e64, m8, ta, ma\n vfmv.v.f v8, %2\n"
			 "vfmv.v.f v16, %3\n vfmv.v.f v24, %4\n"
			 "1: vfmacc.vv v24, v8, v16\n addi %1, %1, -1\n bnez %1, 1b\n"
			 "vse64.v v24, (%5)\n.option pop"
			 : "=&r"(n), "+r"(rounds)
			 : "f"(a), "f"(b), "f"(c), "r"(r)
			 : "memory");
	for (long i = 0; i < n; i++)
		*others += memcmp(&r[i], &r[n - 1], 8) != 0;
	return r[n - 1];
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
#define STRIP_DOT_FLOAT(type, width, shift)                                                        \
	static type dot_##type(const type *a, const type *b, size_t n)                             \
	{                                                                                          \
		type sum = 0;                                                                      \
		for (size_t i = 0; i < n; i++)                                                     \
			sum += a[i] * b[i];                                                        \
		return sum;                                                                        \
	}
#define STRIP_MIX(type, width, shift)                                                              \
	static void mix_##type(type *a, type *b, type *c, size_t n, long rounds)                   \
	{                                                                                          \
		for (size_t i = 0; i < n; i++)                                                     \
			for (long k = 0; k < rounds; k++) {                                        \
				a[i] = (type)(a[i] + (uint32_t)a[i] * b[i]);                       \
				b[i] = (type)(b[i] + a[i]);                                        \
				a[i] ^= 77;                                                        \
				c[i] = (type)((uint32_t)a[i] * b[i]);                              \
				a[i] = (type)(c[i] - a[i]);                                        \
			}                                                                          \
	}
static size_t find(const uint8_t *p, uint8_t is, bool not, size_t n)
{
	size_t i = 0;
	while (i < n && (p[i] == is) == not)
		i++;
	return i;
}
#endif
STRIP_COPY(mf2)
STRIP_COPY(m1)
STRIP_COPY(m2)
STRIP_COPY(m8)
STRIP_DOT(m1)
STRIP_DOT(m4)
STRIP_DOT(m8)
STRIP_DOT_FLOAT(float, "32", "2")
STRIP_DOT_FLOAT(double, "64", "3")
STRIP_MIX(uint16_t, "16", "1")
STRIP_MIX(uint32_t, "32", "2")

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

/* Whole numbers: the order does not matter. */
#define EVERY_FLOAT(type)                                                                          \
	static void every_##type(void)                                                             \
	{                                                                                          \
		static type a[MOST], b[MOST];                                                      \
		type sum = 0;                                                                      \
		for (int i = 0; i < MOST; i++)                                                     \
			a[i] = (type)(i % 7), b[i] = (type)(i % 5 - 2);                            \
		for (int round = 0; round < 4; round++)                                            \
			for (size_t n = 1; n <= MOST; n++)                                         \
				sum += dot_##type(a, b, n);                                        \
		say("sum of " #type, (long)sum);                                                   \
	}
EVERY_FLOAT(float)
EVERY_FLOAT(double)

#define EVERY_MIX(type)                                                                            \
	static void mixed_##type(void)                                                             \
	{                                                                                          \
		static type v[3][MOST];                                                            \
		uint32_t sum = 0;                                                                  \
		fill((uint8_t *)v, sizeof v, 13);                                                  \
		for (size_t n = 1; n <= MOST; n += 3)                                              \
			mix_##type(v[0], v[1], v[2], n, 20);                                       \
		for (size_t i = 0; i < MOST; i++)                                                  \
			sum = sum * 31 + v[0][i] + v[1][i] * 7u + v[2][i] * 1001u;                 \
		say("mixed " #type, (long)sum);                                                    \
	}
EVERY_MIX(uint16_t)
EVERY_MIX(uint32_t)

static void found(void)
{
	static uint8_t p[MOST];
	long sum = 0;
	for (int round = 0; round < 4; round++)
		for (size_t n = 1; n <= MOST; n++) {
			memset(p, 9, sizeof p);
			p[n - 1] = (uint8_t)n;
			sum = sum * 31 + (long)find(p, (uint8_t)n, false, MOST - 1);
			sum = sum * 31 + (long)find(p, 9, true, MOST - 1);
		}
	say("found", sum);
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

/* The second operand ends in the middle of a group, in some round of the loop. */
static void faults_sum(void)
{
	static uint32_t a[MOST];
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	uint32_t sum = 0;
	long faulted = 0;
	sigaction(SIGSEGV, &act, NULL);
	fill((uint8_t *)a, sizeof a, 17);
	for (size_t before = 4; before < 2000; before += 12) {
		uint32_t *edge = (uint32_t *)(pages + PAGE - before);
		mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE);
		memcpy(edge, a, MOST * sizeof *edge);
		mprotect(pages + PAGE, PAGE, PROT_NONE);
		fault_at = 0;
		sum = sum * 31 + dot_m8(a, edge, MOST);
		faulted += fault_at == (uintptr_t)pages + PAGE;
	}
	signal(SIGSEGV, SIG_DFL);
	say("sums over the edge", (long)sum);
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
	for (int i = 0; i < ROUNDS / 10; i++) {
		long others = 0;
		uint64_t bits;
		double r = fused_all(inf, zero, i & 1 ? 1 : (double)nan, 40, &others);
		__asm__ volatile("fsflags %0, zero" : "=r"(was));
		raised += was == 0x10 && !others;
		memcpy(&bits, &r, 8);
		canonical += bits == 0x7ff8000000000000;
		r = fused_all(1, 2, -nan, 40, &others);
		__asm__ volatile("fsflags %0, zero" : "=r"(was));
		memcpy(&bits, &r, 8);
		quiet += was == 0 && !others && bits == 0x7ff8000000000000;
	}
#else
	long raised = ROUNDS + ROUNDS / 10, quiet = raised, canonical = raised;
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
	every_float();
	every_double();
	mixed_uint16_t();
	mixed_uint32_t();
	found();
	faults("loads, m1", copy_m1, false);
	faults("stores, m1", copy_m1, true);
	faults("loads, m8", copy_m8, false);
	faults("stores, m8", copy_m8, true);
	faults_sum();
	flags();
	return 0;
}
