/* SPDX-License-Identifier: Apache-2.0 */
/* Between child.c and job.c: groups of processes. What all of them know of the jobs lies in memory
 * that a process shares with those that it starts. A job is a number; 0: none. */
#pragma once
#include "win/internal.h"

/* The memory, which a child has to be given; NULL: there is none, as yet. */
struct jobs *jobs_shared(void);
/* Make it, if it is not there. False: no memory. */
bool jobs_begin(void) MUST;
_Atomic(uint32_t) *job_of_process(struct object *process); /* child.c */
struct running;
/* The job that a child started with @flags comes into, counted there; 0 or an error. */
uint32_t job_enter(uint32_t flags, uint32_t *ret_job);
void job_began(uint32_t job, uint32_t pid); /* it has this number */
void job_leave(uint32_t job);               /* it has not come to be */
/* What a process used: 100 ns, page faults. */
struct usage {
	uint64_t user, kernel;
	uint32_t faults;
};
/* It has ended, whether it was in a job or not: those that it has started end with it. */
void job_ended(uint32_t pid, const struct usage *u, bool crashed);
void job_limits_apply(void); /* to this process */
/* A place for a process that is about to start; NULL: as many run as a guest may have. */
struct running *running_take(void);
void running_is(struct running *r, uint32_t pid);
void running_drop(struct running *r); /* with those that it has started: they end with it */
/* End the children that are in @job, or in one inside it (child.c). */
void children_kill(bool (*in)(uint32_t job, uint32_t of), uint32_t job, uint32_t code);

/* ---- between job.c and job_info.c ---- */
enum { JOBS_MAX = 256, MEMBERS_MAX = 4096, PROCESSES_MAX = 512 };
enum {
	LIMIT_PROCESS_TIME = 2,
	LIMIT_ACTIVE = 8,
	LIMIT_MEMORY = 0x100,
	LIMIT_DIE = 0x400,
	LIMIT_BREAKAWAY = 0x800,
	LIMIT_SILENT_BREAKAWAY = 0x1000,
	LIMIT_KILL_ON_CLOSE = 0x2000,
	LIMITS = LIMIT_PROCESS_TIME | LIMIT_ACTIVE | LIMIT_MEMORY | LIMIT_DIE | LIMIT_BREAKAWAY |
		 LIMIT_SILENT_BREAKAWAY | LIMIT_KILL_ON_CLOSE
};
struct slot {
	_Atomic(uint32_t) refs; /* a handle's, members, jobs inside; 0: free */
	_Atomic(uint32_t) parent, flags, most, active, total, terminated, faults;
	_Atomic(uint64_t) user, kernel, memory, time; /* time: 100 ns of a process */
};
struct member {
	_Atomic(uint32_t) pid, parent, job;
};
/* Of all the processes of the guest but the first, whether they are in jobs or not. */
struct running {
	_Atomic(uint32_t) pid, parent; /* pid 0: free */
};
struct jobs {
	struct running running[PROCESSES_MAX];
	struct slot slots[JOBS_MAX];
	struct member members[MEMBERS_MAX];
};
struct job {
	struct object o;
	uint32_t job;
	struct object *port; /* owned reference; told of what happens */
	uint64_t key;
	struct job *next;
};
struct slot *slot_at(uint32_t job);
bool job_in(uint32_t job, uint32_t of); /* is it that job, or inside it? */
void job_port_set(struct job *j, struct object *port, uint64_t key); /* NULL: none */
