/* SPDX-License-Identifier: Apache-2.0 */
/* QueryInformationJobObject and SetInformationJobObject. A limit that would not be kept is refused.
 */
#include "win/job.h"
#include <time.h>

enum class {
	ACCOUNTING = 1,
	LIMITS_OF_EACH,
	PROCESS_IDS,
	USER_INTERFACE,
	AT_THE_END = 6,
	PORT,
	EXTENDED_LIMITS = 9
};
struct accounting {
	uint64_t user, kernel, period_user, period_kernel; /* 100 ns */
	uint32_t faults, total, active, terminated;
};
struct limits {
	int64_t process_time, job_time;
	uint32_t flags, pad;
	uint64_t least_set, most_set;
	uint32_t active, pad2;
	uint64_t affinity;
	uint32_t priority, scheduling;
};
struct extended {
	struct limits basic;
	uint64_t io[6];
	uint64_t process_memory, job_memory, peak_process, peak_job;
};
struct port_of_job {
	uint64_t key;
	handle port;
};

/* ---- what is asked ---- */

/* Of a process that runs: the host's clocks of it, in 100 ns. */
static uint64_t clock_of(uint32_t pid, unsigned which)
{
	struct timespec t;
	clockid_t clock = (clockid_t)(~pid << 3 | which);
	return clock_gettime(clock, &t) < 0
		   ? 0
		   : (uint64_t)t.tv_sec * 10000000 + (uint64_t)t.tv_nsec / 100;
}

static void accounting_fill(struct accounting *a, uint32_t job)
{
	enum { BOTH, USER };
	const struct slot *s = slot_at(job);
	const struct jobs *all = jobs_shared();
	*a = (struct accounting){.user = s->user,
				 .kernel = s->kernel,
				 .faults = s->faults,
				 .total = s->total,
				 .active = s->active,
				 .terminated = s->terminated};
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		const struct member *m = &all->members[i];
		if (!m->pid || !job_in(m->job, job))
			continue;
		uint64_t user = clock_of(m->pid, USER), both = clock_of(m->pid, BOTH);
		a->user += user;
		a->kernel += both > user ? both - user : 0;
	}
	a->period_user = a->user;
	a->period_kernel = a->kernel;
}

static uint32_t ids_fill(uint8_t *out, uint32_t len, uint32_t *ret_len, uint32_t job)
{
	const struct jobs *all = jobs_shared();
	uint32_t n = 0, all_n = 0;
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		const struct member *m = &all->members[i];
		if (!m->pid || !job_in(m->job, job))
			continue;
		all_n++;
		if (8 + 8 * (n + 1) <= len)
			le64_put(out + 8 + 8 * n++, m->pid);
	}
	le32_put(out, all_n);
	le32_put(out + 4, n);
	*ret_len = 8 + 8 * n;
	return n < all_n ? ERROR_MORE_DATA : 0;
}

static uint32_t query(uint32_t job, uint32_t class, void *out, uint32_t len, uint32_t *ret_len)
{
	const struct slot *s = slot_at(job);
	const struct extended x = {
	    .basic = {.process_time = (int64_t)s->time, .flags = s->flags, .active = s->most},
	    .process_memory = s->memory};
	struct accounting a;
	const void *from = &x;
	uint32_t n;
	switch (class) {
	case ACCOUNTING:
		accounting_fill(&a, job);
		from = &a;
		n = sizeof a;
		break;
	case LIMITS_OF_EACH: n = sizeof x.basic; break;
	case EXTENDED_LIMITS: n = sizeof x; break;
	case PROCESS_IDS: return len < 16 ? ERROR_BAD_LENGTH : ids_fill(out, len, ret_len, job);
	default: return ERROR_NOT_SUPPORTED;
	}
	if (len != n)
		return ERROR_BAD_LENGTH;
	memcpy(out, from, n);
	*ret_len = n;
	return 0;
}

API(uint32_t, k32_QueryInformationJobObject, handle h, uint32_t class, void *out, uint32_t len,
    uint32_t *ret_len)
{
	struct job *j = h ? object_get(h, KIND_JOB) : NULL;
	uint32_t n = 0, job = j ? j->job : h ? 0 : *job_of_process(process_object());
	if (!job)
		return h ? 0 : fail(ERROR_ACCESS_DENIED);
	uint32_t bad = query(job, class, out, len, &n);
	if (ret_len)
		*ret_len = n;
	object_unref(j ? &j->o : NULL);
	return bad ? fail(bad) : 1;
}

/* ---- what is set ---- */

static uint32_t limits_set(uint32_t job, const struct limits *l, const struct extended *x)
{
	struct slot *s = slot_at(job);
	if (l->flags & ~(uint32_t)LIMITS)
		return l->flags >> 15 ? ERROR_INVALID_PARAMETER : ERROR_NOT_SUPPORTED;
	if (!x && l->flags & ~(uint32_t)(LIMIT_ACTIVE | LIMIT_PROCESS_TIME))
		return ERROR_INVALID_PARAMETER;
	if ((l->flags & LIMIT_ACTIVE && !l->active) ||
	    (l->flags & LIMIT_PROCESS_TIME && l->process_time <= 0) ||
	    (x && l->flags & LIMIT_MEMORY && !x->process_memory))
		return ERROR_INVALID_PARAMETER;
	s->most = l->active;
	s->memory = x ? x->process_memory : 0;
	s->time = l->flags & LIMIT_PROCESS_TIME ? (uint64_t)l->process_time : 0;
	s->flags = l->flags;
	job_limits_apply();
	return 0;
}

static uint32_t port_set(struct job *j, const struct port_of_job *p)
{
	struct object *port = p->port ? object_get(p->port, KIND_PORT) : NULL;
	if (p->port && !port)
		return ERROR_INVALID_PARAMETER;
	job_port_set(j, port, p->key);
	return 0;
}

/* There is nothing on a screen that could be forbidden, and the end of a job's time does not come.
 */
static uint32_t set(struct job *j, uint32_t class, const void *in, uint32_t len)
{
	const struct extended *x = in;
	switch (class) {
	case LIMITS_OF_EACH:
		return len != sizeof x->basic ? ERROR_BAD_LENGTH : limits_set(j->job, in, NULL);
	case EXTENDED_LIMITS:
		return len != sizeof *x ? ERROR_BAD_LENGTH : limits_set(j->job, &x->basic, x);
	case PORT: return len != sizeof(struct port_of_job) ? ERROR_BAD_LENGTH : port_set(j, in);
	case USER_INTERFACE:
	case AT_THE_END: return len != 4 ? ERROR_BAD_LENGTH : 0;
	default: return ERROR_NOT_SUPPORTED;
	}
}

API(uint32_t, k32_SetInformationJobObject, handle h, uint32_t class, const void *in, uint32_t len)
{
	struct job *j = object_get(h, KIND_JOB);
	if (!j)
		return 0;
	uint32_t bad = set(j, class, in, len);
	object_unref(&j->o);
	return bad ? fail(bad) : 1;
}
