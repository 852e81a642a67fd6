/* SPDX-License-Identifier: Apache-2.0 */
/* A signal at every instruction of the stub: the call is done, or will be made again; no byte is
 * lost, none is read twice. */
#include "linux/guest_test.h"
#include <poll.h>
#include <pthread.h>
#include <time.h>

enum { TRAP_FLAG = 0x100, STEPS_MAX = 2000 };
extern const char linux_stub_check[], linux_stub_syscall[], linux_stub_out[];

static struct step {
	struct linux_task *task;
	int left;      /* steps until the signal comes */
	uint64_t here; /* where it came; 0: it did not */
} step;

static void on_step(int sig, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;
	(void)sig;
	(void)si;
	if (step.left--)
		return;
	step.here = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	step.task->pending = 1;
	linux_interrupted(uc);
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static int64_t call_stepped(struct linux_task *t, const uint64_t a[6])
{
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
	int64_t r = linux_host_call(t, SYS_read, a);
	__asm__ volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
	return r;
}

TEST(linux_signal_at_each_instruction)
{
	struct sigaction a = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
	struct guest *g = guest_new();
	unsigned done = 0, restarted = 0, in_stub = 0;
	int fd[2], i = 0;
	CHECK(!pipe2(fd, O_NONBLOCK) && !sigaction(SIGTRAP, &a, NULL));
	for (step.here = 1; step.here; i++) {
		char c = 0;
		const uint64_t args[6] = { (uint64_t)fd[0], ptr(&c), 1 };
		CHECK(i < STEPS_MAX && write(fd[1], "x", 1) == 1);
		step = (struct step){ &g->task, i, 0 };
		g->task.pending = 0;
		int64_t r = call_stepped(&g->task, args);
		CHECK(r == 1 || r == LINUX_RESTART);
		/* exactly the call that was done has taken the byte */
		CHECK((read(fd[0], &c, 1) == 1) == (r == LINUX_RESTART));
		uint64_t from = ptr(linux_stub_check), to = ptr(linux_stub_syscall);
		if (step.here >= from && step.here <= to) {
			CHECK(r == LINUX_RESTART);
			in_stub++;
		}
		done += r == 1;
		restarted += r != 1;
	}
	CHECK(done && restarted && in_stub == 3); /* the look, the jump, the call */
	signal(SIGTRAP, SIG_DFL);
	close(fd[0]);
	close(fd[1]);
	guest_free(g);
}

TEST(linux_pending_signal_lets_nothing_sleep)
{
	struct guest *g = guest_new();
	int fd[2];
	CHECK(!pipe(fd));
	g->task.pending = 1;
	CHECK(CALL(g, read, (uint64_t)fd[0], GUEST, 1) == LINUX_RESTART);
	CHECK(CALL(g, getpid) == getpid()); /* what does not sleep is done */
	close(fd[0]);
	close(fd[1]);
	guest_free(g);
}

/* ---- a sleeping thread ---- */

static struct linux_task *_Atomic sleeper;

static void on_signal(int sig, siginfo_t *si, void *context)
{
	(void)sig;
	(void)si;
	struct linux_task *t = sleeper;
	t->pending = 1;
	linux_interrupted(context);
}

struct sleep {
	struct guest *g;
	unsigned nr;
	uint64_t a[6];
	int64_t ret;
	_Atomic int tid;
};

static void *sleep_run(void *arg)
{
	struct sleep *s = arg;
	s->tid = gettid();
	s->ret = linux_call(&s->g->task, s->nr, s->a);
	return NULL;
}

/* Is thread @tid of this process asleep? */
static bool asleep(int tid)
{
	char name[64], text[256] = { 0 };
	snprintf(name, sizeof name, "/proc/self/task/%d/stat", tid);
	FILE *f = fopen(name, "re");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	const char *end = n ? strrchr(text, ')') : NULL;
	return end && end[2] == 'S';
}

static int64_t interrupted_call(struct guest *g, unsigned nr, const uint64_t a[6])
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sleep s = { .g = g, .nr = nr };
	struct timespec ms = { .tv_nsec = 1000000 };
	pthread_t thread;
	memcpy(s.a, a, sizeof s.a);
	g->task.pending = 0;
	sleeper = &g->task;
	CHECK(!sigaction(SIGUSR1, &sa, NULL));
	CHECK(!pthread_create(&thread, NULL, sleep_run, &s));
	while (!s.tid || !asleep(s.tid))
		nanosleep(&ms, NULL);
	CHECK(!pthread_kill(thread, SIGUSR1) && !pthread_join(thread, NULL));
	signal(SIGUSR1, SIG_DFL);
	g->task.pending = 0;
	return s.ret;
}

TEST(linux_signal_ends_a_sleep)
{
	struct guest *g = guest_new();
	int fd[2];
	CHECK(!pipe(fd));
	/* the kernel restarts a read, and never a poll or a sleep */
	const uint64_t read_a[6] = { (uint64_t)fd[0], GUEST, 1 };
	CHECK(interrupted_call(g, call_nr("read"), read_a) == LINUX_RESTART);
	struct pollfd p = { .fd = fd[0], .events = POLLIN };
	memcpy(guest_at(0), &p, sizeof p);
	const uint64_t poll_a[6] = { GUEST, 1, 0, 0, 8 };
	CHECK(interrupted_call(g, call_nr("ppoll"), poll_a) == -EINTR);
	struct timespec ts = { .tv_sec = 100 };
	memcpy(guest_at(64), &ts, sizeof ts);
	const uint64_t sleep_a[6] = { GUEST + 64, GUEST + 128 };
	CHECK(interrupted_call(g, call_nr("nanosleep"), sleep_a) == -EINTR);
	memcpy(&ts, guest_at(128), sizeof ts);
	CHECK(ts.tv_sec == 99);
	close(fd[0]);
	close(fd[1]);
	guest_free(g);
}
