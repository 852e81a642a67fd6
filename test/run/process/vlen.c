/* SPDX-License-Identifier: Apache-2.0 */
/* vlen [again|hold]: vector registers of whatever length they have. All of them are filled, and
 * must be the same behind a signal, but for the byte that its handler changes in the frame; again:
 * says their length, as what exec starts; hold: rounds, each a while in which they are full.
 * Linux 6.5 arch/riscv/include/uapi/asm/ptrace.h, sigcontext.h */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { MOST = 64, FRAME = 1088, MAGIC = 0x53465457, CHANGED = 5 };
#define ARCH ".option push\n.option norvc\n.option arch, +v\n"
#define LOAD(in)                                                                                   \
	"vl8re8.v v0, (" in ")\n add t0, " in ", %[step]\n vl8re8.v v8, (t0)\n"                    \
	" add t0, t0, %[step]\n vl8re8.v v16, (t0)\n add t0, t0, %[step]\n vl8re8.v v24, (t0)\n"
#define STORE(out)                                                                                 \
	"vs8r.v v0, (" out ")\n add t0, " out ", %[step]\n vs8r.v v8, (t0)\n"                      \
	" add t0, t0, %[step]\n vs8r.v v16, (t0)\n add t0, t0, %[step]\n vs8r.v v24, (t0)\n"

struct vector_state { /* behind the frame */
	uint64_t vstart, vl, vtype, vcsr, vlenb, at;
	uint8_t v[];
};
static uint8_t in[32 * MOST], out[32 * MOST];
static unsigned long vlenb;
static int bad;
static volatile int plain;

static unsigned long vlenb_get(void)
{
	unsigned long n;
	__asm__ volatile(ARCH "csrr %0, vlenb\n.option pop" : "=r"(n));
	return n;
}

static void wrong(const char *what, unsigned long is)
{
	printf("wrong: %s: %lu\n", what, is);
	bad = 1;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const uint32_t *head = (uint32_t *)((char *)info + FRAME - 8);
	struct vector_state *s = (struct vector_state *)((char *)info + FRAME);
	const uint32_t *end = (uint32_t *)(s->v + 32 * vlenb);
	(void)sig;
	if (head[0] != MAGIC || head[1] != 8 + 48 + 32 * vlenb || end[0] || end[1])
		wrong("headers of the frame", head[1]);
	if (s->vlenb != vlenb || s->vl != vlenb / 2 || s->vcsr != 2 || s->vtype != 0xc0)
		wrong("CSRs of the frame", s->vl);
	if (s->at != (uintptr_t)s->v || memcmp(s->v, in, 32 * vlenb))
		wrong("registers of the frame", s->at);
	s->v[CHANGED * vlenb + vlenb - 1] ^= 0xff;
	s->vl = 3;
	((ucontext_t *)context)->uc_mcontext.__gregs[REG_PC] += 4;
	__asm__ volatile(ARCH "vsetvli t0, zero, e8, m8, ta, ma\n vmv.v.i v0, -1\n vmv.v.i v8, -2\n"
	                      "vmv.v.i v16, -3\n vmv.v.i v24, -4\n csrwi vcsr, 7\n.option pop" ::
	                     : "t0", "memory");
}

/* The stack of the handler is as small as it may be, and its frame fits. */
static void fault(void)
{
	size_t least = getauxval(AT_MINSIGSTKSZ), n = least + 16384;
	char *stack = malloc(n);
	unsigned long vl, vcsr, faults = 0;
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = n }, NULL);
	sigaction(SIGSEGV, &act, NULL);
	__asm__ volatile(ARCH LOAD("%[in]") "csrwi vcsr, 2\n vsetvli t0, %[half], e8, m1, ta, ma\n"
	                 ".globl filled\nfilled:\n ld zero, 0(zero)\n"
	                 "csrr %[vl], vl\n csrr %[vcsr], vcsr\n" STORE("%[out]") ".option pop"
	                 : [vl] "=&r"(vl), [vcsr] "=&r"(vcsr)
	                 : [in] "r"(in), [out] "r"(out), [step] "r"(8 * vlenb),
	                   [half] "r"(vlenb / 2)
	                 : "t0", "memory");
	if (vl != 3 || vcsr != 2)
		wrong("CSRs behind the handler", vl);
	for (unsigned i = 0; i < 32 * vlenb; i++)
		faults += out[i] != in[i];
	printf("changed %lu: %02x was %02x, least stack %zu\n", faults,
	       out[CHANGED * vlenb + vlenb - 1], in[CHANGED * vlenb + vlenb - 1], least);
	if (sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = least }, NULL))
		wrong("the least stack", least);
	if (!sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = 2000 }, NULL))
		wrong("a stack that is too small", 2000);
	fflush(stdout);
}

static void on_usr(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	plain = *(uint32_t *)((char *)info + FRAME - 8) == 0;
}

/* A thread that uses no vectors has frames without. */
static void *thread(void *arg)
{
	raise(SIGUSR1);
	return arg;
}

/* Rounds of @n turns with full registers, which do not change. */
static void hold(void)
{
	for (int round = 1;; round++) {
		unsigned long n = 20000000;
		for (unsigned i = 0; i < 32 * vlenb; i++)
			in[i] = (uint8_t)(i * 7 + (unsigned)round * 13 + i / 64);
		memset(out, 0, sizeof out);
		__asm__ volatile(ARCH LOAD("%[in]") "1: addi %[n], %[n], -1\n bnez %[n], 1b\n"
		                 STORE("%[out]") ".option pop"
		                 : [n] "+&r"(n)
		                 : [in] "r"(in), [out] "r"(out), [step] "r"(8 * vlenb)
		                 : "t0", "memory");
		if (memcmp(in, out, 32 * vlenb) || vlenb_get() != vlenb)
			wrong("registers of a round", (unsigned long)round);
		printf("%d %lu\n", round, vlenb);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	pthread_t id;
	vlenb = vlenb_get();
	printf("vlenb %lu\n", vlenb);
	fflush(stdout);
	if (argc > 1 && !strcmp(argv[1], "hold"))
		hold();
	if (argc > 1)
		return 0;
	sigaction(SIGUSR1, &(struct sigaction){ .sa_sigaction = on_usr, .sa_flags = SA_SIGINFO },
	          NULL);
	for (unsigned i = 0; i < 32 * vlenb; i++)
		in[i] = (uint8_t)(i * 7 + i / 64);
	if (pthread_create(&id, NULL, thread, NULL) || pthread_join(id, NULL) || !plain)
		wrong("a frame without vectors", 0);
	fault();
	pid_t pid = fork();
	if (pid == 0) {
		fault();
		execl("/proc/self/exe", argv[0], "again", NULL);
		_exit(9);
	}
	int status = 1;
	waitpid(pid, &status, 0);
	return bad || status;
}
