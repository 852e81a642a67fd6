/* SPDX-License-Identifier: Apache-2.0 */
/* kept [children]: a program that keeps things which a saved state must have: a nonce in memory,
 * threads that count, an open file, a pipe with something in it, an eventfd, a timer, epoll, a
 * signal handler on its own stack. Each round looks at all of them and prints a line
 * `ROUND NONCE`; what is wrong is printed, and ends it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, BYTES = 3 << 20 };
static _Atomic uint64_t counts[THREADS];
static volatile sig_atomic_t signals;
static char stack[65536];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t tick = PTHREAD_COND_INITIALIZER;

#define MUST(x) must((x), #x)
static void must(int ok, const char *what)
{
	if (ok)
		return;
	printf("wrong: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void on_signal(int sig)
{
	char here;
	(void)sig;
	must(&here > stack && &here < stack + sizeof stack, "the handler's stack");
	signals++;
}

/* One computes, one waits for the other, one sleeps. */
static void *count(void *arg)
{
	long i = (long)arg, tid = syscall(SYS_gettid);
	for (;;) {
		counts[i]++;
		must(syscall(SYS_gettid) == tid, "the number of a thread");
		if (i == 0 && counts[i] % 64 == 0) {
			pthread_mutex_lock(&lock);
			pthread_cond_broadcast(&tick);
			pthread_mutex_unlock(&lock);
		} else if (i == 1) {
			pthread_mutex_lock(&lock);
			pthread_cond_wait(&tick, &lock);
			pthread_mutex_unlock(&lock);
		} else if (i == 2) {
			usleep(1000);
		}
	}
	return NULL;
}

static uint64_t sum(const unsigned char *p)
{
	uint64_t h = 14695981039346656037u;
	for (size_t i = 0; i < BYTES; i++)
		h = (h ^ p[i]) * 1099511628211u;
	return h;
}

static void children(int n)
{
	for (int i = 0; i < n; i++)
		if (fork() == 0)
			for (unsigned k = 0;; k++) {
				printf("child %d %u\n", i, k);
				fflush(stdout);
				usleep(20000);
			}
}

int main(int argc, char **argv)
{
	unsigned char *data = malloc(BYTES);
	uint64_t nonce, had;
	char text[32];
	int ends[2];
	for (size_t i = 0; i < BYTES; i += 256)
		MUST(getrandom(data + i, 256, 0) == 256);
	nonce = sum(data);
	uint64_t *shared =
	    mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared[1] = nonce;
	MUST(mprotect(shared, 4096, PROT_READ) == 0);
	pid_t pid = getpid();
	int file = open("kept.file", O_RDWR | O_CREAT | O_TRUNC, 0600), same = dup(file);
	MUST(file >= 0 && same >= 0 && flock(file, LOCK_EX) == 0);
	MUST(pipe2(ends, O_NONBLOCK) == 0 && write(ends[1], "in the pipe", 11) == 11);
	int event = eventfd(41, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0),
	    ep = epoll_create1(0);
	struct itimerspec every = {{0, 10000000}, {0, 10000000}};
	MUST(timerfd_settime(timer, 0, &every, NULL) == 0);
	struct epoll_event ev = {EPOLLIN, {.u64 = nonce}};
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, timer, &ev) == 0);
	sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_ONSTACK},
		  NULL);
	if (argc > 1)
		children(atoi(argv[1]));
	pthread_t id;
	for (long i = 0; i < THREADS; i++)
		MUST(pthread_create(&id, NULL, count, (void *)i) == 0);
	for (int round = 1;; round++) {
		uint64_t before[THREADS];
		for (int i = 0; i < THREADS; i++)
			before[i] = counts[i];
		struct timespec half = {0, 50000000};
		MUST(nanosleep(&half, NULL) == 0);
		MUST(sum(data) == nonce && shared[1] == nonce && getpid() == pid);
		for (int i = 0; i < THREADS; i++)
			for (int n = 0; counts[i] == before[i]; n++) {
				must(n < 1000, "a thread that counts");
				usleep(10000);
			}
		MUST(lseek(same, 0, SEEK_CUR) == (round - 1) * 8 &&
		     write(file, "a round\n", 8) == 8);
		MUST(read(ends[0], text, sizeof text) == 11 && !memcmp(text, "in the pipe", 11));
		MUST(write(ends[1], "in the pipe", 11) == 11);
		MUST(read(event, &had, 8) == 8 && had == 41 && write(event, &had, 8) == 8);
		MUST(epoll_wait(ep, &ev, 1, 1000) == 1 && ev.data.u64 == nonce);
		MUST(read(timer, &had, 8) == 8);
		sig_atomic_t was = signals;
		MUST(raise(SIGUSR1) == 0 && signals == was + 1);
		printf("%d %016llx\n", round, (unsigned long long)nonce);
		fflush(stdout);
	}
}
