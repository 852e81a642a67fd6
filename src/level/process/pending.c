/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that wait while the program stands still: those that it has blocked. Only a thread itself
 * can see what comes with its own, by taking them; it queues them again at once. signal(7),
 * rt_sigqueueinfo(2) */
#include "level/process/saved.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

enum { PATIENCE_MS = 2000 };
#define BIT_OF(sig) (UINT64_C(1) << ((sig)-1))
#define NEVER       (BIT_OF(SIGNAL_KICK) | BIT_OF(SIGKILL) | BIT_OF(SIGSTOP))

/* The signals behind @key in the status file @path. Async-signal-safe. */
static uint64_t waiting_set(const char *path, const char *key)
{
	char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = 0;
	const char *at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 16) & ~NEVER : 0;
}

/* Take those of @key ("SigPnd:", "ShdPnd:") of this thread. Its own come before the process's. */
static void waiting_take(struct pending *p, const char *key)
{
	const struct timespec now = {0, 0};
	uint64_t set;
	while ((set = waiting_set("/proc/thread-self/status", key)) && p->n < PENDING_MAX) {
		if (syscall(SYS_rt_sigtimedwait, &set, &p->info[p->n], &now, sizeof set) <= 0)
			break;
		p->n++;
	}
	p->more = set != 0;
}

static void queue_thread(const siginfo_t *i)
{
	siginfo_t copy = *i;
	syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), i->si_signo, &copy);
}

static void queue_process(const siginfo_t *i)
{
	siginfo_t copy = *i;
	syscall(SYS_rt_sigqueueinfo, getpid(), i->si_signo, &copy);
}

void pending_look(struct pending *p)
{
	waiting_take(p, "SigPnd:");
	for (unsigned i = 0; i < p->n; i++)
		queue_thread(&p->info[i]);
	atomic_store(&p->done, true);
}

/* Those of @t, another thread, which stands still. */
static bool pending_ask(struct task *t, struct pending *p)
{
	p->n = 0;
	p->more = false;
	atomic_store(&p->done, false);
	atomic_store(&t->looks, p);
	syscall(SYS_tgkill, getpid(), t->tid, SIGNAL_KICK);
	for (int ms = 0; ms < PATIENCE_MS && !atomic_load(&p->done); ms++)
		usleep(1000);
	/* it is not looking any more, or will not */
	return atomic_exchange(&t->looks, NULL) == NULL && atomic_load(&p->done);
}

static void pending_add(struct gather *g, uint64_t tid, const struct pending *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		uint64_t w[WAITING_WORDS] = {tid};
		memcpy(&w[WAITING_INFO], &p->info[i], sizeof p->info[i]);
		words_add(&g->waiting, w, WAITING_WORDS);
	}
}

/* Of the speaker, and of the process: it can take both. */
static bool pending_own(struct gather *g, struct pending *p)
{
	struct pending all = {.n = 0};
	p->n = 0;
	waiting_take(p, "SigPnd:");
	waiting_take(&all, "ShdPnd:");
	for (unsigned i = 0; i < p->n; i++)
		queue_thread(&p->info[i]);
	for (unsigned i = 0; i < all.n; i++)
		queue_process(&all.info[i]);
	pending_add(g, (uint64_t)g->t->tid, p);
	pending_add(g, 0, &all);
	return !p->more && !all.more;
}

int pending_gather(struct gather *g, struct lodge_err *e)
{
	static struct pending p; /* of the one thread that speaks: a late one finds it, too */
	char path[64];
	for (struct task *t = g->t->p->tasks; t; t = t->next) {
		snprintf(path, sizeof path, "/proc/self/task/%d/status", t->tid);
		if (t == g->t || !waiting_set(path, "SigPnd:"))
			continue;
		if (!pending_ask(t, &p) || p.more)
			return err_set(e, EOPNOTSUPP,
				       "more than %d signals wait for its thread %d, which cannot "
				       "be saved", PENDING_MAX, t->tid);
		pending_add(g, (uint64_t)t->tid, &p);
	}
	return pending_own(g, &p)
		   ? 0
		   : err_set(e, EOPNOTSUPP,
			     "more than %d signals wait, which cannot be saved", PENDING_MAX);
}

/* A signal that waits is one that @t does not take: else the state is of nobody. */
static bool info_load(const struct task *t, const void *from, siginfo_t *ret)
{
	memcpy(ret, from, sizeof *ret);
	if (ret->si_signo < 1 || ret->si_signo > 63 || BIT_OF(ret->si_signo) & NEVER)
		return false;
	return t->kept || t->mask & BIT_OF(ret->si_signo);
}

void pending_thread_put(const struct task *t, const struct saved_thread *s)
{
	siginfo_t i;
	for (uint64_t k = 0; k < s->npending && k < PENDING_MAX; k++)
		if (info_load(t, &s->pending[k * sizeof i], &i))
			queue_thread(&i);
}

int pending_restore(const struct restore *r, const struct task *first, struct lodge_err *e)
{
	const uint8_t *w;
	siginfo_t i;
	size_t n;
	int err = words_find(r, "process/signals", WAITING_WORDS, &w, &n, e);
	for (; err == 0 && n; n--, w += 8 * WAITING_WORDS)
		if (word(w, WAITING_TID) == 0 && info_load(first, w + 8 * WAITING_INFO, &i))
			queue_process(&i);
	return err;
}
