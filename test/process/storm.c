/* SPDX-License-Identifier: Apache-2.0 */
/* A storm: threads, forks, signals and faults, many at once. `storm` is short; `storm SECONDS` goes
 * on so long. It says where it was not good. */
#include "say.h"
#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

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

int main(int argc, char **argv)
{
	if (argc > 1)
		end = time(NULL) + atoi(argv[1]);
	for (int round = 0; more(round, 1); round++) {
		threads_in_sequence(end ? 10000 : 500);
		threads_at_once();
		forks_in_threads(10);
	}
	puts("good");
	return 0;
}
