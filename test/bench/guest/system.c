/* SPDX-License-Identifier: Apache-2.0 */
/* What needs the kernel, or other processors' views: system calls, faults, processes, signals,
 * threads, atomics, code that changes. */
#include "bench.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t bench_atomic(uint64_t n)
{
	static _Atomic uint64_t a, b;
	static _Atomic uint32_t c;
	bench_begin();
	for (uint64_t i = 0; i < n; i++) {
		uint64_t old = atomic_fetch_add(&a, i);
		if (!atomic_compare_exchange_strong(&b, &old, i))
			atomic_store(&b, old + i);
		atomic_fetch_xor(&c, (uint32_t)i);
		(void)atomic_exchange(&b, i ^ old);
	}
	return a ^ b ^ c;
}

uint64_t bench_syscall(uint64_t n)
{
	uint64_t same = 0, parent = (uint64_t)getppid(), rounds = n;
	bench_begin();
	while (n--)
		same += (uint64_t)syscall(SYS_getppid) == parent;
	return same == rounds;
}

uint64_t bench_pgfault(uint64_t n)
{
	enum { PAGES = 64 };
	size_t size = PAGES * 4096;
	uint64_t sum = 0;
	bench_begin();
	for (uint64_t i = 0; i < n; i++) {
		uint8_t *p =
		    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			bench_die("mmap");
		for (unsigned k = 0; k < PAGES; k++)
			p[k * 4096] += (uint8_t)(k + i);
		sum = bench_mix(sum, p[(i % PAGES) * 4096]);
		munmap(p, size);
	}
	return sum;
}

uint64_t bench_mprotect(uint64_t n)
{
	volatile uint8_t *p =
	    mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		bench_die("mmap");
	memset((void *)p, 1, 4 * 4096);
	bench_begin();
	for (uint64_t i = 0; i < n; i++) {
		if (mprotect((void *)(p + 4096), 4096, PROT_READ))
			bench_die("mprotect");
		uint8_t x = p[4096];
		if (mprotect((void *)(p + 4096), 4096, PROT_READ | PROT_WRITE))
			bench_die("mprotect");
		p[4096] = (uint8_t)(x * 5 + i);
	}
	return p[4096];
}

static void must(ssize_t n)
{
	if (n != 1)
		bench_die("pipe");
}

uint64_t bench_pipe(uint64_t n)
{
	int there[2], back[2];
	uint8_t x = 0;
	bench_pin();
	if (pipe(there) || pipe(back))
		bench_die("pipe");
	pid_t pid = fork();
	if (pid < 0)
		bench_die("fork");
	if (pid == 0) {
		for (uint64_t i = 0; i < n; i++) {
			must(read(there[0], &x, 1));
			x = (uint8_t)(x * 3 + 1);
			must(write(back[1], &x, 1));
		}
		_exit(0);
	}
	bench_begin();
	for (uint64_t i = 0; i < n; i++) {
		must(write(there[1], &x, 1));
		must(read(back[0], &x, 1));
	}
	bench_end();
	waitpid(pid, NULL, 0);
	return x;
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals = signals + 1;
}

uint64_t bench_signal(uint64_t n)
{
	struct sigaction act = {.sa_handler = on_signal};
	sigaction(SIGUSR1, &act, NULL);
	pid_t self = getpid();
	bench_begin();
	while (n--)
		kill(self, SIGUSR1);
	return (uint64_t)signals;
}

static uint64_t fork_many(uint64_t n, char **argv)
{
	uint64_t sum = 0;
	bench_pin();
	bench_begin();
	for (uint64_t i = 0; i < n; i++) {
		int status = 0;
		pid_t pid = fork();
		if (pid < 0)
			bench_die("fork");
		if (pid == 0) {
			if (argv)
				execv("/proc/self/exe", argv);
			_exit((int)(i & 127));
		}
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			bench_die("wait");
		sum = bench_mix(sum, (uint64_t)WEXITSTATUS(status));
	}
	return sum;
}

uint64_t bench_fork(uint64_t n) { return fork_many(n, NULL); }

uint64_t bench_forkexec(uint64_t n)
{
	char name[] = "lodge-bench", option[] = "-x", *argv[] = {name, option, NULL};
	return fork_many(n, argv);
}

/* A function of STEPS additions to its argument, written anew with other numbers each round. */
enum { STEPS = 6 };
typedef uint64_t smc_fn(uint64_t);

static size_t smc_write(uint8_t *at, uint32_t number)
{
	size_t n = 0;
#if defined(__riscv)
	for (unsigned i = 0; i < STEPS; i++, n += 4) {
		uint32_t addi = ((number + i) & 0x7ff) << 20 | 10 << 15 | 10 << 7 | 0x13;
		memcpy(at + n, &addi, 4);
	}
	uint32_t ret = 0x00008067;
	memcpy(at + n, &ret, 4);
	return n + 4;
#elif defined(__x86_64__)
	static const uint8_t begin[3] = {0x48, 0x89, 0xf8}, add[2] = {0x48, 0x05};
	memcpy(at, begin, 3);
	n = 3;
	for (unsigned i = 0; i < STEPS; i++, n += 6) {
		uint32_t imm = (number + i) & 0x7ff;
		memcpy(at + n, add, 2);
		memcpy(at + n + 2, &imm, 4);
	}
	at[n] = 0xc3;
	return n + 1;
#else
#error "smc: write the instructions of this machine"
#endif
}

uint64_t bench_smc(uint64_t n)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t x = 0;
	if (page == MAP_FAILED)
		bench_die("mmap");
	smc_fn *fn = (smc_fn *)(uintptr_t)page;
	bench_begin();
	for (uint64_t i = 0; i < n; i++) {
		size_t size = smc_write(page, (uint32_t)i);
		__builtin___clear_cache((char *)page, (char *)page + size);
		x = fn(x) ^ i;
	}
	return x;
}

/* Two threads: a counter under a lock, work of their own, and a hand-over every 64 rounds. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static uint64_t locked, turn, thread_rounds;
static _Atomic uint64_t free_sum;

static void *thread_main(void *arg)
{
	uint64_t me = (uintptr_t)arg, x = me + 1;
	for (uint64_t i = 0; i < thread_rounds; i++) {
		for (unsigned k = 0; k < 50; k++)
			x = bench_mix(x, i + k);
		atomic_fetch_add(&free_sum, x & 0xffff);
		pthread_mutex_lock(&lock);
		locked += i;
		if (i % 64 == 0) {
			while (turn % 2 != me)
				pthread_cond_wait(&turned, &lock);
			turn++;
			pthread_cond_signal(&turned);
		}
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

uint64_t bench_threads2(uint64_t n)
{
	pthread_t other;
	thread_rounds = n;
	bench_pin();
	bench_begin();
	if (pthread_create(&other, NULL, thread_main, (void *)1))
		bench_die("pthread_create");
	thread_main(NULL);
	pthread_join(other, NULL);
	return bench_mix(locked, free_sum) + turn;
}
