/* SPDX-License-Identifier: Apache-2.0 */
/* Standing still: all threads of a process of the program between two instructions, for as long as
 * the keeper wants it. Calls that wait are interrupted, and begun again when the program goes on,
 * with what is left of their time (linux/host_call.c). */
#include "level/process/internal.h"
#include <linux/futex.h>
#include <sys/syscall.h>

static bool is_halt(uint32_t want) { return want & 1; }

bool halt_wanted(const struct proc *p)
{
	return p->kept && is_halt(atomic_load_explicit(&p->kept->want, memory_order_relaxed));
}

void halt_join(struct proc *p)
{
	int pid = getpid(), none = 0;
	p->slot = NULL;
	p->halt_number = p->nhalted = 0;
	p->speaker = NULL;
	if (!p->kept)
		return;
	for (size_t i = 0; i < KEPT_PROCESSES; i++)
		if (p->kept->slot[i].pid == pid) /* of another one that had the number */
			p->slot = &p->kept->slot[i];
	for (size_t i = 0; i < KEPT_PROCESSES && !p->slot; i++)
		if (atomic_compare_exchange_strong(&p->kept->slot[i].pid, &none, pid))
			p->slot = &p->kept->slot[i];
		else
			none = 0;
	if (p->slot)
		p->slot->halted = 0;
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
	if (!p->halt_number || !p->slot || p->nhalted + p->naway < p->ntasks)
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
		halted_check(p);
		pthread_mutex_unlock(&p->lock);
	}
}

void halt_look(struct task *t)
{
	struct proc *p = t->p;
	uint32_t want = p->kept->want;
	if (!is_halt(want))
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
