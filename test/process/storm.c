/* SPDX-License-Identifier: Apache-2.0 */
/* A storm: threads, forks, signals and faults, many at once. `storm` is short; `storm SECONDS` goes
 * on so long. It says where it was not good. */
#include "say.h"
#include <pthread.h>
#include <stdbool.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

static time_t end; /* 0: a short one */
static bool more(int round, int short_rounds)
{
	return end ? time(NULL) < end : round < short_rounds;
}
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("line %d: %s (errno %d)\n", __LINE__, #condition, errno);           \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* ---- threads ---- */

static __thread long own = 5; /* each begins with this */

static void *adder(void *sum)
{
	char text[32];
	EXPECT(own == 5);
	own = snprintf(text, sizeof text, "%ld", *(long *)sum);
	__atomic_add_fetch((long *)sum, own > 0, __ATOMIC_SEQ_CST);
	return sum;
}

static void threads_in_sequence(int n)
{
	long sum = 0;
	for (int i = 0; i < n; i++) {
		pthread_t t;
		void *r;
		EXPECT(!pthread_create(&t, NULL, adder, &sum));
		EXPECT(!pthread_join(t, &r) && r == &sum);
	}
	EXPECT(sum == n);
}

enum { CROWD = 200 };
static pthread_barrier_t barrier;
static void *one_of_many(void *sum)
{
	pthread_barrier_wait(&barrier);
	return adder(sum);
}

static void threads_at_once(void)
{
	pthread_t t[CROWD];
	long sum = 0;
	EXPECT(!pthread_barrier_init(&barrier, NULL, CROWD + 1));
	for (int i = 0; i < CROWD; i++)
		EXPECT(!pthread_create(&t[i], NULL, one_of_many, &sum));
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < CROWD; i++)
		EXPECT(!pthread_join(t[i], NULL));
	EXPECT(sum == CROWD);
}

/* ---- forks in threads ---- */

static void *forker(void *rounds)
{
	for (int i = 0; i < (int)(intptr_t)rounds; i++) {
		int status;
		pid_t p = fork();
		if (!p) {
			if (i % 2 == 0)
				threads_in_sequence(3);
			_exit(i % 100);
		}
		EXPECT(p > 0);
		EXPECT(waitpid(p, &status, 0) == p);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == i % 100);
	}
	return NULL;
}

static void *spinner(void *stop)
{
	long n = 0;
	while (!__atomic_load_n((bool *)stop, __ATOMIC_SEQ_CST))
		n += snprintf((char[32]){ 0 }, 32, "%ld", n);
	return (void *)n;
}

static void forks_in_threads(int rounds)
{
	pthread_t t[4], s[2];
	bool stop = false;
	for (int i = 0; i < 2; i++)
		EXPECT(!pthread_create(&s[i], NULL, spinner, &stop));
	for (int i = 0; i < 4; i++)
		EXPECT(!pthread_create(&t[i], NULL, forker, (void *)(intptr_t)rounds));
	for (int i = 0; i < 4; i++)
		EXPECT(!pthread_join(t[i], NULL));
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++)
		EXPECT(!pthread_join(s[i], NULL));
}

/* ---- exec in threads ---- */

static void *execer(void *unused)
{
	execl("/proc/self/exe", "storm", "again", NULL);
	return unused;
}

/* Each child becomes this program again by one of its threads, or by several at once. */
static void exec_in_threads(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		int status;
		pid_t p = fork();
		if (!p) {
			pthread_t t;
			bool stop = false;
			for (int k = 0; k < 3; k++)
				EXPECT(!pthread_create(&t, NULL, spinner, &stop));
			for (int k = 0; k <= i % 3; k++)
				EXPECT(!pthread_create(&t, NULL, execer, NULL));
			spinner(&stop);
		}
		EXPECT(waitpid(p, &status, 0) == p);
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 43);
	}
}

/* ---- signals ---- */

static volatile sig_atomic_t got;
static void on_signal(int sig)
{
	char text[64];
	double d = sig;
	got += snprintf(text, sizeof text, "%d %f", sig, d * d) > 0;
}

/* What registers have must be there after each signal. */
static void *worker(void *stop)
{
	unsigned long n = 0;
	while (!__atomic_load_n((bool *)stop, __ATOMIC_SEQ_CST)) {
		uint64_t x = ++n, y = 0;
		double d = (double)n, s = 0;
		for (int i = 1; i <= 1000; i++) {
			y += x * (uint64_t)i;
			s += d;
		}
		EXPECT(y == x * 500500 && s == d * 1000);
	}
	return NULL;
}

static void signal_storm(int rounds)
{
	pthread_t t[3];
	bool stop = false;
	struct sigaction a = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval tick = { { 0, 500 }, { 0, 500 } }, none = { 0 };
	EXPECT(!sigaction(SIGUSR1, &a, NULL) && !sigaction(SIGALRM, &a, NULL));
	for (int i = 0; i < 3; i++)
		EXPECT(!pthread_create(&t[i], NULL, worker, &stop));
	EXPECT(!setitimer(ITIMER_REAL, &tick, NULL));
	for (int i = 0; i < rounds; i++) {
		EXPECT(!pthread_kill(t[i % 3], SIGUSR1));
		if (i % 64 == 0)
			EXPECT(!raise(SIGUSR1) && usleep(100) <= 0);
	}
	EXPECT(!setitimer(ITIMER_REAL, &none, NULL));
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 3; i++)
		EXPECT(!pthread_join(t[i], NULL));
	EXPECT(got > 0);
}

/* ---- faults that are repaired ---- */

enum { PAGES = 16, PAGE = 4096 };
static __thread char *volatile pages; /* of the thread, without any rights at first */
static __thread volatile int repaired;
static __thread char *stack;

static void on_fault(int sig, siginfo_t *si, void *context)
{
	char here;
	ucontext_t *uc = context;
	char *at = si->si_addr;
	EXPECT(&here - stack < (long)SIGSTKSZ * 4 && &here >= stack);
	EXPECT(sig == SIGSEGV);
	repaired++;
#ifdef __riscv
	if (at == BAD) { /* the address was in a1: another one, and again */
		EXPECT(uc->uc_mcontext.__gregs[11] == (unsigned long)at);
		uc->uc_mcontext.__gregs[11] = (unsigned long)pages;
		return;
	}
#endif
	(void)uc;
	EXPECT(si->si_code == SEGV_ACCERR && at >= pages && at < pages + PAGES * PAGE);
	EXPECT(!mprotect(pages + (at - pages) / PAGE * PAGE, PAGE, PROT_READ | PROT_WRITE));
}

static void context_changed(void)
{
#ifdef __riscv
	register char *at __asm__("a1") = BAD;
	long v;
	pages[0] = 7;
	__asm__ volatile("lbu %0, 0(%1)" : "=r"(v), "+r"(at) : : "memory");
	EXPECT(v == 7 && at == pages);
	repaired--;
#endif
}

static void *faulter(void *rounds)
{
	stack_t s = { .ss_sp = malloc((size_t)SIGSTKSZ * 4), .ss_size = (size_t)SIGSTKSZ * 4 };
	stack = s.ss_sp;
	EXPECT(stack && !sigaltstack(&s, NULL));
	pages = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(pages != MAP_FAILED);
	for (int i = 0; i < (int)(intptr_t)rounds; i++) {
		repaired = 0;
		for (int k = 0; k < PAGES; k++)
			pages[k * PAGE + i % PAGE] += (char)k;
		EXPECT(repaired == PAGES);
		context_changed();
		EXPECT(!mprotect(pages, PAGES * PAGE, PROT_NONE));
	}
	EXPECT(!munmap(pages, PAGES * PAGE));
	s.ss_flags = SS_DISABLE;
	EXPECT(!sigaltstack(&s, NULL));
	free(stack);
	return NULL;
}

static void faults(int rounds)
{
	pthread_t t[4];
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	EXPECT(!sigaction(SIGSEGV, &a, NULL));
	for (int i = 0; i < 4; i++)
		EXPECT(!pthread_create(&t[i], NULL, faulter, (void *)(intptr_t)rounds));
	for (int i = 0; i < 4; i++)
		EXPECT(!pthread_join(t[i], NULL));
	signal(SIGSEGV, SIG_DFL);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "again"))
		return gettid() == getpid() ? 43 : 44;
	if (argc > 1)
		end = time(NULL) + atoi(argv[1]);
	for (int round = 0; more(round, 1); round++) {
		threads_in_sequence(end ? 10000 : 500);
		threads_at_once();
		forks_in_threads(10);
		exec_in_threads(6);
		signal_storm(5000);
		faults(50);
	}
	puts("good");
	return 0;
}
