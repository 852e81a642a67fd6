/* SPDX-License-Identifier: Apache-2.0 */
/* Atomics that were run often while nobody else touched memory, and then somebody does: threads,
 * children over shared memory, memory that was to be read only. No count may be lost. */
#include "say.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { ALONE = 20000, TOGETHER = 1000000 };

struct counts {
	_Atomic long add, cas;
	_Atomic unsigned sub, most;
	_Atomic unsigned long bits[2];
	_Atomic int lock, here;
	long locked;
};

/* fetch_xor and exchange where the old value is not wanted, too: they are other code. */
static __attribute__((noinline)) void rounds(struct counts *c, unsigned me, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		long seen = atomic_load_explicit(&c->cas, memory_order_relaxed);
		atomic_fetch_add(&c->add, 1);
		while (!atomic_compare_exchange_weak(&c->cas, &seen, seen + 3))
			continue;
		atomic_fetch_sub(&c->sub, 1);
		atomic_fetch_xor(&c->bits[0], 1ul << me);
		if (atomic_fetch_or(&c->bits[1], 2ul << me) & 2ul << me)
			atomic_fetch_and(&c->bits[1], ~(2ul << me));
		while (atomic_exchange(&c->lock, 1))
			continue;
		c->locked++;
		atomic_store(&c->lock, 0);
	}
}

/* Both at the same time, if the host has two processors to spare. */
static void together(struct counts *c, unsigned me)
{
	atomic_fetch_add(&c->here, 1);
	while (c->here < 2)
		sched_yield();
	rounds(c, me, TOGETHER);
}

static void tell(const char *what, const struct counts *c)
{
	printf("%s: %ld %ld %u %lx %lx %ld\n", what, c->add, c->cas, c->sub, c->bits[0],
	       c->bits[1], c->locked);
	fflush(stdout);
}

static void *thread(void *counts)
{
	together(counts, 1);
	return NULL;
}

static void threads(void)
{
	static struct counts c;
	pthread_t id;
	rounds(&c, 0, ALONE);
	tell("alone", &c);
	SAY(pthread_create(&id, NULL, thread, &c));
	together(&c, 0);
	SAY(pthread_join(id, NULL));
	tell("threads", &c);
}

/* What has been hot here is hot in the child as well. */
static void children(const char *what, struct counts *c)
{
	int status = 0;
	rounds(c, 0, ALONE);
	pid_t pid = fork();
	together(c, pid == 0);
	if (pid == 0)
		_exit(0);
	SAY(waitpid(pid, &status, 0) == pid && status == 0);
	tell(what, c);
}

/* A process of its own, which has one thread and no memory in common with any other. */
static void apart(void (*fn)(void))
{
	pid_t pid = fork();
	int status = 0;
	if (pid == 0) {
		static struct counts mine;
		rounds(&mine, 3, ALONE);
		tell("child", &mine);
		fn();
		_exit(0);
	}
	SAY(waitpid(pid, &status, 0) == pid && status == 0);
}

static void shared(void)
{
	children("shared", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	                        0));
}

/* The mapping may be written only later. */
static void protected(void)
{
	int fd = file_make("counts", "");
	SAY(ftruncate(fd, 4096));
	struct counts *c = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	static struct counts mine;
	rounds(&mine, 0, ALONE);
	SAY(mprotect(c, 4096, PROT_READ | PROT_WRITE));
	children("protected", c);
}

int main(int argc, char **argv)
{
	if (argc > 1) { /* a new program, in a process that had threads and shared memory */
		apart(threads);
		return 0;
	}
	apart(shared);
	apart(protected);
	apart(threads);
	shared();
	threads();
	execl("/proc/self/exe", argv[0], "again", NULL);
	SAY(-1);
}
