/* SPDX-License-Identifier: Apache-2.0 */
/* What a process in a job may use: memory by the host's RLIMIT_DATA, which counts Lodge's memory,
 * too; time of its own code by a timer of the host. Also how many processes a guest may have: who
 * starts without end is refused, and what is outside is left alone. */
#include "win/job.h"
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

enum { OWN_MEMORY = 32 << 20 }; /* Lodge's, of what the host counts */
#define STARTING UINT32_MAX
#define CLOCK_USER                                                                                 \
	((clockid_t)(~0u << 3 | 1)) /* time in user mode, of all threads of the process */

static WIN_STATE struct {
	uint64_t memory, time; /* what is in force */
	bool timer_made;
	timer_t timer;
} own;

/* ---- all processes ---- */

struct running *running_take(void)
{
	struct jobs *all = jobs_shared();
	for (size_t i = 0; all && i < PROCESSES_MAX; i++) {
		struct running *r = &all->running[i];
		uint32_t none = 0;
		if (!atomic_compare_exchange_strong(&r->pid, &none, STARTING))
			continue;
		atomic_store(&r->parent, process()->pid);
		return r;
	}
	return NULL;
}

void running_is(struct running *r, uint32_t pid) { atomic_store(&r->pid, pid); }

void running_drop(struct running *r)
{
	struct jobs *all = jobs_shared();
	uint32_t pid = atomic_load(&r->pid);
	atomic_store(&r->parent, 0);
	atomic_store(&r->pid, 0);
	for (size_t i = 0; pid && pid != STARTING && i < PROCESSES_MAX; i++)
		if (all->running[i].parent == pid)
			running_drop(&all->running[i]);
}

/* ---- limits of this one ---- */

/* The least that a job around it sets, of what @flag stands for; 0: none does. */
static uint64_t least_of(uint32_t flag)
{
	uint64_t least = 0;
	for (uint32_t at = *job_of_process(process_object()); at; at = slot_at(at)->parent) {
		const struct slot *s = slot_at(at);
		uint64_t is = flag == LIMIT_MEMORY ? s->memory : s->time;
		if (s->flags & flag && (!least || is < least))
			least = is;
	}
	return least;
}

static void memory_apply(uint64_t least)
{
	struct rlimit l;
	if (least == own.memory || getrlimit(RLIMIT_DATA, &l) < 0)
		return;
	own.memory = least;
	l.rlim_cur = least && least + OWN_MEMORY < l.rlim_max ? least + OWN_MEMORY : l.rlim_max;
	(void)!setrlimit(RLIMIT_DATA, &l);
}

static void time_over(int signal)
{
	(void)signal;
	process_end(ERROR_NOT_ENOUGH_QUOTA);
}

static void time_apply(uint64_t least)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
	struct sigaction a = {.sa_handler = time_over, .sa_flags = SA_ONSTACK};
	struct itimerspec t = {.it_value = {.tv_sec = (time_t)(least / 10000000),
					    .tv_nsec = (long)(least % 10000000 * 100)}};
	if (least == own.time)
		return;
	own.time = least;
	if (!own.timer_made) {
		sigaction(SIGVTALRM, &a, NULL);
		own.timer_made = timer_create(CLOCK_USER, &e, &own.timer) == 0;
	}
	if (own.timer_made) /* of what it has used altogether */
		timer_settime(own.timer, TIMER_ABSTIME, &t, NULL);
}

void job_limits_apply(void)
{
	if (!jobs_shared())
		return;
	memory_apply(least_of(LIMIT_MEMORY));
	time_apply(least_of(LIMIT_PROCESS_TIME));
}
