/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: processes that are counted, limited and ended together. Who makes one can end it, with the
 * children that it has put there, and theirs go with them; so only the counts are shared. What a
 * process may use is in job_limit.c. */
#include "win/job.h"
#include "win/child.h"
#include <sys/mman.h>
#include <time.h>

enum { CHAIN_MAX = 32 };
#define STARTING UINT32_MAX /* as a number of a process: it has none yet */
enum { CREATE_BREAKAWAY = 0x1000000 };
enum { MSG_LIMIT = 3, MSG_ZERO, MSG_NEW = 6, MSG_EXIT, MSG_CRASH };

static WIN_STATE struct {
	pthread_mutex_t lock;
	struct jobs *shared;
	struct job *all; /* that this process has */
} jobs = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct jobs *jobs_shared(void)
{
	const struct win_child *c = process()->start->child;
	return jobs.shared ? jobs.shared : c ? (jobs.shared = c->jobs) : NULL;
}

bool jobs_begin(void)
{
	bool there = jobs_shared() != NULL;
	if (there)
		return true;
	void *p = mmap(NULL, sizeof(struct jobs), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	jobs.shared = p;
	return true;
}

/* ---- the shared counts ---- */

struct slot *slot_at(uint32_t job) { return &jobs_shared()->slots[(job - 1) % JOBS_MAX]; }

bool job_in(uint32_t job, uint32_t of)
{
	for (unsigned n = 0; job && n < CHAIN_MAX; n++, job = slot_at(job)->parent)
		if (job == of)
			return true;
	return false;
}

static void slot_unref(uint32_t job)
{
	for (unsigned n = 0; job && n < CHAIN_MAX; n++) {
		struct slot *s = slot_at(job);
		uint32_t parent = s->parent;
		if (atomic_load(&s->refs) == 1)
			s->parent = s->flags = s->most = 0;
		if (atomic_fetch_sub(&s->refs, 1) != 1)
			return;
		job = parent;
	}
}

/* A process more in each from @job up to @until (0: all). 0 or an error. */
static uint32_t counts_add(uint32_t job, uint32_t until)
{
	for (uint32_t at = job; at != until && at; at = slot_at(at)->parent) {
		struct slot *s = slot_at(at);
		uint32_t before = atomic_fetch_add(&s->active, 1);
		if (s->flags & LIMIT_ACTIVE && before >= s->most) {
			atomic_fetch_sub(&s->active, 1);
			for (; job != at; job = slot_at(job)->parent) {
				atomic_fetch_sub(&slot_at(job)->active, 1);
				atomic_fetch_sub(&slot_at(job)->total, 1);
				slot_unref(job);
			}
			return ERROR_NOT_ENOUGH_QUOTA;
		}
		atomic_fetch_add(&s->total, 1);
		atomic_fetch_add(&s->refs, 1);
	}
	return 0;
}

static void counts_drop(uint32_t job)
{
	for (uint32_t at = job, up; at; at = up) {
		up = slot_at(at)->parent;
		atomic_fetch_sub(&slot_at(at)->active, 1);
		slot_unref(at);
	}
}

/* A row for a process that this one starts, or has in its own hands; NULL: none is left. */
static struct member *member_new(uint32_t job, uint32_t pid)
{
	struct jobs *all = jobs_shared();
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		struct member *m = &all->members[i];
		uint32_t none = 0;
		if (!atomic_compare_exchange_strong(&m->pid, &none, pid))
			continue;
		m->parent = process()->pid;
		m->job = job;
		return m;
	}
	return NULL;
}

static struct member *member_find(uint32_t pid)
{
	struct jobs *all = jobs_shared();
	for (size_t i = 0; all && i < MEMBERS_MAX; i++)
		if (all->members[i].pid == pid)
			return &all->members[i];
	return NULL;
}

/* One that this process starts is @pid. NULL: there is none. */
static struct member *member_began(uint32_t pid)
{
	struct jobs *all = jobs_shared();
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		struct member *m = &all->members[i];
		uint32_t starting = STARTING;
		if (m->parent == process()->pid &&
		    atomic_compare_exchange_strong(&m->pid, &starting, pid))
			return m;
	}
	return NULL;
}

static void member_free(struct member *m)
{
	m->parent = m->job = 0;
	atomic_store(&m->pid, 0);
}

/* ---- who is told ---- */

/* Of the process @pid in @job; those that this process has a handle of. */
static void job_tell(uint32_t job, uint32_t message, uint32_t pid)
{
	pthread_mutex_lock(&jobs.lock);
	for (struct job *j = jobs.all; j; j = j->next)
		if (j->port && job_in(job, j->job))
			port_post(j->port, message, j->key, pid, STATUS_SUCCESS);
	pthread_mutex_unlock(&jobs.lock);
}

static void job_tell_left(uint32_t job, uint32_t pid, bool crashed)
{
	if (pid != STARTING)
		job_tell(job, crashed ? MSG_CRASH : MSG_EXIT, pid);
	pthread_mutex_lock(&jobs.lock);
	for (struct job *j = jobs.all; j; j = j->next)
		if (j->port && job_in(job, j->job) && !slot_at(j->job)->active)
			port_post(j->port, MSG_ZERO, j->key, 0, STATUS_SUCCESS);
	pthread_mutex_unlock(&jobs.lock);
}

/* ---- processes begin and end ---- */

uint32_t job_enter(uint32_t flags, uint32_t *ret_job)
{
	uint32_t job = *job_of_process(process_object());
	for (*ret_job = 0; job; job = slot_at(job)->parent) {
		uint32_t may = slot_at(job)->flags;
		if (may & LIMIT_SILENT_BREAKAWAY ||
		    (flags & CREATE_BREAKAWAY && may & LIMIT_BREAKAWAY))
			continue;
		if (flags & CREATE_BREAKAWAY)
			return ERROR_ACCESS_DENIED;
		break;
	}
	if (!job)
		return 0;
	uint32_t bad = counts_add(job, 0);
	if (bad)
		job_tell(job, MSG_LIMIT, 0);
	else if (!member_new(job, STARTING)) {
		counts_drop(job);
		bad = ERROR_NO_SYSTEM_RESOURCES;
	}
	*ret_job = bad ? 0 : job;
	return bad;
}

void job_began(uint32_t job, uint32_t pid)
{
	struct member *m = job ? member_began(pid) : NULL;
	if (!m)
		return;
	m->job = job; /* of two that begin at once, the other's row may be this */
	job_tell(job, MSG_NEW, pid);
}

void job_leave(uint32_t job)
{
	struct member *m = job ? member_began(process()->pid) : NULL;
	if (!m)
		return;
	member_free(m);
	counts_drop(job);
}

static void below_ended(uint32_t pid);

static void member_ended(struct member *m, const struct usage *u, bool crashed)
{
	uint32_t job = m->job, pid = m->pid;
	member_free(m);
	for (uint32_t at = job; at; at = slot_at(at)->parent) {
		atomic_fetch_add(&slot_at(at)->user, u->user);
		atomic_fetch_add(&slot_at(at)->kernel, u->kernel);
		atomic_fetch_add(&slot_at(at)->faults, u->faults);
		atomic_fetch_sub(&slot_at(at)->active, 1);
	}
	if (pid != STARTING)
		below_ended(pid);
	job_tell_left(job, pid, crashed);
	for (uint32_t at = job, up; at; at = up) {
		up = slot_at(at)->parent;
		slot_unref(at);
	}
}

/* Those that the process @pid has started, or was about to: they end with it. */
static void below_ended(uint32_t pid)
{
	struct jobs *all = jobs_shared();
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		if (all->members[i].pid && all->members[i].parent == pid)
			member_ended(&all->members[i], &(struct usage){0}, false);
}

void job_ended(uint32_t pid, const struct usage *u, bool crashed)
{
	struct member *m = member_find(pid);
	if (m)
		member_ended(m, u, crashed);
	else if (jobs_shared())
		below_ended(pid);
}

/* ---- the object ---- */

static void job_fini(struct object *o)
{
	struct job *j = (struct job *)(void *)o;
	pthread_mutex_lock(&jobs.lock);
	for (struct job **p = &jobs.all; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			break;
		}
	pthread_mutex_unlock(&jobs.lock);
	bool own = job_in(*job_of_process(process_object()), j->job);
	if (slot_at(j->job)->flags & LIMIT_KILL_ON_CLOSE) {
		children_kill(job_in, j->job, 0);
		if (own)
			process_end(0);
	}
	slot_unref(j->job);
	object_unref(j->port);
}

static struct job *job_new(void)
{
	struct job *j = jobs_begin() ? object_new(KIND_JOB, sizeof *j) : NULL;
	for (uint32_t i = 0; j && i < JOBS_MAX; i++) {
		struct slot *s = &jobs.shared->slots[i];
		uint32_t none = 0;
		if (!atomic_compare_exchange_strong(&s->refs, &none, 1))
			continue;
		s->parent = s->flags = s->most = s->active = s->total = 0;
		s->terminated = s->faults = 0;
		s->user = s->kernel = s->memory = s->time = 0;
		j->job = i + 1;
		j->o.fini = job_fini;
		pthread_mutex_lock(&jobs.lock);
		j->next = jobs.all;
		jobs.all = j;
		pthread_mutex_unlock(&jobs.lock);
		return j;
	}
	free(j);
	return NULL;
}

API(handle, k32_CreateJobObjectA, const void *security, const char *name)
{
	bool old = false;
	(void)security;
	struct job *j = job_new();
	if (!j)
		return fail(ERROR_NO_SYSTEM_RESOURCES);
	struct object *o = object_name(&j->o, name, &old);
	last_error_set(old ? ERROR_ALREADY_EXISTS : ERROR_SUCCESS);
	return object_handle(o, false);
}

API(handle, k32_CreateJobObjectW, const void *security, const wide *name)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_CreateJobObjectA(security, n);
}

API(handle, k32_OpenJobObjectA, uint32_t access, uint32_t inherit, const char *name)
{
	struct object *o = name ? object_named(name, KIND_JOB) : NULL;
	(void)access;
	return o ? object_handle(o, inherit != 0) : fail(ERROR_FILE_NOT_FOUND);
}

API(handle, k32_OpenJobObjectW, uint32_t access, uint32_t inherit, const wide *name)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_OpenJobObjectA(access, inherit, n);
}

/* The process, whose job *@of is, comes into @job as well: around it, or inside that. */
static uint32_t assign(uint32_t job, _Atomic(uint32_t) *of, uint32_t pid)
{
	uint32_t was = *of;
	struct slot *s = slot_at(job);
	if (was && job_in(was, job))
		return 0;
	if (was && !job_in(job, was)) {
		if (s->active || s->parent)
			return ERROR_ACCESS_DENIED;
		s->parent = was;
		atomic_fetch_add(&slot_at(was)->refs, 1);
	}
	uint32_t bad = counts_add(job, was);
	if (bad)
		return bad;
	*of = job;
	struct member *m = member_find(pid);
	if (m)
		m->job = job;
	else if (!member_new(job, pid)) /* it is counted, but not listed */
		return 0;
	job_tell(job, MSG_NEW, pid);
	return 0;
}

API(uint32_t, k32_AssignProcessToJobObject, handle h, handle process)
{
	struct job *j = object_get(h, KIND_JOB);
	struct object *p = j ? object_get(process, KIND_PROCESS) : NULL;
	uint32_t bad = 0;
	if (p && p->count)
		bad = ERROR_ACCESS_DENIED; /* it has ended */
	else if (p)
		bad = assign(j->job, job_of_process(p), process_pid(p));
	if (bad == ERROR_NOT_ENOUGH_QUOTA) {
		atomic_fetch_add(&slot_at(j->job)->terminated, 1);
		job_tell(j->job, MSG_LIMIT, 0);
		if (p != process_object())
			child_kill(p, ERROR_NOT_ENOUGH_QUOTA);
	}
	if (p && !bad)
		job_limits_apply();
	bool ok = p && !bad;
	object_unref(p);
	object_unref(j ? &j->o : NULL);
	return ok ? 1 : bad ? fail(bad) : 0;
}

API(uint32_t, k32_IsProcessInJob, handle process, handle h, uint32_t *ret)
{
	struct object *p = object_get(process, KIND_PROCESS);
	struct job *j = p && h ? object_get(h, KIND_JOB) : NULL;
	bool ok = p && (!h || j);
	if (ok) {
		uint32_t job = *job_of_process(p);
		*ret = j ? job_in(job, j->job) : job != 0;
	}
	object_unref(j ? &j->o : NULL);
	object_unref(p);
	return ok;
}

API(uint32_t, k32_TerminateJobObject, handle h, uint32_t code)
{
	struct job *j = object_get(h, KIND_JOB);
	if (!j)
		return 0;
	children_kill(job_in, j->job, code);
	if (job_in(*job_of_process(process_object()), j->job))
		process_end(code);
	object_unref(&j->o);
	return 1;
}

void job_port_set(struct job *j, struct object *port, uint64_t key)
{
	pthread_mutex_lock(&jobs.lock);
	struct object *was = j->port;
	j->port = port;
	j->key = key;
	pthread_mutex_unlock(&jobs.lock);
	object_unref(was);
}
