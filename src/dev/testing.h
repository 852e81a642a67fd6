/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: a device on a bus with lines that are watched and a clock that tests move. */
#pragma once
#include "dev/dev.h"

struct bench {
	struct bus *bus;
	struct loop *loop;
	struct vclock clock;
	struct chr *chr;
	struct dev *dev;
	pthread_mutex_t m;
	bool line[32];
	unsigned raised[32]; /* times the line went up */
};

/* Make @class with @options on a bus at 0; its lines are bench->line[]. */
void bench_init(struct bench *b, const char *class, const char *options);
void bench_fini(struct bench *b);
/* Run the loop until the work and timers of now are done. */
void bench_turn(struct bench *b);
/* Move guest time on by @ns and let timers see it. */
void bench_pass(struct bench *b, uint64_t ns);
uint64_t bench_get(struct bench *b, uint64_t at, unsigned width);
void bench_put(struct bench *b, uint64_t at, unsigned width, uint64_t val);
