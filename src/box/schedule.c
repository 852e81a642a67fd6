/* SPDX-License-Identifier: Apache-2.0 */
/* How the kernel schedules a process, its disk accesses, where, and as which kind of machine:
 * sched_setattr(2), ioprio_set(2), sched_setaffinity(2), personality(2) */
#include "box/internal.h"
#include <ctype.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/syscall.h>

struct schedule { /* what the kernel calls sched_attr; its header is at odds with glibc's */
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static const struct {
	const char *name;
	uint64_t bit;
} flags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01},     {"SCHED_FLAG_RECLAIM", 0x02},
    {"SCHED_FLAG_DL_OVERRUN", 0x04},        {"SCHED_FLAG_KEEP_POLICY", 0x08},
    {"SCHED_FLAG_KEEP_PARAMS", 0x10},       {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
};

static int scheduler_set(const struct oci_scheduler *s, struct lodge_err *e)
{
	static const uint32_t policies[] = {[OCI_SCHED_OTHER] = 0, [OCI_SCHED_FIFO] = 1,
	                                    [OCI_SCHED_RR] = 2,    [OCI_SCHED_BATCH] = 3,
	                                    [OCI_SCHED_ISO] = 4,   [OCI_SCHED_IDLE] = 5,
	                                    [OCI_SCHED_DEADLINE] = 6};
	struct schedule a = {.size = sizeof a, .policy = policies[s->policy],
	                     .nice = (int32_t)s->nice.v, .priority = (uint32_t)s->priority.v,
	                     .runtime = s->runtime.v, .deadline = s->deadline.v,
	                     .period = s->period.v};
	for (size_t i = 0; i < s->flags.n; i++) {
		size_t k = 0;
		while (k < countof(flags) && strcmp(flags[k].name, s->flags.at[i]) != 0)
			k++;
		if (k == countof(flags))
			return err_set(e, EINVAL,
				       ".process.scheduler.flags[%zu]: '%.60s' is unknown", i,
				       s->flags.at[i]);
		a.flags |= flags[k].bit;
	}
	return syscall(SYS_sched_setattr, 0, &a, 0) < 0
	           ? err_sys(e, ".process.scheduler: %s", oci_words_policies[s->policy - 1]) : 0;
}

static int io_priority_set(const struct oci_io_priority *p, struct lodge_err *e)
{
	enum { WHO_PROCESS = 1, CLASS_SHIFT = 13 };
	int value = (int)p->class << CLASS_SHIFT | (int)p->priority.v;
	return syscall(SYS_ioprio_set, WHO_PROCESS, 0, value) < 0
	           ? err_sys(e, ".process.ioPriority: %s", oci_words_io_classes[p->class - 1]) : 0;
}

int box_schedule_set(const struct oci_process *p, struct lodge_err *e)
{
	int r = p->scheduler ? scheduler_set(p->scheduler, e) : 0;
	return r == 0 && p->io_priority ? io_priority_set(p->io_priority, e) : r;
}

int box_personality_set(const struct oci_personality *p, struct lodge_err *e)
{
	static const unsigned long domains[] = {
	    [OCI_LINUX] = PER_LINUX, [OCI_LINUX32] = PER_LINUX32};
	if (p->flags.n)
		return err_set(e, EINVAL, ".linux.personality.flags: none are known");
	return personality(domains[p->domain]) < 0 ? err_sys(e, ".linux.personality.domain") : 0;
}

/* "0-3,7" */
int box_affinity_set(const char *text, struct lodge_err *e)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (const char *p = text; *p;) {
		char *end;
		if (!isdigit((unsigned char)*p))
			return err_set(e, EINVAL,
				       ".process.execCPUAffinity: '%.60s' is no list of CPUs",
				       text);
		unsigned long from = strtoul(p, &end, 10), to = from;
		if (*end == '-' && isdigit((unsigned char)end[1]))
			to = strtoul(end + 1, &end, 10);
		if ((*end && *end != ',') || to < from || to >= CPU_SETSIZE)
			return err_set(e, EINVAL,
				       ".process.execCPUAffinity: '%.60s' is no list of CPUs",
			               text);
		for (; from <= to; from++)
			CPU_SET(from, &set);
		p = end + (*end == ',');
	}
	return sched_setaffinity(0, sizeof set, &set) < 0
	           ? err_sys(e, ".process.execCPUAffinity: '%.60s'", text) : 0;
}
