/* SPDX-License-Identifier: Apache-2.0 */
/* One line of log through the machine's sink, and a rate limit for what guests can trigger. */
#include "base/base.h"
#include <stdio.h>
#include <time.h>

enum { GUEST_LINES_PER_SECOND = 10 };

static void log_line(struct log *l, enum log_level level, const char *fmt, va_list ap)
{
	char msg[1024];
	if (!l || !l->sink || level > l->max)
		return;
	vsnprintf(msg, sizeof msg, fmt, ap);
	l->sink(l->user, level, msg);
}

void log_at(struct log *l, enum log_level level, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	log_line(l, level, fmt, ap);
	va_end(ap);
}

void log_guest(struct log *l, const char *fmt, ...)
{
	struct timespec t;
	if (!l || !l->sink || l->max < LOG_DEBUG)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	/* Two vCPUs may race here; the worst that follows is a line more or less. */
	if (now - __atomic_load_n(&l->window_ns, __ATOMIC_RELAXED) > 1000000000u) {
		__atomic_store_n(&l->window_ns, now, __ATOMIC_RELAXED);
		__atomic_store_n(&l->in_window, 0, __ATOMIC_RELAXED);
	}
	if (__atomic_fetch_add(&l->in_window, 1, __ATOMIC_RELAXED) >= GUEST_LINES_PER_SECOND)
		return;
	va_list ap;
	va_start(ap, fmt);
	log_line(l, LOG_DEBUG, fmt, ap);
	va_end(ap);
}
