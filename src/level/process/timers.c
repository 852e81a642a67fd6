/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of timer_create: by their numbers, with what time is left. Numbers are the kernel's and
 * count up: a timer of a number is one of many that are made and deleted. proc_pid_timers(5) */
#include "level/process/saved.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

enum { NUMBER_MAX = 1 << 18, PROBED = 64, TIMERS_MAX = 1024, SIGNALS_MAX = 63 };
/* as the kernel has it */
struct host_event {
	uint64_t value;
	int32_t signal, notify, tid;
	int32_t rest[11];
};
_Static_assert(sizeof(struct host_event) == 64, "sigevent");

static uint64_t ns_of(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

static int64_t timer_delete_host(int id) { return syscall(SYS_timer_delete, id); }

/* ---- gathering ---- */

static bool has_task(const struct gather *g, uint64_t tid)
{
	for (const struct task *t = g->t->p->tasks; t; t = t->next)
		if ((uint64_t)t->tid == tid)
			return true;
	return false;
}

/* One of /proc/self/timers, four lines at @text. */
static int one_gather(struct gather *g, const char *text, struct lodge_err *e)
{
	uint64_t w[TIMER_WORDS] = {0};
	unsigned long long value = 0;
	int id, sig, clock, tid;
	char how[16], whose[8];
	struct itimerspec left;
	if (sscanf(text, "ID: %d signal: %d/%llx notify: %15[a-z]/%7[a-z].%d ClockID: %d", &id,
		   &sig, &value, how, whose, &tid, &clock) != 7 ||
	    syscall(SYS_timer_gettime, id, &left) < 0)
		return err_set(e, EIO, "its timers cannot be read");
	bool thread = !strcmp(whose, "tid"), none = !strcmp(how, "none");
	if (clock < 0 || clock == CLOCK_THREAD_CPUTIME_ID)
		return err_set(e, EOPNOTSUPP, "its timer %d is of the CPU time of a thread, or of "
			       "another process, which cannot be saved", id);
	if (id >= NUMBER_MAX || (thread && !has_task(g, (uint64_t)tid)))
		return err_set(e, EOPNOTSUPP, "its timer %d cannot be made again", id);
	w[TIMER_ID] = (uint64_t)id;
	w[TIMER_CLOCK] = (uint64_t)clock;
	w[TIMER_SIGNAL] = (uint64_t)sig;
	w[TIMER_NOTIFY] = thread ? SIGEV_THREAD_ID : none ? SIGEV_NONE : SIGEV_SIGNAL;
	w[TIMER_TID] = thread ? (uint64_t)tid : 0;
	w[TIMER_VALUE] = value;
	w[TIMER_LEFT] = ns_of(left.it_value);
	w[TIMER_EVERY] = ns_of(left.it_interval);
	words_add(&g->timers, w, TIMER_WORDS);
	return 0;
}

/* Where the kernel does not tell: is there any? */
static int none_check(struct lodge_err *e)
{
	struct itimerspec left;
	for (int id = 0; id < PROBED; id++)
		if (syscall(SYS_timer_gettime, id, &left) == 0)
			return err_set(e, EOPNOTSUPP, "it has timers of timer_create, and this "
				       "host's kernel does not tell what they do");
	return 0;
}

int timers_gather(struct gather *g, struct lodge_err *e)
{
	FILE *f = fopen("/proc/self/timers", "re");
	char block[512], line[128];
	int r = f ? 0 : none_check(e);
	size_t len = 0;
	while (r == 0 && f && fgets(line, sizeof line, f)) {
		if (!strncmp(line, "ID:", 3))
			len = 0;
		len += (size_t)snprintf(block + len, sizeof block - len, "%s", line);
		if (len >= sizeof block)
			r = err_set(e, EIO, "its timers cannot be read");
		else if (!strncmp(line, "ClockID:", 8))
			r = one_gather(g, block, e);
	}
	if (f)
		fclose(f);
	return r;
}

/* ---- going on ---- */

/* Numbers come in order: @ids, ascending, are left to be timers, all others are deleted. */
static int timer_make(const uint8_t *w, int id, struct lodge_err *e)
{
	struct host_event ev = {word(w, TIMER_VALUE), (int32_t)word(w, TIMER_SIGNAL),
				(int32_t)word(w, TIMER_NOTIFY), (int32_t)word(w, TIMER_TID), {0}};
	int got = -1;
	while (got < id) {
		if (got >= 0)
			timer_delete_host(got);
		if (syscall(SYS_timer_create, word(w, TIMER_CLOCK), &ev, &got) < 0)
			return err_sys(e, "its timer %d", id);
	}
	if (got > id) {
		timer_delete_host(got);
		return err_set(e, EBUSY, "the number of its timer %d could not be had", id);
	}
	const struct itimerspec t = {time_of(word(w, TIMER_EVERY)), time_of(word(w, TIMER_LEFT))};
	if (word(w, TIMER_LEFT) && syscall(SYS_timer_settime, id, 0, &t, NULL) < 0)
		return err_sys(e, "its timer %d", id);
	return 0;
}

/* The one with the lowest number from @from on; NULL: none. */
static const uint8_t *timer_next(const uint8_t *w, size_t n, uint64_t from)
{
	const uint8_t *best = NULL;
	for (; n; n--, w += 8 * TIMER_WORDS)
		if (word(w, TIMER_ID) >= from &&
		    (!best || word(w, TIMER_ID) < word(best, TIMER_ID)))
			best = w;
	return best;
}

int timers_restore(const struct restore *r, struct lodge_err *e)
{
	const uint8_t *w, *t;
	size_t n;
	uint64_t from = 0;
	int err = words_find(r, "process/timers", TIMER_WORDS, &w, &n, e);
	if (err == 0 && n > TIMERS_MAX)
		return err_set(e, EINVAL, "the state has more timers than can be");
	while (err == 0 && (t = timer_next(w, n, from))) {
		if (word(t, TIMER_ID) >= NUMBER_MAX || word(t, TIMER_CLOCK) > INT32_MAX ||
		    word(t, TIMER_SIGNAL) > SIGNALS_MAX)
			return err_set(e, EINVAL, "the state has a timer that cannot be");
		err = timer_make(t, (int)word(t, TIMER_ID), e);
		from = word(t, TIMER_ID) + 1;
	}
	return err;
}
