/* SPDX-License-Identifier: Apache-2.0 */
/* Not a measurement: four threads hand a token around by futexes, fault pages in, take them away,
 * protect them and count in shared words, for some seconds; every value is checked. What goes
 * wrong when harts disagree about a page or a word shows here. */
#include "bench.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { THREADS = 4, PAGES = 48, PAGE = 4096, WORDS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t passed[THREADS];
static uint64_t token, under_lock, rounds[THREADS];
static _Atomic uint64_t words[WORDS];
static _Atomic bool over, wrong;

static void check(bool good, const char *what, unsigned me, uint64_t round)
{
	if (good)
		return;
	wrong = over = true;
	printf("STORM thread %u round %llu: %s\n", me, (unsigned long long)round, what);
}

/* The threads take turns: token % THREADS is the one that may go on. */
static bool pass(unsigned me)
{
	bool mine;
	pthread_mutex_lock(&lock);
	while (token % THREADS != me && !over)
		pthread_cond_wait(&passed[me], &lock);
	mine = token % THREADS == me;
	if (mine)
		token++;
	under_lock++;
	for (unsigned i = 0; i < THREADS; i++)
		if (over || i == token % THREADS)
			pthread_cond_signal(&passed[i]);
	pthread_mutex_unlock(&lock);
	return mine;
}

/* Pages of this thread alone, in an address space that four harts share. */
static void pages(unsigned me, uint64_t round, uint64_t *seed)
{
	uint8_t *p =
	    mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t r = bench_random_next(seed), mark = round * THREADS + me;
	if (p == MAP_FAILED)
		bench_die("mmap");
	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t *at = (void *)(p + i * PAGE + (r >> 8 & 0x1f) * 8);
		check(*at == 0, "a new page is not zero", me, round);
		*at = mark + i;
	}
	unsigned gone = (unsigned)(r % PAGES), kept = (gone + 7) % PAGES;
	madvise(p + gone * PAGE, PAGE, MADV_DONTNEED);
	mprotect(p + kept * PAGE, PAGE, PROT_READ);
	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t is = *(uint64_t *)(void *)(p + i * PAGE + (r >> 8 & 0x1f) * 8);
		check(is == (i == gone ? 0 : mark + i), "a page holds another's value", me, round);
	}
	munmap(p, PAGES * PAGE);
}

static void *storm_thread(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t seed = 77 + me, turns = 0;
	while (!over) {
		uint64_t round = rounds[me]++;
		pages(me, round, &seed);
		for (unsigned i = 0; i < WORDS; i++)
			atomic_fetch_add(&words[i], me + 1);
		turns += pass(me);
	}
	return (void *)(uintptr_t)turns;
}

int bench_storm(unsigned seconds)
{
	pthread_t thread[THREADS];
	uint64_t all = 0, expected = 0, turns = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_cond_init(&passed[i], NULL);
		if (pthread_create(&thread[i], NULL, storm_thread, (void *)(uintptr_t)i))
			bench_die("pthread_create");
	}
	for (unsigned s = 0; s < seconds && !over; s++)
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	pthread_mutex_lock(&lock);
	over = true;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_cond_signal(&passed[i]);
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < THREADS; i++) {
		void *ret;
		pthread_join(thread[i], &ret);
		turns += (uintptr_t)ret;
		all += rounds[i];
		expected += rounds[i] * (i + 1);
	}
	for (unsigned i = 0; i < WORDS; i++)
		check(words[i] == expected, "a shared word lost a count", i, words[i]);
	check(turns == token, "the token was passed another number of times", 0, token);
	check(under_lock == all, "the lock let two in", 0, under_lock);
	printf("STORM %s: %llu rounds, %llu turns\n", wrong ? "wrong" : "good",
	       (unsigned long long)all, (unsigned long long)token);
	return wrong;
}
