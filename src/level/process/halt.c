/* SPDX-License-Identifier: Apache-2.0 */
/* Standing still: all threads of a process of the program between two instructions, for as long as
 * the keeper wants it. Calls that wait are interrupted, and begun again when the program goes on,
 * with what is left of their time (linux/host_call.c). */
#include "level/process/internal.h"
#include <linux/futex.h>
#include <sys/syscall.h>

enum { BEING_BORN = -1 };
#define LENT_PATIENCE_NS UINT64_C(1000000000)

static bool is_halt(uint32_t want) { return want & 1; }

bool halt_wanted(const struct proc *p)
{
	return p->kept && is_halt(atomic_load_explicit(&p->kept->want, memory_order_relaxed));
}

/* Take a slot for @pid; NULL: there is none. */
static struct kept_slot *slot_take(struct kept *k, int pid)
{
	for (size_t i = 0; i < KEPT_PROCESSES; i++) {
		struct kept_slot *s = &k->slot[i];
		int none = 0;
		if (!atomic_compare_exchange_strong(&s->pid, &none, pid))
			continue;
		s->halted = s->lends = 0;
		return s;
	}
	return NULL;
}

static void halt_begin(struct proc *p, struct kept_slot *slot)
{
	p->slot = slot;
	p->halt_number = p->nhalted = p->naway = 0;
	p->speaker = NULL;
}

void halt_join(struct proc *p)
{
	int pid = getpid();
	halt_begin(p, NULL);
	if (!p->kept)
		return;
	for (size_t i = 0; i < KEPT_PROCESSES; i++)
		if (p->kept->slot[i].pid == pid) /* of another one that had the number */
			p->slot = &p->kept->slot[i];
	if (p->slot)
		p->slot->halted = p->slot->lends = 0;
	else
		p->slot = slot_take(p->kept, pid);
}

struct kept_slot *halt_fork(struct proc *p)
{
	return p->kept ? slot_take(p->kept, BEING_BORN) : NULL;
}

void halt_forked(struct proc *p, struct kept_slot *slot, int64_t pid)
{
	int born = BEING_BORN;
	if (pid == 0) {
		halt_begin(p, slot);
		if (slot)
			slot->pid = getpid();
	} else if (slot) { /* whoever is first: the parent may stand still before its child does */
		atomic_compare_exchange_strong(&slot->pid, &born, pid < 0 ? 0 : (int)pid);
	}
}

void halt_leave(struct proc *p)
{
	if (p->slot)
		p->slot->pid = 0;
	p->slot = NULL;
}

/* All threads that run do not: say so. The lock is held. */
static void halted_check(struct proc *p)
{
	if (!p->halt_number || !p->slot)
		return;
	/* one that waits for a child of vfork goes on by itself, while that runs */
	unsigned naway = p->slot->lends == p->halt_number ? p->naway : 0;
	if (p->nhalted + naway < p->ntasks)
		return;
	p->slot->halted = p->halt_number;
	syscall(SYS_futex, &p->slot->halted, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void halt_ended(struct proc *p)
{
	if (unlikely(p->kept))
		halted_check(p);
}

void halt_away(struct task *t, bool away)
{
	struct proc *p = t->p;
	if (!p->kept)
		return;
	pthread_mutex_lock(&p->lock);
	p->naway += away ? 1 : -1u;
	if (away)
		halted_check(p);
	else if (halt_wanted(p))
		rv_hart_request(t->h, RV_REQ_LOOK);
	pthread_mutex_unlock(&p->lock);
}

void halt_away_kicked(struct task *t)
{
	struct proc *p = t->p;
	uint32_t want = p->kept ? (uint32_t)p->kept->want : 0;
	if (!is_halt(want))
		return;
	pthread_mutex_lock(&p->lock);
	p->halt_number = want;
	halted_check(p);
	pthread_mutex_unlock(&p->lock);
}

/* A child of vfork soon has another program, or ends: then its parent is whole again. It puts the
 * halt off until then, but not for ever: whoever wants it to halt kicks it again. */
static bool lent_runs_on(struct proc *p, uint32_t want)
{
	uint64_t now = host_monotonic_ns();
	if (p->vfork_fd < 0)
		return false;
	if (p->lent_number != want) {
		p->lent_number = want;
		p->lent_since_ns = now;
	}
	return now - p->lent_since_ns < LENT_PATIENCE_NS;
}

/* Its parent may be taken for one that stands still. The lock is held. */
static void lender_tell(const struct proc *p, uint32_t want)
{
	if (p->vfork_fd >= 0 && p->lender)
		p->lender->lends = want;
}

/* The others shall look, too. */
static void others_kick(struct task *t)
{
	for (struct task *to = t->p->tasks; to; to = to->next) {
		if (to == t)
			continue;
		rv_hart_request(to->h, RV_REQ_LOOK);
		syscall(SYS_tgkill, getpid(), to->tid, SIGNAL_KICK);
	}
}

/* The first one that gets here speaks for the process, if it is the one that is asked. */
static void stand(struct task *t, uint32_t want)
{
	struct proc *p = t->p;
	while (is_halt(want)) {
		if (p->speaker == t)
			speak(t);
		syscall(SYS_futex, &p->kept->want, FUTEX_WAIT, want, NULL, NULL, 0);
		uint32_t now = p->kept->want;
		bool other = now != want && is_halt(now);
		want = now;
		if (!other)
			continue;
		pthread_mutex_lock(&p->lock);
		if (p->speaker == t) /* those that went on between two halts */
			others_kick(t);
		p->halt_number = want;
		lender_tell(p, want);
		halted_check(p);
		pthread_mutex_unlock(&p->lock);
	}
}

void halt_look(struct task *t)
{
	struct proc *p = t->p;
	uint32_t want = p->kept->want;
	if (!is_halt(want) || lent_runs_on(p, want))
		return;
	pthread_mutex_lock(&p->lock);
	if (p->ending && p->ending != t) { /* this one is about to end */
		pthread_mutex_unlock(&p->lock);
		return;
	}
	if (!p->speaker) {
		p->speaker = t;
		others_kick(t);
	}
	p->halt_number = want;
	p->nhalted++;
	lender_tell(p, want);
	halted_check(p);
	pthread_mutex_unlock(&p->lock);
	stand(t, want);
	pthread_mutex_lock(&p->lock);
	if (p->speaker == t)
		p->speaker = NULL;
	if (--p->nhalted == 0)
		p->halt_number = 0;
	pthread_mutex_unlock(&p->lock);
}
